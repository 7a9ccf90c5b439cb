"""Where things are: outlines of the 20 regions, places of settlements, and how both come onto the map's plane.

The data lie beside it in geometry/, with their sources. Does not belong here: colours and marks (maps.py), names (registries).
"""

from __future__ import annotations

import csv
import json
from functools import cache
from math import asin, atan2, cos, degrees, hypot, radians, sin, sqrt
from pathlib import Path
from typing import Any

from warehouse.charts.svg import path

HERE = Path(__file__).parent / "geometry"
SIZE = (712.0, 406.0)  # px of the map at natural size

# Albers' equal-area conic, so that regions compare by the area they cover: parallels and the middle meridian of Kazakhstan
_SOUTH, _NORTH, _MIDDLE = radians(43), radians(53), radians(67)
_N = (sin(_SOUTH) + sin(_NORTH)) / 2
_C = cos(_SOUTH) ** 2 + 2 * _N * sin(_SOUTH)
_EARTH = 6371.007  # km, radius of the sphere with the Earth's area
_KM_PER_PX, _LEFT, _TOP = 4.22, -1519.0, 859.5  # chosen so that the country fills SIZE


def _radius(lat: float) -> float:
    """Kilometres of a circle of latitude from the cone's tip on the plane."""
    return _EARTH * sqrt(_C - 2 * _N * sin(radians(lat))) / _N


def projected(lat: float, lon: float) -> tuple[float, float]:
    """Kilometres east and north of 48° N, 67° E on the conic's plane; WGS84 taken as a sphere."""
    angle, r = _N * (radians(lon) - _MIDDLE), _radius(lat)
    return r * sin(angle), _radius(48) - r * cos(angle)


def unprojected(east: float, north: float) -> tuple[float, float]:
    """Latitude and longitude of a place on the conic's plane."""
    down = _radius(48) - north
    r = hypot(east, down)
    return degrees(asin((_C - (r * _N / _EARTH) ** 2) / (2 * _N))), degrees(_MIDDLE + atan2(east, down) / _N)


def on_map(lat: float, lon: float) -> tuple[float, float]:
    """px on the map, from its left upper corner."""
    east, north = projected(lat, lon)
    return (east - _LEFT) / _KM_PER_PX, (_TOP - north) / _KM_PER_PX


@cache
def _regions_text() -> str:
    return (HERE / "regions.geojson").read_text(encoding="utf-8")


def regions_geojson() -> dict[str, Any]:
    """The 20 regions as a FeatureCollection in WGS84; `id` and `properties.kato2` are the first two digits of KATO."""
    loaded: dict[str, Any] = json.loads(_regions_text())
    return loaded


@cache
def outlines() -> dict[str, str]:
    """First two digits of KATO → path data on the map; cities lie last, above the regions around them."""
    found = {}
    for feature in regions_geojson()["features"]:
        polygons = feature["geometry"]["coordinates"]
        rings = [ring for polygon in polygons for ring in polygon]
        found[feature["id"]] = "".join(path((on_map(lat, lon) for lon, lat in ring[:-1]), close=True) for ring in rings)
    return dict(sorted(found.items(), key=lambda item: (item[0] >= "70", item[0])))


@cache
def places() -> dict[str, tuple[float, float]]:
    """KATO of a settlement → (latitude, longitude) in WGS84."""
    with (HERE / "places.csv").open(encoding="utf-8", newline="") as file:
        return {row["kato"]: (float(row["lat"]), float(row["lon"])) for row in csv.DictReader(file)}


def place(kato: str) -> tuple[float, float] | None:
    """px of a settlement on the map, None where its place is not known."""
    known = places().get(kato)
    return on_map(*known) if known else None
