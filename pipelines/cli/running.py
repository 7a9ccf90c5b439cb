"""Taking extracts in, running months, looking at how it stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, err, fail, home_of, out, print_json
from warehouse.store import Home, StoreError


@app.command()
def deliver(
    file: Annotated[Path, typer.Argument(help="The extract as it is: CSV, zip of CSV, Parquet")],
    table: Annotated[str, typer.Option("--table", "-t", help="Showcase table it feeds, e.g. fct_appeal")],
    period: Annotated[str, typer.Option("--period", "-p", help="2026-01, 2026-Q1, 2026-S1, 2026 or 2026-01/2026-06")],
    settlement: Annotated[
        str, typer.Option("--settlement", "-s", help="KATO of the settlement; two digits: a region; KZ: the country")
    ],
    system: Annotated[
        str,
        typer.Option(
            "--system", help="Source system whose contract the file follows; left out: the standard exchange format"
        ),
    ] = "standard",
    rows: Annotated[int | None, typer.Option("--rows", help="Rows the sender says the file has")] = None,
    home: HomeOption = None,
) -> None:
    """Archive an extract; the next run takes it in. Works while a run goes on."""
    from connectors.archive import Archive
    from connectors.deliver import Declared, DeliveryError
    from connectors.deliver import deliver as take
    from connectors.intake import sources_of
    from warehouse.contracts import load_tables
    from warehouse.periods import parse_period

    place = home_of(home)
    tables = load_tables()
    try:
        receipt = take(
            Archive(place.archive),
            Declared(file, table, settlement, period, system, rows),
            tables,
            sources_of(place, tables),
        )
    except (DeliveryError, DocumentError) as error:
        raise fail(error) from None
    out.print(
        f"received {receipt.file_name}: {receipt.bytes:,} bytes, SHA-256 {receipt.sha256}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(
        f"receipt {receipt.receipt_id}; next: qala run   (month {parse_period(period).closing_month})",
        highlight=False,
        soft_wrap=True,
    )


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
    home: HomeOption = None,
) -> None:
    """Take in what waits, check, load, compute, publish: the Dagster job, in this process."""
    from connectors.archive import Archive
    from connectors.corrections import read_corrections
    from connectors.deliver import collect
    from connectors.intake import sources_of
    from kpi_definitions.catalogue import load
    from pipelines.todo import todo
    from warehouse import lost
    from warehouse.contracts import load_tables
    from warehouse.due import running_month
    from warehouse.periods import parse_period
    from warehouse.sound import refuse_faulty

    place = home_of(home)
    archive, tables = Archive(place.archive), load_tables()
    try:
        catalogue = load(place.catalogues)
        refuse_faulty(catalogue)
        if start_anew:
            aside, again = lost.set_aside(place), archive.wait_again()
            out.print(
                f"the release is now {aside}" if aside else "there is no release to set aside",
                highlight=False,
                soft_wrap=True,
            )
            out.print(f"{again:,} receipts wait again", highlight=False)
        for drop in collect(place.inbox, archive, tables, sources_of(place, tables)) if place.inbox.exists() else []:
            out.print(
                drop.error or f"inbox: {drop.manifest.name}, {len(drop.receipts)} deliveries",
                highlight=False,
                soft_wrap=True,
            )
        work = todo(place, archive.pending(), read_corrections(place.corrections, tables), catalogue)
        months = parse_period(period).months if period else work.months
    except (DocumentError, StoreError, ValueError) as error:
        raise fail(error) from None
    running = running_month()
    if work.early or any(m >= running for m in months):
        out.print(f"months from {running} on have not ended: they wait", highlight=False)
        months = tuple(m for m in months if m < running)
    if work.said:
        out.print(f"what is still to be computed cannot be told: {work.said}", highlight=False, soft_wrap=True)
    if not period and work.due and work.due.months:
        out.print(
            f"loaded, not computed or not released: {', '.join(work.due.months)}", highlight=False, soft_wrap=True
        )
    if not months:
        out.print("nothing to run; deliver an extract (qala deliver --help) or name a period: qala run 2026-01")
        return
    if not _run(place, months, None if period else work.tables, None if period else work.codes):
        raise typer.Exit(1)
    status(home=place.root)


def _run(
    place: Home,
    months: tuple[str, ...],
    tables: Collection[str] | None = None,
    codes: Collection[str] | None = None,
) -> bool:
    from pipelines.run import run_months

    with out.status("starting Dagster") as spinner:

        def say(text: str) -> None:
            out.print(f"  {text}", highlight=False, soft_wrap=True)
            spinner.update(text)

        results = run_months(place, months, say, tables, codes)
    for result in results:
        span = result.first if result.first == result.last else f"{result.first} to {result.last}"
        if result.success:
            out.print(f"run {result.run_id[:8]}: {span} done", highlight=False)
        for failure in result.failures:
            err.print(
                f"[red]run {result.run_id[:8]}: {span} failed[/red] in {failure}", highlight=False, soft_wrap=True
            )
    return all(r.success for r in results)


@app.command()
def status(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """How the released warehouse stands, and what waits."""
    from connectors.archive import Archive
    from pipelines import show
    from warehouse.audit.explain import status as ask
    from warehouse.store import reading

    place = home_of(home)
    waiting = len(Archive(place.archive).pending())
    still, told = _still_due(place)
    try:
        with reading(place) as store:
            answer = {**ask(store), "waiting": waiting, **still, "home": str(place.root)}
    except StoreError as error:
        if as_json:
            print_json(
                {
                    "latest_period": None,
                    "deliveries": {},
                    "values": {},
                    "waiting": waiting,
                    **still,
                    "release": None,
                    "home": str(place.root),
                }
            )
            return
        out.print(f"{waiting} extracts wait", highlight=False)
        _say_due(still, told)
        raise fail(error) from None
    if as_json:
        print_json(answer)
    else:
        show.status(out, answer)
        _say_due(still, told)


def _still_due(place: Home) -> tuple[dict[str, list[str] | None], str]:
    """Months that were loaded, or whose definitions are new, and not computed since, and those computed and not released; or why it cannot be told."""
    from kpi_definitions.catalogue import load
    from warehouse.due import due_home

    try:
        found = due_home(place, load(place.catalogues))
    except (DocumentError, StoreError) as error:
        return {"loaded_not_computed": None, "computed_not_released": None}, str(error)
    return {"loaded_not_computed": list(found.uncomputed), "computed_not_released": list(found.unreleased)}, ""


def _say_due(still: dict[str, list[str] | None], told: str) -> None:
    if told:
        out.print(f"loaded, not computed: cannot be told ({told})", highlight=False, soft_wrap=True)
    for name, months in still.items():
        if months:
            what = name.replace("_not_", ", not ")
            out.print(f"{what}: {', '.join(months)}   (next: qala run)", highlight=False, soft_wrap=True)


@app.command()
def settlements() -> None:
    """The settlements of item 7 with their KATO codes."""
    from warehouse.store import settlements as ask

    for kato, name in ask().items():
        out.print(f"{kato}  {name}", highlight=False)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine")] = 3000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For auditors: everything can be seen, nothing can be started")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Open the Dagster UI with its daemon (schedule, sensor, back-fills) on http://localhost:PORT; --read-only without daemon."""
    from pipelines.run import prepare

    place = home_of(home)
    prepare(place)
    workspace = Path(__file__).parents[2] / "workspace.yaml"  # there in a checkout, not in an installed wheel
    where = ["-w", str(workspace)] if workspace.exists() else ["-m", "pipelines.definitions"]
    name = "dagster-webserver" if read_only else "dagster"
    executable = str(Path(sys.executable).with_name(name))
    words = ["--read-only"] if read_only else ["dev"]
    # replaces this process: Ctrl-C reaches Dagster itself
    os.execv(executable, [executable, *words, *where, "-p", str(port)])  # noqa: S606


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="A folder of its own: it is emptied first")] = Path("qala-demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another imaginary year")] = 469,
    year: Annotated[int, typer.Option(help="Year to simulate")] = 2025,
) -> None:
    """Twelve imaginary cities over a year: simulate, deliver, run, and show the scorecard."""
    from pipelines.demo import DemoError, play

    try:
        done = play(home.resolve(), seed=seed, year=year, console=out, run=_run)
    except DemoError as error:
        raise fail(error) from None
    if not done:
        raise typer.Exit(1)
