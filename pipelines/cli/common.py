"""What all commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from warehouse.modes import private
from warehouse.store import Home

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="KPI pipeline of a smart city: extracts in, KPI values out, every number explained.")  # fmt: skip
out = Console()
err = Console(stderr=True)


@app.callback()
def _begin() -> None:
    private()


HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Home folder; else QALA_HOME, else ./qala-home", show_default=False)
]
AsOfOption = Annotated[
    int | None, typer.Option("--as-of", help="As it was published at this ledger sequence; left out: as it holds")
]
CatalogueOption = Annotated[
    str | None, typer.Option("--catalogue", help="Of a level or place: by which list, where several assessed the year")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Plain data instead of tables")]


def home_of(folder: Path | None) -> Home:
    return Home(folder.resolve()) if folder else Home.default()


def fail(message: object) -> typer.Exit:
    err.print(f"[red]error:[/red] {escape(str(message))}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


def print_json(data: Any) -> None:
    from warehouse.audit.explain import as_json

    sys.stdout.write(as_json(data))
