"""Figures that leave their former value: of the same key, at the dates before and after, by more than a contract's ratio.

A population in thousands, a region's for its city, a register of half the streets: every row of it is faultless, and each KPI
over it wrong. The ratio is a year's; where more lie between two dates, it is taken as often.
"""

from __future__ import annotations

import duckdb

from connectors.row_gate.row_gate import STAGED
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table
from warehouse.tables.usual import JUMP, Figure

_NAMED = 5
LEAST = 20  # a figure that small may well double


def leaps(con: duckdb.DuckDBPyConnection, table: Table) -> dict[int, str]:
    """By delivery of `staged`, which of its figures leap, in words."""
    found: dict[int, list[str]] = {}
    for one in table.usual.figures:
        for delivery_id, words in con.execute(_sql(table, one)).fetchall():
            found.setdefault(delivery_id, []).append(words)
    return {
        delivery_id: "; ".join(words[:_NAMED]) + (f" and {len(words) - _NAMED} more" if len(words) > _NAMED else "")
        for delivery_id, words in found.items()
    }


def _sql(table: Table, one: Figure) -> str:
    key, date, value = ", ".join(("kato", *map(quoted, one.by))), quoted(one.date), quoted(one.column)
    place = " || ' ' || ".join(f"CAST({k} AS VARCHAR)" for k in ("kato", *map(quoted, one.by)))
    # a figure that stands as it is and is not in doubt has been taken before
    doubt = (
        f"EXISTS (FROM audit.incident i JOIN audit.delivery d ON d.delivery_id = s.delivery_id WHERE i.table_name = {literal(table.name)} "
        f"AND i.rule = '{JUMP}' AND i.closed_seq IS NULL AND (i.system, i.scope, i.period_id) = (d.system, d.scope, d.period_id))"
    )
    return f"""WITH brought AS (
    SELECT * FROM (SELECT {key}, {date} AS day, sum({value}) AS v, delivery_id FROM {STAGED} WHERE broken IS NULL AND {value} IS NOT NULL GROUP BY ALL)
    QUALIFY row_number() OVER (PARTITION BY {key}, day ORDER BY delivery_id DESC) = 1),
standing AS (
    SELECT {key}, {date} AS day, sum({value}) AS v, bool_or({doubt}) AS doubt FROM showcase.{table.name} s
    WHERE {value} IS NOT NULL AND kato IN (SELECT kato FROM brought) GROUP BY ALL),
line AS (
    SELECT {key}, day, b.v, b.delivery_id, coalesce(s.v = b.v AND NOT s.doubt, false) AS taken
    FROM brought b LEFT JOIN standing s USING ({key}, day)
    UNION ALL SELECT {key}, day, s.v, NULL, true FROM standing s ANTI JOIN brought b USING ({key}, day)),
beside AS (
    SELECT *, lag(v) OVER w AS v0, lag(day) OVER w AS day0, lead(v) OVER w AS v1, lead(day) OVER w AS day1, lead(delivery_id) OVER w AS next
    FROM line WINDOW w AS (PARTITION BY {key} ORDER BY day)),
compared AS (
    SELECT *, {_leaps("v0", "day0", one.ratio)} AS from_before, ({_leaps("v1", "day1", one.ratio)}) AND next IS NULL AS from_after FROM beside)
SELECT delivery_id, {place} || ' ' || day || ': {one.column} ' || CAST(v AS VARCHAR) || ' after ' || CAST(v0 AS VARCHAR) || ' on ' || day0
FROM compared WHERE NOT taken AND from_before
UNION ALL SELECT delivery_id, {place} || ' ' || day || ': {one.column} ' || CAST(v AS VARCHAR) || ' before ' || CAST(v1 AS VARCHAR) || ' on ' || day1
FROM compared WHERE NOT taken AND from_after AND from_before IS NOT TRUE
ORDER BY ALL"""


def _leaps(value: str, day: str, ratio: float) -> str:
    """Condition: v and another value differ by more than the ratio allows for the years between them."""
    years = f"greatest(1, abs(date_diff('day', {day}, day)) / 365.25)"
    return f"greatest(v, {value}) >= {LEAST} AND greatest(v, {value}) > greatest(least(v, {value}), 1) * pow({ratio}, {years})"
