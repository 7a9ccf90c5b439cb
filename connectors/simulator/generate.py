"""The extract files of imaginary cities for a year: same seed, same bytes.

Everything random is DuckDB's hash of (seed, table, settlement, period, row), so a row does not depend on threads, on
other rows or on the order of work. `simulate` yields the files in the order in which cities would hand them over.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import math
import os
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import duckdb

from connectors.simulator.layout import Layout, mistakes, source_layout, standard_layout
from connectors.simulator.recipe import FACTS, MACROS, Recipe, recipe_of
from kpi_definitions.documents import read
from warehouse.periods import Period, add_months, closing_in, parse_period
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table

HERE = Path(__file__).parent
# Of each item 7 group some: republican, regional, district.
DEMO_SETTLEMENTS = (
    "710000000", "750000000", "790000000",                            # Astana, Almaty, Shymkent
    "351010000", "151010000", "551010000", "631010000", "471010000",  # Karaganda, Aktobe, Pavlodar, Oskemen, Aktau
    "117020100", "195220100", "233620100", "634820100",               # Shchuchinsk, Kaskelen, Kulsary, Altai
)  # fmt: skip
# Who delivers a table in a system's own format (a source contract); all others use the standard exchange format.
SOURCES: Mapping[tuple[str, str], str] = {
    ("fct_appeal", "710000000"): "ikomek109/appeals",
    ("fct_appeal", "351010000"): "ikomek109/appeals",
    ("fct_air_hour", "750000000"): "aqms/hours",
}
TARGETS = (
    "fct_kpi_target"  # what cities mean to reach: made from their own values of the year before, where those are given
)
BAD_STRIDE = 250  # one row in so many has a mistake: 0.4 %
BAD_FROM_ROWS = 100  # smaller files have none, so that no ordinary file has more than 1 %


# The year whose numbers do not depend on how far away it is: cities were worse before it and get better after it.
EPOCH = dt.date(2025, 1, 1)
YEARLY_PROGRESS = 0.05  # of quality, in every year before EPOCH, beside what a table drifts by


@dataclass(frozen=True)
class Extract:
    """One file that is ready to be delivered. `note` says why it is special; it is empty for ordinary ones."""

    path: Path
    table: str
    system: str | None
    scope: str
    period: str
    note: str
    rows: int


@dataclass(frozen=True)
class Special:
    """An incident of the year. `place` is a position in the list of settlements, counted round: any list has it."""

    kind: str
    table: str
    place: int
    month: int


# An incident in a table that is not simulated does not happen.
SPECIALS = (
    Special("corrected", "fct_appeal", 5, 3),
    Special("renamed", "fct_trip", 4, 5),
    Special("twice", "fct_crash", 2, 6),
    Special("missing", "fct_air_hour", 7, 8),
    Special("unreadable", "fct_ai_session", 9, 9),
)
NOTES = {
    "renamed": "a column is renamed: to be refused",
    "unreadable": "a third of the rows cannot be read: to be refused",
    "corrected": "correction of the delivery before it: rows changed and removed",
    "twice": "the same bytes as the delivery before it",
}


def simulate(
    tables: Mapping[str, Table],
    out: Path,
    *,
    settlements: Sequence[str] = DEMO_SETTLEMENTS,
    year: int = 2025,
    seed: int = 469,
    scale: float = 1.0,
    specials: Sequence[Special] = SPECIALS,
    last_year: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> Iterator[Extract]:
    """Write a year's extracts under `out` and yield each in the order of the periods' ends; files may be written ahead.

    `last_year`: KATO → KPI → its value in the year before, where it is known: what a Strategy sets out from.
    `scale` multiplies the rows of ordinary tables and the population from which the size of a grid follows: grids
    stay complete. Raises ValueError for a settlement without a population, DocumentError for a faulty recipe.
    """
    _refuse_unknown(settlements)
    incidents = {
        (s.table, settlements[s.place % len(settlements)], f"{year:04d}-{s.month:02d}"): s.kind for s in specials
    }
    recipes = {name: recipe_of(table) for name, table in tables.items()}
    layouts = {
        (name, kato): _layout(table, kato)
        if recipes[name].scope == "settlement"
        else standard_layout(table, with_kato=True)
        for name, table in tables.items()
        for kato in settlements
    }
    # A file is too small for DuckDB to share out: each is made by one thread, and several at once.
    with duckdb.connect(":memory:", config={"threads": 1}) as con, ThreadPoolExecutor(os.cpu_count()) as pool:
        for macro in MACROS:
            con.execute(macro)
        work = [
            (
                [
                    _Extraction(
                        con,
                        table,
                        recipes[name],
                        layouts[name, kato],
                        kato,
                        period,
                        seed,
                        scale,
                        last_year.get(kato, {}),
                    )
                    for kato in covered
                ],
                scope,
                out / scope / period.id,
                incidents.get((name, scope, period.id), ""),
            )
            for month in parse_period(f"{year:04d}").months
            for name, table in tables.items()
            for scope, covered in _scopes(recipes[name].scope, settlements).items()
            for period in closing_in((month,), recipes[name].cadence)
        ]
        for extracts in pool.map(_hand_over, *zip(*work, strict=True)):
            yield from extracts


def _refuse_unknown(settlements: Sequence[str]) -> None:
    """Raises ValueError for a settlement without a population, and for none."""
    if not settlements:
        raise ValueError("no settlement to simulate: name at least one")
    if unknown := [kato for kato in settlements if kato not in populations()]:
        raise ValueError(f"no population for settlement {', '.join(unknown)}: add it to {HERE / 'population.csv'}")


@cache
def populations() -> dict[str, int]:
    """Residents by KATO, rounded: what sizes files, not a statistic."""
    with (HERE / "population.csv").open(encoding="utf-8", newline="") as file:
        return {row["kato"]: int(row["population"]) for row in csv.DictReader(file)}


def _layout(table: Table, kato: str) -> Layout:
    name = SOURCES.get((table.name, kato))
    if name is None:
        return standard_layout(table)
    return source_layout(table, read(HERE.parent / "contracts" / f"{name}.odcs.yaml"))


def _scopes(scope: str, settlements: Sequence[str]) -> dict[str, list[str]]:
    """Who hands over: each settlement for itself, a region for its settlements, or one system for the country."""
    width = {"settlement": 9, "region": 2, "country": 0}[scope]
    found: dict[str, list[str]] = {}
    for kato in settlements:
        found.setdefault(kato[:width] or "KZ", []).append(kato)
    return found


def _hand_over(extractions: Sequence[_Extraction], scope: str, folder: Path, incident: str) -> list[Extract]:
    """The file of one extraction, or what an incident makes of it: none, a spoilt one, or two. Several make one file together."""
    if incident == "missing":
        return []
    folder.mkdir(parents=True, exist_ok=True)
    extraction = extractions[0]
    path = folder / extraction.layout.file_name
    if scope != extraction.kato:
        return [_together(extractions, scope, path)]
    if incident in {"renamed", "unreadable"}:
        return [extraction.write(path, incident)]
    extracts = [extraction.write(path)]
    if incident == "corrected":
        extracts.append(extraction.write(path.with_stem(path.stem + "_v2"), incident))
    elif incident == "twice":
        again = Path(shutil.copyfile(path, path.with_stem(path.stem + "_again")))
        extracts.append(extraction.extract(again, incident, extracts[0].rows))
    return extracts


def _together(extractions: Sequence[_Extraction], scope: str, path: Path) -> Extract:
    """The rows of several settlements in one file, one after the other, under one header."""
    rows, part = 0, path.with_suffix(".part")
    with path.open("wb") as whole:
        for one in extractions:
            rows += one.write(part).rows
            with part.open("rb") as piece:
                header = piece.readline()
                if whole.tell() == 0:
                    whole.write(header)
                shutil.copyfileobj(piece, whole)
    part.unlink()
    return replace(extractions[0].extract(path, "", rows), scope=scope)


def _salt(*parts: object) -> int:
    """A number for a name, the same on every machine; below 2**62, so that a correction may add to it."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big") >> 2


def _chance(*parts: object) -> random.Random:
    return random.Random(_salt(*parts))  # noqa: S311  (nothing secret in it)


@dataclass(frozen=True)
class _Extraction:
    """One table of one settlement for one period, as SQL. `incident` is '' or what goes wrong with the file."""

    con: duckdb.DuckDBPyConnection
    table: Table
    recipe: Recipe
    layout: Layout
    kato: str
    period: Period
    seed: int
    scale: float
    last_year: Mapping[str, float]

    def write(self, path: Path, incident: str = "") -> Extract:
        layout = self.layout
        options = (
            f"FORMAT csv, HEADER, DELIMITER {literal(layout.delimiter)}, QUOTE {literal(layout.quote)}, "
            f"NULLSTR {literal(layout.missing)}"
        )
        with self.con.cursor() as cursor:
            written = cursor.execute(f"COPY ({self._file(incident)}) TO {literal(str(path))} ({options})").fetchone()
        if layout.encoding != "utf-8":  # DuckDB writes nothing else
            path.write_bytes(path.read_bytes().decode("utf-8").encode(layout.encoding))
        return self.extract(path, incident, written[0] if written else 0)

    def extract(self, path: Path, incident: str, rows: int) -> Extract:
        note = NOTES.get(incident, "")
        return Extract(path, self.table.name, self.layout.system, self.kato, self.period.id, note, rows)

    def _file(self, incident: str) -> str:
        """The SELECT whose result is the file: text under the file's headers, mistakes put in."""
        wrong = mistakes(self.table, self.layout)
        if incident == "unreadable":  # in cells that cost the row, if there are such
            wrong = [m for m in wrong if m.kind == "unreadable"]
            wrong = [m for m in wrong if not m.instead.keys() <= self.table.optional] or wrong
        rows = self._rows(self.period)
        phase = self._salt_of(self.period, "bad") % BAD_STRIDE
        spoilt = "FALSE"
        if incident == "unreadable":
            spoilt = "row_no % 3 = 0"
        elif rows >= BAD_FROM_ROWS:
            spoilt = f"(row_no + {phase}) % {BAD_STRIDE} = 0 AND NOT _resent"
        bad = f"CASE WHEN {spoilt} THEN floor(draw(_salt, row_no, 9001) * {len(wrong)})::INTEGER ELSE -1 END"
        repeated = next((i for i, m in enumerate(wrong) if m.kind == "repeated"), len(wrong))
        headers = [f.header for f in self.layout.fields]
        if incident == "renamed":
            headers[-1] += "_new"
        texts = []
        for field, header in zip(self.layout.fields, headers, strict=True):
            cases = [
                f"WHEN {number} THEN {mistake.instead[field.column]}"
                for number, mistake in enumerate(wrong)
                if field.column in mistake.instead
            ]
            text = f"CASE _bad {' '.join(cases)} ELSE {field.text} END" if cases else field.text
            texts.append(f"{text} AS {quoted(header)}")
        return f"""
            WITH spoilt AS (SELECT *, {bad} AS _bad FROM ({self._valued(rows, incident)}) WHERE {self.recipe.where}),
            sent AS (SELECT *, unnest(CASE WHEN _bad = {repeated} THEN [0, 1] ELSE [0] END) AS _copy FROM spoilt)
            SELECT {", ".join(texts)} FROM sent ORDER BY _resent, row_no, _copy"""

    def _valued(self, rows: int, incident: str) -> str:
        """The rows with the values of all columns, layer upon layer."""
        types = {c.name: c.sql_type for c in self.table.columns}
        query = self._facts(self.period, rows, corrected=incident == "corrected")
        before = closing_in((add_months(self.period.start, -1).strftime("%Y-%m"),), self.period.grain)[0]
        if self.recipe.resend and before.start.year == self.period.start.year:  # nobody knows what was before the year
            query += (
                f" UNION ALL {self._facts(before, self._rows(before), resent=True)} "
                f"WHERE draw(_salt, row_no, 9002) < {self.recipe.resend}"
            )
        for layer in (self._axes(), *self.recipe.layers):
            hidden = [quoted(name) for name in layer if name in FACTS]
            everything = f"* EXCLUDE ({', '.join(hidden)})" if hidden else "*"
            values = [
                (f"CAST({expression} AS {types[name]})" if name in types else f"({expression})") + f" AS {quoted(name)}"
                for name, expression in layer.items()
            ]
            query = f"SELECT {', '.join([everything, *values])} FROM ({query})"
        return query

    def _facts(self, period: Period, rows: int, *, resent: bool = False, corrected: bool = False) -> str:
        """The rows of a period with FACTS only. A correction draws some anew and leaves some out."""
        base_quality, quality = self._quality(period)
        facts = {
            "_salt": f"{self._salt_of(period)}::UBIGINT" + (" + (row_no % 20 = 0)::INTEGER" if corrected else ""),
            "_place": f"{_salt(self.seed, self.table.name, self.kato)}::UBIGINT",
            "_resent": literal(resent),
            "rows": str(rows),
            "kato": literal(self.kato),
            "population": str(populations()[self.kato]),
            "year_start": _date(dt.date(period.start.year, 1, 1)),
            "period_start": _date(period.start),
            "period_end": _date(period.end),
            "days": str((period.end - period.start).days),
            "month": str(period.start.month),
            "elapsed": str(_months_on(period.end)),
            "last_year": _values(self.last_year),
            "export_at": _date(add_months(self.period.end, 1)),
            "base_quality": f"{base_quality:.6f}::DOUBLE",
            "quality": f"{quality:.6f}::DOUBLE",
        }
        listed = ", ".join(f"{value} AS {name}" for name, value in facts.items())
        kept = "WHERE row_no % 50 <> 1" if corrected else ""
        return f"SELECT * FROM (SELECT range AS row_no, {listed} FROM range({rows}) {kept})"

    def _rows(self, period: Period) -> int:
        """How many rows the extract of a period has."""
        if self.recipe.axes:
            return math.prod(self._axis_sizes(period).values())
        return max(1, round(self._number(self.recipe.rows, period, 1.0) * self.scale))

    def _axis_sizes(self, period: Period) -> dict[str, int]:
        return {name: max(1, int(self._number(size, period, self.scale))) for name, size in self.recipe.axes.items()}

    def _axes(self) -> dict[str, str]:
        """The index on each axis of the grid, from the number of the row: the last axis runs fastest."""
        indexes, stride = {}, 1
        for name, size in reversed(self._axis_sizes(self.period).items()):
            indexes[name] = f"(row_no // {stride}) % {size}"
            stride *= size
        return indexes

    def _number(self, expression: str, period: Period, scale: float) -> float:
        """What an expression for a number of rows comes to, the population scaled."""
        noise = _chance(self.seed, self.table.name, self.kato, period.id, "rows").uniform(-1, 1)
        with self.con.cursor() as cursor:
            found = cursor.execute(
                f"SELECT ({expression})::DOUBLE FROM (SELECT {populations()[self.kato] * scale} AS population, "
                f"{(period.end - period.start).days} AS days, {period.start.month} AS month, {noise} AS noise)"
            ).fetchone()
        return float(found[0]) if found else 0.0

    def _quality(self, period: Period) -> tuple[float, float]:
        """How well the city does in this table, always and in the period: half is the city's, half the table's."""
        place = _chance(self.seed, self.table.name, self.kato)
        base = 0.15 + 0.35 * _chance(self.seed, self.kato).random() + 0.35 * place.random()
        months = _months_on(period.start)
        drift = place.uniform(-0.08, 0.2) * months / 11 + YEARLY_PROGRESS * min(0, period.start.year - EPOCH.year)
        return base, min(1.0, max(0.0, base + drift + _chance(self._salt_of(period)).uniform(-0.03, 0.03)))

    def _salt_of(self, period: Period, what: str = "rows") -> int:
        return _salt(self.seed, self.table.name, self.kato, period.id, what)


def _months_on(day: dt.date) -> int:
    """Months from EPOCH to the first day of a month, negative before it; two years either way at most, or cities would become perfect."""
    return min(35, max(-24, (day.year - EPOCH.year) * 12 + day.month - 1))


def _values(values: Mapping[str, float]) -> str:
    pairs = ", ".join(f"{literal(name)}: {value!r}::DOUBLE" for name, value in sorted(values.items()))
    return f"MAP {{{pairs}}}::MAP(VARCHAR, DOUBLE)"


def _date(day: dt.date) -> str:
    return f"DATE '{day}'"
