"""Markup that tables are full of, made here and not by macros of a template, which take ten times as long.

Everything put into it is escaped. Does not belong here: whole parts of a page (templates/).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from markupsafe import Markup

from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name, number

_NONE = Markup('<span class="none">—</span>')


def functions(release: ReleaseData, language: str) -> dict[str, Callable[..., Markup]]:
    """Name in templates → function."""
    states = {
        status: Markup('<span class="state state-{}">{}</span>').format(status, name(language, row))
        for status, row in release.states.items()
    }
    return {"figure": partial(figure, language), "span": partial(span, language), "state": states.__getitem__}


def figure(language: str, value: float | Decimal | None, unit: str | None = None, places: int | None = None) -> Markup:
    """A number as the reader writes it; what it exactly is stands in it for machines."""
    if value is None:
        return _NONE
    return Markup(f'<data value="{value}">{number(language, value, unit, places)}</data>')  # noqa: S704  numbers alone


def span(language: str, low: Any, high: Any, unit: str | None = None, places: int | None = None) -> Markup:
    """From the low to the high bound."""
    return Markup("{}–{}").format(figure(language, low, unit, places), figure(language, high, unit, places))
