"""What a delivery asserts, as SQL (adr/0020): which rows lie in it, and which rows of earlier deliveries it takes away.

Deliveries are rows of audit.delivery or of a relation with the same columns: system, scope, period_id, period_start,
period_end, kind, cut_by, order_seq. Does not belong here: the writing of rows (loading/replace.py).
"""

from __future__ import annotations

from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table


def day_of(table: Table, row: str, delivery: str) -> str:
    """The time of a row by which a delivery is cut; NULL if it is cut by none."""
    whens = " ".join(f"WHEN {literal(c)} THEN CAST({row}.{quoted(c)} AS TIMESTAMP)" for c in table.dated)
    return f"CASE {delivery}.cut_by {whens} END" if whens else "CAST(NULL AS TIMESTAMP)"


def within(table: Table, row: str, delivery: str) -> str:
    """Whether a row lies in what a delivery asserts as a whole: its days or, of a register, its snapshot."""
    day, d = day_of(table, row, delivery), delivery
    snapshot = f"WHEN 'snapshot' THEN {row}.snapshot_date = {d}.period_end " if table.snapshot else ""
    return (
        f"coalesce(CASE {d}.kind {snapshot}WHEN 'complete' THEN {day} >= {d}.period_start AND {day} < {d}.period_end "
        f"WHEN 'as_of' THEN {day} > {d}.period_start AND {day} <= {d}.period_end END, false)"
    )


def covers(delivery: str, kato: str) -> str:
    """Whether a settlement lies in a delivery's territory."""
    return f"({delivery}.scope = {kato} OR {delivery}.scope = 'KZ' OR {delivery}.scope = {kato}[:2])"


def same_slice(later: str, earlier: str) -> str:
    """Whether a delivery is the former one over again: same system, territory and days."""
    return f"({later}.kind <> 'changes' AND ({later}.system, {later}.scope, {later}.period_id) = ({earlier}.system, {earlier}.scope, {earlier}.period_id))"


def overlap(later: str, earlier: str) -> str:
    """Whether a delivery can take rows of an earlier one at all: same system, days and territories that meet."""
    return (
        f"{later}.system = {earlier}.system AND {later}.kind <> 'changes' AND {later}.period_start < {earlier}.period_end "
        f"AND {later}.period_end > {earlier}.period_start AND {earlier}.order_seq <= {later}.order_seq "
        f"AND ({later}.scope = 'KZ' OR {earlier}.scope = 'KZ' OR {later}.scope[:2] = {earlier}.scope[:2])"
    )


def takes(table: Table, later: str, earlier: str, row: str) -> str:
    """Whether a delivery takes away a row that an earlier one, which it meets (`overlap`), asserts."""
    return (
        f"({same_slice(later, earlier)} OR ({within(table, row, later)} AND {covers(later, f'{row}.kato')} "
        f"AND ({within(table, row, earlier)} OR {earlier}.period_end <= {later}.period_end)))"
    )
