"""A level and a place as tables for a terminal: the sum down to the KPIs, and which settlements are before and behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

DIFFERENCES = 5  # KPIs that set a neighbour apart
_LEFT = {"", "KPI", "settlement", "state", "by its bounds"}


def show_level(console: Console, answer: Mapping[str, Any]) -> None:
    """What `explain_level` answers, top down."""
    settlement, assessment, place = answer["settlement"], answer["assessment"], answer["place"]
    grid = Table.grid(padding=(0, 2))
    names = f"{settlement['kato']} {settlement['name_en']} / {settlement['name_ru']}"
    grid.add_row(answer["code"] or "level", f"{names} ({settlement['item7_group']}), {answer['year']}")
    achievement = "none" if answer["achievement"] is None else f"{answer['achievement']:.6f}"
    level = f"[bold]{answer['level']:.6f}[/bold] = coverage {answer['coverage']:.6f} x achievement {achievement}"
    grid.add_row("level", level)
    if answer["level_low"] != answer["level_high"]:
        grid.add_row("within its bounds", f"{answer['level_low']:.6f} to {answer['level_high']:.6f}")
    if place:
        grid.add_row("place", _place(place))
    state = "draft" if assessment["status"] == "draft" else f"frozen, version {assessment['version']}"
    by = f"{assessment['catalogue']} {assessment['catalogue_version']}, rules {assessment['rules_version']} ({state})"
    as_of = f"values as of ledger sequence {assessment['as_of_seq']}"
    at = f"made {assessment['made_at']:%Y-%m-%d %H:%M} UTC at {assessment['seq']}"
    grid.add_row("assessment", f"{assessment['assessment_id']} by {by}; {as_of}, {at}")
    if assessment["reason"]:
        grid.add_row("made again because", assessment["reason"])
    grid.add_row("", "our proposal with illustrative floors and goals, not the order's formula")
    console.print(Panel(grid, title="standing", title_align="left", expand=False))
    _sum(console, answer)
    if place:
        _group(console, answer, place)


def _place(p: Mapping[str, Any]) -> str:
    if p["rank"] is None:
        return str(p["state"])
    return (
        f"[bold]{p['rank']}[/bold] of {p['of']}: {p['ahead']} ahead; {p['rank_best']} to {p['rank_worst']} with other weights, "
        f"{p['rank_high']} to {p['rank_low']} by the bounds"
    )


def _sum(console: Console, a: Mapping[str, Any]) -> None:
    table = Table(title="the sum: weight x score", title_justify="left")
    for name in ("KPI", "value", "floor to goal", "score", "weight %", "points", ""):
        table.add_column(name, justify="left" if name in _LEFT else "right", overflow="fold")
    for sphere in a["spheres"]:
        table.add_row(
            f"[bold]{sphere['code']}[/bold] {sphere['name']}", "", "", f"{sphere['level']:.3f}", "", "", "", style="dim"
        )
        for initiative in sphere["initiatives"]:
            for k in initiative["kpis"]:
                table.add_row(
                    f"  {k['code']}",
                    "" if k["value"] is None else f"{k['value']:,.6g}",
                    "no scale" if k["goal"] is None else f"{k['floor']:g} to {k['goal']:g}",
                    "" if k["score"] is None else f"{k['score']:.3f}",
                    f"{100 * k['weight']:.4f}",
                    "" if k["points"] is None else f"{k['points']:.6f}",
                    "no score" if k["score"] is None else "",
                )
    s = a["sum"]
    table.add_section()
    table.add_row("[bold]sum[/bold]", "", "", "", f"{100 * s['weight']:.4f}", f"{s['points']:.6f}", "")
    console.print(table)
    equal = "equal to" if s["equal"] else "[red]DIFFERENT from[/red]"
    console.print(
        f"{s['points']:.6f} / {s['weight']:.6f} = {s['level']:.6f}, {equal} what is kept; of the weight {s['weight_calculable']:.6f} could be calculated",
        highlight=False,
    )
    console.print("walk on with: qala explain KPI SETTLEMENT YEAR of a line", highlight=False)


def _group(console: Console, a: Mapping[str, Any], p: Mapping[str, Any]) -> None:
    table = Table(title=f"settlements of the group {a['settlement']['item7_group']}", title_justify="left")
    for name in ("place", "settlement", "level", "from here", "within its bounds", "coverage %", "by its bounds"):
        table.add_column(name, justify="left" if name in _LEFT else "right", overflow="fold")
    for r in p["group"]:
        mine = r["kato"] == a["settlement"]["kato"]
        table.add_row(
            str(r["rank"]),
            f"{r['kato']} {r['name_en']}",
            f"{r['level']:.6f}",
            "" if mine else f"{r['margin']:+.6f}",
            f"{r['level_low']:.3f} to {r['level_high']:.3f}",
            f"{100 * r['coverage']:.1f}",
            "" if mine else r["bounds_say"],
            style="bold" if mine else None,
        )
    console.print(table)
    if p["not_ranked"]:
        console.print(f"not ranked, coverage too small: {len(p['not_ranked'])} settlements (--json)", highlight=False)
    console.print(p["rule"], style="dim", highlight=False, soft_wrap=True)
    for other in p["neighbours"]:
        side = "ahead of" if other["margin"] > 0 else "behind"
        largest = "; ".join(
            f"{k['code']} {k['difference']:+.4f} ({_score(k['score'])} here, {_score(k['their_score'])} there)"
            for k in other["kpis"][:DIFFERENCES]
        )
        console.print(
            f"{other['name_en']} is {abs(other['margin']):.6f} {side} it, most by: {largest}",
            highlight=False,
            soft_wrap=True,
        )


def _score(score: float | None) -> str:
    return "no score" if score is None else f"score {score:.1f}"
