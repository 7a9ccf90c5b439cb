"""Delivering by hand and through the inbox: what is refused at the door, and in which words."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.archive.bundle import opened
from connectors.ingest import load_source_contracts
from connectors.receiving.inbox import collect
from connectors.receiving.manifest import ManifestError, parse
from pipelines.cli import app
from warehouse.home.home import Home
from warehouse.tables.contracts import load_tables

cli = CliRunner()
HEADER = "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"


@pytest.fixture
def place(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.inbox.mkdir(parents=True)
    return home


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    path = tmp_path / "appeals.csv"
    path.write_text(HEADER + "A1,2026-01-02 10:00:00,2026-01-17 10:00:00,,,OPEN,water,109,false\n")
    return path


def test_deliver_archives_the_bytes_and_leaves_a_receipt(place: Home, extract: Path) -> None:
    result = cli.invoke(
        app,
        ["deliver", str(extract), "-t", "fct_appeal", "-s", "710000000", "-p", "2026-01", "--home", str(place.root)],
    )
    assert result.exit_code == 0, result.output
    (receipt,) = Archive(place.archive).pending()
    assert (receipt.table, receipt.scope, receipt.period, receipt.system) == (
        "fct_appeal",
        "710000000",
        "2026-01",
        "standard",
    )
    assert receipt.sha256 == hashlib.sha256(extract.read_bytes()).hexdigest()
    with Archive(place.archive).open(receipt.sha256) as stream:
        assert stream.read() == extract.read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("-t", "fct_appeals", "did you mean fct_appeal"),
        ("-s", "710000001", "710000000 Astana"),
        ("-s", "xx", "qala settlements"),
        ("-p", "January", "write a month 2026-01"),
        ("--system", "ikomek", "known for it: ikomek109"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_taken(
    place: Home, extract: Path, option: str, value: str, said: str
) -> None:
    options = {"-t": "fct_appeal", "-s": "710000000", "-p": "2026-01"} | {option: value}
    words = [word for pair in options.items() for word in pair]
    result = cli.invoke(app, ["deliver", str(extract), *words, "--home", str(place.root)], env={"COLUMNS": "300"})
    assert result.exit_code == 1
    assert said in result.output
    assert Archive(place.archive).pending() == []


def test_a_file_that_is_not_there(place: Home) -> None:
    result = cli.invoke(
        app,
        ["deliver", "nowhere.csv", "-t", "fct_appeal", "-s", "710000000", "-p", "2026-01", "--home", str(place.root)],
    )
    assert result.exit_code == 1
    assert "there is no file nowhere.csv" in result.output


def drop(home: Home, *entries: dict[str, object], name: str = "one") -> None:
    (home.inbox / f"{name}.manifest.json").write_text(json.dumps({"deliveries": list(entries)}))


def test_a_complete_drop_is_taken_whole(place: Home, extract: Path) -> None:
    sha256 = hashlib.sha256(extract.read_bytes()).hexdigest()
    for name in ("a.csv", "b.csv"):
        (place.inbox / name).write_bytes(extract.read_bytes())
    common = {"table": "fct_appeal", "period": "2026-01", "sha256": sha256, "rows": 1}
    drop(
        place,
        {"file": "a.csv", "settlement": "710000000", **common},
        {"file": "b.csv", "settlement": "750000000", **common},
    )
    (done,) = collect(place.inbox, Archive(place.archive), load_tables(), load_source_contracts(place, load_tables()))
    assert done.error is None
    assert [r.scope for r in Archive(place.archive).pending()] == ["710000000", "750000000"]
    assert [p.name for p in place.inbox.iterdir()] == ["done"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "cut or changed on the way"),
        ({"table": "fct_nothing"}, "there is no table"),
        ({"file": "missing.csv"}, "not in the inbox"),
        ({"file": "../home/a.csv"}, "must lie beside its manifest"),
        ({"colour": "red"}, "unknown colour"),
        ({"period": "2026-00"}, "is no period"),
    ],
)
def test_a_faulty_drop_is_refused_whole_and_kept_with_the_reason(
    place: Home, extract: Path, change: dict[str, object], said: str
) -> None:
    for name in ("a.csv", "b.csv"):
        (place.inbox / name).write_bytes(extract.read_bytes())
    good = {"file": "a.csv", "table": "fct_appeal", "settlement": "710000000", "period": "2026-01"}
    drop(place, good, {**good, "file": "b.csv", **change})  # type: ignore[arg-type]
    (done,) = collect(place.inbox, Archive(place.archive), load_tables(), load_source_contracts(place, load_tables()))
    assert done.error is not None
    assert said in done.error
    assert Archive(place.archive).pending() == []
    (reason,) = place.inbox.rglob("REASON.txt")
    assert said in reason.read_text()
    kept = {p.name for p in place.inbox.rglob("*.csv")}
    assert kept == {"a.csv", "b.csv"}, "nothing is lost"


def test_a_manifest_that_is_no_json(place: Home) -> None:
    (place.inbox / "x.manifest.json").write_text("{]")
    (done,) = collect(place.inbox, Archive(place.archive), load_tables(), {})
    assert done.error is not None
    assert "not a manifest" in done.error


def invoked(place: Home, *files: Path) -> str:
    words = [*map(str, files), "-t", "fct_appeal", "-s", "710000000", "-p", "2026-01", "--home", str(place.root)]
    return cli.invoke(app, ["deliver", *words], env={"COLUMNS": "400"}).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html><body>login</body></html>", "it is a page of HTML"),
        (b"%PDF-1.4", "it is PDF"),
        (b"", "the file is empty"),
    ],
)
def test_a_file_that_no_run_could_read_leaves_nothing_behind(
    place: Home, tmp_path: Path, content: bytes, said: str
) -> None:
    (file := tmp_path / "report.xls").write_bytes(content)
    output = invoked(place, file)
    assert said in output
    assert "nothing was taken in" in output
    assert [p for p in place.archive.rglob("*") if p.is_file()] == []
    assert list(place.scratch.glob("qala-*")) == []


def test_a_header_that_is_not_the_contract_s_is_told_and_left_to_the_run(place: Home, tmp_path: Path) -> None:
    (file := tmp_path / "report.csv").write_bytes(b"appeal_id\nA1\n")
    output = invoked(place, file)
    assert "taken in, but the run will refuse it" in output
    assert "the header lacks registered_at" in output
    assert len(Archive(place.archive).pending()) == 1


def test_a_folder_is_no_file(place: Home, tmp_path: Path) -> None:
    assert "is a folder; name the files in it" in invoked(place, tmp_path)


def test_several_files_are_one_delivery_of_bytes_as_they_were(place: Home, extract: Path, tmp_path: Path) -> None:
    (other := tmp_path / "more" / "appeals.csv").parent.mkdir()
    other.write_text(extract.read_text().replace("A1", "A2"))
    for _ in range(2):
        assert "receipt" in invoked(place, extract, other)
    first, second = Archive(place.archive).pending()
    assert first.sha256 == second.sha256, "the same files are the same content"
    with Archive(place.archive).open(first.sha256) as stream:
        (packed := tmp_path / "bundle").write_bytes(stream.read())
    with opened(packed) as (members, content):
        assert [content.read(one.member) for one in members] == [extract.read_bytes(), other.read_bytes()]
    assert "one file is named twice" in invoked(place, extract, extract)


def test_several_files_come_through_the_inbox(place: Home, extract: Path) -> None:
    contents = [extract.read_text(), extract.read_text().replace("A1", "A2")]
    sums = [hashlib.sha256(content.encode()).hexdigest() for content in contents]
    for name, content in zip(("a.csv", "b.csv"), contents, strict=True):
        (place.inbox / name).write_text(content)
    entry = {"files": ["a.csv", "b.csv"], "table": "fct_appeal", "settlement": "710000000", "period": "2026-01"}
    manifest = place.inbox / "x.manifest.json"
    manifest.write_text(json.dumps({"deliveries": [entry | {"sha256s": sums}]}))
    (drop,) = collect(place.inbox, Archive(place.archive), load_tables(), {})
    assert drop.error is None
    (receipt,) = drop.receipts
    assert receipt.file_name == "a 2 files.zip"
    assert sorted(p.name for p in place.inbox.glob("done/*/*.csv")) == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"files": ["a.csv"], "file": "a.csv"}, "has file and files"),
        ({"files": []}, "files must be"),
        ({"files": ["a.csv", "a.csv"]}, "names a file twice"),
        ({"files": ["a.csv", "../b.csv"]}, "must lie beside its manifest"),
        ({"files": ["a.csv", "b.csv"], "sha256": "0" * 64}, "write them as a list: sha256s"),
        ({"files": ["a.csv", "b.csv"], "sha256s": ["0" * 64]}, "a sha256 for each of its files"),
        ({}, "lacks file"),
    ],
)
def test_a_manifest_says_clearly_which_files_are_meant(more: dict[str, object], said: str) -> None:
    entry = {"table": "fct_appeal", "settlement": "710000000", "period": "2026-01"} | more
    with pytest.raises(ManifestError, match=re.escape(said)):
        parse(json.dumps({"deliveries": [entry]}).encode())
