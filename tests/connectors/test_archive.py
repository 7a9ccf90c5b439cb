"""The zero-level showcase: content kept once and verified, a receipt for every delivery, nothing half written."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.archive import archive as archive_module
from connectors.archive.archive import Archive, ArchiveError
from connectors.mapping.source_contract import standard
from connectors.readers.readers import unpack
from tests.support.files import Desk, appeals, query
from tests.support.settlements import ASTANA
from warehouse.home.scratch import hold
from warehouse.loading.deliveries import Receipt
from warehouse.tables.contracts import load_tables


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def receive(archive: Archive, content: bytes, name: str = "a.csv", **declared: Any) -> Receipt:
    file = archive.root.parent / name
    file.write_bytes(content)
    return archive.receive(
        file, **({"table": "fct_appeal", "system": "standard", "scope": ASTANA, "period": "2026-01"} | declared)
    )


def stored(archive: Archive) -> list[Path]:
    """Every file under the content folder, half-written ones too, but for notes of what was begun."""
    return sorted(p for p in (archive.root / "sha256").rglob("*") if p.is_file() and not p.name.startswith(".begun-"))


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 20_000], ids=["empty", "small", "five megabytes"])
def test_what_is_received_can_be_read_back(archive: Archive, content: bytes) -> None:
    receipt = receive(archive, content)
    assert receipt.sha256 == hashlib.sha256(content).hexdigest()
    assert receipt.bytes == len(content)
    with archive.open(receipt.sha256) as stream:
        assert stream.read() == content


def test_the_same_bytes_are_stored_once_however_often_and_under_whatever_name_they_come(archive: Archive) -> None:
    receipts = [receive(archive, b"same", f"{n}.csv", period=f"2026-0{n}") for n in (1, 2, 3)]
    receipts.append(receive(archive, b"same", "1.csv", period="2026-01"))
    assert {r.sha256 for r in receipts} == {hashlib.sha256(b"same").hexdigest()}
    assert stored(archive) == [archive.path(receipts[0].sha256)]
    assert len({r.receipt_id for r in receipts}) == 4
    assert archive.pending() == receipts


def test_different_bytes_are_stored_apart(archive: Archive) -> None:
    receipts = [receive(archive, bytes([n])) for n in range(5)]
    assert stored(archive) == sorted(archive.path(r.sha256) for r in receipts)


def test_receipts_are_pending_in_order_of_arrival_with_everything_declared(archive: Archive) -> None:
    receipts = [
        receive(archive, b"1", "б.csv", table="fct_crash", system="системa", scope="47", period="2026-Q1"),
        receive(archive, b"2", "a.csv", declared_rows=7),
        receive(archive, b"3", "c.csv", scope="KZ", period="2025"),
    ]
    assert archive.pending() == receipts
    assert [r.file_name for r in receipts] == ["б.csv", "a.csv", "c.csv"]
    assert [r.declared_rows for r in receipts] == [None, 7, None]
    assert (receipts[0].table, receipts[0].system, receipts[0].scope, receipts[0].period) == (
        "fct_crash",
        "системa",
        "47",
        "2026-Q1",
    )


def test_receipts_stay_unique_when_files_come_in_quick_succession(archive: Archive) -> None:
    assert len({receive(archive, b"same").receipt_id for _ in range(50)}) == 50
    assert len(archive.pending()) == 50


class _Clock(dt.datetime):
    """A clock that somebody sets."""

    stands = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return cls.stands.astimezone(tz)


def test_order_of_arrival_does_not_depend_on_a_clock_that_is_set_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module.dt, "datetime", _Clock)  # type: ignore[attr-defined]
    moments = [
        dt.datetime(2026, *rest, tzinfo=dt.UTC) for rest in ((1, 5, 12), (1, 5, 10), (1, 5, 10), (1, 4, 1), (1, 6, 1))
    ]
    receipts = []
    for number, moment in enumerate(moments):
        monkeypatch.setattr(_Clock, "stands", moment)
        receipts.append(receive(archive, b"%d" % number, f"{number}.csv"))
        if number == 1:
            archive.settle(receipts[0].receipt_id)  # decided on, and newer by its number than the clock
        if number == 2:
            (archive.root / "receipts" / ".newest").unlink()  # found again from the receipts
        if number == 3:
            (archive.root / "receipts" / ".newest").write_text("2026")  # half written
    numbers = [r.receipt_id for r in receipts]
    assert numbers == sorted(numbers)
    assert [r.file_name for r in archive.pending()] == ["1.csv", "2.csv", "3.csv", "4.csv"]
    assert receipts[1].received_at == "2026-01-05T10:00:00+00:00", "what the clock said is kept"
    assert receipts[4].receipt_id.startswith("20260106T01")


def test_what_killed_processes_left_is_swept_away_and_never_what_another_is_at(archive: Archive) -> None:
    receive(archive, b"1")
    left = [archive.root / "sha256" / ".incoming-abc", archive.pending_folder / ".tmpabc"]
    held, young = archive.root / "sha256" / ".incoming-held", archive.root / "sha256" / ".incoming-young"
    for path in (*left, held, young):
        path.write_bytes(b"half")
    for path in (*left, held):
        os.utime(path, (time.time() - 120,) * 2)
    with held.open("rb") as handle:
        hold(handle.fileno())
        receive(archive, b"2")
        assert all(path.exists() for path in left), "looked for once"
        Archive(archive.root).sweep()
        assert [path.exists() for path in left] == [False, False]
        assert held.exists()
        assert young.exists()
    Archive(archive.root).sweep()
    assert not held.exists()


DAMAGE = {
    "empty": "",
    "cut": '{"receipt_id": "2026',
    "no object": "[]",
    "a field is missing": {"table": None},
    "bytes as text": {"bytes": "1"},
    "rows as text": {"declared_rows": "1 0"},
    "rows beyond measure": {"declared_rows": 10**30},
    "no period": {"period": "January"},
    "a year of its own": {"period": "9999"},
    "another number": {"receipt_id": "20260101T000000.000000-abc"},
    "no hash": {"sha256": "x"},
    "another field": {"colour": "red"},
    "no moment": {"received_at": "yesterday"},
}


@pytest.mark.parametrize("harm", DAMAGE)
def test_a_damaged_receipt_is_put_aside_and_told_and_the_others_go_on(archive: Archive, harm: str) -> None:
    good, bad = receive(archive, b"1"), receive(archive, b"2")
    path, change = archive.pending_folder / f"{bad.receipt_id}.json", DAMAGE[harm]
    content = json.loads(path.read_text()) | change if isinstance(change, dict) else None
    if isinstance(content, dict) and content["table"] is None:
        del content["table"]
    path.write_text(json.dumps(content) if isinstance(content, dict) else str(change))
    assert archive.pending() == [good]
    (told,) = archive.set_aside()
    assert bad.receipt_id in told
    assert "deliver its file again" in told
    assert [p.name for p in archive.pending_folder.iterdir()] == [f"{good.receipt_id}.json"]
    folder = archive.root / "receipts" / "damaged"
    assert {p.name for p in folder.iterdir()} == {f"{bad.receipt_id}.json", f"{bad.receipt_id}.reason.txt"}
    assert archive.set_aside() == []


def test_settle_puts_a_receipt_away_and_keeps_it(archive: Archive) -> None:
    first, second = receive(archive, b"1"), receive(archive, b"2")
    archive.settle(first.receipt_id)
    assert archive.pending() == [second]
    month = f"{first.receipt_id[:4]}-{first.receipt_id[4:6]}"
    kept = archive.root / "receipts" / month / f"{first.receipt_id}.json"
    assert Receipt(**json.loads(kept.read_text(encoding="utf-8"))) == first
    archive.settle(first.receipt_id)  # a second time does nothing
    archive.settle("20260101T000000.000000-unknown0")
    assert archive.pending() == [second]
    assert kept.exists()


def test_nothing_is_pending_in_a_new_archive(archive: Archive) -> None:
    assert archive.pending() == []


def test_a_receipt_being_written_is_not_taken_for_one(archive: Archive) -> None:
    receipt = receive(archive, b"1")
    (archive.pending_folder / ".tmpabcd").write_text('{"receipt_id": "2026', encoding="utf-8")
    assert archive.pending() == [receipt]


def test_archived_content_is_read_only_on_disk(archive: Archive) -> None:
    receipt = receive(archive, b"1")
    assert archive.path(receipt.sha256).stat().st_mode & 0o222 == 0


def test_missing_content_is_an_error_with_a_remedy(archive: Archive) -> None:
    receipt = receive(archive, b"1")
    archive.path(receipt.sha256).unlink()
    with (
        pytest.raises(ArchiveError, match="from a backup or have the file delivered again"),
        archive.open(receipt.sha256),
    ):
        pass
    receive(archive, b"1")  # the remedy helps
    with archive.open(receipt.sha256) as stream:
        assert stream.read() == b"1"


class _Broken:
    """A source file that fails after some bytes, as a network drive does."""

    def __init__(self, error: BaseException):
        self.error, self.blocks = error, [b"x" * 100_000, b"y" * 100_000]

    def read(self, _: int) -> bytes:
        if self.blocks:
            return self.blocks.pop()
        raise self.error

    def __enter__(self) -> _Broken:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("error", [OSError("drive is gone"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_an_interrupted_receive_leaves_no_half_file_and_no_receipt(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    whole = receive(archive, b"whole")
    genuine = Path.open

    def broken_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        return _Broken(error) if self.name == "broken.csv" else genuine(self, *args, **kwargs)

    (archive.root.parent / "broken.csv").write_bytes(b"")
    monkeypatch.setattr(Path, "open", broken_open)
    with pytest.raises(type(error)):
        archive.receive(
            archive.root.parent / "broken.csv", table="fct_appeal", system="standard", scope=ASTANA, period="2026-01"
        )
    assert stored(archive) == [archive.path(whole.sha256)]
    assert archive.pending() == [whole]


@pytest.mark.parametrize("after", [0, 1], ids=["content", "receipt"])
def test_on_a_full_disk_no_half_file_and_no_receipt_are_left(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > after:
            raise OSError(28, "No space left on device")

    whole = receive(archive, b"whole")
    monkeypatch.setattr(archive_module.os, "fsync", full)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="No space left"):
        receive(archive, b"more")
    monkeypatch.undo()
    assert archive.pending() == [whole]
    assert len(list(archive.pending_folder.iterdir())) == 1
    assert len(stored(archive)) == 1 + after
    assert len(archive.begun()) == after  # nobody's word was given for it
    assert len(calls) == 1 + after


def test_a_file_that_does_not_exist_is_not_received(archive: Archive) -> None:
    with pytest.raises(FileNotFoundError):
        archive.receive(
            archive.root / "none.csv", table="fct_appeal", system="standard", scope=ASTANA, period="2026-01"
        )
    assert archive.pending() == []
    assert stored(archive) == []


def test_every_flipped_byte_of_archived_content_is_noticed_or_without_effect(archive: Archive, tmp_path: Path) -> None:
    content = appeals(20).encode()
    receipt = receive(archive, content)
    packed, contract = archive.path(receipt.sha256), standard(load_tables()["fct_appeal"])
    genuine, noticed, harmless = packed.read_bytes(), 0, 0
    for position in range(len(genuine)):
        changed = bytearray(genuine)
        changed[position] ^= 0x10
        damage(packed, bytes(changed))
        scratch = tmp_path / f"scratch{position}"
        scratch.mkdir()
        try:
            readable = unpack(archive, receipt.sha256, contract, scratch, "a.csv")
        except ArchiveError as error:
            noticed += "has changed on disk" in str(error) and str(packed) in str(error)
        else:
            harmless += readable.files[0].read_bytes() == content
    assert noticed + harmless == len(genuine)
    assert noticed > 0.9 * len(genuine)


@pytest.mark.parametrize("keep", [0, 10, 100], ids=["emptied", "cut in its head", "cut"])
def test_cut_archived_content_is_noticed(archive: Archive, tmp_path: Path, keep: int) -> None:
    receipt = receive(archive, appeals(20).encode())
    packed = archive.path(receipt.sha256)
    damage(packed, packed.read_bytes()[:keep])
    with pytest.raises(ArchiveError, match="has changed on disk"):
        unpack(archive, receipt.sha256, standard(load_tables()["fct_appeal"]), tmp_path, "a.csv")


@pytest.mark.parametrize("harm", ["flipped", "exchanged", "missing"])
def test_a_delivery_whose_archived_bytes_are_not_those_received_is_refused_and_others_are_not(
    tmp_path: Path, harm: str
) -> None:
    desk = Desk(tmp_path)
    good, bad = desk.deliver(appeals(5)), desk.deliver(appeals(5, first=100), period="2026-02")
    packed = desk.archive.path(bad.sha256)
    if harm == "missing":
        packed.unlink()
    elif harm == "exchanged":
        damage(packed, desk.archive.path(good.sha256).read_bytes())
    else:
        changed = bytearray(packed.read_bytes())
        changed[len(changed) // 2] ^= 0xFF
        damage(packed, bytes(changed))
    with desk.open() as store:
        report = desk.take(store)
        assert [o.state for o in report.outcomes] == ["loaded", "refused"]
        assert bad.sha256 in (report.outcomes[1].reason or "")
        assert "from a backup" in (report.outcomes[1].reason or "")
        assert query(store, "SELECT DISTINCT delivery_id, count(*) FROM showcase.fct_appeal GROUP BY ALL") == [(1, 5)]
        assert query(store, "SELECT count(*) FROM history.fct_appeal") == [(0,)]
        assert query(
            store, "SELECT received_rows, accepted_rows, rejected_rows FROM audit.delivery WHERE delivery_id = 2"
        ) == [(0, 0, 0)]
