"""Tampering with what was published: each attack is tried on a copy of a small home, and what differs is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive import Archive
from connectors.deliver import Declared, deliver
from connectors.intake import register_pending, take_in
from kpi_definitions.catalogue import load as load_catalogue
from pipelines.cli import app
from tests.support import LATER, only
from warehouse.compute import compute
from warehouse.release import MANIFEST, file_sha256, publish
from warehouse.store import Home, ledger_head, writing

ROWS = """\
appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency
A1,2026-01-05T08:00:00,2026-01-10T12:00:00,,2026-01-09T12:00:00,CLOSED,,,false
A2,2026-01-05T08:00:00,2026-01-10T12:00:00,,2026-01-12T12:00:00,CLOSED,,,false
A3,2026-01-05T08:00:00,not a day,,,OPEN,,,false
"""
cli = CliRunner()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with one delivery (a row of it rejected), values of two KPIs, and a release."""
    home = Home(tmp_path_factory.mktemp("verify") / "home")
    home.root.mkdir()
    archive, catalogue = Archive(home.archive), only(load_catalogue(), "MGT02-1", "MGT02-2")
    file = home.root / "appeals.csv"
    file.write_text(
        ROWS
        + "".join(
            f"B{n},2026-01-05T08:00:00,2026-01-20T12:00:00,,2026-01-09T12:00:00,CLOSED,,,false\n" for n in range(40)
        )
    )
    with writing(home) as store:
        deliver(archive, Declared(file, "fct_appeal", "710000000", "2026-01"), store.tables, {})
        register_pending(store, archive)
        report = take_in(store, archive, store.tables["fct_appeal"], {})
        assert (report.accepted, report.rejected) == (42, 1)
        compute(store, catalogue, ["2026-01"], today=LATER)
    publish(home, archive.missing)
    return home


@pytest.fixture
def home(original: Home, tmp_path: Path) -> Home:
    copy = Home(tmp_path / "home")
    shutil.copytree(original.root, copy.root)
    return copy


def verify(home: Home, *words: str) -> tuple[int, str]:
    result = cli.invoke(app, ["verify", "--home", str(home.root), *words])
    return result.exit_code, result.output


def edit(home: Home, *statements: str, cover: bool = True) -> None:
    """Change the released file as somebody would who knows the manifest and mends its hash too."""
    home.released_file.chmod(0o644)
    with duckdb.connect(str(home.released_file)) as con:
        for statement in statements:
            con.execute(statement)
    if cover:
        path = home.release / MANIFEST
        manifest = json.loads(path.read_text())
        manifest["sha256"][home.released_file.name] = file_sha256(home.released_file)
        path.chmod(0o644)
        path.write_text(json.dumps(manifest))


def anchored(home: Home) -> str:
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        seq, digest = ledger_head(con)
    return f"{seq}:{digest}"


def test_nothing_differs_in_what_nobody_touched(home: Home) -> None:
    head = anchored(home)
    code, output = verify(home, "--head", head)
    assert (code, "0 differences" in output, head in output.replace("\n", "")) == (0, True, True), output
    manifest = json.loads((home.release / MANIFEST).read_text())
    assert f"{manifest['seq']}:{manifest['ledger_head']}" == head


def _flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _archived(home: Home) -> Path:
    (path,) = home.archive.glob("sha256/*/*.zst")
    return path


def _swap(home: Home) -> None:
    other = Archive(home.root / "other")
    file = home.root / "x.csv"
    file.write_text(ROWS.replace("A2", "A9"))
    other.receive(file, table="fct_appeal", system="standard", scope="710000000", period="2026-01")
    (path,) = other.root.glob("sha256/*/*.zst")
    shutil.copyfile(path, _archived(home))


EASED = "UPDATE registry.kpi SET definition = replace(definition, 'closed_at <= due_at', 'closed_at < due_at')"
LAST = "(SELECT max(seq) FROM audit.ledger)"
# what: (the attack, what is said)
ATTACKS: dict[str, tuple[Callable[[Home], object], str]] = {
    "a file of the release edited": (lambda h: edit(h, "UPDATE kpi.value SET value = 99", cover=False), "is not the file that was released"),
    "a public file edited": (lambda h: _flip(h.release / "kpi_values.csv"), "kpi_values.csv is not the file"),
    "a release file taken away": (lambda h: (h.release / "scorecard.csv").unlink(), "scorecard.csv is missing"),
    "a write-ahead log planted": (lambda h: h.released_file.with_suffix(".duckdb.wal").write_bytes(b"WAL"), "does not belong here"),
    "a value edited": (lambda h: edit(h, "UPDATE kpi.value SET value = 99 WHERE sample_size > 9"), "does not follow from its numerator"),
    "a value edited with its parts": (
        lambda h: edit(h, "UPDATE kpi.value SET value = 100, numerator = denominator WHERE kpi_code = 'MGT02-1' AND sample_size > 9"),
        "(computed MGT02-1): changed since"),
    "the reason of a missing value edited": (
        lambda h: edit(h, "UPDATE kpi.value SET reason = 'not our fault' WHERE value IS NULL"), "(computed MGT02-1): changed since"),
    "a value taken out": (lambda h: edit(h, "DELETE FROM kpi.value WHERE kato = '710000000'"), "(computed MGT02-1): of 90 rows 89 are there"),
    "a ledger row edited": (lambda h: edit(h, "UPDATE audit.ledger SET detail = '{}' WHERE seq = 2"), "row 2 "),
    "a ledger row taken out": (lambda h: edit(h, "DELETE FROM audit.ledger WHERE seq = 2"), "rows 2 to 2 are missing"),
    "the time of a ledger row moved": (lambda h: edit(h, "UPDATE audit.ledger SET recorded_at = recorded_at - INTERVAL 1 DAY WHERE seq = 1"), "row 1 "),
    "the last ledger rows dropped": (lambda h: edit(h, f"DELETE FROM audit.ledger WHERE seq = {LAST}"), "its last rows were dropped"),
    "a delivery's hash edited": (lambda h: edit(h, "UPDATE audit.delivery SET sha256 = repeat('0', 64)"), "what was received is recorded otherwise"),
    "a delivery's counts edited": (lambda h: edit(h, "UPDATE audit.delivery SET accepted_rows = 43"), "the decision on it is recorded otherwise"),
    "a rejected row taken out": (lambda h: edit(h, "DELETE FROM audit.rejected_row"), "of 1 rejected rows 0 are there"),
    "a delivery taken out": (lambda h: edit(h, "DELETE FROM audit.delivery"), "has no delivery any more"),
    "a definition edited after use": (
        lambda h: edit(h, EASED), "MGT02-1 version 1 is not the definition"),
    "a definition and its hash edited": (
        lambda h: edit(h, "UPDATE registry.kpi SET definition_hash = repeat('a', 64) WHERE code = 'MGT02-2'"), "MGT02-2 version 1 is not the definition"),
    "an archived bit flipped": (lambda h: _flip(_archived(h)), "archive"),
    "an archived file swapped": (_swap, "holds other bytes than were received"),
    "an archived file lost": (lambda h: _archived(h).unlink(), "archive has no content"),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
def test_tampering_is_named(home: Home, what: str) -> None:
    attack, said = ATTACKS[what]
    attack(home)
    code, output = verify(home)
    assert code == 1
    assert said in output.replace("\n", " "), output


def test_a_ledger_rewritten_from_end_to_end_is_found_by_a_head_kept_elsewhere(home: Home) -> None:
    """Who has the whole home may rewrite ledger, manifest and all: only a head kept elsewhere gives that away."""
    from warehouse.store import NOTHING, ledger_hash

    head = anchored(home)
    home.released_file.chmod(0o644)
    with duckdb.connect(str(home.released_file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = con.execute(
            "SELECT seq, recorded_at, kind, subject, run_id, detail FROM audit.ledger ORDER BY seq"
        ).fetchall()
        previous = NOTHING
        for seq, at, kind, subject, run_id, detail in rows:
            detail = f"{detail} " if seq == 1 else detail
            digest = ledger_hash(seq, at, kind, subject, run_id, detail, previous)
            con.execute(
                "UPDATE audit.ledger SET detail = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                [detail, previous, digest, seq],
            )
            previous = digest
    path = home.release / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["ledger_head"] = previous
    manifest["sha256"][home.released_file.name] = file_sha256(home.released_file)
    path.chmod(0o644)
    path.write_text(json.dumps(manifest))
    assert "ledger" not in verify(home)[1].split("ledger head")[0], "without an anchor nobody can tell"
    code, output = verify(home, "--head", head)
    assert code == 1
    assert "the ledger was rewritten" in output


def test_an_anchor_that_is_none_is_refused(home: Home) -> None:
    code, output = verify(home, "--head", "12")
    assert code == 1
    assert "SEQUENCE:HASH" in output


def test_a_stray_log_is_named_without_opening_the_file(home: Home) -> None:
    home.released_file.with_suffix(".duckdb.wal").write_bytes(b"not a log")
    code, output = verify(home)
    assert code == 1
    assert "ledger head" not in output
