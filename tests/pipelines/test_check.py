"""`qala check`: shipped documents are clean, and mistakes are named with file, line and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kpi_definitions import catalogue as catalogues
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative
from pipelines.methods.check import all_faults
from warehouse.home.home import Home
from warehouse.tables.contracts import SHOWCASE, load_tables, parse_table
from warehouse.tables.odcs import odcs_schema, schema_faults

APPEAL = (SHOWCASE / "fct_appeal.odcs.yaml").read_text(encoding="utf-8")
SOURCE = (Path(__file__).parents[2] / "examples" / "boston-311" / "boston_311.odcs.yaml").read_text(encoding="utf-8")


def test_what_is_shipped_has_no_fault(tmp_path: Path) -> None:
    faults, counts = all_faults(Home(tmp_path))
    assert faults == []
    assert counts["contracts"] >= 10
    assert counts["KPI definitions"] == len(catalogues.load_catalogues().kpis)


def test_the_editors_schemas_are_those_of_the_models() -> None:
    folder = catalogues.SCHEMA
    assert json.loads((folder / "initiative.schema.json").read_text()) == Initiative.model_json_schema()
    assert json.loads((folder / "catalogue.schema.json").read_text()) == CatalogueHead.model_json_schema()
    assert json.loads((folder / "assessment.schema.json").read_text()) == AssessmentRules.model_json_schema()
    assert json.loads((SHOWCASE / "odcs.schema.json").read_text()) == odcs_schema()


@pytest.mark.parametrize(
    ("old", "new", "line_of", "said"),
    [
        ("logicalType: boolean", "logicalType: number", "name: is_emergency", "DECIMAL"),
        ("        primaryKey: true\n", "", "properties:", "no primary key"),
        ("name: channel", "name: delivery_id", "name: delivery_id", "belongs to the loader"),
        ("metric: rowCount", "metric: duplicateValues", "id: has-rows", "nothing here judges"),
        ("column: volume_ratio", "column: volume", "id: volume", "nothing here judges"),
        ("id: volume", "id: rejected-share", "name: fct_appeal", "given twice"),
        (
            "logicalType: boolean",
            "logicalType: boolean\n        physicalType: DOUBLE",
            "physicalType: DOUBLE",
            "does not add up exactly",
        ),
    ],
)
def test_a_mistake_in_a_table_contract_is_named(tmp_path: Path, old: str, new: str, line_of: str, said: str) -> None:
    assert old in APPEAL
    path = tmp_path / "fct_appeal.odcs.yaml"
    path.write_text(APPEAL.replace(old, new, 1) if old != "id: volume" else APPEAL.replace(old, new), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        parse_table(read(path))
    (fault,) = caught.value.faults
    assert said in f"{fault.message} {fault.remedy}"
    near = path.read_text().splitlines()[max(0, fault.line - 3) : fault.line + 2]
    assert any(line_of in text for text in near), (fault, near)


def test_a_misspelt_key_of_the_standard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fct_appeal.odcs.yaml"
    path.write_text(APPEAL.replace("        required: true", "        requierd: true", 1), encoding="utf-8")
    (fault, *_) = schema_faults(read(path))
    assert "requierd" in fault.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: fct_appeal ", "name: fct_appel ", "no showcase table 'fct_appel'"),
        ("name: due_at", "name: due", "has no column 'due'"),
        ("transformLogic: closed_dt", 'transformLogic: "(select 1)"', "not allowed"),
        ("transformLogic: closed_dt", "transformLogic: read_text('x')", "not allowed"),
        ("transformLogic: closed_dt", "transformLogic: open_dt", "unknown column"),
        (
            "{property: otherHeaders, value: ignore}",
            "{property: otherHeader, value: ignore}",
            "unknown property 'otherHeader'",
        ),
        ("  - {property: system, value: boston-311}\n", "", "no `system`"),
        (
            "      - name: appeal_id\n        physicalName: case_enquiry_id\n",
            "",
            "appeal_id must be filled and is not mapped",
        ),
        ("{format: 'yyyy-MM-dd HH:mm:ss'}", "{format: 'yyyy-MMM-dd'}", "'MMM' is not understood"),
    ],
)
def test_a_mistake_in_a_source_contract_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SOURCE
    home = Home(tmp_path)
    home.contracts.mkdir()
    path = home.contracts / "boston_311.odcs.yaml"
    path.write_text(SOURCE.replace(old, new, 1), encoding="utf-8")
    faults, _ = all_faults(home)
    mine = [f for f in faults if f.path == path and said in f.message]
    assert mine, faults
    assert all(f.line > 1 and f.remedy for f in mine)


def test_tables_are_loaded_once_each() -> None:
    tables = load_tables()
    assert {p.name.removesuffix(".odcs.yaml") for p in SHOWCASE.glob("*.odcs.yaml")} == set(tables)
