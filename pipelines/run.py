"""Run the job in this process, as the command line does; the run shows up in the Dagster UI like any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import structured_logs
from pipelines.error_messages import BY, COMMAND_LINE
from pipelines.months import EARLIEST
from pipelines.selection import selection
from warehouse.home.home import Home
from warehouse.isolation import worker
from warehouse.messages.messages import language_of
from warehouse.moments import at
from warehouse.periods import month_ranges

if TYPE_CHECKING:
    from dagster import AssetKey, JobDefinition
    from dagster._core.execution.plan.objects import StepFailureData


_Files = tuple[tuple[str, int, int, int], ...]
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


@lru_cache(maxsize=2)
def _job(home: Home, _language: str, _files: _Files) -> tuple[JobDefinition, frozenset[AssetKey]]:
    """Dagster's job, and the keys of all assets, as they are made of the home's files and described in a language."""
    from pipelines.definitions import build_defs

    # for whatever month came: with which one Dagster's screens begin is no matter here
    defs = build_defs(home, EARLIEST)
    return defs.resolve_job_def("city_kpis"), frozenset(defs.resolve_asset_graph().get_all_asset_keys())


def _files(home: Home) -> _Files:
    """Of each file that says which assets there are: path, time of change, bytes, inode."""
    folders = (home.showcase, home.contracts, home.catalogues, home.sources)
    found = ((path, path.stat()) for folder in folders for path in sorted(folder.rglob("*")))
    return tuple((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in found)


def get_ready(home: Home) -> None:
    """Import what a run of the home needs, and read what it reads, so that a fork of this process finds it. Raises what faults there are."""
    import dagster  # noqa: F401

    from connectors.ingest import load_source_contracts
    from kpi_definitions.catalogue import load_catalogues
    from warehouse.kpi_values import compute
    from warehouse.kpi_values.sound import refuse_faulty
    from warehouse.tables.home_tables import tables_of

    _job(home, language_of(), _files(home))
    tables = tables_of(home)
    load_source_contracts(home, tables)
    refuse_faulty(load_catalogues(home.catalogues), tables)
    compute.get_ready(home)


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
    if tables is None or tables:
        worker.warm("connectors.delivery_gate.delivery_gate:get_ready")
    else:  # a run that only computes needs no Great Expectations
        worker.warm("warehouse.kpi_values.compute:get_ready", home)
    import dagster as dg

    from pipelines import resources
    from pipelines.assets.showcase import refused_in_run
    from pipelines.event_log import patching
    from pipelines.run_origin import on_timeline

    job, every = _job(home, language_of(), _files(home))
    structured_logs.patch()
    chosen = None if tables is None else selection(every, tables, codes)
    # who runs it is told by the caller, in a sentence; tracebacks are in the run's log
    quiet = {} if structured_logs.as_json() else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    resources.progress_listeners.append(say)
    results = []
    try:
        with dg.DagsterInstance.get() as instance, on_timeline(instance, job.name):
            patching.patch()  # only now it is known which store; and a fork has another environment than that in which it was imported
            for first, last in month_ranges(months):
                at("run.begun")
                result = job.execute_in_process(
                    instance=instance,
                    run_config=quiet,
                    asset_selection=chosen,
                    raise_on_error=False,
                    tags={
                        BY: COMMAND_LINE,
                        "dagster/asset_partition_range_start": first,
                        "dagster/asset_partition_range_end": last,
                    },
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
