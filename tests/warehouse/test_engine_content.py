"""The number that stands for a load's rows: made here again in Python, from what content.py says of it. What engines make of it: their tests."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from warehouse.engines.content import content_sql
from warehouse.engines.engine import EngineError
from warehouse.sql import quoted

COLUMNS: Mapping[str, str] = {
    "text": "VARCHAR",
    'odd "name"': "VARCHAR",
    "whole": "INTEGER",
    "large": "BIGINT",
    "money": "DECIMAL(18,6)",
    "round": "DECIMAL(5,0)",
    "yes": "BOOLEAN",
    "day": "DATE",
    "time": "TIMESTAMP",
    "instant": "TIMESTAMPTZ",
}
EPOCH, FIRST, LAST = (dt.datetime.fromisoformat(t) for t in ("1970-01-01", "0001-01-01", "9999-12-31T23:59:59.999999"))
Row = tuple[Any, ...]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["~", "1:a", ",", "NULL", "", "Қала", "🙂", "a\tb\nc\\"]
)
times = st.datetimes(FIRST, LAST)
rows = st.tuples(
    st.none() | texts,
    st.none() | texts,
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.decimals(-999999999999, 999999999999, places=6, allow_nan=False),
    st.none() | st.integers(-99999, 99999).map(Decimal),
    st.none() | st.booleans(),
    st.none() | st.dates(),
    st.none() | times,
    st.none() | times.map(lambda t: t.replace(tzinfo=dt.UTC)),
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(f"CREATE TABLE load ({', '.join(f'{quoted(n)} {t}' for n, t in COLUMNS.items())})")
        yield opened


def counted(con: duckdb.DuckDBPyConnection, load: Sequence[Row]) -> tuple[int, int]:
    con.execute("DELETE FROM load")
    if load:
        con.executemany(f"INSERT INTO load VALUES ({', '.join('?' * len(COLUMNS))})", [list(row) for row in load])
    ((count, content),) = con.execute(f"SELECT {content_sql(COLUMNS, 'duckdb')} FROM load").fetchall()
    return count, int(content)


def canonical(row: Row) -> str:
    def of(value: Any, sql_type: str) -> str:
        match value:
            case None:
                return "~"
            case str():
                return f"{len(value.encode())}:{value}"
            case bool():
                return f"{int(value)},"
            case Decimal():
                text = f"{value:f}"
                return (text if sql_type.endswith(",0)") else f"{Decimal(text):.6f}".rstrip("0")) + ","
            case dt.datetime():
                return f"{(value.replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1)},"
            case dt.date():
                return f"{(value - EPOCH.date()).days},"
        return f"{value},"

    return "".join(of(value, sql_type) for value, sql_type in zip(row, COLUMNS.values(), strict=True))


def by_hand(load: Sequence[Row]) -> int:
    return sum(int(hashlib.md5(canonical(row).encode()).hexdigest()[:15], 16) for row in load) % 2**64  # noqa: S324


NOTHING: Row = (None,) * len(COLUMNS)
FAR: Row = ("~", "", -(2**31), -(2**63), Decimal("-0.000001"), Decimal("-10"), False, dt.date(1, 1, 1),
            FIRST, LAST.replace(tzinfo=dt.UTC))  # fmt: skip


@examples(25, full=300)
@given(st.lists(rows, max_size=5))
@example([])
@example([NOTHING, NOTHING])
@example([FAR])
@example([FAR] * 40)
def test_it_is_what_is_written_of_it(con: duckdb.DuckDBPyConnection, load: list[Row]) -> None:
    assert counted(con, load) == (len(load), by_hand(load))
    assert counted(con, load[::-1]) == (len(load), by_hand(load))


@examples(50, full=1000)
@given(rows, rows)
@example(("a", "", *NOTHING[2:]), ("", "a", *NOTHING[2:]))
@example(("~", None, *NOTHING[2:]), (None, "~", *NOTHING[2:]))
@example(("a1:b", "c", *NOTHING[2:]), ("a", "b1:c", *NOTHING[2:]))
def test_no_two_rows_have_one_text(one: Row, other: Row) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@pytest.mark.parametrize("sql_type", ["DOUBLE", "HUGEINT", "DECIMAL(19,2)", "BLOB", "VARCHAR[]", "TIME"])
def test_a_type_that_engines_hold_differently_is_refused_by_its_column(sql_type: str) -> None:
    for dialect in ("duckdb", "clickhouse", "spark"):
        with pytest.raises(EngineError, match=r"column length is .*which not every engine holds exactly; use VARCHAR"):
            content_sql({"kato": "VARCHAR", "length": sql_type}, dialect)
