"""`python -m sandbox show airtable` prints what the base holds now."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sandbox.__main__ import main
from sandbox.bases import Bases
from sandbox.store import Store
from tests.python.sandbox.test_airtable import shed


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = Store(tmp_path, time.time)
    Bases(store).fill([shed()])
    store.close()
    return tmp_path


def shown(state: Path, *more: Any) -> Result:
    return CliRunner().invoke(main, ["show", "airtable", "--state", str(state), *map(str, more)])


def test_tables_are_shown_with_their_first_records(state: Path) -> None:
    text = shown(state, "--rows", 2).output
    assert "Tool shed (appToolShed000001)" in text
    assert "Tools / all · 5 records" in text
    for words in (
        "│ saw  │  12.5 │ checked │ Broken",
        "3 more records.",
        "Shelves · 2 records",
        "saw, hammer",
    ):
        assert words in text
    assert "hammer" not in text.partition("Shelves")[0]
    only = shown(state, "--table", "Shelves").output
    assert "Tools / all" not in only
    assert "bottom" in only


def test_every_cell_comes_as_json(state: Path) -> None:
    [base] = json.loads(shown(state, "--json").output)
    assert base["name"] == "Tool shed"
    assert [len(records) for records in base["tables"].values()] == [5, 2]
    assert base["tables"]["Shelves"][0]["fields"]["How many"] == 2


def test_what_is_not_there_is_told(state: Path, tmp_path: Path) -> None:
    for result, words in (
        (shown(tmp_path / "none"), "There is nothing in"),
        (shown(state, "--table", "Nope"), "There is no table Nope."),
    ):
        assert result.exit_code == 2
        assert words in result.output
