"""`qala demo`: an imaginary year of twelve cities through the real pipeline, and what came of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.mapping.contract_checks import STANDARD
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.simulator.generate import NOTES, simulate
from pipelines.cli.common import words_of
from pipelines.cli.screens.status import show_next_steps, show_refusals, show_scorecard, show_status, show_values
from warehouse.audit.status import release_status
from warehouse.home.home import Home
from warehouse.home.keys import current, make
from warehouse.messages.messages import language_of
from warehouse.periods import parse_period
from warehouse.store.sessions import reading
from warehouse.tables.contracts import load_tables

MARK = ".qala-demo"


class DemoError(RuntimeError):
    """The demo's folder holds something else."""


def play(folder: Path, *, seed: int, year: int, console: Console, run: Callable[[Home, tuple[str, ...]], bool]) -> bool:
    """Simulate, deliver, run, show. `folder` is emptied first if it is a former demo. Raises DemoError if it is not."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise DemoError(f"{folder} is not empty and no former demo; name another with --home")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    home, tables = Home(folder), load_tables()
    for purpose in ("pseudonym", "archive"):  # of imaginary people, and gone with the folder
        if not current(home, purpose):
            make(home, purpose)
    archive, sources = Archive(home.archive), load_source_contracts(home, tables)
    files = rows = 0
    corrections: list[DeclaredDelivery] = []
    with console.status("simulating extracts"):
        for extract in simulate(tables, folder / "extracts", year=year, seed=seed):
            declared = DeclaredDelivery(
                extract.path, extract.table, extract.scope, extract.period, extract.system or STANDARD
            )
            if extract.note == NOTES["corrected"]:
                corrections.append(declared)  # comes when the year has been published: it restates
                continue
            deliver(archive, declared, tables, sources)
            files, rows = files + 1, rows + extract.rows
    console.print(
        f"{files:,} extracts with {rows:,} rows of imaginary cities delivered for {year} (seed {seed})", highlight=False
    )
    if not run(home, parse_period(str(year)).months):
        return False
    for declared in corrections:
        console.print(
            f"a corrected extract arrives: {declared.file.name} for {declared.scope} {declared.period}", highlight=False
        )
        deliver(archive, declared, tables, sources)
        if not run(home, parse_period(declared.period).months):
            return False
    with reading(home) as store:
        words = words_of(store, language_of())
        show_values(console, store, words)
        show_scorecard(console, store, words=words)
        show_refusals(console, store, words)
        status = {**release_status(store), "waiting": len(archive.pending()), "home": str(folder)}
        show_status(console, status, words)
    show_next_steps(console, _next_steps(folder, year))
    return True


def _next_steps(folder: Path, year: int) -> list[tuple[str, str]]:
    """(command, what it shows) of what to try on the demo's home."""
    name = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    program = Path(sys.argv[0]).absolute()
    qala = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program.name
    return [
        (f"{qala} explain MGT02-1 Almaty {year}-03 --home {name}", "walk from a number back to the files"),
        (f"{qala} explain MGT02-1 Pavlodar {year}-03 --home {name}", "a number restated by a corrected extract"),
        (
            f"{qala} explain SAF02-1 republican {year} --home {name}",
            "a number over a group of settlements and a year",
        ),
        (f"{qala} incidents --home {name}", "what is wrong with the data just now"),
        (f"{qala} explain place Pavlodar {year} --home {name}", "a city's place, and what decides it"),
        (f"{qala} assess {year} --freeze --home {name}", "freeze the assessment"),
        (f"{qala} ui --home {name}", "the Dagster UI: assets, checks, lineage"),
        (
            f"open {name}/release/qala.duckdb in any DuckDB client",
            "FROM scorecard; FROM kpi_values; FROM compliance; FROM plan_beside_fact",
        ),
    ]
