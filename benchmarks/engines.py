"""`python -m benchmarks.engines SIZE`: the same cells measured by every engine, over the rows that qala's own job has taken in.

Start-up, handing over and measuring are timed apart; every part of every cell must be what DuckDB measures. Results: results/engines-SIZE.json.
Does not belong here: how rows come into a warehouse, and qala beside other tools (__main__.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import with_qala
from benchmarks.feeds import SIZES, make
from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.compiler import Compiled, compile_kpi
from tools.clusters import clickhouse, spark
from tools.clusters.processes import running
from warehouse.engines.engine import Engine
from warehouse.home.home import Home
from warehouse.kpi_values.computation import Computation, KpiVersion
from warehouse.periods import LAST_YEAR, parse_period
from warehouse.store.sessions import writing
from warehouse.store.store import Store

RESULTS = Path(__file__).parent / "results"
ROUNDS = 3
EXECUTOR = "2g"


@dataclass(frozen=True)
class Setting:
    """An engine on so many machines, which are processes here."""

    name: str
    machines: int

    def __str__(self) -> str:
        return f"{self.name} {self.machines}" if self.machines else self.name


SETTINGS = {str(s): s for s in (
    Setting("duckdb", 0), Setting("chdb", 0), Setting("clickhouse", 1), Setting("clickhouse", 2), Setting("spark", 1), Setting("spark", 2),
)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("size", help=f"{', '.join(SIZES)}, or the folder of a home, whose newest year is measured")
    parser.add_argument("--only", default=",".join(SETTINGS), help="settings, e.g. 'duckdb,spark 2'")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="where data and work lie")
    parser.add_argument("--one", help="measure one setting in this process and print it: what the others call")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    home = folder / "engines" / asked.size if asked.size in SIZES else Path(asked.size).resolve()
    work = folder / "engines" / f"{home.name}-work"
    if asked.one:
        print(json.dumps(measured(SETTINGS[asked.one], Home(home), work)))
        return
    if asked.size in SIZES and not (home / "release").exists():
        _take_in(folder / "data" / asked.size, home, SIZES[asked.size])
    found: dict[str, dict[str, Any]] = {}
    for name in asked.only.split(","):
        found[name] = _apart(name, asked.size, folder, work)
        print(name, json.dumps(found[name]), flush=True)
    reference = next(iter(found.values()))["digest"]
    report = {
        "size": home.name, "rounds": ROUNDS, "equal": all(one["digest"] == reference for one in found.values()),
        "machine": {"cores": os.cpu_count(), "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
                    "python": platform.python_version(), "measured_on": time.strftime("%Y-%m-%d")},
        "engines": found,
    }  # fmt: skip
    (RESULTS / f"engines-{home.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / f"engines-{home.name}.md").write_text(page(report))
    print(page(report))
    if not report["equal"]:
        sys.exit("the engines do not agree: no time counts")


def _take_in(data: Path, home: Path, rows: int) -> None:
    """A home with the rows of a size, as qala's job leaves it."""
    make(data, rows)
    with_qala.prepare(home)
    with_qala.deliver(data, home)
    subprocess.run(
        [sys.executable, "-m", "benchmarks.contender", "qala", str(data), str(home)],
        check=True, stdout=subprocess.DEVNULL, env=os.environ | {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"},
    )  # fmt: skip


def _apart(name: str, size: str, folder: Path, work: Path) -> dict[str, Any]:
    """One setting in a process of its own, with the memory that each of its processes held at most."""
    shutil.rmtree(work / name, ignore_errors=True)
    asked = [sys.executable, "-m", "benchmarks.engines", size, "--folder", str(folder), "--one", name]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
    peaks: dict[int, tuple[str, int]] = {}
    while process.poll() is None:
        places = [place for place in (work / name).glob("cluster/*") if place.is_dir()]
        clusters = [pid for place in places if (pid := running(place)) is not None]
        for pid in [process.pid, *clusters]:
            for one, kind, resident in _family(pid):
                known, peak = peaks.get(one, (kind, 0))  # one that is beginning or ending is taken for Python
                peaks[one] = (kind if known == "python" else known, max(resident, peak))
        time.sleep(0.1)
    told, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{name} failed")
    return {
        **json.loads(told.splitlines()[-1]),
        "peak_mib": sorted(f"{kind} {peak >> 20}" for kind, peak in peaks.values() if peak >> 20 > 50),
    }


def _family(pid: int) -> Iterator[tuple[int, str, int]]:
    """(number, what it is, resident bytes) of a process and its children."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    kinds = ("CoarseGrainedExecutorBackend", "worker.Worker", "master.Master", "SparkSubmit", "clickhouse", "python")
    yield pid, next((kind.rpartition(".")[2] for kind in kinds if kind in command), "python"), resident
    for child in children:
        yield from _family(int(child))


def measured(setting: Setting, home: Home, work: Path) -> dict[str, Any]:
    """Start-up, handing over and measuring of one setting, in seconds; and a digest of what came out."""
    from warehouse.engines.showcase_files import write_showcase
    from warehouse.engines.step import bring_in_step
    from warehouse.kpi_values.measured_elsewhere import Elsewhere

    told: dict[str, Any] = {}
    files = work / "files"
    with ExitStack() as stack:
        store = stack.enter_context(writing(home))
        compiled = _of_filled_tables(store, load_catalogues(home.catalogues))
        elsewhere = None
        if setting.name != "duckdb":
            told["files_s"] = _timed(lambda: write_showcase(store, files))[0]
            told["startup_s"], engine = _timed(
                lambda: stack.enter_context(_engine(setting, files, work / str(setting)))
            )
            seconds, facts = _timed(engine.ready)
            told["startup_s"] += seconds
            told["load_s"], showcase = _timed(lambda: bring_in_step(store, engine, facts, files))
            told["rows"] = sum(load.rows for load in showcase.loads)
            elsewhere = Elsewhere(engine, facts, showcase)
        told["kpis"] = len({one.kpi.code for one in compiled})
        times = [_timed(lambda: _measure(store, compiled, elsewhere))[0] for _ in range(ROUNDS)]
        told |= {
            "scans_s": statistics.median(times),
            "first_scans_s": times[0],
            "cells": _digest(store)[1],
            "digest": _digest(store)[0],
        }
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in told.items()}


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


@contextmanager
def _engine(setting: Setting, files: Path, folder: Path) -> Iterator[Engine]:
    """The engine, not asked anything yet; closed, and its cluster stopped, in the end."""
    from warehouse.engines.chdb import open_chdb
    from warehouse.engines.clickhouse import open_clickhouse
    from warehouse.engines.spark import SparkEngine

    folder.mkdir(parents=True)
    with ExitStack() as stack:
        engine: Engine
        if setting.name == "chdb":
            engine = open_chdb(folder / "chdb")
        elif setting.name == "clickhouse":
            servers = clickhouse.up(folder / "cluster", setting.machines)
            stack.callback(clickhouse.down, folder / "cluster")
            several = setting.machines > 1
            engine = open_clickhouse(
                address=servers.shards[0], database=clickhouse.DATABASE, user=clickhouse.LOADER, password=servers.password,
                reader=clickhouse.READER, reader_password=servers.reader_password,
                cluster=clickhouse.CLUSTER if several else None, shards=servers.shards if several else (),
            )  # fmt: skip
        else:
            cluster = spark.up(folder / "cluster", setting.machines, memory=EXECUTOR)
            stack.callback(spark.down, folder / "cluster")
            engine = SparkEngine(cluster.master, files, folder / "spark", executor_memory=EXECUTOR)
        stack.callback(engine.close)
        yield engine


def _of_filled_tables(store: Store, catalogue: Catalogues) -> list[Compiled]:
    """The KPIs all of whose tables have rows."""
    compiled = [compile_kpi(kpi, store.columns()) for kpi in catalogue.kpis]
    tables = {table for one in compiled for table in one.tables}
    filled = {table for table in tables if store.con.execute(f"SELECT 1 FROM showcase.{table} LIMIT 1").fetchone()}
    return [one for one in compiled if filled.issuperset(one.tables)]


def _measure(store: Store, compiled: list[Compiled], elsewhere: Any) -> None:
    """Fill `work_cell_parts` for every KPI, settlement and period that has a delivery."""
    from warehouse.kpi_values.scans import run_scans
    from warehouse.tables.working_tables import create

    versions = [KpiVersion(one, "", parse_period("2000").start, parse_period(str(LAST_YEAR)).start) for one in compiled]
    create(store.con, "work_due_cell")
    kpis = ", ".join(f"('{kpi.code}', {kpi.version}, '{kpi.period}')" for kpi in (one.kpi for one in compiled))
    store.con.execute(f"""INSERT INTO work_due_cell
        SELECT code, version, kato, period_id, CAST(period_start AS TIMESTAMP), CAST(period_end AS TIMESTAMP), period_end
        FROM (VALUES {kpis}) AS kpi (code, version, grain) JOIN registry.period AS period USING (grain), registry.settlement
        WHERE period_start >= (SELECT min(period_start) FROM audit.delivery) AND period_end <= (SELECT max(period_end) FROM audit.delivery)""")
    run_scans(Computation(store, versions, parse_period(str(LAST_YEAR)).start, elsewhere=elsewhere))


def _digest(store: Store) -> tuple[str, int]:
    """Of every cell's parts: decimals as they are, doubles by their bits; and how many cells have any."""
    rows = store.con.execute("SELECT * FROM work_cell_parts ORDER BY ALL").fetchall()
    failed = store.con.execute("SELECT * FROM work_failed_cell ORDER BY ALL").fetchall()
    said = repr([tuple(v.hex() if isinstance(v, float) else v for v in row) for row in rows]) + repr(failed)
    return hashlib.sha256(said.encode()).hexdigest()[:16], sum(row[-1] > 0 for row in rows)


def page(report: dict[str, Any]) -> str:
    """The results as a table."""
    machine = report["machine"]
    lines = [
        f"# Engines over {report['size']}",
        "",
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['measured_on']}; every part of every cell equal: {report['equal']}. Seconds.",
        "",
        "| engine | start-up | files | load | measure, first | measure, median | cells | memory of each process, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, one in report["engines"].items():
        figures = [one.get(key, "") for key in ("startup_s", "files_s", "load_s", "first_scans_s", "scans_s", "cells")]
        lines.append(f"| {name} | {' | '.join(map(str, figures))} | {', '.join(one['peak_mib'])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
