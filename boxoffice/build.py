"""Bronze to silver, gold and sync: dbt in this process, on settings' warehouse, without the unit tests."""

import gc
import hashlib
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxoffice.errors import BoxofficeError, LeftOff, explained, explained_text
from boxoffice.settings import ROOT, Settings

logger = logging.getLogger(__name__)

SYNC_NAME = re.compile(r"sync_([a-z0-9]+)__(\w+)")
SUCCEEDED = ("success", "pass", "no-op", "warn")
Progress = Callable[[str, int, int | None], None]
# dbt makes objects by the million and little garbage: looking for it is a twentieth of a small build.
COLLECTED_AT = (200_000, 50, 100)


# What is incremental and made of bronze rows alone, and which these are.
KEPT_WHILE = {
    "stg_eventbrite__attendees": ("attendees", "held.ticket_id = objects.id"),
    "int_eventbrite__mapped_attendees": ("attendees", "held.ticket_id = objects.id"),
    "stg_eventbrite__orders": ("orders", "held.order_id = objects.id"),
    "stg_eventbrite__attendee_versions": (
        "attendees_history",
        "held.ticket_id = objects.id and held.payload_hash = objects.payload_hash",
    ),
    "stg_eventbrite__order_versions": (
        "orders_history",
        "held.order_id = objects.id and held.payload_hash = objects.payload_hash",
    ),
}


@dataclass(frozen=True)
class Trouble:
    """One model or test that did not succeed."""

    name: str
    kind: str  # "model", "seed" or "test"
    status: str  # "error", "fail", "warn" or "skipped"
    message: str
    touches_gold: bool


@dataclass(frozen=True)
class Tested:
    """What came of a test. `table` is None where it reads several, `rows_failed` where it could not run."""

    test: str
    table: str | None
    severity: str  # "error" or "warn"
    status: str  # "pass", "warn", "fail", "error" or "skipped"
    rows_failed: int | None


@dataclass
class BuildResult:
    """What dbt did.

    published: per gold table, its columns that may leave the warehouse.
    synced: the sync models that this build renewed, with nothing failed in them or upstream of them.
    unsound_sync: the names of those it was asked to renew and that are not sound.
    done: the ids of the nodes that it came to, with nothing failed in them.
    """

    models: int = 0
    tests_passed: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    tests: list[Tested] = field(default_factory=list)
    published: dict[str, "GoldTable"] = field(default_factory=dict)
    synced: list["SyncModel"] = field(default_factory=list)
    unsound_sync: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Trouble]:
        return [trouble for trouble in self.troubles if trouble.status in ("error", "fail")]

    @property
    def warnings(self) -> list[Trouble]:
        return [trouble for trouble in self.troubles if trouble.status == "warn"]

    @property
    def gold_is_sound(self) -> bool:
        """Every gold table was renewed and none of its error-severity tests failed."""
        return not any(trouble.touches_gold and trouble.status != "warn" for trouble in self.troubles)


@dataclass(frozen=True)
class GoldTable:
    """A gold table as its yml describes it, without personal columns: name to description."""

    schema: str
    description: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class SyncColumn:
    """A column of a sync model. `meta` is what its yml says for the destination, {} where it says nothing.

    is_personal: it tells of people, so its values are for the destination alone.
    """

    name: str
    data_type: str
    description: str
    meta: Mapping[str, Any]
    is_personal: bool = False


@dataclass(frozen=True)
class SyncModel:
    """What a destination should hold: `sync_<destination>__<thing>`, a table in the warehouse.

    meta: `config.meta.<destination>` of its yml. columns: in the order of its yml, which is the contract's.
    """

    name: str
    destination: str
    thing: str
    schema: str
    alias: str
    description: str
    meta: Mapping[str, Any]
    columns: Mapping[str, SyncColumn]


class Warm:
    """A project that stays parsed from one build of a process to the next, until one of its files changes."""

    def __init__(self) -> None:
        self._stamp: frozenset[tuple[str, int, int]] = frozenset()
        self._parsed: tuple[Any, str] | None = None

    def parsed(self, settings: Settings, project_dir: Path) -> tuple[Any, str]:
        """Its manifest, and what its texts come to. Within dbt's environment."""
        stamp = _stamp(settings, project_dir)
        if self._parsed is None or stamp != self._stamp:
            self._parsed = _parse(settings, project_dir), _code(project_dir)
            self._stamp = stamp
        return self._parsed


def _stamp(settings: Settings, project_dir: Path) -> frozenset[tuple[str, int, int]]:
    """Every file that parsing reads, with its time and size."""
    files = [project_dir / "dbt_project.yml", project_dir / "profiles.yml", *settings.mappings_dir.glob("*")]
    for folder in ("models", "macros", "seeds", "tests"):
        found = (project_dir / folder).rglob("*")
        files += (path for path in found if path.suffix in (".sql", ".yml", ".csv", ".md"))
    stats = ((str(path), path.stat()) for path in files)
    return frozenset((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def sync_models(settings: Settings, *, warm: Warm | None = None, project_dir: Path = ROOT) -> list[SyncModel]:
    """Every sync model of the project, by name. Nothing is built.

    Raises:
        BoxofficeError: dbt cannot parse the project.
    """
    with _environment(settings):
        manifest, _ = (warm or Warm()).parsed(settings, project_dir)
    return [_sync_model(node) for node in _sync_nodes(manifest)]


def sound_sync_models(
    settings: Settings, failed_tests: Collection[str], *, project_dir: Path = ROOT
) -> tuple[list[SyncModel], list[str]]:
    """The sync models of the project that none of these tests speaks against, and the names of the others.

    Args:
        failed_tests: names of tests; one speaks against what it reads and all that stands on that.
    """
    with _environment(settings):
        manifest = _parse(settings, project_dir)
    failed: set[str] = set()
    for node in manifest.nodes.values():
        if str(node.resource_type) == "test" and node.name in failed_tests:
            failed.update(node.depends_on_nodes)
    return _divided(_sync_nodes(manifest), failed, manifest)


def build(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    whole: bool = False,
    warm: Warm | None = None,
    project_dir: Path = ROOT,
    progress: Progress = lambda what, done, total: None,
    leaves_off: Callable[[], bool] = lambda: False,
) -> BuildResult:
    """Run `dbt build` for `select` (all when empty). The warehouse is unlocked when this returns.

    Incremental models renew what changed, and are built whole where that could leave something old: after a
    change of the project's texts, after rows have left bronze, or when `whole` says so.

    Args:
        leaves_off: asked after each node, from any thread, whether to stop.

    Raises:
        LeftOff: as `leaves_off` said so.
        BoxofficeError: dbt could not start, e.g. a model cannot be parsed.
    """
    started = time.perf_counter()
    progress("reading the models", 0, None)
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if select:
        # Cautious: a test that also reads what is not selected would judge stale tables.
        selection = "cautious" if "gold" not in select else "eager"
        arguments += ["--select", *select, "--indirect-selection", selection]
    with _environment(settings):
        manifest, code = (warm or Warm()).parsed(settings, project_dir)
        if whole or _is_outdated(settings.warehouse_path, manifest, code):
            arguments.append("--full-refresh")
        result, came, failed = _run(settings, project_dir, manifest, arguments, code, progress, leaves_off)
        built = [node for node in _sync_nodes(manifest) if node.unique_id in came]
        result.synced, result.unsound_sync = _divided(built, failed, manifest)
    result.published = dict(_gold_tables(manifest))
    result.seconds = time.perf_counter() - started
    return result


def renew(
    settings: Settings,
    destination: str,
    *,
    tables: Collection[str],
    failed_tests: Collection[str],
    warm: Warm,
    without: Collection[str] = (),
    project_dir: Path = ROOT,
    progress: Progress = lambda what, done, total: None,
) -> BuildResult | None:
    """Renew what lies between tables of bronze and the sync models of a destination, and test nothing.

    Args:
        tables: those that changed, `bronze_eventbrite.orders`. failed_tests: as `sound_sync_models`.
        without: models that are renewed already, of the `done` of another result.

    Returns:
        What was done; `synced` are all sound sync models of the destination. None where a part will not do: a
        model was never built, or is to be built whole.

    Raises:
        BoxofficeError: dbt could not start.
    """
    started = time.perf_counter()
    with _environment(settings):
        manifest, code = warm.parsed(settings, project_dir)
        nodes = [node for node in _sync_nodes(manifest) if _sync_model(node).destination == destination]
        needed = set().union(*(_with_ancestors(node.unique_id, manifest) for node in nodes))
        if _is_outdated(settings.warehouse_path, manifest, code) or _lacks(settings, needed, manifest):
            return None
        changed = {
            key
            for key, source in manifest.sources.items()
            if f"{source.schema}.{source.identifier}" in tables
        }
        names = [
            manifest.nodes[key].name
            for key in sorted(needed & set(manifest.nodes) - set(without))
            if str(manifest.nodes[key].resource_type) == "model" and changed & _with_ancestors(key, manifest)
        ]
        result, failed = BuildResult(), set[str]()
        if names:
            arguments = ["run", "--select", *names]
            result, _, failed = _run(settings, project_dir, manifest, arguments, code, progress)
        for node in manifest.nodes.values():
            if str(node.resource_type) == "test" and node.name in failed_tests:
                failed.update(node.depends_on_nodes)
        result.synced, result.unsound_sync = _divided(nodes, failed, manifest)
    result.seconds = time.perf_counter() - started
    return result


def _lacks(settings: Settings, keys: Collection[str], manifest: Any) -> bool:
    """Whether a model or seed of these is not in the warehouse."""
    import duckdb

    nodes = [manifest.nodes[key] for key in keys if key in manifest.nodes]
    tables = "select schema_name || '.' || table_name from duckdb_tables() union all "
    views = "select schema_name || '.' || view_name from duckdb_views() where not internal"
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        there = {name for (name,) in connection.execute(tables + views).fetchall()}
    return any(
        f"{node.schema}.{node.alias}" not in there
        for node in nodes
        if node.config.materialized != "ephemeral"
    )


def docs(settings: Settings, *, project_dir: Path = ROOT) -> Path:
    """Write the documentation as one page that opens offline. Returns its path.

    Raises:
        BoxofficeError: dbt could not write it.
    """
    with _environment(settings):
        arguments = ["docs", "generate", "--static", "--target-path", str(project_dir / "target")]
        _invoke(arguments, settings, project_dir, target=False)
    return project_dir / "target" / "static_index.html"


def target_dir(settings: Settings) -> Path:
    """dbt's compiled files and parse cache: beside the warehouse, for they speak of that one."""
    return settings.warehouse_path.with_suffix(".dbt")


def _parse(settings: Settings, project_dir: Path) -> Any:
    # Without --vars: as_of differs in every run, and a changed variable would throw the parse cache away.
    # Models read variables when they are compiled, after this.
    return _invoke(["parse", "--no-write-json"], settings, project_dir).result


def _code(project_dir: Path) -> str:
    """What the texts come to that decide what a model makes of its inputs."""
    digest = hashlib.blake2b(digest_size=16)
    texts = [project_dir / "dbt_project.yml"]
    for folder in ("models", "macros", "seeds/reference"):
        found = (project_dir / folder).rglob("*")
        texts += (path for path in found if path.suffix in (".sql", ".yml", ".csv"))
    for path in sorted(texts):
        digest.update(str(path.relative_to(project_dir)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _is_outdated(warehouse: Path, manifest: Any, code: str) -> bool:
    """Whether an incremental model was built from other texts, or holds what bronze has no more."""
    import duckdb

    models = [
        node
        for node in manifest.nodes.values()
        if str(node.resource_type) == "model" and node.config.materialized == "incremental"
    ]
    if not models:
        return False
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = {
            f"{schema}.{table}"
            for schema, table in connection.execute(
                "select schema_name, table_name from duckdb_tables()"
            ).fetchall()
        }
        held = [model.name for model in models if f"{model.schema}.{model.alias}" in tables]
        if not held:
            return False
        if "ops.built" not in tables:
            return True
        built = dict(connection.execute("select model, code from ops.built").fetchall())
        if any(built.get(name, code) != code for name in held):
            return True
        return any(
            connection.execute(
                f"select 1 from silver.{staging} as held"
                f" anti join bronze_eventbrite.{objects} as objects on {on} limit 1"
            ).fetchall()
            for staging, (objects, on) in KEPT_WHILE.items()
            if f"silver.{staging}" in tables and f"bronze_eventbrite.{objects}" in tables
        )


def _run(
    settings: Settings,
    project_dir: Path,
    manifest: Any,
    arguments: Sequence[str],
    code: str,
    progress: Progress,
    leaves_off: Callable[[], bool] = lambda: False,
) -> tuple[BuildResult, set[str], set[str]]:
    """One dbt command that builds. Returns what it did, the nodes it came to, and those that failed or that a
    test speaks against."""
    total: int | None = None
    done = 0
    is_left_off = False

    def on_event(event: Any) -> None:
        nonlocal total, done, is_left_off
        name = event.info.name
        if name == "ConcurrencyLine":
            total = event.data.node_count
        elif name == "NodeStart":
            progress(event.data.node_info.node_name, done, total)
        elif name == "NodeFinished":
            done += 1
            progress(event.data.node_info.node_name, done, total)
            if is_left_off or leaves_off():
                is_left_off = True
                # dbt takes what is raised here for a failure of the node, and ends at the first one.
                object.__setattr__(get_flags(), "FAIL_FAST", True)
                raise LeftOff

    from dbt.flags import get_flags

    # Variables are read as YAML: quotes keep the time a text.
    as_of, timezone = f"{settings.as_of:%Y-%m-%dT%H:%M:%S}", settings.sheets_timezone or ""
    variables = (
        f'{{as_of: "{as_of}", sheets_timezone: "{timezone}", code: "{code}",'
        f' memory_limit: "{settings.memory_limit or ""}"}}'
    )
    command = [*arguments, "--no-write-json", "--vars", variables]
    outcome = _invoke(command, settings, project_dir, manifest=manifest, callback=on_event)
    if is_left_off:
        raise LeftOff
    result, came, failed = BuildResult(), set[str](), set[str]()
    for node_result in outcome.result or ():
        _count(result, node_result, manifest)
        node, status = node_result.node, str(node_result.status)
        came.add(node.unique_id)
        if str(node.resource_type) != "test" and status not in SUCCEEDED:
            failed.add(node.unique_id)
        elif status in ("fail", "error", "runtime error"):  # a skipped one is skipped for another's failure
            failed.update(node.depends_on_nodes)
    result.done = came - failed
    return result, came, failed


def _divided(nodes: Sequence[Any], failed: set[str], manifest: Any) -> tuple[list[SyncModel], list[str]]:
    """Those that neither are nor stand on a failed node, and the names of the others."""
    is_sound = {node.name: not failed & _with_ancestors(node.unique_id, manifest) for node in nodes}
    return (
        [_sync_model(node) for node in nodes if is_sound[node.name]],
        [node.name for node in nodes if not is_sound[node.name]],
    )


def _with_ancestors(key: str, manifest: Any) -> set[str]:
    found, open_ends = {key}, [key]
    while open_ends:
        node = manifest.nodes.get(open_ends.pop())
        new = set(node.depends_on_nodes if node else ()) - found
        found |= new
        open_ends += new
    return found


def _sync_nodes(manifest: Any) -> list[Any]:
    models = [node for node in manifest.nodes.values() if str(node.resource_type) == "model"]
    return sorted(
        (node for node in models if "sync" in node.fqn[1:-1] and SYNC_NAME.fullmatch(node.name)),
        key=lambda node: node.name,
    )


def _sync_model(node: Any) -> SyncModel:
    named = SYNC_NAME.fullmatch(node.name)
    assert named is not None
    destination, thing = named.groups()
    return SyncModel(
        name=node.name,
        destination=destination,
        thing=thing,
        schema=node.schema,
        alias=node.alias,
        description=node.description,
        meta=node.config.meta.get(destination) or {},
        columns={
            column.name: SyncColumn(
                column.name,
                column.data_type or "",
                column.description,
                column.config.meta.get(destination) or column.meta.get(destination) or {},
                _is_personal(column),
            )
            for column in node.columns.values()
        },
    )


def _count(result: BuildResult, node_result: Any, manifest: Any) -> None:
    node = node_result.node
    kind = str(node.resource_type)
    status = str(node_result.status)
    if kind == "test":
        result.tests.append(_tested(node_result, manifest))
    if status in SUCCEEDED and status != "warn":
        if kind == "test":
            result.tests_passed += 1
        elif kind == "model":
            result.models += 1
        return
    known = explained_text(node_result.message or "")
    result.troubles.append(
        Trouble(
            name=node.name,
            kind=kind,
            status="error" if status == "runtime error" else status,
            message=str(known) if known else _first_lines(node_result.message or status),
            touches_gold=_touches_gold(node, manifest),
        )
    )


def _tested(node_result: Any, manifest: Any) -> Tested:
    node = node_result.node
    tables = [manifest.nodes[key] for key in node.depends_on.nodes if key in manifest.nodes]
    status = str(node_result.status)
    return Tested(
        test=node.name,
        table=f"{tables[0].schema}.{tables[0].alias}" if len(tables) == 1 else None,
        severity=str(node.config.severity).lower(),
        status="error" if status == "runtime error" else status,
        rows_failed=node_result.failures,
    )


def _touches_gold(node: Any, manifest: Any) -> bool:
    nodes = [node]
    if str(node.resource_type) == "test":
        nodes = [manifest.nodes[key] for key in node.depends_on.nodes if key in manifest.nodes]
    return any("gold" in tested.fqn[1:-1] for tested in nodes)


def _is_personal(column: Any) -> bool:
    return bool(column.meta.get("personal") or column.config.meta.get("personal"))


def _gold_tables(manifest: Any) -> Iterator[tuple[str, GoldTable]]:
    for node in manifest.nodes.values():
        if str(node.resource_type) != "model" or "gold" not in node.fqn[1:-1]:
            continue
        columns = {
            column.name: column.description for column in node.columns.values() if not _is_personal(column)
        }
        yield node.alias, GoldTable(schema=node.schema, description=node.description, columns=columns)


def _invoke(
    arguments: list[str],
    settings: Settings,
    project_dir: Path,
    *,
    manifest: Any = None,
    callback: Callable[[Any], None] | None = None,
    target: bool = True,
) -> Any:
    """One dbt command, silent. Raises BoxofficeError where dbt itself failed; failed nodes are results."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*COLLECTED_AT)
    from dbt.cli.main import dbtRunner

    runner = dbtRunner(manifest=manifest, callbacks=[callback] if callback else [])
    common = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--no-use-colors"]
    where = ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir)]
    where += ["--log-path", str(target_dir(settings))]
    if target:
        where += ["--target-path", str(target_dir(settings))]
    try:
        with warnings.catch_warnings():
            # Guesses of dbt's table library about seeds that hold a header only.
            warnings.simplefilter("ignore")
            outcome = runner.invoke([*common, *arguments, *where])
    finally:
        gc.set_threshold(*thresholds)
        close_connections()
    if outcome.exception is not None:
        if not isinstance(outcome.exception, Exception):
            raise outcome.exception  # a person's Ctrl-C
        logger.debug("dbt failed", exc_info=outcome.exception)
        raise explained(outcome.exception) or BoxofficeError(
            f"`dbt {arguments[0]}` stopped: {_first_lines(str(outcome.exception))}",
            "Mend the file it names; `git status` shows what was changed.",
        ) from outcome.exception
    return outcome


def close_connections() -> None:
    """Let go of the warehouse, which the adapter keeps open between models: it would keep the file's lock."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import FACTORY

    for adapter in FACTORY.adapters.values():
        adapter.cleanup_connections()
    DuckDBConnectionManager.close_all_connections()


def _first_lines(text: str, lines: int = 6) -> str:
    kept = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " ".join(kept[:lines])


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings.dbt_environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
