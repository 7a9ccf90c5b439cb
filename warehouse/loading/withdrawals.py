"""Receipts that were taken back before they were decided on: entered in the ledger, and never loaded."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from warehouse.home.account import ACCOUNT, shown
from warehouse.loading.deliveries import Receipt
from warehouse.moments import at
from warehouse.store.seals import SEALED, seal
from warehouse.store.store import Store


@dataclass(frozen=True)
class Entered:
    """What became of a withdrawal. `decided`: the state in which the delivery was found, if it came too late."""

    delivery_id: int | None
    decided: str | None


def enter_withdrawal(
    store: Store, receipt: Receipt, who: str, reason: str, account: dict[str, Any] | None = None
) -> Entered:
    """Enter that a receipt was taken back, once: its delivery, if it was registered, becomes `withdrawn`.

    `account`: that of the operating system which it was done from. A delivery that has been decided on stays as it is.
    """
    con = store.con
    known = con.execute(
        "SELECT delivery_id, state FROM audit.delivery WHERE receipt_id = ?", [receipt.receipt_id]
    ).fetchone()
    if known and known[1] not in ("received", "withdrawn"):
        return Entered(*known)
    delivery_id = known[0] if known else None
    before = "SELECT 1 FROM audit.ledger WHERE kind = 'withdrawn' AND subject = ? LIMIT 1"
    if con.execute(before, [receipt.receipt_id]).fetchone():
        return Entered(delivery_id, None)
    said = f"taken back by {who}{f' ({shown(account)})' if account else ''}: {reason}"
    detail = {"sha256": receipt.sha256, "table": receipt.table, "system": receipt.system, "scope": receipt.scope, "period": receipt.period,
              "file": receipt.file_name, "bytes": receipt.bytes, "by": who, ACCOUNT: account, "reason": said}  # fmt: skip
    if delivery_id is not None:
        detail |= {"delivery_id": delivery_id, "received": 0, "accepted": 0, "rejected": 0}
    with store.transaction():
        (seq,) = store.record([("withdrawn", receipt.receipt_id, detail)])
        if delivery_id is not None:
            con.execute(
                "UPDATE audit.delivery SET state = 'withdrawn', reason = ?, received_rows = 0, accepted_rows = 0, rejected_rows = 0, "
                "loaded_seq = ?, loaded_at = ? WHERE delivery_id = ?",
                [said, seq, dt.datetime.now(dt.UTC), delivery_id],
            )
            seal(store, seq, {"deliveries decided": SEALED["deliveries decided"]})
        at("withdrawal.committing")
    at("withdrawal.committed")
    return Entered(delivery_id, None)
