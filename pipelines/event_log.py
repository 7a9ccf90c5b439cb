"""Dagster's own event log, storing many events at once over connections that stay open: patched in, for the sake of long runs.

A run over a year stores an event for every asset and month, thousands of them. For each, Dagster 1.13 with SQLite makes an
engine, opens two files, compiles the statements anew and waits for the disk; its other storages write in batches, as this does.
What a power failure could cost is Dagster's history of runs, never the warehouse. Nothing else of Dagster is touched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.engine import Connection, Engine

_KEPT = 8  # shards: the index, and a run's own
_BATCH = 1000  # events


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
    """As `store_event` of each: into the run's own file, and into the index; an asset's newest event tells how it stands."""
    of_assets: list[EventLogEntry] = []
    for event in events:
        if event.dagster_event and event.dagster_event.event_type in ASSET_EVENTS:
            of_assets.append(event)
        else:
            self.store_event(event)
    if not of_assets:
        return
    rows = [self._event_to_row(event) for event in of_assets]
    with self.run_connection(of_assets[0].run_id) as connection:
        connection.execute(SqlEventLogStorageTable.insert(), rows)
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    with self.index_transaction() as connection:
        ids = list(connection.execute(insert, rows).scalars())
        self._store_asset_event_tags(connection, of_assets, ids)
        newest = {e.get_dagster_event().asset_key: (e, number) for e, number in zip(of_assets, ids, strict=True)}
        for event, number in newest.values():
            self._store_asset_event(connection, event, number)


def patch() -> None:
    """Patch it in; any number of times."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_BATCH))
    SqliteEventLogStorage._connect = _connect  # type: ignore[method-assign]
    SqliteEventLogStorage.store_event_batch = _store_event_batch  # type: ignore[method-assign,assignment]
