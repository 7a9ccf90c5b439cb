"""The short list of what an expression in a definition or a contract may say.

Expressions are parsed to a syntax tree, and every node of it must be on a list: there is no way to name a table, a file, a
subquery or an unlisted function. Text that is not on the list is refused, whatever it might do.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlglot
from sqlglot import exp

Where = tuple[str, ...]
Node = type[exp.Expr]

# conditions and arithmetic over columns: KPI definitions and row rules
SCALAR: tuple[Node, ...] = (
    exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is,
    exp.Null, exp.Boolean, exp.Literal, exp.Column, exp.Identifier, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg,
    exp.Interval, exp.Var, exp.DateDiff, exp.Coalesce, exp.Abs,
)  # fmt: skip
# making columns out of a source's text: source contracts (transformLogic)
TRANSFORM: tuple[Node, ...] = (
    *SCALAR, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.IntDiv, exp.Mod, exp.DPipe,
    exp.Concat, exp.ConcatWs, exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Length, exp.Replace, exp.Nullif,
    exp.Round, exp.Floor, exp.Ceil, exp.Greatest, exp.Least, exp.StrToTime, exp.TimestampFromParts, exp.DateFromParts,
    exp.TimestampTrunc, exp.DateTrunc, exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike, exp.RegexpFullMatch, exp.SplitPart,
    exp.Pad, exp.ToDays, exp.Try,
)  # fmt: skip
TRANSFORM_FUNCTIONS = frozenset({"to_minutes", "to_seconds", "to_hours", "to_days", "make_timestamp", "make_date", "try_strptime", "strptime",
                                 "lpad", "rpad", "split_part", "regexp_full_match"})  # fmt: skip
# the only bare words: they are written into the SQL as they stand
UNITS = frozenset({"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})


class ExpressionError(ValueError):
    """An expression breaks the list. `where` leads to it inside its entry."""

    def __init__(self, where: Where, message: str, remedy: str):
        self.where, self.message, self.remedy = where, message, remedy
        super().__init__(f"{'.'.join(where)}: {message} ({remedy})")


def parse(text: str, where: Where) -> exp.Expr:
    """The syntax tree of one scalar expression, comments dropped. Raises ExpressionError."""
    try:
        found = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
    except sqlglot.errors.SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise ExpressionError(
            where, f"cannot be read as one SQL expression: {text!r} ({reason})", "mend the expression"
        ) from error
    for node in found.walk():
        node.comments = None
    return found


def check(tree: exp.Expr, columns: Collection[str], where: Where, allowed: tuple[Node, ...],
          functions: Collection[str] = ()) -> None:  # fmt: skip
    """Every node of the tree on the list, every name among `columns`. Raises ExpressionError."""
    for node in tree.walk():
        if isinstance(node, exp.Column):
            if node.table or node.name not in columns:
                raise ExpressionError(
                    where, f"unknown column {node.sql('duckdb')!r}", f"there are {', '.join(columns)}"
                )
        elif isinstance(node, exp.Var) and node.name.upper().removesuffix("S") not in UNITS:
            raise ExpressionError(where, f"unknown unit of time {node.name!r}", f"there are {', '.join(sorted(UNITS))}")
        elif isinstance(node, exp.Anonymous) and node.name.lower() in functions:
            continue
        elif not isinstance(node, allowed):
            raise ExpressionError(
                where,
                f"{node.sql('duckdb')[:80]!r} ({node.key}) is not allowed here",
                "use only columns, constants and the functions listed in kpi_definitions/expressions.py",
            )
