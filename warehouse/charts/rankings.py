"""One value beside others at one time: a ranking, plan beside fact, a place in a group.

Bounds are drawn with every value that has them: a place in a ranking is as sure as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse.charts.marks import mark
from warehouse.charts.svg import (
    INK,
    MAIN,
    MUTED,
    PAPER,
    RULE,
    SOFT,
    Caption,
    Scale,
    better_words,
    finite,
    fitting,
    labelled,
    picture,
    plain,
    px,
    spanning,
    titled,
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
    """The bounds as a line with ends, dark on a white edge so that it is seen on a bar as well as beside it."""
    if low is None or high is None:
        return ""
    a, b = px(x(finite(low))), px(x(finite(high)))
    data = f"M{a} {px(y - half)}v{px(2 * half)}M{b} {px(y - half)}v{px(2 * half)}M{a} {px(y)}H{b}"
    return f'<path d="{data}" stroke="{PAPER}" stroke-width="3.4"/><path d="{data}" stroke="{INK}" stroke-width="1.4"/>'


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
    """A ranking in the order given: name and value above, the bar with its bounds below them. `target` is a line through all."""
    step, top = 32.0, 20.0 if (better and better_text) or target_text else 4.0
    height = top + step * len(rows) + 4
    x = spanning([n for r in rows for n in (r.value, r.low, r.high)] + [target], 2, width - 2, zero=True)
    zero = x(0.0)
    out = ""
    for i, row in enumerate(rows):
        y = top + step * i
        strong = ' font-weight="bold"' if row.strong else ""
        name = fitting(row.label, width - width_of(row.shown) - 26)
        shape = words(14, y + 13, name, more=strong) + words(width - 2, y + 13, row.shown, "end", more=strong)
        if row.value is None:
            shape += f'<path d="M2 {px(y + 22)}H{px(width - 2)}" stroke="{MUTED}" stroke-dasharray="2 4"/>'
        else:
            at = x(finite(row.value))
            shape += (
                f'<rect x="{px(min(at, zero))}" y="{px(y + 18)}" width="{px(max(abs(at - zero), 1))}" height="8"'
                f' fill="{INK if row.strong else MAIN}"/>'
            )
            shape += _whisker(x, row.low, row.high, y + 22, 3.5)
        out += shape + mark(row.status, 6, y + 9, 3.2)
    if target is not None:
        at = px(x(finite(target)))
        out += f'<path class="target" d="M{at} {px(top)}V{px(height - 2)}" stroke="{INK}" stroke-width="1.6" stroke-dasharray="5 3"/>'
        out += words(width - 2, 12, target_text, "end", size=11) if target_text else ""
    told = better_words(better, better_text)
    out += words(2, 12, told, size=11) if told else ""
    return picture(
        caption, "bars", width, height, f'<path d="M{px(zero)} {px(top)}V{px(height)}" stroke="{MUTED}"/>' + out
    )


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
    zero = x(0.0)
    out = f'<path d="M{px(x.start)} 10H{px(x.end)}" stroke="{RULE}" stroke-width="12"/>'
    if fact is not None:
        at = x(finite(fact))
        out += f'<rect x="{px(min(at, zero))}" y="6" width="{px(max(abs(at - zero), 1))}" height="8" fill="{MAIN}"/>'
        out += _whisker(x, low, high, 10, 3.5)
        out += mark(status, at, 10, 3.4) if status != "A" else ""
    else:
        out += mark(status, zero + 8, 10, 3.4)
    if target is not None:
        at = px(x(finite(target)))
        out += f'<path class="target" d="M{at} 1v18" stroke="{PAPER}" stroke-width="6"/><path d="M{at} 1v18" stroke="{INK}" stroke-width="3"/>'
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
    seen = dict.fromkeys(px(x(finite(v))) for v in others)
    out = f'<path d="M6 12H{px(width - 6)}" stroke="{RULE}" stroke-width="14"/>'
    if low is not None and high is not None:
        a, b = x(finite(low)), x(finite(high))
        out += f'<path class="band" d="M{px(a)} 4H{px(max(b, a + 1))}v16H{px(a)}z" fill="{SOFT}" stroke="{MAIN}"/>'
    out += f'<path d="{"".join(f"M{v} 6v12" for v in seen)}" stroke="{MUTED}" stroke-width="1.4"/>' if seen else ""
    if at is not None:
        place = x(finite(at))
        out += f'<path d="M{px(place)} 1v22" stroke="{INK}" stroke-width="2.4"/>' + mark(status, place, 12, 4)
    if better:
        end = width - 1 if better == "up" else 1
        out += f'<path d="M{px(end)} 12l{px(-5 if better == "up" else 5)} -4v8z" fill="{INK}"/>'
    return picture(caption, "strip", width, height, titled(out, caption.desc))
