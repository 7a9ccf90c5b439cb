"""What measuring over hard rows comes to, in a form that is equal only if it is equal to the last digit; and the engines to try it on.

Does not belong here: the rows (hard_rows.py), the definitions (odd_definitions.py), what ought to come out (second_opinion.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import check_spelling, compile_kpi
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import Kind
from tests.support.hard_rows import EMPTY, SETTLEMENTS, Size, fill, periods, whole
from tests.support.homes import new_home
from tests.support.odd_definitions import odd_kpis
from tests.support.rows import changed, only
from tests.support.second_opinion import Parts, parts_of, read_value
from tools.clusters import clickhouse, spark
from warehouse.engines.chdb import open_chdb
from warehouse.engines.clickhouse import open_clickhouse
from warehouse.engines.engine import Engine
from warehouse.engines.spark import SparkEngine
from warehouse.engines.step import bring_in_step
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute_cells
from warehouse.kpi_values.measured_elsewhere import Elsewhere
from warehouse.store.history import as_of
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables

Key = tuple[str, int, str, str]  # KPI, version, settlement, period
_KEYS = "kpi_code, version, kato, period_id"
MEASURED = ("work_cell_parts", "work_failed_cell", "work_computed_value")


@dataclass(frozen=True)
class Hard:
    """A warehouse with hard rows for a catalogue. `heads`: the ledger sequences as of which it can be read, the newest last."""

    store: Store
    catalogue: Catalogues
    heads: tuple[int, ...]

    def measured(self, seq: int, elsewhere: Elsewhere | None = None) -> dict[str, dict[Key, tuple[str, ...]]]:
        """Working table → cell → its columns: decimals and texts as they are, doubles by their bits."""
        compute_cells(replace(whole(self.store, self.catalogue, seq), elsewhere=elsewhere))
        found = {}
        for table in MEASURED:
            rows = self.store.con.execute(f"SELECT {_KEYS}, * EXCLUDE ({_KEYS}) FROM {table}").fetchall()
            found[table] = {row[:4]: tuple(map(_to_the_bit, row[4:])) for row in rows}
            assert len(found[table]) == len(rows), f"{table} has a cell twice"
        return found

    def expected(self, seq: int) -> Iterator[tuple[Key, Kind, Parts]]:
        """The parts of every cell as plain Python makes them."""
        tables = self.store.tables
        read = sorted(
            {scan.table for kpi in self.catalogue.kpis for scan in compile_kpi(kpi, self.store.columns()).scans}
        )
        rows: dict[str, dict[str, list[dict[str, object]]]] = {
            k: {name: [] for name in read} for k in (*SETTLEMENTS, EMPTY)
        }
        for name in read:
            types = tables[name].business_columns
            columns = ", ".join(("kato", *(f'"{column}"' for column in types)))
            for row in self.store.select(f"SELECT {columns} FROM {as_of(name, seq)}"):
                rows[row["kato"]][name].append({column: read_value(row[column], types[column]) for column in types})
        registers = {name for name in read if tables[name].snapshot}
        for kpi in self.catalogue.kpis:
            for kato, own in rows.items():
                for period in periods(kpi):
                    yield (kpi.code, kpi.version, kato, period.id), kpi.kind, parts_of(kpi, own, registers, period)


def _to_the_bit(value: object) -> str:
    return value.hex() if isinstance(value, float) else repr(value)


@contextmanager
def hard_warehouse(folder: Path, catalogue: Catalogues, seed: int, size: Size) -> Iterator[Hard]:
    """A new home's warehouse, open, with hard rows for a catalogue."""
    with writing(new_home(folder)) as store:
        yield Hard(store, catalogue, fill(store, catalogue, seed, size))


def odd_catalogue(catalogue: Catalogues, initiative: str, seed: int, how_many: int) -> Catalogues:
    """A catalogue of odd definitions that `qala check` has nothing against, in the place of the given one's."""
    tables = load_tables()
    columns = {name: table.business_columns for name, table in tables.items()}
    accepted = []
    for kpi in odd_kpis(tables, initiative, seed, how_many):
        try:
            compile_kpi(kpi, columns)
            check_spelling(kpi, columns)
        except ExpressionError:
            continue
        accepted.append(kpi)
    assert len(accepted) > how_many / 2, "most are refused: little is tried"
    return only(changed(catalogue, *accepted), *(kpi.code for kpi in accepted))


def differing_from_opinion(hard: Hard, seq: int) -> list[str]:
    """Where the warehouse's own parts are other than plain Python's.

    A cell that a row out of range fails may have parts all the same: DuckDB passes over conditions whose outcome it knows already.
    """
    hard.measured(seq)
    con = hard.store.con
    failed = {row[:4] for row in con.execute(f"SELECT {_KEYS} FROM work_failed_cell").fetchall()}
    rows = con.execute(f"SELECT {_KEYS}, n, exact_n, exact_d, s FROM work_cell_parts").fetchall()
    kept = {row[:4]: row[4:] for row in rows}
    found = []
    for key, kind, parts in hard.expected(seq):
        if parts.failed or key in failed:
            if not parts.failed:
                found.append(f"{key}: failed, and no row is out of range")
            continue
        n, exact_n, exact_d, sample = kept[key]
        ours = (n,) if kind is Kind.QUANTILE else (_fraction(exact_n), _fraction(exact_d))
        theirs = (parts.numerator,) if kind is Kind.QUANTILE else (parts.numerator, parts.denominator)
        if (repr(ours), sample) != (repr(theirs), parts.sample):
            found.append(f"{key}: {ours} of {sample}, by plain Python {theirs} of {parts.sample}")
    return found


def _fraction(value: object) -> Fraction | None:
    return None if value is None else Fraction(str(value))


def differences(
    ours: Mapping[str, Mapping[Key, tuple[str, ...]]],
    theirs: Mapping[str, Mapping[Key, tuple[str, ...]]],
    but: Iterable[Key] = (),
) -> list[str]:
    """Every cell with another part, reason or value; `but`: cells that are not looked at."""
    left_out = set(but)
    return [
        f"{table} {key}: {ours[table].get(key)}, there {theirs[table].get(key)}"
        for table in MEASURED
        for key in sorted(ours[table].keys() | theirs[table].keys())
        if key not in left_out and ours[table].get(key) != theirs[table].get(key)
    ]


@contextmanager
def in_step(hard: Hard, engine: Engine) -> Iterator[Elsewhere]:
    """The engine, ready and holding what the warehouse holds; closed in the end."""
    try:
        facts = engine.ready()
        yield Elsewhere(engine, facts, bring_in_step(hard.store, engine, facts, hard.store.home.engine / "showcase"))
    finally:
        engine.close()


@contextmanager
def _chdb(home: Home, folder: Path) -> Iterator[Engine]:
    yield open_chdb(home.engine / "chdb")


@contextmanager
def _two_servers(home: Home, folder: Path) -> Iterator[Engine]:
    servers = clickhouse.up(folder)
    try:
        yield open_clickhouse(
            address=servers.shards[0], database=clickhouse.DATABASE, user=clickhouse.LOADER, password=servers.password,
            reader=clickhouse.READER, reader_password=servers.reader_password, cluster=clickhouse.CLUSTER, shards=servers.shards,
        )  # fmt: skip
    finally:
        clickhouse.down(folder)


@contextmanager
def _two_workers(home: Home, folder: Path) -> Iterator[Engine]:
    cluster = spark.up(folder, memory="512m")
    try:
        yield SparkEngine(cluster.master, home.engine / "showcase", home.engine / "spark", executor_memory="512m")
    finally:
        spark.down(folder)


# by name: why it cannot be tried here, empty if it can; the engine, and what it runs on, for as long as it is needed
ENGINES: Mapping[str, tuple[str, Callable[[Home, Path], AbstractContextManager[Engine]]]] = {
    "chdb": ("", _chdb),
    "two servers of ClickHouse": (clickhouse.unavailable(), _two_servers),
    "Spark with two workers": (spark.unavailable(), _two_workers),
}
