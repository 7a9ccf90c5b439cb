"""When things run: by hand, every month, and when extracts arrive."""

from collections.abc import Iterator

import dagster as dg

from connectors.inbox import BusyError, collect
from pipelines.resources import Qala, months
from pipelines.run import blocks, selection
from warehouse.periods import parse_period

job = dg.define_asset_job(
    "city_kpis",
    selection=dg.AssetSelection.all(),
    partitions_def=months,
    description="The whole way for one reporting month, or for a range of months at once: take in the extracts that close in it, "
    "check and load them, compute what is due or was touched, publish.",
)

monthly_schedule = dg.build_schedule_from_partitioned_job(
    job,
    name="monthly",
    description="The month before, on the 5th at 06:00 Asia/Almaty: by then extracts are due.",
    day_of_month=5,
    hour_of_day=6,
)


@dg.sensor(
    name="inbox",
    job=job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes complete drops out of the inbox folder and runs the months they belong to.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, qala: Qala) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for every block of consecutive months that waiting receipts cover.

    A receipt that waits is asked for once: a failed run is for people to see to.
    """
    try:
        drops = collect(qala.home.inbox, qala.archive, qala.tables, qala.sources) if qala.home.inbox.exists() else []
    except BusyError as error:
        context.log.info(str(error))
        drops = []
    for drop in drops:
        context.log.info(drop.told)
    for told in qala.archive.set_aside():
        context.log.warning(told)
    waiting = qala.archive.pending()
    closed = set(months.get_partition_keys())
    newest: dict[str, str] = {}
    early: set[str] = set()
    for receipt in waiting:
        period = parse_period(receipt.period)
        if period.closing_month in closed:
            newest |= dict.fromkeys(period.months, receipt.receipt_id)
        else:
            early.add(period.id)
    tables = {r.table for r in waiting}
    for first, last in blocks(tuple(newest)):
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        yield dg.RunRequest(
            run_key=f"{first} {last} {max(newest.values())}", tags=tags, asset_selection=selection(tables, qala.tables)
        )
    if not newest:
        yield dg.SkipReason(f"waiting for {', '.join(sorted(early))} to end" if early else "no extract is waiting")
