"""Folders that are written whole. Does not belong here: single files (copies.py), what a folder may be replaced (the room that writes it)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder`, which takes its place when it has been written; after an error `folder` is as it was.

    Whoever reads a file of the former folder goes on reading it.
    """
    fresh, former = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.former")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        shutil.rmtree(former, ignore_errors=True)
        if folder.exists():
            folder.rename(former)
        try:
            fresh.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
