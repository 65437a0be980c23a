"""`kill -9` of listener and worker at random moments of selling tickets: every sale is in the CRM once."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.python.webhooks import shop
from tests.python.webhooks.nest import WITHIN, Nest, nest_of, until
from tests.python.webhooks.shop import Sale, Shop

NOTICES = 200
KINDS = ("work", "listen", "work listen")
MOMENTS = ("any", "writing", "settled")


@dataclass
class Seller(threading.Thread):
    """Sells until NOTICES were sent, and for as long as processes are killed."""

    shop: Shop
    sales: list[Sale] = field(default_factory=list)
    sent: int = 0
    may_end: bool = False

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while self.sent < NOTICES or not self.may_end:
            tickets = 1 + len(self.sales) % 3
            self.sales.append(self.shop.sell(tickets))
            # Updated, placed and updated; and each attendee.
            self.sent += 3 + tickets
            time.sleep(0.7)


def await_moment(nest: Nest, shop: Shop, what: str, chance: random.Random) -> None:
    """Any moment; one at which the CRM is being written; or one after a batch, so that some come through."""

    def seen() -> int:
        return (
            len(shop.rows("Participant")) if what == "writing" else nest.count("inbox where state = 'done'")
        )

    before = seen()
    if what != "any":
        until(lambda: seen() > before, nest.log)
    time.sleep(chance.uniform(0.0, 0.3 if what == "writing" else 3.0))


@pytest.mark.slow
def test_killed_again_and_again_every_sale_is_in_the_crm_once(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    with (
        shop.opened(tmp_path, "--attendees", "100", "--rate-limit", "100000") as box_office,
        nest_of(tmp_path, box_office.settings) as nest,
    ):
        assert nest.run()["sync civicrm"]["rejected"] == 0
        before = box_office.held()
        nest.start("listen")
        until(lambda: nest.count("hooks") == 2, nest.log)
        seller = Seller(box_office)
        seller.start()

        def nobody_hears() -> bool:
            return len(seller.sales) > sold and box_office.is_all_sent

        for moment in MOMENTS:
            for roles in KINDS:
                await_moment(nest, box_office, moment, chance)
                until(lambda roles=roles: nest.kill(roles), nest.log)  # type: ignore[misc]
                if roles == "work listen":
                    sold = len(seller.sales)
                    until(nobody_hears, nest.log)
                if "listen" in roles:
                    nest.start("listen")
        seller.may_end = True
        seller.join(WITHIN)
        until(lambda: box_office.is_all_sent, nest.log)
        until(lambda: not nest.count("inbox where settled_at is null"), nest.log)

        sent = box_office.deliveries()
        stored = {each["api_url"] for each in sent if each["status"] == 200}
        told = [sale for sale in seller.sales if f"{box_office.api}{box_office.at(sale)[0]}" in stored]
        killed = nest.count("runs where status = 'killed'")
        tally = Counter("stored" if each["status"] == 200 else "lost" for each in sent)
        said = (
            f"seed {seed}: {killed} batches killed; {tally}; {len(seller.sales)} sales, {len(told)} told of"
        )
        print(said)
        assert tally.total() >= NOTICES, said
        assert killed >= 2, said
        assert len(seller.sales) - len(told) >= 3, said

        def crm_holds(sales: list[Sale]) -> bool:
            kinds = zip(box_office.held(), shop.wanted(sales), before, strict=True)
            return all(held == at_first + should for held, should, at_first in kinds)

        # What was answered 200 is done without a run; of the rest, what one notice of several brought.
        for held, should in zip(box_office.held(), shop.wanted(told), strict=True):
            assert max(held.values()) == 1, said
            assert not should - held, said
        assert nest.rows("select distinct state from inbox") == [["done"]], said
        nest.kill("work listen")
        assert nest.run()["sync civicrm"]["rejected"] == 0
        assert crm_holds(seller.sales), said
