"""The models build, and every data test holds, whatever stands in the payloads of the sources."""

import json
import os
from random import Random
from typing import Any

import pytest

from tests.python.models import wild
from tests.python.models.bronze import LANDED, Bronze, instant

# What the world maps stays: the project's own mappings are empty.
WORLDS = ("--exclude", "civicrm_events", "civicrm_roles")
# BOXOFFICE_SEEDS=100-120 tries others.
SEEDS = range(*map(int, os.environ.get("BOXOFFICE_SEEDS", "1-3").split("-")))

ROLES = {
    "venue": "venue_name city region country capacity",
    "artist": "artist_name genre country created_date",
    "event": "event_id event_name artist_id venue_id event_date starts_at ends_at timezone status currency"
    " stated_capacity",
    "campaign": "event_id channel spend_amount impressions clicks conversions start_date end_date",
}
FIELD_TYPES = [
    "singleLineText", "number", "currency", "date", "dateTime", "formula", "checkbox", "singleSelect",
    "multipleSelects", "multipleRecordLinks", "multipleLookupValues", "rollup", "aiText", None, "nonsense",
]  # fmt: skip
DEEP = json.loads("[" * 200 + "]" * 200)
TEXTS = [
    "", " ", "\0", "a\0b", "\n", "'", '"', "\\", "%", "é", "\U0001f3b8", "x" * 9000, "null", "true",
    "NaN", "inf",
    "-0", "1e400", "1e-400", "99999999999999999999", "0x1F", "1,234.50", "{}", "{", "[",
    "2027-02-30T00:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "99999-01-01", "2027-02-01T00:00:00+99:00", "24:00",
    "2027-03-28T02:30:00", "Mars/Olympus", "Europe/London", "usd", "US", "USDX", "placed",
    "Attending", "processed",
    "50", "800", "1000", "2000", "a@b.example", "@",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, -0.0, 1e308, -1e308, 5e-324, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 1e29,
    12345.67891, [], {}, [[]], [None], [{}], [1, "a", None], {"": ""}, {"currency": "USD", "value": "12"},
    DEEP,
    {"value": 2**63}, {"currency": 1, "value": {}}, {"items": {}}, {"items": [None, 1, {}]},
    {"error": "#ERROR!"},
    {"specialValue": "NaN"}, {"text": []}, {"name": {}}, {"local": 1, "utc": [], "timezone": {}},
]  # fmt: skip


@pytest.mark.slow
def test_models_build_from_payloads_nobody_sends(warehouse_of) -> None:
    for seed in SEEDS:
        random = Random(seed)
        world = wild.world(seed)
        wild.map_anew(world, Random(9))
        for name, rows in world.tables.items():
            if name.startswith("bronze_eventbrite."):
                for row in rows:
                    if "payload" in row:
                        row["payload"] = spoiled(random, row["payload"])
        staff_base(world, random)
        warehouse_of(world).build(*WORLDS, "--exclude-resource-type", "unit_test")


def spoiled(random: Random, payload: str) -> str:
    """The payload with some of its values replaced, added or gone; sometimes with nothing but its id."""
    each = json.loads(payload)
    if random.random() < 0.05:
        each = {"id": each["id"]}
    for _ in range(random.choice([0, 0, 1, 2, 4])):
        spot: Any = each
        while True:
            places = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            if not places:
                break
            place = random.choice(places)
            if place == "id" and spot is each:
                break
            if isinstance(spot[place], dict | list) and spot[place] and random.random() < 0.7:
                spot = spot[place]
            elif random.random() < 0.2:
                del spot[place]
                break
            else:
                spot[place] = anything(random)
                break
    return json.dumps(each, ensure_ascii=False)


def anything(random: Random) -> Any:
    return random.choice(random.choice([TEXTS, VALUES]))


def staff_base(world: Bronze, random: Random) -> None:
    """Tables of Airtable for every role, any type of field, and anything in their cells."""
    for role, columns in ROLES.items():
        table_id = f"tbl{role}"
        fields = [f"fld{role}{column}" for column in columns.split()]
        for number, (field, column) in enumerate(zip(fields, columns.split(), strict=True), 2):
            kind = random.choice(FIELD_TYPES)
            world.tables["bronze_airtable.mappings"].append(
                {
                    "line": number,
                    "table_id": table_id,
                    "role": role,
                    "column_name": column,
                    "field_id": field,
                    "type": kind,
                    "timezone": random.choice([None, "utc", "client", "Europe/London", "Mars/Olympus"]),
                }
            )
            world.tables["bronze_airtable.fields"].append(
                {
                    "table_id": table_id,
                    "table_name": role,
                    "field_id": field,
                    "field_name": column,
                    "type": kind,
                    "landed_at": instant(LANDED),
                }
            )
        for number in range(40):
            cells = {field: anything(random) for field in fields if random.random() < 0.9}
            record: dict[str, Any] = {"id": f"rec{role}{number}", "fields": cells}
            if random.random() < 0.1:
                record["fields"] = anything(random)
            world.tables["bronze_airtable.records"].append(
                {
                    "table_id": table_id,
                    "id": record["id"],
                    "created_at": instant(LANDED),
                    "payload": json.dumps(record, ensure_ascii=False),
                    "payload_hash": str(number),
                    "landed_at": instant(LANDED),
                }
            )
