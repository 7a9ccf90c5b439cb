"""The loading door: the only way rows come into the showcase.

A delivery loads whole or not at all, in one transaction with its ledger row, its rejected rows and its check results.
A row that is corrected or withdrawn moves to `history` with the ledger sequence at which it ceased to hold; the current
table stays plain. Time is the ledger sequence, never the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

import duckdb

from warehouse.loading.deliveries import Corrected, Delivery, Finding, Gaps, Outcome
from warehouse.loading.incidents import journal
from warehouse.loading.replace import load_turn, turns_of
from warehouse.moments import at
from warehouse.sql import literal, quoted
from warehouse.store.seals import SEALED, of_table, seal
from warehouse.store.store import Store
from warehouse.tables.contracts import Table


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
