"""A Postgres for as long as a test session, and bronze copied into it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.python.models.bronze import LINKS, TABLES, Row, create_statements, read
from tests.python.models.warehouse import Dbt, troubles


@dataclass
class Postgres:
    """A server that listens on a socket in `folder` only; one database a test."""

    folder: Path
    dbt: Dbt

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Row]]:
        with psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", row_factory=dict_row
        ) as connection:
            connection.execute("set timezone to 'UTC'")
            yield connection

    def load(self, tables: dict[str, list[Row]], links: Sequence[tuple[str, str]] = ()) -> None:
        """Bronze anew, the rows of event_links if there are any, and nothing else."""
        with self.connect() as connection:
            for schema in {*(name.split(".")[0] for name in TABLES), "silver", "gold", "sync", "reference"}:
                connection.execute(f"drop schema if exists {schema} cascade")
            for statement in create_statements():
                connection.execute(statement)
            if links:
                for statement in LINKS:
                    connection.execute(statement)
                with connection.cursor() as cursor:
                    cursor.executemany("insert into reference.event_links values (%s, %s)", links)
        self.reload(tables)

    def reload(self, tables: dict[str, list[Row]]) -> None:
        """Other rows in bronze; what was built stays."""
        with self.connect() as connection:
            for name, columns in TABLES.items():
                connection.execute(f"truncate {name}")
                with connection.cursor().copy(f"copy {name} ({', '.join(columns)}) from stdin") as copy:
                    for row in tables.get(name, ()):
                        copy.write_row([row.get(column) for column in columns])

    def load_from(self, warehouse: Path) -> None:
        self.load(read(warehouse))

    def build(self, *arguments: str, **options: Any) -> list[Any]:
        """`dbt build --target postgres`; the nodes' results. Fails on anything but success."""
        outcome = self.dbt.invoke(
            "build",
            *arguments,
            target="postgres",
            environment={
                "POSTGRES_HOST": str(self.folder),
                "POSTGRES_USER": "postgres",
                "POSTGRES_DATABASE": "postgres",
            },
            **options,
        )
        if outcome.exception is not None or outcome.result is None:
            raise AssertionError(f"dbt build did not run: {outcome.exception}")
        if trouble := troubles(outcome.result.results):
            raise AssertionError("\n".join(trouble))
        return list(outcome.result.results)

    def rows(self, query: str) -> list[Row]:
        if " " not in query:
            query = f"select * from {query}"
        with self.connect() as connection:
            return connection.execute(query).fetchall()
