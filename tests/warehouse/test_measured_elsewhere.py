"""Another engine measures: the same values, parts, states and reasons; what it answers amiss becomes no number; its faults end a run."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.engine_scans import EngineScan
from tests.support.rows import LATER, Extract, cell, changed, deliver, exact, only
from tests.support.settlements import ALMATY
from warehouse.audit.reperform import Result, reperform
from warehouse.engines.chdb import open_chdb
from warehouse.engines.engine import Engine, EngineError, Facts, Load
from warehouse.errors import BusyError
from warehouse.home.home import Home
from warehouse.isolation import worker
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.measured_elsewhere import in_step
from warehouse.release.release import publish
from warehouse.store.sessions import locked, writing
from warehouse.store.store import Store

AT = dt.datetime
Spoil = Callable[[pa.Table], pa.Table]
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


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = open_chdb(tmp_path_factory.mktemp("chdb"))  # a process has one folder at a time
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ready(engine: Engine) -> tuple[Engine, Facts]:
    return engine, engine.ready()


def test_values_of_another_engine_are_those_of_the_warehouse(store: Store, ready: tuple[Engine, Facts]) -> None:
    """Computed there and made again here, and the other way about; with history and corrections."""
    fill(store)
    compute(store, CATALOGUE, MONTHS, today=LATER, engine=ready)
    assert cell(store, "MGT02-1", "2026-01")["value"] is not None
    assert reperform(store).differences == []
    deliver(store, "fct_appeal", Extract(appeals(1, 30, 20), "2026-01"))
    compute(store, CATALOGUE, [], today=LATER)  # here
    deliver(store, "fct_appeal", Extract(appeals(2, 77, 20), "2026-02"))
    reports = compute(store, CATALOGUE, [], today=LATER, engine=ready)
    (sql,) = (report.sql for report in reports if report.kpi_code == "MGT02-1")
    assert sql.startswith(f"-- {ready[0].name} {ready[1].version}\nSELECT kato")
    elsewhere = in_step(store, ready)
    assert elsewhere is not None
    again = reperform(store, earlier=True, elsewhere=elsewhere)
    assert (again.differences, again.engine) == ([], f"{ready[0].name} {ready[1].version}")
    assert again.made["values"] > len(CODES) * 90
    assert reperform(store, earlier=True).differences == []


def test_the_ledger_says_which_engine_measured(store: Store, ready: tuple[Engine, Facts]) -> None:
    fill(store)
    compute(store, CATALOGUE, MONTHS[:1], codes=["MGT02-1"], today=LATER, engine=ready)
    compute(store, CATALOGUE, MONTHS[1:], codes=["MGT02-1"], today=LATER)
    said = store.con.execute(
        "SELECT detail->>'$.engine' FROM audit.ledger WHERE kind = 'computed' ORDER BY seq"
    ).fetchall()
    assert said[-2:] == [(f"chdb {ready[1].version}",), (None,)]


OVERFLOW = "date_diff('day', due_at, closed_at) * 9000000000000000000 >= date_diff('day', due_at, closed_at)"  # of two days it leaves 64 bits
FAILING = APPEALS.model_copy(update={"numerator": APPEALS.numerator.model_copy(update={"filter": OVERFLOW})})


def test_an_overflow_there_stops_the_cells_that_it_would_stop_here(store: Store, ready: tuple[Engine, Facts]) -> None:
    beside = APPEALS.model_copy(update={"code": "MGT02-2", "version": 2})  # shares its scan
    due = AT(2026, 1, 10)
    rows = [
        {"appeal_id": str(n), "due_at": due, "closed_at": due + dt.timedelta(days=n), "status": "CLOSED"}
        for n in (0, 2)
    ]
    deliver(store, "fct_appeal", Extract(rows, "2026-01"), Extract(rows[:1], "2026-01", ALMATY))
    catalogue = changed(load_catalogues(), FAILING, beside)
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


class Amiss:
    """An engine of which something goes wrong while it measures: before it does, or with its answer."""

    def __init__(self, engine: Engine, spoil: Spoil, *, losing: bool = False) -> None:
        self.engine, self.spoil, self.losing = engine, spoil, losing

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        if self.losing:
            self.engine.drop(scan.table, [loads[-1].name])
        return self.spoil(self.engine.measure(scan, loads))


def spoilt(ready: tuple[Engine, Facts], spoil: Spoil) -> tuple[Any, Facts]:
    return Amiss(ready[0], spoil), ready[1]


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
def test_an_answer_amiss_becomes_no_number(store: Store, ready: tuple[Engine, Facts], spoil: Spoil, said: str) -> None:
    fill(store)
    with pytest.raises(EngineError, match=f"chdb .* answered a scan of fct_appeal.*{said}"):
        compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=spoilt(ready, spoil))
    assert store.con.execute("SELECT count(*) FROM kpi.value").fetchall() == [(0,)]


def test_sums_may_come_as_text_with_an_exponent(store: Store, ready: tuple[Engine, Facts]) -> None:
    def as_text(answer: pa.Table) -> pa.Table:
        return answer.set_column(
            2, answer.column_names[2], pc.cast(pc.cast(answer[2], pa.decimal128(38, 6)), pa.string())
        )

    fill(store)
    compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=spoilt(ready, as_text))
    assert exact(cell(store, "MGT02-1", "2026-01")["numerator"]) == 40
    assert reperform(store).differences == []


def test_an_engine_that_loses_rows_meanwhile_gives_no_values_and_the_next_run_goes_on(
    store: Store, ready: tuple[Engine, Facts]
) -> None:
    fill(store)
    losing: Any = Amiss(ready[0], lambda answer: answer, losing=True)
    with pytest.raises(EngineError, match=r"fct_appeal.* 2026-02"):
        compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=(losing, ready[1]))
    assert store.con.execute("SELECT count(*) FROM kpi.value").fetchall() == [(0,)]
    compute(store, CATALOGUE, MONTHS, codes=["MGT02-1"], today=LATER, engine=ready)
    assert reperform(store).differences == []


def test_a_home_says_which_engine_and_an_auditor_another(home: Home) -> None:
    """As a run and a command do it: in a process of its own, on connections that reach no file."""
    home.engine_settings.write_text("engine: chdb\n", encoding="utf-8")
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract(appeals(1, 20, 3), "2026-01"))
    apart = "warehouse.kpi_values.compute:compute_home", home, "run-1"
    (report,) = worker.call(*apart, ["2026-01"], ["MGT02-2"])
    assert report.sql.startswith("-- chdb ")
    publish(home, lambda _: [])
    again = "warehouse.audit.reperform:reperform_home", home, "MGT02-2", None, None, False, None
    here: Result = worker.call(*again, None)
    there: Result = worker.call(*again, "chdb")
    assert (here.differences, there.differences) == ([], [])
    assert here.made == there.made
    assert (here.engine, there.engine.partition(" ")[0]) == ("", "chdb")

    with locked(home), pytest.raises(BusyError):
        worker.call(*again, "chdb")
    with pytest.raises(EngineError, match="there is no engine 'duck'"):
        worker.call(*again, "duck")


def test_a_computation_without_another_engine_imports_none() -> None:
    asked = "import sys, warehouse.kpi_values.compute, warehouse.audit.reperform; print([m for m in {!r} if m in sys.modules])"
    heavy = ["pyspark", "chdb", "clickhouse_connect", "pyarrow", "pandas"]
    done = subprocess.run([sys.executable, "-c", asked.format(heavy)], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
