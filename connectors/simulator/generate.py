"""The extract files of imaginary cities for a year: same seed, same bytes.

Everything random is DuckDB's hash of (seed, table, settlement, period, row), so a row does not depend on threads, on
other rows or on the order of work. `simulate` writes the files in the order cities would hand them over.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from connectors.simulator.layout import Layout, mistakes, source_layout, standard_layout
from connectors.simulator.recipe import MACROS, Recipe, recipe_of
from kpi_definitions.documents import read
from warehouse.contracts import Table, literal, quoted
from warehouse.periods import Period, add_months, closing_in, parse_period

HERE = Path(__file__).parent
DEMO_SETTLEMENTS = (
    "710000000", "750000000", "790000000",                            # republican: Astana, Almaty, Shymkent
    "351010000", "151010000", "551010000", "631010000", "471010000",  # regional: Karaganda, Aktobe, Pavlodar, Oskemen, Aktau
    "117020100", "195220100", "233620100", "634820100",               # district: Shchuchinsk, Kaskelen, Kulsary, Altai
)  # fmt: skip
# Who delivers a table in a system's own format (a source contract); all others use the standard exchange format.
SOURCES: Mapping[tuple[str, str], str] = {
    ("fct_appeal", "710000000"): "ikomek109/appeals",
    ("fct_appeal", "351010000"): "ikomek109/appeals",
    ("fct_air_hour", "750000000"): "aqms/hours",
}
FACTS = {
    "rows",
    "kato",
    "population",
    "year_start",
    "period_start",
    "period_end",
    "days",
    "month",
    "export_at",
    "base_quality",
    "quality",
}  # what every expression may use; a column of that name hides it
BAD_STRIDE = 250  # one row in so many has a mistake: 0.4 %
BAD_FROM_ROWS = 100  # smaller files have none, so that no ordinary file has more than 1 %


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
    """An incident of the year. `place` is a position in the list of settlements (counted round), so any list has it."""

    kind: str
    table: str
    place: int
    month: int


# A special of a table that is not simulated does not happen.
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
) -> Iterator[Extract]:
    """Write a year's extracts under `out` and yield each once it is there, in the order of their periods' ends.

    `scale` multiplies the rows of ordinary tables and the population from which the size of a grid follows: grids
    stay complete. Raises ValueError for a settlement without a population.
    """
    unknown = [kato for kato in settlements if kato not in populations()]
    if unknown:
        raise ValueError(f"no population for settlement {', '.join(unknown)}: add it to {HERE / 'population.csv'}")
    months = parse_period(str(year)).months
    specials = {(s.table, settlements[s.place % len(settlements)], f"{year}-{s.month:02d}"): s.kind for s in SPECIALS}
    recipes = {name: recipe_of(table) for name, table in tables.items()}
    # A file is too small for DuckDB to share out: it is made by one thread, and several files at once.
    with duckdb.connect(":memory:", config={"threads": 1}) as con, ThreadPoolExecutor(os.cpu_count()) as pool:
        for macro in MACROS:
            con.execute(macro)
        jobs = (
            _Job(con, table, recipes[name], kato, period, out, seed, scale, specials.get((name, kato, period.id), ""))
            for month in months
            for kato in settlements
            for name, table in tables.items()
            for period in closing_in((month,), recipes[name].cadence)
        )
        for extracts in pool.map(_Job.extracts, jobs):
            yield from extracts


@cache
def populations() -> dict[str, int]:
    """Residents by KATO, rounded: what sizes files, not a statistic."""
    with (HERE / "population.csv").open(encoding="utf-8", newline="") as file:
        return {row["kato"]: int(row["population"]) for row in csv.DictReader(file)}


def _layout(table: Table, kato: str) -> Layout:
    source = SOURCES.get((table.name, kato))
    return _source(table, source) if source else standard_layout(table)


def _source(table: Table, name: str) -> Layout:
    return source_layout(table, read(HERE.parent / "contracts" / f"{name}.odcs.yaml"))


def _salt(*parts: object) -> int:
    """A number for a name, the same on every machine; below 2**62, so that a revision may add to it."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big") >> 2


@dataclass(frozen=True)
class _Job:
    """One table of one settlement for one period."""

    con: duckdb.DuckDBPyConnection
    table: Table
    recipe: Recipe
    kato: str
    period: Period
    out: Path
    seed: int
    scale: float
    layout: Layout

    def extracts(self, special: str) -> Iterator[Extract]:
        """The file, or what an incident makes of it: none, a spoilt one, or two."""
        folder = self.out / self.kato / self.period.id
        path = folder / self.layout.file_name
        if special == "missing":
            return
        folder.mkdir(parents=True, exist_ok=True)
        first = self._write(path, special if special in {"renamed", "unreadable"} else "")
        yield first
        if special == "corrected":
            yield self._write(path.with_stem(path.stem + "_v2"), special)
        elif special == "twice":
            again = Path(shutil.copyfile(path, path.with_stem(path.stem + "_again")))
            yield Extract(again, first.table, first.system, first.scope, first.period, NOTES[special], first.rows)

    def _write(self, path: Path, special: str) -> Extract:
        layout = self.layout
        options = (
            f"FORMAT csv, HEADER, DELIMITER {literal(layout.delimiter)}, QUOTE {literal(layout.quote)}, "
            f"NULLSTR {literal(layout.missing)}"
        )
        written = self.con.execute(f"COPY ({self._query(special)}) TO {literal(str(path))} ({options})").fetchone()
        if layout.encoding != "utf-8":  # DuckDB writes nothing else
            path.write_bytes(path.read_text(encoding="utf-8").encode(layout.encoding))
        return Extract(
            path,
            self.table.name,
            layout.system,
            self.kato,
            self.period.id,
            NOTES.get(special, ""),
            written[0] if written else 0,
        )

    def _query(self, special: str) -> str:
        """The SELECT whose result is the file."""
        wrong = [m for m in mistakes(self.table, self.layout) if special != "unreadable" or m.kind == "unreadable"]
        rows, bad = self._size(self.period), "-1"
        if special == "unreadable":
            bad = f"CASE WHEN row_no % 3 = 0 THEN floor(draw(_salt, row_no, 9001) * {len(wrong)})::INTEGER ELSE -1 END"
        elif rows >= BAD_FROM_ROWS:
            phase = _salt(self.seed, self.table.name, self.kato, self.period.id, "bad") % BAD_STRIDE
            bad = (
                f"CASE WHEN (row_no + {phase}) % {BAD_STRIDE} = 0 AND NOT _resent "
                f"THEN floor(draw(_salt, row_no, 9001) * {len(wrong)})::INTEGER ELSE -1 END"
            )
        twice = next((i for i, m in enumerate(wrong) if m.kind == "repeated"), len(wrong))
        headers = [f.header for f in self.layout.fields]
        if special == "renamed":
            headers[-1] += "_new"
        texts = []
        for field, header in zip(self.layout.fields, headers, strict=True):
            cases = [
                f"WHEN {i} THEN {m.instead[field.column]}" for i, m in enumerate(wrong) if field.column in m.instead
            ]
            text = f"CASE _bad {' '.join(cases)} ELSE {field.text} END" if cases else field.text
            texts.append(f"{text} AS {quoted(header)}")
        return f"""
            WITH spoilt AS (SELECT *, {bad} AS _bad FROM ({self._drawn(rows, special)}) WHERE {self.recipe.where}),
            sent AS (SELECT *, unnest(CASE WHEN _bad = {twice} THEN [0, 1] ELSE [0] END) AS _copy FROM spoilt)
            SELECT {", ".join(texts)} FROM sent ORDER BY _resent, row_no, _copy"""

    def _drawn(self, rows: int, special: str) -> str:
        """A SELECT of the rows with the values of all columns, layer upon layer."""
        types = {c.name: c.sql_type for c in self.table.columns}
        query = self._base(rows, special)
        for layer in (self._axes(), *self.recipe.layers):
            hidden = [quoted(name) for name in layer if name in FACTS]
            everything = f"* EXCLUDE ({', '.join(hidden)})" if hidden else "*"
            values = [
                (f"CAST({e} AS {types[n]})" if n in types else f"({e})") + f" AS {quoted(n)}" for n, e in layer.items()
            ]
            query = f"SELECT {', '.join([everything, *values])} FROM ({query})"
        return query

    def _base(self, rows: int, special: str) -> str:
        """The rows before they have values: those of the period, and some of the one before that are sent again."""
        query = self._rows_of(self.period, rows, resent=False, corrected=special == "corrected")
        before = _before(self.period)
        if self.recipe.resend and before.start.year == self.period.start.year:  # what was before the year is not known
            query += (
                f" UNION ALL {self._rows_of(before, self._size(before), resent=True, corrected=False)} "
                f"WHERE draw(_salt, row_no, 9002) < {self.recipe.resend}"
            )
        return query

    def _rows_of(self, period: Period, rows: int, *, resent: bool, corrected: bool) -> str:
        """A SELECT of what every expression may use. A correction draws some rows anew and leaves some out."""
        salt = _salt(self.seed, self.table.name, self.kato, period.id)
        base_quality, quality = self._quality(period)
        facts = {
            "_salt": f"{salt}::UBIGINT + (row_no % 20 = 0)::INTEGER" if corrected else f"{salt}::UBIGINT",
            "_place": f"{_salt(self.seed, self.table.name, self.kato)}::UBIGINT", "_resent": literal(resent),
            "rows": str(rows), "kato": literal(self.kato), "population": str(populations()[self.kato]),
            "year_start": _date(dt.date(period.start.year, 1, 1)), "period_start": _date(period.start),
            "period_end": _date(period.end), "days": str((period.end - period.start).days),
            "month": str(period.start.month), "export_at": _date(add_months(self.period.end, 1)),
            "base_quality": f"{base_quality:.6f}::DOUBLE", "quality": f"{quality:.6f}::DOUBLE",
        }  # fmt: skip
        listed = ", ".join(f"{value} AS {name}" for name, value in facts.items())
        kept = "WHERE row_no % 50 <> 1" if corrected else ""
        return f"SELECT * FROM (SELECT range AS row_no, {listed} FROM range({rows}) {kept})"

    def _size(self, period: Period) -> int:
        """How many rows the settlement's extract of a period has."""
        sizes = self._axis_sizes(period)
        if sizes:
            cells = 1
            for size in sizes.values():
                cells *= size
            return cells
        return max(1, round(self._number(self.recipe.rows, period, 1.0) * self.scale))

    def _axis_sizes(self, period: Period) -> dict[str, int]:
        return {name: max(1, int(self._number(e, period, self.scale))) for name, e in self.recipe.axes.items()}

    def _axes(self) -> dict[str, str]:
        """The index on each axis of the grid, from the number of the row: the last axis runs fastest."""
        expressions, stride = {}, 1
        for name, size in reversed(self._axis_sizes(self.period).items()):
            expressions[name] = f"(row_no // {stride}) % {size}"
            stride *= size
        return expressions

    def _number(self, expression: str, period: Period, scale: float) -> float:
        noise = random.Random(_salt(self.seed, self.table.name, self.kato, period.id, "rows")).uniform(-1, 1)  # noqa: S311
        found = self.con.execute(
            f"SELECT ({expression})::DOUBLE FROM (SELECT {populations()[self.kato] * scale} AS population, "
            f"{(period.end - period.start).days} AS days, {period.start.month} AS month, {noise} AS noise)"
        ).fetchone()
        return float(found[0]) if found else 0.0

    def _quality(self, period: Period) -> tuple[float, float]:
        """How well the city does in this table: steady, and in the period. Half of it is the city's, half the table's."""
        city = random.Random(_salt(self.seed, self.kato)).random()  # noqa: S311
        rng = random.Random(_salt(self.seed, self.table.name, self.kato))  # noqa: S311
        base = 0.15 + 0.35 * city + 0.35 * rng.random()
        drift = rng.uniform(-0.08, 0.2) * (period.start.month - 1) / 11
        wobble = random.Random(_salt(self.seed, self.table.name, self.kato, period.id)).uniform(-0.03, 0.03)  # noqa: S311
        return base, min(1.0, max(0.0, base + drift + wobble))


def _before(period: Period) -> Period:
    """The period of the same length just before."""
    start = add_months(period.start, -len(period.months))
    return closing_in(Period(start, period.start, "", "R").months, period.grain)[-1]


def _date(day: dt.date) -> str:
    return f"DATE '{day}'"
