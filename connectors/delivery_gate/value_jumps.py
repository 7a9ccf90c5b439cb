"""Figures that jump: of the same key, from the date before or to the date after, by more than a contract's ratio.

A population in thousands, a region's for its city, a register of half the streets: every row of it is faultless, and each KPI
over it wrong. The ratio is a year's; for more years between two dates it is taken as often. Does not belong here: which figures are
watched (warehouse/tables/usual.py).
"""

from __future__ import annotations

import duckdb

from warehouse.messages.messages import Message, and_more
from warehouse.sql import literal, quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.usual import JUMP, Figure

_NAMED = 5  # jumps in a finding
LEAST = 20  # a figure that small may well double


def value_jumps(con: duckdb.DuckDBPyConnection, table: Table) -> dict[int, list[Message]]:
    """By delivery of `work_staged_row`, which of its figures jump: the first few, and how many more."""
    found: dict[int, list[Message]] = {}
    for figure in table.usual.figures:
        for delivery_id, code, *parts in con.execute(_statement(table, figure)).fetchall():
            what, day, value, other, other_day = parts
            jump = {"code": code, "what": what, "day": day, "column": figure.column}
            found.setdefault(delivery_id, []).append({**jump, "figure": value, "other": other, "other_day": other_day})
    return {
        delivery_id: [and_more(jumps[:_NAMED], len(jumps) - _NAMED, "; ")] if len(jumps) > _NAMED else jumps
        for delivery_id, jumps in found.items()
    }


def _statement(table: Table, figure: Figure) -> str:
    key = ("kato", *map(quoted, figure.by))
    return statement(
        __file__,
        "work_staged_row__value_jumps",
        key=", ".join(key),
        date=quoted(figure.date),
        value=quoted(figure.column),
        table_name=literal(table.name),
        rule=literal(JUMP),
        showcase_table=f"showcase.{table.name}",
        jumps_from_before=_jumps("value_before", "day_before", figure.ratio),
        jumps_to_after=_jumps("value_after", "day_after", figure.ratio),
        named=" || ' ' || ".join(f"CAST({column} AS VARCHAR)" for column in key),
    )


def _jumps(value: str, day: str, ratio: float) -> str:
    """Condition: `figure` and another value differ by more than the ratio allows for the years between them."""
    years = f"greatest(1, abs(date_diff('day', {day}, day)) / 365.25)"
    limit = f"greatest(least(figure, {value}), 1) * pow({ratio}, {years})"
    return f"greatest(figure, {value}) >= {LEAST} AND greatest(figure, {value}) > {limit}"
