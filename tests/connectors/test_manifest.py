"""Any bytes in place of a manifest: deliveries, a reason that names delivery and field, or waiting because it ends too early."""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.receiving import manifest
from connectors.receiving.manifest import Entry, ManifestError, UnfinishedError, mentions, parse

GOOD = {"file": "a.csv", "table": "fct_appeal", "settlement": "710000000", "period": "2026-01"}
SHA256 = "ab" * 32


def written(*entries: Any) -> bytes:
    return json.dumps({"deliveries": list(entries)}, ensure_ascii=False).encode()


def refusal(content: bytes) -> str:
    with pytest.raises(ManifestError) as found:
        parse(content)
    assert not isinstance(found.value, UnfinishedError), found.value
    assert len(str(found.value)) < 700
    return str(found.value)


def test_what_is_declared_is_read() -> None:
    first, second = parse(
        written(GOOD, {**GOOD, "file": "b.csv", "system": "ikomek109", "rows": 7, "sha256": SHA256.upper()})
    )
    assert first == Entry(**GOOD)  # type: ignore[arg-type]
    assert (first.system, first.rows, first.sha256) == ("standard", None, None)
    assert (second.system, second.rows, second.sha256) == ("ikomek109", 7, SHA256.upper())


def test_scope_is_an_older_word_for_the_settlement() -> None:
    entry = {k: v for k, v in GOOD.items() if k != "settlement"}
    assert parse(written({**entry, "scope": "71"}))[0].scope == "71"
    assert "lacks settlement" in refusal(written(entry))
    assert "give one of them" in refusal(written({**GOOD, "scope": "71"}))


def test_null_leaves_out_what_may_be_left_out() -> None:
    (entry,) = parse(written({**GOOD, "system": None, "rows": None, "sha256": None}))
    assert (entry.system, entry.rows, entry.sha256) == (None, None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_may_be_written_in_any_encoding_of_unicode(encoding: str) -> None:
    (entry,) = parse(written({**GOOD, "file": "обращения.csv"}).decode().encode(encoding))
    assert entry.file == "обращения.csv"


def test_another_encoding_is_refused() -> None:
    assert "save it in UTF-8" in refusal(written({**GOOD, "file": "обращения.csv"}).decode().encode("cp1251"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"deliveries": null}', "deliveries must be a list of at least one delivery, not null"),
        (b'{"deliveries": {}}', "deliveries must be a list of at least one delivery, not an object"),
        (b'{"deliveries": "a.csv"}', "not the text 'a.csv'"),
        (b'{"deliveries": []}', "it names no delivery"),
        (b"{}", "lacks deliveries"),
        (b"[]", "not a manifest but a list"),
        (b"null", "not a manifest but null"),
        (b"7", "not a manifest but the number 7"),
        (b"file: a.csv", "no JSON"),
        (b'{"deliveries": []} {}', "no JSON"),
        (b'{"deliveries": [NaN]}', "NaN is no value of JSON"),
        (b'{"deliveries": [], "deliveries": []}', "says 'deliveries' twice"),
        (b'{"deliveries": [null]}', "delivery 1: must be an object"),
        (b'{"deliveries": [{"rows": ' + b"9" * 5000 + b"}]}", "thousands of digits"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"deliverys": []}', "has unknown deliverys"),
    ],
)
def test_what_is_no_manifest_is_told_so(content: bytes, said: str) -> None:
    assert said in refusal(content)


ODD = [True, 1, -1, 1.5, 1e400, [], {}, [[1]], {"a": 1}, 10**30, "", " ", "\0", "\ud800"]


@pytest.mark.parametrize("field", ["file", "table", "settlement", "period", "system"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_whatever_stands_in_place_of_a_text_is_refused_with_delivery_and_field(field: str, value: Any) -> None:
    content = json.dumps({"deliveries": [GOOD, {**GOOD, "file": "b.csv", field: value}]}).encode()
    reason = refusal(content)
    assert reason.startswith(f"delivery 2: {field} must be") or "is no value of JSON" in reason


@pytest.mark.parametrize("value", [True, -1, 1.5, 10.0, [], {}, 2**63, "10", "1 0", "ten", "", "\0"], ids=repr)
def test_rows_are_a_whole_number_and_no_text(value: Any) -> None:
    assert "delivery 1: rows must be a whole number" in refusal(written({**GOOD, "rows": value}))


@pytest.mark.parametrize("value", [True, 123, 1.5, [], {}, "", "ab", SHA256 + "0", "g" * 64], ids=repr)
def test_a_hash_is_64_digits(value: Any) -> None:
    assert "delivery 1: sha256 must be 64 hexadecimal digits" in refusal(written({**GOOD, "sha256": value}))


@pytest.mark.parametrize(
    "name", ["../a.csv", "/etc/passwd", "b\\a.csv", ".", "..", ".hidden", "x.Manifest.json", "a" * 300]
)
def test_a_file_lies_beside_its_manifest(name: str) -> None:
    assert refusal(written({**GOOD, "file": name})).startswith("delivery 1: file ")


def test_one_delivery_is_declared_once_but_a_file_may_feed_two_tables() -> None:
    assert "2 times and alike" in refusal(written(GOOD, GOOD))
    assert len(parse(written(GOOD, {**GOOD, "table": "fct_crash"}))) == 2


def test_many_faults_are_told_in_few_words() -> None:
    reason = refusal(written(*[{**GOOD, "file": f"{n}.csv", "rows": "x" * 1000} for n in range(100)]))
    assert "delivery 3" in reason
    assert "and 97 more" in reason


def test_a_manifest_beyond_all_measure_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LARGEST", 20)
    assert "has at most 20" in refusal(written(GOOD))


WHOLE = json.dumps({"deliveries": [{**GOOD, "file": "жалобы \u2116 1.csv", "rows": 12, "sha256": None}]}, indent=1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("escaped", [True, False])
def test_wherever_a_manifest_is_cut_it_waits(encoding: str, escaped: bool) -> None:
    text = WHOLE if escaped else json.dumps(json.loads(WHOLE), indent=1, ensure_ascii=False)
    content = text.encode(encoding)
    for length in range(len(content)):
        with pytest.raises(UnfinishedError):
            parse(content[:length])
    assert len(parse(content)) == 1


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0" * 4096])
def test_an_empty_manifest_waits(content: bytes) -> None:
    with pytest.raises(UnfinishedError):
        parse(content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(list(GOOD.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "deliveries", "rows"]), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON | st.binary(max_size=40))
def test_any_json_and_any_bytes_are_answered(value: Any) -> None:
    content = value if isinstance(value, bytes) else json.dumps({"deliveries": value}).encode()
    with suppress(ManifestError):
        assert parse(content)
    mentions(content, ["a.csv"])


def test_names_are_found_in_what_is_no_manifest() -> None:
    names = ["a.csv", "data.csv", "жалобы.csv", "z.csv"]
    assert mentions(b'{"deliveries": [{"file": "data.csv", "rows": "1 0"}]}', names) == {"data.csv"}
    assert mentions(b"file: data.csv", names) == {"data.csv"}
    assert mentions(b'{"file": "\\u0436\\u0430\\u043b\\u043e\\u0431\\u044b.csv", "fi', names) == {"жалобы.csv"}
    assert mentions('{"file": "жалобы.csv", "fi'.encode("utf-16"), names) == {"жалобы.csv"}
    nfd = unicodedata.normalize("NFD", "й.csv")
    assert mentions('{"file": "й.csv"}'.encode(), [nfd]) == {nfd}
