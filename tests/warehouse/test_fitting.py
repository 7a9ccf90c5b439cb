"""A warehouse under contracts that have changed: extended where nothing is lost, refused with table, column and remedy otherwise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kpi_definitions.kept import SETTING
from tests.support.rows import Extract, deliver
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.store import store as module
from warehouse.store.sessions import writing
from warehouse.tables import fingerprint
from warehouse.tables.assertions import Asserts, Cut
from warehouse.tables.contracts import Column, Table, load_tables
from warehouse.tables.fingerprint import shipped_fingerprint

AT = dt.datetime
Change = Callable[[dict[str, Column]], None]
ROW = {"appeal_id": "1", "due_at": AT(2026, 1, 10), "closed_at": AT(2026, 1, 9), "channel": "PHONE"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Without a warehouse yet: these tests make it of tables of their own."""
    return Home(tmp_path / "home")


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Have the contract of fct_appeal say something else from now on; nothing: what is shipped."""
    shipped = load_tables()
    monkeypatch.setenv(SETTING, "0")  # what follows from contracts is kept by their files, and these stay as they are

    def say(change: Change = lambda _: None, **more: object) -> None:
        columns = {c.name: c for c in shipped["fct_appeal"].columns}
        change(columns)
        table: Table = replace(shipped["fct_appeal"], columns=tuple(columns.values()), **more)  # type: ignore[arg-type]
        tables = shipped | {"fct_appeal": table}
        for reader in (module, fingerprint):
            monkeypatch.setattr(reader, "load_tables", lambda: tables)
        monkeypatch.setattr(module, "tables_of", lambda _: tables)
        shipped_fingerprint.cache_clear()

    yield say
    shipped_fingerprint.cache_clear()


def renamed(columns: dict[str, Column]) -> None:
    columns["channel"] = replace(columns["channel"], name="way_in")


def dropped(columns: dict[str, Column]) -> None:
    del columns["channel"]


def retyped(columns: dict[str, Column]) -> None:
    columns["channel"] = replace(columns["channel"], sql_type="INTEGER", rules=())


def optional(columns: dict[str, Column]) -> None:
    columns["note"] = replace(columns["channel"], name="note", required=False, rules=())


def required(columns: dict[str, Column]) -> None:
    columns["note"] = replace(columns["channel"], name="note", required=True, rules=())


REFUSED = [
    (renamed, {}, r"showcase\.fct_appeal has a column channel that .*fct_appeal\.odcs\.yaml no longer describes; put it back"),
    (dropped, {}, r"showcase\.fct_appeal has a column channel"),
    (retyped, {}, r"showcase\.fct_appeal\.channel is VARCHAR in the warehouse and INTEGER in"),
    (required, {}, r"asks for note in every row, and showcase\.fct_appeal has rows without; make it optional"),
    (lambda _: None, {"cut": Cut(Asserts.SNAPSHOT)}, r"asks for snapshot_date in every row"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "more", "said"), REFUSED)
def test_what_would_lose_or_make_up_values_is_refused_and_the_file_stays(
    home: Home, contract: Callable[..., None], change: Change, more: dict[str, object], said: str
) -> None:
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract([ROW], "2026-01"))
    contract(change, **more)
    for _ in range(2):
        with pytest.raises(StoreError, match=said), writing(home):
            pass
    contract()
    with writing(home) as store:
        assert store.con.execute("SELECT channel FROM showcase.fct_appeal").fetchall() == [("PHONE",)]


@pytest.mark.parametrize("change", [renamed, dropped, retyped, required])
def test_a_table_that_never_had_a_row_is_made_anew(home: Home, contract: Callable[..., None], change: Change) -> None:
    with writing(home):
        pass
    contract(change)
    with writing(home) as store:
        for place in ("showcase", "history"):
            found = store.con.execute(
                f"SELECT column_name FROM duckdb_columns() WHERE (schema_name, table_name) = ('{place}', 'fct_appeal')"
            ).fetchall()
            assert {c.name for c in store.tables["fct_appeal"].columns} <= {name for (name,) in found}


def test_an_optional_column_is_added_and_one_no_longer_required_may_be_empty(
    home: Home, contract: Callable[..., None]
) -> None:
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract([ROW], "2026-01"))
    contract(optional)
    with writing(home) as store:
        assert store.con.execute("SELECT note, channel FROM showcase.fct_appeal").fetchall() == [(None, "PHONE")]

    def loose(columns: dict[str, Column]) -> None:
        optional(columns)
        assert columns["registered_at"].required
        columns["registered_at"] = replace(columns["registered_at"], required=False)

    contract(loose)
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract([{"appeal_id": "2", "registered_at": None}], "2026-01"))
        assert store.con.execute(
            "SELECT appeal_id FROM showcase.fct_appeal WHERE registered_at IS NULL"
        ).fetchall() == [("2",)]
