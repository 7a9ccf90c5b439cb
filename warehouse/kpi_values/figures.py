"""What a KPI came to in a period, as a few numbers: the country's value, and how the settlements' values lie.

Does not belong here: values and sums themselves (compute.py, rollup.py), who shows the figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from warehouse.periods import parse_period
from warehouse.sql import literal, statement
from warehouse.store.store import Store


@dataclass(frozen=True)
class Figures:
    """Of the values in force for one KPI and period. A number is None where there is none, or where it is suppressed."""

    period_id: str
    cells: int
    states: Mapping[str, int]  # state → cells
    with_value: int
    country: float | None
    median: float | None
    least: float | None
    greatest: float | None


def figures_of(store: Store, periods: Mapping[str, Collection[str]]) -> dict[str, dict[str, Figures]]:
    """KPI code → the month in which a period closes → its figures. `periods`: by KPI code, the ids of periods."""
    pairs = [f"({literal(code)}, {literal(one)})" for code, ids in periods.items() for one in sorted(ids)]
    if not pairs:
        return {}
    asked = f"(VALUES {', '.join(pairs)}) AS asked(kpi_code, period_id)"
    found: dict[str, dict[str, Figures]] = {}
    for row in store.select(statement(__file__, "figure_of_period", asked=asked)):
        code = str(row.pop("kpi_code"))
        found.setdefault(code, {})[parse_period(str(row["period_id"])).closing_month] = Figures(**row)
    return found
