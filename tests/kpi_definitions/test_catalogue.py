"""Faults in the catalogue name the file, the line and the remedy; a definition changes only with a new version."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest

from kpi_definitions.catalogue import (
    FINGERPRINTS,
    SHIPPED,
    Catalogues,
    changed_without_version,
    load_catalogues,
    load_one,
    record_fingerprints,
)
from kpi_definitions.compiler import compile_kpi, fingerprint
from kpi_definitions.documents import DocumentError, Fault
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import Kpi
from warehouse.tables.contracts import load_tables

TABLES = {name: table.business_columns for name, table in load_tables().items()}

KPI = """\
  - code: MGT02-1
    version: 1
    valid_from: 2010-01-01
    change_note: First version.
    name: {en: Appeals closed in time, ru: Обращения в срок}
    unit: PT
    direction: higher
    kind: share
    period: M
    categories: [republican, regional]
    scale: 100
    rows:
      table: fct_appeal
      event: due_at
      filter: "status <> 'WITHDRAWN'"
    numerator:
      aggregate: count(*)
      filter: closed_at <= due_at
    denominator:
      aggregate: count(*)
    coverage: {minimum: 1}
    late_data_days: 10
    standards: {fit: none}
"""
INITIATIVE = f"""\
# a comment, so that lines and entries differ
code: MGT02
sphere: MGT
name:
  en: Contact centre
  ru: Контакт-центр
named_in_order: false
categories: [republican, regional]
kpis:
{KPI}"""
SECOND = KPI.replace("version: 1", "version: 2").replace("First version.", "Second version.")


def folder_with(tmp_path: Path, text: str | bytes, name: str = "MGT02.yaml") -> Path:
    """A catalogue folder with the shipped head and one initiative file."""
    head, tmp_path = SHIPPED / "qala-proposal" / "catalogue.yaml", tmp_path / "qala-proposal"
    (tmp_path / "spheres" / "mgt").mkdir(parents=True, exist_ok=True)
    (tmp_path / "catalogue.yaml").write_text(head.read_text(encoding="utf-8"), encoding="utf-8")
    file = tmp_path / "spheres" / "mgt" / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def loaded(folder: Path) -> Catalogues:
    return Catalogues((load_one(folder),))


def faults_of(tmp_path: Path, text: str | bytes, name: str = "MGT02.yaml") -> list[Fault]:
    with pytest.raises(DocumentError) as caught:
        load_one(folder_with(tmp_path, text, name))
    assert str(tmp_path) in str(caught.value)
    return caught.value.faults


def replaced(old: str, new: str) -> str:
    assert INITIATIVE.count(old) >= 1, old
    return INITIATIVE.replace(old, new, 1)


def line_of(text: str, marker: str, nth: int = 1) -> int:
    """The line on which `marker` stands for the nth time."""
    return [n for n, line in enumerate(text.splitlines(), 1) if marker in line][nth - 1]


# text, where the fault stands (marker and which occurrence), what is said
FAULTS = {
    "unknown key": (replaced("    unit: PT\n", "    unit: PT\n    colour: red\n"), ("colour: red", 1), "colour"),
    "unknown key of a part": (replaced("      table: fct_appeal\n", "      table: fct_appeal\n      limit: 5\n"), ("limit: 5", 1), "limit"),
    "key given twice": (replaced("    unit: PT\n", "    unit: PT\n    unit: DAY\n"), ("unit: DAY", 1), "'unit' is given twice"),
    "missing label": (replaced("name: {en: Appeals closed in time, ru: Обращения в срок}", "name: {en: Appeals closed in time}"), ("name: {en", 1), "name.ru"),
    "empty label": (replaced("ru: Контакт-центр", "ru: ''"), ("ru: ''", 1), "name.ru"),
    "missing note": (replaced("    change_note: First version.\n", ""), ("- code: MGT02-1", 1), "change_note"),
    "same code and version": (INITIATIVE + KPI, ("code: MGT02-1", 2), "MGT02-1 version 1 is given twice"),
    "overlapping dates of effect": (INITIATIVE + SECOND, ("valid_from", 2), "versions 1 and 2 are in force on the same days"),
    "a new version without a word why": (
        replaced("2010-01-01\n", "2010-01-01\n    valid_to: 2026-02-01\n")
        + SECOND.replace("2010-01-01", "2026-02-01").replace("Second version.", "First version."),
        ("change_note", 2), "MGT02-1 version 2 has the change note of version 1"),
    "one day of overlap": (
        replaced("2010-01-01\n", "2010-01-01\n    valid_to: 2026-02-01\n") + SECOND.replace("2010-01-01", "2026-01-31"),
        ("valid_from: 2026-01-31", 1), "versions 1 and 2 are in force on the same days"),
    "unknown sphere": (replaced("sphere: MGT", "sphere: ZZZ"), ("sphere: ZZZ", 1), "no sphere 'ZZZ'"),
    "numerator from other rows": (
        replaced("      filter: closed_at <= due_at\n", "      rows: {table: fct_trip, event: planned_departure_at}\n"),
        ("- code: MGT02-1", 1), "neither side may name rows of its own"),
    "denominator from other rows": (
        replaced("    denominator:\n", "    denominator:\n      rows: {table: fct_trip, event: planned_departure_at}\n"),
        ("- code: MGT02-1", 1), "neither side may name rows of its own"),
    "share of part of its rows": (
        replaced("    denominator:\n", "    denominator:\n      filter: is_emergency\n"), ("- code: MGT02-1", 1), "a share's denominator is all its rows"),
    "share without denominator": (
        replaced("    denominator:\n      aggregate: count(*)\n", ""), ("- code: MGT02-1", 1), "a share needs a denominator"),
    "mean with denominator": (replaced("kind: share", "kind: mean"), ("- code: MGT02-1", 1), "a mean takes no denominator"),
    "two times": (
        replaced("      event: due_at\n", "      event: due_at\n      as_of: due_at\n"),
        ("rows:", 1),
        "exactly one of event, stock, during and as_of",
    ),
    "no time": (replaced("      event: due_at\n", ""), ("rows:", 1), "exactly one of event, stock, during and as_of"),
    "unknown kind": (replaced("kind: share", "kind: percentage"), ("kind: percentage", 1), "kind"),
    "unknown group": (replaced("    categories: [republican, regional]", "    categories: [republican, village]"), ("[republican, village]", 1), "categories"),
    "more groups than the initiative": (
        replaced("    categories: [republican, regional]", "    categories: [republican, district]"), ("[republican, district]", 1), "applies to more groups"),
    "code of another initiative": (replaced("code: MGT02-1", "code: MGT03-1"), ("code: MGT03-1", 1), "does not belong to MGT02"),
    "code that is none": (replaced("code: MGT02-1", "code: mgt02-1"), ("code: mgt02-1", 1), "code"),
    "version nought": (replaced("version: 1", "version: 0"), ("version: 0", 1), "version"),
    "coverage above one": (replaced("coverage: {minimum: 1}", "coverage: {minimum: 75}"), ("minimum: 75", 1), "minimum"),
    "ends before it begins": (
        replaced("2010-01-01\n", "2010-01-01\n    valid_to: 2009-01-01\n"), ("- code: MGT02-1", 1), "valid_to must not be before valid_from"),
    "unknown unit": (replaced("unit: PT", "unit: PERCENT"), ("unit: PERCENT", 1), "no unit 'PERCENT'"),
    "season of a quarterly KPI": (
        replaced("period: M", "period: Q").replace("scale: 100", "scale: 100\n    season: {months: [1], name: {en: winter, ru: зима}}"),
        ("- code: MGT02-1", 1), "only a monthly KPI"),
    "a day that does not exist": (replaced("2010-01-01", "2026-02-30"), ("2026-02-30", 1), "2026-02-30"),
    "not YAML": (replaced("    unit: PT\n", "\tunit: PT\n"), ("unit: PT", 1), "not valid YAML"),
    "a key that is a list": (replaced("    unit: PT\n", "    ? [unit]\n    : PT\n"), ("? [unit]", 1), "a key must be a word"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_names_file_line_and_remedy(tmp_path: Path, what: str) -> None:
    text, (marker, nth), message = FAULTS[what]
    faults = faults_of(tmp_path, text)
    assert [f for f in faults if f.path.name != "MGT02.yaml" or not f.remedy] == []
    said = [(f.line, f.message) for f in faults if message in f.message]
    assert [line for line, _ in said] == [line_of(text, marker, nth)], [str(f) for f in faults]


def test_the_text_without_faults_loads(tmp_path: Path) -> None:
    catalogue = loaded(folder_with(tmp_path, INITIATIVE))
    assert catalogue.codes == ("MGT02-1",)
    assert catalogue.latest("MGT02-1").minimum_sample == 1
    assert catalogue.sphere_of("MGT02-1").number == 1
    with pytest.raises(KeyError, match="MGT02-1"):
        catalogue.latest("MGT02-9")


def test_a_file_is_named_by_its_code(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, INITIATIVE, "MGT03.yaml")
    assert (fault.path.name, fault.line) == ("MGT03.yaml", line_of(INITIATIVE, "code: MGT02"))
    assert "MGT02.yaml" in fault.remedy


def test_an_initiative_stands_in_one_file(tmp_path: Path) -> None:
    folder_with(tmp_path, INITIATIVE)
    faults = faults_of(tmp_path, INITIATIVE, "MGT03.yaml")
    assert [(f.path.name, f.line) for f in faults] == [("MGT03.yaml", 2)]
    assert "MGT02.yaml" in faults[0].remedy


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (fault,) = faults_of(
        tmp_path, INITIATIVE.encode().replace("Контакт-центр".encode(), "Контакт-центр".encode("cp1251"))
    )
    assert (fault.path.name, fault.line) == ("MGT02.yaml", line_of(INITIATIVE, "Контакт-центр"))
    assert "UTF-8" in fault.remedy


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    folder_with(tmp_path, replaced("direction: higher", "direction: up").replace("kind: share", "kind: percentage"))
    faults = faults_of(
        tmp_path, INITIATIVE.replace("MGT02", "MGT03").replace("scale: 100", "scale: none"), "MGT03.yaml"
    )
    assert [(f.path.name, f.message.split(":")[0]) for f in faults] == [
        ("MGT02.yaml", "kpis.0.direction"),
        ("MGT02.yaml", "kpis.0.kind"),
        ("MGT03.yaml", "kpis.0.scale"),
    ]
    assert str(faults[0]).startswith(f"{faults[0].path}:{faults[0].line}: ")


# ---- faults found by the compiler are placed on their lines too


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filter: closed_at <= due_at", "filter: closed_on <= due_at", "unknown column 'closed_on'"),
        ("filter: \"status <> 'WITHDRAWN'\"", "filter: \"upper(status) <> 'X'\"", "(upper) is not allowed here"),
        ("event: due_at", "event: category", "no date column 'category'"),
        ("event: due_at", "event: due", "no date column 'due'"),
        ("table: fct_appeal", "table: fct_complaint", "no table 'fct_complaint'"),
        ("aggregate: count(*)", "aggregate: avg(is_emergency)", "a share cannot be made by"),
        ("event: due_at", "stock: {from: registered_at, to: closed_at}", "not delivered as snapshots"),
    ],
)
def test_a_fault_of_an_expression_is_placed_on_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = replaced(old, new)
    catalogue = loaded(folder_with(tmp_path, text))
    kpi = catalogue.latest("MGT02-1")
    with pytest.raises(ExpressionError) as caught:
        compile_kpi(kpi, TABLES)
    fault = catalogue.fault(kpi, caught.value.where, caught.value.message, caught.value.remedy)
    assert (fault.path.name, fault.line) == ("MGT02.yaml", line_of(text, new))
    assert message in fault.message
    assert fault.remedy


# ---- versions


def two_versions(tmp_path: Path) -> Catalogues:
    first = replaced("2010-01-01\n", "2010-01-01\n    valid_to: 2026-02-01\n")
    return loaded(folder_with(tmp_path, first + SECOND.replace("2010-01-01", "2026-02-01")))


def test_one_version_is_in_force_on_a_day(tmp_path: Path) -> None:
    catalogue = two_versions(tmp_path)

    def version(day: dt.date) -> int | None:
        kpi = catalogue.in_force("MGT02-1", day)
        return kpi.version if kpi else None

    assert version(dt.date(2009, 12, 31)) is None
    assert version(dt.date(2010, 1, 1)) == 1
    assert version(dt.date(2026, 1, 31)) == 1
    assert version(dt.date(2026, 2, 1)) == 2
    assert catalogue.latest("MGT02-1").version == 2


def test_a_change_without_a_new_version_is_found(tmp_path: Path) -> None:
    catalogue = loaded(folder_with(tmp_path, INITIATIVE))
    (fault,) = changed_without_version(catalogue.lists[0])
    assert "no recorded fingerprint" in fault.message
    assert record_fingerprints(catalogue.lists[0]) == ["MGT02-1@1"]
    assert changed_without_version(catalogue.lists[0]) == []

    reworded = loaded(
        folder_with(tmp_path, replaced("First version.", "Reworded.").replace("count(*)", "'COUNT( * )'"))
    )
    assert changed_without_version(reworded.lists[0]) == []

    text = replaced("closed_at <= due_at", "closed_at < due_at")
    changed = loaded(folder_with(tmp_path, text))
    (fault,) = changed_without_version(changed.lists[0])
    assert (fault.path.name, fault.line) == ("MGT02.yaml", line_of(text, "version: 1"))
    assert "changed its meaning without a new version" in fault.message
    assert "new version" in fault.remedy


def test_a_recorded_fingerprint_is_never_overwritten(tmp_path: Path) -> None:
    record_fingerprints(loaded(folder_with(tmp_path, INITIATIVE)).lists[0])
    before = json.loads((tmp_path / "qala-proposal" / FINGERPRINTS).read_text())
    changed = two_versions(tmp_path)
    edited = loaded(folder_with(tmp_path, replaced("scale: 100", "scale: 1000")))
    assert record_fingerprints(edited.lists[0]) == []
    assert json.loads((tmp_path / "qala-proposal" / FINGERPRINTS).read_text()) == before
    assert record_fingerprints(changed.lists[0]) == ["MGT02-1@2"]


def test_a_version_raised_in_place_is_not_recorded_in_place_of_the_old_one(tmp_path: Path) -> None:
    record_fingerprints(loaded(folder_with(tmp_path, INITIATIVE)).lists[0])
    before = (tmp_path / "qala-proposal" / FINGERPRINTS).read_text()
    raised = loaded(folder_with(tmp_path, replaced("version: 1", "version: 2"))).lists[0]
    assert [f.message for f in changed_without_version(raised) if "no longer defined" in f.message]
    with pytest.raises(DocumentError, match="MGT02-1 version 1 is recorded here and no longer defined"):
        record_fingerprints(raised)
    assert (tmp_path / "qala-proposal" / FINGERPRINTS).read_text() == before


# ---- the shipped catalogue


def test_shipped_catalogue_has_all_spheres_and_initiatives() -> None:
    (catalogue,) = load_catalogues().lists
    assert sorted(s.number for s in catalogue.head.spheres) == list(range(1, 9))
    told = re.search(
        r"the (\d+) initiatives and \d+ KPIs here",
        (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"),
    )
    assert told, "README.md says how many initiatives there are"
    assert len(catalogue.initiatives) == int(told[1]), "README.md says another number"
    assert {i.sphere for i in catalogue.initiatives} == {s.code for s in catalogue.head.spheres}
    assert [i.code for i in catalogue.initiatives if i.named_in_order] == ["MGT01"]  # all others are our proposal
    assert catalogue.head.status == "proposal"


def test_shipped_definitions_match_their_recorded_fingerprints() -> None:
    (catalogue,) = load_catalogues().lists
    assert changed_without_version(catalogue) == []
    recorded = json.loads((catalogue.folder / FINGERPRINTS).read_text())
    assert {f"{k.code}@{k.version}": fingerprint(k) for k in catalogue.kpis}.items() <= recorded.items()


@pytest.mark.parametrize("kpi", load_catalogues().kpis, ids=lambda k: f"{k.code}@{k.version}")
def test_shipped_definitions_describe_themselves_in_two_languages(kpi: Kpi) -> None:
    assert kpi.description is not None
    assert kpi.description.en != kpi.description.ru
    assert kpi.name.en != kpi.name.ru


def test_a_version_that_vanished_is_a_fault(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, INITIATIVE)
    (folder / FINGERPRINTS).write_text('{"MGT02-1@7": "x"}')
    faults = changed_without_version(load_one(folder))
    assert [f.message for f in faults if "no longer defined" in f.message] == [
        "MGT02-1 version 7 is recorded here and no longer defined"
    ]


# ---- rules of assessment


def _with_rules(tmp_path: Path, **scales: str) -> Path:
    """A list with rules from 2000 on and, if scales for it are given, from 2027 on; `scales`: version of the rules → its scales."""
    folder = folder_with(tmp_path, INITIATIVE + KPI.replace("MGT02-1", "MGT02-2").replace("2010-01-01", "2027-01-01"))
    (folder / "assessment").mkdir()
    for version, text in scales.items():
        first = 2000 if version == "old" else 2027
        (folder / "assessment" / f"{version}.yaml").write_text(
            f"version: {version}\nvalid_from: {first}\nchange_note: {version}\nminimum_coverage: 0.5\nminimum_periods: 0.5\nweight_change: 0.2\n"
            f"weights: {{}}\nscales: {{{text}}}\n", encoding="utf-8")  # fmt: skip
    return folder


_SCALE_1, _SCALE_2 = "MGT02-1: {floor: 0, goal: 100}", "MGT02-2: {floor: 0, goal: 100}"


def test_rules_need_no_scale_for_a_kpi_that_came_after_their_years(tmp_path: Path) -> None:
    old, new = load_one(_with_rules(tmp_path, old=_SCALE_1, new=f"{_SCALE_1}, {_SCALE_2}")).assessments
    assert ("MGT02-2" in old.scales, "MGT02-2" in new.scales) == (False, True)


@pytest.mark.parametrize(
    ("scales", "file", "advised"),
    [({"old": _SCALE_1}, "old.yaml", "valid from 2027"), ({"old": _SCALE_1, "new": _SCALE_1}, "new.yaml", "2027 on"),
     ({"old": f"{_SCALE_1}, {_SCALE_2}", "new": _SCALE_2}, "new.yaml", "give floor and goal")],
)  # fmt: skip
def test_rules_that_govern_a_kpis_years_have_its_scale(
    tmp_path: Path, scales: dict[str, str], file: str, advised: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_one(_with_rules(tmp_path, **scales))
    (fault,) = caught.value.faults
    assert fault.path.name == file
    assert "has no scale" in fault.message
    assert advised in fault.remedy


def test_a_scale_points_the_way_its_kpi_does_in_the_years_of_the_rules(tmp_path: Path) -> None:
    """A later version that turns the KPI round does not make rules wrong that were used before."""
    first = replaced("2010-01-01\n", "2010-01-01\n    valid_to: 2027-01-01\n")
    second = SECOND.replace("2010-01-01", "2027-01-01").replace("direction: higher", "direction: lower")
    folder = _with_rules(tmp_path, old=_SCALE_1, new="MGT02-1: {floor: 100, goal: 0}")
    (folder / "spheres" / "mgt" / "MGT02.yaml").write_text(first + second, encoding="utf-8")
    assert len(load_one(folder).assessments) == 2
