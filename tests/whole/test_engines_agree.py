"""Every KPI, every cell, over rows that are hard on engines: what another engine measures is what the warehouse measures itself, to the last digit.

And what the warehouse measures is what plain Python makes of the definition and the rows. QALA_SEED=7 tries a seed of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.model import Kind
from tests.support.agreement import (
    ENGINES,
    Hard,
    differences,
    differing_from_opinion,
    hard_warehouse,
    in_step,
    odd_catalogue,
)
from tests.support.hard_rows import LARGE, SMALL, seeds, whole
from warehouse.sql import literal

CATALOGUE = load_catalogues()
INITIATIVE = CATALOGUE.kpis[0].code.partition("-")[0]  # whose place odd definitions take
SEEDS = seeds((1, 2, 3))
FEW = 60
ELSEWHERE = [
    pytest.param(name, id=name, marks=pytest.mark.skipif(bool(why), reason=why)) for name, (why, _) in ENGINES.items()
]
MANY = 8_192  # so many values an engine may look at before it begins to take samples


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hard]:
    with hard_warehouse(tmp_path_factory.mktemp("hard") / "home", CATALOGUE, SEEDS[0], SMALL) as made:
        yield made


def test_the_warehouse_measures_what_plain_python_makes_of_the_rows(small: Hard) -> None:
    for seq in small.heads:
        assert differing_from_opinion(small, seq) == [], f"seed {SEEDS[0]}"


def test_another_engine_measures_the_same(small: Hard, tmp_path: Path) -> None:
    _, engine = ENGINES["chdb"]
    with engine(small.store.home, tmp_path) as opened, in_step(small, opened) as elsewhere:
        for seq in (small.heads[0], small.heads[-1]):
            assert differences(small.measured(seq), small.measured(seq, elsewhere)) == [], f"seed {SEEDS[0]}"


def test_rows_came_and_left_between_the_sequences(small: Hard) -> None:
    first, *_, last = (small.measured(seq)["work_cell_parts"] for seq in small.heads)
    assert sum(first[key] != last[key] for key in last) > len(last) / 2


def test_every_condition_holds_of_some_rows_and_of_others_not(small: Hard) -> None:
    """Else an engine that does not look at it would agree."""
    con, never = small.store.con, []
    for one in whole(small.store, CATALOGUE, None).compiled:
        for scan, text in dict.fromkeys(
            (s, text) for s in one.scans for m in s.measures for text in m.asked.conditions
        ):
            cells = f"(SELECT * FROM work_due_cell WHERE kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version})"
            rows = scan.rows(f"showcase.{scan.table}", cells, ("kato",), {"holds": text})
            if con.execute(f"SELECT count(DISTINCT holds) FROM ({rows})").fetchone() != (2,):
                never.append((one.kpi.code, text))
    assert never == []


def test_odd_definitions_are_measured_as_plain_python_does(tmp_path: Path) -> None:
    odd = odd_catalogue(CATALOGUE, INITIATIVE, SEEDS[0], FEW)
    with hard_warehouse(tmp_path / "home", odd, SEEDS[0], SMALL) as hard:
        assert differing_from_opinion(hard, hard.heads[-1]) == [], f"seed {SEEDS[0]}"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ELSEWHERE)
@pytest.mark.parametrize("seed", SEEDS)
def test_odd_definitions_are_measured_alike_elsewhere(seed: int, engine: str, tmp_path: Path) -> None:
    _, opened = ENGINES[engine]
    odd = odd_catalogue(CATALOGUE, INITIATIVE, seed, FEW)
    with (
        hard_warehouse(tmp_path / "home", odd, seed, SMALL) as hard,
        opened(hard.store.home, tmp_path / "engine") as there,
        in_step(hard, there) as elsewhere,
    ):
        seq = hard.heads[-1]
        failing = {key for key, _, parts in hard.expected(seq) if parts.failed}  # DuckDB may pass over what fails there
        theirs = hard.measured(seq, elsewhere)
        assert differences(hard.measured(seq), theirs, but=failing) == []
        assert theirs["work_failed_cell"].keys() >= failing


@pytest.mark.slow
@pytest.mark.parametrize("engine", ELSEWHERE)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_kpi_is_measured_alike_elsewhere(seed: int, engine: str, tmp_path: Path) -> None:
    """With more rows in some cells than an engine looks at before it begins to take samples."""
    _, opened = ENGINES[engine]
    with (
        hard_warehouse(tmp_path / "home", CATALOGUE, seed, LARGE) as hard,
        opened(hard.store.home, tmp_path / "engine") as there,
        in_step(hard, there) as elsewhere,
    ):
        ours = hard.measured(hard.heads[-1])
        assert _not_crowded(hard) == []
        assert differences(ours, hard.measured(hard.heads[-1], elsewhere)) == []
        for seq in hard.heads[:-1]:
            assert differences(hard.measured(seq), hard.measured(seq, elsewhere)) == []


def _not_crowded(hard: Hard) -> list[str]:
    """Quantiles without a cell of so many values, of the cells that were measured last."""
    largest = "SELECT kpi_code, max(s) FROM work_cell_parts GROUP BY kpi_code HAVING max(s) <= ?"
    few = dict(hard.store.con.execute(largest, [MANY]).fetchall())
    return [kpi.code for kpi in hard.catalogue.kpis if kpi.kind is Kind.QUANTILE and kpi.code in few]
