"""What is wrong with the simulator's recipes, for `qala check`: their words, and their expressions as DuckDB binds them, each by its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import duckdb

from connectors.simulator.recipe import MACROS, RECIPES, Recipe, recipe_of, sql
from kpi_definitions.documents import Document, DocumentError, Fault, read
from warehouse.sql import quoted
from warehouse.tables.contracts import Table

# one row of what every expression may use, and what the short names are filled up with
_FACTS = (
    "SELECT 0::BIGINT AS row_no, 1::UBIGINT AS _salt, 1::UBIGINT AS _place, false AS _resent, 1 AS rows, '710000000' AS kato, 1000 AS population, "
    "DATE '2025-01-01' AS year_start, DATE '2025-01-01' AS period_start, DATE '2025-02-01' AS period_end, 31 AS days, 1 AS month, "
    "1 AS elapsed, MAP {'K': 1.0::DOUBLE} AS last_year, "
    "DATE '2025-03-01' AS export_at, 0.5::DOUBLE AS base_quality, 0.5::DOUBLE AS quality"
)
_OF_SIZES = "SELECT 1000.0 AS population, 31 AS days, 1 AS month, 0.1 AS noise"  # what a number of rows may use


def recipe_faults(tables: Mapping[str, Table], folder: Path = RECIPES) -> Iterator[Fault]:
    """Every fault of every recipe of a folder, and recipes of no table."""
    with duckdb.connect() as con:
        for macro in MACROS:
            con.execute(macro)
        for path in sorted(folder.glob("*.yaml")):
            table = tables.get(path.stem)
            if table is None:
                yield Fault(
                    path, 1, f"there is no table {path.stem!r}", "name the file like its table, or take it away"
                )
                continue
            try:
                document, recipe = read(path), recipe_of(table, folder)
            except DocumentError as error:
                yield from error.faults
                continue
            yield from document.undecided()
            yield from _unbound(con, document, recipe, table)


def _unbound(con: duckdb.DuckDBPyConnection, document: Document, recipe: Recipe, table: Table) -> Iterator[Fault]:
    """Expressions that DuckDB does not bind. After the first layer with such, the layers above it are not looked at."""
    given = document.data or {}
    sizes = [(("rows",), recipe.rows), *((("axes", name), size) for name, size in recipe.axes.items())]
    for where, expression in sizes:
        yield from _tried(con, document, where, expression, f"({_OF_SIZES})")
    types = {c.name: c.sql_type for c in table.columns}
    axes = "".join(f", 0::BIGINT AS {quoted(name)}" for name in recipe.axes)
    con.execute(f"CREATE OR REPLACE TEMP TABLE known AS SELECT *{axes} FROM ({_FACTS})")
    for layer in recipe.layers:
        wrong = []
        for name, expression in layer.items():
            part = next((p for p in ("steps", "columns") if name in given.get(p, {})), "columns")
            typed = f"CAST({expression} AS {types[name]})" if name in types else expression
            wrong += list(_tried(con, document, (part, name), typed, "known"))
        yield from wrong
        if wrong:
            return
        con.execute(f"CREATE OR REPLACE TEMP TABLE known AS SELECT {', '.join(_over(con, layer, types))} FROM known")
    yield from _tried(con, document, ("where",), sql(given.get("where", "TRUE")), "known")


def _over(con: duckdb.DuckDBPyConnection, layer: Mapping[str, str], types: Mapping[str, str]) -> Iterable[str]:
    """The columns so far, and those of a layer; one of the same name hides a fact."""
    for (name,) in con.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'known'").fetchall():
        if name not in layer:
            yield quoted(name)
    for name, expression in layer.items():
        yield (f"CAST({expression} AS {types[name]})" if name in types else f"({expression})") + f" AS {quoted(name)}"


def _tried(
    con: duckdb.DuckDBPyConnection, document: Document, where: tuple[str, ...], expression: str, relation: str
) -> Iterator[Fault]:
    try:
        con.execute(f"EXPLAIN SELECT {expression} FROM {relation}")
    except duckdb.Error as error:
        message = f"{'.'.join(where)}: DuckDB refuses it: {str(error).splitlines()[0]}"
        yield document.fault(
            where, message, "see the head of connectors/simulator/recipe.py for what an expression may use"
        )
