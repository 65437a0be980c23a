"""What a run hands to the destinations: the models its build left sound, and nothing else."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import reverse_etl.__main__ as reverse_etl
from boxoffice.__main__ import write_back
from boxoffice.build import BuildResult, SyncModel
from boxoffice.errors import BoxofficeError, CallError
from boxoffice.settings import Settings

MODEL = SyncModel("sync_airtable__venues", "airtable", "venues", "sync", "venues", "", {}, {})


@dataclass
class Run:
    """A session as far as it is needed, and what `sync` was called with."""

    settings: Settings
    problems: list[tuple[str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    takes_calls: bool = True

    def problem(self, step: str, error: BoxofficeError) -> None:
        self.problems.append((step, error.problem))


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run(replace(settings, airtable_token="token"))

    def sync(session: Run, models: list[SyncModel], **options: Any) -> bool:
        assert session is run
        run.calls.append({"models": models, **options})
        return True

    def sync_civicrm(session: Run, models: list[SyncModel], **options: Any) -> bool:
        assert session is run
        run.calls.append({"civicrm": models, **options})
        return run.takes_calls

    monkeypatch.setattr(reverse_etl, "sync", sync)
    monkeypatch.setattr(reverse_etl, "sync_civicrm", sync_civicrm)
    return run


@pytest.mark.parametrize("is_sandbox", [False, True])
def test_a_build_is_handed_on_and_the_sandbox_makes_its_base_ready(run: Run, is_sandbox: bool) -> None:
    reached = replace(run.settings, is_sandbox=is_sandbox)
    built = BuildResult(synced=[MODEL], unsound_sync=["sync_airtable__events"])
    assert write_back(run, built, lambda: reached)
    assert run.calls == [
        {
            "models": [MODEL],
            "settings": reached,
            "unsound": ["sync_airtable__events"],
            "bootstrap": is_sandbox,
            "schema": None,
            "again": True,
        },
        {"civicrm": [MODEL], "settings": reached, "unsound": ["sync_airtable__events"]},
    ]
    assert run.problems == []


def test_a_destination_that_is_away_is_told_of(run: Run) -> None:
    run.takes_calls = False
    assert not write_back(run, BuildResult(synced=[MODEL]), lambda: run.settings)
    assert len(run.calls) == 2


def test_only_a_call_that_failed_is_a_reason_to_ask_again_soon() -> None:
    refused = BoxofficeError("An order cannot be written.")
    assert reverse_etl._is_through([refused])
    assert not reverse_etl._is_through([refused, CallError("The site is down.")])


def test_stand_ins_that_do_not_start_are_named(run: Run) -> None:
    def ready() -> Settings:
        raise BoxofficeError("The stand-ins did not start.")

    assert not write_back(run, BuildResult(synced=[MODEL]), ready)
    assert (run.problems, run.calls) == ([("sync", "The stand-ins did not start.")], [])
