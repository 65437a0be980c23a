"""One writer at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boxoffice import lock
from boxoffice.errors import LockedError
from boxoffice.settings import ROOT

HOLD = """
import sys
from pathlib import Path
from boxoffice import lock
with lock.held(Path(sys.argv[1]), sys.argv[2], wait_seconds=0):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path, command: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_refusal_names_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "ops.lock"
    with hold(path, "ingest") as process:
        with pytest.raises(LockedError) as refusal, lock.held(path, "run", wait_seconds=0):
            pass
        process.communicate("")
    assert "`ingest`" in refusal.value.problem
    assert f"process {process.pid}" in refusal.value.problem


def test_a_run_does_not_wait_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / "ops.lock"
    waited: list[lock.Holder | None] = []
    with hold(path, "run") as process:
        # An hour: the test would not end if it waited.
        with pytest.raises(LockedError), lock.held(path, "run", wait_seconds=3600, on_wait=waited.append):
            pass
        process.communicate("")
    assert waited == []


def test_a_run_waits_for_another_command(tmp_path: Path) -> None:
    path = tmp_path / "ops.lock"
    with hold(path, "listen") as process:

        def let_go(other: lock.Holder | None) -> None:
            assert other is not None
            assert other.command == "listen"
            process.communicate("")

        with lock.held(path, "run", wait_seconds=60, on_wait=let_go):
            holder = lock.holder(path)
    assert holder is not None
    assert (holder.command, holder.pid) == ("run", os.getpid())


def test_the_kernel_releases_the_lock_of_a_killed_holder(tmp_path: Path) -> None:
    path = tmp_path / "ops.lock"
    with hold(path, "run") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with lock.held(path, "run", wait_seconds=0):
        pass
    assert lock.holder(path) is None
