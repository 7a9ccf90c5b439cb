"""Dagster's own event log, with its SQLite connections kept open: patched in, as thousands of events a run are stored in it.

Dagster 1.13 makes an SQLAlchemy engine and a connection for every single write, compiles the statement anew and waits for the
disk. What a power failure could cost here is Dagster's history of runs, never the warehouse. Nothing else of Dagster is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.engine import Connection, Engine

_KEPT = 8  # shards: the index, and a run's own


@contextmanager
def _connect(self: SqliteEventLogStorage, shard: str) -> Iterator[Connection]:
    engines: dict[str, Engine] = self.__dict__.setdefault("_engines", {})
    with self._db_lock:
        if shard not in engines:
            while len(engines) >= _KEPT:
                engines.pop(next(iter(engines))).dispose()
            engines[shard] = sa.create_engine(
                self.conn_string_for_shard(shard),
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            if shard not in self._initialized_dbs:
                self._initdb(engines[shard])
                self._initialized_dbs.add(shard)
        with engines[shard].begin() as connection:
            yield connection


def keep_connections() -> None:
    """Patch it in; any number of times."""
    SqliteEventLogStorage._connect = _connect  # type: ignore[method-assign]
