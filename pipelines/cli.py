"""`qala`: deliver extracts, run months, ask for numbers. Thin: what it says comes from the packages below."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kpi_definitions.documents import DocumentError
from warehouse.store import Home, StoreError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="KPI pipeline of a smart city: extracts in, KPI values out, every number explained.")  # fmt: skip
out = Console()
err = Console(stderr=True)

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Home folder; else QALA_HOME, else ./qala-home", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Plain data instead of tables")]


def _home(folder: Path | None) -> Home:
    return Home(folder.resolve()) if folder else Home.default()


def _fail(message: object) -> typer.Exit:
    err.print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


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

    place = _home(home)
    tables = load_tables()
    try:
        receipt = take(
            Archive(place.archive),
            Declared(file, table, settlement, period, system, rows),
            tables,
            sources_of(place, tables),
        )
    except (DeliveryError, DocumentError) as error:
        raise _fail(error) from None
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
        typer.Argument(help="Months to run: 2026-01, 2026-Q1, 2026-01/2026-06; left out: those with waiting extracts"),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Take in what waits, check, load, compute, publish: the Dagster job, in this process."""
    from connectors.archive import Archive
    from connectors.deliver import collect
    from connectors.intake import sources_of
    from warehouse.contracts import load_tables
    from warehouse.periods import month_id, parse_period

    place = _home(home)
    archive, tables = Archive(place.archive), load_tables()
    try:
        for drop in collect(place.inbox, archive, tables, sources_of(place, tables)) if place.inbox.exists() else []:
            out.print(
                drop.error or f"inbox: {drop.manifest.name}, {len(drop.receipts)} deliveries",
                highlight=False,
                soft_wrap=True,
            )
        wanted = [period] if period else [r.period for r in archive.pending()]
        months = tuple(m for p in wanted for m in parse_period(p).months)
    except (DocumentError, ValueError) as error:
        raise _fail(error) from None
    running = month_id(dt.datetime.now(dt.timezone(dt.timedelta(hours=5))).date())  # Asia/Almaty
    if any(m >= running for m in months):
        out.print(f"months from {running} on have not ended: they wait", highlight=False)
        months = tuple(m for m in months if m < running)
    if not months:
        out.print("nothing to run; deliver an extract (qala deliver --help) or name a period: qala run 2026-01")
        return
    if not _run(place, months):
        raise typer.Exit(1)
    status(home=place.root)


def _run(place: Home, months: tuple[str, ...]) -> bool:
    from pipelines.run import run_months

    with out.status("starting Dagster") as spinner:

        def say(text: str) -> None:
            out.print(f"  {text}", highlight=False, soft_wrap=True)
            spinner.update(text)

        results = run_months(place, months, say)
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
    from warehouse.explain import status as ask
    from warehouse.store import reading

    place = _home(home)
    waiting = len(Archive(place.archive).pending())
    try:
        with reading(place) as store:
            answer = {**ask(store), "waiting": waiting, "home": str(place.root)}
    except StoreError as error:
        if as_json:
            _print_json(
                {
                    "latest_period": None,
                    "deliveries": {},
                    "values": {},
                    "waiting": waiting,
                    "release": None,
                    "home": str(place.root),
                }
            )
            return
        out.print(f"{waiting} extracts wait", highlight=False)
        raise _fail(error) from None
    if as_json:
        _print_json(answer)
    else:
        show.status(out, answer)


@app.command()
def explain(
    kpi: Annotated[str, typer.Argument(help="KPI code: MGT02-1")],
    settlement: Annotated[
        str, typer.Argument(help="KATO or name: 710000000, Astana, Астана; a region, an item 7 group, KZ")
    ],
    period: Annotated[str, typer.Argument(help="2026-01, 2026-Q1, 2026, or any run of months: 2026-01/2026-06")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """How one number came about: value, definition, SQL, deliveries, checks, earlier values."""
    from kpi_definitions.catalogue import load
    from pipelines import show
    from warehouse.explain import UnknownError
    from warehouse.explain import explain as ask
    from warehouse.store import reading

    try:
        place = _home(home)
        with reading(place) as store:
            answer = ask(store, load(place.catalogues), kpi.upper(), settlement, period)
    except (UnknownError, StoreError, DocumentError) as error:
        raise _fail(error) from None
    if as_json:
        _print_json(answer)
    else:
        show.explanation(out, answer)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", help="A ledger head written down elsewhere: SEQUENCE:HASH")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Whether release, ledger, deliveries, definitions, values and archive are still what was recorded; 1 if something differs."""
    from connectors.archive import Archive
    from warehouse.store import ledger_head, reading
    from warehouse.verify import Difference, recorded, release_files

    place = _home(home)
    anchor: tuple[int, str] | None = None
    if head is not None:
        number, _, digest = head.partition(":")
        if not number.isdigit() or len(digest) != 64:
            raise _fail(f"{head!r} is no ledger head: write SEQUENCE:HASH as an earlier qala verify printed it")
        anchor = (int(number), digest)
    try:
        found = release_files(place)
        if any(d.message.startswith(place.released_file.name + ".") for d in found):  # opening would apply it
            now = None
        else:
            with reading(place) as store:
                found += recorded(store, anchor)
                contents = store.con.execute("SELECT DISTINCT sha256 FROM audit.delivery ORDER BY sha256").fetchall()
                found += [
                    Difference("archive", text) for text in Archive(place.archive).damaged(c[0] for c in contents)
                ]
                now = ledger_head(store.con)
    except StoreError as error:
        raise _fail(error) from None
    for one in found:
        out.print(f"[red]{one.subject}[/red]: {one.message}", highlight=False, soft_wrap=True)
    out.print(f"{len(found)} differences", highlight=False)
    if now is not None:
        out.print(
            f"ledger head {now[0]}:{now[1]}; keep it elsewhere and give it to --head later",
            highlight=False,
            soft_wrap=True,
        )
    if found:
        raise typer.Exit(1)


@app.command()
def settlements() -> None:
    """The settlements of item 7 with their KATO codes."""
    from warehouse.store import settlements as ask

    for kato, name in ask().items():
        out.print(f"{kato}  {name}", highlight=False)


@app.command()
def catalogue(
    ours: Annotated[str | None, typer.Argument(help="Compare this catalogue's KPIs ...")] = None,
    theirs: Annotated[str | None, typer.Argument(help="... with this one's")] = None,
    home: HomeOption = None,
) -> None:
    """The lists of initiatives that stand side by side; with two names, what one has of the other."""
    from kpi_definitions.catalogue import compare, load
    from pipelines import show

    try:
        lists = {one.head.id: one for one in load(_home(home).catalogues).lists}
    except DocumentError as error:
        raise _fail(error) from None
    unknown = [name for name in (ours, theirs) if name and name not in lists]
    if unknown:
        raise _fail(f"no catalogue {', '.join(unknown)}; there are {', '.join(lists)}")
    if ours and theirs:
        show.comparison(out, lists[ours], lists[theirs], compare(lists[ours], lists[theirs]))
    else:
        show.catalogues(out, [lists[ours]] if ours else list(lists.values()))


@app.command()
def assess(
    year: Annotated[int, typer.Argument(help="Year to assess")],
    freeze: Annotated[bool, typer.Option("--freeze", help="Make a frozen version: it is never edited")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why a frozen year is assessed again")] = None,
    home: HomeOption = None,
) -> None:
    """The annual assessment of a year from the warehouse as it stands: a draft, or a frozen version; then publish."""
    from kpi_definitions.catalogue import load
    from pipelines import show
    from warehouse.assessment import assess as make
    from warehouse.release import publish
    from warehouse.store import reading, writing

    place = _home(home)
    try:
        lists = load(place.catalogues).lists
        with writing(place) as store:
            for one in lists:
                if one.rules_of(year) is not None:
                    make(store, one, year, freeze=freeze, reason=reason)
        publish(place)
        with reading(place) as store:
            show.scorecard(out, store, year)
    except (DocumentError, StoreError) as error:
        raise _fail(error) from None


@app.command()
def incidents(
    close: Annotated[int | None, typer.Option("--close", help="Close this incident by hand")] = None,
    by: Annotated[str, typer.Option("--by", help="Who closes it")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too")] = False,
    home: HomeOption = None,
) -> None:
    """The journal of data quality incidents; the next run computes what a closed one concerns."""
    from pipelines import show
    from warehouse.quality import close_incident
    from warehouse.store import reading, writing

    place = _home(home)
    try:
        if close is not None:
            with writing(place) as store:
                close_incident(store, close, by, reason)
            out.print(
                f"incident {close} closed; the values it concerns follow with the next: qala run", highlight=False
            )
            return
        with reading(place) as store:
            show.incidents(out, store, closed=all_)
    except StoreError as error:
        raise _fail(error) from None


@app.command()
def check(home: HomeOption = None) -> None:
    """Check every contract and definition; each fault with file and line."""
    from pipelines.check import all_faults

    faults, counts = all_faults(_home(home))
    for fault in faults:
        path = fault.path.relative_to(Path.cwd()) if fault.path.is_relative_to(Path.cwd()) else fault.path
        out.print(
            f"{path}:{fault.line}: {fault.message}" + (f"\n    {fault.remedy}" if fault.remedy else ""),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    out.print(", ".join(f"{n} {what}" for what, n in counts.items()) + f": {len(faults)} faults", highlight=False)
    if faults:
        raise typer.Exit(1)


@app.command()
def fingerprint(home: HomeOption = None) -> None:
    """Record the fingerprints of new KPI versions; those recorded are never overwritten."""
    from kpi_definitions.catalogue import load, record_fingerprints

    try:
        added = [label for one in load(_home(home).catalogues).lists for label in record_fingerprints(one)]
    except DocumentError as error:
        raise _fail(error) from None
    out.print(f"recorded: {', '.join(added) or 'nothing new'}", highlight=False)


@app.command()
def schemas() -> None:
    """Write the JSON Schemas that editors use for definitions and contracts."""
    from pipelines.check import write_schemas

    for path in write_schemas():
        out.print(f"wrote {path}", highlight=False)


@app.command()
def docs() -> None:
    """Write the pages under docs/reference: data dictionary, KPIs with their case passports, standards."""
    from kpi_definitions.catalogue import load
    from pipelines.reference import write
    from warehouse.contracts import load_tables

    try:
        for path in write(load(), load_tables()):
            out.print(f"wrote {path}", highlight=False)
    except DocumentError as error:
        raise _fail(error) from None


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine")] = 3000, home: HomeOption = None) -> None:
    """Open the Dagster UI with its daemon (schedule, sensor, back-fills) on http://localhost:PORT."""
    from pipelines.run import prepare

    place = _home(home)
    prepare(place)
    executable = str(Path(sys.executable).with_name("dagster"))
    workspace = Path(__file__).parent.parent / "workspace.yaml"  # there in a checkout, not in an installed wheel
    where = ["-w", str(workspace)] if workspace.exists() else ["-m", "pipelines.definitions"]
    # replaces this process: Ctrl-C reaches Dagster itself
    os.execv(executable, [executable, "dev", *where, "-p", str(port)])  # noqa: S606


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
        raise _fail(error) from None
    if not done:
        raise typer.Exit(1)


def _print_json(data: Any) -> None:
    from decimal import Decimal

    def plain(value: Any) -> Any:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value.isoformat() if hasattr(value, "isoformat") else str(value)

    sys.stdout.write(json.dumps(data, default=plain, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    app()
