"""Data quality as the law words it (Decree No. 830 of 2026): criteria, and the journal of incidents.

A delivery fails a criterion if a rule on the delivery as a whole fails, or if more than TOLERANCE per cent of its rows break
the criterion's rules on rows: a few bad rows are taken out and the delivery is good without them. What fails opens an
incident; the next delivery of the same slice closes it, or a person does with a reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from warehouse.errors import StoreError
from warehouse.home.account import ACCOUNT, account
from warehouse.messages.messages import recorded
from warehouse.sql import literal, statement
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.sentences import keep_sentences
from warehouse.store.store import Store
from warehouse.tables import working_tables
from warehouse.tables.assertions_sql import covers
from warehouse.tables.rules import FAILS


def journal(store: Store, table: str, concerned: Iterable[tuple[int, str, int]] = ()) -> tuple[int, int]:
    """Open and close incidents for the deliveries of work_decided_delivery; to be called inside the transaction of a load.

    Returns how many were opened and closed.

    `concerned`: (delivery, rule it fails, another delivery whose rows are as much in doubt by it). The other one gets an incident of
    its own, opened by the loading of the first, and closed when the slice of the first is delivered again.
    """
    con = store.con
    working_tables.create(con, "work_concerned_delivery")
    rows = [{"delivery_id": d, "rule": rule, "other_delivery_id": other} for d, rule, other in concerned]
    store.insert_rows("work_concerned_delivery", rows)
    con.execute(statement(__file__, "work_opened_incident", fails=FAILS))
    con.execute(statement(__file__, "work_opened_incident__of_concerned"))
    con.execute(statement(__file__, "audit_incident__opened"))
    con.execute(statement(__file__, "work_closed_incident", covers=covers("newer", "own.scope")))
    reasons = {"failing_again": "incident.failing_again", "without": "incident.delivered_without"}
    parts = {part: literal(recorded({"code": code})) for part, code in reasons.items()}
    con.execute(statement(__file__, "audit_incident__closed", **parts))
    closed_now = "(SELECT closing_reason FROM audit.incident JOIN work_closed_incident USING (incident_id))"
    opened_now = "work_opened_incident"
    keep_sentences(store, (opened_now, "observed"), (opened_now, "expected"), (closed_now, "closing_reason"))
    row = con.execute(
        "SELECT (SELECT count(*) FROM work_opened_incident), (SELECT count(*) FROM work_closed_incident)"
    ).fetchone()
    opened, closed = row or (0, 0)
    if opened or closed:
        store.record([(EntryKind.INCIDENTS, table, {"opened": opened, "closed": closed})])
    return opened, closed


def close_incident(store: Store, incident_id: int, who: str, reason: str) -> None:
    """Close an incident by hand. Raises StoreError if there is none, it is closed, or nobody says why."""
    row = store.con.execute("SELECT closed_by FROM audit.incident WHERE incident_id = ?", [incident_id]).fetchone()
    if row is None:
        raise StoreError(f"there is no incident {incident_id}; see: qala incidents")
    if row[0] is not None:
        raise StoreError(f"incident {incident_id} was closed by {row[0]}")
    if not who.strip() or not reason.strip():
        raise StoreError("say who closes the incident and why: --by NAME --reason TEXT")
    with store.transaction():
        (seq,) = store.record(
            [(EntryKind.INCIDENT_CLOSED, str(incident_id), {"by": who, ACCOUNT: account(), "reason": reason})]
        )
        store.con.execute(
            "UPDATE audit.incident SET closed_seq = ?, closed_at = ?, closed_by = ?, closing_reason = ? WHERE incident_id = ?",
            [seq, dt.datetime.now(dt.UTC), who, reason, incident_id],
        )
        seal(store, seq, [SealKind.INCIDENTS_CLOSED])
