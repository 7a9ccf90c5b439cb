"""A KPI that fails with certain data fails alone, and only where these data are; definitions at fault compute nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues, load_one, record_fingerprints
from kpi_definitions.strict import breaches
from tests.support.official_list import write
from tests.support.rows import LATER, Extract, cell, changed, deliver
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.reperform import reperform
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute, compute_home
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables

AT = dt.datetime
CATALOGUE = load_catalogues()
APPEALS = CATALOGUE.latest("MGT02-1")
OVERFLOW = "date_diff('day', due_at, closed_at) * 9000000000000000000 >= date_diff('day', due_at, closed_at)"  # of two days it leaves 64 bits
FAILING = APPEALS.model_copy(update={"numerator": APPEALS.numerator.model_copy(update={"filter": OVERFLOW})})
TENTH = AT(2026, 1, 10)
BESIDE = APPEALS.model_copy(update={"code": "MGT02-2", "version": 2})  # shares its scan


def appeal(number: str, days: int, due: AT = TENTH) -> dict[str, Any]:
    return {"appeal_id": number, "due_at": due, "closed_at": due + dt.timedelta(days=days), "status": "CLOSED"}


def test_an_overflow_stops_the_cells_it_is_in_and_nothing_else(store: Store) -> None:
    tables = load_tables()
    columns, codes = ({n: t.business_columns for n, t in tables.items()}, {n: t.codes for n, t in tables.items()})
    assert list(breaches(FAILING, columns, codes)) == []  # only data can show it
    february = appeal("3", 0, AT(2026, 2, 10))
    deliver(store, "fct_appeal", Extract([appeal("1", 0), appeal("2", 2), february], "2026-01/2026-02"))
    deliver(store, "fct_appeal", Extract([appeal("4", 0), appeal("5", -1)], "2026-01", ALMATY))
    catalogue = changed(CATALOGUE, FAILING, BESIDE)
    reports = compute(store, catalogue, ["2026-01", "2026-02"], codes=["MGT02-1", "MGT02-2"], today=LATER)

    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["value"], found["numerator"], found["denominator"]) == ("O", None, None, None)
    assert found["reason"] == "computation failed: Out of Range Error"
    assert cell(store, "MGT02-1", "2026-02")["value"] == 100
    assert cell(store, "MGT02-1", "2026-01", ALMATY)["value"] == 50
    assert cell(store, "MGT02-2", "2026-01")["value"] == 50
    assert {r.kpi_code: dict(r.failures) for r in reports} == {"MGT02-1": {"Out of Range Error": 1}, "MGT02-2": {}}
    assert reperform(store).differences == []

    deliver(store, "fct_appeal", Extract([appeal("1", 0)], "2026-01/2026-02"))
    compute(store, catalogue, [], codes=["MGT02-1"], today=LATER)
    assert cell(store, "MGT02-1", "2026-01")["value"] == 100


def test_definitions_at_fault_compute_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = write(home.catalogues / "official-test")
    with pytest.raises(StoreError, match=r"(?s)at fault.*B11\.yaml:\d+: B11-1 version 1 has no recorded fingerprint"):
        compute_home(home, None, ["2026-01"], ["MGT02-1"])
    record_fingerprints(load_one(folder))
    compute_home(home, None, ["2026-01"], ["B01-1"])
    file = folder / "spheres" / "mgt" / "B01.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("version: 1", "version: 2"), encoding="utf-8")
    with pytest.raises(StoreError, match="B01-1 version 1 is recorded here and no longer defined"):
        compute_home(home, None, ["2026-01"], ["B01-1"])
    file.write_text(text.replace("closed_at <= due_at", "closed_at < due_at"), encoding="utf-8")
    with pytest.raises(StoreError, match="changed its meaning without a new version"):
        compute_home(home, None, ["2026-01"], ["B01-1"])
    with writing(home) as store:
        (row,) = store.con.execute("SELECT count(*), max(definition_version) FROM kpi.value").fetchall()
        assert row == (90, 1)


def test_a_version_that_was_used_does_not_give_its_place_to_another(store: Store) -> None:
    """As the warehouse knows it, whatever became of the recorded fingerprints."""
    compute(store, CATALOGUE, ["2026-01"], codes=["MGT02-1"], today=LATER)
    raised = APPEALS.model_copy(update={"version": 2, "scale": 1000})
    places = [
        i.model_copy(update={"kpis": tuple(raised if k.code == "MGT02-1" else k for k in i.kpis)})
        for i in CATALOGUE.lists[0].initiatives
    ]
    catalogue = replace(CATALOGUE, lists=(replace(CATALOGUE.lists[0], initiatives=tuple(places)),))
    with pytest.raises(StoreError, match="MGT02-1 version 1 was used in this warehouse and is no longer defined"):
        compute(store, catalogue, ["2026-01"], codes=["MGT02-1"], today=LATER)
    assert cell(store, "MGT02-1", "2026-01", ASTANA)["definition_version"] == 1
