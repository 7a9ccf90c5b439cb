"""A file looked at before it is taken in: what it is, whether its packing opens, whether its header is the contract's.

What would be refused whole by a run is told now, in the same words, as far as seconds will show it. Does not
belong here: what is declared of a delivery (receiving/), records and cells, which are read by the run.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from connectors.mapping.source_contract import SourceContract
from connectors.readers.headers import check_header
from connectors.readers.kinds import Kind, Part
from connectors.readers.limits import read_or_refused
from connectors.readers.readers import text_of
from connectors.readers.rows import header_in, rows_of
from connectors.readers.unpacking import Unpacked, unpacked

_SMALL, _RECORDS = 8 << 20, 10_000  # bytes of a file whose records are all read, and records of a larger one
_BEGINNING = 5 << 20  # bytes of a CSV file: more than the letters of the longest header (headers.py)


def look(path: Path, contract: SourceContract, name: str, scratch: Path) -> Unpacked:
    """What is in a file that is to be delivered; of CSV no more than the beginning is unpacked. Raises StructureError if it cannot be read."""
    with read_or_refused(name, contract):
        found = unpacked(path, scratch, name, contract, _BEGINNING)
        for number, one in enumerate(found.parts):
            if one.kind == Kind.CSV:
                _look_at_text(one, contract, scratch / f"beginning{number}")
            elif one.kind == Kind.PARQUET:
                check_header(header_in(one, contract), contract, one.name)
            else:
                _look_at_rows(one, contract)
    return found


def _look_at_rows(one: Part, contract: SourceContract) -> None:
    """The header of a workbook, JSON or XML, and its records, of a large file the first: what is no record shows while they are read."""
    rows = rows_of(one, contract)
    check_header(rows.header, contract, one.name)
    for _ in islice(rows.records, None if one.path.stat().st_size < _SMALL else _RECORDS):
        pass


def _look_at_text(one: Part, contract: SourceContract, copy: Path) -> None:
    """Its header; the file itself may be anybody's, and nothing is written beside it."""
    with one.path.open("rb") as source:
        copy.write_bytes(source.read(_BEGINNING))
        beginning = bool(source.read(1)) or copy.stat().st_size >= _BEGINNING
    text_of(Part(one.name, copy, one.kind), contract, beginning=beginning)
