"""What staff change in CiviCRM stays until Eventbrite has news of it, or somebody asks for everything."""

from tests.python.reverse_etl.civicrm.conftest import World


def check_in(world: World, identity: str) -> None:
    """Anything of the order changes, and so all of it is looked at."""
    world.orders["5551"][identity].is_checked_in = True


def test_a_corrected_email_makes_nobody_a_stranger(synced: World) -> None:
    before = synced.look()
    ben = before.live("12")
    people = len(before.contacts())
    row = next(each for each in before.rows("Email") if each["contact_id"] == ben.contact)
    synced.staff("update", "Email", row["id"], email="ben.right@example.org")
    check_in(synced, "12")
    synced.sync(must=0)
    look = synced.look()
    assert (look.live("12").id, look.live("12").contact, look.live("12").status) == (
        ben.id,
        ben.contact,
        "Attended",
    )
    assert (len(look.contacts()), look.emails(ben.contact)) == (people, ["ben.right@example.org"])
    assert synced.sync(must=0, reconcile=True).writes
    synced.rests()
    assert len(synced.look().contacts()) == people
    synced.orders["5551"]["12"].email = "somebody.else@example.org"
    synced.settles()
    assert synced.look().live("12").contact != ben.contact


def test_a_survivor_without_the_email_is_who_it_was(synced: World) -> None:
    before = synced.look()
    ben = before.live("12")
    kept = synced.knows("Benjamin", "benjamin@example.org")
    synced.merge(ben.contact, kept)
    for row in synced.look().rows("Email"):
        if row["contact_id"] == kept and row["email"] != "benjamin@example.org":
            synced.staff("delete", "Email", row["id"])
    people = len(synced.look().contacts())
    check_in(synced, "12")
    synced.sync(must=0)
    look = synced.look()
    assert (look.live("12").id, look.live("12").contact) == (ben.id, kept)
    assert len(look.contacts()) == people


def test_a_donation_added_by_staff_is_not_booked_back(synced: World) -> None:
    before = synced.look().contributions["5551"]
    synced.staff("update", "Contribution", before.id, total_amount=170)
    check_in(synced, "12")
    run = synced.sync(must=0)
    assert synced.look().contributions["5551"].total == "170.00"
    assert "Somebody changed total_amount" in run.words
    synced.orders["5551"].refund("12")
    synced.settles()
    assert synced.look().contributions["5551"].total == "80.00"


def test_a_participant_moved_to_another_event_stays_there(synced: World) -> None:
    ben = synced.look().live("12")
    other = synced.staff("create", "Event", None, title="Workshop", event_type_id=1, start_date="2026-05-01")
    synced.staff("update", "Participant", ben.id, event_id=other)
    check_in(synced, "12")
    synced.sync(must=0)
    row = next(each for each in synced.look().rows("Participant") if each["id"] == ben.id)
    assert row["event_id"] == other


def test_a_second_role_outlasts_a_change_of_the_first(synced: World) -> None:
    ben = synced.look().live("12")
    synced.staff("update", "Participant", ben.id, role_id=["1", "4"])
    synced.orders["5551"]["12"].role = "Host"
    synced.sync(must=0)
    row = next(each for each in synced.look().rows("Participant") if each["id"] == ben.id)
    assert sorted(row["role_id"]) == ["3", "4"]
