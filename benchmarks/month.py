"""`python -m benchmarks.month`: one more month on 12, 36 and 60 of history, by the real job and by a plain MERGE.

What is compared is the month alone: the history is loaded before. Kept in results/month.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from benchmarks import with_qala
from benchmarks.__main__ import FIGURES, RESULTS, measure
from benchmarks.feeds import make

HISTORY = (12, 36, 60)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.month", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=278_000, help="rows of one month: 278,000 are 10 million in 36 months"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    data, work = folder / "data" / f"month-{asked.rows}", folder / "work" / "month"
    every = range(max(HISTORY) + 1)
    make(data, asked.rows * len(every), every)
    report: dict[str, Any] = {"rows_a_month": asked.rows, "rounds": asked.rounds, "history": {}}
    for length in HISTORY:
        base = {name: work / f"{name}-base" for name in ("duckdb", "qala")}
        shutil.rmtree(work, ignore_errors=True)
        with_qala.prepare(base["qala"])
        with_qala.deliver(data, base["qala"], range(length))
        for name, place in base.items():
            measure(name, data, place, range(length))
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in base}
        for _ in range(asked.rounds):
            for name, place in base.items():
                shutil.rmtree(work / name, ignore_errors=True)
                shutil.copytree(place, work / name)
                if name == "qala":
                    with_qala.deliver(data, work / name, range(length, length + 1))
                runs[name].append(measure(name, data, work / name, range(length, length + 1)))
        rows = [one["answer"]["rows"] for found in runs.values() for one in found]
        equal = all(one == rows[0] for one in rows)
        figures = {
            name: {f: round(statistics.median(one[f] for one in found), 2) for f in FIGURES}
            for name, found in runs.items()
        }
        report["history"][length] = {"equal": equal, **figures}
        print(f"on {length} months: {json.dumps(report['history'][length])}", flush=True)
    shutil.rmtree(work)
    (RESULTS / "month.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
