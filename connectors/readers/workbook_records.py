"""Old workbooks (XLS) looked at record by record, for what the library that reads their cells does not tell: errors, and which day is 0.

Whether a formula was ever calculated does not stand in them. Does not belong here: XLSX and ODS (workbook_parts.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from connectors.readers.compound_files import stream_of
from connectors.readers.headers import StructureError
from connectors.readers.workbook_parts import Parts, Unread

_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_FORMULA, _END, _FROM_1904, _PASSWORD, _SHEET, _TRUTH = 0x06, 0x0A, 0x22, 0x2F, 0x85, 0x205
_BEGIN = (0x809, 0x409, 0x209, 0x09)


def looked_into_records(path: Path, name: str) -> Parts:
    """Look into an old workbook. Raises StructureError for damage, and for a password."""
    try:
        book = stream_of(path, ("Workbook", "Book"))
        starts, from_1904 = list[int](), False
        for number, at, _ in _records(book, 0):
            if number == _PASSWORD:
                raise StructureError("refusal.encrypted_workbook", file=name, what="")
            if number == _FROM_1904:
                from_1904 = book[at] == 1
            elif number == _SHEET:
                starts.append(struct.unpack_from("<L", book, at)[0])
        return Parts(from_1904, in_order=tuple(_errors(book, start) for start in starts))
    except (ValueError, struct.error, IndexError) as error:
        if isinstance(error, StructureError):
            raise
        raise StructureError("refusal.workbook_damaged", file=name, error="") from None


def _records(book: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Number, place and length of each record from a place on, to the end that belongs to its beginning."""
    depth = 0
    while at + 4 <= len(book):
        number, length = struct.unpack_from("<2H", book, at)
        depth += (number in _BEGIN) - (number == _END)
        yield number, at + 4, length
        at += 4 + length
        if depth <= 0:
            return


def _errors(book: bytes, start: int) -> Unread:
    found: dict[int, dict[int, str]] = {}
    for number, at, length in _records(book, start):
        code = None
        if number == _TRUTH and length >= 8 and book[at + 7] == 1:
            code = book[at + 6]
        elif number == _FORMULA and length >= 14 and book[at + 12 : at + 14] == b"\xff\xff" and book[at + 6] == 2:
            code = book[at + 8]
        if code is not None:
            row, column = struct.unpack_from("<2H", book, at)
            found.setdefault(row, {})[column] = _ERRORS.get(code, "#ERROR!")
    return found
