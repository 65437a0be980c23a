"""Cells of Airtable: what each type of field takes, made from values of the warehouse. Asks nobody.

A cell here is in the form that is sent, and None when it is empty: "", false and [] read back as absent.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import orjson

LONGEST = 100_000  # characters of a cell
TEXTS = ("singleLineText", "multilineText", "richText", "email", "url", "phoneNumber")
NUMBERS = ("number", "percent", "currency", "rating", "duration")
SELECTS = ("singleSelect", "multipleSelects")
LINK = "multipleRecordLinks"
COMPUTED = (
    *("formula", "rollup", "multipleLookupValues", "count", "autoNumber", "createdTime", "lastModifiedTime"),
    *("createdBy", "lastModifiedBy", "button", "aiText", "externalSyncSource"),
)


@dataclass(frozen=True)
class Field:
    """A field of the base, as its schema describes it today."""

    id: str
    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, each: Mapping[str, Any]) -> "Field":
        options = each.get("options")
        return cls(
            str(each["id"]),
            str(each.get("name") or each["id"]),
            str(each.get("type") or ""),
            options if isinstance(options, dict) else {},
        )

    @property
    def choices(self) -> list[dict[str, Any]]:
        found = self.options.get("choices")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


class Unfit(Exception):
    """A value that this field cannot hold.

    rule: a word for what was broken. option: the option that the field lacks.
    """

    def __init__(self, rule: str, reason: str, remedy: str, option: str | None = None) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.remedy, self.option = rule, reason, remedy, option


@dataclass(frozen=True)
class Kind:
    """One way of keeping cells.

    takes: the families of columns (see `family`) it can be made from. written: the cell of a value that is
    not null, or Unfit. same: whether two cells that are not empty say the same.
    """

    takes: tuple[str, ...]
    written: Callable[[Field, Any], Any]
    held: Callable[[Any], Any] = lambda cell: cell
    same: Callable[[Any, Any], bool] = lambda one, two: one == two


def family(data_type: str) -> str:
    """What DuckDB's type holds: text, number, flag, date, time or list."""
    kind = data_type.upper()
    if kind.endswith("[]"):
        return "list"
    for word, found in (("VARCHAR", "text"), ("BOOL", "flag"), ("TIMESTAMP", "time"), ("DATE", "date")):
        if kind.startswith(word):
            return found
    is_number = kind.endswith("INT") or kind.startswith(("INTEGER", "DECIMAL", "DOUBLE", "FLOAT"))
    return "number" if is_number else kind.lower()


def written(item: Field, value: Any) -> Any:
    """The cell that a value makes in the field.

    Raises:
        Unfit: the field cannot hold it.
    """
    return None if value is None else KINDS[item.type].written(item, value)


def held(item: Field, cell: Any) -> Any:
    """A cell as it was read, in the form that is sent."""
    is_empty = cell is None or cell is False or cell == "" or cell == []
    if is_empty or (isinstance(cell, dict) and ("error" in cell or "specialValue" in cell)):
        return None
    return KINDS[item.type].held(cell)


def same(item: Field, one: Any, two: Any) -> bool:
    """Whether two cells of a field say the same."""
    if one is None or two is None:
        return one is two
    try:
        return KINDS[item.type].same(one, two)
    except (TypeError, ValueError, AttributeError):
        return False  # one is of the type that the field had before


def texts(value: Any) -> list[str]:
    """The parts of a value of several: a list, text that is a JSON array, or else one."""
    found = value
    if isinstance(value, str):
        found = [value]
        if value.lstrip().startswith("["):
            try:
                found = orjson.loads(value)
            except orjson.JSONDecodeError:
                found = [value]
    return list(dict.fromkeys(str(each) for each in found if each not in (None, "")))


# --- text ----------------------------------------------------------------------------------------------


def _text(item: Field, value: Any) -> str | None:
    if isinstance(value, datetime):
        text = _moment(item, value)
    elif isinstance(value, Decimal):
        text = f"{value:f}"
    else:
        text = value.isoformat() if isinstance(value, date) else str(value)
    if len(text) > LONGEST:
        reason = f"It has {len(text):,} characters; a cell holds {LONGEST:,}."
        raise Unfit("length", reason, "Shorten it in the model.")
    return text or None


def _without_end(cell: str) -> str | None:
    # Airtable ends rich text with a line of its own.
    return cell.rstrip("\n") or None


def _same_rich(one: str, two: str) -> bool:
    # And it writes every bullet as a dash.
    return re.sub(r"(?m)^\* ", "- ", one).rstrip() == re.sub(r"(?m)^\* ", "- ", two).rstrip()


# --- numbers -------------------------------------------------------------------------------------------


def _number(item: Field, value: Any) -> float | int:
    if not math.isfinite(value):
        raise Unfit("number", f"It is {value}, which is no number.", "Make it null in the model.")
    number = float(value)
    if Decimal(str(number)) != Decimal(str(value)):
        reason = "It has more digits than Airtable keeps (15)."
        raise Unfit("number", reason, "Round it in the model, or write it to a text field.")
    if item.type == "rating":
        most = item.options.get("max") or 5
        if not (number.is_integer() and 1 <= number <= most):
            reason = f"A rating is a whole number from 1 to {most}."
            raise Unfit("number", reason, "Bring it into that range, or make it null, in the model.")
    return int(number) if number.is_integer() else number


def _same_number(one: Any, two: Any) -> bool:
    # What a sum left in the last of a double's digits is no difference.
    return f"{one:.15g}" == f"{two:.15g}"


# --- dates ---------------------------------------------------------------------------------------------


def _day(item: Field, value: Any) -> str:
    moment = _parsed(value)
    if moment.time() != time():
        reason = "It has a time of day; the field holds dates."
        raise Unfit("date", reason, "Make it a date in the model, or let the field include a time.")
    return moment.date().isoformat()


def _moment(item: Field, value: Any) -> str:
    moment = _parsed(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".rjust(24, "0")


def _parsed(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  the model's times have no zone
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        reason = "It is no date."
        raise Unfit("date", reason, "Write it like 2026-03-01, or make it null, in the model.") from None


def _held_moment(cell: Any) -> Any:
    try:
        return _moment(Field("", "", "dateTime"), cell)
    except (Unfit, TypeError):
        return cell


# --- options -------------------------------------------------------------------------------------------


def _option(item: Field, value: Any) -> str | None:
    text = str(value)
    names = [each.get("name") for each in item.choices]
    if text and text not in names:
        close = [name for name in names if str(name).strip().casefold() == text.strip().casefold()]
        reason = "The field has no such option" + (f"; it has {close[0]!r}." if close else ".")
        remedy = "Add the option to the field, or set create_options to yes in settings.csv."
        raise Unfit("option", reason, remedy, text)
    return text or None


def _options(item: Field, value: Any) -> list[str] | None:
    return [each for each in (_option(item, text) for text in texts(value)) if each] or None


def _same_set(one: Iterable[Any], two: Iterable[Any]) -> bool:
    return sorted(one) == sorted(two)


# --- objects -------------------------------------------------------------------------------------------


def _objects(value: Any, key: str) -> list[dict[str, Any]]:
    """A value that is JSON as its objects; plain text as one object that has it under `key`."""
    try:
        found = orjson.loads(value) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") else value
    except orjson.JSONDecodeError:
        found = value
    found = found if isinstance(found, list) else [found]
    return [each if isinstance(each, dict) else {key: str(each)} for each in found if each not in (None, "")]


def _barcode(item: Field, value: Any) -> dict[str, Any] | None:
    return next(iter(_kept(_objects(value, "text"), "text", "type")), None)


def _attachments(item: Field, value: Any) -> list[dict[str, Any]] | None:
    found = _kept(_objects(value, "url"), "id", "url", "filename")
    # One that is there already is named by its id; its address would be another at every reading.
    found = [{"id": each["id"]} if "id" in each else each for each in found]
    return found or None


def _collaborator(item: Field, value: Any) -> dict[str, Any] | None:
    for each in _objects(value, "id"):
        who = str(each.get("id") or each.get("email") or "")
        return {"email": who} if "@" in who else {"id": who}
    return None


def _collaborators(item: Field, value: Any) -> list[str] | None:
    return [str(each.get("id")) for each in _objects(value, "id")] or None


def _kept(objects: Iterable[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: each[name] for name in names if each.get(name)} for each in objects]


def _same_attachments(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(map(_same_attachment, one, two))


def _same_attachment(one: Any, two: Any) -> bool:
    if "id" in one and "id" in two:
        return bool(one["id"] == two["id"])
    # Once it is there, the address it came from is not told.
    return _file_name(one) == _file_name(two)


def _file_name(each: Any) -> str:
    return str(each.get("filename") or PurePosixPath(urlsplit(each.get("url", "")).path).name)


def _same_person(one: Any, two: Any) -> bool:
    key = "id" if "id" in one and "id" in two else "email"
    return str(one.get(key)).casefold() == str(two.get(key)).casefold()


def _same_barcode(one: Any, two: Any) -> bool:
    kinds = {each["type"] for each in (one, two) if each.get("type")}
    return bool(one.get("text") == two.get("text")) and len(kinds) < 2


def _link(item: Field, value: Any) -> list[str] | None:
    return texts(value) or None


_ANY = ("text", "number", "flag", "date", "time")
KINDS: dict[str, Kind] = {
    **{kind: Kind(_ANY, _text) for kind in TEXTS},
    "richText": Kind(_ANY, _text, _without_end, _same_rich),
    **{kind: Kind(("number",), _number, same=_same_number) for kind in NUMBERS},
    "checkbox": Kind(("flag",), lambda item, value: True if value else None),
    "date": Kind(("date", "time", "text"), _day),
    "dateTime": Kind(("time", "date", "text"), _moment, _held_moment),
    "singleSelect": Kind(("text",), _option),
    "multipleSelects": Kind(("text", "list"), _options, same=_same_set),
    LINK: Kind(("text", "list"), _link, same=_same_set),
    "multipleAttachments": Kind(
        ("text",), _attachments, lambda cell: _kept(cell, "id", "url", "filename"), _same_attachments
    ),
    "singleCollaborator": Kind(
        ("text",), _collaborator, lambda cell: _kept([cell], "id", "email")[0], _same_person
    ),
    "multipleCollaborators": Kind(
        ("text",), _collaborators, lambda cell: [each.get("id") for each in cell], _same_set
    ),
    "barcode": Kind(("text",), _barcode, same=_same_barcode),
}
