"""Run the job in this process, as the command line does; the run shows up in the Dagster UI like any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import structured_logs
from pipelines.selection import selection
from warehouse.home.home import Home
from warehouse.isolation import worker
from warehouse.moments import at
from warehouse.periods import month_ranges

if TYPE_CHECKING:
    from dagster._core.execution.plan.objects import StepFailureData


_INTERRUPTED = "DagsterExecutionInterruptedError"


@dataclass(frozen=True)
class RunResult:
    """One Dagster run over consecutive months."""

    first: str
    last: str
    run_id: str
    success: bool
    failures: tuple[str, ...]
    refused: int = 0  # deliveries


def prepare(home: Home) -> Path:
    """Make the home's Dagster folder and point Dagster at it. Returns the folder."""
    folder = home.root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        shutil.copyfile(Path(__file__).parent / "dagster.yaml", settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["QALA_HOME"] = str(home.root)
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    return folder


def run_months(
    home: Home,
    months: Sequence[str],
    say: Callable[[str], None],
    tables: Collection[str] | None = None,
    codes: Collection[str] | None = None,
) -> list[RunResult]:
    """Run the job over the months, one run for each block of consecutive ones; `tables`: those with something new, `codes`: KPIs due (None: all).

    Raises KeyboardInterrupt if it was interrupted.
    """
    prepare(home)
    # the process that judges and computes starts while Dagster is imported
    worker.warm("connectors.delivery_gate.delivery_gate:get_ready")
    import dagster as dg

    from pipelines import resources
    from pipelines.assets.showcase import refused_in_run
    from pipelines.definitions import build_defs

    defs = build_defs(home)
    job = defs.resolve_job_def("city_kpis")
    every = defs.resolve_asset_graph().get_all_asset_keys()
    chosen = None if tables is None else selection(every, tables, codes)
    # who runs it is told by the caller, in a sentence; tracebacks are in the run's log
    quiet = {} if structured_logs.as_json() else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    resources.progress_listeners.append(say)
    results = []
    try:
        with dg.DagsterInstance.get() as instance:
            for first, last in month_ranges(months):
                at("run.begun")
                result = job.execute_in_process(
                    instance=instance,
                    run_config=quiet,
                    asset_selection=chosen,
                    raise_on_error=False,
                    tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
                )
                failed = [(e.step_key, e.step_failure_data) for e in result.all_events if e.is_step_failure]
                if any(data.error and data.error.cls_name == _INTERRUPTED for _, data in failed):
                    raise KeyboardInterrupt  # Dagster has written down that the run ended
                failures = [f"{key}: {_said(data)}" for key, data in failed]
                refused = refused_in_run(instance, result.run_id)
                results.append(RunResult(first, last, result.run_id, result.success, tuple(failures), refused))
                at("run.done")
    finally:
        resources.progress_listeners.remove(say)
    return results


def _said(failed: StepFailureData) -> str:
    """What a step said of its failure (error_messages.py), else the innermost message of Dagster's error."""
    if failed.user_failure_data and failed.user_failure_data.description:
        return str(failed.user_failure_data.description)
    error: object = failed.error
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    return f"{str(getattr(error, 'message', error)).strip()}; the traceback is in the run's log: qala ui"
