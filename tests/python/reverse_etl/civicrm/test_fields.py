"""The field map of table A: what of an attendee is written where, and what is left alone."""

import pytest

from tests.python.reverse_etl.civicrm.conftest import Order, World, attendee

PIER = ("9 Pier Rd", "Flat 2", "Boston", "MA", "02110", "US")


@pytest.fixture
def ann(world: World) -> World:
    """An order of Ann's, with phone and address."""
    world.sells(Order("5551", [attendee("11", "Ann", phone="+1 212 555 0100", address=PIER)]))
    world.sync(must=0)
    return world


def address(world: World, identity: str = "11") -> tuple[object, ...]:
    look = world.look()
    states = {row["id"]: row["abbreviation"] for row in look.rows("StateProvince")}
    countries = {row["id"]: row["iso_code"] for row in look.rows("Country")}
    names = (
        "street_address",
        "supplemental_address_1",
        "city",
        "state_province_id",
        "postal_code",
        "country_id",
    )
    ((place, *cells),) = look.places("Address", look.live(identity).contact, *names)
    return place, *cells[:3], states.get(cells[3]), cells[4], countries.get(cells[5])


def test_phone_and_address_have_their_places(ann: World) -> None:
    look = ann.look()
    assert address(ann) == ("Billing", "9 Pier Rd", "Flat 2", "Boston", "MA", "02110", "US")
    assert look.places("Phone", look.live("11").contact, "phone") == [("Work", "+1 212 555 0100")]
    ann.rests()


def test_they_are_changed_in_place(ann: World) -> None:
    look = ann.look()
    ids = [[row["id"] for row in look.rows(entity)] for entity in ("Phone", "Address", "Email")]
    one = ann.orders["5551"]["11"]
    one.phone, one.address = "+1 212 555 0199", ("10 Pier Rd", None, "Boston", "MA", "02110", "US")
    run = ann.settles()
    look = ann.look()
    assert [[row["id"] for row in look.rows(entity)] for entity in ("Phone", "Address", "Email")] == ids
    assert sum(run.did().values()) <= 2


def test_another_street_is_another_address(ann: World) -> None:
    ann.orders["5551"]["11"].address = ("1 Bridge St", None, "London", None, None, "GB")
    ann.settles()
    assert address(ann) == ("Billing", "1 Bridge St", None, "London", None, None, "GB")


def test_in_the_same_street_what_is_left_blank_stays(ann: World) -> None:
    ann.orders["5551"]["11"].address = ("9 Pier Rd", None, None, None, "02111", "US")
    ann.settles()
    assert address(ann) == ("Billing", "9 Pier Rd", "Flat 2", "Boston", "MA", "02111", "US")


def test_what_staff_make_of_an_address_loses_nothing(ann: World) -> None:
    (row,) = ann.look().rows("Address")
    ann.staff("update", "Address", row["id"], street_address="9 Pier Road", supplemental_address_1="Rear")
    ann.orders["5551"]["11"].phone = "1"
    ann.sync(must=0)
    assert address(ann)[1:4] == ("9 Pier Road", "Rear", "Boston")


def test_blank_values_erase_nothing(ann: World) -> None:
    before = ann.look().state()
    one = ann.orders["5551"]["11"]
    one.last, one.phone, one.address = None, None, (None,) * 6
    run = ann.settles()
    assert run.writes == []
    assert ann.look().state() == before


def test_an_address_without_its_first_line_is_skipped(world: World) -> None:
    world.sells(Order("5551", [attendee("11", "Ann", address=(None, None, "Boston", "MA", None, "US"))]))
    world.settles()
    assert world.look().rows("Address") == []


def test_what_people_keep_is_left_alone(ann: World) -> None:
    look = ann.look()
    contact = look.live("11").contact
    ann.staff("update", "Contact", contact, job_title="Pilot", do_not_email=True, nick_name="Nan")
    types = {row["name"]: row["id"] for row in look.rows("LocationType")}
    home = ann.staff(
        "create", "Phone", None, contact_id=contact, phone="home", location_type_id=types["Home"]
    )
    values = {"contact_id": contact, "street_address": "Home", "location_type_id": types["Home"]}
    ann.staff("create", "Address", None, **values, is_primary=True)
    ann.staff("update", "Participant", look.live("11").id, fee_amount=12, fee_level=["A"])
    ann.rests()
    ann.orders["5551"]["11"].phone = "+1 212 555 0199"
    ann.settles()
    look = ann.look()
    row = look.contact(contact)
    assert (row["job_title"], row["do_not_email"], row["nick_name"]) == ("Pilot", True, "Nan")
    assert look.live("11").raw["fee_amount"] == 12
    assert [(it["id"], it["phone"]) for it in look.rows("Phone") if it["id"] == home] == [(home, "home")]
    assert len(look.rows("Address")) == 2
    assert sorted(look.places("Phone", contact, "phone")) == [("Home", "home"), ("Work", "+1 212 555 0199")]


def test_a_person_s_edit_stays_until_there_is_news_or_a_reconcile(ann: World) -> None:
    contact = ann.look().live("11").contact
    ann.staff("update", "Contact", contact, last_name="Edited")
    assert ann.sync(must=0).writes == []
    assert ann.look().name(contact) == "Ann Edited"
    ann.sync(must=0, reconcile=True)
    assert ann.look().name(contact) == "Ann Okafor"
    ann.rests()


@pytest.mark.parametrize(("off", "entity"), [("Work", "Phone"), ("Billing", "Address")])
def test_a_place_that_is_disabled_gives_way_to_the_default(world: World, off: str, entity: str) -> None:
    types = {row["name"]: row["id"] for row in world.look().rows("LocationType")}
    world.staff("update", "LocationType", types[off], is_active=False)
    world.sells(Order("5551", [attendee("11", "Ann", phone="+1 212 555 0100", address=PIER)]))
    world.settles()
    look = world.look()
    other = {"Phone": "street_address", "Address": "phone"}[entity]
    (found,) = look.places(entity, look.live("11").contact)
    assert found == ("Home",)
    (kept,) = look.places("Address" if entity == "Phone" else "Phone", look.live("11").contact, other)
    assert kept[0] == ("Billing" if entity == "Phone" else "Work")


@pytest.mark.parametrize(("off", "entity"), [("Work", "Phone"), ("Billing", "Address")])
def test_in_the_place_of_a_disabled_one_staff_s_own_stays(world: World, off: str, entity: str) -> None:
    types = {row["name"]: row["id"] for row in world.look().rows("LocationType")}
    world.staff("update", "LocationType", types[off], is_active=False)
    contact, name = world.knows("Ann", "ann@example.org"), {"Phone": "phone", "Address": "street_address"}
    field = name[entity]
    world.staff("create", entity, None, contact_id=contact, location_type_id=types["Home"], **{field: "own"})
    one = attendee("11", "Ann", phone="+1 212 555 0100", address=PIER)
    world.sells(Order("5551", [one]))
    world.settles()
    first = {"Phone": "+1 212 555 0100", "Address": "9 Pier Rd"}[entity]
    assert world.look().places(entity, contact, field) == [("Home", "own"), ("Home", first)]
    one.is_checked_in = True
    world.settles()
    # What we made there is changed in place.
    one.phone, one.address = "99", ("1 Bridge St", *PIER[1:])
    world.settles()
    after = {"Phone": "99", "Address": "1 Bridge St"}[entity]
    assert world.look().places(entity, contact, field) == [("Home", "own"), ("Home", after)]


TIMES = {
    "2026-02-01 10:00:00": "2026-02-01 05:00:00",
    "2026-07-01 10:00:00": "2026-07-01 06:00:00",
    "2026-03-08 07:30:00": "2026-03-08 03:30:00",  # the hour after two was left out
    "2025-11-02 05:30:00": "2025-11-02 01:30:00",  # an hour that came twice
    "2026-01-01 02:00:00": "2025-12-31 21:00:00",
}


def test_times_are_those_of_the_site(world: World) -> None:
    for place, created in enumerate(TIMES):
        world.sells(Order(str(place), [attendee(f"1{place}", f"P{place}", created=created)], ordered=created))
    world.settles()
    look = world.look()
    for place, local in enumerate(TIMES.values()):
        assert look.live(f"1{place}").registered == local
        assert look.contributions[str(place)].received == local


def test_what_is_too_long_is_cut(world: World) -> None:
    long = ("A" * 100, "B" * 120, "C" * 70, "MA", "0" * 70, "US")
    one = attendee("11", "F" * 80, last="L" * 80, phone="1" * 40, address=long, email="ann@example.org")
    world.sells(Order("5551", [one]))
    world.settles()
    look = world.look()
    row = look.contact(look.live("11").contact)
    assert (row["first_name"], row["last_name"]) == ("F" * 64, "L" * 64)
    assert address(world)[1:4] == ("A" * 96, "B" * 96, "C" * 64)
    assert look.rows("Phone")[0]["phone"] == "1" * 32


def test_a_state_the_site_does_not_know_is_left_out(world: World) -> None:
    regions = {"Atlantis": None, "Massachusetts": "MA", "MA": "MA", "ma": "MA"}
    people = [
        attendee(f"1{place}", f"P{place}", address=("9 Pier Rd", None, "Boston", region, None, "US"))
        for place, region in enumerate(regions)
    ]
    world.sells(Order("5551", people))
    world.settles()
    for place, state in enumerate(regions.values()):
        assert address(world, f"1{place}")[:5] == ("Billing", "9 Pier Rd", None, "Boston", state)


def test_names_arrive_as_they_are(world: World) -> None:
    names = ["O'Hara", 'say "so"', "ünï 🎟", "a,b", "%41&x=1", "<b>", "back\\slash", "Zoe\u0308"]
    people = [attendee(f"1{place}", name, email=f"p{place}@example.org") for place, name in enumerate(names)]
    world.sells(Order("5551", people))
    world.settles()
    look = world.look()
    found = [look.contact(look.live(each.id).contact)["first_name"] for each in people]
    assert found == names


def test_a_postal_code_that_the_site_splits_is_not_written_again(world: World) -> None:
    place = ("9 Pier Rd", None, "Boston", "MA", "02110-1234", "US")
    world.sells(Order("5551", [attendee("11", "Ann", address=place)]))
    world.settles()
    assert world.look().rows("Address")[0]["postal_code_suffix"] == "1234"
    world.orders["5551"]["11"].address = ("9 Pier Rd", None, "Boston", "MA", "02111", "US")
    world.settles()
    (row,) = world.look().rows("Address")
    assert (row["postal_code"], row["postal_code_suffix"]) == ("02111", None)


def test_one_name_that_staff_made_two_stays_two(world: World) -> None:
    contact = world.knows("Ann", "ann@example.org")
    world.sells(Order("5551", [attendee("11", "ann okafor", last=None, email="ann@example.org")]))
    world.settles()
    assert world.look().name(contact) == "Ann Okafor"
    # Without an e-mail it is the same person by name.
    world.orders["5551"]["11"].email = None
    world.settles()
    assert world.look().live("11").contact == contact
