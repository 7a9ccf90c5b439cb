"""The steps that bring a warehouse of an older version up, numbered, as data: `qala upgrade` takes those that are due, in their order.

A step gives tables columns that cannot be left empty in the rows that are there. What its SQL does is frozen: it is about the tables as
they were at that number, and gives the same rows in every later version. A column or table that may be empty needs no step (fitting.py adds
it). Where an old row cannot be brought to what today's code would have made of it, the step says what it is instead (`instead`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from warehouse.sql import literal, statement
from warehouse.store.seals import SealKind
from warehouse.tables.contracts import Table

Tables = Mapping[str, Table]
FIRST = 1  # the first schema that was ever used; a file that knows no number and has no step's columns is of it


@dataclass(frozen=True)
class Step:
    """One step. `fills`: by table and column, SQL of the column's value over the old row `o`."""

    number: int
    what: str
    instead: str  # what is not as today's code would have made it
    mark: tuple[str, str]  # table and column by which a file is known to have it, if it knows no numbers
    fills: Callable[[Tables], Mapping[str, Mapping[str, str]]]
    seals: tuple[SealKind, ...]  # kinds of sealed rows that get values by it
    before: tuple[str, ...] = ()  # statements that make the working tables which `fills` reads
    renames: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # by registry, former name of a column → name


def _asserted(tables: Tables) -> Mapping[str, Mapping[str, str]]:
    def by_table(value: Callable[[Table], str | None]) -> str:
        whens = " ".join(f"WHEN {literal(name)} THEN {literal(value(table))}" for name, table in sorted(tables.items()))
        return f"CASE WHEN o.state <> 'received' THEN CASE o.table_name {whens} END END"

    return {
        "audit.delivery": {
            "kind": by_table(lambda t: str(t.cut.kind)),
            "cut_by": by_table(lambda t: t.cut.by),
            "order_seq": "o.loaded_seq",
        }
    }


_LOSSY = (
    statement(__file__, "work_upgrade_lossy_delivery"),
    statement(__file__, "work_upgrade_lossy_cell"),
    statement(__file__, "work_upgrade_lossy_rollup"),
)


def _bounded(_: Tables) -> Mapping[str, Mapping[str, str]]:
    def counted(relation: str, key: str) -> str:
        same = " AND ".join(f"l.{c} = o.{c}" for c in (*key.split(), "valid_from_seq"))
        return f"coalesce((SELECT l.rejected_rows FROM {relation} l WHERE {same}), 0)"

    cells = counted("work_upgrade_lossy_cell", "kpi_code kato period_id")
    rollups = counted("work_upgrade_lossy_rollup", "kpi_code area_kind area period_id")

    def bounds(rejected: str) -> dict[str, str]:
        value = f"CASE WHEN {rejected} = 0 THEN o.value END"
        return {"value_low": value, "value_high": value, "rejected_rows": rejected, "gap_rows": "CAST(0 AS BIGINT)"}

    return {"kpi.value": bounds(cells), "kpi.rollup": bounds(rollups)}


_YEARS = (
    statement(__file__, "work_upgrade_bounded_item"),
    statement(__file__, "work_upgrade_bounded_node"),
    statement(__file__, "work_upgrade_bounded_rank"),
)


def _assessed(_: Tables) -> Mapping[str, Mapping[str, str]]:
    def looked_up(relation: str, column: str, key: str) -> str:
        same = " AND ".join(f"l.{c} = o.{c}" for c in ("assessment_id", *key.split()))
        return f"(SELECT l.{column} FROM {relation} l WHERE {same})"

    def level(column: str) -> str:
        known = looked_up(
            "(SELECT * REPLACE (CASE WHEN NOT certain THEN level_low END AS level_low, CASE WHEN NOT certain THEN level_high END AS level_high) "
            "FROM work_upgrade_bounded_node)",
            column,
            "kato node_kind node",
        )
        return f"coalesce({known}, o.level)"

    return {
        "kpi.assessment_item": {
            c: looked_up("work_upgrade_bounded_item", c, "kato kpi_code") for c in ("score_low", "score_high")
        },
        "kpi.assessment_score": {c: level(c) for c in ("level_low", "level_high")},
        "kpi.assessment_rank": {
            c: looked_up("work_upgrade_bounded_rank", c, "kato") for c in ("rank_low", "rank_high")
        },
    }


_VERSION = {"code": "kpi_code", "version": "definition_version"}
_ONE_NAME = {
    "registry.kpi": _VERSION,
    "registry.kpi_source": _VERSION,
    "registry.case_passport": {**_VERSION, "status": "catalogue_status"},
    "registry.period": {"id": "period_id"},
    "registry.sphere": {"code": "sphere"},
    "registry.initiative": {"code": "initiative"},
    "registry.catalogue": {"id": "catalogue_id", "version": "catalogue_version", "status": "catalogue_status"},
}


STEPS: tuple[Step, ...] = (
    Step(
        2,
        "a delivery knows what it asserts and its place in the order",
        "kind and date column are those of the table's contract of today",
        ("audit.delivery", "order_seq"),
        _asserted,
        (SealKind.DECIDED,),
    ),
    Step(
        3,
        "values and roll-ups have bounds",
        "where deliveries of a cell had rejected rows, all of them are counted and the bounds are unknown; state and value stay until the cell is "
        "computed again (qala run PERIOD)",
        ("kpi.value", "rejected_rows"),
        _bounded,
        (SealKind.VALUES, SealKind.ROLLUPS),
        _LOSSY,
    ),
    Step(
        4,
        "assessments have bounds",
        "an item whose value has no bounds scores 0 to 100; scores, levels and places stay",
        ("kpi.assessment_score", "level_low"),
        _assessed,
        (SealKind.ASSESSMENT_ITEMS, SealKind.ASSESSMENT_SCORES, SealKind.ASSESSMENT_RANKS),
        _YEARS,
    ),
    Step(
        5,
        "the same thing has the same column name in every registry",
        "rows stay as they were",
        ("registry.period", "period_id"),
        lambda _: {},
        (),
        renames=_ONE_NAME,
    ),
)
# by registry, name of a column → its former one
FORMERLY = {table: {new: old for old, new in names.items()} for step in STEPS for table, names in step.renames.items()}
LATEST = STEPS[-1].number
