"""Units (stations, routes, settlements) that an earlier delivery had and the one that arrives lacks.

Which columns tell units apart is in warehouse/tables/usual.py. Does not belong here: days that are missing (silent_days.py), rows that are
fewer (earlier_deliveries.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import duckdb

from connectors.delivery_gate.summaries import DeliverySummary, Series
from warehouse.messages.messages import and_more, recorded
from warehouse.sql import quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.usual import UNITS

SETTLEMENT_ROWS = 20  # rows of a settlement in a region's earlier delivery from which its absence is a finding
_NAMED = 5  # units named in a finding


def missing_units(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    new: Sequence[DeliverySummary],
    series: Mapping[Series, Sequence[DeliverySummary]],
) -> dict[int, str]:
    """By delivery that has one before it, the units it lacks of those that one had, as a finding records it; '' if none."""
    judged = [one for one in new if table.usual.panel or len(one.series[1]) != 9]
    if not judged or all(len(series[one.series]) < 2 for one in judged):
        return {}
    key = ", ".join(("kato", *map(quoted, table.usual.panel)))
    least = table.usual.least if table.usual.panel else SETTLEMENT_ROWS
    ids = ", ".join(str(one.delivery_id) for one in judged)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_unit_count AS SELECT delivery_id, {key}, count(*) AS rows FROM work_staged_row "
        f"WHERE broken IS NULL AND delivery_id IN ({ids}) GROUP BY ALL"
    )
    arriving, done = {one.delivery_id for one in judged}, dict[int, int]()
    found: dict[int, str] = {}
    while True:  # what is found missing of one decides what the next ones are held against
        pairs = {one.delivery_id: other for one in judged if (other := _before(one, series[one.series])) is not None}
        todo = {number: other for number, other in pairs.items() if done.get(number) != other.delivery_id}
        if not todo:
            break
        done |= {number: other.delivery_id for number, other in todo.items()}
        for number in todo:
            found[number] = ""
        found |= _lacking(con, table, key, least, todo, arriving, series)
        for one in judged:
            if lacks := found.get(one.delivery_id):
                one.told[UNITS] = lacks
            else:
                one.told.pop(UNITS, None)
    con.execute("DROP TABLE work_unit_count")
    return found


def _before(one: DeliverySummary, others: Sequence[DeliverySummary]) -> DeliverySummary | None:
    """The delivery of like length whose units should come again: the last one up to the same days of which no unit is missing."""
    fit = [
        other
        for other in others
        if other.delivery_id < one.delivery_id
        and other.end <= one.end
        and UNITS not in other.told
        and abs((other.end - other.start) - (one.end - one.start)).days <= 3
    ]
    return max(fit, key=lambda o: (o.end, o.delivery_id), default=None)


def _lacking(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    unit: str,
    least: int,
    pairs: Mapping[int, DeliverySummary],
    arriving: Collection[int],
    series: Mapping[Series, Sequence[DeliverySummary]],
) -> dict[int, str]:
    """By delivery, which units of the one before it (`pairs`) are missing, as recorded. `unit`: columns that tell units apart."""
    panel = [quoted(c) for c in table.usual.panel]
    asked = ", ".join(f"({number}, {other.delivery_id})" for number, other in pairs.items())
    labels = [f"coalesce(CAST({c} AS VARCHAR), '')" for c in panel]
    rows = con.execute(
        statement(
            __file__,
            "work_unit_count__missing",
            earlier_units=f"({_earlier_units(table, unit, pairs, arriving, series)})",
            pairs=f"(VALUES {asked}) AS pair (delivery_id, earlier_id)",
            unit=unit,
            unit_name=" || ' ' || ".join(labels or ["kato"]),
            least=str(least),
            has_name="".join(f" AND {c} IS NOT NULL" for c in panel),  # what has no name is no unit
            shown=str(_NAMED),
        )
    ).fetchall()
    found = {}
    for number, earlier, count, named in rows:
        units = and_more(named, count - len(named))
        found[number] = recorded({"code": "finding.missing_units", "units": units, "delivery": earlier})
    return found


def _earlier_units(
    table: Table,
    unit: str,
    pairs: Mapping[int, DeliverySummary],
    arriving: Collection[int],
    series: Mapping[Series, Sequence[DeliverySummary]],
) -> str:
    """SELECT of (earlier_id, unit, rows): of deliveries on their way and, if any is compared with them, of loaded ones."""
    found = f"SELECT delivery_id AS earlier_id, {unit}, rows FROM work_unit_count"
    loaded = {o.delivery_id: o for o in pairs.values() if o.delivery_id not in arriving}
    if not loaded:
        return found
    # rows that came again unchanged stay with the delivery that brought them first
    brought_for = [
        (version.delivery_id, other.delivery_id)
        for other in loaded.values()
        for version in series[other.series]
        if version.slice == other.slice
        and version.delivery_id <= other.delivery_id
        and version.delivery_id not in arriving
    ]
    values = ", ".join(f"({brought}, {of})" for brought, of in brought_for)
    return f"""{found}
    UNION ALL
    SELECT version.earlier_id, {unit}, count(*) FROM showcase.{table.name} AS showcase_row
    JOIN (VALUES {values}) AS version (brought, earlier_id) ON version.brought = showcase_row.delivery_id
    WHERE showcase_row.delivery_id IN ({", ".join(str(brought) for brought, _ in brought_for)}) GROUP BY ALL"""
