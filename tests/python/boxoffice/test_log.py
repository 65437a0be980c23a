"""No secret and no person in a log line."""

import io
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice import log
from boxoffice.session import conduct
from boxoffice.settings import ROOT, Settings
from tests.python.boxoffice.conftest import environment, process_environment
from tests.python.examples import examples

TOKEN = "PRIVATETOKEN123"


def test_secrets_and_people_are_masked_in_messages_and_tracebacks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before = list(root.handlers), root.level
    try:
        log.set_up(replace(settings, eventbrite_token=TOKEN))
        logger = logging.getLogger("ingest.test")
        logger.warning("limit for %s, Authorization: Bearer abc.def", TOKEN)
        try:
            raise ValueError(f"ann.chovy+x@mail.example.org with {TOKEN}")
        except ValueError:
            logger.exception("failed")
        logging.getLogger("urllib3").warning("noise")
    finally:
        root.handlers[:], root.level = before
    written = stream.getvalue()
    assert "ValueError" in written
    for secret in (TOKEN, "abc.def", "ann.chovy", "example.org", "noise"):
        assert secret not in written


CRASH = """
import threading, time
from boxoffice import log, settings
log.set_up(settings.load())
threading.Thread(target=lambda: {}["bob@example.org PRIVATETOKEN123"]).start()
raise ValueError("ann@example.org PRIVATETOKEN123")
"""


def test_what_nobody_catches_is_masked_too(tmp_path: Path) -> None:
    environ = process_environment(tmp_path, {"EVENTBRITE_TOKEN": TOKEN})
    ended = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("Traceback") == 2
    assert "ValueError: ***@*** ***" in ended.stderr
    assert not [word for word in (TOKEN, "ann@", "bob@") if word in ended.stderr]


def test_a_line_is_one_line_with_its_time_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        said = "one\nand\r2026-03-01T12:00:00Z ERROR boxoffice: another"
        record = logging.LogRecord("boxoffice", logging.ERROR, "", 1, said, None, None)
        record.created = 1_772_366_400.0
        written = log.MaskingFormatter([]).format(record)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert written == f"2026-03-01T12:00:00Z ERROR boxoffice: {said!r}".replace("'", "")


def test_log_files_go_after_their_time_and_others_stay(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.ops_path.parent
    folder.mkdir(parents=True)
    names = {
        "boxoffice-run-2026-03-01.log": 91,
        "boxoffice-listen.log.2.gz": 91,
        "boxoffice-listen.log": 0,
        "boxoffice-run-2026-03-02.log": 89,
        "boxoffice.duckdb": 91,
        "other.log": 91,
    }
    for name, days in names.items():
        (folder / name).touch()
        at = time.time() - days * 86400
        os.utime(folder / name, (at, at))
    for name, value in environment(folder.parent).items():
        monkeypatch.setenv(name, value)
    assert conduct("docs", lambda session: None, as_json=True) == 0
    assert {name for name in names if (folder / name).exists()} == set(list(names)[2:])


LETTERS = "abcXYZ019"
SECRETS = st.lists(st.text(f"{LETTERS}-_./+= ", min_size=8, max_size=20), min_size=1, max_size=3)
EMAILS = st.from_regex(r"[a-z0-9.+'_-]{1,8}[a-z]@([a-z0-9-]{1,5}\.){1,2}[a-z]{2,4}", fullmatch=True)


@examples(50)
@given(SECRETS, EMAILS, st.lists(st.text("ab:,;'\"<>()[]{} \n%", max_size=5), min_size=4, max_size=4))
def test_whatever_stands_around_them_secrets_and_people_are_masked(
    secrets: list[str], email: str, around: list[str]
) -> None:
    before, between, after, end = around
    formatter = log.MaskingFormatter(secrets)
    said = f"{before}{secrets[0]}{between}{quote(secrets[-1], safe='')}{after}"
    try:
        raise ValueError(f"{said} {email} {end}")
    except ValueError:
        trace = sys.exc_info()
    record = logging.LogRecord("boxoffice", logging.ERROR, "", 1, "%s and %s", (said, f" {email} "), trace)
    written = formatter.format(record)
    assert email not in written
    assert not [each for each in (secrets[0], secrets[-1], quote(secrets[-1], safe="")) if each in written]
