"""From bytes to records: encodings, archives, headers, and what becomes of records that cannot be split."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.mapping.cell_grammar import WORDS
from connectors.mapping.read_contracts import SHIPPED, parse_source
from connectors.mapping.source_contract import SourceContract, standard
from connectors.readers import headers as heading
from connectors.readers import limits, readers
from connectors.readers.headers import StructureError
from connectors.readers.readers import records
from kpi_definitions.documents import DocumentError, read
from tests.support.examples import examples
from tests.support.files import (
    APPEAL_COLUMNS,
    CRASH_COLUMNS,
    Bench,
    Desk,
    appeal,
    appeals,
    contract_text,
    crash,
    crashes,
    text,
)
from tests.support.settlements import ASTANA

THREE_COLUMNS = """      - {name: crash_id, physicalName: id}
      - {name: occurred_at, physicalName: when}
      - {name: deaths_30d, physicalName: dead}
"""
ROW = "2026-01-05 10:00:00,2026-01-20 10:00:00,,,OPEN,roads,phone,false"  # an appeal without its number


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("readers")
    with Desk(root).open() as store:
        yield Bench(store, root)


def small(bench: Bench, **settings: str) -> SourceContract:
    """A source contract for fct_crash with the headers id, when and dead."""
    return bench.contract(contract_text("small", "fct_crash", THREE_COLUMNS, settings=settings))


def shipped(bench: Bench, path: str) -> SourceContract:
    return parse_source(read(SHIPPED / path), bench.store.tables)


def refusal(bench: Bench, content: str | bytes, contract: SourceContract | None = None) -> str:
    """The reason why a file as a whole is refused, by the readers or by the gate."""
    try:
        refused = bench.stage(content, contract=contract, table=contract.table if contract else "fct_appeal")
    except StructureError as error:
        return str(error)
    assert list(refused) == [1], "the file was not refused"
    assert bench.counts() == {}
    return str(refused[1])


def zipped(*members: tuple[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
    return target.getvalue()


def parquet(columns: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


def crash_columns(count: int = 2, **changes: Any) -> dict[str, Any]:
    """Columns of fct_crash in types as a Parquet writer would choose them."""
    return {
        "crash_id": [f"C{n}" for n in range(1, count + 1)],
        "occurred_at": pa.array([dt.datetime(2026, 1, 5, 10, 30)] * count, pa.timestamp("us")),  # noqa: DTZ001
        "district_id": ["Есиль"] * count,
        "deaths_30d": pa.array([1] * count, pa.int32()),
        "injured": pa.array([2] * count, pa.int64()),
    } | changes


# --- encodings ---


def test_utf8_with_a_byte_order_mark(bench: Bench) -> None:
    assert bench.stage(b"\xef\xbb\xbf" + appeals(2, category="жол — дорога").encode()) == {}
    assert bench.accepted("appeal_id, category") == [("A1", "жол — дорога"), ("A2", "жол — дорога")]


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["unmarked", "marked"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_where_the_contract_says_so(bench: Bench, encoding: str, mark: str) -> None:
    # Python's utf-16 writes a mark of its own
    content = f"{mark}id,when,dead\nҚ1,2026-01-05 10:00:00,0\n".encode(encoding)
    assert bench.stage(content, contract=small(bench, encoding=encoding), table="fct_crash") == {}
    assert bench.accepted("crash_id, deaths_30d") == [("Қ1", 0)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_where_the_contract_says_otherwise_is_refused_with_both_names(bench: Bench, encoding: str) -> None:
    reason = refusal(bench, ("\ufeff" + appeals(2)).encode(encoding))
    assert "UTF-16" in reason
    assert "the contract says utf-8" in reason
    assert "mend the contract" in reason


def test_kz1048_gives_kazakh_letters_where_cp1251_would_give_wrong_ones(bench: Bench) -> None:
    line = "\u041a-1;05.01.2026 10:00:00;20.01.2026 10:00:00;-;-;Открыто;Көше жарығы, қоқыс;телефон;нет"
    header = (
        "Номер обращения;Дата регистрации;Срок исполнения;Дата первого ответа;Дата закрытия;Статус;Категория;"
        "Канал поступления;Экстренное"
    )
    content = f"{header}\n{line}\n".encode("kz1048")
    contract = shipped(bench, "ikomek109/appeals.odcs.yaml")
    assert contract.encoding == "kz1048"
    assert bench.stage(content, contract=contract) == {}
    assert bench.accepted("appeal_id, status, category, channel, is_emergency") == [
        ("К-1", "OPEN", "Көше жарығы, қоқыс", "телефон", False)
    ]
    assert content.decode("cp1251") != content.decode("kz1048"), "the letters of this test tell the code pages apart"


def test_cp1251(bench: Bench) -> None:
    content = "id;when;dead\nДТП №7;2026-01-05 10:00:00;0\n".encode("cp1251")
    contract = small(bench, encoding="cp1251", delimiter="';'")
    assert bench.stage(content, contract=contract, table="fct_crash") == {}
    assert bench.accepted("crash_id") == ["ДТП №7"]


@pytest.mark.parametrize(
    ("written", "expected", "said"),
    [
        ("utf-8", "ikomek109/appeals", "the contract says kz1048, but its letters are those of UTF-8"),
        ("utf-8-sig", "ikomek109/appeals", "the file is UTF-8, the contract says kz1048"),
        ("cp866", "ikomek109/appeals", "is it CP866?"),
        ("koi8-r", "ikomek109/appeals", "the header lacks Номер обращения"),
        ("cp1251", "aqms/hours", "the header lacks Пост"),
    ],
)
def test_an_encoding_other_than_the_contracts_is_refused(bench: Bench, written: str, expected: str, said: str) -> None:
    contract = shipped(bench, f"{expected}.odcs.yaml")
    content = (";".join(contract.headers) + "\n").encode(written)
    assert said in refusal(bench, content, contract)


KAZAKH = "Көше жарығы, қоқыс, су құбыры; Өтініш Әкімге, үй ішіндегі ыстық су"
RUSSIAN = "Уличное освещение; ёмкости для мусора «Наурыз» № 5, ТЭЦ-2, §7"


@pytest.mark.parametrize(
    ("contract", "written", "letters", "said"),
    [
        ("cp1251", "kz1048", KAZAKH, "is it KZ-1048"),
        ("cp1251", "utf-8", RUSSIAN, "letters are those of UTF-8"),
        ("cp1251", "cp866", RUSSIAN, "CP866"),
        ("kz1048", "cp866", RUSSIAN, "CP866"),
        ("cp866", "cp1251", RUSSIAN, "frames of tables"),
        ("koi8-r", "cp866", RUSSIAN, "frames of tables"),
        ("cp1251", "cp1251", RUSSIAN, None),
        ("kz1048", "kz1048", KAZAKH[:40], None),
        ("kz1048", "cp1251", RUSSIAN, None),  # the Russian letters are the same bytes
    ],
)
def test_letters_of_another_page_are_seen_under_a_latin_header(
    bench: Bench, contract: str, written: str, letters: str, said: str | None
) -> None:
    where = letters.replace(",", " ").encode(written, "ignore")
    content = b"id,when,dead\n" + where + b",2026-01-05 10:00:00,0\n"
    used = small(bench, encoding=contract)
    if said:
        assert said in refusal(bench, content, used)
    else:
        assert bench.stage(content, contract=used, table="fct_crash") == {}
        assert len(bench.accepted("crash_id")) == 1


def test_utf16_without_its_mark_is_refused_and_says_what_to_name(bench: Bench) -> None:
    content = "id,when,dead\nC1,2026-01-05 10:00:00,0\n".encode("utf-16-le")
    reason = refusal(bench, content, small(bench, encoding="utf-16"))
    assert "utf-16-le or utf-16-be" in reason


@pytest.mark.parametrize("contract", ["utf-8", "cp1251"])
def test_nul_is_no_letter_of_a_record(bench: Bench, contract: str) -> None:
    content = b"id,when,dead\nC1,2026-01-05 10:00:00,0\nC\x002,2026-01-05 10:00:00,0\nC3,2026-01-05 10:00:00,0\n"
    assert bench.stage(content, contract=small(bench, encoding=contract), table="fct_crash") == {}
    assert bench.accepted("row_no, crash_id") == [(1, "C1"), (3, "C3")]
    assert bench.broken() == [(2, "encoding")]
    assert bench.raw(2) == "«withheld» the letter NUL stands in it; 25 letters"


@pytest.mark.parametrize("before", [10, (1 << 20) + 12_345], ids=["first block", "second block"])
@pytest.mark.parametrize("encoding", ["kz1048", "utf-16"])
def test_a_byte_that_the_encoding_does_not_have_is_refused_with_its_place(
    bench: Bench, before: int, encoding: str
) -> None:
    good = ("id,when,dead\n" + "x" * before).encode(encoding)
    bad = b"\x98" if encoding == "kz1048" else b"\x00\xdc"
    reason = refusal(bench, good + bad + "y\n".encode(encoding)[-4:], small(bench, encoding=encoding))
    assert f"byte {len(good) + 1} is not {encoding}" in reason


def test_the_place_is_right_after_a_letter_cut_by_a_block_boundary(bench: Bench) -> None:
    header = "id,when,dead\n"
    filler = "x" * (((1 << 20) - 4) // 2 - len(header))  # after the mark, so that the boundary halves the next letter
    good = (header + filler + "\U0001f600").encode("utf-16")
    assert len(good) == (1 << 20) + 2
    assert f"byte {len(good) + 1} is not utf-16" in refusal(
        bench, good + b"\x00\xdcy\0", small(bench, encoding="utf-16")
    )


def test_a_block_boundary_inside_a_letter_does_no_harm(bench: Bench) -> None:
    name = "ж" * 600_000  # two bytes each in UTF-16, after an odd number of bytes
    content = b"\xff\xfe" + f"id,when,dead\n{name},2026-01-05 10:00:00,0\nC2,2026-01-05 10:00:00,0\n".encode(
        "utf-16-le"
    )
    bench.stage(content, contract=small(bench, encoding="utf-16"), table="fct_crash")
    assert bench.broken() == [(1, "crash_id.length")]
    assert bench.accepted("crash_id") == ["C2"]
    assert name in bench.raw(1)


@pytest.mark.parametrize(
    ("setting", "value"), [("encoding", "kz-1048x"), ("delimiter", "'||'"), ("delimiter", "''"), ("quote", "'\"\"'")]
)
def test_a_contract_no_file_could_be_read_by_is_refused_when_it_is_read(bench: Bench, setting: str, value: str) -> None:
    with pytest.raises(DocumentError, match=setting):
        small(bench, **{setting: value})


# --- archives ---


def test_a_zip_with_several_members_is_one_delivery_numbered_through(bench: Bench) -> None:
    content = zipped(
        ("folder/b.csv", appeals(3, first=10)),
        ("folder/a.csv", "\ufeff" + appeals(2, first=1)),
        ("c.TXT", appeals(1, first=20)),
    )
    assert bench.stage(content) == {}
    # members in order of their names
    assert bench.accepted("row_no, appeal_id") == [(1, "A20"), (2, "A1"), (3, "A2"), (4, "A10"), (5, "A11"), (6, "A12")]


README = "Выгрузка за январь, отобраны обращения по всем каналам.\r\nВопросы: отдел аналитики, тел. 55-55.\r\n"
BESIDE = [
    ("readme.txt", README),
    ("README", "For questions, see the manual, page 3.\n"),
    ("readme.csv", README.encode("cp1251")),
    ("description.pdf", b"%PDF-1.7\n\x00\xff"),
    ("photo.jpg", bytes(range(256)) * 100),
    ("former.zip", zipped(("a.csv", "appeal_id,registered_at\n1,2\n"))),
    ("table.parquet", parquet({"appeal_id": ["A1"]})),
    ("empty.txt", b""),
    ("schema.txt", "a;b;c\n1;2;3\n"),
]


@pytest.mark.parametrize(("name", "content"), BESIDE, ids=[name for name, _ in BESIDE])
def test_what_is_no_extract_beside_one_is_left_out_and_told(bench: Bench, name: str, content: str | bytes) -> None:
    packed = zipped((name, content), ("a.csv", appeals(2)))
    assert bench.stage(packed) == {}
    assert bench.accepted("appeal_id") == ["A1", "A2"]
    assert bench.unpack(packed, standard(bench.table("fct_appeal"))).left_out == (name,)


def test_what_systems_put_into_archives_is_no_member(bench: Bench) -> None:
    odd = ["__MACOSX/._a.csv", "._a.csv", "folder/._a.csv", ".DS_Store", "Thumbs.db", "folder/desktop.ini"]
    packed = zipped(*((name, b"\x00\x05") for name in odd), ("empty/", b""), ("a.csv", appeals(2)))
    assert bench.stage(packed) == {}
    assert bench.accepted("appeal_id") == ["A1", "A2"]
    assert bench.unpack(packed, standard(bench.table("fct_appeal"))).left_out == ()


def test_an_extract_is_known_by_its_header_whatever_its_name(bench: Bench) -> None:
    for name in ("EXTRACT.CSV", "extract.dat", "extract", "выгрузка.Txt"):
        assert bench.stage(zipped((name, appeals(2)), ("readme.txt", README))) == {}
        assert bench.accepted("appeal_id") == ["A1", "A2"]


def test_a_member_of_records_without_a_header_is_not_left_out(bench: Bench) -> None:
    """As `split` makes them of a large file: to leave it out would lose its rows."""
    whole = appeals(40).splitlines(keepends=True)
    reason = refusal(bench, zipped(("part1.csv", "".join(whole[:20])), ("part2.csv", "".join(whole[20:]))))
    assert "part2.csv has records as wide as the extract's" in reason


def test_a_text_with_commas_is_no_extract_however_few_columns_that_has(bench: Bench) -> None:
    readme = "Made by us, in January, for you.\nThe last edition.\nAsk, if in doubt.\nBye.\n"
    packed = zipped(("readme.txt", readme), ("a.csv", "id,when,dead\n"))
    assert bench.unpack(packed, small(bench)).left_out == ("readme.txt",)


def test_a_member_with_some_of_the_columns_is_the_extract_and_refused_if_it_lacks_others(bench: Bench) -> None:
    part = text([appeal(3)], APPEAL_COLUMNS[:4])
    assert "the header lacks closed_at" in refusal(bench, zipped(("a.csv", appeals(2)), ("b.csv", part)))


def test_two_members_of_one_name_are_refused(bench: Bench) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = zipped(("a.csv", appeals(2)), ("a.csv", appeals(2, first=5)))
    assert "two members named a.csv" in refusal(bench, packed)


def test_where_no_member_fits_they_are_named(bench: Bench) -> None:
    reason = refusal(bench, zipped(("readme.txt", README), ("list.csv", "x,y\n1,2\n")))
    assert "list.csv, readme.txt" in reason
    inner = zipped(("a.csv", appeals(1)))
    assert "file.csv/inner.zip: it is packed (zip) inside of an archive" in refusal(bench, zipped(("inner.zip", inner)))
    assert "could be the extract; it holds inner.zip, photo.jpg" in refusal(
        bench, zipped(("inner.zip", inner), ("photo.jpg", b"\xff\xd8\xff"))
    )


def test_an_archive_that_would_unpack_beyond_measure_is_refused_before_it_has(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = zipped(("a.csv", appeals(1) + "\n" * (40 << 20)))
    assert len(bomb) < 100_000
    reason = refusal(bench, bomb)
    assert "more comes out of the archive than 100 times its size" in reason
    assert max(p.stat().st_size for p in bench.root.rglob("member0")) <= limits.ANYHOW + (1 << 20)
    monkeypatch.setattr(limits, "UNPACKED", 1000)
    assert "more comes out" in refusal(bench, zipped(("a.csv", appeals(300))))
    assert "more comes out" in refusal(bench, zipped(*((f"{n}.csv", appeals(9)) for n in range(5)))), "of all together"


def test_what_an_archive_says_of_its_sizes_is_not_believed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANYHOW", 1000)
    packed = bytearray(zipped(("a.csv", appeals(1) + "\n" * (1 << 20))))
    at = packed.index(b"PK\x01\x02")
    packed[at + 24 : at + 28] = (100).to_bytes(4, "little")
    assert refusal(bench, bytes(packed))


def test_an_archive_of_thousands_of_members_is_refused(bench: Bench) -> None:
    packed = zipped(*((f"{n}.csv", "") for n in range(limits.MEMBERS + 1)))
    assert "more than 1000 members" in refusal(bench, packed)
    lying = bytearray(packed)  # says it has three
    at = lying.rindex(b"PK\x05\x06")
    lying[at + 8 : at + 12] = (3).to_bytes(2, "little") * 2
    assert "more than 1000 members" in refusal(bench, bytes(lying))


def test_an_archive_of_nothing_is_refused(bench: Bench) -> None:
    assert "the archive holds no file that could be the extract" in refusal(bench, zipped())


def test_a_broken_record_in_the_second_member_has_its_number_counted_from_the_first(bench: Bench) -> None:
    content = zipped(("a.csv", appeals(3)), ("b.csv", appeals(1, first=4) + "A5,cut\n" + f"A6,{ROW}\n"))
    assert bench.stage(content) == {}
    assert bench.accepted("row_no, appeal_id") == [(1, "A1"), (2, "A2"), (3, "A3"), (4, "A4"), (6, "A6")]
    assert bench.broken() == [(5, "columns")]
    assert bench.raw(5) == "«withheld» 2 cells, the header has 9; 6 letters"


def test_members_with_differing_headers_are_refused(bench: Bench) -> None:
    other = text([appeal(3)], [*APPEAL_COLUMNS[1:], APPEAL_COLUMNS[0]])
    reason = refusal(bench, zipped(("a.csv", appeals(2)), ("b.csv", other)))
    assert "b.csv has other columns than file.csv/a.csv" in reason
    assert "deliver them as two files" in reason


@pytest.mark.parametrize("place", ["head", "data", "checksum", "directory", "end"])
def test_a_broken_zip_is_refused(bench: Bench, place: str) -> None:
    content = bytearray(zipped(("a.csv", appeals(300))))
    directory = content.index(b"PK\x01\x02")
    if place == "end":
        del content[-30:]
    else:
        position = {"head": 1, "data": 80, "checksum": directory + 16, "directory": directory}[place]
        content[position] ^= 0xFF
    if place == "head":  # no longer recognised as an archive, and no text either
        assert "it is neither text in utf-8 nor" in refusal(bench, bytes(content))
    else:
        reason = refusal(bench, bytes(content))
        assert "the zip archive cannot be unpacked" in reason
        assert "deliver it again" in reason


def test_an_encrypted_zip_is_refused(bench: Bench) -> None:
    content = bytearray(zipped(("a.csv", appeals(3))))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(bench, bytes(content))


def test_a_zip_without_any_extract_is_refused(bench: Bench) -> None:
    assert "the archive holds no file that could be the extract" in refusal(bench, zipped(("notes.doc", b"x")))


# --- the header ---


def test_an_empty_file_is_refused(bench: Bench) -> None:
    assert "the file is empty, not even a header" in refusal(bench, b"")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\xff\xfe"], ids=["utf-8", "utf-16"])
def test_a_file_of_a_mark_alone_is_refused(bench: Bench, content: bytes) -> None:
    assert refusal(bench, content)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "nothing"])
def test_a_header_alone_is_a_delivery_of_no_rows(bench: Bench, end: str) -> None:
    assert bench.stage(",".join(APPEAL_COLUMNS) + end) == {}
    assert bench.counts() == {}


def test_empty_deliveries_do_not_shift_the_rows_of_others(bench: Bench) -> None:
    header = ",".join(APPEAL_COLUMNS) + "\n"
    assert bench.stage(header, appeals(2), header, appeals(1, first=5), header) == {}
    assert bench.accepted("delivery_id, row_no, appeal_id") == [(2, 1, "A1"), (2, 2, "A2"), (4, 1, "A5")]


def test_swapped_columns_are_read_by_name(bench: Bench) -> None:
    rows = [appeal(1, due_at="2026-01-21 00:00:00", status="OPEN", category="CLOSED", closed_at="", channel="web")]
    for columns in (APPEAL_COLUMNS, APPEAL_COLUMNS[::-1], sorted(APPEAL_COLUMNS)):
        assert bench.stage(text(rows, columns)) == {}
        assert bench.accepted(
            "appeal_id, registered_at, due_at, closed_at, status, category, channel, is_emergency"
        ) == [
            (
                "A1",
                dt.datetime(2026, 1, 5, 10),  # noqa: DTZ001
                dt.datetime(2026, 1, 21),  # noqa: DTZ001
                None,
                "OPEN",
                "CLOSED",
                "web",
                False,
            )
        ]


def test_deliveries_of_one_batch_may_have_their_columns_in_different_order(bench: Bench) -> None:
    one, two = text([appeal(1), appeal(2)]), text([appeal(3), appeal(4)], APPEAL_COLUMNS[::-1])
    assert bench.stage(one, two, one.replace("A1", "A5"), two.replace("A3", "A6")) == {}
    assert bench.accepted("delivery_id, row_no, appeal_id, status, category") == [
        (delivery, row, name, "CLOSED", "roads")
        for delivery, names in enumerate([("A1", "A2"), ("A3", "A4"), ("A5", "A2"), ("A6", "A4")], 1)
        for row, name in enumerate(names, 1)
    ]


def changed_header(*, rename: tuple[str, str] | None = None, drop: str = "", add: str = "") -> str:
    columns = [c for c in APPEAL_COLUMNS if c != drop] + ([add] if add else [])
    content = text([appeal(1)], columns)
    return content.replace(*rename, 1) if rename else content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (changed_header(rename=("closed_at", "finished_at")), "lacks closed_at and has unknown column 5 (10 letters, 1 other signs)"),
        (changed_header(rename=("appeal_id", "APPEAL_ID")), "lacks appeal_id and has unknown APPEAL_ID"),
        (changed_header(drop="status"), "the header lacks status"),
        (changed_header(drop="channel"), "the header lacks channel"),  # not mandatory, and yet part of the format
        (changed_header(add="applicant_name"), "has unknown column 10 (13 letters, 1 other signs)"),
        (changed_header(add="status"), "repeats status"),
        (changed_header(add=""). replace("is_emergency\n", "is_emergency,\n"), "has unknown"),
        (ROW + "\n", "the header lacks appeal_id"),
    ],
    ids=["renamed", "other case", "mandatory missing", "missing", "extra", "twice", "nameless", "no header"],
)  # fmt: skip
def test_a_header_that_is_not_the_contracts_is_refused_with_its_faults(
    bench: Bench, content: str, expected: str
) -> None:
    reason = refusal(bench, content)
    assert expected in reason
    assert "contract standard.fct_appeal" in reason


class Name(str):
    """A name of a header that counts how often it is compared with others, or looked up among them."""

    asked = 0

    def __eq__(self, other: object) -> bool:
        Name.asked += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Name.asked += 1
        return str.__hash__(self)


@pytest.mark.parametrize("rows", [11, 2_501, 20_000])
def test_a_file_that_lost_its_line_ends_is_refused_at_once_in_few_words(
    bench: Bench, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = appeals(rows).replace("\n", ",")
    compared = list[int]()
    check = readers.check_header  # type: ignore[attr-defined]

    def counting(header: tuple[str, ...], *more: Any) -> None:
        compared.append(len(header))
        check(header, *more)

    monkeypatch.setattr(readers, "check_header", counting)
    reason = refusal(bench, content)
    names = content.count(",") + 1
    assert compared == ([names] if names <= heading.HEADER_CELLS else []), "names are compared only if there are few"
    assert "line ends lost?" in reason
    if len(content) < heading.HEADER_LETTERS:
        assert f"one line of {len(content)} letters" in reason
    assert len(reason) < 1_500


def test_thousands_of_columns_are_told_in_few_words_and_linear_time(bench: Bench) -> None:
    columns = [*APPEAL_COLUMNS, *(f"column_{n % 2_400}_{'x' * 100}" for n in range(4_900))]
    reason = refusal(bench, ",".join(columns) + "\n")
    for some in (columns[:2_450], columns):
        Name.asked = 0
        with pytest.raises(StructureError):
            heading.check_header(tuple(map(Name, some)), standard(bench.table("fct_appeal")), "x.csv")
        assert 0 < Name.asked < 20 * len(some), "it grows with the number of names, not with its square"
    assert "and 2390 more" in reason
    assert len(reason) < 1_500
    assert "at most 5000" in refusal(bench, ",".join(f"c{n}" for n in range(5_001)) + "\n" + appeals(1))
    many = parquet({f"c{n}": [1] for n in range(5_001)})
    assert "at most 5000" in refusal(bench, many)


def test_a_first_line_without_end_is_not_read_to_its_end(bench: Bench) -> None:
    reason = refusal(bench, "a," * (heading.HEADER_LETTERS // 2 + 10) + "\n1\n")
    assert "its first line is longer than 1048576 letters" in reason


def test_blanks_around_header_names_do_no_harm(bench: Bench) -> None:
    assert bench.stage(appeals(1).replace("status", " status "). replace("appeal_id", '"appeal_id "')) == {}  # fmt: skip
    assert bench.accepted("appeal_id, status") == [("A1", "CLOSED")]


def test_further_headers_are_ignored_where_the_contract_says_so(bench: Bench) -> None:
    content = "x,dead,x,id,y,when\n1,0,2,C1,3,2026-01-05 10:00:00\n"
    assert "has unknown x, y" in refusal(bench, content, small(bench))
    assert bench.stage(content, contract=small(bench, otherHeaders="ignore"), table="fct_crash") == {}
    assert bench.accepted("crash_id, deaths_30d") == [("C1", 0)]


def test_a_repeated_header_is_refused_even_where_further_headers_are_ignored(bench: Bench) -> None:
    content = "id,when,dead,dead\nC1,2026-01-05 10:00:00,0,1\n"
    assert "repeats dead" in refusal(bench, content, small(bench, otherHeaders="ignore"))


def test_headers_named_like_the_gates_own_columns_are_read_as_data(bench: Bench) -> None:
    names = ("broken", "delivery_id", "raw", "period_end", "row_no", "delivered_for", "row_kato", "file_index")
    for first, second in zip(names, names[1:] + names[:1], strict=True):
        contract = bench.contract(
            contract_text("odd", "fct_crash", THREE_COLUMNS.replace("id}", first + "}").replace("dead}", second + "}"))
        )
        content = f"{first},when,{second}\nC7,2026-01-05 10:00:00,3\n,2026-01-05 10:00:00,4\n"
        assert bench.stage(content, contract=contract, table="fct_crash") == {}
        assert bench.accepted("delivery_id, row_no, kato, crash_id, deaths_30d") == [(1, 1, ASTANA, "C7", 3)]
        assert bench.broken() == [(2, "crash_id.required")]
        assert f'"{second}":"4"' in bench.raw(2)


def test_a_wrong_delimiter_gets_a_hint(bench: Bench) -> None:
    reason = refusal(bench, text([appeal(1)], delimiter=";"))
    assert "is the delimiter really ','?" in reason
    # not where it is right
    assert "delimiter" not in refusal(bench, changed_header(drop="status"))


@pytest.mark.parametrize("content", [b'\x00\x01"' * 200_000, bytes(range(1, 256)) * 100], ids=["quotes", "bytes"])
def test_what_is_no_text_at_all_is_refused(bench: Bench, content: bytes) -> None:
    assert "it is neither text in utf-8 nor" in refusal(bench, content)


# --- records ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "unended"])
def test_line_ends(bench: Bench, end: str, last: bool) -> None:
    content = appeals(3).replace("\n", end)
    assert bench.stage(content if last else content.removesuffix(end)) == {}
    assert bench.accepted("row_no, appeal_id, is_emergency") == [(n, f"A{n}", False) for n in (1, 2, 3)]


def test_mixed_line_ends(bench: Bench) -> None:
    lines = appeals(4).splitlines()
    assert bench.stage(f"{lines[0]}\r\n{lines[1]}\n{lines[2]}\r\n{lines[3]}\n{lines[4]}") == {}
    assert bench.accepted("row_no, appeal_id, is_emergency") == [(n, f"A{n}", False) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "mended"])
def test_blank_lines_are_no_records(bench: Bench, broken: bool) -> None:
    lines = appeals(3).splitlines()
    content = "\n".join([lines[0], "", lines[1], "", "", lines[2], lines[3], "", *(["A9,cut"] if broken else [])])
    assert bench.stage(content) == {}
    assert bench.accepted("row_no, appeal_id") == [(1, "A1"), (2, "A2"), (3, "A3")]
    assert bench.broken() == ([(4, "columns")] if broken else [])


QUOTED = [
    "first line\nsecond line",
    "windows\r\nlines",
    'he said "no"',
    '"',
    "a,b;c\td",
    '"quoted" at the start',
    'ends with a quote"',
    "«ёлочки» и 'апостроф'",
    '""',
]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "mended"])
def test_quoted_newlines_delimiters_and_quotes(bench: Bench, end: str, broken: bool) -> None:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator=end)
    writer.writerow(APPEAL_COLUMNS)
    for number, category in enumerate(QUOTED, 1):
        writer.writerow(appeal(number, category=category).values())
    content = target.getvalue() + (f"A99,cut{end}" if broken else "")
    assert bench.stage(content) == {}
    assert bench.accepted("row_no, category") == list(enumerate(QUOTED, 1))
    assert bench.broken() == ([(len(QUOTED) + 1, "columns")] if broken else [])


def test_a_quote_inside_an_unquoted_cell_is_a_letter(bench: Bench) -> None:
    content = appeals(2).replace("roads", 'двор 5"б"')
    for body in (content, content + "A3,cut\n"):
        bench.stage(body)
        assert bench.accepted("category") == ['двор 5"б"'] * 2


def test_blanks_before_an_opening_quote_are_no_part_of_the_cell(bench: Bench) -> None:
    content = appeals(3).replace("roads", ' "roads, ""or"" so"').replace("phone", " phone")
    for body in (content, content + "A4,cut\n"):
        bench.stage(body)
        assert bench.accepted("category, channel") == [('roads, "or" so', "phone")] * 3


def test_a_contract_without_quotes_takes_them_as_letters(bench: Bench) -> None:
    content = 'id;when;dead\n"C1;2026-01-05 10:00:00;0\nC"2";2026-01-05 10:00:00;1\n'
    contract = small(bench, quote="''", delimiter="';'")
    for body in (content, content + "C3\n"):
        bench.stage(body, contract=contract, table="fct_crash")
        assert bench.accepted("crash_id, deaths_30d") == [('"C1', 0), ('C"2"', 1)]


def test_another_quote_character(bench: Bench) -> None:
    contract = small(bench, quote='"\'"')
    content = "id,when,dead\n'C,1',2026-01-05 10:00:00,0\n'O''Neill \"x\"',2026-01-05 10:00:00,1\n"
    for body in (content, content + "C3\n"):
        bench.stage(body, contract=contract, table="fct_crash")
        assert bench.accepted("crash_id, deaths_30d") == [("C,1", 0), ('O\'Neill "x"', 1)]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("A3", "columns"),
        ("A3,2026-01-05 10:00:00,,,,OPEN", "columns"),
        (f"A3,{ROW},one,two", "columns"),
        (f"A3,{ROW},more", "columns"),
        ("# 3 rows", "columns"),
        (f'A3,"{ROW}', "columns"),
        (f'A3,{ROW[:-5]}"fal', "columns"),
        (f'"A"3,{ROW}', "columns"),
        (f"A\udcff3,{ROW}", "encoding"),
        (f"A3,{ROW.replace('OPEN', chr(0xDCD0))}", "encoding"),
    ],
    ids=[
        "one cell",
        "short",
        "two too many",
        "one too many",
        "comment",
        "unterminated quote",
        "quote cut in the last cell",
        "text after a quote",
        "invalid UTF-8",
        "half a letter",
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last", "last, unended"])
def test_a_record_that_cannot_be_split_is_quarantined_and_the_others_load(
    bench: Bench, line: str, rule: str, place: str
) -> None:
    lines = appeals(4).splitlines()
    position = {"first": 1, "middle": 3}.get(place, 5)
    lines.insert(position, line)
    content = "\n".join(lines) + ("" if place.endswith("unended") else "\n")
    assert bench.stage(content.encode("utf-8", "surrogateescape")) == {}
    good = [n for n in range(1, 6) if n != position]
    assert bench.accepted("row_no, appeal_id, category, is_emergency") == [
        (number, f"A{index}", "roads", False) for index, number in enumerate(good, 1)
    ]
    assert bench.broken() == [(position, rule)]
    kept = bench.raw(position)
    assert kept.startswith("«withheld» "), "nothing can be told of what stands in which column"
    assert ("bytes that are not of the encoding" in kept) == (rule == "encoding")
    assert re.search(r"; [0-9]+ letters$", kept)


def test_bytes_of_another_encoding_cost_the_cell_where_the_row_can_do_without(bench: Bench) -> None:
    lines = appeals(4).splitlines()
    lines[2] = lines[2].replace("roads", "\udcc4\udcee\udcf0").replace("phone", "\udcf2")
    for body in ("\n".join(lines), "\n".join([*lines, "A9,cut"])):
        assert bench.stage(body.encode("utf-8", "surrogateescape")) == {}
        assert bench.accepted("row_no, category, channel") == [
            (1, "roads", "phone"), (2, None, None), (3, "roads", "phone"), (4, "roads", "phone")]  # fmt: skip
        assert bench.cells() == [
            (2, "category", "encoding", "«withheld» letter 1 of 3 is no UTF-8"),
            (2, "channel", "encoding", "«withheld» letter 1 of 1 is no UTF-8"),
        ]


def test_bytes_of_another_encoding_under_a_header_nobody_takes_cost_nothing(bench: Bench) -> None:
    columns = "      - {name: crash_id, physicalName: id}\n      - {name: occurred_at, physicalName: when}\n      - {name: deaths_30d, physicalName: dead}\n"
    made = """      - {name: district_id, transformLogic: "upper(area)", transformSourceObjects: [area]}\n"""
    contract = bench.contract(contract_text("x", "fct_crash", columns + made, settings={"otherHeaders": "ignore"}))
    body = "id,when,dead,area,note\nC1,2026-01-05,0,d1,\udcff\nC2,2026-01-05,0,\udcff,n\n\udcff,2026-01-05,0,d1,n\n"
    bench.stage(body.encode("utf-8", "surrogateescape"), table="fct_crash", contract=contract)
    assert bench.accepted("crash_id, district_id") == [("C1", "D1"), ("C2", None)]
    assert bench.cells() == [(2, "district_id", "encoding", "«withheld» letter 1 of 1 is no UTF-8")]
    assert bench.broken() == [(3, "encoding")]


NOTHING = ["   ", ",,,,,,,,", '"",,"","",,,,,', " ,\t,\u00a0,,,,,,", ",,", ",,,,,,,,,,", "\ufeff"]


@pytest.mark.parametrize("line", NOTHING)
@pytest.mark.parametrize("harm", ["", "A0,cut\n"])
def test_a_row_without_anything_in_its_cells_is_no_row(bench: Bench, line: str, harm: str) -> None:
    """Not received, not rejected, and the rows after it keep their numbers whichever way the file is read."""
    lines = appeals(3).splitlines()
    content = "\n".join([*lines[:2], line, line, *lines[2:], line]) + "\n" + harm
    assert bench.stage(content) == {}
    assert bench.accepted("row_no, appeal_id") == [(1, "A1"), (2, "A2"), (3, "A3")]
    assert bench.broken() == ([(4, "columns")] if harm else [])
    file = bench.root / "blank.csv"
    file.write_text(content, encoding="utf-8")
    found = list(records(file, standard(bench.table("fct_appeal"))))[1:]
    assert [cells[0] for cells, _ in found][:3] == ["A1", "A2", "A3"]
    assert len(found) == 3 + bool(harm)


def test_a_row_of_words_for_nothing_or_with_one_cell_nobody_takes(bench: Bench) -> None:
    columns = "      - {name: crash_id, physicalName: id}\n      - {name: occurred_at, physicalName: when}\n      - {name: deaths_30d, physicalName: dead}\n"
    settings = {"otherHeaders": "ignore", "missingValues": "['', '-']"}
    contract = bench.contract(contract_text("x", "fct_crash", columns, settings=settings))
    bench.stage("id,when,dead,note\n-,-,-,\nC2,2026-01-05,0,\n,,,7\n", table="fct_crash", contract=contract)
    assert bench.accepted("row_no, crash_id") == [(1, "C2")]
    assert bench.broken() == [(2, "crash_id.required")]


def test_a_delimiter_at_the_end_of_the_lines_is_no_further_cell(bench: Bench) -> None:
    lines = appeals(3).splitlines()
    content = "\n".join([lines[0], *(line + "," for line in lines[1:])]) + "\n"
    for body, bad in ((content, []), (content + "A4,cut\n", [(4, "columns")])):
        bench.stage(body)
        assert bench.accepted("appeal_id, is_emergency") == [("A1", False), ("A2", False), ("A3", False)]
        assert bench.broken() == bad


def test_a_quote_left_open_does_not_swallow_the_rows_after_it(bench: Bench) -> None:
    """Neither to the next quote, nor to the end, nor past what the CSV reader holds."""
    lines = appeals(3000).splitlines()
    lines[3] = lines[3].replace("roads", '"roads')
    lines[1500] = lines[1500].replace("roads", '"двор ""Ромашка"""')
    lines[2990] = lines[2990].replace("roads", '"roads')
    assert bench.stage("\n".join(lines)) == {}
    assert bench.broken() == [(3, "columns"), (2990, "columns")]
    assert bench.accepted() == [n for n in range(1, 3001) if n not in (3, 2990)]
    assert bench.accepted("category")[1498] == 'двор "Ромашка"'


HARM = {
    "cut in quotes": lambda body: body + 'A0,"cut',
    "cut in quotes after a stray quote": lambda body: body.replace("phone", 'two"') + 'A0,"cut',
    "cut in an empty cell": lambda body: body + 'A0,"',
    "short": lambda body: body + "A0,cut",
    "long": lambda body: body + f"A0,{ROW},1,2\n",
    "text after a quote": lambda body: body + f'"A"0,{ROW}\n',
}


@pytest.fixture
def one_thread(bench: Bench) -> Iterator[None]:
    """The fewer threads, the fewer files it takes until DuckDB scans each by one thread alone."""
    bench.store.con.execute("SET threads = 1")
    yield
    bench.store.con.execute("RESET threads")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("files", [2, 7])
@pytest.mark.parametrize("harm", HARM)
def test_only_the_broken_delivery_of_a_batch_pays(bench: Bench, files: int, harm: str) -> None:
    """DuckDB alone would lose records after an open quote, without a word, as soon as a scan has many files."""
    bodies = [appeals(3, first=10 * n) for n in range(1, files + 1)]
    for place in {0, files // 2, files - 1}:
        assert bench.stage(*bodies[:place], HARM[harm](bodies[place]), *bodies[place + 1 :]) == {}
        received = {delivery: sum(counts) for delivery, counts in bench.counts().items()}
        assert received == {n: 4 if n == place + 1 else 3 for n in range(1, files + 1)}
        assert bench.broken()[-1] == (4, "columns")
        assert all(rejected == 0 for n, (_, rejected) in bench.counts().items() if n != place + 1)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("size", [200_000, 9 << 20], ids=["mended", "scanned alone"])
def test_a_large_cut_file_among_others_loses_nothing(bench: Bench, size: int) -> None:
    rows = size // 50
    body = "crash_id,occurred_at,district_id,deaths_30d,injured\n" + "".join(
        f"C{n:06},2026-01-05 10:00:00,{'z' * 20},0,1\n" for n in range(1, rows + 1)
    )
    cut = body + 'C-last,2026-01-05 10:00:00,"Еси'
    assert bench.stage(*[crashes(2)] * 6, cut, *[crashes(2)] * 6, table="fct_crash") == {}
    assert bench.counts() == {n: (rows, 1) if n == 7 else (2, 0) for n in range(1, 14)}
    assert bench.broken() == [(rows + 1, "columns")]
    assert bench.raw(rows + 1) == "«withheld» its cells cannot be told apart; 31 letters"


@pytest.mark.usefixtures("one_thread")
@examples(4, full=12)
@given(st.lists(st.text('ab"",,\n\r ', max_size=25), min_size=4, max_size=4))
@example(['"', "a", "a", "a"])
@example(['x"y,"', '"a"', '"a"', ""])
def test_a_file_is_read_among_others_as_it_is_read_alone(bench: Bench, tails: list[str]) -> None:
    contract = bench.contract(contract_text("small", "fct_crash", THREE_COLUMNS, settings={"otherHeaders": "ignore"}))
    bodies = ["id,when,dead\nC1,2026-01-05 10:00:00,0\n" + tail for tail in tails]
    alone = []
    for number, body in enumerate(bodies, 1):
        assert bench.stage(body, contract=contract, table="fct_crash") == {}
        rows = bench.store.con.execute(
            "SELECT row_no, crash_id, broken, raw FROM work_staged_row ORDER BY 1"
        ).fetchall()
        alone += [(number, *row) for row in rows]
    assert bench.stage(*bodies, contract=contract, table="fct_crash") == {}
    together = "SELECT delivery_id, row_no, crash_id, broken, raw FROM work_staged_row ORDER BY 1, 2"
    assert bench.store.con.execute(together).fetchall() == alone


def test_a_line_beyond_all_measure_is_quarantined_or_its_file_refused(bench: Bench) -> None:
    content = appeals(2) + "A3," + "x" * (17 << 20) + "\n" + appeals(1, first=4).splitlines()[1] + "\n"
    refused = bench.stage(content, appeals(1))
    assert refused == {}
    assert bench.counts() == {1: (3, 1), 2: (1, 0)}
    assert bench.broken() == [(3, "columns")]
    assert bench.raw(3) == f"«withheld» its cells cannot be told apart; {3 + (17 << 20):,} letters"


def test_row_numbers_hold_when_a_large_file_is_read_in_parallel(bench: Bench) -> None:
    rows = 250_000  # more than one thread's share
    filler = "y" * 60
    header = ",".join(CRASH_COLUMNS) + "\n"
    big = header + "".join(f"C{n},2026-01-05 10:00:00,{filler},{n % 7},1\n" for n in range(1, rows + 1))
    assert bench.stage(crashes(3), big, crashes(2), table="fct_crash") == {}
    wrong = bench.store.con.execute("SELECT count(*) FROM work_staged_row WHERE crash_id <> 'C' || row_no").fetchone()
    assert wrong == (0,)
    assert bench.counts() == {1: (3, 0), 2: (rows, 0), 3: (2, 0)}


# what is cut off around a text: blanks of any width and of none
BLANKS = (
    "".join(c for c in map(chr, range(0x3001)) if unicodedata.category(c) == "Zs")
    + "\u200b\u2060\ufeff\t\n\r\x0b\x0c\x85\u2028\u2029"
)
CELL = st.text(
    st.one_of(
        st.sampled_from(list("\",;'\n\r\t \\x0aé\u00a0қ")),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
).filter(lambda text: text.strip(BLANKS).casefold() not in WORDS)  # a record with NUL is quarantined


@examples(8, full=25)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
@example([('"', "\r"), ("\r\n", "\n\r")], "\r\n")
@example([("\ufeff", "\x01")], "\n")
def test_mending_a_file_changes_none_of_its_good_rows(bench: Bench, cells: list[tuple[str, str]], end: str) -> None:
    def line(values: Iterable[str]) -> str:
        return ",".join('"' + v.replace('"', '""') + '"' if set(v) & set('",\r\n') else v for v in values) + end

    content = line(APPEAL_COLUMNS)
    for number, (category, channel) in enumerate(cells, 1):
        content += line(appeal(number, category=category, channel=channel).values())
    columns = "row_no, appeal_id, category, channel, is_emergency"
    assert bench.stage(content) == {}
    expected = bench.accepted(columns)
    assert [(row[2], row[3]) for row in expected] == [
        tuple(cell.strip(BLANKS) or None for cell in pair) for pair in cells
    ]
    assert bench.stage(content + f"A99,cut{end}") == {}
    assert bench.accepted(columns) == expected
    assert bench.broken() == [(len(cells) + 1, "columns")]


# --- Parquet ---


def test_parquet_in_the_exchange_format(bench: Bench) -> None:
    columns = crash_columns(injured=pa.array([None, 3], pa.int64()))
    assert bench.stage(parquet(columns), table="fct_crash") == {}
    assert bench.accepted("row_no, kato, crash_id, occurred_at, district_id, deaths_30d, injured") == [
        (1, ASTANA, "C1", dt.datetime(2026, 1, 5, 10, 30), "Есиль", 1, None),  # noqa: DTZ001
        (2, ASTANA, "C2", dt.datetime(2026, 1, 5, 10, 30), "Есиль", 1, 3),  # noqa: DTZ001
    ]


def test_parquet_columns_are_read_by_name(bench: Bench) -> None:
    columns = crash_columns(1)
    backwards = {name: columns[name] for name in reversed(columns)}
    assert bench.stage(parquet(columns), parquet(backwards), table="fct_crash") == {}
    rows = bench.accepted("crash_id, deaths_30d, injured, district_id")
    assert rows == [("C1", 1, 2, "Есиль")] * 2


def test_parquet_with_the_wrong_columns_is_refused(bench: Bench) -> None:
    columns = crash_columns()
    columns["dead"] = columns.pop("deaths_30d")
    reason = refusal(bench, parquet(columns), standard(bench.table("fct_crash")))
    assert "lacks deaths_30d and has unknown column 5 (4 letters)" in reason


@pytest.mark.parametrize(
    ("values", "accepted", "broken"),
    [
        (pa.array([0.0, 1.0], pa.float64()), [0, 1], []),
        (pa.array([1.7, 1.0], pa.float64()), [1], [(1, "deaths_30d.type")]),
        (pa.array(["2", "x"]), [2], [(2, "deaths_30d.type")]),
        (pa.array([Decimal("3.00"), Decimal("3.10")]), [3], [(2, "deaths_30d.type")]),
        (pa.array([{"a": 1}, None]), [], [(1, "deaths_30d.type"), (2, "deaths_30d.required")]),
    ],
    ids=["whole floats", "floats", "text", "decimals", "structs"],
)
def test_parquet_of_other_types_is_judged_by_its_values_also_among_others(
    bench: Bench, values: pa.Array, accepted: list[int], broken: list[tuple[int, str]]
) -> None:
    usual, other = parquet(crash_columns()), parquet(crash_columns(deaths_30d=values))
    assert bench.stage(other, table="fct_crash") == {}
    assert bench.accepted("deaths_30d") == accepted
    assert bench.broken() == broken
    # a scan over files of several types would cast them to the first one's: 1.7 to 2
    for files in ([usual, other], [other, usual]):
        assert bench.stage(*files, table="fct_crash") == {}
        assert sorted(bench.accepted("deaths_30d")) == sorted([*accepted, 1, 1])
        assert bench.broken() == broken


def test_parquet_instants_become_civil_time(bench: Bench) -> None:
    instant = pa.array([dt.datetime(2026, 1, 5, 22, 0, tzinfo=dt.UTC)] * 2, pa.timestamp("ms", "UTC"))
    assert bench.stage(parquet(crash_columns(occurred_at=instant)), table="fct_crash") == {}
    assert bench.accepted("occurred_at") == [dt.datetime(2026, 1, 6, 3, 0)] * 2  # noqa: DTZ001


@pytest.mark.parametrize("harm", ["cut", "cut in its head", "flipped"])
def test_broken_parquet_is_refused_and_its_neighbours_are_not(bench: Bench, harm: str) -> None:
    genuine = parquet(crash_columns(1000))
    broken = {"cut": genuine[:-20], "cut in its head": b"PAR1", "flipped": genuine[:60] + b"\0" * 30 + genuine[90:]}
    try:
        refused = bench.stage(genuine, broken[harm], genuine, table="fct_crash")
    except StructureError as error:  # seen before the gate
        assert harm != "flipped"
        assert "the Parquet file cannot be read" in str(error)  # noqa: PT017
    else:
        assert list(refused) == [2]
        assert "cannot be read" in str(refused[2])
        assert bench.counts() == {1: (1000, 0), 3: (1000, 0)}


def test_csv_and_parquet_in_one_batch(bench: Bench) -> None:
    assert bench.stage(crashes(2), parquet(crash_columns(3)), crashes(1), table="fct_crash") == {}
    assert bench.counts() == {1: (2, 0), 2: (3, 0), 3: (1, 0)}
    assert bench.accepted("row_no") == [1, 2, 1, 2, 3, 1]


def test_crash_rows_of_the_support_are_faultless(bench: Bench) -> None:
    """What the other tests take for granted."""
    bench.stage(text([crash(1)]), table="fct_crash")
    assert bench.broken() == []
    bench.stage(text([appeal(1)]))
    assert bench.broken() == []


def test_scratch_files_are_read_from_the_archive_alone(bench: Bench, tmp_path: Path) -> None:
    readable = bench.unpack(appeals(1), standard(bench.table("fct_appeal")))
    assert readable.header == APPEAL_COLUMNS
    assert [p.is_relative_to(bench.root) for p in readable.files] == [True]
