"""Which KPI a text means, by its code or its name in any language. Does not belong here: what is defined (catalogue.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpi_definitions.nearest import either, key, nearest, same

_LONGEST = 60  # letters of a text that is repeated


class UnknownCodeError(ValueError):
    """A text that names no KPI; the message says which are near."""


def find_code(text: str, names: Mapping[str, Sequence[str]]) -> str:
    """The KPI of a code, whatever its case, dashes and look-alike letters, or of a whole name. `names`: code → its names. Raises UnknownCodeError."""
    if code := same(text, names):
        return code
    if len(named := {code for code, its in names.items() if key(text) in map(key, its) and key(text)}) == 1:
        return named.pop()
    codes = nearest(text, names)
    if not any(c.isdigit() for c in text):  # no code: a name, or a part of one
        by_name = {name: code for code, its in names.items() for name in its}
        codes = list(dict.fromkeys([*codes, *(by_name[name] for name in nearest(text, by_name))]))[:3]
    near = either(_told(code, names.get(code, ())) for code in codes)
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    raise UnknownCodeError(
        f"no KPI {short!r}; {f'did you mean {near}? ' if near else ''}All {len(names)}: docs/reference/kpis.md"
    )


def _told(code: str, names: Sequence[str]) -> str:
    return f"{code} ({names[0]})" if names else code
