"""The quarterly reconciliation with databases, as Dagster runs it: a job, and a schedule that starts it when a quarter is over and settled.

Does not belong here: counting and comparing (connectors/control/, warehouse/loading/control_totals.py), control files (qala reconcile).
"""

from collections.abc import Mapping

import dagster as dg

from connectors.control.control_file import ControlError
from connectors.control.reconcile import controls_of_sources, last_quarter
from connectors.sources.connections import Connected
from connectors.sources.source import SourceError
from pipelines.resources import Qala
from pipelines.source_pulls import national_day, sound_connections
from warehouse.loading.control_totals import reconcile_with

KINDS = ("postgresql", "sql")  # of sources that can count
RETRY = dg.RetryPolicy(max_retries=3, delay=600)


def countable(connections: Mapping[str, Connected]) -> dict[str, Connected]:
    return {name: one for name, one in connections.items() if one.kind in KINDS}


@dg.op(name="reconcile", description="Compares the last quarter with every database, by table, settlement and month.")
def reconcile(context: dg.OpExecutionContext, qala: Qala) -> None:
    """What differs opens incidents and is no failure of the run; a source that could not be asked is one, after all others were."""
    connections, _ = sound_connections(qala.home, qala.tables, qala.sources)
    period, failed, passing = last_quarter(national_day()), list[str](), True
    for name, make in controls_of_sources(qala.home, countable(connections), period, qala.tables, qala.sources):
        try:
            control = make()
        except (ControlError, SourceError) as error:
            failed.append(f"{name}: {error}")
            passing = passing and isinstance(error, SourceError) and error.passing
            continue
        with qala.writing(context.run_id) as store:
            found = reconcile_with(store, control)
        said = f"{name} {period.id}: {found.cells} cells, {len(found.differences)} differ, incidents opened {list(found.opened)}, closed {list(found.closed)}"
        (context.log.warning if found.differences else context.log.info)(said)
    qala.close_warehouse()
    if failed:
        raise dg.Failure("\n".join(failed), allow_retries=passing)


@dg.job(
    name="reconciliation",
    description="The quarterly reconciliation with the sources that are databases.",
    op_retry_policy=RETRY,
)
def reconciliation() -> None:
    reconcile()


quarterly_schedule = dg.ScheduleDefinition(
    name="quarterly",
    job=reconciliation,
    cron_schedule="0 7 15 1,4,7,10 *",
    execution_timezone="Asia/Almaty",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="On the 15th after a quarter: by then its extracts were pulled and corrected.",
)
