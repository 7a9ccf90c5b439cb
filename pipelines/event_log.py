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
from dagster import AssetCheckEvaluation, AssetExecutionContext, EventLogEntry
from dagster._core.events import (
    ASSET_EVENTS,
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    generate_event_batch_id,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster_shared.serdes import serialize_value
from sqlalchemy.engine import Connection, Engine

_ask_for_table = SqliteEventLogStorage.has_table
_KEPT = 8  # shards: the index, and a run's own
_BATCH = 1000  # events
_OF_CHECKS = (DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION)


def log_evaluations(context: AssetExecutionContext, evaluations: Sequence[AssetCheckEvaluation]) -> None:
    """Store results of checks, one for each month of a range, as one batch; yielded by a step each would be a batch of its own."""
    step = context.get_step_execution_context()
    batch = generate_event_batch_id()  # type: ignore[no-untyped-call]
    for number, one in enumerate(evaluations, 1):
        said = f"{one.asset_key.to_user_string()} {one.check_name} {one.partition}: {one.description}"
        of_batch = DagsterEventBatchMetadata(batch, number == len(evaluations))
        DagsterEvent.from_step(DagsterEventType.ASSET_CHECK_EVALUATION, step, one, said, of_batch)


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
    mirrored = []
    for event in events:
        kind = event.dagster_event.event_type if event.dagster_event else None
        if kind in ASSET_EVENTS or kind in _OF_CHECKS:
            mirrored.append(event)
        else:
            self.store_event(event)
    if not mirrored:
        return
    rows = [self._event_to_row(event) for event in mirrored]
    with self.run_connection(mirrored[0].run_id) as connection:
        connection.execute(SqlEventLogStorageTable.insert(), rows)
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    with self.index_transaction() as connection:
        ids = list(connection.execute(insert, rows).scalars())
        numbered = list(zip(mirrored, ids, strict=True))
        of_assets = [(e, n) for e, n in numbered if e.get_dagster_event().event_type in ASSET_EVENTS]
        if of_assets:
            self._store_asset_event_tags(connection, [e for e, _ in of_assets], [n for _, n in of_assets])
        newest = {e.get_dagster_event().asset_key: (e, number) for e, number in of_assets}
        for event, number in newest.values():
            self._store_asset_event(connection, event, number)
        planned, evaluated = (
            [(e, n) for e, n in numbered if e.get_dagster_event().event_type is one] for one in _OF_CHECKS
        )
        if waits := [row for event, number in planned for row in _planned(self, event, number)]:
            connection.execute(AssetCheckExecutionsTable.insert(), waits)
        if done := [_evaluated(self, event, number) for event, number in evaluated]:
            _replace_waiting(connection, done)


def _planned(self: SqliteEventLogStorage, event: EventLogEntry, number: int) -> list[dict[str, object]]:
    """The rows that wait for a check's results, one for each partition; the event is made into text once, not for each."""
    data = event.get_dagster_event().asset_check_planned_data
    same = {
        "asset_key": data.asset_key.to_string(),
        "check_name": data.check_name,
        "run_id": event.run_id,
        "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
        "evaluation_event": serialize_value(event),
        "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
        "evaluation_event_storage_id": number,
    }
    keys = data.partitions_subset.get_partition_keys() if data.partitions_subset else [None]
    return [{**same, "partition": key} for key in keys]


def _evaluated(self: SqliteEventLogStorage, event: EventLogEntry, number: int) -> dict[str, object]:
    """The row that has a check's result."""
    data = event.get_dagster_event().asset_check_evaluation_data
    status = AssetCheckExecutionRecordStatus.SUCCEEDED if data.passed else AssetCheckExecutionRecordStatus.FAILED
    target = data.target_materialization_data
    return {
        "asset_key": data.asset_key.to_string(),
        "check_name": data.check_name,
        "partition": data.partition,
        "run_id": event.run_id,
        "execution_status": status.value,
        "evaluation_event": serialize_value(event),
        "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
        "evaluation_event_storage_id": number,
        "materialization_event_storage_id": target.storage_id if target else None,
    }


def _replace_waiting(connection: Connection, done: Sequence[dict[str, object]]) -> None:
    """Results in place of the rows that waited for them; of a month that the run was not asked for none waits."""
    table = AssetCheckExecutionsTable.c
    own = ("asset_key", "check_name", "run_id", "partition")
    same = [table[name] == sa.bindparam(f"of_{name}") for name in own]
    keys = [{f"of_{name}": one[name] for name in own} for one in done]
    connection.execute(AssetCheckExecutionsTable.delete().where(*same), keys)
    connection.execute(AssetCheckExecutionsTable.insert(), done)


def _has_table(self: SqliteEventLogStorage, table_name: str) -> bool:
    """A table that was there stays; Dagster asks before each event of a check, over a connection of its own."""
    seen: set[str] = self.__dict__.setdefault("_seen_tables", set())
    if table_name not in seen and _ask_for_table(self, table_name):
        seen.add(table_name)
    return table_name in seen


def patch() -> None:
    """Patch it in; any number of times."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_BATCH))
    SqliteEventLogStorage._connect = _connect  # type: ignore[method-assign]
    SqliteEventLogStorage.has_table = _has_table  # type: ignore[method-assign]
    SqliteEventLogStorage.store_event_batch = _store_event_batch  # type: ignore[method-assign,assignment]
