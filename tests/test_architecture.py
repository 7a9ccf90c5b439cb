"""The arrows between packages and rooms go one way: no arrow upwards, no circle, no window, and every module says what it is for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.floors import ALLOWED, FLOORS, PACKAGES

ROOT = Path(__file__).parents[1]


@cache
def modules() -> dict[str, Path]:
    """Dotted name → file of every module of the four packages; a package goes by its own name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, str, int]]:
    """(module, name taken from it or "", line) of every import, also those inside functions and for type checkers."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole, "", node.lineno) if whole in modules() else (node.module, alias.name, node.lineno)


def defined(path: Path) -> set[str]:
    """Names that a module makes itself, at its top level."""
    found = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        else:
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found


def floor(name: str) -> int:
    """The floor on which a module stands in its package."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return next((n for n, rooms in enumerate(FLOORS[package]) if room in rooms), -1)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_arrows_between_packages(package: str) -> None:
    wrong = []
    for path in (ROOT / package).rglob("*.py"):
        for name, _, line in imports(path):
            top, where = name.partition(".")[0], f"{path.relative_to(ROOT)}:{line}"
            reached = {".".join(name.split(".")[:n]) for n in (1, 2, 3)}
            if top in PACKAGES and top != package and not reached & ALLOWED[package]:
                wrong.append(f"{where} imports {name}")
            if top == "dagster" and package != "pipelines":
                wrong.append(f"{where} imports Dagster")
            if top == "great_expectations" and path.name != "delivery_gate.py":
                wrong.append(f"{where} imports Great Expectations")
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_floor_and_no_arrow_goes_up(package: str) -> None:
    wrong = []
    for name, path in modules().items():
        if name == package or not name.startswith(f"{package}."):
            continue
        if floor(name) < 0:
            wrong.append(f"{name} stands on no floor: put it into a room, or into FLOORS")
        for other, _, line in imports(path):
            if other.startswith(f"{package}.") and other in modules() and floor(other) > floor(name):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {other}, which stands above it")
    assert not wrong


def test_there_is_no_circle() -> None:
    graph = {name: {other for other, _, _ in imports(path) if other in modules()} for name, path in modules().items()}
    for name in graph:
        graph[name].discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' → '.join(error.args[1])}")


def test_there_is_no_window() -> None:
    """A name is imported from the module that makes it, so that an arrow shows where it comes from."""
    wrong = []
    for path in [*modules().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for module, name, line in imports(path):
            made_by = modules().get(module)
            if name and made_by and made_by.name != "__init__.py" and name not in defined(made_by):
                wrong.append(f"{path.relative_to(ROOT)}:{line} takes {name} from {module}, which does not make it")
    assert not wrong


def test_definitions_load_without_great_expectations() -> None:
    code = "import sys, pipelines.definitions; pipelines.definitions.defs(); print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    assert done.stdout.strip() == "False"


def test_every_package_and_room_says_what_belongs_in_it_and_what_does_not() -> None:
    for name, path in modules().items():
        if path.name == "__init__.py":
            text = " ".join((ast.get_docstring(tree(path)) or "").split())
            assert "elongs here" in text, name
            assert "not belong here" in text, name


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, path in modules().items() if len(ast.get_docstring(tree(path)) or "") < 20]
    assert silent == []
