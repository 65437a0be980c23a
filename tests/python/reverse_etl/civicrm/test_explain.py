"""Why an order or attendee is there, or is not: told without a call, and without a person."""

from typing import Any

import pytest

from boxoffice.terminal import Terminal
from reverse_etl import civicrm_explain
from tests.python.reverse_etl.civicrm.conftest import MODELS, Order, World, attendee


@pytest.fixture
def told(synced: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(civicrm_explain, "sync_models", lambda settings: MODELS)

    def told(key: str) -> tuple[int, dict[str, Any]]:
        before = len(synced.calls())
        found = civicrm_explain.explained(key, synced.settings, Terminal(as_json=True))
        assert len(synced.calls()) == before
        return found

    return told


def test_what_was_written_is_told_by_rule(synced: World, told: Any) -> None:
    code, document = told("5551")
    assert code == 0
    assert document["wanted"]["status"] == "placed"
    rules = {row["rule"] for row in document["written"]}
    assert {"A1", "C3"} <= rules
    kinds = {(row["kind"], row["source_id"]) for row in document["links"] if row["unlinked_at"] is None}
    assert kinds == {("contribution", "5551"), *(("participant", each) for each in ("11", "12", "13"))}
    assert "Okafor" not in str(document)


def test_who_changed_has_a_history(synced: World, told: Any) -> None:
    synced.orders["5551"]["12"].email = "new@example.org"
    synced.sync(must=0)
    _, document = told("12")
    ended = [row["why"] for row in document["links"] if row["kind"] == "participant" and row["unlinked_at"]]
    assert ended == ["A4, removed"]
    assert "example.org" not in str(document)


def test_who_waits_and_who_is_unknown(synced: World, told: Any) -> None:
    synced.sells(Order("5552", [attendee("21", "Dan", role=None)]))
    synced.sync(must=0)
    code, document = told("21")
    assert (code, [row["rule_id"] for row in document["refused"]]) == (0, ["G2"])
    code, document = told("999")
    assert (code, document["links"], document["wanted"]) == (1, [], {})
