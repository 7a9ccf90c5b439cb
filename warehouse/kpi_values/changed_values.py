"""Values that differ from those in force are written as new rows, and the rows they restate are closed; the others are left alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from warehouse.kpi_values.computation import Computation
from warehouse.sql import literal, statement
from warehouse.store.sentences import list_wording, unchanged
from warehouse.store.store import Store
from warehouse.tables.working_tables import create

# what a cell says: where none of it differs, nothing is written
VALUE_COLUMNS = (
    "value", "value_low", "value_high", "rejected_rows", "gap_rows", "numerator", "denominator", "numerator_low", "denominator_low",
    "numerator_high", "denominator_high", "sample_size", "state", "obs_status", "reason", "coverage",
)  # fmt: skip


def find_changed_values(computation: Computation) -> None:
    """Make `work_changed_value`. A reason that a former version recorded in words stays while it says the same."""
    list_wording(computation.store, "(FROM work_computed_value)", "(FROM kpi.value WHERE valid_to_seq IS NULL)")
    same = " AND ".join(unchanged(column, "former", "computed") for column in VALUE_COLUMNS)
    computation.store.con.execute(statement(__file__, "work_changed_value", same=same))


def write_changed_values(store: Store, seqs: Mapping[str, int], as_of_seq: int) -> None:
    """Close what `work_changed_value` restates and write its rows, in the caller's transaction.

    `seqs`: KPI code → ledger sequence of its computation; left in `work_computation` for the roll-ups.
    """
    con = store.con
    create(con, "work_computation")
    store.insert("work_computation", ["kpi_code", "seq"], list(seqs.items()))
    con.execute(statement(__file__, "close_restated_values"))
    con.execute(
        statement(
            __file__,
            "write_changed_values",
            value_columns=", ".join(VALUE_COLUMNS),
            read_seq=str(as_of_seq),
            now=literal(dt.datetime.now(dt.UTC)),
            run=literal(store.run_id),
        )
    )
