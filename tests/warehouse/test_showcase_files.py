"""The showcase as files: after whatever was delivered they say just what the warehouse says, now and at every ledger sequence."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.homes import new_home
from tests.support.rows import Extract, deliver, empty
from tests.support.settlements import AKTAU, ASTANA, ZHANAOZEN
from warehouse.engines import showcase_files
from warehouse.engines.content import content_sql
from warehouse.engines.engine import EngineError
from warehouse.engines.showcase import Showcase, read_showcase
from warehouse.engines.showcase_files import write_showcase
from warehouse.periods import parse_period
from warehouse.store.history import as_of
from warehouse.store.sessions import writing
from warehouse.store.store import Store

CRASHES, SYSTEMS = "fct_crash", "dim_information_system"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with writing(new_home(tmp_path_factory.mktemp("files")), hardened=True) as opened:
        opened.tables = {
            name: opened.tables[name] for name in (CRASHES, SYSTEMS)
        }  # what has no rows takes time all the same
        yield opened


@pytest.fixture
def store(warehouse: Store) -> Store:
    empty(warehouse)
    return warehouse


def crashes(period: str, *rows: tuple[str, int], scope: str = ASTANA, system: str = "a") -> Extract:
    start = parse_period(period).start
    told = [{"crash_id": key, "occurred_at": start, "deaths_30d": value, "kato": scope} for key, value in rows]
    return Extract(told, period, scope, system)


def read(showcase: Showcase, table: str) -> str:
    """A relation of the rows in a table's files."""
    files = [str(load.file) for load in showcase.of(table)]
    return (
        f"read_parquet({files})"
        if files
        else "(SELECT NULL::BIGINT AS valid_from_seq, NULL::BIGINT AS valid_to_seq, 0 AS kato WHERE false)"
    )


def check_files(store: Store, showcase: Showcase) -> None:
    """Every load is what the manifest says, and together they are what held at every sequence."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for load in showcase.loads:
            sql = f"SELECT {content_sql(showcase.columns[load.table], 'duckdb')} FROM read_parquet('{load.file}')"
            assert con.execute(sql).fetchall() == [(load.rows, str(load.content))]
        for table, columns in showcase.columns.items():
            named = ", ".join(name for name in columns if name != "valid_to_seq")
            seqs = store.con.execute(
                f"SELECT valid_from_seq FROM history.{table} UNION SELECT valid_to_seq FROM history.{table} UNION "
                f"SELECT valid_from_seq FROM showcase.{table} ORDER BY 1"
            ).fetchall()
            for (seq,) in seqs:
                held = f"valid_from_seq <= {seq} AND (valid_to_seq IS NULL OR valid_to_seq > {seq})"
                found = con.execute(f"SELECT {named} FROM {read(showcase, table)} WHERE {held} ORDER BY ALL").fetchall()
                assert found == store.con.execute(f"SELECT {named} FROM {as_of(table, seq)} ORDER BY ALL").fetchall(), (
                    f"at {seq}"
                )


def digest(showcase: Showcase) -> dict[str, bytes]:
    return {str(load.file.relative_to(showcase.folder)): load.file.read_bytes() for load in showcase.loads}


# ---- whatever is delivered

KATOS = {"KZ": (ASTANA, AKTAU), "47": (AKTAU, ZHANAOZEN), AKTAU: (AKTAU,), ASTANA: (ASTANA,)}
PERIODS = ("2025-12", "2026-01", "2026-02", "2026-Q1", "2026-01/2026-02", "2026")


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[str, Extract]:
    table, scope = draw(st.sampled_from((CRASHES, SYSTEMS))), draw(st.sampled_from(list(KATOS)))
    period = draw(st.sampled_from(PERIODS))
    keys = st.tuples(st.sampled_from(KATOS[scope]), st.sampled_from(("k1", "k2")))
    rows = draw(st.dictionaries(keys, st.integers(0, 2), max_size=4))
    if table == CRASHES:
        start = parse_period(period).start
        told = [{"kato": k, "crash_id": i, "occurred_at": start, "deaths_30d": v} for (k, i), v in rows.items()]
    else:
        told = [{"kato": k, "system_id": i, "name": str(v), "origin": "OWN"} for (k, i), v in rows.items()]
    refused = "made-up" if draw(st.integers(0, 5)) == 0 else None
    return table, Extract(told, period, scope, draw(st.sampled_from("aab")), refused)


@examples(6, full=60)
@given(st.lists(st.lists(deliveries(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_is_written_step_by_step_is_what_would_be_written_at_once(
    warehouse: Store, tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, Extract]]]
) -> None:
    empty(warehouse)
    folder = tmp_path_factory.mktemp("showcase")
    write_showcase(warehouse, folder)
    for step in steps:
        for table in (CRASHES, SYSTEMS):
            if extracts := [extract for name, extract in step if name == table]:
                deliver(warehouse, table, *extracts)
        grown = write_showcase(warehouse, folder)
        assert read_showcase(folder) == grown
        check_files(warehouse, grown)
        whole = write_showcase(warehouse, tmp_path_factory.mktemp("whole"))
        assert digest(grown) == digest(whole)
        assert grown.columns == whole.columns
        assert (grown.seq, grown.head) == (whole.seq, whole.head)
        assert {path for path in folder.rglob("*.*") if path.is_file()} == {
            folder / "manifest.json",
            *(load.file for load in grown.loads),
        }


# ---- only what changed


def test_only_the_month_of_a_corrected_delivery_is_written_again(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, *(crashes(f"2026-{month:02}", (f"k{month}", 1)) for month in range(1, 7)))
    before = write_showcase(store, tmp_path)
    times = {load.file: load.file.stat().st_mtime_ns for load in before.loads}
    deliver(store, CRASHES, crashes("2026-03", ("k3", 2)))
    after = write_showcase(store, tmp_path)
    assert {load.month for load in set(after.loads) - set(before.loads)} == {"2026-03"}
    assert {load.month for load in before.loads} == {load.month for load in after.loads}
    assert all(load.file.stat().st_mtime_ns == times[load.file] for load in after.loads if load.month != "2026-03")
    assert not next(load for load in before.loads if load.month == "2026-03").file.exists()


def test_what_did_not_change_is_neither_counted_nor_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    before = write_showcase(store, tmp_path)
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))  # sent again: the row stays as it is
    monkeypatch.setattr(showcase_files, "content_sql", lambda *_: pytest.fail("rows were counted"))
    after = write_showcase(store, tmp_path)
    assert after.loads == before.loads
    assert after.seq > before.seq
    manifest = (tmp_path / "manifest.json").stat().st_mtime_ns
    assert write_showcase(store, tmp_path) == after
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == manifest


def test_a_row_that_another_month_takes_away_closes_in_its_own(store: Store, tmp_path: Path) -> None:
    """The key comes again in February's extract: January's file gets the sequence at which its row ceased to hold."""
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    before = write_showcase(store, tmp_path)
    deliver(store, CRASHES, crashes("2026-02", ("k1", 2)))
    after = write_showcase(store, tmp_path)
    assert [load.month for load in after.loads] == ["2026-01", "2026-02"]
    assert after.loads[0] != before.loads[0]
    check_files(store, after)


def test_files_have_the_warehouse_types_and_settlements_in_order(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1), ("k2", 1)), crashes("2026-01", ("k3", 1), scope=AKTAU))
    (load,) = write_showcase(store, tmp_path).of(CRASHES)
    table = pq.read_table(load.file)
    assert table.column("kato").to_pylist() == [AKTAU, ASTANA, ASTANA]
    types = {field.name: str(field.type) for field in table.schema}
    assert types["occurred_at"] == "timestamp[us]"
    assert types["sdu_load_in_dt"] == "timestamp[us, tz=UTC]"
    assert (types["deaths_30d"], types["valid_to_seq"], types["kato"]) == ("int32", "int64", "string")
    assert pq.ParquetFile(load.file).metadata.row_group(0).column(0).compression == "ZSTD"
    assert load.file.name == f"{load.name}.parquet"


# ---- another warehouse, damage, crashes


def test_files_of_another_warehouse_are_written_anew(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    mine = write_showcase(store, tmp_path)
    manifest = tmp_path / "manifest.json"
    said = json.loads(manifest.read_text())
    # a backup was put back and other deliveries came: the ledger has the sequence, with another hash
    manifest.write_text(json.dumps(said | {"head": "0" * 64}))
    deliver(store, CRASHES, crashes("2026-02", ("k2", 1)))
    assert write_showcase(store, tmp_path).of(CRASHES)[0] == mine.of(CRASHES)[0]
    # or it did not come so far yet
    manifest.write_text(json.dumps(said | {"seq": store.last_seq + 10}))
    check_files(store, write_showcase(store, tmp_path))
    for damaged in (
        "",
        "{",
        "[]",
        "null",
        json.dumps(said | {"format": 0}),
        json.dumps(said | {"tables": {CRASHES: 1}}),
    ):
        manifest.write_text(damaged)
        with pytest.raises(EngineError, match=r"holds no showcase for an engine.*qala engine load"):
            read_showcase(tmp_path)
        check_files(store, write_showcase(store, tmp_path))


def test_a_table_with_other_columns_than_before_is_written_anew(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    deliver(store, SYSTEMS, Extract([{"system_id": "s", "kato": ASTANA}], "2026-01"))
    now = write_showcase(store, tmp_path)
    said = json.loads((tmp_path / "manifest.json").read_text())
    said["tables"][CRASHES]["columns"].pop("deaths_30d")
    said["tables"][CRASHES]["loads"][0]["content"] += 1
    (tmp_path / "manifest.json").write_text(json.dumps(said))
    assert write_showcase(store, tmp_path) == now


def test_a_file_that_is_lost_is_made_again(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)), crashes("2026-02", ("k2", 1)))
    before = write_showcase(store, tmp_path)
    before.loads[0].file.unlink()
    assert write_showcase(store, tmp_path) == before
    check_files(store, before)


def test_rows_that_came_past_the_ledger_are_not_handed_over(store: Store, tmp_path: Path) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    write_showcase(store, tmp_path)
    with store.transaction():
        store.con.execute(
            f"INSERT INTO showcase.{CRASHES} SELECT * REPLACE (999999 AS delivery_id) FROM showcase.{CRASHES}"
        )
    with pytest.raises(
        EngineError,
        match=rf"{CRASHES} has 2 rows with its history, of which 1 come from deliveries on record.*qala verify",
    ):
        write_showcase(store, tmp_path)


def test_a_full_disk_is_named_with_the_file_and_leaves_what_was_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)))
    before = write_showcase(store, tmp_path)
    deliver(store, CRASHES, crashes("2026-02", ("k2", 1)))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetWriter, "write_batch", full)
        with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/{CRASHES}/.2026-02"):
            write_showcase(store, tmp_path)
    assert read_showcase(tmp_path) == before
    assert not [*tmp_path.rglob("*.new")]
    check_files(store, write_showcase(store, tmp_path))


class Killed(BaseException):
    """As far as the code can tell, the process is gone."""


def test_wherever_it_is_killed_the_files_say_what_they_said_or_what_they_are_to_say(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(store, CRASHES, crashes("2026-01", ("k1", 1)), crashes("2026-02", ("k2", 1)))
    folder, begun = tmp_path / "begun", tmp_path / "showcase"
    former = write_showcase(store, folder)
    deliver(store, CRASHES, crashes("2026-01", ("k1", 2)), crashes("2026-03", ("k3", 1)))
    calls, deadly = 0, 0

    def dying(real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == deadly:
                raise Killed
            return real(*args, **more)

        return call

    for place, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (pq.ParquetWriter, "write_batch")):
        monkeypatch.setattr(place, name, dying(getattr(place, name)))
    ends = list[bool]()
    while True:
        shutil.rmtree(begun, ignore_errors=True)
        shutil.copytree(folder, begun)
        calls, deadly = 0, deadly + 1
        try:
            whole = write_showcase(store, begun)
        except Killed:
            left = read_showcase(begun)
            ends.append(left.seq == former.seq)
            assert all(pq.read_metadata(load.file).num_rows == load.rows for load in left.loads)
            calls = -1000
            whole = write_showcase(store, begun)
            check_files(store, whole)
            assert not [*begun.rglob("*.new")]
            continue
        break
    assert ends == sorted(ends, reverse=True)
    assert {True, False} == set(ends)
    check_files(store, whole)
