"""The short list of what an expression in a definition or a contract may say.

Expressions are parsed to a syntax tree, and every node of it must be on a list: there is no way to name a table, a file, a
subquery or an unlisted function. Text that is not on the list is refused, whatever it might do. What runs is written anew
from the tree, never the text itself, and must be read back as the same tree.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

import sqlglot
from sqlglot import exp

Where = tuple[str, ...]
Node = type[exp.Expr]

# conditions and arithmetic over columns: KPI definitions and row rules
SCALAR: tuple[Node, ...] = (
    exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is,
    exp.Null, exp.Boolean, exp.Literal, exp.Column, exp.Identifier, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg,
    exp.Interval, exp.Var, exp.DateDiff, exp.Coalesce, exp.Abs, exp.Greatest, exp.Least, exp.TimestampTrunc,
)  # fmt: skip
# making columns out of a source's text: source contracts (transformLogic)
TRANSFORM: tuple[Node, ...] = (
    *SCALAR, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.IntDiv, exp.Mod, exp.DPipe,
    exp.Concat, exp.ConcatWs, exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Length, exp.Replace, exp.Nullif,
    exp.Round, exp.Floor, exp.Ceil, exp.StrToTime, exp.TimestampFromParts, exp.DateFromParts,
    exp.DateTrunc, exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike, exp.RegexpFullMatch, exp.SplitPart,
    exp.Pad, exp.ToDays, exp.Try,
)  # fmt: skip
TRANSFORM_FUNCTIONS = frozenset({"to_minutes", "to_seconds", "to_hours", "to_days", "make_timestamp", "make_date", "try_strptime", "strptime",
                                 "lpad", "rpad", "split_part", "regexp_full_match"})  # fmt: skip
# functions whose answer is another one next time: the rule's name, for those who look for it in vain on the list
CHANCE = {
    name: rule
    for rule, names in {
        "chance.clock": "now today current_date current_time current_timestamp localtime localtimestamp current_localtime current_localtimestamp "
                        "get_current_time get_current_timestamp transaction_timestamp",
        "chance.random": "random setseed uuid gen_random_uuid uuidv4 uuidv7 nextval currval reservoir_quantile",
        "chance.order": "first last any_value arbitrary arg_min arg_max first_value last_value mode array_agg list listagg string_agg approx_quantile "
                        "approx_count_distinct fsum favg sumkahan kahan_sum",
    }.items()
    for name in names.split()
}  # fmt: skip
# the only bare words: they are written into the SQL as they stand
UNITS = frozenset({"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})


# the only types a cast may lead to: no nested ones, and none by a name of somebody's own
TYPES = frozenset({
    exp.DType.TEXT, exp.DType.BOOLEAN, exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.INT128, exp.DType.DECIMAL,
    exp.DType.DOUBLE, exp.DType.DATE, exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ,
})  # fmt: skip
_PATTERNS = (exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike, exp.RegexpFullMatch)
_HIDDEN = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
)  # Unicode's control, format, surrogate, private, line and paragraph
LONGEST, DEEPEST = 4_000, 40  # letters of an expression; nodes from its root to a leaf
WIDEST = 1_000  # letters lpad and rpad may fill up to
GROWTH = 10_000  # times a cell's length its transformed text may have
REPEATS, REPEATS_TOGETHER = 100, 10_000  # of one {n} in a pattern, and of all multiplied: ([a-z]?){1000} takes minutes


class ExpressionError(ValueError):
    """An expression breaks the list. `where` leads to it inside its entry."""

    def __init__(self, where: Where, message: str, remedy: str):
        self.where, self.message, self.remedy = where, message, remedy
        super().__init__(f"{'.'.join(where)}: {message} ({remedy})")

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[Where, str, str]]:
        return type(self), (self.where, self.message, self.remedy)


def parse(text: str, where: Where) -> exp.Expr:
    """The syntax tree of one scalar expression, comments dropped; shared, so copy it before a change. Raises ExpressionError."""
    if not isinstance(text, str):
        raise ExpressionError(where, f"an expression is text, not {text!r}", "write it in quotes")
    try:
        return _tree(text)
    except ExpressionError as error:
        raise ExpressionError(where, error.message, error.remedy) from error.__cause__


@lru_cache(maxsize=4096)
def _tree(text: str) -> exp.Expr:
    if len(text) > LONGEST:
        raise ExpressionError((), f"an expression of {len(text):,} letters is too long", f"write at most {LONGEST:,}")
    hidden = next((c for c in text if unicodedata.category(c) in _HIDDEN and c not in "\t\n\r"), None)
    if hidden is not None:
        raise ExpressionError(
            (),
            f"holds a letter nobody can see: {hidden!r} ({unicodedata.name(hidden, 'a control character')})",
            "take it out",
        )
    try:
        found = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
        if _depth(found) > DEEPEST:
            raise RecursionError
        for node in found.walk():
            node.comments = None
            number = node.name if isinstance(node, exp.Literal) and not node.is_string else "0"
            if len(number) > 40 or not math.isfinite(float(number)):
                raise ExpressionError((), f"number out of range: {number[:40]}", "write at most 40 digits")
        found.sql("duckdb")  # what cannot be written is refused here
    except ExpressionError:
        raise
    except RecursionError:
        raise ExpressionError(
            (), f"is nested too deeply: {text[:80]!r}", f"nest at most {DEEPEST} deep; lists go into IN (...)"
        ) from None
    except Exception as error:  # sqlglot's own, and what it stumbles over: CAST(x AS "decimal(5") is an IndexError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ExpressionError(
            (), f"cannot be read as one SQL expression: {text!r} ({reason})", "mend the expression"
        ) from error
    return found


def chance(node: exp.Expr) -> str:
    """`rule: ` if the outermost function of an expression is one whose answer depends on chance, the clock or the order of rows; else nothing."""
    rule = (
        CHANCE.get(node.sql("duckdb").partition("(")[0].strip().lower())
        if isinstance(node, exp.Func | exp.IgnoreNulls)
        else None
    )
    return f"{rule}: " if rule else ""


def _depth(tree: exp.Expr) -> int:
    deepest, todo = 0, [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        todo += [(child, depth + 1) for child in node.iter_expressions()]
    return deepest


def check(
    tree: exp.Expr, columns: Collection[str], where: Where, allowed: tuple[Node, ...], functions: Collection[str] = ()
) -> None:
    """Every node of the tree on the list, every name among `columns`, nothing that costs without bound. Raises ExpressionError."""
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
        elif type(node) not in allowed:  # a subclass is another function
            raise ExpressionError(
                where,
                f"{chance(node)}{node.sql('duckdb')[:80]!r} ({node.key}) is not allowed here",
                "use only columns, constants and the functions listed in kpi_definitions/expressions.py",
            )
        else:
            _check_one(node, where)
    written = tree.root().sql("duckdb")
    try:
        same = _tree(written) == tree.root()
    except ExpressionError:
        same = False
    if not same:
        raise ExpressionError(where, f"is not read back as it was written: {written!r}", "write it more plainly")
    if exp.Replace in allowed and (grown := _growth(tree)) > GROWTH:
        raise ExpressionError(
            where, f"makes up to {grown:,.0f} letters of one", f"replace and concatenate less: at most {GROWTH:,} times"
        )


def _check_one(node: exp.Expr, where: Where) -> None:
    """What the list allows only in one form."""
    if isinstance(node, exp.DataType) and (node.this not in TYPES or node.args.get("kind")):
        raise ExpressionError(
            where, f"no cast to {node.sql('duckdb')[:80]!r}", f"cast to {', '.join(sorted(t.value for t in TYPES))}"
        )
    if isinstance(node, exp.In) and not any(node.args.get(a) for a in ("expressions", "query", "unnest")):
        raise ExpressionError(where, f"IN without a list: {node.sql('duckdb')[:80]!r}", "write x IN ('A', 'B')")
    if isinstance(node, exp.Pad):
        width = node.args.get("expression")
        if not isinstance(width, exp.Literal) or width.is_string or not float(width.name) <= WIDEST:
            raise ExpressionError(
                where,
                f"fills up without bound: {node.sql('duckdb')[:80]!r}",
                f"write a width up to {WIDEST:,} as a number",
            )
    if isinstance(node, _PATTERNS):
        pattern = node.args.get("expression")
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise ExpressionError(
                where, f"a pattern that is no constant: {node.sql('duckdb')[:80]!r}", "write it out in quotes"
            )
        check_pattern(pattern.name, where)


def check_pattern(pattern: str, where: Where) -> None:
    """A regular expression whose counted repeats cannot cost minutes. Raises ExpressionError."""
    counts = [
        max(map(int, filter(None, found.split(",")))) for found in re.findall(r"\{([0-9]+(?:,[0-9]*)?)\}", pattern)
    ]
    if (
        len(pattern) > LONGEST // 4
        or any(c > REPEATS for c in counts)
        or math.prod(c or 1 for c in counts) > REPEATS_TOGETHER
    ):
        raise ExpressionError(
            where,
            f"pattern {pattern[:80]!r} repeats too often",
            f"repeat at most {REPEATS} times, and {REPEATS_TOGETHER:,} times for all {{n}} multiplied",
        )


def _growth(node: exp.Expr) -> float:
    """How many letters an expression may make of each letter of a cell, at most (a cell of one letter has a constant's length too)."""
    if isinstance(node, exp.Literal):
        return float(len(node.name))
    if isinstance(node, exp.Pad):
        return float(WIDEST)
    inner = sum(_growth(child) for child in node.iter_expressions())
    if isinstance(node, exp.Replace | exp.RegexpReplace):
        new = node.args.get("replacement")
        by = _growth(new) if new is not None else 0
        return max(1.0, _growth(node.this)) * max(1.0, by + isinstance(node, exp.RegexpReplace))
    return max(1.0, inner)
