"""Charts for tests: one of each kind from fixed figures, and a reader of the markup that knows where every shape lies."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping

from warehouse.charts.geography import outlines, places
from warehouse.charts.grids import DELIVERED, Cell, Day, calendar, heat
from warehouse.charts.legends import legend_of_classes, legend_of_deliveries, legend_of_lines, legend_of_states
from warehouse.charts.lines import Point, line, sparkline
from warehouse.charts.maps import Area, Spot, kz_map
from warehouse.charts.rankings import Bar, bars, bullet, strip
from warehouse.charts.svg import FONT, Caption, width_of

SVG = "{http://www.w3.org/2000/svg}"
MONTHS = ("қаң", "ақп", "нау", "сәу", "мам", "мау", "шіл", "там", "қыр", "қаз", "қар", "жел")
# a year and a half: two periods not calculable, one not applicable, one suppressed, low coverage, a break, the last provisional
VALUES = (60.2, 62, 61.5, 64, None, None, 66, 65.1, 67, None, 70.3, 71, 69, None, 72.5, 74, 75.25, 78)
STATUSES = "AAAALLAUAMABAQAAAP"
TREND = [
    Point(
        f"{MONTHS[i % 12]} {2025 + i // 12}", v, v and v - 1.5 - i % 3, v and v + 2, 68 if i < 12 else 76, STATUSES[i]
    )
    for i, v in enumerate(VALUES)
]
ROWS = [
    Bar("1. Қосшы", 92.5, "92,5 %", 90, 94.1, "A"),
    Bar("2. Семей", 71, "71,0 %", 60, 80, "P", strong=True),
    Bar("3. Өскемен", 0, "0,0 %", 0, 4, "U"),
    Bar("4. Теміртау", -12, "−12,0 %", -15, -9, "B"),
    Bar("Риддер", None, "есептелмейді", status="L"),
]


def percent(value: float) -> str:
    return f"{value:g} %".replace(".", ",")


def examples() -> Mapping[str, str]:
    """Name → markup of one chart of each kind."""
    squares = [[Cell(i if i < 5 else None, str(i * 20), f"№ {i}") for i in range(6)], [Cell(4, "98")] * 6]
    kinds = [*DELIVERED, ""]
    return {
        "trend": line(TREND, Caption("trend", "Үлесі", "Өсті"), number=percent, better="up", better_text="көп — жақсы"),
        "sparkline": sparkline(TREND, Caption("spark", "Үлесі")),
        "ranking": bars(
            ROWS,
            Caption("ranking", "Салыстыру"),
            better="down",
            better_text="аз — жақсы",
            target=50,
            target_text="жоспар 50 %",
        ),
        "plan": bullet(62, 70, Caption("plan", "Жоспар"), low=58, high=66, number=percent),
        "plan_without_fact": bullet(None, 70, Caption("plan2", "Жоспар"), status="L", axis=False, width=120),
        "place": strip(
            [12, 15, 31.5, 40, 41, 66], 44, Caption("place", "Орны", "2-ден 3-ке дейін"), low=40.5, high=50, better="up"
        ),
        "quality": heat(
            ["Өтініштер", "Сумен жабдықтау"], [f"{n}-өлшем" for n in range(6)], squares, Caption("quality", "Сапа")
        ),
        "deliveries": calendar(
            ["Өтініштер"], MONTHS[:7], [[Day(k, k) for k in kinds]], Caption("deliveries", "Жеткізу")
        ),
        "map": kz_map(
            {code: Area(i % 6 if i % 6 < 5 else None, code) for i, code in enumerate(outlines())},
            [Spot(kato, i % 6 if i % 6 < 5 else None, kato, size=1 + i % 3) for i, kato in enumerate(places())],
            Caption("map", "Карта", "20 өңір"),
        ),
        "legend": legend_of_classes(["0–50", "50–100"], missing="дерек жоқ", id="key")
        + legend_of_states({s: s for s in "APUBLMQ"})
        + legend_of_lines(value="мән", bounds="шектері", target="жоспар")
        + legend_of_deliveries({kind: kind for kind in DELIVERED}),
    }


def corners(data: str) -> Iterator[tuple[float, float]]:
    """Every point that path data comes to."""
    x = y = 0.0
    first = (x, y)
    for letter, text in re.findall(r"([MmLlHhVvz])([^A-Za-z]*)", data):
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", text)]
        if letter == "z":
            x, y = first
        elif letter in "HhVv":
            for n in numbers:
                x = n if letter == "H" else x + n if letter == "h" else x
                y = n if letter == "V" else y + n if letter == "v" else y
                yield x, y
        else:
            for i, (a, b) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
                x, y = (a, b) if letter.isupper() else (x + a, y + b)
                first = (x, y) if letter in "Mm" and i == 0 else first
                yield x, y


def reach(element: ET.Element) -> Iterator[tuple[float, float]]:
    """Points that a shape or a text reaches, in the coordinates it is written in."""

    def at(name: str) -> float:
        return float(element.get(name, "0"))

    tag = element.tag.removeprefix(SVG)
    if tag == "path":
        yield from corners(element.get("d", ""))
    elif tag == "rect":
        yield at("x"), at("y")
        yield at("x") + at("width"), at("y") + at("height")
    elif tag == "circle":
        yield at("cx") - at("r"), at("cy") - at("r")
        yield at("cx") + at("r"), at("cy") + at("r")
    elif tag == "text":
        wide = width_of(element.text or "", float(element.get("font-size", FONT)))
        left = at("x") - {"start": 0, "middle": wide / 2, "end": wide}[element.get("text-anchor", "start")]
        yield left, at("y")
        yield left + wide, at("y") - FONT * 0.8


def shapes(
    root: ET.Element, moved: tuple[float, float] = (0, 0)
) -> Iterator[tuple[ET.Element, list[tuple[float, float]]]]:
    """Every shape with the points it reaches on the picture; patterns are left out, turned texts stand for their start."""
    for element in root:
        shift, turned = moved, "rotate" in element.get("transform", "")
        if found := re.match(r"translate\((\S+) (\S+?)\)", element.get("transform", "")):
            shift = (moved[0] + float(found[1]), moved[1] + float(found[2]))
        if element.tag.removeprefix(SVG) in ("defs", "pattern"):
            continue
        points = [(0.0, 0.0)] if turned else list(reach(element))
        if points:
            yield element, [(x + shift[0], y + shift[1]) for x, y in points]
        yield from shapes(element, shift)
