"""How the CiviCRM stand-in answers: sites differ, and a client can be tried against either kind."""

from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo

from sandbox.store import Json

WORDS = {
    "error_status": ("always_200", "by_kind"),
    "update_of_missing_id": ("nothing", "echo"),
    "long_text": ("refuse", "cut"),
    "timeout_style": ("gateway", "drop"),
}


@dataclass
class Settings:
    """What differs between sites, versions and hosts, or is open. The default is what was seen."""

    time_zone: str = "America/New_York"  # its API speaks local time and does not say so
    currency: str = "USD"  # the site's own
    error_status: str = "always_200"  # by_kind: 403 for permissions, 500 for all else, 405 and 400
    hide_errors: bool = False  # as for a user without "view debug output", whoever asks
    error_id: bool = False  # newer versions name one in every error
    maintenance: bool = False
    site_key: str = "site-key"
    header_flow: bool = True  # whether `Authorization: Bearer` is taken
    update_of_missing_id: str = "nothing"  # echo: the values and the id come back, though there is no row
    long_text: str = "refuse"  # by the mode of the database
    most_records: int = 400  # written by one call before its time is up; 0 for no end
    timeout_style: str = "gateway"  # a 504 page; drop: the connection just ends
    latency: float = 0  # milliseconds, of every call
    milliseconds_a_record: float = 0  # written
    ids_as_text: bool = True  # in answers of getDuplicates and delete
    custom_null_in_update: bool = True  # a custom field just written is null in update's own answer
    dedupe_extension: bool = True  # legacydedupefinder is enabled

    def set(self, wish: Json) -> None:
        """Raises ValueError for a name or a type of value that is not here."""
        known = {item.name for item in fields(self)}
        for name, found in wish.items():
            if name not in known:
                raise ValueError(f"no such setting: {name}")
            if isinstance(found, str) != isinstance(getattr(self, name), str):
                raise ValueError(f"{name} cannot be {found!r}")
            if name in WORDS and found not in WORDS[name]:
                raise ValueError(f"{name} is {' or '.join(WORDS[name])}")
            if name == "time_zone":
                ZoneInfo(found)
        for name, found in wish.items():
            setattr(self, name, found)
