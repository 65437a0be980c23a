"""What a run hands to the destinations: the models its build left sound, and nothing else."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import reverse_etl.__main__ as reverse_etl
from boxoffice.__main__ import write_back
from boxoffice.build import BuildResult, SyncModel
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings

MODEL = SyncModel("sync_airtable__venues", "airtable", "venues", "sync", "venues", "", {}, {})


@dataclass
class Run:
    """A session as far as it is needed, and what `sync` was called with."""

    settings: Settings
    problems: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def problem(self, step: str, error: BoxofficeError) -> None:
        self.problems.append((step, error.problem))


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run(replace(settings, airtable_token="token"))

    def sync(session: Run, models: list[SyncModel], *, settings: Settings, bootstrap: bool) -> None:
        run.calls.append((session, models, settings, bootstrap))

    monkeypatch.setattr(reverse_etl, "sync", sync)
    return run


def test_what_is_sound_is_synced_and_what_is_not_is_named(run: Run) -> None:
    built = BuildResult(synced=[MODEL], unsound_sync=["sync_airtable__events", "sync_airtable__tickets"])
    write_back(run, built, lambda: run.settings)
    assert run.calls == [(run, [MODEL], run.settings, False)]
    [(step, problem)] = run.problems
    assert (step, "sync_airtable__events, sync_airtable__tickets" in problem) == ("sync", True)


def test_without_a_destination_nothing_unsound_is_named(run: Run) -> None:
    bare = replace(run.settings, airtable_token=None)
    write_back(run, BuildResult(unsound_sync=["sync_airtable__events"]), lambda: bare)
    assert run.problems == []
    assert run.calls == [(run, [], bare, False)]


def test_sandbox_mode_makes_its_base_ready(run: Run) -> None:
    sandbox = replace(run.settings, is_sandbox=True)
    write_back(run, BuildResult(), lambda: sandbox)
    assert run.calls == [(run, [], sandbox, True)]


def test_stand_ins_that_do_not_start_are_named(run: Run) -> None:
    def ready() -> Settings:
        raise BoxofficeError("The stand-ins did not start.")

    write_back(run, BuildResult(synced=[MODEL]), ready)
    assert (run.problems, run.calls) == ([("sync", "The stand-ins did not start.")], [])
