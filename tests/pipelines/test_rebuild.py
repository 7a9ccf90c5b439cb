"""A warehouse made anew says what the old one said, knows its head, and takes its place only then."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from connectors import reread
from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from pipelines.recovery.rebuild import Rebuilt, rebuild
from tests.support import fake_source, runs
from tests.support.fake_source import World
from tests.support.files import Desk, appeal, contract_text, crashes, query, text
from tests.support.pulling import Place, file_of
from tests.support.rows import LATER, only
from tests.support.settlements import ASTANA
from warehouse.audit.verify import verify
from warehouse.errors import StoreError
from warehouse.home.account import account, shown
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.outstanding import due_home
from warehouse.loading.incidents import close_incident
from warehouse.loading.pulls import pulled_deliveries
from warehouse.release.release import publish
from warehouse.store.content import Content, content
from warehouse.store.former_ledger import anchored_before, kept_heads, rebuilt_entry
from warehouse.store.recorded import recorded
from warehouse.store.sessions import reading, writing
from warehouse.store.store import Store

CATALOGUE = load_catalogues()
KPIS = only(CATALOGUE, "MGT02-1", "MGT02-2").codes
READ = ("appeal_id", "registered_at", "due_at", "first_answer_at", "closed_at", "status", "is_emergency")
COLUMNS = "".join(
    f"      - {{name: {c}, logicalType: {t}}}\n"
    for c, t in (("appeal_id", "string"), ("registered_at", "timestamp"), ("due_at", "timestamp"), ("first_answer_at", "timestamp"),
                 ("closed_at", "timestamp"), ("status", "string"), ("is_emergency", "boolean"))
)  # fmt: skip
CORRECTION = Path(__file__).parents[2] / "examples" / "corrections" / "COR-2026-001.yaml"


def month(number: int, count: int = 12, **changes: str) -> str:
    """A month's appeals; every fourth is closed late, one row is broken."""
    day = f"2025-{number:02}"
    rows = [
        appeal(f"{number}-{n}", registered_at=f"{day}-05 10:00:00", due_at=f"{day}-20 10:00:00", first_answer_at=f"{day}-06 10:00:00",
               closed_at=f"{day}-{26 if n % 4 == 0 else 8:02} 10:00:00") | changes
        for n in range(count)
    ]  # fmt: skip
    return text([*rows, rows[0] | {"appeal_id": f"{number}-broken", "registered_at": "yesterday"}])


def run(desk: Desk, store: Store, *months: str) -> None:
    """What a run does but for publishing."""
    register_pending(store, desk.archive)
    ingest_table(store, desk.archive, store.tables["fct_appeal"], _sources(desk, store), months)
    compute(store, CATALOGUE, months, codes=KPIS, today=LATER)
    assess(store, CATALOGUE.lists[0], 2025)


def _sources(desk: Desk, store: Store) -> Any:
    from connectors.ingest import load_source_contracts

    return load_source_contracts(desk.home, store.tables)


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A home in which about everything has happened that people and runs do, then published, then gone on with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUDO_USER", "anna")
        return _live_in(Desk(tmp_path_factory.mktemp("rebuild") / "home"))


def _live_in(desk: Desk) -> Desk:
    desk.add_contract(contract_text("crm", "fct_appeal", COLUMNS))
    for number in (1, 2, 3):
        desk.deliver(month(number), period=f"2025-{number:02}")
        content = month(number, 10)  # the first with columns that its contract does not know
        desk.deliver(
            content if number == 1 else text(list(csv.DictReader(io.StringIO(content))), READ),
            period=f"2025-{number:02}",
            scope="750000000",
            system="crm",
        )
    with writing(desk.home) as store:
        run(desk, store, "2025-01", "2025-02", "2025-03")
        # a correction of a slice; the same bytes again; one taken back before, and one after it was registered
        desk.deliver(month(2, 11), period="2025-02")
        desk.deliver(month(1), period="2025-01")
        taken = desk.deliver(month(4), period="2025-04")
        desk.archive.withdraw(taken.receipt_id, "A. Person", "the wrong city")
        later = desk.deliver(month(5), period="2025-05")
        run(desk, store, "2025-01", "2025-02")
        desk.archive.withdraw(later.receipt_id, "B. Person", "the wrong month")
        # a declared correction, withdrawn again; all of a month read again
        desk.home.corrections.mkdir()
        said = yaml.safe_load(CORRECTION.read_text())
        said["rows"] = [{"key": {"appeal_id": "A3-0"}, "expect": {"closed_at": "2025-03-26 10:00:00"},
                         "set": {"closed_at": "2025-03-09 10:00:00"}}]  # fmt: skip
        declared = desk.home.corrections / f"{said['id']}.yaml"
        declared.write_text(yaml.safe_dump(said, default_flow_style=False))
        run(desk, store, "2025-03")
        assert query(store, "SELECT outcome FROM audit.correction") == [("applied",)]
        declared.write_text(yaml.safe_dump(said | {"status": "withdrawn"}))
        run(desk, store, "2025-03")
        reread.request_reread(store, store.tables, system="standard", table=None, period="2025-01")
        run(desk, store, "2025-01")
        # a feed that loses a column, confirmed by a person; and an assessment that is not edited any more
        desk.deliver(month(6, 30), period="2025-06")
        desk.deliver(month(7, 30, closed_at=""), period="2025-07")
        run(desk, store, "2025-06", "2025-07")
        (number,), *_ = query(store, "SELECT incident_id FROM audit.incident WHERE rule = 'usual-gaps'")
        close_incident(store, number, "C. Person", "the system changed")
        run(desk, store, "2025-07")
        assess(store, CATALOGUE.lists[0], 2025, freeze=True)
    publish(desk.home, lambda _: [])
    desk.deliver(month(8), period="2025-08")
    with writing(desk.home) as store:
        run(desk, store, "2025-08")
    return desk


@pytest.fixture
def desk(lived_in: Desk, tmp_path: Path) -> Desk:
    return Desk(Path(shutil.copytree(lived_in.root, tmp_path / "home")))


def state(desk: Desk) -> dict[str, bytes]:
    return {str(p.relative_to(desk.root)): p.read_bytes() for p in desk.root.rglob("*") if p.is_file() and not p.name.startswith(".")}  # fmt: skip


# what a person can ask of a warehouse, whatever its sequences
ASKED = {
    "deliveries": "SELECT receipt_id, delivery_id, state, accepted_rows, rejected_rows, reread_of, reason FROM audit.delivery ORDER BY ALL",
    "closed by hand": "SELECT rule, closed_by, closing_reason FROM audit.incident WHERE closed_by = 'C. Person'",
    "by whose account": "SELECT kind, subject, detail->>'$.account.user', detail->>'$.account.sudo_user' FROM audit.ledger "
    "WHERE (detail->'$.account') IS NOT NULL AND kind <> 'key' ORDER BY ALL",
    "frozen": "SELECT year, version, rules FROM kpi.assessment WHERE status = 'frozen'",
    "published, restated or not": "SELECT kpi_code, kato, period_id, value, state, reason FROM kpi.value ORDER BY ALL",
    "corrections": "SELECT correction_id, outcome, was, becomes FROM audit.correction ORDER BY ALL",
    "rejected": "SELECT delivery_id, row_no, rule FROM audit.rejected_row ORDER BY ALL",
}


@dataclass(frozen=True)
class Anew:
    """A home, what was known of its warehouse, and what came of making that anew."""

    desk: Desk
    asked: dict[str, list[tuple[Any, ...]]]
    ledger: dict[int, str]
    said: Content
    done: Rebuilt


def _asked(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    return {what: con.execute(sql).fetchall() for what, sql in ASKED.items()}


@pytest.fixture(scope="module")
def anew(lived_in: Desk, tmp_path_factory: pytest.TempPathFactory) -> Anew:
    desk = Desk(Path(shutil.copytree(lived_in.root, tmp_path_factory.mktemp("anew") / "home")))
    with writing(desk.home) as store, store.transaction():  # of kinds that a later version may have
        store.record([("recovered", "something", {"of": 1}), ("manifest", "release", {"sha256": "0" * 64})])
    with duckdb.connect(str(desk.home.warehouse), read_only=True) as con:
        known = _asked(con), dict(con.execute("SELECT seq, hash FROM audit.ledger").fetchall()), content(con)
    return Anew(desk, *known, rebuild(desk.home))


def test_it_says_the_same_whatever_was_done_to_it(anew: Anew) -> None:
    assert {row[2] for row in anew.asked["deliveries"]} == {"loaded", "duplicate", "withdrawn", "refused"}
    assert all(anew.asked.values())
    assert (anew.done.told, anew.done.differing, anew.done.in_place) == ((), {}, True)
    with duckdb.connect(str(anew.desk.home.warehouse), read_only=True) as con:
        assert _asked(con) == anew.asked
        again = content(con)
        (rebuilt_by,), *_ = con.execute(
            "SELECT detail->>'$.account.again' FROM audit.ledger WHERE kind = 'incident-closed'"
        ).fetchall()
    assert (again.sha256, again.history_sha256) == (anew.said.sha256, anew.said.history_sha256)
    assert rebuilt_by == shown(account())
    assert again.former
    assert anew.done.kept is not None
    assert anew.done.kept.exists()
    assert anew.desk.archive.pending() == []


def test_the_ledger_begins_with_the_old_head_which_can_be_held_against_what_is_kept(anew: Anew) -> None:
    head = max(anew.ledger.items())
    assert anew.done.head == head
    with duckdb.connect(str(anew.desk.home.warehouse), read_only=True) as con:
        first = con.execute("SELECT kind, subject FROM audit.ledger WHERE seq = 1").fetchone()
        said = rebuilt_entry(con)
    assert first == ("rebuilt", f"from {head[0]}:{head[1]}")
    assert said is not None
    with anew.desk.archive.open(said["ledger_sha256"]) as stream:
        lines = stream.read().splitlines()
    assert kept_heads(lines, head) == anew.ledger
    with duckdb.connect(str(anew.desk.home.warehouse), read_only=True) as con:
        for seq in (1, 5, head[0]):
            found = anchored_before(con, anew.desk.archive.open, (seq, anew.ledger[seq]))
            assert found is not None
            assert (found[0], f"rebuilt from head {head[0]}:{head[1]}" in found[1]) == (True, True)
        assert (anchored_before(con, anew.desk.archive.open, (5, anew.ledger[6])) or (None,))[0] is False
    with reading(anew.desk.home, hardened=False) as store:
        assert anchored_before(store.con, anew.desk.archive.open, head) is None, "the release was not made of it yet"
    changed = [line.replace(b"C. Person", b"D. Person") for line in lines]
    for wrong in (changed, lines[:-1]):
        with pytest.raises(StoreError, match="kept ledger"):
            kept_heads(wrong, head)


def test_the_release_stays_until_the_next_run_publishes(anew: Anew, tmp_path: Path) -> None:
    desk = Desk(Path(shutil.copytree(anew.desk.root, tmp_path / "home")))
    with reading(desk.home, hardened=False) as store:
        assert query(store, "SELECT kind FROM audit.ledger WHERE seq = 1") == [("schema",)], "the old one"
    assert due_home(desk.home, only(CATALOGUE, *KPIS)).unreleased == ("2025-08",), "else nothing would publish it"
    publish(desk.home, desk.archive.missing)
    assert verify(desk.home).differences == ()
    with reading(desk.home, hardened=False) as store:
        assert recorded(store) == []
    assert due_home(desk.home, only(CATALOGUE, *KPIS)).unreleased == ()


@pytest.mark.slow
def test_what_comes_next_is_as_if_nothing_had_happened(anew: Anew, desk: Desk, tmp_path: Path) -> None:
    other = Desk(Path(shutil.copytree(anew.desk.root, tmp_path / "other")))
    found = []
    for one in (desk, other):
        one.deliver(month(9), period="2025-09")
        one.deliver(month(3, 10), period="2025-03")  # a correction
        with writing(one.home) as store:
            run(one, store, "2025-03", "2025-09")
            found.append(content(store.con))
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gone", "empty", "cut", "older"])
def test_of_a_warehouse_that_is_lost_the_release_is_followed_and_later_deliveries_wait_again(
    desk: Desk, loss: str
) -> None:
    if loss == "gone":
        desk.home.warehouse.unlink()
    elif loss == "older":
        shutil.copy(desk.home.released_file, desk.root / "older")
        publish(desk.home, lambda _: [])
        (desk.root / "older").replace(desk.home.warehouse)
    else:
        size = desk.home.warehouse.stat().st_size // 2 if loss == "cut" else 0
        os.truncate(desk.home.warehouse, size)
    result = CliRunner().invoke(app, ["run", "--home", str(desk.root)])
    assert result.exit_code == 1
    assert "rebuild" in result.output or "backup" in result.output
    done = rebuild(desk.home)
    assert (done.source, done.in_place, done.differing) == (desk.home.released_file, True, {})
    after = [] if loss == "older" else ["2025-08"]
    assert [r.period for r in desk.archive.pending()] == after, "received after the release"
    with writing(desk.home) as store:
        run(desk, store, "2025-08")
        assert query(store, "SELECT count(*) FROM showcase.fct_appeal WHERE registered_at >= '2025-08-01'") == [(12,)]


def test_an_older_ledger_than_the_release_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    shutil.copy(desk.home.released_file, tmp_path / "older")
    publish(desk.home, lambda _: [])
    before = state(desk)
    with pytest.raises(StoreError, match=r"does not know the release .*qala rebuild --from"):
        rebuild(desk.home, source=tmp_path / "older")
    assert state(desk) == before


@pytest.mark.slow
def test_bytes_that_are_gone_are_named_and_nothing_is_put_in_place_unasked(desk: Desk) -> None:
    with writing(desk.home) as store:
        ((sha256, receipt),) = query(store, "SELECT sha256, receipt_id FROM audit.delivery WHERE period_id = '2025-08'")
    desk.archive.path(sha256).rename(desk.root / "away")
    before = desk.home.warehouse.read_bytes()
    done = rebuild(desk.home)
    assert not done.in_place
    assert f"receipt {receipt}) are gone (SHA-256 {sha256})" in done.told[0]
    assert any("was loaded with 12 rows and 1 rejected and is now refused" in told for told in done.told)
    assert done.differing["showcase.fct_appeal"][0] - done.differing["showcase.fct_appeal"][1] == 12
    assert desk.home.warehouse.read_bytes() == before
    result = CliRunner().invoke(app, ["rebuild", "--home", str(desk.root), "--accept"])
    assert result.exit_code == 1
    assert "showcase.fct_appeal differs" in result.output
    # delivered again, the file is as good as it was
    desk.deliver(month(8), period="2025-08")
    with writing(desk.home) as store:
        run(desk, store, "2025-08")
        assert query(store, "SELECT count(*) FROM showcase.fct_appeal WHERE registered_at >= '2025-08-01'") == [(12,)]
        assert query(store, "SELECT kind FROM audit.ledger WHERE kind = 'rebuild-compared'") == [("rebuild-compared",)]


@pytest.mark.slow
def test_another_version_of_a_contract_is_told(desk: Desk) -> None:
    desk.add_contract(contract_text("crm", "fct_appeal", COLUMNS).replace("version: 1.0.0", "version: 1.1.0"))
    done = rebuild(desk.home)
    assert done.told == (
        "3 deliveries of fct_appeal by system crm were read by version 1.0.0 of its contract, which is not here: they are read by 1.1.0",
    )
    assert done.differing == {}, "it reads as the former one did"


def test_a_broken_ledger_is_not_followed(desk: Desk) -> None:
    with duckdb.connect(str(desk.home.warehouse)) as con:
        con.execute(
            "UPDATE audit.ledger SET detail = replace(detail, 'C. Person', 'D. Person') WHERE kind = 'incident-closed'"
        )
    with pytest.raises(StoreError, match=r"the ledger is broken at row [0-9]+ \(incident-closed"):
        rebuild(desk.home)


@pytest.mark.slow
def test_a_value_edited_in_the_old_warehouse_is_made_right(desk: Desk) -> None:
    with duckdb.connect(str(desk.home.warehouse)) as con:
        con.execute("UPDATE kpi.value SET value = value + 1 WHERE value IS NOT NULL AND valid_to_seq IS NULL")
    done = rebuild(desk.home)
    assert (set(done.differing), done.in_place) == ({"kpi.value"}, False)
    assert rebuild(desk.home, accept=True).in_place
    with writing(desk.home) as store:
        assert query(store, "SELECT count(*) FROM kpi.value WHERE value > 100") == [(0,)]


@pytest.mark.slow
def test_made_anew_twice_it_still_knows_its_release(desk: Desk) -> None:
    first, second = rebuild(desk.home), rebuild(desk.home)
    assert first.after == second.after
    with writing(desk.home) as store:
        assert query(store, "SELECT count(*) FROM audit.ledger WHERE kind = 'rebuilt'") == [(1,)]


@pytest.mark.slow
def test_killed_in_the_middle_it_leaves_the_old_one_and_begins_anew(desk: Desk) -> None:
    before = desk.home.warehouse.read_bytes()
    code = (
        "import os, signal, sys; from pathlib import Path; from warehouse.home.home import Home; from pipelines.recovery import rebuild as m\n"
        "seen = []\n"
        "def say(text):\n    seen.append(text)\n    if len(seen) == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "m.rebuild(Home(Path(sys.argv[1])), say=say)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(desk.root)], check=False, cwd=Path(__file__).parents[2])  # noqa: S603
    assert done.returncode == -signal.SIGKILL
    assert desk.home.warehouse.read_bytes() == before
    assert (desk.root / ".rebuild").exists()
    assert rebuild(desk.home).in_place
    assert not (desk.root / ".rebuild").exists()


def test_where_a_delivery_was_pulled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its receipt is gone, or it was taken back before it was registered."""
    world = World(crashes(1).splitlines(keepends=True)[0])
    fake_source.register(monkeypatch, world)
    place = Place.make(tmp_path / "home", world)
    for month in ("2026-01", "2026-02", "2026-03"):
        world.files[ASTANA, month] = (file_of(int(month[-1]) * 100, 3, month),)
    told = place.pull()
    archive = Archive(place.home.archive)
    archive.withdraw(archive.pending()[-1].receipt_id, "A. Person", "wrong")
    place.load()
    before = place.released.deliveries
    assert [one.state for one in before] == ["loaded", "loaded", "withdrawn"]
    assert told[0].receipt is not None
    for path in (place.home.archive / "receipts").glob(f"*/{told[0].receipt.receipt_id}.json"):
        path.unlink()
    with runs.unjudged():
        assert rebuild(place.home).in_place
    with writing(place.home) as store:
        assert pulled_deliveries(store) == list(before)
