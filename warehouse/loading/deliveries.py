"""Deliveries: what was declared, registered, found and decided of them, as rows of `audit.delivery` and its neighbours.

Does not belong here: the rows that a delivery brings (load.py, replace.py), judging it (connectors/delivery_gate/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from warehouse.home.account import ACCOUNT, account
from warehouse.messages.messages import code_of
from warehouse.moments import at
from warehouse.periods import parse_period
from warehouse.sql import literal, statement
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.store import Store
from warehouse.tables.assertions import Cut
from warehouse.tables.assertions_sql import overlap
from warehouse.tables.rules import FAILS, NOT_JUDGED


class DeliveryState(StrEnum):
    """What has become of a delivery: audit.delivery.state."""

    RECEIVED = "received"  # waits for its decision
    LOADED = "loaded"
    REFUSED = "refused"  # whole, with the reason
    DUPLICATE = "duplicate"  # would change nothing
    WITHDRAWN = "withdrawn"  # taken back before it was decided on


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
    reread_of: int | None = None  # the delivery whose bytes are read again; this one takes its position in the order
    pulled: dict[str, Any] | None = None  # where it was fetched, if it was: see warehouse/loading/pulls.py


@dataclass(frozen=True)
class Finding:
    """What one rule found in one delivery."""

    delivery_id: int
    rule: str
    severity: str
    dimension: str
    passed: bool
    observed: str  # a message as it is recorded, as the next
    expected: str
    failing_rows: int | None = None  # None: the rule is on the delivery as a whole
    concerns: tuple[int, ...] = ()  # other deliveries, loaded before, whose rows are as much in doubt by it

    @property
    def judged(self) -> bool:
        """False where there was nothing to judge by."""
        return code_of(self.observed) != NOT_JUDGED


@dataclass(frozen=True)
class Gaps:
    """How many of a delivery's rows have no value in a column: a row of audit.delivery_profile, column by column."""

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
DELIVERY_COLUMNS = (
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
    """What was decided on a delivery. accepted + rejected + left out by its contract (adr/0043) = received, always."""

    delivery_id: int
    state: DeliveryState  # loaded, refused or duplicate
    reason: str | None  # a message as it is recorded
    contract_id: str
    contract_version: str
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    cut: Cut | None = None  # as its contract declares it; None: as the table's does
    unmapped: str | None = None  # columns of the table that the contract does not map, separated by commas
    pseudonym_key: str | None = None  # id of the key its pseudonyms were made by

    @property
    def left_out(self) -> int:
        return self.received - self.accepted - self.rejected


def register(store: Store, receipts: Sequence[Receipt]) -> int:
    """Enter receipts not yet known as deliveries in state `received`. Returns how many were new."""
    known = _known(store, receipts, "true")
    new = [r for r in receipts if r.receipt_id not in known]
    if not new:
        return 0
    row = store.con.execute("SELECT coalesce(max(delivery_id), 0) + 1 FROM audit.delivery").fetchone()
    first = int(row[0]) if row else 1
    with store.transaction():
        seqs = store.record([(EntryKind.RECEIVED, r.receipt_id, received_detail(r)) for r in new])
        rows = [_registered(r, first + n, seq) for n, (r, seq) in enumerate(zip(new, seqs, strict=True))]
        store.insert_rows("audit.delivery", rows)
        seal(store, seqs[0], [SealKind.RECEIVED])
        at("register.committing")
    at("register.committed")
    return len(new)


def received_detail(receipt: Receipt) -> dict[str, Any]:
    """What the ledger says of a receipt; of one that is read again also by whom."""
    detail: dict[str, Any] = {
        "sha256": receipt.sha256,
        "table": receipt.table,
        "system": receipt.system,
        "scope": receipt.scope,
        "period": receipt.period,
        "file": receipt.file_name,
        "bytes": receipt.bytes,
    }
    if receipt.pulled:
        detail["pulled"] = receipt.pulled
    if receipt.reread_of:
        detail |= {"reread_of": receipt.reread_of, ACCOUNT: account()}
    return detail


def _registered(receipt: Receipt, delivery_id: int, seq: int) -> dict[str, Any]:
    """A row of audit.delivery that waits for its decision."""
    period = parse_period(receipt.period)
    return {
        "delivery_id": delivery_id,
        "receipt_id": receipt.receipt_id,
        "table_name": receipt.table,
        "system": receipt.system,
        "scope": receipt.scope,
        "period_id": period.id,
        "period_start": period.start,
        "period_end": period.end,
        "closing_month": period.closing_month,
        "file_name": receipt.file_name,
        "sha256": receipt.sha256,
        "bytes": receipt.bytes,
        "declared_rows": receipt.declared_rows,
        "received_at": receipt.received_at,
        "registered_seq": seq,
        "state": str(DeliveryState.RECEIVED),
        "reread_of": receipt.reread_of,
    }


def received(store: Store, table: str, months: Iterable[str] | None = None) -> list[Delivery]:
    """Deliveries of a table waiting for a decision, in order of arrival; `months`: those that close in one of them."""
    chosen = "" if months is None else f" AND closing_month IN ({_listed(months)})"
    rows = store.con.execute(
        f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM audit.delivery WHERE state = 'received' AND table_name = ?{chosen} ORDER BY delivery_id",
        [table],
    ).fetchall()
    return [Delivery(*row) for row in rows]


def decided(store: Store, receipts: Sequence[Receipt]) -> list[str]:
    """The ids of those receipts whose delivery has been decided on."""
    done = _known(store, receipts, "state <> 'received'")
    return [r.receipt_id for r in receipts if r.receipt_id in done]


def _known(store: Store, receipts: Sequence[Receipt], condition: str) -> set[str]:
    """Those of the receipts' ids of which there is a delivery that meets the condition."""
    if not receipts:
        return set()
    ids = [r.receipt_id for r in receipts]
    sql = f"SELECT receipt_id FROM audit.delivery WHERE {condition} AND receipt_id IN (SELECT unnest(CAST(? AS VARCHAR[])))"
    return {row[0] for row in store.con.execute(sql, [ids]).fetchall()}


def _listed(values: Iterable[str]) -> str:
    """Values for IN (...); there may be none."""
    return ", ".join(map(literal, values)) or "NULL"


def current_findings(store: Store, table: str, months: Iterable[str]) -> list[tuple[Finding, Delivery, bool]]:
    """Findings of the delivery now in force for each slice that closes in `months`, each with whether it fails its criterion of the law.

    In force is the last delivery that was decided on. A rule that a few rows break fails no criterion: they are taken out.
    """
    sql = statement(
        __file__,
        "current_finding",
        delivery_columns=", ".join(f"delivery.{c}" for c in DELIVERY_COLUMNS),
        fails=FAILS,
        table_name=literal(table),
        months=_listed(months),
    )
    width = len(DELIVERY_COLUMNS)
    return [
        (Finding(row[0], *row[width:-1]), Delivery(*row[:width]), bool(row[-1]))
        for row in store.con.execute(sql).fetchall()
    ]


def same_bytes(
    store: Store, deliveries: Sequence[Delivery], contracts: Mapping[int, tuple[str, str]]
) -> dict[int, int]:
    """Deliveries that would change nothing: new id → old id.

    Their bytes are what the same system last delivered for the same table, territory and days, by the same version of the same contract
    (`contracts`: delivery → id and version), and no delivery has come since that can take rows of it. A delivery that is read again on
    purpose is never among them.
    """
    if not deliveries:
        return {}
    sql = statement(
        __file__,
        "delivery_with_bytes",
        table_name=literal(deliveries[0].table),
        sha256s=_listed(sorted({one.sha256 for one in deliveries})),
        overlap=overlap("later", "delivery"),
    )
    # slice (system, territory, period) → what was delivered for it last: SHA-256, delivery, contract
    latest = {
        (system, scope, period): (sha256, delivery_id, (contract, version))
        for delivery_id, sha256, system, scope, period, contract, version in store.con.execute(sql).fetchall()
    }
    found: dict[int, int] = {}
    for one in deliveries:
        own = (one.system, one.scope, one.period)
        contract = contracts[one.delivery_id]
        if one.reread_of is None and own in latest and latest[own][::2] == (one.sha256, contract):
            found[one.delivery_id] = latest[own][1]
            continue
        for other in [s for s in latest if s != own and _meets(one, *s)]:
            del latest[other]
        latest[own] = (one.sha256, one.delivery_id, contract)
    return found


def _meets(one: Delivery, system: str, scope: str, period: str) -> bool:
    """Whether a delivery and another slice have a system in common, and days and territory that meet."""
    near = "KZ" in (scope, one.scope) or scope[:2] == one.scope[:2]
    return system == one.system and near and not set(one.months).isdisjoint(parse_period(period).months)
