"""A small dbt project and a command line, both on throwaway files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boxoffice import settings as settings_module
from boxoffice.settings import ROOT, Settings

PROJECT = {
    "dbt_project.yml": """
name: boxoffice
version: 0.1.0
config-version: 2
profile: boxoffice
vars: {as_of: "2026-01-01T00:00:00", sheets_timezone: ""}
models:
  boxoffice:
    silver: {+schema: silver, +materialized: table}
    gold: {+schema: gold, +materialized: table, +contract: {enforced: true}}
""",
    "profiles.yml": (ROOT / "profiles.yml").read_text(encoding="utf-8"),
    "macros/generate_schema_name.sql": """
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
""",
    "models/silver/people.sql": (
        "select 1 as person_id, 'Ann Chovy' as person_name, 'ann@example.org' as email"
    ),
    "models/gold/buyers.sql": (
        "select person_id, '{{ var('as_of') }}' as built_at, person_name, email from {{ ref('people') }}"
    ),
    "models/gold/buyers.yml": """
models:
  - name: buyers
    description: >
      One row per buyer.
    columns:
      - {name: person_id, data_type: int, description: The person's id., data_tests: [unique]}
      - {name: built_at, data_type: string, description: When it was built.}
      - {name: person_name, data_type: string, description: Their name., config: {meta: {personal: true}}}
      - {name: email, data_type: string, description: Their e-mail., config: {meta: {personal: true}}}
""",
    "tests/assert_nobody_is_number_two.sql": "select * from {{ ref('buyers') }} where person_id = 2",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project of one silver and one gold model, to be changed at will."""
    folder = tmp_path / "project"
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_module.load(environment(tmp_path))


def environment(folder: Path) -> dict[str, str]:
    """Settings that keep every file inside `folder`."""
    (folder / "sheets").mkdir(exist_ok=True)
    return {
        "DATABASE_URL": f"duckdb:///{folder}/data/warehouse.duckdb",
        "MARTS_PATH": f"{folder}/data/marts.duckdb",
        "SHEETS_DIR": f"{folder}/sheets",
        "BOXOFFICE_AS_OF": "2026-03-01T12:00:00Z",
        "LOCK_WAIT_SECONDS": "0",
    }


@dataclass
class Ended:
    """A command that has ended. `said` is both outputs, spaces folded so that wrapped lines read as one."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.out + self.err).split())

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `python …` on files of this test. `environ` overrides settings; `before` is what launches it."""

    def run(*words: str, environ: dict[str, str] | None = None, before: tuple[str, ...] = ()) -> Ended:
        ended = subprocess.run(
            [*before, sys.executable, *words],
            cwd=ROOT,
            env=process_environment(tmp_path, environ),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def process_environment(folder: Path, overrides: dict[str, str] | None = None) -> dict[str, str]:
    ours = ("EVENTBRITE_", "AIRTABLE_", "CIVICRM_", "SHEETS_", "BOXOFFICE_", "WEBHOOK_")
    ours += ("ALERT_WEBHOOK_URL", "DATABASE_URL", "MARTS_PATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Empty counts as unset, and keeps a developer's .env out.
    blanks = dict.fromkeys(
        (
            *("EVENTBRITE_TOKEN", "EVENTBRITE_ORGANIZATION_ID", "AIRTABLE_TOKEN", "AIRTABLE_BASE_ID"),
            *("CIVICRM_URL", "CIVICRM_API_KEY", "CIVICRM_TIMEZONE", "SHEETS_TIMEZONE", "MAPPINGS_DIR"),
            *("WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_HOST", "WEBHOOK_PORT", "ALERT_WEBHOOK_URL"),
        ),
        "",
    )
    return {**inherited, **blanks, **environment(folder), **(overrides or {})}
