"""What every model owes its reader: its grain, a tested key, its columns in words; gold and sync a contract.

A key is tested in every run by `is_key`; or, where another test of the run covers it or the source
guarantees it, it is named in `meta: {key: [columns]}` and tested in test_gold_against_oracle.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.python.models.warehouse import Dbt, Warehouse

# One row per problem, and per item of a request, which carries no id.
KEYLESS = {"data_issues", "int_airtable__issues", "stg_eventbrite__refund_requests"}


@pytest.fixture
def manifest(dbt: Dbt) -> Any:
    return dbt.manifest()


def test_every_model_has_a_grain_a_key_and_words(manifest):
    assert shortcomings(manifest) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: setattr(model, "description", "How full it sold."), "grain"),
        (lambda model: setattr(model.columns["status"], "description", " "), "status"),
        (lambda model: setattr(model.columns["status"], "data_type", None), "type of status"),
        (lambda model: setattr(model.config.contract, "enforced", False), "contract"),
        (lambda model: setattr(model, "unique_id", "model.boxoffice.of_no_test"), "key"),
        (lambda model: setattr(model, "group", None), "group"),
    ],
)
def test_what_a_model_lacks_is_named(manifest, spoil, said):
    copy = manifest.deepcopy()
    spoil(copy.nodes["model.boxoffice.event_sales"])
    [found] = shortcomings(copy)
    assert found.startswith("event_sales: ")
    assert said in found


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: setattr(model.config.contract, "enforced", False), "contract"),
        (lambda model: say(model, key="id"), "no column as its key"),
        (lambda model: say(model, match="name"), "name, which is no column"),
        (lambda model: say(model, parents={"venue_key": "venues"}), "venues, which is no sync model"),
        (lambda model: setattr(model.columns["status"].config, "meta", {}), "field and type of status"),
    ],
)
def test_what_a_sync_model_lacks_is_named(manifest, spoil, said):
    copy = manifest.deepcopy()
    spoil(copy.nodes["model.boxoffice.sync_airtable__events"])
    [found] = shortcomings(copy)
    assert found.startswith("sync_airtable__events: ")
    assert said in found


def say(model: Any, **changes: Any) -> None:
    # A copied manifest shares what its meta holds.
    model.config.meta = {"airtable": {**model.config.meta["airtable"], **changes}}


def test_a_sync_model_without_an_exposure_is_named(manifest):
    copy = manifest.deepcopy()
    del copy.exposures["exposure.boxoffice.airtable_venues"]
    assert shortcomings(copy) == ["sync_airtable__venues: no exposure as an application"]


def shortcomings(manifest: Any) -> list[str]:
    nodes = list(manifest.nodes.values())
    keyed = {
        node.attached_node
        for node in nodes
        if node.resource_type == "test"
        and getattr(node, "test_metadata", None) is not None
        and node.test_metadata.name == "is_key"
    }
    found = []
    for model in (node for node in nodes if node.resource_type == "model"):
        lacks = []
        if not model.description.strip().startswith("One row per "):
            lacks.append("its description does not begin with its grain, 'One row per …'")
        if model.unique_id not in keyed and model.name not in KEYLESS and not model.config.meta.get("key"):
            lacks.append("no is_key test and no meta: {key: [columns]}")
        if not model.group:
            lacks.append("no group")
        for column in model.columns.values():
            if not column.description.strip():
                lacks.append(f"no description of {column.name}")
        if model.fqn[1] in ("gold", "sync"):
            if not model.config.contract.enforced:
                lacks.append(f"{model.fqn[1]} without a contract")
            lacks += [
                f"no type of {column.name}" for column in model.columns.values() if not column.data_type
            ]
        if model.fqn[1] == "sync":
            lacks += _unsaid_to_its_destination(model, manifest)
        found += [f"{model.name}: {lack}" for lack in lacks]
    return found


def _unsaid_to_its_destination(model: Any, manifest: Any) -> Iterator[str]:
    destination = model.name.removeprefix("sync_").partition("__")[0]
    said = model.config.meta.get(destination, {})
    columns = model.columns
    if said.get("key") not in columns:
        yield "its meta names no column as its key"
    for column in {said.get("match"), *said.get("parents", {})} - {None, *columns}:
        yield f"its meta names {column}, which is no column"
    for parent in said.get("parents", {}).values():
        if not parent.startswith("sync_") or f"model.boxoffice.{parent}" not in manifest.nodes:
            yield f"its meta names {parent}, which is no sync model"
    # A table has a field for each column; what becomes of CiviCRM's is the decision tables' to say.
    for column in columns.values() if destination == "airtable" else ():
        if not {"field", "type"} <= set(column.config.meta.get(destination, {})):
            yield f"no field and type of {column.name}"
    told = [each for each in manifest.exposures.values() if model.unique_id in each.depends_on.nodes]
    if [str(each.type) for each in told] != ["application"]:
        yield "no exposure as an application"


def doubled_keys(warehouse: Warehouse, manifest: Any) -> list[str]:
    """Models whose `meta: key` is none in this warehouse."""
    found = []
    for model in manifest.nodes.values():
        if model.resource_type == "model" and (key := model.config.meta.get("key")):
            columns = ", ".join(key)
            doubled = warehouse.rows(
                f"select {columns}, count(*) as n from {model.schema}.{model.name} "
                f"group by {columns} having n > 1 limit 1"
            )
            found += [f"{model.name}: {columns} twice: {row}" for row in doubled]
    return found


def undescribed_columns(warehouse: Warehouse, manifest: Any) -> list[str]:
    """Columns a table has and its yml does not name, and those it names and the table does not have."""
    held = {
        (row["table_schema"], row["table_name"], row["column_name"])
        for row in warehouse.rows(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_schema in ('silver', 'gold', 'sync')"
        )
    }
    named = {
        (model.schema, model.name, column)
        for model in manifest.nodes.values()
        if model.resource_type == "model"
        for column in model.columns
    }
    return [".".join(column) for column in sorted(held ^ named)]
