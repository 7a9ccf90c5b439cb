"""The steps of a computation say truly what they read and leave, their tables have the declared columns, and the first state rule that holds counts."""

from __future__ import annotations

import datetime as dt
import inspect
from pathlib import Path

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.working_tables import differing_columns
from warehouse.audit.reperform import reperform
from warehouse.kpi_values.compute import CHANGED_VALUES, DUE_CELLS, VALUES, Step, compute
from warehouse.kpi_values.state_rules import CELL_RULES, ROLLUP_RULES, Clause, StateRule, verdict
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.working_tables import working_tables

AT = dt.datetime
STEPS = (DUE_CELLS, *VALUES, CHANGED_VALUES)
# modules that a step's own module uses → that module
USED_BY = {"rejected_rows.py": "bounds.py", "failures.py": "scans.py"}
# tables that are filled in a call from one of these modules to another, within one step: no step hands them on
IN_CALLS = {"work_changed_day", "work_scan_cell"}


def module(step: Step) -> str:
    return Path(inspect.getfile(step.run)).name


def test_a_step_reads_what_steps_before_it_left() -> None:
    left: set[str] = set()
    for step in STEPS:
        assert set(step.reads) <= left, step.name
        assert not set(step.leaves) & left, step.name
        left |= set(step.leaves)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_makes_what_it_leaves(step: Step) -> None:
    for name in step.leaves:
        assert Path(working_tables()[name].made_by).name == module(step)


def test_what_one_step_leaves_and_another_reads_is_said() -> None:
    """From the declared readers, which tests/test_working_tables.py holds against the code."""
    modules = {module(step) for step in STEPS}
    for name, table in working_tables().items():
        room = [Path(path).name for path in (table.made_by, *table.read_by) if path.startswith("warehouse/kpi_values/")]
        maker, *readers = [USED_BY.get(user, user) for user in room] or [""]
        for reader in set(readers) & modules - {maker} if maker in modules and name not in IN_CALLS else ():
            said = {one for step in STEPS if module(step) == reader for one in step.reads}
            assert name in said, f"{reader} reads {name}"


def test_working_tables_have_their_declared_columns(store: Store) -> None:
    """After computations that make nearly all of them: lost rows, gaps, a quantile, a register, a year, and everything made again."""
    catalogue = only(load_catalogues(), "MGT02-1", "MGT02-2", "MGT01-1")
    day = AT(2026, 1, 10)
    appeals = [{"due_at": day, "closed_at": day + dt.timedelta(days=n < 3), "status": "CLOSED"} for n in range(40)]
    (number,) = deliver(store, "fct_appeal", Extract(appeals, "2026-01"))
    store.insert(
        "audit.rejected_row",
        ["delivery_id", "row_no", "column_name", "rule", "kato", "moments", "raw"],
        [
            (number, 1000, None, "status-domain", "710000000", '{"due_at": "2026-01-20 10:00:00"}', "{}"),
            (number, 1, "closed_at", "closed_at.format", "710000000", None, "{}"),
        ],
    )
    compute(store, catalogue, ["2026-01"], today=LATER)
    compute(store, catalogue, ["2026-02"], today=LATER)
    assert reperform(store).differences == []
    assert differing_columns(store.con) == []
    made = {
        name
        for (name,) in store.con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'"
        ).fetchall()
    }
    left = {name for step in STEPS for name in step.leaves}
    assert left <= made
    assert {"work_rollup_member", "work_quantile_cell", "work_lost_rows", "work_row_with_gap", "work_bounds"} <= made


@pytest.mark.parametrize("rules", [CELL_RULES, ROLLUP_RULES], ids=["cells", "roll-ups"])
def test_the_last_rule_always_holds_and_a_value_without_state_of_its_own_has_no_reason(
    rules: tuple[StateRule, ...],
) -> None:
    *marked, last = rules
    assert (last.condition, last.status, last.reason) == ("true", ObsStatus.CALCULATED, ())
    assert all(rule.reason and rule.status is not ObsStatus.CALCULATED for rule in marked)


def test_the_first_rule_that_holds_gives_status_state_and_reason() -> None:
    too = Clause("reason.also_missing", {"missing": "missing"}, given="missing IS NOT NULL")
    few = Clause("reason.some_months", {"delivered": "months", "months": "{year}"})
    rules = (
        StateRule(
            "none", "months = 0", ObsStatus.NOT_DELIVERED, (Clause("reason.not_delivered", {"missing": "missing"}),)
        ),
        StateRule("few", "months < {year}", ObsStatus.LOW_COVERAGE, (few, too)),
        StateRule("whole", "made IS NOT NULL", ObsStatus.LOW_COVERAGE, (Clause("reason.no_bounds", made="made"),)),
        StateRule("otherwise", "true", ObsStatus.CALCULATED),
    )
    cells = """(0, 'all', NULL), (11, 'May', NULL), (11, NULL, NULL), (12, NULL, '{"code":"reason.no_bounds"}'), (12, NULL, NULL)"""
    sql = f"SELECT {verdict(rules, {'year': '12'})} FROM (VALUES {cells}) AS t(months, missing, made)"
    some = '{"code":"reason.some_months","delivered":11,"months":12}'
    assert duckdb.execute(sql).fetchall() == [
        ({"obs_status": "L", "state": "not calculable", "reason": '{"code":"reason.not_delivered","missing":"all"}'},),
        (
            {
                "obs_status": "U",
                "state": "low coverage",
                "reason": f'[{some},{{"code":"reason.also_missing","missing":"May"}}]',
            },
        ),
        ({"obs_status": "U", "state": "low coverage", "reason": some},),
        ({"obs_status": "U", "state": "low coverage", "reason": '{"code":"reason.no_bounds"}'},),
        ({"obs_status": "A", "state": "calculated", "reason": None},),
    ]
