"""OpenLineage events of what the ledger recorded: loads, computations, releases. Read from a release, made anew at every call.

A job is a showcase table, a KPI or the release; a run is what one Dagster run did with it. The same release gives the same events:
run ids follow from ledger hashes, times are the ledger's. Nothing is decided here, and no other lineage is kept.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kpi_definitions.compiler import Compiled, compile_kpi
from kpi_definitions.model import Kpi
from warehouse.audit.openlineage_datasets import INPUTS, column_lineage, dataset_version, extract_datasets
from warehouse.sql import literal, statement
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.passports import calculation

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, RunEvent
    from openlineage.client.facet_v2 import (
        DatasetFacet,
        JobFacet,
        schema_dataset,
    )
    from openlineage.client.transport import Transport

PRODUCER = f"urn:qala-kpi:{version('qala-kpi')}"
TIMEOUT = 30  # seconds a receiver has to take one event
_RUNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:qala-kpi:run")


@dataclass(frozen=True)
class RecordedStep:
    """A step as the ledger has it: what one run did with one table or KPI, or a release."""

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


def lineage_events(store: Store, since: int = 0, namespace: str = "qala") -> Iterator[tuple[int, RunEvent]]:
    """Events of the steps after ledger sequence `since`, in the ledger's order; with each, the sequence to give as `since` the next time:
    once this event was sent, everything up to that sequence was.
    """
    from openlineage.client.event_v2 import RunState

    writer = _Writer(store, namespace)
    sent = since
    for row in store.con.execute(statement(__file__, "openlineage_steps", since=str(since))).fetchall():
        step = RecordedStep(*row)
        for event in writer.events(step):
            if event.eventType is RunState.COMPLETE:
                sent = step.last
            yield sent, event


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
    """Makes the events of steps, and keeps what they share: namespaces, definitions, described columns."""

    def __init__(self, store: Store, namespace: str):
        from openlineage.client import set_producer

        set_producer(PRODUCER)
        self.store, self.jobs = store, namespace
        self.warehouse, self.archive = f"{namespace}-warehouse", f"{namespace}-archive"

    def events(self, step: RecordedStep) -> Iterator[RunEvent]:
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

    def _load(self, step: RecordedStep) -> tuple[Job, list[OutputDataset], Iterable[InputDataset]]:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset, ownership_dataset

        name, table = f"showcase.{step.subject}", self.store.tables[step.subject]
        deliveries = self.store.select(
            statement(
                __file__,
                "openlineage_deliveries",
                showcase_table=literal(step.subject),
                first_seq=str(step.first),
                last_seq=str(step.last),
                run=literal(step.run_id),
            )
        )
        rows = sum(d["accepted_rows"] for d in deliveries if d["state"] == "loaded")
        facets = self._described("showcase", step.subject, table.description)
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(table.owner, "OWNER")])
        facets["version"] = dataset_version(step.last)
        output = OutputDataset(self.warehouse, name, facets=facets)
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rows)
        }
        words = f"Extracts of {table.title} checked and loaded: {table.description}"
        return (
            self._job(name, words),
            [output],
            extract_datasets(self.store, self.archive, table.business_columns, deliveries),
        )

    def _computation(
        self, step: RecordedStep, tags: dict[str, object]
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
            "asOf": detail["as_of"],
            "months": " ".join(detail["months"]),
            "content.hash": sealed[0] if sealed else "none",
            "definition.version": newest.kpi.version,
            "definition.hash": facts["definition_hash"],
            "catalogue.version": catalogue,
            **({"engine": detail["engine"]} if "engine" in detail else {}),
        }
        scans = list(dict.fromkeys(scan for compiled, _ in versions for scan in compiled.scans))
        job = self._job(f"kpi.{code}", f"{newest.kpi.name.en}: {calculation(newest.kpi)}")
        assert job.facets is not None
        # `asked`: the cells of the computation, as warehouse/kpi_values/scans.py chooses them
        query = ";\n\n".join(scan.sql(as_of(scan.table, detail["as_of"]), "asked") for scan in scans)
        job.facets["sql"] = sql_job.SQLJobFacet(query, "duckdb")
        authority = f"catalogue:{facts['catalogue_id']}"
        job.facets["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(authority, "AUTHORITY")])
        facets = self._described("kpi", "value", f"Rows of kpi.value where kpi_code = '{code}': {newest.kpi.name.en}")
        facets["columnLineage"] = column_lineage([compiled for compiled, _ in versions], self.warehouse)
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(authority, "AUTHORITY")])
        facets["version"] = dataset_version(step.last)
        output = OutputDataset(self.warehouse, f"kpi.{code}", facets=facets)
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(detail["written"])
        }
        inputs = [
            InputDataset(self.warehouse, f"showcase.{table}", facets={"version": dataset_version(detail["as_of"])})
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
        rows = self.store.select(
            "SELECT kpi_code, definition_version, definition, definition_hash, catalogue_id, catalogue_version, registered_seq FROM registry.kpi"
        )
        columns = self.store.columns()
        return {
            (r["kpi_code"], r["definition_version"]): (
                compile_kpi(Kpi.model_validate_json(r["definition"]), columns),
                r,
            )
            for r in rows
        }

    def _release(self, step: RecordedStep) -> tuple[Job, list[OutputDataset], Iterable[InputDataset]]:
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.facet_v2 import documentation_dataset, output_statistics_output_dataset

        words = "The warehouse as analysts open it: a read-only file, and the values as CSV and Parquet"
        output = OutputDataset(self.warehouse, "release")
        output.facets = {
            "documentation": documentation_dataset.DocumentationDatasetFacet(words),
            "version": dataset_version(
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


def _as_uuid(run_id: str) -> str:
    """Dagster's run ids are UUIDs; any other gets one of its own."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(_RUNS, run_id))
