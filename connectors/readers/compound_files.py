"""Files of OLE2, the form of Excel, Word and PowerPoint up to 2003 and of everything that was encrypted since: what lies in them.

Read is the list of names alone, to tell an old workbook from what else has this form. Does not belong here: the rows of a workbook
(workbooks.py).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD = 512
_ENTRY = 128
_NONE = 0xFFFFFFF0  # numbers from here on are no sectors and no entries
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
