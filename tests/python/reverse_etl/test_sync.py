"""The base holds what the models say, in as few calls as it takes."""

from tests.python.reverse_etl.conftest import World, count


def test_a_first_sync_makes_tables_and_rows_with_their_links(loaded: World) -> None:
    assert loaded.rows("Venues", "Venue", "City", "Capacity") == {
        "v1": ("Marble House", "Oslo", 300),
        "v2": ("Signal Yard", None, None),
    }
    assert loaded.rows("Events", "Venue", "Starts", "Gross", "Free", "Tickets sold") == {
        "e1": (["v1"], "2027-03-05T19:00:00.000Z", 120.5, None, 12),
        "e2": (["v1"], "2027-02-05T14:00:00.000Z", 0, True, 0),
        "e3": (["v2"], None, None, None, None),
    }
    assert loaded.rows("Sales", "Event") == {"s0": ["e1"], "s1": ["e2"], "s2": ["e3"], "s3": ["e1"]}


def test_a_second_run_asks_for_the_schema_and_nothing_else(loaded: World) -> None:
    outcome = loaded.sync()
    assert [each["does"] for each in loaded.requests] == ["schema"]
    assert count(outcome) == {}


def test_a_changed_row_is_one_call_with_its_changed_cells_only(loaded: World) -> None:
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 13 where event_key = 'e1'")
    outcome = loaded.sync()
    assert count(outcome) == {"update": 1}
    (call,) = [each for each in loaded.requests if each["does"] == "update"]
    ((cells),) = [each["fields"] for each in call["body"]["records"]]
    assert list(cells.values()) == [13]
    assert loaded.writes == 1
    assert loaded.rows("Events", "Tickets sold") == {"e1": 13, "e2": 0, "e3": None}
