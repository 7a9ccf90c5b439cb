"""`python -m benchmarks.fused`: twelve KPIs of one table beside one of them, on the home that `make bench` left behind.

KPIs of one table, time and settlement are computed in one pass over it. Kept in results/fused.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path

import yaml

from benchmarks.__main__ import RESULTS
from benchmarks.feeds import months
from benchmarks.with_qala import CATALOGUES
from kpi_definitions.catalogue import load_catalogues
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute, get_ready
from warehouse.store.sessions import writing

# shares of boardings, each with a condition of its own
PAID = ("TRANSPORT_CARD", "BANK_CARD", "QR", "SMS", "CASH")
CONDITIONS = tuple(f"payment_type {sign} '{p}'" for p in PAID for sign in ("=", "<>"))
CONDITIONS += ("route_id IS NOT NULL", "vehicle_id IS NOT NULL")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fused", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    asked = parser.parse_args()
    loaded, work = asked.folder.resolve() / "work" / "qala", asked.folder.resolve() / "work" / "fused"
    get_ready(Home(loaded))
    taken: dict[int, list[float]] = {1: [], len(CONDITIONS): []}
    for _ in range(asked.rounds):
        for number in taken:
            home = prepare(loaded, work)
            with writing(home, hardened=True) as store:
                catalogues = load_catalogues(home.catalogues)
                codes = [f"BEN02-{n + 1}" for n in range(number)]
                rows = store.con.execute("SELECT count(*) FROM showcase.fct_fare_validation").fetchall()[0][0]
                started = time.perf_counter()
                reports = compute(store, catalogues, months(), codes=codes)
                taken[number].append(time.perf_counter() - started)
                assert sum(r.written for r in reports) >= number * len(months())
    shutil.rmtree(work)
    seconds = {number: round(statistics.median(found), 2) for number, found in taken.items()}
    report = {"rows": rows, "rounds": asked.rounds, "seconds_by_kpis": seconds, "twelve_over_one": round(seconds[len(CONDITIONS)] / seconds[1], 2)}  # fmt: skip
    (RESULTS / "fused.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def prepare(loaded: Path, work: Path) -> Home:
    """A copy of the loaded warehouse, and a catalogue of twelve KPIs that nothing has been computed of."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(CATALOGUES, work / "catalogues")
    shutil.copy(loaded / "warehouse.duckdb", work)
    sphere = work / "catalogues" / "bench" / "spheres" / "mgt"
    initiative = yaml.safe_load((sphere / "BEN01.yaml").read_text())
    pattern = initiative["kpis"][0]
    initiative["code"] = "BEN02"
    initiative["kpis"] = [
        {**pattern, "code": f"BEN02-{n + 1}", "numerator": {"aggregate": "count(*)", "filter": condition}}
        for n, condition in enumerate(CONDITIONS)
    ]
    (sphere / "BEN02.yaml").write_text(yaml.safe_dump(initiative, allow_unicode=True))
    return Home(work)


if __name__ == "__main__":
    main()
