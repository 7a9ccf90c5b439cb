"""Names of settlements and regions as people write them: in three languages, with `г.` or `қаласы`, former ones, without Kazakh letters, mistyped.

Names are data (registries/*.csv, former_names.csv); here is how they are compared. What is resolved is never guessed: a text that is near a name
and not one is answered by what may be meant.
"""

from __future__ import annotations

import csv
import difflib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from kpi_definitions.nearest import either

REGISTRY_FILES = Path(__file__).parents[1] / "registries"
_FORMER = Path(__file__).with_name("former_names.csv")
COUNTRY = "KZ"
# Kazakh letters as who has none types them, and ё
_PLAIN = str.maketrans("әғқңөұүһіё", "агкноуухие")
# letters that look alike, where a word has mostly letters of the other alphabet
_LOOKS, _LIKE_THEM = "aceopxyktmhbi", "асеорхуктмнви"
_CYRILLIC, _LOOK_LATIN = str.maketrans(_LOOKS, _LIKE_THEM), str.maketrans(_LIKE_THEM[:-1], _LOOKS[:-1])
_WRITTEN = """
а:a б:b в:v г:g д:d е:e ё:e ж:zh з:z и:i й:y к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts ч:ch ш:sh щ:shch ъ: ы:y ь: э:e ю:yu я:ya
ә:a ғ:g қ:k ң:n ө:o ұ:u ү:u һ:h і:i
"""
_LATIN = {pair[0]: pair[2:] for pair in _WRITTEN.split()}
# what stands beside a name and is no part of it: г. Астана, Астана қаласы, Г.А., City of Astana
_OF_CITIES = frozenset(
    ["г", "гор", "город", "города", "га", "а", "к", "кала", "каласы", "ка", "c", "с", "city", "town", "of", "the"]
)
_OF_REGIONS = frozenset(["область", "области", "обл", "облысы", "облыс", "region", "oblast", "obl"])
_OF_COUNTRY = frozenset(("kz", "kazakhstan", "казахстан", "рк", "республикаказахстан"))
_ALIKE, _CLOSE, _SHOWN = 0.6, 0.15, 5
Named = tuple[str, Sequence[str]]  # KATO, its names in English, Russian and Kazakh


class UnknownPlaceError(ValueError):
    """A text that names no settlement or region, or several; the message says which are meant."""


def registered(file: str = "settlements.csv") -> list[Named]:
    """Every registered settlement and its names in English, Russian and Kazakh, without opening the warehouse."""
    with (REGISTRY_FILES / file).open(encoding="utf-8", newline="") as handle:
        return [(row["kato"], (row["name_en"], row["name_ru"], row["name_kk"])) for row in csv.DictReader(handle)]


def regions() -> list[Named]:
    """As `registered`, of regions that are no settlement themselves."""
    return [one for one in registered("regions.csv") if one[0] not in settlements()]


def places() -> Iterator[str]:
    """Every name of a settlement or region, in three languages."""
    for file in ("settlements.csv", "regions.csv"):
        for _, names in registered(file):
            yield from names


@cache
def former_names() -> dict[str, tuple[str, ...]]:
    """KATO → names that a settlement once had, or is also called by."""
    found: dict[str, tuple[str, ...]] = {}
    with _FORMER.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            found[row["kato"]] = (*found.get(row["kato"], ()), row["name"])
    return found


def folded(name: str) -> str:
    """A name in the form in which words are compared."""
    letters = unicodedata.normalize("NFC", name).casefold().replace("-", " ")
    return " ".join(letters.split()).removeprefix("г. ").removeprefix("қ. ").translate(_PLAIN)


def transliterated(text: str) -> str:
    """Russian and Kazakh letters as Latin ones, in lower case."""
    return "".join(_LATIN.get(c, c) for c in text.casefold())


def _words(text: str) -> list[str]:
    """The words of a name in lower case, Kazakh letters as plain ones, Latin letters without accents."""
    letters = unicodedata.normalize("NFC", text).casefold().translate(_PLAIN)
    if sum("а" <= c <= "я" for c in letters) * 2 > sum(map(str.isalpha, letters)):
        letters = letters.translate(_CYRILLIC)
    else:
        letters = letters.translate(_LOOK_LATIN)
        letters = "".join(c for c in unicodedata.normalize("NFD", letters) if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in letters).split()


@cache
def _bare(text: str) -> str:
    """A name without what stands beside it, in one word: `г. Усть-Каменогорск` and `Усть Каменогорск қаласы` are the same."""
    words = _words(text)
    return "".join([w for w in words if w not in _OF_CITIES and w not in _OF_REGIONS] or words)


@cache
def _sound(text: str) -> str:
    """A bare name in Latin letters: `Қарағанды`, `Karagandy` and `Qaragandy` are the same."""
    return transliterated(_bare(text)).replace("q", "k").replace("yy", "y").replace("iy", "y")


def _same(text: str, name: str) -> bool:
    return bool(_bare(text)) and (_bare(text) == _bare(name) or _sound(text) == _sound(name))


def formerly(text: str, one: Named) -> bool:
    """Whether a text that names a settlement is a name it once had."""
    return text.strip() != one[0] and not any(_same(text, name) for name in one[1])


def _of_region(text: str) -> bool:
    return not _OF_REGIONS.isdisjoint(_words(text))


def named(text: str, among: Iterable[Named]) -> list[Named]:
    """Those of which it is a name, or the code; of none, those of which it is a former name."""
    listed = list(among)
    if now := [one for one in listed if text.strip() == one[0] or any(_same(text, name) for name in one[1])]:
        return now
    return [one for one in listed if any(_same(text, name) for name in former_names().get(one[0], ()))]


def places_named(text: str, towns: Sequence[Named], provinces: Sequence[Named]) -> list[Named]:
    """The settlement or the region that a text names; several if it may be any of them; provinces also by the first two digits.

    The present name of a settlement comes before all else; a name it had, which is a region's too, may be either (`Акмола`).
    """
    code = text.strip()
    if code.isdigit():
        return [one for one in (*towns, *provinces) if one[0] == code or (one in provinces and one[0][:2] == code)]
    found = [] if _of_region(text) else named(text, towns)
    if any(_same(text, name) for one in found for name in one[1]):
        return found
    return found + [one for one in provinces if any(_same(text, name) for name in one[1])]


def nearest(text: str, among: Iterable[Named]) -> list[str]:
    """What may be meant, the likeliest first, as `710000000 Astana`; in the language and letters it was written in."""
    code = text.strip()
    if code.isdigit():
        found = [
            (-same, f"{kato} {names[0]}") for kato, names in among if (same := _same_beginning(code, kato)) >= 1 / 3
        ]
    else:
        found = list(_like_names(text, among))
    least = min((likeness for likeness, _ in found), default=0.0) + _CLOSE
    return [told for likeness, told in sorted(found) if likeness <= least][:_SHOWN]


def _like_names(text: str, among: Iterable[Named]) -> Iterator[tuple[float, str]]:
    """(likeness, negative; what is told) of each settlement or region with a name like a text."""
    like = _like(text)
    for kato, names in among:
        now, name = max((like(name), name) for name in names)
        was, former = max(((like(name), name) for name in former_names().get(kato, ())), default=(0.0, ""))
        if max(now, was):
            yield -max(now, was), f"{kato} {_present(text, names)} ({former})" if was > now else f"{kato} {name}"


def scope_of(text: str) -> str:
    """What a delivery may be declared for, by code or name: nine digits of a settlement, two of a region, KZ. Raises UnknownPlaceError."""
    if is_country(text):
        return COUNTRY
    towns, provinces = registered(), regions()
    if text.strip() in {kato[:2] for kato, _ in towns}:
        return text.strip()
    kato, _ = one_place(text, towns, provinces)
    return kato if kato in settlements() else kato[:2]


def is_country(text: str) -> bool:
    return _bare(text) in _OF_COUNTRY


def several(text: str, found: Iterable[Named]) -> str:
    """What is said of a text that names more than one place."""
    told = (f"{kato} {_present(text, names)}" for kato, names in found)
    return f"{_short(text)} may be {either(told)}: write the code"


def one_place(text: str, towns: Sequence[Named], provinces: Sequence[Named] = ()) -> Named:
    """The settlement, or the region where there are `provinces`, that a text names. Raises UnknownPlaceError naming what may be meant."""
    found = places_named(text, towns, provinces)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownPlaceError(several(text, found))
    near = nearest(text, [*towns, *provinces])
    what = "settlement, region or KZ" if provinces else "settlement"
    meant = f"did you mean {either(near)}? " if near else ""
    raise UnknownPlaceError(f"{_short(text)} is no {what}; {meant}all {len(towns)}: qala settlements")


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}…"


def _present(text: str, names: Sequence[str]) -> str:
    """Of names in English, Russian and Kazakh, the one in the letters of a text."""
    letters = text.casefold()
    if any(c in "әғқңөұүһі" for c in letters):
        return names[2]
    return names[1] if any("а" <= c <= "я" for c in letters) else names[0]


def _like(text: str) -> Callable[[str], float]:
    """How like a text a name is: as it is written weighs a little, so that the language it is written in comes first; 0: not like it."""
    bare, heard, written = (difflib.SequenceMatcher(None, "", t) for t in (_bare(text), _sound(text), text.casefold()))

    def of(name: str) -> float:
        found = 0.0
        for matcher, form, less in ((bare, _bare(name), 0.0), (heard, _sound(name), 0.02)):
            matcher.set_seq1(form)
            if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE:
                found = max(found, matcher.ratio() - less)
        if found < _ALIKE:
            return 0.0
        written.set_seq1(name.casefold())
        return found + written.ratio() / 100

    return of


def _same_beginning(text: str, kato: str) -> float:
    """Codes are alike in their beginning: region, then district."""
    same = next((n for n, (a, b) in enumerate(zip(text, kato, strict=False)) if a != b), min(len(text), len(kato)))
    return same / len(kato)


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
