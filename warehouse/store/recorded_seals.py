"""Whether the rows of an open warehouse are as they were sealed, and its seals as they were entered in the ledger. Reads, changes nothing.

Points 9 and 10 of differences.py as far as seals tell them. Does not belong here: the chain of the ledger, deliveries, values
(recorded.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import duckdb

from warehouse.sql import literal
from warehouse.store.differences import Difference, Kind
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import (
    ASSESSMENT,
    CATALOGUE,
    REGISTRIES,
    SEAL_COLUMNS,
    Sealed,
    SealKind,
    all_sealed,
    hash_of_seals,
    of_registry,
    recomputed,
)
from warehouse.store.store import Store

# subject of a difference, where it is not the kind of seal
_SUBJECTS: Mapping[str, str] = {
    SealKind.RECEIVED: "deliveries",
    SealKind.DECIDED: "deliveries",
    SealKind.VALUES_RESTATED: "values",
    SealKind.ROLLUPS_RESTATED: "roll-ups",
}
Seals = dict[str, dict[int, tuple[int, int, str]]]  # what → first sequence → last sequence, rows, SHA-256


def differing_seals(store: Store) -> Iterator[Difference]:
    """The seals against the ledger, and all rows of the warehouse against the seals."""
    sealed: Seals = {}
    by_entry: dict[int, list[tuple[Any, ...]]] = {}  # sequence of the ledger entry → its seals
    anew = _sealed_anew(store)
    seals = store.con.execute(f"SELECT seq, {', '.join(SEAL_COLUMNS)} FROM audit.seal ORDER BY seq").fetchall()
    for seq, what, first, last, rows, digest in seals:
        by_entry.setdefault(seq, []).append((what, first, last, rows, digest))
        if first in sealed.get(what, {}) and not what.startswith("registry.") and what not in anew.get(seq, ()):
            said = f"{what} of ledger row {first} were sealed a second time, at ledger row {seq}, by no upgrade"
            yield Difference("seals", said, Kind.SEAL)
        sealed.setdefault(what, {})[first] = (last, rows, digest)  # of a registry the newest comes last
    yield from _entries(store, by_entry)
    yield from _registries(store, sealed)
    yield from _sealed_rows(store, sealed)
    for what in sealed:
        yield Difference("seals", f"there are seals of {what}, which this version of qala does not know", Kind.SEAL)


def _entries(store: Store, by_entry: Mapping[int, list[tuple[Any, ...]]]) -> Iterator[Difference]:
    """Seals that are not those whose hash was entered."""
    entered = dict(
        store.con.execute("SELECT seq, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind = 'sealed'").fetchall()
    )
    for seq in sorted({*entered, *by_entry}):
        if seq not in by_entry or entered.get(seq) != hash_of_seals(by_entry[seq]):
            yield Difference("seals", f"those entered at ledger row {seq} were changed", Kind.SEAL)


def _registries(store: Store, sealed: Seals) -> Iterator[Difference]:
    """Registries that are not as sealed last. Takes their seals out of `sealed`."""
    there = store.con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'registry'").fetchall()
    for name in (*REGISTRIES, *CATALOGUE):
        seals = sealed.pop(f"registry.{name}", {})
        if not seals and (name,) not in there:  # of a file that was upgraded and not yet fitted
            continue
        now = of_registry(store.con, name)
        if not seals and now[0]:
            yield Difference("registries", f"registry.{name} was never entered in the ledger", Kind.REGISTRY)
        elif seals and seals[max(seals)][1:] != now:
            said = f"registry.{name} is not what was entered at ledger row {max(seals)}"
            yield Difference("registries", said, Kind.REGISTRY)


def _sealed_rows(store: Store, sealed: Seals) -> Iterator[Difference]:
    """Rows that are not as sealed, of every kind. Takes their seals out of `sealed`."""
    gone = _replaced_drafts(store)
    kinds = all_sealed(store.tables.values())
    filled = _with_rows(store, kinds, sealed)
    for what, one in kinds.items():
        expected = {
            first: rest for first, rest in sealed.pop(what, {}).items() if not (what in ASSESSMENT and first in gone)
        }
        # read to the end first: DuckDB 2 has one open result a connection, and to name a difference asks again
        for first, rows, digest in list(recomputed(store.con, what, one)) if what in filled else ():
            last, wanted, sha256 = expected.pop(first, (first, 0, ""))
            if (rows, digest) != (wanted, sha256):
                yield _rows(store, what, first, last, wanted, rows)
        for first, (last, wanted, _) in expected.items():
            yield _rows(store, what, first, last, wanted, 0)


def _with_rows(store: Store, kinds: Mapping[str, Sealed], sealed: Collection[str]) -> Collection[str]:
    """Kinds of which there are rows: one question for all, since to hash the none of each empty table takes longer.

    A file that was upgraded and not yet fitted lacks tables of today. Of one that has no seals either, nothing is missed; of one that
    has, the comparison itself says that it cannot be asked.
    """
    asked_of = {
        what: f"SELECT {literal(what)} WHERE EXISTS (SELECT 1 FROM ({one.rows}))" for what, one in kinds.items()
    }
    try:
        return {what for (what,) in store.con.execute(" UNION ALL ".join(asked_of.values())).fetchall()}
    except duckdb.Error:
        return {what for what, sql in asked_of.items() if _has_rows(store, sql, sealed=what in sealed)}


def _has_rows(store: Store, sql: str, *, sealed: bool) -> bool:
    try:
        return bool(store.con.execute(sql).fetchall())
    except duckdb.CatalogException:
        return sealed


def _sealed_anew(store: Store) -> dict[int, tuple[str, ...]]:
    """Ledger rows that seal kinds of rows over again, as steps of an upgrade do: a step is taken once, and right before."""
    number, found, step = 0, dict[int, tuple[str, ...]](), -1
    kinds: tuple[str, ...] = ()
    for seq, kind, by, new, resealed in store.con.execute(
        "SELECT seq, kind, TRY(CAST(detail->>'$.resealed_by' AS BIGINT)), TRY(CAST(detail->>'$.number' AS INTEGER)), "
        "TRY(CAST(detail->'$.resealed' AS VARCHAR[])) FROM audit.ledger WHERE kind IN ('schema', 'upgraded', 'sealed') ORDER BY seq"
    ).fetchall():
        if kind == EntryKind.SEALED:
            if seq - 1 == step == by:
                found[seq] = kinds
            continue
        step, kinds = (seq, tuple(resealed or ())) if kind == EntryKind.UPGRADED and (new or 0) > number else (-1, ())
        number = max(number, new or 0)
    return found


def _rows(store: Store, what: str, first: int, last: int, wanted: int, rows: int) -> Difference:
    """Of a run of sealed rows there are `rows`, and `wanted` were sealed; `first` -1: they belong to no ledger row."""
    kind = Kind.ROWS_UNSEALED if first < 0 or wanted == 0 else Kind.ROWS_CHANGED if rows == wanted else Kind.ROWS_GONE
    return Difference(_SUBJECTS.get(what, what), _said(store, what, first, last, wanted, rows), kind)


def _said(store: Store, what: str, first: int, last: int, wanted: int, rows: int) -> str:
    if first < 0:
        return f"{what}: {rows} rows were never entered in the ledger"
    if wanted == 0:
        return f"{what}: {rows} rows claim ledger row {first}, which entered none"
    span = f"ledger rows {first} to {last}"
    if first == last:
        row = store.con.execute(
            """
SELECT l.kind || ' ' || coalesce(d.file_name || ', delivery ' || d.delivery_id, l.subject) FROM audit.ledger l
LEFT JOIN audit.delivery d ON d.loaded_seq = l.seq WHERE l.seq = ?""",
            [first],
        ).fetchone()
        span = f"ledger row {first}" + (f" ({row[0]})" if row else "")
    return f"{what}, {span}: " + ("changed since" if rows == wanted else f"of {wanted} rows {rows} are there")


def _replaced_drafts(store: Store) -> set[int]:
    """Ledger rows of draft assessments that a later draft replaced: they are gone by design."""
    rows = store.con.execute("""
SELECT seq FROM audit.ledger WHERE kind = 'assessed' AND TRY(detail->>'$.version') = '0'
QUALIFY seq < max(seq) OVER (PARTITION BY subject, TRY(detail->>'$.catalogue'))""").fetchall()
    return {row[0] for row in rows}
