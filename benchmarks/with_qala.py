"""qala's real job: Dagster in process, archive, both gates, history, lineage, seals, KPIs in a process of their own, release."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.contender import Answer
from benchmarks.feeds import ALL, FEEDS, files, months
from connectors.archive.archive import Archive
from connectors.mapping.classification import carries_personal
from connectors.mapping.source_contract import standard
from warehouse.home.home import Home
from warehouse.home.keys import current, make
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

CATALOGUES = Path(__file__).parent / "catalogues"


def prepare(home: Path) -> None:
    """A home as it is before its first month comes, with its tables and keys: meters and fares carry personal data."""
    shutil.copytree(CATALOGUES, home / "catalogues")
    for purpose in ("pseudonym", "archive"):
        make(Home(home), purpose)
    with writing(Home(home)):
        pass


def deliver(data: Path, home: Path, span: range = ALL) -> None:
    """What `qala deliver` does with each file, ahead of the run: archive it, hashed and packed."""
    archive, tables, key = Archive(home / "archive"), load_tables(), current(Home(home), "archive")
    for feed in FEEDS:
        secret = key if carries_personal(tables[feed.table], standard(tables[feed.table])) else None
        for month, path in zip(months(span), files(data, feed, span), strict=True):
            archive.receive(path, table=feed.table, system="standard", scope="KZ", period=month, key=secret)


def start(_: Path, home: Path, span: range = ALL) -> Callable[[], None]:
    """Everything a run does before it looks at a row: imports and definitions. `home` holds the deliveries already."""
    os.environ["QALA_HOME"] = str(home)
    from pipelines.run import prepare as prepare_home

    prepare_home(Home(home))
    from warehouse.isolation import worker

    worker.warm("connectors.delivery_gate.delivery_gate:get_ready")
    worker.warm("warehouse.kpi_values.compute:get_ready", Home(home))
    import dagster as dg

    from kpi_definitions.catalogue import load_catalogues
    from pipelines.assets.kpi import asset_key
    from pipelines.definitions import build_defs

    catalogue = load_catalogues(Home(home).catalogues)
    defs = build_defs(Home(home))
    job = defs.resolve_job_def("city_kpis")
    wanted = [dg.AssetKey([level, feed.table]) for feed in FEEDS for level in ("zero", "showcase")]
    wanted += [asset_key(catalogue, code) for code in catalogue.codes if code.startswith("BEN")]
    wanted += [dg.AssetKey("assessment"), dg.AssetKey("release")]  # the release waits for the drafts of the assessment
    instance = dg.DagsterInstance.get()
    worker.call("builtins:len", "")  # waits until the process that judges and computes is ready

    def run() -> None:
        result = job.execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            asset_selection=wanted,
            tags={
                "dagster/asset_partition_range_start": months(span)[0],
                "dagster/asset_partition_range_end": months(span)[-1],
            },
        )
        assert result.success

    return run


def answer(home: Path) -> Answer:
    con = duckdb.connect(str(home / "release" / "qala.duckdb"), read_only=True)
    rows, replaced = {}, {}
    for feed in FEEDS:
        rows[feed.table] = _one(con, f"SELECT count(*) FROM showcase.{feed.table}")
        again = "SELECT count(*) FROM audit.rejected_row JOIN audit.delivery USING (delivery_id) WHERE rule = 'key.duplicate'"
        replaced[feed.table] = _one(con, f"{again} AND table_name = '{feed.table}'") + _one(
            con, f"SELECT count(*) FROM history.{feed.table}"
        )
    broken = con.execute("""SELECT table_name || ' ' || rule, count(*) FROM audit.rejected_row JOIN audit.delivery USING (delivery_id)
        WHERE rule <> 'key.duplicate' GROUP BY ALL""").fetchall()
    kpis = con.execute("""SELECT kpi_code, count(value), sum(value::DECIMAL(18,6))::DOUBLE, coalesce(sum(numerator), 0)::DOUBLE,
        coalesce(sum(denominator), 0)::DOUBLE
        FROM kpi.value WHERE valid_to_seq IS NULL AND value IS NOT NULL GROUP BY ALL""").fetchall()
    return Answer(rows, dict(broken), replaced, {code: (n, *sums) for code, n, *sums in kpis})


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
