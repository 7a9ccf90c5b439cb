"""Which deliveries of a batch are loaded together: turns, one after the other. How a turn is loaded does not belong here (replace.py)."""

from __future__ import annotations

from collections.abc import Iterable

from warehouse.loading.deliveries import Delivery
from warehouse.tables.contracts import Table


def turns_of(table: Table, deliveries: Iterable[Delivery]) -> dict[int, int]:
    """Delivery → number of its turn, from 0. Deliveries of one turn take nothing from each other.

    Two deliveries of one system whose days and territories meet must come one after the other; and no delivery may be loaded in an
    earlier turn than one that came before it for an overlapping territory.
    """
    exactly: dict[str, int] = {}  # territory → highest turn of deliveries for just that
    within: dict[str, int] = {}  # region, KZ → highest turn of deliveries for it or a part of it
    held: dict[tuple[str, str, str], int] = {}  # system, territory, month → as `exactly`
    held_within: dict[tuple[str, str, str], int] = {}
    turns = {}
    for one in deliveries:
        around = {one.scope, one.scope[:2], "KZ"}
        months = (one.closing_month,) if table.snapshot else one.months
        met = [held_within.get((one.system, one.scope, m), -1) for m in months]
        met += [held.get((one.system, t, m), -1) for m in months for t in around]
        turn = max(max(met) + 1, within.get(one.scope, 0), *(exactly.get(t, 0) for t in around))
        turns[one.delivery_id] = exactly[one.scope] = turn
        within |= {t: max(turn, within.get(t, 0)) for t in around}
        for month in months:
            held[one.system, one.scope, month] = turn
            held_within |= {
                (one.system, t, month): max(turn, held_within.get((one.system, t, month), -1)) for t in around
            }
    return turns
