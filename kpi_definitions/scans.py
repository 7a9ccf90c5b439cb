"""A scan: one pass over one warehouse table that gives measures by settlement and period, and what each measure asks for.

Does not belong here: how a definition becomes a scan (compiler.py), and how other engines say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from kpi_definitions.model import Grain

PARAMETERS: Mapping[str, str] = {
    "period_start": "TIMESTAMP",
    "period_end": "TIMESTAMP",  # first instant after the period
    "period_end_population_date": "DATE",  # first day after the period
}
GRAIN_UNIT = {Grain.MONTH: "month", Grain.QUARTER: "quarter", Grain.YEAR: "year"}


class Function(StrEnum):
    """What a measure makes of the rows that meet its conditions."""

    COUNT = "count"  # how many rows; with an argument, how many of them have a value there
    DISTINCT = "distinct"  # how many different values
    SUM = "sum"  # exact; NULL if there is no value
    MAX = "max"  # NULL if there is no value
    LOW = "low"  # of the values in their order, the one at or just below a share of the way from first to last
    HIGH = "high"  # the one at or just above it


@dataclass(frozen=True)
class Asked:
    """What a measure asks of rows, in the words of the definition: any engine can be told from it."""

    function: Function
    argument: str | None  # an expression over columns and PARAMETERS; None: rows are counted
    conditions: tuple[str, ...]  # all of them hold
    share: str | None = None  # LOW, HIGH: a number from 0 to 1, as written


@dataclass(frozen=True)
class Measure:
    """One aggregate with its filter, a column of a scan."""

    name: str
    sql: str
    where: str = ""  # which rows it takes in: a condition over t and c; empty if it takes all
    asked: Asked = Asked(Function.COUNT, None, ())


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
