"""The released file: a copy of the warehouse, made of the release before last by writing only the blocks that differ.

Two files take turns: what was published stays while its readers read it, and the one before it, which nobody should read any more, becomes
the next. Whether really nobody does is asked of the kernel; where it does not know, where the file has another name or is gone, a new file
is made. So it is where the file system shares blocks, which costs nothing. Does not belong here: what must be in the warehouse by then
(release.py).
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from warehouse.home.copies import cloned, copied, in_use
from warehouse.home.home import Home

_BLOCK, _PIECE = 1 << 18, 1 << 20  # bytes: what DuckDB writes at once; what is looked at at once


def make(home: Home, target: Path) -> str | None:
    """Make a target that is not there equal to the warehouse. Returns its SHA-256 if all of it was read anyway."""
    if cloned(home.warehouse, target):
        _before_last(home).unlink(missing_ok=True)
        return None
    with suppress(OSError):  # there is none, or it lies on another file system
        _before_last(home).replace(target)
        if not in_use(target):
            target.chmod(0o640)
            return _made_equal(home.warehouse, target)
    target.unlink(missing_ok=True)
    copied(home.warehouse, target)
    return None


def retire(home: Home) -> None:
    """Keep the published file for the release after the next; to be called before another takes its name."""
    with suppress(OSError):  # nothing is published, or the file system has no links: then the next but one is made anew
        home.reused.mkdir(exist_ok=True)
        _before_last(home).unlink(missing_ok=True)
        os.link(home.released_file, _before_last(home))


def _before_last(home: Home) -> Path:
    return home.reused / home.released_file.name


def _made_equal(source: Path, target: Path) -> str:
    """Write into a file what differs from another. Returns the SHA-256 of both, found by another thread meanwhile."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as held, target.open("r+b") as made, ThreadPoolExecutor(1) as beside:
        while piece := held.read(_PIECE):
            hashing = beside.submit(digest.update, piece)
            if (there := os.pread(made.fileno(), len(piece), done)) != piece:
                for start in range(0, len(piece), _BLOCK):
                    block = piece[start : start + _BLOCK]
                    if there[start : start + _BLOCK] != block:
                        made.seek(done + start)
                        made.write(block)
            hashing.result()
            done += len(piece)
        made.truncate(done)
    return digest.hexdigest()
