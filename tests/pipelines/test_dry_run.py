"""What the next run would change, found on a copy: the home stays as it is, and the real run brings just that."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from kpi_definitions.catalogue import SHIPPED, Catalogues, load_catalogues
from pipelines.cli import app
from pipelines.methods import dry_run
from pipelines.methods.dry_run import dry_run_home
from tests.support.files import CORRECTED_HEADER, CORRECTED_ROWS, CORRECTION
from tests.support.homes import new_home
from tests.support.rows import only
from tests.support.settlements import ASTANA
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.store.sessions import writing

CODES = ("MGT02-1", "MGT02-2")
MONTHS = ["2025-01", "2025-02"]


def extract(home: Home, month: str, *changes: tuple[str, str]) -> None:
    rows = [row.replace(",", f"-{month},", 1) for row in CORRECTED_ROWS.values()]  # an appeal of each month of its own
    text = (CORRECTED_HEADER + "".join(rows)).replace("2026-01-", f"{month}-")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = home.root / "appeals.csv"
    file.write_text(text)
    with writing(home) as store:
        tables = store.tables
    deliver(Archive(home.archive), DeclaredDelivery(file, "fct_appeal", ASTANA, month), tables, {})


def really(home: Home, months: list[str]) -> None:
    """What a run does for the one table there is."""
    archive = Archive(home.archive)
    with writing(home) as store:
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_appeal"], {})
        compute(store, load_catalogues(home.catalogues), months)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two KPIs: the other sixty-two take time and have no data here."""
    genuine = load_catalogues

    def two(*folders: Path, shipped: Path = SHIPPED) -> Catalogues:
        return only(genuine(*folders, shipped=shipped), *CODES, "NEW01-1")

    monkeypatch.setattr(dry_run, "load_catalogues", two)
    monkeypatch.setitem(globals(), "load_catalogues", two)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = new_home(tmp_path_factory.mktemp("whatif") / "home")
    catalogues = only(load_catalogues(), *CODES)
    for month in MONTHS:
        extract(home, month)
    archive = Archive(home.archive)
    with writing(home) as store:
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_appeal"], {})
        compute(store, catalogues, MONTHS)
        assess(store, catalogues.lists[0], 2025)
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    shutil.copytree(made.root, tmp_path / "home")
    return Home(tmp_path / "home")


def everything(home: Home) -> dict[str, tuple[bytes, float]]:
    return {
        str(p.relative_to(home.root)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in sorted(home.root.rglob("*"))
        if p.is_file() and p.name != ".writer.lock"
    }


def stands(home: Home) -> dict[tuple[str, ...], Any]:
    with writing(home) as store:
        rows = store.con.execute(
            "SELECT kpi_code, kato, period_id, value FROM kpi.value WHERE valid_to_seq IS NULL"
        ).fetchall()
    return {tuple(row[:3]): row[3] for row in rows}


def announced(home: Home, months: list[str], **how: Any) -> dict[str, Any]:
    """What is announced; the home is as before, and then the run brings exactly that."""
    before, cells = everything(home), stands(home)
    before = everything(home)
    answer = dry_run_home(home, **how)
    assert everything(home) == before
    if not how:
        really(home, months)
        after = stands(home)
        said = {(v["kpi_code"], v["area"], v["period_id"]): v["after"] for v in answer["values"]}
        assert {place: after[place] for place in said} == said
        assert {place for place in after if after[place] != cells.get(place)} <= set(said)
    return answer


def test_nothing_waits_nothing_changes(home: Home) -> None:
    assert announced(home, []) == {"deliveries": [], "values": [], "rollups": [], "levels": []}


def test_a_corrected_extract(home: Home) -> None:
    extract(
        home,
        "2025-01",
        ("2025-01-12T12:00:00,CLOSED", "2025-01-09T12:00:00,CLOSED"),
    )
    answer = announced(home, ["2025-01"])
    (delivery,) = answer["deliveries"]
    assert (delivery["state"], delivery["period_id"]) == ("loaded", "2025-01")
    (value,) = [v for v in answer["values"] if v["kpi_code"] == "MGT02-1"]
    assert (value["before"], value["after"], value["difference"], value["period_id"]) == (90.0, 100.0, 10.0, "2025-01")
    assert any(r["area"] == "KZ" and r["period_id"] == "2025-01" and r["after"] == 100.0 for r in answer["rollups"])


def test_a_declared_correction(home: Home) -> None:
    home.corrections.mkdir()
    (home.corrections / CORRECTION.name).write_text(
        CORRECTION.read_text().replace("2026-01-", "2025-02-").replace("A2", "A2-2025-02")
    )
    answer = announced(home, ["2025-02"])
    (value,) = [v for v in answer["values"] if v["kpi_code"] == "MGT02-1"]
    assert (value["before"], value["after"]) == (90.0, 100.0)


def new_catalogue(folder: Path, change: Any) -> Path:
    """The shipped catalogue under another roof, changed: it stands in place of the shipped one."""
    shutil.copytree(SHIPPED, folder)
    change(folder / "qala-proposal")
    return folder


def test_a_new_version_changes_periods_from_its_first_day_only(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stricter(catalogue: Path) -> None:
        (path,) = catalogue.glob("spheres/*/MGT02.yaml")
        data = yaml.safe_load(path.read_text())
        old = next(k for k in data["kpis"] if k["code"] == "MGT02-1")
        new = {**old, "version": 2, "valid_from": dt.date(2025, 2, 1), "change_note": "Closed means closed a day before.",
               "numerator": {"aggregate": "count(*)", "filter": "closed_at < due_at - INTERVAL 1 DAY"}}  # fmt: skip
        old["valid_to"] = dt.date(2025, 2, 1)
        data["kpis"].append(new)
        path.write_text(yaml.safe_dump(data, allow_unicode=True))

    shipped = new_catalogue(tmp_path / "lists", stricter)
    lists = only(load_catalogues(shipped=shipped), *CODES)
    monkeypatch.setattr(dry_run, "load_catalogues", lambda *_: lists)
    before = everything(home)
    answer = dry_run_home(home)
    assert everything(home) == before
    changed = [v for v in answer["values"] if v["kpi_code"] == "MGT02-1"]
    assert {v["period_id"] for v in changed} == {"2025-02"}
    (here,) = [v for v in changed if v["area"] == ASTANA]
    assert (here["version_before"], here["version_after"], here["before"], here["after"]) == (1, 2, 90.0, 80.0)


def test_a_definition_edited_in_place_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = load_catalogues().latest("MGT02-1").model_copy(update={"scale": 50})
    from tests.support.rows import changed

    lists = changed(load_catalogues(), edited)
    monkeypatch.setattr(dry_run, "load_catalogues", lambda *_: lists)
    with pytest.raises(StoreError, match="was used in this warehouse with another meaning"):
        dry_run_home(home)


def test_other_goals_change_levels(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = load_catalogues()
    (one,) = lists.lists
    rules = one.assessments[-1]
    from dataclasses import replace

    from kpi_definitions.catalogue import Catalogues
    from kpi_definitions.model import Scale

    higher = rules.model_copy(update={"scales": {**rules.scales, "MGT02-1": Scale(floor=0, goal=1000)}})
    monkeypatch.setattr(
        dry_run, "load_catalogues", lambda *_: Catalogues((replace(one, assessments=(*one.assessments[:-1], higher)),))
    )
    answer = dry_run_home(home)
    assert answer["values"] == []
    (row,) = [r for r in answer["levels"] if r["kato"] == ASTANA]
    assert row["level_after"] < row["level_before"]


def test_on_the_command_line(home: Home, tmp_path: Path) -> None:
    extract(
        home,
        "2025-01",
        ("2025-01-12T12:00:00,CLOSED", "2025-01-09T12:00:00,CLOSED"),
    )
    extract(home, "2025-02", (CORRECTED_HEADER, "appeal,due\n"))
    result = CliRunner().invoke(app, ["diff", "--home", str(home.root)])
    assert result.exit_code == 0, result.output
    assert "2 deliveries would be decided on, 1 of them refused" in result.output
    assert "MGT02-1" in result.output
    missing = CliRunner().invoke(app, ["diff", "--home", str(tmp_path / "none")])
    assert missing.exit_code == 1
    assert "none (--home) does not exist" in missing.output
