"""Bringing an engine in step with the warehouse: it holds every load of the showcase's files, counted again there, and no other.

What was counted and agreed is noted beside the files, so that a run counts only what is new; that the rest is still there an engine says
cheaply, by its own count of rows. Does not belong here: the files (showcase_files.py), how an engine reads one (clickhouse.py, spark.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from warehouse.engines.engine import Engine, EngineError, Facts, Load
from warehouse.engines.showcase import Showcase, keep_json
from warehouse.engines.showcase_files import write_showcase
from warehouse.store.store import Store

_PIECE = 10_000_000  # rows


def bring_in_step(
    store: Store, engine: Engine, facts: Facts, folder: Path, say: Callable[[str], None] = lambda _: None
) -> Showcase:
    """Write what changed in the warehouse to `folder`, and have the engine hold just that. Returns what it holds.

    `facts`: what the engine said when it was seen to be ready. The caller holds the writer's lock. Raises EngineError if what arrived is not
    what was sent: that load is dropped there again. What was taken in before that stays, and the next call goes on from there.
    """
    showcase = write_showcase(store, folder)
    agreed = _Agreed.of(engine, facts, folder)
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


def take_again(engine: Engine, facts: Facts, folder: Path, wrong: Iterable[tuple[str, str]]) -> None:
    """Note that what was agreed on no longer holds of these (table, load): the next time they are taken again."""
    agreed = _Agreed.of(engine, facts, folder)
    for table, name in wrong:
        agreed.keep(table, agreed.loads.get(table, set()) - {name})


@dataclass
class _Agreed:
    """Which loads were counted again in an engine and found to be what was sent; kept beside the files."""

    file: Path
    where: str  # which engine it is: of another one nothing is known
    loads: dict[str, set[str]]

    @classmethod
    def of(cls, engine: Engine, facts: Facts, folder: Path) -> Self:
        file = folder / f"agreed.{engine.name}.json"
        # damaged or of another version: then everything is counted again
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            said = json.loads(file.read_text(encoding="utf-8"))
            if said["where"] == facts.where:
                return cls(file, facts.where, {table: set(names) for table, names in said["loads"].items()})
        return cls(file, facts.where, {})

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
