"""What `doctor` finds of writing to Airtable. It asks Airtable, and changes nothing there or here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from boxoffice import findings, mappings, ops
from boxoffice.airtable_api import Client, Refused, Withheld
from boxoffice.build import SyncModel, sync_models
from boxoffice.errors import BoxofficeError
from boxoffice.findings import Finding
from boxoffice.ops import Ops
from boxoffice.settings import Settings
from reverse_etl import binding
from reverse_etl.journal import Journal

SYSTEM = "sync"
DESTINATION = "airtable"
# A contract's words for what DuckDB calls otherwise.
TYPES = {"string": "varchar", "int": "integer"}


def check(settings: Settings) -> Iterator[Finding]:
    """Hold the sync models against the base, and try the token. Two calls, or three where tables are missing.

    In sandbox mode there is nothing to ask.
    """
    if settings.is_sandbox:
        return
    if settings.airtable_token is None:
        yield Finding(SYSTEM, "off", "AIRTABLE_TOKEN is not set, so nothing is written to Airtable.")
        return
    try:
        yield from _check(settings, settings.airtable_token)
    except BoxofficeError as error:
        yield findings.wrong(SYSTEM, error)


def _check(settings: Settings, token: str) -> Iterator[Finding]:
    if settings.airtable_base_id is None:
        return  # the source's findings say so
    words, rows = mappings.airtable_fields(settings), mappings.policies(settings, DESTINATION)
    models = [model for model in sync_models(settings) if model.destination == DESTINATION]
    binding.check(models, words, rows)
    client = Client(settings.airtable_api_url, token, settings.airtable_base_id, attempts=2)
    with closing(client):
        tables = client.tables()
        names = _and([binding.table_word(model, words) for model in binding.wanted(models, words)])
        remembered = _remembered(settings)
        if not remembered and not binding.is_set_up(models, tables, words):
            remedy = f"`python -m reverse_etl airtable --bootstrap` makes the tables {names}."
            yield Finding(SYSTEM, "off", "Nothing is written to Airtable.", remedy)
            return
        found = binding.bind(models, tables, words, rows, remembered, _types(models))
        yield from (findings.wrong(SYSTEM, problem) for problem in found.problems)
        yield from (Finding(SYSTEM, "ok", note) for note in found.notes)
        if found.bound:
            written = _and([f"{bound.table} ({len(bound.fields)} fields)" for bound in found.bound])
            yield Finding(SYSTEM, "ok", f"Base {settings.airtable_base_id} fits; written are {written}.")
        yield from _of_token(client, tables, is_whole=not found.problems)


def _of_token(client: Client, tables: Sequence[Mapping[str, Any]], *, is_whole: bool) -> Iterator[Finding]:
    """Whether it may write, by asking for what cannot be done: that is refused by who may, withheld else."""
    if tables:
        table = tables[0]
        try:
            client.update(str(table["id"]), str(table.get("name")), [])
        except Refused:
            yield Finding(SYSTEM, "ok", "AIRTABLE_TOKEN may write records.")
        except Withheld as error:
            yield findings.wrong(SYSTEM, error)
    if not is_whole:
        try:
            client.make_table({"name": "", "fields": []})
        except Refused:
            yield Finding(SYSTEM, "ok", "AIRTABLE_TOKEN may make tables and fields, so `--bootstrap` can.")
        except Withheld as error:
            remedy = f"{error.remedy} Or make them by hand."
            yield Finding(SYSTEM, "look", "AIRTABLE_TOKEN may not make the missing tables or fields.", remedy)


def _remembered(settings: Settings) -> dict[tuple[str, str], tuple[str, str]]:
    if not settings.ops_path.exists():
        return {}
    with ops.opened_to_read(settings.ops_path) as connection:
        return Journal(Ops(connection), DESTINATION, str(settings.airtable_base_id), 0).bindings()


def _types(models: Sequence[SyncModel]) -> dict[str, dict[str, str]]:
    """By the contracts, so that neither a first build nor a free warehouse is needed."""
    return {
        model.name: {
            name: TYPES.get(column.data_type.lower(), column.data_type)
            for name, column in model.columns.items()
        }
        for model in models
    }


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
