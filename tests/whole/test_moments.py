"""`kill -9` at moments that have a name (warehouse/moments.py) and at random ones, of whole runs and of their worker.

After each the next run ends where an undisturbed one would have: same rows, values, roll-ups and assessments, no delivery lost, none
loaded twice; and the release could be opened all the while.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from connectors.archive.archive import Archive
from tests.support import runs
from tests.support.crashes import FIRST, PLAY, PLAYED, Prepared, check, reader, spawn
from warehouse import moments
from warehouse.home.home import Home
from warehouse.isolation import worker as apart
from warehouse.store.sessions import writing

ROOT = Path(__file__).parents[2]


def kill_at(prepared: Prepared, folder: Path, wanted: list[str]) -> None:
    """Kill a run at each of these moments, two at a time."""
    for start in range(0, len(wanted), 2):
        homes = [prepared.copy(folder / name.replace(":", "-")) for name in wanted[start : start + 2]]
        children = [spawn("-c", PLAY, str(home.root), QALA_TEST_KILL=name)
                    for home, name in zip(homes, wanted[start : start + 2], strict=True)]  # fmt: skip
        for home, child, name in zip(homes, children, wanted[start : start + 2], strict=True):
            with reader(home):
                _, wrong = child.communicate()
                assert child.returncode == -signal.SIGKILL, f"{name} was not come to: {wrong}"
                check(home, prepared)
            shutil.rmtree(home.root)


def test_every_moment_has_a_place_in_the_code_and_every_place_a_name() -> None:
    called = Counter[str]()
    for package in ("warehouse", "connectors", "pipelines"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "at":
                    assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                    called[str(node.args[0].value)] += 1
    assert called == Counter(moments.NAMES)
    assert len(moments.NAMES) >= 20


def test_every_moment_is_come_to(prepared: Prepared) -> None:
    assert set(prepared.reached) == set(PLAYED)


def test_a_moment_costs_nothing_unless_it_is_asked_for() -> None:
    assert moments.KILL not in os.environ
    assert moments.look is None


def test_a_run_killed_at_a_moment_is_finished_by_the_next(prepared: Prepared, tmp_path: Path) -> None:
    kill_at(prepared, tmp_path, ["load.committed", "release.renamed"])


@pytest.mark.slow
def test_a_run_killed_at_every_moment(prepared: Prepared, tmp_path: Path) -> None:
    """At the first time a run comes to it, and at the last."""
    kill_at(prepared, tmp_path, [f"{name}:{n}" for name in PLAYED for n in sorted({1, prepared.reached[name]})])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FIRST))
def test_a_first_run_killed_while_the_warehouse_comes_into_being(prepared: Prepared, tmp_path: Path, name: str) -> None:
    homes = [Home(tmp_path / which) for which in ("killed", "whole")]
    for home in homes:
        runs.receive(Archive(home.archive), tmp_path / f"{home.root.name}-outbox", runs.accidents(1, 5))
    child = spawn("-c", PLAY, str(homes[0].root), QALA_TEST_KILL=name)
    assert child.wait() == -signal.SIGKILL
    with runs.unjudged():
        for home in homes:
            runs.finish(home)
    assert runs.says(homes[0]) == runs.says(homes[1])


def test_a_withdrawal_killed_in_the_middle_is_a_withdrawal(tmp_path: Path) -> None:
    """It was written down: nothing of the delivery is loaded, whether or not its receipt still waits."""
    home = Home(tmp_path / "home")
    archive = Archive(home.archive)
    number = runs.receive(archive, tmp_path / "outbox", runs.accidents(1, 5))
    code = "import sys; from pathlib import Path; from connectors.archive.archive import Archive; " \
           "Archive(Path(sys.argv[1])).withdraw(sys.argv[2], 'A. Person', 'wrong')"  # fmt: skip
    child = spawn("-c", code, str(home.archive), number, QALA_TEST_KILL="withdrawal.noted")
    assert child.wait() == -signal.SIGKILL
    with runs.unjudged():
        runs.play(home)
    with writing(home) as store:
        assert store.con.execute("SELECT count(*) FROM showcase.fct_crash").fetchone() == (0,)
        assert store.con.execute("SELECT count(*) FROM audit.delivery WHERE state = 'received'").fetchone() == (0,)
        assert store.con.execute("SELECT count(*) FROM audit.ledger WHERE kind = 'withdrawn'").fetchone() == (1,)
    assert archive.pending() == []


@pytest.mark.slow
def test_runs_killed_from_outside_at_random(prepared: Prepared, tmp_path: Path) -> None:
    """Up to three kills one after the other, 120 in all; what comes of them is told by `check`."""
    chance, kills, number = random.Random(19), 0, 0  # noqa: S311
    while kills < 120:
        number += 1
        home = prepared.copy(tmp_path / str(number))
        with reader(home):
            for _ in range(chance.choice([2, 3, 4])):
                child = spawn("-c", PLAY, str(home.root))
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(chance.random() * prepared.seconds)
                child.kill()
                child.communicate()
                kills += 1
            check(home, prepared)
        shutil.rmtree(home.root)


@pytest.mark.slow
def test_the_worker_killed_at_random_while_it_computes(prepared: Prepared, tmp_path: Path) -> None:
    """The caller is told so and goes on; what was half computed is undone."""
    chance, told = random.Random(21), 0  # noqa: S311
    for number in range(30):
        home = prepared.copy(tmp_path / str(number))
        apart.call("tests.support.runs:catalogue")  # it is there, and has read what it needs
        worker = apart._worker
        assert worker is not None
        killing = threading.Timer(chance.random() * 0.8, worker.process.kill)
        killing.start()
        try:
            apart.call("tests.support.runs:compute_home", home)
        except apart.LimitError as error:
            told += "killed from outside" in str(error)
        killing.cancel()
        if number % 5 == 0:
            check(home, prepared)
        else:
            with writing(home) as store:
                rows = store.con.execute("SELECT count(*) FROM kpi.value WHERE valid_to_seq IS NULL").fetchone()
                assert rows == (sum(prepared.expected["kpi.value"].values()),)
        shutil.rmtree(home.root)
    assert told > 0


DELIVER = """
import sys
from pathlib import Path
from connectors.archive.archive import Archive
archive, files = Archive(Path(sys.argv[1])), sorted(Path(sys.argv[2]).iterdir())
print("ready", flush=True)
while True:
    for file in files:
        print(archive.receive(file, table="fct_crash", system="standard", scope="710000000", period="2025").receipt_id, flush=True)
"""


@pytest.mark.slow
def test_what_was_acknowledged_is_there_whenever_delivering_is_killed(tmp_path: Path) -> None:
    chance, outbox = random.Random(20), tmp_path / "outbox"  # noqa: S311
    outbox.mkdir()
    for n in range(4):
        (outbox / f"{n}.csv").write_bytes(random.Random(n).randbytes(100_000 * n))  # noqa: S311
    told = set[str]()
    for _ in range(40):
        child = spawn("-c", DELIVER, str(tmp_path / "archive"), str(outbox))
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.random() * 0.2)
        child.kill()
        said, _ = child.communicate()
        told |= {line for line in said.split("\n")[:-1] if line}
        there = {receipt.receipt_id for receipt in Archive(tmp_path / "archive").pending()}
        assert told <= there
    assert len(told) > 40
