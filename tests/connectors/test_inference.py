"""First versions of source contracts: what a sample shows is found, what it does not show is a doubt, and no person gets into a contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.inference.header_words import likenesses, names_a_person
from connectors.inference.inference import Inferred, Mapped, infer
from connectors.inference.new_columns import Guess, guesses
from connectors.inference.sample import Sample, read_sample
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.readers.headers import StructureError
from warehouse.tables.contracts import load_tables

TABLES = load_tables()
KNOWN = load_sources(TABLES, [SHIPPED])
Reader = Callable[..., Sample]

APPEALS = """\
№ обращения;Дата поступления;Срок исполнения;Дата закрытия;Состояние;Тема;Экстренное;ФИО заявителя;Исполнитель
А-1;05.03.2026 14:00;20.03.2026 14:00;06.03.2026 10:15;Закрыто;Дороги;нет;Иванов И.И.;Отдел
А-2;06.03.2026 09:30;21.03.2026 09:30;;В работе;Свет;да;Петров П.П.;Отдел 2
"""


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Write a text as a file and read it as a sample."""

    def reader(text: str, encoding: str = "utf-8") -> Sample:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        path = tmp_path / "sample.csv"
        path.write_bytes(text.encode(encoding))
        return read_sample(path, scratch)

    return reader


def inferred(sample: Sample, table: str) -> Inferred:
    return infer(TABLES[table], sample, KNOWN)


def mapped(found: Inferred) -> dict[str, Mapped]:
    return {one.column: one for one in found.columns}


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1251", "kz1048"),
        ("kz1048", "kz1048"),
        ("cp866", "cp866"),
        ("utf-16", "utf-16"),
    ],
)
def test_the_encoding_is_found(read: Reader, encoding: str, told: str) -> None:
    sample = read(APPEALS, encoding)
    assert (sample.encoding, sample.delimiter, sample.records, sample.broken) == (told, ";", 2, 0)
    assert sample.header[0] == "№ обращения"
    assert sample.cells["Состояние"] == ["Закрыто", "В работе"]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_that_which_parts_every_record_alike(read: Reader, delimiter: str) -> None:
    sample = read(
        f'Номер{delimiter}"Сумма, тг; всего"{delimiter}Итог\n1{delimiter}"1 234,5"{delimiter}7\n2{delimiter}"0,5"{delimiter}8\n'
    )
    assert (sample.delimiter, sample.header) == (delimiter, ("Номер", "Сумма, тг; всего", "Итог"))


def test_headers_dates_words_and_codes_are_found_and_what_is_not_sure_is_a_doubt(read: Reader) -> None:
    found = inferred(read(APPEALS, "cp1251"), "fct_appeal")
    columns = mapped(found)
    assert {c: m.header for c, m in columns.items()} == {
        "appeal_id": "№ обращения", "registered_at": "Дата поступления", "due_at": "Срок исполнения", "closed_at": "Дата закрытия",
        "status": "Состояние", "is_emergency": "Экстренное",
    }  # fmt: skip
    assert {columns[c].pattern for c in ("registered_at", "due_at", "closed_at")} == {"dd.MM.yyyy HH:mm"}
    assert columns["status"].codes == {"Закрыто": "CLOSED", "В работе": ""}
    assert (columns["is_emergency"].true_values, columns["is_emergency"].false_values) == (("да",), ("нет",))
    assert columns["closed_at"].doubts == ()  # as another system's contract has it
    assert columns["registered_at"].doubts
    assert found.personal == {"ФИО заявителя": True, "Исполнитель": False}
    assert found.others == ("Тема",)
    assert found.unfilled == ("first_answer_at", "category", "channel")


def test_a_column_that_must_be_filled_and_has_no_header_is_told(read: Reader) -> None:
    found = inferred(read("Номер ДТП;Ранено\n1;2\n"), "fct_crash")
    assert found.missing == ("occurred_at", "deaths_30d")


def test_a_day_that_may_be_a_month_is_a_doubt_and_one_that_may_not_is_none(read: Reader) -> None:
    text = "Номер ДТП;Дата и время ДТП;Погибло;Ранено\n1;{};0;1\n2;03/02/2026;1;2\n"
    both = mapped(inferred(read(text.format("01/02/2026")), "fct_crash"))["occurred_at"]
    one = mapped(inferred(read(text.format("21/02/2026")), "fct_crash"))["occurred_at"]
    american = mapped(inferred(read(text.format("02/21/2026")), "fct_crash"))["occurred_at"]
    assert (both.pattern, one.pattern, american.pattern) == ("dd/MM/yyyy", "dd/MM/yyyy", "MM/dd/yyyy")
    assert any("MM/dd/yyyy" in d for d in both.doubts)
    assert not any("/" in d for d in one.doubts)


@pytest.mark.parametrize(
    ("number", "decimal", "group", "doubt"),
    [("12.5", ".", "", False), ("12,5", ",", "", False), ("1 234,5", ",", " ", False), ("1 234.5", ".", " ", False), ("1.234,5", ",", ".", False),
     ("1,234.5", ".", ",", False), ("1.234", ",", ".", True), ("1\u202f234", ",", " ", True)],
)  # fmt: skip
def test_separators_of_numbers_are_those_that_read_all_of_them(
    read: Reader, number: str, decimal: str, group: str, doubt: bool
) -> None:
    text = f"station_id;hour_start;pollutant;value_ug_m3;is_valid\nA;2026-03-01 00:00:00;PM25;{number};true\n"
    found = inferred(read(text), "fct_air_hour")
    taken = found.numerals
    if doubt:
        assert found.doubts
    else:
        assert (taken.decimal, taken.group, found.doubts) == (decimal, group, ())


def test_parquet_needs_no_separators(tmp_path: Path) -> None:
    path = tmp_path / "sample.parquet"
    pq.write_table(
        pa.table({"crash_id": ["1"], "occurred_at": ["2026-03-01 10:00:00"], "deaths_30d": [0], "injured": [1]}), path
    )
    (tmp_path / "scratch").mkdir()
    found = inferred(read_sample(path, tmp_path / "scratch"), "fct_crash")
    assert all(one.doubts == () for one in found.columns)
    assert not found.numerals.declared


def test_a_workbook_is_a_sample_as_its_csv_is(tmp_path: Path) -> None:
    rows: list[list[str | None]] = [
        ["Номер", "Дата", "Сумма"],
        ["А-1", "05.03.2026", "12,5"],
        ["А-2", "06.03.2026", None],
    ]
    pd.DataFrame(rows).to_excel(tmp_path / "report.xlsx", header=False, index=False)
    (tmp_path / "report.csv").write_text("\n".join(";".join(c or "" for c in row) for row in rows), encoding="utf-8")
    samples = [read_sample(tmp_path / name, tmp_path) for name in ("report.xlsx", "report.csv")]
    assert samples[0].header == samples[1].header
    assert samples[0].cells == samples[1].cells


# --- persons ---


def test_no_cell_of_a_column_that_may_hold_persons_is_handed_out(read: Reader) -> None:
    rows = "".join(
        f"{n};2026-03-0{n} 10:00:00;{name};false\n"
        for n, name in enumerate(("Иванов И.И.", "Ахметова Гүлнар Серікқызы", "Закрыто"), 1)
    )
    for header in ("Состояние", "Статус", "ФИО"):
        found = inferred(read(f"appeal_id;registered_at;{header};is_emergency\n{rows}"), "fct_appeal")
        assert "Иванов" not in repr(found)
        assert "Ахметова" not in repr(found)


def test_data_in_place_of_a_header_get_into_no_contract(read: Reader) -> None:
    for line in ("Иванов И.И.;880101300015;12", "А-1;05.03.2026;да"):
        with pytest.raises(StructureError, match="its header") as caught:
            read(f"{line}\n{line}\n")
        assert "Иванов" not in str(caught.value)


@pytest.mark.parametrize(
    "header", ["ИИН", "Ф.И.О. заявителя".replace(".", ""), "client_phone", "Эл. почта", "ЖСН", "Водитель", "E-mail"]
)
def test_headers_that_sound_like_persons(header: str) -> None:
    assert names_a_person(header)


def test_ordinary_headers_do_not_sound_like_persons() -> None:
    texts = [c.description_ru for t in TABLES.values() for c in t.columns if not c.personal]
    loud = [text for text in texts if names_a_person(text)]
    assert len(loud) < 0.1 * len(texts), loud


def test_a_header_by_the_tables_own_words_is_sure() -> None:
    for table in TABLES.values():
        for column in table.columns:
            found = likenesses(column.name, table, KNOWN)
            assert found[0].column == column.name
            assert found[0].sure


# --- tables ---


def test_columns_of_a_table_are_typed_and_hold_no_value(read: Reader) -> None:
    found = {
        g.header: g
        for g in guesses(read(
            "Номер заявки;Дата;День;Площадь, кв.м;Штук;Код;Срочно;ФИО\nЯ-1;05.03.2026 14:10;05.03.2026;1 204,5;3;007;нет;Ахметов А.К.\n"
            "Я-2;06.03.2026 08:05;06.03.2026;0,75;12;012;да;Сериков Б.\n", "cp1251"))
    }  # fmt: skip
    assert {h: (g.name, g.sql_type) for h, g in found.items()} == {
        "Номер заявки": ("nomer_zayavki", "VARCHAR"), "Дата": ("data", "TIMESTAMP"), "День": ("den", "DATE"),
        "Площадь, кв.м": ("ploshchad_kv_m", "DECIMAL(18,2)"), "Штук": ("shtuk", "INTEGER"), "Код": ("kod", "VARCHAR"),
        "Срочно": ("srochno", "BOOLEAN"), "ФИО": ("fio", "VARCHAR"),
    }  # fmt: skip
    assert [h for h, g in found.items() if g.personal] == ["ФИО"]
    assert not [g for g in found.values() if "Ахметов" in repr(g) or "Я-1" in repr(g)]


def test_names_of_columns_are_names_in_sql(read: Reader) -> None:
    found: list[Guess] = guesses(read("Group;group;2 квартал;kato;Ұзақтығы (мин.)\n1;2;3;4;5\n"))
    assert [g.name for g in found] == ["the_group", "the_group_2", "the_2_kvartal", "the_kato", "uzaktygy_min"]
