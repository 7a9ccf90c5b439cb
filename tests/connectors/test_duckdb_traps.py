"""The traps of docs/adr/0010, as DuckDB has them today: where a test here fails, DuckDB was mended, and its guard may go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse.home.home import Home
from warehouse.store.sessions import writing
from warehouse.tables.file_format import STORAGE_VERSION, make_file, storage_version
from warehouse.tables.value_formula import VALUE
from warehouse.tables.views import falsified, foreign


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 2})


def read(*paths: Path, columns: str = "ab") -> str:
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
    return (
        f"read_csv({[str(p) for p in paths]}, columns = {{{types}}}, header = true, auto_detect = false, delim = ',', "
        "quote = '\"')"
    )


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_match_by_position(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = written(tmp_path / "swapped.csv", "b,a\n1,2\n")
    assert con.execute(f"SELECT a, b FROM {read(file)}").fetchall() == [("1", "2")]


def test_an_open_quote_is_an_error_only_where_few_files_are_scanned(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = [f"{n},x\n" for n in range(2000)]
    good = [written(tmp_path / f"{n}.csv", "a,b\n" + "".join(rows)) for n in range(6)]
    torn = written(tmp_path / "torn.csv", "a,b\n" + "".join([*rows[:1000], '1000,"x\n', *rows[1001:]]))
    with pytest.raises(duckdb.InvalidInputException, match="CSV Error on Line: 1002"):
        con.execute(f"SELECT count(*) FROM {read(torn)}").fetchall()
    (count,) = con.execute(f"SELECT count(*) FROM {read(*good, torn)}").fetchall()
    assert count == (6 * 2000 + 1000,), "the rest of the file is dropped without a word"


def test_an_in_list_of_five_becomes_a_join(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "a,b\n1,x\n")
    asked = f"EXPLAIN SELECT b FROM {read(file)} WHERE a IN ('1', '2', '3', '4', '5')"
    assert "JOIN" in con.execute(asked).fetchall()[0][1].upper()
    con.execute("SET disabled_optimizers = 'in_clause'")
    assert "JOIN" not in con.execute(asked).fetchall()[0][1].upper()


def test_a_cast_reads_more_than_the_type_says(con: duckdb.DuckDBPyConnection) -> None:
    asked = "SELECT TRY_CAST('1.7' AS INTEGER), TRY_CAST('15e-1' AS INTEGER), TRY_CAST('2026-01-01 10:00:00+05' AS TIMESTAMP)::VARCHAR"
    assert con.execute(asked).fetchall() == [(2, 2, "2026-01-01 10:00:00")], "an offset is dropped"


def test_parquet_files_are_cast_to_the_first_ones_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    whole, part = tmp_path / "1.parquet", tmp_path / "2.parquet"
    con.execute(f"COPY (SELECT 1::INTEGER AS a) TO '{whole}'; COPY (SELECT 1.7::DOUBLE AS a) TO '{part}'")
    assert con.execute(f"FROM read_parquet(['{whole}', '{part}'])").fetchall() == [(1,), (2,)]


def test_a_try_cast_is_done_by_the_reader_and_fails_the_file(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """duckdb#23818, where a column is read in no other way; what the gate does about it is the last line."""
    file = written(tmp_path / "a.csv", "a,b\n1,x\nten,y\n")
    asked = f"SELECT TRY_CAST(a AS INTEGER), b FROM {read(file)}"
    with pytest.raises(duckdb.ConversionException, match="Could not convert string"):
        con.execute(asked).fetchall()
    con.execute("SET disabled_optimizers = 'in_clause,type_pushdown'")
    assert con.execute(asked).fetchall() == [(1, "x"), (None, "y")]


def test_a_whole_division_by_zero_is_an_error_unless_asked(con: duckdb.DuckDBPyConnection) -> None:
    """As a warehouse is opened it is NULL, which a source contract's coalesce may fill."""
    with pytest.raises(duckdb.InvalidInputException, match="Division by zero"):
        con.execute("SELECT 1 // 0, 1 % 0").fetchall()
    con.execute("SET error_on_division_by_zero = false")
    assert con.execute("SELECT 1 // 0, 1 % 0").fetchall() == [(None, None)]


def test_an_old_storage_version_changes_the_syntax_tree() -> None:
    """So that files are made by a connection of their own (warehouse/tables/file_format.py): the lock reads the new form."""
    asked = "SELECT json_serialize_sql('SELECT 1 FROM showcase.fct_appeal')"
    settings: tuple[tuple[dict[str, Any], bool], ...] = (
        ({}, True),
        ({"storage_compatibility_version": "v1.4.0"}, False),
    )
    for config, whole in settings:
        with duckdb.connect(config=config) as con:
            ((tree,),) = con.execute(asked).fetchall()
            assert ("qualified_name" in tree) is whole


def test_a_warehouse_is_made_and_opened_against_them(home: Home) -> None:
    with writing(home) as store:
        assert store.con.execute("SELECT 1 // 0, 1 % 0").fetchall() == [(None, None)]
        assert storage_version(store.con) == STORAGE_VERSION
        assert foreign(store.con) == falsified(store.con) == []


def test_views_of_a_file_of_an_older_storage_version_are_known(home: Home) -> None:
    """As DuckDB 1.5 made them: it spells views otherwise."""
    home.root.mkdir(parents=True)
    make_file(home.warehouse, "v1.0.0")
    with writing(home):
        pass
    with writing(home) as store:
        assert storage_version(store.con) == "v1.0.0"
        assert falsified(store.con) == []


def test_a_published_value_is_rounded_as_duckdb_1_5_rounded_it(con: duckdb.DuckDBPyConnection) -> None:
    """`round(x, 6)` gives 0.967187 in DuckDB 2: it rounds the exact decimals of the double."""
    parts = "SELECT 'quantile' AS kind, n, 1 AS scale, NULL::DOUBLE AS d, 1 AS s FROM unnest([0.9671875, 1.3215625]::DOUBLE[]) u(n)"
    assert con.execute(f"SELECT {VALUE} FROM ({parts})").fetchall() == [(0.967188,), (1.321563,)]
    assert con.execute("SELECT round(0.9671875::DOUBLE, 6)").fetchall() == [(0.967187,)]
