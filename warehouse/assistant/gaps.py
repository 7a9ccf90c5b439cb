"""What was planned beside what is, and what is missing and why.

Does not belong here: values one by one (values.py), how a value came about (origins.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question
from warehouse.assistant.shapes import Missing, MissingCell, MissingCount, Plan, Target
from warehouse.assistant.values import KpiText, PeriodText, PlaceText, Skip, explain_line, figure
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import WITH_VALUE, ObsStatus, in_sql

Year = Annotated[int, Field(ge=2000, le=2100)]


def get_plan(
    question: Question,
    settlement: PlaceText,
    kpi: KpiText | None = None,
    year: Year | None = None,
    document: Annotated[Literal["STRATEGY", "ROADMAP"] | None, Field(description="Strategy or Road map only")] = None,
    skip: Skip = 0,
) -> Plan:
    """Targets of a settlement's Strategy and Road map (item 11 of the order), each beside the year's value and the way made towards it.

    Of a withheld value neither fact, baseline nor progress is told. A plan is never part of a computed value.
    """
    where = lookups.find_settlement(question, settlement)
    code = lookups.find_kpi(question, kpi)["kpi_code"] if kpi else None
    rows = question.store.select(
        statement(
            __file__,
            "targets",
            kato=literal(where.code),
            kpi_code=f"{literal(code)}::VARCHAR",
            target_year=f"{literal(year)}::INTEGER",
            document_kind=f"{literal(document)}::VARCHAR",
        )
    )
    known = lookups.kpi_rows(question)
    shown = [_target(question, row, known) for row in rows[skip : skip + ROWS]]
    with_fact = sum(one.fact is not None and one.fact.value is not None for one in shown)
    return Plan(
        said=question.said("plan" if shown else "no_plan", place=where.name, targets=len(shown), with_fact=with_fact),
        evidence=question.evidence(
            *(explain_line(one.kpi.code, where.code, str(one.year), question.head[0]) for one in shown[:1])
        ),
        place=where,
        targets=shown,
        more=max(len(rows) - skip - len(shown), 0),
    )


def _target(question: Question, row: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Target:
    fact = figure(question, row) if row["obs_status"] is not None else None
    silent = row["sensitivity"] == "restricted" or (fact is not None and fact.withheld)
    return Target(
        kpi=lookups.kpi(question, known[row["kpi_code"]]),
        year=row["year"],
        document=row["document_kind"],
        document_id=row["document_id"],
        document_version=row["document_version"],
        approved_at=row["approved_at"],
        agreed_at=row["agreed_at"],
        baseline_year=row["baseline_year"],
        baseline=None if silent else row["baseline_value"],
        plan=row["plan"],
        fact=fact,
        progress=None if silent or fact is None or fact.value is None else row["progress"],
        delivery_id=row["delivery_id"],
    )


def get_missing(
    question: Question,
    period: PeriodText,
    place: PlaceText | None = None,
    kpi: KpiText | None = None,
    sphere: Annotated[str | None, Field(max_length=20, description="Code of a sphere, as SAF")] = None,
    reasons: Annotated[
        Literal["gap", "all"],
        Field(description="gap: what should be there and is not; all: also not applicable and withheld"),
    ] = "gap",
    skip: Skip = 0,
) -> Missing:
    """Which values of a period are not there, and why: not integrated, not delivered, refused, no system known. By settlement and KPI."""
    when = lookups.find_period(question, period)
    where = lookups.find_place(question, place) if place else None
    code = lookups.find_kpi(question, kpi)["kpi_code"] if kpi else None
    area = {
        "settlement": "kato",
        "region": "region_kato",
        "group": "item7_group",
        "country": "'KZ'",
    }
    rows = question.store.select(
        statement(
            __file__,
            "cells",
            period_id=literal(when.id),
            of_area=f"{area[where.kind]} = {literal(where.code)}" if where else "true",
            kpi_code=f"{literal(code)}::VARCHAR",
            sphere=f"{literal(sphere.strip().upper() if sphere else None)}::VARCHAR",
            with_value=in_sql(WITH_VALUE),
        )
    )
    if not rows:
        raise question.refuse("no_cells", period=when.id)
    wanted = (ObsStatus.NOT_DELIVERED, ObsStatus.NOT_CALCULABLE) if reasons == "gap" else tuple(ObsStatus)
    gaps = [row for row in rows if row["obs_status"] in wanted and not row["has_value"]]
    shown = [_cell(question, row) for row in gaps[skip : skip + ROWS]]
    counted = {status: sum(row["obs_status"] == status for row in rows) for status in ObsStatus}
    with_value = sum(row["has_value"] for row in rows)
    return Missing(
        said=question.said("missing", period=when.id, cells=len(rows), with_value=with_value, gaps=len(gaps)),
        evidence=question.evidence(
            *(explain_line(one.kpi, one.kato, one.period, question.head[0]) for one in shown[:1])
        ),
        cells=len(rows),
        with_value=with_value,
        counts=[
            MissingCount(obs_status=status, state=question.state(status), cells=n)
            for status, n in counted.items()
            if n and not status.has_value
        ],
        missing=shown,
        more=max(len(gaps) - skip - len(shown), 0),
    )


def _cell(question: Question, row: Mapping[str, Any]) -> MissingCell:
    one = figure(question, row)
    return MissingCell(
        kpi=row["kpi_code"],
        kato=row["kato"],
        settlement=question.name(row, "settlement"),
        period=row["period_id"],
        obs_status=row["obs_status"],
        state=one.state,
        reason=one.reason,
    )
