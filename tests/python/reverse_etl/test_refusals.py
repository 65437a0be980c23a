"""One bad row costs one row, and few calls; it is tried again until it goes."""

import pytest

from tests.python.reverse_etl.conftest import World, count, sale


@pytest.mark.parametrize("place", range(10))
def test_one_bad_row_in_ten_costs_that_row(loaded: World, place: int) -> None:
    """Refused by Airtable only: its limit of text is made lower than what we know of."""
    loaded.settings(longest_text=50)
    loaded.has(
        "sales", *(sale(each, "e1") for each in range(4)), *(sale(each, "e1") for each in range(10, 20))
    )
    key = f"s{10 + place}"
    loaded.sql(f"update sync.sync_airtable__sales set buyer = repeat('x', 60) where sale_key = '{key}'")
    outcome = loaded.sync()
    assert count(outcome)["create"] == 9
    assert len(loaded.rows("Sales", "Buyer")) == 13
    assert key not in loaded.rows("Sales", "Buyer")
    # s1 and s2 have another event now: one update. The batch, and at most 2 log2(10) more.
    assert loaded.calls("create") <= 7
    (rejected,) = outcome.written["sync_airtable__sales"].rejections
    assert (rejected.key, rejected.rule) == (key, "INVALID_VALUE_FOR_COLUMN")
    assert loaded.rejected() == {key: ("Buyer", "INVALID_VALUE_FOR_COLUMN", 0)}
    assert loaded.ops("select count(*) from journal where state = 'sent'") == [(0,)]


def test_a_refused_row_is_tried_again_and_resolved_when_it_goes(loaded: World) -> None:
    loaded.settings(longest_text=50)
    loaded.sql("update sync.sync_airtable__sales set buyer = repeat('x', 60) where sale_key = 's1'")
    loaded.sync()
    assert loaded.rejected()["s1"][2] == 0
    loaded.sync()
    assert loaded.calls("update") == 1, "tried again, without any change upstream"
    loaded.settings(longest_text=100_000)
    loaded.sync()
    assert loaded.rejected()["s1"][2] == 1
    assert loaded.rows("Sales", "Buyer")["s1"] == "x" * 60
    loaded.sync()
    assert loaded.writes == 0


def test_who_brings_on_news_alone_leaves_refused_rows_to_others(loaded: World) -> None:
    loaded.settings(longest_text=50)
    loaded.sql("update sync.sync_airtable__sales set buyer = repeat('x', 60) where sale_key = 's1'")
    loaded.sync()
    loaded.sql("update sync.sync_airtable__sales set buyer = 'b' where sale_key = 's2'")
    loaded.sync(again=False)
    assert loaded.calls("update") == 1, "s2 alone, which takes no second call"
    assert loaded.rejected()["s1"][2] == 0
    loaded.settings(longest_text=100_000)
    loaded.sync(again=False)
    assert (loaded.writes, loaded.rejected()["s1"][2]) == (0, 0)
    loaded.sync()
    assert (loaded.writes, loaded.rejected()["s1"][2]) == (1, 1)


def test_what_can_be_known_here_costs_no_call(loaded: World) -> None:
    loaded.sql("update sync.sync_airtable__events set status = 'no such' where event_key = 'e1'")
    loaded.sql(
        "update sync.sync_airtable__events set event_name = repeat('x', 100001) where event_key = 'e2'"
    )
    loaded.has(
        "sales",
        *(sale(place, f"e{place % 3 + 1}") for place in range(4)),
        *(sale(20, "nowhere"), sale(21, "e1"), ("S21 ", "e1", "a", None)),
        *((None, "e1", "nobody", None), ("", "e1", "nobody", None), sale(22, "e1"), sale(22, "e1")),
    )
    outcome = loaded.sync()
    assert [each["does"] for each in loaded.requests] == ["schema"]
    assert count(outcome) == {}
    assert loaded.rejected() == {
        "e1": ("Status", "option", 0),
        "e2": ("Event", "length", 0),
        "s20": ("Event", "parent", 0),
        "s21": ("boxoffice key", "key", 0),
        "S21 ": ("boxoffice key", "key", 0),
        "s22": ("boxoffice key", "key", 0),
        "(no key)": ("boxoffice key", "key", 0),
    }
    loaded.sql("update sync.sync_airtable__events set status = 'ended' where event_key = 'e1'")
    loaded.sql(
        "delete from sync.sync_airtable__sales"
        " where sale_key in ('S21 ', 's22') or coalesce(sale_key, '') = ''"
    )
    loaded.sync()
    unresolved = {key for key, (_, _, is_resolved) in loaded.rejected().items() if not is_resolved}
    assert unresolved == {"e2", "s20"}
    assert loaded.rows("Events", "Status")["e1"] == "ended"


def test_reasons_are_plain_and_carry_no_value_into_the_warehouse(loaded: World) -> None:
    loaded.sql("update sync.sync_airtable__events set status = 'secret' where event_key = 'e1'")
    loaded.sync()
    ((reason, remedy, value),) = loaded.ops("select reason, remedy, value from rejected_rows")
    assert (reason, value) == ("The field has no such option.", "secret")
    assert remedy == "Add the option to the field, or set create_options to yes in settings.csv."
    from boxoffice import ops

    with ops.opened(loaded.ops_path) as store:
        shown = {table: (columns, rows) for table, columns, rows in store.reported()}
    columns, rows = shown["rejected_rows"]
    assert "value" not in columns
    assert "secret" not in str(rows)


@pytest.mark.parametrize(("room", "most"), [(0, 6), (3, 16)])
def test_a_base_that_is_full_is_found_out_in_a_few_calls(loaded: World, room: int, most: int) -> None:
    loaded.settings(records_of_base=9 + room)
    loaded.has("sales", *(sale(each, f"e{each % 3 + 1}") for each in range(60)))
    outcome = loaded.sync()
    assert loaded.calls("create") <= most
    assert len(loaded.rows("Sales", "Buyer")) == 4 + room
    assert any("1,000" in problem.remedy for problem in outcome.problems)
    loaded.settings(records_of_base=None)
    loaded.sync()
    assert len(loaded.rows("Sales", "Buyer")) == 60
    assert all(is_resolved for _, _, is_resolved in loaded.rejected().values())


def test_a_table_that_refuses_every_row_is_left_alone_soon(loaded: World) -> None:
    loaded.settings(longest_text=20)
    bad = [(f"s{place}", "e1", "x" * 30, None) for place in range(10, 70)]
    loaded.has("sales", *(sale(place, f"e{place % 3 + 1}") for place in range(4)), *bad, sale(99, "e1"))
    outcome = loaded.sync()
    assert loaded.calls("create") == 2 * 19
    assert "refuses every row of Sales" in outcome.problems[0].problem
    for _ in range(3):
        loaded.sync()
    assert "s99" in loaded.rows("Sales", "Buyer"), "rows that were refused before go last"


def test_a_refused_parent_keeps_its_children_out(loaded: World) -> None:
    loaded.settings(longest_text=50)
    loaded.sql(
        "insert into sync.sync_airtable__events (event_key, event_name) values ('e9', repeat('x', 60))"
    )
    loaded.sql("insert into sync.sync_airtable__sales values ('s9', 'e9', 'Ann', null)")
    loaded.sync()
    assert loaded.rejected()["s9"][:2] == ("Event", "parent")
    loaded.settings(longest_text=100_000)
    loaded.sync()
    assert loaded.rows("Sales", "Event")["s9"] == ["e9"]
    assert loaded.rejected()["s9"][2] == 1


def test_forgetting_a_person_takes_them_out_of_the_ops_file_and_of_the_base(loaded: World) -> None:
    from boxoffice import ops

    with ops.opened(loaded.ops_path) as store:
        store.forget(["b1@example.org"])
    assert b"b1@example.org" not in loaded.ops_path.read_bytes()
    loaded.sql("update sync.sync_airtable__sales set buyer = null, email = null where sale_key = 's1'")
    loaded.sync()
    assert loaded.rows("Sales", "Buyer", "E-mail")["s1"] == (None, None)
