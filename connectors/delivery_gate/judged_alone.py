"""Rules on deliveries as far as one file tells them by itself, without Great Expectations, whose import takes seconds: for `qala try`.

What needs other deliveries, other tables or a declaration that was not made is not judged, and said so. A delivery is judged by delivery_gate.py
and by nothing else; that both agree is tried in tests. Does not belong here: the profile (profile.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.delivery_gate.delivery_gate import measure_of
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule, measured

_OF_THE_PERIOD = ("late_days", "age_days")  # measures that need the days a delivery is for


@dataclass(frozen=True)
class Unmet:
    """A rule on deliveries that a file does not meet. `observed` and `expected`: messages as they are recorded."""

    rule: str
    observed: str
    expected: str
    refuses: bool  # else it would be told, and may open an incident


def judge_alone(table: Table, profile: Mapping[str, Any], *, period: bool) -> tuple[list[Unmet], list[str]]:
    """(rules that are not met, ids of rules that cannot be judged by the file alone). `profile`: the row of profile_deliveries."""
    unmet, unjudged = list[Unmet](), list[str]()
    for rule in table.delivery_rules:
        if not rule.expectation:
            continue
        column = str(rule.kwargs["column"])
        value = math.nan if profile[column] is None else float(profile[column])
        needs_period = column.partition("__")[0] in _OF_THE_PERIOD and not period
        if math.isnan(value) or needs_period:
            unjudged.append(rule.id)
        elif not _met(rule, value):
            observed = measured(measure_of(column), value)
            unmet.append(Unmet(rule.id, observed, rule.expected, rule.severity == "error"))
    return unmet, unjudged


def _met(rule: Rule, value: float) -> bool:
    """Whether a figure is what the rule's expectation asks for (warehouse/tables/rules.py EXPECTATIONS)."""
    asked = rule.kwargs
    if rule.expectation == "expect_column_values_to_be_in_set":
        return value in {float(one) for one in asked["value_set"]}
    if rule.expectation == "expect_column_values_to_not_be_null":
        return True
    low, high = asked.get("min_value"), asked.get("max_value")
    above = low is None or (value > low if asked.get("strict_min") else value >= low)
    return above and (high is None or (value < high if asked.get("strict_max") else value <= high))
