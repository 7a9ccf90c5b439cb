"""Kinds and packings: one table written in every way loads to the same rows, an auditor is shown where each stood, and what is none is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from connectors.archive.bundle import bundle
from connectors.mapping.source_contract import SourceContract
from connectors.readers import limits
from connectors.readers.headers import StructureError
from connectors.readers.kinds import Kind
from connectors.readers.look import look
from connectors.readers.source_records import originals
from kpi_definitions.documents import DocumentError
from tests.support.examples import examples
from tests.support.files import Bench, Desk, contract_text, query

HEADER = ("id", "when", "dead", "district")
COLUMNS = """      - {name: crash_id, physicalName: id}
      - {name: occurred_at, physicalName: when}
      - {name: deaths_30d, physicalName: dead}
      - {name: district_id, physicalName: district}
"""
Row = tuple[str | None, ...]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("formats")
    with Desk(root).open() as store:
        yield Bench(store, root)


def contract(bench: Bench, **settings: str) -> SourceContract:
    return bench.contract(contract_text("small", "fct_crash", COLUMNS, settings=settings))


# --- a table, written in every way ---


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter)
    writer.writerow(HEADER)
    writer.writerows(rows)
    return target.getvalue().encode()


def as_frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(HEADER), dtype=object)


def as_workbook(rows: Sequence[Row], engine: str) -> bytes:
    target = io.BytesIO()
    with pd.ExcelWriter(target, engine=engine) as writer:  # type: ignore[call-overload]
        as_frame(rows).to_excel(writer, index=False)
    return target.getvalue()


def as_parquet(rows: Sequence[Row]) -> bytes:
    return bytes(as_frame(rows).astype("string").to_parquet())


def as_objects(rows: Sequence[Row]) -> list[dict[str, str | None]]:
    return [dict(zip(HEADER, row, strict=True)) for row in rows]


def as_json(rows: Sequence[Row]) -> bytes:
    return json.dumps({"page": 1, "data": {"items": as_objects(rows)}}, ensure_ascii=False).encode()


def as_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in as_objects(rows)).encode()


def as_xml(rows: Sequence[Row]) -> bytes:
    root = etree.Element("answer")
    for one in as_objects(rows):
        row = etree.SubElement(root, "row")
        for name, value in one.items():
            if value is not None:
                etree.SubElement(row, name).text = value
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


def zipped(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in members:
            into.writestr(name, content)
    return target.getvalue()


def framed(*contents: bytes) -> bytes:
    return b"".join(zstandard.compress(content) for content in contents)


def bundled(folder: Path, *contents: bytes) -> bytes:
    files = []
    for number, content in enumerate(contents):
        (path := folder / f"part{number}").write_bytes(content)
        files.append((f"part{number}.csv", path))
    return bundle(files, folder / "bundle.zip", {}).read_bytes()


def halves(content: bytes) -> tuple[bytes, bytes]:
    return content[: len(content) // 2], content[len(content) // 2 :]


Packed = Callable[[bytes], bytes]
PLAIN: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": as_csv,
    "xlsx": lambda rows: as_workbook(rows, "openpyxl"),
    "ods": lambda rows: as_workbook(rows, "odf"),
    "parquet": as_parquet,
    "json": as_json,
    "jsonl": as_lines,
    "xml": as_xml,
}
PACKINGS: Mapping[str, Packed] = {
    "gzip": gzip.compress,
    "gzip of two members": lambda content: b"".join(map(gzip.compress, halves(content))),
    "zip": lambda content: zipped(("extract", content), ("readme.txt", "Пояснения к выгрузке\n".encode())),
    "zstd": zstandard.compress,
    "zstd of two frames": lambda content: framed(*halves(content)),
}
KEYS = st.text("AB12ДЖ", min_size=1, max_size=6).map(lambda t: f"C{t}")
MOMENTS = st.datetimes(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-31 23:59:59")).map(
    lambda t: t.strftime("%Y-%m-%d %H:%M:%S")
)
WORDS = st.text("абвXyz09,;\"'", max_size=8)
ROWS = st.lists(
    st.tuples(
        KEYS,
        MOMENTS | st.just("yesterday"),
        st.sampled_from(["0", "1", "2.5", "none", "-3"]) | st.none(),
        WORDS | st.none(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: str(row[0]).casefold(),
)


def loaded(bench: Bench, delivery: int) -> list[tuple[object, ...]]:
    """What became of every record: its number, its values if it was taken, the rule and the emptied cells."""
    return query(
        bench.store,
        f"""SELECT row_no, broken, crash_id, occurred_at, deaths_30d, district_id,
        list_transform(emptied, lambda c: (c.column_name, c.rule)) FROM work_staged_row WHERE delivery_id = {delivery} ORDER BY row_no""",
    )


@examples(4, 60)
@given(rows=ROWS)
def test_one_table_loads_to_the_same_rows_however_it_is_written_and_packed(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    contents = [as_csv(rows)]
    names = ["csv"]
    for kind, written in PLAIN.items():
        for packing, packed in {"plain": bytes, **PACKINGS}.items():
            names.append(f"{kind}, {packing}")
            contents.append(packed(written(rows)))
    middle = len(rows) // 2
    for kind in ("csv", "jsonl", "xlsx", "parquet"):
        names.append(f"{kind}, two files")
        one, other = PLAIN[kind](rows[:middle]), PLAIN[kind](rows[middle:])
        if middle:
            contents.append(bundled(folder, gzip.compress(one), other))
        else:
            contents.append(other)
    assert bench.stage(*contents, contract=contract(bench), table="fct_crash", period="2026-01") == {}
    wanted = loaded(bench, 1)
    assert len(wanted) == len(rows)
    for number, name in enumerate(names[1:], 2):
        assert loaded(bench, number) == wanted, name


def test_a_number_or_a_date_of_a_workbook_is_what_its_text_is(bench: Bench, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": [101, 102],
            "when": pd.to_datetime(["2026-01-05 10:30:00", "2026-01-06 00:00:00"]),
            "dead": [1.0, None],
            "district": ["a", None],
        }
    )
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    text = as_csv([("101", "2026-01-05 10:30:00", "1", "a"), ("102", "2026-01-06 00:00:00", None, None)])
    read_by = contract(bench, decimalSeparator="','")
    assert bench.stage((tmp_path / "a.xlsx").read_bytes(), text, contract=read_by, table="fct_crash") == {}
    assert loaded(bench, 1) == loaded(bench, 2) != []


def test_an_auditor_is_shown_the_record_and_where_it_stands(bench: Bench) -> None:
    rows: list[Row] = [("C1", "2026-01-05 10:00:00", "0", "a"), ("C2", "2026-01-06 10:00:00", "1", "b")]
    shown = {
        as_csv(rows): ("C2,2026-01-06 10:00:00,1,b\r\n", ""),
        gzip.compress(as_csv(rows)): ("C2,2026-01-06 10:00:00,1,b\r\n", ""),
        zipped(("a.csv", as_csv(rows))): ("C2,2026-01-06 10:00:00,1,b\r\n", "a.csv"),
        as_workbook(rows, "openpyxl"): ("A3: C2; B3: 2026-01-06 10:00:00; C3: 1; D3: b", "sheet «Sheet1», row 3"),
        as_json(rows): (json.dumps(as_objects(rows)[1]), "$.data.items[1]"),
        zipped(("a.jsonl", as_lines(rows))): (json.dumps(as_objects(rows)[1]), "a.jsonl, line 2"),
    }
    used = contract(bench)
    for number, (content, (text, where)) in enumerate(shown.items()):
        (file := bench.root / f"shown{number}").write_bytes(content)
        receipt = bench.archive.receive(file, table="fct_crash", system="x", scope="710000000", period="2026-01")
        found = originals(bench.archive, receipt.sha256, used, [2], "file")[2]
        assert (found.text, found.where) == (text, where)


# --- lines that are no records ---

REPORT = """Отчёт о ДТП;;;
за январь 2026 "предварительно;;;
id;when;dead;district
номер;время;чел.;код
C1;2026-01-05 10:00:00;0;a
C2;2026-01-06 10:00:00;1;
"C3";2026-01-07 10:00:00;1;"Итого
внутри"

 Итого;;2;
Исполнитель;Иванов;;
"""


def test_titles_units_and_totals_are_no_records(bench: Bench) -> None:
    settings = {"delimiter": "';'", "headerRow": "3", "skipAfterHeader": "1", "footer": "[итого]"}
    for content in (REPORT, REPORT.replace("\n", "\r\n"), REPORT.rstrip("\n")):
        used = contract(bench, **settings)
        assert bench.stage(content, contract=used, table="fct_crash") == {}
        assert bench.accepted("row_no, crash_id, deaths_30d") == [(1, "C1", 0), (2, "C2", 1), (3, "C3", 1)]
        assert bench.broken() == []
        (told,) = bench.unpack(content, used).below
        assert (told["word"], told["first"], told["last"]) == ("итого", 10, 11)


def test_a_line_of_a_trimmed_file_is_shown_as_it_came(bench: Bench) -> None:
    used = contract(bench, delimiter="';'", headerRow="3", skipAfterHeader="1", footer="[Итого]")
    (file := bench.root / "trimmed").write_text(REPORT, encoding="utf-8")
    receipt = bench.archive.receive(file, table="fct_crash", system="x", scope="710000000", period="2026-01")
    found = originals(bench.archive, receipt.sha256, used, [2, 3], "file")
    assert found[3].text == '"C3";2026-01-07 10:00:00;1;"Итого\nвнутри"\n'
    assert found[2].header == "id;when;dead;district\n"


def test_a_header_over_several_lines_is_one(bench: Bench) -> None:
    content = "id,Время и,место,\n,when,dead,district\nC1,2026-01-05 10:00:00,0,a\n"
    columns = COLUMNS.replace("physicalName: when", "physicalName: Время и when").replace(
        "physicalName: dead", "physicalName: место dead"
    )
    columns = columns.replace("physicalName: district", "physicalName: место district")
    used = bench.contract(contract_text("small", "fct_crash", columns, settings={"headerLines": "2"}))
    assert bench.stage(content, contract=used, table="fct_crash") == {}
    assert bench.accepted("row_no, crash_id, district_id") == [(1, "C1", "a")]


def test_records_below_a_footer_are_not_lost(bench: Bench) -> None:
    content = "id,when,dead,district\nC1,2026-01-05 10:00:00,0,a\nИтого,,1,\nC2,2026-01-05 10:00:00,0,a\n"
    with pytest.raises(StructureError, match="line 4 below it looks like a record"):
        bench.unpack(content, contract(bench, footer="[Итого]"))
    many = content.replace("C2,2026-01-05 10:00:00,0,a\n", "прочее\n" * 20_000)
    with pytest.raises(StructureError, match="below it looks like a record"):
        bench.unpack(many, contract(bench, footer="[Итого]"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"headerRow": "0"}, "headerRow 0 is no number of lines"),
        ({"headerRow": "2", "headerLines": "3"}, "a header of 3 lines cannot end in line 2"),
        ({"footer": "Итого"}, "footer 'Итого' is no list"),
        ({"sheet": "0"}, "sheet 0 names no sheet"),
        ({"format": "xlsx", "rowPath": "data"}, "rowPath means nothing in xlsx"),
        ({"format": "json", "footer": "[Итого]"}, "footer means nothing in json"),
        ({"format": "docx"}, "format 'docx' is not known"),
        ({"members": "''"}, "members '' is no text"),
    ],
)
def test_a_layout_that_means_nothing_is_refused_with_its_remedy(
    bench: Bench, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(DocumentError, match=said):
        contract(bench, **settings)


# --- looked at before it is taken in ---


def seen(bench: Bench, content: bytes, used: SourceContract | None = None) -> str:
    """Why a file is not taken in, or the kind it is read as."""
    bench._number += 1
    (path := bench.root / f"looked{bench._number}").write_bytes(content)
    scratch = bench.root / f"scratch-look{bench._number}"
    scratch.mkdir()
    try:
        return look(path, used or contract(bench), "file", scratch).parts[0].kind
    except StructureError as error:
        return str(error)


ONE: list[Row] = [("C1", "2026-01-05 10:00:00", "0", "a")]


@pytest.mark.parametrize("kind", PLAIN)
def test_the_kind_is_seen_whatever_the_name_and_a_declared_one_must_agree(bench: Bench, kind: str) -> None:
    content = PLAIN[kind]([*ONE, ("C2", *ONE[0][1:])])
    assert seen(bench, content) == kind
    assert seen(bench, gzip.compress(content)) == kind
    assert seen(bench, content, contract(bench, format=kind)) == kind
    other = "csv" if kind != "csv" else "xlsx"
    assert f"it is {kind.upper()}, and contract" in seen(bench, content, contract(bench, format=other))
    assert seen(bench, zipped(("folder/a", content))) == kind


BAD = {
    "nothing": (b"", "the file is empty"),
    "nothing in gzip": (gzip.compress(b""), "the file is empty"),
    "pdf": (b"%PDF-1.7\n", "it is PDF"),
    "rar": (b"Rar!\x1a\x07\x01\x00....", "packed with RAR"),
    "7z": (b"7z\xbc\xaf\x27\x1c....", "packed with 7-Zip"),
    "bz2": (b"BZh91AY&SY", "packed with bzip2"),
    "xz": (b"\xfd7zXZ\0....", "packed with xz"),
    "a login page": (b"\xef\xbb\xbf\r\n<!doctype HTML>\n<html><body><form>", "it is a page of HTML"),
    "a table of a page": (b"<table border=1><tr><td>id</td></tr></table>", "it is a page of HTML"),
    "xhtml": (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD"><html xmlns="x"/>', "it is a page of HTML"),
    "a web archive": (b"MIME-Version: 1.0\r\nContent-Type: multipart/related", "it is a page of HTML"),
    "a spreadsheet of 2003": (
        b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "save it as XLSX",
    ),
    "dbf": (b"\x03\x7e\x01\x05" + b"\x02\0\0\0" + b"\x41\0\x10\0" + b"\0" * 60, "it is dBASE"),
    "bytes": (bytes(range(1, 256)) * 20, "it is neither text in utf-8"),
    "utf-16 without a mark": ("id,when,dead,district\n".encode("utf-16-be"), "seem to be utf-16-be"),
    "another header": (b"id,when\n1,2\n", "the header lacks dead, district"),
    "no json to its end": (b'[{"id": "C1"', "breaks off"),
    "a cut gzip": (gzip.compress(as_csv(ONE * 50))[:-9], "its end is missing (gzip)"),
    "a cut zstd": (zstandard.compress(as_csv(ONE * 50))[:-1], "its end is missing (zstd)"),
    "a changed gzip": (gzip.compress(as_csv(ONE * 50))[:-8] + b"12345678", "it cannot be unpacked (gzip"),
    "no gzip behind": (gzip.compress(as_csv(ONE)) + b"more", "it cannot be unpacked (gzip"),
    "zip in gzip": (gzip.compress(zipped(("a.csv", as_csv(ONE)))), "archives in archives are not opened"),
    "gzip in gzip": (gzip.compress(gzip.compress(as_csv(ONE))), "archives in archives are not opened"),
    "gzip in zip": (zipped(("a.csv.gz", gzip.compress(as_csv(ONE)))), "archives in archives are not opened"),
    "no readable member": (zipped(("photo.jpg", b"\xff\xd8\xff\xe0"), ("a.pdf", b"%PDF")), "could be the extract"),
    "docx": (zipped(("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<x/>")), "it is Word (.docx)"),
    "odt": (zipped(("mimetype", b"application/vnd.oasis.opendocument.text")), "it is OpenDocument text"),
    "xlsb": (zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.bin", b"x")), "of the form XLSB"),
    "no zip": (b"PK\x03\x04" + b"x" * 40, "the zip archive cannot be unpacked"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_called_by_its_name(bench: Bench, name: str) -> None:
    content, said = BAD[name]
    assert said in seen(bench, content)


def compound(*names: str) -> bytes:
    """A file of OLE2 with these streams, each of nothing."""
    size, none, end = 512, 0xFFFFFFFF, 0xFFFFFFFE

    def entry(name: str, kind: int, right: int, child: int) -> bytes:
        letters = name.encode("utf-16-le") + b"\0\0"
        links = b"".join(n.to_bytes(4, "little") for n in (none, right, child))
        return letters.ljust(64, b"\0") + len(letters).to_bytes(2, "little") + bytes([kind, 1]) + links + b"\0" * 48

    entries = [entry("Root Entry", 5, none, 1)]
    entries += [entry(n, 2, number + 1 if number < len(names) else none, none) for number, n in enumerate(names, 1)]
    directory = b"".join(entries).ljust(size, b"\0")
    fat = (end.to_bytes(4, "little") + (0xFFFFFFFD).to_bytes(4, "little")).ljust(size, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0" + b"\0" * 10
    head += (1).to_bytes(4, "little") + (0).to_bytes(4, "little") + b"\0" * 8
    head += end.to_bytes(4, "little") + b"\0" * 4 + end.to_bytes(4, "little") + b"\0" * 4 + (1).to_bytes(4, "little")
    return head.ljust(size, b"\xff") + directory + fat


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("EncryptionInfo", "EncryptedPackage"), "the workbook has a password"),
        (("1Table", "WordDocument"), "it is Word (.doc)"),
        (("PowerPoint Document",), "it is PowerPoint (.ppt)"),
        (("__properties_version1.0",), "it is OLE2"),
    ],
)
def test_files_of_the_form_of_old_workbooks_are_told_apart(bench: Bench, names: tuple[str, ...], said: str) -> None:
    assert said in seen(bench, compound(*names))


def test_a_chain_of_sectors_that_never_ends_is_not_followed(bench: Bench) -> None:
    """The library that reads old workbooks would take all memory there is."""
    whole = compound("Workbook")
    for at in (68, 1024):  # more of the table of sectors; the first entry of the table, which the directory follows
        looped = whole[:at] + bytes(4) + whole[at + 4 :]
        assert "is damaged or cut" in seen(bench, looped), at
    assert "is damaged or cut" in seen(bench, whole[:700])


def test_headers_in_brackets_are_no_markup(bench: Bench) -> None:
    for left, right in ("<>", "[]"):
        columns = COLUMNS
        for name in HEADER:
            columns = columns.replace(f"physicalName: {name}", f"physicalName: '{left}{name}{right}'")
        used = bench.contract(contract_text("small", "fct_crash", columns))
        content = as_csv(ONE).replace(b"id,when,dead,district", ",".join(f"{left}{h}{right}" for h in HEADER).encode())
        assert seen(bench, content, used) == Kind.CSV


def test_of_an_archive_with_two_kinds_of_extract_the_contract_says_which(bench: Bench) -> None:
    both = zipped(("a.csv", as_csv(ONE)), ("a.xlsx", as_workbook(ONE, "openpyxl")))
    assert "are of differing formats, and each could be the extract" in seen(bench, both)
    assert seen(bench, both, contract(bench, format="xlsx")) == Kind.XLSX
    assert seen(bench, both, contract(bench, members="'*.csv'")) == Kind.CSV
    assert "no file in the archive is named like *.json" in seen(bench, both, contract(bench, members="'*.json'"))


def test_what_comes_out_of_a_packing_beyond_measure_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANYHOW", 1 << 16)
    monkeypatch.setattr(limits, "RATIO", 5)
    long = as_csv(ONE) + b"\n" * (1 << 20)
    for packed in (
        gzip.compress(long),
        zstandard.compress(long),
        zipped(("a.csv", long)),
        zipped(("a.csv.gz", gzip.compress(long)), ("a.csv", long)),
    ):
        assert "more comes out of the archive than" in seen(bench, packed)
        with pytest.raises(StructureError, match="more comes out of the archive"):
            bench.unpack(packed, contract(bench))


def test_a_bundle_whose_file_was_changed_is_refused(bench: Bench, tmp_path: Path) -> None:
    content = bundled(tmp_path, as_csv(ONE), as_csv([("C2", *ONE[0][1:])]))
    assert seen(bench, content) == Kind.CSV
    assert seen(bench, content.replace(b"C2,2026", b"C3,2026")) != Kind.CSV
