"""`python -m benchmarks.releases`: a release after a correction, made of the former one and made whole, on three sizes of home.

Whole is how the first release of a home is made: nothing of a former one is there. They take turns on copies of the same home, and must
publish the same. Kept in results/releases.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import with_qala
from benchmarks.__main__ import RESULTS, measure
from benchmarks.contender import cpu_seconds
from benchmarks.feeds import ALL, SIZES, files, make, months
from benchmarks.feeds import FEEDS as _FEEDS
from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from kpi_definitions.catalogue import load_catalogues
from warehouse.home.home import Home
from warehouse.home.keys import current
from warehouse.kpi_values.compute import compute
from warehouse.release.exports import EXPORTS
from warehouse.release.release import publish
from warehouse.sql import literal
from warehouse.store.sessions import writing

CHANGED = (1, 130, 10_000)
FEED = _FEEDS[0]  # fares: of each month the most rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__)
    parser.add_argument("--sizes", default="100k,1m,10m", help="rows of the homes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    report: dict[str, Any] = {"rounds": asked.rounds, "cores": os.cpu_count(), "homes": {}}
    for size in asked.sizes.split(","):
        data, base = folder / "data" / size, folder / "work" / "releases-base"
        make(data, SIZES[size])
        shutil.rmtree(base, ignore_errors=True)
        with_qala.prepare(base)
        with_qala.deliver(data, base)
        measure("qala", data, base)
        for _ in range(2):  # two files take turns from the third release on
            publish(Home(base), lambda _: [])
        found = {str(count): after(data, base, folder / "work", count, asked.rounds) for count in CHANGED}
        report["homes"][size] = {"bytes": Home(base).released_file.stat().st_size, "rows_changed": found}
        print(f"{size}: {json.dumps(report['homes'][size])}", flush=True)
        shutil.rmtree(base)
    (RESULTS / "releases.json").write_text(json.dumps(report, indent=1) + "\n")


def after(data: Path, base: Path, work: Path, count: int, rounds: int) -> dict[str, Any]:
    """What the release costs after a correction of so many rows."""
    corrected, place = work / "releases-corrected", work / "releases"
    shutil.rmtree(corrected, ignore_errors=True)
    shutil.copytree(base, corrected)
    rows = correct(data, Home(corrected), count)
    taken: dict[str, list[tuple[float, float]]] = {"of_former": [], "whole": []}
    published: dict[str, dict[str, bytes]] = {}
    for _ in range(rounds):
        for way, found in taken.items():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(corrected, place)
            if way == "whole":
                shutil.rmtree(Home(place).reused)
            cpu, wall = cpu_seconds(), time.perf_counter()
            publish(Home(place), lambda _: [])
            found.append((time.perf_counter() - wall, cpu_seconds() - cpu))
            published[way] = {
                name: (Home(place).release / name).read_bytes() for name in EXPORTS if name.endswith(".csv")
            }
    shutil.rmtree(place)
    shutil.rmtree(corrected)
    figures = {
        way: [round(statistics.median(one[n] for one in found), 3) for n in (0, 1)] for way, found in taken.items()
    }
    (wall, cpu), (whole_wall, whole_cpu) = figures["of_former"], figures["whole"]
    return {
        "rows": rows, "equal": published["of_former"] == published["whole"], "wall_s": wall, "cpu_s": cpu, "whole_wall_s": whole_wall,
        "whole_cpu_s": whole_cpu, "wall_ratio": round(wall / whole_wall, 2), "cpu_ratio": round(cpu / whole_cpu, 2),
    }  # fmt: skip


def correct(data: Path, home: Home, count: int) -> int:
    """Take in the newest month's fares anew, so many of them no boardings. Returns how many rows changed."""
    file, month = home.root / "corrected.csv", months(ALL)[-1]
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT * REPLACE (CASE WHEN row_number() OVER () <= {count} THEN 'false' ELSE is_boarding END AS is_boarding) "
            f"FROM read_csv({literal(str(files(data, FEED, ALL)[-1]))}, all_varchar = true)) TO {literal(str(file))} (HEADER)"
        )
    archive = Archive(home.archive)
    archive.receive(file, table=FEED.table, system="standard", scope="KZ", period=month, key=current(home, "archive"))
    with writing(home) as store:
        register_pending(store, archive)
        ingest_table(store, archive, store.tables[FEED.table], {})
        compute(store, load_catalogues(home.catalogues), [month])
        found = store.con.execute(
            f"SELECT count(*) FROM history.{FEED.table} WHERE valid_to_seq = (SELECT max(loaded_seq) FROM audit.delivery)"
        )
        return int(found.fetchall()[0][0])


if __name__ == "__main__":
    main()
