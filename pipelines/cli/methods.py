"""Definitions, contracts, catalogues and the assessment made by them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, LanguageOption, app, fail, home_of, out, print_json, words_of
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import told_in


@app.command()
def catalogue(
    ours: Annotated[
        str | None, typer.Argument(help="Compare this catalogue's KPIs ...; or the word new: make an empty catalogue")
    ] = None,
    theirs: Annotated[
        str | None, typer.Argument(help="... with this one's; after new: what it is to be called")
    ] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="After new: first day of effect; left out: 1 January of the next year"
        ),
    ] = None,
    language: LanguageOption = "",
    home: HomeOption = None,
) -> None:
    """The lists of initiatives that stand side by side; with two names, what one has of the other; new NAME makes an empty one."""
    from kpi_definitions.catalogue import compare, load_catalogues
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.lists import show_catalogues, show_comparison

    place = home_of(home, begins=ours == "new", needed=False)
    if ours == "new":
        _new_catalogue(place, theirs, since)
        return
    try:
        lists = {one.head.id: one for one in load_catalogues(place.catalogues).lists}
    except DocumentError as error:
        raise fail(error) from None
    unknown = [name for name in (ours, theirs) if name and name not in lists]
    if unknown:
        from kpi_definitions.nearest import meant

        raise fail(f"no catalogue {', '.join(unknown)}; {meant(unknown[0], lists)}")
    if ours and theirs:
        show_comparison(out, lists[ours], lists[theirs], compare(lists[ours], lists[theirs]), Words(language))
    else:
        show_catalogues(out, [lists[ours]] if ours else list(lists.values()), Words(language))


def _new_catalogue(home: Home, name: str | None, since: dt.datetime | None) -> None:
    from pipelines.cli.new import first_day, write_first
    from pipelines.first_versions.new_catalogue import new_catalogue

    if name is None:
        raise fail("say what the catalogue is to be called: qala catalogue new official-2027")
    write_first(lambda: new_catalogue(home, name, first_day(since)))


@app.command()
def assess(
    year: Annotated[int, typer.Argument(help="Year to assess")],
    freeze: Annotated[bool, typer.Option("--freeze", help="Make a frozen version: it is never edited")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why a frozen year is assessed again")] = None,
    by: Annotated[str, typer.Option("--by", help="Who freezes it; left out: the user at work")] = "",
    language: LanguageOption = "",
    home: HomeOption = None,
) -> None:
    """The annual assessment of a year from the warehouse as it stands: a draft, or a frozen version; then publish."""
    from connectors.archive.archive import Archive
    from kpi_definitions.catalogue import load_catalogues
    from pipelines.cli.screens.status import show_scorecard
    from warehouse.kpi_values.assessment import assess as make
    from warehouse.kpi_values.assessment import computed_years
    from warehouse.kpi_values.outstanding import running_month
    from warehouse.release.release import publish
    from warehouse.store.sessions import reading, writing

    place = home_of(home)
    try:
        lists = [one for one in load_catalogues(place.catalogues).lists if one.rules_of(year) is not None]
        if not lists:
            raise fail(f"no catalogue assesses {year}; those that there are, and from when: qala catalogue")
        with writing(place) as store:
            if str(year) not in (years := computed_years(store)):
                begun = str(year) <= running_month()[:4]
                raise fail(
                    f"nothing was computed for {year}; there are values of {', '.join(years) or 'no year yet'}: "
                    + (f"deliver extracts, then qala run {year}" if begun else "it has not begun")
                )
            for one in lists:
                make(store, one, year, freeze=freeze, reason=reason, by=by)
        publish(place, Archive(place.archive).missing)
        with reading(place) as store:
            show_scorecard(out, store, year, words_of(store, language))
    except (DocumentError, StoreError) as error:
        raise fail(error) from None


@app.command()
def diff(
    catalogues: Annotated[
        Path | None, typer.Option("--catalogues", help="A folder of catalogues in place of the home's own")
    ] = None,
    language: LanguageOption = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """What the next run would change, and by how much: extracts, corrections, definitions and rules that wait. Changes nothing."""
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.dry_run import show_changes
    from pipelines.methods.dry_run import dry_run_home

    if catalogues is not None and not catalogues.is_dir():
        raise fail(
            f"{catalogues} is no folder of catalogues; name one like <home>/catalogues, or leave --catalogues out"
        )
    try:
        answer = dry_run_home(home_of(home), catalogues)
    except (DocumentError, StoreError) as error:
        raise fail(error) from None
    if as_json:
        print_json(told_in(answer, language))
    else:
        show_changes(out, answer, Words(language))


@app.command()
def check(home: HomeOption = None) -> None:
    """Check every contract and definition, each fault with file and line; and say which KPIs each system's contract can feed."""
    from pipelines.methods.check import all_faults

    faults, counts = all_faults(home_of(home, needed=False))
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
    from pipelines.methods.kpis_by_source import kpis_by_source

    for line in kpis_by_source(home_of(home, needed=False)):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def fingerprint(home: HomeOption = None) -> None:
    """Record the fingerprints of new KPI versions; those recorded are never overwritten."""
    from kpi_definitions.catalogue import load_catalogues, record_fingerprints

    try:
        added = [
            label
            for one in load_catalogues(home_of(home, needed=False).catalogues).lists
            for label in record_fingerprints(one)
        ]
    except DocumentError as error:
        raise fail(error) from None
    out.print(f"recorded: {', '.join(added) or 'nothing new'}", highlight=False)


@app.command()
def schemas() -> None:
    """Write the JSON Schemas that editors use for definitions and contracts."""
    from pipelines.methods.check import write_schemas

    for path in write_schemas():
        out.print(f"wrote {path}", highlight=False)


@app.command()
def docs(
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Write those of a home's own tables and lists too, into its reference/"),
    ] = None,
) -> None:
    """Write the pages under docs/reference: data dictionary, KPIs with their case passports, standards; or those of a home."""
    from kpi_definitions.catalogue import load_catalogues
    from pipelines.checkout import needed
    from pipelines.methods.reference_docs import pages, pages_of_a_home, write
    from warehouse.tables.contracts import load_tables
    from warehouse.tables.home_tables import tables_of

    try:
        if home is None:
            needed("qala docs without --home writes the pages of docs/reference")
            written = write(pages(load_catalogues(), load_tables()))
        else:
            place = home_of(home)
            written = write(
                pages_of_a_home(load_catalogues(place.catalogues), tables_of(place)), place.root / "reference"
            )
        for path in written:
            out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    except DocumentError as error:
        raise fail(error) from None
