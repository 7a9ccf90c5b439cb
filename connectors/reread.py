"""Reading a delivery's bytes again from the archive: after its contract was changed, or because of a declared correction.

It becomes a delivery of its own, with the first reading's place in the order (adr/0020): what was delivered since is not overruled.
Does not belong here: which corrections ask for it (corrections.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kpi_definitions.nearest import meant
from warehouse.loading.deliveries import Receipt, register
from warehouse.periods import parse_period
from warehouse.sql import literal
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

REREAD_MARK = "+"  # between the receipt of the first reading and what the bytes are read again for
_NEWEST = """SELECT delivery_id, receipt_id, table_name, system, scope, period_id, file_name, sha256, bytes, declared_rows FROM audit.delivery
WHERE state = 'loaded' AND {chosen} QUALIFY row_number() OVER (PARTITION BY table_name, system, scope, period_id ORDER BY order_seq DESC, loaded_seq DESC) = 1
ORDER BY order_seq"""


def deliveries_in_force(store: Store, chosen: str) -> list[tuple[object, ...]]:
    """Of every slice the loaded delivery that is in force, of those that meet a condition on audit.delivery."""
    return store.con.execute(_NEWEST.format(chosen=chosen)).fetchall()


def requeued_receipt_id(receipt_id: str, why: str) -> str:
    """Id of the receipt by which a delivery is read again: the first reading's, `+`, and what it is read again for.

    A receipt written by the archive has no `+`; a delivery that was read again has also `reread_of`.
    """
    return f"{receipt_id.partition(REREAD_MARK)[0]}{REREAD_MARK}{why}"


def requeued_receipt(found: Sequence[object], why: str) -> Receipt:
    """The receipt of a second reading of a row of `deliveries_in_force`."""
    delivery_id, receipt_id, table, system, scope, period, file_name, sha256, size, rows = found
    now = dt.datetime.now(dt.UTC).isoformat()
    return Receipt(
        requeued_receipt_id(str(receipt_id), why),
        str(table),
        str(system),
        str(scope),
        str(period),
        str(file_name),
        str(sha256),
        int(str(size)),
        now,
        rows if isinstance(rows, int) else None,
        int(str(delivery_id)),
    )


def request_reread(
    store: Store, tables: dict[str, Table], *, system: str | None, table: str | None, period: str | None
) -> list[Receipt]:
    """Have every delivery in force of a system, table and period read again by the next run. Returns their receipts.

    Raises ValueError if there is no such table or period, or no such delivery.
    """
    if table is not None and table not in tables:
        raise ValueError(
            f"there is no table {table!r}; {meant(table, tables, 'see docs/reference/data-dictionary.md')}"
        )
    chosen = [f"system = {literal(system)}"] if system else []
    chosen += [f"table_name = {literal(table)}"] if table else []
    if period:
        span = parse_period(period)
        chosen.append(f"period_start < DATE '{span.end}' AND period_end > DATE '{span.start}'")
    found = deliveries_in_force(store, " AND ".join(chosen) or "true")
    if not found:
        raise ValueError("no loaded delivery is of that system, table and period; see: FROM deliveries")
    receipts = [requeued_receipt(one, f"reread@{store.last_seq}") for one in found]
    register(store, receipts)
    return receipts
