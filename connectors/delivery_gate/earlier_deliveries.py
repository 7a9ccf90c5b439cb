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

from connectors.delivery_gate.silent_days import silences
from connectors.delivery_gate.value_jumps import leaps
from connectors.row_gate.row_gate import STAGED, Incoming
from warehouse.loading.deliveries import Finding, Gaps
from warehouse.sql import literal, quoted
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table
from warehouse.tables.usual import GAPS, JUMP, KEPT, UNITS, VOLUME, WHOLE

LAST = 12  # earlier deliveries that tell what is usual
ENOUGH, MANY = 3, 20  # of them, and their median of rows, before a volume is judged
FEW = 5  # rows from which on a share of gaps says something; twice as many, where nothing is known of the column
SETTLEMENT_ROWS = 20  # of a settlement in a region's delivery before, from which on its absence is told
_NAMED = 5  # units spelt out

Series = tuple[str, str]  # system, territory


@dataclass
class _Known:
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


def look_back(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: Iterable[Incoming],
    counted: Collection[str] = (),
    refused: Collection[int] = (),
) -> tuple[list[Finding], list[Gaps]]:
    """What earlier deliveries say of those in `staged`, and the gaps to be kept of them.

    `counted`: columns by which KPIs count; `refused`: deliveries that will not be loaded, with which nothing is compared.
    """
    reading = [one for one in incoming if one.delivery_id not in refused]
    if not reading:
        return [], []
    daily = _count(con, table, reading)
    new, gaps, days = _arriving(con, table, reading, daily)
    earlier = _on_record(con, table, {one.series for one in new})
    findings: list[Finding] = []
    rules = {rule.id: rule for rule in table.delivery_rules}

    # an extract of changes need not have any row, so nothing can be missing from it
    partial = {one.delivery_id for one in reading if one.contract.cut.kind is Asserts.CHANGES}

    def tell(one: _Known, rule: str, passed: bool, observed: str) -> None:
        said = rules[rule]
        if one.delivery_id in partial and rule in (KEPT, VOLUME, WHOLE, UNITS):
            passed, observed = True, "changes only = no data"
        findings.append(
            Finding(one.delivery_id, rule, said.severity, said.dimension, passed, observed, said.description)
        )
        if not passed:
            one.told[rule] = observed

    wanted = set(counted) - table.usual.often_empty
    mapped = {one.delivery_id: _mapped(one) & wanted for one in reading}
    overlapping = _overlapping(con, table)
    series: dict[Series, list[_Known]] = defaultdict(list)
    for one in earlier:
        series[one.series].append(one)
    for one in new:
        before = series[one.series]
        for rule, (passed, observed) in _compared(table, one, before, overlapping.get(one.delivery_id), mapped[one.delivery_id]):  # fmt: skip
            tell(one, rule, passed, observed)
        if WHOLE in rules:
            found = silences(days[one.delivery_id], one.start, one.end)
            tell(one, WHOLE, not found, "days without a row" + (f": {found}" if found else " = 0"))
        before.append(one)
    missing = _missing_units(con, table, new, series)
    for one in new:
        lacks = missing.get(one.delivery_id)
        tell(
            one,
            UNITS,
            not lacks,
            f"missing {lacks}" if lacks else f"missing units = {'no data' if lacks is None else 0}",
        )
    if table.usual.figures:
        found_leaps = leaps(con, table)
        for one in new:
            leap = found_leaps.get(one.delivery_id)
            tell(one, JUMP, not leap, leap or "figures that leap = 0")
    con.execute("DROP TABLE looking")
    return findings, gaps


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


def _count(con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming]) -> str:
    """`daily`: by delivery and day, rows, those taken, and of these the ones with a value in each optional column: one pass."""
    cut, optional = cut_column(table), _optional(table)
    day = "CAST(NULL AS DATE)" if cut is None else f"CASE WHEN broken IS NULL THEN CAST({quoted(cut)} AS DATE) END"
    counts = "".join(
        f", count({quoted(name)}) FILTER (WHERE broken IS NULL) AS c{n}" for n, name in enumerate(optional)
    )
    ids = ", ".join(str(one.delivery_id) for one in reading)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE daily AS SELECT delivery_id, {day} AS day, count(*) AS received, "
        f"count(*) FILTER (WHERE broken IS NULL) AS taken{counts} FROM {STAGED} WHERE delivery_id IN ({ids}) GROUP BY ALL"
    )
    con.execute(f"""CREATE OR REPLACE TEMP TABLE looking AS
SELECT delivery_id, system, scope, period_start, period_end FROM audit.delivery WHERE delivery_id IN ({ids})""")
    return "daily"


def _arriving(
    con: duckdb.DuckDBPyConnection, table: Table, reading: Sequence[Incoming], daily: str
) -> tuple[list[_Known], list[Gaps], dict[int, dict[dt.date, int]]]:
    """The deliveries in order of arrival, their gaps, and how many rows they have on each of their days."""
    optional = _optional(table)
    sums = "".join(f", coalesce(sum(c{n}), 0)::BIGINT" for n in range(len(optional)))
    new, gaps = [], []
    for number, system, scope, start, end, received, taken, *filled in con.execute(
        f"""SELECT l.*, coalesce(sum(received), 0)::BIGINT, coalesce(sum(taken), 0)::BIGINT{sums}
FROM looking l LEFT JOIN {daily} USING (delivery_id) GROUP BY ALL ORDER BY delivery_id"""
    ).fetchall():
        shares = {name: (taken - count) / taken for name, count in zip(optional, filled, strict=True)} if taken else {}
        new.append(_Known(number, (system, scope), start, end, received, taken, shares))
        gaps += [Gaps(number, name, taken, taken - count) for name, count in zip(optional, filled, strict=True)]
    days: dict[int, dict[dt.date, int]] = {one.delivery_id: {} for one in reading}
    for (
        number,
        day,
        rows,
    ) in con.execute(f"""SELECT d.delivery_id, day, taken FROM {daily} d JOIN looking l USING (delivery_id)
WHERE day >= l.period_start AND day < l.period_end""").fetchall():
        days[number][day] = rows
    con.execute(f"DROP TABLE {daily}")
    return new, gaps, days


def _on_record(con: duckdb.DuckDBPyConnection, table: Table, wanted: Collection[Series]) -> list[_Known]:
    """The last deliveries of these series that were loaded, in order of arrival, with what was told of them."""
    many = 4 * LAST  # of several lengths, and slices that came again
    name = literal(table.name)
    rows = con.execute(f"""SELECT delivery_id, system, scope, period_start, period_end, received_rows, accepted_rows FROM audit.delivery
WHERE table_name = {name} AND state = 'loaded' AND (system, scope) IN (SELECT (system, scope) FROM looking)
QUALIFY row_number() OVER (PARTITION BY system, scope, period_end - period_start > 45 ORDER BY delivery_id DESC) <= {many}
ORDER BY delivery_id""").fetchall()
    known = {row[0]: _Known(row[0], (row[1], row[2]), *row[3:]) for row in rows}
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


def _usual(one: _Known, before: Sequence[_Known], rule: str) -> list[_Known]:
    """What a delivery is held against: those of like length, one of each other slice, from the one a person has confirmed on."""
    slices: dict[tuple[Series, dt.date, dt.date], _Known] = {}
    for other in before:
        if abs((other.end - other.start) - (one.end - one.start)).days <= 3 and other.slice != one.slice:
            slices[other.slice] = other
    alike = sorted(slices.values(), key=lambda o: o.delivery_id)
    since = max((o.delivery_id for o in alike if rule in o.confirmed), default=0)
    return [o for o in alike if o.delivery_id >= since]


def _compared(
    table: Table, one: _Known, before: Sequence[_Known], overlapped: int | None, mapped: Collection[str]
) -> Iterator[tuple[str, tuple[bool, str]]]:
    """What the rules on rows replaced, volume and gaps find."""
    bounds = table.usual
    replaced = max(_replaced(one, before), overlapped or 0)
    if replaced:
        kept = one.taken / replaced
        yield KEPT, (kept >= bounds.kept_share, f"{one.taken} rows in place of {replaced}: {100 * kept:.4g} %")
    else:
        yield KEPT, (True, "rows replaced = no data")
    volumes = [o.received for o in _usual(one, before, VOLUME)[-LAST:]]  # those told of too: a city may grow
    usual = median(volumes) if len(volumes) >= ENOUGH else 0
    if usual >= MANY:
        times, (low, high) = one.received / usual, bounds.volume
        yield VOLUME, (low <= times <= high, f"{one.received} rows, usually {usual:g}: {times:.4g} times")
    else:
        yield VOLUME, (True, "volume against earlier deliveries = no data")
    yield GAPS, _gaps(table, one, _usual(one, before, GAPS), mapped)


def _replaced(one: _Known, before: Sequence[_Known]) -> int:
    """Rows of the version of the slice that stands; of one cut short itself, and not confirmed, those of the version before too."""
    most = 0
    for other in reversed([o for o in before if o.slice == one.slice]):
        most = max(most, other.taken)
        if KEPT not in other.told:
            break
    return most


def _gaps(table: Table, one: _Known, usual: Sequence[_Known], mapped: Collection[str]) -> tuple[bool, str]:
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
    cut, name = table.cut.by, literal(table.name)  # without a cut nothing is taken from other slices
    days = "o.period_end = l.period_end" if table.snapshot else "o.period_start < l.period_end AND o.period_end > l.period_start"  # fmt: skip
    pairs = con.execute(f"""CREATE OR REPLACE TEMP TABLE overlapping AS
SELECT l.delivery_id, o.delivery_id AS earlier, l.scope, l.period_start, l.period_end FROM looking l JOIN audit.delivery o ON o.table_name = {name}
    AND o.state = 'loaded' AND o.system = l.system AND {days} AND o.delivery_id < l.delivery_id
WHERE (o.scope, o.period_start, o.period_end) <> (l.scope, l.period_start, l.period_end)
    AND (o.scope = l.scope OR l.scope = 'KZ' OR o.scope = 'KZ' OR starts_with(o.scope, l.scope) OR starts_with(l.scope, o.scope))""").fetchall()
    if not pairs[0][0] or (cut is None and not table.snapshot):
        return {}
    inside = "true" if cut is None else f"s.{quoted(cut)} >= p.period_start AND s.{quoted(cut)} < p.period_end"
    return dict(
        con.execute(f"""SELECT p.delivery_id, count(*) FROM overlapping p JOIN showcase.{table.name} s ON s.delivery_id = p.earlier
    AND {inside} AND (p.scope = 'KZ' OR starts_with(s.kato, p.scope)) GROUP BY 1""").fetchall()
    )


def _missing_units(
    con: duckdb.DuckDBPyConnection, table: Table, new: Sequence[_Known], series: Mapping[Series, Sequence[_Known]]
) -> dict[int, str]:
    """By delivery that has one before it, the units it lacks of those that one had, in words; '' if none."""
    judged = [one for one in new if table.usual.panel or len(one.series[1]) != 9]
    if not judged or all(len(series[one.series]) < 2 for one in judged):
        return {}
    key = ", ".join(("kato", *map(quoted, table.usual.panel)))
    least = table.usual.least if table.usual.panel else SETTLEMENT_ROWS
    ids = ", ".join(str(one.delivery_id) for one in judged)
    con.execute(f"""CREATE OR REPLACE TEMP TABLE units AS
SELECT delivery_id, {key}, count(*) AS rows FROM {STAGED} WHERE broken IS NULL AND delivery_id IN ({ids}) GROUP BY ALL""")
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
    con.execute("DROP TABLE units")
    return found


def _before(one: _Known, others: Sequence[_Known]) -> _Known | None:
    """The delivery of like length whose units should come again: the last one up to the same days of which no unit is missing."""
    fit = [o for o in others if o.delivery_id < one.delivery_id and o.end <= one.end and UNITS not in o.told
           and abs((o.end - o.start) - (one.end - one.start)).days <= 3]  # fmt: skip
    return max(fit, key=lambda o: (o.end, o.delivery_id), default=None)


def _lacking(
    con: duckdb.DuckDBPyConnection, table: Table, key: str, least: int, pairs: Mapping[int, _Known],
    arriving: Collection[int], series: Mapping[Series, Sequence[_Known]],
) -> dict[int, str]:  # fmt: skip
    """By delivery, which units of the one before it are missing, in words."""
    loaded = {o.delivery_id: o for o in pairs.values() if o.delivery_id not in arriving}
    former = f"SELECT delivery_id AS earlier, {key}, rows FROM units"
    if loaded:
        # rows that came again unchanged stay with the delivery that brought them first
        whose = [(v.delivery_id, o.delivery_id) for o in loaded.values() for v in series[o.series]
                 if v.slice == o.slice and v.delivery_id <= o.delivery_id and v.delivery_id not in arriving]  # fmt: skip
        values = ", ".join(f"({brought}, {stands})" for brought, stands in whose)
        former += f""" UNION ALL SELECT v.stands, {key}, count(*) FROM showcase.{table.name} s
JOIN (VALUES {values}) v(brought, stands) ON v.brought = s.delivery_id WHERE s.delivery_id IN ({", ".join(str(b) for b, _ in whose)}) GROUP BY ALL"""
    asked = ", ".join(f"({number}, {other.delivery_id})" for number, other in pairs.items())
    label = " || ' ' || ".join(("kato", *(f"coalesce(CAST({quoted(c)} AS VARCHAR), '')" for c in table.usual.panel)))
    if table.usual.panel:
        label = label.removeprefix("kato || ' ' || ")
    named_only = "".join(f" AND {quoted(c)} IS NOT NULL" for c in table.usual.panel)  # what has no name is no unit
    rows = con.execute(f"""WITH former AS ({former}), asked AS (FROM (VALUES {asked}) a(delivery_id, earlier)),
lacking AS (SELECT a.delivery_id, a.earlier, {key}, {label} AS unit FROM asked a JOIN former USING (earlier)
    ANTI JOIN units u USING (delivery_id, {key}) WHERE former.rows >= {least}{named_only})
SELECT delivery_id, earlier, count(*), list(unit ORDER BY unit)[:{_NAMED}] FROM lacking GROUP BY ALL""").fetchall()
    found = {}
    for number, earlier, count, named in rows:
        more = f" and {count - len(named)} more" if count > len(named) else ""
        found[number] = f"{', '.join(named)}{more} of delivery {earlier}"
    return found
