"""Tampering with what was published: each attack is tried on a copy of a small home, and what differs is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from tests.support.released import ROWS, build, edit
from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.release.release import publish
from warehouse.store.ledger import ledger_head
from warehouse.store.recorded import recorded
from warehouse.store.seals import CATALOGUE, REGISTRIES, all_sealed
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.tables.contracts import load_tables

cli = CliRunner()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("verify") / "home")
    build(home)
    return home


@pytest.fixture
def home(original: Home, tmp_path: Path) -> Home:
    copy = Home(tmp_path / "home")
    shutil.copytree(original.root, copy.root)
    return copy


def verify(home: Home, *words: str) -> tuple[int, str]:
    result = cli.invoke(app, ["verify", "--home", str(home.root), *words])
    return result.exit_code, result.output


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
    return min(home.archive.glob("sha256/*/*.zst"))


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
        lambda h: edit(h, "UPDATE registry.kpi SET definition_hash = repeat('a', 64) WHERE kpi_code = 'MGT02-2'"), "MGT02-2 version 1 is not the definition"),
    "a showcase row edited": (
        lambda h: edit(h, "UPDATE showcase.fct_appeal SET closed_at = due_at WHERE appeal_id = 'A2'"), "(loaded appeals.csv, delivery 1): changed since"),
    "a showcase row taken out": (lambda h: edit(h, "DELETE FROM showcase.fct_appeal WHERE appeal_id = 'A2'"), "of 42 rows 41 are there"),
    "a showcase row put in": (
        lambda h: edit(h, "INSERT INTO showcase.fct_appeal SELECT * REPLACE ('Z1' AS appeal_id, 99 AS row_no, 1 AS valid_from_seq) "
                       "FROM showcase.fct_appeal LIMIT 1"), "showcase.fct_appeal: 1 rows claim ledger row 1, which entered none"),
    "a history row taken out": (lambda h: edit(h, "DELETE FROM history.fct_appeal WHERE appeal_id = 'B1'"), "history.fct_appeal, ledger row"),
    "a history row edited": (lambda h: edit(h, "UPDATE history.fct_appeal SET category = 'x' WHERE appeal_id = 'B1'"), "delivery 1): changed since"),
    "the end of a history row moved": (lambda h: edit(h, "UPDATE history.fct_appeal SET valid_to_seq = valid_to_seq + 1"), "history.fct_appeal"),
    "a former row brought back": (
        lambda h: edit(h, "INSERT INTO showcase.fct_appeal BY NAME SELECT * EXCLUDE (valid_to_seq) FROM history.fct_appeal",
                       "DELETE FROM history.fct_appeal"), "history.fct_appeal"),
    "a check result turned": (lambda h: edit(h, "UPDATE audit.check_result SET passed = true WHERE NOT passed"), "check results"),
    "an incident hushed up": (
        lambda h: edit(h, "UPDATE audit.incident SET closed_seq = 1, closed_by = 'me', closing_reason = 'x' WHERE closed_seq IS NULL"), "incidents closed"),
    "an incident taken out": (lambda h: edit(h, "DELETE FROM audit.incident"), "incidents opened"),
    "the reason of an override edited": (lambda h: edit(h, "UPDATE audit.incident SET closing_reason = 'all fine' WHERE closed_by = 'an analyst'"),
                                         "incidents closed"),
    "a roll-up edited": (lambda h: edit(h, "UPDATE kpi.rollup SET value = 99 WHERE value IS NOT NULL"), "roll-ups"),
    "a place in a frozen assessment edited": (lambda h: edit(h, "UPDATE kpi.assessment_rank SET rank = 3 WHERE kato = '710000000'"), "assessment ranks"),
    "a frozen assessment taken out": (lambda h: edit(h, "DELETE FROM kpi.assessment"), "assessments: assessments, ledger row"),
    "the group of a settlement edited": (lambda h: edit(h, "UPDATE registry.settlement SET item7_group = 'district' WHERE kato = '710000000'"),
                                         "registry.settlement is not what was entered"),
    "a seal edited with its rows": (
        lambda h: edit(h, "UPDATE audit.seal SET sha256 = repeat('0', 64) WHERE what = 'showcase.fct_appeal'"), "seals: those entered at ledger row"),
    "seals taken out": (lambda h: edit(h, "DELETE FROM audit.seal"), "seals: those entered at ledger row"),
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
    from warehouse.store.ledger import GENESIS_HASH, ledger_hash

    head = anchored(home)
    home.released_file.chmod(0o644)
    with duckdb.connect(str(home.released_file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = con.execute(
            "SELECT seq, recorded_at, kind, subject, run_id, detail FROM audit.ledger ORDER BY seq"
        ).fetchall()
        previous = GENESIS_HASH
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
    assert "ledger was rewritten" not in verify(home)[1], "without an anchor nobody can tell"
    code, output = verify(home, "--head", head)
    assert code == 1
    assert "the ledger was rewritten" in output


@pytest.mark.parametrize("stray", ["999", "NULL"])
def test_rows_of_no_delivery_on_record_stop_the_release(home: Home, stray: str) -> None:
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("ALTER TABLE showcase.fct_appeal ALTER delivery_id DROP NOT NULL")
        con.execute(f"UPDATE showcase.fct_appeal SET delivery_id = {stray} WHERE appeal_id = 'A2'")
    with pytest.raises(StoreError, match="rows of fct_appeal come from no delivery that was entered as loaded"):
        publish(home, Archive(home.archive).missing)


def test_a_release_tells_which_values_have_lost_their_bytes(home: Home) -> None:
    _archived(home).unlink()
    broken = publish(home, Archive(home.archive).missing).broken
    assert broken
    assert all("710000000" in one and one.endswith("the archive has lost bytes of fct_appeal") for one in broken)


def test_an_anchor_that_is_none_is_refused(home: Home) -> None:
    code, output = verify(home, "--head", "12")
    assert code == 1
    assert "SEQUENCE:HASH" in output


def test_a_stray_log_is_named_without_opening_the_file(home: Home) -> None:
    home.released_file.with_suffix(".duckdb.wal").write_bytes(b"not a log")
    code, output = verify(home)
    assert code == 1
    assert "ledger head" not in output


def test_every_column_of_every_table_is_sealed(home: Home) -> None:
    """What no seal covers could be edited unseen: only the ledger, which is a chain, and the seals themselves stand outside."""
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        tables = load_tables()
        covered: dict[str, set[str]] = {f"registry.{name}": {"*"} for name in (*REGISTRIES, *CATALOGUE)}
        sources = {"audit.delivery": ("deliveries received", "deliveries decided"), "audit.check_result": ("check results",),
                   "audit.rejected_row": ("rejected rows",), "audit.delivery_profile": ("delivery profiles",),
                   "audit.correction": ("corrections",), "audit.incident": ("incidents opened", "incidents closed"),
                   "kpi.value": ("values", "values restated"), "kpi.rollup": ("roll-ups", "roll-ups restated"), "kpi.computation": ("computations",),
                   "kpi.assessment": ("assessments",), "kpi.assessment_item": ("assessment items",), "kpi.assessment_score": ("assessment scores",),
                   "kpi.assessment_rank": ("assessment ranks",),
                   **{f"showcase.{name}": (f"showcase.{name}",) for name in tables},
                   **{f"history.{name}": (f"showcase.{name}", f"history.{name}") for name in tables}}  # fmt: skip
        kinds = all_sealed(tables.values())
        assert {kind for named in sources.values() for kind in named} == set(kinds)
        for table, named in sources.items():
            described = [con.execute(f"SELECT * FROM ({kinds[kind].rows}) LIMIT 0").description for kind in named]
            covered[table] = {str(column[0]) for found in described for column in found or ()}
        # a sequence stands under the name seq
        under_seq = {"registered_seq", "loaded_seq", "opened_seq", "closed_seq", "valid_from_seq", "valid_to_seq"}
        bare = [
            f"{table}.{column}"
            for table, column in con.execute(
                "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE NOT internal AND schema_name <> 'main'"
            ).fetchall()
            # sentences are made again from the messages and compared (test_insider)
            if table not in {"audit.ledger", "audit.seal", "registry.setting", "registry.message"}
            and not {"*", column} & covered.get(table, set())
            and column not in under_seq
        ]
    assert bare == []


def test_one_edit_in_any_table_is_found(home: Home) -> None:
    """Of every table that has rows the first is taken out; sentences are made again from the messages instead (test_insider)."""
    home.released_file.chmod(0o644)
    with duckdb.connect(str(home.released_file)) as con:
        con.execute("SET TimeZone = 'UTC'")
        store, tried = Store(con, home), []
        for (table,) in con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE estimated_size > 0 AND NOT temporary "
            "AND table_name <> 'message' ORDER BY 1"
        ).fetchall():
            con.execute("BEGIN TRANSACTION")
            con.execute(f"DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})")
            assert recorded(store), f"a row taken out of {table} is not seen"
            con.execute("ROLLBACK")
            tried.append(table)
        assert recorded(store) == []
    assert len(tried) > 25
