"""`qala check`: shipped documents are clean, and mistakes are named with file, line and remedy."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from connectors.simulator.recipe_checks import recipe_faults
from connectors.sources import connections
from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import load_one, record_fingerprints
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.golden import golden_faults
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative
from pipelines.methods.check import all_faults
from tests.support.official_list import write
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
    assert json.loads(connections.SCHEMA.read_text()) == connections.schema()
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
            "      - name: appeal_id\n        physicalName: case_enquiry_id\n        logicalType: string\n",
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


# what of a contract: (old text, new text, the line's text, what is said, what is advised)
STANDARD = {
    "a format without a type": (
        SOURCE, "        logicalType: timestamp\n        logicalTypeOptions: {format: 'yyyy-MM-dd HH:mm:ss'}\n      - name: due_at",
        "        logicalTypeOptions: {format: 'yyyy-MM-dd HH:mm:ss'}\n      - name: due_at", "logicalTypeOptions", "format without a logicalType",
        "logicalType"),
    "a length without a type": (
        APPEAL, "        logicalType: string\n        logicalTypeOptions: {maxLength: 64}", "        logicalTypeOptions: {maxLength: 64}",
        "maxLength: 64", "maxLength without a logicalType", "string for maxLength"),
    "a date's format at a number": (
        SOURCE, "logicalType: timestamp", "logicalType: number", "format:", "is no format of logicalType number", "timestamp"),
    "an option of another type": (
        APPEAL, "logicalType: boolean", "logicalType: number\n        physicalType: DECIMAL(9,2)\n        logicalTypeOptions: {maxLength: 4}",
        "maxLength: 4}", "maxLength is no option of logicalType number", "take it out"),
    "a key nearly right": (APPEAL, "required: true", "requierd: true", "name: appeal_id", "unknown key requierd", "did you mean required?"),
    "a metric that is none": (APPEAL, "metric: rowCount", "metric: rowsCount", "rowsCount", "'rowsCount' is not one of", "write one of these"),
    "a word for a truth": (APPEAL, "required: true", "required: 'yes'", "required: 'yes'", "is not of type 'boolean'", "true or false"),
    "a number for a text": (APPEAL, "version: 1.0.0", "version: 1.0", "version: 1.0", "is not of type 'string'", "in quotes"),
    "a property without a value": (
        SOURCE, "{property: delimiter, value: ','}", "{property: delimiter}", "{property: delimiter}", "'value' is a required property",
        "{property: NAME, value: VALUE}"),
}  # fmt: skip


@pytest.mark.parametrize("what", STANDARD)
def test_one_mistake_against_the_standard_is_one_fault_in_plain_words(tmp_path: Path, what: str) -> None:
    text, old, new, line, said, advised = STANDARD[what]
    assert old in text
    path = tmp_path / "contract.odcs.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    (fault,) = schema_faults(read(path))
    assert said in fault.message
    assert advised in fault.remedy
    lines = path.read_text(encoding="utf-8").splitlines()
    assert line in lines[fault.line - 1]


GOLDEN = """\
kpi: B10-1
version: 1
cases:
  - title: zero denominator
    period: 2026-01
    rows: {fct_appeal: []}
    expect: {value: null, obs_status: M}
  - title: one
    period: 2026-Q1
    rows:
      fct_appeal:
        - {due_on: 2026-01-10 12:00:00}
    expect: {value: 100, obs_status: A}
  - title: two
    period: 2026-01
    rows: {fct_complaint: []}
    expect: {vlaue: 5}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("", "", "period: 2026-Q1", "period '2026-Q1' is none of B10-1"),
        ("", "", "due_on", "fct_appeal has no column 'due_on'"),
        ("", "", "expect: {value: 100", "lacks denominator, numerator, sample_size"),
        ("", "", "fct_complaint", "there is no table 'fct_complaint'"),
        ("", "", "vlaue", "unknown vlaue"),
        ("", "", "cases:", "1 cases with a value"),
        ("zero denominator", "nothing", "cases:", "no case with a zero denominator"),
        ("version: 1", "version: 2", "version: 2", "the newest of B10-1 is 1"),
        ("version: 1", "version: 1\n# TODO: think", "# TODO", "TODO: think"),
        ("kpi: B10-1", "kpi: B10-9", "kpi: B10-9", "no KPI 'B10-9'"),
        ("    period: 2026-Q1\n", "", "title: one", "period: Field required"),
    ],
)
def test_a_fault_of_a_golden_file_is_named(tmp_path: Path, old: str, new: str, line: str, said: str) -> None:
    kpis = {kpi.code: kpi for kpi in load_one(write(tmp_path / "official-test")).kpis}
    path = tmp_path / "B10-1.yaml"
    path.write_text(GOLDEN.replace(old, new, 1) if old else GOLDEN, encoding="utf-8")
    columns = {name: table.business_columns for name, table in load_tables().items()}
    document = read(path)
    mine = [f for f in (*golden_faults(document, kpis, columns), *document.undecided()) if said in f.message]
    assert [path.read_text(encoding="utf-8").splitlines()[f.line - 1].count(line) for f in mine] == [1], mine
    assert all(f.remedy for f in mine)


def test_a_list_that_has_golden_files_has_one_for_every_kpi(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = write(home.catalogues / "official-test")
    record_fingerprints(load_one(folder))
    (folder / "golden").mkdir()
    (folder / "golden" / "B10-1.yaml").write_text(GOLDEN, encoding="utf-8")
    found, _ = all_faults(home)
    assert any(f.path.stem == "B10-1" for f in found)
    without = {f.message.partition(" ")[0] for f in found if "has no golden file" in f.message}
    assert without == {k.code for k in load_one(folder).kpis} - {"B10-1"}


def test_faults_of_recipes_are_named_by_their_lines(tmp_path: Path) -> None:
    (tmp_path / "fct_crash.yaml").write_text(
        "rows: population * 0.004 + banana\nwhere: begun < period_end\nsteps: {severe: u(1) < 0.1}\ncolumns:\n  deaths_30d: CASE WHEN sevre THEN 1 ELSE 0 END\n"
        "  injured: 1 + floor(u(2) * 3)\n", encoding="utf-8")  # fmt: skip
    (tmp_path / "fct_crsh.yaml").write_text("rows: 5\n", encoding="utf-8")
    (tmp_path / "fct_trip.yaml").write_text("- rows\n", encoding="utf-8")
    (tmp_path / "fct_outage.yaml").write_text("resend: often\nsteps: [a]\n", encoding="utf-8")
    found = [(f.path.stem, f.line) for f in recipe_faults(load_tables(), tmp_path)]
    assert found == [
        ("fct_crash", 1),
        ("fct_crash", 5),
        ("fct_crsh", 1),
        ("fct_outage", 1),
        ("fct_outage", 2),
        ("fct_trip", 1),
    ]


def test_what_is_at_fault_hides_nothing_else_and_what_was_read_is_counted(tmp_path: Path) -> None:
    """A table, an initiative and a contract that cannot be read: each is named once, and so is what is wrong elsewhere."""
    showcase, home = tmp_path / "showcase", Home(tmp_path / "home")
    shutil.copytree(SHOWCASE, showcase)
    broken = showcase / "fct_appeal.odcs.yaml"
    broken.write_text(APPEAL.replace("        primaryKey: true\n", "", 1), encoding="utf-8")
    folder = write(home.catalogues / "official-test")
    record_fingerprints(load_one(folder))
    before = len(load_one(folder).kpis)
    unread, strange = folder / "spheres" / "hcs" / "A02.yaml", folder / "spheres" / "hcs" / "B10.yaml"
    unread.write_text(unread.read_text(encoding="utf-8").replace("kind:", "kin:", 1), encoding="utf-8")
    strange.write_text(strange.read_text(encoding="utf-8").replace("unit: PT", "unit: PERCENT", 1), encoding="utf-8")
    home.contracts.mkdir(parents=True)
    source = home.contracts / "boston_311.odcs.yaml"
    source.write_text(SOURCE.replace("encoding, value: utf-8", "encoding, value: utf-9"), encoding="utf-8")
    faults, counts = all_faults(home, showcase)
    assert {f.path for f in faults} == {broken, unread, strange}, [
        str(f) for f in faults
    ]  # the contract feeds a table that cannot be read
    assert not [
        f for f in faults if "fct_appeal'" in f.message or "no KPI" in f.message or "no longer defined" in f.message
    ]
    assert counts["KPI definitions"] == len(catalogues.load_catalogues().kpis) + before - 1
    assert counts["initiatives that could not be read"] == 1
    broken.write_text(APPEAL, encoding="utf-8")
    assert source in {f.path for f in all_faults(home, showcase)[0]}


def test_a_list_with_kazakh_names_has_them_for_everything(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = write(home.catalogues / "official-test")
    record_fingerprints(load_one(folder))
    head = folder / "catalogue.yaml"
    text = head.read_text(encoding="utf-8")
    head.write_text(re.sub(r"(?m)^name: \{(.*)\}$", r"name: {\1, kk: Тізім}", text), encoding="utf-8")
    assert load_one(folder).head.name.kk
    found = [f for f in all_faults(home)[0] if "no Kazakh name" in f.message]
    assert found
    assert all(f.remedy and f.path.is_relative_to(folder) for f in found)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "customProperties:\n  - {property: delivery, value: complete}",
            "customProperties:\n  - {value: complete}",
            "{value: complete}",
        ),
        (
            "    properties:\n      - name: appeal_id",
            "    properties:\n      - appeal_number\n      - name: appeal_id",
            "appeal_number",
        ),
        ("        logicalTypeOptions: {maxLength: 64}", "        logicalTypeOptions: 64", "logicalTypeOptions: 64"),
        ("team:\n  name: Contact centre 109 of the local executive body", "team: us", "team: us"),
        ("version: 1.0.0\n", "", "apiVersion"),
        ("        implementation: closed_at >= registered_at\n", "", "id: registered-before-closed"),
    ],
)
def test_a_contract_of_another_shape_is_a_fault_and_no_error(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in APPEAL
    path = tmp_path / "fct_appeal.odcs.yaml"
    path.write_text(APPEAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        parse_table(read(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert any(line in lines[f.line - 1] or f.line == 1 for f in caught.value.faults), caught.value
    assert all(f.remedy for f in caught.value.faults)
