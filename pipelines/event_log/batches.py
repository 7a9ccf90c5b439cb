"""What both stores have in common: events of a batch, and what Dagster derives of them: an asset's newest event, its tags, results of checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

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
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster_shared.serdes import serialize_value
from sqlalchemy.engine import Connection

_Store = TypeVar("_Store", bound=SqlEventLogStorage)
_OF_CHECKS = (DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION)


def log_evaluations(context: AssetExecutionContext, evaluations: Sequence[AssetCheckEvaluation]) -> None:
    """Store results of checks, one for each month of a range, as one batch; yielded by a step each would be a batch of its own."""
    step = context.get_step_execution_context()
    batch = generate_event_batch_id()  # type: ignore[no-untyped-call]
    for number, one in enumerate(evaluations, 1):
        said = f"{one.asset_key.to_user_string()} {one.check_name} {one.partition}: {one.description}"
        of_batch = DagsterEventBatchMetadata(batch, number == len(evaluations))
        DagsterEvent.from_step(DagsterEventType.ASSET_CHECK_EVALUATION, step, one, said, of_batch)


def take_batch(storage: SqlEventLogStorage, events: Sequence[EventLogEntry]) -> list[EventLogEntry]:
    """Those of a batch that are stored at once; the others are stored here, one by one."""
    taken = []
    for event in events:
        kind = event.dagster_event.event_type if event.dagster_event else None
        if kind in ASSET_EVENTS or kind in _OF_CHECKS:
            taken.append(event)
        else:
            storage.store_event(event)
    return taken


def insert_numbered(connection: Connection, rows: Sequence[dict[str, object]]) -> list[int]:
    """Store rows of events. Returns the number that the store gave to each."""
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    return list(connection.execute(insert, rows).scalars())


def store_what_follows(
    storage: SqlEventLogStorage, connection: Connection, numbered: Sequence[tuple[EventLogEntry, int]]
) -> None:
    """As `store_event` of each, once its row has a number; an asset's newest event tells how it stands."""
    of_assets = [(e, n) for e, n in numbered if e.get_dagster_event().event_type in ASSET_EVENTS]
    if of_assets:
        storage._store_asset_event_tags(connection, [e for e, _ in of_assets], [n for _, n in of_assets])
    newest = {str(e.get_dagster_event().asset_key): (e, number) for e, number in of_assets}
    for _, (event, number) in sorted(newest.items()):  # in one order: runs at once wait for each other, never both
        storage._store_asset_event(connection, event, number)
    planned, evaluated = (
        [(e, n) for e, n in numbered if e.get_dagster_event().event_type is one] for one in _OF_CHECKS
    )
    if waits := [row for event, number in planned for row in _planned(storage, event, number)]:
        connection.execute(AssetCheckExecutionsTable.insert(), waits)
    if done := [_evaluated(storage, event, number) for event, number in evaluated]:
        _replace_waiting(connection, done)


def ask_once(ask: Callable[[_Store, str], bool]) -> Callable[[_Store, str], bool]:
    """`has_table` of a store: a table that was there stays; Dagster asks before each event of a check, over a connection of its own."""

    def has_table(self: _Store, table_name: str) -> bool:
        seen: set[str] = self.__dict__.setdefault("_seen_tables", set())
        if table_name not in seen and ask(self, table_name):
            seen.add(table_name)
        return table_name in seen

    return has_table


def _planned(storage: SqlEventLogStorage, event: EventLogEntry, number: int) -> list[dict[str, object]]:
    """The rows that wait for a check's results, one for each partition; the event is made into text once, not for each."""
    data = event.get_dagster_event().asset_check_planned_data
    same = {
        "asset_key": data.asset_key.to_string(),
        "check_name": data.check_name,
        "run_id": event.run_id,
        "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
        "evaluation_event": serialize_value(event),
        "evaluation_event_timestamp": storage._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
        "evaluation_event_storage_id": number,
    }
    keys = data.partitions_subset.get_partition_keys() if data.partitions_subset else [None]
    return [{**same, "partition": key} for key in keys]


def _evaluated(storage: SqlEventLogStorage, event: EventLogEntry, number: int) -> dict[str, object]:
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
        "evaluation_event_timestamp": storage._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
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
