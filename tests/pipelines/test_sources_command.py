"""`qala pull` and `qala sources`: what is printed, what a script gets, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.sources.notes import one_at_a_time
from pipelines.cli import app
from pipelines.methods.check import all_faults
from tests.support import fake_source
from tests.support.fake_source import World, failures
from tests.support.pulling import SOURCE, file_of
from tests.support.settlements import ASTANA
from warehouse.home.home import Home

cli = CliRunner()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    fake_source.register(monkeypatch, world)
    return world


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a folder as source, in which one month lies, the next is not there yet."""
    home = Home(tmp_path / "home")
    (tmp_path / "exchange").mkdir()
    home.sources.mkdir(parents=True)
    (tmp_path / "exchange" / "2026-01.csv").write_bytes(file_of(1, 5))
    (home.sources / "folder.yaml").write_text(
        f"type: folder\nconnection: {{folder: {tmp_path / 'exchange'}, settled_seconds: 0}}\nregulation: {{frequency: yearly, delay_days: 366}}\n"
        f'extracts: [{{table: fct_crash, settlements: ["{ASTANA}"], first: 2026-01, path: "{{period}}.csv"}}]\n'
    )
    return home


def said(home: Home, *arguments: str) -> tuple[int, str]:
    result = cli.invoke(app, [*arguments, "--home", str(home.root)])
    return result.exit_code, result.output


def test_a_failed_source_stops_no_other_and_shows_in_the_exit_code(home: Home, world: World) -> None:
    (home.sources / "a_failing.yaml").write_text(SOURCE)
    (home.sources / "b_faulty.yaml").write_text("type: folder\n")
    world.failure = lambda _: failures("a_failing")[0]
    code, text = said(home, "pull")
    assert code == 1
    assert f"a_failing fct_crash {ASTANA} 2026-01: failed: source a_failing: connection refused" in text
    assert "b_faulty.yaml:1: connection is missing" in text
    assert f"folder fct_crash {ASTANA} 2026-01: delivered: " in text
    assert "1 deliveries; next: qala run" in text
    assert len(Archive(home.archive).pending()) == 1
    assert said(home, "pull", "folder")[0] == 0
    assert said(home, "sources", "--check")[0] == 1
    assert said(home, "sources", "folder", "--check")[0] == 0


def test_names_that_are_none_and_homes_without_sources(home: Home, tmp_path: Path) -> None:
    assert said(home, "pull", "other") == (
        1,
        f"error: there is no source other in {home.sources}; there are folder\n",
    )
    (tmp_path / "empty").mkdir()
    for command in ("pull", "sources"):
        code, text = said(Home(tmp_path / "empty"), command)
        assert (code, "docs/connect-a-server.md" in text) == (0, True)


def test_another_process_that_pulls_is_told(home: Home) -> None:
    with one_at_a_time(home, "folder"):
        code, text = said(home, "pull")
    assert (code, "source folder: another process is pulling it just now" in text) == (1, True)


def test_sources_as_data(home: Home) -> None:
    assert said(home, "pull")[0] == 0
    code, text = said(home, "sources", "--json")
    (one,) = json.loads(text)
    assert code == 0
    assert (one["source"], one["settlement"], one["newest_period"], one["last_state"]) == (
        "folder",
        ASTANA,
        "2026-01",
        "received",
    )
    assert one["next_due"] == "2027-01-01"
    assert "2026-01" in said(home, "sources")[1]


def test_overdue_extracts_stand_in_the_status(home: Home) -> None:
    file = home.sources / "folder.yaml"
    file.write_text(file.read_text().replace("yearly, delay_days: 366", "monthly"))
    assert "source folder: 1 extracts are overdue" in said(home, "status")[1]
    (one,) = json.loads(said(home, "status", "--json")[1])["overdue"]
    assert (one["source"], one["extracts"]) == ("folder", 1)


def test_check_tells_what_is_wrong_with_a_source(home: Home) -> None:
    assert all_faults(home)[0] == []
    (home.sources / "other.yaml").write_text("type: folder\nconnection: {folder: x}\nextracts: []\n")
    assert {fault.path.name for fault in all_faults(home)[0]} == {"other.yaml"}
