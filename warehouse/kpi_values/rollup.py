"""KPI values of regions, item 7 groups and the country, and of whole years, from the settlements' published cells.

Numerators and denominators are summed; quantiles are computed again from the events; values are never averaged. Over a year,
events of its periods are put together, of a register the state at the year's end counts. Only roll-ups above a changed cell are
computed again, in the transaction that writes the cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpi_definitions.compiler import Compiled
from kpi_definitions.model import Kind
from kpi_definitions.scans import TimeRule
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values import suppression
from warehouse.kpi_values.bounds import BETWEEN, list_targets, order, tolerated, valued
from warehouse.kpi_values.state_rules import ROLLUP_PHRASES, ROLLUP_RULES, verdict
from warehouse.sql import literal, statement
from warehouse.store.history import as_of, held
from warehouse.store.sentences import list_wording, unchanged
from warehouse.store.store import Store
from warehouse.tables.obs_status import WITH_PARTS, WITH_VALUE, in_sql
from warehouse.tables.value_formula import VALUE, top
from warehouse.tables.working_tables import create

# what a roll-up says: where none of it differs, nothing is written
ROLLUP_COLUMNS = (
    "value", "value_low", "value_high", "rejected_rows", "gap_rows", "numerator", "denominator", "sample_size", "counted", "applicable", "state",
    "obs_status", "reason", "definition_version",
)  # fmt: skip


def roll_up(store: Store, compiled: Sequence[Compiled], as_of_seq: int) -> tuple[int, int]:
    """Write `kpi.rollup` above the cells of `work_changed_value`, with the sequences of `work_computation`. Inside the caller's transaction.

    Returns how many were written, and how many of them restate others.
    """
    con = store.con
    lay_out(store, compiled)
    con.execute(statement(__file__, "work_due_rollup"))
    compute_rollups(store, compiled)
    list_wording(store, "work_computed_rollup", "(FROM kpi.rollup WHERE valid_to_seq IS NULL)")
    same = " AND ".join(unchanged(column, "former", "computed") for column in ROLLUP_COLUMNS)
    con.execute(statement(__file__, "work_changed_rollup", same=same))
    restated = con.execute(statement(__file__, "close_restated_rollups")).fetchall()
    written = con.execute(statement(__file__, "write_changed_rollups", read_seq=str(as_of_seq))).fetchall()
    return written[0][0], restated[0][0]


def lay_out(store: Store, compiled: Sequence[Compiled]) -> None:
    """Fill `work_sum_over_time`: how each KPI adds up over time; and make `work_area`: which settlements make which territory."""
    create(store.con, "work_sum_over_time")
    sums = sorted({(one.kpi.code, over_time(one), str(one.kpi.period)) for one in compiled})
    store.insert("work_sum_over_time", ["kpi_code", "over_time", "grain"], sums)
    store.con.execute(statement(__file__, "work_area"))


def compute_rollups(
    store: Store, compiled: Sequence[Compiled], values_seq: int | None = None, rows_seq: int | None = None
) -> None:
    """Fill `work_computed_rollup` with one row per territory and period in `work_due_rollup`, from values as of `values_seq`
    and rows as of `rows_seq` (None: now)."""
    con, values = store.con, f"(SELECT * FROM kpi.value WHERE {held(values_seq)})"
    suppression.add_neighbours(store, values)
    con.execute(statement(__file__, "work_rollup_period"))
    con.execute(statement(__file__, "work_rollup_member", current_values=values, with_parts=in_sql(WITH_PARTS)))
    con.execute(statement(__file__, "work_rollup_member__not_computed", current_values=values))
    _compute_quantiles(store, compiled, rows_seq)
    list_targets(store, rows_seq)
    con.execute(
        statement(
            __file__,
            "work_computed_rollup",
            value=VALUE,
            low=valued(VALUE, "n_low", "d_low", "d_low"),
            high=valued(VALUE, "n_high", "d_high", "d_high"),
            between=BETWEEN,
            state_rules=verdict(ROLLUP_RULES, ROLLUP_PHRASES, tolerated=tolerated("raw_value")),
            with_value=in_sql(WITH_VALUE),
        )
    )
    suppression.withhold(store)


def over_time(one: Compiled) -> str:
    """How periods make a longer one: `sum` of events and of what was there during each, `last` state of registers, `none` if the two are mixed."""
    kinds = {"last" if scan.time.rule in (TimeRule.STOCK, TimeRule.AS_OF) else "sum" for scan in one.scans}
    return kinds.pop() if len(kinds) == 1 else "none"


def _compute_quantiles(store: Store, compiled: Sequence[Compiled], seq: int | None) -> None:
    """Fill `work_rollup_quantile`: what cannot be summed, from the events behind the members."""
    con = store.con
    create(con, "work_rollup_quantile")
    for one in compiled:
        if one.kpi.kind is not Kind.QUANTILE:
            continue
        scan, value = one.numerator.scan, top(one, lambda output: output.column)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE work_quantile_cell AS SELECT member.* FROM work_rollup_member AS member "
            "JOIN work_due_rollup AS due ON due.rowid = member.target "
            f"WHERE due.kpi_code = {literal(one.kpi.code)} AND member.counts"
        )
        sql = scan.sql(as_of(scan.table, seq), "work_quantile_cell", by="c.target")
        only_reads(con, sql, scan.table, "work_quantile_cell")
        con.execute(
            f"INSERT INTO work_rollup_quantile SELECT target, {one.kpi.version}, {value}, NULL, NULL FROM ({sql})"
        )
        lossy = (
            "SELECT target, sum(rejected_rows + gap_rows) AS k, sum(gap_rows) AS g FROM work_quantile_cell "
            "GROUP BY target HAVING bool_or(lossy)"
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE work_uncertain_cell AS SELECT * FROM work_quantile_cell "
            f"WHERE target IN (SELECT target FROM ({lossy}))"
        )
        if con.execute("SELECT count(*) FROM work_uncertain_cell").fetchall()[0][0]:
            bounds = order(store, one, "work_uncertain_cell", lossy, "target", seq)
            con.execute(f"""UPDATE work_rollup_quantile AS quantile SET q_low = bounds.low, q_high = bounds.high FROM ({bounds}) AS bounds
WHERE quantile.target = bounds.target AND quantile.version = {one.kpi.version}""")
