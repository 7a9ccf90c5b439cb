"""Rows of XML: fields by the way to them, in any encoding that is declared, and nothing of what else XML can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from connectors.mapping.layout import Layout
from connectors.readers import xml_rows
from connectors.readers.headers import StructureError
from connectors.readers.kinds import Kind
from connectors.readers.xml_rows import rows
from tests.support.examples import examples
from tests.support.workbooks import contract, read_by, taken
from warehouse.tables.identifiers import BLANKS

ROWS = Layout(row_path="/rows/row")
NIL = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def found(folder: Path, text: str | bytes, *headers: str, **settings: Any) -> list[tuple[list[str | None], str, str]]:
    path = folder / "content"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    of = contract(*headers, **{"layout": ROWS} | settings)
    return [(one.cells, *one.shown()) for one in rows(path, of, "extract").records]


def cells(folder: Path, inside: str, *headers: str, **settings: Any) -> list[list[str | None]]:
    """Of rows with these elements inside."""
    return [one[0] for one in found(folder, f"<rows {NIL}>{inside}</rows>", *headers, **settings)]


def refused(folder: Path, text: str | bytes, *headers: str, **settings: Any) -> str:
    with pytest.raises(StructureError) as caught:
        found(folder, text, *headers or ("a",), **settings)
    return str(caught.value)


LETTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co"], exclude_characters="\ufffe\uffff"
)
VALUES = st.one_of(st.none(), st.text(LETTERS, min_size=1).filter(lambda t: t.strip(BLANKS) != ""))


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES).filter(any), min_size=1),
    st.sampled_from(["utf-8", "utf-16", "ascii", "windows-1251", "koi8-r"]),
)
@examples(30, 500)
def test_records_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any], encoding: str
) -> None:
    """Attribute, element, element inside, element with text between; letters that an encoding lacks are written as references."""
    root = etree.Element("rows")
    for attribute, plain, inner, kind in records:
        row = etree.SubElement(root, "row", {} if attribute is None else {"id": attribute})
        etree.SubElement(row, "name").text = plain
        street = etree.SubElement(etree.SubElement(row, "address"), "street", {} if kind is None else {"kind": kind})
        street.text = inner
    text = etree.tostring(root, encoding=encoding, xml_declaration=True)
    of = contract("@id", "name", "address/street", "address/street/@kind", layout=ROWS)
    wanted = [[value or ("" if n in (1, 2) else None) for n, value in enumerate(one)] for one in records]
    assert read_by(rows, text, tmp_path_factory.getbasetemp(), of)[1] == wanted


def test_what_stands_in_a_record(tmp_path: Path) -> None:
    row = '<row id="7"><a>1</a><!-- no --><b>x<![CDATA[<y>&]]> &lt;&#1241;</b><c><d kind="k">5</d><d2/></c></row>'
    ((cells_of, where, raw),) = found(tmp_path, f"<rows>{row}</rows>", "@id", "a", "b", "c/d", "c/d/@kind", "c/d2")
    assert (cells_of, where) == (["7", "1", "x<y>& <ә", "5", "k", ""], "/rows/row[1]")
    assert raw == row.replace("<![CDATA[<y>&]]>", "&lt;y&gt;&amp;").replace("&#1241;", "ә")
    assert cells(tmp_path, "<row>text</row>", ".") == [["text"]]
    assert cells(tmp_path, '<row><a xsi:nil="true"/><b/></row><row><a> </a><b>1</b></row>', "a", "b") == [[" ", "1"]]


def test_an_element_that_stands_twice_is_no_number(tmp_path: Path) -> None:
    assert cells(tmp_path, "<row><a>1</a><a>2</a></row>", "a") == [["1 | 2"]]
    assert cells(tmp_path, "<row><p><n>1</n></p><p><n>2</n></p></row>", "p/n") == [["1 | 2"]]
    assert found(tmp_path, "<rows><row><a><b>1</b></a></row></rows>", "a")[0][0] == ["<a><b>1</b></a>"]


def test_text_between_elements_is_a_field_of_its_own(tmp_path: Path) -> None:
    assert cells(tmp_path, "<row>note <a>1</a> here</row>", "a", ".") == [["1", "note  here"]]
    assert "/rows/row[1] has the field" in refused(tmp_path, "<rows><row>note <a>1</a></row></rows>", "a")


def test_names_count_without_their_namespaces(tmp_path: Path) -> None:
    text = '<n:rows xmlns:n="urn:one" xmlns="urn:two"><n:row n:id="1"><a>1</a></n:row></n:rows>'
    for way in ("/rows/row", "/n:rows/n:row", "rows/row", ""):
        assert found(tmp_path, text, "@id", "a", layout=Layout(row_path=way))[0][0] == ["1", "1"]


def test_a_field_that_is_not_known_is_refused_with_its_record(tmp_path: Path) -> None:
    text = "<rows><row><a>1</a></row><row><a>1</a><b><status/></b></row></rows>"
    assert "/rows/row[2] has the field b/status" in refused(tmp_path, text)
    with pytest.raises(StructureError, match="the header lacks c"):
        taken(Kind.XML, tmp_path, contract("a", "b/status", "c", layout=ROWS), text)
    assert [one[0] for one in found(tmp_path, text, "a", other_headers="ignore")] == [["1"], ["1"]]
    assert cells(tmp_path, "<row><b/></row><row><b><status>1</status></b></row>", "b/status") == [["1"]]


def test_rows_under_several_parents(tmp_path: Path) -> None:
    text = "<r><g><row><a>1</a></row></g><g><row><a>2</a></row><row><a>3</a></row></g><row><a>4</a></row></r>"
    of = Layout(row_path="/r/g/row")
    assert [(c, w) for c, w, _ in found(tmp_path, text, "a", layout=of)] == [
        (["1"], "/r/g/row[1]"),
        (["2"], "(/r/g/row)[2]"),
        (["3"], "(/r/g/row)[3]"),
    ]


@pytest.mark.parametrize("encoding", ["windows-1251", "KZ-1048", "utf-16", "koi8-r", "utf-8"])
def test_an_encoding_is_declared_in_the_file(tmp_path: Path, encoding: str) -> None:
    word = "Есиль" if encoding in ("windows-1251", "koi8-r") else "Есіл Әлия"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<rows><row><a>{word}</a></row></rows>'
    python = {"KZ-1048": "kz1048"}.get(encoding, encoding)
    assert found(tmp_path, text.encode(python), "a")[0][0] == [word]


def test_an_encoding_that_is_not_declared_is_the_contracts(tmp_path: Path) -> None:
    text = "<rows>\n<row><a>Есіл</a></row></rows>".encode("kz1048")
    assert found(tmp_path, text, "a", encoding="kz1048")[0][0] == ["Есіл"]
    assert "line 2" in refused(tmp_path, text)
    assert "byte 52" in refused(tmp_path, b'<?xml version="1.0" encoding="cp1251"?>\n<rows><row>\x98</row></rows>')
    assert "encoding x-own" in refused(tmp_path, b'<?xml version="1.0" encoding="x-own"?><rows/>')


LAUGHS = "".join(f'<!ENTITY {c} "{f"&{p};" * 10}">' for p, c in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "prologue",
    [
        f'<!DOCTYPE rows [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]>',
        '<!DOCTYPE rows [<!ENTITY i SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE rows SYSTEM "http://127.0.0.1:9/rows.dtd">',
        '<!DOCTYPE rows PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://127.0.0.1:9/rows.dtd">',
        "<!DOCTYPE rows>",
        '<!DOCTYPE rows [<!ENTITY % i SYSTEM "http://127.0.0.1:9/x"> %i;]>',
        '<!DOCTYPE rows [<!ATTLIST row a CDATA "1">]>',
    ],
)
def test_a_document_type_is_refused_outright(tmp_path: Path, prologue: str) -> None:
    """Whether an entity of it is used or not."""
    for inside in ("<row><a>&i;</a></row>", "<row><a>1</a></row>", ""):
        said = refused(tmp_path, f"{prologue}<rows>{inside}</rows>")
        assert "DOCTYPE" in said or (inside.count("&") and "cannot be read" in said)


@given(st.data())
@examples(30, 300)
def test_xml_that_breaks_off_is_never_taken(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = ("<rows>" + "".join(f"<row>\n<a>{n}</a></row>" for n in range(20)) + "</rows>").encode()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(StructureError, match="cannot be read, line"):
        found(tmp_path_factory.getbasetemp(), cut, "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<rows><row><a>1</b></row></rows>", "cannot be read, line 1"),
        ("<rows/><rows/>", "cannot be read, line 1"),
        ("<other><row><a>1</a></row></other>", "there is no /rows/row"),
        ("<rows>" + "<a>" * 400 + "</a>" * 400 + "</rows>", "cannot be read"),
        ("<rows><row>&nbsp;</row></rows>", "cannot be read"),
    ],
)
def test_what_is_no_xml_of_ours_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text)


def test_there_may_be_no_row(tmp_path: Path) -> None:
    assert found(tmp_path, "<rows/>", "a") == []
    assert found(tmp_path, "<r><g/></r>", "a", layout=Layout(row_path="/r/g/row")) == []
    assert "there is no /r/h/row" in refused(tmp_path, "<r><g/></r>", layout=Layout(row_path="/r/h/row"))
    assert "which list is the rows? there are /r/a; /r/b" in refused(
        tmp_path, "<r><a><x/></a><b/></r>", "x", layout=Layout()
    )


def test_memory_is_that_of_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of records, and of what stands between them; where none ends for too long, the file is refused."""
    text = "<rows>" + "".join(f"<note>{'x' * 200}</note><row><a>{n}</a></row>" for n in range(5_000)) + "</rows>"
    path = tmp_path / "content"
    path.write_text(text)
    most = 0
    for one in rows(path, contract("a", layout=ROWS), "extract").records:
        most = max(most, len([*one.shown.args[0].getparent().iter()]))  # type: ignore[attr-defined]
    assert most < 1_000  # of 20,000, as many as are read at once
    monkeypatch.setattr(xml_rows, "_FARTHEST", 1 << 19)
    assert "no element ends that is a row" in refused(tmp_path, text, "a", layout=Layout(row_path="/rows/line"))
