"""The state rules: from top to bottom, the first whose condition holds gives a cell, or a roll-up, its state and the reason published with it.

`CELL_RULES` are read over the columns of work_computed_value.sql, `ROLLUP_RULES` over those of work_computed_rollup.sql.
docs/reference/calculation-states.md is made from them. Does not belong here: what a state means for a reader (tables/obs_status.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from warehouse.sql import literal
from warehouse.tables.obs_status import ObsStatus

_NAMED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class StateRule:
    """One line of the table."""

    when: str  # the condition in words
    condition: str  # and in SQL
    status: ObsStatus
    reason: str = ""  # published text; {name} stands for a column, or for one of the phrases


# SQL for what a {name} in conditions and reasons stands for, where that is not a column
CELL_PHRASES: Mapping[str, str] = {
    "too_few_months": "coverage < minimum_coverage",
    "no_figure": "looked_up IS NOT NULL AND exact_d IS NULL",
    "initiative": "split_part(kpi_code, '-', 1)",
    "also_missing": "coalesce('; not delivered: ' || missing, '')",
    "also_refused": "coalesce('; refused: ' || refused, '')",
    "nothing": "CASE WHEN s > 0 THEN 'the denominator is zero' ELSE 'no rows: nothing of ' || rows_table || ' falls into the period' END",
    "doubts": "concat_ws('; ', 'refused: ' || refused, 'quality criterion not met: ' || doubt, 'rows that may belong to it: ' || losses)",
    "and_losses": "CASE WHEN wide THEN '; ' || loss ELSE '' END",
    "observations": "CASE WHEN counts_distinct THEN exact_n ELSE s END",
    "late_until": "CAST(period_end AS DATE) + late_days",
}  # fmt: skip
CELL_RULES: Sequence[StateRule] = (
    StateRule("the settlement's group is not one the KPI is for", "NOT list_contains(string_split(categories, ', '), item7_group)",
              ObsStatus.NOT_APPLICABLE, "the KPI applies to settlements of group {categories}"),
    StateRule("the period lies outside the KPI's season",
              "season IS NOT NULL AND NOT list_contains(string_split(season_months, ', '), month(period_start)::VARCHAR)",
              ObsStatus.NOT_APPLICABLE, "outside the {season}"),
    StateRule("the computation failed in this cell", "failure IS NOT NULL", ObsStatus.NOT_CALCULABLE, "computation failed: {failure}"),
    StateRule("too few months delivered, or no figure to look up, and an extract was refused", "({too_few_months} OR ({no_figure})) AND refused IS NOT NULL",
              ObsStatus.NOT_CALCULABLE, "quality gate failed, extract refused: {refused}{also_missing}"),
    StateRule("too few months delivered, and the register names no system in operation", "{too_few_months} AND systems = 0",
              ObsStatus.NOT_CALCULABLE, "no system known: the register of {listed} names none in operation for initiative {initiative}"),
    StateRule("too few months delivered, and no system is integrated with the SDU", "{too_few_months} AND integrated = 0",
              ObsStatus.NOT_DELIVERED, "not integrated: of system {named} the register of {listed} knows no integration with the SDU"),
    StateRule("too few months delivered", "{too_few_months}", ObsStatus.NOT_DELIVERED, "extract not delivered: {missing}"),
    StateRule("no figure of the day after the period", "{no_figure}",
              ObsStatus.NOT_DELIVERED, "{looked_up} has no figure as of {period_end_population_date}"),
    StateRule("a system does not deliver a column that the KPI reads", "lacking IS NOT NULL", ObsStatus.NOT_DELIVERED, "{lacking}"),
    StateRule("an open incident says that a figure leapt from its former value", "leaping IS NOT NULL",
              ObsStatus.NOT_CALCULABLE, "a figure leaves its former value and is to be confirmed: {leaping}"),
    StateRule("nothing to divide by, and rows may be missing: an extract refused, an incident open, or rows rejected",
              "raw_value IS NULL AND (refused IS NOT NULL OR doubt IS NOT NULL OR losses IS NOT NULL)",
              ObsStatus.NOT_CALCULABLE, "{nothing}, but {doubts}"),
    StateRule("the denominator is zero", "raw_value IS NULL AND s > 0", ObsStatus.NOT_APPLICABLE, "the denominator is zero"),
    StateRule("no rows in the period", "raw_value IS NULL", ObsStatus.NOT_APPLICABLE, "no rows: nothing of {rows_table} falls into the period"),
    StateRule("a share outside 0 to 100 %", "unit = 'PT' AND (raw_value > 100 OR raw_value < 0)",
              ObsStatus.NOT_CALCULABLE, "a share of {raw_value} % is an error in the data"),
    StateRule("too few observations to publish", "{observations} BETWEEN 1 AND minimum_cell - 1",
              ObsStatus.SUPPRESSED, "fewer than {minimum_cell} observations: too few to publish"),
    StateRule("an incident is open on a delivery", "doubt IS NOT NULL", ObsStatus.LOW_COVERAGE, "quality criterion not met: {doubt}{and_losses}"),
    StateRule("the bounds are wider than tolerated, or a target lies between them", "wide", ObsStatus.LOW_COVERAGE, "{loss}"),
    StateRule("late data may still come", "{late_until} > {today}", ObsStatus.PROVISIONAL, "late data may come until {late_until}"),
    StateRule("some months were not delivered", "coverage < 1",
              ObsStatus.LOW_COVERAGE, "delivered for {delivered} of {months} months{also_missing}{also_refused}"),
    StateRule("fewer observations than the definition asks for", "s < minimum_sample",
              ObsStatus.LOW_COVERAGE, "{s} observations, fewer than {minimum_sample}"),
    StateRule("otherwise", "true", ObsStatus.CALCULATED),
)  # fmt: skip

ROLLUP_PHRASES: Mapping[str, str] = {
    "year_open": "longer AND last_end IS DISTINCT FROM period_end",
    "observations": "CASE WHEN counts_distinct THEN exact_n ELSE s END",
    "losses": "concat_ws(' and ', CASE WHEN rejected_rows > 0 THEN rejected_rows || ' rejected' END, "
              "CASE WHEN gap_rows > 0 THEN gap_rows || ' with a cell left empty' END)",
    "bounds": "CASE WHEN low IS NULL THEN '; no bounds can be given' ELSE '; with them it lies between ' || low || ' and ' || high END",
    "also_missed": "coalesce(', on both sides of the target ' || missed, '')",
    "last_day": "last_end - 1",
}  # fmt: skip
ROLLUP_RULES: Sequence[StateRule] = (
    StateRule("the KPI applies to no cell", "applicable = 0 AND (last_end IS NOT NULL OR NOT longer)",
              ObsStatus.NOT_APPLICABLE, "the KPI applies to no cell of it"),
    StateRule("the year is not over, and no value can be given yet", "{year_open} AND (counted = 0 OR raw_value IS NULL)",
              ObsStatus.NOT_DELIVERED, "the year is not over: its closing period has not been computed"),
    StateRule("no cell has a value", "counted = 0", ObsStatus.NOT_DELIVERED, "none of {applicable} cells has a value"),
    StateRule("the denominator is zero", "raw_value IS NULL", ObsStatus.NOT_APPLICABLE, "the denominator is zero"),
    StateRule("a share outside 0 to 100 %", "unit = 'PT' AND (raw_value > 100 OR raw_value < 0)",
              ObsStatus.NOT_CALCULABLE, "a share of {raw_value} % is an error in the data"),
    StateRule("too few observations to publish", "{observations} BETWEEN 1 AND minimum_cell - 1",
              ObsStatus.SUPPRESSED, "fewer than {minimum_cell} observations: too few to publish"),
    StateRule("exactly one of several cells is suppressed", "suppressed = 1 AND counted > 1",
              ObsStatus.SUPPRESSED, "one cell in it is suppressed and could be worked out from the sum"),
    StateRule("the cells were computed by several versions of the definition", "versions > 1",
              ObsStatus.SERIES_BREAK, "made of values by {versions} versions of the definition"),
    StateRule("cells lost rows, and the bounds are wider than tolerated, or a target lies between them",
              "lossy AND coalesce(low IS NULL OR round((high - low) * 1000000) / 1000000 > {tolerated} OR missed IS NOT NULL, true)",
              ObsStatus.LOW_COVERAGE, "rows of its cells: {losses}{bounds}{also_missed}"),
    StateRule("the year is not over", "longer AND last_end < period_end", ObsStatus.PROVISIONAL, "the year is not over: values to {last_day}"),
    StateRule("a cell is provisional", "open", ObsStatus.PROVISIONAL, "made of provisional values"),
    StateRule("some cells have no value", "counted < applicable", ObsStatus.LOW_COVERAGE, "made of {counted} of {applicable} cells"),
    StateRule("a cell has low coverage or a series break", "marked", ObsStatus.LOW_COVERAGE, "made of values that are marked themselves"),
    StateRule("otherwise", "true", ObsStatus.CALCULATED),
)  # fmt: skip


def verdict(rules: Iterable[StateRule], phrases: Mapping[str, str], **parts: str) -> str:
    """SQL for a struct (obs_status, state, reason) by the first rule whose condition holds; `parts`: further SQL that a {name} stands for."""
    known = {**phrases, **parts}

    def expression(name: str) -> str:
        return f"({known[name]})" if name in known else name

    def text(reason: str) -> str:
        pieces = (expression(piece) if odd else literal(piece) for odd, piece in _alternating(reason) if odd or piece)
        return " || ".join(pieces) or "CAST(NULL AS VARCHAR)"

    lines = [
        f"WHEN {_NAMED.sub(lambda found: expression(found[1]), rule.condition)} THEN struct_pack(obs_status := {literal(rule.status)}, "
        f"state := {literal(rule.status.state)}, reason := {text(rule.reason)})"
        for rule in rules
    ]
    return "\n        ".join(("CASE", *lines, "END"))


def _alternating(reason: str) -> Iterable[tuple[bool, str]]:
    """The pieces of a reason in turn: text (False), name (True), text …"""
    return ((bool(number % 2), piece) for number, piece in enumerate(_NAMED.split(reason)))
