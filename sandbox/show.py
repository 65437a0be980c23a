"""What stands in the stand-ins, for people to look at."""

import json
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from sandbox.bases import NUMBERS, Base, Table, iso, text, value
from sandbox.store import Json

WIDEST = 28  # letters of a cell
PIPED = 160  # letters of a line, where nobody says


def as_json(bases: Iterable[Base]) -> str:
    """Every record with its cells by field name, empty ones left out."""
    found: list[Json] = []
    for base in bases:
        tables = {
            table.name: [
                {
                    "id": record.id,
                    "createdTime": iso(record.created),
                    "fields": {
                        item["name"]: cell
                        for item in table.fields
                        if (cell := value(base, table, record, item)) is not None
                    },
                }
                for record in table.records.values()
            ]
            for table in base.tables
        }
        found.append({"id": base.id, "name": base.name, "tables": tables})
    return json.dumps(found, indent=2, ensure_ascii=False)


def show(bases: Iterable[Base], rows: int, only: str | None = None) -> None:
    """Tables with their first `rows` records and the fields that fit. `only`: a table by name or id."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED)
    for base in bases:
        console.print(f"{base.name} ({base.id})", markup=False, highlight=False)
        for table in base.tables:
            if only in (None, table.id, table.name):
                console.print(grid(base, table, rows, console.width))


def grid(base: Base, table: Table, rows: int, width: int) -> Grid:
    shown = list(table.records.values())[:rows]
    count = f"{len(table.records):,} record" + ("" if len(table.records) == 1 else "s")
    found = Grid(title=Text(f"{table.name} · {count}"), title_justify="left", caption_justify="left")
    columns: list[list[str]] = []
    left_out: list[str] = []
    for item in table.fields:
        cells = [shortened(text(base, table, record, item)) for record in shown]
        name = shortened(item["name"])
        needed = max(map(cell_len, [name, *cells])) + 3
        if left_out or (columns and needed > width - 1) or (shown and not any(cells)):
            left_out.append(item["name"])
            continue
        width -= needed
        columns.append(cells)
        is_right = item["type"] in NUMBERS
        found.add_column(Text(name), justify="right" if is_right else "left", no_wrap=True)
    for row in zip(*columns, strict=True):
        found.add_row(*map(Text, row))
    more = []
    if len(shown) < len(table.records):
        more.append(f"{len(table.records) - len(shown):,} more records.")
    if left_out:
        more.append(f"Without {', '.join(left_out)}.")
    found.caption = Text(" ".join(more)) if more else None
    return found


def shortened(cell: str) -> str:
    cell = " ".join(cell.split())
    while cell_len(cell) > WIDEST:
        cell = cell[: min(len(cell) - 2, WIDEST)] + "…"
    return cell
