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
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.archive.archive import Archive
from tests import whole
from warehouse import moments
from warehouse.home.home import Home
from warehouse.isolation import worker as apart
from warehouse.store.sessions import writing

ROOT = Path(__file__).parents[2]
Said = dict[str, Counter[tuple[Any, ...]]]
# moments of a first run, of a withdrawal, and of Dagster's: a run over a home that is released does not come to them
FIRST = {"schema.committing", "schema.committed", "catalogue.committing", "catalogue.committed"}
OF_DAGSTER = {"run.begun", "run.done"}
WITHDRAWAL = {"withdrawal.noted"}
PLAYED = [name for name in moments.NAMES if name not in FIRST | OF_DAGSTER | WITHDRAWAL]
PLAY = "import sys; from tests.whole import main; main(sys.argv[1])"
READ = """
import json, sys, threading, time
from pathlib import Path
import duckdb
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
folder, times = Path(sys.argv[1]), 0
while not stop.is_set() or not times:
    con = duckdb.connect(str(folder / "qala.duckdb"), read_only=True)
    (values,), (seq,) = (con.execute(sql).fetchone() for sql in
        ("SELECT count(*) FROM kpi_values", "SELECT max(seq) FROM audit.ledger WHERE kind = 'released'"))
    con.close()
    assert values and seq
    json.loads((folder / "release.json").read_text())
    assert (folder / "kpi_values.csv").stat().st_size
    times += 1
    time.sleep(0.01)
print(times)
"""


def spawn(*command: str, way: Sequence[str] = (), **more: str) -> subprocess.Popen[str]:
    """Python in a process of its own, with more in its environment; `way`: what it is started by."""
    return subprocess.Popen(  # noqa: S603
        [*way, sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"} | more,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def reader(home: Home) -> Iterator[None]:
    """Somebody who opens the release again and again meanwhile."""
    child = spawn("-c", READ, str(home.release))
    try:
        yield
    finally:
        said, wrong = child.communicate()
    assert child.returncode == 0, wrong
    assert int(said) > 0


@dataclass
class Prepared:
    """A home with everything waiting, and what an undisturbed run of it leaves."""

    root: Path
    expected: Said
    reached: Counter[str]
    seconds: float

    def copy(self, target: Path) -> Home:
        shutil.copytree(self.root, target)
        return Home(target)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made with every moment noted that is come to on the way."""
    folder, reached = tmp_path_factory.mktemp("moments"), Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "look", lambda name: reached.update([name]))
        whole.prepare(folder / "home")
        assert reached.keys() >= FIRST | WITHDRAWAL
        reached.clear()
        done = Home(shutil.copytree(folder / "home", folder / "done"))
        started = time.monotonic()
        with whole.unjudged():
            whole.play(done)
        seconds = time.monotonic() - started
    expected = whole.says(done)
    assert sorted(expected["deliveries"].values()) == [1] * 10
    assert Counter(row[6] for row in expected["deliveries"]) == {"loaded": 8, "duplicate": 1, "refused": 1}
    assert any(row[4] for row in expected["kpi.value"]), "no value was calculated: nothing is compared"
    return Prepared(folder / "home", expected, reached, seconds)


def check(home: Home, prepared: Prepared) -> None:
    """The next run, and what the home says then: all that was delivered, once."""
    with whole.unjudged():
        whole.finish(home)
    assert whole.says(home) == prepared.expected
    with writing(home) as store:
        twice = store.con.execute(
            "SELECT receipt_id FROM audit.delivery GROUP BY 1 HAVING count(*) > 1 UNION ALL "
            "SELECT receipt_id FROM audit.delivery WHERE state = 'received'"
        ).fetchall()
    assert twice == []
    assert Archive(home.archive).pending() == []
    assert not [*home.inbox.glob("*.*"), *home.inbox.glob("taking/*")]
    assert len([*home.inbox.glob("done/*/*.csv")]) == 2
    refused = [path.parent for path in home.inbox.glob("refused/*/b.manifest.json")]
    assert len(refused) == 1
    assert "999999999" in (refused[0] / "REASON.txt").read_text()


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
        whole.receive(Archive(home.archive), tmp_path / f"{home.root.name}-outbox", whole.accidents(1, 5))
    child = spawn("-c", PLAY, str(homes[0].root), QALA_TEST_KILL=name)
    assert child.wait() == -signal.SIGKILL
    with whole.unjudged():
        for home in homes:
            whole.finish(home)
    assert whole.says(homes[0]) == whole.says(homes[1])


def test_a_withdrawal_killed_in_the_middle_is_a_withdrawal(tmp_path: Path) -> None:
    """It was written down: nothing of the delivery is loaded, whether or not its receipt still waits."""
    home = Home(tmp_path / "home")
    archive = Archive(home.archive)
    number = whole.receive(archive, tmp_path / "outbox", whole.accidents(1, 5))
    code = "import sys; from pathlib import Path; from connectors.archive.archive import Archive; " \
           "Archive(Path(sys.argv[1])).withdraw(sys.argv[2], 'A. Person', 'wrong')"  # fmt: skip
    child = spawn("-c", code, str(home.archive), number, QALA_TEST_KILL="withdrawal.noted")
    assert child.wait() == -signal.SIGKILL
    with whole.unjudged():
        whole.play(home)
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
        apart.call("tests.whole:catalogue")  # it is there, and has read what it needs
        worker = apart._worker
        assert worker is not None
        killing = threading.Timer(chance.random() * 0.8, worker.process.kill)
        killing.start()
        try:
            apart.call("tests.whole:compute_home", home)
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
