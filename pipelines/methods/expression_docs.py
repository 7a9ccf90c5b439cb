"""The page of what `transformLogic`, `where` and `by` of a source contract may say: every function with a call, and what comes of it.

Results are not written down but come of the calls, as the first gate would make them; a test holds that every function on the list has
one. Does not belong here: the list itself (kpi_definitions/expressions.py), functions of KPI definitions (reference_docs.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.mapping.cell_grammar import Cell, Numerals
from connectors.mapping.source_contract import SourceContract
from connectors.mapping.transform import CONSTANTS, transform

# what it does → calls
CALLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "compare; text with text, else after a cast",
        ("'A' = 'A'", "'A' <> 'B'", "1 < 2", "1 <= 2", "3 > 2", "3 >= 2", "2 between 1 and 3", "'A' in ('A', 'B')"),
    ),
    ("whether there is anything", ("null is null", "'A' is not null")),
    ("conditions together", ("true and (not false or false)",)),
    ("choose", ("case when 1 = 2 then 'A' else 'B' end", "coalesce(null, 'B')", "nullif('A', 'A')")),
    ("least and greatest of several", ("least(3, 2)", "greatest(3, 2)")),
    (
        "read a text by the contract's grammar; what cannot be read rejects the cell",
        (
            "cast('1 000,5' as decimal(10, 2))",
            "cast('12' as integer)",
            "try_cast('12' as bigint)",
            "cast('2026-03-05 14:00' as timestamp)",
            "cast('2026-03-05' as date)",
            "cast('14:30' as time)",
            "cast('true' as boolean)",
        ),
    ),
    ("pass over what fails: nothing instead", ("try(cast('?' as integer))",)),
    (
        "reckon",
        (
            "2 + 3",
            "5 - 2",
            "2 * 3",
            "7 / 2",
            "7 // 2",
            "7 % 2",
            "-abs(-3)",
            "round(2.45, 1)",
            "floor(2.5)",
            "ceil(2.5)",
        ),
    ),
    ("put texts together", ("'A' || '-' || '7'", "concat('A', '-', '7')", "concat_ws('/', 'A', '7')")),
    (
        "take texts apart",
        (
            "substring('2026-03', 6, 2)",
            "left('2026-03', 4)",
            "right('2026-03', 2)",
            "split_part('12/7', '/', 2)",
            "length('дом')",
        ),
    ),
    (
        "write texts otherwise",
        (
            "lower('Дом')",
            "upper('Дом')",
            "trim('  A ')",
            "replace('1.200', '.', '')",
            "lpad('7', 3, '0')",
            "rpad('7', 3, '0')",
        ),
    ),
    (
        "patterns (RE2)",
        (
            "regexp_matches('дом 12а', '[0-9]+')",
            "regexp_full_match('12', '[0-9]+')",
            "regexp_extract('дом 12а', '[0-9]+')",
            "regexp_replace('12 а', '[^0-9]', '')",
        ),
    ),
    (
        "times of parts and of texts of another pattern",
        (
            "make_date(2026, 3, 5)",
            "make_timestamp(2026, 3, 5, 14, 0, 0)",
            "strptime('05.03.26', '%d.%m.%y')",
            "try_strptime('?', '%d.%m.%y')",
        ),
    ),
    (
        "reckon with times",
        (
            "date_trunc('hour', cast('2026-03-05 14:40' as timestamp))",
            "date_trunc('month', cast('2026-03-05' as date))",
            "cast('2026-03-05' as date) + interval 1 day",
            "date_diff('day', cast('2026-03-01' as date), cast('2026-03-05' as date))",
            "cast('2026-03-05' as date) + to_days(2)",
            "cast('2026-03-05' as date) + to_hours(5)",
            "cast('2026-03-05' as date) + to_minutes(90)",
            "cast('2026-03-05' as date) + to_seconds(30)",
        ),
    ),
)


def expressions_page() -> str:
    """The page as Markdown, but for its first line."""
    lines = [f"| {what} | `` {call.replace('|', chr(92) + '|')} `` | `{result}` |" for what, call, result in _results()]
    constants = ", ".join(f"`{name}` ({kind.lower()})" for name, kind in CONSTANTS.items())
    return (
        "# What a source contract's expressions may say\n\n"
        "`transformLogic` of a property, top-level `where`, and `by` of `repeatedKeys` ([0043](../adr/0043-which-records-are-rows.md)). Headers stand in "
        "double quotes and are texts without the blanks around them; placeholders for nothing are NULL. Nothing is cast without being told to. What is not "
        "here is refused by `qala check`: no table, file or subquery can be named, and nothing that depends on the clock or on chance.\n\n"
        f"Of the delivery there are {constants}: the first day, the last day (inclusive), the day after it, and the settlement it is declared for (NULL if "
        "that is a region or the country). A header of such a name is meant where `transformSourceObjects` lists it.\n\n"
        "Results are those of a contract with `decimalSeparator: ','` and `groupSeparator: ' '`; `NULL` is nothing.\n\n"
        "| what for | call | result |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def _results() -> Iterator[tuple[str, str, str]]:
    import duckdb

    cell, contract = Cell("VARCHAR", Numerals(",", " ")), SourceContract("", "", "", "", (), ())
    with duckdb.connect() as con:
        for what, calls in CALLS:
            for call in calls:
                sql = transform(call, ()).sql(cell, contract.civil)
                (result,) = con.execute(f"SELECT CAST(TRY({sql}) AS VARCHAR)").fetchall()[0]
                yield what, call, "NULL" if result is None else result
