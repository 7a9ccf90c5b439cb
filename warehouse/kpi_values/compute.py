"""KPI values from the warehouse alone (item 12(4) of order No. 469/НҚ).

Which settlements and periods are computed, due_cells.py tells. A value that comes out the same is left alone; a different one is
written as a new row and the old one is closed.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.compiler import Compiled, Scan, TimeRule, compile_kpi, fuse
from kpi_definitions.model import Kind, Kpi
from warehouse.home.home import Home
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values import bounds, unmapped
from warehouse.kpi_values.due_cells import REGISTER, ask
from warehouse.kpi_values.failures import ASKED, DATA_ERRORS, FAILED, measure_apart
from warehouse.kpi_values.registry import register_catalogue
from warehouse.kpi_values.rejected_rows import standing
from warehouse.kpi_values.rollup import roll_up
from warehouse.kpi_values.sound import refuse_faulty
from warehouse.moments import at
from warehouse.periods import closing_in
from warehouse.sql import literal, quoted
from warehouse.store.history import as_of
from warehouse.store.seals import SEALED, seal
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables
from warehouse.tables.fingerprint import shipped_fingerprint
from warehouse.tables.usual import JUMP
from warehouse.tables.value_formula import VALUE

# what a cell says: where none of it differs, nothing is written
VALUE_COLUMNS = (
    "value", "value_low", "value_high", "rejected_rows", "gap_rows", "numerator", "denominator", "numerator_low", "denominator_low",
    "numerator_high", "denominator_high", "sample_size", "state", "obs_status", "reason", "coverage",
)  # fmt: skip
# a compiled KPI, the version of its catalogue, and the days between which it is in force
Specified = tuple[Compiled, str, dt.date, dt.date]


@dataclass(frozen=True)
class Report:
    """What a computation did for one KPI."""

    kpi_code: str
    cells: int
    written: int
    restated: int
    states: Mapping[str, int]
    other_periods: tuple[str, ...]  # restated outside the months asked for
    failures: Mapping[str, int]  # cells that could not be computed, by what DuckDB says
    sql: str
    as_of: int  # the warehouse as of this ledger sequence was read
    seq: int  # ledger sequence of the computation
    ledger_hash: str  # of that ledger row


def compute(store: Store, catalogue: Catalogues, months: Sequence[str], *, codes: Collection[str] | None = None,
            today: dt.date | None = None) -> list[Report]:  # fmt: skip
    """Compute the KPIs `codes` (all, if None) for the periods closing in `months`, and restate what was touched.

    `today` decides whether a late-data window is still open. Raises ExpressionError, StoreError.
    """
    today = today or dt.datetime.now(dt.timezone(dt.timedelta(hours=5))).date()
    every = [compile_kpi(kpi, store.columns()) for kpi in catalogue.kpis]
    register_catalogue(store, catalogue, {(c.kpi.code, c.kpi.version): c.fingerprint for c in every})
    compiled = [c for c in every if codes is None or c.kpi.code in codes]
    head = store.last_seq
    ask(store, catalogue, compiled, months, today)
    texts = work_out(
        store, [(c, catalogue.of(c.kpi.code).head.version, *catalogue.effect(c.kpi)) for c in compiled], today
    )
    return _write(store, compiled, months, head, today, texts)


def work_out(store: Store, specified: Sequence[Specified], today: dt.date, seq: int | None = None) -> dict[str, str]:
    """From the cells of the temporary table `cell` to `fresh`: values with their parts and states. Returns the SQL by KPI.

    `seq`: the warehouse as it was at that ledger sequence; None: as it is.
    """
    store.con.execute(
        "CREATE OR REPLACE TEMP TABLE part (kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, n DOUBLE, exact_n DECIMAL(38,6), "
        "exact_d DECIMAL(38,6), s BIGINT)"
    )
    compiled = [one for one, *_ in specified]
    texts = _scan(store, compiled, seq)
    _cover(store, compiled, store.last_seq if seq is None else seq)
    specify(store, specified)
    _look_up_systems(store, seq)
    standing(store, [table for one in compiled for table in one.tables], store.last_seq if seq is None else seq)
    unmapped.find(store, compiled, seq)
    bounds.work_out(store, compiled, VALUE, seq)
    store.con.execute(_STATES.format(today=literal(today.isoformat()), value=VALUE))
    return texts


def compute_home(home: Home, run_id: str | None, months: Sequence[str], codes: Sequence[str] | None) -> list[Report]:
    """`compute` on a home's warehouse and catalogues, sealed; at module level, so that a process of its own can be asked (worker.py).

    Raises StoreError as well while a definition is at fault (sound.py).
    """
    catalogue = load_catalogues(home.catalogues)
    refuse_faulty(catalogue)
    with writing(home, run_id, hardened=True) as store:
        return compute(store, catalogue, months, codes=codes)


@cache
def get_ready(home: Home) -> None:
    """Read once what every computation needs: contracts, definitions, and pandas, which DuckDB imports with the first parameter it is handed.

    For a process of its own, while there is time; asked again, it does nothing.
    """
    shipped_fingerprint()
    columns = {name: table.business_columns for name, table in load_tables().items()}
    for kpi in load_catalogues(home.catalogues).kpis:
        compile_kpi(kpi, columns)
    importlib.import_module("pandas")


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
    if n is None and d is not None and kpi.kind not in (Kind.MEAN, Kind.QUANTILE):
        n = 0  # nothing counted, over a figure that is there: as `compute` writes it
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


def _scan(store: Store, compiled: Sequence[Compiled], seq: int | None) -> dict[str, str]:
    """Run the fused scans and fill `part` with numerator, denominator and sample of every cell. Returns the SQL by KPI."""
    con = store.con
    texts: dict[str, str] = {}
    con.execute(f"CREATE OR REPLACE TEMP TABLE failed {FAILED}")
    names: dict[tuple[Scan, str, int], str] = {}
    for index, scan in enumerate(fuse(compiled)):
        users = [(c, own) for c in compiled for own in c.scans if own.key == scan.key]
        codes = ", ".join(literal(c.kpi.code) for c, _ in users)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE asked AS SELECT DISTINCT {ASKED} FROM cell WHERE kpi_code IN ({codes})"
        )
        source = as_of(scan.table, seq)
        if scan.time.rule is TimeRule.EVENT:  # a plain range lets DuckDB skip whole blocks of other months
            bounds = con.execute("SELECT min(period_start), max(period_end) FROM asked").fetchone()
            if bounds and bounds[0] is not None:
                source = f"(SELECT * FROM {source} WHERE \"{scan.time.column}\" >= TIMESTAMP '{bounds[0]}' AND \"{scan.time.column}\" < TIMESTAMP '{bounds[1]}')"
        sql = only_reads(con, scan.sql(source, "asked"), scan.table, "asked")
        places = dict.fromkeys(((own, c.kpi.code, c.kpi.version) for c, own in users), f"scan_{index}")
        try:
            con.execute(f"CREATE OR REPLACE TEMP TABLE scan_{index} AS {sql}")
        except (
            DATA_ERRORS
        ):  # whose fault it is shows when each is measured alone: the others have their numbers all the same
            places = measure_apart(con, users, source, f"scan_{index}")
        names |= places
        for user, _ in users:
            texts[user.kpi.code] = "\n\n".join(filter(None, (texts.get(user.kpi.code), sql)))
    parts = []
    for one in compiled:
        tables = {scan: names[scan, one.kpi.code, one.kpi.version] for scan in one.scans}
        alias = {table: f"x{i}" for i, table in enumerate(dict.fromkeys(tables.values()))}
        top, bottom, sampled = (f"{alias[tables[output.scan]]}.{output.column}" for output in one.outputs)
        joins = " ".join(
            f"LEFT JOIN {t} {a} ON (c.kato, c.period_id) = ({a}.kato, {a}.period_id)" for t, a in alias.items()
        )
        single = one.kpi.kind is Kind.QUANTILE
        exact = "NULL, NULL" if single else f"CAST({top} AS DECIMAL(38,6)), CAST({bottom} AS DECIMAL(38,6))"
        parts.append(
            f"SELECT c.kpi_code, c.version, c.kato, c.period_id, {top}, {exact}, coalesce({sampled}, 0) "
            f"FROM cell c {joins} WHERE c.kpi_code = {literal(one.kpi.code)} AND c.version = {one.kpi.version}"
        )
    con.execute(f"INSERT INTO part {' UNION ALL '.join(parts)}")
    return texts


def _needs(one: Compiled) -> Iterable[tuple[str, str]]:
    """Tables a KPI needs deliveries of: of every month of the period, or of its closing month (snapshots).

    A figure looked up by date (`as_of`) is either there or not, whichever delivery brought it: of its deliveries only
    those refused matter.
    """
    for scan in one.scans:
        yield scan.table, {TimeRule.EVENT: "every", TimeRule.AS_OF: "lookup"}.get(scan.time.rule, "closing")


# rules by which rows, or cells, were taken out of a delivery: the cells they fall into tell what they weigh, not how the file was cut
_TAKEN_OUT = (
    "(SELECT DISTINCT delivery_id, unnest(CASE WHEN rule IN ('encoding', 'columns') THEN [rule, 'structure'] ELSE [rule] END) AS rule "
    "FROM audit.rejected_row WHERE delivery_id IN (SELECT delivery_id FROM audit.incident))"
)


def _cover(store: Store, compiled: Sequence[Compiled], seq: int) -> None:
    """`covered`: by cell, the months a KPI needs, those delivered, and what is missing or was refused."""
    con = store.con
    needs = ", ".join(
        f"({literal(c.kpi.code)}, {c.kpi.version}, {literal(t)}, {literal(months)})"
        for c in compiled
        for t, months in _needs(c)
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE need AS SELECT * FROM (VALUES {needs}) AS n(kpi_code, version, table_name, wanted)"
    )
    # months by equality, not over ranges of days: of every cell, those of its period
    con.execute("""CREATE OR REPLACE TEMP TABLE within AS
SELECT c.period_id, m.id AS month, m.period_end = c.ends AS closing
FROM (SELECT DISTINCT period_id, CAST(period_start AS DATE) AS starts, CAST(period_end AS DATE) AS ends FROM cell) c
JOIN registry.period m ON m.grain = 'M' AND m.period_start >= c.starts AND m.period_end <= c.ends""")
    con.execute(f"""CREATE OR REPLACE TEMP TABLE failing AS
SELECT delivery_id, table_name, system, scope, period_id,
       string_agg(criterion || ' (' || rule || ')', ', ' ORDER BY rule) || ' in delivery ' || delivery_id AS failing,
       string_agg(observed, '; ') FILTER (WHERE rule = '{JUMP}') || ' in delivery ' || delivery_id AS leaping
FROM audit.incident ANTI JOIN {_TAKEN_OUT} USING (delivery_id, rule) WHERE opened_seq <= {seq} AND (closed_seq IS NULL OR closed_seq > {seq})
GROUP BY delivery_id, table_name, system, scope, period_id""")
    con.execute(f"""CREATE OR REPLACE TEMP TABLE arrived AS
SELECT d.table_name, s.kato, m.id AS month, bool_or(d.state = 'loaded') AS loaded,
       arg_max(d.delivery_id, d.loaded_seq) FILTER (WHERE d.state = 'refused') AS refused,
       string_agg(DISTINCT i.failing, ', ' ORDER BY i.failing) FILTER (WHERE d.state = 'loaded') AS doubt,
       string_agg(DISTINCT i.leaping, '; ' ORDER BY i.leaping) FILTER (WHERE d.state = 'loaded') AS leaping
FROM audit.delivery d LEFT JOIN failing i USING (delivery_id)
JOIN (FROM registry.period WHERE grain = 'M' AND id IN (SELECT month FROM within)) m ON m.period_start >= d.period_start AND m.period_end <= d.period_end
JOIN registry.settlement s ON d.scope = s.kato OR d.scope = 'KZ' OR d.scope = s.kato2
WHERE d.state IN ('loaded', 'refused') AND d.loaded_seq <= {seq} AND d.table_name IN (SELECT table_name FROM need)
GROUP BY ALL""")
    _look_up_doubts(store, compiled, seq)
    # ordered lists are dear, and most cells lack nothing
    con.execute("""CREATE OR REPLACE TEMP TABLE covered AS
WITH needed AS (
    SELECT c.kpi_code, c.version, c.kato, c.period_id, n.table_name, m.month, n.wanted <> 'lookup' AS wanted, a.loaded, a.refused,
           coalesce(l.doubt, a.doubt) AS doubt, coalesce(l.leaping, a.leaping) AS leaping
    FROM cell c JOIN need n USING (kpi_code, version) JOIN within m ON m.period_id = c.period_id AND (m.closing OR n.wanted = 'every')
    LEFT JOIN arrived a ON (a.table_name, a.kato, a.month) = (n.table_name, c.kato, m.month)
    LEFT JOIN looked l ON (l.table_name, l.kato, l.month) = (n.table_name, c.kato, m.month) AND n.wanted = 'lookup'),
told AS (
    SELECT kpi_code, version, kato, period_id, list(table_name || ' ' || month ORDER BY table_name, month)
               FILTER (WHERE wanted AND refused IS NULL AND loaded IS NOT TRUE) AS missing_months,
           string_agg(table_name || ' ' || month || ' (delivery ' || refused || ')', ', ' ORDER BY table_name, month)
               FILTER (WHERE refused IS NOT NULL AND NOT loaded) AS refused,
           string_agg(table_name || ' ' || month || ': ' || doubt, '; ' ORDER BY table_name, month) AS doubt,
           string_agg(table_name || ' ' || leaping, '; ' ORDER BY table_name, month) AS leaping
    FROM needed WHERE loaded IS NOT TRUE OR doubt IS NOT NULL GROUP BY ALL),
counted AS (
    SELECT kpi_code, version, kato, period_id, nullif(count(*) FILTER (WHERE wanted), 0) AS months,
           count(*) FILTER (WHERE wanted AND loaded) AS delivered
    FROM needed GROUP BY ALL)
SELECT c.*, t.refused, t.doubt, t.leaping,
       CASE WHEN len(missing_months) <= 3 THEN array_to_string(missing_months, ', ')
            ELSE missing_months[1] || ' to ' || missing_months[-1] || ' (' || len(missing_months) || ' of ' || months || ' months)' END AS missing
FROM counted c LEFT JOIN told t USING (kpi_code, version, kato, period_id)""")


def _look_up_doubts(store: Store, compiled: Sequence[Compiled], seq: int) -> None:
    """`looked`: of figures looked up by date, the open incidents on a leap of the slice that brought them, whatever its days."""
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE looked (table_name VARCHAR, kato VARCHAR, month VARCHAR, doubt VARCHAR, leaping VARCHAR)"
    )
    doubted = {
        name for (name,) in con.execute("SELECT DISTINCT table_name FROM failing WHERE leaping IS NOT NULL").fetchall()
    }
    for table, day in sorted(
        {(s.table, s.time.column) for c in compiled for s in c.scans if s.time.rule is TimeRule.AS_OF}
    ):
        if table in doubted:
            con.execute(f"""INSERT INTO looked
SELECT {literal(table)}, r.kato, m.id, string_agg(DISTINCT i.failing, ', ' ORDER BY i.failing), string_agg(DISTINCT i.leaping, '; ' ORDER BY i.leaping)
FROM (SELECT DISTINCT kato, {quoted(day)} AS day, delivery_id FROM {as_of(table, seq)}
      WHERE {quoted(day)} IN (SELECT period_end_population_date FROM cell)) r
JOIN registry.period m ON m.grain = 'M' AND m.period_end = r.day JOIN audit.delivery d USING (delivery_id)
JOIN failing i ON (i.table_name, i.system, i.scope, i.period_id) = (d.table_name, d.system, d.scope, d.period_id)
WHERE i.leaping IS NOT NULL GROUP BY ALL""")


def _look_up_systems(store: Store, seq: int | None) -> None:
    """`known`: by cell, what the newest register of information systems before the period's end says of the initiative's systems."""
    register = as_of(REGISTER, seq)
    store.con.execute(f"""CREATE OR REPLACE TEMP TABLE known AS
WITH latest AS (
    SELECT c.kpi_code, c.kato, c.period_id, c.period_end_population_date AS day, max(s.snapshot_date) AS listed
    FROM cell c JOIN spec x ON (x.kpi_code, x.version) = (c.kpi_code, c.version) AND x.rows_table <> '{REGISTER}'
    JOIN {register} s ON s.kato = c.kato AND s.snapshot_date <= c.period_end_population_date GROUP BY ALL)
SELECT l.kpi_code, l.kato, l.period_id, l.listed, count(s.system_id) AS systems, count(*) FILTER (WHERE s.sdu_integrated_at < l.day) AS integrated,
       string_agg(s.system_id, ', ' ORDER BY s.system_id) AS named
FROM latest l LEFT JOIN {register} s ON (s.kato, s.snapshot_date) = (l.kato, l.listed)
    AND s.initiative_code = split_part(l.kpi_code, '-', 1) AND s.commissioned_at < l.day AND (s.retired_at IS NULL OR s.retired_at >= l.day)
GROUP BY ALL""")


def specify(store: Store, specified: Sequence[Specified]) -> None:
    """`spec`: what the state rules need to know of each KPI version."""
    store.con.execute(
        "CREATE OR REPLACE TEMP TABLE spec (kpi_code VARCHAR, version INTEGER, kind VARCHAR, scale BIGINT, minimum_coverage DOUBLE, "
        "minimum_sample BIGINT, late_days INTEGER, categories VARCHAR, rows_table VARCHAR, looked_up VARCHAR, unit VARCHAR, "
        "minimum_cell BIGINT, counts_distinct BOOLEAN, season VARCHAR, season_months VARCHAR, catalogue_version VARCHAR, hash VARCHAR, "
        "starts DATE, ends DATE, direction VARCHAR, tolerance DOUBLE)"
    )
    columns = ["kpi_code", "version", "kind", "scale", "minimum_coverage", "minimum_sample", "late_days", "categories"]
    store.insert("spec", [*columns, "rows_table", "looked_up", "unit", "minimum_cell", "counts_distinct", "season",
                          "season_months", "catalogue_version", "hash", "starts", "ends", "direction", "tolerance"], [
        (c.kpi.code, c.kpi.version, str(c.kpi.kind), c.kpi.scale, c.kpi.coverage.minimum, c.kpi.minimum_sample, c.kpi.late_data_days,
         ", ".join(c.kpi.categories), c.numerator.scan.table, next((s.table for s in c.scans if s.time.rule is TimeRule.AS_OF), None), c.kpi.unit,
         c.kpi.minimum_cell, "distinct" in c.kpi.numerator.aggregate.lower(), c.kpi.season.name.en if c.kpi.season else None,
         ", ".join(map(str, c.kpi.season.months)) if c.kpi.season else None, version, c.fingerprint, starts, ends,
         c.kpi.direction, c.kpi.tolerance)
        for c, version, starts, ends in specified])  # fmt: skip


# The calculation states of SDMX OBS_STATUS we use; a state without a value always has its reason.
_STATES = """CREATE OR REPLACE TEMP TABLE fresh AS
WITH joined AS (
    SELECT c.*, p.n, p.exact_n, p.exact_d, CAST(p.exact_d AS DOUBLE) AS d, p.s, g.item7_group, x.* EXCLUDE (kpi_code, version),
           v.months, v.delivered, v.missing, v.refused, v.doubt, v.leaping,
           k.systems, k.integrated, k.listed, k.named, o.lacking, f.why AS failure,
           coalesce(b.rejected_rows, 0) AS rejected_rows, coalesce(b.gap_rows, 0) AS gap_rows,
           b.n_low, b.d_low, b.n_high, b.d_high, b.value_low, b.value_high, b.losses, b.wide,
           CASE WHEN b.losses IS NOT NULL THEN 'rows of its period: ' || b.losses || '; ' || b.remark END AS loss,
           CASE WHEN v.months IS NULL THEN NULL ELSE round(v.delivered / v.months, 4) END AS coverage
    FROM cell c JOIN part p USING (kpi_code, version, kato, period_id) JOIN spec x USING (kpi_code, version)
    JOIN registry.settlement g USING (kato) LEFT JOIN covered v USING (kpi_code, version, kato, period_id)
    LEFT JOIN known k USING (kpi_code, kato, period_id) LEFT JOIN bound b USING (kpi_code, version, kato, period_id)
    LEFT JOIN lacking o USING (kpi_code, version, kato, period_id)
    LEFT JOIN failed f USING (kpi_code, version, kato, period_id)),
valued AS (SELECT *, {value} AS raw_value FROM joined),
judged AS (
    SELECT *, CASE
        WHEN NOT list_contains(string_split(categories, ', '), item7_group) THEN 'M|not applicable|the KPI applies to settlements of group ' || categories
        WHEN season IS NOT NULL AND NOT list_contains(string_split(season_months, ', '), month(period_start)::VARCHAR) THEN
            'M|not applicable|outside the ' || season
        WHEN failure IS NOT NULL THEN 'O|not calculable|computation failed: ' || failure
        WHEN (coverage < minimum_coverage OR (looked_up IS NOT NULL AND exact_d IS NULL)) AND refused IS NOT NULL THEN
            'O|not calculable|quality gate failed, extract refused: ' || refused
            || coalesce('; not delivered: ' || missing, '')
        WHEN coverage < minimum_coverage AND systems = 0 THEN 'O|not calculable|no system known: the register of ' || listed
            || ' names none in operation for initiative ' || split_part(kpi_code, '-', 1)
        WHEN coverage < minimum_coverage AND integrated = 0 THEN 'L|not calculable|not integrated: of system ' || named
            || ' the register of ' || listed || ' knows no integration with the SDU'
        WHEN coverage < minimum_coverage THEN 'L|not calculable|extract not delivered: ' || missing
        WHEN looked_up IS NOT NULL AND exact_d IS NULL THEN 'L|not calculable|' || looked_up || ' has no figure as of ' || period_end_population_date
        WHEN lacking IS NOT NULL THEN 'L|not calculable|' || lacking
        WHEN leaping IS NOT NULL THEN 'O|not calculable|a figure leaves its former value and is to be confirmed: ' || leaping
        WHEN raw_value IS NULL AND (refused IS NOT NULL OR doubt IS NOT NULL OR losses IS NOT NULL) THEN 'O|not calculable|'
            || CASE WHEN s > 0 THEN 'the denominator is zero' ELSE 'no rows: nothing of ' || rows_table || ' falls into the period' END || ', but '
            || concat_ws('; ', 'refused: ' || refused, 'quality criterion not met: ' || doubt, 'rows that may belong to it: ' || losses)
        WHEN raw_value IS NULL AND s > 0 THEN 'M|not applicable|the denominator is zero'
        WHEN raw_value IS NULL THEN 'M|not applicable|no rows: nothing of ' || rows_table || ' falls into the period'
        WHEN unit = 'PT' AND (raw_value > 100 OR raw_value < 0) THEN 'O|not calculable|a share of ' || raw_value || ' % is an error in the data'
        WHEN CASE WHEN counts_distinct THEN exact_n ELSE s END BETWEEN 1 AND minimum_cell - 1 THEN
            'Q|suppressed|fewer than ' || minimum_cell || ' observations: too few to publish'
        WHEN doubt IS NOT NULL THEN 'U|low coverage|' || concat_ws('; ', 'quality criterion not met: ' || doubt, CASE WHEN wide THEN loss END)
        WHEN wide THEN 'U|low coverage|' || loss
        WHEN CAST(period_end AS DATE) + late_days > DATE {today} THEN 'P|provisional|late data may come until ' || (CAST(period_end AS DATE) + late_days)
        WHEN coverage < 1 THEN 'U|low coverage|delivered for ' || delivered || ' of ' || months || ' months'
            || coalesce('; not delivered: ' || missing, '') || coalesce('; refused: ' || refused, '')
        WHEN s < minimum_sample THEN 'U|low coverage|' || s || ' observations, fewer than ' || minimum_sample
        ELSE 'A|calculated|' END AS verdict
    FROM valued)
SELECT kpi_code, version, kato, period_id, CAST(period_start AS DATE) AS period_start, hash, catalogue_version, coverage,
       verdict[1] AS obs_status, split_part(verdict, '|', 2) AS state, nullif(verdict[length(split_part(verdict, '|', 2)) + 4:], '') AS reason,
       CASE WHEN verdict[1] IN ('A', 'P', 'U') THEN raw_value END AS value,
       CASE WHEN verdict[1] IN ('A', 'P', 'U') THEN CASE WHEN losses IS NULL THEN raw_value ELSE value_low END END AS value_low,
       CASE WHEN verdict[1] IN ('A', 'P', 'U') THEN CASE WHEN losses IS NULL THEN raw_value ELSE value_high END END AS value_high,
       rejected_rows, gap_rows, CASE WHEN counts THEN n_low END AS numerator_low, CASE WHEN counts THEN d_low END AS denominator_low,
       CASE WHEN counts THEN n_high END AS numerator_high, CASE WHEN counts THEN d_high END AS denominator_high, s AS sample_size,
       CASE WHEN kind = 'quantile' OR lacking IS NOT NULL OR failure IS NOT NULL THEN NULL
            WHEN kind = 'mean' OR coverage < minimum_coverage OR (looked_up IS NOT NULL AND exact_d IS NULL) THEN exact_n
            ELSE coalesce(exact_n, 0) END AS numerator,
       CASE WHEN kind = 'quantile' OR lacking IS NOT NULL OR failure IS NOT NULL THEN NULL
            WHEN kind IN ('share', 'mean') AND coverage >= minimum_coverage THEN coalesce(exact_d, 0)
            ELSE exact_d END AS denominator  -- counted nothing is 0 where all was delivered; of what was not delivered nothing is known
FROM (SELECT *, verdict[1] IN ('A', 'P', 'U', 'Q') AS counts FROM judged)"""


def _write(
    store: Store,
    compiled: Sequence[Compiled],
    months: Sequence[str],
    head: int,
    today: dt.date,
    texts: Mapping[str, str],
) -> list[Report]:
    con = store.con
    same = " AND ".join(f"v.{c} IS NOT DISTINCT FROM f.{c}" for c in VALUE_COLUMNS)
    con.execute(f"""CREATE OR REPLACE TEMP TABLE news AS SELECT f.*, v.kpi_code IS NOT NULL AS restates FROM fresh f
LEFT JOIN kpi.value v ON (v.kpi_code, v.kato, v.period_id) = (f.kpi_code, f.kato, f.period_id) AND v.valid_to_seq IS NULL
WHERE v.kpi_code IS NULL OR NOT ({same} AND v.definition_hash = f.hash)""")
    codes = list(dict.fromkeys(c.kpi.code for c in compiled))
    states: dict[str, dict[str, int]] = {code: {} for code in codes}
    for code, state, count in con.execute(
        "SELECT kpi_code, state, count(*) FROM fresh GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        states[code][state] = count
    failures: dict[str, dict[str, int]] = {}
    for code, why, count in con.execute(
        "SELECT kpi_code, why, count(*) FROM failed GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        failures.setdefault(code, {})[why] = count
    written, restated, elsewhere = dict.fromkeys(codes, 0), dict.fromkeys(codes, 0), dict[str, tuple[str, ...]]()
    for code, count, again, periods in con.execute(
        "SELECT kpi_code, count(*), count(*) FILTER (WHERE restates), list(DISTINCT period_id) FILTER (WHERE restates) FROM news GROUP BY ALL"
    ).fetchall():
        due = {p.id for c in compiled if c.kpi.code == code for p in closing_in(tuple(months), c.kpi.period)}
        written[code], restated[code], elsewhere[code] = count, again, tuple(sorted(set(periods or ()) - due))
    with store.transaction():
        entries = [
            ("computed", code, {"as_of": head, "today": today, "qala": store.code_version, "months": list(months), "cells": sum(states[code].values()),
                                "written": written[code], "restated": restated[code]})
            for code in codes]  # fmt: skip
        done = dict(zip(codes, store.record(entries), strict=True))
        con.execute("CREATE OR REPLACE TEMP TABLE done (kpi_code VARCHAR, seq BIGINT)")
        store.insert("done", ["kpi_code", "seq"], list(done.items()))
        con.execute("""UPDATE kpi.value v SET valid_to_seq = d.seq FROM news n JOIN done d USING (kpi_code)
WHERE n.restates AND v.valid_to_seq IS NULL AND (v.kpi_code, v.kato, v.period_id) = (n.kpi_code, n.kato, n.period_id)""")
        con.execute(
            f"""INSERT INTO kpi.value BY NAME
SELECT n.kpi_code, kato, period_id, period_start, {", ".join(VALUE_COLUMNS)},
       version AS definition_version, hash AS definition_hash, catalogue_version, CAST(? AS BIGINT) AS as_of_seq,
       CAST(? AS TIMESTAMPTZ) AS computed_at, CAST(? AS VARCHAR) AS run_id, d.seq AS valid_from_seq, CAST(NULL AS BIGINT) AS valid_to_seq
FROM news n JOIN done d USING (kpi_code) ORDER BY ALL""",
            [head, dt.datetime.now(dt.UTC), store.run_id],
        )
        at("compute.values")
        rolled, rolled_again = roll_up(store, compiled, VALUE, head)
        at("compute.roll-ups")
        store.insert(
            "kpi.computation", ["kpi_code", "as_of_seq", "seq"], [(code, head, seq) for code, seq in done.items()]
        )
        what = {
            "values": any(written.values()),
            "values restated": any(restated.values()),
            "roll-ups": rolled > 0,
            "roll-ups restated": rolled_again > 0,
            "computations": bool(done),
        }
        seal(store, head + 1, {name: SEALED[name] for name, some in what.items() if some})
        at("compute.committing")
    at("compute.committed")
    hashes = dict(con.execute("SELECT seq, hash FROM audit.ledger WHERE seq > ?", [head]).fetchall())
    return [
        Report(code, sum(states[code].values()), written[code], restated[code], states[code], elsewhere.get(code, ()), failures.get(code, {}),
               texts.get(code, ""), head, done[code], hashes[done[code]])
        for code in codes]  # fmt: skip
