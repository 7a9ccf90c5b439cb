"""Freshness by the regulation of interaction: of what a source gives, and of a table by its contract.

Does not belong here: what is overdue, extract by extract (connectors/sources/regulation.py, the criterion timeliness).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache

import dagster as dg

from connectors.sources.regulation import DAYS_BETWEEN
from connectors.sources.settings import Regulation
from pipelines.months import CIVIL_TIME
from warehouse.tables.contracts import Table

_MONTHS = {"monthly": "*", "quarterly": "1,4,7,10", "yearly": "1"}


def freshness(regulations: Sequence[Regulation]) -> dg.FreshnessPolicy:
    """Fresh is what came by the end of the permitted delay, after the day from which on it was due; of several extracts the most frequent tells."""
    one = min(regulations, key=lambda r: (DAYS_BETWEEN[r.frequency], r.delay_days))
    day = one.delay_days + 2  # it is overdue when the day after the permitted ones has begun
    if (months := _MONTHS.get(one.frequency)) is not None and day <= 28:
        return _by_cron(f"0 0 {day} {months} *", day - 1)
    return dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=DAYS_BETWEEN[one.frequency] + one.delay_days))


@cache
def _by_cron(deadline: str, days: int) -> dg.FreshnessPolicy:
    """Kept, as Dagster works out from hundreds of a deadline's dates whether the days fit, and tables have few deadlines between them."""
    return dg.FreshnessPolicy.cron(deadline, dt.timedelta(days=days), CIVIL_TIME)


def freshness_of_table(table: Table) -> dg.FreshnessPolicy | None:
    """By the rhythm and the delay that a contract agrees on (ODCS slaProperties); None where it agrees on none."""
    days = table.latency_days or 0
    match table.frequency:
        case "M":
            return freshness([Regulation(frequency="monthly", delay_days=days)])
        case "Q":
            return freshness([Regulation(frequency="quarterly", delay_days=days)])
        case "A":
            return freshness([Regulation(frequency="yearly", delay_days=days)])
    return None
