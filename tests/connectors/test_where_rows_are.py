"""A first version of a contract finds the table in a sheet or a text: titles above it, two lines of header, units, totals, signatures."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from connectors.inference.sample import read_sample
from connectors.inference.where_rows_are import layout_of
from connectors.mapping.layout import Layout
from connectors.readers.headers import StructureError

HEADER = ["№ п/п", "Номер ДТП", "Дата", "Район города", "Погибло", "Ранено", "Примечание"]
UNITS = ["", "", "", "", "чел.", "чел.", ""]
NUMBERS = [str(n) for n in range(1, 8)]
TITLES = [["Сведения о ДТП"], ["за март 2026 года", "", "", "форма № 4"], [], ["г. Астана"]]
FOOTERS = [
    ["Итого", "", "", "", "7", "11"],
    ["ВСЕГО:", "", "", "", "7"],
    ["Исполнитель: Петрова А.А."],
    ["* по данным МВД"],
    [],
]


def table(chance: random.Random, *, sheet: bool) -> tuple[list[list[Any]], Layout, list[list[Any]]]:
    """Lines of a sheet, where its rows are, and the rows."""
    titles = [chance.choice(TITLES) for _ in range(chance.randint(0, 4))]
    below = chance.choice([[], [UNITS], [NUMBERS], [UNITS, NUMBERS]])
    rows = [
        [
            n + 1,
            f"С-{n + 1}",
            dt.date(2026, 3, 1 + n % 28),
            chance.choice(["Есиль", "Алматы", ""]),
            n % 3,
            "" if n % 7 else n,
            "",
        ]
        for n in range(chance.randint(5, 300))
    ]
    below_rows = (
        [chance.choice(FOOTERS[:2]), *chance.sample(FOOTERS, chance.randint(0, 2))] if chance.random() < 0.6 else []
    )
    footer = (below_rows[0][0].rstrip(":"),) if below_rows else ()
    row = len(titles) + 1
    layout = Layout(header_row=row, skip_after_header=len(below), footer=footer)
    if sheet and not any(map(any, titles)) and not below and not footer:
        layout = Layout()
    return [*titles, HEADER, *below, *rows, *below_rows], layout, rows


@pytest.mark.parametrize("seed", range(25))
def test_a_table_is_found_between_titles_and_totals(seed: int) -> None:
    sheet = bool(seed % 2)
    lines, layout, _ = table(random.Random(seed), sheet=sheet)  # noqa: S311
    texts = [[str(cell) for cell in line] for line in lines]
    assert layout_of(texts[:200], texts[200:][-40:], sheet=sheet)[0] == layout


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_the_sample_holds_the_records_and_no_other_line(tmp_path: Path, kind: str, seed: int) -> None:
    lines, layout, rows = table(random.Random(seed), sheet=kind == "xlsx")  # noqa: S311
    file = tmp_path / f"дтп.{kind}"
    if kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.title = "Март"
        book.create_sheet("Справка").append(["Справочно"])
        for line in lines:
            book.active.append([None if cell == "" else cell for cell in line])
        book.save(file)
    else:
        with file.open("w", encoding="cp1251", newline="") as target:
            csv.writer(target, delimiter=";").writerows(lines)
    (tmp_path / "scratch").mkdir()
    sample = read_sample(file, tmp_path / "scratch")
    assert sample.header == tuple(HEADER[: len(sample.header)])  # nothing stands in the last column
    assert sample.cells["Номер ДТП"] == [row[1] for row in rows]
    assert sample.layout.header_row == layout.header_row
    assert sample.layout.sheet == ("Март" if kind == "xlsx" else "")
    assert bool(sample.doubts) == (sample.layout != Layout())


@pytest.mark.parametrize(
    ("lines", "layout"),
    [
        ([["a", "b"], ["1", "2"], ["3", "4"]], Layout()),
        ([["Город", "2024", "2025"], ["Астана", "1", "2"], ["Алматы", "3", "4"]], Layout()),
        ([["код", "название"], ["a", "Есиль"], ["b", "Нура"]], Layout()),
        ([[], ["a", "b"], ["1", "2"]], Layout()),
        ([["Отчёт"], ["дата", "ДТП", "", "жалобы", ""], ["", "всего", "тяжких", "всего", "закрыто"], *[["2026-01-01", "1", "2", "3", "4"]] * 4],
         Layout(header_row=3, header_lines=2)),
        ([], Layout()),
        ([["1", "2"], ["3", "4"]], Layout()),
    ],
)  # fmt: skip
def test_single_tables(lines: list[list[str]], layout: Layout) -> None:
    assert layout_of(lines, [], sheet=True)[0] == layout


@pytest.mark.parametrize("lines", [False, True])
def test_fields_of_json_are_its_header(tmp_path: Path, lines: bool) -> None:
    records = [{"id": f"C{n}", "when": {"at": "2026-03-05"}, "tags": ["a", "b"][: n % 3]} for n in range(5)]
    file = tmp_path / "crashes.json"
    file.write_text(
        "\n".join(map(json.dumps, records)) if lines else json.dumps({"meta": 1, "data": {"items": records}})
    )
    (tmp_path / "scratch").mkdir()
    sample = read_sample(file, tmp_path / "scratch")
    assert sample.header == ("id", "when.at", "tags[0]", "tags[1]")
    assert sample.cells["tags[0]"] == [None, "a", "a", None, "a"]


def test_fields_of_xml_are_the_contracts(tmp_path: Path) -> None:
    file = tmp_path / "crashes.xml"
    file.write_text("<rows><row><id>C1</id></row></rows>")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(StructureError, match=r"rowPath|by hand"):
        read_sample(file, tmp_path / "scratch")


def test_a_header_goes_on_for_as_many_lines_as_it_takes_to_tell_columns_apart() -> None:
    head = [
        ["Bulletin", "", "", "", "", "", "", ""],
        ["", "all", "of them:", "", "", "", "", ""],
        ["", "", "men", "in towns", "of them:", "", "in villages", "of them:"],
        ["", "", "", "", "men", "women", "", "men"],
        ["Abai", "60", "29", "37", "17", "20", "23", "12"],
        ["Semei", "32", "15", "31", "14", "17", "1", "1"],
    ]
    layout, asked = layout_of(head, [], sheet=True)
    assert (layout.header_row, layout.header_lines, layout.skip_after_header) == (4, 3, 0)
    assert asked == ["do the names of the columns stand in lines 2 to 4?"]
