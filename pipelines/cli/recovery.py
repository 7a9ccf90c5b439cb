"""Losing nothing: what a warehouse says, bringing it up, making it anew, keeping it elsewhere and having it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pipelines.cli.common import HomeOption, JsonOption, app, fail, home_of, out, print_json
from warehouse.store import StoreError


@app.command()
def content(
    released: Annotated[bool, typer.Option("--release", help="Of the release, not of the warehouse itself")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """A hash of what the warehouse says (rows, values, assessments), whatever the way it came to say it; by table with --json."""
    from dataclasses import asdict

    from warehouse.content import content as ask
    from warehouse.store import looking, reading

    place = home_of(home)
    try:
        if not released and not place.warehouse.exists():
            raise fail(f"{place.warehouse} does not exist; nothing was loaded yet")
        with reading(place, hardened=False) if released else looking(place) as store:
            found = ask(store.con)
    except StoreError as error:
        raise fail(error) from None
    if as_json:
        print_json({"sha256": found.sha256, "history_sha256": found.history_sha256, **asdict(found)})
        return
    rows = sum(part.rows for part in found.current.values())
    out.print(
        f"content {found.sha256}   ({rows:,} rows that hold, in {len(found.current)} tables)",
        highlight=False,
        soft_wrap=True,
    )
    former = sum(part.rows for part in found.former.values())
    out.print(f"history {found.history_sha256}   ({former:,} former versions of rows)", highlight=False, soft_wrap=True)


@app.command()
def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Only tell what would be done; 1 if anything is due")] = False,
    home: HomeOption = None,
) -> None:
    """Bring a warehouse that an older version of qala made up to this one, step by step; a copy of it is kept."""
    from warehouse.store import looking
    from warehouse.upgrade import due
    from warehouse.upgrade import upgrade as bring_up

    place = home_of(home)
    try:
        if not check:
            steps = bring_up(place, lambda text: out.print(text, highlight=False, soft_wrap=True, markup=False))
            out.print(f"{len(steps)} steps taken" if steps else "nothing to do: no step is due", highlight=False)
            return
        if not place.warehouse.exists():
            raise fail(f"{place.warehouse} does not exist: there is nothing to upgrade")
        with looking(place) as store:
            steps = due(store.con)
    except StoreError as error:
        raise fail(error) from None
    for step in steps:
        out.print(f"step {step.number}: {step.what}; {step.instead}", highlight=False, soft_wrap=True, markup=False)
    out.print(f"{len(steps)} steps are due" if steps else "nothing to do: no step is due", highlight=False)
    if steps:
        raise typer.Exit(1)


@app.command()
def rebuild(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Warehouse file whose ledger is followed; left out: the warehouse's own, else the release's"
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Put it in place even if it says something else than the old one")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Make the warehouse anew from archive, receipts, contracts, definitions and the old ledger; 1 if it says something else than the old one."""
    from connectors.archive import ArchiveError
    from kpi_definitions.documents import DocumentError
    from pipelines.rebuild import rebuild as make_anew

    place = home_of(home)
    try:
        with out.status("reading the old ledger") as spinner:
            done = make_anew(place, source=source, accept=accept, say=lambda text: spinner.update(Text(text)))
    except (StoreError, DocumentError, ArchiveError) as error:
        raise fail(error) from None
    for text in done.told:
        out.print(text, highlight=False, soft_wrap=True, markup=False)
    out.print(
        f"{done.deliveries:,} deliveries done again, by the ledger of {done.source} up to {done.head[0]}:{done.head[1]}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(
        f"content before {done.before.sha256}\ncontent after  {done.after.sha256}", highlight=False, soft_wrap=True
    )
    for name, (before, after) in done.differing.items():
        out.print(
            f"[red]{name}[/red] differs: {before:,} rows before, {after:,} after", highlight=False, soft_wrap=True
        )
    if not done.in_place:
        raise fail(
            "what was made says something else, so the warehouse stays as it was; if that is right: qala rebuild --accept"
        )
    if done.kept:
        out.print(f"the old warehouse is kept as {done.kept}", highlight=False, soft_wrap=True)
    out.print("the warehouse is in place, the release is still the old one; next: qala run", highlight=False)
    if done.differing:
        raise typer.Exit(1)
