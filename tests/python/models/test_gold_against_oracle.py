"""Gold equals the plain Python account of it, on worlds wilder than any real one."""

import os

import pytest

from tests.python.models import oracle, wild
from tests.python.models.compare import KEYS, differences, keyed
from tests.python.models.warehouse import AS_OF

# A seed that failed once stays. BOXOFFICE_SEEDS=100-120 tries others.
SEEDS = [1, 2, 3, 4]
if wanted := os.environ.get("BOXOFFICE_SEEDS"):
    low, _, high = wanted.partition("-")
    SEEDS = list(range(int(low), int(high or low) + 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_is_what_the_formulas_say(seed, warehouse_of):
    world = wild.world(seed)
    warehouse = warehouse_of(world)
    warehouse.build("--exclude-resource-type", "unit_test")

    expected = oracle.gold(world.tables, AS_OF)
    found = []
    for mart in KEYS:
        found += differences(mart, expected[mart], keyed(mart, warehouse.rows(f"gold.{mart}")))
    assert found == [], f"seed {seed}: {len(found)} differences, the first: " + "\n".join(found[:10])
