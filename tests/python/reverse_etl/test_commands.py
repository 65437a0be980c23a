"""The step of a session, its exit codes, and what people are told; and a process that is really killed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from boxoffice.session import Session, Step, conduct
from boxoffice.settings import ROOT
from reverse_etl.__main__ import STEP, sync
from reverse_etl.explain import explained
from tests.python.reverse_etl.conftest import BASE, TOKEN, World

Conduct = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def conducted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> Conduct:
    """Runs a session of one sync; gives its exit code and what --json prints. `environ` overrules."""

    def run(
        world: World, *, before: tuple[Step, ...] = (), environ: dict[str, str] | None = None, **options: Any
    ) -> Any:
        found = {
            "DATABASE_URL": f"duckdb:///{world.warehouse}",
            "MARTS_PATH": f"{tmp_path}/marts.duckdb",
            "MAPPINGS_DIR": f"{tmp_path}/mappings",
            "AIRTABLE_TOKEN": TOKEN,
            "AIRTABLE_BASE_ID": BASE,
            "AIRTABLE_API_URL": world.stand_in.airtable,
            "AIRTABLE_CALL_BUDGET": "",
            **(environ or {}),
        }
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        world.forget_calls()

        def body(session: Session) -> None:
            session.steps += before
            sync(session, world.models, **options)

        code = conduct("sync", body, as_json=True)
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_sync_is_a_step_that_counts(loaded: World, conducted: Conduct) -> None:
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 13")
    code, document = conducted(loaded)
    assert code == 0
    (step,) = document["steps"]
    assert (step["name"], step["status"], step["landed"], step["changed"]) == (STEP, "ok", 9, 3)
    assert (step["rejected"], step["requests"]) == (0, 2)
    code, document = conducted(loaded)
    assert (code, document["steps"][0]["requests"], document["steps"][0]["detail"]) == (0, 1, "1 call")


def test_refused_rows_end_with_1_and_say_what_to_do(loaded: World, conducted: Conduct) -> None:
    loaded.sql("update sync.sync_airtable__events set status = 'odd' where event_key = 'e1'")
    code, document = conducted(loaded)
    assert (code, document["steps"][0]["status"]) == (1, "partial")
    (problem,) = document["problems"]
    assert (
        problem["problem"] == "A row of Events cannot be written (e1). Status: The field has no such option."
    )
    assert "ops.rejected_rows" in problem["remedy"]
    with duckdb.connect(str(loaded.warehouse), read_only=True) as connection:
        found = connection.execute("select key, field, resolved_at from ops.rejected_rows").fetchall()
        assert found == [("e1", "Status", None)]
        assert connection.execute("select count(*) from ops.airtable_keys").fetchone() == (9,)
        states = "select distinct operation, state from ops.journal order by 1"
        assert connection.execute(states).fetchall() == [("create", "answered")]


def test_a_plan_lists_every_change_and_hides_people(loaded: World, conducted: Conduct) -> None:
    columns = loaded.models[0].columns
    columns["buyer"] = replace(columns["buyer"], is_personal=True)  # type: ignore[index]
    loaded.sql(
        "update sync.sync_airtable__sales set buyer = 'Someone', event_key = 'e2' where sale_key = 's0'"
    )
    code, document = conducted(loaded, writes=False, is_asked=True)
    assert (code, loaded.writes) == (0, 0)
    (table,) = [each for each in document["airtable"]["tables"] if each["table"] == "Sales"]
    (change,) = table["updates"]
    assert change["cells"]["Buyer"] == {"old": "(personal)", "new": "(personal)"}
    assert change["cells"]["Event"]["new"] == ["e2"]
    assert (table["calls"], table["seconds"]) == (1, 0.2)
    assert "Someone" not in json.dumps(document)


def test_what_is_personal_is_not_kept_with_a_refusal(loaded: World, conducted: Conduct) -> None:
    columns = loaded.models[0].columns
    columns["buyer"] = replace(columns["buyer"], is_personal=True)  # type: ignore[index]
    loaded.settings(longest_text=50)
    for place, name in enumerate(("Ann " * 20, "Bo " * 40_000)):
        loaded.sql(f"update sync.sync_airtable__sales set buyer = ? where sale_key = 's{place}'", [name])
    assert conducted(loaded)[0] == 1
    assert loaded.ops("select key, field, value from rejected_rows order by key") == [
        ("s0", "Buyer", None),
        ("s1", "Buyer", None),
    ]


def test_without_a_token_it_is_skipped_and_says_so(loaded: World, conducted: Conduct) -> None:
    code, document = conducted(loaded, environ={"AIRTABLE_TOKEN": "", "EVENTBRITE_TOKEN": "x"})
    assert (code, document["steps"][0]["status"], loaded.calls()) == (0, "skipped", 0)
    assert "AIRTABLE_TOKEN is not set" in " ".join(document["notes"])


@pytest.mark.parametrize(("is_asked", "code", "status"), [(True, 2, None), (False, 0, "skipped")])
def test_a_base_that_is_not_set_up(
    world: World, conducted: Conduct, is_asked: bool, code: int, status: str | None
) -> None:
    found, document = conducted(world, is_asked=is_asked)
    assert found == code
    assert [step["status"] for step in document["steps"]] == ([status] if status else [])
    assert "--bootstrap" in json.dumps(document)
    assert world.writes == 0


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_is_left_out_is_named_where_anything_is_written(
    loaded: World, conducted: Conduct, is_asked: bool
) -> None:
    unsound = ["sync_airtable__tickets"]
    code, document = conducted(loaded, is_asked=is_asked, unsound=unsound)
    (problem,) = document["problems"]
    assert (code, "mended: sync_airtable__tickets." in problem["problem"]) == (1, True)
    code, document = conducted(loaded, unsound=unsound, environ={"AIRTABLE_TOKEN": "", "SHEETS_DIR": "x"})
    assert (code, document["problems"]) == (0, [])


def test_a_base_that_is_not_set_up_is_looked_at_once_a_day(world: World, conducted: Conduct) -> None:
    for calls in (1, 0):
        code, document = conducted(world)
        assert (code, document["steps"][0]["status"], world.calls()) == (0, "skipped", calls)
        assert "--bootstrap" in document["notes"][-1]
    conducted(world, is_asked=True, bootstrap=True, writes=False)
    code, document = conducted(world)
    assert (code, document["steps"][0]["status"]) == (0, "ok")


@pytest.mark.parametrize(("is_asked", "code"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("trouble", ["AIRTABLE_BASE_ID", "AIRTABLE_TOKEN"])
def test_nothing_can_be_done(
    loaded: World, conducted: Conduct, is_asked: bool, code: int, trouble: str
) -> None:
    wrong = {"AIRTABLE_BASE_ID": "", "AIRTABLE_TOKEN": "patWRONG.SECRET"}[trouble]
    found, document = conducted(loaded, is_asked=is_asked, environ={trouble: wrong})
    assert found == code
    (problem,) = document["problems"]
    assert trouble in problem["problem"]
    assert "SECRET" not in json.dumps(document)
    refused = loaded.ops("select rule_id, request from api_errors")
    assert [rule for rule, _ in refused] == (["TokenRefused"] if wrong else [])


def test_the_budget_is_one_for_reads_and_writes_of_a_run(loaded: World, conducted: Conduct) -> None:
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 13")
    read = Step("airtable", requests=9)
    code, document = conducted(loaded, before=(read,), environ={"AIRTABLE_CALL_BUDGET": "10"})
    assert (code, loaded.calls()) == (1, 1)
    assert "AIRTABLE_CALL_BUDGET" in document["problems"][0]["problem"]
    assert conducted(loaded, environ={"AIRTABLE_CALL_BUDGET": "10"})[0] == 0
    assert loaded.writes == 1


def test_nonsense_in_settings_is_named_with_its_remedy(
    loaded: World, conducted: Conduct, tmp_path: Any
) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "settings.csv").write_text("destination,name,value\nairtable,on_delete,shred\n")
    code, document = conducted(loaded, is_asked=True)
    assert (code, loaded.calls()) == (2, 0)
    assert document["problems"][0]["remedy"] == "Use keep or archive or delete."


def test_an_older_ops_file_that_is_put_back_makes_no_duplicates(loaded: World, conducted: Conduct) -> None:
    conducted(loaded)
    older = loaded.folder / "older.sqlite"
    shutil.copy(loaded.ops_path, older)
    loaded.sql("insert into sync.sync_airtable__events (event_key) values ('e7'), ('e8')")
    conducted(loaded)
    loaded.sql("insert into sync.sync_airtable__events (event_key) values ('e9')")
    shutil.copy(older, loaded.ops_path)
    conducted(loaded)
    assert (loaded.calls("create"), loaded.calls("list")) == (1, 3)
    assert sorted(loaded.rows("Events", "Event")) == ["e1", "e2", "e3", "e7", "e8", "e9"]
    conducted(loaded)
    assert loaded.calls() == 1


def test_explain_tells_why_a_row_is_not_there(
    loaded: World, conducted: Conduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boxoffice import settings
    from boxoffice.terminal import Terminal

    loaded.sql("update sync.sync_airtable__events set status = 'odd' where event_key = 'e1'")
    loaded.sql("insert into sync.sync_airtable__sales values ('s9', 'nowhere', 'Ann', null)")
    loaded.sql("insert into sync.sync_airtable__sales values ('s8', 'e2', 'Ann', null)")
    conducted(loaded, writes=False)
    monkeypatch.setattr("reverse_etl.explain.sync_models", lambda settings: loaded.models)

    def told(key: str) -> tuple[int, list[dict[str, Any]]]:
        code, document = explained(key, settings.load(), Terminal(as_json=True))
        return code, document["found"]

    assert told("nobody") == (1, [])
    code, (found,) = told("s8")
    assert (code, found) == (0, {"model": "sync_airtable__sales", "is_wanted": True})
    conducted(loaded)
    assert "record_id" in told("s8")[1][0]
    assert told("s9")[1][0]["reason"] == "What it links to is not in Airtable: nowhere of events."
    assert told("e1")[1][0]["field"] == "Status"
    assert "record_id" in told("e1")[1][0]


KILLED = """
import os, signal, sys
from boxoffice import airtable_api
from tests.python.reverse_etl import conftest

class Killer(airtable_api.Client):
    def _once(self, request):
        if self.calls != int(sys.argv[4]):
            return super()._once(request)
        if sys.argv[5] == "after":
            super()._once(request)
        os.kill(os.getpid(), signal.SIGKILL)

from pathlib import Path
from sandbox.server import StandIn
world = conftest.World(StandIn(int(sys.argv[1])), Path(sys.argv[2]), conftest.models())
world.client_of = Killer
world.sync()
"""


@pytest.mark.parametrize(("at", "when"), [(1, "after"), (2, "before"), (3, "after")])
def test_a_process_that_is_killed(loaded: World, at: int, when: str) -> None:
    """As the kills in one process, once more with the signal that nothing can catch."""
    new = ", ".join(f"('e{place}', 'Event {place}')" for place in range(10, 35))
    loaded.sql(f"insert into sync.sync_airtable__events (event_key, event_name) values {new}")
    port = loaded.stand_in.airtable.rsplit(":", 1)[1].split("/")[0]
    words = [sys.executable, "-c", KILLED, port, str(loaded.folder), "-", str(at), when]
    ended = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert ended.returncode == -9, ended.stderr
    loaded.sync()
    assert len(loaded.rows("Events", "Event")) == 28
    loaded.sync()
    assert loaded.calls() == 1
