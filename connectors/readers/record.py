"""Records of formats that DuckDB is not given as they are: workbooks, JSON, XML. Each becomes text cells, with the place it stood at.

A module of such a format has a function `rows` of the type `ReadRows`. Its rows are written once as CSV in UTF-8 for the reading pass
(readers.py), and read again the same way when an auditor asks for the record behind a row (source_records.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from connectors.mapping.source_contract import SourceContract
from warehouse.messages.messages import Message
from warehouse.tables.identifiers import BLANKS


@dataclass(frozen=True)
class Record:
    """One record: its cells in the header's order (None: there is none), and how it is shown to an auditor, worked out when asked for."""

    cells: list[str | None]
    shown: Callable[[], tuple[str, str]]  # where, raw
    broken: str = ""  # why its cells cannot be told apart; then it has none, and is a rejected record (rule columns)

    @property
    def where(self) -> str:
        """Where it stands: sheet «2024», row 17; $.data[16]; /rows/row[17]."""
        return self.shown()[0]

    @property
    def raw(self) -> str:
        """What stands there."""
        return self.shown()[1]


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be split into the contract's columns. `raw`: what is kept of it (rejected_values.py)."""

    row_no: int
    rule: str
    raw: str


@dataclass(frozen=True)
class Rows:
    """A file's header, and its records in order, read as they are asked for. Reading them may raise StructureError.

    A record without anything in any cell is none, as in CSV (`holds_something`): it is left out.
    """

    header: tuple[str, ...]
    records: Iterator[Record]
    unmet: set[str] = field(default_factory=set)  # headers that no record has had so far, where each names its own
    below: list[Message] = field(default_factory=list)  # what was left out below the records, when all are read


ReadRows = Callable[[Path, SourceContract, str], Rows]  # file, contract, its name in messages


def holds_something(cells: list[str | None], contract: SourceContract) -> bool:
    """Whether any cell has a letter to be seen that is not one of the contract's words for nothing."""
    missing = contract.missing
    return any(cell and cell not in missing and cell.strip(BLANKS) for cell in cells)
