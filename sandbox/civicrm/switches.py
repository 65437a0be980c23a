"""How the CiviCRM stand-in answers: sites differ, and a client can be tried against either kind."""

from dataclasses import dataclass
from typing import ClassVar
from zoneinfo import ZoneInfo

from sandbox.store import Json
from sandbox.switches import Switches


@dataclass
class Settings(Switches):
    """What differs between sites, versions and hosts, or is open. The default is what was seen."""

    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "error_status": ("always_200", "by_kind"),
        "update_of_missing_id": ("nothing", "echo"),
        "long_text": ("refuse", "cut"),
        "timeout_style": ("gateway", "drop"),
    }

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
        ZoneInfo(wish.get("time_zone", self.time_zone))
        super().set(wish)
