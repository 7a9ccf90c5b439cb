"""Cells over columns that the contract of a delivery does not map: what a source does not deliver is unknown, not zero.

Which columns these are is known before any row is read, and kept with the delivery (audit.delivery.unmapped). A KPI is not calculable for a
cell if it reads such a column of a delivery in force for the cell's months, or of one that brought a row of the cell: the simplest rule
that is never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpi_definitions.compiler import Compiled, columns_of
from kpi_definitions.scans import Scan
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.scans import choose_cells
from warehouse.sql import literal, statement
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.working_tables import create


def find_undelivered_columns(computation: Computation) -> None:
    """Make `work_undelivered_columns`: per cell, which system does not deliver which columns."""
    store, con = computation.store, computation.store.con
    create(con, "work_undelivered_column")
    undelivered = {
        str(column)
        for (column,) in con.execute(
            "SELECT DISTINCT table_name || '.' || unnest(string_split(unmapped, ',')) FROM work_loaded_delivery "
            "WHERE NOT replaced AND unmapped IS NOT NULL"
        ).fetchall()
    }
    for one in computation.compiled:
        read = [(table, column) for table, column in columns_of(one.kpi) if f"{table}.{column}" in undelivered]
        if read:
            _by_months(store, one, read)
            for scan in one.scans:
                if any(table == scan.table for table, _ in read):
                    _by_rows(store, one, scan, computation.seq)
    con.execute(statement(__file__, "work_undelivered_columns"))


def _by_months(store: Store, one: Compiled, read: Sequence[tuple[str, str]]) -> None:
    """Make `work_partial_delivery`, deliveries that lack a column the KPI reads; and insert the cells for whose months they are."""
    columns = ", ".join(f"({literal(table)}, {literal(column)})" for table, column in read)
    store.con.execute(statement(__file__, "work_partial_delivery", columns=columns))
    store.con.execute(
        statement(
            __file__, "work_undelivered_column__by_months", code=literal(one.kpi.code), version=str(one.kpi.version)
        )
    )


def _by_rows(store: Store, one: Compiled, scan: Scan, seq: int | None) -> None:
    """Insert the cells that have rows of such deliveries, whatever months these were for."""
    choose_cells(store, [one.kpi.code])
    source = (
        f"(SELECT r.*, g.lacks FROM {as_of(scan.table, seq)} AS r JOIN work_partial_delivery AS g "
        "ON r.delivery_id = g.delivery_id)"
    )
    sql = scan.counting("rows_found").sql(source, "work_scan_cell", by="c.kato, c.period_id, t.lacks")
    only_reads(store.con, sql, scan.table, "work_scan_cell", "work_partial_delivery")
    store.con.execute(f"""INSERT INTO work_undelivered_column SELECT cell.kpi_code, cell.version, cell.kato, cell.period_id, found.lacks
FROM work_due_cell AS cell JOIN ({sql}) AS found ON (found.kato, found.period_id) = (cell.kato, cell.period_id)
WHERE cell.kpi_code = {literal(one.kpi.code)} AND cell.version = {one.kpi.version}""")
