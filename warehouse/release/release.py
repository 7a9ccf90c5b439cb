"""The release: what analysts open. A read-only DuckDB file, CSV and Parquet of the values, put in place atomically.

The file is a plain copy of the checkpointed warehouse, made while the writer's lock is held: tables, views and comments are in
it, no write-ahead log lies beside it, readers of the former release keep what they opened. Of every release the ledger has: in the row
`released` the SHA-256 of its exports, in the next one, `manifest`, that of its manifest, which names the file itself.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import StoreError
from warehouse.home import keys
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.moments import at
from warehouse.release import anchors, released_copy, signing
from warehouse.release.exports import EXPORTS
from warehouse.release.parts import PartedExports
from warehouse.sql import literal, statement
from warehouse.store import write_ahead_log
from warehouse.store.ledger import EntryKind, ledger_head
from warehouse.store.recorded import lineage_gaps, lineage_gaps_by
from warehouse.store.seals import hash_of_tables, sealed_by_table
from warehouse.store.sessions import locked, opened
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.tables.file_objects import planted
from warehouse.tables.views import falsified, spelled

STATEMENT = "release.intoto.json"  # the signed manifest, where there is a signing key


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


class _Staging:
    """Files of a release under names nobody looks for yet, with their SHA-256 by final name: put in place together at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sha256: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def fresh(self, name: str) -> Path:
        """Where a file is made; what a killed run left there is gone."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        return path

    def settle(self, name: str, sha256: str | None = None) -> None:
        """Hash a file that was made, unless that was done; nobody may write it any more, and it is on the disk."""
        path = self._path(name)
        path.chmod(0o440)
        self.sha256[name] = sha256 or file_sha256(path)
        with path.open("rb") as handle:
            os.fsync(handle.fileno())

    def write(self, name: str, text: str) -> None:
        self.fresh(name).write_text(text, encoding="utf-8")
        self.settle(name)

    def put_in_place(self) -> None:
        """All files, the manifest last: until then it names files that are no longer there."""
        for name in (*(n for n in self.sha256 if n != MANIFEST), MANIFEST):
            fresh, path = self._path(name), self.folder / name
            if path.exists() and fresh.samefile(path):  # nothing in it changed, and a rename would do nothing
                fresh.unlink()
            else:
                fresh.replace(path)
            at("release.renamed")

    def _path(self, name: str) -> Path:
        return self.folder / f".{name}.new"


def publish(home: Home, missing: Callable[[Iterable[str]], Sequence[str]], run_id: str | None = None) -> Release:
    """Publish the warehouse as it is; `missing` tells which SHA-256 of deliveries the archive no longer has.

    Raises StoreError if it cannot be locked, if a value cannot be walked back to a delivery, or if the warehouse holds objects that
    qala does not make or views that are not its own: that is not published. With a signing key the manifest is signed.
    """
    staging, file = _Staging(home.release), home.released_file
    key = keys.current(home, "signing")
    with locked(home):
        write_ahead_log.refuse_log(file)
        with opened(home, run_id) as store:
            former = _former(store)
            views = _refuse_foreign(store, former)
            _refuse_gaps(store)
            broken = _lost_bytes(store, missing)
            exports = PartedExports(store, former)
            for name in EXPORTS:
                staging.settle(name, exports.write(name, staging.fresh(name)))
            parts, sealed = exports.keep_index(), sealed_by_table(store.con)
            at("release.exported")
            entry = _entry(store, broken, staging.sha256) | {
                "views": views,
                "parts": parts,
                "sealed": hash_of_tables(sealed),
            }
            seq, head, when = _enter(store, entry)
        staging.settle(file.name, released_copy.make(home, staging.fresh(file.name)))
        at("release.copied")
        anchor = anchors.Anchor.of(seq, head, when, staging.sha256[file.name], key)
        staging.write(anchors.FILE, anchor.line + "\n")
        about = _write_manifest(staging, key, {"seq": seq, "ledger_head": head, **entry, "sealed": sealed})
        at("release.manifest")
        released_copy.retire(home)
        at("release.retired")
        staging.put_in_place()
        with opened(home, run_id) as store, store.transaction():
            about[file.name] = staging.sha256[file.name]
            store.record([(EntryKind.MANIFEST, str(seq), {"sha256": about, "key": anchor.key})])
    at("release.done")
    return Release(seq, file, file.stat().st_size, entry["values"], entry["calculated"], head, broken, anchor)


def _former(store: Store) -> dict[str, Any]:
    """What the ledger says of the newest release; {} if there is none."""
    newest = store.con.execute("SELECT detail FROM audit.ledger WHERE kind = 'released' ORDER BY seq DESC LIMIT 1")
    found: dict[str, Any] = next((json.loads(detail) for (detail,) in newest.fetchall()), {})
    return found


def _refuse_foreign(store: Store, former: Mapping[str, Any]) -> str:
    """Raises StoreError if the warehouse holds what would be published in place of what the code makes, now and by every later run.

    Returns what the ledger is to say of its views: if it said the same of the former release, they were found ours then.
    """
    views, found = spelled(store.con), planted(store.con, store.tables)
    if not found and views != former.get("views"):
        found = falsified(store.con)
    if found:
        raise StoreError(
            f"not released, because {store.home.warehouse} holds what qala never made: {', '.join(found)}; restore it from a backup"
        )
    return views


def _refuse_gaps(store: Store) -> None:
    """Raises StoreError if a value cannot be walked back to a delivery."""
    if gaps := lineage_gaps(store):
        shown = "; ".join(gaps[:5]) + (f"; and {len(gaps) - 5} more" if len(gaps) > 5 else "")
        raise StoreError(
            f"not released, because these values cannot be walked back to a delivery: {shown}. "
            "See the view lineage_gaps; restore the warehouse from a backup"
        )


def _lost_bytes(store: Store, missing: Callable[[Iterable[str]], Sequence[str]]) -> tuple[str, ...]:
    """Values over rows of deliveries whose bytes the archive has lost: their source cannot be shown, yet they are published."""
    loaded = store.con.execute("SELECT DISTINCT sha256 FROM audit.delivery WHERE state = 'loaded' ORDER BY 1")
    lost = missing(row[0] for row in loaded.fetchall())
    if not lost:
        return ()
    return lineage_gaps_by(store, statement(__file__, "lost_bytes", sha256s=", ".join(map(literal, lost))))


def _entry(store: Store, broken: Sequence[str], exports: Mapping[str, str]) -> dict[str, Any]:
    """What the ledger says of a release. `exports`: file → SHA-256."""
    row = store.con.execute("SELECT count(*), count(value) FROM kpi.value WHERE valid_to_seq IS NULL").fetchone()
    assert row is not None
    return {
        "values": int(row[0]),
        "calculated": int(row[1]),
        "broken_lineage": len(broken),
        "qala": store.code_version,
        "duckdb": duckdb.__version__,
        "schema": store.fingerprint,
        "exports": dict(exports),
    }


def _enter(store: Store, entry: Mapping[str, Any]) -> tuple[int, str, dt.datetime]:
    """Enter the release in the ledger, and leave the file without a log. Returns the entry's sequence, its hash, and when."""
    with store.transaction():
        write_ahead_log.enter_notes(store)
        (seq,) = store.record([(EntryKind.RELEASED, "release", entry)])
        at("release.committing")
    at("release.committed")
    _, head = ledger_head(store.con)
    when = store.con.execute("SELECT recorded_at FROM audit.ledger WHERE seq = ?", [seq]).fetchall()[0][0]
    store.con.execute("CHECKPOINT")
    at("release.checkpointed")
    write_ahead_log.forget_notes(store.home)
    return seq, head, when


def _write_manifest(staging: _Staging, key: keys.Key | None, said: Mapping[str, Any]) -> dict[str, str]:
    """The manifest over the files made so far and, with a key, its signature. Returns both files' SHA-256."""
    files, predicate = dict(staging.sha256), {name: value for name, value in said.items() if name != "exports"}
    staging.write(MANIFEST, json.dumps({**predicate, "sha256": files}, indent=1) + "\n")
    written = [MANIFEST]
    if key:
        staging.write(STATEMENT, signing.envelope(key, staging.sha256, predicate))
        written.append(STATEMENT)
    else:
        (staging.folder / STATEMENT).unlink(missing_ok=True)
    return {name: staging.sha256[name] for name in written}
