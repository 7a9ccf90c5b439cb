"""A question is answered at once: what a command imports, and that a command loaded late is the command it was; version and completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines import cli
from pipelines.cli import app
from pipelines.cli.plain_values import Plain
from pipelines.cli.table import TABLE, command_name
from tests.support.released import MONTH, SETTLEMENT, build
from warehouse.home.home import Home

HEAVY = {
    "dagster", "great_expectations", "pandas", "numpy", "pyarrow", "sqlalchemy", "jsonschema", "jinja2", "lxml", "paramiko", "requests",
    "cryptography", "yaml", "sqlglot", "pydantic", "duckdb",
}  # fmt: skip
# question → what it cannot do without
QUESTIONS = {
    "--help": set(),
    "settlements": set(),
    "--version": set(),
    "status": {"duckdb"},
    "incidents": {"duckdb"},
    "refusals": {"duckdb", "pydantic", "sqlglot", "yaml"},
    f"explain MGT02-1 {SETTLEMENT} {MONTH}": {"duckdb", "pydantic", "sqlglot"},
    f"rows MGT02-1 {SETTLEMENT} {MONTH}": {"duckdb", "pydantic", "sqlglot"},
}
ASKED = "import json, sys\nfrom pipelines.cli import app\ntry: app()\nfinally: print(json.dumps(list(sys.modules)), file=sys.stderr)"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("quick") / "home")
    build(home)
    for question in ("status", f"explain MGT02-1 {SETTLEMENT} {MONTH}"):  # and what they read is kept
        # in a process of its own, as this one may hold what is to be kept
        assert asked(home, question).returncode == 0
    return home


def asked(home: Home, question: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", ASKED, *question.split()]
    return subprocess.run(words, env={**os.environ, "QALA_HOME": str(home.root)}, capture_output=True, text=True)  # noqa: S603


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_imports_only_what_it_needs(released: Home, question: str) -> None:
    done = asked(released, question)
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}
    assert imported & HEAVY <= QUESTIONS[question]


def test_the_table_has_every_command_of_every_module() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__"}
    found: dict[str, set[str]] = {}
    for module in modules:
        import_module(f"pipelines.cli.{module}")
    for command in app.registered_commands:
        found.setdefault(str(getattr(command.callback, "__module__", "")), set()).add(command_name(command))
    for group in app.registered_groups:
        first = group.typer_instance.registered_commands[0] if group.typer_instance else None
        found.setdefault(str(getattr(first and first.callback, "__module__", "")), set()).add(str(group.name))
    assert found == {f"pipelines.cli.{module}": set(names) for module, names in TABLE.items()}


def plain_parameters() -> dict[str, Any]:
    """One parameter of every kind that is a text or a path, or several: (what it is, how it is asked for) → it."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    flat = [command for one in commands.values() for command in (one, *getattr(one, "commands", {}).values())]
    found = [parameter for command in flat for parameter in command.params]
    assert len(found) > 100
    kinds = {}
    for one in found:
        asked = {k: v for k, v in vars(one.type_descriptor.parameter_info).items() if k not in ("help", "param_decls")}
        if any(kind in str(one.type_descriptor.annotation) for kind in ("str", "Path")):
            kinds[f"{one.type_descriptor.annotation} {one.nargs} {one.multiple} {asked}"] = one
    return kinds


def test_values_taken_plainly_are_those_that_typer_makes() -> None:
    from typer._coercion import build_runtime_param

    context = typer.Context(typer.main.get_command(app))

    def made(by: Any, parameter: Any, value: str | None) -> Any:
        several = parameter.multiple or parameter.nargs == -1
        try:
            return by.coerce([value] if several and value is not None else value, param=parameter, ctx=context)
        except Exception as error:
            return type(error), str(error)

    kinds = plain_parameters()
    assert len(kinds) > 3
    for name, parameter in kinds.items():
        theirs = build_runtime_param(parameter.type_descriptor)
        for value in (None, "", "word", " 7 ", "-", ".", "/etc/hostname", "/not/there", "2026-01"):
            assert made(Plain(), parameter, value) == made(theirs, parameter, value), (name, value)


def test_an_unknown_command_is_told_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["explian"])
    assert result.exit_code == 2
    assert "Did you mean 'explain'" in result.output


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    for package in ("qala-kpi", "duckdb", "dagster"):
        assert version(package) in result.output


OFFERED = {
    "qala expl": ["explain"],
    "qala keys ro": ["rotate"],
    "qala explain --as": ["--as-of"],
    "qala explain MGT02": ["MGT02-1", "MGT02-2"],
    "qala explain mgt02": ["mgt02-1", "mgt02-2"],
    "qala explain MGT02-1 Аста": ["Астана"],
    "qala rows MGT02-1 asta": ["astana"],
    "qala deliver x.csv -s 7100": ["710000000"],
    "qala deliver x.csv --table fct_app": ["fct_appeal"],
    "qala explain NOTHING": [],
}


@pytest.mark.parametrize("typed", OFFERED)
def test_completion(typed: str, tmp_path: Path) -> None:
    shell = {"_QALA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    result = CliRunner().invoke(app, [], prog_name="qala", env={**shell, "QALA_HOME": str(tmp_path)})
    assert result.output.split() == OFFERED[typed]


def test_a_shell_is_told_how_to_ask() -> None:
    result = CliRunner().invoke(app, ["--show-completion", "bash"], prog_name="qala", env={"SHELL": "/bin/bash"})
    assert result.exit_code == 0, result.output
    assert "_QALA_COMPLETE=complete_bash" in result.output
