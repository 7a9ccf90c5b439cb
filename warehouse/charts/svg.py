"""Markup every chart is made of: the picture with its title, text, numbers as short as they may be, a scale and its ticks.

Does not belong here: what a chart shows. Colours are presentation attributes, so a style sheet may set others by class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

INK = "#1b2733"  # text and outlines: 15:1 on white
MUTED = "#56626e"  # axes, bounds, what is missing: 6:1
MAIN = "#1f5fa8"  # what is measured: 6:1
BAR = "#5a8fc4"  # a bar: 3.4:1 on white, and INK over it 4.4:1, so bounds are seen on it as well as beside it
SOFT = "#c3d4e8"  # a band behind the line; never alone, its edges are drawn in MAIN
RULE = "#d5dbe1"  # grid lines, which carry no meaning of their own
GROUND = "#f0f3f6"  # the field on which a bar or marks stand
# classes of a value from low to high, each darker than the one before it, so that they hold in grey print
RAMP = ("#e3edf6", "#b3d0e8", "#74a9d3", "#3a78b3", "#123f72")
PAPER = "#fff"

FONT = 12  # px at natural size; charts are drawn for the width of a telephone and may be shown wider
_LETTER = 0.58  # mean width of a letter as a part of the size of its type, Cyrillic included, on the safe side


@dataclass(frozen=True)
class Caption:
    """What a chart is called: `id` is unique on its page, `title` says what is drawn, `desc` what is to be seen in it."""

    id: str
    title: str
    desc: str = ""


def finite(value: float) -> float:
    """The value as a float. Raises ValueError for one that is not a number or not finite: nothing can be drawn of it."""
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"a chart cannot show {number}")
    return number


def px(value: float) -> str:
    """A coordinate with at most one decimal, as short as it can be written."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def plain(value: float) -> str:
    """A number where the caller gives no format of its own."""
    return f"{value:.6g}"


def width_of(text: str, size: float = FONT) -> float:
    """About how wide a text is in px: fonts are the reader's, so this is an estimate."""
    return len(text) * size * _LETTER


def fitting(text: str, width: float, size: float = FONT) -> str:
    """The text, or its beginning and an ellipsis where it would be wider than `width` px."""
    room = max(int(width / (size * _LETTER) + 0.01), 1)
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def words(x: float, y: float, text: str, anchor: str = "start", *, size: float = FONT, more: str = "") -> str:
    """A line of text with its baseline at y; `more` are further attributes."""
    side = "" if anchor == "start" else f' text-anchor="{anchor}"'
    big = "" if size == FONT else f' font-size="{px(size)}"'
    return f'<text x="{px(x)}" y="{px(y)}"{side}{big}{more}>{escape(text)}</text>'


def titled(markup: str, title: str) -> str:
    """Shapes with the text a pointer shows over them; without a title they stay as they are."""
    return f"<g><title>{escape(title)}</title>{markup}</g>" if title else markup


def path(points: Iterable[tuple[float, float]], *, close: bool = False) -> str:
    """Path data through points; each step is written from the point before it, which is shorter."""
    out, last = [], None
    for point in points:
        x, y = round(point[0], 1), round(point[1], 1)
        if last is None:
            out.append(f"M{px(x)} {px(y)}")
        else:
            out.append(f"l{px(x - last[0])} {px(y - last[1])}")
        last = (x, y)
    return "".join(out) + ("z" if close and out else "")


def picture(caption: Caption, kind: str, width: float, height: float, body: str) -> str:
    """The chart: an image with its title and description for readers who do not see it. Inside is `width` × `height`."""
    named, described = f"{escape(caption.id)}-t", f"{escape(caption.id)}-d"
    desc = f'<desc id="{described}">{escape(caption.desc)}</desc>' if caption.desc else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart {kind}" role="img"'
        f' aria-labelledby="{named}{" " + described if desc else ""}"'
        f' viewBox="0 0 {px(width)} {px(height)}" width="{px(width)}" height="{px(height)}"'
        + (f' font-family="sans-serif" font-size="{FONT}" fill="{INK}"' if "<text" in body else "")
        + f'><title id="{named}">{escape(caption.title)}</title>{desc}{body}</svg>'
    )


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to px between `start` and `end`; values outside stop at the ends."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high / 2 - self.low / 2  # halves: the difference of two very large numbers would not be finite
        part = (finite(value) / 2 - self.low / 2) / span if span else 0.5
        return self.start + (self.end - self.start) * min(max(part, 0.0), 1.0)


def spanning(values: Iterable[float | None], start: float, end: float, *, zero: bool = False) -> Scale:
    """A scale over the values that are there, a little wider; from zero where lengths are compared (`zero`)."""
    there = [finite(v) for v in values if v is not None] + ([0.0] if zero else [])
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    if low == high:
        low, high = (low - 1, high + 1) if abs(low) < 1 else (low - abs(low) / 10, high + abs(high) / 10)
        low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    spare = (high / 2 - low / 2) * 0.1
    if zero and low >= 0:
        low = 0.0
    else:
        low -= spare
    if zero and high <= 0:
        high = 0.0
    else:
        high += spare
    biggest = 1.7e308
    return Scale(max(low, -biggest), min(high, biggest), start, end)


def ticks(scale: Scale, count: int) -> list[float]:
    """At most about `count` round numbers between the ends of a scale."""
    span = scale.high / count - scale.low / count
    if not isfinite(span) or span <= 0:
        return [scale.low]
    power = 10.0 ** floor(log10(span))
    step = next((power * m for m in (1, 2, 5, 10) if power * m >= span), power * 10)
    if step == 0 or not isfinite(scale.low / step) or not isfinite(scale.high / step):
        return [scale.low]
    first, last = ceil(scale.low / step), floor(scale.high / step)
    return [step * k for k in range(first, min(last, first + count + 1) + 1)] or [scale.low]


def labelled(scale: Scale, count: int, number: Callable[[float], str]) -> list[tuple[float, str]]:
    """Ticks as (px, text); of ticks that read the same only the first stays."""
    seen: dict[str, float] = {}
    for value in ticks(scale, count):
        seen.setdefault(number(value), scale(value))
    return [(at, text) for text, at in seen.items()]


def better_words(direction: str, text: str) -> str:
    """The words for the good direction, with an arrow: `direction` is up, down or empty."""
    return f"{'↑' if direction == 'up' else '↓'} {text}" if direction and text else ""


def runs(values: Sequence[float | None]) -> list[list[int]]:
    """Indices of neighbours that all have a value: what may be joined by a line."""
    out: list[list[int]] = []
    for i, value in enumerate(values):
        if value is None:
            continue
        if out and out[-1][-1] == i - 1:
            out[-1].append(i)
        else:
            out.append([i])
    return out


def class_of(value: float, bounds: Sequence[float]) -> int:
    """Class of a value: how many of the ascending bounds it has reached, at most four of them."""
    return sum(finite(value) >= bound for bound in bounds[: len(RAMP) - 1])
