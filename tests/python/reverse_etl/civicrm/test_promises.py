"""What a run promises whatever the tables say: few calls, a true plan, one bad order costs one order."""

import pytest

from boxoffice import lock
from boxoffice.session import Session
from reverse_etl.__main__ import main
from sandbox.civicrm.app import PERMISSIONS
from tests.python.reverse_etl.civicrm.conftest import (
    WRITING,
    ZONE,
    Order,
    World,
    attendee,
    is_write,
    party,
)
from tests.python.reverse_etl.civicrm.mixed import half_way, small


def many(count: int) -> list[Order]:
    return [
        Order(f"{7000 + place}", [attendee(f"{place}1", f"A{place}"), attendee(f"{place}2", f"B{place}")])
        for place in range(count)
    ]


def test_nothing_changed_nothing_written_or_read(world: World) -> None:
    world.sells(*many(30))
    world.sync(must=0)
    run = world.sync(must=0)
    assert run.writes == []
    assert len(run.calls) <= 3


def test_one_changed_row_is_one_write_and_few_reads(world: World) -> None:
    world.sells(*many(30))
    world.sync(must=0)
    world.orders["7007"]["71"].is_checked_in = True
    run = world.sync(must=0)
    assert run.writes == [("Participant", "update")]
    (write,) = [call for call in run.calls if is_write(call)]
    values = {name: it for name, it in write["params"]["values"].items() if name != "id"}
    assert set(values) in ({"status_id"}, {"status_id:name"})  # with its changed fields only
    assert len(run.calls) <= 15


def test_a_first_run_reads_in_batches(world: World) -> None:
    """An order of two new people is seven writes; reads must not come by the order."""
    world.sells(*many(40))
    run = world.sync(must=0)
    reads = len(run.calls) - len(run.writes)
    assert run.did() == {
        **{"Contact.create": 80, "Participant.create": 80},
        **{"Contribution.create": 40, "ParticipantPayment.create": 40},
        **{name: it for name, it in run.did().items() if name.startswith(("Email", "Participant.update"))},
    }
    assert reads <= 40


def test_a_first_run_can_be_stopped_and_goes_on(world: World) -> None:
    world.sells(*many(12))
    world.fault("maintenance", path=WRITING, after=30, times=None)
    run = world.sync(must=1)
    done = len(world.look().participants)
    assert 0 < done < 24
    world.calm()
    run = world.sync(must=0)
    assert run.did("Participant")["create"] == 24 - done
    assert len(world.look().contacts()) == 24
    assert len(world.look().contributions) == 12
    world.rests()


def test_a_plan_writes_nothing_and_sync_does_it(world: World) -> None:
    moment = half_way(world)
    world = moment.again()
    before = world.look().state()
    plan = world.plan()
    assert plan.writes == []
    assert plan.exit_code == 0
    assert world.look().state() == before
    run = world.sync(must=0)
    wanted, without = world.look().state(), moment.again().sync(must=0)
    # A plan changes nothing for the run after it.
    assert (world.look().state(), without.writes) == (wanted, run.writes)


@pytest.mark.parametrize(
    "policies", [{}, {"unpaid": "pending", "refunds": "ledger", "new_email": "new"}], ids=str
)
def test_a_plan_names_the_writes_that_sync_does_in_their_order(
    world: World, policies: dict[str, str]
) -> None:
    world.policies = policies
    moment = half_way(world)
    plan = moment.again().plan().document["civicrm"]["plan"]
    # Re-pointing is the same call as making.
    planned = [
        (each["entity"], "create" if each["entity"] == "ParticipantPayment" else each["action"])
        for each in plan
    ]
    run = moment.again().sync(must=0)
    assert planned == run.writes


def test_a_plan_shows_no_person(world: World) -> None:
    half_way(world)
    words = world.plan().words
    for said in ("jo@example.org", "Lind", "Kim", "9 Pier Rd", "Hal", "Okafor"):
        assert said not in words


def test_the_journal_says_by_which_rule(world: World) -> None:
    half_way(world)
    run = world.sync(must=0)
    said = " ".join(run.rules)
    for rule in ("A1", "A3", "A4", "C3", "C5", "C6", "C8", "O7"):
        assert rule in said, (rule, run.rules)
    assert len(run.rules) == len(run.writes)


BAD = {
    "Contact/create$": "DB Error: unknown error",
    "Participant/create$": "DB Error: constraint violation",
    "Contribution/create$": "Mandatory values missing from Api4 Contribution::create: contact_id",
}


@pytest.mark.parametrize(("path", "style"), [*zip(BAD, ["always_200", "by_kind", "by_kind"], strict=True)])
def test_a_refused_order_costs_one_order_and_comes_back(world: World, path: str, style: str) -> None:
    world.switch(error_status=style)
    orders = many(4)
    world.sells(*orders)
    body = {"error_code": 0, "error_message": BAD[path], "status": 500}
    world.fault("answer", path=path, after=1, status=200 if style == "always_200" else 500, body=body)
    run = world.sync(must=1)
    refused = world.rejected()
    assert len(refused) == 1
    assert len(world.look().contributions) == 3
    for said in ("example.org", "Okafor", "sandbox-admin"):
        assert said not in run.words
    run = world.sync(must=0)
    assert world.rejected() == {}
    assert len(run.writes) <= 7
    look = world.look()
    assert (len(look.contacts()), len(look.participants), len(look.contributions)) == (8, 8, 4)
    for order in orders:
        look.money(order, "80.00", "6.00")
    world.rests()


def test_an_order_that_is_refused_always_is_tried_each_run_and_told(world: World) -> None:
    world.sells(*many(3))
    body = {"error_code": 0, "error_message": "DB Error: constraint violation", "status": 500}
    world.fault("answer", path="Contribution/create$", after=2, times=None, status=200, body=body)
    world.sync(must=1)
    run = world.sync()
    assert (run.exit_code, len(run.writes)) == (1, 0) or run.writes == [("Contribution", "create")]
    assert len(world.rejected()) == 1
    world.calm()
    world.settles()


def test_who_brings_on_news_alone_asks_for_a_refused_order_when_the_news_is_of_it(world: World) -> None:
    world.sells(*many(3))
    body = {"error_code": 0, "error_message": "DB Error: constraint violation", "status": 500}
    world.fault("answer", path="Contribution/create$", after=2, times=None, status=200, body=body)
    world.sync(must=1)
    (refused,) = world.rejected()
    run = world.sync(must=0, again=())
    assert (run.calls, len(world.rejected())) == ([], 1)
    world.calm()
    world.sync(must=0, again={refused})
    assert world.rejected() == {}
    world.rests()


@pytest.mark.parametrize(
    ("style", "hidden"),
    [
        ("always_200", False),
        ("by_kind", True),
        pytest.param("always_200", True, marks=pytest.mark.slow),
        pytest.param("by_kind", False, marks=pytest.mark.slow),
    ],
)
def test_both_error_styles_hidden_or_not(world: World, style: str, hidden: bool) -> None:
    """The site refuses what is too long for it, in any of the ways it may say so."""
    world.switch(error_status=style, hide_errors=hidden, error_id=hidden)
    values = {
        "contact_id": 2,
        "financial_type_id": 4,
        "invoice_id": "EB-7001",
        "total_amount": 5,
        "is_test": True,
    }
    changes = [{"do": "create", "entity": "Contribution", "values": values}]
    world.fault("apply", path="Participant/create$", after=3, changes=changes)
    world.sells(*many(3))
    run = world.sync()
    if hidden:
        # Nobody can tell a duplicate from any other refusal.
        assert run.exit_code in (0, 1)
        if run.exit_code:
            assert "view debug output" in run.words
    look = world.look()
    assert len(look.contributions) == 3
    assert len(look.contacts()) == 6


def test_hidden_errors_are_told_with_the_permission_that_shows_them(world: World) -> None:
    world.switch(hide_errors=True)
    body = {
        "error_code": "1",
        "error_message": "Sorry an error occurred and your request was not completed. (Error ID: ab)",
    }
    world.fault("answer", path="Participant/create$", status=200, body=body)
    world.sells(*many(2))
    run = world.sync(must=1)
    assert "view debug output" in run.words
    assert len(world.look().contributions) == 1
    world.settles()
    assert len(world.look().participants) == 4


def test_a_key_that_is_revoked_half_way_stops_the_run_and_keeps_the_work(world: World) -> None:
    world.sells(*many(10))
    world.fault("revoke", path=WRITING, after=20)
    run = world.sync(must=1)
    assert len(run.writes) <= 22  # it does not go on asking
    world.calm()
    world.sync(must=0)
    assert len(world.look().participants) == 20
    assert len(world.look().contacts()) == 20
    world.rests()


def test_a_wrong_key_is_not_an_empty_site(world: World) -> None:
    world.sells(party())
    world.key = "not-the-key"
    run = world.sync()
    assert (run.exit_code in (1, 2), run.writes) == (True, [])
    assert "not-the-key" not in run.words
    assert "CIVICRM_API_KEY" in run.words


def test_a_key_that_may_too_little(world: World) -> None:
    world.sells(party())
    few = [each for each in PERMISSIONS if each != "edit contributions"]
    world.switch(keys={"sandbox": {"contact": 2, "permissions": few}, "sandbox-admin": {"permissions": None}})
    run = world.sync(must=1)
    assert "edit contributions" in run.words or "permission" in run.words.lower()
    world.switch(
        keys={
            "sandbox": {"contact": 2, "permissions": list(PERMISSIONS)},
            "sandbox-admin": {"permissions": None},
        }
    )
    world.settles()
    world.look().money(world.orders["5551"], "120.00", "9.85")


OFTEN = ["drop", "login_page"]
RARE = [
    pytest.param(fault, marks=pytest.mark.slow)
    for fault in ("maintenance", "bad_gateway", "server_error", "cut")
]


@pytest.mark.parametrize("fault", OFTEN + RARE)
def test_a_site_that_is_down(world: World, fault: str) -> None:
    world.sells(party())
    world.fault(fault, times=None)
    run = world.sync(must=1)
    assert run.writes == []
    assert len(run.calls) < 20
    world.calm()
    world.settles()
    world.look().money(world.orders["5551"], "120.00", "9.85")


def test_nobody_answers_at_all(world: World) -> None:
    world.sells(party())
    world.url = "http://127.0.0.1:9/civicrm"
    run = world.sync()
    assert run.exit_code in (1, 2)
    assert "127.0.0.1" in run.words or "CIVICRM_URL" in run.words


@pytest.mark.parametrize("fault", ["drop", "bad_gateway"])
def test_one_failed_read_is_read_again(world: World, fault: str) -> None:
    world.sells(party())
    for after in (1, 3):
        world.fault(fault, path="(get[A-Za-z]*|api4)$", after=after, times=1)
    world.settles()
    world.look().money(world.orders["5551"], "120.00", "9.85")


def test_a_lost_ops_file_makes_no_duplicates(world: World) -> None:
    half_way(world)
    world.sync(must=0)
    before = world.look().state()
    world.forgets()
    run = world.sync(must=0)
    assert (
        run.did("Contact")["create"]
        == run.did("Participant")["create"]
        == run.did("Contribution")["create"]
        == 0
    )
    assert world.look().state() == before
    world.rests()


def test_a_lost_ops_file_and_changes_meanwhile(world: World) -> None:
    moment = half_way(world)
    moment.again().sync(must=0)
    wanted = world.look().state()
    world = moment.again()
    world.forgets()
    world.sync(must=0)
    assert world.look().state() == wanted
    world.rests()


def test_an_older_ops_file_that_was_put_back(world: World) -> None:
    moment = small(world)
    moment.again().sync(must=0)
    wanted = world.look().state()
    older = moment.world.folder / "small.sqlite"
    world.forgets()
    world.ops_path.write_bytes(older.read_bytes())
    world.sync(must=0)
    assert world.look().state() == wanted
    world.rests()


@pytest.mark.parametrize("words", [["civicrm"], ["civicrm", "--plan"]])
def test_a_second_run_at_once_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    world.sells(party())
    world.put()
    settings = world.settings
    found = {
        "DATABASE_URL": f"duckdb:///{world.warehouse}",
        "MARTS_PATH": str(settings.marts_path),
        "MAPPINGS_DIR": str(settings.mappings_dir),
        "CIVICRM_URL": world.stand_in.civicrm,
        "CIVICRM_API_KEY": world.key,
        "CIVICRM_TIMEZONE": ZONE,
        "LOCK_WAIT_SECONDS": "0",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    world.stand_in.call("DELETE", "/civicrm/requests")
    with lock.held(settings.lock_path, "sync", wait_seconds=0), pytest.raises(SystemExit) as ended:
        main(words, standalone_mode=False)
    assert ended.value.code == 2
    assert "sync" in capsys.readouterr().err
    assert world.calls() == []


def test_a_first_run_tells_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int | None]] = []
    monkeypatch.setattr(Session, "progress", lambda self, *words: told.append(words))
    world.sells(*many(30))
    world.sync(must=0)
    done = [place for _, place, total in told if total == 30]
    assert done == sorted(done)
    assert done[-1] == 30
    assert len(done) >= 2


def test_two_orders_of_one_person_in_one_run(world: World) -> None:
    """Orders that share an e-mail are never decided upon the same reads."""
    orders = [Order(f"{7000 + place}", [attendee(f"{place}1", "Ann")]) for place in range(6)]
    orders += [Order("8000", [attendee("91", "Ben"), attendee("92", "Ann")])]
    world.sells(*orders)
    world.settles()
    assert len(world.look().contacts()) == 2
    for place, order in enumerate(orders):
        world.look().money(order, "40.00" if place < 6 else "80.00")


def test_staff_merge_while_a_run_is_at_work(world: World) -> None:
    """What was read is old by then; in the end nobody is there twice."""
    world.sells(party())
    world.sync(must=0)
    look = world.look()
    gone, kept = look.live("12").contact, world.knows("Benjamin", "benjamin@example.org")
    world.orders["5551"]["12"].last = "Lind"
    world.orders["5551"]["11"].last = "Lind"
    changes = [{"do": "merge", "from": gone, "to": kept}]
    world.fault("apply", path="Contact/update$", changes=changes, times=1)
    world.sync()
    world.settles(reconcile=True)
    look = world.look()
    assert look.live("12").contact == kept
    assert len(look.contacts()) == 3
    look.money(world.orders["5551"], "120.00", "9.85")


@pytest.mark.parametrize("form", ["?page=CiviCRM", "/index.php?option=com_civicrm"])
def test_other_forms_of_the_address(world: World, form: str) -> None:
    world.sells(party())
    world.url = world.stand_in.civicrm + form
    world.settles()
    world.look().money(world.orders["5551"], "120.00", "9.85")
