"""The parts of a workbook looked at before it is opened: how much comes out of them, and what the library that reads cells does not tell.

It does not tell errors (#N/A, #REF!) and formulas that nobody has calculated from empty cells, nor the day that serial numbers are
counted from; and it takes memory for every cell of the used range, also for those that are not there. Does not belong here: sheets,
headers and records (workbooks.py).
"""

from __future__ import annotations

import html
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from connectors.personal_data.detection import harmless
from connectors.readers.headers import StructureError
from connectors.readers.limits import ANYHOW, MEMBERS, RATIO, is_machine_fault
from connectors.readers.open_document import MARKS, UNCALCULATED, Area, sheets_of
from connectors.readers.safe_xml import parsed

UNPACKED = 2 << 30  # bytes of all parts; our proposals, as the next
CELLS = 1 << 26  # of a sheet's used range, empty ones too
_CONTENT = "content.xml"  # of ODS
Unread = Mapping[int, Mapping[int, str]]  # row → column → text, both from 0
_BLOCK = 1 << 20
_ERROR = re.compile(rb"""\bt=["']e["']""")
_CELL = re.compile(rb"""<((?:\w+:)?)c\b([^>]*?)(?:/>|>(.*?)</\1c\s*>)""", re.DOTALL)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_NO_VALUE = re.compile(
    rb"(?:</(?:\w+:)?f\s*>|<(?:\w+:)?f\b[^>]*/>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v\s*>\s*</)?(?:\s*</)"
)
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]+)<")
_ADDRESS = re.compile(rb"""\br=["']([A-Z]{1,3})([0-9]{1,7})["']""")
_FILLED = re.compile(rb"""<(?:\w+:)?c\b[^>]*?\br=["']([A-Z]{1,3})([0-9]{1,7})["'][^>]*?(?<!/)>""")
_TEXT = re.compile(rb"""\bt=["'](?:str|s|inlineStr)["']""")  # a formula's result may be an empty text
_ROW_ENDS = (b"/row>", b":row>")
_ADDRESS_LENGTH = 14  # bytes, of r="XFD1048576"
_LONGEST_ROW = 64 << 20  # bytes
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError, KeyError)


@dataclass(frozen=True)
class Parts:
    """What is known of a workbook before it is opened."""

    from_1904: bool = False  # serial numbers are days since 1904-01-01
    unread: Mapping[str, Unread] = field(default_factory=dict)  # by sheet
    merged: Mapping[str, Sequence[Area]] = field(default_factory=dict)  # where the library does not tell it
    in_order: Sequence[Unread] = ()  # the same by the place of the sheet in the workbook, where that is what is known

    def of(self, sheet: str, place: int) -> Unread:
        """Of a sheet, by its name and its place from 0."""
        return self.in_order[place] if place < len(self.in_order) else self.unread.get(sheet, {})


def looked_into(path: Path, name: str) -> Parts:
    """Look into the parts of a workbook in a zip archive (XLSX, ODS). Raises StructureError beyond the limits, and for damage."""
    try:
        with zipfile.ZipFile(path) as package:
            infos = {i.filename: i for i in package.infolist()}
            if len(package.infolist()) > MEMBERS:
                raise StructureError("refusal.too_many_members", file=name, most=MEMBERS)
            if len(infos) < len(package.infolist()):
                raise StructureError("refusal.workbook_damaged", file=name, error="")
            limit = min(max(RATIO * path.stat().st_size, ANYHOW), UNPACKED)
            sheets = _sheets(package, name) if "xl/workbook.xml" in infos else _Sheets()
            by_part = {part: sheet for sheet, part in sheets.parts.items()}
            unread: dict[str, Unread] = {}
            with path.open("rb") as handle:
                special = False
                for info in infos.values():
                    part = _Part(handle, info, limit, name)
                    if info.filename == _CONTENT:
                        special = sum(1 for block in part.ending_with(b">") if MARKS.search(block)) > 0
                    elif info.filename in by_part:
                        unread[by_part[info.filename]] = _unread_cells(part, by_part[info.filename], name)
                    else:
                        for _ in part:
                            pass
                    limit -= part.size
            if special:
                with package.open(_CONTENT) as content:
                    tables = sheets_of(content, name)
                return Parts(unread=tables.unread, merged=tables.merged)
            return Parts(sheets.from_1904, unread)
    except _DAMAGE as error:
        if is_machine_fault(error) or isinstance(error, StructureError):
            raise
        raise StructureError("refusal.workbook_damaged", file=name, error=harmless(error)) from None


@dataclass(frozen=True)
class _Sheets:
    from_1904: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)  # sheet → its part


def _sheets(package: zipfile.ZipFile, name: str) -> _Sheets:
    book = parsed(_small(package, "xl/workbook.xml", name), name)
    links = parsed(_small(package, "xl/_rels/workbook.xml.rels", name), name)
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    found = {}
    for sheet in book.findall("{*}sheets/{*}sheet"):
        by = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
        target = targets.get(by, "")
        found[sheet.get("name", "")] = (
            target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
        )
    settings = book.find("{*}workbookPr")
    return _Sheets(settings is not None and settings.get("date1904") in ("1", "true"), found)


def _small(package: zipfile.ZipFile, part: str, name: str) -> bytes:
    with package.open(part) as source:
        text = source.read(_BLOCK + 1)
    if len(text) > _BLOCK:
        raise StructureError("refusal.workbook_too_large", file=name, ratio=RATIO, most=UNPACKED >> 30)
    return text


class _Part:
    """The bytes of a part, unpacked and counted. What is declared of its size is not trusted: another library reads it to its end."""

    def __init__(self, handle: BinaryIO, info: zipfile.ZipInfo, limit: int, name: str):
        self.handle, self.info, self.limit, self.name, self.size = handle, info, limit, name, 0

    def __iter__(self) -> Iterator[bytes]:
        self.size = found = 0
        for block in self._unpacked():
            self.size += len(block)
            found = zlib.crc32(block, found)
            if self.size > self.limit:
                raise StructureError("refusal.workbook_too_large", file=self.name, ratio=RATIO, most=UNPACKED >> 30)
            yield block
        if (self.size, found) != (self.info.file_size, self.info.CRC):
            raise ValueError("a part has changed since it was packed")

    def _unpacked(self) -> Iterator[bytes]:
        if self.info.flag_bits & 1:
            raise StructureError("refusal.encrypted_workbook", file=self.name, what="")
        if self.info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("a part is packed by another method")
        self.handle.seek(self.info.header_offset + 26)
        lengths = struct.unpack("<HH", self.handle.read(4))
        self.handle.seek(sum(lengths), 1)
        left = self.info.compress_size
        unpacker = None if self.info.compress_type == zipfile.ZIP_STORED else zlib.decompressobj(-15)
        while left and (packed := self.handle.read(min(left, _BLOCK >> 2))):
            left -= len(packed)
            while packed:
                yield unpacker.decompress(packed, _BLOCK) if unpacker else packed
                packed = unpacker.unconsumed_tail if unpacker else b""

    def ending_with(self, *ends: bytes) -> Iterator[bytes]:
        """The same in pieces that end with one of these, all of them of one length: rows of a sheet."""
        rest, letters = b"", len(ends[0])
        for block in self:
            rest += block
            end = max(map(rest.rfind, ends))
            if end >= 0:
                yield rest[: end + letters]
                rest = rest[end + letters :]
            elif len(rest) > _LONGEST_ROW:
                raise ValueError("a row is too long")
        yield rest


def _unread_cells(part: _Part, sheet: str, name: str) -> Unread:
    """The cells of a sheet that the library tells as empty and are not. Raises StructureError for a used range that is too large."""
    found: dict[int, dict[int, str]] = {}
    rows = columns = 0
    for piece in part.ending_with(*_ROW_ENDS):
        last = _extent(piece)
        rows, columns = max(rows, last[0]), max(columns, last[1])
        formulas = b"<f" in piece or b":f" in piece
        if b't="e"' in piece or b"t='e'" in piece or (formulas and _NO_VALUE.search(piece)):
            for cell in _CELL.finditer(piece):
                text = _unread(cell[2], cell[3] or b"")
                if text:
                    row, column = _address(cell[2])
                    found.setdefault(row, {})[column] = text
    if rows * columns > CELLS and _filled(part) > CELLS:
        raise StructureError("refusal.sheet_too_large", file=name, sheet=sheet, most=CELLS)
    return found


def _unread(attributes: bytes, body: bytes) -> str:
    """What stands in a cell that holds an error, or a formula without a value; else nothing."""
    value = _VALUE.search(body)
    if _ERROR.search(attributes):
        return html.unescape(value[1].decode("utf-8", "replace")) if value else UNCALCULATED
    if value or not _FORMULA.search(body) or _TEXT.search(attributes):
        return ""
    return UNCALCULATED


def _address(attributes: bytes) -> tuple[int, int]:
    """Row and column of a cell, from 0. Raises ValueError if the cell does not say."""
    found = _ADDRESS.search(attributes)
    if not found:
        raise ValueError("a cell has no address")
    return int(found[2]) - 1, _column(found[1]) - 1


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _extent(piece: bytes) -> tuple[int, int]:
    """The largest row and column that any address in a piece of a sheet has, empty cells too; 0 for none. Takes 2 ms a megabyte."""
    letters = np.frombuffer(piece + bytes(_ADDRESS_LENGTH), np.uint8)
    at = np.flatnonzero((letters[:-_ADDRESS_LENGTH] == ord("r")) & (letters[1 : 1 - _ADDRESS_LENGTH] == ord("="))) + 3
    if not len(at):
        return 0, 0
    column, upper = np.zeros(len(at), np.int64), np.ones(len(at), bool)
    for _ in range(3):
        letter = letters[at]
        upper &= (letter >= ord("A")) & (letter <= ord("Z"))
        column = np.where(upper, column * 26 + letter - 64, column)
        at = at + upper
    row, digit = np.zeros(len(at), np.int64), np.ones(len(at), bool)
    for place in range(7):
        letter = letters[at + place]
        digit &= (letter >= ord("0")) & (letter <= ord("9"))
        row = np.where(digit, row * 10 + letter - 48, row)
    return int(row.max()), int(column.max())


def _filled(part: _Part) -> int:
    """How many cells the used range has: from the first that holds anything to the last."""
    rows, columns = set[int](), set[int]()
    for piece in part.ending_with(*_ROW_ENDS):
        for found in _FILLED.finditer(piece):
            rows.add(int(found[2]))
            columns.add(_column(found[1]))
    return (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1) if rows else 0
