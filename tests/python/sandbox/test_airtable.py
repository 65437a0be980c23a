"""The stand-in behaves as the reference page says Airtable does; pyairtable works against it unchanged."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import Api, Table, formulas

from sandbox import bases
from sandbox.airtable import TOKEN
from sandbox.bases import Base, Record
from sandbox.generator import generate
from sandbox.server import StandIn, running
from sandbox.staff_base import BASE_ID, ROTA, StaffBase, field_id, make, table
from sandbox.store import Json

NOW = "2027-03-01T12:00:00Z"
BASE, OTHER = "appToolShed000001", "appElsewhere00002"
DAY_ONE = 1_790_000_000_000
Get = Callable[..., requests.Response]


def shed() -> Base:
    """Five tools and two shelves. Tool 1 is full, tool 5 empty; ids are rec…1 to rec…5 and recShelf…."""
    options = {"choices": [{"id": "selA", "name": "new"}, {"id": "selB", "name": "Broken"}]}
    one_link = {"linkedTableId": bases.identity("tbl", "Shelves"), "isReversed": False}
    tools = table(
        "Tools / all",
        None,
        ("Name", "singleLineText", None),
        ("Price", "currency", {"precision": 2, "symbol": "€"}),
        ("Left", "checkbox", {"icon": "check", "color": "greenBright"}),
        ("State", "singleSelect", options),
        ("Bought", "date", {"dateFormat": {"name": "iso"}}),
        ("Shelf", "multipleRecordLinks", {**one_link, "inverseLinkFieldId": field_id("Shelves", "Tools")}),
        ("Odd }name", "singleLineText", None),
        ("Sum", "formula", {"isValid": True, "formula": "…", "result": {"type": "number"}}),
        ("No", "autoNumber", None),
        ("Made", "createdTime", {"result": {"type": "date"}}),
        ("Touched", "lastModifiedTime", {"result": {"type": "dateTime"}}),
    )
    shelves = table(
        "Shelves",
        None,
        ("Shelf", "singleLineText", None),
        (
            "Tools",
            "multipleRecordLinks",
            {"linkedTableId": tools.id, "inverseLinkFieldId": field_id("Tools / all", "Shelf")},
        ),
        ("How many", "count", {"recordLinkFieldId": field_id("Shelves", "Tools")}),
        (
            "Prices",
            "multipleLookupValues",
            {
                "recordLinkFieldId": field_id("Shelves", "Tools"),
                "fieldIdInLinkedTable": field_id("Tools / all", "Price"),
            },
        ),
    )
    for place, cells in enumerate(
        (
            {"Name": "saw", "Price": 12.5, "Left": True, "State": "Broken", "Bought": "2026-05-01"},
            {"Name": "Axe", "Price": 0, "Odd }name": 'it\'s "odd"', "Sum": {"error": "#ERROR!"}},
            {"Name": "hammer", "Price": 9, "State": "new", "Bought": "2026-04-01", "Sum": 3},
            {"Name": "plane", "Price": 100, "State": "new", "Sum": {"specialValue": "NaN"}},
            {},
        ),
        start=1,
    ):
        kept = {field_id("Tools / all", name): cell for name, cell in cells.items()}
        moment = DAY_ONE + place * 86_400_000
        tools.records[tool(place)] = Record(tool(place), place, moment, moment + 500, kept)
    for place, name in enumerate(("top", "bottom"), start=1):
        key = f"recShelf00000000{place}"
        shelves.records[key] = Record(key, place, DAY_ONE, DAY_ONE, {field_id("Shelves", "Shelf"): name})
    for place in (1, 3):
        tools.records[tool(place)].cells[field_id("Tools / all", "Shelf")] = ["recShelf000000001"]
    shelves.records["recShelf000000001"].cells[field_id("Shelves", "Tools")] = [tool(1), tool(3)]
    tools.last_record, shelves.last_record = 5, 2
    new: Json = {"id": "viwNew00000000001", "name": "New ones", "type": "grid"}
    tools.views.append(
        {**new, "_filter": "{State}='new'", "_sort": [{"field": "Price", "direction": "desc"}]}
    )
    return Base(BASE, "Tool shed", tables=[tools, shelves])


def tool(place: int) -> str:
    return f"recTool{place:010d}"


@pytest.fixture(scope="module")
def staff() -> StaffBase:
    return make(generate(attendees=300))


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running(bases=[shed(), Base(OTHER, "Elsewhere")]) as stand_in:
        stand_in.set_clock(NOW)
        stand_in.call("POST", "/airtable/settings", {"mode": "off"})
        yield stand_in


@pytest.fixture
def get(stand_in: StandIn) -> Get:
    def call(path: str = "Shelves", *, token: str | None = TOKEN, body: Any = None, **query: Any) -> Any:
        url = f"{stand_in.airtable}/v0/" + (path if path.startswith(("meta", "app")) else f"{BASE}/{path}")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        method = "GET" if body is None else "POST"
        return requests.request(method, url, params=query, json=body, headers=headers, timeout=10)

    return call


@pytest.fixture
def tools(stand_in: StandIn) -> Table:
    return Api(TOKEN, endpoint_url=stand_in.airtable, retry_strategy=None).table(BASE, "Tools / all")


def names(records: list[Any]) -> list[Any]:
    return [record["fields"].get("Name") for record in records]


def refusal(answer: requests.Response) -> tuple[int, Any]:
    error = answer.json()["error"]
    return answer.status_code, error if isinstance(error, str) else error["type"]


# -- reading, as pyairtable does it


def test_pyairtable_reads_bases_schema_and_every_record(staff: StaffBase) -> None:
    with running(bases=[staff.base]) as stand_in:
        api = Api(TOKEN, endpoint_url=stand_in.airtable)
        assert api.whoami() == {"id": bases.identity("usr", "staff"), "email": "ana@example.org"}
        [base] = api.bases()
        assert (base.id, base.name, base.permission_level) == (BASE_ID, staff.base.name, "create")
        schema = base.schema()
        assert len(schema.tables) == 5
        for told in staff.base.tables:
            found = schema.table(told.name)
            assert [(field.id, field.type) for field in found.fields] == [
                (item["id"], item["type"]) for item in told.fields
            ]
        assert [record["id"] for record in base.table(ROTA).all()] == list(staff.base.tables[3].records)


def test_cells_that_are_empty_are_absent_and_zero_is_not(tools: Table) -> None:
    first, second, *_, last = tools.all()
    assert first == {
        "id": tool(1),
        "createdTime": "2026-09-22T14:13:20.000Z",
        "fields": {
            "Name": "saw",
            "Price": 12.5,
            "Left": True,
            "State": "Broken",
            "Bought": "2026-05-01",
            "Shelf": ["recShelf000000001"],
            "No": 1,
            "Made": "2026-09-22",
            "Touched": "2026-09-22T14:13:20.500Z",
        },
    }
    assert second["fields"]["Price"] == 0
    assert second["fields"]["Sum"] == {"error": "#ERROR!"}
    assert set(last["fields"]) == {"No", "Made", "Touched"}


def test_counts_and_lookups_are_worked_out(tools: Table) -> None:
    top, bottom = (record["fields"] for record in tools.api.table(BASE, "Shelves").all())
    assert (top["How many"], top["Prices"]) == (2, [12.5, 9])
    assert (bottom["How many"], "Prices" in bottom) == (0, False)


def test_fields_are_chosen_and_named_by_id(tools: Table) -> None:
    price = field_id("Tools / all", "Price")
    assert tools.first(fields=["Price", field_id("Tools / all", "Name")])["fields"] == {
        "Name": "saw",
        "Price": 12.5,
    }
    assert tools.first(fields=["Price"], use_field_ids=True)["fields"] == {price: 12.5}
    assert tools.get(tool(1), use_field_ids=True)["fields"][price] == 12.5


def test_a_record_is_found_whatever_table_was_asked(get: Get) -> None:
    assert get(f"Shelves/{tool(1)}").json()["fields"]["Name"] == "saw"
    assert refusal(get("Shelves/recNobody00000001")) == (404, "MODEL_ID_NOT_FOUND")


def test_pages_hold_every_record_once(tools: Table, stand_in: StandIn) -> None:
    assert [names(page) for page in tools.iterate(page_size=2)] == [
        ["saw", "Axe"],
        ["hammer", "plane"],
        [None],
    ]
    assert names(tools.all(page_size=2, max_records=3)) == ["saw", "Axe", "hammer"]
    assert [call["rows"] for call in stand_in.call("GET", "/airtable/requests")["requests"]] == [
        2,
        2,
        1,
        2,
        1,
    ]


def test_a_last_page_has_no_offset(get: Get) -> None:
    assert "offset" in get(pageSize=1).json()
    assert "offset" not in get(pageSize=2).json()
    assert get(f"{OTHER}/Nothing").status_code == 403


def test_views_filter_and_sort_and_sort_beats_the_view(tools: Table) -> None:
    assert names(tools.all(view="New ones")) == ["plane", "hammer"]
    assert names(tools.all(view="viwNew00000000001", sort=["Price"])) == ["hammer", "plane"]
    assert names(tools.all(view="New ones", formula="Price<50")) == ["hammer"]


def test_sorts_go_by_number_option_text_and_several_fields(tools: Table) -> None:
    assert names(tools.all(sort=["-Price"])) == ["plane", "saw", "hammer", "Axe", None]
    assert names(tools.all(sort=["Name"])) == [None, "Axe", "hammer", "plane", "saw"]
    assert names(tools.all(sort=["State", "-Name"])) == ["Axe", None, "plane", "hammer", "saw"]
    assert names(tools.all(sort=["Bought"]))[-2:] == ["hammer", "saw"]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("{Price}>9", [1, 4]),
        ("Price=0", [2, 5]),  # a blank counts as 0
        ("AND({State}='new',NOT({Price}=100))", [3]),
        ("OR(RECORD_ID()='recTool0000000002',RECORD_ID()=\"recTool0000000004\")", [2, 4]),
        (formulas.match({"Name": "Axe"}), [2]),
        (formulas.match({"Odd }name": 'it\'s "odd"'}), [2]),
        ("{Shelf}='top'", [1, 3]),
        ("Left", [1]),
        ("{Sum}", [3]),  # an error is no value
        ("IS_AFTER({Bought},DATETIME_PARSE('2026-04-15'))", [1]),
        ("IS_AFTER(LAST_MODIFIED_TIME(),DATETIME_PARSE('2026-09-24T14:13:20.500Z'))", [4, 5]),
        ("IS_AFTER(LAST_MODIFIED_TIME(),DATETIME_PARSE('2026-09-24T14:13:20.499Z'))", [3, 4, 5]),
        ("CREATED_TIME()<DATETIME_PARSE('2026-09-23T00:00:00.000Z')", [1]),
        ("FIND('a',{Name})=2", [1, 3]),
        ("SEARCH('A',Name)", [2]),
        ("LOWER(Name)='axe'", [2]),
        ("Name=BLANK()", [5]),
        (f"{{{field_id('Tools / all', 'Price')}}}*2-1=24", [1]),
        ("IF({State},TRUE(),FALSE())", [1, 3, 4]),
        ("Price&'€'='9€'", [3]),
        ("Price/0", []),
        ("''", []),
    ],
)
def test_formulas_filter(tools: Table, formula: str, expected: list[int]) -> None:
    assert [record["id"] for record in tools.all(formula=formula)] == [tool(place) for place in expected]


def test_a_long_formula_goes_by_post(tools: Table, stand_in: StandIn) -> None:
    wanted = [f"recMissing0000{number:03d}" for number in range(600)] + [tool(3), tool(1)]
    formula = formulas.OR(*(formulas.EQ(formulas.RECORD_ID(), key) for key in wanted))
    found = tools.all(formula=formula, page_size=1, sort=["Name"], fields=["Name"])
    assert names(found) == ["hammer", "saw"]
    assert {call["method"] for call in stand_in.call("GET", "/airtable/requests")["requests"]} == {"POST"}


def test_cells_can_come_as_text(tools: Table) -> None:
    [record] = tools.all(
        cell_format="string", time_zone="utc", user_locale="en-gb", formula=f"RECORD_ID()='{tool(1)}'"
    )
    assert (record["fields"]["Price"], record["fields"]["Shelf"]) == ("12.5", "top")


def test_less_usual_parameters(get: Get) -> None:
    [record] = get(**{"maxRecords": 1, "recordMetadata[]": "commentCount"}).json()["records"]
    assert record["commentCount"] == 0
    [record] = get(maxRecords=1, includeDateDependencyMetadata="true").json()["records"]
    assert record["fields"]["Tools"] == [{"id": tool(1)}, {"id": tool(3)}]
    plain, with_visible = (get(f"meta/bases/{BASE}/tables", **more).json() for more in ({}, VISIBLE))
    assert "visibleFieldIds" not in plain["tables"][0]["views"][0]
    assert field_id("Tools / all", "Name") in with_visible["tables"][0]["views"][0]["visibleFieldIds"]
    assert "_filter" not in str(with_visible)


VISIBLE = {"include[]": "visibleFieldIds"}


# -- refusals


def test_who_may_not_ask_is_told_why(get: Get, stand_in: StandIn) -> None:
    assert refusal(get(token=None)) == (401, "AUTHENTICATION_REQUIRED")
    assert refusal(get(token="wrong")) == (401, "UNAUTHORIZED")
    tokens = {TOKEN: {"scopes": ["data.records:read"], "bases": [BASE]}, "half": {"scopes": []}}
    stand_in.call("POST", "/airtable/settings", {"tokens": tokens})
    hidden = (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    assert get().status_code == 200
    assert refusal(get(f"meta/bases/{BASE}/tables")) == refusal(get("meta/bases")) == hidden
    assert refusal(get(token="half")) == hidden
    assert refusal(get(f"{OTHER}/Shelves")) == refusal(get("Shelve")) == hidden
    assert get("meta/whoami", token="half").json() == {"id": bases.identity("usr", "staff")}


def test_what_is_no_path_is_told_before_the_token_is_looked_at(get: Get) -> None:
    for path in ("appShort/Shelves", "Shelves/tooShort", "meta/nothing", f"{BASE}", "meta/bases/app1/tables"):
        assert refusal(get(path, token=None)) == (404, "NOT_FOUND"), path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"pageSize": 101}, "INVALID_REQUEST_UNKNOWN"),
        ({"pageSize": "many"}, "INVALID_REQUEST_UNKNOWN"),
        ({"maxRecords": 0}, "INVALID_REQUEST_UNKNOWN"),
        ({"page_size": 1}, "INVALID_REQUEST_UNKNOWN"),
        ({"cellFormat": "string"}, "INVALID_REQUEST_UNKNOWN"),
        ({"sort[0][direction]": "asc"}, "INVALID_REQUEST_UNKNOWN"),
        ({"sort[0][field]": "Shelf", "sort[0][direction]": "up"}, "INVALID_REQUEST_UNKNOWN"),
        ({"fields[]": " Shelf"}, "UNKNOWN_FIELD_NAME"),
        ({"sort[0][field]": "Nope"}, "UNKNOWN_FIELD_NAME"),
        ({"view": "Nope"}, "VIEW_NAME_NOT_FOUND"),
        ({"view": "viwNope0000000001"}, "VIEW_ID_NOT_FOUND"),
        ({"filterByFormula": "Shelf=="}, "INVALID_FILTER_BY_FORMULA"),
        ({"filterByFormula": "Shelf && Tools"}, "INVALID_FILTER_BY_FORMULA"),
        ({"filterByFormula": "AVERAGE(1)"}, "INVALID_FILTER_BY_FORMULA"),
        ({"offset": "page2"}, "INVALID_OFFSET_VALUE"),
        ({"offset": "itr00000000000001/rec00000000000001"}, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"),
    ],
)
def test_wrong_parameters_are_named(get: Get, query: dict[str, Any], expected: str) -> None:
    assert refusal(get(**query)) == (422, expected)


def test_unknown_fields_of_a_formula_are_named_in_lower_case(get: Get) -> None:
    message = get(filterByFormula="AND({No Such},Other=1)").json()["error"]["message"]
    assert message == "The formula for filtering records is invalid: Unknown field names: no such, other"


def test_a_posted_listing_takes_its_offset_from_the_body_only(get: Get) -> None:
    first = get("Shelves/listRecords", body={"pageSize": 1}).json()
    again = get("Shelves/listRecords", body={"pageSize": 1}, offset=first["offset"]).json()
    second = get("Shelves/listRecords", body={"pageSize": 1, "offset": first["offset"]}).json()
    assert again["records"] == first["records"] != second["records"]
    assert refusal(get("Shelves/listRecords", body={"timeZone": "utc"})) == (422, "INVALID_REQUEST_UNKNOWN")


def test_a_body_that_is_not_json_and_a_url_that_is_too_long(get: Get, stand_in: StandIn) -> None:
    url, headers = f"{stand_in.airtable}/v0/{BASE}/Shelves/listRecords", {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(url, "{}", headers=headers, timeout=10).status_code == 422
    headers["Content-Type"] = "application/json"
    assert requests.post(url, "{", headers=headers, timeout=10).status_code == 400
    assert get(filterByFormula="'" + "x" * 16_000 + "'").status_code == 414


# -- memory


def test_what_people_did_survives_a_restart(tmp_path: Path) -> None:
    changes = [
        {"do": "edit", "record": tool(1), "fields": {"Name": "fretsaw", "Shelf": ["recShelf000000002"]}},
        {"do": "delete", "record": tool(3)},
        {"do": "create", "fields": {"Name": "drill"}},
        {"do": "rename_field", "field": "Price", "name": "Cost"},
    ]
    found = []
    for content in ([shed()], None):
        with running(tmp_path, bases=content) as stand_in:
            if content:
                changes = [{"table": "Tools / all", **change} for change in changes]
                stand_in.call("POST", "/airtable/changes", changes)
            base = Api(TOKEN, endpoint_url=stand_in.airtable).base(BASE)
            found.append([base.table(name).all() for name in ("Tools / all", "Shelves")])
    assert found[0] == found[1]
    assert names(found[0][0]) == ["fretsaw", "Axe", "plane", None, "drill"]


def test_two_stand_ins_on_one_memory_see_each_other(tmp_path: Path) -> None:
    with running(tmp_path, bases=[shed()]) as one, running(tmp_path) as other:
        table = Api(TOKEN, endpoint_url=other.airtable).table(BASE, "Shelves")
        assert len(table.all()) == 2
        one.call(
            "POST", "/airtable/changes", {"do": "create", "table": "Shelves", "fields": {"Shelf": "new"}}
        )
        assert [record["fields"]["Shelf"] for record in table.all()] == ["top", "bottom", "new"]


def test_a_snapshot_puts_everything_back(stand_in: StandIn, tools: Table, tmp_path: Path) -> None:
    stand_in.call("PUT", "/snapshots/before")
    before = tools.all()
    for place in (1, 2):
        stand_in.call(
            "POST", "/airtable/changes", {"do": "delete", "table": "Tools / all", "record": tool(place)}
        )
    assert len(tools.all()) == 3
    for _ in range(2):
        stand_in.call("POST", "/snapshots/before")
        assert tools.all() == before
    with pytest.raises(ValueError, match="no such snapshot"):
        stand_in.call("POST", "/snapshots/other")
