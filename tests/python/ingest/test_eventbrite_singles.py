"""Objects fetched one by one land as the load that lists them lands them. Over HTTP, against the stand-in."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from dlt.common.configuration.utils import get_resolved_traces

from boxoffice.errors import BoxofficeError
from boxoffice.ops import Forgotten, email_hash
from boxoffice.settings import Settings
from ingest import eventbrite
from ingest.eventbrite_singles import ENOUGH, Fetched, Key, client_for, fetch
from sandbox.server import StandIn, running
from tests.python.ingest.eventbrite_server import ORG, attendee, event, moment, money, order, ticket_class

Json = dict[str, Any]
THEIRS = "700000000002"
EVENT = "800000000001"
RICH = {"display_price": money(1), "fee_components": [], "has_gts_tax": False}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    objects: dict[str, list[Json]] = {
        "user": [{"id": "900000000001"}],
        "organizations": [{"id": ORG, "name": "Example Hall"}],
        "events": [event(1)],
        "venues": [{"id": "5000001", "organization_id": ORG, "name": "Hall"}],
        "ticket_classes": [ticket_class(1)],
        "orders": [rich(order(1))],
        "attendees": [attendee(1)],
    }
    with running(objects=objects) as running_one:
        yield running_one


@pytest.fixture
def settings(stand_in: StandIn, tmp_path: Path) -> Settings:
    return Settings(
        as_of=datetime(2027, 3, 1, 6, tzinfo=UTC),
        warehouse_path=tmp_path / "boxoffice.duckdb",
        ops_path=tmp_path / "ops.sqlite",
        marts_path=tmp_path / "marts.duckdb",
        sheets_dir=tmp_path,
        mappings_dir=tmp_path,
        eventbrite_token="sandbox",
        eventbrite_api_url=stand_in.eventbrite,
    )


@pytest.fixture
def loaded(settings: Settings) -> None:
    assert eventbrite.load(settings).status == "ok"


def rich(each: Json) -> Json:
    return {**each, "costs": {**each["costs"], **RICH}}


def wanted(kind: str, identity: str, parent: str | None = None) -> Any:
    return SimpleNamespace(type=kind, id=identity, parent_id=parent)


def refresh(settings: Settings, *asked: Any, **options: Any) -> tuple[Fetched, dict[str, int]]:
    client = client_for(settings, sleep=lambda seconds: None)
    try:
        found = fetch(client, settings, asked)
    finally:
        client.close()
    results, _ = eventbrite.merge(settings, found.objects, **options)
    return found, {result.table: result.landed for result in results if result.landed}


def held(settings: Settings) -> dict[str, list[Any]]:
    """Every row of every table, but the columns that tell when."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        connection.execute("use bronze_eventbrite")
        return {
            name: connection.execute(
                f"select * exclude (landed_at) replace (json_object('of', payload_hash) as payload)"
                f" from {name} order by all"
            ).fetchall()
            for name in eventbrite.TABLES
            if name != "listings"
        }


def listings(settings: Settings) -> list[Any]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute("from bronze_eventbrite.listings order by all").fetchall()


def paths(stand_in: StandIn) -> list[str]:
    return sorted(each["path"].removeprefix("/v3") for each in stand_in.requests())


@pytest.mark.usefixtures("loaded")
def test_a_sale_lands_by_one_call_as_the_next_load_would_land_it(
    stand_in: StandIn, settings: Settings
) -> None:
    before = listings(settings)
    stand_in.put(
        orders=[rich(order(2))],
        attendees=[attendee(2), attendee(3, order_id="10000000002")],
    )
    stand_in.forget_requests()
    found, landed = refresh(
        settings,
        wanted("order", "10000000002"),
        wanted("attendee", "20000000002", EVENT),
        wanted("attendee", "20000000003", EVENT),
    )
    assert paths(stand_in) == ["/orders/10000000002/"]
    assert found.read == {
        Key("order", "10000000002"),
        Key("attendee", "20000000002"),
        Key("attendee", "20000000003"),
    }
    assert landed == {"orders": 1, "attendees": 2}
    assert listings(settings) == before  # the next load asks for the same as if nothing had been fetched
    after = held(settings)
    eventbrite.load(settings)
    assert held(settings) == after
    assert [len(after[name]) for name in ("orders_history", "attendees_history")] == [2, 3]


@pytest.mark.usefixtures("loaded")
def test_an_event_that_is_new_comes_with_its_order(stand_in: StandIn, settings: Settings) -> None:
    stand_in.put(
        events=[event(2, venue_id="5000002")],
        venues=[{"id": "5000002", "organization_id": ORG, "name": "Park"}],
        ticket_classes=[ticket_class(2, 2)],
        orders=[order(2, event_id="800000000002")],
        attendees=[attendee(2, event_id="800000000002", ticket_class_id="300000002")],
    )
    stand_in.forget_requests()
    refresh(settings, wanted("order", "10000000002"), wanted("ticket_class", "300000002", "800000000002"))
    assert paths(stand_in) == ["/events/800000000002/", "/orders/10000000002/"]
    after = held(settings)
    eventbrite.load(settings)
    assert held(settings) == after


@pytest.mark.usefixtures("loaded")
def test_what_is_older_never_overwrites_what_is_newer(stand_in: StandIn, settings: Settings) -> None:
    stand_in.change("attendees", "20000000001", changed=moment(50), checked_in=True)
    found, landed = refresh(settings, wanted("attendee", "20000000001", EVENT))
    assert landed == {"attendees": 1}
    assert found.changed_at == {
        Key("attendee", "20000000001"): datetime(2027, 2, 1, 0, 50, tzinfo=UTC).timestamp()
    }
    newer = held(settings)["attendees"]
    stand_in.change("attendees", "20000000001", changed=moment(40), checked_in=False)
    assert refresh(settings, wanted("attendee", "20000000001", EVENT))[1] == {}
    assert held(settings)["attendees"] == newer
    assert len(held(settings)["attendees_history"]) == 3  # a version all the same


@pytest.mark.usefixtures("loaded")
def test_people_who_asked_to_be_forgotten_are_left_out(stand_in: StandIn, settings: Settings) -> None:
    stand_in.put(orders=[order(2, email="Ann@example.org", name="Ann Chovy")])
    forgotten = Forgotten(b"salt", frozenset({email_hash("ann@example.org", b"salt")}))
    refresh(settings, wanted("order", "10000000002"), forgotten=forgotten)
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        payloads = connection.execute("select payload from bronze_eventbrite.orders_history").fetchall()
    assert len(payloads) == 2
    assert "Ann" not in str(payloads)
    assert "ann@" not in str(payloads).lower()


@pytest.mark.usefixtures("loaded")
def test_objects_of_others_are_read_and_left_out(stand_in: StandIn, settings: Settings) -> None:
    stand_in.put(
        events=[event(7, organization_id=THEIRS), event(8, is_series_parent=True)],
        orders=[order(7, event_id="800000000007")],
    )
    asked = [wanted("order", "10000000007"), wanted("event", "800000000008"), wanted("organizer", "1")]
    found, landed = refresh(settings, *asked)
    assert (landed, found.objects) == ({}, [])
    assert found.read >= {Key(each.type, each.id) for each in asked}


@pytest.mark.usefixtures("loaded")
def test_what_is_not_there_yet_is_told_apart_from_what_failed(stand_in: StandIn, settings: Settings) -> None:
    stand_in.fault("internal_error", path="/orders/10000000001/", times=20)
    found, landed = refresh(
        settings,
        wanted("order", "10000000009"),
        wanted("order", "10000000001"),
        wanted("attendee", "20000000001", EVENT),
    )
    assert set(found.missing) == {Key("order", "10000000009")}
    assert set(found.failed) == {Key("order", "10000000001")}
    assert (found.read, found.closed_for) == ({Key("attendee", "20000000001")}, None)
    assert landed == {}


@pytest.mark.usefixtures("loaded")
def test_when_nothing_answers_no_object_is_to_blame(stand_in: StandIn, settings: Settings) -> None:
    stand_in.fault("internal_error", path="/", times=20)
    found, _ = refresh(settings, wanted("order", "10000000001"))
    assert (found.read, found.failed, found.missing) == (set(), {}, {})
    assert found.closed_for
    assert found.problem is not None


@pytest.mark.usefixtures("loaded")
def test_who_does_not_answer_is_not_asked_for_everything(
    stand_in: StandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [wanted("order", f"100000001{each}") for each in range(10, 70)]
    stand_in.fault("drop", path="/", times=999)
    stand_in.forget_requests()
    found, _ = refresh(settings, wanted("event", EVENT), *orders)
    assert (found.read, found.failed) == (set(), {})
    assert found.closed_for
    assert len(stand_in.requests()) <= 2 * (2 * ENOUGH + 1)
    # Where it is the orders alone, those that were not tried wait for the next time.
    stand_in.clear_faults()
    stand_in.fault("internal_error", path="/orders/", times=999)
    found, _ = refresh(settings, *orders)
    assert ENOUGH <= len(found.failed) <= 2 * ENOUGH
    assert found.closed_for is None
    stand_in.clear_faults()
    monkeypatch.setattr("ingest.eventbrite_singles.ANSWER_WITHIN", 0.05)
    stand_in.fault("slow", path="/", times=999, ms=1000)
    found, _ = refresh(settings, wanted("order", "10000000001"))
    assert "ReadTimeout" in str(found.problem)


@pytest.mark.usefixtures("loaded")
def test_connections_stay_open_from_one_batch_to_the_next(stand_in: StandIn, settings: Settings) -> None:
    client = client_for(settings)
    asked = [wanted("order", "10000000001"), wanted("event", EVENT), wanted("venue", "5000001")]
    with closing(client):
        for _ in range(5):
            assert len(fetch(client, settings, asked).read) >= 3
        assert len(client._sessions) <= len(asked)


@pytest.mark.usefixtures("loaded")
def test_a_batch_leaves_nothing_behind_in_memory(stand_in: StandIn, settings: Settings) -> None:
    kept = []
    for number in range(2, 4):
        stand_in.put(orders=[rich(order(number))], attendees=[attendee(number)])
        _, landed = refresh(settings, wanted("order", f"1000000000{number}"))
        assert landed["orders"] == 1
        kept.append(len(get_resolved_traces().all_traces))
    assert kept[0] == kept[1]


@pytest.mark.usefixtures("loaded")
def test_a_spent_budget_closes_for_as_long_as_eventbrite_says(stand_in: StandIn, settings: Settings) -> None:
    stand_in.settings(rate_limit=1)
    found, _ = refresh(settings, *(wanted("order", f"1000000000{each}") for each in range(1, 9)))
    assert found.closed_for is not None
    assert 60 < found.closed_for <= 3700
    assert not found.failed


def test_nothing_is_fetched_before_the_first_load(stand_in: StandIn, settings: Settings) -> None:
    with pytest.raises(BoxofficeError, match="Nothing of Eventbrite has been loaded yet"):
        refresh(settings, wanted("order", "10000000001"))
    assert paths(stand_in) == []
