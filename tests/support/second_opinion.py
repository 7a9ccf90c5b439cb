"""A second opinion on every KPI: definitions evaluated row by row in plain Python, with whole numbers and fractions, by nothing that qala computes with.

It knows what the guide to definitions says (docs/methodologist.md, kpi_definitions/model.py), not how the compiler says it. Times are whole
microseconds and days since 1970, so that years that `datetime` lacks and its rounding do not matter. For hundreds of rows, not for millions.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlglot import exp

from kpi_definitions.expressions import parse
from kpi_definitions.model import Kind, Kpi, Part, Rows
from warehouse.periods import Period

DAY = 86_400_000_000
Record = Mapping[str, Any]


class OutOfRangeError(Exception):
    """A whole number left the range of the type that the warehouse computes with."""


@dataclass(frozen=True, order=True)
class Moment:
    """Microseconds since 1970, civil time. A day is its first moment."""

    us: int
    is_day: bool = False

    @property
    def day(self) -> int:
        return self.us // DAY


@dataclass(frozen=True)
class Whole:
    """A whole number with the bits of its type, the sign's not counted: 31 for INTEGER, 63 for BIGINT."""

    n: int
    bits: int


@dataclass(frozen=True)
class Exact:
    """A decimal with the digits that its type has room for."""

    n: Fraction
    width: int
    scale: int


@dataclass(frozen=True)
class Span:
    months: int
    us: int


@dataclass(frozen=True)
class Parts:
    """Of one cell: numerator, denominator and sample as kept, None where there is none; or why there are none."""

    numerator: Fraction | float | None
    denominator: Fraction | None
    sample: int
    failed: bool = False


def read_value(value: Any, sql_type: str) -> Any:
    """A cell of the warehouse, as DuckDB's Python client gives it, in the terms of this module."""
    if isinstance(value, dt.datetime):
        since = value - dt.datetime.fromtimestamp(0, dt.UTC).replace(tzinfo=None)
        return Moment((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    if isinstance(value, dt.date):
        return first_moment(value)
    if isinstance(value, Decimal):
        width, scale = map(int, re.findall(r"\d+", sql_type))
        return Exact(Fraction(value), width, scale)
    if isinstance(value, int) and not isinstance(value, bool):
        return Whole(value, 63 if sql_type == "BIGINT" else 31)
    return value


def first_moment(day: dt.date) -> Moment:
    return Moment((day - dt.date(1970, 1, 1)).days * DAY, is_day=True)


def parts_of(kpi: Kpi, rows: Mapping[str, Iterable[Record]], registers: Iterable[str], period: Period) -> Parts:
    """The parts of one KPI over one period. `rows`: by table, those of one settlement, values from `read_value`; `registers`: the tables that are
    delivered as snapshots."""
    sides = {}
    for part in (kpi.numerator, kpi.denominator):
        if part is not None:
            chosen = part.rows or kpi.rows
            bounds = _bounds(period)
            inside = [row for row in rows[chosen.table] if _falls_into(row, chosen, chosen.table in registers, bounds)]
            sides[id(part)] = [{**row, **bounds} for row in inside]
    above = sides[id(kpi.numerator)]
    own = (kpi.numerator.rows or kpi.rows).filter
    try:
        if kpi.kind in (Kind.MEAN, Kind.QUANTILE):
            values = _values(kpi.numerator, own, above)
            if kpi.kind is Kind.QUANTILE:
                return Parts(_quantile(kpi.numerator, values), None, len(values))
            return Parts(_sum(values), Fraction(len(values)) if above else None, len(values))
        assert kpi.denominator is not None
        below = sides[id(kpi.denominator)]
        sample = sum(_holds(own, row) for row in above)
        bottom = _aggregate(kpi.denominator, (kpi.denominator.rows or kpi.rows).filter, below)
        return Parts(_aggregate(kpi.numerator, own, above), bottom, sample)
    except OutOfRangeError:
        return Parts(None, None, 0, failed=True)


def _bounds(period: Period) -> dict[str, Moment]:
    start, end = first_moment(period.start), first_moment(period.end)
    return {"period_start": Moment(start.us), "period_end": Moment(end.us), "period_end_population_date": end}


def _falls_into(row: Record, rows: Rows, register: bool, bounds: Mapping[str, Moment]) -> bool:
    start, end = bounds["period_start"].us, bounds["period_end"].us
    if register and row["snapshot_date"].us != end:
        return False
    if rows.event:
        return row[rows.event] is not None and start <= row[rows.event].us < end
    if rows.as_of:
        return row[rows.as_of] is not None and row[rows.as_of].us == end
    force = rows.stock or rows.during
    assert force is not None
    since, until = row[force.start], row[force.end]
    if since is None or since.us >= end:
        return False
    return until is None or (until.us >= end if rows.stock else until.us > start)


def _holds(condition: str | None, row: Record) -> bool:
    return condition is None or evaluate(parse(condition, ()), row) is True


def _values(part: Part, own: str | None, rows: Iterable[Record]) -> list[Any]:
    """The values an aggregate takes in. What leaves its range anywhere fails the cell in any row, taken in or not."""
    argument = parse(part.aggregate, ()).this
    if isinstance(argument, exp.Distinct):
        argument = argument.expressions[0]
    counted = isinstance(argument, exp.Star)
    found = [(1 if counted else evaluate(argument, row), _holds(own, row), _holds(part.filter, row)) for row in rows]
    return [value for value, *holding in found if value is not None and all(holding)]


def _aggregate(part: Part, own: str | None, rows: Sequence[Record]) -> Fraction | None:
    tree, values = parse(part.aggregate, ()), _values(part, own, rows)
    if isinstance(tree, exp.Count):
        number = len(set(values)) if isinstance(tree.this, exp.Distinct) else len(values)
        return Fraction(number) if rows else None
    return _sum(values) if isinstance(tree, exp.Sum) else max(map(_fraction, values), default=None)


def _sum(values: Sequence[Any]) -> Fraction | None:
    return sum(map(_fraction, values), Fraction(0)) if values else None


def _fraction(value: Any) -> Fraction:
    return Fraction(value.n if isinstance(value, Whole | Exact) else value)


def _quantile(part: Part, values: Sequence[Any]) -> float | None:
    """Between the two values around the place a share of the way from first to last."""
    tree = parse(part.aggregate, ())
    share = 0.5 if isinstance(tree, exp.Median) else float(next(tree.find_all(exp.Literal, bfs=True)).name)
    levels = [node for node in tree.iter_expressions() if node is not tree.this and isinstance(node, exp.Literal)]
    share = float(levels[0].name) if levels else share
    ordered = sorted((_double(value) for value in values), key=lambda value: (math.isnan(value), value))
    if not ordered:
        return None
    place = (len(ordered) - 1) * share
    low, high, between = ordered[math.floor(place)], ordered[math.ceil(place)], place - math.floor(place)
    return low * (1 - between) + high * between


def _double(value: Any) -> float:
    return float(value.n if isinstance(value, Whole | Exact) else value)


def evaluate(tree: exp.Expr, row: Record) -> Any:
    """The value of an expression over one row: None, bool, str, Whole, Exact, float, Moment or Span. Raises OutOfRangeError."""
    if isinstance(tree, exp.Paren):
        return evaluate(tree.this, row)
    if isinstance(tree, exp.Column):
        return row[tree.name]
    if isinstance(tree, exp.Literal):
        if tree.is_string:
            return tree.name
        number = Decimal(tree.name)
        if "." in tree.name:
            digits = tree.name.replace(".", "").lstrip("0")
            scale = len(tree.name.partition(".")[2])
            return Exact(Fraction(number), max(len(digits), scale), scale)
        return Whole(int(number), 31 if abs(number) < 2**31 else 63)
    if isinstance(tree, exp.Null):
        return None
    if isinstance(tree, exp.Boolean):
        return bool(tree.this)
    return _OPERATIONS[type(tree)](tree, row)


def _and(tree: exp.Expr, row: Record) -> bool | None:
    return _all([evaluate(tree.this, row), evaluate(tree.expression, row)])


def _all(sides: Iterable[bool | None]) -> bool | None:
    found = list(sides)
    return False if False in found else None if None in found else True


def _or(tree: exp.Expr, row: Record) -> bool | None:
    return _any([evaluate(tree.this, row), evaluate(tree.expression, row)])


def _any(sides: Iterable[bool | None]) -> bool | None:
    found = list(sides)
    return True if True in found else None if None in found else False


def _not(tree: exp.Expr, row: Record) -> bool | None:
    value = evaluate(tree.this, row)
    return None if value is None else not value


def _comparison(compare: Callable[[Any, Any], bool]) -> Callable[[exp.Expr, Record], bool | None]:
    return lambda tree, row: _compare(compare, evaluate(tree.this, row), evaluate(tree.expression, row))


def _compare(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if isinstance(left, float) or isinstance(right, float):
        return compare(*((math.isnan(one), 0 if math.isnan(one) else one) for one in (_double(left), _double(right))))
    return compare(_comparable(left), _comparable(right))


def _comparable(value: Any) -> Any:
    """Numbers as fractions, times as microseconds, text as its bytes."""
    if isinstance(value, Whole | Exact):
        return Fraction(value.n)
    if isinstance(value, Moment):
        return value.us
    return value.encode() if isinstance(value, str) else value


def _between(tree: exp.Expr, row: Record) -> bool | None:
    value = evaluate(tree.this, row)
    low, high = (evaluate(tree.args[side], row) for side in ("low", "high"))
    return _all([_compare(operator.ge, value, low), _compare(operator.le, value, high)])


def _in(tree: exp.Expr, row: Record) -> bool | None:
    value = evaluate(tree.this, row)
    return _any(_compare(operator.eq, value, evaluate(one, row)) for one in tree.expressions)


def _is(tree: exp.Expr, row: Record) -> bool:
    value, asked = evaluate(tree.this, row), tree.expression
    return value is None if isinstance(asked, exp.Null) else value is bool(asked.this)


def _calculation(calculate: Callable[[Any, Any], Any]) -> Callable[[exp.Expr, Record], Any]:
    def calculated(tree: exp.Expr, row: Record) -> Any:
        left, right = evaluate(tree.this, row), evaluate(tree.expression, row)
        if left is None or right is None:
            return None
        if isinstance(left, Moment) or isinstance(right, Moment):
            return _moved(left, right, calculate is operator.sub)
        if isinstance(left, float) or isinstance(right, float):
            return calculate(_double(left), _double(right))
        if isinstance(left, Whole) and isinstance(right, Whole):
            return _whole(calculate(left.n, right.n), max(left.bits, right.bits))
        return _exact(calculate, _as_exact(left), _as_exact(right))

    return calculated


def _as_exact(value: Whole | Exact) -> Exact:
    return value if isinstance(value, Exact) else Exact(Fraction(value.n), 10 if value.bits == 31 else 19, 0)


def _exact(calculate: Callable[[Any, Any], Any], left: Exact, right: Exact) -> Exact:
    """Of decimals that fit 18 digits the result has to as well, as DuckDB has it."""
    scale = left.scale + right.scale if calculate is operator.mul else max(left.scale, right.scale)
    width = (
        left.width + right.width
        if calculate is operator.mul
        else max(left.width - left.scale, right.width - right.scale) + scale + 1
    )
    limit = 18 if width > 18 >= max(left.width, right.width) and (calculate is not operator.mul or scale < 18) else 38
    return _fitting(Exact(calculate(left.n, right.n), min(width, limit), scale))


def _fitting(value: Exact) -> Exact:
    if abs(value.n) * 10**value.scale >= 10**value.width:
        raise OutOfRangeError
    return value


def _whole(number: int, bits: int) -> Whole:
    if not -(2**bits) <= number < 2**bits:
        raise OutOfRangeError
    return Whole(number, bits)


def _moved(left: Any, right: Any, back: bool) -> Any:
    """A time moved by an interval or a whole number of days, or the days between two."""
    if isinstance(left, Moment) and isinstance(right, Moment):
        assert back
        assert left.is_day
        assert right.is_day
        return Whole(left.day - right.day, 63)
    moment, by = (left, right) if isinstance(left, Moment) else (right, left)
    sign = -1 if back else 1
    if isinstance(by, Whole):
        return Moment(moment.us + sign * by.n * DAY, is_day=True)
    return Moment(_later(moment.us, sign * by.months) + sign * by.us)


def _later(us: int, months: int) -> int:
    """So many months later, on the last day of a month that is too short."""
    if not months:
        return us
    year, month, day = civil(us // DAY)
    number = year * 12 + month - 1 + months
    first, following = days_from_civil(number // 12, number % 12 + 1), number + 1
    length = days_from_civil(following // 12, following % 12 + 1) - first
    return (first + min(day, length) - 1) * DAY + us % DAY


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of days since 1970, in the Gregorian calendar without beginning or end."""
    days += 719_468
    era, of_era = days // 146_097, days % 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def days_from_civil(year: int, month: int) -> int:
    """Days since 1970 of the first of a month."""
    year -= month <= 2
    era, of_era = year // 400, year % 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _divide(tree: exp.Expr, row: Record) -> float | None:
    """As IEEE 754 has it: by zero, infinity or no number. That equals itself and is above all others."""
    left, right = evaluate(tree.this, row), evaluate(tree.expression, row)
    if left is None or right is None:
        return None
    above, below = _double(left), _double(right)
    if below:
        return above / below
    return math.nan if not above or math.isnan(above) else math.copysign(math.inf, above) * math.copysign(1, below)


def _negative(tree: exp.Expr, row: Record) -> Any:
    value = evaluate(tree.this, row)
    return _signed(value, operator.neg)


def _absolute(tree: exp.Expr, row: Record) -> Any:
    value = evaluate(tree.this, row)
    return _signed(value, abs)


def _signed(value: Any, sign: Callable[[Any], Any]) -> Any:
    if isinstance(value, Whole):
        return _whole(sign(value.n), value.bits)
    if isinstance(value, Exact):
        return replace(value, n=sign(value.n))
    return None if value is None else sign(value)


def _operands(tree: exp.Expr, row: Record) -> Iterator[Any]:
    for operand in tree.iter_expressions():
        if (value := evaluate(operand, row)) is not None:
            yield value


def _coalesce(tree: exp.Expr, row: Record) -> Any:
    return next(_operands(tree, row), None)


def _extreme(choose: Callable[..., Any]) -> Callable[[exp.Expr, Record], Any]:
    return lambda tree, row: choose(_operands(tree, row), key=_comparable, default=None)


_UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 10**6,
    "MINUTE": 60 * 10**6,
    "HOUR": 3_600 * 10**6,
    "DAY": DAY,
    "WEEK": 7 * DAY,
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _unit(tree: exp.Expr) -> str:
    return str(tree.args["unit"].name).upper().removesuffix("S")


def _interval(tree: exp.Expr, row: Record) -> Span:
    unit = _unit(tree)
    number = int(tree.this.name if isinstance(tree.this, exp.Literal) else evaluate(tree.this, row).n)
    return Span(number * _MONTHS[unit], 0) if unit in _MONTHS else Span(0, number * _UNITS[unit])


def _step(unit: str, us: int) -> int:
    """The number of the unit that a moment lies in: of the day since 1970, of the week from Monday, of the month since year 0."""
    if unit in _MONTHS:
        year, month, _ = civil(us // DAY)
        return (year * 12 + month - 1) // _MONTHS[unit]
    return (us + 3 * DAY if unit == "WEEK" else us) // _UNITS[unit]  # 1970 began on a Thursday


def _difference(tree: exp.Expr, row: Record) -> Whole | None:
    """How many borders of the unit lie between two times, and of weeks how many whole ones between their days: DATE_DIFF(unit, expression, this)."""
    end, start = evaluate(tree.this, row), evaluate(tree.expression, row)
    if start is None or end is None:
        return None
    if _unit(tree) == "WEEK":
        return Whole(math.trunc(Fraction(end.day - start.day, 7)), 63)
    return Whole(_step(_unit(tree), end.us) - _step(_unit(tree), start.us), 63)


def _truncated(tree: exp.Expr, row: Record) -> Moment | None:
    moment, unit = evaluate(tree.this, row), _unit(tree)
    if moment is None:
        return None
    number = _step(unit, moment.us)
    if unit in _MONTHS:
        months = number * _MONTHS[unit]
        return Moment(days_from_civil(months // 12, months % 12 + 1) * DAY)
    return Moment(number * _UNITS[unit] - (3 * DAY if unit == "WEEK" else 0))


_OPERATIONS: Mapping[type[exp.Expr], Callable[[exp.Expr, Record], Any]] = {
    exp.And: _and, exp.Or: _or, exp.Not: _not, exp.Between: _between, exp.In: _in, exp.Is: _is,
    exp.EQ: _comparison(operator.eq), exp.NEQ: _comparison(operator.ne), exp.LT: _comparison(operator.lt), exp.LTE: _comparison(operator.le),
    exp.GT: _comparison(operator.gt), exp.GTE: _comparison(operator.ge), exp.Add: _calculation(operator.add), exp.Sub: _calculation(operator.sub),
    exp.Mul: _calculation(operator.mul), exp.Div: _divide, exp.Neg: _negative, exp.Abs: _absolute, exp.Coalesce: _coalesce,
    exp.Greatest: _extreme(max), exp.Least: _extreme(min), exp.Interval: _interval, exp.DateDiff: _difference, exp.TimestampTrunc: _truncated,
}  # fmt: skip
