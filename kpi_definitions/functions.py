"""The closed list of what a definition may say in the SQL of each engine (functions.yaml), read and put to use.

Does not belong here: which kind an expression has, and what fits into it (spelling.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from kpi_definitions.documents import loaded

FILE = Path(__file__).parent / "functions.yaml"
DIALECTS = ("duckdb", "clickhouse", "spark")
_LETTERS = "abcde"


class Family(StrEnum):
    """What kind of value an expression has."""

    TEXT = "TEXT"
    BOOLEAN = "BOOLEAN"
    WHOLE = "WHOLE"
    DECIMAL = "DECIMAL"
    DOUBLE = "DOUBLE"
    DATE = "DATE"
    TIME = "TIME"
    NULL = "NULL"


@dataclass(frozen=True, slots=True)
class Said:
    """How one engine writes a value; of a condition also, never NULL, whether it holds and whether its opposite does."""

    value: str
    true: str = ""
    false: str = ""

    def __format__(self, spec: str) -> str:
        return self.value


@dataclass(frozen=True)
class Function:
    """One line of the list."""

    name: str
    family: Family
    templates: tuple[tuple[str, str | None], ...]  # by dialect; the second, if any, is of the opposite

    @property
    def conditional(self) -> bool:
        """It gives a condition."""
        return any(opposite is not None for _, opposite in self.templates) or (
            self.family is Family.BOOLEAN and not self.name.startswith("as ")
        )

    def written(self, arguments: Sequence[tuple[Said, ...]], **numbers: object) -> tuple[Said, ...]:
        """By dialect, the function put to `arguments` (each by dialect)."""
        found = []
        for number, (template, opposite) in enumerate(self.templates):
            said = dict(zip(_LETTERS, (a[number] for a in arguments), strict=False))
            if "{ALL}" in template:
                numbers["ALL"] = ", ".join(a[number].value for a in arguments)
            text = template.format(**said, **numbers)
            if opposite is not None:
                other = opposite.format(**said, **numbers)
                found.append(Said(f"if({text}, 1, if({other}, 0, NULL))", text, other))
            elif not self.conditional:
                found.append(Said(text))
            elif DIALECTS[number] == "clickhouse":
                found.append(Said(text, f"ifNull({text}, 0)", f"ifNull({text} = 0, 0)"))
            else:
                found.append(Said(text, f"coalesce({text}, false)", f"coalesce(NOT {text}, false)"))
        return tuple(found)


@cache
def functions() -> Mapping[tuple[str, Family], Function]:
    """The whole list. Raises ValueError if a line lacks an engine, or says something twice."""
    found: dict[tuple[str, Family], Function] = {}
    for line in loaded(FILE.read_text(encoding="utf-8")):
        if missing := {"name", "of", *DIALECTS} ^ set(line):
            raise ValueError(
                f"{FILE.name}: {line.get('name')}: {', '.join(sorted(missing))} missing, or nothing it may say"
            )
        for family in line["of"]:
            key = (line["name"], Family(family))
            if key in found:
                raise ValueError(f"{FILE.name}: {key[0]} of {family} stands there twice")
            found[key] = Function(*key, tuple(_templates(line)))
    return found


def _templates(line: Mapping[str, str | Mapping[str, str]]) -> Iterator[tuple[str, str | None]]:
    for dialect in DIALECTS:
        text = line[dialect]
        yield (text, None) if isinstance(text, str) else (text["true"], text["false"])
