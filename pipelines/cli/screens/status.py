"""The state of the warehouse, and what the demo shows of it: counts, KPIs of the year, scorecard, refusals, next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, Words
from warehouse.messages.messages import rendered, sentence
from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus


def show_status(console: Console, answer: Mapping[str, Any], words: Words = ENGLISH) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(words("home"), answer["home"])
    grid.add_row(words("latest_period"), answer["latest_period"] or words("none"))
    waiting = f", [bold]{words('waiting', deliveries=answer['waiting'])}[/bold]" if answer["waiting"] else ""
    grid.add_row(words("deliveries"), words.coloured_counts(answer["deliveries"]) + waiting)
    grid.add_row(words("rows"), ", ".join(f"{words(what)} {words.count(n)}" for what, n in answer["rows"].items()))
    grid.add_row(words("values"), words.coloured_counts(answer["values"]))
    if release := answer["release"]:
        said = words("release_of", seq=release["seq"], at=f"{release['at']:%Y-%m-%d %H:%M}")
        grid.add_row(words("release"), said)
    console.print(Panel(grid, title=words("status"), title_align="left", expand=False))
    if standing := answer.get("refusals_standing"):
        told = sentence("refusals.standing", words.language, deliveries=words.count(standing))
        console.print(told, highlight=False, soft_wrap=True)


def show_values(console: Console, store: Store, words: Words = ENGLISH) -> None:
    """Every KPI of the newest year: in how many settlements it has a value, their range, and the country's value."""
    not_applicable = literal(ObsStatus.NOT_APPLICABLE)
    rows = store.con.execute(statement(__file__, "kpis_of_year", not_applicable=not_applicable)).fetchall()
    table = Table(title=words("kpis_of_year"), title_justify="left")
    table.add_column(words("kpi"), no_wrap=True, min_width=7)
    table.add_column(words("name"), no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - 77))
    table.add_column(words("unit"), no_wrap=True, overflow="ellipsis", max_width=8)
    for name in ("of", "lowest", "median", "highest", "all_together"):
        table.add_column(words(name), justify="right", no_wrap=True, min_width=5 if name == "of" else 8)
    for code, name, unit, counted, applicable, *numbers in rows:
        figures = ("" if n is None else words.figure(f"{n:,.2f}") for n in numbers)
        named, measured = words.name("kpi", code, name), words.name("unit", unit)
        table.add_row(code, named, measured, f"{counted}/{applicable}", *figures)
    console.print(table)


def show_scorecard(console: Console, store: Store, year: int | None = None, words: Words = ENGLISH) -> None:
    """The newest assessment of a year (None: of the last one), best level first within each group; settlements without any data are left out."""
    rows = store.con.execute(
        "SELECT scorecard.* FROM scorecard JOIN registry.item7_group AS category USING (item7_group) "
        "WHERE year = coalesce(?, (SELECT max(year) FROM scorecard)) AND coverage_percent > 0 "
        "ORDER BY catalogue_id, category.position, rank NULLS LAST, level DESC, settlement_en",
        [year],
    )
    names = [d[0] for d in rows.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    for catalogue in dict.fromkeys(r["catalogue_id"] for r in found):
        mine = [r for r in found if r["catalogue_id"] == catalogue]
        first = mine[0]
        state = words("draft") if first["status"] == "draft" else words("frozen", version=first["version"])
        table = Table(
            title=words("scorecard_title", year=first["year"], catalogue=catalogue, state=state), title_justify="left"
        )
        for name in (
            "group",
            "settlement",
            "coverage_percent",
            "achievement",
            "level",
            "within_bounds",
            "place",
            "places_possible",
        ):
            table.add_column(words(name), justify="left" if name in {"group", "settlement"} else "right")
        for r in mine:
            place = words("insufficient_coverage") if r["rank"] is None else str(r["rank"])
            interval = "" if r["rank"] is None else words("range", low=r["rank_best"], high=r["rank_worst"])
            numbers = (
                "" if r[n] is None else words.figure(f"{r[n]:.1f}")
                for n in ("coverage_percent", "achievement", "level")
            )
            low, high = (None if r[n] is None else words.figure(f"{r[n]:.1f}") for n in ("level_low", "level_high"))
            within = "" if r["level_low"] == r["level_high"] else words("range", low=low, high=high)
            named = words.name("settlement", r["kato"], r["settlement_en"])
            table.add_row(words.name("group", r["item7_group"]), named, *numbers, within, place, interval)
        console.print(table)


def show_refusals(console: Console, store: Store, words: Words = ENGLISH) -> None:
    rows = store.con.execute(
        "SELECT scope, table_name, period_id, reason FROM audit.delivery WHERE state = 'refused' ORDER BY delivery_id LIMIT 20"
    ).fetchall()
    if not rows:
        return
    table = Table(title=words("refusals_title"), title_justify="left", show_lines=True)
    for name in ("settlement", "table", "period", "why"):
        table.add_column(words(name))
    for scope, table_name, period, reason in rows:
        named = words.name("table", table_name)
        table.add_row(words.place(scope), named, period, str(rendered(reason, words.language)))
    console.print(table)


def show_next_steps(console: Console, steps: Sequence[tuple[str, str]]) -> None:
    console.print("[bold]what to type next[/bold]")
    for command, why in steps:
        console.print(f"  [dim]{why}[/dim]\n    {command}", highlight=False, soft_wrap=True)
