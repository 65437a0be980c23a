"""The sample sheets: committed as the script makes them, dirty where they mean to be, and counted right."""

import csv
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

from sandbox.generator import AS_OF, World, generate
from sandbox.sheets import HEADERS, SAMPLE, Sheets, make
from sandbox.truth import Tally, fold, merged, to_text

COLUMNS = {sheet: header.split(",") for sheet, header in HEADERS.items()}


@pytest.fixture(scope="module")
def world() -> World:
    return generate()


@pytest.fixture(scope="module")
def sheets(world) -> Sheets:
    return make(world=world)


def read(sheet: str) -> list[dict[str, str]]:
    """Records of a committed file; the last one of a key, those with a key."""
    with (SAMPLE / f"{sheet}.csv").open(encoding="utf-8", newline="") as file:
        rows = [dict(zip(COLUMNS[sheet], row, strict=False)) for row in list(csv.reader(file))[1:]]
    return list({row[COLUMNS[sheet][0]]: row for row in rows if row[COLUMNS[sheet][0]]}.values())


def amount(text: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return Decimal(0)


def test_the_committed_files_are_what_the_script_writes(sheets, tmp_path):
    sheets.write(tmp_path)
    assert {path.name for path in SAMPLE.glob("*.csv")} == {f"{sheet}.csv" for sheet in HEADERS}
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (SAMPLE / path.name).read_bytes(), (
            f"run python -m sandbox.sheets: {path.name}"
        )


def test_they_are_small_and_have_the_exact_headers():
    assert sum(path.stat().st_size for path in SAMPLE.glob("*.csv")) < 1_000_000
    for sheet, header in HEADERS.items():
        assert (SAMPLE / f"{sheet}.csv").read_text(encoding="utf-8").partition("\n")[0] == header


def test_tickets_and_money_are_what_a_recount_of_the_files_finds(sheets):
    events = {row["event_id"]: row for row in read("events")}
    tickets = {row["ticket_id"]: row for row in read("tickets")}
    sold: Counter[str] = Counter()
    money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    refunds: dict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def place(row: dict[str, str]) -> tuple[str, str]:
        event = events.get(row["event_id"])
        stated = row.get("currency") or (event["currency"] if event else "")
        return f"sheets-{row['event_id'] if event else 'unknown'}", stated.upper()

    for row in tickets.values():
        key, currency = place(row)
        sold[key] += row["status"].lower() in ("valid", "")
        money[key, currency] += amount(row["price_paid"])
    for row in read("refunds"):
        refunds[place(tickets.get(row["ticket_id"], row))] += amount(row["refund_amount"])
    scanned = {row["ticket_id"] for row in read("checkins")}
    present = Counter(
        place(row)[0]
        for row in tickets.values()
        if row["ticket_id"] in scanned and row["status"].lower() in ("valid", "")
    )
    for key, event in sheets.truth()["events"].items():
        assert event["tickets_sold"] == sold[key], key
        assert event["attendance"] == present[key], key
        for currency, row in event["money"].items():
            assert Decimal(row["gross_revenue"]) == money[key, currency], (key, currency)
            assert Decimal(row["refunds_amount"]) == refunds[key, currency], (key, currency)


def test_campaigns_and_the_rest_make_up_each_event(sheets, world):
    truth = sheets.truth(world)
    earned: dict[str, Decimal] = defaultdict(Decimal)
    sold: Counter[str] = Counter()
    for row in truth["campaigns"]:
        earned[row["event_key"]] += Decimal(row["conv_revenue"])
        sold[row["event_key"]] += row["conv_tickets"]
    for key, event in truth["events"].items():
        assert earned[key] == Decimal(event["gross_revenue"]) - Decimal(event["refunds_amount"]), key
        assert sold[key] == event["tickets_sold"], key
    assert (
        sum(row["event_key"].startswith("eventbrite-") and "spend" in row for row in truth["campaigns"]) > 25
    )


def test_a_campaign_of_an_account_that_is_not_loaded_belongs_to_the_unknown_event(sheets):
    keys = {row["event_key"] for row in sheets.truth()["campaigns"]}
    assert keys == set(sheets.truth()["events"])


def test_figures_look_like_a_box_office(sheets, world):
    truth = sheets.truth(world)
    returns = [row["roi"] for row in truth["campaigns"] if row.get("roi") is not None]
    assert len(returns) > 180
    assert min(returns) == -1
    assert 5 < max(returns) < 12
    halls = [
        event["sell_through"] for key, event in sheets.truth()["events"].items() if event["sell_through"]
    ]
    assert min(halls) < 0.3
    assert 1 < max(halls) < 1.2


def raw(sheet: str) -> list[list[str]]:
    with (SAMPLE / f"{sheet}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


DIRT = {
    "a key twice": lambda: max(Counter(row[0] for row in raw("tickets") if row[0]).values()) > 1,
    "a row without a key": lambda: any(not row[0] for row in raw("tickets")),
    "a price in words": lambda: any(row[5] == "ask Maria" for row in raw("tickets")),
    "a day that is none": lambda: any(row[3] == "2026-04-31" for row in raw("events")),
    "an unknown status": lambda: any(row[7] == "vip??" for row in raw("tickets")),
    "a ticket of no event": lambda: any(row[1] == "E99999" for row in raw("tickets")),
    "a short line": lambda: any(len(row) < 7 for row in raw("customers")),
    "a long line": lambda: any(len(row) > 7 for row in raw("customers")),
    "a line break in a cell": lambda: any("\n" in row[1] for row in raw("venues")),
    "a transferred ticket": lambda: any(row[7] == "transferred" for row in raw("tickets")),
    "a second scan": lambda: max(Counter(row[2] for row in raw("checkins")).values()) > 1,
    "two currencies": lambda: any(row[6] == "CAD" for row in raw("tickets")),
    "a campaign without spend": lambda: any(not row[3] for row in raw("campaigns")),
    "no capacity": lambda: {"", "0", "about 90"} <= {row[5] for row in raw("venues")},
}


@pytest.mark.parametrize("what", DIRT)
def test_the_dirt_is_there(what):
    assert DIRT[what]()


def test_names_fold_alike():
    assert fold("Facebook  Ads") == fold("facebook_ads") == fold(" FACEBOOK-ads ") == "facebook ads"
    assert fold(" - ") is None
    assert fold(None) is None


def test_money_is_written_with_four_places():
    assert [to_text(amount) for amount in (0, 125000, -5, 1)] == ["0.0000", "12.5000", "-0.0005", "0.0001"]


def test_overlapping_campaigns_win_a_ticket_once():
    tally = Tally()
    tally.event("e", name=None, status="", currency="USD", capacity=0, over_after=None, is_cancelled=False)
    for day in ("2026-01-01", "2026-01-05", "2026-02-01"):
        tally.ticket("e", day, "USD", "radio", tickets=1, sold=1, gross=10_0000)
    for start, end in (("2026-01-01", "2026-01-10"), ("2026-01-05", None), (None, "2025-12-01")):
        tally.campaign("e", "radio", spend=2_0000, impressions=1, clicks=1, start=start, end=end)
    row, rest = merged([tally]).truth(AS_OF)["campaigns"]
    assert (row["conv_tickets"], row["conv_revenue"], row["spend"], row["roi"]) == (
        3,
        "30.0000",
        "6.0000",
        4.0,
    )
    assert rest["conv_tickets"] == 0


def test_a_campaign_wins_from_its_first_day_to_its_last():
    tally = Tally()
    tally.event("e", name=None, status="", currency="USD", capacity=0, over_after=None, is_cancelled=False)
    for day in ("2026-01-04", "2026-01-05", "2026-01-10", "2026-01-11", None):
        tally.ticket("e", day, "USD", "radio", tickets=1, sold=1, gross=10_0000)
    tally.campaign("e", "radio", spend=0, impressions=1, clicks=1, start="2026-01-05", end="2026-01-10")
    row, rest = tally.truth(AS_OF)["campaigns"]
    assert (row["conv_tickets"], row["roi"], row["cpa"]) == (2, None, 0)
    assert (rest["channel"], rest["conv_tickets"], rest["conv_revenue"]) == ("unattributed", 3, "30.0000")


def test_money_of_another_currency_is_not_summed():
    tally = Tally()
    tally.event("e", name=None, status="", currency=None, capacity=0, over_after=None, is_cancelled=False)
    for currency in ("USD", "CAD", "CAD"):
        tally.ticket("e", "2026-01-05", currency, "radio", tickets=1, sold=1, gross=10_0000)
    event = tally.truth(AS_OF)["events"]["e"]
    assert (event["currency"], event["tickets_sold"], event["gross_revenue"]) == ("CAD", 3, "20.0000")
    assert event["money"]["USD"]["gross_revenue"] == "10.0000"


def test_a_bigger_one_can_be_made(tmp_path: Path, world):
    sheets = make(3, tickets=12_000, world=world)
    assert 11_000 < len(sheets.rows["tickets"]) < 13_500
