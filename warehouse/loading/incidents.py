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
from warehouse.store.seals import SEALED, seal
from warehouse.store.store import Store
from warehouse.tables.assertions_sql import covers
from warehouse.tables.rules import FAILS


def journal(store: Store, table: str, concerned: Iterable[tuple[int, str, int]] = ()) -> tuple[int, int]:
    """Open and close incidents for the deliveries of `batch`; to be called inside the transaction of a load. Returns how many of each.

    `concerned`: (delivery, rule it fails, another delivery whose rows are as much in doubt by it). The other one gets an incident of
    its own, opened by the loading of the first, and closed when the slice of the first comes again.
    """
    con = store.con
    con.execute("CREATE OR REPLACE TEMP TABLE concerned (delivery_id BIGINT, rule VARCHAR, other BIGINT)")
    store.insert("concerned", ["delivery_id", "rule", "other"], list(concerned))
    con.execute(f"""CREATE OR REPLACE TEMP TABLE opening AS
SELECT d.delivery_id, d.table_name, d.system, d.scope, d.period_id, f.rule, coalesce(r.criterion, 'truthfulness') AS criterion,
       coalesce(r.incident_kind, 'other') AS kind, f.observed, f.expected, d.loaded_seq AS opened_seq, d.loaded_at AS opened_at
FROM batch JOIN audit.delivery d USING (delivery_id) JOIN audit.check_result f USING (delivery_id)
LEFT JOIN registry.rule r ON (r.table_name, r.rule) = (f.table_name, f.rule)
WHERE {FAILS}""")
    con.execute("""INSERT INTO opening
SELECT o.delivery_id, o.table_name, o.system, o.scope, o.period_id, p.* EXCLUDE (delivery_id, table_name, system, scope, period_id)
FROM concerned c JOIN opening p USING (delivery_id, rule) JOIN audit.delivery o ON o.delivery_id = c.other AND o.state = 'loaded'""")
    con.execute("""INSERT INTO audit.incident BY NAME
SELECT (SELECT coalesce(max(incident_id), 0) FROM audit.incident) + row_number() OVER (ORDER BY delivery_id, rule, opened_seq) AS incident_id, *
FROM opening""")
    # what stands is what was loaded last: a refused delivery takes nothing back of what was loaded before it
    # and what a complete delivery of more days, or of more territory, has taken the place of
    con.execute(f"""CREATE OR REPLACE TEMP TABLE closing AS
SELECT i.incident_id, n.delivery_id, n.loaded_seq, n.loaded_at,
       EXISTS (FROM opening o WHERE (o.delivery_id, o.rule) = (n.delivery_id, i.rule)) AS again
FROM audit.incident i LEFT JOIN audit.delivery by_load ON by_load.loaded_seq = i.opened_seq
JOIN audit.delivery own ON own.delivery_id = coalesce(by_load.delivery_id, i.delivery_id)
JOIN audit.delivery n ON (n.table_name, n.system) = (own.table_name, own.system)
    AND n.loaded_seq > i.opened_seq AND n.delivery_id IN (SELECT delivery_id FROM batch)
WHERE i.closed_seq IS NULL AND CASE WHEN (n.scope, n.period_id) = (own.scope, own.period_id)
    THEN n.state = 'loaded' OR (n.state IN ('refused', 'duplicate') AND own.state = 'refused')
    ELSE n.state = 'loaded' AND n.kind = 'complete' AND n.cut_by IS NOT NULL AND n.period_start <= own.period_start AND n.period_end >= own.period_end
        AND {covers("n", "own.scope")} AND own.order_seq < n.order_seq END
QUALIFY row_number() OVER (PARTITION BY i.incident_id ORDER BY n.loaded_seq) = 1""")
    con.execute("""UPDATE audit.incident i SET closed_seq = c.loaded_seq, closed_at = c.loaded_at, closed_by = 'delivery ' || c.delivery_id,
    closing_reason = CASE WHEN c.again THEN 'delivered again and failing again: see the incident of that delivery'
                          ELSE 'delivered again without it' END
FROM closing c WHERE c.incident_id = i.incident_id""")
    row = con.execute("SELECT (SELECT count(*) FROM opening), (SELECT count(*) FROM closing)").fetchone()
    opened, closed = row or (0, 0)
    if opened or closed:
        store.record([("incidents", table, {"opened": opened, "closed": closed})])
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
            [("incident-closed", str(incident_id), {"by": who, ACCOUNT: account(), "reason": reason})]
        )
        store.con.execute(
            "UPDATE audit.incident SET closed_seq = ?, closed_at = ?, closed_by = ?, closing_reason = ? WHERE incident_id = ?",
            [seq, dt.datetime.now(dt.UTC), who, reason, incident_id],
        )
        seal(store, seq, {"incidents closed": SEALED["incidents closed"]})
