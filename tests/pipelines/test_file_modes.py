"""Who may read a home: files 0640, folders 0750, keys nobody but their owner, whatever the umask."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.archive.archive import Archive
from connectors.receiving.inbox import collect
from tests.support.files import appeals
from tests.support.settlements import ASTANA
from warehouse.home import file_modes, keys
from warehouse.home.home import Home
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

ROOT = Path(__file__).parents[2]
QALA = "import os, sys; os.umask(int(sys.argv.pop(1), 8)); from pipelines.cli import app; app()"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def wrong(home: Path, *, left_out: tuple[str, ...] = ()) -> list[str]:
    """Everything under a home that is open to others, may be executed, or may be written by its group; and files that its group may not read."""
    found = []
    for path in [home, *home.rglob("*")]:
        name, held = path.relative_to(home).as_posix(), mode(path)
        if path.is_symlink() or any(name == n or name.startswith(f"{n}/") for n in left_out):
            continue
        kept = name.startswith("keys")
        if path.is_dir():
            good = held == (0o700 if kept else 0o750)
        elif kept:
            good = held == 0o600
        else:
            good = held in ((0o440,) if name.startswith(("release/", "archive/sha256/")) else (0o640,))
        if not good:
            found.append(f"{name} {held:04o}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["000", "077"])
def test_whatever_the_umask_a_home_is_closed_to_others(tmp_path: Path, umask: str) -> None:
    """Delivered by hand and through the inbox, run, shown, frozen, exported: every file that came of it is looked at."""
    home, mask = Home(tmp_path / "home"), os.umask(0o022)
    try:
        file = tmp_path / "appeals.csv"
        file.write_text(appeals(20))
        home.inbox.mkdir(parents=True, mode=0o770)
        home.inbox.chmod(0o770)
        (home.inbox / "a.csv").write_text(appeals(20, first=100))
        (home.inbox / "a.manifest.json").write_text(
            '{"deliveries": [{"file": "a.csv", "table": "fct_appeal", "settlement": "750000000", "period": "2026-01"}]}'
        )
        for words in (
            ["keys", "new", "archive"],
            ["keys", "new", "pseudonym"],
            ["deliver", str(file), "-t", "fct_appeal", "-s", ASTANA, "-p", "2026-01"],
            ["run", "2026-01"],
            ["evidence", "MGT02-1", "Astana", "2026-01", "--files", "--to", str(tmp_path / "pack")],
            ["evidence", "MGT02-1", "Astana", "2026-01", "--to", str(tmp_path / "pack.zip")],
            ["rows", "MGT02-1", "Astana", "2026-01", "--to", str(tmp_path / "rows.csv")],
        ):
            done = subprocess.run([sys.executable, "-c", QALA, umask, *words, "--home", str(home.root)], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # fmt: skip
            assert done.returncode == 0, (words, done.stdout, done.stderr)
    finally:
        os.umask(mask)
    # what senders put there is theirs; the folder keeps the rights of its group and loses those of others
    assert wrong(home.root, left_out=("inbox",)) == []
    assert mode(home.inbox) == 0o770
    assert {mode(p) for p in (tmp_path / "pack").rglob("*") if p.is_file()} == {0o640}
    assert {mode(tmp_path / "pack.zip"), mode(tmp_path / "rows.csv")} == {0o640}
    assert mode(tmp_path / "pack") == 0o750
    names = {p.name for p in home.root.rglob("*")}
    assert {"warehouse.duckdb", "qala.duckdb", "runs.db", "archive.key", ".writer.lock", "release.json"} <= names


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_warehouse_and_its_log_are_closed_from_their_first_byte(tmp_path: Path, umask: int) -> None:
    home, before = Home(tmp_path / "home"), os.umask(umask)
    try:
        with writing(home) as store, store.transaction():
            store.record([("test", "x", {})])
            log = home.warehouse.with_name("warehouse.duckdb.wal")
            seen = {p.name: mode(p) for p in home.root.iterdir() if p.is_file()}
        assert seen["warehouse.duckdb"] == 0o640
        assert not log.exists() or mode(log) == 0o640
    finally:
        os.umask(before)


def test_a_home_that_was_open_is_closed_when_it_is_written(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with writing(home):
        pass
    for name in ("archive", "contracts", "catalogues", "corrections", "release", "dagster", "inbox", "inbox/done"):
        (home.root / name).mkdir()
        (home.root / name).chmod(0o2777)
    home.warehouse.chmod(0o666)
    home.root.chmod(0o755)
    with writing(home):
        pass
    assert wrong(home.root, left_out=("inbox", "archive", "contracts", "catalogues", "corrections", "release", "dagster")) == []  # fmt: skip
    assert {mode(home.root / n) for n in ("archive", "contracts", "release", "dagster")} == {0o2750}
    assert {mode(home.inbox), mode(home.inbox / "done")} == {0o2770}, "senders write there, by their group"


def test_rights_are_only_taken_away_and_links_are_not_followed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    with writing(home):
        pass
    home.warehouse.chmod(0o600)
    home.root.chmod(0o700)
    home.inbox.symlink_to(outside)
    file_modes.close(home)
    assert (mode(home.warehouse), mode(home.root), mode(outside)) == (0o600, 0o700, 0o777)


def test_the_inbox_may_be_a_folder_elsewhere_that_senders_reach_and_the_home_they_do_not(tmp_path: Path) -> None:
    """As the operator's guide has it: a link, setgid, written by a group."""
    home, outside = Home(tmp_path / "home"), tmp_path / "senders"
    outside.mkdir()
    outside.chmod(0o2770)
    with writing(home):
        home.inbox.symlink_to(outside)
    (outside / "a.csv").write_text(appeals(3))
    entry = {"file": "a.csv", "table": "fct_appeal", "settlement": ASTANA, "period": "2026-01"}
    (outside / "a.manifest.json").write_text(json.dumps({"deliveries": [entry]}))
    archive = Archive(home.archive)
    (drop,) = collect(home.inbox, archive, load_tables(), {})
    assert (drop.error, len(archive.pending())) == (None, 1)
    with writing(home):
        pass
    assert mode(outside) == 0o2770
    assert sorted(p.name for p in outside.iterdir()) == ["done"]


def test_a_home_of_another_owner_is_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.root.chmod(0o755)

    def refused(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "chmod", refused)
    with writing(home) as store:
        assert store.last_seq
    assert keys.current(home, "archive") is None
