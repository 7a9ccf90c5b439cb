"""Squares in rows and columns: a heat map of classed values, a calendar of deliveries.

Every square says by a number or a shape what its colour says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from warehouse.charts.svg import INK, MAIN, MUTED, PAPER, RAMP, Caption, fitting, picture, px, titled, width_of, words


@dataclass(frozen=True)
class Cell:
    """One square of a heat map: its class from 0 (low) to 4 (high) or None, the few letters in it, what a pointer shows."""

    level: int | None
    text: str = ""
    title: str = ""


@dataclass(frozen=True)
class Day:
    """One square of a calendar: what happened (a key of DELIVERED) or "" where nothing was expected, what a pointer shows."""

    kind: str
    title: str = ""


def _over(data: str, colour: str) -> str:
    return f'<path d="{data}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


_FULL = f'<path d="M.5.5h9v9h-9z" fill="{MAIN}" stroke="{MAIN}"/>'
_EMPTY = f'<path d="M.5.5h9v9h-9z" fill="{PAPER}" stroke="{INK}"/>'
# what happened to a delivery → its square of 10 × 10, full where the delivery was accepted
DELIVERED: dict[str, str] = {
    "accepted": _FULL,
    "late": f'{_FULL}<path d="M5 1.5l3.5 6.5h-7z" fill="{PAPER}"/>',  # accepted after its day
    "rejected_rows": _FULL + _over("M1.5 5h7", PAPER),  # accepted, some rows left out
    "refused": _EMPTY + _over("M2 2l6 6M8 2l-6 6", INK),
    "overdue": _EMPTY + _over("M5 1.5v4M5 7v1.6", INK),
    "waiting": f'<path d="M.5.5h9v9h-9z" fill="{PAPER}" stroke="{MUTED}" stroke-dasharray="2 2"/>',  # its day has not come
}


def _left(rows: Sequence[str], width: float, columns: int, least: float) -> float:
    """Room for the names of rows: as wide as they are, but squares keep their least side."""
    longest = max((width_of(name, 11) for name in rows), default=0) + 8
    return max(min(longest, width - least * columns), width * 0.2)


def _heads(columns: Sequence[str], left: float, side: float, foot: float) -> str:
    """Names of columns, written upwards."""
    out = ""
    for i, name in enumerate(columns):
        x = left + side * (i + 0.5) + 4
        out += f'<text transform="translate({px(x)} {px(foot)})rotate(-90)" font-size="11">{escape(fitting(name, foot, 11))}</text>'
    return out


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    caption: Caption,
    *,
    width: float = 360,
    head: float = 110,
) -> str:
    """A heat map: one sequence of cells for each row. `head` is the room for the names of columns, in px."""
    foot, high = min(head, max((width_of(c, 11) for c in columns), default=0) + 8), 24.0
    left = _left(rows, width, len(columns), 27)
    side = min((width - left) / max(len(columns), 1), 48)
    out = _heads(columns, left, side, foot - 4)
    for j, (name, line) in enumerate(zip(rows, cells, strict=True)):
        y = foot + high * j
        out += words(left - 6, y + 16, fitting(name, left - 8, 11), "end", size=11)
        for i, cell in enumerate(line):
            x = left + side * i
            box = f'x="{px(x + 1)}" y="{px(y + 1)}" width="{px(side - 2)}" height="{px(high - 2)}"'
            if cell.level is None:
                shape = f'<rect {box} fill="{PAPER}" stroke="{MUTED}" stroke-dasharray="2 2"/>'
                ink = MUTED
            else:
                level = min(max(cell.level, 0), len(RAMP) - 1)
                shape = f'<rect class="c{level}" {box} fill="{RAMP[level]}" stroke="{MUTED}" stroke-width=".6"/>'
                ink = INK if level < 3 else PAPER
            if cell.text and width_of(cell.text, 10) <= side:
                shape += words(x + side / 2, y + 16, cell.text, "middle", size=10, more=f' fill="{ink}"')
            out += titled(shape, cell.title)
    return picture(caption, "heat", width, foot + high * len(rows) + 2, out)


def day(kind: str, x: float, y: float, side: float = 10) -> str:
    """The square of one delivery, with its left upper corner at x, y."""
    scale = f"scale({px(side / 10)})" if side != 10 else ""
    return f'<g class="{kind}" transform="translate({px(x)} {px(y)}){scale}">{DELIVERED[kind]}</g>'


def calendar(
    rows: Sequence[str],
    columns: Sequence[str],
    days: Sequence[Sequence[Day]],
    caption: Caption,
    *,
    width: float = 360,
    head: float = 60,
) -> str:
    """Deliveries expected and what came: one sequence of days for each row, `columns` are the periods in order of time."""
    foot, high = min(head, max((width_of(c, 11) for c in columns), default=0) + 8), 18.0
    left = _left(rows, width, len(columns), 13)
    side = min((width - left) / max(len(columns), 1), 20)
    every = max(1, round(13 / side + 0.4)) if side else 1
    out = _heads([c if i % every == 0 else "" for i, c in enumerate(columns)], left, side, foot - 4)
    for j, (name, line) in enumerate(zip(rows, days, strict=True)):
        y = foot + high * j
        out += words(left - 6, y + 13, fitting(name, left - 8, 11), "end", size=11)
        for i, cell in enumerate(line):
            if cell.kind:
                out += titled(day(cell.kind, left + side * i + (side - 11) / 2, y + 3, min(side - 2, 11)), cell.title)
    return picture(caption, "calendar", width, foot + high * len(rows) + 2, out)
