"""What the stand-ins have in common: which calls a fault hits, dropped connections, answers of /control."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from sandbox.store import Json


@dataclass
class Fault:
    """Hits calls whose path (after the stand-in's prefix), method and query match.

    It skips `after` of them, then hits `times`.
    """

    do: str
    path: str = ""
    method: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    after: int = 0
    times: int | None = None
    more: Json = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    @classmethod
    def of(cls, wish: Json, known: Mapping[str, tuple[str, int | None]]) -> "Fault":
        """`known`: for each name what it does, and how many calls it hits when `times` is not given.

        Raises ValueError with a sentence when the wish makes no sense.
        """
        rest = dict(wish)
        do = rest.pop("do", None)
        if do not in known:
            raise ValueError(f"do is {do!r}, and must be one of {', '.join(known)}.")
        fault = cls(do, rest.pop("path", ""), rest.pop("method", None), rest.pop("query", {}))
        fault.after = int(rest.pop("after", 0))
        times = rest.pop("times", known[do][1])
        fault.times = None if times is None else int(times)
        fault.more = rest
        re.compile(fault.path)
        return fault

    def strikes(self, method: str, path: str, query: dict[str, str]) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method not in (None, method) or not re.search(self.path, path):
            return False
        if any(query.get(name) != value for name, value in self.query.items()):
            return False
        if (self.do == "expired_cursor" and "continuation" not in query) or (
            self.do == "expansion_failed" and "expand" not in query
        ):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.hits += 1
        return True

    def as_json(self) -> Json:
        return {
            "do": self.do,
            "path": self.path,
            "method": self.method,
            "query": self.query,
            "after": self.after,
            "times": self.times,
            "seen": self.seen,
            "hits": self.hits,
            **self.more,
        }


class Faults(list[Fault]):
    """The faults of a stand-in. known: as `Fault.of`."""

    def __init__(self, known: Mapping[str, tuple[str, int | None]]) -> None:
        super().__init__()
        self._known = known

    def steer(self, request: Request, wish: Any) -> Json:
        """GET tells them, POST adds one or several, DELETE takes all away."""
        if request.method == "POST":
            self += [Fault.of(one, self._known) for one in (wish if isinstance(wish, list) else [wish])]
        if request.method == "DELETE":
            self.clear()
        return {"faults": [fault.as_json() for fault in self]}


async def drop(send: Send) -> None:
    """Close the client's connection at once. Uvicorn hands `send` as a method of the call it serves."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("This server offers no way to drop a connection.")
    transport.abort()
    await asyncio.sleep(0)  # lets the server notice
    await asyncio.sleep(0)


def dated(now: float) -> tuple[bytes, bytes]:
    """The Date header by the stand-in's clock: clients tell by it how late it is there."""
    return b"date", formatdate(now, usegmt=True).encode()


def guarded(work: Callable[[Request, Any], Any]) -> Callable[[Request], Any]:
    """A control endpoint, JSON in and out; 400 with a sentence for nonsense, 404 for what is gone."""

    async def answer(request: Request) -> Response:
        status = 200
        try:
            body = await request.body()
            found = work(request, orjson.loads(body) if body else {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            status, found = 400, {"problem": str(error).strip("'\"")}
        except LookupError as error:
            status, found = 404, {"problem": str(error)}
        return Response(orjson.dumps(found, default=str), status, media_type="application/json")

    return answer
