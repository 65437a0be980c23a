"""API v3, as far as v4 does not replace it: flat parameters, text for values, HTTP 200 for errors."""

import contextlib
from typing import Any

from sandbox.civicrm.actions import ADMIN, PERMISSIONS, SENSELESS, Actions, Who
from sandbox.civicrm.ledger import violation_of
from sandbox.civicrm.query import LOCATIONS
from sandbox.civicrm.rows import Trouble, money
from sandbox.civicrm.schema import ENTITIES, Field
from sandbox.store import Json

# What is said beside the fields.
WORDS = {"version", "sequential", "options", "return", "check_permissions", "debug", "api_key", "key", "json"}
ALIASES = {
    "participant_status": "status_id",
    "participant_status_id": "status_id",
    "participant_role": "role_id",
    "participant_role_id": "role_id",
    "participant_source": "source",
    "participant_register_date": "register_date",
    "instrument_id": "payment_instrument_id",
    "contribution_source": "source",
}
LIMIT = 25
NEEDS = {
    "ParticipantPayment": ("participant_id", "contribution_id"),
    "Payment": ("contribution_id", "total_amount"),
    "Participant": ("contact_id", "event_id"),
    "Contact": ("contact_type",),
    "Order": ("contact_id", "financial_type_id"),
}


class Version3:
    def __init__(self, actions: Actions) -> None:
        self.actions, self.rows, self.query = actions, actions.rows, actions.query

    def call(self, entity: str, action: str, params: Json, who: Who) -> Json:
        """The whole answer, of an error too."""
        if (entity.lower(), action.lower()) == ("api3", "call"):
            return {name: self.call(one[0], one[1], dict(one[2]), who) for name, one in params.items()}
        known = {name.lower(): name for name in (*ENTITIES, "Payment", "Order", "Setting", "System")}
        entity = known.get(entity.replace("_", "").lower(), entity)
        action = action.lower()
        try:
            work = getattr(self, f"{entity.lower()}_{action}", None)
            if work is None and (entity not in ENTITIES or not hasattr(self, f"do_{action}")):
                raise Trouble(f"API ({entity}, {action}) does not exist", code="not-found")
            self.check_permission(entity, action, who)
            if params.get("sequential") in ("0", 0):
                params = {name: value for name, value in params.items() if name != "sequential"}
            is_reading = action.startswith("get") or action == "duplicatecheck"
            with contextlib.nullcontext() if is_reading else self.rows.at_once():
                found = work(params) if work else getattr(self, f"do_{action}")(entity, params)
        except SENSELESS as error:
            text = f"This makes no sense to the sandbox: {error!r}"
            return {"is_error": 1, "error_message": text, "entity": entity, "action": action}
        except Trouble as trouble:
            told = {"is_error": 1, "error_code": trouble.code, "error_message": trouble.message}
            return told | trouble.more | {"entity": entity, "action": action}
        if isinstance(found, list):
            return self.told(found, params)
        return found if isinstance(found, dict) else {"result": found}

    def told(self, found: list[Json], params: Json) -> Json:
        answer: Json = {"is_error": 0, "version": 3, "count": len(found)}
        if len(found) == 1 and "id" in found[0]:
            answer["id"] = int(found[0]["id"])
        if params.get("sequential"):
            return answer | {"values": found}
        return answer | {"values": {str(row.get("id", place)): row for place, row in enumerate(found)}}

    def check_permission(self, entity: str, action: str, who: Who) -> None:
        default = (("access CiviCRM",), ADMIN, ADMIN, ADMIN)
        needed = PERMISSIONS.get(entity, default)
        place = (
            0 if action.startswith("get") or action == "duplicatecheck" else 3 if action == "delete" else 1
        )
        if not who.may(*needed[place]):
            raise Trouble(
                f"API permission check failed for {entity}/{action} call; insufficient permission: "
                f"require {' and '.join(needed[place])}",
                code="unauthorized",
            )

    # -- fields

    def fields_of(self, entity: str) -> dict[str, Field]:
        found = dict(ENTITIES[entity])
        for item, custom in self.query.custom(entity).values():
            found[f"custom_{custom['id']}"] = item
        return found

    def option(self, field: Field, word: Any) -> Any:
        """Names may stand where values do."""
        if isinstance(word, list):
            return [self.option(field, one) for one in word]
        if not field.options or word in (None, "") or str(word).lstrip("-").isdigit():
            return word
        for suffix in ("name", "label", "abbr"):
            found = self.query.value_of(field, suffix, word)
            if found not in (None, []):
                return found
        raise Trouble(f"'{word}' is not a valid option for field {field.name}", code=2001)

    def values(self, entity: str, params: Json) -> Json:
        """Parameters as v4 has them: custom fields by name, "null" for null."""
        found: Json = {}
        fields = self.fields_of(entity)
        for name, value in params.items():
            plain = ALIASES.get(name, name) if ALIASES.get(name, name) in fields else name
            if entity == "Contact" and name in ("email", "phone"):
                found[f"{name}_primary.{name}"] = value
            elif plain in fields and name not in WORDS:
                item = fields[plain]
                found[item.name] = None if value == "null" else self.option(item, value)
                refers = item.refers
                if refers and found[item.name] not in (None, ""):
                    number = found[item.name]
                    if not str(number).isdigit() or self.rows.get(refers, int(number)) is None:
                        raise violation_of(name, number)
        return found

    def need(self, params: Json, names: tuple[str, ...]) -> None:
        missing = [name for name in names if params.get(name) in (None, "")]
        if missing:
            raise Trouble(
                f"Mandatory key(s) missing from params array: {', '.join(missing)}",
                code="mandatory_missing",
                fields=missing,
            )

    def wire(self, entity: str, row: Json, params: Json) -> Json:
        """Everything as text; what is empty is left out."""
        found: Json = {}
        for name, item in self.fields_of(entity).items():
            if not item.is_computed and name != "api_key" and (value := row.get(item.name)) is not None:
                found[name] = as_text(value, item)
        if entity == "Contact":
            found["contact_id"] = found["id"]
            for kind, place in LOCATIONS.items():
                main = self.rows.first(place, contact_id=row["id"], is_primary=True)
                if main and kind != "address":
                    found[kind] = main[kind]
        elif entity == "Participant":
            found["participant_id"] = found["id"]
            found["participant_status"] = self.actions.status_name(row["status_id"])
        wish = params.get("return")
        if wish:
            names = wish.split(",") if isinstance(wish, str) else list(wish)
            found = {name: value for name, value in found.items() if name in ("id", *map(str.strip, names))}
        return found

    # -- any entity

    def listing(self, entity: str, params: Json) -> list[Json]:
        fields, where = self.fields_of(entity), []
        for name, value in params.items():
            plain = ALIASES.get(name, name) if ALIASES.get(name, name) in fields else name
            if entity == "Contact" and name in ("email", "phone"):
                where.append([f"{name}_primary.{name}", "=", value])
            elif (plain in fields and name not in WORDS) or name == f"{entity.lower()}_id":
                item = fields.get(plain) or fields["id"]
                operator, word = next(iter(value.items())) if isinstance(value, dict) else ("=", value)
                where.append([item.name, operator, self.option(item, word)])
        return self.query.listing(entity, where)

    def do_get(self, entity: str, params: Json) -> list[Json]:
        rows, options = self.listing(entity, params), params.get("options") or {}
        name, _, direction = str(options.get("sort") or "id").partition(" ")
        rows.sort(
            key=lambda row: self.actions.sorting(entity, row, name), reverse=direction.upper() == "DESC"
        )
        offset, limit = int(options.get("offset") or 0), int(options.get("limit", LIMIT))
        rows = rows[offset : offset + limit] if limit else rows[offset:]
        return [self.wire(entity, row, params) for row in rows]

    def do_getcount(self, entity: str, params: Json) -> int:
        return len(self.listing(entity, params))

    def do_getsingle(self, entity: str, params: Json) -> Json:
        rows = self.listing(entity, params)
        if len(rows) != 1:
            raise Trouble(f"Expected one {entity} but found {len(rows)}", code=0, count=len(rows), values=[])
        return self.wire(entity, rows[0], params)

    def do_getvalue(self, entity: str, params: Json) -> Any:
        return self.do_getsingle(entity, params).get(params.get("return", "id"))

    def do_create(self, entity: str, params: Json) -> list[Json]:
        number = params.get("id")
        if not number:
            required = (item.name for item in ENTITIES[entity].values() if item.is_required)
            self.need(params, NEEDS.get(entity, tuple(required)))
        values = self.values(entity, params)
        values.pop("id", None)
        old = self.rows.get(entity, int(number)) if number else None
        if number and old is None:
            raise violation_of("id", number)
        row = self.actions.write(entity, old, values)
        return [self.wire(entity, self.rows.tables[entity][row["id"]], {})]

    def do_delete(self, entity: str, params: Json) -> list[Json]:
        self.need(params, ("id",))
        row = self.rows.get(entity, int(params["id"]))
        if row is None:
            raise Trouble(f"Could not delete entity id {params['id']}")
        self.actions.spend()
        if entity == "ParticipantPayment":
            self.actions.ledger.unlink(row["id"])
        elif entity == "Participant":
            for link in self.rows.find("ParticipantPayment", participant_id=row["id"]):
                self.actions.ledger.unlink(link["id"])
            self.rows.remove(entity, row["id"])
        else:
            self.actions.remove(entity, row, use_trash=not params.get("skip_undelete"))
        return []

    # -- entities with rules of their own

    def participant_create(self, params: Json) -> list[Json]:
        event = (
            self.rows.get("Event", int(params["event_id"])) if str(params.get("event_id")).isdigit() else None
        )
        if event and event["is_template"]:
            raise Trouble("Event templates are not meant to be registered.")
        if not params.get("id"):
            params = {"register_date": self.rows.now(), **params}
        return self.do_create("Participant", params)

    def participantpayment_create(self, params: Json) -> list[Json]:
        number = params.get("id")
        if not number:
            self.need(params, NEEDS["ParticipantPayment"])
        values = {name: int(value) for name, value in self.values("ParticipantPayment", params).items()}
        values.pop("id", None)
        self.actions.spend()
        if number:
            if self.rows.get("ParticipantPayment", int(number)) is None:
                raise violation_of("id", number)
            row = self.rows.change("ParticipantPayment", int(number), values)
        else:
            row = self.actions.ledger.link(values["participant_id"], values["contribution_id"])
        return [self.wire("ParticipantPayment", row, {})]

    def lineitem_create(self, params: Json) -> list[Json]:
        if params.get("id"):
            return self.do_create("LineItem", params)
        self.need(params, ("qty", "unit_price", "line_total", "entity_table", "entity_id"))
        self.actions.spend()
        clean = self.actions.clean("LineItem", self.values("LineItem", params))
        return [self.wire("LineItem", self.actions.ledger.add_line(clean), {})]

    def payment_create(self, params: Json) -> list[Json]:
        self.need(params, NEEDS["Payment"])
        self.actions.spend()
        values = self.actions.clean("FinancialTrxn", self.values("FinancialTrxn", params))
        values |= {"contribution_id": int(params["contribution_id"])}
        does_mail = params.get("is_send_contribution_notification") not in (0, "0", False)
        return [as_texts(self.actions.ledger.pay(values, does_mail=does_mail))]

    def payment_get(self, params: Json) -> list[Json]:
        number = params.get("contribution_id")
        where = [["contribution_id", "=", int(number)]] if number else []
        found = self.actions.payment_get({"where": where}, Who(permissions=None)).values
        return [as_texts(row) for row in found]

    def payment_cancel(self, params: Json) -> list[Json]:
        self.need(params, ("id",))
        self.actions.spend()
        return [as_texts(self.actions.ledger.cancel_payment(int(params["id"])))]

    def order_create(self, params: Json) -> list[Json]:
        self.need(params, NEEDS["Order"])
        lines: list[Json] = []
        for part in params.get("line_items") or []:
            of_participant = part.get("params") or {}
            status = self.values("Participant", of_participant).get("status_id")
            kind = self.rows.get("ParticipantStatusType", int(status)) if status else None
            if kind and kind["class"] != "Pending":
                raise Trouble(
                    'Creating a participant via the Order API with a non "pending" status is not supported'
                )
            for line in part.get("line_item") or []:
                wish = {f"entity_id.{n}": v for n, v in self.values("Participant", of_participant).items()}
                lines.append(line | wish)
        total = money(sum(money(line.get("line_total")) for line in lines))
        if params.get("total_amount") not in (None, "") and money(params["total_amount"]) != total:
            raise Trouble("Line item total doesn't match total amount", code="CheckLineItems")
        self.actions.spend()
        values = self.actions.clean("Contribution", self.values("Contribution", params))
        return [self.wire("Contribution", self.actions.order(values, lines), {})]

    def contact_duplicatecheck(self, params: Json) -> list[Json]:
        match = params.get("match") or {}
        if not match:
            raise Trouble(
                "Duplicate check must include criteria to check against (eg missing 'match' param)."
            )
        if not match.get("contact_type"):
            raise Trouble("Duplicate check must include a contact type. (eg missing 'contact_type').")
        places = {
            "email": "email_primary.email",
            "phone": "phone_primary.phone",
            "street_address": "address_primary.street_address",
        }
        values = {places.get(name, name): value for name, value in match.items()}
        wish = params.get("dedupe_rule_id")
        wish = wish or f"{match['contact_type']}.{params.get('rule_type', 'Unsupervised')}"
        found = self.actions.people.duplicates(self.actions.people.rule(wish), values)
        excluded = {int(one) for one in params.get("exclude") or []}
        return [{"id": str(number)} for number in found if number not in excluded]

    def setting_get(self, params: Json) -> Json:
        found = self.actions.site_settings()
        wish = params.get("return") or list(found)
        names = wish.split(",") if isinstance(wish, str) else wish
        kept = {name: found[name] for name in names if name in found}
        return {"is_error": 0, "version": 3, "count": 1, "id": 1, "values": {"1": kept}}

    def system_get(self, params: Json) -> Json:
        domain = self.rows.all("Domain")[0]
        value = {"version": domain["version"], "uf": "WordPress"}
        values = [value] if params.get("sequential") else {"0": value}
        return {"is_error": 0, "version": 3, "count": 1, "id": 0, "values": values}


def as_text(value: Any, item: Field | None = None) -> Any:
    if isinstance(value, list):
        return [as_text(one) for one in value] if len(value) != 1 else as_text(value[0])
    if isinstance(value, bool):
        return "1" if value else "0"
    if (item is not None and item.type == "Money") or isinstance(value, float):
        return f"{value:.2f}"
    return str(value)


def as_texts(row: Json) -> Json:
    return {name: as_text(value) for name, value in row.items() if value is not None}
