"""KPI values of regions, item 7 groups and the country, and of whole years, from the settlements' published cells.

Numerators and denominators are summed; quantiles are computed again from the events; values are never averaged. Over a year,
events of its periods are put together, of a register the state at the year's end counts. Only what lies above a changed
cell is worked out again, in the transaction that writes the cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpi_definitions.compiler import Compiled, TimeRule
from kpi_definitions.model import Kind
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values import bounds, suppression
from warehouse.sql import literal
from warehouse.store.history import as_of, held
from warehouse.store.store import Store

SAME = (
    "value",
    "value_low",
    "value_high",
    "rejected_rows",
    "gap_rows",
    "numerator",
    "denominator",
    "sample_size",
    "counted",
    "applicable",
    "state",
    "obs_status",
    "reason",
    "definition_version",
)


def roll_up(store: Store, compiled: Sequence[Compiled], value: str, head: int) -> tuple[int, int]:
    """Write `kpi.rollup` above the cells of `news`, with the sequences of `done`. Inside the caller's transaction.

    Returns how many were written, and how many of them restate others.
    """
    con = store.con
    lay_out(store, compiled)
    con.execute("""CREATE OR REPLACE TEMP TABLE target AS
SELECT DISTINCT n.kpi_code, a.area_kind, a.area, p.id AS period_id, p.period_start, p.period_end, false AS longer
FROM news n JOIN area a USING (kato) JOIN registry.period p ON p.id = n.period_id WHERE a.area_kind <> 'settlement'
UNION ALL
SELECT DISTINCT n.kpi_code, a.area_kind, a.area, t.id, t.period_start, t.period_end, true
FROM news n JOIN way w USING (kpi_code) JOIN area a USING (kato) JOIN registry.period t ON t.id = n.period_id[:4]
WHERE w.grain <> 'A' AND w.over_time <> 'none'""")
    sum_up(store, compiled, value)
    same = " AND ".join(f"v.{c} IS NOT DISTINCT FROM f.{c}" for c in SAME)
    con.execute(f"""CREATE OR REPLACE TEMP TABLE rolled_news AS SELECT f.* FROM rolled f
ANTI JOIN kpi.rollup v ON (v.kpi_code, v.area_kind, v.area, v.period_id) = (f.kpi_code, f.area_kind, f.area, f.period_id)
    AND v.valid_to_seq IS NULL AND {same}""")
    restated = con.execute("""UPDATE kpi.rollup v SET valid_to_seq = d.seq FROM rolled_news n JOIN done d USING (kpi_code)
WHERE v.valid_to_seq IS NULL AND (v.kpi_code, v.area_kind, v.area, v.period_id) = (n.kpi_code, n.area_kind, n.area, n.period_id)""").fetchall()
    written = con.execute(f"""INSERT INTO kpi.rollup BY NAME SELECT n.*, {head} AS as_of_seq, d.seq AS valid_from_seq, CAST(NULL AS BIGINT) AS valid_to_seq
FROM rolled_news n JOIN done d USING (kpi_code) ORDER BY ALL""").fetchall()
    return written[0][0], restated[0][0]


def lay_out(store: Store, compiled: Sequence[Compiled]) -> None:
    """`way`: how each KPI adds up over time; `area`: which settlements make which territory."""
    con = store.con
    con.execute("CREATE OR REPLACE TEMP TABLE way (kpi_code VARCHAR, over_time VARCHAR, grain VARCHAR)")
    ways = sorted({(c.kpi.code, over_time(c), str(c.kpi.period)) for c in compiled})
    store.insert("way", ["kpi_code", "over_time", "grain"], ways)
    con.execute("""CREATE OR REPLACE TEMP TABLE area AS
SELECT kato, 'region' AS area_kind, region_kato AS area FROM registry.settlement UNION ALL
SELECT kato, 'group', item7_group FROM registry.settlement UNION ALL SELECT kato, 'country', 'KZ' FROM registry.settlement UNION ALL
SELECT kato, 'settlement', kato FROM registry.settlement""")


def sum_up(
    store: Store, compiled: Sequence[Compiled], value: str, values_seq: int | None = None, rows_seq: int | None = None
) -> None:
    """From the territories and periods of `target` to `rolled`, by values and rows as they held at sequences; None: as they hold."""
    con, values = store.con, f"(SELECT * FROM kpi.value WHERE {held(values_seq)})"
    suppression.neighbours(store, values)
    # periods by equality: a join over ranges of days would be the slowest part of a run
    con.execute("""CREATE OR REPLACE TEMP TABLE span AS
SELECT t.period_id, p.grain, p.id AS own_period, p.period_start, p.period_end, p.period_end = t.period_end AS closing
FROM (SELECT DISTINCT period_id, period_end, longer FROM target) t JOIN registry.period p
    ON CASE WHEN t.longer THEN p.grain <> 'A' AND p.id[:4] = t.period_id ELSE p.id = t.period_id END""")
    # members name their target by its row: its four texts would be copied into six times as many rows, and these be grouped by them
    con.execute(f"""CREATE OR REPLACE TEMP TABLE member AS
SELECT t.rowid AS target, v.kato, s.own_period, s.period_start, s.period_end, s.period_end AS period_end_population_date,
       v.obs_status IN ('A', 'P', 'U', 'B', 'Q') AS counts, v.obs_status, v.numerator, v.denominator, v.sample_size, v.definition_version,
       v.rejected_rows, v.gap_rows, v.rejected_rows + v.gap_rows > 0 AS lossy, v.numerator_low, v.denominator_low, v.numerator_high, v.denominator_high
FROM target t JOIN way w USING (kpi_code) JOIN span s USING (period_id, grain) JOIN area a USING (area_kind, area)
JOIN {values} v ON (v.kpi_code, v.kato, v.period_id) = (t.kpi_code, a.kato, s.own_period)
WHERE w.over_time <> 'last' OR s.closing""")
    # periods nobody has computed yet, before one that was: they apply and have no value
    con.execute(f"""INSERT INTO member BY NAME
WITH due AS (
    SELECT DISTINCT t.kpi_code, t.period_id, s.own_period, s.period_start, s.period_end
    FROM target t JOIN way w USING (kpi_code) JOIN span s USING (period_id, grain) WHERE t.longer AND w.over_time = 'sum'),
absent AS (
    SELECT d.*, g.kato FROM due d JOIN spec x ON x.kpi_code = d.kpi_code AND d.period_start >= x.starts AND d.period_start < x.ends
    JOIN registry.settlement g ON list_contains(string_split(x.categories, ', '), g.item7_group)
    ANTI JOIN {values} v ON (v.kpi_code, v.kato, v.period_id) = (d.kpi_code, g.kato, d.own_period)
    WHERE x.season IS NULL OR list_contains(string_split(x.season_months, ', '), month(d.period_start)::VARCHAR))
SELECT t.rowid AS target, a.kato, m.own_period, m.period_start, m.period_end, false AS counts
FROM absent m JOIN target t ON t.longer AND (t.kpi_code, t.period_id) = (m.kpi_code, m.period_id)
JOIN area a ON (a.area_kind, a.area, a.kato) = (t.area_kind, t.area, m.kato)
JOIN (SELECT target, max(period_end) AS last_end FROM member GROUP BY target) l ON l.target = t.rowid AND m.period_end <= l.last_end""")
    _quantiles(store, compiled, rows_seq)
    bounds.aims(store, rows_seq)
    con.execute(_ROLLED.format(
        value=value, low=bounds.valued(value, "n_low", "d_low", "d_low"), high=bounds.valued(value, "n_high", "d_high", "d_high"),
        tolerated=bounds.TOLERATED.replace("x.", "b.").replace("raw", "raw_value"), between=bounds.BETWEEN))  # fmt: skip
    suppression.withhold(store)


def over_time(one: Compiled) -> str:
    """How periods make a longer one: `sum` of events and of what was there during each, `last` state of registers, `none` if the two are mixed."""
    kinds = {"last" if scan.time.rule in (TimeRule.STOCK, TimeRule.AS_OF) else "sum" for scan in one.scans}
    return kinds.pop() if len(kinds) == 1 else "none"


def _quantiles(store: Store, compiled: Sequence[Compiled], seq: int | None) -> None:
    """`quantile`: what cannot be summed, from the events behind the members."""
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE quantile (target BIGINT, version INTEGER, q DOUBLE, q_low DOUBLE, q_high DOUBLE)"
    )
    for one in compiled:
        if one.kpi.kind is not Kind.QUANTILE:
            continue
        scan, name = one.numerator.scan, one.numerator.column
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE counted AS SELECT m.* FROM member m JOIN target t ON t.rowid = m.target "
            f"WHERE t.kpi_code = {literal(one.kpi.code)} AND m.counts"
        )
        sql = only_reads(con, scan.sql(as_of(scan.table, seq), "counted", by="c.target"), scan.table, "counted")
        con.execute(f"INSERT INTO quantile SELECT target, {one.kpi.version}, {name}, NULL, NULL FROM ({sql})")
        lossy = "SELECT target, sum(rejected_rows + gap_rows) AS k, sum(gap_rows) AS g FROM counted GROUP BY 1 HAVING bool_or(lossy)"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE uncertain AS SELECT * FROM counted WHERE target IN (SELECT target FROM ({lossy}))"
        )
        if con.execute("SELECT count(*) FROM uncertain").fetchall()[0][0]:
            con.execute(f"""UPDATE quantile SET q_low = o.low, q_high = o.high FROM ({bounds.order(store, one, "uncertain", lossy, "target", seq)}) o
WHERE quantile.target = o.target AND quantile.version = {one.kpi.version}""")


# as the states of cells (compute.py); a longer period that is not over yet is provisional
_ROLLED = """CREATE OR REPLACE TEMP TABLE rolled AS
WITH summed AS (
    SELECT target, sum(numerator) FILTER (WHERE counts) AS exact_n, sum(denominator) FILTER (WHERE counts) AS exact_d,
           sum(sample_size) FILTER (WHERE counts) AS s, count(*) FILTER (WHERE counts) AS counted,
           sum(CASE WHEN lossy THEN numerator_low ELSE numerator END) FILTER (WHERE counts) AS n_low,
           sum(CASE WHEN lossy THEN denominator_low ELSE denominator END) FILTER (WHERE counts) AS d_low,
           sum(CASE WHEN lossy THEN numerator_high ELSE numerator END) FILTER (WHERE counts) AS n_high,
           sum(CASE WHEN lossy THEN denominator_high ELSE denominator END) FILTER (WHERE counts) AS d_high,
           sum(rejected_rows) FILTER (WHERE counts) AS rejected_rows, sum(gap_rows) FILTER (WHERE counts) AS gap_rows,
           bool_or(counts AND lossy) AS lossy, bool_or(counts AND lossy AND numerator_low IS NULL) AS unbounded,
           count(*) FILTER (WHERE obs_status IS DISTINCT FROM 'M') AS applicable, max(period_end) AS last_end, max(definition_version) AS version,
           count(DISTINCT definition_version) FILTER (WHERE counts) AS versions, count(*) FILTER (WHERE obs_status = 'Q') AS suppressed,
           bool_or(obs_status = 'P') AS open, bool_or(counts AND obs_status IN ('U', 'B')) AS marked
    FROM member GROUP BY target),
known AS (
    SELECT t.rowid AS target, t.*, m.exact_n, m.exact_d, m.n_low, m.d_low, m.n_high, m.d_high, m.unbounded, coalesce(m.lossy, false) AS lossy,
           coalesce(m.rejected_rows, 0)::BIGINT AS rejected_rows, coalesce(m.gap_rows, 0)::BIGINT AS gap_rows,
           coalesce(m.s, 0)::BIGINT AS s, coalesce(m.counted, 0) AS counted,
           coalesce(m.applicable, 0) AS applicable, m.last_end, m.versions, m.suppressed, m.open, m.marked,
           coalesce(m.version, (SELECT max(version) FROM spec y WHERE y.kpi_code = t.kpi_code)) AS definition_version
    FROM target t LEFT JOIN summed m ON m.target = t.rowid),
parts AS (
    SELECT r.*, x.kind, x.scale, x.unit, x.minimum_cell, x.counts_distinct, x.direction, x.tolerance, q.q_low, q.q_high,
           CASE WHEN x.kind = 'quantile' THEN q.q ELSE CAST(r.exact_n AS DOUBLE) END AS n, CAST(r.exact_d AS DOUBLE) AS d
    FROM known r JOIN spec x ON x.kpi_code = r.kpi_code AND x.version = r.definition_version
    LEFT JOIN quantile q ON (q.target, q.version) = (r.target, r.definition_version)),
worked AS (
    SELECT *, {value} AS raw_value, CASE WHEN kind = 'quantile' THEN round(q_low * scale, 6) WHEN NOT unbounded THEN {low} END AS lowest,
           CASE WHEN kind = 'quantile' THEN round(q_high * scale, 6)
                WHEN unbounded THEN NULL WHEN unit = 'PT' AND d_high = 0 THEN 100 ELSE {high} END AS highest
    FROM parts),
valued AS (
    SELECT *, CASE WHEN NOT lossy THEN raw_value WHEN lowest IS NOT NULL AND highest IS NOT NULL THEN
                  least(raw_value, CASE WHEN unit = 'PT' THEN greatest(lowest, 0) ELSE lowest END) END AS low,
              CASE WHEN NOT lossy THEN raw_value WHEN lowest IS NOT NULL AND highest IS NOT NULL THEN
                  greatest(raw_value, CASE WHEN unit = 'PT' THEN least(highest, 100) ELSE highest END) END AS high
    FROM worked),
aimed AS (
    SELECT b.target, string_agg(DISTINCT a.target::VARCHAR, ', ' ORDER BY a.target::VARCHAR) AS missed
    FROM valued b JOIN aim a ON b.lossy AND b.area_kind = 'settlement' AND (a.kato, a.kpi_code, a.year) = (b.area, b.kpi_code, b.period_id) AND {between}
    GROUP BY ALL),
judged AS (
    SELECT b.*, CASE
        WHEN applicable = 0 AND (last_end IS NOT NULL OR NOT longer) THEN 'M|not applicable|the KPI applies to no cell of it'
        WHEN longer AND last_end IS DISTINCT FROM period_end AND (counted = 0 OR raw_value IS NULL) THEN
            'L|not calculable|the year is not over: its closing period has not been computed'
        WHEN counted = 0 THEN 'L|not calculable|none of ' || applicable || ' cells has a value'
        WHEN raw_value IS NULL THEN 'M|not applicable|the denominator is zero'
        WHEN unit = 'PT' AND (raw_value > 100 OR raw_value < 0) THEN 'O|not calculable|a share of ' || raw_value || ' % is an error in the data'
        WHEN CASE WHEN counts_distinct THEN exact_n ELSE s END BETWEEN 1 AND minimum_cell - 1 THEN
            'Q|suppressed|fewer than ' || minimum_cell || ' observations: too few to publish'
        WHEN suppressed = 1 AND counted > 1 THEN 'Q|suppressed|one cell in it is suppressed and could be worked out from the sum'
        WHEN versions > 1 THEN 'B|series break|made of values by ' || versions || ' versions of the definition'
        WHEN lossy AND coalesce(low IS NULL OR round(high - low, 6) > {tolerated} OR missed IS NOT NULL, true) THEN
            'U|low coverage|rows of its cells: ' || concat_ws(' and ', CASE WHEN rejected_rows > 0 THEN rejected_rows || ' rejected' END,
                CASE WHEN gap_rows > 0 THEN gap_rows || ' with a cell left empty' END)
            || CASE WHEN low IS NULL THEN '; no bounds can be given' ELSE '; with them it lies between ' || low || ' and ' || high END
            || coalesce(', on both sides of the target ' || missed, '')
        WHEN longer AND last_end < period_end THEN 'P|provisional|the year is not over: values to ' || (last_end - 1)
        WHEN open THEN 'P|provisional|made of provisional values'
        WHEN counted < applicable THEN 'U|low coverage|made of ' || counted || ' of ' || applicable || ' cells'
        WHEN marked THEN 'U|low coverage|made of values that are marked themselves'
        ELSE 'A|calculated|' END AS verdict
    FROM valued b LEFT JOIN aimed USING (target))
SELECT kpi_code, area_kind, area, period_id, period_start, CASE WHEN verdict[1] IN ('A', 'P', 'U', 'B') THEN raw_value END AS value,
       CASE WHEN verdict[1] IN ('A', 'P', 'U', 'B') THEN low END AS value_low, CASE WHEN verdict[1] IN ('A', 'P', 'U', 'B') THEN high END AS value_high,
       rejected_rows, gap_rows,
       CASE WHEN kind <> 'quantile' THEN exact_n END AS numerator, CASE WHEN kind <> 'quantile' THEN exact_d END AS denominator, s AS sample_size,
       counted, applicable, split_part(verdict, '|', 2) AS state, verdict[1] AS obs_status,
       nullif(verdict[length(split_part(verdict, '|', 2)) + 4:], '') AS reason, definition_version
FROM judged"""
