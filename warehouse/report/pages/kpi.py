"""A KPI: its definition in words, formula and SQL, its ranking inside groups, its trend, what was restated."""

from __future__ import annotations

from collections.abc import Iterator

from warehouse.report.page import Page
from warehouse.report.release_data import ReleaseData


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    for code, kpi in release.kpis.items():
        yield Page(f"kpi/{code}.html", "kpi.html.j2", {"title": kpi[f"name_{language}"], "kpi": kpi})
