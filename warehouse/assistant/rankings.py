"""Places in an item 7 group: by one KPI, or by the level of the annual assessment, each with the places that its bounds allow.

Does not belong here: how levels are made (kpi_values/assessment.py) and explained (audit/levels.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question
from warehouse.assistant.shapes import Figure, Place, Ranked, Ranking, Unranked
from warehouse.assistant.values import PeriodText, PlaceText, Skip, explain_line, figure
from warehouse.sql import literal, statement

LEVEL = "LEVEL"


def get_ranking(
    question: Question,
    kpi: Annotated[
        str, Field(min_length=1, max_length=200, description="Code of a KPI, or LEVEL: of the annual assessment")
    ],
    group: PlaceText,
    period: PeriodText,
    catalogue: Annotated[
        str | None, Field(max_length=100, description="Of a level, where several lists assessed the year")
    ] = None,
    skip: Skip = 0,
) -> Ranking:
    """Settlements of one item 7 group, the best first: by a KPI in a period, or by LEVEL in a year; a settlement in place of the group means its own.

    Settlements of different groups are never compared. Beside each place stand the best and the worst that the bounds of all values allow:
    where they overlap, the order is not certain. Withheld values have no place.
    """
    where = lookups.find_place(question, group)
    code = where.group if where.kind == "settlement" else where.code
    if code not in lookups.GROUPS:
        raise question.refuse("not_a_group", asked=where.name)
    of_group, when = lookups.group(question, code), lookups.find_period(question, period)
    if kpi.strip().upper() == LEVEL:
        return _by_level(question, of_group, when.id, catalogue, skip)
    row = lookups.find_kpi(question, kpi)
    of_kpi = lookups.kpi(question, row)
    found = question.store.select(
        statement(
            __file__,
            "group_values",
            kpi_code=literal(row["kpi_code"]),
            item7_group=literal(code),
            period_id=literal(when.id),
        )
    )
    if not found:
        raise question.refuse("not_computed_for_group", kpi=of_kpi.code, group=of_group.name, period=when.id)
    figures = [(lookups.settlement(question, one), figure(question, one), one) for one in found]
    ranked = [_by_value(place, one, row) for place, one, row in figures if one.value is not None]
    others = [
        Unranked(place=place, state=one.state, reason=one.reason) for place, one, _ in figures if one.value is None
    ]
    shown = ranked[skip : skip + ROWS]
    return Ranking(
        said=question.said(
            "ranking", what=of_kpi.name, group=of_group.name, period=when.id, ranked=len(ranked), others=len(others)
        ),
        evidence=question.evidence(
            *(explain_line(of_kpi.code, one.place.code, when.id, question.head[0]) for one in shown[:1])
        ),
        kpi=of_kpi,
        group=of_group,
        period=when.id,
        ranked=shown,
        not_ranked=others[:ROWS],
        more=max(len(ranked) - skip - len(shown), 0),
    )


def _by_value(place: Place, one: Figure, row: Mapping[str, Any]) -> Ranked:
    return Ranked(
        rank=row["rank"],
        rank_from=row["rank_high"],
        rank_to=row["rank_low"],
        place=place,
        value=row["value"],
        low=one.low,
        high=one.high,
        obs_status=one.obs_status,
    )


def _by_level(question: Question, group: Place, year: str, catalogue: str | None, skip: int) -> Ranking:
    rows = question.store.select(
        statement(__file__, "group_levels", item7_group=literal(group.code), assessed_year=literal(year))
    )
    lists = sorted({row["catalogue_id"] for row in rows})
    if catalogue is None and len(lists) > 1:
        raise question.refuse("several_catalogues", year=year, catalogues=lists)
    rows = [row for row in rows if catalogue in (None, row["catalogue_id"])]
    if not rows:
        raise question.refuse("not_assessed", year=year)
    ranked = [_level(question, row) for row in rows if row["rank"] is not None]
    others = [
        Unranked(
            place=lookups.settlement(question, row),
            state=question.said("not_ranked"),
            reason=question.said("insufficient_coverage", percent=row["coverage_percent"]),
        )
        for row in rows
        if row["rank"] is None
    ]
    shown = ranked[skip : skip + ROWS]
    what = question.said(
        "level", catalogue=rows[0]["catalogue_id"], standing=question.said(f"assessment_{rows[0]['status']}")
    )
    return Ranking(
        said=question.said("ranking", what=what, group=group.name, period=year, ranked=len(ranked), others=len(others)),
        evidence=question.evidence(*(f"qala explain place {one.place.code} {year}" for one in shown[:1])),
        kpi=None,
        group=group,
        period=year,
        assessment=f"{rows[0]['catalogue_id']} {rows[0]['status']} {rows[0]['version']}",
        ranked=shown,
        not_ranked=others[:ROWS],
        more=max(len(ranked) - skip - len(shown), 0),
    )


def _level(question: Question, row: Mapping[str, Any]) -> Ranked:
    return Ranked(
        rank=row["rank"],
        rank_from=row["rank_high"],
        rank_to=row["rank_low"],
        place=lookups.settlement(question, row),
        value=row["level"],
        low=row["level_low"],
        high=row["level_high"],
        coverage_percent=row["coverage_percent"],
        rank_by_weights=[row["rank_best"], row["rank_worst"]],
    )
