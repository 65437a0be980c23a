"""Who is one venue or one person, and that a key once given stays: whatever comes, goes, merges, splits."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from boxoffice import identities, ops
from tests.python.models.oracle import Member, person_groups, venue_groups
from tests.python.models.warehouse import FILE, Dbt

MODELS = ("known_venues", "venue_links", "venues", "known_people", "person_links", "people")
STAGED = {
    "stg_eventbrite__venues": "venue_id, venue_name, city, region, country, capacity",
    "stg_airtable__venues": "venue_id, venue_name, city, region, country, capacity",
    "stg_sheets__venues": "venue_id, venue_name, city, region, country, capacity, file, record",
    "stg_eventbrite__orders": "order_id, buyer_name, buyer_email, build_number",
    "stg_eventbrite__attendees": "ticket_id, attendee_name, attendee_email, build_number",
    "stg_sheets__customers": "customer_id, customer_name, email, file, record",
    "int_sheets__left_out": "sheet, file, record",
}
INCREMENTAL = {"person_links": ("source", "person_id")}
BUILT_UNTIL = 987654321  # stands in compiled SQL where the last build's number belongs
AS_BUILT = "columns(name -> name <> 'build_number')"
START = datetime(2026, 3, 1, tzinfo=UTC)
Venues = dict[Member, tuple[str | None, str | None]]  # name and city
People = dict[Member, str | None]  # e-mail

ids = st.sampled_from(["1", "2", "10", "x~%"])
venues = st.dictionaries(
    st.tuples(st.sampled_from(["airtable", "eventbrite", "sheets"]), ids),
    st.tuples(
        st.sampled_from(["The Hall", "the  hall!", "THE-HALL", "Park", None, "..."]),
        st.sampled_from([None, "", "Ghent", " ghent ", "Bruges"]),
    ),
    max_size=7,
)
people = st.dictionaries(
    st.sampled_from(
        [
            *(("eventbrite", f"{kind}-{number}") for kind in ("order", "attendee") for number in range(3)),
            *(("sheets", id) for id in ("1", "2", "eventbrite-order-1", "ann@example.org")),
        ]
    ),
    st.sampled_from(["ann@example.org", " ANN@example.org", "bo@example.org", None, "", "n/a", "@", "a b@c"]),
    max_size=8,
)
mishaps = st.sampled_from(["", "", "", "warehouse deleted", "killed before keeping", "yesterday put back"])


class Project:
    """The models of identity as SQL, whole and incremental; a warehouse and an ops file to run them on."""

    def __init__(self, sql: dict[str, str], incremental: dict[str, str], folder: Path) -> None:
        self.sql = sql
        self.incremental = incremental
        self.warehouse = folder / FILE
        self.store_path = folder / "ops.sqlite"
        self.yesterday = self.warehouse.with_suffix(".yesterday")
        self.day = START

    def run(self, venues: Venues, people: People, mishap: str = "") -> tuple[dict[Member, str], ...]:
        """One run on what the sources list now: (source, id) to key, of venues and of people."""
        self.day += timedelta(days=1)
        if mishap == "warehouse deleted":
            self.warehouse.unlink(missing_ok=True)
        if mishap == "yesterday put back" and self.yesterday.exists():
            shutil.copy(self.yesterday, self.warehouse)
        elif self.warehouse.exists():
            shutil.copy(self.warehouse, self.yesterday)
        with ops.opened(self.store_path) as store:
            identities.lend(store, self.warehouse, self.day)
            links = self.build(venues, people)
            if mishap != "killed before keeping":
                identities.keep(store, self.warehouse, self.day)
        return links

    def _stage(
        self, connection: duckdb.DuckDBPyConnection, table: str, columns: str, rows: list[tuple]
    ) -> bool:
        """Renew a staging table; what stays as it was keeps its build. True if one of Eventbrite is gone."""
        names = [name.strip() for name in columns.split(",")]
        typed = ", ".join(
            f"{name} {'bigint' if name in ('capacity', 'record', 'build_number') else 'varchar'}"
            for name in names
        )
        connection.execute(f"create table if not exists silver.{table} ({typed})")
        held = {row[0]: row for row in connection.execute(f"select * from silver.{table}").fetchall()}
        (number,) = connection.execute("select build_number from ops.builds").fetchall()[0]
        if names[-1] == "build_number":
            rows = [held[row[0]] if held.get(row[0], ())[:-1] == row else (*row, number) for row in rows]
        connection.execute(f"delete from silver.{table}")
        if rows:
            connection.executemany(f"insert into silver.{table} values ({', '.join('?' * len(names))})", rows)
        return "eventbrite" in table and bool(set(held) - {row[0] for row in rows})

    def _renew(self, connection: duckdb.DuckDBPyConnection, model: str) -> list[tuple] | None:
        """What an incremental build would make of a table; None where there is none yet."""
        query = "select 1 from duckdb_tables() where schema_name = 'silver' and table_name = ?"
        if not connection.execute(query, [model]).fetchall():
            return None
        keys = ", ".join(INCREMENTAL[model])
        built = connection.execute(
            "select coalesce(max(build_number), 0) from ops.built where model = ?", [model]
        ).fetchall()[0][0]
        query = self.incremental[model].replace(str(BUILT_UNTIL), str(built))
        connection.execute(f"create or replace temp table fresh as {query}")
        connection.execute(f"create or replace temp table renewed as from silver.{model}")
        connection.execute(f"delete from renewed where ({keys}) in (select ({keys}) from fresh)")
        connection.execute("insert into renewed by name from fresh")
        connection.execute("delete from renewed where person_key is null")
        return connection.execute(f"select {AS_BUILT} from renewed order by all").fetchall()

    def build(self, venues: Venues, people: People) -> tuple[dict[Member, str], ...]:
        rows: dict[str, list[tuple]] = {table: [] for table in STAGED}
        for number, ((source, id), (name, city)) in enumerate(venues.items()):
            row = (id, name, city, None, None, number)
            rows[f"stg_{source}__venues"].append((*row, "venues.csv", number) if source == "sheets" else row)
        for number, ((source, id), email) in enumerate(people.items()):
            if source == "sheets":
                rows["stg_sheets__customers"].append((id, f"Name {id}", email, "customers.csv", number))
            else:
                kind, _, plain = id.partition("-")
                rows[f"stg_eventbrite__{kind}s"].append((plain, "Info Requested", email))
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("create schema if not exists silver")
            connection.execute("create table if not exists ops.builds as select 0 as build_number")
            connection.execute(
                "create table if not exists ops.built"
                " (model varchar, build_number bigint, code varchar, identities_until bigint)"
            )
            connection.execute("update ops.builds set build_number = build_number + 1")
            has_gone = False
            for table, columns in STAGED.items():
                has_gone |= self._stage(connection, table, columns, rows[table])
            for model in MODELS:
                renewed = None
                if model in INCREMENTAL and not has_gone:
                    renewed = self._renew(connection, model)
                connection.execute(f"create or replace table silver.{model} as {self.sql[model]}")
                if renewed is not None:
                    rows_of = f"select {AS_BUILT} from silver.{model} order by all"
                    assert renewed == connection.execute(rows_of).fetchall()
            connection.execute("delete from ops.built")
            connection.execute(
                "insert into ops.built select model, build_number, '',"
                " (select coalesce(max(identity_id), 0) from ops.identities)"
                " from ops.builds cross join (values ('venue_links'), ('person_links')) as models (model)"
            )
            found = []
            for kind in ("venue", "person"):
                links = connection.execute(
                    f"select source, {kind}_id, {kind}_key from silver.{kind}_links"
                ).fetchall()
                found.append({(source, id): key for source, id, key in links})
                assert len(found[-1]) == len(links)
            for kind, things in (("venue", "venues"), ("person", "people")):
                keys = [
                    row[0] for row in connection.execute(f"select {kind}_key from silver.{things}").fetchall()
                ]
                assert sorted(keys) == sorted({*found[kind == "person"].values()})
        return tuple(found)


@pytest.fixture(scope="module")
def project_in(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Project]:
    path = tmp_path_factory.mktemp("identities") / FILE

    def compiled(*models: str) -> dict[str, str]:
        outcome = dbt.invoke("compile", "--select", *models, environment={"BOXOFFICE_WAREHOUSE": str(path)})
        assert outcome.success, outcome.exception
        return {result.node.name: result.node.compiled_code for result in outcome.result.results}

    sql = compiled(*MODELS)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema silver; create schema ops")
        connection.execute("create table ops.built (model varchar, build_number bigint)")
        for model in INCREMENTAL:
            connection.execute(f"create table silver.{model} (held boolean)")
            connection.execute("insert into ops.built values (?, ?)", [model, BUILT_UNTIL])
    incremental = compiled(*INCREMENTAL)
    assert all(str(BUILT_UNTIL) in incremental[model] for model in INCREMENTAL)
    return lambda folder: Project(sql, incremental, folder)


# The rules once more, thought apart from the SQL.


class Memory:
    """What was given so far: the key each record was last linked to, and the day of each key."""

    def __init__(self) -> None:
        self.last: dict[Member, str] = {}
        self.day: dict[str, int] = {}

    def give(self, groups: Iterable[set[Member]]) -> dict[Member, str]:
        groups = list(groups)
        home = {member: place for place, group in enumerate(groups) for member in group}
        claims: dict[int, list[str]] = defaultdict(list)
        for key in set(self.last.values()):
            present = [member for member, held in self.last.items() if held == key and member in home]
            if present:
                claims[home[min(present)]].append(key)
        links = {}
        for place, group in enumerate(groups):
            if claims[place]:
                key = min(claims[place], key=lambda each: (self.day[each], each))
            else:
                key = "-".join(min(group))
                if "@" in key:  # only one of the ids has one
                    key = next((held for held in self.last.values() if held.startswith("hidden-")), "hidden")
                if key in self.last.values():
                    key = f"split from {key}"
            links.update(dict.fromkeys(group, key))
        return links

    def keep(self, links: dict[Member, str], today: int, lost: Iterable[Member] = ()) -> None:
        for member in lost:
            self.last.pop(member, None)
        self.last.update(links)
        held = set(self.last.values())
        self.day = {key: self.day.get(key, today) for key in held}


def same_keys(told: dict[Member, str], found: dict[Member, str]) -> None:
    """The words of a key that had to be made up are not looked at, but whose it is."""
    assert set(told) == set(found)
    for member, key in told.items():
        if key == "hidden":
            assert found[member].startswith("hidden-")
            assert "@" not in found[member]
        elif key.startswith("split from "):
            assert found[member].startswith("split-")
        else:
            assert found[member] == key
    shared = defaultdict(set)
    for member, key in told.items():
        shared[found[member]].add(key)
    assert len(set(found.values())) == len(set(told.values()))
    assert all(len(each) == 1 for each in shared.values())


@settings(
    max_examples=int(os.environ.get("BOXOFFICE_EXAMPLES", "15")),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # six runs shrink for many minutes
    suppress_health_check=list(HealthCheck),
)
@given(runs=st.lists(st.tuples(venues, people, mishaps), min_size=2, max_size=6))
def test_keys_stay_whatever_comes_goes_merges_and_splits(project_in, runs):
    of_venues, of_people = Memory(), Memory()
    unkept: list[Callable[[int], None]] = []
    with TemporaryDirectory() as folder:
        project = project_in(Path(folder))
        for day, (listed, told, mishap) in enumerate(runs):
            listed = {**listed, ("sheets", "always"): ("Always", None)}
            told = {**told, ("sheets", "always"): None}
            is_lost = mishap == "warehouse deleted" or (
                mishap == "yesterday put back" and project.yesterday.exists()
            )
            if unkept and not is_lost:
                unkept.pop()(day)  # found in the warehouse, and as old as this run
            unkept.clear()
            found_venues, found_people = project.run(listed, told, mishap)
            grouped = person_groups(told)
            same_keys(of_venues.give(venue_groups(listed)), found_venues)
            same_keys(of_people.give(grouped), found_people)
            nobody = set(told) - {member for group in grouped for member in group}

            def kept(
                day: int,
                venues: dict[Member, str] = found_venues,
                people: dict[Member, str] = found_people,
                nobody: set[Member] = nobody,
            ) -> None:
                of_venues.keep(venues, day)
                of_people.keep(people, day, nobody)

            if mishap == "killed before keeping":
                unkept.append(kept)
            else:
                kept(day)
