"""What `doctor` says of writing to Airtable: each thing set up wrong with its fix, and nothing changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boxoffice import build, ops
from boxoffice import settings as settings_module
from boxoffice.airtable_api import Client
from boxoffice.build import SyncModel
from boxoffice.settings import Settings
from reverse_etl import bootstrap, doctor
from reverse_etl.journal import Journal
from sandbox.bases import Base
from sandbox.server import StandIn, running

BASE = "appEmpty000000001"
READS = ["data.records:read", "schema.bases:read"]
WRITES = [*READS, "data.records:write"]
ALL = [*WRITES, "schema.bases:write"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[SyncModel]:
    """Those of the project, parsed once."""
    folder = tmp_path_factory.mktemp("parsed")
    return build.sync_models(settings_module.load({"DATABASE_URL": f"duckdb:///{folder}/boxoffice.duckdb"}))


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running(bases=[Base(BASE, "Empty")]) as found:
        found.call("POST", "/airtable/settings", {"mode": "off"})
        yield found


@pytest.fixture
def settings(
    tmp_path: Path, stand_in: StandIn, models: list[SyncModel], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setattr(doctor, "sync_models", lambda settings: models)
    (tmp_path / "mappings").mkdir()
    return settings_module.load(
        {
            "DATABASE_URL": f"duckdb:///{tmp_path}/boxoffice.duckdb",
            "AIRTABLE_API_URL": stand_in.airtable,
            "AIRTABLE_TOKEN": "sandbox",
            "AIRTABLE_BASE_ID": BASE,
            "MAPPINGS_DIR": str(tmp_path / "mappings"),
        }
    )


def allow(stand_in: StandIn, scopes: list[str], permission: str = "create") -> None:
    tokens = {"sandbox": {"scopes": scopes, "bases": [BASE], "permission": permission}}
    stand_in.call("POST", "/airtable/settings", {"mode": "off", "tokens": tokens})


def said(settings: Settings) -> list[tuple[str, str]]:
    """State and words, the remedy after them."""
    return [(found.state, f"{found.what} {found.remedy}".strip()) for found in doctor.check(settings)]


def writes(stand_in: StandIn) -> dict[str, Any]:
    """What was changed in the base, by kind."""
    sums = stand_in.call("GET", "/airtable/requests")["sums"]
    return {kind: sums[kind] for kind in sums if kind not in ("schema", "list", "get")}


def made(settings: Settings, models: list[SyncModel]) -> None:
    client = Client(settings.airtable_api_url, "sandbox", BASE, per_second=None)
    bootstrap.make(client, models, client.tables(), {}, {}, {})
    client.close()


def test_without_a_token_writing_is_off(settings):
    assert said(replace(settings, airtable_token=None)) == [
        ("off", "AIRTABLE_TOKEN is not set, so nothing is written to Airtable.")
    ]
    assert said(replace(settings, is_sandbox=True)) == []


def test_a_base_that_nobody_gave_us_is_left_alone(settings, stand_in):
    allow(stand_in, READS)
    [(state, words)] = said(settings)
    assert state == "off"
    assert "--bootstrap` makes the tables Venues, Events and Ticket Sales." in words


def test_missing_tables_and_scopes_are_named_with_their_fix(settings, stand_in):
    (settings.mappings_dir / "airtable_fields.csv").write_text("model,column,airtable\nvenues,,Rooms\n")
    allow(stand_in, READS)
    found = said(settings)
    for state, words in (
        ("wrong", "The base has no table 'Rooms'"),
        ("wrong", "The base has no table 'Events'"),
        ("wrong", "The base has no table 'Ticket Sales'"),
        ("look", "may not make the missing tables or fields. Give the token the scope schema.bases:write"),
    ):
        assert [each for each in found if each[0] == state and words in each[1]], (words, found)
    assert len(found) == 4
    # The base has no table to try to write to.
    assert stand_in.call("GET", "/airtable/requests")["count"] == 2


def test_all_is_well_where_bootstrap_made_the_tables(settings, stand_in, models):
    made(settings, models)
    stand_in.call("DELETE", "/airtable/requests")
    before = stand_in.call("GET", "/airtable/")
    allow(stand_in, WRITES, permission="edit")
    found = said(settings)
    assert [state for state, _ in found] == ["ok", "ok"]
    assert "Venues (6 fields), Events (21 fields) and Ticket Sales (15 fields)" in found[0][1]
    assert found[1][1] == "AIRTABLE_TOKEN may write records."
    assert stand_in.call("GET", "/airtable/requests")["count"] == 2
    assert stand_in.call("GET", "/airtable/")["bases"] == before["bases"]


@pytest.mark.parametrize(("scopes", "permission"), [(READS, "create"), (WRITES, "comment")])
def test_a_token_that_may_not_write_is_found_without_writing(settings, stand_in, models, scopes, permission):
    made(settings, models)
    allow(stand_in, scopes, permission)
    found = said(settings)
    assert [state for state, _ in found] == ["ok", "wrong"]
    assert "AIRTABLE_TOKEN may not change" in found[1][1]
    assert "data.records:write" in found[1][1]
    assert "Editor" in found[1][1]


def test_fields_that_do_not_fit_are_named(settings, stand_in, models):
    made(settings, models)
    for change in (
        {"do": "delete_field", "table": "Venues", "field": "City"},
        {"do": "change_type", "table": "Events", "field": "Online", "type": "rating"},
    ):
        stand_in.call("POST", "/airtable/changes", change)
    found = said(settings)
    wrong = [words for state, words in found if state == "wrong"]
    assert [words for words in wrong if "Table Venues has no field 'City'" in words]
    assert [words for words in wrong if "Field Online of Events has type rating" in words]
    assert ("ok", "AIRTABLE_TOKEN may make tables and fields, so `--bootstrap` can.") in found


def test_a_renamed_field_is_well_and_told(settings, stand_in, models):
    made(settings, models)
    found = {each["name"]: each for each in Client(settings.airtable_api_url, "sandbox", BASE).tables()}
    ids = {field["name"]: field["id"] for field in found["Venues"]["fields"]}
    with ops.opened(settings.ops_path) as store:
        Journal(store, "airtable", BASE, 0).bind(
            "sync_airtable__venues", {"": ("Venues", found["Venues"]["id"]), "city": ("City", ids["City"])}
        )
    change = {"do": "rename_field", "table": "Venues", "field": "City", "name": "Town"}
    stand_in.call("POST", "/airtable/changes", change)
    notes = said(settings)
    assert {state for state, _ in notes} == {"ok"}
    assert [words for _, words in notes if "City is called Town by now" in words]


def test_a_line_of_a_mapping_that_cannot_be_used_is_named(settings, stand_in):
    (settings.mappings_dir / "settings.csv").write_text("destination,name,value\nairtable,on_delete,\n")
    [(state, words)] = said(settings)
    assert state == "wrong"
    assert "Line 2 of" in words
    assert stand_in.call("GET", "/airtable/requests")["count"] == 0
