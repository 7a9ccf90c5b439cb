"""A value through time: a trend with axes, and the same as a small line for a row of a table.

A period without a value is a gap: never joined, never zero. Bounds are a band, targets are steps that change from period to period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse.charts.marks import mark
from warehouse.charts.svg import (
    INK,
    MAIN,
    MUTED,
    RULE,
    SOFT,
    Caption,
    Scale,
    better_words,
    labelled,
    path,
    picture,
    plain,
    px,
    runs,
    spanning,
    titled,
    width_of,
    words,
)


@dataclass(frozen=True)
class Point:
    """One period: its label, its value or None, the bounds of the value, the plan for it, its OBS_STATUS."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    status: str = "A"


def _numbers(points: Sequence[Point]) -> list[float | None]:
    return [n for p in points for n in (p.value, p.low, p.high, p.target)]


def _band(points: Sequence[Point], xs: Sequence[float], y: Scale) -> str:
    """The bounds of values that follow one another, as an area with edges; of one alone, as an upright line."""
    known = [p.low if p.value is not None and p.high is not None else None for p in points]
    if all(p.low == p.high for p in points):
        return ""
    areas, edges = "", ""
    for run in runs(known):
        upper = [(xs[i], y(points[i].high or 0)) for i in run]
        lower = [(xs[i], y(points[i].low or 0)) for i in run]
        if len(run) == 1:
            edges += path([upper[0], lower[0]])
        else:
            areas += path([*upper, *reversed(lower)], close=True)
            edges += path(upper) + path(lower)
    area = f'<path class="band" d="{areas}" fill="{SOFT}"/>' if areas else ""
    return area + (f'<path d="{edges}" fill="none" stroke="{MAIN}" stroke-width=".6"/>' if edges else "")


def _joined(values: Sequence[float | None], xs: Sequence[float], y: Scale) -> str:
    data = "".join(path((xs[i], y(values[i] or 0)) for i in run) for run in runs(values) if len(run) > 1)
    return f'<path class="line" d="{data}" fill="none" stroke="{MAIN}" stroke-width="2"/>' if data else ""


def _steps(points: Sequence[Point], xs: Sequence[float], y: Scale, ends: tuple[float, float]) -> str:
    """The plan as level steps, each as wide as its periods, between the ends of the chart."""
    half = (xs[1] - xs[0]) / 2 if len(xs) > 1 else ends[1]
    data, first = "", 0
    for i, point in enumerate(points):
        if i + 1 == len(points) or points[i + 1].target != point.target:
            if point.target is not None:
                left, right = max(xs[first] - half, ends[0]), min(xs[i] + half, ends[1])
                data += f"M{px(left)} {px(y(point.target))}H{px(right)}"
            first = i + 1
    dashes = f'stroke="{INK}" stroke-width="1.6" stroke-dasharray="5 3"'
    return f'<path class="target" d="{data}" fill="none" {dashes}/>' if data else ""


def _periods(points: Sequence[Point], xs: Sequence[float], y: float, left: float, right: float) -> str:
    """Names under the axis: the first, the last, and one between them where there is room."""
    if not points:
        return ""
    n = len(points)
    wanted = dict.fromkeys([0, n - 1, n // 2] if n > 4 else [0, n - 1])
    taken: list[tuple[float, float]] = []
    out = ""
    for i in wanted:
        wide = width_of(points[i].label, 11)
        start = min(max(xs[i] - wide / 2, left), right - wide)
        if all(start > end + 6 or start + wide < begin - 6 for begin, end in taken):
            taken.append((start, start + wide))
            anchor, at = ("start", start) if start == left else ("middle", start + wide / 2)
            anchor, at = ("end", right) if start == right - wide and start != left else (anchor, at)
            out += words(at, y, points[i].label, anchor, size=11)
    return f'<g fill="{MUTED}">{out}</g>'


def line(
    points: Sequence[Point],
    caption: Caption,
    *,
    number: Callable[[float], str] = plain,
    better: str = "",
    better_text: str = "",
    width: float = 360,
    height: float = 180,
) -> str:
    """A trend with axes. `points` in order of time; `number` writes a value for a reader; `better` is up, down or empty."""
    top, bottom = (24.0 if better and better_text else 10.0), height - 24.0
    y = spanning(_numbers(points), bottom, top)
    scale_marks = labelled(y, 4, number)
    left = max((width_of(text, 11) for _, text in scale_marks), default=0) + 8
    right = width - 8
    n = len(points)
    xs = [left + 8 + (right - left - 16) * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
    grid = "".join(f"M{px(left)} {px(at)}H{px(right)}" for at, _ in scale_marks)
    side = "".join(words(left - 6, at + 4, text, "end", size=11) for at, text in scale_marks)
    shapes = ""
    for point, x in zip(points, xs, strict=True):
        if point.value is None:
            shapes += titled(mark(point.status, x, bottom - 5), point.label)
        else:
            shown = f"{point.label}: {number(point.value)}"
            shapes += titled(mark(point.status, x, y(point.value), 2.6 if point.status == "A" else 3.4), shown)
    told = better_words(better, better_text)
    body = (
        f'<path d="{grid}" stroke="{RULE}"/><g fill="{MUTED}">{side}</g>'
        + (words(left, 12, told, size=11) if told else "")
        + _band(points, xs, y)
        + _steps(points, xs, y, (left, right))
        + _joined([p.value for p in points], xs, y)
        + shapes
        + f'<path d="M{px(left)} {px(bottom)}H{px(right)}" stroke="{MUTED}"/>'
        + _periods(points, xs, height - 8, left, right)
    )
    return picture(caption, "trend", width, height, body)


def sparkline(points: Sequence[Point], caption: Caption, *, width: float = 120, height: float = 32) -> str:
    """The same without axes, for a row of a table: the line, its gaps, the marks that are not plain, the last value."""
    y = spanning([p.value for p in points] + [p.target for p in points], height - 5, 5)
    n = len(points)
    xs = [5 + (width - 10) * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
    alone = {run[0] for run in runs([p.value for p in points]) if len(run) == 1}
    last = max((i for i, p in enumerate(points) if p.value is not None), default=-1)
    shapes = ""
    for i, point in enumerate(points):
        if point.value is None:
            shapes += mark(point.status, xs[i], height - 4, 1.6)
        elif point.status != "A" or i == last or i in alone:
            shapes += mark(point.status, xs[i], y(point.value), 2.4)
    body = _steps(points, xs, y, (0, width)) + _joined([p.value for p in points], xs, y) + shapes
    return picture(caption, "spark", width, height, body)
