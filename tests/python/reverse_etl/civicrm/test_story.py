"""An evening at the box office, from the first order to the last refund."""

from tests.python.reverse_etl.civicrm.conftest import World, attendee, party


def test_the_story_of_an_order(world: World) -> None:
    # Somebody buys three tickets of 40.00; fees are 9.85.
    order = party()
    world.sells(order)
    world.settles()
    look = world.look()
    assert look.status("11", "12", "13") == ["Registered", "Registered", "Registered"]
    assert [look.live(each).by for each in ("11", "12", "13")] == [None, "11", "11"]
    contribution = look.money(order, "120.00", "9.85")
    ann, ben, cleo = (look.live(each).contact for each in ("11", "12", "13"))

    # Ben's ticket is refunded.
    order.refund("12")
    world.settles()
    look = world.look()
    assert look.status("11", "12", "13") == ["Registered", "Cancelled", "Registered"]
    assert look.money(order, "80.00", "6.57").posted == ["120.00", "-40.00"]

    # Ann gives hers to Zoe: somebody else comes, Ann's participant stays to be seen as removed.
    before = look.live("11")
    order["11"].becomes(attendee("", "Zoe"))
    world.settles()
    look = world.look()
    zoe = look.live("11").contact
    assert zoe not in (ann, ben, cleo)
    (removed,) = look.removed("11")
    assert (removed.id, removed.contact, removed.raw["registered_by_id"]) == (before.id, ann, None)
    assert [look.live(each).by for each in ("11", "12", "13")] == [None, "11", "11"]
    assert look.money(order, "80.00", "6.57").id == contribution.id
    assert look.contributions["5551"].contact == zoe

    # Staff find that they know Cleo already, and merge the two.
    known = world.knows("Cleopatra", "cleopatra@example.org")
    world.merge(cleo, known)
    assert world.sync(must=0).writes == []

    # Cleo corrects her e-mail: by the rule of the site that is somebody whom nobody knows yet.
    order["13"].email = "cleo@example.com"
    world.settles()
    look = world.look()
    assert [each.contact for each in look.removed("13")] == [known]
    assert look.emails(look.live("13").contact) == ["cleo@example.com"]
    assert look.live("13").by == "11"
    assert look.emails(known) == ["cleopatra@example.org", "cleo@example.org"]

    # Zoe did not come, and staff say so.
    world.staff("update", "Participant", look.live("11").id, **{"status_id:name": "No-show"})
    assert world.sync(must=0).writes == []

    # The order is cancelled, and all of its money given back. What staff have said of Zoe stays.
    order.refund()
    order.status = "cancelled"
    run = world.sync()
    assert "No-show" in run.words
    look = world.look()
    assert look.status("11", "12", "13") == ["No-show", "Cancelled", "Cancelled"]
    found = look.money(order, "80.00", status="Refunded")
    assert (found.posted, found.paid) == (["120.00", "-40.00", "-80.00"], "0.00")

    # And then nothing.
    assert world.sync().writes == []
    assert world.sync(reconcile=True).writes == []
    look = world.look()
    assert (len(look.contacts()), len(look.participants)) == (5, 5)
    assert len(look.contributions) == len(look.rows("ParticipantPayment")) == 1
