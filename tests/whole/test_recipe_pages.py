"""The recipe pages, run as they stand in a copy of the checkout: a page that says what does not work is a failing test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.recipe_pages import apply, blocks

ROOT = Path(__file__).parents[2]
PAGES = ("add-a-kpi", "add-a-table", "connect-a-system", "connect-a-server", "methodologist")
COMPUTING = ("when-one-machine-is-not-enough",)  # pages of which nothing is left without their runs
COPIED = ("pipelines", "connectors", "kpi_definitions", "warehouse", "tests", "docs", "examples", "pyproject.toml")
ONE_PAGE = 120  # lines of a page
# five recipes, of one person; a table in two places; three engines, their faults and what is not built; six kinds of source
LONGER = {"methodologist": 140, "add-a-table": 140, "when-one-machine-is-not-enough": 170, "connect-a-server": 270}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout, with the environment it was installed into."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for program, module in (("python", None), ("qala", "from pipelines.cli import app; app()")):
        call = f'-c "{module}" "$@"' if module else '"$@"'
        path = tmp_path / ".venv" / "bin" / program
        path.write_text(f"#!/bin/sh\nexec {sys.executable} {call}\n")
        path.chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PAGES, *COMPUTING])
def test_a_recipe_page_works_as_it_stands(checkout: Path, name: str) -> None:
    follow(checkout, name)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_recipe_writes_and_checks_works_as_it_stands(checkout: Path, name: str) -> None:
    """The same, but for the blocks that compute."""
    follow(checkout, name, without=("qala run", "pytest", "qala diff", "qala assess"))


def follow(checkout: Path, name: str, without: tuple[str, ...] = ()) -> None:
    """Do what a page says; blocks with one of the words `without`, and what they would have said, are passed over."""
    said, exports, passed = "", "", False
    for block in blocks(checkout / "docs" / f"{name}.md"):
        passed = any(word in block.text for word in without) if block.kind == "sh" else passed and block.kind == "text"
        if passed:
            continue
        if block.kind == "diff":
            apply(block.text, checkout)
        elif block.kind == "sh":
            done = _run(exports + block.text, checkout)
            said = done.stdout + done.stderr
            assert (done.returncode != 0) == block.fails, f"{block.text}\n{said}"
            exports += "".join(f"{line}\n" for line in block.text.splitlines() if line.startswith("export "))
        elif block.kind == "text":
            missing = [line for line in block.text.splitlines() if line.strip() not in said]
            assert not missing, f"not said: {missing}\n{said}"


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("QALA_", "PYTEST_"))}
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=600, check=False)  # fmt: skip


@pytest.mark.parametrize("name", [*PAGES, *COMPUTING])
def test_a_recipe_is_one_page(name: str) -> None:
    lines = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGER.get(name, ONE_PAGE)
    assert sum(line.startswith("```") for line in lines) % 2 == 0
