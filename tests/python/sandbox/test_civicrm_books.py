"""People, participants and money of the CiviCRM stand-in: what a write does besides what it says."""

from typing import Any

import pytest
import requests

from sandbox.civicrm.app import ADMIN_KEY
from sandbox.server import StandIn
from tests.python.sandbox.test_civicrm import Api, api, change, gala, person, post, rows, server, site, v3

__all__ = ["api", "server", "site", "v3"]  # fixtures
FEE = {"financial_type_id:name": "Event Fee", "currency": "USD"}


def contribution(api: Api, total: float = 120, **more: Any) -> int:
    values = {"contact_id": 2, "total_amount": total, **FEE, **more}
    number: int = api("Contribution", "create", values=values)["values"][0]["id"]
    return number


def money(api: Api, number: int) -> tuple[Any, ...]:
    """Status, total, paid, balance."""
    select = ["contribution_status_id:name", "total_amount", "paid_amount", "balance_amount"]
    [row] = api("Contribution", "get", where=[["id", "=", number]], select=select)["values"]
    return tuple(row[name] for name in select)


def paid(site: StandIn) -> list[float]:
    return [row["total_amount"] for row in rows(site, "FinancialTrxn") if row["is_payment"]]


def update(api: Api, number: int, entity: str = "Contribution", **values: Any) -> Any:
    return api(entity, "update", values={"id": number, **values})


def statuses(api: Api) -> list[str]:
    found = api("Participant", "get", select=["status_id:name"], orderBy={"id": "ASC"})["values"]
    return [row["status_id:name"] for row in found]


def participant(site: StandIn, event: int, status: str = "Registered", **more: Any) -> int:
    values = {"contact_id": 2, "event_id": event, "status_id:name": status, **more}
    number: int = change(site, "create", entity="Participant", values=values)
    return number


# -- people


def test_one_email_is_primary_and_all_are_in_lower_case(site: StandIn, api: Api) -> None:
    number = person(site, "Ines@Example.org")
    [second] = api("Email", "create", values={"contact_id": number, "email": "B@example.org"})["values"]
    assert [(row["email"], row["is_primary"]) for row in rows(site, "Email")] == [
        ("ines@example.org", True),
        ("b@example.org", False),
    ]
    update(api, second["id"], "Email", is_primary=True)
    assert [row["is_primary"] for row in rows(site, "Email")] == [False, True]
    update(api, second["id"], "Email", is_primary=False)
    assert [row["is_primary"] for row in rows(site, "Email")].count(True) == 1
    answer = update(api, number, "Contact", **{"email_primary.email": "C@example.org"})["values"][0]
    assert answer["email_primary.email"] == "c@example.org"
    assert len(rows(site, "Email")) == 2  # overwritten in place
    assert len(api("Contact", "get", where=[["email_primary.email", "=", "C@EXAMPLE.org"]])["values"]) == 1


def test_replace_leaves_exactly_these(site: StandIn, api: Api) -> None:
    number = person(site)
    for phone in ("1", "2"):
        api("Phone", "create", values={"contact_id": number, "phone": phone, "location_type_id:name": "Work"})
    api("Phone", "create", values={"contact_id": number, "phone": "home", "location_type_id:name": "Home"})
    where = [["contact_id", "=", number], ["location_type_id:name", "=", "Work"]]
    found = api("Phone", "replace", where=where, records=[{"phone": "+1 212 555 0100"}])
    assert found["count"] == 1
    assert sorted(row["phone_numeric"] for row in rows(site, "Phone")) == ["", "12125550100"]
    assert "Unknown api parameter" in api("Phone", "replace", skipGeocode=True)["error_message"]


def test_duplicates_by_the_stock_rules(site: StandIn, api: Api, v3: Api) -> None:
    ines, other = person(site), person(site, "work@example.org", "Ada")
    api("Email", "create", values={"contact_id": other, "email": "INES@example.org"})

    def duplicates(rule: str = "Individual.Unsupervised", **values: Any) -> Any:
        found = api("Contact", "getDuplicates", dedupeRule=rule, values=values)
        return found.get("error_message") or {row["id"] for row in found["values"]}

    email = {"email_primary.email": "Ines@example.ORG"}
    assert duplicates(**email, first_name="Someone") == {str(ines), str(other)}  # any e-mail, not the name
    assert duplicates(email="ines@example.org") == set()  # a key that does not count
    assert duplicates(first_name="Ines", last_name="Okafor") == set()
    whole = {**email, "first_name": "INES", "last_name": "Okafor"}
    assert duplicates("IndividualSupervised", **whole) == {str(ines)}
    assert duplicates("Individual.Supervised", **email, last_name="Okafor") == set()  # 17 of 20
    assert duplicates(**email, contact_type="Household") == "Mismatched contact type."
    change(site, "delete", entity="Contact", id=ines)
    assert duplicates(**email) == {str(other)}
    match = {"contact_type": "Individual", "email": "ines@example.org"}
    assert set(v3("Contact", "duplicatecheck", match=match)["values"]) == {str(other)}
    told = v3("Contact", "duplicatecheck", match={"email": "x"})["error_message"]
    assert told.startswith("Duplicate check must include a contact type.")


def test_staff_merge_two_contacts(site: StandIn, api: Api) -> None:
    gone, kept, third = person(site), person(site, "new@example.org"), person(site, "third@example.org")
    number = participant(site, gala(site), contact_id=gone)
    given = contribution(api, contact_id=gone)
    change(site, "merge", **{"from": gone, "to": kept})
    change(site, "merge", **{"from": kept, "to": third})
    assert api("Participant", "get", where=[["id", "=", number]])["values"][0]["contact_id"] == third
    assert api("Contribution", "get", where=[["id", "=", given]])["values"][0]["contact_id"] == third
    assert api("Contact", "getMergedTo", contactId=gone)["values"] == [{"id": third}]
    emails = {row["email"]: row["is_primary"] for row in rows(site, "Email") if row["contact_id"] == third}
    assert emails == {"ines@example.org": False, "new@example.org": False, "third@example.org": True}
    assert api("Contact", "get", where=[["id", "=", gone]])["values"] == []


def test_purging_a_contact_takes_its_rows_along(site: StandIn, api: Api) -> None:
    number = person(site)
    event = gala(site)
    primary = participant(site, event, contact_id=number)
    second = participant(site, event, registered_by_id=primary)
    contribution(api, contact_id=number)
    assert api("Contact", "delete", where=[["id", "=", number]])["status"] == 403
    found = api("Contact", "delete", key=ADMIN_KEY, where=[["id", "=", number]], useTrash=False)
    assert found["values"] == [{"id": str(number)}]
    [left] = rows(site, "Participant")
    assert (left["id"], left["registered_by_id"]) == (second, None)
    assert rows(site, "Contribution") == rows(site, "Email") == []


def test_long_text_is_refused_or_cut(site: StandIn, api: Api) -> None:
    long = {"first_name": "x" * 65}
    assert "DB Error" in api("Contact", "create", values=long)["error_message"]
    site.call("POST", "/civicrm/settings", {"long_text": "cut"})
    assert api("Contact", "create", values=long)["values"][0]["first_name"] == "x" * 64


def test_an_update_of_nothing_is_counted_as_nothing(site: StandIn, api: Api) -> None:
    assert update(api, 999, "Contact", first_name="x")["count"] == 0
    site.call("POST", "/civicrm/settings", {"update_of_missing_id": "echo"})
    assert update(api, 999, "Contact", first_name="x")["values"] == [{"id": 999, "first_name": "x"}]


def test_the_examples_of_the_page(site: StandIn, api: Api) -> None:
    roles = api(
        "OptionValue",
        "get",
        select=["value", "name", "is_active"],
        where=[["option_group_id:name", "=", "participant_role"]],
    )["values"]
    assert {(row["value"], row["name"]) for row in roles} >= {("1", "Attendee"), ("4", "Speaker")}
    removed = {
        "name": "Removed_in_EventBrite",
        "label": "Removed in EventBrite",
        "class": "Negative",
        "is_active": True,
        "is_counted": False,
        "visibility_id": 2,
        "weight": 1000,
    }
    for updates in (0, 1):
        found = api("ParticipantStatusType", "save", records=[removed], match=["name"])
        assert found["countMatched"] == updates
    number = person(site)
    home = {"street_address": "1 Home St", "location_type_id:name": "Home"}
    api("Address", "create", values={"contact_id": number, **home}, skipGeocode=True)
    billing = {
        "street_address": "9 Pier Rd",
        "city": "Boston",
        "state_province_id:abbr": "MA",
        "postal_code": "02110-1234",
        "country_id:abbr": "US",
    }
    where = [["contact_id", "=", number], ["location_type_id:name", "=", "Billing"]]
    for _ in range(2):
        found = api("Address", "replace", where=where, records=[billing], match=["location_type_id"])
        assert found["values"][0]["id"] == 2  # in place
    select = ["street_address", "postal_code", "postal_code_suffix", "state_province_id:name", "is_primary"]
    assert api("Address", "get", select=select, where=where)["values"] == [
        {
            "id": 2,
            "street_address": "9 Pier Rd",
            "postal_code": "02110",
            "postal_code_suffix": "1234",
            "state_province_id:name": "Massachusetts",
            "is_primary": False,
        }
    ]
    chain = {"addr": ["Address", "create", {"values": {"contact_id": "$id", "city": "Lyon"}}, 0]}
    [made] = api("Contact", "create", values={"first_name": "Z"}, chain=chain)["values"]
    assert (made["addr"]["contact_id"], made["addr"]["city"]) == (made["id"], "Lyon")


# -- participants


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ("Pending from pay later", "Registered", True),
        ("Pending from incomplete transaction", "Cancelled", True),
        ("On waitlist", "Pending from waitlist", True),
        ("Awaiting approval", "Pending from approval", True),
        ("On waitlist", "Registered", False),
        ("Registered", "Cancelled", False),
    ],
)
def test_who_registered_others_moves_them_along(
    site: StandIn, api: Api, before: str, after: str, moves: bool
) -> None:
    event = gala(site)
    primary = participant(site, event, before)
    for status in (before, "Attended"):
        participant(site, event, status, registered_by_id=primary)
    update(api, primary, "Participant", **{"status_id:name": after})
    assert statuses(api) == [after, after if moves else before, "Attended"]
    registrations = [row for row in rows(site, "Activity") if row["activity_type_id"] == 5]
    assert len(registrations) == (5 if moves else 4)


def test_roles_and_fee_levels_are_lists(site: StandIn, api: Api) -> None:
    event = gala(site, default_role_id=4)
    record = {"contact_id": 2, "event_id": event, "fee_level": ["A", "B"], "fee_amount": 5}
    [made] = api("Participant", "create", values=record, reload=["role_id", "fee_level", "fee_currency"])[
        "values"
    ]
    assert made == {"id": 1, "role_id": ["4"], "fee_level": ["A", "B"], "fee_currency": "USD"}
    update(api, 1, "Participant", **{"role_id:name": ["Attendee", "Nobody", "Speaker"]})
    found = api("Participant", "get", select=["role_id:name"], where=[["role_id", "CONTAINS", 4]])["values"]
    assert found == [{"id": 1, "role_id:name": ["Attendee", "Speaker"]}]
    assert api("Participant", "create", values=record)["count"] == 1  # nobody looks for double bookings


# -- money


def test_a_completed_contribution_is_booked_with_its_fee(site: StandIn, api: Api) -> None:
    number = contribution(api, fee_amount=9.85, invoice_id="EB-1", trxn_id="T-1")
    [row] = api("Contribution", "get", select=["*", "paid_amount"])["values"]
    assert (row["net_amount"], row["paid_amount"], row["receive_date"]) == (
        110.15,
        120,
        "2026-03-01 05:00:00",
    )
    books = [(one["total_amount"], one["is_payment"]) for one in rows(site, "FinancialTrxn")]
    assert books == [(120, True), (9.85, False)]
    assert [one["amount"] for one in rows(site, "FinancialItem")] == [120, 9.85]
    [line] = rows(site, "LineItem")
    assert (line["entity_table"], line["line_total"]) == ("civicrm_contribution", 120)
    values = {"contact_id": 2, "total_amount": 1, **FEE}
    for taken in ({"invoice_id": "eb-1"}, {"trxn_id": "T-1"}):
        told = api("Contribution", "create", values=values | taken)["error_message"]
        assert told.endswith(f"Contribution record ID(s) are: {number}")
    update(api, number, fee_amount=11)
    update(api, number, fee_amount=0)  # posts nothing
    fees = [one["total_amount"] for one in rows(site, "FinancialTrxn") if not one["is_payment"]]
    assert fees == [9.85, 1.15]
    assert api("Contribution", "get")["values"][0]["net_amount"] == 120


def test_the_example_of_an_order_that_is_refunded_piece_by_piece(site: StandIn, api: Api) -> None:
    number = contribution(api)
    update(api, number, total_amount=80)
    assert money(api, number) == ("Completed", 80, 80, 0)
    assert rows(site, "LineItem")[0]["line_total"] == 80
    update(api, number, **{"contribution_status_id:name": "Refunded"})
    assert money(api, number) == ("Refunded", 80, 0, 80)
    assert paid(site) == [120, -40, -80]


def test_quirks_of_zero_of_several_lines_and_of_both_at_once(site: StandIn, api: Api, v3: Api) -> None:
    number = contribution(api)
    update(api, number, total_amount=0)
    assert (rows(site, "LineItem")[0]["line_total"], money(api, number)[1]) == (120, 0)
    both = contribution(api)
    update(api, both, total_amount=70, contribution_status_id=7)
    assert paid(site)[2:] == [120, -120, -50]  # twice
    lines = contribution(api)
    line = {"entity_table": "civicrm_contribution", "entity_id": lines, "contribution_id": lines}
    assert v3("LineItem", "create", **line, qty=1, unit_price=5, line_total=5)["is_error"] == 0
    update(api, lines, total_amount=60)
    mine = [row["line_total"] for row in rows(site, "LineItem") if row["contribution_id"] == lines]
    assert (mine, money(api, lines)[1]) == ([120, 5], 60)
    cancelled = contribution(api)
    update(api, cancelled, contribution_status_id=3)
    assert money(api, cancelled) == ("Cancelled", 120, 120, 0)  # what is cancelled still counts as paid


def test_not_every_status_follows_every_other(api: Api) -> None:
    number = contribution(api)
    told = update(api, number, contribution_status_id=2)["error_message"]
    assert told == "Cannot change contribution status from Completed to Pending."
    update(api, number, contribution_status_id=8)
    told = update(api, number, contribution_status_id=3)["error_message"]
    assert told == "Cannot change contribution status from Partially paid to Cancelled."
    assert update(api, number, contribution_status_id=7)["count"] == 1
    assert update(api, number, contribution_status_id=1)["count"] == 1


def test_cancelling_takes_pending_participants_along(site: StandIn, api: Api, v3: Api) -> None:
    event, number = gala(site), contribution(api, contribution_status_id=2)
    assert rows(site, "FinancialTrxn") == []
    for status in ("Pending from pay later", "Registered", "On waitlist"):
        v3(
            "ParticipantPayment",
            "create",
            participant_id=participant(site, event, status),
            contribution_id=number,
        )
    update(api, number, **{"contribution_status_id:name": "Cancelled"})
    assert statuses(api) == ["Cancelled", "Registered", "Cancelled"]


def test_payments_complete_a_contribution_and_register_everybody(site: StandIn, api: Api, v3: Api) -> None:
    event, number = gala(site), contribution(api, contribution_status_id=2, invoice_id="EB-1", trxn_id="a")
    people = [participant(site, event, status) for status in ("Pending from pay later", "Attended")]
    for one in people:
        v3("ParticipantPayment", "create", participant_id=one, contribution_id=number)

    def pay(amount: float, **more: Any) -> Any:
        return api("Payment", "create", values={"contribution_id": number, "total_amount": amount}, **more)

    pay(20)
    assert (money(api, number), statuses(api)) == (
        ("Partially paid", 120, 20, 100),
        ["Partially paid", "Attended"],
    )
    pay(100)
    assert (money(api, number), statuses(api)) == (("Completed", 120, 120, 0), ["Registered"] * 2)
    api("Payment", "create", values={"contribution_id": number, "total_amount": -50, "trxn_id": "b"})
    assert money(api, number) == ("Partially paid", 120, 70, 50)
    assert api("Contribution", "get")["values"][0]["trxn_id"] == "a,b"
    update(api, people[1], "Participant", **{"status_id:name": "Cancelled"})
    pay(50, disableActionsOnCompleteOrder=True, notificationForCompleteOrder=False)
    assert (money(api, number)[0], statuses(api)) == ("Completed", ["Registered", "Cancelled"])
    pay(-120)
    assert money(api, number) == ("Refunded", 120, 0, 120)
    found = api("Payment", "get", where=[["contribution_id", "=", number]])["values"]
    assert [row["total_amount"] for row in found] == [20, 100, -50, 50, -120]
    v3("Payment", "cancel", id=found[-1]["id"])
    assert money(api, number)[2] == 120
    assert len([row for row in rows(site, "Activity") if row["subject"] == "Receipt"]) == 2


# -- API v3


def test_participant_payments_are_pairs(site: StandIn, api: Api, v3: Api) -> None:
    event, number = gala(site), contribution(api)
    first, second = participant(site, event), participant(site, event)

    def pair(participant_id: int, **more: Any) -> Any:
        return v3("ParticipantPayment", "create", participant_id=participant_id, **more)

    made = pair(first, contribution_id=number)
    told = {"id": "1", "participant_id": str(first), "contribution_id": str(number)}
    assert made == {"is_error": 0, "version": 3, "count": 1, "id": 1, "values": {"1": told}}
    assert pair(first, contribution_id=number)["id"] == 1  # found again
    [line] = rows(site, "LineItem")
    assert (line["entity_table"], line["entity_id"]) == ("civicrm_participant", first)
    assert pair(second, id=1)["values"]["1"]["participant_id"] == str(second)
    assert rows(site, "LineItem") == [line]  # does not move again
    assert pair(first, contribution_id=number)["id"] == 2
    assert pair(second, id=2)["error_message"] == "DB Error: already exists"
    missing = v3("ParticipantPayment", "create", participant_id=first)
    assert (missing["error_code"], missing["fields"]) == ("mandatory_missing", ["contribution_id"])
    assert missing["error_message"] == "Mandatory key(s) missing from params array: contribution_id"
    unknown = pair(99999, contribution_id=number)["error_message"]
    assert unknown == "participant_id is not valid : 99999"


@pytest.mark.parametrize("entity", ["ParticipantPayment", "Participant"])
def test_deleting_a_payment_or_its_participant_deletes_the_contribution(
    site: StandIn, api: Api, v3: Api, entity: str
) -> None:
    number, one = contribution(api), participant(site, gala(site))
    v3("ParticipantPayment", "create", participant_id=one, contribution_id=number)
    v3(entity, "delete", key=ADMIN_KEY, id=1)
    for gone in ("Contribution", "LineItem", "FinancialTrxn", "ParticipantPayment"):
        assert rows(site, gone) == []


def test_v3_speaks_text_and_names_and_stops_at_25(site: StandIn, v3: Api) -> None:
    event = gala(site)
    more = {"contact_id": 2, "event_id": event, "participant_status": "Attended", "role_id": "Speaker"}
    [made] = v3("Participant", "create", **more, sequential=1)["values"]
    assert (made["status_id"], made["role_id"], made["register_date"]) == ("2", "4", "2026-03-01 05:00:00")
    for _ in range(26):
        participant(site, event)
    assert v3("participant", "get", event_id=event)["count"] == 25
    assert v3("Participant", "get", options={"limit": 0}, sequential=1)["count"] == 27
    assert v3("Participant", "getcount", status_id="Registered") == 26
    assert v3("Contact", "getsingle", id=2)["display_name"] == "API User"
    template = gala(site, is_template=True)
    told = v3("Participant", "create", contact_id=2, event_id=template)["error_message"]
    assert told == "Event templates are not meant to be registered."
    calls = {"a": ["Contact", "get", {"id": 2}], "b": ["Foo", "get", {}]}
    found = v3("api3", "call", **calls)
    assert (found["a"]["count"], found["b"]["is_error"]) == (1, 1)


def test_an_order_makes_all_of_it_pending(site: StandIn, api: Api, v3: Api) -> None:
    event = gala(site)
    line = {"entity_table": "civicrm_participant", "qty": 3, "unit_price": 15, "line_total": 45}
    made = {"entity_id.contact_id": 2, "entity_id.event_id": event}
    values = {"contact_id": 2, **FEE}
    [order] = api("Order", "create", contributionValues=values, lineItems=[line | made])["values"]
    assert (order["total_amount"], order["contribution_status_id"], bool(order["invoice_id"])) == (
        45,
        2,
        True,
    )
    assert statuses(api) == ["Pending from incomplete transaction"]
    assert len(rows(site, "ParticipantPayment")) == 1
    items = [{"line_item": [line], "params": {"contact_id": 2, "event_id": event, "status_id": 1}}]
    told = v3("Order", "create", contact_id=2, financial_type_id="Event Fee", line_items=items)
    assert 'non "pending" status is not supported' in told["error_message"]
    items[0]["params"] = {"contact_id": 2, "event_id": event}
    wrong = v3("Order", "create", contact_id=2, financial_type_id=4, total_amount=44, line_items=items)
    assert wrong["error_code"] == "CheckLineItems"
    right = v3("Order", "create", contact_id=2, financial_type_id=4, total_amount=45, line_items=items)
    assert (right["is_error"], right["values"]["2"]["total_amount"]) == (0, "45.00")


def test_version_3_and_orders_are_kept_whole_or_not_at_all(site: StandIn, api: Api, v3: Api) -> None:
    event = gala(site)
    line = {"entity_table": "civicrm_participant", "qty": 1, "unit_price": 5, "line_total": 5}
    items = [
        {"line_item": [line], "params": {"contact_id": 2, "event_id": event}},
        {"line_item": [line | {"price_field_id": 999}], "params": {"contact_id": 2, "event_id": event}},
    ]
    told = v3("Order", "create", contact_id=2, financial_type_id=4, line_items=items)
    assert told["error_message"] == "DB Error: constraint violation"
    lines = [line | {"entity_id.contact_id": 2, "entity_id.event_id": 999}]
    values = {"contact_id": 2, **FEE}
    assert "DB Error" in api("Order", "create", contributionValues=values, lineItems=lines)["error_message"]
    for entity in ("Contribution", "Participant", "LineItem", "FinancialItem", "Activity"):
        assert rows(site, entity) == []
    assert contribution(api, invoice_id="free")  # nothing of it is left in the way


# -- what goes wrong on the way


def test_what_was_asked_is_done_though_the_answer_is_lost(site: StandIn) -> None:
    form = {"params": '{"values":{"first_name":"A"}}'}
    for do, count in (("apply_then_drop", 1), ("drop", 0), ("cut", 1)):
        site.call("POST", "/civicrm/faults", {"do": do, "path": "Contact/create"})
        before = len(rows(site, "Contact"))
        with pytest.raises(requests.RequestException):
            post(site, "api4/Contact/create", form)
        assert len(rows(site, "Contact")) == before + count
    for do, status, applied in (("bad_gateway", 502, 1), ("login_page", 200, 0), ("truncated", 200, 1)):
        site.call("POST", "/civicrm/faults", {"do": do, "path": "create", "applied": bool(applied)})
        before = len(rows(site, "Contact"))
        answer = post(site, "api4/Contact/create", form)
        assert answer.status_code == status
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
        assert len(rows(site, "Contact")) == before + applied
    site.call("POST", "/civicrm/faults", {"do": "apply_then_drop", "path": "rest/ParticipantPayment/create"})
    told = site.call("GET", "/civicrm/requests")
    assert told["sums"]["Contact.create"] == {"calls": 6, "written": 4}


def test_faults_stop_a_batch_half_way_or_change_the_site(site: StandIn, api: Api) -> None:
    site.call("POST", "/civicrm/faults", {"do": "stop_after", "records": 2})
    records = [{"first_name": name} for name in "ABC"]
    assert "DB Error" in api("Contact", "save", records=records)["error_message"]
    assert [row["first_name"] for row in rows(site, "Contact")[2:]] == ["A", "B"]
    site.call("POST", "/civicrm/faults", {"do": "deadlock"})
    assert "Deadlock" in api("Contact", "get")["error_message"]
    site.call("POST", "/civicrm/faults", {"do": "revoke", "times": 1})
    assert post(site, "api4/Contact/get").status_code == 401
    made = {"do": "create", "entity": "Contact", "values": {"first_name": "Z"}}
    site.call("POST", "/civicrm/faults", {"do": "apply", "path": "Contact/get", "changes": [made]})
    assert api("Contact", "get")["count"] == 4
    assert api("Contact", "get")["count"] == 5
    with pytest.raises(ValueError, match="no such setting"):
        site.call("POST", "/civicrm/settings", {"nonsense": 1})
