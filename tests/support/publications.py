"""A small home with two releases of figures of every kind: open, restricted, suppressed, restated, of two lists of KPIs side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from kpi_definitions.catalogue import load_catalogues
from tests.support import official_list
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ASTANA, SEMEY
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.release.release import Release, publish
from warehouse.store.sessions import writing

MONTH = "2026-01"
OPEN, RESTRICTED, SMALL, OFFICIAL = "MGT02-1", "SAF02-2", "TRL03-1", "B01-1"
# values that nobody may find in what is published: 4 of 7 calls, 1 of 3 validations
SECRET = ("57.142857", "33.333333")
_DAY = dt.datetime(2026, 1, 20)  # noqa: DTZ001  civil time, as tables have it


def build(home: Home) -> tuple[Release, Release]:
    """Make the home; returns its two releases, the second after a correction."""
    new_home(home.root)
    official_list.write(home.catalogues / "official-test")
    catalogue = only(load_catalogues(home.catalogues), OPEN, RESTRICTED, SMALL, OFFICIAL)
    with writing(home) as store:
        deliver(store, "fct_appeal", _appeals(ASTANA, 9, 8), _appeals(SEMEY, 6, 3))
        deliver(store, "fct_emergency_call", Extract(list(_calls()), MONTH))
        deliver(store, "fct_fare_validation", _validations(ASTANA, 40, 10), _validations(SEMEY, 3, 1))
        compute(store, catalogue, [MONTH], today=LATER)
    first = publish(home, lambda _: ())
    with writing(home) as store:
        deliver(store, "fct_appeal", _appeals(ASTANA, 9, 4))
        compute(store, catalogue, [MONTH], today=LATER)
    return first, publish(home, lambda _: ())


def _appeals(kato: str, due: int, in_time: int) -> Extract:
    closed = [_DAY - dt.timedelta(1)] * in_time + [None] * (due - in_time)
    rows = [
        {"appeal_id": f"{kato}-{n}", "registered_at": _DAY - dt.timedelta(9), "due_at": _DAY, "closed_at": day,
         "status": "CLOSED" if day else "OPEN"}
        for n, day in enumerate(closed)
    ]  # fmt: skip
    return Extract(rows, MONTH, kato)


def _calls() -> Iterator[dict[str, object]]:
    for n in range(7):
        answered = _DAY + dt.timedelta(seconds=5 if n < 4 else 60)
        yield {"call_id": f"c{n}", "received_at": _DAY, "answered_at": answered}


def _validations(kato: str, boardings: int, cashless: int) -> Extract:
    rows = [
        {
            "validation_id": f"{kato}-{n}",
            "validated_at": _DAY,
            "is_boarding": True,
            "payment_type": "CARD" if n < cashless else "CASH",
        }
        for n in range(boardings)
    ]
    return Extract(rows, MONTH, kato)
