"""What a person sees: progress, a line a step, the summary. With --json: one document and nothing else."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from boxoffice.errors import BoxofficeError

MOST_PROBLEMS = 10


class Terminal:
    """Progress bars where somebody watches; else a line when a step ends. NO_COLOR is honoured by rich."""

    def __init__(self, *, as_json: bool) -> None:
        from rich.console import Console

        self.as_json = as_json
        self.console = Console(quiet=as_json, highlight=False)
        self.errors = Console(stderr=True, highlight=False)
        self.progress: Any = None
        self.task: Any = None

    def say(self, text: str = "", style: str | None = None) -> None:
        """One paragraph. A pipe gets it as one line, whatever its length."""
        self.console.print(text, style=style, markup=False, soft_wrap=not self.console.is_terminal)

    def item(self, text: str) -> None:
        """One of several paragraphs. Its lines hang together where they wrap."""
        if not self.console.is_terminal:
            self.say(f"- {text}")
            return
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        grid.add_row("-", Text(text))
        self.console.print(grid)

    def begin(self, step: str) -> None:
        if not self.console.is_terminal or self.as_json:
            return
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        # Of one width, so that the bar stands still; all of it fits into 80 columns.
        words = Column(width=36, no_wrap=True, overflow="ellipsis")
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=words),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self.task = self.progress.add_task(step, total=None, count="")
        self.progress.start()

    def advance(self, step: str, what: str, done: int, total: int | None) -> None:
        if self.progress is not None:
            count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
            self.progress.update(
                self.task, description=f"{step}: {what}", completed=done, total=total, count=count
            )

    def end(self, line: str) -> None:
        if not self._stop_progress() and not self.console.is_terminal:
            self.say(line)

    def _stop_progress(self) -> bool:
        if self.progress is None:
            return False
        self.progress.stop()
        self.progress = None
        return True

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> None:
        """The first columns hold `words`, the others numbers. Columns without any cell are left out."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place in kept:
            table.add_column(heads[place], justify="left" if place < words else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(row[place]) for place in kept))
        self.console.print(table)

    def finding(self, system: str, state: str, what: str, remedy: str = "") -> None:
        """One thing that `doctor` looked at; what to do stands under what is wrong."""
        from rich.table import Table
        from rich.text import Text

        colour = {"ok": "green", "off": "dim", "look": "yellow", "wrong": "bold red"}[state]
        if not self.console.is_terminal:
            self.say(" ".join(part for part in (f"{system}: {state}:", what, remedy) if part))
            return
        row = Table.grid(padding=(0, 2))
        row.add_column(width=10)
        row.add_column(width=5)
        row.add_column(overflow="fold")
        row.add_row(Text(system), Text(state, style=colour), Text(what))
        if remedy:
            row.add_row("", "", Text(remedy, style="italic"))
        self.console.print(row)

    def problems(self, problems: Sequence[tuple[str, BoxofficeError]]) -> None:
        if not problems:
            return
        self.say("What needs a look:", style="bold yellow")
        for step, error in problems[:MOST_PROBLEMS]:
            self.item(f"{step}: {error}")
        if len(problems) > MOST_PROBLEMS:
            self.item(f"and {len(problems) - MOST_PROBLEMS} more, which --json lists")

    def document(self, document: dict[str, Any]) -> None:
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")

    def error(self, text: str) -> None:
        self._stop_progress()
        self.errors.print(text, style="bold red", markup=False, soft_wrap=not self.errors.is_terminal)
