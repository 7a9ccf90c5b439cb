"""A scan as other engines run it gives the parts that the warehouse's own scan gives, cell by cell."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import compile_kpi, fuse
from kpi_definitions.engine_scans import EngineScan, engine_scan
from kpi_definitions.model import Grain
from kpi_definitions.scans import Asked, Function, Measure, RowTime, Scan, TimeRule
from tests.support.clickhouse_server import AS_ENGINES_KEEP_IT, by_chdb
from warehouse.engines.hard_values import COLUMNS, VALUES
from warehouse.tables.contracts import load_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLES = {name: table.business_columns for name, table in load_tables().items()}
KPIS = load_catalogues().kpis
DIALECTS = ("clickhouse", "spark")
KATOS = ["710000000", "750000000", "it's {rows}"]
SEQ = 7
HARD = {**COLUMNS, "snapshot_date": "DATE", "begun": "TIMESTAMP", "day": "DATE", "ended_at": "TIMESTAMP"}


def first_of(year: int, month: int) -> dt.date:
    return dt.date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


MONTHS = [(first_of(2023, month), first_of(2023, month + 1)) for month in (11, 12, 13, 14, 16, 17)]  # one is missing
MEASURES = [
    Measure("n_all", "count(*)"),
    Measure("n_some", "count_if(i > 0)", asked=Asked(Function.COUNT, None, ("i > 0", "f is not true"))),
    Measure("n_values", "", asked=Asked(Function.COUNT, "d", ("g",))),
    Measure("d_texts", "", asked=Asked(Function.DISTINCT, "s", ("f",))),
    Measure("d_times", "", asked=Asked(Function.DISTINCT, "t", ())),
    Measure("d_decimals", "", asked=Asked(Function.DISTINCT, "e", ("i > 0",))),
    Measure("d_truths", "", asked=Asked(Function.DISTINCT, "g", ())),
    Measure("s_whole", "", asked=Asked(Function.SUM, "i", ())),
    Measure("s_big", "", asked=Asked(Function.SUM, "b", ("b > 0",))),
    Measure("s_decimal", "", asked=Asked(Function.SUM, "e", ("i is not null",))),
    Measure("s_truth", "", asked=Asked(Function.SUM, "g", ("f",))),
    Measure("s_none", "", asked=Asked(Function.SUM, "i", ("i > 0 and i < 0",))),
    Measure("s_days", "", asked=Asked(Function.SUM, "date_diff('day', greatest(begun, period_start), least(t, period_end))", ("f or g",))),
    Measure("s_product", "", asked=Asked(Function.SUM, "d * 0.001 - e", ())),
    Measure("m_whole", "", asked=Asked(Function.MAX, "b", ())),
    Measure("m_decimal", "", asked=Asked(Function.MAX, "-d", ("f",))),
    Measure("l_whole", "", asked=Asked(Function.LOW, "b", (), "0.9")),
    Measure("h_whole", "", asked=Asked(Function.HIGH, "b", (), "0.9")),
    Measure("l_decimal", "", asked=Asked(Function.LOW, "d", ("g is not null",), "0.5")),
    Measure("h_double", "", asked=Asked(Function.HIGH, "date_diff('microsecond', begun, t) / 86400000000.0", (), "0.333")),
    Measure("l_double", "", asked=Asked(Function.LOW, "i / 7", ("s <> 'a'",), "1")),
    Measure("n_before", "", asked=Asked(Function.COUNT, None, ("t >= period_end - interval 30 day and x < period_end_population_date",))),
]  # fmt: skip
FEW = [
    measure for measure in MEASURES if measure.name in ("n_all", "s_days", "l_whole", "n_before")
]  # what depends on the period
RULES = [
    RowTime(TimeRule.EVENT, "begun"),
    RowTime(TimeRule.EVENT, "day"),
    RowTime(TimeRule.LISTED, "begun"),
    RowTime(TimeRule.STOCK, "begun", "ended_at"),
    RowTime(TimeRule.DURING, "day", "ended_at"),
    RowTime(TimeRule.AS_OF, "day"),
    RowTime(TimeRule.AS_OF, "begun"),
]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A table with rows at the edges of months, and which hold or do not hold at SEQ."""
    chance = random.Random(22)  # noqa: S311
    edges = ["2023-10-31 23:59:59.999999", "2024-06-01 00:00:00"]
    for start, end in MONTHS:
        edges += [
            f"{start} 00:00:00",
            f"{start} 00:00:00.000001",
            f"{start + dt.timedelta(days=27)} 12:00:00",
            f"{end - dt.timedelta(days=1)} 23:59:59.999999",
        ]
    with duckdb.connect() as con:
        names = ", ".join(f"{name} {kind}" for name, kind in HARD.items())
        con.execute(f"CREATE TABLE hard ({names}, kato VARCHAR, valid_from_seq BIGINT, valid_to_seq BIGINT)")
        found = []
        for _ in range(1500):
            row = {name: chance.choice(VALUES[kind]) for name, kind in COLUMNS.items()}
            row |= {
                "snapshot_date": str(chance.choice(MONTHS)[1]),
                "begun": chance.choice(edges),
                "day": chance.choice(edges)[:10],
            }
            row |= {"ended_at": chance.choice([None, *edges]), "kato": chance.choice([*KATOS, "390000000"])}
            row |= {
                "valid_from_seq": str(chance.choice((1, SEQ, SEQ + 1))),
                "valid_to_seq": chance.choice((None, None, str(SEQ), str(SEQ + 1))),
            }
            found.append(tuple(row.values()))
        con.executemany(f"INSERT INTO hard VALUES ({', '.join('?' * len(found[0]))})", found)
        con.execute(
            f"CREATE VIEW held AS SELECT * FROM hard WHERE valid_from_seq <= {SEQ} AND (valid_to_seq IS NULL OR valid_to_seq > {SEQ})"
        )
        yield con


@pytest.fixture(scope="module")
def file(con: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scans") / "hard.parquet"
    kept = (f"{AS_ENGINES_KEEP_IT.get(kind, '{}').format(name)} AS {name}" for name, kind in HARD.items())
    con.execute(f"COPY (SELECT {', '.join(kept)}, kato, valid_from_seq, valid_to_seq FROM hard) TO '{path}'")
    return path


def scan_of(time: RowTime, measures: Sequence[Measure]) -> Scan:
    return Scan("hard", time, Grain.MONTH, tuple(measures))


def cells() -> str:
    rows = ", ".join(
        f"('{kato.replace(chr(39), chr(39) * 2)}', '{start}', TIMESTAMP '{start}', TIMESTAMP '{end}', DATE '{end}')"
        for kato in KATOS
        for start, end in MONTHS
    )
    return f"(SELECT * FROM (VALUES {rows}) v(kato, period_id, period_start, period_end, period_end_population_date))"


def by_hand(con: duckdb.DuckDBPyConnection, time: RowTime, measure: Measure) -> Mapping[tuple[str, str], Any]:
    """What a measure asks for, over the rows that the warehouse's own scan joins to its cells."""
    asked = measure.asked
    argument = asked.argument or "1"
    where = " AND ".join(f"coalesce({text}, false)" for text in asked.conditions) or "true"
    taken = f"FILTER (WHERE ({where}) AND ({argument}) IS NOT NULL)"
    at = f"(count(*) {taken} - 1) * CAST({asked.share} AS DOUBLE)"
    made = {
        Function.COUNT: f"count(*) {taken}",
        Function.DISTINCT: f"count(DISTINCT {argument}) {taken}",
        Function.SUM: f"sum({argument}) {taken}",
        Function.MAX: f"max({argument}) {taken}",
        Function.LOW: f"list_sort(list({argument}) {taken})[CAST(floor({at}) AS BIGINT) + 1]",
        Function.HIGH: f"list_sort(list({argument}) {taken})[CAST(ceil({at}) AS BIGINT) + 1]",
    }[asked.function]
    joined = scan_of(time, [])._from("held", cells(), False)
    sql = f"SELECT c.kato, c.period_id, {made} {joined} GROUP BY c.kato, c.period_id"
    return {(kato, period): found for kato, period, found in con.execute(sql).fetchall()}


def typed(found: Any, sql_type: str) -> Any:
    """A value of an answer as its column's type has it."""
    if isinstance(found, bytes):
        found = found.decode()
    return Decimal(found) if sql_type.startswith("DECIMAL") and found is not None else found


def answer(rows: Sequence[Mapping[str, Any]], scan: EngineScan) -> dict[tuple[str, str], dict[str, Any]]:
    made = ({name: typed(row[name], kind) for name, kind in scan.columns.items()} for row in rows)
    return {(row["kato"], str(dt.date(1970, 1, 1) + dt.timedelta(days=row["period_start"]))): row for row in made}


@pytest.mark.parametrize("time", RULES, ids=str)
def test_chdb_gives_every_part_of_every_cell(con: duckdb.DuckDBPyConnection, file: Path, time: RowTime) -> None:
    measures = MEASURES if time is RULES[0] else FEW
    scan = engine_scan(scan_of(time, measures), "clickhouse", HARD, KATOS, MONTHS, SEQ)
    assert (scan.sql.count("{"), scan.sql.count("{rows}")) == (1, 1)
    rows = by_chdb(scan.sql.replace("{rows}", f"file('{file}')"))
    found = answer(rows, scan)
    assert len(rows) == len(found) > 10
    assert wrong_parts(con, time, measures, found) == []


@pytest.mark.slow
@pytest.mark.parametrize("time", RULES, ids=str)
def test_spark_gives_every_part_of_every_cell(
    con: duckdb.DuckDBPyConnection, spark: SparkSession, tmp_path: Path, time: RowTime
) -> None:
    con.execute(f"COPY hard TO '{tmp_path}/hard.parquet'")
    spark.read.parquet(f"{tmp_path}/hard.parquet").createOrReplaceTempView("hard")
    measures = MEASURES if time is RULES[0] else FEW
    scan = engine_scan(scan_of(time, measures), "spark", HARD, KATOS, MONTHS, SEQ)
    rows = [row.asDict() for row in spark.sql(scan.sql.replace("{rows}", "hard")).collect()]
    assert wrong_parts(con, time, measures, answer(rows, scan)) == []


def wrong_parts(
    con: duckdb.DuckDBPyConnection,
    time: RowTime,
    measures: Sequence[Measure],
    found: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[tuple[Any, ...]]:
    """What an engine gave and DuckDB did not: measure, cell, both."""
    wrong: list[tuple[Any, ...]] = []
    for measure in measures:
        wanted = by_hand(con, time, measure)
        assert wanted.keys() == found.keys()
        wrong += [
            (measure.name, cell, found[cell][measure.name], value)
            for cell, value in wanted.items()
            if found[cell][measure.name] != value
        ]
    return wrong


def test_a_whole_number_beyond_its_type_is_counted_where_duckdb_fails(
    con: duckdb.DuckDBPyConnection, file: Path
) -> None:
    """The warehouse's DuckDB fails in a cell if and only if the count of such rows is not 0, even where a condition leaves them out."""
    time = RowTime(TimeRule.EVENT, "begun")
    arguments = [
        ("i * j", "true"),
        ("i + j", "i < 1000 and j < 1000"),
        ("b - c", "b < 9 and c < 9"),
        ("-i", "true"),
        ("abs(b)", "f"),
        ("e * i", "i = 1"),
        ("d * 0.001 * i", "true"),
        ("i", "i * j > 5"),
        ("coalesce(i, j) + 1", "true"),
        ("coalesce(d, i * j)", "true"),
        ("i", "f and i * j > 5"),
        ("j", "f or i + j > 5"),
        ("greatest(i, i * j)", "true"),
    ]
    measures = [
        Measure(f"m{n}", "", asked=Asked(Function.SUM, what, (where,))) for n, (what, where) in enumerate(arguments)
    ]
    scan = engine_scan(scan_of(time, measures), "clickhouse", HARD, KATOS, MONTHS, SEQ)
    found = answer(by_chdb(scan.sql.replace("{rows}", f"file('{file}')")), scan)
    joined = scan_of(time, [])._from("held", cells(), False)
    both = set()
    for measure, (what, where) in zip(measures, arguments, strict=True):
        out = scan.overflows.get(measure.name)
        for (kato, period), row in found.items():
            sql = f"SELECT sum({what}) FILTER (WHERE {where}) {joined} AND c.kato = ? AND c.period_id = ?"
            try:
                wanted = con.execute(sql, [kato, period]).fetchall()[0][0]
            except duckdb.OutOfRangeException:
                assert row[out or ""] > 0, (what, kato, period)
                both.add("fails")
                continue
            assert not (out and row[out]), (what, kato, period)
            assert row[measure.name] == wanted, (what, kato, period)
            both.add("counts")
    assert both == {"fails", "counts"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_kpis_are_said_in_one_select_over_one_table(dialect: str) -> None:
    compiled = [compile_kpi(kpi, TABLES) for kpi in KPIS]
    scans = fuse(compiled)
    assert len(compiled) >= 64
    for scan in scans:
        said = engine_scan(scan, dialect, TABLES[scan.table], KATOS, MONTHS, SEQ)
        assert (said.sql.upper().count("SELECT"), said.sql.count("{rows}"), " JOIN " in said.sql) == (1, 1, False)
        assert list(said.columns) == [
            "kato",
            "period_start",
            *(m.name for m in scan.measures),
            *said.overflows.values(),
        ]


def test_periods_that_overlap_and_nothing_asked_for_are_refused() -> None:
    scan = scan_of(RowTime(TimeRule.EVENT, "begun"), MEASURES[:1])
    with pytest.raises(ValueError, match="overlap"):
        engine_scan(scan, "spark", HARD, KATOS, [MONTHS[0], (dt.date(2023, 11, 30), dt.date(2023, 12, 30))], SEQ)
    for katos, periods in (([], MONTHS), (KATOS, [])):
        with pytest.raises(ValueError, match="at least one"):
            engine_scan(scan, "spark", HARD, katos, periods, SEQ)
