"""Cost of a command as a whole process, told by the operating system."""

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU (user and system, waited-for children included) and of wall; peak memory in MB."""

    cpu: float
    wall: float
    memory: float


def cost_of(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it ended with another code than 0; the message holds the end of what it printed.
    """
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    # Linux counts the peak in KiB, macOS in bytes.
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - started, peak)


def median_of(runs: int, once: Callable[[], Cost]) -> Cost:
    """The median of each figure over some runs."""
    costs = [once() for _ in range(runs)]
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.memory for cost in costs),
    )


def apart(work: Callable[..., None], *arguments: Any) -> None:
    """Do memory-hungry work in a process of its own: a command's peak begins at that of who starts it."""
    process = multiprocessing.get_context("spawn").Process(target=_silent, args=(work, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}; the lines above say why.")


def _silent(work: Callable[..., None], *arguments: Any) -> None:
    # DuckDB takes a spawned process for a person's prompt, and draws its progress.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    work(*arguments)
