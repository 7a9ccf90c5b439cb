"""One value beside others at one time: a ranking, plan beside fact, a place in a group.

Bounds are drawn with every value that has them: a place in a ranking is as sure as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse.charts.marks import mark
from warehouse.charts.svg import (
    BAR,
    GROUND,
    INK,
    MAIN,
    MUTED,
    SOFT,
    Caption,
    Scale,
    better_words,
    fitting,
    labelled,
    picture,
    plain,
    px,
    spanning,
    width_of,
    words,
)


@dataclass(frozen=True)
class Bar:
    """One row of a ranking: its name, its value or None, the value as it is read, bounds, OBS_STATUS; `strong` stands out."""

    label: str
    value: float | None
    shown: str
    low: float | None = None
    high: float | None = None
    status: str = "A"
    strong: bool = False


def _whisker(x: Scale, low: float | None, high: float | None, y: float, half: float) -> str:
    """The bounds as a line with ends; where they are one there is nothing to say."""
    if low is None or high is None or low == high:
        return ""
    a, b = px(x(low)), px(x(high))
    ends = f"M{a} {px(y - half)}v{px(2 * half)}M{b} {px(y - half)}v{px(2 * half)}"
    return f'<path class="bounds" d="{ends}M{a} {px(y)}H{b}" stroke="{INK}" stroke-width="1.4"/>'


def _bar(x: Scale, value: float, y: float, edge: str = "") -> str:
    """A bar from zero to the value, 8 px high; never thinner than a line."""
    at, zero = x(value), x(0)
    box = f'x="{px(min(at, zero))}" y="{px(y)}" width="{px(max(abs(at - zero), 1))}" height="8"'
    return f'<rect {box} fill="{BAR}"{edge}/>'


def _row(row: Bar, x: Scale, y: float, width: float) -> str:
    """Name and value of one row, its bar below them."""
    strong = ' font-weight="bold"' if row.strong else ""
    name = fitting(row.label, width - width_of(row.shown) - 26)
    shape = words(14, y + 13, name, more=strong) + words(width - 2, y + 13, row.shown, "end", more=strong)
    shape += mark(row.status, 6, y + 9, 3.2)
    if row.value is None:
        return shape + f'<path d="M2 {px(y + 22)}H{px(width - 2)}" stroke="{MUTED}" stroke-dasharray="1 5"/>'
    edge = f' stroke="{INK}" stroke-width="1.4"' if row.strong else ""
    return shape + _bar(x, row.value, y + 18, edge) + _whisker(x, row.low, row.high, y + 22, 3.5)


def bars(
    rows: Sequence[Bar],
    caption: Caption,
    *,
    better: str = "",
    better_text: str = "",
    target: float | None = None,
    target_text: str = "",
    width: float = 360,
) -> str:
    """A ranking in the order given: name and value above, the bar with its bounds below them. `target` stands at each bar."""
    told = better_words(better, better_text)
    step, top = 34.0, 20.0 if told or target_text else 2.0
    height = top + step * len(rows) + 2
    x = spanning([n for r in rows for n in (r.value, r.low, r.high)] + [target], 2, width - 4, zero=True)
    ys = [top + step * i for i in range(len(rows))]
    out = "".join(_row(row, x, y, width) for row, y in zip(rows, ys, strict=True))
    drawn = [y for row, y in zip(rows, ys, strict=True) if row.value is not None]
    zero = "".join(f"M{px(x(0))} {px(y + 16)}v12" for y in drawn)
    out += f'<path d="{zero}" stroke="{MUTED}"/>' if zero else ""
    if target is not None and drawn:
        marks = "".join(f"M{px(x(target))} {px(y + 15)}v14" for y in drawn)
        out += f'<path class="target" d="{marks}" stroke="{INK}" stroke-width="3"/>'
    out += words(2, 12, told, size=11) if told else ""
    if target_text:
        wide = width_of(target_text, 11)
        out += words(width - 2, 12, target_text, "end", size=11)
        out += f'<path d="M{px(width - wide - 8)} 1v14" stroke="{INK}" stroke-width="3"/>'
    return picture(caption, "bars", width, height, out)


def bullet(
    fact: float | None,
    target: float | None,
    caption: Caption,
    *,
    low: float | None = None,
    high: float | None = None,
    status: str = "A",
    number: Callable[[float], str] = plain,
    axis: bool = True,
    width: float = 240,
) -> str:
    """Plan beside fact: a bar to the fact with its bounds, an upright line at the plan. Without a fact only the plan stands."""
    height = 34.0 if axis else 20.0
    x = spanning([fact, target, low, high], 10, width - 10, zero=True)
    out = f'<path d="M{px(x.start)} 10H{px(x.end)}" stroke="{GROUND}" stroke-width="14"/>'
    if fact is not None:
        out += _bar(x, fact, 6) + _whisker(x, low, high, 10, 3.5)
        out += mark(status, x(fact), 10, 3.4) if status != "A" else ""
    else:
        out += mark(status, min(x(0) + 8, x.end - 4), 10, 3.4)
    out += f'<path d="M{px(x(0))} 3v14" stroke="{MUTED}"/>'
    if target is not None:
        out += f'<path class="target" d="M{px(x(target))} 1v18" stroke="{INK}" stroke-width="3"/>'
    if axis:
        for at, text in labelled(x, 3, number):
            wide = width_of(text, 11) / 2
            out += words(min(max(at, wide), width - wide), 31, text, "middle", size=11, more=f' fill="{MUTED}"')
    return picture(caption, "bullet", width, height, out)


def strip(
    others: Sequence[float],
    at: float | None,
    caption: Caption,
    *,
    low: float | None = None,
    high: float | None = None,
    status: str = "A",
    better: str = "",
    width: float = 160,
) -> str:
    """A place in a group: a tick for every other of the group, the one looked at as a mark with its bounds; `better` points."""
    height = 24.0
    x = spanning([*others, at, low, high], 12, width - 12)
    out = f'<path d="M8 12H{px(width - 8)}" stroke="{GROUND}" stroke-width="16"/>'
    if low is not None and high is not None and low != high:
        a, b = x(low), x(high)
        out += f'<path class="band" d="M{px(a)} 4H{px(max(b, a + 1))}v16H{px(a)}z" fill="{SOFT}" stroke="{MAIN}"/>'
    if seen := sorted({round(x(v)) for v in others}):
        ticks = "".join(f"M{v} 6v12" for v in seen)
        out += f'<path d="{ticks}" stroke="{MUTED}"/>'
    if at is not None:
        out += f'<path d="M{px(x(at))} 1v22" stroke="{INK}" stroke-width="2.4"/>' + mark(status, x(at), 12, 4)
    if better:
        end, back = (width - 1, -6) if better == "up" else (1, 6)
        out += f'<path d="M{px(end)} 12l{back} -4v8z" fill="{INK}"/>'
    return picture(caption, "strip", width, height, out)
