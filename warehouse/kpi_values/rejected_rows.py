"""Rows that did not get through the gate, as far as they concern what is computed: rejected rows, and rows loaded with a cell left empty.

A rejected row falls into a cell by the KPI's own row time where that can be read (audit.rejected_row.moments); where it cannot, it may fall
into any cell of its delivery's days and counts in each. A row with a cell left empty is in the showcase, and falls where it falls.
Does not belong here: what the value may be because of them (bounds.py).
"""

from __future__ import annotations

from kpi_definitions.compiler import Compiled, sources_of
from kpi_definitions.model import Kind
from kpi_definitions.scans import GRAIN_UNIT, Measure, Scan, TimeRule
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.scans import choose_cells
from warehouse.sql import literal, statement
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.rules import DAYS, DUPLICATE
from warehouse.tables.working_tables import create

# rules by which a row belongs to another delivery, which has it or is missing itself; and by which it is there already
ELSEWHERE = (DAYS, DUPLICATE)
_SCOPE = "(rejected.scope = settlement.kato OR rejected.scope = 'KZ' OR rejected.scope = settlement.kato2)"
# a row that names another settlement than its delivery's only one may be that one's; in the file of a region it is not any other's
_CONCERNS = (
    f"{_SCOPE} AND (rejected.kato = settlement.kato OR length(rejected.scope) = 9 OR rejected.kato IS NULL "
    "OR NOT regexp_full_match(rejected.kato, '[0-9]{9}'))"
)


def find_lost_rows(computation: Computation) -> bool:
    """Fill `work_lost_rows`: per due cell and rule, the rows rejected and the rows with a gap that a KPI reads. Returns whether there are any."""
    store, con = computation.store, computation.store.con
    create(con, "work_lost_rows")
    con.execute(statement(__file__, "work_rejected_row", elsewhere=", ".join(map(literal, ELSEWHERE))))
    gaps = dict(
        con.execute("SELECT table_name, count(column_name) FROM work_rejected_row GROUP BY table_name").fetchall()
    )
    if not gaps:
        return False
    create(con, "work_rejected_in_cell")
    concerned = [(one, scan) for one in computation.compiled for scan in one.scans if scan.table in gaps]
    for scan in {scan.key: scan for _, scan in concerned}.values():
        choose_cells(store, [one.kpi.code for one, own in concerned if own.key == scan.key])
        con.execute(_rejected_in_cells(scan))
    for one, scan in concerned:
        other = scan != one.numerator.scan
        con.execute(f"""INSERT INTO work_lost_rows
SELECT cell.kpi_code, cell.version, cell.kato, cell.period_id, {other}, rejected.rule, rejected.rows, 0, 0, 0, 0
FROM work_due_cell AS cell JOIN work_rejected_in_cell AS rejected
    ON rejected.scan_key = {literal(scan.key)} AND (rejected.kato, rejected.period_id) = (cell.kato, cell.period_id)
WHERE cell.kpi_code = {literal(one.kpi.code)} AND cell.version = {one.kpi.version}""")
        if gaps[scan.table]:
            _find_gaps(store, one, scan, computation.seq, other=other)
    row = con.execute("SELECT count(*) FROM work_lost_rows").fetchone()
    return bool(row and row[0])


def _columns_that_place(scan: Scan) -> tuple[str, ...]:
    """The columns without which a row falls nowhere: the end of a thing that exists may be empty."""
    return (scan.time.column,)


def moment(column: str) -> str:
    """SQL for the day of a rejected row by one of its columns; NULL if it cannot be read, or is itself what was wrong with the row."""
    path = literal(f'$."{column}"')
    return (
        f"CASE WHEN NOT starts_with(rejected.rule, {literal(column + '.')}) "
        f"THEN CAST(TRY_CAST(rejected.moments->>{path} AS TIMESTAMP) AS DATE) END"
    )


def _falls(rule: TimeRule) -> str:
    """SQL condition on which a rejected row falls into a cell; where its day cannot be read, the days of its delivery decide."""
    if rule is TimeRule.EVENT:
        return (
            "CASE WHEN rejected.day IS NULL THEN rejected.period_start < cell.period_end AND rejected.period_end > cell.period_start "
            "ELSE rejected.day >= cell.period_start AND rejected.day < cell.period_end END"
        )
    if rule is TimeRule.AS_OF:
        on = "cell.period_end_population_date"
        return f"CASE WHEN rejected.day IS NULL THEN rejected.period_start <= {on} AND rejected.period_end >= {on} ELSE rejected.day = {on} END"
    listed = "rejected.listed = cell.period_end_population_date"
    if rule is TimeRule.LISTED:
        inside = "rejected.day >= cell.period_start AND rejected.day < cell.period_end"
        return f"{listed} AND (rejected.day IS NULL OR {inside})"
    return (
        f"{listed} AND (rejected.day IS NULL OR rejected.day < cell.period_end) "
        "AND (rejected.ended IS NULL OR rejected.ended >= cell.period_end)"
    )


def _rejected_in_cells(scan: Scan) -> str:
    """SQL that inserts how many rows of each rule may fall into each chosen cell."""
    first = scan.time.column
    last = scan.time.until if scan.time.rule is TimeRule.STOCK and scan.time.until else first
    placing = ", ".join(map(literal, _columns_that_place(scan)))
    return f"""INSERT INTO work_rejected_in_cell
WITH grouped AS (
    SELECT rejected.scope, rejected.kato, rejected.period_start, rejected.period_end, rejected.rule, {moment(first)} AS day, {moment(last)} AS ended,
           coalesce({moment("snapshot_date")}, rejected.period_end) AS listed, count(*) AS rows
    FROM work_rejected_row AS rejected
    WHERE rejected.table_name = {literal(scan.table)} AND NOT rejected.replaced
        AND (rejected.column_name IS NULL OR rejected.column_name IN ({placing}))
    GROUP BY ALL)
SELECT {literal(scan.key)}, cell.kato, cell.period_id, rejected.rule, sum(rejected.rows)
FROM grouped AS rejected JOIN registry.settlement AS settlement ON {_CONCERNS}
JOIN work_scan_cell AS cell ON cell.kato = settlement.kato AND {_falls(scan.time.rule)} GROUP BY ALL"""


def _find_gaps(store: Store, one: Compiled, scan: Scan, seq: int | None, *, other: bool) -> None:
    """Rows of a scan of which a cell that the KPI reads was left empty, with what they bring its parts as they are.

    They are found by delivery and record: a row that was put right since is another one.
    """
    con = store.con
    reads = sorted({s.column for s in sources_of(one.kpi) if s.table == scan.table} - set(_columns_that_place(scan)))
    columns = ", ".join(map(literal, reads)) or "NULL"
    con.execute(statement(__file__, "work_row_with_gap", table_name=literal(scan.table), columns=columns))
    row = con.execute("SELECT count(*) FROM work_row_with_gap").fetchone()
    if not row or not row[0]:
        return
    choose_cells(store, [one.kpi.code])
    source = (
        f"(SELECT r.*, g.gap_rules FROM {as_of(scan.table, seq)} AS r JOIN work_row_with_gap AS g "
        "ON r.delivery_id = g.delivery_id AND r.row_no = g.row_no)"
    )
    counted = Scan(scan.table, scan.time, scan.grain, (*scan.measures, Measure("rows_found", "count(*)")))
    sql = counted.sql(source, "work_scan_cell", by="c.kato, c.period_id, t.gap_rules")
    only_reads(con, sql, scan.table, "work_scan_cell", "work_row_with_gap")
    single = one.kpi.kind is Kind.QUANTILE
    top, bottom, sample = (
        f"coalesce(gap.{output.column}, 0)" if output.scan == scan and not (single and number == 0) else "0"
        for number, output in enumerate(one.outputs)
    )
    con.execute(f"""INSERT INTO work_lost_rows
SELECT cell.kpi_code, cell.version, cell.kato, cell.period_id, {other}, gap.gap_rules, 0, gap.rows_found, {top}, {bottom}, {sample}
FROM work_due_cell AS cell JOIN ({sql}) AS gap ON (gap.kato, gap.period_id) = (cell.kato, cell.period_id)
WHERE cell.kpi_code = {literal(one.kpi.code)} AND cell.version = {one.kpi.version}""")


def changed_days_of_rejected_rows(scan: Scan, since: int) -> str | None:
    """SQL that inserts into `work_changed_day` the settlements and days of rejected rows that came, or were replaced, after a sequence.

    Rows without a day lie in the days of their delivery, which are due anyway; so is what a register holds (None).
    """
    if scan.time.by_register:
        return None
    day = moment(scan.time.column)
    if scan.time.rule is TimeRule.EVENT:
        day = f"CAST(date_trunc('{GRAIN_UNIT[scan.grain]}', {day}) AS DATE)"
    return statement(
        __file__,
        "work_changed_day__rejected_rows",
        key=literal(scan.key),
        date_read=day,
        table_name=literal(scan.table),
        concerns=_CONCERNS,
        since=str(since),
    )
