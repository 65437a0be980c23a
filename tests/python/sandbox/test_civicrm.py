"""The stand-in behaves as the reference page says CiviCRM does; civicrmapi works against it unchanged."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import civicrmapi
import pytest
import requests
from civicrmapi.errors import AccessDenied, ApiError
from civicrmapi.http import HttpApiV3, HttpApiV4

from sandbox.civicrm.app import ADMIN_KEY, KEY, PERMISSIONS
from sandbox.server import StandIn, running

NOW = "2026-03-01T10:00:00Z"  # 5 in the morning in New York
Api = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running() as stand_in:
        stand_in.set_clock(NOW)
        stand_in.call("GET", "/civicrm/")  # begins the site
        stand_in.call("PUT", "/snapshots/new")
        yield stand_in


@pytest.fixture
def site(server: StandIn) -> Iterator[StandIn]:
    settings = server.call("GET", "/civicrm/settings")
    yield server
    server.set_clock(NOW)
    server.call("DELETE", "/civicrm/faults")
    server.call("DELETE", "/civicrm/requests")
    both = {KEY: {"contact": 2, "permissions": list(PERMISSIONS)}, ADMIN_KEY: {"permissions": None}}
    server.call("POST", "/civicrm/settings", {**settings, "keys": both})
    server.call("POST", "/snapshots/new")


def post(site: StandIn, path: str, form: Any = None, key: str | None = KEY, **more: Any) -> requests.Response:
    headers = {"X-Requested-With": "XMLHttpRequest"} | more.pop("headers", {})
    headers |= {"X-Civi-Auth": f"Bearer {key}"} if key else {}
    url = f"{site.civicrm}/civicrm/ajax/{path}"
    return requests.request(more.pop("method", "POST"), url, data=form, headers=headers, timeout=10, **more)


@pytest.fixture
def api(site: StandIn) -> Api:
    """One call of API v4: its whole answer."""

    def call(entity: str, does: str, key: str = KEY, index: str | None = None, **params: Any) -> Any:
        form = {"params": json.dumps(params)} | ({"index": index} if index else {})
        return post(site, f"api4/{entity}/{does}", form, key).json()

    return call


@pytest.fixture
def v3(site: StandIn) -> Api:
    def call(entity: str, action: str, key: str = KEY, **params: Any) -> Any:
        form = {"entity": entity, "action": action, "json": json.dumps(params)}
        answer = post(site, "rest", form, key)
        assert answer.status_code == 200
        return answer.json()

    return call


def change(site: StandIn, do: str, **more: Any) -> Any:
    return site.call("POST", "/civicrm/changes", {"do": do, **more})["changed"][0]


def person(site: StandIn, email: str | None = "ines@example.org", first: str = "Ines", **more: Any) -> int:
    values = {"first_name": first, "last_name": "Okafor", **more}
    values |= {"email_primary.email": email} if email else {}
    number: int = change(site, "create", entity="Contact", values=values)
    return number


def gala(site: StandIn, **more: Any) -> int:
    values = {"title": "Gala", "event_type_id": 5, "start_date": "2026-04-01 20:00:00", **more}
    number: int = change(site, "create", entity="Event", values=values)
    return number


def rows(site: StandIn, entity: str) -> list[Any]:
    found: list[Any] = site.call("GET", f"/civicrm/rows/{entity}")["rows"]
    return found


# -- the client that others wrote


def test_a_public_client_works_against_it(site: StandIn) -> None:
    four = HttpApiV4(f"{site.civicrm}/", KEY)
    [made] = four.Contact.create({"first_name": "Ines", "last_name": "Okafor", "contact_type": "Individual"})
    [found] = four.Contact.get({"select": ["display_name"], "where": [["id", "=", made["id"]]]})
    assert found == {"id": made["id"], "display_name": "Ines Okafor"}
    four.Contact.update({"id": made["id"], "last_name": "Lind"})
    assert four.Contact.get({"id": made["id"]})[0]["last_name"] == "Lind"
    with pytest.raises(ApiError, match="does not exist"):
        four("Foo", "get")
    with pytest.raises(AccessDenied, match="HTTP 401 Invalid credential"):
        HttpApiV4(site.civicrm, "wrong").Contact.get({})
    three = HttpApiV3(site.civicrm, KEY, "site-key")
    assert [row["last_name"] for row in three.Contact.get({"id": made["id"]})] == ["Lind"]
    with pytest.raises(ApiError, match="Mandatory key"):
        three.Participant.create({"contact_id": made["id"]})
    assert civicrmapi


# -- transport, keys, errors


def test_params_come_as_a_form_and_json_bodies_count_as_nothing(site: StandIn) -> None:
    person(site)
    only = {"where": [["first_name", "=", "Ines"]], "select": ["id"]}
    assert post(site, "api4/Contact/get", {"params": json.dumps(only)}).json()["count"] == 1
    assert post(site, "api4/Contact/get", json={"params": only}).json()["count"] == 3
    assert post(site, "api4/Contact/get", params={"params": json.dumps(only)}).json()["count"] == 1


def test_reading_by_get_only(site: StandIn) -> None:
    assert post(site, "api4/Contact/get", method="GET").json()["count"] == 2
    refused = post(site, "api4/Contact/create", method="GET")
    assert (refused.status_code, refused.json()["error_code"]) == (200, 405)
    site.call("POST", "/civicrm/settings", {"error_status": "by_kind"})
    assert post(site, "api4/Contact/create", method="GET").status_code == 405
    assert rows(site, "Contact")[2:] == []


def test_wrong_keys_get_plain_text_and_no_key_an_empty_list(site: StandIn) -> None:
    answer = post(site, "api4/Contact/get", key="wrong")
    assert (answer.status_code, answer.text) == (401, "HTTP 401 Invalid credential")
    assert answer.headers["content-type"].startswith("text/plain")
    nobody = post(site, "api4/Contact/get", key=None)
    assert (nobody.status_code, nobody.json()["values"]) == (200, [])
    assert post(site, "api4/Contact/create", key=None).json()["status"] == 403
    by_header = {"Authorization": f"Bearer {KEY}", "X-Requested-With": ""}
    assert post(site, "api4/Contact/get", key=None, headers=by_header).json()["error_code"] == 400
    by_header["X-Requested-With"] = "XMLHttpRequest"
    assert post(site, "api4/Contact/get", key=None, headers=by_header).json()["count"] == 2
    keys = {"weak": {"permissions": ["access CiviCRM"]}, "out": {"permissions": None, "is_blocked": True}}
    site.call("POST", "/civicrm/settings", {"keys": keys})
    assert "Must satisfy guard (site_key, perm)." in post(site, "api4/Contact/get", key="weak").text
    assert "User is blocked" in post(site, "api4/Contact/get", key="out").text
    with_site_key = post(site, "api4/Event/get", key="weak", headers={"X-Civi-Key": "site-key"})
    assert with_site_key.json()["error_code"] == "1"  # may not see what is wrong
    assert with_site_key.json()["status"] == 403


def test_errors_have_two_styles_and_may_be_hidden(site: StandIn) -> None:
    wrong = {"params": json.dumps({"where": [["foo", "=", 1]]})}
    answer = post(site, "api4/Contact/get", wrong)
    told = {"error_code": 0, "error_message": "Invalid field 'foo'", "status": 500}
    assert (answer.status_code, answer.json()) == (200, told)
    site.call("POST", "/civicrm/settings", {"error_status": "by_kind", "error_id": True})
    answer = post(site, "api4/Contact/get", wrong)
    assert (answer.status_code, set(answer.json())) == (500, {"error_id", *told})
    assert post(site, "api4/Contact/delete", {"params": '{"where":[["id","=",2]]}'}).status_code == 403
    site.call("POST", "/civicrm/settings", {"hide_errors": True})
    assert post(site, "api4/Contact/get", wrong).json()["error_message"].startswith("Sorry an error")
    site.call("POST", "/civicrm/settings", {"maintenance": True})
    answer = post(site, "api4/Contact/get")
    assert (answer.status_code, answer.json()["status_code"]) == (503, 503)


@pytest.mark.parametrize(
    ("entity", "action", "params", "message"),
    [
        ("Contact", "get", {"foo": 1}, "Unknown api parameter: foo"),
        ("Foo", "get", {}, "API (Foo, get) does not exist (or the extension it belongs to is not enabled)."),
        ("ParticipantPayment", "get", {}, "API (ParticipantPayment, get) does not exist"),
        (
            "Contribution",
            "create",
            {"values": {"fee_amount": 1}},
            "values missing from Api4 Contribution::create: contact_id, financial_type_id, total_amount",
        ),
        ("Contact", "create", {"values": {"id": 1}}, "Cannot pass id to Create action. Use Update action"),
        (
            "Contact",
            "update",
            {"values": {"first_name": "x"}},
            'Parameter "where" is required unless primary',
        ),
        ("Participant", "delete", {}, 'Parameter "where" is required.'),
        ("LineItem", "create", {"values": {}}, "Authorization failed: CiviCRM APIv4 (LineItem::create)"),
        (
            "Participant",
            "create",
            {"values": {"contact_id": 2, "event_id": 99}},
            "DB Error: constraint violation",
        ),
    ],
)
def test_refusals_say_what_the_page_says(
    api: Api, entity: str, action: str, params: Any, message: str
) -> None:
    assert message in api(entity, action, **params)["error_message"]


def test_each_call_of_many_stands_by_itself(site: StandIn) -> None:
    calls = {
        "a": ["Contact", "create", {"values": {"first_name": "A"}}],
        "b": ["Foo", "get", {}],
        "c": ["Contact", "get", {"select": ["first_name"]}, "first_name"],
    }
    site.call("POST", "/civicrm/settings", {"error_status": "by_kind"})
    answer = post(site, "api4", {"calls": json.dumps(calls)})
    found = answer.json()
    assert (answer.status_code, found["b"]["error_code"], "A" in found["c"]["values"]) == (200, 0, True)
    assert post(site, "api4", {"calls": json.dumps([calls["b"]])}).status_code == 500


def test_senseless_parameters_are_refused_not_fatal(site: StandIn, api: Api) -> None:
    for params in (
        {"where": "x"},
        {"limit": "many"},
        {"where": [[1, 2]]},
        {"orderBy": {"id": None}, "select": 5},
    ):
        assert "error_code" in api("Contact", "get", **params)
    assert "error_code" in api("Contact", "save", records=5)
    assert "error_code" in api("Contact", "create", values={"first_name": "x"}, chain={"a": []})
    assert post(site, "rest", {"entity": "Email", "action": "delete", "json": '{"id":"x"}'}).json()[
        "is_error"
    ]
    assert post(site, "api4/Contact/get", {"params": "{"}).json()["count"] == 3  # no JSON: no parameters
    assert post(site, "nowhere").status_code == 404


def test_forms_of_address_of_other_sites(site: StandIn) -> None:
    headers = {"X-Civi-Auth": f"Bearer {KEY}"}
    for query in (
        "?page=CiviCRM&q=civicrm/ajax/api4/LocationType/get",
        "index.php?option=com_civicrm&task=civicrm/ajax/api4/LocationType/get",
    ):
        answer = requests.post(f"{site.civicrm}/{query}", headers=headers, timeout=10)
        assert answer.json()["count"] == 5
    old = {"entity": "Contact", "action": "get", "api_key": KEY, "key": "site-key", "json": "{}"}
    assert requests.post(f"{site.civicrm}/extern/rest.php", data=old, timeout=10).json()["count"] == 2
    by_variable = {"_authx": f"Bearer {KEY}", "params": "{}"}
    address = f"{site.civicrm}/civicrm/ajax/api4/Individual/get"
    assert requests.post(address, data=by_variable, timeout=10).json()["count"] == 1


# -- writing and reading


def test_unknown_fields_vanish_and_unknown_options_become_null(site: StandIn, api: Api) -> None:
    [made] = api("Contact", "create", values={"first_name": "A", "nonsense": 1})["values"]
    assert "nonsense" not in made
    assert "nonsense" not in api("Contact", "get", select=["nonsense", "first_name"])["values"][0]
    event = gala(site)
    refused = api(
        "Participant", "create", values={"contact_id": 2, "event_id": event, "status_id:name": "Bogus"}
    )
    assert refused["error_message"] == "DB Error: constraint violation"
    values = {"contact_id": 2, "total_amount": 5, "financial_type_id:name": "Bogus"}
    assert "Mandatory values missing" in api("Contribution", "create", values=values)["error_message"]
    values = {"contact_id": 2, "location_type_id": 1, "country_id:abbr": "US", "state_province_id:abbr": "QC"}
    number = api("Address", "create", values=values)["values"][0]["id"]
    [address] = api("Address", "get", select=["country_id:name", "state_province_id"])["values"]
    assert address == {"id": number, "country_id:name": "United States", "state_province_id": None}
    assert api("Address", "update", values={"id": number, "state_province_id:abbr": "MA"})["count"] == 1
    assert api("Address", "get", select=["state_province_id:name"])["values"][0]["state_province_id:name"]


def test_times_are_the_sites_and_say_no_zone(site: StandIn, api: Api) -> None:
    values = {"contact_id": person(site), "event_id": gala(site), "register_date": "2026-03-01T10:00:00Z"}
    [made] = api("Participant", "create", values=values)["values"]
    assert made["register_date"] == "20260301050000"
    [found] = api("Participant", "get")["values"]
    assert found["register_date"] == "2026-03-01 05:00:00"
    assert (found["role_id"], found["is_test"], found["status_id"]) == (["1"], False, 1)
    site.call("POST", "/civicrm/settings", {"time_zone": "Asia/Tokyo"})
    api("Participant", "update", values={"register_date": "2026-03-01T10:00:00Z"}, where=[["id", "=", 1]])
    assert api("Participant", "get")["values"][0]["register_date"] == "2026-03-01 19:00:00"
    [void] = api("Participant", "create", values=values | {"register_date": None})["values"]
    assert void["register_date"] is None


def test_what_is_in_the_trash_a_test_or_a_template_is_not_listed(site: StandIn, api: Api) -> None:
    number = person(site)
    change(site, "delete", entity="Contact", id=number)
    assert api("Contact", "get", where=[["id", "=", number]])["values"] == []
    both = ["is_deleted", "IN", [True, False]]
    assert api("Contact", "get", where=[["id", "=", number], both])["count"] == 1
    event = gala(site, is_template=True)
    assert api("Event", "get", where=[["id", "=", event]])["values"] == []
    change(site, "create", entity="Participant", values={"contact_id": 2, "event_id": event, "is_test": True})
    assert api("Participant", "get")["count"] == 0
    assert api("Participant", "get", where=[["is_test", "=", True]])["count"] == 1


def test_save_matches_none_one_or_inserts_again(site: StandIn, api: Api) -> None:
    def save(match: list[str], **record: Any) -> Any:
        return api("Contact", "save", records=[record], match=match, defaults={"source": "Eventbrite"})

    first = save(["external_identifier"], external_identifier="x1", first_name="A")
    assert first["countMatched"] == 0
    number = first["values"][0]["id"]
    again = save(["external_identifier"], external_identifier="X1", first_name="B")
    assert (again["countMatched"], again["values"][0]["id"]) == (1, number)
    missing = save(["external_identifier", "last_name"], first_name="C", last_name="L")
    assert missing["countMatched"] == 0  # a key that is not in the record: no match is tried
    save([], first_name="C", last_name="L")
    assert save(["last_name"], last_name="L")["countMatched"] == 0  # two fit: a third is made
    change(site, "delete", entity="Contact", id=number)
    taken = save(["external_identifier"], external_identifier="x1")
    assert taken["error_message"] == "DB Error: already exists"  # not matched in the trash, but there


def test_earlier_records_stay_when_a_later_one_is_refused(site: StandIn, api: Api) -> None:
    records = [
        {"first_name": "A", "external_identifier": "1"},
        {"external_identifier": "1"},
        {"first_name": "C"},
    ]
    assert "already exists" in api("Contact", "save", records=records)["error_message"]
    chain = {"mail": ["Email", "create", {"values": {"contact_id": "$id"}}]}
    assert "Mandatory" in api("Contact", "create", values={"first_name": "D"}, chain=chain)["error_message"]
    assert [row["first_name"] for row in rows(site, "Contact")[2:]] == ["A", "D"]
    chain["mail"][2]["values"]["email"] = "d@example.org"  # type: ignore[index]
    [made] = api("Contact", "create", values={"first_name": "E"}, chain=chain)["values"]
    assert made["mail"][0]["contact_id"] == made["id"]


def test_huge_batches_run_out_of_time_and_keep_what_they_wrote(site: StandIn, api: Api) -> None:
    site.call("POST", "/civicrm/settings", {"most_records": 3})
    form = {"params": json.dumps({"records": [{"first_name": str(place)} for place in range(5)]})}
    answer = post(site, "api4/Contact/save", form)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (504, "text/html")
    assert len(rows(site, "Contact")) == 5
    site.call("POST", "/civicrm/settings", {"timeout_style": "drop"})
    with pytest.raises(requests.ConnectionError):
        post(site, "api4/Contact/save", form)


def test_counts_index_and_fields(site: StandIn, api: Api) -> None:
    found = api("LocationType", "get", limit=2, offset=4, select=["name"])
    assert (found["count"], found["countFetched"]) == (5, 1)
    found = api("LocationType", "get", limit=2, select=["name", "row_count"])
    assert (found["count"], found["countFetched"], found["countMatched"]) == (5, 2, 5)
    assert api("LocationType", "get", index="name")["values"]["Billing"]["is_reserved"] is True
    assert api("LocationType", "get", index="0")["values"]["name"] == "Home"
    where = [["OR", [["name", "=", "work"], ["name", "LIKE", "bil%"]]], ["NOT", "AND", [["id", "=", 5]]]]
    assert [row["name"] for row in api("LocationType", "get", where=where)["values"]] == ["Work"]
    fields = api("Participant", "getFields", action="create", loadOptions=["id", "name"], index="name")[
        "values"
    ]
    assert fields["event_id"]["required"] is True
    assert {"id": "4", "name": "Speaker"} in fields["role_id"]["options"]
    assert api("Setting", "get", select=["defaultCurrency"])["values"][0]["value"] == "USD"


def test_custom_fields_are_kept_by_group_and_name(site: StandIn, api: Api) -> None:
    api("CustomGroup", "create", values={"title": "Eventbrite", "extends": "Participant"})
    values = {"custom_group_id:name": "Eventbrite", "data_type": "String", "html_type": "Text"}
    api("CustomField", "create", values=values | {"name": "attendee_id", "label": "Attendee"})
    record = {"contact_id": 2, "event_id": gala(site), "Eventbrite.attendee_id": "118001", "Eventbrite.no": 1}
    [made] = api("Participant", "save", records=[record], match=["Eventbrite.attendee_id"])["values"]
    again = api("Participant", "save", records=[record], match=["Eventbrite.attendee_id"])
    assert (again["countMatched"], again["values"][0]["Eventbrite.attendee_id"]) == (1, None)  # told wrong
    [found] = api(
        "Participant", "get", select=["custom.*"], where=[["Eventbrite.attendee_id", "=", "118001"]]
    )["values"]
    assert found == {"id": made["id"], "Eventbrite.attendee_id": "118001"}
    assert "Eventbrite.attendee_id" not in api("Participant", "get")["values"][0]


def test_a_sandbox_begins_with_events_and_people_of_its_account(tmp_path: Path) -> None:
    from sandbox.civicrm.rows import Rows
    from sandbox.civicrm.switches import Settings
    from sandbox.server import fill_missing_site
    from sandbox.store import Store

    store = Store(tmp_path, lambda: 0)
    store.remember("seed", 2026)
    store.remember("attendees", 40)
    fill_missing_site(store)
    site = Rows(store, Settings(), store.clock)
    titles = {row["title"]: row["start_date"] for row in site.all("Event")}
    assert titles["Open Sessions"] == "2026-01-20 21:00:00"
    assert site.first("Email", contact_id=3)
    people = len(site.all("Contact"))
    site.remove("Contact", 3)
    fill_missing_site(store)  # there is one by now
    assert len(Rows(store, Settings(), store.clock).all("Contact")) == people - 1
    store.close()


def test_what_stands_there_is_kept_on_disk_and_shown(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from sandbox.__main__ import main

    with running(tmp_path) as stand_in:
        number = person(stand_in)
        event = gala(stand_in)
        change(stand_in, "create", entity="Participant", values={"contact_id": number, "event_id": event})
        values = {"contact_id": number, "total_amount": 120, "financial_type_id": 4, "invoice_id": "EB-1"}
        change(stand_in, "create", entity="Contribution", values=values)
    with running(tmp_path) as stand_in:
        assert [row["email"] for row in rows(stand_in, "Email")] == ["ines@example.org"]
    shown = CliRunner().invoke(main, ["show", "civicrm", "--state", str(tmp_path)]).output
    for words in ("3 contacts", "Ines Okafor", "Registered", "Attendee", "│ 120.00 │", "EB-1"):
        assert words in shown
    printed = CliRunner().invoke(main, ["show", "civicrm", "--state", str(tmp_path), "--json"]).output
    assert json.loads(printed)["Contribution"][0]["paid"] == 120
