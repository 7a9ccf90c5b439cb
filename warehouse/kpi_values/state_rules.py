"""The state rules: from top to bottom, the first whose condition holds gives a cell, or a roll-up, its state and the reason recorded with it.

`CELL_RULES` are read over the columns of work_computed_value.sql, `ROLLUP_RULES` over those of work_computed_rollup.sql.
docs/reference/calculation-states.md is made from them. Does not belong here: what a state means for a reader (tables/obs_status.py), and how a
reason is said (warehouse/messages/catalogue/reasons.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warehouse.sql import literal
from warehouse.tables.obs_status import ObsStatus

_NAMED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Clause:
    """One message of a reason. In its SQL {name} stands for one of the phrases."""

    code: str
    parts: Mapping[str, str] = field(
        default_factory=dict
    )  # name → SQL; no words: codes, numbers, days, names of tables
    made: str = ""  # the column in which a step before left the whole message, in place of parts
    given: str = ""  # SQL condition on which it is said; without one always


@dataclass(frozen=True)
class StateRule:
    """One line of the table."""

    when: str  # the condition in words
    condition: str  # and in SQL
    status: ObsStatus
    reason: Sequence[Clause] = ()


def message(code: str, **parts: str) -> str:
    """SQL for a message as JSON: its code, then its parts in their order, each given as SQL."""
    return (
        f"json_object({', '.join((literal('code'), literal(code), *(f'{literal(k)}, {v}' for k, v in parts.items())))})"
    )


def _those_that_are(*messages: str) -> str:
    return f"list_filter([{', '.join(messages)}], lambda one: one IS NOT NULL)"


def _if(condition: str, then: str) -> str:
    return f"CASE WHEN {condition} THEN {then} END"


# the message on the bounds `low` and `high` of a value, and on the targets between them (`missed`)
BOUNDS = (
    f"CASE WHEN low IS NULL THEN {message('reason.no_bounds')} "
    f"WHEN missed IS NULL THEN {message('reason.between_bounds', low='low', high='high')} "
    f"ELSE {message('reason.around_target', low='low', high='high', targets='missed')} END"
)
# SQL for what a {name} in conditions and parts stands for, where that is not a column
CELL_PHRASES: Mapping[str, str] = {
    "too_few_months": "coverage < minimum_coverage",
    "no_figure": "looked_up IS NOT NULL AND exact_d IS NULL",
    "initiative": "split_part(kpi_code, '-', 1)",
    "groups": "list_transform(string_split(categories, ', '), lambda one: json_object('code', 'reason.group.' || one))",
    "nothing": f"CASE WHEN s > 0 THEN {message('reason.zero_denominator')} ELSE {message('reason.no_rows', table='rows_table')} END",
    "doubts": _those_that_are(
        _if("refused IS NOT NULL", message("reason.also_refused", refused="refused")),
        _if("doubt IS NOT NULL", message("reason.criterion_not_met", doubts="doubt")),
        _if("losses IS NOT NULL", message("reason.rows_that_may_belong", rows="losses"))),
    "observations": "CASE WHEN counts_distinct THEN exact_n ELSE s END",
    "late_until": "CAST(period_end AS DATE) + late_days",
}  # fmt: skip
_REFUSED_TOO = Clause("reason.also_refused", {"refused": "refused"}, given="refused IS NOT NULL")
_MISSING_TOO = Clause("reason.also_missing", {"missing": "missing"}, given="missing IS NOT NULL")
_ZERO = Clause("reason.zero_denominator")
_NO_SHARE = Clause("reason.no_share", {"share": "raw_value"})
_TOO_FEW = Clause("reason.too_few_to_publish", {"least": "minimum_cell"})
CELL_RULES: Sequence[StateRule] = (
    StateRule("the settlement's group is not one the KPI is for", "NOT list_contains(string_split(categories, ', '), item7_group)",
              ObsStatus.NOT_APPLICABLE, (Clause("reason.other_group", {"groups": "{groups}"}),)),
    StateRule("the period lies outside the KPI's season",
              "season IS NOT NULL AND NOT list_contains(string_split(season_months, ', '), month(period_start)::VARCHAR)",
              ObsStatus.NOT_APPLICABLE, (Clause("reason.out_of_season", {"season": "season"}),)),
    StateRule("the computation failed in this cell", "failure IS NOT NULL", ObsStatus.NOT_CALCULABLE,
              (Clause("reason.failed", {"failure": "json_object('code', failure)"}),)),
    StateRule("too few months delivered, or no figure to look up, and an extract was refused", "({too_few_months} OR ({no_figure})) AND refused IS NOT NULL",
              ObsStatus.NOT_CALCULABLE, (Clause("reason.refused", {"refused": "refused"}), _MISSING_TOO)),
    StateRule("too few months delivered, and the register names no system in operation", "{too_few_months} AND systems = 0",
              ObsStatus.NOT_CALCULABLE, (Clause("reason.no_system", {"listed": "listed", "initiative": "{initiative}"}),)),
    StateRule("too few months delivered, and no system is integrated with the SDU", "{too_few_months} AND integrated = 0",
              ObsStatus.NOT_DELIVERED, (Clause("reason.not_integrated", {"systems": "named", "listed": "listed"}),)),
    StateRule("too few months delivered", "{too_few_months}", ObsStatus.NOT_DELIVERED, (Clause("reason.not_delivered", {"missing": "missing"}),)),
    StateRule("no figure of the day after the period", "{no_figure}",
              ObsStatus.NOT_DELIVERED, (Clause("reason.no_figure", {"table": "looked_up", "day": "period_end_population_date"}),)),
    StateRule("a system does not deliver a column that the KPI reads", "lacking IS NOT NULL", ObsStatus.NOT_DELIVERED,
              (Clause("reason.columns_not_delivered", made="lacking"),)),
    StateRule("an open incident says that a figure leapt from its former value", "leaping IS NOT NULL",
              ObsStatus.NOT_CALCULABLE, (Clause("reason.leap_to_confirm", {"figures": "leaping"}),)),
    StateRule("nothing to divide by, and rows may be missing: an extract refused, an incident open, or rows rejected",
              "raw_value IS NULL AND (refused IS NOT NULL OR doubt IS NOT NULL OR losses IS NOT NULL)",
              ObsStatus.NOT_CALCULABLE, (Clause("reason.nothing_but_doubts", {"nothing": "{nothing}", "doubts": "{doubts}"}),)),
    StateRule("the denominator is zero", "raw_value IS NULL AND s > 0", ObsStatus.NOT_APPLICABLE, (_ZERO,)),
    StateRule("no rows in the period", "raw_value IS NULL", ObsStatus.NOT_APPLICABLE, (Clause("reason.no_rows", {"table": "rows_table"}),)),
    StateRule("a share outside 0 to 100 %", "unit = 'PT' AND (raw_value > 100 OR raw_value < 0)", ObsStatus.NOT_CALCULABLE, (_NO_SHARE,)),
    StateRule("too few observations to publish", "{observations} BETWEEN 1 AND minimum_cell - 1", ObsStatus.SUPPRESSED, (_TOO_FEW,)),
    StateRule("an incident is open on a delivery", "doubt IS NOT NULL", ObsStatus.LOW_COVERAGE,
              (Clause("reason.criterion_not_met", {"doubts": "doubt"}), Clause("reason.lost_rows", made="loss", given="wide"))),
    StateRule("the bounds are wider than tolerated, or a target lies between them", "wide", ObsStatus.LOW_COVERAGE, (Clause("reason.lost_rows", made="loss"),)),
    StateRule("late data may still come", "{late_until} > {today}", ObsStatus.PROVISIONAL, (Clause("reason.late_data", {"day": "{late_until}"}),)),
    StateRule("some months were not delivered", "coverage < 1",
              ObsStatus.LOW_COVERAGE, (Clause("reason.some_months", {"delivered": "delivered", "months": "months"}), _MISSING_TOO, _REFUSED_TOO)),
    StateRule("fewer observations than the definition asks for", "s < minimum_sample",
              ObsStatus.LOW_COVERAGE, (Clause("reason.small_sample", {"observations": "s", "least": "minimum_sample"}),)),
    StateRule("otherwise", "true", ObsStatus.CALCULATED),
)  # fmt: skip

ROLLUP_PHRASES: Mapping[str, str] = {
    "year_open": "longer AND last_end IS DISTINCT FROM period_end",
    "observations": "CASE WHEN counts_distinct THEN exact_n ELSE s END",
    "losses": _those_that_are(
        _if("rejected_rows > 0", message("reason.rows_rejected", rows="rejected_rows")),
        _if("gap_rows > 0", message("reason.rows_with_gap", rows="gap_rows"))),
    "bounds": BOUNDS,
    "last_day": "last_end - 1",
}  # fmt: skip
ROLLUP_RULES: Sequence[StateRule] = (
    StateRule("the KPI applies to no cell", "applicable = 0 AND (last_end IS NOT NULL OR NOT longer)",
              ObsStatus.NOT_APPLICABLE, (Clause("reason.applies_to_no_cell"),)),
    StateRule("the year is not over, and no value can be given yet", "{year_open} AND (counted = 0 OR raw_value IS NULL)",
              ObsStatus.NOT_DELIVERED, (Clause("reason.year_not_closed"),)),
    StateRule("no cell has a value", "counted = 0", ObsStatus.NOT_DELIVERED, (Clause("reason.no_cell_has_value", {"cells": "applicable"}),)),
    StateRule("the denominator is zero", "raw_value IS NULL", ObsStatus.NOT_APPLICABLE, (_ZERO,)),
    StateRule("a share outside 0 to 100 %", "unit = 'PT' AND (raw_value > 100 OR raw_value < 0)", ObsStatus.NOT_CALCULABLE, (_NO_SHARE,)),
    StateRule("too few observations to publish", "{observations} BETWEEN 1 AND minimum_cell - 1", ObsStatus.SUPPRESSED, (_TOO_FEW,)),
    StateRule("exactly one of several cells is suppressed", "suppressed = 1 AND counted > 1", ObsStatus.SUPPRESSED, (Clause("reason.one_cell_suppressed"),)),
    StateRule("the cells were computed by several versions of the definition", "versions > 1",
              ObsStatus.SERIES_BREAK, (Clause("reason.several_versions", {"versions": "versions"}),)),
    StateRule("cells lost rows, and the bounds are wider than tolerated, or a target lies between them",
              "lossy AND coalesce(low IS NULL OR round((high - low) * 1000000) / 1000000 > {tolerated} OR missed IS NOT NULL, true)",
              ObsStatus.LOW_COVERAGE, (Clause("reason.cells_lost_rows", {"rows": "{losses}", "bounds": "{bounds}"}),)),
    StateRule("the year is not over", "longer AND last_end < period_end", ObsStatus.PROVISIONAL, (Clause("reason.year_not_over", {"day": "{last_day}"}),)),
    StateRule("a cell is provisional", "open", ObsStatus.PROVISIONAL, (Clause("reason.of_provisional_values"),)),
    StateRule("some cells have no value", "counted < applicable", ObsStatus.LOW_COVERAGE,
              (Clause("reason.of_some_cells", {"counted": "counted", "cells": "applicable"}),)),
    StateRule("a cell has low coverage or a series break", "marked", ObsStatus.LOW_COVERAGE, (Clause("reason.of_marked_values"),)),
    StateRule("otherwise", "true", ObsStatus.CALCULATED),
)  # fmt: skip


def verdict(rules: Iterable[StateRule], phrases: Mapping[str, str], **parts: str) -> str:
    """SQL for a struct (obs_status, state, reason) by the first rule whose condition holds; `parts`: further SQL that a {name} stands for.

    The reason is a recorded message (messages.py), a list of them where the rule says several, or NULL.
    """
    known = {**phrases, **parts}

    def filled(sql: str) -> str:
        return _NAMED.sub(lambda found: f"({known[found[1]]})", sql)

    lines = [
        f"WHEN {filled(rule.condition)} THEN struct_pack(obs_status := {literal(rule.status)}, "
        f"state := {literal(rule.status.state)}, reason := {_recorded(rule.reason, filled)})"
        for rule in rules
    ]
    return "\n        ".join(("CASE", *lines, "END"))


def _recorded(reason: Sequence[Clause], filled: Callable[[str], str]) -> str:
    """SQL for the text of a reason: as json_object writes it, without a blank, so that the same reason is the same text each time."""
    if not reason:
        return "CAST(NULL AS VARCHAR)"
    said = [
        f"CAST({one.made or message(one.code, **{name: filled(sql) for name, sql in one.parts.items()})} AS VARCHAR)"
        for one in reason
    ]
    several = " OR ".join(f"({filled(one.given)})" for one in reason if one.given)
    if not several:
        return said[0]
    pieces = ", ".join(_if(filled(one.given), sql) if one.given else sql for one, sql in zip(reason, said, strict=True))
    return f"CASE WHEN {several} THEN '[' || concat_ws(',', {pieces}) || ']' ELSE {said[0]} END"
