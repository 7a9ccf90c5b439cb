"""showcase/<table>: deliveries gated, judged and loaded. One check for each rule of the table's contract."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from connectors.intake import take_in
from pipelines.resources import POOL, Qala, months, single_run, tell
from warehouse.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Rule, Table
from warehouse.load import Delivery, Finding, standing
from warehouse.store import writing


def showcase_asset(table: Table) -> dg.AssetsDefinition:
    """The asset of one contract."""
    key = dg.AssetKey(["showcase", table.name])

    @dg.asset(
        key=key,
        # a reference is judged against what it refers to: that is loaded first
        deps=[
            dg.AssetKey(["zero", table.name]),
            *(dg.AssetKey(["showcase", t]) for t in sorted({r.table for r in table.references})),
        ],
        description=f"**{table.title}** / {table.title_ru}\n\n{table.description}",
        group_name=table.domain.lower(),
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
            dg.AssetCheckSpec(r.check_name, asset=key, description=f"{r.description} ({r.criterion})")
            for r in table.all_rules
        ],
        partitions_def=months,
        backfill_policy=single_run,
        pool=POOL,
    )
    def load(
        context: dg.AssetExecutionContext, qala: Qala
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with writing(qala.home, context.run_id) as store:
            report = take_in(
                store, qala.archive, table, qala.sources, context.partition_keys, lambda text: tell(context, text)
            )
            stand = standing(store, table.name, context.partition_keys)
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
        if refused:
            metadata["refusals"] = dg.MetadataValue.md(
                "\n".join(f"- delivery {o.delivery_id}: {o.reason}" for o in refused[:50])
            )
        yield dg.MaterializeResult(metadata=metadata)
        for rule in table.all_rules:
            yield _check(key, rule, stand, context.partition_keys)

    return load


def _check(
    key: dg.AssetKey, rule: Rule, stand: Sequence[tuple[Finding, Delivery]], months: Sequence[str]
) -> dg.AssetCheckResult:
    """A rule over the deliveries that stand for the run's months, whichever run judged them: a re-run does not whitewash.

    A failing one never stops the others: the gate has refused it already.
    """
    judged = [(f, d) for f, d in stand if f.rule == rule.id]
    failed = [(f, d) for f, d in judged if not f.passed]
    metadata: dict[str, Any] = {"deliveries judged": len(judged), "deliveries failing": len(failed)}
    if failed:
        metadata["failing"] = dg.MetadataValue.table([
            dg.TableRecord({"delivery": d.delivery_id, "file": d.file_name, "scope": d.scope, "period": d.period, "observed": f.observed})
            for f, d in failed[:50]])  # fmt: skip
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    severe = any(f.severity == "error" for f, _ in failed)
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=key,
        check_name=rule.check_name,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=f"{len(failed)} of {len(judged)} deliveries for {span} fail"
        if judged
        else f"no delivery stands for {span}",
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
