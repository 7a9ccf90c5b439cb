"""Records of a delivered file exactly as they came: the lines behind rows of the warehouse, or behind rejected rows.

Found by the row number that the row gate gave, and counted as it counts: records and not lines, blank lines left out, members of
a zip archive one after the other. Does not belong here: casting or judging a record (row_gate/).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from connectors.archive.archive import Archive
from connectors.mapping.source_contract import SourceContract
from connectors.readers.headers import StructureError
from connectors.readers.readers import as_received, records
from warehouse.home.home import Home
from warehouse.home.scratch import scratch


@dataclass(frozen=True)
class Original:
    """One record of a delivered file."""

    row_no: int  # from 1, header not counted
    header: str  # of the file it stands in, as received
    text: str  # its lines with their line ends, decoded; bytes that are not of the encoding as \\xNN; of Parquet the row as JSON


def originals(
    archive: Archive, sha256: str, contract: SourceContract, row_numbers: Collection[int], file_name: str
) -> dict[int, Original]:
    """The records of a delivery with these row numbers, by number. `contract` is the one the delivery was read by.

    Raises ArchiveError if the bytes are lost, StructureError if the contract cannot read them or they hold no such record.
    """
    wanted, last = set(row_numbers), max(row_numbers, default=0)
    found: dict[int, Original] = {}
    with scratch(Home(archive.root.parent).scratch) as place:
        readable = as_received(archive, sha256, contract, place, file_name)
        every = _of_parquet(readable.files[0], wanted) if readable.parquet else _of_text(readable.files, contract)
        for one in every:
            if one.row_no in wanted:
                found[one.row_no] = one
            if one.row_no >= last:
                break
    if lost := sorted(wanted - set(found)):
        raise StructureError("refusal.records_gone", file=file_name, records=lost[:5], contract=contract.id)
    return found


def _of_text(files: list[Path], contract: SourceContract) -> Iterator[Original]:
    row_no = 0
    for path in files:
        every = records(path, contract)
        _, header = next(every)
        for _, raw in every:
            row_no += 1
            yield Original(row_no, header, raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _of_parquet(path: Path, wanted: set[int]) -> Iterator[Original]:
    """Only row groups that hold a wanted row are read."""
    with pq.ParquetFile(path) as file:
        header, before = ",".join(file.schema_arrow.names), 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            here = sorted(n for n in wanted if before < n <= before + rows)
            if here:
                table = file.read_row_group(group).take([n - before - 1 for n in here])
                for row_no, row in zip(here, table.to_pylist(), strict=True):
                    yield Original(row_no, header, json.dumps(row, ensure_ascii=False, default=str))
            before += rows
