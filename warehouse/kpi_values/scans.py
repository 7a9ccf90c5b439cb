"""Measuring: the compiled scans run over the showcase and give every due cell its numerator, denominator and sample.

KPIs over one table, row time and grain share a scan. Does not belong here: the SQL of a scan (kpi_definitions/compiler.py), and
finding the cells in which a scan fails (failures.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from itertools import count

import duckdb

from kpi_definitions.compiler import Compiled, Output, compile_kpi, fuse
from kpi_definitions.model import Kind, Kpi
from kpi_definitions.scans import Scan, TimeRule
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.failures import DATA_ERRORS, SCAN, SCAN_CELL_COLUMNS, measure_alone
from warehouse.sql import literal
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.value_formula import VALUE, top
from warehouse.tables.working_tables import create


def run_scans(computation: Computation) -> None:
    """Fill `work_cell_parts`, and `work_failed_cell` with the cells that could not be measured; note the SQL that ran by KPI.

    Raises EngineError if another engine measures, and does not as it must.
    """
    con, compiled, elsewhere = computation.store.con, computation.compiled, computation.elsewhere
    create(con, "work_cell_parts", "work_failed_cell")
    numbers = count()
    tables: dict[tuple[Scan, str, int], str] = {}
    scans = fuse(compiled)
    for scan in scans:
        users = [(one, own) for one in compiled for own in one.scans if own.key == scan.key]
        choose_cells(computation.store, [one.kpi.code for one, _ in users])
        table = f"{SCAN}_{next(numbers)}"
        tables |= dict.fromkeys(((own, one.kpi.code, one.kpi.version) for one, own in users), table)
        if elsewhere is not None:
            sql = elsewhere.measure(computation.store, scan, users, table, computation.known_seq)
        else:
            source = _without_other_months(con, scan, as_of(scan.table, computation.seq))
            sql = only_reads(con, scan.sql(source, "work_scan_cell"), scan.table, "work_scan_cell")
            try:
                con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}")
            except DATA_ERRORS:  # measured alone, only the KPI at fault fails; the others keep their numbers
                tables |= measure_alone(con, users, source, numbers)
        for one, _ in users:
            earlier = computation.sql.get(one.kpi.code)
            computation.sql[one.kpi.code] = "\n\n".join(filter(None, (earlier, sql)))
    if elsewhere is not None:
        elsewhere.refuse_moved(scans)
    con.execute("INSERT INTO work_cell_parts " + " UNION ALL ".join(_parts(one, tables) for one in compiled))


def choose_cells(store: Store, codes: Iterable[str]) -> None:
    """Make `work_scan_cell`: settlements and periods of the due cells of these KPIs, as scans take them."""
    store.con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_scan_cell AS SELECT DISTINCT {SCAN_CELL_COLUMNS} FROM work_due_cell "
        f"WHERE kpi_code IN ({', '.join(map(literal, codes))})"
    )


def _without_other_months(con: duckdb.DuckDBPyConnection, scan: Scan, source: str) -> str:
    """The source of a scan over events cut to the days of the chosen cells: a plain range lets DuckDB skip whole blocks."""
    if scan.time.rule is not TimeRule.EVENT:
        return source
    days = con.execute("SELECT min(period_start), max(period_end) FROM work_scan_cell").fetchone()
    if days is None or days[0] is None:
        return source
    column = f'"{scan.time.column}"'
    return f"(SELECT * FROM {source} WHERE {column} >= TIMESTAMP '{days[0]}' AND {column} < TIMESTAMP '{days[1]}')"


def _parts(one: Compiled, tables: Mapping[tuple[Scan, str, int], str]) -> str:
    """SQL for the parts of a KPI's due cells, put together from the tables of its scans."""
    found = {scan: tables[scan, one.kpi.code, one.kpi.version] for scan in one.scans}
    alias = {table: f"scan{number}" for number, table in enumerate(dict.fromkeys(found.values()))}

    def column(output: Output) -> str:
        return f"{alias[found[output.scan]]}.{output.column}"

    above, bottom, sample = top(one, column), column(one.denominator), column(one.sample)
    joins = " ".join(
        f"LEFT JOIN {table} AS {name} ON (cell.kato, cell.period_id) = ({name}.kato, {name}.period_id)"
        for table, name in alias.items()
    )
    exact = f"CAST({above} AS DECIMAL(38,6)), CAST({bottom} AS DECIMAL(38,6))"
    if one.kpi.kind is Kind.QUANTILE:  # it has no parts that could be summed
        exact = "NULL, NULL"
    return (
        f"SELECT cell.kpi_code, cell.version, cell.kato, cell.period_id, {above}, {exact}, coalesce({sample}, 0) "
        f"FROM work_due_cell AS cell {joins} WHERE cell.kpi_code = {literal(one.kpi.code)} AND cell.version = {one.kpi.version}"
    )


def evaluate(
    store: Store, kpi: Kpi, kato: str, start: dt.date, end: dt.date, label: str, seq: int | None = None
) -> tuple[object, ...]:
    """One KPI over any window, from the warehouse as of a sequence, without writing: (value, numerator, denominator, sample)."""
    one = compile_kpi(kpi, store.columns())
    cells = window(kato, start, end, label)
    found: dict[str, object] = {}
    for scan in one.scans:
        sql = scan.sql(as_of(scan.table, seq), cells, any_window=True)
        cursor = store.con.execute(only_reads(store.con, sql, scan.table))
        row = cursor.fetchone()
        if row:
            found |= dict(zip([d[0] for d in cursor.description or ()], row, strict=True))
    n, d, s = (found.get(output.column) for output in one.outputs)
    if one.upper is not None:
        known = {output.column: found.get(output.column) for output in (one.numerator, one.upper, one.sample)}
        n = store.con.execute(f"SELECT {top(one, lambda o: f'CAST(${o.column} AS DOUBLE)')}", known).fetchall()[0][0]
    if n is None and d is not None and kpi.kind not in (Kind.MEAN, Kind.QUANTILE):
        n = 0  # nothing counted, over a figure that is there: as a computation writes it
    row = store.con.execute(
        f"SELECT {VALUE} FROM (SELECT CAST(? AS DOUBLE) AS n, CAST(? AS DOUBLE) AS d, CAST(? AS BIGINT) AS s, "
        f"{kpi.scale} AS scale, '{kpi.kind}' AS kind)",
        [n, d, s],
    ).fetchone()
    single = kpi.kind is Kind.QUANTILE
    return (row[0] if row else None, None if single else n, None if single else d, s or 0)


def window(kato: str, start: dt.date, end: dt.date, label: str) -> str:
    """A relation with one cell: a settlement and any run of days from `start` to before `end`, as scans take it."""
    return (
        f"(SELECT {literal(kato)} AS kato, {literal(label)} AS period_id, TIMESTAMP '{start}' AS period_start, "
        f"TIMESTAMP '{end}' AS period_end, DATE '{end}' AS period_end_population_date)"
    )
