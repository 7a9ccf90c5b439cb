"""What screens share: how many entries are shown, colours of states, numbers without trailing zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = 15  # entries shown before --json is recommended
_COLOURS = {
    "calculated": "green",
    "provisional": "cyan",
    "low coverage": "yellow",
    "not calculable": "red",
    "refused": "red",
    "loaded": "green",
}


def state_colour(state: str) -> str:
    return _COLOURS.get(state, "white")


def coloured_counts(counts: Mapping[str, int]) -> str:
    """State and count of each, coloured by the state."""
    return ", ".join(f"[{state_colour(state)}]{state} {count:,}[/]" for state, count in counts.items()) or "none"


def number(value: Any) -> str:
    return f"{float(value):,.6f}".rstrip("0").rstrip(".")
