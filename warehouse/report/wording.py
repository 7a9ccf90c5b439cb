"""Names, numbers and days as a reader's language writes them. Does not belong here: sentences (messages/), markup (markup.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

PERCENT = "PT"  # of the SDMX list of units; the one whose sign is the same in all languages
_GROUP = "\N{NARROW NO-BREAK SPACE}"  # between thousands


def name(language: str, row: Mapping[str, Any], stem: str = "name") -> str:
    """What a row calls a thing in the reader's language: its column `<stem>_<language>`; English where that is empty."""
    return str(row[f"{stem}_{language}"] or row[f"{stem}_en"] or "")


def number(language: str, value: float | Decimal | None, unit: str | None = None, places: int | None = None) -> str:
    """A number as the language writes it, a dash for none: percent with one decimal, others with about three significant digits."""
    if value is None:
        return "—"
    if places is None:
        places = 1 if unit == PERCENT else 0 if value == int(value) else _places(float(value))
    text = f"{abs(value):,.{places}f}"
    minus = "\N{MINUS SIGN}" if value < 0 and text.strip("0.,") else ""
    if language == "en":
        return minus + text
    return minus + text.replace(",", _GROUP).replace(".", ",")


def _places(value: float) -> int:
    """Decimals that leave three significant digits, of small numbers two or three."""
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 10 or size == 0 else 2 if size >= 1 else 3


def day(value: dt.date | dt.datetime | None) -> str:
    """A day as ISO 8601, which all three languages read the same way; a dash for none."""
    return "—" if value is None else value.strftime("%Y-%m-%d")
