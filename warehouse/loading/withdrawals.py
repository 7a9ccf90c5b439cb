"""Receipts that were taken back before they were decided on: entered in the ledger, and never loaded.

Does not belong here: the mark beside the bytes (connectors/receiving/).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from warehouse.home.account import ACCOUNT, shown
from warehouse.loading.deliveries import DeliveryState, Receipt, received_detail
from warehouse.messages.messages import recorded
from warehouse.moments import at
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.sentences import keep_sentences
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

    `account`: the user of the operating system who did it (home/account.py). A delivery that has been decided on stays as it is.
    """
    con = store.con
    known = con.execute(
        "SELECT delivery_id, state FROM audit.delivery WHERE receipt_id = ?", [receipt.receipt_id]
    ).fetchone()
    if known and known[1] not in (DeliveryState.RECEIVED, DeliveryState.WITHDRAWN):
        return Entered(*known)
    delivery_id = known[0] if known else None
    before = "SELECT 1 FROM audit.ledger WHERE kind = 'withdrawn' AND subject = ? LIMIT 1"
    if con.execute(before, [receipt.receipt_id]).fetchone():
        return Entered(delivery_id, None)
    taken_back = {"code": "delivery.taken_back", "by": who, "why": reason}
    if account:
        taken_back |= {"code": "delivery.taken_back_by_account", "account": shown(account)}
    full_reason = recorded(taken_back)
    detail = {**received_detail(receipt), "by": who, ACCOUNT: account, "reason": full_reason}
    if delivery_id is not None:
        detail |= {"delivery_id": delivery_id, "received": 0, "accepted": 0, "rejected": 0}
    with store.transaction():
        (seq,) = store.record([(EntryKind.WITHDRAWN, receipt.receipt_id, detail)])
        if delivery_id is not None:
            con.execute(
                "UPDATE audit.delivery SET state = 'withdrawn', reason = ?, received_rows = 0, accepted_rows = 0, rejected_rows = 0, "
                "loaded_seq = ?, loaded_at = ? WHERE delivery_id = ?",
                [full_reason, seq, dt.datetime.now(dt.UTC), delivery_id],
            )
            keep_sentences(store, (f"(SELECT reason FROM audit.delivery WHERE delivery_id = {delivery_id})", "reason"))
            seal(store, seq, [SealKind.DECIDED])
        at("withdrawal.committing")
    at("withdrawal.committed")
    return Entered(delivery_id, None)
