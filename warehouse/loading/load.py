"""The loading door: the only way rows come into the showcase.

A delivery loads whole or not at all, in one transaction with its ledger row, its rejected rows and its check results.
A row that is corrected or withdrawn moves to `history` with the ledger sequence at which it ceased to hold; the current
table stays plain. Time is the ledger sequence, never the clock.
Does not belong here: how rows replace rows (replace.py), incidents (incidents.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from warehouse.loading.deliveries import Corrected, Delivery, DeliveryState, Finding, Gaps, Outcome
from warehouse.loading.incidents import journal
from warehouse.loading.replace import Turn, load_turn
from warehouse.loading.turns import turns_of
from warehouse.moments import at
from warehouse.sql import literal, quoted, statement
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.sentences import keep_sentences
from warehouse.store.store import Store
from warehouse.tables import working_tables
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

    `staged`: relation (delivery_id, row_no, kato, business columns, broken, emptied, raw). `repeated`: relation (delivery_id, row_no,
    key) with at least every accepted row whose key also occurs in another delivery of the batch; None: search all rows.
    What replaces what: adr/0020.
    """
    findings, by_id = list(findings), {d.delivery_id: d for d in deliveries}
    turns = turns_of(table, [by_id[o.delivery_id] for o in outcomes if o.state == DeliveryState.LOADED])
    with store.transaction():
        seqs = _enter(store, by_id, outcomes)
        now = dt.datetime.now(dt.UTC)
        _decide(store, table, by_id, outcomes, seqs, turns, now)
        rejected = _quarantine(store.con, table, staged) if any(o.received for o in outcomes) else 0
        accepted = f"(SELECT * FROM {staged} WHERE broken IS NULL)"
        written: list[tuple[Any, ...]] = []
        for number in sorted(set(turns.values())):
            own = {delivery_id: seqs[delivery_id] for delivery_id, its in turns.items() if its == number}
            written += load_turn(Turn(store.con, table, staged, repeated or accepted, number, own), now)
        _keep_results(store, table, findings, gaps, [c for c in corrected if c.delivery_id in turns])
        opened, closed = journal(store, table.name, ((f.delivery_id, f.rule, o) for f in findings for o in f.concerns))
        keep_sentences(store, ("work_decided_delivery", "reason"))
        wrote = {
            SealKind.DECIDED: True,
            SealKind.CHECK_RESULTS: True,
            SealKind.PROFILES: bool(gaps),
            SealKind.CORRECTIONS: bool(corrected),
            SealKind.REJECTED_ROWS: rejected > 0,
            SealKind.INCIDENTS_OPENED: opened > 0,
            SealKind.INCIDENTS_CLOSED: closed > 0,
        }
        kinds = [kind for kind, some in wrote.items() if some]
        seal(store, min(seqs.values()), kinds, left=table.name, rows=written)
        at("load.committing")
    at("load.committed")


def _enter(store: Store, by_id: Mapping[int, Delivery], outcomes: Sequence[Outcome]) -> dict[int, int]:
    """A ledger entry for each decision. Returns delivery → its sequence."""
    entries = []
    for one in outcomes:
        detail = {
            "delivery_id": one.delivery_id,
            "received": one.received,
            "accepted": one.accepted,
            "rejected": one.rejected,
            "reason": one.reason,
            "contract": one.contract_id,
        }
        if one.left_out:
            detail["left_out"] = one.left_out
        if one.pseudonym_key:
            detail["pseudonym_key"] = one.pseudonym_key
        entries.append((EntryKind(one.state), by_id[one.delivery_id].receipt_id, detail))
    return dict(zip((o.delivery_id for o in outcomes), store.record(entries), strict=True))


def _decide(
    store: Store,
    table: Table,
    by_id: Mapping[int, Delivery],
    outcomes: Iterable[Outcome],
    seqs: Mapping[int, int],
    turns: Mapping[int, int],
    now: dt.datetime,
) -> None:
    """Fill work_decided_delivery, and write the decisions to audit.delivery."""
    order, rows = _orders(store, by_id.values()), []
    for one in outcomes:
        delivery, cut, seq = by_id[one.delivery_id], one.cut or table.cut, seqs[one.delivery_id]
        row = {
            "delivery_id": one.delivery_id,
            "seq": seq,
            "turn": turns.get(one.delivery_id),
            "state": str(one.state),
            "reason": one.reason,
            "contract_id": one.contract_id,
            "contract_version": one.contract_version,
            "received": one.received,
            "accepted": one.accepted,
            "rejected": one.rejected,
            "system": delivery.system,
            "scope": delivery.scope,
            "period_id": delivery.period,
            "period_start": delivery.period_start,
            "period_end": delivery.period_end,
            "kind": str(cut.kind),
            "cut_by": cut.by,
            "order_seq": order.get(one.delivery_id, seq),
            "unmapped": one.unmapped,
        }
        rows.append(row)
    working_tables.create(store.con, "work_decided_delivery")
    store.insert_rows("work_decided_delivery", rows)
    loaded_at = f"CAST({literal(now.isoformat())} AS TIMESTAMPTZ)"
    store.con.execute(statement(__file__, "audit_delivery__decided", now=loaded_at))


def _orders(store: Store, deliveries: Iterable[Delivery]) -> dict[int, int]:
    """Delivery that is read again → the place in the order (order_seq) of the one it stands for."""
    again = {d.reread_of: d.delivery_id for d in deliveries if d.reread_of is not None}
    if not again:
        return {}
    rows = store.con.execute(
        f"SELECT delivery_id, order_seq FROM audit.delivery WHERE delivery_id IN ({', '.join(map(str, again))}) AND order_seq IS NOT NULL"
    ).fetchall()
    return {again[first]: order for first, order in rows}


def _quarantine(con: duckdb.DuckDBPyConnection, table: Table, staged: str) -> int:
    """Keep the rejected rows of the batch, and the emptied cells of its other rows. Returns how many."""
    parts = {"staged": staged, "dates": _dates(table)}
    rows = con.execute(statement(__file__, "audit_rejected_row__rows", **parts)).fetchone()
    cells = con.execute(statement(__file__, "audit_rejected_row__cells", **parts)).fetchone()
    return sum(int(row[0]) for row in (rows, cells) if row)


def _dates(table: Table) -> str:
    """SQL for audit.rejected_row.moments: the row's dates and times by column, as JSON; NULL if there are none."""
    dated = [c for c, t in table.business_columns.items() if t.upper() in {"DATE", "TIMESTAMP"}]
    if not dated:
        return "NULL"
    parts = ", ".join(f"{literal(c)}: CAST({quoted(c)} AS VARCHAR)" for c in dated)
    some = " OR ".join(f"{quoted(c)} IS NOT NULL" for c in dated)
    return f"CASE WHEN {some} THEN CAST(to_json({{{parts}}}) AS VARCHAR) END"


def _keep_results(
    store: Store, table: Table, findings: Iterable[Finding], gaps: Iterable[Gaps], corrected: Iterable[Corrected]
) -> None:
    """What the rules found, how full the columns are, and which cells were put right."""
    results = []
    for one in findings:
        row = {"table_name": table.name, **vars(one)}
        del row["concerns"]
        results.append(row)
    store.insert_rows("audit.check_result", results)
    store.insert_rows("audit.delivery_profile", [vars(one) for one in gaps])
    store.insert_rows("audit.correction", [vars(one) for one in corrected])
