"""Run the job in this process, as the command line does; the run shows up in the Dagster UI like any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from warehouse.periods import add_months, month_id, parse_period
from warehouse.store import Home


@dataclass(frozen=True)
class RunResult:
    """One Dagster run over consecutive months."""

    first: str
    last: str
    run_id: str
    success: bool
    failures: tuple[str, ...]


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


def blocks(months: Sequence[str]) -> list[tuple[str, str]]:
    """Consecutive months as (first, last): each block is one run."""
    ordered = sorted(set(months))
    if not ordered:
        return []
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if month_id(add_months(parse_period(a).start, 1)) != b]
    edges = [0, *breaks, len(ordered)]
    return [(ordered[a], ordered[b - 1]) for a, b in pairwise(edges)]


def run_months(home: Home, months: Sequence[str], say: Callable[[str], None]) -> list[RunResult]:
    """Run the whole job over the months, one run for each block of consecutive ones."""
    prepare(home)
    import dagster as dg

    from pipelines import resources
    from pipelines.definitions import defs

    job = defs.resolve_job_def("city_kpis")
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    resources.listeners.append(say)
    results = []
    try:
        with dg.DagsterInstance.get() as instance:
            for first, last in blocks(months):
                result = job.execute_in_process(
                    instance=instance,
                    run_config=quiet,
                    raise_on_error=False,
                    tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
                )
                failures = [
                    f"{e.step_key}: {_cause(e.step_failure_data.error)}" for e in result.all_events if e.is_step_failure
                ]
                results.append(RunResult(first, last, result.run_id, result.success, tuple(failures)))
    finally:
        resources.listeners.remove(say)
    return results


def _cause(error: object) -> str:
    """The innermost message of a Dagster error."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    return str(getattr(error, "message", error)).strip()
