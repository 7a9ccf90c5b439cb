"""Processes that are killed over a copy of a prepared home, and what the next run must make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.archive.archive import Archive
from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.model import Grain
from tests.support import runs
from tests.support.rows import changed, only
from warehouse import moments
from warehouse.home.home import Home
from warehouse.store.sessions import writing

ROOT = Path(__file__).parents[2]
Said = dict[str, Counter[tuple[Any, ...]]]
# moments of a first run, of a withdrawal, of a pull, and of Dagster's: a run over a home that is released does not come to them
FIRST = {"schema.committing", "schema.committed", "catalogue.committing", "catalogue.committed"}
OF_DAGSTER = {"run.begun", "run.done"}
WITHDRAWAL = {"withdrawal.noted"}
PULL = {"pull.fetched", "pull.entered", "pull.noted"}
PLAYED = [name for name in moments.NAMES if name not in FIRST | OF_DAGSTER | WITHDRAWAL | PULL]
PLAY = "import sys; from tests.support.runs import main; main(sys.argv[1])"
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
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
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


def check(home: Home, prepared: Prepared) -> None:
    """The next run, and what the home says then: all that was delivered, once."""
    with runs.unjudged():
        runs.finish(home)
    assert runs.says(home) == prepared.expected
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


def crashes_by_month() -> Catalogues:
    """One KPI, by months: the year of the deliveries has not ended for whoever runs this."""
    catalogue = only(load_catalogues(), "SAF04-1")
    return changed(catalogue, catalogue.latest("SAF04-1").model_copy(update={"period": Grain.MONTH}))
