"""A new warehouse's file that is kept for the next home: as if it had been made for that one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_definitions.kept import SETTING
from tests.support.home_tables import TABLE, add_table, table_text
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.store import blank
from warehouse.store.recorded import recorded
from warehouse.store.sessions import looking, writing
from warehouse.tables.fingerprint import shipped_fingerprint
from warehouse.tables.views import falsified

_OBJECTS = (
    "SELECT schema_name, table_name, comment, sql FROM duckdb_tables() ORDER BY ALL",
    "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
    "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Without a warehouse yet, beside a folder in which nothing is kept yet."""
    monkeypatch.setenv(SETTING, str(tmp_path / "kept"))
    return Home(tmp_path / "home")


def content(home: Home) -> list[Any]:
    """Every table, view and column with its description; of the registries every row; what the ledger says, without time and hash."""
    with writing(home) as store:
        con = store.con
        registries = con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'registry' ORDER BY 1")
        rows = [
            con.execute(f"SELECT * FROM registry.{name} ORDER BY ALL").fetchall() for (name,) in registries.fetchall()
        ]
        ledger = con.execute("SELECT seq, kind, subject, detail FROM audit.ledger ORDER BY 1").fetchall()
        return [*(con.execute(sql).fetchall() for sql in _OBJECTS), *rows, ledger]


def test_what_was_kept_is_what_would_be_made(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content(home)
    with monkeypatch.context() as patch:
        patch.setattr(blank, "_content", lambda _: pytest.fail("made again"))
        second = content(Home(tmp_path / "second"))
    with monkeypatch.context() as patch:
        patch.setenv(SETTING, "0")
        alone = content(Home(tmp_path / "alone"))
    assert min(map(len, first[:3])) > 10
    assert sum(map(len, first[3:])) > 1000
    assert (second, alone) == (first, first)
    with writing(Home(tmp_path / "second")) as store:
        assert recorded(store) == []
        assert falsified(store.con) == []


def test_a_home_with_tables_of_its_own_gets_another(home: Home, tmp_path: Path) -> None:
    content(home)
    other = Home(tmp_path / "other")
    add_table(other, table_text())
    with writing(other) as store:
        assert store.con.execute(f"SELECT count(*) FROM showcase.{TABLE}").fetchall() == [(0,)]


def test_killed_before_it_was_opened_it_is_opened_as_any_other(home: Home, tmp_path: Path) -> None:
    home.root.mkdir()
    blank.make_blank(home)
    with looking(home) as store:
        assert store.last_seq == 0
    assert content(home) == content(Home(tmp_path / "other"))


def test_killed_before_it_was_opened_it_gets_the_tables_described_since(home: Home) -> None:
    home.root.mkdir()
    blank.make_blank(home)
    add_table(home, table_text())
    with writing(home) as store:
        assert store.con.execute(f"SELECT count(*) FROM showcase.{TABLE}").fetchall() == [(0,)]
        settings = store.con.execute("SELECT * FROM registry.setting").fetchall()
    assert settings == [("schema", store.fingerprint)]
    assert store.fingerprint != shipped_fingerprint()


def test_one_that_is_damaged_is_made_anew(home: Home, tmp_path: Path) -> None:
    first = content(home)
    (there,) = (tmp_path / "kept").glob("blank-*")
    there.write_bytes(there.read_bytes()[:-1])
    assert content(Home(tmp_path / "second")) == first


def test_faulty_contracts_leave_nothing_behind(home: Home) -> None:
    add_table(home, table_text())
    (path,) = home.showcase.iterdir()
    path.write_text(path.read_text().replace("logicalType: string", "logicalType: strings", 1))
    with pytest.raises(StoreError, match="qala check"), writing(home):
        pass
    assert not home.warehouse.exists()


def test_nobody_else_reads_it(home: Home) -> None:
    with writing(home):
        pass
    assert oct(home.warehouse.stat().st_mode)[-3:] == "640"
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        tags = con.execute(
            "SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL AND NOT internal ORDER BY database_oid"
        ).fetchall()
    assert tags[0][0]["storage_version"].startswith("v1.4")
