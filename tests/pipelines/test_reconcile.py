"""qala reconcile: a source's own counts or its control file against the warehouse, verified and rebuilt like everything else."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from connectors.archive.archive import Archive
from connectors.reconciliation import reconcile as archive_against_ledger
from pipelines.cli import app
from pipelines.definitions import build_defs
from pipelines.quarterly import reconciliation
from pipelines.recovery.rebuild import rebuild
from pipelines.resources import Qala
from tests.support.files import Desk, query, text
from tests.support.settlements import ALMATY, ASTANA
from tools.servers import postgresql
from warehouse.store.recorded import recorded

cli = CliRunner()
HEADER = "table,settlement,month,rows,column,sum,filled\n"
EQUAL = f"{HEADER}fct_waste_weighing,{ASTANA},2026-01,2,net_tonnes,2.500,2\n"


def weighing(number: int, day: str = "2026-01-05", net: str = "1.250", **changes: str) -> dict[str, str]:
    row = {"weighing_id": f"W{number}", "weighed_at": f"{day} 10:00:00", "facility_id": "F1", "treatment": "landfill"}
    return row | {"gross_tonnes": "", "tare_tonnes": "", "net_tonnes": net} | changes


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path / "home")
    found.deliver(text([weighing(1), weighing(2)]), "fct_waste_weighing")
    with found.open() as store:
        assert not [o for o in found.take(store).outcomes if o.state != "loaded"]
    return found


def reconcile(desk: Desk, *options: str, control: str | None = None) -> Result:
    given = []
    if control is not None:
        file = desk.root / "said.csv"
        file.write_text(control, encoding="utf-8")
        given = ["--control", str(file), "--system", "standard"]
    return cli.invoke(app, ["reconcile", "--home", str(desk.root), "--quarter", "2026-Q1", *given, *options])


def test_equal_ends_with_0_and_is_in_the_ledger(desk: Desk) -> None:
    done = reconcile(desk, control=EQUAL)
    assert (done.exit_code, "equal" in done.output) == (0, True), done.output
    with desk.open() as store:
        ((subject, sha256),) = query(
            store, "SELECT subject, detail->>'$.control_sha256' FROM audit.ledger WHERE kind = 'reconciled'"
        )
        assert subject == "standard 2026-Q1"
        with Archive(desk.home.archive).open(sha256) as stream:
            assert stream.read() == EQUAL.encode()
        assert not list(archive_against_ledger(store, store, archive=Archive(desk.home.archive)))


def test_differing_ends_with_1_and_says_what_to_do(desk: Desk) -> None:
    done = reconcile(desk, "--json", control=EQUAL.replace(",2,", ",3,"))
    assert done.exit_code == 1
    (told,) = json.loads(done.output)
    assert [
        (one["source"], one["warehouse"], one["incident_kind"]) for one in told["differences"] if not one["column"]
    ] == [("3", "2", "completeness")]
    assert all(one["remedy"] for one in told["differences"])
    assert "net_tonnes" in reconcile(desk, control=EQUAL.replace("2.500", "2.501")).output
    assert reconcile(desk, control=EQUAL).exit_code == 0
    with desk.open() as store:
        assert (
            query(
                store,
                "SELECT count(*) FILTER (WHERE closed_seq IS NULL), count(*) FROM audit.incident WHERE rule LIKE 'control%'",
            )[0][0]
            == 0
        )
        assert not recorded(store)


def test_rejected_rows_are_what_the_remedy_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    good = [weighing(n) for n in range(40)]
    desk.deliver(text([*good, weighing(99, net="much")]), "fct_waste_weighing")
    with desk.open() as store:
        desk.take(store)
    done = reconcile(desk, "--json", control=f"{HEADER}fct_waste_weighing,{ASTANA},2026-01,41,,,\n")
    (told,) = json.loads(done.output)
    assert "1 rows of delivery 1 were rejected" in told["differences"][0]["remedy"]


def test_made_anew_it_says_the_same(desk: Desk) -> None:
    reconcile(desk, control=EQUAL.replace(",2,", ",3,") + f"fct_waste_weighing,{ALMATY},2026-02,5,,,\n")
    reconcile(desk, control=EQUAL)
    with desk.open() as store:
        (number,) = (
            n
            for (n,) in query(
                store, "SELECT incident_id FROM audit.incident WHERE closed_seq IS NULL AND rule LIKE 'control%'"
            )
        )
    closing = [
        "incidents",
        "--close",
        str(number),
        "--by",
        "A. Person",
        "--reason",
        "a plant of another city",
        "--home",
        str(desk.root),
    ]
    assert cli.invoke(app, closing).exit_code == 0
    told = "SELECT delivery_id, scope, period_id, rule, kind, observed, closed_seq IS NULL FROM audit.incident ORDER BY incident_id"
    with desk.open() as store:
        before = query(store, told)
    done = rebuild(desk.home)
    assert (done.in_place, done.told) == (True, ())
    with desk.open() as store:
        assert query(store, told) == before
        assert not recorded(store)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--control", "nowhere.csv", "--system", "standard"], "cannot be read"),
        (["--control", "nowhere.csv"], "--system"),
        (["--source", "nowhere"], "no source nowhere"),
        ([], "no sources"),
    ],
)
def test_what_cannot_be_asked(desk: Desk, options: list[str], said: str) -> None:
    done = reconcile(desk, *options)
    assert (done.exit_code, said in done.output) == (1, True), done.output
    with desk.open() as store:
        assert query(store, "SELECT count(*) FROM audit.ledger WHERE kind = 'reconciled'") == [(0,)]


# --- a database asked ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql.Server]:
    if said := postgresql.unavailable():
        pytest.skip(said)
    folder = tmp_path_factory.mktemp("postgresql")
    found = postgresql.up(folder)
    found.psql("""
CREATE TABLE weighings (weighing_id text, weighed_at timestamp, facility_id text, treatment text,
    gross_tonnes numeric, tare_tonnes float8, net_tonnes numeric, kato text)""")
    yield found
    postgresql.remove(folder)


def source_of(desk: Desk, server: postgresql.Server, **more: str) -> None:
    place = more.get("settlements", f"['{ASTANA}']")
    query = more.get(
        "query",
        "SELECT * FROM weighings WHERE weighed_at >= {period_start} AND weighed_at < {period_after} AND kato = {settlement}",
    )
    folder = desk.root / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "plant.yaml").write_text(
        f"""type: postgresql
connection: {{host: 127.0.0.1, port: {server.port}, database: akimat, user: reader, password: {{env: QALA_TEST_DB}}, tls: 'off'}}
extracts:
  - table: fct_waste_weighing
    settlements: {place}
    first: 2026-01
    query: "{query}"
""",
        encoding="utf-8",
    )


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_TEST_DB", "read-me-only")


def fill(server: postgresql.Server, *rows: tuple[str, str, str, str]) -> None:
    values = ", ".join(
        f"('{n}', '{day} 10:00', 'F1', 'landfill', NULL, 1.5, {net}, '{kato}')" for n, day, net, kato in rows
    )
    server.psql(f"TRUNCATE weighings; INSERT INTO weighings VALUES {values}")


WEIGHED = [("W1", "2026-01-05", "1.250", ASTANA), ("W2", "2026-01-05", "1.250", ASTANA)]


def test_a_database_counts_by_the_query_of_its_extract(desk: Desk, server: postgresql.Server) -> None:
    source_of(desk, server)
    fill(server, *WEIGHED, ("W9", "2026-01-05", "9", ALMATY), ("W3", "2025-12-31", "9", ASTANA))
    done = reconcile(desk)
    assert done.exit_code == 0, done.output
    with desk.open() as store:
        ((tables,),) = query(store, "SELECT detail->'$.tables' FROM audit.ledger WHERE kind = 'reconciled'")
    assert json.loads(tables)["fct_waste_weighing"] == {
        "cells": 3,
        "columns": ["gross_tonnes", "net_tonnes"],
        "differing": 0,
        "rows": 2,
    }
    fill(server, *WEIGHED, ("W3", "2026-03-31", "0.001", ASTANA))
    done = reconcile(desk, "--json")
    (told,) = json.loads(done.output)
    assert {(one["month"], one["column"], one["source"], one["incident_kind"]) for one in told["differences"]} == {
        ("2026-03", "", "1", "coverage"), ("2026-03", "net_tonnes", "0.001", "completeness"),
    }  # fmt: skip
    fill(server, *WEIGHED)
    assert reconcile(desk, "--source", "plant").exit_code == 0


def test_a_database_of_several_settlements_counts_each(desk: Desk, server: postgresql.Server) -> None:
    source_of(desk, server, settlements="[KZ]", query="SELECT * FROM weighings")
    fill(server, *WEIGHED)
    assert reconcile(desk).exit_code == 0, reconcile(desk).output
    fill(server, *WEIGHED, ("W9", "2026-02-05", "9", ALMATY))
    (told,) = json.loads(reconcile(desk, "--json").output)
    assert {one["settlement"] for one in told["differences"]} == {ALMATY}


def test_a_database_that_cannot_be_asked_is_told_without_its_secret(
    desk: Desk, server: postgresql.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QALA_TEST_DB", "another-word-entirely")
    source_of(desk, server)
    done = reconcile(desk)
    assert done.exit_code == 1
    assert "connection.password" in done.output
    assert "another-word-entirely" not in done.output


# --- in Dagster, and without a server ---


def registry_of(desk: Desk, *rows: tuple[str, str, str]) -> None:
    """A database of SQLite, and the source that reads it."""
    con = sqlite3.connect(desk.root / "registry.db")
    con.execute("DROP TABLE IF EXISTS weighings")
    con.execute("CREATE TABLE weighings (weighing_id TEXT, weighed_at TEXT, kato TEXT)")
    con.executemany("INSERT INTO weighings VALUES (?, ?, ?)", rows)
    con.commit()
    con.close()
    (desk.root / "sources").mkdir(exist_ok=True)
    (desk.root / "sources" / "registry.yaml").write_text(
        f"""type: sql
connection: {{driver: sqlite, database: {desk.root}/registry.db}}
extracts:
  - table: fct_waste_weighing
    settlements: ['{ASTANA}']
    first: 2026-01
    source_table: weighings
    period_by: weighed_at
""",
        encoding="utf-8",
    )


def test_a_database_without_a_server(desk: Desk) -> None:
    registry_of(desk, ("W1", "2026-01-05 10:00:00", ASTANA), ("W2", "2026-01-31 23:59:59", ASTANA))
    done = reconcile(desk)
    assert done.exit_code == 0, done.output
    registry_of(desk, ("W1", "2026-01-05 10:00:00", ASTANA))
    assert reconcile(desk).exit_code == 1


def test_the_job_of_dagster_opens_incidents_and_does_not_fail_by_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.quarterly.national_day", lambda: dt.date(2026, 4, 15))
    assert not [one.name for one in build_defs(desk.home).schedules or () if one.name == "quarterly"]
    registry_of(desk, ("W1", "2026-01-05 10:00:00", ASTANA))
    assert [one.name for one in build_defs(desk.home).schedules or () if one.name == "quarterly"]
    qala = {"qala": Qala(home_folder=str(desk.root))}
    assert reconciliation.execute_in_process(resources=qala).success
    with desk.open() as store:
        told = "SELECT scope, rule, kind FROM audit.incident WHERE rule LIKE 'control%' AND closed_seq IS NULL"
        assert query(store, told) == [(ASTANA, "control.rows", "accuracy")]
    (desk.root / "registry.db").unlink()
    assert not reconciliation.execute_in_process(resources=qala, raise_on_error=False).success
