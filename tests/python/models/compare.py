"""What two accounts of the marts disagree on, in lines a person can read."""

from collections.abc import Mapping
from typing import Any

from tests.python.models.bronze import Row

KEYS = {
    "event_sales": ("event_key",),
    "event_money": ("event_key", "currency"),
    "daily_metrics": ("date", "currency"),
    "campaign_roi": ("event_key", "channel"),
    "sales_pace": ("event_key", "days_before_event"),
    "dim_customer": ("customer_key",),
}


def keyed(mart: str, rows: list[Row]) -> dict[Any, Row]:
    """Rows of a mart by its key; a key of one column stands for itself."""
    columns = KEYS[mart]
    found: dict[Any, Row] = {}
    for row in rows:
        key = tuple(row[column] for column in columns)
        key = key[0] if len(key) == 1 else key
        assert key not in found, f"{mart} has {key} twice"
        found[key] = row
    return found


def differences(mart: str, expected: Mapping[Any, Row], actual: Mapping[Any, Row]) -> list[str]:
    """Missing, surplus and differing rows. Only columns of `expected` are looked at."""
    lines = [f"{mart} {key}: missing" for key in expected if key not in actual]
    lines += [f"{mart} {key}: surplus {actual[key]}" for key in actual if key not in expected]
    for key, row in expected.items():
        for column, value in row.items():
            held = actual.get(key, row).get(column)
            if not _same(value, held):
                lines.append(f"{mart} {key} {column}: expected {value!r}, is {held!r}")
    return lines


def _same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, float) and actual is not None:
        return abs(expected - float(actual)) < 1e-9 * max(1, abs(expected))
    return bool(expected == actual)
