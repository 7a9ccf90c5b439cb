"""Bringing a warehouse of an older version up, step by step (upgrade_steps.py): each in one transaction, with a copy kept and a ledger entry.

Which number a file has stands in its ledger: in the newest entry `schema` or `upgraded`. A file that was made before there were numbers
is told by the columns it has. Rows that get values by a step are sealed anew, in the step's transaction, if they were as sealed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import duckdb

from warehouse.errors import StoreError
from warehouse.home.copies import keep_copy
from warehouse.home.home import Home
from warehouse.store import fitting
from warehouse.store.fitting import due
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import all_sealed, enter_seals, of_registry, recomputed
from warehouse.store.sessions import locked, opened
from warehouse.store.store import Store
from warehouse.store.upgrade_steps import Step


def upgrade(home: Home, say: Callable[[str], None] = lambda _: None) -> list[Step]:
    """Take every step that is due, and bring tables, views and registries to the contracts of today. Returns the steps taken.

    Killed in the middle, it goes on with the next step when it is begun again. Raises StoreError.
    """
    if not home.warehouse.exists():
        raise StoreError(f"{home.warehouse} does not exist: there is nothing to upgrade")
    with locked(home):
        try:
            return _upgrade(home, say)
        except duckdb.Error as error:
            why = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename}"
        raise StoreError(
            f"the upgrade stopped ({why}): steps told as taken are, nothing of another is; make room, and begin again: qala upgrade. "
            f"The warehouse as it was before is beside it, if it says so: {home.warehouse.name}.before-upgrade-N"
        )


def _upgrade(home: Home, say: Callable[[str], None]) -> list[Step]:
    with opened(home, fit=False) as store:
        steps = due(store.con)
        store.con.execute("CHECKPOINT")
    if steps:
        copy = home.warehouse.with_name(f"{home.warehouse.name}.before-upgrade-{steps[0].number}")
        keep_copy(home.warehouse, copy)
        say(f"the warehouse as it was is kept as {copy}")
        with opened(home, fit=False) as store:
            for step in steps:
                _take(store, step)
                say(f"step {step.number}: {step.what}")
    with opened(home) as store:
        store.con.execute("CHECKPOINT")
    return steps


def _take(store: Store, step: Step) -> None:
    """One step in one transaction. Columns of today that the file lacks come first, empty: they change no seal, and all seals can be read."""
    con, filled = store.con, set[str]()
    with store.transaction():
        fitting.add_fixed_columns(store)
        for statement in step.before:
            con.execute(statement)
        sound = _renamed(store, step)
        for table, columns in step.fills(store.tables).items():
            name = table.partition(".")[2]
            new = ", ".join(f"{sql} AS {column}" for column, sql in columns.items())
            con.execute(f"CREATE TABLE {table}__new AS SELECT o.* REPLACE ({new}) FROM {table} o")
            con.execute(f"DROP TABLE {table}; ALTER TABLE {table}__new RENAME TO {name}")
            filled |= set(columns)
        detail = {
            "number": step.number,
            "what": step.what,
            "instead": step.instead,
            "resealed": list(step.seals),
            "qala": store.code_version,
        }
        (seq,) = store.record([(EntryKind.UPGRADED, f"schema {step.number}", detail)])
        _seal_anew(store, step.seals, filled, seq)
        enter_seals(
            store,
            [(table, seq, seq, *of_registry(con, table.removeprefix("registry."))) for table in sound],
            resealed_by=seq,
        )


def _renamed(store: Store, step: Step) -> list[str]:
    """Give columns of registries their new names. Returns the registries that were as sealed: a seal covers the names too."""
    con, sound = store.con, list[str]()
    there = con.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall()
    known = {table for table, _ in there}
    for table, names in ((t, n) for t, n in step.renames.items() if t in known):
        seal = con.execute("SELECT rows, sha256 FROM audit.seal WHERE what = ? ORDER BY seq DESC LIMIT 1", [table])
        if seal.fetchone() == of_registry(con, table.removeprefix("registry.")):
            sound.append(table)
        for former, name in names.items():
            if (table, former) in there:
                con.execute(f"ALTER TABLE {table} RENAME COLUMN {former} TO {name}")
    return sound


def _seal_anew(store: Store, kinds: Iterable[str], filled: Iterable[str], by: int) -> None:
    """Seal rows over again, in the runs in which they were sealed. What was not as sealed before the step is left: `qala verify` is to find it."""
    con, known, rows = store.con, all_sealed(store.tables.values()), list[tuple[Any, ...]]()
    for what in map(str, kinds):
        one = known[what]
        stands = {
            first: (last, count, sha256)
            for first, last, count, sha256 in con.execute(
                "SELECT first_seq, last_seq, rows, sha256 FROM audit.seal WHERE what = ? ORDER BY seq", [what]
            ).fetchall()
        }
        has = {str(d[0]) for d in con.execute(f"SELECT * FROM ({one.rows}) LIMIT 0").description or ()}
        gone = ", ".join(sorted(has & set(filled)))
        before = replace(one, rows=f"SELECT * EXCLUDE ({gone}) FROM ({one.rows})")
        sound = {
            first
            for first, *found in recomputed(con, what, before)
            if first in stands and (*found,) == stands[first][1:]
        }
        rows += [
            (what, first, stands[first][0], count, sha256)
            for first, count, sha256 in recomputed(con, what, one)
            if first in sound
        ]
    enter_seals(store, rows, resealed_by=by)
