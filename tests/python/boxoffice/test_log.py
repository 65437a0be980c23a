"""No secret and no person in a log line."""

import io
import logging
from dataclasses import replace

import pytest

from boxoffice import log
from boxoffice.settings import Settings

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
