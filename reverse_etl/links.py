"""What the ops file knows of one CiviCRM site: which participant is whose, which contribution which order's,
the writes under way, and what was refused.

Every method is one transaction, so a kill at any moment leaves either what was before it or what is after.
Ids of Eventbrite are texts, those of CiviCRM are numbers.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from boxoffice.ops import Ops, as_text
from reverse_etl.journal import Journal, Rejection

DESTINATION = "civicrm"
# What rejected_rows and bindings call all of it: an order is one document, not a row of a table.
TABLE, TABLE_ID = "Orders", "orders"
PARTICIPANT, CONTRIBUTION, CONTACT = "participant", "contribution", "contact"


@dataclass(frozen=True)
class Link:
    """Whose participant is an attendee.

    participant_id: None while only a contact was made. new_contact_id: the contact that was made for this
    attendee, whose participant is still to come; beside it can stand the participant of before.
    """

    attendee_id: str
    order_id: str
    contact_id: int
    participant_id: int | None = None
    new_contact_id: int | None = None


@dataclass(frozen=True)
class OrderLink:
    """fingerprint: of the document that the site last came to be as; None when it has to be looked at.
    changed_at: of that document. contribution_id: None when there is none."""

    fingerprint: str | None = None
    changed_at: datetime | None = None
    primary_attendee: str | None = None
    contribution_id: int | None = None


@dataclass(frozen=True)
class Intent:
    """A write that was sent and not answered. key: of the attendee or the order that it is about."""

    call_id: int
    order_id: str
    rule: str
    entity: str
    operation: str
    key: str
    contact_id: int | None = None  # that it named, as long as that is kept


class Links:
    """The links of one site, and the journal of its writes.

    Args:
        base_id: what the site is known by.
    """

    def __init__(self, ops: Ops, base_id: str, run_id: int) -> None:
        self._sql, self._base, self._run_id = ops.connection, base_id, run_id
        self._journal = Journal(ops, DESTINATION, base_id, run_id)
        self._salt = ops.forgotten().salt

    # -- what is known

    def is_empty(self) -> bool:
        """Whether the links have to be rebuilt from what stands in CiviCRM: there never were any, or an older
        ops file was put back."""
        return not self._journal.reconciled(DESTINATION)

    def orders(self) -> dict[str, OrderLink]:
        """Every order that is known, by its id."""
        return self._orders("", "")

    def order(self, order_id: str) -> OrderLink:
        """What is known of one order."""
        return self._orders("and order_id = ?", "and source_id = ?", order_id).get(order_id, OrderLink())

    def _orders(self, of_order: str, of_link: str, *parameters: str) -> dict[str, OrderLink]:
        query = (
            "select order_id, fingerprint, changed_at, primary_attendee from civicrm_orders"
            f" where base_id = ? {of_order}"
        )
        found = {
            order: OrderLink(fingerprint, _moment(changed_at), primary)
            for order, fingerprint, changed_at, primary in self._sql.execute(query, (self._base, *parameters))
        }
        columns = "source_id, record_id"
        for order, contribution in self._live(CONTRIBUTION, columns, of_link, *parameters):
            found[order] = replace(found.get(order, OrderLink()), contribution_id=contribution)
        return found

    def links(self) -> dict[str, Link]:
        """Attendee to link, of every attendee that has one."""
        return {link.attendee_id: link for link in self._links()}

    def of_order(self, order_id: str) -> list[Link]:
        """The links of an order's attendees as it was synced last."""
        return self._links("and order_id = ?", order_id)

    def participant(self, attendee_id: str) -> Link | None:
        return next(iter(self._links("and source_id = ?", attendee_id)), None)

    def some(self, count: int) -> list[tuple[int, int]]:
        """Participant and contact of so many links, taken at random."""
        query = (
            "select record_id, contact_id from civicrm_links"
            " where base_id = ? and kind = ? and unlinked_at is null order by random() limit ?"
        )
        return self._sql.execute(query, (self._base, PARTICIPANT, count)).fetchall()

    def attendees_of(self, contacts: Iterable[int]) -> dict[str, int]:
        """Attendee to contact, of those whose participants are of these contacts."""
        numbers = list(contacts)
        marks = ", ".join("?" for _ in numbers)
        return dict(
            self._live(PARTICIPANT, "source_id, contact_id", f"and contact_id in ({marks})", *numbers)
        )

    def _live(self, kind: str, columns: str, more: str = "", *parameters: str | int) -> list[tuple[Any, ...]]:
        query = (
            f"select {columns} from civicrm_links where base_id = ? and kind = ? and unlinked_at is null"
            f" {more} order by link_id"
        )
        return self._sql.execute(query, (self._base, kind, *parameters)).fetchall()

    def _links(self, more: str = "", *parameters: str) -> list[Link]:
        columns = "source_id, order_id, contact_id, record_id"
        found = {each[0]: Link(*each) for each in self._live(PARTICIPANT, columns, more, *parameters)}
        for attendee, order, contact, _ in self._live(CONTACT, columns, more, *parameters):
            held = found.get(attendee)
            link = Link(attendee, order, contact) if held is None else held
            found[attendee] = replace(link, new_contact_id=contact)
        return list(found.values())

    # -- writes under way

    def begin(
        self,
        order_id: str,
        rule: str,
        entity: str,
        operation: str,
        key: str,
        changes: Mapping[str, Any] | None = None,
    ) -> int:
        """Record that a write is about to be sent. Returns its id.

        Args:
            rule: of the decision, like A4. key: of the attendee or the order that it is about.
            changes: field to before and after, kept for RETENTION_DAYS and until somebody is forgotten.
        """
        with self._sql:
            cursor = self._sql.execute(
                "insert into journal (run_id, destination, base_id, table_id, table_name, operation,"
                " row_count, rows, sent_at, rule_id, changes) values (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
                (
                    *(self._run_id, DESTINATION, self._base, order_id, entity, operation),
                    *(_json([key]), _now(), rule, _json(changes) if changes else None),
                ),
            )
        return int(cursor.lastrowid or 0)

    def answered(
        self,
        call_id: int,
        *,
        record: int | str | None = None,
        link: Link | None = None,
        unlink: tuple[str, str] | None = None,
        contact: Link | None = None,
        contribution: tuple[str, int] | None = None,
        primary: tuple[str, str | None] | None = None,
    ) -> None:
        """Record that a write was done, and what is linked since.

        Args:
            record: its id at the site. link, unlink, contact, contribution, primary: as `keep`.
        """
        with self._sql:
            self._keep(link, unlink, contact, contribution, primary)
            self._sql.execute(
                "update journal set state = 'answered', answered_at = ?, record_id = ? where call_id = ?",
                (_now(), None if record is None else str(record), call_id),
            )

    def failed(self, call_id: int) -> None:
        """Record that a write changed nothing."""
        with self._sql:
            self._sql.execute(
                "update journal set state = 'failed', answered_at = ? where call_id = ?", (_now(), call_id)
            )

    def unanswered(self) -> list[Intent]:
        """The writes of which nobody knows whether they were done, oldest first."""
        query = (
            "select call_id, table_id, rule_id, table_name, operation, rows,"
            " json_extract(changes, '$.contact_id[1]') from journal"
            " where destination = ? and base_id = ? and state = 'sent' order by call_id"
        )
        return [
            Intent(call_id, order_id, rule or "", entity, operation, orjson.loads(rows)[0], contact)
            for call_id, order_id, rule, entity, operation, rows, contact in self._sql.execute(
                query, (DESTINATION, self._base)
            )
        ]

    def dropped(self, call_ids: Iterable[int]) -> None:
        """What became of these writes was seen by reading: nobody waits for their answers any more."""
        with self._sql:
            self._sql.executemany(
                "update journal set state = 'looked', answered_at = ? where call_id = ?",
                [(_now(), call_id) for call_id in call_ids],
            )

    # -- links

    def keep(
        self,
        *,
        link: Link | None = None,
        unlink: tuple[str, str] | None = None,
        contact: Link | None = None,
        contribution: tuple[str, int] | None = None,
        primary: tuple[str, str | None] | None = None,
    ) -> None:
        """Keep what was learned without a write: adopted, merged by staff, moved or gone.

        Args:
            link: an attendee's participant from now on; one of before stays as history, and a contact that
                was made for it is no longer waiting. unlink: an attendee, and why it has none any more.
            contact: the contact made for an attendee, whose participant is to come.
            contribution: order and contribution. primary: order, and which attendee stands for it.
        """
        with self._sql:
            self._keep(link, unlink, contact, contribution, primary)

    def _keep(
        self,
        link: Link | None,
        unlink: tuple[str, str] | None,
        contact: Link | None,
        contribution: tuple[str, int] | None,
        primary: tuple[str, str | None] | None,
    ) -> None:
        if unlink is not None:
            self._end(PARTICIPANT, *unlink)
        if contact is not None:
            made = contact.new_contact_id or contact.contact_id
            self._set(CONTACT, contact.attendee_id, contact.order_id, made, made)
        if link is not None and link.participant_id is not None:
            place = (link.attendee_id, link.order_id, link.contact_id, link.participant_id)
            self._set(PARTICIPANT, *place)
            self._end(CONTACT, link.attendee_id, "has a participant")
        if contribution is not None:
            order_id, record = contribution
            self._set(CONTRIBUTION, order_id, order_id, None, record)
        if primary is not None:
            self._sql.execute(
                "insert into civicrm_orders (base_id, order_id, primary_attendee) values (?, ?, ?)"
                " on conflict do update set primary_attendee = excluded.primary_attendee",
                (self._base, *primary),
            )

    def _set(self, kind: str, source: str, order: str, contact: int | None, record: int) -> None:
        where = "base_id = ? and kind = ? and source_id = ? and unlinked_at is null"
        query = f"select order_id, contact_id, record_id from civicrm_links where {where}"
        held = self._sql.execute(query, (self._base, kind, source)).fetchone()
        if held == (order, contact, record):
            return
        self._end(kind, source, "replaced")
        self._sql.execute(
            "insert into civicrm_links (base_id, kind, source_id, order_id, contact_id, record_id, linked_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (self._base, kind, source, order, contact, record, _now()),
        )

    def _end(self, kind: str, source: str, why: str) -> None:
        self._sql.execute(
            "update civicrm_links set unlinked_at = ?, why = ?"
            " where base_id = ? and kind = ? and source_id = ? and unlinked_at is null",
            (_now(), why, self._base, kind, source),
        )

    def taken_out(self, attendee_id: str, participant_id: int) -> None:
        """The participant that was an attendee's is removed at the site too, and nobody's business now."""
        with self._sql:
            self._sql.execute(
                "update civicrm_links set why = coalesce(why, 'replaced') || ', removed'"
                " where base_id = ? and kind = ? and source_id = ? and record_id = ?"
                " and unlinked_at is not null",
                (self._base, PARTICIPANT, attendee_id, participant_id),
            )

    def left_over(self, attendee_id: str) -> set[int]:
        """Participants that were an attendee's once and are not known to be removed."""
        query = (
            "select record_id, why from civicrm_links"
            " where base_id = ? and source_id = ? and kind = ? and unlinked_at is not null"
        )
        rows = self._sql.execute(query, (self._base, attendee_id, PARTICIPANT)).fetchall()
        return {record for record, _ in rows} - {
            record for record, why in rows if (why or "").endswith("removed")
        }

    def times_made(self, order_id: str) -> int:
        """How many contributions the order ever had."""
        query = "select count(*) from civicrm_links where base_id = ? and order_id = ? and kind = ?"
        return int(self._sql.execute(query, (self._base, order_id, CONTRIBUTION)).fetchone()[0])

    def taken_for_gone(self, attendee_id: str) -> int | None:
        """The participant that was an attendee's last, if it was taken out as the attendee was gone."""
        query = (
            "select record_id, why from civicrm_links where base_id = ? and kind = ? and source_id = ?"
            " and unlinked_at is not null order by link_id desc limit 1"
        )
        found = self._sql.execute(query, (self._base, PARTICIPANT, attendee_id)).fetchone()
        return int(found[0]) if found and found[1].startswith("O7: removed") else None

    def linked(self) -> set[str]:
        """Attendees that have a participant."""
        return {key for (key,) in self._live(PARTICIPANT, "source_id")}

    def settled(
        self,
        order_id: str,
        fingerprint: str | None,
        changed_at: datetime | None,
        said: Mapping[tuple[str, int | str], Mapping[str, str]] | None = None,
    ) -> None:
        """The site is as the order's document says; but for something, without a fingerprint.

        Args:
            said: of each record that the order has to do with, entity and id to what was said of its fields.
        """
        told = [[*record, fields] for record, fields in (said or {}).items()]
        with self._sql:
            self._sql.execute(
                "insert into civicrm_orders (base_id, order_id, fingerprint, changed_at, settled_at, said)"
                " values (?, ?, ?, ?, ?, ?) on conflict do update set fingerprint = excluded.fingerprint,"
                " changed_at = coalesce(case when excluded.fingerprint is not null then excluded.changed_at"
                " end, changed_at), settled_at = excluded.settled_at, said = excluded.said",
                (self._base, order_id, fingerprint, _text(changed_at), _now(), _json(told)),
            )

    def said(self, order_id: str) -> dict[tuple[str, int | str], dict[str, str]]:
        """What was said when the order was settled last; nothing while it is being written."""
        query = "select said from civicrm_orders where base_id = ? and order_id = ? and said is not null"
        found = self._sql.execute(query, (self._base, order_id)).fetchone()
        told = orjson.loads(found[0]) if found else []
        return {(entity, number): fields for entity, number, fields in told}

    def digest(self, value: Any) -> str:
        """What stands for a value in `said`: people's data need not be there."""
        return hashlib.blake2b(_json(value).encode(), key=self._salt, digest_size=8).hexdigest()

    def unsettle(self, order_ids: Iterable[str]) -> None:
        """These orders have to be looked at again, whatever their documents say."""
        with self._sql:
            self._sql.executemany(
                "update civicrm_orders set fingerprint = null, said = null"
                " where base_id = ? and order_id = ?",
                [(self._base, order_id) for order_id in order_ids],
            )

    def rebuild(
        self, links: Iterable[Link] = (), contributions: Mapping[str, int] | None = None
    ) -> tuple[int, int]:
        """Take what the markers in CiviCRM say, and look at every order again. Returns how many participants
        and contributions are linked otherwise than before."""
        with self._sql:
            before = self._count()
            for link in links:
                self._keep(link, None, None, None, None)
            for order_id, record in (contributions or {}).items():
                self._keep(None, None, None, (order_id, record), None)
            after = self._count()
            self._sql.execute(
                "update civicrm_orders set fingerprint = null, changed_at = null, said = null"
                " where base_id = ?",
                (self._base,),
            )
        self._journal.bind(DESTINATION, {"": ("", TABLE_ID)})
        self._journal.set_reconciled(DESTINATION)
        return after[0] - before[0], after[1] - before[1]

    def _count(self) -> tuple[int, int]:
        """Of participants and contributions, how many were ever linked."""
        query = "select count(*) from civicrm_links where base_id = ? and kind = ?"
        found = [
            self._sql.execute(query, (self._base, kind)).fetchone()[0] for kind in (PARTICIPANT, CONTRIBUTION)
        ]
        return found[0], found[1]

    # -- rejected orders and attendees

    def rejected(self) -> dict[str, str]:
        """Key to rule of what is refused still."""
        return self._journal.rejected(TABLE_ID)

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """key: of the order or the attendee. rule: of the decision, like C16."""
        self._journal.reject(TABLE_ID, TABLE, rejections)

    def resolve(self, keys: Iterable[str]) -> None:
        self._journal.resolve(TABLE_ID, keys)

    # -- for people

    def history(self, key: str) -> Iterator[dict[str, Any]]:
        """Every link that an attendee or an order ever had, oldest first."""
        names = (
            *("kind", "source_id", "order_id", "contact_id", "record_id"),
            *("linked_at", "unlinked_at", "why"),
        )
        query = (
            f"select {', '.join(names)} from civicrm_links"
            " where base_id = ? and (source_id = ? or order_id = ?) order by link_id"
        )
        for row in self._sql.execute(query, (self._base, key, key)).fetchall():
            yield dict(zip(names, row, strict=True))

    def refusal(self, key: str) -> dict[str, Any] | None:
        """Why an order or an attendee is refused still; None when it is not."""
        names = ("rule_id", "field", "reason", "remedy", "first_seen_at")
        query = (
            f"select {', '.join(names)} from rejected_rows where destination = ? and base_id = ?"
            " and table_id = ? and key = ? and resolved_at is null"
        )
        found = self._sql.execute(query, (DESTINATION, self._base, TABLE_ID, key)).fetchone()
        return dict(zip(names, found, strict=True)) if found else None

    def written(self, order_id: str) -> list[dict[str, Any]]:
        """The writes that were made for an order, oldest first, as far as they are kept."""
        names = ("sent_at", "rule_id", "table_name", "operation", "record_id", "state", "changes")
        query = (
            f"select {', '.join(names)} from journal"
            " where destination = ? and base_id = ? and table_id = ? order by call_id"
        )
        rows = self._sql.execute(query, (DESTINATION, self._base, order_id)).fetchall()
        return [
            {**dict(zip(names, row, strict=True)), "changes": orjson.loads(row[-1]) if row[-1] else None}
            for row in rows
        ]


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    """UTC without zone, as the models have it; to the microsecond, as it is compared."""
    if moment is None:
        return None
    return (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat(" ")


def _now() -> str:
    return as_text(datetime.now(UTC))
