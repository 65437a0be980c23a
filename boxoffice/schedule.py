"""`run` every SCHEDULE_MINUTES, each a process of its own: never two at once, and none missed unsaid."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from boxoffice.settings import ROOT

RUN = (sys.executable, "-m", "boxoffice", "run")
ENDS_WITHIN = 60.0  # seconds for a run that is told to end
# Of the interval: those who start at the same minute do not all ask at the same moment, every time.
JITTER = 0.05


class Schedule:
    """A schedule, from `keep` to Ctrl-C or a polite kill.

    Args:
        say: told each thing that a person should know, in a sentence.
        is_silent: what a run prints is dropped.

    Attributes:
        ran: the exit codes. left_out: runs that were due while another was at work. missed: those that were
            due while the machine slept.
    """

    def __init__(
        self,
        every: timedelta,
        say: Callable[[str], None],
        *,
        command: Sequence[str] = RUN,
        is_silent: bool = False,
    ) -> None:
        self._every, self._say, self._command, self._is_silent = every, say, tuple(command), is_silent
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.ran: list[int] = []
        self.left_out = self.missed = 0
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_listener(self._on_left_out, EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_listener(self._on_missed, EVENT_JOB_MISSED)

    def keep(self, first: datetime | None = None) -> None:
        """Run now (or at `first`) and from then on, until it is interrupted. A run at work is ended then."""
        seconds = self._every.total_seconds()
        self._job = self._scheduler.add_job(
            self._run,
            IntervalTrigger(seconds=seconds, jitter=seconds * JITTER, timezone=UTC),
            next_run_time=first or datetime.now(UTC),
            max_instances=1,
            # Of several that were due while the machine slept only the last is made good; each is told.
            coalesce=False,
            misfire_grace_time=max(1, int(seconds)),
        )
        # No exception: the scheduler would take one that meets it in a listener.
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: self._ending.set()) for number in numbers]
        try:
            self._scheduler.start()
            self._ending.wait()
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            self._end()

    def _end(self) -> None:
        """Start no more, and tell the run at work to end: what it has landed is kept."""
        self._ending.set()
        with self._lock:
            process = self._process
        self._scheduler.shutdown(wait=False)
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self) -> None:
        started = time.monotonic()
        with self._lock:
            if self._ending.is_set():
                return
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=subprocess.DEVNULL if self._is_silent else None
            )
        code = self._process.wait()
        self.ran.append(code)
        if not self._ending.is_set():
            after = self._job.next_run_time
            then = f"; the next starts at {after:%H:%M} UTC" if after else ""
            self._say(f"The run ended with code {code} after {time.monotonic() - started:.0f} s{then}.")

    def _on_left_out(self, event: JobEvent) -> None:
        self.left_out += 1
        self._say("A run was due and left out: the one before is still at work.")

    def _on_missed(self, event: Any) -> None:
        self.missed += 1
        self._say(f"The run of {event.scheduled_run_time:%Y-%m-%d %H:%M} UTC was missed: this machine slept.")
