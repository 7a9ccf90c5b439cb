"""What templates may call: sentences, names, numbers, days and lengths of the reader's language.

Does not belong here: the sentences themselves (messages/catalogue/report*.yaml), which figures a page shows (pages/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.messages.messages import sentence

if TYPE_CHECKING:
    from jinja2 import Environment

    from warehouse.report.release_data import ReleaseData

_TEMPLATES = Path(__file__).parent / "templates"
_GROUP = "\N{NARROW NO-BREAK SPACE}"  # between thousands
_NAVIGATION = (
    "index",
    "settlements",
    "kpis",
    "compare",
    "quality",
    "systems",
    "audit",
)  # pages of their own, in the order of the menu


def environment(release: ReleaseData, language: str, languages: Sequence[str]) -> Environment:
    """Templates of one language: what is missing raises, what is put in is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    called = {
        "t": partial(said, language),
        "number": partial(number, language),
        "name": partial(name, language),
        "day": day,
        "unit_name": lambda unit: name(language, release.units[unit]),
        "unit_sign": lambda unit: release.units[unit]["symbol"] or "",
    }
    made.filters |= {one: called[one] for one in ("number", "name", "day")}
    made.filters["language_name"] = lambda other: sentence(f"language.{other}", other)
    made.globals |= {
        **called,
        "said": said,
        "language": language,
        "languages": languages,
        "release": release,
        "navigation": _NAVIGATION,
    }
    return made


def said(language: str, code: str, **parts: Any) -> str:
    """The sentence of a message; of one of the report's own without `report.` before its code. Raises KeyError."""
    return sentence(code, language, **parts)


def name(language: str, row: Mapping[str, Any], stem: str = "name") -> str:
    """What a row calls a thing in the reader's language: its column `<stem>_<language>`; English where that is empty."""
    return str(row[f"{stem}_{language}"] or row[f"{stem}_en"] or "")


def number(language: str, value: float | Decimal | None, unit: str | None = None, places: int | None = None) -> str:
    """A number as the language writes it, a dash for none: percent with one decimal, others with three significant digits at least."""
    if value is None:
        return "—"
    if places is None:
        places = 0 if value == int(value) and unit is None else 1 if unit == "PT" else _places(float(value))
    text = f"{abs(value):,.{places}f}"
    minus = "\N{MINUS SIGN}" if value < 0 and text.strip("0.,") else ""
    if language == "en":
        return minus + text
    return minus + text.replace(",", _GROUP).replace(".", ",")


def _places(value: float) -> int:
    """Decimals that leave three significant digits."""
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 or size == 0 else 3 if size >= 1 else 4


def day(value: dt.date | dt.datetime | None) -> str:
    """A day as ISO 8601, which all three languages read the same way; a dash for none."""
    return "—" if value is None else value.strftime("%Y-%m-%d")
