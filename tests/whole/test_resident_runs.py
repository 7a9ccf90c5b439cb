"""Runs in forks of a resident process, of the KPIs that a delivery touches, beside runs of everything in a process of its own: equal homes."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from pipelines.resident.caller import KILLED
from tests.support import runs
from tests.support.crashes import spawn
from tests.support.homes import new_home
from tests.support.resident import listening
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.store.sessions import reading

QALA = "import sys; from pipelines.cli import app; app(sys.argv[1:], prog_name='qala')"
MONTHS = ("2025-01", "2025-02", "2025-03")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """An empty home with a resident process."""
    home = new_home(tmp_path_factory.mktemp("served") / "home")
    process = spawn("-c", QALA, "serve", "--home", str(home.root))
    listening(home, process)
    yield home
    process.terminate()
    process.communicate()


def _run(home: Home, **more: str) -> subprocess.CompletedProcess[str]:
    child = spawn("-c", QALA, "run", "--home", str(home.root), **more)
    said, wrong = child.communicate()
    return subprocess.CompletedProcess([], child.returncode, said, wrong)


def _deliver(chance: random.Random, homes: tuple[Home, ...], outbox: Path) -> str:
    """The same delivery, a new one or a correction, to each home. Returns its month."""
    month, scope = chance.choice(MONTHS), chance.choice((ASTANA, ALMATY))
    table = chance.choice(("fct_crash", "fct_crash", "dim_population"))
    content = f"as_of_date,population,count_source\n{month}-01,{chance.randint(10**5, 10**6)},x\n"
    if table == "fct_crash":
        first = 1000 * MONTHS.index(month) + (scope == ALMATY) * 10**5
        content = runs.accidents(first, chance.randint(0, 6), occurred_at=f"{month}-03 10:00:00", deaths_30d=chance.choice("01x"))  # fmt: skip
    for home in homes:
        runs.receive(Archive(home.archive), outbox / "out" / home.root.name, content, table, scope, month)
    return month


def _figures(home: Home) -> list[dict[str, object]]:
    with reading(home) as store:
        columns = "kpi_code, kato, period_id, value, obs_status, reason"
        return store.select(f"SELECT {columns} FROM kpi.value WHERE valid_to_seq IS NULL ORDER BY ALL")


@pytest.mark.slow
def test_forked_runs_leave_what_runs_of_everything_leave(served: Home, tmp_path: Path) -> None:
    """One of them is killed in the middle; the next goes on from there, as after any run that was killed."""
    alone = new_home(tmp_path / "alone")
    chance = random.Random(24)  # noqa: S311
    # the second is a moment of the process that computes: the run is told, and fails
    killed_at = {1: ("load.committed", KILLED), 2: ("compute.committing", 1), 3: ("release.copied", KILLED)}
    for step in range(4):
        month = _deliver(chance, (served, alone), tmp_path)
        if step in killed_at:
            moment, code = killed_at[step]
            assert _run(served, QALA_TEST_KILL=moment).returncode == code
        done = _run(served)
        assert done.returncode in (0, 3), done.stdout + done.stderr
        assert re.search(r"^run [0-9a-f]{8}: .* done$", done.stdout, re.MULTILINE), done.stdout
        beside = CliRunner().invoke(app, ["run", month, "--home", str(alone.root)])
        if step in killed_at:  # what was refused before it was killed was that run's to tell
            assert beside.exit_code in (0, 3), beside.output
        else:
            assert beside.exit_code == done.returncode, beside.output
        assert runs.says(served) == runs.says(alone)
        assert _figures(served) == _figures(alone)
