"""Files of OLE2, the form of Excel, Word and PowerPoint up to 2003 and of everything that was encrypted since: what lies in them.

Read is the list of names, to tell an old workbook from what else has this form, what lies under one of them, and whether every chain of sectors ends: a library
that follows one which does not takes all memory there is. Does not belong here: the rows of a workbook (workbooks.py).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD, _ENTRY = 512, 128  # bytes
_NONE = 0xFFFFFFF0  # numbers from here on are no sectors and no entries
_IN_HEAD = 109  # sectors of the table of sectors that the head names itself
_FEW = 4096  # bytes of a stream, below which it lies among others in sectors of the root
_ROOT, _STREAM = 5, 2  # kinds of entries


class DamagedError(ValueError):
    """A chain of sectors leads out of the file, or never ends."""


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: int
    links: tuple[int, int, int]  # to the left, to the right, to the first child
    start: int
    size: int


def streams_of(path: Path) -> set[str]:
    """Names at the top level. Raises DamagedError if the file is not whole."""
    try:
        with path.open("rb") as handle:
            entries = _Sectors(handle).entries()
    except (struct.error, UnicodeDecodeError, OSError) as error:
        raise DamagedError(str(error)) from None
    found, seen = set[str](), set[int]()
    steps = [entries[0].links[2]] if entries else []
    while steps:  # the root's children hang together as a tree by their numbers
        number = steps.pop()
        if number < len(entries) and number not in seen:
            seen.add(number)
            found.add(entries[number].name)
            steps += entries[number].links[:2]
    return found


def stream_of(path: Path, names: Sequence[str]) -> bytes:
    """The bytes that lie under the first of the names there is; none if they are few, which lie elsewhere. Raises DamagedError."""
    try:
        with path.open("rb") as handle:
            sectors = _Sectors(handle)
            entries = {one.name: one for one in sectors.entries()}
            found = next((entries[name] for name in names if name in entries), None)
            if found is None:
                raise DamagedError("the stream is not there")
            return sectors.content(found) if found.size >= _FEW else b""
    except (struct.error, UnicodeDecodeError, OSError) as error:
        raise DamagedError(str(error)) from None


class _Sectors:
    """The sectors of a file, and the tables by which one leads to the next."""

    def __init__(self, handle: BinaryIO):
        self._handle = handle
        head = handle.read(_HEAD)
        self._size = 1 << min(struct.unpack_from("<H", head, 30)[0], 16)
        self._count = max((handle.seek(0, 2) - 1) // self._size, 0)  # the head is as long as a sector
        self._directory, self._small, self._more = (struct.unpack_from("<L", head, at)[0] for at in (48, 60, 68))
        self._next = array("I", b"".join(map(self._read, self._table(struct.unpack_from(f"<{_IN_HEAD}L", head, 76)))))

    def entries(self) -> list[_Entry]:
        """Everything that lies in the file, its chains followed to their ends. Raises DamagedError."""
        content = b"".join(map(self._read, self._chain(self._directory, self._next)))
        small = array("I", b"".join(map(self._read, self._chain(self._small, self._next))))
        found = [_entry(content, at) for at in range(0, len(content), _ENTRY)]
        for one in found:
            if one.kind == _ROOT or (one.kind == _STREAM and one.size >= _FEW):
                self._chain(one.start, self._next)
            elif one.kind == _STREAM and one.size:
                self._chain(one.start, small)
        return found

    def content(self, one: _Entry) -> bytes:
        """The bytes of a stream that has sectors of its own."""
        return b"".join(map(self._read, self._chain(one.start, self._next)))[: one.size]

    def _table(self, first: Sequence[int]) -> list[int]:
        """The sectors that the table of sectors itself lies in."""
        found, at, steps = [n for n in first if n < _NONE], self._more, 0
        while at < _NONE:
            *more, at = struct.unpack(f"<{self._size // 4}L", self._read(at))
            found += [n for n in more if n < _NONE]
            steps += 1
            if steps > self._count:
                raise DamagedError("the table of sectors never ends")
        return found

    def _read(self, number: int) -> bytes:
        if number >= self._count:
            raise DamagedError(f"there is no sector {number}")
        self._handle.seek((number + 1) * self._size)
        return self._handle.read(self._size).ljust(self._size, b"\xff")

    def _chain(self, at: int, following: Sequence[int]) -> list[int]:
        found = list[int]()
        while at < _NONE:
            if at >= len(following) or len(found) > len(following):
                raise DamagedError("a chain of sectors leads out of the file, or never ends")
            found.append(at)
            at = following[at]
        return found


def _entry(content: bytes, at: int) -> _Entry:
    length, kind = struct.unpack_from("<HB", content, at + 64)
    name = content[at : at + min(max(length - 2, 0), 62)].decode("utf-16-le")
    start, size = struct.unpack_from("<LL", content, at + 116)
    return _Entry(name, kind, struct.unpack_from("<3L", content, at + 68), start, size)
