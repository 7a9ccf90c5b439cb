"""The map: regions and settlements coloured by the class of a value, hatched where there is none.

Does not belong here: outlines and places (geography.py), which class a value has (the caller; `class_of` in svg.py counts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from warehouse.charts.geography import SIZE, outlines, place
from warehouse.charts.svg import INK, MUTED, PAPER, RAMP, Caption, picture, px, titled, width_of


@dataclass(frozen=True)
class Area:
    """One region: its class from 0 (low) to 4 (high) or None for no data, what a pointer shows."""

    level: int | None
    title: str = ""


@dataclass(frozen=True)
class Spot:
    """One settlement: its KATO, its class or None, what a pointer shows, a name to write beside it, how large (1 to 3)."""

    kato: str
    level: int | None
    title: str = ""
    name: str = ""
    size: int = 1


def hatch(pattern: str) -> tuple[str, str]:
    """No data as a hatch: its definition under the id `pattern`, and the fill that uses it."""
    return (
        f'<pattern id="{escape(pattern)}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<path d="M0 0h6v6h-6z" fill="{PAPER}"/><path d="M0 0v6" stroke="{MUTED}" stroke-width="2"/></pattern>',
        f"url(#{escape(pattern)})",
    )


def _paint(level: int | None, fill: str) -> str:
    return (
        f' class="none" fill="{fill}"'
        if level is None
        else f' class="c{level}" fill="{RAMP[min(max(level, 0), len(RAMP) - 1)]}"'
    )


def _spot(spot: Spot, fill: str) -> str:
    """A circle on a white edge; nothing where the settlement's place is not known."""
    at = place(spot.kato)
    if at is None:
        return ""
    x, y, r = at[0], at[1], 3.5 + 1.5 * spot.size
    shape = (
        f'<circle cx="{px(x)}" cy="{px(y)}" r="{px(r)}"{_paint(spot.level, fill)} stroke="{INK}" stroke-width="1.6"/>'
    )
    halo = f'<circle cx="{px(x)}" cy="{px(y)}" r="{px(r + 1.8)}" fill="{PAPER}"/>'
    return titled(halo + shape, spot.title)


_LETTERS = 22  # px of a name on the map, which is 712 px wide at natural size


def _names(spots: Sequence[Spot]) -> str:
    """Names over all circles, the largest settlements first; one that would run over another is left to the pointer and the table."""
    out, taken = "", list[tuple[float, float, float]]()  # left, right, height
    for spot in spots:
        at = place(spot.kato) if spot.name else None
        if at is None:
            continue
        (x, y), away, wide = at, 8.5 + 1.5 * spot.size, width_of(spot.name, _LETTERS)
        for side, left in (("start", x + away), ("end", x - away - wide)):
            inside = left >= 0 and left + wide <= SIZE[0]
            if inside and all(
                right < left or left + wide < start or abs(other - y) > _LETTERS for start, right, other in taken
            ):
                taken.append((left, left + wide, y))
                start = x + away if side == "start" else x - away
                out += (
                    f'<text x="{px(start)}" y="{px(y + 7)}" text-anchor="{side}" font-size="{_LETTERS}" stroke="{PAPER}" stroke-width="5"'
                    f' paint-order="stroke">{escape(spot.name)}</text>'
                )
                break
    return out


def kz_map(regions: Mapping[str, Area], spots: Sequence[Spot], caption: Caption) -> str:
    """Kazakhstan in its 20 regions. `regions` by the first two digits of KATO; a region that is not in it is hatched."""
    pattern, fill = hatch(f"{caption.id}-h")
    areas = ""
    for code, data in outlines().items():
        area = regions.get(code, Area(None))
        areas += titled(f'<path{_paint(area.level, fill)} d="{data}"/>', area.title)
    largest_first = sorted(spots, key=lambda s: -s.size)
    dots = "".join(_spot(s, fill) for s in reversed(largest_first)) + _names(largest_first)
    body = f'<defs>{pattern}</defs><g class="regions" stroke="{MUTED}" stroke-width="1.2" stroke-linejoin="round">{areas}</g><g class="spots">{dots}</g>'
    return picture(caption, "map", *SIZE, body)
