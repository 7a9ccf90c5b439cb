"""Days of a period on which a delivery has no row although its other days have: it begins late, ends early, or has a hole.

How often a day has rows is learnt from the delivery itself, by day of the week where it differs; silent is a run of days that
would hardly come about by chance. A table with rows on few days is not judged. Does not belong here: counting rows by day (summaries.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from warehouse.messages.messages import Message

ENOUGH_ROWS, ENOUGH_DAYS = 30, 3
CHANCE = 1e-3  # of so long a run in the whole period
LONGEST, LONGEST_INSIDE = 3, 4  # days without a row that are never reported, at an end and inside
SURE = 0.95  # share of days with rows, at most: no day is certain
SELDOM, OFTEN = 0.2, 0.5  # share of days with rows below which the ends, and the inside, are not judged
_DAY = dt.timedelta(1)


def silent_runs(rows: Mapping[dt.date, int], start: dt.date, end: dt.date) -> list[Message]:
    """The runs of silent days from `start` to before `end`. `rows`: by day, of those days alone."""
    days = sorted(day for day, count in rows.items() if count)
    if sum(rows.values()) < ENOUGH_ROWS or len(days) < ENOUGH_DAYS:
        return []
    first, last = days[0], days[-1]
    inner = sorted((b - a).days - 1 for a, b in pairwise(days))
    holes = sorted(_holes(days), key=len)
    spared = {
        day for run in holes[-2:] if len(run) > LONGEST_INSIDE for day in run
    }  # the two longest holes do not count as usual
    busy = _busy([d for d in _run(first, (last - first).days + 1) if d not in spared], set(days))
    usual = sum(busy) / 7
    length = (end - start).days

    def told(run: Sequence[dt.date]) -> bool:
        chance = float(length)
        for day in run:
            chance *= 1 - busy[day.weekday()]
        return chance < CHANCE

    found: list[Message] = []
    head, tail = _run(start, (first - start).days), _run(last + _DAY, (end - last).days - 1)
    for run, code, day in ((head, "run.before", first), (tail, "run.after", last)):
        if usual >= SELDOM and len(run) > max(LONGEST, 1.5 * inner[-1]) and told(run):
            found.append({"code": code, "day": str(day), "days": len(run)})
    third = inner[-3] if len(inner) > 2 else 0
    for run in sorted(holes):
        if usual >= OFTEN and len(run) > max(LONGEST_INSIDE, 2 * third) and told(run):
            found.append({"code": "run.inside", "first": str(run[0]), "last": str(run[-1]), "days": len(run)})
    return found


def _run(first: dt.date, length: int) -> list[dt.date]:
    return [first + n * _DAY for n in range(length)]


def _holes(days: Sequence[dt.date]) -> Iterator[list[dt.date]]:
    for a, b in pairwise(days):
        if (b - a).days > 1:
            yield _run(a + _DAY, (b - a).days - 1)


def _busy(span: Sequence[dt.date], days: set[dt.date]) -> list[float]:
    """By day of the week, the share of days that have rows."""
    overall = sum(d in days for d in span) / len(span)
    if overall >= 0.9:
        return [min(overall, SURE)] * 7
    found = []
    for weekday in range(7):
        those = [d for d in span if d.weekday() == weekday]
        found.append(min((sum(d in days for d in those) + 0.5) / (len(those) + 1), SURE))
    return found
