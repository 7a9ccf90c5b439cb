"""registry.dataset: every showcase table by the names and deadlines of its contract."""

from __future__ import annotations

from dataclasses import replace

from tests.support.homes import new_home
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables
from warehouse.tables.passports import datasets


def test_every_table_is_there_with_its_names_and_deadlines(tmp_path):
    with writing(new_home(tmp_path)) as store:
        rows = store.con.execute("FROM registry.dataset ORDER BY table_name").fetchall()
        assert rows == sorted(datasets(store.tables.values()))
    assert {row[0] for row in rows} == set(load_tables())
    assert {row[9] for row in rows} <= {"M", "Q", "A"}
    assert all(row[1] != row[2] != row[3] for row in rows), "titles are in three languages"


def test_a_rhythm_that_is_not_a_month_quarter_or_year_is_not_guessed():
    table = next(iter(load_tables().values()))
    assert datasets([replace(table, frequency=None)])[0][9] is None
