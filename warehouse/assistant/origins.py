"""Where a number comes from: its deliveries with their files and checks, its cells, its corrections, and what it was before.

All of it is `explain`'s (audit/explain.py); left out here is what would tell a withheld value. Does not belong here: the value alone (values.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kpi_definitions.compiler import compile_kpi
from kpi_definitions.model import Kpi as Kpi_
from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question
from warehouse.assistant.shapes import Cell, Delivery, FailedCheck, Origin, Restatement, Restatements
from warehouse.assistant.values import KpiText, PeriodText, PlaceText, Skip, explain_line, figure, published_rows, told
from warehouse.audit.explain import explain
from warehouse.audit.explain_inputs import find_earlier_values
from warehouse.messages.messages import rendered
from warehouse.periods import parse_period
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import ObsStatus

_TEXT = 300  # letters of a recorded text that are handed on
_RESTATED = 25  # cells of one answer whose earlier values are looked into
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
    """Published values that were restated, newest first: what each was, what it is now, by which deliveries or which version of the definition.

    Withheld values are told as withheld, before and after.
    """
    code = lookups.find_kpi(question, kpi)["kpi_code"] if kpi else None
    where = lookups.find_settlement(question, place) if place else None
    when = lookups.find_period(question, period).id if period else None
    rows = question.store.select(
        statement(
            __file__,
            "restated_cells",
            kpi_code=f"{literal(code)}::VARCHAR",
            kato=f"{literal(where.code if where else None)}::VARCHAR",
            period_id=f"{literal(when)}::VARCHAR",
        )
    )
    shown = rows[skip : skip + _RESTATED]
    names = lookups.settlement_rows(question)
    restated = [one for row in shown for one in _restatements(question, row, question.name(names[row["kato"]]))]
    return Restatements(
        said=question.said("restatements" if rows else "no_restatements", cells=len(rows)),
        evidence=question.evidence(
            *(explain_line(r["kpi_code"], r["kato"], r["period_id"], question.head[0]) for r in shown[:1])
        ),
        restatements=restated,
        more=max(len(rows) - skip - len(shown), 0),
    )


def _restatements(question: Question, row: Mapping[str, Any], settlement: str) -> list[Restatement]:
    """The earlier values of one cell, newest first. `row`: the cell as it is now, with its definition."""
    compiled = compile_kpi(Kpi_.model_validate(json.loads(row["definition"])), question.store.columns())
    period = parse_period(row["period_id"])
    earlier = find_earlier_values(question.store, compiled, row["kato"], period, None)
    rows = question.store.select(
        statement(
            __file__,
            "former_values",
            kpi_code=literal(row["kpi_code"]),
            kato=literal(row["kato"]),
            period_id=literal(row["period_id"]),
        )
    )
    whole = {one["valid_to_seq"]: one for one in rows}
    now, version = figure(question, row), row["definition_version"]
    found = []
    for one in earlier:
        # a value that is withheld now could be told from what it was
        silent = {"obs_status": ObsStatus.SUPPRESSED, "reason": None} if now.withheld else {}
        former = figure(question, whole[one["valid_to_seq"]] | silent)
        found.append(
            Restatement(
                kpi=row["kpi_code"],
                kato=row["kato"],
                settlement=settlement,
                period=row["period_id"],
                former=former,
                now=now,
                former_version=one["definition_version"],
                version_now=version,
                restated_at=one["valid_to_seq"],
                deliveries_since=[] if former.withheld else [_cut(text) for text in one["deliveries_since"][:ROWS]],
            )
        )
        now, version = former, one["definition_version"]
    return found
