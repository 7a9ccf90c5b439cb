"""Control files: CSV of what a source has, a line for each table, settlement and month, and for each column that is summed.

    table,settlement,month,rows,column,sum,filled
    fct_appeal,710000000,2026-01,1204,,,
    fct_gov_cost,710000000,2026-01,311,amount_kzt,18400250.75,309

`column`, `sum` and `filled` (how many rows have a value) may be left out; where there is no row a cell is stated with rows 0. Written by who runs
the source, or made of its database's answers (of_source.py). Does not belong here: what is done with it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from connectors.archive.archive import Archive
from warehouse.loading.control_totals import Cell, Control, Sum, Total
from warehouse.periods import Period
from warehouse.tables.settlements import UnknownPlaceError, one_place, registered

_HEADERS = ("table", "settlement", "month", "rows", "column", "sum", "filled")
_NEEDED = _HEADERS[:4]
_COUNT = re.compile(r"\d{1,15}")
_NUMBER = re.compile(r"-?\d{1,28}(\.\d{1,20})?")
_LARGEST = 64 << 20  # bytes


class ControlError(ValueError):
    """A control file cannot be taken as it is; the message names file, line, rule and what to do. Nothing was compared."""


@dataclass(frozen=True)
class Line:
    """One line of a control file."""

    cell: Cell
    rows: int
    column: str = ""
    sum: Decimal | None = None
    filled: int | None = None


def control_of(content: bytes, name: str, system: str, period: Period, sha256: str, origin: str) -> Control:
    """What a control file says of a period. Raises ControlError."""
    totals: dict[Cell, Total] = {}
    known: set[tuple[Cell, str]] = set()
    for number, line in _lines(content, name):
        place = f"{name}, line {number}"
        if line.cell[2] not in period.months:
            raise ControlError(
                f"{place}: {line.cell[2]} is no month of {period.id}; name the quarter with --quarter, a file for each"
            )
        if (line.cell, line.column) in known:
            raise ControlError(f"{place}: {' '.join(line.cell)} {line.column} is stated twice; leave one line of it")
        known.add((line.cell, line.column))
        before = totals.get(line.cell, Total(line.rows))
        if before.rows != line.rows:
            raise ControlError(
                f"{place}: {' '.join(line.cell)} has {line.rows} rows here and {before.rows} in a line before; write the number that is so"
            )
        sums = dict(before.sums)
        if line.column:
            sums[line.column] = Sum(line.sum or Decimal(0), line.filled)
        totals[line.cell] = Total(line.rows, sums)
    if not totals:
        raise ControlError(
            f"{name} states nothing; write a line for each table, settlement and month, rows 0 where there is none"
        )
    return Control(system, period, sha256, origin, totals)


def keep(archive: Archive, file: Path, system: str, period: Period, origin: str) -> Control:
    """A control file, kept in the archive as it is, by its SHA-256. Raises ControlError, ArchiveError."""
    try:
        if file.stat().st_size > _LARGEST:
            raise ControlError(f"{file} has more than {_LARGEST:,} bytes: that is no control file")
        content = file.read_bytes()
    except OSError as error:
        raise ControlError(f"{file} cannot be read ({error.strerror})") from None
    control_of(content, file.name, system, period, "", origin)  # what is no control file is not kept
    return control_of(content, file.name, system, period, archive.keep(file), origin)


def write(file: Path, lines: Iterator[Line]) -> None:
    """Lines as a control file."""
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(_HEADERS)
        for one in lines:
            said = "" if one.sum is None else f"{one.sum:f}"
            writer.writerow([*one.cell, one.rows, one.column, said, "" if one.filled is None else one.filled])


def _lines(content: bytes, name: str) -> Iterator[tuple[int, Line]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ControlError(f"{name} is no text in UTF-8 (byte {error.start:,}); save it as UTF-8") from None
    reader = csv.reader(text.splitlines(), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header([cell.strip() for cell in cells], name)
            elif len(cells) != len(header):
                raise ControlError(
                    f"{name}, line {reader.line_num}: {len(cells)} cells, the header has {len(header)}; the file is CSV with commas"
                )
            else:
                yield (
                    reader.line_num,
                    _line(
                        dict(zip(header, (c.strip() for c in cells), strict=True)), f"{name}, line {reader.line_num}"
                    ),
                )
    except csv.Error as error:
        raise ControlError(
            f"{name}, line {reader.line_num}: cannot be split ({error}); the file is CSV with commas"
        ) from None


def _header(found: list[str], name: str) -> list[str]:
    unknown, missing = [h for h in found if h not in _HEADERS], [h for h in _NEEDED if h not in found]
    if unknown or missing or len(set(found)) != len(found):
        raise ControlError(
            f"{name}, line 1: the headers are {', '.join(found)}; write {','.join(_NEEDED)} and, of sums, column,sum,filled"
        )
    return found


def _line(said: Mapping[str, str], place: str) -> Line:
    table, settlement, month, rows = (said[name] for name in _NEEDED)
    column, total, filled = (said.get(name, "") for name in _HEADERS[4:])
    try:
        settlement, _ = one_place(settlement, registered())
    except UnknownPlaceError as error:
        raise ControlError(f"{place}: {error}") from None
    if not _COUNT.fullmatch(rows) or (filled and not _COUNT.fullmatch(filled)):
        raise ControlError(f"{place}: rows and filled are whole numbers, digits alone")
    if bool(column) != bool(total) or (total and not _NUMBER.fullmatch(total)):
        raise ControlError(f"{place}: a sum stands beside its column, digits with a decimal point: 18400250.75")
    if filled and (not column or int(filled) > int(rows)):
        raise ControlError(f"{place}: filled is how many of the rows have a value in column")
    return Line(
        (table, settlement, month),
        int(rows),
        column,
        Decimal(total) if total else None,
        int(filled) if filled else None,
    )
