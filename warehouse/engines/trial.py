"""Trying a version of ClickHouse that nobody compared yet: over hard rows it measures what DuckDB measures, to the last digit, or it stays refused.

The rows go the way of every load, in a table of their own: taken, counted again, measured by the compiler's scans, taken away. Each row is
first a settlement by itself, so that whatever an expression makes of it is seen; then all of them, many times over, are one.
Does not belong here: the rows and what is said about them (hard_values.py), what is kept of a trial (tried.py).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from kpi_definitions.engine_scans import Period, engine_scan
from kpi_definitions.expressions import parse
from kpi_definitions.functions import Family
from kpi_definitions.model import Grain
from kpi_definitions.scans import Asked, Function, Measure, RowTime, Scan, TimeRule
from kpi_definitions.spelling import argument_of, spelled
from kpi_definitions.values import SpellingError
from warehouse.engines import hard_values as hard
from warehouse.engines.clickhouse import ClickHouse
from warehouse.engines.clickhouse_connections import RefusedError
from warehouse.engines.content import ROWS, content_sql
from warehouse.engines.engine import Load
from warehouse.sql import literal
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS

TABLE = "qala_trial"  # contracts call theirs dim_… and fct_…
SEQ = 10  # as of which rows are read
_CROWD, _NOBODY = "crowd", "nobody"  # settlements: of all rows, and of none
_COPIES = 60  # of every row in the crowd: more values in a cell than an engine looks at before it begins to take samples (8,192)
_LONGEST = 150_000  # letters of a statement; a server takes 262,144
_DAY = dt.date(2024, 2, 29)
_FEBRUARY = (dt.date(2024, 2, 1), dt.date(2024, 3, 1))
_COLUMNS: Mapping[str, str] = {
    "kato": SYSTEM_COLUMNS["kato"][0],
    **hard.COLUMNS,
    "happened": "DATE",
    SNAPSHOT_COLUMN[0]: SNAPSHOT_COLUMN[1],
    **{name: sql_type for name, (sql_type, _) in SYSTEM_COLUMNS.items() if name != "kato"},
    "valid_to_seq": "BIGINT",
}
_COUNTED = {
    name: kind for name, kind in _COLUMNS.items() if kind != "DECIMAL(24,4)"
}  # a table's decimals have 18 digits
_RULES = (
    RowTime(TimeRule.EVENT, "t"),
    RowTime(TimeRule.EVENT, "x"),
    RowTime(TimeRule.LISTED, "t"),
    RowTime(TimeRule.LISTED, "x"),
    RowTime(TimeRule.STOCK, "t", "u"),
    RowTime(TimeRule.STOCK, "x", "u"),
    RowTime(TimeRule.DURING, "t", "y"),
    RowTime(TimeRule.DURING, "x", "y"),
    RowTime(TimeRule.AS_OF, "t"),
    RowTime(TimeRule.AS_OF, "x"),
)
_CONDITIONS: tuple[tuple[str, ...], ...] = ((), ("f is not true", "i > j or g"), ("i > 0 and i < 0",))
_IN_PERIODS = (  # what is measured by every rule and grain
    Asked(Function.COUNT, None, ()),
    Asked(Function.COUNT, None, ("t >= period_end - interval 30 day and x < period_end_population_date",)),
    Asked(Function.DISTINCT, "s", ("f",)),
    Asked(Function.SUM, "e", ()),
    Asked(Function.SUM, "date_diff('day', greatest(t, period_start), least(u, period_end))", ()),
    Asked(Function.MAX, "i * j", ()),
    Asked(Function.LOW, "d", (), "0.5"),
    Asked(Function.HIGH, "i / 7", ("g is not null",), "0.9"),
)
_SHARES = ("0", "0.333", "0.5", "0.9", "1")


@dataclass(frozen=True)
class Unlike:
    """The first cell in which something came out otherwise, and in how many it did."""

    said: str  # what was asked, in a definition's words
    cell: str
    here: str  # DuckDB's answer
    there: str
    cells: int


@dataclass
class Tried:
    """What a trial came to. Empty `unlike`: equal everywhere."""

    measures: int = 0
    cells: int = 0  # values compared
    unlike: list[Unlike] = field(default_factory=list)


def try_engine(engine: ClickHouse, say: Callable[[str], None] = lambda _: None) -> Tried:
    """Measure hard rows here and there. The engine was seen to be ready, its version aside. Raises EngineError if it stops answering."""
    tried = Tried()
    engine.forget(TABLE)  # what a trial left that was killed
    with duckdb.connect() as con, TemporaryDirectory(prefix="qala-trial-") as folder:
        con.execute("SET enable_progress_bar = false")
        loads = _loads(con, Path(folder))
        try:
            say("rows are handed over")
            for load in loads:
                engine.take(load, _COLUMNS)
            _count_again(engine, loads, tried)
            asked = list(_scans())
            for number, (scan, periods) in enumerate(asked, 1):
                say(f"{number} of {len(asked)}: {len(scan.measures)} measures, {scan.time}, by {scan.grain}")
                _Comparison(con, engine, loads, scan, periods, tried).run()
        finally:
            engine.forget(TABLE)
    return tried


def _loads(con: duckdb.DuckDBPyConnection, folder: Path) -> list[Load]:
    """Tables `hard` and `trial` in DuckDB, and the rows of `trial` in two files as engines are given them."""
    con.execute(f"CREATE TABLE hard (n INTEGER, {', '.join(f'{name} {kind}' for name, kind in hard.COLUMNS.items())})")
    marks = ", ".join("?" * (len(hard.COLUMNS) + 1))
    con.executemany(f"INSERT INTO hard VALUES ({marks})", [(n, *row) for n, row in enumerate(hard.rows())])
    con.execute(f"CREATE TABLE trial ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())})")
    ends = sorted({end for grain in _PERIODS for _, end in _PERIODS[grain]})
    listed = ", ".join(f"DATE '{end:%Y-%m-%d}'" for end in ends)
    held = (
        "if(copy % 10 = 8, 11, 10) AS valid_from_seq, CASE copy % 10 WHEN 6 THEN 11 WHEN 7 THEN 10 END AS valid_to_seq"
    )
    common = f"* EXCLUDE (n{{}}), DATE '{_DAY}' AS happened, n AS row_no, TIMESTAMPTZ '2024-03-01 00:00:00Z' AS sdu_load_in_dt"
    alone = f"'row ' || n AS kato, DATE '{_FEBRUARY[1]}' AS snapshot_date, 1 AS delivery_id, 10 AS valid_from_seq"
    crowd = f"'{_CROWD}' AS kato, [{listed}][copy % {len(ends)} + 1] AS snapshot_date, 2 + copy AS delivery_id, {held}"
    con.execute(f"INSERT INTO trial BY NAME SELECT {alone}, {common.format('')} FROM hard")
    con.execute(
        f"INSERT INTO trial BY NAME SELECT {crowd}, {common.format(', copy')} FROM hard, range({_COPIES}) AS copies (copy)"
    )
    loads = []
    for month, which in (("2024-02", f"kato <> '{_CROWD}'"), ("2024-03", f"kato = '{_CROWD}'")):
        file = folder / f"{month}.parquet"
        con.execute(f"COPY (SELECT * FROM trial WHERE {which}) TO {literal(str(file))} (FORMAT parquet)")
        counted = con.execute(f"SELECT {content_sql(_COUNTED, 'duckdb')} FROM trial WHERE {which}").fetchall()
        loads.append(Load(TABLE, month, SEQ + 1, file, int(counted[0][0]), int(counted[0][1])))
    con.execute(
        f"DELETE FROM trial WHERE NOT (valid_from_seq <= {SEQ} AND (valid_to_seq IS NULL OR valid_to_seq > {SEQ}))"
    )
    return loads


def _count_again(engine: ClickHouse, loads: Sequence[Load], tried: Tried) -> None:
    found = engine.recounted(TABLE, [load.name for load in loads], _COUNTED)
    for load in loads:
        tried.cells += 1
        if (there := found.get(load.name)) != (load.rows, load.content):
            tried.unlike.append(Unlike(f"{ROWS} and content", load.name, str((load.rows, load.content)), str(there), 1))


def _scans() -> Iterator[tuple[Scan, Sequence[Period]]]:
    """Every expression in every row by itself and in all; every kind of measure of every kind of value; every rule and grain."""
    february = RowTime(TimeRule.EVENT, "happened")
    for some in (_of_expressions(), _of_kinds()):
        yield Scan(TABLE, february, Grain.MONTH, _numbered(some)), [_FEBRUARY]
    for rule in _RULES:
        for grain, periods in _PERIODS.items():
            yield Scan(TABLE, rule, grain, _numbered(_IN_PERIODS)), periods


def _of_expressions() -> Iterator[Asked]:
    """Questions whose answer, of one row, is what the expression comes to in it."""
    for text in hard.CONDITIONS:
        yield Asked(Function.COUNT, None, (text,))
        yield Asked(Function.COUNT, None, (f"not ({text})",))
    for text in hard.NUMBERS:
        double = spelled(text, _COLUMNS, ()).family is Family.DOUBLE
        yield Asked(Function.LOW, text, (), "0") if double else Asked(Function.MAX, text, ())
    for text in (*hard.TIMES, *hard.DATES):
        yield Asked(Function.MAX, f"date_diff('microsecond', '2000-01-01', {text})", ())
    for text in hard.TEXTS:
        yield from (Asked(Function.COUNT, None, (f"{text} {rest}",)) for rest in ("= s", "= r", "<= 'b'", "is null"))


def _of_kinds() -> Iterator[Asked]:
    for argument in hard.ARGUMENTS:
        for conditions in _CONDITIONS:
            shares = ("0.5",) if conditions else _SHARES
            for function in Function:
                for share in shares if function in (Function.LOW, Function.HIGH) else (None,):
                    asked = Asked(function, argument, conditions, share)
                    try:
                        argument_of(asked, _COLUMNS, ())
                    except SpellingError:  # refused in a definition too
                        continue
                    yield asked


def _numbered(asked: Iterator[Asked] | Sequence[Asked]) -> tuple[Measure, ...]:
    return tuple(Measure(f"m{number}", "", asked=one) for number, one in enumerate(asked))


@dataclass(frozen=True)
class _Comparison:
    """One scan, here and there."""

    con: duckdb.DuckDBPyConnection
    engine: ClickHouse
    loads: Sequence[Load]
    scan: Scan
    periods: Sequence[Period]
    tried: Tried

    def run(self) -> None:
        found = self.con.execute("SELECT DISTINCT kato FROM trial ORDER BY kato").fetchall()
        katos = [*(kato for (kato,) in found), _NOBODY]
        self._make_cells(katos)
        for scan in self._statements(katos):
            here = self._here(scan)
            try:
                there = self._there(scan, katos)
            except RefusedError:  # which of them it was is seen one by one
                for measure in scan.measures:
                    self._one_by_one(replace(scan, measures=(measure,)), katos, here)
                continue
            for measure in scan.measures:
                self._compare(measure, here, there)

    def _make_cells(self, katos: Sequence[str]) -> None:
        self.con.execute(
            "CREATE OR REPLACE TABLE cell (kato VARCHAR, period_id VARCHAR, period_start TIMESTAMP, period_end TIMESTAMP, period_end_population_date DATE)"
        )
        cells = [(kato, str(first), first, end, end) for kato in katos for first, end in self.periods]
        values = ", ".join(f"({', '.join(literal(str(value)) for value in cell)})" for cell in cells)
        self.con.execute(f"INSERT INTO cell VALUES {values}")

    def _statements(self, katos: Sequence[str]) -> Iterator[Scan]:
        """The scan, in as many statements as an engine will read."""
        batch: list[Measure] = []
        length = 0
        for measure in self.scan.measures:
            alone = replace(self.scan, measures=(measure,))
            longer = len(engine_scan(alone, self.engine.dialect, _COLUMNS, katos[:1], self.periods, SEQ).sql)
            if batch and length + longer > _LONGEST:
                yield replace(self.scan, measures=tuple(batch))
                batch, length = [], 0
            batch.append(measure)
            length += longer
        yield replace(self.scan, measures=tuple(batch))

    def _here(self, scan: Scan) -> _Answer:
        measures = [
            Measure(name, sql)
            for one in scan.measures
            for name, sql in zip((one.name, f"{one.name}_out"), _in_duckdb(one.asked), strict=True)
        ]
        sql = replace(scan, measures=tuple(measures)).sql("trial", "cell", by="c.kato, CAST(c.period_start AS DATE)")
        names = ["kato", "period_start", *(measure.name for measure in measures)]
        return _Answer({row[:2]: dict(zip(names, row, strict=True)) for row in self.con.execute(sql).fetchall()})

    def _there(self, scan: Scan, katos: Sequence[str]) -> _Answer:
        asked = engine_scan(scan, self.engine.dialect, _COLUMNS, katos, self.periods, SEQ)
        rows = self.engine.measure(asked, self.loads).to_pylist()
        return _Answer({(row["kato"], row["period_start"]): row for row in rows})

    def _one_by_one(self, scan: Scan, katos: Sequence[str], here: _Answer) -> None:
        (measure,) = scan.measures
        try:
            self._compare(measure, here, self._there(scan, katos))
        except RefusedError as error:
            self.tried.unlike.append(
                Unlike(self._said(measure), "every cell", "an answer", str(error), len(here.cells))
            )

    def _compare(self, measure: Measure, here: _Answer, there: _Answer) -> None:
        self.tried.measures += 1
        wrong = []
        for cell in sorted(here.cells.keys() | there.cells.keys()):
            self.tried.cells += 1
            if (ours := here.of(measure, cell)) != (theirs := there.of(measure, cell)):
                wrong.append((f"{cell[0]}, {cell[1]}", ours, theirs))
        if wrong:
            self.tried.unlike.append(Unlike(self._said(measure), *wrong[0], len(wrong)))

    def _said(self, measure: Measure) -> str:
        asked = measure.asked
        share = f" at {asked.share}" if asked.share else ""
        where = f" where {' and '.join(asked.conditions)}" if asked.conditions else ""
        return f"{asked.function}{share} of {asked.argument or 'rows'}{where} ({self.scan.time}, {self.scan.grain})"


@dataclass(frozen=True)
class _Answer:
    """What one of the two said: cell → its measures by name, and how many rows of each were out of range."""

    cells: Mapping[tuple[str, dt.date], Mapping[str, Any]]

    def of(self, measure: Measure, cell: tuple[str, dt.date]) -> str:
        """A measure in a cell, in a form that is equal only if it is."""
        if cell not in self.cells:
            return "no rows"
        found = self.cells[cell]
        out = found.get(f"{measure.name}_out") or 0
        return f"{_plain(found[measure.name])}{f', {out} rows out of range' if out else ''}"


def _plain(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return "no number" if math.isnan(value) else (value + 0.0).hex()
    return f"{Decimal(str(value)).normalize():f}"


def _in_duckdb(asked: Asked) -> tuple[str, str]:
    """SQL for a question, rows that DuckDB has no room for left out; and for how many those are. An error makes TRY a NULL."""
    texts = [parse(text, ()).sql("duckdb") for text in asked.conditions]
    taken = " AND ".join((*(f"coalesce(TRY({text}), false)" for text in texts), "true"))
    value = parse(asked.argument, ()).sql("duckdb") if asked.argument else None
    out = " OR ".join(f"TRY(({text}) IS NULL) IS NULL" for text in (*texts, *([value] if value else [])))
    outside = f"count(*) FILTER (WHERE {out or 'false'})"
    if value is None:
        return f"count(*) FILTER (WHERE {taken})", outside
    x, where = f"TRY({value})", f"FILTER (WHERE {taken} AND TRY({value}) IS NOT NULL)"
    if asked.function in (Function.LOW, Function.HIGH):
        way = "ceil" if asked.function is Function.HIGH else "floor"
        place = f"CAST({way}((count(*) {where} - 1) * CAST({asked.share} AS DOUBLE)) AS BIGINT) + 1"
        return f"list_sort(list({x}) {where})[{place}]", outside
    given = f"DISTINCT {x}" if asked.function is Function.DISTINCT else x
    return f"{'count' if asked.function is Function.DISTINCT else asked.function}({given}) {where}", outside


def _periods(grain: Grain, months: Sequence[str]) -> list[Period]:
    length = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}[grain]
    found = []
    for year, month in (map(int, text.split("-")) for text in months):
        after = year * 12 + month - 1 + length
        found.append((dt.date(year, month, 1), dt.date(after // 12, after % 12 + 1, 1)))
    return found


_PERIODS: Mapping[Grain, list[Period]] = {
    Grain(one): _periods(Grain(one), months) for one, months in hard.PERIODS.items()
}
