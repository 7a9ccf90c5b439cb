"""Records of formats that DuckDB is not given as they are: workbooks, JSON, XML. Each becomes text cells, with the place it stood at.

A module of such a format has a function `rows` of the type `ReadRows`. Its rows are written once as CSV in UTF-8 for the reading pass
(readers.py), and read again the same way when an auditor asks for the record behind a row (source_records.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.mapping.source_contract import SourceContract


@dataclass(frozen=True)
class Record:
    """One record: its cells in the header's order (None: there is none), where it stands, and what stands there, as an auditor is shown it."""

    cells: list[str | None]
    where: str  # sheet «2024», row 17; $.data[16]; /rows/row[17]
    raw: str


@dataclass(frozen=True)
class Rows:
    """A file's header, and its records in order, read as they are asked for. Reading them may raise StructureError."""

    header: tuple[str, ...]
    records: Iterator[Record]


ReadRows = Callable[[Path, SourceContract, str], Rows]  # file, contract, its name in messages
