"""What is due by a source's regulation of interaction: which periods are asked for, from where on, and when an extract is overdue.

Pure: works on what was pulled before and on a day. Does not belong here: asking (pull.py), what a regulation may say (settings.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.sources.settings import MONTHS, Extract, Regulation
from warehouse.loading.pulls import PulledDelivery
from warehouse.periods import Period, add_months, month_id, parse_period

_MONTHS_BETWEEN = {"monthly": 1, "quarterly": 3, "yearly": 12}
DAYS_BETWEEN = {"daily": 1, "weekly": 7, "monthly": 31, "quarterly": 92, "yearly": 366}


@dataclass(frozen=True)
class Standing:
    """How one extract of one settlement stands. `late_since`: the day from which on it is overdue, None if it is not."""

    newest: str | None  # the newest period taken in
    last: str | None  # when it was last pulled, ISO 8601
    due: dt.date  # when the next is due
    late_since: dt.date | None

    def days_late(self, today: dt.date) -> int:
        return (today - self.late_since).days if self.late_since else 0


def ended_periods(extract: Extract, today: dt.date) -> list[Period]:
    """The periods of an extract that have ended, from its first one on."""
    found, start, months = [], parse_period(extract.first).start, MONTHS[extract.period]
    while (end := add_months(start, months)) <= today:
        found.append(parse_period(f"{month_id(start)}/{month_id(add_months(end, -1))}"))
        start = end
    return found


def wanted(extract: Extract, before: Sequence[PulledDelivery], today: dt.date) -> list[Period]:
    """The periods to ask for now: those not taken in, and the newest ones again that may have been corrected.

    `before`: what was pulled of the extract for one settlement, in order of arrival.
    """
    if extract.changed_by is not None:
        return [_running(extract, before, today)]
    periods, taken = ended_periods(extract, today), {one.period for one in before if one.taken}
    again = {p.id for p in [p for p in periods if p.id in taken][-extract.look_back :]} if extract.look_back else set()
    return [p for p in periods if p.id not in taken or p.id in again]


def _running(extract: Extract, before: Sequence[PulledDelivery], today: dt.date) -> Period:
    """What changed since is declared for all from the last month of the pull before to the running one: earlier rows may be among it."""
    chain = list(in_a_row(before))
    first = parse_period(chain[-1].period).closing_month if chain else month_id(parse_period(extract.first).start)
    last = max(month_id(today), first)
    return parse_period(f"{first}/{last}")


def in_a_row(before: Sequence[PulledDelivery]) -> Iterator[PulledDelivery]:
    """Pulls of what changed that follow on one another: each begins where the one before ended, and none was refused or taken back.

    One that was refused ends the row: it is pulled again, with all that was pulled after it.
    """
    of = {one.since: one for one in before if one.taken}  # the newest of each
    since: str | None = None
    while (one := of.pop(since, None)) is not None:
        yield one
        since = one.until


def since_of(extract: Extract, before: Sequence[PulledDelivery]) -> str | None:
    """The value of the change attribute from which on an extract is asked for; None: everything."""
    row = list(in_a_row(before)) if extract.changed_by is not None else []
    return row[-1].until if row else None


def standing(
    extract: Extract, regulation: Regulation, before: Sequence[PulledDelivery], looked: str | None, today: dt.date
) -> Standing:
    """How an extract of one settlement stands. `looked`: when it was last asked for without an error, ISO 8601, UTC."""
    taken = [one for one in before if one.taken]
    last = max([one.when for one in before] + ([looked] if looked else []), default=None)
    newest = max((parse_period(one.period) for one in taken), key=lambda p: p.end, default=None)
    if extract.changed_by is not None:
        start = dt.datetime.fromisoformat(last).date() if last else parse_period(extract.first).start
        due = start + dt.timedelta(days=DAYS_BETWEEN[regulation.frequency])
    else:
        due = due_on(_first_missing(extract, taken), regulation)
    late = due + dt.timedelta(days=regulation.delay_days)
    return Standing(newest.id if newest else None, last, due, late if late < today else None)


def _first_missing(extract: Extract, taken: Sequence[PulledDelivery]) -> Period:
    """The first period that was not taken in, ended or not."""
    have, start = {one.period for one in taken}, parse_period(extract.first).start
    while True:
        end = add_months(start, MONTHS[extract.period])
        period = parse_period(f"{month_id(start)}/{month_id(add_months(end, -1))}")
        if period.id not in have:
            return period
        start = end


def due_on(period: Period, regulation: Regulation) -> dt.date:
    """When a period's extract is due: at its end, or at the end of the quarter or year in which a source gives it."""
    months = _MONTHS_BETWEEN.get(regulation.frequency, 1)
    end = period.end
    while (end.month - 1) % months:
        end = add_months(end, 1)
    return end
