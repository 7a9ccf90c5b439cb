"""Files written whole or not at all, under a free name; half-written files of killed processes are swept away.

Does not belong here: which files the archive has (archive.py), file permissions of a home (warehouse/home/file_modes.py).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from warehouse.home.scratch import abandoned, hold
from warehouse.moments import at

MODE = 0o640


def write_whole(path: Path, content: bytes) -> None:
    """Write so that a reader sees the whole file or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp", delete=False) as handle:
        hold(handle.fileno())
        try:
            handle.write(content)
            handle.flush()
            at("file.written")
            os.fsync(handle.fileno())
        except BaseException:
            Path(handle.name).unlink()
            raise
    Path(handle.name).chmod(MODE)
    at("file.synced")
    put_in_place(Path(handle.name), path)
    at("file.renamed")


def put_in_place(written: Path, path: Path) -> None:
    """Give a file that is on the disk its name, for good: the name is on the disk too."""
    written.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def free(path: Path) -> Path:
    """The path, or if there is something already, the first of NAME-2, NAME-3, ... that is free."""
    number, found = 1, path
    while found.exists() or found.is_symlink():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def sweep(folder: Path, pattern: str) -> None:
    """Remove what processes that were killed left half-written in a folder, and nobody holds."""
    for path in folder.glob(pattern):
        try:
            if path.is_file() and abandoned(path):
                path.unlink()
        except OSError:
            continue  # another process was sooner, or it is another user's
