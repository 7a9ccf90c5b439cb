"""The checks of a showcase table: one for each quality criterion of the law, and whether all was taken in; month by month.

Does not belong here: rules of a criterion (warehouse/tables/rules.py), judging deliveries (connectors/delivery_gate/).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from pipelines.assets.table_metadata import SHOWN, listed_refusals, of_rejected, table_of
from warehouse.audit.refusals import Refused
from warehouse.loading.broken_rules import Rejected
from warehouse.loading.deliveries import Delivery, Finding
from warehouse.messages.messages import language_of, said, sentence
from warehouse.tables.contracts import Table
from warehouse.tables.rules import CRITERIA

TAKEN_IN = "taken_in"


def check_specs(key: dg.AssetKey, table: Table, months: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """A check for each criterion of the law, described by the contract's rules of that criterion; and one for what was refused."""
    specs = []
    language = language_of()
    for name in CRITERIA:
        called = " / ".join(sentence(f"criterion.{name}", one) for one in dict.fromkeys(("en", "ru", language)))
        rules = "; ".join(r.description(language) for r in table.all_rules if r.criterion == name)
        described = f"{called}: {rules or 'not judged, the contract has no rule of this criterion'}"
        specs.append(dg.AssetCheckSpec(name, asset=key, description=described, partitions_def=months))
    taken_in = "No delivery that closes in the month stands refused: each was taken in, or another in its place"
    return [*specs, dg.AssetCheckSpec(TAKEN_IN, asset=key, description=taken_in, partitions_def=months)]


@dataclass(frozen=True)
class Judged:
    """What there is to say of a table's deliveries that close in one month.

    `findings`: of the deliveries in force, whichever run judged them, so that a re-run cannot turn a failure green.
    """

    month: str
    findings: Sequence[tuple[Finding, Delivery, bool]]
    refused: Sequence[Refused]  # that stand
    rejected: Sequence[Rejected]


def evaluations(
    key: dg.AssetKey, table: Table, judged: Judged, target: dg.EventLogRecord | None
) -> Iterator[dg.AssetCheckEvaluation]:
    """Results for a month, of the checks that there was something to judge by; `target`: the event of the month's load.

    Never blocking: the gate has already refused what is unfit.
    """
    found = [one for one in (_of_criterion(table, name, judged) for name in CRITERIA) if one]
    if judged.findings or judged.refused:
        found.append(_of_refusals(judged))
    for one in found:
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=one.name,
            passed=one.passed,
            severity=dg.AssetCheckSeverity.ERROR if one.severe else dg.AssetCheckSeverity.WARN,
            description=one.verdict,
            metadata=one.metadata,
            partition=judged.month,
            target_materialization_data=_target(target),
        )


@dataclass(frozen=True)
class _Result:
    name: str
    passed: bool
    severe: bool
    verdict: str
    metadata: Mapping[str, Any]


def _target(event: dg.EventLogRecord | None) -> Any:
    # not among the names that the package gives out, and what checks are shown beside
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    if event is None:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=event.storage_id, run_id=event.run_id, timestamp=event.timestamp
    )


def _of_criterion(table: Table, criterion: str, judged: Judged) -> _Result | None:
    """None where no delivery is in force for the month, or there was nothing to judge one by: Dagster shows the check as skipped."""
    rules = {r.id: r for r in table.all_rules if r.criterion == criterion}
    looked = [(f, d) for f, d, _ in judged.findings if f.rule in rules and f.judged]
    failed = [(f, d) for f, d, fails in judged.findings if f.rule in rules and fails]
    deliveries, failing = {d.delivery_id for _, d in looked}, {d.delivery_id for _, d in failed}
    if not deliveries:
        return None
    metadata: dict[str, Any] = {"deliveries judged": len(deliveries), "deliveries failing": len(failing)}
    if broken := Counter(f.rule for f, _ in looked if not f.passed):
        metadata["rules broken"] = table_of(
            {"rule": rule, "what must hold": said(rules[rule].expected), "deliveries that break it": times}
            for rule, times in broken.most_common()
        )
    if failed:
        metadata["failing"] = table_of(
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
        if rows := [one for one in judged.rejected if one.rule in rules and one.delivery_id in failing]:
            metadata["rejected rows"] = of_rejected(rows)
    named = f": {', '.join(sorted({f.rule for f, _ in failed}))}" if failed else ""
    verdict = f"{len(failing)} of {len(deliveries)} deliveries for {judged.month} fail{named}"
    return _Result(criterion, not failed, any(f.severity == "error" for f, _ in failed), verdict, metadata)


def _of_refusals(judged: Judged) -> _Result:
    refused = judged.refused
    metadata: dict[str, Any] = {"deliveries that stand refused": len(refused)}
    if refused:
        metadata["refusals"] = listed_refusals(refused)
        numbers = {one.delivery_id for one in refused}
        if rows := [one for one in judged.rejected if one.delivery_id in numbers]:
            metadata["rejected rows"] = of_rejected(rows)
    verdict = f"{len(refused) or 'no'} {'delivery stands' if len(refused) == 1 else 'deliveries stand'} refused for {judged.month}"
    return _Result(TAKEN_IN, not refused, True, verdict, metadata)
