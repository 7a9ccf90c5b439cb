"""Dagster's store on a PostgreSQL server, by the settings of deploy/: a run of several months is stored there whole, and measured from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.event_log import patching
from tests.support.files import crash, text
from tests.support.settlements import ASTANA
from tests.support.stored_events import told
from tools.servers import postgresql
from warehouse.home.home import Home
from warehouse.store.sessions import reading

ROOT = Path(__file__).parents[2]
QALA = "import sys; from pipelines.cli import app; sys.argv[0] = 'qala'; app()"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[postgresql.Server]:
    pytest.importorskip("dagster_postgres")
    if said := postgresql.unavailable():
        pytest.skip(said)
    yield postgresql.up(tmp_path / "postgresql")
    postgresql.down(tmp_path / "postgresql")


def rows(server: postgresql.Server, run: str) -> list[str]:
    """What a run left in the tables of events, without what differs from run to run: times, numbers, the run itself."""
    of_events = "dagster_event_type, step_key, asset_key, partition, count(*)"
    asked = (
        f"SELECT {of_events} FROM event_logs WHERE run_id = '{run}' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        "SELECT asset_key, last_run_id = '{run}', last_materialization IS NULL, wipe_timestamp FROM asset_keys ORDER BY 1",
        "SELECT t.asset_key, partition, key FROM asset_event_tags t JOIN event_logs e ON e.id = event_id "
        f"WHERE run_id = '{run}' ORDER BY 1, 2, 3",
        "SELECT c.asset_key, check_name, c.partition, execution_status, e.dagster_event_type, e.partition, evaluation_event = e.event "
        "FROM asset_check_executions c LEFT JOIN event_logs e ON e.id = evaluation_event_storage_id "
        f"WHERE c.run_id = '{run}' ORDER BY 1, 2, 3",
        "SELECT status, pipeline_name FROM runs WHERE run_id = '{run}'",
    )
    return [server.psql(one.format(run=run)) for one in asked]


@pytest.mark.slow
def test_batches_on_a_server_store_what_single_events_store(
    monkeypatch: pytest.MonkeyPatch, server: postgresql.Server
) -> None:
    address = f"postgresql://{postgresql.OWNER}:{server.password}@127.0.0.1:{server.port}/{postgresql.DATABASE}"
    settings: dict[str, object] = {"storage": {"postgres": {"postgres_url": address}}}
    singly, one_by_one = told(monkeypatch, "0", settings)
    stored = rows(server, singly)
    patching.patch()
    stopped = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE usename = '{postgresql.OWNER}' AND pid <> pg_backend_pid()"
    )
    for _ in range(2):  # the second time over connections that the server has closed
        batched, at_once = told(monkeypatch, "1000", settings)
        assert rows(server, batched) == stored
        assert int(server.psql(stopped)) in (1, 2), "kept, and shared by all that the process opens"
    assert one_by_one[0] == at_once[0]


@pytest.mark.slow
def test_runs_are_stored_on_the_server(tmp_path: Path, server: postgresql.Server) -> None:
    home = Home(tmp_path / "home")
    (home.root / "dagster").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "dagster.postgres.yaml", home.root / "dagster" / "dagster.yaml")
    given = {
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "DATABASE": postgresql.DATABASE,
        "USER": postgresql.OWNER,
        "PASSWORD": server.password,
    }
    environment = {
        **os.environ,
        **{f"QALA_PG_{name}": value for name, value in given.items()},
        "QALA_HOME": str(home.root),
    }

    def qala(*words: str) -> str:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", QALA, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "event batch" not in done.stderr, "Dagster says so of a batch that was not stored as one"
        return done.stdout

    file = tmp_path / "crashes.csv"
    for month in (1, 2):
        file.write_text(text([crash(f"{month}-{n}", occurred_at=f"2026-0{month}-05 10:00:00") for n in range(9)]))
        qala("deliver", str(file), "-t", "fct_crash", "-s", ASTANA, "-p", f"2026-0{month}")
    qala("run")  # both months, and of the tables the one with something new
    assert server.psql("SELECT pipeline_name, status FROM runs").strip() == "city_kpis|SUCCESS"
    months = server.psql(
        'SELECT DISTINCT partition FROM event_logs WHERE asset_key = \'["showcase", "fct_crash"]\' '
        "AND dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY 1"
    ).split()
    assert months == ["2026-01", "2026-02"]
    assert int(server.psql("SELECT count(*) FROM asset_check_executions WHERE execution_status <> 'PLANNED'")) > 0
    assert not (home.root / "dagster" / "history").exists()
    with reading(home) as store:
        (run,) = store.con.execute("SELECT DISTINCT run_id FROM audit.ledger WHERE kind = 'released'").fetchall()
        assert store.con.execute("SELECT sum(accepted_rows) FROM audit.delivery").fetchall() == [(18,)]
    assert server.psql("SELECT run_id FROM runs").strip() == run[0]
    assert 'qala_runs{job="city_kpis",status="success"} 1.0' in qala("metrics")
    assert json.loads(qala("status", "--json"))["deliveries"] == {"loaded": 2}
