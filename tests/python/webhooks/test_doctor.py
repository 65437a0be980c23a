"""What doctor says of webhooks, with a receiver and a stand-in over HTTP."""

import sqlite3
from contextlib import closing
from pathlib import Path

from boxoffice import settings as settings_module
from boxoffice.eventbrite_api import Client
from sandbox.server import running
from tests.python.boxoffice.conftest import environment
from tests.python.webhooks.test_receiver import SECRET, receiving
from webhooks import doctor
from webhooks.registration import Registration


def found(folder: Path, **changed: str) -> list[tuple[str, str]]:
    environ = environment(folder) | {"WEBHOOK_SECRET": SECRET, "EVENTBRITE_TOKEN": "sandbox"} | changed
    findings = list(doctor.check(settings_module.load(environ)))
    assert SECRET not in str(findings)
    assert all(each.system == "webhooks" and each.what for each in findings)
    return [(each.state, each.what) for each in findings]


def test_doctor_tries_the_receiver_the_way_to_it_and_eventbrite(
    tmp_path: Path,
) -> None:
    objects = {"organizations": [{"id": "700000000001"}], "user": [{"id": "900000000001"}]}
    state = "running"
    with running(objects=objects) as stand_in, receiving(tmp_path, worker=lambda: state) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        set_up = {
            "EVENTBRITE_API_URL": stand_in.eventbrite,
            "WEBHOOK_URL": url,
            "WEBHOOK_PORT": str(receiver.port),
        }
        at_work, way, hooks = found(tmp_path, **set_up)
        assert at_work == ("ok", "The receiver is at work; 0 notices wait.")
        assert way == ("ok", f"{url}/*** leads to the receiver.")
        assert hooks == ("look", "Eventbrite does not send here what changes in 700000000001.")

        client = Client(stand_in.eventbrite, stand_in.token)
        with closing(client), sqlite3.connect(receiver.path) as connection:
            Registration(client, connection).register(f"{url}/{SECRET}")
        stand_in.forget_requests()
        assert found(tmp_path, **set_up)[2] == ("ok", "Eventbrite sends here what changes.")
        assert {each["method"] for each in stand_in.requests()} == {"GET"}

        state = "starting again"
        elsewhere = set_up | {"WEBHOOK_URL": f"{stand_in.eventbrite}/x"}
        at_work, way, hooks = found(tmp_path, **elsewhere)
        assert at_work == ("look", "The receiver is at work, and its worker is not: starting again.")
        assert (way[0], "does not lead to the receiver" in way[1]) == ("wrong", True)
        assert found(tmp_path, **set_up | {"EVENTBRITE_TOKEN": "nobody"})[2][0] == "wrong"
        [(wrong, what), *_] = found(tmp_path, **set_up, WEBHOOK_SECRET="short")
        assert (wrong, what[:14]) == ("wrong", "WEBHOOK_SECRET")
        receiver.box.trouble = OSError(28, "No space left on device")
        assert receiver.post(b"{}") == 503
        assert found(tmp_path, **set_up)[0] == ("wrong", "The receiver cannot store notices.")
    with running(objects=objects) as stand_in:
        set_up["EVENTBRITE_API_URL"] = stand_in.eventbrite
        [(look, what), _] = found(tmp_path, **set_up)
        assert (look, what) == ("look", f"No receiver answers at {url}.")


def test_doctor_is_silent_where_webhooks_are_not_set_up(tmp_path: Path) -> None:
    assert found(tmp_path) == [("off", "WEBHOOK_URL is not set, so changes wait for the next run.")]
    assert list(doctor.check(settings_module.load({}))) == []
