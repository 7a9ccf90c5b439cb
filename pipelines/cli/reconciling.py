"""The quarterly reconciliation with sources. Does not belong here: counting there and comparing (connectors/control/, warehouse/loading/)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, err, fail, home_of, out, print_json, told_failure
from warehouse.errors import StoreError

if TYPE_CHECKING:
    from warehouse.home.home import Home
    from warehouse.loading.control_totals import Control
    from warehouse.periods import Period

    Asking = Iterator[tuple[str, Callable[[], Control]]]


@app.command()
def reconcile(
    source: Annotated[
        str | None, typer.Option("--source", help="File of <home>/sources without .yaml; left out: all databases there")
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(
            "--control", help="Control file of a source's owner: table,settlement,month,rows[,column,sum,filled]"
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", help="Source system: of the control file; of a source, one of those it has"),
    ] = None,
    quarter: Annotated[
        str | None, typer.Option("--quarter", help="2026-Q1, or other months; left out: the quarter that ended last")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who reconciles; left out: the user at work")] = "",
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """Compare rows and control sums with the sources, by table, settlement and month; 0 only if everything is equal.

    What differs opens incidents, what agrees again closes them, and the ledger keeps what was compared.
    """
    from connectors.control.reconcile import last_quarter
    from pipelines.source_pulls import national_day
    from warehouse.home.account import named
    from warehouse.periods import parse_period

    home = home_of(home_folder)
    if not home.warehouse.exists():
        raise fail(f"{home.warehouse} does not exist; nothing was loaded yet")
    try:
        period = parse_period(quarter) if quarter else last_quarter(national_day())
        asked = list(_asked(home, source, control, system, period))
    except (ValueError, DocumentError, StoreError) as error:
        raise fail(error) from None
    told = [_reconciled(home, name, make, named(by), show=not as_json) for name, make in asked]
    if as_json:
        print_json([one for one in told if one is not None])
    if not all(one is not None and not one["differences"] for one in told):
        raise typer.Exit(1)


def _reconciled(home: Home, name: str, make: Callable[[], Control], who: str, *, show: bool) -> dict[str, Any] | None:
    """What came of one control, as data; None: it could not be compared, which is told."""
    from connectors.archive.archive import ArchiveError
    from connectors.control.control_file import ControlError
    from connectors.sources.source import SourceError
    from pipelines.cli.screens.reconciled import as_data, show_reconciled
    from warehouse.loading.control_totals import reconcile_with
    from warehouse.store.sessions import writing

    try:
        control = make()
        with writing(home) as store:
            found = reconcile_with(store, control, who=who)
    except (ControlError, SourceError, ArchiveError, StoreError) as error:
        told_failure(f"{name}: not compared: {error}")
        err.print(f"[red]{escape(name)}: not compared:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        return None
    if show:
        show_reconciled(out, control, found)
    return as_data(control, found)


def _asked(home: Home, source: str | None, control: Path | None, system: str | None, period: Period) -> Asking:
    """(name, what makes the control totals) of each control that is meant. Raises ValueError, DocumentError, StoreError."""
    from functools import partial

    from connectors.control.reconcile import control_of_file, controls_of_sources
    from kpi_definitions.nearest import meant
    from pipelines.source_pulls import sources_of

    if control is not None:
        if source is not None or system is None:
            raise ValueError(
                "a control file is given with the system whose rows it states: --control FILE --system SYSTEM"
            )
        yield control.name, partial(control_of_file, home, control, system, period)
        return
    found = sources_of(home)
    if source is not None and source not in found.connections:
        raise ValueError(f"there is no source {source} in {home.sources}; {meant(source, found.connections)}")
    if not found.connections:
        raise ValueError("no sources; give what a source's owner states: qala reconcile --control FILE --system SYSTEM")
    chosen = {name: one for name, one in found.connections.items() if source in (None, name)}
    asked = list(controls_of_sources(home, chosen, period, found.setting.tables, found.setting.contracts, system))
    if not asked:
        raise ValueError(f"no source has a system {system}")
    yield from asked
