"""OpenLineage events of what the ledger recorded: loads, computations, releases. Read from a release, made anew at every call.

A job is a showcase table, a KPI or the release; a run is what one Dagster run did with it. The same release gives the same events:
run ids follow from ledger hashes, times are the ledger's. Nothing is decided here, and no other lineage is kept.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from kpi_definitions.compiler import Compiled, compile_kpi, sources_of
from kpi_definitions.model import Kind, Kpi
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.passports import calculation

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, RunEvent
    from openlineage.client.facet_v2 import (
        DatasetFacet,
        InputDatasetFacet,
        JobFacet,
        column_lineage_dataset,
        data_quality_assertions_dataset,
        schema_dataset,
    )
    from openlineage.client.transport import Transport

PRODUCER = f"urn:qala-kpi:{version('qala-kpi')}"
DELIVERIES = "urn:qala-kpi:openlineage:1-0-0#/$defs/QalaDeliveriesInputDatasetFacet"  # openlineage.schema.json
INPUTS = 200  # extracts named in one event; a run with more has several
TIMEOUT = 30  # seconds a receiver has to take one event
_RUNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:qala-kpi:run")
# use of a column in a definition: OpenLineage's type and subtype of a transformation
_TRANSFORMATIONS = {
    "aggregate": ("DIRECT", "AGGREGATION"), "filter": ("INDIRECT", "FILTER"), "event": ("INDIRECT", "GROUP_BY"),
    "stock": ("INDIRECT", "FILTER"), "during": ("INDIRECT", "FILTER"), "as_of": ("INDIRECT", "JOIN"),
}  # fmt: skip
_SEVERITIES = {"error": "error", "warning": "warn"}
_STEPS = """
SELECT CASE WHEN d.delivery_id IS NULL THEN l.kind ELSE 'load' END AS kind, coalesce(d.table_name, l.subject) AS subject, l.run_id,
       min(l.seq) AS first, max(l.seq) AS last, arg_min(l.hash, l.seq) AS first_hash, arg_max(l.hash, l.seq) AS last_hash,
       min(l.recorded_at) AS started, max(l.recorded_at) AS ended, arg_max(l.detail, l.seq) AS detail
FROM audit.ledger l LEFT JOIN audit.delivery d ON d.loaded_seq = l.seq
WHERE d.delivery_id IS NOT NULL OR l.kind IN ('computed', 'released')
-- without a Dagster run, the decisions of one load are those recorded at one moment
GROUP BY 1, 2, 3, CASE WHEN d.delivery_id IS NULL THEN l.seq WHEN l.run_id IS NULL THEN epoch_us(l.recorded_at) END
HAVING max(l.seq) > ? ORDER BY max(l.seq)"""


@dataclass(frozen=True)
class Step:
    """What one run did with one table or KPI, as the ledger has it, or a release."""

    kind: str  # load, computed or released
    subject: str
    run_id: str | None
    first: int
    last: int
    first_hash: str
    last_hash: str
    started: dt.datetime
    ended: dt.datetime
    detail: str


def events(store: Store, since: int = 0, namespace: str = "qala") -> Iterator[tuple[int, RunEvent]]:
    """Every event of the steps that went on after ledger sequence `since`, in the ledger's order.

    With each, the sequence up to which all is told once it was sent: what to give as `since` the next time.
    """
    from openlineage.client.event_v2 import RunState

    writer = _Writer(store, namespace)
    told = since
    for row in store.con.execute(_STEPS, [since]).fetchall():
        step = Step(*row)
        for event in writer.events(step):
            if event.eventType is RunState.COMPLETE:
                told = step.last
            yield told, event


def transport(to: str) -> Transport:
    """The client's own way to a file (one event a line, appended) or to an HTTP address.

    An address without a path gets the standard one, api/v1/lineage. The key of OPENLINEAGE_API_KEY is sent as bearer token.
    """
    import os

    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

    address = urlsplit(to)
    if address.scheme not in {"http", "https"}:
        return FileTransport(FileConfig(to, append=True))
    config = HttpConfig(f"{address.scheme}://{address.netloc}", timeout=TIMEOUT)
    if address.path.strip("/"):
        config.endpoint = address.path.strip("/")
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        config.auth = ApiKeyTokenProvider({"apiKey": key})
    return HttpTransport(config)


class _Writer:
    """Makes events of steps; keeps what is the same in all of them."""

    def __init__(self, store: Store, namespace: str):
        from openlineage.client import set_producer

        set_producer(PRODUCER)
        self.store, self.jobs = store, namespace
        self.warehouse, self.archive = f"{namespace}-warehouse", f"{namespace}-archive"

    def events(self, step: Step) -> Iterator[RunEvent]:
        """START, RUNNING for each further lot of inputs, COMPLETE.

        A refused delivery is no failed run: it was judged, and its assertions say what failed. A load that broke off left no
        ledger row, so there is no FAIL.
        """
        from openlineage.client.event_v2 import Run, RunEvent, RunState
        from openlineage.client.facet_v2 import parent_run, tags_run

        tags: dict[str, object] = {"ledger.sequence": step.last, "ledger.hash": step.last_hash}
        inputs: Iterable[InputDataset]
        if step.kind == "load":
            job, outputs, inputs = self._load(step)
        elif step.kind == "computed":
            job, outputs, inputs = self._computation(step, tags)
        else:
            job, outputs, inputs = self._release(step)
        run = Run(str(uuid.uuid5(_RUNS, f"{step.first_hash} {job.name}")))
        run.facets = {
            "tags": tags_run.TagsRunFacet([tags_run.TagsRunFacetFields(k, str(v), "QALA") for k, v in tags.items()])
        }
        if step.run_id is not None:  # which of Dagster's jobs it was, the ledger does not know
            run.facets["parent"] = parent_run.ParentRunFacet(
                parent_run.Run(_as_uuid(step.run_id)), parent_run.Job(self.jobs, "dagster")
            )

        def event(kind: RunState, at: dt.datetime, some: list[InputDataset], made: list[OutputDataset]) -> RunEvent:
            return RunEvent(eventTime=at.isoformat(), run=run, job=job, eventType=kind, inputs=some, outputs=made)

        waiting = iter(inputs)
        lot = list(islice(waiting, INPUTS))
        yield event(RunState.START, step.started, [], [])
        while following := list(islice(waiting, INPUTS)):
            yield event(RunState.RUNNING, step.ended, lot, [])
            lot = following
        yield event(RunState.COMPLETE, step.ended, lot, outputs)

    def _load(self, step: Step) -> tuple[Job, list[OutputDataset], Iterable[InputDataset]]:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset, ownership_dataset

        name, table = f"showcase.{step.subject}", self.store.tables[step.subject]
        found = self.store.con.execute(
            """SELECT d.sha256, d.delivery_id, d.receipt_id, d.system, d.scope, d.period_id, d.file_name, d.bytes, d.received_at, d.state, d.reason,
                d.contract_id || ' ' || d.contract_version AS contract, d.received_rows, d.accepted_rows, d.rejected_rows, d.loaded_seq
            FROM audit.delivery d JOIN audit.ledger l ON l.seq = d.loaded_seq
            WHERE d.table_name = ? AND d.loaded_seq BETWEEN ? AND ? AND l.run_id IS NOT DISTINCT FROM ? ORDER BY d.sha256, d.delivery_id""",
            [step.subject, step.first, step.last, step.run_id],
        )
        names = [d[0] for d in found.description or ()]
        deliveries = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        rows = sum(d["accepted_rows"] for d in deliveries if d["state"] == "loaded")
        facets = self._described("showcase", step.subject, table.description)
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(table.owner, "OWNER")])
        facets["version"] = _version(step.last)
        output = OutputDataset(self.warehouse, name, facets=facets)
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rows)
        }
        words = f"Extracts of {table.title} checked and loaded: {table.description}"
        return self._job(name, words), [output], self._extracts(table.business_columns, deliveries)

    def _extracts(self, columns: Iterable[str], deliveries: Sequence[Mapping[str, Any]]) -> Iterator[InputDataset]:
        """Archived files with the checks of the deliveries as which they came; the same bytes are one file."""
        from openlineage.client.event_v2 import InputDataset
        from openlineage.client.facet_v2 import (
            data_quality_assertions_dataset,
            data_quality_metrics_input_dataset,
            documentation_dataset,
            ownership_dataset,
        )

        files = ((sha256, list(group)) for sha256, group in groupby(deliveries, lambda d: d["sha256"]))
        while lot := list(islice(files, INPUTS)):
            checks = self._checks([d["delivery_id"] for _, group in lot for d in group], set(columns))
            for sha256, group in lot:
                owners = [ownership_dataset.Owner(f"system:{s}", "OWNER") for s in sorted({d["system"] for d in group})]
                words = "; ".join(
                    f"{d['file_name']} of {d['system']} for {d['scope']}, {d['period_id']}" for d in group
                )
                one = InputDataset(self.archive, f"sha256/{sha256}")
                one.facets = {
                    "version": _version(sha256),
                    "documentation": documentation_dataset.DocumentationDatasetFacet(words),
                    "ownership": ownership_dataset.OwnershipDatasetFacet(owners),
                }
                found = [check for d in group for check in checks.get(d["delivery_id"], ())]
                metrics = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                    {},
                    rowCount=group[-1]["received_rows"],
                    bytes=group[-1]["bytes"],
                    fileCount=1,
                    lastUpdated=max(d["received_at"] for d in group).isoformat(),
                )
                one.inputFacets = {"dataQualityMetrics": metrics, "qala_deliveries": _deliveries(group)}
                if found:  # of a duplicate nothing was checked
                    one.inputFacets["dataQualityAssertions"] = (
                        data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found)
                    )
                yield one

    def _checks(
        self, delivery_ids: Sequence[int], columns: set[str]
    ) -> dict[int, list[data_quality_assertions_dataset.Assertion]]:
        """What each rule found, by delivery. A rule `column.what` is on that column, any other on the whole extract."""
        from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

        result: dict[int, list[quality.Assertion]] = {}
        for delivery_id, rule, severity, passed, observed, expected, criterion in self.store.con.execute(
            "SELECT c.delivery_id, c.rule, c.severity, c.passed, c.observed, c.expected, r.criterion FROM audit.check_result c "
            "LEFT JOIN registry.rule r USING (table_name, rule) WHERE c.delivery_id IN (SELECT unnest(?)) ORDER BY 1, 2",
            [list(delivery_ids)],
        ).fetchall():
            column, _, what = rule.partition(".")
            placed = column in columns and bool(what)
            one = quality.Assertion(what if placed else rule, passed, name=rule, severity=_SEVERITIES[severity])
            one.column, one.actual, one.expected = column if placed else None, observed, expected
            one.params = {"criterion": criterion} if criterion else None
            result.setdefault(delivery_id, []).append(one)
        return result

    def _computation(
        self, step: Step, tags: dict[str, object]
    ) -> tuple[Job, list[OutputDataset], Iterable[InputDataset]]:
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.facet_v2 import (
            output_statistics_output_dataset,
            ownership_dataset,
            ownership_job,
            sql_job,
        )

        code, detail = step.subject, json.loads(step.detail)
        versions = self._versions(code, step.first)
        newest, facts = versions[-1]
        catalogue = f"{facts['catalogue_id']} {facts['catalogue_version']}"
        sealed = self.store.con.execute(
            "SELECT sha256 FROM audit.seal WHERE what = 'values' AND first_seq = ?", [step.first]
        ).fetchone()
        tags |= {
            "asOf": detail["as_of"], "months": " ".join(detail["months"]), "content.hash": sealed[0] if sealed else "none",
            "definition.version": newest.kpi.version, "definition.hash": facts["definition_hash"], "catalogue.version": catalogue,
        }  # fmt: skip
        scans = list(dict.fromkeys(scan for compiled, _ in versions for scan in compiled.scans))
        job = self._job(f"kpi.{code}", f"{newest.kpi.name.en}: {calculation(newest.kpi)}")
        assert job.facets is not None
        # `asked`: the cells of the computation, as warehouse/kpi_values/compute.py makes them
        query = ";\n\n".join(scan.sql(as_of(scan.table, detail["as_of"]), "asked") for scan in scans)
        job.facets["sql"] = sql_job.SQLJobFacet(query, "duckdb")
        authority = f"catalogue:{facts['catalogue_id']}"
        job.facets["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(authority, "AUTHORITY")])
        facets = self._described("kpi", "value", f"Rows of kpi.value where kpi_code = '{code}': {newest.kpi.name.en}")
        facets["columnLineage"] = self._column_lineage([compiled for compiled, _ in versions])
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(authority, "AUTHORITY")])
        facets["version"] = _version(step.last)
        output = OutputDataset(self.warehouse, f"kpi.{code}", facets=facets)
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(detail["written"])
        }
        inputs = [
            InputDataset(self.warehouse, f"showcase.{table}", facets={"version": _version(detail["as_of"])})
            for table in dict.fromkeys(scan.table for scan in scans)
        ]
        return job, [output], inputs

    def _versions(self, code: str, seq: int) -> list[tuple[Compiled, Mapping[str, Any]]]:
        """The versions of a KPI that a computation wrote values with; the newest known then, if it wrote none."""
        written = self.store.con.execute(
            "SELECT DISTINCT definition_version FROM kpi.value WHERE kpi_code = ? AND valid_from_seq = ? ORDER BY 1",
            [code, seq],
        ).fetchall()
        known = [v for (c, v), (_, facts) in self._definitions.items() if c == code and facts["registered_seq"] < seq]
        return [self._definitions[code, v] for v in [row[0] for row in written] or [max(known)]]

    @cached_property
    def _definitions(self) -> dict[tuple[str, int], tuple[Compiled, Mapping[str, Any]]]:
        found = self.store.con.execute(
            "SELECT code, version, definition, definition_hash, catalogue_id, catalogue_version, registered_seq FROM registry.kpi"
        )
        names = [d[0] for d in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        columns = self.store.columns()
        return {
            (r["code"], r["version"]): (compile_kpi(Kpi.model_validate_json(r["definition"]), columns), r) for r in rows
        }

    def _column_lineage(self, versions: Iterable[Compiled]) -> column_lineage_dataset.ColumnLineageDatasetFacet:
        """value, numerator and denominator from the columns their expressions name; what all of them depend on apart."""
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
            made = [
                lineage.Transformation(*_TRANSFORMATIONS[use], description=text, masking=False) for use, text in uses
            ]
            return lineage.InputField(self.warehouse, f"showcase.{table}", column, made)

        fields = {
            name: lineage.Fields([input_field(place, uses) for place, uses in columns.items()])
            for name, columns in read.items()
        }
        return lineage.ColumnLineageDatasetFacet(fields, [input_field(place, [use]) for place, use in whole.items()])

    def _release(self, step: Step) -> tuple[Job, list[OutputDataset], Iterable[InputDataset]]:
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.facet_v2 import documentation_dataset, output_statistics_output_dataset

        words = "The warehouse as analysts open it: a read-only file, and the values as CSV and Parquet"
        output = OutputDataset(self.warehouse, "release")
        output.facets = {
            "documentation": documentation_dataset.DocumentationDatasetFacet(words),
            "version": _version(
                f"{step.last}:{step.last_hash}"
            ),  # the ledger head: as release.json and qala verify say it
        }
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                json.loads(step.detail)["values"]
            )
        }
        codes = self.store.con.execute(
            "SELECT DISTINCT kpi_code FROM kpi.value WHERE valid_from_seq < ? ORDER BY 1", [step.last]
        ).fetchall()
        return self._job("release", words), [output], [InputDataset(self.warehouse, f"kpi.{c}") for (c,) in codes]

    def _job(self, name: str, words: str) -> Job:
        from openlineage.client.event_v2 import Job
        from openlineage.client.facet_v2 import documentation_job, job_type_job

        facets: dict[str, JobFacet] = {
            "documentation": documentation_job.DocumentationJobFacet(words),
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "QALA"),
        }
        return Job(self.jobs, name, facets)

    def _described(self, schema: str, table: str, words: str) -> dict[str, DatasetFacet]:
        """Documentation and columns of a table, as the release itself describes them."""
        from openlineage.client.facet_v2 import documentation_dataset, schema_dataset

        return {
            "documentation": documentation_dataset.DocumentationDatasetFacet(words),
            "schema": schema_dataset.SchemaDatasetFacet(self._columns[schema, table]),
        }

    @cached_property
    def _columns(self) -> dict[tuple[str, str], list[schema_dataset.SchemaDatasetFacetFields]]:
        from openlineage.client.facet_v2 import schema_dataset

        columns: dict[tuple[str, str], list[schema_dataset.SchemaDatasetFacetFields]] = {}
        for schema, table, *column in self.store.con.execute(
            "SELECT schema_name, table_name, column_name, data_type, comment, column_index FROM duckdb_columns() "
            "WHERE schema_name IN ('showcase', 'kpi') ORDER BY schema_name, table_name, column_index"
        ).fetchall():
            columns.setdefault((schema, table), []).append(schema_dataset.SchemaDatasetFacetFields(*column))
        return columns


def _version(name: object) -> DatasetFacet:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return dataset_version_dataset.DatasetVersionDatasetFacet(str(name))


def _deliveries(group: Sequence[Mapping[str, Any]]) -> InputDatasetFacet:
    from openlineage.client.facet_v2 import InputDatasetFacet

    names = {"delivery_id": "id", "receipt_id": "receipt", "system": "system", "scope": "scope", "period_id": "period", "file_name": "file",
             "state": "state", "reason": "reason", "contract": "contract", "received_rows": "received", "accepted_rows": "accepted",
             "rejected_rows": "rejected", "loaded_seq": "sequence"}  # fmt: skip
    told = [{name: d[column] for column, name in names.items()} for d in group]
    facet = cast("InputDatasetFacet", InputDatasetFacet().with_additional_properties(deliveries=told))
    facet._schemaURL = DELIVERIES
    return facet


def _as_uuid(run_id: str) -> str:
    """Dagster's run ids are UUIDs; any other gets one of its own."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(_RUNS, run_id))
