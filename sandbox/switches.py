"""Switches that say how a stand-in answers, and those of Airtable's: a client can be tried against either
answer of an open question."""

from dataclasses import dataclass, fields
from typing import ClassVar

from sandbox.store import Json


@dataclass
class Switches:
    """Fields that can be set from outside. words: what the text of a field may be, where it is one of few."""

    words: ClassVar[dict[str, tuple[str, ...]]] = {}

    def set(self, wish: Json) -> None:
        """All of the wish or nothing. Raises ValueError for a name or a value that is not here."""
        known = {item.name for item in fields(self)}
        for name, found in wish.items():
            if name not in known:
                raise ValueError(f"no such setting: {name}")
            if isinstance(found, str) != isinstance(getattr(self, name), str):
                raise ValueError(f"{name} cannot be {found!r}")
            if found not in (words := self.words.get(name, (found,))):
                raise ValueError(f"{name} is {', '.join(words[:-1])} or {words[-1]}")
        for name, found in wish.items():
            setattr(self, name, found)


@dataclass
class Settings(Switches):
    """What Airtable's pages leave open is marked."""

    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "mode": ("strict", "lenient", "off"),
        "limit_shape": ("list", "object"),
        "same_key_twice": ("refuse", "in_turn", "create"),
        "null_merge": ("create", "match"),
        "missing_in_delete": ("not_found", "row", "permission", "ignore"),
    }

    # Limits
    mode: str = "strict"  # after too many calls: strict locks out, lenient refuses the call, off lets pass
    calls_a_second: int = 5  # of a base, whoever calls
    calls_a_second_of_token: int = 50
    lockout: float = 30  # seconds
    lockout_restarts: bool = False  # open: whether a call during the lockout prolongs it
    limit_shape: str = "list"  # open: the body of a 429, "object" in the documentation
    retry_after: bool = False  # open: whether a 429 carries Retry-After
    monthly_cap: int | None = None  # calls of the workspace in a month
    failures_count: bool = True  # open: whether refused calls count to the cap
    calls_a_second_past_cap: int | None = None  # open: slowed, not refused, as the Team plan
    # Listings
    iterator_life: float = 300  # open: seconds between two pages
    iterator_message: bool = True  # open: whether the refusal says more than its type
    most_per_page: int = 100
    # Writing
    links_move_modified: bool = False  # open: whether a link set from the other table counts as a change
    multi_match_type: str = "INVALID_REQUEST_UNKNOWN"  # open: of an upsert that several records match
    same_key_twice: str = "refuse"  # open: two records of one request that mean the same record
    merge_ignores_case: bool = False  # open
    merge_ignores_spaces: bool = False  # open: around the text
    null_merge: str = "create"  # open: whether a null merge value matches empty cells
    missing_in_delete: str = "not_found"  # open: a batch names a record that is gone
    records_of_base: int | None = None  # over all tables
    full_type: str = "INVALID_REQUEST_UNKNOWN"  # open: the 422 of a base that is full
    longest_text: int = 100_000  # open
    most_options: int = 10_000  # open: of a select field
    largest_body: int = 8_000_000  # open: bytes, before a 413
    option_quoted_twice: bool = False  # open: in the refusal of an option that is not there
    typecast_splits_commas: bool = False  # open: one text becomes several links
    locked: tuple[str, ...] = ()  # ids of tables and fields that only some people may edit
    # Schema
    options_can_be_changed: bool = False  # open: by PATCH of a field
    computed_can_be_created: bool = False  # open
    tables_share_names: bool = False  # open
