"""A backup is whole or there is none; what comes back from it goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.ingest import ingest_table, register_pending
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from pipelines.recovery import backup as module
from pipelines.recovery.backup import BackupError, back_up, backups, damaged, object_of, read_backup
from pipelines.recovery.restore import restore
from tests.support.files import Desk, appeals, query
from tests.support.rows import LATER, only
from tests.support.settlements import ALMATY
from warehouse.audit.verify import verify
from warehouse.home import keys
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.content import Content, content
from warehouse.store.recorded import recorded
from warehouse.store.sessions import locked, looking, reading, writing

CATALOGUE = only(load_catalogues(), "MGT02-1")
ROOT = Path(__file__).parents[2]


def run(desk: Desk) -> None:
    with writing(desk.home) as store:
        register_pending(store, desk.archive)
        ingest_table(store, desk.archive, store.tables["fct_appeal"], {})
        compute(store, CATALOGUE, ["2026-01"], today=LATER)


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("backup") / "home")
    desk.deliver(appeals(12))
    run(desk)
    publish(desk.home, lambda _: [])
    (desk.home.contracts / "note.txt").write_text("what people configured")
    desk.home.corrections.mkdir()
    (desk.home.corrections / "README").write_text("of corrections")
    desk.home.engine_settings.write_text("engine: duckdb\n")
    taken = desk.deliver(appeals(3, first=50), scope=ALMATY)
    desk.archive.withdraw(taken.receipt_id, "A. Person", "the wrong city")
    return desk


@pytest.fixture
def desk(lived_in: Desk, tmp_path: Path) -> Desk:
    return Desk(Path(shutil.copytree(lived_in.root, tmp_path / "home")))


def said(desk: Desk) -> Content:
    with looking(desk.home) as store:
        return content(store.con)


def test_what_comes_back_is_what_was_and_runs_on(desk: Desk, tmp_path: Path) -> None:
    desk.deliver(appeals(10))  # a correction, which waits
    done = back_up(desk.home, tmp_path / "kept")
    assert damaged(done) == []
    again = Desk(tmp_path / "again", bare=True)
    shutil.rmtree(again.root)
    restore(read_backup(tmp_path / "kept"), again.home)
    for name in ("release", "contracts", "corrections", "archive"):
        there, here = (
            {
                p.relative_to(one.root): p.read_bytes()
                for p in (one.root / name).rglob("*")
                if p.is_file() and p.name != ".lock"
            }
            for one in (desk, again)
        )
        assert here == there, name
    assert again.home.engine_settings.read_text() == "engine: duckdb\n"
    assert verify(again.home).differences == ()
    with reading(again.home, hardened=False) as store:
        assert recorded(store) == []
    assert said(again) == said(desk)
    for one in (desk, again):
        run(one)
    assert said(again) == said(desk)
    with looking(again.home) as store:
        assert query(store, "SELECT count(*), max(delivery_id) FROM showcase.fct_appeal") == [(10, 1)]
        assert query(store, "SELECT count(*) FROM audit.ledger WHERE kind = 'withdrawn'") == [(1,)]
    assert (again.home.archive / "sha256").stat().st_mode & 0o777 == 0o750


def test_what_was_kept_before_is_not_copied_again(desk: Desk, tmp_path: Path) -> None:
    first = back_up(desk.home, tmp_path / "kept")
    objects = {p: p.stat().st_mtime_ns for p in (tmp_path / "kept" / "objects").rglob("*") if p.is_file()}
    new = desk.deliver(appeals(5, first=100))
    second = back_up(desk.home, tmp_path / "kept")
    packed = desk.archive.path(new.sha256).stat().st_size
    warehouse = desk.home.warehouse.stat().st_size
    assert first.copied_bytes == pytest.approx(first.bytes, rel=0.01)
    assert warehouse + packed <= second.copied_bytes < warehouse + packed + 2000
    assert {p: p.stat().st_mtime_ns for p in objects} == objects
    assert len(backups(tmp_path / "kept")) == 2
    assert damaged(read_backup(backups(tmp_path / "kept")[0])) == [], "the older one is whole too"
    # bytes that changed in place, as of a file that was locked with another key
    packed_file = desk.archive.path(new.sha256)
    packed_file.chmod(0o644)
    packed_file.write_bytes(b"other bytes")
    assert read_backup(tmp_path / "kept").files[str(packed_file.relative_to(desk.root))].bytes == packed
    back_up(desk.home, tmp_path / "kept")
    assert read_backup(tmp_path / "kept").files[str(packed_file.relative_to(desk.root))].bytes == 11
    assert [damaged(read_backup(one)) for one in backups(tmp_path / "kept")] == [[], [], []]


def test_a_receipt_decided_on_after_the_warehouse_was_kept_comes_back_as_one_that_waits(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deliver(appeals(4, first=200), scope=ALMATY)
    warehouse = module._Taking.warehouse

    def and_then_a_run(self: module._Taking, wait: float) -> object:
        head = warehouse(self, wait)
        run(desk)
        assert desk.archive.pending() == []
        return head

    monkeypatch.setattr(module._Taking, "warehouse", and_then_a_run)
    back_up(desk.home, tmp_path / "kept")
    again = Desk(tmp_path / "again", bare=True)
    shutil.rmtree(again.root)
    restore(read_backup(tmp_path / "kept"), again.home)
    assert len(again.archive.pending()) == 1
    assert len(again.archive.withdrawn()) == 1, "the withdrawal was entered after the warehouse was kept, too"
    run(again)
    assert said(again) == said(desk)


def test_a_release_published_meanwhile_is_kept_as_one(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, seen = module._Taking._take, list[str]()

    def interrupted(self: module._Taking, file: Path) -> module.Kept:
        kept = take(self, file)
        if not seen:
            seen.append(file.name)
            publish(desk.home, lambda _: [])
        return kept

    monkeypatch.setattr(module._Taking, "_take", interrupted)
    done = back_up(desk.home, tmp_path / "kept")
    restore(done, Home(tmp_path / "again"))
    assert seen
    assert verify(Home(tmp_path / "again")).differences == ()


@pytest.mark.slow
def test_backups_made_while_a_run_loads_are_each_whole(desk: Desk, tmp_path: Path) -> None:
    for number in range(8):
        desk.deliver(appeals(300, first=1000 * number), scope=("750000000", "471010000")[number % 2])
    other = Desk(Path(shutil.copytree(desk.root, tmp_path / "other")))
    run(other)
    code = "import sys; from pathlib import Path; from tests.support.files import Desk; " \
           "from tests.pipelines.test_backup import run; run(Desk(Path(sys.argv[1])))"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", code, str(desk.root)], cwd=ROOT) as running:  # noqa: S603
        while running.poll() is None:
            back_up(desk.home, tmp_path / "kept")
    assert running.returncode == 0
    assert len(backups(tmp_path / "kept")) > 1
    for number, manifest in enumerate(backups(tmp_path / "kept")):
        again = Desk(tmp_path / f"again{number}", bare=True)
        shutil.rmtree(again.root)
        restore(read_backup(manifest), again.home)
        with looking(again.home) as store:
            held = {s for (s,) in query(store, "SELECT sha256 FROM audit.delivery")} | {
                r.sha256 for r in again.archive.pending()
            }
        assert again.archive.damaged(held) == []
        assert len({r.receipt_id for r in again.archive.pending()} | _decided(again)) == 9
        run(again)
        assert said(again) == said(other)


def _decided(desk: Desk) -> set[str]:
    with looking(desk.home) as store:
        return {r for (r,) in query(store, "SELECT receipt_id FROM audit.delivery WHERE state <> 'received'")}


def _flip(place: Path) -> None:
    place.chmod(0o600)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "told"),
    [(_flip, "is damaged"), (Path.unlink, "is missing"), (lambda p: (p.chmod(0o600), os.truncate(p, 3)), "is damaged")],
)
@pytest.mark.parametrize("which", ["warehouse.duckdb", "archive/sha256/", "archive/receipts/2"])
def test_damage_is_named_by_file_and_nothing_is_restored(
    desk: Desk, tmp_path: Path, which: str, harm: Callable[[Path], object], told: str
) -> None:
    done = back_up(desk.home, tmp_path / "kept")
    path = next(p for p in done.files if p.startswith(which))
    place = object_of(done.folder, done.files[path].sha256)
    harm(place)
    assert any(text.startswith(f"{path} {told}") for text in damaged(done))  # the release may be the same bytes
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "kept"), "--check"])
    assert (result.exit_code, path in result.output) == (1, True)
    with pytest.raises(BackupError, match=f"nothing is restored.*{path}"):
        restore(done, Home(tmp_path / "again"))
    assert not (tmp_path / "again").exists()
    # what the message says helps
    place.unlink(missing_ok=True)
    assert damaged(back_up(desk.home, tmp_path / "kept")) == []


@pytest.mark.parametrize("heard", ["the release is kept", "the warehouse is kept", "the archive is kept"])
def test_killed_in_the_middle_there_is_none_and_the_next_one_is_whole(desk: Desk, tmp_path: Path, heard: str) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from warehouse.home.home import Home; from pipelines.recovery.backup import back_up\n"
        "def say(text):\n    if text.startswith(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "back_up(Home(Path(sys.argv[1])), Path(sys.argv[2]), say=say)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, str(desk.root), str(tmp_path / "kept"), heard], check=False, cwd=ROOT
    )
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(BackupError, match=r"no finished backup \(one was begun"):
        read_backup(tmp_path / "kept")
    assert damaged(back_up(desk.home, tmp_path / "kept")) == []
    assert not list((tmp_path / "kept").glob(".half-*"))


@pytest.mark.parametrize("limit", [1_000, 100_000, 2_000_000])
def test_without_room_there_is_none_and_a_sentence(desk: Desk, tmp_path: Path, limit: int) -> None:
    """No file may grow larger than so many bytes: to who writes, that is a full disk."""
    code = (
        "import resource, sys; from pipelines.cli import app\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); app(sys.argv[2:])"
    )
    command = ["backup", str(tmp_path / "kept"), "--home", str(desk.root)]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-B", "-c", code, str(limit), *command], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "make room" in done.stderr
    assert backups(tmp_path / "kept") == []
    assert damaged(back_up(desk.home, tmp_path / "kept")) == []
    command = ["restore", str(tmp_path / "kept"), "--home", str(tmp_path / "again")]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-B", "-c", code, str(limit), *command], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr, "make room" in done.stderr) == (1, False, True)
    assert not (tmp_path / "again").exists()


def test_keys_stay_at_home_unless_asked_for_and_that_is_said(desk: Desk, tmp_path: Path) -> None:
    keys.make(desk.home, "archive")
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "kept"), "--home", str(desk.root)])
    assert result.exit_code == 0
    assert "THE KEYS ARE NOT IN THE BACKUP" in result.output
    secret = (desk.root / "keys" / "archive.key").read_bytes()
    assert not any(secret in p.read_bytes() for p in (tmp_path / "kept").rglob("*") if p.is_file())
    done = back_up(desk.home, tmp_path / "kept", with_keys=True)
    restore(done, Home(tmp_path / "again"))
    back = tmp_path / "again" / "keys"
    assert (back / "archive.key").read_bytes() == secret
    assert (back.stat().st_mode & 0o777, (back / "archive.key").stat().st_mode & 0o777) == (0o700, 0o600)


def test_it_is_not_restored_over_anything_and_leads_nowhere_else(desk: Desk, tmp_path: Path) -> None:
    done = back_up(desk.home, tmp_path / "kept")
    before = desk.home.warehouse.read_bytes()
    with pytest.raises(BackupError, match="is not empty"):
        restore(done, desk.home)
    assert desk.home.warehouse.read_bytes() == before
    (tmp_path / "empty").mkdir()
    restore(done, Home(tmp_path / "empty"))
    content = json.loads(done.manifest.read_text())
    content["files"]["../outside"] = content["files"]["warehouse.duckdb"]
    done.manifest.chmod(0o600)
    done.manifest.write_text(json.dumps(content))
    with pytest.raises(BackupError, match="is damaged"):
        read_backup(done.manifest)
    digest = content.pop("sha256") and module._digest(content)
    for path in ("../outside", "/tmp/outside"):  # noqa: S108
        content["files"] = {path: content["files"]["warehouse.duckdb"]} | content["files"]
        digest = module._digest(content)
        done.manifest.write_text(json.dumps({**content, "sha256": digest}))
        with pytest.raises(BackupError, match="outside the home"):
            restore(read_backup(done.manifest), Home(tmp_path / "again"))
        del content["files"][path]
        content["files"].pop("../outside", None)


def test_one_file_comes_back_and_what_lay_there_stays(desk: Desk, tmp_path: Path) -> None:
    back_up(desk.home, tmp_path / "kept")
    (sha256,) = {s for (s,) in _asked(desk, "SELECT sha256 FROM audit.delivery")}
    packed = desk.archive.path(sha256)
    packed.chmod(0o600)
    packed.write_bytes(b"rotten")
    assert desk.archive.damaged([sha256])
    path = str(packed.relative_to(desk.root))
    result = CliRunner().invoke(app, ["restore", str(tmp_path / "kept"), "--only", path, "--home", str(desk.root)])
    assert result.exit_code == 0, result.output
    assert desk.archive.damaged([sha256]) == []
    assert [p.read_bytes() for p in packed.parent.glob(f".{packed.name}.before-restore-*")] == [b"rotten"]
    result = CliRunner().invoke(
        app, ["restore", str(tmp_path / "kept"), "--only", f"x/{packed.name}", "--home", str(desk.root)]
    )
    assert (result.exit_code, f"it has {path}" in result.output) == (1, True)


def _asked(desk: Desk, sql: str) -> list[tuple[str, ...]]:
    with looking(desk.home) as store:
        return query(store, sql)


def test_links_are_not_followed_and_the_home_holds_no_backup_of_itself(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (desk.home.contracts / "link.yaml").symlink_to(tmp_path / "secret")
    done = back_up(desk.home, tmp_path / "kept")
    assert "contracts/link.yaml" not in done.files
    with pytest.raises(BackupError, match="lies in the home itself"):
        back_up(desk.home, desk.root / "kept")


def test_a_run_that_writes_is_waited_for(desk: Desk, tmp_path: Path) -> None:
    with locked(desk.home):
        result = CliRunner().invoke(app, ["backup", str(tmp_path / "kept"), "--home", str(desk.root), "--wait", "0"])
    assert (result.exit_code, "another process has been writing" in result.output) == (1, True)
    assert backups(tmp_path / "kept") == []


def test_a_home_without_a_warehouse_is_kept_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    receipt = desk.deliver(appeals(2))
    restore(back_up(desk.home, tmp_path / "kept"), Home(tmp_path / "again"))
    assert [r.receipt_id for r in Desk(tmp_path / "again", bare=True).archive.pending()] == [receipt.receipt_id]
