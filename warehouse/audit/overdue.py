"""What was agreed to come and did not, by the contracts' regulation (ODCS slaProperties) and a release's deliveries.

Does not belong here: when an extract of a source is due (connectors/sources/regulation.py), who is told (pipelines/notifications/).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse.sql import literal, statement
from warehouse.store.store import Store


@dataclass(frozen=True)
class Gap:
    """Agreed periods of a feed, one after the other, of which nothing came: each with the last day on which it was in time."""

    table: str
    system: str
    scope: str
    periods: list[tuple[str, dt.date]]

    @property
    def feed(self) -> tuple[str, str, str]:
        return self.table, self.system, self.scope


def missing_periods(today: dt.date) -> str:
    """SELECT of the periods that had not come by a day, with what the feed is: SQL over a release with its views."""
    return statement(__file__, "missing_period", today=literal(today.isoformat()))


def gaps(store: Store, today: dt.date, since: dt.date) -> list[Gap]:
    """Gaps that began to be overdue from `since` on and before `today`, but for those that a refusal tells."""
    sql = statement(__file__, "delivery_gap", missing=missing_periods(today), since=literal(since.isoformat()))
    return [Gap(*row) for row in store.con.execute(sql).fetchall()]
