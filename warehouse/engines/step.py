"""Bringing an engine in step with the warehouse: it holds every load of the showcase's files, counted again there, and no other.

What was counted and agreed is noted beside the files, so that a run counts only what is new; that the rest is still there an engine says
cheaply, by its own count of rows. Does not belong here: the files (showcase_files.py), how an engine reads one (clickhouse.py, spark.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.engines.engine import Engine, EngineError, Load
from warehouse.engines.showcase import Showcase, keep_json, read_showcase
from warehouse.engines.showcase_files import changed_months, counted, write_showcase
from warehouse.store.store import Store

_PIECE = 10_000_000  # rows


def bring_in_step(store: Store, engine: Engine, folder: Path, say: Callable[[str], None] = lambda _: None) -> Showcase:
    """Write what changed in the warehouse to `folder`, and have the engine hold just that. Returns what it holds.

    The caller holds the writer's lock. Raises EngineError if what arrived is not what was sent: that load is dropped there again. What was
    taken in before that stays, and the next call goes on from there.
    """
    where = engine.ready().where
    showcase = write_showcase(store, folder)
    agreed = _Agreed(folder / f"agreed.{engine.name}.json", where)
    for table in showcase.columns:
        _bring_table(engine, showcase, table, agreed, say)
    refuse_out_of_step(engine, showcase, showcase.columns)
    return showcase


def refuse_out_of_step(engine: Engine, showcase: Showcase, tables: Iterable[str]) -> None:
    """Raises EngineError if the engine holds other loads of these tables than the showcase, or other numbers of rows in them.

    Cheap; for before a measurement and after it, as another process may have brought the engine further meanwhile.
    """
    for table in tables:
        wanted = {load.name: load.rows for load in showcase.of(table)}
        there = dict(engine.rows(table))
        if there != wanted:
            name = min(load for load in {*wanted, *there} if wanted.get(load) != there.get(load))
            raise EngineError(
                f"engine {engine.name} is not in step: of {table}, load {name}, it holds {there.get(name, 0)} rows, the warehouse's files "
                f"{wanted.get(name, 0)}; bring it in step: qala engine load"
            )


def verify_engine(store: Store, engine: Engine, folder: Path) -> Showcase:
    """Count every row of warehouse and engine again. Raises EngineError with the first difference; nothing is changed.

    Also found: rows that were changed in the warehouse past its ledger after they were handed over.
    """
    showcase = read_showcase(folder)
    engine.ready()
    refuse_out_of_step(engine, showcase, showcase.columns)
    for table, columns in showcase.columns.items():
        loads = showcase.of(table)
        there = engine.recounted(table, [load.name for load in loads], columns)
        for load in loads:
            if (found := there.get(load.name, (0, 0))) != (load.rows, load.content):
                raise _differs(engine, load, found)
        moved = changed_months(store, table, showcase.seq)
        here = counted(store, table, columns, [load.month for load in loads])
        for load in loads:
            rows, content, _ = here.get(load.month, (0, 0, 0))
            if load.month not in moved and (rows, content) != (load.rows, load.content):
                raise EngineError(
                    f"the warehouse holds other rows of {table} of {load.month} than it handed over, and its ledger knows of no change: "
                    f"{rows} rows with content {content}, handed over were {load.rows} with {load.content}. See what was changed: qala verify; "
                    f"then delete {folder} and hand everything over again: qala engine load"
                )
    return showcase


def take_again(engine: Engine, folder: Path, wrong: Iterable[tuple[str, str]]) -> None:
    """Note that what was agreed on no longer holds of these (table, load): the next time they are taken again."""
    agreed = _Agreed(folder / f"agreed.{engine.name}.json", engine.ready().where)
    for table, name in wrong:
        agreed.keep(table, agreed.loads.get(table, set()) - {name})


@dataclass
class _Agreed:
    """Which loads were counted again in an engine and found to be what was sent; kept beside the files."""

    file: Path
    where: str  # which engine it is: of another one nothing is known
    loads: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # damaged or of another version: then everything is counted again
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            said = json.loads(self.file.read_text(encoding="utf-8"))
            if said["where"] == self.where:
                self.loads = {table: set(names) for table, names in said["loads"].items()}

    def keep(self, table: str, names: Iterable[str]) -> None:
        """From now on these are the ones of a table."""
        if self.loads.get(table, set()) != (now := set(names)):
            self.loads[table] = now
            keep_json(
                self.file, {"where": self.where, "loads": {name: sorted(one) for name, one in self.loads.items()}}
            )


def _bring_table(engine: Engine, showcase: Showcase, table: str, agreed: _Agreed, say: Callable[[str], None]) -> None:
    there, columns = engine.rows(table), showcase.columns[table]
    wanted = {load.name: load for load in showcase.of(table)}
    held = {name for name in agreed.loads.get(table, ()) if name in wanted and there.get(name) == wanted[name].rows}
    # before anything is dropped: a load that is taken again under its name has not been counted yet
    agreed.keep(table, held)
    if gone := sorted(set(there) - held):
        engine.drop(table, gone)
    for loads in _in_pieces([load for name, load in wanted.items() if name not in held]):
        for load in loads:
            say(f"{table} of {load.month}: {load.rows:,} rows")
            engine.take(load, columns)
        found = engine.recounted(table, [load.name for load in loads], columns)
        wrong = [load for load in loads if found.get(load.name) != (load.rows, load.content)]
        held |= {load.name for load in loads} - {load.name for load in wrong}
        agreed.keep(table, held)
        if wrong:
            engine.drop(table, [load.name for load in wrong])
            for load in wrong:  # whether it was read wrongly or lies wrongly on the disk: both are made anew
                load.file.unlink(missing_ok=True)
            raise _differs(engine, wrong[0], found.get(wrong[0].name, (0, 0)))


def _in_pieces(loads: Iterable[Load]) -> Iterator[list[Load]]:
    """Loads that are taken and counted together: what is lost at most if a process is killed."""
    piece, rows = list[Load](), 0
    for load in loads:
        piece.append(load)
        rows += load.rows
        if rows >= _PIECE:
            yield piece
            piece, rows = [], 0
    if piece:
        yield piece


def _differs(engine: Engine, load: Load, found: tuple[int, int]) -> EngineError:
    return EngineError(
        f"engine {engine.name} does not hold what the warehouse handed over: of {load.table}, deliveries of {load.month}, "
        f"{found[0]} rows with content {found[1]}, the warehouse has {load.rows} rows with content {load.content}. "
        "Nothing is computed from it; hand it over again: qala engine load"
    )
