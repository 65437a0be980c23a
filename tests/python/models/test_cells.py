"""A cell means the same on every engine, whatever people typed."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.python.examples import examples
from tests.python.models.bronze import Row
from tests.python.models.warehouse import FILE

MACROS = ("present", "folded", "try_number", "try_integer", "try_date", "try_timestamp")
NUMBERS = [
    "", " ", "0", "-0", "+5", "1.", ".5", "-.5", ".", "-", "1e3", "1E3", "1_000", "0x1F", "NaN", "inf",
    "Infinity", "12.34565", "12.34564999", "-12.34565", "99999999999999.9999", "99999999999999.99999",
    "100000000000000", "1,234.50", "12,34.5", "1,2345", "$12", "$ 12.5", "-$12", "$-12", "€1,000", "12 €",
    "12,50", "1.2.3", "--5", " 7.5 ", "007", "\u0663", "12\n", "\t12", "123456789012345678",
    "1234567890123456789", "1,200", "-12,345,678", "1,200,", "0,001", "999,999,999,999,999,999", "1,2,3",
]  # fmt: skip
TIMES = [
    "2026-01-15", "2026-1-5", "2026-01-15 10", "2026-01-15T10", "2026-01-15 10:30",
    "2026-01-15T10:30:59.123456", "2026-01-15 10:30:59.1234567", "2026-01-15T10:30Z",
    "2026-01-15 10:30:00 +02", "2026-01-15T10:30:00+02:00", "2026-01-15T10:30:00-0530",
    "2026-01-15 24:00:00", "2026-01-15 23:59:60", "2026-02-29", "2024-02-29", "2026-13-01", "0000-01-01",
    "0001-01-01", "9999-12-31", "1582-10-10", "infinity", "epoch", "now", "today", "2026-01-15 BC",
    "2026-01-15 10:30 PM", "2026-01-15junk", "15/01/2026", "2026-01-15  10:30", "20260115", "2026-01-15T",
    "2026-01-15 (BC)", "2026-01-15 10:30:00 UTC", "2026-03-29 02:30:00",
]  # fmt: skip
NAMES = [
    "E-Mail", "  é É ", "ÅNGSTRÖM", "Straße", "ΣΊΣΥΦΟΣ", "日本 2026!", "a_b", "--", "İstanbul", "x\u00a0y",
    "²½", "e\u0301", "\U0001f3b8 rock", "ǅ", "\ttab\n",
]  # fmt: skip
JSON = [
    "", " ", "none", "{", "[", "{none}", "[1, 2", '{"a": 1', '{"a": 1} and more', '[1] [2]', "{'a': 1}",
    '{"a": [1]}', "{}", "[]", '[{"a": 1}, "b", null]', "null", "true", "7", '"{}"',
]  # fmt: skip
TYPED = st.lists(
    st.text(alphabet="0123456789-:+.,/ TZe$€", max_size=22)
    # Letters people name channels with; engines know different parts of Unicode's far end.
    | st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=8),
    min_size=50,
    max_size=300,
)


Asked = Callable[[str, list[str]], dict[str, list[Row]]]


@pytest.fixture(scope="module")
def asked(dbt, postgres, tmp_path_factory) -> Asked:
    """For a query, with macros, of table `cells` whose column `text` holds the texts: engine to its rows."""
    environments = {
        "duckdb": {"BOXOFFICE_WAREHOUSE": str(tmp_path_factory.mktemp("cells") / FILE)},
        "postgres": {
            "POSTGRES_HOST": str(postgres.folder),
            "POSTGRES_USER": "postgres",
            "POSTGRES_DATABASE": "postgres",
        },
    }

    @cache
    def compiled(query: str, target: str) -> str:
        outcome = dbt.invoke("compile", "--inline", query, target=target, environment=environments[target])
        assert outcome.success, outcome.exception
        return outcome.result.results[0].node.compiled_code

    def run(query: str, texts: list[str]) -> dict[str, list[Row]]:
        texts = list(dict.fromkeys(texts))
        with duckdb.connect() as connection:
            connection.register("cells", pa.table({"text": pa.array(texts, pa.string())}))
            here = connection.execute(compiled(query, "duckdb")).to_arrow_table().to_pylist()
        with postgres.connect() as connection:
            connection.execute("create temporary table cells (text text)")
            with connection.cursor().copy("copy cells from stdin") as copy:
                for text in texts:
                    copy.write_row([text])
            there = connection.execute(compiled(query, "postgres")).fetchall()
        return {"duckdb": here, "postgres": there}

    return run


@pytest.fixture(scope="module")
def meanings(asked: Asked) -> Callable[[list[str]], dict[str, dict[str, Any]]]:
    """For texts: engine to text to what each of MACROS makes of it."""
    # As text, because Python's calendar is shorter than theirs.
    columns = ", ".join(f"cast({{{{ {macro}('cell') }}}} as text) as {macro}" for macro in MACROS)
    # Staging trims a cell before it reads it.
    query = (
        f"select text, {columns} from (select text, {{{{ present('text') }}}} as cell from cells) as trimmed"
    )
    return lambda texts: {
        target: {row["text"]: {macro: row[macro] for macro in MACROS} for row in rows}
        for target, rows in asked(query, texts).items()
    }


def disagreements(found: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{macro}({text!r}): duckdb {here!r}, postgres {found['postgres'][text][macro]!r}"
        for text, row in found["duckdb"].items()
        for macro, here in row.items()
        if here != found["postgres"][text][macro]
    ]


def test_engines_agree_on_what_people_type(meanings):
    found = meanings([*NUMBERS, *TIMES, *NAMES])
    assert disagreements(found) == []
    whole = {text: row["try_integer"] for text, row in found["duckdb"].items() if "," in text}
    assert {text: number for text, number in whole.items() if number is not None} == {
        "1,200": "1200", "-12,345,678": "-12345678", "0,001": "1",
        "999,999,999,999,999,999": "999999999999999999",
    }  # fmt: skip


def test_engines_agree_on_what_is_no_json(asked):
    objects = "select text, {{ json_object('text') }} as whole from cells"
    lists = "select text, {{ json_array_rows('text') }} as each from cells"
    held = {
        engine: {row["text"]: row["whole"] for row in rows} for engine, rows in asked(objects, JSON).items()
    }
    assert held["postgres"] == held["duckdb"]
    assert [text for text, whole in held["duckdb"].items() if whole is not None] == ['{"a": [1]}', "{}"]
    # Engines write JSON each in its way.
    elements = {
        engine: [(row["text"], json.loads(row["each"])) for row in rows]
        for engine, rows in asked(lists, JSON).items()
    }
    assert elements["postgres"] == elements["duckdb"]
    assert elements["duckdb"] == [
        ('{"a": [1]}', {"a": [1]}),
        ("{}", {}),
        ('[{"a": 1}, "b", null]', {"a": 1}),
        ('[{"a": 1}, "b", null]', "b"),
        ('[{"a": 1}, "b", null]', None),
    ]


@examples(6)
@given(typed=TYPED)
def test_engines_agree_on_anything(meanings, typed):
    assert disagreements(meanings(typed)) == []
