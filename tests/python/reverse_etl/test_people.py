"""What people have and do in the base survives, as the policies say."""

import pytest

from reverse_etl.airtable import Outcome
from tests.python.reverse_etl.conftest import World, count, sale


def edits(outcome: Outcome) -> dict[str, int]:
    return {name: many for plan in outcome.plans for name, many in plan.edits.items()}


def record_of(world: World, table: str, key: str) -> str:
    return next(record for record, cells in world.records(table).items() if cells.get("boxoffice key") == key)


# -- rows and columns of theirs


def test_peoples_columns_and_rows_stay(loaded: World) -> None:
    loaded.by_hand("add_field", "Events", name="Notes", type="multilineText")
    loaded.by_hand("edit", "Events", record=record_of(loaded, "Events", "e1"), fields={"Notes": "ours"})
    own = loaded.by_hand("create", "Events", fields={"Event": "Staff party"})
    loaded.policies = {"on_delete": "delete", "max_delete_share": "1"}
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 77 where event_key = 'e1'")
    loaded.sql("delete from sync.sync_airtable__events where event_key <> 'e1'")
    loaded.sync()
    assert loaded.records("Events")[own] == {"Event": "Staff party"}
    (cells,) = [each for key, each in loaded.records("Events").items() if key != own]
    assert (cells["Notes"], cells["Tickets sold"]) == ("ours", 77)


# -- edits


@pytest.mark.parametrize("policy", ["keep", "overwrite"])
def test_an_edit_is_seen_where_the_record_was_read(loaded: World, policy: str) -> None:
    loaded.policies = {"on_edit": policy}
    record = record_of(loaded, "Events", "e1")
    loaded.by_hand("edit", "Events", record=record, fields={"Event": "By hand"})
    loaded.sync()
    assert loaded.calls() == 1, "what was not read is not known"
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 13 where event_key = 'e1'")
    assert edits(loaded.sync()) == {"Event": 1}
    assert loaded.rows("Events", "Event")["e1"] == "By hand"
    loaded.sync()
    assert loaded.rows("Events", "Event")["e1"] == {"keep": "By hand", "overwrite": "Opening"}[policy]
    loaded.sql("update sync.sync_airtable__events set event_name = 'New' where event_key = 'e1'")
    loaded.sync()
    assert loaded.rows("Events", "Event")["e1"] == "New", "there is a new value"


def test_reconcile_reports_and_mends_what_people_changed(loaded: World) -> None:
    loaded.by_hand(
        "edit", "Events", record=record_of(loaded, "Events", "e1"), fields={"Tickets sold": 1, "Free": True}
    )
    loaded.by_hand("delete", "Sales", record=record_of(loaded, "Sales", "s0"))
    plan = loaded.plan(reconciles=True)
    assert loaded.writes == 0
    assert edits(plan) == {"Tickets sold": 1, "Free": 1}
    assert [each.missing for each in plan.plans] == [0, 0, 1]
    loaded.sync()
    assert loaded.rows("Events", "Tickets sold", "Free")["e1"] == (12, None)
    assert sorted(loaded.rows("Sales", "Buyer")) == ["s0", "s1", "s2", "s3"]


# -- rows that people deleted


@pytest.mark.parametrize("policy", ["recreate", "leave"])
def test_a_deleted_row(loaded: World, policy: str) -> None:
    loaded.policies = {"on_missing": policy}
    loaded.by_hand("delete", "Events", record=record_of(loaded, "Events", "e1"))
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 5")
    outcome = loaded.sync()
    assert outcome.written["sync_airtable__events"].missing == 1
    expected = {"e1", "e2", "e3"} if policy == "recreate" else {"e2", "e3"}
    assert set(loaded.rows("Events", "Event")) == expected
    assert loaded.calls("update") == 2, "Airtable names the record, so the others go in one call"
    loaded.sync()
    assert set(loaded.rows("Events", "Event")) == expected
    # Sales link to the new record from the next run on.
    wanted = {"recreate": ["e1"], "leave": None}[policy]
    assert loaded.rows("Sales", "Event")["s0"] == wanted
    loaded.sync()
    assert loaded.writes == 0


def test_a_link_to_a_deleted_row_is_mended(loaded: World) -> None:
    loaded.by_hand("delete", "Events", record=record_of(loaded, "Events", "e1"))
    loaded.has("sales", *(sale(place, f"e{place % 3 + 1}") for place in range(12)))
    loaded.sync()
    assert len(loaded.rows("Sales", "Event")) == 4 + 6, "those of the other events"
    loaded.sync()
    assert set(loaded.rows("Events", "Event")) == {"e1", "e2", "e3"}
    assert loaded.rows("Sales", "Event") == {f"s{place}": [f"e{place % 3 + 1}"] for place in range(12)}
    assert all(is_resolved for *_, is_resolved in loaded.rejected().values())


# -- rows that are gone here


def test_rows_that_are_gone_stay_by_default(loaded: World) -> None:
    loaded.sql("delete from sync.sync_airtable__sales where sale_key = 's1'")
    outcome = loaded.sync()
    assert [each.kept for each in outcome.plans] == [0, 0, 1]
    assert "s1" in loaded.rows("Sales", "Buyer")


def test_rows_are_archived_and_come_back(loaded: World) -> None:
    loaded.policies = {"on_delete": "archive", "max_delete_share": "0.5"}
    loaded.sync(bootstraps=True)
    loaded.sql("delete from sync.sync_airtable__sales where sale_key = 's1'")
    assert count(loaded.sync()) == {"archive": 1}
    assert loaded.rows("Sales", "Archived", "Buyer")["s1"] == (True, "Buyer 1")
    loaded.sync()
    assert loaded.writes == 0
    loaded.sql("insert into sync.sync_airtable__sales values ('s1', 'e2', 'Buyer 1', 'b1@example.org')")
    assert count(loaded.sync()) == {"update": 1}
    assert loaded.rows("Sales", "Archived", "Buyer")["s1"] == (None, "Buyer 1")


@pytest.mark.parametrize("missing_in_delete", ["not_found", "row", "permission", "ignore"])
def test_rows_are_deleted_even_where_people_did_so_before(loaded: World, missing_in_delete: str) -> None:
    loaded.settings(missing_in_delete=missing_in_delete)
    loaded.policies = {"on_delete": "delete", "max_delete_share": "0.75"}
    loaded.by_hand("delete", "Sales", record=record_of(loaded, "Sales", "s1"))
    loaded.sql("delete from sync.sync_airtable__sales where sale_key <> 's3'")
    loaded.sync()
    assert set(loaded.rows("Sales", "Buyer")) == {"s3"}
    loaded.sync()
    assert loaded.calls() == 1


@pytest.mark.parametrize("policy", ["delete", "archive"])
@pytest.mark.parametrize("left", [0, 3])
def test_too_many_at_once_are_not_removed_unless_told(loaded: World, policy: str, left: int) -> None:
    loaded.policies = {"on_delete": policy}
    loaded.sync(bootstraps=True)
    loaded.sql(f"delete from sync.sync_airtable__sales where sale_key >= 's{left}'")
    outcome = loaded.sync()
    assert loaded.writes == 0
    (problem,) = outcome.problems
    assert "max_delete_share" in problem.remedy
    loaded.policies["max_delete_share"] = "1"
    assert count(loaded.sync()) == {policy: 4 - left}


# -- empty values


def test_a_field_that_is_bound_later_is_filled_and_not_emptied(loaded: World) -> None:
    loaded.by_hand("add_field", "Events", name="Seats", type="number", options={"precision": 0})
    for key in ("e1", "e3"):
        loaded.by_hand("edit", "Events", record=record_of(loaded, "Events", key), fields={"Seats": 5})
    loaded.words = {("sync_airtable__events", "tickets_sold"): "Seats"}
    loaded.sync()
    assert loaded.rows("Events", "Seats") == {"e1": 12, "e2": 0, "e3": 5}
    for reconciles in (False, True):
        loaded.sync(reconciles=reconciles)
        assert loaded.writes == 0


@pytest.mark.parametrize(("policy", "kept"), [("clear", (None, 12)), ("keep", ("Opening", 12))])
def test_a_value_that_is_gone(loaded: World, policy: str, kept: tuple[object, ...]) -> None:
    loaded.policies = {"on_null": policy}
    loaded.sql("update sync.sync_airtable__events set event_name = null where event_key = 'e1'")
    loaded.sync()
    assert loaded.rows("Events", "Event", "Tickets sold")["e1"] == kept
    loaded.sync()
    assert loaded.writes == 0


# -- records that people made before


def test_a_venue_made_by_hand_is_adopted_and_completed(loaded: World) -> None:
    made = loaded.by_hand("create", "Venues", fields={"Venue": " the  PIER.", "Capacity": 5})
    loaded.sql("insert into sync.sync_airtable__venues values ('v3', 'The Pier', 'Rome', 90)")
    assert count(loaded.sync()) == {"adopt": 1}
    assert loaded.calls("create") == 0
    cells = loaded.records("Venues")[made]
    # Completed: what people had written stays until there is a new value.
    assert cells == {"Venue": " the  PIER.", "Capacity": 5, "City": "Rome", "boxoffice key": "v3"}
    loaded.sync()
    assert loaded.calls() == 1
    loaded.sync(reconciles=True)
    assert loaded.writes == 0, "what was theirs before is no edit"
    loaded.sql("update sync.sync_airtable__venues set capacity = 91 where venue_key = 'v3'")
    loaded.sync()
    assert loaded.records("Venues")[made] == {**cells, "Capacity": 91}
    assert loaded.ops("select key from airtable_keys where is_adopted") == [("v3",)]


@pytest.mark.parametrize("policy", ["delete", "archive"])
def test_an_adopted_row_is_never_removed(loaded: World, policy: str) -> None:
    loaded.policies = {"on_delete": policy, "max_delete_share": "1"}
    made = loaded.by_hand("create", "Venues", fields={"Venue": "The Pier"})
    loaded.sql("insert into sync.sync_airtable__venues values ('v3', 'The Pier', 'Rome', 90)")
    loaded.sync(bootstraps=True)
    loaded.sql("delete from sync.sync_airtable__venues where venue_key = 'v3'")
    outcome = loaded.sync()
    assert loaded.writes == 0
    assert [plan.kept for plan in outcome.plans] == [1, 0, 0]
    assert made in loaded.records("Venues")


def test_two_candidates_are_reported_and_not_guessed(loaded: World) -> None:
    one, two = (
        loaded.by_hand("create", "Venues", fields={"Venue": name}) for name in ("The Pier", "the pier")
    )
    loaded.sql("insert into sync.sync_airtable__venues values ('v3', 'The Pier', 'Rome', 90)")
    loaded.sync()
    assert loaded.writes == 0
    assert loaded.rejected() == {"v3": ("Venue", "ambiguous", 0)}
    loaded.by_hand("edit", "Venues", record=two, fields={"boxoffice key": "v3"})
    loaded.sync()
    assert loaded.rows("Venues", "City")["v3"] == "Rome"
    assert loaded.records("Venues")[one] == {"Venue": "The Pier"}
    assert loaded.rejected()["v3"][2] == 1


def test_two_venues_of_one_name_do_not_share_a_record(loaded: World) -> None:
    loaded.by_hand("create", "Venues", fields={"Venue": "The Pier"})
    loaded.sql(
        "insert into sync.sync_airtable__venues"
        " values ('v3', 'The Pier', 'Rome', 1), ('v4', 'the pier', 'Bari', 2)"
    )
    loaded.sync()
    assert loaded.writes == 0
    assert set(loaded.rejected()) == {"v3", "v4"}


def test_a_copied_row_is_not_taken_for_ours(loaded: World) -> None:
    """People duplicate records, key and all. While ours is known it is told apart; else it is reported."""
    loaded.by_hand("create", "Events", fields={"Event": "A copy", "boxoffice key": "e1"})
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 5 where event_key = 'e1'")
    loaded.sync(reconciles=True)
    assert sorted(cells["Event"] for cells in loaded.records("Events").values()) == [
        "A copy",
        "Matinee",
        "Opening",
        "Talk",
    ]
    loaded.ops_path.unlink()
    loaded.sync()
    assert loaded.writes == 0
    assert loaded.rejected() == {
        "e1": ("boxoffice key", "ambiguous", 0),
        "s0": ("Event", "parent", 0),
        "s3": ("Event", "parent", 0),
    }
    (copy,) = [key for key, cells in loaded.records("Events").items() if cells["Event"] == "A copy"]
    loaded.by_hand("delete", "Events", record=copy)
    loaded.sync()
    loaded.sync()
    assert loaded.rejected()["e1"][2] == 1
    assert loaded.rows("Events", "Tickets sold")["e1"] == 5


def test_a_row_whose_key_people_emptied_is_still_ours(loaded: World) -> None:
    for key, cell in (("e1", None), ("e2", "mine")):
        record = record_of(loaded, "Events", key)
        loaded.by_hand("edit", "Events", record=record, fields={"boxoffice key": cell})
    loaded.sync(reconciles=True)
    assert loaded.calls("create") == 0
    assert set(loaded.rows("Events", "Event")) == {"e1", "e2", "e3"}


def test_a_venue_of_ours_without_its_key_is_not_given_to_another(loaded: World) -> None:
    record = record_of(loaded, "Venues", "v1")
    loaded.by_hand("edit", "Venues", record=record, fields={"boxoffice key": None})
    loaded.sql("insert into sync.sync_airtable__venues values ('v3', 'Marble House', 'Bergen', 9)")
    assert count(loaded.sync()) == {"create": 1}
    assert loaded.records("Venues")[record]["City"] == "Oslo"
    assert len(loaded.records("Venues")) == 3
    assert len(set(loaded.ops("select record_id from airtable_keys"))) == 2 + 3 + 4 + 1


# -- options


def test_options_are_made_only_when_told_to(loaded: World) -> None:
    loaded.sql("update sync.sync_airtable__events set status = 'sold out, almost' where event_key <> 'e3'")
    loaded.sync()
    assert loaded.writes == 0
    assert {rule for _, rule, _ in loaded.rejected().values()} == {"option"}
    loaded.policies = {"create_options": "yes"}
    assert count(loaded.sync()) == {"update": 2}
    (call,) = [each for each in loaded.requests if each["does"] == "update"]
    assert call["body"]["typecast"] is True
    assert loaded.rows("Events", "Status")["e1"] == "sold out, almost"
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 3 where event_key = 'e1'")
    loaded.sync()
    (call,) = [each for each in loaded.requests if each["does"] == "update"]
    assert "typecast" not in call["body"]
