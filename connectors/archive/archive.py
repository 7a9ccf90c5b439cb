"""The zero-level showcase: bytes exactly as received, found by their SHA-256, and a receipt for every delivery.

Content is stored once, compressed with zstandard, and encrypted where it is handed in with a key (encryption.py; whether it is: deliver.py).
A receipt says what was declared about it. Receipts are files, so that `qala deliver` works while a run has the warehouse open. A receipt
waits in `pending/` until the run that registered its delivery has decided on it, then moves to the folder of its month; one that is taken
back before moves to `withdrawn/`, and when the ledger has that, to the folder of its month too. Nothing is ever deleted.
Does not belong here: what may be delivered (receiving/), formats and encodings (readers/).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from connectors.archive import encryption, receipts
from connectors.archive.atomic_files import free, put_in_place, sweep, write_whole
from warehouse.home.account import ACCOUNT, account
from warehouse.home.home import Home
from warehouse.home.keys import Key, MissingKeyError, by_id
from warehouse.home.scratch import hold
from warehouse.loading.deliveries import Receipt
from warehouse.messages.messages import MessageError
from warehouse.moments import at

__all__ = ["Archive", "ArchiveError", "Receipt"]

_BLOCK = 1 << 20
_PLAIN, _ENCRYPTED = ".zst", ".zst.enc"
_BEGUN = ".begun-"  # before the SHA-256 of content whose receipt is not written yet
_CLEARING = ".clearing-"  # before the SHA-256 of content whose copy in the clear is to go
_MODE = 0o440  # of content: nobody may write it


class ArchiveError(RuntimeError):
    """Archived bytes are missing or are not what their name says."""


class ContentError(MessageError, ArchiveError):
    """Archived bytes that are gone or can no longer be read: what a refusal records of it is a message."""


class Archive:
    """The folder `archive/` of a home."""

    def __init__(self, root: Path):
        self.root, self.home = root, Home(root.parent)
        self.pending_folder = root / "receipts" / "pending"
        self.withdrawn_folder = root / "receipts" / "withdrawn"
        self._swept = False

    def receive(
        self,
        file: Path,
        *,
        table: str,
        system: str,
        scope: str,
        period: str,
        declared_rows: int | None = None,
        key: Key | None = None,
        pulled: dict[str, Any] | None = None,
    ) -> Receipt:
        """Keep a file's bytes, encrypted with `key` if there is one, and write its receipt. The same bytes are stored once, however often they come."""
        receipt = self.reserve(
            file, table=table, system=system, scope=scope, period=period, declared_rows=declared_rows, key=key
        )
        receipt = replace(receipt, pulled=pulled)
        self.enter(receipt)
        return receipt

    def reserve(
        self,
        file: Path,
        *,
        table: str,
        system: str,
        scope: str,
        period: str,
        declared_rows: int | None = None,
        key: Key | None = None,
    ) -> Receipt:
        """Keep a file's bytes and give the delivery its number; nothing is delivered until `enter`."""
        sha256, size = self._keep(file, key)
        digest = hashlib.sha256(f"{sha256} {table} {system} {scope} {period}".encode()).hexdigest()[:8]
        now = dt.datetime.now(dt.UTC)
        number = f"{receipts.next_moment(self.root / 'receipts', now)}-{digest}"
        at("receipt.numbered")
        return Receipt(number, table, system, scope, period, file.name, sha256, size, now.isoformat(), declared_rows)

    def enter(self, receipt: Receipt) -> None:
        """Write a receipt, unless a process that was stopped later has written it already."""
        if receipts.place_of(self.root / "receipts", receipt.receipt_id) is None:
            self.pending_folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(asdict(receipt), ensure_ascii=False, indent=1).encode()
            write_whole(self.pending_folder / f"{receipt.receipt_id}.json", content)
        self._note(receipt.sha256).unlink(missing_ok=True)

    def keep(self, file: Path) -> str:
        """Keep a file's bytes without a receipt: it is no extract. Returns its SHA-256."""
        sha256 = self._keep(file)[0]
        self._note(sha256).unlink(missing_ok=True)
        return sha256

    def pending(self) -> list[Receipt]:
        """Receipts not yet decided on, in order of arrival. Those that cannot be read are left out: see `set_aside`."""
        return [found for _, found in receipts.waiting(self.pending_folder) if isinstance(found, Receipt)]

    def set_aside(self) -> list[str]:
        """Move pending receipts that cannot be read to `damaged/`, each with a file of the reason. Returns the reasons."""
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
        note = {
            "by": who.strip(),
            "reason": reason.strip(),
            "at": dt.datetime.now(dt.UTC).isoformat(),
            ACCOUNT: account(),
        }
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
        # the process that took it back may have been stopped before this: it would be loaded, against what the ledger says
        (self.pending_folder / f"{receipt_id}.json").unlink(missing_ok=True)
        self._put_away(self.withdrawn_folder / f"{receipt_id}.json")

    def _put_away(self, source: Path) -> None:
        target = self.root / "receipts" / f"{source.name[:4]}-{source.name[4:6]}" / source.name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            at("receipt.settling")
            source.replace(target)
            at("receipt.settled")

    def wait_again(self, but: Collection[str] = ()) -> int:
        """Have every receipt ever decided on wait again, in its order of arrival: the warehouse that knew them is gone. Returns how many there are.

        `but`: ids of those that a warehouse still knows.
        """
        decided = sorted(p for p in (self.root / "receipts").glob("[0-9]*-[0-9]*/*.json") if p.stem not in but)
        for folder in (self.pending_folder, self.withdrawn_folder):
            folder.mkdir(parents=True, exist_ok=True)
        for receipt in decided:  # one that was taken back is entered as that again, and not loaded
            receipt.replace(
                (self.withdrawn_folder if receipts.taken_back(receipt) else self.pending_folder) / receipt.name
            )
        return len(decided)

    def path(self, sha256: str) -> Path:
        """Where content is, encrypted or not; if it is not there, where it would be."""
        encrypted = self._path(sha256, _ENCRYPTED)
        return encrypted if encrypted.exists() else self._path(sha256, _PLAIN)

    def encrypted(self, sha256: str) -> bool:
        """Whether content is there and is encrypted."""
        return self._path(sha256, _ENCRYPTED).exists()

    def _path(self, sha256: str, suffix: str) -> Path:
        return self.root / "sha256" / sha256[:2] / f"{sha256}{suffix}"

    @contextmanager
    def open(self, sha256: str) -> Iterator[BinaryIO]:
        """The archived bytes as a stream. Raises ArchiveError if they are gone or can no longer be unpacked, MissingKeyError if their key is."""
        path = self.path(sha256)
        if not path.exists():
            raise ContentError("refusal.archived_bytes_gone", sha256=sha256, path=str(path))
        try:
            with path.open("rb") as file:
                packed = (
                    encryption.Decrypting(file, self._key, sha256) if path == self._path(sha256, _ENCRYPTED) else file
                )
                with zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, packed), closefd=False) as stream:
                    yield stream
        except (zstandard.ZstdError, encryption.SealError) as error:
            raise ContentError(
                "refusal.archived_bytes_unreadable", sha256=sha256, path=str(path), error=str(error)
            ) from error
        except MissingKeyError as error:
            raise MissingKeyError(f"archived content {sha256} is encrypted: {error}") from None

    def _key(self, key_id: str) -> Key:
        return by_id(self.home, "archive", key_id)

    def missing(self, contents: Iterable[str]) -> list[str]:
        """Those of the SHA-256 of which the archive holds nothing; the bytes themselves are read by `damaged`."""
        wanted = list(contents)
        # folders are listed: asked for one by one, five years of a country's files would take many seconds
        folders = {self.path(prefix).parent for prefix in {sha256[:2] for sha256 in wanted}}
        held = {file.name for folder in folders if folder.exists() for file in folder.iterdir()}
        return [sha256 for sha256 in wanted if held.isdisjoint((f"{sha256}{_PLAIN}", f"{sha256}{_ENCRYPTED}"))]

    def damaged(self, contents: Iterable[str]) -> list[str]:
        """What is wrong with the archived bytes of these SHA-256: gone, not to be unpacked or decrypted, or other bytes than the name says."""
        return [told for sha256 in contents if (told := self._wrong(sha256))]

    def _wrong(self, sha256: str) -> str:
        try:
            with self.open(sha256) as stream:
                digest = hashlib.sha256()
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except (ArchiveError, MissingKeyError) as error:
            return str(error)
        if digest.hexdigest() != sha256:
            return f"{self.path(sha256)} holds other bytes than were received: their SHA-256 is {digest.hexdigest()}"
        return ""

    def contents(self) -> list[tuple[str, str | None]]:
        """Of everything archived its SHA-256, and the id of the key it is encrypted with, None in the clear, "" if its head cannot be read."""
        found: dict[str, str | None] = {}
        for path in sorted((self.root / "sha256").glob("??/*.zst*")):
            sha256 = path.name.partition(".")[0]
            if path.name.endswith(_PLAIN):
                found.setdefault(sha256, None)
                continue
            try:
                with path.open("rb") as file:
                    found[sha256] = encryption.key_id(file)
            except encryption.SealError:
                found[sha256] = ""
        return list(found.items())

    def encrypt(self, sha256: str, key: Key) -> None:
        """Encrypt content with a key, in place of its copy in the clear or of another key. Raises ArchiveError, MissingKeyError if it cannot be read."""
        with self.open(sha256) as stream, self._packed(stream, key) as (temporary, found, _):
            if found != sha256:
                raise ArchiveError(
                    f"{self.path(sha256)} holds other bytes than were received; have the file delivered again"
                )
            self._place(temporary, sha256, encrypted=True)

    def sweep(self) -> None:
        """What killed processes left half-written goes, and what they did not come to is done."""
        contents = self.root / "sha256"
        sweep(contents, ".incoming-*")
        for folder in (self.pending_folder, self.withdrawn_folder, self.pending_folder.parent / "damaged"):
            sweep(folder, ".tmp*")
        for note in contents.glob(f"{_CLEARING}*"):
            sha256 = note.name.removeprefix(_CLEARING)
            if self.encrypted(sha256):
                self._path(sha256, _PLAIN).unlink(missing_ok=True)
                note.unlink(missing_ok=True)

    def _keep(self, file: Path, key: Key | None = None) -> tuple[str, int]:
        with file.open("rb") as source, self._packed(source, key) as (temporary, sha256, size):
            # what was once encrypted stays so; an intact copy stays; a damaged one is replaced by this
            held = self.encrypted(sha256) if key else self.path(sha256).exists()
            if held and not self._wrong(sha256):
                return sha256, size
            if key is None and self.encrypted(sha256):
                raise ArchiveError(
                    f"the archived copy of these bytes is encrypted and damaged ({self.path(sha256)}), and this delivery is not of an extract with "
                    "personal data; deliver the file once more as what it was then"
                )
            # a process stopped before the receipt is written leaves content that no receipt names: this note says that it was only begun
            self._note(sha256).touch()
            self._place(temporary, sha256, encrypted=key is not None)
        return sha256, size

    def _note(self, sha256: str) -> Path:
        return self.root / "sha256" / f"{_BEGUN}{sha256}"

    def begun(self) -> set[str]:
        """SHA-256 of content whose delivery was begun and never acknowledged; delivering it again removes it from here."""
        return {p.name.removeprefix(_BEGUN) for p in (self.root / "sha256").glob(f"{_BEGUN}*")}

    @contextmanager
    def _packed(self, source: BinaryIO, key: Key | None) -> Iterator[tuple[Path, str, int]]:
        """Bytes packed, and encrypted if there is a key, under a name of the moment, open until done with: that, their SHA-256, how many they are."""
        digest, size = hashlib.sha256(), 0
        folder = self.root / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self.sweep()
            self._swept = True
        # hashed, packed and encrypted in one pass over the bytes; the name is known only at the end
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-", delete=False) as packed:
            temporary = Path(packed.name)
            hold(packed.fileno())
            try:
                at("archive.begun")
                sealed = encryption.Encrypting(packed.file, key) if key else None
                into = cast(BinaryIO, sealed or packed)
                with zstandard.ZstdCompressor(level=3).stream_writer(into, closefd=False) as writer:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        size += len(block)
                        writer.write(block)
                if sealed:
                    sealed.finish(digest.hexdigest())
                packed.flush()
                at("archive.written")
                os.fsync(packed.fileno())
                at("archive.synced")
                yield temporary, digest.hexdigest(), size
            finally:
                temporary.unlink(missing_ok=True)  # it has its place by now, or is wanted by nobody

    def _place(self, temporary: Path, sha256: str, *, encrypted: bool) -> None:
        """Put packed content in its place; once it is there encrypted, no copy in the clear is left, whenever this is stopped."""
        target, clear = self._path(sha256, _ENCRYPTED if encrypted else _PLAIN), self._path(sha256, _PLAIN)
        target.parent.mkdir(exist_ok=True)
        temporary.chmod(_MODE)
        note = self.root / "sha256" / f"{_CLEARING}{sha256}"
        if encrypted and clear.exists():
            note.touch()  # a process stopped after the next line leaves this note of what is still to be done
        put_in_place(temporary, target)
        at("archive.kept")
        if self.encrypted(sha256):  # perhaps by another process, just now
            clear.unlink(missing_ok=True)
        note.unlink(missing_ok=True)
