"""Copies of whole files, and their SHA-256. What is copied when does not belong here."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path


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
