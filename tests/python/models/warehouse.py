"""dbt on a throwaway warehouse, in this process: parsed once, built as often as a test likes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner, dbtRunnerResult

from boxoffice.build import close_connections
from tests.python.models.bronze import Bronze, Row

ROOT = Path(__file__).resolve().parents[3]
AS_OF = "2026-03-01T12:00:00"
# dbt names a DuckDB database by its file, and the parsed project remembers that name.
FILE = "boxoffice.duckdb"
QUIET = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


@dataclass
class Dbt:
    """The project as dbt sees it, one parse per target. `folder` takes target/ and logs/."""

    folder: Path
    manifests: dict[str, Any] = field(default_factory=dict)

    def invoke(
        self,
        *arguments: str,
        target: str = "duckdb",
        environment: Mapping[str, str],
        as_of: str = AS_OF,
        sheets_timezone: str = "",
    ) -> dbtRunnerResult:
        with _environment({**QUIET, **environment}):
            # A build writes compiled SQL into its manifest, so each gets one of its own.
            runner = dbtRunner(manifest=self.manifest(target).deepcopy())
            said = f'{{"as_of": "{as_of}", "sheets_timezone": "{sheets_timezone}"}}'
            try:
                return runner.invoke([*arguments, *self._shared(target), "--vars", said])
            finally:
                close_connections()

    def manifest(self, target: str = "duckdb") -> Any:
        """The project as parsed: every model, test and column. Not to be changed: a copy is."""
        if target not in self.manifests:
            with _environment(QUIET):
                parsed = dbtRunner().invoke(["parse", *self._shared(target)])
            if not parsed.success:
                raise AssertionError(f"dbt cannot read the project: {parsed.exception}")
            parsed.result.disabled.clear()  # dbt cannot copy what is disabled
            self.manifests[target] = parsed.result
        return self.manifests[target]

    def _shared(self, target: str) -> list[str]:
        return [
            "--target-path", str(self.folder / target),
            "--log-path", str(self.folder / "logs"),
            "--log-level", "none",
            "--log-level-file", "none",
            "--no-use-colors",
            "--project-dir", str(ROOT),
            "--profiles-dir", str(ROOT),
            "--target", target,
        ]  # fmt: skip


@dataclass
class Warehouse:
    """A DuckDB file with a world in bronze."""

    path: Path
    dbt: Dbt

    def build(self, *arguments: str, **options: Any) -> list[Any]:
        """Run `dbt build` with `arguments`; the nodes' results. Fails on anything but success."""
        results = self.try_build(*arguments, **options)
        if trouble := troubles(results):
            raise AssertionError("\n".join(trouble))
        return results

    def try_build(self, *arguments: str, command: str = "build", **options: Any) -> list[Any]:
        outcome = self.dbt.invoke(
            command, *arguments, environment={"BOXOFFICE_WAREHOUSE": str(self.path)}, **options
        )
        if outcome.exception is not None or outcome.result is None:
            raise AssertionError(f"dbt {command} did not run: {outcome.exception}")
        return list(outcome.result.results)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """What a query gives, or a whole table when it is only a name."""
        if " " not in query:
            query = f"select * from {query}"
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query, list(parameters)).to_arrow_table().to_pylist()


def troubles(results: Sequence[Any]) -> list[str]:
    """What failed, one line a node, with the engine's words."""
    return [
        f"{result.node.unique_id} {result.status}: {result.message}"
        for result in results
        if str(result.status) not in ("success", "pass", "warn", "no-op")
        and not (str(result.status) == "skipped" and result.node.resource_type == "unit_test")
    ]


def new_warehouse(folder: Path, dbt: Dbt, world: Bronze) -> Warehouse:
    folder.mkdir(parents=True, exist_ok=True)
    world.write(folder / FILE)
    return Warehouse(folder / FILE, dbt)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    held = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in held.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
