"""kpi/<sphere>/<code>: values of one KPI, computed from the warehouse alone. One step computes all KPIs of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any

import dagster as dg

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of, compile_kpi, fingerprint
from kpi_definitions.model import Grain, Kpi
from pipelines.assets.documents import of_document
from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import POOL, Qala, groups, report_progress, single_run
from warehouse.isolation import worker
from warehouse.kpi_values.compute import Report
from warehouse.kpi_values.figures import Figures
from warehouse.tables.contracts import Table

_LABEL = 50  # letters: as wide as a node


def asset_key(catalogue: Catalogues, code: str) -> dg.AssetKey:
    return dg.AssetKey(["kpi", catalogue.sphere_of(code).code.lower(), code.replace("-", "_")])


def kpi_assets(
    catalogue: Catalogues, tables: Mapping[str, Table], months: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """All KPIs, of every grain, any of which may be selected: to open the warehouse takes as long as to compute some."""
    columns = {name: table.business_columns for name, table in tables.items()}

    @dg.multi_asset(
        specs=[_spec(catalogue, catalogue.latest(code), columns) for code in catalogue.codes],
        partitions_def=months,
        backfill_policy=single_run,
        can_subset=True,
        pool=POOL,
    )
    @known_errors_as_failure
    def kpis(context: dg.AssetExecutionContext, qala: Qala) -> Iterator[dg.MaterializeResult[None]]:
        codes = {key.path[-1].replace("_", "-"): key for key in context.selected_asset_keys}
        months_asked = [str(key) for key in context.partition_keys]
        worker.warm("warehouse.kpi_values.compute:get_ready", qala.home)  # while the warehouse is written out
        qala.close_warehouse()
        reports: list[Report] = worker.call(
            "warehouse.kpi_values.compute:compute_home", qala.home, context.run_id, months_asked, [*codes]
        )
        report_progress(context, f"{len(reports)} KPIs: {_done(reports)}")
        for report in reports:
            if report.written:  # a correction leaves most as they were
                report_progress(context, f"{report.kpi_code}: {_done([report])}")
            for why, cells in report.failures.items():
                report_progress(
                    context,
                    f"{report.kpi_code}: {cells:,} cells could not be computed ({why}): they are not calculable",
                )
            key, same = codes[report.kpi_code], _metadata(report)
            by_month = {month: _of_month(report.figures.get(month)) for month in {*months_asked, *report.figures}}
            for month in months_asked:
                context.add_asset_metadata(by_month.pop(month), key, month)
            yield dg.MaterializeResult(asset_key=key, metadata=same)
            for month, own in by_month.items():  # restated there: what Dagster shows of that month must not stay behind
                context.log_event(dg.AssetMaterialization(key, partition=month, metadata={**same, **own}))

    return kpis


def _done(reports: Sequence[Report]) -> str:
    cells, written, restated = (sum(getattr(r, what) for r in reports) for what in ("cells", "written", "restated"))
    return f"{cells:,} cells, {written:,} written, {restated:,} of them restated"


def _of_month(figures: Figures | None) -> dict[str, Any]:
    """What is a month's own: numbers, which Dagster plots month after month. There are none where no period of the KPI closes."""
    if figures is None:
        return {"dagster/row_count": 0}
    metadata: dict[str, Any] = {
        "dagster/row_count": figures.cells,
        "cells with a value": figures.with_value,
        "period": figures.period_id,
    }
    numbers = {
        "country": figures.country,
        "median of settlements": figures.median,
        "least": figures.least,
        "greatest": figures.greatest,
    }
    metadata |= {name: float(number) for name, number in numbers.items() if number is not None}
    return metadata | {f"state: {state}": count for state, count in figures.states.items()}


def _metadata(report: Report) -> dict[str, Any]:
    """What is the same for all months of a run: texts, since Dagster would plot a run's sum as each month's number."""
    metadata: dict[str, Any] = {
        "the run did": _done([report]),
        "as of ledger sequence": str(report.as_of),
        "ledger entry": f"{report.seq}:{report.ledger_hash}",
        "walk back": f"qala explain {report.kpi_code} SETTLEMENT PERIOD --as-of {report.seq}",
        "make again": f"qala reperform {report.kpi_code}",
        "engine": report.engine,
        "sql": dg.MetadataValue.md(f"```sql\n{report.sql}\n```"),
    }
    metadata |= {f"failed in the run: {why}": f"{cells:,} cells" for why, cells in report.failures.items()}
    if report.other_periods:
        metadata["restated in other periods"] = ", ".join(report.other_periods)
    return metadata


def _label(name: str) -> str:
    """A name as a kind may be written, whole words of it."""
    return shorten(re.sub(r"\W+", " ", name, flags=re.ASCII), _LABEL, placeholder="").replace(" ", "_")


def _spec(catalogue: Catalogues, kpi: Kpi, columns: Mapping[str, Mapping[str, str]]) -> dg.AssetSpec:
    initiative, sphere = catalogue.initiative_of(kpi.code), catalogue.sphere_of(kpi.code)
    place = catalogue.fault(kpi, (), "")  # where a fault of it would be told
    compiled = compile_kpi(kpi, columns)
    sources = [dg.TableColumnDep(dg.AssetKey(["showcase", table]), column) for table, column in columns_of(kpi)]
    due = {
        Grain.MONTH: "",
        Grain.QUARTER: " Computed in the partition of the quarter's last month.",
        Grain.YEAR: " Computed in the December partition.",
    }
    return dg.AssetSpec(
        asset_key(catalogue, kpi.code),
        deps=[dg.AssetKey(["showcase", table]) for table in compiled.tables],
        # the first line is what the graph has room for
        description=f"{kpi.name.en} / {kpi.name.ru}\n\n{kpi.description.en if kpi.description else ''}{due[kpi.period]}",
        group_name=groups(catalogue)[sphere.code],
        # Dagster's graph shows a key's last part, which is the code, and kinds
        kinds={_label(kpi.name.en)},
        owners=[f"team:{sphere.code}"],
        code_version=fingerprint(kpi)[:12],
        tags={
            "sphere": sphere.code,
            "level": "kpi",
            "initiative": initiative.code,
            "kind": str(kpi.kind),
            "grain": str(kpi.period),
        },
        metadata={
            **of_document("definition", place.path, str(kpi.version), place.line),
            "initiative": initiative.name.en,
            "unit": kpi.unit,
            "status": catalogue.of(kpi.code).head.status,
            "definition in full": dg.MetadataValue.json(kpi.model_dump(mode="json", by_alias=True, exclude_none=True)),
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn("kato", "VARCHAR", "Settlement"),
                    dg.TableColumn("period_id", "VARCHAR", "Period"),
                    dg.TableColumn("value", "DOUBLE", f"{kpi.name.en} [{kpi.unit}]"),
                    dg.TableColumn("numerator", "DECIMAL(38,6)"),
                    dg.TableColumn("denominator", "DECIMAL(38,6)"),
                    dg.TableColumn("sample_size", "BIGINT"),
                    dg.TableColumn("state", "VARCHAR"),
                ]
            ),
            "dagster/column_lineage": dg.TableColumnLineage({"value": sources, "numerator": sources}),
            "dagster/table_name": "qala.kpi.value",
        },
    )
