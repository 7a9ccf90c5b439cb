"""The showcase tables of one installation: those that come with qala, and what its home adds in `<home>/showcase`.

Belongs here: what must hold of tables of two folders taken together. Does not belong here: reading a contract (contracts.py), what may
change in a table that has rows (store/fitting.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from kpi_definitions.documents import DocumentError, Fault
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.tables.contracts import SHOWCASE, Table, load_tables, reference_faults, sound_tables

_ENDING = ".odcs.yaml"
_KINDS = ("fct_", "dim_", "map_")
Stamps = tuple[tuple[Path, int, int], ...]  # file, time, size


class Tables(dict[str, Table]):
    """Tables by name; asked for one that a warehouse has and no contract describes, it says so as a StoreError."""

    def __missing__(self, name: str) -> Table:
        raise StoreError(f"no contract describes table {name} any more; put {name}{_ENDING} back where it was")


def tables_of(home: Home) -> Tables:
    """Every table of an installation, by name; read once a process, unless a file of the home changes.

    Raises DocumentError with all faults of the home's contracts found.
    """
    stamps = _stamps(home.showcase)
    if not stamps:
        return Tables(load_tables())
    tables, faults = _together(home.showcase, stamps)
    if faults:
        raise DocumentError(faults)
    return Tables(tables)


def has_own_tables(home: Home) -> bool:
    """Whether anything lies where an installation describes tables of its own."""
    return bool(_stamps(home.showcase))


def home_faults(tables: Mapping[str, Table], folder: Path) -> Iterator[Fault]:
    """What is wrong with the files of a home's folder of contracts beside what each says by itself: names, and files that would not be read."""
    for path in sorted(folder.rglob("*.y*ml")):
        if path.parent != folder or not path.name.endswith(_ENDING):
            yield Fault(path, 1, "is not read", f"a table's contract lies in {folder} itself, as TABLE{_ENDING}")
    for table in (t for t in tables.values() if t.document.path.parent == folder):
        where = ("schema", 0, "name")
        if not table.name.startswith(_KINDS):
            said = "begin it with fct_ for what happens, dim_ for a register, map_ for what belongs to what"
            yield table.document.fault(where, f"{table.name!r} does not say of which kind the table is", said)
        if table.document.path.name != f"{table.name}{_ENDING}":
            yield table.document.fault(
                where, f"the file of table {table.name} has another name", f"call it {table.name}{_ENDING}"
            )


@lru_cache(maxsize=4)
def _together(folder: Path, _: Stamps) -> tuple[Mapping[str, Table], tuple[Fault, ...]]:
    tables, faults = sound_tables(SHOWCASE, folder)
    faults += home_faults(tables, folder)
    return tables, tuple(faults or reference_faults(tables))


def _stamps(folder: Path) -> Stamps:
    return tuple((path, (found := path.stat()).st_mtime_ns, found.st_size) for path in sorted(folder.rglob("*.y*ml")))
