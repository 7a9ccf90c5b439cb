"""Of every published value at once the deliveries that explain.py names one value at a time. Reads a release.

Does not belong here: what a delivery holds, and which of it may be shown (report/trails.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from kpi_definitions.compiler import Compiled, compile_kpi, fuse
from kpi_definitions.model import Kpi
from kpi_definitions.scans import Scan
from warehouse.isolation.sandbox import only_reads
from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.working_tables import create

_BY = "c.kato, c.period_id, t.delivery_id, t.valid_from_seq, t.valid_to_seq"


def find_cell_deliveries(store: Store) -> None:
    """Fill `work_cell_delivery`: the deliveries with rows in a value, and those that should have had some."""
    con = store.con
    create(con, "work_trail_cell", "work_cell_delivery")
    con.execute(statement(__file__, "work_trail_cell"))
    compiled = _compiled(store)
    for number, scan in zip(count(), fuse(compiled), strict=False):
        users = [(one, own) for one in compiled for own in one.scans if own.key == scan.key]
        _count_rows(store, scan, users, f"work_trail_scan_{number}")
    if compiled:  # of a release without a value nothing is read
        con.execute(statement(__file__, "work_cell_delivery__by_slice", read=_tables_read(compiled)))


def _compiled(store: Store) -> list[Compiled]:
    """Every definition that a published value was computed with."""
    found = store.con.execute(
        "SELECT definition FROM registry.kpi WHERE (kpi_code, definition_version) IN (SELECT (kpi_code, version) FROM work_trail_cell) "
        "ORDER BY kpi_code, definition_version"
    ).fetchall()
    return [compile_kpi(Kpi.model_validate_json(text), store.columns()) for (text,) in found]


def _count_rows(store: Store, scan: Scan, users: Sequence[tuple[Compiled, Scan]], table: str) -> None:
    """Which deliveries' rows the values of these KPIs count, each as of its own ledger sequence; one pass over the table."""
    con, codes = store.con, ", ".join(sorted({literal(one.kpi.code) for one, _ in users}))
    con.execute(statement(__file__, "work_trail_scan_cell", codes=codes))
    versions = f"(SELECT *, CAST(NULL AS BIGINT) AS valid_to_seq FROM showcase.{scan.table} UNION ALL BY NAME SELECT * FROM history.{scan.table})"
    counted = scan.counting("rows_used")
    sampled = {one.sample.column: one.sample for one, own in users if one.sample.scan == own}
    measures = (*counted.measures, *(m for m in scan.measures if m.name in sampled))
    sql = Scan(scan.table, scan.time, scan.grain, measures).sql(versions, "work_trail_scan_cell", by=_BY)
    con.execute(f"CREATE TEMP TABLE {table} AS {only_reads(con, sql, scan.table, 'work_trail_scan_cell')}")
    for one, own in users:
        con.execute(
            statement(
                __file__,
                "work_cell_delivery",
                scanned=table,
                rows_used=one.sample.column if one.sample.scan == own else "rows_used",
                code=literal(one.kpi.code),
                version=str(one.kpi.version),
            )
        )
    con.execute(f"DROP TABLE {table}")


def _tables_read(compiled: Sequence[Compiled]) -> str:
    """A relation (kpi_code, version, table_name): the tables that each definition reads."""
    rows = (
        f"({literal(one.kpi.code)}, {one.kpi.version}, {literal(table)})" for one in compiled for table in one.tables
    )
    return f"SELECT * FROM (VALUES {', '.join(rows)}) AS reading (kpi_code, version, table_name)"
