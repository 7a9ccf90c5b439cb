"""How an engine stands beside the warehouse: what it says of itself, what it holds by table, whether that is what was handed over.

Reads; nothing is brought in step here (step.py). Does not belong here: showing it (pipelines/cli/screens/engine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse.engines.engine import Engine, Facts, Load
from warehouse.engines.showcase import Showcase, written
from warehouse.engines.showcase_files import changed_months, counted
from warehouse.errors import BusyError
from warehouse.home.home import Home
from warehouse.store.ledger import EntryKind
from warehouse.store.sessions import looking, reading
from warehouse.store.store import Store

Say = Callable[[str], None]


@dataclass(frozen=True)
class TableState:
    """One table: what the files of the showcase say there is, and what the engine holds of it."""

    table: str
    loads: int
    rows: int
    first: str  # month; empty: there is nothing
    last: str
    size: int  # bytes of its files
    held: int  # rows in the engine, of whatever load
    lacking: tuple[str, ...]  # loads that the engine has not, or not whole
    left: tuple[str, ...]  # loads that others took the place of, still there


@dataclass(frozen=True)
class State:
    """An engine beside the warehouse. `behind`: why it is not in step; empty: it is, as far as could be told."""

    facts: Facts
    showcase: Showcase | None  # None: nothing was written for it yet
    tables: tuple[TableState, ...]
    behind: tuple[str, ...]
    beside_run: bool  # another process writes the warehouse: the release was looked at instead


@dataclass(frozen=True)
class Difference:
    """A load of which the engine holds something else than the files."""

    table: str
    load: str
    what: str


def engine_state(home: Home, engine: Engine, folder: Path) -> State:
    """What the engine says of itself and holds, beside the files in `folder` and the warehouse. Raises EngineError, StoreError."""
    facts, showcase = engine.ready(), written(folder)
    if showcase is None:
        return State(facts, None, (), ("nothing was written for it yet",), beside_run=False)
    tables = tuple(_table_states(engine, showcase))
    behind, beside_run = _behind(home, showcase)
    lacking = {one.table: one for one in tables if one.lacking}
    if lacking:
        loads = sum(len(one.lacking) for one in lacking.values())
        behind += (f"{loads} loads are not there, or not whole: {', '.join(sorted(lacking))}",)
    return State(facts, showcase, tables, behind, beside_run)


def _behind(home: Home, showcase: Showcase) -> tuple[tuple[str, ...], bool]:
    """What happened in the warehouse since the files were written; and whether only the release could be looked at."""
    if not home.warehouse.exists():
        return ("there is no warehouse in this home",), False
    try:
        with looking(home) as store:
            return _since(store, showcase), False
    except BusyError:
        with reading(home) as store:
            return _since(store, showcase), True


def _since(store: Store, showcase: Showcase) -> tuple[str, ...]:
    def one(sql: str, *given: object) -> object:
        row = store.con.execute(sql, list(given)).fetchone()
        return row[0] if row else None

    newest = one("SELECT max(seq) FROM audit.ledger")
    if isinstance(newest, int) and newest < showcase.seq:
        return ()  # a release that is older than the files
    if one("SELECT hash FROM audit.ledger WHERE seq = ?", showcase.seq) != showcase.head:
        return ("what was written for it is of another warehouse, or of this one before it was restored",)
    loaded = one("SELECT count(*) FROM audit.ledger WHERE kind = ? AND seq > ?", EntryKind.LOADED, showcase.seq)
    return (f"{loaded:,} deliveries were loaded since",) if loaded else ()


def _table_states(engine: Engine, showcase: Showcase) -> Iterator[TableState]:
    for table in showcase.columns:
        loads, held = showcase.of(table), engine.rows(table)
        months = sorted(load.month for load in loads)
        known = {load.name for load in loads}
        yield TableState(
            table,
            len(loads),
            sum(load.rows for load in loads),
            months[0] if months else "",
            months[-1] if months else "",
            sum(_size(load.file) for load in loads),
            sum(held.values()),
            tuple(load.name for load in loads if held.get(load.name) != load.rows),
            tuple(sorted(set(held) - known)),
        )


def engine_differences(
    engine: Engine, showcase: Showcase, release: Store | None, say: Say = lambda _: None
) -> list[Difference]:
    """Every row of every load counted again in the engine, and in the release as far as that goes. Raises EngineError.

    A load is left out of the release's count if rows of its month came or ceased to hold on one side only.
    """
    found = []
    for table, columns in showcase.columns.items():
        loads = showcase.of(table)
        say(f"{table}: {len(loads):,} loads")
        there = engine.recounted(table, [load.name for load in loads], columns)
        found += [one for load in loads if (one := _difference(load, there.get(load.name), "the engine"))]
        known = {load.name for load in loads}
        found += [
            Difference(table, name, f"the engine has {rows:,} rows of a load that the warehouse does not have")
            for name, rows in engine.rows(table).items()
            if name not in known
        ]
        if release is not None:
            moved = changed_months(release, table, showcase.seq)
            same = [load for load in loads if load.seq <= release.last_seq and load.month not in moved]
            here = counted(release, table, columns, [load.month for load in same])
            counts = {month: (rows, content) for month, (rows, content, _) in here.items()}
            found += [one for load in same if (one := _difference(load, counts.get(load.month), "the release"))]
    return found


def _difference(load: Load, counted: tuple[int, int] | None, where: str) -> Difference | None:
    rows, content = counted or (0, 0)
    if rows != load.rows:
        what = f"{where} has {rows:,} rows, {load.rows:,} were handed over"
    elif content != load.content:
        what = f"{where} has other rows, {rows:,} with content {content}; handed over was {load.content}"
    else:
        return None
    return Difference(load.table, load.name, what)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
