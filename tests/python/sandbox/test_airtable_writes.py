"""Records and schema are written as the reference page says of Airtable; pyairtable does it unchanged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import Api, Table
from requests import HTTPError

from sandbox import bases
from sandbox.airtable import SCOPES, TOKEN
from sandbox.bases import Base, Bases, Record
from sandbox.server import StandIn, fill, running
from sandbox.staff_base import BASE_ID, VENUES, field_id, table
from sandbox.store import Json, Store
from tests.python.sandbox.test_airtable import BASE, NOW, OTHER, refusal, shed, tool, tools

__all__ = ["tools"]  # fixture
TOOLS, KINDS, TEAMS = "Tools / all", "Kinds", "Teams"
TOOL_TABLE = bases.identity("tbl", TOOLS)
UTC_TIME = {"timeZone": "utc", "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}}
OPTIONS = {"choices": [{"id": "selA", "name": "A, B"}, {"id": "selB", "name": "é 🎪"}]}
STAFF = {"id": bases.identity("usr", "staff"), "email": "ana@example.org", "name": "Ana Example"}
FILE = {
    "id": "attPlan0000000001",
    "url": "https://v5.example/p",
    "filename": "p.pdf",
    "size": 9,
    "type": "x/y",
}
LINK = {"linkedTableId": bases.identity("tbl", TEAMS), "inverseLinkFieldId": field_id(TEAMS, "Of")}
Send = Callable[..., requests.Response]


def every_kind() -> list[bases.Table]:
    """A table with a field of each type, and one that it links to."""
    kinds = table(
        KINDS,
        None,
        ("Name", "singleLineText", None),
        ("Long", "multilineText", None),
        ("Rich", "richText", None),
        ("Mail", "email", None),
        ("Site", "url", None),
        ("Phone", "phoneNumber", None),
        ("Number", "number", {"precision": 2}),
        ("Share", "percent", {"precision": 0}),
        ("Money", "currency", {"precision": 2, "symbol": "€"}),
        ("Stars", "rating", {"icon": "star", "max": 5, "color": "yellowBright"}),
        ("Length", "duration", {"durationFormat": "h:mm"}),
        ("Done", "checkbox", {"icon": "check", "color": "greenBright"}),
        ("Day", "date", {"dateFormat": {"name": "iso"}}),
        ("At", "dateTime", UTC_TIME),
        ("Berlin", "dateTime", {**UTC_TIME, "timeZone": "Europe/Berlin"}),
        ("One", "singleSelect", OPTIONS),
        ("Many", "multipleSelects", OPTIONS),
        ("Teams", "multipleRecordLinks", LINK),
        ("Files", "multipleAttachments", {"isReversed": False}),
        ("Who", "singleCollaborator", None),
        ("All", "multipleCollaborators", None),
        ("Code", "barcode", None),
        ("Sum", "formula", {"isValid": True, "formula": "…", "result": {"type": "number"}}),
        ("No", "autoNumber", None),
        ("New", "hologram", None),
    )
    teams = table(
        TEAMS,
        None,
        ("Team", "singleLineText", None),
        (
            "Of",
            "multipleRecordLinks",
            {"linkedTableId": kinds.id, "inverseLinkFieldId": field_id(KINDS, "Teams")},
        ),
    )
    kinds.records[KIND] = Record(KIND, 1, 0, 0, {field_id(KINDS, "Files"): [FILE]})
    for place in (1, 2):
        teams.records[team(place)] = Record(team(place), place, 0, 0, {field_id(TEAMS, "Team"): f"T{place}"})
    kinds.last_record, teams.last_record = 1, 2
    return [kinds, teams]


KIND = "recKind0000000001"


def team(place: int) -> str:
    return f"recTeam{place:010d}"


@contextmanager
def begun() -> Iterator[StandIn]:
    base = shed()
    base.tables += every_kind()
    with running(bases=[base, Base(OTHER, "Elsewhere")]) as stand_in:
        stand_in.set_clock(NOW)
        settings(stand_in, mode="off")
        yield stand_in


def sender(stand_in: StandIn) -> Send:
    """`send("PATCH", "Shelves", {…})`; a path that begins with meta or app is whole."""
    session = requests.Session()

    def call(method: str, path: str, body: Any = None, *, token: str = TOKEN, **query: Any) -> Any:
        url = f"{stand_in.airtable}/v0/" + (path if path.startswith(("meta", "app")) else f"{BASE}/{path}")
        headers = {"Authorization": f"Bearer {token}"}
        return session.request(method, url, params=query, json=body, headers=headers, timeout=10)

    return call


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with begun() as stand_in:
        yield stand_in


@pytest.fixture
def send(stand_in: StandIn) -> Send:
    return sender(stand_in)


@pytest.fixture
def kinds(stand_in: StandIn) -> Table:
    return Api(TOKEN, endpoint_url=stand_in.airtable, retry_strategy=None).table(BASE, KINDS)


@pytest.fixture(scope="module")
def shared() -> Iterator[StandIn]:
    """For tests after which nothing has changed that another one looks at."""
    with begun() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def ask(shared: StandIn) -> Send:
    return sender(shared)


def settings(stand_in: StandIn, **wish: Any) -> None:
    stand_in.call("POST", "/airtable/settings", wish)


def fault(stand_in: StandIn, do: str, **more: Any) -> None:
    stand_in.call("POST", "/airtable/faults", {"do": do, **more})


def change(stand_in: StandIn, do: str, **more: Any) -> Any:
    return stand_in.call("POST", "/airtable/changes", {"do": do, **more})["changed"][0]


def everything(stand_in: StandIn) -> Any:
    """Every record and the whole schema, read from outside."""
    url, headers = f"{stand_in.airtable}/v0", {"Authorization": f"Bearer {TOKEN}"}
    with requests.Session() as session:
        session.headers.update(headers)
        schema = session.get(f"{url}/meta/bases/{BASE}/tables", timeout=10).json()["tables"]
        return schema, [session.get(f"{url}/{BASE}/{one['id']}", timeout=10).json() for one in schema]


# -- records, as pyairtable writes them


def test_pyairtable_writes_records(tools: Table, stand_in: StandIn) -> None:
    made = tools.create({"Name": "drill", "Price": 3.0, "Left": False, "Odd }name": ""})
    assert made["fields"] == {"Name": "drill", "Price": 3, "No": 6, "Made": "2027-03-01", "Touched": ZULU}
    assert made["createdTime"] == ZULU
    many = tools.batch_create([{"Name": f"bit {number}"} for number in range(25)])
    assert [record["fields"]["No"] for record in many] == list(range(7, 32))  # in the order asked for
    [one, other] = tools.batch_update(
        [{"id": tool(3), "fields": {"Price": None}}, {"id": tool(1), "fields": {"Name": "fretsaw"}}]
    )
    assert (one["id"], other["fields"]["Price"], "Price" in one["fields"]) == (tool(3), 12.5, False)
    assert (
        tools.update(tool(4), {"Name": "jack"}, use_field_ids=True)["fields"][field_id(TOOLS, "Name")]
        == "jack"
    )
    replaced = tools.update(tool(1), {"Name": "saw"}, replace=True)["fields"]
    assert set(replaced) == {"Name", "No", "Made", "Touched"}
    assert tools.batch_delete([tool(1), tool(2)]) == [
        {"id": tool(place), "deleted": True} for place in (1, 2)
    ]
    assert tools.delete(tool(3)) == {"id": tool(3), "deleted": True}
    assert len(tools.all()) == 2 + 26
    told = stand_in.call("GET", "/airtable/requests")
    assert told["sums"] == {
        "create": {"calls": 4, "rows": 26},
        "update": {"calls": 3, "rows": 4},
        "delete": {"calls": 2, "rows": 3},
        "list": {"calls": 1, "rows": 28},
    }
    assert told["requests"][4]["body"]["records"][0] == {"id": tool(3), "fields": {"Price": None}}


ZULU = f"{NOW[:-1]}.000Z"


def test_pyairtable_upserts(tools: Table) -> None:
    price = field_id(TOOLS, "Price")
    done = tools.batch_upsert(
        [
            {"fields": {"Name": "Axe", "Price": 5}},
            {"fields": {"Name": "rasp", price: 1}},
            {"id": tool(1), "fields": {"Price": 2}},
        ],
        key_fields=["Name"],
    )
    assert done["updatedRecords"] == [tool(2), tool(1)]
    [new] = done["createdRecords"]
    assert [record["id"] for record in done["records"]] == [tool(2), new, tool(1)]
    assert [record["fields"]["Price"] for record in done["records"]] == [5, 1, 2]
    assert tools.get(tool(2))["fields"]["Odd }name"] == 'it\'s "odd"'  # what was not named stays
    again = tools.batch_upsert([{"fields": {"Name": "rasp", "Bought": None}}], ["Name"], replace=True)
    assert (again["updatedRecords"], again["createdRecords"]) == ([new], [])


def test_pyairtable_makes_tables_and_fields(stand_in: StandIn) -> None:
    api = Api(TOKEN, endpoint_url=stand_in.airtable, retry_strategy=None)
    base = api.base(OTHER)
    venues = base.create_table("Venues", [{"name": "Venue", "type": "singleLineText"}], description="Halls")
    made = {
        "Capacity": ("number", {"precision": 0}),
        "Open": ("checkbox", {"icon": "check", "color": "greenBright"}),
        "State": ("singleSelect", {"choices": [{"name": "new"}, {"name": "old", "color": "redLight2"}]}),
        "Built": ("date", {"dateFormat": {"name": "european"}}),
        "Seen": ("dateTime", UTC_TIME),
        "Rent": ("currency", {"precision": 2, "symbol": "$"}),
        "Stars": ("rating", {"icon": "star", "max": 5, "color": "yellowBright"}),
        "Way": ("duration", {"durationFormat": "h:mm"}),
        "Plan": ("multipleAttachments", None),
    }
    for name, (kind, options) in made.items():
        assert venues.create_field(name, kind, options=options).type == kind
    events = base.create_table(
        "Events",
        [
            {"name": "Event", "type": "singleLineText"},
            {"name": "Venue", "type": "multipleRecordLinks", "options": {"linkedTableId": venues.id}},
        ],
    )
    event, venue = (one.schema(force=True) for one in (events, venues))
    assert (venue.description, venue.primary_field_id) == ("Halls", venue.fields[0].id)
    inverse = venue.field("Events")
    assert inverse.options.inverse_link_field_id == event.field("Venue").id
    assert event.field("Venue").options.inverse_link_field_id == inverse.id
    assert [one.name for one in venue.field("State").options.choices] == ["new", "old"]
    assert venue.field("Built").options.date_format.format == "D/M/YYYY"
    hall = venues.create({"Venue": "Hall", "State": "old", "Built": "1901-02-03"})
    party = events.create({"Event": "Party", "Venue": [hall["id"]]})
    assert venues.get(hall["id"])["fields"]["Events"] == [party["id"]]
    event.name, venue.fields[1].name = "Shows", "Seats"
    event.save()
    venue.fields[1].save()
    assert [one.name for one in base.tables(force=True)] == ["Venues", "Shows"]
    assert venues.update(hall["id"], {"Seats": 90})["fields"]["Seats"] == 90


# -- what each type takes


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("Name", " two  spaces ", " two  spaces "),
        ("Name", "", None),
        ("Long", "é\n🎪,\"'", "é\n🎪,\"'"),
        ("Long", "x" * 100_000, "x" * 100_000),
        ("Rich", "* x\n  * y", "- x\n  - y\n"),
        ("Rich", None, "\n"),
        ("Mail", "no mail at all", "no mail at all"),
        ("Number", 0.1 + 0.2, 0.30000000000000004),
        ("Number", 0, 0),
        ("Number", -7.0, -7),
        ("Number", 2**53 + 1, 2**53),
        ("Share", 0.123, 0.123),
        ("Money", 20.345, 20.345),  # precision is for show
        ("Stars", 5, 5),
        ("Length", 0.5, 0.5),
        ("Done", True, True),
        ("Done", False, None),
        ("Day", "2024-02-29", "2024-02-29"),
        ("At", "2026-02-03T08:15:00Z", "2026-02-03T08:15:00.000Z"),
        ("At", "2026-02-03T08:15:00.1239+02:00", "2026-02-03T06:15:00.123Z"),
        ("At", "2026-02-03", "2026-02-03T00:00:00.000Z"),
        ("At", 1_770_106_500_000, "2026-02-03T08:15:00.000Z"),
        ("Berlin", "2026-07-03T08:15:00", "2026-07-03T06:15:00.000Z"),
        ("Berlin", "2026-07-03T08:15:00Z", "2026-07-03T08:15:00.000Z"),
        ("One", "A, B", "A, B"),
        ("Many", ["é 🎪", "A, B", "é 🎪"], ["é 🎪", "A, B"]),
        ("Many", [], None),
        ("Teams", [team(2), team(1)], [team(2), team(1)]),
        ("Teams", [], None),
        ("Files", [{"id": FILE["id"]}], [FILE]),
        ("Who", {"email": STAFF["email"]}, STAFF),
        ("All", [STAFF["id"]], [STAFF]),
        ("Code", {"text": "0123", "type": "upce"}, {"text": "0123", "type": "upce"}),
    ],
)
def test_cells_read_back(shared: StandIn, field: str, sent: Any, read: Any) -> None:
    kinds = Api(TOKEN, endpoint_url=shared.airtable, retry_strategy=None).table(BASE, KINDS)
    fields = kinds.update(KIND, {field: sent})["fields"]
    assert fields.get(field) == read
    assert type(fields.get(field)) is type(read)
    if read is not None:  # what was read can be written, and changes nothing
        assert kinds.update(KIND, {field: fields[field]})["fields"] == fields
        assert field not in kinds.update(KIND, {field: None})["fields"] or field == "Rich"


def test_the_words_for_a_missing_option_are_a_switch(send: Send, stand_in: StandIn) -> None:
    settings(stand_in, option_quoted_twice=True)
    message = send("POST", KINDS, {"fields": {"One": "new"}}).json()["error"]["message"]
    assert message == 'Insufficient permissions to create new select option ""new""'


def test_an_attachment_by_url_gets_an_id_and_an_address_of_its_own(kinds: Table) -> None:
    sent = [
        {"url": "https://example.org/a.pdf"},
        {"url": "https://example.org/b", "filename": "b.png"},
        {"id": FILE["id"]},
    ]
    [one, other, kept] = kinds.update(KIND, {"Files": sent})["fields"]["Files"]
    assert (one["filename"], one["type"], other["type"], kept) == (
        "a.pdf",
        "application/pdf",
        "image/png",
        FILE,
    )
    assert one["id"][:3] == "att"
    assert one["url"] != sent[0]["url"]


WRONG = "INVALID_VALUE_FOR_COLUMN"


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"Nope": 1}, "UNKNOWN_FIELD_NAME", 'Unknown field name: "Nope"'),
        ({" Name": "x"}, "UNKNOWN_FIELD_NAME", 'Unknown field name: " Name"'),
        ({"Name": 1}, WRONG, 'Field "Name" cannot accept'),
        ({"Name": ["x"]}, WRONG, "Name"),
        ({"Long": "x" * 100_001}, WRONG, "Long"),
        ({"Number": "1"}, WRONG, "Number"),
        ({"Number": True}, WRONG, "Number"),
        ({"Stars": 0}, WRONG, "Stars"),
        ({"Stars": 6}, WRONG, "Stars"),
        ({"Stars": 1.5}, WRONG, "Stars"),
        ({"Done": 1}, WRONG, "Done"),
        ({"Done": "true"}, WRONG, "Done"),
        ({"Day": "2026-02-03T00:00:00.000Z"}, WRONG, 'Field "Day" cannot accept'),
        ({"Day": "2026-02-30"}, WRONG, 'Cannot parse date value "2026-02-30" for field Day'),
        ({"Day": "3/2/2026"}, WRONG, "for field Day"),
        ({"At": "tomorrow"}, WRONG, 'Cannot parse date value "tomorrow" for field At'),
        ({"At": "2026-02-03T25:00:00Z"}, WRONG, "for field At"),
        ({"One": "new"}, "INVALID_MULTIPLE_CHOICE_OPTIONS", 'create new select option "new"'),
        ({"One": "a, b"}, "INVALID_MULTIPLE_CHOICE_OPTIONS", "a, b"),
        ({"One": ["A, B"]}, WRONG, "One"),
        ({"Many": ["A, B", "no"]}, "INVALID_MULTIPLE_CHOICE_OPTIONS", "no"),
        ({"Many": "A, B"}, WRONG, "Many"),
        ({"Teams": team(1)}, WRONG, "Value is not an array of record IDs."),
        ({"Teams": ["T1"]}, WRONG, "Value is not an array of record IDs."),
        (
            {"Teams": ["recNobody00000001"]},
            "ROW_DOES_NOT_EXIST",
            "Record ID recNobody00000001 does not exist",
        ),
        (
            {"Teams": [tool(1)]},
            "ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE",
            f"Record ID {tool(1)} belongs to table tbl",
        ),
        ({"Files": [{"id": "attNobody00000001"}]}, WRONG, "Files"),
        ({"Files": [{"url": "file:///etc"}]}, WRONG, "Files"),
        ({"Who": {"email": "bob@example.org"}}, WRONG, "Who"),
        ({"All": STAFF}, WRONG, "All"),
        ({"Code": "0123"}, WRONG, "Code"),
        ({"Sum": 1}, WRONG, 'Field "Sum" cannot accept a value because the field is computed'),
        ({"No": None}, WRONG, "computed"),
        ({"New": "x"}, WRONG, "computed"),
        # In the order of the looks: names, values, links
        ({"Stars": 9, "Nope": 1}, "UNKNOWN_FIELD_NAME", "Nope"),
        ({"Teams": ["recNobody00000001"], "Stars": 9}, WRONG, "Stars"),
    ],
)
def test_what_a_field_does_not_take_is_refused_and_nothing_is_written(
    ask: Send, shared: StandIn, fields: Json, kind: str, words: str
) -> None:
    good = {"fields": {"Name": "good", "Teams": [team(1)]}}
    [last] = ask("POST", KINDS, {"records": [good]}).json()["records"]
    before = everything(shared)
    answer = ask("POST", KINDS, {"records": [good, {"fields": fields}]})
    assert refusal(answer) == (422, kind)
    assert words in answer.json()["error"]["message"]
    rows = [{"id": KIND, **good}, {"fields": {"Name": "x", **fields}}]
    wish = {"records": rows, "performUpsert": {"fieldsToMergeOn": ["Name"]}}
    assert refusal(ask("PATCH", KINDS, wish)) == (422, kind)
    assert everything(shared) == before
    [made] = ask("POST", KINDS, {"records": [good]}).json()["records"]
    assert made["fields"]["No"] == last["fields"]["No"] + 1  # no number was used up
    ask("DELETE", KINDS, **{"records[]": [last["id"], made["id"]]})


# -- the shape of a request


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "Shelves", {"records": [{"fields": {}}] * 11}, "INVALID_RECORDS"),
        ("POST", "Shelves", {"records": []}, "INVALID_RECORDS"),
        ("POST", "Shelves", {"records": {"fields": {}}}, "INVALID_RECORDS"),
        ("POST", "Shelves", {}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", [], "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"records": [{"Shelf": "x"}]}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"records": [{"fields": [1]}]}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"records": [{"id": tool(1), "fields": {}}]}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"fields": {}, "typecast": "yes"}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"fields": {}, "records": []}, "INVALID_REQUEST_UNKNOWN"),
        ("POST", "Shelves", {"fields": {}, "idempotencyKey": "x"}, "INVALID_REQUEST_UNKNOWN"),
        ("PATCH", "Shelves", {"records": [{"fields": {}}]}, "INVALID_RECORDS"),
        ("PATCH", "Shelves", {"records": [{"id": "rec1", "fields": {}}]}, "INVALID_RECORDS"),
        ("PATCH", "Shelves", {"records": [{"id": tool(1), "fields": {}}]}, "ROW_DOES_NOT_EXIST"),
        ("PATCH", "Shelves", {"records": [{"id": "recShelf000000001", "fields": {}}] * 2}, "INVALID_RECORDS"),
        ("PATCH", "Shelves/recShelf000000001", {"records": []}, "INVALID_REQUEST_UNKNOWN"),
    ],
)
def test_a_request_of_another_shape_is_refused(
    ask: Send, method: str, path: str, body: Any, expected: str
) -> None:
    assert refusal(ask(method, path, body)) == (422, expected)


def test_refusals_that_are_no_422(send: Send, stand_in: StandIn) -> None:
    url, headers = f"{stand_in.airtable}/v0/{BASE}/Shelves", {"Authorization": f"Bearer {TOKEN}"}
    as_json = {**headers, "Content-Type": "application/json"}
    assert requests.post(url, data="{", headers=as_json, timeout=10).status_code == 400
    assert refusal(requests.post(url, data={"a": 1}, headers=headers, timeout=10)) == (
        422,
        "INVALID_REQUEST_BODY",
    )
    settings(stand_in, largest_body=50)
    assert refusal(send("POST", "Shelves", {"fields": {"Shelf": "x" * 50}})) == (413, "REQUEST_TOO_LARGE")
    gone = (404, "MODEL_ID_NOT_FOUND")
    assert refusal(send("PATCH", f"Shelves/{tool(1)}", {"fields": {}})) == gone  # it is in another table
    assert refusal(send("DELETE", "Shelves/recNobody00000001")) == gone
    for method, path in (("PUT", BASE), ("DELETE", "meta/bases"), ("PATCH", "Shelves/tooShort")):
        assert refusal(send(method, path, {}, token="wrong")) == (404, "NOT_FOUND")
    assert refusal(send("POST", "Shelves", [], token="wrong")) == (401, "UNAUTHORIZED")
    assert refusal(send("POST", "Shelve", [])) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")


def test_a_count_too_high_is_told(ask: Send) -> None:
    for method, done in (("POST", "created"), ("PATCH", "updated")):
        answer = ask(method, "Shelves", {"records": [{"fields": {}}] * 12})
        words = f"A maximum of 10 records can be {done} per request but you have provided 12."
        assert answer.json()["error"]["message"] == words


# -- links


def test_both_sides_of_a_link_say_the_same(tools: Table) -> None:
    shelves = tools.api.table(BASE, "Shelves")
    tools.batch_update([{"id": tool(2), "fields": {"Shelf": ["recShelf000000001", "recShelf000000002"]}}])
    top, bottom = (record["fields"] for record in shelves.all())
    assert (top["Tools"], top["How many"], top["Prices"]) == ([tool(1), tool(3), tool(2)], 3, [12.5, 9, 0])
    assert bottom["Tools"] == [tool(2)]
    shelves.update("recShelf000000001", {"Tools": [tool(4)]})
    assert [record["fields"].get("Shelf") for record in tools.all()[:4]] == [
        None,
        ["recShelf000000002"],
        None,
        ["recShelf000000001"],
    ]
    shelves.batch_delete(["recShelf000000001", "recShelf000000002"])
    assert not any("Shelf" in record["fields"] for record in tools.all())
    made = tools.create({"Shelf": [shelves.create({"Shelf": "new"})["id"]]})
    assert shelves.first()["fields"]["Tools"] == [made["id"]]


# -- upsert


def upsert(send: Send, *fields: Json, on: Any = ("Name",)) -> requests.Response:
    rows = [{"fields": one} for one in fields]
    return send("PATCH", TOOL_TABLE, {"records": rows, "performUpsert": {"fieldsToMergeOn": list(on)}})


def outcome(answer: requests.Response) -> tuple[int, int]:
    """How many records were updated and created."""
    body = answer.json()
    assert answer.status_code == 200, body
    return len(body["updatedRecords"]), len(body["createdRecords"])


def test_an_upsert_that_several_records_match_fails_whole(
    send: Send, stand_in: StandIn, tools: Table
) -> None:
    tools.create({"Name": "Axe"})
    before = everything(stand_in)
    answer = upsert(send, {"Name": "rasp"}, {"Name": "Axe"})
    assert refusal(answer) == (422, "INVALID_REQUEST_UNKNOWN")
    assert "Cannot update more than one record" in answer.json()["error"]["message"]
    settings(stand_in, multi_match_type="INVALID_RECORDS")
    assert refusal(upsert(send, {"Name": "Axe"})) == (422, "INVALID_RECORDS")
    assert everything(stand_in) == before
    tools.create({"Name": "saw", "State": "new"})
    assert outcome(upsert(send, {"Name": "saw", "State": "new"}, on=["Name", "State"])) == (1, 0)


@pytest.mark.parametrize(
    ("on", "fields", "expected"),
    [
        ([], {"Name": "x"}, "INVALID_REQUEST_UNKNOWN"),
        (["Name", "Price", "Bought", "State"], {"Name": "x"}, "INVALID_REQUEST_UNKNOWN"),
        (["Price"], {"Price": 1}, "INVALID_REQUEST_UNKNOWN"),  # a currency does not merge
        (["Shelf"], {"Shelf": []}, "INVALID_REQUEST_UNKNOWN"),
        (["Sum"], {"Name": "x"}, "INVALID_REQUEST_UNKNOWN"),
        (["Name", "State"], {"Name": "x"}, "INVALID_REQUEST_UNKNOWN"),  # one of the merge fields is missing
        (["Nope"], {"Name": "x"}, "UNKNOWN_FIELD_NAME"),
    ],
)
def test_what_cannot_be_merged_on_is_refused(ask: Send, on: Any, fields: Json, expected: str) -> None:
    assert refusal(upsert(ask, fields, on=on)) == (422, expected)


def test_a_record_by_id_is_never_made(ask: Send) -> None:
    rows = [{"id": "recNobody00000001", "fields": {"Name": "saw"}}]
    wish = {"records": rows, "performUpsert": {"fieldsToMergeOn": ["Name"]}}
    assert refusal(ask("PATCH", TOOL_TABLE, wish)) == (422, "ROW_DOES_NOT_EXIST")


def test_what_airtable_leaves_open_about_merging_is_a_switch(
    send: Send, stand_in: StandIn, tools: Table
) -> None:
    assert outcome(upsert(send, {"Name": "AXE"}, {"Name": " saw "})) == (0, 2)
    stand_in.call("PUT", "/snapshots/before")
    settings(stand_in, merge_ignores_case=True)
    assert outcome(upsert(send, {"Name": "HAMMER"}, {"Name": " plane "})) == (1, 1)
    settings(stand_in, merge_ignores_case=False, merge_ignores_spaces=True)
    assert outcome(upsert(send, {"Name": "hammer "}, {"Name": "Plane"})) == (0, 2)  # now "HAMMER"
    stand_in.call("POST", "/snapshots/before")
    assert outcome(upsert(send, {"Name": None})) == (0, 1)  # though tool 5 has no name
    tools.delete(tool(5))
    settings(stand_in, null_merge="match")
    assert outcome(upsert(send, {"Name": None, "Price": 1})) == (1, 0)
    assert outcome(upsert(send, {"Name": ""})) == (1, 0)


def test_one_key_twice_in_a_request_is_a_switch(send: Send, stand_in: StandIn, tools: Table) -> None:
    twice = {"Name": "rasp", "Price": 1}, {"Name": "rasp", "Price": 2}
    assert refusal(upsert(send, *twice)) == (422, "INVALID_RECORDS")
    assert outcome(upsert(send, {"Name": None}, {"Name": None})) == (0, 2)  # they match nothing
    settings(stand_in, same_key_twice="in_turn")
    answer = upsert(send, *twice)
    assert outcome(answer) == (0, 1)
    assert [record["fields"]["Price"] for record in answer.json()["records"]] == [2, 2]
    settings(stand_in, same_key_twice="create")
    assert outcome(upsert(send, {"Name": "file"}, {"Name": "file"})) == (0, 2)


# -- delete


def test_a_deletion_of_what_is_gone_is_a_switch(send: Send, stand_in: StandIn, tools: Table) -> None:
    def delete(*keys: str) -> requests.Response:
        return send("DELETE", TOOL_TABLE, **{"records[]": list(keys)})

    missing = "recNobody00000001"
    expected = {"row": (422, "ROW_DOES_NOT_EXIST"), "not_found": (404, "MODEL_ID_NOT_FOUND")}
    expected["permission"] = (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    assert refusal(delete(tool(1), missing)) == expected["not_found"]
    for word, found in expected.items():
        settings(stand_in, missing_in_delete=word)
        assert refusal(delete(tool(1), missing)) == found
    assert len(tools.all()) == 5
    settings(stand_in, missing_in_delete="ignore")
    assert [row["deleted"] for row in delete(tool(1), missing).json()["records"]] == [True, True]
    assert len(tools.all()) == 4
    assert refusal(delete(*(tool(place) for place in range(11)))) == (422, "INVALID_RECORDS")
    assert refusal(delete()) == refusal(delete("saw")) == (422, "INVALID_RECORDS")
    assert refusal(send("DELETE", TOOL_TABLE, ids=tool(2))) == (422, "INVALID_REQUEST_UNKNOWN")


# -- typecast


def test_typecast_guesses_and_makes_options_and_records(kinds: Table, stand_in: StandIn) -> None:
    sent = {"Number": "1,234.5", "Name": 7, "Done": "checked", "Day": ZULU, "One": "new", "Many": "A, B"}
    fields = kinds.update(KIND, {**sent, "Teams": ["T1", "T9"]}, typecast=True)["fields"]
    assert (fields["Number"], fields["Name"], fields["Done"], fields["Day"]) == (1234.5, "7", True, NOW[:10])
    assert (fields["One"], fields["Many"]) == ("new", ["A", "B"])
    assert fields["Teams"][0] == team(1)
    assert kinds.api.table(BASE, TEAMS).get(fields["Teams"][1])["fields"] == {"Team": "T9", "Of": [KIND]}
    options = kinds.schema().field("One").options.choices
    assert [one.name for one in options] == ["A, B", "é 🎪", "new"]
    assert len(kinds.update(KIND, {"Teams": "T1, T2"}, typecast=True)["fields"]["Teams"]) == 1
    settings(stand_in, typecast_splits_commas=True)
    assert kinds.update(KIND, {"Teams": "T1, T2"}, typecast=True)["fields"]["Teams"] == [team(1), team(2)]
    settings(stand_in, locked=[bases.identity("tbl", TEAMS)])
    with pytest.raises(HTTPError, match="INVALID_PERMISSIONS"):
        kinds.batch_create([{"Name": "never"}, {"Teams": ["T10"]}], typecast=True)
    assert [record["id"] for record in kinds.all()] == [KIND]


# -- who may


def test_a_token_may_what_its_scopes_and_its_owner_may(send: Send, stand_in: StandIn) -> None:
    few = {scope: {"scopes": [scope]} for scope in SCOPES}
    few |= {level: {"scopes": list(SCOPES), "permission": level} for level in ("none", "read", "edit")}
    settings(stand_in, tokens={TOKEN: {"scopes": list(SCOPES)}, **few})
    hidden, forbidden = (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"), (403, "INVALID_PERMISSIONS")
    made = {"name": "Made", "fields": [{"name": "Key", "type": "singleLineText"}]}
    tables = f"meta/bases/{BASE}/tables"
    row = {"fields": {"Shelf": "x"}}
    assert send("POST", "Shelves", row, token="data.records:write").status_code == 200
    assert send("POST", "Shelves", row, token="edit").status_code == 200
    for method, path in (("POST", "Shelves"), ("PATCH", "Shelves"), ("DELETE", "Shelves/recShelf000000001")):
        assert refusal(send(method, path, row, token="data.records:read")) == hidden
        assert refusal(send(method, path, row, token="read")) == forbidden
    assert refusal(send("GET", "Shelves", token="data.records:write")) == hidden
    assert refusal(send("GET", "Shelves", token="none")) == hidden
    assert refusal(send("POST", tables, made, token="schema.bases:read")) == hidden
    assert refusal(send("POST", tables, made, token="edit")) == forbidden
    assert send("POST", tables, made, token="schema.bases:write").status_code == 200
    levels = {level: send("GET", "meta/bases", token=level).json()["bases"][0] for level in ("read", "edit")}
    assert {level: base["permissionLevel"] for level, base in levels.items()} == {
        "read": "read",
        "edit": "edit",
    }
    change(stand_in, "set_permission", permission="read")
    assert refusal(send("POST", "Shelves", row)) == forbidden
    assert send("GET", "Shelves").status_code == 200
    for wish in (
        {"tokens": {"x": {"scopes": [], "permission": "owner"}}},
        {"null_merge": "guess"},
        {"locked": "x"},
    ):
        with pytest.raises(ValueError, match=r"is one of|is create or|cannot be"):
            settings(stand_in, **wish)


def test_a_locked_field_or_table_names_itself(send: Send, stand_in: StandIn) -> None:
    settings(stand_in, locked=[field_id(TOOLS, "Price"), bases.identity("tbl", "Shelves")])
    answer = send("PATCH", f"{TOOL_TABLE}/{tool(1)}", {"fields": {"Price": 1}})
    assert refusal(answer) == (403, "INVALID_PERMISSIONS")
    assert '"Price"' in answer.json()["error"]["message"]
    assert send("PATCH", f"{TOOL_TABLE}/{tool(1)}", {"fields": {"Name": "x"}}).status_code == 200
    assert refusal(send("POST", "Shelves", {"fields": {}})) == (403, "INVALID_PERMISSIONS")
    assert refusal(send("DELETE", "Shelves/recShelf000000001")) == (403, "INVALID_PERMISSIONS")


# -- schema

TEXT = {"name": "Key", "type": "singleLineText"}


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"name": "Made", "fields": []}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "", "fields": [TEXT]}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "Made", "fields": [TEXT], "primaryFieldId": "Key"}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "Made", "fields": [TEXT], "description": "x" * 20_001}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "Made", "fields": [{**TEXT, "type": "longText"}]}, "INVALID_REQUEST_UNKNOWN"),
        (
            {"name": "Made", "fields": [{"name": "Key", "type": "multipleAttachments"}]},
            "INVALID_REQUEST_UNKNOWN",
        ),
        ({"name": "shelves", "fields": [TEXT]}, "DUPLICATE_TABLE_NAME"),
        ({"name": "Made", "fields": [TEXT, {**TEXT, "name": "KEY"}]}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        ({"name": "Made", "fields": [{**TEXT, "name": " "}]}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        (
            {"name": "Made", "fields": [TEXT, {"name": "N", "type": "count"}]},
            "UNSUPPORTED_FIELD_TYPE_FOR_CREATE",
        ),
    ],
)
def test_tables_that_cannot_be_made(ask: Send, shared: StandIn, wish: Json, expected: str) -> None:
    before = everything(shared)
    assert refusal(ask("POST", f"meta/bases/{BASE}/tables", wish)) == (422, expected)
    assert everything(shared) == before


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("number", None, "options is missing"),
        ("number", {}, "precision is missing"),
        ("number", {"precision": 9}, "precision"),
        ("number", {"precision": True}, "precision"),
        ("currency", {"precision": 8, "symbol": "€"}, "precision"),
        ("checkbox", None, "options is missing"),
        ("rating", {"icon": "star", "max": 11, "color": "yellowBright"}, "max"),
        ("duration", {"durationFormat": "hours"}, "durationFormat"),
        ("date", {"dateFormat": {"name": "ISO"}}, "dateFormat"),
        ("dateTime", {**UTC_TIME, "timeZone": "UTC"}, 'Invalid timezone "UTC"'),
        ("dateTime", {"timeZone": "utc", "dateFormat": {"name": "iso"}}, "timeFormat is missing"),
        ("singleSelect", {"choices": ["new"]}, "choices"),
        ("singleLineText", {"precision": 0}, "precision is not allowed"),
        (
            "multipleRecordLinks",
            {"linkedTableId": TOOL_TABLE, "prefersSingleRecordLink": True},
            "prefersSingle",
        ),
    ],
)
def test_options_that_do_not_fit_a_type_are_named(ask: Send, kind: str, options: Any, words: str) -> None:
    wish = {"name": "Next", "type": kind} | ({} if options is None else {"options": options})
    answer = ask("POST", f"meta/bases/{BASE}/tables/{TOOL_TABLE}/fields", wish)
    assert refusal(answer) == (422, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE")
    assert words in answer.json()["error"]["message"]


def test_fields_and_tables_are_renamed_and_their_options_are_a_switch(send: Send, stand_in: StandIn) -> None:
    path = f"meta/bases/{BASE}/tables/{TOOL_TABLE}"
    state = f"{path}/fields/{field_id(TOOLS, 'State')}"
    renamed = send("PATCH", state, {"name": "Condition", "description": "How it is"}).json()
    assert (renamed["name"], renamed["description"]) == ("Condition", "How it is")
    assert refusal(send("PATCH", state, {"name": "price"})) == (422, "DUPLICATE_OR_EMPTY_FIELD_NAME")
    assert refusal(send("PATCH", path, {"name": "Shelves"})) == (422, "DUPLICATE_TABLE_NAME")
    unknown = (422, "INVALID_REQUEST_UNKNOWN")
    assert refusal(send("PATCH", state, {"type": "number"})) == refusal(send("PATCH", state, {})) == unknown
    assert refusal(send("PATCH", f"{path}/fields/Price", {"name": "Cost"}))[0] == 403  # by id only
    [new, broken] = renamed["options"]["choices"]
    more = {"options": {"choices": [new, broken, {"name": "lost"}]}}
    assert refusal(send("PATCH", state, more)) == unknown
    settings(stand_in, options_can_be_changed=True, tables_share_names=True)
    assert [one["name"] for one in send("PATCH", state, more).json()["options"]["choices"]] == [
        "new",
        "Broken",
        "lost",
    ]
    assert (
        refusal(send("PATCH", state, {"options": {"choices": [new]}})) == unknown
    )  # options are not taken away
    assert send("PATCH", f"{TOOL_TABLE}/{tool(1)}", {"fields": {"Condition": "lost"}}).status_code == 200
    assert send("PATCH", path, {"name": "Shelves"}).status_code == 200
    settings(stand_in, computed_can_be_created=True)
    made = {"name": "How many", "type": "count", "options": {"recordLinkFieldId": field_id(TOOLS, "Shelf")}}
    assert send("POST", f"{path}/fields", made).status_code == 200
    assert send("GET", f"{TOOL_TABLE}/{tool(1)}").json()["fields"]["How many"] == 1


# -- limits, faults, and other people's hands


def test_writing_and_reading_share_the_limit_of_a_base(send: Send, stand_in: StandIn) -> None:
    settings(stand_in, mode="strict")
    for _ in range(4):
        assert send("POST", "Shelves", {"fields": {}}).status_code == 200
    assert send("GET", f"meta/bases/{BASE}/tables").status_code == 200
    assert send("DELETE", "Shelves/recShelf000000001").status_code == 429
    stand_in.advance(30)
    assert send("DELETE", "Shelves/recShelf000000001").status_code == 200


def test_a_full_base_and_a_spent_month(send: Send, stand_in: StandIn) -> None:
    settings(stand_in, records_of_base=11, full_type="FULL")  # 10 are there
    two = {"records": [{"fields": {}}] * 2}
    assert refusal(send("POST", "Shelves", two)) == (422, "FULL")
    assert send("POST", "Shelves", {"fields": {}}).status_code == 200
    assert refusal(upsert(send, {"Name": "rasp"})) == (422, "FULL")
    assert outcome(upsert(send, {"Name": "saw"})) == (1, 0)
    settings(stand_in, monthly_cap=0, records_of_base=None)
    assert refusal(send("POST", "Shelves", two)) == (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")
    made = {"name": "Colour", "type": "singleLineText"}
    assert send("POST", f"meta/bases/{BASE}/tables/Shelves/fields", made).status_code == 200
    settings(stand_in, calls_a_second_past_cap=2, mode="lenient")
    assert [send("POST", "Shelves", two).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("wish", "is_applied"),
    [
        ({"do": "drop"}, False),
        ({"do": "apply_then_drop"}, True),
        ({"do": "cut"}, True),
        ({"do": "server_error"}, False),
        ({"do": "server_error", "applied": True}, True),
        ({"do": "unavailable", "applied": True}, True),
        ({"do": "not_json", "applied": True}, True),
        ({"do": "rate_limit"}, False),
    ],
)
def test_an_answer_can_be_lost_before_and_after_the_work(
    send: Send, stand_in: StandIn, tools: Table, wish: Json, is_applied: bool
) -> None:
    works: dict[str, Callable[[], requests.Response]] = {
        "POST": lambda: send("POST", TOOL_TABLE, {"fields": {"Name": "new"}}),
        "PATCH": lambda: send("PATCH", f"{TOOL_TABLE}/{tool(1)}", {"fields": {"Name": "fretsaw"}}),
        "DELETE": lambda: send("DELETE", TOOL_TABLE, **{"records[]": tool(2)}),
    }
    stand_in.call("POST", "/airtable/faults", [{**wish, "method": method} for method in works])
    for work in works.values():
        try:
            assert work().headers["content-type"][:9] == "text/html" or wish["do"] != "not_json"
        except requests.RequestException:
            assert wish["do"] in ("drop", "apply_then_drop", "cut")
    names = [record["fields"].get("Name") for record in tools.all()]
    before, after = ["saw", "Axe", "hammer", "plane", None], ["fretsaw", "hammer", "plane", None, "new"]
    assert names == (after if is_applied else before)
    sums = stand_in.call("GET", "/airtable/requests")["sums"]
    for does in ("create", "update", "delete"):
        assert sums[does] == {"calls": 1, "rows": int(is_applied)}


@pytest.mark.parametrize(("do", "is_applied"), [("drop", False), ("apply_then_drop", True)])
def test_an_upsert_whose_answer_was_lost_may_be_sent_again(
    send: Send, stand_in: StandIn, tools: Table, do: str, is_applied: bool
) -> None:
    fault(stand_in, do, method="PATCH")
    with pytest.raises(requests.RequestException):
        upsert(send, {"Name": "rasp"}, {"Name": "saw", "Price": 3})
    names = [record["fields"].get("Name") for record in tools.all()]
    assert names.count("rasp") == int(is_applied)
    assert outcome(upsert(send, {"Name": "rasp"}, {"Name": "saw", "Price": 3})) == (
        1 + is_applied,
        1 - is_applied,
    )
    assert [record["fields"].get("Name") for record in tools.all()].count("rasp") == 1


def test_an_answer_can_come_late_and_attachments_can_fail(
    send: Send, kinds: Table, stand_in: StandIn
) -> None:
    fault(stand_in, "late", ms=80)
    url = f"{stand_in.airtable}/v0/{BASE}/Shelves"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json={"fields": {}}, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=0.04)
    assert len(send("GET", "Shelves").json()["records"]) == 3
    fault(stand_in, "attachments_fail")
    made = send(
        "POST", KINDS, {"fields": {"Name": "x", "Files": [{"url": "https://example.org/a.pdf"}]}}
    ).json()
    assert made["details"] == {"message": "partialSuccess", "reasons": ["attachmentsFailedUploading"]}
    assert made["fields"] == {"Name": "x", "No": 2}


def test_people_meddle_between_two_calls(send: Send, stand_in: StandIn, tools: Table) -> None:
    changes = [
        {"do": "edit", "table": TOOLS, "record": tool(1), "fields": {"Name": "theirs"}},
        {"do": "delete", "table": TOOLS, "record": tool(2)},
        {"do": "rename_field", "table": TOOLS, "field": "Price", "name": "Cost"},
        {"do": "delete_option", "table": TOOLS, "field": "State", "option": "new"},
        {
            "do": "change_type",
            "table": TOOLS,
            "field": "Bought",
            "type": "number",
            "options": {"precision": 0},
        },
        {"do": "delete_table", "table": "Shelves"},
    ]
    fault(stand_in, "apply", changes=changes, method="PATCH", after=1)
    first = f"{TOOL_TABLE}/{tool(1)}"
    for _ in range(2):
        assert send("PATCH", first, {"fields": {"Price": 1, "Name": "ours"}}).status_code == 200
    assert tools.get(tool(1))["fields"]["Name"] == "theirs"
    for fields, kind in (
        ({"Price": 1}, "UNKNOWN_FIELD_NAME"),
        ({"State": "new"}, "INVALID_MULTIPLE_CHOICE_OPTIONS"),
        ({"Bought": "2026-01-01"}, WRONG),
        ({"Shelf": ["recShelf000000001"]}, WRONG),  # what linked to a table that is gone is text
    ):
        assert refusal(send("PATCH", first, {"fields": fields})) == (422, kind)
    assert "Shelf" not in tools.get(tool(1))["fields"]
    assert refusal(send("PATCH", f"{TOOL_TABLE}/{tool(2)}", {"fields": {}})) == (404, "MODEL_ID_NOT_FOUND")
    assert send("PATCH", first, {"fields": {field_id(TOOLS, "Price"): 4}}).json()["fields"]["Cost"] == 4
    assert send("GET", "Shelves").status_code == 403
    change(stand_in, "delete_field", table=KINDS, field="Teams")
    [inverse] = [one for one in everything(stand_in)[0][2]["fields"] if one["name"] == "Of"]
    assert inverse["type"] == "singleLineText"
    fault(stand_in, "apply", changes=[{"do": "revoke_token", "token": TOKEN}])
    assert send("PATCH", first, {"fields": {}}).status_code == 200
    assert refusal(send("PATCH", first, {"fields": {}})) == (401, "UNAUTHORIZED")


# -- memory


def test_what_was_written_survives_a_restart_and_a_snapshot_puts_it_back(tmp_path: Path) -> None:
    with running(tmp_path, bases=[shed()]) as stand_in:
        settings(stand_in, mode="off")
        base = Api(TOKEN, endpoint_url=stand_in.airtable).base(BASE)
        stand_in.call("PUT", "/snapshots/before")
        found = []
        for _ in range(2):  # the same course of events gives the same ids
            stand_in.call("POST", "/snapshots/before")
            stand_in.set_clock(NOW)
            made = base.create_table("Made", [TEXT])
            made.create_field("Tool", "multipleRecordLinks", options={"linkedTableId": TOOL_TABLE})
            made.batch_create([{"Key": str(number), "Tool": [tool(1)]} for number in range(12)])
            base.table(TOOLS).batch_delete([tool(2)])
            found.append(everything(stand_in))
        assert found[0] == found[1]
        first = made.create({})["id"]
        made.delete(first)
        second = made.create({})["id"]  # an id is never given again
        assert second != first
        made.delete(second)
    with running(tmp_path) as stand_in:
        settings(stand_in, mode="off")
        assert everything(stand_in) == found[1]


def test_what_begins_anew_gives_other_ids() -> None:
    clock = [0]
    store = Store(None, lambda: clock[0])
    found = []
    for clock[0] in (1, 1, 2):
        fill(store, seed=1, attendees=5)
        bases = Bases(store)
        base = bases.all()[BASE_ID]
        table = base.table(VENUES)
        assert table is not None
        found.append((list(table.records), bases.create(base, table, {}, 0).id, bases.new_id("fld")))
    store.close()
    assert found[0] == found[1]
    assert found[0][0] == found[2][0]
    assert not {*found[0][1:]} & {*found[2][1:]}
