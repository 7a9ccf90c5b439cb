"""How each engine writes what a definition may say: typed, from the syntax tree, by a closed list (functions.yaml).

Nothing passes by a general translation. What has no exact form in every engine is refused, so that a definition that is accepted gives the
same numbers everywhere. Does not belong here: scans (engine_scans.py), how values are put together (values.py, calendar_arithmetic.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from sqlglot import exp

from kpi_definitions import calendar_arithmetic as calendar
from kpi_definitions.expressions import Where, parse
from kpi_definitions.functions import DIALECTS, Family, Said
from kpi_definitions.scans import PARAMETERS, Asked, Function
from kpi_definitions.values import (
    LONG_DIGITS,
    MOST_DIGITS,
    NULL,
    NUMBERS,
    SpellingError,
    UnspelledError,
    Value,
    alike,
    any_of,
    checks_of,
    column,
    decimal,
    double,
    mark,
    one_of,
    one_sided,
    parameters,
    put,
    put_together,
    whole,
)

ROWS_DIGITS = 12  # of how many rows a sum may be, at most: a million millions
LONGEST = 20_000  # letters of an expression in an engine's SQL; conditions of a quantile stand there six times
_COMPARED: Mapping[type[exp.Expr], tuple[str, bool]] = {  # the function, and whether its sides change places
    exp.EQ: ("=", False),
    exp.NEQ: ("<>", False),
    exp.LT: ("<", False),
    exp.LTE: ("<=", False),
    exp.GT: ("<", True),
    exp.GTE: ("<=", True),
}
_ARITHMETIC: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_CHOSEN: Mapping[type[exp.Expr], str] = {exp.Coalesce: "coalesce", exp.Greatest: "greatest", exp.Least: "least"}
_DATED = (Family.DATE, Family.TIME)


def spelled(text: str, columns: Mapping[str, str], where: Where) -> Value:
    """An expression over columns (name → SQL type) and PARAMETERS, written for every engine. Raises SpellingError."""
    try:
        return _spelled(text, tuple(columns.items()))
    except UnspelledError as error:
        raise SpellingError(where, error.message, error.remedy) from None


def condition(text: str, columns: Mapping[str, str], where: Where) -> Value:
    """`spelled`, of what must be a condition."""
    found = spelled(text, columns, where)
    if found.family is Family.NULL:
        return _no_truth()
    if found.family is not Family.BOOLEAN:
        raise SpellingError(where, f"{text!r} is {found.family}, where a condition stands", "compare it with something")
    return found


def argument_of(asked: Asked, columns: Mapping[str, str], where: Where) -> Value | None:
    """`spelled`, of what a measure is made of, if every engine can make it exactly; None if rows are counted."""
    if asked.argument is None:
        return None
    found, function = spelled(asked.argument, columns, where), asked.function
    if found.family is Family.NULL:
        raise SpellingError(where, f"{asked.argument!r} is always NULL", "take a column")
    if function is Function.SUM and found.family is Family.BOOLEAN:
        return replace(found, family=Family.WHOLE, said=put("as WHOLE", found.family, found), high=1, width=32)
    floating = found.family is Family.DOUBLE and function in (Function.SUM, Function.MAX, Function.DISTINCT)
    if floating:
        message = f"{function} of {asked.argument!r}: a quotient is a floating-point number, and engines round it each in its way"
        raise SpellingError(where, message, "take whole numbers or decimals: multiply by a decimal (x * 0.001)")
    if function not in (Function.COUNT, Function.DISTINCT) and found.family not in NUMBERS:
        raise SpellingError(where, f"{function} of {asked.argument!r}, which is {found.family}", "aggregate a number")
    digits = min(found.digits, len(str(found.room[1]))) if found.family in (Family.WHOLE, Family.DECIMAL) else 0
    if function is Function.SUM and digits + ROWS_DIGITS > MOST_DIGITS:
        message = f"a sum of {asked.argument!r}, {digits} digits each, may exceed the 38 digits of a decimal"
        raise SpellingError(where, message, f"sum columns and products of at most {MOST_DIGITS - ROWS_DIGITS} digits")
    if function in (Function.LOW, Function.HIGH) and found.family is Family.DECIMAL and digits > LONG_DIGITS:
        message = f"a quantile of {asked.argument!r}, {digits} digits each"
        raise SpellingError(where, message, f"take decimals of at most {LONG_DIGITS} digits")
    return found


def quoted(text: str) -> dict[str, str]:
    """A text between quotes, by dialect. No brace stands in it, so that what is put in place of {rows} is never put there."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return {
        "duckdb": "'" + text.replace("'", "''") + "'",
        "clickhouse": "'" + escaped.replace("{", "\\x7B") + "'",
        "spark": "'" + escaped.replace("{", "\\u007B") + "'",
    }


@lru_cache(maxsize=4096)
def _spelled(text: str, columns: tuple[tuple[str, str], ...]) -> Value:
    return _Writer(dict(columns)).value(parse(text, ()))


def _no_truth() -> Value:
    return Value(Family.BOOLEAN, put("null", Family.BOOLEAN))


class _Writer:
    """One expression over one table, written from its leaves up."""

    def __init__(self, columns: Mapping[str, str]):
        self.columns, self.parameters = columns, parameters(PARAMETERS)
        self.ways: Mapping[type[exp.Expr], Callable[[exp.Expr], Value]] = {
            exp.Paren: lambda node: self.value(node.this),
            exp.Null: lambda _: NULL,
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: self._boolean,
            exp.And: self._both,
            exp.Or: self._both,
            exp.Not: self._not,
            exp.Is: self._is,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Neg: self._one_sided,
            exp.Abs: self._one_sided,
            exp.DateDiff: self._difference,
            exp.TimestampTrunc: self._truncated,
            **dict.fromkeys(_COMPARED, self._compared),
            **dict.fromkeys(_ARITHMETIC, self._arithmetic),
            **dict.fromkeys(_CHOSEN, self._chosen),
        }

    def value(self, node: exp.Expr) -> Value:
        way = self.ways.get(type(node))
        if way is None:
            message = f"{node.sql('duckdb')[:80]!r} ({node.key}) is not written by every engine"
            raise UnspelledError(message, "use what docs/reference/functions.md lists")
        try:
            found = way(node)
        except UnspelledError as error:
            if not error.message.startswith("'"):
                error.message = f"{node.sql('duckdb')[:120]!r}: {error.message}"
            raise
        if isinstance(node, exp.Add | exp.Sub | exp.TimestampTrunc) and (name := self._of_period(node)):
            # the same for all rows of a period: reckoned here, or its SQL would hold the period many times over
            found = replace(found, said=(found.said[0], Said(mark(name)), Said(mark(name))))
        if any(len(said.value) > LONGEST for said in found.said):
            raise UnspelledError(f"grows beyond {LONGEST:,} letters in an engine's SQL", "nest less")
        return found

    def _column(self, node: exp.Expr) -> Value:
        return self.parameters.get(node.name) or column(node.name, self.columns[node.name])

    def _literal(self, node: exp.Expr) -> Value:
        if node.is_string:
            texts = quoted(node.name)
            said = put("literal", Family.TEXT, TEXT="")
            said = tuple(replace(one, value=texts[dialect]) for one, dialect in zip(said, DIALECTS, strict=True))
            return Value(Family.TEXT, said, literal=node.name)
        if "e" in node.name.lower():
            return double(node.name)
        if "." in node.name:
            before, _, after = node.name.partition(".")
            return decimal(int(before + after), len(before + after), len(after))
        return whole(int(node.name))

    def _boolean(self, node: exp.Expr) -> Value:
        true = bool(node.this)
        said = put("literal", Family.BOOLEAN, TRUTH=str(true).lower(), BIT=int(true), OTHER=int(not true))
        return Value(Family.BOOLEAN, said, truth=true)

    def _condition(self, node: exp.Expr) -> Value:
        found = self.value(node)
        if found.family is Family.NULL:
            return _no_truth()
        if found.family is not Family.BOOLEAN:
            raise UnspelledError(f"{found.family}, where a condition stands", "compare it with something")
        return found

    def _both(self, node: exp.Expr) -> Value:
        sides = self._condition(node.this), self._condition(node.expression)
        name = "and" if isinstance(node, exp.And) else "or"
        return Value(Family.BOOLEAN, put(name, Family.BOOLEAN, *sides), checks=checks_of(sides))

    def _not(self, node: exp.Expr) -> Value:
        return self._opposite(self._condition(node.this))

    def _opposite(self, inner: Value) -> Value:
        return Value(Family.BOOLEAN, put("not", Family.BOOLEAN, inner), checks=inner.checks)

    def _is(self, node: exp.Expr) -> Value:
        what = node.expression
        if isinstance(what, exp.Null):
            inner = self.value(node.this)
            if inner.family is Family.NULL:
                inner = _no_truth()
            return Value(Family.BOOLEAN, put("is null", inner.form, inner), checks=inner.checks)
        if not isinstance(what, exp.Boolean):
            raise UnspelledError("IS something else than NULL, TRUE or FALSE", "write x = y")
        inner = self._condition(node.this)
        name = "is true" if what.this else "is false"
        return Value(Family.BOOLEAN, put(name, Family.BOOLEAN, inner), checks=inner.checks)

    def _compared(self, node: exp.Expr) -> Value:
        name, turned = _COMPARED[type(node)]
        values = self._alike((node.this, node.expression))
        if name in ("=", "<>"):
            for inner, truth in (values, values[::-1]):
                if truth.truth is not None and inner.family is Family.BOOLEAN:  # x = true is x
                    return inner if truth.truth is (name == "=") else self._opposite(inner)
        return self._comparison(name, *(reversed(values) if turned else values))

    def _comparison(self, name: str, a: Value, b: Value) -> Value:
        checks = checks_of((a, b))
        if Family.NULL in (a.family, b.family):
            return replace(_no_truth(), checks=checks)
        return Value(Family.BOOLEAN, put(name, a.form, a, b), checks=checks)

    def _between(self, node: exp.Expr) -> Value:
        if node.args.get("symmetric"):
            raise UnspelledError("BETWEEN SYMMETRIC", "write the smaller bound first")
        what, low, high = self._alike((node.this, node.args["low"], node.args["high"]))
        sides = self._comparison("<=", low, what), self._comparison("<=", what, high)
        return Value(Family.BOOLEAN, put("and", Family.BOOLEAN, *sides), checks=checks_of(sides))

    def _in(self, node: exp.Expr) -> Value:
        what, *listed = self._alike((node.this, *node.expressions))
        return any_of([self._comparison("=", what, one) for one in listed])

    def _alike(self, nodes: Sequence[exp.Expr]) -> list[Value]:
        """Values of one kind; NULL stays NULL, and texts written out beside dates are dates."""
        values = [self.value(node) for node in nodes]
        families = {value.family for value in values if value.literal is None} & set(_DATED)
        if families:
            family = Family.TIME if Family.TIME in families else Family.DATE
            values = [calendar.moment(v.literal, family) if v.literal is not None else v for v in values]
        known = iter(alike([value for value in values if value.family is not Family.NULL]) if values else ())
        return [value if value.family is Family.NULL else next(known) for value in values]

    def _chosen(self, node: exp.Expr) -> Value:
        values = [v for v in self._alike((node.this, *node.expressions)) if v.family is not Family.NULL]
        return one_of(_CHOSEN[type(node)], values) if values else NULL

    def _one_sided(self, node: exp.Expr) -> Value:
        inner = self.value(node.this)
        if inner.family is Family.NULL:
            return inner
        if inner.family not in NUMBERS:
            raise UnspelledError(f"takes a number, not {inner.family}", "use a column of numbers")
        return one_sided("negative" if isinstance(node, exp.Neg) else "abs", inner)

    def _arithmetic(self, node: exp.Expr) -> Value:
        name = _ARITHMETIC[type(node)]
        left, right = (side.unnest() for side in (node.this, node.expression))
        if isinstance(left, exp.Interval) and name == "+":
            left, right = right, left
        if isinstance(right, exp.Interval):
            return self._moved(self.value(left), right, -1 if name == "-" else 1, name)
        a, b = self.value(left), self.value(right)
        if Family.NULL in (a.family, b.family):
            return NULL
        if a.family in NUMBERS and b.family in NUMBERS:
            return put_together(name, a, b)
        if name == "-" and a.family is b.family is Family.DATE:
            return calendar.difference("DAY", b, a)
        message = f"{a.family} {name} {b.family} has no exact form in every engine"
        raise UnspelledError(
            message, "add intervals to dates and times (x + interval 7 day), and take differences with date_diff"
        )

    def _moved(self, value: Value, interval: exp.Expr, sign: int, name: str) -> Value:
        if value.family is Family.NULL:
            return NULL
        if name not in ("+", "-") or value.family not in _DATED:
            raise UnspelledError(f"{value.family} {name} an interval", "add intervals to dates and times")
        return calendar.added(value, sign * _amount(interval), _unit(interval))

    def _of_period(self, node: exp.Expr) -> str:
        """What a time goes by that follows from the period alone, by intervals and truncations; empty if it does not."""
        node = node.unnest()
        if isinstance(node, exp.Column):
            return node.name if node.name in self.parameters else ""
        if isinstance(node, exp.TimestampTrunc):
            inner = self._of_period(node.this)
            return calendar.begun(inner, _unit(node)) if inner else ""
        if not isinstance(node, exp.Add | exp.Sub):
            return ""
        left, right = (side.unnest() for side in (node.this, node.expression))
        if isinstance(left, exp.Interval):
            left, right = right, left
        inner = self._of_period(left)
        if not (inner and isinstance(right, exp.Interval)):
            return ""
        return calendar.moved(inner, _amount(right) * (-1 if isinstance(node, exp.Sub) else 1), _unit(right))

    def _difference(self, node: exp.Expr) -> Value:
        sides = [self.value(side) for side in (node.expression, node.this)]
        if any(side.family is Family.NULL for side in sides):
            return NULL
        sides = [calendar.moment(side.literal, Family.TIME) if side.literal is not None else side for side in sides]
        self._dated(sides)
        return replace(calendar.difference(_unit(node), *sides), checks=checks_of(sides))

    def _truncated(self, node: exp.Expr) -> Value:
        inner = self.value(node.this)
        if inner.family is Family.NULL:
            return inner
        self._dated([inner])
        return calendar.truncated(_unit(node), inner)

    def _dated(self, values: Sequence[Value]) -> None:
        for value in values:
            if value.family not in _DATED:
                raise UnspelledError(f"takes dates and times, not {value.family}", "use a column of dates or times")


def _amount(interval: exp.Expr) -> int:
    """How many of its unit an interval is."""
    amount, sign = interval.this.unnest(), 1
    if isinstance(amount, exp.Neg):
        amount, sign = amount.this, -1
    try:
        number = Decimal(amount.name) if isinstance(amount, exp.Literal) else None
    except ArithmeticError:
        number = None
    if number is None or number != int(number) or abs(number) > 10**15:
        raise UnspelledError("an interval that is no whole number of its unit", "write interval 36 hour, not 1.5 day")
    return sign * int(number)


def _unit(node: exp.Expr) -> str:
    """The unit of time an expression names; days if it names none."""
    said = node.args.get("unit")
    unit = said.name.upper().removesuffix("S") if said is not None else "DAY"
    if unit not in calendar.LENGTHS and unit not in calendar.MONTHS:
        raise UnspelledError(
            f"unit {unit.lower()!r}", f"there are {', '.join((*calendar.LENGTHS, *calendar.MONTHS)).lower()}"
        )
    return unit
