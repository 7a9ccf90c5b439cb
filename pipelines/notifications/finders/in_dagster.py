"""Runs that failed in Dagster, those of the command line among them. Dagster is asked through the instance that is given; nothing is imported before.

Does not belong here: runs that the command line could not begin (in_notes.py).
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.personal_data.detection import harmless
from connectors.sources.connections import load_connections
from connectors.sources.notes import read_notes
from connectors.sources.pull import Outcome
from pipelines.notifications.finders.look import Look
from pipelines.notifications.trouble import Found, Kind, Trouble, quoted
from pipelines.selection import SOURCE

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

_BEFORE = dt.timedelta(days=1)  # before the first look: what failed earlier is no news
_OLDEST = dt.timedelta(days=30)
_MOST = 500
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def failed_runs(look: Look, instance: DagsterInstance) -> Found:
    """Each run that failed, for good: another run that goes well does not undo it."""
    from dagster import DagsterRunStatus, RunsFilter

    since = max(look.begun - _BEFORE, look.now - _OLDEST)
    records = instance.get_run_records(
        RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=since), limit=_MOST
    )
    return {f"run/{one.dagster_run.run_id}": partial(_failed, look, instance, one.dagster_run) for one in records}


def _failed(look: Look, instance: DagsterInstance, run: DagsterRun) -> Trouble | None:
    """None: it is told as the source that did not give."""
    if _told_by_source(look, run.job_name):
        return None
    first, last = (run.tags.get(tag, run.tags.get("dagster/partition", "")) for tag in _RANGE)
    months = first if first == last else f"{first} – {last}"
    said = {
        "code": "notification.run",
        "job": run.job_name,
        "months": months or {"code": "notification.no_months"},
        "reason": _reason(instance, run.run_id),
    }
    home, when = look.home, look.now.isoformat()
    return Trouble(Kind.RUN, said, run.run_id, f"QALA_HOME={home.root} qala ui", when)


def _told_by_source(look: Look, job: str) -> bool:
    names = {f"pull_{SOURCE}_{name.replace('-', '__')}": name for name in load_connections(look.home)[0]}
    notes = read_notes(look.home, names[job]).values() if job in names else ()
    return any(note.outcome == Outcome.FAILED for note in notes)


def _reason(instance: DagsterInstance, run_id: str) -> Any:
    """What the first step that failed said of it: ours as it is, a library's without what it quotes, which may be a cell."""
    from dagster import DagsterEventType

    records = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE, limit=1).records
    event = records[0].event_log_entry.dagster_event if records else None
    if event is None:
        return {"code": "notification.run_ended"}
    failed = event.step_failure_data
    if failed.user_failure_data and failed.user_failure_data.description:
        reason = quoted(str(failed.user_failure_data.description))
    else:
        error: Any = failed.error
        while getattr(error, "cause", None) is not None:
            error = error.cause
        reason = quoted(harmless(str(getattr(error, "message", ""))))
    return {"code": "notification.step", "step": str(event.step_key), "reason": reason}
