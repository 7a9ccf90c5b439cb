"""Rows of JSON and of JSON lines: values as they were written, fields by the way to them, and everything that is no JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mapping.cell_grammar import Cell
from connectors.mapping.layout import Layout
from connectors.mapping.shape import Shape, Unpivot
from connectors.mapping.source_contract import SourceContract
from connectors.readers import json_text
from connectors.readers.headers import StructureError
from connectors.readers.json_rows import rows
from connectors.readers.kinds import Kind
from connectors.readers.record import Record
from tests.support.examples import examples
from tests.support.workbooks import contract, read_by, taken
from warehouse.tables.identifiers import BLANKS


def found(folder: Path, text: str | bytes, of: SourceContract) -> list[Record]:
    path = folder / "content"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(rows(path, of, "extract").records)


def refused(folder: Path, text: str | bytes, *headers: str, **settings: Any) -> str:
    with pytest.raises(StructureError) as caught:
        found(folder, text, contract(*headers or ("a",), **settings))
    return str(caught.value)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
    lambda t: t.strip(BLANKS) != ""
)
VALUES = st.one_of(st.none(), TEXTS, st.integers(), st.booleans(), st.decimals(-(10**12), 10**12, places=4))


@given(
    st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES, "key": TEXTS}), min_size=1),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)
@examples(30, 500)
def test_records_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], ascii_only: bool, indent: Any
) -> None:
    """As a list, in an object, as lines, as lists under a header; numbers have their letters."""
    names = ["a", "b", "key"]
    folder, of = tmp_path_factory.getbasetemp(), contract(*names)
    exact = [{k: f"=={v}==" if isinstance(v, Decimal) else v for k, v in one.items()} for one in records]

    def written(value: Any, indent: Any = indent) -> str:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
        for one in records:
            for v in one.values():
                text = text.replace(f'"=={v}=="', str(v)) if isinstance(v, Decimal) else text
        return text

    wanted = [
        [v if v is None else str(v).lower() if isinstance(v, bool) else plain(v) for v in (one[k] for k in names)]
        for one in records
    ]
    assert read_by(rows, written(exact), folder, of) == (["a", "b", "key"], wanted)
    inside = {"meta": {"pages": [1, 2], "next": None}, "data": {"n": 1, "items": exact}, "end": [{"a": [{}]}]}
    assert (
        read_by(rows, written(inside), folder, contract("a", "b", "key", layout=Layout(row_path="data.items")))[1]
        == wanted
    )
    lines = "\n\n".join(written(one, None) for one in exact)
    assert read_by(rows, lines, folder, contract("a", "b", "key", format="jsonl"))[1] == wanted
    lists = [["a", "b", "key"], *([one[k] for k in names] for one in exact)]
    assert read_by(rows, written(lists), folder, of)[1] == wanted
    split = {"columns": lists[0], "index": [0], "data": lists[1:]}
    assert read_by(rows, written(split), folder, of)[1] == wanted


def plain(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def test_numbers_keep_their_letters_and_the_point_of_the_contract(tmp_path: Path) -> None:
    text = '[{"a": 1.10, "b": 1E3, "c": 123456789012345678901234567890, "d": 1e-7, "e": 12.125, "f": -0, "g": 1e999}]'
    names = ["a", "b", "c", "d", "e", "f", "g"]
    assert found(tmp_path, text, contract(*names))[0].cells == [
        "1.10",
        "1000",
        "123456789012345678901234567890",
        "0.0000001",
        "12.125",
        "-0",
        "1e999",
    ]
    number = {n: Cell("DECIMAL(18,6)") for n in names}
    assert found(tmp_path, text, contract(*names, cells=number))[0].cells[4] == "12.1250"  # and not twelve thousand
    assert found(tmp_path, text, contract(*names, cells=number, decimal=","))[0].cells[:5:4] == ["1,10", "12,125"]


def test_what_is_nothing_and_what_is_no_value(tmp_path: Path) -> None:
    words = {"t": Cell("BOOLEAN", true_values=("да",), false_values=("нет",))}
    text = '[{"n": null, "e": "", "t": true, "l": [1, 2.50, {"x": "ә"}], "o": {"k": null}}]'
    one = found(tmp_path, text, contract("n", "e", "t", "l", "o", cells=words))[0]
    assert one.cells == [None, "", "да", '[1,2.50,{"x":"ә"}]', '{"k":null}']
    assert (one.where, one.raw) == ("$[0]", text[1:-1])


def test_fields_are_called_by_the_way_to_them(tmp_path: Path) -> None:
    of = contract("id", "address.street", "phones[0]", "phones[1].n", layout=Layout(row_path="data.items"))
    text = """{"data": {"items": [{"id": 1, "address": {"street": "x"}, "phones": ["7", {"n": 8}]}, {"id": 2, "address": null, "phones": []},
               {"id": 3}]}}"""
    every = found(tmp_path, text, of)
    assert [one.cells for one in every] == [["1", "x", "7", "8"], ["2", None, None, None], ["3", None, None, None]]
    assert [one.where for one in every] == [f"$.data.items[{n}]" for n in range(3)]


def test_members_of_an_object_are_records_with_a_key(tmp_path: Path) -> None:
    of = contract("@key", "n", layout=Layout(row_path="streets.*"))
    every = found(tmp_path, '{"streets": {"Абай": {"n": 1}, "Сейфуллин": {"n": 2}}}', of)
    assert [(one.cells, one.where) for one in every] == [
        (["Абай", "1"], "$.streets.Абай"),
        (["Сейфуллин", "2"], "$.streets.Сейфуллин"),
    ]

    said = refused(
        tmp_path, '{"streets": {"Серикова Айгуль": {"n": 1, "b": 2}}}', "n", layout=Layout(row_path="streets.*")
    )
    assert "$.streets.«…» has the field" in said  # names of members may be names of people


def test_the_outermost_list_is_found(tmp_path: Path) -> None:
    features = (
        '{"type": "FeatureCollection", "bbox": [1, 2], "features": [{"type": "Feature", "properties": {"a": 5}}]}'
    )
    assert found(tmp_path, features, contract("properties.a", "type"))[0].cells == ["5", "Feature"]
    assert "which list is the rows? there are z; w" in refused(tmp_path, '{"z": [{}], "x": {"y": [{}]}, "w": [{}]}')
    assert found(tmp_path, '{"a": 5}', contract("a"))[0].cells == ["5"]  # one alone
    assert found(tmp_path, '{"total": 0, "items": []}', contract("a")) == []


def test_a_field_that_is_not_known_is_refused_with_its_record(tmp_path: Path) -> None:
    text = '[{"a": 1}, {"a": 2, "b": {"status": null}}]'
    assert "$[1] has the field b.status, which contract made.up does not know" in refused(tmp_path, text)
    assert [one.cells for one in found(tmp_path, text, contract("a", other_headers="ignore"))] == [["1"], ["2"]]
    assert [one.cells for one in found(tmp_path, text, contract("a", personal_headers=("b",)))] == [["1"], ["2"]]
    assert "has the field a.b twice" in refused(tmp_path, '[{"a.b": 1, "a": {"b": 2}}]', "a.b")


def test_a_field_that_no_record_has_is_lacking(tmp_path: Path) -> None:
    """Of all files of a delivery: a page without it may come, and a page without any record."""
    of, pages = contract("a", "b"), ('[{"a": 1}]', "[]", '[{"a": 2}, {"b": 3}]')
    assert taken(Kind.JSON, tmp_path, of, *pages) == [["1", ""], ["2", ""], ["", "3"]]
    assert taken(Kind.JSON, tmp_path, of, "[]") == []
    with pytest.raises(StructureError, match="extract: the header lacks b;"):
        taken(Kind.JSON, tmp_path, of, *pages[:2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a":', "breaks off at byte 17, in $[1]"),
        ('[{"a": "ә', "breaks off at byte 11, in $[0]"),
        ('[{"a": 1}', "breaks off at byte 10"),
        ("", "breaks off at byte 1"),
        ('[{"a": 1} {"a": 2}]', "no JSON at byte 11"),
        ('[{"a": 1},]', "no JSON at byte 11"),
        ("[{'a': 1}]", "no JSON at byte 3, in $[0]"),
        ('[{"a": 01}]', "no JSON at byte 9"),
        ('[{"a": 1}] {', "behind the end of the JSON at byte 12"),
        ('[{"a": 1, "a": 2}]', "a name stands twice in one object at byte 2, in $[0]"),
        ('{"x": 1, "x": [{}]}', "a name stands twice"),
        ('[{"a": NaN}]', "NaN or Infinity"),
        ('[{"a": -Infinity}]', "NaN or Infinity"),
        ("[" * 100_000, "too deep"),
        ('[{"a": ' + "[" * 3_000 + "]" * 3_000 + "}]", "too deep"),
        ('[{"b": ' + '{"b":' * 100 + "1" + "}" * 100 + "}]", "too deep"),
        ('[{"a": 1}]'.encode("utf-16"), "is no UTF-8"),
        ('[{"a": 1}]'.encode("utf-16-be"), "is no UTF-8"),
        ('[{"a": "ә'.encode() + b'\xff"}]', "byte 11 is no UTF-8"),
        ('[["a"], [[1]], 5]', ""),
        ('[[1, 2]]', "no list of names"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_its_place(tmp_path: Path, text: str | bytes, words: str) -> None:
    if words:
        assert words in refused(tmp_path, text)
    else:
        assert [one.broken for one in found(tmp_path, text, contract("a"))] == ["", "it is no list"]


@pytest.mark.parametrize(
    ("way", "words"),
    [("x.z", "$.x has no z"), ("x.y.q", "there is no object at byte 13, in $.x.y"), ("x", "there is no list")],
)
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, way: str, words: str) -> None:
    assert words in refused(tmp_path, '{"x": {"y": [{"a": 1}]}}', layout=Layout(row_path=way))


@given(st.data())
@examples(30, 300)
def test_json_that_breaks_off_is_never_taken(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """At any byte, with windows of any size."""
    text = json.dumps(
        {"meta": [1, {"x": "y"}], "data": [{"a": n, "b": "ә" * n} for n in range(9)]}, ensure_ascii=False
    ).encode()
    folder, of = tmp_path_factory.getbasetemp(), contract("a", "b", layout=Layout(row_path="data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_BLOCK", data.draw(st.integers(1, 40)))
        assert [one.cells for one in found(folder, text, of)] == [[str(n), "ә" * n] for n in range(9)]
        with pytest.raises(StructureError):
            found(folder, text[: data.draw(st.integers(0, len(text) - 1))], of)


def test_a_broken_line_is_a_rejected_record_and_no_refused_file(tmp_path: Path) -> None:
    text = '{"a": 1}\n\n{"a": 2,}\n[3]\n{"a": 4} {"a": 5}\n{"a": 6}'
    every = found(tmp_path, text, contract("a", format="jsonl"))
    assert [(one.cells, one.where, one.raw) for one in every if not one.broken] == [
        (["1"], "line 1", '{"a": 1}'),
        (["6"], "line 6", '{"a": 6}'),
    ]
    assert [(one.where, one.broken) for one in every if one.broken] == [
        ("line 3", "it is no JSON (letter 9)"),
        ("line 4", "it is no object"),
        ("line 5", "something stands behind the end of the JSON"),
    ]


def test_a_list_of_another_length_is_a_rejected_record(tmp_path: Path) -> None:
    every = found(tmp_path, '[["a", "b"], [1, 2], [3]]', contract("a", "b"))
    assert [(one.cells, one.broken) for one in every] == [(["1", "2"], ""), ([], "1 cells, the header has 2")]


def test_a_record_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LONGEST", 1 << 20)
    assert "too long" in refused(tmp_path, '[{"a": "' + "x" * (4 << 20))


def test_fields_that_become_rows_are_found_by_their_pattern(tmp_path: Path) -> None:
    """The header is known when all records have been gone through; names that unpivoting makes are no fields."""
    years = Unpivot({}, "[0-9]{4}", "year", "people", True)
    of = replace(
        contract("place", "year", "people", cells={"people": Cell("DECIMAL(9,3)")}),
        headers=("place",),
        shape=Shape(years),
    )
    text = '[{"place": "x", "2024": 1.125}, {"place": "y", "2025": 2, "2024": null}]'
    assert read_by(rows, text, tmp_path, of) == (["place", "2024", "2025"], [["x", "1.1250", None], ["y", None, "2"]])
    with pytest.raises(StructureError, match="has the field total"):
        found(tmp_path, '[{"place": "x", "2024": 1, "total": 1}]', of)
