"""What may be meant by a word that names nothing: the nearest of what there is, whatever the case, the dashes and the keyboard.

Does not belong here: names of settlements, which people write in three languages (warehouse/tables/settlements.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice, takewhile
from pathlib import Path

# Cyrillic letters that look like Latin ones
_LOOK_ALIKE = str.maketrans("авекмнорстухѕіј", "abekmhopctyxsij")
_ALIKE, _PART = 0.6, 0.9  # least likeness; that of a part of a name
_CLOSE, _BEGINNING = 0.05, 0.4  # how much less than the best is shown too; what a like beginning adds
_SHOWN, _FEW = 3, 12
_MOST = 2000  # files of a folder that are looked at


def key(word: str) -> str:
    """A word as words are compared: its letters and digits in lower case, Cyrillic letters that look like Latin ones as those."""
    return "".join(c for c in word.casefold().translate(_LOOK_ALIKE) if c.isalnum())


def same(word: str, known: Iterable[str]) -> str | None:
    """The one that is meant beyond doubt: itself, or the only one that differs from it in case, dashes and look-alike letters alone."""
    names = list(known)
    if word in names:
        return word
    found = [name for name in names if key(name) == key(word)]
    return found[0] if len(found) == 1 and key(word) else None


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Those that may be meant, the likeliest first; none if none is like it."""
    wanted, found = key(word), []
    for name in known:
        if (likeness := _likeness(wanted, key(name))) >= _ALIKE:
            begins = sum(
                1 for _ in takewhile(lambda two: two[0] == two[1], zip(wanted, key(name), strict=False))
            ) / len(wanted)
            found.append((-likeness - _BEGINNING * begins, name))
    least = min((likeness for likeness, _ in found), default=0.0) + _CLOSE
    return [name for likeness, name in sorted(found) if likeness <= least][:_SHOWN]


def meant(word: str, known: Iterable[str], listed: str = "") -> str:
    """`did you mean a or b?`; of what is like nothing, all there are where they are few, else where they are `listed`."""
    names = list(dict.fromkeys(map(str, known)))
    if near := nearest(word, names):
        return f"did you mean {either(near)}?"
    if not names:
        return "there are none"
    if listed and len(names) > _FEW:
        return f"there are {len(names)}: {listed}"
    return f"there are {', '.join(names)}"


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    listed = list(names)
    return " or ".join(part for part in (", ".join(listed[:-1]), *listed[-1:]) if part)


def no_file(file: Path) -> str:
    """What is said of a file that is not there: which of its folder may be meant."""
    if not file.parent.is_dir():
        return f"there is no file {file}: there is no folder {file.parent}"
    beside = [one.name for one in islice(file.parent.iterdir(), _MOST) if not one.name.startswith(".")]
    near = either(str(file.with_name(name)) for name in nearest(file.name, beside))
    return f"there is no file {file}" + (f"; did you mean {near}?" if near else "")


def _likeness(one: str, other: str) -> float:
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return max(ratio, _PART) if len(one) > 2 and one in other and one != other else ratio
