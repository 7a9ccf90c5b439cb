"""Values and trends, as the views and `explain` have them; what may not be published is left out here, before anything else.

Does not belong here: places in a group (rankings.py), deliveries and earlier values (origins.py), targets and what is missing (gaps.py).
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question, withheld
from warehouse.assistant.shapes import Definition, Figure, Place, Point, Trend, Value
from warehouse.messages.messages import sentence
from warehouse.periods import Period
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import ObsStatus

KpiText = Annotated[
    str, Field(min_length=1, max_length=200, description="Code of a KPI, as MGT02-1, or its whole name")
]
PlaceText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="Settlement or region by name (kk, ru, en, also former names) or KATO; republican, regional, district; KZ",
    ),
]
PeriodText = Annotated[str, Field(min_length=4, max_length=20, description="2025-06, 2025-Q2 or 2025")]
Skip = Annotated[int, Field(ge=0, le=100_000, description="Rows to pass over: those given before")]
_FIGURES = ("numerator", "denominator", "sample_size", "rejected_rows", "gap_rows")


def figure(question: Question, row: Mapping[str, Any]) -> Figure:
    """The figure of a row of a view or of `explain`, which must have `sensitivity`; withheld figures are left out, parts and bounds too."""
    status = ObsStatus(row["obs_status"])
    if withheld(row):
        restricted = row["sensitivity"] == "restricted"
        return Figure(
            obs_status=ObsStatus.SUPPRESSED,
            state=question.state(ObsStatus.SUPPRESSED),
            reason=sentence("reason.restricted", question.language) if restricted else question.reason(row),
            withheld=True,
        )
    # of a restricted KPI the text could tell the figure that it is about
    told = row["sensitivity"] != "restricted" or status is ObsStatus.NOT_DELIVERED
    reason = question.reason(row) if told else sentence("reason.restricted", question.language)
    if not status.has_value:
        return Figure(obs_status=status, state=question.state(status), reason=reason)
    parts = {name: row[name] for name in _FIGURES if name in row}
    return Figure(
        value=row["value"],
        low=row["value_low"],
        high=row["value_high"],
        obs_status=status,
        state=question.state(status),
        reason=reason,
        **parts,
    )


def explain_line(code: str, place: str, period: str, seq: int) -> str:
    return f"qala explain {code} {shlex.quote(place)} {period} --as-of {seq}"


def told(question: Question, one: Figure, unit: str) -> str:
    """A figure in words: value and unit with its bounds, or that there is none."""
    if one.value is None:
        return question.said(
            "withheld" if one.withheld else "no_value", state=one.state, reason=one.reason or one.state
        )
    parts: dict[str, Any] = {"value": _short(one.value), "unit": unit, "state": one.state}
    if one.low is None or one.high is None or one.low == one.high:
        return question.said("figure", **parts)
    return question.said("figure_between", low=_short(one.low), high=_short(one.high), **parts)


def _short(number: float) -> float | int:
    """Six significant digits, as screens show them."""
    short = float(f"{number:.6g}")
    return int(short) if short.is_integer() else short


def published_rows(question: Question, code: str, place: Place, period: str | None = None) -> list[dict[str, Any]]:
    """Rows of a KPI in a place, by period: cells of a settlement, and its years; roll-ups of anything else."""
    return question.store.select(
        statement(
            __file__,
            "place_values",
            kpi_code=literal(code),
            area_kind=literal(place.kind),
            area=literal(place.code),
            period_id=f"{literal(period)}::VARCHAR",
        )
    )


def get_value(question: Question, kpi: KpiText, place: PlaceText, period: PeriodText) -> Value:
    """One number: a KPI in a settlement, a region, an item 7 group or the country, for a month, a quarter or a year.

    With state, reason, bounds, parts and the definition by which it was computed. A number that the release does not have is said to be
    not there (`published` false); nothing is estimated or worked out for the asking.
    """
    row, where, when = (
        lookups.find_kpi(question, kpi),
        lookups.find_place(question, place),
        lookups.find_period(question, period),
    )
    code, of_kpi = row["kpi_code"], lookups.kpi(question, row)
    seq = question.head[0]
    found = published_rows(question, code, where, when.id)
    shared: dict[str, Any] = {
        "kpi": of_kpi,
        "place": where,
        "period": when.id,
        "starts": when.start,
        "ends": when.end - dt.timedelta(days=1),
    }
    if not found:
        said = _not_published(question, row, where, when)
        return Value(said=said, evidence=question.evidence(), published=False, figure=None, definition=None, **shared)
    one = figure(question, found[0])
    made_of = None
    if found[0].get("counted") is not None and not one.withheld:
        made_of = question.said("made_of", counted=found[0]["counted"], applicable=found[0]["applicable"])
    lines = [explain_line(code, where.code, when.id, seq), f"qala reperform {code} {shlex.quote(where.code)} {when.id}"]
    return Value(
        said=f"{of_kpi.name} ({code}), {where.name}, {when.id}: {told(question, one, of_kpi.unit_name)}",
        evidence=question.evidence(*lines),
        published=True,
        figure=one,
        definition=_definition(question, code, found[0]["definition_version"]),
        made_of=made_of,
        read_as_of=found[0]["as_of_seq"],
        **shared,
    )


def _not_published(question: Question, kpi: Mapping[str, Any], place: Place, period: Period) -> str:
    """That a number is not there, with the newest periods that are."""
    rows = published_rows(question, kpi["kpi_code"], place)
    there = [row["period_id"] for row in rows if not withheld(row) and ObsStatus(row["obs_status"]).has_value]
    parts = {"kpi": kpi["kpi_code"], "place": place.name, "period": period.id}
    if not there:
        return question.said("never_computed", **parts)
    grain = question.said(f"by_{kpi['grain']}")
    return question.said("not_computed", by=grain, periods=there[-3:], **parts)


def _definition(question: Question, code: str, version: int) -> Definition:
    """A version of a definition with its case passport, as the release keeps them."""
    (row,) = question.store.select(statement(__file__, "definition", kpi_code=literal(code), version=str(version)))
    in_words = row[f"description_{question.language}"] or row["description_en"]
    fields = {name: row[name] for name in Definition.model_fields if name in row}
    return Definition(in_words=in_words, **fields)


def get_trend(
    question: Question,
    kpi: KpiText,
    place: PlaceText,
    by: Annotated[Literal["M", "Q", "A"] | None, Field(description="Months, quarters or years only")] = None,
    since: PeriodText | None = None,
    skip: Skip = 0,
) -> Trend:
    """A KPI in one place, period after period, oldest first; periods without a value stand in it with their reason."""
    row, where = lookups.find_kpi(question, kpi), lookups.find_place(question, place)
    code, of_kpi = row["kpi_code"], lookups.kpi(question, row)
    start = lookups.find_period(question, since).start if since else None
    rows = [
        one
        for one in published_rows(question, code, where)
        if (by is None or one["grain"] == by) and (start is None or one["period_start"] >= start)
    ]
    points = [Point(period=one["period_id"], figure=figure(question, one)) for one in rows[skip : skip + ROWS]]
    with_value = sum(point.figure.value is not None for point in points)
    lines = [explain_line(code, where.code, point.period, question.head[0]) for point in points[-1:]]
    return Trend(
        said=question.said("trend", kpi=of_kpi.name, place=where.name, points=len(points), with_value=with_value),
        evidence=question.evidence(*lines),
        kpi=of_kpi,
        place=where,
        points=points,
        more=max(len(rows) - skip - len(points), 0),
    )
