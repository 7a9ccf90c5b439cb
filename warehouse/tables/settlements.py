"""Names of settlements as people write them: in three languages, in any letter case, with or without Kazakh letters, mistyped."""

from __future__ import annotations

import csv
import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Kazakh letters as who has none types them, and ё
_PLAIN = str.maketrans("әғқңөұүһіё", "агкноуухие")
_ALIKE, _SHOWN = 0.6, 5
Named = tuple[str, Sequence[str]]  # KATO, its names


def registered() -> list[Named]:
    """Every registered settlement and its names in English, Russian and Kazakh, without opening the warehouse."""
    with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
        return [(row["kato"], (row["name_en"], row["name_ru"], row["name_kk"])) for row in csv.DictReader(handle)]


def places() -> Iterator[str]:
    """Every name of a settlement or region, in three languages."""
    for file in ("settlements.csv", "regions.csv"):
        with (REGISTRY_FILES / file).open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                yield from (row["name_en"], row["name_ru"], row["name_kk"])


def folded(name: str) -> str:
    """A name in the form in which names are compared."""
    letters = unicodedata.normalize("NFC", name).casefold().replace("-", " ")
    return " ".join(letters.split()).removeprefix("г. ").removeprefix("қ. ").translate(_PLAIN)


def named(text: str, among: Iterable[Named]) -> list[Named]:
    """Those of which it is a name, or the code."""
    wanted = folded(text)
    return [one for one in among if text.strip() == one[0] or wanted in map(folded, one[1])]


def nearest(text: str, among: Iterable[Named]) -> list[str]:
    """What may be meant, the likeliest first, as `710000000 Astana`; in the language and letters it was written in."""
    wanted, code = folded(text), text.strip().isdigit()
    found = []
    for kato, names in among:
        if code:
            likeness, name = _same_beginning(text.strip(), kato), names[0]
        else:
            written = text.casefold()
            likeness, _, name = max((_alike(wanted, folded(n)), _alike(written, n.casefold()), n) for n in names)
        found.append((-likeness, kato, name))
    least = -_ALIKE if not code else -1 / 3
    return [f"{kato} {name}" for likeness, kato, name in sorted(found) if likeness <= least][:_SHOWN]


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _same_beginning(text: str, kato: str) -> float:
    """Codes are alike in their beginning: region, then district."""
    same = next((n for n, (a, b) in enumerate(zip(text, kato, strict=False)) if a != b), min(len(text), len(kato)))
    return same / len(kato)


REGISTRY_FILES = Path(__file__).parents[1] / "registries"


def settlements(language: str = "en") -> dict[str, str]:
    """KATO code → name of every registered settlement in a language, without opening the warehouse."""
    with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
        return {row["kato"]: row[f"name_{language}"] for row in csv.DictReader(handle)}


def territory(scope: str) -> str:
    """A territory under the name it goes by here: a region with a single settlement, as Almaty's 75, is that settlement."""
    inside = [kato for kato in settlements() if kato[:2] == scope]
    return inside[0] if len(inside) == 1 else scope


def time_zones() -> dict[str, str]:
    """KATO code → IANA zone of every registered settlement: its civil time, then and now."""
    with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
        return {row["kato"]: row["time_zone"] for row in csv.DictReader(handle)}
