"""The client against the CiviCRM stand-in over HTTP: reads, writes, and what it makes of trouble."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reverse_etl import civicrm_api
from reverse_etl.civicrm_api import Ask, Denied, Duplicate, Refused, Site, Unreachable, site_time, utc_time
from sandbox.civicrm.app import KEY, PERMISSIONS
from sandbox.server import StandIn, running

NEW_YORK = ZoneInfo("America/New_York")
WRITES = "(create|update|save)$"
INES = {"contact_type": "Individual", "first_name": "Ines", "email_primary.email": "ines@example.org"}


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running() as stand_in:
        stand_in.call("GET", "/civicrm/")
        stand_in.call("PUT", "/snapshots/new")
        yield stand_in


@pytest.fixture(params=["always_200", "by_kind"])
def stand_in(server: StandIn, request: pytest.FixtureRequest) -> Iterator[StandIn]:
    """In both ways that hosts send errors on."""
    settings = server.call("GET", "/civicrm/settings")
    server.call("POST", "/civicrm/settings", {"error_status": request.param})
    yield server
    server.call("DELETE", "/civicrm/faults")
    server.call("POST", "/civicrm/settings", {**settings, "keys": {KEY: user()}})
    server.call("POST", "/snapshots/new")


def user(*without: str) -> dict[str, Any]:
    return {"contact": 2, "permissions": [each for each in PERMISSIONS if each not in without]}


def switch(stand_in: StandIn, **settings: Any) -> None:
    stand_in.call("POST", "/civicrm/settings", settings)


def fault(stand_in: StandIn, do: str, path: str = ".*", **more: Any) -> None:
    stand_in.call("POST", "/civicrm/faults", {"do": do, "path": path, **more})


def rows(stand_in: StandIn, entity: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stand_in.call("GET", f"/civicrm/rows/{entity}")["rows"]
    return found


class Naps(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def site(stand_in: StandIn, naps: Naps) -> Iterator[Site]:
    """One that has made itself known."""
    with Site(stand_in.civicrm, KEY, sleep=naps, attempts=3) as found:
        found.who()
        stand_in.call("DELETE", "/civicrm/requests")
        found.calls = 0
        yield found


def event(site: Site, stand_in: StandIn) -> int:
    values = {"title": "Gala", "event_type_id": 5, "start_date": "2026-04-01 20:00:00"}
    made = stand_in.call(
        "POST",
        "/civicrm/changes",
        {"do": "create", "entity": "Event", "values": values | {"is_active": True}},
    )
    return int(made["changed"][0])


# -- reads


def test_a_listing_comes_whole_in_pages_by_id(
    site: Site, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(civicrm_api, "PAGE_SIZE", 4)
    people = [
        {"do": "create", "entity": "Contact", "values": {"contact_type": "Individual", "first_name": f"n{n}"}}
        for n in range(10)
    ]
    stand_in.call("POST", "/civicrm/changes", people)
    found = site.get("Contact", select=["first_name"], where=[["first_name", "LIKE", "n%"]])
    assert [each["first_name"] for each in found] == [f"n{n}" for n in range(10)]
    assert site.calls == 3
    asked = [each["params"]["where"][1:] for each in stand_in.call("GET", "/civicrm/requests")["requests"]]
    assert asked == [[], [["id", ">", found[3]["id"]]], [["id", ">", found[7]["id"]]]]
    (last,) = site.get("Contact", select=["first_name"], order={"id": "DESC"}, limit=1)
    assert last["first_name"] == "n9"


def test_many_reads_go_in_one_call_and_one_that_is_refused_leaves_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_together", 3)
    values = {"email_primary.email": "INES@example.org"}
    site.write("Contact", "create", {"values": INES})
    site.calls = 0
    asks = [
        Ask("Contact", "getDuplicates", {"dedupeRule": "Individual.Unsupervised", "values": values}),
        Ask("Contact", "get", {"where": [["no_such_field", "=", 1]]}),
        Ask("Contact", "get", {"select": ["first_name"], "where": [["first_name", "=", "Ines"]]}),
        Ask("LocationType", "get", {"select": ["name"]}),
    ]
    duplicates, refused, people, types = site.ask(asks)
    assert isinstance(duplicates, list)
    assert isinstance(people, list)
    assert isinstance(types, list)
    assert [int(each["id"]) for each in duplicates] == [people[0]["id"]]
    assert isinstance(refused, Refused)
    assert refused.problem == "The site's Contact has no field no_such_field."
    assert len(types) == 5
    assert site.calls == 2
    assert len(site.failures) == 1


@pytest.mark.parametrize(
    "do", ["drop", "cut", "truncated", "login_page", "bad_gateway", "server_error", "deadlock"]
)
def test_a_read_whose_answer_is_lost_is_made_again(
    site: Site, stand_in: StandIn, naps: Naps, do: str
) -> None:
    fault(stand_in, do, times=2)
    assert len(site.get("LocationType")) == 5
    assert (site.calls, len(naps), site.failures) == (3, 2, [])


def test_a_read_that_never_comes_ends_in_a_sentence(site: Site, stand_in: StandIn) -> None:
    fault(stand_in, "login_page", times=3)
    with pytest.raises(Unreachable, match="a web page came in place of data") as caught:
        site.get("LocationType")
    assert not caught.value.maybe_done
    assert len(site.failures) == 1


def test_a_site_that_cannot_answer_so_many_at_once_is_asked_for_fewer(
    site: Site, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(stand_in, "bad_gateway", "api4$", times=3)
    monkeypatch.setattr(site, "_together", 8)
    found = site.ask([Ask("LocationType", "get", {"limit": number}) for number in range(1, 6)] * 2)
    assert [len(each) for each in found if isinstance(each, list)] == [1, 2, 3, 4, 5] * 2
    sizes = [len(each["params"]) for each in stand_in.call("GET", "/civicrm/requests")["requests"]]
    assert sizes == [8, 8, 8, 4, 4, 2]
    assert site.failures == []
    fault(stand_in, "drop", times=None)
    with pytest.raises(Unreachable, match="the connection ended"):
        site.ask([Ask("LocationType")] * 4)
    assert len(site.failures) == 1


def test_warnings_before_the_data_are_told_from_a_page(site: Site, stand_in: StandIn) -> None:
    body = '<br />\n<b>Deprecated</b>: strlen() in x.php {"values":[],"count":0}'
    fault(stand_in, "answer", status=200, body=body, times=4)
    with pytest.raises(Unreachable, match="display_errors = Off"):
        site.get("LocationType")
    with pytest.raises(Unreachable, match="display_errors = Off") as caught:
        site.write("Contact", "create", {"values": INES})
    assert caught.value.maybe_done


# -- writes


def test_writes_are_counted_and_answered_with_ids(site: Site, stand_in: StandIn) -> None:
    (made,) = site.write("Contact", "create", {"values": INES})
    (changed,) = site.write(
        "Contact", "update", {"values": {"last_name": "Lind"}, "where": [["id", "=", made["id"]]]}
    )
    assert changed["id"] == made["id"]
    nobody = {"values": {"last_name": "Lind"}, "where": [["first_name", "=", "Nobody"]]}
    assert site.write("Contact", "update", nobody) == []
    assert (site.calls, site.written) == (3, 3)


def test_nothing_that_could_delete_is_sent(site: Site) -> None:
    for send in (site.write, site.write3):
        for action in ("delete", "replace", "merge"):
            with pytest.raises(ValueError, match="could delete"):
                send("ParticipantPayment", action, {})
    with pytest.raises(ValueError, match="is no read"):
        site.read("Contact", "delete")
    assert site.calls == 0


def test_a_participant_payment_goes_by_v3(site: Site, stand_in: StandIn) -> None:
    contact = site.write("Contact", "create", {"values": INES})[0]["id"]
    held = {"contact_id": contact, "event_id": event(site, stand_in), "role_id": [1]}
    participant = site.write("Participant", "create", {"values": held})[0]["id"]
    paid = {"contact_id": contact, "financial_type_id": 4, "total_amount": "120.00", "invoice_id": "EB-5551"}
    contribution = site.write("Contribution", "create", {"values": paid})[0]["id"]
    pair = {"participant_id": participant, "contribution_id": contribution}
    made = site.write3("ParticipantPayment", "create", pair)
    assert site.write3("ParticipantPayment", "create", pair)["id"] == made["id"]
    (found,) = site.get3("ParticipantPayment", {"contribution_id": contribution})
    assert {name: int(found[name]) for name in pair} == pair
    assert site.get3("ParticipantPayment", {"contribution_id": 99999}) == []
    with pytest.raises(Duplicate) as caught:
        site.write("Contribution", "create", {"values": paid})
    assert caught.value.ids == [contribution]
    with pytest.raises(Refused, match="refers to is not there") as missing:
        site.write3("ParticipantPayment", "create", {**pair, "participant_id": 99999})
    assert missing.value.rule == "reference"
    assert site.written == 5


@pytest.mark.parametrize(
    "do", ["apply_then_drop", "cut", "truncated", "login_page", "bad_gateway", "server_error"]
)
@pytest.mark.parametrize("is_v3", [False, True])
def test_a_write_whose_answer_is_lost_is_sent_once(
    site: Site, stand_in: StandIn, naps: Naps, do: str, is_v3: bool
) -> None:
    fault(stand_in, do, WRITES, applied=True)
    write, values = (site.write3, dict(INES)) if is_v3 else (site.write, {"values": INES})
    with pytest.raises(Unreachable, match="did not say whether it changed") as caught:
        write("Contact", "create", values)
    assert caught.value.maybe_done
    assert "looks at the site" in caught.value.remedy
    assert [each["first_name"] for each in rows(stand_in, "Contact")].count("Ines") == 1
    assert (site.calls, site.written, naps) == (1, 0, [civicrm_api.LANDING])


@pytest.mark.parametrize("do", ["deadlock", "maintenance"])
def test_a_write_that_was_surely_not_done_is_sent_again(
    site: Site, stand_in: StandIn, naps: Naps, do: str
) -> None:
    fault(stand_in, do, WRITES, times=2)
    site.write("Contact", "create", {"values": INES})
    assert [each["first_name"] for each in rows(stand_in, "Contact")].count("Ines") == 1
    assert (site.calls, len(naps)) == (3, 2)


def test_a_deadlock_that_stays_is_the_records_and_maintenance_is_the_runs(
    site: Site, stand_in: StandIn
) -> None:
    fault(stand_in, "deadlock", WRITES, times=3)
    with pytest.raises(Refused) as caught:
        site.write("Contact", "create", {"values": INES})
    assert caught.value.rule == "deadlock"
    switch(stand_in, maintenance=True)
    with pytest.raises(Unreachable, match="down for maintenance") as down:
        site.write("Contact", "create", {"values": INES})
    assert not down.value.maybe_done


def test_a_site_that_is_not_there_was_sent_nothing(naps: Naps) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Site(url, KEY, sleep=naps, attempts=3) as site, pytest.raises(Unreachable) as caught:
        site.write("Contact", "create", {"values": INES})
    assert not caught.value.maybe_done
    assert len(naps) == 2


# -- what is refused


@pytest.mark.parametrize(
    ("params", "rule", "words"),
    [
        (
            {"values": {"first_name": "Ines", "event_id": 1}},
            "missing",
            "The site wants contact_id of Participant",
        ),
        ({"values": {"contact_id": 1, "event_id": 9999}}, "reference", "refers to is not there"),
        ({"wishes": {}}, "version", "does not know the parameter wishes"),
    ],
)
def test_a_refusal_says_what_is_wrong_in_plain_words(
    site: Site, params: dict[str, Any], rule: str, words: str
) -> None:
    with pytest.raises(civicrm_api.SiteError, match=words) as caught:
        site.write("Participant", "create", params)
    assert caught.value.rule == rule
    assert caught.value.remedy
    assert (site.calls, site.written) == (1, 0)


def test_hidden_errors_tell_how_to_see_them(site: Site, stand_in: StandIn) -> None:
    switch(stand_in, hide_errors=True)
    with pytest.raises(Refused, match=r"hides why.*Grant .* `view debug output`") as caught:
        site.write("Participant", "create", {"values": {"event_id": 1}})
    assert caught.value.rule == "hidden"
    # A permission shows by its status all the same.
    switch(stand_in, keys={KEY: user("register for events", "view debug output")})
    with pytest.raises(Denied) as denied:
        site.write("Participant", "create", {"values": {"event_id": 1}})
    assert denied.value.rule == "permission"


@pytest.mark.parametrize(
    ("status", "kind", "rule"),
    [(302, Denied, "moved"), (403, Denied, "blocked"), (405, Denied, "blocked"), (429, Unreachable, "pace")],
)
def test_what_stands_before_the_site_is_told_from_it(
    site: Site, stand_in: StandIn, status: int, kind: type[civicrm_api.SiteError], rule: str
) -> None:
    fault(stand_in, "answer", status=status, body="<html>", times=3)
    with pytest.raises(kind) as caught:
        site.write("Contact", "create", {"values": INES})
    assert caught.value.rule == rule
    assert not getattr(caught.value, "maybe_done", False)
    assert len(rows(stand_in, "Contact")) == 2


def test_names_and_keys_stay_out_of_what_is_shown(site: Site, stand_in: StandIn) -> None:
    told = {"error_code": 0, "error_message": f"Ines Okafor may not, says {KEY}", "status": 500}
    fault(stand_in, "answer", status=200, body=told)
    site.rule = "A1"
    with pytest.raises(Refused) as caught:
        site.write("Contact", "create", {"values": INES})
    assert "Okafor" not in str(caught.value)
    (call,) = site.failures
    assert KEY not in f"{call.request}{call.response}{call.stack}".replace("sandbox/", "").replace(
        "/sandbox", ""
    )
    assert call.request.endswith("/civicrm/ajax/api4/Contact/create")
    assert call.rule_id == "A1 Refused"
    assert "Ines Okafor may not, says ***" in str(call.response)


@pytest.mark.parametrize(
    ("user_of", "rule", "words"),
    [
        ({"other": {"permissions": None}}, "key", "CIVICRM_API_KEY is refused"),
        ({KEY: user("authenticate with api key")}, "guard", "authenticate with api key"),
        ({KEY: {**user(), "is_blocked": True}}, "blocked user", "is blocked"),
        ({KEY: {"contact": 3, "permissions": ["authenticate with api key"]}}, "nobody", "not know who calls"),
    ],
)
def test_a_key_that_is_no_good_is_not_an_empty_site(
    stand_in: StandIn, user_of: dict[str, Any], rule: str, words: str
) -> None:
    switch(stand_in, keys=user_of)
    with Site(stand_in.civicrm, KEY, sleep=lambda seconds: None) as site:
        with pytest.raises(Denied, match=words) as caught:
            site.get("Contact")
        assert caught.value.rule == rule
        assert site.calls == 1


def test_the_sites_own_currency_is_known_as_far_as_it_tells(stand_in: StandIn) -> None:
    def currency() -> str | None:
        with Site(stand_in.civicrm, KEY, sleep=lambda seconds: None) as site:
            site.who()
            assert site.failures == []
            return site.currency

    assert currency() == "USD"
    groups = stand_in.call("GET", "/civicrm/rows/OptionGroup")["rows"]
    (group,) = [each["id"] for each in groups if each["name"] == "currencies_enabled"]
    values = {"option_group_id": group, "label": "EUR", "value": "EUR", "name": "EUR"}
    made = stand_in.call(
        "POST", "/civicrm/changes", {"do": "create", "entity": "OptionValue", "values": values}
    )
    assert currency() == "USD"
    denied = {"error_code": 0, "error_message": "Authorization failed: CiviCRM APIv4", "status": 403}
    fault(stand_in, "answer", "Setting/get$", status=403, body=denied)
    assert currency() is None
    change = {
        "do": "update",
        "entity": "OptionValue",
        "id": made["changed"][0],
        "values": {"is_default": True},
    }
    stand_in.call("POST", "/civicrm/changes", change)
    assert currency() == "EUR"


def test_a_missing_permission_ends_the_run_by_v4_and_v3(site: Site, stand_in: StandIn) -> None:
    switch(stand_in, keys={KEY: user("register for events", "edit contributions")})
    pair = {"participant_id": 1, "contribution_id": 1}
    for write in (
        lambda: site.write("Participant", "create", {"values": {"contact_id": 1, "event_id": 1}}),
        lambda: site.write3("ParticipantPayment", "create", pair),
    ):
        with pytest.raises(Denied) as caught:
            write()
        assert caught.value.rule == "permission"
    with pytest.raises(Denied, match="has no Gadget"):
        site.ask([Ask("Gadget")])


# -- addresses


@pytest.mark.parametrize(
    "form",
    ["{0}", "{0}/", "{0}/wp-admin/admin.php?page=CiviCRM", "{0}/index.php?option=com_civicrm"],
)
def test_every_cms_has_its_form_of_address(stand_in: StandIn, form: str) -> None:
    with Site(form.format(stand_in.civicrm), KEY, sleep=lambda seconds: None) as site:
        assert len(site.get("LocationType")) == 5
        site.write("Contact", "create", {"values": INES})
        assert isinstance(site.ask([Ask("LocationType")])[0], list)
        assert site.get3("ParticipantPayment", {}) == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://a.org/crm/", "https://a.org/crm/civicrm/ajax/rest"),
        ("https://a.org?civiwp=CiviCRM", "https://a.org?civiwp=CiviCRM&q=civicrm/ajax/rest"),
        (
            "https://a.org/index.php?option=com_civicrm&format=raw",
            "https://a.org/index.php?option=com_civicrm&format=raw&task=civicrm/ajax/rest",
        ),
    ],
)
def test_what_a_cms_wants_in_an_address_stays(url: str, address: str) -> None:
    with Site(url, KEY) as site:
        assert site.address("civicrm/ajax/rest") == address


def test_an_address_without_an_api_says_so(stand_in: StandIn) -> None:
    with (
        Site(f"{stand_in.civicrm}/blog", KEY, sleep=lambda seconds: None) as site,
        pytest.raises(Denied) as caught,
    ):
        site.get("Contact")
    assert caught.value.rule == "address"
    assert "form of the site's CMS" in caught.value.remedy


# -- times


@pytest.mark.parametrize(
    ("moment", "local"),
    [
        (datetime(2026, 3, 1, 10, tzinfo=UTC), "2026-03-01 05:00:00"),
        (datetime(2026, 7, 1, 3, 30, tzinfo=UTC), "2026-06-30 23:30:00"),
    ],
)
def test_times_are_the_sites_own(moment: datetime, local: str) -> None:
    assert site_time(moment, NEW_YORK) == local
    assert site_time(moment.replace(tzinfo=None), NEW_YORK) == local
    assert utc_time(local, NEW_YORK) == moment.replace(tzinfo=None)
    assert utc_time(local.translate(str.maketrans("", "", "- :")), NEW_YORK) == moment.replace(tzinfo=None)
