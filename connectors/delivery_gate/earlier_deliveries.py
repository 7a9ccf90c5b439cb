"""Deliveries held against what came before them, by rules every table has by itself (bounds: warehouse/tables/usual.py).

A share of rows that went missing breaks no rule on rows: a correction cut short, a column nobody fills any more, a month that
ends on the 20th, a sensor that fell silent, a population in thousands. So each delivery is held against earlier ones of the
same system and territory, those that came before it in the same batch among them. What was told of an earlier delivery
and not been closed by a person does not count as usual: a feed that stays broken is told every month.

Does not belong here: what a delivery's own rows say by themselves (row_gate.py, delivery_gate.py).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import duckdb

from connectors.delivery_gate.silent_days import silent_runs
from connectors.delivery_gate.value_jumps import value_jumps
from connectors.row_gate.incoming import Incoming
from warehouse.loading.deliveries import Finding, Gaps
from warehouse.sql import literal, quoted, statement
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule, not_judged
from warehouse.tables.usual import GAPS, JUMP, KEPT, UNITS, VOLUME, WHOLE

LAST = 12  # earlier deliveries that tell what is usual
ENOUGH, MANY = 3, 20  # of them, and their median of rows, before a volume is judged
FEW = 5  # rows from which on a share of gaps says something; twice as many, where nothing is known of the column
SETTLEMENT_ROWS = 20  # of a settlement in a region's delivery before, from which on its absence is told
_NAMED = 5  # units spelt out

Series = tuple[str, str]  # system, territory


@dataclass
class _DeliverySummary:
    """A delivery, on record or on its way, as far as its successors are held against it."""

    delivery_id: int
    series: Series
    start: dt.date
    end: dt.date
    received: int
    taken: int
    shares: dict[str, float] = field(default_factory=dict)  # column → share of gaps
    told: dict[str, str] = field(default_factory=dict)  # rules whose incident no person has closed, and what they found
    confirmed: set[str] = field(default_factory=set)  # rules whose incident a person has closed

    @property
    def slice(self) -> tuple[Series, dt.date, dt.date]:
        return self.series, self.start, self.end


def compare_with_earlier(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: Iterable[Incoming],
    counted: Collection[str] = (),
    refused: Collection[int] = (),
) -> tuple[list[Finding], list[Gaps]]:
    """What earlier deliveries say of those in `work_staged_row`, and the gaps to be kept of them.

    `counted`: columns by which KPIs count; `refused`: deliveries that will not be loaded, with which nothing is compared.
    """
    reading = [one for one in incoming if one.delivery_id not in refused]
    if not reading:
        return [], []
    _count_days(con, table, reading)
    new, gaps, days = _arriving(con, table, reading)
    earlier: dict[Series, list[_DeliverySummary]] = defaultdict(list)
    for one in _on_record(con, table, {one.series for one in new}):
        earlier[one.series].append(one)
    changes_only = {one.delivery_id for one in reading if one.contract.cut.kind is Asserts.CHANGES}
    comparison = _Comparison({rule.id: rule for rule in table.delivery_rules}, changes_only)
    wanted = set(counted) - table.usual.often_empty
    mapped = {one.delivery_id: _mapped(one) & wanted for one in reading}
    overlapping = _overlapping(con, table)
    for one in new:  # in order of arrival: each is compared with those before it, the ones of this batch among them
        before = earlier[one.series]
        for rule, found in _compared(table, one, before, overlapping.get(one.delivery_id), mapped[one.delivery_id]):
            comparison.note(one, rule, *found)
        if WHOLE in comparison.rules:  # extracts of the table are cut by days
            silent = silent_runs(days[one.delivery_id], one.start, one.end)
            comparison.note(one, WHOLE, not silent, "days without a row" + (f": {silent}" if silent else " = 0"))
        before.append(one)
    missing = _missing_units(con, table, new, earlier)
    jumps = value_jumps(con, table) if table.usual.figures else {}
    for one in new:
        lacks = missing.get(one.delivery_id)
        nothing = not_judged("missing units") if lacks is None else "missing units = 0"
        comparison.note(one, UNITS, not lacks, f"missing {lacks}" if lacks else nothing)
    if table.usual.figures:
        for one in new:
            jump = jumps.get(one.delivery_id)
            comparison.note(one, JUMP, not jump, jump or "figures that leap = 0")
    con.execute("DROP TABLE work_compared_delivery")
    return comparison.findings, gaps


@dataclass
class _Comparison:
    """What is found of the deliveries that arrive. `rules`: the table's, by id; `changes_only`: extracts of changes."""

    rules: Mapping[str, Rule]
    changes_only: Collection[int]
    findings: list[Finding] = field(default_factory=list)

    def note(self, one: _DeliverySummary, rule_id: str, passed: bool, observed: str) -> None:
        rule = self.rules[rule_id]
        # an extract of changes need not have any row, so nothing can be missing from it
        if one.delivery_id in self.changes_only and rule_id in (KEPT, VOLUME, WHOLE, UNITS):
            passed, observed = True, not_judged("changes only")
        self.findings.append(
            Finding(one.delivery_id, rule_id, rule.severity, rule.dimension, passed, observed, rule.description)
        )
        if not passed:
            one.told[rule_id] = observed


def cut_column(table: Table) -> str | None:
    """The column by which extracts of the table are cut into periods; None of a register, which is handed over whole."""
    if table.snapshot:
        return None
    dated = (name for name, must in table.dated.items() if must)
    return table.cut.by or next(dated, None)


def _optional(table: Table) -> list[str]:
    return [c.name for c in table.columns if not c.required and c.name not in table.key]


def _mapped(one: Incoming) -> set[str]:
    """Columns that the delivery's contract makes of headers its file has."""
    header = set(one.readable.header)
    return {c.name for c in one.contract.columns if c.logic is not None or (c.header or c.name) in header}


def _count_days(con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming]) -> None:
    """Fill `work_daily_count` in one pass over the staged rows, and `work_compared_delivery`."""
    cut, optional = cut_column(table), _optional(table)
    day = "CAST(NULL AS DATE)" if cut is None else f"CASE WHEN broken IS NULL THEN CAST({quoted(cut)} AS DATE) END"
    counts = "".join(
        f", count({quoted(name)}) FILTER (WHERE broken IS NULL) AS c{n}" for n, name in enumerate(optional)
    )
    ids = ", ".join(str(one.delivery_id) for one in reading)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_daily_count AS SELECT delivery_id, {day} AS day, count(*) AS received, "
        f"count(*) FILTER (WHERE broken IS NULL) AS taken{counts} FROM work_staged_row WHERE delivery_id IN ({ids}) GROUP BY ALL"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE work_compared_delivery AS "
        f"SELECT delivery_id, system, scope, period_start, period_end FROM audit.delivery WHERE delivery_id IN ({ids})"
    )


def _arriving(
    con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming]
) -> tuple[list[_DeliverySummary], list[Gaps], dict[int, dict[dt.date, int]]]:
    """The deliveries in order of arrival, their gaps, and how many rows they have on each of their days."""
    optional = _optional(table)
    sums = "".join(f", coalesce(sum(c{n}), 0)::BIGINT" for n in range(len(optional)))
    new, gaps = [], []
    for number, system, scope, start, end, received, taken, *filled in con.execute(
        f"SELECT compared.*, coalesce(sum(received), 0)::BIGINT, coalesce(sum(taken), 0)::BIGINT{sums} "
        "FROM work_compared_delivery AS compared LEFT JOIN work_daily_count USING (delivery_id) GROUP BY ALL ORDER BY delivery_id"
    ).fetchall():
        shares = {name: (taken - count) / taken for name, count in zip(optional, filled, strict=True)} if taken else {}
        new.append(_DeliverySummary(number, (system, scope), start, end, received, taken, shares))
        gaps += [Gaps(number, name, taken, taken - count) for name, count in zip(optional, filled, strict=True)]
    days: dict[int, dict[dt.date, int]] = {one.delivery_id: {} for one in reading}
    for number, day, rows in con.execute(
        "SELECT daily.delivery_id, day, taken FROM work_daily_count AS daily JOIN work_compared_delivery AS compared USING (delivery_id) "
        "WHERE day >= compared.period_start AND day < compared.period_end"
    ).fetchall():
        days[number][day] = rows
    con.execute("DROP TABLE work_daily_count")
    return new, gaps, days


def _on_record(con: duckdb.DuckDBPyConnection, table: Table, wanted: Collection[Series]) -> list[_DeliverySummary]:
    """The last deliveries of these series that were loaded, in order of arrival, with what was told of them."""
    many = 4 * LAST  # of several lengths, and slices that came again
    name = literal(table.name)
    rows = con.execute(f"""SELECT delivery_id, system, scope, period_start, period_end, received_rows, accepted_rows FROM audit.delivery
WHERE table_name = {name} AND state = 'loaded' AND (system, scope) IN (SELECT (system, scope) FROM work_compared_delivery)
QUALIFY row_number() OVER (PARTITION BY system, scope, period_end - period_start > 45 ORDER BY delivery_id DESC) <= {many}
ORDER BY delivery_id""").fetchall()
    known = {row[0]: _DeliverySummary(row[0], (row[1], row[2]), *row[3:]) for row in rows}
    if not known:
        return []
    ids = ", ".join(map(str, known))
    for number, column, share in con.execute(
        f"SELECT delivery_id, column_name, gaps / rows FROM audit.delivery_profile WHERE rows > 0 AND delivery_id IN ({ids})"
    ).fetchall():
        known[number].shares[column] = share
    for number, rule, is_open, by, observed in con.execute(
        f"SELECT delivery_id, rule, closed_seq IS NULL, closed_by, observed FROM audit.incident WHERE delivery_id IN ({ids})"
    ).fetchall():
        if is_open or str(by).startswith("delivery "):
            known[number].told[rule] = observed
        else:
            known[number].confirmed.add(rule)
    return [one for one in known.values() if one.series in wanted]


def _usual(one: _DeliverySummary, before: Sequence[_DeliverySummary], rule: str) -> list[_DeliverySummary]:
    """What a delivery is held against: those of like length, one of each other slice, from the one a person has confirmed on."""
    slices: dict[tuple[Series, dt.date, dt.date], _DeliverySummary] = {}
    for other in before:
        if abs((other.end - other.start) - (one.end - one.start)).days <= 3 and other.slice != one.slice:
            slices[other.slice] = other
    alike = sorted(slices.values(), key=lambda o: o.delivery_id)
    since = max((o.delivery_id for o in alike if rule in o.confirmed), default=0)
    return [o for o in alike if o.delivery_id >= since]


def _compared(
    table: Table,
    one: _DeliverySummary,
    before: Sequence[_DeliverySummary],
    overlapped: int | None,
    mapped: Collection[str],
) -> Iterator[tuple[str, tuple[bool, str]]]:
    """What the rules on rows replaced, volume and gaps find."""
    bounds = table.usual
    replaced = max(_replaced(one, before), overlapped or 0)
    if replaced:
        kept = one.taken / replaced
        yield KEPT, (kept >= bounds.kept_share, f"{one.taken} rows in place of {replaced}: {100 * kept:.4g} %")
    else:
        yield KEPT, (True, not_judged("rows replaced"))
    volumes = [o.received for o in _usual(one, before, VOLUME)[-LAST:]]  # those told of too: a city may grow
    usual = median(volumes) if len(volumes) >= ENOUGH else 0
    if usual >= MANY:
        times, (low, high) = one.received / usual, bounds.volume
        yield VOLUME, (low <= times <= high, f"{one.received} rows, usually {usual:g}: {times:.4g} times")
    else:
        yield VOLUME, (True, not_judged("volume against earlier deliveries"))
    yield GAPS, _gaps(table, one, _usual(one, before, GAPS), mapped)


def _replaced(one: _DeliverySummary, before: Sequence[_DeliverySummary]) -> int:
    """Rows of the version of the slice that stands; of one cut short itself, and not confirmed, those of the version before too."""
    most = 0
    for other in reversed([o for o in before if o.slice == one.slice]):
        most = max(most, other.taken)
        if KEPT not in other.told:
            break
    return most


def _gaps(
    table: Table, one: _DeliverySummary, usual: Sequence[_DeliverySummary], mapped: Collection[str]
) -> tuple[bool, str]:
    """Columns whose share of gaps leaps, or which are empty throughout where nothing is known of them."""
    told = []
    for name, share in one.shares.items():
        former = [o.shares[name] for o in usual if name in o.shares and f" {name} " not in o.told.get(GAPS, "")][-LAST:]
        if former:
            middle = median(former)
            spread = min(max(middle, 0.02), 0.98)
            rises = max(table.usual.gap_leap / 100, 3 * (spread * (1 - spread) / one.taken) ** 0.5)
            # a few rows may all lack a value by chance, unless that has hardly happened before
            if one.taken >= FEW and (share - middle >= rises - 1e-9 or (share == 1 and middle <= 0.5)):
                told.append(f"{name} {100 * share:.4g} % empty, usually {100 * middle:.4g} %")
        elif share == 1 and one.taken >= 2 * FEW and name in mapped:
            told.append(f"{name} empty throughout")
    return not told, "gaps" + (f": {'; '.join(told)}" if told else " as usual")


def _overlapping(con: duckdb.DuckDBPyConnection, table: Table) -> dict[int, int]:
    """By delivery, the standing rows of its system, territory and days that came for other days or another territory.

    A quarter replaces a part of its year, a region its cities; the very same slice is told by the deliveries' own counts.
    """
    cut = table.cut.by  # without a cut nothing is taken from other slices
    days_meet = "earlier.period_start < compared.period_end AND earlier.period_end > compared.period_start"
    if table.snapshot:
        days_meet = "earlier.period_end = compared.period_end"
    pairs = con.execute(
        statement(__file__, "work_overlapping_delivery", table_name=literal(table.name), days_meet=days_meet)
    ).fetchall()
    if not pairs[0][0] or (cut is None and not table.snapshot):
        return {}
    time = None if cut is None else f"showcase_row.{quoted(cut)}"
    inside = "true" if time is None else f"{time} >= overlapping.period_start AND {time} < overlapping.period_end"
    return dict(
        con.execute(
            f"SELECT overlapping.delivery_id, count(*) FROM work_overlapping_delivery AS overlapping "
            f"JOIN showcase.{table.name} AS showcase_row ON showcase_row.delivery_id = overlapping.earlier_id AND {inside} "
            "AND (overlapping.scope = 'KZ' OR starts_with(showcase_row.kato, overlapping.scope)) GROUP BY 1"
        ).fetchall()
    )


def _missing_units(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    new: Sequence[_DeliverySummary],
    series: Mapping[Series, Sequence[_DeliverySummary]],
) -> dict[int, str]:
    """By delivery that has one before it, the units it lacks of those that one had, in words; '' if none."""
    judged = [one for one in new if table.usual.panel or len(one.series[1]) != 9]
    if not judged or all(len(series[one.series]) < 2 for one in judged):
        return {}
    key = ", ".join(("kato", *map(quoted, table.usual.panel)))
    least = table.usual.least if table.usual.panel else SETTLEMENT_ROWS
    ids = ", ".join(str(one.delivery_id) for one in judged)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE work_unit_count AS SELECT delivery_id, {key}, count(*) AS rows FROM work_staged_row "
        f"WHERE broken IS NULL AND delivery_id IN ({ids}) GROUP BY ALL"
    )
    arriving, done = {one.delivery_id for one in judged}, dict[int, int]()
    found: dict[int, str] = {}
    while True:  # what is found missing of one decides what the next ones are held against
        pairs = {one.delivery_id: other for one in judged if (other := _before(one, series[one.series])) is not None}
        todo = {number: other for number, other in pairs.items() if done.get(number) != other.delivery_id}
        if not todo:
            break
        done |= {number: other.delivery_id for number, other in todo.items()}
        for number in todo:
            found[number] = ""
        found |= _lacking(con, table, key, least, todo, arriving, series)
        for one in judged:
            if lacks := found.get(one.delivery_id):
                one.told[UNITS] = lacks
            else:
                one.told.pop(UNITS, None)
    con.execute("DROP TABLE work_unit_count")
    return found


def _before(one: _DeliverySummary, others: Sequence[_DeliverySummary]) -> _DeliverySummary | None:
    """The delivery of like length whose units should come again: the last one up to the same days of which no unit is missing."""
    fit = [
        other
        for other in others
        if other.delivery_id < one.delivery_id
        and other.end <= one.end
        and UNITS not in other.told
        and abs((other.end - other.start) - (one.end - one.start)).days <= 3
    ]
    return max(fit, key=lambda o: (o.end, o.delivery_id), default=None)


def _lacking(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    unit: str,
    least: int,
    pairs: Mapping[int, _DeliverySummary],
    arriving: Collection[int],
    series: Mapping[Series, Sequence[_DeliverySummary]],
) -> dict[int, str]:
    """By delivery, which units of the one before it (`pairs`) are missing, in words. `unit`: columns that tell units apart."""
    panel = [quoted(c) for c in table.usual.panel]
    asked = ", ".join(f"({number}, {other.delivery_id})" for number, other in pairs.items())
    labels = [f"coalesce(CAST({c} AS VARCHAR), '')" for c in panel]
    rows = con.execute(
        statement(
            __file__,
            "work_unit_count__missing",
            earlier_units=f"({_earlier_units(table, unit, pairs, arriving, series)})",
            pairs=f"(VALUES {asked}) AS pair (delivery_id, earlier_id)",
            unit=unit,
            unit_name=" || ' ' || ".join(labels or ["kato"]),
            least=str(least),
            has_name="".join(f" AND {c} IS NOT NULL" for c in panel),  # what has no name is no unit
            shown=str(_NAMED),
        )
    ).fetchall()
    found = {}
    for number, earlier, count, named in rows:
        more = f" and {count - len(named)} more" if count > len(named) else ""
        found[number] = f"{', '.join(named)}{more} of delivery {earlier}"
    return found


def _earlier_units(
    table: Table,
    unit: str,
    pairs: Mapping[int, _DeliverySummary],
    arriving: Collection[int],
    series: Mapping[Series, Sequence[_DeliverySummary]],
) -> str:
    """SELECT of (earlier_id, unit, rows): of deliveries on their way and, if any is compared with them, of loaded ones."""
    found = f"SELECT delivery_id AS earlier_id, {unit}, rows FROM work_unit_count"
    loaded = {o.delivery_id: o for o in pairs.values() if o.delivery_id not in arriving}
    if not loaded:
        return found
    # rows that came again unchanged stay with the delivery that brought them first
    brought_for = [
        (version.delivery_id, other.delivery_id)
        for other in loaded.values()
        for version in series[other.series]
        if version.slice == other.slice
        and version.delivery_id <= other.delivery_id
        and version.delivery_id not in arriving
    ]
    values = ", ".join(f"({brought}, {of})" for brought, of in brought_for)
    return f"""{found}
    UNION ALL
    SELECT version.earlier_id, {unit}, count(*) FROM showcase.{table.name} AS showcase_row
    JOIN (VALUES {values}) AS version (brought, earlier_id) ON version.brought = showcase_row.delivery_id
    WHERE showcase_row.delivery_id IN ({", ".join(str(brought) for brought, _ in brought_for)}) GROUP BY ALL"""
