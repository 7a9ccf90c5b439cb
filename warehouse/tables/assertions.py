"""What a delivery asserts (adr/0020): by which column an extract is cut, and, as SQL, which rows a delivery takes away.

Deliveries are rows of audit.delivery or of a relation with the same columns: system, scope, period_id, period_start, period_end, kind, cut_by,
order_seq. Does not belong here: the writing of rows (load.py), and what is wrong with a single delivery (connectors/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kpi_definitions.documents import Document, Fault
from warehouse.sql import literal, quoted

if TYPE_CHECKING:
    from warehouse.tables.contracts import Table


class Asserts(StrEnum):
    """Kinds of extracts, by what a delivery of them asserts."""

    COMPLETE = "complete"  # all rows of its system, territory and days
    CHANGES = "changes"  # rows that are new or changed; nothing about others
    SNAPSHOT = "snapshot"  # a whole register as it stood at the period's end
    AS_OF = "as_of"  # figures of a day: from after the period's first day to the first day after it


@dataclass(frozen=True)
class Cut:
    """How an extract is cut out of its system: kind, the date column, and whether rows of earlier days come again when they changed."""

    kind: Asserts = Asserts.COMPLETE
    by: str | None = None
    earlier: bool = False


def cut_of(
    settings: Mapping[str, Any], default: Cut, dated: Mapping[str, bool], document: Document
) -> Iterator[Cut | Fault]:
    """The cut a contract declares by `delivery`, `cutBy` and `earlierRows`, or what is wrong with it.

    `dated`: the table's date and time columns, and whether each must be filled.
    """
    where = ("customProperties",)
    known = ", ".join(Asserts)
    kind, by, earlier = (
        settings.get("delivery", default.kind),
        settings.get("cutBy", default.by),
        settings.get("earlierRows"),
    )
    if kind not in list(Asserts) or (kind == Asserts.SNAPSHOT) != (default.kind == Asserts.SNAPSHOT):
        yield document.fault(
            where,
            f"delivery {kind!r} is not possible here",
            f"write one of {known}; a table is a snapshot for all its sources or for none",
        )
        return
    if by is not None and not dated.get(by):
        yield document.fault(
            where,
            f"cutBy {by!r} is no date column that must be filled",
            f"there are {', '.join(c for c, must in dated.items() if must) or 'none'}",
        )
        return
    if earlier not in (None, "rejected", "changed"):
        yield document.fault(
            where,
            f"earlierRows {earlier!r} is not known",
            "write changed, if rows of earlier days come again when they changed, or rejected",
        )
        return
    yield Cut(Asserts(kind), by, default.earlier if earlier is None else earlier == "changed")


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
