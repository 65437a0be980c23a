"""The stand-in behaves as the reference page says Airtable does; pyairtable works against it unchanged."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyairtable import Api

from sandbox.generator import generate
from sandbox.server import StandIn, running
from sandbox.staff_base import BASE_ID, CAMPAIGNS, ROTA, StaffBase, make


@pytest.fixture(scope="module")
def staff() -> StaffBase:
    return make(generate(attendees=300))


@pytest.fixture
def stand_in(staff: StaffBase) -> Iterator[StandIn]:
    with running(bases=[staff.base]) as stand_in:
        yield stand_in


@pytest.fixture
def api(stand_in: StandIn) -> Api:
    return Api("sandbox", endpoint_url=stand_in.airtable, retry_strategy=None)


def test_pyairtable_reads_bases_schema_and_every_record(api: Api, staff: StaffBase) -> None:
    [base] = api.bases()
    assert (base.id, base.name) == (BASE_ID, staff.base.name)
    schema = base.schema()
    for table in staff.base.tables:
        assert [field.id for field in schema.table(table.name).fields] == [
            item["id"] for item in table.fields
        ]
    assert [record["id"] for record in base.table(ROTA).all()] == list(staff.base.table(ROTA).records)


def test_the_base_survives_a_restart(staff: StaffBase, tmp_path: Path) -> None:
    found = []
    for bases in ([staff.base], None):
        with running(tmp_path, bases=bases) as stand_in:
            found.append(Api("sandbox", endpoint_url=stand_in.airtable).table(BASE_ID, CAMPAIGNS).all())
    assert found[0] == found[1] != []
