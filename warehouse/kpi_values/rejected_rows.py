"""Rows that did not get through the gate, as far as they concern what is computed: those rejected whole, and those loaded with a cell left empty.

A rejected row falls into a cell by the KPI's own time where that can be read (audit.rejected_row.moments); where it cannot, it may fall into
any cell of its delivery's days and counts in each. A row with a cell left empty is in the showcase, and falls where it falls.
Does not belong here: what the value may be because of them (bounds.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kpi_definitions.compiler import GRAIN_UNIT, Compiled, Measure, Scan, TimeRule, sources_of
from kpi_definitions.model import Kind
from warehouse.isolation.sandbox import only_reads
from warehouse.sql import literal
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.assertions_sql import covers
from warehouse.tables.rules import DAYS, DUPLICATE

# rules by which a row belongs to another delivery, which has it or is missing itself; and by which it is there already
ELSEWHERE = (DAYS, DUPLICATE)
_SCOPE = "(f.scope = s.kato OR f.scope = 'KZ' OR f.scope = s.kato2)"
# a row that names another place than its delivery's only settlement may be that one's; in the file of a region it is not any other's
_CONCERNS = f"{_SCOPE} AND (f.kato = s.kato OR length(f.scope) = 9 OR f.kato IS NULL OR NOT regexp_full_match(f.kato, '[0-9]{{9}}'))"


def standing(store: Store, tables: Iterable[str], seq: int) -> None:
    """`stand`: the loaded deliveries of the tables as they were known at a ledger sequence, and whether a later one took their place.

    A delivery is replaced by a later one for the same table, system, territory and days, or for more of them if it tells all there is (adr/0020).
    """
    names = ", ".join(map(literal, sorted(set(tables)))) or "NULL"
    store.con.execute(f"""CREATE OR REPLACE TEMP TABLE stand AS
SELECT delivery_id, table_name, system, scope, period_start, period_end, unmapped, kind, cut_by, order_seq, rejected_rows,
       kind <> 'changes' AND loaded_seq < max(loaded_seq) OVER (PARTITION BY table_name, system, scope, period_start, period_end) AS replaced
FROM audit.delivery WHERE state = 'loaded' AND loaded_seq <= {seq} AND table_name IN ({names})""")
    store.con.execute(f"""UPDATE stand SET replaced = true FROM (
    SELECT d.delivery_id AS old FROM stand d JOIN stand m USING (table_name, system)
    WHERE NOT d.replaced AND (d.rejected_rows > 0 OR d.unmapped IS NOT NULL) AND m.kind = 'complete' AND m.cut_by IS NOT NULL AND m.order_seq > d.order_seq
        AND m.period_start <= d.period_start AND m.period_end >= d.period_end AND {covers("m", "d.scope")})
WHERE delivery_id = old""")


def find(store: Store, compiled: Sequence[Compiled], seq: int | None) -> bool:
    """From `cell` and `stand` to `lost`: by cell and rule the rows rejected and the rows with a gap that a KPI reads. Whether there are any.

    `other`: in a table, or by a date, that only the denominator reads. `gap_n`, `gap_d`, `gap_s`: what the rows with a gap bring numerator,
    denominator and sample as they stand.
    """
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE lost (kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, other BOOLEAN, rule VARCHAR, "
        "rejected BIGINT, gaps BIGINT, gap_n DECIMAL(38,6), gap_d DECIMAL(38,6), gap_s BIGINT)"
    )
    con.execute(f"""CREATE OR REPLACE TEMP TABLE fault AS
SELECT d.table_name, d.scope, d.period_start, d.period_end, d.replaced, x.delivery_id, x.row_no, x.column_name, x.rule, x.kato, x.moments
FROM audit.rejected_row x JOIN stand d USING (delivery_id)
WHERE x.rule NOT IN ({", ".join(map(literal, ELSEWHERE))}) AND (x.column_name IS NOT NULL OR NOT d.replaced)""")
    found = dict(con.execute("SELECT table_name, count(column_name) FROM fault GROUP BY 1").fetchall())
    if not found:
        return False
    con.execute(
        "CREATE OR REPLACE TEMP TABLE strayed (place VARCHAR, kato VARCHAR, period_id VARCHAR, rule VARCHAR, rows BIGINT)"
    )
    places: dict[str, tuple[Scan, list[str]]] = {}
    for one in compiled:
        for scan in one.scans:
            if scan.table in found:
                places.setdefault(scan.key, (scan, []))[1].append(one.kpi.code)
    for place, (scan, codes) in places.items():
        ask_for(store, codes)
        con.execute(_strayed(place, scan))
    for one in compiled:
        for scan in one.scans:
            if scan.table not in found:
                continue
            other = scan != one.numerator.scan
            con.execute(f"""INSERT INTO lost SELECT c.kpi_code, c.version, c.kato, c.period_id, {other}, t.rule, t.rows, 0, 0, 0, 0
FROM cell c JOIN strayed t ON t.place = {literal(scan.key)} AND (t.kato, t.period_id) = (c.kato, c.period_id)
WHERE c.kpi_code = {literal(one.kpi.code)} AND c.version = {one.kpi.version}""")
            if found[scan.table]:
                _gaps(store, one, scan, seq, other=other)
    row = con.execute("SELECT count(*) FROM lost").fetchone()
    return bool(row and row[0])


def ask_for(store: Store, codes: Iterable[str]) -> None:
    """`asked`: settlements and periods of the cells of these KPIs, as scans take them."""
    store.con.execute(
        "CREATE OR REPLACE TEMP TABLE asked AS SELECT DISTINCT kato, period_id, period_start, period_end, period_end_population_date "
        f"FROM cell WHERE kpi_code IN ({', '.join(map(literal, codes))})"
    )


def _placing(scan: Scan) -> tuple[str, ...]:
    """The columns without which a row falls nowhere: the end of a thing that exists may be empty."""
    return (scan.time.column,)


def moment(column: str) -> str:
    """SQL for the day of a rejected row by one of its columns; NULL if it cannot be read, or is itself what was wrong with the row."""
    path = literal(f'$."{column}"')
    return f"CASE WHEN NOT starts_with(f.rule, {literal(column + '.')}) THEN CAST(TRY_CAST(f.moments->>{path} AS TIMESTAMP) AS DATE) END"


def _strayed(place: str, scan: Scan) -> str:
    rule, first = scan.time.rule, scan.time.column
    last = scan.time.until if rule is TimeRule.STOCK and scan.time.until else first
    dropped = ", ".join(map(literal, _placing(scan)))
    if rule is TimeRule.EVENT:
        falls = (
            "CASE WHEN f.day IS NULL THEN f.period_start < c.period_end AND f.period_end > c.period_start "
            "ELSE f.day >= c.period_start AND f.day < c.period_end END"
        )
    elif rule is TimeRule.AS_OF:
        on = "c.period_end_population_date"
        falls = f"CASE WHEN f.day IS NULL THEN f.period_start <= {on} AND f.period_end >= {on} ELSE f.day = {on} END"
    elif rule is TimeRule.LISTED:
        falls = "f.listed = c.period_end_population_date AND (f.day IS NULL OR f.day >= c.period_start AND f.day < c.period_end)"
    else:
        falls = (
            "f.listed = c.period_end_population_date AND (f.day IS NULL OR f.day < c.period_end) "
            "AND (f.ended IS NULL OR f.ended >= c.period_end)"
        )
    return f"""INSERT INTO strayed
WITH grouped AS (
    SELECT f.scope, f.kato, f.period_start, f.period_end, f.rule, {moment(first)} AS day, {moment(last)} AS ended,
           coalesce({moment("snapshot_date")}, f.period_end) AS listed, count(*) AS rows
    FROM fault f WHERE f.table_name = {literal(scan.table)} AND NOT f.replaced AND (f.column_name IS NULL OR f.column_name IN ({dropped})) GROUP BY ALL)
SELECT {literal(place)}, c.kato, c.period_id, f.rule, sum(f.rows)
FROM grouped f JOIN registry.settlement s ON {_CONCERNS} JOIN asked c ON c.kato = s.kato AND {falls} GROUP BY ALL"""


def _gaps(store: Store, one: Compiled, scan: Scan, seq: int | None, *, other: bool) -> None:
    """Rows of a scan of which a cell that the KPI reads was left empty, with what they bring its parts as they stand.

    They are found by delivery and record: a row that was put right since is another one.
    """
    con = store.con
    reads = sorted({s.column for s in sources_of(one.kpi) if s.table == scan.table} - set(_placing(scan)))
    con.execute(f"""CREATE OR REPLACE TEMP TABLE gap AS
SELECT delivery_id, row_no, string_agg(DISTINCT rule, ', ' ORDER BY rule) AS fault_rules FROM fault
WHERE table_name = {literal(scan.table)} AND column_name IN ({", ".join(map(literal, reads)) or "NULL"}) GROUP BY ALL""")
    row = con.execute("SELECT count(*) FROM gap").fetchone()
    if not row or not row[0]:
        return
    ask_for(store, [one.kpi.code])
    source = (
        f"(SELECT r.*, g.fault_rules FROM {as_of(scan.table, seq)} AS r JOIN gap AS g "
        "ON r.delivery_id = g.delivery_id AND r.row_no = g.row_no)"
    )
    counted = Scan(scan.table, scan.time, scan.grain, (*scan.measures, Measure("rows_found", "count(*)")))
    sql = only_reads(
        con, counted.sql(source, "asked", by="c.kato, c.period_id, t.fault_rules"), scan.table, "asked", "gap"
    )
    single = one.kpi.kind is Kind.QUANTILE
    top, bottom, sampled = (
        f"coalesce(q.{output.column}, 0)" if output.scan == scan and not (single and number == 0) else "0"
        for number, output in enumerate(one.outputs)
    )
    con.execute(f"""INSERT INTO lost SELECT c.kpi_code, c.version, c.kato, c.period_id, {other}, q.fault_rules, 0, q.rows_found, {top}, {bottom}, {sampled}
FROM cell c JOIN ({sql}) q ON (q.kato, q.period_id) = (c.kato, c.period_id)
WHERE c.kpi_code = {literal(one.kpi.code)} AND c.version = {one.kpi.version}""")


def moved(place: str, scan: Scan, since: int) -> str | None:
    """Insert into `touched` the settlements and days of rejected rows that came, or no longer stand, with a decision after a sequence.

    Those without a day lie in the days of their delivery, which is asked for anyway; so is what a register holds.
    """
    if scan.time.by_register:
        return None
    day = moment(scan.time.column)
    if scan.time.rule is TimeRule.EVENT:
        day = f"CAST(date_trunc('{GRAIN_UNIT[scan.grain]}', {day}) AS DATE)"
    return f"""INSERT INTO touched
SELECT {literal(place)}, s.kato, {day} AS day, max(n.seq)
FROM (SELECT system, scope, period_start, period_end, max(loaded_seq) AS seq FROM audit.delivery
      WHERE state = 'loaded' AND table_name = {literal(scan.table)} AND loaded_seq > {since} GROUP BY ALL) n
JOIN audit.delivery d ON d.table_name = {literal(scan.table)} AND d.state = 'loaded'
    AND (d.system, d.scope, d.period_start, d.period_end) = (n.system, n.scope, n.period_start, n.period_end)
JOIN (SELECT r.*, d.scope FROM audit.rejected_row r JOIN audit.delivery d USING (delivery_id)
      WHERE r.column_name IS NULL AND r.moments IS NOT NULL AND d.table_name = {literal(scan.table)}) f ON f.delivery_id = d.delivery_id
JOIN registry.settlement s ON {_CONCERNS} GROUP BY ALL HAVING day IS NOT NULL"""
