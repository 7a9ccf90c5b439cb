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

from warehouse.contracts import Table
from warehouse.periods import parse_period
from warehouse.quality import FAILS, journal
from warehouse.seal import SEALED, of_table, seal, seals_of_rows
from warehouse.sql import literal, quoted
from warehouse.store import FIRST_YEAR, LAST_YEAR, Home, Store, StoreError, settlements, writing

__all__ = [
    "FIRST_YEAR",
    "LAST_YEAR",
    "Corrected",
    "Delivery",
    "Finding",
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
    period_end: dt.date
    file_name: str
    sha256: str
    bytes: int
    declared_rows: int | None


# the columns of audit.delivery that make a Delivery, in its order
_DELIVERY = (
    "delivery_id",
    "receipt_id",
    "table_name",
    "system",
    "scope",
    "period_id",
    "period_end",
    "file_name",
    "sha256",
    "bytes",
    "declared_rows",
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
                                                         "period": r.period, "file": r.file_name, "bytes": r.bytes}) for r in new])  # fmt: skip
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
                    receipt.period,
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
            ],
            rows,
        )
        seal(store, seqs[0], {"deliveries received": SEALED["deliveries received"]})
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


def same_bytes(store: Store, deliveries: Sequence[Delivery]) -> dict[int, int]:
    """Deliveries whose bytes are what the same system last delivered for the same table, territory and period: new id → old id."""
    if not deliveries:
        return {}
    periods = ", ".join(map(literal, sorted({one.period for one in deliveries})))
    latest: dict[tuple[str, str, str], tuple[str, int]] = {
        (system, scope, period): (sha256, delivery_id) for system, scope, period, sha256, delivery_id in store.con.execute(
            "SELECT system, scope, period_id, sha256, delivery_id FROM audit.delivery "
            f"WHERE state = 'loaded' AND table_name = ? AND period_id IN ({periods}) ORDER BY loaded_seq", [deliveries[0].table]).fetchall()}  # fmt: skip
    found = {}
    for one in deliveries:
        place = (one.system, one.scope, one.period)
        if place in latest and latest[place][0] == one.sha256:
            found[one.delivery_id] = latest[place][1]
        else:
            latest[place] = (one.sha256, one.delivery_id)
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
) -> None:
    """Write the decisions on a batch of deliveries of one table, and the rows of those accepted, in one transaction.

    `staged` is a relation (delivery_id, row_no, kato, business columns, broken, emptied, raw), `repeated` one (delivery_id, row_no, key) of all
    its unbroken rows whose key stands in another delivery's row too, and perhaps of more (None: of all). Two deliveries for the same system, territory and
    period replace one another; otherwise rows are recognised by the table's identity and the later delivery wins.
    """
    by_id = {d.delivery_id: d for d in deliveries}
    con = store.con
    with store.transaction():
        seqs = dict(zip([o.delivery_id for o in outcomes], store.record([(
            o.state, by_id[o.delivery_id].receipt_id,
            {"delivery_id": o.delivery_id, "received": o.received, "accepted": o.accepted, "rejected": o.rejected, "reason": o.reason,
             "contract": o.contract_id},
        ) for o in outcomes]), strict=True))  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE batch (delivery_id BIGINT, seq BIGINT, turn INTEGER, state VARCHAR, reason VARCHAR, contract_id VARCHAR, "
            "contract_version VARCHAR, received BIGINT, accepted BIGINT, rejected BIGINT)"
        )
        turns = _turns([by_id[o.delivery_id] for o in outcomes if o.state == "loaded"])
        store.insert(
            "batch",
            [
                "delivery_id",
                "seq",
                "turn",
                "state",
                "reason",
                "contract_id",
                "contract_version",
                "received",
                "accepted",
                "rejected",
            ],
            [
                (
                    o.delivery_id,
                    seqs[o.delivery_id],
                    turns.get(o.delivery_id),
                    o.state,
                    o.reason,
                    o.contract_id,
                    o.contract_version,
                    o.received,
                    o.accepted,
                    o.rejected,
                )
                for o in outcomes
            ],
        )
        con.execute(
            """UPDATE audit.delivery d SET state = b.state, reason = b.reason, contract_id = b.contract_id, contract_version = b.contract_version,
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
            written += _load_turn(con, table, staged, repeated or unbroken, here, turn, now)
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


def _turns(deliveries: Iterable[Delivery]) -> dict[int, int]:
    """Deliveries of one batch that may be loaded together get the same turn.

    Two deliveries for the same slice must come one after the other; and no delivery may be loaded in an earlier turn than
    one that came before it for an overlapping territory, or the earlier one would win.
    """
    exactly: dict[str, int] = {}  # territory → highest turn of deliveries for just that
    within: dict[str, int] = {}  # region, KZ → highest turn of deliveries for it or a part of it
    slices: dict[tuple[str, str, str], int] = {}
    turns = {}
    for one in deliveries:
        place, around = (one.system, one.scope, one.period), {one.scope, one.scope[:2], "KZ"}
        turn = max(slices.get(place, -1) + 1, within.get(one.scope, 0), *(exactly.get(t, 0) for t in around))
        slices[place] = turns[one.delivery_id] = exactly[one.scope] = turn
        within |= {t: max(turn, within.get(t, 0)) for t in around}
    return turns


def _load_turn(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    staged: str,
    repeated: str,
    seqs: Mapping[int, int],
    turn: int,
    now: dt.datetime,
) -> list[tuple[Any, ...]]:
    """Rows go from `staged` into the table in one pass; what is remembered of them is which few are left out. Returns their seals.

    Nothing large is copied before: what a transaction has written itself DuckDB reads with one thread.
    """
    names = ["kato", *table.business_columns]
    key = ", ".join(quoted(k) for k in table.identity)
    current, history = f"showcase.{table.name}", f"history.{table.name}"
    columns = ", ".join(f"s.{quoted(n)}" for n in names)
    columns += f", s.delivery_id, s.row_no, CAST({literal(now.isoformat())} AS TIMESTAMPTZ) AS sdu_load_in_dt"
    rows = f"{staged} s JOIN batch b ON b.delivery_id = s.delivery_id AND b.turn = {turn} AND s.broken IS NULL"
    con.execute("CREATE OR REPLACE TEMP TABLE kept (rid BIGINT, delivery_id BIGINT, row_no BIGINT)")
    if _count(con, current):
        _replace(con, table, rows, turn)
    # the same key from two deliveries of one turn (an appeal in two months' extracts): the later one holds, the earlier did until then
    con.execute(f"""CREATE OR REPLACE TEMP TABLE overtaken AS
SELECT delivery_id, row_no, next_seq FROM (
    SELECT s.delivery_id, s.row_no, lead(b.seq) OVER (PARTITION BY {key} ORDER BY b.seq) AS next_seq
    FROM {repeated} s JOIN batch b ON b.delivery_id = s.delivery_id AND b.turn = {turn}
    WHERE (s.delivery_id, s.row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept))
WHERE next_seq IS NOT NULL""")
    if _count(con, "overtaken"):
        con.execute(
            f"INSERT INTO {history} BY NAME SELECT {columns}, b.seq AS valid_from_seq, o.next_seq AS valid_to_seq "
            f"FROM {rows} JOIN overtaken o ON (o.delivery_id, o.row_no) = (s.delivery_id, s.row_no)"
        )
    con.execute(f"""INSERT INTO {current} BY NAME SELECT {columns}, b.seq AS valid_from_seq FROM {rows}
ANTI JOIN (SELECT delivery_id, row_no FROM kept UNION ALL SELECT delivery_id, row_no FROM overtaken) o
    ON (o.delivery_id, o.row_no) = (s.delivery_id, s.row_no)""")
    written = f"SELECT s.delivery_id AS grp, {columns} FROM {staged} s WHERE s.broken IS NULL"
    if set(seqs) != {d for (d,) in con.execute("SELECT delivery_id FROM batch").fetchall()}:
        written += f" AND s.delivery_id IN ({', '.join(map(str, seqs))})"
    if _count(con, "kept"):
        written += " AND (s.delivery_id, s.row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept)"
    seals = seals_of_rows(con, table.name, written, seqs)
    con.execute("DROP TABLE kept; DROP TABLE overtaken")
    return seals


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _replace(con: duckdb.DuckDBPyConnection, table: Table, rows: str, turn: int) -> None:
    """Move to history what the turn's `rows` replace or leave out; `kept`: those that say what the table says already."""
    rest = [n for n in ("kato", *table.business_columns) if n not in table.identity]
    current, history = f"showcase.{table.name}", f"history.{table.name}"
    con.execute(f"""CREATE OR REPLACE TEMP TABLE same_slice AS
SELECT d.delivery_id, n.delivery_id AS new_delivery, b.seq FROM audit.delivery d
JOIN audit.delivery n ON (n.table_name, n.system, n.scope, n.period_id) = (d.table_name, d.system, d.scope, d.period_id)
JOIN batch b ON b.delivery_id = n.delivery_id AND b.turn = {turn}
WHERE d.delivery_id <> n.delivery_id AND d.state = 'loaded' AND d.table_name = {literal(table.name)} AND n.table_name = {literal(table.name)}""")
    # first by keys alone: in most months nothing is met, and the table's other columns need not be read
    same_key = " AND ".join(f"c.{quoted(k)} = s.{quoted(k)}" for k in table.identity)
    con.execute(f"""CREATE OR REPLACE TEMP TABLE met AS
SELECT c.rowid AS rid, c.delivery_id AS old_delivery, s.delivery_id, s.row_no, b.seq FROM {rows} JOIN {current} c ON {same_key}""")
    former = [str(row[0]) for row in con.execute("SELECT DISTINCT delivery_id FROM same_slice ORDER BY 1").fetchall()]
    if former:
        # re-sent unchanged, before any other delivery of this turn brings the key: what is there already says the same
        same = " AND ".join(f"c.{quoted(n)} IS NOT DISTINCT FROM s.{quoted(n)}" for n in rest) or "true"
        con.execute(f"""INSERT INTO kept
SELECT m.rid, m.delivery_id, m.row_no FROM met m JOIN (SELECT rid, min(seq) AS seq FROM met GROUP BY rid) USING (rid, seq)
JOIN same_slice l ON (l.delivery_id, l.new_delivery) = (m.old_delivery, m.delivery_id)
JOIN (SELECT rowid AS rid, * FROM {current} WHERE delivery_id IN ({", ".join(former)})) c ON c.rid = m.rid
JOIN (SELECT s.* FROM {rows}) s ON (s.delivery_id, s.row_no) = (m.delivery_id, m.row_no) WHERE {same}""")
    # a row leaves when its key first comes again, or when its own slice comes again without it, whichever is earlier
    con.execute(f"""CREATE OR REPLACE TEMP TABLE leaving AS
SELECT rid, min(seq) AS seq FROM (
    SELECT rid, seq FROM met WHERE (delivery_id, row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept)
    UNION ALL
    SELECT c.rowid, l.seq FROM {current} c JOIN same_slice l USING (delivery_id) WHERE c.rowid NOT IN (SELECT rid FROM kept))
GROUP BY rid""")
    con.execute(
        f"INSERT INTO {history} BY NAME SELECT c.*, l.seq AS valid_to_seq FROM {current} c JOIN leaving l ON c.rowid = l.rid"
    )
    con.execute(f"DELETE FROM {current} WHERE rowid IN (SELECT rid FROM leaving)")


def as_of(table: str, seq: int | None) -> str:
    """A relation with a showcase table's rows as they held at a ledger sequence; None: as they hold now."""
    if seq is None:
        return f"showcase.{table}"
    return (
        f"(SELECT * FROM showcase.{table} WHERE valid_from_seq <= {seq} UNION ALL BY NAME "
        f"SELECT * EXCLUDE (valid_to_seq) FROM history.{table} WHERE valid_from_seq <= {seq} AND valid_to_seq > {seq})"
    )
