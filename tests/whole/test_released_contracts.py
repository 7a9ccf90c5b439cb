"""Contracts of the release's tables: in the standard's form, true of the release, and false of one that was bent."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from connectors.simulator.generate import simulate
from kpi_definitions.documents import read
from pipelines.cli import app
from tests.support.datacontract import ROOT, ask
from tests.support.files import Desk
from tests.support.home_tables import EXTRACT, SYSTEM, TABLE, add_source, add_table
from tests.support.settlements import ASTANA
from warehouse.publications.released_contracts import FOLDER, RELEASE, released_contract
from warehouse.release.release import publish
from warehouse.tables.contracts import load_tables
from warehouse.tables.odcs import schema_faults

MONTH = "2025-03"
# each of another kind: a plain key, a national one, a register, references, personal columns, code lists
DELIVERED = (
    "fct_crash",
    "dim_population",
    "dim_street_segment",
    "dim_street_light",
    "fct_fare_validation",
    "fct_appeal",
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A small release: some tables of qala's own, one of the home's, the others empty."""
    desk = Desk(tmp_path_factory.mktemp("contracts") / "home")
    add_table(desk.home)
    add_source(desk.home)
    desk.deliver(EXTRACT, TABLE, system=SYSTEM, period="2026-03")
    tables = {name: table for name, table in load_tables().items() if name in DELIVERED}
    for one in simulate(tables, desk.root / "extracts", settlements=(ASTANA,), scale=0.02, specials=()):
        if one.period in (MONTH, "2025-Q1", "2025", "2024"):
            desk.archive.receive(
                one.path, table=one.table, system=one.system or "standard", scope=one.scope, period=one.period
            )
    with desk.open() as store:
        desk.take(store)
        for name in (*DELIVERED, TABLE):
            assert store.con.execute(f"SELECT count(*) > 0 FROM showcase.{name}").fetchone() == (True,), name
    publish(desk.home, desk.archive.missing)
    result = CliRunner().invoke(app, ["contracts", "--home", str(desk.root)])
    assert result.exit_code == 0, result.output
    return desk


def counted(file: Path, contract: Path) -> dict[str, Any]:
    """What the contract's SQL counts in a release, by rule."""
    body = yaml.safe_load(contract.read_text(encoding="utf-8"))["schema"][0]
    with duckdb.connect(str(file), read_only=True) as con:
        con.execute("USE showcase")
        return {q["id"]: con.execute(q["query"]).fetchall()[0][0] for q in body["quality"] if q.get("type") == "sql"}


@pytest.mark.slow
def test_each_keeps_the_standard_and_names_no_place_of_one_machine(released: Desk) -> None:
    files = sorted((released.root / FOLDER).iterdir())
    assert [p.name.removesuffix(".odcs.yaml") for p in files] == sorted({*load_tables(), TABLE})
    for path in files:
        document = read(path)
        assert schema_faults(document) == []
        assert str(released.root) not in path.read_text(encoding="utf-8")
        (server,) = document.data["servers"]
        assert (server["type"], server["database"]) == ("duckdb", f"${{{RELEASE}:-release/qala.duckdb}}")


@pytest.mark.slow
def test_the_columns_are_those_of_the_file(released: Desk) -> None:
    sql = "SELECT column_name, data_type, NOT is_nullable FROM duckdb_columns() WHERE (schema_name, table_name) = ('showcase', ?) ORDER BY 1"
    with duckdb.connect(str(released.home.released_file), read_only=True) as con:
        for path in (released.root / FOLDER).iterdir():
            body = yaml.safe_load(path.read_text(encoding="utf-8"))["schema"][0]
            said = sorted((p["name"], p["physicalType"]) for p in body["properties"])
            found = con.execute(sql, [body["name"]]).fetchall()
            assert said == [(name, kind) for name, kind, _ in found]
            required = {p["name"] for p in body["properties"] if p.get("required")}
            assert required >= {name for name, _, filled in found if filled}


def test_identity_is_that_of_adr_0020() -> None:
    for table in load_tables().values():
        (body,) = released_contract(table)["schema"]
        key = sorted((p["primaryKeyPosition"], p["name"]) for p in body["properties"] if p.get("primaryKey"))
        (identity,) = [q for q in body["quality"] if q["id"] == "identity"] or [None]
        if table.national_keys:
            assert ([name for _, name in key], identity) == ([*table.identity], None)
        else:
            assert key == []
            assert all(f'"{name}"' in identity["query"] for name in table.identity)
            assert "GROUP BY system" in identity["query"]


def test_no_rule_of_a_contract_gets_lost() -> None:
    for table in load_tables().values():
        agreed, body = table.document.data["schema"][0], released_contract(table)["schema"][0]
        before = [q.get("id") for holder in (agreed, *agreed["properties"]) for q in holder.get("quality") or []]
        after = [q.get("id") for holder in (body, *body["properties"]) for q in holder.get("quality") or []]
        added = {"identity", *(f"{r.column}_reference" for r in table.references)}
        assert sorted(i for i in after if i not in added) == sorted(before), table.name


@pytest.mark.slow
def test_its_sql_holds_of_the_release_and_not_of_one_row_twice(released: Desk, tmp_path: Path) -> None:
    bent = Path(shutil.copy(released.home.released_file, tmp_path / "bent.duckdb"))
    bent.chmod(0o600)
    with duckdb.connect(str(bent)) as con:
        for name in (*DELIVERED, TABLE):
            con.execute(f"INSERT INTO showcase.{name} SELECT * FROM showcase.{name} LIMIT 1")
    for path in sorted((released.root / FOLDER).iterdir()):
        name = path.name.removesuffix(".odcs.yaml")
        found = counted(released.home.released_file, path)
        assert {rule for rule, count in found.items() if count and not rule.endswith("_reference")} == set()
        if "identity" in found:
            assert counted(bent, path)["identity"] == (name in (*DELIVERED, TABLE))


@pytest.mark.slow
def test_two_systems_may_number_alike(released: Desk, tmp_path: Path) -> None:
    """A row is known by settlement, system and key: what two systems call by one number is two things."""
    bent = Path(shutil.copy(released.home.released_file, tmp_path / "bent.duckdb"))
    bent.chmod(0o600)
    with duckdb.connect(str(bent)) as con:
        con.execute(
            "INSERT INTO audit.delivery SELECT * REPLACE (-1 AS delivery_id, 'another' AS system) FROM audit.delivery LIMIT 1"
        )
        con.execute(
            "INSERT INTO showcase.fct_crash SELECT * REPLACE (-1 AS delivery_id) FROM showcase.fct_crash LIMIT 1"
        )
    assert counted(bent, released.root / FOLDER / "fct_crash.odcs.yaml")["identity"] == 0


@pytest.mark.slow
def test_a_folder_of_something_else_is_left_alone(released: Desk, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    result = CliRunner().invoke(app, ["contracts", "--to", str(tmp_path), "--home", str(released.root)])
    assert (result.exit_code, "holds something else" in result.output) == (1, True)
    nothing = CliRunner().invoke(app, ["contracts", "--home", str(tmp_path / "none")])
    assert (nothing.exit_code, "none (--home) does not exist" in nothing.output) == (1, True)


# how a release is bent → the type of check that must notice it
BENT: dict[str, tuple[str, str]] = {
    "a row twice": ("INSERT INTO showcase.fct_crash SELECT * FROM showcase.fct_crash LIMIT 1", "model_quality_sql"),
    "a national key twice": ("INSERT INTO showcase.dim_population SELECT * FROM showcase.dim_population LIMIT 1", "primary_key_unique"),
    "a value out of its range": (
        "UPDATE showcase.fct_crash SET deaths_30d = 101 WHERE rowid = (SELECT min(rowid) FROM showcase.fct_crash)", "field_maximum"),
    "a code out of its list": (
        "UPDATE showcase.fct_fare_validation SET payment_type = 'BARTER' WHERE rowid = (SELECT min(rowid) FROM showcase.fct_fare_validation)",
        "field_invalid_values"),
    "an order that is broken": (
        f"UPDATE showcase.{TABLE} SET repaired_at = found_at - INTERVAL 1 DAY WHERE pothole_id = 'Я-1'", "model_quality_sql"),
    "a column that is gone": (f"ALTER TABLE showcase.{TABLE} DROP COLUMN area_m2", "field_is_present"),
    "a type that is another": (f"ALTER TABLE showcase.{TABLE} ALTER area_m2 TYPE VARCHAR", "field_type"),
}  # fmt: skip


@pytest.mark.slow
def test_datacontract_cli_passes_every_table_of_a_release(released: Desk) -> None:
    files = sorted((released.root / FOLDER).iterdir())
    found = ask("test", files, **{RELEASE: str(released.home.released_file)})
    wrong = {name: [c for c in checks if c[0] != "passed"] for name, checks in found.items()}
    assert {name: checks for name, checks in wrong.items() if checks} == {}
    assert len(found) == len(load_tables()) + 1
    assert sum(len(checks) for checks in found.values()) > 2000


@pytest.mark.slow
@pytest.mark.parametrize("how", BENT)
def test_datacontract_cli_notices_what_was_bent(released: Desk, tmp_path: Path, how: str) -> None:
    sql, kind = BENT[how]
    bent = Path(shutil.copy(released.home.released_file, tmp_path / "bent.duckdb"))
    bent.chmod(0o600)
    with duckdb.connect(str(bent)) as con:
        con.execute(sql)
    table = next(name for name in (*DELIVERED, TABLE) if f"showcase.{name} " in f"{sql} ")
    (checks,) = ask("test", [released.root / FOLDER / f"{table}.odcs.yaml"], **{RELEASE: str(bent)}).values()
    assert kind in {c[1] for c in checks if c[0] == "failed"}, checks


@pytest.mark.slow
def test_datacontract_cli_takes_every_contract_that_comes_with_qala() -> None:
    places = ("warehouse/showcase", "connectors/contracts", "examples")
    files = [p for place in places for p in sorted((ROOT / place).rglob("*.odcs.yaml"))]
    found = ask("lint", files)
    assert {name: checks for name, checks in found.items() if any(c[0] != "passed" for c in checks)} == {}
