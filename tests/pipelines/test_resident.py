"""The process that forks for every run: who is let in, how callers are followed, what is left when one of the two dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.resident import caller, likeness
from pipelines.resident.socket_file import file_of
from tests.support.crashes import spawn
from tests.support.resident import BY_ITSELF, LIGHT, call, listening
from warehouse.home.home import Home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Stands for the folder that the four packages lie in."""
    for name in likeness.PACKAGES:
        (tmp_path / "code" / name).mkdir(parents=True)
        (tmp_path / "code" / name / "data.yaml").write_text("a: 1")
    return tmp_path / "code"


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    # a path that no address of a socket may have
    folder = tmp_path / ("long" * 20) / ("long" * 20)
    folder.mkdir(parents=True)
    return Home(folder)


@pytest.fixture
def resident(root: Path, empty_home: Home) -> Iterator[subprocess.Popen[str]]:
    process = spawn("-c", LIGHT, str(empty_home.root), str(root), QALA_OF_THE_SERVER="1")
    listening(empty_home, process)
    yield process
    process.kill()
    process.communicate()


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.02)


def test_a_fork_is_as_its_caller(resident: subprocess.Popen[str], empty_home: Home, root: Path) -> None:
    assert stat.S_IMODE(file_of(empty_home).stat().st_mode) == 0o600
    child = call(empty_home, root, "tell", "a b", QALA_LANG="kk")
    said, beside = child.communicate("read from the caller")
    told = json.loads(said)
    assert child.returncode == 0, beside
    assert beside == "beside it"
    assert told.pop("process") not in (child.pid, resident.pid)
    mask = os.umask(0)
    os.umask(mask)
    assert told == {
        "words": ["tell", "a b"],
        "environment": "kk",
        "left over": None,
        "folder": str(Path(__file__).parents[2]),
        "umask": mask,
        "read": "read from the caller",
        "encoding": "utf-8",
        "threads": 2,  # itself, and the one that listens to the caller
    }


def test_exit_codes_and_deaths_are_told(resident: subprocess.Popen[str], empty_home: Home, root: Path) -> None:
    children = {words: call(empty_home, root, *words) for words in (("end", "0"), ("end", "3"), ("die",))}
    for child in children.values():
        child.communicate()
    assert [child.returncode for child in children.values()] == [0, 3, caller.KILLED]
    assert resident.poll() is None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_caller_that_is_stopped_or_dies_interrupts_the_fork(
    resident: subprocess.Popen[str], empty_home: Home, root: Path, tmp_path: Path, how: signal.Signals
) -> None:
    note = tmp_path / "note"
    child = call(empty_home, root, "wait", str(note))
    _until(lambda: note.exists() and note.read_text().isdigit())
    child.send_signal(how)
    child.communicate()
    assert child.returncode == (130 if how is not signal.SIGKILL else -how)
    _until(lambda: note.read_text() == "interrupted")
    assert resident.poll() is None


def test_a_fork_outlives_the_resident_process(
    resident: subprocess.Popen[str], empty_home: Home, root: Path, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    child = call(empty_home, root, "wait", str(note))
    _until(lambda: note.exists() and note.read_text().isdigit())
    resident.kill()
    resident.communicate()
    assert file_of(empty_home).exists()  # it could not take it away
    again = call(empty_home, root, "end", "0")
    again.communicate()
    assert again.returncode == BY_ITSELF
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert (child.returncode, note.read_text()) == (130, "interrupted")


def test_after_a_change_of_the_code_runs_are_run_by_their_callers(
    resident: subprocess.Popen[str], empty_home: Home, root: Path
) -> None:
    (root / "warehouse" / "data.yaml").write_text("a: 2")
    child = call(empty_home, root, "end", "0")
    child.communicate()
    assert child.returncode == BY_ITSELF
    _, said = resident.communicate()
    assert "has changed" in said
    assert not file_of(empty_home).exists()


def test_a_caller_of_other_code_or_another_interpreter_runs_by_itself(
    resident: subprocess.Popen[str], empty_home: Home, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    children = [
        call(empty_home, other, "end", "0"),
        call(empty_home, root, "end", "0", PYTHONHASHSEED="7"),
        call(empty_home, root, "end", "0", DAGSTER_GRPC_TIMEOUT_SECONDS="7"),
        call(empty_home, root, "end", "0", QALA_RESIDENT="0"),
    ]
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [BY_ITSELF] * len(children)
    assert resident.poll() is None


def test_a_socket_that_others_reach_is_not_used(resident: subprocess.Popen[str], empty_home: Home, root: Path) -> None:
    file_of(empty_home).chmod(0o666)
    child = call(empty_home, root, "end", "0")
    child.communicate()
    assert child.returncode == BY_ITSELF
    assert resident.poll() is None


def test_one_home_has_one_resident_process(resident: subprocess.Popen[str], empty_home: Home, root: Path) -> None:
    second = spawn("-c", LIGHT, str(empty_home.root), str(root))
    _, said = second.communicate()
    assert second.returncode != 0
    assert "resident" in said
    resident.send_signal(signal.SIGTERM)
    resident.communicate()
    assert resident.returncode == 0
    assert not file_of(empty_home).exists()


def test_every_kind_of_change_is_a_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "ROOT", root)
    seen = [likeness.code()]
    (root / "pipelines" / "new.py").write_text("")
    seen.append(likeness.code())
    (root / "pipelines" / "new.py").write_text("x")
    seen.append(likeness.code())
    found = (root / "pipelines" / "new.py").stat()
    (root / "pipelines" / "again.py").write_text("y")
    os.utime(root / "pipelines" / "again.py", ns=(found.st_atime_ns, found.st_mtime_ns))
    (root / "pipelines" / "again.py").replace(root / "pipelines" / "new.py")  # as large, as old
    seen.append(likeness.code())
    (root / "pipelines" / "new.py").unlink()
    seen.append(likeness.code())
    (root / "pipelines" / "__pycache__").mkdir()
    (root / "pipelines" / "__pycache__" / "new.pyc").write_text("")
    seen.append(likeness.code())
    assert (
        len({one["files"] for one in seen}) == 4
    )  # with the file gone it is as at first; what Python compiles is no change
    assert seen[0] == seen[-1]
