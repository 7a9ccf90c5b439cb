"""What the marks, classes and squares of a chart mean: a list beside it, which breaks into lines as text does.

The shapes are for the eye only; a reader who does not see them has the chart's description and its table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from warehouse.charts.grids import day
from warehouse.charts.maps import hatch
from warehouse.charts.marks import mark
from warehouse.charts.svg import INK, MAIN, MUTED, RAMP, SOFT


def _entry(shape: str, text: str, width: float = 16) -> str:
    picture = (
        f'<svg class="key" aria-hidden="true" viewBox="0 0 {width:g} 16" width="{width:g}" height="16">{shape}</svg>'
    )
    return f"<li>{picture} {escape(text)}</li>"


def _list(entries: Sequence[str]) -> str:
    return f'<ul class="legend">{"".join(entries)}</ul>'


def legend_of_states(texts: Mapping[str, str]) -> str:
    """Marks by OBS_STATUS with their words, in the order given."""
    return _list([_entry(mark(status, 8, 8, 4), text) for status, text in texts.items()])


def legend_of_lines(*, value: str = "", bounds: str = "", target: str = "") -> str:
    """Line, band and steps of a trend, of a ranking and of plan beside fact; an empty text leaves its entry out."""
    entries = [
        (value, f'<path d="M1 8h22" stroke="{MAIN}" stroke-width="2.4"/>'),
        (bounds, f'<path d="M1 3h22v10h-22z" fill="{SOFT}" stroke="{MAIN}"/>'),
        (target, f'<path d="M1 8h22" stroke="{INK}" stroke-width="1.6" stroke-dasharray="5 3"/>'),
    ]
    return _list([_entry(shape, text, 24) for text, shape in entries if text])


def legend_of_classes(texts: Sequence[str], *, missing: str = "", id: str = "legend") -> str:  # noqa: A002
    """Classes of a map or a heat map from low to high, and what is hatched; `id` is unique on its page."""
    entries = [
        _entry(f'<path class="c{i}" d="M1 1h14v14h-14z" fill="{RAMP[i]}" stroke="{MUTED}"/>', text)
        for i, text in enumerate(texts)
    ]
    if missing:
        pattern, fill = hatch(f"{id}-h")
        entries.append(_entry(f'{pattern}<path d="M1 1h14v14h-14z" fill="{fill}" stroke="{MUTED}"/>', missing))
    return _list(entries)


def legend_of_deliveries(texts: Mapping[str, str]) -> str:
    """Squares of a calendar with their words, by what happened."""
    return _list([_entry(day(kind, 3, 3), text) for kind, text in texts.items()])
