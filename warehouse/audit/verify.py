"""Whether a release is still what was recorded: files, ledger, deliveries, definitions, values. Reads, never mends.

The ledger is a chain: each row is hashed with the one before it, so a row that was changed, taken out or put in breaks it. Whoever
rewrites the whole chain, or drops its last rows, is found by a head that was anchored outside (a printed report, another office).
Every transaction seals the rows it wrote (warehouse/seal.py), and the seals stand in the ledger: so each row of the warehouse is held against
what was entered, and values against their own numerator and denominator too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kpi_definitions.compiler import fingerprint
from kpi_definitions.model import Kpi
from warehouse.compute import VALUE
from warehouse.release import file_sha256
from warehouse.seal import CATALOGUE, REGISTRIES, SEAL_COLUMNS, all_sealed, hash_of_seals, of_registry, recomputed
from warehouse.store import NOTHING, Home, Store, StoreError, ledger_hash
from warehouse.succession import MANIFEST

SHOWN = 20  # differences of one kind that are named
_SUBJECTS = {
    "deliveries received": "deliveries",
    "deliveries decided": "deliveries",
    "values restated": "values",
    "roll-ups restated": "roll-ups",
}


@dataclass(frozen=True)
class Difference:
    """Something that is not as recorded. `subject`: release, archive, ledger, seals, registries, definitions, or the kind of rows."""

    subject: str
    message: str


def release_files(home: Home) -> list[Difference]:
    """The release's files against its manifest. To be asked before anything in it is opened: a planted log changes a file at opening."""
    try:
        manifest = json.loads((home.release / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"nothing has been released in {home.root} yet; run: qala run") from None
    except ValueError:
        return [Difference("release", f"{home.release / MANIFEST} cannot be read")]
    found = []
    for name, digest in manifest["sha256"].items():
        path = home.release / name
        if not path.exists():
            found.append(Difference("release", f"{name} is missing"))
        elif file_sha256(path) != digest:
            found.append(
                Difference("release", f"{name} is not the file that was released: its SHA-256 differs from {MANIFEST}")
            )
    known = {MANIFEST, *manifest["sha256"]}
    for path in sorted(home.release.iterdir()):
        if path.name not in known:
            found.append(
                Difference(
                    "release", f"{path.name} does not belong here; take it away before anybody opens the release"
                )
            )
    return found


def recorded(store: Store, anchor: tuple[int, str] | None = None) -> list[Difference]:
    """What stands in the warehouse against its ledger, and the ledger against itself and an anchored (sequence, hash)."""
    return [
        *_ledger(store, anchor),
        *_deliveries(store),
        *_definitions(store),
        *_values(store),
        *_settings(store),
        *_seals(store),
    ]


def _ledger(store: Store, anchor: tuple[int, str] | None) -> Iterator[Difference]:
    previous, expected, heads = NOTHING, 1, dict[int, str]()
    cursor = store.con.execute(
        "SELECT seq, epoch_us(recorded_at), kind, subject, run_id, detail, prev_hash, hash FROM audit.ledger ORDER BY seq"
    )
    epoch, broken = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0
    while rows := cursor.fetchmany(10_000):
        for seq, micros, kind, subject, run_id, detail, prev_hash, digest in rows:
            if broken >= SHOWN:
                break
            if seq != expected:
                broken += 1
                yield Difference("ledger", f"rows {expected} to {seq - 1} are missing")
            if prev_hash != previous:
                broken += 1
                yield Difference("ledger", f"row {seq} ({kind} {subject}) does not follow the row before it")
            at = epoch + dt.timedelta(microseconds=micros)
            if ledger_hash(seq, at, kind, subject, run_id, detail, prev_hash) != digest:
                broken += 1
                yield Difference("ledger", f"row {seq} ({kind} {subject}) was changed: its hash differs")
            previous, expected = digest, seq + 1
            heads[seq] = digest
    manifest = json.loads((store.home.release / MANIFEST).read_text(encoding="utf-8"))
    anchors = [
        ("release.json", manifest["seq"], manifest["ledger_head"]),
        *([("the anchored head", *anchor)] if anchor else []),
    ]
    for what, seq, digest in anchors:
        if seq not in heads:
            yield Difference(
                "ledger", f"{what} names row {seq}; the ledger ends at {expected - 1}: its last rows were dropped"
            )
        elif heads[seq] != digest:
            yield Difference("ledger", f"{what} names another hash for row {seq}: the ledger was rewritten")


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
        yield Difference("deliveries", f"delivery {number} ({file}): {why}")
    lost = store.con.execute("""
SELECT seq, subject FROM audit.ledger WHERE kind = 'received' AND subject NOT IN (SELECT receipt_id FROM audit.delivery) ORDER BY seq""").fetchmany(
        SHOWN
    )
    for seq, subject in lost:
        yield Difference("deliveries", f"receipt {subject} (ledger row {seq}) has no delivery any more")


def _definitions(store: Store) -> Iterator[Difference]:
    rows = store.con.execute("""
SELECT k.code, k.version, k.definition, k.definition_hash, TRY(l.detail->>'$.hash') FROM registry.kpi k
LEFT JOIN audit.ledger l ON l.seq = k.registered_seq AND l.kind = 'definition' ORDER BY ALL""").fetchall()
    for code, version, text, digest, entered in rows:
        if not fingerprint(Kpi.model_validate_json(text)) == digest == entered:
            yield Difference("definitions", f"{code} version {version} is not the definition that was registered")


def _values(store: Store) -> Iterator[Difference]:
    rows = store.con.execute(f"""
SELECT v.kpi_code, v.kato, v.period_id, v.value FROM (
    SELECT v.*, k.kind, (k.definition->>'$.scale')::BIGINT AS scale, CAST(v.numerator AS DOUBLE) AS n, CAST(v.denominator AS DOUBLE) AS d,
           v.sample_size AS s
    FROM kpi.value v JOIN registry.kpi k ON (k.code, k.version) = (v.kpi_code, v.definition_version)
    WHERE v.value IS NOT NULL AND k.kind <> 'quantile') v
WHERE v.value IS DISTINCT FROM {VALUE} ORDER BY ALL""").fetchmany(SHOWN)
    for code, kato, period, value in rows:
        yield Difference(
            "values", f"{code} {kato} {period}: {value} does not follow from its numerator and denominator"
        )
    # `qala reperform` makes bounds again; here, that they hold the value, and are nothing else where no row is uncertain
    rows = store.con.execute("""
SELECT kpi_code, kato, period_id, value, value_low, value_high FROM kpi.value
WHERE value_low > value OR value_high < value OR (value_low IS NULL) <> (value_high IS NULL) OR (value IS NULL AND value_low IS NOT NULL)
   OR (rejected_rows + gap_rows = 0 AND (value_low, value_high) IS DISTINCT FROM (value, value)) ORDER BY ALL""").fetchmany(
        SHOWN
    )
    for code, kato, period, value, low, high in rows:
        yield Difference("values", f"{code} {kato} {period}: {value} does not lie between its bounds {low} and {high}")


def _seals(store: Store) -> Iterator[Difference]:
    """The seals against the ledger, and all rows of the warehouse against the seals."""
    sealed: dict[str, dict[int, tuple[int, int, str]]] = {}  # what → first sequence → last, rows, hash
    entered = dict(
        store.con.execute("SELECT seq, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind = 'sealed'").fetchall()
    )
    found: dict[int, list[tuple[Any, ...]]] = {}
    for seq, *row in store.con.execute(
        f"SELECT seq, {', '.join(SEAL_COLUMNS)} FROM audit.seal ORDER BY seq"
    ).fetchall():
        found.setdefault(seq, []).append(tuple(row))
        what, first, last, rows, digest = row
        sealed.setdefault(what, {})[first] = (last, rows, digest)  # of a registry the newest stands last
    for seq in sorted({*entered, *found}):
        if seq not in found or entered.get(seq) != hash_of_seals(found[seq]):
            yield Difference("seals", f"those entered at ledger row {seq} were changed")
    for name in (*REGISTRIES, *CATALOGUE):
        stands = sealed.pop(f"registry.{name}", {})
        if stands and stands[max(stands)][1:] != of_registry(store.con, name):
            yield Difference("registries", f"registry.{name} is not what was entered at ledger row {max(stands)}")
    gone = _replaced_drafts(store)
    for what, one in all_sealed(store.tables.values()).items():
        expected = {
            first: rest
            for first, rest in sealed.pop(what, {}).items()
            if not (what.startswith("assessment") and first in gone)
        }
        for first, rows, digest in recomputed(store.con, what, one):
            last, wanted, sha256 = expected.pop(first, (first, 0, ""))
            if (rows, digest) != (wanted, sha256):
                yield Difference(_SUBJECTS.get(what, what), _said(store, what, first, last, wanted, rows))
        for first, (last, wanted, _) in expected.items():
            yield Difference(_SUBJECTS.get(what, what), _said(store, what, first, last, wanted, 0))
    for what in sealed:
        yield Difference("seals", f"there are seals of {what}, which this version of qala does not know")


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
        yield Difference("registries", "registry.setting is not what was entered in the ledger")
