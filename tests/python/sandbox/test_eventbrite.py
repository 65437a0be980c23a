"""The stand-in behaves as the reference page says Eventbrite does. All over real HTTP."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.server import StandIn, running

Json = dict[str, Any]
ORGANIZATION, OTHER = "700000000001", "700000000002"
EVENT, ONLINE, PARENT, CHILD, PAST, DRAFT, NOWHERE = (f"80000000000{n}" for n in range(1, 8))
NOW = "2027-03-01T12:00:00Z"


def money(value: int) -> Json:
    return {
        "currency": "USD",
        "value": value,
        "major_value": f"{value / 100:.2f}",
        "display": f"${value / 100}",
    }


def event(identity: str, **more: Any) -> Json:
    return {
        "id": identity,
        "name": {"text": f"Event {identity[-1]}", "html": ""},
        "description": {"text": "An evening", "html": "An evening"},
        "start": {"timezone": "UTC", "local": "2027-05-01T19:00:00", "utc": "2027-05-01T19:00:00Z"},
        "end": {"timezone": "UTC", "local": "2027-05-01T22:00:00", "utc": "2027-05-01T22:00:00Z"},
        "created": f"2027-01-0{identity[-1]}T00:00:00Z",
        "changed": "2027-02-01T09:15:00Z",
        "organization_id": ORGANIZATION,
        "venue_id": "5000001",
        "status": "live",
        "currency": "USD",
        "capacity": 200,
        "online_event": False,
        "is_series": False,
        "is_series_parent": False,
        **more,
    }


def order(identity: str, **more: Any) -> Json:
    costs = {n: money(100) for n in ("base_price", "eventbrite_fee", "payment_fee", "tax", "gross")}
    return {
        "id": identity,
        "created": "2027-02-01T10:00:00Z",
        "changed": "2027-02-01T10:01:15Z",
        "email": "kim@example.org",
        "status": "placed",
        "event_id": EVENT,
        "costs": {**costs, "display_price": money(100), "has_gts_tax": False},
        **more,
    }


def attendee(identity: str, **more: Any) -> Json:
    return {
        "id": identity,
        "resource_uri": "https://www.eventbriteapi.com/v3/somewhere/else/",
        "created": "2027-02-01T10:01:13Z",
        "changed": f"2027-02-01T10:00:0{int(identity) % 10}Z",
        "event_id": EVENT,
        "order_id": "11",
        "ticket_class_id": "31",
        "status": "Attending",
        "cancelled": False,
        "answers": [{"question_id": "41", "answer": "Vegan"}],
        **more,
    }


def ticket_class(identity: str, category: str, *channels: str) -> Json:
    return {"id": identity, "event_id": EVENT, "category": category, "sales_channels": channels or ["online"]}


def question(identity: str) -> Json:
    return {
        "id": identity,
        "resource_uri": f"https://x/v3/events/{EVENT}/questions/{identity}/",
        "type": "text",
    }


def objects() -> dict[str, list[Json]]:
    gone = {"utc": "2027-01-01T22:00:00Z"}
    return {
        "user": [{"id": "900000000001", "name": "Ana Example"}],
        "organizations": [
            {"_type": "organization", "id": ORGANIZATION},
            {"_type": "organization", "id": OTHER},
        ],
        "events": [
            event(EVENT, series_id=None),
            event(ONLINE, online_event=True, venue_id=None, currency="EUR"),
            event(PARENT, is_series=True, is_series_parent=True, status="started"),
            event(CHILD, is_series=True, series_id=PARENT),
            event(PAST, status="completed", start=gone, end=gone),
            event(DRAFT, status="draft"),
            event(NOWHERE, venue_id=None, organization_id=OTHER),
        ],
        "venues": [
            {"id": "5000001", "name": "Hall", "organization_id": ORGANIZATION},
            {"id": "5000002", "name": "Barn", "organization_id": OTHER},
        ],
        "ticket_classes": [
            ticket_class("31", "admission", "online", "atd"),
            ticket_class("32", "add_on"),
            ticket_class("33", "donation", "atd"),
        ],
        "orders": [
            order("11", refund_requests=[{"status": "completed"}]),
            order("12", status="Refunded", email="jo@example.org"),
            order("13", status="deleted"),
            order("14", status="abandoned"),
            order("15", event_id=PAST),
        ],
        "attendees": [
            attendee("21", promotional_code={"code": "EARLY"}),
            attendee("22", status="Not Attending", cancelled=True),
            attendee("23", status="Unpaid", order_id="12"),
            attendee("24", order_id="12"),
            attendee("100", order_id="15", event_id=PAST),
        ],
        "questions": [question("41"), question("home")],
        "discounts": [
            {"id": "401", "code": "EARLY", "type": "coded", "event_id": EVENT},
            {"id": "402", "code": "LATE", "type": "public", "event_id": EVENT},
            {"id": "403", "code": "MANY", "event_id": None, "ticket_class_ids": ["31"]},
            {"id": "404", "code": "ALL", "event_id": None, "ticket_class_ids": []},
        ],
    }


@pytest.fixture(scope="module")
def shared() -> Iterator[StandIn]:
    with running(objects=objects()) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(shared: StandIn) -> StandIn:
    """The shared stand-in with calm weather and an empty log. Who writes objects starts one of their own."""
    shared.clear_faults()
    shared.forget_requests()
    shared.set_clock(NOW)
    shared.settings(page_size=50, rate_limit=2000, tokens={"sandbox": "private", "sandbox-public": "public"})
    return shared


Get = Callable[..., requests.Response]


def getter(stand_in: StandIn) -> Get:
    def get(path: str, method: str = "GET", token: str | None = "sandbox", **query: Any) -> requests.Response:
        body = query.pop("body", None)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return requests.request(
            method,
            f"{stand_in.eventbrite}{path}",
            headers=headers | query.pop("headers", {}),
            params={name.replace("__", "."): value for name, value in query.items()},
            json=body,
            allow_redirects=False,
            timeout=10,
        )

    return get


@pytest.fixture
def get(stand_in: StandIn) -> Get:
    return getter(stand_in)


def ids(answer: requests.Response, key: str) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()[key]]


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status_code"] == answer.status_code
    assert body["error_description"]
    return answer.status_code, body["error"]


def invalid(answer: requests.Response) -> str:
    """The argument a 400 names."""
    assert refusal(answer) == (400, "ARGUMENTS_ERROR")
    [[name, [what]]] = answer.json()["error_detail"]["ARGUMENTS_ERROR"].items()
    assert answer.json()["error_description"] == f"There are errors with your arguments: {name} - {what}"
    return f"{name} {what}"


EVENTS = f"/organizations/{ORGANIZATION}/events/"
ORDERS = f"/organizations/{ORGANIZATION}/orders/"
ATTENDEES = f"/organizations/{ORGANIZATION}/attendees/"


# -- credentials


def test_without_a_token_nothing_is_told(get: Get) -> None:
    assert refusal(get("/users/me/", token=None)) == (401, "NO_AUTH")
    assert refusal(get("/users/me/", token="api-key")) == (401, "INVALID_AUTH")
    assert get("/users/me/", token="api-key").json()["error_description"] == (
        "The OAuth token you provided was invalid."
    )
    malformed = get("/users/me/", token=None, headers={"Authorization": "Basic abc"})
    assert refusal(malformed) == (400, "INVALID_AUTH_HEADER")


def test_a_token_works_as_bearer_and_in_the_address(get: Get, stand_in: StandIn) -> None:
    assert get("/users/me/").json()["id"] == "900000000001"
    address = f"{stand_in.eventbrite}/users/me/?token=sandbox"
    assert requests.get(address, timeout=10).status_code == 200


def test_a_public_token_sees_public_events_only(get: Get) -> None:
    seen = get(f"/events/{EVENT}/", token="sandbox-public")
    assert seen.status_code == 200
    assert "capacity" not in seen.json()
    assert get(f"/events/{EVENT}/").json()["capacity"] == 200
    for path in ("/users/me/", EVENTS, "/orders/11/", f"/events/{EVENT}/attendees/"):
        assert refusal(get(path, token="sandbox-public")) == (403, "NOT_AUTHORIZED"), path


def test_another_organization_is_refused(get: Get) -> None:
    assert refusal(get("/organizations/1/orders/")) == (403, "NOT_AUTHORIZED")


# -- paths


def test_a_missing_slash_is_moved_permanently(get: Get, stand_in: StandIn) -> None:
    answer = get(f"/events/{EVENT}/attendees", status="attending")
    assert refusal(answer) == (301, "PERMANENTLY_MOVED")
    assert answer.headers["location"] == f"/v3/events/{EVENT}/attendees/?status=attending"
    headers = {"Authorization": "Bearer sandbox"}
    followed = requests.get(f"{stand_in.eventbrite}/events/{EVENT}", headers=headers, timeout=10)
    assert followed.json()["id"] == EVENT


def test_what_does_not_exist_is_said_to_be_missing(get: Get) -> None:
    assert refusal(get("/nowhere/")) == (404, "NOT_FOUND")
    assert get("/nowhere/").json()["error_description"] == "The path you requested does not exist."
    assert get("/events/1/").json()["error_description"] == "The event you requested does not exist."
    for path in ("/events/search/", "/users/me/owned_events/", f"/events/{PAST}/attendees/21/"):
        assert refusal(get(path)) == (404, "NOT_FOUND"), path


def test_a_wrong_method_is_not_allowed(get: Get) -> None:
    assert refusal(get(f"/events/{EVENT}/", method="PUT")) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        (f"/events/{EVENT}/", f"/events/{EVENT}/"),
        ("/venues/5000001/", "/venues/5000001/"),
        ("/orders/11/", "/orders/11/"),
        (f"/events/{EVENT}/attendees/21/", f"/events/{EVENT}/attendees/21/"),
        ("/orders/11/attendees/21/", "/orders/11/attendees/21/"),
        (f"/events/{EVENT}/ticket_classes/31/", f"/events/{EVENT}/ticket_classes/31/"),
        (f"/events/{EVENT}/questions/41/", f"/events/{EVENT}/questions/41/"),
        (f"/series/{PARENT}/", f"/events/{PARENT}/"),
    ],
)
def test_objects_tell_the_address_of_their_route(
    get: Get, stand_in: StandIn, path: str, resource: str
) -> None:
    assert get(path).json()["resource_uri"] == f"{stand_in.eventbrite}{resource}"


def test_an_orders_attendees_name_their_own_route(get: Get, stand_in: StandIn) -> None:
    found = get("/orders/11/attendees/").json()["attendees"]
    assert [item["resource_uri"] for item in found] == [
        f"{stand_in.eventbrite}/orders/11/attendees/{n}/" for n in (21, 22)
    ]


# -- pages


def test_pages_carry_all_six_keys_and_a_readable_cursor(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(page_size=2)
    pages = [get(ATTENDEES).json()]
    while pages[-1]["pagination"]["has_more_items"]:
        pages.append(get(ATTENDEES, continuation=pages[-1]["pagination"]["continuation"]).json())
    assert pages[0]["pagination"] == {
        "object_count": 5,
        "page_number": 1,
        "page_size": 2,
        "page_count": 3,
        "has_more_items": True,
        "continuation": "eyJwYWdlIjogMn0",
    }
    assert [item["id"] for page in pages for item in page["attendees"]] == ["21", "22", "23", "24", "100"]
    token = pages[1]["pagination"]["continuation"]
    assert json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))) == {"page": 3}
    beyond = get(ATTENDEES, continuation=base64.urlsafe_b64encode(b'{"page": 9}').decode().rstrip("=")).json()
    assert (beyond["attendees"], beyond["pagination"]["has_more_items"]) == ([], False)


def test_a_page_has_fifty_rows_unless_events_or_discounts_are_asked_for_fewer(get: Get) -> None:
    assert get(ATTENDEES, page_size=1).json()["pagination"]["page_size"] == 50
    assert get(EVENTS, status="all", page_size=1).json()["pagination"]["page_count"] == 5
    assert (
        get(f"/organizations/{ORGANIZATION}/discounts/", scope="user", page_size=1).json()["pagination"][
            "page_size"
        ]
        == 1
    )
    assert invalid(get(EVENTS, page_size="many")) == "page_size INVALID"


@pytest.mark.parametrize("token", ["junk", "e30", "eyJwYWdlIjogMH0", "eyJwYWdlIjogIngifQ", "€", ""])
def test_junk_is_no_cursor(get: Get, token: str) -> None:
    assert refusal(get(ATTENDEES, continuation=token)) == (400, "BAD_CONTINUATION_TOKEN")


def test_numbered_pages_still_work_within_range(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(page_size=2)
    assert ids(get(ATTENDEES, page=3), "attendees") == ["100"]
    for page in ("4", "0", "x"):
        assert refusal(get(ATTENDEES, page=page)) == (400, "BAD_PAGE")


def test_only_organizations_carry_a_cursor_on_their_last_page(get: Get) -> None:
    last = get("/users/me/organizations/").json()["pagination"]
    assert (last["has_more_items"], last["continuation"]) == (False, "eyJwYWdlIjogMn0")
    assert get(ATTENDEES).json()["pagination"]["continuation"] is None


# -- filters


def test_changed_since_includes_its_own_second(get: Get) -> None:
    path = f"/events/{EVENT}/attendees/"
    assert ids(get(path, changed_since="2027-02-01T10:00:03Z"), "attendees") == ["23", "24"]
    assert ids(get(ATTENDEES, changed_since="2027-02-01T10:00:04Z"), "attendees") == ["24"]
    assert ids(get(ORDERS, changed_since="2027-02-01T10:01:16Z"), "orders") == []


@pytest.mark.parametrize(
    "moment", ["2027-02-01", "2027-02-01T10:00:03", "2027-2-1T10:00:03Z", "2027-02-31T10:00:03Z"]
)
def test_changed_since_is_particular_about_its_form(get: Get, moment: str) -> None:
    assert invalid(get(ATTENDEES, changed_since=moment)) == "changed_since INVALID"


def test_last_item_seen_resumes_within_a_change(get: Get) -> None:
    path = f"/events/{EVENT}/attendees/"
    since = "2027-02-01T10:00:00Z"
    assert ids(get(path, changed_since=since, last_item_seen="22"), "attendees") == ["23", "24"]
    assert invalid(get(path, last_item_seen="22")) == "last_item_seen INVALID"


def test_orders_by_status(get: Get) -> None:
    wanted = {
        None: ["11", "12", "13", "14", "15"],
        "active": ["11", "15"],
        "inactive": ["12", "13", "14"],
        "all_not_deleted": ["11", "12", "14", "15"],
    }
    for status, expected in wanted.items():
        assert ids(get(ORDERS, status=status), "orders") == expected, status
    assert invalid(get(ORDERS, status="both")) == "status INVALID"


def test_orders_by_email_refund_and_time(get: Get) -> None:
    assert ids(get(ORDERS, only_emails="jo@example.org"), "orders") == ["12"]
    assert ids(get(ORDERS, exclude_emails="kim@example.org"), "orders") == ["12"]
    assert ids(get(ORDERS, time_filter="past"), "orders") == ["15"]
    path = f"/events/{EVENT}/orders/"
    assert ids(get(path, refund_request_statuses="completed,denied"), "orders") == ["11"]
    assert invalid(get(path, refund_request_statuses="maybe")) == "refund_request_statuses INVALID"


def test_attendees_by_status(get: Get) -> None:
    path = f"/events/{EVENT}/attendees/"
    assert ids(get(path), "attendees") == ["21", "22", "23", "24"]
    assert ids(get(path, status="attending"), "attendees") == ["21", "24"]
    assert ids(get(path, status="not_attending"), "attendees") == ["22"]
    assert ids(get(path, status="unpaid"), "attendees") == ["23"]
    assert ids(get(path, attendee_ids="21,24"), "attendees") == ["21", "24"]
    assert invalid(get(ATTENDEES, status="unpaid")) == "status INVALID"


def test_events_without_a_status_are_live_or_to_come(get: Get) -> None:
    assert ids(get(EVENTS), "events") == [EVENT, ONLINE, CHILD]
    assert sorted(ids(get(EVENTS, status="all"), "events")) == [EVENT, ONLINE, CHILD, PAST, DRAFT]
    assert ids(get(EVENTS, status="draft,completed"), "events") == [PAST, DRAFT]
    assert invalid(get(EVENTS, status="cancelled")) == "status INVALID"


def test_series_parents_are_hidden_until_asked_for(get: Get) -> None:
    assert sorted(ids(get(EVENTS, status="all", show_series_parent="true"), "events")) == [
        EVENT,
        ONLINE,
        PARENT,
        PAST,
        DRAFT,
    ]
    assert ids(get(EVENTS, status="all", series_filter="children"), "events") == [CHILD]
    assert ids(get(EVENTS, status="all", series_filter="allseries"), "events") == [PARENT, CHILD]
    assert ids(get(f"/series/{PARENT}/events/"), "events") == [CHILD]
    assert refusal(get(f"/series/{EVENT}/")) == (404, "NOT_FOUND")


def test_events_by_time_and_order(get: Get) -> None:
    assert ids(get(EVENTS, status="all", time_filter="past"), "events") == [PAST]
    assert PAST not in ids(get(EVENTS, status="all", time_filter="current_future"), "events")
    found = ids(get(EVENTS, status="all", order_by="created_desc"), "events")
    assert found == [DRAFT, PAST, CHILD, ONLINE, EVENT]
    assert ids(get(EVENTS, status="all", currency_filter="EUR"), "events") == [ONLINE]
    assert ids(get(EVENTS, status="all", name_filter="event 2"), "events") == [ONLINE]
    assert ids(get("/venues/5000001/events/", time_filter="past"), "events") == [PAST]
    assert invalid(get(EVENTS, time_filter="soon")) == "time_filter INVALID"
    assert invalid(get(EVENTS, order_by="price_asc")) == "order_by INVALID"


def test_discounts_need_a_scope(get: Get) -> None:
    path = f"/organizations/{ORGANIZATION}/discounts/"
    assert invalid(get(path)) == "scope MISSING"
    assert invalid(get(path, scope="galaxy")) == "scope INVALID"
    assert invalid(get(path, scope="event")) == "event_id MISSING"
    assert ids(get(path, scope="event", event_id=EVENT), "discounts") == ["401", "402"]
    assert ids(get(path, scope="event", event_id=EVENT, code="early"), "discounts") == ["401"]
    assert ids(get(path, scope="multi_events"), "discounts") == ["403"]
    assert ids(get(path, scope="user"), "discounts") == ["404"]


def test_ticket_classes_by_category(get: Get) -> None:
    path = f"/events/{EVENT}/ticket_classes/"
    assert ids(get(path), "ticket_classes") == ["31"]
    assert ids(get(path, category="all"), "ticket_classes") == ["31", "32", "33"]
    assert ids(get(path, category="add_on"), "ticket_classes") == ["32"]
    assert ids(get(path, category="all", pos="at_the_door"), "ticket_classes") == ["31", "33"]
    assert invalid(get(path, category="merch")) == "category INVALID"


def test_questions_of_the_organizer_and_standard_ones_are_apart(get: Get) -> None:
    assert ids(get(f"/events/{EVENT}/questions/"), "questions") == ["41"]
    assert ids(get(f"/events/{EVENT}/canned_questions/"), "questions") == ["home"]


def test_venues_belong_to_their_organization(get: Get) -> None:
    assert ids(get(f"/organizations/{OTHER}/venues/"), "venues") == ["5000002"]
    assert "organization_id" not in get("/venues/5000002/").json()


def test_the_description_and_the_switch_that_hides_it(get: Get) -> None:
    assert get(f"/events/{EVENT}/description/").json() == {"description": "<div>An evening</div>"}
    switch = {"Eb-Api-Switches-Enabled": "OMIT_DESCRIPTION_FROM_EVENT_CONTAINER"}
    assert get(f"/events/{EVENT}/", headers=switch).json()["description"] is None
    unknown = get(f"/events/{EVENT}/", headers={"Eb-Api-Switches-Enabled": "NOPE"})
    assert refusal(unknown) == (400, "BAD_REQUEST")


# -- orders and expansions


def test_the_organizations_orders_have_lean_costs(get: Get) -> None:
    lean = get(ORDERS).json()["orders"][0]["costs"]
    assert sorted(lean) == ["base_price", "eventbrite_fee", "gross", "payment_fee", "tax"]
    for rich in (get("/orders/11/").json(), get(f"/events/{EVENT}/orders/").json()["orders"][0]):
        assert "display_price" in rich["costs"]


def test_an_abandoned_checkout_is_gone(get: Get) -> None:
    assert refusal(get("/orders/14/")) == (400, "ORDER_EXPIRED")


def test_expansions_come_only_when_asked_for(get: Get) -> None:
    plain = get("/orders/11/").json()
    assert not {"event", "attendees", "refund_requests"} & set(plain)
    asked = get("/orders/11/", expand="event,attendees,refund_requests,merchandise").json()
    assert asked["event"]["id"] == EVENT
    assert [item["id"] for item in asked["attendees"]] == ["21", "22"]
    assert asked["refund_requests"] == [{"status": "completed"}]
    assert asked["merchandise"] == []
    listed = get(ATTENDEES, expand="promotional_code").json()["attendees"]
    assert [item["promotional_code"] for item in listed[:2]] == [{"code": "EARLY"}, None]
    assert "promotional_code" not in get(ATTENDEES).json()["attendees"][0]


def test_expansions_nest_with_dots(get: Get) -> None:
    found = get("/orders/11/", expand="attendees.promotional_code,event.venue").json()
    assert found["attendees"][0]["promotional_code"] == {"code": "EARLY"}
    assert found["event"]["venue"]["name"] == "Hall"
    deep = get("/orders/11/", expand="attendees.order.event.venue.x").json()
    assert deep["attendees"][0]["order"]["event"]["venue"]["id"] == "5000001"


def test_unknown_expansions_are_passed_over_in_silence(get: Get) -> None:
    assert get(f"/events/{EVENT}/", expand="unicorn").json() == get(f"/events/{EVENT}/").json()


def test_an_online_event_has_no_venue_even_when_expanded(get: Get) -> None:
    found = {e["id"]: e for e in get(EVENTS, status="all", expand="venue,ticket_classes").json()["events"]}
    assert "venue" not in found[ONLINE]
    assert found[EVENT]["venue"]["id"] == "5000001"
    assert [item["id"] for item in found[EVENT]["ticket_classes"]] == ["31", "32", "33"]
    assert get(f"/events/{NOWHERE}/", expand="venue").json()["venue"] is None


def test_answers_come_without_being_asked_for(get: Get) -> None:
    assert get(f"/events/{EVENT}/attendees/21/", expand="answers").text.count('"answers"') == 1


# -- rate


def test_every_answer_tells_the_rate_and_above_it_nothing_is_told(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(rate_limit=2)
    assert get("/users/me/").headers["x-rate-limit"] == "token:sandbox 1/2 reset=3600s"
    stand_in.advance(600)
    assert get("/events/1/").headers["x-rate-limit"] == "token:sandbox 2/2 reset=3000s"
    refused = get("/users/me/")
    assert refusal(refused) == (429, "HIT_RATE_LIMIT")
    assert refused.headers["x-rate-limit"] == "token:sandbox 2/2 reset=3000s"
    stand_in.advance(3000)
    assert get("/users/me/").headers["x-rate-limit"] == "token:sandbox 1/2 reset=3600s"


# -- webhooks


def test_webhooks_are_made_listed_read_and_deleted(get: Get) -> None:
    path = f"/organizations/{ORGANIZATION}/webhooks/"
    body = {"endpoint_url": "https://example.org/hook/x", "actions": "order.placed,order.updated"}
    made = get(path, method="POST", body=body)
    hook = made.json()
    assert hook["actions"] == ["order.placed", "order.updated"]
    assert hook["user_id"] == "900000000001"
    assert hook["created"] == NOW
    assert "Eventbrite-API-Waypoint-Token" in made.headers
    again = get(path, method="POST", body={"endpoint_url": body["endpoint_url"]}).json()
    assert again["actions"] == ["order.placed", "event.published", "event.unpublished"]
    assert ids(get(path), "webhooks") == [hook["id"], again["id"]]
    assert get(f"/webhooks/{hook['id']}/").json() == hook
    for identity in (hook["id"], again["id"]):
        deleted = get(f"/webhooks/{identity}/", method="DELETE").json()
        assert deleted == {"id": identity, "success": True}
    assert refusal(get(f"/webhooks/{hook['id']}/", method="DELETE")) == (404, "NOT_FOUND")


def test_a_senseless_webhook_is_refused(get: Get) -> None:
    path = f"/organizations/{ORGANIZATION}/webhooks/"
    assert refusal(get(path, method="POST")) == (400, "INVALID_BODY")
    assert invalid(get(path, method="POST", body={"actions": ""})) == "endpoint_url MISSING"
    body = {"endpoint_url": "https://x", "actions": "attendee.created"}
    assert invalid(get(path, method="POST", body=body)) == "actions INVALID"
    assert refusal(get("/webhooks/")) == (403, "NOT_AUTHORIZED")
