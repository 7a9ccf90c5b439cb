"""Whatever goes wrong with disk, permission or a damaged file ends every command in a sentence, never in a traceback."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer.main
from filelock import Timeout
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from pipelines.error_messages import message_for
from tests.support import runs
from tests.support.homes import new_home
from warehouse.errors import StoreError
from warehouse.home.home import Home

NAMES = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
# replace the process; empties its home; three write into the checkout; asks nothing
ELSEWHERE = {"ui", "serve", "demo", "docs", "schemas", "new", "settlements"}
GIVEN = {
    "kpi": "SAF04-1", "settlement": "710000000", "period": "2025", "year": "2025", "file": "extract.csv", "ours": "", "theirs": "", "area": "",
}  # fmt: skip
OPTIONS = {"deliver": ["--table", "fct_crash", "--period", "2025", "--settlement", "710000000"]}


def words(name: str, folder: Path) -> list[str]:
    """A command with what it must be given."""
    command: Any = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given = []
    for parameter in command.params:
        if parameter.param_type_name == "argument" and (parameter.required or parameter.name == "file"):
            value = GIVEN.get(parameter.name, "1")
            given.append(str(folder / value) if parameter.name == "file" else value)
        elif parameter.required:
            given += [parameter.opts[0], str(folder / "there") if "to" in parameter.name else "1"]
    if name == "evidence":
        given += ["--to", str(folder / "pack")]
    return [name, *given, *OPTIONS.get(name, [])]


def invoke(name: str, home: Path, folder: Path) -> tuple[int, str]:
    """Run a command in this process. Returns exit code and what it said."""
    result = CliRunner().invoke(app, words(name, folder), env={"QALA_HOME": str(home)})
    return result.exit_code, result.output


def fine(name: str, code: int, said: str) -> str | None:
    """What is wrong with how a command ended."""
    if code not in (0, 1):
        return f"{name}: exit code {code}: {said}"
    if "Traceback" in said or "fault of qala" in said:
        return f"{name}: no sentence: {said}"
    if code == 1 and name not in ("verify", "check", "reperform") and "error:" not in said and "failed" not in said:
        return f"{name}: failed without a word: {said}"
    return None


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that was released, with nothing waiting."""
    folder = tmp_path_factory.mktemp("trouble")
    home = new_home(folder / "home")
    archive = Archive(home.archive)
    runs.receive(archive, folder / "outbox", runs.accidents(1, 5))
    runs.receive(
        archive, folder / "outbox", "as_of_date,population,count_source\n2026-01-01,5000,x\n", "dim_population"
    )
    with runs.unjudged():
        runs.play(home)
    return home


def cut(path: Path, size: int) -> None:
    path.chmod(0o644)
    os.truncate(path, size)


def scrawl(path: Path) -> None:
    """Bytes in the middle of a file become others."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        for place in range(8192, path.stat().st_size, 4096):
            file.seek(place)
            file.write(b"\xa5" * 600)


HARM: dict[str, Callable[[Home], Any]] = {
    "no home": lambda home: shutil.rmtree(home.root),
    "empty home": lambda home: (shutil.rmtree(home.root), home.root.mkdir()),
    "a file in the home's place": lambda home: (shutil.rmtree(home.root), home.root.write_text("x")),
    "no warehouse": lambda home: home.warehouse.unlink(),
    "warehouse of no bytes": lambda home: cut(home.warehouse, 0),
    "half a warehouse": lambda home: cut(home.warehouse, home.warehouse.stat().st_size // 2),
    "a scrawled warehouse": lambda home: scrawl(home.warehouse),
    "a folder in the warehouse's place": lambda home: (home.warehouse.unlink(), home.warehouse.mkdir()),
    "release of no bytes": lambda home: cut(home.released_file, 0),
    "half a release": lambda home: cut(home.released_file, home.released_file.stat().st_size // 2),
    "a scrawled release": lambda home: scrawl(home.released_file),
    "release.json of {}": lambda home: _manifest(home).write_text("{}"),
    "release.json of a list": lambda home: _manifest(home).write_text("[1]"),
    "release.json that is no JSON": lambda home: _manifest(home).write_bytes(b"\xff\xfe{"),
    "no release.json": lambda home: _manifest(home).unlink(),
    "a folder in the release's place": lambda home: (home.released_file.unlink(), home.released_file.mkdir()),
    "a file in the archive's place": lambda home: (shutil.rmtree(home.archive), home.archive.write_text("x")),
    "a file in the contracts' place": lambda home: home.contracts.write_text("x"),
    "a contract of no text": lambda home: (home.contracts.mkdir(), (home.contracts / "x.odcs.yaml").write_bytes(b"\xff\xfe\0")),
    "a folder as a contract": lambda home: (home.contracts / "x.odcs.yaml").mkdir(parents=True),
    "a file in the inbox's place": lambda home: home.inbox.write_text("x"),
    "a folder as a receipt": lambda home: (home.archive / "receipts" / "pending" / "20260101T000000.000000-x.json").mkdir(parents=True),
}  # fmt: skip


def _manifest(home: Home) -> Path:
    path = home.release / "release.json"
    path.chmod(0o644)
    return path


# what starts Dagster takes seconds even to fail
LONG = {"run", "reread"}
LAST = ("deliver", "assess")  # what writes comes when all others have seen the harm
HEAVY = {"check", "assess", "diff"}  # and these, where there is something to read
QUICK = (
    "no home",
    "half a warehouse",
    "half a release",
)  # a home, a file and a release of no use; the others with the slow tests


def asked(*left_out: str) -> list[str]:
    return sorted((name for name in NAMES if name not in {*ELSEWHERE, *left_out}), key=lambda name: name in LAST)


@pytest.mark.parametrize("harm", [h if h in QUICK else pytest.param(h, marks=pytest.mark.slow) for h in HARM])
def test_every_command_ends_in_a_sentence(
    released: Home, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extract.csv").write_text(runs.accidents(1, 2))
    home = Home(shutil.copytree(released.root, tmp_path / "home"))
    HARM[harm](home)
    ended = [
        fine(name, *invoke(name, home.root, tmp_path)) for name in asked(*LONG, *(HEAVY if harm in QUICK[1:] else ()))
    ]
    assert [wrong for wrong in ended if wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm", ["no home", "half a warehouse", "half a release", "a scrawled warehouse", "a contract of no text"]
)
@pytest.mark.parametrize("name", sorted(LONG))
def test_commands_that_start_dagster_end_in_a_sentence(released: Home, tmp_path: Path, harm: str, name: str) -> None:
    home = Home(shutil.copytree(released.root, tmp_path / "home"))
    HARM[harm](home)
    if home.root.is_dir():
        runs.receive(Archive(home.archive), tmp_path / "outbox", runs.accidents(1, 2))
    code, said = invoke(name, home.root, tmp_path)
    assert fine(name, code, said) is None


TOLD = [
    (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "/a/b: there is no room left on the disk; make room"),
    (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: it is not permitted to user"),
    (OSError(errno.EROFS, "Read-only file system", "/a"), "mount it for writing"),
    (FileNotFoundError(errno.ENOENT, "No such file", "/a"), "/a: there is no such file or folder"),
    (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    (MemoryError(), "not enough memory"),
    (RuntimeError("can't start new thread"), "not enough memory"),
    (duckdb.OutOfMemoryException("Out of Memory Error: failed"), "QALA_MEMORY_LIMIT"),
    (duckdb.IOException("IO Error: Could not write: No space left on device"), "make room"),
    (duckdb.IOException("IO Error: The file is not a valid DuckDB database file"), "restore it from a backup"),
    (duckdb.FatalException("FATAL Error: broken"), "its connection was dropped"),
    (
        duckdb.InvalidInputException("database has been invalidated because of a previous fatal error"),
        "its connection was dropped",
    ),
    (sqlite3.OperationalError("attempt to write a readonly database"), "not permitted"),
    (sqlite3.OperationalError("database or disk is full"), "make room"),
    (Timeout("/a/.lock"), "has held /a/.lock for too long"),
    (StoreError("as it says"), "as it says"),
    (KeyError("x"), None),
    (duckdb.BinderException("Binder Error: no column x"), None),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), None),
]


@pytest.mark.parametrize(("error", "said"), TOLD, ids=[f"{type(e).__name__}-{n}" for n, (e, _) in enumerate(TOLD)])
def test_what_is_told_of_an_error(error: Exception, said: str | None) -> None:
    found = message_for(error)
    assert found == said if said is None else said in str(found)
    wrapped = RuntimeError("in between")
    wrapped.__cause__ = error
    assert message_for(wrapped) == found


def test_a_fault_of_the_program_is_a_line_and_a_file_with_the_traceback(
    released: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(shutil.copytree(released.root, tmp_path / "home"))

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr("warehouse.audit.explain.explain", broken)
    code, said = invoke("explain", home.root, tmp_path)
    assert code == 1
    assert "ZeroDivisionError: of our own; this is a fault of qala" in said
    assert "Traceback" not in said
    (kept,) = (home.root / "errors").iterdir()
    assert str(kept) in said
    assert "in broken" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("QALA_DEBUG", "1")
    monkeypatch.setenv("QALA_HOME", str(home.root))
    assert isinstance(CliRunner().invoke(app, words("explain", tmp_path)).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("wrong", "code"), [(["explain"], 2), (["no-such-command"], 2), (["rows", "A", "B", "C", "--limit", "0"], 2)]
)
def test_wrong_usage_is_told_as_such(wrong: list[str], code: int) -> None:
    assert CliRunner().invoke(app, wrong).exit_code == code


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("Query interrupted"), 130), (SystemExit(7), 7)]
)
def test_whoever_stops_a_command_is_told_so(
    released: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("warehouse.audit.explain.explain", stopped)
    found, said = invoke("explain", released.root, tmp_path)
    assert found == code
    assert ("stopped: nothing is half done" in said) == (code == 130)


def test_a_step_of_dagster_fails_by_its_sentence_and_a_fault_of_the_program_by_its_traceback() -> None:
    import dagster as dg

    from pipelines.error_messages import known_errors_as_failure
    from pipelines.run import _said

    def job_of(error: Exception) -> dg.ExecuteInProcessResult:
        @dg.op
        @known_errors_as_failure
        def step(context):  # type: ignore[no-untyped-def]
            raise error

        @dg.job
        def job() -> None:
            step()

        return job.execute_in_process(raise_on_error=False)

    (failed,) = [e for e in job_of(OSError(errno.ENOSPC, "No space", "/a/b")).all_events if e.is_step_failure]
    assert _said(failed.step_failure_data).startswith("/a/b: there is no room left on the disk")
    assert failed.step_failure_data.error.cause is None  # type: ignore[union-attr]
    (failed,) = [e for e in job_of(ZeroDivisionError("ours")).all_events if e.is_step_failure]
    assert "ours" in _said(failed.step_failure_data)
    assert failed.step_failure_data.error.cause is not None  # type: ignore[union-attr]
