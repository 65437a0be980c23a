"""Log lines on stderr, at LOG_LEVEL, without secrets and without e-mail addresses.

One line each, `2026-03-01T12:00:00Z WARNING boxoffice.session: …`, time in UTC; a traceback follows its line.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from urllib.parse import quote, urlsplit

from boxoffice.settings import Settings

OURS = ("boxoffice", "ingest", "webhooks")
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_BEARER = re.compile(r"(Bearer\s+)\S+", re.IGNORECASE)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every secret, bearer token and e-mail address blotted out."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    # One may hold another, which would leave its rest.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return _EMAIL.sub("***@***", _BEARER.sub(r"\1***", text))


class MaskingFormatter(logging.Formatter):
    """Masks the finished line, traceback included: a filter would see the arguments only."""

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        # A token of two letters would blot out half of every word.
        self.secrets = tuple(secret for secret in secrets if len(secret) >= 8)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record), self.secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # What somebody else wrote must not look like a line of ours.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def set_up(settings: Settings) -> None:
    """Send log lines to stderr: ours from LOG_LEVEL on, libraries' from ERROR on, and what nobody catches."""
    handler = logging.StreamHandler(sys.stderr)
    addresses = [url for url in (settings.alert_webhook_url, settings.sheets_url) if url]
    secrets = (
        *(settings.eventbrite_token, settings.airtable_token, settings.civicrm_api_key),
        *(settings.webhook_secret, *addresses, *(urlsplit(url).path for url in addresses)),
    )
    handler.setFormatter(MaskingFormatter(filter(None, secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level)
    # The interpreter would print it as it is.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def drop_old(settings: Settings) -> None:
    """Remove the log files beside the warehouse, `boxoffice-….log` and what was rotated from them, that were
    not written to for RETENTION_DAYS."""
    before = time.time() - timedelta(days=settings.retention_days).total_seconds()
    for path in settings.ops_path.parent.glob("boxoffice-*.log*"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and isinstance(error, Exception):
        logging.getLogger("boxoffice").critical("Nobody foresaw this.", exc_info=(kind, error, trace))
    elif error is not None and kind is not SystemExit:
        sys.__excepthook__(kind, error, trace)
