"""The country: the newest assessment on a map and inside its groups, spheres, plan beside fact, the year before, what is missing.

Does not belong here: one settlement's figures (settlement.py), who delivers what (quality.py).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from warehouse.charts.grids import Cell, heat
from warehouse.charts.legends import legend_of_classes
from warehouse.charts.maps import Area, Spot, kz_map
from warehouse.charts.rankings import Bar, bars
from warehouse.charts.svg import Caption, class_of
from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name, number
from warehouse.sql import literal, statement

Row = dict[str, Any]
CLASSES = (20, 40, 60, 80)  # levels at which the next class begins
_NEAR = 0.1  # of the plan, by which a target may be missed and count as near; our proposal
_REASONS = 12


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    """The one page, with what the release holds of the year that pages show."""
    year = release.figures.year
    cards = scorecards(release, year)
    assessments = release.once(_assessments)
    assessment = next((one for one in assessments if one["assessment_id"] in {c["assessment_id"] for c in cards}), None)
    rules = json.loads(assessment["rules"]) if assessment else {}
    context: dict[str, Any] = {
        "title": sentence("overview.country_title", language),
        "year": year,
        "assessment": assessment,
        "others": [
            one for one in assessments if one is not assessment and assessment and one["year"] >= assessment["year"]
        ],
        "least": round(100 * rules.get("minimum_coverage", 0)),
        "change": round(100 * rules.get("weight_change", 0)),
        "near": round(100 * _NEAR),
        "delivering": sum(one["delivered"] for one in release.settlements.values()),
        "regions": release.once(_regions),
    }
    if year is not None:
        counted = release.once(_counted)
        context |= {**counted, "targets_chart": _targets_chart(release, language, year, counted["targets"])}
    if assessment:
        context |= {
            "map": _map(release, language, cards),
            "legend": legend_of_classes(class_texts(language), missing=sentence("overview.map_missing", language)),
            "legend_spheres": legend_of_classes(class_texts(language), id="spheres-legend"),
            "groups": [_group(release, language, group, cards) for group in release.groups],
            **sphere_table(release, language, [c for c in cards if c["rank"]]),
        }
    yield Page("index.html", "country.html.j2", context)


def scorecards(release: ReleaseData, year: int | None) -> list[Row]:
    """Settlements of the assessment of a year in the order of groups and places, each with its card of the year before (`former`)."""
    found = release.figures.scorecards
    order = list(release.groups)
    cards = [
        {**row, "former": _ranked(found.get((kato, row["year"] - 1)))}
        for (kato, of), row in found.items()
        if of == year and kato in release.settlements
    ]
    return sorted(cards, key=lambda c: (order.index(c["item7_group"]), c["rank"] or len(found) + 1, c["kato"]))


def _ranked(card: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A level of too little data is compared with nothing."""
    return card if card and card["rank"] else None


def class_texts(language: str) -> list[str]:
    """What the classes of a level are called, from low to high."""
    ends = (0, *CLASSES, 100)
    return [sentence("overview.class_between", language, low=low, high=high) for low, high in itertools.pairwise(ends)]


def _assessments(release: ReleaseData) -> list[Row]:
    return release.rows(statement(__file__, "country_assessment"))


def _counted(release: ReleaseData) -> Row:
    """What is counted over the whole country for the year that pages show."""
    year = release.figures.year
    parts = {"year": literal(year)}
    values = [one[year] for of in release.figures.years.values() for one in of.values() if year in one]
    return {
        "targets": release.rows(statement(__file__, "country_targets", near=literal(_NEAR), **parts)),
        "changes": release.rows(statement(__file__, "country_changes", **parts)),
        "missing": release.rows(statement(__file__, "country_missing", most=literal(_REASONS), **parts)),
        "valued": sum(one["value"] is not None for one in values),
        "applicable": sum(one["obs_status"] != "M" for one in values),
    }


def _map(release: ReleaseData, language: str, cards: Sequence[Row]) -> str:
    """Settlements by the class of their level; regions only by whether any settlement of theirs is ranked."""
    areas, spots = {}, []
    for kato, region in release.regions.items():
        of = [c for c in cards if release.settlements[c["kato"]]["region_kato"] == kato]
        ranked = sum(c["rank"] is not None for c in of)
        told = sentence("overview.region_ranked", language, region=name(language, region), ranked=ranked, n=len(of))
        areas[kato[:2]] = Area(0 if ranked else None, told)
    for card in cards:
        settlement = release.settlements[card["kato"]]
        parts = {"name": name(language, settlement)}
        if card["rank"]:
            figures = {key: number(language, card[key], places=1) for key in ("level", "level_low", "level_high")}
            told = sentence(
                "overview.spot",
                language,
                **parts,
                level=figures["level"],
                low=figures["level_low"],
                high=figures["level_high"],
            )
        else:
            told = sentence(
                "overview.spot_missing",
                language,
                **parts,
                coverage=number(language, card["coverage_percent"], places=1),
            )
        large = settlement["item7_group"] == next(iter(release.groups))
        shown = name(language, settlement) if card["rank"] else ""
        level = class_of(card["level"], CLASSES) if card["rank"] else None
        spots.append(Spot(card["kato"], level, told, shown, 3 if large else 2 if card["rank"] else 1))
    title = sentence("overview.map_title", language, year=cards[0]["year"])
    return kz_map(areas, spots, Caption("map", title, sentence("overview.map_desc", language)))


def _group(release: ReleaseData, language: str, group: str, cards: Sequence[Row]) -> Row:
    """One group with its ranking, and who has no place in it."""
    of = [c for c in cards if c["item7_group"] == group]
    ranked = [c for c in of if c["rank"]]
    chart = ""
    if ranked:
        called = name(language, release.groups[group])
        first = name(language, release.settlements[ranked[0]["kato"]])
        caption = Caption(
            f"ranking-{group}",
            sentence("overview.ranking_title", language, group=called, year=ranked[0]["year"]),
            sentence(
                "overview.ranking_desc",
                language,
                ranked=len(ranked),
                n=len(of),
                first=first,
                level=number(language, ranked[0]["level"], places=1),
            ),
        )
        rows = [
            Bar(
                f"{c['rank']}. {name(language, release.settlements[c['kato']])}",
                c["level"],
                number(language, c["level"], places=1),
                c["level_low"],
                c["level_high"],
            )
            for c in ranked
        ]
        chart = bars(rows, caption)
    return {
        "group": release.groups[group],
        "chart": chart,
        "ranked": ranked,
        "insufficient": [c for c in of if not c["rank"] and c["coverage_percent"]],
        "without": [c for c in of if not c["rank"] and not c["coverage_percent"]],
    }


def sphere_table(release: ReleaseData, language: str, cards: Sequence[Row]) -> Row:
    """Levels by sphere of these settlements: rows of a table, and the same as a heat map."""
    rows = []
    for card in cards:
        scores = release.figures.spheres.get((card["kato"], card["year"]), {})
        rows.append({**card, "scores": [scores.get(sphere["sphere"]) for sphere in release.spheres]})
    if not rows:
        return {"sphere_rows": [], "sphere_chart": ""}
    cells = [[_cell(language, score) for score in row["scores"]] for row in rows]
    caption = Caption(
        "spheres",
        sentence("overview.spheres_title", language, year=cards[0]["year"]),
        sentence("overview.spheres_lead", language),
    )
    names = [name(language, release.settlements[row["kato"]]) for row in rows]
    heads = [name(language, sphere) for sphere in release.spheres]
    return {
        "sphere_rows": rows,
        "sphere_chart": heat(names, heads, cells, caption, width=560, head=240),
        "spheres_withheld": any(score and score["held_back"] for row in rows for score in row["scores"]),
    }


def _cell(language: str, score: Mapping[str, Any] | None) -> Cell:
    if score is None or score["level"] is None:
        return Cell(None, "", sentence("overview.withheld", language) if score and score["held_back"] else "")
    return Cell(class_of(score["level"], CLASSES), number(language, score["level"], places=0))


def _targets_chart(release: ReleaseData, language: str, year: int, targets: Sequence[Row]) -> str:
    """Targets met by sphere, of those that can be judged."""
    rows = []
    for sphere in release.spheres:
        of = [one for one in targets if one["sphere"] == sphere["sphere"]]
        met = sum(one["met"] for one in of)
        judged = sum(one["met"] + one["near"] + one["missed"] for one in of)
        if of:
            shown = sentence("overview.of", language, part=met, whole=judged)
            rows.append(Bar(name(language, sphere), 100 * met / judged if judged else None, shown))
    caption = Caption("targets", sentence("overview.targets_title", language, year=year))
    return bars(rows, caption) if rows else ""


def _regions(release: ReleaseData) -> list[Row]:
    """Regions of today with their settlements, each with its card and how many KPIs have a value."""
    year = release.figures.year
    by_kato = {c["kato"]: c for c in scorecards(release, year)}
    valued: dict[str, int] = {}
    for of in release.figures.years.values():
        for kato, years in of.items():
            if year in years and years[year]["value"] is not None:
                valued[kato] = valued.get(kato, 0) + 1
    return [
        {
            "region": region,
            "settlements": [
                {**settlement, "card": by_kato.get(kato), "valued": valued.get(kato, 0)}
                for kato, settlement in release.settlements.items()
                if settlement["region_kato"] == region["kato"]
            ],
        }
        for region in release.regions.values()
    ]
