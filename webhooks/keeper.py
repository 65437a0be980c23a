"""Keeps the worker at work: a process of its own, started again when it dies, gone when the listener is.

Its standard input is a pipe. The first line is a JSON object of settings that differ from those it loads
itself; then comes an empty line whenever notices were stored. When the pipe ends, however the listener came
to its end, the worker ends.
"""

import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from boxoffice.settings import ROOT

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0  # seconds before a worker that keeps dying is started again
WELL_AFTER = 60.0  # seconds that a worker lived, for its death to be none of a row
ENDS_WITHIN = 30.0  # seconds for what it is at; then it is told, then killed. Nothing is lost by that.


class Keeper:
    """Args: command: of the worker. settings: what differs from those it loads."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any], *, first_pause: float = 1.0) -> None:
        self._command, self._settings, self._first_pause = tuple(command), settings, first_pause
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self.state = "starting"  # then "running", "starting again" or "stopped"
        self.deaths = 0

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """Tell the worker that there is something to do. One that is busy looks by itself when it is done."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError, ValueError):
                    os.write(self._process.stdin.fileno(), b"\n")

    def stop(self) -> None:
        """Returns when the worker has ended."""
        self._stopping.set()
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        if process is not None:
            for end in (process.terminate, process.kill):
                try:
                    process.wait(ENDS_WITHIN)
                    break
                except subprocess.TimeoutExpired:
                    end()
        if self._thread.is_alive():
            self._thread.join()
        self.state = "stopped"

    def _keep(self) -> None:
        pause = self._first_pause
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._lived()
            if self._stopping.is_set():
                return
            self.deaths += 1
            self.state = "starting again"
            if time.monotonic() - began >= WELL_AFTER:
                pause = self._first_pause
            logger.error("The worker ended with code %s; it is started again in %.0f s.", code, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _lived(self) -> int | None:
        """The exit code of a worker that was started here; None when it could not be."""
        with self._lock:
            if self._stopping.is_set():
                return None
            try:
                # In a session of its own: Ctrl-C is the listener's to hear.
                process = subprocess.Popen(
                    self._command, cwd=ROOT, stdin=subprocess.PIPE, bufsize=0, start_new_session=True
                )
            except OSError as error:
                logger.error("The worker does not start: %s", error.strerror)
                return None
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            # Who does not read, as during a long build, must not stop who writes.
            os.set_blocking(process.stdin.fileno(), False)
            self._process = process
        self.state = "running"
        code = process.wait()
        with self._lock:
            self._process = None
            process.stdin.close()
        return code
