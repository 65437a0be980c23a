"""What does not add up is named, with what was made of it, and gold keeps what the names say."""

from decimal import Decimal

from tests.python.models.bronze import Bronze, Row, costs


def test_what_does_not_add_up_is_named_and_nothing_else_is(warehouse_of):
    world = Bronze()
    _eventbrite(world)
    _sheets(world)
    warehouse = warehouse_of(world)
    warehouse.build("--exclude", "event_links", "--exclude-resource-type", "unit_test")

    named = warehouse.rows(
        "select table_name, record_key, column_name, value, reason from silver.data_issues order by all"
    )
    assert [tuple(row.values()) for row in named] == [
        ("attendees", "13", "refunded", "30.0000",
         "says that it was refunded, but its price was never lowered: no refund is counted"),
        ("attendees", "14", "costs.gross", "30.0000",
         "gone from Eventbrite without a refund: not counted as sold, its money stays"),
        ("campaigns", "C1", "event_id", "E9", "no such event: its spend is under the event unknown"),
        ("checkins", "S2", "event_id", "E2",
         "not the event of its ticket: the scan counts for the ticket's"),
        ("checkins", "S3", "event_id", "E9",
         "not the event of its ticket: the scan counts for the ticket's"),
        ("checkins", "S4", "ticket_id", "T9", "no such ticket: the scan does not count"),
        ("checkins", "S4", None, None,
         "a later record has the same id: that one counts, this one is left out"),
        ("event_links", "E1", "eventbrite_event_id", "802",
         "its event is joined to another already: joins nothing"),
        ("event_links", "E2", "eventbrite_event_id", "999",
         "Eventbrite has no such event, or it is a series: joins nothing"),
        ("event_links", "E9", "eventbrite_event_id", "801", "the sheet has no such event: joins nothing"),
        ("orders", "1", "refund_requests", "25.0000",
         "its refund requests paid back more than its costs fell by: only the fall counts as refund"),
        ("orders", "6", "refund_requests", "10.0000",
         "its refund requests paid back more than its costs fell by: only the fall counts as refund"),
        ("refunds", "R1", "refunded_at", "5.0000",
         "paid back before the ticket was sold: counted on the day it states"),
        ("refunds", "R2", "event_id", "E1",
         "not the event of its ticket: the refund counts for the ticket's"),
        ("tickets", "T3", "price_paid", "-4", "below 0: kept, and lowers the revenue"),
    ]  # fmt: skip

    sales = {row["event_key"]: row for row in warehouse.rows("gold.event_sales")}
    assert _numbers(sales["eventbrite-801"]) == {
        # 11, 12, 15, 16 and 17 of Eventbrite, T1 of the sheet; 14 is gone, 13 no longer attends.
        "tickets_sold": 6, "attendance": 1,
        "gross_revenue": Decimal(200), "refunds_amount": Decimal(35), "net_revenue": Decimal(165),
    }  # fmt: skip
    assert _numbers(sales["sheets-E2"]) == {
        "tickets_sold": 2, "attendance": 1,
        "gross_revenue": Decimal(16), "refunds_amount": Decimal(7), "net_revenue": Decimal(9),
    }  # fmt: skip
    assert "sheets-E1" not in sales


def _eventbrite(world: Bronze) -> None:
    world.event("801", capacity=100)
    world.event("802")
    request = {"status": "processed", "amount_processed": 2500, "processed_date": "2026-01-20T10:00:00Z"}
    # 1: a request was paid out, and nothing of the order fell.
    world.order("1", "801", costs=costs(6000), refund_requests=[{"items": [request]}])
    # 2: the same, and it fell by it.
    world.order("2", "801", costs=costs(3000))
    world.order("2", "801", costs=costs(500), changed="2026-01-20T10:00:05Z",
                refund_requests=[{"items": [request]}])  # fmt: skip
    world.order("3", "801", costs=costs(3000))
    world.order("4", "801", costs=costs(3000))
    # 5: never paid, so nothing to give back. 6: paid out by a request that says no day, and fell by less.
    world.order("5", "801", status="unpaid", costs=costs(3000), refund_requests=[{"items": [request]}])
    undated = {"status": "processed", "amount_processed": 1000}
    world.order("6", "801", costs=costs(3000))
    world.order("6", "801", costs=costs(2500), changed="2026-01-20T10:00:05Z",
                refund_requests=[{"items": [undated]}])  # fmt: skip

    world.attendee("11", "1", "801", costs=costs(3000))
    world.attendee("12", "1", "801", costs=costs(3000))
    world.attendee("15", "2", "801", costs=costs(3000))
    world.attendee("15", "2", "801", costs=costs(500), refunded=True, changed="2026-01-20T10:00:05Z")
    world.attendee("13", "3", "801", costs=costs(3000))
    world.attendee("13", "3", "801", costs=costs(3000), refunded=True, status="Not Attending",
                   changed="2026-01-20T10:00:05Z")  # fmt: skip
    world.attendee("14", "4", "801", costs=costs(3000), missing_since="2026-02-01T00:00:00Z")
    world.attendee("18", "5", "801", costs=costs(3000), missing_since="2026-02-01T00:00:00Z")
    world.attendee("16", "6", "801", costs=costs(3000))
    world.attendee("16", "6", "801", costs=costs(2500), changed="2026-01-20T10:00:05Z")
    world.attendee("17", "6", "801", checked_in=False)


def _sheets(world: Bronze) -> None:
    world.links += [("E1", "801"), ("E1", "802"), ("E2", "999"), ("E9", "801")]
    for event in ("E1", "E2"):
        world.sheet("events", event_id=event, event_date="2026-02-10", status="completed", currency="USD")
    sold = {"purchase_datetime": "2026-01-10 12:00:00", "status": "valid"}
    world.sheet("tickets", ticket_id="T1", event_id="E1", price_paid="20", **sold)
    world.sheet("tickets", ticket_id="T2", event_id="E2", price_paid="20", **sold)
    world.sheet("tickets", ticket_id="T3", event_id="E2", price_paid="-4", **sold)
    seen = {"scanned_at": "2026-02-10 19:00:00"}
    # T1's event goes by another key: still its own.
    world.sheet("checkins", checkin_id="S1", event_id="E1", ticket_id="T1", **seen)
    world.sheet("checkins", checkin_id="S2", event_id="E2", ticket_id="T1", **seen)
    world.sheet("checkins", checkin_id="S3", event_id="E9", ticket_id="T2", **seen)
    # The earlier record of S4 names a ticket we have: it is left out, and says nothing of the later one.
    world.sheet("checkins", checkin_id="S4", event_id="E1", ticket_id="T1", **seen)
    world.sheet("checkins", checkin_id="S4", event_id="E1", ticket_id="T9", **seen)
    world.sheet("refunds", refund_id="R1", ticket_id="T1", event_id="E1", refund_amount="5",
                refunded_at="2026-01-09 12:00:00")  # fmt: skip
    world.sheet("refunds", refund_id="R2", ticket_id="T2", event_id="E1", refund_amount="7",
                refunded_at="2026-01-11 12:00:00")  # fmt: skip
    world.sheet("campaigns", campaign_id="C1", event_id="E9", channel="radio", spend="5")


def _numbers(row: Row) -> Row:
    names = ("tickets_sold", "attendance", "gross_revenue", "refunds_amount", "net_revenue")
    return {name: row[name] for name in names}
