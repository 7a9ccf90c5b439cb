"""One way to write: functions of one screen, modules of one reason, the formatter's layout, SQL in files. Numbers here may only go down."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
LONGEST_FUNCTION = 60  # lines
LONGEST_MODULE = 400  # lines, about
LONGEST_SQL = 5  # lines of SQL text in Python; more belongs to a file in sql/
# what is longer and stays so, with the reason; nothing is added here without one
LONG_FUNCTIONS: dict[str, str] = {}
LONG_MODULES = {"warehouse/tables/system_tables.py": "a list of tables, one entry after the other"}
# path → how often the formatter is kept off: tables of data, which it would tear into a line for each word
TABLES_OF_DATA = {
    "connectors/inference/inference.py": 2,
    "connectors/mapping/contract_checks.py": 1,
    "connectors/simulator/generate.py": 1,
    "connectors/simulator/recipe.py": 1,
    "kpi_definitions/compiler.py": 1,
    "kpi_definitions/expressions.py": 5,
    "warehouse/isolation/sandbox.py": 2,
    "warehouse/kpi_values/assessment.py": 2,
    "warehouse/kpi_values/changed_values.py": 1,
    "warehouse/kpi_values/compute.py": 1,
    "warehouse/kpi_values/registry.py": 1,
    "warehouse/kpi_values/rollup.py": 1,
    "warehouse/kpi_values/state_rules.py": 4,
    "warehouse/moments.py": 1,
    "warehouse/periods.py": 1,
    "warehouse/store/fitting.py": 1,
    "warehouse/tables/ddl.py": 1,
    "warehouse/tables/file_objects.py": 1,
    "warehouse/tables/identifiers.py": 1,
    "warehouse/tables/rules.py": 3,
    "warehouse/tables/views.py": 1,
}
# composed piece by piece, from contracts, definitions or lists of tables
COMPOSED_SQL = {"warehouse/kpi_values/rejected_rows.py": 1, "warehouse/store/recorded.py": 2}
_SQL = re.compile(
    r"\b(SELECT\b|INSERT INTO|UPDATE \w|DELETE FROM|CREATE (OR REPLACE )?(TEMP|TABLE|VIEW)|WITH \w+ AS|COPY \()"
)


@cache
def modules() -> dict[str, str]:
    """Path from the root → text of every module."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def functions(text: str) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function, methods and inner ones too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def unformatted(text: str) -> int:
    """How many comments keep the formatter off."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT and "fmt:" in token.string for token in tokens)


def sql_strings(text: str) -> Iterator[tuple[int, int]]:
    """(line, lines) of every string over several lines with SQL in it, docstrings left out."""
    tree = ast.parse(text)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documentation:
            last = node.end_lineno or node.lineno
            if last > node.lineno and _SQL.search("\n".join(lines[node.lineno - 1 : last])):
                yield node.lineno, last - node.lineno + 1


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{path}: {name} has {lines} lines"
        for path, text in modules().items()
        for name, lines in functions(text)
        if lines > LONGEST_FUNCTION and f"{path}: {name}" not in LONG_FUNCTIONS
    ]
    assert not long


def test_a_module_has_one_reason_to_exist() -> None:
    lines = {path: text.count("\n") for path, text in modules().items()}
    assert {path: n for path, n in lines.items() if n > LONGEST_MODULE and path not in LONG_MODULES} == {}


def test_the_formatter_is_kept_off_tables_of_data_only() -> None:
    found = {path: count for path, text in modules().items() if (count := unformatted(text))}
    assert {path: count for path, count in found.items() if count > TABLES_OF_DATA.get(path, 0)} == {}


def test_sql_of_more_than_a_few_lines_lies_in_files() -> None:
    long = {path: {line for line, n in sql_strings(text) if n > LONGEST_SQL} for path, text in modules().items()}
    assert {path: lines for path, lines in long.items() if len(lines) > COMPOSED_SQL.get(path, 0)} == {}


def test_what_is_long_or_unformatted_is_found() -> None:
    text = (
        'def f():\n    """SELECT\n\n\n\n\n\n1."""\n    x = """SELECT\na,\nb,\nc,\nd\nFROM t"""  # fmt: skip\n'
        + "    x\n" * 60
    )
    assert list(functions(text)) == [("f", 74)]
    assert unformatted(text) == 1
    assert list(sql_strings(text)) == [(9, 6)]
