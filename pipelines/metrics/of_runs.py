"""What Dagster's store knows of runs and of its daemon, in numbers. The store is asked through Dagster, wherever it is: files, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.metrics.described import Sample
from warehouse.home.home import Home

if TYPE_CHECKING:
    from dagster import DagsterInstance

_RECENT = 500  # runs that are looked at for the names of jobs


def measured(home: Home) -> Iterator[Sample]:
    """Nothing where no run and no daemon ever was."""
    folder = home.root / "dagster"
    if not (folder / "dagster.yaml").exists():
        return
    instance = _instance(folder)
    yield from _runs(instance)
    for name, heartbeat in instance.get_daemon_heartbeats().items():
        yield "qala_daemon_heartbeat_timestamp_seconds", (name.lower(),), heartbeat.timestamp


@cache
def _instance(folder: Path) -> DagsterInstance:
    """Opened once: a scrape of every few seconds would open connections that often."""
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(folder))


def _runs(instance: DagsterInstance) -> Iterator[Sample]:
    from dagster import DagsterRunStatus, RunsFilter

    jobs = sorted({record.dagster_run.job_name for record in instance.get_run_records(limit=_RECENT)})
    for job in jobs:
        for status in DagsterRunStatus:
            chosen = RunsFilter(job_name=job, statuses=[status])
            label = (job, status.value.lower())
            if count := instance.get_runs_count(chosen):
                yield "qala_runs", label, count
            if not count or status not in (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE):
                continue
            for record in instance.get_run_records(chosen, limit=1):
                if record.end_time is not None:
                    yield "qala_run_end_timestamp_seconds", label, record.end_time
                    yield "qala_run_duration_seconds", label, record.end_time - (record.start_time or record.end_time)
