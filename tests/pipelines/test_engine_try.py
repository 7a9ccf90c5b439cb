"""`qala engine try`: a version that nobody compared is refused, tried where it is, and admitted if it is equal, for as long as qala stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kpi_definitions import calendar_arithmetic, values
from kpi_definitions import functions as functions_module
from kpi_definitions.documents import loaded
from kpi_definitions.engine_scans import engine_scan
from kpi_definitions.functions import Family, functions
from kpi_definitions.scans import TimeRule
from kpi_definitions.spelling import _spelled
from pipelines.cli import app
from tests.support.clickhouse_server import LOADER, PASSWORD, READER, http_server
from tests.support.homes import new_home
from warehouse.engines import clickhouse_checks, hard_values, settings, trial
from warehouse.engines.chdb import DATABASE
from warehouse.engines.clickhouse import ClickHouse
from warehouse.engines.clickhouse_connections import embedded
from warehouse.engines.engine import EngineError
from warehouse.home.home import Home

REFUSED = "numbers were compared on"
FEW: Mapping[str, list[str]] = {
    "CONDITIONS": ["f and g", "x < y"],
    "NUMBERS": ["abs(d)", "i * j", "i / 3"],
    "TIMES": ["t + interval 25 hour"],
    "DATES": ["greatest(x, y)"],
    "TEXTS": ["least(s, r, 'b')"],
    "ARGUMENTS": ["d"],
}


@pytest.fixture
def untried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose engine has a version that was not compared."""
    monkeypatch.delenv(settings.ENGINE, raising=False)
    monkeypatch.setattr(clickhouse_checks, "TRIED", ((18, 16),))
    home = new_home(tmp_path / "home")
    home.engine_settings.write_text("engine: chdb\n")
    return home


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial of few things over few rows: the others are the slow test's."""
    rows = list(hard_values.rows())[::9]
    monkeypatch.setattr(hard_values, "rows", lambda: iter(rows))
    monkeypatch.setattr(trial, "_COPIES", 10)
    for name, texts in FEW.items():
        monkeypatch.setattr(hard_values, name, texts)
    monkeypatch.setattr(trial, "_RULES", trial._RULES[4:5])


@pytest.fixture
def abs_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have ClickHouse told something else for `abs`, as a version would answer for which it means something else."""

    def told(other: str) -> None:
        lines = loaded(functions_module.FILE.read_text(encoding="utf-8"))
        spoilt = [line | ({"clickhouse": other} if line["name"] == "abs" else {}) for line in lines]
        monkeypatch.setattr(functions_module, "loaded", lambda _: spoilt)
        forget()

    def forget() -> None:
        functions.cache_clear()
        _spelled.cache_clear()

    yield told
    forget()


def qala(home: Home, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, "--home", str(home.root)])
    assert "fault of qala" not in result.output, result.output
    return result.exit_code, result.output


def tables(home: Home) -> bytes:
    con = embedded(home.engine / "chdb", DATABASE, {})
    try:
        return con.ask("SELECT name FROM system.tables WHERE database = 'default'")
    finally:
        con.close()


def noted(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((home.engine / "tried.json").read_text(encoding="utf-8"))["tried"]
    return found


@pytest.mark.usefixtures("few")
def test_an_untried_version_is_refused_until_it_was_tried_by_what_qala_is_now(
    untried: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = qala(untried, "engine", "check")
    assert code == 1
    assert re.search(f"{REFUSED} 18.16, .* qala engine try", said)

    code, said = qala(untried, "engine", "try")
    assert code == 0, said
    assert "all equal: it is admitted in this home" in said
    assert b"qala_trial" not in tables(untried)
    assert qala(untried, "engine", "check")[0] == 0

    (one,) = noted(untried)
    assert one["version"].startswith("26.9.")
    file = untried.engine / "tried.json"
    whole = file.read_text(encoding="utf-8")
    for other in (
        whole.replace(one["version"], "26.9.0.1"),  # another version
        whole.replace(one["fingerprint"], "0" * 64),  # another qala
        whole[:-20],
        "[]",
    ):
        file.write_text(other, encoding="utf-8")
        code, said = qala(untried, "engine", "check")
        assert (code, REFUSED in said) == (1, True), other
    file.write_text(whole, encoding="utf-8")
    assert qala(untried, "engine", "check")[0] == 0

    changed = tmp_path / "functions.yaml"
    changed.write_text(functions_module.FILE.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    monkeypatch.setattr(functions_module, "FILE", changed)
    code, said = qala(untried, "engine", "check")
    assert (code, REFUSED in said) == (1, True)


@pytest.mark.usefixtures("few")
def test_a_version_that_differs_is_named_where_it_does_and_stays_refused(
    untried: Home, abs_is: Callable[[str], None]
) -> None:
    abs_is("({a})")
    code, said = qala(untried, "engine", "try")
    assert code == 1
    assert re.search(r"^max of abs\(d\) .*: ([\d.]+) in DuckDB, -\1 there, for row \d+, 2024-02-01", said, re.MULTILINE)
    assert "1 differ: it stays refused" in said
    assert b"qala_trial" not in tables(untried)
    assert not (untried.engine / "tried.json").exists()
    code, said = qala(untried, "engine", "check")
    assert (code, REFUSED in said) == (1, True)


@pytest.mark.usefixtures("few")
def test_what_is_lost_on_the_way_or_refused_by_the_server_is_a_difference(
    untried: Home, abs_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    abs_is("noSuchFunction({a})")
    recounted = ClickHouse.recounted

    def short(self: ClickHouse, *given: Any) -> Mapping[str, tuple[int, int]]:
        return {name: (rows - 1, content) for name, (rows, content) in recounted(self, *given).items()}

    monkeypatch.setattr(ClickHouse, "recounted", short)
    code, said = qala(untried, "engine", "try")
    assert code == 1
    assert "load_rows and content" in said
    assert re.search(r"max of abs\(d\) .*: an answer in DuckDB, .*noSuchFunction", said)
    assert "3 differ" in said  # two loads, and the one function


@pytest.mark.usefixtures("few")
def test_the_table_goes_away_after_a_fault_too(untried: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object) -> None:
        raise EngineError("the engine does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(ClickHouse, "measure", dead)
        code, said = qala(untried, "engine", "try")
    assert (code, "does not answer" in said) == (1, True)
    assert b"qala_trial" not in tables(untried)
    assert not (untried.engine / "tried.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_server_of_a_version_between_is_tried_and_admitted(
    untried: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.PASSWORD, PASSWORD)
    monkeypatch.setenv(settings.READER_PASSWORD, PASSWORD)
    with http_server(tmp_path / "server", version="24.8.4.13") as address:
        section = f"{{address: '{address}', database: default, user: {LOADER}, reader: {READER}}}"
        untried.engine_settings.write_text(f"engine: clickhouse\nclickhouse: {section}\n")
        assert qala(untried, "engine", "check")[0] == 1
        code, said = qala(untried, "engine", "try")
        assert code == 0, said
        code, said = qala(untried, "engine", "check")
        assert (code, "clickhouse 24.8.4.13" in said) == (0, True)


def test_where_the_warehouse_measures_itself_there_is_nothing_to_try(home: Home) -> None:
    code, said = qala(home, "engine", "try")
    assert (code, "the warehouse measures itself" in said) == (0, True)


def test_every_function_of_the_list_and_every_rule_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set[tuple[str, Family]]()

    class Watched(dict[tuple[str, Family], Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            used.add(key)
            return super().get(key, default)

    watched = Watched(functions())
    for module in (values, calendar_arithmetic):
        if hasattr(module, "functions"):
            monkeypatch.setattr(module, "functions", lambda: watched)
    _spelled.cache_clear()
    scans = list(trial._scans())
    for scan, periods in scans:
        engine_scan(scan, "clickhouse", trial._COLUMNS, ["a"], periods, trial.SEQ)
    assert functions().keys() - used == set()
    assert {scan.time.rule for scan, _ in scans} == set(TimeRule)
    assert {(scan.time.rule, scan.grain) for scan, _ in scans} >= {
        (rule, grain) for rule in TimeRule for grain in trial._PERIODS
    }


@pytest.mark.slow
def test_a_whole_trial_finds_what_was_compared_before_equal(untried: Home) -> None:
    code, said = qala(untried, "engine", "try")
    assert code == 0, said
    (one,) = noted(untried)
    assert one["cells"] > 300_000
