"""Reconciliation of archive and ledger: every content, every receipt, and nothing else. Asked by `qala verify`.

Folders are listed and receipts read; the bytes themselves are read once, by Archive.damaged. Does not belong here: what is done about a
difference.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from connectors.archive.archive import Archive, ArchiveError
from connectors.corrections import Correction
from connectors.personal_data.detection import MASK
from warehouse.periods import parse_period
from warehouse.store.former_ledger import former_ledgers, rebuilt_entry
from warehouse.store.store import Store

_DELIVERIES = (
    "SELECT receipt_id, table_name, system, scope, period_id, file_name, sha256, bytes, received_at, declared_rows, state "
    "FROM audit.delivery WHERE reread_of IS NULL"
)
_CONTENTS = (
    "SELECT sha256 FROM audit.delivery UNION SELECT sha256 FROM audit.correction "
    "UNION SELECT detail->>'$.control_sha256' FROM audit.ledger WHERE kind = 'reconciled'"
)
_WITHDRAWN = "SELECT subject, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind = 'withdrawn'"
_SAID = ("table", "system", "scope", "period", "file_name", "sha256", "bytes", "received_at", "declared_rows")
_CONTENT = re.compile("[0-9a-f]{64}")
_SMALL = 1 << 20  # bytes of a correction
Difference = tuple[str, str]  # kind as verify names it (empty: a remark, no difference), message


def reconcile(store: Store, later: Store | None, *, archive: Archive) -> Iterator[Difference]:
    """What differs between the archive and the ledger of a release.

    `later`: the warehouse beside it, which knows what came since; without it nothing is called foreign, as it may be just that.
    """
    known = _KnownToLedger(store, archive)
    for text in archive.damaged(sorted(known.contents)):
        yield "BYTES", text
    since = _KnownToLedger(later, archive) if later else None
    yield from _receipts(archive, known, since)
    if since is not None:
        yield from _foreign_bytes(
            archive, known.contents | since.contents | {*known.withdrawn.values(), *since.withdrawn.values()}
        )


class _KnownToLedger:
    """What a ledger knows of the archive."""

    def __init__(self, store: Store, archive: Archive):
        self.deliveries = {str(row[0]): row[1:] for row in store.con.execute(_DELIVERIES).fetchall()}
        self.contents = {str(row[0]) for row in store.con.execute(_CONTENTS).fetchall()}
        self.withdrawn: dict[str, str] = dict(store.con.execute(_WITHDRAWN).fetchall())
        with suppress(ArchiveError):  # reported as bytes that are gone
            self.contents |= {sha256 for _, sha256, _ in former_ledgers(store.con, archive.open)}
        if newest := rebuilt_entry(store.con):
            self.contents.add(str(newest["ledger_sha256"]))


def _receipts(archive: Archive, known: _KnownToLedger, later: _KnownToLedger | None) -> Iterator[Difference]:
    found: dict[str, Path] = {}
    for path in sorted((archive.root / "receipts").glob("*/*")):
        if path.suffix != ".json":
            if path.parent.name != "damaged" and not path.name.startswith("."):
                yield "RECEIPT_FOREIGN", f"{path} is no receipt"
            continue
        if path.parent.name == "damaged":
            continue  # what it would say was never taken in
        if path.is_symlink() or not path.is_file():
            yield "RECEIPT_FOREIGN", f"{path} is a link or no file: receipts are files"
            continue
        found[path.stem] = path
    for receipt_id, entered in known.deliveries.items():
        where = found.get(receipt_id)
        if where is None:
            yield "RECEIPT_GONE", f"the receipt {receipt_id} of {entered[4]} is gone"
        elif differing := _differing(where, entered):
            yield "RECEIPT_CHANGED", f"receipt {receipt_id} says another {', '.join(differing)} than the ledger"
    if later is None:
        return
    entered_ever = {*known.deliveries, *known.withdrawn, *later.deliveries, *later.withdrawn}
    for receipt_id, path in found.items():
        if path.parent.name not in ("pending", "withdrawn") and receipt_id not in entered_ever:
            yield "RECEIPT_FOREIGN", f"receipt {receipt_id} was put away as decided on, and the ledger does not know it"


def _differing(path: Path, entered: tuple[Any, ...]) -> list[str]:
    """Names of what a receipt says otherwise than the ledger."""
    table, system, scope, period, *more, received_at, rows, _ = entered
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        given = [said.get(name) for name in _SAID]
        given[3] = parse_period(given[3]).id
        given[-2] = dt.datetime.fromisoformat(given[-2])
    except (OSError, ValueError, TypeError, AttributeError):
        return ["content (it cannot be read)"]
    name, *more = more
    if re.fullmatch(
        ".+".join(map(re.escape, str(name).split(MASK))), str(given[4])
    ):  # the ledger has it as it may be shown
        name = given[4]
    kept = (table, system, scope, period, name, *more, received_at, rows)
    return [name for name, one, other in zip(_SAID, given, kept, strict=True) if one != other]


def _foreign_bytes(archive: Archive, known: set[str]) -> Iterator[Difference]:
    # what waits is known by its receipt, or by what the inbox has reserved for it
    waiting = {one.sha256 for one in archive.pending()} | {one.receipt.sha256 for one in archive.withdrawn()}
    for note in (archive.root / "receipts" / "damaged").glob("*.json"):
        with suppress(OSError):
            waiting |= set(_CONTENT.findall(note.read_text(encoding="utf-8", errors="replace")))
    for plan in (archive.root.parent / "inbox").glob("taking/*/.receipts.json"):
        with suppress(OSError):
            waiting |= set(_CONTENT.findall(plan.read_text(encoding="utf-8", errors="replace")))
    begun = archive.begun() - known - waiting
    if begun:
        yield (
            "",
            f"{len(begun)} contents of the archive are of deliveries that were begun and never acknowledged: {', '.join(sorted(begun)[:3])}",
        )
    for path in sorted((archive.root / "sha256").glob("*/*")):
        name = path.name.partition(".")[0]
        if path.name.startswith("."):
            continue  # being written, or left by who was killed: swept away
        if path.is_symlink() or not path.is_file():
            yield "BYTES_FOREIGN", f"{path} is a link or no file: the archive keeps files"
        elif not _CONTENT.fullmatch(name) or name[:2] != path.parent.name:
            yield "BYTES_FOREIGN", f"{path} has no name that the archive gives"
        elif name not in known | waiting | begun and not _is_correction(archive, name):
            yield (
                "BYTES_FOREIGN",
                f"{path} is named by no receipt, delivery or correction; deliver its file, or take it away",
            )


def _is_correction(archive: Archive, sha256: str) -> bool:
    """Whether bytes are a correction that found no rows, so that the ledger has nothing of it."""
    try:
        with archive.open(sha256) as stream:
            content = stream.read(_SMALL)
        Correction.model_validate(yaml.safe_load(content))
    except Exception:  # it may be anything
        return False
    return hashlib.sha256(content).hexdigest() == sha256
