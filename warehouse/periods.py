"""Reporting periods: months, quarters, half-years, years and runs of months, named as SDMX and ISO 8601 name them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_PATTERNS = (
    (re.compile(r"^([0-9]{4})-([0-9]{2})$"), "M", 1),
    (re.compile(r"^([0-9]{4})-Q([1-4])$"), "Q", 3),
    (re.compile(r"^([0-9]{4})-S([12])$"), "S", 6),
    (re.compile(r"^([0-9]{4})$"), "A", 12),
)
_NUMBERED = {
    "": "months are numbered 01 to 12, as in 2026-01",
    "Q": "quarters are 1 to 4, as in 2026-Q1",
    "S": "half-years are 1 and 2, as in 2026-S1",
}


@dataclass(frozen=True, order=True)
class Period:
    """Whole months from `start` to before `end`. `grain`: M, Q, S, A, or R for a run of months."""

    start: dt.date
    end: dt.date  # first day after
    id: str
    grain: str

    @property
    def months(self) -> tuple[str, ...]:
        """The ids of its months: 2026-01, 2026-02, ..."""
        return tuple(month_id(add_months(self.start, n)) for n in range(_distance(self.start, self.end)))

    @property
    def closing_month(self) -> str:
        return month_id(add_months(self.end, -1))


def add_months(day: dt.date, months: int) -> dt.date:
    """The first day of the month `months` after that of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return dt.date(index // 12, index % 12 + 1, 1)


def month_id(day: dt.date) -> str:
    return f"{day:%Y-%m}"


def parse_period(text: str) -> Period:
    """2026-01, 2026-Q1, 2026-S1, 2026 or 2026-01/2026-06. Raises ValueError saying so.

    The same days have the same id, however they are written: 2026-01/2026-03 is 2026-Q1.
    """
    first, slash, last = text.strip().partition("/")
    if slash and len(last) <= 2:
        raise ValueError(_no_period(text))
    if slash:
        start, end = parse_period(first), parse_period(last)
        if end.grain == "R":
            raise ValueError(f"period {text!r} has more than two ends: write a run of months 2026-01/2026-06")
        if end.end <= start.start:
            raise ValueError(f"period {text!r} ends before it begins; did you mean {last}/{first}?")
        return _spanning(start.start, end.end)
    for pattern, grain, months in _PATTERNS:
        match = pattern.match(first)
        if match:
            number = int(match[2]) if match.lastindex == 2 else 1
            try:
                start_day = add_months(dt.date(int(match[1]), 1, 1), (number - 1) * months)
                valid = grain != "M" or 1 <= number <= 12
                end_day = add_months(start_day, months)
            except ValueError:
                break
            if valid:
                return Period(start_day, end_day, first, grain)
    raise ValueError(_no_period(text))


def _no_period(text: str) -> str:
    from warehouse.written_periods import suggested

    if (meant := suggested(text)) and meant != text:
        return f"{text!r} is no period; did you mean {meant}?"
    parts = re.fullmatch(r"\s*[0-9]{4}-(Q|S|)[0-9]{1,2}\s*", text)
    if parts:
        return f"{text!r} is no period: {_NUMBERED[parts[1]]}"
    return (
        f"{text!r} is no period: write a month 2026-01, a quarter 2026-Q1, a half-year 2026-S1, a year 2026 "
        "or a run of months 2026-01/2026-06"
    )


def _spanning(start: dt.date, end: dt.date) -> Period:
    """The period from `start` to before `end` under its shortest name."""
    months = _distance(start, end)
    names = {1: ("M", month_id(start)), 3: ("Q", f"{start.year:04d}-Q{(start.month + 2) // 3}"),
             6: ("S", f"{start.year:04d}-S{(start.month + 5) // 6}"), 12: ("A", f"{start.year:04d}")}  # fmt: skip
    grain, name = names.get(months, ("R", ""))
    if grain == "R" or (start.month - 1) % months:
        return Period(start, end, f"{month_id(start)}/{month_id(add_months(end, -1))}", "R")
    return Period(start, end, name, grain)


def closing_in(months: tuple[str, ...], grain: str) -> list[Period]:
    """The periods of a grain whose last month is among `months`."""
    found = []
    for month in sorted(months):
        end = add_months(parse_period(month).start, 1)
        last = add_months(end, -1)
        if grain == "M":
            found.append(parse_period(month))
        elif grain == "Q" and last.month % 3 == 0:
            found.append(parse_period(f"{last.year}-Q{last.month // 3}"))
        elif grain == "A" and last.month == 12:
            found.append(parse_period(f"{last.year:04d}"))
    return found


def _distance(start: dt.date, end: dt.date) -> int:
    return (end.year - start.year) * 12 + end.month - start.month


FIRST_YEAR, LAST_YEAR = 2000, 2040  # of the registry of periods


def month_ranges(months: Sequence[str]) -> list[tuple[str, str]]:
    """Consecutive months as (first, last): each block is one run."""
    ordered = sorted(set(months))
    if not ordered:
        return []
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if month_id(add_months(parse_period(a).start, 1)) != b]
    edges = [0, *breaks, len(ordered)]
    return [(ordered[a], ordered[b - 1]) for a, b in pairwise(edges)]
