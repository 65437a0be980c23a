"""A full disk, and a warehouse that another program holds: real files, real processes, notices over HTTP."""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from tests.python.boxoffice.test_commands import mounted
from tests.python.webhooks import shop
from tests.python.webhooks.nest import Nest, nest_of, until
from tests.python.webhooks.shop import Sale, Shop

pytestmark = pytest.mark.slow
DISK = 256 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nest, Shop]]:
    """A listener with its worker, on a disk of its own that a run has filled."""
    folder = tmp_path_factory.mktemp("machine")
    launcher = mounted(folder / "data", f"size={DISK}")
    with (
        shop.opened(folder, "--attendees", "100", "--rate-limit", "100000") as box_office,
        nest_of(folder, box_office.settings, launcher) as nest,
    ):
        nest.run()
        nest.start("listen")
        until(lambda: nest.count("hooks") == 2, nest.log)
        yield nest, box_office


def missing(box_office: Shop, *sales: Sale) -> int:
    """How many participants and contributions of these sales are not in the CRM. None is there twice."""
    there = box_office.held()
    assert all(count == 1 for kind in there for count in kind.values())
    return sum(
        (should - is_there).total() for should, is_there in zip(shop.wanted(sales), there, strict=True)
    )


def said(nest: Nest, since: int) -> list[str]:
    """The log's lines without their times, and without those of work that was done."""
    lines = re.findall(r"^\d{4}-\S+Z (\w+ \S+: .+)$", nest.log.read_text()[since:], re.MULTILINE)
    return [line for line in lines if "Looked at" not in line]


def test_a_warehouse_that_another_program_holds(running: tuple[Nest, Shop]) -> None:
    nest, box_office = running
    since = nest.log.stat().st_size
    nest.start("hold")
    sales = [box_office.sell()]
    until(lambda: said(nest, since), nest.log)
    sales.append(box_office.sell(tickets=2))
    until(lambda: nest.count("inbox") >= 9, nest.log)
    assert missing(box_office, *sales) == 5
    assert nest.kill("hold") == 1
    until(lambda: not missing(box_office, *sales), nest.log)
    until(lambda: len(said(nest, since)) == 2, nest.log)
    first, then = said(nest, since)
    assert "is open in another program" in first
    assert then.endswith("Notices are worked on again.")


def test_a_full_disk(running: tuple[Nest, Shop]) -> None:
    nest, box_office = running
    since = nest.log.stat().st_size
    nest.start("hold")  # until the disk is full
    known = box_office.sell()
    until(lambda: len(said(nest, since)) == 1, nest.log)
    filler = nest.data / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    assert nest.kill("hold") == 1
    until(lambda: len(said(nest, since)) == 2, nest.log)
    # What is stored of a notice may still find room, for a while.
    answers = (requests.post(nest.address, b"x" * 60_000, timeout=60) for _ in range(500))
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    lost = box_office.sell(tickets=2)
    until(lambda: box_office.is_all_sent, nest.log)
    orders = {f"{box_office.api}{box_office.at(sale)[0]}": sale for sale in (known, lost)}
    answered = [
        (orders[each["api_url"]], each["status"])
        for each in box_office.deliveries()
        if each["api_url"] in orders
    ]
    assert set(answered) == {(known, 200), (lost, 503)}
    filler.unlink()
    until(lambda: not missing(box_office, known), nest.log)
    assert missing(box_office, lost) == 3
    later = box_office.sell()
    until(lambda: not missing(box_office, later), nest.log)
    nest.run()
    assert not missing(box_office, known, lost, later)
    words = ("open in another", "The disk is full", "cannot be stored", "worked on again", "stored again")
    for word, line in zip(words, said(nest, since), strict=True):
        assert word in line
