"""showcase/<table>: deliveries gated, judged and loaded. One check for each quality criterion of the law."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from connectors.ingest import ingest_table
from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import POOL, Qala, months, report_progress, single_run
from warehouse.isolation import worker
from warehouse.loading.deliveries import Delivery, Finding, current_findings
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Table
from warehouse.tables.rules import CRITERIA


def showcase_asset(table: Table, group: str) -> dg.AssetsDefinition:
    """The asset of one contract, in the asset group of its sphere."""
    key = dg.AssetKey(["showcase", table.name])

    @dg.asset(
        key=key,
        # a reference is judged against what it refers to: that is loaded first
        deps=[
            dg.AssetKey(["zero", table.name]),
            *(dg.AssetKey(["showcase", t]) for t in sorted({r.table for r in table.references})),
        ],
        description=f"**{table.title}** / {table.title_ru}\n\n{table.description}",
        group_name=group,
        kinds={"duckdb", "greatexpectations"},
        owners=[f"team:{table.domain}"],
        tags={"sphere": table.domain},
        metadata={
            "dagster/column_schema": _columns(table),
            "dagster/table_name": f"qala.showcase.{table.name}",
            "owner": table.owner,
            "contract": f"{table.document.path.name} {table.version}",
        },
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset=key,
                description=f"{name} / {ru}: "
                + ("; ".join(r.description for r in table.all_rules if r.criterion == name) or "not judged"),
            )
            for name, (ru, _) in CRITERIA.items()
        ],
        partitions_def=months,
        backfill_policy=single_run,
        pool=POOL,
    )
    @known_errors_as_failure
    def load(
        context: dg.AssetExecutionContext, qala: Qala
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with qala.writing(context.run_id) as store:
            report = ingest_table(
                store,
                qala.archive,
                table,
                qala.sources,
                context.partition_keys,
                lambda text: report_progress(context, text),
            )
            worker.warm("warehouse.kpi_values.compute:get_ready", qala.home)  # while Dagster writes down what was found
            stand = current_findings(store, table.name, context.partition_keys)
            total = store.con.execute(f"SELECT count(*) FROM showcase.{table.name}").fetchone()
        refused = [o for o in report.outcomes if o.state == "refused"]
        for one in refused:
            context.log.warning(f"refused: {one.reason}")
        metadata: dict[str, Any] = {
            "dagster/row_count": total[0] if total else 0,
            "deliveries loaded": report.count("loaded"),
            "deliveries refused": len(refused),
            "deliveries repeated": report.count("duplicate"),
            "rows accepted": report.accepted,
            "rows rejected": report.rejected,
        }
        if report.corrected:
            metadata["corrections"] = dg.MetadataValue.table([
                dg.TableRecord({"correction": c.correction_id, "delivery": c.delivery_id, "row": c.row_no, "column": c.column_name,
                                "was": str(c.was), "becomes": str(c.becomes), "outcome": c.outcome}) for c in report.corrected[:50]])  # fmt: skip
        if refused:
            metadata["refusals"] = dg.MetadataValue.md(
                "\n".join(f"- delivery {o.delivery_id}: {o.reason}" for o in refused[:50])
            )
        yield dg.MaterializeResult(metadata=metadata)
        for criterion in CRITERIA:
            yield _check(key, table, criterion, stand, context.partition_keys)

    return load


def _check(
    key: dg.AssetKey,
    table: Table,
    criterion: str,
    stand: Sequence[tuple[Finding, Delivery, bool]],
    months: Sequence[str],
) -> dg.AssetCheckResult:
    """A criterion over the deliveries that stand for the run's months, whichever run judged them: a re-run does not whitewash.

    A failing one never stops the others: the gate has refused it already.
    """
    rules = {r.id: r for r in table.all_rules if r.criterion == criterion}
    judged = [(f, d) for f, d, _ in stand if f.rule in rules and f.judged]
    failed = [(f, d) for f, d, fails in stand if f.rule in rules and fails]
    deliveries, failing = {d.delivery_id for _, d in judged}, {d.delivery_id for _, d in failed}
    touched = Counter(f.rule for f, _ in judged if not f.passed)
    metadata: dict[str, Any] = {"deliveries judged": len(deliveries), "deliveries failing": len(failing)}
    if rules:
        metadata["rules"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "rule": r.id,
                        "what must hold": r.description,
                        "deliveries with rows or figures that break it": touched[r.id],
                    }
                )
                for r in rules.values()
            ]
        )
    if failed:
        metadata["failing"] = dg.MetadataValue.table([
            dg.TableRecord({"delivery": d.delivery_id, "rule": f.rule, "file": d.file_name, "scope": d.scope, "period": d.period, "observed": f.observed})
            for f, d in failed[:50]])  # fmt: skip
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    severe = any(f.severity == "error" for f, _ in failed)
    if not rules:
        said = "not judged: the contract has no rule of this criterion"
    elif not deliveries:
        said = f"not judged: no delivery stands for {span}, or there is nothing yet to judge one by"
    else:
        named = f": {', '.join(sorted({f.rule for f, _ in failed}))}" if failed else ""
        said = f"{len(failing)} of {len(deliveries)} deliveries for {span} fail{named}"
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=key,
        check_name=criterion,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata=metadata,
    )


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
