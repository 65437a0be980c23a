"""Whatever JSON a source answers: the load ends, says what is wrong, and loses no object uncounted."""

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from ingest import airtable, eventbrite, google, sheets
from ingest.landing import SourceResult, quiet
from tests.python.examples import examples
from tests.python.ingest import eventbrite_server as usual
from tests.python.ingest.eventbrite_server import ORG, TOKEN, Time, serving
from tests.python.ingest.test_eventbrite import DAY

BASE, TABLE, FIELD = "appShed0000000001", "tblTools000000001", "fldPrice000000001"

# --- JSON nobody would send ------------------------------------------------------------------------------

MOMENTS = [
    "2027-02-01T00:00:00Z", "2027-02-01", "2027-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "now", "2027-W05",
]  # fmt: skip
# Deeper than orjson writes; as deep as it does.
TOO_DEEP, DEEP = (json.loads("[" * depth + "]" * depth) for depth in (300, 240))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(2**64), 10**40])
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half of a surrogate pair is JSON, and so is NUL.
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["", " ", "\0", "\ud800", "\udc00a", "'; --", *MOMENTS])
)
wild = scalars | st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Four times out of five as usual."""
    return st.sampled_from([usual] * 4 + [odd]).flatmap(lambda each: each)


def lists(each: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Any]]:
    """Hypothesis likes short lists; half of these are as long as can be."""
    return st.lists(each, max_size=most) | st.lists(each, min_size=most, max_size=most)


ids = mostly(st.integers(1, 40).map(str), wild | st.sampled_from(["a/b?c#d%", ".."]))


def objects(usual: dict[str, Any]) -> st.SearchStrategy[Any]:
    """The object with fields missing, added and of other types; or no object at all."""
    names = st.sampled_from([*usual, "surprise"])
    changes = st.dictionaries(names, wild | st.sampled_from([DEEP, TOO_DEEP]), max_size=3)
    missing = st.sets(st.sampled_from(list(usual)), max_size=2)
    changed = st.builds(
        lambda key, more, less: {
            name: value for name, value in {**usual, "id": key, **more}.items() if name not in less
        },
        ids,
        changes,
        missing | st.just(set()),
    )
    return mostly(changed, wild)


def as_read(value: Any) -> Any:
    """What a reader of JSON makes of it: whole numbers of 64 bits, and no half of a surrogate pair."""
    if isinstance(value, str):
        return json.loads(json.dumps(value)).encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, list):
        return [as_read(each) for each in value]
    if isinstance(value, dict):
        return {as_read(key): as_read(each) for key, each in value.items()}
    return value


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# --- answers ----------------------------------------------------------------------------------------------

MISHAPS: dict[str, Callable[[str, dict[str, Any]], Response]] = {
    "empty": lambda kind, page: Response(b""),
    "page of a proxy": lambda kind, page: Response(f"<html>{TOKEN}"),
    "cut off": lambda kind, page: Response(json.dumps(page)[:-7]),
    "list": lambda kind, page: Response(b"[]"),
    "null": lambda kind, page: Response(b"null"),
    "NaN": lambda kind, page: Response(json.dumps({**page, "x": float("nan")})),
    "number of many digits": lambda kind, page: Response('{"x": ' + "9" * 5000 + "}"),
    "deep": lambda kind, page: Response(b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "bottomless": lambda kind, page: Response(b"[" * 100_000),
    "no list": lambda kind, page: Response(json.dumps({**page, kind: {"a": TOKEN}})),
    "nothing but the list": lambda kind, page: Response(json.dumps({kind: page[kind]})),
    "wrong pagination": lambda kind, page: Response(json.dumps({**page, "pagination": [1]})),
    "goes round": lambda kind, page: onward(page, "1"),
    "continuation of a list": lambda kind, page: onward(page, [1]),
    "continuation of an object": lambda kind, page: onward(page, {"a": "b"}),
    "continuation of a truth": lambda kind, page: onward(page, True),
    "says more and not where": lambda kind, page: onward(page, None),
    **{
        f"{status} {constant}": lambda kind, page, status=status, constant=constant: usual.error(
            status, constant
        )
        for status, constant in [
            (200, "INTERNAL_ERROR"), (204, "X"), (301, "MOVED"), (400, "INVALID_ARGUMENT"), (402, "PAY"),
            (403, "NOT_AUTHORIZED"), (404, "NOT_FOUND"), (418, "TEAPOT"), (429, "HIT_RATE_LIMIT"),
            (500, "INTERNAL_ERROR"), (503, "UNAVAILABLE"), (400, "BAD_CONTINUATION_TOKEN"),
            (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"),
        ]
    },
}  # fmt: skip


def onward(page: dict[str, Any], place: Any) -> Response:
    pagination = {**page.get("pagination", {}), "has_more_items": True, "continuation": place}
    return Response(json.dumps({**page, "pagination": pagination, "offset": place}))


@dataclass
class Listing:
    """What is listed under a key. is_doubled: ids come twice in an object, the right one last."""

    kind: str
    sent: list[Any]
    page_size: int = 50
    is_doubled: bool = False
    total: Any = ...
    mishap: str | None = None

    def answer(self, request: Request) -> Response:
        query = request.query_params
        word = query.get("continuation", query.get("offset", "1"))
        number = int(word) if word.isdecimal() else 1
        place = (number - 1) * self.page_size
        part = self.sent[place : place + self.page_size]
        has_more = place + self.page_size < len(self.sent)
        if self.mishap and not has_more:
            pagination = {"object_count": len(self.sent), "has_more_items": False}
            return MISHAPS[self.mishap](self.kind, {"pagination": pagination, self.kind: part})
        total = len(self.sent) if self.total is ... else self.total
        pagination = {"object_count": total, "has_more_items": has_more}
        more: dict[str, Any] = {"pagination": pagination}
        if has_more:
            pagination["continuation"] = more["offset"] = str(number + 1)
        items = ", ".join(map(self._text, part))
        return Response(f'{json.dumps(more)[:-1]}, "{self.kind}": [{items}]}}')

    def _text(self, each: Any) -> str:
        text = json.dumps(each)
        is_doubled = self.is_doubled and isinstance(each, dict) and "id" in each
        return '{"id": "not this", ' + text[1:] if is_doubled else text


def listings(kind: str, each: st.SearchStrategy[Any]) -> st.SearchStrategy[Listing]:
    return st.builds(
        Listing,
        st.just(kind),
        lists(each, 6),
        page_size=st.sampled_from([1, 2, 50]),
        is_doubled=st.booleans(),
        total=st.sampled_from([..., ..., None, 0, -1, True, "12", 10**40]),
        mishap=mostly(st.none(), st.sampled_from(list(MISHAPS))),
    )


class Server:
    """Sends what `answer` gives for the last word of a path."""

    def __init__(self) -> None:
        self.listings: Mapping[str, Listing | Answers] = {}

    def answer(self, request: Request) -> Response:
        word = request.url.path.rstrip("/").rpartition("/")[2]
        listing = self.listings.get(word)
        response = usual.error(404, "NOT_FOUND") if listing is None else listing.answer(request)
        response.headers.setdefault("x-rate-limit", f"token:{TOKEN} 1/2000 reset=9s")
        return response


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, str]]:
    server = Server()
    with serving(server) as url:
        yield server, url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wild")


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings of a warehouse with nothing in it, whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return Settings(
        as_of=DAY,
        warehouse_path=folder / "boxoffice.duckdb",
        ops_path=folder / "ops.sqlite",
        marts_path=folder / "marts.duckdb",
        sheets_dir=folder,
        mappings_dir=folder,
        **{"eventbrite_token": None, **more},
    )


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def same(found: Iterable[tuple[str, str]], sent: Iterable[tuple[str, Any]]) -> None:
    """Every id has one row, whose payload is one of those that were sent of it."""
    versions = defaultdict(set)
    for key, each in sent:
        versions[key].add(canonical(each))
    landed = list(found)
    assert sorted(key for key, _ in landed) == sorted(versions)
    for key, payload in landed:
        assert canonical(json.loads(payload)) in versions[key]


def told(result: SourceResult) -> None:
    unspoken([*map(str, result.problems), *result.notes, *map(repr, result.failures)])


def unspoken(texts: Iterable[str]) -> None:
    """The token is not in it, and it can be printed."""
    text = "\n".join(texts)
    assert TOKEN not in text
    text.encode()


# --- Eventbrite -------------------------------------------------------------------------------------------

OBJECTS = {
    "organizations": st.just({"id": ORG}) | objects({"id": ORG, "name": "Hall"}),
    "events": objects(usual.event(1, ticket_classes=[usual.ticket_class(1)])),
    "venues": objects({"id": "1", "name": "Hall", "address": {"city": "Ghent"}}),
    "orders": objects(usual.order(1)),
    "attendees": objects(usual.attendee(1)),
    "questions": objects({"id": "1", "question": {"text": "Why?"}}),
    "discounts": objects({"id": "1", "code": "EARLY"}),
    "ticket_classes": objects(usual.ticket_class(1)),
}


def event_id(each: Any) -> str | None:
    """An Eventbrite id as text: text that is not blank, or a whole number."""
    key = each.get("id") if isinstance(each, dict) and depth(each) <= 250 else None
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    return key if isinstance(key, str) and key.strip() else None


def whole(sent: Iterable[Any], key: Callable[[Any], str | None]) -> list[tuple[str, Any]]:
    """Those that must land, by id."""
    return [(found, each) for each in map(as_read, sent) if (found := key(each)) is not None]


def accounted_for(
    listing: Listing, result: SourceResult, found: list[tuple[str, str]], key: Callable[[Any], str | None]
) -> bool:
    """Whether the listing landed: all of it, what has no id counted; or nothing of it, and that is said."""
    due = whole(listing.sent, key)
    if listing.mishap and not found and (due or result.problems):
        assert result.problems
        return False
    same(found, due)
    return True


@given(world=st.fixed_dictionaries({kind: listings(kind, each) for kind, each in OBJECTS.items()}))
@examples(5, shrinks=False)
def test_eventbrite(served: tuple[Server, str], folder: Path, world: dict[str, Listing]) -> None:
    server, url = served
    server.listings = world
    settings = settings_in(folder / "eventbrite", eventbrite_token=TOKEN, eventbrite_api_url=url)
    organizations = world["organizations"].sent
    organizations.append({"id": ORG})
    settings = replace(settings, eventbrite_organization_id=ORG)

    def load() -> SourceResult:
        time = Time()
        result = eventbrite.load(settings, sleep=time.sleep, clock=time)
        told(result)
        return result

    def landed(table: str) -> list[tuple[str, str]]:
        return rows(settings, f"select id, payload from bronze_eventbrite.{table}")

    result = load()
    counts = {table.table: table for table in result.tables}
    if result.status == "failed":
        assert result.problems
    for kind in ("venues", "orders", "attendees"):
        if counts and accounted_for(world[kind], result, landed(kind), event_id):
            due = whole(world[kind].sent, event_id)
            distinct = len(dict(due))
            rejected = len(world[kind].sent) - len(due)
            assert astuple(counts[kind]) == (kind, distinct + rejected, distinct, rejected)
            assert not rejected or result.status != "ok"
            if kind != "venues":
                kept = rows(settings, f"select id, payload from bronze_eventbrite.{kind}_history")
                versions = {(key, canonical(without_address(each))) for key, each in due}
                assert len(kept) == len(versions)
                assert {(key, canonical(without_address(json.loads(text)))) for key, text in kept} == versions
    if counts:
        events_landed(world, result, landed)

    again = load()
    assert sum(table.landed for table in again.tables) == 0


def without_address(each: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in each.items() if key != "resource_uri"}


def events_landed(
    world: dict[str, Listing], result: SourceResult, landed: Callable[[str], list[tuple[str, str]]]
) -> None:
    """Events, with the ticket classes inside them and the questions of each."""
    inside: list[Any] = []
    bare = []
    for each in map(as_read, world["events"].sent):
        event = (
            {name: value for name, value in each.items() if name != "ticket_classes"}
            if isinstance(each, dict)
            else each
        )
        bare.append(event)
        if event_id(event) is not None and isinstance(each.get("ticket_classes"), list):
            inside += each["ticket_classes"]
    events = landed("events")
    listing = replace(world["events"], sent=bare)
    if not accounted_for(listing, result, events, event_id):
        return
    counts = {table.table: table for table in result.tables}
    due = whole(bare, event_id)
    assert counts["events"].rejected == len(bare) - len(due)
    # Of events that came without their classes, these are asked for one by one.
    asked = whole(world["ticket_classes"].sent, event_id)
    sent = whole(inside, event_id)
    found = landed("ticket_classes")
    assert {key for key, _ in sent} <= {key for key, _ in found} <= {key for key, _ in sent + asked}
    for kind in ("questions", "discounts"):
        each = dict(whole(world[kind].sent, event_id))
        found = landed(kind)
        assert {key for key, _ in found} in (set(), set(each))
        if not world[kind].mishap:
            assert len(found) == len(each) * (len(events) if kind == "questions" else bool(events))


# --- Airtable ---------------------------------------------------------------------------------------------

RECORD = {"id": "rec1", "createdTime": "2027-02-01T10:00:00.000Z", "fields": {FIELD: 12.5}}
FIELDS = {"id": FIELD, "name": "Price", "type": "currency", "options": {"precision": 2}}
TABLES = {"id": TABLE, "name": "Tools", "primaryFieldId": FIELD, "fields": [FIELDS]}
fields = st.lists(objects(FIELDS), max_size=3).map(lambda more: [*more, FIELDS])


def record_id(each: Any) -> str | None:
    key = each.get("id") if isinstance(each, dict) and depth(each) <= 250 else None
    return key if isinstance(key, str) and key.strip() else None


@given(
    schema=listings("tables", objects(TABLES)),
    more=fields,
    records=listings("records", objects(RECORD)),
)
@examples(6, shrinks=False)
def test_airtable(
    served: tuple[Server, str], folder: Path, schema: Listing, more: list[Any], records: Listing
) -> None:
    server, url = served
    schema.page_size = 50
    schema.sent.append({**TABLES, "fields": more})
    server.listings = {"tables": schema, TABLE: records}
    settings = settings_in(
        folder / "airtable",
        airtable_token=TOKEN,
        airtable_base_id=BASE,
        airtable_api_url=url.removesuffix("/v3"),
    )
    (settings.mappings_dir / airtable.FILE).write_text(
        f"table,role,field,column\n{TABLE},campaign,{FIELD},spend\n"
    )

    def load() -> SourceResult:
        time = Time()
        result = airtable.load(settings, sleep=time.sleep, clock=time)
        told(result)
        return result

    result = load()
    found = rows(settings, "select id, payload from bronze_airtable.records")
    if not result.tables:
        assert result.problems
        assert not found
    elif accounted_for(records, result, found, record_id):
        due = whole(records.sent, record_id)
        distinct, rejected = len(dict(due)), len(records.sent) - len(due)
        ((_, read, landed, left_out),) = map(astuple, result.tables)
        assert (read, landed, left_out) == (distinct + rejected, distinct, rejected)
        assert not rejected or result.status == "partial"
    assert sum(table.landed for table in load().tables) == 0


# --- a Google workbook ------------------------------------------------------------------------------------

titles = st.sampled_from(["artists", "venues", "Notes"]) | wild
tabs = titles.map(lambda title: {"properties": {"title": title, "gridProperties": {}}})
tables = st.lists(st.lists(wild, max_size=6), max_size=6)
ranges = tables.map(lambda values: {"range": "x", "values": values}) | st.just({"range": "x"})


class Account:
    service_account_email = "reader@example.org"
    token = TOKEN


@dataclass
class Answers:
    """One body for every call, unless a mishap spoils it."""

    kind: str
    sent: list[Any]
    mishap: str | None

    def answer(self, request: Request) -> Response:
        body = {self.kind: self.sent}
        return MISHAPS[self.mishap](self.kind, body) if self.mishap else Response(json.dumps(body))


def answers(kind: str, each: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[Answers]:
    mishaps = mostly(st.none(), st.sampled_from(list(MISHAPS)))
    return st.builds(Answers, st.just(kind), st.lists(each, min_size=least, max_size=4), mishaps)


def title_of(tab: Any) -> Any:
    properties = tab.get("properties") if isinstance(tab, dict) else None
    return properties.get("title") if isinstance(properties, dict) else None


@given(data=st.data(), listing=answers("sheets", mostly(tabs, wild)))
@examples(40, shrinks=False)
def test_google(served: tuple[Server, str], folder: Path, data: st.DataObject, listing: Answers) -> None:
    server, url = served
    wanted = [title for title in map(title_of, listing.sent) if title in ("artists", "venues")]
    values = data.draw(answers("valueRanges", mostly(ranges, wild), len(wanted)))
    if data.draw(st.booleans()):
        values.sent = values.sent[: len(wanted)]
    server.listings = {"KEY": listing, "values:batchGet": values}
    settings = settings_in(
        folder / "google",
        sheets_url="https://docs.google.com/spreadsheets/d/KEY",
        google_credentials=folder / "key.json",
        google_api_url=url.removesuffix("/v3"),
    )
    time = Time()
    book = google.Workbook(settings, folder / "google", sheets.HEADERS, time.sleep, quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "_account", Account)
        patch.setattr(book, "_token", lambda account: TOKEN)
        try:
            files = book.read()
        except BoxofficeError as error:
            unspoken([str(error), *map(repr, book.failures)])
            return
    unspoken([*book.others, *map(str, book.problems)])
    sent: dict[str, list[Any]] = defaultdict(list)
    if wanted:
        for title, each in zip(wanted, values.sent, strict=True):
            sent[title].append(each.get("values", []))
    assert {sheet: len(found) for sheet, found in files.items()} == {
        sheet: len(found) for sheet, found in sent.items()
    }
    for sheet, found in files.items():
        for tab, rows in zip(found, sent[sheet], strict=True):
            cells = [["" if cell is None else as_read(str(cell)) for cell in row] for row in rows]
            with tab.path.open(encoding="utf-8", newline="") as file:
                landed = [full(row) for row in csv.reader(file)]
            assert full(landed) == full([full(row) for row in cells])


def full(row: list[Any]) -> list[Any]:
    """The row without what is empty at its end."""
    return row[: max((place for place, cell in enumerate(row, 1) if cell), default=0)]
