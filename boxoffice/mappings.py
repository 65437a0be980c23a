"""The crosswalks in MAPPINGS_DIR that every build reads: each there, with the header it has in the project.

What only a source reads, that source looks at: its lines can be wrong one by one.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from boxoffice.errors import ConfigurationError
from boxoffice.settings import ROOT, Settings

DEFAULTS = ROOT / "seeds" / "mappings"
NEEDED = ("event_links.csv",)


def check(settings: Settings) -> None:
    """Read them all once, before any work.

    Raises:
        ConfigurationError: one is missing or cannot be used; the message names file and line.
    """
    for problem in problems(settings):
        raise problem


def problems(settings: Settings) -> Iterator[ConfigurationError]:
    """What is wrong with each of them: the first thing in a file."""
    for name in NEEDED:
        with (DEFAULTS / name).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        try:
            _read(settings.mappings_dir / name, header)
        except ConfigurationError as error:
            yield error


def _read(path: Path, header: list[str]) -> None:
    shape = f"Its first line must hold {','.join(header)}, each other line as many cells, with commas."
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            found = next(lines, [])
            if not set(header) <= set(found) or len(set(found)) < len(found):
                raise ConfigurationError(f"{path} does not begin with its header.", shape)
            for cells in lines:
                if cells and len(cells) != len(found):
                    raise ConfigurationError(
                        f"{path}, line {lines.line_num}, has {len(cells)} cells, not {len(found)}.", shape
                    )
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.",
            f"Put a file there that holds {','.join(header)}, or let MAPPINGS_DIR name another folder.",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} is not a CSV file in UTF-8: {error}.", shape) from error
