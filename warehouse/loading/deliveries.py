"""Deliveries: what was declared, registered, found and decided of them, as rows of `audit.delivery` and its neighbours.

Does not belong here: the rows that a delivery brings (load.py, replace.py), judging it (connectors/delivery_gate/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.home.account import ACCOUNT, account
from warehouse.moments import at
from warehouse.periods import parse_period
from warehouse.sql import literal
from warehouse.store.seals import SEALED, seal
from warehouse.store.store import Store
from warehouse.tables.assertions import Cut
from warehouse.tables.assertions_sql import overlap
from warehouse.tables.rules import FAILS


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
    reread_of: int | None = None  # the delivery whose bytes are read again, and whose place in the order this one takes


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
class Gaps:
    """How many of a delivery's rows have no value in a column: a row of audit.delivery_profile."""

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
    """What was decided on a delivery. accepted + rejected = received, always."""

    delivery_id: int
    state: str  # loaded, refused or duplicate
    reason: str | None
    contract_id: str
    contract_version: str
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    cut: Cut | None = None  # as its contract declares it; None: as the table's does
    unmapped: str | None = None  # columns of the table that the contract does not map, with commas between them
    pseudonym_key: str | None = None  # id of the key its pseudonyms were made by


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
                                                         "period": r.period, "file": r.file_name, "bytes": r.bytes,
                                                         **({"reread_of": r.reread_of, ACCOUNT: account()} if r.reread_of else {})}) for r in new])  # fmt: skip
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
                    period.id,
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
                    receipt.reread_of,
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
                "reread_of",
            ],
            rows,
        )
        seal(store, seqs[0], {"deliveries received": SEALED["deliveries received"]})
        at("register.committing")
    at("register.committed")
    return len(new)


def received(store: Store, table: str, months: Iterable[str] | None = None) -> list[Delivery]:
    """Deliveries of a table waiting for a decision, in order of arrival; `months`: those that close in one of them."""
    chosen = "" if months is None else f" AND closing_month IN ({', '.join(literal(m) for m in months) or 'NULL'})"
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
    ids = [r.receipt_id for r in receipts]
    sql = f"SELECT receipt_id FROM audit.delivery WHERE {condition} AND receipt_id IN (SELECT unnest(CAST(? AS VARCHAR[])))"
    return {row[0] for row in store.con.execute(sql, [ids]).fetchall()}


def current_findings(store: Store, table: str, months: Iterable[str]) -> list[tuple[Finding, Delivery, bool]]:
    """What the rules found in the deliveries that stand for the months: of each slice the last one that was decided on.

    With each, whether its criterion of the law fails by it: a few bad rows are taken out and harm nobody.
    """
    chosen = ", ".join(literal(m) for m in months) or "NULL"
    rows = store.con.execute(
        f"""SELECT {", ".join(f"d.{c}" for c in DELIVERY_COLUMNS)}, f.rule, f.severity, f.dimension, f.passed, f.observed, f.expected, f.failing_rows, {FAILS}
FROM (FROM audit.delivery WHERE table_name = ? AND state IN ('loaded', 'refused') AND closing_month IN ({chosen})
      QUALIFY row_number() OVER (PARTITION BY system, scope, period_id ORDER BY loaded_seq DESC) = 1) d
JOIN audit.check_result f USING (delivery_id) ORDER BY delivery_id, f.rule""",
        [table],
    ).fetchall()
    width = len(DELIVERY_COLUMNS)
    return [(Finding(row[0], *row[width:-1]), Delivery(*row[:width]), bool(row[-1])) for row in rows]


def same_bytes(
    store: Store, deliveries: Sequence[Delivery], contracts: Mapping[int, tuple[str, str]]
) -> dict[int, int]:
    """Deliveries that would change nothing: new id → old id.

    Their bytes are what the same system last delivered for the same table, territory and days, by the same version of the same contract (`contracts`: id and
    version by delivery), and nothing that meets them has come since. What is read again on purpose is none.
    """
    if not deliveries:
        return {}
    shas = ", ".join(map(literal, sorted({one.sha256 for one in deliveries})))
    found: dict[int, int] = {}
    current_findings = store.con.execute(f"""
SELECT d.delivery_id, d.sha256, d.system, d.scope, d.period_id, d.contract_id, d.contract_version FROM audit.delivery d
WHERE d.state = 'loaded' AND d.table_name = ? AND d.sha256 IN ({shas}) AND NOT EXISTS (
    FROM audit.delivery m WHERE m.table_name = d.table_name AND m.state = 'loaded' AND m.loaded_seq > d.loaded_seq AND {overlap("m", "d")})
ORDER BY d.loaded_seq""", [deliveries[0].table]).fetchall()  # fmt: skip
    latest = {(system, scope, period): (sha256, delivery_id, (contract, version))
              for delivery_id, sha256, system, scope, period, contract, version in current_findings}  # fmt: skip
    for one in deliveries:
        place = (one.system, one.scope, one.period)
        if one.reread_of is None and place in latest and latest[place][::2] == (one.sha256, contracts[one.delivery_id]):
            found[one.delivery_id] = latest[place][1]
            continue
        months = set(one.months)
        near = [
            p
            for p in latest
            if p != place and p[0] == one.system and ("KZ" in (p[1], one.scope) or p[1][:2] == one.scope[:2])
        ]
        for other in near:
            if months & set(parse_period(other[2]).months):
                del latest[other]
        latest[place] = (one.sha256, one.delivery_id, contracts[one.delivery_id])
    return found
