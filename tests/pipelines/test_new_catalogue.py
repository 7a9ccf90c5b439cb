"""`qala catalogue new`: an empty list in the home, marked where something is to be decided; the command is otherwise as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kpi_definitions.catalogue import load_catalogues, load_one, record_fingerprints
from pipelines.cli import app
from pipelines.methods.check import all_faults
from warehouse.home.home import Home

TODOS = {
    "'TODO: name of the list'": "Official list",
    "'TODO: название перечня'": "Официальный перечень",
    "'TODO: тізбенің атауы'": "Ресми тізбе",
    "'TODO: the act that approves the list, with its number and date'": "An act of nobody",
    "  # TODO: official, if an act in force has approved it": "",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def said(home: Home, *arguments: str, fails: bool = False) -> str:
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.root)])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def decide(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for doubt, answer in TODOS.items():
        assert doubt in text
        text = text.replace(doubt, answer)
    path.write_text(text, encoding="utf-8")


def test_an_empty_list_is_whole_but_for_its_doubts(home: Home) -> None:
    told = said(home, "catalogue", "new", "official-2027", "--from", "2027-01-01")
    assert "qala new kpi CODE --table TABLE --catalogue official-2027" in told
    folder = home.catalogues / "official-2027"
    faults, _ = all_faults(home)
    assert {(fault.path.name, "TODO" in fault.message) for fault in faults} == {
        ("catalogue.yaml", True),
        ("2027.1.yaml", True),
    }
    one = next(one for one in load_catalogues(home.catalogues).lists if one.head.id == "official-2027")
    assert (one.initiatives, one.head.status, str(one.head.valid_from)) == ((), "proposal", "2027-01-01")
    assert [sphere.code for sphere in one.head.spheres] == [s.code for s in load_catalogues().lists[0].head.spheres]
    decide(folder / "catalogue.yaml")
    assert {fault.path.name for fault in all_faults(home)[0]} == {"2027.1.yaml"}
    rules = folder / "assessment" / "2027.1.yaml"
    rules.write_text("".join(line for line in rules.read_text().splitlines(keepends=True) if "TODO" not in line))
    assert all_faults(home)[0] == []
    assert record_fingerprints(load_one(folder)) == []


def test_kpis_are_written_into_it_with_their_scales(home: Home) -> None:
    said(home, "catalogue", "new", "official", "--from", "2026-01-01")
    for code in ("B01-1", "B01-2", "B02-1"):
        said(home, "new", "kpi", code, "--table", "fct_appeal", "--catalogue", "official", "--from", "2026-01-01")
    one = next(one for one in load_catalogues(home.catalogues).lists if one.head.id == "official")
    assert one.codes == ("B01-1", "B01-2", "B02-1")
    assert set(one.assessments[0].scales) == set(one.codes)
    told = said(home, "catalogue", "official", "qala-proposal")
    assert "B01-1" in told
    assert "official" in said(home, "catalogue")


def test_nothing_is_written_over_and_a_name_must_be_one(home: Home) -> None:
    said(home, "catalogue", "new", "official")
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    assert "is there already" in said(home, "catalogue", "new", "official", fails=True)
    assert "is there already" in said(home, "catalogue", "new", "qala-proposal", fails=True)
    for name in ("Official", "a/b", "../list", "new", "список"):
        assert "is no name of a list" in said(home, "catalogue", "new", name, fails=True)
    assert "say what the catalogue is to be called" in said(home, "catalogue", "new", fails=True)
    assert "no catalogue other" in said(home, "catalogue", "other", fails=True)
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before
