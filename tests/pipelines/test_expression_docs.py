"""The page of expressions of source contracts: every function that is allowed has a call on it, and every call is allowed."""

from __future__ import annotations

from sqlglot import exp

from kpi_definitions.expressions import TRANSFORM, TRANSFORM_FUNCTIONS, check, parse
from pipelines.methods.expression_docs import CALLS

# parts of expressions, not expressions of their own; a header, of which no call here has any; what sqlglot makes of none of our calls
_PARTS = {exp.Column, exp.Identifier, exp.DataTypeParam, exp.Var}


def test_every_function_of_the_list_has_a_call_and_every_call_is_on_the_list() -> None:
    seen: set[type[exp.Expr]] = set()
    names: set[str] = set()
    for _, calls in CALLS:
        for call in calls:
            tree = parse(call, ())
            check(tree, [], (), TRANSFORM, TRANSFORM_FUNCTIONS)
            seen |= {type(node) for node in tree.walk()}
            names |= {name for name in TRANSFORM_FUNCTIONS if f"{name}(" in call}
    assert {n.__name__ for n in TRANSFORM} - {n.__name__ for n in seen | _PARTS} == set()
    assert names == TRANSFORM_FUNCTIONS
