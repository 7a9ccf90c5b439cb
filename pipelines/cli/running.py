"""Commands that run: months, deliveries read again, the demo.

Does not belong here: taking extracts in (delivering.py), what there is to run (pipelines/pending_work.py), running it (pipelines/run.py).
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.text import Text

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, app, err, fail, home_of, out
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import language_of

if TYPE_CHECKING:
    from connectors.archive.archive import Archive
    from pipelines.pending_work import PendingWork
    from pipelines.run import RunResult

REFUSED = 3  # exit code: nothing failed, and not everything was taken in


@app.command()
def run(
    period: Annotated[
        str | None,
        typer.Argument(
            help="Months to run: 2026-01, 2026-Q1, 2026-01/2026-06; left out: those with waiting extracts, and those still to be computed"
        ),
    ] = None,
    start_anew: Annotated[
        bool,
        typer.Option(
            "--start-anew",
            help="Go on with a warehouse that is not that of the release, or with none: the release is set aside, and every receipt of the archive "
            "waits again (what the warehouse knows is put away unread)",
        ),
    ] = False,
    with_report: Annotated[
        bool, typer.Option("--report", help="Then write the release as pages, as qala report does")
    ] = False,
    home_folder: HomeOption = None,
) -> None:
    """Take in what waits, check, load, compute, publish: the Dagster job, in this process.

    Ends with 0 if every delivery was taken in (rows may have been rejected), 1 if something failed, 2 for wrong arguments, 3 if a delivery was refused.
    """
    from warehouse.home.begun import is_home
    from warehouse.periods import parse_period

    home = home_of(home_folder)
    if period and not is_home(home.root):
        raise fail(
            f"nothing was ever delivered to {home.root}: there is nothing to compute; begin with: qala deliver --help"
        )
    options = [
        *([period] if period else []),
        *(["--start-anew"] if start_anew else []),
        *(["--report"] if with_report else []),
    ]
    _hand_over(home, "run", *options)
    try:
        work, turned_away = _prepare_run(home, start_anew=start_anew)
        months = parse_period(period).months if period else work.months
    except (DocumentError, StoreError, ValueError) as error:
        raise fail(error) from None
    months = _ended_months(months, work, named=period is not None)
    if not months:
        out.print("nothing to run; deliver an extract (qala deliver --help) or name a period: qala run 2026-01")
        if turned_away:
            raise typer.Exit(REFUSED)
        return
    results = _run(home, months, None if period else work.tables, None if period else work.codes)
    if with_report and all(r.success for r in results):
        from pipelines.cli.reporting import report  # here, or its command would stand first in --help

        report(home_folder=home.root)
    _end(home, results, turned_away)


def _ended_months(months: tuple[str, ...], work: PendingWork, *, named: bool) -> tuple[str, ...]:
    """Those that have ended; what waits, and what else is to be done, is said."""
    from warehouse.kpi_values.outstanding import running_month

    running = running_month()
    if work.early or any(m >= running for m in months):
        out.print(f"months from {running} on have not ended: they wait", highlight=False)
        months = tuple(m for m in months if m < running)
    if work.said:
        out.print(f"what is still to be computed cannot be told: {work.said}", highlight=False, soft_wrap=True)
    if not named and work.due and work.due.months:
        out.print(
            f"loaded, not computed or not released: {', '.join(work.due.months)}", highlight=False, soft_wrap=True
        )
    return months


def _hand_over(home: Home, *words: str) -> None:
    """Have the home's resident process do the command, if there is one. Raises typer.Exit then."""
    from pipelines.resident.caller import handed_over

    code = handed_over(home, [*words, "--home", str(home.root)])
    if code is not None:
        raise typer.Exit(code)


def _show_status(home: Home) -> None:
    from pipelines.cli.status import status  # here for the same reason

    status(language_of(), home_folder=home.root)


def _end(home: Home, results: Sequence[RunResult], turned_away: int = 0) -> None:
    """Say how things stand and what was refused. Raises typer.Exit unless all succeeded and everything was taken in."""
    from pipelines.cli.refusals import show_what_a_run_left  # here for the same reason
    from pipelines.structured_logs import as_json

    succeeded = all(r.success for r in results)
    if not as_json():  # the log has every delivery, and what was published
        if succeeded:
            _show_status(home)
        show_what_a_run_left(home, [r.run_id for r in results])
    if not succeeded:
        raise typer.Exit(1)
    if turned_away or any(r.refused for r in results):
        raise typer.Exit(REFUSED)


def _prepare_run(home: Home, *, start_anew: bool) -> tuple[PendingWork, int]:
    """Collect the inbox, say what was set aside, and find what there is to do. Raises DocumentError, StoreError.

    Returns also how many drops and receipts were turned away before they became deliveries.
    """
    from connectors.archive.archive import Archive
    from connectors.corrections import read_corrections
    from connectors.ingest import load_source_contracts
    from connectors.receiving.inbox import InboxBusyError, collect
    from kpi_definitions.catalogue import load_catalogues
    from kpi_definitions.listed import listed
    from pipelines.pending_work import find_pending_work
    from warehouse.engines.settings import open_engine
    from warehouse.kpi_values.sound import refuse_faulty
    from warehouse.tables.home_tables import tables_of

    archive, tables = Archive(home.archive), tables_of(home)
    catalogue = load_catalogues(home.catalogues)
    refuse_faulty(catalogue, tables)
    if (engine := open_engine(home)) is not None:  # its settings are whole; whether it answers shows when it is asked
        engine.close()
    if start_anew:
        _start_anew(home, archive)
    messages = archive.set_aside()
    turned_away = len(messages)
    try:
        if home.inbox.exists():
            drops = collect(home.inbox, archive, tables, load_source_contracts(home, tables))
            messages += [f"inbox: {drop.told}" for drop in drops]
            turned_away += sum(bool(drop.error) and not drop.waits for drop in drops)
    except InboxBusyError as error:
        messages.append(str(error))
    waiting = archive.pending()
    for name in sorted({r.table for r in waiting} - set(tables)):
        messages.append(
            f"extracts of {name} wait, and no contract describes that table any more: put {name}.odcs.yaml back, or take them back"
        )
    for text in messages:
        out.print(text, highlight=False, soft_wrap=True, markup=False)
    contracts = load_source_contracts(home, tables)
    declared = read_corrections(home.corrections, tables)
    return find_pending_work(home, waiting, declared, listed(home.catalogues), contracts), turned_away


def _start_anew(home: Home, archive: Archive) -> None:
    """Set the release aside and have every receipt of the archive wait again."""
    from warehouse.store import sessions, succession

    aside, again = succession.set_aside(home), archive.wait_again()
    text = f"the release is now {aside}" if aside else "there is no release to set aside"
    out.print(text, highlight=False, soft_wrap=True)
    out.print(f"{again:,} receipts wait again", highlight=False)
    sessions.enter_start(home, aside, again)


@app.command()
def reread(
    system: Annotated[str | None, typer.Option("--system", help="Source system; standard: the exchange format")] = None,
    table: Annotated[str | None, typer.Option("--table", "-t", help="Showcase table")] = None,
    period: Annotated[str | None, typer.Option("--period", "-p", help="Deliveries whose days meet these")] = None,
    home_folder: HomeOption = None,
) -> None:
    """Read deliveries in force again from the archive, by the contracts as they are now, and compute what changes.

    Ends as qala run does: 3 if a delivery was refused.
    """
    from connectors.reread import request_reread
    from warehouse.kpi_values.outstanding import running_month
    from warehouse.periods import add_months, month_id, parse_period
    from warehouse.store.sessions import writing

    home = home_of(home_folder)
    if not home.warehouse.exists():
        raise fail(StoreError(f"{home.warehouse} does not exist; nothing was loaded yet"))
    given = {"--system": system, "--table": table, "--period": period}
    _hand_over(home, "reread", *(word for name, value in given.items() if value is not None for word in (name, value)))
    try:
        with writing(home) as store:
            receipts = request_reread(store, store.tables, system=system, table=table, period=period)
    except (ValueError, StoreError) as error:
        raise fail(error) from None
    out.print(f"{len(receipts)} deliveries are read again", highlight=False)
    running = running_month()
    months = {m for r in receipts for m in parse_period(r.period).months if m < running}
    # what is read again is loaded whatever the month
    months = months or {month_id(add_months(parse_period(running).start, -1))}
    _end(home, _run(home, tuple(sorted(months)), {r.table for r in receipts}))


def _run(
    home: Home,
    months: tuple[str, ...],
    tables: Collection[str] | None = None,
    codes: Collection[str] | None = None,
) -> list[RunResult]:
    from pipelines.run import run_months

    with out.status("starting Dagster") as spinner:

        def say(text: str) -> None:
            out.print(f"  {text}", highlight=False, soft_wrap=True, markup=False)
            spinner.update(Text(text))

        results = run_months(home, months, say, tables, codes)
    for result in results:
        span = result.first if result.first == result.last else f"{result.first} to {result.last}"
        if result.success:
            out.print(f"run {result.run_id[:8]}: {span} done", highlight=False)
        for failure in result.failures:
            err.print(
                f"[red]run {result.run_id[:8]}: {span} failed[/red] in {escape(failure)}",
                highlight=False,
                soft_wrap=True,
            )
    return results


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="A folder of its own: it is emptied first")] = Path("qala-demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other imaginary years")] = 469,
    year: Annotated[int, typer.Option(help="Year to simulate, after the year before it")] = 2025,
    yes: Annotated[bool, typer.Option("--yes", help="Empty a former demo that was changed, without asking")] = False,
) -> None:
    """Twelve imaginary cities over two years: simulate, deliver, run, and show the scorecard."""
    from pipelines.cli.demo import ChangedError, DemoError, play, refuse

    try:
        refuse(home.resolve())
    except ChangedError as error:
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"{error}; delete all of it and begin anew?")):
            raise fail(f"{error}; delete it with --yes, or name another folder with --home") from None
    except DemoError as error:
        raise fail(error) from None

    def run(home: Home, months: tuple[str, ...]) -> bool:  # what the demo has refused, it shows itself
        return all(r.success for r in _run(home, months))

    if not play(home.resolve(), seed=seed, year=year, console=out, run=run):
        raise typer.Exit(1)
