"""`qala new`: first versions of KPIs, tables and source contracts, commented, with a TODO for each doubt."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import HomeOption, app, fail, home_of, out
from warehouse.messages.messages import language_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.first_versions.writing import FirstVersion
    from warehouse.home.home import Home

new = typer.Typer(
    no_args_is_help=True,
    help="A first version of a KPI, a table or a source contract: written with a TODO for each doubt.",
)
app.add_typer(new, name="new")


@new.command()
def source(
    system: Annotated[
        str, typer.Argument(help="Code of the source system, by which its files will be delivered: ikomek109")
    ],
    table: Annotated[str, typer.Option("--table", "-t", help="Showcase table that the file feeds")],
    sample: Annotated[
        Path,
        typer.Option(
            "--sample", help="A file of the system, or its header and first lines, of any kind that qala deliver takes"
        ),
    ],
    home: HomeOption = None,
) -> None:
    """The contract by which a system's file becomes rows of a table, into the home's contracts/."""
    from pipelines.first_versions.new_source import new_source

    place = home_of(home, begins=True)
    write_first(lambda: new_source(place, system, table, sample), lambda: _try(place, system, table, sample))


def _try(home: Home, system: str, table: str, sample: Path) -> None:
    """Show what the contract, as it is now, makes of the sample."""
    from connectors.receiving.deliver import DeliveryError
    from kpi_definitions.documents import DocumentError
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.trial import show_trial
    from pipelines.methods.trying import Asked, tried
    from warehouse.tables.home_tables import tables_of

    try:
        found = tried(home, Asked(sample, table, system), tables_of(home))
    except (DeliveryError, DocumentError) as error:  # the contract is there: it can be mended, and tried again
        out.print(f"it cannot be tried yet: {error}", highlight=False, markup=False, soft_wrap=True)
        return
    show_trial(out, found, Words(language_of()))


@new.command()
def table(
    name: Annotated[str, typer.Argument(help="Its name: fct_ for what happens, dim_ for a register")],
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="A file whose columns it is to hold, of any kind that qala deliver takes"),
    ] = None,
    sphere: Annotated[str, typer.Option("--sphere", help="Code of the sphere it belongs to: MGT")] = "",
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Home whose own table it is to be; in a checkout left out: one of qala's own"),
    ] = None,
) -> None:
    """The contract of a showcase table, into the home's showcase/; in a checkout, without --home, into its warehouse/showcase/."""
    from pipelines.first_versions.new_table import in_checkout, new_table

    place = None if home is None and in_checkout() else home_of(home, begins=True)
    write_first(lambda: new_table(name, sample, sphere, place))


@new.command()
def kpi(
    code: Annotated[
        str,
        typer.Argument(help="Initiative, dash, number: MGT02-3. An initiative that is not there yet is written too"),
    ],
    table: Annotated[str, typer.Option("--table", "-t", help="Showcase table whose rows it counts")],
    kind: Annotated[str, typer.Option("--kind", help="share, mean or quantile; left out: by the table's columns")] = "",
    since: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day of effect; left out: 1 January of the next year"),
    ] = None,
    catalogue: Annotated[str, typer.Option("--catalogue", help="The list it belongs to, where there are several")] = "",
    home: HomeOption = None,
) -> None:
    """The definition of a KPI with its golden file and its scale, into the list that has its initiative, or the named one."""
    from pipelines.first_versions.new_kpi import new_kpi

    place = home_of(home, begins=True)
    write_first(lambda: new_kpi(place, code, table, kind, first_day(since), catalogue))


def first_day(since: dt.datetime | None) -> dt.date:
    """The day of effect that was asked for, else 1 January of the next year."""
    return since.date() if since else dt.date(dt.datetime.now(dt.UTC).year + 1, 1, 1)


def write_first(make: Callable[[], FirstVersion], tried: Callable[[], None] = lambda: None) -> None:
    """Write a first version, and say what is in it, what it makes of a sample (`tried`), and what comes next."""
    from kpi_definitions.documents import DocumentError
    from pipelines.first_versions.writing import FirstVersionError

    try:
        first = make()
        files = first.write()
    except (FirstVersionError, DocumentError, OSError) as error:
        raise fail(error) from None
    for path, left in files:
        added = "added to" if path in first.additions else "wrote"
        out.print(
            f"{added} {_short(path)}" + (f": {left} TODO" if left else ""),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    tried()
    out.print("next:", highlight=False)
    for what, why in first.steps:
        out.print(
            f"  {_short(Path(what)) if what.startswith('/') else what}\n      {why}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
