"""Places in a group by one KPI: as the values put them, and as far as their bounds leave them sure.

Does not belong here: places of the assessment, which the release holds (view scorecard).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """A place among `of`, and the best and worst it could be whatever the uncertain rows hold."""

    rank: int
    best: int
    worst: int
    of: int


def places(rows: Mapping[str, Mapping[str, Any]], direction: str) -> dict[str, Place]:
    """Settlement → its place, by rows with `value`, `value_low` and `value_high`; those without a value have none.

    The place is one more than the number of better values, so equal values share it.
    """
    sign = 1 if direction == "higher" else -1
    spans = {}
    for key, row in rows.items():
        if row["value"] is not None:
            ends = sorted(
                sign * (row["value"] if end is None else end) for end in (row["value_low"], row["value_high"])
            )
            spans[key] = (ends[0], sign * row["value"], ends[1])
    return {
        key: Place(
            rank=1 + sum(other > value for _, other, _ in spans.values()),
            best=1 + sum(other_low > high for other_low, _, _ in spans.values()),
            worst=len(spans) - sum(other_high < low for _, _, other_high in spans.values()),
            of=len(spans),
        )
        for key, (low, value, high) in spans.items()
    }
