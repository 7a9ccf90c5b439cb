"""Records of a delivered file exactly as they came: the lines, cells or elements behind rows of the warehouse, or behind rejected rows.

Found by the row number that the row gate gave, and counted as it counts: records and not lines, blank lines left out, the files of
an archive one after the other. Does not belong here: casting or judging a record (row_gate/).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow.parquet as pq

from connectors.archive.archive import Archive
from connectors.mapping.source_contract import SourceContract
from connectors.readers.headers import StructureError
from connectors.readers.kinds import Kind, Part
from connectors.readers.readers import received, records, text_of
from connectors.readers.record import Record
from connectors.readers.rows import rows_of
from warehouse.home.home import Home
from warehouse.home.scratch import scratch


@dataclass(frozen=True)
class Original:
    """One record of a delivered file."""

    row_no: int  # from 1, header not counted
    header: str  # of the file it stands in, as received
    text: str  # of CSV its lines, decoded (bytes not of the encoding as \\xNN); of Parquet the row as JSON; else its cells or element
    where: str = ""  # file of an archive; sheet and row, or element; nothing where the number says it all


_Numbered = Iterator[tuple[int, Callable[[], Original]]]


def originals(
    archive: Archive, sha256: str, contract: SourceContract, row_numbers: Collection[int], file_name: str
) -> dict[int, Original]:
    """The records of a delivery with these row numbers, by number. `contract` is the one the delivery was read by.

    Raises ArchiveError if the bytes are lost, StructureError if the contract cannot read them or they hold no such record.
    """
    wanted, last = set(row_numbers), max(row_numbers, default=0)
    found: dict[int, Original] = {}
    with scratch(Home(archive.root.parent).scratch) as place:
        parts = received(archive, sha256, contract, place, file_name).parts
        for row_no, record in _numbered(parts, contract, wanted, file_name):
            if row_no in wanted:
                found[row_no] = record()
            if row_no >= last:
                break
    if lost := sorted(wanted - set(found)):
        raise StructureError("refusal.records_gone", file=file_name, records=lost[:5], contract=contract.id)
    return found


def _numbered(parts: list[Part], contract: SourceContract, wanted: set[int], file_name: str) -> _Numbered:
    """Every record of all files, with its number; of Parquet only those that are wanted."""
    before = 0
    for one in parts:
        place = one.name.removeprefix(file_name).removeprefix("/")
        if one.kind == Kind.PARQUET:
            yield from _of_parquet(one, place, wanted, before)
            before += pq.read_metadata(one.path).num_rows
            continue
        every = _of_text(one, contract, place) if one.kind == Kind.CSV else _of_rows(one, contract, place)
        for record in every:
            before += 1
            yield before, partial(record, before)


def _of_text(one: Part, contract: SourceContract, place: str) -> Iterator[Callable[[int], Original]]:
    every = records(text_of(one, contract).path, contract)
    _, header = next(every)
    for _, raw in every:
        yield partial(_line, header, raw, place)


def _line(header: str, raw: str, place: str, row_no: int) -> Original:
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Original(row_no, header, text, place)


def _of_rows(one: Part, contract: SourceContract, place: str) -> Iterator[Callable[[int], Original]]:
    rows = rows_of(one, contract)
    header = ",".join(rows.header)
    for record in rows.records:
        yield partial(_record, header, record, place)


def _record(header: str, record: Record, place: str, row_no: int) -> Original:
    where, text = record.shown()
    return Original(row_no, header, text, ", ".join(filter(None, (place, where))))


def _of_parquet(one: Part, place: str, wanted: set[int], before: int) -> _Numbered:
    """Only row groups that hold a wanted row are read. `before`: rows of the files before this one."""
    with pq.ParquetFile(one.path) as file:
        header = ",".join(file.schema_arrow.names)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            here = sorted(n for n in wanted if before < n <= before + rows)
            if here:
                table = file.read_row_group(group).take([n - before - 1 for n in here])
                for row_no, row in zip(here, table.to_pylist(), strict=True):
                    text = json.dumps(row, ensure_ascii=False, default=str)
                    yield row_no, partial(Original, row_no, header, text, place)
            before += rows
