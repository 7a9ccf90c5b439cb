"""The whole way of a run below Dagster, for tests that end it in the middle: inbox, archive, both gates, KPIs, assessment, release.

`play` calls what the assets call, in their order, over two tables and one KPI; `business` tells what a warehouse says, without sequences,
clocks and runs: what must be equal whether or not a run was disturbed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors import batches, ingest, ingest_batch
from connectors.archive.archive import Archive
from connectors.receiving.inbox import collect
from kpi_definitions.catalogue import Catalogues, load_catalogues
from tests.support.files import crashes
from tests.support.rows import only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.outstanding import due_home
from warehouse.periods import parse_period
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

TABLES = ("dim_population", "fct_crash")
YEAR = 2025
MONTHS = parse_period(str(YEAR)).months
LATER = dt.date(2035, 1, 1)
# by table: what a row says of the world, and not of the run that brought it
_OF_THE_RUN = {
    "delivery_id", "seq", "sdu_load_in_dt", "valid_from_seq", "valid_to_seq", "as_of_seq", "computed_at", "run_id", "assessment_id", "made_at",
}  # fmt: skip
_SAID = {
    "deliveries": "SELECT table_name, system, scope, period_id, file_name, sha256, state, received_rows, accepted_rows, rejected_rows FROM audit.delivery",
    "rejected": "SELECT sha256, row_no, column_name, rule, r.kato, r.raw FROM audit.rejected_row r JOIN audit.delivery USING (delivery_id)",
    "incidents": "SELECT table_name, scope, period_id, rule, observed, closed_seq IS NULL FROM audit.incident",
    "withdrawn": "SELECT subject FROM audit.ledger WHERE kind = 'withdrawn'",
}


@cache
def catalogue() -> Catalogues:
    """One KPI: serious crashes of a year by population."""
    return only(load_catalogues(), "SAF04-1")


def play(home: Home, months: tuple[str, ...] = MONTHS) -> None:
    """Collect, register, load, compute, assess, publish."""
    archive = Archive(home.archive)
    if home.inbox.exists():
        collect(home.inbox, archive, load_tables(), {})
    take_in_and_compute(home, TABLES, months, catalogue())
    with writing(home) as store:
        for one in catalogue().lists:
            if one.rules_of(YEAR) is not None:
                assess(store, one, YEAR)
    publish(home, archive.missing)


def take_in_and_compute(home: Home, tables: Sequence[str], months: Sequence[str], kpis: Catalogues) -> None:
    """As the assets zero, showcase and kpi do."""
    archive = Archive(home.archive)
    with writing(home) as store:
        ingest.register_pending(store, archive)
        sources = ingest.load_source_contracts(home, store.tables)
        for name in tables:
            ingest.ingest_table(store, archive, store.tables[name], sources, months)
    with writing(home) as store:
        compute(store, kpis, months, today=LATER)


def compute_home(home: Home) -> None:
    """In the process apart, as the asset of KPIs has it."""
    with writing(home, hardened=True) as store:
        compute(store, catalogue(), MONTHS, today=LATER)


def finish(home: Home) -> None:
    """What the next run does: if anything waits or is due, all of it."""
    archive = Archive(home.archive)
    waits = archive.pending() or archive.withdrawn() or (home.inbox.exists() and any(home.inbox.glob("*.json")))
    if (
        waits
        or any(home.inbox.glob("taking/*"))
        or due_home(home, catalogue()).months
        or not home.released_file.exists()
    ):
        play(home)


@contextmanager
def unjudged() -> Iterator[None]:
    """Without Great Expectations, which writes nothing and takes seconds to import; and in small batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_batch, "judge_deliveries", lambda *_: [])
        patch.setattr(batches, "BATCH_DELIVERIES", 3)
        yield


def business(con: duckdb.DuckDBPyConnection) -> dict[str, Counter[tuple[Any, ...]]]:
    """What a warehouse says, as bags of rows."""
    names = con.execute(
        "SELECT schema_name || '.' || table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() WHERE NOT internal "
        "AND schema_name IN ('showcase', 'kpi') AND table_name <> 'computation' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    found = {}
    for name, columns in names:
        said = ", ".join(f'"{c}"' for c in columns if c not in _OF_THE_RUN)
        holds = " WHERE valid_to_seq IS NULL" if name.startswith("kpi.") and "valid_to_seq" in columns else ""
        found[name] = _bag(con, f"SELECT {said} FROM {name}{holds}")
    return found | {name: _bag(con, sql) for name, sql in _SAID.items()}


def _bag(con: duckdb.DuckDBPyConnection, sql: str) -> Counter[tuple[Any, ...]]:
    return Counter(con.execute(sql).fetchall())


def says(home: Home) -> dict[str, Counter[tuple[Any, ...]]]:
    """`business` of the warehouse of a home, and of its release, which must be the same."""
    with writing(home) as store:
        found = business(store.con)
    con = duckdb.connect(str(home.released_file), read_only=True)
    try:
        assert business(con) == found, "the release is not the warehouse"
    finally:
        con.close()
    return found


def receive(
    archive: Archive, folder: Path, content: str, table: str = "fct_crash", scope: str = ASTANA, period: str = str(YEAR)
) -> str:
    """Deliver bytes as a file. Returns the receipt's number."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{len(list(folder.iterdir()))}.csv"
    file.write_text(content)
    return archive.receive(file, table=table, system="standard", scope=scope, period=period).receipt_id


def prepare(root: Path) -> Home:
    """A home that was released once, with a correction, a duplicate, a refusal, a withdrawal and an inbox waiting."""
    home, outbox = Home(root), root / "outbox"
    archive = Archive(home.archive)
    receive(archive, outbox, accidents(1, 40))
    receive(archive, outbox, accidents(1000, 30), scope=ALMATY)
    for scope, people in ((ASTANA, 5000), (ALMATY, 7000)):
        receive(
            archive, outbox, f"as_of_date,population,count_source\n2026-01-01,{people},x\n", "dim_population", scope
        )
    with unjudged():
        play(home)
    receive(
        archive, outbox, accidents(1, 34, deaths_30d="1") + "C9,cut"
    )  # a correction, with a record that cannot be split
    receive(archive, outbox, accidents(1000, 30), scope=ALMATY)  # the same bytes
    receive(archive, outbox, "nonsense", scope=ALMATY, period="2025-12")
    receive(archive, outbox, accidents(200, 20, occurred_at="2025-12-03 10:00:00"), period="2025-12")
    archive.withdraw(receive(archive, outbox, accidents(7000, 3)), "A. Person", "the wrong file")
    home.inbox.mkdir()
    for n, name in enumerate(("one.csv", "two.csv", "three.csv")):
        (home.inbox / name).write_text(accidents(8000 + n, 1))
    drop = [{"file": "one.csv", "settlement": "471810000"}, {"file": "two.csv", "settlement": "471010000"}]
    _manifest(home.inbox / "a.manifest.json", drop)
    _manifest(home.inbox / "b.manifest.json", [{"file": "three.csv", "settlement": "999999999"}])  # is refused
    return home


def accidents(first: int, count: int, **changes: str) -> str:
    """A file of fct_crash of the year."""
    return crashes(count, first, **({"occurred_at": f"{YEAR}-03-05 10:00:00", "deaths_30d": str(first % 2)} | changes))


def _manifest(path: Path, deliveries: list[dict[str, str]]) -> None:
    whole = [{"table": "fct_crash", "period": str(YEAR)} | one for one in deliveries]
    path.write_text(json.dumps({"deliveries": whole}))


def main(folder: str) -> None:
    """In a process of its own."""
    with unjudged():
        print("ready", flush=True)  # noqa: T201
        play(Home(Path(folder)))


with suppress(ImportError):
    import pandas  # noqa: F401  DuckDB imports it with the first parameter: before a moment, not in it
