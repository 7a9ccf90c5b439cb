"""`qala backup`: everything an installation cannot do without, in a folder elsewhere. How it comes back is in restore.py.

A backup is a manifest, `backup-<time>.json`: which file of the home has which bytes, by SHA-256. The bytes lie in `objects/`, once, however many
backups hold them, so what was there before is not copied again. The manifest is written last: without it there is no backup, with it
a whole one.

What is copied in which order decides whether a restored home is whole. The release comes first, as the warehouse must know it; then the
warehouse, under the writer's lock, for as long as the copy takes; then receipts; then the archive's files. Bytes are in the archive before their
receipt is, and a receipt before its delivery: so no delivery comes back without bytes, and none that was acknowledged is missing. A
receipt that was decided on after the warehouse was copied comes back as one that waits.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors.archive import receipts
from kpi_definitions.nearest import no_file
from warehouse.errors import StoreError
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.release.release import STATEMENT
from warehouse.store.ledger import ledger_head
from warehouse.store.sessions import locked, opened
from warehouse.store.succession import MANIFEST

FORMAT = 1
OBJECTS = "objects"
CONFIGURED = ("contracts", "showcase", "catalogues", "corrections", "sources")  # folders of the home that people write
KEYS = "keys"
WAIT_SECONDS = 3600.0  # for the writer's lock: a run that loads holds it for as long as it loads
_HALF = ".half-"  # files that are not whole yet
Say = Callable[[str], None]


class BackupError(StoreError):
    """A backup is unfinished, damaged or cannot be written; the message names the file and what to do."""


@dataclass(frozen=True)
class Kept:
    """A file of the home as a backup holds it."""

    sha256: str
    bytes: int
    mode: int
    mtime_ns: int  # as long as size and time are these, the bytes are not read again


@dataclass(frozen=True)
class Backup:
    """A finished backup. `files`: path within the home → what is kept of it."""

    manifest: Path
    made_at: str
    home: str  # of what home it is
    head: tuple[int, str] | None  # of the ledger; None: there was no warehouse yet
    files: Mapping[str, Kept]
    left_out: Sequence[str]
    copied_bytes: int = 0

    @property
    def folder(self) -> Path:
        return self.manifest.parent

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files.values())


def back_up(
    home: Home, to: Path, *, with_keys: bool = False, wait: float = WAIT_SECONDS, say: Say = lambda _: None
) -> Backup:
    """Make a backup of a home in the folder `to`, beside those that are there. Raises BackupError, BusyError."""
    if not home.root.is_dir():
        raise BackupError(f"{home.root} does not exist: there is nothing to keep")
    if to.resolve().is_relative_to(home.root.resolve()):
        raise BackupError(f"{to} lies in the home itself, with which it would be lost: name a folder on another disk")
    try:
        (to / OBJECTS).mkdir(parents=True, exist_ok=True)
        former = _newest_files(to)
        with _lone(to):
            taking = _Taking(home, to, former)
            taking.release()
            say("the release is kept")
            head = taking.warehouse(wait)
            say("the warehouse is kept")
            taking.receipts()
            taking.folder("archive", but="receipts")
            say(f"the archive is kept: {len(taking.files):,} files")
            for name in (*CONFIGURED, *((KEYS,) if with_keys else ())):
                taking.folder(name)
            taking.settings()
            return _finished(to, home, head, taking, with_keys=with_keys)
    except OSError as error:
        raise BackupError(
            f"the backup could not be written ({error.strerror or error}: {error.filename or to}); there is none, the former ones are whole; "
            "make room or mend the rights, and begin again"
        ) from error


def backups(folder: Path) -> list[Path]:
    """The manifests of the finished backups of a folder, the newest last."""
    return sorted(folder.glob("backup-*.json"))


def read_backup(place: Path) -> Backup:
    """A backup by its manifest, or the newest of a folder. Raises BackupError if there is none, or it is not as it was written."""
    if place.is_dir():
        found = backups(place)
        if not found:
            begun = " (one was begun and never finished)" if (place / OBJECTS).is_dir() else ""
            raise BackupError(f"{place} holds no finished backup{begun}; make one: qala backup {place}")
        place = found[-1]
    if not place.exists():
        raise BackupError(no_file(place))
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        digest = said.pop("sha256")
        if digest != _digest(said) or said["format"] != FORMAT:
            raise ValueError("its content is not what its own SHA-256 says, or of another format")
        head = (int(said["ledger_head"][0]), str(said["ledger_head"][1])) if said["ledger_head"] else None
        files = {path: Kept(*values) for path, values in said["files"].items()}
        return Backup(place, said["made_at"], said["home"], head, files, said["left_out"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{place} is damaged ({error}); take an older backup of the same folder") from None


def damaged(backup: Backup, say: Say = lambda _: None) -> list[str]:
    """What is wrong with the files of a backup; every byte is read."""
    found = []
    for number, (path, kept) in enumerate(sorted(backup.files.items()), 1):
        place = object_of(backup.folder, kept.sha256)
        try:
            if file_sha256(place) != kept.sha256:
                found.append(
                    f"{path} is damaged: {place} holds other bytes than were kept; delete it, and the next backup keeps the file anew"
                )
        except FileNotFoundError:
            found.append(f"{path} is missing: {place} is not there; the next backup keeps the file anew")
        except OSError as error:
            found.append(f"{path} cannot be read: {place} ({error.strerror})")
        if number % 1000 == 0:
            say(f"{number:,} of {len(backup.files):,} files read")
    return found


def object_of(folder: Path, sha256: str) -> Path:
    return folder / OBJECTS / sha256[:2] / sha256


class _Taking:
    """A backup being made: the files kept so far."""

    def __init__(self, home: Home, to: Path, former: Mapping[str, Kept]):
        self.home, self.to, self.former = home, to, former
        self.files: dict[str, Kept] = {}
        self.copied = 0
        self._decided: set[str] = set()  # receipts on which the warehouse that was copied has decided
        for half in to.glob(f"{_HALF}*"):
            half.unlink()

    def release(self) -> None:
        """The release as one publication: read again, if another took its place meanwhile."""
        wrong = ["files that come and go"]
        for _ in range(5):
            try:
                said = (self.home.release / MANIFEST).read_bytes()
                wanted = {**json.loads(said)["sha256"], MANIFEST: hashlib.sha256(said).hexdigest()}
                signed = [STATEMENT] if (self.home.release / STATEMENT).exists() else []
                found = {f"release/{name}": self._take(self.home.release / name) for name in (*wanted, *signed)}
            except FileNotFoundError:
                if not self.home.release.exists():
                    return
                continue
            except (ValueError, TypeError, KeyError):
                raise BackupError(
                    f"{self.home.release / MANIFEST} cannot be read, so nobody can tell whether the release is whole; see: qala verify"
                ) from None
            wrong = [name for name, digest in wanted.items() if found[f"release/{name}"].sha256 != digest]
            if not wrong:
                self.files |= found
                return
        raise BackupError(
            f"the release is not as {MANIFEST} says ({', '.join(wrong)}); see: qala verify, and mend it first"
        )

    def warehouse(self, wait: float) -> tuple[int, str] | None:
        """The warehouse as it stands between two transactions."""
        if not self.home.warehouse.exists():
            return None
        half = self.to / f"{_HALF}warehouse"
        with locked(self.home, wait):
            with opened(self.home, fit=False) as store:
                store.con.execute("CHECKPOINT")
            mode, times = self.home.warehouse.stat().st_mode, self.home.warehouse.stat().st_mtime_ns
            copied(self.home.warehouse, half)
        con = duckdb.connect(str(half), read_only=True)
        try:
            head = ledger_head(con)
            self._decided = {
                r
                for (r,) in con.execute(
                    "SELECT receipt_id FROM audit.delivery WHERE state <> 'received' UNION SELECT subject FROM audit.ledger WHERE kind = 'withdrawn'"
                ).fetchall()
            }
        finally:
            con.close()
        size = half.stat().st_size
        self.copied += size
        self.files["warehouse.duckdb"] = Kept(self._settle(half, file_sha256(half)), size, stat.S_IMODE(mode), times)
        return head

    def receipts(self) -> None:
        """Receipts move from `pending` on; looked for in that order none is missed, and the last place is where it was."""
        root = self.home.archive / "receipts"
        months = sorted(p.name for p in root.glob("[0-9]*-[0-9]*") if p.is_dir())
        for folder in ("pending", "withdrawn", *months, "damaged"):
            for file in sorted((root / folder).glob("[!.]*")) if (root / folder).is_dir() else ():
                try:
                    kept, place = self._take(file), folder
                except FileNotFoundError:
                    continue  # it moved on just now, and is found there
                if folder in months and file.stem not in self._decided:
                    place = "withdrawn" if receipts.taken_back(file) else "pending"
                for former in ("pending", "withdrawn"):
                    self.files.pop(f"archive/receipts/{former}/{file.name}", None)
                self.files[f"archive/receipts/{place}/{file.name}"] = kept
        months_now = {p.name for p in root.glob("[0-9]*-[0-9]*") if p.is_dir()}
        if months_now - set(months):  # a month's folder came into being meanwhile
            self.receipts()
            return
        newest = root / ".newest"
        if newest.exists():
            self.files["archive/receipts/.newest"] = self._take(newest)

    def folder(self, name: str, but: str | None = None) -> None:
        """Every regular file of a folder of the home but those on their way (their names begin with a dot)."""
        root = self.home.root / name
        for where, folders, files in os.walk(root):
            folders[:] = [
                f for f in sorted(folders) if not (Path(where) == root and f == but) and not f.startswith(".")
            ]
            for file in sorted(files):
                path = Path(where) / file
                if file.startswith(".") or path.is_symlink() or not path.is_file():
                    continue
                try:
                    self.files[str(path.relative_to(self.home.root))] = self._take(path)
                except FileNotFoundError:
                    if name == "archive":  # nothing ever goes from there
                        raise

    def settings(self) -> None:
        """Which engine measures, and who is told what is wrong; what that engine holds is made anew from the warehouse."""
        for file in (self.home.engine_settings, self.home.notification_settings):
            if file.is_file() and not file.is_symlink():
                self.files[file.name] = self._take(file)

    def _take(self, file: Path) -> Kept:
        """Keep a file; if it is as it was in the newest backup, it is not read."""
        found = file.stat()
        former = self.former.get(str(file.relative_to(self.home.root)))
        unchanged = former is not None and (former.bytes, former.mtime_ns) == (found.st_size, found.st_mtime_ns)
        if former and unchanged and _size(object_of(self.to, former.sha256)) == found.st_size:
            return Kept(former.sha256, found.st_size, stat.S_IMODE(found.st_mode), found.st_mtime_ns)
        with tempfile.NamedTemporaryFile(dir=self.to, prefix=_HALF, delete=False) as handle:
            half, digest, size = Path(handle.name), hashlib.sha256(), 0
            try:
                with file.open("rb") as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
                        handle.write(block)
                        size += len(block)
                handle.flush()
            except BaseException:
                half.unlink()
                raise
        self.copied += size
        return Kept(self._settle(half, digest.hexdigest()), size, stat.S_IMODE(found.st_mode), found.st_mtime_ns)

    def _settle(self, half: Path, sha256: str) -> str:
        target = object_of(self.to, sha256)
        if target.exists():
            half.unlink()
            return sha256
        half.chmod(0o400)
        with half.open("rb") as handle:
            os.fsync(handle.fileno())
        target.parent.mkdir(exist_ok=True, mode=0o700)
        half.replace(target)
        return sha256


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.exists() else None


@contextmanager
def _lone(to: Path) -> Iterator[None]:
    """Hold the folder's lock: one backup at a time into a folder."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(to / ".backup.lock", timeout=0):
            yield
    except Timeout:
        raise BackupError(f"another backup is being written to {to}; wait for its end") from None


def _newest_files(to: Path) -> Mapping[str, Kept]:
    """Files of the newest backup, path → what is kept; none if that backup is damaged."""
    try:
        return read_backup(to).files
    except BackupError:
        return {}


def _finished(to: Path, home: Home, head: tuple[int, str] | None, taking: _Taking, *, with_keys: bool) -> Backup:
    """Write the manifest, which makes the backup a finished one."""
    known = {
        "archive",
        "release",
        "warehouse.duckdb",
        home.engine_settings.name,
        home.notification_settings.name,
        *CONFIGURED,
        *((KEYS,) if with_keys else ()),
    }
    left_out = sorted(p.name for p in home.root.iterdir() if p.name not in known and not p.name.startswith("."))
    now = dt.datetime.now(dt.UTC)
    said: dict[str, Any] = {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "home": str(home.root),
        "ledger_head": head,
        "left_out": left_out,
        "files": {path: [k.sha256, k.bytes, k.mode, k.mtime_ns] for path, k in sorted(taking.files.items())},
    }
    said = json.loads(json.dumps(said))
    manifest = to / f"backup-{now:%Y%m%dT%H%M%S.%f}Z.json"
    half = to / f"{_HALF}manifest"
    with half.open("w", encoding="utf-8") as handle:
        handle.write(json.dumps({**said, "sha256": _digest(said)}, indent=1, ensure_ascii=False) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    half.chmod(0o400)
    half.replace(manifest)
    return Backup(manifest, said["made_at"], said["home"], head, taking.files, left_out, taking.copied)


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
