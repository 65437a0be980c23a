"""The receiver: takes notices on a secret path, and answers 200 only once they are stored.

Requests put their notice on a queue and wait; one thread commits what has gathered meanwhile, so that a burst
costs a few commits. What cannot be stored is answered 503, which asks to come again; never 410, by which
Eventbrite would take the webhook as given up.
"""

import asyncio
import ipaddress
import logging
import secrets
import socket
import sqlite3
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from boxoffice.errors import ConfigurationError, explained
from webhooks.inbox import Inbox, Notice

logger = logging.getLogger(__name__)

LARGEST_BODY = 64 << 10  # a notice has some 300 bytes
BODY_WITHIN = 10.0  # seconds
ANSWER_WITHIN = 30.0  # seconds after the last answer, or after somebody connected
MOST_WAITING = 600  # notices to be stored
MOST_AT_ONCE = 500  # of one commit
MOST_CONNECTIONS = 800  # most systems let a process hold 1,024 files
RETRY_AFTER = {"retry-after": "10"}  # seconds
KEPT_HEADERS = (
    *("content-type", "user-agent", "x-eventbrite-event", "x-eventbrite-delivery", "user-id-sender"),
)
LONGEST_HEADER = 200
PROXIES = ["127.0.0.1", "::1"]  # whose word on where a request came from counts


class Buckets:
    """How many wrong requests an address may make: `burst`, then one each `seconds`. The addresses kept are
    bounded; who was not heard of for longest goes first."""

    def __init__(
        self, clock: Callable[[], float], *, burst: int = 20, seconds: float = 6.0, most: int = 4096
    ) -> None:
        self._clock, self._burst, self._seconds, self._most = clock, burst, seconds, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether this address may make one more."""
        key, now = _network(address), self._clock()
        left, at = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) / self._seconds)
        is_allowed = left >= 1
        self._left[key] = (left - is_allowed, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return is_allowed


def _network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 beside it."""
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        if found.version == 6 and found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, 64), strict=False))
    return address[:64]


class Receiver:
    """The web application.

    Args:
        inbox: used by the writer's thread alone.
        secret: the last part of the path that notices come to.
        clock: seconds since the epoch. ticks: seconds that only go up.
        on_stored: called after each commit. worker: tells in a word how the worker is.
    """

    def __init__(
        self,
        inbox: Inbox,
        secret: str,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        on_stored: Callable[[], None] = lambda: None,
        worker: Callable[[], str] = lambda: "none",
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._inbox, self._secret, self._clock, self._ticks = inbox, secret.encode(), clock, ticks
        self._on_stored, self._worker = on_stored, worker
        self._wrong = Buckets(ticks)
        self._queue: asyncio.Queue[tuple[Notice, asyncio.Future[bool]]] = asyncio.Queue(most_waiting)
        self.is_storing = True
        self.stored = 0  # notices, so far
        self._waiting, self._counted_at = 0, float("-inf")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")
        self.app = Starlette(
            routes=[Route("/healthz", self._health), Mount("/", app=self._any)], lifespan=self._lifespan
        )

    async def _any(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive, send)
            response = await self._answer(request)
            if response is not None:
                await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        # Only the last part counts: proxies may strip what stands before it, or leave it.
        path = request.scope["path"].rstrip("/").rpartition("/")[2]
        if not secrets.compare_digest(path.encode("utf-8", "replace"), self._secret):
            is_patient = self._wrong.take(request.client.host if request.client else "")
            return PlainTextResponse("Not found.\n", 404) if is_patient else _busy(429)
        if request.method != "POST":
            return PlainTextResponse("Notices come by POST.\n", 405, {"allow": "POST"})
        if self._queue.full():
            return _busy(503)
        try:
            async with asyncio.timeout(BODY_WITHIN):
                body = await _body(request)
        except TimeoutError:
            return PlainTextResponse("Too slow.\n", 408)
        except ClientDisconnect:
            return None
        if body is None:
            return PlainTextResponse("Too large.\n", 413)
        return PlainTextResponse("Stored.\n") if await self._stored(request, body) else _busy(503)

    async def _stored(self, request: Request, body: bytes) -> bool:
        kept = {
            name: request.headers[name][:LONGEST_HEADER] for name in KEPT_HEADERS if name in request.headers
        }
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((Notice(self._clock(), kept, body), future))
        except asyncio.QueueFull:
            return False
        return await future

    async def _health(self, request: Request) -> Response:
        now = self._ticks()
        if now - self._counted_at >= 1:
            self._counted_at = now
            loop = asyncio.get_running_loop()
            try:
                self._waiting = await loop.run_in_executor(self._thread, self._inbox.waiting)
            except sqlite3.Error:
                self.is_storing = False  # what cannot be read takes nothing either
        state = {
            "status": "ok" if self.is_storing else "cannot store notices",
            "waiting": self._waiting,
            "worker": self._worker(),
        }
        return JSONResponse(state, 200 if self.is_storing else 503)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        writer = asyncio.create_task(self._write())
        try:
            yield
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            # A commit that has begun is ended.
            self._thread.shutdown()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            is_stored = await loop.run_in_executor(self._thread, self._store, [notice for notice, _ in batch])
            for _, future in batch:
                if not future.done():  # its client may have gone
                    future.set_result(is_stored)
            if is_stored:
                self._on_stored()

    def _store(self, notices: list[Notice]) -> bool:
        try:
            self._inbox.store(notices)
        except Exception as error:  # whatever it is: without the writer nobody would be answered any more
            if self.is_storing:
                known = explained(error) or (error if isinstance(error, sqlite3.Error | OSError) else None)
                logger.error(
                    "Notices cannot be stored; their senders are told to come again: %s",
                    known or type(error).__name__,
                    exc_info=None if known else error,
                )
            self.is_storing = False
        else:
            if not self.is_storing:
                logger.warning("Notices can be stored again.")
            self.is_storing = True
            self.stored += len(notices)
        return self.is_storing


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too large. What comes after that is read and dropped by the server."""
    if int(request.headers.get("content-length", 0)) > LARGEST_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


def _busy(status: int) -> Response:
    return PlainTextResponse("Come again later.\n", status, RETRY_AFTER)


def listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections; port 0 takes a free one.

    Raises:
        ConfigurationError: host and port cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(
            f"WEBHOOK_HOST is {host!r}, which is no address of this machine.",
            "Write 127.0.0.1 where a web server stands before it, 0.0.0.0 to be reached from outside.",
        ) from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"WEBHOOK_HOST {host} and WEBHOOK_PORT {port} cannot be listened on: {error.strerror}.",
            "Is `make listen` at work already? Else set a free port, also in the web server before it.",
        ) from error
    return listener


class _Connection(H11Protocol):
    """Is closed when ANSWER_WITHIN passes without an answer: who sends nothing, or does not come to an end,
    would hold one of MOST_CONNECTIONS for ever."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        self._overdue = self.loop.call_later(ANSWER_WITHIN, self.transport.abort)


class Server(uvicorn.Server):
    """Uvicorn for a receiver; `ready` is called once it answers."""

    def __init__(self, receiver: Receiver, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                receiver.app,
                http=_Connection,
                log_config=None,
                access_log=False,  # its lines would hold the secret
                server_header=False,
                lifespan="on",
                ws="none",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=10,
                forwarded_allow_ips=PROXIES,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
