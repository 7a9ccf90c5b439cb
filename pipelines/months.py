"""The months of an installation, as Dagster's partitions: from the first delivered one on.

Does not belong here: which months wait or are due (pending_work.py).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import duckdb

from connectors.archive.archive import Archive
from warehouse.home.home import Home
from warehouse.kpi_values.outstanding import running_month
from warehouse.periods import FIRST_YEAR, add_months, month_id, parse_period

if TYPE_CHECKING:
    from dagster import MonthlyPartitionsDefinition

CIVIL_TIME = "Asia/Almaty"
EARLIEST = f"{FIRST_YEAR}-01"  # that may be delivered


def first_month(home: Home) -> str:
    """The first month of what the release has loaded and of what waits.

    Where there is nothing yet, January of the year before, so that an empty home can be looked at and run.
    """
    known = [*_released(home), *(month_id(parse_period(r.period).start) for r in Archive(home.archive).pending())]
    last = month_id(add_months(parse_period(running_month()).start, -1))
    return min([*known, last] if known else [f"{int(last[:4]) - 1}-01"])


def months_from(first: str) -> MonthlyPartitionsDefinition:
    """Every ended month from `first` on."""
    import dagster as dg

    return dg.MonthlyPartitionsDefinition(start_date=first, fmt="%Y-%m", timezone=CIVIL_TIME)


def _released(home: Home) -> list[str]:
    """The first month that the release has rows of; of a refused delivery nobody knows what its period was meant to be."""
    if not home.released_file.exists():
        return []
    try:
        # no views, no contracts: this is asked whenever definitions are loaded
        with duckdb.connect(str(home.released_file), read_only=True) as release:
            found = release.execute("SELECT min(period_start) FROM audit.delivery WHERE state = 'loaded'").fetchone()
    except duckdb.Error:
        return []  # what ails it, those who read it say; months can be run all the same
    first: dt.date | None = found[0] if found else None
    return [month_id(first)] if first else []
