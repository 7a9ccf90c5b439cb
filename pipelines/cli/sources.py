"""Commands about sources: fetch what is due, and say how each stands. Does not belong here: fetching (connectors/sources/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, err, fail, home_of, out, print_json
from warehouse.errors import StoreError

if TYPE_CHECKING:
    from connectors.sources.pull import Told
    from pipelines.source_pulls import Sources

_NONE = "no sources; write a file in {}: docs/connect-a-server.md"
NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE]...", help="Files of <home>/sources without .yaml; left out: all", show_default=False
    ),
]


@app.command()
def pull(
    names: NamesArgument = None,
    again: Annotated[
        bool, typer.Option("--again", help="Deliver also what was refused before by the same contract, or taken back")
    ] = False,
    home_folder: HomeOption = None,
) -> None:
    """Fetch what is due from sources; the next run takes it in. Ends with 0 if every source gave what it should."""
    from connectors.sources.notes import PullBusyError
    from connectors.sources.pull import pull as ask

    found = _sources(home_folder, names, again=again)
    if not found.connections and not found.faults:
        out.print(_NONE.format(found.setting.home.sources), highlight=False, soft_wrap=True)
        return
    well, delivered = not found.faults, 0
    for connected in found.connections.values():
        try:
            told = ask(found.setting, connected, found.known, _say)
        except PullBusyError as error:
            well = False
            err.print(f"[red]{escape(str(error))}[/red]", highlight=False, soft_wrap=True)
            continue
        _say_quiet(told)
        well = well and all(one.well for one in told)
        delivered += sum(one.receipt is not None for one in told)
    out.print(f"{delivered} deliveries; next: qala run" if delivered else "nothing new was delivered", highlight=False)
    if not well:
        raise typer.Exit(1)


_QUIET = (
    "unchanged",
    "not there yet",
)  # what is counted and not told one by one: most of what a pull of every day finds


def _say_quiet(told: Sequence[Told]) -> None:
    counts = Counter((one.source, one.table, one.outcome) for one in told if one.outcome in _QUIET)
    for (source, table, outcome), count in counts.items():
        out.print(f"{source} {table}: {count} {outcome}", highlight=False)


def _say(told: Told) -> None:
    if told.outcome in _QUIET:
        return
    place = " ".join(part for part in (told.source, told.table, told.scope, told.period) if part)
    text = f"{escape(place)}: {told.outcome}: {escape(told.said)}"
    if told.well:
        out.print(text, highlight=False, soft_wrap=True)
    else:
        err.print(f"[red]{text}[/red]", highlight=False, soft_wrap=True)


@app.command()
def sources(
    names: NamesArgument = None,
    check: Annotated[bool, typer.Option("--check", help="Connect to each, and say what is found")] = False,
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """Sources and their extracts: last delivery, newest period, when the next is due, what is overdue."""
    found = _sources(home_folder, names)
    if check:
        _check(found)
        return
    from pipelines.cli.screens.sources import as_data, show_sources

    standings = list(found.standings())
    if as_json:
        print_json([as_data(one, found.setting.today) for one in standings])
    elif standings:
        show_sources(out, standings, found.setting.today)
    else:
        out.print(_NONE.format(found.setting.home.sources), highlight=False, soft_wrap=True)


def _check(found: Sources) -> None:
    from connectors.sources.pull import check_source
    from connectors.sources.source import SourceError

    well = not found.faults
    for name, connected in found.connections.items():
        try:
            for line in check_source(found.setting.home, connected):
                out.print(f"{name}: {line}", highlight=False, soft_wrap=True, markup=False)
        except SourceError as error:
            well = False
            err.print(f"[red]{escape(str(error))}[/red]", highlight=False, soft_wrap=True)
    if not well:
        raise typer.Exit(1)


def _sources(home_folder: Path | None, names: list[str] | None, *, again: bool = False) -> Sources:
    """The sources that are meant; files at fault are told. Raises typer.Exit for a name that is none."""
    from dataclasses import replace

    from kpi_definitions.nearest import meant
    from pipelines.source_pulls import sources_of

    home = home_of(home_folder)
    try:
        found = sources_of(home, again=again)
    except (DocumentError, StoreError) as error:
        raise fail(error) from None
    faulty = {fault.path.stem for fault in found.faults}
    if unknown := sorted({*(names or ())} - {*found.connections} - faulty):
        raise fail(
            f"there is no source {', '.join(unknown)} in {home.sources}; {meant(unknown[0], {**found.connections, **dict.fromkeys(faulty)})}"
        )
    faults = tuple(fault for fault in found.faults if not names or fault.path.stem in names)
    for fault in faults:
        err.print(f"[red]{escape(str(fault))}[/red]", highlight=False, soft_wrap=True)
    return replace(
        found, connections={n: c for n, c in found.connections.items() if not names or n in names}, faults=faults
    )
