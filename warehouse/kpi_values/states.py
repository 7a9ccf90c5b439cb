"""Every due cell gets its value, its state and the reason for it, from what the steps before found.

Does not belong here: which condition gives which state (state_rules.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from kpi_definitions.scans import TimeRule
from warehouse.kpi_values.computation import Computation, KpiVersion
from warehouse.kpi_values.state_rules import CELL_PHRASES, CELL_RULES, verdict
from warehouse.messages.messages import recorded
from warehouse.sql import statement
from warehouse.store.store import Store
from warehouse.tables.obs_status import WITH_PARTS, WITH_VALUE, in_sql
from warehouse.tables.value_formula import VALUE
from warehouse.tables.working_tables import create, working_tables


def describe_versions(computation: Computation) -> None:
    """Fill `work_kpi_version`: what bounds, states and roll-ups need to know of each KPI version."""
    describe(computation.store, computation.versions)


def describe(store: Store, versions: Sequence[KpiVersion]) -> None:
    """`describe_versions`, without a computation: roll-ups made again need no more."""
    create(store.con, "work_kpi_version")
    store.insert(
        "work_kpi_version", list(working_tables()["work_kpi_version"].columns), list(map(_described, versions))
    )


def judge(computation: Computation) -> None:
    """Make `work_computed_value`."""
    today = f"DATE '{computation.today.isoformat()}'"
    computation.store.con.execute(
        statement(
            __file__,
            "work_computed_value",
            value=VALUE,
            state_rules=verdict(CELL_RULES, CELL_PHRASES, today=today),
            with_value=in_sql(WITH_VALUE),
            with_parts=in_sql(WITH_PARTS),
        )
    )


def _described(version: KpiVersion) -> tuple[object, ...]:
    """One row of `work_kpi_version`, in the order of its columns."""
    one, kpi = version.compiled, version.compiled.kpi
    looked_up = next((scan.table for scan in one.scans if scan.time.rule is TimeRule.AS_OF), None)
    return (
        kpi.code,
        kpi.version,
        str(kpi.kind),
        kpi.scale,
        kpi.unit,
        kpi.direction,
        kpi.tolerance,
        kpi.coverage.minimum,
        kpi.minimum_sample,
        kpi.minimum_cell,
        "distinct" in kpi.numerator.aggregate.lower(),  # counts_distinct
        kpi.late_data_days,
        ", ".join(kpi.categories),
        recorded(kpi.season.name.model_dump()) if kpi.season else None,
        ", ".join(map(str, kpi.season.months)) if kpi.season else None,
        one.numerator.scan.table,
        looked_up,
        version.catalogue_version,
        one.fingerprint,
        version.starts,
        version.ends,
    )
