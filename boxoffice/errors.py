"""The errors a person can mend. Anything else is a bug and may show its traceback."""

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


class BoxofficeError(Exception):
    """Trouble with a known remedy: what is wrong, and what to do about it, each a plain sentence."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(BoxofficeError):
    """Nothing was done: a setting is missing or wrong. Ends a command with exit code 2."""


class LockedError(BoxofficeError):
    """Nothing was done: another run holds the lock. Ends a command with exit code 2."""


# Characters that are kept of what came back from a call.
LONGEST_TEXT = 64 << 10


@dataclass(frozen=True)
class FailedCall:
    """A call to somebody's API that failed for good, without credentials: data for whoever looks into it.

    request: method, path and query. response: LONGEST_TEXT of status, headers that matter and body; None when
    none came.
    """

    failed_at: datetime
    rule_id: str
    request: str
    response: str | None
    stack: str


class CallError(BoxofficeError):
    """Trouble that came of a call, which `call` keeps once the caller has given up."""

    call: FailedCall | None = None


class LeftOff(Exception):
    """A build that was not brought to its end, as whoever asked for it has more urgent work. What it built
    stays, and the next build goes on from there, as after a kill."""


_HELD = re.compile(
    r'lock on file "(?P<file>[^"]+)"(?:: Conflicting lock is held in (?P<holder>.*?) \(PID (?P<pid>\d+))?'
)
_FILE = re.compile(r'(?:[Ff]ile|directory:?|path) ["\'](?P<file>/[^"\']+)["\']')
_FULL = re.compile(r"No space left on device|disk is full|quota exceeded|File too large", re.IGNORECASE)
_READ_ONLY = re.compile(r"Read-only file system|readonly database|read-only mode", re.IGNORECASE)
_FORBIDDEN = re.compile(r"Permission denied|Operation not permitted|unable to open database file")
_NOT_DUCKDB = re.compile(r"not a valid DuckDB database file|Corrupt")
_OTHER_VERSION = re.compile(r"database file with version number|storage version", re.IGNORECASE)
_MEMORY = re.compile(r"Out of Memory Error|failed to allocate|could not allocate", re.IGNORECASE)

_ERRNO_TEXT = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "quota exceeded",
    errno.EFBIG: "File too large",
    errno.EROFS: "Read-only file system",
    errno.EACCES: "Permission denied",
    errno.EPERM: "Operation not permitted",
}


def explained(error: BaseException, file: Path | str = "") -> BoxofficeError | None:
    """The plain sentence for trouble with the machine (locks, disks, rights, memory), looked for along the
    chain of causes; None when the error is none of these, so probably a bug.

    Args:
        file: what the work was on, for messages that name no file.
    """
    for link in _chain(error):
        if isinstance(link, BoxofficeError):
            return link
        if isinstance(link, MemoryError):
            return explained_text("Out of Memory Error")
        text = str(link)
        if isinstance(link, OSError) and link.errno in _ERRNO_TEXT:
            text = f'{_ERRNO_TEXT[link.errno]} file "{link.filename or ""}"'
        known = explained_text(text, file)
        if known is not None:
            return known
    return None


def explained_text(text: str, file: Path | str = "") -> BoxofficeError | None:
    """As `explained`, for an engine's message."""
    if held := _HELD.search(text):
        who = f": {held['holder']}, process {held['pid']}" if held["pid"] else ""
        return BoxofficeError(
            f"{held['file']} is open in another program{who}.",
            "Close it (a BI tool, a DuckDB shell), or let it read the marts file, which is never locked.",
        )
    found = _FILE.search(text)
    file = found["file"] if found else str(file)
    if _FULL.search(text):
        return BoxofficeError(
            f"The disk is full{_at(file)}.", "Free some space and run again: what has landed is kept."
        )
    if _READ_ONLY.search(text):
        return BoxofficeError(
            f"{file or 'The disk'} cannot be written: it, its folder or its disk is read-only.",
            "Point DATABASE_URL and MARTS_PATH at a place that can be written.",
        )
    if _FORBIDDEN.search(text):
        return BoxofficeError(
            f"Permission is missing{_at(file)}.",
            "Give the user who runs boxoffice the right to read and write there.",
        )
    if _NOT_DUCKDB.search(text):
        return BoxofficeError(
            f"{file or 'The warehouse'} is not a DuckDB file that can be read.",
            "Move it away, and the next run builds a new one from the sources; or change DATABASE_URL.",
        )
    if _OTHER_VERSION.search(text):
        return BoxofficeError(
            f"{file or 'The warehouse'} was written by a DuckDB version that this one cannot read.",
            "Move it away: the next run builds a new one from the sources.",
        )
    if _MEMORY.search(text):
        return BoxofficeError(
            "There is not enough memory for this step.", "Close other programs, or use a larger machine."
        )
    return None


def _at(file: str) -> str:
    return f" at {file}" if file else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, innermost last, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        # dlt keeps the destination's own error in an attribute.
        waiting += [link.__cause__, link.__context__, getattr(link, "exception", None)]
