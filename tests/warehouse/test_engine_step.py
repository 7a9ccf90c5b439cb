"""An engine holds what the warehouse holds, or nothing is computed from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.support.engines import InProcess
from tests.support.homes import new_home
from tests.support.rows import Extract, deliver, empty
from tests.support.settlements import ASTANA
from warehouse.engines import step
from warehouse.engines.engine import EngineError, Load
from warehouse.engines.showcase import Showcase
from warehouse.engines.state import engine_differences
from warehouse.engines.step import bring_in_step, refuse_out_of_step, take_again
from warehouse.periods import parse_period
from warehouse.store.sessions import writing
from warehouse.store.store import Store

TABLE = "fct_crash"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with writing(new_home(tmp_path_factory.mktemp("step")), hardened=True) as opened:
        opened.tables = {TABLE: opened.tables[TABLE]}
        yield opened


@pytest.fixture
def store(warehouse: Store) -> Store:
    """January to March, two crashes each."""
    empty(warehouse)
    deliver(warehouse, TABLE, *(crashes(f"2026-0{month}", 1) for month in (1, 2, 3)))
    return warehouse


def crashes(period: str, deaths: int) -> Extract:
    start = parse_period(period).start
    rows = [{"crash_id": f"{period} {n}", "occurred_at": start, "deaths_30d": deaths} for n in (1, 2)]
    return Extract(rows, period, ASTANA)


def holds(engine: InProcess, showcase: Showcase) -> bool:
    return dict(engine.rows(TABLE)) == {load.name: load.rows for load in showcase.loads}


def brought(store: Store, engine: InProcess, folder: Path) -> Showcase:
    return bring_in_step(store, engine, engine.ready(), folder)


def test_an_engine_takes_everything_once_and_then_what_changed(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    first = brought(store, engine, tmp_path)
    assert engine.taken == engine.counted == [load.name for load in first.loads]
    assert holds(engine, first)
    engine.taken, engine.counted = [], []
    assert brought(store, engine, tmp_path) == first
    assert engine.taken == engine.counted == []
    deliver(store, TABLE, crashes("2026-02", 2))
    second = brought(store, engine, tmp_path)
    assert engine.taken == engine.counted == [second.loads[1].name]
    assert second.loads[1].rows == 4, "with those that no longer hold"
    assert holds(engine, second)
    assert engine_differences(engine, second, store) == []


def lose_a_row(con: duckdb.DuckDBPyConnection, load: Load) -> None:
    con.execute(f"DELETE FROM {load.table} WHERE row_no = 2 AND load = ?", [load.name])


def change_a_value(con: duckdb.DuckDBPyConnection, load: Load) -> None:
    con.execute(f"UPDATE {load.table} SET deaths_30d = deaths_30d + 1 WHERE row_no = 1 AND load = ?", [load.name])


def swap_two_values(con: duckdb.DuckDBPyConnection, load: Load) -> None:
    con.execute(f"UPDATE {load.table} SET row_no = 3 - row_no WHERE load = ?", [load.name])


def lose_all(con: duckdb.DuckDBPyConnection, load: Load) -> None:
    con.execute(f"DELETE FROM {load.table} WHERE load = ?", [load.name])


@pytest.mark.parametrize(("fault", "rows"), [(lose_a_row, 1), (change_a_value, 2), (swap_two_values, 2), (lose_all, 0)])
def test_a_load_that_arrived_otherwise_is_refused_with_both_numbers_and_dropped(
    store: Store, tmp_path: Path, fault: Callable[[duckdb.DuckDBPyConnection, Load], None], rows: int
) -> None:
    february: list[Load] = []

    def break_february(con: duckdb.DuckDBPyConnection, load: Load) -> None:
        if load.month == "2026-02":
            february.append(load)
            fault(con, load)

    engine = InProcess(fault=break_february)
    with pytest.raises(EngineError) as refused:
        brought(store, engine, tmp_path)
    said, (load,) = str(refused.value), february
    for part in ("in-process", TABLE, "2026-02", f"{rows} rows", "2 rows", str(load.content), "qala engine load"):
        assert part in said
    assert load.name not in engine.rows(TABLE)
    assert len(engine.rows(TABLE)) == 2, "the others are kept"
    engine.fault, engine.taken = None, []
    assert holds(engine, brought(store, engine, tmp_path))
    assert engine.taken == [load.name]


def test_one_that_was_emptied_takes_everything_again(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    showcase = brought(store, engine, tmp_path)
    engine.con.execute(f"DROP TABLE {TABLE}")
    with pytest.raises(
        EngineError, match=r"not in step: of fct_crash, load 2026-01\..*holds 0 rows.*files 2.*qala engine load"
    ):
        refuse_out_of_step(engine, showcase, [TABLE])
    assert holds(engine, brought(store, engine, tmp_path))
    refuse_out_of_step(engine, showcase, [TABLE])


def test_one_that_lost_rows_of_a_load_takes_that_load_again(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    showcase = brought(store, engine, tmp_path)
    lose_a_row(engine.con, showcase.loads[1])
    engine.taken = []
    assert brought(store, engine, tmp_path) == showcase
    assert engine.taken == [showcase.loads[1].name]
    assert engine_differences(engine, showcase, store) == []


def test_what_another_warehouse_or_a_killed_process_left_there_is_dropped(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    showcase = brought(store, engine, tmp_path)
    engine.con.execute(
        f"UPDATE {TABLE} SET load = '2026-01.7.0000000000000007' WHERE load = ?", [showcase.loads[0].name]
    )
    assert holds(engine, brought(store, engine, tmp_path))
    assert engine_differences(engine, showcase, store) == []


class Killed(BaseException):
    """As far as the code can tell, the process is gone."""


@pytest.mark.parametrize("moment", ["taking", "counting", "dropping", "dropped"])
def test_one_that_was_left_in_the_middle_is_brought_in_step_by_the_next_run(
    store: Store, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load that is there under the right name, whole or not, was never counted: it is taken again."""
    engine = InProcess()
    brought(store, engine, tmp_path)
    deliver(store, TABLE, crashes("2026-02", 2))

    def kill(con: duckdb.DuckDBPyConnection, load: Load) -> None:
        change_a_value(con, load)  # as many rows as there should be
        if moment == "taking":
            raise Killed

    def killed(*args: object) -> None:
        if moment == "dropped":
            InProcess.drop(engine, *args)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patched:
        engine.fault = kill
        if moment == "counting":
            patched.setattr(engine, "recounted", killed)
        elif moment != "taking":
            patched.setattr(engine, "drop", killed)
        with pytest.raises(Killed):
            brought(store, engine, tmp_path)
    engine.fault = None
    showcase = brought(store, engine, tmp_path)
    assert holds(engine, showcase)
    assert engine_differences(engine, showcase, store) == []


def test_what_is_counted_together_is_bounded(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses the loads that were not counted yet, not a whole table."""
    monkeypatch.setattr(step, "_PIECE", 4)
    engine = InProcess()

    def kill_in_march(con: duckdb.DuckDBPyConnection, load: Load) -> None:
        if load.month == "2026-03":
            raise Killed

    engine.fault = kill_in_march
    with pytest.raises(Killed):
        brought(store, engine, tmp_path)
    engine.fault, engine.taken = None, []
    showcase = brought(store, engine, tmp_path)
    assert engine.taken == [showcase.loads[2].name]


def test_of_another_server_nothing_is_taken_as_counted(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    showcase = brought(store, engine, tmp_path)
    engine.where, engine.taken = "elsewhere", []
    change_a_value(engine.con, showcase.loads[0])
    assert holds(engine, brought(store, engine, tmp_path))
    assert engine.taken == [load.name for load in showcase.loads]
    assert engine_differences(engine, showcase, store) == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"where": "memory"}', '{"where": "memory", "loads": [1]}'])
def test_a_note_of_what_was_counted_that_cannot_be_read_counts_for_nothing(
    store: Store, tmp_path: Path, damage: str
) -> None:
    engine = InProcess()
    brought(store, engine, tmp_path)
    (tmp_path / "agreed.in-process.json").write_text(damage)
    engine.taken = []
    assert holds(engine, brought(store, engine, tmp_path))
    assert len(engine.taken) == 3


def test_a_load_read_from_a_damaged_file_is_refused_and_the_file_made_anew(store: Store, tmp_path: Path) -> None:
    """Whatever went wrong, the next run ends well: the file of a load that did not arrive as it was sent is not kept."""
    showcase = brought(store, InProcess(), tmp_path)
    shutil.copy(showcase.loads[0].file, showcase.loads[1].file)
    engine = InProcess(where="another")
    with pytest.raises(EngineError, match="2026-02"):
        brought(store, engine, tmp_path)
    assert brought(store, engine, tmp_path) == showcase
    assert engine_differences(engine, showcase, store) == []


def test_counting_again_finds_a_value_changed_in_the_engine_or_in_the_warehouse(store: Store, tmp_path: Path) -> None:
    engine = InProcess()
    showcase = brought(store, engine, tmp_path)
    change_a_value(engine.con, showcase.loads[2])
    (found,) = engine_differences(engine, showcase, store)
    assert (found.table, found.load) == (TABLE, showcase.loads[2].name)
    assert str(showcase.loads[2].content) in found.what
    take_again(engine, engine.ready(), tmp_path, [(found.table, found.load)])
    assert brought(store, engine, tmp_path) == showcase
    assert engine_differences(engine, showcase, store) == []
    store.con.execute(f"UPDATE showcase.{TABLE} SET deaths_30d = 7 WHERE crash_id = '2026-01 1'")
    (found,) = engine_differences(engine, showcase, store)
    assert (found.load, found.what.split(",")[0]) == (showcase.loads[0].name, "the release has other rows")
