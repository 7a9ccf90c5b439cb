"""The release: what analysts open. A read-only DuckDB file, CSV and Parquet of the values, put in place atomically.

The file is a plain copy of the checkpointed warehouse, made while the writer's lock is held: tables, views and comments are in
it, no write-ahead log lies beside it, readers of the former release keep what they opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.moments import at
from warehouse.sql import literal
from warehouse.store import Home, Store, StoreError, ledger_head, locked, opened
from warehouse.succession import MANIFEST

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


@dataclass(frozen=True)
class Release:
    """One publication."""

    seq: int  # ledger sequence of the release: its number
    file: Path
    bytes: int
    values: int  # current KPI cells in it
    calculated: int  # of these with a value
    head: str  # hash of the ledger's newest row: anchor it outside
    broken: tuple[str, ...]  # published values whose way back to archived bytes is broken, with the gap


def publish(home: Home, missing: Callable[[Iterable[str]], Sequence[str]], run_id: str | None = None) -> Release:
    """Publish the warehouse as it stands; `missing` tells which SHA-256 of deliveries the archive no longer has.

    Raises StoreError if it cannot be locked, or if a value cannot be walked back to a delivery: that is not published.
    """
    folder = home.release
    folder.mkdir(parents=True, exist_ok=True)
    with locked(home):
        with opened(home, run_id) as store:
            row = store.con.execute(
                "SELECT count(*), count(value) FROM kpi.value WHERE valid_to_seq IS NULL"
            ).fetchone()
            assert row is not None
            gaps = _gaps(store, "SELECT kpi_code, kato, period_id, gap FROM lineage_gaps")
            if gaps:
                shown = "; ".join(gaps[:5]) + (f"; and {len(gaps) - 5} more" if len(gaps) > 5 else "")
                raise StoreError(
                    f"not released, because these values cannot be walked back to a delivery: {shown}. "
                    "See the view lineage_gaps; restore the warehouse from a backup"
                )
            loaded = store.con.execute(
                "SELECT DISTINCT sha256 FROM audit.delivery WHERE state = 'loaded' ORDER BY 1"
            ).fetchall()
            lost = missing(row[0] for row in loaded)
            broken = _gaps(store, _BYTES_LOST.format(lost=", ".join(map(literal, lost)))) if lost else ()
            with store.transaction():
                entry = {
                    "values": row[0],
                    "calculated": row[1],
                    "broken_lineage": len(broken),
                    "qala": store.code_version,
                }
                (seq,) = store.record([("released", "release", entry)])
                at("release.committing")
            at("release.committed")
            _, head = ledger_head(store.con)
            store.con.execute("CHECKPOINT")
        at("release.checkpointed")
        fresh = folder / f".{home.released_file.name}.new"
        fresh.unlink(missing_ok=True)
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(_copied, home.warehouse, fresh)  # the large file, while the small ones are written
            staged = _export(home.warehouse, folder)
            at("release.exported")
            digests = [whole.result(), *map(_settled, staged)]
        at("release.copied")
    staged = [fresh, *staged]
    size = fresh.stat().st_size
    manifest = folder / f".{MANIFEST}.new"
    hashes = {p.name.removeprefix(".").removesuffix(".new"): digest for p, digest in zip(staged, digests, strict=True)}
    manifest.unlink(missing_ok=True)  # whoever was stopped here left one that cannot be written any more
    manifest.write_text(json.dumps({"seq": seq, "ledger_head": head, **entry, "sha256": hashes}, indent=1) + "\n")
    _settled(manifest)
    at("release.manifest")
    for path in (*staged, manifest):
        path.replace(folder / path.name.removeprefix(".").removesuffix(".new"))
        at("release.renamed")
    at("release.done")
    return Release(seq, home.released_file, size, int(row[0]), int(row[1]), head, broken)


def _export(warehouse: Path, folder: Path) -> list[Path]:
    """Write the values for those who do not open DuckDB, under names nobody looks for yet."""
    staged = []
    con = duckdb.connect(str(warehouse), read_only=True)
    try:
        for name, what in EXPORTS.items():
            staged.append(folder / f".{name}.new")
            staged[-1].unlink(missing_ok=True)
            con.execute(f"COPY ({what}) TO {literal(str(staged[-1]))} ({FORMATS[Path(name).suffix]})")
    finally:
        con.close()
    return staged


def _copied(source: Path, target: Path) -> str:
    """SHA-256 of a copy that shares its blocks with the source until either changes, where the file system can (XFS, Btrfs): done in no time."""
    try:
        with source.open("rb") as held, target.open("wb") as made:
            while os.copy_file_range(held.fileno(), made.fileno(), 1 << 40):
                pass
    except (AttributeError, OSError):  # not Linux, or a file system that does not know the call
        shutil.copyfile(source, target)
    return _settled(target)


# values over rows of deliveries whose bytes are gone: still computed from the warehouse, but their source cannot be shown
_BYTES_LOST = """
WITH lost AS (SELECT delivery_id FROM audit.delivery WHERE sha256 IN ({lost})),
places AS (SELECT DISTINCT table_name, kato FROM row_origins SEMI JOIN lost USING (delivery_id))
SELECT DISTINCT v.kpi_code, v.kato, v.period_id, 'the archive has lost bytes of ' || o.table_name
FROM kpi.value v JOIN registry.kpi_source s ON (s.code, s.version) = (v.kpi_code, v.definition_version)
JOIN places o ON (o.table_name, o.kato) = (s.table_name, v.kato)
WHERE v.valid_to_seq IS NULL AND v.value IS NOT NULL"""


def _gaps(store: Store, sql: str) -> tuple[str, ...]:
    return tuple(
        f"{code} {kato} {period}: {gap}"
        for code, kato, period, gap in store.con.execute(f"{sql} ORDER BY ALL").fetchall()
    )


def _settled(path: Path) -> str:
    """Its SHA-256; nobody may write it any more, and it is on the disk."""
    path.chmod(0o444)
    digest = file_sha256(path)
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    return digest


def file_sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
