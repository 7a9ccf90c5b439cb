"""A small released home with what analysts ask about: two years of appeals in four cities, targets, a correction, open incidents, gaps.

MGT02-1 is given a smallest cell, below which AKTAU lies in 2025; MGT02-2 is given as restricted.
"""

from __future__ import annotations

import datetime as dt

from kpi_definitions.catalogue import Catalogues, load_catalogues
from tests.support.files import Desk, appeal, text
from tests.support.rows import LATER, Extract, changed, deliver, only
from tests.support.settlements import AKTAU, ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish

PAVLODAR = "551010000"
KPI, RESTRICTED = "MGT02-1", "MGT02-2"
SUPPRESSED = (KPI, AKTAU, "2025-01")  # a cell
SMALLEST = 5
# settlement → year → (appeals closed in time, closed late)
CLOSED = {
    ASTANA: {2024: (30, 10), 2025: (36, 4)},
    ALMATY: {2024: (32, 8), 2025: (20, 20)},
    PAVLODAR: {2024: (30, 10), 2025: (30, 10)},
    AKTAU: {2024: (8, 2), 2025: (2, 1)},
}


def catalogue() -> Catalogues:
    shipped = only(load_catalogues(), KPI, RESTRICTED)
    small = shipped.latest(KPI).model_copy(update={"minimum_cell": SMALLEST})
    hidden = shipped.latest(RESTRICTED).model_copy(update={"sensitivity": "restricted"})
    return changed(shipped, small, hidden)


def _appeals(year: int, in_time: int, late: int) -> str:
    """A January's file; of a long one the last row breaks a rule."""
    rows = [
        appeal(
            f"{year}-{number}",
            registered_at=f"{year}-01-05 10:00:00",
            due_at=f"{year}-01-20 10:00:00",
            first_answer_at=f"{year}-01-06 09:30:00",
            closed_at=f"{year}-01-{'07' if number < in_time else '25'} 18:00:00",
        )
        for number in range(in_time + late)
    ]
    broken = appeal(f"{year}-x", due_at="not a day", registered_at=f"{year}-01-05 10:00:00")
    return text([*rows, broken] if len(rows) >= 10 else rows)


def build(home: Home) -> Catalogues:
    """Make and publish it; returns the catalogue it is computed by."""
    desk, used = Desk(home.root), catalogue()
    with desk.open() as store:
        for kato, years in CLOSED.items():
            for year, counts in years.items():
                desk.deliver(_appeals(year, *counts), scope=kato, period=f"{year}-01")
        desk.deliver("no such columns\n1\n", scope=PAVLODAR, period="2024-02")
        desk.take(store)
        target = {"document_id": "D1", "document_version": 1, "document_kind": "STRATEGY", "target_year": 2025}
        target |= {"approved_at": dt.date(2024, 1, 1), "agreed_at": dt.date(2024, 6, 1), "baseline_year": 2024}
        plans = [
            target | {"kpi_code": KPI, "baseline_value": 75, "target_value": 95},
            target | {"kpi_code": RESTRICTED, "baseline_value": 1, "target_value": 2},
        ]
        deliver(store, "fct_kpi_target", *(Extract(plans, "2025", kato) for kato in CLOSED))
        months = ["2024-01", "2024-02", "2025-01"]
        compute(store, used, months, today=LATER)
        desk.deliver(_appeals(2025, 34, 6), period="2025-01")  # a correction of Astana's
        desk.take(store)
        compute(store, used, months, today=LATER)
        assess(store, used.lists[0], 2025)
    publish(home, lambda _: [])
    return used
