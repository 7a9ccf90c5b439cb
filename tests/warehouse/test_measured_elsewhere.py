"""Another engine measures: the same values, parts, states and reasons; what it answers amiss becomes no number; its faults end a run."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.engine_scans import EngineScan
from tests.support.engines import InProcess
from tests.support.rows import LATER, Extract, cell, changed, deliver, exact, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.reperform import reperform
from warehouse.engines.engine import EngineError, Facts, Load
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.measured_elsewhere import in_step
from warehouse.store.store import Store

AT = dt.datetime
# a share, a median, a 90th percentile, a rate over a looked-up population, means, distinct counts, registers
CODES = ("MGT02-1", "MGT02-2", "SAF02-1", "SAF02-2", "ECO01-1", "TRL02-2", "SAF04-1", "HCS03-1")
CATALOGUE = only(load_catalogues(), *CODES)
APPEALS = CATALOGUE.latest("MGT02-1")
MONTHS = ["2026-01", "2026-02"]


def appeals(month: int, count: int, late: int = 0) -> list[dict[str, Any]]:
    day = AT(2026, month, 5, 8)
    return [
        {"appeal_id": f"A{month}-{n}", "registered_at": day, "due_at": day + dt.timedelta(days=9), "status": "CLOSED",
         "closed_at": day + dt.timedelta(days=12 if n < late else 3), "is_emergency": n % 5 == 0,
         "first_answer_at": None if n % 7 == 0 else day + dt.timedelta(minutes=17 * n * n % 9001)} for n in range(count)
    ]  # fmt: skip


def calls(month: int, count: int) -> list[dict[str, Any]]:
    day = AT(2026, month, 28, 23)
    return [
        {"received_at": day + dt.timedelta(minutes=n), "priority": 1 + n % 3, "first_arrived_at": day + dt.timedelta(minutes=n, seconds=31 * n)}
        for n in range(count)
    ]  # fmt: skip


def fill(store: Store) -> None:
    for month in (1, 2):
        period = f"2026-0{month}"
        deliver(
            store, "fct_appeal", Extract(appeals(month, 41, month), period), Extract(appeals(month, 8), period, ALMATY)
        )
        deliver(store, "fct_emergency_call", Extract(calls(month, 50), period), Extract([], period, ALMATY))


def in_process(engine: InProcess) -> tuple[InProcess, Facts]:
    return engine, engine.ready()


def test_values_of_another_engine_are_those_of_the_warehouse(store: Store) -> None:
    """Computed there and made again here, and the other way about; with history and corrections."""
    fill(store)
    ready = in_process(InProcess())
    compute(store, CATALOGUE, MONTHS, today=LATER, engine=ready)
    assert cell(store, "MGT02-1", "2026-01")["value"] is not None
    assert reperform(store).differences == []
    deliver(store, "fct_appeal", Extract(appeals(1, 30, 20), "2026-01"))
    compute(store, CATALOGUE, [], today=LATER)  # here
    deliver(store, "fct_appeal", Extract(appeals(2, 77, 20), "2026-02"))
    (report, *_) = compute(store, CATALOGUE, [], today=LATER, engine=ready)
    assert report.sql.startswith(f"-- {ready[0].name} {ready[1].version}\n")
    elsewhere = in_step(store, ready)
    assert elsewhere is not None
    again = reperform(store, earlier=True, elsewhere=elsewhere)
    assert (again.differences, again.engine) == ([], f"{ready[0].name} {ready[1].version}")
    assert again.made["values"] > len(CODES) * 90
    assert reperform(store, earlier=True).differences == []


def test_the_ledger_says_which_engine_measured(store: Store) -> None:
    fill(store)
    engine, facts = in_process(InProcess())
    compute(store, CATALOGUE, MONTHS[:1], codes=["MGT02-1"], today=LATER, engine=(engine, facts))
    compute(store, CATALOGUE, MONTHS[1:], codes=["MGT02-1"], today=LATER)
    said = store.con.execute(
        "SELECT detail->>'$.engine' FROM audit.ledger WHERE kind = 'computed' ORDER BY seq"
    ).fetchall()
    assert said[-2:] == [(f"{engine.name} {facts.version}",), (None,)]


OVERFLOW = "date_diff('day', due_at, closed_at) * 9000000000000000000 >= date_diff('day', due_at, closed_at)"  # of two days it leaves 64 bits
FAILING = APPEALS.model_copy(update={"numerator": APPEALS.numerator.model_copy(update={"filter": OVERFLOW})})


def test_an_overflow_there_stops_the_cells_that_it_would_stop_here(store: Store) -> None:
    beside = APPEALS.model_copy(update={"code": "MGT02-2", "version": 2})  # shares its scan
    due = AT(2026, 1, 10)
    rows = [
        {"appeal_id": str(n), "due_at": due, "closed_at": due + dt.timedelta(days=n), "status": "CLOSED"}
        for n in (0, 2)
    ]
    deliver(store, "fct_appeal", Extract(rows, "2026-01"), Extract(rows[:1], "2026-01", ALMATY))
    catalogue = changed(load_catalogues(), FAILING, beside)
    ready = in_process(InProcess())
    reports = compute(store, catalogue, ["2026-01"], codes=["MGT02-1", "MGT02-2"], today=LATER, engine=ready)
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["reason"], found["obs_status"], found["value"]) == (
        "computation failed: Out of Range Error",
        "O",
        None,
    )
    assert cell(store, "MGT02-1", "2026-01", ALMATY)["value"] == 100
    assert cell(store, "MGT02-2", "2026-01")["value"] == 50
    assert {r.kpi_code: dict(r.failures) for r in reports} == {"MGT02-1": {"Out of Range Error": 1}, "MGT02-2": {}}
    assert reperform(store).differences == []


class Amiss(InProcess):
    """Answers with something else than was measured."""

    def __init__(self, spoil: Callable[[pa.Table], pa.Table]) -> None:
        super().__init__()
        self.spoil = spoil

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        return self.spoil(super().measure(scan, loads))


def inexact(answer: pa.Table) -> pa.Table:
    return answer.set_column(2, answer.column_names[2], pc.cast(answer[2], pa.float64()))


def no_number(answer: pa.Table) -> pa.Table:
    last = answer.column_names.index("mgt02_1_v1_s")
    return answer.set_column(last, "mgt02_1_v1_s", pa.array(["many"] * len(answer)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda answer: pa.concat_tables([answer, answer]), "several rows for one settlement and period"),
        (lambda answer: answer.drop_columns([answer.column_names[-1]]), "with the columns kato, period_start"),
        (inexact, "with doubles in place of exact numbers in mgt02_1_v1_n"),
        (no_number, "what is no number"),
    ],
)
def test_an_answer_amiss_becomes_no_number(store: Store, spoil: Callable[[pa.Table], pa.Table], said: str) -> None:
    fill(store)
    with pytest.raises(EngineError, match=f"in-process .* answered a scan of fct_appeal.*{said}"):
        compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=in_process(Amiss(spoil)))
    assert store.con.execute("SELECT count(*) FROM kpi.value").fetchall() == [(0,)]


def test_sums_may_come_as_text(store: Store) -> None:
    def as_text(answer: pa.Table) -> pa.Table:
        return answer.set_column(
            2, answer.column_names[2], pc.cast(pc.cast(answer[2], pa.decimal128(38, 6)), pa.string())
        )

    fill(store)
    compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=in_process(Amiss(as_text)))
    assert exact(cell(store, "MGT02-1", "2026-01")["numerator"]) == 40
    assert reperform(store).differences == []


def test_an_engine_that_loses_rows_meanwhile_gives_no_values_and_the_next_run_goes_on(store: Store) -> None:
    class Losing(InProcess):
        def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
            self.con.execute(f"DELETE FROM {scan.table} WHERE load = ? AND kato = ?", [loads[-1].name, ASTANA])
            return super().measure(scan, loads)

    fill(store)
    losing = Losing()
    with pytest.raises(EngineError, match="fct_appeal, load 2026-02"):
        compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=in_process(losing))
    assert store.con.execute("SELECT count(*) FROM kpi.value").fetchall() == [(0,)]
    back = InProcess()
    back.con = losing.con
    compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=in_process(back))
    assert reperform(store).differences == []


def test_a_computation_without_another_engine_imports_none() -> None:
    asked = "import sys, warehouse.kpi_values.compute, warehouse.audit.reperform; print([m for m in {!r} if m in sys.modules])"
    heavy = ["pyspark", "chdb", "clickhouse_connect", "pyarrow", "pandas"]
    done = subprocess.run([sys.executable, "-c", asked.format(heavy)], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
