"""The zero-level showcase: bytes exactly as received, found by their SHA-256, and a receipt for every delivery.

Content is stored once, compressed with zstandard; a receipt says what was declared about it. Receipts are files, so that
`qala deliver` works while a run has the warehouse open. A receipt waits in `pending/` until the run that registered
its delivery has decided on it, then moves to the folder of its month; one that is taken back before moves to `withdrawn/`, and
when the ledger has that, to the folder of its month too. Nothing is ever deleted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import zstandard

from connectors import receipts
from connectors.files import free, sweep, write_whole
from warehouse.leftovers import hold
from warehouse.load import Receipt
from warehouse.moments import at

__all__ = ["Archive", "ArchiveError", "Receipt"]

_BLOCK = 1 << 20


class ArchiveError(RuntimeError):
    """Archived bytes are missing or are not what their name says."""


class Archive:
    """The folder `archive/` of a home."""

    def __init__(self, root: Path):
        self.root = root
        self.pending_folder = root / "receipts" / "pending"
        self.withdrawn_folder = root / "receipts" / "withdrawn"
        self._swept = False

    def receive(
        self, file: Path, *, table: str, system: str, scope: str, period: str, declared_rows: int | None = None
    ) -> Receipt:
        """Keep a file's bytes and write its receipt. The same bytes are stored once, however often they come."""
        receipt = self.reserve(
            file, table=table, system=system, scope=scope, period=period, declared_rows=declared_rows
        )
        self.enter(receipt)
        return receipt

    def reserve(
        self, file: Path, *, table: str, system: str, scope: str, period: str, declared_rows: int | None = None
    ) -> Receipt:
        """Keep a file's bytes and give the delivery its number; nothing is delivered until `enter`."""
        sha256, size = self._keep(file)
        digest = hashlib.sha256(f"{sha256} {table} {system} {scope} {period}".encode()).hexdigest()[:8]
        now = dt.datetime.now(dt.UTC)
        number = f"{receipts.next_moment(self.root / 'receipts', now)}-{digest}"
        at("receipt.numbered")
        return Receipt(number, table, system, scope, period, file.name, sha256, size, now.isoformat(), declared_rows)

    def enter(self, receipt: Receipt) -> None:
        """Write a receipt, unless that was done before: then whoever began it and was stopped has come as far as this."""
        if receipts.place_of(self.root / "receipts", receipt.receipt_id) is None:
            self.pending_folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(asdict(receipt), ensure_ascii=False, indent=1).encode()
            write_whole(self.pending_folder / f"{receipt.receipt_id}.json", content)

    def keep(self, file: Path) -> str:
        """Keep a file's bytes without a receipt: it is no extract. Returns its SHA-256."""
        return self._keep(file)[0]

    def pending(self) -> list[Receipt]:
        """Receipts not yet decided on, in order of arrival. Those that cannot be read are left out: see `set_aside`."""
        return [found for _, found in receipts.waiting(self.pending_folder) if isinstance(found, Receipt)]

    def set_aside(self) -> list[str]:
        """Move pending receipts that cannot be read to `damaged/`, each with the reason beside it. Returns what to tell."""
        told = []
        for path, found in receipts.waiting(self.pending_folder):
            if isinstance(found, Receipt):
                continue
            target = free(self.root / "receipts" / "damaged" / path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            reason = (
                f"{path.name}: {found}; put aside as {target}: deliver its file again, or put a mended receipt back"
            )
            write_whole(target.with_suffix(".reason.txt"), f"{reason}\n".encode())
            told.append(reason)
        return told

    def settle(self, receipt_id: str) -> None:
        """Put a decided receipt away; does nothing if that was done before."""
        self._put_away(self.pending_folder / f"{receipt_id}.json")

    def withdraw(self, receipt_id: str, who: str, reason: str) -> Receipt:
        """Take back a receipt that is not yet decided on: the next run enters that, and loads nothing of it. Raises ArchiveError."""
        if not who.strip() or not reason.strip():
            raise ArchiveError("say who takes the receipt back and why: --by NAME --reason TEXT")
        known = {r.receipt_id: r for r in self.pending()}
        if receipt_id not in known:
            raise ArchiveError(receipts.why_not(self.root / "receipts", receipt_id, list(known)))
        source, target = (folder / f"{receipt_id}.json" for folder in (self.pending_folder, self.withdrawn_folder))
        self.withdrawn_folder.mkdir(parents=True, exist_ok=True)
        note = {"by": who.strip(), "reason": reason.strip(), "at": dt.datetime.now(dt.UTC).isoformat()}
        content = json.loads(source.read_text(encoding="utf-8")) | {receipts.NOTE: note}
        write_whole(target, json.dumps(content, ensure_ascii=False, indent=1).encode())
        at("withdrawal.noted")
        source.unlink()
        return known[receipt_id]

    def withdrawn(self) -> list[receipts.Withdrawn]:
        """Receipts that were taken back and are not yet entered in the ledger."""
        return receipts.withdrawn(self.withdrawn_folder)

    def withdrawal_entered(self, receipt_id: str) -> None:
        """Put a receipt away whose withdrawal is in the ledger."""
        # who took it back may have been stopped before this: it would be loaded, against what the ledger says
        (self.pending_folder / f"{receipt_id}.json").unlink(missing_ok=True)
        self._put_away(self.withdrawn_folder / f"{receipt_id}.json")

    def _put_away(self, source: Path) -> None:
        target = self.root / "receipts" / f"{source.name[:4]}-{source.name[4:6]}" / source.name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            at("receipt.settling")
            source.replace(target)
            at("receipt.settled")

    def wait_again(self) -> int:
        """Have every receipt ever decided on wait again, in its order of arrival: the warehouse that knew them is gone. Returns how many there are."""
        decided = sorted((self.root / "receipts").glob("[0-9]*-[0-9]*/*.json"))
        self.pending_folder.mkdir(parents=True, exist_ok=True)
        for receipt in decided:
            receipt.replace(self.pending_folder / receipt.name)
        return len(decided)

    def path(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / f"{sha256}.zst"

    @contextmanager
    def open(self, sha256: str) -> Iterator[BinaryIO]:
        """The archived bytes as a stream. Raises ArchiveError if they are gone or can no longer be unpacked."""
        path = self.path(sha256)
        if not path.exists():
            raise ArchiveError(
                f"archive has no content {sha256}; restore {path} from a backup or have the file delivered again"
            )
        try:
            with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed, closefd=False) as stream:
                yield stream
        except zstandard.ZstdError as error:
            raise ArchiveError(
                f"archived content {sha256} has changed on disk ({error}); restore {path} from a backup"
            ) from error

    def missing(self, contents: Iterable[str]) -> list[str]:
        """Those of the SHA-256 of which the archive holds nothing; the bytes themselves are read by `damaged`."""
        wanted = list(contents)
        # folders are listed: asked for one by one, five years of a country's files would take many seconds
        folders = {self.path(prefix).parent for prefix in {sha256[:2] for sha256 in wanted}}
        held = {file.name for folder in folders if folder.exists() for file in folder.iterdir()}
        return [sha256 for sha256 in wanted if f"{sha256}.zst" not in held]

    def damaged(self, contents: Iterable[str]) -> list[str]:
        """What is wrong with the archived bytes of these SHA-256: gone, not to be unpacked, or other bytes than the name says."""
        found = []
        for sha256 in contents:
            try:
                with self.open(sha256) as stream:
                    digest = hashlib.sha256()
                    while block := stream.read(_BLOCK):
                        digest.update(block)
                if digest.hexdigest() != sha256:
                    found.append(
                        f"{self.path(sha256)} holds other bytes than were received: their SHA-256 is {digest.hexdigest()}"
                    )
            except ArchiveError as error:
                found.append(str(error))
        return found

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        sweep(self.root / "sha256", ".incoming-*")
        for folder in (self.pending_folder, self.withdrawn_folder, self.pending_folder.parent / "damaged"):
            sweep(folder, ".tmp*")

    def _keep(self, file: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        folder = self.root / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self.sweep()
            self._swept = True
        # hashed and packed in one pass over the bytes; the name is known only at the end
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-", delete=False) as packed:
            temporary = Path(packed.name)
            hold(packed.fileno())
            try:
                at("archive.begun")
                with (
                    file.open("rb") as source,
                    zstandard.ZstdCompressor(level=3).stream_writer(packed, closefd=False) as writer,
                ):
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        size += len(block)
                        writer.write(block)
                packed.flush()
                at("archive.written")
                os.fsync(packed.fileno())
            except BaseException:
                temporary.unlink()
                raise
        at("archive.synced")
        target = self.path(digest.hexdigest())
        if target.exists():
            temporary.unlink()
        else:
            target.parent.mkdir(exist_ok=True)
            temporary.chmod(0o444)
            temporary.replace(target)
        at("archive.kept")
        return digest.hexdigest(), size
