"""Two settlements or two KPIs side by side: chosen by the reader's script from one data file; without it, tables of all.

Does not belong here: a settlement's own figures (settlement.py), a KPI's own ranking (kpi.py).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.messages.messages import catalogue, sentence
from warehouse.report.page import Page
from warehouse.report.pages.country import scorecards, sphere_table
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name
from warehouse.tables.obs_status import ObsStatus

_WORDS = ("groups", "units", "marked", "same", "none", "scatter", "uncertain", "outcome", "missing", "unread", "show")


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    """The page: names to choose from, and the tables that need no script."""
    year = release.figures.year
    ranked = [card for card in scorecards(release, year) if card["rank"]]
    context = {
        "title": sentence("overview.compare_title", language),
        "year": year,
        "years": _years(release),
        "kpis": [code for code in release.kpis if release.figures.years.get(code) and not _restricted(release, code)],
        "words": _words(release, language),
        "pairs": [
            (one, following)
            for one, following in itertools.pairwise(ranked)
            if one["item7_group"] == following["item7_group"]
        ],
        **sphere_table(release, language, ranked),
    }
    yield Page("compare.html", "compare.html.j2", context)


def files(release: ReleaseData) -> Iterator[tuple[str, str]]:
    """The data file: year → KPI → KATO → [value, state, low, high], of what may be shown; the usual (A, no bounds) is left out at the end."""
    values: dict[int, dict[str, dict[str, list[Any]]]] = {}
    for code, of in release.figures.years.items():
        for kato, years in of.items():
            for year, row in years.items():
                if row["value"] is not None:
                    values.setdefault(year, {}).setdefault(code, {})[kato] = _packed(row)
    text = json.dumps({"release": release.seq, "values": values}, separators=(",", ":"), sort_keys=True)
    yield "compare.js", f"qala.compare({text});\n"


def _packed(row: Mapping[str, Any]) -> list[Any]:
    bounds = [row["value_low"], row["value_high"]]
    if None not in bounds and bounds != [row["value"], row["value"]]:
        return [row["value"], row["obs_status"], *bounds]
    return [row["value"]] if row["obs_status"] == ObsStatus.CALCULATED else [row["value"], row["obs_status"]]


def _restricted(release: ReleaseData, code: str) -> bool:
    return bool(release.kpis[code]["sensitivity"] == "restricted")


def _years(release: ReleaseData) -> list[int]:
    """Years with any value that may be shown, newest first."""
    found = {
        year
        for of in release.figures.years.values()
        for years in of.values()
        for year, row in years.items()
        if row["value"] is not None
    }
    return sorted(found, reverse=True)


def _words(release: ReleaseData, language: str) -> dict[str, Any]:
    """What the script says, parts and all; it puts the parts in itself."""
    said: dict[str, Any] = {one: catalogue()[f"overview.compare_{one}"][language] for one in _WORDS}
    said |= {one: catalogue()[f"report.{one}"][language] for one in ("kpi", "settlement", "between")}
    return said | {"states": {status: name(language, row) for status, row in release.states.items()}}
