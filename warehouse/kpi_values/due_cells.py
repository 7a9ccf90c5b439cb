"""Which cells a computation is asked for. A cell is one KPI, one settlement, one period.

Asked for are the periods that close in the given months, and of what was computed before only the cells whose ground has moved
since: changed rows, new or refused deliveries, incidents opened or closed, a new definition in force, a late-data window that has closed.
What changed is read off the ledger sequences in the tables themselves.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import GRAIN_UNIT, Compiled, Scan, TimeRule
from warehouse.kpi_values.rejected_rows import moved
from warehouse.periods import closing_in
from warehouse.sql import literal, quoted
from warehouse.store.store import Store

TARGETS = "fct_kpi_target"  # item 11: whether the bounds of a value lie on both sides of one
REGISTER = "dim_information_system"  # items 12 and 13: which systems exist, and since when they are integrated
CELL = "(kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, period_start TIMESTAMP, period_end TIMESTAMP, period_end_population_date DATE)"

# former values, and whether they are asked for whatever happened to the data
_FORMER = """CREATE OR REPLACE TEMP TABLE former AS
SELECT w.kpi_code, w.version, w.last, v.kato, v.state, p.id AS period_id, p.period_start, p.period_end,
       v.rejected_rows + v.gap_rows > 0 AS bounded, v.definition_hash <> w.hash OR v.obs_status = 'P' AND p.period_end + w.late_days <= DATE {today} AS due
FROM wanted w JOIN kpi.value v USING (kpi_code)
JOIN registry.period p ON p.id = v.period_id AND p.grain = w.grain AND p.period_start >= w.starts AND p.period_start < w.ends
WHERE v.valid_to_seq IS NULL AND w.last IS NOT NULL"""
# deliveries decided on, and those of incidents opened or closed: which table, settlement and days, and when
_DECIDED = """CREATE OR REPLACE TEMP TABLE decided AS
SELECT d.table_name, s.kato, d.period_start, d.period_end, max(seq) AS seq
FROM (SELECT delivery_id, loaded_seq AS seq FROM audit.delivery WHERE loaded_seq > {since}
      UNION ALL SELECT delivery_id, opened_seq FROM audit.incident WHERE opened_seq > {since}
      UNION ALL SELECT delivery_id, closed_seq FROM audit.incident WHERE closed_seq > {since}) n
JOIN audit.delivery d USING (delivery_id) LEFT JOIN registry.settlement s ON d.scope = s.kato OR d.scope = 'KZ' OR d.scope = s.kato2
GROUP BY ALL"""
_ASKED = f"""INSERT INTO cell
SELECT DISTINCT kpi_code, version, kato, period_id, period_start, period_end, period_end FROM (
    SELECT w.kpi_code, w.version, s.kato, p.id AS period_id, p.period_start, p.period_end
    FROM wanted w JOIN due_period c USING (grain) JOIN registry.period p ON p.id = c.period_id AND p.period_start >= w.starts AND p.period_start < w.ends
    CROSS JOIN registry.settlement s
    UNION ALL SELECT kpi_code, version, kato, period_id, period_start, period_end FROM former WHERE due
    UNION ALL SELECT f.kpi_code, f.version, f.kato, f.period_id, f.period_start, f.period_end FROM former f JOIN reads r USING (kpi_code, version)
    JOIN touched t ON t.place = r.place AND t.kato = f.kato AND t.day = CASE WHEN r.event THEN f.period_start ELSE f.period_end END AND t.seq > f.last
    UNION ALL SELECT f.kpi_code, f.version, f.kato, f.period_id, f.period_start, f.period_end FROM former f JOIN reads r USING (kpi_code, version)
    JOIN decided d ON d.table_name = r.table_name AND d.kato = f.kato AND d.period_start < f.period_end AND d.period_end > f.period_start AND d.seq > f.last
    UNION ALL SELECT f.kpi_code, f.version, f.kato, f.period_id, f.period_start, f.period_end FROM former f
    JOIN touched t ON t.place = {literal(TARGETS)} AND t.kato = f.kato AND year(t.day) = year(f.period_start) AND t.seq > f.last WHERE f.bounded
    UNION ALL SELECT f.kpi_code, f.version, f.kato, f.period_id, f.period_start, f.period_end FROM former f
    JOIN touched t ON t.place = {literal(REGISTER)} AND t.kato = f.kato AND t.seq > f.last WHERE f.state = 'not calculable')
ORDER BY ALL"""


def ask(store: Store, catalogue: Catalogues, compiled: Sequence[Compiled], months: Sequence[str], today: dt.date) -> None:  # fmt: skip
    """Make the temporary table `cell` of what is to be computed. `today` decides whether a late-data window is still open."""
    con = store.con
    last = dict(con.execute("SELECT kpi_code, max(as_of_seq) FROM kpi.computation GROUP BY 1").fetchall())
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE cell {CELL}; "
        "CREATE OR REPLACE TEMP TABLE wanted (kpi_code VARCHAR, version INTEGER, grain VARCHAR, starts DATE, ends DATE, "
        "late_days INTEGER, hash VARCHAR, last BIGINT); "
        "CREATE OR REPLACE TEMP TABLE due_period (grain VARCHAR, period_id VARCHAR); "
        "CREATE OR REPLACE TEMP TABLE reads (kpi_code VARCHAR, version INTEGER, table_name VARCHAR, place VARCHAR, event BOOLEAN); "
        "CREATE OR REPLACE TEMP TABLE touched (place VARCHAR, kato VARCHAR, day DATE, seq BIGINT)"
    )
    store.insert("wanted", ["kpi_code", "version", "grain", "starts", "ends", "late_days", "hash", "last"], [
        (c.kpi.code, c.kpi.version, str(c.kpi.period), *catalogue.effect(c.kpi), c.kpi.late_data_days, c.fingerprint, last.get(c.kpi.code))
        for c in compiled])  # fmt: skip
    grains = sorted({c.kpi.period for c in compiled})
    store.insert("due_period", ["grain", "period_id"], [(str(g), p.id) for g in grains for p in closing_in(tuple(months), g)])  # fmt: skip
    scans = {scan.key: scan for c in compiled for scan in c.scans}
    store.insert("reads", ["kpi_code", "version", "table_name", "place", "event"], [
        (c.kpi.code, c.kpi.version, scan.table, scan.key, scan.time.rule is TimeRule.EVENT) for c in compiled for scan in c.scans])  # fmt: skip
    con.execute(_FORMER.format(today=literal(today.isoformat())))
    since = min((seq for c in compiled if (seq := last.get(c.kpi.code)) is not None), default=store.last_seq)
    con.execute(_DECIDED.format(since=since))
    # rows come and go with the decision on a delivery of their table: one without a newer decision is as it was
    newer = {name for (name,) in con.execute("SELECT DISTINCT table_name FROM decided").fetchall()}
    for place, scan in scans.items():
        if scan.table in newer:
            con.execute(_touched(place, scan, since))
            if lost := moved(place, scan, since):
                con.execute(lost)
    if REGISTER in newer:
        con.execute(f"""INSERT INTO touched SELECT {literal(REGISTER)}, kato, NULL, max(seq) FROM (
            SELECT kato, valid_from_seq AS seq FROM showcase.{REGISTER} UNION ALL SELECT kato, valid_to_seq FROM history.{REGISTER})
            WHERE seq > {since} GROUP BY kato""")
    if TARGETS in newer:
        con.execute(f"""INSERT INTO touched SELECT {literal(TARGETS)}, kato, make_date(target_year, 1, 1) AS day, max(seq) FROM (
            SELECT kato, target_year, valid_from_seq AS seq FROM showcase.{TARGETS} UNION ALL SELECT kato, target_year, valid_to_seq FROM history.{TARGETS})
            WHERE seq > {since} GROUP BY ALL""")
    con.execute(_ASKED)


def _touched(place: str, scan: Scan, since: int) -> str:
    """Insert the settlements and period keys of rows that came or went after a sequence, and the last one that did."""
    column = "snapshot_date" if scan.time.by_register else quoted(scan.time.column)
    day = (
        f"CAST(date_trunc('{GRAIN_UNIT[scan.grain]}', {column}) AS DATE)"
        if scan.time.rule is TimeRule.EVENT
        else column
    )
    rows = " UNION ALL ".join(f"SELECT kato, {day} AS day, {seq} AS seq FROM {schema}.{scan.table} WHERE {column} IS NOT NULL AND {seq} > {since}"
                              for schema, seq in (("showcase", "valid_from_seq"), ("history", "valid_to_seq")))  # fmt: skip
    if (
        scan.time.rule is TimeRule.AS_OF
    ):  # a figure may stand for days its delivery was not for: incidents reach it through its slice
        rows += f""" UNION ALL SELECT r.kato, {column}, greatest(i.opened_seq, coalesce(i.closed_seq, 0)) FROM showcase.{scan.table} r
JOIN audit.delivery d USING (delivery_id) JOIN audit.incident i
    ON (i.table_name, i.system, i.scope, i.period_id) = (d.table_name, d.system, d.scope, d.period_id)
WHERE i.table_name = {literal(scan.table)} AND greatest(i.opened_seq, coalesce(i.closed_seq, 0)) > {since}"""
    return f"INSERT INTO touched SELECT {literal(place)}, kato, day, max(seq) FROM ({rows}) GROUP BY ALL"
