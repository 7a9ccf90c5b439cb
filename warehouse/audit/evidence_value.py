"""`recompute.sql` of the evidence pack of one value: plain DuckDB that an auditor runs over the files beside it.

Its statements lie in `sql/pack_*.sql`; the names in them are for the auditor, so they are no working tables of the warehouse.
Does not belong here: which files a pack holds (evidence.py), packs of roll-ups and levels (evidence_rollup.py, evidence_level.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kpi_definitions.compiler import Output
from kpi_definitions.model import Kind
from warehouse.audit.rows import ContributingRows, FoundValue
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import WITH_VALUE
from warehouse.tables.value_formula import VALUE, top

USAGE = '-- In this folder: duckdb -c ".read recompute.sql"   (DuckDB 1.3 or later; README.md says more)'


def pack_statement(name: str, **parts: str) -> str:
    """One statement of `sql/pack_<name>.sql`, closed by a semicolon."""
    return f"{statement(__file__, f'pack_{name}', **parts).strip()};"


def ledger_script(head: str) -> Iterator[str]:
    """Statements that check the chain of `ledger.parquet` up to `head`, SEQUENCE:HASH of the pack."""
    yield pack_statement("json_text")
    yield pack_statement("chain")
    yield pack_statement("ledger", head=literal(head))
    yield "SELECT * FROM ledger;"


def value_script(
    value: FoundValue, tables: Sequence[ContributingRows], definition: Mapping[str, Any], head: str
) -> Iterator[str]:
    """Statements of recompute.sql of one value; the last one gives one row."""
    answer, compiled = value.answer, value.compiled
    kpi = compiled.kpi
    label = f"{kpi.code} of {answer['settlement']['name_en']} for {answer['period']['id']}"
    yield f"-- {label}, computed again from the rows beside this file."
    yield USAGE
    yield "SET TimeZone = 'UTC';\nCREATE SCHEMA IF NOT EXISTS showcase;"
    for rows in tables:
        yield f"CREATE OR REPLACE VIEW showcase.{rows.table} AS FROM read_parquet('rows/{rows.table}.parquet');"
    yield "\n-- 1. The ledger: each row is hashed with the one before it."
    yield from ledger_script(head)
    yield "\n-- 2. What came in: deliveries and definition as their ledger rows have them."
    yield pack_statement("inputs")
    if definition["registered_seq"] is not None:
        yield pack_statement("inputs__definition")
    yield "SELECT * FROM inputs ORDER BY what;"
    yield f"\n-- 3. The number, by the SQL of {kpi.code} version {kpi.version} (fingerprint {compiled.fingerprint})."
    yield from _computation(value)
    yield pack_statement("comparison__value")


def _computation(value: FoundValue) -> Iterator[str]:
    """The tables `recorded` and `computed`, one row each, and a table for each scan of the definition."""
    answer, compiled = value.answer, value.compiled
    parts = {}
    for index, scan in enumerate(compiled.scans, 1):
        parts[scan] = f"part_{index}"
        sql = scan.sql(f"showcase.{scan.table}", value.cell, any_window=True)
        yield f"CREATE OR REPLACE TEMP TABLE part_{index} AS\n{sql};"

    def column(output: Output) -> str:
        return f"(SELECT {output.column} FROM {parts[output.scan]})"

    shown = VALUE
    if answer["published"] and answer["obs_status"] not in WITH_VALUE:
        yield not_published(answer)
        shown = "NULL"
    yield recorded_row(
        value=("DOUBLE", answer["value"]),
        numerator=("DECIMAL(38,6)", answer["numerator"]),
        denominator=("DECIMAL(38,6)", answer["denominator"]),
        sample=("BIGINT", answer["sample_size"] or 0),
    )
    summable = compiled.kpi.kind is not Kind.QUANTILE
    yield pack_statement(
        "computed__value",
        value_sql=shown,
        numerator_sql="top" if summable else "NULL",
        denominator_sql="bottom" if summable else "NULL",
        kpi_scale=str(compiled.kpi.scale),
        kpi_kind=literal(compiled.kpi.kind),
        top_sql=top(compiled, column),
        bottom_sql=column(compiled.denominator),
        sample_sql=column(compiled.sample),
    )


def not_published(answer: Mapping[str, Any]) -> str:
    """The comment on a number whose state allows no value."""
    return (
        f"-- Its state is {answer['state']!r}: no value is published. Numerator, denominator and sample are compared."
    )


def recorded_row(**figures: tuple[str, Any]) -> str:
    """The table `recorded`, one row. `figures`: column → (SQL type, value as published)."""
    columns = ", ".join(f"CAST({literal(value)} AS {kind}) AS {name}" for name, (kind, value) in figures.items())
    return f"CREATE OR REPLACE TEMP TABLE recorded AS SELECT {columns};"
