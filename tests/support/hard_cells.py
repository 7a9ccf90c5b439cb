"""Values that are hard on engines, column by column, drawn from what contracts and definitions say: constants and their neighbours, limits of
types, times equal to other times give or take the intervals that are spoken of, texts that look alike.

Nothing here knows a table or a KPI. Does not belong here: how many rows there are, where they lie and which of them still hold (hard_rows.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sqlglot import exp

from kpi_definitions.expressions import parse
from kpi_definitions.model import Kpi, Rows
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Column, Table

MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
    "WEEK": 7 * 86_400_000_000,
    "MONTH": 31 * 86_400_000_000,
    "QUARTER": 91 * 86_400_000_000,
    "YEAR": 366 * 86_400_000_000,
}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_LOOKS_LIKE = str.maketrans("ABCEHKMOPTXaceopxy", "АВСЕНКМОРТХасеорху")
ODD_TEXTS = (
    "", " ", "NULL", "null", "\\N", "\\", "a\\b", "a\\'b", "it's", "''", '"', '"quoted"', "%", "_", "$1", "{rows}", "{0}", "?", ":1", "`", ";--",
    "Қазақша «сөз»", "Ёлка", "Е\u0308лка", "é", "e\u0301", "İ", "ß", "SS", "\U0001f3d9", "a,b;c", "0", "1", "true", "x" * 300,
)  # fmt: skip
# the first and last instants that dates can have here, the turn of the calendar's count, and days that come every four years
ODD_MOMENTS = (
    "0001-01-01 00:00:00", "1900-02-28 23:59:59.999999", "1930-06-15 12:00:00.5", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00",
    "1970-01-01 00:00:00.000001", "2000-02-29 00:00:00", "2038-01-19 03:14:08", "2106-02-07 06:28:16", "2149-06-07 00:00:00",
    "2262-04-11 23:47:16.854776", "2299-12-31 23:59:59.999999", "9999-12-31 00:00:00", "9999-12-31 23:59:59.999999",
)  # fmt: skip


@dataclass
class Hints:
    """What definitions say of one table."""

    texts: dict[str, set[str]] = field(default_factory=dict)  # column → constants it is compared with
    numbers: dict[str, set[Decimal]] = field(default_factory=dict)
    spans: set[int] = field(default_factory=set)  # microseconds: intervals, and differences that are compared
    limits: set[str] = field(default_factory=set)  # columns that are calculated with
    distinct: set[str] = field(default_factory=set)  # columns whose different values are counted
    looked_up: set[str] = field(default_factory=set)  # date columns that must be the first day after a period


def hints_of(kpis: Iterable[Kpi]) -> dict[str, Hints]:
    """Table → what the definitions say of it; of tables that no definition reads, nothing."""
    found: dict[str, Hints] = {}
    for kpi in kpis:
        for part in (kpi.numerator, kpi.denominator):
            if part is None:
                continue
            rows: Rows = part.rows or kpi.rows
            hints = found.setdefault(rows.table, Hints())
            if rows.as_of:
                hints.looked_up.add(rows.as_of)
            for text in (rows.filter, part.filter, part.aggregate):
                if text:
                    _listen(hints, parse(text, ()))
    return found


def _listen(hints: Hints, tree: exp.Expr) -> None:
    for node in tree.find_all(exp.Literal):
        about = node.find_ancestor(*_COMPARISONS) or tree
        columns = [column.name for column in about.find_all(exp.Column)]
        if node.is_string:
            for column in columns:
                hints.texts.setdefault(column, set()).add(node.name)
            continue
        number = Decimal(node.name) * (-1 if isinstance(node.parent, exp.Neg) else 1)
        units = [str(unit.args["unit"]) for unit in about.find_all(exp.Interval, exp.DateDiff) if unit.args.get("unit")]
        hints.spans |= {int(number * MICROSECONDS[unit.upper().removesuffix("S")]) for unit in units}
        for column in columns:
            hints.numbers.setdefault(column, set()).add(number)
    for interval in tree.find_all(exp.Interval):
        this = interval.this
        if isinstance(this, exp.Literal) and this.is_string:  # sqlglot keeps interval 30 day as interval '30' day
            hints.spans.add(
                int(Decimal(this.name) * MICROSECONDS[str(interval.args["unit"]).upper().removesuffix("S")])
            )
    for arithmetic in tree.find_all(exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Abs):
        hints.limits |= {column.name for column in arithmetic.find_all(exp.Column)}
    for distinct in tree.find_all(exp.Distinct):
        hints.distinct |= {column.name for column in distinct.find_all(exp.Column)}


@dataclass(frozen=True)
class Row:
    """SQL of what is known of a row before its columns are. `number`: which row it is; `base`: the moment its dates gather around;
    `after`: the first day after its month; `wild`: whether its numbers may be at the limits of their types."""

    number: str
    base: str
    after: str
    wild: str
    seed: int

    def die(self, salt: str, sides: int) -> str:
        """SQL of a pseudo-random number from 0 to before `sides`, the same for the same row, seed and salt."""
        # hashed twice: of several arguments the hashes differ by salt, but not independently in their last bits
        return f"CAST(hash(hash({self.number}, {literal(salt)}, {self.seed})) % {sides} AS BIGINT)"

    def one_of(self, salt: str, choices: Sequence[str]) -> str:
        """SQL of one of the choices, themselves SQL."""
        unique = list(dict.fromkeys(choices))
        return f"([{', '.join(unique)}])[1 + {self.die(salt, len(unique))}]"


def value_of(table: Table, column: Column, hints: Hints, row: Row) -> str:
    """SQL of a hard value of a column, of its type; NULL in one of nine rows where it may be empty."""
    kind, salt = column.sql_type.upper(), f"{table.name}.{column.name}"
    if kind in ("DATE", "TIMESTAMP"):
        value = _moment(column.name, hints, row, salt)
    elif kind == "BOOLEAN":
        value = f"{row.die(salt, 2)} = 0"
    elif kind == "VARCHAR":
        value = _text(table, column, hints, row, salt)
    else:
        value = _number(column, kind, hints, row, salt, _bounds(table, column.name))
    value = f"CAST({value} AS {column.sql_type})"
    if column.required or column.name in table.key:
        return value
    return f"CASE WHEN {row.die(salt + ' empty', 9)} > 0 THEN {value} END"


def _moment(name: str, hints: Hints, row: Row, salt: str) -> str:
    """Around the row's own moment, so that two columns of a row are often equal, or apart by an interval that is spoken of."""
    if name in hints.looked_up:
        days = row.one_of(salt + " near", ["0"] * 1 + ["1", "-1"])
        return f"CASE WHEN {row.die(salt, 12)} > 0 THEN {row.after} ELSE {row.after} + CAST({days} AS INTEGER) END"
    known = (span for span in hints.spans if abs(span) <= 2 * MICROSECONDS["YEAR"])
    spans = sorted({0, 1, MICROSECONDS["DAY"], 40 * MICROSECONDS["DAY"], *known})
    named = [str(sign * span + nudge) for span in spans for sign in (1, -1) for nudge in (0, 0, 1, -1)]
    some_days = f"({row.die(salt + ' days', 61)} - 20) * {MICROSECONDS['DAY']}"
    anything = f"{row.die(salt + ' time', 80 * MICROSECONDS['DAY'])} - {20 * MICROSECONDS['DAY']}"
    odd = row.one_of(salt + " odd", [f"TIMESTAMP '{moment}'" for moment in ODD_MOMENTS])
    # no cell can say a day before the year 1 or after 9999
    shifted = f"least(greatest(make_timestamp(epoch_us({{base}}) + {{by}}), TIMESTAMP '{ODD_MOMENTS[0]}'), TIMESTAMP '{ODD_MOMENTS[-1]}')"
    chosen = row.die(salt, 100)
    return (
        f"CASE WHEN {chosen} < 25 THEN {row.base} "
        f"WHEN {chosen} < 60 THEN {shifted.format(base=row.base, by=row.one_of(salt + ' span', named))} "
        f"WHEN {chosen} < 80 THEN {shifted.format(base=row.base, by=some_days)} "
        f"WHEN {chosen} < 98 THEN {shifted.format(base=row.base, by=anything)} ELSE {odd} END"
    )


def _text(table: Table, column: Column, hints: Hints, row: Row, salt: str) -> str:
    said = [*sorted(hints.texts.get(column.name, ())), *table.codes.get(column.name, ())]
    alike = [
        other
        for one in said
        for other in (one.lower(), one + " ", " " + one, one.translate(_LOOKS_LIKE), one + "'", one + "\u200b")
    ]
    odd = row.one_of(salt + " odd", [literal(text) for text in (*alike, *ODD_TEXTS)])
    if said:
        usual = row.one_of(salt + " said", [literal(text) for text in said])
    elif column.name in hints.distinct:
        usual = f"([upper(x), lower(x), x || ' '])[1 + {row.die(salt + ' form', 3)}]".replace(
            "x", f"'k' || {row.die(salt + ' few', 97)}"
        )
    elif column.name in table.key:
        return f"'K' || {row.number}"
    else:
        usual = f"'v' || {row.die(salt + ' some', 1000)}"
    return f"CASE WHEN {row.die(salt, 12)} > 0 THEN {usual} ELSE {odd} END"


def _bounds(table: Table, name: str) -> list[Decimal]:
    """The least and the largest value that the contract admits, as far as it says."""
    (options,) = (
        one.get("logicalTypeOptions", {})
        for one in table.document.data["schema"][0]["properties"]
        if one["name"] == name
    )
    limits = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    return [Decimal(str(options[limit])) for limit in limits if limit in options]


def _number(column: Column, kind: str, hints: Hints, row: Row, salt: str, bounds: Sequence[Decimal]) -> str:
    scale, least, most = _range(kind)
    step = Decimal(1).scaleb(-scale)
    said = {*hints.numbers.get(column.name, ()), *bounds, Decimal(0), Decimal(1)}
    near = {one + by for one in said for by in (0, step, -step)}
    fitting = sorted({one.quantize(step) for one in near if least <= one <= most and one == one.quantize(step)})
    few = (
        f"{row.die('shared number', 60)} + {row.die(salt + ' near', 3)} - 1"  # shared: columns of a row are often equal
    )
    low, high = max(bounds[0], least) if bounds else Decimal(0), min(bounds[-1] if len(bounds) > 1 else most, most)
    room = int(min((high - low) / step, Decimal(10) ** 15))
    many = f"CAST({low} AS DECIMAL(38,{scale})) + CAST({row.die(salt + ' many', room + 1)} AS HUGEINT) * {step}"
    ends = row.one_of(salt + " end", [f"CAST({one} AS {kind})" for one in (least, most, least + step, most - step)])
    given = row.one_of(salt + " said", [f"CAST({one} AS {kind})" for one in fitting])
    exactly = row.one_of(salt + " exactly", [f"CAST({one} AS {kind})" for one in fitting if one in said])
    few = f"CAST({few} AS {kind})" if Decimal(61) <= most else given
    chosen, seldom = row.die(salt, 100), f"({row.wild} OR {row.die(salt + ' seldom', 12)} = 0)"
    # a sum that overflows fails the cell: limits of what is calculated with are kept to the settlement that is there for it
    allowed = row.wild if column.name in hints.limits else seldom
    return (
        f"CASE WHEN {chosen} < 3 AND {allowed} THEN {ends} WHEN {chosen} < 25 THEN {exactly} WHEN {chosen} < 40 THEN {given} "
        f"WHEN {chosen} < 70 THEN {few} ELSE CAST({many} AS {kind}) END"
    )


def _range(kind: str) -> tuple[int, Decimal, Decimal]:
    """Digits after the point of a type of numbers, its least and its largest value."""
    if found := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind):
        digits, scale = int(found[1]), int(found[2])
        most = Decimal(10**digits - 1).scaleb(-scale)
        return scale, -most, most
    bits = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}[kind]
    return 0, Decimal(-(2**bits)), Decimal(2**bits - 1)


def columns_of(table: Table, hints: Hints, row: Row) -> Mapping[str, str]:
    """Column → SQL of its hard value, of every column of the contract."""
    return {quoted(column.name): value_of(table, column, hints, row) for column in table.columns}
