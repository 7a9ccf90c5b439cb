"""Walking back from a number, and seeing whether anybody touched anything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import (
    AsOfOption,
    CatalogueOption,
    HomeOption,
    JsonOption,
    app,
    fail,
    home_of,
    out,
    print_json,
)
from warehouse.store import StoreError


@app.command()
def explain(
    kpi: Annotated[
        str,
        typer.Argument(
            help="KPI code: MGT02-1; level or place of a settlement in a year; a sphere or an initiative: SAF, SAF04"
        ),
    ],
    settlement: Annotated[
        str, typer.Argument(help="KATO or name: 710000000, Astana, Астана; a region, an item 7 group, KZ")
    ],
    period: Annotated[str, typer.Argument(help="2026-01, 2026-Q1, 2026, or any run of months: 2026-01/2026-06")],
    as_of: AsOfOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """How one number came about: value, definition, SQL, deliveries, checks, earlier values; how a level is summed, and what decides a place."""
    from kpi_definitions.catalogue import load
    from pipelines import show, show_standing
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.explain import explain as ask
    from warehouse.audit.standing import is_standing, standing
    from warehouse.store import reading

    code, shown = kpi.upper(), show.explanation
    try:
        place = home_of(home)
        with reading(place) as store:
            if is_standing(store, code):
                answer, shown = standing(store, code, settlement, period, catalogue, as_of), show_standing.standing
            else:
                answer = ask(store, load(place.catalogues), code, settlement, period, as_of)
    except (UnknownError, StoreError, DocumentError) as error:
        raise fail(error) from None
    if as_json:
        print_json(answer)
    else:
        shown(out, answer)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", help="A ledger head written down elsewhere: SEQUENCE:HASH")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Whether release, ledger, deliveries, definitions, values and archive are still what was recorded; 1 if something differs."""
    from connectors.archive import Archive
    from warehouse.audit.verify import Difference, recorded, release_files
    from warehouse.store import ledger_head, reading

    place = home_of(home)
    anchor: tuple[int, str] | None = None
    if head is not None:
        number, _, digest = head.partition(":")
        if not number.isdigit() or len(digest) != 64:
            raise fail(f"{head!r} is no ledger head: write SEQUENCE:HASH as an earlier qala verify printed it")
        anchor = (int(number), digest)
    try:
        found = release_files(place)
        if any(d.message.startswith(place.released_file.name + ".") for d in found):  # opening would apply it
            now = None
        else:
            with reading(place, hardened=False) as store:
                found += recorded(store, anchor)
                contents = store.con.execute(
                    "SELECT sha256 FROM audit.delivery UNION SELECT sha256 FROM audit.correction ORDER BY 1"
                ).fetchall()
                found += [
                    Difference("archive", text) for text in Archive(place.archive).damaged(c[0] for c in contents)
                ]
                now = ledger_head(store.con)
    except StoreError as error:
        raise fail(error) from None
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
def reperform(
    kpi: Annotated[
        str | None,
        typer.Argument(help="KPI code; level or place: the assessments; left out: all of them, and the assessments"),
    ] = None,
    area: Annotated[
        str | None, typer.Argument(help="Settlement, region, item 7 group or KZ by code or name; left out: all")
    ] = None,
    period: Annotated[str | None, typer.Argument(help="2026-01, 2026-Q1, 2026; left out: all")] = None,
    earlier: Annotated[bool, typer.Option("--all", help="Also what was restated since")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the engine: no digit depends on them")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make published numbers again from the rows, definitions and decisions of their time, and compare; 1 if one differs."""
    from pipelines import show
    from warehouse import apart
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.reperform import Result

    try:
        result: Result = apart.call(
            "warehouse.audit.reperform:reperform_home",
            home_of(home),
            kpi.upper() if kpi else None,
            area,
            period,
            earlier,
            threads,
        )
    except (UnknownError, StoreError) as error:
        raise fail(error) from None
    if as_json:
        print_json(asdict(result))
    else:
        show.reperformed(out, result)
    if any(result.differing.values()) or not any(result.made.values()):
        raise typer.Exit(1)


@app.command()
def incidents(
    close: Annotated[int | None, typer.Option("--close", help="Close this incident by hand")] = None,
    by: Annotated[str, typer.Option("--by", help="Who closes it; left out: the user at work")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too")] = False,
    home: HomeOption = None,
) -> None:
    """The journal of data quality incidents; the next run computes what a closed one concerns."""
    from pipelines import show
    from warehouse.quality import close_incident
    from warehouse.store import reading, writing
    from warehouse.who import named

    place = home_of(home)
    try:
        if close is not None:
            with writing(place) as store:
                close_incident(store, close, named(by), reason)
            out.print(
                f"incident {close} closed; the values it concerns follow with the next: qala run", highlight=False
            )
            return
        with reading(place) as store:
            show.incidents(out, store, closed=all_)
    except StoreError as error:
        raise fail(error) from None
