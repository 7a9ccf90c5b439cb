"""Every engine means the same by what a definition says: DuckDB, as the compiler writes it, is the judge."""

from __future__ import annotations

import math
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from sqlglot import exp

from kpi_definitions import functions as functions_module
from kpi_definitions.documents import loaded
from kpi_definitions.expressions import SCALAR, parse
from kpi_definitions.functions import DIALECTS, Family, functions
from kpi_definitions.scans import Asked, Function
from kpi_definitions.spelling import argument_of, condition, spelled
from kpi_definitions.values import SpellingError, Value
from tests.support.clickhouse_server import AS_ENGINES_KEEP_IT, by_chdb
from tools.clusters.clickhouse import DATABASE, LOADER, Servers, down, unavailable, up
from warehouse.engines.hard_values import COLUMNS, CONDITIONS, DATES, NUMBERS, TEXTS, TIMES, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVERYTHING = [*CONDITIONS, *NUMBERS, *TIMES, *DATES, *TEXTS]
# months, quarters and years are long texts, of which ClickHouse takes half a second each to read: few of them every time
LONG = [
    text
    for text in EVERYTHING
    if any(unit in text for unit in (" month", " quarter", " year", "'month'", "'quarter'", "'year'"))
]
SHORT = [
    *(text for text in EVERYTHING if text not in LONG),
    "t + interval 1 month",
    "date_diff('month', x, y)",
    "date_trunc('year', t)",
]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE hard (id INTEGER, {', '.join(f'{n} {t}' for n, t in COLUMNS.items())})")
        found = [(number, *row) for number, row in enumerate(rows())]
        con.executemany(f"INSERT INTO hard VALUES ({', '.join('?' * (len(COLUMNS) + 1))})", found)
        yield con


@pytest.fixture(scope="module")
def file(con: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows as ClickHouse keeps them: times and dates as whole numbers."""
    path = tmp_path_factory.mktemp("hard") / "hard.parquet"
    kept = (f"{AS_ENGINES_KEEP_IT.get(kind, '{}').format(name)} AS {name}" for name, kind in COLUMNS.items())
    con.execute(f"COPY (SELECT id, {', '.join(kept)} FROM hard) TO '{path}'")
    return path


def by_duckdb(con: duckdb.DuckDBPyConnection, texts: list[str], values: list[Value]) -> list[tuple[Any, ...]]:
    """The values of expressions in every row; None where DuckDB has no room for one."""
    made = []
    for text, value in zip(texts, values, strict=True):
        kind = {Family.TIME: "TIMESTAMP", Family.DATE: "DATE"}.get(value.family, "")
        found = f"TRY({text})" if value.checks else f"({text})"
        found = AS_ENGINES_KEEP_IT.get(kind, "{}").format(found)
        made.append(f"{found}::VARCHAR" if value.family is Family.DECIMAL else found)
    return con.execute(f"SELECT {', '.join(made)} FROM hard AS t ORDER BY id").fetchall()


def by_clickhouse(file: Path, values: list[Value]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for batch in batches([said_of(value, "clickhouse") for value in values]):
        sql = f"SELECT {', '.join(f'{m} AS x{n}' for n, m in enumerate(batch))} FROM file('{file}') ORDER BY id"
        some = [tuple(row.values()) for row in by_chdb(sql)]
        found = [(*row, *more) for row, more in zip(found, some, strict=True)] if found else some
    return found


def batches(texts: list[str], longest: int = 200_000) -> Iterator[list[str]]:
    """Texts in their order, as many at a time as an engine reads in one statement."""
    batch: list[str] = []
    for text in texts:
        if batch and sum(map(len, batch)) + len(text) > longest:
            yield batch
            batch = []
        batch.append(text)
    yield batch


def said_of(value: Value, dialect: str) -> str:
    """A value's text in a dialect, NULL where it is outside of what DuckDB has room for."""
    number = DIALECTS.index(dialect)
    text = value.said[number].value
    if value.form is Family.DECIMAL:
        text = f"toString({text})" if dialect == "clickhouse" else f"CAST({text} AS STRING)"
    if not value.checks:
        return text
    outside = " OR ".join(check[number].true for check in value.checks)
    return f"if({outside}, NULL, {text})" if dialect == "clickhouse" else f"CASE WHEN NOT ({outside}) THEN {text} END"


def plain(found: Any) -> Any:
    """A value as it is compared: numbers by their worth, what is no number equal to itself."""
    if isinstance(found, bytes):
        found = found.decode()
    if isinstance(found, float) and math.isnan(found):
        return "no number"
    return found


def same(
    wanted: list[tuple[Any, ...]], found: list[tuple[Any, ...]], texts: list[str], values: list[Value]
) -> list[str]:
    wrong = []
    for number, (text, value) in enumerate(zip(texts, values, strict=True)):
        for row, (one, other) in enumerate(zip(wanted, found, strict=True)):
            first, second = plain(one[number]), plain(other[number])
            if value.form is Family.DECIMAL and None not in (first, second):
                first, second = Decimal(str(first)), Decimal(str(second))
            if first != second:
                wrong.append(f"{text} in row {row}: {first!r}, not {second!r}")
                break
    return wrong


@pytest.mark.parametrize(
    "texts", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short", "calendar arithmetic"]
)
def test_clickhouse_means_by_it_what_duckdb_does(con: duckdb.DuckDBPyConnection, file: Path, texts: list[str]) -> None:
    values = [spelled(text, COLUMNS, ()) for text in texts]
    wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in texts], values)
    assert same(wanted, by_clickhouse(file, values), texts, values) == []


@pytest.mark.slow
@pytest.mark.parametrize("ansi", ["true", "false"])
def test_spark_means_by_it_what_duckdb_does(
    con: duckdb.DuckDBPyConnection, spark: SparkSession, tmp_path: Path, ansi: str
) -> None:
    con.execute(f"COPY hard TO '{tmp_path}/hard.parquet'")
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    spark.read.parquet(f"{tmp_path}/hard.parquet").createOrReplaceTempView("hard")
    values = [spelled(text, COLUMNS, ()) for text in EVERYTHING]
    wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in EVERYTHING], values)
    found: list[tuple[Any, ...]] = []
    for batch in batches([said_of(value, "spark") for value in values], 30_000):
        sql = f"SELECT {', '.join(f'{m} AS x{n}' for n, m in enumerate(batch))} FROM hard ORDER BY id"
        some = [tuple(row) for row in spark.sql(sql).collect()]
        found = [(*row, *more) for row, more in zip(found, some, strict=True)] if found else some
    assert same(wanted, found, EVERYTHING, values) == []


@pytest.mark.slow
@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_an_old_server_of_clickhouse_means_by_it_what_duckdb_does(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    servers = up(tmp_path, shards=1)
    try:
        kept = ", ".join(AS_ENGINES_KEEP_IT.get(kind, "{}").format(name) for name, kind in COLUMNS.items())
        types = ", ".join(
            f"{name} Nullable({OLD_TYPES.get(kind) or OLD_TYPES[kind[:7]] % kind[-2]})"
            for name, kind in COLUMNS.items()
        )
        rows = con.execute(f"SELECT id, {kept} FROM hard ORDER BY id").fetchall()
        ask(servers, f"CREATE TABLE {DATABASE}.hard (id Int32, {types}) ENGINE = MergeTree ORDER BY id")
        lines = ("\t".join(map(tab_separated, row)) for row in rows)
        ask(servers, f"INSERT INTO {DATABASE}.hard FORMAT TabSeparated\n" + "\n".join(lines) + "\n")
        values = [spelled(text, COLUMNS, ()) for text in EVERYTHING]
        wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in EVERYTHING], values)
        made = [said_of(value, "clickhouse") for value in values]
        found = [ask(servers, f"SELECT {text} FROM {DATABASE}.hard ORDER BY id").split("\n")[:-1] for text in made]
    finally:
        down(tmp_path)
    read = [[as_read(cell, value) for cell in column] for column, value in zip(found, values, strict=True)]
    assert same(wanted, list(zip(*read, strict=True)), EVERYTHING, values) == []


OLD_TYPES = {
    "INTEGER": "Int32", "BIGINT": "Int64", "DATE": "Int32", "TIMESTAMP": "Int64", "BOOLEAN": "UInt8", "VARCHAR": "String", "DECIMAL": "Decimal128(%s)",
}  # fmt: skip


def ask(servers: Servers, sql: str) -> str:
    user = {"X-ClickHouse-User": LOADER, "X-ClickHouse-Key": servers.password}
    address = f"{servers.shards[0]}/?max_query_size=1000000"
    request = urllib.request.Request(address, data=sql.encode(), headers=user)  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def tab_separated(value: Any) -> str:
    if value is None:
        return "\\N"
    return str(int(value) if isinstance(value, bool) else value).replace("\\", "\\\\")


def as_read(cell: str, value: Value) -> Any:
    """A tab-separated cell as a value of its family."""
    if cell == "\\N":
        return None
    if value.family is Family.TEXT:
        return cell.replace("\\'", "'").replace("\\\\", "\\")
    if value.form is Family.DECIMAL:
        return Decimal(cell)
    if value.family is Family.DOUBLE:
        return float(cell)
    return bool(int(cell)) if value.family is Family.BOOLEAN else int(cell)


def test_the_list_says_in_duckdb_what_its_own_writer_says(con: duckdb.DuckDBPyConnection) -> None:
    values = [spelled(text, COLUMNS, ()) for text in EVERYTHING]
    wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in EVERYTHING], values)
    assert same(wanted, by_duckdb(con, [value.said[0].value for value in values], values), EVERYTHING, values) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w * w > 1", "more than 38 digits"),
        ("b = 10000000000000000000", "beyond BIGINT"),
        ("t - u > interval 1 day", "no exact form"),
        ("t + interval 1.5 day > u", "no whole number of its unit"),
        ("x = '2024-02-29 10:00'", "beside a day"),
        ("t > 'soon'", "stands beside a date"),
        ("i = '5'", "TEXT"),
        ("f = 1", "BOOLEAN"),
        ("s = x", "DATE"),
        ("w / 3 > 1", "at most 18 digits"),
        ("t + interval 90000 year > u", "leaves the years"),
        ("date_trunc('decade', t) = t", "unit 'decade'"),
        ("i + f > 1", "no exact form"),
        ("abs(s) = s", "takes a number"),
        ("i", "where a condition stands"),
    ],
)  # fmt: skip
def test_what_has_no_exact_form_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(SpellingError) as caught:
        condition(text, COLUMNS, ("rows", "filter"))
    assert words in caught.value.message + caught.value.remedy
    assert caught.value.where == ("rows", "filter")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("function", "argument", "share", "words"),
    [
        (Function.SUM, "i / 3", None, "floating-point"),
        (Function.MAX, "i / 3", None, "floating-point"),
        (Function.DISTINCT, "d / 3", None, "floating-point"),
        (Function.SUM, "w * i", None, "exceed the 38 digits"),
        (Function.SUM, "w + 1000000000000000000000000.5", None, "exceed the 38 digits"),
        (Function.LOW, "w", "0.5", "at most 18 digits"),
        (Function.SUM, "t", None, "TIME"),
        (Function.SUM, "i + null", None, "always NULL"),
    ],
)  # fmt: skip
def test_what_an_engine_cannot_aggregate_exactly_is_refused(
    function: Function, argument: str, share: str | None, words: str
) -> None:
    with pytest.raises(SpellingError) as caught:
        argument_of(Asked(function, argument, (), share), COLUMNS, ("numerator", "aggregate"))
    assert words in caught.value.message + caught.value.remedy


def test_every_word_of_a_definition_is_known() -> None:
    """What the compiler's list admits is written, and nothing else: parts of others aside."""
    parts = {exp.Identifier, exp.Var, exp.Interval}
    used = {type(node) for text in EVERYTHING for node in parse(text, ()).walk()}
    assert used >= set(SCALAR) - {exp.Identifier}
    assert used - parts <= set(SCALAR)


def test_a_function_that_lacks_an_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = functions_module.FILE.read_text(encoding="utf-8")
    monkeypatch.setattr(functions_module, "loaded", lambda _: [line for line in loaded(text) if line["name"] != "abs"])
    functions.cache_clear()
    try:
        with pytest.raises(SpellingError, match="'abs' of WHOLE is not on the list"):
            condition("abs(i * 7) > 1", COLUMNS, ())
        monkeypatch.setattr(
            functions_module,
            "loaded",
            lambda _: [{"name": "abs", "of": ["WHOLE"], "duckdb": "abs({a})", "spark": "abs({a})"}],
        )
        functions.cache_clear()
        with pytest.raises(ValueError, match="abs: clickhouse"):
            functions()
    finally:
        functions.cache_clear()


def test_no_brace_but_the_one_for_rows_gets_into_the_sql() -> None:
    found = spelled("s = '{rows} {x}'", COLUMNS, ())
    assert "{" not in found.said[1].value + found.said[2].value
