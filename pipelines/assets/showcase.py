"""showcase/<table>: deliveries led through both gates and loaded. One check for each quality criterion of the law.

Does not belong here: the gates themselves (connectors/), the rules of a criterion (warehouse/tables/rules.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from connectors.ingest import IngestReport, ingest_table
from pipelines.error_messages import known_errors_as_failure
from pipelines.refusals import Sources, headers_of
from pipelines.resources import POOL, Qala, months, report_progress, single_run
from warehouse.audit.refusals import Refused, refused_deliveries, with_broken_rules
from warehouse.isolation import worker
from warehouse.loading.deliveries import Delivery, Finding, current_findings
from warehouse.messages.messages import language_of, said, sentence
from warehouse.store.store import Store
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Table
from warehouse.tables.rules import CRITERIA

SHOWN = 50  # entries of a table in the metadata of an event
REFUSED = "qala/refused"  # tag of a run: how many deliveries it has refused


def showcase_asset(table: Table, group: str) -> dg.AssetsDefinition:
    """The asset of one contract, in the asset group of its sphere, with a check for each criterion."""
    key = dg.AssetKey(["showcase", table.name])
    # a reference is judged against the table that it refers to, so that is loaded first
    referred = sorted({r.table for r in table.references})

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["zero", table.name]), *(dg.AssetKey(["showcase", name]) for name in referred)],
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
        check_specs=_check_specs(key, table),
        partitions_def=months,
        backfill_policy=single_run,
        pool=POOL,
    )
    @known_errors_as_failure
    def load(
        context: dg.AssetExecutionContext, qala: Qala
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        keys = context.partition_keys
        with qala.writing(context.run_id) as store:
            report = ingest_table(
                store, qala.archive, table, qala.sources, keys, lambda text: report_progress(context, text)
            )
            # the worker that computes starts while Dagster stores the results of this step
            worker.warm("warehouse.kpi_values.compute:get_ready", qala.home)
            findings = current_findings(store, table.name, keys)
            total = store.con.execute(f"SELECT count(*) FROM showcase.{table.name}").fetchone()
            refused = _refused(store, report, qala.sources)
        for one in refused:
            context.log.warning(f"refused: {said(one.reason)}")
        if refused:
            number = refused_in_run(context.instance, context.run_id) + len(refused)
            context.instance.add_run_tags(context.run_id, {REFUSED: str(number)})
        described = _described(report, refused)
        yield dg.MaterializeResult(metadata={"dagster/row_count": total[0] if total else 0, **described})
        for criterion in CRITERIA:
            yield _check_result(key, table, criterion, findings, keys)

    return load


def _check_specs(key: dg.AssetKey, table: Table) -> list[dg.AssetCheckSpec]:
    """A check for each criterion of the law, described by the contract's rules of that criterion."""
    specs = []
    language = language_of()
    for name in CRITERIA:
        called = " / ".join(sentence(f"criterion.{name}", one) for one in dict.fromkeys(("en", "ru", language)))
        rules = "; ".join(r.description(language) for r in table.all_rules if r.criterion == name)
        specs.append(dg.AssetCheckSpec(name, asset=key, description=f"{called}: {rules or 'not judged'}"))
    return specs


def refused_in_run(instance: dg.DagsterInstance, run_id: str) -> int:
    """How many deliveries a run has refused, as its tag says."""
    run = instance.get_run_by_id(run_id)
    return int(run.tags.get(REFUSED, 0)) if run else 0


def _refused(store: Store, report: IngestReport, sources: Sources) -> list[Refused]:
    """The deliveries that a load refused; the first 50 with the rules that their rows broke."""
    numbers = [o.delivery_id for o in report.outcomes if o.state == "refused"]
    found = refused_deliveries(store, deliveries=numbers) if numbers else []
    return [*with_broken_rules(store, found[:SHOWN], headers_of(sources)), *found[SHOWN:]]


def _described(report: IngestReport, refused: Sequence[Refused]) -> dict[str, Any]:
    """What a load did, as metadata of its event: counts, corrections, refusals (the first 50 of each)."""
    metadata: dict[str, Any] = {
        "deliveries loaded": report.count("loaded"),
        "deliveries refused": len(refused),
        "deliveries repeated": report.count("duplicate"),
        "rows accepted": report.accepted,
        "rows rejected": report.rejected,
    }
    if report.corrected:
        metadata["corrections"] = _table(
            {
                "correction": c.correction_id,
                "delivery": c.delivery_id,
                "row": c.row_no,
                "column": c.column_name,
                "was": str(c.was),
                "becomes": str(c.becomes),
                "outcome": c.outcome,
            }
            for c in report.corrected[:SHOWN]
        )
    if refused:
        metadata["refusals"] = _table(
            {
                "delivery": one.delivery_id,
                "file": one.file_name,
                "scope": one.scope,
                "period": one.period_id,
                "system": one.system,
                "why": said(one.reason),
            }
            for one in refused[:SHOWN]
        )
        broken = [
            {
                "delivery": one.delivery_id,
                "rule": rule.rule,
                "value": value or "",
                "times": times,
                "first in row": first,
            }
            for one in refused
            for rule in one.broken
            for value, times, first in rule.values
        ]
        if broken:  # a file refused for its header has none, and Dagster takes no table without rows
            metadata["what was refused"] = _table(broken[:SHOWN])
    return metadata


def _table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def _check_result(
    key: dg.AssetKey,
    table: Table,
    criterion: str,
    findings: Sequence[tuple[Finding, Delivery, bool]],
    months: Sequence[str],
) -> dg.AssetCheckResult:
    """Result of one criterion over the deliveries in force for the run's months, whichever run judged them.

    So a re-run cannot turn a failure green. Never blocking: the gate has already refused what is unfit.
    """
    rules = {r.id: r for r in table.all_rules if r.criterion == criterion}
    judged = [(f, d) for f, d, _ in findings if f.rule in rules and f.judged]
    failed = [(f, d) for f, d, fails in findings if f.rule in rules and fails]
    deliveries, failing = {d.delivery_id for _, d in judged}, {d.delivery_id for _, d in failed}
    broken = Counter(f.rule for f, _ in judged if not f.passed)
    metadata: dict[str, Any] = {"deliveries judged": len(deliveries), "deliveries failing": len(failing)}
    if rules:
        metadata["rules"] = _table(
            {
                "rule": rule.id,
                "what must hold": said(rule.expected),
                "deliveries with rows or figures that break it": broken[rule.id],
            }
            for rule in rules.values()
        )
    if failed:
        metadata["failing"] = _table(
            {
                "delivery": d.delivery_id,
                "rule": f.rule,
                "file": d.file_name,
                "scope": d.scope,
                "period": d.period,
                "observed": said(f.observed),
            }
            for f, d in failed[:SHOWN]
        )
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    severe = any(f.severity == "error" for f, _ in failed)
    if not rules:
        verdict = "not judged: the contract has no rule of this criterion"
    elif not deliveries:
        verdict = f"not judged: no delivery is in force for {span}, or there is nothing yet to judge one by"
    else:
        named = f": {', '.join(sorted({f.rule for f, _ in failed}))}" if failed else ""
        verdict = f"{len(failing)} of {len(deliveries)} deliveries for {span} fail{named}"
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=key,
        check_name=criterion,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=verdict,
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
