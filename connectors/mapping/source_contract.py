"""Source contracts: how one system's file becomes rows of one showcase table.

An ODCS document whose single schema object is named after the showcase table. Each property is a column of that table:
`physicalName` is the header in the file, or `transformLogic` makes it from the headers in `transformSourceObjects`.
A file in the standard exchange format (UTF-8 CSV or Parquet with the table's own column names) needs none.
Does not belong here: reading documents (read_contracts.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from connectors.mapping.cell_grammar import Cell, Civil, Numerals, stripped
from connectors.mapping.column_cells import cells_of_table
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.layout import Layout
from connectors.mapping.shape import Logic, Shape
from connectors.mapping.transform import Transform, converted, transform
from kpi_definitions.documents import Document
from warehouse.sql import literal, quoted
from warehouse.tables.assertions import Cut
from warehouse.tables.contracts import Table

CIVIL_TIME = "Asia/Almaty"  # of most settlements; of the others: civil_time.py
RESERVED_NAMES = re.compile(
    r"=|__row_no$"
)  # how names begin that the first gate needs for itself (row_gate/row_gate.py)
_NOTHING = re.compile(r"NULL|(TRY_)?CAST\(NULL AS [^()]+(\([0-9, ]+\))?\)", re.IGNORECASE)
_MADE = "==made "  # before the name of a column that is worked out: its result in the pass
_ANY, _PLAIN = Cell("VARCHAR"), Numerals()  # of no type yet; of the exchange format
_NUMERIC = re.compile(r"u?int|float|double|halffloat|decimal")  # types of Arrow


@dataclass(frozen=True)
class SourceColumn:
    """How one column of the table is read from the file."""

    name: str
    header: str | None
    logic: str | None
    codes: Mapping[str, str]
    cell: Cell = _ANY
    sources: tuple[str, ...] = ()  # headers that `logic` names
    identifier: str = ""  # its kind, where the source gives another than the table's contract says
    free_text: str = ""  # what people write: drop, or scrub if it is taken without what gives a person away

    @property
    def fed_by(self) -> tuple[str, ...]:
        """The headers it is made of."""
        return self.sources if self.logic is not None else (self.header or self.name,)


@dataclass(frozen=True)
class SourceContract:
    """One extract of one system, ready for SQL."""

    id: str
    version: str
    system: str
    table: str
    columns: tuple[SourceColumn, ...]
    headers: tuple[str, ...]  # the file must have these
    format: str = ""  # as kinds.py has it; nothing: of whichever kind its first bytes show it to be
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    group: str = ""
    missing: tuple[str, ...] = ("",)
    other_headers: str = "refuse"
    cut: Cut = field(default_factory=Cut)
    layout: Layout = field(default_factory=Layout)
    shape: Shape = field(default_factory=Shape)
    document: Document | None = field(default=None, compare=False, repr=False)

    numerals: Numerals = _PLAIN
    placeholders: tuple[str, ...] = ()  # of every column, beside those of `missing`
    archive: str = ""  # encrypted, plain or refused; empty: decided by what it carries (receiving/deliver.py)
    personal_headers: tuple[str, ...] = ()  # that the file may have, and of which nothing is taken
    names_kept: bool = False  # names of its files are shown as they are given, but for what gives a person away
    native: frozenset[str] = frozenset()  # headers whose cells are numbers, no texts: Parquet
    civil: Civil = field(default=lambda instant: f"timezone('{CIVIL_TIME}', {instant})", compare=False, repr=False)

    @cached_property
    def by_name(self) -> dict[str, SourceColumn]:
        return {c.name: c for c in self.columns}

    @property
    def fed_by(self) -> dict[str, tuple[str, ...]]:
        """By column the headers it is made of, and under `where` those of the condition on records."""
        where = self.shape.where
        return {c.name: c.fed_by for c in self.columns} | ({"where": where.headers} if where else {})

    def unmapped(self, table: Table) -> tuple[str, ...]:
        """Columns of the table that the contract does not fill: not mapped, or by a logic that is no more than NULL, or free text not taken."""
        texts = {c.name for c in table.columns if c.free_text} | {c.name for c in self.columns if c.free_text}
        given = {
            c.name
            for c in self.columns
            if not _NOTHING.fullmatch(c.logic or "") and (c.free_text == "scrub" or c.name not in texts)
        }
        return tuple(c.name for c in table.columns if c.name not in given)

    def over(self, header: Sequence[str], types: Sequence[str], civil: Civil) -> SourceContract:
        """The contract for certain files: their header, the types of their columns (Parquet), and whose civil time it is."""
        native = frozenset(h for h, kind in zip(header, types, strict=False) if _NUMERIC.match(kind))
        if self.shape.unpivot and native.issuperset(self.shape.unpivot.labels(header)):
            native |= {self.shape.unpivot.value}
        return replace(self, native=native, civil=civil)

    def read_from(self, header: Sequence[str]) -> frozenset[str]:
        """Headers of a file of which something is read: a column is made of them, or the shape goes by them."""
        return frozenset({*self.headers, *(c.header for c in self.columns if c.header), *self.shape.read_from(header)})

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """Constants of the delivery that its expressions name."""
        every = [self._transform(c) for c in self.columns if c.logic]
        every += [transform(one.sql, one.headers) for one in self.shape.logics]
        return tuple(dict.fromkeys(name for one in every for name in one.constants))

    def worked_out(self, logic: Logic) -> str:
        """SQL of an expression of the shape over the file's text columns; NULL where it cannot be told."""
        return f"TRY({self._read(transform(logic.sql, logic.headers))})"

    def made(self) -> list[str]:
        """SQL of the columns that are worked out, over the file's text columns: to be there before `typed` is asked for."""
        return [f"TRY({self._logic(c)}) AS {quoted(_MADE + c.name)}" for c in self.columns if c.logic]

    def typed(self, name: str, sql_type: str) -> tuple[str, str]:
        """SQL for a column of the table over the file's text columns and `made`: (text or result, value of that type).

        The value is NULL where the text is empty, a placeholder, or unreadable: `unreadable` tells.
        """
        column = self.by_name.get(name)
        if column is None:
            return "NULL", f"CAST(NULL AS {sql_type})"
        x, cell = self._cell(column, sql_type)
        if column.logic:
            return x, converted(x, self._transform(column).sql_type, cell, self.civil)
        return x, cell.value(x, self.civil)

    def unreadable(self, name: str, sql_type: str) -> str:
        """Condition over the same, and the value under '=name': the cell holds something that is neither nothing nor readable."""
        column = self.by_name.get(name)
        if column is None:
            return "false"
        x, cell = self._cell(column, sql_type)
        value = quoted("=" + name)
        if not column.logic:
            return cell.unreadable(x, value)
        failed = f"TRY(coalesce(CAST(({self._logic(column)}) AS VARCHAR), '')) IS NULL"
        if self._transform(column).sql_type != "VARCHAR":
            return f"{value} IS NULL AND ({x} IS NOT NULL OR {failed})"
        other = f"({x} IS NOT NULL AND NOT {cell.nothing(x)}) OR " if cell.sql_type != "VARCHAR" else ""
        return f"{value} IS NULL AND ({other}{failed})"

    def settlement(self) -> str | None:
        """SQL of a row's own settlement over the file's text columns alone; None if the contract has none."""
        column = self.by_name.get("kato")
        if column is None:
            return None
        x = f"TRY({self._logic(column)})" if column.logic else self._cell(column, "VARCHAR")[0]
        return self._cell(column, "VARCHAR")[1].text(x)

    def _cell(self, column: SourceColumn, sql_type: str) -> tuple[str, Cell]:
        """SQL of what the cell holds, and its grammar."""
        x = quoted(_MADE + column.name) if column.logic else quoted(column.header or column.name)
        cell = replace(
            column.cell,
            sql_type=sql_type.upper(),
            missing=self.missing,
            placeholders=(*self.placeholders, *column.cell.placeholders),
            numerals=self.numerals,
            native=column.header in self.native,
        )
        if not column.codes:
            return x, cell
        # what a code stands for is written in the contract, not in the file
        bare = stripped(x)
        known = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in column.codes.items())
        return f"coalesce(CASE {x} {known} END, CASE {bare} {known} ELSE {bare} END)", cell

    def _transform(self, column: SourceColumn) -> Transform:
        return transform(column.logic or "", column.sources)

    def _logic(self, column: SourceColumn) -> str:
        return self._read(self._transform(column))

    def _read(self, expression: Transform) -> str:
        inside = Cell("VARCHAR", self.numerals, missing=self.missing, placeholders=self.placeholders)
        return expression.sql(inside, self.civil)

    def is_nothing(self, header: str) -> str:
        """Condition over the file's text columns: the cell holds nothing, by the column that is made of it alone, or as a text."""
        column = next((c for c in self.columns if c.header == header and not c.logic), None)
        cell = (
            self._cell(column, column.cell.sql_type)[1]
            if column
            else Cell("VARCHAR", missing=self.missing, placeholders=self.placeholders)
        )
        return f"({quoted(header)} IS NULL OR {cell.nothing(quoted(header))})"


def standard(table: Table) -> SourceContract:
    """The exchange format: the table's own column names; `kato` is needed only where one file covers several settlements."""
    of = cells_of_table(table)
    columns = tuple(SourceColumn(c.name, c.name, None, {}, of[c.name]) for c in table.columns)
    return SourceContract(
        f"standard.{table.name}",
        table.version,
        STANDARD,
        table.name,
        (*columns, SourceColumn("kato", "kato", None, {})),
        tuple(c.name for c in table.columns),
        cut=table.cut,
    )
