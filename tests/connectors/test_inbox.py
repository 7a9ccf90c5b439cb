"""The inbox: each drop taken whole, refused whole with a reason, or waiting; and none of them another's trouble."""

from __future__ import annotations

import json
import os
import threading
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from connectors.archive.archive import Archive
from connectors.receiving import inbox as inbox_module
from connectors.receiving.inbox import Drop, InboxBusyError, collect
from tests.support.files import appeals
from tests.support.homes import new_home
from warehouse.loading.deliveries import Receipt
from warehouse.tables.contracts import load_tables

GOOD = {"file": "a.csv", "table": "fct_appeal", "settlement": "710000000", "period": "2026-01"}
ROW = appeals(1)


class Box:
    """A home's inbox, and what a sender puts there."""

    def __init__(self, root: Path):
        self.home = new_home(root)
        self.path = self.home.inbox
        self.path.mkdir(parents=True)
        self.archive = Archive(self.home.archive)

    def file(self, name: str, content: str = ROW) -> Path:
        path = self.path / name
        path.write_text(content, encoding="utf-8")
        return path

    def manifest(self, content: bytes | str | Mapping[str, Any], name: str = "one") -> Path:
        path = self.path / f"{name}.manifest.json"
        if isinstance(content, Mapping):
            content = json.dumps({"deliveries": [content]}, ensure_ascii=False)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def collect(self) -> list[Drop]:
        return collect(self.path, self.archive, load_tables(), {})

    def left(self) -> list[str]:
        """What lies in the inbox itself."""
        return sorted(p.name for p in self.path.iterdir() if not p.is_dir() or p.is_symlink())

    def pending(self) -> list[Receipt]:
        return self.archive.pending()

    def refused(self) -> dict[str, str]:
        """File name → reason, of what was refused."""
        found = dict[str, str]()
        for folder in self.path.glob("refused/*"):
            reason = (folder / "REASON.txt").read_text(encoding="utf-8")
            found |= {p.name: reason for p in folder.iterdir() if p.name != "REASON.txt" and not p.name.startswith(".")}
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "home")


@pytest.mark.parametrize(
    "content",
    [
        b'{"deliveries": null}',
        b"[]",
        b"no manifest",
        b"\xff\xfe\x00\x01",
        b'{"deliveries": [{"file": 7}]}',
        b'{"deliveries": []}',
    ],
)
def test_a_manifest_that_is_none_goes_with_the_file_that_lies_there_and_stops_no_other(
    box: Box, content: bytes
) -> None:
    box.file("x.csv"), box.manifest(content, "a")
    box.file("z.csv"), box.manifest({**GOOD, "file": "z.csv"}, "z")
    first, second = box.collect()
    assert first.error
    assert "with it go the files that no manifest names: x.csv" in first.error
    assert second.error is None
    assert [r.file_name for r in box.pending()] == ["z.csv"]
    assert set(box.refused()) == {"a.manifest.json", "x.csv"}
    assert box.left() == []


def test_a_faulty_manifest_goes_with_the_files_it_names_and_no_others(box: Box) -> None:
    box.file("a.csv"), box.file("data.csv"), box.file("another.csv")
    box.manifest({**GOOD, "file": "data.csv", "rows": "1 0"})
    (drop,) = box.collect()
    assert drop.error == (
        "one.manifest.json: delivery 1: rows must be a whole number from 0 to 1,000,000,000,000, written without quotes, "
        "not the text '1 0'"
    )
    assert set(box.refused()) == {"one.manifest.json", "data.csv"}
    assert box.left() == ["a.csv", "another.csv"]


def test_a_file_that_cannot_be_read_does_not_turn_away_the_others(box: Box) -> None:
    box.file("a.csv"), box.file("b.csv").write_bytes(b"%PDF-1.7")
    entries = [{**GOOD, "file": "a.csv"}, {**GOOD, "file": "b.csv", "period": "2026-02"}]
    box.manifest(json.dumps({"deliveries": entries}))
    (drop,) = box.collect()
    assert drop.error is None
    assert [r.file_name for r in box.pending()] == ["a.csv", "b.csv"]


def test_a_file_that_went_with_a_strange_manifest_comes_back_for_its_own(box: Box) -> None:
    box.file("b.csv")  # of a drop whose manifest is still to come
    box.manifest("[]", "broken")
    box.collect()
    assert "b.csv" in box.refused()
    box.manifest({**GOOD, "file": "b.csv"})
    (drop,) = box.collect()
    assert drop.error is None
    assert [r.file_name for r in box.pending()] == ["b.csv"]


def test_a_file_younger_than_a_strange_manifest_is_not_its(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "_SLACK", -0.001)
    box.manifest("[]", "broken")
    box.file("b.csv")
    os.utime(box.path / "b.csv")
    box.collect()
    assert box.left() == ["b.csv"]


def test_two_refusals_alike_keep_both_files(box: Box) -> None:
    for content in ("first", "second"):
        box.file("a.csv", content), box.manifest({**GOOD, "table": "nothing"})
        box.collect()
    assert sorted(p.read_text() for p in box.path.glob("refused/*/a.csv")) == ["first", "second"]


def test_the_reason_names_the_delivery(box: Box) -> None:
    box.file("a.csv"), box.file("b.csv")
    box.manifest(json.dumps({"deliveries": [GOOD, {**GOOD, "file": "b.csv", "settlement": "710000001"}]}))
    (drop,) = box.collect()
    assert drop.error
    assert drop.error.startswith("one.manifest.json: delivery 2: '710000001' is no settlement")
    assert set(box.refused()) == {"one.manifest.json", "a.csv", "b.csv"}


@pytest.mark.parametrize("content", [b"", b'{"deliveries": [{"file": "a.csv", "tab', "{".encode("utf-16")])
def test_half_a_manifest_waits_until_it_is_whole(box: Box, content: bytes) -> None:
    box.file("a.csv"), box.manifest(content)
    (drop,) = box.collect()
    assert drop.waits
    assert box.left() == ["a.csv", "one.manifest.json"]
    box.manifest(GOOD)
    (drop,) = box.collect()
    assert drop.error is None
    assert len(box.pending()) == 1


def test_half_a_manifest_that_stays_half_is_refused(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.file("a.csv"), box.manifest(b'{"deliveries": [{"file": "a.csv", "tab')
    monkeypatch.setattr(inbox_module, "PATIENCE", 0)
    (drop,) = box.collect()
    assert not drop.waits
    assert drop.error
    assert "ends too early" in drop.error
    assert set(box.refused()) == {"one.manifest.json", "a.csv"}


@pytest.mark.parametrize(("on_disk", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_file_names_match_in_whatever_normal_form(box: Box, on_disk: Any, said: Any) -> None:
    name = "Майские обращения.csv"
    box.file(unicodedata.normalize(on_disk, name))
    box.manifest({**GOOD, "file": unicodedata.normalize(said, name)})
    (drop,) = box.collect()
    assert drop.error is None
    assert len(box.pending()) == 1
    assert box.left() == []


def test_of_two_names_alike_none_is_guessed(box: Box) -> None:
    names = {form: unicodedata.normalize(form, "й\u0439й.csv") for form in ("NFC", "NFD")}
    mixed = "й" + names["NFD"][2:4] + "й.csv"
    for name in names.values():
        box.file(name)
    box.manifest({**GOOD, "file": mixed})
    (drop,) = box.collect()
    assert drop.error
    assert "in differing Unicode" in drop.error
    assert box.pending() == []


def test_links_are_not_followed(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    (box.path / "a.csv").symlink_to(secret)
    box.manifest(GOOD)
    (drop,) = box.collect()
    assert drop.error
    assert "links are not followed" in drop.error
    assert not (box.home.archive / "sha256").exists(), "nothing was read"
    (moved,) = box.path.glob("refused/*/a.csv")
    assert moved.is_symlink()
    assert secret.read_text() == "secret"


def test_a_manifest_that_is_a_link_or_no_file_is_refused(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"deliveries": [GOOD]}))
    (box.path / "link.manifest.json").symlink_to(secret)
    os.mkfifo(box.path / "pipe.manifest.json")
    (box.path / "folder.manifest.json").mkdir()
    assert [bool(d.error) for d in box.collect()] == [True, True, True]
    assert box.left() == []
    assert secret.exists()


def test_a_file_with_another_name_elsewhere_is_not_read(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    os.link(secret, box.path / "a.csv")
    box.manifest(GOOD)
    (drop,) = box.collect()
    assert "hard link" in (drop.error or "")
    assert not (box.home.archive / "sha256").exists(), "nothing was read"
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("name", ["taking", "done", "refused"])
def test_nothing_is_moved_through_a_link_in_place_of_a_folder_of_the_inbox(box: Box, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "x").mkdir(parents=True)
    (elsewhere / "x" / "x.manifest.json").write_text("{}")
    (box.path / name).symlink_to(elsewhere)
    box.manifest(GOOD)
    (drop,) = box.collect()
    assert drop.waits
    assert "is a link" in (drop.error or "")
    assert sorted(p.name for p in elsewhere.rglob("*")) == ["x", "x.manifest.json"]
    assert box.pending() == []


def test_a_pipe_in_place_of_a_file_is_refused(box: Box) -> None:
    os.mkfifo(box.path / "a.csv")
    box.manifest(GOOD)
    (drop,) = box.collect()
    assert drop.error
    assert "is no file" in drop.error
    assert box.left() == []


def test_folders_and_hidden_files_are_left_alone(box: Box) -> None:
    (box.path / "sub").mkdir()
    (box.path / "sub" / "x.manifest.json").write_text("{}")
    (box.path / ".one.manifest.json").write_text("[]")
    assert box.collect() == []
    assert (box.path / "sub" / "x.manifest.json").exists()


def test_one_collector_at_a_time(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.file("a.csv"), box.manifest(GOOD)
    box.home.archive.mkdir()
    monkeypatch.setattr(inbox_module, "LOCK_SECONDS", 0.1)
    with FileLock(box.home.archive / ".collecting.lock"), pytest.raises(InboxBusyError, match="another process"):
        box.collect()
    assert box.pending() == []
    assert [d.error for d in box.collect()] == [None]


def test_two_collectors_take_nothing_twice(box: Box) -> None:
    for n in range(20):
        box.file(f"{n}.csv", f"{ROW}A{n}\n"), box.manifest({**GOOD, "file": f"{n}.csv"}, str(n))
    threads = [threading.Thread(target=box.collect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.file_name for r in box.pending()) == sorted(f"{n}.csv" for n in range(20))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(14))
def test_who_is_killed_anywhere_delivers_once_when_it_goes_on(
    box: Box, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Killed before the n-th move, reservation, or receipt of a drop of two files."""
    box.file("a.csv"), box.file("b.csv", ROW + "A2\n")
    box.manifest(json.dumps({"deliveries": [GOOD, {**GOOD, "file": "b.csv", "period": "2026-02"}]}))
    steps = 0

    def deadly(genuine: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == moment + 1:
                raise _Killed
            return genuine(*arguments, **named)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", deadly(Path.replace))
        patch.setattr(Archive, "reserve", deadly(Archive.reserve))
        patch.setattr(Archive, "enter", deadly(Archive.enter))
        patch.setattr(inbox_module, "write_whole", deadly(inbox_module.write_whole))  # type: ignore[attr-defined]
        with pytest.raises(_Killed):
            box.collect()
    drops = box.collect()
    assert [d.error for d in drops] == [None]
    assert [(r.file_name, r.period) for r in box.pending()] == [("a.csv", "2026-01"), ("b.csv", "2026-02")]
    assert box.left() == []
    (done,) = box.path.glob("done/*")
    assert {p.name for p in done.iterdir()} >= {"a.csv", "b.csv", "one.manifest.json"}
    assert not (box.path / "taking").exists()


def test_who_goes_on_does_not_enter_again_what_has_been_decided(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.file("a.csv"), box.manifest(GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(inbox_module, "free", lambda p: p if "done" not in p.parts else 1 / 0)
        (drop,) = box.collect()
    assert drop.waits
    (receipt,) = box.pending()
    box.archive.settle(receipt.receipt_id)
    assert [d.error for d in box.collect()] == [None]
    assert box.pending() == []


@pytest.mark.parametrize("error", [RuntimeError("[/red] odd"), KeyError("x"), UnicodeError("y")])
def test_whatever_fails_in_one_drop_refuses_that_drop(
    box: Box, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("a", "b"):
        box.file(f"{name}.csv"), box.manifest({**GOOD, "file": f"{name}.csv"}, name)

    def check_declaration(declared: Any, *_: Any) -> None:
        if declared.file.name == "a.csv":
            raise error

    monkeypatch.setattr(inbox_module, "check_declaration", check_declaration)
    first, second = box.collect()
    assert first.error
    assert type(error).__name__ in first.error
    assert second.error is None
    assert set(box.refused()) == {"a.csv", "a.manifest.json"}


def test_a_full_disk_is_nobodys_drop(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.file("a.csv"), box.manifest(GOOD)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "reserve", full)
        (drop,) = box.collect()
    assert drop.waits
    assert drop.error
    assert "No space left" in drop.error
    assert box.refused() == {}
    assert [d.error for d in box.collect()] == [None]
    assert len(box.pending()) == 1


def test_names_of_bytes_that_are_no_letters_harm_nobody(box: Box) -> None:
    folder = os.fsencode(box.path)
    for name in (b"\xff.manifest.json", b"\xfe.csv"):
        with open(os.path.join(folder, name), "wb") as handle:  # noqa: PTH118, PTH123
            handle.write(b"[]")
    box.file("z.csv"), box.manifest({**GOOD, "file": "z.csv"}, "z")
    drops = box.collect()
    assert [d.error is None for d in drops] == [True, False]
    assert "not a manifest" in drops[1].told
    drops[1].told.encode()
    assert box.left() == []


def test_neither_a_manifest_nor_a_receipt_stops_the_sensor(box: Box) -> None:
    import dagster as dg

    from pipelines.automation import inbox_sensor
    from pipelines.resources import Qala

    box.file("x.csv"), box.manifest("[", "broken"), box.manifest("null", "none")
    box.file("z.csv"), box.manifest({**GOOD, "file": "z.csv"}, "z")
    box.archive.pending_folder.mkdir(parents=True)
    (box.archive.pending_folder / "20260101T000000.000000-bad.json").write_text("{")
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(instance=instance, resources={"qala": Qala(home_folder=str(box.home.root))}) as context,
    ):
        (request,) = list(inbox_sensor(context))  # type: ignore[arg-type]
    assert request.tags["dagster/asset_partition_range_start"] == "2026-01"
    assert [r.file_name for r in box.pending()] == ["z.csv"]
    assert (box.archive.root / "receipts" / "damaged").exists()
