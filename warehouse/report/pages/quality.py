"""Data quality: eight criteria by table, incidents, refusals, what is overdue, the calendar of deliveries, rejected rows, restatements.

Of rejected rows only how many: what stood in them never reaches a page. Does not belong here: which systems there are (systems.py).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.audit.overdue import missing_periods
from warehouse.charts.grids import Cell, Day, calendar, heat
from warehouse.charts.legends import legend_of_classes, legend_of_deliveries
from warehouse.charts.svg import Caption, class_of
from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name
from warehouse.sql import literal, statement
from warehouse.tables.rules import TOLERANCE

Row = dict[str, Any]
_ALMATY = dt.timezone(dt.timedelta(hours=5))
MOST = 200  # rows of a list; the rest is counted
_MONTHS = 24
_SHARES = (5, 20, 50)  # per cent of a table's deliveries that fail, at which the next class ends


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    overdue, restated = release.once(overdue_feeds), release.once(restatements)
    context: dict[str, Any] = {
        "title": sentence("overview.quality_title", language),
        "today": today_of(release),
        "most": MOST,
        "tolerance": f"{TOLERANCE:g}",
        "overdue": overdue,
        "overdue_tables": release.once(_overdue_tables),
        "never": [one for one in release.settlements.values() if not one["delivered"]],
        "restated": restated[:MOST],
        "restated_all": len(restated),
        **release.once(_lists),
        **_criteria(release, language),
        **_calendar(release, language),
    }
    yield Page("quality.html", "quality.html.j2", context)


def _lists(release: ReleaseData) -> Row:
    """Lists of the page that are shown as they are."""
    most, today = str(MOST), literal(today_of(release).isoformat())
    return {
        "incidents": release.rows(statement(__file__, "quality_incidents", today=today, most=most)),
        "incident_counts": release.rows(statement(__file__, "quality_incident_counts")),
        "refusals": release.rows(statement(__file__, "quality_refusals", most=most)),
        "rejected": release.rows(statement(__file__, "quality_rejected", most=most)),
        "totals": release.rows(statement(__file__, "quality_totals"))[0],
        "criteria": release.rows("FROM registry.criterion ORDER BY position"),
    }


def today_of(release: ReleaseData) -> dt.date:
    """The day of the release by the national clock: what is overdue is overdue on it, whenever the page is read."""
    when: dt.datetime = release.released["recorded_at"]
    return when.astimezone(_ALMATY).date()


def overdue_feeds(release: ReleaseData) -> list[Row]:
    """Tables by system and territory of which agreed periods are missing, the longest overdue first."""
    today = today_of(release)
    missing = missing_periods(today)
    return release.rows(statement(__file__, "quality_overdue", missing=missing, today=literal(today.isoformat())))


def restatements(release: ReleaseData) -> list[Row]:
    """Public values that were replaced by others, the newest first."""
    rows = [row for of in release.figures.restated.values() for row in of]
    return sorted(rows, key=lambda row: -row["restated_seq"])


def former_release(release: ReleaseData) -> Row | None:
    """Ledger row of the release before this one."""
    found = release.rows(statement(__file__, "former_release", seq=str(release.seq)))
    return found[0] if found else None


def _overdue_tables(release: ReleaseData) -> list[Row]:
    """Tables with what is missing of them, the most first."""
    found: dict[str, Row] = {}
    for one in release.once(overdue_feeds):
        table = found.setdefault(one["table_name"], {**one, "feeds": 0, "missing": 0})
        table["feeds"] += 1
        table["missing"] += len(one["months"])
        table["due_on"], table["days"] = min(table["due_on"], one["due_on"]), max(table["days"], one["days"])
    return sorted(found.values(), key=lambda t: (-t["missing"], t["table_name"]))


def _judged(release: ReleaseData) -> dict[str, list[Row]]:
    """Table → the eight criteria with the deliveries that pass, fail, could not be judged."""
    by_table: dict[str, list[Row]] = defaultdict(list)
    for row in release.rows(statement(__file__, "quality_tables")):
        by_table[row["table_name"]].append(row)
    return by_table


def _criteria(release: ReleaseData, language: str) -> Row:
    """Tables against the eight criteria: those with a failing delivery as rows and as a heat map, the sound ones counted."""
    by_table = release.once(_judged)
    failing = [rows for rows in by_table.values() if any(row["fail"] for row in rows)]
    texts = [sentence("overview.share_0", language)]
    texts += [sentence("overview.share_to", language, share=share) for share in _SHARES]
    texts.append(sentence("overview.share_over", language, share=_SHARES[-1]))
    caption = Caption(
        "criteria",
        sentence("overview.criteria_title", language),
        sentence("overview.criteria_desc", language, tables=len(by_table), failing=len(failing)),
    )
    cells = [[_criterion(language, row) for row in rows] for rows in failing]
    names = [name(language, rows[0], "table") for rows in failing]
    heads = [name(language, row, "criterion") for row in failing[0]] if failing else []
    return {
        "criteria_rows": failing,
        "judged_tables": len(by_table),
        "criteria_chart": heat(names, heads, cells, caption, width=620, head=140) if cells else "",
        "criteria_legend": legend_of_classes(texts, id="criteria-legend"),
    }


def _criterion(language: str, row: Mapping[str, Any]) -> Cell:
    """How many deliveries of a table fail a criterion, of those that could be judged."""
    judged = row["pass"] + row["fail"]
    told = sentence(
        "overview.criteria_cell",
        language,
        table=name(language, row, "table"),
        criterion=name(language, row, "criterion"),
        passed=row["pass"],
        failed=row["fail"],
        unjudged=row["not_judged"],
    )
    if not judged:
        return Cell(None, "", told)
    share = 100 * row["fail"] / judged
    return Cell(1 + class_of(share, [s + 1e-9 for s in _SHARES]) if share else 0, str(row["fail"]), told)


def _months(release: ReleaseData) -> tuple[list[str], list[Row]]:
    """The last months, and every table that ever came with what became of its deliveries in each of them."""
    cells: dict[tuple[str, str], Row] = {}
    for row in release.rows(statement(__file__, "quality_delivered")):
        cells[row["table_name"], row["closing_month"]] = {**row, "overdue": 0}
    for one in release.once(overdue_feeds):
        for month in one["months"]:
            empty = {"loaded": 0, "refused": 0, "scopes": 0, "rejected_rows": 0, "overdue": 0}
            cells.setdefault((one["table_name"], month), empty)["overdue"] += 1
    months, came = sorted({month for _, month in cells})[-_MONTHS:], {table for table, _ in cells}
    tables = [
        one for one in release.rows("FROM registry.showcase_table ORDER BY table_name") if one["table_name"] in came
    ]
    return months, [
        {"table": table, "cells": [cells.get((table["table_name"], month)) for month in months]} for table in tables
    ]


def _calendar(release: ReleaseData, language: str) -> Row:
    """Tables by month: what was loaded, what was refused, what is overdue."""
    months, rows = release.once(_months)
    names = [name(language, row["table"]) for row in rows]
    days = [
        [_day(language, called, month, cell) for month, cell in zip(months, row["cells"], strict=True)]
        for called, row in zip(names, rows, strict=True)
    ]
    caption = Caption("calendar", sentence("overview.calendar_title", language))
    words = {"accepted": "loaded", "rejected_rows": "rejected", "refused": "refused", "overdue": "overdue"}
    texts = {kind: sentence(f"overview.calendar_{word}", language) for kind, word in words.items()}
    return {
        "months": months,
        "calendar_rows": rows,
        "calendar": calendar(names, months, days, caption, width=700) if rows else "",
        "calendar_legend": legend_of_deliveries(texts),
    }


def _day(language: str, table: str, month: str, cell: Row | None) -> Day:
    """The worst that happened to a table in a month."""
    if cell is None:
        return Day("")
    kind = (
        "overdue"
        if cell["overdue"]
        else "refused"
        if cell["refused"]
        else "rejected_rows"
        if cell["rejected_rows"]
        else "accepted"
    )
    counted = {key: cell[key] for key in ("loaded", "scopes", "refused", "overdue")}
    return Day(kind, sentence("overview.calendar_cell", language, table=table, month=month, **counted))
