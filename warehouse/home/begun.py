"""Whether a folder is a home, and which homes may be meant by one that is not there. Does not belong here: what lies where in one (home.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from kpi_definitions.nearest import either, nearest

# any of these makes a folder a home: what was delivered, made, configured, or begun by Dagster
_MARKS = (
    *("archive", "warehouse.duckdb", "release", "inbox", "keys", "dagster"),
    *("contracts", "showcase", "catalogues", "sources", "corrections", "engine.yaml", "notifications.yaml"),
    *(".qala-demo", ".writer.lock"),
)
_MOST, _SHOWN = 500, 3  # folders that are looked at, homes that are named


def is_home(root: Path) -> bool:
    """Whether anything of a home lies in a folder."""
    return any((root / mark).exists() for mark in _MARKS)


def no_home(root: Path, named: str) -> str:
    """What is said of a folder that is no home: which beside it or in it may be meant, and how to begin one. `named`: how it was named."""
    lacking = "holds other things and is no home" if root.exists() else "does not exist"
    return (
        f"the home {root} ({named}) {lacking}; "
        + (f"did you mean {near}? " if (near := homes_near(root)) else "")
        + f"a new one begins with its first delivery: qala deliver FILE … --home {root}; or look around in one: qala demo"
    )


def homes_near(root: Path) -> str:
    """`a, b or c`: homes round a folder that is none: the one it lies in, those in it, those beside it; of these first those of a like name."""
    if _is_one(root.parent):
        return str(root.parent)
    near = list(_homes_in(root)) or [one for one in _homes_in(root.parent) if one != root]
    like = nearest(root.name, [one.name for one in near])
    return either([str(one) for one in near if one.name in like] or [str(one) for one in near[:_SHOWN]])


def _homes_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(one for one in islice(folder.iterdir(), _MOST) if one.is_dir() and _is_one(one))


def _is_one(folder: Path) -> bool:
    """Whether a folder looks like a home that was worked with: a folder of anything may have an archive or keys in it."""
    return any((folder / mark).exists() for mark in ("warehouse.duckdb", "release/qala.duckdb", "archive/receipts"))
