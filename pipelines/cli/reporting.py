"""`qala report`: a release as pages. Does not belong here: what pages show (warehouse/report/), making the release (running.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import HomeOption, app, fail, home_of, out
from warehouse.errors import StoreError


@app.command()
def report(
    release: Annotated[
        Path | None, typer.Option("--release", help="A released file, wherever it lies; left out: that of the home")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder; left out: report in the home")] = None,
    lang: Annotated[str, typer.Option("--lang", help="kk, ru, en, several with commas, or all")] = "all",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: 1 if the folder is not the report of the release")
    ] = False,
    home_folder: HomeOption = None,
) -> None:
    """Write the release as pages that anybody opens: from a folder, a memory stick or any web server."""
    from warehouse.messages.messages import LANGUAGES, LanguageError, language_of
    from warehouse.report.site import is_of, write_report

    home = home_of(home_folder, needed=release is None)
    file, folder = (release or home.released_file).resolve(), (to or home.report).resolve()
    try:
        if check:
            if not is_of(folder, file):
                raise fail(f"{folder} is not the report of {file}; make it: qala report")
            out.print(f"{folder} is the report of {file}", highlight=False, soft_wrap=True)
            return
        asked = (
            LANGUAGES if lang == "all" else tuple(dict.fromkeys(language_of(one.strip()) for one in lang.split(",")))
        )
        with out.status("writing pages"):
            done = write_report(file, folder, asked)
    except (LanguageError, StoreError) as error:
        raise fail(error) from None
    said = f"report of release {done.seq}: {done.pages:,} pages, {done.bytes / 1e6:.1f} MB; open {done.start}"
    out.print(said, highlight=False, soft_wrap=True)
