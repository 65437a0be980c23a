"""The invented base is as people keep one, the mapping fits it, and its truth is what a recount finds."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from sandbox.generator import AS_OF, World, generate
from sandbox.server import truth_of
from sandbox.sheets import make as make_sheets
from sandbox.staff_base import CAMPAIGNS, ROOMS, SHOWS, VENUES, StaffBase, field_id, make
from sandbox.truth import Tally, fold, merged

MAPPING = Path(__file__).parents[3] / "sandbox" / "mappings" / "airtable_sources.csv"


@pytest.fixture(scope="module")
def world() -> World:
    return generate()


@pytest.fixture(scope="module")
def staff(world: World) -> StaffBase:
    return make(world)


def cells(staff: StaffBase, table: str) -> list[dict[str, object]]:
    found = staff.base.table(table)
    return [
        {item["name"]: record.cells.get(item["id"]) for item in found.fields}
        for record in found.records.values()
    ]


def test_the_same_world_gives_the_same_base_and_any_world_the_same_fields(
    world: World, staff: StaffBase
) -> None:
    again = make(world)
    assert (again.base, again.venues) == (staff.base, staff.venues)
    assert again.tally.truth(AS_OF) == staff.tally.truth(AS_OF)
    other = make(generate(7, attendees=50))
    assert [[item["id"] for item in table.fields] for table in other.base.tables] == [
        [item["id"] for item in table.fields] for table in staff.base.tables
    ]
    assert cells(other, CAMPAIGNS) != cells(staff, CAMPAIGNS)


def test_ids_are_formed_as_airtables_and_never_come_twice(staff: StaffBase) -> None:
    ids = [staff.base.id]
    for table in staff.base.tables:
        ids += [table.id, *table.records, *(item["id"] for item in (*table.fields, *table.views))]
    assert {len(key) for key in ids} == {17}
    assert all(key.isalnum() for key in ids)
    assert len(set(ids)) == len(ids)


def test_every_line_of_the_mapping_names_a_field(staff: StaffBase) -> None:
    with MAPPING.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        table = staff.base.table(line["table"])
        assert table is not None, line
        assert table.field(line["field"]) is not None, line
    assert {line["role"] for line in lines} == {"venue", "event", "campaign"}


def test_links_say_the_same_from_both_sides(staff: StaffBase) -> None:
    seen = 0
    for table in staff.base.tables:
        for item in table.fields:
            if item["type"] != "multipleRecordLinks":
                continue
            other = staff.base.table(item["options"]["linkedTableId"])
            inverse = item["options"]["inverseLinkFieldId"]
            for record in table.records.values():
                for key in record.cells.get(item["id"], []):
                    assert record.id in other.records[key].cells[inverse]
                    seen += 1
    assert seen > 20


def test_campaigns_of_the_truth_are_what_a_recount_of_the_records_finds(
    world: World, staff: StaffBase
) -> None:
    spend: dict[tuple[str, str], list[float]] = defaultdict(list)
    clicks: dict[tuple[str, str], list[int]] = defaultdict(list)
    online = {key.partition("-")[2]: key for key in world.tally.events}
    known = dict(online)
    for record in staff.base.table(SHOWS).records.values():
        same_as = record.cells.get(field_id(SHOWS, "Eventbrite ID"), "")
        known[record.id] = online.get(same_as, f"airtable-{record.id}")
        known.setdefault(same_as, known[record.id])
    del known[""]
    for row in cells(staff, CAMPAIGNS):
        event = str(row["Eventbrite event"] or "").strip()
        key = (known.get(event, "airtable-unknown"), fold(str(row["Channel"] or "unknown")) or "")
        for sums, name in ((spend, "Spend, in the event's currency"), (clicks, "Clicks")):
            sums[key] += [] if row[name] is None else [row[name]]
    truth = truth_of(world, AS_OF, staff=staff)
    told = {(row["event_key"], row["channel"]): row for row in truth["campaigns"] if "spend" in row}
    assert len(told) > 40
    for key, row in told.items():
        assert row["clicks"] == (sum(clicks[key]) if clicks[key] else None)
        assert (None if row["spend"] is None else float(row["spend"])) == pytest.approx(
            sum(spend[key]) if spend[key] else None
        )
    assert any(row["conv_tickets"] for row in told.values())
    assert {row["spend"] for row in told.values()} >= {None, "0.0000"}
    assert {key.partition("-")[0] for key, _ in told} == {"eventbrite", "airtable"}
    assert {"airtable-unknown", known["899999999998"]} <= {key for key, _ in told}


def test_shows_and_rooms_of_the_truth_are_those_of_the_records(world: World, staff: StaffBase) -> None:
    truth = truth_of(world, AS_OF, staff=staff)
    shows = [facts for key, facts in truth["events"].items() if key.startswith("airtable-rec")]
    names = [row["Show"] for row in cells(staff, SHOWS)]
    names.remove("Online after all")
    assert [facts["event_name"] for facts in shows] == names
    assert [facts["capacity"] for facts in shows] == [60, 40, 90, None, 120, None]
    assert {facts["tickets_sold"] for facts in shows} == {0}
    rooms = truth["airtable"]["venues"]
    assert [room["venue_name"] for room in rooms.values()] == [row["Room"] for row in cells(staff, ROOMS)]
    same = {room["venue_name"]: room["same_as"] for room in rooms.values()}
    assert same["Die Alte Wäscherei 🧺"] == []
    names = {f"eventbrite-{venue['id']}": venue["name"] for venue in world.objects["venues"]}
    for name, keys in same.items():
        for key in keys:
            assert fold(names[key]) == fold(name)
            assert names[key] != name
    assert sum(map(bool, same.values())) >= 5


def test_three_venues_begun_by_hand_are_one_hall_of_eventbrite_each(world: World, staff: StaffBase) -> None:
    cities: dict[str | None, set[str]] = defaultdict(set)
    for venue in world.objects["venues"]:
        cities[fold(venue["name"])].add((venue["address"] or {}).get("city"))
    rows = [str(row["Venue"]) for row in cells(staff, VENUES)]
    assert [len(cities[fold(name)]) for name in rows] == [1, 1, 0, 1]
    assert not {*rows} & {venue["name"] for venue in world.objects["venues"]}


def test_a_channel_paid_for_in_a_sheet_and_in_airtable_is_one_campaign(
    world: World, staff: StaffBase
) -> None:
    sheets = make_sheets(world=world)
    both = set(sheets.tally.campaigns) & set(staff.tally.campaigns)
    assert both
    whole = truth_of(world, AS_OF, has_sheets=True, staff=staff)
    rows = {(row["event_key"], row["channel"]): row for row in whole["campaigns"]}
    for key in both:
        parts = [tally.campaigns[key].clicks for tally in (sheets.tally, staff.tally)]
        assert rows[key]["clicks"] == (sum(part or 0 for part in parts) if any(parts) else None)
    assert len(rows) == len(whole["campaigns"])


def test_without_the_base_the_truth_is_as_it_was(world: World, staff: StaffBase) -> None:
    assert truth_of(world, AS_OF) == world.truth_at(AS_OF)
    before = merged([world.tally, make_sheets().tally]).truth(AS_OF)
    make(world)
    assert truth_of(world, AS_OF, has_sheets=True) == before
    one, other = Tally(), Tally()
    one.campaign("e", "x", spend=1, impressions=None, clicks=None, start="2026-01-01", end=None)
    other.campaigns = merged([one]).campaigns
    assert merged([one, other]).campaigns["e", "x"].spend == 2
    assert one.campaigns["e", "x"].spend == 1  # merging adds nothing to its parts


def test_computed_cells_show_errors_and_every_kind_of_cell_is_there(staff: StaffBase) -> None:
    kinds = {item["type"] for table in staff.base.tables for item in table.fields}
    assert len(kinds) >= 22
    per_click = [
        record.cells.get(field_id(CAMPAIGNS, "Cost per click"))
        for record in staff.base.table(CAMPAIGNS).records.values()
    ]
    assert {"error": "#ERROR!"} in per_click
    assert {"specialValue": "NaN"} in per_click
    assert None in per_click


def test_a_hall_that_several_sources_list_has_the_capacity_of_the_first_that_states_one() -> None:
    tally = Tally()
    for key, name, city, capacity in (
        ("sheets-1", "Old Hall", "Ghent", 90),
        ("eventbrite-1", "OLD  hall", "Ghent", 70),
        ("airtable-1", "old hall!", None, None),
        ("sheets-2", "Twin", "Bath", 10),
        ("eventbrite-2", "Twin", "Cork", None),
        ("airtable-2", "Twin", None, 30),  # in Bath or in Cork
        ("sheets-3", None, "Ghent", None),
    ):
        tally.venue(key, name=name, city=city, capacity=capacity)
        tally.event(
            key,
            name=None,
            status=None,
            currency=None,
            capacity=None,
            over_after=None,
            is_cancelled=False,
            venue=key,
        )
    told = {key: facts["capacity"] for key, facts in merged([tally]).truth(AS_OF)["events"].items()}
    assert list(told.values()) == [70, 70, 70, 10, None, 30, None]
