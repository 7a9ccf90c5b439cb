"""What OpenLineage says of datasets: archived files with their checks, and which columns a value comes from.

Does not belong here: events, jobs and runs (openlineage.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, cast

from kpi_definitions.compiler import Compiled, sources_of
from kpi_definitions.model import Kind
from warehouse.messages.messages import DEFAULT, rendered, told_in
from warehouse.store.store import Store

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import (
        DatasetFacet,
        InputDatasetFacet,
        column_lineage_dataset,
        data_quality_assertions_dataset,
    )

DELIVERIES = "urn:qala-kpi:openlineage:1-0-0#/$defs/QalaDeliveriesInputDatasetFacet"  # openlineage.schema.json
INPUTS = 200  # extracts named in one event; a run with more has several
# use of a column in a definition: OpenLineage's type and subtype of a transformation
_TRANSFORMATIONS = {
    "aggregate": ("DIRECT", "AGGREGATION"),
    "filter": ("INDIRECT", "FILTER"),
    "event": ("INDIRECT", "GROUP_BY"),
    "stock": ("INDIRECT", "FILTER"),
    "during": ("INDIRECT", "FILTER"),
    "as_of": ("INDIRECT", "JOIN"),
}
_SEVERITIES = {"error": "error", "warning": "warn"}
# column of a delivery: field of qala's facet
_DELIVERY_FIELDS = {
    "delivery_id": "id",
    "receipt_id": "receipt",
    "system": "system",
    "scope": "scope",
    "period_id": "period",
    "file_name": "file",
    "state": "state",
    "reason": "reason",
    "contract": "contract",
    "received_rows": "received",
    "accepted_rows": "accepted",
    "rejected_rows": "rejected",
    "loaded_seq": "sequence",
}


def extract_datasets(
    store: Store, namespace: str, columns: Iterable[str], deliveries: Sequence[Mapping[str, Any]]
) -> Iterator[InputDataset]:
    """Archived files, each with the checks of its deliveries; the same bytes are one file.

    `columns`: those of the showcase table; `deliveries`: ordered by SHA-256.
    """
    files = ((sha256, list(group)) for sha256, group in groupby(deliveries, lambda d: d["sha256"]))
    while lot := list(islice(files, INPUTS)):
        checks = _checks(store, [d["delivery_id"] for _, group in lot for d in group], set(columns))
        for sha256, group in lot:
            found = [check for delivery in group for check in checks.get(delivery["delivery_id"], ())]
            yield _extract_dataset(namespace, sha256, group, found)


def _extract_dataset(
    namespace: str,
    sha256: str,
    deliveries: Sequence[Mapping[str, Any]],
    checks: list[data_quality_assertions_dataset.Assertion],
) -> InputDataset:
    """One archived file. `checks`: none where it was a duplicate only, of which nothing was checked."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        data_quality_metrics_input_dataset,
        documentation_dataset,
        ownership_dataset,
    )

    owners = [ownership_dataset.Owner(f"system:{s}", "OWNER") for s in sorted({d["system"] for d in deliveries})]
    words = "; ".join(f"{d['file_name']} of {d['system']} for {d['scope']}, {d['period_id']}" for d in deliveries)
    dataset = InputDataset(namespace, f"sha256/{sha256}")
    dataset.facets = {
        "version": dataset_version(sha256),
        "documentation": documentation_dataset.DocumentationDatasetFacet(words),
        "ownership": ownership_dataset.OwnershipDatasetFacet(owners),
    }
    metrics = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
        {},
        rowCount=deliveries[-1]["received_rows"],
        bytes=deliveries[-1]["bytes"],
        fileCount=1,
        lastUpdated=max(d["received_at"] for d in deliveries).isoformat(),
    )
    dataset.inputFacets = {"dataQualityMetrics": metrics, "qala_deliveries": _deliveries_facet(deliveries)}
    if checks:
        assertions = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(checks)
        dataset.inputFacets["dataQualityAssertions"] = assertions
    return dataset


def _checks(
    store: Store, delivery_ids: Sequence[int], columns: set[str]
) -> dict[int, list[data_quality_assertions_dataset.Assertion]]:
    """What each rule found, by delivery. A rule `column.what` is on that column, any other on the whole extract."""
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    result: dict[int, list[quality.Assertion]] = {}
    for delivery_id, rule, severity, passed, observed, expected, criterion in store.con.execute(
        "SELECT c.delivery_id, c.rule, c.severity, c.passed, c.observed, c.expected, r.criterion FROM audit.check_result c "
        "LEFT JOIN registry.rule r USING (table_name, rule) WHERE c.delivery_id IN (SELECT unnest(?)) ORDER BY 1, 2",
        [list(delivery_ids)],
    ).fetchall():
        column, _, what = rule.partition(".")
        placed = column in columns and bool(what)
        one = quality.Assertion(what if placed else rule, passed, name=rule, severity=_SEVERITIES[severity])
        one.column, one.actual, one.expected = (
            column if placed else None,
            rendered(observed, DEFAULT),
            rendered(expected, DEFAULT),
        )
        one.params = {"criterion": criterion} if criterion else None
        result.setdefault(delivery_id, []).append(one)
    return result


def column_lineage(versions: Iterable[Compiled], namespace: str) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """Which columns value, numerator and denominator come from, and which columns all of them depend on."""
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    read: dict[str, dict[tuple[str, str], dict[tuple[str, str], None]]] = {}  # field → column → (use, expression)
    whole: dict[tuple[str, str], tuple[str, str]] = {}
    for compiled in versions:
        kind = compiled.kpi.kind
        for source in sources_of(compiled.kpi):
            # a mean is kept as sum and count of the same rows; a quantile has no parts
            parts = {Kind.MEAN: ("numerator", "denominator"), Kind.QUANTILE: ()}.get(kind, (source.part,))
            for field in (*parts, "value"):
                uses = read.setdefault(field, {}).setdefault((source.table, source.column), {})
                uses[source.use, source.text] = None
        for scan in compiled.scans:
            whole[scan.table, "kato"] = ("event", "the settlement")
            if scan.time.by_register:
                whole[scan.table, "snapshot_date"] = ("stock", "the state at the period's end")

    def input_field(place: tuple[str, str], uses: Iterable[tuple[str, str]]) -> lineage.InputField:
        table, column = place
        made = [lineage.Transformation(*_TRANSFORMATIONS[use], description=text, masking=False) for use, text in uses]
        return lineage.InputField(namespace, f"showcase.{table}", column, made)

    fields = {
        name: lineage.Fields([input_field(place, uses) for place, uses in columns.items()])
        for name, columns in read.items()
    }
    return lineage.ColumnLineageDatasetFacet(fields, [input_field(place, [use]) for place, use in whole.items()])


def _deliveries_facet(group: Sequence[Mapping[str, Any]]) -> InputDatasetFacet:
    """qala's own facet: the deliveries as which a file came."""
    from openlineage.client.facet_v2 import InputDatasetFacet

    described = [{name: d[column] for column, name in _DELIVERY_FIELDS.items()} for d in told_in(list(group), DEFAULT)]
    facet = cast("InputDatasetFacet", InputDatasetFacet().with_additional_properties(deliveries=described))
    facet._schemaURL = DELIVERIES
    return facet


def dataset_version(name: object) -> DatasetFacet:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return dataset_version_dataset.DatasetVersionDatasetFacet(str(name))
