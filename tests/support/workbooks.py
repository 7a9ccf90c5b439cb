"""Workbooks and contracts for tests of the readers: cells put where a test wants them, and the XML of a part changed by hand."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from connectors.mapping.cell_grammar import Cell, Numerals
from connectors.mapping.layout import Layout
from connectors.mapping.source_contract import SourceColumn, SourceContract
from connectors.readers.kinds import Kind, Part
from connectors.readers.record import ReadRows
from connectors.readers.rows import written

Cells = Mapping[str, Any]  # address → value


def contract(
    *headers: str, layout: Layout | None = None, cells: Mapping[str, Cell] | None = None, **settings: Any
) -> SourceContract:
    """A contract that takes these headers as they are. `cells`: what a column's cells may hold, where it is no text."""
    columns = tuple(
        SourceColumn(f"c{n}", h, None, {}, (cells or {}).get(h, Cell("VARCHAR"))) for n, h in enumerate(headers)
    )
    decimal = settings.setdefault("decimal", ".")
    numerals = Numerals(decimal, declared=decimal != ".")
    return SourceContract(
        "made.up", "1", "made-up", "t", columns, headers, layout=layout or Layout(), numerals=numerals, **settings
    )


def xlsx(
    *sheets: tuple[str, Cells] | Cells,
    merged: Sequence[str] = (),
    formats: Mapping[str, str] | None = None,
    hidden: Sequence[str] = (),
    from_1904: bool = False,
) -> bytes:
    """A workbook with the cells of each sheet. `merged` and `formats` are of the first."""
    book = Workbook()
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
    book.remove(book.worksheets[0])
    for number, one in enumerate(sheets, 1):
        name, cells = one if isinstance(one, tuple) else (f"Sheet{number}", one)
        sheet = book.create_sheet(name)
        for address, value in cells.items():
            sheet[address] = value
        if name in hidden:
            sheet.sheet_state = "hidden"
    for address, code in (formats or {}).items():
        book.worksheets[0][address].number_format = code
    for area in merged:
        book.worksheets[0].merge_cells(area)
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def table(*lines: Sequence[Any], row: int = 1, column: int = 1) -> dict[str, Any]:
    """Cells of lines, from a corner on."""
    return {
        f"{letters(column + x)}{row + y}": value
        for y, line in enumerate(lines)
        for x, value in enumerate(line)
        if value is not None
    }


def letters(column: int) -> str:
    """A column from 1 as workbooks call it."""
    return letters((column - 1) // 26) + chr(65 + (column - 1) % 26) if column else ""


def changed(book: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """A workbook with one part written otherwise."""
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(book)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as sink:
        assert part in source.namelist()
        for info in source.infolist():
            text = source.read(info)
            sink.writestr(info.filename, change(text.decode()).encode() if info.filename == part else text)
    return target.getvalue()


def read_by(
    rows: ReadRows, content: bytes | str, folder: Path, of: SourceContract
) -> tuple[list[str], list[list[str | None]]]:
    """Header and cells as a reader gives them."""
    path = folder / "content"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = rows(path, of, "extract")
    return list(found.header), [one.cells for one in found.records]


def taken(kind: Kind, folder: Path, of: SourceContract, *contents: str) -> list[list[str]]:
    """Records of several files as they are written for the reading pass, without their numbers. Raises StructureError."""
    parts = [Part(f"file{n}", folder / f"file{n}", kind) for n in range(len(contents))]
    for one, content in zip(parts, contents, strict=True):
        one.path.write_text(content, encoding="utf-8")
    written(parts, of, folder / "rows", "extract")
    with (folder / "rows").open(encoding="utf-8", newline="") as lines:
        return [cells[:-2] for cells in csv.reader(lines)][1:]
