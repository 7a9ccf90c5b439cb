"""ClickHouse's answers, CSV with a header, as values: exact, or an error. Does not belong here: what is asked."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from warehouse.engines.engine import EngineError

if TYPE_CHECKING:
    import pyarrow as pa

_NULL = "\\N"


def records(answer: bytes) -> list[tuple[str, ...]]:
    """Rows of a small answer, as text."""
    return [tuple(row) for row in csv.reader(io.StringIO(answer.decode(), newline=""))][1:]


def columns_of_answer(answer: bytes, columns: Mapping[str, str], where: str) -> pa.Table:
    """An answer with `columns` (name → SQL type of the warehouse) and no others.

    Dates come as days, times as microseconds since 1970-01-01, sums of whole numbers and decimals with all their digits.
    Raises EngineError for anything that does not fit its type to the last digit.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    held = {name: _held(sql_type) for name, sql_type in columns.items()}
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(answer),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=held,
                null_values=[_NULL],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["1", "true"],
                false_values=["0", "false"],
            ),
        )
        if table.column_names != list(columns):
            raise EngineError(
                f"{where} answered with columns {', '.join(table.column_names)}, not {', '.join(columns)}"
            )
        return pa.table({name: _meant(table.column(name), sql_type) for name, sql_type in columns.items()})
    except pa.ArrowInvalid as error:
        raise EngineError(f"{where} gave an answer that cannot be read exactly: {error}") from error


def _held(sql_type: str) -> pa.DataType:
    """Type of a column as it comes."""
    import pyarrow as pa

    if found := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", sql_type):
        return pa.decimal128(38, int(found[2]))
    whole = {"DATE": pa.int32(), "TIMESTAMP": pa.int64(), "HUGEINT": pa.decimal128(38, 0), "INTEGER": pa.int32()}
    return {**whole, "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()}.get(sql_type, pa.string())


def _meant(column: pa.ChunkedArray, sql_type: str) -> pa.ChunkedArray:
    import pyarrow as pa

    if sql_type == "DATE":
        return column.cast(pa.date32())
    return column.cast(pa.timestamp("us")) if sql_type == "TIMESTAMP" else column
