"""What a base has become is found out before the first write."""

from dataclasses import replace

import pytest

from boxoffice.airtable_api import TokenRefused, Withheld
from boxoffice.errors import ConfigurationError
from reverse_etl.airtable import NotSetUp
from tests.python.reverse_etl.conftest import BASE, SCOPES, TOKEN, World, count, sale

EVENTS, SALES = "sync_airtable__events", "sync_airtable__sales"


def change(world: World) -> None:
    """A reason to write to events and to sales."""
    world.sql("update sync.sync_airtable__events set tickets_sold = coalesce(tickets_sold, 0) + 1")
    world.sql("update sync.sync_airtable__sales set buyer = buyer || '!'")


def test_a_renamed_field_and_table_keep_working_and_are_reported(loaded: World) -> None:
    loaded.by_hand("rename_field", "Events", field="Tickets sold", name="Seats gone")
    loaded.by_hand("rename_table", "Events", name="Gigs")
    change(loaded)
    outcome = loaded.sync()
    assert loaded.rows("Gigs", "Seats gone") == {"e1": 13, "e2": 1, "e3": 1}
    assert len(outcome.notes) == 2
    assert outcome.problems == []
    loaded.sync(bootstraps=True)
    assert (outcome.made, loaded.writes) == ([], 0), "what was renamed is not missing"


@pytest.mark.parametrize(
    ("what", "details", "said"),
    [
        ("delete_field", {"field": "Tickets sold"}, "has no field 'Tickets sold'"),
        ("change_type", {"field": "Tickets sold", "type": "singleLineText"}, None),
        ("change_type", {"field": "Event", "type": "number", "options": {"precision": 0}}, "does not fit"),
        ("change_type", {"field": "Starts", "type": "number", "options": {"precision": 0}}, "does not fit"),
        ("change_type", {"field": "Tickets sold", "type": "autoNumber"}, "is computed"),
        ("change_type", {"field": "Tickets sold", "type": "hologram"}, "cannot write"),
        ("change_type", {"field": "Venue", "type": "singleLineText"}, "is no link"),
    ],
)
def test_drift_is_named_before_any_write(
    loaded: World, what: str, details: dict[str, object], said: str | None
) -> None:
    loaded.by_hand(what, "Events", **details)
    change(loaded)
    outcome = loaded.sync()
    if said is None:
        assert loaded.rows("Events", "Tickets sold") == {"e1": "13", "e2": "1", "e3": "1"}
        loaded.by_hand(what, "Events", field="Tickets sold", type="number", options={"precision": 0})
        loaded.sync()
        assert loaded.rows("Events", "Tickets sold") == {"e1": 13, "e2": 1, "e3": 1}
        return
    (problem,) = outcome.problems
    assert said in problem.problem
    assert "Events" in problem.problem
    paths = [each["path"] for each in loaded.requests if each["does"] == "update"]
    assert len(paths) == 1, "the sales go on"
    assert loaded.rows("Sales", "Buyer")["s0"] == "Buyer 0!"


def test_a_field_that_is_deleted_while_this_runs(loaded: World) -> None:
    """Every row is refused for it: one is enough to know."""
    gone = [{"do": "delete_field", "table": "Sales", "field": "Buyer"}]
    loaded.fault("apply", method="GET", path="tables$", changes=gone, times=1)
    loaded.sql("update sync.sync_airtable__sales set buyer = buyer || '!'")
    outcome = loaded.sync()
    assert loaded.calls("update") == 1
    assert "UNKNOWN_FIELD_NAME" in outcome.problems[0].problem


def test_a_missing_option_is_named_before_any_write(loaded: World) -> None:
    loaded.by_hand("delete_option", "Events", field="Status", option="live")
    outcome = loaded.plan()
    assert loaded.writes == 0
    assert {(each.key, each.rule) for plan in outcome.plans for each in plan.rejections} == {
        ("e1", "option"),
        ("e3", "option"),
    }


def test_a_missing_table_names_bootstrap(loaded: World) -> None:
    loaded.by_hand("delete_table", "Sales")
    change(loaded)
    outcome = loaded.sync()
    (problem,) = outcome.problems
    assert "no table 'Sales'" in problem.problem
    assert "--bootstrap" in problem.remedy
    assert count(outcome) == {"update": 3}
    loaded.sync(bootstraps=True)
    assert len(loaded.rows("Sales", "Buyer")) == 4


def test_tables_and_fields_are_bound_by_name_or_id_or_to_nothing(world: World) -> None:
    """A base that people have made: nothing is called as in the models."""
    table = world.stand_in.call  # by hand, through the API
    assert table
    world.words = {
        ("sync_airtable__venues", ""): "",
        (EVENTS, ""): "Gigs",
        (EVENTS, "event_key"): "External id",
        (EVENTS, "event_name"): "title",
        **{(EVENTS, column): "" for column in ("venue_key", "status", "starts_at", "gross", "is_free")},
        (SALES, ""): "",
    }
    world.sync(bootstraps=True)
    assert world.tables() == ["Gigs"]
    world.by_hand("rename_field", "Gigs", field="title", name="Title")
    (described,) = [each for each in _tables(world) if each["name"] == "Gigs"]
    ids = {each["name"]: each["id"] for each in described["fields"]}
    world.words |= {(EVENTS, ""): described["id"], (EVENTS, "tickets_sold"): ids["Tickets sold"]}
    world.has("events", ("e1", "Opening", None, None, None, 3, None, None))
    world.sync()
    (cells,) = world.records("Gigs").values()
    assert cells == {"External id": "e1", "Title": "Opening", "Tickets sold": 3}


def _tables(world: World) -> list[dict[str, object]]:
    from boxoffice.airtable_api import Client

    client = Client(world.stand_in.airtable, TOKEN, BASE, per_second=None)
    try:
        return client.tables()
    finally:
        client.close()


def test_a_table_that_happens_to_have_our_name_is_not_written_to(world: World) -> None:
    world.sync(bootstraps=True)
    world.by_hand("rename_field", "Events", field="boxoffice key", name="Their own")
    for table in ("Venues", "Sales"):
        world.by_hand("delete_table", table)
    world.ops_path.unlink()
    with pytest.raises(NotSetUp):
        world.sync()
    assert world.calls() == world.calls("schema") == 1


def test_an_optional_table_waits_until_it_is_bound(world: World) -> None:
    world.models = [
        replace(each, meta={**each.meta, "optional": each.thing == "sales"}) for each in world.models
    ]
    world.sync(bootstraps=True)
    assert "Sales" not in world.tables()
    world.words = {(SALES, ""): "Sales"}
    world.sync(bootstraps=True)
    assert "Sales" in world.tables()


@pytest.mark.parametrize(
    ("words", "policies"),
    [
        ({("sync_airtable__halls", ""): "Halls"}, {}),
        ({(EVENTS, "colour"): "Colour"}, {}),
        ({}, {"on_delete": "shred"}),
        ({}, {"on_fire": "keep"}),
        ({}, {"halls.on_delete": "keep"}),
        ({}, {"max_delete_share": "20%"}),
    ],
)
def test_nonsense_in_the_mappings_ends_before_anything(
    loaded: World, words: dict[tuple[str, str], str], policies: dict[str, str]
) -> None:
    loaded.words, loaded.policies = words, policies
    change(loaded)
    with pytest.raises(ConfigurationError):
        loaded.sync(bootstraps=True)
    assert loaded.calls() == 0


def test_links_to_a_table_that_is_left_out_are_not_written(world: World) -> None:
    world.words = {("sync_airtable__venues", ""): ""}
    world.has("events", ("e1", "Opening", "v1", "live", None, 1, None, None))
    outcome = world.sync(bootstraps=True)
    assert (world.tables(), outcome.problems) == (["Events", "Sales"], [])
    (cells,) = world.records("Events").values()
    assert cells == {"boxoffice key": "e1", "Event": "Opening", "Status": "live", "Tickets sold": 1}


def test_a_model_that_is_not_sound_is_left_alone(loaded: World) -> None:
    """Its words are no nonsense, and links to its rows keep working."""
    loaded.words = {(EVENTS, "tickets_sold"): "Tickets sold"}
    loaded.others = [each.name for each in loaded.models if each.thing == "events"]
    loaded.models = [each for each in loaded.models if each.thing != "events"]
    new = "('s9', 'e2', 'Ann', null), ('s10', 'e9', 'Bo', null)"
    loaded.sql(f"insert into sync.sync_airtable__sales values {new}")
    assert count(loaded.sync()) == {"create": 1}
    assert loaded.rows("Sales", "Event")["s9"] == ["e2"]


def test_two_columns_are_not_bound_to_one_field(loaded: World) -> None:
    loaded.words = {(EVENTS, "gross"): "Tickets sold"}
    change(loaded)
    outcome = loaded.sync()
    assert "both bound to field Tickets sold" in outcome.problems[0].problem


def test_a_policy_of_a_model_is_overruled_by_settings(loaded: World) -> None:
    loaded.models = [
        replace(each, meta={**each.meta, "on_delete": "delete", "max_delete_share": 1})
        for each in loaded.models
    ]
    loaded.policies = {"sales.on_delete": "keep", "on_delete": "delete"}
    loaded.sql("delete from sync.sync_airtable__sales")
    loaded.sql("delete from sync.sync_airtable__events where event_key = 'e3'")
    assert count(loaded.sync()) == {"delete": 1}


def test_a_token_that_may_not(loaded: World) -> None:
    change(loaded)
    loaded.settings(tokens={TOKEN: {"scopes": SCOPES[:1]}})
    with pytest.raises(Withheld, match=r"schema\.bases:read"):
        loaded.sync()
    loaded.settings(tokens={TOKEN: {"scopes": [each for each in SCOPES if each != "data.records:write"]}})
    outcome = loaded.sync()
    assert {type(problem) for problem in outcome.problems} == {Withheld}
    assert "data.records:write" in outcome.problems[0].remedy
    loaded.settings(tokens={"another": {"scopes": SCOPES}})
    with pytest.raises(TokenRefused):
        loaded.sync()
    loaded.settings(tokens={TOKEN: {"scopes": SCOPES}})
    assert count(loaded.sync()) == {"update": 7}


def test_bootstrap_without_its_scope_names_it(world: World) -> None:
    world.settings(tokens={TOKEN: {"scopes": SCOPES[:3]}})
    with pytest.raises(Withheld, match=r"schema\.bases:write"):
        world.sync(bootstraps=True)


def test_a_table_that_may_not_be_edited_does_not_stop_the_others(loaded: World) -> None:
    (events,) = [each["id"] for each in _tables(loaded) if each["name"] == "Events"]
    loaded.settings(locked=[events])
    change(loaded)
    outcome = loaded.sync()
    assert len(outcome.problems) == 1
    assert count(outcome) == {"update": 4}
    loaded.settings(locked=[])
    assert count(loaded.sync()) == {"update": 3}


def test_another_base_begins_anew(loaded: World) -> None:
    """The ops file knows rows by base: what one holds says nothing of another."""
    loaded.has("sales", *(sale(place, "e1") for place in range(5)))
    assert {base for (base,) in loaded.ops("select distinct base_id from sent_rows")} == {BASE}
