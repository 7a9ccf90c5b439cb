"""Two workers and a master as processes of their own: they count what one does, and what becomes of a scan when one of them dies."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.engine_scans import EngineScan
from tests.support.loads import COLUMNS, TABLE, hard_load
from tools.clusters import spark
from tools.clusters.processes import ClusterError
from warehouse.engines.engine import EngineError, Load
from warehouse.engines.spark import SparkEngine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")]
PATIENCE = 30.0  # executors take as long to come on a machine at work
PARTS = EngineScan(
    TABLE,
    "SELECT kato, count(*) AS n, sum(amount) AS total, max(large) AS most FROM {rows} GROUP BY kato",
    {"kato": "VARCHAR", "n": "BIGINT", "total": "DECIMAL(38,6)", "most": "BIGINT"},
    {},
)
# some seconds of work on every row
SLOW = EngineScan(
    TABLE,
    "SELECT count(*) AS n, count(DISTINCT CASE WHEN coalesce("
    + ", ".join(f"CASE WHEN abs(row_no * {n}) < 0 THEN said END" for n in range(1, 40))
    + ", said) < kato THEN row_no ELSE -row_no END) AS different FROM {rows}",
    {"n": "BIGINT", "different": "BIGINT"},
    {},
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[spark.Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    try:
        yield spark.up(folder, memory="512m")
    finally:
        spark.down(folder)


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> list[Load]:
    folder = tmp_path_factory.mktemp("showcase")
    first = hard_load(folder, 150_000, month="2024-01")
    made = [first]
    for month in range(2, 9):
        file = folder / f"2024-0{month}.parquet"
        shutil.copy(first.file, file)
        made.append(replace(first, month=file.stem, file=file))
    return made


def engine_of(cluster: spark.Cluster, loads: list[Load], work: Path, **settings: Any) -> SparkEngine:
    files = loads[0].file.parent
    return SparkEngine(cluster.master, files, work, **{"executor_memory": "512m", "patience": PATIENCE, **settings})


@pytest.fixture(scope="module")
def taken(cluster: spark.Cluster, loads: list[Load], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    engine = engine_of(cluster, loads, tmp_path_factory.mktemp("work"))
    try:
        for load in loads:
            engine.take(load, COLUMNS)
        engine.recounted(TABLE, [load.name for load in loads], COLUMNS)
        yield engine
    finally:
        engine.close()


@pytest.fixture
def engine(taken: SparkEngine, cluster: spark.Cluster) -> SparkEngine:
    """With all of the cluster running, whatever the test before killed."""
    spark.up(cluster.folder)
    if taken._open is None or not taken._open.usable or taken._open.workers() < cluster.workers:
        taken.close()
    taken.ready()
    return taken


def answer(engine: SparkEngine, scan: EngineScan, loads: list[Load]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in engine.measure(scan, loads).to_pylist())


def during(work: Callable[[], Any], fault: Callable[[], None], after: float = 1.0) -> Any:
    """What `work` gives or raises if the fault comes in the middle of it."""
    begun = threading.Timer(after, fault)
    begun.start()
    try:
        return work()
    finally:
        begun.join()


def kill(cluster: spark.Cluster, name: str) -> None:
    """A process and, of a worker, the executor it started, at once and without a word, as a machine that loses power."""
    pid = cluster.pid(name)
    assert pid is not None
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for one in (str(pid), *children):
        os.kill(int(one), signal.SIGKILL)
    cluster.stop(name)


def test_two_workers_count_what_one_process_counts(engine: SparkEngine, loads: list[Load], tmp_path: Path) -> None:
    assert engine.ready().machines == 2
    expected = {load.name: (load.rows, load.content) for load in loads}
    assert engine.recounted(TABLE, list(expected), COLUMNS) == expected
    found = [answer(engine, scan, loads) for scan in (PARTS, SLOW)]
    assert sum(row[1] for row in found[0]) == sum(load.rows for load in loads)
    engine.close()
    alone = SparkEngine("local[1]", engine.files, engine.work, executor_memory="512m")
    try:
        assert [answer(alone, scan, loads) for scan in (PARTS, SLOW)] == found
    finally:
        alone.close()


def test_a_worker_that_dies_in_the_middle_changes_no_number(
    engine: SparkEngine, cluster: spark.Cluster, loads: list[Load]
) -> None:
    expected = answer(engine, SLOW, loads)
    assert during(lambda: answer(engine, SLOW, loads), lambda: kill(cluster, "worker-0")) == expected
    assert engine.ready().machines == 1
    spark.up(cluster.folder)


def test_without_any_worker_it_ends_with_an_error_and_goes_on_when_one_is_back(
    engine: SparkEngine, cluster: spark.Cluster, loads: list[Load]
) -> None:
    expected = answer(engine, PARTS, loads)

    def fault() -> None:
        kill(cluster, "worker-0")
        kill(cluster, "worker-1")

    with pytest.raises(EngineError, match=r"workers were lost|has no worker for us within 30 s"):
        during(lambda: answer(engine, SLOW, loads), fault)
    with pytest.raises(EngineError, match=r"has no worker for us within 30 s.*start workers"):
        engine.ready()
    spark.up(cluster.folder)
    assert engine.ready().machines >= 1
    assert answer(engine, PARTS, loads) == expected


def test_a_master_that_dies_is_named_and_the_next_try_goes_on_when_it_is_back(
    engine: SparkEngine, cluster: spark.Cluster, loads: list[Load]
) -> None:
    expected = answer(engine, SLOW, loads)
    # who computes has workers already, and needs no master for what it began
    assert during(lambda: answer(engine, SLOW, loads), lambda: kill(cluster, "master")) == expected
    with pytest.raises(EngineError, match=r"no master of Spark answers at spark://"):
        engine.ready()
    spark.up(cluster.folder)
    assert engine.ready().machines == 2
    assert answer(engine, SLOW, loads) == expected


def test_more_memory_than_a_worker_has_is_refused(
    engine: SparkEngine, cluster: spark.Cluster, loads: list[Load], tmp_path: Path
) -> None:
    engine.close()
    other = engine_of(cluster, loads, tmp_path, executor_memory="700m")
    try:
        with pytest.raises(EngineError, match=r"none has a free core and 700m of free memory.*lower executor_memory"):
            other.ready()
    finally:
        other.close()


def test_a_folder_that_workers_do_not_see_is_refused(
    engine: SparkEngine, cluster: spark.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path below the current folder of whoever reads it: another one for every process."""
    engine.close()
    monkeypatch.chdir(tmp_path)
    other = SparkEngine(cluster.master, Path("/proc/self/cwd/showcase"), tmp_path / "work", executor_memory="512m")
    try:
        with pytest.raises(EngineError, match=r"does not see /proc/self/cwd/showcase; mount"):
            other.ready()
    finally:
        other.close()


def test_an_executor_that_runs_out_of_memory_is_an_error_that_says_so(
    engine: SparkEngine, cluster: spark.Cluster, loads: list[Load]
) -> None:
    modest = EngineScan(TABLE, "SELECT max(said) AS n FROM {rows}", {"n": "VARCHAR"}, {})
    # a worker may be gone before it says why
    session = engine._session()
    frame = session.spark.sql("SELECT length(repeat('x', 1 + CAST(id AS INT) * 400000000)) AS n FROM range(1, 3)")
    with pytest.raises(EngineError, match=r"more memory than the 512m it has|workers were lost.*executor_memory: 512m"):
        session.answer(frame)
    assert engine.measure(modest, loads).num_rows == 1


def test_what_answers_and_is_no_master_is_refused(engine: SparkEngine, cluster: spark.Cluster, tmp_path: Path) -> None:
    """The page of the master: something answers there, but not what Spark says to it."""
    engine.close()
    other = SparkEngine(f"spark://127.0.0.1:{cluster.page}", tmp_path, tmp_path / "work")
    with pytest.raises(EngineError, match=r"no master of Spark, or one of another version than 4\."):
        other.ready()


def test_a_folder_without_a_cluster_has_nothing_to_stop(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="holds no cluster"):
        spark.down(tmp_path)
