"""Two lists that lead to pages: the settlements with level and place, the KPIs with what they count."""

from __future__ import annotations

from collections.abc import Iterator

from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.release_data import ReleaseData


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    year = release.figures.year
    cards = {kato: card for (kato, of_year), card in release.figures.scorecards.items() if of_year == year}
    title = sentence("report.menu_settlements", language)
    yield Page("settlements.html", "settlements.html.j2", {"title": title, "year": year, "cards": cards})
    yield Page("kpis.html", "kpis.html.j2", {"title": sentence("report.menu_kpis", language)})
