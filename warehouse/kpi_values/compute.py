"""Computing KPI values: the steps in their order, each with the working tables it reads and leaves (warehouse/working_tables/kpi_values.yaml).

Values come from the warehouse alone (item 12(4) of order No. 469/НҚ). Does not belong here: what a step does (the modules named in the steps).
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import duckdb

from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.compiler import Compiled, compile_kpi
from warehouse.engines.engine import Engine, Facts
from warehouse.home.home import Home
from warehouse.kpi_values.bounds import find_bounds
from warehouse.kpi_values.changed_values import find_changed_values, write_changed_values
from warehouse.kpi_values.computation import Computation, KpiVersion
from warehouse.kpi_values.coverage import find_coverage, list_loaded_deliveries, look_up_systems
from warehouse.kpi_values.due_cells import select_due_cells
from warehouse.kpi_values.figures import Figures, figures_of
from warehouse.kpi_values.measured_elsewhere import in_step, ready_engine
from warehouse.kpi_values.registry import register_catalogue
from warehouse.kpi_values.rollup import roll_up
from warehouse.kpi_values.scans import run_scans
from warehouse.kpi_values.sound import refuse_faulty
from warehouse.kpi_values.states import describe_versions, judge
from warehouse.kpi_values.unmapped import find_undelivered_columns
from warehouse.messages.messages import sentence
from warehouse.moments import at
from warehouse.periods import closing_in
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import SealKind, seal
from warehouse.store.sentences import keep_sentences
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.fingerprint import shipped_fingerprint
from warehouse.tables.home_tables import tables_of


@dataclass(frozen=True)
class Step:
    """One step. `reads`: working tables that steps before it left; `leaves`: those it makes for steps after it."""

    name: str
    run: Callable[[Computation], None]
    reads: tuple[str, ...]
    leaves: tuple[str, ...]


DUE_CELLS = Step("due cells", select_due_cells, (), ("work_due_cell",))
VALUES = (
    Step("KPI versions", describe_versions, (), ("work_kpi_version",)),
    Step("scans", run_scans, ("work_due_cell",), ("work_cell_parts", "work_failed_cell")),
    Step("coverage", find_coverage, ("work_due_cell",), ("work_coverage", "work_needed_table", "work_period_month")),
    Step("systems", look_up_systems, ("work_due_cell", "work_kpi_version"), ("work_system_status",)),
    Step("loaded deliveries", list_loaded_deliveries, (), ("work_loaded_delivery",)),
    Step("undelivered columns", find_undelivered_columns, ("work_due_cell", "work_needed_table", "work_period_month", "work_loaded_delivery"),
         ("work_undelivered_columns",)),
    Step("bounds", find_bounds, ("work_due_cell", "work_cell_parts", "work_kpi_version", "work_loaded_delivery"), ("work_bounds",)),
    Step("states", judge, ("work_due_cell", "work_cell_parts", "work_kpi_version", "work_coverage", "work_system_status", "work_bounds",
                           "work_undelivered_columns", "work_failed_cell"), ("work_computed_value",)),
)  # fmt: skip
CHANGED_VALUES = Step("changed values", find_changed_values, ("work_computed_value",), ("work_changed_value",))


def compute(
    store: Store,
    catalogue: Catalogues,
    months: Sequence[str],
    *,
    codes: Collection[str] | None = None,
    today: dt.date | None = None,
    engine: tuple[Engine, Facts] | None = None,
) -> list[Report]:
    """Compute the KPIs `codes` (all, if None) for the periods closing in `months`, and earlier cells whose inputs changed.

    `today` decides whether a late-data window is still open; `engine` measures in place of the warehouse, and is brought in step first.
    Raises ExpressionError, StoreError.
    """
    today = today or dt.datetime.now(dt.timezone(dt.timedelta(hours=5))).date()
    every = [compile_kpi(kpi, store.columns()) for kpi in catalogue.kpis]
    register_catalogue(store, catalogue, {(one.kpi.code, one.kpi.version): one.fingerprint for one in every})
    versions = [
        KpiVersion(one, catalogue.of(one.kpi.code).head.version, *catalogue.effect(one.kpi))
        for one in every
        if codes is None or one.kpi.code in codes
    ]
    as_of_seq = store.last_seq
    computation = Computation(store, versions, today, months, elsewhere=in_step(store, engine))
    for step in (DUE_CELLS, *VALUES, CHANGED_VALUES):
        step.run(computation)
    counts = _counts(computation)
    with store.transaction():
        seqs = _record(computation, counts, as_of_seq)
        write_changed_values(store, seqs, as_of_seq)
        at("compute.values")
        rollups = roll_up(store, computation.compiled, as_of_seq)  # work_changed_value, work_computation → kpi.rollup
        keep_sentences(store, ("(FROM work_changed_value)", "reason"), ("(FROM work_changed_rollup)", "reason"))
        at("compute.roll-ups")
        computed = [(code, as_of_seq, seq) for code, seq in seqs.items()]
        store.insert("kpi.computation", ["kpi_code", "as_of_seq", "seq"], computed)
        _seal(store, counts, rollups, as_of_seq)
        at("compute.committing")
    at("compute.committed")
    return _reports(computation, counts, seqs, as_of_seq)


def compute_cells(computation: Computation) -> None:
    """The steps from `work_due_cell`, which the caller filled, to `work_computed_value`; nothing is written."""
    for step in VALUES:
        step.run(computation)


def compute_home(home: Home, run_id: str | None, months: Sequence[str], codes: Sequence[str] | None) -> list[Report]:
    """`compute` on a home's warehouse and catalogues, hardened; at module level, so that a worker can be asked for it (worker.py).

    Raises StoreError as well while a definition is at fault (sound.py).
    """
    catalogue = load_catalogues(home.catalogues)
    refuse_faulty(catalogue, tables_of(home))
    with ready_engine(home) as engine, writing(home, run_id, hardened=True) as store:
        return compute(store, catalogue, months, codes=codes, engine=engine)


@cache
def get_ready(home: Home) -> None:
    """Read once what every computation needs: contracts, definitions, and pandas, which DuckDB imports with its first parameter.

    For a worker, while it waits; called again, it does nothing.
    """
    shipped_fingerprint()
    columns = {name: table.business_columns for name, table in tables_of(home).items()}
    for kpi in load_catalogues(home.catalogues).kpis:
        compile_kpi(kpi, columns)
    importlib.import_module("pandas")


@dataclass(frozen=True)
class Report:
    """What a computation did for one KPI."""

    kpi_code: str
    cells: int
    written: int
    restated: int
    states: Mapping[str, int]
    other_periods: tuple[str, ...]  # restated outside the months asked for
    failures: Mapping[str, int]  # cells that could not be computed, by kind of error
    engine: str  # that measured, with its version
    sql: str  # as it ran there
    as_of: int  # the warehouse as of this ledger sequence was read
    seq: int  # ledger sequence of the computation
    ledger_hash: str  # of that ledger row
    figures: Mapping[
        str, Figures
    ]  # by month: of the periods that close in the months asked for, and of others restated


@dataclass
class _Counts:
    """What a computation did for one KPI, before anything is written."""

    states: dict[str, int]
    failures: dict[str, int]
    written: int = 0
    restated: int = 0
    other_periods: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        return sum(self.states.values())


def _counts(computation: Computation) -> dict[str, _Counts]:
    """KPI code → counts, of every KPI asked for."""
    con, compiled = computation.store.con, computation.compiled
    counts = {one.kpi.code: _Counts({}, {}) for one in compiled}
    by_state = "SELECT kpi_code, state, count(*) FROM work_computed_value GROUP BY ALL ORDER BY ALL"
    for code, state, cells in con.execute(by_state).fetchall():
        counts[code].states[state] = cells
    by_failure = "SELECT kpi_code, why, count(*) FROM work_failed_cell GROUP BY ALL ORDER BY ALL"
    for code, why, cells in con.execute(by_failure).fetchall():
        counts[code].failures[sentence(why, "en")] = cells
    changed = """SELECT kpi_code, count(*), count(*) FILTER (WHERE restates), list(DISTINCT period_id) FILTER (WHERE restates)
FROM work_changed_value GROUP BY ALL"""
    for code, written, restated, periods in con.execute(changed).fetchall():
        others = set(periods or ()) - _due_periods(compiled, code, computation.months)
        counts[code].written, counts[code].restated = written, restated
        counts[code].other_periods = tuple(sorted(others))
    return counts


def _due_periods(compiled: Sequence[Compiled], code: str, months: Sequence[str]) -> set[str]:
    return {p.id for one in compiled if one.kpi.code == code for p in closing_in(tuple(months), one.kpi.period)}


def _record(computation: Computation, counts: Mapping[str, _Counts], as_of_seq: int) -> dict[str, int]:
    """A ledger row for every KPI. Returns KPI code → its sequence."""
    store, months = computation.store, list(computation.months)
    said = {"as_of": as_of_seq, "today": computation.today, "qala": store.code_version, "months": months}
    if computation.elsewhere is not None:
        said["engine"] = str(computation.elsewhere)
    rows = [
        (EntryKind.COMPUTED, code, {**said, "cells": one.cells, "written": one.written, "restated": one.restated})
        for code, one in counts.items()
    ]
    return dict(zip(counts, store.record(rows), strict=True))


def _seal(store: Store, counts: Mapping[str, _Counts], rollups: tuple[int, int], as_of_seq: int) -> None:
    """Seal each kind of rows that was written; `rollups`: how many were written, and restated."""
    there = {
        SealKind.VALUES: any(one.written for one in counts.values()),
        SealKind.VALUES_RESTATED: any(one.restated for one in counts.values()),
        SealKind.ROLLUPS: rollups[0] > 0,
        SealKind.ROLLUPS_RESTATED: rollups[1] > 0,
        SealKind.COMPUTATIONS: bool(counts),
    }
    seal(store, as_of_seq + 1, [kind for kind, some in there.items() if some])


def _reports(
    computation: Computation, counts: Mapping[str, _Counts], seqs: Mapping[str, int], as_of_seq: int
) -> list[Report]:
    rows = computation.store.con.execute("SELECT seq, hash FROM audit.ledger WHERE seq > ?", [as_of_seq]).fetchall()
    hashes = dict(rows)
    engine = str(computation.elsewhere or f"duckdb {duckdb.__version__}")
    compiled, months = computation.compiled, computation.months
    figures = figures_of(
        computation.store, {c: _due_periods(compiled, c, months) | {*one.other_periods} for c, one in counts.items()}
    )
    return [
        Report(
            code,
            one.cells,
            one.written,
            one.restated,
            one.states,
            one.other_periods,
            one.failures,
            engine,
            computation.sql.get(code, ""),
            as_of_seq,
            seqs[code],
            hashes[seqs[code]],
            figures.get(code, {}),
        )
        for code, one in counts.items()
    ]
