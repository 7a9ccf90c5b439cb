"""What holds of the tests themselves: who imports whom, no wall clock, and code for other processes that names what exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "tests").rglob("*.py"))
OURS = ("pipelines", "connectors", "kpi_definitions", "warehouse", "tests")
CLOCKS = {"monotonic", "perf_counter", "process_time", "time", "time_ns", "monotonic_ns", "perf_counter_ns"}
IMPORT = re.compile(rf"from ((?:{'|'.join(OURS)})[\w.]*) import ([\w, ]+)")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def file_of(module: str) -> Path | None:
    """The file of a module of ours, if there is one."""
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


@cache
def names_in(path: Path) -> set[str]:
    """What a module's top level binds, also in `if`, `try` and `with`."""
    found = set[str]()
    todo: list[ast.AST] = [parsed(path)]
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
                continue
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            todo.append(node)
    return found


def there(module: str, name: str) -> bool:
    file = file_of(module)
    return file_of(f"{module}.{name}") is not None or (file is not None and name in names_in(file))


def code_in_strings(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of the imports in texts: code for other processes, and functions that a worker is asked for."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for module, names in IMPORT.findall(node.value):
                yield from ((module, name.split(" as ")[0].strip()) for name in names.split(","))
            if asked := re.fullmatch(rf"((?:{'|'.join(OURS)})[\w.]*):(\w+)", node.value):
                yield asked[1], asked[2]


def asserts_on_a_clock(path: Path) -> list[int]:
    """Lines of assertions that ask a clock, or a name that was given from one."""
    tree = parsed(path)
    clocked = {
        target.id
        for node in ast.walk(tree) if isinstance(node, ast.Assign) and _asks_a_clock(node.value)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    return [
        node.lineno for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
        and (_asks_a_clock(node.test) or any(isinstance(n, ast.Name) and n.id in clocked for n in ast.walk(node.test)))
    ]  # fmt: skip


def _asks_a_clock(node: ast.AST) -> bool:
    """Whether a call of a function of `time` is in it."""
    return any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in CLOCKS
        and isinstance(n.func.value, ast.Name) and n.func.value.id == "time"
        for n in ast.walk(node)
    )  # fmt: skip


def test_no_test_module_imports_another_one() -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {node.module}"
        for path in FILES for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.rpartition(".")[2].startswith("test_")
    ]  # fmt: skip
    assert found == []


def test_code_for_other_processes_names_what_exists() -> None:
    found = {(path, module, name) for path in FILES if path != Path(__file__) for module, name in code_in_strings(path)}
    assert len(found) > 10
    assert [
        f"{path.relative_to(ROOT)}: {module} has no {name}" for path, module, name in found if not there(module, name)
    ] == []


def test_no_test_watches_the_clock() -> None:
    assert {str(path.relative_to(ROOT)): lines for path in FILES if (lines := asserts_on_a_clock(path))} == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import time\nassert time.monotonic() < 5", [2]),
        ("start = time.perf_counter()\nassert 3 > 2 + start", [2]),
        ("assert time.sleep(1) is None", []),
    ],
)
def test_a_watched_clock_is_seen(tmp_path: Path, text: str, lines: list[int]) -> None:
    (tmp_path / "x.py").write_text(text)
    assert asserts_on_a_clock(tmp_path / "x.py") == lines
