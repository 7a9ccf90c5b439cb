"""The golden cases, tests/golden/<KPI code>.yaml: read, put into a warehouse and computed, all of a KPI at once or one alone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import read
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ASTANA
from warehouse.kpi_values.compute import compute
from warehouse.periods import parse_period
from warehouse.store.store import Store
from warehouse.tables.settlements import REGISTRY_FILES


@dataclass(frozen=True)
class Placed:
    """A case, the settlement it lies in, and which batch of its KPI it is computed with."""

    code: str
    case: dict[str, Any]
    kato: str
    batch: int

    @property
    def period(self) -> str:
        return str(self.case["period"])


def placed(code: str, cases: Sequence[dict[str, Any]]) -> list[Placed]:
    """Cases of a KPI, each in a settlement of its own: they do not meet, and one computation is enough for all.

    The first that names no settlement gets Astana, the others cities of regional significance that no case speaks of. A case in a
    settlement that another one has rows in comes into another batch.
    """
    rows_in = [{str(row["kato"]) for rows in case["rows"].values() for row in rows if "kato" in row} for case in cases]
    spoken_of = set().union(*rows_in, (str(case["settlement"]) for case in cases if "settlement" in case))
    free = iter([kato for kato in (ASTANA, *CITIES) if kato not in spoken_of])
    own, others = list[set[str]](), list[set[str]]()  # by batch: settlements of its cases, and of their rows elsewhere
    found = []
    for case, elsewhere in zip(cases, rows_in, strict=True):
        kato = str(case["settlement"]) if "settlement" in case else next(free)
        meets = [kato in mine | theirs or bool(elsewhere & mine) for mine, theirs in zip(own, others, strict=True)]
        batch = [*meets, False].index(False)
        if batch == len(own):
            own.append(set())
            others.append(set())
        own[batch].add(kato)
        others[batch] |= elsewhere
        found.append(Placed(code, case, kato, batch))
    return found


def stand_up(store: Store, *cases: Placed) -> None:
    """Deliver the rows of cases of one KPI and compute it."""
    extracts: dict[str, list[Extract]] = {}
    refused: dict[str, list[Extract]] = {}
    for one in cases:
        for table, rows in one.case["rows"].items():
            periods = [str(p) for p in one.case.get("deliveries", {}).get(table, [one.period])]
            repeated = [
                {k: v for k, v in row.items() if k != "times"} for row in rows for _ in range(row.get("times", 1))
            ]
            extracts.setdefault(table, []).extend(
                Extract(repeated if n == 0 else [], period, one.kato) for n, period in enumerate(periods)
            )
        for table, period in one.case.get("refused", {}).items():
            refused.setdefault(table, []).append(Extract([], str(period), one.kato, refused="made up"))
    for delivered in (extracts, refused):
        for table, some in delivered.items():
            deliver(store, table, *some)
    months = sorted({parse_period(one.period).closing_month for one in cases})
    (code,) = {one.code for one in cases}
    compute(store, only(CATALOGUE, code), months, codes=[code], today=LATER)


GOLDEN = Path(__file__).parents[1] / "golden"
CATALOGUE = load_catalogues()
FILES = {path.stem: read(path).data for path in sorted(GOLDEN.glob("*.yaml"))}
with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
    CITIES = [row["kato"] for row in csv.DictReader(handle) if row["item7_group"] == "regional"]
PLACED = [one for code, file in FILES.items() for one in placed(code, file["cases"])]
CASES = [pytest.param(one, id=f"{one.code}: {one.case['title']}") for one in PLACED]
# for tests that take each by itself a second time: the first of every fourth KPI at once, the others with the slow tests
FEW_FAST = [
    pytest.param(one, id=f"{code}: {one.case['title']}", marks=[pytest.mark.slow] if number or nth % 4 else [])
    for nth, code in enumerate(FILES) for number, one in enumerate(p for p in PLACED if p.code == code)
]  # fmt: skip
NUMBERS = ("value", "numerator", "denominator", "sample_size")
