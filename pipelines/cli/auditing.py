"""Walking back from a number, and seeing whether anybody touched anything."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import (
    AsOfOption,
    CatalogueOption,
    HomeOption,
    JsonOption,
    LanguageOption,
    app,
    fail,
    home_of,
    out,
    print_json,
    words_of,
)
from pipelines.cli.completions import kpi_codes, settlement_names
from warehouse.errors import StoreError


@app.command()
def explain(
    kpi: Annotated[
        str,
        typer.Argument(
            help="KPI code: MGT02-1; level or place of a settlement in a year; a sphere or an initiative: SAF, SAF04",
            autocompletion=kpi_codes,
        ),
    ],
    settlement: Annotated[
        str,
        typer.Argument(
            help="KATO or name: 710000000, Astana, Астана; a region, an item 7 group, KZ",
            autocompletion=settlement_names,
        ),
    ],
    period: Annotated[str, typer.Argument(help="2026-01, 2026-Q1, 2026, or any run of months: 2026-01/2026-06")],
    as_of: AsOfOption = None,
    catalogue: CatalogueOption = None,
    language: LanguageOption = "",
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """How one number came about: value, definition, SQL, deliveries, checks, earlier values; how a level is summed, and what decides a place."""
    from kpi_definitions.catalogue import load_catalogues
    from pipelines.cli.screens.explanation import show_explanation
    from pipelines.cli.screens.level import show_level
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.explain import explain as ask
    from warehouse.audit.levels import asks_for_level, explain_level
    from warehouse.store.sessions import reading

    code, show = kpi, show_explanation
    try:
        home = home_of(home_folder)
        with reading(home, with_views=False) as store:
            words = words_of(store, language)
            if asks_for_level(store, code.upper()):
                answer = explain_level(store, code.upper(), settlement, period, catalogue, as_of, language)
                show = show_level
            else:
                answer = ask(store, load_catalogues(home.catalogues), code, settlement, period, as_of, language)
    except (UnknownError, StoreError, DocumentError) as error:
        raise fail(error) from None
    if as_json:
        print_json(answer)
    else:
        show(out, answer, words)


@app.command()
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            help="Kept elsewhere: SEQUENCE:HASH, a line that qala anchor wrote, or a file of such; may be given again",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Public key (PEM, or base64 of 32 bytes) from elsewhere: signatures are checked"),
    ] = None,
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """Whether the release is still what was recorded and what the code derives, point by point; 1 if something differs.

    With two heads or more it also says what happened between them.
    """
    from functools import partial

    from connectors.archive.archive import Archive
    from connectors.reconciliation import reconcile
    from pipelines.cli.screens.verified import show_verified, verified_data
    from pipelines.notifications.notes import note_verification
    from warehouse.audit import between_anchors
    from warehouse.audit.verify import verify as ask
    from warehouse.home import last_done
    from warehouse.release import anchors
    from warehouse.release.signing import public_key

    home = home_of(home_folder)
    try:
        given = [one for text in head or () for one in anchors.read(text)]
        public = public_key(key) if key else None
        archive = Archive(home.archive)
        found = ask(home, given, public, partial(reconcile, archive=archive), archive.open)
        told = between_anchors.spans_between_anchors(home, given) if len(given) > 1 and found.head else []
    except StoreError as error:
        raise fail(error) from None
    counts = {"differences": len(found.differences), "points_unchecked": len(found.unchecked)}
    last_done.note(home, "verified", counts | ({"sequence": found.head[0]} if found.head else {}))
    if as_json:
        print_json(verified_data(found, told))
    else:
        show_verified(out, found, told)
    note_verification(home, found.differences)
    if found.differences:
        raise typer.Exit(1)


@app.command()
def anchor(
    to: Annotated[
        Path | None, typer.Option("--to", help="Append the line to this file; left out: it is printed")
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", help="Write the public key of signatures to this file, for who verifies"),
    ] = None,
    home_folder: HomeOption = None,
) -> None:
    """The anchor of the release: one line to print, to mail, to keep where nobody who writes this home can reach it."""
    from warehouse.home import keys
    from warehouse.release import anchors, signing

    home = home_of(home_folder)
    try:
        line = anchors.of_release(home).line
        if public_key:
            key = keys.needed(home, "signing", "a public key belongs to a signing key")
            public_key.write_text(signing.public_pem(key), encoding="ascii")
            out.print(
                f"public key written to {public_key}; give it to who verifies: qala verify --key", highlight=False
            )
        if to:
            with to.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            out.print(f"anchored in {to}; later: qala verify --head {to}", highlight=False, soft_wrap=True)
        elif not public_key:
            out.print(line, highlight=False, soft_wrap=True)
    except StoreError as error:
        raise fail(error) from None
    except OSError as error:
        raise fail(error) from None


@app.command()
def reperform(
    kpi: Annotated[
        str | None,
        typer.Argument(
            help="KPI code; level or place: the assessments; left out: all of them, and the assessments",
            autocompletion=kpi_codes,
        ),
    ] = None,
    area: Annotated[
        str | None, typer.Argument(help="Settlement, region, item 7 group or KZ by code or name; left out: all")
    ] = None,
    period: Annotated[str | None, typer.Argument(help="2026-01, 2026-Q1, 2026; left out: all")] = None,
    earlier: Annotated[bool, typer.Option("--all", help="Also what was restated since")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of DuckDB: no digit depends on them")] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Measure on clickhouse, chdb or spark, as engine.yaml names them; left out: DuckDB"),
    ] = None,
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """Make published numbers again from the rows, definitions and decisions of their time, and compare; 1 if one differs."""
    from pipelines.cli.screens.rows import show_reperformed
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.reperform import Result
    from warehouse.isolation import worker

    try:
        result: Result = worker.call(
            "warehouse.audit.reperform:reperform_home",
            home_of(home_folder),
            kpi,
            area,
            period,
            earlier,
            threads,
            engine,
        )
    except (UnknownError, StoreError, DocumentError) as error:
        raise fail(error) from None
    if as_json:
        print_json(asdict(result))
    else:
        show_reperformed(out, result)
    if any(result.differing.values()) or not any(result.made.values()):
        raise typer.Exit(1)


@app.command()
def incidents(
    close: Annotated[int | None, typer.Option("--close", help="Close this incident by hand")] = None,
    by: Annotated[str, typer.Option("--by", help="Who closes it; left out: the user at work")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too")] = False,
    language: LanguageOption = "",
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """The journal of data quality incidents; the next run computes what a closed one concerns."""
    from pipelines.cli.screens.lists import incidents_told, show_incidents
    from warehouse.home.account import named
    from warehouse.loading.incidents import close_incident
    from warehouse.store.sessions import reading, writing

    home = home_of(home_folder)
    try:
        if close is not None:
            with writing(home) as store:
                close_incident(store, close, named(by), reason)
            out.print(
                f"incident {close} closed; the values it concerns follow with the next: qala run", highlight=False
            )
            return
        with reading(home, with_views=False) as store:
            words = words_of(store, language)
            if as_json:
                print_json(incidents_told(store, words, closed=all_))
            else:
                show_incidents(out, store, words, closed=all_)
    except StoreError as error:
        raise fail(error) from None
