"""Deliveries in batches: how many at once, and the files of the next batch unpacked while one is ingested.

Does not belong here: what becomes of a batch (ingest_batch.py), how one file is unpacked and decoded (readers/).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from connectors.archive.archive import Archive, ArchiveError
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract, standard
from connectors.readers.headers import StructureError
from connectors.readers.limits import read_or_refused
from connectors.readers.readers import Readable, unpack
from connectors.row_gate.emptied_cells import optional_headers
from warehouse.loading.deliveries import Delivery
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

BATCH_BYTES, BATCH_DELIVERIES = 1 << 27, 2000  # limits of one batch
LARGE_ROWS, LARGEST_BATCH = (
    1 << 24,
    8,
)  # rows of a table above which its batches grow; at most to so many times BATCH_BYTES
T = TypeVar("T")


def batches_of(deliveries: Sequence[Delivery], limit: Callable[[], int]) -> Iterator[list[Delivery]]:
    """Split into as few batches as `limit` allows, of about equal bytes: peak memory follows the largest, and each has a fixed cost.

    `limit` gives the bytes that the next batch may have; it is called when the batches before it are loaded.
    """
    rest = list(deliveries)
    while rest:
        most = limit()
        even = sum(d.bytes for d in rest) / _fewest(rest, most)
        size, count = rest[0].bytes, 1
        for one in rest[1:BATCH_DELIVERIES]:
            if size + one.bytes > most or size + one.bytes / 2 > even:
                break
            size, count = size + one.bytes, count + 1
        yield rest[:count]
        rest = rest[count:]


def _fewest(deliveries: Iterable[Delivery], most: int) -> int:
    """Number of batches of at most `most` bytes, each filled before the next."""
    batches = size = 0
    for one in deliveries:
        if not batches or size + one.bytes > most:
            batches, size = batches + 1, 0
        size += one.bytes
    return batches


def batch_bytes(store: Store, table: Table) -> int:
    """Limit of the next batch. Each batch looks its keys up in the whole table: the larger the table, the larger the batch."""
    row = store.con.execute(f"SELECT count(*) FROM showcase.{table.name}").fetchone()
    assert row is not None
    return int(BATCH_BYTES * min(max(row[0] / LARGE_ROWS, 1), LARGEST_BATCH))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Each item when the next one has been made."""
    made = iter(items)
    before = next(made, None)
    while before is not None:
        after = next(made, None)
        yield before
        before = after


@dataclass(frozen=True)
class OpenedBatch:
    """A batch whose files are being unpacked into `folder`; by delivery, its contract and what unpacking gives."""

    batch: list[Delivery]
    folder: Path
    contracts: Mapping[int, SourceContract]
    found: Mapping[int, Future[Readable | StructureError | ArchiveError]]


@contextmanager
def unpacking_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that unpack; after an error those that have begun end, and no other begins."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def open_batch(
    pool: ThreadPoolExecutor,
    scratch: Path,
    archive: Archive,
    table: Table,
    sources: Mapping[tuple[str, str], SourceContract],
    batch: list[Delivery],
) -> OpenedBatch:
    """Start unpacking, hashing and decoding a batch's files in parallel: these steps release Python's lock (GIL)."""
    contracts = {d.delivery_id: sources.get((d.system, table.name)) or standard(table) for d in batch}
    folder = scratch / str(batch[0].delivery_id)
    folder.mkdir()

    def unpacked(one: Delivery) -> Readable | StructureError | ArchiveError:
        if one.system != STANDARD and (one.system, table.name) not in sources:
            return StructureError("refusal.no_source_contract", file=one.file_name, system=one.system, table=table.name)
        return _unpacked(archive, table, one, contracts[one.delivery_id], folder / str(one.delivery_id))

    return OpenedBatch(batch, folder, contracts, {one.delivery_id: pool.submit(unpacked, one) for one in batch})


def _unpacked(
    archive: Archive, table: Table, one: Delivery, contract: SourceContract, folder: Path
) -> Readable | StructureError | ArchiveError:
    """A delivery's files, or why they cannot be read. Raises what is a fault of this machine, and MissingKeyError."""
    folder.mkdir()
    try:
        with read_or_refused(one.file_name, contract):
            return unpack(archive, one.sha256, contract, folder, one.file_name, optional_headers(table, contract))
    except (StructureError, ArchiveError) as error:
        return error
