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

from sqlglot import exp

from kpi_definitions.expressions import SCALAR, ExpressionError, Where, chance, check, parse
from kpi_definitions.model import Kind, Kpi, Part, Rows
from kpi_definitions.scans import PARAMETERS, Asked, Function, Measure, RowTime, Scan, TimeRule
from kpi_definitions.spelling import argument_of, condition

Tables = Mapping[str, Mapping[str, str]]  # table → column → SQL type
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
    upper: Output | None = None  # of a quantile, which lies between its numerator and this

    @property
    def outputs(self) -> tuple[Output, Output, Output]:
        """Numerator, denominator, sample."""
        return self.numerator, self.denominator, self.sample

    @property
    def scans(self) -> tuple[Scan, ...]:
        return tuple(dict.fromkeys(output.scan for output in self.outputs))

    @property
    def share(self) -> str:
        """Of a quantile, the share of values below it, as it is written."""
        return _share(parse(self.kpi.numerator.aggregate, ("numerator", "aggregate")))

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(scan.table for scan in self.scans))


def compile_kpi(kpi: Kpi, tables: Tables) -> Compiled:
    """Compile one KPI against the warehouse's tables (name → column → SQL type). Raises ExpressionError."""
    stem = kpi.code.lower().replace("-", "_") + f"_v{kpi.version}"
    numerator_rows, num_where, num_base = _rows_of(kpi, kpi.numerator, "numerator")
    num = _part(kpi, kpi.numerator, numerator_rows, num_where, "numerator", tables)
    num_wheres = [*num_base, (("numerator", "filter"), kpi.numerator.filter)]
    num_filter = _conditions(numerator_rows, num_wheres, tables)
    if kpi.kind in (Kind.MEAN, Kind.QUANTILE):
        scan = Scan(
            numerator_rows.table,
            _time(numerator_rows, tables),
            kpi.period,
            _of_values(kpi, stem, num, num_filter, _asked(kpi.numerator, num_wheres)),
        )
        top, *upper, count = (Output(scan, measure.name) for measure in scan.measures)
        return Compiled(kpi, fingerprint(kpi), top, count, count, *upper)
    assert kpi.denominator is not None
    den_rows, den_where, den_base = _rows_of(kpi, kpi.denominator, "denominator")
    den = _part(kpi, kpi.denominator, den_rows, den_where, "denominator", tables)
    den_wheres = [*den_base, (("denominator", "filter"), kpi.denominator.filter)]
    den_filter = _conditions(den_rows, den_wheres, tables)
    sampled = _conditions(numerator_rows, num_base, tables)
    n = Measure(
        f"{stem}_n",
        f"CAST({_filtered(num.sql('duckdb'), num_filter)} AS {EXACT})",
        " AND ".join(num_filter),
        _asked(kpi.numerator, num_wheres),
    )
    d = Measure(
        f"{stem}_d",
        f"CAST({_filtered(den.sql('duckdb'), den_filter)} AS {EXACT})",
        " AND ".join(den_filter),
        _asked(kpi.denominator, den_wheres),
    )
    s = Measure(
        f"{stem}_s",
        _filtered("count(*)", sampled),
        " AND ".join(sampled),
        Asked(Function.COUNT, None, _texts(num_base)),
    )
    top_time, bottom_time = _time(numerator_rows, tables), _time(den_rows, tables)
    if (den_rows.table, bottom_time) == (numerator_rows.table, top_time):
        scan = Scan(numerator_rows.table, top_time, kpi.period, (n, d, s))
        return Compiled(kpi, fingerprint(kpi), *(Output(scan, measure.name) for measure in (n, d, s)))
    top_scan = Scan(numerator_rows.table, top_time, kpi.period, (n, s))
    bottom_scan = Scan(den_rows.table, bottom_time, kpi.period, (d,))
    return Compiled(
        kpi, fingerprint(kpi), Output(top_scan, n.name), Output(bottom_scan, d.name), Output(top_scan, s.name)
    )


def check_spelling(kpi: Kpi, tables: Tables) -> None:
    """Every engine can be told a KPI that compiles, and none could give another number. Raises SpellingError."""
    for side, part in (("numerator", kpi.numerator), ("denominator", kpi.denominator)):
        if part is None:
            continue
        rows, _, wheres = _rows_of(kpi, part, side)
        for where, text in (*wheres, ((side, "filter"), part.filter)):
            if text:
                condition(text, tables[rows.table], where)
        argument_of(_asked(part, []), tables[rows.table], (side, "aggregate"))


def spread_of(kpi: Kpi) -> tuple[str, float]:
    """Of a quantile, the expression (over t and c) whose values it orders, and which share of them lies below it."""
    tree = parse(kpi.numerator.aggregate, ("numerator", "aggregate"))
    return _qualify(tree.this).sql("duckdb"), float(_share(tree))


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


def _of_values(kpi: Kpi, stem: str, tree: exp.Expr, conditions: list[str], asked: Asked) -> tuple[Measure, ...]:
    """What a mean or a quantile is kept as: its exact sum, or the two values between which it lies; and how many values there are."""
    inner = tree.this.sql("duckdb")
    taken = " AND ".join((*conditions, f"({inner}) IS NOT NULL"))
    count = _filtered(f"count({inner})", conditions)
    sample = Measure(f"{stem}_s", count, taken, replace(asked, function=Function.COUNT, share=None))
    if kpi.kind is Kind.MEAN:
        total = _filtered(f"sum({inner})", conditions)
        return Measure(f"{stem}_n", f"CAST({total} AS {EXACT})", taken, asked), sample
    low, high = _neighbours(inner, conditions, taken, count, _share(tree))
    upper = replace(asked, function=Function.HIGH)
    return Measure(f"{stem}_n", low, taken, asked), Measure(f"{stem}_h", high, taken, upper), sample


def _neighbours(inner: str, conditions: list[str], taken: str, count: str, share: str) -> tuple[str, str]:
    """SQL for the values of `inner` next to a share of the way through their order, as doubles.

    A median's are selected, a third of the time and of the memory of sorting; no function selects those of any other share.
    """
    if float(share) == 0.5:
        found = [_filtered(f"quantile_disc({inner}, {at})", conditions) for at in ("0.5", "-0.5")]
    else:
        at = f"({count} - 1) * CAST({share} AS DOUBLE)"
        every = f"list_sort(list({inner}) FILTER (WHERE {taken}))"
        found = [f"{every}[CAST({way}({at}) AS BIGINT) + 1]" for way in ("floor", "ceil")]
    return f"CAST({found[0]} AS DOUBLE)", f"CAST({found[1]} AS DOUBLE)"


def _filtered(aggregate: str, conditions: list[str]) -> str:
    if not conditions:
        return aggregate
    condition = " AND ".join(conditions)
    if aggregate.lower() == "count(*)":  # the same number, a fifth sooner; NULL if no condition came out true or false
        return f"coalesce(count_if({condition}), 0)"
    return f"{aggregate} FILTER (WHERE {condition})"


def _texts(filters: list[tuple[Where, str | None]]) -> tuple[str, ...]:
    return tuple(text for _, text in filters if text)


def _asked(part: Part, filters: list[tuple[Where, str | None]]) -> Asked:
    """What a part asks of rows; of a quantile, the lower of the two values between which it lies."""
    tree = parse(part.aggregate, ())
    argument, conditions = tree.this, _texts(filters)
    if isinstance(tree, exp.Median | exp.PercentileCont | exp.Quantile):
        return Asked(Function.LOW, argument.sql("duckdb"), conditions, _share(tree))
    if isinstance(tree, exp.Count):
        if isinstance(argument, exp.Distinct):
            return Asked(Function.DISTINCT, argument.expressions[0].sql("duckdb"), conditions)
        return Asked(Function.COUNT, None if isinstance(argument, exp.Star) else argument.sql("duckdb"), conditions)
    return Asked(Function.MAX if isinstance(tree, exp.Max) else Function.SUM, argument.sql("duckdb"), conditions)


def _share(tree: exp.Expr) -> str:
    """Of a quantile, the share of values below it, as it is written."""
    level = next((c for c in tree.iter_expressions() if c is not tree.this and isinstance(c, exp.Literal)), None)
    return "0.5" if level is None else level.name


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
