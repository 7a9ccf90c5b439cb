"""A warehouse that is gone, or older than its release, is not gone on with unless somebody says so."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from kpi_definitions.catalogue import load_catalogues
from pipelines import run as runs
from pipelines.cli import app
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, compute_one, deliver, only
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.outstanding import due_home
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.store.succession import released_head, set_aside

CATALOGUE = only(load_catalogues(), "MGT02-1")
ROW = {"appeal_id": "1", "due_at": dt.datetime(2025, 1, 9), "closed_at": dt.datetime(2025, 1, 9)}  # noqa: DTZ001


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = new_home(tmp_path_factory.mktemp("lost") / "home")
    for month in ("2025-01", "2025-02"):
        with writing(home) as store:
            deliver(store, "fct_appeal", Extract([ROW], month))
            compute_one(store, CATALOGUE, "MGT02-1", month, LATER)
        if month == "2025-01":
            shutil.copy(home.warehouse, home.root / "backup")
    publish(home, lambda _: [])
    return home


@pytest.fixture
def copy(published: Home, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(published.root, tmp_path / "home")))


def refused(home: Home, said: str) -> None:
    before = {p.name: p.read_bytes() for p in home.release.iterdir()}
    for attempt in (
        lambda: writing(home).__enter__(),
        lambda: publish(home, lambda _: []),
        lambda: due_home(home, CATALOGUE),
    ):
        with pytest.raises(StoreError, match=said) as caught:
            attempt()
        assert "--start-anew" in str(caught.value)
    assert {p.name: p.read_bytes() for p in home.release.iterdir()} == before


def test_a_warehouse_that_is_gone_is_not_made_anew_by_itself(copy: Home) -> None:
    copy.warehouse.unlink()
    refused(copy, r"warehouse\.duckdb is gone")
    assert not copy.warehouse.exists()


def test_an_empty_file_or_an_empty_database_in_its_place_is_refused(copy: Home) -> None:
    copy.warehouse.write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot be opened .* restore it from a backup"), writing(copy):
        pass
    copy.warehouse.unlink()
    duckdb.connect(str(copy.warehouse)).close()
    refused(copy, "is older than the release")


def test_an_older_state_and_another_warehouse_are_refused(copy: Home, tmp_path: Path) -> None:
    newest = copy.warehouse.read_bytes()
    shutil.copy(copy.root / "backup", copy.warehouse)
    refused(copy, "is older than the release of ledger sequence")
    other = Home(tmp_path / "other")
    with writing(other) as store:
        deliver(store, "fct_appeal", *(Extract([], f"2024-{n:02}") for n in range(1, 13)))
    shutil.copy(other.warehouse, copy.warehouse)
    refused(copy, "is not the warehouse of the release")
    copy.warehouse.write_bytes(newest)
    with writing(copy):
        pass


@pytest.mark.parametrize("manifest", [None, "", "{}", "[]", '{"seq": "x", "ledger_head": 5}', '{"seq": null}'])
def test_without_a_manifest_the_released_file_tells(copy: Home, manifest: str | None) -> None:
    head = released_head(copy)
    path = copy.release / "release.json"
    path.unlink()
    if manifest is not None:
        path.write_text(manifest)
    assert json.dumps(released_head(copy)) == json.dumps(head)
    copy.warehouse.unlink()
    refused(copy, r"warehouse\.duckdb is gone")


def test_the_release_copied_back_is_the_warehouse(copy: Home) -> None:
    copy.warehouse.unlink()
    shutil.copy(copy.released_file, copy.warehouse)
    copy.warehouse.chmod(0o644)
    with writing(copy) as store:
        assert store.con.execute("SELECT count(*) FROM audit.delivery").fetchall() == [(2,)]


def test_set_aside_the_release_is_kept_and_the_way_is_free(copy: Home) -> None:
    copy.warehouse.unlink()
    aside = set_aside(copy)
    assert aside is not None
    assert (aside / "qala.duckdb").exists()
    with writing(copy) as store:
        assert store.con.execute("SELECT count(*) FROM audit.delivery").fetchall() == [(0,)]
    assert set_aside(copy) is None


def test_start_anew_has_every_receipt_wait_again_in_its_order(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    archive, file = Archive(home.archive), home.root / "x.csv"
    home.root.mkdir()
    file.write_text("a\n")
    arrived = [
        archive.receive(file, table="fct_crash", system="standard", scope="710000000", period=p).receipt_id
        for p in ("2026-01", "2026-02")
    ]
    archive.settle(arrived[0])
    assert archive.wait_again() == 1
    assert [r.receipt_id for r in archive.pending()] == arrived
    assert archive.wait_again() == 0


def test_the_command_refuses_before_it_loads_and_goes_on_when_told_to(
    copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[str, ...], object, object]] = []
    monkeypatch.setattr(
        runs, "run_months", lambda _, months, __, tables, codes: asked.append((months, tables, codes)) or []
    )
    copy.warehouse.unlink()
    place = ["--home", str(copy.root)]
    result = CliRunner().invoke(app, ["run", *place])
    assert result.exit_code == 1
    assert "is gone" in result.output
    assert "is gone" in CliRunner().invoke(app, ["status", *place]).output
    assert asked == []
    file = copy.root / "x.csv"
    file.write_text("a\n")
    archive = Archive(copy.archive)
    archive.settle(
        archive.receive(file, table="fct_crash", system="standard", scope="710000000", period="2025-03").receipt_id
    )
    result = CliRunner().invoke(app, ["run", "--start-anew", *place])
    assert "1 receipts wait again" in result.output
    ((months, tables, codes),) = asked
    assert (months, tables) == (("2025-03",), {"fct_crash"})
    # in a warehouse that begins anew no KPI of the month has a value, whatever it reads
    assert isinstance(codes, frozenset)
    assert {"SAF04-1", "MGT02-1"} <= codes


def test_the_command_runs_what_is_due_and_status_names_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, ...], object, object]] = []
    monkeypatch.setattr(
        runs, "run_months", lambda _, months, __, tables, codes: asked.append((months, tables, codes)) or []
    )
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract([ROW], "2025-01"), Extract([], "2025-04"))
    place = ["--home", str(home.root)]
    assert "loaded, not computed: 2025-01, 2025-04" in CliRunner().invoke(app, ["status", *place]).output
    told = json.loads(CliRunner().invoke(app, ["status", "--json", *place]).output)
    assert told["loaded_not_computed"] == ["2025-01", "2025-04"]
    CliRunner().invoke(app, ["run", *place])
    assert asked == [(("2025-01", "2025-04"), frozenset(), None)]
