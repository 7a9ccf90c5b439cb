"""Definitions that nobody would write, of everything a definition may say: every operator and function over columns of every type, nested at random.

The same seed gives the same definitions. Does not belong here: rows for them (hard_rows.py), and whether an engine agrees on them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kpi_definitions.expressions import UNITS
from kpi_definitions.model import Grain, Kind, Kpi
from warehouse.sql import literal
from warehouse.tables.contracts import SNAPSHOT_COLUMN, Table

_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_LETTERS = ("", "A", "b'", "\\", "Я", "x y", "k1", "K2 ")


@dataclass
class Author:
    """Writes expressions over the columns of one table. `whole`: columns of whole numbers, `exact`: of decimals."""

    dice: random.Random
    columns: Mapping[str, str]
    codes: Mapping[str, Sequence[str]]

    def having(self, *beginnings: str) -> list[str]:
        """Columns whose type begins so."""
        return [name for name, kind in self.columns.items() if kind.upper().startswith(beginnings)]

    def condition(self, depth: int = 3) -> str:
        """An expression that is true, false or NULL."""
        if depth and self.dice.random() < 0.5:
            one, other = self.condition(depth - 1), self.condition(depth - 1)
            return self.dice.choice((
                f"({one} AND {other})", f"({one} OR {other})", f"NOT ({one})", f"coalesce({one}, {other})",
                f"({one}) IS NULL", f"({one}) IS NOT NULL", f"(({one}) = ({other}))",
            ))  # fmt: skip
        kinds = [self._on_numbers, self._on_times]
        if self.having("VARCHAR"):
            kinds.append(self._on_texts)
        if flags := self.having("BOOLEAN"):
            kinds.append(
                lambda: self.dice.choice(("{0}", "NOT {0}", "{0} = false", "{0} IS NULL")).format(
                    self.dice.choice(flags)
                )
            )
        return self.dice.choice(kinds)()

    def _on_numbers(self) -> str:
        one, other, third = self.number(2), self.number(2), self.number(1)
        sign = self.dice.choice(_COMPARISONS)
        return self.dice.choice(
            (f"{one} {sign} {other}", f"{one} BETWEEN {other} AND {third}", f"{one} IN ({other}, {third}, 3)")
        )

    def _on_times(self) -> str:
        one, other, third = self.time(2), self.time(2), self.time(1)
        sign = self.dice.choice(_COMPARISONS)
        return self.dice.choice((f"{one} {sign} {other}", f"{one} BETWEEN {other} AND {third}", f"{one} IS NOT NULL"))

    def _on_texts(self) -> str:
        column = self.dice.choice(self.having("VARCHAR"))
        words = [literal(w) for w in self.dice.sample([*self.codes.get(column, ()), *_LETTERS], 2)]
        other = self.dice.choice([*self.having("VARCHAR"), *words])
        sign = self.dice.choice(_COMPARISONS)
        return self.dice.choice((
            f"{column} {sign} {words[0]}", f"{column} IN ({', '.join(words)})", f"NOT ({column} IN ({', '.join(words)}))",
            f"coalesce({column}, {words[0]}) {sign} {other}", f"greatest({column}, {other}) = {column}",
            f"{column} BETWEEN {words[0]} AND {words[1]}",
        ))  # fmt: skip

    def number(self, depth: int = 3, *, divided: bool = True) -> str:
        """A number. `divided`: it may come of a division, and is inexact then."""
        if depth and self.dice.random() < 0.6:
            one, other = (self.number(depth - 1, divided=divided) for _ in range(2))
            forms = [
                f"({one} + {other})", f"({one} - {other})", f"({one} * {other})", f"-({one})", f"abs({one})", f"greatest({one}, {other})",
                f"least({one}, {other}, {self._constant()})", f"coalesce({one}, {other})", f"({one} * {self._constant()})",
                f"date_diff('{self._unit()}', {self.time(1)}, {self.time(1)})",
                f"date_diff('{self._unit()}', {self.time(1)}, {self.time(1)})",
            ]  # fmt: skip
            if divided:
                forms += [f"({one} / {other})", f"({one} / {self._constant()})"]
            return self.dice.choice(forms)
        columns = self.having("INTEGER", "BIGINT", "DECIMAL")
        if columns and self.dice.random() < 0.8:
            return self.dice.choice(columns)
        return (
            f"date_diff('{self._unit()}', {self.time(0)}, {self.time(0)})"
            if self.dice.random() < 0.7
            else self._constant()
        )

    def _constant(self) -> str:
        return self.dice.choice(("1", "2", "24", "-3", "1440.0", "0.5", "60.0", "0.0001", "86400000000.0", "3"))

    def time(self, depth: int = 2) -> str:
        """A day or a moment."""
        if depth and self.dice.random() < 0.5:
            one, other = self.time(depth - 1), self.time(depth - 1)
            return self.dice.choice((
                f"({one} + INTERVAL {self.dice.randint(0, 40)} {self._unit()})", f"({one} - INTERVAL {self.dice.randint(1, 400)} {self._unit()})",
                f"date_trunc('{self._unit()}', {one})", f"greatest({one}, {other})", f"least({one}, {other})", f"coalesce({one}, {other})",
            ))  # fmt: skip
        return self.dice.choice(
            [*self.having("DATE", "TIMESTAMP") * 3, "period_start", "period_end", "period_end_population_date"]
        )

    def _unit(self) -> str:
        return self.dice.choice(sorted(UNITS)).lower()


def odd_kpis(tables: Mapping[str, Table], initiative: str, seed: int, how_many: int) -> Iterator[Kpi]:
    """Definitions over tables of the warehouse, numbered from 90 down under an initiative's code; some are refused by the compiler."""
    dice = random.Random(seed)  # noqa: S311 (nothing is kept secret by it)
    names = sorted(name for name, table in tables.items() if table.dated)
    for number in range(how_many):
        table = tables[dice.choice(names)]
        author = Author(dice, table.business_columns, table.codes)
        kind = dice.choice(list(Kind))
        rows = _rows(dice, table) | ({"filter": author.condition(1)} if dice.random() < 0.3 else {})
        yield Kpi.model_validate(
            {
                "code": f"{initiative}-{99 - number}",
                "version": 1,
                "valid_from": "2020-01-01",
                "change_note": "made up",
                "name": {"en": "x", "ru": "x"},
                "unit": "PT",
                "direction": "higher",
                "kind": kind,
                "period": dice.choice(list(Grain)),
                "categories": ["republican", "regional", "district"],
                "scale": dice.choice((1, 100)),
                "rows": rows,
                "coverage": {"minimum": 0.1},
                "late_data_days": 0,
                "standards": {"fit": "none"},
                **_aggregates(dice, author, kind, table),
            }
        )


def _rows(dice: random.Random, table: Table) -> dict[str, object]:
    dated = list(table.dated)
    if table.snapshot:
        first, last = dice.choice(dated), dice.choice(dated)
        rule = dice.choice(("stock", "during", "event"))
        return {"table": table.name, rule: first if rule == "event" else {"from": first, "to": last}}
    return {"table": table.name, dice.choice(("event", "event", "as_of")): dice.choice(dated)}


def _aggregates(dice: random.Random, author: Author, kind: Kind, table: Table) -> dict[str, object]:
    if kind in (Kind.MEAN, Kind.QUANTILE):
        number = author.number(2, divided=kind is Kind.QUANTILE)
        share = dice.choice(("0", "0.1", "0.25", "0.5", "0.9", "0.999", "1"))
        forms = {
            Kind.MEAN: [f"avg({number})"],
            Kind.QUANTILE: [f"median({number})", f"quantile_cont({number}, {share})"],
        }
        return {"numerator": {"aggregate": dice.choice(forms[kind]), "filter": author.condition(2)}}
    column = dice.choice([c for c in author.columns if c != SNAPSHOT_COLUMN[0]])
    counts = ["count(*)", f"count({column})", f"count(distinct {column})", f"sum({author.number(2, divided=False)})"]
    if kind is not Kind.SHARE:
        counts.append(f"max({author.number(2, divided=False)})")
    top = dice.choice(counts)
    bottom = top if kind is Kind.SHARE else dice.choice(["count(*)", *counts])
    return {"numerator": {"aggregate": top, "filter": author.condition()}, "denominator": {"aggregate": bottom}}
