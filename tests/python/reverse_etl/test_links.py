"""What the ops file keeps of a CiviCRM site: links with their history, writes under way, refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boxoffice import ops
from boxoffice.ops import Ops
from reverse_etl.journal import Rejection
from reverse_etl.links import Link, Links, OrderLink

AS_OF = datetime(2027, 3, 1, 12, tzinfo=UTC)
CHANGED = datetime(2027, 2, 1, 9, 30, 15, 250_000, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ops]:
    with ops.opened(tmp_path / "ops.sqlite") as found:
        found.begin_run("sync", AS_OF, is_sandbox=False)
        yield found


@pytest.fixture
def links(store: Ops) -> Links:
    return Links(store, "example.org", 1)


def test_a_write_is_known_before_its_answer_and_leaves_its_ids_after(links: Links, store: Ops) -> None:
    contact = links.begin("5551", "A1", "Contact", "create", "118001", {"first_name": [None, "Ines"]})
    assert [(each.order_id, each.rule, each.key) for each in links.unanswered()] == [("5551", "A1", "118001")]
    links.answered(contact, record=3307, contact=Link("118001", "5551", 3307))
    assert links.participant("118001") == Link("118001", "5551", 3307, None, 3307)
    made = links.begin("5551", "A1", "Participant", "create", "118001")
    link = Link("118001", "5551", 3307, 812)
    links.answered(made, record=812, link=link, primary=("5551", "118001"))
    assert links.participant("118001") == link
    assert links.of_order("5551") == [link]
    assert links.unanswered() == []
    refused = links.begin("5551", "C3", "Contribution", "create", "5551")
    links.failed(refused)
    lost = links.begin("5551", "C3", "Contribution", "create", "5551")
    links.dropped([lost])
    assert links.unanswered() == []
    states = [(each["rule_id"], each["record_id"], each["state"]) for each in links.written("5551")]
    assert states == [
        ("A1", "3307", "answered"),
        ("A1", "812", "answered"),
        ("C3", None, "failed"),
        ("C3", None, "looked"),
    ]
    assert links.written("5551")[0]["changes"] == {"first_name": [None, "Ines"]}


def test_a_new_contact_stands_beside_the_participant_of_before_until_it_has_its_own(links: Links) -> None:
    links.keep(link=Link("118001", "5551", 3307, 812))
    links.keep(contact=Link("118001", "5551", 4410))
    assert links.participant("118001") == Link("118001", "5551", 3307, 812, 4410)
    links.keep(unlink=("118001", "A4"))
    assert links.participant("118001") == Link("118001", "5551", 4410, None, 4410)
    links.keep(link=Link("118001", "5551", 4410, 813))
    assert links.participant("118001") == Link("118001", "5551", 4410, 813)
    told = [(each["kind"], each["record_id"], each["why"]) for each in links.history("118001")]
    assert told == [
        ("participant", 812, "A4"),
        ("contact", 4410, "has a participant"),
        ("participant", 813, None),
    ]


def test_an_attendee_that_moves_is_its_new_orders(links: Links) -> None:
    links.keep(link=Link("118001", "5551", 3307, 812))
    links.keep(link=Link("118001", "5552", 3307, 812))
    links.keep(link=Link("118001", "5552", 3307, 812))
    assert links.of_order("5551") == []
    assert links.of_order("5552") == [Link("118001", "5552", 3307, 812)]
    assert [each["why"] for each in links.history("118001")] == ["replaced", None]


def test_an_order_is_settled_until_somebody_has_to_look(links: Links) -> None:
    assert links.orders() == {}
    links.settled("5551", "f1", CHANGED)
    links.keep(contribution=("5551", 455), primary=("5551", "118001"))
    links.keep(contribution=("5552", 456))
    assert links.orders() == {
        "5551": OrderLink("f1", CHANGED, "118001", 455),
        "5552": OrderLink(contribution_id=456),
    }
    links.settled("5551", "f2", CHANGED)
    assert links.order("5551") == links.orders()["5551"]
    assert links.order("5559") == OrderLink()
    links.unsettle(["5551"])
    assert links.orders()["5551"] == OrderLink(None, CHANGED, "118001", 455)


def test_links_are_rebuilt_once_and_again_after_an_older_file(links: Links, store: Ops) -> None:
    assert links.is_empty()
    links.settled("5551", "f1", CHANGED)
    link = Link("118001", "5551", 3307, 812)
    assert links.rebuild([link], {"5551": 455}) == (1, 1)
    assert not links.is_empty()
    assert links.orders() == {"5551": OrderLink(None, None, None, 455)}
    assert links.links() == {"118001": link}
    assert links.rebuild([link], {"5551": 455}) == (0, 0)
    # What `notice_older_file` does.
    store.connection.execute("update bindings set reconciled_at = null")
    assert links.is_empty()


def test_sites_share_nothing(links: Links, store: Ops) -> None:
    other = Links(store, "other.example.org", 1)
    links.rebuild([Link("118001", "5551", 3307, 812)], {"5551": 455})
    links.begin("5551", "A3", "Participant", "update", "118001")
    links.reject([Rejection("5551", "C16", "EUR is not enabled.", "Enable it.")])
    assert other.is_empty()
    assert (other.links(), other.orders(), other.unanswered(), other.rejected()) == ({}, {}, [], {})


def test_a_refusal_stays_until_it_goes(links: Links) -> None:
    links.reject([Rejection("5551", "C16", "EUR is not enabled.", "Enable it.", "currency", "EUR")])
    assert links.rejected() == {"5551": "C16"}
    told = links.refusal("5551")
    assert told is not None
    assert (told["rule_id"], told["field"], told["remedy"]) == ("C16", "currency", "Enable it.")
    links.resolve(["5551"])
    assert links.rejected() == {}
    assert links.refusal("5551") is None


def test_what_changed_of_people_goes_in_time_and_when_somebody_is_forgotten(
    links: Links, store: Ops, tmp_path: Path
) -> None:
    link = Link("118001", "5551", 3307, 812)
    for call, link_of in (("A3", link), ("P2", None)):
        number = links.begin("5551", call, "Contact", "update", "118001", {"last_name": ["Okafor", "Lind"]})
        links.answered(number, record=3307, link=link_of)
    waiting = links.begin("5551", "A3", "Contact", "update", "118001", {"last_name": ["Lind", "Okafor"]})
    store.forget(["somebody@example.org"])
    assert [each["changes"] for each in links.written("5551")] == [None, None, None]
    assert b"Okafor" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    store.connection.execute("update journal set answered_at = '2001-01-01 00:00:00' where state <> 'sent'")
    store.connection.execute("update journal set sent_at = '2001-01-01 00:00:00', changes = '{}'")
    store.drop_old(retention_days=90)
    assert [each.call_id for each in links.unanswered()] == [waiting]
    assert [each["changes"] for each in links.written("5551")] == [None]
    assert links.participant("118001") == link


def test_the_warehouse_shows_writes_without_what_changed(links: Links, store: Ops) -> None:
    links.begin("5551", "A3", "Contact", "update", "118001", {"last_name": ["Okafor", "Lind"]})
    shown = {table: (columns, rows) for table, columns, rows in store.reported()}
    columns, rows = shown["journal"]
    assert "rule_id" in columns
    assert "changes" not in columns
    assert rows[0][-1] == "A3"
    assert "Okafor" not in str(rows)


def test_what_is_asked_for_every_order_looks_at_few_rows(links: Links, store: Ops) -> None:
    """Beside hundreds of thousands of links and calls."""
    asked: list[str] = []
    store.connection.set_trace_callback(asked.append)
    links.order("5551")
    links.of_order("5551")
    links.participant("118001")
    links.attendees_of([1, 2])
    links.left_over("118001")
    links.times_made("5551")
    links.unanswered()
    links.keep(link=Link("118001", "5551", 3307, 812), primary=("5551", "118001"))
    links.taken_out("118001", 811)
    links.unsettle(["5551"])
    store.connection.set_trace_callback(None)
    for query in [each for each in asked if not each.startswith(("BEGIN", "COMMIT", "insert"))]:
        steps = [row[3] for row in store.connection.execute(f"explain query plan {query}")]
        assert not [step for step in steps if step.startswith("SCAN")], (query, steps)
        assert not [step for step in steps if "(base_id=?)" in step or "(base_id=? AND kind=?)" in step], (
            query
        )


def test_left_over_are_those_that_nobody_has_removed(links: Links) -> None:
    for number in (811, 812, 813):
        links.keep(link=Link("118001", "5551", 3307, number))
    assert links.left_over("118001") == {811, 812}
    links.taken_out("118001", 811)
    assert links.left_over("118001") == {812}
    links.keep(contribution=("5551", 70))
    links.keep(contribution=("5551", 71))
    assert links.times_made("5551") == 2
