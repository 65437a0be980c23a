"""Reading: names and labels of options, dotted joins, where clauses, and values as API v4 gives them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.civicrm.rows import Rows, Trouble, key, moment, money
from sandbox.civicrm.schema import CONTACT_TYPES, ENTITIES, INDEXED, NAMES, Field
from sandbox.store import Json

SUFFIXES = {"name": 1, "label": 2, "abbr": 3, "description": 2}
LOCATIONS = {"email": "Email", "phone": "Phone", "address": "Address"}
# Left out of a listing unless its condition names the field.
HIDDEN = ("is_deleted", "is_test", "is_template")
CUSTOM_TYPES = {"Int": "Integer", "Float": "Float", "Money": "Money", "Boolean": "Boolean", "Date": "Date"}
Row = Json


class Query:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    # -- fields

    def custom(self, entity: str) -> dict[str, tuple[Field, Json]]:
        """Fields that the site's people added, by `Group.field`."""
        _ = self.rows.tables
        if entity not in self.rows.views:
            self.rows.views[entity] = self.read_custom(entity)
        found: dict[str, tuple[Field, Json]] = self.rows.views[entity]
        return found

    def read_custom(self, entity: str) -> dict[str, tuple[Field, Json]]:
        kinds = (entity, *CONTACT_TYPES) if entity == "Contact" else (entity,)
        found = {}
        for group in self.rows.all("CustomGroup"):
            if group["extends"] not in kinds or not group["is_active"]:
                continue
            for item in self.rows.find("CustomField", custom_group_id=group["id"]):
                if item["is_active"]:
                    name = f"{group['name']}.{item['name']}"
                    found[name] = (
                        Field(
                            name,
                            CUSTOM_TYPES.get(item["data_type"], "String"),
                            item["text_length"] if item["data_type"] in ("String", "Link") else None,
                            options=f"custom {item['option_group_id']}" if item["option_group_id"] else None,
                            is_list=bool(item["serialize"]),
                        ),
                        item,
                    )
        return found

    def field(self, entity: str, name: str) -> Field | None:
        if name in ENTITIES[entity]:
            return ENTITIES[entity][name]
        return self.custom(entity)[name][0] if "." in name and name in self.custom(entity) else None

    # -- options

    def options(self, field: Field) -> list[tuple[Any, str, str, str]]:
        """Value, name, label and abbreviation of each option."""
        source = field.options or ""
        if field.name == "contact_type":
            return [(name, name, name, name) for name in CONTACT_TYPES]
        if source in NAMES:
            columns = NAMES[source]
            return [tuple(row[name] for name in columns) for row in self.rows.all(source)]
        if source.startswith("custom "):
            group: Json | None = self.rows.get("OptionGroup", int(source.removeprefix("custom ")))
        else:
            name = "currencies_enabled" if field.name in ("currency", "fee_currency") else source
            group = self.rows.first("OptionGroup", name=name) if name else None
        values = self.rows.find("OptionValue", option_group_id=group["id"]) if group else []
        is_number = field.type == "Integer"
        return [
            (
                int(row["value"]) if is_number else row["value"],
                row["name"] or row["label"],
                row["label"],
                row["name"],
            )
            for row in values
        ]

    def value_of(self, field: Field, suffix: str, word: Any, within: Json | None = None) -> Any:
        """The value whose name, label or abbreviation this is; None when there is none.

        `within`: the row, as states are looked up inside its country.
        """
        if field.is_list and isinstance(word, list):
            found = [self.value_of(field, suffix, one, within) for one in word]
            return [one for one in found if one is not None]
        place = SUFFIXES.get(suffix, 1)
        country = (within or {}).get("country_id")
        for option in self.options(field):
            if key(option[place]) == key(word):
                if field.options == "StateProvince" and country is not None:
                    state = self.rows.get("StateProvince", option[0])
                    if state is None or state["country_id"] != country:
                        continue
                return option[0]
        return None

    def named(self, field: Field, suffix: str, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in (self.named(field, suffix, item) for item in value) if one is not None]
        place = SUFFIXES.get(suffix, 1)
        if field.options in NAMES and field.options != "OptionValue":
            row = self.rows.get(field.options, value) if field.options else None
            return row[NAMES[field.options][place]] if row else None
        return next((option[place] for option in self.options(field) if key(option[0]) == key(value)), None)

    # -- values of a row

    def value(self, entity: str, row: Row | None, path: str) -> Any:
        """What a path such as `contact_id.email_primary.email` or `status_id:name` gives; KeyError."""
        name, _, suffix = path.partition(":")
        field = self.field(entity, name)
        if field is not None:
            value = self.raw(entity, row, field) if row is not None else None
            return self.named(field, suffix, value) if suffix else value
        head, _, rest = path.partition(".")
        link = ENTITIES[entity].get(head)
        if not rest or link is None or link.refers is None:
            raise KeyError(path)
        target = self.raw(entity, row, link) if row is not None else None
        return self.value(link.refers, self.rows.get(link.refers, target), rest)

    def raw(self, entity: str, row: Row, field: Field) -> Any:
        if not field.is_computed:
            return row.get(field.name)
        if entity == "Contact":
            kind, _, which = field.name.partition("_")
            found = self.rows.first(LOCATIONS[kind], contact_id=row["id"], **{f"is_{which}": True})
            return found["id"] if found else None
        paid = self.paid(row["id"])
        if field.name == "paid_amount":
            return paid
        if field.name == "balance_amount":
            return money(row["total_amount"] - paid)
        return money(row["total_amount"] - (row.get("tax_amount") or 0))

    def payments(self, contribution: int) -> list[Row]:
        """Every financial transaction of a contribution, in order."""
        links = self.rows.find("EntityFinancialTrxn", entity_id=contribution)
        found = [
            self.rows.get("FinancialTrxn", link["financial_trxn_id"])
            for link in links
            if link["entity_table"] == "civicrm_contribution"
        ]
        return [row for row in found if row is not None]

    def paid(self, contribution: int) -> float:
        found = (
            row["total_amount"]
            for row in self.payments(contribution)
            if row["is_payment"] and row["status_id"] in (1, 7)
        )
        return money(sum(found))

    # -- listings

    def listing(self, entity: str, where: Any, *, has_hidden: bool = False) -> list[Row]:
        """Rows that fit, by id. Raises Trouble for a field that is not there."""
        clauses = where or []
        if not isinstance(clauses, list):
            raise Trouble("Invalid where clause")
        named = {name.partition(":")[0] for name in names_in(clauses)}
        hidden = [name for name in HIDDEN if name in ENTITIES[entity] and name not in named]
        if has_hidden:
            hidden = []
        keeps = self.condition(entity, ["AND", clauses])
        rows = (row for row in self.candidates(entity, clauses) if not any(row.get(name) for name in hidden))
        return [row for row in rows if keeps(row)]

    def candidates(self, entity: str, clauses: list[Any]) -> Iterable[Row]:
        """Fewer rows to look at, where a condition names an id or an indexed field."""
        best: set[int] | None = None
        for clause in clauses:
            if not isinstance(clause, list) or len(clause) < 3 or clause[1] not in ("=", "IN"):
                continue
            words = clause[2] if isinstance(clause[2], list) else [clause[2]]
            if entity == "Contact" and clause[0] == "email_primary.email":
                owners = {row["contact_id"] for word in words for row in self.rows.find("Email", email=word)}
                best = owners - {None} if best is None else best & owners
                continue
            field = self.field(entity, clause[0]) if isinstance(clause[0], str) else None
            is_plain = field is not None and clause[0] in ENTITIES[entity]
            if field is None or field.is_list or (is_plain and clause[0] not in ("id", *INDEXED[entity])):
                continue
            if any(word is None for word in words):
                continue
            typed = [self.typed(field, word) for word in words]
            if clause[0] == "id":
                ids = {word for word in typed if word in self.rows.tables[entity]}
            else:
                index = self.rows.index(entity, clause[0])
                ids = set().union(*(index.get(key(word), set()) for word in typed))
            best = ids if best is None else best & ids
        table = self.rows.tables[entity]
        return (table[number] for number in sorted(table if best is None else best))

    def typed(self, field: Field | None, word: Any) -> Any:
        """A word of a client as the database compares it."""
        if field is None or word is None or isinstance(word, list):
            return [self.typed(field, one) for one in word] if isinstance(word, list) else word
        try:
            if field.type == "Integer" and not isinstance(word, bool):
                return int(word)
            if field.type in ("Money", "Float"):
                return float(word)
        except (TypeError, ValueError):
            return word
        if field.type == "Boolean":
            return word in (True, 1, "1", "true")
        if field.type == "Timestamp":
            return moment(word, self.rows.zone, self.rows.clock()) or str(word)
        return str(word) if isinstance(word, int | float) and not isinstance(word, bool) else word

    def condition(self, entity: str, clause: Any) -> Callable[[Row], bool]:
        if not isinstance(clause, list) or not clause:
            raise Trouble("Invalid where clause")
        if clause[0] == "NOT":
            inner = self.condition(entity, clause[1:] if isinstance(clause[1], str) else ["AND", clause[1]])
            return lambda row: not inner(row)
        if clause[0] in ("AND", "OR"):
            parts = [self.condition(entity, part) for part in clause[1]]
            joined = all if clause[0] == "AND" else any
            return lambda row: joined(part(row) for part in parts)
        path, operator = clause[0], clause[1] if len(clause) > 1 else "="
        word = clause[2] if len(clause) > 2 else None
        try:
            self.value(entity, None, path)
        except KeyError:
            raise Trouble(f"Invalid field '{path}'") from None
        field = None if ":" in path else self.field_at(entity, path)
        word = self.typed(field, word)
        compare = comparison(operator, word)
        return lambda row: compare(self.value(entity, row, path))

    def field_at(self, entity: str, path: str) -> Field | None:
        found = self.field(entity, path)
        head, _, rest = path.partition(".")
        if found is None and rest and (link := ENTITIES[entity].get(head)) and link.refers:
            return self.field_at(link.refers, rest)
        return found

    def shown(self, entity: str, row: Row, select: list[str], *, has_custom: bool) -> Json:
        """The fields of a row that were asked for; unknown ones are left out."""
        found: Json = {}
        for path in select:
            if path == "row_count":
                continue
            if path == "*":
                found |= {
                    name: row.get(name)
                    for name, field in ENTITIES[entity].items()
                    if not field.is_computed and name != "api_key"
                }
            elif path.endswith("*"):
                if has_custom:
                    start = path.removesuffix("*").removeprefix("custom.")
                    found |= {name: row.get(name) for name in self.custom(entity) if name.startswith(start)}
            elif has_custom or path.partition(":")[0] not in self.custom(entity):
                try:
                    found[path] = self.value(entity, row, path)
                except KeyError:
                    continue
        return {"id": row["id"], **found} if found else found


def names_in(clauses: Any) -> Iterable[str]:
    for clause in clauses if isinstance(clauses, list) else []:
        if not isinstance(clause, list) or not clause:
            continue
        if clause[0] in ("AND", "OR", "NOT"):
            nested = clause[1] if isinstance(clause[1], list) else [clause[1:]]
            yield from names_in(nested)
        elif isinstance(clause[0], str):
            yield clause[0]


def comparison(operator: str, word: Any) -> Callable[[Any], bool]:
    """Letters' case does not matter, and null is like nothing, as in the database."""
    words = [key(one) for one in word] if isinstance(word, list) else [key(word)]
    if operator.startswith("NOT ") and operator != "NOT NULL":
        inner = comparison(operator.removeprefix("NOT "), word)
        return lambda value: value is not None and not inner(value)
    if operator == "IS NOT EMPTY":
        return lambda value: value not in (None, "", [], 0)
    if operator == "IS EMPTY":
        return lambda value: value in (None, "", [], 0)
    if operator == "IS NULL":
        return lambda value: value is None
    if operator == "IS NOT NULL":
        return lambda value: value is not None
    if operator in ("=", "IN"):
        return lambda value: value is not None and any(same(key(value), one) for one in words)
    if operator in ("!=", "<>"):
        return lambda value: value is not None and not same(key(value), words[0])
    if operator in ("<", "<=", ">", ">="):
        return lambda value: value is not None and compared(operator, key(value), words[0])
    if operator == "BETWEEN":
        return lambda value: value is not None and words[0] <= key(value) <= words[1]
    if operator in ("CONTAINS", "CONTAINS ONE OF"):
        return lambda value: value is not None and any(contains(value, one) for one in words)
    if operator == "LIKE":
        escaped = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in str(word))
        pattern = re.compile(escaped, re.IGNORECASE | re.DOTALL)
        return lambda value: value is not None and pattern.fullmatch(str(value)) is not None
    if operator.startswith("REGEXP"):
        pattern = re.compile(str(word), 0 if operator.endswith("BINARY") else re.IGNORECASE)
        return lambda value: value is not None and pattern.search(str(value)) is not None
    raise Trouble(f"Illegal operator: {operator}")


def same(value: Any, word: Any) -> bool:
    if isinstance(value, list):
        return [str(key(one)) for one in value] == [str(word)]
    return value == word or (value is not None and word is not None and str(value) == str(word))


def compared(operator: str, value: Any, word: Any) -> bool:
    if isinstance(value, str) != isinstance(word, str):
        value, word = str(value), str(word)
    return {
        "<": value < word,
        "<=": value <= word,
        ">": value > word,
        ">=": value >= word,
    }[operator]


def contains(value: Any, word: Any) -> bool:
    if isinstance(value, list):
        return any(str(key(one)) == str(word) for one in value)
    return str(word) in str(key(value))
