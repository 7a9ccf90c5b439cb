"""The release: what analysts open. A read-only DuckDB file, CSV and Parquet of the values, put in place atomically.

The file is a plain copy of the checkpointed warehouse, made while the writer's lock is held: tables, views and comments are in
it, no write-ahead log lies beside it, readers of the former release keep what they opened. Of every release the ledger has: in the row
`released` the SHA-256 of its exports, in the next one, `manifest`, that of its manifest, which names the file itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.errors import StoreError
from warehouse.home import keys
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.moments import at
from warehouse.release import anchors
from warehouse.sql import literal
from warehouse.store import write_ahead_log
from warehouse.store.ledger import EntryKind, ledger_head
from warehouse.store.recorded import lineage_gaps, lineage_gaps_by
from warehouse.store.sessions import locked, opened
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.tables.views import falsified

STATEMENT = "release.intoto.json"  # the signed manifest, where there is a signing key

# file name: what it holds; everything but the DuckDB file itself may be made public
EXPORTS = {
    "kpi_values.csv": "FROM public_values ORDER BY kpi_code, kato, period_start, period_id",
    "kpi_values.parquet": "FROM public_values ORDER BY kpi_code, kato, period_start, period_id",
    "kpi_rollups.csv": "FROM rollups WHERE sensitivity <> 'restricted' ORDER BY kpi_code, area_kind, area, period_start, period_id",
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
    anchor: anchors.Anchor  # to print or to mail


def publish(home: Home, missing: Callable[[Iterable[str]], Sequence[str]], run_id: str | None = None) -> Release:
    """Publish the warehouse as it stands; `missing` tells which SHA-256 of deliveries the archive no longer has.

    Raises StoreError if it cannot be locked, if a value cannot be walked back to a delivery, or if the warehouse holds objects that
    qala does not make or views that are not its own: that is not published. With a signing key the manifest is signed.
    """
    folder = home.release
    folder.mkdir(parents=True, exist_ok=True)
    key = keys.current(home, "signing")
    with locked(home):
        write_ahead_log.refuse_log(home.released_file)
        with opened(home, run_id) as store:
            _refuse_foreign(store)
            row = store.con.execute(
                "SELECT count(*), count(value) FROM kpi.value WHERE valid_to_seq IS NULL"
            ).fetchone()
            assert row is not None
            gaps = lineage_gaps(store)
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
            broken = lineage_gaps_by(store, _BYTES_LOST.format(lost=", ".join(map(literal, lost)))) if lost else ()
            staged = [_fresh(folder, name) for name in EXPORTS]
            for path in staged:  # under a name nobody looks for yet
                export(store.con, _final(path), path)
            hashes = {_final(path): _settled(path) for path in staged}
            at("release.exported")
            entry = {
                "values": row[0],
                "calculated": row[1],
                "broken_lineage": len(broken),
                "qala": store.code_version,
                "duckdb": duckdb.__version__,
                "schema": store.fingerprint,
                "exports": dict(hashes),
            }
            with store.transaction():
                write_ahead_log.enter_notes(store)
                (seq,) = store.record([(EntryKind.RELEASED, "release", entry)])
                at("release.committing")
            at("release.committed")
            _, head = ledger_head(store.con)
            when = store.con.execute("SELECT recorded_at FROM audit.ledger WHERE seq = ?", [seq]).fetchall()[0][0]
            store.con.execute("CHECKPOINT")
            at("release.checkpointed")
            write_ahead_log.forget_notes(home)
        whole = _fresh(folder, home.released_file.name)
        copied(home.warehouse, whole)
        hashes[home.released_file.name] = _settled(whole)
        at("release.copied")
        anchor = anchors.Anchor.of(seq, head, when, hashes[home.released_file.name], key)
        entry.pop("exports")
        manifest = {"seq": seq, "ledger_head": head, **entry, "sha256": hashes}
        staged += [whole, _written(folder, anchors.FILE, anchor.line + "\n")]
        hashes[anchors.FILE] = _settled(staged[-1])
        last = [_written(folder, MANIFEST, json.dumps(manifest, indent=1) + "\n")]
        about = {MANIFEST: _settled(last[0])}
        if key:
            from warehouse.release import signing

            predicate = {name: manifest[name] for name in manifest if name != "sha256"}
            last.insert(0, _written(folder, STATEMENT, signing.envelope(key, {**hashes, **about}, predicate)))
            about[STATEMENT] = _settled(last[0])
        else:
            (folder / STATEMENT).unlink(missing_ok=True)
        at("release.manifest")
        for path in (*staged, *last):  # the manifest last: until then it tells of files that are no longer there
            path.replace(folder / _final(path))
            at("release.renamed")
        with opened(home, run_id) as store, store.transaction():
            about[home.released_file.name] = hashes[home.released_file.name]
            store.record([(EntryKind.MANIFEST, str(seq), {"sha256": about, "key": anchor.key})])
    at("release.done")
    return Release(
        seq, home.released_file, home.released_file.stat().st_size, int(row[0]), int(row[1]), head, broken, anchor
    )


def _refuse_foreign(store: Store) -> None:
    """What would be published in place of what the code says, and be published again by every later run."""
    from warehouse.tables.file_objects import planted

    if found := planted(store.con, store.tables) or falsified(store.con):
        raise StoreError(
            f"not released, because {store.home.warehouse} holds what qala never made: {', '.join(found)}; restore it from a backup"
        )


def export(con: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    """Write one of EXPORTS, for those who do not open DuckDB, by the views that the connection finds first."""
    con.execute(f"COPY ({EXPORTS[name]}) TO {literal(str(path))} ({FORMATS[Path(name).suffix]})")


def _fresh(folder: Path, name: str) -> Path:
    path = folder / f".{name}.new"
    path.unlink(missing_ok=True)
    return path


def _final(path: Path) -> str:
    return path.name.removeprefix(".").removesuffix(".new")


def _written(folder: Path, name: str, text: str) -> Path:
    path = _fresh(folder, name)
    path.write_text(text, encoding="utf-8")
    return path


# values over rows of deliveries whose bytes are gone: still computed from the warehouse, but their source cannot be shown
_BYTES_LOST = """
WITH lost AS (SELECT delivery_id FROM audit.delivery WHERE sha256 IN ({lost})),
places AS (SELECT DISTINCT table_name, kato FROM row_origins SEMI JOIN lost USING (delivery_id))
SELECT DISTINCT v.kpi_code, v.kato, v.period_id, 'the archive has lost bytes of ' || o.table_name
FROM kpi.value v JOIN registry.kpi_source s ON (s.code, s.version) = (v.kpi_code, v.definition_version)
JOIN places o ON (o.table_name, o.kato) = (s.table_name, v.kato)
WHERE v.valid_to_seq IS NULL AND v.value IS NOT NULL"""


def _settled(path: Path) -> str:
    """Its SHA-256; nobody may write it any more, and it is on the disk."""
    path.chmod(0o440)
    digest = file_sha256(path)
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    return digest
