"""Making and renaming tables and fields as Airtable's metadata API takes it."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.bases import COLORS, Base, Bases, Table
from sandbox.cells import TAKES
from sandbox.refusals import Refusal, not_yours, wrong_parameter
from sandbox.store import Json
from sandbox.switches import Settings

LONGEST_DESCRIPTION = 20_000
LONGEST_NAME = 255
MOST_FIELDS = 500
PRIMARY = (
    "singleLineText",
    "multilineText",
    "email",
    "url",
    "phoneNumber",
    "number",
    "percent",
    "currency",
    "duration",
    "date",
    "dateTime",
    "barcode",
)
DATES = {"local": "l", "friendly": "LL", "us": "M/D/YYYY", "european": "D/M/YYYY", "iso": "YYYY-MM-DD"}
TIMES = {"12hour": "h:mma", "24hour": "HH:mm"}
DURATIONS = ("h:mm", "h:mm:ss", "h:mm:ss.S", "h:mm:ss.SS", "h:mm:ss.SSS")
COMPUTED = (
    "formula",
    "rollup",
    "multipleLookupValues",
    "count",
    "autoNumber",
    "createdTime",
    "lastModifiedTime",
    "createdBy",
    "lastModifiedBy",
    "button",
    "aiText",
    "externalSyncSource",
)
Check = Callable[[Any], bool]


class BadOptions(Exception):
    """What is wrong with the options of a field to be made."""


def is_word(found: Any) -> bool:
    return isinstance(found, str) and bool(found)


def up_to(most: int, least: int = 0) -> Check:
    return lambda found: type(found) is int and least <= found <= most


def is_zone(found: Any) -> bool:
    if found not in ("utc", "client"):
        try:
            ZoneInfo(found)
        except (ValueError, TypeError, OSError):
            found = "UTC"
        if found == "UTC":  # lower case only
            raise BadOptions(f'Invalid timezone "{found}"')
    return True


def is_named(*names: str) -> Check:
    return lambda found: (
        isinstance(found, dict) and set(found) <= {"name", "format"} and found.get("name") in names
    )


def are_choices(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(one, dict) and is_word(one.get("name")) and set(one) <= {"name", "color"} for one in found
    )


CHOICES: dict[str, Check] = {"choices": are_choices}
# What a field needs when it is made. Types that are not here need nothing.
OPTIONS: dict[str, dict[str, Check]] = {
    "number": {"precision": up_to(8)},
    "percent": {"precision": up_to(8)},
    "currency": {"precision": up_to(7), "symbol": is_word},
    "rating": {"icon": is_word, "max": up_to(10, 1), "color": is_word},
    "duration": {"durationFormat": lambda found: found in DURATIONS},
    "checkbox": {"icon": is_word, "color": is_word},
    "date": {"dateFormat": is_named(*DATES)},
    "dateTime": {"timeZone": is_zone, "dateFormat": is_named(*DATES), "timeFormat": is_named(*TIMES)},
    "singleSelect": CHOICES,
    "multipleSelects": CHOICES,
    "multipleRecordLinks": {"linkedTableId": is_word},
}
ALLOWED = {"multipleRecordLinks": {"viewIdForRecordSelection"}}


class Schemas:
    """Each method raises Refusal, and then nothing is made."""

    def __init__(self, bases: Bases, settings: Settings) -> None:
        self.bases, self.settings = bases, settings

    def create_table(self, base: Base, body: Json) -> Table:
        check_body(body, {"name", "description", "fields"})
        wishes = body.get("fields")
        if not isinstance(wishes, list) or not 1 <= len(wishes) <= MOST_FIELDS:
            raise wrong_parameter()
        name = self.table_name(base, body.get("name"))
        for wish in wishes:
            check_body(wish, {"name", "type", "options", "description"})
        names = [wish.get("name") for wish in wishes]
        for place, one in enumerate(names):
            check_name(one, names[:place])
        table = Table("", name, [], [], "", body.get("description"))
        for wish in wishes:
            self.check_field(base, table, wish)
        if wishes[0]["type"] not in PRIMARY:
            raise wrong_parameter()
        with self.bases.at_once():
            table.id = self.bases.new_id("tbl", base.id, name)
            base.tables.append(table)
            for wish in wishes:
                self.add_field(base, table, wish)
            table.primary = table.fields[0]["id"]
            grid = {"id": self.bases.new_id("viw", table.id), "name": "Grid view", "type": "grid"}
            table.views.append(grid)
            self.bases.keep_schema(base)
        return table

    def create_field(self, base: Base, table: Table, body: Json) -> Json:
        check_body(body, {"name", "type", "options", "description"})
        check_name(body.get("name"), [item["name"] for item in table.fields])
        self.check_field(base, table, body)
        if len(table.fields) >= MOST_FIELDS:
            raise wrong_parameter()
        with self.bases.at_once():
            item = self.add_field(base, table, body)
            self.bases.keep_schema(base)
        return item

    def change_table(self, base: Base, table: Table, body: Json) -> Table:
        check_body(body, {"name", "description"}, needs_one=True)
        if "name" in body and body["name"] != table.name:
            table.name = self.table_name(base, body["name"], but=table)
        table.description = body.get("description", table.description)
        self.bases.keep_schema(base)
        return table

    def change_field(self, base: Base, table: Table, item: Json, body: Json) -> Json:
        known = {"name", "description"} | ({"options"} if self.settings.options_can_be_changed else set())
        check_body(body, known, needs_one=True)
        if "name" in body:
            check_name(body["name"], [one["name"] for one in table.fields if one is not item])
        choices = self.changed_choices(item, body["options"]) if "options" in body else None
        item |= {key: body[key] for key in ("name", "description") if key in body}
        if choices is not None:
            item["options"] = {**item["options"], "choices": choices}
        self.bases.keep_schema(base)
        return item

    def changed_choices(self, item: Json, options: Any) -> list[Json]:
        """All choices of a select field: those that stay by their id, new ones by name."""
        wishes = options.get("choices") if isinstance(options, dict) else None
        old = {one["id"]: one for one in item.get("options", {}).get("choices", [])}
        if item["type"] not in ("singleSelect", "multipleSelects") or not isinstance(wishes, list):
            raise wrong_parameter()
        found: list[Json] = []
        for wish in wishes:
            if not isinstance(wish, dict) or wish.get("id", next(iter(old), None)) not in old:
                raise wrong_parameter()
            kept = old[wish["id"]] if "id" in wish else {"id": self.bases.new_id("sel", item["id"])}
            if not is_word(wish.get("name", kept.get("name"))):
                raise wrong_parameter()
            color = {"color": COLORS[len(found) % len(COLORS)]}
            found.append({**color, **kept, **{key: wish[key] for key in ("name", "color") if key in wish}})
        if not set(old) <= {one["id"] for one in found}:
            raise wrong_parameter()
        return found

    # -- parts

    def table_name(self, base: Base, name: Any, *, but: Table | None = None) -> str:
        if not is_word(name) or len(name) > LONGEST_NAME:
            raise wrong_parameter()
        others = {one.name.casefold() for one in base.tables if one is not but}
        if name.casefold() in others and not self.settings.tables_share_names:
            raise Refusal(422, "DUPLICATE_TABLE_NAME", f'There is already a table named "{name}"')
        return str(name)

    def check_field(self, base: Base, table: Table, wish: Json) -> None:
        kind, options = wish.get("type"), wish.get("options") or {}
        if kind in COMPUTED:
            if not self.settings.computed_can_be_created:
                why = f"Creating {kind} fields is not supported at this time"
                raise Refusal(422, "UNSUPPORTED_FIELD_TYPE_FOR_CREATE", why)
            link = table.field(str(options.get("recordLinkFieldId")))
            if kind in ("count", "multipleLookupValues") and link is None:
                raise wrong_parameter()
            return
        if not isinstance(kind, str) or kind not in TAKES:
            raise wrong_parameter()
        try:
            check_options(kind, wish.get("options"))
        except BadOptions as error:
            why = f"Invalid options for {table.name}.{wish['name']}: {error}"
            raise Refusal(422, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", why) from None
        if kind == "multipleRecordLinks" and base.table(options["linkedTableId"]) is None:
            raise not_yours()
        if kind in ("singleSelect", "multipleSelects"):
            names = [one["name"] for one in options["choices"]]
            if len(names) > self.settings.most_options or len({*names}) < len(names):
                raise wrong_parameter()

    def add_field(self, base: Base, table: Table, wish: Json) -> Json:
        item: Json = {"id": self.bases.new_id("fld", table.id), "name": wish["name"], "type": wish["type"]}
        if wish.get("description"):
            item["description"] = wish["description"]
        options = self.options(base, table, item, wish.get("options") or {})
        if options:
            item["options"] = options
        table.fields.append(item)
        for view in table.views:
            if "visibleFieldIds" in view:
                view["visibleFieldIds"].append(item["id"])
        return item

    def options(self, base: Base, table: Table, item: Json, wish: Json) -> Json:
        """As they read back."""
        found = dict(wish)
        if "dateFormat" in wish:
            found["dateFormat"] = {**wish["dateFormat"], "format": DATES[wish["dateFormat"]["name"]]}
        if "timeFormat" in wish:
            found["timeFormat"] = {**wish["timeFormat"], "format": TIMES[wish["timeFormat"]["name"]]}
        if "choices" in wish:
            found["choices"] = [
                {
                    "id": self.bases.new_id("sel", item["id"]),
                    "name": one["name"],
                    "color": one.get("color", COLORS[place % len(COLORS)]),
                }
                for place, one in enumerate(wish["choices"])
            ]
        if item["type"] == "multipleAttachments":
            found = {"isReversed": False}
        if item["type"] == "multipleRecordLinks":
            found |= {"isReversed": False, "prefersSingleRecordLink": False}
            other = base.table(wish["linkedTableId"])
            if other and other is not table:
                found["inverseLinkFieldId"] = self.inverse(table, other, item)
        return found

    def inverse(self, table: Table, other: Table, item: Json) -> str:
        """The field that a link makes on its other side, called after the table it comes from."""
        names = {one["name"].casefold() for one in other.fields}
        name, number = table.name, 1
        while name.casefold() in names:
            number += 1
            name = f"{table.name} {number}"
        key = self.bases.new_id("fld", other.id)
        options = {"linkedTableId": table.id, "isReversed": False, "prefersSingleRecordLink": False}
        other.fields.append(
            {
                "id": key,
                "name": name,
                "type": "multipleRecordLinks",
                "options": {**options, "inverseLinkFieldId": item["id"]},
            }
        )
        return key


def check_body(body: Any, known: set[str], *, needs_one: bool = False) -> None:
    if not isinstance(body, dict) or not set(body) <= known or (needs_one and not body):
        raise wrong_parameter()
    described = body.get("description")
    if not isinstance(described, str | None) or len(described or "") > LONGEST_DESCRIPTION:
        raise wrong_parameter()


def check_name(name: Any, others: list[Any]) -> None:
    is_taken = is_word(name) and name.casefold() in {str(one).casefold() for one in others}
    if not is_word(name) or not name.strip() or is_taken:
        raise Refusal(422, "DUPLICATE_OR_EMPTY_FIELD_NAME", "Field names cannot be empty or duplicated")
    if len(name) > LONGEST_NAME:
        raise wrong_parameter()


def check_options(kind: str, options: Any) -> None:
    """Raises BadOptions."""
    needed = OPTIONS.get(kind, {})
    if options is None and needed:
        raise BadOptions("Failed schema validation: options is missing")
    if options is None:
        return
    if not isinstance(options, dict):
        raise BadOptions("Failed schema validation: options is not an object")
    for name in options:
        if name not in needed and name not in ALLOWED.get(kind, ()):
            raise BadOptions(f"Failed schema validation: {name} is not allowed")
    for name, is_right in needed.items():
        if name not in options:
            raise BadOptions(f"Failed schema validation: {name} is missing")
        if not is_right(options[name]):
            raise BadOptions(f"Failed schema validation: {name} is invalid")
