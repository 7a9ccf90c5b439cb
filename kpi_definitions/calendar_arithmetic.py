"""Dates and times as every engine writes them: lengths, months and years, in whole numbers alone.

DuckDB reckons with a calendar; other engines' own calendars end in other years, depend on a time zone, or count otherwise. Does not belong
here: numbers (values.py).
"""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import replace

from kpi_definitions.functions import Family, Said
from kpi_definitions.values import BIGINT, DAY, UnspelledError, Value, as_time, put

OFFSET_DAYS = 1_460_970  # ten Gregorian cycles of 400 years, of whole weeks: nothing is below zero where it is divided
OFFSET = OFFSET_DAYS * DAY
LENGTHS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": DAY,
    "WEEK": 7 * DAY,
}
MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_MONDAY = 3 * DAY  # from a Monday to Thursday 1970-01-01
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  civil time, without a zone


def moment(text: str, family: Family) -> Value:
    """A date or a time written out in quotes. Raises UnspelledError if it is none, or a time beside dates."""
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2})([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", text)
    try:
        time = dt.datetime.fromisoformat(text) if found else None
    except ValueError:
        time = None
    if time is None:
        raise UnspelledError(
            f"{text!r} stands beside a date and is none", "write '2026-01-31' or '2026-01-31 08:00:00'"
        )
    passed = time - _EPOCH
    if family is Family.DATE:
        if found and found[2]:
            raise UnspelledError(f"{text!r} stands beside a day", "write '2026-01-31'")
        said = put("literal", Family.DATE, N=passed.days, PLAIN=text)
        return Value(Family.DATE, said, passed.days, passed.days)
    number = passed // dt.timedelta(microseconds=1)
    return Value(Family.TIME, put("literal", Family.TIME, N=number, PLAIN=text.replace("T", " ")), number, number)


def added(value: Value, amount: int, unit: str) -> Value:
    """So many units after a date or a time: a time. Months, quarters and years keep the day of the month, or take its last."""
    value = as_time(value)
    if unit in LENGTHS:
        micros = amount * LENGTHS[unit]
        said = put("add length", Family.TIME, value, MICROS=micros, AMOUNT=amount, UNIT=unit)
        return _in_reach(replace(value, said=said, low=value.low + micros, high=value.high + micros))
    months = amount * MONTHS[unit]
    days = _days(value)
    first, following = (_first_day(_shifted(_months(days), months + more)) for more in (0, 1))
    day = replace(days, said=_steps(days, "day of month"))
    said = put("add months", Family.TIME, value, first, following, day, days, AMOUNT=amount, UNIT=unit)
    shift = months * 31 * DAY
    low, high = value.low + min(shift, 0) - DAY, value.high + max(shift, 0) + DAY
    return _in_reach(replace(value, said=said, low=low, high=high))


def reckoned(name: str, known: Mapping[str, int]) -> int:
    """Microseconds since 1970 of a time that follows from the period alone, by its name (`moved`, `begun`). `known`: those of the parameters."""
    parameter, *steps = name.split(";")
    try:
        time = _EPOCH + dt.timedelta(microseconds=known[parameter])
        for step in steps:
            time = _stepped(time, step)
    except (OverflowError, ValueError):
        raise UnspelledError("leaves the years 1 to 9999", "take a shorter interval") from None
    return (time - _EPOCH) // dt.timedelta(microseconds=1)


def moved(name: str, amount: int, unit: str) -> str:
    return f"{name};{amount} {unit}"


def begun(name: str, unit: str) -> str:
    return f"{name};{unit}"


def _stepped(time: dt.datetime, step: str) -> dt.datetime:
    amount, _, unit = step.rpartition(" ")
    if amount and unit in LENGTHS:
        return time + dt.timedelta(microseconds=int(amount) * LENGTHS[unit])
    months = time.year * 12 + time.month - 1
    if amount:
        months += int(amount) * MONTHS[unit]
        longest = monthrange(months // 12, months % 12 + 1)[1]
        return time.replace(year=months // 12, month=months % 12 + 1, day=min(time.day, longest))
    if unit in LENGTHS:
        since = (time - _EPOCH) // dt.timedelta(microseconds=1) + (_MONDAY if unit == "WEEK" else 0)
        return time - dt.timedelta(microseconds=since % LENGTHS[unit])
    first = months - months % MONTHS[unit]
    return dt.datetime(first // 12, first % 12 + 1, 1)  # noqa: DTZ001


def difference(unit: str, first: Value, last: Value) -> Value:
    """How many borders of a unit lie between two dates or times."""
    if unit in MONTHS:
        counted = (_months(_days(_in_reach(one))) for one in (first, last))
        said = put("difference in months", Family.WHOLE, *counted, MONTHS=MONTHS[unit], UNIT=unit.lower())
        return _counted(said, first, last, 28 * MONTHS[unit] * DAY)
    if unit in ("DAY", "WEEK"):
        said = put(f"difference in {unit.lower()}s", Family.DATE, *(_days(one) for one in (first, last)))
        return _counted(said, first, last, LENGTHS[unit])
    first, last = as_time(_in_reach(first)), as_time(_in_reach(last))
    if unit == "MICROSECOND":
        return _counted(put("difference in microseconds", Family.TIME, first, last), first, last, 1)
    said = put("difference", Family.TIME, first, last, OFFSET=OFFSET, MICROS=LENGTHS[unit], UNIT=unit.lower())
    return _counted(said, first, last, LENGTHS[unit])


def truncated(unit: str, value: Value) -> Value:
    """The beginning of the unit in which a date or a time lies: a time."""
    given, value = value, as_time(_in_reach(value))
    low, high = value.low - 366 * DAY, value.high
    if unit in LENGTHS:
        shift = OFFSET + (_MONDAY if unit == "WEEK" else 0)
        said = put("truncated", Family.TIME, value, SHIFT=shift, MICROS=LENGTHS[unit], UNIT=unit.lower())
    else:
        month = _months(_days(given))
        month = replace(month, said=put("first of several months", Family.WHOLE, month, MONTHS=MONTHS[unit]))
        said = put("truncated to months", Family.TIME, value, _first_day(month), UNIT=unit.lower())
    return replace(value, said=said, low=low, high=high)


def _counted(said: tuple[Said, ...], first: Value, last: Value, length: int) -> Value:
    first, last = as_time(first), as_time(last)
    low, high = (last.low - first.high) // length - 1, (last.high - first.low) // length + 1
    if length == 1:
        low, high = low + 1, high - 1
    return Value(Family.WHOLE, said, low, high, width=BIGINT)


def _days(value: Value) -> Value:
    if value.family is Family.DATE:
        return _in_reach(value)
    _in_reach(value)
    said = put("days", Family.TIME, value, OFFSET=OFFSET)
    return replace(value, family=Family.DATE, said=said, low=value.low // DAY, high=value.high // DAY)


def _months(days: Value) -> Value:
    low, high = (bound // 28 for bound in (days.low, days.high))
    return Value(Family.WHOLE, _steps(days, "months"), low, high, width=BIGINT)


def _steps(days: Value, name: str) -> tuple[Said, ...]:
    """`months` or `day of month` of days, over the steps between them; each is used more than once."""
    century = put("twice within century", Family.DATE, days)
    found = []
    for number in range(len(century)):
        day = put("day of year", Family.DATE, days, P=century[number].value)[number]
        found.append(put(name, Family.DATE, days, P=century[number].value, Y=day.value)[number])
    return tuple(found)


def _shifted(months: Value, by: int) -> Value:
    return replace(months, said=put("later", Family.WHOLE, months, N=by)) if by else months


def _first_day(months: Value) -> Value:
    return replace(months, said=put("first day", Family.WHOLE, months))


def _in_reach(value: Value) -> Value:
    """It, if the arithmetic reaches it: some centuries around the years 0001 to 9999."""
    size = DAY if value.family is Family.DATE else 1
    if value.low * size < -OFFSET or value.high * size > 4 * OFFSET:
        raise UnspelledError("leaves the years 0001 to 9999 by far", "write a shorter interval")
    return value
