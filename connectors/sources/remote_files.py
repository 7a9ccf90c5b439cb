"""An extract that is files of another machine: which of them, whether they are whole, held against their checksums, copied in order.

What a store is asked is the same for SFTP and S3. Does not belong here: how a store is spoken to (sftp.py, s3.py).
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from connectors.sources import checksums, folder
from connectors.sources.source import Asked, Fetched, SourceError

SETTING = "extracts.path"
WILD = frozenset("*?[")


@dataclass(frozen=True)
class Facts:
    """What a store says of a file; if any of it is another afterwards, the file is another. `changed`: in seconds since 1970."""

    size: int
    changed: float
    version: str = ""


class Store(Protocol):
    """Files of one connection. Each raises SourceError; names are paths below what the settings call the folder."""

    def found(self, pattern: str) -> Iterable[str]:
        """Names that a pattern fits, in any order."""

    def facts(self, name: str) -> Facts | None:
        """None: there is no such file."""

    def copy(self, name: str, size: int, target: Path) -> None:
        """Write the file's bytes."""


def fetch_files(source: str, store: Store, asked: Asked, into: Path, settled_seconds: int) -> Fetched | None:
    """The files of an extract, whole and unchanged while they were read; None: they are not there yet. Raises SourceError."""
    extract = asked.extract
    assert isinstance(extract, folder.Extract)
    if extract.ready is not None and not list(store.found(asked.fill(extract.ready))):
        return None
    names = sorted(store.found(asked.fill(extract.path)))
    beside: Mapping[str, str] = {}
    if said := asked.regulation.checksum and asked.fill(asked.regulation.checksum):
        beside = {name: _beside(name, checksums.name_of(said, PurePosixPath(name).name)) for name in names}
        names = [name for name in names if name not in set(beside.values())]
    if not names:
        return None
    for name in names:
        _must_be_safe(source, name)
    copied = {name: _copied(source, store, name, into / name, settled_seconds) for name in names}
    if not said:
        return Fetched(tuple(copied.values()))
    sums = {name: _checksums(source, store, beside[name], into.with_name("checksums")) for name in names}
    return Fetched(tuple(copied.values()), sha256=checksums.compared(source, copied, sums))


def fits(pattern: str, name: str) -> bool:
    """Whether a pattern fits a name, step by step of the path; * does not reach beyond a /, nor does it find hidden names."""
    steps, parts = pattern.split("/"), name.split("/")
    return len(steps) == len(parts) and all(map(step_fits, steps, parts))


def step_fits(step: str, part: str) -> bool:
    hidden = part.startswith(".") and not step.startswith(".")
    return part == step or (not hidden and fnmatch.fnmatchcase(part, step))


def fixed_part(pattern: str) -> str:
    """What a pattern begins with, before its first sign that stands for others."""
    return next((pattern[:place] for place, sign in enumerate(pattern) if sign in WILD), pattern)


def _beside(name: str, other: str) -> str:
    return str(PurePosixPath(name).with_name(other))


def _must_be_safe(source: str, name: str) -> None:
    """The name comes from another machine: here it must stay below the folder it is copied to."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts) or not name.isprintable():
        raise SourceError(
            source,
            SETTING,
            f"the server has a file named {name!r}, which is no name",
            "have it named otherwise, or narrow the path",
        )


def _copied(source: str, store: Store, name: str, target: Path, settled_seconds: int) -> Path:
    before = store.facts(name)
    if before is None:
        raise _written(source, name, "it was there a moment ago and is gone")
    if time.time() - before.changed < settled_seconds:
        raise _written(
            source,
            name,
            f"it is taken when it has not changed for {settled_seconds} seconds (connection.settled_seconds)",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    store.copy(name, before.size, target)
    if store.facts(name) != before:
        raise _written(source, name, "it changed while it was read")
    if (size := target.stat().st_size) != before.size:
        raise _written(source, name, f"it has {before.size:,} bytes, and {size:,} came")
    return target


def _checksums(source: str, store: Store, name: str, target: Path) -> bytes:
    facts = store.facts(name)
    if facts is None:
        raise SourceError(
            source,
            "regulation.checksum",
            f"{name} is not there",
            "if the system writes it after the extract, the next pull finds it; if it writes none, take the setting out",
            passing=True,
        )
    if facts.size > checksums.LARGEST:
        raise SourceError(
            source, "regulation.checksum", f"{name} has {facts.size:,} bytes", "name the file that holds the checksums"
        )
    store.copy(name, facts.size, target)
    content = target.read_bytes()
    target.unlink()
    return content


def _written(source: str, name: str, why: str) -> SourceError:
    return SourceError(
        source,
        SETTING,
        f"{name} is still being written: {why}",
        "nothing was taken; the next pull asks again",
        passing=True,
    )
