"""Whether an open warehouse holds what its ledger says: points 4 and 8 to 11 of differences.py. Reads, changes nothing.

Asked by `qala verify` of a release, and of a copy before a left-over write-ahead log is applied. Does not belong here: files
beside the warehouse, anchors, signatures, views and exports (audit/); rows against their seals (recorded_seals.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

import duckdb

from warehouse.sql import statement
from warehouse.store.differences import ESTABLISHED, SHOWN, Difference, Kind
from warehouse.store.ledger import GENESIS_HASH, EntryKind, ledger_hash
from warehouse.store.recorded_seals import differing_seals
from warehouse.store.store import Store
from warehouse.tables.value_formula import VALUE
from warehouse.tables.views import shipped_views


def lineage_gaps(store: Store) -> tuple[str, ...]:
    """Published values that cannot be walked back to a delivery, each with the gap, by the code's own view and not the file's."""
    return lineage_gaps_by(store, f"SELECT kpi_code, kato, period_id, gap FROM ({shipped_views()['lineage_gaps'][1]})")


def lineage_gaps_by(store: Store, sql: str) -> tuple[str, ...]:
    """Gaps found by SQL that returns (kpi_code, kato, period_id, gap), one sentence each."""
    return tuple(
        f"{code} {kato} {period}: {gap}"
        for code, kato, period, gap in store.con.execute(f"{sql} ORDER BY ALL").fetchall()
    )


def recorded(store: Store, *, views: bool = True) -> list[Difference]:
    """What of an open warehouse differs from its ledger, and whether the ledger is one chain.

    `views`: False where the file does not have the views of this version yet, by which lineage is asked.
    """
    return [
        *asked(4, _ledger(store)),
        *asked(8, _deliveries(store)),
        *asked(10, _definitions(store)),
        *asked(11, _values(store)),
        *(asked(11, _lineage(store)) if views else ()),
        *asked(10, _settings(store)),
        *asked(9, differing_seals(store)),
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
    rows = store.con.execute(statement(__file__, "differing_delivery")).fetchmany(SHOWN)
    for number, file, why in rows:
        yield Difference("deliveries", f"delivery {number} ({file}): {why}", Kind.DELIVERY)
    lost = store.con.execute(
        "SELECT seq, subject FROM audit.ledger WHERE kind = 'received' "
        "AND subject NOT IN (SELECT receipt_id FROM audit.delivery) ORDER BY seq"
    ).fetchmany(SHOWN)
    for seq, subject in lost:
        said = f"receipt {subject} (ledger row {seq}) has no delivery any more"
        yield Difference("deliveries", said, Kind.DELIVERY_GONE)


def _definitions(store: Store) -> Iterator[Difference]:
    # here, as whoever opens a warehouse imports this module, and few ask it
    from pydantic import ValidationError

    from kpi_definitions.compiler import fingerprint
    from kpi_definitions.model import Kpi

    rows = store.con.execute("""
SELECT k.kpi_code, k.definition_version, k.definition, k.definition_hash, TRY(l.detail->>'$.hash') FROM registry.kpi k
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
    rows = store.con.execute(statement(__file__, "underived_value", formula=VALUE)).fetchmany(SHOWN)
    for code, kato, period, value in rows:
        said = f"{code} {kato} {period}: {value} does not follow from its numerator and denominator"
        yield Difference("values", said, Kind.VALUE)
    rows = store.con.execute(statement(__file__, "unbounded_value")).fetchmany(SHOWN)
    for code, kato, period, value, low, high in rows:
        said = f"{code} {kato} {period}: {value} does not lie between its bounds {low} and {high}"
        yield Difference("values", said, Kind.BOUNDS)


def _settings(store: Store) -> Iterator[Difference]:
    """What the file says it was made from, against the ledger."""
    found = dict(store.con.execute("SELECT name, value FROM registry.setting").fetchall())
    entered: dict[str, str] = {}
    for kind, digest in store.con.execute(
        "SELECT kind, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind IN ('schema', 'catalogue') ORDER BY seq"
    ).fetchall():
        if kind == EntryKind.SCHEMA:  # a new one makes the next computation enter the catalogue anew
            entered.clear()
        entered[kind] = digest
    if found != entered:
        yield Difference("registries", "registry.setting is not what was entered in the ledger", Kind.SETTING)
