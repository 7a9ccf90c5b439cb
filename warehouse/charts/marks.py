"""Marks by state of a value: a shape for each OBS_STATUS, so that a state is not told by colour alone.

Does not belong here: words for states (the caller has them), which state a value has (kpi_values/).
"""

from __future__ import annotations

from collections.abc import Callable

from warehouse.charts.svg import INK, MAIN, MUTED, PAPER, px


def _circle(x: float, y: float, r: float) -> str:
    return f'<circle cx="{px(x)}" cy="{px(y)}" r="{px(r)}"/>'


def _triangle(x: float, y: float, r: float) -> str:
    return f'<path d="M{px(x)} {px(y - r * 1.25)}l{px(r * 1.2)} {px(r * 2.1)}h{px(-r * 2.4)}z"/>'


def _diamond(x: float, y: float, r: float) -> str:
    return f'<path d="M{px(x)} {px(y - r * 1.4)}l{px(r * 1.4)} {px(r * 1.4)} {px(-r * 1.4)} {px(r * 1.4)} {px(-r * 1.4)} {px(-r * 1.4)}z"/>'


def _cross(x: float, y: float, r: float) -> str:
    return f'<path d="M{px(x - r)} {px(y - r)}l{px(2 * r)} {px(2 * r)}m0 {px(-2 * r)}l{px(-2 * r)} {px(2 * r)}"/>'


def _dash(x: float, y: float, r: float) -> str:
    return f'<path d="M{px(x - r)} {px(y)}h{px(2 * r)}"/>'


def _square(x: float, y: float, r: float) -> str:
    return f'<path d="M{px(x - r)} {px(y - r)}h{px(2 * r)}v{px(2 * r)}h{px(-2 * r)}z"/>'


Shape = Callable[[float, float, float], str]
FULL = f' fill="{MAIN}"'
HOLLOW = f' fill="{PAPER}" stroke="{MAIN}" stroke-width="1.6"'
MISSING = f' fill="none" stroke="{MUTED}" stroke-width="1.6"'
# OBS_STATUS → (shape, how it is painted)
SHAPES: dict[str, tuple[Shape, str]] = {
    "A": (_circle, FULL),
    "P": (_circle, HOLLOW),
    "U": (_triangle, HOLLOW),
    "B": (_diamond, f' fill="{PAPER}" stroke="{INK}" stroke-width="1.6"'),
    "L": (_cross, MISSING),
    "O": (_cross, MISSING),
    "M": (_dash, MISSING),
    "Q": (_square, MISSING),
}


def mark(status: str, x: float, y: float, r: float = 3) -> str:
    """The mark of one value: calculated a dot, provisional a ring, low coverage a triangle, series break a diamond.

    Where there is no value: not calculable a cross, not applicable a dash, suppressed an empty square; a state that is
    not in the code list looks like one that is not calculable.
    """
    shape, painted = SHAPES.get(status, SHAPES["L"])
    return f"<g{painted}>{shape(x, y, r)}</g>"
