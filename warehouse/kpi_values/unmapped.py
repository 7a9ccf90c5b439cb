"""Cells over columns that the contract of a delivery does not map: what a source does not deliver is unknown, not zero.

Which columns these are is known before any row is read, and kept with the delivery (audit.delivery.unmapped). A KPI is not calculable for a
cell if it reads such a column of a standing delivery for the cell's months, or of one that brought a row of the cell: the simplest rule
that is never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpi_definitions.compiler import Compiled, Scan, columns_of
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.rejected_rows import ask_for
from warehouse.sql import literal
from warehouse.store.history import as_of
from warehouse.store.store import Store


def find(store: Store, compiled: Sequence[Compiled], seq: int | None) -> None:
    """From `cell`, `need`, `within` and `stand` to `lacking`: by cell, which system does not deliver which columns."""
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE lack (kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, lacks VARCHAR)"
    )
    without = {
        str(column): table
        for table, column in con.execute(
            "SELECT DISTINCT table_name, table_name || '.' || unnest(string_split(unmapped, ',')) FROM stand WHERE NOT replaced AND unmapped IS NOT NULL"
        ).fetchall()
    }
    for one in compiled if without else ():
        read = [(t, c) for t, c in columns_of(one.kpi) if f"{t}.{c}" in without]
        if read:
            _of_deliveries(store, one, read)
            for scan in one.scans:
                if any(t == scan.table for t, _ in read):
                    _of_rows(store, one, scan, seq)
    con.execute("""CREATE OR REPLACE TEMP TABLE lacking AS
SELECT kpi_code, version, kato, period_id, string_agg(DISTINCT lacks, '; ' ORDER BY lacks) AS lacking FROM lack GROUP BY ALL""")


def _of_deliveries(store: Store, one: Compiled, read: Sequence[tuple[str, str]]) -> None:
    """`short`: standing deliveries that lack a column the KPI reads; and the cells for whose months they are."""
    wanted = ", ".join(f"({literal(t)}, {literal(c)})" for t, c in read)
    mine = f"c.kpi_code = {literal(one.kpi.code)} AND c.version = {one.kpi.version}"
    store.con.execute(f"""CREATE OR REPLACE TEMP TABLE short AS
SELECT d.*, 'system ' || d.system || ' does not deliver ' || d.columns AS lacks FROM (
    SELECT s.delivery_id, s.table_name, s.system, s.scope, s.period_start, s.period_end,
           string_agg(s.table_name || '.' || s.column_name, ', ' ORDER BY s.column_name) AS columns
    FROM (SELECT *, unnest(string_split(unmapped, ',')) AS column_name FROM stand WHERE NOT replaced AND unmapped IS NOT NULL) s
    WHERE (s.table_name, s.column_name) IN (VALUES {wanted}) GROUP BY ALL) d""")
    store.con.execute(f"""INSERT INTO lack
SELECT DISTINCT c.kpi_code, c.version, c.kato, c.period_id, d.lacks
FROM cell c JOIN need n USING (kpi_code, version) JOIN within m ON m.period_id = c.period_id AND (m.closing OR n.wanted = 'every')
JOIN registry.period p ON p.id = m.month JOIN registry.settlement s ON s.kato = c.kato
JOIN short d ON d.table_name = n.table_name AND d.period_start <= p.period_start AND d.period_end >= p.period_end
    AND (d.scope = s.kato OR d.scope = 'KZ' OR d.scope = s.kato2)
WHERE {mine} AND n.wanted <> 'lookup'""")


def _of_rows(store: Store, one: Compiled, scan: Scan, seq: int | None) -> None:
    """Cells with rows of such deliveries, whatever months these were for."""
    con = store.con
    ask_for(store, [one.kpi.code])
    source = (
        f"(SELECT r.*, g.lacks FROM {as_of(scan.table, seq)} AS r JOIN short AS g ON r.delivery_id = g.delivery_id)"
    )
    counted = scan.counting("rows_found")
    sql = only_reads(con, counted.sql(source, "asked", by="c.kato, c.period_id, t.lacks"), scan.table, "asked", "short")
    con.execute(f"""INSERT INTO lack SELECT c.kpi_code, c.version, c.kato, c.period_id, q.lacks
FROM cell c JOIN ({sql}) q ON (q.kato, q.period_id) = (c.kato, c.period_id)
WHERE c.kpi_code = {literal(one.kpi.code)} AND c.version = {one.kpi.version}""")
