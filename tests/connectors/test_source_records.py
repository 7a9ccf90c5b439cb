"""The original record of a row: found by the number the gate gave it, however messy the file."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from connectors.archive.archive import ArchiveError
from connectors.mapping.source_contract import SourceContract, standard
from connectors.readers import readers
from connectors.readers.headers import StructureError
from connectors.readers.source_records import Original, originals
from tests.support.examples import examples
from tests.support.files import APPEAL_COLUMNS, Bench, appeal, appeals, query, text
from tests.support.homes import new_home
from warehouse.store.sessions import writing

HEADER = ",".join(APPEAL_COLUMNS)
TAIL = "2026-01-05 10:00:00,2026-01-20 10:00:00,,2026-01-07 18:00:00,CLOSED"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("original")
    with writing(new_home(root / "home")) as store:
        yield Bench(store, root)


def row(key: str, category: str = "roads") -> str:
    return f"{key},{TAIL},{category},phone,false"


def file(*lines: str, end: str = "\n") -> str:
    return end.join((HEADER, *lines)) + end


def of(bench: Bench, content: str | bytes, contract: SourceContract, *numbers: int) -> dict[int, Original]:
    data = content if isinstance(content, bytes) else content.encode()
    return originals(bench.archive, hashlib.sha256(data).hexdigest(), contract, numbers, "file.csv")


def meets_the_gate(bench: Bench, content: str | bytes, contract: SourceContract | None = None) -> dict[int, Original]:
    """Stage a file, read every staged row's record again, and compare: the key of accepted rows, the text of rejected ones."""
    used = contract or standard(bench.table("fct_appeal"))
    assert bench.stage(content, contract=used) == {}
    staged = query(bench.store, "SELECT row_no, appeal_id, broken, raw FROM work_staged_row ORDER BY row_no")
    assert [r[0] for r in staged] == list(range(1, len(staged) + 1))
    found = of(bench, content, used, *(r[0] for r in staged))
    for row_no, key, broken, raw in staged:
        record = found[row_no]
        cells = csv.reader(io.StringIO(record.text, newline=""), delimiter=used.delimiter, skipinitialspace=True)
        first = json.loads(record.text)["appeal_id"] if record.text.startswith("{") else next(cells)[0].strip()
        if broken is None:
            assert first == key, record
        elif raw.startswith("{"):
            assert first == (json.loads(raw)["appeal_id"] or "").strip(), (broken, record)
        elif broken != "encoding":
            letters = len(record.text.rstrip("\r\n"))
            assert raw.endswith(f"; {letters:,} letters"), (broken, record)
    return found


KZ = {"encoding": "kz1048", "delimiter": ";"}
MESSY = {
    "plain": file(row("A1"), row("A2")),
    "CRLF": file(row("A1"), row("A2"), end="\r\n"),
    "lone CR": file(row("A1"), row("A2"), end="\r"),
    "no line end at the end": file(row("A1"), row("A2")).rstrip("\n"),
    "BOM": codecs.BOM_UTF8 + file(row("A1"), row("A2")).encode(),
    "quotes over lines": file(row("A1", '"roads\nand ""bridges""\n\nand yards"'), row("A2"), row("A3", '"a\r\nb"'), row("A4")),
    "blank lines": file("", row("A1"), "", "", row("A2"), "", end="\r\n"),
    "lines of blanks": file(row("A1"), "   ", row("A2")),
    "records of a wrong width": file(row("A1"), "A2,too,short", row("A3") + ",too,long", row("A4"), "", row("A5") + ","),
    "a quote never closed": file(row("A1"), row("A2", '"roads'), row("A3"), row("A4")),
    "a quote that is never closed before quotes over lines": file(row("A1", '"never'), row("A2", '"one\ntwo"'), row("A3")),
    "a quote inside a cell": file(row("A1", '5" pipe'), row("A2"), row("A3", '12" pipe'), row("A4")),
    "letters after a closing quote": file(row("A1", '"a"b'), row("A2", '"one\ntwo"'), row("A3")),
    "blanks around quotes": file(row("A1", ' "roads, yards"'), row("A2", '"roads" '), row("A3")),
    "letters of no encoding": file(row("A1"), row("A2")).encode() + b"A3,\xcf\xf0\n" + row("A4").encode() + b"\n",
    "rejected rows": file(row("A1"), row("A2").replace("2026-01-20", "soon"), row("A1"), row("A3")),
    "nothing but a header": file(),
}  # fmt: skip


@pytest.mark.parametrize("what", MESSY)
def test_records_are_counted_as_the_gate_counts(bench: Bench, what: str) -> None:
    content = MESSY[what]
    found = meets_the_gate(bench, content)  # type: ignore[arg-type]
    data = content if isinstance(content, bytes) else content.encode()  # type: ignore[attr-defined]
    if what != "letters of no encoding":  # there the text is escaped
        assert all(one.text.encode() in data for one in found.values())


@pytest.mark.parametrize("what", MESSY)
def test_large_files_which_duckdb_sees_first(bench: Bench, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_REPAIRED_AT_ONCE", 0)
    meets_the_gate(bench, MESSY[what])  # type: ignore[arg-type]


def test_the_lines_are_those_received(bench: Bench) -> None:
    found = meets_the_gate(bench, file("", row("A1", '"roads\r\nand\n""yards"""'), "A2,short", end="\r\n"))
    assert found[1].text == row("A1", '"roads\r\nand\n""yards"""') + "\r\n"
    assert found[2].text == "A2,short\r\n"
    assert found[1].header == HEADER + "\r\n"


def test_bytes_of_no_encoding_are_shown_as_bytes(bench: Bench) -> None:
    content = MESSY["letters of no encoding"]
    assert of(bench, content, standard(bench.table("fct_appeal")), 3)[3].text == "A3,\\xcf\\xf0\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("encoding", "category"), [("cp1251", "Дороги"), ("kz1048", "Жолдар, қала"), ("utf-16", "Қала")]
)
def test_other_encodings(bench: Bench, encoding: str, category: str) -> None:
    contract = replace(standard(bench.table("fct_appeal")), encoding=encoding, delimiter=";")
    content = text([appeal(1, category=category), appeal(2)], delimiter=";").encode(encoding)
    found = meets_the_gate(bench, content, contract)
    assert category in found[1].text


def test_members_of_a_zip_archive_are_counted_on(bench: Bench) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as bundle:
        bundle.writestr("2.csv", appeals(3, 10))
        bundle.writestr("1.csv", file(row("A1", '"a\nb"'), "", row("A2"), end="\r\n"))
        bundle.writestr("readme.md", "not a table")
    found = meets_the_gate(bench, target.getvalue())
    assert [one.text.partition(",")[0] for one in found.values()] == ["A1", "A2", "A10", "A11", "A12"]
    assert (found[1].header, found[3].header) == (HEADER + "\r\n", HEADER + "\n")


def test_a_broken_member_of_a_zip_archive(bench: Bench) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as bundle:
        bundle.writestr("1.csv", file(row("A1", '"never'), row("A2")))
        bundle.writestr("2.csv", appeals(3, 10))
    assert len(meets_the_gate(bench, target.getvalue())) == 5


def test_parquet_rows_as_json(bench: Bench, tmp_path: Path) -> None:
    frame = pd.DataFrame([appeal(n, category="Қала") for n in range(1, 8)])
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=3)
    found = meets_the_gate(bench, (tmp_path / "a.parquet").read_bytes())
    assert [json.loads(one.text)["appeal_id"] for one in found.values()] == [f"A{n}" for n in range(1, 8)]
    assert found[7].header == HEADER


def test_only_what_is_asked_for(bench: Bench) -> None:
    content = appeals(50)
    assert meets_the_gate(bench, content)
    assert sorted(of(bench, content, standard(bench.table("fct_appeal")), 7, 50)) == [7, 50]


def test_a_record_the_file_does_not_have(bench: Bench) -> None:
    content = appeals(2)
    meets_the_gate(bench, content)
    with pytest.raises(StructureError, match="no record 3; contract standard"):
        of(bench, content, standard(bench.table("fct_appeal")), 1, 3)


def test_bytes_that_are_lost(bench: Bench) -> None:
    with pytest.raises(ArchiveError, match="archive has no content"):
        of(bench, "never delivered", standard(bench.table("fct_appeal")), 1)


_numbers = itertools.count(1)
PIECES = st.lists(
    st.sampled_from([
        "{row}", "{row}", '{quoted}', "", "  ", "{key},short", "{row},", "{row},long", '{key},"open', '"{key}" ,{rest}', ' "{key}",{rest}', '"{key}"x,{rest}',
        '"{key}\n"x,{rest}', '{key},"', '{key},""x",{rest}', ",,,", "{key}\0,{rest}",
    ]), max_size=7)  # fmt: skip


@given(PIECES, st.sampled_from(["\n", "\r\n"]), st.booleans())
@examples(10, full=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mess(bench: Bench, pieces: list[str], end: str, ended: bool) -> None:
    lines = []
    for piece in pieces:
        key = f"A{next(_numbers)}"
        rest = row("").removeprefix(",")
        lines.append(piece.format(key=key, rest=rest, row=row(key), quoted=row(key, '"a,\n""b"""')))
    content = file(*lines, end=end)
    meets_the_gate(bench, content if ended else content.removesuffix(end))
