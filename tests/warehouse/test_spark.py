"""Spark counts what DuckDB counts, from the files it was told of and from nothing else; or it says why not, and what to do.

Starting Java takes as long as many tests: what needs it is slow, one session for all of it, and the cluster is in test_spark_cluster.py.
"""

from __future__ import annotations

import datetime as dt
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.engine_scans import EngineScan
from kpi_definitions.functions import DIALECTS, Family, functions
from tests.support.loads import COLUMNS, TABLE, hard_load
from tests.support.rows import LATER, Extract, cell, deliver, only
from tests.support.settlements import ALMATY
from tools.clusters.processes import free_ports
from warehouse.audit.reperform import reperform
from warehouse.engines import spark_jvm
from warehouse.engines.engine import EngineError, Load
from warehouse.engines.spark import SparkEngine
from warehouse.engines.spark_jvm import find_java, spark_environment
from warehouse.engines.spark_session import NUMBERS
from warehouse.engines.spark_taken import Counted, Taken, TakenTable, state
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.measured_elsewhere import in_step
from warehouse.store.store import Store

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")
AT = dt.datetime
ODD = "a [b]{c} %20 $d é"  # what Spark, its file names and its logger take for patterns


def scan(sql: str, **columns: str) -> EngineScan:
    return EngineScan(TABLE, sql, columns, {})


COUNT = scan("SELECT count(*) AS n FROM {rows}", n="BIGINT")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = tmp_path_factory.mktemp("spark") / ODD / "showcase"
    files.mkdir(parents=True)
    return files


@pytest.fixture(scope="module")
def loads(folder: Path) -> list[Load]:
    return [
        hard_load(folder, 1000, month="2024-02"),
        hard_load(folder, 77, month="2024-03"),
        hard_load(folder, 0, month="2024-04"),
    ]


@pytest.fixture(scope="module")
def local(folder: Path, loads: list[Load]) -> Iterator[SparkEngine]:
    """One session, with three loads taken and counted."""
    engine = SparkEngine("local[1]", folder, folder.parent / "work", executor_memory="512m")
    try:
        for load in loads:
            engine.take(load, COLUMNS)
        engine.recounted(TABLE, [load.name for load in loads], COLUMNS)
        yield engine
    finally:
        engine.close()


def fake_java(folder: Path, text: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'openjdk version \"11.0.22\" 2024-01-16' >&2", "is Java 11, too old"),
        ("echo 'java version \"1.8.0_401\"' >&2", "is Java 8, too old"),
        ("echo hello", "does not say which Java it is"),
        ("exec /no/such/program", "does not say which Java it is"),
    ],
)
def test_a_java_that_spark_cannot_run_on_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", script)))
    engine = SparkEngine("local[1]", tmp_path, tmp_path / "work")
    with pytest.raises(EngineError, match=rf"{said}.*install Java 17"):
        engine.ready()


def test_no_java_at_all_and_one_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="there is none on this machine; install Java 17"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(EngineError, match=r"gone/bin/java of JAVA_HOME cannot be run .*install Java 17"):
        find_java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.1"])
def test_a_java_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, f"echo 'openjdk version \"{version}\"' >&2")))
    assert find_java() == str(tmp_path / "bin" / "java")


def test_java_that_ends_at_its_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo 'openjdk version \"17\"' >&2; [ \"$1\" = -version ] || { echo 'Error: Could not reserve enough space' >&2; exit 1; }"
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", script)))
    with pytest.raises(EngineError, match=r"ended at its start \(exit code 1\): .*Could not reserve.*executor_memory"):
        SparkEngine("local[1]", tmp_path, tmp_path / "work").ready()


def test_java_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'echo \'openjdk version "17"\' >&2; [ "$1" = -version ] || exec sleep 60'
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", script)))
    monkeypatch.setattr(spark_jvm, "START_SECONDS", 1.0)
    monkeypatch.setattr(spark_jvm, "END_SECONDS", 0.5)
    with pytest.raises(EngineError, match="did not start within 1 s"):
        SparkEngine("local[1]", tmp_path, tmp_path / "work").ready()


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:{}", "spark://no-such-host.invalid:{}", "spark://127.0.0.1:{0},[::1]:{0}"]
)
def test_a_master_that_does_not_answer_is_refused_at_once(tmp_path: Path, master: str) -> None:
    (port,) = free_ports(1)
    with pytest.raises(EngineError, match=r"no master of Spark answers at spark://.*engine\.yaml"):
        SparkEngine(master.format(port), tmp_path, tmp_path / "work").ready()


def test_too_little_memory_and_another_version_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="executor_memory 300m: Spark does not start with less than 512m"):
        SparkEngine("local[1]", tmp_path, tmp_path / "work", executor_memory="300m").ready()
    monkeypatch.setattr("pyspark.__version__", "4.2.1")
    with pytest.raises(EngineError, match=r"this is Spark 4\.2\.1; numbers were compared on 4\.3"):
        SparkEngine("local[1]", tmp_path, tmp_path / "work").ready()


def test_a_process_of_spark_gets_no_secrets_and_no_settings_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QALA_CLICKHOUSE_PASSWORD", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "SPARK_HOME"):
        monkeypatch.setenv(name, "/of/others")
    given = spark_environment(tmp_path)
    assert "/of/others" not in given.values()
    assert given["SPARK_CONF_DIR"] == str(tmp_path)


def test_only_a_load_that_was_counted_and_lies_as_it_was_is_read(tmp_path: Path) -> None:
    load = hard_load(tmp_path, 5)
    engine = SparkEngine("local[1]", tmp_path, tmp_path / "work")  # nothing is started: all of this is refused before
    with pytest.raises(EngineError, match="has not counted load"):
        engine.measure(COUNT, [load])
    engine.take(load, COLUMNS)
    assert engine.rows(TABLE) == {}
    with pytest.raises(EngineError, match="has not counted load"):
        engine.measure(COUNT, [load])
    known = TakenTable.read(tmp_path / "work" / "taken", TABLE)
    now = state(str(load.file))
    assert now is not None
    known.loads[load.name] = Taken(str(load.file), Counted(4, load.content, *now))
    known.keep()
    with pytest.raises(EngineError, match=r"has 5 rows .* and Spark counted 4"):
        engine.measure(COUNT, [load])
    known.loads[load.name] = Taken(str(load.file), Counted(5, load.content, *now))
    known.keep()
    assert engine.rows(TABLE) == {load.name: 5}
    os.utime(load.file, ns=(0, 0))
    assert engine.rows(TABLE) == {}
    with pytest.raises(EngineError, match=r"is gone, or not as it was.*qala engine load"):
        engine.measure(COUNT, [load])
    load.file.unlink()
    with pytest.raises(EngineError, match="is not there"):
        engine.take(load, COLUMNS)
    engine.drop(TABLE, [load.name])
    assert TakenTable.read(tmp_path / "work" / "taken", TABLE).loads == {}


def test_other_columns_make_all_loads_of_a_table_unread_and_a_damaged_note_forgets_them(tmp_path: Path) -> None:
    first, second = hard_load(tmp_path, 2, month="2024-01"), hard_load(tmp_path, 2, month="2024-02")
    engine = SparkEngine("local[1]", tmp_path, tmp_path / "work")
    engine.take(first, COLUMNS)
    engine.take(second, {**COLUMNS, "more": "INTEGER"})
    notes = tmp_path / "work" / "taken"
    assert set(TakenTable.read(notes, TABLE).loads) == {second.name}
    (notes / f"{TABLE}.json").write_text("{", encoding="utf-8")
    assert TakenTable.read(notes, TABLE).loads == {}


def test_of_no_loads_nothing_is_asked(tmp_path: Path) -> None:
    found = SparkEngine("local[1]", tmp_path, tmp_path / "work").measure(COUNT, [])
    assert (found.num_rows, found.column_names) == (0, ["n"])


@pytest.mark.slow
@needs_java
def test_rows_and_content_are_what_duckdb_counts(local: SparkEngine, loads: list[Load]) -> None:
    assert local.recounted(TABLE, [load.name for load in loads], COLUMNS) == {
        load.name: (load.rows, load.content) for load in loads
    }
    assert local.rows(TABLE) == {load.name: load.rows for load in loads}
    assert local.recounted(TABLE, ["2020-01.1"], COLUMNS) == {}


@pytest.mark.slow
@needs_java
def test_settings_are_as_they_were_set_whatever_the_environment_says(
    local: SparkEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = local.ready()
    assert (facts.settings, facts.machines) == (NUMBERS, 1)
    local.close()
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.sql.ansi.enabled false\nspark.sql.session.timeZone Asia/Almaty\nspark.sql.extensions no.such.Class\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.sql.ansi.enabled=false pyspark-shell")
    monkeypatch.setenv("TZ", "Asia/Almaty")
    assert local.ready().settings == NUMBERS
    session = local._session()
    session.spark.conf.set("spark.sql.session.timeZone", "Asia/Almaty")
    try:
        with pytest.raises(EngineError, match=r"session\.timeZone is 'Asia/Almaty', not 'UTC'"):
            local.ready()
    finally:
        session.spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.slow
@needs_java
def test_a_scan_reads_its_loads_and_no_others_and_counts_as_duckdb(local: SparkEngine, loads: list[Load]) -> None:
    sql = (
        "SELECT kato, count(*) AS n, count(CASE WHEN open THEN 1 END) AS opened, sum(amount) AS total, max(day) AS day, max(opened) AS at "
        "FROM {rows} WHERE valid_from_seq <= 4 AND (valid_to_seq IS NULL OR valid_to_seq > 4) GROUP BY kato"
    )
    for chosen in (loads, loads[:1], loads[2:]):
        with duckdb.connect() as con:
            # a file's name is a pattern to DuckDB too
            tables = [con.read_parquet(str(load.file).replace("[", "[[]")) for load in chosen]
            rows = tables[0]
            for table in tables[1:]:
                rows = rows.union(table)
            answer = rows.query("loaded", sql.format(rows="loaded"))
            assert answer is not None
            expected = sorted(answer.fetchall())
        found = local.measure(scan(sql), chosen)
        assert sorted(tuple(row.values()) for row in found.to_pylist()) == expected
        assert found.num_rows == (7 if chosen[0].rows else 0)


@pytest.mark.slow
@needs_java
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM range(3)",
        "SELECT 1 AS n FROM {rows} WHERE whole IN (SELECT whole FROM {rows})",
        "SELECT a.kato FROM {rows} AS a JOIN {rows} AS b ON a.kato = b.kato",
        "SELECT kato FROM {rows} UNION ALL SELECT kato FROM {rows}",
        "WITH other AS (SELECT 1 AS n) SELECT n FROM other",
        "SELECT reflect('java.lang.System', 'currentTimeMillis') AS n FROM {rows}",
        "SELECT count(*) AS n FROM {rows} WHERE day = current_date()",
        "SELECT input_file_name() AS n FROM {rows}",
        "SELECT rand() AS n FROM {rows}",
        "SELECT approx_percentile(whole, 0.5) AS n FROM {rows}",
        "SELECT said FROM csv.`/etc/passwd`",
        "SELECT _c0 FROM csv.`/etc/passwd`",
        "SELECT 1 AS n FROM qala_rows2",
        "SELECT 1 AS n",
        "DROP VIEW {rows}",
        "SET spark.sql.ansi.enabled = false",
        "CREATE TEMPORARY VIEW other AS SELECT 1 AS n",
    ],
)
def test_what_is_no_scan_of_its_own_table_is_refused(local: SparkEngine, loads: list[Load], sql: str) -> None:
    with pytest.raises(EngineError, match=r"item 12\(4\)"):
        local.measure(scan(sql), loads)
    assert local._session().setting("spark.sql.ansi.enabled") == "true"


ARGUMENTS = {
    Family.TEXT: "said",
    Family.BOOLEAN: "open",
    Family.WHOLE: "large",
    Family.DECIMAL: "amount",
    Family.DOUBLE: "CAST(row_no AS DOUBLE)",
    Family.DATE: "CAST(unix_date(day) AS BIGINT)",
    Family.TIME: "timestampdiff(MICROSECOND, TIMESTAMP_NTZ '1970-01-01 00:00:00', opened)",
}
COLUMN = {
    Family.TEXT: "said",
    Family.BOOLEAN: "open",
    Family.WHOLE: "large",
    Family.DECIMAL: "amount",
    Family.DATE: "day",
}
NUMBERS_OF_TEMPLATES = {
    "TEXT": "'x'", "TRUTH": "true", "N": 1, "PLAIN": "1.5", "WIDTH": 38, "SCALE": 2, "TOP": 1, "BOTTOM": 2, "STEPS": "large", "POWER": 100,
    "OFFSET": 1, "MICROS": 60_000_000, "P": "large", "Y": "large", "MONTHS": 3, "SHIFT": 0, "UNIT": "day", "AMOUNT": 1,
}  # fmt: skip


@pytest.mark.slow
@needs_java
def test_every_function_of_the_closed_list_is_let_through(local: SparkEngine, loads: list[Load]) -> None:
    """As the lock is a list of its own, of what Spark makes of the functions."""
    written = []
    for (name, family), function in functions().items():
        template, _ = function.templates[DIALECTS.index("spark")]
        given = dict.fromkeys("abcde", ARGUMENTS[family]) | {"ALL": ", ".join([ARGUMENTS[family]] * 2)}
        if name == "within":  # between two bounds
            given |= {"b": "1", "c": "2"}
        written.append(template.format(NAME=COLUMN.get(family, "opened"), **given, **NUMBERS_OF_TEMPLATES))
    sql = f"SELECT {', '.join(f'{text} AS c{n}' for n, text in enumerate(written))} FROM {{rows}} WHERE row_no < 0"
    assert len(written) > 50
    assert local.measure(scan(sql), loads).num_rows == 0


@pytest.mark.slow
@needs_java
def test_what_leaves_its_range_is_an_error_and_a_text_is_what_it_says(local: SparkEngine, loads: list[Load]) -> None:
    with pytest.raises(EngineError, match="ARITHMETIC_OVERFLOW"):
        local.measure(scan("SELECT max(large + large) AS n FROM {rows}"), loads)
    found = local.measure(scan("SELECT max('it\\'s a \\\\n') AS said, max(\"kato\") AS k FROM {rows}"), loads)
    assert found.to_pylist() == [{"said": "it's a \\n", "k": "710000006"}]


@pytest.mark.slow
@needs_java
def test_values_of_spark_are_those_of_the_warehouse_also_as_of_an_earlier_day(local: SparkEngine, store: Store) -> None:
    """Counts, sums, quantiles, means over corrected rows: computed here and made again there, and the other way about."""

    def appeals(count: int, late: int) -> list[dict[str, object]]:
        day = AT(2026, 1, 5, 23, 59)
        return [
            {"appeal_id": f"A{n}", "registered_at": day, "due_at": day + dt.timedelta(days=9), "status": "CLOSED", "is_emergency": n % 3 == 0,
             "closed_at": day + dt.timedelta(days=12 if n < late else 3), "first_answer_at": day + dt.timedelta(seconds=n * n * 7919 % 99991)}
            for n in range(count)
        ]  # fmt: skip

    catalogue = only(load_catalogues(), "MGT02-1", "MGT02-2", "SAF02-1")
    deliver(store, "fct_appeal", Extract(appeals(40, 7), "2026-01"), Extract(appeals(3, 3), "2026-01", ALMATY))
    compute(store, catalogue, ["2026-01"], today=LATER)
    deliver(store, "fct_appeal", Extract(appeals(40, 21), "2026-01"))
    local.close()
    files = store.home.engine / "showcase"
    engine = SparkEngine("local[1]", files, store.home.engine / "spark", executor_memory="512m")
    try:
        facts = engine.ready()
        compute(store, catalogue, [], today=LATER, engine=(engine, facts))
        assert cell(store, "MGT02-1", "2026-01")["numerator"] == 19
        assert reperform(store, earlier=True).differences == []
        elsewhere = in_step(store, (engine, facts))
        assert elsewhere is not None
        again = reperform(store, earlier=True, elsewhere=elsewhere)
        assert (again.differences, again.engine) == ([], f"spark {facts.version}")
        assert again.made["values"] > 90
    finally:
        engine.close()


@pytest.mark.slow
@needs_java
@pytest.mark.parametrize("damage", ["cut", "bit", "text", "gone"])
def test_a_file_that_is_damaged_or_gone_is_named(local: SparkEngine, folder: Path, damage: str) -> None:
    load = hard_load(folder, 500, month="2025-01")
    local.take(load, COLUMNS)
    assert local.recounted(TABLE, [load.name], COLUMNS) == {load.name: (load.rows, load.content)}
    data, kept = load.file.read_bytes(), load.file.stat()
    if damage == "gone":
        load.file.unlink()
        assert local.recounted(TABLE, [load.name], COLUMNS) == {}
    else:
        half = len(data) // 2
        load.file.write_bytes(
            {"cut": data[:half], "text": b"no Parquet", "bit": data[:8] + b"\xff" * 40 + data[48:]}[damage]
        )
        # as if nobody had seen it: the same size and time
        notes = TakenTable.read(local.work / "taken", TABLE)
        os.utime(load.file, ns=(kept.st_mtime_ns, kept.st_mtime_ns))
        notes.loads[load.name] = Taken(
            str(load.file), Counted(load.rows, load.content, load.file.stat().st_size, kept.st_mtime_ns)
        )
        notes.keep()
        with pytest.raises(EngineError, match=r"2025-01\.parquet .*damaged.*qala engine load"):
            local.measure(scan("SELECT max(said) AS n, sum(amount) AS a, max(kato) AS k FROM {rows}"), [load])
    local.drop(TABLE, [load.name])


@pytest.mark.slow
@needs_java
def test_a_session_that_was_ended_from_outside_is_begun_anew(local: SparkEngine, loads: list[Load]) -> None:
    session = local._session()
    session._jvm.process.kill()
    session._jvm.process.wait()
    assert local.measure(COUNT, loads).to_pylist() == [{"n": 1077}]
    assert local._session() is not session


WORKER = """
import os, sys, time
from pathlib import Path
from warehouse.engines.spark import SparkEngine
engine = SparkEngine("local[1]", Path(sys.argv[1]), Path(sys.argv[2]), executor_memory="512m")
engine.ready()
print(engine._session()._jvm.process.pid, flush=True)
engine._session().answer(engine._session().spark.sql("SELECT sum(a.id % (b.id + 1)) FROM range(1000000) a CROSS JOIN range(1000000) b"))
"""


@pytest.mark.slow
@needs_java
def test_in_a_process_with_little_memory_it_starts_says_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Killed in the middle of a scan, it takes its Java along; the limit of its own data is not Java's."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, resource.getrlimit(resource.RLIMIT_DATA)[1]))

    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", WORKER, str(tmp_path), str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limited,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        pid = int(process.stdout.readline() or process.stderr.read().decode())
        time.sleep(2)
        assert Path(f"/proc/{pid}").exists()
        process.kill()
        assert process.stderr.read() == b""
    end = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["work"]
