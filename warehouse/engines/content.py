"""One number for all rows of a load, the same in every engine and whatever the order of the rows: what is compared after a load was read in.

A row becomes a text that no other row becomes: value after value, each with a mark of where it ends. Dates and times are whole numbers in
it, as engines hold them in types of their own. The first 60 bits of the text's MD5 are added up over the rows, modulo 2^64. What chance or
a fault does to a load (a row lost, doubled or changed) is seen; it is no seal against forgery, that is the ledger's (store/seals.py).
Does not belong here: what is done about a difference (step.py), the content of a whole warehouse (store/content.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from warehouse.engines.engine import EngineError

ROWS, CONTENT = "load_rows", "load_content"
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), "whole"),
    **{"BOOLEAN": "boolean", "VARCHAR": "text", "DATE": "date", "TIMESTAMP": "time", "TIMESTAMPTZ": "instant"},
}
# those of more are no 64-bit numbers in ClickHouse, and 18.16 writes them as text with bytes in the middle that are no digits
_DIGITS = 18


@dataclass(frozen=True)
class _Dialect:
    """`{}` is a column, in `total` the text of a row."""

    quote: str
    texts: Mapping[str, str]  # kind → the value as text
    length: str  # of a text in bytes, as text
    if_null: str  # function of a value and what stands in its place
    total: str
    join: Callable[[tuple[str, ...]], str]  # texts of which one is NULL make NULL


def _concatenated(parts: tuple[str, ...]) -> str:
    return f"concat({', '.join(parts)})"


_DUCKDB = _Dialect(
    '"',
    {
        "text": "{}",
        "whole": "CAST({} AS VARCHAR)",
        "boolean": "CAST(CAST({} AS INTEGER) AS VARCHAR)",
        "date": "CAST(date_diff('day', DATE '1970-01-01', {}) AS VARCHAR)",
        "time": "CAST(epoch_us({}) AS VARCHAR)",
        "instant": "CAST(epoch_us({}) AS VARCHAR)",
        "decimal": "CAST({} AS VARCHAR)",
        "fraction": "rtrim(CAST({} AS VARCHAR), '0')",
    },
    "CAST(strlen({}) AS VARCHAR)",
    "coalesce",
    "CAST(coalesce(sum(CAST('0x' || left(md5({}), 15) AS BIGINT)), 0) % 18446744073709551616 AS VARCHAR)",
    " || ".join,
)
_CLICKHOUSE = _Dialect(
    '"',
    {
        "text": "{}",
        # newer versions leave out the zeros at a fraction's end, older ones do not
        "fraction": "if(position(toString({0}), '.') = 0, concat(toString({0}), '.'), replaceRegexpOne(toString({0}), '0+$', ''))",
        **dict.fromkeys(("whole", "boolean", "date", "time", "instant", "decimal"), "toString({})"),
    },
    "toString(length({}))",
    "ifNull",
    # a sum of UInt64 is taken modulo 2^64 there
    "toString(sum(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5({}), 1, 8))), 4)))",
    _concatenated,
)
_SPARK = _Dialect(
    "`",
    {
        "text": "{}",
        "whole": "CAST({} AS STRING)",
        "boolean": "CAST(CAST({} AS INT) AS STRING)",
        "date": "CAST(unix_date({}) AS STRING)",
        "time": "CAST(timestampdiff(MICROSECOND, TIMESTAMP_NTZ '1970-01-01 00:00:00', {}) AS STRING)",
        "instant": "CAST(unix_micros({}) AS STRING)",
        "decimal": "CAST({} AS STRING)",
        "fraction": "trim(TRAILING '0' FROM CAST({} AS STRING))",
    },
    "CAST(octet_length({}) AS STRING)",
    "coalesce",
    "CAST(coalesce(sum(CAST(conv(left(md5(CAST({} AS BINARY)), 15), 16, 10) AS DECIMAL(20,0))), 0) % 18446744073709551616 AS STRING)",
    _concatenated,
)
_DIALECTS: Mapping[str, _Dialect] = {"duckdb": _DUCKDB, "clickhouse": _CLICKHOUSE, "spark": _SPARK}


def content_sql(columns: Mapping[str, str], dialect: str) -> str:
    """Two columns of a SELECT over a relation that has `columns` (name → SQL type of the warehouse; in this order): ROWS and CONTENT.

    CONTENT is a whole number below 2^64, as text, which no client rounds; '0' if there are no rows. In ClickHouse dates are held as days
    and times as microseconds since 1970-01-01, booleans as 0 and 1. Raises EngineError for a type that not every engine holds alike.
    """
    say = _DIALECTS[dialect]
    row = _concatenated(tuple(_value(name, sql_type, say) for name, sql_type in columns.items()))
    return f"count(*) AS {ROWS}, {say.total.format(row)} AS {CONTENT}"


def _value(name: str, sql_type: str, say: _Dialect) -> str:
    """A value's text and its end: numbers end with a comma, a text begins with its length in bytes, `~` is NULL."""
    column = f"{say.quote}{name.replace(say.quote, say.quote * 2)}{say.quote}"
    kind = _kind(name, sql_type)
    text = say.texts[kind].format(column)
    parts = (say.length.format(column), "':'", text) if kind == "text" else (text, "','")
    return f"{say.if_null}({say.join(parts)}, '~')"


def _kind(name: str, sql_type: str) -> str:
    if kind := _KINDS.get(sql_type.upper()):
        return kind
    if found := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", sql_type.upper()):
        digits, scale = int(found[1]), int(found[2])
        if digits <= _DIGITS:
            return "fraction" if scale else "decimal"
    raise EngineError(
        f"column {name} is {sql_type}, which not every engine holds exactly; "
        f"use VARCHAR, BOOLEAN, INTEGER, BIGINT, DECIMAL(p,s) of at most {_DIGITS} digits, DATE or TIMESTAMP in its contract"
    )
