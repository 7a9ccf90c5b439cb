"""The store in SQLite files: Dagster makes an engine, opens two files, compiles the statements anew and waits for the disk, for each event."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.engine import Connection, Engine

from pipelines.event_log.batches import ask_once, insert_numbered, store_what_follows, take_batch

_has_table = ask_once(SqliteEventLogStorage.has_table)
_KEPT = 8  # shards: the index, and a run's own


@sa.event.listens_for(Engine, "connect")
def _do_not_wait_for_the_disk(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


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


def _store_event_batch(self: SqliteEventLogStorage, events: Sequence[EventLogEntry]) -> None:
    """As `store_event` of each: into the run's own file, and into the index."""
    mirrored = take_batch(self, events)
    if not mirrored:
        return
    rows = [self._event_to_row(event) for event in mirrored]
    with self.run_connection(mirrored[0].run_id) as connection:
        connection.execute(SqlEventLogStorageTable.insert(), rows)
    with self.index_transaction() as connection:
        store_what_follows(self, connection, list(zip(mirrored, insert_numbered(connection, rows), strict=True)))


def patch() -> None:
    """Patch it in; any number of times."""
    SqliteEventLogStorage._connect = _connect  # type: ignore[method-assign]
    SqliteEventLogStorage.has_table = _has_table  # type: ignore[method-assign,assignment]
    SqliteEventLogStorage.store_event_batch = _store_event_batch  # type: ignore[method-assign,assignment]
