"""Deliveries that were fetched from a source: what the ledger says of where each came from, and what became of it.

`pulled` of a receipt, and of its ledger entry `received`: {"source", "since", "until", "when", "tool"}. It is entered with the delivery, in one
transaction. Does not belong here: fetching (connectors/sources/).
"""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.loading.deliveries import DeliveryState, Receipt
from warehouse.sql import statement
from warehouse.store.store import Store


@dataclass(frozen=True)
class PulledDelivery:
    """One delivery of a source. `state`: received as long as nothing else is known."""

    receipt_id: str
    source: str
    table: str
    system: str
    scope: str
    period: str
    sha256: str
    when: str  # ISO 8601, UTC
    since: str | None = None  # of the change attribute: greater values were asked for
    until: str | None = None  # the newest one that came
    state: str = DeliveryState.RECEIVED
    contract_version: str | None = None  # by which it was decided on
    reason: str | None = None  # a message as it is recorded
    rows: int | None = None  # that it had

    @property
    def taken(self) -> bool:
        """Whether it was taken in, or may yet be."""
        return self.state not in (DeliveryState.REFUSED, DeliveryState.WITHDRAWN)


def pulled_deliveries(store: Store) -> list[PulledDelivery]:
    """Every delivery of a source that the warehouse knows, in order of arrival."""
    rows = store.con.execute(statement(__file__, "pulled_delivery")).fetchall()
    return [PulledDelivery(*row) for row in rows]


def known_receipts(store: Store) -> set[str]:
    """The receipts that the warehouse knows, of deliveries from anywhere."""
    sql = "SELECT subject FROM audit.ledger WHERE kind IN ('received', 'withdrawn')"
    return {receipt_id for (receipt_id,) in store.con.execute(sql).fetchall()}


def pulled_by(receipt: Receipt, *, taken_back: bool) -> PulledDelivery | None:
    """What a receipt says that the warehouse does not know yet; None if nobody pulled it."""
    pulled = receipt.pulled
    if not pulled:
        return None
    return PulledDelivery(
        receipt.receipt_id,
        str(pulled["source"]),
        receipt.table,
        receipt.system,
        receipt.scope,
        receipt.period,
        receipt.sha256,
        str(pulled["when"]),
        pulled.get("since"),
        pulled.get("until"),
        DeliveryState.WITHDRAWN if taken_back else DeliveryState.RECEIVED,
    )
