"""One delivery that cannot be read never stops another, and never hides what really went wrong."""

from __future__ import annotations

import io
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from connectors import batches, ingest
from tests.support.files import Desk, appeals, query, states


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


@pytest.mark.parametrize("error", [UnicodeError("no mark"), KeyError("x"), RecursionError(), ZeroDivisionError("y")])
def test_whatever_fails_while_one_delivery_is_read_refuses_that_one_by_its_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    genuine = batches.unpack  # type: ignore[attr-defined]

    def unpack(archive: Any, sha256: Any, contract: Any, scratch: Any, file_name: str, *more: Any) -> Any:
        if file_name == "odd.csv":
            raise error
        return genuine(archive, sha256, contract, scratch, file_name, *more)

    monkeypatch.setattr(batches, "unpack", unpack)
    desk.deliver(appeals(2)), desk.deliver(appeals(2, first=10), period="2026-02", name="odd.csv")
    with desk.open() as store:
        report = desk.take(store)
        assert [o.state for o in report.outcomes] == ["loaded", "refused"]
        assert f"odd.csv: it cannot be read ({type(error).__name__}" in (report.outcomes[1].reason or "")
        assert "mend the contract" in (report.outcomes[1].reason or "")
    assert desk.archive.pending() == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("none")], ids=["disk", "memory"])
def test_what_is_this_machines_fault_ends_the_run_by_its_name_and_refuses_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Others still write into the temporary folder when it is noticed: that must not hide it."""
    genuine, slow = batches.unpack, threading.Event()  # type: ignore[attr-defined]

    def unpack(archive: Any, sha256: Any, contract: Any, scratch: Path, file_name: str, *more: Any) -> Any:
        if file_name == "full.csv":
            raise error
        slow.wait(0.3)
        for number in range(20):
            scratch.mkdir(exist_ok=True)
            (scratch / str(number)).write_text("late")
        return genuine(archive, sha256, contract, scratch, file_name, *more)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "unpack", unpack)
        desk.deliver(appeals(2), name="full.csv")
        for n in range(3):
            desk.deliver(appeals(2, first=10 * n + 10), period=f"2026-0{n + 2}")
        with desk.open() as store, pytest.raises(type(error), match=str(error.args[-1])):
            desk.take(store)
    assert len(desk.archive.pending()) == 4
    with desk.open() as store:
        desk.take(store)
        assert set(states(store).values()) == {"loaded"}


def test_what_was_left_out_of_an_archive_is_among_the_findings_and_costs_nothing(desk: Desk) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as bundle:
        bundle.writestr("extract.csv", appeals(2))
        bundle.writestr("readme.txt", "made in January")
    desk.deliver(target.getvalue(), name="extract.zip")
    told: list[str] = []
    with desk.open() as store:
        ingest.register_pending(store, desk.archive)
        ingest.ingest_table(store, desk.archive, store.tables["fct_appeal"], {}, progress=told.append)
        assert states(store) == {1: "loaded"}
        assert query(store, "SELECT passed, observed FROM audit.check_result WHERE rule = 'members'") == [
            (True, "left out: readme.txt")
        ]
        assert query(store, "SELECT count(*) FROM audit.incident WHERE rule = 'members'") == [(0,)]
    assert "delivery 1 (extract.zip): left out: readme.txt" in told


def test_a_damaged_receipt_stops_nobody(desk: Desk) -> None:
    desk.deliver(appeals(2))
    bad = desk.deliver(appeals(2, first=10), period="2026-02")
    (desk.archive.pending_folder / f"{bad.receipt_id}.json").write_text('{"receipt_id": ')
    told: list[str] = []
    with desk.open() as store:
        assert ingest.register_pending(store, desk.archive, told.append) == 1
        desk.take(store)
        assert states(store) == {1: "loaded"}
    assert bad.receipt_id in told[0]
