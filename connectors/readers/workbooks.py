"""Rows of a workbook: XLSX, XLS, ODS. Which sheet, which lines of it are the header, and where the records begin and end.

Cells come as the contract's grammar reads them (written_cells.py). Hidden rows and columns are rows and columns; a formula is its last
value. Does not belong here: what the library that reads the cells does not tell (workbook_parts.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.safe_names import safe_name
from connectors.readers.compound_files import COMPOUND
from connectors.readers.headers import StructureError, listed
from connectors.readers.kinds import EMPTY_ZIP, ZIPPED
from connectors.readers.record import Record, Rows, holds_something
from connectors.readers.trimming import begins_with
from connectors.readers.workbook_parts import Parts, Unread, looked_into
from connectors.readers.workbook_records import looked_into_records
from connectors.readers.written_cells import WrittenCells
from warehouse.messages.messages import Message

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_FROM_1904 = 1462  # days from 1899-12-30 to 1904-01-01
_FAR = 1 << 14  # columns that a sheet can have
_BLANKS = re.compile(r"\s+")
_AT_ONCE = 1_000  # rows
_LAST = 100  # records above a footer, that tell what a record looks like; our proposal, as in trimming.py
Line = tuple[int, Sequence[Any]]  # number of a row as the sheet has it, cells


def rows(path: Path, contract: SourceContract, name: str) -> Rows:
    """The rows of the sheet that the contract means. Raises StructureError."""
    parts = _parts(path, name)
    book = _opened(path, name)
    sheet = _chosen(book, parts, contract, name)
    table = _Table(sheet, contract, parts.from_1904, name)
    return Rows(tuple(table.header), table.records(), below=table.below)


def _parts(path: Path, name: str) -> Parts:
    with path.open("rb") as handle:
        start = handle.read(len(COMPOUND))
    if start[:4] in (ZIPPED, EMPTY_ZIP):
        return looked_into(path, name)
    if start == COMPOUND:
        return looked_into_records(path, name)
    raise StructureError("refusal.workbook_damaged", file=name, error="its first bytes are no workbook's")


def _opened(path: Path, name: str) -> CalamineWorkbook:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError:
        raise StructureError("refusal.encrypted_workbook", file=name, what="") from None
    except (CalamineError, OSError, ValueError) as error:
        raise StructureError("refusal.workbook_damaged", file=name, error=harmless(error)) from None


def sheets(path: Path, name: str) -> Iterator[tuple[str, Iterator[Sequence[str]]]]:
    """Each sheet with its lines from the first on, as plain texts: for who has to find out where its table stands. Raises StructureError."""
    parts, book = _parts(path, name), _opened(path, name)
    for one in _worksheets(book):
        sheet = _sheet(book, parts, one, name)
        yield one, ([str(cell) for cell in line] for _, line in sheet.lines())


# --- which sheet ---


def _chosen(book: CalamineWorkbook, parts: Parts, contract: SourceContract, name: str) -> _Sheet:
    """The sheet that the contract names, else the only one whose header has all that the contract needs."""
    names, wanted = _worksheets(book), contract.layout.sheet
    if not names:
        raise StructureError("refusal.workbook_damaged", file=name, error="no sheet")
    if wanted:
        found = [n for n in names if _plain(n) == _plain(wanted)]
        if not found and wanted.isdecimal() and 1 <= int(wanted) <= len(book.sheet_names):
            found = [book.sheet_names[int(wanted) - 1]]
        if len(found) != 1:
            shown = _shown(book, names)
            raise StructureError("refusal.no_such_sheet", file=name, sheet=wanted, sheets=shown, contract=contract.id)
        return _sheet(book, parts, found[0], name)
    if len(names) == 1:
        return _sheet(book, parts, names[0], name)
    fitting, filled = list[_Sheet](), list[_Sheet]()
    for one in names:
        sheet = _sheet(book, parts, one, name)
        if sheet.end:
            filled = [*filled[:1], sheet]  # two show that there are several
        if sheet.end and {*contract.headers} <= {*_Table(sheet, contract, False, name).named()}:
            fitting.append(sheet)
    if len(fitting) != 1 and len(filled) != 1:
        code = "refusal.several_sheets_fit" if fitting else "refusal.no_sheet_fits"
        shown = _shown(book, [one.name for one in fitting] or names)
        raise StructureError(code, file=name, sheets=shown, contract=contract.id)
    return (fitting or filled)[0]


def _worksheets(book: CalamineWorkbook) -> list[str]:
    """Names of the sheets that have cells; hidden ones too."""
    from python_calamine import SheetTypeEnum

    return [s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]


def _shown(book: CalamineWorkbook, names: Sequence[str]) -> Any:
    """Sheets by number and name, as they may be shown."""
    return listed(f"{book.sheet_names.index(n) + 1} «{safe_name(n)}»" for n in names)


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()


def _sheet(book: CalamineWorkbook, parts: Parts, sheet: str, name: str) -> _Sheet:
    from python_calamine import CalamineError

    try:
        found = book.get_sheet_by_name(sheet)
        merged = found.merged_cell_ranges or parts.merged.get(sheet, ())
    except (CalamineError, OSError, ValueError) as error:
        shown = safe_name(sheet)
        raise StructureError("refusal.sheet_damaged", file=name, sheet=shown, error=harmless(error)) from None
    return _Sheet(sheet, found, merged, parts.of(sheet, book.sheet_names.index(sheet)))


@dataclass(frozen=True)
class _Sheet:
    """The cells of one sheet, those that the library does not tell put in their places."""

    name: str
    found: CalamineSheet
    merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]  # first and last cell of each, from 0
    unread: Unread

    @property
    def first(self) -> int:
        """The first column of the used range, from 0."""
        return min(
            [self.found.start[1] if self.found.start else _FAR, *(c for row in self.unread.values() for c in row)]
        )

    @property
    def end(self) -> int:
        """The column behind the used range; 0 of an empty sheet."""
        return max([self.found.end[1] if self.found.end else -1, *(c for row in self.unread.values() for c in row)]) + 1

    def lines(self) -> Iterator[Line]:
        """Every row from the sheet's first on, empty ones too; its cells from column `first` on."""
        first, end = self.first, self.end
        start, stop = (
            (self.found.start[1], self.found.end[1] + 1) if self.found.start and self.found.end else (first, first)
        )
        before, after = [""] * (start - first), [""] * (end - stop)
        last = max(self.unread, default=-1)
        found = self.found.iter_rows() if self.found.start else iter(())
        for number, line in enumerate(chain(found, repeat(()))):
            if not line and number > last:
                return
            cells = line or [""] * (stop - start)
            if before or after:
                cells = [*before, *cells, *after]
            if number in self.unread:
                cells = list(cells)
                for column, text in self.unread[number].items():
                    cells[column - first] = text
            yield number + 1, cells


# --- header and records ---


class _Table:
    """The table that stands in a sheet."""

    def __init__(self, sheet: _Sheet, contract: SourceContract, from_1904: bool, file_name: str):
        self._file_name, self.below = file_name, list[Message]()
        self._sheet, self._contract, self._layout = sheet, contract, contract.layout
        self._shift = _FROM_1904 if from_1904 else 0
        self._plainly = WrittenCells(contract, "")
        self._header_lines = self._found_header()
        self._names = self.named()
        # a column above which nothing stands, or only what other cells are merged into, is one if it holds anything
        bare = [n for n in range(len(self._names)) if not any(_holds(line[n]) for _, line in self._header_lines)]
        filled = self._filled(bare) if bare else set()
        self._places = [n for n in range(len(self._names)) if n not in bare or n in filled]
        self.header = [self._names[n] or f"[{letters(sheet.first + n)}]" for n in self._places]

    def named(self) -> list[str]:
        """The names of the columns from the used range's first on, in the contract's spelling; nothing where no name stands."""
        lines = self._header_lines
        if not lines:
            return []
        merged = self._merged()
        names = []
        for n in range(len(lines[-1][1])):
            column = self._sheet.first + n
            parts = [self._text(merged.get((number - 1, column), line[n]), self._plainly) for number, line in lines]
            names.append(" ".join(dict.fromkeys(p for p in (_plain(part or "") for part in parts) if p)))
        spelt = {
            _plain(h): h for h in (*self._contract.headers, *(c.header for c in self._contract.columns if c.header))
        }
        found = []
        for n, name in enumerate(names):
            by_letter = f"{name} [{letters(self._sheet.first + n)}]".strip()
            found.append(spelt.get(by_letter) or spelt.get(name, name))
        return found

    def _found_header(self) -> list[Line]:
        """The lines of the header. Where it is to stand in the first row, it stands in the first that has anything."""
        last = self._layout.header_row
        first = last - self._layout.header_lines + 1
        found = []
        for number, line in self._sheet.lines():
            if last == 1 and any(line):
                return [(number, line)]
            if last > 1 and first <= number <= last:
                found.append((number, line))
            if number >= last > 1:
                break
        return found

    def _merged(self) -> Mapping[tuple[int, int], Any]:
        """What stands in merged cells of the header, for each cell of theirs."""
        value_at = {
            (number - 1, self._sheet.first + n): v for number, line in self._header_lines for n, v in enumerate(line)
        }
        found = {}
        for (top, left), (bottom, right) in self._sheet.merged:
            if (top, left) in value_at:
                for row in range(top, min(bottom, self._header_lines[-1][0] - 1) + 1):
                    for column in range(left, min(right, self._sheet.end - 1) + 1):
                        found[row, column] = value_at[top, left]
        return found

    def _filled(self, columns: Sequence[int]) -> set[int]:
        """Those of the columns that hold anything in any record."""
        found = set[int]()
        for _, line in self._lines():
            found.update(n for n in columns if n not in found and _holds(line[n]))
            if len(found) == len(columns):
                break
        return found

    def _lines(self) -> Iterator[Line]:
        """The rows that hold records, empty ones too."""
        if not self._header_lines:
            return
        begin, footer = self._header_lines[-1][0] + self._layout.skip_after_header, self._layout.footer
        lines = (one for one in self._sheet.lines() if one[0] > begin)
        filled = deque[int](maxlen=_LAST)
        for number, line in lines:
            if footer:
                if word := begins_with(list(map(str, line)), footer):
                    self._end(number, word, min(filter(None, filled), default=2), lines)
                    return
                filled.append(sum(map(_holds, line)))
            yield number, line

    def _end(self, number: int, word: str, least: int, below: Iterator[Line]) -> None:
        """What stands below the records. Raises StructureError if there seem to be records too: as filled as the least filled of the last."""
        last = number
        for last, line in below:
            if sum(map(_holds, line)) >= max(least, 2) and not begins_with(list(map(str, line)), self._layout.footer):
                said = {"file": self._file_name, "word": word, "line": number, "record": last}
                raise StructureError("refusal.records_below_footer", **said, contract=self._contract.id)
        told = {"code": "finding.footer", "file": self._file_name, "word": word, "first": number, "last": last}
        self.below[:] = [told]

    def records(self) -> Iterator[Record]:
        """The records, in order. Cells are written column by column: most columns hold one kind of them."""
        writers = [WrittenCells(self._contract, h) for h in self.header]
        lines = self._lines()
        while batch := list(islice(lines, _AT_ONCE)):
            every = list(zip(*(line for _, line in batch), strict=True))
            columns = [self._texts(every[n], writer) for n, writer in zip(self._places, writers, strict=True)]
            for (number, line), cells in zip(batch, map(list, zip(*columns, strict=True)), strict=True):
                if holds_something(cells, self._contract):
                    yield Record(cells, partial(self._shown, number, line))

    def _texts(self, column: Sequence[Any], written: WrittenCells) -> Sequence[str | None]:
        """Cells of one column as texts."""
        kinds = set(map(type, column))
        if kinds == {float} and not written.serial:
            return written.doubles(column)
        if kinds == {str} and "" not in column:
            return column
        if kinds == {dt.datetime}:
            return written.moments(column)
        return [(c or None) if c.__class__ is str else self._text(c, written) for c in column]

    def _text(self, cell: Any, written: WrittenCells) -> str | None:
        """A cell as text."""
        kind = cell.__class__
        if kind is str:
            return cell or None
        if kind is bool:
            return written.truth(cell)
        if kind is float or kind is int:
            return written.double(float(cell) + (self._shift if written.serial else 0))
        if kind is dt.datetime or kind is dt.date:
            return written.moment(cell)
        return _clock(cell)

    def _shown(self, number: int, line: Sequence[Any]) -> tuple[str, str]:
        cells = ((letters(self._sheet.first + n), self._text(c, self._plainly)) for n, c in enumerate(line))
        raw = "; ".join(f"{letters}{number}: {text}" for letters, text in cells if text)
        return f"sheet «{self._sheet.name}», row {number}", raw


def _holds(cell: Any) -> bool:
    """Whether anything can be seen in a cell."""
    return cell.strip() != "" if cell.__class__ is str else True


def _clock(time: dt.time | dt.timedelta) -> str:
    """A time of day, or a duration in hours, minutes and seconds."""
    if isinstance(time, dt.time):
        return time.isoformat("milliseconds" if time.microsecond else "seconds")
    sign, milliseconds = ("-" if time < dt.timedelta() else ""), round(abs(time) / dt.timedelta(milliseconds=1))
    minutes, rest = divmod(milliseconds, 60_000)
    fraction = f".{rest % 1000:03}" if rest % 1000 else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{fraction}"


def letters(column: int) -> str:
    """A column as a workbook calls it; `column` from 0."""
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
