"""A KPI that fails on certain data fails alone, and only in the cells of these data.

All KPIs over a table share one scan, so an overflow in one of them ends the scan for all. Then each is measured by itself, and one that
fails over half its cells, then half of these, until the cells are found that fail. Recorded is only the kind of error: its text holds
data, and depends on which row came first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from kpi_definitions.compiler import EXACT, Compiled
from kpi_definitions.model import Kind
from kpi_definitions.scans import Scan
from warehouse.isolation.sandbox import only_reads
from warehouse.messages.messages import catalogue
from warehouse.sql import literal

# errors of data and expressions; memory, files and interrupts are the run's own troubles
DATA_ERRORS = (duckdb.DataError, duckdb.ProgrammingError)
_NEVER = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)  # it fails whatever the cells
OUT_OF_RANGE, CONVERSION = "reason.failure.out_of_range", "reason.failure.conversion"
SCAN = "work_scan"  # what a scan measured; each has its number: work_scan_0
SCAN_CELL_COLUMNS = "kato, period_id, period_start, period_end, period_end_population_date"


def measure_alone(
    con: duckdb.DuckDBPyConnection, users: Sequence[tuple[Compiled, Scan]], source: str, numbers: Iterator[int]
) -> dict[tuple[Scan, str, int], str]:
    """Measure each KPI by its own scan into a table of the next number; cells that fail go to `work_failed_cell`.

    Returns by scan, KPI code and version the name of the table.
    """
    names = {}
    for one, scan in users:
        table = f"{SCAN}_{next(numbers)}"
        names[scan, one.kpi.code, one.kpi.version] = table
        columns = ", ".join(f"{m.name} {part_type(one, m.name)}" for m in scan.measures)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (kato VARCHAR, period_id VARCHAR, {columns})")
        con.execute(
            "CREATE OR REPLACE TEMP TABLE work_numbered_cell AS SELECT row_number() OVER (ORDER BY kato, period_id) AS number, * "
            f"FROM (SELECT DISTINCT {SCAN_CELL_COLUMNS} FROM work_due_cell "
            f"WHERE kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version})"
        )
        row = con.execute("SELECT count(*) FROM work_numbered_cell").fetchone()
        for first, last, why in _failing(con, scan, source, table, 1, row[0] if row else 0):
            cells = f"SELECT kato, period_id, {literal(why)} AS why FROM work_numbered_cell WHERE number BETWEEN {first} AND {last}"
            note_failed(con, one, cells)
    return names


def note_failed(con: duckdb.DuckDBPyConnection, one: Compiled, cells: str) -> None:
    """Put cells in which a KPI fails, a query for kato, period_id and why, into `work_failed_cell`, unless another scan failed there."""
    con.execute(
        f"INSERT INTO work_failed_cell SELECT {literal(one.kpi.code)}, {one.kpi.version}, kato, period_id, why FROM ({cells}) ANTI JOIN "
        f"(FROM work_failed_cell WHERE (kpi_code, version) = ({literal(one.kpi.code)}, {one.kpi.version})) USING (kato, period_id)"
    )


def _failing(
    con: duckdb.DuckDBPyConnection, scan: Scan, source: str, table: str, first: int, last: int
) -> Iterator[tuple[int, int, str]]:
    """Measure cells numbered `first` to `last`; (first, last, why) of those that fail."""
    if first > last:
        return
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_tried_cell AS SELECT {SCAN_CELL_COLUMNS} FROM work_numbered_cell "
        f"WHERE number BETWEEN {first} AND {last}"
    )
    sql = only_reads(con, scan.sql(source, "work_tried_cell"), scan.table, "work_tried_cell")
    try:
        con.execute(f"INSERT INTO {table} {sql}")
    except DATA_ERRORS as error:
        if first == last or isinstance(error, _NEVER):
            yield first, last, _code(error)
            return
        middle = (first + last) // 2
        yield from _failing(con, scan, source, table, first, middle)
        yield from _failing(con, scan, source, table, middle + 1, last)


def _code(error: duckdb.Error) -> str:
    """The message that names the kind of an error, by the words DuckDB begins its text with: Out of Range Error."""
    kind = str(error).partition(":")[0].strip().lower().removesuffix(" error").replace(" ", "_")
    code = f"reason.failure.{kind}"
    return code if code in catalogue() else "reason.failure.other"


def part_type(one: Compiled, measure: str) -> str:
    """The type a measure of a KPI has in the table of its scan: the values next to a quantile are doubles."""
    if measure == one.sample.column:
        return "BIGINT"
    return "DOUBLE" if one.kpi.kind is Kind.QUANTILE else EXACT
