"""What contributions and payments do to the books, quirks included."""

from typing import Any

from sandbox.civicrm.query import Query
from sandbox.civicrm.rows import Rows, Trouble, money
from sandbox.store import Json

COMPLETED, PENDING, CANCELLED, FAILED, REFUNDED, PARTLY, CHARGEBACK = 1, 2, 3, 4, 7, 8, 10
MOVES = {
    COMPLETED: {CANCELLED, REFUNDED, CHARGEBACK, PARTLY},
    PENDING: {CANCELLED, COMPLETED, FAILED, PARTLY},
    CANCELLED: {COMPLETED, REFUNDED},
    REFUNDED: {CANCELLED, COMPLETED},
    PARTLY: {COMPLETED, REFUNDED},
    9: {COMPLETED, REFUNDED},
    FAILED: {PENDING},
}
OF_CONTRIBUTION, OF_PARTICIPANT = "civicrm_contribution", "civicrm_participant"


class Ledger:
    """`participants`: changes the status of a participant as an edit would."""

    def __init__(self, rows: Rows, query: Query) -> None:
        self.rows, self.query = rows, query
        self.set_status: Any = None

    # -- contributions

    def create(self, values: Json, *, has_lines: bool = False) -> Json:
        filled: Json = {"receive_date": self.rows.now(), "currency": self.rows.settings.currency}
        values = filled | values
        values.setdefault("contribution_status_id", COMPLETED)
        values.setdefault("payment_instrument_id", self.default_instrument())
        values["total_amount"] = money(values["total_amount"])
        if values.get("net_amount") is None:
            values["net_amount"] = money(values["total_amount"] - (values.get("fee_amount") or 0))
        self.check_unique(values)
        row = self.rows.insert("Contribution", values)
        self.activity("Contribution", row["contact_id"], row["id"], str(row.get("source") or ""))
        if has_lines:
            return row
        line = self.line(
            row,
            {
                "entity_table": OF_CONTRIBUTION,
                "entity_id": row["id"],
                "price_field_id": 1,
                "price_field_value_id": 1,
                "label": "Contribution Amount",
                "qty": 1.0,
                "unit_price": row["total_amount"],
                "line_total": row["total_amount"],
            },
        )
        status = row["contribution_status_id"]
        self.item(row, line, row["total_amount"], 1 if status == COMPLETED else 3)
        if status == COMPLETED:
            self.transact(row, row["total_amount"], status)
            if row.get("fee_amount"):
                self.fee(row, row["fee_amount"])
        elif status == PENDING and row["is_pay_later"]:
            self.transact(row, row["total_amount"], status, is_payment=False)
        return row

    def check_unique(self, values: Json, number: int | None = None) -> None:
        found: set[int] = set()
        for name in ("trxn_id", "invoice_id"):
            if values.get(name):
                found |= {row["id"] for row in self.rows.find("Contribution", **{name: values[name]})}
        found.discard(number or 0)
        if found:
            raise Trouble(
                "Duplicate error - existing contribution record(s) have a matching Transaction ID or Invoice "
                f"Reference. Contribution record ID(s) are: {', '.join(map(str, sorted(found)))}",
                code="duplicate",
            )

    def update(self, old: Json, values: Json) -> Json:
        """Status and amount each post what they change: both in one call post twice."""
        number = old["id"]
        self.check_unique(values, number)
        status = values.get("contribution_status_id", old["contribution_status_id"])
        before = old["contribution_status_id"]
        if status != before and before in MOVES and status is not None and status not in MOVES[before]:
            raise Trouble(
                f"Cannot change contribution status from {self.status_name(before)} "
                f"to {self.status_name(status)}."
            )
        if values.get("total_amount") is not None:
            values["total_amount"] = money(values["total_amount"])
        if {"total_amount", "fee_amount"} & set(values) and values.get("net_amount") is None:
            total = values.get("total_amount", old["total_amount"])
            fee = values.get("fee_amount", old["fee_amount"])
            values["net_amount"] = money((total or 0) - (fee or 0))
        paid = self.query.paid(number)
        row = self.rows.change("Contribution", number, values)
        if status != before:
            self.post_status(old, row, paid)
        if row["total_amount"] != old["total_amount"]:
            self.post_amount(old, row)
        fee, fee_before = row.get("fee_amount") or 0, old.get("fee_amount") or 0
        if fee and fee != fee_before:
            self.fee(row, money(fee - fee_before))
        if status != before and status in (CANCELLED, FAILED):
            for participant in self.participants(number):
                kind = self.rows.get("ParticipantStatusType", participant["status_id"])
                if kind and kind["class"] in ("Pending", "Waiting"):
                    self.set_status(participant["id"], "Cancelled")
        return row

    def post_status(self, old: Json, row: Json, paid: float) -> None:
        before, status, total = (
            old["contribution_status_id"],
            row["contribution_status_id"],
            old["total_amount"],
        )
        if before == COMPLETED and status in (REFUNDED, CANCELLED, CHARGEBACK):
            self.transact(row, -total, status)
        elif before == PARTLY and status == REFUNDED:
            self.transact(row, -paid, status)
        elif before == PARTLY and status == COMPLETED:
            self.transact(row, money(total - paid), status)
        elif before in (PENDING, CANCELLED, REFUNDED) and status == COMPLETED:
            self.transact(row, total, status)
            if before == PENDING and old.get("fee_amount") and row.get("fee_amount") == old["fee_amount"]:
                self.fee(row, row["fee_amount"])
        elif before == PENDING and status in (CANCELLED, FAILED) and old["is_pay_later"]:
            self.transact(row, -total, status, is_payment=False)

    def post_amount(self, old: Json, row: Json) -> None:
        difference = money(row["total_amount"] - old["total_amount"])
        is_open = row["contribution_status_id"] in (PENDING, FAILED)
        if not is_open or row["is_pay_later"]:
            status = PENDING if is_open else COMPLETED
            self.transact(row, difference, status, is_payment=not is_open)
        lines = self.lines(row["id"])
        if len(lines) != 1:
            return  # the total moves, its lines do not
        self.item(row, lines[0], difference, 3 if is_open else 1)
        if row["total_amount"]:  # 0 counts as not set
            qty = lines[0]["qty"] or 1
            changed = {"line_total": row["total_amount"], "unit_price": money(row["total_amount"] / qty)}
            self.rows.change("LineItem", lines[0]["id"], changed)

    def status_name(self, value: int) -> str:
        row = self.rows.first("OptionGroup", name="contribution_status")
        found = self.rows.find("OptionValue", option_group_id=row["id"], value=str(value)) if row else []
        return str(found[0]["label"]) if found else str(value)

    def default_instrument(self) -> int:
        group = self.rows.first("OptionGroup", name="payment_instrument")
        values = self.rows.find("OptionValue", option_group_id=group["id"]) if group else []
        return next((int(row["value"]) for row in values if row["is_default"]), 4)

    def delete(self, number: int) -> None:
        """With its lines, items and transactions."""
        with self.rows.at_once():
            for trxn in self.query.payments(number):
                self.rows.remove("FinancialTrxn", trxn["id"])
            for line in self.lines(number):
                for item in self.rows.find(
                    "FinancialItem", entity_table="civicrm_line_item", entity_id=line["id"]
                ):
                    self.rows.remove("FinancialItem", item["id"])
            self.rows.remove("Contribution", number)

    # -- its parts

    def lines(self, contribution: int) -> list[Json]:
        return self.rows.find("LineItem", contribution_id=contribution)

    def participants(self, contribution: int) -> list[Json]:
        links = self.rows.find("ParticipantPayment", contribution_id=contribution)
        found = (self.rows.get("Participant", link["participant_id"]) for link in links)
        return [row for row in found if row is not None]

    def line(self, contribution: Json, values: Json) -> Json:
        financial_type = {"financial_type_id": contribution["financial_type_id"]}
        return self.rows.insert("LineItem", financial_type | values | {"contribution_id": contribution["id"]})

    def item(self, row: Json, line: Json, amount: float, status: int) -> None:
        self.rows.insert(
            "FinancialItem",
            {
                "transaction_date": self.rows.now(),
                "contact_id": row["contact_id"],
                "description": line.get("label"),
                "amount": money(amount),
                "currency": row["currency"],
                "status_id": status,
                "entity_table": "civicrm_line_item",
                "entity_id": line["id"],
            },
        )

    def transact(
        self, row: Json, amount: float, status: int, *, is_payment: bool = True, **more: Any
    ) -> Json:
        values = {
            "trxn_date": self.rows.now(),
            "total_amount": money(amount),
            "net_amount": money(amount),
            "currency": row["currency"],
            "is_payment": is_payment,
            "trxn_id": row.get("trxn_id"),
            "status_id": status,
            "payment_instrument_id": row.get("payment_instrument_id"),
        }
        trxn = self.rows.insert("FinancialTrxn", values | more)
        link = {"entity_table": OF_CONTRIBUTION, "entity_id": row["id"], "financial_trxn_id": trxn["id"]}
        self.rows.insert("EntityFinancialTrxn", link | {"amount": money(amount)})
        return trxn

    def fee(self, row: Json, amount: float) -> None:
        self.transact(row, amount, COMPLETED, is_payment=False)
        lines = self.lines(row["id"])
        if lines:
            self.item(row, {**lines[0], "label": "Fee"}, amount, 1)

    def activity(self, kind: str, contact: int, source: int, subject: str) -> None:
        numbers = {"Event Registration": 5, "Contribution": 6, "Email": 3}
        self.rows.insert(
            "Activity",
            {
                "activity_type_id": numbers[kind],
                "subject": subject,
                "activity_date_time": self.rows.now(),
                "source_record_id": source,
                "target_contact_id": contact,
            },
        )

    # -- payments

    def pay(self, values: Json, *, does_complete: bool = True, does_mail: bool = True) -> Json:
        row = self.rows.get("Contribution", values["contribution_id"])
        if row is None:
            raise violation_of("contribution_id", values["contribution_id"])
        amount = money(values["total_amount"])
        status, paid = row["contribution_status_id"], self.query.paid(row["id"])
        balance = money(row["total_amount"] - paid)
        more = {
            name: values[name]
            for name in ("trxn_date", "payment_instrument_id", "check_number", "trxn_id")
            if values.get(name) is not None
        }
        if values.get("fee_amount") is not None:
            more |= {
                "fee_amount": money(values["fee_amount"]),
                "net_amount": money(amount - values["fee_amount"]),
            }
        trxn = self.transact(row, amount, COMPLETED, **more)
        changed: Json = {}
        if values.get("trxn_id"):
            changed["trxn_id"] = ",".join(filter(None, [row.get("trxn_id"), values["trxn_id"]]))
        if values.get("fee_amount") is not None:
            fees = (one.get("fee_amount") or 0 for one in self.query.payments(row["id"]) if one["is_payment"])
            changed["fee_amount"] = money(sum(fees))
            changed["net_amount"] = money(row["total_amount"] - changed["fee_amount"])
        if amount > 0 and status != COMPLETED:
            if amount >= balance:
                changed["contribution_status_id"] = COMPLETED
            elif status == PENDING:
                changed["contribution_status_id"] = PARTLY
        elif amount < 0 and status in (COMPLETED, PARTLY):
            left = money(paid + amount)
            if left == 0:
                changed["contribution_status_id"] = REFUNDED
            elif left < row["total_amount"]:
                changed["contribution_status_id"] = PARTLY
        row = self.rows.change("Contribution", row["id"], changed)
        now = changed.get("contribution_status_id")
        if now == COMPLETED and does_complete:
            for participant in self.participants(row["id"]):
                self.set_status(participant["id"], "Registered")
        if now == COMPLETED and does_mail:
            self.activity("Email", row["contact_id"], row["id"], "Receipt")
        if now == PARTLY and amount > 0:
            for participant in self.participants(row["id"]):
                kind = self.rows.get("ParticipantStatusType", participant["status_id"])
                if kind and kind["class"] == "Pending":
                    self.set_status(participant["id"], "Partially paid")
        return trxn | {"contribution_id": row["id"]}

    def cancel_payment(self, number: int) -> Json:
        link = next(
            (
                one
                for one in self.rows.find("EntityFinancialTrxn", financial_trxn_id=number)
                if one["entity_table"] == OF_CONTRIBUTION
            ),
            None,
        )
        trxn = self.rows.get("FinancialTrxn", number)
        if link is None or trxn is None:
            raise violation_of("id", number)
        return self.pay({"contribution_id": link["entity_id"], "total_amount": -trxn["total_amount"]})

    # -- which participant a contribution is for

    def link(self, participant: int, contribution: int) -> Json:
        """The row of this pair, made when missing; a lone line goes to the participant."""
        pair = {"participant_id": participant, "contribution_id": contribution}
        row = self.rows.first("ParticipantPayment", **pair) or self.rows.insert("ParticipantPayment", pair)
        lines = self.lines(contribution)
        if len(lines) == 1 and lines[0]["entity_table"] == OF_CONTRIBUTION:
            moved = {"entity_table": OF_PARTICIPANT, "entity_id": participant}
            self.rows.change("LineItem", lines[0]["id"], moved)
        return row

    def unlink(self, number: int) -> None:
        """Deletes the contribution too."""
        row = self.rows.get("ParticipantPayment", number)
        if row is not None:
            with self.rows.at_once():
                self.rows.remove("ParticipantPayment", number)
                if self.rows.get("Contribution", row["contribution_id"]):
                    self.delete(row["contribution_id"])

    def add_line(self, values: Json) -> Json:
        """A line by itself: no financial item; one for a participant links it to the contribution."""
        row = self.rows.insert("LineItem", values)
        contribution = row.get("contribution_id")
        if row["entity_table"] == OF_PARTICIPANT and contribution is not None:
            pair = {"participant_id": row["entity_id"], "contribution_id": contribution}
            if self.rows.first("ParticipantPayment", **pair) is None:
                self.rows.insert("ParticipantPayment", pair)
        return row


def violation_of(name: str, number: Any) -> Trouble:
    return Trouble(f"{name} is not valid : {number}", code="invalid")
