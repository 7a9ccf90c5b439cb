"""From a KPI definition to SQL that reads one warehouse table and nothing else.

Item 12(4) of order No. 469/НҚ holds by construction: the compiler owns the SELECT; a definition contributes only scalar
conditions and one aggregate, parsed to a syntax tree in which every node and function must be on a short list and
every name a column of the KPI's own table. There is no place to write a table, a subquery or a file.

KPIs on the same table, time column and grain are fused into one scan (`fuse`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlglot import exp

from kpi_definitions.expressions import SCALAR, ExpressionError, Where, chance, check, parse
from kpi_definitions.model import Grain, Kind, Kpi, Part, Rows

Tables = Mapping[str, Mapping[str, str]]  # table → column → SQL type

PARAMETERS: Mapping[str, str] = {
    "period_start": "TIMESTAMP",
    "period_end": "TIMESTAMP",  # first instant after the period
    "period_end_population_date": "DATE",  # first day after the period
}
GRAIN_UNIT = {Grain.MONTH: "month", Grain.QUARTER: "quarter", Grain.YEAR: "year"}
EXACT = "DECIMAL(38,6)"  # numerators and denominators: sums of doubles differ with the number of threads

_AGGREGATES: Mapping[Kind, tuple[type[exp.Expr], ...]] = {
    Kind.SHARE: (exp.Count, exp.Sum),
    Kind.RATE: (exp.Count, exp.Sum, exp.Max),
    Kind.RATIO: (exp.Count, exp.Sum, exp.Max),
    Kind.MEAN: (exp.Avg,),
    Kind.QUANTILE: (exp.Median, exp.PercentileCont, exp.Quantile),
}


@dataclass(frozen=True)
class Source:
    """A warehouse column that one part of a KPI reads."""

    part: str  # numerator or denominator
    table: str
    column: str
    use: str  # event, stock, during, as_of: places a row in time; filter; aggregate
    text: str  # the expression it stands in


@dataclass(frozen=True)
class Measure:
    """One aggregate with its filter, a column of a scan."""

    name: str
    sql: str
    where: str = ""  # which rows it takes in: a condition over t and c; empty if it takes all


class TimeRule(StrEnum):
    """How a row falls into a period."""

    EVENT = "event"  # its date lies in the period
    LISTED = "listed"  # so does its date, and the register of the period's end lists it
    STOCK = "stock"  # the register of the period's end lists it, and it was in force at that moment
    DURING = "during"  # the register of the period's end lists it, and it was in force at some moment of the period
    AS_OF = "as_of"  # its date is the first day after the period: a figure that is looked up, such as a population


@dataclass(frozen=True)
class RowTime:
    """The rule by which rows of a table fall into periods, with the columns it reads."""

    rule: TimeRule
    column: str  # the date of the row, or the one from which it is in force
    until: str | None = None  # STOCK, DURING: the date from which it is no longer in force; empty where it still is

    def __str__(self) -> str:
        return " ".join((self.rule, *self.columns))

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,) if self.until is None else (self.column, self.until)

    @property
    def by_register(self) -> bool:
        """Rows are read from the register of the period's end, by its snapshot_date."""
        return self.rule in (TimeRule.LISTED, TimeRule.STOCK, TimeRule.DURING)


@dataclass(frozen=True)
class Scan:
    """One pass over one warehouse table, giving measures by settlement and period."""

    table: str
    time: RowTime
    grain: Grain
    measures: tuple[Measure, ...]

    @property
    def key(self) -> str:
        """The table, how its rows fall into periods, and the grain: scans of one key can be one pass."""
        return f"{self.table} {self.time} {self.grain}"

    def counting(self, name: str) -> Scan:
        """The same pass with one measure `name`: how many rows there are."""
        return replace(self, measures=(Measure(name, "count(*)"),))

    def sql(self, source: str, cells: str, *, any_window: bool = False, by: str = "c.kato, c.period_id") -> str:
        """SELECT `by` and the measures FROM `source` joined to `cells`.

        `cells` is a relation (kato, period_id, period_start, period_end, period_end_population_date) of what is asked
        for; `any_window` admits periods that are not calendar ones of the grain (slower: a range join).
        """
        columns = ",\n       ".join(f"{m.sql} AS {m.name}" for m in self.measures)
        return f"SELECT {by},\n       {columns}\n{self._from(source, cells, any_window)}\nGROUP BY {by}"

    def rows(
        self, source: str, cells: str, columns: Iterable[str], flags: Mapping[str, str], *, any_window: bool = False
    ) -> str:
        """SELECT `columns` of the very rows that `sql` would measure, and with each the `flags`: name → condition over t and c.

        A condition that is empty holds for every row; one that comes out NULL does not hold.
        """
        said = (f"coalesce({condition or 'true'}, false) AS {name}" for name, condition in flags.items())
        chosen = ", ".join((*(f't."{c}"' for c in columns), *said))
        return f"SELECT {chosen}\n{self._from(source, cells, any_window)}"

    def values(self, source: str, cells: str, expression: str, condition: str, by: str = "c.kato, c.period_id") -> str:
        """SELECT `by` and an expression over t and c AS x of the rows that meet a condition, one by one."""
        return f"SELECT {by}, {expression} AS x\n{self._from(source, cells, False)}\nWHERE {condition}"

    def _from(self, source: str, cells: str, any_window: bool) -> str:
        """The rows of `source` that fall into the cells."""
        column, until = f't."{self.time.column}"', f't."{self.time.until}"'
        registered = "t.snapshot_date = c.period_end_population_date"
        inside = f"{column} >= c.period_start AND {column} < c.period_end"
        by_month = f"date_trunc('{GRAIN_UNIT[self.grain]}', {column}) = c.period_start"
        join = {
            TimeRule.EVENT: inside if any_window else by_month,
            TimeRule.LISTED: f"{registered} AND {inside}",
            TimeRule.AS_OF: f"{column} = c.period_end_population_date",
            TimeRule.DURING: f"{registered} AND {column} < c.period_end AND ({until} IS NULL OR {until} > c.period_start)",
            TimeRule.STOCK: f"{registered} AND {column} < c.period_end AND ({until} IS NULL OR {until} >= c.period_end)",
        }[self.time.rule]
        return f"FROM {source} AS t\nJOIN {cells} AS c ON t.kato = c.kato AND {join}"


@dataclass(frozen=True)
class Output:
    """A column of a scan."""

    scan: Scan
    column: str


@dataclass(frozen=True)
class Compiled:
    """A KPI ready to run: which scan column holds which part."""

    kpi: Kpi
    fingerprint: str
    numerator: Output
    denominator: Output
    sample: Output

    @property
    def outputs(self) -> tuple[Output, Output, Output]:
        """Numerator, denominator, sample."""
        return self.numerator, self.denominator, self.sample

    @property
    def scans(self) -> tuple[Scan, ...]:
        return tuple(dict.fromkeys(output.scan for output in self.outputs))

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(scan.table for scan in self.scans))


def compile_kpi(kpi: Kpi, tables: Tables) -> Compiled:
    """Compile one KPI against the warehouse's tables (name → column → SQL type). Raises ExpressionError."""
    stem = kpi.code.lower().replace("-", "_") + f"_v{kpi.version}"
    numerator_rows, num_where, num_base = _rows_of(kpi, kpi.numerator, "numerator")
    num = _part(kpi, kpi.numerator, numerator_rows, num_where, "numerator", tables)
    num_filter = _conditions(numerator_rows, [*num_base, (("numerator", "filter"), kpi.numerator.filter)], tables)
    if kpi.kind in (Kind.MEAN, Kind.QUANTILE):
        argument = num.find(exp.Avg, exp.Median, exp.PercentileCont, exp.Quantile)
        assert argument is not None
        inner = argument.this.sql("duckdb")
        count = _filtered(f"count({inner})", num_filter)
        # a mean is kept as sum and count, so that it is exact and can be rolled up; a quantile stands for itself
        top = _filtered(f"sum({inner})" if kpi.kind is Kind.MEAN else num.sql("duckdb"), num_filter)
        cast = EXACT if kpi.kind is Kind.MEAN else "DOUBLE"
        taken = " AND ".join((*num_filter, f"({inner}) IS NOT NULL"))
        measures = (Measure(f"{stem}_n", f"CAST({top} AS {cast})", taken), Measure(f"{stem}_s", count, taken))
        scan = Scan(numerator_rows.table, _time(numerator_rows, tables), kpi.period, measures)
        count_of = Output(scan, f"{stem}_s")
        return Compiled(kpi, fingerprint(kpi), Output(scan, f"{stem}_n"), count_of, count_of)
    assert kpi.denominator is not None
    den_rows, den_where, den_base = _rows_of(kpi, kpi.denominator, "denominator")
    den = _part(kpi, kpi.denominator, den_rows, den_where, "denominator", tables)
    den_filter = _conditions(den_rows, [*den_base, (("denominator", "filter"), kpi.denominator.filter)], tables)
    sampled = _conditions(numerator_rows, num_base, tables)
    n = Measure(f"{stem}_n", f"CAST({_filtered(num.sql('duckdb'), num_filter)} AS {EXACT})", " AND ".join(num_filter))
    d = Measure(f"{stem}_d", f"CAST({_filtered(den.sql('duckdb'), den_filter)} AS {EXACT})", " AND ".join(den_filter))
    s = Measure(f"{stem}_s", _filtered("count(*)", sampled), " AND ".join(sampled))
    top_time, bottom_time = _time(numerator_rows, tables), _time(den_rows, tables)
    if (den_rows.table, bottom_time) == (numerator_rows.table, top_time):
        scan = Scan(numerator_rows.table, top_time, kpi.period, (n, d, s))
        return Compiled(kpi, fingerprint(kpi), *(Output(scan, measure.name) for measure in (n, d, s)))
    top_scan = Scan(numerator_rows.table, top_time, kpi.period, (n, s))
    bottom_scan = Scan(den_rows.table, bottom_time, kpi.period, (d,))
    return Compiled(
        kpi, fingerprint(kpi), Output(top_scan, n.name), Output(bottom_scan, d.name), Output(top_scan, s.name)
    )


def spread_of(kpi: Kpi) -> tuple[str, float]:
    """Of a quantile, the expression (over t and c) whose values it orders, and which share of them lies below it."""
    tree = parse(kpi.numerator.aggregate, ("numerator", "aggregate"))
    found = tree.find(exp.Median, exp.PercentileCont, exp.Quantile)
    assert found is not None
    level = next((c for c in found.iter_expressions() if c is not found.this and isinstance(c, exp.Literal)), None)
    return _qualify(found.this).sql("duckdb"), 0.5 if level is None else float(level.name)


def fuse(compiled: Iterable[Compiled]) -> list[Scan]:
    """One scan for all measures over the same table, time column and grain, in a stable order."""
    scans: dict[str, Scan] = {}
    measures: dict[str, dict[str, Measure]] = {}
    for one in compiled:
        for scan in one.scans:
            scans.setdefault(scan.key, scan)
            measures.setdefault(scan.key, {}).update((m.name, m) for m in scan.measures)
    fused = (replace(scan, measures=tuple(measures[key].values())) for key, scan in scans.items())
    return sorted(fused, key=lambda scan: (scan.table, scan.time.rule, *scan.time.columns, scan.grain.name))


def sources_of(kpi: Kpi) -> Iterator[Source]:
    """Every column each part of a KPI reads and what for, in the order they are named."""
    for side, part in (("numerator", kpi.numerator), ("denominator", kpi.denominator)):
        if part is None:
            continue
        rows = part.rows or kpi.rows
        time = _time(rows, {})
        for name in time.columns:
            yield Source(side, rows.table, name, time.rule, "the period")
        for use, text in (("filter", rows.filter), ("filter", part.filter), ("aggregate", part.aggregate)):
            for column in parse(text, ()).find_all(exp.Column) if text else ():
                if column.name not in PARAMETERS:
                    yield Source(side, rows.table, column.name, use, text or "")


def columns_of(kpi: Kpi) -> list[tuple[str, str]]:
    """(table, column) of everything the KPI reads, in the order it is named."""
    return list(dict.fromkeys((source.table, source.column) for source in sources_of(kpi)))


def fingerprint(kpi: Kpi) -> str:
    """SHA-256 of what the KPI computes: layout and labels do not count, the syntax tree does."""
    meaning = kpi.model_dump(mode="json", exclude={
        "name", "description", "change_note", "approved_by", "standards", "sensitivity", "valid_to"})  # fmt: skip

    def normal(node: object, key: str = "") -> object:
        if isinstance(node, dict):
            return {k: normal(v, k) for k, v in node.items() if v is not None}
        if isinstance(node, list):
            return [normal(v) for v in node]
        if key in {"filter", "aggregate"} and isinstance(node, str):
            return parse(node, (key,)).sql("duckdb", normalize=True, pretty=False)
        return node

    text = json.dumps(normal(meaning), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _time(rows: Rows, tables: Tables) -> RowTime:
    if rows.event:  # a register repeats its events with every snapshot
        registered = "snapshot_date" in tables.get(rows.table, ())
        return RowTime(TimeRule.LISTED if registered else TimeRule.EVENT, rows.event)
    if rows.as_of:
        return RowTime(TimeRule.AS_OF, rows.as_of)
    if rows.during:
        return RowTime(TimeRule.DURING, rows.during.start, rows.during.end)
    assert rows.stock is not None
    return RowTime(TimeRule.STOCK, rows.stock.start, rows.stock.end)


def _filtered(aggregate: str, conditions: list[str]) -> str:
    if not conditions:
        return aggregate
    condition = " AND ".join(conditions)
    if aggregate.lower() == "count(*)":  # the same number, a fifth sooner; NULL if no condition came out true or false
        return f"coalesce(count_if({condition}), 0)"
    return f"{aggregate} FILTER (WHERE {condition})"


def _rows_of(kpi: Kpi, part: Part, side: str) -> tuple[Rows, Where, list[tuple[Where, str | None]]]:
    """The rows a part counts, where they are written, and their own condition."""
    rows, where = (part.rows, (side, "rows")) if part.rows else (kpi.rows, ("rows",))
    return rows, where, [((*where, "filter"), rows.filter)]


def _part(kpi: Kpi, part: Part, rows: Rows, rows_where: Where, side: str, tables: Tables) -> exp.Expr:
    where = (side, "aggregate")
    columns = _columns(rows, (*rows_where, "table"), tables)
    _check_time(rows, tables, rows_where)
    tree = parse(part.aggregate, where)
    allowed = _AGGREGATES[kpi.kind]
    if type(tree) not in allowed:  # a subclass is another function: approx_quantile is a quantile to sqlglot
        names = ", ".join(a.__name__.lower() for a in allowed)
        raise ExpressionError(
            where,
            f"{chance(tree)}a {kpi.kind} cannot be made by {part.aggregate!r}",
            f"its {side} must be one of: {names}",
        )
    if isinstance(tree, exp.Count) and isinstance(tree.this, exp.Star) and not any(tree.this.args.values()):
        return tree  # count(*)
    arguments = [child for child in tree.iter_expressions() if child is not tree.this]
    if isinstance(tree, exp.PercentileCont | exp.Quantile):
        level = arguments.pop() if arguments else None
        if not isinstance(level, exp.Literal) or level.is_string or not 0 <= float(level.name) <= 1:
            raise ExpressionError(where, "the quantile must be a number from 0 to 1", "write quantile_cont(x, 0.9)")
    for child in tree.iter_expressions():
        check(child, _names(columns), where, (*SCALAR, exp.Distinct))
    if arguments:
        raise ExpressionError(where, f"{part.aggregate!r} has too many arguments", "aggregate one expression")
    _reads_data(tree, part.aggregate, rows, where)
    return _qualify(tree)


def _reads_data(tree: exp.Expr, text: str, rows: Rows, where: Where) -> None:
    if all(column.name in PARAMETERS for column in tree.find_all(exp.Column)):
        raise ExpressionError(
            where, f"{text!r} reads no column of {rows.table}", "a constant may not stand in place of data"
        )


def _conditions(rows: Rows, filters: list[tuple[Where, str | None]], tables: Tables) -> list[str]:
    result = []
    for where, text in filters:
        if text:
            tree = parse(text, where)
            check(tree, _names(tables[rows.table]), where, SCALAR)
            _reads_data(tree, text, rows, where)
            result.append(f"({_qualify(tree).sql('duckdb')})")
    return result


def _columns(rows: Rows, where: Where, tables: Tables) -> Mapping[str, str]:
    if rows.table not in tables:
        raise ExpressionError(
            where, f"the warehouse has no table {rows.table!r}", f"it has {', '.join(sorted(tables))}"
        )
    return tables[rows.table]


def _check_time(rows: Rows, tables: Tables, where: Where) -> None:
    columns = tables[rows.table]
    time = _time(rows, tables)
    written = TimeRule.EVENT if time.rule is TimeRule.LISTED else time.rule  # as the definition has it
    for name in time.columns:
        if columns.get(name) not in {"DATE", "TIMESTAMP"}:
            dated = ", ".join(c for c, t in columns.items() if t in {"DATE", "TIMESTAMP"})
            raise ExpressionError((*where, written), f"{rows.table} has no date column {name!r}", f"it has {dated}")
    if time.rule is TimeRule.AS_OF and "snapshot_date" in columns:
        raise ExpressionError(
            (*where, written),
            f"{rows.table} is delivered as snapshots",
            "use stock: its rows carry the day they are of",
        )
    if time.rule in (TimeRule.STOCK, TimeRule.DURING) and "snapshot_date" not in columns:
        raise ExpressionError(
            (*where, written),
            f"{rows.table} is not delivered as snapshots",
            "use event, or make its contract `delivery: snapshot`",
        )


def _names(columns: Mapping[str, str]) -> list[str]:
    return [*columns, *PARAMETERS]


def _qualify(tree: exp.Expr) -> exp.Expr:
    """Columns come from the table (t), period parameters from the cell (c)."""
    tree = tree.copy()
    for column in tree.find_all(exp.Column):
        column.set("table", exp.to_identifier("c" if column.name in PARAMETERS else "t"))
    return tree
