"""How an engine stands beside the warehouse: what it says of itself, what it holds by table, and whether that is what the files say.

Reads; nothing is brought in step here (step.py). Does not belong here: showing it (pipelines/cli/screens/engine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse.engines.engine import Engine, Facts, Load
from warehouse.engines.showcase import Showcase, written
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
    loaded = one(
        "SELECT count(*) FROM audit.ledger WHERE kind = ? AND seq > ?", EntryKind.LOADED, showcase.seq
    )
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


class Told:
    """An engine that says which loads it takes and drops, and keeps count of them."""

    def __init__(self, engine: Engine, say: Say) -> None:
        self.engine, self.say = engine, say
        self.name, self.dialect = engine.name, engine.dialect
        self.taken = self.dropped = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        self.say(f"{load.table} of {load.month}: {load.rows:,} rows")
        self.engine.take(load, columns)
        self.taken += 1

    def drop(self, table: str, loads: Sequence[str]) -> None:
        self.engine.drop(table, loads)
        self.dropped += len(loads)


def engine_differences(engine: Engine, showcase: Showcase, say: Say = lambda _: None) -> list[Difference]:
    """Count every row of every load again, in the engine, and hold it against what the warehouse counted. Raises EngineError."""
    found = []
    for table, columns in showcase.columns.items():
        loads = showcase.of(table)
        say(f"{table}: {len(loads)} loads")
        counted = engine.recounted(table, [load.name for load in loads], columns)
        found += [one for load in loads if (one := _difference(load, counted.get(load.name)))]
        known = {load.name for load in loads}
        found += [
            Difference(table, name, f"{rows:,} rows of a load that the warehouse does not have")
            for name, rows in engine.rows(table).items()
            if name not in known
        ]
    return found


def _difference(load: Load, counted: tuple[int, int] | None) -> Difference | None:
    if counted is None:
        return Difference(load.table, load.name, f"nothing is there of {load.rows:,} rows")
    rows, content = counted
    if rows != load.rows:
        return Difference(load.table, load.name, f"{rows:,} rows are there, the warehouse has {load.rows:,}")
    if content != load.content:
        return Difference(load.table, load.name, f"its {rows:,} rows are not those of the warehouse: content {content}, not {load.content}")
    return None


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
