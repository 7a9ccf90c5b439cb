"""Seals: SHA-256 of what each transaction wrote, so that a row edited, added or taken out afterwards is found (audit/verify.py).

A transaction ends by sealing the rows it wrote: `audit.seal` gets their number and hash, and one ledger row the hash of those
seals. Does not belong here: how rows are hashed (digests.py), what is done about a difference (recorded.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import duckdb

from warehouse.sql import literal
from warehouse.store.digests import NO_ROWS, OutOfOrder, digests
from warehouse.store.ledger import EntryKind
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

SEAL_COLUMNS = ("what", "first_seq", "last_seq", "rows", "sha256")


class SealKind(StrEnum):
    """Kinds of rows that are sealed, as audit.seal.what names them; beside these the rows of each showcase table and registries."""

    RECEIVED = "deliveries received"
    DECIDED = "deliveries decided"
    CHECK_RESULTS = "check results"
    PROFILES = "delivery profiles"
    REJECTED_ROWS = "rejected rows"
    CORRECTIONS = "corrections"
    INCIDENTS_OPENED = "incidents opened"
    INCIDENTS_CLOSED = "incidents closed"
    VALUES = "values"
    VALUES_RESTATED = "values restated"
    ROLLUPS = "roll-ups"
    ROLLUPS_RESTATED = "roll-ups restated"
    COMPUTATIONS = "computations"
    ASSESSMENTS = "assessments"
    ASSESSMENT_ITEMS = "assessment items"
    ASSESSMENT_SCORES = "assessment scores"
    ASSESSMENT_RANKS = "assessment ranks"


ASSESSMENT = (
    SealKind.ASSESSMENTS,
    SealKind.ASSESSMENT_ITEMS,
    SealKind.ASSESSMENT_SCORES,
    SealKind.ASSESSMENT_RANKS,
)


@dataclass(frozen=True)
class Sealed:
    """Rows that one kind of transaction writes. `rows` gives `seq` and the columns; `order` makes their order certain."""

    rows: str
    order: str
    each: bool = False  # a seal for every sequence, not one for the whole transaction


def _columns(seq: str, columns: str, table: str, where: str = "true") -> str:
    return f"SELECT {seq} AS seq, {columns} FROM {table} WHERE {where}"


# rows that belong to no delivery or assessment have no sequence, and no seal: they are joined to be seen
def _of_delivery(table: str, order: str) -> Sealed:
    return Sealed(
        f"SELECT d.loaded_seq AS seq, t.* FROM audit.{table} t LEFT JOIN audit.delivery d USING (delivery_id)",
        f"delivery_id, {order}",
    )


def _of_assessment(table: str, order: str) -> Sealed:
    return Sealed(f"SELECT a.seq, t.* FROM kpi.{table} t LEFT JOIN kpi.assessment a USING (assessment_id)", order)


_VALUE, _ROLLUP = "kpi_code, kato, period_id", "kpi_code, area_kind, area, period_id"
# rows are written once; what later happens to them (closed, restated) is sealed as a kind of its own
SEALED: Mapping[SealKind, Sealed] = {
    SealKind.RECEIVED: Sealed(
        _columns(
            "registered_seq",
            "delivery_id, receipt_id, table_name, system, scope, period_id, period_start, period_end, closing_month, "
            "file_name, sha256, bytes, declared_rows, received_at, reread_of",
            "audit.delivery",
        ),
        "delivery_id",
    ),
    SealKind.DECIDED: Sealed(
        _columns(
            "loaded_seq",
            "delivery_id, state, reason, contract_id, contract_version, unmapped, received_rows, accepted_rows, "
            "rejected_rows, loaded_at, kind, cut_by, order_seq",
            "audit.delivery",
            "state <> 'received'",
        ),
        "delivery_id",
    ),
    SealKind.CHECK_RESULTS: _of_delivery("check_result", "rule, observed"),
    SealKind.PROFILES: _of_delivery("delivery_profile", "column_name"),
    SealKind.REJECTED_ROWS: _of_delivery("rejected_row", "row_no, column_name"),
    SealKind.CORRECTIONS: _of_delivery("correction", "correction_id, row_no, column_name"),
    SealKind.INCIDENTS_OPENED: Sealed(
        _columns("opened_seq", "* EXCLUDE (closed_seq, closed_at, closed_by, closing_reason)", "audit.incident"),
        "incident_id",
    ),
    SealKind.INCIDENTS_CLOSED: Sealed(
        _columns(
            "closed_seq",
            "incident_id, closed_at, closed_by, closing_reason",
            "audit.incident",
            "coalesce(closed_seq::VARCHAR, closed_at::VARCHAR, closed_by, closing_reason) IS NOT NULL",
        ),
        "incident_id",
    ),
    SealKind.VALUES: Sealed(_columns("valid_from_seq", "* EXCLUDE (valid_to_seq)", "kpi.value"), _VALUE, each=True),
    SealKind.VALUES_RESTATED: Sealed(
        _columns("valid_to_seq", f"{_VALUE}, valid_from_seq", "kpi.value", "valid_to_seq IS NOT NULL"), _VALUE
    ),
    SealKind.ROLLUPS: Sealed(_columns("valid_from_seq", "* EXCLUDE (valid_to_seq)", "kpi.rollup"), _ROLLUP, each=True),
    SealKind.ROLLUPS_RESTATED: Sealed(
        _columns("valid_to_seq", f"{_ROLLUP}, valid_from_seq", "kpi.rollup", "valid_to_seq IS NOT NULL"), _ROLLUP
    ),
    SealKind.COMPUTATIONS: Sealed("SELECT * FROM kpi.computation", "kpi_code"),
    SealKind.ASSESSMENTS: Sealed("SELECT * FROM kpi.assessment", "assessment_id"),
    SealKind.ASSESSMENT_ITEMS: _of_assessment("assessment_item", "kato, kpi_code"),
    SealKind.ASSESSMENT_SCORES: _of_assessment("assessment_score", "kato, node_kind, node"),
    SealKind.ASSESSMENT_RANKS: _of_assessment("assessment_rank", "kato"),
}
# tables replaced as a whole: the newest seal counts
REGISTRIES = (
    "region",
    "settlement",
    "item7_group",
    "period",
    "obs_status",
    "unit",
    "direction",
    "code_list",
    "showcase_table",
    "rule",
    "criterion",
    "data_passport",
)
CATALOGUE = ("catalogue", "sphere", "initiative", "kpi", "kpi_source", "kpi_standard", "case_passport")


@cache
def of_table(name: str) -> dict[str, Sealed]:
    """What is sealed of one showcase table: the rows of each delivery, and which rows left when."""
    rows = (
        f"SELECT valid_from_seq AS seq, * EXCLUDE (valid_from_seq) FROM showcase.{name} UNION ALL BY NAME "
        f"SELECT valid_from_seq AS seq, * EXCLUDE (valid_from_seq, valid_to_seq) FROM history.{name}"
    )
    return {
        f"showcase.{name}": Sealed(rows, "delivery_id, row_no", each=True),
        f"history.{name}": Sealed(
            f"SELECT valid_to_seq AS seq, valid_from_seq, row_no FROM history.{name}", "valid_from_seq, row_no"
        ),
    }


def seal(
    store: Store,
    first: int,
    kinds: Iterable[SealKind] = (),
    *,
    registries: Sequence[str] = (),
    left: str | None = None,
    rows: Iterable[tuple[Any, ...]] = (),
) -> None:
    """Seal the rows written with sequences from `first` on, and registries as they are; the last act of a transaction.

    `left`: a showcase table from which rows may have left; `rows`: seals made already (SEAL_COLUMNS).
    """
    last = store.last_seq
    what = {str(kind): SEALED[kind] for kind in kinds}
    if left is not None:
        what[f"history.{left}"] = of_table(left)[f"history.{left}"]
    found = [*rows, *seals_of_span(store.con, what, first, last)]
    for name in registries:
        found.append((f"registry.{name}", last, last, *of_registry(store.con, name)))
    enter_seals(store, found)


def seals_of_span(
    con: duckdb.DuckDBPyConnection, what: Mapping[str, Sealed], first: int, last: int
) -> Iterator[tuple[Any, ...]]:
    """Seals (SEAL_COLUMNS) of the rows written with sequences from `first` to `last`."""
    for name, one in what.items():
        group = "seq" if one.each else str(first)
        sql = f"SELECT {group} AS grp, * FROM ({one.rows}) WHERE seq BETWEEN {first} AND {last} ORDER BY grp, seq, {one.order}"
        for start, count, digest in digests(con, sql):
            yield name, start, start if one.each else last, count, digest


def enter_seals(store: Store, rows: Sequence[tuple[Any, ...]], **detail: Any) -> None:
    """Write seals (SEAL_COLUMNS), and their hash to the ledger; `detail`: what its entry says besides."""
    if rows:
        entry = (EntryKind.SEALED, f"{len(rows)} seals", {"sha256": hash_of_seals(rows), **detail})
        (seq,) = store.record([entry])
        store.insert("audit.seal", ["seq", *SEAL_COLUMNS], [(seq, *row) for row in rows])


def seals_of_rows(
    con: duckdb.DuckDBPyConnection, table: str, sql: str, seqs: Mapping[int, int], *, mixed: bool = False
) -> list[tuple[Any, ...]]:
    """Seals (SEAL_COLUMNS) of the rows that deliveries brought a showcase table, from the SELECT they were written by.

    Its first column `grp` is the delivery, whose sequence is in `seqs`; the others are the table's, but for that sequence.
    Extracts are read in their order, so that as a rule nothing has to be sorted; `mixed`: rows of other deliveries are among them.
    """
    try:
        if mixed:
            raise OutOfOrder
        found = list(digests(con, sql, seqs))
    except OutOfOrder:
        found = list(digests(con, f"SELECT * FROM ({sql}) ORDER BY grp, delivery_id, row_no", seqs, ordered=True))
    return [(f"showcase.{table}", seqs[one], seqs[one], count, digest) for one, count, digest in found]


def of_registry(con: duckdb.DuckDBPyConnection, name: str) -> tuple[int, str]:
    """Rows and SHA-256 of a registry as it is."""
    for _, count, digest in digests(con, f"SELECT 0 AS grp, * FROM registry.{name} ORDER BY ALL"):
        return count, digest
    return 0, NO_ROWS


def hash_of_seals(rows: Iterable[Sequence[Any]]) -> str:
    """SHA-256 over seal rows (SEAL_COLUMNS), whatever their order."""
    text = json.dumps(sorted(list(row) for row in rows), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed_by_table(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """SHA-256 over the seals of each table, or kind of row: it changes with what was written to that one."""
    found = con.execute(
        "SELECT what, sha256(string_agg(concat_ws(' ', seq, first_seq, last_seq, rows, sha256), ';' ORDER BY seq, first_seq)) FROM audit.seal GROUP BY what"
    )
    return dict(sorted(found.fetchall()))


def hash_of_tables(sealed: Mapping[str, str]) -> str:
    """SHA-256 over what `sealed_by_table` gives."""
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()


def recomputed(con: duckdb.DuckDBPyConnection, name: str, one: Sealed) -> Iterator[tuple[int, int, str]]:
    """(first sequence, rows, SHA-256) of everything there is of a kind; rows that no seal covers come as group -1."""
    if one.each:
        sql = f"SELECT seq AS grp, * FROM ({one.rows}) ORDER BY grp, {one.order}"
    else:
        sql = (
            f"SELECT CASE WHEN t.seq <= s.last_seq THEN s.first_seq END AS grp, t.* FROM ({one.rows}) t ASOF LEFT JOIN "
            f"(SELECT first_seq, last_seq FROM audit.seal WHERE what = {literal(name)}) s ON t.seq >= s.first_seq ORDER BY grp, t.seq, {one.order}"
        )
    return iter([*digests(con, sql)])  # read whole: who compares may ask the same connection about one that differs


def all_sealed(tables: Iterable[Table]) -> dict[str, Sealed]:
    """Everything that is sealed by sequence in a warehouse with these tables."""
    return {
        **{str(kind): one for kind, one in SEALED.items()},
        **{name: one for table in tables for name, one in of_table(table.name).items()},
    }
