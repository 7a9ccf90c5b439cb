"""The golden cases, tests/golden/<KPI code>.yaml: read, and put into a warehouse one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import read
from tests.support.rows import Extract, compute_one, deliver, only
from tests.support.settlements import ASTANA
from warehouse.store.store import Store

GOLDEN = Path(__file__).parents[1] / "golden"
CATALOGUE = load_catalogues()
FILES = {path.stem: read(path).data for path in sorted(GOLDEN.glob("*.yaml"))}
CASES = [
    pytest.param(code, case, id=f"{code}: {case['title']}") for code, file in FILES.items() for case in file["cases"]
]
# for tests that take all of them a second time: the first of every fourth KPI at once, the others with the slow tests
FEW_FAST = [
    pytest.param(code, case, id=f"{code}: {case['title']}", marks=[pytest.mark.slow] if number or nth % 4 else [])
    for nth, (code, file) in enumerate(FILES.items()) for number, case in enumerate(file["cases"])
]  # fmt: skip
NUMBERS = ("value", "numerator", "denominator", "sample_size")


def stand_up(store: Store, code: str, case: dict[str, Any]) -> tuple[str, str]:
    """Deliver a case's rows and compute its KPI. Returns settlement and period."""
    kato, period = case.get("settlement", ASTANA), str(case["period"])
    for table, rows in case["rows"].items():
        places = [str(p) for p in case.get("deliveries", {}).get(table, [period])]
        repeated = [{k: v for k, v in row.items() if k != "times"} for row in rows for _ in range(row.get("times", 1))]
        deliver(store, table, *(Extract(repeated if n == 0 else [], place, kato) for n, place in enumerate(places)))
    for table, place in case.get("refused", {}).items():
        deliver(store, table, Extract([], str(place), kato, refused="made up"))
    compute_one(store, only(CATALOGUE, code), code, period)
    return kato, period
