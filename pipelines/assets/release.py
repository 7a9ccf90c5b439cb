"""release: the read-only file analysts open, put in place atomically."""

import dagster as dg

from pipelines.resources import POOL, Qala, tell
from warehouse.release import publish


@dg.asset(
    description="The published warehouse: a read-only DuckDB file with described tables and views, and the KPI values as CSV and Parquet.",
    deps=[dg.AssetKey(["assessment"])],
    group_name="release",
    kinds={"duckdb", "parquet", "csv"},
    owners=["team:analytics"],
    pool=POOL,
)
def release(context: dg.AssetExecutionContext, qala: Qala) -> dg.MaterializeResult[None]:
    """Copy, export, replace."""
    done = publish(qala.home, context.run_id)
    tell(context, f"release {done.seq}: {done.calculated:,} values calculated of {done.values:,} cells")
    return dg.MaterializeResult(
        metadata={
            "file": dg.MetadataValue.path(str(done.file)),
            "ledger sequence": done.seq,
            "ledger head": done.head,
            "bytes": done.bytes,
            "dagster/row_count": done.values,
            "calculated": done.calculated,
        }
    )
