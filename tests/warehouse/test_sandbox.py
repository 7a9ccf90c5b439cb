"""The locks under item 12(4): every attack of attacks.yaml is refused, in the rule's words, where it was put; and each lock holds alone."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import duckdb
import pandas as pd
import pytest
import yaml

from connectors.mapping.read_contracts import SHIPPED, load_sources, parse_source
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import Output, compile_kpi, fuse
from kpi_definitions.documents import Document, DocumentError, read
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import Kpi
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ASTANA
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.isolation import worker as apart
from warehouse.isolation.sandbox import ForbiddenQueryError, harden, only_reads
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.history import as_of
from warehouse.store.sessions import reading, writing
from warehouse.store.store import Store
from warehouse.tables.contracts import SHOWCASE, load_tables, parse_table
from warehouse.tables.file_objects import planted
from warehouse.tables.views import foreign
from warehouse.tables.working_tables import create

ROOT = Path(__file__).parents[2]
CATALOGUE, CONTRACTS = load_catalogues(), load_tables()
TABLES = {name: table.business_columns for name, table in CONTRACTS.items()}
APPEALS = read(SHOWCASE / "fct_appeal.odcs.yaml")
SOURCE = read(ROOT / "examples" / "boston-311" / "boston_311.odcs.yaml")
ATTACKS = yaml.safe_load((Path(__file__).parents[1] / "attacks.yaml").read_text(encoding="utf-8"))


def listed(*places: str) -> list[Any]:
    """(place, rule, text) of the attacks put at these places."""
    found = []
    for place in places:
        for rule, texts in ATTACKS[place].items():
            for number, text in enumerate(texts):
                name = text if isinstance(text, str) and len(text) < 80 else str(number)
                found.append(pytest.param(place, rule, _made(text), id=f"{place}-{rule}-{name!a}"))
    return found


def _made(text: Any) -> Any:
    if not isinstance(text, dict):
        return text
    return text["value"] if "value" in text else "".join(part * times for part, times in text["parts"])


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of nested data with another value at a place, made if it is not there."""
    data = copy.deepcopy(data)
    spot = data
    for key in path[:-1]:
        spot = spot.setdefault(key, {}) if isinstance(spot, dict) else spot[key]
    spot[path[-1]] = value
    return data


def test_there_are_attacks_enough() -> None:
    texts = [str(t) for rules in ATTACKS.values() for found in rules.values() for t in found]
    assert len(texts) >= 500
    assert len(ATTACKS) >= 30


# ---- lock 1, definitions

FILTERS = (("MGT02-1", "rows", "filter"), ("MGT02-1", "numerator", "filter"))
# place: the KPI, and where in its definition
KPI_PLACES: dict[str, tuple[str, ...]] = {
    "share aggregate": ("MGT02-1", "numerator", "aggregate"), "rate denominator": ("SAF04-1", "denominator", "aggregate"),
    "quantile": ("MGT02-2", "numerator", "aggregate"), "kpi table": ("MGT02-1", "rows", "table"), "kpi event": ("MGT02-1", "rows", "event"),
    "kpi as_of": ("SAF04-1", "denominator", "rows", "as_of"), "kpi stock": ("MGT01-1", "rows", "stock", "from"), "kpi code": ("MGT02-1", "code"),
    "kpi scale": ("MGT02-1", "scale"), "kpi late_data_days": ("MGT02-1", "late_data_days"), "kpi period": ("MGT02-1", "period"),
    "kpi kind": ("MGT02-1", "kind"),
}  # fmt: skip


def refused_definition(place: tuple[str, ...], value: Any) -> str:
    """What is said of a definition with another value at a place, by the model or by the compiler."""
    code, *path = place
    definition = put(CATALOGUE.latest(code).model_dump(mode="json", by_alias=True), tuple(path), value)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  pydantic's and ours; what it says is asserted
        compile_kpi(Kpi.model_validate(definition), TABLES)
    if isinstance(caught.value, ExpressionError):
        assert caught.value.where == tuple(path)[: len(caught.value.where)]
        assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(("place", "rule", "text"), listed("kpi filter"))
def test_a_definitions_filter_is_refused(place: str, rule: str, text: Any) -> None:
    for where in FILTERS:
        assert rule in refused_definition(where, text)


@pytest.mark.parametrize(("place", "rule", "text"), listed(*KPI_PLACES))
def test_a_definition_is_refused(place: str, rule: str, text: Any) -> None:
    assert rule in refused_definition(KPI_PLACES[place], text)


@pytest.mark.parametrize("kpi", CATALOGUE.kpis, ids=lambda k: f"{k.code}@{k.version}")
def test_no_shipped_definition_is_refused(kpi: Kpi, plain: Store) -> None:
    """By any lock: compiled, looked into by DuckDB, and run on a sealed connection."""
    for scan in compile_kpi(kpi, TABLES).scans:
        for seq, any_window in ((None, False), (None, True), (7, True)):
            sql = scan.sql(as_of(scan.table, seq), "asked", any_window=any_window)
            assert only_reads(plain.con, sql, scan.table, "asked") == sql
            assert plain.con.execute(sql).fetchall() == []


# ---- lock 1, contracts

PROPERTIES = ("schema", 0, "properties")
COLUMN = {p["name"]: (*PROPERTIES, n) for n, p in enumerate(APPEALS.data["schema"][0]["properties"])}
READ = {p["name"]: (*PROPERTIES, n) for n, p in enumerate(SOURCE.data["schema"][0]["properties"])}
QUALITY = {q["id"]: ("schema", 0, "quality", n) for n, q in enumerate(APPEALS.data["schema"][0]["quality"])}
SETTING = {c["property"]: ("customProperties", n, "value") for n, c in enumerate(SOURCE.data["customProperties"])}
RULE = {"id": "attack", "type": "custom", "engine": "qala"}
SOURCE_PLACES = {
    "transformLogic": (*READ["first_answer_at"], "transformLogic"), "transformSourceObjects": (*READ["first_answer_at"], "transformSourceObjects"),
    "physicalName": (*READ["due_at"], "physicalName"), "source column": (*READ["channel"], "name"), "source table": ("schema", 0, "name"),
    "system": SETTING["system"],
}  # fmt: skip
TABLE_PLACES: dict[str, tuple[Any, ...]] = {
    "column name": (*COLUMN["channel"], "name"), "table name": ("schema", 0, "name"), "physicalType": (*COLUMN["channel"], "physicalType"),
    "minLength": (*COLUMN["channel"], "logicalTypeOptions", "minLength"), "maxLength": (*COLUMN["channel"], "logicalTypeOptions", "maxLength"),
    "pattern": (*COLUMN["channel"], "logicalTypeOptions", "pattern"), "profile column": (*QUALITY["volume"], "implementation", "kwargs", "column"),
}  # fmt: skip


def refused_contract(document: Document, rule: str) -> None:
    with pytest.raises(DocumentError) as caught:
        _ = parse_table(document) if document.path == APPEALS.path else parse_source(document, CONTRACTS)
    assert any(rule in fault.message for fault in caught.value.faults), caught.value
    assert all(fault.remedy for fault in caught.value.faults)


@pytest.mark.parametrize(("place", "rule", "text"), listed(*SOURCE_PLACES, "encoding", "delimiter", "quote"))
def test_a_source_contract_is_refused(place: str, rule: str, text: Any) -> None:
    if place in SOURCE_PLACES:
        data = put(SOURCE.data, SOURCE_PLACES[place], text)
    else:
        kept = [c for c in SOURCE.data["customProperties"] if c["property"] != place]
        data = put(SOURCE.data, ("customProperties",), [*kept, {"property": place, "value": text}])
    refused_contract(Document(SOURCE.path, data, SOURCE.lines), rule)


@pytest.mark.parametrize(("place", "rule", "text"),
                         listed(*TABLE_PLACES, "row rule", "row rule of a column", "relationship", "latency"))  # fmt: skip
def test_a_table_contract_is_refused(place: str, rule: str, text: Any) -> None:
    if place == "row rule":
        data = put(APPEALS.data, ("schema", 0, "quality"), [{**RULE, "implementation": text}])
    elif place == "row rule of a column":
        data = put(APPEALS.data, (*COLUMN["channel"], "quality"), [{**RULE, "implementation": text}])
    elif place == "relationship":
        data = put(APPEALS.data, (*COLUMN["channel"], "relationships"), [{"type": "foreignKey", "to": text}])
    elif place == "latency":
        data = put(APPEALS.data, ("slaProperties",), [{"property": "latency", "value": text}])
    else:
        data = put(APPEALS.data, TABLE_PLACES[place], text)
    refused_contract(Document(APPEALS.path, data, APPEALS.lines), rule)


def test_no_shipped_contract_is_refused() -> None:
    assert set(load_tables()) == {p.name.removesuffix(".odcs.yaml") for p in SHOWCASE.glob("*.odcs.yaml")}
    found = load_sources(CONTRACTS, [SHIPPED, ROOT / "examples"])
    assert len(found) == len([*SHIPPED.rglob("*.odcs.yaml"), *(ROOT / "examples").rglob("*.odcs.yaml")])


TRANSFORMS = [
    ("upper(left(a, 1)) || lower(substring(a, 2))", "Abc"), ("coalesce(nullif(trim(b), ''), '2026-01-01 10:00:00')", "2026-01-01 10:00:00"),
    ("lpad(c, 4, '0')", "0007"),
    ("case when c = '7' then '2026-02-04 10:00:00' else a end", "2026-02-04 10:00:00"), ("case c when '7' then 1 else 2 end", 1),
    ("split_part(d, '-', 2)", "02"),
    ("regexp_extract(d, '([0-9]{4})', 1)", "2026"), ("regexp_replace(d, '-', '/', 'g')", "2026/02/03"), ("regexp_matches(d, '^2026')", True),
    ("try_strptime(d, '%Y-%m-%d') + interval 1 day > strptime(d, '%Y-%m-%d')", True), ("replace(d, '-', '')", "20260203"),
    ("try_cast(c as integer) // 2", 3), ("cast(c as integer) % 2", 1), ("round(cast(c as decimal(5,2)) / 3, 1)", 2.3), ("length(a) - 1", 2),
    ("concat(a, '-', c)", "abc-7"), ("concat_ws('/', a, c)", "abc/7"), ("greatest(cast(c as integer), 3)", 7),
    ("make_date(2026, cast(c as bigint), 1) < '2026-08-01'", True),
    ("cast(d as date) between '2026-01-01' and '2026-12-31'", True), ("a in ('abc', 'abd') and not c is null", True), ("a is not null -- a word", True),
    ("date_trunc('month', strptime(d, '%Y-%m-%d')) = '2026-02-01'", True), ("to_days(1) + strptime(d, '%Y-%m-%d') = '2026-02-04'", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), TRANSFORMS)
def test_what_a_contract_says_is_what_runs(text: str, value: object) -> None:
    """The SQL written anew from the tree gives what the text gives."""
    data = put(SOURCE.data, SOURCE_PLACES["transformLogic"], text)
    data = put(data, SOURCE_PLACES["transformSourceObjects"], ["a", "b", "c", "d"])
    logic = parse_source(Document(SOURCE.path, data, SOURCE.lines), CONTRACTS).by_name["first_answer_at"].logic
    rows = "FROM (SELECT 'abc' AS a, ' ' AS b, '7' AS c, '2026-02-03' AS d)"
    written = duckdb.execute(f"SELECT {text}\n{rows}").fetchone()
    assert duckdb.execute(f"SELECT {logic} {rows}").fetchone() == written == (value,)


# ---- lock 2: what DuckDB says a statement reads


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A warehouse without a row, sealed, with `asked` as a computation has it and a table that must not be read."""
    with writing(new_home(tmp_path_factory.mktemp("plain")), hardened=True) as store:
        store.con.execute(
            "CREATE TEMP TABLE asked (kato VARCHAR, period_id VARCHAR, period_start TIMESTAMP, period_end TIMESTAMP, period_end_population_date DATE)"
        )
        store.con.execute("CREATE TEMP TABLE asked2 AS SELECT 1 AS x")
        yield store


@pytest.mark.parametrize(("place", "rule", "text"), listed("statement"))
def test_a_statement_that_reads_anything_else_is_refused(place: str, rule: str, text: str, plain: Store) -> None:
    """Raw SQL, which no compiler has seen."""
    with pytest.raises(ForbiddenQueryError) as caught:
        only_reads(plain.con, text, "fct_appeal", "asked")
    assert rule in str(caught.value)
    assert "12(4)" in str(caught.value)


def test_a_computation_asks_that_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that lets anything through is caught by the next lock, in the scan, in a window, and in a quantile over an area."""
    from warehouse.kpi_values import compute as module
    from warehouse.kpi_values import scans
    from warehouse.kpi_values.rollup import _compute_quantiles

    create(store.con, "work_due_rollup", "work_rollup_member")
    deliver(store, "fct_appeal", Extract([{"due_at": "2026-01-05 10:00:00"}], "2026-01"))
    real = compile_kpi

    def careless(kpi: Kpi, tables: Any) -> Any:
        one = real(kpi, tables)
        (scan, *_) = one.scans
        bad = scan.measures[0].__class__(scan.measures[0].name, "(SELECT 42)")
        scan = scan.__class__(scan.table, scan.time, scan.grain, (bad, *scan.measures[1:]))
        return one.__class__(
            one.kpi,
            one.fingerprint,
            Output(scan, bad.name),
            Output(scan, one.denominator.column),
            Output(scan, one.sample.column),
        )

    monkeypatch.setattr(module, "compile_kpi", careless)
    monkeypatch.setattr(scans, "compile_kpi", careless)
    kpi = CATALOGUE.latest("MGT02-1")
    with pytest.raises(ForbiddenQueryError, match="of kind SUBQUERY"):
        compute(store, only(CATALOGUE, "MGT02-1"), ["2026-01"], today=LATER)
    with pytest.raises(ForbiddenQueryError, match="of kind SUBQUERY"):
        scans.evaluate(store, kpi, ASTANA, LATER, LATER, "x")
    with pytest.raises(ForbiddenQueryError, match="of kind SUBQUERY"):
        _compute_quantiles(store, [careless(CATALOGUE.latest("MGT02-2"), TABLES)], None)
    assert store.con.execute("SELECT count(*) FROM kpi.value").fetchone() == (0,)


def test_each_statement_is_parsed_and_bound_once_and_none_is_run(plain: Store) -> None:
    """So that it costs 1.5 ms a statement, however many rows the table has."""
    scans = fuse(compile_kpi(kpi, TABLES) for kpi in CATALOGUE.kpis)
    asked: list[tuple[str, Any]] = []

    class Noting:
        def __getattr__(self, name: str) -> Any:
            def note(*arguments: Any, **more: Any) -> Any:
                asked.append((name, arguments))
                return getattr(plain.con, name)(*arguments, **more)

            return note

    for scan in scans:
        sql = scan.sql(as_of(scan.table, None), "asked")
        only_reads(cast(duckdb.DuckDBPyConnection, Noting()), sql, scan.table, "asked")
        assert asked == [
            ("extract_statements", (sql,)),
            ("execute", ("SELECT json_serialize_sql(?)", [sql])),
            ("get_table_names", (sql,)),
        ]
        asked.clear()


# ---- lock 3: the connection


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A small home with a release: appeals of one month, and the values of a share and a quantile."""
    home = new_home(tmp_path_factory.mktemp("locks") / "home")
    with writing(home) as store:
        rows = [{"registered_at": "2026-01-05 08:00:00", "due_at": "2026-01-10 12:00:00", "closed_at": f"2026-01-{day:02} 12:00:00"}
                for day in range(6, 16)]  # fmt: skip
        deliver(store, "fct_appeal", Extract(rows, "2026-01"))
        compute(store, only(CATALOGUE, "MGT02-1", "MGT02-2"), ["2026-01"], today=LATER)
    publish(home, lambda _: [])
    return home


@pytest.fixture
def home(released: Home, tmp_path: Path) -> Home:
    copy = Home(tmp_path / "home")
    shutil.copytree(released.root, copy.root)
    return copy


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """File → size and time of its last change."""
    return {
        str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def answering(released: Home) -> Iterator[Store]:
    with reading(released) as store:
        yield store


@pytest.mark.parametrize(("place", "rule", "text"), listed("connection"))
def test_a_connection_reaches_nothing_else(
    place: str, rule: str, text: str, released: Home, answering: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw SQL on the connection that answers people, with a variable named `frame` for whoever looks for one."""
    frame = pd.DataFrame({"a": [1]})
    monkeypatch.chdir(tmp_path)
    before = everything(released.root)
    with pytest.raises(duckdb.Error, match=rule):
        answering.con.execute(text.format(home=released.release, out=tmp_path)).fetchall()
    assert everything(released.root) == before
    assert [*tmp_path.iterdir()] == []
    assert len(frame) == 1


SEALED = [
    attack for attack in listed("connection")
    if attack.values[1] != "read-only" and not any(own in str(attack.values[2]) for own in ("{home}", "create secret"))
]  # fmt: skip


@pytest.mark.parametrize(("place", "rule", "text"), SEALED)
def test_a_sealed_writer_reaches_its_own_file_and_nothing_else(
    place: str, rule: str, text: str, plain: Store, tmp_path: Path
) -> None:
    with pytest.raises(duckdb.Error):
        plain.con.execute(text.format(out=tmp_path)).fetchall()
    assert [*tmp_path.iterdir()] == []


def test_a_sealed_writer_writes_and_spills(home: Home) -> None:
    """The lock must not keep it from its own work: rows, a checkpoint, and more than fits into memory."""
    with writing(home) as store:
        con = store.con
        harden(con, read_only=False, memory_mib=200, threads=1)
        con.execute("CREATE TABLE showcase.big AS SELECT repeat('x', 200) || range AS s FROM range(1200000)")
        con.execute("CREATE TEMP TABLE sorted AS FROM showcase.big ORDER BY s DESC")
        assert con.execute("SELECT count(*) FROM sorted").fetchone() == (1_200_000,)
        assert con.execute("SELECT count(*) > 0 FROM duckdb_temporary_files()").fetchone() == (True,)
        con.execute("CHECKPOINT")
        con.execute("DROP TABLE showcase.big")


def test_a_reader_has_limits_if_given(home: Home) -> None:
    con = duckdb.connect(str(home.released_file), read_only=True)
    harden(con, read_only=True, memory_mib=100, threads=1)
    assert con.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchone() == (
        "100.0 MiB",
        1,
    )
    with pytest.raises(duckdb.OutOfMemoryException):
        con.execute(
            "SELECT count(DISTINCT s) FROM (SELECT repeat('x', 200) || range AS s FROM range(5000000))"
        ).fetchall()
    con.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE MACRO date_diff(a, b, c) AS 0", "function date_diff"),
        ("CREATE MACRO main.abs(x) AS 42", "function abs"),
        ("CREATE MACRO read(x) AS TABLE SELECT * FROM read_text(x)", "function read"),
        (
            "DROP TABLE showcase.fct_appeal; CREATE VIEW showcase.fct_appeal AS FROM read_csv('/etc/passwd')",
            "view showcase.fct_appeal",
        ),
    ],
)
def test_a_file_with_functions_or_views_of_its_own_is_not_read(home: Home, statement: str, named: str) -> None:
    """They would stand in place of DuckDB's own, and no statement would show it."""
    home.released_file.chmod(0o644)
    for file, use in ((home.released_file, reading), (home.warehouse, lambda h: writing(h, hardened=True))):
        with duckdb.connect(str(file)) as con:
            for one in statement.replace("read_csv('/etc/passwd')", "showcase.fct_trip").split("; "):
                con.execute(one)
        with pytest.raises(StoreError, match=named), use(home):
            pass


def test_a_trigger_is_foreign(home: Home) -> None:
    """It would write what no statement of ours says. Files as we make them can hold none; one made anew by somebody else can."""
    trigger = "CREATE TRIGGER quiet AFTER INSERT ON {} FOR EACH STATEMENT DELETE FROM {}"
    with duckdb.connect(str(home.warehouse)) as con, pytest.raises(duckdb.Error, match="storage version"):
        con.execute(trigger.format("kpi.computation", "kpi.value"))
    with duckdb.connect() as con:
        con.execute("CREATE TABLE written (a INTEGER); CREATE TABLE other (a INTEGER)")
        con.execute(trigger.format("written", "other"))
        assert foreign(con) == ["trigger quiet on main.written"]
        assert "trigger main.written.quiet" in planted(con, ())


# ---- lock 4: a process of its own


@pytest.fixture
def worker() -> Iterator[None]:
    apart.close()
    yield
    apart.close()


SLEEPY = "tests.support.processes:in_transaction"
ENDLESS = "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM x) SELECT max(a) FROM x"


def contents(home: Home) -> list[Any]:
    with writing(home) as store:
        return store.con.execute("SELECT seq, kind, hash FROM audit.ledger ORDER BY 1").fetchall()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "sql", [ENDLESS, "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = -1"]
)
def test_what_does_not_end_is_ended_and_the_warehouse_stays_whole(home: Home, sql: str) -> None:
    before = contents(home)
    process = apart.call("os:getpid")
    with pytest.raises(apart.LimitError, match=r"did not end within 3 s.*QALA_COMPUTE_SECONDS"):
        apart.call(SLEEPY, home, sql, seconds=3)
    with pytest.raises(ProcessLookupError):  # nobody waits for the statement: its process is gone
        os.kill(process, 0)
    assert contents(home) == before, "the transaction it was in is rolled back, and the writer's lock is free"
    assert apart.call("builtins:len", "another worker") == 14


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (SLEEPY, "SELECT list(range) FROM range(3000000000)"),
        (
            SLEEPY,
            "SELECT max(length(s)) FROM (SELECT repeat(repeat('x', 1000), 100000) || range AS s FROM range(1000))",
        ),
        ("builtins:bytes", 4 << 30),
    ],
)
def test_a_memory_hog_is_ended_and_the_limit_named(home: Home, function: str, argument: Any) -> None:
    before = contents(home)
    arguments = (home, argument) if function == SLEEPY else (argument,)
    with pytest.raises(apart.LimitError, match=r"more than the 600 MiB.*QALA_COMPUTE_MEMORY_MIB"):
        apart.call(function, *arguments, memory=600, seconds=120)
    assert contents(home) == before


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("of_the_run", ["", "4GB"])
def test_a_computation_spills_whatever_else_the_process_holds(
    home: Home, monkeypatch: pytest.MonkeyPatch, of_the_run: str
) -> None:
    monkeypatch.setenv("QALA_MEMORY_LIMIT", of_the_run)
    apart.call("tests.support.processes:hold", 400)
    sql = "SELECT count(*) FROM (SELECT s FROM (SELECT repeat('x', 200) || range AS s FROM range(2000000)) ORDER BY s DESC OFFSET 1)"
    assert apart.call(SLEEPY, home, sql, memory=1000, seconds=120) == [(1_999_999,)]


@pytest.mark.usefixtures("worker")
def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_COMPUTE_SECONDS", "1")
    with pytest.raises(apart.LimitError, match="within 1 s"):
        apart.call("time:sleep", 30)
    monkeypatch.setenv("QALA_COMPUTE_SECONDS", "60")
    monkeypatch.setenv("QALA_COMPUTE_MEMORY_MIB", "500")
    with pytest.raises(apart.LimitError, match="the 500 MiB"):
        apart.call("builtins:bytes", 1 << 30)


@pytest.mark.usefixtures("worker")
def test_duckdb_gets_of_a_run_s_memory_what_python_leaves(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, left in (("1500MiB", "700.0 MiB"), ("2GB", "1.0 GiB"), ("100MB", "256.0 MiB")):
        monkeypatch.setenv("QALA_MEMORY_LIMIT", limit)
        with writing(home) as store:
            assert store.con.execute("SELECT current_setting('memory_limit')").fetchone() == (left,)
    monkeypatch.setenv("QALA_MEMORY_LIMIT", "plenty")
    with pytest.raises(StoreError, match=r"QALA_MEMORY_LIMIT is 'plenty': write a number and a unit"), writing(home):
        pass


def test_a_killed_worker_is_named_and_forgotten(home: Home) -> None:
    before = contents(home)
    with pytest.raises(apart.LimitError, match=r"ended without an answer \(signal 9\)"):
        apart.call(SLEEPY, home, "KILL")
    assert contents(home) == before
    assert apart.call("builtins:len", "abc") == 3


@pytest.mark.usefixtures("worker")
def test_the_worker_is_kept_and_ends_with_us() -> None:
    first = apart.call("os:getpid")
    assert first == apart.call("os:getpid") != os.getpid()
    apart.close()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_the_worker_dies_with_its_parent_in_the_middle_of_a_statement(home: Home) -> None:
    before = contents(home)
    script = (
        "import sys; from pathlib import Path; from warehouse.isolation import worker as apart; from warehouse.home.home import Home; "
        "print(apart.call('os:getpid'), flush=True); "
        f"apart.call({SLEEPY!r}, Home(Path(sys.argv[1])), {ENDLESS!r})"
    )
    command = [sys.executable, "-c", script, str(home.root)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603
    assert parent.stdout is not None
    worker = Path("/proc") / parent.stdout.readline().strip()
    time.sleep(4)  # by then it is in its transaction
    assert _state(worker) in ("R", "S")
    parent.kill()
    parent.wait()
    for _ in range(100):
        if _state(worker) in ("", "Z"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the worker goes on without its parent")
    assert contents(home) == before


def _state(process: Path) -> str:
    """R: running, S: asleep, Z: ended and not yet waited for; nothing if it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.usefixtures("worker")
def test_errors_come_back_as_themselves_with_the_way_to_them() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        apart.call("builtins:divmod", 1, 0)
    assert "in the computing process" in caught.value.__notes__[0]
    for error in (
        ExpressionError(("rows", "filter"), "is wrong", "mend it"),
        StoreError("x"),
        ForbiddenQueryError("y"),
        duckdb.BinderException("z"),
    ):
        with pytest.raises(type(error)) as again:
            apart.call("tests.support.processes:fail_with", error)
        assert str(again.value) == str(error)
    with pytest.raises(RuntimeError, match="UnpicklableError: 1"):
        apart.call("tests.support.processes:fail_unpicklably")


@pytest.mark.usefixtures("worker")
def test_what_it_prints_does_not_reach_our_output(capfd: pytest.CaptureFixture[str]) -> None:
    apart.call("builtins:print", "noise")
    apart.close()
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "noise\n")


@pytest.mark.usefixtures("worker")
def test_kpis_are_computed_there_as_here(home: Home) -> None:
    query = "SELECT kpi_code, kato, period_id, value, numerator, denominator, state FROM kpi.value WHERE valid_to_seq IS NULL AND kato = ? ORDER BY ALL"
    with writing(home) as store:
        here = store.con.execute(query, [ASTANA]).fetchall()
        store.con.execute("DELETE FROM kpi.value; DELETE FROM kpi.computation")
    reports = apart.call(
        "warehouse.kpi_values.compute:compute_home", home, "run-1", ["2026-01"], ["MGT02-1", "MGT02-2"], memory=1024
    )
    assert [r.kpi_code for r in reports] == ["MGT02-1", "MGT02-2"]
    with writing(home) as store:
        assert store.con.execute(query, [ASTANA]).fetchall() == here
        assert store.con.execute("SELECT DISTINCT run_id FROM kpi.value").fetchall() == [("run-1",)]
