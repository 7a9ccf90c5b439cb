"""Whatever goes wrong with disk, permission or a damaged file ends every command in a sentence, never in a traceback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from connectors.archive import Archive
from pipelines.cli import app
from tests import whole
from warehouse.store import Home

ROOT = Path(__file__).parent.parent
NAMES = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
ELSEWHERE = {
    "ui",
    "demo",
    "docs",
    "schemas",
    "settlements",
}  # replaces the process; empties its home; write into the checkout; asks nothing
GIVEN = {
    "kpi": "SAF04-1", "settlement": "710000000", "period": "2025", "year": "2025", "file": "extract.csv", "ours": "", "theirs": "", "area": "",
}  # fmt: skip
OPTIONS = {
    "deliver": ["--table", "fct_crash", "--period", "2025", "--settlement", "710000000"],
    "verify": [],
}


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
    home = Home(folder / "home")
    archive = Archive(home.archive)
    whole.receive(archive, folder / "outbox", whole.accidents(1, 5))
    whole.receive(
        archive, folder / "outbox", "as_of_date,population,count_source\n2026-01-01,5000,x\n", "dim_population"
    )
    with whole.unjudged():
        whole.play(home)
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
QUICK = ("no home", "half a warehouse", "half a release", "no release.json")


def asked(*left_out: str) -> list[str]:
    return sorted((name for name in NAMES if name not in {*ELSEWHERE, *left_out}), key=lambda name: name in LAST)


@pytest.mark.parametrize("harm", [h if h in QUICK else pytest.param(h, marks=pytest.mark.slow) for h in HARM])
def test_every_command_ends_in_a_sentence(
    released: Home, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extract.csv").write_text(whole.accidents(1, 2))
    home = Home(shutil.copytree(released.root, tmp_path / "home"))
    HARM[harm](home)
    ended = [
        fine(name, *invoke(name, home.root, tmp_path)) for name in asked(*LONG, *(HEAVY if harm in QUICK[1:] else ()))
    ]
    assert [wrong for wrong in ended if wrong] == []
