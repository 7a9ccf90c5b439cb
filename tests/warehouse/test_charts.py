"""Charts: what they look like (golden files), and what holds of them whatever the figures are."""

from __future__ import annotations

import itertools
import os
import re
import xml.etree.ElementTree as ET
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.drawings import ROWS, SVG, TREND, examples, shapes
from warehouse.charts.grids import DELIVERED, Cell, Day, calendar, heat
from warehouse.charts.lines import Point, line, sparkline
from warehouse.charts.maps import Area, Spot, kz_map
from warehouse.charts.marks import SHAPES, mark
from warehouse.charts.rankings import Bar, bars, bullet, strip
from warehouse.charts.svg import BAR, GROUND, INK, MAIN, MUTED, PAPER, RAMP, Caption, Scale, class_of, runs, ticks
from warehouse.tables.obs_status import ObsStatus

GOLDEN = Path(__file__).parents[1] / "snapshots/charts"
CAPTION = Caption("c", "Title & <more>", "What is “seen”")
usual = settings(deadline=None, derandomize=True, database=None)

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
maybe = st.none() | numbers
# letters that XML may hold
names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=18)
statuses = st.sampled_from([*SHAPES])
points = st.builds(Point, names, maybe, maybe, maybe, maybe, statuses)
rows = st.builds(Bar, names, maybe, names, maybe, maybe, statuses, st.booleans())
directions = st.sampled_from(["", "up", "down"])


def picture(markup: str) -> ET.Element:
    """The chart, read as XML, with all it draws inside its view box and no id twice."""
    root = ET.fromstring(markup)  # noqa: S314
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for element, reached in shapes(root):
        for x, y in reached:
            inside = left - 0.6 <= x <= width + 0.6 and top - 0.6 <= y <= height + 0.6
            assert inside, (ET.tostring(element, "unicode"), x, y)
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    return root


# ---- how they look


@pytest.mark.parametrize("name", list(examples()))
def test_a_chart_is_the_recorded_one(name: str) -> None:
    """Look at the picture before recording it: QALA_UPDATE_SNAPSHOTS=1 pytest tests/warehouse/test_charts.py."""
    text, file = examples()[name] + "\n", GOLDEN / f"{name}.{'html' if name == 'legend' else 'svg'}"
    if os.environ.get("QALA_UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_recorded_chart_is_still_drawn() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(examples())


@pytest.mark.parametrize("name", [n for n in examples() if n != "legend"])
def test_a_chart_is_told_to_those_who_do_not_see_it(name: str) -> None:
    root = picture(examples()[name])
    assert root.attrib["role"] == "img"
    told = {e.attrib["id"]: e.text for e in root if e.tag in (f"{SVG}title", f"{SVG}desc")}
    assert list(told) == root.attrib["aria-labelledby"].split()
    assert all(told.values())
    assert all(e.text for e in root.iter(f"{SVG}title"))


def test_small_charts_are_small() -> None:
    """A settlement's page has some sixty of each of them, and there are 270 such pages."""
    sizes = {name: len(examples()[name]) for name in ("sparkline", "plan_without_fact", "place")}
    assert all(size < 1300 for size in sizes.values()), sizes


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("shape", "ground", "least"),
    [
        (INK, PAPER, 4.5), (MUTED, PAPER, 4.5),  # text
        (BAR, PAPER, 3), (BAR, GROUND, 3), (INK, BAR, 3), (MAIN, PAPER, 3), (MUTED, GROUND, 3),
        (MUTED, PAPER, 3),  # the outline of every class, so that the lightest is seen too
        *((INK, colour, 4.5) for colour in RAMP[:3]), *((PAPER, colour, 4.5) for colour in RAMP[3:]),
    ],
)  # fmt: skip
def test_shapes_and_text_stand_out(shape: str, ground: str, least: float) -> None:
    assert contrast(shape, ground) >= least


def test_classes_hold_in_grey_print() -> None:
    assert all(contrast(one, next_one) > 1.3 for one, next_one in itertools.pairwise(RAMP))
    assert sorted(RAMP, key=luminance, reverse=True) == list(RAMP)


def test_every_state_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == {status.value for status in ObsStatus}
    drawn = [mark(status, 8, 8) for status in "APUBLMQ"]
    assert len(set(drawn)) == len(drawn)
    assert mark("?", 8, 8) == mark("L", 8, 8)


# ---- gaps, bounds, plans


def test_what_has_no_value_is_a_gap() -> None:
    assert runs([1, None, 2, 3, None, None, 4]) == [[0], [2, 3], [6]]
    root = picture(line(TREND, CAPTION))
    joined = next(e.attrib["d"] for e in root.iter(f"{SVG}path") if e.get("class") == "line")
    several = [run for run in runs([p.value for p in TREND]) if len(run) > 1]
    assert joined.count("M") == len(several)
    assert joined.count("l") == sum(len(run) - 1 for run in several)


def test_a_gap_is_not_zero() -> None:
    there = picture(line([Point("a", 50), Point("b", 51)], CAPTION))
    gap = picture(line([Point("a", 50), Point("b", 51), Point("c", None, status="L")], CAPTION))
    texts = [[e.text for e in root.iter(f"{SVG}text") if (e.text or "")[0].isdigit()] for root in (there, gap)]
    assert texts[0] == texts[1]  # the axis is as it was: it does not reach down to zero


def test_a_plan_that_changes_is_drawn_in_steps() -> None:
    points = [Point(str(i), 1.0 * i, target=3 if i < 2 else 5) for i in range(4)]
    steps = next(e.attrib["d"] for e in picture(line(points, CAPTION)).iter(f"{SVG}path") if e.get("class") == "target")
    assert steps.count("M") == 2


def test_bars_begin_at_zero() -> None:
    root = picture(bars(ROWS, CAPTION))
    boxes = [(float(e.attrib["x"]), float(e.attrib["width"])) for e in root.iter(f"{SVG}rect")]
    zero = boxes[0][0]
    assert boxes[1][0] == zero
    assert boxes[3][0] + boxes[3][1] == pytest.approx(zero, abs=0.2)  # the negative one ends there
    assert boxes[1][1] / boxes[0][1] == pytest.approx(71 / 92.5, abs=0.01)


@pytest.mark.parametrize("wrong", [nan, inf, -inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    for drawn in (
        lambda: line([Point("a", wrong)], CAPTION),
        lambda: line([Point("a", 1, wrong, 2)], CAPTION),
        lambda: sparkline([Point("a", wrong)], CAPTION),
        lambda: bars([Bar("a", wrong, "?")], CAPTION),
        lambda: bullet(1, wrong, CAPTION),
        lambda: strip([wrong], 1, CAPTION),
        lambda: class_of(wrong, [1]),
    ):
        with pytest.raises(ValueError, match="cannot show"):
            drawn()


def test_classes_are_counted_from_their_bounds() -> None:
    assert [class_of(v, [20, 40, 60, 80]) for v in (-5, 0, 20, 39.9, 79, 80, 1000)] == [0, 0, 1, 1, 3, 4, 4]
    assert class_of(9, [1, 2, 3, 4, 5, 6]) == len(RAMP) - 1


# ---- whatever the figures are


@usual
@given(st.lists(points, max_size=30), directions, names, st.integers(160, 900))
def test_trends(given_points: list[Point], better: str, text: str, width: int) -> None:
    picture(line(given_points, CAPTION, better=better, better_text=text, width=width))
    picture(sparkline(given_points, CAPTION))


@usual
@given(st.lists(rows, max_size=12), directions, names, maybe, names)
def test_rankings(given_rows: list[Bar], better: str, text: str, target: float | None, target_text: str) -> None:
    text, target_text = text[:14], target_text[:14]
    root = picture(bars(given_rows, CAPTION, better=better, better_text=text, target=target, target_text=target_text))
    assert len(list(root.iter(f"{SVG}rect"))) == sum(row.value is not None for row in given_rows)


@usual
@given(maybe, maybe, maybe, maybe, statuses, st.booleans())
def test_plans(
    fact: float | None, target: float | None, low: float | None, high: float | None, status: str, axis: bool
) -> None:
    picture(bullet(fact, target, CAPTION, low=low, high=high, status=status, axis=axis))


@usual
@given(st.lists(numbers, max_size=50), maybe, maybe, maybe, statuses, directions)
def test_places_in_a_group(
    others: list[float], at: float | None, low: float | None, high: float | None, status: str, better: str
) -> None:
    picture(strip(others, at, CAPTION, low=low, high=high, status=status, better=better))


@usual
@given(st.data(), st.lists(names, max_size=6), st.lists(names, max_size=24))
def test_grids(data: st.DataObject, lines: list[str], columns: list[str]) -> None:
    cells = st.builds(Cell, st.none() | st.integers(-2, 9), st.text("0123456789,", max_size=3), names)
    days = st.builds(Day, st.sampled_from(["", *DELIVERED]), names)

    def squares(of: st.SearchStrategy[Any]) -> Any:
        row = st.lists(of, min_size=len(columns), max_size=len(columns))
        return data.draw(st.lists(row, min_size=len(lines), max_size=len(lines)))

    picture(heat(lines, columns, squares(cells), CAPTION))
    picture(calendar(lines, columns, squares(days), CAPTION))


@usual
@given(
    st.dictionaries(st.sampled_from(["10", "71", "99"]), st.builds(Area, st.none() | st.integers(-1, 9), names)),
    st.lists(
        st.builds(Spot, st.sampled_from(["710000000", "471010000", "000000000"]), st.none() | st.integers(0, 4), names)
    ),
)
def test_maps(regions: dict[str, Area], spots: list[Spot]) -> None:
    root = picture(kz_map(regions, spots, CAPTION))
    areas = next(e for e in root if e.get("class") == "regions")
    assert len(list(areas.iter(f"{SVG}path"))) == 20


@usual
@given(numbers, numbers, st.integers(1, 6))
def test_ticks_are_few_and_inside(one: float, other: float, count: int) -> None:
    scale = Scale(float(min(one, other)), float(max(one, other)), 0, 100)
    found = ticks(scale, count)
    assert 1 <= len(found) <= count + 3
    assert found == sorted(found)


def test_numbers_in_the_markup_are_short() -> None:
    for markup in examples().values():
        assert not re.search(r"\d\.\d{2,}", re.sub(r"<(title|desc|text)\b.*?</\1>", "", markup))
