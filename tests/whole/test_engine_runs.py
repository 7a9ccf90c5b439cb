"""Runs that another engine measures, through the real job: it dies, comes back, and the same numbers come out as without it."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from pipelines.run import run_months
from tests.support import runs
from tests.support.files import appeals
from tests.support.homes import new_home
from tools.clusters.clickhouse import down, unavailable, up
from warehouse.engines.settings import ENGINE, PASSWORD, READER_PASSWORD
from warehouse.home.home import Home
from warehouse.isolation import worker
from warehouse.store.sessions import reading, writing

MONTHS, TABLES, CODES = ("2026-01",), {"fct_appeal"}, {"MGT02-1", "MGT02-2"}


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home in which appeals of a month wait, a few of them closed late."""
    for name, value in ((PASSWORD, "hunter2"), (READER_PASSWORD, "hunter3")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(ENGINE, raising=False)
    worker.close()  # or it would have the environment of before
    home = new_home(tmp_path / "home")
    content = appeals(12) + "".join(
        line.replace("2026-01-1", "2026-01-2") + "\n" for line in appeals(4, first=50).splitlines()[1:]
    )
    runs.receive(Archive(home.archive), tmp_path / "outbox", content, "fct_appeal", period="2026-01")
    yield home
    worker.close()


def run(home: Home) -> tuple[str, ...]:
    """Run the month. Returns what failed."""
    (result,) = run_months(home, MONTHS, lambda _: None, TABLES, CODES)
    assert result.success == (not result.failures)
    return result.failures


def values(home: Home) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT kpi_code, kato, period_id, value, numerator, denominator, sample_size, state, reason FROM kpi.value "
        "WHERE valid_to_seq IS NULL ORDER BY ALL"
    )
    with reading(home) as store:
        return store.con.execute(sql).fetchall()


def computed(home: Home) -> list[dict[str, Any]]:
    with writing(home) as store:
        found = store.con.execute("SELECT detail FROM audit.ledger WHERE kind = 'computed' ORDER BY seq").fetchall()
    return [json.loads(detail) for (detail,) in found]


def metadata(home: Home) -> dict[str, Any]:
    """What Dagster shows of the newest computation of a KPI."""
    key = dg.AssetKey(["kpi", "mgt", "MGT02_1"])
    with dg.DagsterInstance.from_config(str(home.root / "dagster")) as instance:
        event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: getattr(one, "value", None) for name, one in event.asset_materialization.metadata.items()}


def test_an_engine_that_is_away_ends_the_run_by_its_name_and_the_next_goes_on(waiting: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"  # nobody listens
        waiting.engine_settings.write_text(
            "engine: clickhouse\n"
            f"clickhouse:\n  address: {address}\n  database: qala\n  user: qala\n  reader: qala_reader\n"
        )
        (failed,) = run(waiting)
    assert failed.startswith("kpi")
    assert f"{address} does not answer" in failed
    assert "try again" in failed
    assert "hunter" not in failed
    assert "Traceback" not in failed
    assert computed(waiting) == []
    assert not waiting.released_file.exists()
    with writing(waiting) as store:
        assert store.con.execute("SELECT count(*) FROM showcase.fct_appeal").fetchone() == (16,)
    waiting.engine_settings.write_text("engine: duckdb\n")
    assert run(waiting) == ()
    assert all("engine" not in detail for detail in computed(waiting))
    assert metadata(waiting)["engine"].startswith("duckdb ")


def test_a_run_that_another_engine_measures_says_so_and_comes_to_the_same(waiting: Home, tmp_path: Path) -> None:
    waiting.engine_settings.write_text("engine: chdb\n")
    assert run(waiting) == ()
    details = computed(waiting)
    assert details
    assert all(detail["engine"].startswith("chdb ") for detail in details)
    shown = metadata(waiting)
    assert shown["engine"] == details[0]["engine"]
    assert f"-- {shown['engine']}" in shown["sql"]
    assert "showcase." not in shown["sql"]
    ask = ["explain", "MGT02-1", "710000000", "2026-01", "--home", str(waiting.root)]
    told = CliRunner().invoke(app, ask, env={"COLUMNS": "200"}).output
    assert f"measured by {shown['engine']}" in told
    assert json.loads(CliRunner().invoke(app, [*ask, "--json"]).output)["computed"]["engine"] == shown["engine"]

    assert values(waiting) == by_the_warehouse(tmp_path)


def by_the_warehouse(tmp_path: Path) -> list[tuple[Any, ...]]:
    """The same extract, measured by the warehouse itself."""
    other = new_home(tmp_path / "other")
    runs.receive(
        Archive(other.archive),
        tmp_path / "outbox2",
        next((tmp_path / "outbox").iterdir()).read_text(),
        "fct_appeal",
        period="2026-01",
    )
    assert run(other) == ()
    found = values(other)
    assert any(row[3] is not None for row in found)
    return found


@pytest.mark.slow
@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_a_shard_that_is_away_ends_the_run_by_its_name_and_the_next_goes_on(
    waiting: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = up(tmp_path / "servers")
    try:
        monkeypatch.setenv(PASSWORD, servers.password)
        monkeypatch.setenv(READER_PASSWORD, servers.reader_password)
        waiting.engine_settings.write_text(str(servers))
        assert CliRunner().invoke(app, ["engine", "check", "--home", str(waiting.root)]).exit_code == 0
        servers.stop(1, signal.SIGKILL)
        (failed,) = run(waiting)
        assert servers.shards[1] in failed
        assert "does not answer" in failed
        assert (computed(waiting), waiting.released_file.exists()) == ([], False)
        servers.start(1)
        assert run(waiting) == ()
        assert all(detail["engine"].startswith("clickhouse ") for detail in computed(waiting))
        told = json.loads(CliRunner().invoke(app, ["engine", "--json", "--home", str(waiting.root)]).output)
        assert (told["machines"], told["in_step"]) == (2, True)
        done = CliRunner().invoke(app, ["engine", "verify", "--home", str(waiting.root)])
        assert (done.exit_code, "0 differences" in done.output) == (0, True)
    finally:
        down(servers.folder)
    monkeypatch.setenv(ENGINE, "duckdb")
    assert values(waiting) == by_the_warehouse(tmp_path)
