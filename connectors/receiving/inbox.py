"""The inbox: drops of files with a manifest, each taken whole, refused whole with the reason, or waiting until it is whole.

Whatever lies in the inbox, one drop never stops another, and nothing but files of the inbox itself is read: links are not followed.
A drop goes inbox → `taking/` → `done/`. In `taking/` it has its receipts' numbers written beside it before the first of them is
entered, so that a run after a crash enters each once. One process collects at a time. Files that the archive keeps encrypted are not
kept in `done/`. Does not belong here: what a manifest may say (manifest.py), whether a declaration can be right (deliver.py).
"""

from __future__ import annotations

import hashlib
import json
import stat
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.archive.archive import Archive
from connectors.archive.atomic_files import free, write_whole
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import scrubbed
from connectors.personal_data.safe_names import safe_name
from connectors.readers.headers import listed
from connectors.readers.limits import is_machine_fault
from connectors.receiving import manifest
from connectors.receiving.deliver import (
    DeclaredDelivery,
    DeliveryError,
    archive_key,
    check_declaration,
    check_sha256,
    together,
)
from connectors.receiving.manifest import MANIFEST, ManifestError, UnfinishedError
from warehouse.home.keys import Key, MissingKeyError
from warehouse.home.scratch import scratch
from warehouse.loading.deliveries import Receipt
from warehouse.messages.messages import phrase
from warehouse.moments import at
from warehouse.tables.contracts import Table

PATIENCE = 300  # seconds that a manifest which ends too early may stay as it is; our proposal
LOCK_SECONDS = 20
_FOLDERS = ("taking", "done", "refused")
_SLACK = 2  # seconds by which a file may be younger than the manifest that was to be written after it
_RECEIPTS = ".receipts.json"
_GUESSED = ".guessed.json"
_REASON = "REASON.txt"


class InboxBusyError(RuntimeError):
    """Another process is taking the inbox in."""


@dataclass(frozen=True)
class Drop:
    """What became of one manifest in the inbox. `waits`: it is not whole yet, and stays."""

    manifest: Path
    receipts: tuple[Receipt, ...]
    error: str | None
    waits: bool = False
    names: tuple[str, ...] = ()  # of its files

    @property
    def told(self) -> str:
        """In a line, for people and logs: names of files as they may be shown; they may hold bytes that are no letters."""
        text = self.error or f"{self.manifest.name}: {len(self.receipts)} deliveries taken in"
        for name in sorted({self.manifest.name, *self.names}, key=len, reverse=True):
            text = text.replace(name, safe_name(name))
        text = scrubbed(text, sure=True)
        return text.encode("utf-8", "backslashreplace").decode()


def collect(
    inbox: Path, archive: Archive, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> list[Drop]:
    """Take in every complete drop of the inbox. Raises BusyError if another process does so.

    A drop is a `NAME.manifest.json` (written last) beside its files: {"deliveries": [{"file": … or "files": […], "table": …,
    "settlement": …, "period": …, "system"?, "sha256"?, "rows"?}]}. It is taken whole into `done/`, or goes whole into `refused/` with the reason.
    """
    archive.root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(archive.root / ".collecting.lock", timeout=LOCK_SECONDS):
            return _Inbox(inbox, archive, tables, sources).collect()
    except Timeout:
        raise InboxBusyError("another process is taking the inbox in: what lies there is left to it") from None


@dataclass(frozen=True)
class _Inbox:
    root: Path
    archive: Archive
    tables: Mapping[str, Table]
    sources: Mapping[tuple[str, str], SourceContract]

    def collect(self) -> list[Drop]:
        for name in _FOLDERS:
            if (place := self.root / name).is_symlink():
                return [
                    Drop(
                        place,
                        (),
                        f"{place} is a link: links are not followed; nothing is taken in while it is there",
                        waits=True,
                    )
                ]
        begun = [p for p in sorted(self.root.glob("taking/*")) if p.is_dir() and not p.is_symlink()]
        drops = [self._safely(p, self._go_on) for folder in begun for p in _manifests(folder)]
        drops += [self._safely(p, self._begin) for p in _manifests(self.root)]
        for empty in (*self.root.glob("taking/*"), self.root / "taking"):
            with suppress(OSError):  # it is not empty, or not there
                empty.rmdir()
        return drops

    def _safely(self, path: Path, take: Callable[[Path], Drop]) -> Drop:
        """Take one drop. What is wrong with it becomes its reason, and never stops the next drop."""
        try:
            return take(path)
        except UnfinishedError as problem:
            return Drop(path, (), f"{path.name}: {problem}; it waits until it is whole", waits=True)
        except MissingKeyError as problem:  # which is no fault of the drop
            return Drop(path, (), f"{path.name}: {problem}; it waits in {path.parent}", waits=True)
        except (ManifestError, DeliveryError) as problem:
            reason = str(problem)
        except Exception as problem:
            if is_machine_fault(problem):
                return Drop(path, (), f"{path.name}: cannot be taken in just now ({problem}); it stays", waits=True)
            reason = f"it cannot be taken in ({type(problem).__name__}: {problem}); mend it and drop it again"
        try:
            return self._refuse(path, reason)
        except OSError as problem:
            return Drop(path, (), f"{path.name}: {reason}; and it cannot be moved to refused/ ({problem})", waits=True)

    def _begin(self, path: Path) -> Drop:
        """A drop as it lies in the inbox: read, and moved to `taking/` when all of it is there."""
        if wrong := _not_a_file(path):
            raise ManifestError(wrong)
        content = _beginning(path)
        try:
            entries = manifest.parse(content)
        except UnfinishedError as problem:
            if abs(time.time() - path.stat().st_ctime) < PATIENCE:
                raise
            raise ManifestError(
                f"not a manifest: {problem}, and has not changed for {PATIENCE // 60} minutes"
            ) from None
        files = {self._find(name) for entry in entries for name in entry.names}
        folder = free(self.root / "taking" / _digest(path.name.encode("utf-8", "surrogateescape") + content))
        folder.mkdir(parents=True)
        # the manifest first: who goes on after a crash reads there what else belongs to the drop
        moved = path.replace(folder / path.name)
        at("inbox.manifest-moved")
        for file in files:
            file.replace(folder / file.name)
        at("inbox.files-moved")
        return self._safely(moved, self._go_on)

    def _go_on(self, path: Path) -> Drop:
        """A drop in `taking/`, as far as it came."""
        folder, plan = path.parent, path.parent / _RECEIPTS
        if not plan.exists():
            reserved = self._numbered(path)
            write_whole(plan, json.dumps([asdict(r) for r in reserved], ensure_ascii=False, indent=1).encode())
            at("inbox.numbered")
        try:
            receipts = tuple(Receipt(**one) for one in json.loads(plan.read_text(encoding="utf-8")))
            for receipt in receipts:
                self.archive.enter(receipt)
                at("inbox.entered-one")
            at("inbox.entered")
            self._clear(path, receipts)
            target = free(self.root / "done" / receipts[0].receipt_id)
            target.parent.mkdir(exist_ok=True)
            folder.replace(target)
            at("inbox.done")
        except Exception as problem:  # some of it may have been entered: it can no longer be refused
            return Drop(path, (), f"{path.name}: cannot be finished ({problem}); it stays in {folder}", waits=True)
        return Drop(path, receipts, None)

    def _numbered(self, path: Path) -> list[Receipt]:
        """The receipts of a drop, none of them entered: every file is there and declared rightly.

        Whether it can be read is left to the run: one file of many that cannot is refused there, on record, and the others are loaded.
        """
        entries = manifest.parse(_beginning(path))
        with scratch(self.archive.home.scratch) as place:
            declared = [self._declared(entry, path.parent, place / str(n)) for n, entry in enumerate(entries)]
            keys: list[Key | None] = []
            for number, one in enumerate(declared, 1):  # all, before the first is taken in
                try:
                    check_declaration(one, self.tables, self.sources)
                    keys.append(archive_key(self.archive, one, self.tables, self.sources))
                except DeliveryError as problem:
                    raise DeliveryError(f"delivery {number}: {problem}") from None
            return [self._reserve(one, key) for one, key in zip(declared, keys, strict=True)]

    def _reserve(self, one: DeclaredDelivery, key: Key | None) -> Receipt:
        return self.archive.reserve(
            one.file,
            table=one.table,
            system=one.system,
            scope=one.scope,
            period=one.period,
            declared_rows=one.rows,
            key=key,
        )

    def _clear(self, path: Path, receipts: tuple[Receipt, ...]) -> None:
        """Remove files from the drop that the archive keeps encrypted."""
        for entry, receipt in zip(manifest.parse(_beginning(path)), receipts, strict=True):
            for name in entry.names if self.archive.encrypted(receipt.sha256) else ():
                if file := _like(path.parent, name):
                    file.unlink()

    def _declared(self, entry: manifest.Entry, folder: Path, place: Path) -> DeclaredDelivery:
        """What is declared of files that have been moved to `folder`; several are bundled in `place`."""
        files = [self._moved(name, folder) for name in entry.names]
        for file, sha256 in zip(files, entry.checksums if len(files) > 1 else (), strict=False):
            check_sha256(file, sha256)
        place.mkdir()
        scope, system = entry.settlement or entry.scope or "", entry.system or STANDARD
        return DeclaredDelivery(
            together(files, place), entry.table, scope, entry.period, system, entry.rows, entry.sha256
        )

    def _moved(self, name: str, folder: Path) -> Path:
        """A file of a drop that has been moved to `folder`; if that was interrupted, it is moved now."""
        file = _like(folder, name)
        if file is None:
            left = self._find(name)
            file = left.replace(folder / left.name)
        if wrong := _not_a_file(file):
            raise DeliveryError(f"{name} {wrong}")
        return file

    def _find(self, name: str) -> Path:
        """A data file of the inbox by its name, in whatever normal form of Unicode it is written."""
        file = _like(self.root, name) or self._brought_back(name)
        if file is None:
            raise DeliveryError(f"the manifest names {name}, which is not in the inbox; put the manifest last")
        if wrong := _not_a_file(file):
            raise DeliveryError(f"{name} {wrong}")
        return file

    def _brought_back(self, name: str) -> Path | None:
        """A file that went to `refused/` with a manifest which named none, because no manifest had named it then."""
        notes = [note for note in self.root.glob(f"refused/*/{_GUESSED}") if _listed_in(note, name)]
        found = [file for note in notes if (file := _like(note.parent, name))]
        if len(found) > 1:
            raise DeliveryError(
                f"{len(found)} files named {name} lie in refused/: put the one that is meant into the inbox"
            )
        return found[0].replace(self.root / found[0].name) if found else None

    def _refuse(self, path: Path, reason: str) -> Drop:
        """Move a drop to `refused/`, with those of its files that can be recognised."""
        content = b"" if _not_a_file(path) else _beginning(path)
        folder = free(self.root / "refused" / _digest(path.name.encode("utf-8", "surrogateescape") + content))
        folder.mkdir(parents=True)
        begun = path.parent != self.root
        files = [p for p in path.parent.iterdir() if p != path] if begun else self._named_in(path, content)
        guessed = [] if files else self._nobodys(path)
        told = f"{path.name}: {reason}"
        if guessed:
            told += f"; with it go the files that no manifest names: {phrase(listed(f.name for f in guessed))}"
            (folder / _GUESSED).write_text(json.dumps([f.name for f in guessed]), encoding="utf-8")
        # the reason first, the manifest last: a run stopped in between leaves no manifest without its reason
        named = {file.name for file in (*files, *guessed, path)}
        note = next(n for n in (_REASON, *(f"REASON-{i}.txt" for i in range(2, len(named) + 3))) if n not in named)
        (folder / note).write_text(told + "\n", encoding="utf-8", errors="backslashreplace")
        at("inbox.refusing")
        for file in (*files, *guessed, path):
            file.replace(folder / file.name)
        at("inbox.refused")
        if begun:
            path.parent.rmdir()
        return Drop(path, (), told, names=tuple(f.name for f in (*files, *guessed)))

    def _named_in(self, path: Path, content: bytes) -> list[Path]:
        """The data files of the inbox that a manifest names and no other does."""
        files = {p.name: p for p in self._files()}
        return [files[name] for name in sorted(manifest.mentions(content, files) - self._claimed(path))]

    def _nobodys(self, path: Path) -> list[Path]:
        """The data files that no other manifest names, and that lay there when this one was written: it comes last."""
        claimed, last = self._claimed(path), path.lstat().st_ctime + _SLACK
        return [p for p in self._files() if p.name not in claimed and p.lstat().st_ctime <= last]

    def _claimed(self, path: Path) -> set[str]:
        """The names of data files that other manifests say."""
        names = [p.name for p in self._files()]
        others = [p for p in _manifests(self.root) if p != path and not _not_a_file(p)]
        return set().union(*(manifest.mentions(_beginning(p), names) for p in others))

    def _files(self) -> list[Path]:
        """What lies in the inbox and is neither folder nor manifest; links too, which are not followed."""
        hidden = {p.name for p in _manifests(self.root)}
        return [
            path
            for path in sorted(self.root.iterdir())
            if (path.is_symlink() or not path.is_dir()) and path.name not in hidden and not path.name.startswith(".")
        ]


def _manifests(folder: Path) -> list[Path]:
    """The manifests of a folder; hidden files are not yet, or not meant to be, what their names say."""
    return [p for p in sorted(folder.iterdir()) if p.name.lower().endswith(MANIFEST) and not p.name.startswith(".")]


def _listed_in(note: Path, name: str) -> bool:
    try:
        return _nfc(name) in {_nfc(str(n)) for n in json.loads(note.read_text(encoding="utf-8"))}
    except (ValueError, TypeError):
        return False


def _like(folder: Path, name: str) -> Path | None:
    """The entry of a folder with that name, be it composed of other letters of Unicode."""
    exact = folder / name
    if exact.is_symlink() or exact.exists():
        return exact
    alike = [p for p in folder.iterdir() if _nfc(p.name) == _nfc(name)]
    if len(alike) > 1:
        raise DeliveryError(f"{len(alike)} files of the inbox are named {name}, in differing Unicode; leave one")
    return alike[0] if alike else None


def _not_a_file(path: Path) -> str:
    """Why what lies under a name is not read, else nothing."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "is a link: links are not followed; put the file itself into the inbox"
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        return "has another name elsewhere (a hard link), and may be anybody's; put a copy into the inbox"
    return "" if stat.S_ISREG(found.st_mode) else "is no file; put a file into the inbox"


def _beginning(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(manifest.LARGEST + 1)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
