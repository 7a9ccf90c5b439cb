"""Seals: SHA-256 of what each transaction wrote, so that a row edited, added or taken out afterwards is found (audit/verify.py).

A transaction ends by sealing the rows it wrote: `audit.seal` gets their number and hash, and one ledger row the hash of those
seals. Rows are hashed column by column from Arrow buffers, in a fixed order: a tenth of what hashing them as text would cost.
Does not belong here: what is done about a difference.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.sql import literal
from warehouse.tables.contracts import Table

if TYPE_CHECKING:
    from warehouse.store.store import Store

_BATCH = 200_000  # rows of one Arrow batch
_MUCH = 10_000  # rows from which threads pay
SEAL_COLUMNS = ("what", "first_seq", "last_seq", "rows", "sha256")


@dataclass(frozen=True)
class Sealed:
    """Rows that one kind of transaction writes. `rows` gives `seq` and the columns; `order` makes their order certain."""

    rows: str
    order: str
    each: bool = False  # a seal for every sequence, not one for the whole transaction


def _of_delivery(table: str) -> str:
    return f"SELECT d.loaded_seq AS seq, t.* FROM audit.{table} t LEFT JOIN audit.delivery d USING (delivery_id)"


def _of_assessment(table: str) -> str:
    return f"SELECT a.seq, t.* FROM kpi.{table} t LEFT JOIN kpi.assessment a USING (assessment_id)"


# rows that belong to no delivery or assessment have no sequence, and no seal: they are joined to be seen
# rows written once; what later happens to them (closed, restated) is sealed apart
SEALED: Mapping[str, Sealed] = {
    "deliveries received": Sealed(
        "SELECT registered_seq AS seq, delivery_id, receipt_id, table_name, system, scope, period_id, period_start, period_end, closing_month, "
        "file_name, sha256, bytes, declared_rows, received_at, reread_of FROM audit.delivery", "delivery_id"),
    "deliveries decided": Sealed(
        "SELECT loaded_seq AS seq, delivery_id, state, reason, contract_id, contract_version, unmapped, received_rows, accepted_rows, rejected_rows, "
        "loaded_at, kind, cut_by, order_seq FROM audit.delivery WHERE state <> 'received'", "delivery_id"),
    "check results": Sealed(_of_delivery("check_result"), "delivery_id, rule, observed"),
    "delivery profiles": Sealed(_of_delivery("delivery_profile"), "delivery_id, column_name"),
    "rejected rows": Sealed(_of_delivery("rejected_row"), "delivery_id, row_no, column_name"),
    "corrections": Sealed(_of_delivery("correction"), "delivery_id, correction_id, row_no, column_name"),
    "incidents opened": Sealed("SELECT opened_seq AS seq, * EXCLUDE (closed_seq, closed_at, closed_by, closing_reason) FROM audit.incident", "incident_id"),
    "incidents closed": Sealed(
        "SELECT closed_seq AS seq, incident_id, closed_at, closed_by, closing_reason FROM audit.incident "
        "WHERE coalesce(closed_seq::VARCHAR, closed_at::VARCHAR, closed_by, closing_reason) IS NOT NULL", "incident_id"),
    "values": Sealed("SELECT valid_from_seq AS seq, * EXCLUDE (valid_to_seq) FROM kpi.value", "kpi_code, kato, period_id", each=True),
    "values restated": Sealed(
        "SELECT valid_to_seq AS seq, kpi_code, kato, period_id, valid_from_seq FROM kpi.value WHERE valid_to_seq IS NOT NULL", "kpi_code, kato, period_id"),
    "roll-ups": Sealed("SELECT valid_from_seq AS seq, * EXCLUDE (valid_to_seq) FROM kpi.rollup", "kpi_code, area_kind, area, period_id", each=True),
    "roll-ups restated": Sealed(
        "SELECT valid_to_seq AS seq, kpi_code, area_kind, area, period_id, valid_from_seq FROM kpi.rollup WHERE valid_to_seq IS NOT NULL",
        "kpi_code, area_kind, area, period_id"),
    "computations": Sealed("SELECT * FROM kpi.computation", "kpi_code"),
    "assessments": Sealed("SELECT * FROM kpi.assessment", "assessment_id"),
    "assessment items": Sealed(_of_assessment("assessment_item"), "kato, kpi_code"),
    "assessment scores": Sealed(_of_assessment("assessment_score"), "kato, node_kind, node"),
    "assessment ranks": Sealed(_of_assessment("assessment_rank"), "kato"),
}  # fmt: skip
# tables replaced as a whole: the newest seal counts
REGISTRIES = ("region", "settlement", "period", "rule", "criterion", "data_passport")
CATALOGUE = ("catalogue", "sphere", "initiative", "kpi", "kpi_source", "kpi_standard", "case_passport")


@cache
def of_table(name: str) -> dict[str, Sealed]:
    """What is sealed of one showcase table: the rows of each delivery, and which rows left when."""
    return {
        f"showcase.{name}": Sealed(
            f"SELECT valid_from_seq AS seq, * EXCLUDE (valid_from_seq) FROM showcase.{name} UNION ALL BY NAME "
            f"SELECT valid_from_seq AS seq, * EXCLUDE (valid_from_seq, valid_to_seq) FROM history.{name}", "delivery_id, row_no", each=True),
        f"history.{name}": Sealed(
            f"SELECT valid_to_seq AS seq, valid_from_seq, row_no FROM history.{name}", "valid_from_seq, row_no"),
    }  # fmt: skip


def seal(
    store: Store,
    first: int,
    what: Mapping[str, Sealed],
    registries: Sequence[str] = (),
    rows: Iterable[tuple[Any, ...]] = (),
) -> None:
    """Seal the rows written with sequences from `first` on, and registries as they stand; the last act of a transaction.

    `rows`: seals made already (SEAL_COLUMNS).
    """
    last, found = store.last_seq, list(rows)
    for name, one in what.items():
        group = "seq" if one.each else str(first)
        sql = f"SELECT {group} AS grp, * FROM ({one.rows}) WHERE seq BETWEEN {first} AND {last} ORDER BY grp, seq, {one.order}"
        for start, count, digest in digests(store.con, sql):
            found.append((name, start, start if one.each else last, count, digest))
    for name in registries:
        found.append((f"registry.{name}", last, last, *of_registry(store.con, name)))
    if not found:
        return
    (seq,) = store.record([("sealed", f"{len(found)} seals", {"sha256": hash_of_seals(found)})])
    store.insert("audit.seal", ["seq", *SEAL_COLUMNS], [(seq, *row) for row in found])


def seals_of_rows(
    con: duckdb.DuckDBPyConnection, table: str, sql: str, seqs: Mapping[int, int], *, mixed: bool = False
) -> list[tuple[Any, ...]]:
    """Seals (SEAL_COLUMNS) of the rows that deliveries brought a showcase table, from the SELECT they were written by.

    Its first column `grp` is the delivery, whose sequence is in `seqs`; the others are the table's, but for that sequence.
    Extracts are read in their order, so that as a rule nothing has to be sorted; `mixed`: rows of other deliveries are among them.
    """
    try:
        if mixed:
            raise _OutOfOrder
        found = list(digests(con, sql, seqs))
    except _OutOfOrder:
        found = list(digests(con, f"SELECT * FROM ({sql}) ORDER BY grp, delivery_id, row_no", seqs, ordered=True))
    return [(f"showcase.{table}", seqs[one], seqs[one], count, digest) for one, count, digest in found]


class _OutOfOrder(Exception):  # noqa: N818  it is no error
    pass


def of_registry(con: duckdb.DuckDBPyConnection, name: str) -> tuple[int, str]:
    """Rows and SHA-256 of a registry as it stands."""
    for _, count, digest in digests(con, f"SELECT 0 AS grp, * FROM registry.{name} ORDER BY ALL"):
        return count, digest
    return 0, _total(0, {})


def hash_of_seals(rows: Iterable[Sequence[Any]]) -> str:
    """SHA-256 over seal rows (SEAL_COLUMNS), whatever their order."""
    text = json.dumps(sorted(list(row) for row in rows), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digests(
    con: duckdb.DuckDBPyConnection, sql: str, seqs: Mapping[int, int] | None = None, *, ordered: bool = False
) -> Iterator[tuple[int, int, str]]:
    """(group, rows, SHA-256) of each run of equal `grp`, the first column of `sql`, which must order its rows.

    A digest covers name, type, gaps and values of every column that is not empty throughout; a column added later, empty in
    older rows, changes nothing. A group whose number is NULL comes as -1. With `seqs` each group gets a column `seq` as well, and
    unless they are said to be `ordered`, _OutOfOrder is raised where a group comes twice, or `row_no` does not ascend within one.
    """
    import numpy as np

    con.complete()  # DuckDB 2 refuses a second result on a connection: an earlier statement may have left rows unread
    group, count, hashes, before, seen = None, 0, dict[str, _Column](), -1, set[int]()
    with closing(con.sql(sql).to_arrow_reader(_BATCH)) as reader, ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in _handed_out(reader, pool):
            numbers = batch.column(0).fill_null(-1).to_numpy(zero_copy_only=False)
            edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
            done, runs = [], list[tuple[dict[str, _Column], int, int]]()
            places = batch.column("row_no").to_numpy() if seqs and not ordered else None
            for start, end in pairwise(edges):
                if start < end and numbers[start] != group:
                    if group is not None:
                        done.append((group, count, hashes))
                    group, count, hashes, before = (
                        int(numbers[start]),
                        0,
                        {n: _Column() for n in batch.schema.names[1:]},
                        -1,
                    )
                    if places is not None and group in seen:
                        raise _OutOfOrder
                    seen.add(group)
                if places is not None and start < end:
                    if places[start] <= before or (np.diff(places[start:end]) <= 0).any():
                        raise _OutOfOrder
                    before = int(places[end - 1])
                count += end - start
                runs.append((hashes, start, end))

            def take_in(name: str, batch: Any = batch, runs: list[tuple[dict[str, _Column], int, int]] = runs) -> None:
                parts = _parts(batch.column(name))
                for found, start, end in runs:
                    found[name].add(parts, start, end)

            # hashing leaves Python's lock alone, so that columns are hashed side by side where there is much of them
            deque((pool.map if len(batch) > _MUCH else map)(take_in, batch.schema.names[1:]), maxlen=0)
            for number, rows, finished in done:
                yield number, rows, _total(rows, finished, seqs[number] if seqs else None)
    if group is not None:
        yield group, count, _total(count, hashes, seqs[group] if seqs else None)


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


def _total(count: int, hashes: Mapping[str, _Column], seq: int | None = None) -> str:
    if seq is not None:
        same = _Column()
        same.add(_Parts("int", (), memoryview(seq.to_bytes(8, "little") * count), 8), 0, count)
        hashes = {**hashes, "seq": same}
    found = [
        [name, one.kind, *(h.hexdigest() for h in one.hashes)]
        for name, one in sorted(hashes.items())
        if one.gaps < one.rows
    ]
    return hashlib.sha256(json.dumps([count, found], separators=(",", ":")).encode()).hexdigest()


def recomputed(con: duckdb.DuckDBPyConnection, name: str, one: Sealed) -> Iterator[tuple[int, int, str]]:
    """(first sequence, rows, SHA-256) of everything there is of a kind; rows that no seal covers come as group -1."""
    if one.each:
        sql = f"SELECT seq AS grp, * FROM ({one.rows}) ORDER BY grp, {one.order}"
    else:
        sql = (
            f"SELECT CASE WHEN t.seq <= s.last_seq THEN s.first_seq END AS grp, t.* FROM ({one.rows}) t ASOF LEFT JOIN "
            f"(SELECT first_seq, last_seq FROM audit.seal WHERE what = {literal(name)}) s ON t.seq >= s.first_seq ORDER BY grp, t.seq, {one.order}"
        )
    return digests(con, sql)


def all_sealed(tables: Iterable[Table]) -> dict[str, Sealed]:
    """Everything that is sealed by sequence in a warehouse with these tables."""
    return {**SEALED, **{name: one for table in tables for name, one in of_table(table.name).items()}}
