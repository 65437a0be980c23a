"""Every setting of boxoffice, read once from the environment and `.env`; no other module reads them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import overload
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from boxoffice.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]

# Any of these says that somebody has set boxoffice up, so the sandbox must stay away.
CREDENTIALS = ("EVENTBRITE_TOKEN", "AIRTABLE_TOKEN", "CIVICRM_API_KEY")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class CiviCRM:
    """A CiviCRM site: its address in the form its CMS has it, a user's API key, the zone its API speaks in.

    base_id: what the site is known by in the ops file.
    """

    url: str
    key: str = field(repr=False)
    zone: ZoneInfo
    base_id: str


@dataclass(frozen=True)
class Settings:
    """The settings of one run. Paths are absolute; `as_of` is the run's one clock, in UTC."""

    as_of: datetime
    warehouse_path: Path
    ops_path: Path
    marts_path: Path
    sheets_dir: Path
    mappings_dir: Path
    eventbrite_token: str | None = field(repr=False)
    eventbrite_api_url: str = "https://www.eventbriteapi.com/v3"
    eventbrite_organization_id: str | None = None
    airtable_token: str | None = field(default=None, repr=False)
    airtable_base_id: str | None = None
    airtable_api_url: str = "https://api.airtable.com"
    airtable_call_budget: int | None = None  # calls in one run; None: no limit
    airtable_per_second: float | None = 4.5  # calls to a base, which takes 5; None: as fast as it answers
    civicrm_url: str | None = None
    civicrm_api_key: str | None = field(default=None, repr=False)
    civicrm_timezone: str | None = None
    sheets_url: str | None = field(default=None, repr=False)  # ends in the workbook's key
    google_credentials: Path | None = None
    google_api_url: str = "https://sheets.googleapis.com"
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    webhook_host: str = "127.0.0.1"
    webhook_port: int = 8088
    alert_webhook_url: str | None = field(default=None, repr=False)  # who has it may post there
    schedule_minutes: int = 60
    sheets_timezone: str | None = None
    log_level: str = "INFO"
    retention_days: int = 90
    lock_wait_seconds: int = 120
    memory_limit: str | None = None  # as DuckDB writes it; None: its own, 80 % of the machine
    is_sandbox: bool = False

    @property
    def civicrm(self) -> CiviCRM | None:
        """The CiviCRM site to write to; None when nothing of it is set.

        Raises:
            ConfigurationError: a part of it is missing.
        """
        if self.civicrm_url is None and self.civicrm_api_key is None:
            return None
        parts = {
            "CIVICRM_URL": (
                self.civicrm_url,
                "Set it to the site's address: docs/civicrm.md shows its forms.",
            ),
            "CIVICRM_API_KEY": (self.civicrm_api_key, "docs/civicrm.md tells how to make one."),
            "CIVICRM_TIMEZONE": (
                self.civicrm_timezone,
                "Set it to the site's time zone, like America/New_York: CiviCRM's times do not say theirs.",
            ),
        }
        for name, (value, remedy) in parts.items():
            if value is None:
                there = next(other for other, (found, _) in parts.items() if found is not None)
                raise ConfigurationError(f"{there} is set, and {name} is not.", remedy)
        url, key, zone = (str(value) for value, _ in parts.values())
        address = urlsplit(url)
        # The stand-in has another port every time.
        base_id = "sandbox" if self.is_sandbox else f"{address.netloc.lower()}{address.path.rstrip('/')}"
        return CiviCRM(url, key, ZoneInfo(zone), base_id)

    @property
    def dlt_dir(self) -> Path:
        """dlt's working folder. It is state, so it lies beside the warehouse it describes."""
        return self.warehouse_path.with_suffix(".dlt")

    @property
    def lock_path(self) -> Path:
        return self.ops_path.with_name(self.ops_path.stem + ".lock")

    def dbt_environment(self) -> dict[str, str]:
        """What profiles.yml and dbt_project.yml read, as environment variables."""
        return {
            "BOXOFFICE_WAREHOUSE": str(self.warehouse_path),
            "MAPPINGS_DIR": os.path.relpath(self.mappings_dir, ROOT),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        }


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    Args:
        environ: name to value; without it the process environment over the `.env` beside the Makefile.
            An empty value counts as unset.

    Raises:
        ConfigurationError: a value that cannot be used; the message names the setting and the remedy.
    """
    if environ is None:
        environ = {**_dotenv(), **os.environ}
    values = {name: value.strip() for name, value in environ.items() if value and value.strip()}

    is_sandbox = _is_untouched(values)
    warehouse = _warehouse_path(values.get("DATABASE_URL"), is_sandbox)
    marts = ROOT / "warehouse" / ("sandbox_marts.duckdb" if is_sandbox else "marts.duckdb")
    # Beside the warehouse, so that two warehouses never share journal and keys.
    ops = warehouse.with_name("sandbox_ops.sqlite" if is_sandbox else "ops.sqlite")
    if ops.resolve() == warehouse.resolve():
        raise ConfigurationError(
            f"DATABASE_URL is {warehouse}, which is the file of what no source can bring back.",
            "Let it name a file of its own.",
        )
    if "SHEETS_DIR" in values and "SHEETS_URL" in values:
        raise ConfigurationError(
            "SHEETS_DIR and SHEETS_URL are both set.",
            "Keep the one that your sheets are in: a folder of CSV files, or a Google workbook.",
        )
    marts = _marts_path(_path(values, "MARTS_PATH", marts), warehouse, ops)
    token = values.get("EVENTBRITE_TOKEN")
    return Settings(
        as_of=_as_of(values.get("BOXOFFICE_AS_OF")),
        warehouse_path=warehouse,
        ops_path=ops,
        marts_path=marts,
        sheets_dir=_path(values, "SHEETS_DIR", ROOT / "data" / ("sample" if is_sandbox else "sheets")),
        mappings_dir=_path(
            values, "MAPPINGS_DIR", ROOT / ("sandbox/mappings" if is_sandbox else "seeds/mappings")
        ),
        eventbrite_token=token,
        eventbrite_api_url=_url(values, "EVENTBRITE_API_URL", Settings.eventbrite_api_url),
        eventbrite_organization_id=values.get("EVENTBRITE_ORGANIZATION_ID"),
        airtable_token=values.get("AIRTABLE_TOKEN"),
        airtable_base_id=values.get("AIRTABLE_BASE_ID"),
        airtable_api_url=_url(values, "AIRTABLE_API_URL", Settings.airtable_api_url),
        airtable_call_budget=_whole_number(values, "AIRTABLE_CALL_BUDGET", None, least=1),
        civicrm_url=_civicrm_url(values),
        civicrm_api_key=values.get("CIVICRM_API_KEY"),
        civicrm_timezone=_timezone(values, "CIVICRM_TIMEZONE"),
        sheets_url=_workbook_url(values.get("SHEETS_URL")),
        google_credentials=_path(values, "GOOGLE_APPLICATION_CREDENTIALS", None),
        google_api_url=_url(values, "GOOGLE_API_URL", Settings.google_api_url),
        webhook_url=_webhook_url(values),
        webhook_secret=values.get("WEBHOOK_SECRET"),
        webhook_host=values.get("WEBHOOK_HOST", Settings.webhook_host),
        webhook_port=_whole_number(values, "WEBHOOK_PORT", Settings.webhook_port, least=0, most=65535),
        alert_webhook_url=_alert_url(values),
        schedule_minutes=_whole_number(values, "SCHEDULE_MINUTES", 60, least=1),
        sheets_timezone=_timezone(values, "SHEETS_TIMEZONE"),
        log_level=_choice(values, "LOG_LEVEL", LOG_LEVELS, "INFO"),
        retention_days=_whole_number(values, "RETENTION_DAYS", 90, least=1),
        lock_wait_seconds=_whole_number(values, "LOCK_WAIT_SECONDS", 120, least=0),
        memory_limit=_memory(values.get("MEMORY_LIMIT")),
        is_sandbox=is_sandbox,
    )


def _memory(value: str | None) -> str | None:
    if value is None or re.fullmatch(r"\d+(\.\d+)? ?[MG]i?B", value):
        return value
    raise ConfigurationError(
        f"MEMORY_LIMIT is {value!r}, which is no size.", "Write it like 4GB or 800MB, or leave it out."
    )


def _dotenv() -> dict[str, str]:
    path = ROOT / ".env"
    remedy = "Make it a readable UTF-8 text file of NAME=value lines."
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f".env cannot be read: {error}.", remedy) from error
    # A line that is skipped could be the token, and a run on sample data what came of it.
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ConfigurationError(f".env, line {binding.original.line}, is not NAME=value.", remedy)
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value or "" for name, value in values.items()}


def _is_untouched(values: Mapping[str, str]) -> bool:
    chosen = (*CREDENTIALS, "SHEETS_DIR", "SHEETS_URL", "DATABASE_URL")
    if any(name in values for name in chosen):
        return False
    own_sheets = ROOT / "data" / "sheets"
    return not own_sheets.is_dir() or not any(
        entry for entry in own_sheets.iterdir() if not entry.name.startswith(".")
    )


def _warehouse_path(url: str | None, is_sandbox: bool) -> Path:
    if url is None:
        return ROOT / "warehouse" / ("sandbox.duckdb" if is_sandbox else "boxoffice.duckdb")
    # The URL may hold a password: nothing of it but a plain scheme is ever repeated.
    scheme, separator, rest = url.partition("://")
    problem = None
    if not separator or not re.fullmatch(r"[a-z]+", scheme):
        problem = "DATABASE_URL is not an address that boxoffice knows."
    elif scheme != "duckdb":
        problem = f"DATABASE_URL starts with {scheme!r}, which is not a database boxoffice can use."
    # Not with a host, in memory, in somebody's cloud or with options, which this takes for names.
    elif not rest.startswith("/") or not rest.strip("/") or re.match(r"/(:memory:|md:|.*\?)", rest):
        problem = "DATABASE_URL names no file."
    elif (ROOT / rest[1:]).is_dir():
        problem = f"DATABASE_URL is {ROOT / rest[1:]}, which is a folder."
    if problem:
        raise ConfigurationError(
            problem,
            "Write duckdb:///warehouse/boxoffice.duckdb or duckdb:////absolute/path.duckdb, or leave it out.",
        )
    return ROOT / rest[1:]


def _marts_path(marts: Path, warehouse: Path, ops: Path) -> Path:
    taken = {
        warehouse.resolve(): "the warehouse itself",
        ops.resolve(): "the file of what no source can bring back",
    }
    what = "a folder" if marts.is_dir() else taken.get(marts.resolve())
    # Publishing renames a file over it: never over somebody's work.
    if what is None and marts.is_file() and os.access(marts, os.R_OK):
        with marts.open("rb") as file:
            head = file.read(12)
        if head and head[8:] != b"DUCK":
            what = "a file of another kind"
    if what:
        raise ConfigurationError(
            f"MARTS_PATH is {marts}, which is {what}.", "Let it name a file of its own, or leave it out."
        )
    return marts


@overload
def _path(values: Mapping[str, str], name: str, default: Path) -> Path: ...
@overload
def _path(values: Mapping[str, str], name: str, default: None) -> Path | None: ...
def _path(values: Mapping[str, str], name: str, default: Path | None) -> Path | None:
    return ROOT / Path(values[name]).expanduser() if name in values else default


def _as_of(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"BOXOFFICE_AS_OF is {text!r}, which is not a time.", "Write it like 2026-03-01T12:00:00Z."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _url(values: Mapping[str, str], name: str, default: str) -> str:
    url = values.get(name, default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{name} is not an http(s) address.", f"Write it like {default}.")
    return url


def _civicrm_url(values: Mapping[str, str]) -> str | None:
    """The address without what a page of the site adds to it: `https://example.org`, or that with
    `?civiwp=CiviCRM` (WordPress; `?page=CiviCRM` once) or `?option=com_civicrm` (Joomla)."""
    if "CIVICRM_URL" not in values:
        return None
    parts = urlsplit(_url(values, "CIVICRM_URL", "https://example.org"))
    if parts.username or parts.password:
        raise ConfigurationError(
            "CIVICRM_URL holds a user or a password.", "Leave it out: the key goes into CIVICRM_API_KEY."
        )
    query = dict(parse_qsl(parts.query))
    kept = {name: query[name] for name in ("civiwp", "page", "option", "format") if name in query}
    path = re.sub(r"/civicrm/(ajax|dashboard|admin|contact|event)\b.*", "", parts.path)
    path = path if kept else path.rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(kept), ""))


def _webhook_url(values: Mapping[str, str]) -> str | None:
    if "WEBHOOK_URL" not in values:
        return None
    parts = urlsplit(_url(values, "WEBHOOK_URL", "https://hooks.example.org"))
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "WEBHOOK_URL holds more than a host and a path.",
            "Write it like https://hooks.example.org or https://example.org/hooks; the secret part goes into"
            " WEBHOOK_SECRET.",
        )
    return urlunsplit(parts)


def _alert_url(values: Mapping[str, str]) -> str | None:
    if "ALERT_WEBHOOK_URL" not in values:
        return None
    _url(values, "ALERT_WEBHOOK_URL", "https://chat.example.org/hook")
    return values["ALERT_WEBHOOK_URL"]


def _workbook_url(text: str | None) -> str | None:
    """The workbook's address without what the browser adds: `https://docs.google.com/spreadsheets/d/KEY`."""
    if text is None:
        return None
    parts = urlsplit(text)
    found = re.fullmatch(r"(.*/spreadsheets)/(?:u/[0-9]+/)?d/([A-Za-z0-9_-]{20,})(?:/.*)?", parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname or found is None:
        # It is not repeated: by link, who knows the address may read.
        raise ConfigurationError(
            "SHEETS_URL is the address of a published page, not of the workbook."
            if "/spreadsheets/d/e/" in parts.path
            else "SHEETS_URL is not the address of a Google workbook.",
            "Copy it from the browser's address bar while the workbook is open: "
            "https://docs.google.com/spreadsheets/d/KEY/edit",
        )
    return f"{parts.scheme}://{parts.netloc}{found[1]}/d/{found[2]}"


def _timezone(values: Mapping[str, str], name: str) -> str | None:
    zone = values.get(name)
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(
                f"{name} is {zone!r}, which is not a time zone.", "Write an IANA name like America/New_York."
            ) from error
    return zone


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = values.get(name, default).upper()
    if value not in choices:
        raise ConfigurationError(f"{name} is {value!r}.", f"Use one of {', '.join(choices)}.")
    return value


@overload
def _whole_number(
    values: Mapping[str, str], name: str, default: int, least: int, most: int | None = None
) -> int: ...


@overload
def _whole_number(
    values: Mapping[str, str], name: str, default: None, least: int, most: int | None = None
) -> int | None: ...


def _whole_number(
    values: Mapping[str, str], name: str, default: int | None, least: int, most: int | None = None
) -> int | None:
    if name not in values:
        return default
    text = values[name]
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        until = "" if most is None else f" to {most}"
        raise ConfigurationError(f"{name} is {text!r}.", f"Write a whole number from {least}{until}.")
    return int(text)
