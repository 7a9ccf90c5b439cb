"""The warehouse's tables as SQLAlchemy metadata, described column by column.

Schemas: `registry` (settlements, periods, catalogue), `showcase` (current rows of every contract's table), `history`
(versions of rows that no longer hold), `audit` (ledger, deliveries, rejected rows, checks), `kpi` (values).
No primary keys on bulk tables: in DuckDB an index makes a base load 2.4 times slower and the file 2.5 times larger;
uniqueness is a rule of the gate instead. How a column is packed is DuckDB's own choice (docs/adr/0026).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from duckdb_engine import Dialect
from sqlalchemy.schema import CreateTable, SetColumnComment, SetTableComment

from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Table
from warehouse.tables.system_tables import FIXED, SCHEMAS

_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(), "int": sa.Integer(), "long": sa.BigInteger(), "bool": sa.Boolean(), "date": sa.Date(),
    "timestamp": sa.DateTime(), "instant": sa.DateTime(timezone=True), "exact": sa.Numeric(38, 6), "double": sa.Double(),
}  # fmt: skip


def metadata(tables: Iterable[Table]) -> sa.MetaData:
    """SQLAlchemy metadata of the whole warehouse: the fixed tables, and two for every contract."""
    meta = sa.MetaData()
    for name, (description, columns) in FIXED.items():
        schema, _, table = name.partition(".")
        sa.Table(table, meta, *(_fixed_column(c) for c in columns), schema=schema, comment=description)
    for contract in tables:
        sa.Table(contract.name, meta, *_showcase_columns(contract), schema="showcase", comment=contract.description)
        ended = sa.Column(
            "valid_to_seq", sa.BigInteger(), comment="Ledger sequence at which this version ceased to hold"
        )
        comment = f"Former versions: {contract.description}"
        sa.Table(contract.name, meta, *_showcase_columns(contract), ended, schema="history", comment=comment)
    return meta


def _fixed_column(text: str) -> sa.Column[Any]:
    name, kind, description = text.split(" ", 2)
    return sa.Column(
        name, _TYPES[kind.rstrip("!")], nullable=not kind.endswith("!"), comment=description, autoincrement=False
    )


def _showcase_columns(contract: Table) -> Iterator[sa.Column[Any]]:
    """kato, the contract's columns, the loader's columns. Types are given as the contract writes them."""
    name, description = "kato", SYSTEM_COLUMNS["kato"][1]
    yield sa.Column(name, _Raw("VARCHAR"), nullable=False, comment=description)
    for column in contract.columns:
        note = f" [{column.unit}]" if column.unit else ""
        yield sa.Column(
            column.name, _Raw(column.sql_type), nullable=not column.required, comment=column.description + note
        )
    if contract.snapshot:
        yield sa.Column(SNAPSHOT_COLUMN[0], _Raw(SNAPSHOT_COLUMN[1]), nullable=False, comment=SNAPSHOT_COLUMN[2])
    for name, (sql_type, description) in SYSTEM_COLUMNS.items():
        if name != "kato":
            yield sa.Column(name, _Raw(sql_type), nullable=False, comment=description)


class _Raw(sa.types.UserDefinedType[object]):
    """A type as its SQL text: contracts name DuckDB types."""

    cache_ok = True

    def __init__(self, sql: str):
        self.sql = sql

    def get_col_spec(self, **_: object) -> str:
        return self.sql


def ddl(meta: sa.MetaData) -> list[str]:
    """Statements that create what is missing."""
    dialect = Dialect()
    tables = [str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)) for table in meta.sorted_tables]
    return [*(f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in SCHEMAS), *tables]


def descriptions(meta: sa.MetaData) -> list[str]:
    """Statements that describe every table and column."""
    dialect, statements = Dialect(), list[str]()
    for table in meta.sorted_tables:
        statements.append(str(SetTableComment(table).compile(dialect=dialect)))
        statements += [str(SetColumnComment(column).compile(dialect=dialect)) for column in table.columns]
    return statements
