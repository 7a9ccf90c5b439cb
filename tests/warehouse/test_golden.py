"""Every KPI against small cases thought out by hand: `tests/golden/<KPI code>.yaml`.

A case gives rows of tables (only the columns that matter; `times: n` repeats a row under other keys; `kato` puts it in
another settlement), a period, and what must come out. A table named under `rows` was delivered for the whole period, unless
`deliveries` lists other periods for it; a table not named was not delivered; `refused` names extracts the gate refused.
`settlement` is Astana and the day of computation long after the period, unless the case says otherwise.
A case with a value states the value, numerator, denominator, sample size and state, and each must be met exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import read
from tests.support import ASTANA, Extract, cell, compute_one, deliver, empty, exact, only
from warehouse.kpi_values.compute import evaluate
from warehouse.periods import parse_period
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


@pytest.fixture
def store(opened: Store, request: pytest.FixtureRequest, defined: list[str]) -> Store:
    """The module's warehouse with nothing in it, but the definition if it is the one before: to register it takes a fifth of a case."""
    code = request.node.callspec.params["code"]
    empty(opened, catalogue=[code] != defined)
    defined[:] = [code]
    return opened


@pytest.fixture(scope="module")
def defined() -> list[str]:
    """The KPI that is defined in the module's warehouse."""
    return []


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


@pytest.mark.parametrize(("code", "case"), CASES)
def test_value_is_as_thought_out(store: Store, code: str, case: dict[str, Any]) -> None:
    kato, period = stand_up(store, code, case)
    found, expected = cell(store, code, period, kato), case["expect"]
    met = {name: found[name] if name == "obs_status" else exact(found[name]) for name in expected}
    assert met == {name: v if name == "obs_status" else exact(v) for name, v in expected.items()}, found["reason"]
    assert (found["value"] is None) == (found["obs_status"] not in {"A", "P", "U"})
    assert found["obs_status"] == "A" or found["reason"], "a state other than calculated must say why"
    if found["value"] is not None:  # an auditor who recomputes one cell gets the same digits
        kpi = CATALOGUE.latest(code)
        span = parse_period(period)
        again = evaluate(store, kpi, kato, span.start, span.end, period)
        assert [exact(v) for v in again] == [exact(found[name]) for name in NUMBERS]


def test_every_kpi_has_a_golden_file_for_its_newest_version() -> None:
    assert {code: file["version"] for code, file in FILES.items()} == {
        code: CATALOGUE.latest(code).version for code in CATALOGUE.codes
    }
    assert [code for code, file in FILES.items() if file["kpi"] != code] == []


@pytest.mark.parametrize("code", FILES)
def test_cases_are_complete(code: str) -> None:
    cases = FILES[code]["cases"]
    with_value = [c for c in cases if c["expect"]["value"] is not None]
    assert len(with_value) >= 2
    assert all(set(c["expect"]) == {*NUMBERS, "obs_status"} for c in with_value)
    assert any("zero denominator" in c["title"] for c in cases)
    assert any(c["rows"] == {} or any(rows == [] for rows in c["rows"].values()) for c in cases)
