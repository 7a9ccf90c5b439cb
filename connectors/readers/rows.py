"""Records of files that DuckDB is not given as they are, whatever their kind; written once as CSV in UTF-8 for the reading pass.

Does not belong here: taking a kind of file apart (workbooks.py, json_rows.py, xml_rows.py), CSV and Parquet files (readers.py).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.rejected_values import shown_record
from connectors.readers.headers import StructureError, check_header, listed
from connectors.readers.kinds import Kind, Part
from connectors.readers.limits import is_machine_fault
from connectors.readers.record import BadRecord, Record, Rows
from warehouse.messages.messages import Message

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(one: Part, contract: SourceContract) -> Rows:
    """The header and records of a workbook, JSON or XML; the contract's `format` says which. Raises StructureError, also later."""
    known = replace(contract, format=one.kind)
    if one.kind in (Kind.JSON, Kind.JSONL):
        from connectors.readers import json_rows

        return json_rows.rows(one.path, known, one.name)
    if one.kind == Kind.XML:
        from connectors.readers import xml_rows

        return xml_rows.rows(one.path, known, one.name)
    from connectors.readers import workbooks

    return workbooks.rows(one.path, known, one.name)


def schema_of(one: Part) -> pa.Schema:
    """Columns and types of a Parquet file. Raises StructureError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(one.path)
    except (pa.ArrowException, OSError) as error:
        if is_machine_fault(error):
            raise
        raise StructureError("refusal.parquet_unreadable", file=one.name, error=harmless(error)) from None


def header_in(one: Part, contract: SourceContract) -> tuple[str, ...]:
    """The header of a file that is not CSV. Raises StructureError."""
    return tuple(schema_of(one).names) if one.kind == Kind.PARQUET else rows_of(one, contract).header


def contract_of_rows(contract: SourceContract) -> SourceContract:
    """The contract by which what `written` leaves is to be read. Its numerals stay: numbers are written by them."""
    missing = contract.missing if "" in contract.missing else ("", *contract.missing)
    return replace(contract, delimiter=",", quote='"', encoding="utf-8", missing=missing)


@dataclass(frozen=True)
class Written:
    """Header of the records written, and those that could not be."""

    header: tuple[str, ...]
    bad: list[BadRecord]
    below: tuple[Message, ...]  # what is to be told of lines left out below the records


def written(parts: Sequence[Part], contract: SourceContract, target: Path, file_name: str) -> Written:
    """Write the records of files one after the other as CSV in UTF-8, each with its number and a last cell of nothing (readers.py).

    Raises StructureError if one of the files is not what the contract describes.
    """
    header, bad, row_no, below = tuple[str, ...](), list[BadRecord](), 0, list[Message]()
    unmet = list[set[str]]()  # of each file that has records
    with target.open("w", encoding="utf-8", newline="") as sink:
        # line ends as in readers.repair
        writer = csv.writer(sink, lineterminator="\r\n")
        for one in parts:
            rows = rows_of(one, contract)
            check_header(rows.header, contract, one.name)
            if one is parts[0]:
                header = rows.header
                writer.writerow([*header, "", ""])
            elif _taken(header, contract) != _taken(rows.header, contract):
                raise StructureError("refusal.members_differ", file=file_name, member=one.name, first=parts[0].name)
            places, width, before = _places(rows.header, header), len(rows.header), row_no
            for record in rows.records:
                row_no += 1
                if fault := _fault(record, width):
                    bad.append(BadRecord(row_no, *fault))
                else:
                    writer.writerow([*_in_order(record.cells, width, places), row_no, ""])
            below += rows.below
            unmet += [rows.unmet] if row_no > before else []
    if lacking := sorted(set.intersection(*unmet) if unmet else ()):
        # a record may do without a field, and so may one of several files; a field that none has is another's, or gone
        problems = [{"code": "header.lacks", "names": listed(lacking)}]
        raise StructureError("refusal.header", file=file_name, problems=problems, hint="", contract=contract.id)
    return Written(header, bad, tuple(below))


def _taken(header: Sequence[str], contract: SourceContract) -> set[str]:
    return {*header} & {*contract.headers, *(c.header for c in contract.columns if c.header)}


def _places(own: tuple[str, ...], header: tuple[str, ...]) -> list[int] | None:
    """Where in a file's own header the names of another stand, behind its end if nowhere; None if they are the same."""
    return None if own == header else [own.index(h) if h in own else len(own) for h in header]


def _in_order(cells: Sequence[str | None], width: int, places: Sequence[int] | None) -> Sequence[str | None]:
    """As many cells as the header has, and in its order."""
    if len(cells) == width and places is None:
        return cells
    filled = [*cells[:width], *[None] * (width + 1 - min(len(cells), width))]
    return filled[:width] if places is None else [filled[n] for n in places]


def _fault(record: Record, width: int) -> tuple[str, str] | None:
    """Of a record that cannot be written the rule that it breaks, and what is kept of it."""
    cells = record.cells
    if record.broken:
        return "columns", shown_record(record.raw, record.broken)
    if len(cells) > width and any(cell is not None for cell in cells[width:]):
        return "columns", shown_record(record.raw, f"{len(cells):,} cells, the header has {width:,}")
    text = "".join(filter(None, cells))
    if "\0" in text:
        return "encoding", shown_record(text, "the letter NUL stands in it")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return "encoding", shown_record(text, "halves of letters stand in it")
    return None
