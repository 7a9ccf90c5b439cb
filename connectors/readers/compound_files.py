"""Files of OLE2, the form of Excel, Word and PowerPoint up to 2003 and of everything that was encrypted since: what lies in them.

The list of names tells an old workbook from what else has this form; one of them may be read. Does not belong here: what it holds
(workbook_records.py), the rows of a workbook (workbooks.py).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from connectors.readers.limits import is_machine_fault

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD = 512
_ENTRY = 128
_NONE = 0xFFFFFFF0  # numbers from here on are no sectors and no entries
_FEW = 4096  # bytes of a stream, below which it lies among others
_SECTORS = 4096  # of the directory, at most: 16,000 names and more


def streams_of(path: Path) -> set[str]:
    """Names at the top level; empty if the file is damaged."""
    try:
        with path.open("rb") as handle:
            directory = _directory(handle)
        return _top(directory)
    except (struct.error, OSError, IndexError, UnicodeDecodeError):
        return set()


def _directory(handle: BinaryIO) -> bytes:
    """The sectors of the directory, in order."""
    head = handle.read(_HEAD)
    size = 1 << min(struct.unpack_from("<H", head, 30)[0], 16)
    at: int = struct.unpack_from("<L", head, 48)[0]
    tables = struct.unpack_from("<109L", head, 76)

    def sector(number: int) -> bytes:
        handle.seek((number + 1) * size)
        return handle.read(size)

    found = b""
    while at < _NONE and len(found) < _SECTORS * size:
        found += sector(at)
        table, place = divmod(at, size // 4)
        at = struct.unpack_from("<L", sector(tables[table]), place * 4)[0]
    return found


def _top(directory: bytes) -> set[str]:
    """Names of the root's children: they hang together as a tree by their numbers."""
    found, seen = set(), set[int]()
    steps = [struct.unpack_from("<L", directory, 76)[0]]
    while steps:
        number = steps.pop()
        if number >= _NONE or number in seen:
            continue
        seen.add(number)
        entry = directory[number * _ENTRY : (number + 1) * _ENTRY]
        length, left, right = *struct.unpack_from("<H", entry, 64), *struct.unpack_from("<2L", entry, 68)
        found.add(entry[: max(length - 2, 0)].decode("utf-16-le"))
        steps += [left, right]
    return found


def stream_of(path: Path, names: Sequence[str]) -> bytes:
    """The bytes that lie under the first of the names there is; none if they are few, which lie elsewhere. Raises ValueError for damage."""
    try:
        with path.open("rb") as handle:
            directory = _directory(handle)
            entry = next(e for name in names if (e := _named(directory, name)))
            start, size = struct.unpack_from("<2L", entry, 116)
            return _chain(handle, start, size) if size >= _FEW else b""
    except (struct.error, IndexError, StopIteration, OSError) as error:
        if is_machine_fault(error):
            raise
        raise ValueError("the compound file is damaged") from error


def _named(directory: bytes, name: str) -> bytes:
    wanted = name.encode("utf-16-le")
    entries = (directory[at : at + _ENTRY] for at in range(0, len(directory), _ENTRY))
    return next((e for e in entries if e[: len(wanted) + 2] == wanted + b"\0\0"), b"")


def _chain(handle: BinaryIO, at: int, size: int) -> bytes:
    """The sectors that hang together from one on."""
    handle.seek(0)
    head = handle.read(_HEAD)
    sector = 1 << min(struct.unpack_from("<H", head, 30)[0], 16)
    per = sector // 4

    def read(number: int) -> bytes:
        handle.seek((number + 1) * sector)
        return handle.read(sector)

    places, more = list(struct.unpack_from("<109L", head, 76)), struct.unpack_from("<L", head, 68)[0]
    while more < _NONE and len(places) * per * sector < size + 2 * per * per * sector:
        numbers = struct.unpack(f"<{per}L", read(more))
        places, more = [*places, *numbers[:-1]], numbers[-1]
    found, table, held = bytearray(), (), -1
    while at < _NONE and len(found) < size:
        found += read(at)
        block, place = divmod(at, per)
        if block != held:
            table, held = struct.unpack(f"<{per}L", read(places[block])), block
        at = table[place]
    return bytes(found[:size])
