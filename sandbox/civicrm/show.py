"""What stands in the CiviCRM site, for people to look at."""

import json
import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.civicrm.query import Query
from sandbox.civicrm.rows import Rows
from sandbox.civicrm.switches import Settings
from sandbox.show import PIPED, shortened
from sandbox.store import Json, Store

# Columns by table: what they are called, and where their values are.
COLUMNS = {
    "Contact": {
        "id": "id",
        "name": "display_name",
        "e-mail": "email_primary.email",
        "phone": "phone_primary.phone",
        "city": "address_primary.city",
        "source": "source",
        "in the trash": "is_deleted",
    },
    "Participant": {
        "id": "id",
        "contact": "contact_id.display_name",
        "event": "event_id.title",
        "status": "status_id:label",
        "role": "role_id:label",
        "registered": "register_date",
        "registered by": "registered_by_id",
        "source": "source",
    },
    "Contribution": {
        "id": "id",
        "contact": "contact_id.display_name",
        "total": "total_amount",
        "paid": "paid_amount",
        "fee": "fee_amount",
        "net": "net_amount",
        "currency": "currency",
        "status": "contribution_status_id:label",
        "received": "receive_date",
        "invoice": "invoice_id",
    },
}
MONEY = ("total", "paid", "fee", "net")


def tables_of(store: Store) -> dict[str, list[Json]]:
    """Every contact, participant and contribution: the trash, tests and templates too."""
    query = Query(Rows(store, Settings(), time.time))
    return {
        entity: [
            {name: query.value(entity, row, path) for name, path in columns.items()}
            for row in query.rows.all(entity)
        ]
        for entity, columns in COLUMNS.items()
    }


def as_json(site: dict[str, list[Json]]) -> str:
    return json.dumps(site, indent=2, ensure_ascii=False)


def show(site: dict[str, list[Json]], rows: int, only: str | None = None) -> None:
    """The first `rows` of each table. `only`: one of them."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED)
    for entity, found in site.items():
        if only in (None, entity):
            console.print(grid(entity, found, rows))


def grid(entity: str, found: list[Json], rows: int) -> Table:
    count = f"{len(found):,} {entity.lower()}" + ("" if len(found) == 1 else "s")
    table = Table(title=Text(count), title_justify="left", caption_justify="left")
    for name in COLUMNS[entity]:
        table.add_column(Text(name), justify="right" if name in (*MONEY, "id") else "left", no_wrap=True)
    for row in found[:rows]:
        table.add_row(*(Text(shortened(as_text(name, value))) for name, value in row.items()))
    if len(found) > rows:
        table.caption = Text(f"{len(found) - rows:,} more.")
    return table


def as_text(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.2f}" if name in MONEY else str(value)
