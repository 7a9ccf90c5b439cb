"""Rows at which engines like to differ, and what a definition may say about them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

COLUMNS = {
    "i": "INTEGER", "j": "INTEGER", "b": "BIGINT", "c": "BIGINT", "d": "DECIMAL(5,2)", "e": "DECIMAL(18,6)", "w": "DECIMAL(24,4)",
    "f": "BOOLEAN", "g": "BOOLEAN", "s": "VARCHAR", "r": "VARCHAR", "t": "TIMESTAMP", "u": "TIMESTAMP", "x": "DATE", "y": "DATE",
}  # fmt: skip
# type → a value of DuckDB as the engines' files have it
AS_ENGINES_KEEP_IT = {"TIMESTAMP": "epoch_us({})", "DATE": "date_diff('day', DATE '1970-01-01', {})::INTEGER"}
VALUES: dict[str, list[str | None]] = {
    "INTEGER": [None, "0", "1", "-1", "7", "-7", "1000", "2147483647", "-2147483648"],
    "BIGINT": [None, "0", "1", "-1", "3", "-86400000000", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
    "DECIMAL(5,2)": [None, "0", "0.01", "-0.01", "1.50", "0.90", "999.99", "-999.99"],
    "DECIMAL(18,6)": [None, "0", "0.000001", "1.5", "0.9", "-12.345678", "999999999999.999999", "-999999999999.999999", "9007199254.740993"],
    "DECIMAL(24,4)": [None, "0", "0.9", "-1.5", "99999999999999999999.9999", "-99999999999999999999.9999"],
    "BOOLEAN": [None, "true", "false"],
    "VARCHAR": [None, "", "a", "A", "it's", "back\\slash \\n \\%", "{rows} {x} ${y}", "Қала", "қала", "a ", "ё", "е", "100", "\U0001f600", "\uffee"],
    "TIMESTAMP": [
        None, "0001-01-01 00:00:00", "1582-10-10 12:00:00", "1899-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00",
        "1970-01-01 00:00:00.000001", "2000-02-29 12:34:56.789", "2023-12-31 23:59:59.999999", "2024-01-31 08:30:00", "2024-02-29 23:30:00",
        "2024-03-01 00:00:00", "2024-03-31 02:30:00", "2025-12-29 00:00:00", "2026-01-01 00:00:00", "2026-01-31 23:59:59.999999",
        "2100-02-28 01:00:00", "9999-12-31 23:59:59.999999",
    ],
    "DATE": [
        None, "0001-01-01", "1582-10-15", "1899-12-31", "1900-02-28", "1969-12-31", "1970-01-01", "2000-02-29", "2023-02-28", "2024-01-31",
        "2024-02-29", "2024-12-30", "2026-01-01", "2100-03-01", "9999-12-31",
    ],
}  # fmt: skip
CONDITIONS = [
    "f", "not f", "f and g", "f or g", "not (f and not g)", "f = g", "f <> g", "f < g", "f >= g", "f = true", "false <> g", "f is true", "f is not true",
    "f is false", "f is not false", "f is null", "f is not null", "(i > 0) is not true", "(i > 0) = (j > 0)", "f and null", "g or null",
    "not null", "null is null", "(f and null) is null", "f in (true, null)", "coalesce(f, g, false)", "greatest(f, g)", "least(f, g)",
    "i = j", "i <> j", "i < j", "i <= j", "i > j", "i >= j", "i = b", "b > c", "i = null", "i between -1 and j", "i not between 0 and 7",
    "i in (1, 7, 2147483647)", "i not in (1, null)", "b not in (3, 1)", "i in (0.5, 1.0)", "i is null",
    "d = e", "d < e", "d >= 0.9", "d >= 0.90000001", "e = w", "w > d", "d > i", "e <= b", "w >= b", "d between 0.005 and e", "d in (0, 0.01, 1.5)",
    "d / 3 > 0.3", "e / d >= 0.5", "i / j = 1", "i / j < 0.5", "i / j >= b / c", "i / j <> 0", "b / 3.0 > d", "1e-2 < d", "i / 0 > 1",
    "s = r", "s <> r", "s < r", "s <= r", "s >= 'b'", "s = 'it''s'", "s in ('Қала', '{rows} {x} ${y}', 'back\\slash \\n \\%')",
    "s not in ('a', 'A')", "s not in ('a', null)", "s between 'a' and 'z'", "coalesce(s, 'none') = r", "greatest(s, r, 'b') = s", "least(s, r) = r",
    "s is null", "s = ''",
    "t = u", "t < u", "t >= u", "x = y", "x < y", "t = x", "x <= t", "t >= '2024-02-29'", "t < '2024-02-29T23:30'", "x = '2024-02-29'",
    "x in ('2024-02-29', '9999-12-31')", "t between x and u", "t between '1969-12-31 23:59:59.999999' and '1970-01-01'", "t is null", "x is not null",
    "date_trunc('hour', t) = t", "coalesce(t, x, '2020-01-01') > u", "least(t, x) = t", "t in (u, x, null)",
]  # fmt: skip
NUMBERS = [
    "i", "b", "d", "e", "w", "-i", "-b", "-d", "abs(i)", "abs(b)", "abs(e)", "abs(-w)", "i + j", "i - j", "i * j", "b + c", "b - c", "b * c", "i + b",
    "i * 100000", "i * 3000000000", "b + 1", "i - 3000000000", "24 * date_diff('day', x, y)", "i * j * b", "(i + 1) * (j - 1)", "i * j - i * j",
    "d + e", "d - e", "d * e", "d + i", "e - b", "d * i", "e * i", "d * b", "e + e", "e * e", "w + d", "w - 0.00001", "d * 0.001", "i * 0.001", "b * 1.5",
    "w * 2", "-d * -1", "coalesce(i, j, 0)", "coalesce(i, b)", "coalesce(d, e)", "coalesce(d, 0)", "coalesce(i, 1.5)", "coalesce(null, i)",
    "greatest(i, j)", "greatest(i, b, 0)", "least(d, e, 1)", "least(i, j, null)", "greatest(d, i)", "greatest(i, 0) * 2", "least(w, e)",
    "i / j", "i / 3", "b / c", "d / 7", "e / 3.0", "e / d", "(i / 7) * (j / 3)", "i / 7 + 1", "i / 7 - d", "-(i / 3)", "abs(i / 3)", "d / 0.3 * 100",
    "greatest(i / j, 0.5)", "least(i / j, j / i)", "coalesce(i / j, 1)", "b / 86400000000.0", "i / 1e3", "1.5e-3 * i", "i * i / 10", "d * e / 2",
    "coalesce(i / 3, d, 0)", "x - y", "date_diff('microsecond', t, u) / 60000000.0", "date_diff('day', t, u) * 24",
    *(f"date_diff('{unit}', {a}, {b})" for unit in ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
      for a, b in (("t", "u"), ("x", "y"), ("x", "t"), ("'2024-02-29'", "u"))),
]  # fmt: skip
TIMES = [
    "t", "coalesce(t, u)", "coalesce(x, t)", "greatest(t, u)", "least(t, u, x)", "greatest(t, '2024-02-29')", "x + interval 1 day",
    "coalesce(t, '2020-01-01')",
    *(f"{a} {sign} interval {amount} {unit}" for a in ("t", "x") for sign in "+-" for amount, unit in (
        (1, "microsecond"), (1500, "millisecond"), (90, "second"), (61, "minute"), (25, "hour"), (30, "day"), (5, "week"), (1, "month"), (13, "month"),
        (1, "quarter"), (1, "year"), (4, "year"), (100, "year"))),
    "interval 1 month + t", "t + interval (-1) month",
    *(f"date_trunc('{unit}', {a})" for unit in ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
      for a in ("t", "x")),
]  # fmt: skip
DATES = ["x", "coalesce(x, y)", "greatest(x, y)", "least(x, '2024-02-29')"]
TEXTS = ["s", "coalesce(s, r)", "coalesce(s, 'it''s {rows} \\')", "greatest(s, r)", "least(s, r, 'b')"]


def rows(seed: int = 1, more: int = 150) -> Iterator[tuple[str | None, ...]]:
    """Every pair of hard values of one type, then rows drawn by chance; in the order of COLUMNS."""
    chance = random.Random(seed)  # noqa: S311
    names = list(COLUMNS)
    pairs = {names[n]: list(product(VALUES[COLUMNS[names[n]]], repeat=2)) for n in (0, 2, 7, 9, 11, 13)}
    for number in range(max(map(len, pairs.values())) + more):
        row = {name: chance.choice(VALUES[kind]) for name, kind in COLUMNS.items()}
        for name, both in pairs.items():
            if number < len(both):
                row |= dict(zip((name, names[names.index(name) + 1]), both[number], strict=True))
        yield tuple(row.values())


def by_chdb(sql: str) -> list[dict[str, Any]]:
    """The rows of ClickHouse's answer, embedded."""
    import chdb

    found: list[dict[str, Any]] = chdb.query(sql, "ArrowTable").to_pylist()  # type: ignore[no-untyped-call]
    return found
