"""Whether an open warehouse holds what its ledger says: points 4 and 8 to 11 of differences.py. Reads, changes nothing.

Asked by `qala verify` of a release, and of a copy before a left-over write-ahead log is applied. Does not belong here: files
beside the warehouse, anchors, signatures, views and exports (audit/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import duckdb
from pydantic import ValidationError

from kpi_definitions.compiler import fingerprint
from kpi_definitions.model import Kpi
from warehouse.sql import literal
from warehouse.store.differences import ESTABLISHED, SHOWN, Difference, Kind
from warehouse.store.ledger import GENESIS_HASH, ledger_hash
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
from warehouse.tables.value_formula import VALUE
from warehouse.tables.views import VIEWS


def lineage_gaps(store: Store) -> tuple[str, ...]:
    """Published values that cannot be walked back to a delivery, each with the gap, by the code's own view and not the file's."""
    return lineage_gaps_by(store, f"SELECT kpi_code, kato, period_id, gap FROM ({VIEWS['lineage_gaps'][1]})")


def lineage_gaps_by(store: Store, sql: str) -> tuple[str, ...]:
    """Gaps found by SQL that returns (kpi_code, kato, period_id, gap), one sentence each."""
    return tuple(
        f"{code} {kato} {period}: {gap}"
        for code, kato, period, gap in store.con.execute(f"{sql} ORDER BY ALL").fetchall()
    )


# subject of a difference, where it is not the kind of seal
_SUBJECTS: Mapping[str, str] = {
    SealKind.RECEIVED: "deliveries",
    SealKind.DECIDED: "deliveries",
    SealKind.VALUES_RESTATED: "values",
    SealKind.ROLLUPS_RESTATED: "roll-ups",
}


def recorded(store: Store) -> list[Difference]:
    """What of an open warehouse differs from its ledger, and whether the ledger is one chain."""
    return [
        *asked(4, _ledger(store)),
        *asked(8, _deliveries(store)),
        *asked(10, _definitions(store)),
        *asked(11, _values(store)),
        *asked(11, _lineage(store)),
        *asked(10, _settings(store)),
        *asked(9, _seals(store)),
    ]


def asked(number: int, found: Iterable[Difference]) -> list[Difference]:
    """The differences; a question that cannot be asked, because tables are not what they should be, is one too."""
    differences = list[Difference]()
    try:
        for one in found:
            differences.append(one)
    except (duckdb.Error, TypeError, ValueError) as error:
        kind = next(k for k in Kind if k.number == number)
        differences.append(
            Difference("schema", f"{ESTABLISHED[number]}: cannot be asked ({str(error).splitlines()[0]})", kind)
        )
    return differences


def _lineage(store: Store) -> Iterator[Difference]:
    for gap in lineage_gaps(store)[:SHOWN]:
        yield Difference("values", gap, Kind.LINEAGE)


def _ledger(store: Store) -> Iterator[Difference]:
    previous, expected = GENESIS_HASH, 1
    cursor = store.con.execute(
        "SELECT seq, epoch_us(recorded_at), kind, subject, run_id, detail, prev_hash, hash FROM audit.ledger ORDER BY seq"
    )
    epoch, broken = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0
    while rows := cursor.fetchmany(10_000):
        for seq, micros, kind, subject, run_id, detail, prev_hash, digest in rows:
            if broken >= SHOWN:
                return
            if seq != expected:
                broken += 1
                yield Difference("ledger", f"rows {expected} to {seq - 1} are missing", Kind.LEDGER_GAP)
            if prev_hash != previous:
                broken += 1
                yield Difference(
                    "ledger", f"row {seq} ({kind} {subject}) does not follow the row before it", Kind.LEDGER_CHAIN
                )
            at = epoch + dt.timedelta(microseconds=micros)
            if ledger_hash(seq, at, kind, subject, run_id, detail, prev_hash) != digest:
                broken += 1
                yield Difference(
                    "ledger", f"row {seq} ({kind} {subject}) was changed: its hash differs", Kind.LEDGER_ROW
                )
            previous, expected = digest, seq + 1


def _deliveries(store: Store) -> Iterator[Difference]:
    rows = store.con.execute("""
SELECT d.delivery_id, d.file_name, CASE
    WHEN r.seq IS NULL THEN 'its registration is not in the ledger'
    WHEN (TRY(r.detail->>'$.sha256'), TRY(r.detail->>'$.table'), TRY(r.detail->>'$.system'), TRY(r.detail->>'$.scope'),
          TRY(r.detail->>'$.period'), TRY(r.detail->>'$.file'),
          TRY(r.detail->>'$.bytes')) <> (d.sha256, d.table_name, d.system, d.scope, d.period_id, d.file_name, d.bytes::VARCHAR)
        THEN 'what was received is recorded otherwise'
    WHEN d.state <> 'received' AND (l.seq IS NULL OR (TRY(l.detail->>'$.delivery_id'), TRY(l.detail->>'$.received'),
          TRY(l.detail->>'$.accepted'), TRY(l.detail->>'$.rejected'))
          <> (d.delivery_id::VARCHAR, d.received_rows::VARCHAR, d.accepted_rows::VARCHAR, d.rejected_rows::VARCHAR))
        THEN 'the decision on it is recorded otherwise'
    WHEN d.state = 'loaded' AND coalesce(x.rows, 0) <> d.rejected_rows THEN 'of ' || d.rejected_rows || ' rejected rows ' || coalesce(x.rows, 0) || ' are there'
    END AS why
FROM audit.delivery d
LEFT JOIN audit.ledger r ON r.seq = d.registered_seq AND r.kind = 'received' AND r.subject = d.receipt_id
LEFT JOIN audit.ledger l ON l.seq = d.loaded_seq AND l.kind = d.state AND l.subject = d.receipt_id
LEFT JOIN (SELECT delivery_id, count(*) AS rows FROM audit.rejected_row WHERE column_name IS NULL GROUP BY 1) x USING (delivery_id)
WHERE why IS NOT NULL ORDER BY 1""").fetchmany(SHOWN)
    for number, file, why in rows:
        yield Difference("deliveries", f"delivery {number} ({file}): {why}", Kind.DELIVERY)
    lost = store.con.execute("""
SELECT seq, subject FROM audit.ledger WHERE kind = 'received' AND subject NOT IN (SELECT receipt_id FROM audit.delivery) ORDER BY seq""").fetchmany(
        SHOWN
    )
    for seq, subject in lost:
        yield Difference(
            "deliveries", f"receipt {subject} (ledger row {seq}) has no delivery any more", Kind.DELIVERY_GONE
        )


def _definitions(store: Store) -> Iterator[Difference]:
    rows = store.con.execute("""
SELECT k.code, k.version, k.definition, k.definition_hash, TRY(l.detail->>'$.hash') FROM registry.kpi k
LEFT JOIN audit.ledger l ON l.seq = k.registered_seq AND l.kind = 'definition' ORDER BY ALL""").fetchall()
    for code, version, text, digest, entered in rows:
        try:
            same = fingerprint(Kpi.model_validate_json(text)) == digest == entered
        except ValidationError:
            same = False
        if not same:
            said = f"{code} version {version} is not the definition that was registered"
            yield Difference("definitions", said, Kind.DEFINITION)


def _values(store: Store) -> Iterator[Difference]:
    rows = store.con.execute(f"""
SELECT v.kpi_code, v.kato, v.period_id, v.value FROM (
    SELECT v.*, k.kind, (k.definition->>'$.scale')::BIGINT AS scale, CAST(v.numerator AS DOUBLE) AS n, CAST(v.denominator AS DOUBLE) AS d,
           v.sample_size AS s
    FROM kpi.value v JOIN registry.kpi k ON (k.code, k.version) = (v.kpi_code, v.definition_version)
    WHERE v.value IS NOT NULL AND k.kind <> 'quantile') v
WHERE v.value IS DISTINCT FROM {VALUE} ORDER BY ALL""").fetchmany(SHOWN)
    for code, kato, period, value in rows:
        said = f"{code} {kato} {period}: {value} does not follow from its numerator and denominator"
        yield Difference("values", said, Kind.VALUE)
    # `qala reperform` makes bounds again; here, that they hold the value, and are nothing else where no row is uncertain
    rows = store.con.execute("""
SELECT kpi_code, kato, period_id, value, value_low, value_high FROM kpi.value
WHERE value_low > value OR value_high < value OR (value_low IS NULL) <> (value_high IS NULL) OR (value IS NULL AND value_low IS NOT NULL)
   OR (rejected_rows + gap_rows = 0 AND (value_low, value_high) IS DISTINCT FROM (value, value)) ORDER BY ALL""").fetchmany(
        SHOWN
    )
    for code, kato, period, value, low, high in rows:
        said = f"{code} {kato} {period}: {value} does not lie between its bounds {low} and {high}"
        yield Difference("values", said, Kind.BOUNDS)


def _seals(store: Store) -> Iterator[Difference]:
    """The seals against the ledger, and all rows of the warehouse against the seals."""
    sealed: dict[str, dict[int, tuple[int, int, str]]] = {}  # what → first sequence → last, rows, hash
    entered = dict(
        store.con.execute("SELECT seq, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind = 'sealed'").fetchall()
    )
    found: dict[int, list[tuple[Any, ...]]] = {}
    anew = _sealed_anew(store)
    for seq, *row in store.con.execute(
        f"SELECT seq, {', '.join(SEAL_COLUMNS)} FROM audit.seal ORDER BY seq"
    ).fetchall():
        found.setdefault(seq, []).append(tuple(row))
        what, first, last, rows, digest = row
        if first in sealed.get(what, {}) and not what.startswith("registry.") and what not in anew.get(seq, ()):
            said = f"{what} of ledger row {first} were sealed a second time, at ledger row {seq}, by no upgrade"
            yield Difference("seals", said, Kind.SEAL)
        sealed.setdefault(what, {})[first] = (last, rows, digest)  # of a registry the newest stands last
    for seq in sorted({*entered, *found}):
        if seq not in found or entered.get(seq) != hash_of_seals(found[seq]):
            yield Difference("seals", f"those entered at ledger row {seq} were changed", Kind.SEAL)
    for name in (*REGISTRIES, *CATALOGUE):
        stands, now = sealed.pop(f"registry.{name}", {}), of_registry(store.con, name)
        if not stands and now[0]:
            yield Difference("registries", f"registry.{name} was never entered in the ledger", Kind.REGISTRY)
        elif stands and stands[max(stands)][1:] != now:
            said = f"registry.{name} is not what was entered at ledger row {max(stands)}"
            yield Difference("registries", said, Kind.REGISTRY)
    gone = _replaced_drafts(store)
    kinds = all_sealed(store.tables.values())
    filled = _with_rows(store, kinds)
    for what, one in kinds.items():
        expected = {
            first: rest for first, rest in sealed.pop(what, {}).items() if not (what in ASSESSMENT and first in gone)
        }
        for first, rows, digest in recomputed(store.con, what, one) if what in filled else ():
            last, wanted, sha256 = expected.pop(first, (first, 0, ""))
            if (rows, digest) != (wanted, sha256):
                yield _rows(store, what, first, last, wanted, rows)
        for first, (last, wanted, _) in expected.items():
            yield _rows(store, what, first, last, wanted, 0)
    for what in sealed:
        yield Difference("seals", f"there are seals of {what}, which this version of qala does not know", Kind.SEAL)


def _with_rows(store: Store, kinds: Mapping[str, Sealed]) -> Collection[str]:
    """Kinds of which there are rows: one question for all, since to hash the none of each empty table takes longer."""
    asked_of = (f"SELECT {literal(what)} WHERE EXISTS (SELECT 1 FROM ({one.rows}))" for what, one in kinds.items())
    try:
        return {what for (what,) in store.con.execute(" UNION ALL ".join(asked_of)).fetchall()}
    except duckdb.Error:  # of a table that is gone: then each is asked by itself, and the others are still compared
        return kinds


def _sealed_anew(store: Store) -> dict[int, tuple[str, ...]]:
    """Ledger rows that seal kinds of rows over again, as steps of an upgrade do: a step is taken once, and right before."""
    number, found, step = 0, dict[int, tuple[str, ...]](), -1
    kinds: tuple[str, ...] = ()
    for seq, kind, by, new, resealed in store.con.execute(
        "SELECT seq, kind, TRY(CAST(detail->>'$.resealed_by' AS BIGINT)), TRY(CAST(detail->>'$.number' AS INTEGER)), "
        "TRY(CAST(detail->'$.resealed' AS VARCHAR[])) FROM audit.ledger WHERE kind IN ('schema', 'upgraded', 'sealed') ORDER BY seq"
    ).fetchall():
        if kind == "sealed":
            if seq - 1 == step == by:
                found[seq] = kinds
            continue
        step, kinds = (seq, tuple(resealed or ())) if kind == "upgraded" and (new or 0) > number else (-1, ())
        number = max(number, new or 0)
    return found


def _rows(store: Store, what: str, first: int, last: int, wanted: int, rows: int) -> Difference:
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


def _settings(store: Store) -> Iterator[Difference]:
    """What the file says it was made from, against the ledger."""
    found = dict(store.con.execute("SELECT name, value FROM registry.setting").fetchall())
    entered: dict[str, str] = {}
    for kind, digest in store.con.execute(
        "SELECT kind, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind IN ('schema', 'catalogue') ORDER BY seq"
    ).fetchall():
        if kind == "schema":  # a new one makes the next computation enter the catalogue anew
            entered.clear()
        entered[kind] = digest
    if found != entered:
        yield Difference("registries", "registry.setting is not what was entered in the ledger", Kind.SETTING)
