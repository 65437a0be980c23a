"""What `doctor` finds: how one thing is set up, and what to do where it is not well."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxoffice import mappings
from boxoffice.errors import BoxofficeError, explained
from boxoffice.settings import Settings

# Below this a run is likely to stop half way.
LEAST_FREE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    state: ok; off (not set up, so skipped); look (works, and may surprise); wrong (a run will fail there).
    """

    system: str
    state: str
    what: str
    remedy: str = ""


def wrong(system: str, error: BoxofficeError) -> Finding:
    return Finding(system, "wrong", error.problem, error.remedy)


def of_machine(settings: Settings) -> Iterator[Finding]:
    """The warehouse, the disk it is on, and the marts file. Makes nothing and changes nothing."""
    import duckdb

    path = settings.warehouse_path
    if not path.exists():
        yield Finding("warehouse", "ok", f"{path} does not exist yet: the first run makes it.")
    else:
        try:
            duckdb.connect(str(path), read_only=True).close()
            yield Finding("warehouse", "ok", f"{path} opens, {path.stat().st_size / 1e6:,.0f} MB.")
        except (duckdb.Error, OSError) as error:
            known = explained(error, path) or BoxofficeError(
                f"{path} cannot be opened: {str(error).splitlines()[0]}.",
                "Let DATABASE_URL name a DuckDB file, existing or new.",
            )
            yield wrong("warehouse", known)
    for name, file in (("DATABASE_URL", path), ("MARTS_PATH", settings.marts_path)):
        yield from _of_folder(name, file)


def _of_folder(name: str, file: Path) -> Iterator[Finding]:
    """Whether a file can be made there: the nearest folder that exists decides."""
    folder = next(parent for parent in file.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        problem = f"{file} cannot be written: {folder} does not allow it."
        yield Finding("disk", "wrong", problem, f"Let {name} name a place that can be written.")
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        yield Finding("disk", "look", f"{folder} has {free / 1e6:,.0f} MB left.", "Free some space.")


def of_mappings(settings: Settings) -> Iterator[Finding]:
    """The crosswalks in MAPPINGS_DIR."""
    found = [wrong("mappings", problem) for problem in mappings.problems(settings)]
    yield from found or [Finding("mappings", "ok", f"{settings.mappings_dir} can be read.")]
