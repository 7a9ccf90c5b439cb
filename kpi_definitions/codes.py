"""Which KPI a text means, by its code or its name in any language. Does not belong here: what is defined (catalogue.py)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from kpi_definitions.nearest import either, key, nearest, same

_LONGEST = 60  # letters of a text that is repeated
_SHOWN, _STEM = 3, 5  # KPIs named; letters by which words of a name are compared


class UnknownCodeError(ValueError):
    """A text that names no KPI; the message says which are near."""


def find_code(text: str, names: Mapping[str, Sequence[str]], others: Sequence[str] = ()) -> str:
    """The KPI of a code, whatever its case, dashes and look-alike letters, or of a whole name. Raises UnknownCodeError.

    `names`: code → its names; `others`: words that may be asked for in its place, to be suggested.
    """
    if code := same(text, names):
        return code
    if len(exact := {code for code, its in names.items() if key(text) in map(key, its) and key(text)}) == 1:
        return exact.pop()
    # of a code without a like one, those that begin with its letters: its sphere
    codes = nearest(text, [*names, *others]) or nearest(text.rstrip("-_. 0123456789"), names)
    if not any(c.isdigit() for c in text):  # no code: a name, or a part of one
        by_name = {name: code for code, its in names.items() for name in its}
        named = nearest(text, by_name) or _of_same_words(text, by_name)
        codes = list(dict.fromkeys([*codes, *(by_name[name] for name in named)]))[:_SHOWN]
    near = either(_told(code, names.get(code, ())) for code in codes)
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    raise UnknownCodeError(
        f"no KPI {short!r}; {f'did you mean {near}? ' if near else ''}all {len(names)}: docs/reference/kpis.md"
    )


def _told(code: str, names: Sequence[str]) -> str:
    return f"{code} ({textwrap.shorten(names[0], _LONGEST, placeholder=' …')})" if names else code


def _of_same_words(text: str, names: Iterable[str]) -> list[str]:
    """Names that have most of the words of a text, by the beginnings of long words."""
    wanted, shared = _stems(text), {name: len(_stems(text) & _stems(name)) for name in names}
    most = max(shared.values(), default=0)
    return [name for name, count in shared.items() if wanted and most and count == most][:_SHOWN]


def _stems(text: str) -> set[str]:
    return {key(word)[:_STEM] for word in text.split() if len(word) >= _STEM}
