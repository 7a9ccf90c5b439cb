"""source/<name>/<table>: what a source gives for a table, fetched into deliveries. One job and one schedule for each source.

A failed source fails its own run and no other; only what can pass is tried again. Does not belong here: fetching (connectors/sources/).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from connectors.sources.connections import Connected
from connectors.sources.notes import PullBusyError
from connectors.sources.pull import Outcome, Told, pull
from pipelines.assets.freshness import freshness
from pipelines.error_messages import known_errors_as_failure
from pipelines.months import CIVIL_TIME
from pipelines.resources import Qala, report_progress
from pipelines.selection import SOURCE
from pipelines.source_pulls import ExtractStanding, sources_of
from warehouse.tables.contracts import Table

OVERDUE, ROWS = "overdue", "rows_expected"
RETRIES, WAIT = 3, 300  # seconds before the first; our proposal
_SHOWN = 50  # entries of a table in the metadata of an event


def source_keys(connections: Mapping[str, Connected]) -> dict[str, list[dg.AssetKey]]:
    """By table, the assets of the sources that feed it."""
    keys: dict[str, list[dg.AssetKey]] = {}
    for name, connected in connections.items():
        for table in dict.fromkeys(extract.table for extract in connected.extracts):
            keys.setdefault(table, []).append(dg.AssetKey([SOURCE, name, table]))
    return keys


def source_assets(connected: Connected, tables: Mapping[str, Table]) -> dg.AssetsDefinition:
    """The assets of one source, all made by one step: it is asked once for all that is due."""
    name = connected.name
    names = list(dict.fromkeys(extract.table for extract in connected.extracts))
    keys = {table: dg.AssetKey([SOURCE, name, table]) for table in names}
    specs = [_spec(connected, tables[table], key) for table, key in keys.items()]
    checks = [
        dg.AssetCheckSpec(
            OVERDUE, asset=key, description="Whether every extract came within the delay that the regulation permits"
        )
        for key in keys.values()
    ]
    checks += [
        dg.AssetCheckSpec(
            ROWS,
            asset=key,
            description="Whether the last delivery of every extract had as many rows as the regulation expects",
        )
        for key in keys.values()
    ]

    @dg.multi_asset(specs=specs, check_specs=checks, name=f"{SOURCE}_{name.replace('-', '__')}")
    @known_errors_as_failure
    def fetch(
        context: dg.AssetExecutionContext, qala: Qala
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        told = _pulled(context, qala, name)
        failed = [one for one in told if not one.well and one.outcome is not Outcome.OVERDUE]
        if failed and all(one.passing for one in failed) and context.retry_number < RETRIES:
            context.log.warning("; ".join(one.said for one in failed))
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT * 2**context.retry_number)
        standings = [one for one in sources_of(qala.home).standings() if one.source == name]
        for table, key in keys.items():
            own = [one for one in told if one.table == table]
            if own and all(one.outcome in (Outcome.DELIVERED, Outcome.UNCHANGED) for one in own):
                yield dg.MaterializeResult(asset_key=key, metadata=_described(own))
            yield from _checked(key, [one for one in standings if one.extract.table == table])
        if failed:
            raise dg.Failure("; ".join(one.said for one in failed), allow_retries=False)

    return fetch


def source_job(connected: Connected) -> tuple[Any, dg.ScheduleDefinition]:
    """The job of one source, and the schedule that asks each morning whether anything of it is due."""
    name = f"{SOURCE}_{connected.name.replace('-', '__')}"
    keys = [dg.AssetKey([SOURCE, connected.name, extract.table]) for extract in connected.extracts]
    job = dg.define_asset_job(
        f"pull_{name}",
        selection=dg.AssetSelection.assets(*dict.fromkeys(keys)),
        description=f"Fetches what is due of source {connected.name}; the sensor inbox then runs the months it belongs to.",
    )

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule="0 5 * * *",
        execution_timezone=CIVIL_TIME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"At 05:00 Asia/Almaty, if by its regulation anything of source {connected.name} is due.",
    )
    def due(context: dg.ScheduleEvaluationContext, qala: Qala) -> dg.RunRequest | dg.SkipReason:
        found = sources_of(qala.home)
        days = [one.standing.due for one in found.standings() if one.source == connected.name]
        day = context.scheduled_execution_time.date()
        if not days or min(days) > day:
            return dg.SkipReason(f"nothing is due before {min(days, default='its file is mended')}")
        return dg.RunRequest(run_key=f"{name} {day}")

    return job, due


def _pulled(context: dg.AssetExecutionContext, qala: Qala, name: str) -> list[Told]:
    found = sources_of(qala.home)
    if name not in found.connections:
        raise dg.Failure(
            "; ".join(str(fault) for fault in found.faults) or f"there is no source {name}", allow_retries=False
        )

    def say(one: Told) -> None:
        report_progress(context, f"{one.table} {one.scope} {one.period}: {one.outcome}: {one.said}")

    try:
        return pull(found.setting, found.connections[name], found.known, say)
    except PullBusyError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


def _spec(connected: Connected, table: Table, key: dg.AssetKey) -> dg.AssetSpec:
    extracts = [extract for extract in connected.extracts if extract.table == table.name]
    systems = ", ".join(sorted({extract.system for extract in extracts}))
    return dg.AssetSpec(
        key,
        description=f"Extracts of {table.name} that source {connected.name} ({connected.kind}) gives, by system {systems}. "
        f"{connected.said.description}".strip(),
        group_name="sources",
        kinds={connected.kind},
        owners=[f"team:{table.domain}"],
        tags={"sphere": table.domain},
        skippable=True,
        freshness_policy=freshness([connected.regulation(extract) for extract in extracts]),
        metadata={"settlements": sorted({scope for extract in extracts for scope in extract.places})},
    )


def _described(told: Sequence[Told]) -> dict[str, Any]:
    delivered = [one.receipt for one in told if one.receipt is not None]
    records = [
        dg.TableRecord({"receipt": r.receipt_id, "settlement": r.scope, "period": r.period, "bytes": r.bytes})
        for r in delivered
    ]
    metadata: dict[str, Any] = {"deliveries": len(delivered), "bytes": sum(r.bytes for r in delivered)}
    return metadata | ({"first deliveries": dg.MetadataValue.table(records[:_SHOWN])} if records else {})


def _checked(key: dg.AssetKey, standings: Sequence[ExtractStanding]) -> Iterator[dg.AssetCheckResult]:
    """Warnings: that something is late or has other rows than expected is for people to look at, and fails no run."""
    late = [
        {"settlement": one.scope, "newest": one.standing.newest or "", "due": str(one.standing.due)}
        for one in standings
        if one.standing.late_since is not None
    ]
    others = [{"settlement": one.scope, "last": one.unexpected} for one in standings if one.unexpected]
    for name, found in ((OVERDUE, late), (ROWS, others)):
        metadata: dict[str, Any] = {"extracts": len(found)}
        if found:
            metadata["first"] = dg.MetadataValue.table([dg.TableRecord(one) for one in found[:_SHOWN]])
        yield dg.AssetCheckResult(
            passed=not found, asset_key=key, check_name=name, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
        )
