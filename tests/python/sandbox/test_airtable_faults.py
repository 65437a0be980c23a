"""Limits, lapsing cursors, faults and the hands of other people, all on a clock that is set by hand."""

from typing import Any

import pytest
import requests

from sandbox.server import StandIn
from sandbox.staff_base import field_id
from tests.python.sandbox.test_airtable import (
    BASE,
    NOW,
    OTHER,
    Get,
    Table,
    get,
    names,
    refusal,
    stand_in,
    tool,
    tools,
)

__all__ = ["get", "stand_in", "tools"]  # fixtures
TOOLS = "Tools / all"


def settings(stand_in: StandIn, **wish: Any) -> None:
    stand_in.call("POST", "/airtable/settings", wish)


def fault(stand_in: StandIn, do: str, **more: Any) -> None:
    stand_in.call("POST", "/airtable/faults", {"do": do, **more})


def change(stand_in: StandIn, do: str, **more: Any) -> Any:
    return stand_in.call("POST", "/airtable/changes", {"do": do, "table": TOOLS, **more})["changed"][0]


# -- limits


def test_a_sixth_call_in_a_second_locks_the_base_for_half_a_minute(get: Get, stand_in: StandIn) -> None:
    settings(stand_in, mode="strict")
    for _ in range(5):
        assert get().status_code == 200
        stand_in.advance(0.19)
    answer = get()
    assert (answer.status_code, "retry-after" in answer.headers) == (429, False)
    assert answer.json()["errors"][0]["error"] == "RATE_LIMIT_REACHED"
    assert get(f"meta/bases/{BASE}/tables").status_code == 429  # whatever is asked of this base
    assert get("meta/bases").status_code == 200  # no base
    stand_in.advance(29.9)
    assert get().status_code == 429
    stand_in.advance(0.1)
    assert get().status_code == 200
    assert stand_in.call("GET", "/airtable/requests")["peak"] == 7


def test_five_calls_a_second_go_on_for_ever(get: Get, stand_in: StandIn) -> None:
    settings(stand_in, mode="strict")
    for _ in range(12):
        assert get().status_code == 200
        stand_in.advance(0.2)
    assert stand_in.call("GET", "/airtable/requests")["peak"] == 5
    assert get().headers["date"] == "Mon, 01 Mar 2027 12:00:02 GMT"


def test_what_airtable_leaves_open_about_limits_is_a_switch(get: Get, stand_in: StandIn) -> None:
    settings(stand_in, mode="lenient", limit_shape="object", retry_after=True)
    assert [get().status_code for _ in range(7)] == [200] * 5 + [429] * 2
    assert refusal(get()) == (429, "RATE_LIMIT_REACHED")
    assert get().headers["retry-after"] == "30"
    stand_in.advance(1)
    assert get().status_code == 200
    settings(stand_in, mode="strict", lockout_restarts=True)
    assert [get().status_code for _ in range(6)][-1] == 429
    stand_in.advance(29)
    assert get().status_code == 429
    stand_in.advance(29)
    assert get().status_code == 429
    stand_in.advance(30)
    assert get().status_code == 200
    with pytest.raises(ValueError, match="no such setting"):
        settings(stand_in, moode="off")


def test_a_token_may_call_fifty_times_a_second_over_all_bases(get: Get, stand_in: StandIn) -> None:
    settings(stand_in, mode="strict", calls_a_second=100)
    found = [get(f"meta/bases/{base}/tables").status_code for base in (BASE, OTHER) for _ in range(26)]
    assert found == [200] * 50 + [429] * 2


def test_a_spent_month_refuses_records_but_not_metadata(get: Get, stand_in: StandIn) -> None:
    settings(stand_in, monthly_cap=3)
    assert [get().status_code for _ in range(3)] == [200] * 3
    assert refusal(get()) == (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")
    assert get(f"meta/bases/{BASE}/tables").status_code == 200
    stand_in.set_clock("2027-04-01T00:00:00Z")
    assert get().status_code == 200
    assert stand_in.call("GET", "/airtable/")["calls_by_month"] == {"2027-03": 5, "2027-04": 1}
    settings(stand_in, failures_count=False)
    get("Nowhere")
    assert stand_in.call("GET", "/airtable/")["calls_by_month"] == {}


# -- cursors


def test_a_cursor_lapses_when_its_client_dawdles(get: Get, stand_in: StandIn) -> None:
    first = get(TOOLS_PATH, pageSize=2).json()["offset"]
    stand_in.advance(300)
    second = get(TOOLS_PATH, pageSize=2, offset=first).json()["offset"]
    assert get(TOOLS_PATH, pageSize=2, offset=first).json()["offset"] == second  # asked again: the same page
    stand_in.advance(301)
    assert refusal(get(TOOLS_PATH, pageSize=2, offset=second)) == (422, LOST)
    settings(stand_in, iterator_message=False)
    assert get(TOOLS_PATH, pageSize=2, offset=second).json() == {"error": {"type": LOST}}


TOOLS_PATH, LOST = "Tools%20%2F%20all", "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"


def test_a_cursor_fits_the_listing_it_came_from(get: Get) -> None:
    offset = get(TOOLS_PATH, pageSize=2).json()["offset"]
    for query in ({"pageSize": 3}, {"pageSize": 2, "view": "New ones"}):
        assert refusal(get(TOOLS_PATH, **query, offset=offset)) == (422, "INVALID_OFFSET_VALUE")
    assert refusal(get("Shelves", pageSize=2, offset=offset)) == (422, "INVALID_OFFSET_VALUE")


def test_cursors_are_lost_on_command_by_fault_and_after_half_a_page(get: Get, stand_in: StandIn) -> None:
    offset = get(TOOLS_PATH, pageSize=2).json()["offset"]
    fault(stand_in, "lost_iterator")
    assert get(TOOLS_PATH).status_code == 200
    assert refusal(get(TOOLS_PATH, pageSize=2, offset=offset)) == (422, LOST)
    assert get(TOOLS_PATH, pageSize=2, offset=offset).status_code == 200
    change(stand_in, "lose_iterators")
    assert refusal(get(TOOLS_PATH, pageSize=2, offset=offset)) == (422, LOST)
    fault(stand_in, "half_page")
    page = get(TOOLS_PATH, pageSize=4).json()
    assert len(page["records"]) == 2
    assert refusal(get(TOOLS_PATH, pageSize=4, offset=page["offset"])) == (422, LOST)


def test_a_listing_is_no_snapshot(tools: Table, stand_in: StandIn) -> None:
    pages = tools.iterate(page_size=2)
    assert names(next(pages)) == ["saw", "Axe"]
    change(stand_in, "edit", record=tool(3), fields={"Name": "mallet"})
    change(stand_in, "delete", record=tool(4))
    change(stand_in, "create", fields={"Name": "late"})
    assert [names(page) for page in pages] == [["mallet", None]]
    fault(stand_in, "shift", rows=-1)
    assert names(tools.all(page_size=2)) == ["saw", "Axe", "Axe", "mallet", "mallet", None, None, "late"]


# -- faults


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"do": "server_error"}, (500, {"error": {"type": "SERVER_ERROR", "message": "…"}})),
        ({"do": "unavailable"}, (503, {"error": {"type": "RETRIABLE_ERROR", "message": "…"}})),
        ({"do": "rate_limit"}, (429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "…"}]})),
        ({"do": "answer", "status": 422, "type": "X", "shape": "type"}, (422, {"error": {"type": "X"}})),
        (
            {"do": "answer", "status": 404, "type": "NOT_FOUND", "shape": "text"},
            (404, {"error": "NOT_FOUND"}),
        ),
        ({"do": "answer", "status": 200, "body": {"records": 1}}, (200, {"records": 1})),
        ({"do": "bad_gateway"}, (502, None)),
        ({"do": "not_json"}, (200, None)),
        ({"do": "revoke"}, (401, {"error": {"type": "UNAUTHORIZED", "message": "…"}})),
    ],
)
def test_errors_come_in_all_their_shapes(
    get: Get, stand_in: StandIn, wish: Any, expected: tuple[int, Any]
) -> None:
    stand_in.call("POST", "/airtable/faults", {**wish, "after": 1, "path": "Shelves$"})
    assert get().status_code == 200
    answer = get()
    if expected[1] is None:
        assert (answer.status_code, answer.text[:6]) == (
            502 if wish["do"] == "bad_gateway" else 200,
            "<html>",
        )
        return
    found = answer.json()
    for error in (found.get("error"), *found.get("errors", [])):
        if isinstance(error, dict) and "message" in error:
            assert error["message"]
            error["message"] = "…"
    assert (answer.status_code, found) == expected


def test_faults_hit_the_nth_call_and_headers_are_given(get: Get, stand_in: StandIn) -> None:
    fault(stand_in, "answer", status=503, headers={"Retry-After": "7"}, after=2, times=2)
    assert [get().status_code for _ in range(5)] == [200, 200, 503, 503, 200]
    fault(stand_in, "answer", status=503, headers={"Retry-After": "7"})
    assert get().headers["retry-after"] == "7"
    with pytest.raises(ValueError, match="must be one of"):
        fault(stand_in, "nonsense")


@pytest.mark.parametrize("do", ["drop", "cut", "apply_then_drop"])
def test_a_dropped_connection_is_felt(get: Get, stand_in: StandIn, do: str) -> None:
    fault(stand_in, do)
    with pytest.raises(requests.RequestException):
        get()
    assert get().status_code == 200
    assert [call["status"] for call in stand_in.call("GET", "/airtable/requests")["requests"]] == [None, 200]


def test_a_slow_answer_comes_late_and_calls_are_logged(get: Get, stand_in: StandIn) -> None:
    fault(stand_in, "slow", ms=80)
    assert get(TOOLS_PATH, pageSize=2).elapsed.total_seconds() >= 0.08
    [call] = stand_in.call("DELETE", "/airtable/requests")["requests"]
    assert call["millis"] >= 80
    wanted = {"method": "GET", "path": f"/v0/{BASE}/{TOOLS}", "base": BASE, "query": {"pageSize": "2"}}
    assert {key: call[key] for key in (*wanted, "status", "rows")} == {**wanted, "status": 200, "rows": 2}
    assert stand_in.call("GET", "/airtable/requests")["requests"] == []


def test_changes_come_between_two_calls(tools: Table, stand_in: StandIn) -> None:
    edit = {"do": "edit", "table": TOOLS, "record": tool(3), "fields": {"Name": "mallet"}}
    fault(stand_in, "apply", changes=[edit, {"do": "delete", "table": TOOLS, "record": tool(5)}])
    assert [names(page) for page in tools.iterate(page_size=2)] == [["saw", "Axe"], ["mallet", "plane"], []]


# -- what people do


def test_an_edit_moves_the_modified_time_and_both_sides_of_a_link(tools: Table, stand_in: StandIn) -> None:
    change(
        stand_in, "edit", record=tool(1), fields={"Shelf": ["recShelf000000002"], "Left": False, "Price": 0}
    )
    fields = tools.get(tool(1))["fields"]
    assert (fields["Touched"], fields["Shelf"], fields["Price"]) == (
        NOW[:-1] + ".000Z",
        ["recShelf000000002"],
        0,
    )
    assert "Left" not in fields
    shelves = tools.api.table(BASE, "Shelves")
    assert [record["fields"].get("Tools") for record in shelves.all()] == [[tool(3)], [tool(1)]]
    since = "IS_AFTER(LAST_MODIFIED_TIME(),DATETIME_PARSE('2027-01-01'))"
    assert shelves.all(formula=since) == []  # whether a link from afar counts is a switch
    settings(stand_in, links_move_modified=True, mode="off")
    change(stand_in, "edit", record=tool(1), fields={"Shelf": None})
    assert [record["id"] for record in shelves.all(formula=since)] == ["recShelf000000002"]


def test_a_deleted_record_leaves_every_link(tools: Table, stand_in: StandIn) -> None:
    change(stand_in, "delete", record=tool(1))
    [top, _] = tools.api.table(BASE, "Shelves").all()
    assert (top["fields"]["Tools"], top["fields"]["How many"]) == ([tool(3)], 1)


def test_a_created_record_is_the_last(tools: Table, stand_in: StandIn) -> None:
    key = change(stand_in, "create", fields={"Name": "drill", "Shelf": ["recShelf000000002"]})
    [record] = [record for record in tools.all() if record["id"] == key]
    assert (record["createdTime"], record["fields"]["No"]) == (NOW[:-1] + ".000Z", 6)
    assert tools.api.table(BASE, "Shelves").get("recShelf000000002")["fields"]["Tools"] == [key]


def test_people_change_the_schema(tools: Table, get: Get, stand_in: StandIn) -> None:
    price = field_id(TOOLS, "Price")
    change(stand_in, "rename_field", field="Price", name="Cost")
    assert tools.first(use_field_ids=True)["fields"][price] == tools.first()["fields"]["Cost"] == 12.5
    change(stand_in, "change_type", field="Cost", type="singleLineText")
    change(stand_in, "change_type", field="Name", type="number", options={"precision": 0})
    first = tools.first()["fields"]
    assert (first["Cost"], "Name" in first) == ("12.5", False)
    change(stand_in, "delete_option", field="State", option="new")
    assert [record["fields"].get("State") for record in tools.all()] == ["Broken", None, None, None, None]
    new = change(stand_in, "add_field", name="Colour", type="singleLineText")
    change(stand_in, "edit", record=tool(1), fields={new: "red"})
    assert tools.first(fields=["Colour"])["fields"] == {"Colour": "red"}
    change(stand_in, "delete_field", field="Colour")
    change(stand_in, "rename_table", name="Gear")
    fields = [item["name"] for item in get(f"meta/bases/{BASE}/tables").json()["tables"][0]["fields"]]
    assert fields[:3] == ["Name", "Cost", "Left"]
    assert "Colour" not in fields
    assert get(TOOLS_PATH).status_code == 403
    assert get("Gear").status_code == 200
    for wish in ({"do": "paint"}, {"do": "rename_field", "field": "Nope"}, {"do": "edit", "table": "Nope"}):
        with pytest.raises(ValueError, match="no such"):
            stand_in.call("POST", "/airtable/changes", {"table": "Gear", **wish})
