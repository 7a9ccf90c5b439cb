"""Deliveries that did not come by the day their contract agrees on, of feeds that no source fetches: by the release and the receipts since.

One that stopped long before the first look is not told: the report shows it. Does not belong here: what was agreed
(warehouse/audit/overdue.py), extracts of sources (in_sources.py).
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from zoneinfo import ZoneInfo

import duckdb

from connectors.archive import receipts
from connectors.sources.connections import load_connections
from pipelines.months import CIVIL_TIME
from pipelines.notifications.finders.look import Look, signature
from pipelines.notifications.trouble import Found, Kind, Trouble, command
from warehouse.audit.overdue import Gap, gaps
from warehouse.errors import StoreError
from warehouse.loading.pulls import known_receipts
from warehouse.periods import parse_period
from warehouse.store.sessions import reading
from warehouse.store.succession import MANIFEST

_OLDEST = dt.timedelta(days=92)  # a quarter before the first look


def overdue_feeds(look: Look) -> Found:
    """Feeds that began and of which an agreed period is missing; one that waits for a run has come. Known anew with each release and each day."""
    home = look.home
    today = look.now.astimezone(ZoneInfo(CIVIL_TIME)).date()
    sign = f"{today} {signature([home.release / MANIFEST, *home.sources.glob('*.yaml')])}"
    if look.seen.get("feeds") == sign:
        return None
    if not home.released_file.exists():
        return {}
    try:
        with reading(home) as store:
            found, known = gaps(store, today, (look.begun - _OLDEST).date()), known_receipts(store)
    except (StoreError, duckdb.Error):  # told as a release that cannot be read
        return None
    look.seen["feeds"] = sign
    fetched = _fetched(look)
    came = [one for one, taken_back in receipts.beyond(home.archive / "receipts", known) if not taken_back]
    waiting = {(one.table, one.system, one.scope, month) for one in came for month in parse_period(one.period).months}
    missing = [
        (one, [p for p in one.periods if not {(*one.feed, month) for month in parse_period(p[0]).months} <= waiting])
        for one in found
        if one.feed not in fetched
    ]
    return {
        f"overdue/{'/'.join(one.feed)}/{periods[0][0]}": partial(_overdue, look, one, *periods[0])
        for one, periods in missing
        if periods
    }


def _fetched(look: Look) -> set[tuple[str, str, str]]:
    return {
        (extract.table, extract.system, scope)
        for one in load_connections(look.home)[0].values()
        for extract in one.extracts
        for scope in extract.places
    }


def _overdue(look: Look, one: Gap, period: str, due: dt.date) -> Trouble:
    said = {
        "code": "notification.overdue_feed",
        "table": look.names.table(one.table),
        "system": one.system,
        "period": period,
        "due": str(due),
    }
    return Trouble(Kind.OVERDUE, said, look.names.place(one.scope), command(look.home, "report"), str(due))
