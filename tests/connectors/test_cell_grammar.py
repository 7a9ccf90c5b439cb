"""The grammar of cells, without files and warehouse: what is a value, what is nothing, what is neither; and what a contract may say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.mapping.cell_grammar import SERIAL, Cell, Numerals
from connectors.mapping.civil_time import civil_time
from connectors.mapping.column_cells import cells_of_table
from connectors.mapping.read_contracts import parse_source
from connectors.mapping.source_contract import SourceContract, standard
from kpi_definitions.documents import DocumentError, read
from tests.support.files import contract_text
from warehouse.sql import quoted
from warehouse.tables.contracts import load_tables, parse_table

GAP, BROKEN = "gap", "broken"
ALMATY, AKTAU, KYZYLORDA, KOSTANAY = "750000000", "471010000", "431010000", "391010000"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'Asia/Almaty'")
        yield con


def civil(instant: str) -> str:
    return f"timezone('Asia/Almaty', {instant})"


def outcome(con: duckdb.DuckDBPyConnection, cell: Cell, text: str) -> Any:
    """The value, or GAP, or BROKEN."""
    inner = f"SELECT x, {cell.value('x', civil)} AS v FROM (SELECT CAST(? AS VARCHAR) AS x)"
    row = con.execute(f"SELECT v, {cell.unreadable('x', 'v')} FROM ({inner})", [text]).fetchone()
    assert row is not None
    return BROKEN if row[1] else GAP if row[0] is None else row[0]


COUNT, SIGNED, AMOUNT = Cell("INTEGER", lowest=0), Cell("INTEGER"), Cell("DECIMAL(8, 3)", lowest=0)
COMMA, POINTS = Numerals(",", " "), Numerals(",", ".")


SERIALS = Cell("TIMESTAMP", pattern=SERIAL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("46086.5", "2026-03-05 12:00:00"),
        (" 45413.5729166667 ", "2024-05-01 13:45:00"),
        ("1", GAP),  # 1900-01-01, as systems write no date
        ("2", "1900-01-02 00:00:00"),
        ("59", "1900-02-28 00:00:00"),
        ("60", BROKEN),  # 29 February 1900, which spreadsheets have and the calendar has not
        ("61", "1900-03-01 00:00:00"),
        ("99999", BROKEN),
        ("-5", BROKEN),
        ("46086,5", BROKEN),
        ("2026-03-05 12:00:00", "2026-03-05 12:00:00"),
        ("05.03.2026", BROKEN),
        ("н/д", GAP),
    ],
)
def test_days_of_a_spreadsheet(con: duckdb.DuckDBPyConnection, text: str, expected: str) -> None:
    assert str(outcome(con, SERIALS, text)) == expected
    day = expected.partition(" ")[0]
    assert str(outcome(con, Cell("DATE", pattern=SERIAL), text)) == day


@pytest.mark.parametrize("error", ["#REF!", " #div/0! ", "#NAME?", "#CALC!"])
def test_errors_of_spreadsheets_are_nothing_in_texts_and_unreadable_elsewhere(
    con: duckdb.DuckDBPyConnection, error: str
) -> None:
    assert outcome(con, Cell("VARCHAR"), error) == GAP
    assert [outcome(con, Cell(t), error) for t in ("INTEGER", "DECIMAL(8, 3)", "DATE", "BOOLEAN")] == [BROKEN] * 4
    assert outcome(con, Cell("VARCHAR"), "#7") == "#7"


@pytest.mark.parametrize(
    ("cell", "text", "expected"),
    [
        (Cell("INTEGER", COMMA), "1\u2009234\u00a0567", 1234567),
        (Cell("INTEGER", COMMA), "1 000,0", 1000),
        (Cell("INTEGER", COMMA), "1 00", BROKEN),
        (Cell("INTEGER", POINTS), "12.000", 12000),
        (Cell("INTEGER", POINTS), "12.00", BROKEN),
        (Cell("INTEGER", Numerals(",")), "3,000", BROKEN),
        (COUNT, "2.5", BROKEN),
        (COUNT, "\u20075\u200b", 5),
        (COUNT, "-999", GAP),
        (COUNT, "-99999.0", GAP),
        (COUNT, "-998", -998),  # left to the rule of the range
        (SIGNED, "-999", -999),
        (Cell("INTEGER", lowest=0, real=frozenset({"-999"})), "-999", -999),
        (AMOUNT, "12.500", Decimal("12.500")),
        (AMOUNT, "1_000", BROKEN),
        (AMOUNT, "0.30000000000000004", Decimal("0.300")),
        (AMOUNT, "12.300000190734863", Decimal("12.300")),  # a float of four bytes
        (AMOUNT, "12.3004", BROKEN),
        (AMOUNT, "12.300000", Decimal("12.300")),
        (AMOUNT, "1e-5", BROKEN),
        (AMOUNT, "nan", GAP),
        (Cell("DECIMAL(8, 3)", Numerals(rounding=True)), "12.3005", Decimal("12.301")),
        (Cell("DECIMAL(8, 3)", Numerals(declared=False)), "12.500", BROKEN),  # or 12,500?
        (Cell("DECIMAL(8, 3)", Numerals(declared=False)), "12.50", Decimal("12.500")),
        (Cell("DECIMAL(8, 3)", POINTS, native=True), "9.8", Decimal("9.800")),  # a number of Parquet
        (Cell("DECIMAL(8, 3)", placeholders=("777",)), " 777,0", GAP),
        (Cell("DECIMAL(8, 3)", missing=("", "99999")), "99999", GAP),
        (Cell("BOOLEAN", true_values=("да",), false_values=("нет", "-")), "\u00a0ДА ", True),
        (Cell("BOOLEAN", true_values=("да",), false_values=("нет", "-")), "-", False),
        (Cell("BOOLEAN", true_values=("да",), false_values=("нет",)), " - ", GAP),
        (Cell("BOOLEAN"), "\ttrue\u3000", True),
    ],
)  # fmt: skip
def test_numbers_and_truths(con: duckdb.DuckDBPyConnection, cell: Cell, text: str, expected: Any) -> None:
    assert outcome(con, cell, text) == expected


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((t, GAP) for t in ("9999-12-31", "9999-12-31 23:59:59", "1899-12-30 00:00:00", "1899-12-31T12:00:00Z", "1900-01-01")),
        *((t, GAP) for t in ("1970-01-01", "1970-01-01T00:00:00Z", "1970-01-01 06:00:00", "0001-01-01T00:00:00", "0000-00-00", " Н/Д ", "NULL")),
        *((t, BROKEN) for t in ("3026-01-10", "0026-01-10", "1899-06-01", "epoch", "-infinity", "вчера")),
        ("1970-01-01 00:00:01", at(1970, 1, 1, 0, 0, 1)),
        ("1900-01-02", at(1900, 1, 2)),
        ("2100-12-31", at(2100, 12, 31)),
    ],
)  # fmt: skip
def test_placeholder_dates_are_gaps_and_mistyped_years_are_not(
    con: duckdb.DuckDBPyConnection, text: str, expected: Any
) -> None:
    assert outcome(con, Cell("TIMESTAMP"), text) == expected


def test_a_date_pattern_knows_placeholders_too(con: duckdb.DuckDBPyConnection) -> None:
    cell = Cell("TIMESTAMP", pattern="%d.%m.%Y")
    assert [outcome(con, cell, t) for t in ("31.12.9999", "01.01.1970", "10.01.3026", " 05.01.2026\u00a0")] == [
        GAP,
        GAP,
        BROKEN,
        at(2026, 1, 5),
    ]


@pytest.mark.parametrize(
    "word", ["н/д", "Н/Д", "нет данных", "Нет \u00a0данных", "n/a", "NULL", "-", "#N/A", "NaN", " — ", "\u3000"]
)
def test_words_for_nothing(con: duckdb.DuckDBPyConnection, word: str) -> None:
    assert [outcome(con, Cell(kind), word) for kind in ("VARCHAR", "INTEGER", "DATE", "BOOLEAN")] == [GAP] * 4


@pytest.mark.parametrize("word", ["нет", "North", "N12", "none", "дорога", "A-1", "0", "n", "NA"])
def test_texts_that_only_look_like_them(con: duckdb.DuckDBPyConnection, word: str) -> None:
    for around in ("", " ", "\t", "\u00a0", "\ufeff"):
        assert outcome(con, Cell("VARCHAR"), f"{around}{word}{around}") == word


def test_a_contract_reaches_further_back_and_takes_placeholders_away() -> None:
    column = cells_of_table(load_tables()["dim_building"])["commissioned_at"]
    assert (column.earliest, column.latest) == ("1700-01-01", "2100-12-31")
    with duckdb.connect() as con:
        assert outcome(con, column, "1870-05-01") == dt.date(1870, 5, 1)
        assert outcome(con, column, "1970-01-01") == dt.date(1970, 1, 1)
        assert outcome(con, column, "1899-12-30") == GAP


# --- civil time ---


@pytest.mark.parametrize(
    ("scope", "instant", "expected"),
    [
        (AKTAU, "2023-05-31T18:30:00Z", at(2023, 5, 31, 23, 30)),
        (ALMATY, "2023-05-31T18:30:00Z", at(2023, 6, 1, 0, 30)),
        (KYZYLORDA, "2018-12-20T17:59:00Z", at(2018, 12, 20, 23, 59)),
        (KYZYLORDA, "2018-12-20T18:30:00Z", at(2018, 12, 20, 23, 30)),
        (KOSTANAY, "2024-02-29T17:59:00Z", at(2024, 2, 29, 23, 59)),
        (KOSTANAY, "2024-02-29T18:30:00Z", at(2024, 2, 29, 23, 30)),
        (KOSTANAY, "2024-02-29T19:00:00Z", at(2024, 3, 1)),
    ],
)
def test_an_instant_in_the_time_of_its_settlement(
    con: duckdb.DuckDBPyConnection, scope: str, instant: str, expected: dt.datetime
) -> None:
    """Alone, where the zone is named once, and in a file of the country, where each row tells its settlement."""
    for scopes in ([scope], ["KZ"], [scope, ALMATY]):
        sql = Cell("TIMESTAMP").value("x", civil_time(scopes, "kato"))
        assert con.execute(f"SELECT {sql} FROM (SELECT ? AS x, ? AS kato)", [instant, scope]).fetchone() == (expected,)


# --- expressions ---


def contract(tmp_path: Path, properties: str, settings: Mapping[str, str] | None = None) -> SourceContract:
    file = tmp_path / "source.odcs.yaml"
    file.write_text(contract_text("s", "fct_outage", KEY + properties, settings=settings), encoding="utf-8")
    return parse_source(read(file), load_tables())


MAPPED = "      - {name: customers_affected, physicalName: n}\n"
KEY = (
    "".join(f"      - {{name: {n}}}\n" for n in ("outage_id", "started_at"))
    + """\
      - {name: resource, transformLogic: "'ELECTRICITY'"}
      - {name: is_planned, transformLogic: 'false'}
"""
)


def logic(name: str, expression: str, *headers: str) -> str:
    return f'      - {{name: {name}, transformSourceObjects: [{", ".join(headers)}], transformLogic: "{expression}"}}\n'


def worked_out(con: duckdb.DuckDBPyConnection, source: SourceContract, name: str, **headers: str | None) -> Any:
    kind = next(c.sql_type for c in load_tables()["fct_outage"].columns if c.name == name)
    names: dict[str, str | None] = {**dict.fromkeys(("outage_id", "started_at", "n")), **headers}
    texts = ", ".join(f"CAST(? AS VARCHAR) AS {quoted(n)}" for n in names)
    made = f"SELECT *, {', '.join(source.made())} FROM (SELECT {texts})"
    value = f"SELECT *, {source.typed(name, kind)[1]} AS {quoted('=' + name)} FROM ({made})"
    row = con.execute(
        f"SELECT {quoted('=' + name)}, {source.unreadable(name, kind)} FROM ({value})", [*names.values()]
    ).fetchone()
    assert row is not None
    return BROKEN if row[1] else GAP if row[0] is None else row[0]


@pytest.mark.parametrize(
    ("expression", "cells_", "expected"),
    [
        ("coalesce(a, '0')", {"a": "2.5"}, BROKEN),
        ("coalesce(a, '0')", {"a": "н/д"}, 0),
        ("cast(a as integer)", {"a": "2.5"}, BROKEN),
        ("cast(a as integer)", {"a": "1 000"}, 1000),
        ("cast(a as integer)", {"a": " - "}, GAP),
        ("coalesce(try_cast(a as integer), 0)", {"a": "2.5"}, BROKEN),
        ("coalesce(try(cast(a as integer)), 0)", {"a": "2.5"}, 0),
        ("try_cast(a as decimal(9,3)) * 2", {"a": "1,5"}, 3),
        ("try_cast(a as decimal(9,3)) * 2", {"a": "1,3"}, BROKEN),
        ("case when a = 'x' then 7 else cast(a as integer) end", {"a": "x"}, 7),
        ("try_cast(a as integer) // 2", {"a": "9"}, 4),
    ],
)  # fmt: skip
def test_casts_of_an_expression_do_not_round(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, expression: str, cells_: Mapping[str, str], expected: Any
) -> None:
    settings = {"decimalSeparator": "','", "groupSeparator": "' '"}
    source = contract(tmp_path, logic("customers_affected", expression, "a"), settings)
    assert worked_out(con, source, "customers_affected", **cells_) == expected


@pytest.mark.parametrize(
    ("expression", "a", "b", "expected"),
    [
        ("coalesce(a, b)", None, "2025-01-31T22:00:00Z", at(2025, 2, 1, 3)),
        ("coalesce(a, b)", "9999-12-31", "2025-01-31T22:00:00Z", GAP),
        ("coalesce(cast(a as timestamp), cast(b as timestamp))", "9999-12-31", "2025-01-31T22:00:00Z", at(2025, 2, 1, 3)),
        ("greatest(cast(a as timestamp), cast(b as timestamp))", "2025-2-1 02:00:00", "2025-01-31T22:00:00Z", at(2025, 2, 1, 3)),
        ("cast(a as timestamp) + to_hours(cast(b as bigint))", "2025-01-1T00:00:00Z", "1", at(2025, 1, 1, 6)),
        ("cast(a as timestamp)", "epoch", None, BROKEN),
        ("try(cast(a as timestamp))", "epoch", None, GAP),
        ("strptime(a, '%d.%m.%Y')", "01.02.2025", None, at(2025, 2, 1)),
        ("strptime(a, '%d.%m.%Y')", "31.02.2025", None, BROKEN),
        ("strptime(a, '%d.%m.%Y')", "01.02.3025", None, BROKEN),
    ],
)  # fmt: skip
def test_offsets_count_in_expressions(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, expression: str, a: str | None, b: str | None, expected: Any
) -> None:
    source = contract(tmp_path, MAPPED + logic("ended_at", expression, "a", "b"))
    assert worked_out(con, source, "ended_at", a=a, b=b) == expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a * 2", "DuckDB refuses it"),
        ("case when a > 2 then 1 else 0 end", "DuckDB refuses it"),
        ("case when a = 2 then 1 else 0 end", "compares a text with another type"),
        ("case when a in (1, 2) then 1 else 0 end", "compares a text with another type"),
        ("case a when 1 then 1 end", "compares a text with another type"),
        ("nullif(a, 0)", "compares a text with another type"),
        ("case when a > b then 1 else 0 end", "orders texts by their letters"),
        ("greatest(a, b)", "orders texts by their letters"),
        ("case when not a then 1 else 0 end", "is no condition"),
        ("case when a then 1 else 0 end", "is no condition"),
    ],
)
def test_an_expression_that_would_cast_in_silence_is_a_fault(tmp_path: Path, expression: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as raised:
        contract(tmp_path, logic("customers_affected", expression, "a", "b"))
    assert [fault.line for fault in raised.value.faults] == [17]


# --- what a contract may say ---


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("otherHeaders", "refuze", "otherHeaders 'refuze' is not known"),
        ("format", "docx", "format 'docx' is not known"),
        ("format", "[csv]", "is not known"),
        ("rounding", "up", "rounding 'up' is not known"),
        ("missingValues", "NA", "no list of words"),
        ("missingValues", "{a: b}", "no list of words"),
        ("missingValues", "[null]", "no list of words"),
        ("placeholders", "5", "no list of words"),
        ("decimalSeparator", "'5'", "separates no decimals"),
        ("decimalSeparator", "',,'", "separates no decimals"),
        ("decimalSeparator", "[',']", "separates no decimals"),
        ("groupSeparator", "'.'", "are both '.'"),
        ("groupSeparator", "0", "separates no groups"),
        ("groupSeparator", "'  '", "separates no groups"),
        ("encoding", "[utf-8]", "is not known"),
        ("encoding", "5", "is not known"),
        ("delimiter", "a", "is not one character"),
        ("quote", "','", "are both ','"),
        ("system", "standard", "exchange format"),
        ("system", "5", "cannot be a code"),
    ],
)
def test_a_setting_that_means_nothing_is_a_fault(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        contract(tmp_path, MAPPED, {key: value})


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("codes, value: [a, b]", "no list of codes"),
        ("codes, value: {a: [1]}", "no list of codes"),
        ("codes, value: {a: zero}", "breaks customers_affected.type"),
        ("codes, value: {a: -1}", "breaks customers_affected.range"),
        ("trueValues, value: да", "no list of words"),
        ("kodes, value: {a: 1}", "unknown property 'kodes'"),
    ],
)
def test_a_property_of_a_column_that_means_nothing_is_a_fault(tmp_path: Path, properties: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        contract(
            tmp_path, f"      - name: customers_affected\n        customProperties: [{{property: {properties}}}]\n"
        )


def test_a_code_outside_the_columns_list_is_a_fault(tmp_path: Path) -> None:
    body = contract_text("s", "fct_appeal", "".join(f"      - {{name: {n}}}\n" for n in ("appeal_id", "registered_at", "is_emergency"))
                         + "      - {name: status, customProperties: [{property: codes, value: {Закрыто: CLOSD, Открыто: OPEN}}]}\n")  # fmt: skip
    (tmp_path / "a.odcs.yaml").write_text(body, encoding="utf-8")
    with pytest.raises(DocumentError, match="code 'Закрыто' leads to 'CLOSD', which breaks status-domain"):
        parse_source(read(tmp_path / "a.odcs.yaml"), load_tables())


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("yyyy-mm-dd", "months are MM"),
        ("dd.mm.yyyy HH:mm", "minute twice"),
        ("dd.MM.yyyy mm:ss", "has a minute and no hour"),
        ("dd.yyyy", "has a day and no month"),
        ("MM.yyyy", "has no day"),
        ("dd.MM", "has a month and no year"),
        ("dd.MM.yyyy HH:MM", "month twice"),
        ("dd.MM.yyyy dd", "day twice"),
        ("dd.MM.yyyy hh:mm", "hh goes to twelve"),
        ("dd.MM.yyyy HH:mm a", "hh goes to twelve"),
        ("dd.MM.yyyy 'ж", "not closed"),
        ("5", "is no text"),
    ],
)
def test_a_date_pattern_that_means_something_else(tmp_path: Path, pattern: str, said: str) -> None:
    written = pattern if pattern == "5" else f'"{pattern}"'
    with pytest.raises(DocumentError, match=said):
        contract(tmp_path, f"      - name: ended_at\n        logicalTypeOptions: {{format: {written}}}\n")


def test_a_severity_nobody_knows_is_a_fault(tmp_path: Path) -> None:
    source = load_tables()["fct_appeal"].document
    file = tmp_path / "fct_appeal.odcs.yaml"
    file.write_text(
        source.path.read_text(encoding="utf-8").replace("severity: warning", "severity: eror", 1), encoding="utf-8"
    )
    with pytest.raises(DocumentError, match="no severity 'eror'"):
        parse_table(read(file))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(20)),
        "a: &a [*a]\n",
        "[" * 5000,
    ],
)
def test_aliases_without_end_are_a_fault(tmp_path: Path, text: str) -> None:
    file = tmp_path / "laugh.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError):
        read(file)


def test_the_exchange_format_knows_the_tables_ranges() -> None:
    assert standard(load_tables()["fct_outage"]).by_name["customers_affected"].cell.lowest == 0
