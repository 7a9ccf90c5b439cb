"""What a home's folders say, in numbers. All of it is looked at anew each time, and the warehouse is not opened.

The archive may hold a million files: a folder of it that was not changed since is not listed again. Does not belong here: sources (of_sources.py).
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from connectors.archive import receipts
from connectors.receiving.manifest import MANIFEST as DROP
from pipelines.metrics.described import Sample, bounded
from warehouse.home.home import Home
from warehouse.home.last_done import noted
from warehouse.loading.deliveries import Receipt
from warehouse.periods import parse_period


def measured(home: Home, archive: ArchiveSize) -> Iterator[Sample]:
    yield from _receipts(home)
    yield from _sizes(home, archive)
    yield from _last_done(home)


def _receipts(home: Home) -> Iterator[Sample]:
    folder = home.archive / "receipts"
    found = [one for _, one in receipts.waiting(folder / "pending")]
    waiting = [one for one in found if isinstance(one, Receipt)]
    tables = Counter(one.table for one in waiting)
    by_label = Counter[str]()
    for table, label in bounded(tables.items()).items():
        by_label[label] += tables[table]
    yield from (("qala_receipts_waiting", (label,), count) for label, count in by_label.items())
    if waiting:
        oldest = min(dt.datetime.fromisoformat(one.received_at) for one in waiting)
        yield "qala_receipts_waiting_oldest_timestamp_seconds", (), oldest.timestamp()
    yield "qala_receipts_waiting_months", (), len({parse_period(one.period).closing_month for one in waiting})
    damaged = len(found) - len(waiting) + len(list((folder / "damaged").glob("[!.]*.json")))
    yield "qala_receipts_unreadable", (), damaged
    yield "qala_inbox_manifests_waiting", (), len(list(home.inbox.glob(f"*{DROP}")))
    yield "qala_inbox_drops_refused", (), len(list((home.inbox / "refused").glob("*/")))


def _sizes(home: Home, archive: ArchiveSize) -> Iterator[Sample]:
    written = [p for p in (home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal")) if p.exists()]
    yield "qala_warehouse_bytes", (), sum(path.stat().st_size for path in written)
    if written:
        yield "qala_warehouse_modified_timestamp_seconds", (), max(path.stat().st_mtime for path in written)
    yield "qala_release_bytes", (), sum(p.stat().st_size for p in home.release.rglob("*") if p.is_file())
    files, size = archive.measured(home.archive / "sha256")
    yield "qala_archive_files", (), files
    yield "qala_archive_bytes", (), size
    disk = shutil.disk_usage(home.root)
    yield "qala_disk_free_bytes", (), disk.free
    yield "qala_disk_size_bytes", (), disk.total


class ArchiveSize:
    """Files and bytes of the archive, remembered by folder: content is put in or replaced, which changes the folder, and never written again."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int, int]] = {}

    def measured(self, root: Path) -> tuple[int, int]:
        if not root.is_dir():
            return 0, 0
        folders = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir()]
        found = {folder: self._of(folder) for folder in folders}
        self._known = found
        return sum(files for _, files, _ in found.values()), sum(size for _, _, size in found.values())

    def _of(self, folder: Path) -> tuple[int, int, int]:
        changed = folder.stat().st_mtime_ns
        known = self._known.get(folder)
        if known and known[0] == changed:
            return known
        sizes = [entry.stat().st_size for entry in os.scandir(folder) if not entry.name.startswith(".")]
        return changed, len(sizes), sum(sizes)


def _last_done(home: Home) -> Iterator[Sample]:
    for what, command in (("verified", "verify"), ("backed-up", "backup")):
        told = noted(home, what)
        if told:
            yield f"qala_{command}_timestamp_seconds", (), told.pop("at").timestamp()
        yield from ((f"qala_{command}_{name}", (), value) for name, value in told.items())
