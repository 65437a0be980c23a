"""Eventbrite over real HTTP: paging, retries, the hourly budget, and where the token may appear."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from boxoffice.errors import LONGEST_TEXT, BoxofficeError
from boxoffice.eventbrite_api import Client, NotAccepted, TokenRefused, Unavailable, Withheld
from tests.python.ingest.eventbrite_server import (
    ORG,
    TOKEN,
    Drop,
    Eventbrite,
    Time,
    always,
    attendee,
    continuation,
    error,
    on,
    order,
    serving,
)

ORDERS = f"organizations/{ORG}/orders/"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Eventbrite, str]]:
    eventbrite = Eventbrite()
    with serving(eventbrite) as url:
        yield eventbrite, url


@pytest.fixture
def eventbrite(server: tuple[Eventbrite, str]) -> Eventbrite:
    server[0].reset()
    return server[0]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def client(
    server: tuple[Eventbrite, str], eventbrite: Eventbrite, time: Time, said: list[str]
) -> Iterator[Client]:
    made = Client(server[1], TOKEN, sleep=time.sleep, clock=time, report=said.append)
    yield made
    made.close()


def ids(client: Client, key: str = "orders", **params: str) -> list[str]:
    pages = client.pages(f"organizations/{ORG}/{key}/", key, **params)
    return [each["id"] for page in pages for each in page.items]


def many(eventbrite: Eventbrite, count: int = 5, size: int = 2) -> list[str]:
    eventbrite.page_size = size
    eventbrite.objects[ORG]["orders"] = [order(number) for number in range(count)]
    return [each["id"] for each in eventbrite.objects[ORG]["orders"]]


def page(items: list[object], **pagination: object) -> JSONResponse:
    return JSONResponse({"pagination": pagination, "orders": items})


@contextmanager
def serving_nothing() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v3"


def test_every_page_is_read_with_the_same_filters(client: Client, eventbrite: Eventbrite) -> None:
    expected = many(eventbrite)
    assert ids(client, changed_since="2027-02-01T00:00:00Z") == expected
    queries = [query for _, query in eventbrite.requests]
    assert [query.pop("continuation", None) for query in queries] == [None, continuation(2), continuation(3)]
    assert queries == [{"changed_since": "2027-02-01T00:00:00Z"}] * 3


@pytest.mark.parametrize("last", [..., None, "eyJwYWdlIjogOX0"])
def test_the_last_page_ends_it_whatever_its_continuation(
    client: Client, eventbrite: Eventbrite, last: object
) -> None:
    expected = many(eventbrite)
    eventbrite.last_page_continuation = last
    assert ids(client) == expected
    assert len(eventbrite.requests) == 3


def test_a_continuation_is_handed_back_letter_by_letter(client: Client, eventbrite: Eventbrite) -> None:
    odd = "a+b/c==&d=e%2F é#"
    first = page([{"id": "1"}], has_more_items=True, continuation=odd)
    eventbrite.faults = [on("orders", first, page([{"id": "2"}], has_more_items=False, continuation=odd))]
    assert ids(client) == ["1", "2"]
    assert [query.get("continuation") for _, query in eventbrite.requests] == [None, odd]


def test_an_empty_page_ends_a_listing_that_claims_more(client: Client, eventbrite: Eventbrite) -> None:
    more = {"has_more_items": True, "continuation": "a", "object_count": 1}
    eventbrite.faults = [on("orders", page([{"id": "1"}], **more), page([], **more))]
    assert ids(client) == ["1"]


def test_an_empty_page_before_the_end_is_no_end(client: Client, eventbrite: Eventbrite) -> None:
    more = {"has_more_items": True, "continuation": "a", "object_count": 7}
    eventbrite.faults = [on("orders", page([{"id": "1"}], **more), page([], **more))]
    with pytest.raises(Unavailable, match="after 1 of 7 rows"):
        ids(client)


def test_a_continuation_that_repeats_ends_with_a_problem(client: Client, eventbrite: Eventbrite) -> None:
    more = {"has_more_items": True, "continuation": "round"}
    eventbrite.faults = [always("orders", page([{"id": "1"}], **more))]
    with pytest.raises(Unavailable, match="page already read"):
        ids(client)
    assert len(eventbrite.requests) == 2


def test_more_rows_without_a_continuation_is_a_problem(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.faults = [always("orders", page([{"id": "1"}], has_more_items=True))]
    with pytest.raises(Unavailable, match="does not say how to read on"):
        ids(client)


def test_short_and_long_pages_are_as_good_as_any(client: Client, eventbrite: Eventbrite) -> None:
    def more(token: str) -> dict[str, object]:
        return {"has_more_items": True, "continuation": token, "page_size": 2}

    eventbrite.faults = [
        on(
            "orders",
            page([{"id": "1"}], **more("a")),
            page([{"id": "2"}, {"id": "3"}, {"id": "4"}], **more("b")),
            page([], has_more_items=False),
        )
    ]
    assert ids(client) == ["1", "2", "3", "4"]


def test_an_expired_continuation_starts_the_listing_again(client: Client, eventbrite: Eventbrite) -> None:
    expected = many(eventbrite)
    eventbrite.faults = [on("orders", None, error(400, "BAD_CONTINUATION_TOKEN"))]
    assert ids(client, changed_since="2027-02-01T00:00:00Z") == expected[:2] + expected
    assert "continuation" not in eventbrite.requests[2][1]
    assert eventbrite.requests[2][1] == {"changed_since": "2027-02-01T00:00:00Z"}


def test_continuations_that_always_expire_are_a_problem(client: Client, eventbrite: Eventbrite) -> None:
    many(eventbrite)
    eventbrite.faults = [
        lambda request: (
            error(400, "BAD_CONTINUATION_TOKEN") if "continuation" in request.query_params else None
        )
    ]
    with pytest.raises(Unavailable, match="expire"):
        ids(client)
    assert len(eventbrite.requests) == 6


def test_rows_that_move_between_pages_are_read_again(client: Client, eventbrite: Eventbrite) -> None:
    expected = many(eventbrite, 6)

    def one_leaves_page_one(path: str) -> None:
        if len(eventbrite.requests) == 1:
            del eventbrite.objects[ORG]["orders"][0]

    eventbrite.afterwards = one_leaves_page_one
    got = ids(client)
    assert set(got) == set(expected)
    assert len(eventbrite.requests) == 6


def test_a_count_that_never_fits_is_read_twice_at_most(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.faults = [
        lambda request: page(
            [{"id": request.query_params.get("continuation", "1")}],
            object_count=9,
            has_more_items="continuation" not in request.query_params,
            continuation="2",
        )
    ]
    assert ids(client) == ["1", "2", "1", "2"]


def test_a_slash_redirect_is_followed(client: Client, eventbrite: Eventbrite) -> None:
    expected = many(eventbrite, 2)
    eventbrite.faults = [on("orders", RedirectResponse(f"/v3/{ORDERS}?page_size=2", 301))]
    assert ids(client) == expected
    assert eventbrite.authorizations == {f"Bearer {TOKEN}"}


def test_a_redirect_to_another_host_does_not_get_the_token(client: Client, eventbrite: Eventbrite) -> None:
    other = Eventbrite()
    with serving(other) as url:
        eventbrite.faults = [always("orders", RedirectResponse(f"{url}/{ORDERS}", 301))]
        with pytest.raises(BoxofficeError, match="another host"):
            ids(client)
    assert other.requests == []


def test_a_redirect_without_end_is_a_problem(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.faults = [always("orders", RedirectResponse(f"/v3/{ORDERS}", 302))]
    with pytest.raises(BoxofficeError):
        ids(client)


@pytest.mark.parametrize(
    "answer",
    [
        error(401, "INVALID_AUTH"),
        error(401, "NO_AUTH"),
        error(400, "INVALID_AUTH"),
        error(400, "INVALID_AUTH_HEADER"),
        PlainTextResponse("no", 401),
    ],
)
def test_a_refused_token_is_said_plainly(client: Client, eventbrite: Eventbrite, answer: Response) -> None:
    eventbrite.faults = [always("orders", answer)]
    with pytest.raises(TokenRefused, match=r"^EVENTBRITE_TOKEN is refused") as refused:
        ids(client)
    assert TOKEN not in str(refused.value)
    assert len(eventbrite.requests) == 1


@pytest.mark.parametrize(("status", "constant"), [(403, "NOT_AUTHORIZED"), (404, "NOT_FOUND")])
def test_what_is_withheld_is_not_asked_for_again(
    client: Client, eventbrite: Eventbrite, status: int, constant: str
) -> None:
    eventbrite.faults = [always("orders", error(status, constant))]
    with pytest.raises(Withheld, match=f"{ORDERS} .{status} {constant}"):
        ids(client)
    assert len(eventbrite.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(500, "INTERNAL_ERROR"),
        PlainTextResponse("<html>Bad gateway</html>", 502, media_type="text/html"),
        PlainTextResponse("<html>Sorry</html>", 200, media_type="text/html"),
        JSONResponse([], 200),
        error(429, "HIT_RATE_LIMIT"),
        Drop(),
    ],
)
def test_what_may_pass_is_tried_again(
    client: Client, eventbrite: Eventbrite, time: Time, answer: Response
) -> None:
    expected = many(eventbrite, 2)
    eventbrite.faults = [on("orders", answer, answer)]
    assert ids(client) == expected
    assert len(eventbrite.requests) == 3
    assert len(time.sleeps) == 2


@pytest.mark.parametrize("answer", [error(503, "INTERNAL_ERROR"), PlainTextResponse("<html>", 502), Drop()])
def test_what_does_not_pass_is_given_up(client: Client, eventbrite: Eventbrite, answer: Response) -> None:
    eventbrite.faults = [always("orders", answer)]
    with pytest.raises(Unavailable, match="did not answer"):
        ids(client)
    assert len(eventbrite.requests) == 6


def test_an_answer_that_does_not_come_is_given_up(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests.Session.request

    def impatient(session: requests.Session, *words: str, **options: Any) -> requests.Response:
        assert options["timeout"] == (10, 120)
        return asked(session, *words, **{**options, "timeout": (10, 0.05)})

    monkeypatch.setattr(requests.Session, "request", impatient)
    with serving_nothing() as url:
        silent = Client(url, TOKEN, sleep=time.sleep, clock=time)
        with pytest.raises(Unavailable, match="ReadTimeout"):
            ids(silent)


def test_a_server_that_is_not_there_is_given_up(time: Time) -> None:
    client = Client("http://127.0.0.1:9/v3", TOKEN, sleep=time.sleep, clock=time)
    with pytest.raises(Unavailable, match="ConnectionError"):
        ids(client)


def test_our_own_mistake_is_not_repeated(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.faults = [always("orders", error(400, "ARGUMENTS_ERROR"))]
    with pytest.raises(BoxofficeError, match="does not accept") as refused:
        ids(client)
    assert len(eventbrite.requests) == 1
    assert TOKEN not in str(refused.value)


def test_an_expansion_that_fails_is_left_out(client: Client, eventbrite: Eventbrite) -> None:
    expected = many(eventbrite, 4)
    eventbrite.faults = [
        lambda request: error(500, "EXPANSION_FAILED") if "expand" in request.query_params else None
    ]
    pages = list(client.pages(ORDERS, "orders", expand="refund_requests"))
    assert [each["id"] for each_page in pages for each in each_page.items] == expected
    assert [each.is_expanded for each in pages] == [False, False]
    assert len(eventbrite.requests) == 3


def test_a_spent_window_parks_and_resumes(
    client: Client, eventbrite: Eventbrite, time: Time, said: list[str]
) -> None:
    expected = many(eventbrite, 6)
    spent = f"token:{TOKEN} 2000/2000 reset=1800s"
    eventbrite.faults = [on("orders", None, error(429, "HIT_RATE_LIMIT", **{"x-rate-limit": spent}))]
    assert ids(client) == expected
    assert 1800 <= sum(time.sleeps) <= 1802
    assert len(said) == 1
    assert "waiting until 08:30:0" in said[0]


def test_retry_after_is_honoured(client: Client, eventbrite: Eventbrite, time: Time) -> None:
    many(eventbrite, 2)
    eventbrite.faults = [on("orders", error(429, "HIT_RATE_LIMIT", **{"retry-after": "7"}))]
    ids(client)
    assert time.sleeps == [8]


def test_a_429_that_says_nothing_outlasts_an_hourly_window(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    eventbrite.faults = [always("orders", error(429, "HIT_RATE_LIMIT", **{"x-rate-limit": ""}))]
    with pytest.raises(Unavailable):
        ids(client)
    assert sum(time.sleeps) > 3600


def test_a_tenth_of_the_window_is_kept_for_webhooks(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    expected = many(eventbrite, 40)
    eventbrite.limit, eventbrite.reset_seconds = 10, 900

    def window(path: str) -> None:
        # Nobody may see the tenth call of a window.
        assert eventbrite.used <= 9

    eventbrite.afterwards = window
    time_sleep = time.sleep

    def sleep(seconds: float) -> None:
        eventbrite.used = 0
        time_sleep(seconds)

    client._sleep = sleep
    assert ids(client) == expected
    assert time.sleeps == [901, 901]


def test_the_worse_of_two_buckets_counts(client: Client, eventbrite: Eventbrite, time: Time) -> None:
    many(eventbrite, 4)
    header = f"token:{TOKEN} 21/2000 reset=3575s, key:EXAMPLEKEY 1800/2000 reset=120s"

    def spent(request: Request) -> Response | None:
        response = eventbrite._answer(request.url.path.removeprefix("/v3"), dict(request.query_params))
        response.headers["x-rate-limit"] = header
        return response

    eventbrite.faults = [spent]
    ids(client)
    assert time.sleeps == [121]


def test_a_budget_somebody_else_spends_is_no_endless_wait(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    many(eventbrite, 40)
    eventbrite.used = 1999
    with pytest.raises(Unavailable, match="something other than this run"):
        ids(client)
    assert len(time.sleeps) < 6


def test_threads_that_wait_for_one_window_say_so_once(
    client: Client, eventbrite: Eventbrite, time: Time, said: list[str]
) -> None:
    many(eventbrite, 40)
    eventbrite.used = 1799
    client.get(ORDERS)
    barrier = threading.Barrier(8)

    def sleep(seconds: float) -> None:
        ends = time.now + seconds
        barrier.wait(10)
        eventbrite.used = 0
        time.now = ends

    client._sleep = sleep
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _: client.get(ORDERS), range(8)))) == 8
    assert len(said) == 1


def test_what_is_left_is_known(client: Client, eventbrite: Eventbrite) -> None:
    assert client.budget.left is None
    many(eventbrite, 2)
    ids(client)
    assert (client.budget.requests, client.budget.left) == (1, 1999)


def test_half_a_surrogate_pair_does_not_stop_a_listing(client: Client, eventbrite: Eventbrite) -> None:
    body = b'{"pagination": {"has_more_items": false}, "orders": [{"id": "1", "name": "a\\ud83d"}]}'
    eventbrite.faults = [always("orders", Response(body, media_type="application/json"))]
    assert ids(client) == ["1"]


def test_the_token_is_in_one_header_only(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.objects[ORG]["attendees"] = [attendee(1)]
    ids(client, "attendees")
    assert eventbrite.authorizations == {f"Bearer {TOKEN}"}
    assert all(TOKEN not in str(request) for request in eventbrite.requests)


def test_a_netrc_does_not_replace_the_token(
    client: Client, eventbrite: Eventbrite, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:  # noqa: PTH123
        file.write("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", netrc)
    ids(client)
    assert eventbrite.authorizations == {f"Bearer {TOKEN}"}


def test_a_call_that_failed_for_good_is_kept_without_the_token(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    eventbrite.faults = [always("orders", error(400, "ARGUMENTS_ERROR"))]
    with pytest.raises(NotAccepted) as raised:
        ids(client, changed_since="2027-02-01T00:00:00Z", echoed=TOKEN)
    (kept,) = client.failures
    assert raised.value.call is kept
    assert kept.failed_at.timestamp() == time.now
    assert kept.rule_id == "NotAccepted"
    assert kept.request == f"GET /v3/{ORDERS}?changed_since=2027-02-01T00%3A00%3A00Z&echoed=***"
    assert kept.response is not None
    assert kept.response.splitlines()[:3] == [
        "400",
        "content-type: application/json",
        "x-rate-limit: 1/2000 reset=3575s",
    ]
    assert "ARGUMENTS_ERROR for ***" in kept.response
    assert "eventbrite_api.py" in kept.stack
    assert TOKEN not in repr(kept)


def test_what_a_retry_makes_good_is_not_kept(client: Client, eventbrite: Eventbrite) -> None:
    eventbrite.faults = [on("orders", error(500, "INTERNAL_ERROR"), error(429, "HIT_RATE_LIMIT"), Drop())]
    assert len(ids(client)) == 3
    assert client.failures == []


@pytest.mark.parametrize(
    "answer", [Drop(), error(503, "UNAVAILABLE"), page([{"id": "1"}], has_more_items=True)]
)
def test_every_way_to_fail_is_kept_once(client: Client, eventbrite: Eventbrite, answer: Response) -> None:
    eventbrite.faults = [always("orders", answer)]
    with pytest.raises(Unavailable) as raised:
        ids(client)
    assert client.failures == [raised.value.call]


def test_no_more_of_an_answer_is_kept_than_fits(client: Client, eventbrite: Eventbrite) -> None:
    # The cut falls into a token, however long what stands before it.
    eventbrite.faults = [always("orders", PlainTextResponse(TOKEN * 20_000, 400))]
    with pytest.raises(BoxofficeError):
        ids(client)
    (kept,) = client.failures
    assert kept.response is not None
    assert len(kept.response) <= LONGEST_TEXT
    assert not any(TOKEN[:size] in kept.response for size in range(4, len(TOKEN)))


def test_a_write_is_made_once_where_nobody_knows_what_came_of_it(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    eventbrite.faults = [lambda request: error(503, "UNAVAILABLE")]
    with pytest.raises(Unavailable):
        client.send("POST", f"organizations/{ORG}/webhooks/", {"endpoint_url": "https://example.org"})
    assert len(eventbrite.requests) == 1
    with pytest.raises(Unavailable):
        client.send("DELETE", "webhooks/1/")
    assert len(eventbrite.requests) == 7
    assert [call.request.split()[0] for call in client.failures] == ["POST", "DELETE"]


def test_a_write_that_came_too_early_is_made_again(
    client: Client, eventbrite: Eventbrite, time: Time
) -> None:
    too_many = error(429, "HIT_RATE_LIMIT", **{"retry-after": "7"})
    eventbrite.faults = [on("webhooks", too_many, JSONResponse({"id": "1"}))]
    assert client.send("POST", "webhooks/", {}) == {"id": "1"}
    assert time.sleeps == [8]


def test_the_tenth_that_is_kept_is_there_for_who_keeps_nothing(
    server: tuple[Eventbrite, str], eventbrite: Eventbrite, time: Time
) -> None:
    many(eventbrite, 2)
    eventbrite.used = 1899
    client = Client(server[1], TOKEN, sleep=time.sleep, clock=time, kept=0, secrets=["s3cr3t"])
    for _ in range(2):
        ids(client)
    eventbrite.faults = [always("orders", JSONResponse({"error_description": "s3cr3t"}, 400))]
    with pytest.raises(NotAccepted):
        ids(client)
    client.close()
    assert time.sleeps == []
    assert "s3cr3t" not in str(client.failures[0])
