"""Workbooks of OpenDocument (ODS) looked at for what the library that reads their cells does not tell: errors, formulas that nobody has
calculated, cells that are merged.

Does not belong here: XLSX, sizes of parts (workbook_parts.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from connectors.readers.safe_xml import SETTINGS, refuse_document_type

UNCALCULATED = "#CALC!"  # what is put where a formula has no value
Area = tuple[tuple[int, int], tuple[int, int]]  # first and last cell, row and column from 0
# what shows, in the bytes of a part, that there is something to look for
MARKS = re.compile(
    rb"""value-type=["']error|>#|>Err:|-spanned=["'](?!1["'])|<table:table-cell\b(?![^>]*office:value-type)[^>]*formula="""
)
_MOST = 1 << 20  # rows of a sheet
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


class Sheets:
    """By sheet: what stands in cells (row → column → text, from 0), and areas of merged cells."""

    def __init__(self) -> None:
        self.unread: dict[str, dict[int, dict[int, str]]] = {}
        self.merged: dict[str, list[Area]] = {}


def sheets_of(content: IO[bytes], name: str) -> Sheets:
    """Look through the content of a workbook. Raises StructureError, ValueError for what is no XML."""
    from lxml import etree

    found, sheet, row = Sheets(), "", 0
    events = etree.iterparse(content, events=("start", "end"), tag=(f"{_TABLE}table", f"{_TABLE}table-row"), **SETTINGS)
    try:
        for event, element in events:
            if event == "start" and element.tag == f"{_TABLE}table":
                refuse_document_type(element, name)
                sheet, row = element.get(f"{_TABLE}name", ""), 0
            elif event == "end" and element.tag == f"{_TABLE}table-row":
                times = _number(element, "number-rows-repeated")
                _look_at(element, found, sheet, row, times)
                row += times
                element.clear()
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from None
    return found


def _look_at(line: Any, found: Sheets, sheet: str, row: int, times: int) -> None:
    for column, width, cell in _cells(line):
        down, right = _number(cell, "number-rows-spanned"), _number(cell, "number-columns-spanned")
        if down > 1 or right > 1:
            found.merged.setdefault(sheet, []).append(((row, column), (row + down - 1, column + right - 1)))
        if text := _unread(cell):
            for at in range(row, min(row + times, _MOST)):
                found.unread.setdefault(sheet, {}).setdefault(at, {}).update(
                    dict.fromkeys(range(column, column + width), text)
                )


def _cells(line: Any) -> Iterator[tuple[int, int, Any]]:
    """Column, how often it is repeated, element of each cell."""
    column = 0
    for cell in line:
        if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            times = _number(cell, "number-columns-repeated")
            yield column, min(times, 1 << 14), cell
            column += times


def _number(element: Any, attribute: str) -> int:
    return max(int(element.get(_TABLE + attribute, "1")), 1)


def _unread(cell: Any) -> str:
    """What stands in a cell that holds an error, or a formula without a value; else nothing."""
    attributes: Mapping[str, str] = cell.attrib
    formula = f"{_TABLE}formula" in attributes
    said = attributes.get(f"{_OFFICE}value-type", "")
    kinds = {value for name, value in attributes.items() if name.endswith("}value-type")}
    text = "".join(cell.itertext()).strip()
    if "error" in kinds or (formula and text.startswith(("#", "Err:"))):
        return text or "#ERROR!"
    return UNCALCULATED if formula and not said and not text else ""
