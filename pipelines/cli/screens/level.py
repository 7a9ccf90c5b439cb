"""A level and a place as tables for a terminal: the sum down to the KPIs, and which settlements are before and behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, Words

DIFFERENCES = 5  # KPIs that set a neighbour apart
_LEFT = {"kpi", "settlement", "no_score", "by_its_bounds"}


def show_level(console: Console, answer: Mapping[str, Any], words: Words = ENGLISH) -> None:
    """What `explain_level` answers, top down."""
    settlement, place = answer["settlement"], answer["place"]
    grid = Table.grid(padding=(0, 2))
    named = {language: settlement.get(f"name_{language}") for language in ("en", "ru", "kk")}
    names = f"{settlement['kato']} {words.both('settlement', settlement['kato'], named)}"
    group = words.name("group", settlement["item7_group"])
    grid.add_row(answer["code"] or words("level"), f"{names} ({group}), {answer['year']}")
    achieved = words("none") if answer["achievement"] is None else _six(words, answer["achievement"])
    level = words("level_is", coverage=_six(words, answer["coverage"]), achievement=achieved)
    grid.add_row(words("level"), f"[bold]{_six(words, answer['level'])}[/bold] {level}")
    if answer["level_low"] != answer["level_high"]:
        low, high = (_six(words, answer[n]) for n in ("level_low", "level_high"))
        grid.add_row(words("within_bounds"), words("range", low=low, high=high))
    if place:
        grid.add_row(words("place"), _place(place, words))
    _add_assessment(grid, answer["assessment"], words)
    grid.add_row("", words("our_proposal"))
    console.print(Panel(grid, title=words("standing"), title_align="left", expand=False))
    _sum(console, answer, words)
    if place:
        _group(console, answer, place, words)


def _add_assessment(grid: Table, one: Mapping[str, Any], words: Words) -> None:
    """By which list and rules the level was made, and when."""
    state = words("draft") if one["status"] == "draft" else words("frozen", version=one["version"])
    said = words(
        "assessment_by",
        id=one["assessment_id"],
        catalogue=one["catalogue"],
        version=one["catalogue_version"],
        rules=one["rules_version"],
        state=state,
        as_of=one["as_of_seq"],
        at=f"{one['made_at']:%Y-%m-%d %H:%M}",
        seq=one["seq"],
    )
    grid.add_row(words("assessment"), said)
    if one["reason"]:
        grid.add_row(words("made_again_because"), one["reason"])


def _six(words: Words, figure: float) -> str:
    return words.figure(f"{figure:.6f}")


def _place(p: Mapping[str, Any], words: Words) -> str:
    if p["rank"] is None:
        return _ranked(p["state"], words)
    intervals = {"best": p["rank_best"], "worst": p["rank_worst"], "high": p["rank_high"], "low": p["rank_low"]}
    return f"[bold]{p['rank']}[/bold] {words('place_of', of=p['of'], ahead=p['ahead'], **intervals)}"


def _ranked(state: str, words: Words) -> str:
    """The state of a settlement among those of its group: ranked, or why it is not."""
    return words("insufficient_coverage") if state == "insufficient coverage" else state


def _sum(console: Console, a: Mapping[str, Any], words: Words) -> None:
    table = Table(title=words("the_sum"), title_justify="left")
    for name in ("kpi", "value", "floor_to_goal", "score", "weight_percent", "points", ""):
        justify: Any = "left" if name in _LEFT or not name else "right"
        table.add_column(words(name) if name else "", justify=justify, overflow="fold")
    for sphere in a["spheres"]:
        title = f"[bold]{sphere['code']}[/bold] {words.name('sphere', sphere['code'], sphere['name'])}"
        table.add_row(title, "", "", words.figure(f"{sphere['level']:.3f}"), "", "", "", style="dim")
        for initiative in sphere["initiatives"]:
            for k in initiative["kpis"]:
                table.add_row(*_line(k, words))
    s = a["sum"]
    table.add_section()
    weight, points = words.figure(f"{100 * s['weight']:.4f}"), _six(words, s["points"])
    table.add_row(f"[bold]{words('sum')}[/bold]", "", "", "", weight, points, "")
    console.print(table)
    verdict = words("equal_to") if s["equal"] else f"[red]{words('different_from')}[/red]"
    figures = {"weight": s["weight"], "level": s["level"], "calculable": s["weight_calculable"]}
    told = {name: _six(words, figure) for name, figure in figures.items()}
    console.print(words("sum_again", points=points, verdict=verdict, **told), highlight=False)
    console.print(words("walk_to_line"), highlight=False)


def _line(k: Mapping[str, Any], words: Words) -> tuple[str, ...]:
    """A KPI in the sum."""
    scale = words("no_scale")
    if k["goal"] is not None:
        scale = words("range", low=words.figure(f"{k['floor']:g}"), high=words.figure(f"{k['goal']:g}"))
    return (
        f"  {k['code']}",
        "" if k["value"] is None else words.figure(f"{k['value']:,.6g}"),
        scale,
        "" if k["score"] is None else words.figure(f"{k['score']:.3f}"),
        words.figure(f"{100 * k['weight']:.4f}"),
        "" if k["points"] is None else _six(words, k["points"]),
        words("no_score") if k["score"] is None else "",
    )


def _group(console: Console, a: Mapping[str, Any], p: Mapping[str, Any], words: Words) -> None:
    group = words.name("group", a["settlement"]["item7_group"])
    table = Table(title=words("settlements_of_group", group=group), title_justify="left")
    for name in ("place", "settlement", "level", "from_here", "within_bounds", "coverage_percent", "by_its_bounds"):
        table.add_column(words(name), justify="left" if name in _LEFT else "right", overflow="fold")
    for r in p["group"]:
        mine = r["kato"] == a["settlement"]["kato"]
        low, high = (words.figure(f"{r[n]:.3f}") for n in ("level_low", "level_high"))
        table.add_row(
            str(r["rank"]),
            f"{r['kato']} {words.name('settlement', r['kato'], r['name_en'])}",
            _six(words, r["level"]),
            "" if mine else words.figure(f"{r['margin']:+.6f}"),
            words("range", low=low, high=high),
            words.figure(f"{100 * r['coverage']:.1f}"),
            "" if mine else r["bounds_say"],
            style="bold" if mine else None,
        )
    console.print(table)
    if p["not_ranked"]:
        console.print(words("not_ranked", settlements=len(p["not_ranked"])), highlight=False)
    console.print(p["rule"], style="dim", highlight=False, soft_wrap=True)
    for other in p["neighbours"]:
        console.print(_neighbour(other, words), highlight=False, soft_wrap=True)


def _neighbour(other: Mapping[str, Any], words: Words) -> str:
    """How far a neighbour is before or behind, and by which KPIs most."""
    largest = [
        words(
            "here_and_there",
            kpi=k["code"],
            difference=words.figure(f"{k['difference']:+.4f}"),
            here=_score(k["score"], words),
            there=_score(k["their_score"], words),
        )
        for k in other["kpis"][:DIFFERENCES]
    ]
    side = "neighbour_ahead" if other["margin"] > 0 else "neighbour_behind"
    name = words.name("settlement", other["kato"], other["name_en"])
    return words(side, name=name, margin=_six(words, abs(other["margin"])), largest=largest)


def _score(score: float | None, words: Words) -> str:
    return words("no_score") if score is None else words("score_is", score=words.figure(f"{score:.1f}"))
