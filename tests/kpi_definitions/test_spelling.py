"""Every engine means the same by what a definition says: DuckDB, as the compiler writes it, is the judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_definitions.expressions import parse
from kpi_definitions.functions import DIALECTS, Family
from kpi_definitions.spelling import spelled
from kpi_definitions.values import Value
from tests.support.hard_values import COLUMNS, CONDITIONS, DATES, NUMBERS, TEXTS, TIMES, rows

EVERYTHING = [*CONDITIONS, *NUMBERS, *TIMES, *DATES, *TEXTS]
AS_ENGINES_KEEP_IT = {"TIMESTAMP": "epoch_us({})", "DATE": "date_diff('day', DATE '1970-01-01', {})::INTEGER"}


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
    import chdb

    found: list[tuple[Any, ...]] = []
    for batch in batches([said_of(value, "clickhouse") for value in values]):
        sql = f"SELECT {', '.join(f'{m} AS x{n}' for n, m in enumerate(batch))} FROM file('{file}') ORDER BY id"
        some = [tuple(row.values()) for row in chdb.query(sql, "ArrowTable").to_pylist()]
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


def test_clickhouse_means_by_it_what_duckdb_does(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    values = [spelled(text, COLUMNS, ()) for text in EVERYTHING]
    wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in EVERYTHING], values)
    assert same(wanted, by_clickhouse(file, values), EVERYTHING, values) == []


def test_the_list_says_in_duckdb_what_its_own_writer_says(con: duckdb.DuckDBPyConnection) -> None:
    values = [spelled(text, COLUMNS, ()) for text in EVERYTHING]
    wanted = by_duckdb(con, [parse(text, ()).sql("duckdb") for text in EVERYTHING], values)
    assert same(wanted, by_duckdb(con, [value.said[0].value for value in values], values), EVERYTHING, values) == []
