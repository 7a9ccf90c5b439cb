"""Whether a warehouse is the one its release was made of, or a later state of it.

If the warehouse is gone, or older than what was published, no run goes on with it: the next release would replace the good one with an
empty one. The release tells by its manifest, or else by its own ledger, up to which ledger sequence the warehouse had come.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import lru_cache
from pathlib import Path

import duckdb

from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.store.ledger import GENESIS_HASH, ledger_head
from warehouse.store.write_ahead_log import refuse_log

MANIFEST = "release.json"
SWITCH = "--start-anew"
_NEVER = (0, GENESIS_HASH)


def released_head(home: Home) -> tuple[int, str]:
    """Ledger sequence and hash of the release beside the warehouse; (0, ...) if nothing was released. Raises StoreError if it cannot be told."""
    try:
        found = json.loads((home.release / MANIFEST).read_text(encoding="utf-8"))
        return int(found["seq"]), str(found["ledger_head"])
    except (OSError, ValueError, TypeError, KeyError):  # gone, or no manifest: the file itself knows
        pass
    try:
        stat = home.released_file.stat()
    except OSError:
        return _NEVER
    refuse_log(home.released_file)
    return _head_of(home.released_file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _head_of(file: Path, _mtime: int, _size: int) -> tuple[int, str]:
    try:
        con = duckdb.connect(str(file), read_only=True)
        try:
            return ledger_head(con)
        finally:
            con.close()
    except duckdb.Error as error:
        raise StoreError(
            f"{file} cannot be read ({str(error).splitlines()[0]}), and {file.with_name(MANIFEST)} does not tell of which warehouse it is; "
            f"restore them from a backup (qala restore), or set the folder aside: qala run {SWITCH}"
        ) from error


def refuse_lost(home: Home) -> None:
    """Raises StoreError if there is a release and no warehouse."""
    if not home.warehouse.exists() and released_head(home) != _NEVER:
        raise StoreError(f"{home.warehouse} is gone, and {_remedy(home)}")


def refuse_older(home: Home, con: duckdb.DuckDBPyConnection) -> None:
    """Raises StoreError if the open warehouse does not know the release beside it: another one, or an older state."""
    seq, digest = released_head(home)
    if not seq:
        return
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE (schema_name, table_name) = ('audit', 'ledger')"
    ).fetchone()
    held = con.execute("SELECT hash FROM audit.ledger WHERE seq = ?", [seq]).fetchone() if known and known[0] else None
    if held is None or held[0] != digest:
        if known and known[0] and _of_former(con, seq, digest):
            return
        what = "is older than" if held is None else "is not the warehouse of"
        raise StoreError(f"{home.warehouse} {what} the release of ledger sequence {seq} beside it, and {_remedy(home)}")


def released_here(home: Home, con: duckdb.DuckDBPyConnection) -> int:
    """How far the open warehouse's own ledger is published. Of one that was made anew and not published since, its last computation is not."""
    seq, digest = released_head(home)
    if not seq or not _of_former(con, seq, digest):
        return seq
    row = con.execute("SELECT max(as_of_seq) FROM kpi.computation").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _of_former(con: duckdb.DuckDBPyConnection, seq: int, digest: str) -> bool:
    """Whether a release was made of the warehouse from which the open one was made anew (`qala rebuild`)."""
    row = con.execute("SELECT detail FROM audit.ledger WHERE kind = 'rebuilt' ORDER BY seq LIMIT 1").fetchone()
    if row is None:
        return False
    said = json.loads(row[0])
    return [seq, digest] in [*said["releases"], said["head"]]


def _remedy(home: Home) -> str:
    return (
        f"going on would put another release in the place of {home.released_file}. "
        "From a backup: qala restore FOLDER --home NEW, which takes in all that was received before it. "
        "Without one: qala rebuild, which follows the ledger of the release and takes in again what came after. "
        f"Without either, qala run {SWITCH} makes a new warehouse from the receipts alone: frozen assessments and closed incidents are gone"
    )


def set_aside(home: Home) -> Path | None:
    """Give the release another name, so that the warehouse is gone on with as it is. Returns where it is now, if there was one."""
    if not home.release.exists():
        return None
    aside = home.release.with_name(f"release-set-aside-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}")
    home.release.replace(aside)
    return aside
