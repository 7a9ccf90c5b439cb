"""The zero-level showcase: bytes exactly as received, found by their SHA-256, and a receipt for every delivery.

Content is stored once, compressed with zstandard; a receipt says what was declared about it. Receipts are files, so that
`qala deliver` works while a run has the warehouse open. A receipt waits in `pending/` until the run that registered
its delivery has decided on it, then moves to the folder of its month; nothing is ever deleted.
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

from warehouse.load import Receipt

__all__ = ["Archive", "ArchiveError", "Receipt"]

_BLOCK = 1 << 20


class ArchiveError(RuntimeError):
    """Archived bytes are missing or are not what their name says."""


class Archive:
    """The folder `archive/` of a home."""

    def __init__(self, root: Path):
        self.root = root
        self.pending_folder = root / "receipts" / "pending"

    def receive(
        self, file: Path, *, table: str, system: str, scope: str, period: str, declared_rows: int | None = None
    ) -> Receipt:
        """Keep a file's bytes and write its receipt. The same bytes are stored once, however often they come."""
        sha256, size = self._keep(file)
        now = dt.datetime.now(dt.UTC)
        digest = hashlib.sha256(f"{sha256} {table} {system} {scope} {period}".encode()).hexdigest()[:8]
        receipt = Receipt(
            f"{now:%Y%m%dT%H%M%S.%f}-{digest}",
            table,
            system,
            scope,
            period,
            file.name,
            sha256,
            size,
            now.isoformat(),
            declared_rows,
        )
        self.pending_folder.mkdir(parents=True, exist_ok=True)
        _write_whole(
            self.pending_folder / f"{receipt.receipt_id}.json",
            json.dumps(asdict(receipt), ensure_ascii=False, indent=1).encode(),
        )
        return receipt

    def keep(self, file: Path) -> str:
        """Keep a file's bytes without a receipt: it is no extract. Returns its SHA-256."""
        return self._keep(file)[0]

    def pending(self) -> list[Receipt]:
        """Receipts not yet decided on, in order of arrival."""
        if not self.pending_folder.exists():
            return []
        return [
            Receipt(**json.loads(p.read_text(encoding="utf-8"))) for p in sorted(self.pending_folder.glob("*.json"))
        ]

    def settle(self, receipt_id: str) -> None:
        """Put a decided receipt away; does nothing if that was done before."""
        source = self.pending_folder / f"{receipt_id}.json"
        target = self.root / "receipts" / f"{receipt_id[:4]}-{receipt_id[4:6]}" / source.name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)

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

    def _keep(self, file: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        folder = self.root / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        # hashed and packed in one pass over the bytes; the name is known only at the end
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-", delete=False) as packed:
            temporary = Path(packed.name)
            try:
                with (
                    file.open("rb") as source,
                    zstandard.ZstdCompressor(level=3).stream_writer(packed, closefd=False) as writer,
                ):
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        size += len(block)
                        writer.write(block)
                packed.flush()
                os.fsync(packed.fileno())
            except BaseException:
                temporary.unlink()
                raise
        target = self.path(digest.hexdigest())
        if target.exists():
            temporary.unlink()
        else:
            target.parent.mkdir(exist_ok=True)
            temporary.chmod(0o444)
            temporary.replace(target)
        return digest.hexdigest(), size


def _write_whole(path: Path, content: bytes) -> None:
    """Write so that a reader sees the whole file or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as handle:
        try:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        except BaseException:
            Path(handle.name).unlink()
            raise
    Path(handle.name).replace(path)
