"""Workbooks: which sheet, which lines of it, and every kind of cell as the text that the grammar reads."""

from __future__ import annotations

import datetime as dt
import re
import string
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odf import table as odf  # type: ignore[import-untyped]
from odf.opendocument import OpenDocumentSpreadsheet  # type: ignore[import-untyped]
from odf.text import P  # type: ignore[import-untyped]

from connectors.mapping.cell_grammar import SERIAL, Cell
from connectors.mapping.contract_checks import strptime
from connectors.mapping.layout import Layout
from connectors.readers import workbook_parts
from connectors.readers.headers import StructureError
from connectors.readers.workbooks import rows
from tests.support import old_workbooks as old
from tests.support.examples import examples
from tests.support.old_workbooks import Of, xls
from tests.support.workbooks import Cells, changed, contract, read_by, table, xlsx

SHEET = "xl/worksheets/sheet1.xml"
MOMENT = dt.datetime.fromisoformat("2026-03-05 14:07:09")
FIRST, LAST = map(dt.datetime.fromisoformat, ("1900-03-01", "2100-01-01"))


def cells(folder: Path, *values: Any, formats: dict[str, str] | None = None, **settings: Any) -> list[str | None]:
    """One column of a workbook as it is read. `formats`: by the value's address, from A2 on."""
    book = xlsx(table(["h"], *([v] for v in values)), formats=formats)
    return column(folder, book, **settings)


def column(folder: Path, book: bytes, **settings: Any) -> list[str | None]:
    return [one[0] for one in read_by(rows, book, folder, contract("h", **settings))[1]]


def refused(folder: Path, book: bytes, *headers: str, **settings: Any) -> str:
    with pytest.raises(StructureError) as caught:
        read_by(rows, book, folder, contract(*headers or ("h",), **settings))
    return str(caught.value)


# --- cells ---

TEXTS = st.text(string.ascii_letters + string.digits + "әғқңөұүһіЁ .,;'\"-+%", min_size=1).filter(
    lambda t: t == t.strip() and t[0] not in "='"
)
FEW_DIGITS = st.decimals(-(10**9), 10**9, places=5).map(Decimal.normalize)
VALUES = st.one_of(
    TEXTS,
    st.integers(-(2**53) + 1, 2**53 - 1),
    FEW_DIGITS.map(float),
    st.booleans(),
    st.dates(FIRST.date(), LAST.date()),
    st.datetimes(FIRST, LAST).map(lambda t: t.replace(microsecond=0)),
)


def expected(value: Any) -> str:
    """What a cell must be read as, worked out another way."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize() + 0, "f") if value else "0"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return str(value.date())
    return str(value)


@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5))
@examples(20, 300)
def test_a_table_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, lines: list[list[Any]]) -> None:
    """Of XLSX and of ODS; numbers of a decimal comma beside it."""
    folder, names, of = tmp_path_factory.getbasetemp(), ["a", "b", "c"], contract("a", "b", "c", decimal=".")
    wanted = [[expected(v) for v in line] for line in lines]
    assert read_by(rows, xlsx(table(names, *lines)), folder, of) == (names, wanted)
    assert read_by(rows, ods([names, *lines]), folder, of) == (names, wanted)
    commas = [
        [w.replace(".", ",") if isinstance(v, float) else w for v, w in zip(*pair, strict=True)]
        for pair in zip(lines, wanted, strict=True)
    ]
    assert read_by(rows, xlsx(table(names, *lines)), folder, contract(*names, decimal=","))[1] == commas


def ods(lines: Sequence[Sequence[Any]]) -> bytes:
    book = OpenDocumentSpreadsheet()
    sheet = odf.Table(name="one")
    for line in lines:
        row = odf.TableRow()
        for value in line:
            row.addElement(ods_cell(value))
        sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def ods_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return odf.TableCell(valuetype="boolean", booleanvalue=str(value).lower())
    if isinstance(value, int | float):
        return odf.TableCell(valuetype="float", value=repr(value))
    if isinstance(value, dt.date):
        return odf.TableCell(valuetype="date", datevalue=value.isoformat())
    cell = odf.TableCell(valuetype="string")
    cell.addElement(P(text=value))
    return cell


def test_numbers_are_what_the_spreadsheet_shows(tmp_path: Path) -> None:
    """Fifteen digits; a whole number that is not exact any more looks like none, so that it is no key."""
    binary = 0.1 + 0.2, 1 / 3, 2346.2999999999997, 1e-7, -0.5, 0.0
    assert cells(tmp_path, *binary) == ["0.3", "0.333333333333333", "2346.3", "0.0000001", "-0.5", "0"]
    assert cells(tmp_path, 2**53, 12345678901234567, 1e20) == [str(2**53), "1.23456789012346E+16", "1E+20"]
    assert cells(tmp_path, 0.25, formats={"A2": "0%"}) == ["0.25"]


def test_a_number_is_not_taken_for_thousands_and_a_text_stays_one(tmp_path: Path) -> None:
    number: dict[str, Any] = {"cells": {"h": Cell("DECIMAL(18,6)")}}
    mixed = (12.125, 1234.125, "12.125", "1.000,5", "007", "+7 701")
    assert cells(tmp_path, *mixed, **number) == ["12.1250", "1234.125", "12.125", "1.000,5", "007", "+7 701"]
    assert cells(tmp_path, *mixed, decimal=",", **number) == [
        "12,125",
        "1234,125",
        "12.125",
        "1.000,5",
        "007",
        "+7 701",
    ]
    assert cells(tmp_path, 12.125) == ["12.125"]  # a column of texts


def test_errors_and_formulas_that_nobody_calculated_are_no_numbers(tmp_path: Path) -> None:
    book = xlsx(table(["h", "x"], [1, 1], ["#REF!", 1], ["=A2+1", 1], ["#N/A", 1], ["=1/0", 1], ['=""', 1]))

    def calculated(text: str) -> str:
        text = re.sub(r'<c r="A6"[^>]*><f>1/0</f><v ?(/>|></v>)', '<c r="A6" t="e"><f>1/0</f><v>#DIV/0!</v>', text)
        return text.replace('<c r="A7"', '<c r="A7" t="str"')

    found = column(tmp_path, changed(book, SHEET, calculated), other_headers="ignore")
    assert found == ["1", "#REF!", "#CALC!", "#N/A", "#DIV/0!", None]


def test_an_error_at_the_edge_of_the_table_is_seen(tmp_path: Path) -> None:
    """In a row, and in a column, of which nothing else is there."""
    book = xlsx(table(["h", "x"], [1, "#N/A"], [2, None], [None, "#REF!"]))
    assert read_by(rows, book, tmp_path, contract("h", "x"))[1] == [["1", "#N/A"], ["2", None], [None, "#REF!"]]


def test_truth_is_told_in_the_words_of_the_column(tmp_path: Path) -> None:
    words = {"h": Cell("BOOLEAN", true_values=("да",), false_values=("нет", "жоқ"))}
    assert cells(tmp_path, True, False, cells=words) == ["да", "нет"]
    assert cells(tmp_path, True, False) == ["true", "false"]


def test_times_of_day_and_durations(tmp_path: Path) -> None:
    assert cells(tmp_path, dt.time(7, 5), dt.timedelta(hours=30, seconds=1)) == ["07:05:00", "30:00:01"]
    assert cells(tmp_path, 0.75, formats={"A2": "[h]:mm"}) == ["18:00:00"]


@pytest.mark.parametrize("serial", [46086 + 51 / 86400 * 1000, 46085.999999999999, 46086.25 - 1e-11])
def test_a_moment_has_no_noise(tmp_path: Path, serial: float) -> None:
    """Computed times are a little beside the second that is meant."""
    exact = dt.datetime.fromisoformat("1899-12-30") + dt.timedelta(seconds=round(serial * 86400))
    wanted = expected(exact)
    assert cells(tmp_path, serial, formats={"A2": "dd.mm.yyyy hh:mm"}) == [wanted]


@pytest.mark.parametrize(
    ("pattern", "sql_type", "wanted"),
    [
        ("dd.MM.yyyy HH:mm:ss", "TIMESTAMP", "05.03.2026 14:07:09"),
        ("d.M.yy h:mm:ss a", "TIMESTAMP", "5.3.26 2:07:09 PM"),
        ("dd.MM.yyyy HH:mm", "TIMESTAMP", "2026-03-05 14:07:09"),  # would lose the seconds
        ("dd.MM.yyyy", "TIMESTAMP", "2026-03-05 14:07:09"),
        ("dd.MM.yyyy", "DATE", "05.03.2026"),
        ("yyyyMMdd'T'HHmmss", "TIMESTAMP", "20260305T140709"),
    ],
)
def test_a_date_is_written_by_the_pattern_of_its_column_if_that_loses_nothing(
    tmp_path: Path, pattern: str, sql_type: str, wanted: str
) -> None:
    of = {"h": Cell(sql_type, pattern=strptime(pattern)[0])}
    assert cells(tmp_path, MOMENT, cells=of) == [wanted]


def test_a_plain_number_is_a_date_only_where_the_contract_says_so(tmp_path: Path) -> None:
    """From 1900 and from 1904; the grammar counts from 1900."""
    declared = {"h": Cell("TIMESTAMP", pattern=SERIAL)}
    assert cells(tmp_path, 46086.5, cells={"h": Cell("TIMESTAMP")}) == ["46086.5"]
    assert cells(tmp_path, 46086.5, MOMENT, "05.03.2026", cells=declared) == [
        "46086.5",
        "2026-03-05 14:07:09",
        "05.03.2026",
    ]
    book = xlsx(table(["h"], [46086.5 - 1462], [MOMENT]), from_1904=True)
    assert column(tmp_path, book, cells=declared) == ["46086.5", "2026-03-05 14:07:09"]
    assert column(tmp_path, book) == ["44624.5", "2026-03-05 14:07:09"]


# --- OpenDocument ---


def ods_of(*lines: str) -> bytes:
    """A workbook of rows written by hand."""
    spaces = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    spaces += ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    body = "".join(f"<table:table-row{line}</table:table-row>" for line in lines)
    text = f"<office:document-content {spaces}><office:body><office:spreadsheet>"
    text += f'<table:table table:name="one">{body}</table:table></office:spreadsheet></office:body></office:document-content>'
    empty = ods([])
    return changed(empty, "content.xml", lambda _: text)


def test_cells_of_opendocument_that_are_no_values(tmp_path: Path) -> None:
    """Errors in the ways that programs write them, formulas without a value, merged headings, rows that stand for many."""
    cell, text = "<table:table-cell", 'office:value-type="string"><text:p>'
    book = ods_of(
        f'>{cell} table:number-columns-spanned="2" {text}a</text:p></table:table-cell><table:covered-table-cell/>{cell} {text}b</text:p></table:table-cell>',
        f'>{cell} table:number-columns-repeated="2" office:value-type="float" office:value="1.5"/>{cell} table:formula="of:=1/0" '
        'office:value-type="string" office:string-value="" calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>',
        f' table:number-rows-repeated="2">{cell} table:formula="of:=X" office:value-type="float" office:value="0"><text:p>Err:508</text:p></table:table-cell>'
        f'{cell} office:value-type="percentage" office:value="0.25"/>{cell} table:formula="of:=1+1"/>',
        f'>{cell} {text}#7</text:p></table:table-cell>{cell}/>{cell} table:formula="of:=1+1" office:value-type="float" office:value="2"/>',
        f' table:number-rows-repeated="1048570">{cell} table:number-columns-repeated="16384"/>',
    )
    found = read_by(rows, book, tmp_path, contract("a [A]", "a [B]", "b"))
    twice = ["Err:508", "0.25", "#CALC!"]
    assert found == (["a [A]", "a [B]", "b"], [["1.5", "1.5", "#DIV/0!"], twice, twice, ["#7", None, "2"]])


def test_opendocument_with_a_document_type_is_refused(tmp_path: Path) -> None:
    book = ods_of(">" + '<table:table-cell office:value-type="string"><text:p>h</text:p></table:table-cell>')
    with_entities = changed(
        book, "content.xml", lambda t: "<!DOCTYPE a [<!ENTITY x '#N/A'>]>" + t.replace(">h<", ">#h<")
    )
    assert "DOCTYPE" in refused(tmp_path, with_entities)


# --- workbooks of Excel 97 to 2003 ---


@given(
    st.lists(
        st.lists(VALUES.filter(lambda v: not isinstance(v, dt.date)), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
@examples(20, 300)
def test_an_old_workbook_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[list[Any]]
) -> None:
    names = ["a", "b", "c"]
    found = read_by(rows, xls(("one", [names, *lines])), tmp_path_factory.getbasetemp(), contract(*names))
    assert found == (
        names,
        [
            [expected(float(v) if type(v) is int and abs(v) < 1e15 else v).removesuffix(".0") for v in line]
            for line in lines
        ],
    )


@pytest.mark.parametrize("from_1904", [False, True])
def test_cells_of_an_old_workbook(tmp_path: Path, from_1904: bool) -> None:
    """Dates from 1900 and 1904, errors in cells and formulas, sheets that are hidden, cells that are merged."""
    shift = 1462 if from_1904 else 0
    lines: list[list[old.Value]] = [
        ["title"],
        ["d", "n", None],
        [Of(46086.5 - shift, old.MOMENT), 1.0, "x"],
        [Of("#REF!"), Of("#N/A", formula=True), Of(0.25, old.PERCENT)],
    ]
    book = xls(("note", []), ("data", lines), from_1904=from_1904, hidden=["data"], merged=[(2, 2, 2, 3)], first=(1, 1))
    layout = Layout(header_row=3)
    serial = {"d": Cell("TIMESTAMP", pattern=SERIAL)}
    (tmp_path / "content").write_bytes(book)
    found = rows(tmp_path / "content", contract("d", "n", layout=layout, cells=serial), "extract")
    assert (found.header, [(one.cells, one.where) for one in found.records]) == (
        ("d", "n", "n"),
        [
            (["2026-03-05 12:00:00", "1", "x"], "sheet «data», row 4"),
            (["#REF!", "#N/A", "0.25"], "sheet «data», row 5"),
        ],
    )
    plain = xls(("data", [["d"], [46086.5 - shift]]), from_1904=from_1904)
    assert read_by(rows, plain, tmp_path, contract("d", cells=serial))[1] == [["46086.5"]]


def test_an_old_workbook_that_is_damaged_is_refused(tmp_path: Path) -> None:
    book = xls(("data", [["h"], *([float(n)] for n in range(2_000))]))
    for wrong in (book[:3_000], book[:600] + b"\xff" * 4_000 + book[4_600:]):
        assert "damaged" in refused(tmp_path, wrong)


# --- sheets ---

APPEALS, OTHER = table(["id", "when"], ["A-1", 5]), table(["note"], ["x"])


def test_the_only_sheet_that_has_the_headers_is_taken(tmp_path: Path) -> None:
    of = contract("id", "when")
    book = xlsx(("note", OTHER), ("empty", {}), ("data", APPEALS))
    assert read_by(rows, book, tmp_path, of) == (["id", "when"], [["A-1", "5"]])
    assert "several sheets" in refused(tmp_path, xlsx(("data", APPEALS), ("copy", APPEALS)), "id", "when")
    assert "no sheet has all" in refused(tmp_path, xlsx(("data", OTHER), ("copy", OTHER)), "id", "when")


def test_a_hidden_sheet_is_a_sheet_like_any(tmp_path: Path) -> None:
    of = contract("id", "when")
    assert read_by(rows, xlsx(("note", OTHER), ("data", APPEALS), hidden=["data"]), tmp_path, of)[1] == [["A-1", "5"]]
    both = xlsx(("data", APPEALS), ("copy", APPEALS), hidden=["copy"])
    assert "1 «data», 2 «copy»" in refused(tmp_path, both, "id", "when")


@pytest.mark.parametrize("named", ["data", " data ", "2"])
def test_a_sheet_is_named_or_numbered(tmp_path: Path, named: str) -> None:
    book = xlsx(("copy", OTHER), ("data", APPEALS), ("note", APPEALS))
    of = contract("id", "when", layout=Layout(sheet=named))
    assert read_by(rows, book, tmp_path, of)[1] == [["A-1", "5"]]
    assert "sheet «4»" in refused(tmp_path, book, "id", layout=Layout(sheet="4"))


# --- header and records ---


def test_rows_have_the_numbers_of_the_sheet(tmp_path: Path) -> None:
    """The used range begins at C4; empty rows and columns inside it are none."""
    book = xlsx(
        ("data", table(["a", None, "b"], ["x", None, 1.5], [None, None, None], ["y", None, True], row=4, column=3))
    )
    (tmp_path / "content").write_bytes(book)
    found = rows(tmp_path / "content", contract("a", "b"), "extract")
    assert found.header == ("a", "b")
    assert [(one.cells, one.where, one.raw) for one in found.records] == [
        (["x", "1.5"], "sheet «data», row 5", "C5: x; E5: 1.5"),
        (["y", "true"], "sheet «data», row 7", "C7: y; E7: true"),
    ]


def test_a_header_over_merged_lines(tmp_path: Path) -> None:
    """Merged cells hold for each cell of theirs; parts are joined by a blank, equal ones once; units below are passed over."""
    lines: Sequence[Sequence[Any]] = (
        ["О населении"],
        ["Район", "Всего", "в том\nчисле:", None, "в том числе:"],
        [None, None, "мужчины", "женщины", "в том числе:"],
        [None, "человек", "человек", "человек", None],
        [1, 2, 3, 4, 5],
        ["Есиль", 7, 3, 4, 1],
    )
    layout = Layout(header_row=3, header_lines=2, skip_after_header=2)
    names = ["Район", "Всего", "в том числе: мужчины", "в том числе: женщины", "в том числе:"]
    book = xlsx(table(*lines), merged=["A1:E1", "A2:A3", "B2:B3", "C2:D2"])
    of = contract(*names, layout=layout)
    assert read_by(rows, book, tmp_path, of) == (names, [["Есиль", "7", "3", "4", "1"]])


def test_the_contract_spells_a_header_as_it_likes(tmp_path: Path) -> None:
    book = xlsx(table([" Дата\n и  время ", "№\u00a0ДТП"], ["x", "y"]))
    assert read_by(rows, book, tmp_path, contract("Дата  и время", "№ ДТП"))[0] == ["Дата  и время", "№ ДТП"]


def test_columns_without_a_name_or_of_one_name_are_called_by_their_letter(tmp_path: Path) -> None:
    book = xlsx(table([None, "n", "n", None], ["Есиль", 1, 2, None], ["Алматы", 3, 4, None], row=2, column=2))
    assert read_by(rows, book, tmp_path, contract("[B]", "n [D]"))[0] == ["[B]", "n", "n [D]"]
    assert read_by(rows, book, tmp_path, contract("[B]"))[0] == ["[B]", "n", "n"]


def test_a_merged_heading_over_one_column_is_one(tmp_path: Path) -> None:
    book = xlsx(table(["a", "b", None], ["x", 1, None]), merged=["B1:C1"])
    assert read_by(rows, book, tmp_path, contract("a", "b")) == (["a", "b"], [["x", "1"]])


def test_below_the_footer_are_no_records(tmp_path: Path) -> None:
    layout = Layout(footer=("Итого", "барлығы"))
    of = contract("a", "b", layout=layout)
    lines: list[list[Any]] = [["a", "b"], ["x", 1], ["y", 2], ["ИТОГО:", 3], ["Исполнитель", None], ["Барлығы", 3]]
    (tmp_path / "content").write_bytes(xlsx(table(*lines)))
    found = rows(tmp_path / "content", of, "extract")
    assert [one.cells for one in found.records] == [["x", "1"], ["y", "2"]]
    assert [(one["first"], one["last"], one["word"]) for one in found.below] == [(4, 6, "Итого")]
    more = xlsx(table(*lines, ["z", 5]))
    (tmp_path / "content").write_bytes(more)
    with pytest.raises(StructureError, match=r"line 4 begins with «Итого».*line 7 below it"):
        list(rows(tmp_path / "content", of, "extract").records)


# --- what is refused ---


def test_a_cell_far_away_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    assert "more than" in refused(tmp_path, xlsx({"A1": "h", "XFD1048576": 1}))
    styled = changed(
        xlsx(table(["h"], [1])),
        SHEET,
        lambda t: t.replace("</row></sheetData>", '<c r="XFD2" s="0"/></row></sheetData>'),
    )
    assert column(tmp_path, styled) == ["1"]  # nothing is in it


def test_a_bomb_is_refused_while_it_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_parts, "ANYHOW", 1 << 20)
    bomb = changed(xlsx(table(["h"], [1])), SHEET, lambda t: t.replace("<sheetData>", "<sheetData>" + " " * (8 << 20)))
    assert "more comes out of the workbook" in refused(tmp_path, bomb)


@given(st.data())
@examples(10, 100)
def test_a_sheet_that_breaks_off_is_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    book = xlsx(("data", table(["h"], *([n] for n in range(20)))))

    def cut(text: str) -> str:
        return text[: data.draw(st.integers(text.index("<row"), text.index("</sheetData>")))]

    said = refused(tmp_path_factory.getbasetemp(), changed(book, SHEET, cut))
    assert "sheet «data»" in said
    assert "damaged" in said


@cache
def once() -> bytes:
    """A workbook has the time in it when it was made."""
    return xlsx(table(["a", "b"], *([n, n / 4] for n in range(100))))


@given(st.data())
@examples(30, 300)
def test_a_changed_byte_changes_no_value(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """It is seen, or it stands where nothing of the table is."""
    lines = [[n, n / 4] for n in range(100)]
    book = bytearray(once())
    place = data.draw(st.integers(0, len(book) - 1))
    book[place] ^= data.draw(st.integers(1, 255))
    with suppress(StructureError):
        found = read_by(rows, bytes(book), tmp_path_factory.getbasetemp(), contract("a", "b"))
        assert found[1] == [[expected(v) for v in line] for line in lines]


def test_what_is_no_whole_workbook_is_refused(tmp_path: Path) -> None:
    book = xlsx(table(["h"], *([n] for n in range(500))))
    for wrong in (book[: len(book) // 2], book[:1000] + b"\0" * 500 + book[1500:], without(book, "xl/workbook.xml")):
        assert "damaged" in refused(tmp_path, wrong)


def without(book: bytes, part: str) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(book)) as source, zipfile.ZipFile(target, "w") as sink:
        for info in source.infolist():
            if info.filename != part:
                sink.writestr(info, source.read(info))
    return target.getvalue()


def test_an_empty_sheet_has_no_header(tmp_path: Path) -> None:
    empty: Cells = {}
    assert read_by(rows, xlsx(empty), tmp_path, contract("h")) == ([], [])
