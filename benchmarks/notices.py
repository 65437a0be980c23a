"""A receiver under load, over HTTP, while a run is at work: `python -m benchmarks.notices FOLDER NOTICES`.

Prints one JSON line: the rate at which notices were stored as fast as they can be sent, and at 200 a second
the milliseconds until the answer. Ends with code 1 if one was not stored, or the run had ended before.
"""

import http.client
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from boxoffice import ops
from webhooks import inbox
from webhooks.receiver import Receiver, Server, listening

SECRET = "benchmarkbenchmarkbenchmark"  # noqa: S105
API = "https://www.eventbriteapi.com/v3"
SENDERS = 16
RATE = 200  # notices a second


def receive(path: Path, port: Connection) -> None:
    """A receiver until this process is told to end."""
    with inbox.opened(path, API, SECRET) as box, closing(listening("127.0.0.1", 0)) as listener:
        server = Server(Receiver(box, SECRET), lambda: port.send(listener.getsockname()[1]))
        server.run(sockets=[listener])


def send(port: int, first: int, count: int, rate: float | None) -> list[float]:
    """Seconds that each of `count` notices took to be answered 200; with `rate`, so many a second in all."""
    began = time.perf_counter()
    took: list[float] = []

    def sender(place: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            for number in range(place, count, SENDERS):
                if rate is not None:
                    time.sleep(max(0.0, began + number / rate - time.perf_counter()))
                notice = {
                    "config": {"action": "order.placed"},
                    "api_url": f"{API}/orders/{first + number}/",
                }
                asked = time.perf_counter()
                connection.request("POST", f"/{SECRET}", json.dumps(notice))
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    took.append(time.perf_counter() - asked)

    threads = [threading.Thread(target=sender, args=(place,)) for place in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(took)


def at_work(folder: Path) -> subprocess.Popen[bytes]:
    """A first run on sample data, which writes the same ops file, and has begun."""
    files = {"DATABASE_URL": f"duckdb:///{folder}/boxoffice.duckdb", "SHEETS_DIR": "", "BOXOFFICE_AS_OF": ""}
    command = [sys.executable, "-m", "boxoffice", "run"]
    process = subprocess.Popen(
        command, env=os.environ | files, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    with closing(sqlite3.connect(folder / "ops.sqlite")) as connection:
        while process.poll() is None and not connection.execute("select 1 from runs").fetchone():
            time.sleep(0.05)
    return process


def main(folder: Path, count: int) -> None:
    path = folder / "ops.sqlite"
    with ops.opened(path):
        pass
    context = multiprocessing.get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    process = context.Process(target=receive, args=(path, tell))
    process.start()
    run = at_work(folder)
    try:
        port = told.recv()
        paced = send(port, 0, count, RATE)
        began = time.perf_counter()
        rushed = send(port, count, count, None)
        rate = len(rushed) / (time.perf_counter() - began)
        was_busy = run.poll() is None
    finally:
        run.terminate()
        run.wait()
        process.terminate()
        process.join()
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("select count(distinct object_id) from inbox").fetchone()[0]
    middle, last = (paced[int(len(paced) * share)] * 1000 for share in (0.5, 0.99))
    sys.stdout.write(json.dumps({"stored": stored, "rate": rate, "p50": middle, "p99": last}) + "\n")
    sys.exit(0 if was_busy and stored == 2 * count == len(paced) + len(rushed) else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
