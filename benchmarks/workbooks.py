"""`python -m benchmarks.workbooks`: an XLSX of 200,000 rows and 10 columns read by qala and by pandas, in turn, each in a process of its own.

qala's work is what a run does: limits, cells, header, records, written as the CSV that the reading pass is given. pandas' is
`read_excel` with calamine, and with openpyxl, into a frame. Kept in results/workbooks.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.__main__ import RESULTS
from benchmarks.contender import cpu_seconds

COLUMNS = ("number", "opened", "district", "note", "count", "share", "closed", "amount", "checked", "kind")
DISTRICTS = ("Есиль", "Алматы", "Сарыарка", "Байконур")
START = dt.datetime.fromisoformat("2025-01-01")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workbooks", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--of", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.of:
        measure(READERS[asked.of], asked.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "appeals.xlsx"
        write(path, asked.rows)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
        for _ in range(asked.rounds):
            for name in READERS:
                command = [sys.executable, "-m", "benchmarks.workbooks", "--of", name, "--file", str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name].append(json.loads(done.stdout))
        report = reported(found, asked.rows, path.stat().st_size)
    (RESULTS / "workbooks.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def reported(found: dict[str, list[dict[str, float]]], rows: int, size: int) -> dict[str, object]:
    """Medians of each, and how many times qala's each of the others takes."""
    median = {
        name: {key: round(statistics.median(one[key] for one in every), 2) for key in every[0]}
        for name, every in found.items()
    }
    others = {name: one for name, one in median.items() if name != "qala"}
    ratios = {name: {key: round(median["qala"][key] / one[key], 2) for key in one} for name, one in others.items()}
    return {"rows": rows, "bytes": size, "median": median, "qala_over": ratios}


def write(path: Path, rows: int) -> None:
    """Texts, moments, whole and broken numbers, truth values, gaps."""
    from openpyxl import Workbook

    book, chance = Workbook(write_only=True), random.Random(1)  # noqa: S311 -- made-up rows
    sheet = book.create_sheet("appeals")
    sheet.append(COLUMNS)
    for n in range(rows):
        opened, closed = START + dt.timedelta(minutes=n), START + dt.timedelta(minutes=n + chance.randrange(9_000))
        last = closed if chance.random() < 0.8 else None
        share, amount = round(chance.random(), 6), round(chance.random() * 1e5, 2)
        note = f"текст обращения {chance.randrange(10**6)}"
        sheet.append([f"A-{n:06}", opened, chance.choice(DISTRICTS), note, n, share, last, amount, n % 3 == 0, "roads"])
    book.save(path)


def measure(read: Callable[[Path], None], path: Path) -> None:
    """One reading: seconds, and MiB at the most above what the process took before."""
    before, cpu, wall = memory(), cpu_seconds(), time.perf_counter()
    read(path)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "memory_mib": memory() - before}))


def memory() -> float:
    """MiB that this process took at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def by_qala(path: Path) -> None:
    from connectors.mapping.source_contract import SourceColumn, SourceContract
    from connectors.readers.kinds import Kind, Part
    from connectors.readers.rows import written

    columns = tuple(SourceColumn(c, c, None, {}) for c in COLUMNS)
    contract = SourceContract("bench", "1", "bench", "bench", columns, COLUMNS)
    written([Part(path.name, path, Kind.XLSX)], contract, path.with_suffix(".csv"), path.name)


def by_calamine(path: Path) -> None:
    import pandas as pd

    pd.read_excel(path, engine="calamine")


def by_openpyxl(path: Path) -> None:
    import pandas as pd

    pd.read_excel(path, engine="openpyxl")


READERS = {"qala": by_qala, "pandas calamine": by_calamine, "pandas openpyxl": by_openpyxl}

if __name__ == "__main__":
    main()
