"""Which cells must be computed: those due in the given months, and earlier ones whose inputs changed. A cell is one KPI, one settlement, one period.

Inputs of a cell change with rows that came or left, deliveries decided on, incidents opened or closed, a new definition in force, and the
end of a late-data window. All of it is read from the ledger sequences in the tables themselves.
"""

from __future__ import annotations

from kpi_definitions.scans import GRAIN_UNIT, Scan, TimeRule
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.known_tables import REGISTER, TARGETS
from warehouse.kpi_values.rejected_rows import changed_days_of_rejected_rows
from warehouse.periods import closing_in
from warehouse.sql import literal, statement
from warehouse.tables.working_tables import create


def select_due_cells(computation: Computation) -> None:
    """Fill `work_due_cell`."""
    con = computation.store.con
    since = _list_requested(computation)
    con.execute(statement(__file__, "work_former_cell", today=literal(computation.today.isoformat())))
    con.execute(statement(__file__, "work_decision", since=str(since)))
    _list_changed_days(computation, since)
    create(con, "work_due_cell")
    con.execute(statement(__file__, "work_due_cell", targets=literal(TARGETS), register=literal(REGISTER)))


def _list_requested(computation: Computation) -> int:
    """Fill `work_requested_kpi`, `work_due_period` and `work_scan_read`. Returns the ledger sequence since which changes matter."""
    store, versions = computation.store, computation.versions
    create(store.con, "work_requested_kpi", "work_due_period", "work_scan_read")
    computed = dict(store.con.execute("SELECT kpi_code, max(as_of_seq) FROM kpi.computation GROUP BY 1").fetchall())
    columns = ["kpi_code", "version", "grain", "starts", "ends", "late_days", "definition_hash", "computed_seq"]
    requested = [
        (
            k.code,
            k.version,
            str(k.period),
            one.starts,
            one.ends,
            k.late_data_days,
            one.compiled.fingerprint,
            computed.get(k.code),
        )
        for one in versions
        for k in [one.compiled.kpi]
    ]
    store.insert("work_requested_kpi", columns, requested)
    grains = sorted({one.kpi.period for one in computation.compiled})
    due = [(str(grain), period.id) for grain in grains for period in closing_in(tuple(computation.months), grain)]
    store.insert("work_due_period", ["grain", "period_id"], due)
    reads = [
        (one.kpi.code, one.kpi.version, scan.table, scan.key, scan.time.rule is TimeRule.EVENT)
        for one in computation.compiled
        for scan in one.scans
    ]
    store.insert("work_scan_read", ["kpi_code", "version", "table_name", "scan_key", "event"], reads)
    return min((seq for *_, seq in requested if seq is not None), default=store.last_seq)


def _list_changed_days(computation: Computation, since: int) -> None:
    """Fill `work_changed_day`.

    Rows come and leave with the decision on a delivery of their table: a table without a newer decision is as it was.
    """
    con = computation.store.con
    create(con, "work_changed_day")
    decided = {name for (name,) in con.execute("SELECT DISTINCT table_name FROM work_decision").fetchall()}
    for scan in {scan.key: scan for one in computation.compiled for scan in one.scans}.values():
        if scan.table in decided:
            con.execute(_changed_days(scan, since))
            if rejected := changed_days_of_rejected_rows(scan, since):
                con.execute(rejected)
    for table, name in ((REGISTER, "work_changed_day__register"), (TARGETS, "work_changed_day__targets")):
        if table in decided:
            con.execute(statement(__file__, name, table=table, key=literal(table), since=str(since)))


def _changed_days(scan: Scan, since: int) -> str:
    """SQL that inserts the settlements and days of rows that came or left after a sequence, and the last sequence at which one did."""
    column = "snapshot_date" if scan.time.by_register else f'"{scan.time.column}"'
    day = column
    if scan.time.rule is TimeRule.EVENT:
        day = f"CAST(date_trunc('{GRAIN_UNIT[scan.grain]}', {column}) AS DATE)"
    rows = " UNION ALL ".join(
        f"SELECT kato, {day} AS day, {seq} AS seq FROM {schema}.{scan.table} WHERE {column} IS NOT NULL AND {seq} > {since}"
        for schema, seq in (("showcase", "valid_from_seq"), ("history", "valid_to_seq"))
    )
    if (
        scan.time.rule is TimeRule.AS_OF
    ):  # its day may lie outside the days of its delivery: incidents are found by the slice
        newest = "greatest(incident.opened_seq, coalesce(incident.closed_seq, 0))"
        rows += f""" UNION ALL SELECT figure.kato, {column}, {newest} FROM showcase.{scan.table} AS figure
JOIN audit.delivery AS delivery USING (delivery_id) JOIN audit.incident AS incident
    ON (incident.table_name, incident.system, incident.scope, incident.period_id)
        = (delivery.table_name, delivery.system, delivery.scope, delivery.period_id)
WHERE incident.table_name = {literal(scan.table)} AND {newest} > {since}"""
    return f"INSERT INTO work_changed_day SELECT {literal(scan.key)}, kato, day, max(seq) FROM ({rows}) GROUP BY ALL"
