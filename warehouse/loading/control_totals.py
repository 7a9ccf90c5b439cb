"""Reconciliation with a source, by the law every quarter: what the source says it has, held against the rows in force here.

By table, settlement and month: rows, and of columns the exact sum and how many rows have a value. What differs opens an incident, one that a
later reconciliation finds agreeing is closed, and the ledger keeps what was compared, also where all agreed. Does not belong here: where the
source's totals come from (connectors/control/), archive against ledger (connectors/reconciliation.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from warehouse.errors import StoreError
from warehouse.home.account import ACCOUNT, account
from warehouse.messages.messages import Message, recorded
from warehouse.periods import Period
from warehouse.sql import literal, quoted, statement
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.sentences import keep_sentences
from warehouse.store.store import Store
from warehouse.tables.contracts import SNAPSHOT_COLUMN, Table

ROWS, SUM = "control.rows", "control.sum"  # rules, as incidents name them
NO_DELIVERY = 0  # in place of a delivery, where the source has rows of which nothing was delivered
_EXACT = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL")
_SHOWN = 20  # differences that one incident tells

Cell = tuple[str, str, str]  # table, settlement, month


@dataclass(frozen=True)
class Sum:
    """Of one column: the sum of its values, and how many rows have one; None: not said."""

    value: Decimal
    filled: int | None = None


@dataclass(frozen=True)
class Total:
    """What one side has of a cell."""

    rows: int
    sums: Mapping[str, Sum] = field(default_factory=dict)  # by column


@dataclass(frozen=True)
class Control:
    """What a source says it has. `sha256`: under which the archive keeps it; `origin`: who says so, in words."""

    system: str
    period: Period
    sha256: str
    origin: str
    totals: Mapping[Cell, Total]


@dataclass(frozen=True)
class Difference:
    """A cell in which source and warehouse do not say the same. `column`: of a sum; empty: of the rows."""

    cell: Cell
    column: str
    source: Decimal
    warehouse: Decimal
    filled: tuple[int, int] | None = None  # rows with a value there and here, where that differs
    rejected: int = 0  # rows of the cell that the gate rejected
    delivery_id: int = NO_DELIVERY
    slice: tuple[str, str] = ("", "")  # territory and period of that delivery
    state: str = ""  # of the last delivery of the cell

    @property
    def rule(self) -> str:
        return SUM if self.column else ROWS

    @property
    def kind(self) -> tuple[str, str]:
        """(kind of incident, criterion) by the law's words."""
        if self.column:
            fewer = self.filled is not None and self.filled[1] < self.filled[0]
            return ("completeness", "completeness") if fewer else ("accuracy", "accuracy")
        if self.delivery_id == NO_DELIVERY:
            return "coverage", "completeness"
        return ("completeness", "completeness") if self.warehouse < self.source else ("accuracy", "accuracy")

    @property
    def message(self) -> Message:
        table, settlement, month = self.cell
        found: dict[str, Any] = {
            "settlement": settlement,
            "month": month,
            "source": f"{self.source:f}",
            "warehouse": f"{self.warehouse:f}",
        }
        if self.column:
            filled = self.filled or ("=", "=")
            return {
                "code": "control.sum_differs",
                **found,
                "column": self.column,
                "there": str(filled[0]),
                "here": str(filled[1]),
            }
        return {"code": "control.rows_differ", **found, "table": table, "rejected": str(self.rejected)}


@dataclass(frozen=True)
class Reconciled:
    """What came of it."""

    cells: int
    differences: tuple[Difference, ...]
    opened: tuple[int, ...]  # incidents
    closed: tuple[int, ...]


def summable(table: Table) -> list[str]:
    """Columns whose sums are exact."""
    return [name for name, kind in table.business_columns.items() if kind.upper().startswith(_EXACT)]


def reconcile_with(store: Store, control: Control, *, who: str = "") -> Reconciled:
    """Compare, keep the journal of incidents, and enter in the ledger what was compared; one transaction. Raises StoreError."""
    control = _whole(store, control)
    found = _differences(store, control)
    with store.transaction():
        detail = {
            "system": control.system,
            "control_sha256": control.sha256,
            "origin": control.origin,
            "by": who,
            ACCOUNT: account(),
            "tables": _summary(control, found),
            "differing": len(found),
        }
        (seq,) = store.record([(EntryKind.RECONCILED, f"{control.system} {control.period.id}", detail)])
        now = dt.datetime.now(dt.UTC)
        opened, closed = _journal(store, control, found, seq, now)
        kinds = [SealKind.INCIDENTS_OPENED] * bool(opened) + [SealKind.INCIDENTS_CLOSED] * bool(closed)
        seal(store, seq, kinds)
    return Reconciled(len(control.totals), tuple(found), opened, closed)


def _whole(store: Store, control: Control) -> Control:
    """With the months of the period of which the warehouse has rows and the source says nothing: it says that there are none."""
    totals = dict(control.totals)
    for table in sorted({cell[0] for cell in totals}):
        if table not in store.tables:
            raise StoreError(f"the control totals name {table}, and there is no such table")
        columns = {column for cell, total in totals.items() if cell[0] == table for column in total.sums}
        if unknown := columns - set(summable(store.tables[table])):
            raise StoreError(
                f"the control totals sum {table}.{min(unknown)}, of which there is no exact sum; there is one of: "
                f"{', '.join(summable(store.tables[table])) or 'no column of it'}"
            )
        settlements = sorted({cell[1] for cell in totals if cell[0] == table})
        totals.update({cell: Total(0) for cell in _here(store, control, table, settlements, ()) if cell not in totals})
    return Control(control.system, control.period, control.sha256, control.origin, totals)


def _differences(store: Store, control: Control) -> list[Difference]:
    found: list[Difference] = []
    for table in sorted({cell[0] for cell in control.totals}):
        stated = {cell: total for cell, total in control.totals.items() if cell[0] == table}
        columns = sorted({column for total in stated.values() for column in total.sums})
        settlements = sorted({cell[1] for cell in stated})
        here = _here(store, control, table, settlements, columns)
        about = _about(store, control, table, settlements)
        for cell, there in sorted(stated.items()):
            found += _compared(cell, there, here.get(cell, Total(0)), about.get(cell, {}))
    return found


def _compared(cell: Cell, there: Total, here: Total, about: Mapping[str, Any]) -> Iterator[Difference]:
    if there.rows != here.rows:
        yield Difference(cell, "", Decimal(there.rows), Decimal(here.rows), **about)
    for column, said in sorted(there.sums.items()):
        own = here.sums.get(column, Sum(Decimal(0), 0))
        filled = None if said.filled is None or said.filled == own.filled else (said.filled, own.filled or 0)
        if said.value != own.value or filled:
            yield Difference(cell, column, said.value, own.value, filled, **about)


def _here(
    store: Store, control: Control, table: str, settlements: Sequence[str], columns: Sequence[str]
) -> dict[Cell, Total]:
    """What the warehouse has: rows in force of the system, by the date column that each one's delivery is cut by."""
    sums = "".join(f", sum({quoted(c)}), count({quoted(c)})" for c in columns)
    sql = statement(
        __file__,
        "control_total",
        sums=sums,
        month=_month(store.tables[table]),
        rows=f"showcase.{table}",
        **_asked(control, settlements),
    )
    found = {}
    for kato, month, rows, *values in store.con.execute(sql).fetchall():
        own = {c: Sum(Decimal(values[2 * n] or 0), int(values[2 * n + 1])) for n, c in enumerate(columns)}
        found[table, str(kato), str(month)] = Total(int(rows), own)
    return found


def _about(store: Store, control: Control, table: str, settlements: Sequence[str]) -> dict[Cell, dict[str, Any]]:
    """By cell, the last delivery of it: number, territory, period, state, and how many of its rows were rejected."""
    sql = statement(__file__, "control_delivery", table_name=literal(table), **_asked(control, settlements))
    return {
        (table, str(kato), str(month)): {
            "delivery_id": int(delivery_id),
            "slice": (str(scope), str(period)),
            "state": str(state),
            "rejected": int(rejected),
        }
        for kato, month, delivery_id, scope, period, state, rejected in store.con.execute(sql).fetchall()
    }


def _asked(control: Control, settlements: Sequence[str]) -> dict[str, str]:
    return {
        "system": literal(control.system),
        "settlements": ", ".join(map(literal, settlements)),
        "first": literal(control.period.months[0]),
        "last": literal(control.period.months[-1]),
    }


def _month(table: Table) -> str:
    """SQL of the month that a row counts for, as 2026-01: of the end of its days where it is a state or a figure of a day."""
    whens = "".join(
        f" WHEN {literal(c)} THEN strftime(CAST(held.{quoted(c)} AS TIMESTAMP) - CASE WHEN delivery.kind = 'as_of' "
        "THEN INTERVAL 1 MICROSECOND ELSE INTERVAL 0 DAY END, '%Y-%m')"
        for c in table.dated
    )
    by_column = f"CASE delivery.cut_by{whens} ELSE delivery.closing_month END" if whens else "delivery.closing_month"
    if not table.snapshot:
        return by_column
    return f"strftime(CAST(held.{quoted(SNAPSHOT_COLUMN[0])} AS TIMESTAMP) - INTERVAL 1 MICROSECOND, '%Y-%m')"


def _summary(control: Control, found: Sequence[Difference]) -> dict[str, dict[str, Any]]:
    """By table: cells compared and differing, and rows as the source says."""
    summary: dict[str, dict[str, Any]] = {}
    for cell, total in sorted(control.totals.items()):
        one = summary.setdefault(cell[0], {"cells": 0, "differing": 0, "rows": 0, "columns": []})
        one["cells"] += 1
        one["rows"] += total.rows
        one["columns"] = sorted({*one["columns"], *total.sums})
    for cell in {difference.cell for difference in found}:
        summary[cell[0]]["differing"] += 1
    return summary


def _journal(
    store: Store, control: Control, found: Sequence[Difference], seq: int, now: dt.datetime
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Open what differs and is not open yet, close what agrees now or differs otherwise. Returns the incidents opened and closed."""
    wanted: dict[tuple[Any, ...], list[Difference]] = {}
    for one in found:
        scope, period = one.slice if one.delivery_id else (one.cell[1], one.cell[2])
        wanted.setdefault((one.cell[0], one.delivery_id, scope, period, one.rule, *one.kind), []).append(one)
    told = {key: recorded([one.message for one in several[:_SHOWN]]) for key, several in wanted.items()}
    still = set(told.items())
    closed, kept = [], set()
    for incident_id, observed, *key in store.con.execute(
        "SELECT incident_id, observed, table_name, delivery_id, scope, period_id, rule, kind, criterion FROM audit.incident "
        "WHERE closed_seq IS NULL AND system = ? AND rule IN (?, ?) ORDER BY incident_id",
        [control.system, ROWS, SUM],
    ).fetchall():
        if (tuple(key), observed) in still:
            kept.add(tuple(key))
        elif _again(control, str(key[0]), str(observed)):
            differs = any(one.cell in _cells(str(key[0]), str(observed)) for one in found)
            reason = recorded({"code": "control.compared_again" if differs else "control.agrees", "seq": str(seq)})
            store.con.execute(
                "UPDATE audit.incident SET closed_seq = ?, closed_at = ?, closed_by = ?, closing_reason = ? WHERE incident_id = ?",
                [seq, now, f"reconciliation {seq}", reason, incident_id],
            )
            closed.append(int(incident_id))
    row = store.con.execute("SELECT coalesce(max(incident_id), 0) FROM audit.incident").fetchone()
    first = int(row[0]) + 1 if row else 1
    rows = [
        {
            "incident_id": first + n,
            "delivery_id": delivery_id,
            "table_name": table,
            "system": control.system,
            "scope": scope,
            "period_id": period,
            "rule": rule,
            "criterion": criterion,
            "kind": kind,
            "observed": told[key],
            "expected": recorded({"code": "control.equal"}),
            "opened_seq": seq,
            "opened_at": now,
        }
        for n, key in enumerate(sorted(set(told) - kept))
        for table, delivery_id, scope, period, rule, kind, criterion in [key]
    ]
    store.insert_rows("audit.incident", rows)
    mine = f"(SELECT * FROM audit.incident WHERE opened_seq = {seq} OR closed_seq = {seq})"
    keep_sentences(store, (mine, "observed"), (mine, "expected"), (mine, "closing_reason"))
    return tuple(row["incident_id"] for row in rows), tuple(closed)


def _cells(table: str, observed: str) -> set[Cell]:
    """The cells that an incident of a reconciliation tells of."""
    return {(table, str(one["settlement"]), str(one["month"])) for one in json.loads(observed)}


def _again(control: Control, table: str, observed: str) -> bool:
    """Whether everything that an incident tells of was compared again: each cell, and of sums the column."""
    for one in json.loads(observed):
        total = control.totals.get((table, str(one["settlement"]), str(one["month"])))
        if total is None or (one.get("column") and one["column"] not in total.sums and total.rows):
            return False
    return True
