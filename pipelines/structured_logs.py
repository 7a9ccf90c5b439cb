"""Logs as machines read them: QALA_LOG=json makes each line on the standard error one JSON object, of a run as of a command.

Fields: time (UTC), level, logger, message; and where they are known run_id, job, step, event, table, delivery_id, settlement, period, system, months,
error. The same from `qala run` and from a run that Dagster's daemon started, as both go through `patch`. What the ledger has is logged too
(warehouse/store/ledger_log.py). Nothing of a row is logged: texts that a
library made are shown without what they quote. Does not belong here: lines of other programs (logged.py), what is reported (assets/).
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from connectors.personal_data.detection import harmless, scrubbed
from warehouse.errors import StoreError

if TYPE_CHECKING:
    from rich.console import Console

LOG = "QALA_LOG"
OURS = "qala"  # logger, and name under which a record carries fields of its own
_STEP = "showcase__"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
# events of Dagster that are told, though it logs them as details
_TOLD = {
    "PIPELINE_START",
    "PIPELINE_SUCCESS",
    "PIPELINE_FAILURE",
    "PIPELINE_CANCELED",
    "STEP_SUCCESS",
    "STEP_UP_FOR_RETRY",
}


def as_json() -> bool:
    """Whether QALA_LOG asks for JSON. Raises StoreError if it asks for what there is not."""
    asked = os.environ.get(LOG, "").strip().lower()
    if asked not in ("", "text", "json"):
        raise StoreError(f"{LOG} is {asked!r}: write json, or text, or leave it out")
    return asked == "json"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says, as one JSON object has it."""
    meta: Mapping[str, Any] = getattr(record, "dagster_meta", None) or {}
    event = meta.get("dagster_event")
    found: dict[str, Any] = {
        "time": dt.datetime.fromtimestamp(record.created, dt.UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": scrubbed(str(meta["orig_message"] if meta else record.getMessage()).strip(), sure=True),
    }
    tags, step = meta.get("job_tags") or {}, meta.get("step_key")
    found |= {"run_id": meta.get("run_id"), "job": meta.get("job_name"), "step": step}
    if _RANGE[0] in tags:
        found["months"] = "/".join(dict.fromkeys(tags[name] for name in _RANGE if name in tags))
    if step and step.startswith(_STEP):
        found["table"] = step.removeprefix(_STEP)
    if event is not None:
        level = "info" if record.levelno < logging.INFO else found["level"]
        found |= {"level": level, "event": event.event_type_value.lower(), "error": _failure(event)}
    if record.exc_info and record.exc_info[1]:
        found["error"] = f"{type(record.exc_info[1]).__name__}: {harmless(record.exc_info[1])}"
    found |= getattr(record, OURS, {})
    return {name: value for name, value in found.items() if value is not None}


def _failure(event: Any) -> str | None:
    """What a step's failure is told to be: our sentence, or the kind of the error; the traceback is in the run's log."""
    data = event.event_specific_data
    said = getattr(getattr(data, "user_failure_data", None), "description", None)
    if said:
        return scrubbed(str(said), sure=True)
    error: Any = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{error.cls_name}: {harmless(error.message)}" if error is not None else None


class _ToStandardError(logging.Handler):
    """Writes to whatever the standard error is by then."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
        return record.levelno >= logging.INFO or (event is not None and event.event_type_value in _TOLD)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def handler() -> logging.Handler:
    """Of a Python logger: each record a line."""
    from pythonjsonlogger.json import JsonFormatter

    class Formatter(JsonFormatter):
        def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:  # noqa: ARG002
            log_data |= fields(record)

    made = _ToStandardError()
    made.setFormatter(Formatter(json_ensure_ascii=False))
    return made


def begin() -> None:
    """Have everything that this process logs be JSON, warnings of Python too, once."""
    own, root = logging.getLogger(OURS), logging.getLogger()
    if own.handlers:
        return
    own.addHandler(handler())
    own.setLevel(logging.INFO)
    own.propagate = False
    root.handlers[:] = [handler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def patch() -> None:
    """Put the logger of runs in the place of Dagster's coloured one, which a run gets that names none."""
    if not as_json():
        return
    import dagster as dg
    from dagster._core.execution import context_creation_job

    begin()

    def make(_: dg.InitLoggerContext) -> logging.Logger:
        made = logging.Logger(f"{OURS}.run")
        made.addHandler(handler())
        return made

    def loggers(_: object = None) -> Sequence[tuple[dg.LoggerDefinition, Mapping[str, object]]]:
        return [(dg.LoggerDefinition(make), {})]

    vars(context_creation_job)["default_system_loggers"] = loggers


class _Lines:
    """What a console writes, logged line by line."""

    encoding, errors = "utf-8", "strict"

    def __init__(self, level: int):
        self.level, self.begun = level, ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        for line in filter(str.strip, lines):
            level = logging.WARNING if line.lower().startswith("warning") else self.level
            logging.getLogger(OURS).log(level, "%s", line.strip())
        return len(text)

    def flush(self) -> None:
        """A line is logged when it ends."""

    def isatty(self) -> bool:
        return False


def speak_json(out: Console, err: Console) -> bool:
    """Have the consoles of a command log what they are given, if JSON is asked for. Returns whether it is. Raises StoreError as `as_json`."""
    if not as_json():
        return False
    begin()
    for console, level in ((out, logging.INFO), (err, logging.ERROR)):
        console.file = cast(IO[str], _Lines(level))
        console.no_color, console.soft_wrap = True, True
    return True
