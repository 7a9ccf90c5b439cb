"""Registries whose codes the values of a column may be (`codesOf` of a showcase contract): which there are, their codes, and the rule.

Does not belong here: code lists that a contract itself gives (rules.rule_of), references to other tables (contract_rules.py), what is found
(connectors/delivery_gate/unknown_codes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kpi_definitions.listed import listed
from warehouse.tables.rules import Rule

# registry → every code of it, given folders of catalogues beside the shipped one; KPIs of lists that stand side by side are all there
REGISTRIES: Mapping[str, Callable[[Sequence[Path]], Sequence[str]]] = {"kpi": lambda folders: listed(*folders).codes}


def codes_rule(column: str, registry: str) -> Rule:
    """Of a column of codes: that the registry has them."""
    return Rule(
        f"{column}.codes",
        {"code": "rule.codes", "column": column, "registry": {"code": f"registry.{registry}"}},
        "consistency",
        "warning",
        criterion="interrelation",
        column=column,
    )
