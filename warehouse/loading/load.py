"""The loading door: the only way rows come into the showcase.

A delivery loads whole or not at all, in one transaction with its ledger row, its rejected rows and its check results.
A row that is corrected or withdrawn moves to `history` with the ledger sequence at which it ceased to hold; the current
table stays plain. Time is the ledger sequence, never the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import duckdb

from warehouse.home.account import ACCOUNT, account
from warehouse.loading.incidents import FAILS, journal
from warehouse.loading.replace import load_turn, turns_of
from warehouse.moments import at
from warehouse.periods import parse_period
from warehouse.sql import literal, quoted
from warehouse.store.seals import SEALED, of_table, seal
from warehouse.store.store import (
    FIRST_YEAR,
    LAST_YEAR,
    Home,
    Store,
    StoreError,
    settlements,
    territory,
    time_zones,
    writing,
)
from warehouse.tables.assertions import Cut, overlap
from warehouse.tables.contracts import Table

__all__ = [
    "FIRST_YEAR",
    "LAST_YEAR",
    "Corrected",
    "Delivery",
    "Finding",
    "Gaps",
    "Home",
    "Outcome",
    "Receipt",
    "Store",
    "StoreError",
    "decided",
    "load",
    "received",
    "register",
    "same_bytes",
    "settlements",
    "standing",
    "territory",
    "time_zones",
    "writing",
]


@dataclass(frozen=True)
class Receipt:
    """What was declared when bytes arrived. `scope`: KATO of a settlement, two digits of a region, or KZ."""

    receipt_id: str
    table: str
    system: str
    scope: str
    period: str
    file_name: str
    sha256: str
    bytes: int
    received_at: str  # ISO 8601, UTC
    declared_rows: int | None = None
    reread_of: int | None = None  # the delivery whose bytes are read again, and whose place in the order this one takes


@dataclass(frozen=True)
class Finding:
    """What one rule found in one delivery."""

    delivery_id: int
    rule: str
    severity: str
    dimension: str
    passed: bool
    observed: str
    expected: str
    failing_rows: int | None = None  # of a rule on rows; a rule on the delivery as a whole has none
    concerns: tuple[int, ...] = ()  # other deliveries, loaded before, whose rows are as much in doubt by it


@dataclass(frozen=True)
class Gaps:
    """How many of a delivery's rows have no value in a column: a row of audit.delivery_profile."""

    delivery_id: int
    column_name: str
    rows: int
    gaps: int


@dataclass(frozen=True)
class Corrected:
    """A cell that a declared correction put right, or whose guard failed: a row of audit.correction, column by column."""

    correction_id: str
    sha256: str
    delivery_id: int
    row_no: int
    table_name: str
    kato: str
    key: str
    column_name: str
    was: str | None
    becomes: str | None
    outcome: str
    what: str
    why: str
    decided_by: str
    decided_on: dt.date
    source_status: str
    source_reference: str | None


@dataclass(frozen=True)
class Delivery:
    """A registered delivery that waits for its decision."""

    delivery_id: int
    receipt_id: str
    table: str
    system: str
    scope: str
    period: str
    period_start: dt.date
    period_end: dt.date
    file_name: str
    sha256: str
    bytes: int
    declared_rows: int | None
    reread_of: int | None = None

    @property
    def months(self) -> tuple[str, ...]:
        return parse_period(self.period).months

    @property
    def closing_month(self) -> str:
        return self.months[-1]


# the columns of audit.delivery that make a Delivery, in its order
_DELIVERY = (
    "delivery_id",
    "receipt_id",
    "table_name",
    "system",
    "scope",
    "period_id",
    "period_start",
    "period_end",
    "file_name",
    "sha256",
    "bytes",
    "declared_rows",
    "reread_of",
)


@dataclass(frozen=True)
class Outcome:
    """What was decided on a delivery. accepted + rejected = received, always."""

    delivery_id: int
    state: str  # loaded, refused or duplicate
    reason: str | None
    contract_id: str
    contract_version: str
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    cut: Cut | None = None  # as its contract declares it; None: as the table's does
    unmapped: str | None = None  # columns of the table that the contract does not map, with commas between them
    pseudonym_key: str | None = None  # id of the key its pseudonyms were made by


def register(store: Store, receipts: Sequence[Receipt]) -> int:
    """Enter receipts not yet known as deliveries in state `received`. Returns how many were new."""
    if not receipts:
        return 0
    known = _known(store, receipts, "true")
    new = [r for r in receipts if r.receipt_id not in known]
    if not new:
        return 0
    row = store.con.execute("SELECT coalesce(max(delivery_id), 0) FROM audit.delivery").fetchone()
    first = int(row[0]) + 1 if row else 1
    with store.transaction():
        seqs = store.record([("received", r.receipt_id, {"sha256": r.sha256, "table": r.table, "system": r.system, "scope": r.scope,
                                                         "period": r.period, "file": r.file_name, "bytes": r.bytes,
                                                         **({"reread_of": r.reread_of, ACCOUNT: account()} if r.reread_of else {})}) for r in new])  # fmt: skip
        rows: list[tuple[Any, ...]] = []
        for number, (receipt, seq) in enumerate(zip(new, seqs, strict=True)):
            period = parse_period(receipt.period)
            rows.append(
                (
                    first + number,
                    receipt.receipt_id,
                    receipt.table,
                    receipt.system,
                    receipt.scope,
                    period.id,
                    period.start,
                    period.end,
                    period.closing_month,
                    receipt.file_name,
                    receipt.sha256,
                    receipt.bytes,
                    receipt.declared_rows,
                    receipt.received_at,
                    seq,
                    "received",
                    receipt.reread_of,
                )
            )
        store.insert(
            "audit.delivery",
            [
                "delivery_id",
                "receipt_id",
                "table_name",
                "system",
                "scope",
                "period_id",
                "period_start",
                "period_end",
                "closing_month",
                "file_name",
                "sha256",
                "bytes",
                "declared_rows",
                "received_at",
                "registered_seq",
                "state",
                "reread_of",
            ],
            rows,
        )
        seal(store, seqs[0], {"deliveries received": SEALED["deliveries received"]})
        at("register.committing")
    at("register.committed")
    return len(new)


def received(store: Store, table: str, months: Iterable[str] | None = None) -> list[Delivery]:
    """Deliveries of a table waiting for a decision, in order of arrival; `months`: those that close in one of them."""
    chosen = "" if months is None else f" AND closing_month IN ({', '.join(literal(m) for m in months) or 'NULL'})"
    rows = store.con.execute(
        f"SELECT {', '.join(_DELIVERY)} FROM audit.delivery WHERE state = 'received' AND table_name = ?{chosen} ORDER BY delivery_id",
        [table],
    ).fetchall()
    return [Delivery(*row) for row in rows]


def decided(store: Store, receipts: Sequence[Receipt]) -> list[str]:
    """The ids of those receipts whose delivery has been decided on."""
    done = _known(store, receipts, "state <> 'received'")
    return [r.receipt_id for r in receipts if r.receipt_id in done]


def _known(store: Store, receipts: Sequence[Receipt], condition: str) -> set[str]:
    """Those of the receipts' ids of which there is a delivery that meets the condition."""
    ids = [r.receipt_id for r in receipts]
    sql = f"SELECT receipt_id FROM audit.delivery WHERE {condition} AND receipt_id IN (SELECT unnest(CAST(? AS VARCHAR[])))"
    return {row[0] for row in store.con.execute(sql, [ids]).fetchall()}


def standing(store: Store, table: str, months: Iterable[str]) -> list[tuple[Finding, Delivery, bool]]:
    """What the rules found in the deliveries that stand for the months: of each slice the last one that was decided on.

    With each, whether its criterion of the law fails by it: a few bad rows are taken out and harm nobody.
    """
    chosen = ", ".join(literal(m) for m in months) or "NULL"
    rows = store.con.execute(
        f"""SELECT {", ".join(f"d.{c}" for c in _DELIVERY)}, f.rule, f.severity, f.dimension, f.passed, f.observed, f.expected, f.failing_rows, {FAILS}
FROM (FROM audit.delivery WHERE table_name = ? AND state IN ('loaded', 'refused') AND closing_month IN ({chosen})
      QUALIFY row_number() OVER (PARTITION BY system, scope, period_id ORDER BY loaded_seq DESC) = 1) d
JOIN audit.check_result f USING (delivery_id) ORDER BY delivery_id, f.rule""",
        [table],
    ).fetchall()
    width = len(_DELIVERY)
    return [(Finding(row[0], *row[width:-1]), Delivery(*row[:width]), bool(row[-1])) for row in rows]


def same_bytes(
    store: Store, deliveries: Sequence[Delivery], contracts: Mapping[int, tuple[str, str]]
) -> dict[int, int]:
    """Deliveries that would change nothing: new id → old id.

    Their bytes are what the same system last delivered for the same table, territory and days, by the same version of the same contract (`contracts`: id and
    version by delivery), and nothing that meets them has come since. What is read again on purpose is none.
    """
    if not deliveries:
        return {}
    shas = ", ".join(map(literal, sorted({one.sha256 for one in deliveries})))
    found: dict[int, int] = {}
    standing = store.con.execute(f"""
SELECT d.delivery_id, d.sha256, d.system, d.scope, d.period_id, d.contract_id, d.contract_version FROM audit.delivery d
WHERE d.state = 'loaded' AND d.table_name = ? AND d.sha256 IN ({shas}) AND NOT EXISTS (
    FROM audit.delivery m WHERE m.table_name = d.table_name AND m.state = 'loaded' AND m.loaded_seq > d.loaded_seq AND {overlap("m", "d")})
ORDER BY d.loaded_seq""", [deliveries[0].table]).fetchall()  # fmt: skip
    latest = {(system, scope, period): (sha256, delivery_id, (contract, version))
              for delivery_id, sha256, system, scope, period, contract, version in standing}  # fmt: skip
    for one in deliveries:
        place = (one.system, one.scope, one.period)
        if one.reread_of is None and place in latest and latest[place][::2] == (one.sha256, contracts[one.delivery_id]):
            found[one.delivery_id] = latest[place][1]
            continue
        months = set(one.months)
        near = [
            p
            for p in latest
            if p != place and p[0] == one.system and ("KZ" in (p[1], one.scope) or p[1][:2] == one.scope[:2])
        ]
        for other in near:
            if months & set(parse_period(other[2]).months):
                del latest[other]
        latest[place] = (one.sha256, one.delivery_id, contracts[one.delivery_id])
    return found


def load(
    store: Store,
    table: Table,
    staged: str,
    deliveries: Sequence[Delivery],
    outcomes: Sequence[Outcome],
    findings: Iterable[Finding],
    corrected: Sequence[Corrected] = (),
    repeated: str | None = None,
    gaps: Sequence[Gaps] = (),
) -> None:
    """Write the decisions on a batch of deliveries of one table, and the rows of those accepted, in one transaction.

    `staged` is a relation (delivery_id, row_no, kato, business columns, broken, emptied, raw), `repeated` one (delivery_id, row_no, key) of all
    its unbroken rows whose key stands in another delivery's row too, and perhaps of more (None: of all). What gives way to what: adr/0020.
    """
    by_id = {d.delivery_id: d for d in deliveries}
    con = store.con
    with store.transaction():
        seqs = dict(zip([o.delivery_id for o in outcomes], store.record([(
            o.state, by_id[o.delivery_id].receipt_id,
            {"delivery_id": o.delivery_id, "received": o.received, "accepted": o.accepted, "rejected": o.rejected, "reason": o.reason,
             "contract": o.contract_id, **({"pseudonym_key": o.pseudonym_key} if o.pseudonym_key else {})},
        ) for o in outcomes]), strict=True))  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        turns = turns_of(table, [by_id[o.delivery_id] for o in outcomes if o.state == "loaded"])
        order = _orders(store, deliveries)
        batch = [
            _in_batch(by_id[o.delivery_id], o, seqs[o.delivery_id], turns.get(o.delivery_id), order, table)
            for o in outcomes
        ]
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE batch ({', '.join(f'{name} {sql}' for name, sql in _BATCH.items())})"
        )
        store.insert("batch", list(_BATCH), batch)
        con.execute(
            """UPDATE audit.delivery d SET state = b.state, reason = b.reason, contract_id = b.contract_id, contract_version = b.contract_version,
            kind = b.kind, cut_by = b.cut_by, order_seq = b.order_seq, unmapped = b.unmapped,
            received_rows = b.received, accepted_rows = b.accepted, rejected_rows = b.rejected, loaded_seq = b.seq, loaded_at = ?
            FROM batch b WHERE d.delivery_id = b.delivery_id""",
            [now],
        )
        quarantined = _quarantine(con, table, staged) if any(o.received for o in outcomes) else 0
        findings = list(findings)
        written: list[tuple[Any, ...]] = []
        for turn in sorted(set(turns.values())):
            here = {o.delivery_id: seqs[o.delivery_id] for o in outcomes if turns.get(o.delivery_id) == turn}
            unbroken = f"(SELECT * FROM {staged} WHERE broken IS NULL)"
            written += load_turn(con, table, staged, repeated or unbroken, here, turn, now)
        store.insert(
            "audit.check_result",
            [
                "delivery_id",
                "table_name",
                "rule",
                "severity",
                "dimension",
                "passed",
                "observed",
                "expected",
                "failing_rows",
            ],
            [
                (
                    f.delivery_id,
                    table.name,
                    f.rule,
                    f.severity,
                    f.dimension,
                    f.passed,
                    f.observed,
                    f.expected,
                    f.failing_rows,
                )
                for f in findings
            ],
        )
        store.insert("audit.delivery_profile", [f.name for f in fields(Gaps)], [astuple(g) for g in gaps])
        loaded = {o.delivery_id for o in outcomes if o.state == "loaded"}
        store.insert(
            "audit.correction",
            [f.name for f in fields(Corrected)],
            [astuple(c) for c in corrected if c.delivery_id in loaded],
        )
        opened, closed = journal(store, table.name, ((f.delivery_id, f.rule, o) for f in findings for o in f.concerns))
        what = {
            "deliveries decided": True,
            "check results": True,
            "delivery profiles": bool(gaps),
            "corrections": bool(corrected),
            "rejected rows": quarantined > 0,
            "incidents opened": opened > 0,
            "incidents closed": closed > 0,
        }
        left = f"history.{table.name}"
        seal(
            store,
            min(seqs.values()),
            {**{name: SEALED[name] for name, some in what.items() if some}, left: of_table(table.name)[left]},
            rows=written,
        )
        at("load.committing")
    at("load.committed")


# the temporary table `batch`: deliveries being decided on, with what warehouse/tables/assertions.py asks of a delivery
_BATCH = {
    "delivery_id": "BIGINT", "seq": "BIGINT", "turn": "INTEGER", "state": "VARCHAR", "reason": "VARCHAR", "contract_id": "VARCHAR",
    "contract_version": "VARCHAR", "received": "BIGINT", "accepted": "BIGINT", "rejected": "BIGINT", "system": "VARCHAR", "scope": "VARCHAR",
    "period_id": "VARCHAR", "period_start": "DATE", "period_end": "DATE", "kind": "VARCHAR", "cut_by": "VARCHAR", "order_seq": "BIGINT",
    "unmapped": "VARCHAR",
}  # fmt: skip


def _in_batch(
    one: Delivery, outcome: Outcome, seq: int, turn: int | None, order: Mapping[int, int], table: Table
) -> tuple[Any, ...]:
    """A row of `batch`."""
    cut = outcome.cut or table.cut
    return (one.delivery_id, seq, turn, outcome.state, outcome.reason, outcome.contract_id, outcome.contract_version, outcome.received,
            outcome.accepted, outcome.rejected, one.system, one.scope, one.period, one.period_start, one.period_end, str(cut.kind), cut.by,
            order.get(one.delivery_id, seq), outcome.unmapped)  # fmt: skip


def _orders(store: Store, deliveries: Iterable[Delivery]) -> dict[int, int]:
    """Of deliveries that are read again, the place in the order of those they stand for."""
    again = {d.reread_of: d.delivery_id for d in deliveries if d.reread_of is not None}
    if not again:
        return {}
    rows = store.con.execute(
        f"SELECT delivery_id, order_seq FROM audit.delivery WHERE delivery_id IN ({', '.join(map(str, again))}) AND order_seq IS NOT NULL"
    ).fetchall()
    return {again[first]: order for first, order in rows}


def _quarantine(con: duckdb.DuckDBPyConnection, table: Table, staged: str) -> int:
    """Keep the rejected rows of `batch`, and the cells left empty of its other rows. Returns how many."""
    rows = f"""SELECT delivery_id, row_no, NULL AS column_name, broken AS rule, kato, {moments(table)} AS moments, raw
FROM {staged} JOIN batch USING (delivery_id) WHERE broken IS NOT NULL"""
    cells = f"""SELECT delivery_id, row_no, cell.column_name, cell.rule, kato, moments, cell.raw
FROM (SELECT delivery_id, row_no, kato, {moments(table)} AS moments, unnest(emptied) AS cell FROM {staged} JOIN batch USING (delivery_id)
      WHERE broken IS NULL AND emptied IS NOT NULL)"""
    found = (con.execute(f"INSERT INTO audit.rejected_row {sql} ORDER BY ALL").fetchone() for sql in (rows, cells))
    return sum(int(row[0]) for row in found if row)


def moments(table: Table) -> str:
    """SQL for audit.rejected_row.moments: the row's dates and times by column, as JSON; NULL if there are none."""
    dated = [c for c, t in table.business_columns.items() if t.upper() in {"DATE", "TIMESTAMP"}]
    if not dated:
        return "NULL"
    parts = ", ".join(f"{literal(c)}: CAST({quoted(c)} AS VARCHAR)" for c in dated)
    some = " OR ".join(f"{quoted(c)} IS NOT NULL" for c in dated)
    return f"CASE WHEN {some} THEN CAST(to_json({{{parts}}}) AS VARCHAR) END"


def as_of(table: str, seq: int | None) -> str:
    """A relation with a showcase table's rows as they held at a ledger sequence; None: as they hold now."""
    if seq is None:
        return f"showcase.{table}"
    return (
        f"(SELECT * FROM showcase.{table} WHERE valid_from_seq <= {seq} UNION ALL BY NAME "
        f"SELECT * EXCLUDE (valid_to_seq) FROM history.{table} WHERE valid_from_seq <= {seq} AND valid_to_seq > {seq})"
    )
