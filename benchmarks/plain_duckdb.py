"""The yardstick: the same work as plain DuckDB SQL in one process, with nothing around it.

Text to types, the first broken rule to quarantine with the raw record, a key that comes again replaces the former row, tables
with delivery and row number, twelve KPIs by city and month. Written as one who knows DuckDB would, and no faster than that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.contender import Answer
from benchmarks.feeds import ALL, FEEDS, files, months
from warehouse.tables.settlements import settlements

KATO = "kato IN (" + ", ".join(f"'{k}'" for k in settlements()) + ")"
# table → columns with their types, key, and rules in the order of the table's contract
TABLES: dict[str, tuple[dict[str, str], tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "fct_fare_validation": (
        {"validation_id": "VARCHAR", "validated_at": "TIMESTAMP", "route_id": "VARCHAR", "vehicle_id": "VARCHAR", "payment_type": "VARCHAR",
         "is_boarding": "BOOLEAN", "card_hash": "VARCHAR"},
        ("kato", "validation_id"),
        (("validation_id.required", "validation_id IS NOT NULL"), ("validation_id.length", "length(validation_id) <= 64"),
         ("validated_at.required", "validated_at IS NOT NULL"), ("route_id.length", "length(route_id) <= 64"),
         ("vehicle_id.length", "length(vehicle_id) <= 64"), ("payment_type.required", "payment_type IS NOT NULL"),
         ("is_boarding.required", "is_boarding IS NOT NULL"), ("card_hash.pattern", "regexp_full_match(card_hash, '[0-9a-f]{64}')"),
         ("payment-type-domain", "payment_type IN ('TRANSPORT_CARD', 'BANK_CARD', 'QR', 'SMS', 'CASH')"))),
    "fct_air_hour": (
        {"station_id": "VARCHAR", "hour_start": "TIMESTAMP", "pollutant": "VARCHAR", "value_ug_m3": "DECIMAL(10,3)", "is_valid": "BOOLEAN"},
        ("kato", "station_id", "hour_start", "pollutant"),
        (("station_id.required", "station_id IS NOT NULL"), ("station_id.length", "length(station_id) <= 64"),
         ("hour_start.required", "hour_start IS NOT NULL"), ("pollutant.required", "pollutant IS NOT NULL"),
         ("value_ug_m3.range", "value_ug_m3 BETWEEN 0 AND 100000"), ("is_valid.required", "is_valid IS NOT NULL"),
         ("pollutant-domain", "pollutant IN ('PM25', 'PM10', 'SO2', 'NO2', 'CO', 'O3')"),
         ("value-range", "pollutant = 'CO' OR value_ug_m3 <= 2000"), ("valid-has-value", "is_valid = false OR value_ug_m3 IS NOT NULL"))),
    "dim_meter": (
        {"meter_id": "VARCHAR", "installed_at": "DATE", "removed_at": "DATE", "resource": "VARCHAR", "is_smart": "BOOLEAN",
         "verification_due_on": "DATE", "account_hash": "VARCHAR"},
        ("kato", "meter_id", "installed_at", "snapshot_date"),
        (("meter_id.required", "meter_id IS NOT NULL"), ("meter_id.length", "length(meter_id) <= 64"),
         ("installed_at.required", "installed_at IS NOT NULL"), ("resource.required", "resource IS NOT NULL"),
         ("account_hash.pattern", "regexp_full_match(account_hash, '[0-9a-f]{64}')"),
         ("resource-domain", "resource IN ('ELECTRICITY', 'COLD_WATER', 'HOT_WATER', 'HEAT', 'GAS')"),
         ("installed-before-removed", "removed_at >= installed_at"))),
    "fct_appeal": (
        {"appeal_id": "VARCHAR", "registered_at": "TIMESTAMP", "due_at": "TIMESTAMP", "first_answer_at": "TIMESTAMP", "closed_at": "TIMESTAMP",
         "status": "VARCHAR", "category": "VARCHAR", "channel": "VARCHAR", "is_emergency": "BOOLEAN"},
        ("kato", "appeal_id"),
        (("appeal_id.required", "appeal_id IS NOT NULL"), ("appeal_id.length", "length(appeal_id) <= 64"),
         ("registered_at.required", "registered_at IS NOT NULL"), ("status.required", "status IS NOT NULL"),
         ("category.length", "length(category) <= 200"), ("channel.length", "length(channel) <= 100"),
         ("is_emergency.required", "is_emergency IS NOT NULL"), ("status-domain", "status IN ('OPEN', 'CLOSED', 'WITHDRAWN')"),
         ("registered-before-closed", "closed_at >= registered_at"), ("registered-before-answer", "first_answer_at >= registered_at"))),
    "dim_street_light": (
        {"light_id": "VARCHAR", "segment_id": "VARCHAR", "cabinet_id": "VARCHAR", "lamp_type": "VARCHAR", "power_w": "INTEGER",
         "is_remotely_managed": "BOOLEAN", "installed_at": "DATE", "removed_at": "DATE"},
        ("kato", "light_id", "snapshot_date"),
        (("light_id.required", "light_id IS NOT NULL"), ("light_id.length", "length(light_id) <= 64"),
         ("segment_id.length", "length(segment_id) <= 64"), ("cabinet_id.length", "length(cabinet_id) <= 64"),
         ("power_w.range", "power_w BETWEEN 1 AND 2000"), ("installed_at.required", "installed_at IS NOT NULL"),
         ("lamp-type-domain", "lamp_type IN ('LED', 'SODIUM', 'MERCURY', 'METAL_HALIDE', 'OTHER')"),
         ("installed-before-removed", "removed_at >= installed_at"))),
}  # fmt: skip
# KPIs by city and month: (code, value, numerator, denominator) of each, table by table
_SHARE = "round(100 * ({n}) / nullif({d}, 0), 6)"
KPIS = (
    ("fct_fare_validation", "date_trunc('month', validated_at)", "true", (
        ("BEN01-1", "share", "count(*) FILTER (WHERE is_boarding AND payment_type <> 'CASH')", "count(*) FILTER (WHERE is_boarding)"),
        ("BEN01-2", "share", "count(*) FILTER (WHERE is_boarding AND payment_type = 'BANK_CARD')", "count(*) FILTER (WHERE is_boarding)"),
        ("BEN01-3", "share", "count(*) FILTER (WHERE is_boarding)", "count(*)"))),
    ("fct_air_hour", "date_trunc('month', hour_start)", "true", (
        ("BEN01-4", "share", "count(*) FILTER (WHERE is_valid)", "count(*)"),
        ("BEN01-5", "mean", "sum(value_ug_m3) FILTER (WHERE pollutant = 'PM25' AND is_valid)",
         "count(value_ug_m3) FILTER (WHERE pollutant = 'PM25' AND is_valid)"),
        ("BEN01-6", "share", "count(*) FILTER (WHERE pollutant = 'PM10' AND is_valid AND value_ug_m3 > 50)",
         "count(*) FILTER (WHERE pollutant = 'PM10' AND is_valid)"))),
    ("fct_appeal", "date_trunc('month', registered_at)", "true", (
        ("BEN01-7", "share", "count(*) FILTER (WHERE NOT is_emergency AND closed_at <= due_at)", "count(*) FILTER (WHERE NOT is_emergency)"),
        ("BEN01-8", "mean", "sum(date_diff('day', registered_at, first_answer_at))", "count(first_answer_at)"),
        ("BEN01-9", "quantile", "quantile_cont(date_diff('day', registered_at, first_answer_at), 0.9)", "count(first_answer_at)"))),
    ("dim_meter", "snapshot_date - INTERVAL 1 MONTH", "installed_at < snapshot_date AND (removed_at IS NULL OR removed_at >= snapshot_date)", (
        ("BEN01-10", "share", "count(*) FILTER (WHERE resource = 'ELECTRICITY' AND is_smart)", "count(*) FILTER (WHERE resource = 'ELECTRICITY')"),
        ("BEN01-11", "share", "count(*) FILTER (WHERE verification_due_on >= snapshot_date)", "count(*)"))),
    ("dim_street_light", "snapshot_date - INTERVAL 1 MONTH",
     "installed_at < snapshot_date AND (removed_at IS NULL OR removed_at >= snapshot_date)", (
        ("BEN01-12", "share", "coalesce(sum(power_w) FILTER (WHERE lamp_type = 'LED' AND is_remotely_managed), 0)",
         "sum(power_w) FILTER (WHERE lamp_type = 'LED')"),)),
)  # fmt: skip


def start(data: Path, work: Path, span: range = ALL) -> Callable[[], None]:
    work.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(str(work / "plain.duckdb"))
    con.execute(
        "SET disabled_optimizers = 'in_clause'"
    )  # it makes a join of a long IN list, and a join loses the order of rows

    def run() -> None:
        con.execute(
            "CREATE TABLE IF NOT EXISTS quarantine (table_name VARCHAR, delivery BIGINT, row_no BIGINT, rule VARCHAR, raw VARCHAR)"
        )
        con.execute(
            "CREATE TABLE IF NOT EXISTS kpi (code VARCHAR, kato VARCHAR, month DATE, value DOUBLE, n DECIMAL(38,6), d DECIMAL(38,6))"
        )
        con.execute("CREATE TABLE IF NOT EXISTS replaced (table_name VARCHAR, rows BIGINT)")
        for feed in FEEDS:
            load(con, feed.table, files(data, feed, span), months(span))
        for table, month, where, kpis in KPIS:
            compute(con, table, month, where, kpis, months(span)[0])
        con.execute("CHECKPOINT")
        con.close()

    return run


def load(con: duckdb.DuckDBPyConnection, table: str, paths: list[Path], periods: list[str]) -> None:
    """All files of one table: stage, quarantine, replace, write."""
    columns, key, rules = TABLES[table]
    register = "snapshot_date" in key
    cast = {name: kind for name, kind in columns.items() if kind != "VARCHAR"}
    text = {name: f"{name}_text" if name in cast else name for name in ("kato", *columns)}  # as read, by position
    checks = [*_in_order(columns, cast, rules), ("scope", f"coalesce({KATO}, false)")]
    whens = " ".join(f"WHEN NOT ({condition}) THEN '{rule}'" for rule, condition in checks)
    ends = ", ".join(f"DATE '{p}-01' + INTERVAL 1 MONTH" for p in periods)
    snapshot = (
        f", CAST(list_extract([{ends}], CAST(file_index AS BIGINT) + 1) AS DATE) AS snapshot_date" if register else ""
    )
    kept = ", ".join([*("kato", *columns), *(["snapshot_date"] if register else [])])
    record = ", ".join(f"'{n}': {t}" for n, t in text.items())
    con.execute(f"""CREATE TEMP TABLE stage AS
SELECT delivery, {kept}, broken, CASE WHEN broken IS NOT NULL THEN to_json({{{record}}})::VARCHAR END AS raw
FROM (SELECT *, CASE {whens} END AS broken FROM (
        SELECT *, file_index AS delivery, {", ".join(f"TRY_CAST({text[n]} AS {kind}) AS {n}" for n, kind in cast.items())}{snapshot}
        FROM read_csv([{", ".join(f"'{p}'" for p in paths)}], columns = {{{", ".join(f"'{t}': 'VARCHAR'" for t in text.values())}}}, header = true,
                      auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '')))""")
    con.execute("CREATE TEMP TABLE first AS SELECT delivery, min(rowid) AS first FROM stage GROUP BY delivery")
    con.execute(f"""INSERT INTO quarantine SELECT '{table}', delivery, s.rowid - first + 1, broken, raw FROM stage s JOIN first USING (delivery)
        WHERE broken IS NOT NULL""")
    keys = ", ".join(key)
    con.execute(f"""CREATE TEMP TABLE again AS SELECT rid FROM (
        SELECT s.rowid AS rid, lead(s.rowid) OVER (PARTITION BY {keys} ORDER BY s.rowid) AS later FROM stage s
        SEMI JOIN (SELECT {keys} FROM stage WHERE broken IS NULL GROUP BY ALL HAVING count(*) > 1) USING ({keys}) WHERE broken IS NULL)
        WHERE later IS NOT NULL""")
    con.execute(f"INSERT INTO replaced SELECT '{table}', count(*) FROM again")
    latest = """SELECT * EXCLUDE (broken, raw, first), s.rowid - first + 1 AS row_no
        FROM stage s JOIN first USING (delivery) WHERE broken IS NULL AND s.rowid NOT IN (SELECT rid FROM again)"""
    if con.execute(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{table}'").fetchall()[0][0]:
        con.execute(
            f"MERGE INTO {table} USING ({latest}) USING ({keys}) WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT"
        )
    else:
        con.execute(f"CREATE TABLE {table} AS {latest}")
    con.execute("DROP TABLE stage; DROP TABLE first; DROP TABLE again")


def _in_order(
    columns: dict[str, str], cast: dict[str, str], rules: tuple[tuple[str, str], ...]
) -> list[tuple[str, str]]:
    """Column by column what is asked of it, its type first; then what is asked of the row."""
    types = [(f"{name}.type", f"{name}_text IS NULL OR {name} IS NOT NULL") for name in cast]
    found = [rule for name in columns for rule in (*types, *rules) if rule[0].partition(".")[0] == name]
    return [*found, *(rule for rule in rules if "." not in rule[0])]


def compute(
    con: duckdb.DuckDBPyConnection,
    table: str,
    month: str,
    where: str,
    kpis: tuple[tuple[str, str, str, str], ...],
    first: str,
) -> None:
    measures = ", ".join(f"{n} AS n{i}, {d} AS d{i}" for i, (_, _, n, d) in enumerate(kpis))
    con.execute(f"""CREATE TEMP TABLE found AS SELECT kato, CAST({month} AS DATE) AS month, {measures} FROM {table}
        WHERE {where} AND {month} >= DATE '{first}-01' GROUP BY ALL""")
    for i, (code, kind, _, _) in enumerate(kpis):
        value = {"share": f"100 * n{i} / nullif(d{i}, 0)", "mean": f"n{i} / nullif(d{i}, 0)", "quantile": f"n{i}"}[kind]
        con.execute(f"INSERT INTO kpi SELECT '{code}', kato, month, round({value}, 6), n{i}, d{i} FROM found")
    con.execute("DROP TABLE found")


def answer(work: Path) -> Answer:
    con = duckdb.connect(str(work / "plain.duckdb"), read_only=True)
    rows = {
        feed.table: int((con.execute(f"SELECT count(*) FROM {feed.table}").fetchone() or (0,))[0]) for feed in FEEDS
    }
    broken = dict(con.execute("SELECT table_name || ' ' || rule, count(*) FROM quarantine GROUP BY ALL").fetchall())
    kpis = con.execute("""SELECT code, count(value), sum(value::DECIMAL(18,6))::DOUBLE, coalesce(sum(n) FILTER (WHERE code <> 'BEN01-9'), 0)::DOUBLE,
        coalesce(sum(d) FILTER (WHERE code <> 'BEN01-9'), 0)::DOUBLE FROM kpi WHERE value IS NOT NULL GROUP BY ALL""").fetchall()
    replaced = dict(con.execute("SELECT table_name, rows FROM replaced").fetchall())
    return Answer(rows, broken, replaced, {code: (n, *sums) for code, n, *sums in kpis})
