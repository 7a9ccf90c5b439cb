"""Declared corrections: applied to the source's rows while the source says what was expected, and loud when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.corrections import read_corrections
from connectors.ingest import IngestReport, ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError
from pipelines.cli import app
from pipelines.methods.check import all_faults
from tests.support.files import CORRECTED_HEADER, CORRECTED_ROWS, CORRECTION
from tests.support.homes import new_home
from tests.support.rows import LATER, only
from tests.support.settlements import ASTANA
from warehouse.audit.explain import explain
from warehouse.audit.reperform import reperform
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.messages.messages import rendered
from warehouse.store.history import as_of
from warehouse.store.recorded_seals import differing_seals
from warehouse.store.sessions import writing
from warehouse.store.store import Store

CATALOGUE = only(load_catalogues(), "MGT02-1")


class Office:
    """One installation and what its people do."""

    def __init__(self, store: Store):
        self.store, self.home, self.archive = store, store.home, Archive(store.home.archive)
        self.months = ["2026-01"]

    def send(self, note: str = "", **changed: str | None) -> None:
        rows = {**CORRECTED_ROWS, **changed}
        file = self.home.root / "appeals.csv"
        file.write_text(CORRECTED_HEADER + "".join(r for r in rows.values() if r) + note)
        deliver(self.archive, DeclaredDelivery(file, "fct_appeal", ASTANA, "2026-01"), self.store.tables, {})

    def run(self) -> IngestReport:
        register_pending(self.store, self.archive)
        report = ingest_table(self.store, self.archive, self.store.tables["fct_appeal"], {}, self.months)
        compute(self.store, CATALOGUE, ["2026-01"], today=LATER)
        return report

    def correct(self, **changed: Any) -> None:
        self.home.corrections.mkdir(exist_ok=True)
        content = {**yaml.safe_load(CORRECTION.read_text()), **changed}
        (self.home.corrections / f"{content['id']}.yaml").write_text(yaml.safe_dump(content))

    def closed(self, key: str = "A2") -> str:
        return str(self.ask(f"SELECT closed_at FROM showcase.fct_appeal WHERE appeal_id = '{key}'")[0][0])[:10]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.store.con.execute(sql).fetchall()

    def outcomes(self) -> list[str]:
        return [r[0] for r in self.ask("SELECT outcome FROM audit.correction ORDER BY delivery_id")]

    def share(self) -> Any:
        return self.ask(f"SELECT value FROM kpi.value WHERE valid_to_seq IS NULL AND kato = '{ASTANA}'")[0][0]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    home = new_home(tmp_path / "home")
    with writing(home) as store:
        store.con.execute("SET threads = 1")
        yield Office(store)
        result = reperform(store, earlier=True)
        assert result.made["values"]
        assert result.differences == []
        assert list(differing_seals(store)) == []


def test_a_correction_restates_the_value_and_is_shown_behind_it(office: Office) -> None:
    office.send()
    office.run()
    assert (office.closed(), office.share()) == ("2026-01-12", 90.0)
    before = office.store.last_seq
    office.correct()
    report = office.run()
    assert (office.closed(), office.share()) == ("2026-01-09", 100.0)
    assert [(c.column_name, c.was, c.becomes, c.outcome) for c in report.corrected] == [
        ("closed_at", "2026-01-12 12:00:00", "2026-01-09 12:00:00", "applied")
    ]
    assert office.ask(f"SELECT closed_at::DATE::VARCHAR FROM {as_of('fct_appeal', before)} WHERE appeal_id = 'A2'") == [
        ("2026-01-12",)
    ]
    assert office.ask("SELECT count(*) FROM history.fct_appeal") == [(1,)], "no other row is touched"
    answer = explain(office.store, CATALOGUE, "MGT02-1", ASTANA, "2026-01")
    (shown,) = answer["corrections"]
    assert (shown["correction_id"], shown["was"], shown["source_status"]) == (
        "COR-2026-001",
        "2026-01-12 12:00:00",
        "reported",
    )
    assert shown["decided_by"] == "Head of the contact centre 109"
    assert explain(office.store, CATALOGUE, "MGT02-1", ASTANA, "2026-01", before)["corrections"] == []
    with office.archive.open(shown["sha256"]) as stream:
        assert b"COR-2026-001" in stream.read()
    deliveries = office.ask("SELECT sha256, state, received_rows FROM audit.delivery ORDER BY delivery_id")
    assert deliveries[0] == deliveries[1], "the same bytes, read again"
    head = office.store.last_seq
    office.run()
    assert office.store.last_seq == head + 2, "nothing to do: one computation and its seal are entered"


def test_a_correction_that_is_there_first_is_applied_when_the_row_comes(office: Office) -> None:
    office.correct()
    office.run()
    office.send()
    office.run()
    assert (office.closed(), office.outcomes()) == ("2026-01-09", ["applied"])
    assert office.ask("SELECT count(*) FROM audit.delivery") == [(1,)]


def test_the_source_sending_the_same_mistake_again_does_not_undo_it(office: Office) -> None:
    office.correct()
    office.send()
    office.run()
    office.send(note=CORRECTED_ROWS["B1"].replace("B1", "C1"))
    office.run()
    assert (office.closed(), office.outcomes()) == ("2026-01-09", ["applied", "applied"])
    assert office.ask("SELECT count(*) FROM history.fct_appeal") == [(0,)]


@pytest.mark.parametrize("says", ["2026-01-09T12:00:00", "2026-01-10T09:00:00"])
def test_the_guard_fails_when_the_source_has_mended_it(office: Office, says: str) -> None:
    office.correct()
    office.send()
    office.run()
    office.send(A2=CORRECTED_ROWS["A2"].replace("2026-01-12T12:00:00", says))
    office.run()
    assert (office.closed(), office.outcomes()) == (says[:10], ["applied", "guard failed"])
    ((rule, observed, expected),) = office.ask(
        "SELECT rule, observed, expected FROM audit.incident WHERE closed_seq IS NULL"
    )
    assert rule == "guard.COR-2026-001"
    assert "the source says closed_at = 2026-01-" in str(rendered(observed, "en"))
    assert "source.status to mended" in str(rendered(expected, "en"))
    assert office.ask(f"SELECT obs_status FROM kpi.value WHERE valid_to_seq IS NULL AND kato = '{ASTANA}'") == [("U",)]
    office.run()
    assert office.outcomes() == ["applied", "guard failed"], "it is not tried again until something changes"
    office.correct(source={"status": "mended"})
    office.run()
    assert office.outcomes() == ["applied", "guard failed", "withdrawn"]
    assert office.ask("SELECT count(*) FROM audit.incident WHERE closed_seq IS NULL") == [(0,)]
    assert office.closed() == says[:10]


def test_a_withdrawn_correction_leaves_the_row_as_the_source_says(office: Office) -> None:
    office.correct()
    office.send()
    office.run()
    office.correct(status="withdrawn")
    office.run()
    assert (office.closed(), office.share(), office.outcomes()) == ("2026-01-12", 90.0, ["applied", "withdrawn"])
    office.correct()  # and taken up again, word for word
    office.run()
    assert (office.closed(), office.outcomes()[-1]) == ("2026-01-09", "applied")


def test_a_file_that_is_gone_stops_the_table(office: Office) -> None:
    office.correct()
    office.send()
    office.run()
    (office.home.corrections / "COR-2026-001.yaml").unlink()
    office.send(note=CORRECTED_ROWS["B1"].replace("B1", "C1"))
    with pytest.raises(DocumentError, match="was applied and its file is gone — put it back"):
        office.run()
    assert office.closed() == "2026-01-09"


def test_what_the_source_takes_out_is_gone_corrected_or_not(office: Office) -> None:
    office.correct()
    office.send()
    office.run()
    office.send(A2=None)
    office.run()
    assert office.ask("SELECT count(*) FROM showcase.fct_appeal WHERE appeal_id = 'A2'") == [(0,)]


def test_a_corrected_row_must_meet_the_rules(office: Office) -> None:
    rows = [{"key": {"appeal_id": "A2"}, "expect": {"status": "CLOSED"}, "set": {"closed_at": "2026-01-01 00:00:00"}}]
    office.correct(rows=rows)
    office.send()
    office.run()
    assert (office.closed(), office.outcomes()) == ("2026-01-12", ["guard failed"])
    ((observed,),) = office.ask("SELECT observed FROM audit.incident WHERE rule LIKE 'guard.%'")
    assert "would break rule registered-before-closed" in str(rendered(observed, "en"))


def test_two_corrections_of_one_extract(office: Office) -> None:
    office.correct()
    office.correct(id="COR-2026-002", rows=[
        {"key": {"appeal_id": "A1"}, "expect": {"closed_at": "2026-01-09 12:00:00", "category": None}, "set": {"closed_at": "2026-01-11 12:00:00"}},
        {"key": {"appeal_id": "B1"}, "expect": {"is_emergency": False}, "set": {"is_emergency": True, "closed_at": None, "status": "OPEN"}}])  # fmt: skip
    office.send()
    office.run()
    assert (office.closed("A1"), office.closed("A2"), office.closed("B1")) == ("2026-01-11", "2026-01-09", "None")
    assert office.ask("SELECT is_emergency, status FROM showcase.fct_appeal WHERE appeal_id = 'B1'") == [(True, "OPEN")]
    assert len(office.outcomes()) == 5


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no table": ({"table": "fct_apeal"}, "there is no table 'fct_apeal'"),
    "no settlement": ({"settlement": "123456789"}, "no settlement 123456789"),
    "another name": ({"id": "COR-2026-777"}, "in a file named"),
    "a column nobody has": ({"rows": [{"key": {"appeal_id": "A2"}, "expect": {"closed": 1}, "set": {"closed_at": None}}]}, "has no column 'closed'"),
    "half a key": ({"rows": [{"key": {"status": "CLOSED"}, "expect": {"status": "CLOSED"}, "set": {"status": "OPEN"}}]}, "is known by appeal_id"),
    "the key itself": ({"rows": [{"key": {"appeal_id": "A2"}, "expect": {"status": "CLOSED"}, "set": {"appeal_id": "A3"}}]}, "part of the key"),
    "a value of another type": (
        {"rows": [{"key": {"appeal_id": "A2"}, "expect": {"closed_at": "soon"}, "set": {"closed_at": None}}]}, "'soon' is no TIMESTAMP"),
    "no reason": ({"why": ""}, "why"),
    "no guard": ({"rows": [{"key": {"appeal_id": "A2"}, "expect": {}, "set": {"status": "OPEN"}}]}, "expect"),
    "a word too many": ({"reason": "x"}, "reason"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_named_with_file_and_line(home: Home, what: str) -> None:
    changed, said = BAD[what]
    home.corrections.mkdir(parents=True)
    file = home.corrections / "COR-2026-001.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(CORRECTION.read_text()), **changed}))
    faults, _ = all_faults(home)
    assert [f for f in faults if f.path == file and said in f.message and f.line >= 1], faults
    assert all(f.remedy for f in faults)


def test_the_example_is_right(home: Home) -> None:
    from warehouse.tables.contracts import load_tables

    (found,) = read_corrections(CORRECTION.parent, load_tables())
    assert found.correction.applies


@pytest.mark.slow
def test_qala_run_takes_a_correction_up_by_itself(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    file = tmp_path / "appeals.csv"
    file.write_text(CORRECTED_HEADER + "".join(CORRECTED_ROWS.values()))
    cli, place = CliRunner(), ["--home", str(home.root)]
    assert (
        cli.invoke(app, ["deliver", str(file), "-t", "fct_appeal", "-p", "2026-01", "-s", ASTANA, *place]).exit_code
        == 0
    )
    assert cli.invoke(app, ["run", *place]).exit_code == 0
    home.corrections.mkdir()
    (home.corrections / CORRECTION.name).write_text(CORRECTION.read_text())
    result = cli.invoke(app, ["run", *place])
    assert result.exit_code == 0, result.output
    shown = cli.invoke(app, ["explain", "MGT02-1", ASTANA, "2026-01", *place])
    assert "corrected by COR-2026-001" in shown.output
    assert cli.invoke(app, ["verify", *place]).exit_code == 0
    assert "nothing to run" in cli.invoke(app, ["run", *place]).output
