"""A scan as engines other than the warehouse's own run it: one SELECT over one table, whose rows say themselves which period they fall into.

No cells are sent: a row's period follows from its date or from the day of its register, so that a scan is a filter and a GROUP BY, and a
settlement's cell is made where its rows are. Whoever asks takes the cells it wanted from the answer.
Does not belong here: how a function is written in an engine (spelling.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kpi_definitions.calendar_arithmetic import reckoned
from kpi_definitions.functions import DIALECTS, Family, Said
from kpi_definitions.scans import PARAMETERS, Function, Measure, Scan, TimeRule
from kpi_definitions.spelling import argument_of, condition, quoted
from kpi_definitions.values import (
    DAY,
    SpellingError,
    UnspelledError,
    Value,
    as_decimal,
    as_time,
    checks_of,
    column,
    double,
    kept,
    mark,
    marked,
    put,
)

Period = tuple[dt.date, dt.date]  # first day, first day after
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class EngineScan:
    """A scan in an engine's SQL.

    `{rows}` in `sql` stands where a relation does, once: `FROM {rows}` and then WHERE. The engine puts there a table's name or a subquery,
    in ClickHouse also `<table> PREWHERE load IN (…)`; by `str.replace`, as no other brace stands in the text. Columns are not qualified.

    How the values of `columns` come out, whatever the engine (whoever takes the answer turns them into the types named there):
    VARCHAR as text; BIGINT as a whole number; DOUBLE as one; DATE (`period_start`) as a whole number of days since 1970-01-01;
    DECIMAL(38,s) (sums, the greatest, order statistics of decimals) as a whole number, an exact decimal, or the text of one, at times with
    an exponent: `-1725E-2`.
    """

    table: str
    sql: str
    columns: Mapping[str, str]  # of the answer, in order: name → SQL type of the warehouse
    # measure → column of the answer: how many rows left the range of whole numbers that the warehouse computes with; such a cell fails
    overflows: Mapping[str, str]


def engine_scan(
    scan: Scan,
    dialect: str,
    columns: Mapping[str, str],
    settlements: Sequence[str],
    periods: Sequence[tuple[dt.date, dt.date]],
    seq: int,
) -> EngineScan:
    """`scan` for some settlements and periods (first day, first day after), over the rows that held at a ledger sequence.

    `columns`: of the table, name → SQL type. Answer: kato, period_start, the measures, the overflows; a row for every settlement and
    period that has rows (a cell without rows is not there). A measure without values is NULL, counts are 0.
    Periods of one scan do not overlap. Raises ExpressionError if the dialect has no way to say it exactly, ValueError if nothing is asked for.
    """
    if not settlements or not periods:
        raise ValueError("a scan is asked for at least one settlement and one period")
    asked = sorted(set(periods))
    if any(first[1] > second[0] for first, second in pairwise(asked)):
        raise ValueError(f"periods overlap: {asked}")
    try:
        return _engine_scan(scan, _SCANS[dialect](scan, columns, asked), settlements, seq)
    except UnspelledError as error:
        raise SpellingError((scan.table,), error.message, error.remedy) from None


def _engine_scan(scan: Scan, writer: _Writing, settlements: Sequence[str], seq: int) -> EngineScan:
    found, outs = [], []
    types, overflows = {"kato": "VARCHAR", "period_start": "DATE"}, {}
    for measure in scan.measures:
        text, types[measure.name], outside = writer.measure(measure)
        found.append(f"{text} AS {measure.name}")
        if outside:
            overflows[measure.name] = f"{measure.name}_out"
            outs.append(f"{writer.count(outside)} AS {measure.name}_out")
    types |= dict.fromkeys(overflows.values(), "BIGINT")
    start = writer.by_period([(first - _EPOCH).days for first, _ in writer.periods])
    selected = ",\n       ".join(("kato", f"{start} AS period_start", *found, *outs))
    where = "\n  AND ".join((*writer.rows(), *writer.held(settlements, seq)))
    sql = f"SELECT {selected}\nFROM {{rows}}\nWHERE {where}\nGROUP BY kato, {start}"
    for name in marked(sql):
        sql = sql.replace(mark(name), writer.parameter(name))
    return EngineScan(scan.table, sql, types, overflows)


class _Writing:
    """A scan in one dialect. What differs between dialects is said by those below."""

    dialect: str

    def __init__(self, scan: Scan, columns: Mapping[str, str], periods: Sequence[Period]):
        self.scan, self.columns, self.periods = scan, columns, periods
        self.number = DIALECTS.index(self.dialect)
        starts, ends = ([(day - _EPOCH).days for day in days] for days in zip(*periods, strict=True))
        by_register = scan.time.by_register
        self.key = column("snapshot_date", columns["snapshot_date"]) if by_register else self._column(scan.time.column)
        size = DAY if self.key.family is Family.TIME else 1
        # of each period, the first instant or day at which a row's key can name it
        self.first = [day * size for day in (starts if scan.time.rule is TimeRule.EVENT else ends)]
        self.last = [day * size for day in ends]
        # of each period, the microseconds of its parameters
        self.known = [
            {"period_start": start * DAY, "period_end": end * DAY, "period_end_population_date": end * DAY}
            for start, end in zip(starts, ends, strict=True)
        ]

    def parameter(self, name: str) -> str:
        """A parameter, or a time that follows from one, of the period into which a row falls."""
        times = [reckoned(name, known) for known in self.known]
        return self.by_period([time // DAY for time in times] if PARAMETERS.get(name) == "DATE" else times)

    def measure(self, measure: Measure) -> tuple[str, str, str]:
        """Its SQL, the type it has in the warehouse, and the condition that finds rows DuckDB has no room for; empty if there can be none."""
        asked, where = measure.asked, (measure.name,)
        conditions = [condition(text, self.columns, where) for text in asked.conditions]
        value = argument_of(asked, self.columns, where)
        outside = self._any(checks_of((*conditions, *([value] if value else []))))
        taken = [one.said[self.number].true for one in conditions]
        if value is None:
            return self.count(" AND ".join(taken)), "BIGINT", outside
        taken.append(put("is null", value.form, value)[self.number].false)
        if value.checks:
            taken.append(self._not(self._any(value.checks)))
        met = " AND ".join(taken)
        if asked.function is Function.COUNT:
            return self.count(met), "BIGINT", outside
        if asked.function is Function.DISTINCT:
            return self.distinct(self._text(value), met), "BIGINT", outside
        if asked.function is Function.SUM:
            return self.total(as_decimal(value, value.scale), met), f"DECIMAL(38,{value.scale})", outside
        kind = {Family.DOUBLE: "DOUBLE", Family.WHOLE: "BIGINT"}.get(value.family, f"DECIMAL(38,{value.scale})")
        if asked.function is Function.MAX:
            return self.greatest(self._text(value), met), f"DECIMAL(38,{value.scale})", outside
        assert asked.share is not None
        share = self._text(double(asked.share))
        return self.order(kept(value), met, asked.function is Function.HIGH, share), kind, outside

    def rows(self) -> Iterator[str]:
        """Conditions that a row falls into one of the periods."""
        time = self.scan.time
        if time.rule is TimeRule.EVENT:
            yield self._either([f"({self.raw(first, last)})" for first, last in self._ranges()])
            return
        yield self._either([self.raw(day) for day in self.last])
        if time.rule is TimeRule.AS_OF:
            return
        since = as_time(self._column(time.column))
        start, end = (replace(since, said=self._said(self.parameter(name))) for name in ("period_start", "period_end"))
        yield self._true(put("<", Family.TIME, since, end))
        if time.rule is TimeRule.LISTED:
            yield self._true(put("<=", Family.TIME, start, since))
        if time.until is not None:
            until = as_time(self._column(time.until))
            after = (
                put("<", Family.TIME, start, until)
                if time.rule is TimeRule.DURING
                else put("<=", Family.TIME, end, until)
            )
            parts = (replace(until, said=said) for said in (put("is null", Family.TIME, until), after))
            yield self._true(put("or", Family.BOOLEAN, *parts))

    def held(self, settlements: Sequence[str], seq: int) -> Iterator[str]:
        """Conditions that a row is of one of the settlements, and held at a ledger sequence."""
        yield f"kato IN ({', '.join(quoted(kato)[self.dialect] for kato in dict.fromkeys(settlements))})"
        yield f"valid_from_seq <= {seq}"
        yield f"({self.unset('valid_to_seq')} OR valid_to_seq > {seq})"

    def by_period(self, numbers: Sequence[int]) -> str:
        """The one of these numbers, one for each period, that goes with the period into which a row falls."""

        def among(first: int, last: int) -> str:
            if numbers[first] == numbers[last]:
                return self.whole(numbers[first])
            middle = (first + last + 1) // 2
            before = f"{self._text(self.key)} < {self.whole(self.first[middle])}"
            return self.choice(before, among(first, middle - 1), among(middle, last))

        return among(0, len(numbers) - 1)

    def _ranges(self) -> list[tuple[int, int]]:
        """The periods, those that follow upon each other as one."""
        found: list[tuple[int, int]] = []
        for first, last in zip(self.first, self.last, strict=True):
            if found and found[-1][1] == first:
                found[-1] = (found[-1][0], last)
            else:
                found.append((first, last))
        return found

    def _column(self, name: str) -> Value:
        return column(name, self.columns[name])

    def _text(self, value: Value) -> str:
        return value.said[self.number].value

    def _true(self, said: tuple[Said, ...]) -> str:
        return said[self.number].true

    def _said(self, text: str) -> tuple[Said, ...]:
        return (Said(text),) * len(DIALECTS)

    def _any(self, checks: Sequence[tuple[Said, ...]]) -> str:
        return self._either([self._true(check) for check in checks]) if checks else ""

    def _either(self, conditions: Sequence[str]) -> str:
        return f"({' OR '.join(dict.fromkeys(conditions))})"

    def _not(self, condition: str) -> str:
        return f"(NOT {condition})"

    def whole(self, number: int) -> str:
        raise NotImplementedError

    def choice(self, condition: str, value: str, otherwise: str) -> str:
        raise NotImplementedError

    def unset(self, name: str) -> str:
        raise NotImplementedError

    def raw(self, first: int, last: int | None = None) -> str:
        """That the key, as the engine keeps it, is `first`, or from `first` to just before `last`."""
        raise NotImplementedError

    def count(self, met: str) -> str:
        """How many rows meet a condition that is never NULL; all rows if it is empty."""
        raise NotImplementedError

    def distinct(self, value: str, met: str) -> str:
        raise NotImplementedError

    def total(self, value: Value, met: str) -> str:
        raise NotImplementedError

    def greatest(self, value: str, met: str) -> str:
        raise NotImplementedError

    def order(self, value: Value, met: str, high: bool, share: str) -> str:
        """Of values in their order, the one a share of the way from first to last, or the one after it."""
        raise NotImplementedError


class _ClickHouse(_Writing):
    """Every aggregate takes values and conditions that are never NULL, and says itself when there was none: releases differ in that.

    Decimals stand in the answer as they are: toString writes bytes between the digits of long ones in old releases.
    """

    dialect = "clickhouse"

    def whole(self, number: int) -> str:
        return f"toInt64({number})"

    def choice(self, condition: str, value: str, otherwise: str) -> str:
        return f"if({condition}, {value}, {otherwise})"

    def unset(self, name: str) -> str:
        return f"isNull({name})"

    def raw(self, first: int, last: int | None = None) -> str:
        name = f"`{self.scan.time.column if not self.scan.time.by_register else 'snapshot_date'}`"
        return f"{name} = {first}" if last is None else f"{name} >= {first} AND {name} < {last}"

    def count(self, met: str) -> str:
        return f"countIf({met})" if met else "count()"

    def distinct(self, value: str, met: str) -> str:
        return f"uniqExactIf(assumeNotNull({value}), {met})"

    def total(self, value: Value, met: str) -> str:
        return self._if_any(met, f"sumIf(assumeNotNull({self._text(value)}), {met})")

    def greatest(self, value: str, met: str) -> str:
        return self._if_any(met, f"maxIf(assumeNotNull({value}), {met})")

    def order(self, value: Value, met: str, high: bool, share: str) -> str:
        text, scale = self._text(value), ""
        if value.family is Family.DECIMAL:  # old releases crash on lists of decimals: counted in steps
            steps = put("steps", Family.DECIMAL, value, POWER=10**value.scale, WIDTH=value.scale + 1)
            text, scale = steps[self.number].value, f"E-{value.scale}"
        place = f"{'ceil' if high else 'floor'}(toFloat64(toInt64(countIf({met})) - 1) * {share})"
        found = f"arraySort(groupArrayIf(assumeNotNull({text}), {met}))[toInt64({place}) + 1]"
        return self._if_any(met, f"concat(toString({found}), '{scale}')" if scale else found)

    def _if_any(self, met: str, value: str) -> str:
        return f"if(countIf({met}) = 0, NULL, {value})"


class _Spark(_Writing):
    dialect = "spark"

    def whole(self, number: int) -> str:
        return f"{number}L"

    def choice(self, condition: str, value: str, otherwise: str) -> str:
        return f"CASE WHEN {condition} THEN {value} ELSE {otherwise} END"

    def unset(self, name: str) -> str:
        return f"{name} IS NULL"

    def raw(self, first: int, last: int | None = None) -> str:
        """In the file's own types, so that files and row groups of other days are passed over."""
        name = f"`{self.scan.time.column if not self.scan.time.by_register else 'snapshot_date'}`"
        size, kind = (DAY, "TIMESTAMP_NTZ") if self.key.family is Family.TIME else (1, "DATE")
        days = [_EPOCH + dt.timedelta(days=number // size) for number in (first, first if last is None else last)]
        texts = [f"{kind} '{day}{' 00:00:00' if size == DAY else ''}'" for day in days]
        return f"{name} = {texts[0]}" if last is None else f"{name} >= {texts[0]} AND {name} < {texts[1]}"

    def count(self, met: str) -> str:
        return f"count_if({met})" if met else "count(*)"

    def distinct(self, value: str, met: str) -> str:
        return f"count(DISTINCT CASE WHEN {met} THEN {value} END)"

    def total(self, value: Value, met: str) -> str:
        return f"CAST(sum(CASE WHEN {met} THEN CAST({self._text(value)} AS DECIMAL(38,{value.scale})) END) AS STRING)"

    def greatest(self, value: str, met: str) -> str:
        return f"CAST(max(CASE WHEN {met} THEN {value} END) AS STRING)"

    def order(self, value: Value, met: str, high: bool, share: str) -> str:
        place = f"{'ceil' if high else 'floor'}(CAST(count_if({met}) - 1L AS DOUBLE) * {share})"
        found = f"get(sort_array(collect_list(CASE WHEN {met} THEN {self._text(value)} END)), CAST({place} AS INT))"
        return f"CAST({found} AS STRING)" if value.family is Family.DECIMAL else found


_SCANS: Mapping[str, type[_Writing]] = {scans.dialect: scans for scans in (_ClickHouse, _Spark)}
