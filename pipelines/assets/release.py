"""release: the read-only file analysts open, put in place atomically."""

from collections.abc import Iterator

import dagster as dg

from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import POOL, Qala, report_progress
from warehouse.release.release import publish

CHECK = "lineage_complete"


@dg.asset(
    description="The published warehouse: a read-only DuckDB file with described tables and views, and the KPI values as CSV and Parquet.",
    deps=[dg.AssetKey(["assessment"])],
    group_name="release",
    kinds={"duckdb", "parquet", "csv"},
    owners=["team:analytics"],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset="release",
            description="Every published value can be walked back to archived bytes. One that cannot be walked back to a delivery stops the release.",
        )
    ],
    pool=POOL,
)
@known_errors_as_failure
def release(
    context: dg.AssetExecutionContext, qala: Qala
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Copy, export, replace."""
    qala.close_warehouse()
    done = publish(qala.home, qala.archive.missing, context.run_id)
    report_progress(context, f"release {done.seq}: {done.calculated:,} values calculated of {done.values:,} cells")
    report_progress(context, f"keep this line elsewhere (printed, mailed): {done.anchor.line}")
    yield dg.MaterializeResult(
        metadata={
            "file": dg.MetadataValue.path(str(done.file)),
            "ledger sequence": done.seq,
            "ledger head": f"{done.seq}:{done.head}",
            "anchor": done.anchor.line,
            "bytes": done.bytes,
            "dagster/row_count": done.values,
            "calculated": done.calculated,
            "values with broken lineage": len(done.broken),
        }
    )
    yield dg.AssetCheckResult(
        passed=not done.broken,
        check_name=CHECK,
        description=f"{len(done.broken)} of {done.calculated:,} published values lead to bytes that are no longer in the archive",
        metadata={"broken": dg.MetadataValue.md("\n".join(f"- {text}" for text in done.broken[:50]) or "none")},
    )
