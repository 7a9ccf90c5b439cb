"""Rows of a database as Parquet: every value with a type of its own, decimals as decimals, what has no type here refused by name.

Rows come batch by batch and are spooled as text that loses nothing; what a column is shows when its last value was seen, and only then is the
Parquet file written, batch by batch again. Does not belong here: asking the database (sql.py).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MOST_DIGITS = 38
_INT64 = 1 << 63
# Python's types, as drivers give values, and what becomes of them; a subclass before its class
_KINDS: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    Decimal: "decimal",
    float: "double",
    str: "text",
    dt.datetime: "timestamp",
    dt.date: "date",
    dt.time: "text",
    uuid.UUID: "text",
}
DECLARED = ("decimal", "double", "integer", "text")
_WIDER = {frozenset({"integer", "decimal"}): "decimal", frozenset({"integer", "double"}): "double"}


class ColumnError(ValueError):
    """A column cannot be kept as it is: which one, why, and what to do."""

    def __init__(self, said: str, remedy: str):
        self.said, self.remedy = said, remedy
        super().__init__(f"{said}; {remedy}")


@dataclass
class Column:
    """What is known of a column so far."""

    name: str
    declared: str | None = None
    kind: str | None = None
    scale: int = 0
    whole: int = 1  # digits before the decimal point
    aware: bool | None = None

    def text(self, value: Any, *, floats_lie: bool) -> str | None:
        """A value as text that loses nothing. Raises ColumnError. `floats_lie`: the database keeps decimals as floats."""
        if value is None:
            return None
        kind = next((k for t, k in _KINDS.items() if isinstance(value, t)), None)
        if kind is None:
            raise ColumnError(
                f"column {self.name} is of the type {type(value).__name__}, which is not mapped",
                "cast it to text in the query, in a way that loses nothing",
            )
        if kind == "double" and floats_lie and self.declared is None:
            raise ColumnError(
                f"column {self.name} holds floating point numbers, and this database keeps decimals so",
                f"declare what they are: types: {{{self.name}: decimal}}, or double",
            )
        if self.declared is not None and kind != self.declared:
            kind, value = self._as_declared(kind, value)
        self._widen(kind)
        if isinstance(value, int) and not isinstance(value, bool):
            self.whole = max(self.whole, len(str(abs(value))))
        elif isinstance(value, Decimal):
            return self._decimal(value)
        elif isinstance(value, dt.datetime):
            return self._moment(value)
        return repr(value) if isinstance(value, float) else str(value)

    def _as_declared(self, kind: str, value: Any) -> tuple[str, Any]:
        wanted = str(self.declared)
        if wanted == "decimal" and kind in ("double", "integer"):
            return wanted, Decimal(repr(value))
        if wanted == "text":
            return wanted, repr(value) if kind == "double" else str(value)
        if wanted == "double" and kind == "integer":
            return wanted, float(value)
        raise ColumnError(
            f"column {self.name} is declared as {wanted} and holds a {kind}: {type(value).__name__}",
            "cast it in the query",
        )

    def _widen(self, kind: str) -> None:
        if self.kind is None or self.kind == kind:
            self.kind = kind
            return
        wider = _WIDER.get(frozenset({self.kind, kind}))
        if wider is None:
            raise ColumnError(
                f"column {self.name} holds values of two types, {self.kind} and {kind}", "cast it to one in the query"
            )
        self.kind = wider

    def _decimal(self, value: Decimal) -> str:
        if not value.is_finite():
            raise ColumnError(
                f"column {self.name} holds {value}, which is no number", "leave it out in the query, or make it NULL"
            )
        plain = f"{value:f}"
        whole, _, fraction = plain.lstrip("-").partition(".")
        self.whole, self.scale = max(self.whole, len(whole)), max(self.scale, len(fraction))
        if self.whole + self.scale > MOST_DIGITS:
            raise ColumnError(
                f"column {self.name} needs more than {MOST_DIGITS} digits", "cast it to text in the query"
            )
        return plain

    def _moment(self, value: dt.datetime) -> str:
        aware = value.tzinfo is not None
        if self.aware not in (None, aware):
            raise ColumnError(
                f"column {self.name} holds moments with and without a time zone", "cast it to one in the query"
            )
        self.aware = aware
        return (value.astimezone(dt.UTC) if aware else value).replace(tzinfo=None).isoformat(" ")

    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        if self.kind == "integer":
            return pa.int64() if self.whole < len(str(_INT64)) else pa.decimal128(MOST_DIGITS, 0)
        if self.kind == "decimal":
            return pa.decimal128(self.whole + self.scale, self.scale)
        plain = {"boolean": pa.bool_(), "double": pa.float64(), "date": pa.date32()}
        if self.kind == "timestamp":
            return pa.timestamp("us", "UTC" if self.aware else None)
        return plain.get(str(self.kind), pa.string())


def columns_of(names: Sequence[str], declared: Mapping[str, str]) -> list[Column]:
    """Raises ColumnError for a name that comes twice or is declared and not there."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ColumnError(f"two columns are called {twice}", "give one another name: AS …")
    if unknown := sorted({*declared} - {*names}):
        raise ColumnError(
            f"types names {unknown[0]}, and there is no such column: {', '.join(names)}", "name a column of the query"
        )
    return [Column(name, declared.get(name)) for name in names]


def write_parquet(
    columns: list[Column], batches: Iterable[Sequence[Sequence[Any]]], file: Path, *, floats_lie: bool
) -> int:
    """Write rows, batch by batch, as a Parquet file. Returns how many. Raises ColumnError; then there is no file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spool, rows = file.with_suffix(".spool"), 0
    texts = pa.schema([(column.name, pa.string()) for column in columns])
    try:
        with pa.OSFile(str(spool), "wb") as sink, pa.ipc.new_file(sink, texts) as writer:
            for batch in batches:
                rows += len(batch)
                cells = [
                    pa.array([column.text(row[n], floats_lie=floats_lie) for row in batch], pa.string())
                    for n, column in enumerate(columns)
                ]
                writer.write_batch(pa.record_batch(cells, schema=texts))
        schema = pa.schema([(column.name, column.arrow()) for column in columns])
        with (
            pa.OSFile(str(spool)) as source,
            pa.ipc.open_file(source) as reader,
            pq.ParquetWriter(file, schema, compression="zstd") as target,
        ):
            for n in range(reader.num_record_batches):
                target.write_table(_typed(reader.get_batch(n), schema))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        spool.unlink(missing_ok=True)
    return rows


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Texts as what they stand for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    for column, field in zip(batch.columns, schema, strict=True):
        if pa.types.is_boolean(field.type):
            column = pc.utf8_lower(column)
        elif pa.types.is_timestamp(field.type) and field.type.tz:
            column = pc.cast(column, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        found.append(pc.cast(column, field.type))
    return pa.table(found, schema=schema)
