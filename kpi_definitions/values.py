"""A value as every engine writes it, with what is known of it before any row is read: its kind, its bounds, how DuckDB would keep it.

Here numbers are made alike and put together so that no engine rounds, wraps or fails on its way; where DuckDB would fail with an overflow,
a condition is kept that finds such rows. Does not belong here: expressions (spelling.py), and how a function is written (functions.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from kpi_definitions.expressions import ExpressionError
from kpi_definitions.functions import Family, Said, functions

NUMBERS = (Family.WHOLE, Family.DECIMAL, Family.DOUBLE)
MOST_DIGITS = 38  # of a decimal, in every engine
EXACT_DIGITS, LONG_DIGITS = 15, 18  # that a double holds in any case; that a whole number of 64 bits does
INT, BIGINT = 32, 64  # bits in which DuckDB keeps whole numbers
_DIGITS = {INT: 10, BIGINT: 19}  # of the decimal that DuckDB makes of them
DAY = 86_400_000_000  # microseconds
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # of the years 0001 to 9999, counted from 1970-01-01


class UnspelledError(Exception):
    """There is no exact form; message and remedy."""

    def __init__(self, message: str, remedy: str):
        self.message, self.remedy = message, remedy
        super().__init__(message, remedy)


class SpellingError(ExpressionError):
    """An expression is on the list, and an engine has no exact form of it."""


@dataclass(frozen=True)
class Value:
    """An expression written for every engine. Bounds are counted in steps of the last decimal, in days, or in microseconds."""

    family: Family
    said: tuple[Said, ...] = ()  # by dialect
    low: int = 0
    high: int = 0
    scale: int = 0  # decimals
    width: int = 0  # what DuckDB keeps it in: bits of a whole number, digits of a decimal
    wide: bool = False  # a whole number written as a decimal without decimals
    checks: tuple[tuple[Said, ...], ...] = ()  # conditions: DuckDB would fail at this row
    literal: str | None = None  # a text written out
    truth: bool | None = None  # true or false, written out

    @property
    def form(self) -> Family:
        """The family whose functions it is written with."""
        return Family.DECIMAL if self.wide else self.family

    @property
    def digits(self) -> int:
        return max(len(str(max(abs(self.low), abs(self.high)))), self.scale, 1)

    @property
    def room(self) -> tuple[int, int]:
        """What DuckDB has room for where it keeps it."""
        if self.family is Family.WHOLE:
            return -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        return -(10**self.width) + 1, 10**self.width - 1

    @property
    def outgrown(self) -> bool:
        if self.family not in (Family.WHOLE, Family.DECIMAL):
            return False
        return not (self.room[0] <= self.low and self.high <= self.room[1])


NULL = Value(Family.NULL)


def put(name: str, family: Family, *arguments: Value, **numbers: object) -> tuple[Said, ...]:
    """The function of the list put to values. Raises UnspelledError if the list has none."""
    function = functions().get((name, family))
    if function is None:
        raise UnspelledError(
            f"{name!r} of {family} is not on the list of functions", "use what docs/reference/functions.md lists"
        )
    return function.written([a.said for a in arguments], **numbers)


def checks_of(values: Iterable[Value]) -> tuple[tuple[Said, ...], ...]:
    """What is to be checked of all of them, each once."""
    return tuple(dict.fromkeys(check for value in values for check in value.checks))


def column(name: str, sql_type: str) -> Value:
    """A column of a table by its SQL type. Raises UnspelledError for a type that numbers are not computed with."""
    plain = sql_type.upper().replace(" ", "")
    known = {
        "VARCHAR": Value(Family.TEXT),
        "BOOLEAN": Value(Family.BOOLEAN),
        "INTEGER": Value(Family.WHOLE, low=-(2**31), high=2**31 - 1, width=INT),
        "BIGINT": Value(Family.WHOLE, low=-(2**63), high=2**63 - 1, width=BIGINT),
        "DATE": Value(Family.DATE, low=FIRST_DAY, high=LAST_DAY),
        "TIMESTAMP": Value(Family.TIME, low=FIRST_DAY * DAY, high=(LAST_DAY + 1) * DAY - 1),
    }
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", plain):
        width, scale = int(decimal[1]), int(decimal[2])
        most = int(10**width - 1)
        found = Value(Family.DECIMAL, low=-most, high=most, scale=scale, width=width)
    elif plain in known:
        found = known[plain]
    else:
        raise UnspelledError(f"{name} is {sql_type}, which not every engine has", "use BIGINT or DECIMAL(p,s)")
    return replace(found, said=put("column", found.family, NAME=name.replace("`", "``"), SCALE=found.scale))


def whole(number: int) -> Value:
    """A whole number written out."""
    width = next((w for w in (INT, BIGINT) if -(2 ** (w - 1)) <= number < 2 ** (w - 1)), None)
    if width is None:
        raise UnspelledError(f"{number} is beyond BIGINT", "write a smaller number, or one with decimals")
    return Value(Family.WHOLE, put("literal", Family.WHOLE, N=number), number, number, width=width)


def decimal(steps: int, width: int, scale: int) -> Value:
    """A decimal number written out: so many steps of 10^-scale."""
    if max(width, scale) > MOST_DIGITS:
        raise UnspelledError("a number of more than 38 digits", "write a shorter one")
    plain = f"{Decimal(steps).scaleb(-scale):f}"
    said = put("literal", Family.DECIMAL, PLAIN=plain, SCALE=scale, WIDTH=max(width, 1))
    return Value(Family.DECIMAL, said, steps, steps, scale, max(width, 1))


def double(text: str) -> Value:
    """A number with an exponent, written out: a quotient of two whole numbers that doubles hold exactly."""
    sign, figures, exponent = Decimal(text).normalize().as_tuple()
    top, power = int("".join(map(str, figures)) or "0"), int(exponent)
    top *= 10 ** max(power, 0)
    if top > 2**53 or power < -LONG_DIGITS:
        raise UnspelledError(
            f"{text} is not made exactly of two whole numbers", "write at most 15 digits, without an exponent"
        )
    said = put("literal", Family.DOUBLE, PLAIN=text, TOP=-top if sign else top, BOTTOM=10 ** max(-power, 0))
    return Value(Family.DOUBLE, said, low=int(top != 0), high=1)


def kept(value: Value) -> Value:
    """It, or another number where DuckDB has no room for it: such a row is counted, and its cell fails."""
    if not value.outgrown:
        return value
    low, high = value.room
    said = put("within", value.form, value, *_limits(value), WIDTH=len(str(high)), SCALE=value.scale)
    if value.form is Family.DECIMAL and value.family is Family.WHOLE:  # small enough for a whole number again
        said = put("narrow", Family.DECIMAL, replace(value, said=said))
    return replace(value, said=said, low=low, high=high, wide=False)


def checked(value: Value) -> Value:
    """It, with a condition that finds rows in which DuckDB has no room for it."""
    if not value.outgrown:
        return value
    return replace(value, checks=(*value.checks, put("outside", value.form, value, *_limits(value))))


def _limits(value: Value) -> tuple[Value, Value]:
    low, high = value.room
    if value.form is Family.DECIMAL:
        width = len(str(high))
        return decimal(low, width, value.scale), decimal(high, width, value.scale)
    return whole(low), whole(high)


def as_decimal(value: Value, scale: int) -> Value:
    """A number with so many decimals, at least as many as it has."""
    added = scale - value.scale
    low, high = value.low * 10**added, value.high * 10**added
    if (value.form is Family.DECIMAL) and not added:
        return value
    width = (_DIGITS[value.width] if value.family is Family.WHOLE else value.width) + added
    found = replace(value, low=low, high=high, scale=scale, width=min(width, MOST_DIGITS))
    if found.digits > MOST_DIGITS:
        raise UnspelledError("needs more than 38 digits", "use columns of fewer digits or decimals")
    said = put("as DECIMAL", value.form, value, WIDTH=found.digits, SCALE=scale)
    if value.family is Family.WHOLE and not scale:
        return replace(value, said=said, wide=True)
    return replace(found, family=Family.DECIMAL, said=said, wide=False)


def as_double(value: Value) -> Value:
    if value.family is Family.DOUBLE:
        return value
    value = kept(value)
    if value.wide:
        value = replace(value, said=put("narrow", Family.DECIMAL, value), wide=False)
    nonzero = int(value.low == value.high != 0)
    if value.family is Family.WHOLE:
        return Value(Family.DOUBLE, put("as DOUBLE", Family.WHOLE, value), nonzero, 1, checks=value.checks)
    if value.digits > LONG_DIGITS:
        raise UnspelledError(
            f"a decimal of {value.digits} digits is divided, or stands beside a quotient", "at most 18 digits can be"
        )
    steps = put("steps", Family.DECIMAL, value, POWER=10**value.scale, WIDTH=value.scale + 1)
    name = "as DOUBLE" if value.digits <= EXACT_DIGITS else "as DOUBLE in two"
    numbers = [{"STEPS": said.value} for said in steps]
    found = tuple(
        put(name, Family.DECIMAL, value, POWER=10**value.scale, **one)[number] for number, one in enumerate(numbers)
    )
    return Value(Family.DOUBLE, found, nonzero, 1, checks=value.checks)


def as_time(value: Value) -> Value:
    if value.family is Family.TIME:
        return value
    said = put("as TIME", value.family, value)
    return replace(value, family=Family.TIME, said=said, low=value.low * DAY, high=value.high * DAY)


def alike(values: Sequence[Value]) -> list[Value]:
    """Values made of one kind, as DuckDB does before it compares them or takes one of them; none of them is NULL written out."""
    found = {value.family for value in values}
    if Family.DOUBLE in found and found <= set(NUMBERS):
        return [as_double(value) for value in values]
    if found <= set(NUMBERS):
        if Family.DECIMAL in found or any(value.wide for value in values):
            scale = max(value.scale for value in values)
            return [as_decimal(value, scale) for value in values]
        return list(values)
    if found == {Family.DATE, Family.TIME}:
        return [as_time(value) for value in values]
    if len(found) > 1:
        raise UnspelledError(f"puts {' and '.join(sorted(found))} beside each other", "compare values of one kind")
    return list(values)


def put_together(name: str, a: Value, b: Value) -> Value:
    """`+`, `-`, `*` or `/` of two numbers, as DuckDB types it."""
    checks = checks_of((a, b))
    if name == "/" or Family.DOUBLE in (a.family, b.family):
        a, b = as_double(a), as_double(b)
        constant = name == "/" and b.low == 1
        return Value(Family.DOUBLE, put("/ constant" if constant else name, Family.DOUBLE, a, b), 0, 1, checks=checks)
    if not _fits(name, a, b):
        a, b = kept(a), kept(b)
    if not _fits(name, a, b):
        raise UnspelledError("needs more than 38 digits on its way", "use columns of fewer digits or decimals")
    both_whole = Family.DECIMAL not in (a.family, b.family)
    width = max(a.width, b.width) if both_whole else _decimal_width(name, a, b)
    if not both_whole and name != "*":
        a, b = (as_decimal(one, max(a.scale, b.scale)) for one in (a, b))
    low, high = _bounds(name, a, b)
    found = Value(Family.WHOLE if both_whole else Family.DECIMAL, (), low, high, width=width, checks=checks)
    found = replace(found, scale=a.scale + b.scale if name == "*" else a.scale)
    if both_whole and not (a.wide or b.wide) and low >= -(2**63) and high < 2**63:
        return checked(replace(found, said=put(name, Family.WHOLE, a, b)))
    a, b = (one if one.form is Family.DECIMAL else as_decimal(one, one.scale) for one in (a, b))
    said = put(name, Family.DECIMAL, a, b, WIDTH=found.digits, SCALE=found.scale)
    return checked(replace(found, said=said, wide=both_whole))


def _bounds(name: str, a: Value, b: Value) -> tuple[int, int]:
    if name == "+":
        return a.low + b.low, a.high + b.high
    if name == "-":
        return a.low - b.high, a.high - b.low
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(corners), max(corners)


def _fits(name: str, a: Value, b: Value) -> bool:
    """No engine has to round: Spark gives decimals up where digits would not suffice for the largest number there could be."""
    scale = a.scale + b.scale if name == "*" else max(a.scale, b.scale)
    if name != "*":
        a, b = (
            replace(one, low=one.low * 10 ** (scale - one.scale), high=one.high * 10 ** (scale - one.scale))
            for one in (a, b)
        )
        needed = max(a.digits, b.digits) + 1
    else:
        needed = a.digits + b.digits + 1
    low, high = _bounds(name, a, b)
    return (
        max(len(str(abs(low))), len(str(abs(high)))) <= MOST_DIGITS
        and (needed <= MOST_DIGITS or not scale)
        and scale <= MOST_DIGITS
    )


def _decimal_width(name: str, a: Value, b: Value) -> int:
    """Digits in which DuckDB keeps the sum, difference or product of two numbers."""
    first, second = (_DIGITS[one.width] if one.family is Family.WHOLE else one.width for one in (a, b))
    if name == "*":
        found, scale = first + second, a.scale + b.scale
        return (
            LONG_DIGITS
            if found > LONG_DIGITS >= max(first, second) and scale < LONG_DIGITS
            else min(found, MOST_DIGITS)
        )
    over = max(first - a.scale, second - b.scale)
    return min(max(max(a.scale, b.scale) + over, first, second) + 1, MOST_DIGITS)


def one_sided(name: str, value: Value) -> Value:
    """`negative` or `abs` of a number."""
    if value.family is Family.DOUBLE:
        return replace(value, said=put(name, Family.DOUBLE, value))
    low, high = -value.high, -value.low
    if name == "abs":
        low, high = (
            0 if value.low <= 0 <= value.high else min(abs(value.low), abs(value.high)),
            max(abs(value.low), abs(value.high)),
        )
    if not value.wide and value.family is Family.WHOLE and high >= 2**63:
        value = as_decimal(value, 0)
    return checked(replace(value, said=put(name, value.form, value), low=low, high=high))


def one_of(name: str, values: Sequence[Value]) -> Value:
    """`coalesce`, `greatest` or `least` of values that are alike."""
    low, high, width = min(v.low for v in values), max(v.high for v in values), max(v.width for v in values)
    first = replace(values[0], low=low, high=high, width=width, checks=checks_of(values), literal=None, truth=None)
    if first.form is Family.DECIMAL:  # written with the same digits, or Spark finds a kind of its own for them
        values = [_as_digits(one, first.digits) for one in values]
    if name == "coalesce":
        return replace(first, said=put(name, first.form, *values), checks=_checks_in_turn(values))
    return replace(first, said=_folded(name, first.form, values).said)


def _checks_in_turn(values: Sequence[Value]) -> tuple[tuple[Said, ...], ...]:
    """What is to be checked of values of which each is looked at where all before it are NULL."""
    found = list(values[0].checks)
    unset: Value | None = None
    for before, value in pairwise(values):
        empty = Value(Family.BOOLEAN, put("is null", before.form, before))
        unset = empty if unset is None else replace(unset, said=put("and", Family.BOOLEAN, unset, empty))
        found += [put("and", Family.BOOLEAN, unset, Value(Family.BOOLEAN, check)) for check in value.checks]
    return tuple(dict.fromkeys(found))


def _as_digits(value: Value, digits: int) -> Value:
    return replace(value, said=put("as DECIMAL", Family.DECIMAL, value, WIDTH=digits, SCALE=value.scale))


def _folded(name: str, family: Family, values: Sequence[Value]) -> Value:
    """A function of two, put to many: halves of halves, so that no text grows too deep."""
    if len(values) == 1:
        return values[0]
    middle = len(values) // 2
    halves = _folded(name, family, values[:middle]), _folded(name, family, values[middle:])
    return replace(values[0], said=put(name, family, *halves))


def any_of(conditions: Sequence[Value]) -> Value:
    """Whether one of several conditions holds."""
    return replace(_folded("or", Family.BOOLEAN, conditions), checks=checks_of(conditions))


def parameters(types: Mapping[str, str]) -> dict[str, Value]:
    """What is told of the period, by name: an engine's SQL has a mark in its place (`mark`)."""
    found = {}
    for name, sql_type in types.items():
        value = column(name, sql_type)
        text = mark(name)
        found[name] = replace(value, said=(Said(f"c.{name}"), Said(text), Said(text)))
    return found


def mark(name: str) -> str:
    """Stands for a parameter until a scan says it; no expression can hold it."""
    return f"\x01{name}\x01"


def marked(sql: str) -> list[str]:
    """What marks stand for in a text, each once."""
    return list(dict.fromkeys(re.findall("\x01([^\x01]+)\x01", sql)))
