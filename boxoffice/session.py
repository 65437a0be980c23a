"""The frame of a command: settings, lock, ops record, steps, summary and exit code.

Exit codes: 0 all well; 1 ran, and something needs a look; 2 nothing was done. 130 after Ctrl-C.
"""

import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

from boxoffice import alerts, lock, log, ops
from boxoffice import settings as settings_module
from boxoffice.errors import BoxofficeError, ConfigurationError, LeftOff, LockedError, explained
from boxoffice.publish import STORAGE_VERSION
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal

logger = logging.getLogger(__name__)

WELL, LOOK, NOTHING_DONE, STOPPED = 0, 1, 2, 130


@dataclass
class Step:
    """One step and what came of it. Row counts are None where a step has none.

    landed: rows that were brought, or that a destination should hold. changed: those that were written.
    """

    name: str
    status: str = "ok"  # "ok", "partial", "failed", "skipped" or "stopped"
    landed: int | None = None
    changed: int | None = None
    rejected: int | None = None
    requests: int | None = None
    detail: str = ""
    seconds: float = 0.0
    tables: list[dict[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        words = [self.status]
        if self.landed is not None:
            did = (
                ("", "written", "refused")
                if self.name.startswith("sync ")
                else (" landed", "changed", "rejected")
            )
            words.append(
                f"{self.landed:,} rows{did[0]}, {self.changed:,} {did[1]}, {self.rejected:,} {did[2]}"
            )
        if self.detail:
            words.append(self.detail)
        return f"{self.name}: {', '.join(words)} ({self.seconds:.1f} s)"

    def row(self) -> tuple[str, ...]:
        result = self.detail if self.status == "ok" and self.detail else self.status
        if self.detail and self.status != "ok":
            result += f": {self.detail}"
        counts = (self.landed, self.changed, self.rejected)
        return (
            self.name,
            result,
            *("" if count is None else f"{count:,}" for count in counts),
            f"{self.seconds:.1f}",
        )


class Session:
    """A command at work. Its body runs steps, and leaves problems, notes and headlines for the summary."""

    def __init__(self, command: str, settings: Settings, terminal: Terminal, store: ops.Ops) -> None:
        self.command = command
        self.settings = settings
        self.terminal = terminal
        self.ops = store
        self.started = time.perf_counter()
        self.run_id = store.begin_run(command, settings.as_of, is_sandbox=settings.is_sandbox)
        self.steps: list[Step] = []
        self.problems: list[tuple[str, BoxofficeError]] = []
        self.notes: list[str] = []
        self.headlines: list[str] = []
        self.figures: tuple[Sequence[str], list[Sequence[str]]] | None = None
        self.next: list[str] = []
        self.facts: dict[str, Any] = {}
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._stop)
        # Done when the command has ended and the warehouse shows how.
        self.at_end: list[Callable[[], None]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step, record it and report it. An error leaves it as failed and goes on upwards."""
        if self.stopping:  # asked for where Python drops exceptions, as in a callback
            raise KeyboardInterrupt
        step = Step(name)
        self.steps.append(step)
        self.terminal.begin(name)
        started = time.perf_counter()
        try:
            yield step
        except LeftOff:
            step.status = "skipped"
            raise
        except BaseException as error:
            step.status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            raise
        finally:
            step.seconds = time.perf_counter() - started
            self.terminal.end(step.line())
            with suppress(OSError, ops.Error):
                self._record(step)

    def progress(self, what: str, done: int, total: int | None) -> None:
        if self.steps:
            self.terminal.advance(self.steps[-1].name, what, done, total)

    def problem(self, step: str, error: BoxofficeError) -> None:
        self.problems.append((step, error))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        is_well = not self.problems and all(step.status in ("ok", "skipped") for step in self.steps)
        return WELL if is_well else LOOK

    def _record(self, step: Step) -> None:
        read = None if step.landed is None else step.landed + (step.rejected or 0)
        self.ops.add_step(
            self.run_id,
            step.name,
            status=step.status,
            seconds=step.seconds,
            rows=(read, step.changed, step.rejected),
            requests=step.requests,
        )

    def document(self, exit_code: int) -> dict[str, Any]:
        """What --json prints."""
        return {
            "command": self.command,
            "exit_code": exit_code,
            "as_of": self.settings.as_of.isoformat(),
            "is_sandbox": self.settings.is_sandbox,
            "seconds": round(time.perf_counter() - self.started, 3),
            "steps": [{**asdict(step), "seconds": round(step.seconds, 3)} for step in self.steps],
            "problems": [
                {"step": step, "problem": error.problem, "remedy": error.remedy}
                for step, error in self.problems
            ],
            "notes": self.notes,
            "warehouse": str(self.settings.warehouse_path),
            "marts": str(self.settings.marts_path),
            **self.facts,
        }

    def summary(self) -> None:
        heads = ("Step", "Result", "Rows", "Changed", "Rejected", "Seconds")
        total = f"{time.perf_counter() - self.started:.1f}"
        if self.steps:
            rows = [*(step.row() for step in self.steps), ("all", "", "", "", "", total)]
            self.terminal.table(heads, rows, words=2)
        self.terminal.problems(self.problems)
        for note in self.notes:
            self.terminal.item(note)
        for headline in self.headlines:
            self.terminal.say(headline)
        if self.figures:
            self.terminal.table(*self.figures)
        for hint in self.next:
            self.terminal.say(hint, style="bold")


def conduct(command: str, body: Callable[[Session], None], *, as_json: bool = False) -> int:
    """Run `body` inside the frame. Returns the exit code; foreseeable trouble never shows a traceback."""
    terminal = Terminal(as_json=as_json)
    # A polite kill ends like Ctrl-C: children stopped, run recorded.
    signal.signal(signal.SIGTERM, _interrupt)
    settings = None
    try:
        settings = settings_module.load()
        log.set_up(settings)
        wait = settings.lock_wait_seconds

        def on_wait(other: lock.Holder | None) -> None:
            terminal.say(f"Waiting up to {wait} s for {other or 'another command'} to end.")

        with (
            lock.held(settings.lock_path, command, wait_seconds=wait, on_wait=on_wait),
            ops.opened(settings.ops_path) as store,
        ):
            check_warehouse(settings)
            _check_marts(settings)
            ops.notice_older_file(store, settings.warehouse_path)
            session = Session(command, settings, terminal, store)
            return _conduct(session, body)
    except (KeyboardInterrupt, Exception) as error:
        if settings is not None and command == "run":
            _tell_early_end(settings, error)
        # Trouble that escapes the body's own frame came before its first step.
        return _ended_early(terminal, command, error)


@contextmanager
def recorded(
    command: str, settings: Settings, store: ops.Ops, tell: Callable[[Session], None]
) -> Iterator[Session]:
    """A piece of work of a command that goes on, as a run of its own. Needs the lock.

    Trouble that leaves the body goes on upwards.

    Args:
        tell: is given the session at its end, to tell of its problems.
    """
    session = Session(command, settings, Terminal(as_json=True), store)
    status, exit_code = "crashed", LOOK
    try:
        yield session
        exit_code = session.exit_code
        status = "ok" if exit_code == WELL else "look"
    except KeyboardInterrupt:
        status, exit_code = "stopped", STOPPED
        raise
    except Exception as error:
        status = "look" if _known(error) else "crashed"
        raise
    finally:
        tell(session)
        with suppress(OSError, ops.Error):
            _end(session, status, exit_code)


def observe(
    command: str, body: Callable[[Settings, Terminal], tuple[int, dict[str, Any]]], *, as_json: bool = False
) -> int:
    """Run `body`, which only looks: no lock, no record, nothing written, so also while another command runs.

    Args:
        body: shows what it finds, and returns the exit code and what --json prints.
    """
    terminal = Terminal(as_json=as_json)
    try:
        settings = settings_module.load()
        log.set_up(settings)
        exit_code, document = body(settings, terminal)
    except (KeyboardInterrupt, Exception) as error:
        return _ended_early(terminal, command, error)
    terminal.document({"command": command, "exit_code": exit_code, **document})
    return exit_code


def _tell_early_end(settings: Settings, error: BaseException) -> None:
    """Where only cron makes runs nobody else tells of one that crashed, or of a schedule that stands still as
    none can begin."""
    known = _known(error) if isinstance(error, Exception) else None
    if known is None or isinstance(known, ConfigurationError | LockedError):
        alerts.look_from_outside(settings)
    else:
        alerts.say(settings, f"the run could not begin: {known.problem}")


def _ended_early(terminal: Terminal, command: str, error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return _refused(terminal, command, STOPPED, BoxofficeError("Stopped before anything was done."))
    known = _known(error) if isinstance(error, Exception) else None
    if known is None:
        raise error
    return _refused(terminal, command, NOTHING_DONE, known)


def _conduct(session: Session, body: Callable[[Session], None]) -> int:
    exit_code = None
    status = None
    try:
        body(session)
    except KeyboardInterrupt:
        exit_code, status = STOPPED, "stopped"
        session.problem(session.command, BoxofficeError("Stopped.", "Run it again: what has landed is kept."))
    except Exception as error:
        known = _known(error)
        if known is None:
            with suppress(OSError, ops.Error):
                _end(session, "crashed", LOOK)
            raise
        session.problem(session.steps[-1].name if session.steps else session.command, known)
        if not session.steps and isinstance(known, ConfigurationError | LockedError):
            exit_code = NOTHING_DONE
    exit_code = session.exit_code if exit_code is None else exit_code
    status = status or {WELL: "ok", LOOK: "look", NOTHING_DONE: "refused"}[exit_code]
    try:
        log.drop_old(session.settings)
        session.ops.drop_old(session.settings.retention_days)
        _end(session, status, exit_code)
        ops.copy_to_warehouse(session.ops, session.settings.warehouse_path)
        for action in session.at_end:
            action()
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        session.problem("ops", known)
        exit_code = max(exit_code, LOOK)
        if session.command == "run":
            alerts.say(session.settings, f"what the run did could not be kept: {known.problem}")
    else:
        alerts.look(session.settings, session.ops.connection)
    if exit_code == NOTHING_DONE:
        return _refused(session.terminal, session.command, exit_code, session.problems[0][1])
    session.summary()
    session.terminal.document(session.document(exit_code))
    return exit_code


def _end(session: Session, status: str, exit_code: int) -> None:
    seconds = time.perf_counter() - session.started
    session.ops.end_run(session.run_id, status=status, exit_code=exit_code, seconds=seconds)


def check_warehouse(settings: Settings) -> None:
    """Open the warehouse for writing once, before any work: a lock or a full disk is better met now."""
    import duckdb

    settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    # Counts for a new file only: the format packs text at two thirds of the older one's CPU.
    layout = {"storage_compatibility_version": STORAGE_VERSION}
    try:
        duckdb.connect(str(settings.warehouse_path), config=layout).close()
    except duckdb.Error as error:
        raise explained(error) or ConfigurationError(
            f"{settings.warehouse_path} cannot be opened: {str(error).splitlines()[0]}.",
            "Let DATABASE_URL name a DuckDB file, existing or new.",
        ) from error


def _check_marts(settings: Settings) -> None:
    """Write beside the marts file once, before any work: publishing is the last step of a long run."""
    folder = settings.marts_path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigurationError(
            f"MARTS_PATH is {settings.marts_path}, where nothing can be written: {error.strerror}.",
            "Let it name a file in a folder that this user may write to, or leave it out.",
        ) from error


def _known(error: Exception) -> BoxofficeError | None:
    """The plain sentence for trouble with the machine; None when the error is probably a bug."""
    known = explained(error)
    if known is None and isinstance(error, OSError) and error.filename:
        logger.debug("a file is in the way", exc_info=error)
        known = BoxofficeError(
            f"{error.filename} cannot be used: {error.strerror}.",
            "Move away what is there, or mend its rights.",
        )
    return known


def _refused(terminal: Terminal, command: str, exit_code: int, error: BoxofficeError) -> int:
    terminal.error(str(error))
    problem = {"step": command, "problem": error.problem, "remedy": error.remedy}
    terminal.document({"command": command, "exit_code": exit_code, "steps": [], "problems": [problem]})
    return exit_code


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
