"""Dagster's event log as we patch it: what is stored in batches reads like what is stored one by one."""

from __future__ import annotations

import dagster as dg
import pytest

from pipelines import event_log, resources

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
    event_log.log_evaluations(
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


def told(monkeypatch: pytest.MonkeyPatch, batch: str) -> list[object]:
    """What an instance answers about assets and the run, after a run over six months."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
    job = dg.Definitions(assets=[made], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
    tags = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-06-01"}
    with dg.instance_for_test() as instance:
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
    return found


def test_batches_store_what_single_events_store(monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = told(monkeypatch, "0")
    assert one_by_one == told(monkeypatch, "1000")
    assert one_by_one[1] == [f"2025-0{n}-01" for n in range(1, 7)]
    judged = {"2024-12-01": "SUCCEEDED", "2025-02-01": "SUCCEEDED", "2025-04-01": "FAILED"}
    every = sorted({*judged, *(f"2025-0{n}-01" for n in range(1, 7))})
    assert [row[:2] for row in one_by_one[-1]] == [(month, judged.get(month, "PLANNED")) for month in every]  # type: ignore[attr-defined]


def test_batches_are_used_and_connections_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's own names: should a new version rename them, the patch would be without effect."""
    sizes: list[int] = []
    storage = event_log.SqliteEventLogStorage  # type: ignore[attr-defined]
    monkeypatch.setattr(
        storage, "store_event_batch", lambda self, events: sizes.append(len(events)) or event_log._store_event_batch(self, events)
    )  # fmt: skip
    told(monkeypatch, "1000")
    assert max(sizes) >= 13, "two assets, six months, and a check"
    assert storage._connect is event_log._connect
    assert storage.has_table is event_log._has_table
