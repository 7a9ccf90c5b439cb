"""What a worker process is asked to do by tests (warehouse/isolation/worker.py)."""

from __future__ import annotations

import os
import signal
from typing import Any

from warehouse.home.home import Home
from warehouse.store.sessions import writing


def in_transaction(home: Home, sql: str) -> list[Any]:
    """Write to a home's ledger, and before that is committed run a statement, or kill this process ("KILL")."""
    with writing(home, hardened=True) as store, store.transaction():
        store.record([("test", "half done", {})])
        if sql == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        return store.con.execute(sql).fetchall()


_held: list[bytearray] = []


def hold(mib: int) -> None:
    """Keep so much memory for as long as this process lives, as an imported library does."""
    _held.append(bytearray(mib << 20))


def fail_with(error: Exception) -> None:
    raise error


def fail_unpicklably() -> None:
    class UnpicklableError(Exception):
        pass

    raise UnpicklableError(1)
