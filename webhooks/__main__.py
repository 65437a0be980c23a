"""`python -m webhooks`: receive what Eventbrite tells of changes, and have it worked on."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, fields
from types import FrameType
from typing import Any

import click

from boxoffice import alerts, ops, stand_ins
from boxoffice.errors import BoxofficeError, CallError, ConfigurationError, explained
from boxoffice.eventbrite_api import Client, Unavailable
from boxoffice.session import LOOK, NOTHING_DONE, WELL, observe
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from webhooks import addresses, inbox, receiver
from webhooks.addresses import Address
from webhooks.keeper import Keeper
from webhooks.registration import Registered, Registration

logger = logging.getLogger("webhooks")

WORKER = (sys.executable, "-m", "webhooks.worker")
REGISTERED_EVERY = 6 * 3600  # seconds: somebody may have deleted a webhook at Eventbrite
LOOKED_EVERY = 60  # seconds, at whether somebody has to be told of trouble
REGISTERED_AGAIN = 300  # seconds, when Eventbrite could not be reached


def _listen(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    checked = addresses.checked(settings)
    inbox.prepare(checked)
    with (
        closing(receiver.listening(checked.webhook_host, checked.webhook_port)) as listener,
        stand_ins.started(checked) as ready,
    ):
        host, port = listener.getsockname()[:2]
        here = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        reached = ready()
        assert reached.webhook_secret is not None
        address = Address(reached.webhook_url or here, reached.webhook_secret)
        if settings.is_sandbox:
            terminal.say("Sandbox mode, as nothing of yours is set: notices come from a stand-in.")
        terminal.say(f"Listening on {here} for what comes to {address.url}/***; Ctrl-C stops it.")
        terminal.say(f"How it is: {here}/healthz")
        if not _has_loaded(reached):
            terminal.say(
                "Nothing of Eventbrite has been loaded yet: `make run` does it, and notices wait for it."
            )
        if settings.is_sandbox:
            control = reached.eventbrite_api_url.removesuffix("/v3") + "/control"
            terminal.say("Let a day pass in the stand-in, and what happens there is told here:")
            terminal.say(f"  curl -d '{{\"days\": 1}}' {control}/evolve")
        return _serve(settings, reached, address, listener, terminal)


def _has_loaded(settings: Settings) -> bool:
    landed = "select 1 from steps where step = 'eventbrite' and status in ('ok', 'partial') limit 1"
    with ops.opened_to_read(settings.ops_path) as connection:
        return connection.execute(landed).fetchone() is not None


def _serve(
    settings: Settings, reached: Settings, address: Address, listener: Any, terminal: Terminal
) -> tuple[int, dict[str, Any]]:
    keeper = Keeper(WORKER, _differences(settings, reached))
    registrar: _Registrar | None = None
    with inbox.opened(reached.ops_path, reached.eventbrite_api_url, address.secret) as box:
        application = receiver.Receiver(
            box, address.secret, on_stored=keeper.poke, worker=lambda: keeper.state
        )
        server = receiver.Server(application, lambda: registrar.start() if registrar else None)
        registrar = _Registrar(reached, address, terminal, lambda: setattr(server, "should_exit", True))
        keeper.start()
        is_over = threading.Event()
        # Not the worker's to tell: it may be what is not well.
        teller = threading.Thread(
            target=_tell, args=(reached, is_over, lambda: application.is_storing), name="teller", daemon=True
        )
        teller.start()
        # A polite kill ends like Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            terminal.say("Stopping: the worker ends what it is at.")
            is_over.set()
            registrar.stop()
            keeper.stop()
            teller.join()
        counts = box.counts()
    if registrar.trouble is not None:
        raise ConfigurationError(registrar.trouble.problem, registrar.trouble.remedy)
    came, waiting = application.stored, counts.get("new", 0)
    terminal.say(f"Stopped. {came:,} notices came, {waiting:,} wait for the next start.")
    registered = registrar.done and asdict(registrar.done)
    return WELL, {"came": came, "notices": counts, "registered": registered, "worker_deaths": keeper.deaths}


def _tell(settings: Settings, is_over: threading.Event, is_storing: Callable[[], bool]) -> None:
    was_storing, told_at = True, float("-inf")
    while True:
        with suppress(OSError):
            alerts.sign_of_listener(settings).touch()
        if is_over.wait(LOOKED_EVERY):
            return
        try:
            now = time.monotonic()
            if is_storing() != was_storing and now - told_at >= alerts.QUIET.total_seconds():
                was_storing, told_at = not was_storing, now
                how = (
                    "can be stored again" if was_storing else "cannot be stored: the listener's log says why"
                )
                alerts.say(settings, f"notices of Eventbrite {how}.")
            alerts.look_from_outside(settings)
        except Exception:  # whatever it is: the next trouble has to be told all the same
            logger.exception("Whether all is well could not be looked up.")


def _differences(settings: Settings, reached: Settings) -> dict[str, Any]:
    names = [each.name for each in fields(Settings) if each.name != "as_of"]
    return {
        name: getattr(reached, name) for name in names if getattr(reached, name) != getattr(settings, name)
    }


class _Registrar:
    """Has Eventbrite send here, and looks now and then whether it still does; the receiver works meanwhile.

    trouble: why it never could be, where somebody has to mend it; `give_up` was called then.
    """

    def __init__(
        self, settings: Settings, address: Address, terminal: Terminal, give_up: Callable[[], None]
    ) -> None:
        self._settings, self._address, self._terminal, self._give_up = settings, address, terminal, give_up
        self._client = _client(settings)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="registrar", daemon=True)
        self._told = ""
        self.done: Registered | None = None
        self.trouble: BoxofficeError | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._client.close()
        if self._thread.is_alive():
            self._thread.join()

    def _keep(self) -> None:
        while not self._stopping.wait(self.look()):
            pass

    def look(self) -> float:
        """Returns after how many seconds to look again."""
        try:
            done = self._registered()
        except Exception as error:  # whatever it is: nobody else looks again
            return 0.0 if self._stopping.is_set() else self._failed(error)
        if self.done != done or self._told:
            self._terminal.say(_said(done))
        self.done, self._told = done, ""
        return REGISTERED_EVERY

    def _registered(self) -> Registered:
        with closing(inbox.connected(self._settings.ops_path)) as connection:
            registration = Registration(self._client, connection, self._settings.eventbrite_organization_id)
            try:
                done = registration.register(self._address.endpoint)
            finally:
                _keep_failures(self._client, connection)
        if done.withheld and not done.kept + done.made:
            raise _withheld()
        return done

    def _failed(self, error: Exception) -> float:
        # When it starts somebody is there to mend it. Later it may come right again by itself.
        is_first = self.done is None
        if is_first and isinstance(error, BoxofficeError) and not isinstance(error, Unavailable):
            self.trouble = error
            self._stopping.set()
            self._give_up()
            return 0.0
        what = error if isinstance(error, ops.Error) else type(error).__name__
        known = explained(error) or BoxofficeError(f"Webhooks could not be looked at: {what}.")
        said = known.problem if isinstance(error, Unavailable) else str(known)
        if said != self._told:
            logger.debug("webhooks could not be looked at", exc_info=error)
            self._terminal.say(
                f"{said} Whether Eventbrite sends notices is looked at every {REGISTERED_AGAIN // 60} minutes"
                " until that works; those that come are taken."
            )
        self._told = said
        return REGISTERED_AGAIN


def _withheld() -> ConfigurationError:
    return ConfigurationError(
        "EVENTBRITE_TOKEN may not manage the webhooks of any organization.",
        "Give its owner a role that may, or use the token of somebody who has one.",
    )


def _said(done: Registered) -> str:
    total = done.kept + done.made
    words = [f"Eventbrite sends what changes in {total} {'organization' if total == 1 else 'organizations'}"]
    words += [f"{count} {what}" for count, what in ((done.made, "made"), (done.deleted, "deleted")) if count]
    if done.withheld:
        words.append(_not_managed(done))
    return f"{'; '.join(words)}."


def _not_managed(done: Registered) -> str:
    return f"the token may not manage the webhooks of {', '.join(done.withheld)}"


def _keep_failures(client: Client, connection: Any) -> None:
    store = ops.Ops(connection)
    while client.failures:
        with suppress(ops.Error):
            store.add_api_error(None, "eventbrite", client.failures.pop())


def _client(settings: Settings) -> Client:
    assert settings.eventbrite_token is not None
    return Client(
        settings.eventbrite_api_url,
        settings.eventbrite_token,
        kept=0,
        secrets=[settings.webhook_secret] if settings.webhook_secret else [],
    )


def _unregister(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    if not settings.is_sandbox and settings.eventbrite_token is None:
        raise ConfigurationError(
            "EVENTBRITE_TOKEN is not set.", "Without it no webhook can be deleted, nor was one made."
        )
    inbox.prepare(settings)
    url, secret = settings.webhook_url, settings.webhook_secret
    endpoint = Address(url, secret).endpoint if url and secret else None
    with stand_ins.started(settings) as ready, closing(inbox.connected(settings.ops_path)) as connection:
        client = _client(ready())
        try:
            registration = Registration(client, connection, settings.eventbrite_organization_id)
            done = registration.unregister(endpoint)
        except CallError as error:
            _keep_failures(client, connection)
            # Some may have been deleted before; the next time finds the rest.
            terminal.error(str(error))
            return NOTHING_DONE, {"problems": [{"problem": error.problem, "remedy": error.remedy}]}
        finally:
            client.close()
    terminal.say(f"{done.deleted} webhooks were deleted at Eventbrite.")
    if done.withheld:
        terminal.error(f"Look at Eventbrite's page whether some are left: {_not_managed(done)}.")
    return LOOK if done.withheld else WELL, asdict(done)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--unregister", is_flag=True, help="Delete our webhooks at Eventbrite, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def main(unregister: bool, as_json: bool) -> None:
    """Receive Eventbrite's notices and work on them until Ctrl-C. docs/webhooks.md tells how to set it up."""
    sys.exit(observe("listen", _unregister if unregister else _listen, as_json=as_json))


if __name__ == "__main__":
    main()
