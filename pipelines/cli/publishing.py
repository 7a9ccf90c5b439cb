"""What is made of a release for those outside. Does not belong here: making the release (running.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import AsOfOption, HomeOption, app, fail, home_of, out
from warehouse.errors import StoreError


@app.command()
def publish(
    as_of: AsOfOption = None,
    agency: Annotated[
        str | None,
        typer.Option(
            "--agency", help="SDMX id of the agency that maintains the structures; else QALA_AGENCY, else QALA"
        ),
    ] = None,
    publisher: Annotated[
        str | None, typer.Option("--publisher", help="Name of who publishes; else QALA_PUBLISHER, else the agency")
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin the files of csv/ with a byte order mark, so that Excel shows Cyrillic")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder; left out: publications, or publications-as-of-N, in the home")
    ] = None,
    home_folder: HomeOption = None,
) -> None:
    """Write the released figures as other systems load them: SDMX, Open SDG, JSON-stat, Frictionless, CSVW, DCAT-AP."""
    from warehouse.publications.publications import Settings, publish_figures

    home, settings = home_of(home_folder), Settings.given(agency, publisher, as_of, bom=bom)
    try:
        done = publish_figures(home, to.resolve() if to else settings.folder(home), settings)
    except StoreError as error:
        raise fail(error) from None
    of = f"release {done.released_seq}" + (
        f" as of ledger sequence {done.seq}" if done.seq != done.released_seq else ""
    )
    out.print(
        f"published {of}: {done.observations:,} observations in {done.files} files, {done.bytes / 1e6:.1f} MB, in {done.folder}",
        highlight=False,
        soft_wrap=True,
    )
    if done.left_out:
        out.print(
            f"left out: {', '.join(done.left_out)}; it needs the package's extra: pip install 'qala-kpi[sdmx]'",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


@app.command()
def contracts(
    to: Annotated[Path | None, typer.Option("--to", help="Folder; left out: released-contracts in the home")] = None,
    home_folder: HomeOption = None,
) -> None:
    """Write a data contract for each table of the release, home tables too, that datacontract-cli and others can test it by."""
    from warehouse.publications.released_contracts import FOLDER, RELEASE, write_contracts

    home = home_of(home_folder)
    folder = to.resolve() if to else home.root / FOLDER
    try:
        names = write_contracts(home, folder)
    except (StoreError, OSError) as error:
        raise fail(error) from None
    out.print(f"{len(names)} contracts of the release's tables in {folder}", highlight=False, soft_wrap=True)
    out.print(
        f"{RELEASE}={home.released_file} datacontract test {folder / names[0]}.odcs.yaml",
        highlight=False,
        soft_wrap=True,
    )
