"""What each type of an Airtable field takes from a client, and what it keeps of it."""

import math
import mimetypes
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.bases import Base, Table, identity, iso
from sandbox.refusals import (
    Refusal,
    computed,
    no_option,
    no_record_ids,
    no_row,
    unreadable_date,
    wrong_value,
)
from sandbox.store import Json
from sandbox.switches import Settings

USERS = ({"id": identity("usr", "staff"), "email": "ana@example.org", "name": "Ana Example"},)
RECORD_ID = re.compile(r"rec[0-9A-Za-z]{14}")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
BULLET = re.compile(r"^(\s*)\* ", re.MULTILINE)


class Cells:
    """The cells of one request, on their way in. Nothing in the base changes here.

    `options`: names of select options that typecast will make, by field id. A link that typecast makes from a
    text stays `Named` until the records are written.
    """

    def __init__(self, base: Base, table: Table, settings: Settings, *, typecast: bool = False) -> None:
        self.base, self.table, self.settings, self.typecast = base, table, settings, typecast
        self.options: dict[str, list[str]] = {}
        self.attachments_fail = False
        self.failed_attachments = 0

    def taken(self, item: Json, cell: Any) -> Any:
        """The cell as it is kept. Raises Refusal for what the field does not take."""
        take = TAKES.get(item["type"])
        if take is None:
            raise computed(item["name"])
        if cell is None:
            return "\n" if item["type"] == "richText" else None
        return take(self, item, cell)

    def plain(self, item: Json, cell: Any) -> str:
        if self.typecast and not isinstance(cell, str):
            cell = str(cell) if isinstance(cell, int | float) else cell
        if not isinstance(cell, str) or len(cell) > self.settings.longest_text:
            raise wrong_value(item["name"])
        return cell

    def rich(self, item: Json, cell: Any) -> str:
        found = BULLET.sub(r"\1- ", self.plain(item, cell))
        return found if found.endswith("\n") else found + "\n"

    def number(self, item: Json, cell: Any) -> int | float | None:
        if self.typecast and isinstance(cell, str):
            try:
                cell = float(cell.strip().replace(",", ""))
            except ValueError:
                return None
        if isinstance(cell, bool) or not isinstance(cell, int | float):
            raise wrong_value(item["name"])
        found = float(cell)
        if not math.isfinite(found):
            raise wrong_value(item["name"])
        # A double, written as JavaScript writes it.
        return int(found) if found.is_integer() and abs(found) < 1e21 else found

    def rating(self, item: Json, cell: Any) -> int | float | None:
        found = self.number(item, cell)
        if found is not None and (not isinstance(found, int) or not 1 <= found <= item["options"]["max"]):
            raise wrong_value(item["name"])
        return found

    def check(self, item: Json, cell: Any) -> bool:
        if self.typecast and isinstance(cell, str | int):
            return str(cell).lower() in ("true", "1", "checked", "yes")
        if not isinstance(cell, bool):
            raise wrong_value(item["name"])
        return cell

    def day(self, item: Json, cell: Any) -> str:
        if self.typecast and isinstance(cell, str):
            cell = cell[:10]
        if not isinstance(cell, str) or (MOMENT.fullmatch(cell) and not DAY.fullmatch(cell)):
            raise wrong_value(item["name"])
        try:
            date.fromisoformat(cell if DAY.fullmatch(cell) else "")
        except ValueError:
            raise unreadable_date(item["name"], cell) from None
        return cell

    def moment(self, item: Json, cell: Any) -> str:
        """Text without an offset is in the zone of the field; a number is milliseconds since 1970."""
        try:
            if isinstance(cell, int | float) and not isinstance(cell, bool):
                return iso(int(cell))
            if not isinstance(cell, str):
                raise wrong_value(item["name"])
            if not MOMENT.fullmatch(cell):
                raise unreadable_date(item["name"], cell)
            found = datetime.fromisoformat(cell)
            if found.tzinfo is None:
                zone = item.get("options", {}).get("timeZone", "utc")
                found = found.replace(tzinfo=UTC if zone in ("utc", "client") else ZoneInfo(zone))
            return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        except (ValueError, OverflowError, OSError):
            raise unreadable_date(item["name"], str(cell)) from None

    def option(self, item: Json, cell: Any) -> str:
        if not isinstance(cell, str):
            raise wrong_value(item["name"])
        if any(one["name"] == cell for one in item["options"]["choices"]):
            return cell
        made = self.options.setdefault(item["id"], [])
        if not self.typecast or not cell:
            raise no_option(cell, is_quoted_twice=self.settings.option_quoted_twice)
        if cell not in made:
            made.append(cell)
        if len(item["options"]["choices"]) + len(made) > self.settings.most_options:
            raise wrong_value(item["name"])
        return cell

    def several_options(self, item: Json, cell: Any) -> list[str]:
        if self.typecast and isinstance(cell, str):
            cell = [one.strip() for one in cell.split(",")]
        if not isinstance(cell, list):
            raise wrong_value(item["name"])
        return list(dict.fromkeys(self.option(item, one) for one in cell))

    def links(self, item: Json, cell: Any) -> list[str]:
        if self.typecast and isinstance(cell, str):
            cell = cell.split(",") if self.settings.typecast_splits_commas else [cell]
        if not isinstance(cell, list) or not all(isinstance(one, str) for one in cell):
            raise no_record_ids()
        if self.typecast:
            cell = [one if RECORD_ID.fullmatch(one) else Named(one.strip()) for one in cell]
        elif not all(RECORD_ID.fullmatch(one) for one in cell):
            raise no_record_ids()
        return list(dict.fromkeys(cell))

    def check_links(self, item: Json, cell: Any) -> None:
        """Raises Refusal when a linked record is not in the table that the field links to."""
        wanted = item["options"]["linkedTableId"]
        for key in cell or ():
            if isinstance(key, Named):
                continue
            found = self.base.record(key)
            if found is None:
                raise no_row(key)
            if found[0].id != wanted:
                why = f"Record ID {key} belongs to table {found[0].id}, but the field links to table {wanted}"
                raise Refusal(422, "ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE", why)

    def attachments(self, item: Json, cell: Any) -> list[Json]:
        if not isinstance(cell, list) or not all(isinstance(one, dict) for one in cell):
            raise wrong_value(item["name"])
        found = []
        for one in cell:
            if "id" in one:
                kept = self.attachment(one["id"])
                if kept is None:
                    raise wrong_value(item["name"])
                found.append(kept | ({"filename": one["filename"]} if "filename" in one else {}))
            elif not isinstance(one.get("url"), str) or not one["url"].startswith(("http://", "https://")):
                raise wrong_value(item["name"])
            elif self.attachments_fail:
                self.failed_attachments += 1
            else:
                name = str(one.get("filename") or one["url"].rpartition("/")[2] or "attachment")
                key = identity("att", item["id"], one["url"], name)
                found.append(
                    {
                        "id": key,
                        "url": f"https://v5.airtableusercontent.example/{key}/{name}",
                        "filename": name,
                        "size": len(one["url"]),
                        "type": mimetypes.guess_type(name)[0] or "application/octet-stream",
                    }
                )
        return found

    def attachment(self, key: Any) -> Json | None:
        """Wherever in the base it is."""
        for table in self.base.tables:
            for item in table.fields:
                if item["type"] == "multipleAttachments":
                    for record in table.records.values():
                        for one in record.cells.get(item["id"], ()):
                            if one["id"] == key:
                                return dict(one)
        return None

    def user(self, item: Json, cell: Any) -> Json:
        for name in ("id", "email"):
            if isinstance(cell, dict) and name in cell:
                for user in USERS:
                    if user[name] == cell[name]:
                        return dict(user)
        raise wrong_value(item["name"])

    def users(self, item: Json, cell: Any) -> list[Json]:
        if not isinstance(cell, list):
            raise wrong_value(item["name"])
        return [self.user(item, {"id": one} if isinstance(one, str) else one) for one in cell]

    def barcode(self, item: Json, cell: Any) -> Json:
        is_one = isinstance(cell, dict) and isinstance(cell.get("text"), str)
        if not is_one or not set(cell) <= {"text", "type"}:
            raise wrong_value(item["name"])
        return dict(cell)


class Named(str):
    """A link that typecast makes: the text of the linked record's primary field."""


# A type that is not here is computed, or unknown: it takes nothing.
TAKES: dict[str, Callable[[Cells, Json, Any], Any]] = {
    "singleLineText": Cells.plain,
    "multilineText": Cells.plain,
    "email": Cells.plain,
    "url": Cells.plain,
    "phoneNumber": Cells.plain,
    "richText": Cells.rich,
    "number": Cells.number,
    "percent": Cells.number,
    "currency": Cells.number,
    "duration": Cells.number,
    "rating": Cells.rating,
    "checkbox": Cells.check,
    "date": Cells.day,
    "dateTime": Cells.moment,
    "singleSelect": Cells.option,
    "multipleSelects": Cells.several_options,
    "multipleRecordLinks": Cells.links,
    "multipleAttachments": Cells.attachments,
    "singleCollaborator": Cells.user,
    "multipleCollaborators": Cells.users,
    "barcode": Cells.barcode,
}
