"""Measuring on another engine: a scan's parts come from there and go into the working table that the warehouse's own scan would fill.

Everything after the parts is the same. Types are given to the answer here and nowhere else, in DuckDB: an engine hands exact numbers over
as it has them, text included. Does not belong here: how an engine is asked (warehouse/engines/), the SQL of a scan there
(kpi_definitions/engine_scans.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from kpi_definitions.compiler import Compiled
from kpi_definitions.engine_scans import EngineScan, engine_scan
from kpi_definitions.scans import Scan
from warehouse.engines.engine import Engine, EngineError, Facts
from warehouse.engines.settings import open_engine, showcase_folder
from warehouse.engines.showcase import Showcase
from warehouse.engines.step import bring_in_step, refuse_out_of_step
from warehouse.home.home import Home
from warehouse.kpi_values.failures import CONVERSION, OUT_OF_RANGE, note_failed, part_type
from warehouse.sql import literal
from warehouse.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

_ANSWER = "handed_over"
_LONGEST = 100_000  # letters of a statement: ClickHouse reads 262,144, and hands it on to shards with more brackets


@dataclass(frozen=True)
class Elsewhere:
    """An engine that is ready, and the rows it was seen to hold."""

    engine: Engine
    facts: Facts
    showcase: Showcase

    def __str__(self) -> str:
        return f"{self.engine.name} {self.facts.version}"

    def measure(self, store: Store, scan: Scan, users: Sequence[tuple[Compiled, Scan]], table: str, seq: int) -> str:
        """Make `table` with the parts of the cells in `work_scan_cell`, by the rows that held at a ledger sequence.

        Cells in which a KPI fails go to `work_failed_cell`, and have no parts of it. Returns the SQL that ran. Raises EngineError.
        """
        con = store.con
        typed = ", ".join(f"{m.name} {part_type(one, m.name)}" for one, own in users for m in own.measures)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (kato VARCHAR, period_id VARCHAR, {typed})")
        settlements, periods = _asked(con)
        if not settlements or not self.showcase.of(scan.table):
            return ""
        said = []
        for asked, answer in self._answers(scan, settlements, periods, seq):
            con.complete()  # DuckDB 2 registers nothing while an earlier result has rows left
            con.register(_ANSWER, _with_days(answer))
            try:
                self._take(con, asked, users, table)
            finally:
                con.unregister(_ANSWER)
            said.append(f"-- {self}\n{asked.sql.replace('{rows}', scan.table)}")
        return "\n\n".join(said)

    def _answers(
        self, scan: Scan, settlements: Sequence[str], periods: Sequence[tuple[dt.date, dt.date]], seq: int
    ) -> Iterator[tuple[EngineScan, pa.Table]]:
        """The engine's answers, each of some of the periods: statements that name many grow longer than servers read."""
        asked = engine_scan(scan, self.engine.dialect, self.showcase.columns[scan.table], settlements, periods, seq)
        if len(asked.sql) > _LONGEST and len(periods) > 1:
            middle = len(periods) // 2
            for some in (periods[:middle], periods[middle:]):
                yield from self._answers(scan, settlements, some, seq)
            return
        answer = self.engine.measure(asked, self.showcase.of(scan.table))
        self._refuse_misshapen(asked, answer)
        yield asked, answer

    def refuse_moved(self, scans: Sequence[Scan]) -> None:
        """Raises EngineError if the engine lost or got rows of these scans' tables while it measured."""
        refuse_out_of_step(self.engine, self.showcase, sorted({scan.table for scan in scans}))

    def _refuse_misshapen(self, asked: EngineScan, answer: pa.Table) -> None:
        """Other columns than were asked for; exact sums that are not exact any more; a cell that stands there twice."""
        import pyarrow as pa

        wrong = ""
        if answer.column_names != list(asked.columns):
            wrong = f"with the columns {', '.join(answer.column_names)} in place of {', '.join(asked.columns)}"
        elif inexact := [n for n, t in asked.columns.items() if t != "DOUBLE" and pa.types.is_floating(answer[n].type)]:
            wrong = f"with doubles in place of exact numbers in {', '.join(inexact)}"
        elif len(answer) != answer.group_by(["kato", "period_start"]).aggregate([]).num_rows:
            wrong = "with several rows for one settlement and period"
        if wrong:
            raise EngineError(f"{self} answered a scan of {asked.table} {wrong}; no number was made of it; report it")

    def _take(
        self, con: duckdb.DuckDBPyConnection, asked: EngineScan, users: Sequence[tuple[Compiled, Scan]], table: str
    ) -> None:
        """From the answer into the working tables: the cells that were asked for."""
        answered = f"FROM {_ANSWER} AS answer JOIN"
        on = "ON (answer.kato, answer.period_start) = (cell.kato, CAST(cell.period_start AS DATE))"
        parts = dict[str, str]()
        try:
            for one, own in users:
                found = {m.name: _typed(m.name, asked.columns[m.name], part_type(one, m.name)) for m in own.measures}
                why = _why(found, asked)
                parts |= {name: f"CASE WHEN {why} IS NULL THEN {part} END" for name, part in found.items()}
                mine = f"(cell.kpi_code, cell.version) = ({literal(one.kpi.code)}, {one.kpi.version})"
                failing = (
                    f"SELECT cell.kato, cell.period_id, {why} AS why {answered} work_due_cell AS cell {on} WHERE {mine}"
                )
                note_failed(con, one, f"SELECT * FROM ({failing}) WHERE why IS NOT NULL")
            columns = ", ".join(f"{part} AS {name}" for name, part in parts.items())
            con.execute(
                f"INSERT INTO {table} BY NAME SELECT cell.kato, cell.period_id, {columns} {answered} work_scan_cell AS cell {on}"
            )
        except duckdb.DataError as error:
            raise EngineError(
                f"{self} answered a scan of {asked.table} with what is no number ({str(error).splitlines()[0]}); report it"
            ) from error


@contextmanager
def ready_engine(home: Home, name: str | None = None) -> Iterator[tuple[Engine, Facts] | None]:
    """The home's engine, or the one asked for, that was seen to be as it must be; None: the warehouse measures itself. Raises EngineError."""
    engine = open_engine(home, name)
    if engine is None:
        yield None
        return
    try:
        yield engine, engine.ready()
    finally:
        engine.close()


def in_step(store: Store, ready: tuple[Engine, Facts] | None, name: str | None = None) -> Elsewhere | None:
    """The engine, holding what an open warehouse or release holds. The caller has the writer's lock. Raises EngineError."""
    if ready is None:
        return None
    engine, facts = ready
    return Elsewhere(engine, facts, bring_in_step(store, engine, facts, showcase_folder(store.home, name)))


def _asked(con: duckdb.DuckDBPyConnection) -> tuple[list[str], list[tuple[dt.date, dt.date]]]:
    """Settlements and periods (first day, first day after) of the chosen cells."""
    settlements = con.execute("SELECT DISTINCT kato FROM work_scan_cell ORDER BY kato").fetchall()
    periods = con.execute(
        "SELECT DISTINCT CAST(period_start AS DATE), CAST(period_end AS DATE) FROM work_scan_cell ORDER BY ALL"
    ).fetchall()
    return [kato for (kato,) in settlements], [(start, end) for start, end in periods]


def _with_days(answer: pa.Table) -> pa.Table:
    """The answer with its period's first day as a date: engines may give the number of days since 1970-01-01."""
    import pyarrow as pa

    column = answer.column_names.index("period_start")
    days = answer[column]
    if pa.types.is_integer(days.type):
        days = days.cast(pa.int32()).cast(pa.date32())
    return answer.set_column(column, "period_start", days.cast(pa.date32()))


def _why(found: Mapping[str, str], asked: EngineScan) -> str:
    """SQL for the kind of error by which a KPI fails in a cell of the answer: the one the warehouse's own scan would end with; else NULL.

    `found`: the KPI's measures → SQL for the part.
    """
    left = dict.fromkeys(asked.overflows[name] for name in found if name in asked.overflows)
    reasons = (
        (OUT_OF_RANGE, [f"coalesce(CAST(answer.{name} AS BIGINT), 0) > 0" for name in left]),
        (CONVERSION, [f"(answer.{name} IS NOT NULL AND {part} IS NULL)" for name, part in found.items()]),
    )
    said = "".join(f" WHEN {' OR '.join(tests)} THEN {literal(code)}" for code, tests in reasons if tests)
    return f"CASE{said} END"


def _typed(name: str, measured: str, wanted: str) -> str:
    """SQL for a measure as the type it was measured in, then as the one of its part, which may have no room for it (NULL), as here."""
    return f"TRY_CAST(CAST(answer.{name} AS {measured}) AS {wanted})"
