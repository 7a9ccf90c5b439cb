"""A model of which rows are in force, in plain Python, written from adr/0004 and adr/0020 alone: no current rows, history or turns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from warehouse.periods import parse_period

Key = tuple[Any, ...]  # kato, business key[, snapshot date]
OCCURRED = {"feb": dt.date(2026, 2, 10), "mar": dt.date(2026, 3, 10)}  # of some keys; all others on New Year's Day


class Sent(NamedTuple):
    """A delivery of a test: its slice and the rows in it."""

    rows: Mapping[tuple[str, str], int]  # (kato, key) → value
    scope: str = "KZ"
    period: str = "2026-01"
    system: str = "a"
    state: str = "loaded"


@dataclass
class Model:
    """What adr/0020 says, from all that was ever delivered: no thought of current rows, history or turns.

    Not modelled: reading again; `changes`, which nothing shipped uses.
    """

    table: str
    sent: list[Sent] = field(default_factory=list)

    def day(self, key: str, period: str) -> dt.date:
        return OCCURRED.get(key, dt.date(2026, 1, 1)) if self.table == "fct_crash" else parse_period(period).end

    def own(self, key: str, period: str, one: Sent) -> bool:
        """Whether a row that came for a period lies in what an extract asserts as a whole."""
        span = parse_period(one.period)
        if self.table != "fct_crash":
            return self.day(key, period) == span.end
        return span.start <= self.day(key, period) < span.end

    def takes(self, later: Sent, earlier: Sent, kato: str, key: str) -> bool:
        if later.system != earlier.system:
            return False
        if (later.scope, parse_period(later.period).id) == (earlier.scope, parse_period(earlier.period).id):
            return True
        own = self.own(key, earlier.period, earlier)
        return (
            (later.scope == "KZ" or kato.startswith(later.scope))
            and self.own(key, earlier.period, later)
            and (own or parse_period(earlier.period).end <= parse_period(later.period).end)
        )

    def rows(self) -> list[tuple[Any, ...]]:
        best: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for number, one in enumerate(self.sent):
            for (kato, key), value in one.rows.items():
                if any(self.takes(later, one, kato, key) for later in self.sent[number + 1 :]):
                    continue
                date = () if self.table == "fct_crash" else (self.day(key, one.period),)
                place = (kato, key, *date, one.system)
                best[place] = max(best.get(place, ()), (parse_period(one.period).end, number, value))
        return sorted((kato, key, *date, value, system) for (kato, key, *date, system), (_, _, value) in best.items())
