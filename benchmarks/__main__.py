"""`python -m benchmarks SIZE`: the contenders take turns, must agree, and what they took is kept in results/SIZE.json."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import with_qala
from benchmarks.contender import CONTENDERS
from benchmarks.feeds import FEEDS, SIZES, files, make
from warehouse.store.sessions import MEMORY_LIMIT

RESULTS = Path(__file__).parent / "results"
FIGURES = ("wall_s", "cpu_s", "startup_s", "peak_mib")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs; the median counts")
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, e.g. duckdb,qala")
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="where data and work lie: several times the data's size"
    )
    asked = parser.parse_args()
    names = [n for n in CONTENDERS if n in asked.only.split(",")]
    if "dbt" in names and importlib.util.find_spec("dbt") is None:
        print("dbt is not installed (pip install -e .[bench]): it is left out")
        names.remove("dbt")
    data = asked.folder.resolve() / "data" / asked.size
    make(data, SIZES[asked.size])
    size = sum(p.stat().st_size for feed in FEEDS for p in files(data, feed))
    print(f"{SIZES[asked.size]:,} rows, {size / 1e6:,.0f} MB of CSV; {os.cpu_count()} cores", flush=True)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(asked.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            work = asked.folder.resolve() / "work" / name
            prepare(name, data, work)
            found = measure(name, data, work)
            runs[name].append(found)
            told = ", ".join(f"{figure} {found[figure]:,.2f}" for figure in FIGURES)
            print(f"round {turn + 1}, {name:6}: {told}", flush=True)
    reference = runs[names[0]][0]["answer"]
    differing = [line for name in names for one in runs[name] for line in differences(reference, one["answer"], name)]
    for line in dict.fromkeys(differing):
        print(line)
    contenders = {
        name: {f: round(statistics.median(one[f] for one in runs[name]), 2) for f in FIGURES} for name in names
    }
    report = {
        "size": asked.size, "rows": SIZES[asked.size], "csv_bytes": size, "rounds": asked.rounds, "equal": not differing,
        "machine": {"cores": os.cpu_count(), "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
                    "python": platform.python_version(), "duckdb": version("duckdb"), "measured_on": time.strftime("%Y-%m-%d")},
        "contenders": contenders, "ratios": ratios(contenders),
    }  # fmt: skip
    if limit := os.environ.get(MEMORY_LIMIT):
        report["qala_memory_limit"] = limit
    kept = f"{asked.size}-{limit}" if limit else asked.size
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{kept}.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / f"{kept}.md").write_text(page(report))
    print(page(report))
    if differing:
        sys.exit("the contenders do not agree: no time counts")


def prepare(name: str, data: Path, work: Path) -> None:
    """What is there before a contender begins: nothing, or a home of qala with what was delivered to it."""
    shutil.rmtree(work, ignore_errors=True)
    if name == "qala":
        started = time.perf_counter()
        with_qala.prepare(work)
        with_qala.deliver(data, work)
        print(f"         delivered to qala's archive in {time.perf_counter() - started:.1f} s", flush=True)


def measure(name: str, data: Path, work: Path, span: range | None = None) -> dict[str, Any]:
    """Run one contender in a process of its own; its peak is the largest sum of resident memory over its processes."""
    months = [] if span is None else [str(span.start), str(span.stop)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.contender", name, str(data), str(work), *months],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
        env=os.environ | {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"})  # fmt: skip
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.05)
    told, complaint = process.communicate()
    if process.returncode:
        sys.exit(f"{name} failed:\n{complaint[-4000:]}")
    return {**json.loads(told.splitlines()[-1]), "peak_mib": peak / 2**20}


def _resident(pid: int) -> int:
    """Bytes of memory a process and its children hold."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)


def differences(expected: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]], name: str) -> list[str]:
    """Where two answers differ: counts exactly, sums to twelve digits, as they pass through floating point."""

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-12) for x, y in zip(a, b, strict=True))
        return bool(a == b)

    return [
        f"{name}: {part} {key}: {found[part].get(key)} instead of {expected[part].get(key)}"
        for part in expected
        for key in sorted({*expected[part], *found[part]})
        if not same(expected[part].get(key), found[part].get(key))
    ]


def ratios(contenders: dict[str, dict[str, float]]) -> dict[str, float]:
    wanted = {
        "qala_over_duckdb_cpu": ("qala", "duckdb", "cpu_s"),
        "qala_over_duckdb_wall": ("qala", "duckdb", "wall_s"),
        "dbt_over_qala_wall": ("dbt", "qala", "wall_s"),
        "pandas_over_qala_wall": ("pandas", "qala", "wall_s"),
    }
    return {
        name: round(contenders[a][figure] / contenders[b][figure], 2)
        for name, (a, b, figure) in wanted.items()
        if a in contenders and b in contenders
    }


def page(report: dict[str, Any]) -> str:
    """The result as Markdown, with a chart."""
    contenders = report["contenders"]
    rows = "\n".join(
        f"| {name} | {c['wall_s']:.1f} | {c['cpu_s']:.1f} | {c['startup_s']:.1f} | {c['peak_mib']:,.0f} |"
        for name, c in contenders.items()
    )
    machine = report["machine"]
    limit = report.get("qala_memory_limit")
    command = f"{f'{MEMORY_LIMIT}={limit} ' if limit else ''}make bench SIZE={report['size']}"
    return f"""# {report["rows"]:,} rows

{report["csv_bytes"] / 1e6:,.0f} MB of CSV in {len(FEEDS)} feeds of 36 months; {machine["cores"]} cores, {machine["memory_gib"]} GiB,
DuckDB {machine["duckdb"]}, Python {machine["python"]}; median of {report["rounds"]}, {machine["measured_on"]}. Written by `{command}`.

| | wall, s | processor, s | start-up, s (not in wall) | peak memory, MiB |
|---|---:|---:|---:|---:|
{rows}

{"; ".join(f"`{name}` {value}" for name, value in report["ratios"].items())}. Answers {"equal" if report["equal"] else "NOT EQUAL: no time counts"}.

```mermaid
xychart-beta horizontal
    title "Wall seconds for {report["rows"]:,} rows"
    x-axis [{", ".join(contenders)}]
    bar [{", ".join(str(c["wall_s"]) for c in contenders.values())}]
```
"""


if __name__ == "__main__":
    main()
