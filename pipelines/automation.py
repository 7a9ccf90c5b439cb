"""When things run: by hand, every month, and when extracts arrive."""

import subprocess
import sys
from collections.abc import Iterator

import dagster as dg

from connectors.corrections import read_corrections
from connectors.receiving.inbox import InboxBusyError, collect
from kpi_definitions.listed import listed
from pipelines.months import EARLIEST
from pipelines.pending_work import find_pending_work
from pipelines.resources import POOL, Qala
from pipelines.selection import SOURCE, selection
from warehouse.periods import month_ranges

job = dg.define_asset_job(
    "city_kpis",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.groups("publications")
    - dg.AssetSelection.key_prefixes(SOURCE),
    description="The whole way for one reporting month, or for a range of months at once: take in the extracts that close in it, "
    "check and load them, compute what is due or was touched, publish.",
)

publications_job = dg.define_asset_job(
    "city_publications",  # not the name of an asset: Dagster wants names of jobs and steps to differ
    selection=dg.AssetSelection.groups("publications"),
    description="What is made of a release for those outside: pages for people, figures as other systems load them. The sensor after_release starts it.",
)


@dg.op(name="qala_run", pool=POOL, description="Does what `qala run` does, in a process that knows all months.")
def qala_run(context: dg.OpExecutionContext, qala: Qala) -> None:
    """Fails if the command does: 3 is that something was refused, which that run's own tag says."""
    command = [sys.executable, "-c", "from pipelines.cli import app; app()", "run", "--home", str(qala.home.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command line
    context.log.info(done.stdout)
    if done.returncode not in (0, 3):
        raise dg.Failure(done.stderr.strip() or f"qala run ended with {done.returncode}", allow_retries=False)


@dg.job(
    name="earlier_months",
    description="Runs what waits when an extract came of a month before the first one on these screens. "
    "Load the definitions again afterwards (Deployment, Reload), and the screens begin with that month.",
)
def earlier_months() -> None:
    """A run of its own for the months themselves is on the timeline beside this one."""
    qala_run()


@dg.asset_sensor(
    asset_key=dg.AssetKey("release"),
    name="after_release",
    job=publications_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the report and publishes figures once the newest release is there.",
)
def after_release(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:  # noqa: ARG001
    """One run for a release; a release that came meanwhile is the one that is published."""
    return dg.RunRequest(run_key=event.run_id)


monthly_schedule = dg.build_schedule_from_partitioned_job(
    job,
    name="monthly",
    description="The month before, on the 5th at 06:00 Asia/Almaty: by then extracts are due.",
    day_of_month=5,
    hour_of_day=6,
)


@dg.sensor(
    name="inbox",
    jobs=[job, earlier_months],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes complete drops out of the inbox folder, and runs the months they belong to, those still to be computed, and "
    "what a correction touches that was declared.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, qala: Qala) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for every block of consecutive months that waiting receipts cover, or that were loaded and not computed.

    What waits or is due is asked for once: a failed run is for people to see to.
    """
    try:
        drops = collect(qala.home.inbox, qala.archive, qala.tables, qala.sources) if qala.home.inbox.exists() else []
    except InboxBusyError as error:
        context.log.info(str(error))
        drops = []
    for drop in drops:
        context.log.info(drop.told)
    for told in qala.archive.set_aside():
        context.log.warning(told)
    declared = read_corrections(qala.home.corrections, qala.tables)
    going_on = context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=_GOING_ON))
    # between two steps of a run the warehouse is free, and what the run has loaded is not computed yet: so nothing is called due
    work = find_pending_work(
        qala.home, qala.archive.pending(), declared, None if going_on else listed(qala.home.catalogues), qala.sources
    )
    every = context.repository_def.asset_graph.get_all_asset_keys() if context.repository_def else None
    begins = _first_of(context.repository_def)
    if work.months and work.months[0] < begins:
        context.log.info(f"{work.months[0]} is before {begins}, with which these definitions begin")
        yield dg.RunRequest(run_key=f"{work.months[0]} {work.key}", job_name=earlier_months.name)
        return
    for first, last in month_ranges(work.months):
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        chosen = None if every is None else selection(every, work.tables, work.codes)
        yield dg.RunRequest(run_key=f"{first} {last} {work.key}", job_name=job.name, tags=tags, asset_selection=chosen)
    if not work.months:
        waits = f"waiting for {', '.join(work.early)} to end" if work.early else "no extract is waiting"
        why = "a run is going on" if going_on else work.said
        yield dg.SkipReason(f"{waits}; {why}" if why else waits)


def _first_of(repository: dg.RepositoryDefinition | None) -> str:
    """The month with which the partitions of loaded definitions begin; the earliest there may be, where none are loaded."""
    months = repository.get_job(job.name).partitions_def if repository else None
    return months.get_first_partition_key() or EARLIEST if months else EARLIEST


_GOING_ON = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
