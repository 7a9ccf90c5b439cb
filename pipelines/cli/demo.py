"""`qala demo`: two imaginary years of twelve cities through the real pipeline, and what came of them."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.mapping.contract_checks import STANDARD
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.simulator.generate import NOTES, SPECIALS, TARGETS, simulate
from pipelines.cli.common import words_of
from pipelines.cli.screens.status import show_next_steps, show_refusals, show_scorecard, show_status, show_values
from warehouse.audit.status import release_status
from warehouse.home.home import Home
from warehouse.home.keys import current, make
from warehouse.messages.messages import language_of
from warehouse.periods import parse_period
from warehouse.report.site import write_report
from warehouse.store.sessions import reading
from warehouse.tables.home_tables import tables_of

MARK = ".qala-demo"  # holds what the home was like when the demo had made it
_NOT_THE_DEMOS = {
    MARK,
    "dagster",
    "scratch",
    "report",
    "publications",
    ".writer.lock",
}  # change without anybody's doing


class DemoError(RuntimeError):
    """The demo's folder holds something else."""


class ChangedError(DemoError):
    """The folder is a former demo that was worked with, or that did not end: what it holds is lost if it is made anew."""


def refuse(folder: Path) -> None:
    """Raises DemoError if `folder` is no demo and not empty, ChangedError if it is one, but not as the demo made it."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).is_file():
        raise DemoError(f"{folder} is not empty and no former demo; name another with --home")
    if (folder / MARK).read_text(encoding="utf-8") != state(folder):
        raise ChangedError(f"{folder} is a demo that was changed since it was made, or that did not end")


def state(folder: Path) -> str:
    """SHA-256 over names, sizes and times of the files of a home."""
    digest = hashlib.sha256()
    for path in sorted(p for top in folder.iterdir() if top.name not in _NOT_THE_DEMOS for p in (top, *top.rglob("*"))):
        if path.is_file():
            facts = path.stat()
            digest.update(f"{path.relative_to(folder)}|{facts.st_size}|{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def play(folder: Path, *, seed: int, year: int, console: Console, run: Callable[[Home, tuple[str, ...]], bool]) -> bool:
    """Simulate, deliver and run the year before and the year, then show what came of them. What is in `folder` goes (see `refuse`)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    home = Home(folder)
    for purpose in ("pseudonym", "archive"):  # of imaginary people, and gone with the folder
        if not current(home, purpose):
            make(home, purpose)
    if not (_year(home, year - 1, seed, console, run, first=True) and _year(home, year, seed, console, run)):
        return False
    with reading(home) as store:
        words = words_of(store, language_of())
        show_values(console, store, words)
        show_scorecard(console, store, words=words)
        show_refusals(console, store, words)
        waiting = len(Archive(home.archive).pending())
        show_status(console, {**release_status(store), "waiting": waiting, "home": str(folder)}, words)
    with console.status("writing pages"):
        pages = write_report(home.released_file, home.report)
    console.print(f"{pages.pages:,} pages for people: open {pages.start}", highlight=False, soft_wrap=True)
    show_next_steps(console, _next_steps(folder, year))
    (folder / MARK).write_text(state(folder), encoding="utf-8")
    return True


def _year(
    home: Home,
    year: int,
    seed: int,
    console: Console,
    run: Callable[[Home, tuple[str, ...]], bool],
    first: bool = False,
) -> bool:
    """One year through the pipeline. In the first nothing special happens, and there is no Strategy yet: it sets out from that year's values."""
    tables, archive = tables_of(home), Archive(home.archive)
    sources = load_source_contracts(home, tables)
    wanted = {name: table for name, table in tables.items() if not (first and name == TARGETS)}
    files = rows = 0
    corrections: list[DeclaredDelivery] = []
    with console.status(f"simulating extracts of {year}"):
        for extract in simulate(
            wanted,
            home.root / "extracts",
            year=year,
            seed=seed,
            specials=() if first else SPECIALS,
            last_year={} if first else _values_of(home, year - 1),
        ):
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
    return True


def _values_of(home: Home, year: int) -> dict[str, dict[str, float]]:
    """KATO → KPI → value of a released year."""
    found: dict[str, dict[str, float]] = {}
    with reading(home) as store:
        query = "SELECT kato, kpi_code, value FROM year_values WHERE year = ? AND value IS NOT NULL"
        for kato, kpi_code, value in store.con.execute(query, [year]).fetchall():
            found.setdefault(kato, {})[kpi_code] = value
    return found


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
