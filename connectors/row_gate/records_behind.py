"""Which records of a delivered file a row of the warehouse is made of, where its contract makes rows of records (adr/0043).

Nothing of it is stored: the archived bytes are read again by the contract, as `qala verify` and `qala rebuild` read them. Does not belong
here: the records as received (readers/source_records.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from connectors.archive.archive import Archive
from connectors.mapping.source_contract import SourceContract
from connectors.readers.readers import unpack
from connectors.row_gate.emptied_cells import optional_headers
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.one_per_key import records_of_rows
from connectors.row_gate.row_gate import read_alone
from connectors.row_gate.staging import row_number
from warehouse.home.home import Home
from warehouse.home.keys import Key
from warehouse.home.scratch import scratch
from warehouse.tables.contracts import Table

# groups of equal persons are the same under any key, so that no real one is needed
_ANY_KEY = Key.of("pseudonym", b"only to tell persons apart, not to name them")


@dataclass(frozen=True)
class Delivered:
    """A delivery as it was registered: hash, name, territory, first day and the day after the last."""

    sha256: str
    file_name: str
    scope: str
    period_start: dt.date
    period_end: dt.date


def records_behind(
    archive: Archive,
    table: Table,
    contract: SourceContract,
    one: Delivered,
    row_numbers: Collection[int],
    time_zone: str,
) -> dict[int, list[int]]:
    """Row number → the numbers of the records that the row is made of, in order; `contract` is the one the delivery was read by.

    Raises ArchiveError if the bytes are lost, StructureError if the contract cannot read them.
    """
    shape = contract.shape
    if not shape.aggregates and not shape.unpivot:
        return {row: [row] for row in row_numbers}
    with scratch(Home(archive.root.parent).scratch) as place:
        spare = optional_headers(table, contract)
        readable = unpack(archive, one.sha256, contract, place, one.file_name, spare)
        ends = (one.period_start.isoformat(), one.period_end.isoformat())
        incoming = Incoming(1, one.scope, ends[1], one.file_name, readable.contract, None, readable, ends[0])
        found = {row: [row] for row in row_numbers}
        if shape.aggregates:
            with duckdb.connect() as con:
                name = read_alone(con, table, incoming, time_zone, _ANY_KEY)
                found |= records_of_rows(con, table, name, [incoming], row_number(con, name, [incoming]), found)
        width = incoming.rows_of_record
    return {row: sorted({(number - 1) // width + 1 for number in numbers}) for row, numbers in found.items()}
