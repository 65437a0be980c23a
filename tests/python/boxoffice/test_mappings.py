"""What people write into MAPPINGS_DIR about writing back, and what is said of a line that cannot be used."""

from dataclasses import replace

import pytest

from boxoffice import mappings
from boxoffice.errors import ConfigurationError
from boxoffice.settings import ROOT, Settings


def kept(settings: Settings, name: str, text: str) -> Settings:
    settings.mappings_dir.joinpath(name).write_text(text, encoding="utf-8")
    return settings


@pytest.fixture
def own(settings: Settings, tmp_path):
    folder = tmp_path / "mappings"
    folder.mkdir()
    return replace(settings, mappings_dir=folder)


def test_without_the_files_nothing_is_bound_or_set(own):
    assert mappings.airtable_fields(own) == {}
    assert mappings.policies(own, "airtable") == {}


def test_the_project_binds_and_sets_nothing(settings):
    in_project = replace(settings, mappings_dir=ROOT / "seeds" / "mappings")
    assert mappings.airtable_fields(in_project) == {}
    assert mappings.policies(in_project, "airtable") == {}
    assert (in_project.mappings_dir / mappings.AIRTABLE_FIELDS).read_text() == "model,column,airtable\n"
    assert (in_project.mappings_dir / mappings.SETTINGS).read_text() == "destination,name,value\n"


def test_a_model_goes_by_its_name_or_by_its_thing(own):
    kept(
        own,
        mappings.AIRTABLE_FIELDS,
        '\ufeffairtable;Column;model;note\n"Shows; all";;events;\n\ntbl1;;sync_airtable__venues;ours\n'
        "How full;sell_through;Events;\n;no_show_rate;events;not wanted\n",
    )
    assert mappings.airtable_fields(own) == {
        ("sync_airtable__events", ""): "Shows; all",
        ("sync_airtable__venues", ""): "tbl1",
        ("sync_airtable__events", "sell_through"): "How full",
        ("sync_airtable__events", "no_show_rate"): "",
    }


def test_policies_are_those_of_the_destination(own):
    kept(
        own,
        mappings.SETTINGS,
        "destination,name,value\nairtable,on_delete,archive\nAirtable,Ticket_Sales.on_delete,delete\n"
        "civicrm,on_delete,keep\nairtable,archive_field,Old?\n",
    )
    assert mappings.policies(own, "airtable") == {
        "on_delete": "archive",
        "ticket_sales.on_delete": "delete",
        "archive_field": "Old?",
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (mappings.AIRTABLE_FIELDS, "model,field\n", "has no column column and no column airtable"),
        (mappings.AIRTABLE_FIELDS, "model,column,airtable\n,city,Town\n", "Line 2 of .* names no model"),
        (
            mappings.AIRTABLE_FIELDS,
            "model,column,airtable\nvenues,city,Town\n\nsync_airtable__venues,city,City\n",
            "Line 4 of .* names column city of venues a second time",
        ),
        (
            mappings.AIRTABLE_FIELDS,
            "model,column,airtable\nvenues,,A\nvenues,,B\n",
            "Line 3 of .* names the table of venues a second time",
        ),
        (mappings.SETTINGS, "destination,name,value\nairtable,on_delete,\n", "Line 2 of .* has no value"),
        (
            mappings.SETTINGS,
            "destination,name,value\nairtable,on_null,keep\nairtable,on_null,clear\n",
            "Line 3 of .* sets on_null a second time",
        ),
        (mappings.SETTINGS, "", "has no column destination and no column name and no column value"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(own, name, text, said):
    kept(own, name, text)
    with pytest.raises(ConfigurationError, match=said) as found:
        (mappings.airtable_fields(own), mappings.policies(own, "airtable"))
    assert found.value.remedy


EVENTS = "eventbrite_event,civicrm_event,fallback_role\n"
ROLES = "eventbrite_event,ticket_class,civicrm_role\n"


def test_events_and_roles_go_by_id_or_name_and_say_their_line(own):
    kept(own, mappings.CIVICRM_EVENTS, f'\ufeff{EVENTS}800, 41 ,\n\n"Gala, late",Spring Gala, Attendee\n')
    kept(own, mappings.CIVICRM_ROLES, f"{ROLES},VIP,Host\n800,VIP,Speaker\n")
    assert mappings.civicrm_events(own) == [
        mappings.EventLine(2, "800", "41", ""),
        mappings.EventLine(4, "Gala, late", "Spring Gala", "Attendee"),
    ]
    assert mappings.civicrm_roles(own) == [
        mappings.RoleLine(2, "", "VIP", "Host"),
        mappings.RoleLine(3, "800", "VIP", "Speaker"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (mappings.CIVICRM_EVENTS, f"{EVENTS}800,,Host\n", "Line 2 of .* has no civicrm_event"),
        (mappings.CIVICRM_EVENTS, f"{EVENTS},41,\n", "Line 2 of .* has no eventbrite_event"),
        (mappings.CIVICRM_EVENTS, f"{EVENTS}800,41,\n 800 ,42,\n", "Line 3 of .* maps 800 a second time"),
        (mappings.CIVICRM_EVENTS, f"{EVENTS}800,41\n", "line 2, has 2 cells, not 3"),
        (mappings.CIVICRM_EVENTS, "eventbrite_event,civicrm_event\n", "does not begin with its header"),
        (mappings.CIVICRM_ROLES, f"{ROLES}800,,Host\n", "Line 2 of .* has no ticket_class"),
        (mappings.CIVICRM_ROLES, f"{ROLES},VIP,\n", "Line 2 of .* has no civicrm_role"),
        (mappings.CIVICRM_ROLES, f"{ROLES},VIP,A\n,VIP,B\n", "Line 3 of .* maps VIP a second time"),
        (mappings.CIVICRM_ROLES, f"{ROLES}8,VIP,A\n\n8,VIP,A\n", "Line 4 of .* maps VIP of 8 a second time"),
        (mappings.CIVICRM_ROLES, None, "cannot be read"),
    ],
)
def test_a_line_for_civicrm_that_cannot_be_used_stops_before_any_work(own, name, text, said):
    for each in mappings.NEEDED:
        kept(own, each, (mappings.DEFAULTS / each).read_text())
    mappings.check(own)
    if text is None:
        own.mappings_dir.joinpath(name).unlink()
    else:
        kept(own, name, text)
    with pytest.raises(ConfigurationError, match=said) as found:
        mappings.check(own)
    assert name in str(found.value)
    assert found.value.remedy


def test_a_file_that_is_no_text_is_named(own):
    (own.mappings_dir / mappings.SETTINGS).write_bytes(b"\xff\xfe\x00d")
    with pytest.raises(ConfigurationError, match="is no UTF-8 text"):
        mappings.policies(own, "airtable")
