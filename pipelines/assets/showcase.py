"""showcase/<table>: deliveries led through both gates and loaded. One check for each quality criterion of the law.

Does not belong here: the gates themselves (connectors/), what is shown of a load (table_metadata.py) and of its checks (table_checks.py).
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from connectors.ingest import ingest_table
from pipelines.assets.documents import of_document
from pipelines.assets.freshness import freshness_of_table
from pipelines.assets.table_checks import Judged, check_specs, evaluations
from pipelines.assets.table_metadata import LoadedMonths, loaded_months, rejected_by_month, standing_refusals
from pipelines.error_messages import known_errors_as_failure
from pipelines.event_log.batches import log_evaluations
from pipelines.resources import POOL, Qala, report_progress, single_run
from warehouse.isolation import worker
from warehouse.loading.deliveries import current_findings
from warehouse.messages.messages import said
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Table

REFUSED = "qala/refused"  # tag of a run: how many deliveries it has refused


def showcase_asset(table: Table, group: str, months: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of one contract, in the asset group of its sphere, with its checks."""
    key = dg.AssetKey(["showcase", table.name])
    # a reference is judged against the table that it refers to, so that is loaded first
    referred = sorted({r.table for r in table.references})
    specs = check_specs(key, table, months)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["zero", table.name]), *(dg.AssetKey(["showcase", name]) for name in referred)],
        # the first line is what the graph has room for
        description=f"Table: {table.title} / {table.title_ru}\n\n{table.description}",
        group_name=group,
        kinds={"showcase", "duckdb", "greatexpectations"},
        owners=[f"team:{table.domain}"],
        tags={"sphere": table.domain, "level": "showcase"},
        metadata={
            "dagster/column_schema": _columns(table),
            "dagster/table_name": f"qala.showcase.{table.name}",
            "owner": table.owner,
            **of_document("contract", table.document.path, table.version),
        },
        check_specs=specs,
        partitions_def=months,
        backfill_policy=single_run,
        freshness_policy=freshness_of_table(table),
        pool=POOL,
    )
    @known_errors_as_failure
    def load(
        context: dg.AssetExecutionContext, qala: Qala
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckEvaluation | dg.Output[None]]:
        keys = list(context.partition_keys)
        loaded, judged = _take_in(context, qala, table, keys)
        _tell_refused(context, [said(one.reason) for one in loaded.refused])
        own = {month: loaded.metadata(month, one.rejected) for month, one in judged.items()}
        for month in keys:
            context.add_asset_metadata(own[month], partition_key=month)
        same = {"whole table": f"{loaded.total:,} rows"}  # a text: a number would be plotted as each month's own
        yield dg.MaterializeResult(metadata=same)
        for month in loaded.others:
            context.log_event(dg.AssetMaterialization(key, partition=month, metadata=same | own[month]))
        targets = _events(context, key, keys)
        results = [one for month in judged for one in evaluations(key, table, judged[month], targets.get(month))]
        if len(judged) > 1:
            # what fails comes last: of all months Dagster shows the result that came last with the table
            log_evaluations(context, sorted(results, key=lambda one: not one.passed))
        else:
            yield from results
        for spec in specs:
            yield dg.Output(None, output_name=spec.get_python_identifier())

    return load


def refused_in_run(instance: dg.DagsterInstance, run_id: str) -> int:
    """How many deliveries a run has refused, as its tag says."""
    run = instance.get_run_by_id(run_id)
    return int(run.tags.get(REFUSED, 0)) if run else 0


def _take_in(
    context: dg.AssetExecutionContext, qala: Qala, table: Table, months: Sequence[str]
) -> tuple[LoadedMonths, dict[str, Judged]]:
    """Load what waits, and read what there is to say of it: of the months asked for, and of others that deliveries were read again of."""
    sources = qala.sources
    with qala.writing(context.run_id) as store:
        report = ingest_table(store, qala.archive, table, sources, months, lambda text: report_progress(context, text))
        # the worker that computes starts while Dagster stores the results of this step
        worker.warm("warehouse.kpi_values.compute:get_ready", qala.home)
        loaded = loaded_months(store, table, report, sources, months)
        every = [*months, *loaded.others]
        findings = current_findings(store, table.name, every)
        refused = standing_refusals(store, table)
        doubtful = {d.delivery_id for f, d, fails in findings if fails}
        doubtful |= {o.delivery_id for o in report.outcomes if o.rejected or o.state == "refused"}
        rejected = rejected_by_month(store, table, sources, doubtful)
    of = {month: [one for one in findings if one[1].closing_month == month] for month in every}
    return loaded, {m: Judged(m, of[m], refused.get(m, ()), rejected.get(m, ())) for m in every}


def _tell_refused(context: dg.AssetExecutionContext, reasons: Sequence[str]) -> None:
    """In the run's log, and as its tag, which the list of runs shows."""
    for one in reasons:
        context.log.warning(f"refused: {one}")
    if reasons:
        number = refused_in_run(context.instance, context.run_id) + len(reasons)
        context.instance.add_run_tags(context.run_id, {REFUSED: str(number)})


def _events(context: dg.AssetExecutionContext, key: dg.AssetKey, months: Sequence[str]) -> dict[str, dg.EventLogRecord]:
    """Month → the newest event of its load, asked for once for all checks."""
    chosen = dg.AssetRecordsFilter(key, asset_partitions=months)
    records = context.instance.fetch_materializations(chosen, limit=2 * len(months)).records
    return {str(one.partition_key): one for one in reversed(records)}


def _columns(table: Table) -> dg.TableSchema:
    system = [dg.TableColumn(n, t, description) for n, (t, description) in SYSTEM_COLUMNS.items()]
    own = [
        dg.TableColumn(
            c.name,
            c.sql_type,
            c.description + (f" [{c.unit}]" if c.unit else ""),
            dg.TableColumnConstraints(nullable=not c.required, other=["key"] if c.name in table.key else []),
        )
        for c in table.columns
    ]
    snapshot = [dg.TableColumn(*SNAPSHOT_COLUMN)] if table.snapshot else []
    return dg.TableSchema([*system[:1], *own, *snapshot, *system[1:]])
