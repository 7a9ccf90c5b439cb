"""Where in a file the rows are: sheet and header row of a workbook, what stands before and after the rows, paths into JSON and XML.

Read from the contract's top-level customProperties. Does not belong here: encodings, delimiters and numerals (source_contract.py), which
rows are taken and what becomes of several (shape.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.mapping.column_cells import is_word, texts
from kpi_definitions.documents import Document, Fault

FORMATS = ("csv", "parquet", "xlsx", "xls", "ods", "json", "jsonl", "xml")
_OF_LINES = ("headerRow", "headerLines", "skipAfterHeader", "footer")
_OF_TREES, _OF_WORKBOOKS = ("json", "jsonl", "xml"), ("xlsx", "xls", "ods")
SETTINGS = ("sheet", *_OF_LINES, "rowPath", "members")
_MOST = 10_000  # lines above the records


@dataclass(frozen=True)
class Layout:
    """Defaults are those of a plain table: its first line is the header, and every line after it a record."""

    sheet: str = ""  # name or number from 1; empty: the only one that has the contract's headers
    header_row: int = 1  # the line that the header stands in, or ends in
    header_lines: int = 1  # lines of a header over several, joined by a blank where they differ
    skip_after_header: int = 0  # lines between header and records: units, numbers of columns
    footer: tuple[str, ...] = ()  # beginnings of a line, its first cell with anything, below which are no records
    row_path: str = ""  # of JSON: data.items; of XML: /root/row. Empty: the outermost list; in XML it must be given
    members: str = ""  # which files of an archive: a pattern like appeals_*.csv


def layout_of(document: Document, settings: Mapping[str, Any]) -> tuple[Layout, list[Fault]]:
    """The layout that a contract's settings say, and what is wrong with them; then the defaults hold in their place."""
    faults = [document.fault(("customProperties",), *said) for said in _faults(settings)]
    if faults:
        return Layout(), faults
    sheet, row = settings.get("sheet", ""), settings.get("headerRow", settings.get("headerLines", 1))
    return Layout(
        str(sheet),
        row,
        settings.get("headerLines", 1),
        settings.get("skipAfterHeader", 0),
        texts(settings.get("footer")),
        settings.get("rowPath", ""),
        settings.get("members", ""),
    ), []


def _faults(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong, and what to write instead."""
    for key, least in (("headerRow", 1), ("headerLines", 1), ("skipAfterHeader", 0)):
        value = settings.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
            yield f"{key} {value!r} is no number of lines", f"write a whole number from {least}, without quotes"
            return
    row, lines = settings.get("headerRow"), settings.get("headerLines", 1)
    if row is not None and row < lines:
        yield f"a header of {lines} lines cannot end in line {row}", "headerRow is its last line, counted from 1"
    sheet = settings.get("sheet", "")
    if isinstance(sheet, bool) or not isinstance(sheet, str | int) or (isinstance(sheet, int) and sheet < 1):
        yield f"sheet {sheet!r} names no sheet", "write its name, or its number from 1"
    footer = settings.get("footer", [])
    if not isinstance(footer, list) or not all(is_word(w) and str(w).strip() for w in footer):
        yield (
            f"footer {footer!r} is no list of words",
            "write how the line begins below which are no records: [Итого, Всего]",
        )
    for key, example in (("rowPath", "data.items, or /root/row in XML"), ("members", "'appeals_*.csv'")):
        value = settings.get(key, "-")
        if not isinstance(value, str) or not value.strip():
            yield f"{key} {value!r} is no text", f"write {key} like {example}"
    kind = settings.get("format", "")
    wrong = [key for key, kinds in _ONLY_OF if key in settings and kind and kind not in kinds]
    for key in wrong:
        yield (
            f"{key} means nothing in {kind}",
            "take it out, or mend `format`; without `format`, files of any kind are taken",
        )


_ONLY_OF = (
    ("sheet", _OF_WORKBOOKS),
    ("rowPath", _OF_TREES),
    *((key, ("csv", *_OF_WORKBOOKS)) for key in _OF_LINES),
)
