"""Workbooks of Excel 97 to 2003, written record by record: no library that writes them is needed for what the tests read.

One stream of BIFF8 records in a compound file (OLE2). Does not belong here: workbooks that a library writes (workbooks.py).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GENERAL, MOMENT, PERCENT, ELAPSED = range(4)  # formats of cells
_FORMATS = (0, 22, 9, 46)  # their numbers among those that every workbook has
_ERRORS = {"#NULL!": 0, "#DIV/0!": 7, "#VALUE!": 15, "#REF!": 23, "#NAME?": 29, "#NUM!": 36, "#N/A": 42}
_SECTOR = 512


@dataclass(frozen=True)
class Of:
    """A number shown by a format, an error, or the result of a formula."""

    value: float | str
    shown: int = GENERAL
    formula: bool = False


Value = float | str | bool | Of | None


def xls(
    *sheets: tuple[str, Sequence[Sequence[Value]]],
    from_1904: bool = False,
    hidden: Sequence[str] = (),
    merged: Sequence[tuple[int, int, int, int]] = (),
    first: tuple[int, int] = (0, 0),
) -> bytes:
    """A workbook of these sheets, each with its lines from cell `first` on. `merged`: rows and columns (first, last, first, last), from 0."""
    bodies = [_sheet(lines, merged, first) for _, lines in sheets]
    head = _record(0x809, struct.pack("<4H2L", 0x600, 5, 0, 1997, 0, 6)) + _record(0x42, struct.pack("<H", 1200))
    head += _record(0x22, struct.pack("<H", from_1904))
    head += b"".join(_record(0xE0, struct.pack("<2H16x", 0, number)) for number in _FORMATS)
    names = [(name in hidden, _text(name, "B")) for name, _ in sheets]
    at = len(head) + sum(4 + 6 + len(name) for _, name in names) + 4
    for (is_hidden, name), body in zip(names, bodies, strict=True):
        head += _record(0x85, struct.pack("<L2B", at, is_hidden, 0) + name)
        at += len(body)
    return compound({"Workbook": head + _record(0x0A) + b"".join(bodies)})


def _sheet(
    lines: Sequence[Sequence[Value]], merged: Sequence[tuple[int, int, int, int]], first: tuple[int, int]
) -> bytes:
    body = _record(0x809, struct.pack("<4H2L", 0x600, 16, 0, 1997, 0, 6))
    for row, line in enumerate(lines, first[0]):
        body += b"".join(_cell(row, column, value) for column, value in enumerate(line, first[1]) if value is not None)
    if merged:
        body += _record(0xE5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<4H", *area) for area in merged))
    return body + _record(0x0A)


def _cell(row: int, column: int, value: Value) -> bytes:
    one = value if isinstance(value, Of) else Of(value if isinstance(value, str) else float(value or 0))
    place = struct.pack("<3H", row, column, one.shown)
    if isinstance(value, bool):
        return _record(0x205, place + struct.pack("<2B", value, 0))
    if isinstance(value, str):
        return _record(0x204, place + _text(value, "H"))
    if one.formula:
        result = (
            struct.pack("<d", one.value)
            if isinstance(one.value, float)
            else bytes((2, 0, _ERRORS[one.value], 0, 0, 0, 255, 255))
        )
        return _record(0x06, place + result + struct.pack("<HLH", 0, 0, 0))
    if isinstance(one.value, str):
        return _record(0x205, place + struct.pack("<2B", _ERRORS[one.value], 1))
    return _record(0x203, place + struct.pack("<d", one.value))


def _record(number: int, data: bytes = b"") -> bytes:
    return struct.pack("<2H", number, len(data)) + data


def _text(text: str, length: str) -> bytes:
    return struct.pack(f"<{length}B", len(text), 1) + text.encode("utf-16-le")


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with these streams, each of at least 4,096 bytes: smaller ones are filled up with zeros."""
    table: list[int] = []
    sectors, entries = b"", _entry("Root Entry", 5, 1, 0xFFFFFFFE, 0)
    for number, (name, content) in enumerate(streams.items(), 1):
        content = content.ljust(4096, b"\0")
        content += bytes(-len(content) % _SECTOR)
        following = number + 1 if number < len(streams) else 0xFFFFFFFF
        entries += _entry(name, 2, 0xFFFFFFFF, len(table), len(content), following)
        count = len(content) // _SECTOR
        table += [*range(len(table) + 1, len(table) + count), 0xFFFFFFFE]
        sectors += content
    entries += bytes(-len(entries) % _SECTOR)
    directory, count = len(table), len(entries) // _SECTOR
    table += [*range(directory + 1, directory + count), 0xFFFFFFFE]
    blocks = (len(table) + 1) // (_SECTOR // 4 - 1) + 1
    first_block = len(table)
    table += [0xFFFFFFFD] * blocks
    table += [0xFFFFFFFF] * (blocks * _SECTOR // 4 - len(table))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<9L", 0, blocks, directory, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    places = [*range(first_block, first_block + blocks)]
    head += struct.pack("<109L", *places, *[0xFFFFFFFF] * (109 - blocks))
    return head + sectors + entries + struct.pack(f"<{len(table)}L", *table)


def _entry(name: str, kind: int, child: int, start: int, size: int, following: int = 0xFFFFFFFF) -> bytes:
    letters = name.encode("utf-16-le")
    head = letters.ljust(64, b"\0") + struct.pack("<H2B3L", len(letters) + 2, kind, 1, 0xFFFFFFFF, following, child)
    return head.ljust(116, b"\0") + struct.pack("<LQ", start, size)
