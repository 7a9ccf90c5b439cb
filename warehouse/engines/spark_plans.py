"""Locks under item 12(4) that Spark itself holds: what a statement is, and what it reads, by Spark's own parser and analyser.

The lock before these is the compiler's list. Each must hold alone: nothing here trusts that a statement came from the compiler.
Does not belong here: running it (spark.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warehouse.engines.engine import EngineError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# parsed: of these nothing runs when Spark is given the text, as commands do
_PARSED = frozenset(
    {
        "Aggregate",
        "Filter",
        "Project",
        "SubqueryAlias",
        "UnresolvedRelation",
        "UnresolvedAlias",
        "UnresolvedAttribute",
        "UnresolvedFunction",
        "UnresolvedSubqueryColumnAliases",
    }
)
# analysed: relations, then what they are made of
_RELATION = "LogicalRelation"
_ANALYSED = frozenset({_RELATION, "Aggregate", "Filter", "Project", "SubqueryAlias", "View"})
_EXPRESSIONS = frozenset(
    {
        "Abs",
        "Add",
        "AggregateExpression",
        "Alias",
        "And",
        "AttributeReference",
        "Between",
        "CaseWhen",
        "Cast",
        "Ceil",
        "CheckOverflow",
        "Coalesce",
        "CollectList",
        "CommonExpressionDef",
        "CommonExpressionRef",
        "Count",
        "CountIf",
        "Divide",
        "EqualNullSafe",
        "EqualTo",
        "Floor",
        "Get",
        "GreaterThan",
        "GreaterThanOrEqual",
        "Greatest",
        "If",
        "In",
        "IntegralDivide",
        "IsNaN",
        "IsNotNull",
        "IsNull",
        "Least",
        "LessThan",
        "LessThanOrEqual",
        "Literal",
        "Max",
        "Min",
        "Multiply",
        "Not",
        "Or",
        "Remainder",
        "SortArray",
        "SortOrder",
        "Subtract",
        "Sum",
        "TimestampDiff",
        "UnaryMinus",
        "UnixDate",
        "With",
    }
)


def only_reads(spark: SparkSession, sql: str, view: str) -> DataFrame:
    """The statement as Spark will run it, if it is one SELECT over a temporary view, which is one relation, and nothing else.

    Raises EngineError, and what Spark raises for SQL that it does not take.
    """

    def refuse(what: str) -> EngineError:
        return EngineError(
            f"item 12(4): a KPI may read its own table and nothing else; this statement {what}: {sql[:500]}"
        )

    # before it is analysed: at that Spark runs commands, and opens a file that is named as a table
    nodes = list(_nodes(spark._jsparkSession.sessionState().sqlParser().parsePlan(sql)))
    if other := sorted({kind for kind, _ in nodes} - _PARSED - _EXPRESSIONS):
        raise refuse(f"has {', '.join(other)}")
    if [node["multipartIdentifier"] for kind, node in nodes if kind == "UnresolvedRelation"] != [f"[{view}]"]:
        raise refuse(f"does not read {view} alone")
    frame = spark.sql(sql)
    plan = frame._jdf.queryExecution().analyzed()
    analysed = Counter(kind for kind, _ in _nodes(plan))
    if other := sorted(analysed.keys() - _ANALYSED - _EXPRESSIONS):
        raise refuse(f"has {', '.join(other)}")
    if analysed[_RELATION] != 1 or analysed["View"] != 1:
        raise refuse(f"does not read {view} alone")
    return frame


def _nodes(plan: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a plan with its kind, expressions with their own plans included."""
    todo: list[Any] = [json.loads(plan.toJSON())]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            todo += node.values()
            if "class" in node:
                yield node["class"].rpartition(".")[2], node
