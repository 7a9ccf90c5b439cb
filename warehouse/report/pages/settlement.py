"""A settlement's scorecard: its level and place, eight spheres with every KPI, and what each figure comes from.

Does not belong here: comparing settlements (pages of their own), the files behind the figures (trails.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.charts.lines import Point, sparkline
from warehouse.charts.rankings import bullet, strip
from warehouse.charts.svg import Caption
from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name, number

BETTER = {"higher": "up", "lower": "down"}  # as charts have it


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    figures, year = release.figures, release.figures.year
    for kato, settlement in release.settlements.items():
        context: dict[str, Any] = {
            "title": name(language, settlement),
            "settlement": settlement,
            "region": release.regions[settlement["region_kato"]],
            "year": year,
            "card": figures.scorecards.get((kato, year)) if year else None,
            "before": figures.scorecards.get((kato, year - 1)) if year else None,
        }
        if settlement["delivered"] and year:
            context["spheres"] = _spheres(release, language, kato, year)
            context["place"] = _place_in_group(release, language, kato, year)
            yield Page(f"settlement/{kato}.html", "settlement.html.j2", context)
        else:
            yield Page(f"settlement/{kato}.html", "settlement_without_data.html.j2", context)


def _spheres(release: ReleaseData, language: str, kato: str, year: int) -> list[dict[str, Any]]:
    """Spheres in their order with level and KPIs."""
    scores = release.figures.spheres.get((kato, year), {})
    return [
        {
            "sphere": sphere,
            "score": scores.get(sphere["sphere"]),
            "kpis": [
                _kpi(release, language, kato, year, kpi)
                for kpi in release.kpis.values()
                if kpi["sphere"] == sphere["sphere"]
            ],
        }
        for sphere in release.spheres
    ]


def _kpi(release: ReleaseData, language: str, kato: str, year: int, kpi: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the scorecard."""
    code, figures = kpi["kpi_code"], release.figures
    years = figures.years.get(code, {}).get(kato, {})
    row, periods = years.get(year), figures.values.get(kato, {}).get(code, [])
    plans = figures.plans.get((kato, code, year), [])
    placed = figures.places.get((code, year, release.settlements[kato]["item7_group"]), {})
    ranked = [figures.years[code][one][year] for one in sorted(placed, key=lambda one: one != kato)]
    place = placed.get(kato)
    title = name(language, kpi)
    return {
        "kpi": kpi,
        "initiative": release.initiatives[kpi["initiative"]],
        "year": row,
        "change": _change(row, years.get(year - 1), kpi["direction"]) if row else None,
        "periods": periods,
        "spark": _spark(language, kpi, title, periods) if any(p["value"] is not None for p in periods) else None,
        "plans": plans,
        "bullet": _bullet(language, kpi, title, row, plans) if row and plans else None,
        "place": place,
        "strip": _strip(language, kpi, title, place, ranked) if place else None,
    }


def _change(row: Mapping[str, Any], before: Mapping[str, Any] | None, direction: str) -> dict[str, Any] | None:
    """The year against the one before; None where one of them has no value."""
    if before is None or row["value"] is None or before["value"] is None:
        return None
    if row["definition_version"] != before["definition_version"]:
        return {"word": "other_definition", "by": None, "former": before["value"]}
    by = row["value"] - before["value"]
    word = "same" if by == 0 else "better" if (by > 0) == (direction == "higher") else "worse"
    return {"word": word, "by": by, "former": before["value"]}


def _spark(language: str, kpi: Mapping[str, Any], title: str, periods: list[dict[str, Any]]) -> str:
    points = [
        Point(p["period_id"], p["value"], p["value_low"], p["value_high"], None, p["obs_status"]) for p in periods
    ]
    known = [p for p in periods if p["value"] is not None]
    told = ", ".join(f"{p['period_id']}: {number(language, p['value'], kpi['unit'])}" for p in (known[0], known[-1]))
    said = sentence("report.trend_of", language, kpi=title)
    return sparkline(points, Caption(f"t-{kpi['kpi_code']}", said, told), width=110, height=28)


def _bullet(
    language: str, kpi: Mapping[str, Any], title: str, row: Mapping[str, Any], plans: list[dict[str, Any]]
) -> str:
    def written(value: float | None) -> str:
        return number(language, value, kpi["unit"])

    told = sentence("report.plan_and_fact", language, plan=written(plans[0]["plan"]), fact=written(row["value"]))
    return bullet(
        row["value"],
        float(plans[0]["plan"]),
        Caption(f"p-{kpi['kpi_code']}", sentence("report.plan_of", language, kpi=title), told),
        low=row["value_low"],
        high=row["value_high"],
        status=row["obs_status"],
        axis=False,
        width=130,
    )


def _strip(
    language: str, kpi: Mapping[str, Any], title: str, place: Mapping[str, Any], group: list[dict[str, Any]]
) -> str:
    """`group`: the year's values of all that have a place, the settlement's own first."""
    own, *others = group
    said = sentence("report.place_of", language, kpi=title)
    told = sentence(
        "report.place_among",
        language,
        rank=place["rank"],
        of=place["ranked"],
        best=place["rank_high"],
        worst=place["rank_low"],
    )
    return strip(
        [other["value"] for other in others],
        own["value"],
        Caption(f"s-{kpi['kpi_code']}", said, told),
        low=own["value_low"],
        high=own["value_high"],
        status=own["obs_status"],
        better=BETTER[kpi["direction"]],
        width=110,
    )


def _place_in_group(release: ReleaseData, language: str, kato: str, year: int) -> str | None:
    """The level among those of the group, drawn; None where the settlement is not ranked."""
    own = release.figures.scorecards.get((kato, year))
    if own is None or own["rank"] is None:
        return None
    others = [
        card["level"]
        for (other, of_year), card in release.figures.scorecards.items()
        if of_year == year and other != kato and card["rank"] is not None and card["item7_group"] == own["item7_group"]
    ]
    told = sentence(
        "report.place_among",
        language,
        rank=own["rank"],
        of=len(others) + 1,
        best=own["rank_high"],
        worst=own["rank_low"],
    )
    caption = Caption("place", sentence("report.place_level", language), told)
    return strip(others, own["level"], caption, low=own["level_low"], high=own["level_high"], better="up", width=260)
