"""What `doctor` finds of writing to CiviCRM. It asks the site, and makes one thing there: the status of those
who left Eventbrite, where it is missing."""

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from boxoffice import findings, mappings
from boxoffice.errors import BoxofficeError
from boxoffice.findings import Finding
from boxoffice.mappings import EventLine, RoleLine
from boxoffice.settings import CiviCRM, Settings
from reverse_etl.civicrm import REMOVED_STATUS
from reverse_etl.civicrm_api import Ask, Denied, Refused, Site, SiteError, Unreachable, site_time, utc_time
from reverse_etl.civicrm_state import STOCK_RULE, policies
from reverse_etl.civicrm_suggest import on_record

if TYPE_CHECKING:
    import duckdb

SYSTEM = "civicrm"
OLDEST = (5, 75)  # the first whose API v4 has Payment
COMPARED = 20  # events whose times are compared
MOST_NAMED = 3
NOWHERE = [["id", "=", 0], ["id", "<", 0]]  # finds nothing, so an update of it changes nothing
SUGGEST = "`python -m reverse_etl civicrm --suggest-mapping` proposes lines."
# What is tried, by what the user needs for it. Creates lack what they must have, or bring what they must not:
# who may is refused for that, who may not for having no permission.
TRIALS: Sequence[tuple[str, str, dict[str, Any], str]] = (
    ("Contact", "create", {"values": {"id": 1}}, "add contacts"),
    ("Contact", "update", {"values": {"source": "-"}, "where": NOWHERE}, "edit all contacts"),
    ("Event", "get", {"limit": 1}, "access CiviEvent, view event info"),
    ("Participant", "get", {"limit": 1}, "access CiviEvent, view event participants"),
    ("Participant", "create", {"values": {}}, "register for events"),
    ("Participant", "update", {"values": {"source": "-"}, "where": NOWHERE}, "edit event participants"),
    ("Contribution", "get", {"limit": 1}, "access CiviContribute"),
    ("Contribution", "create", {"values": {}}, "access CiviContribute, edit contributions"),
    ("Contribution", "update", {"values": {"source": "-"}, "where": NOWHERE}, "edit contributions"),
    ("ParticipantPayment", "create", {}, "register for events, access CiviContribute, edit contributions"),
)
FORMS = (
    "",
    "?civiwp=CiviCRM",
    "?page=CiviCRM",
    "wp-admin/admin.php?page=CiviCRM",
    "index.php?option=com_civicrm",
)


def check(settings: Settings) -> Iterator[Finding]:
    """Try the address, the key and its permissions; hold the mappings against the site and the warehouse.

    In sandbox mode there is nothing to ask.
    """
    if settings.is_sandbox:
        return
    try:
        where = settings.civicrm
        if where is None:
            yield Finding(SYSTEM, "off", "CIVICRM_URL is not set, so nothing is written to CiviCRM.")
            return
        chosen = policies(mappings.policies(settings, SYSTEM))
        with closing(Site(where.url, where.key, attempts=2)) as site, _opened(settings) as warehouse:
            found = _Doctor(settings, where, site, chosen.dedupe_rule, warehouse)
            if (yield from found.of_address()):
                yield from found.of_the_rest()
    except BoxofficeError as error:
        yield findings.wrong(SYSTEM, error)


@dataclass
class _Doctor:
    settings: Settings
    where: CiviCRM
    site: Site
    dedupe_rule: str
    warehouse: "duckdb.DuckDBPyConnection | None"
    events: list[dict[str, Any]] = field(default_factory=list)

    # -- address and key

    def of_address(self) -> Generator[Finding, None, bool]:
        """Whether the site answers; returns that."""
        host = urlsplit(self.where.url)
        if host.scheme == "http" and host.hostname not in ("127.0.0.1", "localhost", "::1"):
            problem = "CIVICRM_URL is http, so the key and people's data travel for everybody to read."
            yield Finding(SYSTEM, "look", problem, "Write https.")
        try:
            self.site.who()
        except (Denied, Unreachable) as error:
            yield self._of_form(error) or findings.wrong(SYSTEM, error)
            return False
        yield Finding(SYSTEM, "ok", f"{host.hostname} answers, and knows the key.")
        return True

    def _of_form(self, error: SiteError) -> Finding | None:
        """The form of the address that answers, where the one that is set does not."""
        if error.rule not in ("address", "page", "answer", "moved", "blocked"):
            return None
        parts = urlsplit(self.where.url)
        path = re.sub(r"/(wp-admin/admin|index)\.php$", "", parts.path)
        for base in dict.fromkeys((path, "")):
            for form in FORMS:
                url = f"{parts.scheme}://{parts.netloc}{base}/{form}".rstrip("/")
                if url == self.where.url:
                    continue
                try:
                    with closing(Site(url, self.where.key, attempts=1)) as other:
                        other.who()
                except SiteError:
                    continue
                return Finding(SYSTEM, "wrong", error.problem, f"Set CIVICRM_URL to {url}, which answers.")
        return None

    def of_the_rest(self) -> Iterator[Finding]:
        for look in (
            *(self.of_errors, self.of_version, self.of_permissions, self.of_events, self.of_times),
            *(self.of_rule, self.of_locations, self.of_status, self.of_roles, self.of_currencies),
            *(self.of_classes, self.of_profiles, self.of_others),
        ):
            try:
                yield from look()
            except Unreachable as error:
                yield findings.wrong(SYSTEM, error)
                return
            except BoxofficeError as error:
                yield findings.wrong(SYSTEM, error)

    def of_errors(self) -> Iterator[Finding]:
        try:
            self.site.read("Contact", "get", {"where": [["no_such_field", "=", 1]], "limit": 1})
        except Refused as error:
            if error.rule == "hidden":
                remedy = "Grant the user of CIVICRM_API_KEY the permission `view debug output`."
                yield Finding(SYSTEM, "look", "The site hides why it refuses something.", remedy)

    def of_version(self) -> Iterator[Finding]:
        try:
            found = self.site.read("Domain", "get", {"select": ["version"], "limit": 1})
        except (Denied, Refused):
            return  # only a user with more permissions may know
        version = str(found[0].get("version") if found else "")
        numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
        if numbers and numbers < OLDEST:
            remedy = f"Update it to {OLDEST[0]}.{OLDEST[1]} or newer."
            yield Finding(
                SYSTEM, "look", f"CiviCRM {version} is older than what boxoffice is made for.", remedy
            )
        elif numbers:
            yield Finding(SYSTEM, "ok", f"CiviCRM {version}.")

    # -- permissions

    def of_permissions(self) -> Iterator[Finding]:
        missing: list[str] = []
        if len(self.site.read("Contact", "get", {"select": ["id"], "limit": 2})) < 2:
            # The site's own organization and the user are there on every site.
            missing.append("view all contacts")
        if not self._may_edit():
            missing.append("edit all contacts")
        for entity, action, params, needed in TRIALS:
            try:
                if entity == "ParticipantPayment":
                    self.site.write3(entity, action, params)
                elif action == "get":
                    self.site.read(entity, action, params)
                else:
                    self.site.write(entity, action, params)
            except Refused:
                continue
            except Denied as error:
                if error.rule != "permission":
                    yield findings.wrong(SYSTEM, error)
                    return
                missing += [each for each in needed.split(", ") if each not in missing]
        if missing:
            problem = "The user of CIVICRM_API_KEY may not do all that is needed."
            remedy = f"Grant it, in the CMS, those of these that it lacks: {', '.join(missing)}."
            yield Finding(SYSTEM, "wrong", problem, remedy)
        else:
            yield Finding(SYSTEM, "ok", "The user of CIVICRM_API_KEY may read and write what is needed.")

    def _may_edit(self) -> bool:
        """Whether contacts may be changed: of that the site asks record by record, so nothing found tells
        nothing. Older sites do not say."""
        asked = {"action": "update", "values": {"id": 1}}
        try:
            found = self.site.read("Contact", "checkAccess", asked)
        except (Denied, Refused):
            return True
        return bool(found and found[0].get("access"))

    # -- events and times

    @cached_property
    def lines(self) -> list[EventLine]:
        return mappings.civicrm_events(self.settings)

    @cached_property
    def role_lines(self) -> list[RoleLine]:
        return mappings.civicrm_roles(self.settings)

    def of_events(self) -> Iterator[Finding]:
        """The lines of civicrm_events.csv, on both sides."""
        select = ("title", "start_date", "is_active", "is_template", "is_monetary", "financial_type_id")
        both = [["is_template", "IN", [True, False]]]
        self.events = self.site.get("Event", select=[*select, "dedupe_rule_group_id"], where=both)
        if not self.lines:
            problem = "civicrm_events.csv maps no event, so nothing is written to CiviCRM."
            yield Finding(SYSTEM, "off", problem, SUGGEST)
            return
        bad = [*self._unfit_events(), *self._unknown_events()]
        yield from bad
        if not bad:
            count = len(self.lines)
            yield Finding(SYSTEM, "ok", f"{count:,} {'events are' if count > 1 else 'event is'} mapped.")

    def _unfit_events(self) -> Iterator[Finding]:
        for line in self.lines:
            said = (
                f"Line {line.line} of civicrm_events.csv maps {line.eventbrite_event} to {line.civicrm_event}"
            )
            found = on_record(self.events, line.civicrm_event)
            problem, remedy = "", "Name another there, or mend the event in CiviCRM."
            if not found:
                problem, remedy = "which CiviCRM has not", f"Write its id, or its title as there. {SUGGEST}"
            elif len(found) > 1:
                numbers = ", ".join(str(each["id"]) for each in found)
                problem, remedy = "a title that several events have", f"Write the id of one: {numbers}."
            elif found[0]["is_template"]:
                problem = "which is a template"
            elif not found[0]["is_active"]:
                problem = "which is switched off"
            if problem:
                yield Finding(SYSTEM, "wrong", f"{said}, {problem}.", remedy)
                continue
            if self._sells(line) and not found[0]["is_monetary"]:
                problem = f"{said}, which is a free event: its orders become no contributions."
                yield Finding(SYSTEM, "look", problem, "Let it be a paid event in CiviCRM (tab Fees).")
            elif self._sells(line) and not found[0]["financial_type_id"]:
                problem = f"{said}, which has no financial type for its contributions."
                yield Finding(SYSTEM, "wrong", problem, "Choose one in CiviCRM (tab Fees).")

    def _sells(self, line: EventLine) -> bool:
        query = "select 1 from sync.sync_civicrm__orders where civicrm_event = ? and gross_minor > 0 limit 1"
        return bool(self._rows(query, [line.civicrm_event]))

    def _unknown_events(self) -> Iterator[Finding]:
        """Lines that name no event of Eventbrite, or several. A deleted one counts where no other bears the
        name, as in int_eventbrite__mapped_events."""
        query = (
            "select event_id, trim(event_name), is_deleted from silver.events"
            " where source = 'eventbrite' and event_id <> 'unknown' order by event_id"
        )
        known = self._rows(query)
        if not known:
            return
        for line in self.lines:
            word = line.eventbrite_event
            named = [(key, is_deleted) for key, name, is_deleted in known if word in (key, name)]
            listed = [key for key, is_deleted in named if not is_deleted] or [key for key, _ in named]
            said = f"Line {line.line} of civicrm_events.csv names {word}"
            if not named:
                remedy = "Write its id, or its name as there; or wait until it has been loaded."
                yield Finding(SYSTEM, "look", f"{said}, which no event on Eventbrite is called.", remedy)
            elif len(listed) > 1 and word not in [key for key, _ in named]:
                problem = f"{said}, which several events on Eventbrite are called, so none counts."
                yield Finding(SYSTEM, "wrong", problem, f"Write the id of each: {_some(listed)}.")

    def of_times(self) -> Iterator[Finding]:
        """Ask for events by the moment when they begin, as CIVICRM_TIMEZONE has it: the site puts that into
        its own time, and finds them where both zones are one."""
        zone = self.where.zone
        known = [
            (each, str(each["start_date"]))
            for each in sorted(self.events, key=lambda each: str(each["start_date"]), reverse=True)
            if each["start_date"] and _is_plain(str(each["start_date"]), zone)
        ][:COMPARED]
        if not known:
            remedy = "Make sure that it is the zone of the CMS's settings."
            yield Finding(SYSTEM, "ok", f"CIVICRM_TIMEZONE is {zone}; the site has no event to tell.", remedy)
            return
        moments = [utc_time(begins, zone).replace(tzinfo=UTC) for _, begins in known]
        asked = [_at(each["id"], moment) for (each, _), moment in zip(known, moments, strict=True)]
        differing = [
            place for place, found in enumerate(self.site.ask(asked)) if isinstance(found, list) and not found
        ]
        if not differing:
            count = len(known)
            whose = f"{count:,} events agree" if count > 1 else "an event agrees"
            yield Finding(SYSTEM, "ok", f"CIVICRM_TIMEZONE is {zone}; the times of {whose}.")
            return
        (event, begins), moment = known[differing[0]], moments[differing[0]]
        offset = self._offset(event["id"], begins)
        if offset is None:
            problem = (
                f"The site does not tell in which zone its times are, which CIVICRM_TIMEZONE says is {zone}."
            )
            remedy = "Make sure that it is the zone of the CMS's settings."
            yield Finding(SYSTEM, "look", problem, remedy)
            return
        ours = moment.astimezone(zone).utcoffset() or timedelta()
        problem = (
            f"CIVICRM_TIMEZONE is {zone}, where it was {_utc(ours)} when event {event['id']} began;"
            f" the site says it was {_utc(offset)}."
        )
        remedy = "Set it to the zone of the CMS's settings, or of the API user's own, where users have one."
        yield Finding(SYSTEM, "wrong", problem, remedy)

    def _offset(self, event: int, begins: str) -> timedelta | None:
        """How far the site's time is ahead of UTC when an event begins; None where it does not heed zones."""
        local = datetime.fromisoformat(begins).replace(tzinfo=UTC)
        offsets = [timedelta(minutes=minutes) for minutes in range(-12 * 60, 14 * 60 + 1, 15)]
        answers = self.site.ask([_at(event, local - offset) for offset in offsets])
        fitting = [
            offset
            for offset, found in zip(offsets, answers, strict=True)
            if isinstance(found, list) and found
        ]
        return fitting[0] if len(fitting) == 1 else None

    # -- what the site is like

    def of_rule(self) -> Iterator[Finding]:
        """The rule by which the site tells who is whom."""
        rules: Collection[str | int] = [self.dedupe_rule]
        if self.dedupe_rule == "event":
            mapped = [each for line in self.lines for each in on_record(self.events, line.civicrm_event)]
            rules = {each["dedupe_rule_group_id"] or STOCK_RULE for each in mapped}
        for rule in rules:
            # Nobody has an address there (RFC 2606).
            person = {"first_name": "A", "last_name": "B", "email_primary.email": "nobody@example.invalid"}
            number = int(rule) if str(rule).isdigit() else rule
            try:
                self.site.read("Contact", "getDuplicates", {"dedupeRule": number, "values": person})
            except Refused as error:
                problem = f"The site cannot look for the same person by the rule {rule}. {error.problem}"
                remedy = (
                    "Let dedupe_rule in settings.csv name a rule for individuals, and see that the extension"
                    " legacydedupefinder is enabled."
                )
                yield Finding(SYSTEM, "wrong", problem, remedy)
                continue
            yield from self._of_weights(number)

    def _of_weights(self, rule: str | int) -> Iterator[Finding]:
        try:
            groups = self.site.get("DedupeRuleGroup", where=[["contact_type", "=", "Individual"]])
            named = {
                str(each): group
                for group in groups
                for each in (f"Individual.{group['used']}", group["name"], group["id"])
                if each is not None
            }
            group = named.get(str(rule))
            if group is None:
                return
            weights = {
                each["rule_field"]: each["rule_weight"]
                for each in self.site.get("DedupeRule", where=[["dedupe_rule_group_id", "=", group["id"]]])
            }
        except (Denied, Refused):
            return  # only an administrator may know
        compared = ", ".join(weights).replace("_", " ")
        if weights.get("email", 0) >= group["threshold"]:
            yield Finding(SYSTEM, "ok", f"Who has the same e-mail is the same person (rule {rule}).")
        else:
            problem = f"The rule {rule} compares {compared}: a name spelled otherwise makes another contact."
            remedy = f"Let dedupe_rule in settings.csv name a rule by e-mail alone, like {STOCK_RULE}."
            yield Finding(SYSTEM, "look", problem, remedy)

    def of_locations(self) -> Iterator[Finding]:
        types = [each for each in self.site.get("LocationType") if each["is_active"]]
        default = next((each["display_name"] for each in types if each["is_default"]), None)
        for name, what in (("Billing", "Addresses"), ("Work", "Phone numbers")):
            if any(each["name"] == name for each in types):
                continue
            missing = f"The location type {name} is switched off"
            remedy = "Enable it under Administer > Communications > Location Types."
            if default is None:
                yield Finding(SYSTEM, "wrong", f"{missing}, and no other is the default.", remedy)
            else:
                yield Finding(SYSTEM, "look", f"{missing}: {what.lower()} go to {default}.", remedy)

    def of_status(self) -> Iterator[Finding]:
        """The status of those who left Eventbrite; it is made where it is missing."""
        name, label = (str(REMOVED_STATUS[each]) for each in ("name", "label"))
        found = self._statuses(name)
        where = "under Administer > CiviEvent > Participant Statuses"
        if not found:
            try:
                self.site.write("ParticipantStatusType", "create", {"values": REMOVED_STATUS})
                yield Finding(
                    SYSTEM, "ok", f"The participant status {label!r} was missing, and has been made."
                )
            except (Denied, Refused) as error:
                remedy = (
                    f"Make it {where}: name {name}, label {label}, class Negative, not counted. Or grant"
                    " `administer CiviCRM`, for this once, and run it again."
                )
                problem = f"The participant status {label!r} is missing, and cannot be made. {error.problem}"
                yield Finding(SYSTEM, "wrong", problem, remedy)
        elif len(found) > 1:
            problem = f"There are {len(found)} participant statuses named {name}."
            yield Finding(SYSTEM, "wrong", problem, f"Leave one of them {where}.")
        elif not found[0]["is_active"]:
            yield Finding(SYSTEM, "wrong", f"The participant status {label!r} is off.", f"Enable it {where}.")
        elif found[0]["class"] != "Negative" or found[0]["is_counted"]:
            problem = f"The participant status {label!r} counts as taking part."
            yield Finding(SYSTEM, "look", problem, f"Let its class be Negative and not counted, {where}.")
        else:
            yield Finding(SYSTEM, "ok", f"The participant status {label!r} is there.")

    def _statuses(self, name: str) -> list[dict[str, Any]]:
        try:
            return self.site.get("ParticipantStatusType", where=[["name", "=", name]])
        except Denied:
            # Only an administrator may know all of it.
            asked = {"loadOptions": ["id", "name"], "where": [["name", "=", "status_id"]]}
            fields = self.site.read("Participant", "getFields", asked)
            fine = {"is_active": True, "class": "Negative", "is_counted": False}
            return [{**each, **fine} for each in fields[0]["options"] if each["name"] == name]

    def of_roles(self) -> Iterator[Finding]:
        """The roles that the mappings name."""
        lines = [(line.line, "civicrm_roles.csv", line.civicrm_role) for line in self.role_lines]
        lines += [
            (line.line, "civicrm_events.csv", line.fallback_role) for line in self.lines if line.fallback_role
        ]
        if not lines:
            return
        options = [each for each in self._options("participant_role") if each["is_active"]]
        known = {str(each[name]).casefold() for each in options for name in ("value", "name", "label")}
        for number, file, role in lines:
            if role.casefold() not in known:
                remedy = f"There are {', '.join(str(each['label']) for each in options)}."
                problem = f"Line {number} of {file} names the role {role}, which CiviCRM has not."
                yield Finding(SYSTEM, "wrong", problem, remedy)

    def of_currencies(self) -> Iterator[Finding]:
        query = (
            "select currency, count(*) from sync.sync_civicrm__orders where currency is not null"
            " group by all order by all"
        )
        used = self._rows(query)
        enabled = {str(each["value"]) for each in self._options("currencies_enabled") if each["is_active"]}
        for currency, orders in used:
            if currency not in enabled | {self.site.currency}:
                problem = (
                    f"Orders in {currency}, which the site has not enabled, are not written: {orders:,}."
                )
                remedy = "Enable it under Administer > Localization > Languages, Currency, Locations."
                yield Finding(SYSTEM, "wrong", problem, remedy)

    def _options(self, group: str) -> list[dict[str, Any]]:
        select = ("value", "name", "label", "is_active")
        return self.site.get("OptionValue", select=select, where=[["option_group_id:name", "=", group]])

    # -- what of Eventbrite cannot be written

    def of_classes(self) -> Iterator[Finding]:
        query = """
            select coalesce(ticket_class_name, ticket_class_id, '?'), count(*)
            from sync.sync_civicrm__attendees where civicrm_role is null group by all order by 2 desc, 1
        """
        found = self._rows(query)
        if found:
            count, names = sum(each[1] for each in found), [str(each[0]) for each in found]
            problem = f"Ticket classes without a role: {_some(names)}. Attendees left out: {count:,}."
            remedy = f"Add them to civicrm_roles.csv, or a fallback_role to the event's line. {SUGGEST}"
            yield Finding(SYSTEM, "look", problem, remedy)

    def of_profiles(self) -> Iterator[Finding]:
        """Events that ask the buyer for their data, and nobody else."""
        query = """
            with people as (
                select
                    event_id, order_id, count(*) as attendees,
                    sum(case when coalesce(first_name, last_name, email) is null then 1 else 0 end)
                        as unnamed,
                    count(distinct lower(email)) as emails,
                    count(distinct first_name || ' ' || last_name) as names
                from sync.sync_civicrm__attendees
                where not is_gone and status not in ('cancelled', 'deleted') group by all
            )
            select
                coalesce(max(events.event_name), people.event_id), sum(attendees), sum(unnamed),
                sum(case when attendees > 1 then 1 else 0 end),
                sum(case when attendees > 1 and emails <= 1 and names <= 1 then 1 else 0 end)
            from people
            left join silver.events as events
                on events.source = 'eventbrite' and events.event_id = people.event_id
            group by people.event_id order by 1
        """
        remedy = "On Eventbrite, let the event's order form collect information for each attendee."
        for event, attendees, unnamed, groups, alike in self._rows(query):
            if unnamed:
                problem = f"{event}: {unnamed:,} of {attendees:,} attendees have no name and no e-mail yet."
                yield Finding(SYSTEM, "look", f"{problem} They wait until they have.", remedy)
            elif groups > 2 and alike == groups:
                problem = (
                    f"{event} collects the buyer's data only: all attendees of an order are one contact."
                )
                yield Finding(SYSTEM, "look", problem, remedy)

    def of_others(self) -> Iterator[Finding]:
        """Events to come that are not mapped: most often by choice."""
        query = """
            select event_name from silver.events
            where source = 'eventbrite' and event_id <> 'unknown' and not has_ended and not is_cancelled
                and not is_deleted and not list_contains($mapped, event_id)
                and not list_contains($mapped, event_name)
            order by starts_at, event_id
        """
        mapped = [line.eventbrite_event for line in self.lines]
        names = [str(name) for (name,) in self._rows(query, {"mapped": mapped})]
        if names and self.lines:
            said = f"Events to come that are not mapped, and left alone: {_some(names)}."
            yield Finding(SYSTEM, "ok", said, SUGGEST)

    def _rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Rows of the warehouse, as far as it is built."""
        import duckdb

        if self.warehouse is None:
            return []
        try:
            rows: list[tuple[Any, ...]] = self.warehouse.execute(query, parameters).fetchall()
        except duckdb.CatalogException:
            return []
        return rows


@contextmanager
def _opened(settings: Settings) -> "Iterator[duckdb.DuckDBPyConnection | None]":
    """The warehouse; None where there is none yet, or a run is at work."""
    import duckdb

    try:
        connection = duckdb.connect(str(settings.warehouse_path), read_only=True)
    except (duckdb.IOException, duckdb.CatalogException):
        yield None
        return
    with connection:
        yield connection


def _at(event: int, moment: datetime) -> Ask:
    """The event, if it begins at this moment."""
    where = [
        *(["id", "=", event], ["start_date", "=", moment.astimezone(UTC).isoformat()]),
        ["is_template", "IN", [True, False]],
    ]
    return Ask("Event", "get", {"select": ["id"], "where": where})


def _is_plain(local: str, zone: ZoneInfo) -> bool:
    """Whether a local time comes exactly once in the zone."""
    try:
        return site_time(utc_time(local, zone), zone) == local and (
            datetime.fromisoformat(local).replace(tzinfo=zone, fold=0).utcoffset()
            == datetime.fromisoformat(local).replace(tzinfo=zone, fold=1).utcoffset()
        )
    except ValueError:
        return False


def _utc(offset: timedelta) -> str:
    minutes = int(offset.total_seconds() // 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMED:,} more" if len(listed) > MOST_NAMED else ""
    return f"{', '.join(listed[:MOST_NAMED])}{more}"
