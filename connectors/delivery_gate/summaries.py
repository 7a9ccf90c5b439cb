"""A delivery in a few figures: rows, rows by day, gaps by column; of those that arrive and of those on record.

Does not belong here: what follows from them (earlier_deliveries.py, missing_units.py), the measures that contracts demand (profile.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import duckdb

from connectors.row_gate.incoming import Incoming
from warehouse.loading.deliveries import Gaps
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table

LAST = 12  # earlier deliveries that tell what is usual

Series = tuple[str, str]  # system, territory


@dataclass
class DeliverySummary:
    """A delivery, on record or on its way, as far as its successors are held against it."""

    delivery_id: int
    series: Series
    start: dt.date
    end: dt.date
    received: int  # but for records that its contract leaves out
    taken: int
    shares: dict[str, float] = field(default_factory=dict)  # column → share of gaps
    told: dict[str, str] = field(default_factory=dict)  # rules whose incident no person has closed, and what they found
    confirmed: set[str] = field(default_factory=set)  # rules whose incident a person has closed

    @property
    def slice(self) -> tuple[Series, dt.date, dt.date]:
        return self.series, self.start, self.end


def _cut_column(table: Table) -> str | None:
    """The column by which extracts of the table are cut into periods; None of a register, which is handed over whole."""
    if table.snapshot:
        return None
    dated = (name for name, must in table.dated.items() if must)
    return table.cut.by or next(dated, None)


def _optional(table: Table) -> list[str]:
    return [c.name for c in table.columns if not c.required and c.name not in table.key]


def count_days(con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming]) -> None:
    """Fill `work_daily_count` in one pass over the staged rows, and `work_compared_delivery`."""
    cut, optional = _cut_column(table), _optional(table)
    day = "CAST(NULL AS DATE)" if cut is None else f"CASE WHEN broken IS NULL THEN CAST({quoted(cut)} AS DATE) END"
    counts = "".join(
        f", count({quoted(name)}) FILTER (WHERE broken IS NULL) AS c{n}" for n, name in enumerate(optional)
    )
    ids = ", ".join(str(one.delivery_id) for one in reading)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_daily_count AS SELECT delivery_id, {day} AS day, count(*) AS received, "
        f"count(*) FILTER (WHERE broken IS NULL) AS taken{counts} FROM work_staged_row WHERE delivery_id IN ({ids}) GROUP BY ALL"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE work_compared_delivery AS "
        f"SELECT delivery_id, system, scope, period_start, period_end FROM audit.delivery WHERE delivery_id IN ({ids})"
    )


def summarise_arriving(
    con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming]
) -> tuple[list[DeliverySummary], list[Gaps], dict[int, dict[dt.date, int]]]:
    """The deliveries in order of arrival, their gaps, and how many rows they have on each of their days."""
    optional = _optional(table)
    sums = "".join(f", coalesce(sum(c{n}), 0)::BIGINT" for n in range(len(optional)))
    new, gaps = [], []
    for number, system, scope, start, end, received, taken, *filled in con.execute(
        f"SELECT compared.*, coalesce(sum(received), 0)::BIGINT, coalesce(sum(taken), 0)::BIGINT{sums} "
        "FROM work_compared_delivery AS compared LEFT JOIN work_daily_count USING (delivery_id) GROUP BY ALL ORDER BY delivery_id"
    ).fetchall():
        shares = {name: (taken - count) / taken for name, count in zip(optional, filled, strict=True)} if taken else {}
        new.append(DeliverySummary(number, (system, scope), start, end, received, taken, shares))
        gaps += [Gaps(number, name, taken, taken - count) for name, count in zip(optional, filled, strict=True)]
    days: dict[int, dict[dt.date, int]] = {one.delivery_id: {} for one in reading}
    for number, day, rows in con.execute(
        "SELECT daily.delivery_id, day, taken FROM work_daily_count AS daily JOIN work_compared_delivery AS compared USING (delivery_id) "
        "WHERE day >= compared.period_start AND day < compared.period_end"
    ).fetchall():
        days[number][day] = rows
    con.execute("DROP TABLE work_daily_count")
    return new, gaps, days


def summarise_loaded(con: duckdb.DuckDBPyConnection, table: Table, wanted: Collection[Series]) -> list[DeliverySummary]:
    """The last deliveries of these series that were loaded, in order of arrival, with what was found in them."""
    many = 4 * LAST  # of several lengths, and slices that came again
    name = literal(table.name)
    rows = con.execute(f"""SELECT delivery_id, system, scope, period_start, period_end, accepted_rows + rejected_rows, accepted_rows FROM audit.delivery
WHERE table_name = {name} AND state = 'loaded' AND (system, scope) IN (SELECT (system, scope) FROM work_compared_delivery)
QUALIFY row_number() OVER (PARTITION BY system, scope, period_end - period_start > 45 ORDER BY delivery_id DESC) <= {many}
ORDER BY delivery_id""").fetchall()
    known = {row[0]: DeliverySummary(row[0], (row[1], row[2]), *row[3:]) for row in rows}
    if not known:
        return []
    ids = ", ".join(map(str, known))
    for number, column, share in con.execute(
        f"SELECT delivery_id, column_name, gaps / rows FROM audit.delivery_profile WHERE rows > 0 AND delivery_id IN ({ids})"
    ).fetchall():
        known[number].shares[column] = share
    for number, rule, is_open, by, observed in con.execute(
        f"SELECT delivery_id, rule, closed_seq IS NULL, closed_by, observed FROM audit.incident WHERE delivery_id IN ({ids})"
    ).fetchall():
        if is_open or str(by).startswith("delivery "):
            known[number].told[rule] = observed
        else:
            known[number].confirmed.add(rule)
    return [one for one in known.values() if one.series in wanted]
