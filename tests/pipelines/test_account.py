"""Who decided: the user of the operating system stands in the ledger beside whatever name was given."""

from __future__ import annotations

import getpass
import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.archive.receipts import withdrawn
from connectors.ingest import register_pending
from connectors.reread import request_reread
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from tests.support.files import Desk, appeals, query
from tests.support.settlements import ASTANA
from warehouse.home import account
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.messages.messages import rendered
from warehouse.store.sessions import enter_start, writing
from warehouse.store.store import Store


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


def detail(store: Store, kind: str) -> dict[str, Any]:
    """Of the newest ledger row of a kind."""
    found = query(store, "SELECT detail FROM audit.ledger WHERE kind = ? ORDER BY seq DESC LIMIT 1", [kind])
    return dict(json.loads(found[0][0]))


def test_the_account_is_that_of_the_real_user_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert getpass.getuser() == "somebody-else", "which is why it is not asked"
    found = account.account()
    assert found["uid"] == os.getuid()
    assert found["user"] != "somebody-else"
    assert found["host"] == platform.node()


def test_whose_rights_were_taken_on_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "aigerim")
    found = account.account()
    assert found["sudo_user"] == "aigerim"
    assert account.shown(found).endswith(" for aigerim")
    assert account.named("") == "aigerim"
    assert account.named(" A. Analyst ") == "A. Analyst"
    monkeypatch.delenv("SUDO_USER")
    assert "sudo_user" not in account.account()
    assert account.named("") == account.account()["user"]


def test_whom_the_kernel_saw_sign_in_stands_there_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "loginuid"
    monkeypatch.setattr(account, "_LOGIN", note)
    monkeypatch.setenv("SUDO_USER", "aigerim")
    for content, login in (("4294967295", None), (str(os.getuid()), None), ("", None), ("4000123", "4000123")):
        note.write_text(content)
        assert account.account().get("login_user") == login
    assert account.shown(account.account()).endswith(" for 4000123")
    assert account.named("") == "4000123"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)
    assert account.account()["user"] == "4000123"


def cli(home: Home, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--home", str(home.root)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize("given", ["A. Analyst", ""])
def test_closing_an_incident(desk: Desk, given: str) -> None:
    desk.deliver(appeals(5), rows=500)  # far fewer than were declared
    with desk.open() as store:
        desk.take(store)
        if not query(store, "SELECT incident_id FROM audit.incident"):
            store.con.execute("INSERT INTO audit.incident BY NAME SELECT 1 AS incident_id, 1 AS delivery_id, 'fct_appeal' AS table_name, 'x' AS rule, "
                              "'standard' AS system, '710000000' AS scope, '2026-01' AS period_id, 'truthfulness' AS criterion, 'other' AS kind, "
                              "'o' AS observed, 'e' AS expected, 1 AS opened_seq, now() AS opened_at")  # fmt: skip
        ((number,),) = query(store, "SELECT min(incident_id) FROM audit.incident")
    cli(desk.home, "incidents", "--close", str(number), "--reason", "known", *(["--by", given] if given else []))
    with desk.open() as store:
        found = detail(store, "incident-closed")
        assert found["by"] == (given or account.named(""))
        assert found["account"] == account.account()
        from rich.console import Console

        from pipelines.cli.screens.lists import show_incidents

        console = Console(record=True, width=300)
        show_incidents(console, store, closed=True)
        assert account.shown(account.account()) in console.export_text()


def test_taking_a_receipt_back_is_entered_as_whoever_did_it_and_not_as_who_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = desk.deliver(appeals(5))
    monkeypatch.setenv("SUDO_USER", "bolat")
    cli(desk.home, "deliver", "--withdraw", receipt.receipt_id, "--reason", "wrong city")
    mine = account.account()
    assert [(w.by, w.account) for w in withdrawn(desk.archive.withdrawn_folder)] == [("bolat", mine)]
    monkeypatch.delenv("SUDO_USER")
    with desk.open() as store:
        register_pending(store, desk.archive)
        found = detail(store, "withdrawn")
        assert (found["by"], found["account"]) == ("bolat", mine)
        assert rendered(found["reason"], "en") == f"taken back by bolat ({account.shown(mine)}): wrong city"


def test_freezing_an_assessment_and_not_drafting_one(desk: Desk) -> None:
    catalogue = load_catalogues().lists[0]
    with desk.open() as store:
        assess(store, catalogue, 2025)
        assert "account" not in detail(store, "assessed")
        assess(store, catalogue, 2025, freeze=True, by="The commission")
        found = detail(store, "assessed")
        assert (found["by"], found["account"]) == ("The commission", account.account())


def test_reading_again_and_starting_anew(desk: Desk) -> None:
    desk.deliver(appeals(5), scope=ASTANA)
    with desk.open() as store:
        desk.take(store)
        assert "account" not in detail(store, "received"), "who delivered is not who runs"
        request_reread(store, store.tables, system=None, table="fct_appeal", period=None)
        found = detail(store, "received")
        assert (found["reread_of"], found["account"]) == (1, account.account())
    enter_start(desk.home, desk.home.root / "release-set-aside-1", 3)
    with writing(desk.home) as store:
        assert detail(store, "started-anew") == {
            "release": "release-set-aside-1",
            "receipts": 3,
            "account": account.account(),
        }
