"""The official list comes as data: a made-up one beside the proposal, with not a line of code touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from kpi_definitions.catalogue import (
    Catalogue,
    Catalogues,
    changed_without_version,
    compare,
    load_catalogues,
    load_one,
    record_fingerprints,
)
from kpi_definitions.documents import DocumentError, Fault
from pipelines.assets.kpi import asset_key, kpi_assets
from pipelines.cli import app
from pipelines.months import months_from
from tests.support.official_list import FROM, MEANINGS, OFFICIAL_CODES, OWN, PROPOSAL, SPHERES, write
from tests.support.rows import LATER, Extract, cell, changed, deliver, only
from tests.support.settlements import ALMATY, ASTANA, SEMEY
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables

AT = dt.datetime


@pytest.fixture
def official(home: Home) -> Path:
    """The list in a home of the test's own."""
    return write(home.catalogues / "official-test")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the list, for tests that leave its files alone."""
    home = Home(tmp_path_factory.mktemp("catalogues"))
    write(home.catalogues / "official-test")
    return home


@pytest.fixture(scope="module")
def both(shared: Home) -> Catalogues:
    return load_catalogues(shared.catalogues)


@pytest.fixture(scope="module")
def opened(shared: Home) -> Iterator[Store]:
    with writing(shared) as store:
        store.con.execute("SET threads = 1")  # so few rows are not worth a second one
        yield store


def pruned(catalogue: Catalogues, *more: str) -> Catalogues:
    """Both lists with the KPIs over appeals and trips only: what is not compiled takes no time."""
    return only(catalogue, "B01-1", "B01-2", "B05-1", "B10-1", "A02-1", "MGT02-1", "MGT02-2", "TRL02-2", *more)


def of(catalogue: Catalogues, name: str) -> Catalogue:
    return next(one for one in catalogue.lists if one.head.id == name)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def faults(home: Home) -> list[Fault]:
    with pytest.raises(DocumentError) as caught:
        load_catalogues(home.catalogues)
    return caught.value.faults


def line_of(file: Path, start: str) -> int:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.startswith(start))


def appeal(number: int, *, late: bool = False, month: int = 1, year: int = 2026, **more: Any) -> dict[str, Any]:
    due = AT(year, month, 10)
    return {"appeal_id": f"{year} {month} {number}", "due_at": due, "closed_at": due + dt.timedelta(days=late), "status": "CLOSED"} | more  # fmt: skip


def value_codes(store: Store, period: str) -> set[str]:
    rows = store.con.execute("SELECT DISTINCT kpi_code FROM kpi.value WHERE period_id = ?", [period]).fetchall()
    return {code for (code,) in rows}


# ---- reading


def test_both_lists_stand_side_by_side(shared: Home, both: Catalogues) -> None:
    lists = {one.head.id: one for one in both.lists}
    assert set(lists) == {"official-test", *(one.head.id for one in PROPOSAL.lists)}
    made = lists["official-test"]
    assert (made.head.status, made.head.valid_from, made.folder) == (
        "official",
        FROM,
        shared.catalogues / "official-test",
    )
    assert [sum(i.basis == basis for i in made.initiatives) for basis in ("basic", "additional")] == [13, 2]
    assert {i.sphere for i in made.initiatives} == set(SPHERES)
    assert made.codes == OFFICIAL_CODES
    assert len(made.codes) == 17
    assert set(both.codes) == {*OFFICIAL_CODES, *PROPOSAL.codes}
    assert made.rules_of(2026) == made.assessments[0]
    assert made.rules_of(2025) is None
    assert both.of("B01-1") is made
    assert both.of("MGT02-1") is not made
    assert both.sphere_of("A02-1").code == "HCS"
    assert both.initiative_of("A02-1").basis == "additional"
    assert both.sphere_of("B01-1").name.en == "Sphere 1"  # each list with its own words
    assert both.sphere_of("MGT02-1").name.en == "City management"


def test_without_the_folder_there_is_the_proposal_only(home: Home) -> None:
    assert load_catalogues(home.catalogues).codes == PROPOSAL.codes


def test_codes_are_in_force_within_their_list(both: Catalogues) -> None:
    assert both.in_force("B01-1", dt.date(2025, 12, 1)) is None
    assert both.in_force("B01-1", FROM) == both.latest("B01-1")
    early = changed(both, both.latest("B01-1").model_copy(update={"valid_from": dt.date(2000, 1, 1)}))
    assert early.in_force("B01-1", dt.date(2025, 12, 1)) is None  # the list is not older than its head says
    assert early.effect(early.latest("B01-1")) == (FROM, dt.date.max)


def test_the_same_meaning_is_found_under_another_code(both: Catalogues) -> None:
    made, known = of(both, "official-test"), of(both, "qala-proposal")
    found = {c.code: (c.likeness, c.others) for c in compare(made, known)}
    assert set(found) == set(OFFICIAL_CODES)
    for initiative, (_, meanings) in MEANINGS.items():
        for number, meaning in enumerate(meanings, 1):
            if "-" in meaning:
                assert found[f"{initiative}-{number}"] == ("same meaning", (meaning,))
    likeness, others = found["B10-1"]  # of appeals too, but of others
    assert likeness == "same tables"
    assert {"MGT02-1", "MGT02-2"} <= set(others)
    few = only(both, "MGT02-1", "SAF02-1", "B01-1", "B08-1", "B10-1")
    assert [(c.code, c.likeness, c.others) for c in compare(of(few, "qala-proposal"), of(few, "official-test"))] == [
        ("MGT02-1", "same meaning", ("B01-1",)),
        ("SAF02-1", "none", ()),
    ]


def test_the_official_list_is_guarded_by_fingerprints(home: Home, official: Path) -> None:
    assert len(changed_without_version(load_one(official))) == len(OFFICIAL_CODES)
    assert record_fingerprints(load_one(official)) == [f"{code}@1" for code in OFFICIAL_CODES]
    assert changed_without_version(load_one(official)) == []
    file = official / "spheres" / "hcs" / "B10.yaml"
    change(file, "category = 'water'", "category = 'sewage'")
    (found,) = changed_without_version(load_one(official))
    assert (found.path, found.message) == (file, "B10-1 version 1 changed its meaning without a new version")


# ---- the command line


def qala(home: Home, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, "--home", str(home.root)])
    return result.exit_code, result.output + result.stderr


def row_of(output: str, start: str) -> list[str]:
    """The cells of the first line of a table that starts with this cell."""
    rows = [[c.strip() for c in line.strip("│┃ ").split("│")] for line in output.splitlines() if "│" in line]
    return next(row for row in rows if row[0] == start)


def test_qala_catalogue_lists_and_compares(shared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, output = qala(shared, "catalogue")
    assert code == 0
    assert row_of(output, "official-test")[1:7] == ["1", "official", "2026-01-01 to ...", "13 + 2", "17", "1 from 2026"]
    assert row_of(output, "qala-proposal")[2] == "proposal"
    assert "official-test: Appendix 2 of an order that does not exist." in output
    code, output = qala(shared, "catalogue", "official-test")
    assert (code, "qala-proposal" in output) == (0, False)
    code, output = qala(shared, "catalogue", "official-test", "qala-proposal")
    assert code == 0
    assert row_of(output, "B05-1")[2:] == ["same meaning", "TRL02-2"]
    assert row_of(output, "B10-1")[1:3] == ["Appeals about water closed in time", "same tables"]
    rest = output[output.index("without the same meaning in official-test:") :]
    assert "SAF02-1" in rest
    assert "TRL02-2" not in rest
    code, output = qala(shared, "catalogue", "official-test", "nonsense")
    assert code == 1
    assert "no catalogue nonsense; there are " in output


def test_qala_catalogue_says_what_is_wrong_and_where(home: Home, official: Path) -> None:
    file = official / "spheres" / "hcs" / "B10.yaml"
    change(file, "unit: PT", "unit: PERCENT")
    code, output = qala(home, "catalogue")
    assert code == 1
    assert f"{file}:{line_of(file, '    unit:')}: B10-1: no unit 'PERCENT'" in output


# ---- values


def test_values_for_codes_of_both_lists(both: Catalogues, store: Store) -> None:
    both = pruned(both, "SAF02-1", "ECO01-1", "B08-1")
    rows = [
        appeal(1, category="water"),
        appeal(2, category="water", late=True),
        appeal(3, category="heat"),
        appeal(4, first_answer_at=AT(2026, 1, 9), registered_at=AT(2026, 1, 6)),
    ]
    deliver(store, "fct_appeal", Extract(rows, "2026-01"))
    reports = compute(store, both, ["2026-01"], today=LATER)
    assert {r.kpi_code for r in reports} == set(both.codes)
    monthly = {code for code in both.codes if both.latest(code).period == "M"}
    assert value_codes(store, "2026-01") == monthly
    for ours, theirs, value in (("B01-1", "MGT02-1", 75), ("B01-2", "MGT02-2", 3)):
        pair = [cell(store, code, "2026-01") for code in (ours, theirs)]
        assert [found["value"] for found in pair] == [value, value]
    assert (cell(store, "B10-1", "2026-01")["value"], cell(store, "A02-1", "2026-01")["value"]) == (50, 100)
    assert cell(store, "B01-1", "2026-01")["catalogue_version"] == "1"
    assert cell(store, "MGT02-1", "2026-01")["catalogue_version"] == both.of("MGT02-1").head.version
    shown = store.con.execute("SELECT kpi_code, catalogue_id, catalogue_status, sphere FROM kpi_values WHERE kato = ? AND kpi_code LIKE '%02-1' "
                              "AND value IS NOT NULL ORDER BY 1", [ASTANA]).fetchall()  # fmt: skip
    assert shown == [("A02-1", "official-test", "official", "HCS"), ("MGT02-1", "qala-proposal", "proposal", "MGT")]


def test_the_registry_has_both_lists(both: Catalogues, store: Store) -> None:
    compute(
        store, both, [], codes=["B01-1"], today=LATER
    )  # in full: whatever stands in it compiles against the warehouse
    found = store.con.execute(
        "SELECT catalogue_id, catalogue_version, catalogue_status, valid_from, valid_to FROM registry.catalogue"
    ).fetchall()
    assert ("official-test", "1", "official", FROM, None) in found
    assert {row[0] for row in found} == {one.head.id for one in both.lists}
    counts = store.con.execute(
        "SELECT basis, count(*) FROM registry.initiative WHERE catalogue_id = 'official-test' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert counts == [("additional", 2), ("basic", 13)]
    proposed = store.con.execute(
        "SELECT count(*) FROM registry.initiative WHERE catalogue_id = 'qala-proposal'"
    ).fetchone()
    assert proposed == (len(both.of("MGT02-1").initiatives),)
    codes = store.con.execute("SELECT kpi_code FROM registry.kpi WHERE catalogue_status = 'official' ORDER BY 1")
    assert tuple(code for (code,) in codes.fetchall()) == OFFICIAL_CODES
    assert store.con.execute("SELECT count(*) FROM registry.sphere").fetchone() == (8,)
    signed = store.con.execute("SELECT catalogue_status, sign_off FROM registry.case_passport WHERE kpi_code = 'B01-1'")
    assert signed.fetchall() == [("official", "Order of nobody No. 1")]


def test_a_list_does_not_compute_what_lies_before_it(both: Catalogues, store: Store) -> None:
    both = pruned(both)
    early = changed(both, both.latest("B10-1").model_copy(update={"valid_from": dt.date(2000, 1, 1)}))
    deliver(store, "fct_appeal", Extract([appeal(1, month=12, year=2025, category="water")], "2025-12"))
    deliver(store, "fct_appeal", Extract([appeal(1, category="water")], "2026-01"))
    compute(store, early, ["2025-12", "2026-01"], today=LATER)
    assert value_codes(store, "2025-12") == {"MGT02-1", "MGT02-2", "TRL02-2"}
    assert {"B01-1", "B10-1", "MGT02-1"} <= value_codes(store, "2026-01")


def ended(catalogue: Catalogues, name: str, day: dt.date) -> Catalogues:
    """The catalogues with one list ended by its head."""
    return Catalogues(
        tuple(
            replace(one, head=one.head.model_copy(update={"valid_to": day})) if one.head.id == name else one
            for one in catalogue.lists
        )
    )


def test_the_proposal_ends_where_its_head_says(both: Catalogues, store: Store) -> None:
    day = dt.date(2026, 2, 1)
    both = ended(pruned(both), "qala-proposal", day)
    assert both.effect(both.latest("MGT02-1"))[1] == day
    assert both.in_force("MGT02-1", dt.date(2026, 1, 1)) == both.latest("MGT02-1")
    assert both.in_force("MGT02-1", day) is None
    deliver(store, "fct_appeal", Extract([appeal(1), appeal(2, late=True, month=2)], "2026-01/2026-02"))
    compute(store, both, ["2026-01", "2026-02"], today=LATER)
    assert {"B01-1", "MGT02-1"} <= value_codes(store, "2026-01")
    assert value_codes(store, "2026-02") == {"B01-1", "B01-2", "B05-1", "B10-1", "A02-1"}
    # what it computed is still corrected
    deliver(store, "fct_appeal", Extract([appeal(1, late=True), appeal(2, late=True, month=2)], "2026-01/2026-02"))
    (report,) = compute(store, both, [], codes=["MGT02-1"], today=LATER)
    assert (report.restated, cell(store, "MGT02-1", "2026-01")["value"]) == (1, 0)
    assert "2026-02" not in {p for (p,) in store.con.execute("SELECT period_id FROM kpi.value WHERE kpi_code = 'MGT02-1'").fetchall()}  # fmt: skip
    ends = store.con.execute("SELECT catalogue_id, valid_to FROM registry.catalogue ORDER BY 1").fetchall()
    assert ends == [("official-test", None), ("qala-proposal", day)]


# ---- assessment


def test_the_official_list_is_assessed_on_its_own(both: Catalogues, store: Store) -> None:
    both = pruned(both)
    made, others = of(both, "official-test"), of(both, "qala-proposal")

    def rows(answered: float, late: int, *categories: str) -> list[dict[str, Any]]:
        """Appeals answered after so many days; the first ones closed late."""
        came = AT(2026, 1, 2)
        more = {"registered_at": came, "first_answer_at": came + dt.timedelta(days=answered)}
        return [appeal(n, late=n < late, category=c, **more) for n, c in enumerate(categories)]  # type: ignore[arg-type]

    deliver(store, "fct_appeal", Extract(rows(2.5, 1, "water", "water", "heat", "heat"), "2026-01"))
    deliver(store, "fct_appeal", Extract(rows(0, 0, "water", "heat"), "2026-01", ALMATY))
    compute(store, both, ["2026-01"], today=LATER)
    done = assess(store, made, 2026)
    assert (done.year, done.version, done.ranked) == (2026, 0, 2)
    kept = store.con.execute(
        "SELECT kpi_code, score, round(weight, 6) FROM kpi.assessment_item WHERE kato = ? ORDER BY 1", [ASTANA]
    )
    # three spheres of one weight; no trips came
    assert kept.fetchall() == [("A02-1", 100, 0.166667), ("B01-1", 75, 0.166667), ("B01-2", 95, 0.166667), ("B05-1", None, 0.333333),
                               ("B10-1", 50, 0.166667)]  # fmt: skip
    codes = store.con.execute("SELECT DISTINCT kpi_code FROM kpi.assessment_item ORDER BY 1").fetchall()
    assert [c for (c,) in codes] == ["A02-1", "B01-1", "B01-2", "B05-1", "B10-1"]
    shown = store.con.execute("SELECT catalogue_id, coverage_percent, achievement, level, rank FROM scorecard WHERE kato IN (?, ?) ORDER BY kato",
                              [ASTANA, ALMATY]).fetchall()  # fmt: skip
    assert shown == [("official-test", 66.7, 80, 53.3, 2), ("official-test", 66.7, 100, 66.7, 1)]
    with pytest.raises(StoreError, match="catalogue official-test has no assessment rules for 2025"):
        assess(store, made, 2025)
    with pytest.raises(StoreError, match="catalogue qala-proposal has no assessment rules"):
        assess(store, replace(others, assessments=()), 2026)


def test_qala_assess_takes_every_list_with_rules(home: Home, official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with writing(home, hardened=True) as store:
        deliver(store, "fct_appeal", Extract([appeal(1), appeal(2, late=True)], "2026-01", SEMEY))
        compute(store, load_catalogues(home.catalogues), ["2026-01"], codes=["B01-1"], today=LATER)
    code, output = qala(home, "assess", "2026")
    assert code == 0, output
    assert "Assessment of 2026 by official-test (draft)" in output
    # of eight spheres MGT has a value, in the initiative that weighs 3 of 5: 1/8 of 3/5 of half of it, and half of the way
    assert row_of(output[output.index("by official-test") :], "regional")[1:] == [
        "Semey",
        "3.8",
        "50.0",
        "1.9",
        "",  # no row was rejected, so there is nothing between bounds
        "insufficient coverage",
    ]


# ---- faults


def test_a_code_in_two_catalogues_is_a_fault_in_the_home_list(home: Home, official: Path) -> None:
    """The file to mend is the installation's own, wherever the home lies: the shipped list is not the user's to edit."""
    old = official / "spheres" / "mgt" / "B02.yaml"
    new = old.with_name("MGT02.yaml")
    change(old, "code: B02\n", "code: MGT02\n")
    change(old, "  - code: B02-1", "  - code: MGT02-1")
    old.rename(new)
    change(official / "assessment" / "1.yaml", "B02-1:", "MGT02-1:")
    (found,) = faults(home)
    assert "initiative MGT02 stands in the catalogues" in found.message
    assert "qala-proposal" in found.message
    assert "official-test" in found.message
    assert (found.path, found.line) == (new, line_of(new, "code:"))


def test_a_code_in_two_home_catalogues_names_file_and_line(home: Home, official: Path) -> None:
    twin = write(home.catalogues / "twin")
    change(twin / "catalogue.yaml", "id: official-test", "id: twin")
    found = faults(home)
    assert len(found) == 15
    assert {f.path for f in found} == set(twin.glob("spheres/*/*.yaml"))
    assert {f.line for f in found} == {2}  # below a comment
    assert f"initiative A01 stands in the catalogues {official.name} and twin" in {f.message for f in found}


def test_two_catalogues_of_one_name_are_a_fault(home: Home, official: Path) -> None:
    """Assessments, registries and `qala catalogue` know a list by its id: two of one id would be mixed up."""
    official.rename(official.with_name("qala-proposal"))
    change(home.catalogues / "qala-proposal" / "catalogue.yaml", "id: official-test", "id: qala-proposal")
    assert any("qala-proposal" in f.message for f in faults(home))


def test_the_folder_is_named_like_the_list(home: Home, official: Path) -> None:
    moved = official.rename(official.with_name("official"))
    (found,) = faults(home)
    assert (found.path, found.line) == (moved / "catalogue.yaml", 1)
    assert found.message == "catalogue official-test in a folder named official"


def test_faults_of_all_lists_are_told_together(home: Home, official: Path) -> None:
    twin = write(home.catalogues / "twin")
    heat, water = official / "spheres" / "hcs" / "A02.yaml", twin / "spheres" / "hcs" / "B10.yaml"
    change(heat, "unit: PT", "unit: X")
    change(water, "direction: higher", "direction: up")
    places = {(f.path, f.line) for f in faults(home)}
    assert {(heat, line_of(heat, "    unit:")), (water, line_of(water, "    direction:")), (twin / "catalogue.yaml", 1)} <= places  # fmt: skip


def test_versions_overlap_within_a_list_only(home: Home, official: Path) -> None:
    """B01-1 and MGT02-1 say the same on the same days in two lists: no fault. Two versions of one code in one list: a fault."""
    file = official / "spheres" / "hcs" / "B10.yaml"
    second = (
        OWN.format(code="B10-1", word="water")
        .replace("version: 1", "version: 2", 1)
        .replace("change_note: ", "change_note: Anew. ")
    )
    file.write_text(file.read_text(encoding="utf-8") + second.replace("2026-01-01", "2026-07-01"), encoding="utf-8")
    (found,) = faults(home)
    assert found.message == "B10-1 versions 1 and 2 are in force on the same days"
    assert found.path == file
    assert found.line == line_of(file, "    version: 2") + 1
    change(file, "    valid_from: 2026-01-01\n", "    valid_from: 2026-01-01\n    valid_to: 2026-07-01\n")
    both = load_catalogues(home.catalogues)
    versions = [both.in_force("B10-1", day) for day in (dt.date(2026, 6, 30), dt.date(2026, 7, 1))]
    assert [kpi.version if kpi else None for kpi in versions] == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  B10-1:\n    floor: 0\n    goal: 100\n", "", "B10-1 has no scale"),
        (
            "B10-1:\n    floor: 0\n    goal: 100\n",
            "B10-1:\n    floor: 100\n    goal: 0\n",
            "B10-1: higher is better, but the goal lies on the other side",
        ),
        ("  B10-1:\n", "  MGT02-1:\n    floor: 0\n    goal: 100\n  B10-1:\n", "no KPI 'MGT02-1'"),
        ("    B01: 3\n", "    MGT02: 3\n", "no initiative 'MGT02'"),
    ],
    ids=["missing", "wrong way", "of another list", "weight of another list"],
)
def test_rules_speak_of_their_own_list(home: Home, official: Path, old: str, new: str, message: str) -> None:
    file = official / "assessment" / "1.yaml"
    change(file, old, new)
    (found,) = faults(home)
    assert (found.path, found.message) == (file, message)
    if new:
        named = line_of(file, next(line for line in new.splitlines() if line not in old.splitlines()))
        assert found.line in (named, line_of(file, "  B10-1:"))
    else:
        assert found.line == line_of(file, "scales:")


# ---- Dagster


def test_dagster_shows_the_kpis_of_both_lists(both: Catalogues) -> None:
    assets = kpi_assets(both, load_tables(), months_from("2025-01"))
    assert assets.node_def.name == "kpis"
    specs = {spec.key: spec for spec in assets.specs}
    assert set(specs) == {asset_key(both, code) for code in both.codes}
    made, known = (specs[dg.AssetKey(["kpi", "mgt", name])] for name in ("B01_1", "MGT02_1"))
    assert (made.metadata["status"], known.metadata["status"]) == ("official", "proposal")
    assert [d.asset_key for d in made.deps] == [d.asset_key for d in known.deps] == [dg.AssetKey(["showcase", "fct_appeal"])]  # fmt: skip
    assert made.tags["initiative"] == "B01"
    assert dg.AssetKey(["kpi", "hcs", "A02_1"]) in specs
