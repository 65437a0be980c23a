"""The schedule, by its own clock made short: one run at a time, and nothing is left out in silence."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from boxoffice.schedule import Schedule
from boxoffice.settings import ROOT
from tests.python.boxoffice.conftest import process_environment

SHORT = timedelta(seconds=0.05)


def kept(
    every: timedelta,
    until: Callable[[Schedule], bool],
    program: str = "",
    first: datetime | None = None,
) -> tuple[Schedule, list[str]]:
    """A schedule that ran `python -c program` until something was said that made `until` true."""
    said: list[str] = []
    main = threading.main_thread().ident
    assert main is not None

    def say(sentence: str) -> None:
        said.append(sentence)
        if until(schedule):
            signal.pthread_kill(main, signal.SIGTERM)

    schedule = Schedule(every, say, command=[sys.executable, "-c", program])
    schedule.keep(first)
    return schedule, said


def test_runs_follow_each_other_and_their_codes_are_told() -> None:
    schedule, said = kept(SHORT, lambda schedule: len(schedule.ran) >= 2, "raise SystemExit(1)")
    assert schedule.ran[:2] == [1, 1]
    # A machine at work takes longer for a run than until the next is due: that is told too.
    ended = [sentence for sentence in said if not sentence.startswith("A run was due and left out")]
    assert len(ended) == 2
    assert all(sentence.startswith("The run ended with code 1 after ") for sentence in ended)


def test_a_run_that_is_due_while_another_is_at_work_is_left_out_and_told() -> None:
    program = "import signal; signal.pause()"
    schedule, said = kept(SHORT, lambda schedule: schedule.left_out >= 2, program)
    assert "A run was due and left out: the one before is still at work." in said
    assert schedule.ran in ([], [-signal.SIGTERM])  # one began, and it was told to end


def test_of_runs_that_were_missed_each_is_told_and_the_last_made_good() -> None:
    hour = timedelta(hours=1)
    first = datetime.now(UTC) - 3.5 * hour
    schedule, said = kept(hour, lambda schedule: bool(schedule.ran), first=first)
    assert schedule.ran == [0]
    assert (schedule.missed, len(said)) == (3, 4)
    assert f"The run of {first:%Y-%m-%d %H:%M} UTC was missed: this machine slept." in said


def test_a_polite_kill_ends_the_run_at_work_too(tmp_path: Path) -> None:
    (tmp_path / "sheets").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "boxoffice", "schedule"],
        cwd=ROOT,
        env=process_environment(tmp_path, {"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "every 60 minutes" in process.stdout.readline()
    assert process.stdout.readline(), "the run's first step"
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Stopped: " in said
