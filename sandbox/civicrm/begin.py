"""The site that stands beside a generated account: events that staff have typed in, some people they know."""

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sandbox.civicrm.actions import Actions, Who
from sandbox.civicrm.rows import STAMP, Rows
from sandbox.civicrm.switches import Settings
from sandbox.store import Store

if TYPE_CHECKING:
    from sandbox.generator import World

EVENT_FEE, PERFORMANCE = 4, 5
KNOWN_PEOPLE = 25


def fill_site(store: Store, world: "World") -> None:
    """Begin anew: the events of the site's own time zone, and some of those who came."""
    settings = Settings()
    rows = Rows(store, settings, store.clock)
    rows.begin()
    actions, staff = Actions(rows), Who(permissions=None)
    zone = ZoneInfo(settings.time_zone)
    with rows.at_once():
        for event in world.objects["events"]:
            start, end = event["start"], event["end"]
            if start["timezone"] != settings.time_zone or event["status"] == "draft":
                continue
            values = {
                "title": event["name"]["text"],
                "event_type_id": PERFORMANCE,
                "start_date": local(start["utc"], zone),
                "end_date": local(end["utc"], zone),
                "is_monetary": True,
                "financial_type_id": EVENT_FEE,
                "currency": settings.currency,
            }
            actions.write("Event", None, values, staff)
        people = {
            person["email"].lower(): person
            for attendee in world.objects["attendees"]
            if (person := attendee["profile"]).get("email") and person.get("first_name")
        }
        for person in list(people.values())[: KNOWN_PEOPLE * 3 : 3]:
            values = {
                "first_name": person["first_name"],
                "last_name": person.get("last_name"),
                "email_primary.email": person["email"],
                "source": "Newsletter",
            }
            actions.write("Contact", None, values, staff)


def local(moment: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(moment).astimezone(zone).strftime(STAMP)
