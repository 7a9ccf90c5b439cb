"""What was delivered of what a cell needs: months and refusals of its tables, open incidents, and whether there is a system at all.

Does not belong here: columns that a delivery lacks (unmapped.py), rows that it lost (rejected_rows.py), and what state follows (states.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from kpi_definitions.compiler import Compiled
from kpi_definitions.scans import TimeRule
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.known_tables import REGISTER
from warehouse.sql import literal, quoted, statement
from warehouse.store.history import as_of
from warehouse.tables.assertions_sql import covers
from warehouse.tables.usual import JUMP
from warehouse.tables.working_tables import create


def find_coverage(computation: Computation) -> None:
    """Make `work_coverage`: per cell, the months needed and delivered, and what is missing, refused, or in doubt."""
    store, seq = computation.store, str(computation.known_seq)
    needed = [(one.kpi.code, one.kpi.version, *need) for one in computation.compiled for need in _needs(one)]
    create(store.con, "work_needed_table")
    store.insert("work_needed_table", ["kpi_code", "version", "table_name", "needed_months"], needed)
    store.con.execute(statement(__file__, "work_period_month"))
    store.con.execute(statement(__file__, "work_open_incident", seq=seq, jump=literal(JUMP)))
    store.con.execute(statement(__file__, "work_delivered_month", seq=seq))
    _find_doubted_figures(computation)
    store.con.execute(statement(__file__, "work_coverage"))


def list_loaded_deliveries(computation: Computation) -> None:
    """Make `work_loaded_delivery`: loaded deliveries of the KPIs' tables, and whether a later one took their place.

    A delivery is replaced by a later one for the same table, system, territory and days, or for more of them if it is complete (adr/0020).
    """
    con = computation.store.con
    tables = sorted({table for one in computation.compiled for table in one.tables})
    names = ", ".join(map(literal, tables)) or "NULL"
    con.execute(statement(__file__, "work_loaded_delivery", seq=str(computation.known_seq), tables=names))
    con.execute(statement(__file__, "work_loaded_delivery__replaced", covers=covers("later", "earlier.scope")))


def look_up_systems(computation: Computation) -> None:
    """Make `work_system_status`: per cell, how many of the initiative's systems exist and are integrated, by the newest
    register dated before the period's end."""
    register = as_of(REGISTER, computation.seq)
    computation.store.con.execute(
        statement(__file__, "work_system_status", register=register, register_name=literal(REGISTER))
    )


def _needs(one: Compiled) -> Iterable[tuple[str, str]]:
    """(table, months) a KPI needs deliveries for: `every` month of the period, or its `closing` month (snapshots).

    A figure that is looked up by its date (`lookup`) is either there or not, whichever delivery brought it: of its deliveries only
    refused ones matter.
    """
    for scan in one.scans:
        yield scan.table, {TimeRule.EVENT: "every", TimeRule.AS_OF: "lookup"}.get(scan.time.rule, "closing")


def _find_doubted_figures(computation: Computation) -> None:
    """Make `work_doubted_figure`: figures looked up by date with an open incident on a leap, by the slice that brought them, whatever its days."""
    con = computation.store.con
    create(con, "work_doubted_figure")
    leapt = con.execute("SELECT DISTINCT table_name FROM work_open_incident WHERE leaping IS NOT NULL").fetchall()
    doubted = {name for (name,) in leapt}
    scans = [scan for one in computation.compiled for scan in one.scans if scan.time.rule is TimeRule.AS_OF]
    for table, day in sorted({(scan.table, scan.time.column) for scan in scans}):
        if table in doubted:
            con.execute(
                statement(
                    __file__,
                    "work_doubted_figure",
                    figure_table=literal(table),
                    figures=as_of(table, computation.seq),
                    date_column=quoted(day),
                )
            )
