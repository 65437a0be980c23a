"""A base that is loaded and written back unchanged gives an empty plan, for every type of field."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from boxoffice.airtable_api import Client
from reverse_etl import cells
from reverse_etl.cells import COMPUTED, KINDS, LINK, Field, Unfit
from sandbox.cells import USERS
from tests.python.reverse_etl.conftest import BASE, TOKEN, World, count, model

USER = USERS[0]["id"]
OPTIONS: dict[str, dict[str, Any]] = {
    "number": {"precision": 2},
    "singleSelect": {"choices": [{"name": "a, b"}, {"name": "Ünïcode 🎟"}, {"name": '"quoted"'}]},
    "multipleSelects": {"choices": [{"name": "a, b"}, {"name": "c"}, {"name": "[d"}]},
}
# Type to the DuckDB type of its column, and cells as people may have left them.
TYPES: dict[str, tuple[str, list[Any]]] = {
    "singleLineText": ("varchar", ["plain", "🎟 emoji", " blanks ", "0", "[not json", 'it\'s "so"\\']),
    "multilineText": ("varchar", ["one\ntwo\n\nthree", "x" * 100_000]),
    "richText": ("varchar", ["**bold**\n- one\n- two\n", "* star\n"]),
    "email": ("varchar", ["ann@example.org"]),
    "url": ("varchar", ["https://example.org/a?b=c&d=é"]),
    "phoneNumber": ("varchar", ["+47 22 33 44 55"]),
    "number": ("double", [0, 0.1 + 0.2, -1.5, 1e15, 123456789.125]),
    "percent": ("double", [0, 0.123, 1]),
    "currency": ("decimal(18, 4)", [0, 20.34, 1999.9999]),
    "rating": ("bigint", [1, 5]),
    "duration": ("double", [0, 90, 3600.5]),
    "checkbox": ("boolean", [True]),
    "date": ("date", ["2026-02-03", "1999-12-31"]),
    "dateTime": ("timestamp", ["2026-02-03T08:15:00.000Z", "2026-06-30T23:59:59.999Z"]),
    "singleSelect": ("varchar", ["a, b", "Ünïcode 🎟", '"quoted"']),
    "multipleSelects": ("varchar", [["a, b", "c"], ["[d"], ["c", "a, b"]]),
    LINK: ("varchar", []),
    "multipleAttachments": ("varchar", [[{"url": "https://example.org/a.pdf", "filename": "a.pdf"}]]),
    "singleCollaborator": ("varchar", [{"id": USER}]),
    "multipleCollaborators": ("varchar", [[USER]]),
    "barcode": ("varchar", [{"text": "0123", "type": "upce"}, {"text": "9"}]),
}


def of_everything(world: World) -> None:
    """The models: one thing with a field of every type, and what it links to."""
    world.models = [
        model("ends", {"end_key": "varchar"}, {}, table="Ends", key="end_key"),
        model(
            "things",
            {"thing_key": "varchar", **{kind: taken for kind, (taken, _) in TYPES.items()}},
            {kind: (kind, kind) for kind in TYPES},
            **{"table": "Things", "key": "thing_key", "parents": {LINK: "sync_airtable__ends"}},
        ),
    ]
    columns = world.models[1].columns
    for kind, options in OPTIONS.items():
        columns[kind].meta["options"] = options  # type: ignore[index]
    for each in world.models:
        world.has(each.thing)


def test_no_type_that_can_be_written_is_left_out() -> None:
    assert set(TYPES) == set(KINDS)
    assert not set(COMPUTED) & set(KINDS)


def by_api(world: World, table: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What some other program writes; gives the records as they are read."""
    client = Client(world.stand_in.airtable, TOKEN, BASE, per_second=None)
    try:
        (described,) = [each for each in client.tables() if each["name"] == table]
        ids = {each["name"]: each["id"] for each in described["fields"]}
        for row in rows:
            client.create(described["id"], table, [{ids[name]: cell for name, cell in row.items()}])
    finally:
        client.close()
    return list(world.records(table).values())


def as_loaded(kind: str, cell: Any) -> Any:
    """A cell as a warehouse holds it."""
    if cell is None:
        return None
    if kind == LINK:
        return json.dumps(cell)
    if kind == "dateTime":
        return datetime.fromisoformat(cell).astimezone(UTC).replace(tzinfo=None)
    return json.dumps(cell) if isinstance(cell, list | dict) else cell


def test_what_is_loaded_and_written_back_gives_an_empty_plan(world: World) -> None:
    of_everything(world)
    world.sync(bootstraps=True)
    by_api(world, "Ends", [{"boxoffice key": "end 1"}, {"boxoffice key": 'end "2"'}])
    ends = list(world._listed("Ends"))
    rows: list[dict[str, Any]] = [{}]
    for kind, (_, found) in TYPES.items():
        rows += [{kind: cell} for cell in found]
    rows += [{LINK: ends[:1]}, {LINK: ends}]
    rows.append({kind: found[-1] for kind, (_, found) in TYPES.items() if found})
    rows = [{"boxoffice key": f"k{place}", **row} for place, row in enumerate(rows)]
    records = by_api(world, "Things", rows)
    assert len(records) == len(rows)

    world.has("ends", ("end 1",), ('end "2"',))
    world.has(
        "things",
        *(
            [cells["boxoffice key"], *(as_loaded(kind, cells.get(kind)) for kind in TYPES)]
            for cells in records
        ),
    )
    for each in world.folder.glob("ops.sqlite*"):
        each.unlink()
    outcome = world.plan()
    changes = [
        (
            change.key,
            {
                plan.bound.fields[each].name: (change.before.get(each), cell)
                for each, cell in change.cells.items()
            },
        )
        for plan in outcome.plans
        for change in (*plan.creates, *plan.updates)
    ]
    assert changes == []
    assert [each for plan in outcome.plans for each in plan.rejections] == []
    world.sync()
    assert world.writes == 0
    assert list(world.records("Things").values()) == records


def test_what_is_written_is_what_is_read(world: World) -> None:
    """The other way round: rows of the warehouse, then the base, then a reconcile."""
    of_everything(world)
    world.has("ends", ("end 1",))
    plain = {
        **{
            "singleLineText": "a",
            "multilineText": "a\nb",
            "richText": "* a",
            "email": "a@b.c",
            "url": "https://x",
        },
        **{"phoneNumber": "1", "number": 0.30000000000000004, "percent": 0.5, "currency": Decimal("12.3400")},
        **{"rating": 3, "duration": 61, "checkbox": True, "date": date(2026, 2, 3)},
        **{"dateTime": datetime(2026, 2, 3, 8, 15, 0, 123456), "singleSelect": "a, b"},  # noqa: DTZ001
        **{
            "multipleSelects": '["c", "a, b"]',
            LINK: "end 1",
            "multipleAttachments": "https://example.org/p/a.pdf",
        },
        **{"singleCollaborator": USER, "multipleCollaborators": f'["{USER}"]'},
        "barcode": "0123",
    }
    empty = dict.fromkeys(TYPES)
    zero = {**empty, "singleLineText": "", "number": 0, "checkbox": False, "multipleSelects": "[]"}
    world.has(
        "things",
        *([f"k{place}", *(row[kind] for kind in TYPES)] for place, row in enumerate((plain, empty, zero))),
    )
    outcome = world.sync(bootstraps=True)
    assert count(outcome) == {"create": 4}
    cells = world.rows(
        "Things", "number", "dateTime", "currency", "checkbox", "multipleSelects", LINK, "singleLineText"
    )
    assert cells["k0"] == (
        *(0.30000000000000004, "2026-02-03T08:15:00.123Z", 12.34, True, ["c", "a, b"], ["end 1"], "a"),
    )
    assert cells["k1"] == (None,) * 7
    assert cells["k2"] == (0, *(None,) * 6)
    world.sync()
    assert world.writes == 0
    reconciled = world.sync(reconciles=True)
    assert world.writes == 0
    assert [plan.edits for plan in reconciled.plans] == [{}, {}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", Decimal("123456789012345.6789")),
        ("number", 2**53 + 1),
        ("rating", 0),
        ("rating", 6),
        ("rating", 2.5),
        ("singleLineText", "x" * 100_001),
        ("date", datetime(2026, 2, 3, 8, 15)),  # noqa: DTZ001
        ("date", "03/02/2026"),
        ("dateTime", "yesterday"),
        ("singleSelect", "A, B"),
        ("multipleSelects", '["c", "new"]'),
    ],
)
def test_what_a_field_cannot_hold(kind: str, value: Any) -> None:
    with pytest.raises(Unfit) as refused:
        cells.written(Field("fld", "F", kind, OPTIONS.get(kind, {})), value)
    assert refused.value.reason
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("number", 3, 3),
        ("number", Decimal("3.1000"), 3.1),
        ("singleLineText", Decimal("3.10"), "3.10"),
        ("singleLineText", date(2026, 2, 3), "2026-02-03"),
        ("date", datetime(2026, 2, 3), "2026-02-03"),  # noqa: DTZ001
        ("dateTime", date(2026, 2, 3), "2026-02-03T00:00:00.000Z"),
        ("dateTime", "2026-02-03T10:15:00+02:00", "2026-02-03T08:15:00.000Z"),
        ("dateTime", datetime(850, 1, 2, tzinfo=UTC), "0850-01-02T00:00:00.000Z"),
        ("multipleSelects", "c", ["c"]),
        ("multipleSelects", ["c", "c"], ["c"]),
        ("checkbox", False, None),
        ("email", "", None),
    ],
)
def test_values_become_cells(kind: str, value: Any, cell: Any) -> None:
    assert cells.written(Field("fld", "F", kind, OPTIONS.get(kind, {})), value) == cell
