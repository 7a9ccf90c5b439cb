"""Dagster's event log as we patch it: what is stored in batches reads like what is stored one by one; connections are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, QueuePool

from pipelines.event_log import patching, sqlite
from tests.support.stored_events import told


def test_batches_store_what_single_events_store(monkeypatch: pytest.MonkeyPatch) -> None:
    _, one_by_one = told(monkeypatch, "0")
    assert one_by_one == told(monkeypatch, "1000")[1]
    assert one_by_one[1] == [f"2025-0{n}-01" for n in range(1, 7)]
    judged = {"2024-12-01": "SUCCEEDED", "2025-02-01": "SUCCEEDED", "2025-04-01": "FAILED"}
    every = sorted({*judged, *(f"2025-0{n}-01" for n in range(1, 7))})
    assert [row[:2] for row in one_by_one[-1]] == [(month, judged.get(month, "PLANNED")) for month in every]  # type: ignore[attr-defined]


def test_batches_are_used_and_connections_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's own names: should a new version rename them, the patch would be without effect."""
    sizes: list[int] = []
    storage = sqlite.SqliteEventLogStorage  # type: ignore[attr-defined]
    monkeypatch.setattr(
        storage, "store_event_batch", lambda self, events: sizes.append(len(events)) or sqlite._store_event_batch(self, events)
    )  # fmt: skip
    told(monkeypatch, "1000")
    assert max(sizes) >= 13, "two assets, six months, and a check"
    assert storage._connect is sqlite._connect
    assert storage.has_table is sqlite._has_table


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., SimpleNamespace]]:
    """Makes stores of one server, as each instance has one; a file stands in for the server."""
    pytest.importorskip("dagster_postgres")
    from pipelines.event_log import postgresql

    url = f"sqlite:///{tmp_path / 'events.db'}"

    def store(pool: type[sa.Pool] = NullPool) -> SimpleNamespace:
        engine = sa.create_engine(url, poolclass=pool)
        return SimpleNamespace(_engine=engine, postgres_url=url, _token_provider=None)

    yield store
    postgresql._kept.pop(url).dispose()


def used(store: SimpleNamespace) -> object:
    from pipelines.event_log import postgresql

    with postgresql._connect(store) as connection:  # type: ignore[arg-type]
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
        return connection.connection.dbapi_connection


def test_stores_of_a_server_share_a_connection_that_is_made_anew_when_it_broke(
    server: Callable[..., SimpleNamespace],
) -> None:
    first = used(server())
    assert used(server()) is first
    assert used(server(QueuePool)) is not first, "the webserver's own, with its limits"
    first.close()  # type: ignore[attr-defined]
    assert used(server()) is not first


def test_a_fork_shares_no_connection_with_its_parent(server: Callable[..., SimpleNamespace]) -> None:
    first = used(server())
    child = os.fork()
    if not child:
        os._exit(int(used(server()) is first))
    assert os.waitpid(child, 0)[1] == 0
    assert used(server()) is first


def test_a_store_on_a_server_is_patched_once_dagster_has_imported_it() -> None:
    pytest.importorskip("dagster_postgres")
    patching.patch()
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    from pipelines.event_log import postgresql

    assert PostgresEventLogStorage._connect is PostgresRunStorage.connect is postgresql._connect
    assert PostgresEventLogStorage.has_table is postgresql._has_table
    assert PostgresEventLogStorage.store_event_batch is postgresql._store_event_batch
