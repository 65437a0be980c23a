"""How Eventbrite's words become those of CiviCRM, and when two of them are the same."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reverse_etl.civicrm_state import Attendee, Facts, Row, in_order

NAME, STREET, CITY, POSTAL_CODE, PHONE = 64, 96, 64, 64, 32  # characters that CiviCRM keeps
ZIP = re.compile(r"(\d{5})-(\d{4})")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
NAMES = ("first_name", "last_name")


@dataclass(frozen=True)
class Profile:
    """What is known of a person; blank texts where it is not. address: as the model has it."""

    names: dict[str, str]
    phone: str = ""
    address: dict[str, str] = field(default_factory=dict)


def profile_of(attendees: Iterable[Attendee]) -> Profile:
    """What attendees who are one person say of themselves: of each thing, the latest changed that says it."""
    latest = sorted(
        attendees, key=lambda each: (each.changed_at or EPOCH, in_order(each.attendee_id)), reverse=True
    )
    named = next((each for each in latest if each.first_name or each.last_name), None)
    names = {name: _cut(getattr(named, name), NAME) for name in NAMES} if named else {}
    phone = next((each.work_phone for each in latest if each.work_phone), None)
    placed = next((each for each in latest if each.address_1), None)
    parts = ("address_1", "address_2", "city", "region", "postal_code", "country")
    address = {part: (getattr(placed, part) or "").strip() for part in parts} if placed else {}
    return Profile(names, _cut(phone, PHONE), address)


def names_of(person: Attendee | Mapping[str, Any]) -> tuple[str, ...]:
    """First and last name for comparing: as they are kept, whatever their case."""
    said = (person.get(name) if isinstance(person, Mapping) else getattr(person, name) for name in NAMES)
    return tuple(_cut(each, NAME).casefold() for each in said)


def whole_name(person: Attendee | Mapping[str, Any]) -> str:
    """For comparing, however it is parted in first and last."""
    return " ".join(name for name in names_of(person) if name)


def place_of(address: Mapping[str, str], facts: Facts) -> tuple[Row, list[str]]:
    """An address in CiviCRM's fields, without what is blank; and what the site has no word for, which would
    clear the field."""
    values: Row = {
        "street_address": _cut(address["address_1"], STREET),
        "supplemental_address_1": _cut(address["address_2"], STREET),
        "city": _cut(address["city"], CITY),
        "postal_code": _cut(address["postal_code"], POSTAL_CODE),
    }
    unknown = []
    country = facts.countries.get(address["country"].upper())
    if country is None and address["country"]:
        unknown.append("country")
    if address["region"] and country is not None:
        state = facts.states.get((country, address["region"].casefold()))
        if state is None:
            unknown.append("region")
        values["state_province_id"] = state
    values["country_id"] = country
    if (zip_code := ZIP.fullmatch(values["postal_code"])) and address["country"].upper() == "US":
        values["postal_code"], values["postal_code_suffix"] = zip_code.groups()
    return {name: value for name, value in values.items() if value not in (None, "")}, unknown


def changes(row: Row, values: Row) -> Row:
    """What of the values the row does not hold."""
    return {name: value for name, value in values.items() if row.get(name) != value}


def as_typed(value: Any) -> Sequence[Any]:
    """A list, of what the site gives as a list, as one value or as none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def same(one: str | None, other: str | None) -> bool:
    return (one or "").strip().casefold() == (other or "").strip().casefold()


def digits(phone: str | None) -> str:
    return re.sub(r"\D", "", phone or "") or (phone or "").strip()


def _cut(text: str | None, length: int) -> str:
    return (text or "").strip()[:length].strip()
