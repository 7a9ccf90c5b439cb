"""A run of Dagster's over six months with all kinds of events that we store in batches, and what the store answers about it afterwards."""

from __future__ import annotations

import dagster as dg
import pytest

from pipelines import resources
from pipelines.event_log import batches

assert resources.POOL  # its import puts the patch in
MONTHS = dg.MonthlyPartitionsDefinition(start_date="2025-01-01", end_date="2025-07-01")
FIRST, SECOND = dg.AssetKey(["one", "first"]), dg.AssetKey(["one", "second"])


@dg.multi_asset(
    specs=[dg.AssetSpec(FIRST), dg.AssetSpec(SECOND, deps=[FIRST])],
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[
        dg.AssetCheckSpec("whole", asset=SECOND),
        dg.AssetCheckSpec("monthly", asset=SECOND, partitions_def=MONTHS),
    ],
)
def made(context):  # type: ignore[no-untyped-def]  # Dagster takes no annotation that is a text
    for key in (FIRST, SECOND):
        yield dg.MaterializeResult(asset_key=key, metadata={"rows": 7}, tags={"sphere": "mgt"})
    yield dg.AssetCheckResult(passed=True, asset_key=SECOND, check_name="whole")
    months = ["2025-02-01", "2025-04-01", "2024-12-01"]  # the others are not judged; of the last the run was not asked
    batches.log_evaluations(
        context,
        [
            dg.AssetCheckEvaluation(
                asset_key=SECOND,
                check_name="monthly",
                passed=month != "2025-04-01",
                metadata={"seen": 3},
                partition=month,
            )
            for month in months
        ],
    )
    yield dg.Output(None, output_name=dg.AssetCheckSpec("monthly", asset=SECOND).get_python_identifier())


def told(
    monkeypatch: pytest.MonkeyPatch, batch: str, settings: dict[str, object] | None = None
) -> tuple[str, list[object]]:
    """The run, and what an instance of these settings answers about it and its assets. `batch`: events; 0 is as Dagster itself stores them."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
    job = dg.Definitions(assets=[made], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
    tags = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-06-01"}
    with dg.instance_for_test(overrides=settings) as instance:
        result = job.execute_in_process(instance=instance, tags=tags)
        assert result.success
        logs = instance.all_logs(result.run_id)
        found: list[object] = [
            sorted(
                (e.dagster_event.event_type_value, str(e.dagster_event.asset_key), str(e.dagster_event.partition))
                for e in logs
                if e.dagster_event
            )
        ]
        for key in (FIRST, SECOND):
            records = instance.fetch_materializations(key, limit=100).records
            (entry,) = instance.get_asset_records([key])
            newest = entry.asset_entry.last_materialization
            assert newest is not None
            found += [
                sorted(str(r.partition_key) for r in records),
                [r.asset_materialization.metadata["rows"].value for r in records if r.asset_materialization],
                sorted(instance.get_materialized_partitions(key)),
                newest.run_id == result.run_id,
                newest.asset_materialization.tags["sphere"] if newest.asset_materialization else None,  # type: ignore[index]
                sorted(instance.event_log_storage.get_materialized_partitions(key)),
            ]
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(SECOND, "whole"), limit=9
        )
        found.append([(c.status.value, c.partition, c.event is not None) for c in checks])
        monthly = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(SECOND, "monthly"), limit=99
        )
        found.append(sorted((str(c.partition), c.status.value, c.event is not None) for c in monthly))
    return result.run_id, found
