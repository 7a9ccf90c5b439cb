"""An engine for a terminal and as data: what it says of itself, what it holds by table, whether it is in step."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from warehouse.engines.state import State, TableState

_LISTED = 5  # loads of a table that are named


def show_engine(console: Console, name: str, by: str, state: State) -> None:
    """`by`: what chose it, the file or the variable."""
    facts = state.facts
    grid = Table.grid(padding=(0, 2))
    grid.add_row("engine", escape(f"{name} {facts.version}, chosen by {by}"))
    grid.add_row("where", escape(facts.where))
    grid.add_row("machines", str(facts.machines))
    grid.add_row("settings", f"{len(facts.settings)} that numbers depend on, each as it must be (--json lists them)")
    grid.add_row("in step", _in_step(state))
    console.print(Panel(grid, title="engine", title_align="left", expand=False))
    if not state.tables:
        return
    table = Table(title="what it holds", title_justify="left")
    for column in ("table", "months", "loads", "rows", "of the warehouse's", "MB of files", "differs"):
        table.add_column(
            column, justify="left" if column in ("table", "months", "differs") else "right", overflow="fold"
        )
    for one in state.tables:
        if one.loads or one.held:
            months = f"{one.first} to {one.last}" if one.loads else ""
            size = f"{one.size / 1e6:,.1f}"
            table.add_row(
                one.table, months, f"{one.loads:,}", f"{one.held:,}", f"{one.rows:,}", size, escape(_differs(one))
            )
    console.print(table)


def _in_step(state: State) -> str:
    seq = f"with ledger sequence {state.showcase.seq}" if state.showcase else ""
    told = ", as far as the release goes: a run is writing" if state.beside_run else ""
    if not state.behind:
        return f"[green]yes[/green], {seq}{told}"
    return f"[yellow]no[/yellow]: {escape('; '.join(state.behind))}{told}; next: qala engine load, or a run does it"


def _differs(one: TableState) -> str:
    found = []
    for what, loads in (("lacks", one.lacking), ("still has", one.left)):
        if loads:
            more = f" and {len(loads) - _LISTED} more" if len(loads) > _LISTED else ""
            found.append(f"{what} {', '.join(loads[:_LISTED])}{more}")
    return "; ".join(found)


def engine_data(name: str, state: State) -> dict[str, Any]:
    """The same as plain data."""
    facts, showcase = state.facts, state.showcase
    return {
        "engine": name,
        "version": facts.version,
        "where": facts.where,
        "machines": facts.machines,
        "settings": dict(facts.settings),
        "in_step": not state.behind,
        "behind": list(state.behind),
        "compared_with": "release" if state.beside_run else "warehouse",
        "seq": showcase.seq if showcase else None,
        "head": showcase.head if showcase else None,
        "folder": str(showcase.folder) if showcase else None,
        "tables": [
            {
                "table": one.table,
                "loads": one.loads,
                "rows": one.rows,
                "held": one.held,
                "first": one.first or None,
                "last": one.last or None,
                "bytes": one.size,
                "lacking": list(one.lacking),
                "left": list(one.left),
            }
            for one in state.tables
        ],
    }
