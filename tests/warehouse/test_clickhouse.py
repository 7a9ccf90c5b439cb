"""The engine in this process (chdb), which is ClickHouse of today: what it holds is what was handed over, and nothing bends a number."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_definitions.engine_scans import EngineScan
from tests.support.clickhouse_server import LOADER, PASSWORD, READER, http_server
from tests.support.loads import COLUMNS, SCAN, TABLE, answered, by_duckdb, hard_load, load_of
from warehouse.engines import clickhouse_checks as checks
from warehouse.engines.chdb import DATABASE, open_chdb
from warehouse.engines.clickhouse import ClickHouse, open_clickhouse
from warehouse.engines.clickhouse_answers import columns_of_answer, records
from warehouse.engines.clickhouse_connections import Connection, embedded
from warehouse.engines.clickhouse_tables import Shape, rows_as_text
from warehouse.engines.engine import EngineError, Load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """chdb allows one folder in a process at a time."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[ClickHouse]:
    opened = open_chdb(folder)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return hard_load(tmp_path_factory.mktemp("load"), 5000)


@pytest.fixture
def taken(engine: ClickHouse, load: Load) -> ClickHouse:
    """The engine with this load and no other."""
    engine.drop(TABLE, list(engine.rows(TABLE)))
    engine.take(load, COLUMNS)
    return engine


def test_it_is_as_it_must_be(engine: ClickHouse) -> None:
    facts = engine.ready()
    assert (facts.machines, facts.settings["session_timezone"], facts.settings["join_use_nulls"]) == (1, "", "0")


def test_every_value_arrives_as_it_is(taken: ClickHouse, load: Load) -> None:
    assert taken.rows(TABLE) == {load.name: load.rows}
    assert taken.recounted(TABLE, [load.name, "2020-01.1"], COLUMNS) == {load.name: (load.rows, load.content)}


def test_a_scan_gives_what_duckdb_gives(taken: ClickHouse, load: Load) -> None:
    assert answered(taken, load) == by_duckdb(load)


def test_loads_that_a_scan_does_not_name_are_not_read(taken: ClickHouse, load: Load, tmp_path: Path) -> None:
    other = hard_load(tmp_path, 900, month="2024-03")
    taken.take(other, COLUMNS)
    assert answered(taken, load) == by_duckdb(load)
    assert answered(taken, other) == by_duckdb(other)
    assert taken.measure(SCAN, []).num_rows == 0


def test_taken_twice_is_there_once(taken: ClickHouse, load: Load) -> None:
    taken.take(load, COLUMNS)
    assert taken.recounted(TABLE, [load.name], COLUMNS) == {load.name: (load.rows, load.content)}


def test_the_same_rows_under_another_name_are_there_too(taken: ClickHouse, load: Load) -> None:
    again = dataclasses.replace(load, month="2024-03")
    taken.take(again, COLUMNS)
    assert taken.rows(TABLE) == {load.name: load.rows, again.name: load.rows}


def test_what_is_dropped_is_gone_and_the_rest_stays(taken: ClickHouse, load: Load, tmp_path: Path) -> None:
    other = hard_load(tmp_path, 10, month="2024-03")
    taken.take(other, COLUMNS)
    taken.drop(TABLE, [other.name, "2020-01.1"])
    assert taken.rows(TABLE) == {load.name: load.rows}


def test_half_a_load_is_seen_and_not_read(
    taken: ClickHouse, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hard_load(tmp_path, 60_000, month="2024-03")

    def broken_off(*asked: object) -> Iterator[bytes]:
        yield next(rows_as_text(*asked))  # type: ignore[arg-type]

    monkeypatch.setattr("warehouse.engines.clickhouse.rows_as_text", broken_off)
    with pytest.raises(EngineError, match=r"holds [1-9]\d* of the 60000 rows of fct_hard 2024-03"):
        taken.take(other, COLUMNS)
    monkeypatch.undo()
    assert 0 < taken.rows(TABLE)[other.name] < other.rows
    with pytest.raises(EngineError, match="qala engine load"):
        taken.measure(SCAN, [load, other])
    assert answered(taken, load) == by_duckdb(load)
    taken.take(other, COLUMNS)
    assert taken.recounted(TABLE, [other.name], COLUMNS) == {other.name: (other.rows, other.content)}


def test_a_changed_value_is_seen_though_the_count_is_the_same(taken: ClickHouse, load: Load, folder: Path) -> None:
    loader = embedded(folder, DATABASE, {})
    loader.tell(f"ALTER TABLE {TABLE} UPDATE whole = 6 WHERE row_no = 77 SETTINGS mutations_sync = 2")
    loader.close()
    rows, content = taken.recounted(TABLE, [load.name], COLUMNS)[load.name]
    assert rows == load.rows
    assert content != load.content


@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS | {"more": "INTEGER"},
        {name: kind for name, kind in COLUMNS.items() if name != "said"},
        COLUMNS | {"whole": "BIGINT"},
    ],
    ids=["one more", "one less", "another type"],
)
def test_a_table_with_other_columns_is_made_anew(taken: ClickHouse, tmp_path: Path, columns: Mapping[str, str]) -> None:
    plain = hard_load(tmp_path, 100)
    file = tmp_path / "changed.parquet"
    with duckdb.connect() as con:
        chosen = ", ".join(
            f"{name}::{kind} AS {name}" if name in COLUMNS else f"3::{kind} AS {name}" for name, kind in columns.items()
        )
        con.execute(f"COPY (SELECT {chosen} FROM '{plain.file}') TO '{file}' (FORMAT parquet)")
    changed = load_of(file, "2024-05", columns)
    taken.take(changed, columns)
    assert taken.rows(TABLE) == {changed.name: 100}
    assert taken.recounted(TABLE, [changed.name], columns) == {changed.name: (100, changed.content)}


def test_people_read_dates_and_meanings(taken: ClickHouse, load: Load, folder: Path) -> None:
    reader = embedded(folder, DATABASE, {"readonly": 1})
    shown = reader.ask(
        f"SELECT toString(opened_time), toString(day_date) FROM {TABLE} WHERE row_no IN (1, 3) ORDER BY row_no"
    )
    comments = reader.ask(f"SELECT name FROM system.columns WHERE table = '{TABLE}' AND comment != '' ORDER BY name")
    reader.close()
    assert records(shown) == [
        ("\\N", "\\N"),
        ("2024-03-02 23:59:59.999997", "2024-03-02"),
    ]  # far dates have no calendar there
    assert ("valid_from_seq",) in records(comments)


def test_one_folder_in_a_process_at_a_time(engine: ClickHouse, tmp_path: Path) -> None:
    engine.ready()
    with pytest.raises(EngineError, match=r"cannot be opened: another process has it open, or this one another folder"):
        open_chdb(tmp_path).ready()


def test_a_column_that_is_the_engines_own_is_refused(engine: ClickHouse, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"fct_hard has a column load.*another name in its contract"):
        engine.take(hard_load(tmp_path, 1), COLUMNS | {"load": "VARCHAR"})


def test_a_file_that_is_gone_is_named(engine: ClickHouse, load: Load) -> None:
    with pytest.raises(EngineError, match=r"nowhere.parquet cannot be read.*qala engine load"):
        engine.take(dataclasses.replace(load, file=Path("/nowhere.parquet"), month="2024-06"), COLUMNS)


@pytest.mark.parametrize(
    "tail",
    [
        "JOIN other AS o ON o.kato = t.kato",
        "JOIN file('qala', 'TSV', 'kato String') AS o ON o.kato = t.kato",
        "CROSS JOIN (SELECT count(*) FROM system.one) AS o",
        "CROSS JOIN numbers(3) AS o",
    ],
)
def test_a_statement_that_reads_more_than_its_table_is_not_run(
    taken: ClickHouse, load: Load, folder: Path, tail: str
) -> None:
    loader = embedded(folder, DATABASE, {})
    loader.tell("CREATE TABLE IF NOT EXISTS other (kato String) ENGINE = MergeTree ORDER BY kato")
    loader.close()
    sql = "SELECT t.kato AS kato, toInt32(0) AS period_start FROM {rows} AS t WHERE 1 GROUP BY t.kato"
    taken.measure(EngineScan(TABLE, sql, {"kato": "VARCHAR", "period_start": "DATE"}, {}), [load])
    joined = sql.replace(
        "WHERE 1", f"WHERE t.kato IN (SELECT '1' FROM system.one AS t {tail.replace('t.kato', 't.dummy::String')})"
    )
    with pytest.raises(EngineError, match=r"it was not run|READONLY"):
        taken.measure(EngineScan(TABLE, joined, {"kato": "VARCHAR", "period_start": "DATE"}, {}), [load])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("join_use_nulls", 1),
        ("session_timezone", "Asia/Almaty"),
        ("final", 1),
        ("limit", 5),
        ("offset", 1),
        ("extremes", 1),
        ("skip_unavailable_shards", 1),
        ("count_distinct_implementation", "uniq"),
        ("read_overflow_mode", "break"),
        ("group_by_overflow_mode", "any"),
        ("timeout_overflow_mode", "break"),
        ("result_overflow_mode_leaf", "break"),
        ("decimal_check_overflow", 0),
        ("transform_null_in", 1),
        ("use_query_cache", 1),
        ("aggregate_functions_null_for_empty", 1),
        ("format_csv_delimiter", ";"),
        ("prefer_column_name_to_alias", 1),
    ],
)
def test_a_setting_that_can_change_a_number_is_refused(folder: Path, name: str, value: object) -> None:
    try:
        connection = embedded(folder, DATABASE, {name: value})
    except EngineError:
        pytest.skip(f"this version does not have {name}")
    try:
        with pytest.raises(
            EngineError,
            match=rf"reader has {name}=.*, which can change a number; set it to|limit and offset|take use_query_cache out",
        ):
            checks.settings_of(connection, "reader")
    finally:
        connection.close()


@pytest.fixture
def reader(folder: Path) -> Iterator[Connection]:
    connection = embedded(folder, DATABASE, {"readonly": 1})
    yield connection
    connection.close()


def test_a_reader_may_only_read(reader: Connection) -> None:
    checks.may_only_read(reader, DATABASE)


def test_a_reader_that_may_more_is_refused(folder: Path) -> None:
    connection = embedded(folder, DATABASE, {"readonly": 2})
    try:
        with pytest.raises(EngineError, match="readonly=2; it must be 1"):
            checks.may_only_read(connection, DATABASE)
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'"kato","s"\n"1",1.234\n', "cannot be read exactly"),  # a digit too many
        (b'"kato","x"\n"1",1\n', "answered with columns kato, x, not kato, s"),
        (b'"kato","s"\n"1"\n', "cannot be read exactly"),
        (b"", "cannot be read exactly"),
    ],
)
def test_an_answer_that_does_not_fit_is_no_value(answer: bytes, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        columns_of_answer(answer, {"kato": "VARCHAR", "s": "DECIMAL(38,2)"}, "here")


def test_the_columns_of_a_table_are_what_the_engine_says_they_are(taken: ClickHouse, folder: Path) -> None:
    reader = embedded(folder, DATABASE, {"readonly": 1})
    sql = f"SELECT name, type FROM system.columns WHERE table = '{TABLE}' AND default_kind != 'ALIAS'"
    said = {row[0]: row[1] for row in records(reader.ask(sql))}
    reader.close()
    assert said == Shape(TABLE, COLUMNS).types


def opened_at(address: str, **other: str) -> ClickHouse:
    usual: dict[str, Any] = {
        "address": address,
        "database": DATABASE,
        "user": LOADER,
        "password": PASSWORD,
        "reader": READER,
        "reader_password": PASSWORD,
    }
    return open_clickhouse(**(usual | other))


def test_a_server_of_today_is_spoken_to_in_its_protocol(engine: ClickHouse, load: Load, folder: Path) -> None:
    with http_server(folder) as address:
        server = opened_at(address)
        facts = server.ready()
        assert (facts.where, facts.version[:4], facts.machines) == (address, "26.9", 1)
        server.drop(TABLE, list(server.rows(TABLE)))
        server.take(load, COLUMNS)
        assert server.recounted(TABLE, [load.name], COLUMNS) == {load.name: (load.rows, load.content)}
        assert answered(server, load) == by_duckdb(load)
        server.close()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"password": "wrong"}, "Authentication failed.*set QALA_CLICKHOUSE_PASSWORD"),
        ({"reader_password": "wrong"}, "Authentication failed.*QALA_CLICKHOUSE_READER_PASSWORD"),
        ({"database": "nowhere"}, "Database nowhere does not exist.*correct `database` in engine.yaml"),
        ({"reader": LOADER}, "readonly=0; it must be 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder: Path, other: dict[str, str], said: str) -> None:
    with http_server(folder) as address, pytest.raises(EngineError, match=said):
        opened_at(address, **other).ready()


@pytest.mark.parametrize("version", ["24.8.4.13", "18.17.1", "27.1.1.1"])
def test_a_version_that_nobody_tried_is_refused(folder: Path, version: str) -> None:
    with (
        http_server(folder, version=version) as address,
        pytest.raises(EngineError, match=rf"is ClickHouse {version}; numbers were compared on .* qala engine try"),
    ):
        opened_at(address).ready()


def test_a_version_that_is_too_old_is_refused_whatever_was_tried(folder: Path) -> None:
    with http_server(folder, version="1.1.54388") as address:
        for untried in (False, True):
            with pytest.raises(EngineError, match=r"is ClickHouse 1.1.54388, which lacks .* use 18.16 or newer"):
                opened_at(address).ready(untried=untried)


def test_versions_that_differ_are_refused() -> None:
    class Version:
        def __init__(self, *version: int) -> None:
            self.version = version

    with pytest.raises(EngineError, match=r"different versions: a 26.9.2, b 26.9.3"):
        checks.versions_agree({"a": Version(26, 9, 2), "b": Version(26, 9, 3)})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1", "does not answer: see that the server runs"),
        ("https://127.0.0.1:1", "does not answer: see that the server runs"),
        ("127.0.0.1:8123", "is no address of a server: write http"),
        ("tcp://127.0.0.1:9000", "is no address of a server: write http"),
        ("http://127.0.0.1", "is no address of a server: write http"),
        ("http://127.0.0.1:99999", "is no address of a server: write http"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(address: str, said: str) -> None:
    with pytest.raises(EngineError, match=f"{address} {said}"):
        opened_at(address).ready()


class _Elsewhere(BaseHTTPRequestHandler):
    """Something that answers, and is no ClickHouse."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None:
        pass


class _Cut(_Elsewhere):
    """The connection is cut in the middle of an answer."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"18.16")


@pytest.mark.parametrize(
    ("handler", "said"),
    [(_Elsewhere, "answers, but not as ClickHouse does"), (_Cut, "does not answer: .*IncompleteRead")],
)
def test_what_is_no_clickhouse_is_told(handler: type[BaseHTTPRequestHandler], said: str) -> None:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(EngineError, match=said):
                opened_at(f"http://127.0.0.1:{server.server_address[1]}").ready()
        finally:
            server.shutdown()
            thread.join()
