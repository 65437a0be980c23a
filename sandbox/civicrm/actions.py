"""The actions of API v4: each record is written by itself, and stays when a later one is refused."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.civicrm.ledger import OF_PARTICIPANT, PENDING, Ledger, violation_of
from sandbox.civicrm.people import PLACE, People
from sandbox.civicrm.query import LOCATIONS, SUFFIXES, Query, comparison
from sandbox.civicrm.rows import STAMP, Rows, Trouble, key, moment, money, violation
from sandbox.civicrm.schema import CONTACT_TYPES, ENTITIES, READ_ONLY, V3_ONLY, Field
from sandbox.store import Json

COMMON = {"checkPermissions", "chain", "debug", "version", "language"}
PARAMETERS = {
    "get": {"select", "where", "orderBy", "limit", "offset", "having", "groupBy", "join"},
    "create": {"values", "reload"},
    "update": {"values", "where", "reload", "limit", "orderBy", "offset"},
    "save": {"records", "defaults", "match", "reload"},
    "replace": {"records", "defaults", "match", "reload", "where", "orderBy"},
    "delete": {"where", "limit", "orderBy"},
    "getFields": {"action", "loadOptions", "where", "select", "values", "includeCustom"},
    "getActions": {"select", "where"},
}
MORE_PARAMETERS = {
    ("Address", "create"): {"skipGeocode", "fixAddress"},
    ("Address", "update"): {"skipGeocode", "fixAddress"},
    ("Address", "save"): {"skipGeocode", "fixAddress"},
    ("Contact", "delete"): {"useTrash"},
    ("Payment", "create"): {"notificationForCompleteOrder", "disableActionsOnCompleteOrder"},
}
SPECIAL: dict[tuple[str, str], set[str]] = {
    ("Contact", "getDuplicates"): {"dedupeRule", "values"},
    ("Contact", "getMergedTo"): {"contactId"},
    ("Setting", "get"): {"select", "domainId"},
    ("Setting", "set"): {"values", "domainId"},
    ("Order", "create"): {"contributionValues", "lineItems"},
    ("Entity", "get"): {"select", "where", "limit", "offset", "orderBy"},
}
# What comes of parameters of a wrong shape; a client sees it as an error like any other.
SENSELESS = (TypeError, ValueError, KeyError, AttributeError, IndexError)
# Of these core gives those of contacts that the user may see, and no error.
OF_CONTACTS = ("Contact", *LOCATIONS.values(), "Participant", "Contribution")
EVENTS = ("access CiviCRM", "access CiviEvent")
MONEY = ("access CiviCRM", "access CiviContribute")
ADMIN = ("access CiviCRM", "administer CiviCRM data")
# Who may: by entity what get, create, update and delete need. Other entities: ADMIN to write.
PERMISSIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Contact": (
        ("access CiviCRM",),
        ("access CiviCRM", "add contacts"),
        ("access CiviCRM", "edit all contacts"),
        ("access CiviCRM", "delete contacts"),
    ),
    **{
        name: (("access CiviCRM",), *3 * [("access CiviCRM", "edit all contacts")])
        for name in LOCATIONS.values()
    },
    "Event": ((*EVENTS, "view event info"), *3 * [(*EVENTS, "edit all events")]),
    "Participant": (
        (*EVENTS, "view event participants"),
        (*EVENTS, "register for events"),
        *2 * [(*EVENTS, "edit event participants")],
    ),
    "Contribution": (
        MONEY,
        *2 * [(*MONEY, "edit contributions")],
        (*MONEY, "edit contributions", "delete in CiviContribute"),
    ),
    **{name: (MONEY, *3 * [(*MONEY, "edit contributions")]) for name in ("Payment", "Order", "LineItem")},
    "ParticipantPayment": (
        (*EVENTS, *MONEY),
        *3 * [("register for events", *MONEY, "edit contributions")],
    ),
}
CASCADES = {
    "Pending from pay later": ("Registered", "Cancelled"),
    "Pending from incomplete transaction": ("Registered", "Cancelled"),
    "On waitlist": ("Cancelled", "Pending from waitlist"),
    "Pending from waitlist": ("Registered", "Cancelled"),
    "Awaiting approval": ("Cancelled", "Pending from approval"),
    "Pending from approval": ("Registered", "Cancelled"),
}


class OutOfTime(Exception):
    """The server stopped a call that wrote too many records; those stay."""


@dataclass
class Who:
    """Whoever calls; `permissions` None may everything."""

    contact: int | None = None
    permissions: frozenset[str] | None = frozenset()

    def may(self, *needed: str) -> bool:
        return self.permissions is None or self.permissions.issuperset(needed)


@dataclass
class Result:
    values: Any
    count: int | None = None
    fetched: int | None = None
    matched: int | None = None
    more: Json = field(default_factory=dict)


class Actions:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.query = Query(rows)
        self.people = People(rows, self.query)
        self.ledger = Ledger(rows, self.query)
        self.ledger.set_status = self.set_status
        self.left: int | None = None  # records that this request may still write
        self.written = 0
        self.ends_with: Exception = OutOfTime()

    # -- who may, and what it takes

    def call(self, entity: str, action: str, params: Json, who: Who) -> Result:
        """Raises Trouble for what the API refuses, OutOfTime when the server cuts it short."""
        forced: Json = {}
        if entity in CONTACT_TYPES:
            forced, entity = {"contact_type": entity}, "Contact"
        known = entity in ENTITIES and entity not in V3_ONLY and action in PARAMETERS
        known = known or (entity == "Payment" and action in ("create", "get", "getFields"))
        if not known and (entity, action) not in SPECIAL:
            raise Trouble(
                f"API ({entity}, {action}) does not exist (or the extension it belongs to is not enabled)."
            )
        allowed = SPECIAL.get((entity, action)) or PARAMETERS[action]
        allowed = allowed | COMMON | MORE_PARAMETERS.get((entity, action), set())
        for name in params:
            if name not in allowed:
                raise Trouble(f"Unknown api parameter: {name}")
        if not self.is_allowed(entity, action, who):
            if action.startswith("get") and not who.may("access CiviCRM"):
                return Result([])  # seen: whoever says no key gets an empty list
            raise Trouble(f"Authorization failed: CiviCRM APIv4 ({entity}::{action})", status=403)
        for name in ("join", "having", "groupBy"):
            if params.get(name):
                raise Trouble(f"The sandbox's CiviCRM does not offer {name}.")
        if forced and action in PARAMETERS and action not in ("getFields", "getActions"):
            params = self.narrowed(params, forced)
        special = getattr(self, f"{entity}_{action}".lower(), None)
        work: Callable[..., Result] = special or getattr(self, f"do_{action.lower()}")
        result = work(params, who) if special else work(entity, params, who)
        for name, link in (params.get("chain") or {}).items():
            for row in result.values:
                row[name] = self.chained(link, row, who)
        return result

    @staticmethod
    def narrowed(params: Json, forced: Json) -> Json:
        found = dict(params)
        if "values" in params:
            found["values"] = {**params["values"], **forced}
        if "records" in params:
            found["defaults"] = {**params.get("defaults", {}), **forced}
        else:
            found["where"] = [*params.get("where", []), *([name, "=", it] for name, it in forced.items())]
        if "values" in params and not params.get("where"):
            found.pop("where")
        return found

    def is_allowed(self, entity: str, action: str, who: Who) -> bool:
        if action in ("getFields", "getActions", "getMergedTo", "getDuplicates") or entity == "Entity":
            return who.may("access CiviCRM")
        if entity == "Setting":
            return who.may("access CiviCRM") if action == "get" else who.may(*ADMIN)
        if entity in READ_ONLY and action != "get":
            return False
        default = (("access CiviCRM",), ADMIN, ADMIN, ADMIN)
        needed = PERMISSIONS.get(entity, default)
        places = {"get": (0,), "create": (1,), "update": (2,), "delete": (3,), "save": (1, 2)}
        return all(who.may(*needed[place]) for place in places.get(action, (1, 2, 3)))

    def chained(self, link: list[Any], row: Json, who: Who) -> Any:
        entity, action, params, *index = link

        def filled(part: Any) -> Any:
            if isinstance(part, dict):
                return {name: filled(one) for name, one in part.items()}
            if isinstance(part, list):
                return [filled(one) for one in part]
            if isinstance(part, str) and part.startswith("$"):
                found: Any = row
                if part[1:] in row:
                    return row[part[1:]]
                for step in part[1:].split("."):
                    found = found.get(step) if isinstance(found, dict) else None
                return found
            return part

        result = self.call(entity, action, filled(params or {}), who)
        return indexed(result.values, index[0] if index else None)

    def spend(self) -> None:
        """Before each record is written."""
        if self.left is not None:
            if self.left <= 0:
                raise self.ends_with
            self.left -= 1
        self.written += 1

    # -- reading

    def do_get(self, entity: str, params: Json, who: Who) -> Result:
        if entity in OF_CONTACTS and not who.may("view all contacts"):
            return Result([])
        return self.read(entity, params, self.query.listing(entity, params.get("where")), who)

    def read(self, entity: str, params: Json, rows: list[Json], who: Who) -> Result:
        select = params.get("select") or ["*"]
        for path, direction in reversed(list((params.get("orderBy") or {}).items())):
            try:
                rows.sort(key=lambda row: self.sorting(entity, row, path), reverse=direction == "DESC")
            except KeyError:
                raise Trouble(f"Invalid field '{path}'") from None
        offset, limit, matched = int(params.get("offset") or 0), int(params.get("limit") or 0), len(rows)
        page = rows[offset : offset + limit] if limit else rows[offset:]
        if select == ["row_count"]:
            return Result([], count=matched, fetched=0, matched=matched)
        has_custom = who.may("access all custom data")
        shown = [self.query.shown(entity, row, select, has_custom=has_custom) for row in page]
        if "row_count" in select:
            return Result(shown, count=matched, matched=matched)
        is_full = bool(limit) and len(page) == limit
        return Result(shown, count=len(page) if is_full else len(page) + offset)

    def sorting(self, entity: str, row: Json, path: str) -> Any:
        value = self.query.value(entity, row, path)
        if isinstance(value, list):
            value = ",".join(map(str, value))
        return (value is not None, isinstance(value, str), key(value) if value is not None else 0)

    def do_getfields(self, entity: str, params: Json, who: Who) -> Result:
        if entity == "Payment":
            entity = "FinancialTrxn"
        fields: list[tuple[Field, Json | None]] = [(item, None) for item in ENTITIES[entity].values()]
        if who.may("access all custom data"):
            fields += self.query.custom(entity).values()
        is_create = params.get("action") in ("create", "save")
        found = []
        for item, custom in fields:
            told: Json = {
                "name": item.name,
                "title": custom["label"] if custom else item.name.replace("_", " ").capitalize(),
                "type": "Custom" if custom else "Extra" if item.is_computed else "Field",
                "data_type": item.type,
                "required": is_create and item.is_required,
                "nullable": not item.is_filled,
                "readonly": bool(item.name == "id" or item.is_computed or (custom and custom["is_view"])),
                "serialize": 1 if item.is_list else None,
                "fk_entity": item.refers,
                "options": bool(item.options or item.name in ("contact_type", "currency", "fee_currency")),
                "entity": entity,
                "input_attrs": {"maxlength": item.length} if item.length else {},
                "custom_field_id": custom["id"] if custom else None,
                "custom_group": item.name.partition(".")[0] if custom else None,
            }
            wish = params.get("loadOptions")
            if wish and told["options"]:
                parts = [
                    {"id": value, "name": name, "label": label, "abbr": abbr}
                    for value, name, label, abbr in self.query.options(item)
                ]
                if isinstance(wish, list):
                    told["options"] = [{name: part.get(name) for name in wish} for part in parts]
                else:
                    told["options"] = {str(part["id"]): part["label"] for part in parts}
            found.append(told)
        return Result(filtered(found, params))

    def do_getactions(self, entity: str, params: Json, who: Who) -> Result:
        names = [*PARAMETERS, *(action for one, action in SPECIAL if one == entity)]
        return Result(filtered([{"name": name} for name in names], params))

    def entity_get(self, params: Json, who: Who) -> Result:
        names = sorted(set(ENTITIES) - set(V3_ONLY) | {"Payment", "Order", "Setting", "Entity"})
        return Result(filtered([{"name": name, "title": name} for name in names], params))

    # -- writing

    def clean(self, entity: str, values: Json, old: Json | None = None, who: Who | None = None) -> Json:
        """What of these values has a place: unknown names are dropped, unknown options become null."""
        found: Json = {}
        custom = self.query.custom(entity) if any("." in name for name in values) else {}
        has_custom = who is None or who.may("access all custom data")
        # A country first: states are looked up inside it.
        for name, value in sorted(values.items(), key=lambda item: not item[0].startswith("country_id")):
            plain, _, suffix = name.partition(":")
            own = custom.get(plain)
            item = own[0] if own else ENTITIES[entity].get(plain)
            if item is None:
                head, _, rest = plain.partition(".")
                link = ENTITIES[entity].get(head)
                if rest and link and link.refers and not link.is_computed:
                    target = ENTITIES[link.refers].get(rest)
                    rows = self.rows.find(link.refers, **{rest: value}) if target else []
                    found[head] = rows[0]["id"] if len(rows) == 1 else None
                continue
            if item.is_computed or (own and (own[1]["is_view"] or not has_custom)):
                continue
            if suffix:
                if suffix not in SUFFIXES:
                    continue
                value = self.query.value_of(item, suffix, value, {**(old or {}), **found})
            found[plain] = self.typed(item, value, is_custom=own is not None)
        return found

    def typed(self, item: Field, value: Any, *, is_custom: bool) -> Any:
        if value is None or (
            value == "" and (is_custom or item.is_unique or item.type not in ("String", "Text"))
        ):
            return None
        if item.is_list:
            parts = value if isinstance(value, list) else [value]
            return [str(part) for part in parts]
        try:
            if item.type == "Integer":
                return int(value)
            if item.type == "Money":
                return money(value)
            if item.type == "Float":
                return float(value)
        except (TypeError, ValueError, ArithmeticError):
            raise Trouble("DB Error: unknown error") from None
        if item.type == "Boolean":
            return value in (True, 1, "1", "true")
        if item.type in ("Timestamp", "Date"):
            found = moment(value, self.rows.zone, self.rows.clock())
            return found[:10] if found and item.type == "Date" else found
        text = str(value)
        if item.length and len(text) > item.length:
            if self.rows.settings.long_text == "refuse":
                raise Trouble("DB Error: unknown error")
            text = text[: item.length]
        return text

    def write(self, entity: str, old: Json | None, values: Json, who: Who | None = None) -> Json:
        """One record, made or changed. Returns what the API answers: what was written, and the id."""
        self.spend()
        clean = self.clean(entity, values, old, who)
        clean.pop("id", None)
        answer = dict(clean)
        if old is None:
            self.check_required(entity, clean)
        if entity == "Contact":
            row, more = self.write_contact(old, clean, values)
            answer |= more
        elif entity in LOCATIONS.values():
            row = self.people.write_location(entity, old, clean)
        elif entity == "Participant":
            with self.rows.at_once():
                row = self.write_participant(old, clean)
        elif entity == "Contribution":
            with self.rows.at_once():
                row = self.ledger.create(clean) if old is None else self.ledger.update(old, clean)
            for name in ("net_amount", "contribution_status_id", "receive_date", "currency"):
                if old is None:
                    answer.setdefault(name, row[name])
        elif entity in ("CustomGroup", "CustomField") and old is None:
            words = str(clean.get("title") or clean.get("label"))
            row = self.rows.insert(entity, {"name": "_".join(words.split())} | clean)
        else:
            row = (
                self.rows.insert(entity, clean) if old is None else self.rows.change(entity, old["id"], clean)
            )
        is_null = old is not None and self.rows.settings.custom_null_in_update
        for name, value in answer.items():
            item = ENTITIES[entity].get(name)
            if item and item.type == "Timestamp" and isinstance(value, str):
                answer[name] = datetime.strptime(value, STAMP).strftime("%Y%m%d%H%M%S")  # noqa: DTZ007
            elif "." in name and item is None and is_null and name in self.query.custom(entity):
                answer[name] = None
            elif item and name in row and not isinstance(value, str):
                answer[name] = row[name]
        return {"id": row["id"], **answer}

    def check_required(self, entity: str, clean: Json) -> None:
        needed = [item.name for item in ENTITIES[entity].values() if item.is_required]
        if entity == "Event" and clean.get("is_template"):
            needed = []
        missing = [name for name in needed if clean.get(name) in (None, "")]
        if missing:
            raise Trouble(
                f"Mandatory values missing from Api4 {entity}::create: {', '.join(missing)}",
                code="mandatory_missing",
            )

    def write_contact(self, old: Json | None, clean: Json, values: Json) -> tuple[Json, Json]:
        places: dict[tuple[str, str], Json] = {}
        for name, value in values.items():
            if match := PLACE.fullmatch(name):
                kind, which, part = match.groups()
                places.setdefault((kind, which), {})[part] = value
        if old is None:
            is_organization = "organization_name" in clean
            clean.setdefault("contact_type", "Organization" if is_organization else "Individual")
            clean["created_date"] = self.rows.now()
        clean["modified_date"] = self.rows.now()
        row = (
            self.rows.insert("Contact", clean)
            if old is None
            else self.rows.change("Contact", old["id"], clean)
        )
        written: Json = {}
        for (kind, which), parts in places.items():
            entity = LOCATIONS[kind]
            flagged = self.rows.first(entity, contact_id=row["id"], **{f"is_{which}": True})
            tidy = self.clean(entity, parts, flagged)
            written |= self.people.write_places(row["id"], {(kind, which): tidy})
        names = self.people.named(row)
        self.rows.change("Contact", row["id"], names)
        return row | names, {"display_name": names["display_name"], **written}

    def write_participant(self, old: Json | None, clean: Json) -> Json:
        if clean.get("fee_amount") is not None and not (
            clean.get("fee_currency") or (old or {}).get("fee_currency")
        ):
            clean["fee_currency"] = self.rows.settings.currency
        if old is None:
            event = self.rows.get("Event", clean["event_id"])
            if not clean.get("role_id"):
                clean["role_id"] = [str((event or {}).get("default_role_id") or 1)]
            row = self.rows.insert("Participant", clean)
        else:
            row = self.rows.change("Participant", old["id"], clean)
        if old is None or row["status_id"] != old["status_id"]:
            title = (self.rows.get("Event", row["event_id"]) or {}).get("title", "")
            status = self.status_name(row["status_id"])
            self.ledger.activity("Event Registration", row["contact_id"], row["id"], f"{title} - {status}")
        if old is not None and row["status_id"] != old["status_id"]:
            self.cascade(row, old["status_id"])
        return row

    def cascade(self, row: Json, before: int) -> None:
        """Some moves of who registered others move those of the same status too."""
        if self.status_name(row["status_id"]) not in CASCADES.get(self.status_name(before), ()):
            return
        for other in self.rows.find("Participant", registered_by_id=row["id"]):
            if other["id"] != row["id"] and other["status_id"] == before:
                self.write_participant(other, {"status_id": row["status_id"]})

    def status_name(self, number: int) -> str:
        row = self.rows.get("ParticipantStatusType", number)
        return str(row["name"]) if row else ""

    def set_status(self, participant: int, name: str) -> None:
        status = self.rows.first("ParticipantStatusType", name=name)
        row = self.rows.get("Participant", participant)
        if status and row and row["status_id"] != status["id"]:
            self.write_participant(row, {"status_id": status["id"]})

    def do_create(self, entity: str, params: Json, who: Who) -> Result:
        values = params.get("values") or {}
        if values.get("id") is not None:
            raise Trouble("Cannot pass id to Create action. Use Update action instead.")
        return self.reloaded(entity, params, [self.write(entity, None, values, who)], who)

    def do_update(self, entity: str, params: Json, who: Who) -> Result:
        values, where = dict(params.get("values") or {}), params.get("where")
        number = values.pop("id", None)
        if not where and number is None:
            raise Trouble('Parameter "where" is required unless primary keys are supplied in values.')
        where = where or [["id", "=", number]]
        is_direct = len(where) == 1 and where[0][:2] == ["id", "="]
        if is_direct and number is not None and str(where[0][2]) != str(number):
            raise Trouble(f"Cannot update the id of an existing {entity}.")
        rows = self.query.listing(entity, where, has_hidden=is_direct)
        if is_direct and not rows and self.rows.settings.update_of_missing_id == "echo":
            return Result([{"id": where[0][2], **values}])
        found = [self.write(entity, row, values, who) for row in rows]
        return self.reloaded(entity, params, found, who)

    def do_save(self, entity: str, params: Json, who: Who) -> Result:
        found, updates = [], 0
        for record in params.get("records") or []:
            values = {**(params.get("defaults") or {}), **record}
            old = self.existing(entity, values, params.get("match") or [])
            values.pop("id", None)
            updates += old is not None
            found.append(self.write(entity, old, values, who))
        result = self.reloaded(entity, params, found, who)
        result.matched = updates
        return result

    def existing(
        self, entity: str, values: Json, match: Iterable[str], within: list[Json] | None = None
    ) -> Json | None:
        """The row that a record of `save` means: by its id, or the only one of the same match fields."""
        if values.get("id") is not None:
            row = self.rows.get(entity, int(values["id"]))
            if row is None:
                raise violation()
            return row
        names = list(match)
        if not names:
            return None
        clean = self.clean(entity, values)
        if any(name not in clean for name in names):
            return None
        where = [
            [name, "IS EMPTY"] if clean[name] in (None, "") else [name, "=", clean[name]] for name in names
        ]
        rows = self.query.listing(entity, where)
        if within is not None:
            ids = {row["id"] for row in within}
            rows = [row for row in rows if row["id"] in ids]
        return rows[0] if len(rows) == 1 else None

    def do_replace(self, entity: str, params: Json, who: Who) -> Result:
        where = params.get("where")
        if not where:
            raise Trouble('Parameter "where" is required.')
        before = self.query.listing(entity, where)
        fixed = {clause[0]: clause[2] for clause in where if len(clause) > 2 and clause[1] == "="}
        found = []
        for record in params.get("records") or []:
            values = {**fixed, **(params.get("defaults") or {}), **record}
            old = self.existing(entity, values, params.get("match") or [], before)
            values.pop("id", None)
            found.append(self.write(entity, old, values, who))
        kept = {row["id"] for row in found}
        for row in before:
            if row["id"] not in kept and row["id"] in self.rows.tables[entity]:
                self.spend()
                self.remove(entity, row)
        return self.reloaded(entity, params, found, who)

    def do_delete(self, entity: str, params: Json, who: Who) -> Result:
        where = params.get("where")
        if not where:
            raise Trouble('Parameter "where" is required.')
        is_direct = len(where) == 1 and where[0][0] == "id"
        found = []
        for row in self.query.listing(entity, where, has_hidden=is_direct):
            self.spend()
            self.remove(entity, row, use_trash=params.get("useTrash", True))
            found.append({"id": str(row["id"]) if self.rows.settings.ids_as_text else row["id"]})
        return Result(found)

    def remove(self, entity: str, row: Json, *, use_trash: bool = True) -> None:
        if entity == "Contact" and use_trash:
            self.people.trash(row["id"])
        elif entity in LOCATIONS.values():
            self.people.delete_location(entity, row)
        elif entity == "Contribution":
            self.ledger.delete(row["id"])
        else:
            self.rows.remove(entity, row["id"])

    def reloaded(self, entity: str, params: Json, found: list[Json], who: Who) -> Result:
        reload = params.get("reload")
        if not reload:
            return Result(found)
        select = reload if isinstance(reload, list) else ["*"]
        has_custom = who.may("access all custom data")
        rows = (self.rows.get(entity, row["id"]) for row in found)
        return Result(
            [self.query.shown(entity, row, select, has_custom=has_custom) for row in rows if row is not None]
        )

    # -- actions of their own

    def contact_getduplicates(self, params: Json, who: Who) -> Result:
        rule, values = self.people.rule(params.get("dedupeRule")), dict(params.get("values") or {})
        if key(values.get("contact_type", rule["contact_type"])) != key(rule["contact_type"]):
            raise Trouble("Mismatched contact type.")
        found = self.people.duplicates(rule, values)
        as_text = self.rows.settings.ids_as_text
        return Result([{"id": str(number) if as_text else number} for number in found])

    def contact_getmergedto(self, params: Json, who: Who) -> Result:
        if params.get("contactId") is None:
            raise Trouble('Parameter "contactId" is required.')
        found = self.people.merged_to(int(params["contactId"]))
        return Result([] if found is None else [{"id": found}])

    def site_settings(self) -> Json:
        own = {
            "defaultCurrency": self.rows.settings.currency,
            "contact_undelete": True,
            "lcMessages": "en_US",
            "defaultContactCountry": 1228,
        }
        return own | self.rows.store.recall("civicrm_settings", {})

    def setting_get(self, params: Json, who: Who) -> Result:
        found = self.site_settings()
        names = params.get("select") or list(found)
        names = list(found) if names == ["*"] else names
        for name in names:
            if name not in found:
                raise Trouble(f"Unknown settings for domain 1: {name}")
        return Result([{"name": name, "value": found[name], "domain_id": 1} for name in names])

    def setting_set(self, params: Json, who: Who) -> Result:
        kept = self.rows.store.recall("civicrm_settings", {}) | dict(params.get("values") or {})
        self.rows.store.remember("civicrm_settings", kept)
        wish = params.get("values") or {}
        return Result([{"name": name, "value": value, "domain_id": 1} for name, value in wish.items()])

    def payment_create(self, params: Json, who: Who) -> Result:
        values = dict(params.get("values") or {})
        missing = [name for name in ("contribution_id", "total_amount") if values.get(name) in (None, "")]
        if missing:
            raise Trouble(f"Mandatory values missing from Api4 Payment::create: {', '.join(missing)}")
        self.spend()
        extra = {name: values.pop(name, None) for name in ("contribution_id", "total_amount", "fee_amount")}
        clean = self.clean("FinancialTrxn", values)
        amounts = {name: money(value) for name, value in extra.items() if value is not None}
        with self.rows.at_once():
            trxn = self.ledger.pay(
                clean | amounts | {"contribution_id": int(extra["contribution_id"])},
                does_complete=not params.get("disableActionsOnCompleteOrder", False),
                does_mail=params.get("notificationForCompleteOrder", True) is not False,
            )
        return Result([trxn])

    def payment_get(self, params: Json, who: Who) -> Result:
        clauses = (clause for clause in params.get("where") or [] if clause[:2] == ["contribution_id", "="])
        one = next(clauses, None)
        found = [
            row | {"contribution_id": number}
            for number in ([int(one[2])] if one else self.rows.tables["Contribution"])
            for row in self.query.payments(number)
            if row["is_payment"]
        ]
        return Result(filtered(found, params))

    def order_create(self, params: Json, who: Who) -> Result:
        self.spend()
        lines = params.get("lineItems") or []
        values = self.clean("Contribution", params.get("contributionValues") or {})
        return Result([self.order(values, lines)])

    def order(self, values: Json, lines: list[Json]) -> Json:
        """A pending contribution of these lines, with the participants that they ask for."""
        total: Json = {"total_amount": money(sum(money(line.get("line_total")) for line in lines))}
        values = total | values
        values |= {"contribution_status_id": PENDING}
        values.setdefault("invoice_id", secrets.token_hex(16))
        self.check_required("Contribution", values)
        with self.rows.at_once():
            row = self.ledger.create(values, has_lines=True)
            for line in lines:
                wish = {
                    name.removeprefix("entity_id."): value
                    for name, value in line.items()
                    if name.startswith("entity_id.")
                }
                clean = self.clean(
                    "LineItem", {n: v for n, v in line.items() if not n.startswith("entity_id.")}
                )
                is_participant = clean.get("entity_table") == OF_PARTICIPANT
                if wish and is_participant:
                    status = self.rows.first(
                        "ParticipantStatusType", name="Pending from incomplete transaction"
                    )
                    parts = self.clean("Participant", wish)
                    parts.setdefault("status_id", status["id"] if status else None)
                    if clean.get("entity_id"):
                        old = self.rows.get("Participant", clean["entity_id"])
                        if old is None:
                            raise violation_of("entity_id", clean["entity_id"])
                        self.write_participant(old, parts)
                    else:
                        self.check_required("Participant", parts)
                        clean["entity_id"] = self.write_participant(None, parts)["id"]
                if not is_participant and not clean.get("entity_id"):
                    clean |= {"entity_table": "civicrm_contribution", "entity_id": row["id"]}
                clean.setdefault("qty", 1.0)
                clean.setdefault("unit_price", money(clean.get("line_total", 0) / (clean["qty"] or 1)))
                financial_type = {"financial_type_id": row["financial_type_id"]}
                made = self.ledger.add_line(financial_type | clean | {"contribution_id": row["id"]})
                self.ledger.item(row, made, made["line_total"], 3)
        return row


def filtered(found: list[Json], params: Json) -> list[Json]:
    """`where`, `select`, `limit` and `offset` over what is no table."""
    for clause in params.get("where") or []:
        compare = comparison(clause[1], clause[2] if len(clause) > 2 else None)
        found = [row for row in found if compare(row.get(clause[0]))]
    offset, limit = int(params.get("offset") or 0), int(params.get("limit") or 0)
    found = found[offset : offset + limit] if limit else found[offset:]
    select = params.get("select") or ["*"]
    if "*" in select:
        return found
    return [{name: row[name] for name in select if name in row} for row in found]


def indexed(values: Any, index: Any) -> Any:
    """A list, an object by a field, or one record by its place."""
    if index is None:
        return values
    if isinstance(index, int):
        if not values or index >= len(values):
            raise Trouble("Index not found in result")
        return values[index]
    if isinstance(index, dict):
        name, column = next(iter(index.items()))
        return {str(row.get(name)): row.get(column) for row in values}
    if isinstance(index, list):
        return [row.get(index[0]) for row in values]
    return {str(row.get(index)): row for row in values}
