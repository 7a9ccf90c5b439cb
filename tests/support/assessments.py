"""Made-up rules of an assessment, and values to assess without computing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kpi_definitions.catalogue import Catalogue, load_catalogues
from kpi_definitions.model import AssessmentRules, GroupScales, Scale, Weights
from tests.support.rows import only
from tests.support.settlements import ALMATY, ASTANA, SHYMKENT
from warehouse.store.store import Store

CODES = ("ECO01-1", "MGT01-2", "MGT02-1", "MGT02-2", "TRL02-2")
LISTS = only(load_catalogues(), *CODES)
CATALOGUE = LISTS.lists[0]
REPUBLICAN = (ASTANA, ALMATY, SHYMKENT)
HUNDRED = Scale(floor=0, goal=100)
SCALES: dict[str, Scale | GroupScales] = {
    "MGT01-2": HUNDRED,
    "MGT02-1": Scale(floor=50, goal=100),
    "MGT02-2": Scale(floor=10, goal=0),  # lower is better
    "TRL02-2": Scale(floor=0, goal=80),
    "ECO01-1": Scale(floor=50, goal=10),
}
WEIGHTS = Weights(spheres={"MGT": 2}, initiatives={"MGT02": 3}, kpis={"MGT02-1": 4})
VALUES = {"MGT01-2": 40, "MGT02-1": 90, "MGT02-2": 4, "TRL02-2": 20, "ECO01-1": 20}  # score 40, 80, 60, 25, 75


def ruled(catalogue: Catalogue = CATALOGUE, *more: AssessmentRules, **update: Any) -> Catalogue:
    """The catalogue with made-up rules from 2025 on."""
    rules = AssessmentRules(
        version="test 1", valid_from=2025, change_note="Made up.", minimum_coverage=0.6, minimum_periods=0.5,
        weight_change=0.25, weights=Weights(), scales=SCALES,
    )  # fmt: skip
    return replace(catalogue, assessments=(rules.model_copy(update=update), *more))


def of_codes(*codes: str, **update: Any) -> Catalogue:
    """A catalogue of some KPIs only, all scored from 0 to 100."""
    return ruled(only(LISTS, *codes).lists[0], **({"scales": dict.fromkeys(codes, HUNDRED)} | update))


def put(store: Store, values: Mapping[str, Any], kato: str = ASTANA, year: str = "2026") -> None:
    """Values for a year, as if computed: a number, or the status of a cell without one; None: not computed."""
    for code, value in values.items():
        key = [code, kato, year]
        store.con.execute("DELETE FROM kpi.value WHERE (kpi_code, kato, period_id) = (?, ?, ?)", key)
        if value is None:
            continue
        status = value if isinstance(value, str) else "A"
        store.con.execute(
            "INSERT INTO kpi.value BY NAME SELECT ? AS kpi_code, ? AS kato, ? AS period_id, make_date(?, 1, 1) AS period_start, "
            "CAST(? AS DOUBLE) AS value, value AS value_low, value AS value_high, 0 AS rejected_rows, 0 AS gap_rows, "
            "'x' AS state, ? AS obs_status, ? AS reason, 1 AS definition_version, 'x' AS definition_hash, "
            "'x' AS catalogue_version, 0 AS as_of_seq, now() AS computed_at, 0 AS valid_from_seq",
            [*key, int(year), None if status == value else value, status, "made up" if status == value else None],
        )
