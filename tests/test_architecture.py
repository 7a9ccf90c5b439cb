"""The arrows between packages go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
# package → what of the others it may import (a package, or some of its modules)
ALLOWED = {
    "pipelines": {"connectors", "kpi_definitions", "warehouse"},
    "connectors": {
        "warehouse.isolation.worker",
        "warehouse.tables.assertions",
        "warehouse.tables.contracts",
        "warehouse.store.former_ledger",
        "warehouse.tables.rules",
        "warehouse.tables.usual",
        "warehouse.sql",
        "warehouse.periods",
        "warehouse.home.keys",
        "warehouse.loading.load",
        "warehouse.home.scratch",
        "warehouse.moments",
        "warehouse.tables.identifiers",
        "warehouse.home.settlement_names",
        "warehouse.home.account",
        "warehouse.loading.withdrawals",
        "kpi_definitions.documents",
        "kpi_definitions.expressions",
    },
    "warehouse": {"kpi_definitions"},
    "kpi_definitions": set(),
}


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_arrows(package: str) -> None:
    wrong = []
    for path in (ROOT / package).rglob("*.py"):
        for name, line in _imports(path):
            top = name.partition(".")[0]
            if top in PACKAGES and top != package and not {top, ".".join(name.split(".")[:2])} & ALLOWED[package]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
            if top == "dagster" and package != "pipelines":
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports Dagster")
            if top == "great_expectations" and path.name != "judge.py":
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports Great Expectations")
    assert not wrong


def test_definitions_load_without_great_expectations() -> None:
    code = "import sys, pipelines.definitions; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    assert done.stdout.strip() == "False"


def test_every_package_says_what_belongs_in_it() -> None:
    for package in PACKAGES:
        text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert "elongs here" in text, package
        assert "not belong here" in text, package
