"""`qala refusals`, and what a run says at its end of what it refused and rejected.

Does not belong here: what was refused (warehouse/audit/refusals.py), how it is shown (screens/refusals.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import HomeOption, JsonOption, LanguageOption, app, fail, home_of, out, print_json, words_of
from pipelines.cli.completions import table_names
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import language_of, phrase, sentence, told_in

if TYPE_CHECKING:
    from pipelines.cli.screens.common import Words
    from warehouse.audit.refusals import Refused
    from warehouse.store.store import Store


@app.command()
def refusals(
    table: Annotated[
        str, typer.Option("--table", "-t", help="Of this showcase table", autocompletion=table_names)
    ] = "",
    settlement: Annotated[
        str, typer.Option("--settlement", "-s", help="Of this settlement, region or KZ, as delivered: code or name")
    ] = "",
    system: Annotated[str, typer.Option("--system", help="Of this source system; standard: the exchange format")] = "",
    every: Annotated[bool, typer.Option("--all", help="Those too in whose place something was taken in since")] = False,
    language: LanguageOption = "",
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """Refused deliveries that stand: why, which rows and values, and what to type next."""
    from connectors.receiving.deliver import TABLES
    from kpi_definitions.nearest import meant
    from warehouse.audit.refusals import refused_deliveries
    from warehouse.store.sessions import reading
    from warehouse.tables.settlements import UnknownPlaceError, scope_of, territory

    home = home_of(home_folder)
    try:
        scope = territory(scope_of(settlement)) if settlement else ""
        with reading(home, with_views=False) as store:
            if table and table not in store.tables:
                raise fail(f"there is no table {table!r}; {meant(table, store.tables, TABLES)}")
            found = refused_deliveries(store, table=table, scope=scope, system=system)
            found = [one for one in found if every or one.stands]
            if as_json:
                print_json(_as_data(store, home, found, language_of(language)))
                return
            if not found:
                out.print(sentence(f"refusals.{'none' if every else 'nothing_stands'}", language_of(language)))
                return
            _show(store, home, found, words_of(store, language_of(language)))
    except (StoreError, UnknownPlaceError) as error:
        raise fail(error) from None


def show_what_a_run_left(home: Home, runs: Sequence[str]) -> None:
    """Say what these Dagster runs refused, and what they rejected of what they loaded; nothing where there is neither."""
    if not runs:
        return
    from connectors.ingest import load_source_contracts
    from pipelines.cli.screens.refusals import show_rejected
    from pipelines.refusals import headers_of
    from warehouse.audit.refusals import broken_in_loaded, refused_in_runs
    from warehouse.store.sessions import looking

    try:
        with looking(home) as store:
            words, sources = words_of(store, language_of()), load_source_contracts(home, store.tables)
            broken = broken_in_loaded(store, runs, headers_of(sources))
            show_rejected(out, broken, store.tables, home.released_file, words)
            if found := refused_in_runs(store, runs):
                _show(store, home, found, words)
    except StoreError as error:
        out.print(
            f"what was refused cannot be told now ({error}); ask later: qala refusals", highlight=False, soft_wrap=True
        )


def _show(store: Store, home: Home, found: Sequence[Refused], words: Words) -> None:
    from connectors.ingest import load_source_contracts
    from pipelines.cli.screens.common import SHOWN
    from pipelines.cli.screens.refusals import show_refused
    from pipelines.refusals import headers_of, remedies
    from warehouse.audit.refusals import with_broken_rules

    sources = load_source_contracts(home, store.tables)
    first = with_broken_rules(store, found[:SHOWN], headers_of(sources))
    told = sentence("refusals.refused", words.language, deliveries=words.count(len(found)))
    out.print(f"[bold]{told}[/bold]", highlight=False, soft_wrap=True)
    todo = {one.delivery_id: tuple(remedies(one, sources, store.tables, home)) for one in first}
    show_refused(out, [*first, *found[SHOWN:]], todo, store.tables, words)


def _as_data(store: Store, home: Home, found: Sequence[Refused], language: str) -> list[dict[str, object]]:
    """Refused deliveries as plain data, what is recorded of them told in a language."""
    from connectors.ingest import load_source_contracts
    from pipelines.refusals import headers_of, remedies
    from warehouse.audit.refusals import with_broken_rules

    sources = load_source_contracts(home, store.tables)
    return [
        {
            **told_in({name: value for name, value in vars(one).items() if name != "broken"}, language),
            "broken": [vars(broken) for broken in one.broken],
            "remedies": [phrase(remedy, language) for remedy in remedies(one, sources, store.tables, home)],
        }
        for one in with_broken_rules(store, found, headers_of(sources))
    ]
