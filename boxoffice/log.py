"""Log lines on stderr, at LOG_LEVEL, without secrets and without e-mail addresses."""

import logging
import re
import sys
from collections.abc import Iterable
from urllib.parse import quote

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

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        # A token of two letters would blot out half of every word.
        self.secrets = tuple(secret for secret in secrets if len(secret) >= 8)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record), self.secrets)


def set_up(settings: Settings) -> None:
    """Send log lines to stderr: ours from LOG_LEVEL on, libraries' from ERROR on."""
    handler = logging.StreamHandler(sys.stderr)
    secrets = (
        *(settings.eventbrite_token, settings.airtable_token, settings.civicrm_api_key),
        *(settings.webhook_secret, settings.alert_webhook_url, settings.sheets_url),
    )
    handler.setFormatter(MaskingFormatter(filter(None, secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level)
