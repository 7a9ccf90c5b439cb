"""`qala new`: what is written is whole but for its TODOs, which the check lists; nothing is overwritten, nothing is done by what is not decided."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from connectors.mapping.read_contracts import parse_source
from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import Catalogues, load_catalogues, load_one, record_fingerprints
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.golden import golden_faults
from kpi_definitions.model import AssessmentRules, Kpi
from pipelines.cli import app
from pipelines.first_versions import new_kpi
from pipelines.first_versions.counting import counting
from pipelines.first_versions.golden_cases import golden_cases
from pipelines.first_versions.new_kpi import new_kpi as first_kpi
from pipelines.first_versions.new_source import new_source
from pipelines.first_versions.new_table import in_checkout, new_table
from pipelines.first_versions.writing import FirstVersion, FirstVersionError
from pipelines.methods.check import all_faults
from warehouse.home.home import Home
from warehouse.tables.contracts import load_tables, parse_table
from warehouse.tables.odcs import schema_faults

TABLES = load_tables()
COLUMNS = {name: table.business_columns for name, table in TABLES.items()}
CRASHES = "№ ДТП;Дата и время ДТП;Район города;Погибло (30 дней);Ранено\nС-1;25.03.2026 14:00;Есиль;0;1\nС-2;26.03.2026 08:20;Алматы;1;\n"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "crashes of Иванов.csv"
    path.write_bytes(CRASHES.encode("cp1251"))
    return path


@pytest.fixture
def own_list(tmp_path: Path) -> Home:
    """A home with a list of its own: one initiative, rules of assessment, nothing of the checkout in it."""
    home = Home(tmp_path / "home")
    folder = home.catalogues / "own"
    shipped = catalogues.SHIPPED / "qala-proposal"
    (folder / "spheres" / "mgt").mkdir(parents=True)
    (folder / "assessment").mkdir()
    head = (shipped / "catalogue.yaml").read_text(encoding="utf-8").replace("id: qala-proposal", "id: own")
    (folder / "catalogue.yaml").write_text(head, encoding="utf-8")
    text = (shipped / "spheres" / "mgt" / "MGT02.yaml").read_text(encoding="utf-8").replace("MGT02", "OWN02")
    (folder / "spheres" / "mgt" / "OWN02.yaml").write_text(text, encoding="utf-8")
    rules = (shipped / "assessment" / "2026.1.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line.replace("MGT02", "OWN02") for line in rules if "{floor" not in line or "MGT02" in line]
    (folder / "assessment" / "2026.1.yaml").write_text("".join(kept), encoding="utf-8")
    record_fingerprints(load_one(folder))
    return home


def decided(path: Path) -> None:
    """Take every TODO out: comments as a whole, in values the word."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.strip().startswith("# TODO")]
    text = "\n".join(line.partition("  # TODO")[0].replace("TODO", "done") for line in lines)
    path.write_text(text + "\n", encoding="utf-8")


def faults_in(home: Home, *paths: Path) -> list[str]:
    found, _ = all_faults(home)
    return [f"{f.line}: {f.message}" for f in found if f.path in paths]


# --- sources ---


def test_a_source_contract_lists_its_doubts_and_is_whole_without_them(tmp_path: Path, sample: Path) -> None:
    home = Home(tmp_path / "home")
    ((path, left),) = new_source(home, "road-police", "fct_crash", sample).write()
    assert path == home.contracts / "road-police" / "fct_crash.odcs.yaml"
    found = faults_in(home, path)
    assert len(found) == left > 0
    assert all("TODO: " in fault for fault in found)
    assert "Иванов" not in path.read_text(encoding="utf-8")  # names of files are what people write
    decided(path)
    assert faults_in(home, path) == []
    contract = parse_source(read(path), TABLES)
    assert (contract.encoding, contract.delimiter, contract.system) == ("kz1048", ";", "road-police")


def test_nothing_is_taken_in_by_a_contract_with_a_doubt(tmp_path: Path, sample: Path) -> None:
    home = Home(tmp_path / "home")
    ((path, _),) = new_source(home, "road-police", "fct_crash", sample).write()
    call = [
        "deliver",
        str(sample),
        "--table",
        "fct_crash",
        "--system",
        "road-police",
        "--settlement",
        "710000000",
        "--period",
        "2026-03",
    ]
    refused = CliRunner().invoke(app, [*call, "--home", str(home.root)])
    assert refused.exit_code == 1
    assert "first version" in refused.output
    assert not home.archive.exists()
    decided(path)
    assert CliRunner().invoke(app, [*call, "--home", str(home.root)]).exit_code == 0


def test_a_code_that_nobody_knows_is_a_doubt_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "appeal_id,registered_at,status,is_emergency\n1,2026-03-01 10:00:00,Открыто,false\n2,2026-03-01 10:00:00,Отложено,true\n",
        encoding="utf-8",
    )
    home = Home(tmp_path / "home")
    ((contract, left),) = new_source(home, "desk", "fct_appeal", path).write()
    assert left == 1
    (found,) = faults_in(home, contract)
    assert "which of OPEN, CLOSED, WITHDRAWN" in found
    assert (
        contract.read_text(encoding="utf-8")
        .splitlines()[int(found.partition(":")[0]) - 1]
        .strip()
        .startswith("Отложено: 'TODO")
    )


@pytest.mark.parametrize(
    ("system", "table", "text", "said"),
    [
        ("desk", "fct_crashes", CRASHES, "no table 'fct_crashes'"),
        ("a/b", "fct_crash", CRASHES, "cannot be a code"),
        ("standard", "fct_crash", CRASHES, "exchange format"),
        ("ikomek109", "fct_appeal", CRASHES, "has a contract for fct_appeal already"),
        ("desk", "fct_crash", "a;b\n1;2\n", "none of the 2 headers"),
        ("desk", "fct_crash", "", "empty"),
    ],
)
def test_a_source_that_cannot_be_is_refused_and_nothing_is_written(
    tmp_path: Path, system: str, table: str, text: str, said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    home = Home(tmp_path / "home")
    with pytest.raises(FirstVersionError, match=said):
        new_source(home, system, table, path)
    assert not home.root.exists()


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path, sample: Path) -> None:
    call = [
        "new",
        "source",
        "road-police",
        "--table",
        "fct_crash",
        "--sample",
        str(sample),
        "--home",
        str(tmp_path / "home"),
    ]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "wrote" in said
    assert "TODO" in said
    for step in ("qala check --home", "qala deliver", "--table fct_crash --system road-police", "qala run --home"):
        assert step in said
    again = CliRunner().invoke(app, call)
    assert again.exit_code == 1
    assert "has a contract for fct_crash already" in " ".join(again.output.split())


# --- writing ---


def test_nothing_is_overwritten_and_nothing_written_by_half(tmp_path: Path) -> None:
    there, other, grown = tmp_path / "there.yaml", tmp_path / "other.yaml", tmp_path / "grown.yaml"
    there.write_text("mine\n")
    grown.write_text("a: 1\n")
    with pytest.raises(FirstVersionError, match="there already"):
        FirstVersion({other: "b: 1\n", there: "b: 2\n"}, ()).write()
    with pytest.raises(FirstVersionError, match="changed meanwhile"):
        FirstVersion({other: "b: 1\n"}, (), {grown: ("a: 0\n", "a: 0\nb: 1\n")}).write()
    with pytest.raises(FirstVersionError, match="by hand"):
        FirstVersion({other: "b: 1\n"}, (), {grown: ("a: 1\n", "a: 1\na: 2\n")}).write()
    assert (there.read_text(), grown.read_text()) == ("mine\n", "a: 1\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grown.yaml", "there.yaml"]


# --- tables ---


def test_a_tables_contract_keeps_the_standard_and_can_be_read_once_decided(tmp_path: Path, sample: Path) -> None:
    for name, file in (("fct_pothole", sample), ("dim_bridge", sample), ("fct_nothing", None)):
        (text,) = new_table(name, file, "INF", None).texts.values()
        path = tmp_path / f"{name}.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        assert schema_faults(read(path)) == []
        assert read(path).undecided()
        table = parse_table(read(path))
        assert (table.snapshot, table.domain, len(table.key)) == (name.startswith("dim"), "INF", 1)
        assert not [value for value in ("Есиль", "С-1", "Иванов") if value in text]


@pytest.mark.parametrize("name", ["Potholes", "fct pothole", "pothole", "fct_ямы"])
def test_names_that_no_table_can_have(name: str) -> None:
    with pytest.raises(FirstVersionError, match="no name of a table"):
        new_table(name, None, "", None)


# --- KPIs ---


@pytest.mark.parametrize("name", TABLES)
def test_a_first_definition_over_any_table_compiles_and_has_its_golden_cases(tmp_path: Path, name: str) -> None:
    (one,) = load_catalogues().lists
    for kind in ("", "share", "mean", "quantile"):
        try:
            rows = counting(TABLES[name], kind)
        except FirstVersionError:
            assert kind
            continue
        text = new_kpi._entry("ZZZ01-1", one, TABLES[name], rows, dt.date(2027, 1, 1))
        kpi = Kpi.model_validate(yaml.safe_load(text)[0])
        compile_kpi(kpi, COLUMNS)
        path = tmp_path / "ZZZ01-1.yaml"
        path.write_text(golden_cases("ZZZ01-1", TABLES[name], rows, dt.date(2027, 1, 1)), encoding="utf-8")
        assert list(golden_faults(read(path), {"ZZZ01-1": kpi}, COLUMNS)) == []


def test_a_kpi_of_the_homes_own_list_goes_there_with_its_golden_file_and_the_next_rules(own_list: Home) -> None:
    folder = own_list.catalogues / "own"
    before = {p: p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}
    files = dict(first_kpi(own_list, "OWN02-3", "fct_appeal", "", dt.date(2027, 1, 1), "").write())
    initiative, rules, golden = (
        folder / p for p in ("spheres/mgt/OWN02.yaml", "assessment/2027.1.yaml", "golden/OWN02-3.yaml")
    )
    assert set(files) == {initiative, rules, golden}
    assert initiative.read_text(encoding="utf-8").startswith(before.pop(initiative))
    assert all(
        p.read_text(encoding="utf-8") == text for p, text in before.items()
    )  # rules that were used are as they were
    todos = [f for f in faults_in(own_list, *files) if "TODO: " in f]
    assert len(todos) == sum(files.values())
    with pytest.raises(DocumentError, match="TODO"):
        record_fingerprints(load_one(folder))
    for path in files:
        decided(path)
    record_fingerprints(load_one(folder))
    kpi, _ = _newest(own_list, "OWN02-3")
    assert golden_faults_of(golden, kpi) == []
    first, second = load_one(folder).assessments
    assert (first.valid_from, second.valid_from, set(second.scales) - set(first.scales)) == (2000, 2027, {"OWN02-3"})
    assert {k: v for k, v in second.scales.items() if k in first.scales} == dict(first.scales)
    again = dict(first_kpi(own_list, "OWN02-4", "fct_appeal", "", dt.date(2027, 1, 1), "").write())
    assert rules in again  # not used yet: the scale is put in


def _newest(home: Home, code: str) -> tuple[Kpi, Catalogues]:
    lists = load_catalogues(home.catalogues)
    return lists.latest(code), lists


def golden_faults_of(path: Path, kpi: Kpi) -> list[str]:
    return [f.message for f in golden_faults(read(path), {kpi.code: kpi}, COLUMNS)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"code": "OWN02"}, "no code of a KPI"),
        ({"code": "OWN02-1"}, "is there already"),
        ({"table_name": "fct_appeals"}, "no table 'fct_appeals'"),
        ({"code": "NEW01-1"}, "say with --catalogue"),
        ({"list_id": "other"}, "no list 'other'"),
        ({"list_id": "qala-proposal"}, "is an initiative of list own"),
        ({"kind": "rate"}, "no first version of kind 'rate'"),
        ({"kind": "mean"}, "has no column"),
        ({"since": dt.date(2000, 5, 1)}, "may have been used"),
    ],
)
def test_a_kpi_that_cannot_be_is_refused_and_nothing_is_written(
    own_list: Home, call: Mapping[str, object], said: str
) -> None:
    before = {p: p.stat().st_mtime_ns for p in own_list.root.rglob("*")}
    given = {
        "code": "OWN02-3",
        "table_name": "fct_appeal",
        "kind": "",
        "since": dt.date(2027, 1, 1),
        "list_id": "",
    } | dict(call)
    with pytest.raises(FirstVersionError, match=said):
        first_kpi(own_list, **given)  # type: ignore[arg-type]
    assert {p: p.stat().st_mtime_ns for p in own_list.root.rglob("*")} == before


def test_what_is_part_of_qala_is_not_written_outside_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    shutil.copytree(catalogues.SHIPPED, installed / "kpi_definitions" / "catalogues")
    monkeypatch.setattr("pipelines.first_versions.new_table.SHOWCASE", installed / "warehouse" / "showcase")
    assert not in_checkout()
    monkeypatch.setattr(
        "pipelines.first_versions.new_kpi.catalogues.SHIPPED", installed / "kpi_definitions" / "catalogues"
    )
    monkeypatch.setattr(
        "pipelines.first_versions.new_kpi.load_catalogues",
        lambda home: load_catalogues(home, shipped=installed / "kpi_definitions" / "catalogues"),
    )
    with pytest.raises(FirstVersionError, match="no checkout"):
        first_kpi(Home(tmp_path / "home"), "MGT02-3", "fct_appeal", "", dt.date(2027, 1, 1), "")


def test_rules_are_renewed_line_by_line() -> None:
    former = "# head\nversion: '1'\nvalid_from: 2000\nchange_note: >-\n  first\n  text\nweights: {}\nscales:  # by KPI\n  A01-1: {floor: 0, goal: 1}\n"
    text = new_kpi._with_scale(
        Path("x"), new_kpi._renewed(former, "2027.1", 2027, "A01-2"), "A01-2: {floor: 0, goal: 100}"
    )
    assert yaml.safe_load(text) == {
        "version": "2027.1", "valid_from": 2027, "change_note": "As before, with a scale for A01-2.", "weights": {},
        "scales": {"A01-2": {"floor": 0, "goal": 100}, "A01-1": {"floor": 0, "goal": 1}},
    }  # fmt: skip
    assert AssessmentRules.model_fields.keys() >= {"version", "valid_from", "change_note"}
    with pytest.raises(FirstVersionError, match="by hand"):
        new_kpi._with_scale(Path("x"), "scales: {A01-1: {floor: 0, goal: 1}}\n", "A01-2: {floor: 0, goal: 100}")
