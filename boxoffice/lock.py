"""One writer at a time: an OS file lock that the kernel releases when its holder dies."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from boxoffice.errors import LockedError


@dataclass(frozen=True)
class Holder:
    """Who holds the lock, as the lock file's text names it."""

    pid: int
    command: str
    started: str

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {self.started})"


@contextmanager
def held(
    path: Path, command: str, *, wait_seconds: float, on_wait: Callable[[Holder | None], None] | None = None
) -> Iterator[None]:
    """Hold the lock at `path` for `command`. A `run` never waits for another `run`; all else is waited for.

    Raises:
        LockedError: another command still holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptors: list[int] = []

    def sign(descriptor: int) -> None:
        descriptors.append(descriptor)
        _write(descriptor, _text(command))

    lock = FileLock(path, on_acquired=sign)

    def is_pointless() -> bool:
        other = holder(path)
        return command == "run" and other is not None and other.command == "run"

    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait and not is_pointless():
            on_wait(holder(path))
        try:
            lock.acquire(timeout=wait_seconds, poll_interval=0.1, cancel_check=is_pointless)
        except Timeout as error:
            raise LockedError(
                f"Another command is at work: {holder(path) or 'unnamed'}.",
                "Wait until it has ended, then run again.",
            ) from error
    try:
        yield
    finally:
        # An empty text: whoever comes next is not misled by a name that has left.
        _write(descriptors[-1], "")
        lock.release()


def holder(path: Path) -> Holder | None:
    """Who signed the lock file last; None when nobody holds it, or has not signed yet."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _text(command: str) -> str:
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"pid": os.getpid(), "command": command, "started": started})


def _write(descriptor: int, text: str) -> None:
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
