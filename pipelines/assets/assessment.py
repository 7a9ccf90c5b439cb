"""assessment: drafts of the annual assessment, made again after every run. Frozen ones are made by `qala assess YEAR --freeze`."""

from collections import Counter

import dagster as dg

from kpi_definitions.catalogue import Catalogues
from pipelines.assets.kpi import asset_key
from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import POOL, Qala, report_progress, single_run
from warehouse.kpi_values.assessment import assess
from warehouse.store.sessions import writing


def assessment_asset(catalogue: Catalogues, months: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """One asset for all catalogues and years."""

    @dg.asset(
        name="assessment",
        deps=[asset_key(catalogue, code) for code in catalogue.codes],
        description="Drafts of the annual assessment (items 7 and 9) for the years of the run's months: coverage, achievement, level, places "
        "inside each item 7 group. Our proposal: the order's formula is not public.",
        group_name="assessment",
        kinds={"duckdb"},
        owners=["team:analytics"],
        partitions_def=months,
        backfill_policy=single_run,
        pool=POOL,
    )
    @known_errors_as_failure
    def assessment(context: dg.AssetExecutionContext, qala: Qala) -> dg.MaterializeResult[None]:
        years = sorted({int(month[:4]) for month in context.partition_keys})
        lines: dict[int, list[str]] = {year: [] for year in years}
        ranked: Counter[int] = Counter()
        qala.close_warehouse()
        with writing(qala.home, context.run_id, hardened=True) as store:
            for one in qala.catalogues.lists:
                for year in years:
                    if one.rules_of(year) is None:
                        continue
                    done = assess(store, one, year)
                    ranked[year] += done.ranked
                    lines[year].append(
                        f"{year} by {one.head.id}: {done.ranked} settlements ranked, {done.insufficient} with insufficient coverage"
                    )
                    report_progress(context, f"assessment of {lines[year][-1]}")
        for month in context.partition_keys:
            year = int(month[:4])
            drafts = "\n".join(f"- {line}" for line in lines[year]) or "none: no list assesses that year"
            own = {"drafts": dg.MetadataValue.md(drafts), "settlements ranked": ranked[year]}
            context.add_asset_metadata(own, partition_key=month)
        return dg.MaterializeResult()

    return assessment
