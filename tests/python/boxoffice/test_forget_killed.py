"""A `forget` that is killed on its way and asked for again leaves no trace either."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.python.boxoffice.test_run import KILLED_AFTER, Clone, tables_with

# Kills the process when the new file is written, before it takes the old one's name.
KILLED_IN_REWRITE = """
import os, pathlib, runpy, signal
from ingest import forgetting
rewrite = forgetting.rewrite
def half(settings):
    pathlib.Path.replace = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
    rewrite(settings)
forgetting.rewrite = half
runpy.run_module("boxoffice", run_name="__main__")
"""
KILLS = {
    "before the build": (KILLED_AFTER, "forget"),
    "before the rewrite": (KILLED_AFTER, "publish"),
    "in the rewrite": (KILLED_IN_REWRITE,),
}


def warehouse(clone: Clone) -> Path:
    return clone.folder / "warehouse" / "sandbox.duckdb"


def files_with(clone: Clone, words: tuple[str, ...]) -> list[str]:
    """The files beside the warehouse that hold one of the words; not those of the stand-ins, the sources."""
    folder = warehouse(clone).parent
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and folder / "sandbox" not in path.parents
        and any(word.lower().encode() in path.read_bytes().lower() for word in words)
    ]


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Clone, tuple[str, str]]]:
    """A warehouse with a person in it, its twin where the person was forgotten undisturbed, and who it is."""
    clone = Clone(tmp_path_factory.mktemp("forget"))
    assert clone.run().code == 0
    with duckdb.connect(str(warehouse(clone)), read_only=True) as connection:
        # A buyer of that name whom no other e-mail shares.
        ((email, name),) = connection.execute(
            """
            select trim(buyer_email), buyer_name from silver.orders as orders
            where buyer_email like '%@%' and not exists (
                select 1 from bronze_eventbrite.attendees where contains(payload, orders.buyer_name)
                and not contains(lower(payload), '"' || lower(trim(orders.buyer_email)) || '"')
            ) and buyer_name not in (select name from bronze_sheets.customers)
            order by gross_amount desc, order_key limit 1
            """
        ).fetchall()
    twin = copied(clone, tmp_path_factory.mktemp("twin"))
    assert files_with(clone, (email, name))
    assert twin.python("-m", "boxoffice", "forget", email).code == 0
    yield clone, twin, (email, name)
    for each in (clone, twin):
        shutil.rmtree(each.folder, ignore_errors=True)


def copied(clone: Clone, folder: Path) -> Clone:
    fresh = object.__new__(Clone)
    fresh.folder = folder / "copy"
    shutil.copytree(clone.folder, fresh.folder)
    return fresh


@pytest.mark.slow
@pytest.mark.parametrize("when", KILLS)
def test_killed_and_asked_again_nothing_is_left(
    person: tuple[Clone, Clone, tuple[str, str]], tmp_path: Path, when: str
) -> None:
    before, twin, words = person
    clone = copied(before, tmp_path)
    assert clone.python("-c", *KILLS[when], "forget", words[0]).code == -signal.SIGKILL
    ended = clone.python("-m", "boxoffice", "forget", words[0])
    assert ended.code == 0, ended.said
    assert [tables_with(warehouse(clone), word) for word in words] == [set()] * 2
    assert files_with(clone, words) == []
    assert not list(warehouse(clone).parent.glob(".*"))
    assert clone.marts() == twin.marts()
    shutil.rmtree(clone.folder)
