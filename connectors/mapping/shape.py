"""Which records of an extract become rows, and how many records become one: what people do in a spreadsheet before they hand a sheet on.

Four constructs, in this order: `unpivot` makes a row of each of several columns, `where` says which rows are taken, `duplicates: drop`
leaves out records that are equal in every cell, `repeatedKeys` makes one row of the records of a key. Each record that is left out is
counted and told (adr/0043). Read from the contract's top-level customProperties. Does not belong here: reading what is written there
(read_shape.py), what a cell means (cell_grammar.py, transform.py), the SQL that does it (row_gate/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROPERTIES = frozenset({"unpivot", "where", "duplicates", "repeatedKeys"})
FIRST_OR_LAST = ("first", "last")


@dataclass(frozen=True)
class Logic:
    """An expression over headers, as transformLogic has it: SQL as it was understood, and the headers it names."""

    sql: str
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Unpivot:
    """Columns that become rows: each record makes one for each of them, with the column's label and its cell under headers of their own."""

    columns: Mapping[str, str]  # header → label; empty if the pattern finds them
    pattern: str  # which a header matches as a whole; the label is its first group, else the header
    name: str  # header that properties use for the label
    value: str  # and for the cell
    leaves_out_empty: bool  # an empty cell makes no row; else a row with nothing

    def labels(self, header: Sequence[str]) -> dict[str, str]:
        """Header → label of the columns of a file, in the order in which they become rows."""
        if self.columns:
            return dict(self.columns)
        found = ((h, re.fullmatch(self.pattern, h)) for h in header)
        return {h: (match[1] or "" if match.re.groups else h) for h, match in found if match}


@dataclass(frozen=True)
class Aggregate:
    """How one column of the table is made of the records of a key. `by`: the column, or else the expression, that first and last go by."""

    column: str
    how: str  # mean, min, max, sum, first, last
    by: str | Logic = ""


@dataclass(frozen=True)
class Shape:
    """Defaults are those of an extract whose records are the rows: a key that comes twice is rejected."""

    unpivot: Unpivot | None = None
    where: Logic | None = None
    drops_duplicates: bool = False
    aggregates: tuple[Aggregate, ...] = ()  # one row per key; empty: repeated keys are rejected

    @property
    def made(self) -> frozenset[str]:
        """Headers that no file has: unpivoting makes them."""
        return frozenset({self.unpivot.name, self.unpivot.value}) if self.unpivot else frozenset()

    @property
    def orders(self) -> tuple[Logic, ...]:
        """The expressions that first and last go by."""
        return tuple(dict.fromkeys(a.by for a in self.aggregates if isinstance(a.by, Logic)))

    @property
    def logics(self) -> tuple[Logic, ...]:
        """Every expression of it."""
        return (*([self.where] if self.where else []), *self.orders)

    @property
    def leaves_out(self) -> bool:
        """Whether there may be records that are neither taken nor rejected."""
        empty = self.unpivot is not None and self.unpivot.leaves_out_empty
        return bool(self.where or empty or self.drops_duplicates or self.aggregates)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that a file must have for it."""
        named = [*(self.unpivot.columns if self.unpivot else ()), *(h for one in self.logics for h in one.headers)]
        return tuple(h for h in dict.fromkeys(named) if h not in self.made)

    def read_from(self, header: Sequence[str]) -> frozenset[str]:
        """Headers of a file that it reads, those found by a pattern included."""
        return frozenset({*self.headers, *(self.unpivot.labels(header) if self.unpivot else ())})

    def rows_of_record(self, header: Sequence[str]) -> int:
        """How many rows each record of a file makes, with those that are left out. Row r is of record (r - 1) // n + 1."""
        return max(1, len(self.unpivot.labels(header))) if self.unpivot else 1
