"""The same work as a dbt project on DuckDB: external sources, staging, quarantine, marts, KPIs and their tests in one build."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner

from benchmarks.contender import Answer
from benchmarks.feeds import FEEDS
from warehouse.tables.settlements import settlements

PROJECT = Path(__file__).parent / "dbt"
DATABASE = "city.duckdb"


def start(data: Path, work: Path) -> Callable[[], None]:
    work.mkdir(parents=True)
    os.environ |= {"BENCH_DUCKDB_FILE": str(work.resolve() / DATABASE), "DO_NOT_TRACK": "1"}
    folders = {
        "project-dir": PROJECT,
        "profiles-dir": PROJECT,
        "target-path": work / "target",
        "log-path": work / "logs",
    }
    options = [part for name, folder in folders.items() for part in (f"--{name}", str(folder.resolve()))]
    options += ["--vars", json.dumps({"data": str(data.resolve()), "settlements": list(settlements())})]
    options += ["--quiet", "--no-version-check", "--no-send-anonymous-usage-stats"]
    parsed = dbtRunner().invoke(["parse", *options])
    assert parsed.success, parsed.exception
    dbt = dbtRunner(manifest=parsed.result)

    def run() -> None:
        built = dbt.invoke(["build", *options])
        assert built.success, built.exception
        reset_adapters()

    return run


def answer(work: Path) -> Answer:
    con = duckdb.connect(str(work / DATABASE))  # dbt keeps its own connection to the end of the process
    rows = {
        feed.table: int((con.execute(f"SELECT count(*) FROM {feed.table}").fetchone() or (0,))[0]) for feed in FEEDS
    }
    broken = dict(con.execute("SELECT table_name || ' ' || rule, count(*) FROM quarantine GROUP BY ALL").fetchall())
    replaced = dict(con.execute("SELECT table_name, rows FROM replaced").fetchall())
    kpis = con.execute("""SELECT code, count(value), sum(value::DECIMAL(18,6))::DOUBLE, coalesce(sum(n) FILTER (WHERE code <> 'BEN01-9'), 0)::DOUBLE,
        coalesce(sum(d) FILTER (WHERE code <> 'BEN01-9'), 0)::DOUBLE FROM kpi WHERE value IS NOT NULL GROUP BY ALL""").fetchall()
    return Answer(rows, broken, replaced, {code: (n, *sums) for code, n, *sums in kpis})
