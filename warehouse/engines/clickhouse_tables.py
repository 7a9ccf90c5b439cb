"""What a showcase table is in ClickHouse: its columns and their types, the statements that make it, its rows as text.

Dates are days and times microseconds since 1970-01-01, as whole numbers: ClickHouse's own types for them end in 2106 or 2299 and depend on
a zone. Beside each stands, where the server can, a column `…_time` or `…_date` for people, which no scan reads.
Does not belong here: when a table is made and filled (clickhouse.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warehouse.engines.engine import EngineError, Load
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import SYSTEM_COLUMNS, Table

if TYPE_CHECKING:
    import duckdb

LOAD = "load"  # the column that names a row's load; the table's partitions are by it
FIRST_WITH_CALENDAR = (21, 4)  # DateTime64 of microseconds
_KEY = ("kato", "delivery_id", "row_no")
_NEVER_NULL = (*_KEY, "valid_from_seq")
_ROWS_AT_ONCE = 20_000
_TYPES: Mapping[str, str] = {
    "VARCHAR": "String",
    "BOOLEAN": "UInt8",
    "TINYINT": "Int8",
    "SMALLINT": "Int16",
    "INTEGER": "Int32",
    "BIGINT": "Int64",
    "DATE": "Int32",
    "TIMESTAMP": "Int64",
    "TIMESTAMPTZ": "Int64",
}
# column of DuckDB → its text in a tab-separated file of ClickHouse
_TEXTS: Mapping[str, str] = {
    "VARCHAR": r"replace(replace(replace(replace({}, '\', '\\'), chr(9), '\t'), chr(10), '\n'), chr(13), '\r')",
    "BOOLEAN": "{}::INTEGER",
    "DATE": "date_diff('day', DATE '1970-01-01', {})",
    "TIMESTAMP": "epoch_us({})",
    "TIMESTAMPTZ": "epoch_us({})",
}
_CALENDAR: Mapping[str, tuple[str, str]] = {
    "DATE": ("date", "if({0} BETWEEN -25567 AND 120529, toDate32({0}), NULL)"),  # from 1900 to 2299
    "TIMESTAMP": (
        "time",
        "if({0} BETWEEN -2208988800000000 AND 9223372036854775, fromUnixTimestamp64Micro({0}, 'UTC'), NULL)",
    ),
}


@dataclass(frozen=True)
class Shape:
    """A table of an engine, as it must be."""

    table: str
    columns: Mapping[str, str]  # of the load's file, in its order: name → SQL type of the warehouse
    contract: Table | None = field(default=None, compare=False)  # what its columns mean

    @property
    def types(self) -> dict[str, str]:
        """Columns that hold something: name → type of ClickHouse, as it says it itself. Raises EngineError."""
        if LOAD in self.columns:
            raise EngineError(
                f"{self.table} has a column {LOAD}, which is the engine's own: give it another name in its contract"
            )
        return {LOAD: "String", **{name: _type(name, sql_type) for name, sql_type in self.columns.items()}}

    @property
    def listed(self) -> str:
        return ", ".join(f"{quoted(name)} {kind}" for name, kind in self.types.items())

    def create(self, name: str, *, calendar: bool) -> str:
        """CREATE TABLE of the table that holds the rows; `name`: qualified."""
        meanings = _meanings(self.contract)
        lines = [
            f"{quoted(column)} {kind}" + (f" COMMENT {text_literal(meanings[column])}" if column in meanings else "")
            for column, kind in self.types.items()
        ]
        for column, sql_type in self.columns.items() if calendar else ():
            suffix, said = _CALENDAR.get(sql_type, ("", ""))
            if suffix and f"{column}_{suffix}" not in self.columns:
                lines.append(f"{quoted(f'{column}_{suffix}')} ALIAS {said.format(quoted(column))}")
        key = ", ".join(column for column in _KEY if column in self.columns)
        return f"CREATE TABLE {name} ({', '.join(lines)}) ENGINE = MergeTree PARTITION BY {LOAD} ORDER BY ({key})"


def rows_as_text(con: duckdb.DuckDBPyConnection, load: Load, shape: Shape, shard: int, shards: int) -> Iterator[bytes]:
    """A load's rows as tab-separated text, those of one shard, some thousand at a time. `con`: a connection of nobody else."""
    texts = (_TEXTS.get(sql_type, "{}").format(quoted(column)) for column, sql_type in shape.columns.items())
    fields = (f"coalesce(({text})::VARCHAR, '\\N')" for text in texts)
    file = f"read_parquet({literal(str(load.file))})"
    here = ""
    if shards > 1:
        found = con.execute(f"SELECT DISTINCT kato FROM {file} WHERE {_shard_in_duckdb(shards)} = {shard}").fetchall()
        here = f"WHERE kato IN ({', '.join(literal(kato) for (kato,) in found)})" if found else "WHERE false"
    line = f"concat(concat_ws(chr(9), {', '.join((literal(load.name), *fields))}), chr(10))"
    sql = f"SELECT {line} AS line FROM {file} {here}"
    for batch in con.sql(sql).to_arrow_reader(_ROWS_AT_ONCE):
        column = batch.column(0)
        # the lines stand one after the other in the column's own memory
        offsets, text = column.buffers()[1:]
        width = 8 if str(column.type) == "large_string" else 4
        first, last = (
            int.from_bytes(offsets[n * width : (n + 1) * width].to_pybytes(), "little")
            for n in (column.offset, column.offset + len(column))
        )
        yield text[first:last].to_pybytes()


def shard_of_row(shards: int) -> str:
    """Number of the shard a row belongs to, in ClickHouse: all rows of a settlement are on one."""
    return f"halfMD5(kato) % {shards}"


def text_literal(text: str) -> str:
    """A text in ClickHouse's SQL, where a backslash is not itself."""
    return literal(text.replace("\\", "\\\\"))


def load_name(text: str) -> str:
    """A load's name that can stand in SQL. Raises EngineError."""
    if not re.fullmatch(r"[0-9A-Za-z._-]+", text):
        raise EngineError(f"{text!r} is no name of a load; write the showcase's files anew with qala engine load")
    return text


def _shard_in_duckdb(shards: int) -> str:
    return f"('0x' || left(md5(kato), 16))::UBIGINT % {shards}"


def _type(name: str, sql_type: str) -> str:
    found = re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", sql_type)
    kind = f"Decimal({found[1]}, {found[2]})" if found else _TYPES.get(sql_type)
    if kind is None:
        raise EngineError(f"column {name} is {sql_type}, which ClickHouse does not hold as the warehouse does")
    return kind if name in _NEVER_NULL else f"Nullable({kind})"


def _meanings(contract: Table | None) -> dict[str, str]:
    """Column → its description, from the table's contract."""
    meanings = {name: said for name, (_, said) in SYSTEM_COLUMNS.items()}
    meanings[LOAD] = "Table and month of the deliveries that brought the row, as one piece"
    meanings["valid_to_seq"] = "Ledger sequence from which this version of the row no longer holds; NULL while it does"
    for column in contract.columns if contract else ():
        meanings[column.name] = column.description
    return meanings
