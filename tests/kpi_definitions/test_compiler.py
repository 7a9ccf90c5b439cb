"""What a definition may say, and what it becomes: the allow-list, fusing, fingerprints, and the SQL itself."""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import compile_kpi, fingerprint, fuse
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import Category, Coverage, Grain, Kpi
from warehouse.tables.contracts import load_tables

CATALOGUE = load_catalogues()
TABLES = {name: table.business_columns for name, table in load_tables().items()}
SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "compiled.sql"
APPEALS, MEDIAN, AIR, DEATHS, SYSTEMS = (
    CATALOGUE.latest(code) for code in ("MGT02-1", "MGT02-2", "ECO01-1", "SAF04-1", "MGT01-1")
)

NOT_LISTED, NO_COLUMN, NOT_ONE = "is not allowed here", "unknown column", "cannot be read as one SQL expression"
NOT_AGGREGATE, NO_DATA, TOO_MANY = "cannot be made by", "reads no column", "too many arguments"

# over the columns of fct_appeal: the rule each breaks, and the text
FILTER_ATTACKS = [
    # other tables
    (NOT_LISTED, "status in (select status from showcase.fct_appeal)"),
    (NOT_LISTED, "not (status in (select 'x'))"),
    (NOT_LISTED, "(select true)"),
    (NOT_LISTED, "exists (from showcase.fct_trip)"),
    (NOT_LISTED, "exists (from read_csv('/etc/passwd'))"),
    (NOT_LISTED, "status = (select content from read_text('/etc/passwd'))"),
    (NOT_LISTED, "status = any(select status from showcase.fct_appeal)"),
    (NOT_LISTED, "due_at - interval (select 1) day > registered_at"),
    (NOT_LISTED, "date_diff('day', registered_at, (select max(due_at) from showcase.fct_appeal)) > 1"),
    (NOT_ONE, "is_emergency union select true"),
    (NO_COLUMN, "population > 1"),
    (NO_COLUMN, "t.status = 'OPEN'"),
    (NO_COLUMN, "c.kato = '710000000'"),
    (NO_COLUMN, "fct_appeal.status = 'OPEN'"),
    (NO_COLUMN, "showcase.fct_trip.trip_id = '1'"),
    (NOT_LISTED, "warehouse.showcase.fct_trip.trip_id.x = '1'"),
    (NO_COLUMN, "kato = '710000000'"),
    (NO_COLUMN, "delivery_id = 1"),
    (NO_COLUMN, "rowid = 1"),
    # files, settings, statements
    (NOT_LISTED, "read_csv('/etc/passwd') is not null"),
    (NOT_LISTED, "read_text('/etc/passwd') = status"),
    (NOT_LISTED, "'/etc/passwd'.read_text() = status"),
    (NOT_LISTED, "glob('/etc/*') is not null"),
    (NOT_LISTED, "query('from showcase.fct_trip') is not null"),
    (NOT_LISTED, "query_table('showcase.fct_trip') is not null"),
    (NOT_LISTED, "getenv('HOME') = status"),
    (NOT_LISTED, "current_setting('threads') = status"),
    (NOT_LISTED, "current_user = status"),
    (NOT_ONE, "attach 'other.duckdb' as other"),
    (NOT_ONE, "copy showcase.fct_appeal to 'out.csv'"),
    (NOT_ONE, "pragma database_list"),
    (NOT_ONE, "set threads = 1"),
    (NOT_ONE, "call pragma_version()"),
    (NOT_ONE, "install httpfs"),
    (NOT_ONE, "is_emergency; drop table showcase.fct_appeal"),
    (NOT_ONE, "is_emergency; select 1"),
    # breaking out of the place in the statement
    (NOT_ONE, "true) from showcase.fct_appeal; drop table showcase.fct_appeal --"),
    (NOT_ONE, "is_emergency) or (true"),
    (NOT_ONE, "is_emergency) /* "),
    (NOT_ONE, "is_emergency limit 1"),
    (NOT_ONE, "is_emergency group by 1"),
    (NOT_ONE, "is_emergency as x"),
    (NOT_ONE, 'due_at - interval 7 "day) or exists (select 1) --" > registered_at'),
    ("unknown unit of time", "due_at - interval '7 select' > registered_at"),
    ("unknown unit of time", "date_diff('day'') or exists(select 1) or (''a'' = ''a', registered_at, due_at) > 1"),
    ("unknown unit of time", "date_diff(status, registered_at, due_at) > 1"),
    # what is not a fact of the row
    (NOT_LISTED, "now() > due_at"),
    (NOT_LISTED, "current_date > due_at"),
    (NOT_LISTED, "today() > due_at"),
    (NOT_LISTED, "random() < 0.5"),
    (NOT_LISTED, "nextval('s') > 1"),
    (NOT_LISTED, "row_number() over () = 1"),
    (NOT_LISTED, "lag(due_at) over (order by due_at) < due_at"),
    (NOT_LISTED, "count(*) > 1"),
    # functions that cost time or are not known
    (NOT_LISTED, "sleep(5) is null"),
    (NOT_LISTED, "pg_sleep(5) is null"),
    (NOT_LISTED, "regexp_matches(status, '(a+)+$')"),
    (NOT_LISTED, "status ~ '(a+)+$'"),
    (NOT_LISTED, "status like '%a%a%a%'"),
    (NOT_LISTED, "my_macro(status) = 1"),
    (NOT_LISTED, "error('stop') is null"),
    # other shapes of values
    (NOT_LISTED, "list_transform([1], x -> x) is not null"),
    (NOT_LISTED, "list_filter([1], lambda x: true) is not null"),
    (NOT_LISTED, "[x for x in [1, 2]] is not null"),
    (NOT_LISTED, "status['x'] = 1"),
    (NOT_LISTED, "(status).x = 1"),
    (NO_COLUMN, "status.x = 1"),
    (NOT_LISTED, "struct_extract(status, 'x') = 1"),
    (NOT_LISTED, "{'a': status} is not null"),
    (NOT_LISTED, "status in unnest(['OPEN'])"),
    (NOT_LISTED, "columns(*) is not null"),
    (NOT_LISTED, "columns('.*_at') is not null"),
    (NOT_LISTED, "*"),
    (NOT_LISTED, "* exclude (status)"),
    (NO_COLUMN, "t.*"),
    (NOT_LISTED, "status::mood = 'x'"),
    (NOT_LISTED, "cast(status as enum('a', 'b')) = 'a'"),
    (NOT_LISTED, "try_cast(status as integer) = 1"),
    (NOT_LISTED, "case when is_emergency then true else false end"),
    (NOT_LISTED, "'read_' || 'csv' = status"),
    (NOT_LISTED, "concat('a', status) = 'b'"),
    (NOT_LISTED, "status = ?"),
    (NOT_LISTED, "status = $1"),
    (NOT_LISTED, "status = $name"),
    (NOT_LISTED, "#1 = 1"),
    (NOT_LISTED, "$$OPEN$$ = status"),
    # letters that look like others
    (NO_COLUMN, "stаtus = 'OPEN'"),  # Cyrillic а
    (NO_COLUMN, "ｓtatus = 'OPEN'"),  # full width
    ("nobody can see", "status\u200b = 'OPEN'"),  # zero width space
    (NOT_ONE, "is_emergency\u037e drop table x"),  # Greek question mark
    (NO_COLUMN, '"Status" = 1'),
]  # fmt: skip

AGGREGATE_ATTACKS: list[tuple[str, Kpi, str, str]] = [
    (NOT_LISTED, APPEALS, "numerator", "count((select 1))"),
    (NOT_LISTED, APPEALS, "numerator", "count(distinct (select 1))"),
    (NOT_LISTED, APPEALS, "numerator", "count(read_csv('/etc/passwd'))"),
    (NOT_LISTED, APPEALS, "numerator", "count(columns(*))"),
    (NOT_LISTED, APPEALS, "numerator", "count(* exclude (status))"),
    (NO_COLUMN, APPEALS, "numerator", "count(t.status)"),
    (NO_COLUMN, APPEALS, "numerator", "count(population)"),
    (NOT_AGGREGATE, APPEALS, "numerator", "count(*) over ()"),
    (NOT_AGGREGATE, APPEALS, "numerator", "count(*) filter (where true)"),
    (NOT_AGGREGATE, APPEALS, "numerator", "list(status)"),
    (NOT_AGGREGATE, APPEALS, "numerator", "approx_count_distinct(status)"),
    (NOT_AGGREGATE, APPEALS, "numerator", "max(due_at)"),
    (NOT_AGGREGATE, APPEALS, "numerator", "status"),
    (NOT_AGGREGATE, APPEALS, "numerator", "count(*) + 1"),
    (NOT_ONE, APPEALS, "numerator", "count(*) from showcase.fct_trip"),
    (NOT_ONE, APPEALS, "numerator", "count(*); drop table showcase.fct_trip"),
    (NOT_ONE, APPEALS, "numerator", "count(*)) from showcase.fct_trip --"),
    (TOO_MANY, APPEALS, "numerator", "count(status, category)"),
    (NO_DATA, APPEALS, "numerator", "count(1)"),
    (NO_DATA, DEATHS, "numerator", "sum(5)"),
    (NOT_LISTED, DEATHS, "numerator", "sum(*)"),
    (NOT_LISTED, DEATHS, "numerator", "sum(sum(deaths_30d))"),
    (NOT_LISTED, DEATHS, "numerator", "sum(deaths_30d order by injured)"),
    (NOT_LISTED, DEATHS, "numerator", "sum(case when true then 1 end)"),
    (NOT_AGGREGATE, DEATHS, "denominator", "100000"),
    (NOT_AGGREGATE, DEATHS, "denominator", "arg_max(population, as_of_date)"),
    (NOT_AGGREGATE, DEATHS, "denominator", "any_value(population)"),
    (NO_DATA, DEATHS, "denominator", "max(100000)"),
    (NO_DATA, DEATHS, "denominator", "max(period_end)"),
    (TOO_MANY, DEATHS, "denominator", "max(population, 3)"),
    (NO_COLUMN, DEATHS, "denominator", "max(deaths_30d)"),  # a column of the numerator's table
    (NO_DATA, AIR, "numerator", "avg(15)"),
    (NOT_AGGREGATE, AIR, "numerator", "sum(value_ug_m3)"),
    (NOT_AGGREGATE, MEDIAN, "numerator", "approx_quantile(date_diff('day', registered_at, due_at), 0.5)"),
    (NOT_AGGREGATE, MEDIAN, "numerator", "mode(status)"),
    (NO_DATA, MEDIAN, "numerator", "quantile_cont(1, 0.9)"),
    ("must be a number", MEDIAN, "numerator", "quantile_cont(date_diff('day', registered_at, due_at), [0.1, 0.9])"),
    ("must be a number", MEDIAN, "numerator", "quantile_cont(date_diff('day', registered_at, due_at), period_end)"),
    ("must be a number", MEDIAN, "numerator", "quantile_cont(date_diff('day', registered_at, due_at), '0.9')"),
    ("must be a number", MEDIAN, "numerator", "quantile_cont(date_diff('day', registered_at, due_at), 90)"),
]


def with_filter(kpi: Kpi, text: str) -> Kpi:
    return kpi.model_copy(update={"rows": kpi.rows.model_copy(update={"filter": text})})


def with_part(kpi: Kpi, side: str, **update: Any) -> Kpi:
    return kpi.model_copy(update={side: getattr(kpi, side).model_copy(update=update)})


def test_there_are_attacks_enough() -> None:
    assert len({text for _, text in FILTER_ATTACKS}) >= 40
    assert len({text for *_, text in AGGREGATE_ATTACKS}) >= 30


@pytest.mark.parametrize(("rule", "text"), FILTER_ATTACKS, ids=[text for _, text in FILTER_ATTACKS])
def test_filter_refuses(rule: str, text: str) -> None:
    """Wherever a condition may stand: on the rows and on the numerator."""
    for kpi, where in (
        (with_filter(APPEALS, text), ("rows", "filter")),
        (with_part(APPEALS, "numerator", filter=text), ("numerator", "filter")),
    ):
        with pytest.raises(ExpressionError) as caught:
            compile_kpi(kpi, TABLES)
        assert rule in caught.value.message
        assert caught.value.where == where
        assert caught.value.remedy


@pytest.mark.parametrize(("rule", "kpi", "side", "text"), AGGREGATE_ATTACKS, ids=[a[3] for a in AGGREGATE_ATTACKS])
def test_aggregate_refuses(rule: str, kpi: Kpi, side: str, text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_kpi(with_part(kpi, side, aggregate=text), TABLES)
    assert rule in caught.value.message
    assert caught.value.where == (side, "aggregate")
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "is_emergency",
        "status in ('OPEN', 'CLOSED') and not is_emergency",
        "due_at between period_start and period_end - interval 7 day",
        "date_diff('hour', registered_at, closed_at) <= 72 or closed_at is null",
        "coalesce(closed_at, period_end) > due_at",
        "status = '); drop table showcase.fct_appeal; --'",  # text stays text
        "\"status\" <> 'it''s'",
        "abs(date_diff('minute', registered_at, closed_at) * 2 - 1) / 3.0 > 1.5e1",
        "registered_at > '2026-01-01' -- since the portal",
        "is_emergency /* or exists (select 1) */",
    ],
)
def test_plain_conditions_compile_and_bind(text: str) -> None:
    scan = compile_kpi(with_filter(APPEALS, text), TABLES).numerator.scan
    sql = scan.sql("fct_appeal", "cells")
    assert "--" not in sql.replace("; --'", "")
    assert "/*" not in sql
    assert set(_database().get_table_names(sql)) == {"fct_appeal", "cells"}
    assert _database().execute(sql).fetchall() == []


@pytest.mark.parametrize("kpi", CATALOGUE.kpis, ids=lambda k: f"{k.code}@{k.version}")
def test_shipped_definitions_read_their_own_tables_and_nothing_else(kpi: Kpi) -> None:
    """DuckDB itself is asked what each statement reads."""
    named = {part.rows.table for part in (kpi.numerator, kpi.denominator) if part and part.rows} | {kpi.rows.table}
    compiled = compile_kpi(kpi, TABLES)
    assert set(compiled.tables) == named
    for scan in compiled.scans:
        for any_window in (False, True):
            sql = scan.sql(scan.table, "cells", any_window=any_window)
            assert set(_database().get_table_names(sql)) == {scan.table, "cells"}
            assert _database().execute(sql).fetchall() == []


def test_unknown_table_and_wrong_time_columns_are_refused() -> None:
    def refused(**rows: Any) -> ExpressionError:
        with pytest.raises(ExpressionError) as caught:
            compile_kpi(APPEALS.model_copy(update={"rows": APPEALS.rows.model_copy(update=rows)}), TABLES)
        return caught.value

    error = refused(table="fct_secret")
    assert (error.where, "fct_secret" in error.message) == (("rows", "table"), True)
    assert "fct_appeal" in error.remedy
    assert refused(event="status").where == ("rows", "event")
    assert refused(event="no_such").where == ("rows", "event")
    assert refused(event=None, as_of="category").where == ("rows", "as_of")
    stock = SYSTEMS.rows.stock
    assert stock is not None
    error = refused(event=None, stock=stock.model_copy(update={"start": "registered_at", "end": "closed_at"}))
    assert "not delivered as snapshots" in error.message


# ---- fusing


def another(kpi: Kpi, code: str, **rows: Any) -> Kpi:
    return kpi.model_copy(update={"code": code, "rows": kpi.rows.model_copy(update=rows)})


def test_kpis_on_the_same_table_time_and_grain_share_one_scan() -> None:
    emergencies = another(APPEALS, "MGT02-3", filter="is_emergency")
    undated = another(APPEALS, "MGT02-4", event="registered_at")
    yearly = APPEALS.model_copy(update={"code": "MGT02-5", "period": Grain.YEAR})
    compiled = [compile_kpi(k, TABLES) for k in (APPEALS, emergencies, undated, yearly)]
    scans = fuse(compiled)
    assert sorted((s.time.column, str(s.grain), len(s.measures)) for s in scans) == [
        ("due_at", "A", 3),
        ("due_at", "M", 6),
        ("registered_at", "M", 3),
    ]
    assert [(s.table, s.time, s.grain) for s in fuse(reversed(compiled))] == [(s.table, s.time, s.grain) for s in scans]


def test_a_fused_scan_counts_what_its_parts_count() -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE cells AS SELECT '1' AS kato, '2026-01' AS period_id, TIMESTAMP '2026-01-01' AS period_start, "
                "TIMESTAMP '2026-02-01' AS period_end, DATE '2026-02-01' AS period_end_population_date")  # fmt: skip
    con.execute(
        f"CREATE TABLE fct_appeal (kato VARCHAR, {', '.join(f'{c} {t}' for c, t in TABLES['fct_appeal'].items())})"
    )
    for number, (status, emergency) in enumerate([("OPEN", True), ("OPEN", False), ("WITHDRAWN", True)]):
        con.execute("INSERT INTO fct_appeal BY NAME SELECT '1' AS kato, ? AS appeal_id, TIMESTAMP '2026-01-05' AS due_at, ? AS status, ? AS is_emergency",
                    [str(number), status, emergency])  # fmt: skip
    compiled = [compile_kpi(k, TABLES) for k in (APPEALS, another(APPEALS, "MGT02-3", filter="is_emergency"))]
    (scan,) = fuse(compiled)
    together = con.execute(scan.sql("fct_appeal", "cells")).fetchall()
    alone = [con.execute(one.scans[0].sql("fct_appeal", "cells")).fetchall()[0][2:] for one in compiled]
    assert together == [("1", "2026-01", *alone[0], *alone[1])]
    assert [part[1] for part in alone] == [2, 2]  # not withdrawn; emergencies


# ---- fingerprints


@pytest.mark.parametrize(
    "kpi",
    [
        with_filter(APPEALS, "status<>'WITHDRAWN'"),
        with_filter(APPEALS, "\n  status   !=  'WITHDRAWN'  -- left out"),
        with_part(APPEALS, "numerator", aggregate="COUNT( * )"),
        with_part(APPEALS, "numerator", filter="closed_at<=due_at"),
        APPEALS.model_copy(update={"name": DEATHS.name, "description": None}),
        APPEALS.model_copy(update={"change_note": "other words", "approved_by": "someone"}),
        APPEALS.model_copy(update={"valid_to": dt.date(2030, 1, 1)}),
        APPEALS.model_copy(update={"standards": DEATHS.standards}),
        APPEALS.model_copy(update={"sensitivity": "internal"}),
    ],
)
def test_layout_and_labels_do_not_change_the_fingerprint(kpi: Kpi) -> None:
    assert kpi != APPEALS
    assert fingerprint(kpi) == fingerprint(APPEALS)


CHANGES = {
    "rows filter": with_filter(APPEALS, "status <> 'OPEN'"),
    "case of text": with_filter(APPEALS, "status <> 'withdrawn'"),
    "no rows filter": APPEALS.model_copy(update={"rows": APPEALS.rows.model_copy(update={"filter": None})}),
    "comparison": with_part(APPEALS, "numerator", filter="closed_at < due_at"),
    "aggregate": with_part(APPEALS, "numerator", aggregate="count(distinct appeal_id)"),
    "time column": another(APPEALS, APPEALS.code, event="registered_at"),
    "table": another(APPEALS, APPEALS.code, table="fct_trip"),
    "scale": APPEALS.model_copy(update={"scale": 1000}),
    "version": APPEALS.model_copy(update={"version": 2}),
    "valid_from": APPEALS.model_copy(update={"valid_from": dt.date(2027, 1, 1)}),
    "unit": APPEALS.model_copy(update={"unit": "PPM"}),
    "direction": APPEALS.model_copy(update={"direction": "lower"}),
    "period": APPEALS.model_copy(update={"period": Grain.QUARTER}),
    "categories": APPEALS.model_copy(update={"categories": (Category.REPUBLICAN,)}),
    "coverage": APPEALS.model_copy(update={"coverage": Coverage(minimum=0.5)}),
    "minimum sample": APPEALS.model_copy(update={"minimum_sample": 2}),
    "late data": APPEALS.model_copy(update={"late_data_days": 11}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_meaning_changes_the_fingerprint(what: str) -> None:
    assert fingerprint(CHANGES[what]) != fingerprint(APPEALS)


def test_all_fingerprints_differ() -> None:
    kpis = [*CATALOGUE.kpis, *CHANGES.values()]
    assert len({fingerprint(kpi) for kpi in kpis}) == len(kpis)


# ---- the SQL


def test_compiled_sql_is_the_recorded_one() -> None:
    """Read the difference before recording it: QALA_UPDATE_SNAPSHOTS=1 pytest tests/kpi_definitions/test_compiler.py."""
    texts = []
    for kpi in CATALOGUE.kpis:
        for scan in compile_kpi(kpi, TABLES).scans:
            texts.append(
                f"-- {kpi.code} version {kpi.version}: {kpi.name.en}\n{scan.sql(f'showcase.{scan.table}', 'cells')};\n"
            )
    current = "\n".join(texts)
    if os.environ.get("QALA_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(current, encoding="utf-8")
    assert current == SNAPSHOT.read_text(encoding="utf-8")


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Empty tables with the warehouse's columns."""
    con = duckdb.connect()
    for name, columns in TABLES.items():
        con.execute(f"CREATE TABLE {name} (kato VARCHAR, {', '.join(f'{c} {t}' for c, t in columns.items())})")
    con.execute(
        "CREATE TABLE cells (kato VARCHAR, period_id VARCHAR, period_start TIMESTAMP, period_end TIMESTAMP, period_end_population_date DATE)"
    )
    return con
