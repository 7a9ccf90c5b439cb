"""What the second gate judges: a delivery summed up in one row, from what the first gate staged.

Nothing is decided here: delivery_gate.py does that, by the contract's rules.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pandas as pd

from connectors.row_gate.row_gate import STAGED, Incoming
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table
from warehouse.tables.rules import DUPLICATE, REPEATED, Reference


def profile(
    con: duckdb.DuckDBPyConnection, table: Table, incoming: Iterable[Incoming]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is to be judged: a row per delivery; and by delivery and rule how many rows are rejected, and how many cells left empty.

    Full duplicates of another row harm nothing: they count as received and rejected, and in neither percentage.

    Columns of the first: delivery_id, received, accepted, rejected, rejected_percent, duplicate_percent (repeated keys), null_percent__<column>,
    age_days__<column> (from its newest value to the period's end), unmatched_percent__<column> (values missing from the table
    referred to), warned__<rule>, manifest_difference, late_days (after the agreed day; negative: before it) and volume_ratio
    (rows over the median of the last 12 loads). What cannot be told is empty.
    """
    wanted = [str(r.kwargs.get("column", "")).partition("__") for r in table.delivery_rules]
    nulls = [column for what, _, column in wanted if what == "null_percent"]
    warned = [
        (r.check_name, r.predicate) for c in table.columns for r in c.rules if r.severity == "warning" and r.predicate
    ]
    warned += [(r.check_name, r.predicate) for r in table.row_rules if r.severity == "warning" and r.predicate]
    taken = "count(*) FILTER (WHERE broken IS NULL)"
    extra = "".join(f",\n       coalesce(100.0 * count(*) FILTER (WHERE broken IS NULL AND {quoted(n)} IS NULL) / nullif({taken}, 0), 0) "
                    f"AS null_percent__{n}" for n in nulls)  # fmt: skip
    extra += "".join(
        f",\n       max({quoted(column)}) FILTER (WHERE broken IS NULL) AS age_days__{column}"
        for what, _, column in wanted if what == "age_days"
    )  # fmt: skip
    ages = "".join(
        f" REPLACE (date_diff('day', age_days__{column}, d.period_end) AS age_days__{column})"
        for what, _, column in wanted if what == "age_days"
    ).replace(") REPLACE (", ", ")  # fmt: skip
    late = "NULL::INTEGER"
    if table.latency_days is not None:
        agreed = f" AND d.period_end > DATE {literal(table.agreed_from.isoformat())}" if table.agreed_from else ""
        # the deadline is for the first delivery of a slice: a correction comes when a mistake is found
        first = (
            f"NOT EXISTS (FROM audit.delivery o WHERE o.table_name = {literal(table.name)} AND o.state = 'loaded' "
            "AND (o.system, o.scope, o.period_id) = (d.system, d.scope, d.period_id) AND o.delivery_id < d.delivery_id)"
        )
        # nor for what was due before the system delivered at all: a history is loaded when the system is connected
        begun = (
            f" AND d.period_end + {table.latency_days} >= (SELECT CAST(min(o.received_at) AT TIME ZONE 'Asia/Almaty' AS DATE) FROM audit.delivery o "
            f"WHERE o.table_name = {literal(table.name)} AND (o.system, o.scope) = (d.system, d.scope))"
        )
        late = (
            f"CASE WHEN {first}{agreed}{begun} THEN date_diff('day', d.period_end + {table.latency_days}, "
            "CAST(d.received_at AT TIME ZONE 'Asia/Almaty' AS DATE)) END"
        )
    extra += "".join(
        f",\n       count(*) FILTER (WHERE broken IS NULL AND NOT ({predicate})) AS warned__{name}"
        for name, predicate in warned
    )
    con.execute("CREATE OR REPLACE TEMP TABLE expected (delivery_id BIGINT, declared_rows BIGINT)")
    declared = [(i.delivery_id, i.declared_rows) for i in incoming]
    con.execute("INSERT INTO expected SELECT unnest(?), unnest(?)", [list(c) for c in zip(*declared, strict=True)])
    frame = con.execute(f"""
WITH counted AS (
    SELECT delivery_id, count(*) AS received, count(broken) AS rejected, count(*) FILTER (WHERE broken = '{DUPLICATE}') AS duplicates,
           count(*) FILTER (WHERE broken = '{REPEATED}') AS repeated{extra}
    FROM {STAGED} GROUP BY delivery_id),
usual AS (
    SELECT e.delivery_id, median(p.received_rows) AS rows FROM expected e JOIN audit.delivery d USING (delivery_id)
    JOIN (SELECT scope, system, received_rows, period_end - period_start AS days FROM audit.delivery
          WHERE state = 'loaded' AND table_name = {literal(table.name)}
          QUALIFY row_number() OVER (PARTITION BY scope, system ORDER BY loaded_seq DESC) <= 12) p
      ON (p.scope, p.system) = (d.scope, d.system) AND abs(p.days - (d.period_end - d.period_start)) <= 3
    GROUP BY e.delivery_id)
SELECT e.delivery_id, coalesce(c.received, 0) AS received, coalesce(c.received - c.rejected, 0) AS accepted, coalesce(c.rejected, 0) AS rejected,
       coalesce(100.0 * (c.rejected - c.duplicates) / nullif(c.received - c.duplicates, 0), 0) AS rejected_percent,
       coalesce(100.0 * c.repeated / nullif(c.received - c.duplicates, 0), 0) AS duplicate_percent,
       coalesce(c.received, 0) - e.declared_rows AS manifest_difference, coalesce(c.received, 0) / nullif(u.rows, 0) AS volume_ratio,
       {late} AS late_days, c.* EXCLUDE (delivery_id, received, rejected, duplicates, repeated){ages}
FROM expected e LEFT JOIN audit.delivery d USING (delivery_id) LEFT JOIN counted c USING (delivery_id) LEFT JOIN usual u USING (delivery_id)
ORDER BY e.delivery_id""").df()
    for one in table.references:
        frame = frame.merge(_unmatched(con, one), on="delivery_id", how="left")
    broken = con.execute(f"""
SELECT delivery_id, rule, sum(rows)::BIGINT AS rows, sum(cells)::BIGINT AS cells FROM (
    SELECT delivery_id, broken AS rule, count(*) AS rows, 0 AS cells FROM {STAGED} WHERE broken IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT delivery_id, cell.rule, 0, count(*)
    FROM (SELECT delivery_id, unnest(emptied) AS cell FROM {STAGED} WHERE broken IS NULL AND emptied IS NOT NULL) GROUP BY ALL)
GROUP BY ALL ORDER BY ALL""").df()
    con.execute("DROP TABLE expected")
    return frame, broken


def _unmatched(con: duckdb.DuckDBPyConnection, reference: Reference) -> pd.DataFrame:
    """By delivery, the percentage of a column's values that its own settlement's rows of the other table do not have.

    Of a settlement that has no row there nothing can be told: its register was not delivered.
    """
    column, target = quoted(reference.column), quoted(reference.target)
    return con.execute(f"""
SELECT s.delivery_id, 100.0 * count(*) FILTER (WHERE k.value IS NULL) / count(*) AS unmatched_percent__{reference.column}
FROM {STAGED} s SEMI JOIN (SELECT DISTINCT kato FROM showcase.{reference.table}) USING (kato)
LEFT JOIN (SELECT DISTINCT kato, {target} AS value FROM showcase.{reference.table}) k ON k.kato = s.kato AND k.value = s.{column}
WHERE s.broken IS NULL AND s.{column} IS NOT NULL GROUP BY s.delivery_id""").df()
