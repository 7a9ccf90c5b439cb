"""Information systems: the register by executive body held against items 12 and 13, which KPI depends on what, who stopped delivering.

Does not belong here: single deliveries (quality.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.charts.grids import Cell, heat
from warehouse.charts.svg import Caption, class_of
from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.pages.quality import overdue_feeds, today_of
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name
from warehouse.sql import statement

Row = dict[str, Any]
_IN_A_ROW = 2  # agreed periods missing at the end by which a feed counts as stopped; our proposal
_CLASSES = (40, 60, 80, 100)  # per cent of systems at which the next class begins


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    register = release.once(_register)
    bodies: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for one in register:
        bodies[one["kato"], one["mio_code"]].append(one)
    context: dict[str, Any] = {
        "title": sentence("overview.systems_title", language),
        "today": today_of(release),
        "bodies": sorted(bodies.items(), key=lambda of: (list(release.settlements).index(of[0][0]), of[0][1])),
        "systems": len(register),
        "own": sum(one["origin"] == "OWN" for one in register),
        "with_centre": sum(_before(one, "integrated_at") for one in register),
        "with_sdu": sum(_before(one, "sdu_integrated_at") for one in register),
        "sources": release.once(_sources),
        "stopped": release.once(_stopped),
        **_compliance(release, language),
    }
    yield Page("systems.html", "systems.html.j2", context)


def _register(release: ReleaseData) -> list[Row]:
    return release.rows(statement(__file__, "systems_register"))


def _sources(release: ReleaseData) -> list[Row]:
    return release.rows(statement(__file__, "systems_sources"))


def _requirements(release: ReleaseData) -> list[Row]:
    return release.rows("FROM compliance ORDER BY item, requirement_en, kato, mio_code")


def _before(row: Mapping[str, Any], column: str) -> bool:
    """Whether an integration was there on the day of the register, as the view compliance counts it."""
    return row[column] is not None and row[column] < row["snapshot_date"]


def _compliance(release: ReleaseData, language: str) -> Row:
    """Requirements of items 12 and 13 over all bodies, and by settlement as a heat map."""
    totals: dict[tuple[str, str], Row] = {}
    cells: dict[tuple[str, str, str], Row] = {}
    for row in release.once(_requirements):
        total = totals.setdefault((row["item"], row["requirement_en"]), {**row, "systems": 0, "compliant": 0})
        cell = cells.setdefault((row["item"], row["requirement_en"], row["kato"]), {"systems": 0, "compliant": 0})
        for found in (total, cell):
            found["systems"] += row["systems"]
            found["compliant"] += row["compliant"]
    katos = [kato for kato in release.settlements if any(key[2] == kato for key in cells)]
    drawn = [[_share(cells.get((*key, kato))) for key in totals] for kato in katos]
    caption = Caption(
        "compliance", sentence("overview.compliance_title", language), sentence("overview.compliance_lead", language)
    )
    heads = [f"{number}. {key[0]}" for number, key in enumerate(totals, 1)]
    names = [name(language, release.settlements[kato]) for kato in katos]
    return {
        "requirements": list(totals.values()),
        "compliance_chart": heat(names, heads, drawn, caption, width=560) if katos else "",
        "compliance_rows": [{"kato": kato, "cells": [cells.get((*key, kato)) for key in totals]} for kato in katos],
    }


def _share(cell: Row | None) -> Cell:
    if cell is None:
        return Cell(None)
    share = 100 * cell["compliant"] / cell["systems"]
    return Cell(class_of(share, _CLASSES), f"{share:.0f}")


def _stopped(release: ReleaseData) -> list[Row]:
    """Systems and territories of which at least two agreed periods in a row are missing at the end, with their tables."""
    found: dict[tuple[str, str], Row] = {}
    for one in release.once(overdue_feeds):
        if one["in_a_row"] >= _IN_A_ROW:
            system = found.setdefault((one["system"], one["scope"]), {**one, "tables": []})
            system["tables"].append(one)
            system["last_received"] = max(system["last_received"], one["last_received"])
    return sorted(found.values(), key=lambda s: (-len(s["tables"]), s["system"], s["scope"]))
