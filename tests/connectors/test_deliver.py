"""Delivering by hand and through the inbox: what is refused at the door, and in which words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.receiving.inbox import collect
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
