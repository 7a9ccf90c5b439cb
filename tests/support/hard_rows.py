"""A warehouse full of rows that are hard on engines: every table that a KPI reads, its rows current and closed, made by seeded SQL in seconds.

There are cells of all sizes up to more than 8,192 rows and empty ones, rows on the first and last instants of periods, on leap days, before
1970 and in the year 9999, and rows that came and left at several ledger sequences, so that as-of differs. Values: hard_cells.py.
Rows go straight into the tables: no gate would let all of them in, and an engine must not depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.model import Grain, Kind, Kpi
from tests.support.hard_cells import ODD_MOMENTS, Hints, Row, columns_of, hints_of
from tests.support.rows import LATER, receipt
from tests.support.settlements import AKTAU, ALMATY, ASTANA, AYAGOZ, KURCHATOV, SEMEY, SHYMKENT, ZHANAOZEN
from warehouse.kpi_values.computation import Computation, KpiVersion
from warehouse.loading.deliveries import register
from warehouse.periods import Period, add_months, month_id, parse_period
from warehouse.sql import literal
from warehouse.store.ledger import EntryKind
from warehouse.store.store import Store
from warehouse.tables.contracts import SNAPSHOT_COLUMN, Table
from warehouse.tables.working_tables import create

FIRST = parse_period("2023-12").start
MONTHS = [month_id(add_months(FIRST, n)) for n in range(14)]  # to January 2025: a leap year with its neighbours
FULL = MONTHS.index("2024-12")  # its rows fall into a month, a quarter and a year
WILD, EMPTY = ALMATY, ZHANAOZEN  # where numbers are at the limits of their types; where there is nothing
# many rows lie in the first, few in the last
SETTLEMENTS = (ASTANA, ALMATY, SHYMKENT, SEMEY, AKTAU, KURCHATOV, AYAGOZ)
ROUNDS = 3  # deliveries of the same slice: rows of one may be closed by a later one


def seeds(usual: Iterable[int]) -> list[int]:
    """The seeds to try: QALA_SEED (numbers with commas between them) if it is set."""
    given = os.environ.get("QALA_SEED")
    return [int(seed) for seed in given.split(",")] if given else list(usual)


@dataclass(frozen=True)
class Size:
    """Rows of a table. `crowd`: how many of them lie in one month of one settlement; three times as many of a register, of which not half are in
    force, and nine times as many of a table of whose rows a definition takes quantiles. `slices`: what the periods of deliveries are."""

    spread: int
    crowd: int
    slices: tuple[str, ...]


SMALL = Size(600, 0, (f"{MONTHS[0]}/{MONTHS[-1]}",))
LARGE = Size(6_000, 14_000, (MONTHS[0], *(f"2024-Q{number}" for number in range(1, 5)), MONTHS[-1]))


def fill(store: Store, catalogue: Catalogues, seed: int, size: Size) -> tuple[int, ...]:
    """Deliveries and rows for every table that a KPI of the catalogue reads. Returns the ledger sequences after each round of deliveries."""
    hints = hints_of(catalogue.kpis)
    quantiles = {(k.numerator.rows or k.rows).table for k in catalogue.kpis if k.kind is Kind.QUANTILE}
    heads = []
    for number in range(ROUNDS):
        _deliver(store, sorted(hints), size.slices, f"round {number}")
        heads.append(store.last_seq)
    for name in sorted(hints):
        table = store.tables[name]
        crowd = size.crowd * (9 if name in quantiles else 3 if table.snapshot else 1)
        _put_rows(store, table, hints[name], seed, size.spread, crowd)
    return tuple(heads)


def _deliver(store: Store, tables: Sequence[str], slices: Sequence[str], file_name: str) -> None:
    """A delivery without rows of every table for every slice, decided on at once: through the door they would take most of the time."""
    wanted = [
        replace(receipt(table, "test", "KZ", period), file_name=file_name) for table in tables for period in slices
    ]
    register(store, wanted)
    with store.transaction():
        seqs = store.record([(EntryKind.LOADED, one.receipt_id, {"table": one.table}) for one in wanted])
        columns = ["receipt_id", "seq", "kind"]
        store.con.execute("CREATE OR REPLACE TEMP TABLE hard_decision (receipt_id VARCHAR, seq BIGINT, kind VARCHAR)")
        kinds = (str(store.tables[one.table].cut.kind) for one in wanted)
        store.insert("hard_decision", columns, list(zip((one.receipt_id for one in wanted), seqs, kinds, strict=True)))
        store.con.execute("""UPDATE audit.delivery AS delivery SET state = 'loaded', contract_id = 'test', contract_version = '1', unmapped = '',
            received_rows = 0, accepted_rows = 0, rejected_rows = 0, loaded_seq = seq, order_seq = seq, kind = hard_decision.kind
        FROM hard_decision WHERE delivery.receipt_id = hard_decision.receipt_id""")


def _put_rows(store: Store, table: Table, hints: Hints, seed: int, spread: int, crowd: int) -> None:
    row = Row("i", "base", "after", "wild", seed)
    own = columns_of(table, hints, row)
    if table.snapshot:
        own = {**own, SNAPSHOT_COLUMN[0]: f"CASE WHEN {row.die('day', 15)} > 0 THEN after ELSE after - 1 END"}
    columns = ", ".join(("kato", *own, "delivery_id", "row_no", "sdu_load_in_dt", "valid_from_seq"))
    chosen = ", ".join(f"{value} AS {name}" for name, value in own.items())
    store.con.execute(f"""CREATE OR REPLACE TEMP TABLE hard_row AS
WITH numbered AS (
    SELECT range AS i, range < {crowd} AS crowded FROM range({spread + crowd})
), placed AS (
    SELECT *, CASE WHEN crowded THEN 0 ELSE CAST(floor(7 * pow({row.die("place", 1000)} / 1000, 1.5)) AS BIGINT) END AS place,
        CASE WHEN crowded THEN {FULL} WHEN {row.die("month", 3)} = 0 THEN {row.one_of("end", ["3", "6", "9", "12"])}
             ELSE {row.die("any month", len(MONTHS))} END AS month_no,
        {row.die("round", ROUNDS)} AS came, came + 1 + {row.die("left", 2)} AS went
    FROM numbered
), dated AS (
    SELECT *, ({_texts(SETTLEMENTS)})[1 + place] AS kato, kato = {literal(WILD)} AS wild, ({_texts(MONTHS)})[1 + month_no] AS month,
        CAST(month || '-01' AS DATE) AS first, CAST(first + INTERVAL 1 MONTH AS DATE) AS after
    FROM placed
), gathered AS (
    SELECT *, {_base(row)} AS base FROM dated
)
SELECT gathered.kato, {chosen}, came.delivery_id, i + 1 AS row_no, TIMESTAMPTZ '2025-03-01 00:00:00+00' + INTERVAL (came.loaded_seq) SECOND
    AS sdu_load_in_dt, came.loaded_seq AS valid_from_seq, CASE WHEN {row.die("closed", 3)} = 0 THEN went.loaded_seq END AS valid_to_seq
FROM gathered
JOIN ({_deliveries(table.name)}) AS came ON came.period_start <= gathered.first AND gathered.first < came.period_end AND came.round = gathered.came
LEFT JOIN ({_deliveries(table.name)}) AS went ON went.period_start <= gathered.first AND gathered.first < went.period_end AND went.round = gathered.went""")
    store.con.execute(
        f"INSERT INTO showcase.{table.name} ({columns}) SELECT {columns} FROM hard_row WHERE valid_to_seq IS NULL"
    )
    columns += ", valid_to_seq"
    store.con.execute(
        f"INSERT INTO history.{table.name} ({columns}) SELECT {columns} FROM hard_row WHERE valid_to_seq IS NOT NULL"
    )
    store.con.execute("DROP TABLE hard_row")


def _texts(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]"


def _deliveries(table: str) -> str:
    """The deliveries of a table with their round, counted from 0."""
    return (
        "SELECT delivery_id, period_start, period_end, loaded_seq, row_number() OVER (PARTITION BY period_id ORDER BY delivery_id) - 1 AS round "
        f"FROM audit.delivery WHERE table_name = {literal(table)}"
    )


def _base(row: Row) -> str:
    """The moment a row's dates gather around: within its month, or on an edge of it."""
    die = row.die("base", 100)
    day = f"make_timestamp(epoch_us(first) + {row.die('base day', 31)} * 86400000000)"
    any_time = f"{day} + to_microseconds({row.die('base time', 86_400_000_000)})"
    leap = f"TIMESTAMP '2024-02-29 00:00:00' + to_microseconds({row.die('leap', 2)} * {row.die('base time', 86_400_000_000)})"
    odd = row.one_of("odd base", [f"TIMESTAMP '{moment}'" for moment in ODD_MOMENTS])
    return f"""CASE WHEN {die} < 40 THEN {any_time} WHEN {die} < 50 THEN date_trunc('second', {any_time}) WHEN {die} < 58 THEN CAST(first AS TIMESTAMP)
        WHEN {die} < 68 THEN CAST(after AS TIMESTAMP) - INTERVAL 1 MICROSECOND WHEN {die} < 76 THEN CAST(after AS TIMESTAMP)
        WHEN {die} < 84 THEN {day} WHEN {die} < 90 THEN date_trunc('hour', {any_time}) WHEN {die} < 97 THEN {leap} ELSE {odd} END"""


def whole(store: Store, catalogue: Catalogues, seq: int | None) -> Computation:
    """A computation of every version of every KPI of the catalogue over all rows, as of a ledger sequence, its cells due: of every settlement and
    period, whether or not the version is in force then."""
    compiled = [compile_kpi(kpi, store.columns()) for kpi in catalogue.kpis]
    versions = [
        KpiVersion(one, catalogue.of(one.kpi.code).head.version, *catalogue.effect(one.kpi)) for one in compiled
    ]
    create(store.con, "work_due_cell")
    columns = ["kpi_code", "version", "kato", "period_id", "period_start", "period_end", "period_end_population_date"]
    cells = [
        (kpi.code, kpi.version, kato, period.id, period.start, period.end, period.end)
        for kpi in catalogue.kpis
        for kato in (*SETTLEMENTS, EMPTY)
        for period in periods(kpi)
    ]
    store.insert("work_due_cell", columns, cells)
    return Computation(store, versions, LATER, seq=seq)


def periods(kpi: Kpi) -> list[Period]:
    """The periods of a KPI's grain that hold a month with rows."""
    if kpi.period is Grain.MONTH:
        ids = list(MONTHS)
    elif kpi.period is Grain.QUARTER:
        ids = [f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}" for month in MONTHS]
    else:
        ids = [month[:4] for month in MONTHS]
    return [parse_period(name) for name in dict.fromkeys(ids)]
