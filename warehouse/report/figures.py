"""Figures of a release as pages may show them: of restricted and suppressed values only that they are so.

What is held back here is held back for every page and data file: values, bounds, parts, samples, reasons with numbers in them, progress
towards targets, and levels from which a restricted value could be worked out. Does not belong here: how a figure is drawn or worded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from warehouse.sql import literal, statement
from warehouse.tables.obs_status import ObsStatus

Row = dict[str, Any]


class Figures:
    """What was computed, by settlement, KPI and period; read once for all languages."""

    def __init__(self, select: Callable[[str], list[Row]]) -> None:
        self._select = select

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, list[Row]]]:
        """KATO → KPI → values by period, of settlements with data."""
        return _nested(self._read("values"), "kato", "kpi_code")

    @cached_property
    def years(self) -> Mapping[str, Mapping[str, dict[int, Row]]]:
        """KPI → KATO → year → value of the year; of settlements to which the KPI applies."""
        found: dict[str, dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
        for row in self._read("years", suppressed=literal(ObsStatus.SUPPRESSED)):
            found[row["kpi_code"]][row["kato"]][row["year"]] = row
        return found

    @cached_property
    def areas(self) -> Mapping[str, list[Row]]:
        """KPI → values of groups and the country by period."""
        return _by(self._read("areas"), "kpi_code")

    @cached_property
    def plans(self) -> Mapping[tuple[str, str, int], list[Row]]:
        """(KATO, KPI, year) → targets of Strategy and Road map."""
        found = defaultdict(list)
        for row in self._read("plans"):
            found[row["kato"], row["kpi_code"], row["year"]].append(row)
        return found

    @cached_property
    def places(self) -> Mapping[tuple[str, int, str], Mapping[str, Row]]:
        """(KPI, year, item 7 group) → KATO → its place, best first, with the places that the bounds allow."""
        found: dict[tuple[str, int, str], dict[str, Row]] = defaultdict(dict)
        for row in self._read("places"):
            found[row["kpi_code"], row["year"], row["item7_group"]][row["kato"]] = row
        return found

    @cached_property
    def restated(self) -> Mapping[str, list[Row]]:
        """KPI → published values that were replaced by others, the newest first."""
        return _by(self._read("restated"), "kpi_code")

    @cached_property
    def scorecards(self) -> Mapping[tuple[str, int], Row]:
        """(KATO, year) → level, bounds, coverage and place by the newest assessment of the year."""
        return {(row["kato"], row["year"]): row for row in self._read("scorecards")}

    @cached_property
    def spheres(self) -> Mapping[tuple[str, int], Mapping[str, Row]]:
        """(KATO, year) → sphere → level, bounds, coverage; `held_back` where a restricted value counts in it."""
        found: dict[tuple[str, int], dict[str, Row]] = defaultdict(dict)
        for row in self._read("spheres"):
            found[row["kato"], row["year"]][row["sphere"]] = row
        return found

    @cached_property
    def year(self) -> int | None:
        """The year that pages show: the newest in which a settlement has a place, else the newest assessed, else the newest computed."""
        ranked = [year for (_, year), card in self.scorecards.items() if card["rank"]]
        years = ranked or [year for _, year in self.scorecards]
        return max(years or [y for of in self.years.values() for one in of.values() for y in one], default=None)

    def _read(self, name: str, **parts: str) -> list[Row]:
        return self._select(statement(__file__, name, **parts))


def is_hidden(row: Mapping[str, Any]) -> bool:
    """Whether a value is there and not shown."""
    return bool(row["obs_status"] == ObsStatus.SUPPRESSED)


def _by(rows: Iterable[Row], column: str) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _nested(rows: Iterable[Row], outer: str, inner: str) -> Mapping[str, Mapping[str, list[Row]]]:
    return {key: _by(found, inner) for key, found in _by(rows, outer).items()}
