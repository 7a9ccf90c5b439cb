"""`kill -9` at any moment: no delivery is torn, and the next run ends where an undisturbed one would have.

The child kills itself before its n-th SQL statement, which is a moment that can be named; and it is killed from outside at
random ones. Judging is left out there: it writes nothing, and Great Expectations takes seconds to import.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors import batches, ingest, ingest_batch
from connectors.archive.archive import Archive
from tests.support.crashes import crashes_by_month
from tests.support.files import Desk, contents, crash, crashes, query, states, text
from tests.support.settlements import ALMATY, ASTANA
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.outstanding import due, due_home
from warehouse.store.sessions import writing
from warehouse.store.store import Store

ROOT = Path(__file__).parents[2]
INTAKE = """
import os, signal, sys
from pathlib import Path
from connectors import batches, ingest, ingest_batch
from connectors.archive.archive import Archive
from warehouse.home.home import Home
from warehouse.store.sessions import writing

class Deadly:
    def __init__(self, con, fatal):
        self.con, self.fatal, self.statements = con, fatal, 0
    def execute(self, *arguments):
        self.statements += 1
        if self.statements == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.con.execute(*arguments)
    def __getattr__(self, name):
        return getattr(self.con, name)

home = Home(Path(sys.argv[1]))
ingest_batch.judge_deliveries = lambda *_: []
batches.BATCH_DELIVERIES = 3
archive = Archive(home.archive)
with writing(home) as store:
    store.con = Deadly(store.con, int(sys.argv[2]))
    print("ready", flush=True)
    ingest.register_pending(store, archive)
    for name in ("fct_crash", "dim_population"):
        ingest.ingest_table(store, archive, store.tables[name], {})
    print(store.con.statements, flush=True)
"""
COMPUTE = """
import datetime as dt
from tests.support.crashes import crashes_by_month
from warehouse.kpi_values.compute import compute

with writing(home) as store:
    store.con = Deadly(store.con, int(sys.argv[2]))
    compute(store, crashes_by_month(), ["2026-01", "2026-02"], today=dt.date(2035, 1, 1))
    print(store.con.statements, flush=True)
"""
RECEIVE = """
import sys
from pathlib import Path
from connectors.archive.archive import Archive
archive = Archive(Path(sys.argv[1]))
files = sorted(Path(sys.argv[2]).iterdir())
print("ready", flush=True)
while True:
    for file in files:
        archive.receive(file, table="fct_crash", system="standard", scope="710000000", period="2026-01")
"""


VALUES = "SELECT kpi_code, kato, period_id, value, state, reason FROM kpi.value WHERE valid_to_seq IS NULL ORDER BY ALL"


@dataclass
class Prepared:
    """A home with deliveries waiting, and every state an undisturbed run of them goes through."""

    root: Path
    stages: list[dict[str, Any]]
    statements: int
    seconds: float

    def copy(self, target: Path) -> Desk:
        shutil.copytree(self.root, target)
        return Desk(target)


def spawn(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def state(store: Store) -> dict[str, Any]:
    """All that intake writes, clock times aside."""
    found: dict[str, Any] = dict(contents(store, "showcase", "history"))
    for table in ("fct_crash", "dim_population"):
        for place in ("showcase", "history"):
            found[f"{place}.{table}"] = query(
                store, f"SELECT * EXCLUDE (sdu_load_in_dt) FROM {place}.{table} ORDER BY ALL"
            )
    found["delivery"] = query(store, "SELECT * EXCLUDE (loaded_at, received_at) FROM audit.delivery ORDER BY ALL")
    found["rejected"] = query(store, "SELECT * FROM audit.rejected_row ORDER BY ALL")
    found["ledger"] = query(
        store, "SELECT seq, kind, subject, CASE WHEN kind <> 'sealed' THEN detail END FROM audit.ledger ORDER BY seq"
    )
    return found


def take(desk: Desk, store: Store, stages: list[dict[str, Any]] | None = None) -> None:
    """What the child does, undisturbed."""

    def note(_: str) -> None:
        if stages is not None:
            stages.append(state(store))

    ingest.register_pending(store, desk.archive)
    note("")
    for name in ("fct_crash", "dim_population"):
        ingest.ingest_table(store, desk.archive, store.tables[name], {}, progress=note)


@pytest.fixture(scope="module", autouse=True)
def without_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_batch, "judge_deliveries", lambda *_: [])
        patch.setattr(batches, "BATCH_DELIVERIES", 3)
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    root = tmp_path_factory.mktemp("crash")
    desk = Desk(root / "home")
    desk.deliver(crashes(400), "fct_crash")
    desk.deliver(crashes(300, first=1000), "fct_crash", scope=ALMATY)
    with desk.open() as store:
        take(desk, store)
    rows = [crash(n, injured=str(n % 3)) for n in range(1, 390)]
    desk.deliver(text(rows) + "C9,cut", "fct_crash")  # a correction, with a record that cannot be split
    desk.deliver(crashes(200, first=350), "fct_crash", period="2026-02")  # overlaps with it
    desk.deliver(crashes(300, first=1000), "fct_crash", scope=ALMATY)  # the same bytes
    desk.deliver("nonsense", "fct_crash", scope=ALMATY, period="2026-02")
    desk.deliver(crashes(250), "fct_crash")  # corrects the first again, in the next batch
    desk.deliver(crashes(10, first=2000), "fct_crash", scope=ALMATY, period="2026-02")
    desk.deliver("as_of_date,population,count_source\n2026-01-01,5,x\n", "dim_population")
    done = Desk(shutil.copytree(root / "home", root / "done"))
    with done.open() as store:
        stages = [state(store)]
        take(done, store, stages)
        expected = ["loaded", "loaded", "loaded", "loaded", "duplicate", "refused", "loaded", "loaded", "loaded"]
        assert list(states(store).values()) == expected
    assert len(stages) == 5
    measured = shutil.copytree(root / "home", root / "measured")
    child = spawn(INTAKE, measured, 0)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    started = time.monotonic()
    statements = int(child.stdout.readline())
    seconds = time.monotonic() - started
    assert child.wait() == 0
    return Prepared(root / "home", stages, statements, seconds)


def check_after_kill(desk: Desk, prepared: Prepared) -> int:
    """The warehouse is as after one of the transactions of an undisturbed run. Returns after which."""
    with writing(desk.home) as store:
        found = state(store)
        assert found in prepared.stages, "a torn delivery"
        waiting = {receipt.receipt_id for receipt in desk.archive.pending()}
        undecided = query(store, "SELECT receipt_id FROM audit.delivery WHERE state = 'received'")
        assert {row[0] for row in undecided} <= waiting, "a delivery lost its receipt"
    return prepared.stages.index(found)


def check_next_run(desk: Desk, prepared: Prepared) -> None:
    """A run that nobody disturbs ends as if nobody ever had."""
    with writing(desk.home) as store:
        take(desk, store)
        assert state(store) == prepared.stages[-1]
        assert "received" not in states(store).values()
        take(desk, store)
    assert desk.archive.pending() == []


def kill_before(prepared: Prepared, folder: Path, moments: list[int]) -> list[int]:
    """Kill a run before each of these statements, two runs at a time; returns how far each had come."""
    reached = []
    for start in range(0, len(moments), 2):
        pair = moments[start : start + 2]
        desks = [prepared.copy(folder / f"killed{n}") for n in pair]
        children = [spawn(INTAKE, desk.root, n) for desk, n in zip(desks, pair, strict=True)]
        for desk, child in zip(desks, children, strict=True):
            child.communicate()
            assert child.returncode == -signal.SIGKILL
            reached.append(check_after_kill(desk, prepared))
            check_next_run(desk, prepared)
            shutil.rmtree(desk.root)
    return reached


def test_a_run_killed_anywhere_tears_nothing_and_the_next_one_finishes(prepared: Prepared, tmp_path: Path) -> None:
    moments = [round(prepared.statements * share) for share in (0.4, 0.85)]
    reached = kill_before(prepared, tmp_path, moments)
    assert reached == sorted(reached)
    assert reached[0] < reached[-1], "all kills hit the same moment: nothing was tried"


@pytest.mark.slow
def test_a_run_killed_before_each_of_its_statements(prepared: Prepared, tmp_path: Path) -> None:
    reached = kill_before(prepared, tmp_path, list(range(1, prepared.statements + 1)))
    assert reached == sorted(reached)
    assert set(reached) >= set(range(len(prepared.stages) - 1))


@pytest.mark.slow
def test_runs_killed_from_outside_at_random_moments(prepared: Prepared, tmp_path: Path) -> None:
    moments = random.Random(469)  # noqa: S311
    reached = []
    for number in range(40):
        desk = prepared.copy(tmp_path / f"killed{number}")
        for _ in range(moments.choice([1, 1, 2, 3])):  # the next run may be killed as well
            child = spawn(INTAKE, desk.root, 0)
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(moments.random() * prepared.seconds)
            child.kill()
            child.communicate()
            reached.append(check_after_kill(desk, prepared))
        check_next_run(desk, prepared)
    assert len(set(reached)) > 1, "all kills hit the same moment: nothing was tried"


def test_what_was_loaded_before_a_run_was_killed_is_computed_by_the_next(prepared: Prepared, tmp_path: Path) -> None:
    """Killed between loading and computing, or anywhere in computing: the months are due until they are computed, and no longer."""
    catalogue = crashes_by_month()
    loaded = prepared.copy(tmp_path / "loaded")
    with writing(loaded.home) as store:
        take(loaded, store)
    code = INTAKE[: INTAKE.index("archive = Archive(home.archive)")] + COMPUTE
    whole = Desk(shutil.copytree(loaded.root, tmp_path / "whole"))
    child = spawn(code, whole.root, 0)
    assert child.stdout is not None
    statements = int(child.stdout.readline())
    assert child.wait() == 0
    assert due_home(loaded.home, catalogue).uncomputed == ("2026-01", "2026-02")
    with writing(whole.home) as store:
        expected = query(store, VALUES)
        assert due(store, catalogue).months == ()
    for share in (0.05, 0.6, 0.95):
        desk = Desk(shutil.copytree(loaded.root, tmp_path / f"killed at {share}"))
        child = spawn(code, desk.root, round(statements * share))
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        found = due_home(desk.home, catalogue)  # opened for reading, with whatever log the killed one left
        assert (found.uncomputed, found.codes) == (("2026-01", "2026-02"), None)
        with writing(desk.home) as store:
            compute(store, catalogue, found.months, today=dt.date(2035, 1, 1))
            assert query(store, VALUES) == expected
            assert due(store, catalogue).months == ()


def receive_and_kill(folder: Path, after: float) -> int:
    """Kill a process that takes files in; returns how many receipts it left."""
    outbox = folder / "outbox"
    outbox.mkdir(parents=True)
    for n in range(5):
        (outbox / f"{n}.csv").write_bytes(random.Random(n).randbytes(300_000 * n))  # noqa: S311
    archive = Archive(folder / "archive")
    child = spawn(RECEIVE, archive.root, outbox)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.kill()
    child.communicate()
    receipts = archive.pending()
    expected = {hashlib.sha256(f.read_bytes()).hexdigest(): f.stat().st_size for f in outbox.iterdir()}
    for receipt in receipts:
        with archive.open(receipt.sha256) as stream:
            content = stream.read()
        assert hashlib.sha256(content).hexdigest() == receipt.sha256
        assert len(content) == receipt.bytes == expected[receipt.sha256]
    for packed in (archive.root / "sha256").glob("??/*"):
        assert packed.suffix == ".zst"
        with archive.open(packed.stem) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == packed.stem, "half a file under a whole one's name"
    # and what was begun can be done again
    for file in outbox.iterdir():
        archive.receive(file, table="fct_crash", system="standard", scope=ASTANA, period="2026-01")
    assert len(archive.pending()) == len(receipts) + 5
    return len(receipts)


def test_a_process_killed_while_it_takes_files_in_leaves_whole_files_and_receipts(tmp_path: Path) -> None:
    assert receive_and_kill(tmp_path, 0.3) > 0


@pytest.mark.slow
def test_processes_killed_at_random_while_they_take_files_in(tmp_path: Path) -> None:
    moments = random.Random(469)  # noqa: S311
    left = [receive_and_kill(tmp_path / str(n), moments.random() * 0.2) for n in range(40)]
    assert len(set(left)) > 1
