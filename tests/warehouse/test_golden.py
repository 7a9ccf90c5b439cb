"""Every KPI against small cases thought out by hand: `tests/golden/<KPI code>.yaml`.

A case gives rows of tables (only the columns that matter; `times: n` repeats a row under other keys; `kato` puts it in
another settlement), a period, and what must come out. A table named under `rows` was delivered for the whole period, unless
`deliveries` lists other periods for it; a table not named was not delivered; `refused` names extracts the gate refused.
A case that names no `settlement` gets one of its own (support/golden.py), so that the cases of a KPI are computed at once; the day of
computation is long after the period.
A case with a value states the value, numerator, denominator, sample size and state, and each must be met exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.golden import CASES, CATALOGUE, FILES, NUMBERS, PLACED, Placed, stand_up
from tests.support.rows import cell, empty, exact
from warehouse.kpi_values.scans import evaluate
from warehouse.periods import parse_period
from warehouse.store.store import Store


@pytest.fixture(scope="module")
def computed(opened: Store) -> Callable[[Placed], Store]:
    """Gives the module's warehouse with the batch of a case in it, computed unless it is the one before."""
    there: list[tuple[str, int]] = []

    def make(one: Placed) -> Store:
        batch = (one.code, one.batch)
        if there != [batch]:
            there.clear()
            empty(opened)
            stand_up(opened, *(p for p in PLACED if (p.code, p.batch) == batch))
            there.append(batch)
        return opened

    return make


@pytest.mark.parametrize("one", CASES)
def test_value_is_as_thought_out(computed: Callable[[Placed], Store], one: Placed) -> None:
    store, code, kato, period = computed(one), one.code, one.kato, one.period
    found, expected = cell(store, code, period, kato), one.case["expect"]
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
