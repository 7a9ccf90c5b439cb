"""`qala engine`: which engine measures, what it holds, bringing it in step with the warehouse, and counting it again.

Does not belong here: what an engine is and does (warehouse/engines/), how it is shown (screens/engine.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, fail, home_of, out, print_json
from warehouse.errors import StoreError
from warehouse.home.home import Home

if TYPE_CHECKING:
    from warehouse.engines.engine import Engine

_NO_BAR = "SET enable_progress_bar = false"  # DuckDB's own would be written over ours
_FIRST = 20  # differences that are shown
engines = typer.Typer(
    help="Which engine measures, what it holds, and whether it is in step.", invoke_without_command=True
)
app.add_typer(engines, name="engine")


@engines.callback()
def show(context: typer.Context, as_json: JsonOption = False, home_folder: HomeOption = None) -> None:
    """Which engine measures, its version and machines, what it holds by table, and whether it is in step with the warehouse."""
    if context.invoked_subcommand is not None:
        return
    from pipelines.cli.screens.engine import engine_data, show_engine
    from warehouse.engines.settings import chosen_engine
    from warehouse.engines.state import engine_state

    home = home_of(home_folder)
    with _opened(home, as_json=as_json) as found:
        if found is not None:
            engine, folder = found
            state, by = engine_state(home, engine, folder), chosen_engine(home).by
            if as_json:
                print_json({**engine_data(engine.name, state), "chosen_by": by})
            else:
                show_engine(out, engine.name, by, state)


@engines.command()
def check(home_folder: HomeOption = None) -> None:
    """Whether the engine answers and is as it must be: version, time zone, settings, rights; nothing is loaded or computed."""
    with _opened(home_of(home_folder)) as found:
        if found is not None:
            facts = found[0].ready()
            machines = "1 machine" if facts.machines == 1 else f"{facts.machines} machines"
            out.print(
                f"ready: {found[0].name} {facts.version}, {facts.where}, {machines}", highlight=False, soft_wrap=True
            )


@engines.command()
def load(home_folder: HomeOption = None) -> None:
    """Bring the engine in step with the warehouse: what changed since is handed over and counted there again. A run does it by itself."""
    from warehouse.engines.step import bring_in_step
    from warehouse.store.sessions import writing

    home = home_of(home_folder)
    with _opened(home) as found:
        if found is None:
            return
        engine, folder = found
        if not home.warehouse.exists():
            raise fail(f"{home.warehouse} does not exist; nothing was loaded yet")
        facts = engine.ready()
        with out.status(f"bringing {engine.name} in step") as spinner, writing(home) as store:
            store.con.execute(_NO_BAR)
            before = {(table, name) for table in store.tables for name in engine.rows(table)}
            showcase = bring_in_step(store, engine, facts, folder, lambda text: spinner.update(Text(text)))
    now = {(one.table, one.name) for one in showcase.loads}
    rows = sum(one.rows for one in showcase.loads)
    out.print(
        f"{engine.name} is in step with ledger sequence {showcase.seq}: {rows:,} rows in {len(now):,} loads; "
        f"{len(now - before):,} taken, {len(before - now):,} dropped",
        highlight=False,
        soft_wrap=True,
    )


@engines.command()
def verify(as_json: JsonOption = False, home_folder: HomeOption = None) -> None:
    """Count every row in the engine again, and hold it against the warehouse's own count; 1 if something differs."""
    from dataclasses import asdict

    from warehouse.engines.showcase import read_showcase
    from warehouse.engines.state import engine_differences
    from warehouse.engines.step import take_again
    from warehouse.store.sessions import reading

    home = home_of(home_folder)
    with _opened(home, as_json=as_json) as found:
        if found is None:
            return
        engine, folder = found
        showcase = read_showcase(folder)
        facts = engine.ready()
        released = reading(home, hardened=False) if home.released_file.exists() else nullcontext()
        with out.status(f"counting in {engine.name}") as spinner, released as release:
            if release is not None:
                release.con.execute(_NO_BAR)
            differences = engine_differences(engine, showcase, release, lambda text: spinner.update(Text(text)))
        take_again(engine, facts, folder, [(one.table, one.load) for one in differences])
    rows = sum(one.rows for one in showcase.loads)
    if as_json:
        print_json(
            {"engine": engine.name, "seq": showcase.seq, "rows": rows, "differences": [asdict(d) for d in differences]}
        )
    else:
        for one in differences:
            out.print(f"[red]{one.table} {one.load}[/red]: {one.what}", highlight=False, soft_wrap=True)
        out.print(
            f"{rows:,} rows in {len(showcase.loads):,} loads, as of ledger sequence {showcase.seq}: {len(differences)} differences"
            + ("; mend them: qala engine load" if differences else ""),
            highlight=False,
            soft_wrap=True,
        )
    if differences:
        raise typer.Exit(1)


@engines.command(name="try")
def try_version(home_folder: HomeOption = None) -> None:
    """Compare a version of ClickHouse that was never compared: hard rows are measured there and here; equal to the last digit, it is admitted; 1 if not."""
    from warehouse.engines.clickhouse import ClickHouse
    from warehouse.engines.trial import try_engine
    from warehouse.engines.tried import note_tried

    home = home_of(home_folder)
    with _opened(home) as found:
        if found is None:
            return
        engine, _ = found
        if not isinstance(engine, ClickHouse):
            raise fail(
                f"{engine.name} has the version that is installed here, which was compared; there is none to try"
            )
        version = engine.ready(untried=True).version
        with out.status(f"trying {engine.name} {version}") as spinner:
            tried = try_engine(engine, lambda text: spinner.update(Text(text)))
        if not tried.unlike:
            note_tried(home, version, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), tried.cells)
    for one in tried.unlike[:_FIRST]:
        said = f"{one.said}: {one.here} in DuckDB, {one.there} there, for {one.cell}; {one.cells:,} cells differ"
        out.print(Text(said), soft_wrap=True)
    outcome = (
        f"{len(tried.unlike):,} differ: it stays refused" if tried.unlike else "all equal: it is admitted in this home"
    )
    out.print(
        f"{engine.name} {version}: {tried.measures:,} measures, {tried.cells:,} values; {outcome}",
        highlight=False,
        soft_wrap=True,
    )
    if tried.unlike:
        raise typer.Exit(1)


@contextmanager
def _opened(home: Home, *, as_json: bool = False) -> Iterator[tuple[Engine, Path] | None]:
    """The home's engine and the folder of its files; None, when it was said that the warehouse measures itself."""
    from warehouse.engines.settings import open_engine, showcase_folder

    try:
        engine = open_engine(home)
        if engine is None:
            _say_embedded(home, as_json=as_json)
            yield None
            return
        try:
            yield engine, showcase_folder(home)
        finally:
            engine.close()
    except (DocumentError, StoreError) as error:
        raise fail(error) from None


def _say_embedded(home: Home, *, as_json: bool) -> None:
    import duckdb

    if as_json:
        print_json({"engine": "duckdb", "version": duckdb.__version__, "where": str(home.warehouse), "in_step": True})
        return
    out.print(
        f"duckdb {duckdb.__version__} in this process: the warehouse measures itself, there is nothing to load. For another engine name it in "
        f"{home.engine_settings} (clickhouse, chdb, spark: docs/when-one-machine-is-not-enough.md)",
        highlight=False,
        soft_wrap=True,
    )
