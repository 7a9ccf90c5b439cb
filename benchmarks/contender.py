"""One contender in a process of its own: `python -m benchmarks.contender NAME DATA WORK [FROM TO]`. Prints one line of JSON.

A contender is a module with `start(data, work)`, which imports and prepares all that does not depend on the rows and returns
the work as a function, and `answer(work)`, which tells what came of it. FROM and TO count months, for those that can add some.
Start-up is timed from the process's own beginning.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

CONTENDERS = {
    "duckdb": "benchmarks.plain_duckdb",
    "qala": "benchmarks.with_qala",
    "pandas": "benchmarks.plain_pandas",
    "dbt": "benchmarks.with_dbt",
}


@dataclass(frozen=True)
class Answer:
    """What must be the same whoever did the work."""

    rows: dict[str, int]  # table → rows that hold
    broken: dict[str, int]  # "table rule" → rows in quarantine
    replaced: dict[str, int]  # table → rows whose key came again
    kpis: dict[str, tuple[int, float, float, float]]  # code → cells, sums of value, numerator, denominator


def cpu_seconds() -> float:
    """Processor seconds of this process and its children, those still at work included."""
    times = os.times()
    total, tick = sum(times[:4]), os.sysconf("SC_CLK_TCK")
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / tick
    return total


def main() -> None:
    name, data, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    born = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    module = importlib.import_module(CONTENDERS[name])
    span = [range(int(sys.argv[4]), int(sys.argv[5]))] if len(sys.argv) > 4 else []
    run = module.start(data, work, *span)
    startup = time.clock_gettime(time.CLOCK_BOOTTIME) - born
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    print(json.dumps({"startup_s": startup, "wall_s": wall, "cpu_s": cpu, "answer": asdict(module.answer(work))}))


if __name__ == "__main__":
    main()
