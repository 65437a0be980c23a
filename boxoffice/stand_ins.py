"""Sandbox mode's stand-ins: a process of their own, reached over HTTP, gone when the command ends."""

import functools
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from boxoffice.errors import BoxofficeError
from boxoffice.settings import ROOT, Settings

READY_WITHIN = 60  # seconds
TOKEN = "sandbox"  # noqa: S105
CIVICRM_TIMEZONE = "America/New_York"
AIRTABLE_BASE = "appLanternHall001"


@contextmanager
def started(settings: Settings) -> Iterator[Callable[[], Settings]]:
    """Yields a function that gives the settings to call APIs with.

    Outside sandbox mode they are `settings` themselves; in it they name the stand-ins, once these answer.

    Raises (the function): BoxofficeError when they do not start.
    """
    if not settings.is_sandbox:
        yield lambda: settings
        return
    state = settings.warehouse_path.with_name("sandbox")
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(state), "--port", "0"]
    # Nobody shares this base: waiting for a turn would teach a newcomer patience and nothing else.
    command += ["--airtable-pace", "off"]
    # Its end of stdin closes with this process, however that dies, and tells it to stop.
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield functools.cache(lambda: _ready(process, settings))
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _ready(process: "subprocess.Popen[str]", settings: Settings) -> Settings:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(READY_WITHIN) else ""
    try:
        addresses = json.loads(line)
        return replace(
            settings,
            eventbrite_token=TOKEN,
            eventbrite_api_url=addresses["eventbrite"],
            airtable_token=TOKEN,
            airtable_api_url=addresses["airtable"],
            airtable_base_id=AIRTABLE_BASE,
            airtable_per_second=None,
            civicrm_url=addresses["civicrm"],
            civicrm_api_key=TOKEN,
            civicrm_timezone=CIVICRM_TIMEZONE,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BoxofficeError("The stand-ins did not start.", "`python -m sandbox` shows why.") from error
