"""Other databases through SQLAlchemy: SQLite, which keeps no types, and a real server; decimals stay decimals, the rest is refused by name."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.sources.counting import Counting
from connectors.sources.secrets import Secrets
from connectors.sources.settings import Regulation
from connectors.sources.source import Asked, Fetched, SourceError
from connectors.sources.sql import Extract, Settings, SqlSource, open_source
from connectors.sources.sql_rows import ColumnError, columns_of, write_parquet
from tests.support.cutting_proxy import line_to
from tools.servers import postgresql
from warehouse.periods import parse_period

ASTANA, WORD = "710000000", "read-me-only"


def asked(since: str | None = None, /, **said: Any) -> Asked:
    known = {"table": "fct_appeal", "settlements": [ASTANA], "first": "2026-01"}
    return Asked(Extract.model_validate(known | said), Regulation(), ASTANA, parse_period("2026-01"), since)


def table(found: Fetched | None) -> pa.Table:
    assert found is not None
    (file,) = found.files
    read = pq.read_table(file)
    assert found.rows == read.num_rows
    return read


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    file = tmp_path / "registry.db"
    con = sqlite3.connect(file)
    con.executescript("""
CREATE TABLE appeals (appeal_id TEXT, registered_at TEXT, amount DECIMAL(12, 2), rooms INTEGER, note TEXT);
INSERT INTO appeals VALUES ('A1', '2026-01-05 10:00:00', 0.1, 1, 'a:b');
INSERT INTO appeals VALUES ('A2', '2026-01-31 23:59:59', 100, NULL, ''), ('A3', '2026-02-01 00:00:00', 2.5, 3, NULL);
""")
    con.close()
    return file


def sqlite(file: Path) -> SqlSource:
    return open_source("registry", Settings(driver="sqlite", database=str(file)), Secrets("registry", Path()))


def test_a_period_of_a_table_as_parquet(registry: Path, tmp_path: Path) -> None:
    one = asked(source_table="appeals", period_by="registered_at", types={"amount": "decimal"})
    found = table(sqlite(registry).fetch(one, tmp_path))
    assert found.to_pylist() == [
        {
            "appeal_id": "A1",
            "registered_at": "2026-01-05 10:00:00",
            "amount": Decimal("0.1"),
            "rooms": 1,
            "note": "a:b",
        },
        {
            "appeal_id": "A2",
            "registered_at": "2026-01-31 23:59:59",
            "amount": Decimal("100.0"),
            "rooms": None,
            "note": "",
        },
    ]
    assert pa.types.is_decimal(found.schema.field("amount").type)


def test_decimals_that_sqlite_keeps_as_floats_are_declared_or_refused(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"amount .*floating") as error:
        sqlite(registry).fetch(asked(query="SELECT amount FROM appeals"), tmp_path)
    assert "types: {amount: decimal}" in error.value.remedy
    assert list(tmp_path.iterdir()) == [registry]


def test_a_query_with_colons_and_parameters(registry: Path, tmp_path: Path) -> None:
    query = "SELECT appeal_id, ':x' AS colon, {settlement} AS kato, {year} AS year FROM appeals WHERE registered_at < {period_after} AND note = 'a:b'"
    assert table(sqlite(registry).fetch(asked(query=query), tmp_path)).to_pylist() == [
        {"appeal_id": "A1", "colon": ":x", "kato": ASTANA, "year": 2026}
    ]


def test_since_and_until(registry: Path, tmp_path: Path) -> None:
    one: dict[str, Any] = {"query": "SELECT appeal_id, registered_at FROM appeals", "changed_by": "registered_at"}
    first = sqlite(registry).fetch(asked(**one), tmp_path)
    assert first is not None
    assert (first.rows, first.until) == (3, "2026-02-01 00:00:00")
    (tmp_path / "again").mkdir()
    again = sqlite(registry).fetch(asked(first.until, overlap="1 minute", **one), tmp_path / "again")
    assert again is not None
    assert (again.rows, again.until) == (2, first.until)
    assert sqlite(registry).fetch(asked("2027-01-01 00:00:00", **one), tmp_path) is None


def test_it_cannot_write(registry: Path) -> None:
    with sqlite(registry)._connected() as con, pytest.raises(Exception, match=r"readonly|query_only|read-only"):
        con.exec_driver_sql("DELETE FROM appeals")


def test_counts(registry: Path) -> None:
    one = asked(query="SELECT * FROM appeals")
    counting = Counting("registered_at", False, None, ("rooms", "amount"))
    assert sqlite(registry).totals(one, counting) == [(None, "2", "1", "1", None, None)]
    by_note = Counting("registered_at", False, "note", ("rooms",))
    assert {row[0]: row[1:] for row in sqlite(registry).totals(one, by_note)} == {
        "a:b": ("1", "1", "1"),
        "": ("1", None, "0"),
    }


@pytest.mark.parametrize(
    ("said", "setting", "remedy"),
    [
        ({"driver": "mysql+pymysql", "host": "127.0.0.1"}, "connection.driver", "PyMySQL"),
        ({"driver": "dbase", "host": "127.0.0.1"}, "connection.driver", "dialect"),
        ({"driver": "sqlite", "database": "/nowhere/at/all.db"}, "connection", "database"),
    ],
)
def test_what_cannot_be_connected(said: dict[str, Any], setting: str, remedy: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"database": "x"} | said)
    with pytest.raises(SourceError) as error:
        open_source("registry", settings, Secrets("registry", Path())).fetch(asked(query="SELECT 1 AS x"), tmp_path)
    assert setting in error.value.setting
    assert remedy in error.value.remedy


@pytest.mark.parametrize(
    "said",
    [
        {"driver": "mysql://root:pw@host/db", "host": "x"},
        {"driver": "mysql+pymysql"},
        {"driver": "sqlite", "database": "relative.db"},
        {"driver": "mysql+pymysql", "host": "x", "options": {"password": "hidden-word"}},
        {"driver": "mysql+pymysql", "host": "x", "password": "hidden-word"},
    ],
)
def test_settings_that_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        Settings.model_validate({"database": "x"} | said)
    assert "hidden-word" not in str(error.value)


# --- types ---


def parquet(tmp_path: Path, values: list[Any], declared: dict[str, str] | None = None) -> pa.Table:
    file = tmp_path / "x.parquet"
    batches = [[(v,)] for v in values]  # each its own batch: types come together at the end
    assert write_parquet(columns_of(["x"], declared or {}), iter(batches), file, floats_lie=False) == len(values)
    return pq.read_table(file)


NUMBERS = st.decimals(Decimal(-(10**18)), Decimal(10**18), places=6) | st.integers(-(10**18), 10**18)


@given(st.lists(st.none() | NUMBERS, max_size=8))
def test_numbers_are_exact_whatever_comes_first(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    found = parquet(tmp_path_factory.getbasetemp(), values)
    assert found.column("x").to_pylist() == values
    assert not pa.types.is_floating(found.schema.field("x").type)


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False],
        [None, 1 << 62, -(1 << 62)],
        [10**30, 1],
        [dt.date(2026, 1, 31), None],
        [dt.datetime(2026, 1, 31, 23, 59, 59, 123456), dt.datetime(1900, 1, 1)],  # noqa: DTZ001
        [dt.datetime(2026, 1, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=5)))],
        [0.1, 1e300, -0.0],
        ["", None, "Қала\n"],
        [],
        [None],
    ],
)
def test_values_come_back_as_they_were(tmp_path: Path, values: list[Any]) -> None:
    assert parquet(tmp_path, values).column("x").to_pylist() == values
    text = duckdb.execute(f"SELECT CAST(x AS VARCHAR) FROM read_parquet('{tmp_path / 'x.parquet'}')").fetchall()
    assert [row[0] is None for row in text] == [v is None for v in values]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([b"bytes"], "type bytes"),
        ([dt.timedelta(1)], "type timedelta"),
        ([[1]], "type list"),
        ([{"a": 1}], "type dict"),
        ([1, "one"], "two types"),
        ([Decimal("NaN")], "no number"),
        ([Decimal("0." + "1" * 39)], "38 digits"),
        ([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], "time zone"),  # noqa: DTZ001
    ],
)
def test_what_has_no_type_is_refused_by_name(tmp_path: Path, values: list[Any], said: str) -> None:
    with pytest.raises(ColumnError, match=f"column x .*{said}"):
        parquet(tmp_path, values)
    assert not list(tmp_path.iterdir())


def test_names_of_columns(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="two columns are called x"):
        columns_of(["x", "x"], {})
    with pytest.raises(ColumnError, match="no such column"):
        columns_of(["x"], {"y": "text"})


# --- a server ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql.Server]:
    if said := postgresql.unavailable():
        pytest.skip(said)
    folder = tmp_path_factory.mktemp("postgresql")
    found = postgresql.up(folder)
    found.psql("""
CREATE TABLE costs (id bigint, amount numeric(20, 6), share float8, paid_on date, changed_at timestamptz, note text);
INSERT INTO costs SELECT i, i / 7.0, i / 3.0, date '2026-01-01' + i % 31, timestamptz '2026-01-01 00:00+05' + i * interval '1 minute', repeat('x', 50)
FROM generate_series(1, 25000) AS i""")
    yield found
    postgresql.remove(folder)


def remote(server: postgresql.Server, **said: Any) -> SqlSource:
    known = {
        "driver": "postgresql+psycopg",
        "host": "127.0.0.1",
        "port": server.port,
        "database": "akimat",
        "user": "reader",
    }
    return open_source(
        "costs", Settings.model_validate(known | {"password": {"env": "QALA_TEST_DB"}} | said), Secrets("costs", Path())
    )


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_TEST_DB", WORD)


def test_a_server_by_batches(server: postgresql.Server, tmp_path: Path) -> None:
    found = remote(server).fetch(asked(query="SELECT * FROM costs ORDER BY id", changed_by="changed_at"), tmp_path)
    read = table(found)
    assert read.num_rows == 25_000
    exact = server.psql("SELECT sum(amount) FROM costs").strip()
    assert str(sum(read.column("amount").to_pylist(), Decimal(0))) == exact
    assert found is not None
    assert found.until == "2026-01-18 03:40:00+00:00"
    (tmp_path / "again").mkdir()
    query = "SELECT id, changed_at FROM costs"
    again = remote(server).fetch(
        asked(found.until, query=query, changed_by="changed_at", overlap="9 minutes"), tmp_path / "again"
    )
    assert again is not None
    assert again.rows == 10
    counting = Counting("paid_on", False, None, ("amount", "share", "id"))
    ((_, rows, total, filled, share, _, ids, _),) = remote(server).totals(asked(query="SELECT * FROM costs"), counting)
    assert (rows, total, filled, share, ids) == ("25000", exact, "25000", None, "312512500")


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ({"password": {"env": "QALA_WRONG_DB"}}, "SELECT 1 AS x"),
        ({"user": "nobody-here"}, "SELECT 1 AS x"),
        ({"database": "nowhere"}, "SELECT 1 AS x"),
        ({"port": 1}, "SELECT 1 AS x"),
        ({}, "SELECT * FROM nowhere"),
        ({}, "SELECT 1 / 0 AS x"),
    ],
)
def test_faults_without_the_secret(
    server: postgresql.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    said: dict[str, Any],
    query: str,
) -> None:
    monkeypatch.setenv("QALA_WRONG_DB", "another-word-entirely")
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "psycopg"):
        logging.getLogger(name).setLevel(logging.DEBUG)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    with pytest.raises(SourceError) as error:
        remote(server, **said).fetch(asked(query=query), tmp_path)
    told = "\n".join([str(error.value), repr(error.value), *traceback.format_exception(error.value), caplog.text])
    assert WORD not in told
    assert "another-word-entirely" not in told
    assert error.value.remedy
    assert not list(tmp_path.iterdir())


def test_unplugged_nothing_counts(server: postgresql.Server, tmp_path: Path) -> None:
    for after in (20_000, 300_000, 900_000):
        with line_to(server.port) as line:
            line.cut_after(after)
            with pytest.raises(SourceError) as error:
                remote(server, port=line.port).fetch(asked(query="SELECT * FROM costs"), tmp_path)
        assert error.value.passing
        assert not list(tmp_path.iterdir())


def test_check(server: postgresql.Server, registry: Path) -> None:
    assert "postgresql 15" in remote(server).check()[0]
    assert "sqlite 3" in sqlite(registry).check()[0]
