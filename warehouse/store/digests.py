"""SHA-256 of rows, column by column from Arrow buffers in a fixed order: a tenth of what hashing them as text would cost.

Does not belong here: which rows are hashed together, and what for (seals.py, content.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import duckdb

_BATCH = 200_000  # rows of one Arrow batch
_MUCH = 10_000  # rows from which threads pay


class OutOfOrder(Exception):  # noqa: N818  it is no error
    """Rows do not come group by group, in the order of their numbers."""


def digests(
    con: duckdb.DuckDBPyConnection, sql: str, seqs: Mapping[int, int] | None = None, *, ordered: bool = False
) -> Iterator[tuple[int, int, str]]:
    """(group, rows, SHA-256) of each run of equal `grp`, the first column of `sql`, which must order its rows.

    Covers name, type, null positions and values of each column that has at least one value; so an added column does not change old
    digests. A group whose number is NULL comes as -1. With `seqs` each group gets a column `seq` as well; unless its rows are said to be
    `ordered`, OutOfOrder is raised where a group comes twice, or `row_no` does not ascend within one.
    """
    con.complete()  # DuckDB 2 refuses a second result on a connection, and an earlier statement may have left rows unread
    group, seen, checked = None, set[int](), bool(seqs) and not ordered
    with closing(con.sql(sql).to_arrow_reader(_BATCH)) as reader, ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in _handed_out(reader, pool):
            finished, runs = list[_Group](), list[tuple[_Group, int, int]]()
            row_numbers = batch.column("row_no").to_numpy() if checked else None
            for number, start, end in _equal_runs(batch.column(0)):
                if group is None or number != group.number:
                    if group is not None:
                        finished.append(group)
                    if checked and number in seen:
                        raise OutOfOrder
                    seen.add(number)
                    group = _Group(number, {name: _Column() for name in batch.schema.names[1:]})
                if row_numbers is not None:
                    group.check_order(row_numbers[start:end])
                group.rows += end - start
                runs.append((group, start, end))
            _hash(batch, runs, pool)
            for one in finished:
                yield one.number, one.rows, one.digest(seqs)
    if group is not None:
        yield group.number, group.rows, group.digest(seqs)


def _equal_runs(numbers: Any) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each run of equal numbers in an Arrow column, NULL as -1."""
    import numpy as np

    found = numbers.fill_null(-1).to_numpy(zero_copy_only=False)
    edges = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist(), len(found)]
    return ((int(found[start]), start, end) for start, end in pairwise(edges) if start < end)


def _hash(batch: Any, runs: Iterable[tuple[_Group, int, int]], pool: ThreadPoolExecutor) -> None:
    """Add a batch's columns to the groups' hashes. Hashing leaves Python's lock alone: with many rows columns are hashed side by side."""

    def add(name: str) -> None:
        parts = _parts(batch.column(name))
        for group, start, end in runs:
            group.columns[name].add(parts, start, end)

    deque((pool.map if len(batch) > _MUCH else map)(add, batch.schema.names[1:]), maxlen=0)


def _handed_out(reader: Any, pool: ThreadPoolExecutor) -> Iterator[Any]:
    """The batches; where there are many rows, DuckDB hands out the next ones while these are hashed."""
    batch = next(reader, None)
    while batch is not None:
        ahead = pool.submit(next, reader, None) if len(batch) > _MUCH else None
        yield batch
        batch = ahead.result() if ahead else next(reader, None)


@dataclass
class _Parts:
    """A column of a batch as bytes: where its gaps are, then fixed-width values, or lengths and letters."""

    kind: str
    gaps: Any  # row numbers within the batch, ascending
    values: memoryview
    width: int
    letters: memoryview | None = None
    offsets: Any = None


class _Column:
    """The running hashes of one column in one group: gaps, values, letters."""

    def __init__(self) -> None:
        self.kind, self.rows, self.gaps = "", 0, 0
        self.hashes = (hashlib.sha256(), hashlib.sha256(), hashlib.sha256())

    def add(self, parts: _Parts, start: int, end: int) -> None:
        in_gaps, in_values, in_letters = self.hashes
        self.kind = parts.kind
        if len(parts.gaps):
            first, last = parts.gaps.searchsorted((start, end))
            in_gaps.update((parts.gaps[first:last] + (self.rows - start)).astype("<i8").tobytes())
            self.gaps += int(last - first)
        in_values.update(parts.values[start * parts.width : end * parts.width])
        if parts.letters is not None:
            in_letters.update(parts.letters[parts.offsets[start] : parts.offsets[end]])
        self.rows += end - start


def _parts(array: Any) -> _Parts:
    """An Arrow column as `_Parts`; gaps hold zeros, whatever lay in them."""
    import numpy as np
    import pyarrow as pa

    kind, gaps = array.type, np.empty(0, np.int64)
    if array.null_count:
        gaps = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind):
        array = array.fill_null("")
        offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        letters = memoryview(array.buffers()[2] or b"").cast("B")
        return _Parts("text", gaps, memoryview(np.diff(offsets).astype("<i4").tobytes()), 4, letters, offsets)
    if pa.types.is_decimal(kind):
        raw = np.frombuffer(array.cast(pa.decimal128(38, kind.scale)).buffers()[1], np.uint8).copy().reshape(-1, 16)
        raw[gaps] = 0
        return _Parts(f"decimal {kind.scale}", gaps, memoryview(raw[: len(array)].tobytes()), 16)
    if pa.types.is_floating(kind):
        return _Parts("double", gaps, _fixed(array.cast(pa.float64()), "<f8"), 8)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return _Parts("int", gaps, _fixed(array.cast(pa.int64()), "<i8"), 8)
    if pa.types.is_date32(kind):
        return _Parts("date", gaps, _fixed(array.cast(pa.int32()), "<i4"), 4)
    if pa.types.is_timestamp(kind):
        return _Parts("time", gaps, _fixed(array.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()), "<i8"), 8)
    raise TypeError(f"no seal for a column of type {kind}")


def _fixed(array: Any, kind: str) -> memoryview:
    numbers = array.fill_null(0).to_numpy(zero_copy_only=False) if array.null_count else array.to_numpy()
    return memoryview(numbers.astype(kind, copy=False).tobytes())


@dataclass
class _Group:
    """The running hashes of one group. `last_row_no`: of its rows so far."""

    number: int
    columns: dict[str, _Column]
    rows: int = 0
    last_row_no: int = -1

    def check_order(self, row_numbers: Any) -> None:
        """Raises OutOfOrder unless the next row numbers go on ascending."""
        import numpy as np

        if row_numbers[0] <= self.last_row_no or (np.diff(row_numbers) <= 0).any():
            raise OutOfOrder
        self.last_row_no = int(row_numbers[-1])

    def digest(self, seqs: Mapping[int, int] | None) -> str:
        """SHA-256 over the columns' hashes, with a column `seq` that has the group's sequence in every row if there are `seqs`."""
        columns = self.columns
        if seqs:
            same = _Column()
            same.add(
                _Parts("int", (), memoryview(seqs[self.number].to_bytes(8, "little") * self.rows), 8), 0, self.rows
            )
            columns = {**columns, "seq": same}
        found = [
            [name, one.kind, *(h.hexdigest() for h in one.hashes)]
            for name, one in sorted(columns.items())
            if one.gaps < one.rows
        ]
        return hashlib.sha256(json.dumps([self.rows, found], separators=(",", ":")).encode()).hexdigest()


NO_ROWS = _Group(0, {}).digest(None)
