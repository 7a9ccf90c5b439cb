"""Where in a file the rows are: sheet and header row of a workbook, what stands before and after the rows, paths into JSON and XML.

Read from the contract's top-level customProperties. Does not belong here: encodings, delimiters and numerals (source_contract.py), which
rows are taken and what becomes of several (shape.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Defaults are those of a plain table: its first line is the header, and every line after it a record."""

    sheet: str = ""  # name or number from 1; empty: the only one that has the contract's headers
    header_row: int = 1  # the line that the header stands in, or ends in
    header_lines: int = 1  # lines of a header over several, joined by a blank where they differ
    skip_after_header: int = 0  # lines between header and records: units, numbers of columns
    footer: tuple[
        str, ...
    ] = ()  # beginnings of a line, its first cell with anything, with which the records end: Итого
    row_path: str = ""  # of JSON: data.items; of XML: /root/row. Empty: the outermost list; in XML it must be given
    members: str = ""  # which files of an archive: a pattern like appeals_*.csv
