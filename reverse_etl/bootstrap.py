"""Makes the tables and fields that sync models need and a base lacks. Never changes one that is there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from boxoffice.airtable_api import Client
from boxoffice.build import SyncModel
from boxoffice.errors import BoxofficeError
from reverse_etl import policies
from reverse_etl.binding import Remembered, Words, field_words, left_out, named, table_word, wanted
from reverse_etl.cells import LINK

LONGEST_DESCRIPTION = 20_000
# What Airtable wants to be told of a field that a model says nothing of.
OPTIONS: dict[str, dict[str, Any]] = {
    "number": {"precision": 0},
    "percent": {"precision": 1},
    "currency": {"precision": 2, "symbol": "$"},
    "rating": {"icon": "star", "max": 5, "color": "yellowBright"},
    "duration": {"durationFormat": "h:mm:ss"},
    "checkbox": {"icon": "check", "color": "greenBright"},
    "date": {"dateFormat": {"name": "iso"}},
    "dateTime": {"timeZone": "utc", "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}},
    "singleSelect": {"choices": []},
    "multipleSelects": {"choices": []},
}


def make(
    client: Client,
    models: Sequence[SyncModel],
    tables: Sequence[Mapping[str, Any]],
    words: Words,
    rows: Mapping[str, str],
    remembered: Remembered,
) -> list[str]:
    """Make what is missing, parents before the links to them. What was only renamed is not missing.

    Args:
        tables: the base's schema. rows: the policies in settings.csv. remembered: see `binding.bind`.

    Returns:
        What was made, in words.

    Raises:
        BoxofficeError: Airtable does not allow it; what was made stays.
    """
    made: list[str] = []
    known = [dict(table) for table in tables]
    out = left_out(models, words)
    for model in wanted(models, words):
        word = table_word(model, words)
        renamed = {key for (name, _), (_, key) in remembered.items() if name == model.name}
        table = named(known, word) or next((each for each in known if each["id"] in renamed), None)
        linked = {each.name: named(known, table_word(each, words)) for each in models}
        needed = _needed(model, field_words(model, words, out), rows, linked)
        if table is None:
            if re.fullmatch(r"tbl[0-9A-Za-z]{14}", word):
                raise BoxofficeError(
                    f"The base has no table {word}, which airtable_fields.csv names.",
                    "Write the id of one that is there, or the name of one to be made.",
                )
            # The first field becomes the primary one, which cannot be a link.
            fields = list(needed.values())
            first = next((place for place, each in enumerate(fields) if each["type"] != LINK), 0)
            fields.insert(0, fields.pop(first))
            table = {"name": word, "description": _short(model.description), "fields": fields}
            known.append(client.make_table(table))
            made.append(f"table {word} with {len(fields)} fields")
            continue
        there = table.get("fields") or []
        ids = {each.get("id") for each in there}
        for column, body in needed.items():
            is_renamed = remembered.get((model.name, column), ("", ""))[1] in ids
            if not is_renamed and named(there, body["name"]) is None:
                client.make_field(str(table["id"]), word, body)
                made.append(f"field {body['name']} of {table.get('name')}")
    return made


def _needed(
    model: SyncModel,
    words: Mapping[str, str],
    rows: Mapping[str, str],
    linked: Mapping[str, Mapping[str, Any] | None],
) -> dict[str, dict[str, Any]]:
    """Column to the field that it needs, as Airtable takes it to make it."""
    found: dict[str, dict[str, Any]] = {}
    parents = model.meta.get("parents") or {}
    for column, word in words.items():
        meta = model.columns[column].meta
        kind = LINK if column in parents else str(meta.get("type") or "singleLineText")
        body: dict[str, Any] = {"name": word, "type": kind}
        options = meta.get("options") or OPTIONS.get(kind)
        if kind == LINK:
            parent = linked.get(parents[column])
            if parent is None:
                continue  # the binding says that it is not written
            options = {"linkedTableId": parent["id"]}
        if options is not None:
            body["options"] = options
        if description := _short(model.columns[column].description):
            body["description"] = description
        found[column] = body
    policy = policies.of(rows, model.thing, model.meta)
    if policy.on_delete == "archive":
        checkbox = {"name": policy.archive_field, "type": "checkbox", "options": OPTIONS["checkbox"]}
        found["archive"] = checkbox
    return found


def _short(text: str) -> str:
    return " ".join(text.split())[:LONGEST_DESCRIPTION]
