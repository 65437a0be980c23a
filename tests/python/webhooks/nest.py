"""`python -m tests.python.webhooks.nest DOOR LOG`: listeners, workers and runs that start in a moment.

Each is forked from this process, which has imported everything and read the models once. Who connects to the
socket DOOR says `listen`, `work`, `run` or `hold` (the warehouse, as a BI tool does), and may send along what
is to be its standard input; it is told the pid at once and the exit code in the end, a line each. `kill work
listen` kills all that live of these, and tells how many; `ask select 1` asks the ops file, as it may lie on a
disk that nobody else sees. All end with this process, and it with its own standard input.
"""

import importlib
import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxoffice.settings import ROOT
from tests.python.boxoffice.conftest import process_environment
from webhooks.receiver import listening

SECRET = "k3yk3yk3yk3yk3yk3yk3y"
WITHIN = 120  # seconds
IMPORTED = (
    *("boxoffice.identities", "boxoffice.publish", "dbt.adapters.duckdb", "dbt.cli.main"),
    *(
        "ingest.__main__",
        "ingest.airtable",
        "ingest.eventbrite",
        "ingest.eventbrite_singles",
        "ingest.sheets",
    ),
    *("reverse_etl.__main__", "webhooks.__main__", "webhooks.worker"),
)
# In place of the worker that the keeper starts: has one hatched, and ends as it does.
CALLER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as nest:
    nest.connect(sys.argv[1])
    socket.send_fds(nest, [b"work"], [0])
    sys.exit(int(nest.makefile().read().split()[1]))
"""


@dataclass
class Nest:
    """The process of `main`. log: what those from it said. data: the folder of their files. address: of the
    receiver."""

    door: str
    log: Path
    data: Path
    address: str

    def _asked(self, words: str) -> socket.socket:
        nest = socket.socket(socket.AF_UNIX)
        nest.settimeout(WITHIN)
        nest.connect(self.door)
        nest.sendall(words.encode())
        return nest

    def start(self, role: str) -> None:
        with self._asked(role) as nest:
            assert nest.recv(64)

    def run(self) -> dict[str, Counter[str]]:
        """A whole run. By step, what it did."""
        with self._asked("run") as nest, nest.makefile() as said:
            _, code = said.read().split()
        assert code == "0", self.log.read_text()
        steps = "select step, coalesce(rows_changed, 0), coalesce(rows_rejected, 0) from steps"
        found = self.rows(f"{steps} where run_id = (select max(run_id) from runs)")
        return {step: Counter(changed=changed, rejected=rejected) for step, changed, rejected in found}

    def kill(self, roles: str) -> int:
        with self._asked(f"kill {roles}") as nest:
            return int(nest.recv(64))

    def rows(self, query: str) -> list[Any]:
        """Of the ops file."""
        with self._asked(f"ask {query}") as nest, nest.makefile() as said:
            return json.load(said)

    def count(self, what: str) -> int:
        return self.rows(f"select count(*) from {what}")[0][0]


@contextmanager
def nest_of(folder: Path, settings: dict[str, str], before: Sequence[str] = ()) -> Iterator[Nest]:
    """before: what launches it."""
    # A socket's path has a hundred characters.
    door, log = folder / "nest", folder / "log.txt"
    command = [*before, sys.executable, "-m", "tests.python.webhooks.nest", os.path.relpath(door, ROOT), log]
    with closing(listening("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = {"WEBHOOK_URL": address, "WEBHOOK_PORT": str(port), "WEBHOOK_SECRET": SECRET}
    environ = process_environment(folder, {**settings, **own})
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        # It may see a disk that others do not.
        data = Path(f"/proc/{process.pid}/root{folder}/data")
        try:
            yield Nest(os.path.relpath(door), log, data, f"{address}/{SECRET}")
        finally:
            process.stdin.close()


def until(is_so: Callable[[], Any], log: Path) -> None:
    ends = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < ends, log.read_text()[-5000:]
        time.sleep(0.05)


def _hatch(role: str, door: str) -> None:
    import duckdb

    from boxoffice import settings as settings_module
    from boxoffice.__main__ import main as boxoffice
    from webhooks import __main__ as webhooks
    from webhooks import worker

    if role == "run":
        boxoffice(["run", "--json"])
    elif role == "listen":
        webhooks.WORKER = (sys.executable, "-S", "-c", CALLER, door)
        webhooks.main(["--json"])
    elif role == "work":
        worker.main()
    else:
        held = duckdb.connect(str(settings_module.load().warehouse_path))
        signal.pause()
        held.close()


def _child(role: str, door: str, given: list[int]) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(given[0] if given else os.open(os.devnull, os.O_RDONLY), 0)
        _hatch(role, door)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    door, log = sys.argv[1:]
    kept = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(kept, 2)
    for name in IMPORTED:
        importlib.import_module(name)
    from boxoffice import build
    from boxoffice import settings as settings_module
    from webhooks import worker

    hot, settings = worker.Hot(), settings_module.load()
    build.sync_models(settings, warm=hot.warm)
    worker.Hot = lambda: hot  # type: ignore[assignment, misc]
    worker.TROUBLE = 1.0
    alive: dict[int, tuple[str, socket.socket]] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(door)
        listener.listen()
        print("ready", flush=True)
        os.dup2(kept, 1)
        while True:
            ready, _, _ = select.select([0, listener], [], [], 0.01)
            if 0 in ready:
                break
            if listener in ready:
                caller, _ = listener.accept()
                words, given, _, _ = socket.recv_fds(caller, 4096, 1)
                role, *roles = words.decode().split()
                if role == "ask":
                    with closing(sqlite3.connect(settings.ops_path, timeout=30)) as connection:
                        caller.sendall(json.dumps(connection.execute(" ".join(roles)).fetchall()).encode())
                    caller.close()
                elif role == "kill":
                    struck = [pid for pid, (each, _) in alive.items() if each in roles]
                    for pid in struck:
                        os.kill(pid, signal.SIGKILL)
                    caller.sendall(b"%d\n" % len(struck))
                    caller.close()
                elif pid := os.fork():
                    alive[pid] = role, caller
                    caller.sendall(b"%d\n" % pid)
                else:
                    listener.close()
                    for _, other in alive.values():
                        other.close()
                    caller.close()
                    _child(role, door, given)
                for each in given:
                    os.close(each)
            for pid in list(alive):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    _, caller = alive.pop(pid)
                    with caller, suppress(OSError):  # who asked for it is gone
                        caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
