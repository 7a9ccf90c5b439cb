"""Two servers of ClickHouse on this machine, with a Distributed table: placed, loaded, asked, killed in the middle, refused."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpi_definitions.engine_scans import EngineScan
from tests.support.loads import COLUMNS, SCAN, TABLE, answered, by_duckdb, hard_load
from tools.clusters.clickhouse import CLUSTER, DATABASE, LOADER, READER, Servers, down, unavailable, up
from warehouse.engines.clickhouse import ClickHouse, open_clickhouse
from warehouse.engines.clickhouse_answers import records
from warehouse.engines.clickhouse_connections import connect
from warehouse.engines.engine import EngineError, Load

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(unavailable()), reason=unavailable())]
# a shard is at work on this for seconds
SLOW_SCAN = EngineScan(
    TABLE,
    "SELECT t.kato AS kato, toInt32(0) AS period_start, max(sleepEachRow(0.0005) + sleep(1)) AS slept FROM {rows} AS t WHERE 1 GROUP BY t.kato",
    {"kato": "VARCHAR", "period_start": "DATE", "slept": "BIGINT"},
    {},
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    yield up(folder)
    down(folder)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return hard_load(tmp_path_factory.mktemp("load"), 5000)


@pytest.fixture
def engine(servers: Servers) -> Iterator[ClickHouse]:
    for shard in range(2):
        servers.start(shard)
    opened = opened_on(servers)
    yield opened
    opened.close()


@pytest.fixture
def taken(engine: ClickHouse, load: Load) -> ClickHouse:
    """The engine with this load and no other."""
    engine.drop(TABLE, list(engine.rows(TABLE)))
    engine.take(load, COLUMNS)
    return engine


def opened_on(servers: Servers, **other: object) -> ClickHouse:
    usual: dict[str, object] = {
        "address": servers.shards[0],
        "database": DATABASE,
        "user": LOADER,
        "password": servers.password,
        "reader": READER,
        "reader_password": servers.reader_password,
        "cluster": CLUSTER,
        "shards": servers.shards,
    }
    return open_clickhouse(**(usual | other))  # type: ignore[arg-type]


def test_they_are_as_they_must_be(engine: ClickHouse) -> None:
    facts = engine.ready()
    assert (facts.machines, facts.version) == (2, "18.16.1")


def test_every_value_arrives_and_a_settlement_is_on_one_shard(taken: ClickHouse, load: Load, servers: Servers) -> None:
    assert taken.recounted(TABLE, [load.name], COLUMNS) == {load.name: (load.rows, load.content)}
    placed = []
    for address in servers.shards:
        loader = connect(address, DATABASE, LOADER, servers.password, insert={})
        placed.append({kato for (kato,) in records(loader.ask(f"SELECT DISTINCT kato FROM {TABLE}_local"))})
    assert all(placed)
    assert not placed[0] & placed[1]
    assert len(placed[0] | placed[1]) == 7


def test_a_scan_gives_what_duckdb_gives(taken: ClickHouse, load: Load) -> None:
    assert answered(taken, load) == by_duckdb(load)


def test_rows_on_a_shard_that_is_not_theirs_do_not_count(taken: ClickHouse, load: Load, servers: Servers) -> None:
    first, second = (connect(address, DATABASE, LOADER, servers.password, insert={}) for address in servers.shards)
    names = ", ".join(("load", *COLUMNS))
    moved = first.ask(f"SELECT {names} FROM {TABLE}_local").split(b"\n", 1)[1]
    first.tell(f"ALTER TABLE {TABLE}_local DROP PARTITION '{load.name}'")
    second.tell(f"INSERT INTO {TABLE}_local ({names}) FORMAT CSV\n{moved.decode()}")
    assert taken.rows(TABLE) == {load.name: load.rows}
    rows, content = taken.recounted(TABLE, [load.name], COLUMNS)[load.name]
    assert rows < load.rows
    assert content != load.content
    assert answered(taken, load) == by_duckdb(load)  # a number is right all the same
    taken.take(load, COLUMNS)
    assert taken.recounted(TABLE, [load.name], COLUMNS) == {load.name: (load.rows, load.content)}


@pytest.mark.parametrize("shard", [0, 1])
def test_a_dead_shard_is_named_and_the_next_try_goes_on(
    taken: ClickHouse, load: Load, servers: Servers, shard: int
) -> None:
    servers.stop(shard, signal.SIGKILL)
    named = re.escape(servers.shards[shard])
    with pytest.raises(EngineError, match=f"{named} does not answer"):
        taken.measure(SCAN, [load])
    with pytest.raises(EngineError, match=f"{named} does not answer"):
        opened_on(servers).ready()
    with pytest.raises(EngineError, match=f"{named} does not answer"):
        taken.take(load, COLUMNS)
    servers.start(shard)
    taken.ready()
    taken.take(load, COLUMNS)
    assert answered(taken, load) == by_duckdb(load)


def test_a_shard_that_dies_in_the_middle_of_a_scan(taken: ClickHouse, load: Load, servers: Servers) -> None:
    killer = threading.Timer(0.7, servers.stop, (1, signal.SIGKILL))
    killer.start()
    with pytest.raises(
        EngineError, match=f"shard {re.escape(servers.shards[1])} does not answer: start it, and try again"
    ):
        taken.measure(SLOW_SCAN, [load])
    killer.join()
    servers.start(1)
    assert answered(taken, load) == by_duckdb(load)


@pytest.mark.parametrize("shard", [0, 1])
def test_a_shard_that_dies_in_the_middle_of_a_load(
    taken: ClickHouse, load: Load, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    from warehouse.engines.clickhouse_tables import rows_as_text

    other = hard_load(tmp_path, 120_000, month="2024-03")

    def with_a_death(con: object, load: Load, shape: object, this: int, shards: int) -> Iterator[bytes]:
        chunks = rows_as_text(con, load, shape, this, shards)  # type: ignore[arg-type]
        yield next(chunks)
        if this == shard:
            servers.stop(shard, signal.SIGKILL)
        yield from chunks

    monkeypatch.setattr("warehouse.engines.clickhouse.rows_as_text", with_a_death)
    with pytest.raises(EngineError, match=f"{re.escape(servers.shards[shard])} does not answer"):
        taken.take(other, COLUMNS)
    monkeypatch.undo()
    servers.start(shard)
    assert answered(taken, load) == by_duckdb(load)  # of the other nothing is read
    if taken.rows(TABLE).get(other.name):
        with pytest.raises(EngineError, match="qala engine load"):
            taken.measure(SCAN, [other])
    taken.take(other, COLUMNS)
    assert taken.recounted(TABLE, [other.name], COLUMNS) == {other.name: (other.rows, other.content)}
    assert answered(taken, other) == by_duckdb(other)


def test_servers_that_were_restarted_are_asked_again(taken: ClickHouse, load: Load, servers: Servers) -> None:
    for shard in range(2):
        servers.stop(shard, signal.SIGKILL)
        servers.start(shard)
    assert answered(taken, load) == by_duckdb(load)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"password": "wrong"}, r"Wrong password for user qala.*set QALA_CLICKHOUSE_PASSWORD"),
        ({"reader_password": "wrong"}, r"Wrong password for user qala_reader.*QALA_CLICKHOUSE_READER_PASSWORD"),
        ({"user": "nobody"}, r"Unknown user nobody.*correct engine.yaml"),
        (
            {"database": "nowhere"},
            r"nowhere doesn't exist.*correct `database` in engine.yaml|Access denied to database nowhere",
        ),
        ({"cluster": "elsewhere"}, r"cluster elsewhere is not known there"),
        (
            {"reader": LOADER, "reader_password": "load-me"},
            r"the reader's profile has readonly=0; it must be 1: CREATE USER",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    engine: ClickHouse, servers: Servers, other: dict[str, object], said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        opened_on(servers, **other).ready()


def test_shards_that_are_not_all_of_them_are_refused(engine: ClickHouse, servers: Servers) -> None:
    with pytest.raises(EngineError, match=r"has 2 shards there, and 1 in engine.yaml"):
        opened_on(servers, shards=servers.shards[:1]).ready()


def test_an_address_at_which_another_protocol_is_spoken(engine: ClickHouse, servers: Servers) -> None:
    secure = servers.shards[0].replace("http:", "https:")
    with pytest.raises(EngineError, match="write http:// if it is a plain port"):
        opened_on(servers, address=secure).ready()


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("<readonly>2</readonly>", "readonly=2; it must be 1"),
        (
            "<readonly>1</readonly><join_use_nulls>1</join_use_nulls>",
            "join_use_nulls=1, which can change a number; set it to 0",
        ),
        (
            "<readonly>1</readonly><group_by_overflow_mode>any</group_by_overflow_mode>",
            "group_by_overflow_mode=any.*set it to throw",
        ),
        (
            "<readonly>1</readonly><count_distinct_implementation>uniq</count_distinct_implementation>",
            "count_distinct_implementation=uniq.*set it to uniqExact",
        ),
        (
            "<readonly>1</readonly><skip_unavailable_shards>1</skip_unavailable_shards>",
            "skip_unavailable_shards=1.*set it to 0",
        ),
        (
            "<readonly>1</readonly><decimal_check_overflow>0</decimal_check_overflow>",
            "decimal_check_overflow=0.*set it to 1",
        ),
    ],
)
def test_a_profile_that_can_change_a_number_is_refused(tmp_path: Path, profile: str, said: str) -> None:
    servers = up(tmp_path, 1, reader_profile=profile)
    try:
        with pytest.raises(EngineError, match=f"reader.*{said}"):
            opened_on(servers, cluster=None).ready()
    finally:
        down(tmp_path)


def test_a_reader_that_sees_other_databases_is_refused(engine: ClickHouse, servers: Servers) -> None:
    users = servers.folder / "shard-0" / "users.xml"
    as_it_was = users.read_text(encoding="utf-8")
    users.write_text(re.sub(r"<allow_databases>.*?</allow_databases>", "", as_it_was), encoding="utf-8")
    try:
        servers.stop(0, signal.SIGKILL)
        servers.start(0)
        with pytest.raises(EngineError, match="the reader sees other databases: default"):
            opened_on(servers).ready()
    finally:
        users.write_text(as_it_was, encoding="utf-8")
        servers.stop(0, signal.SIGKILL)
        servers.start(0)


def test_a_server_can_be_stopped_and_started_again_with_what_it_holds(tmp_path: Path, load: Load) -> None:
    servers = up(tmp_path, 1)
    try:
        engine = opened_on(servers, cluster=None)
        engine.take(load, COLUMNS)
        engine.close()
        down(tmp_path)
        with pytest.raises(EngineError, match="does not answer"):
            engine.rows(TABLE)
        up(tmp_path)
        assert engine.rows(TABLE) == {load.name: load.rows}
        assert answered(engine, load) == by_duckdb(load)
    finally:
        down(tmp_path)


def test_scans_can_be_asked_at_once(taken: ClickHouse, load: Load) -> None:
    expected, found = by_duckdb(load), list[object]()
    threads = [threading.Thread(target=lambda: found.append(answered(taken, load))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
