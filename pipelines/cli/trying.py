"""`qala try`: what a delivery of a file would come to, before it is delivered.

Does not belong here: trying it (pipelines/methods/trying.py), how it is shown (screens/trial.py).
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, fail, home_of, out, print_json
from pipelines.cli.completions import table_names
from pipelines.cli.running import REFUSED
from warehouse.home.home import Home
from warehouse.messages.messages import language_of


@app.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="The extract as it is, of any kind that qala deliver takes")],
    table: Annotated[
        str,
        typer.Option("--table", "-t", help="Showcase table it is to feed, e.g. fct_appeal", autocompletion=table_names),
    ] = "",
    system: Annotated[
        str, typer.Option("--system", help="System whose contract it follows; left out: the exchange format")
    ] = "standard",
    contract: Annotated[
        Path | None, typer.Option("--contract", help="This contract instead, wherever it lies; it names the table")
    ] = None,
    settlement: Annotated[
        str,
        typer.Option("--settlement", "-s", help="As for qala deliver; left out: which rows are of another is not told"),
    ] = "",
    period: Annotated[
        str, typer.Option("--period", "-p", help="As for qala deliver; left out: which rows lie outside is not told")
    ] = "",
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Look at no more than so many records")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Read a file as a delivery would be read, and say what would come of it. Nothing is kept; no home is needed.

    Ends with 0 if a delivery of it would be taken in, 3 if it would be refused, as qala run.
    """
    from connectors.receiving.deliver import DeliveryError
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.trial import as_data, next_step, show_trial
    from pipelines.methods.trying import Asked, tried
    from warehouse.tables.home_tables import tables_of

    if not table and contract is None:
        raise fail("name the table with --table, or a contract with --contract")
    place = home_of(home, needed=False)
    asked = Asked(file, table, system, contract, settlement, period, rows)
    try:
        found = tried(place, asked, tables_of(place))
    except (DeliveryError, DocumentError, OSError) as error:
        raise fail(error) from None
    if as_json:
        print_json(as_data(found, language_of()))
    else:
        show_trial(out, found, Words(language_of()))
        if found.trial.would_load:
            given = "" if place == Home.default() else f" --home {shlex.quote(str(place.root))}"
            out.print(f"next: {next_step(found.trial, asked, given)}", highlight=False, soft_wrap=True, markup=False)
    if not found.trial.would_load:
        raise typer.Exit(REFUSED)
