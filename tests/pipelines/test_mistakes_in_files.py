"""Deliberate mistakes in contracts and definitions: `qala check` names file, line and remedy for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kpi_definitions import catalogue as catalogues
from kpi_definitions.documents import Fault
from pipelines.methods.check import all_faults
from warehouse.home.home import Home
from warehouse.tables.contracts import SHOWCASE

TABLES = ("fct_appeal", "dim_service", "fct_service_application")
HEAD = catalogues.SHIPPED / "qala-proposal"
REFERENCE = """\
        relationships:
          - {type: foreignKey, to: fct_service_application.application_id}
"""

# what: (file, old text, new text, the line's text, what is said)
MISTAKES = {
    "unknown column": ("MGT02.yaml", "filter: closed_at <= due_at", "filter: closed_on <= due_at", "closed_on <= due_at", "unknown column 'closed_on'"),
    "column of the wrong type": (
        "MGT02.yaml", "filter: closed_at <= due_at", "filter: closed_at <= is_emergency", "numerator:", "DuckDB refuses it"),
    "type that does not add up": (
        "fct_appeal.odcs.yaml", "      - name: is_emergency\n        logicalType: boolean",
        "      - name: is_emergency\n        logicalType: number\n        physicalType: DOUBLE", "physicalType: DOUBLE", "does not add up exactly"),
    "share whose numerator is not a subset": (
        "MGT02.yaml", "      filter: closed_at <= due_at\n", "      rows: {table: fct_service_application, event: due_at}\n", "- code: MGT02-1",
        "a share counts part of the same rows"),
    "code given twice": ("MGT02.yaml", "  - code: MGT02-2\n    version: 1", "  - code: MGT02-1\n    version: 1", "- code: MGT02-1#2", "is given twice"),
    "overlapping dates of effect": (
        "MGT02.yaml", "  - code: MGT02-2\n    version: 2", "  - code: MGT02-1\n    version: 2", "valid_from: 2000-01-01#3", "in force on the same days"),
    "missing label of a KPI": ("MGT02.yaml", "      ru: 'Доля обращений граждан, закрытых в срок'\n", "", "name:#2", "name.ru"),
    "missing label of a table": ("dim_service.odcs.yaml", "property: titleRu", "property: titleFr", "customProperties:#2", "has no titleRu"),
    "bad unit": ("MGT02.yaml", "unit: PT", "unit: PERCENT", "unit: PERCENT", "no unit 'PERCENT'"),
    "function that is not allowed": (
        "MGT02.yaml", "filter: closed_at <= due_at", "filter: regexp_matches(status, 'x')", "regexp_matches", "is not allowed here"),
    "circle of references": ("dim_service.odcs.yaml", "        primaryKey: true\n        primaryKeyPosition: 1\n",
                             "        primaryKey: true\n        primaryKeyPosition: 1\n" + REFERENCE, "relationships:", "closes a circle of references"),
    "reference that leads nowhere": (
        "fct_service_application.odcs.yaml", "to: dim_service.service_code", "to: dim_service.service", "relationships:", "which does not exist"),
    "domain that is no sphere": ("dim_service.odcs.yaml", "domain: MGT", "domain: MTG", "domain: MTG", "no sphere 'MTG'"),
    "YAML key given twice": ("MGT02.yaml", "    unit: PT\n", "    unit: PT\n    unit: DAY\n", "unit: DAY", "'unit' is given twice"),
    "rule of a criterion the law does not know": (
        "fct_appeal.odcs.yaml", "          - {property: descriptionRu, value: 'Поставка не пуста'}\n", "          - {property: criterion, value: beauty}\n",
        "quality:#last", "no criterion 'beauty'"),
    "goal on the wrong side": ("2026.1.yaml", "MGT02-2: {floor: 15, goal: 1}", "MGT02-2: {floor: 1, goal: 15}", "MGT02-2:", "the goal lies on the other side"),
    "weight of what does not exist": ("2026.1.yaml", "  kpis: {}", "  kpis: {MGT02-9: 2}", "kpis: {MGT02-9", "no kpi 'MGT02-9'"),
    "meaning changed without a version": ("MGT02.yaml", "filter: closed_at <= due_at", "filter: closed_at < due_at", "version: 1", "without a new version"),
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A small shop of our own: three tables, one initiative, its assessment rules and fingerprints."""
    showcase, catalogue = tmp_path / "showcase", tmp_path / "catalogues" / "qala-proposal"
    (catalogue / "spheres" / "mgt").mkdir(parents=True)
    (catalogue / "assessment").mkdir()
    showcase.mkdir()
    found = {}
    for name in TABLES:
        found[f"{name}.odcs.yaml"] = Path(shutil.copy(SHOWCASE / f"{name}.odcs.yaml", showcase))
    shutil.copy(HEAD / "catalogue.yaml", catalogue)
    found["MGT02.yaml"] = Path(shutil.copy(HEAD / "spheres" / "mgt" / "MGT02.yaml", catalogue / "spheres" / "mgt"))
    fingerprints = (HEAD / catalogues.FINGERPRINTS).read_text().splitlines()
    kept = [line.rstrip(",") for line in fingerprints if "MGT02" in line]
    (catalogue / catalogues.FINGERPRINTS).write_text("{" + ",".join(kept) + "}")
    rules = (HEAD / "assessment" / "2026.1.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    found["2026.1.yaml"] = catalogue / "assessment" / "2026.1.yaml"
    found["2026.1.yaml"].write_text(
        "".join(line for line in rules if "{floor" not in line or "MGT02" in line), encoding="utf-8"
    )
    return found


def faults_of(files: dict[str, Path]) -> list[Fault]:
    root = files["MGT02.yaml"].parents[4]
    faults, _ = all_faults(Home(root / "home"), root / "showcase", root / "catalogues")
    return [f for f in faults if f.path in files.values()]


def test_the_shop_without_mistakes_has_no_fault(files: dict[str, Path]) -> None:
    assert faults_of(files) == []


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_remedy(files: dict[str, Path], what: str) -> None:
    name, old, new, place, said = MISTAKES[what]
    path = files[name]
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    mine = [f for f in faults_of(files) if f.path == path and said in f.message]
    assert mine, [str(f) for f in faults_of(files)]
    assert all(f.remedy for f in mine)
    marker, _, which = place.partition("#")
    lines = [n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if marker in line]
    assert mine[0].line == lines[{"": 0, "last": -1}.get(which, int(which) - 1 if which.isdigit() else 0)], str(mine[0])
