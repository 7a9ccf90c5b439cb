"""A write-ahead log beside the warehouse: left by a run that was killed, or planted. DuckDB would apply either at the next opening.

Before that happens it is applied to a copy, and the copy is held against its ledger as `qala verify` does. What a killed run committed is
sealed and chained, and goes through; what somebody else wrote is not, and is refused with file and log left as they were found. What was
recovered is written down beside the warehouse and entered in the ledger with the next release.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import StoreError
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.home.scratch import scratch
from warehouse.store.ledger import GENESIS_HASH, EntryKind, ledger_head
from warehouse.store.recorded import recorded
from warehouse.store.store import Store
from warehouse.tables.file_objects import planted
from warehouse.tables.views import falsified

_NOTE = ".recovered.jsonl"  # in the home: what was recovered and is not in the ledger yet, a line each


def log_of(file: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a file."""
    return file.with_name(f"{file.name}.wal")


def refuse_log(file: Path) -> None:
    """Raises StoreError if a log lies beside a file that was closed for good: opening would apply it."""
    log = log_of(file)
    if log.exists() or log.is_symlink():
        raise StoreError(
            f"{log} does not belong there, and whoever opens {file.name} would apply it; see: qala verify. "
            "Take it away before anybody opens the release"
        )


def check_log(home: Home) -> None:
    """Raises StoreError if there is a log beside the warehouse that no run of qala can have left. Neither is changed."""
    log = log_of(home.warehouse)
    if log.is_symlink():
        raise StoreError(f"{log} is a link; qala leaves none. Take it away, and see where it led")
    if not log.exists():
        return
    if not home.warehouse.exists():
        raise StoreError(
            f"{log} lies there without a warehouse, and would become one; take it away, or restore both from a backup"
        )
    now, size = log.stat(), home.warehouse.stat()
    _checked(home, file_sha256(log), now.st_size, size.st_mtime_ns, size.st_size)


@lru_cache(maxsize=8)
def _checked(home: Home, _sha256: str, *_stamps: int) -> None:
    log = log_of(home.warehouse)
    try:
        wrong = _wrong(home)
    except OSError as error:
        raise StoreError(
            f"{log} was left by a run that was stopped, and must be tried on a copy before it is applied, which cannot be made in {home.root} "
            f"({error.strerror or error}); make room there, or let who may write there run qala"
        ) from error
    if wrong:
        raise StoreError(
            f"{log} is no log that a run of qala left: with it, {wrong}. Neither it nor {home.warehouse.name} was changed. "
            "Restore both from a backup; or move the log away, and the warehouse is as it was before the log, which a run then goes on from"
        )


def _wrong(home: Home) -> str:
    """What the log would make wrong, tried on a copy in the home, where there is room for it."""
    with scratch(home.scratch) as folder:
        file = folder / home.warehouse.name
        copied(home.warehouse, file)
        file.chmod(0o600)
        try:
            before = _head(file)
            shutil.copyfile(log_of(home.warehouse), log_of(file))
            with duckdb.connect(str(file)) as con:
                known = con.execute(_LEDGER).fetchone()
                if not known or not known[0]:
                    return "" if before[0] == 0 else "the ledger is gone"
                store = Store(con, home)
                if found := planted(con, store.tables):
                    return f"there is {', '.join(found)}, which qala never made"
                con.execute("SET TimeZone = 'UTC'")
                held = con.execute("SELECT hash FROM audit.ledger WHERE seq = ?", [before[0]]).fetchone()
                if before[0] and (held is None or held[0] != before[1]):
                    return f"ledger row {before[0]} is no longer what it was"
                same = _same_version(store)
                if found := falsified(con) if same else []:
                    return f"there is {', '.join(found)}"
                differing = recorded(store, views=same)
                return differing[0].message if differing else ""
        except duckdb.Error as error:
            return f"the warehouse cannot be opened ({str(error).splitlines()[0]})"


_LEDGER = "SELECT count(*) FROM system.main.duckdb_tables() WHERE schema_name = 'audit' AND table_name = 'ledger'"


def _head(file: Path) -> tuple[int, str]:
    with duckdb.connect(str(file)) as con:
        known = con.execute(_LEDGER).fetchone()
        return ledger_head(con) if known and known[0] else (0, GENESIS_HASH)


def _same_version(store: Store) -> bool:
    row = store.con.execute("SELECT value FROM registry.setting WHERE name = 'schema'").fetchone()
    return row is not None and row[0] == store.fingerprint


def note_log(home: Home) -> dict[str, Any] | None:
    """What is to be said of the log beside the warehouse, if there is one, before it is applied."""
    log = log_of(home.warehouse)
    if not log.is_file():
        return None
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"bytes": log.stat().st_size, "sha256": file_sha256(log), "found_at": at}


def keep_note(home: Home, note: dict[str, Any]) -> None:
    """Write down that a log was applied, until the ledger has it; once, as one without anything in it stays where it is."""
    path = home.root / _NOTE
    if path.exists() and note["sha256"] in path.read_text(encoding="utf-8"):
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")


def enter_notes(store: Store) -> None:
    """Enter in the ledger which logs were applied since; to be called in a transaction, and `forget_notes` after it."""
    path = store.home.root / _NOTE
    if path.exists():
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        store.record([(EntryKind.RECOVERED, store.home.warehouse.name, one) for one in found])


def forget_notes(home: Home) -> None:
    (home.root / _NOTE).unlink(missing_ok=True)
