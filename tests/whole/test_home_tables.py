"""A table that a home adds: from its contract to numbers that can be walked back, and through everything that is done to a home."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.documents import DocumentError, read
from pipelines.assets.table_checks import TAKEN_IN
from pipelines.cli import app
from pipelines.definitions import build_defs
from pipelines.methods.check import all_faults
from pipelines.methods.dry_run import dry_run_home
from pipelines.recovery.backup import back_up
from pipelines.recovery.rebuild import rebuild
from pipelines.recovery.restore import restore
from tests.support.files import Desk, query
from tests.support.home_tables import CODE, COLUMNS, EXTRACT, SYSTEM, TABLE, add_list, add_source, add_table, table_text
from tests.support.rows import LATER, only
from tests.support.settlements import ASTANA
from warehouse.audit.verify import verify
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.sound import refuse_faulty
from warehouse.publications.released_contracts import write_contracts
from warehouse.release.release import publish
from warehouse.store.differences import Kind
from warehouse.store.sessions import reading, writing
from warehouse.store.upgrade import upgrade
from warehouse.tables.contracts import load_tables
from warehouse.tables.fingerprint import shipped_fingerprint
from warehouse.tables.home_tables import tables_of
from warehouse.tables.odcs import schema_faults
from warehouse.tables.rules import CRITERIA

MONTH = "2026-03"
NOTE = COLUMNS | {"note": "logicalType: string, logicalTypeOptions: {maxLength: 20}"}


def said(home: Home, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.root)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def catalogue(home: Home) -> Catalogues:
    return only(load_catalogues(home.catalogues), CODE)


def own(home: Home) -> None:
    add_table(home)
    add_source(home)
    add_list(home)


def run(desk: Desk) -> None:
    """Take in what waits, compute, publish."""
    with desk.open() as store:
        desk.take(store)
        compute(store, catalogue(desk.home), [MONTH], today=LATER)
    publish(desk.home, desk.archive.missing)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A home that lived without a table of its own, and was given one."""
    desk = Desk(tmp_path_factory.mktemp("own") / "home")
    own(desk.home)
    desk.deliver(EXTRACT, TABLE, system=SYSTEM, period=MONTH)
    run(desk)
    return desk


@pytest.fixture
def desk(released: Desk, tmp_path: Path) -> Desk:
    """A copy of it, to be changed."""
    shutil.copytree(released.root, tmp_path / "home")
    return Desk(tmp_path / "home")


def test_a_kpi_over_it_is_walked_back_to_the_bytes(released: Desk) -> None:
    with reading(released.home) as store:
        value = "SELECT value, numerator, denominator FROM kpi_values WHERE kpi_code = ? AND kato = ?"
        assert [tuple(map(float, row)) for row in query(store, value, [CODE, ASTANA])] == [
            (pytest.approx(66.6667, abs=1e-4), 2, 3)
        ]
        assert query(store, "SELECT rule FROM audit.rejected_row") == [("repaired-later",)]
        assert query(store, "SELECT rule FROM audit.check_result WHERE NOT passed") == [("repaired-later",)]
    assert "2 / 3" in said(released.home, "explain", CODE, ASTANA, MONTH)
    assert "Я-2;06.03.2026 08:05;;0,75" in said(released.home, "rows", CODE, ASTANA, MONTH, "--source")
    found = verify(released.home)
    assert found.differences == ()
    assert not {6, 7, 9, 10, 11, 13} & set(found.unchecked)


def test_it_is_described_as_every_table_is(released: Desk) -> None:
    with reading(released.home) as store:
        columns = "SELECT schema_name, column_name, comment FROM duckdb_columns() WHERE table_name = ?"
        comments = {(schema, name): comment for schema, name, comment in query(store, columns, [TABLE])}
        for name in COLUMNS:
            assert comments["showcase", name] == comments["history", name] == f"What {name} is"
        assert ("history", "valid_to_seq") in comments
        titles = "SELECT name_en, sphere FROM registry.showcase_table WHERE table_name = ?"
        assert query(store, titles, [TABLE]) == [("Potholes", "INF")]
        passport = query(store, "SELECT column_name FROM registry.data_passport WHERE table_name = ?", [TABLE])
        assert set(COLUMNS) <= {name for (name,) in passport}
        rules = "SELECT dimension FROM registry.rule WHERE table_name = ? AND rule = 'repaired-later'"
        assert query(store, rules, [TABLE]) == [("consistency",)]
    assert f"roads, {TABLE}: feeds {CODE}" in said(released.home, "check")
    said(released.home, "docs")
    assert f"\n## {TABLE}\n" in (released.root / "reference" / "data-dictionary.md").read_text(encoding="utf-8")
    assert CODE in (released.root / "reference" / "kpis.md").read_text(encoding="utf-8")


def test_other_tools_get_a_contract_of_it(released: Desk, tmp_path: Path) -> None:
    assert TABLE in write_contracts(released.home, tmp_path / "contracts")
    document = read(tmp_path / "contracts" / f"{TABLE}.odcs.yaml")
    assert schema_faults(document) == []
    body = document.data["schema"][0]
    assert [p["name"] for p in body["properties"]][: len(COLUMNS) + 1] == ["kato", *COLUMNS]
    queries = {q["id"]: q["query"] for q in body["quality"] if q["type"] == "sql"}
    assert set(queries) == {"identity", "repaired-later"}
    with reading(released.home) as store:
        store.con.execute("USE showcase")
        assert {rule: query(store, sql) for rule, sql in queries.items()} == {rule: [(0,)] for rule in queries}


def test_dagster_has_its_assets_and_checks(released: Desk) -> None:
    graph = build_defs(released.home).resolve_asset_graph()
    assert {dg.AssetKey(["zero", TABLE]), dg.AssetKey(["showcase", TABLE])} <= graph.get_all_asset_keys()
    assert graph.get(dg.AssetKey(["kpi", "inf", CODE.replace("-", "_")])).parent_keys == {
        dg.AssetKey(["showcase", TABLE])
    }
    assert {k.name for k in graph.asset_check_keys if k.asset_key.path[-1] == TABLE} == {*CRITERIA, TAKEN_IN}


def test_two_homes_have_tables_and_fingerprints_of_their_own(released: Desk, tmp_path: Path) -> None:
    other = Home(tmp_path)
    assert tables_of(other) == load_tables()
    add_table(other, table_text("fct_hatch"), "fct_hatch")
    mine, theirs = tables_of(released.home), tables_of(other)
    assert (set(mine) - set(theirs), set(theirs) - set(mine)) == ({TABLE}, {"fct_hatch"})
    with writing(other) as store:
        with reading(released.home) as first:
            assert len({store.fingerprint, first.fingerprint, shipped_fingerprint()}) == 3
        for place in ("showcase", "history"):
            assert query(store, "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ?", [place]) == [
                (len(theirs),)
            ]


def test_its_contract_may_grow_as_any_other(desk: Desk) -> None:
    add_table(desk.home, table_text(columns=NOTE))
    assert [d.kind for d in verify(desk.home).differences] == [Kind.VERSION]
    assert upgrade(desk.home) == []
    desk.deliver(EXTRACT.replace("0,75", "0,80"), TABLE, system=SYSTEM, period=MONTH)
    run(desk)
    with reading(desk.home) as store:
        rows = query(store, f"SELECT pothole_id, area_m2, note FROM showcase.{TABLE} ORDER BY 1")
        assert [(key, float(area), note) for key, area, note in rows] == [("Я-1", 4.5, None), ("Я-2", 0.8, None), ("Я-3", 12.25, None)]  # fmt: skip
        assert query(store, f"SELECT pothole_id FROM history.{TABLE}") == [("Я-2",)]
    assert verify(desk.home).differences == ()


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({k: v for k, v in COLUMNS.items() if k != "area_m2"}, "area_m2"),
        (COLUMNS | {"area_m2": "logicalType: integer"}, "add a new column instead of changing a type"),
        (NOTE | {"note": "logicalType: string, required: true"}, "make it optional"),
    ],
)
def test_what_would_lose_or_make_up_values_is_refused(desk: Desk, columns: dict[str, str], told: str) -> None:
    add_table(desk.home, table_text(columns=columns))
    with pytest.raises(StoreError, match=told) as caught, writing(desk.home):
        pass
    assert f"{TABLE}.odcs.yaml" in str(caught.value)


def test_a_contract_that_was_taken_away_is_missed_by_all_that_need_it(desk: Desk) -> None:
    file = desk.home.showcase / f"{TABLE}.odcs.yaml"
    kept = file.read_text(encoding="utf-8")
    file.unlink()
    faults, _ = all_faults(desk.home)
    assert {(f.path.name, TABLE in f"{f.message}{f.remedy}") for f in faults} == {
        ("roads.odcs.yaml", True),
        ("OWN01.yaml", True),
    }
    with pytest.raises(StoreError, match=f"put {TABLE}.odcs.yaml back"), writing(desk.home):
        pass
    assert f"has no table '{TABLE}'" in said(desk.home, "rows", CODE, ASTANA, MONTH, code=1)
    file.write_text(kept, encoding="utf-8")
    assert all_faults(desk.home)[0] == []
    with writing(desk.home):
        pass


def test_a_table_that_nothing_was_delivered_for_goes_with_its_contract(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    add_table(desk.home)
    with desk.open() as store:
        assert TABLE in store.tables
    (desk.home.showcase / f"{TABLE}.odcs.yaml").unlink()
    with desk.open() as store:
        assert query(store, "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [TABLE]) == [(0,)]


def test_extracts_that_wait_for_it_are_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    add_table(desk.home)
    desk.deliver("x", TABLE, period="2039-12")
    (desk.home.showcase / f"{TABLE}.odcs.yaml").unlink()
    told = said(desk.home, "run")
    assert f"extracts of {TABLE} wait, and no contract describes that table any more" in told
    assert "nothing to run" in told


@pytest.mark.slow
def test_a_backup_brings_it_back_and_it_can_be_made_anew(desk: Desk, tmp_path: Path) -> None:
    taken = back_up(desk.home, tmp_path / "kept")
    assert f"showcase/{TABLE}.odcs.yaml" in taken.files
    restored = Home(tmp_path / "restored")
    restore(taken, restored)
    assert tables_of(restored) == tables_of(desk.home)
    made = rebuild(restored)
    assert (made.in_place, made.told, made.differing) == (True, (), {})


@pytest.mark.slow
def test_a_dry_run_knows_it(desk: Desk) -> None:
    desk.deliver(EXTRACT.replace(";;", ";07.03.2026 10:00;"), TABLE, system=SYSTEM, period=MONTH)
    answer = dry_run_home(desk.home)
    assert [one["table_name"] for one in answer["deliveries"]] == [TABLE]


# what of a contract: (old text, new text, what is said); the file is called by the table's name, unless it is said otherwise
FAULTS = {
    "fct_none": ("  - name: fct_none", "  - name: fct none", "cannot be a name in SQL"),
    "pothole": ("", "", "does not say of which kind"),
    "fct_alias": ("  - name: fct_alias", "  - name: fct_other", "has another name"),
    "more/fct_within": ("", "", "is not read"),
    "fct_lost": ("name: area_m2,", "name: area_m2, relationships: [{to: dim_road.road_id}],", "refers to dim_road.road_id, which does not exist"),
    "fct_loader": ("name: area_m2,", "name: valid_to_seq,", "belongs to the loader"),
    "fct_sealed": ("name: area_m2,", "name: seq,", "belongs to the loader"),
    "fct_type": ("DECIMAL(9,2)", "NUMERICAL", "is no SQL type"),
    "fct_crash": ("", "", "there is a table fct_crash already"),
    "fct_sphere": ("domain: INF", "domain: ROADS", "no sphere 'ROADS'"),
    "fct_doubt": ("team: {name: Roads}", "team: {name: 'TODO: whose'}", "TODO: whose"),
}  # fmt: skip
COMPUTED = ("fct_sphere", "fct_doubt")  # such tables can be read: with them nothing is computed


def faulty(home: Home, name: str) -> Path:
    old, new, _ = FAULTS[name]
    text = table_text(name.rpartition("/")[2])
    assert old in text
    path = home.showcase / f"{name}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return path


def test_every_fault_is_told_with_file_and_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    paths = {name: faulty(home, name) for name in FAULTS}
    found = all_faults(home)[0]
    assert {f.path for f in found} == set(paths.values())
    for name, path in paths.items():
        (fault,) = [f for f in found if f.path == path and FAULTS[name][2] in f.message]
        assert fault.remedy
        assert (fault.line > 1) == (name != "more/fct_within")
    told = said(home, "check", code=1)
    assert all(message in told for _, _, message in FAULTS.values())


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in COMPUTED])
def test_what_is_at_fault_is_not_read_whoever_asks(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    path, told = faulty(home, name), FAULTS[name][2]
    with pytest.raises(DocumentError, match=told) as caught:
        tables_of(home)
    assert {fault.path for fault in caught.value.faults} == {path}
    with pytest.raises(StoreError, match=r"at fault \(qala check\)"), writing(home) as store:
        assert store.tables


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_undecided_is_not_computed_with(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    faulty(home, name)
    with pytest.raises(StoreError, match=FAULTS[name][2]):
        refuse_faulty(load_catalogues(), tables_of(home))
