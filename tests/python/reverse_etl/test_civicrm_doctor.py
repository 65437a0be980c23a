"""What `doctor` says of writing to CiviCRM: each thing set up wrong with its fix, and nothing changed but the
status that is made. What `--suggest-mapping` proposes."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from boxoffice import settings as settings_module
from boxoffice.errors import ConfigurationError
from boxoffice.findings import Finding
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from reverse_etl import civicrm_doctor, civicrm_suggest
from reverse_etl.__main__ import main
from reverse_etl.civicrm import REMOVED_STATUS
from reverse_etl.civicrm_suggest import Event, folded, pairs, role_of
from sandbox.civicrm.app import KEY, PERMISSIONS
from sandbox.server import StandIn, running

REMOVED = "Removed_in_EventBrite"
TABLES = """
    create schema silver;
    create schema sync;
    create table silver.events (
        event_key varchar, source varchar, event_id varchar, event_name varchar, is_cancelled boolean,
        is_deleted boolean, has_ended boolean, starts_at timestamp, starts_local timestamp
    );
    create table silver.ticket_classes (
        event_key varchar, ticket_class_id varchar, ticket_class_name varchar, category varchar,
        is_deleted boolean
    );
    create table sync.sync_civicrm__orders (
        order_id varchar, event_id varchar, civicrm_event varchar, currency varchar, gross_minor bigint
    );
    create table sync.sync_civicrm__attendees (
        attendee_id varchar, order_id varchar, event_id varchar, ticket_class_id varchar,
        ticket_class_name varchar, civicrm_role varchar, status varchar, is_gone boolean, first_name varchar,
        last_name varchar, email varchar
    );
"""


INSERT_EVENT = "insert into silver.events values (?, ?, ?, ?, ?, ?, ?, ?, ?)"


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    """A site with three events: the Gala twice a year apart, and a talk in summer time."""
    with running() as stand_in:
        for title, begins in (("Gala", "2026-12-01 20:00:00"), ("Talk", "2026-07-01 19:00:00")):
            values = {"title": title, "event_type_id": 5, "start_date": begins, "is_monetary": True}
            change(stand_in, "create", entity="Event", values=values | {"financial_type_id": 4})
        stand_in.call("PUT", "/snapshots/new")
        yield stand_in


@pytest.fixture
def stand_in(server: StandIn) -> Iterator[StandIn]:
    settings = server.call("GET", "/civicrm/settings")
    yield server
    server.call("DELETE", "/civicrm/faults")
    server.call("POST", "/civicrm/settings", {**settings, "keys": {KEY: user()}})
    server.call("POST", "/snapshots/new")


def user(*without: str) -> dict[str, Any]:
    return {"contact": 2, "permissions": [each for each in PERMISSIONS if each not in without]}


def change(stand_in: StandIn, do: str, **more: Any) -> Any:
    return stand_in.call("POST", "/civicrm/changes", {"do": do, **more})["changed"][0]


def switch(stand_in: StandIn, **settings: Any) -> None:
    stand_in.call("POST", "/civicrm/settings", settings)


def everything(stand_in: StandIn) -> dict[str, list[dict[str, Any]]]:
    """All rows of the site."""
    entities = stand_in.call("GET", "/civicrm/")["rows"]
    return {entity: stand_in.call("GET", f"/civicrm/rows/{entity}")["rows"] for entity in entities}


def row_id(stand_in: StandIn, entity: str, name: str) -> int:
    rows = stand_in.call("GET", f"/civicrm/rows/{entity}")["rows"]
    return next(int(each["id"]) for each in rows if each["name"] == name)


@pytest.fixture
def settings(tmp_path: Path, stand_in: StandIn, built: Path) -> Settings:
    (tmp_path / "mappings").mkdir()
    found = settings_module.load(
        {
            "DATABASE_URL": f"duckdb:///{tmp_path}/boxoffice.duckdb",
            "MAPPINGS_DIR": str(tmp_path / "mappings"),
            "CIVICRM_URL": stand_in.civicrm,
            "CIVICRM_API_KEY": KEY,
            "CIVICRM_TIMEZONE": "America/New_York",
        }
    )
    write(found, "civicrm_events.csv", ["e1,Gala,", "Talk of the town,2,Speaker"])
    write(found, "civicrm_roles.csv", [",General,Attendee"])
    shutil.copy(built, found.warehouse_path)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of two events."""
    path = tmp_path_factory.mktemp("built") / "boxoffice.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(TABLES)
        for key, name, at, local in (
            ("e1", "Gala", "2026-12-02 01:00:00", "2026-12-01 20:00:00"),
            ("e2", "Talk of the town", "2026-07-01 23:00:00", "2026-07-01 19:00:00"),
        ):
            values = (f"eventbrite-{key}", "eventbrite", key, name, False, False, False, at, local)
            connection.execute(INSERT_EVENT, values)
    return path


HEADS = {
    "civicrm_events.csv": "eventbrite_event,civicrm_event,fallback_role",
    "civicrm_roles.csv": "eventbrite_event,ticket_class,civicrm_role",
    "settings.csv": "destination,name,value",
}


def write(settings: Settings, name: str, lines: list[str]) -> None:
    text = "\n".join([HEADS[name], *lines])
    (settings.mappings_dir / name).write_text(f"{text}\n", encoding="utf-8")


def sql(settings: Settings, query: str, *parameters: Any) -> None:
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(query, list(parameters))


def event(settings: Settings, key: str, name: str, at: str, local: str, has_ended: bool = False) -> None:
    values = (f"eventbrite-{key}", "eventbrite", key, name, False, False, has_ended, at, local)
    sql(settings, INSERT_EVENT, *values)


def ticket_class(settings: Settings, key: str, event_id: str, name: str) -> None:
    values = (f"eventbrite-{event_id}", key, name, "admission", False)
    sql(settings, "insert into silver.ticket_classes values (?, ?, ?, ?, ?)", *values)


def attendee(
    settings: Settings, key: str, order: str, name: str | None, role: str | None = "Attendee"
) -> None:
    email = f"{name}@example.org" if name else None
    values = (key, order, "e1", "t1", "VIP", role, "valid", False, name, name, email)
    sql(settings, f"insert into sync.sync_civicrm__attendees values ({', '.join('?' * 11)})", *values)


def order(settings: Settings, key: str, word: str = "Gala", currency: str = "USD", gross: int = 4000) -> None:
    values = (key, "e1", word, currency, gross)
    sql(settings, "insert into sync.sync_civicrm__orders values (?, ?, ?, ?, ?)", *values)


def found(settings: Settings) -> list[Finding]:
    return list(civicrm_doctor.check(settings))


def bad(settings: Settings) -> dict[str, str]:
    """What is not well, to its fix."""
    return {each.what: each.remedy for each in found(settings) if each.state in ("wrong", "look")}


def test_a_site_that_is_well_is_said_to_be_and_only_the_status_is_made(
    settings: Settings, stand_in: StandIn
) -> None:
    order(settings, "5551")
    attendee(settings, "118001", "5551", "Ines")
    before = everything(stand_in)
    stand_in.call("DELETE", "/civicrm/requests")
    first = found(settings)
    assert {each.state for each in first} == {"ok"}, first
    assert "The participant status 'Removed in EventBrite' was missing, and has been made." in [
        each.what for each in first
    ]
    assert stand_in.call("GET", "/civicrm/requests")["count"] < 40
    made = row_id(stand_in, "ParticipantStatusType", REMOVED)
    after = everything(stand_in)
    after["ParticipantStatusType"] = [row for row in after["ParticipantStatusType"] if row["id"] != made]
    assert after == before
    before = everything(stand_in)
    second = [each.what for each in found(settings)]
    assert "The participant status 'Removed in EventBrite' is there." in second
    assert everything(stand_in) == before
    told = " ".join(second)
    for words in (
        "knows the key",
        "CiviCRM 6.15",
        "the times of 2 events agree",
        "read and write",
        "2 events",
    ):
        assert words in told


def test_what_is_not_set_up_is_off_and_half_of_it_is_wrong(settings: Settings) -> None:
    nothing = replace(settings, civicrm_url=None, civicrm_api_key=None)
    assert [each.state for each in found(nothing)] == ["off"]
    (half,) = found(replace(settings, civicrm_timezone=None))
    assert (half.state, half.what) == ("wrong", "CIVICRM_URL is set, and CIVICRM_TIMEZONE is not.")
    write(settings, "civicrm_events.csv", [])
    assert [(each.state, each.remedy) for each in found(settings) if each.state != "ok"] == [
        ("off", civicrm_doctor.SUGGEST)
    ]
    write(settings, "settings.csv", ["civicrm,new_email,perhaps"])
    assert "new_email is 'perhaps'" in found(settings)[0].what


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("/index.php?page=Blog", ""), ("/wp-admin/admin.php", "/wp-admin/admin.php?page=CiviCRM")],
)
def test_the_form_of_address_that_answers_is_told(
    settings: Settings, stand_in: StandIn, wrong: str, right: str
) -> None:
    (only,) = found(replace(settings, civicrm_url=stand_in.civicrm + wrong))
    assert only.state == "wrong"
    assert "There is no CiviCRM API at" in only.what
    answering = only.remedy.removeprefix("Set CIVICRM_URL to ").removesuffix(", which answers.")
    assert found(replace(settings, civicrm_url=answering))[0].state == "ok"


def test_a_key_that_is_refused_ends_it(settings: Settings) -> None:
    (only,) = found(replace(settings, civicrm_api_key="other"))
    assert only.state == "wrong"
    assert "CIVICRM_API_KEY is refused" in only.what


@pytest.mark.parametrize(
    "permission",
    [
        *("add contacts", "edit all contacts", "view all contacts", "access CiviEvent", "view event info"),
        *("view event participants", "register for events", "edit event participants"),
        *("access CiviContribute", "edit contributions"),
    ],
)
def test_each_permission_that_lacks_is_named_whether_or_not_errors_are_hidden(
    settings: Settings, stand_in: StandIn, permission: str
) -> None:
    change(stand_in, "create", entity="ParticipantStatusType", values=REMOVED_STATUS)
    before = everything(stand_in)
    switch(stand_in, keys={KEY: user(permission)}, hide_errors=len(permission) % 2 == 0)
    remedies = [remedy for what, remedy in bad(settings).items() if "may not do all that is needed" in what]
    assert len(remedies) == 1
    assert permission in remedies[0]
    assert everything(stand_in) == before


def test_hidden_errors_and_an_old_version_are_worth_a_look(settings: Settings, stand_in: StandIn) -> None:
    change(stand_in, "update", entity="Domain", id=1, values={"version": "5.69.1"})
    switch(stand_in, hide_errors=True)
    told = bad(settings)
    assert "`view debug output`" in told["The site hides why it refuses something."]
    assert "CiviCRM 5.69.1 is older than what boxoffice is made for." in told


def test_a_status_that_cannot_be_made_is_described(settings: Settings, stand_in: StandIn) -> None:
    switch(stand_in, keys={KEY: user("administer CiviCRM data")})
    ((what, remedy),) = bad(settings).items()
    assert "is missing, and cannot be made" in what
    assert f"name {REMOVED}, label Removed in EventBrite, class Negative" in remedy
    switch(stand_in, keys={KEY: user()})
    assert bad(settings) == {}
    number = row_id(stand_in, "ParticipantStatusType", REMOVED)
    for values, words in (({"is_active": False}, "is off"), ({"class": "Positive"}, "counts as taking part")):
        values = {"is_active": True, "class": "Negative", **values}
        change(stand_in, "update", entity="ParticipantStatusType", id=number, values=values)
        assert words in " ".join(bad(settings))


def test_what_only_administrators_may_know_is_not_needed(settings: Settings, stand_in: StandIn) -> None:
    """As CiviCRM is, unlike the stand-in: what its list of permissions does not name is administrators'."""
    denied = {"error_code": 0, "error_message": "Authorization failed: CiviCRM APIv4", "status": 403}
    fault = {"do": "answer", "status": 403, "body": denied, "times": None}
    for entity in ("ParticipantStatusType", "Setting", "Domain", "DedupeRuleGroup"):
        stand_in.call("POST", "/civicrm/faults", {**fault, "path": f"/{entity}/"})
    ((what, remedy),) = bad(settings).items()
    assert "is missing, and cannot be made" in what
    assert remedy.startswith("Make it under Administer")
    change(stand_in, "create", entity="ParticipantStatusType", values=REMOVED_STATUS)
    assert bad(settings) == {}


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "where it was UTC+0:00 when event 1 began; the site says it was UTC-5:00."),
        # The same in winter.
        ("America/Bogota", "where it was UTC-5:00 when event 2 began; the site says it was UTC-4:00."),
        ("Asia/Kolkata", "the site says it was UTC-5:00."),
    ],
)
def test_a_time_zone_that_is_not_the_sites_is_seen_by_its_events(
    settings: Settings, zone: str, words: str
) -> None:
    ((what, remedy),) = bad(replace(settings, civicrm_timezone=zone)).items()
    assert what.endswith(words)
    assert "Set it to the zone of the CMS's settings" in remedy


def test_rules_for_the_same_person(settings: Settings, stand_in: StandIn) -> None:
    write(settings, "settings.csv", ["civicrm,dedupe_rule,Individual.Supervised"])
    ((what, remedy),) = bad(settings).items()
    assert "compares first name, last name, email" in what
    assert "Individual.Unsupervised" in remedy
    write(settings, "settings.csv", ["civicrm,dedupe_rule,event"])
    assert bad(settings) == {}
    change(stand_in, "update", entity="Event", id=2, values={"dedupe_rule_group_id": 1})
    assert "The rule 1 compares" in " ".join(bad(settings))
    write(settings, "settings.csv", ["civicrm,dedupe_rule,No such rule"])
    assert "cannot look for the same person by the rule No such rule" in " ".join(bad(settings))


def test_location_types_that_are_off(settings: Settings, stand_in: StandIn) -> None:
    for name in ("Billing", "Work"):
        number = row_id(stand_in, "LocationType", name)
        change(stand_in, "update", entity="LocationType", id=number, values={"is_active": False})
    assert [what for what in bad(settings) if "location type" in what] == [
        "The location type Billing is switched off: addresses go to Home.",
        "The location type Work is switched off: phone numbers go to Home.",
    ]


def test_lines_that_fit_nothing_on_one_side(settings: Settings, stand_in: StandIn) -> None:
    twin = {"title": "Gala", "event_type_id": 5, "start_date": "2027-12-01 20:00:00"}
    change(stand_in, "create", entity="Event", values=twin)
    change(stand_in, "update", entity="Event", id=2, values={"is_active": False})
    event(settings, "e3", "Talk of the town", "2026-08-01 23:00:00", "2026-08-01 19:00:00")
    write(settings, "civicrm_events.csv", ["e1,gala,", "Talk of the town,2,Juggler", "e9,Opera,"])
    told = bad(settings)
    where = "civicrm_events.csv"
    assert told[f"Line 2 of {where} maps e1 to gala, a title that several events have."] == (
        "Write the id of one: 1, 3."
    )
    assert f"Line 3 of {where} maps Talk of the town to 2, which is switched off." in told
    several = f"Line 3 of {where} names Talk of the town, which several events on Eventbrite are called"
    assert told[f"{several}, so none counts."] == "Write the id of each: e2, e3."
    assert f"Line 4 of {where} maps e9 to Opera, which CiviCRM has not." in told
    assert f"Line 4 of {where} names e9, which no event on Eventbrite is called." in told
    sql(settings, "update silver.events set is_deleted = true where event_id = 'e3'")
    assert f"{several}, so none counts." not in bad(settings)
    roles = told[f"Line 3 of {where} names the role Juggler, which CiviCRM has not."]
    assert roles == "There are Attendee, Volunteer, Host, Speaker."


def test_free_events_that_sell_and_money_that_the_site_does_not_take(
    settings: Settings, stand_in: StandIn
) -> None:
    change(stand_in, "update", entity="Event", id=1, values={"is_monetary": False})
    assert bad(settings) == {}
    order(settings, "5551")
    order(settings, "5552", currency="EUR")
    assert list(bad(settings)) == [
        "Line 2 of civicrm_events.csv maps e1 to Gala, which is a free event: its orders become no"
        " contributions.",
        "Orders in EUR, which the site has not enabled, are not written: 1.",
    ]


def test_classes_without_a_role_and_people_without_a_name(settings: Settings) -> None:
    attendee(settings, "118001", "5551", "Ines", role=None)
    attendee(settings, "118002", "5551", None)
    told = list(bad(settings))
    assert told == [
        "Ticket classes without a role: VIP. Attendees left out: 1.",
        "Gala: 1 of 2 attendees have no name and no e-mail yet. They wait until they have.",
    ]
    sql(settings, "delete from sync.sync_civicrm__attendees")
    for place in range(6):
        attendee(settings, f"11800{place}", f"555{place // 2}", f"Buyer {place // 2}")
    assert list(bad(settings)) == [
        "Gala collects the buyer's data only: all attendees of an order are one contact."
    ]
    attendee(settings, "118009", "5551", "Guest")
    assert bad(settings) == {}


def test_events_to_come_that_are_not_mapped_are_named(settings: Settings) -> None:
    event(settings, "e5", "Opera", "2026-12-24 01:00:00", "2026-12-23 20:00:00")
    event(settings, "e6", "Old opera", "2020-12-24 01:00:00", "2020-12-23 20:00:00", has_ended=True)
    (said,) = [each for each in found(settings) if "not mapped" in each.what]
    assert (said.state, said.remedy) == ("ok", civicrm_doctor.SUGGEST)
    assert said.what == "Events to come that are not mapped, and left alone: Opera."


def test_a_warehouse_that_is_not_built_yet_is_no_trouble(settings: Settings) -> None:
    settings.warehouse_path.unlink()
    assert bad(settings) == {}


# -- suggestions


def test_names_are_compared_without_what_people_write_differently() -> None:
    assert folded("  Café—GALA & Friends!") == folded("cafe gala and friends")
    assert folded("Gala 2026") != folded("Gala 2027")


def test_pairs_are_sure_of_one_name_and_day_only() -> None:
    day, later = date(2026, 12, 1), date(2027, 12, 1)
    ours = [
        Event("e1", "Gala", day),
        Event("e2", "Talk", day),
        Event("e3", "Opera", day),
        Event("e4", "X", None),
    ]
    theirs = [Event("1", "GALA!", day), Event("2", "Gala", later), Event("3", "Talk", later)]
    theirs += [Event("4", "Grand opera", day)]
    sure, unsure, alone = pairs(ours, theirs)
    assert [pair.line for pair in sure] == [("e1", "1", "")]
    assert [(pair.line[:2], pair.why) for pair in unsure] == [
        (("e2", "3"), "it is on 2027-12-01 there, on 2026-12-01 on Eventbrite"),
        (("e3", "4"), "it is called 'Grand opera' there"),
    ]
    assert [each.id for each in alone] == ["e4"]
    # Of many of one name, the one that is least far in time.
    years = [Event(str(year), "Gala", date(year, 12, 2)) for year in range(2020, 2030)]
    assert [pair.civicrm.id for pair in pairs([Event("e1", "Gala", day)], years)[1]] == ["2026"]
    # What is surely another's is nobody else's.
    assert pairs([ours[0], Event("e8", "gala", later)], theirs[:1])[1:] == ([], [Event("e8", "gala", later)])
    twice = pairs([Event("e1", "Gala", day), Event("e9", "gala", day)], [Event("1", "Gala", day)])
    assert [pair.line[0] for pair in twice[1]] == ["e1", "e9"]
    both = pairs([Event("e1", "Gala", day)], [Event("1", "Gala", day), Event("2", "Gala", day)])
    assert [pair.why for pair in both[1]] == ["several events in CiviCRM are called so that day"] * 2
    # The evening of the place is the next morning of the site.
    assert pairs([Event("e1", "Gala", day, date(2026, 12, 2))], [Event("1", "Gala", date(2026, 12, 2))])[0]


def test_roles_go_by_the_words_of_a_class() -> None:
    roles = ["Attendee", "Volunteer", "Host", "Speaker"]
    assert [role_of(name, roles) for name in ("VIP", "Volunteers (morning)", "SPEAKER", "Hostel")] == [
        *("Attendee", "Volunteer", "Speaker", "Attendee"),
    ]
    assert role_of("VIP", ["Guest"]) == "Guest"


def test_suggestions_can_be_pasted_and_change_nothing(
    settings: Settings, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"title": 'Opera, "in short"', "event_type_id": 5, "start_date": "2026-12-23 20:00:00"}
    change(stand_in, "create", entity="Event", values=values)
    event(settings, "e5", "OPERA in short", "2026-12-24 01:00:00", "2026-12-23 20:00:00")
    event(settings, "e7", "Circus", "2026-12-24 01:00:00", "2026-12-23 20:00:00")
    for place, (of, name) in enumerate(
        (("e1", "General"), ("e1", "VIP"), ("e5", "Host, free"), ("e7", "Ring"))
    ):
        ticket_class(settings, f"t{place}", of, name)
    before = {path: path.read_bytes() for path in settings.mappings_dir.iterdir()}
    there = everything(stand_in)
    exit_code, document = civicrm_suggest.suggested(settings, Terminal(as_json=False))
    assert exit_code == 0
    assert everything(stand_in) == there
    assert {path: path.read_bytes() for path in settings.mappings_dir.iterdir()} == before
    assert [(each["eventbrite_event"], each["civicrm_event"]) for each in document["events"]] == [("e5", "3")]
    assert [each["id"] for each in document["alone"]] == ["e7"]
    printed = capsys.readouterr().out
    lines = list(csv.reader(io.StringIO(printed)))
    assert ["e5", "3", ""] in lines
    assert ["", "VIP", "Attendee"] in lines
    assert ["", "Host, free", "Host"] in lines
    assert not any("Ring" in line for line in lines)
    # Accepted, they leave nothing but the event that CiviCRM has not.
    write(settings, "civicrm_events.csv", ["e1,Gala,", "Talk of the town,2,Speaker", "e5,3,"])
    write(settings, "civicrm_roles.csv", [",General,Attendee", ",VIP,Attendee", ',"Host, free",Host'])
    _, document = civicrm_suggest.suggested(settings, Terminal(as_json=True))
    assert (document["events"], document["unsure"], document["roles"]) == ([], [], [])
    assert bad(settings) == {}


def test_suggestions_are_asked_for_by_a_command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPPINGS_DIR", str(settings.mappings_dir))
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{settings.warehouse_path}")
    monkeypatch.setenv("CIVICRM_URL", str(settings.civicrm_url))
    monkeypatch.setenv("CIVICRM_API_KEY", KEY)
    monkeypatch.setenv("CIVICRM_TIMEZONE", "America/New_York")
    said = CliRunner().invoke(main, ["civicrm", "--suggest-mapping", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["roles"] == []
    said = CliRunner().invoke(main, ["civicrm", "--suggest-mapping"])
    assert said.stdout == "Every event on Eventbrite is mapped, and every ticket class has a role.\n"
    for words in (["--suggest-mapping"], ["airtable", "--suggest-mapping"]):
        assert CliRunner().invoke(main, words).exit_code == 2
    monkeypatch.setenv("CIVICRM_TIMEZONE", "")
    said = CliRunner().invoke(main, ["civicrm", "--suggest-mapping"])
    assert said.exit_code == 2
    assert "CIVICRM_TIMEZONE is not" in said.output


def test_suggestions_need_a_site_and_events(settings: Settings) -> None:
    nowhere = replace(settings, civicrm_url=None, civicrm_api_key=None)
    with pytest.raises(ConfigurationError, match="CIVICRM_URL is not set"):
        civicrm_suggest.suggested(nowhere, Terminal(as_json=True))
    settings.warehouse_path.unlink()
    with pytest.raises(ConfigurationError, match="`make run` comes first"):
        civicrm_suggest.suggested(settings, Terminal(as_json=True))
