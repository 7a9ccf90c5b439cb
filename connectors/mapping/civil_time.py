"""Civil time by settlement and date: a time with an offset is an instant, and is stored as its settlement's clocks showed it.

The zones come from the registry of settlements; their history from the time zone data that DuckDB brings (ICU). The west of the
country was an hour behind the east until March 2024, Kyzylorda since 21 December 2018. Does not belong here: how an offset is written
(cell_grammar.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from connectors.mapping.cell_grammar import Civil
from warehouse.sql import literal
from warehouse.tables.settlements import time_zones

COMMON = "Asia/Almaty"  # also of what is not registered, which the rule `scope` rejects


@cache
def _zones() -> dict[str, str]:
    return time_zones()


def civil_time(scopes: Iterable[str], kato: str) -> Civil:
    """SQL that makes civil time of an instant, for files of these territories; `kato` is SQL of a row's settlement.

    Files of one zone, which are nearly all, name it once; only else it is asked of each row, and only where it gives an offset.
    """
    concerned: dict[str, str] = {}
    for scope in set(scopes):
        whole = "" if scope == "KZ" else scope
        concerned |= {k: zone for k, zone in _zones().items() if k.startswith(whole)} or {scope: COMMON}
    (common, _), *others = Counter(concerned.values()).most_common()

    def civil(instant: str) -> str:
        if not others:
            return f"timezone({literal(common)}, {instant})"
        whens = " ".join(
            f"WHEN {kato} IN ({', '.join(literal(k) for k, z in concerned.items() if z == zone)}) THEN timezone({literal(zone)}, {instant})"
            for zone, _ in others
        )
        return f"CASE {whens} ELSE timezone({literal(common)}, {instant}) END"

    return civil
