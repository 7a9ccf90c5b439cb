"""The store on a PostgreSQL server: Dagster makes a connection for each statement or two, and stores planned events one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster_postgres.event_log.event_log import CHANNEL_NAME, PostgresEventLogStorage
from dagster_postgres.run_storage.run_storage import PostgresRunStorage
from dagster_postgres.utils import create_pg_connection, create_pg_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from pipelines.event_log.batches import ask_once, insert_numbered, store_what_follows, take_batch

_has_table = ask_once(PostgresEventLogStorage.has_table)
_kept: dict[str, Engine] = {}  # of this process, by address: instances come and go, and share them
_NOTIFY = sa.text("SELECT pg_notify(:channel, unnest(:names))")
_AT_REST = 2  # connections that stay open; more are made when needed, and closed


def _connect(self: PostgresEventLogStorage | PostgresRunStorage) -> AbstractContextManager[Connection]:
    engine = self._engine
    if isinstance(engine.pool, NullPool):  # else the webserver's, which keeps its own with a limit of time
        if self.postgres_url not in _kept:
            _kept[self.postgres_url] = create_pg_engine(
                self.postgres_url,
                self._token_provider,
                isolation_level="AUTOCOMMIT",
                pool_size=_AT_REST,
                max_overflow=-1,
                pool_pre_ping=True,  # one that the server closed is made anew
            )
        engine = _kept[self.postgres_url]
    return create_pg_connection(engine)


def _forget() -> None:
    """In a fork: the connections are its parent's, who goes on with them."""
    for engine in _kept.values():
        engine.dispose(close=False)
    _kept.clear()


os.register_at_fork(after_in_child=_forget)


def _store_event_batch(self: PostgresEventLogStorage, events: Sequence[EventLogEntry]) -> None:
    """As `store_event` of each.

    Events in one statement, committed by itself: who reads on from the highest number would miss those whose lower numbers are seen later.
    """
    taken = take_batch(self, events)
    if not taken:
        return
    rows = [self._event_to_row(event) for event in taken]
    with self._connect() as connection:
        ids = insert_numbered(connection, rows)
        names = [f"{event.run_id}_{number}" for event, number in zip(taken, ids, strict=True)]
        connection.execute(_NOTIFY, {"channel": CHANNEL_NAME, "names": names})
    with self.index_transaction() as connection:
        store_what_follows(self, connection, list(zip(taken, ids, strict=True)))


def patch() -> None:
    """Patch it in; any number of times."""
    PostgresRunStorage.connect = _connect  # type: ignore[method-assign]
    PostgresEventLogStorage._connect = _connect  # type: ignore[method-assign]
    PostgresEventLogStorage.has_table = _has_table  # type: ignore[method-assign,assignment]
    PostgresEventLogStorage.store_event_batch = _store_event_batch  # type: ignore[method-assign]
