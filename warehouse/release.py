"""The release: what analysts open. A read-only DuckDB file, CSV and Parquet of the values, put in place atomically.

The file is a plain copy of the checkpointed warehouse, made while the writer's lock is held: tables, views and comments are in
it, no write-ahead log lies beside it, readers of the former release keep what they opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.sql import literal
from warehouse.store import Home, ledger_head, locked, opened

# file name: what it holds; everything but the DuckDB file itself may be made public
EXPORTS = {
    "kpi_values.csv": "FROM public_values ORDER BY kpi_code, kato, period_start",
    "kpi_values.parquet": "FROM public_values ORDER BY kpi_code, kato, period_start",
    "kpi_rollups.csv": "FROM rollups WHERE sensitivity <> 'restricted' ORDER BY kpi_code, area_kind, area, period_start",
    "scorecard.csv": "FROM scorecard ORDER BY year, catalogue_id, item7_group, rank NULLS LAST, kato",
    "data_passport.csv": "FROM registry.data_passport ORDER BY id",
    "case_passports.csv": "FROM registry.case_passport ORDER BY code, version",
}
FORMATS = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet, COMPRESSION zstd"}
MANIFEST = "release.json"


@dataclass(frozen=True)
class Release:
    """One publication."""

    seq: int  # ledger sequence of the release: its number
    file: Path
    bytes: int
    values: int  # current KPI cells in it
    calculated: int  # of these with a value
    head: str  # hash of the ledger's newest row: anchor it outside


def publish(home: Home, run_id: str | None = None) -> Release:
    """Publish the warehouse as it stands. Raises StoreError if it cannot be locked."""
    folder = home.release
    folder.mkdir(parents=True, exist_ok=True)
    with locked(home):
        with opened(home, run_id) as store:
            row = store.con.execute(
                "SELECT count(*), count(value) FROM kpi.value WHERE valid_to_seq IS NULL"
            ).fetchone()
            assert row is not None
            with store.transaction():
                (seq,) = store.record([("released", "release", {"values": row[0], "calculated": row[1]})])
            _, head = ledger_head(store.con)
            store.con.execute("CHECKPOINT")
        fresh = folder / f".{home.released_file.name}.new"
        fresh.unlink(missing_ok=True)
        shutil.copyfile(home.warehouse, fresh)
    staged = [fresh]
    con = duckdb.connect(str(fresh), read_only=True)
    try:
        for name, what in EXPORTS.items():
            target = folder / f".{name}.new"
            target.unlink(missing_ok=True)
            con.execute(f"COPY ({what}) TO {literal(str(target))} ({FORMATS[Path(name).suffix]})")
            staged.append(target)
    finally:
        con.close()
    size = fresh.stat().st_size
    manifest = folder / f".{MANIFEST}.new"
    hashes = {p.name.removeprefix(".").removesuffix(".new"): file_sha256(p) for p in staged}
    manifest.write_text(
        json.dumps(
            {"seq": seq, "ledger_head": head, "values": row[0], "calculated": row[1], "sha256": hashes}, indent=1
        )
        + "\n"
    )
    for path in (*staged, manifest):
        path.chmod(0o444)
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        path.replace(folder / path.name.removeprefix(".").removesuffix(".new"))
    return Release(seq, home.released_file, size, int(row[0]), int(row[1]), head)


def file_sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
