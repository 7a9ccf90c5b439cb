"""`qala restore`: a backup comes back whole, as a home that is not there yet, or a single file of it into one that is.

Nothing is ever written over: a home that holds anything is refused, and what lay in the place of a single file gets another name.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pipelines.recovery.backup import KEYS, Backup, BackupError, damaged, object_of
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.store.sessions import locked


def restore(backup: Backup, home: Home, say: Callable[[str], None] = lambda _: None) -> None:
    """Put a backup where there is no home yet. It is there whole or not at all. Raises BackupError."""
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise BackupError(
            f"{home.root} is not empty: a backup is restored beside what there is; name a new folder with --home"
        )
    if wrong := damaged(backup, say):
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BackupError(
            f"nothing is restored, as {len(wrong)} files of {backup.manifest} are not as they were kept: {'; '.join(wrong[:5])}{more}; "
            "take an older backup, or put these files back"
        )
    beside = home.root.with_name(f".{home.root.name}.restoring")
    try:
        home.root.parent.mkdir(parents=True, exist_ok=True)
        if beside.exists():  # half restored before
            shutil.rmtree(beside)
        beside.mkdir(mode=0o750)
        for path, kept in sorted(backup.files.items()):
            target = beside / _inside(path)
            _make(target.parent, 0o700 if path.startswith(f"{KEYS}/") else 0o750)
            copied(object_of(backup.folder, kept.sha256), target)
            target.chmod(kept.mode)
            if target.stat().st_size != kept.bytes:
                raise BackupError(f"{path} could not be written whole to {target}")
            with target.open("rb") as handle:
                os.fsync(handle.fileno())
        if home.root.exists():
            home.root.rmdir()
        beside.replace(home.root)
    except OSError as error:
        raise BackupError(_failed("the backup", error, home.root)) from error


def restore_file(backup: Backup, home: Home, path: str) -> Path | None:
    """Put one file of a backup back into a home that is there, by its path within the home. What lay there gets another name, which is returned."""
    kept = backup.files.get(_inside(path))
    if kept is None:
        near = [name for name in backup.files if Path(name).name == Path(path).name]
        raise BackupError(f"{backup.manifest} has no {path}{f'; it has {near[0]}' if near else ''}")
    source, target = object_of(backup.folder, kept.sha256), home.root / path
    try:
        if file_sha256(source) != kept.sha256:
            raise BackupError(f"{path} is damaged in the backup, too: {source} holds other bytes than were kept")
        with locked(home):
            _make(target.parent, 0o750)
            half = target.with_name(f".{target.name}.restoring")
            half.unlink(missing_ok=True)
            copied(source, half)
            half.chmod(kept.mode)
            aside = None
            if target.exists():
                aside = target.with_name(f".{target.name}.before-restore-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}")
                target.replace(aside)
            half.replace(target)
    except OSError as error:
        raise BackupError(_failed(path, error, target)) from error
    return aside


def _make(folder: Path, mode: int) -> None:
    """A folder and those above it, all of one mode whatever the umask."""
    if not folder.exists():
        _make(folder.parent, mode)
        folder.mkdir()
        folder.chmod(mode)


def _inside(path: str) -> str:
    """A manifest that somebody else wrote leads nowhere else."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise BackupError(f"the backup names a file outside the home ({path}); it was not written by qala backup")
    return path


def _failed(what: str, error: OSError, place: Path) -> str:
    said = f"{error.strerror or error}: {error.filename or place}"
    return f"{what} could not be restored ({said}); make room or mend the rights, and begin again"
