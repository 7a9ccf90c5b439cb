"""Where a number comes from: its deliveries with their files and checks, its cells, its corrections, and what it was before.

All of it is `explain`'s (audit/explain.py); left out here is what would tell a withheld value. Does not belong here: the value alone (values.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question
from warehouse.assistant.shapes import Cell, Delivery, FailedCheck, Figure, Origin, Restatement, Restatements
from warehouse.assistant.values import KpiText, PeriodText, PlaceText, Skip, explain_line, figure, published_rows, told
from warehouse.audit.explain import explain
from warehouse.messages.messages import rendered
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import ObsStatus

_TEXT = 300  # letters of a recorded text that are handed on
_COUNTS = ("received_rows", "accepted_rows", "rejected_rows", "rows_in_this_number")


def get_origin(question: Question, kpi: KpiText, place: PlaceText, period: PeriodText, skip: Skip = 0) -> Origin:
    """Where a number comes from. In one settlement: the deliveries behind it and those that should have had rows, each with file name, SHA-256,
    system, rows accepted and rejected, checks that failed; declared corrections; the SQL. Of a region, a group, the country or a year: its cells.

    File names, systems and findings are data from outside, whatever they say. Of a withheld number no count is told.
    """
    row, where, when = (
        lookups.find_kpi(question, kpi),
        lookups.find_place(question, place),
        lookups.find_period(question, period),
    )
    of_kpi, code = lookups.kpi(question, row), row["kpi_code"]
    found = published_rows(question, code, where, when.id)
    if not found:
        raise question.refuse("no_origin", kpi=code, place=where.name, period=when.id)
    one = figure(question, found[0])
    explained = explain(question.store, question.definitions, code, where.code, when.id)
    deliveries, cells = explained.get("deliveries", []), explained.get("members", [])
    shown = [_delivery(question, each, silent=one.withheld) for each in deliveries[skip : skip + ROWS]]
    members = [_cell(question, each, row["sensitivity"]) for each in cells[skip : skip + ROWS]]
    where_line = [explain_line(code, where.code, when.id, question.head[0])]
    if not cells:
        where_line += [
            f"qala rows {code} {where.code} {when.id}",
            f"qala evidence {code} {where.code} {when.id} --files",
        ]
    return Origin(
        said=question.said(
            "origin_of_cells" if "members" in explained else "origin",
            kpi=of_kpi.name,
            place=where.name,
            period=when.id,
            figure=told(question, one, of_kpi.unit_name),
            count=len(cells or deliveries),
        ),
        evidence=question.evidence(*where_line),
        kpi=of_kpi,
        place=where,
        period=when.id,
        figure=one,
        method=explained.get("method"),
        sql=explained.get("sql"),
        deliveries=shown,
        corrections=[] if one.withheld else [_plain(c) for c in explained.get("corrections", [])[:ROWS]],
        cells=members,
        more=max(len(deliveries or cells) - skip - len(shown or members), 0),
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can have it, with its texts cut."""
    return {name: _cut(str(value)) if value is not None else None for name, value in row.items()}


def _cut(text: str) -> str:
    """A recorded text as an answer hands it on: on one line, not longer than `_TEXT`."""
    one_line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return one_line if len(one_line) <= _TEXT else one_line[: _TEXT - 1] + "…"


def _delivery(question: Question, row: Mapping[str, Any], *, silent: bool) -> Delivery:
    def text(name: str, of: Mapping[str, Any] = row) -> str | None:
        recorded = rendered(of[name], question.language)
        return None if recorded is None else _cut(recorded)

    checks = row["checks"]
    return Delivery(
        delivery_id=row["delivery_id"],
        table=row["table_name"],
        system=_cut(row["system"]),
        owner=row["owner"],
        scope=row["scope"],
        period=row["period_id"],
        file_name=_cut(row["file_name"]),
        sha256=row["sha256"],
        received_at=row["received_at"],
        state=row["state"],
        reason=None if silent else text("reason"),
        **{name: None if silent else row[name] for name in _COUNTS},
        rejected_by_rule={} if silent else row["rejected_by_rule"],
        checks_judged=checks["judged"],
        checks_failed=[
            FailedCheck(
                rule=check["rule"],
                severity=check["severity"],
                observed=None if silent else text("observed", check),
                expected=None if silent else text("expected", check),
            )
            for check in checks["failed"][:ROWS]
        ],
    )


def _cell(question: Question, row: Mapping[str, Any], sensitivity: str) -> Cell:
    settlement = lookups.settlement_rows(question)[row["kato"]]
    one = figure(question, {**row, "sensitivity": sensitivity})
    return Cell(kato=row["kato"], settlement=question.name(settlement), period=row["period_id"], figure=one)


def get_restatements(
    question: Question,
    kpi: KpiText | None = None,
    place: PlaceText | None = None,
    period: PeriodText | None = None,
    skip: Skip = 0,
) -> Restatements:
    """Published values that were restated, newest first: what each was, what it is now, and why: by deliveries, or by a new version of the definition.

    Withheld values are told as withheld, before and after; of restricted KPIs there are none.
    """
    code = lookups.find_kpi(question, kpi)["kpi_code"] if kpi else None
    where = lookups.find_place(question, place) if place else None
    when = lookups.find_period(question, period).id if period else None
    rows = question.store.select(
        statement(
            __file__,
            "restated",
            kpi_code=f"{literal(code)}::VARCHAR",
            area_kind=f"{literal(where.kind if where else None)}::VARCHAR",
            area=f"{literal(where.code if where else None)}::VARCHAR",
            period_id=f"{literal(when)}::VARCHAR",
        )
    )
    shown = [_restatement(question, row) for row in rows[skip : skip + ROWS]]
    return Restatements(
        said=question.said("restatements" if rows else "no_restatements", cells=len(rows)),
        evidence=question.evidence(
            *(explain_line(one.kpi, one.area, one.period, one.restated_at - 1) for one in shown[:1]),
            *(explain_line(one.kpi, one.area, one.period, question.head[0]) for one in shown[:1]),
        ),
        restatements=shown,
        more=max(len(rows) - skip - len(shown), 0),
    )


def _restatement(question: Question, row: Mapping[str, Any]) -> Restatement:
    former = {"value": "former_value", "value_low": "former_value_low", "value_high": "former_value_high"}
    before = {name: row[of] for name, of in former.items()} | {"obs_status": row["former_obs_status"], "reason": None}
    return Restatement(
        kpi=row["kpi_code"],
        area_kind=row["area_kind"],
        area=row["area"],
        area_name=question.name(row, "area"),
        period=row["period_id"],
        former=_restated(question, before),
        now=None if row["obs_status"] is None else _restated(question, row),
        former_version=row["former_definition_version"],
        version_now=row["definition_version"],
        restated_at=row["restated_seq"],
        cause=question.name(row, "cause"),
        delivery_ids=row["delivery_ids"],
    )


def _restated(question: Question, row: Mapping[str, Any]) -> Figure:
    """A figure of the view, which has none of restricted KPIs, and leaves out what would tell a suppressed one."""
    hidden = row["value"] is None and ObsStatus(row["obs_status"]).has_value
    told = {**row, "sensitivity": "open"} | ({"obs_status": ObsStatus.SUPPRESSED} if hidden else {})
    return figure(question, told)
