"""`python -m reverse_etl [DESTINATION]`: make destinations hold what the sync models say."""

import sys
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

import click

from boxoffice import build, mappings, stand_ins
from boxoffice.airtable_api import Client
from boxoffice.build import SyncModel
from boxoffice.errors import BoxofficeError, CallError, ConfigurationError
from boxoffice.session import Session, conduct, observe
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from reverse_etl import airtable, civicrm_explain, civicrm_show, civicrm_state, civicrm_sync, links, show
from reverse_etl.airtable import NotSetUp, Schema, Sync
from reverse_etl.civicrm_api import Site
from reverse_etl.civicrm_suggest import suggested
from reverse_etl.explain import explained
from reverse_etl.journal import Journal
from reverse_etl.links import Links

STEP = "sync airtable"
CIVICRM_STEP = "sync civicrm"
SOURCE_STEP = "airtable"  # ingest's, whose calls count to the same budget


def sync(
    session: Session,
    models: Sequence[SyncModel],
    *,
    settings: Settings | None = None,
    unsound: Collection[str] = (),
    writes: bool = True,
    reconcile: bool = False,
    bootstrap: bool = False,
    schema: Schema | None = None,
    again: bool = True,
    is_asked: bool = False,
) -> bool:
    """Bring Airtable to what the sync models say, as one step of the session.

    Args:
        models: those that are soundly built, of every destination. unsound: names of the others, which are
            left alone. settings: in place of the session's.
        writes: without it the plan is shown and nothing changes. reconcile: read the base whole first.
        bootstrap: make missing tables and fields first. schema: as it is known, where several syncs share it.
        again: rows that were refused before are tried, too. is_asked: somebody wants just this, so that a
            base that is not set up is an error.

    Returns:
        Whether it took every call: there is no use in asking again soon. Rows may be refused all the same.

    Raises:
        ConfigurationError: if `is_asked`, nothing can be done.
    """
    settings = settings or session.settings
    if settings.airtable_token is None:
        with session.step(STEP) as step:
            step.status = "skipped"
        session.notes.append("Nothing is written to Airtable: AIRTABLE_TOKEN is not set.")
        return True
    if not is_asked:
        with session.step(STEP) as step:
            try:
                run, client = _prepared(session, models, settings, unsound, schema)
            except ConfigurationError as error:
                session.problem(STEP, error)
                step.status = "failed"
                return True
            if run.is_unknown and not bootstrap and _looked_lately(session):
                step.status = "skipped"
                session.notes.append(str(run.not_set_up()))
                return True
            _conducted(session, step, run, client, writes, reconcile, bootstrap, again)
            _name(session, step, unsound)
        return _is_through(run.outcome.problems)
    run, client = _prepared(session, models, settings, unsound, schema)
    try:
        run.connect(bootstraps=bootstrap)
    except ConfigurationError:
        client.close()
        raise
    except CallError as error:
        client.close()
        problem = show.kept(session, client, airtable.DESTINATION, error)
        raise ConfigurationError(problem.problem, problem.remedy) from None
    with session.step(STEP) as step:
        _conducted(session, step, run, client, writes, reconcile, bootstrap, again)
        _name(session, step, unsound)
    return _is_through(run.outcome.problems)


def _is_through(problems: Iterable[BoxofficeError]) -> bool:
    return not any(isinstance(problem, CallError) for problem in problems)


def _looked_lately(session: Session) -> bool:
    """Whether a run has asked within a day, and found nothing to write to: each look is a call."""
    query = """
        select 1 from steps inner join runs using (run_id)
        where step = ? and steps.status = 'skipped' and requests > 0
            and started_at > datetime('now', '-1 day') limit 1
    """
    return session.ops.connection.execute(query, (STEP,)).fetchone() is not None


def _name(session: Session, step: show.Step, unsound: Collection[str]) -> None:
    """Say which models were left out, where any is written."""
    own = [name for name in unsound if name.startswith(f"sync_{step.name.removeprefix('sync ')}__")]
    if own and step.status != "skipped":
        what = f"Not written back before the failures in them or below them are mended: {', '.join(own)}."
        session.problem(step.name, BoxofficeError(what, "`make gold` says what failed."))


def _prepared(
    session: Session,
    models: Sequence[SyncModel],
    settings: Settings,
    unsound: Collection[str],
    schema: Schema | None,
) -> tuple[Sync, Client]:
    if settings.airtable_base_id is None:
        raise ConfigurationError(
            "AIRTABLE_TOKEN is set, and AIRTABLE_BASE_ID is not.",
            "Set it to the id of the base to write; it starts with app and stands in the base's address.",
        )
    assert settings.airtable_token is not None
    client = Client(
        settings.airtable_api_url,
        settings.airtable_token,
        settings.airtable_base_id,
        budget=settings.airtable_call_budget,
        spent=sum(step.requests or 0 for step in session.steps if step.name == SOURCE_STEP),
        per_second=settings.airtable_per_second,
        report=lambda sentence: session.progress(sentence, 0, None),
    )
    run = Sync(
        client,
        Journal(session.ops, airtable.DESTINATION, settings.airtable_base_id, session.run_id),
        settings.warehouse_path,
        [model for model in models if model.destination == airtable.DESTINATION],
        words=mappings.airtable_fields(settings),
        policies=mappings.policies(settings, airtable.DESTINATION),
        others=unsound,
        schema=schema,
        progress=session.progress,
    )
    return run, client


def _conducted(
    session: Session,
    step: show.Step,
    run: Sync,
    client: Client,
    writes: bool,
    reconcile: bool,
    bootstrap: bool,
    again: bool,
) -> None:
    try:
        run.plan(bootstraps=bootstrap, reconciles=reconcile, again=again)
        if writes:
            run.write()
    except NotSetUp as error:
        step.status = "skipped"
        session.notes.append(str(error))
    except BoxofficeError as error:
        step.status = "partial" if run.outcome.written else "failed"
        run.outcome.problems.append(error)
    finally:
        client.close()
        step.requests = client.calls
        show.outcome(session, step, run.outcome, client, writes=writes)


def sync_civicrm(
    session: Session,
    models: Sequence[SyncModel],
    *,
    settings: Settings | None = None,
    unsound: Collection[str] = (),
    writes: bool = True,
    reconcile: bool = False,
    again: Collection[str] | None = None,
    is_asked: bool = False,
) -> bool:
    """Bring CiviCRM to what the sync models say, as one step of the session.

    Args:
        models, unsound, settings, writes, is_asked: as `sync`. reconcile: look at every order again.
        again: ids of the orders that are tried although they were refused before; all when None.

    Returns:
        As `sync`.

    Raises:
        ConfigurationError: if `is_asked`, nothing can be done.
    """
    settings = settings or session.settings
    own = [model for model in models if model.destination == links.DESTINATION]
    try:
        reached, policies = (
            settings.civicrm,
            civicrm_state.policies(mappings.policies(settings, links.DESTINATION)),
        )
        events = mappings.civicrm_events(settings) if reached is not None else []
    except ConfigurationError as error:
        if is_asked:
            raise
        with session.step(CIVICRM_STEP) as step:
            session.problem(CIVICRM_STEP, error)
            step.status = "failed"
        return True
    with session.step(CIVICRM_STEP) as step:
        if reached is None or not events:
            step.status = "skipped"
            why = "civicrm_events.csv maps no event" if reached else "CIVICRM_URL is not set"
            session.notes.append(f"Nothing is written to CiviCRM: {why}.")
            return True
        _name(session, step, unsound)
        if {model.thing for model in own} != {"orders", "attendees"}:
            step.status = (
                "failed" if any(name.startswith("sync_civicrm__") for name in unsound) else "skipped"
            )
            return True
        site = Site(reached.url, reached.key, report=lambda sentence: session.progress(sentence, 0, None))
        run = civicrm_sync.Sync(
            site,
            Links(session.ops, reached.base_id, session.run_id),
            settings.warehouse_path,
            own,
            zone=reached.zone,
            policies=policies,
            progress=session.progress,
        )
        try:
            run.run(writes=writes, reconciles=reconcile, again=again)
        except BoxofficeError as error:
            step.status = "partial" if run.outcome.written else "failed"
            run.outcome.problems.append(error)
        finally:
            site.close()
            civicrm_show.outcome(session, step, run.outcome, site, writes=writes)
            named = run.outcome.named
            session.notes += [
                f"Line {each.line} of civicrm_events.csv names {each.eventbrite_event}, which no event on"
                " Eventbrite, or more than one, is called: nothing of it is written."
                for each in events
                if named is not None and each.eventbrite_event not in named
            ]
    return _is_through(run.outcome.problems)


def _explained(
    destination: str | None, key: str, settings: Settings, terminal: Terminal
) -> tuple[int, dict[str, Any]]:
    """By the destination; by all that are set up where none is named."""
    tellers = {airtable.DESTINATION: explained, links.DESTINATION: civicrm_explain.explained}
    has_site = settings.is_sandbox or settings.civicrm_url is not None
    if destination is not None or not has_site:
        return tellers[destination or airtable.DESTINATION](key, settings, terminal)
    told = {name: teller(key, settings, terminal) for name, teller in tellers.items()}
    return min(code for code, _ in told.values()), {name: document for name, (_, document) in told.items()}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("destination", required=False, type=click.Choice([airtable.DESTINATION, links.DESTINATION]))
@click.option("--plan", "plans", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--bootstrap", is_flag=True, help="Make missing tables and fields, then show the plan.")
@click.option("--reconcile", is_flag=True, help="Read the destination whole first, and mend what differs.")
@click.option("--explain", "key", metavar="KEY", help="Tell why the row with this key is there, or is not.")
@click.option("--suggest-mapping", "suggests", is_flag=True, help="Print lines for CiviCRM's mappings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the summary.")
def main(
    destination: str | None,
    plans: bool,
    bootstrap: bool,
    reconcile: bool,
    key: str | None,
    suggests: bool,
    as_json: bool,
) -> None:
    """Make DESTINATION (all of them without it) hold what the sync models say."""
    if suggests and destination != links.DESTINATION:
        raise click.UsageError("--suggest-mapping is of `civicrm` only.")
    if suggests:
        sys.exit(observe("suggest-mapping", suggested, as_json=as_json))
    if key is not None:
        sys.exit(observe("explain", partial(_explained, destination, key), as_json=as_json))

    def body(session: Session) -> None:
        models, unsound = build.sound_sync_models(session.settings, session.ops.failed_tests())
        with stand_ins.started(session.settings) as ready:
            reached = ready()
            names = (airtable.DESTINATION, links.DESTINATION) if destination is None else (destination,)
            are_set = (reached.airtable_token is not None) + (reached.civicrm_url is not None)
            common: Any = {"settings": reached, "unsound": unsound, "reconcile": reconcile}
            # Of two, the trouble of one is no reason to leave out the other.
            common |= {"writes": not (plans or bootstrap), "is_asked": len(names) == 1 or are_set < 2}
            if airtable.DESTINATION in names:
                sync(session, models, bootstrap=bootstrap, **common)
            if links.DESTINATION in names and not bootstrap:
                sync_civicrm(session, models, **common)

    command = "plan" if plans else "bootstrap" if bootstrap else "sync"
    sys.exit(conduct(command, body, as_json=as_json))


if __name__ == "__main__":
    main()
