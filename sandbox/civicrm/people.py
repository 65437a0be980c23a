"""Contacts with their e-mails, phones and addresses; who is whose duplicate; merging."""

import re
from typing import Any

from sandbox.civicrm.query import LOCATIONS, Query
from sandbox.civicrm.rows import Rows, Trouble, key
from sandbox.store import Json

KEYS = {  # how an API names what a rule looks at
    "email": ("Email", "email", "email_primary.email"),
    "phone": ("Phone", "phone", "phone_primary.phone"),
    "phone_numeric": ("Phone", "phone_numeric", "phone_primary.phone"),
    "street_address": ("Address", "street_address", "address_primary.street_address"),
    "postal_code": ("Address", "postal_code", "address_primary.postal_code"),
    "city": ("Address", "city", "address_primary.city"),
}
PLACE = re.compile(r"(email|phone|address)_(primary|billing)\.(.+)")


class People:
    def __init__(self, rows: Rows, query: Query) -> None:
        self.rows, self.query = rows, query

    def named(self, row: Json) -> Json:
        """The names that CiviCRM makes of a contact's others."""
        if row["contact_type"] == "Individual":
            first, last = row.get("first_name") or "", row.get("last_name") or ""
            shown, sorted_by = f"{first} {last}".strip(), ", ".join(filter(None, [last, first]))
        else:
            shown = sorted_by = row.get("organization_name") or ""
        if not shown:
            email = self.rows.first("Email", contact_id=row["id"], is_primary=True)
            shown = sorted_by = email["email"] if email else "No Name"
        return {"display_name": shown[:128], "sort_name": sorted_by[:128]}

    def write_location(self, entity: str, old: Json | None, values: Json) -> Json:
        """An e-mail, phone or address; the first of a contact is its primary one, and there is always one."""
        if entity == "Email" and isinstance(values.get("email"), str):
            values["email"] = values["email"].lower()
        if entity == "Phone" and "phone" in values:
            values["phone_numeric"] = re.sub(r"\D", "", str(values["phone"] or ""))
        if entity == "Address":
            zip_code = re.fullmatch(r"(\d{5})-(\d{4})", str(values.get("postal_code") or ""))
            if zip_code:
                values["postal_code"], values["postal_code_suffix"] = zip_code.groups()
            for name in ("country_id", "state_province_id"):
                if isinstance(values.get(name), int) and values[name] < 1000:
                    values[name] = None
        contact = values.get("contact_id", old["contact_id"] if old else None)
        others = [] if contact is None else self.rows.find(entity, contact_id=contact)
        others = [row for row in others if old is None or row["id"] != old["id"]]
        if not any(row["is_primary"] for row in others):
            values["is_primary"] = True
        if old is None and values.get("location_type_id") is None:
            default = self.rows.first("LocationType", is_default=True)
            values["location_type_id"] = default["id"] if default else None
        row = self.rows.insert(entity, values) if old is None else self.rows.change(entity, old["id"], values)
        for flag in ("is_primary", "is_billing"):
            if row[flag]:
                for other in others:
                    if other[flag]:
                        self.rows.change(entity, other["id"], {flag: False})
        return row

    def delete_location(self, entity: str, row: Json) -> None:
        self.rows.remove(entity, row["id"])
        left = self.rows.find(entity, contact_id=row["contact_id"])
        if row["is_primary"] and left and not any(one["is_primary"] for one in left):
            self.rows.change(entity, left[0]["id"], {"is_primary": True})

    def write_places(self, contact: int, places: dict[tuple[str, str], Json]) -> Json:
        """`email_primary.email` and its like: the row of that flag is overwritten where it is."""
        written: Json = {}
        for (kind, which), values in places.items():
            entity = LOCATIONS[kind]
            old = self.rows.first(entity, contact_id=contact, **{f"is_{which}": True})
            if all(value is None for value in values.values()):
                if old:
                    self.delete_location(entity, old)
                continue
            row = self.write_location(entity, old, {**values, "contact_id": contact, f"is_{which}": True})
            written[f"{kind}_{which}"] = row["id"]
            written |= {f"{kind}_{which}.{name}": row.get(name) for name in values}
        return written

    # -- duplicates

    def rule(self, wish: Any) -> Json:
        """A rule group by id, by name or as `Individual.Unsupervised`."""
        if isinstance(wish, int) or str(wish).isdigit():
            found = self.rows.get("DedupeRuleGroup", int(wish))
        else:
            found = self.rows.first("DedupeRuleGroup", name=str(wish))
            contact_type, _, used = str(wish).partition(".")
            found = found or self.rows.first("DedupeRuleGroup", contact_type=contact_type, used=used)
        if found is None:
            raise Trouble(f"Unknown dedupe rule: {wish}")
        return found

    def duplicates(self, rule: Json, values: Json) -> list[int]:
        """Ids of contacts whose matching fields weigh enough; those in the trash are none."""
        if not self.rows.settings.dedupe_extension:
            return []
        weights: dict[int, int] = {}
        for part in self.rows.find("DedupeRule", dedupe_rule_group_id=rule["id"]):
            entity, name, path = KEYS.get(
                part["rule_field"], ("Contact", part["rule_field"], part["rule_field"])
            )
            word = values.get(path)
            if word in (None, ""):
                continue
            if name == "phone_numeric":
                word = re.sub(r"\D", "", str(word))
            found = self.rows.find(entity, **{name: word})
            for contact in {row["id"] if entity == "Contact" else row["contact_id"] for row in found}:
                weights[contact] = weights.get(contact, 0) + part["rule_weight"]
        return sorted(
            number
            for number, weight in weights.items()
            if weight >= rule["threshold"]
            and (row := self.rows.get("Contact", number))
            and not row["is_deleted"]
            and key(row["contact_type"]) == key(rule["contact_type"])
        )

    # -- what staff do

    def trash(self, contact: int) -> None:
        self.rows.change("Contact", contact, {"is_deleted": True})

    def merge(self, gone: int, kept: int) -> None:
        """Everything of `gone` becomes that of `kept`, which keeps its own names; `gone` goes to the trash.

        Raises KeyError when one of them is not there.
        """
        tables = self.rows.tables
        _ = tables["Contact"][gone], tables["Contact"][kept]
        with self.rows.at_once():
            for entity, name in (("Participant", "contact_id"), ("Contribution", "contact_id")):
                for row in self.rows.find(entity, **{name: gone}):
                    self.rows.change(entity, row["id"], {name: kept})
            for entity in LOCATIONS.values():
                main = {"Email": "email", "Phone": "phone", "Address": "street_address"}[entity]
                has = {key(row[main]) for row in self.rows.find(entity, contact_id=kept)}
                for row in self.rows.find(entity, contact_id=gone):
                    if key(row[main]) not in has:
                        self.rows.change(
                            entity,
                            row["id"],
                            {"contact_id": kept, "is_primary": not has, "is_billing": False},
                        )
                        has.add(key(row[main]))
            survivor = tables["Contact"][kept]
            merged = tables["Contact"][gone]
            filled = {
                name: value
                for name, value in merged.items()
                if value is not None
                and survivor.get(name) is None
                and name not in ("api_key", "external_identifier", "merged_to")
            }
            self.rows.change("Contact", kept, filled)
            self.rows.change("Contact", gone, {"is_deleted": True, "merged_to": kept})

    def merged_to(self, contact: int) -> int | None:
        """Who a contact was merged into, at the end of the chain."""
        seen = {contact}
        row = self.rows.get("Contact", contact)
        while row and row.get("merged_to") and row["merged_to"] not in seen:
            seen.add(row["merged_to"])
            row = self.rows.get("Contact", row["merged_to"])
        return row["id"] if row and row["id"] != contact else None
