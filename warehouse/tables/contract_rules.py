"""What a contract asks of rows and deliveries beside its columns: quality entries, references, service levels.

Does not belong here: what a single rule is (rules.py), rules that follow from a column alone (rules.implied_rules).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kpi_definitions.documents import Document, Fault, Where
from warehouse.tables.rules import CRITERIA, Reference, Rule, qualities, rule_of

_JUDGEABLE = (
    "give it an id and metric nullValues, invalidValues or rowCount, or engine qala or greatExpectations, or type text"
)


def quality_rules(
    document: Document, body: Mapping[str, Any], columns: Collection[str], faults: list[Fault]
) -> tuple[list[Rule], list[Rule]]:
    """Rules on rows and rules on the delivery of a table's quality entries. `columns`: those that a rule may name."""
    on_rows, on_delivery = list[Rule](), list[Rule]()
    for where, quality, name in qualities(body):
        if quality.get("type") == "text":  # for people
            continue
        rule = rule_of(quality, name) if "id" in quality else None
        if rule is None:
            given = quality.get("id", "without id")
            faults.append(document.fault(where, f"quality rule {given!r} is of a kind nothing here judges", _JUDGEABLE))
        elif quality.get("engine") == "qala":
            from kpi_definitions.expressions import SCALAR, ExpressionError, check, parse  # imports sqlglot

            try:
                tree = parse(quality["implementation"], ("implementation",))
                check(tree, columns, ("implementation",), SCALAR)
            except ExpressionError as error:
                message = f"{body['name']}.{rule.id}: {error.message}"
                faults.append(document.fault((*where, *error.where), message, error.remedy))
            else:  # as it was understood, not as it was written
                on_rows.append(replace(rule, predicate=tree.sql("duckdb")))
        else:
            (on_rows if rule.predicate else on_delivery).append(rule)
    return on_rows, on_delivery


def rule_faults(document: Document, rules: Iterable[Rule]) -> Iterator[Fault]:
    """Rules of no criterion of the law, and rules that are given twice."""
    rules = list(rules)
    for rule in rules:
        if rule.criterion not in CRITERIA:
            message = f"rule {rule.id}: no criterion {rule.criterion!r}"
            yield document.fault(("schema", 0, "quality"), message, f"there are {', '.join(CRITERIA)}")
    twice = {name for name, count in Counter(r.check_name for r in rules).items() if count > 1}
    if twice:
        message = f"rule {', '.join(sorted(twice))} is given twice"
        yield document.fault(("schema", 0), message, "give each rule an id of its own")


def references(document: Document, properties: Iterable[Mapping[str, Any]], faults: list[Fault]) -> Iterator[Reference]:
    """The columns that refer to a column of another table."""
    for index, prop in enumerate(properties):
        for number, relation in enumerate(prop.get("relationships") or []):
            table, _, target = str(relation.get("to", "")).partition(".")
            if not target:
                where: Where = ("schema", 0, "properties", index, "relationships", number)
                faults.append(document.fault(where, f"reference to {relation.get('to')!r}", "write to: table.column"))
                continue
            yield Reference(prop["name"], table, target)


_GRAINS = {"m": "M", "month": "M", "q": "Q", "quarter": "Q", "y": "A", "year": "A"}  # units of ODCS as SDMX frequencies


def frequency(document: Document) -> str | None:
    """SDMX frequency (M, Q, A) at which a table is agreed to come; None if nothing is agreed, or another rhythm."""
    for agreed in document.data.get("slaProperties", []):
        if agreed["property"] == "frequency" and agreed.get("value") == 1:
            return _GRAINS.get(str(agreed.get("unit", "")).lower().removesuffix("s"))
    return None


def service_level(document: Document) -> tuple[int | None, dt.date | None]:
    """Days agreed from the end of a period to its delivery, and from which day that is agreed."""
    agreed = {a["property"]: a.get("value") for a in document.data.get("slaProperties", [])}
    since = agreed.get("generalAvailability")
    return agreed.get("latency"), since if since is None or isinstance(since, dt.date) else dt.date.fromisoformat(since)
