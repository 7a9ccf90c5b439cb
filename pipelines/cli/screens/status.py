"""The state of the warehouse, and what the demo shows of it: counts, KPIs of the year, scorecard, refusals, next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from pipelines.cli.screens.common import coloured_counts
from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus


def show_status(console: Console, answer: Mapping[str, Any]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("home", answer["home"])
    grid.add_row("latest month with values", answer["latest_period"] or "none")
    grid.add_row(
        "deliveries",
        coloured_counts(answer["deliveries"])
        + (f", [bold]{answer['waiting']} waiting[/bold]" if answer["waiting"] else ""),
    )
    grid.add_row("rows", ", ".join(f"{what} {n:,}" for what, n in answer["rows"].items()))
    grid.add_row("values", coloured_counts(answer["values"]))
    if answer["release"]:
        grid.add_row("release", f"{answer['release']['seq']} of {answer['release']['at']:%Y-%m-%d %H:%M} UTC")
    console.print(Panel(grid, title="status", title_align="left", expand=False))


def show_values(console: Console, store: Store) -> None:
    """Every KPI of the newest year: in how many settlements it has a value, their range, and the country's value."""
    not_applicable = literal(ObsStatus.NOT_APPLICABLE)
    rows = store.con.execute(statement(__file__, "kpis_of_year", not_applicable=not_applicable)).fetchall()
    table = Table(title="KPIs of the year in the settlements that delivered", title_justify="left")
    table.add_column("KPI", no_wrap=True, min_width=7)
    table.add_column("name", no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - 77))
    table.add_column("unit", no_wrap=True, overflow="ellipsis", max_width=8)
    for name in ("of", "lowest", "median", "highest", "all together"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5 if name == "of" else 8)
    for code, name, unit, counted, applicable, *numbers in rows:
        table.add_row(code, name, unit, f"{counted}/{applicable}", *("" if n is None else f"{n:,.2f}" for n in numbers))
    console.print(table)


def show_scorecard(console: Console, store: Store, year: int | None = None) -> None:
    """The newest assessment of a year (None: of the last one), best level first within each group; settlements without any data are left out."""
    rows = store.con.execute(
        "SELECT * FROM scorecard WHERE year = coalesce(?, (SELECT max(year) FROM scorecard)) AND coverage_percent > 0 "
        "ORDER BY catalogue_id, list_position(['republican', 'regional', 'district'], item7_group), rank NULLS LAST, level DESC, settlement_en",
        [year],
    )
    names = [d[0] for d in rows.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    for catalogue in dict.fromkeys(r["catalogue_id"] for r in found):
        mine = [r for r in found if r["catalogue_id"] == catalogue]
        first = mine[0]
        state = "draft" if first["status"] == "draft" else f"frozen, version {first['version']}"
        table = Table(
            title=f"Assessment of {first['year']} by {catalogue} ({state}): level = coverage x achievement; our proposal with illustrative "
            "floors and goals, not the order's formula",
            title_justify="left",
        )
        for name in (
            "group",
            "settlement",
            "coverage %",
            "achievement",
            "level",
            "within its bounds",
            "place",
            "places possible",
        ):
            table.add_column(name, justify="left" if name in {"group", "settlement"} else "right")
        for r in mine:
            place = "insufficient coverage" if r["rank"] is None else str(r["rank"])
            interval = "" if r["rank"] is None else f"{r['rank_best']} to {r['rank_worst']}"
            numbers = ("" if r[n] is None else f"{r[n]:.1f}" for n in ("coverage_percent", "achievement", "level"))
            within = "" if r["level_low"] == r["level_high"] else f"{r['level_low']:.1f} to {r['level_high']:.1f}"
            table.add_row(r["item7_group"], r["settlement_en"], *numbers, within, place, interval)
        console.print(table)


def show_refusals(console: Console, store: Store) -> None:
    rows = store.con.execute(
        "SELECT scope_en, table_name, period_id, reason_en FROM refusals ORDER BY delivery_id LIMIT 20"
    ).fetchall()
    if not rows:
        return
    table = Table(
        title="Refused deliveries: nothing of them was loaded, everything of them is kept",
        title_justify="left",
        show_lines=True,
    )
    for name in ("settlement", "table", "period", "why and what to do"):
        table.add_column(name)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def show_next_steps(console: Console, steps: Sequence[tuple[str, str]]) -> None:
    console.print("[bold]what to type next[/bold]")
    for command, why in steps:
        console.print(f"  [dim]{why}[/dim]\n    {command}", highlight=False, soft_wrap=True)
