"""Deliveries compared with those before them, by rules every table has by itself (bounds: warehouse/tables/usual.py).

A share of rows that went missing breaks no rule on rows: a correction cut short, a column nobody fills any more, a month that
ends on the 20th, a sensor that fell silent, a population in thousands. So each delivery is compared with earlier ones of the
same system and territory, those that came before it in the same batch among them. What was found in an earlier delivery
and not closed by a person does not count as usual: a feed that stays broken is reported every month.

Does not belong here: what a delivery's own rows show by themselves (row_gate/, delivery_gate.py).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import duckdb

from connectors.delivery_gate.missing_units import missing_units
from connectors.delivery_gate.silent_days import silent_runs
from connectors.delivery_gate.summaries import (
    LAST,
    DeliverySummary,
    Series,
    count_days,
    summarise_arriving,
    summarise_loaded,
)
from connectors.delivery_gate.value_jumps import value_jumps
from connectors.row_gate.incoming import Incoming
from warehouse.loading.deliveries import Finding, Gaps
from warehouse.messages.messages import Message, figure, recorded
from warehouse.sql import literal, quoted, statement
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule, measured, not_judged
from warehouse.tables.usual import GAPS, JUMP, KEPT, UNITS, VOLUME, WHOLE

ENOUGH, MANY = 3, 20  # of them, and their median of rows, before a volume is judged
FEW = 5  # rows from which on a share of gaps says something; twice as many, where nothing is known of the column


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
    count_days(con, table, reading)
    new, gaps, days = summarise_arriving(con, table, reading)
    earlier: dict[Series, list[DeliverySummary]] = defaultdict(list)
    for one in summarise_loaded(con, table, {one.series for one in new}):
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
            comparison.note(one, WHOLE, not silent, _seen("finding.silent_days", "runs", silent, "measure.silent_days"))
        before.append(one)
    missing = missing_units(con, table, new, earlier)
    jumps = value_jumps(con, table) if table.usual.figures else {}
    for one in new:
        lacks = missing.get(one.delivery_id)
        units: Message = {"code": "measure.missing_units"}
        nothing = not_judged(units) if lacks is None else measured(units, 0)
        comparison.note(one, UNITS, not lacks, lacks or nothing)
    if table.usual.figures:
        for one in new:
            jump = jumps.get(one.delivery_id, [])
            comparison.note(one, JUMP, not jump, _seen("finding.jumps", "jumps", jump, "measure.jumps"))
    con.execute("DROP TABLE work_compared_delivery")
    return comparison.findings, gaps


@dataclass
class _Comparison:
    """What is found of the deliveries that arrive. `rules`: the table's, by id; `changes_only`: extracts of changes."""

    rules: Mapping[str, Rule]
    changes_only: Collection[int]
    findings: list[Finding] = field(default_factory=list)

    def note(self, one: DeliverySummary, rule_id: str, passed: bool, observed: str) -> None:
        rule = self.rules[rule_id]
        # an extract of changes need not have any row, so nothing can be missing from it
        if one.delivery_id in self.changes_only and rule_id in (KEPT, VOLUME, WHOLE, UNITS):
            passed, observed = True, not_judged({"code": "measure.changes_only"})
        self.findings.append(
            Finding(one.delivery_id, rule_id, rule.severity, rule.dimension, passed, observed, rule.expected)
        )
        if not passed:
            one.told[rule_id] = observed


def _mapped(one: Incoming) -> set[str]:
    """Columns that the delivery's contract makes of headers its file has."""
    header = set(one.readable.header)
    return {c.name for c in one.contract.columns if c.logic is not None or (c.header or c.name) in header}


def _usual(one: DeliverySummary, before: Sequence[DeliverySummary], rule: str) -> list[DeliverySummary]:
    """What a delivery is held against: those of like length, one of each other slice, from the one a person has confirmed on."""
    slices: dict[tuple[Series, dt.date, dt.date], DeliverySummary] = {}
    for other in before:
        if abs((other.end - other.start) - (one.end - one.start)).days <= 3 and other.slice != one.slice:
            slices[other.slice] = other
    alike = sorted(slices.values(), key=lambda o: o.delivery_id)
    since = max((o.delivery_id for o in alike if rule in o.confirmed), default=0)
    return [o for o in alike if o.delivery_id >= since]


def _compared(
    table: Table,
    one: DeliverySummary,
    before: Sequence[DeliverySummary],
    overlapped: int | None,
    mapped: Collection[str],
) -> Iterator[tuple[str, tuple[bool, str]]]:
    """What the rules on rows replaced, volume and gaps find."""
    bounds = table.usual
    replaced = max(_replaced(one, before), overlapped or 0)
    if replaced:
        kept = one.taken / replaced
        seen: Message = {
            "code": "finding.kept_rows",
            "rows": one.taken,
            "replaced": replaced,
            "percent": figure(100 * kept),
        }
        yield KEPT, (kept >= bounds.kept_share, recorded(seen))
    else:
        yield KEPT, (True, not_judged({"code": "measure.rows_replaced"}))
    volumes = [o.received for o in _usual(one, before, VOLUME)[-LAST:]]  # those with a finding too: a city may grow
    usual = median(volumes) if len(volumes) >= ENOUGH else 0
    if usual >= MANY:
        times, (low, high) = one.received / usual, bounds.volume
        seen = {
            "code": "finding.volume",
            "rows": one.received,
            "usual": figure(usual, 6),
            "times": figure(times),
        }
        yield VOLUME, (low <= times <= high, recorded(seen))
    else:
        yield VOLUME, (True, not_judged({"code": "measure.volume"}))
    yield GAPS, _gaps(table, one, _usual(one, before, GAPS), mapped)


def _replaced(one: DeliverySummary, before: Sequence[DeliverySummary]) -> int:
    """Rows of the version of the slice in force; if that was cut short itself and nobody confirmed it, of the larger version before it."""
    most = 0
    for other in reversed([o for o in before if o.slice == one.slice]):
        most = max(most, other.taken)
        if KEPT not in other.told:
            break
    return most


def _gaps(
    table: Table, one: DeliverySummary, usual: Sequence[DeliverySummary], mapped: Collection[str]
) -> tuple[bool, str]:
    """Columns whose share of gaps leaps, or which are empty throughout where nothing is known of them."""
    told: list[Message] = []
    for name, share in one.shares.items():
        former = [o.shares[name] for o in usual if name in o.shares and not _tells_of(o.told.get(GAPS, ""), name)][
            -LAST:
        ]
        if former:
            middle = median(former)
            spread = min(max(middle, 0.02), 0.98)
            rises = max(table.usual.gap_leap / 100, 3 * (spread * (1 - spread) / one.taken) ** 0.5)
            # a few rows may all lack a value by chance, unless that has hardly happened before
            if one.taken >= FEW and (share - middle >= rises - 1e-9 or (share == 1 and middle <= 0.5)):
                percent, usually = figure(100 * share), figure(100 * middle)
                told.append({"code": "gap.risen", "column": name, "percent": percent, "usual": usually})
        elif share == 1 and one.taken >= 2 * FEW and name in mapped:
            told.append({"code": "gap.throughout", "column": name})
    seen: Message = {"code": "finding.gaps", "columns": told} if told else {"code": "finding.gaps_usual"}
    return not told, recorded(seen)


def _tells_of(observed: str, column: str) -> bool:
    """Whether a finding on gaps, as recorded, names a column; also one that was recorded as a sentence."""
    return recorded({"column": column}).strip("{}") in observed or f" {column} " in observed


def _seen(code: str, part: str, found: Sequence[Message], measure: str) -> str:
    """What is observed: a message with what was found as its part, or that the measure is 0."""
    return recorded({"code": code, part: found}) if found else measured({"code": measure}, 0)


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
