"""What tests of every room share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.python.examples import USUAL

if TYPE_CHECKING:
    from tests.python.models.bronze import Bronze
    from tests.python.models.warehouse import Dbt, Warehouse

settings.register_profile("soak", max_examples=50 * USUAL, print_blob=True)


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> "Dbt":
    """The dbt project, parsed once per test process."""
    from tests.python.models.warehouse import Dbt

    return Dbt(tmp_path_factory.mktemp("dbt"))


@pytest.fixture
def warehouse_of(dbt: "Dbt", tmp_path: Path) -> "Callable[[Bronze], Warehouse]":
    """Makes a warehouse whose bronze holds the given world; `.build()` it, then ask `.rows(sql)`."""
    from tests.python.models.warehouse import new_warehouse

    made = 0

    def make(world: "Bronze") -> "Warehouse":
        nonlocal made
        made += 1
        return new_warehouse(tmp_path / f"world{made}", dbt, world)

    return make
