"""A KPI that fails with certain data fails alone, and in the cells of these data only.

All KPIs over a table share one scan, so an overflow in one of them ends the scan for all. Then each is measured by itself, and one
that fails is asked for half its cells, and half of these, until the cells are found that fail. What is said of them is the kind of
error and no more: its text holds data, and depends on which row came first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from kpi_definitions.compiler import EXACT, Compiled, Scan
from kpi_definitions.model import Kind
from warehouse.isolation.sandbox import only_reads
from warehouse.sql import literal

# what comes of data and expressions; memory, files and interrupts are the run's own troubles
DATA_ERRORS = (duckdb.DataError, duckdb.ProgrammingError)
_NEVER = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)  # it fails whatever the cells
FAILED = "(kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, why VARCHAR)"
ASKED = "kato, period_id, period_start, period_end, period_end_population_date"


def measure_apart(
    con: duckdb.DuckDBPyConnection, users: Sequence[tuple[Compiled, Scan]], source: str, name: str
) -> dict[tuple[Scan, str, int], str]:
    """Measure each KPI by its own scan into a temporary table; cells that fail go to `failed`. Returns the tables' names."""
    names = {}
    for number, (one, scan) in enumerate(users):
        table = f"{name}_{number}"
        names[scan, one.kpi.code, one.kpi.version] = table
        columns = ", ".join(f"{m.name} {_type(one, m.name)}" for m in scan.measures)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (kato VARCHAR, period_id VARCHAR, {columns})")
        mine = f"kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version}"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE own_cell AS SELECT row_number() OVER (ORDER BY kato, period_id) AS n, * "
            f"FROM (SELECT DISTINCT {ASKED} FROM cell WHERE {mine})"
        )
        row = con.execute("SELECT count(*) FROM own_cell").fetchone()
        for first, last, why in _failing(con, scan, source, table, 1, row[0] if row else 0):
            con.execute(
                f"INSERT INTO failed SELECT {literal(one.kpi.code)}, {one.kpi.version}, kato, period_id, {literal(why)} "
                f"FROM own_cell WHERE n BETWEEN {first} AND {last}"
            )
    return names


def _failing(
    con: duckdb.DuckDBPyConnection, scan: Scan, source: str, table: str, first: int, last: int
) -> Iterator[tuple[int, int, str]]:
    """Measure cells numbered `first` to `last`; (first, last, why) of those that fail."""
    if first > last:
        return
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE asked_alone AS SELECT {ASKED} FROM own_cell WHERE n BETWEEN {first} AND {last}"
    )
    sql = only_reads(con, scan.sql(source, "asked_alone"), scan.table, "asked_alone")
    try:
        con.execute(f"INSERT INTO {table} {sql}")
    except DATA_ERRORS as error:
        if first == last or isinstance(error, _NEVER):
            yield first, last, str(error).partition(":")[0].strip()[:80]
            return
        middle = (first + last) // 2
        yield from _failing(con, scan, source, table, first, middle)
        yield from _failing(con, scan, source, table, middle + 1, last)


def _type(one: Compiled, measure: str) -> str:
    """The type a measure of a KPI comes out as."""
    if measure == one.sample.column:
        return "BIGINT"
    return "DOUBLE" if one.kpi.kind is Kind.QUANTILE else EXACT
