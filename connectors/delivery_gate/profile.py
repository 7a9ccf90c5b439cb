"""What the second gate judges: a delivery summed up in one row, from what the first gate staged.

Does not belong here: deciding anything; delivery_gate.py does that, by the contract's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import duckdb

from connectors.row_gate.incoming import Incoming
from warehouse.sql import literal, quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.rules import DUPLICATE, REPEATED, Reference
from warehouse.tables.working_tables import create

if TYPE_CHECKING:
    import pandas as pd


def profile_deliveries(
    con: duckdb.DuckDBPyConnection, table: Table, incoming: Iterable[Incoming]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is to be judged: a row per delivery; and by delivery and rule how many rows are rejected, and how many cells left empty.

    Full duplicates of another row harm nothing: they count as received and rejected, and in neither percentage. What a contract leaves out
    (adr/0043) counts as received alone; all else is told of what is taken.

    Columns of the first: delivery_id, received, accepted, rejected, rejected_percent, duplicate_percent (repeated keys), null_percent__<column>,
    age_days__<column> (from its newest value to the period's end), unmatched_percent__<column> (values missing from the table
    referred to), warned__<rule>, manifest_difference, late_days (after the agreed day; negative: before it) and volume_ratio
    (rows over the median of the last 12 loads). What cannot be told is empty.
    """
    create(con, "work_declared_count")
    declared = [(one.delivery_id, one.declared_rows, one.rows_of_record, len(one.readable.bad)) for one in incoming]
    con.execute(
        "INSERT INTO work_declared_count SELECT unnest(?), unnest(?), unnest(?), unnest(?)",
        [list(c) for c in zip(*declared, strict=True)],
    )
    aged = [column for what, column in _demanded(table) if what == "age_days"]
    ages = ", ".join(f"date_diff('day', age_days__{c}, delivery.period_end) AS age_days__{c}" for c in aged)
    replaced = f" REPLACE ({ages})" if ages else ""
    profile = con.execute(
        statement(
            __file__,
            "work_staged_row__profile",
            duplicate=literal(DUPLICATE),
            repeated=literal(REPEATED),
            measures="".join(f",\n        {measure}" for measure in _measures(table)),
            table_name=literal(table.name),
            days_late=_late_days(table),
            measures_of_table=f"counted.* EXCLUDE (delivery_id, taken, rejected, duplicates, repeated){replaced}",
        )
    ).df()
    for reference in table.references:
        profile = profile.merge(_unmatched(con, reference), on="delivery_id", how="left")
    broken = con.execute(statement(__file__, "work_staged_row__broken_rules")).df()
    con.execute("DROP TABLE work_declared_count")
    return profile, broken


def _demanded(table: Table) -> list[tuple[str, str]]:
    """(measure, column) of the measures of single columns that the table's rules judge."""
    named = [str(rule.kwargs.get("column", "")).partition("__") for rule in table.delivery_rules]
    return [(what, column) for what, _, column in named]


def _measures(table: Table) -> Iterator[str]:
    """Columns of the profile that depend on the table: SQL over a delivery's staged rows."""
    accepted = "count(*) FILTER (WHERE broken IS NULL)"
    demanded = _demanded(table)
    for what, column in demanded:
        if what == "null_percent":
            empty = f"count(*) FILTER (WHERE broken IS NULL AND {quoted(column)} IS NULL)"
            yield f"coalesce(100.0 * {empty} / nullif({accepted}, 0), 0) AS null_percent__{column}"
    for what, column in demanded:
        if what == "age_days":
            yield f"max({quoted(column)}) FILTER (WHERE broken IS NULL) AS age_days__{column}"
    for rule in (*(r for c in table.columns for r in c.rules), *table.row_rules):
        if rule.severity == "warning" and rule.predicate:
            yield f"count(*) FILTER (WHERE broken IS NULL AND NOT ({rule.predicate})) AS warned__{rule.check_name}"


def _late_days(table: Table) -> str:
    """Days from the agreed day to the day of receipt; NULL where none was agreed or the delivery is not the first of its slice. SQL."""
    if table.latency_days is None:
        return "NULL::INTEGER"
    name = literal(table.name)
    agreed = f" AND delivery.period_end > DATE {literal(table.agreed_from.isoformat())}" if table.agreed_from else ""
    # the deadline is for the first delivery of a slice: a correction comes when a mistake is found
    first = (
        f"NOT EXISTS (FROM audit.delivery AS before WHERE before.table_name = {name} AND before.state = 'loaded' "
        "AND (before.system, before.scope, before.period_id) = (delivery.system, delivery.scope, delivery.period_id) "
        "AND before.delivery_id < delivery.delivery_id)"
    )
    # nor for what was due before the system delivered at all: a history is loaded when the system is connected
    begun = (
        f" AND delivery.period_end + {table.latency_days} >= (SELECT CAST(min(before.received_at) AT TIME ZONE 'Asia/Almaty' AS DATE) "
        f"FROM audit.delivery AS before WHERE before.table_name = {name} "
        "AND (before.system, before.scope) = (delivery.system, delivery.scope))"
    )
    received = "CAST(delivery.received_at AT TIME ZONE 'Asia/Almaty' AS DATE)"
    late = f"date_diff('day', delivery.period_end + {table.latency_days}, {received})"
    return f"CASE WHEN {first}{agreed}{begun} THEN {late} END"


def _unmatched(con: duckdb.DuckDBPyConnection, reference: Reference) -> pd.DataFrame:
    """By delivery, the percentage of a column's values that its own settlement's rows of the other table do not have.

    Of a settlement that has no row there nothing can be told: its register was not delivered.
    """
    return con.execute(
        statement(
            __file__,
            "work_staged_row__unmatched",
            column=quoted(reference.column),
            target=quoted(reference.target),
            other_table=f"showcase.{reference.table}",
            measure=f"unmatched_percent__{reference.column}",
        )
    ).df()
