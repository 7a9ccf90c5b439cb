"""What a value was computed from: its deliveries with their checks, declared corrections of its rows, and its earlier values.

Does not belong here: the value itself and its definition (explain.py), the rows one by one (rows.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kpi_definitions.compiler import Compiled
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.scans import window
from warehouse.periods import Period
from warehouse.sql import literal, statement
from warehouse.store.history import as_of
from warehouse.store.store import Store


def find_deliveries(
    store: Store, compiled: Compiled, kato: str, period: Period, seq: int, last_seq: int
) -> list[dict[str, Any]]:
    """Deliveries with rows in the value as of `seq`, and those received up to `last_seq` that should have had some."""
    rows = _rows_by_delivery(store, compiled, kato, period, seq)
    found = store.select(
        statement(
            __file__,
            "explain_deliveries",
            delivery_ids=_numbers(rows),
            tables=_tables(compiled),
            kato=literal(kato),
            period_start=_date(period.start),
            period_end=_date(period.end),
            last_seq=str(last_seq),
        )
    )
    for delivery in found:
        delivery_id = delivery["delivery_id"]
        delivery["owner"] = store.tables[delivery["table_name"]].owner
        delivery["rows_in_this_number"] = rows.get(delivery_id, 0)
        delivery["rejected_by_rule"] = _rejected_by_rule(store, delivery_id)
        delivery["checks"] = _checks(store, delivery_id)
    return found


def _rows_by_delivery(store: Store, compiled: Compiled, kato: str, period: Period, seq: int) -> dict[int, int]:
    """Delivery → how many of its rows the value counts."""
    rows: dict[int, int] = {}
    for scan in compiled.scans:
        # the sample where it is counted; of a figure that is looked up, the rows that give it
        sampled = scan == compiled.sample.scan
        counting = scan if sampled else scan.counting("rows_used")
        sql = counting.sql(
            as_of(scan.table, seq),
            window(kato, period.start, period.end, period.id),
            any_window=True,
            by="t.delivery_id",
        )
        only_reads(store.con, sql, scan.table)
        name = compiled.sample.column if sampled else "rows_used"
        rows.update(store.con.execute(f"SELECT delivery_id, {name} FROM ({sql}) WHERE {name} > 0").fetchall())
    return rows


def _rejected_by_rule(store: Store, delivery_id: int) -> dict[str, int]:
    return dict(
        store.con.execute(
            "SELECT rule, count(*) FROM audit.rejected_row WHERE delivery_id = ? AND column_name IS NULL GROUP BY 1 ORDER BY 1",
            [delivery_id],
        ).fetchall()
    )


def _checks(store: Store, delivery_id: int) -> dict[str, Any]:
    checks = store.select(
        "SELECT rule, severity, observed, expected, passed FROM audit.check_result WHERE delivery_id = ? ORDER BY rule",
        [delivery_id],
    )
    passed = [check.pop("passed") for check in checks]
    return {
        "judged": len(checks),
        "passed": sum(passed),
        "failed": [check for check, held in zip(checks, passed, strict=True) if not held],
    }


def find_corrections(store: Store, compiled: Compiled, kato: str, period: Period, seq: int) -> list[dict[str, Any]]:
    """Declared corrections of rows in the value: cell by cell what the source says and what was loaded instead."""
    found: list[dict[str, Any]] = []
    applied = f"FROM audit.correction WHERE outcome = 'applied' AND kato = {literal(kato)} AND table_name IN ({_tables(compiled)})"
    if not store.con.execute(f"SELECT count(*) {applied}").fetchall()[0][0]:
        return found
    for scan in compiled.scans:
        rows = scan.counting("rows_used").sql(
            as_of(scan.table, seq),
            window(kato, period.start, period.end, period.id),
            any_window=True,
            by="t.delivery_id, t.row_no",
        )
        found += store.select(
            f"SELECT * {applied} AND table_name = {literal(scan.table)} "
            f"AND (delivery_id, row_no) IN (SELECT (delivery_id, row_no) FROM ({rows})) ORDER BY ALL"
        )
    return found


def find_earlier_values(
    store: Store, compiled: Compiled, kato: str, period: Period, seq: int | None
) -> list[dict[str, Any]]:
    """Values of the cell before the one in force (or in force at `seq`), newest first, each with the deliveries that may have changed it."""
    found = store.select(
        statement(
            __file__,
            "explain_earlier_values",
            code=literal(compiled.kpi.code),
            kato=literal(kato),
            period_id=literal(period.id),
            last_seq=str(store.last_seq if seq is None else seq),
        )
    )
    for value in found:
        next_as_of = value.pop("next_as_of")
        value["deliveries_since"] = _deliveries_since(store, compiled, kato, period, value["as_of_seq"], next_as_of)
    return found


def _deliveries_since(
    store: Store, compiled: Compiled, kato: str, period: Period, after_seq: int, until_seq: int
) -> list[str]:
    """Deliveries of tables that the KPI reads, decided on between two sequences: those for the period, and those that moved rows of it."""
    span = {"after_seq": str(after_seq), "until_seq": str(until_seq)}
    moving: set[int] = set()
    for scan in compiled.scans:
        moved = statement(__file__, "explain_moved_rows", showcase_table=scan.table, **span)
        sql = scan.counting("rows_moved").sql(
            f"({moved})", window(kato, period.start, period.end, period.id), any_window=True, by="t.moved"
        )
        moving |= {row[0] for row in store.con.execute(sql).fetchall()}
    found = store.select(
        statement(
            __file__,
            "explain_deliveries_since",
            tables=_tables(compiled),
            kato=literal(kato),
            period_start=_date(period.start),
            period_end=_date(period.end),
            moving_seqs=_numbers(sorted(moving)),
            **span,
        )
    )
    return [f"{d['delivery_id']} {d['table_name']} {d['period_id']} {d['file_name']}" for d in found]


def _tables(compiled: Compiled) -> str:
    return ", ".join(map(literal, compiled.tables))


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "NULL"


def _date(day: object) -> str:
    return f"DATE '{day}'"
