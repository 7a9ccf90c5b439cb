"""What period is meant by a text that is none as qala writes them: 01.2026, январь 2026, Q1 2026. Never read as one, only suggested.

Does not belong here: periods themselves (periods.py).
"""

from __future__ import annotations

import re

# by the beginnings of a month's name in English, Russian and Kazakh, in small letters
_MONTHS = (
    ("jan", "янв", "қаң", "каң", "кан"),
    ("feb", "фев", "ақп", "акп"),
    ("mar", "мар", "нау"),
    ("apr", "апр", "сәу", "сау"),
    ("may", "май", "мая", "мам"),
    ("jun", "июн", "мау"),
    ("jul", "июл", "шіл", "шил"),
    ("aug", "авг", "там"),
    ("sep", "сен", "қыр", "кыр"),
    ("oct", "окт", "қаз", "каз"),
    ("nov", "ноя", "қар", "кар"),
    ("dec", "дек", "жел"),
)
_NAMES = tuple(name for month in _MONTHS for name in month)
_QUARTER, _HALF = ("q", "кв", "тоқ", "ток", "t"), ("s", "h", "пол", "жарты")
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}
_TOKENS = re.compile(r"[0-9]+|[^\W\d_]+")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


def suggested(text: str) -> str:
    """What may be meant, as qala writes it; empty if that cannot be told."""
    tokens = _TOKENS.findall(text.casefold().translate(str.maketrans("һ", "h")))
    if len(tokens) == 1 and re.fullmatch(r"(19|20)[0-9]{4}", tokens[0]):
        tokens = [tokens[0][:4], tokens[0][4:]]
    years = [t for t in tokens if _YEAR.fullmatch(t)]
    if len(years) == 2:
        # where the year comes first, the second one begins the second end; else the first one ends the first
        cut = tokens.index(years[0]) + 1
        if tokens[0] == years[0]:
            cut = len(tokens) - 1 - tokens[::-1].index(years[1])
        return _run(_single(tokens[:cut]), _single(tokens[cut:]))
    if re.fullmatch(r"(19|20)[0-9]{2}-[0-9]{2}/[0-9]{2}", text.strip()):
        return f"{text.strip()[:-2]}{years[0]}-{tokens[2]}"
    named = [t for t in tokens if t.startswith(_NAMES)]
    if len(years) == 1 and len(named) == 2:
        return _run(*(_single([name, *years]) for name in named))
    return _single(tokens)


def _run(first: str, last: str) -> str:
    """A run of periods of one kind; what is the wrong way round is turned."""
    if not first or not last or first == last or len(first) != len(last):
        return ""
    return "/".join(sorted((first, last)))


def _single(tokens: list[str]) -> str:
    years = [t for t in tokens if _YEAR.fullmatch(t)]
    if len(years) != 1:
        return ""
    rest = [_ROMAN.get(t, t) for t in tokens if t != years[0]]
    numbers, words = [int(t) for t in rest if t.isdigit()], [t for t in rest if not t.isdigit()]
    return _part_of(years[0], numbers, words, after=tokens[0] == years[0])


def _part_of(year: str, numbers: list[int], words: list[str], *, after: bool) -> str:
    """`after`: numbers stand behind the year, the month first; else before it, the month last."""
    for name in words:
        if found := [n for n, names in enumerate(_MONTHS, 1) if name.startswith(names)]:
            return f"{year}-{found[0]:02d}"
    for letter, parts, names in (("Q", 4, _QUARTER), ("S", 2, _HALF)):
        if any(word.startswith(names) for word in words):
            return f"{year}-{letter}{numbers[0]}" if numbers and 1 <= numbers[0] <= parts else ""
    if numbers and len(numbers) <= 2:
        month = numbers[0] if after else numbers[-1]
        return f"{year}-{month:02d}" if 1 <= month <= 12 else ""
    return "" if numbers else year
