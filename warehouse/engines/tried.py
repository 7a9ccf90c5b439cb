"""Which versions of an engine were tried in this home and found to measure as the warehouse does: `<home>/engine/tried.json`.

A version counts as tried only as long as qala says things the way it did then: another list of functions, other code that writes an engine's
SQL, other rows to try it on or another DuckDB to be measured against, and it is to be tried again.
Does not belong here: trying (trial.py), the versions that qala's own tests compared (clickhouse_checks.py).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from kpi_definitions import functions
from warehouse.engines import hard_values
from warehouse.engines.showcase import keep_json
from warehouse.home.home import Home

_ROOT = Path(__file__).parents[2]
# how an engine is told; how it is asked, and on what
_SAID = ("calendar_arithmetic", "engine_scans", "expressions", "functions", "scans", "spelling", "values")
_DONE = ("clickhouse", "clickhouse_answers", "clickhouse_tables", "content", "hard_values", "trial")


def tried_versions(home: Home) -> frozenset[str]:
    """Versions, whole (24.8.4.13), that were found equal by what qala is now; none, if the file is damaged."""
    file = _file(home)
    if file.exists():
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(file.read_text(encoding="utf-8"))
            now = fingerprint()
            return frozenset(str(one["version"]) for one in said["tried"] if one["fingerprint"] == now)
    return frozenset()


def note_tried(home: Home, found: str, at: str, cells: int) -> None:
    """A version was tried and is equal; what was noted of it before gives way. `at`: when, in ISO 8601; `cells`: how many were compared."""
    file, kept = _file(home), []
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = [one for one in json.loads(file.read_text(encoding="utf-8"))["tried"] if one["version"] != found]
    file.parent.mkdir(parents=True, exist_ok=True)
    noted = {"version": found, "fingerprint": fingerprint(), "at": at, "cells": cells}
    keep_json(file, {"tried": [*kept, noted]})


def fingerprint() -> str:
    """Of everything that the outcome of a trial hangs on, the engine aside."""
    seen = hashlib.sha256(f"duckdb {version('duckdb')}".encode())
    said = [_ROOT / "kpi_definitions" / f"{name}.py" for name in _SAID]
    done = [_ROOT / "warehouse" / "engines" / f"{name}.py" for name in _DONE]
    for path in (functions.FILE, hard_values.FILE, *said, *done):
        seen.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return seen.hexdigest()


def _file(home: Home) -> Path:
    return home.engine / "tried.json"
