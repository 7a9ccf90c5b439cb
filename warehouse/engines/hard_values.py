"""Rows at which engines like to differ, and what a definition may say about them: what a version that nobody compared is tried on, and tests.

They are data (hard_values.yaml). Does not belong here: how they are handed to an engine and compared (trial.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from kpi_definitions.documents import loaded

FILE = Path(__file__).with_suffix(".yaml")
_SAID: Mapping[str, Any] = loaded(FILE.read_text(encoding="utf-8"))
COLUMNS: dict[str, str] = _SAID["columns"]  # name → SQL type
VALUES: dict[str, list[str | None]] = _SAID["values"]  # SQL type → texts of values
CONDITIONS: list[str] = _SAID["conditions"]
NUMBERS: list[str] = _SAID["numbers"]
TIMES: list[str] = _SAID["times"]
DATES: list[str] = _SAID["dates"]
TEXTS: list[str] = _SAID["texts"]
ARGUMENTS: list[str] = _SAID["arguments"]
PERIODS: dict[str, list[str]] = _SAID["periods"]  # grain → months in which its periods begin: 2024-01


def rows(seed: int = 1, more: int = 150) -> Iterator[tuple[str | None, ...]]:
    """Every pair of hard values of one type, then rows drawn by chance; in the order of COLUMNS."""
    chance = random.Random(seed)  # noqa: S311
    names = list(COLUMNS)
    pairs = {names[n]: list(product(VALUES[COLUMNS[names[n]]], repeat=2)) for n in (0, 2, 7, 9, 11, 13)}
    for number in range(max(map(len, pairs.values())) + more):
        row = {name: chance.choice(VALUES[kind]) for name, kind in COLUMNS.items()}
        for name, both in pairs.items():
            if number < len(both):
                row |= dict(zip((name, names[names.index(name) + 1]), both[number], strict=True))
        yield tuple(row.values())
