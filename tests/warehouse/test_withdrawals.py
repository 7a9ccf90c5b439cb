"""A receipt taken back before it is decided on: never loaded, entered in the ledger once, with who and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors import ingest
from connectors.archive.archive import ArchiveError
from pipelines.cli import app
from tests.support.files import Desk, appeals, query, states
from warehouse.home.account import account, shown
from warehouse.release.release import publish
from warehouse.store.recorded import recorded
from warehouse.store.sessions import locked, reading
from warehouse.store.store import Store

WHO = ("A. Person", "sent for the wrong city")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


def entered(store: Store) -> list[str]:
    return [row[0] for row in query(store, "SELECT subject FROM audit.ledger WHERE kind = 'withdrawn' ORDER BY seq")]


def test_a_receipt_taken_back_before_any_run_is_entered_and_never_registered(desk: Desk) -> None:
    good, bad = desk.deliver(appeals(2)), desk.deliver(appeals(2, first=10), period="2026-02")
    desk.archive.withdraw(bad.receipt_id, *WHO)
    told: list[str] = []
    with desk.open() as store:
        assert ingest.register_pending(store, desk.archive, told.append) == 1
        desk.take(store)
        desk.take(store)
        assert entered(store) == [bad.receipt_id]
        assert query(store, "SELECT receipt_id, state FROM audit.delivery") == [(good.receipt_id, "loaded")]
        (detail,) = query(
            store, "SELECT detail->>'$.by', detail->>'$.reason' FROM audit.ledger WHERE kind = 'withdrawn'"
        )
        assert detail == (WHO[0], f"taken back by {WHO[0]} ({shown(account())}): {WHO[1]}")
    assert told == [f"receipt {bad.receipt_id} was taken back by {WHO[0]}: {WHO[1]}"]
    assert desk.archive.pending() == []
    assert desk.archive.withdrawn() == []


def test_a_registered_delivery_that_waits_for_its_month_becomes_withdrawn(desk: Desk) -> None:
    desk.deliver(appeals(2))
    bad = desk.deliver(appeals(2, first=10), period="2026-02")
    with desk.open() as store:
        desk.take(store, months=["2026-01"])
        assert states(store) == {1: "loaded", 2: "received"}
        desk.archive.withdraw(bad.receipt_id, *WHO)
        desk.take(store)
        assert states(store) == {1: "loaded", 2: "withdrawn"}
        assert query(store, "SELECT reason, accepted_rows FROM audit.delivery WHERE delivery_id = 2") == [
            (f"taken back by {WHO[0]} ({shown(account())}): {WHO[1]}", 0)
        ]
        assert query(store, "SELECT count(*) FROM showcase.fct_appeal") == [(2,)]
        assert entered(store) == [bad.receipt_id]
    publish(desk.home, desk.archive.missing)
    with reading(desk.home) as store:
        assert recorded(store) == []


def test_a_receipt_taken_back_between_registering_and_reading_is_not_read(desk: Desk) -> None:
    bad = desk.deliver(appeals(2))
    with desk.open() as store:
        ingest.register_pending(store, desk.archive)
        desk.archive.withdraw(bad.receipt_id, *WHO)
        ingest.ingest_table(store, desk.archive, store.tables["fct_appeal"], {})
        assert states(store) == {1: "withdrawn"}


def test_the_same_extract_may_be_delivered_again(desk: Desk) -> None:
    first = desk.deliver(appeals(2))
    desk.archive.withdraw(first.receipt_id, *WHO)
    desk.deliver(appeals(2))
    with desk.open() as store:
        desk.take(store)
        assert states(store) == {1: "loaded"}


def test_who_was_stopped_after_the_ledger_enters_it_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = desk.deliver(appeals(2))
    with desk.open() as store:
        ingest.register_pending(store, desk.archive)
        desk.archive.withdraw(bad.receipt_id, *WHO)
        with monkeypatch.context() as patch:
            patch.setattr(type(desk.archive), "withdrawal_entered", lambda *_: None)
            desk.take(store)
        desk.take(store)
        assert entered(store) == [bad.receipt_id]
        assert desk.archive.withdrawn() == []


def test_what_was_loaded_meanwhile_stays_loaded_and_that_is_told(desk: Desk) -> None:
    late = desk.deliver(appeals(2))
    told: list[str] = []
    with desk.open() as store:
        desk.take(store)
        # as a run that was killed after its decision leaves it
        month = (
            desk.archive.root / "receipts" / f"{late.receipt_id[:4]}-{late.receipt_id[4:6]}" / f"{late.receipt_id}.json"
        )
        month.rename(desk.archive.pending_folder / month.name)
        desk.archive.withdraw(late.receipt_id, *WHO)
        ingest.register_pending(store, desk.archive, told.append)
        assert states(store) == {1: "loaded"}
        assert entered(store) == []
    assert "too late" in told[0]
    assert "delivery 1 is loaded already; deliver a correction" in told[0]


def test_what_cannot_be_taken_back_is_told_with_what_to_do(desk: Desk) -> None:
    done, bad = desk.deliver(appeals(2)), desk.deliver(appeals(2, first=10), period="2026-02")
    with desk.open() as store:
        desk.take(store, months=["2026-01"])
    with pytest.raises(ArchiveError, match=r"has been decided on .* deliver the right extract"):
        desk.archive.withdraw(done.receipt_id, *WHO)
    with pytest.raises(ArchiveError, match=rf"there is no receipt .* waiting: {bad.receipt_id}"):
        desk.archive.withdraw("../../x", *WHO)
    for who in (("", "why"), ("who", " ")):
        with pytest.raises(ArchiveError, match="say who"):
            desk.archive.withdraw(bad.receipt_id, *who)
    desk.archive.withdraw(bad.receipt_id, *WHO)
    with pytest.raises(ArchiveError, match="taken back before"):
        desk.archive.withdraw(bad.receipt_id, *WHO)
    with desk.open() as store:
        desk.take(store)
    with pytest.raises(ArchiveError, match="taken back before"):
        desk.archive.withdraw(bad.receipt_id, *WHO)


def test_on_the_command_line(desk: Desk) -> None:
    bad = desk.deliver(appeals(2))
    words = ["deliver", "--withdraw", bad.receipt_id, "--home", str(desk.root)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert "say who" in refused.output
    with locked(desk.home):
        busy = CliRunner().invoke(app, [*words, "--by", "A", "--reason", "[/red] wrong city"])
    assert busy.exit_code == 1
    assert "wait for its run to end" in busy.output
    done = CliRunner().invoke(app, [*words, "--by", "A", "--reason", "[/red] wrong city"])
    assert done.exit_code == 0, done.output
    assert "is taken back" in done.output
    assert desk.archive.pending() == []
    (one,) = desk.archive.withdrawn()
    assert (one.receipt, one.by, one.reason) == (bad, "A", "[/red] wrong city")


def test_a_delivery_without_its_words_is_refused(desk: Desk) -> None:
    result = CliRunner().invoke(app, ["deliver", "--home", str(desk.root), "-t", "fct_appeal"])
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert all(one in told for one in ("lacks FILE", "--period 2026-01", "--settlement Павлодар"))
    assert "--table" not in told


def test_what_was_taken_back_stays_so_when_a_warehouse_is_made_anew_from_receipts(desk: Desk) -> None:
    good, bad = desk.deliver(appeals(2)), desk.deliver(appeals(2, first=10), period="2026-02")
    desk.archive.withdraw(bad.receipt_id, *WHO)
    with desk.open() as store:
        desk.take(store)
    assert desk.archive.wait_again() == 2
    assert [r.receipt_id for r in desk.archive.pending()] == [good.receipt_id]
    assert [one.receipt.receipt_id for one in desk.archive.withdrawn()] == [bad.receipt_id]
