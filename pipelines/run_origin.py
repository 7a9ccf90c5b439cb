"""Where a run belongs in Dagster's screens: to the code location that the UI serves, though the command line ran it.

Dagster puts on its timeline, and in a job's list of runs, those that name the code location of their job; what is executed in a process by itself
names none. Does not belong here: running (run.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

LOCATION = "pipelines"  # as workspace.yaml calls it
MODULE = "pipelines.definitions"


@contextmanager
def on_timeline(instance: DagsterInstance, job: str) -> Iterator[None]:
    """Until the end of the block, runs that this process makes of the instance belong to the job of the code location."""
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name=MODULE), LOCATION)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)
    make = instance.create_run_for_job
    vars(instance)["create_run_for_job"] = partial(make, remote_job_origin=origin)
    try:
        yield
    finally:
        del vars(instance)["create_run_for_job"]
