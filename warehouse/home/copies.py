"""Copies of whole files, their SHA-256, and whether anybody has a file open. What is copied when does not belong here."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409  # of linux/fs.h; Python has no name for it


def cloned(source: Path, target: Path) -> bool:
    """Make a file that shares its blocks with another until either changes, where the file system can (XFS, Btrfs): it takes no time."""
    with source.open("rb") as held, target.open("wb") as made:
        try:
            import fcntl  # not on Windows

            fcntl.ioctl(made.fileno(), _FICLONE, held.fileno())
        except (ImportError, OSError):
            return False
    return True


def in_use(path: Path) -> bool:
    """Whether somebody has a file open, or it has another name; also where the system cannot tell."""
    with path.open("rb") as handle:
        if os.fstat(handle.fileno()).st_nlink != 1:
            return True
        try:  # the kernel grants it to the only one who has the file open; given back at once, as its end would be a signal
            import fcntl

            fcntl.fcntl(handle.fileno(), fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(handle.fileno(), fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except (ImportError, AttributeError, OSError):  # not Linux; not on this computer's disk; not our file
            return True
    return False


def copied(source: Path, target: Path) -> None:
    """Copy bytes within the kernel where it can: blocks are shared until either changes (XFS, Btrfs), which takes no time."""
    with source.open("rb") as held, target.open("wb") as made:
        try:
            while os.copy_file_range(held.fileno(), made.fileno(), 1 << 30):
                pass
            return
        except (AttributeError, OSError):  # not Linux, or from one file system to another that does not know the call
            held.seek(0)
            made.seek(0)
            made.truncate()
            shutil.copyfileobj(held, made, 1 << 20)


def keep_copy(source: Path, target: Path) -> None:
    """A copy that is there whole or not at all, and on the disk."""
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        copied(source, fresh)
        with fresh.open("rb") as handle:
            os.fsync(handle.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(target)


def file_sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
