"""Somebody with every file, every right and the code at hand falsifies a home: each attack is found, and named by its kind.

An attack renews whatever it can renew (manifest, hashes, modes). It has no anchored head and no public key: these are outside the house.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.reconciliation import reconcile
from pipelines.cli import app
from tests.support.released import MONTH, ROWS, SETTLEMENT, build, edit, overwrite, renew
from warehouse.audit.between_anchors import spans_between_anchors
from warehouse.audit.verify import verify
from warehouse.errors import StoreError
from warehouse.home import keys
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.release import anchors, signing
from warehouse.release.anchors import Anchor
from warehouse.release.exports import EXPORTS, export
from warehouse.release.release import STATEMENT, publish
from warehouse.store.differences import Difference, Kind
from warehouse.store.digests import digests
from warehouse.store.ledger import GENESIS_HASH, ledger_hash
from warehouse.store.recorded import lineage_gaps
from warehouse.store.seals import (
    SEAL_COLUMNS,
    SEALED,
    SealKind,
    all_sealed,
    hash_of_seals,
    hash_of_tables,
    recomputed,
    sealed_by_table,
)
from warehouse.store.sessions import locked, looking, reading, writing
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.store.upgrade_steps import LATEST
from warehouse.store.write_ahead_log import enter_notes, log_of
from warehouse.tables.views import shipped_views

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outside:
    """What the house does not have: anchors of two releases, the public key; and the home they are of."""

    home: Home
    anchors: tuple[Anchor, Anchor]
    key: Path


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    folder = tmp_path_factory.mktemp("insider")
    home = Home(folder / "home")
    first, second = build(home, signed=True)
    key = folder / "public.pem"
    key.write_text(signing.public_pem(keys.needed(home, "signing", "test")))
    return Outside(home, (first.anchor, second.anchor), key)


@pytest.fixture
def home(outside: Outside, tmp_path: Path) -> Home:
    return Home(shutil.copytree(outside.home.root, tmp_path / "home"))


def found(home: Home, outside: Outside | None = None, *, anchored: bool = True, keyed: bool = True) -> list[Difference]:
    given = outside.anchors if outside and anchored else ()
    public = signing.public_key(outside.key) if outside and keyed else None
    return list(verify(home, given, public, partial(reconcile, archive=Archive(home.archive))).differences)


def view(name: str, *changes: tuple[str, str]) -> str:
    body = shipped_views()[name][1]
    for old, new in changes:
        assert old in body
        body = body.replace(old, new)
    return f"CREATE OR REPLACE VIEW {name} AS {body}"


def commented(name: str) -> str:
    return f"COMMENT ON VIEW {name} IS '{shipped_views()[name][0]}'"


def falsified_exports(home: Home) -> None:
    """The view falsified in warehouse and release, and everything published by it, as every later run would."""
    statements = [view("kpi_values", ("cell.value,", "cell.value * 1.1 AS value,")), commented("kpi_values")]
    with duckdb.connect(str(home.warehouse)) as con:
        for statement in statements:
            con.execute(statement)
    edit(home, *statements)
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        for name in EXPORTS:
            (home.release / name).unlink()
            export(con, name, home.release / name)
    renew(home)


def edited_export(name: str, old: str, new: str) -> Callable[[Home], None]:
    def attack(home: Home) -> None:
        text = (home.release / name).read_text()
        assert old in text
        overwrite(home.release / name, text.replace(old, new, 1))
        renew(home)

    return attack


def edited_parquet(home: Home) -> None:
    path = home.release / "kpi_values.parquet"
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS FROM read_parquet('{path}')")
        con.execute("UPDATE t SET reason_en = 'not our fault' WHERE value IS NULL")
        path.unlink()
        con.execute(f"COPY t TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    renew(home)


def replaced_file(home: Home, name: str, content: bytes | None) -> None:
    if content is None:
        (home.release / name).unlink()
    else:
        overwrite(home.release / name, content)


def receipt(home: Home) -> Path:
    return min(home.archive.glob("receipts/2*/*.json"))


def changed_receipt(home: Home, **what: object) -> None:
    path = receipt(home)
    overwrite(path, json.dumps(json.loads(path.read_text()) | what))


def foreign_receipt(home: Home) -> None:
    path, number = receipt(home), "20260101T000000.000000-0badf00d"
    overwrite(path.with_name(f"{number}.json"), json.dumps(json.loads(path.read_text()) | {"receipt_id": number}))


def foreign_bytes(home: Home) -> None:
    file = home.root / "other.csv"
    file.write_text("never delivered\n")
    Archive(home.archive).keep(file)
    file.unlink()


def damaged_bytes(home: Home) -> None:
    path = min(home.archive.glob("sha256/*/*.zst"))
    overwrite(path, path.read_bytes()[:-9] + b"x" * 9)


def other_home(home: Home) -> None:
    """The release of another home, whole and consistent in itself, signed by a key of its own."""
    other = Home(home.root.parent / "other")
    build(other, signed=True)
    shutil.rmtree(home.release)
    shutil.copytree(other.release, home.release)


def signed_by_another(home: Home) -> None:
    overwrite(
        home.release / MANIFEST, (home.release / MANIFEST).read_text().replace('"calculated": ', '"calculated": 1')
    )
    other = keys.Key.of("signing", b"x" * 32)
    manifest = json.loads((home.release / MANIFEST).read_text())
    hashes = manifest["sha256"] | {MANIFEST: file_sha256(home.release / MANIFEST)}
    overwrite(
        home.release / STATEMENT, signing.envelope(other, hashes, {k: v for k, v in manifest.items() if k != "sha256"})
    )


def statement_of_before(home: Home) -> None:
    """The signature is good, and of other files: what was signed is kept, the manifest is edited."""
    path = home.release / MANIFEST
    overwrite(path, path.read_text().replace('"broken_lineage": 0', '"broken_lineage": 7'))


def other_type(home: Home) -> None:
    path = home.release / STATEMENT
    envelope = json.loads(path.read_text())
    overwrite(path, json.dumps(envelope | {"payloadType": "application/json"}))


def rewritten(home: Home, *statements: str) -> None:
    """The perfect forgery: rows, seals, exports, ledger and manifest made to fit each other again, in warehouse and release."""
    for file in (home.warehouse, home.released_file):
        file.chmod(0o644)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            con.execute(statement)
        store = Store(con, home)
        for what, one in all_sealed(store.tables.values()).items():
            for first, rows, digest in list(recomputed(con, what, one)):
                con.execute(
                    "UPDATE audit.seal SET rows = ?, sha256 = ? WHERE what = ? AND first_seq = ?",
                    [rows, digest, what, first],
                )
        exports = {}
        for name in EXPORTS:
            (home.release / name).unlink()
            export(con, name, home.release / name)
            exports[name] = file_sha256(home.release / name)
        seals: dict[int, list[tuple[object, ...]]] = {}
        for seq, *row in con.execute(f"SELECT seq, {', '.join(SEAL_COLUMNS)} FROM audit.seal").fetchall():
            seals.setdefault(seq, []).append(tuple(row))
        manifest, sealed = json.loads((home.release / MANIFEST).read_text()), sealed_by_table(con)
        previous, heads = GENESIS_HASH, {}
        ledger = con.execute(
            "SELECT seq, recorded_at, kind, subject, run_id, detail FROM audit.ledger ORDER BY seq"
        ).fetchall()
        for seq, at, kind, subject, run_id, detail in ledger:
            entered = json.loads(detail)
            if kind == "sealed":
                entered["sha256"] = hash_of_seals(seals[seq])
            if seq == manifest["seq"]:
                entered |= {"exports": exports, "sealed": hash_of_tables(sealed)}
            text = json.dumps(entered, ensure_ascii=False, sort_keys=True)
            digest = ledger_hash(seq, at, kind, subject, run_id, text, previous)
            con.execute(
                "UPDATE audit.ledger SET detail = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                [text, previous, digest, seq],
            )
            previous = heads[seq] = digest
        con.execute("CHECKPOINT")
    shutil.copyfile(home.warehouse, home.released_file)
    with duckdb.connect(str(home.released_file)) as con:
        con.execute("DELETE FROM audit.ledger WHERE seq > ?", [manifest["seq"]])
        at = con.execute("SELECT recorded_at FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchall()[0][0]
    line = Anchor.of(manifest["seq"], heads[manifest["seq"]], at, file_sha256(home.released_file), None).line
    overwrite(home.release / anchors.FILE, line + "\n")
    renew(home, ledger_head=heads[manifest["seq"]], sealed=sealed)
    with duckdb.connect(str(home.warehouse)) as con:  # and the row of the manifest, the last one
        con.execute("SET TimeZone = 'UTC'")
        seq, at, kind, subject, run_id, detail, before = con.execute(
            "SELECT seq, recorded_at, kind, subject, run_id, detail, prev_hash FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchall()[0]  # fmt: skip
        entered = json.loads(detail)
        entered["sha256"][MANIFEST] = file_sha256(home.release / MANIFEST)
        text = json.dumps(entered, ensure_ascii=False, sort_keys=True)
        con.execute("UPDATE audit.ledger SET detail = ?, hash = ? WHERE seq = ?",
                    [text, ledger_hash(seq, at, kind, subject, run_id, text, before), seq])  # fmt: skip


def relinked(home: Home) -> None:
    """The link of one row to the one before it changed, and its own hash made to fit."""
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        query = "SELECT seq, recorded_at, kind, subject, run_id, detail FROM audit.ledger ORDER BY seq DESC LIMIT 1"
        ((seq, at, kind, subject, run_id, detail),) = con.execute(query).fetchall()
    digest = ledger_hash(seq, at, kind, subject, run_id, detail, GENESIS_HASH)
    edit(home, f"UPDATE audit.ledger SET prev_hash = '{GENESIS_HASH}', hash = '{digest}' WHERE seq = {seq}")


RAISED = "UPDATE kpi.value SET value = 100, numerator = denominator, value_low = 100, value_high = 100 WHERE kpi_code = 'MGT02-1' AND sample_size > 9"


def sealed_again(home: Home, *, as_upgrade: bool = False) -> None:
    """Values raised, and sealed over again by a ledger row of today: chain, seals and release are in order, and every anchored head is there."""
    home.warehouse.chmod(0o644)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(RAISED)
        store = Store(con, home)
        rows = [("values", first, first, *rest) for first, *rest in recomputed(con, "values", SEALED[SealKind.VALUES])]
        with store.transaction():
            step = {"number": LATEST, "resealed": ["values"]}
            by = store.record([("upgraded", f"schema {LATEST}", step)]) if as_upgrade else [store.last_seq]
            detail = {"sha256": hash_of_seals(rows), "resealed_by": by[0]}
            (seq,) = store.record([("sealed", f"{len(rows)} seals", detail)])
            store.insert("audit.seal", ["seq", *SEAL_COLUMNS], [(seq, *row) for row in rows])
    publish(home, Archive(home.archive).missing)


SHOWN = "SELECT 1 AS kpi_code, 2 AS kato, 3 AS period_id, 4 AS gap WHERE false"
# attack: (what is done, how it is named)
ATTACKS: dict[str, tuple[Callable[[Home], object], Kind]] = {
    "values of the view times 1.1": (
        lambda h: edit(h, view("kpi_values", ("cell.value,", "cell.value * 1.1 AS value,")), commented("kpi_values")), Kind.VIEW_CHANGED),
    "the same, and published by a later run": (falsified_exports, Kind.EXPORT_NOT_DERIVED),
    "the same, against what was released": (falsified_exports, Kind.EXPORT_NOT_RELEASED),
    "restricted values shown": (
        lambda h: edit(h, "CREATE OR REPLACE VIEW public_values AS FROM kpi_values", commented("public_values")), Kind.VIEW_CHANGED),
    "a place moved in the view of places": (
        lambda h: edit(h, view("scorecard", ("placed.rank,", "if(placed.kato = '710000000', 1, placed.rank) AS rank,")), commented("scorecard")),
        Kind.VIEW_CHANGED),
    "a comment in SQL that is none": (
        lambda h: edit(h, view("latest_values", ("value IS NOT NULL", "value IS NOT NULL /* as ever */ AND kato <> '710000000'")),
                       commented("latest_values")), Kind.VIEW_CHANGED),
    "gaps of lineage made blind": (lambda h: edit(h, f"CREATE OR REPLACE VIEW lineage_gaps AS {SHOWN}", commented("lineage_gaps")), Kind.VIEW_CHANGED),
    "columns of a view under each other's names": (
        lambda h: edit(h, view("latest_values", ("SELECT *", "SELECT * REPLACE (value_low AS value)")), commented("latest_values")),
        Kind.VIEW_CHANGED),
    "a table in place of a view": (
        lambda h: edit(h, "CREATE TABLE t AS FROM kpi_values", "DROP VIEW kpi_values", "ALTER TABLE t RENAME TO kpi_values"), Kind.OBJECT_REPLACED),
    "a view in place of a table": (
        lambda h: edit(h, "ALTER TABLE kpi.rollup RENAME TO kept", "CREATE VIEW kpi.rollup AS SELECT * FROM kpi.kept"), Kind.OBJECT_REPLACED),
    "values sealed over again": (sealed_again, Kind.SEAL),
    "values sealed over again, as if by an upgrade": (lambda h: sealed_again(h, as_upgrade=True), Kind.SEAL),
    "a view taken out": (lambda h: edit(h, "DROP VIEW incidents"), Kind.OBJECT_MISSING),
    "a schema planted": (lambda h: edit(h, "CREATE SCHEMA official"), Kind.OBJECT_PLANTED),
    "a table planted": (lambda h: edit(h, "CREATE TABLE kpi.values_final AS SELECT 1 AS a"), Kind.OBJECT_PLANTED),
    "a view planted": (lambda h: edit(h, "CREATE VIEW kpi_final AS SELECT * FROM kpi_values"), Kind.OBJECT_PLANTED),
    "a macro in place of a function": (lambda h: edit(h, "CREATE MACRO round(a, b) AS 42"), Kind.OBJECT_PLANTED),
    "a macro in place of DuckDB's own list of macros": (
        lambda h: edit(h, "CREATE MACRO duckdb_functions() AS TABLE SELECT '' AS function_name, true AS internal WHERE false",
                       "CREATE MACRO sum(a) AS 42"), Kind.OBJECT_PLANTED),
    "macros in place of DuckDB's lists of views and tables": (
        lambda h: edit(h, "CREATE MACRO duckdb_views() AS TABLE FROM system.main.duckdb_views()"), Kind.OBJECT_PLANTED),
    "a type planted": (lambda h: edit(h, "CREATE TYPE kpi.state AS ENUM ('good')"), Kind.OBJECT_PLANTED),
    "a sequence planted": (lambda h: edit(h, "CREATE SEQUENCE audit.numbers"), Kind.OBJECT_PLANTED),
    "an index planted": (lambda h: edit(h, "CREATE INDEX quick ON kpi.computation (kpi_code)"), Kind.OBJECT_PLANTED),
    "a column more": (lambda h: edit(h, "ALTER TABLE kpi.value ADD COLUMN official_value DOUBLE DEFAULT 100"), Kind.COLUMN_CHANGED),
    "a column of another type": (lambda h: edit(h, "ALTER TABLE kpi.computation ALTER as_of_seq TYPE INTEGER"), Kind.COLUMN_CHANGED),
    "a default": (lambda h: edit(h, "ALTER TABLE audit.incident ALTER closed_by SET DEFAULT 'nobody'"), Kind.COLUMN_CHANGED),
    "gaps allowed": (lambda h: edit(h, "ALTER TABLE audit.delivery ALTER sha256 DROP NOT NULL"), Kind.COLUMN_CHANGED),
    "a generated column": (
        lambda h: edit(h, "ALTER TABLE registry.sphere RENAME TO s", "CREATE TABLE registry.sphere (sphere VARCHAR NOT NULL, number INTEGER NOT NULL, "
                       "name_en VARCHAR NOT NULL, name_ru VARCHAR GENERATED ALWAYS AS (name_en), name_kk VARCHAR)", "DROP TABLE registry.s"),
        Kind.COLUMN_CHANGED),
    "columns in another order": (
        lambda h: edit(h, "CREATE TABLE kpi.c AS SELECT seq, kpi_code, as_of_seq FROM kpi.computation", "DROP TABLE kpi.computation",
                       "ALTER TABLE kpi.c RENAME TO computation"), Kind.COLUMN_CHANGED),
    "a check": (
        lambda h: edit(h, "CREATE TABLE kpi.c AS FROM kpi.computation", "DROP TABLE kpi.computation",
                       "CREATE TABLE kpi.computation (kpi_code VARCHAR NOT NULL, as_of_seq BIGINT NOT NULL, seq BIGINT NOT NULL, CHECK (seq >= 0))",
                       "INSERT INTO kpi.computation FROM kpi.c", "DROP TABLE kpi.c"), Kind.CONSTRAINT_CHANGED),
    "the description of a column": (lambda h: edit(h, "COMMENT ON COLUMN kpi.value.value IS 'Official, approved'"), Kind.COMMENT_CHANGED),
    "the description of a view's column": (lambda h: edit(h, "COMMENT ON COLUMN kpi_values.value IS 'in thousands'"), Kind.COMMENT_CHANGED),
    "the description of a table": (lambda h: edit(h, "COMMENT ON TABLE audit.rejected_row IS NULL"), Kind.COMMENT_CHANGED),
    "the description of a view": (lambda h: edit(h, "COMMENT ON VIEW refusals IS 'all accepted'"), Kind.COMMENT_CHANGED),
    "a sentence in Kazakh edited": (lambda h: edit(h, "UPDATE registry.message SET text_kk = 'бәрі жақсы'"), Kind.SENTENCE),
    "sentences taken out": (lambda h: edit(h, "DELETE FROM registry.message"), Kind.SENTENCE),
    "an export edited": (edited_export("kpi_values.csv", ",not calculable,", ",calculated,"), Kind.EXPORT_NOT_DERIVED),
    "roll-ups of the export edited": (edited_export("kpi_rollups.csv", "region,", "oblast,"), Kind.EXPORT_NOT_DERIVED),
    "places of the export edited": (edited_export("scorecard.csv", "710000000", "750000000"), Kind.EXPORT_NOT_DERIVED),
    "a passport edited": (edited_export("data_passport.csv", "VARCHAR", "DOUBLE"), Kind.EXPORT_NOT_DERIVED),
    "the method in a passport edited": (edited_export("case_passports.csv", "proposal", "official"), Kind.EXPORT_NOT_RELEASED),
    "Parquet edited": (edited_parquet, Kind.EXPORT_NOT_DERIVED),
    "an empty text in place of nothing in an export": (edited_export("kpi_values.csv", ",,", ',"",'), Kind.EXPORT_NOT_DERIVED),
    "counts of the manifest edited": (lambda h: renew(h, calculated=4000), Kind.MANIFEST_OTHERWISE),
    "the manifest of another moment": (lambda h: renew(h, seq=2), Kind.MANIFEST_OTHERWISE),
    "a manifest that is none": (lambda h: overwrite(h.release / MANIFEST, "{}"), Kind.MANIFEST_UNREADABLE),
    "a file put beside the release": (lambda h: overwrite(h.release / "kpi_values_corrected.csv", "a"), Kind.FILE_FOREIGN),
    "a file put beside the release and into its manifest": (
        lambda h: (overwrite(h.release / "official.csv", "a"),
                   overwrite(h.release / MANIFEST, (h.release / MANIFEST).read_text().replace(
                       '"sha256": {', '"sha256": {"official.csv": "' + file_sha256(h.release / "official.csv") + '", '))),
        Kind.SIGNATURE_OTHER_CONTENT),
    "the printed anchor edited": (
        lambda h: (overwrite(h.release / anchors.FILE, (h.release / anchors.FILE).read_text().replace("head ", "head 1")), renew(h)),
        Kind.MANIFEST_OTHERWISE),
    "the signature taken away": (lambda h: replaced_file(h, STATEMENT, None), Kind.SIGNATURE_MISSING),
    "a signature that is none": (lambda h: replaced_file(h, STATEMENT, b"[]"), Kind.SIGNATURE_UNREADABLE),
    "a signature under another type": (other_type, Kind.SIGNATURE_UNREADABLE),
    "edited and signed by another key": (signed_by_another, Kind.SIGNATURE_OTHER_KEY),
    "edited beside a good signature": (statement_of_before, Kind.SIGNATURE_OTHER_CONTENT),
    "a definition edited": (
        lambda h: edit(h, "UPDATE registry.kpi SET definition = replace(definition, 'closed_at <= due_at', 'closed_at < due_at')"), Kind.DEFINITION),
    "a definition that is none": (lambda h: edit(h, "UPDATE registry.kpi SET definition = '{}' WHERE kpi_code = 'MGT02-1'"), Kind.DEFINITION),
    "the name of a KPI edited": (lambda h: edit(h, "UPDATE registry.kpi SET name_ru = 'Иное'"), Kind.REGISTRY),
    "a source of a KPI taken out": (lambda h: edit(h, "DELETE FROM registry.kpi_source"), Kind.REGISTRY),
    "made to look like another version's": (lambda h: edit(h, "UPDATE registry.setting SET value = repeat('0', 64) WHERE name = 'schema'"), Kind.SETTING),
    "a delivery's hash edited": (lambda h: edit(h, "UPDATE audit.delivery SET sha256 = repeat('0', 64)"), Kind.DELIVERY),
    "a delivery taken out": (lambda h: edit(h, "DELETE FROM audit.delivery WHERE delivery_id = 2"), Kind.DELIVERY_GONE),
    "a check result turned": (lambda h: edit(h, "UPDATE audit.check_result SET passed = true WHERE NOT passed"), Kind.ROWS_CHANGED),
    "a check result of no delivery": (
        lambda h: edit(h, "INSERT INTO audit.check_result SELECT * REPLACE (99 AS delivery_id) FROM audit.check_result LIMIT 1"), Kind.ROWS_UNSEALED),
    "a rejected row of no delivery": (
        lambda h: edit(h, "INSERT INTO audit.rejected_row SELECT * REPLACE (99 AS delivery_id) FROM audit.rejected_row LIMIT 1"), Kind.ROWS_UNSEALED),
    "a score in no assessment": (
        lambda h: edit(h, "INSERT INTO kpi.assessment_score SELECT * REPLACE (99 AS assessment_id) FROM kpi.assessment_score LIMIT 1"),
        Kind.ROWS_UNSEALED),
    "an incident taken out": (lambda h: edit(h, "DELETE FROM audit.incident WHERE incident_id = 1"), Kind.ROWS_GONE),
    "who closed an incident edited": (lambda h: edit(h, "UPDATE audit.incident SET closed_by = 'the minister' WHERE incident_id = 1"), Kind.ROWS_CHANGED),
    "an open incident said to be somebody's": (
        lambda h: edit(h, "UPDATE audit.incident SET closed_by = 'settled', closing_reason = 'x' WHERE closed_seq IS NULL"), Kind.ROWS_UNSEALED),
    "nothing in place of an empty text": (lambda h: edit(h, "UPDATE showcase.fct_appeal SET category = '' WHERE category IS NULL"), Kind.ROWS_CHANGED),
    "a gap in place of false": (lambda h: edit(h, "UPDATE showcase.fct_appeal SET closed_at = NULL WHERE appeal_id = 'A2'"), Kind.ROWS_CHANGED),
    "seals taken out with their rows": (
        lambda h: edit(h, "DELETE FROM audit.seal WHERE what = 'incidents closed'", "UPDATE audit.incident SET closing_reason = 'x'"), Kind.SEAL),
    "values put in that no seal covers": (
        lambda h: edit(h, "INSERT INTO kpi.rollup SELECT * REPLACE (1 AS valid_from_seq) FROM kpi.rollup LIMIT 1"), Kind.ROWS_UNSEALED),
    "who ran it edited": (lambda h: edit(h, "UPDATE audit.ledger SET run_id = 'night shift'"), Kind.LEDGER_ROW),
    "a ledger row that follows another": (
        relinked, Kind.LEDGER_CHAIN),
    "a ledger row taken out": (lambda h: edit(h, "DELETE FROM audit.ledger WHERE seq = 5"), Kind.LEDGER_GAP),
    "the last ledger rows dropped": (
        lambda h: edit(h, "DELETE FROM audit.ledger WHERE seq > (SELECT max(seq) - 3 FROM audit.ledger)"), Kind.LEDGER_CUT),
    "a value and everything that proves it rewritten": (lambda h: rewritten(h, RAISED), Kind.LEDGER_REWRITTEN),
    "the release of another home": (other_home, Kind.LEDGER_REWRITTEN),
    "the release of another home, against the warehouse": (other_home, Kind.WAREHOUSE),
    "a log beside the release": (lambda h: overwrite(h.release / "qala.duckdb.wal", "log"), Kind.LOG_PLANTED),
    "an archived file replaced": (damaged_bytes, Kind.BYTES),
    "bytes put into the archive": (foreign_bytes, Kind.BYTES_FOREIGN),
    "a receipt taken away": (lambda h: receipt(h).unlink(), Kind.RECEIPT_GONE),
    "a receipt of other rows": (lambda h: changed_receipt(h, declared_rows=7), Kind.RECEIPT_CHANGED),
    "a receipt of another moment": (lambda h: changed_receipt(h, received_at="2020-01-01T00:00:00+00:00"), Kind.RECEIPT_CHANGED),
    "a receipt cut short": (lambda h: overwrite(receipt(h), receipt(h).read_text()[:20]), Kind.RECEIPT_CHANGED),
    "a receipt made up": (foreign_receipt, Kind.RECEIPT_FOREIGN),
}  # fmt: skip


def test_nothing_differs_where_nobody_was(outside: Outside) -> None:
    assert found(outside.home, outside) == []


def test_an_anchor_from_before_there_was_a_key_needs_no_signature(outside: Outside) -> None:
    """It is what whoever verifies kept themselves; one signed by another key is not."""
    given = tuple(replace(one, key="", signature="") for one in outside.anchors)
    assert found(outside.home, replace(outside, anchors=given)) == []  # type: ignore[arg-type]
    when = dt.datetime.fromisoformat(given[1].at)
    other = Anchor.of(given[1].seq, given[1].head, when, given[1].file, keys.Key.of("signing", b"x" * 32))
    kinds = {d.kind for d in found(outside.home, replace(outside, anchors=(given[0], other)))}
    assert kinds == {Kind.SIGNATURE_OTHER_KEY}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found_and_named(home: Home, outside: Outside, attack: str) -> None:
    act, kind = ATTACKS[attack]
    act(home)
    assert kind in {d.kind for d in found(home, outside)}


def test_every_kind_of_difference_is_found_somewhere() -> None:
    elsewhere = {
        Kind.FILE_MISSING, Kind.FILE_CHANGED, Kind.RELEASE_OTHER, Kind.VERSION, Kind.VALUE, Kind.BOUNDS, Kind.LINEAGE,
    }  # fmt: skip
    assert {kind for _, kind in ATTACKS.values()} | elsewhere == set(Kind)


def test_who_has_everything_can_forge_everything_but_what_is_outside(home: Home, outside: Outside) -> None:
    """Why anchors and keys exist: without either the forgery is perfect; each of them alone gives it away."""
    rewritten(home, RAISED)
    assert found(home) == []
    assert {d.kind for d in found(home, outside, keyed=False)} >= {Kind.LEDGER_REWRITTEN}
    assert {d.kind for d in found(home, outside, anchored=False)} >= {Kind.SIGNATURE_OTHER_CONTENT}


def test_what_is_read_follows_from_the_code_whatever_the_views_of_the_file_say(home: Home) -> None:
    with reading(home) as store:
        before = store.con.execute("SELECT kpi_code, kato, value FROM latest_values ORDER BY ALL").fetchall()
    edit(home, view("kpi_values", ("cell.value,", "cell.value * 1.1 AS value,")))
    with reading(home) as store:
        assert store.con.execute("SELECT kpi_code, kato, value FROM latest_values ORDER BY ALL").fetchall() == before
    assert any(value is not None for *_, value in before)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (view("kpi_values", ("cell.value,", "cell.value * 1.1 AS value,")), "another view kpi_values"),
        (f"CREATE OR REPLACE VIEW lineage_gaps AS {SHOWN}", "another view lineage_gaps"),
        ("DROP VIEW scorecard", "no view scorecard"),
        ("DROP VIEW incidents; CREATE TABLE incidents AS SELECT 1 AS a", "table incidents in place of a view"),
        ("CREATE SCHEMA planted", "schema planted"),
        ("CREATE TABLE kpi.official (a INTEGER)", "table kpi.official"),
        ("CREATE VIEW official AS FROM kpi_values", "view main.official"),
        ("CREATE MACRO duckdb_views() AS TABLE FROM system.main.duckdb_views()", "function main.duckdb_views"),
        ("CREATE SEQUENCE s", "sequence main.s"),
        ("CREATE TYPE t AS ENUM ('a')", "type main.t"),
        ("CREATE INDEX i ON kpi.value (kato)", "index kpi.i"),
    ],
)
def test_what_is_falsified_in_the_warehouse_is_not_published(home: Home, statement: str, named: str) -> None:
    before = {path.name: file_sha256(path) for path in home.release.iterdir()}
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute(statement)
    with pytest.raises(StoreError, match=f"not released, because .* holds what qala never made: .*{named}"):
        publish(home, Archive(home.archive).missing)
    assert {path.name: file_sha256(path) for path in home.release.iterdir()} == before


def test_blind_lineage_gaps_do_not_let_an_unsound_value_out(home: Home) -> None:
    """The release asks its own view; who could blind that of the file has blinded nothing."""
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("UPDATE kpi.value SET valid_from_seq = 1 WHERE value IS NOT NULL AND valid_to_seq IS NULL")
        con.execute(f"CREATE OR REPLACE VIEW lineage_gaps AS {SHOWN}")
        assert con.execute("FROM lineage_gaps").fetchall() == []
    with writing(home) as store:
        assert lineage_gaps(store)


# ---- a write-ahead log beside the warehouse


def log_left(home: Home, *statements: str) -> None:
    """Write to a home's warehouse and die before the log is put into the file."""
    code = f"""
import os, sys, duckdb
con = duckdb.connect(sys.argv[1])
con.execute("SET TimeZone = 'UTC'")
for statement in {statements!r}:
    con.execute(statement)
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(home.warehouse)], check=False)  # noqa: S603
    assert done.returncode == 9
    assert log_of(home.warehouse).stat().st_size > 0


def killed_in_a_run(home: Home) -> None:
    code = """
import os, sys
from pathlib import Path
from warehouse.home.home import Home; from warehouse.store.sessions import writing
with writing(Home(Path(sys.argv[1]))) as store:
    with store.transaction():
        store.record([("test", "before the kill", {})])
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(home.root)], check=False, cwd=ROOT)  # noqa: S603
    assert done.returncode == 9
    assert log_of(home.warehouse).stat().st_size > 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (RAISED, r"values, ledger row .*computed MGT02-1.*: changed since"),
        (view("kpi_values", ("cell.value,", "cell.value * 1.1 AS value,")), "another view kpi_values"),
        ("CREATE MACRO sum(a) AS 42", "function main.sum"),
        ("CREATE TABLE kpi.official (a INTEGER)", "table kpi.official"),
        ("DELETE FROM audit.ledger WHERE seq > 9", "ledger row [0-9]+ is no longer what it was"),
        ("DELETE FROM audit.incident", "incidents"),
        ("UPDATE audit.delivery SET sha256 = repeat('0', 64)", "what was received is recorded otherwise"),
        ("DROP SCHEMA audit CASCADE", "the ledger is gone"),
        ("UPDATE registry.settlement SET item7_group = 'district'", "registry.settlement is not what was entered"),
    ],
)
def test_a_planted_log_is_not_applied(home: Home, statement: str, said: str) -> None:
    log_left(home, statement)
    files = (home.warehouse, log_of(home.warehouse))
    before = [file_sha256(path) for path in files]
    for opening in (writing, looking):
        with pytest.raises(StoreError, match=f"no log that a run of qala left: with it, .*{said}"), opening(home):
            pass
        assert [file_sha256(path) for path in files] == before
    assert not list(home.scratch.iterdir())
    assert Kind.WAREHOUSE in {d.kind for d in found(home)}


def test_a_planted_log_that_is_none_changes_nothing(home: Home) -> None:
    with reading(home) as store:
        before = store.con.execute("FROM audit.ledger ORDER BY seq").fetchall()
    log_of(home.warehouse).write_bytes(b"not a log" * 100)  # DuckDB takes it for one that was cut at its first entry
    with writing(home) as store:
        assert store.con.execute("FROM audit.ledger ORDER BY seq").fetchall()[: len(before)] == before
    with writing(home) as store, store.transaction():
        enter_notes(store)
        assert store.con.execute("SELECT count(*) FROM audit.ledger WHERE kind = 'recovered'").fetchone() == (1,)
    log_of(home.warehouse).symlink_to(home.root / "appeals.csv")
    with pytest.raises(StoreError, match="is a link"), writing(home):
        pass


def test_a_log_without_a_warehouse_becomes_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    log_of(home.warehouse).write_bytes(b"log")
    with pytest.raises(StoreError, match="without a warehouse"), writing(home):
        pass
    assert not home.warehouse.exists()


def test_the_log_of_a_killed_run_goes_through_and_is_entered_with_the_next_release(home: Home) -> None:
    killed_in_a_run(home)
    digest, size = file_sha256(log_of(home.warehouse)), log_of(home.warehouse).stat().st_size
    with looking(home) as store:
        assert store.con.execute("SELECT kind FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchone() == ("test",)
    with writing(home) as store:
        assert store.con.execute("SELECT kind FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchone() == ("test",)
    publish(home, Archive(home.archive).missing)
    with reading(home) as store:
        rows = store.con.execute("SELECT detail FROM audit.ledger WHERE kind = 'recovered'").fetchall()
    entered = [json.loads(detail) for (detail,) in rows]
    assert [(one["bytes"], one["sha256"]) for one in entered] == [(size, digest)]
    publish(home, Archive(home.archive).missing)
    with reading(home) as store:
        assert store.con.execute("SELECT count(*) FROM audit.ledger WHERE kind = 'recovered'").fetchone() == (1,)


def test_a_log_beside_the_release_is_applied_by_nobody(home: Home) -> None:
    overwrite(log_of(home.released_file), b"log")
    with pytest.raises(StoreError, match="does not belong there"), reading(home):
        pass
    with pytest.raises(StoreError, match="does not belong there"):
        publish(home, Archive(home.archive).missing)


# ---- anchors


def test_two_anchors_tell_what_happened_between(outside: Outside) -> None:
    first, second = outside.anchors
    told = spans_between_anchors(outside.home, [second, first])
    assert [(one.first, one.last) for one in told] == [(first.seq, second.seq)]
    (one,) = told
    assert dict(one.entries["deliveries"]) == {"fct_appeal loaded": "1 deliveries, 42 rows accepted, 1 rejected"}
    assert dict(one.entries["ledger rows"])["released"] == f"1 rows, the last {second.seq}"
    assert set(dict(one.entries["values"])) == {"MGT02-1", "MGT02-2"}
    assert "incidents closed" in one.entries
    assert len(one.entries["assessments"]) == 3


def test_an_anchor_of_another_file_is_named(outside: Outside) -> None:
    for one in outside.anchors:
        other = replace(one, file="0" * 64)
        public = signing.public_key(outside.key)
        kinds = {d.kind for d in verify(outside.home, [other], public).differences}
        assert kinds == {Kind.RELEASE_OTHER, Kind.SIGNATURE_OTHER_KEY}


def test_an_anchor_is_read_as_it_was_printed_mailed_or_typed(outside: Outside, tmp_path: Path) -> None:
    first, second = outside.anchors
    file = tmp_path / "anchors.txt"
    file.write_text(f"{first.line}\n\n{second.line}\n")
    assert anchors.read(str(file)) == [first, second]
    assert anchors.read(first.line.replace(" ", "\t ").replace("\n", "")) == [first]
    assert anchors.read(f"{first.seq}:{first.head}") == [Anchor(first.seq, first.head)]
    for wrong in ("", "12", "12:abc", first.line[:-3] + "!", f"{first.line} and more", str(tmp_path / "none")):
        with pytest.raises(StoreError, match="anchor"):
            anchors.read(wrong)


def test_the_command_line_anchors_and_verifies(outside: Outside, tmp_path: Path) -> None:
    cli, home, file = CliRunner(), str(outside.home.root), tmp_path / "anchors.txt"
    key = tmp_path / "key.pem"
    assert cli.invoke(app, ["anchor", "--home", home, "--to", str(file), "--public-key", str(key)]).exit_code == 0
    assert file.read_text() == outside.anchors[1].line + "\n"
    assert key.read_text() == outside.key.read_text()
    done = cli.invoke(
        app,
        ["verify", "--home", home, "--head", str(file), "--head", outside.anchors[0].line, "--key", str(key), "--json"],
    )
    answer = json.loads(done.output)
    assert done.exit_code == 0, answer
    assert {one["number"]: one["held"] for one in answer["established"]} == dict.fromkeys(range(1, 14), True)
    assert answer["between"][0]["after"] == outside.anchors[0].seq
    assert cli.invoke(app, ["anchor", "--home", home]).output.strip() == outside.anchors[1].line
    other = tmp_path / "other.pem"
    other.write_text(signing.public_pem(keys.Key.of("signing", b"y" * 32)))
    done = cli.invoke(app, ["verify", "--home", home, "--key", str(other)])
    assert (done.exit_code, "signature-other-key" in done.output.replace("\n", "")) == (1, True)
    done = cli.invoke(app, ["verify", "--home", home, "--key", str(file)])
    assert (done.exit_code, "no Ed25519 public key" in done.output.replace("\n", " ")) == (1, True)


def test_a_public_key_is_read_as_pem_or_as_base64(outside: Outside, tmp_path: Path) -> None:
    public = signing.public_key(outside.key)
    bare = tmp_path / "key.txt"
    bare.write_bytes(base64.b64encode(public.public_bytes_raw()) + b"\n")
    assert signing.key_id(signing.public_key(bare)) == signing.key_id(public)


def test_what_is_signed_binds_the_type() -> None:
    """The example of the protocol: secure-systems-lab/dsse, protocol.md."""
    assert (
        signing.encoded("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    key = keys.Key.of("signing", b"z" * 32)
    public = signing.private_key(key).public_key()
    signature = signing.signature(key, "a", b"content")
    assert signing.signed_by(public, "a", b"content", signature)
    assert signing.signed_by(public, "a", b"content", signature.replace("+", "-").replace("/", "_"))
    assert not signing.signed_by(public, "b", b"content", signature)
    assert not signing.signed_by(public, "a", b"content ", signature)


def test_a_release_of_another_version_is_said_to_be_that(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "fingerprint", "f" * 64)
    found_now = verify(home)
    assert {d.kind for d in found_now.differences} == {Kind.VERSION}
    assert {6, 7} <= set(found_now.unchecked)


# ---- changes in the code that no test noticed once (each is a mutation that must be seen)


def test_gaps_count_in_a_seal() -> None:
    """A gap and what stands where there is none (0, an empty text, false) are two things, for every kind of column, and so is where it is."""
    with duckdb.connect() as con:

        def digest(rows: str) -> str:
            ((_, _, found),) = digests(con, f"SELECT 0 AS grp, * FROM (VALUES {rows}) t(n, v) ORDER BY n")
            return found

        for empty in (
            "0",
            "0.0::DOUBLE",
            "0.00::DECIMAL(38, 6)",
            "''",
            "false",
            "DATE '1970-01-01'",
            "TIMESTAMP '1970-01-01'",
        ):
            kind = f"CAST(NULL AS {con.execute(f'SELECT typeof({empty})').fetchall()[0][0]})"
            here, there, nowhere = (
                digest(f"(1, {a}), (2, {b}), (3, {empty})") for a, b in ((kind, empty), (empty, kind), (empty, empty))
            )
            assert len({here, there, nowhere}) == 3, empty


def test_what_is_sealed_tells_types_and_borders_apart() -> None:
    with duckdb.connect() as con:

        def digest(rows: str, names: str = "n, v") -> str:
            ((_, _, found),) = digests(con, f"SELECT 0 AS grp, * FROM (VALUES {rows}) t({names}) ORDER BY n")
            return found

        alike = ["(1, 'ab'), (2, 'c')", "(1, 'a'), (2, 'bc')", "(1, 'abc'), (2, '')", "(1, 'c'), (2, 'ab')"]
        assert len({digest(rows) for rows in alike}) == len(alike)
        zeros = ["0::BIGINT", "0::DOUBLE", "TIMESTAMP '1970-01-01'", "0::DECIMAL(38, 6)", "0::DECIMAL(38, 2)",
                 "DATE '1970-01-01'"]  # fmt: skip
        assert len({digest(f"(1, {zero})") for zero in zeros}) == len(zeros)
        assert digest("(1, 0)") != digest("(1, 0)", "n, w")
    seals = [("values", 1, 1, 3, "a"), ("values", 2, 2, 3, "b")]
    assert hash_of_seals(seals) == hash_of_seals(seals[::-1]) != hash_of_seals(seals[:1])


def test_what_came_after_the_release_is_not_called_foreign(home: Home) -> None:
    """Delivered and loaded, or waiting, and not yet published: the warehouse and its receipt know it."""
    archive, file = Archive(home.archive), home.root / "later.csv"
    for day, decided in ((7, True), (8, False)):
        file.write_text(ROWS.replace("2026-01-05", f"2026-01-0{day}"))
        with writing(home) as store:
            deliver(archive, DeclaredDelivery(file, "fct_appeal", SETTLEMENT, MONTH), store.tables, {})
            if decided:
                register_pending(store, archive)
                ingest_table(store, archive, store.tables["fct_appeal"], {})
    assert found(home) == []
    with locked(home):
        busy = verify(home, archive=partial(reconcile, archive=archive))
    assert busy.differences == ()
    assert {12, 13} <= set(busy.unchecked)


def test_a_signature_of_the_same_key_for_another_purpose_is_none(home: Home, outside: Outside) -> None:
    key = keys.needed(home, "signing", "test")
    path = home.release / STATEMENT
    envelope = json.loads(path.read_text())
    for kind, body in (
        ("application/json", base64.b64decode(envelope["payload"])),
        (
            signing.PAYLOAD,
            b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1", "subject": []}',
        ),
        (signing.PAYLOAD, b"no JSON"),
    ):
        signatures = [{"keyid": "", "sig": signing.signature(key, kind, body)}]
        content = {"payload": base64.b64encode(body).decode(), "payloadType": kind, "signatures": signatures}
        overwrite(path, json.dumps(content))
        with pytest.raises(signing.SignatureError):
            signing.opened_envelope(path.read_text(), signing.public_key(outside.key))


def test_every_part_of_a_ledger_row_counts_in_its_hash() -> None:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    row: dict[str, Any] = {
        "seq": 1,
        "at": at,
        "kind": "k",
        "subject": "s",
        "run_id": "r",
        "detail": "{}",
        "previous": GENESIS_HASH,
    }
    other = {
        "seq": 2,
        "at": at + dt.timedelta(microseconds=1),
        "kind": "l",
        "subject": "t",
        "run_id": None,
        "detail": "{ }",
        "previous": "1" * 64,
    }
    hashes = {ledger_hash(**row), *(ledger_hash(**row | {name: value}) for name, value in other.items())}
    assert len(hashes) == 1 + len(row)


def test_the_manifest_is_put_in_place_after_its_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the manifest finds the files it names: it comes last, its signature just before it."""
    put: list[str] = []
    replace_file = Path.replace

    def noted(self: Path, target: Path) -> Path:
        if Path(target).parent == home.release:
            put.append(Path(target).name)
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    publish(home, Archive(home.archive).missing)
    assert put[-2:] == [STATEMENT, MANIFEST]
    # exports that nothing changed are linked, and the file before last takes its turn under another name
    assert {"qala.duckdb", anchors.FILE} <= {*put[:-2]} <= {*EXPORTS, "qala.duckdb", ".qala.duckdb.new", anchors.FILE}


# ---- what docs/auditing.md shows with standard tools


def test_the_chain_is_checked_in_duckdb_alone_as_the_guide_says(home: Home) -> None:
    guide = (ROOT / "docs" / "auditing.md").read_text()
    statements = [s for s in guide.split("```")[1::2] if s.strip().startswith("SELECT count(*) FROM audit.ledger")]
    (both,) = statements
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        assert [con.execute(one).fetchall() for one in both.split(";") if one.strip()] == [[(0,)], [(0,)]]
    edit(
        home,
        "UPDATE audit.ledger SET run_id = 'x' WHERE seq = 2",
        "UPDATE audit.ledger SET prev_hash = '0' WHERE seq = 4",
    )
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        assert [con.execute(one).fetchall() for one in both.split(";") if one.strip()] == [[(2,)], [(1,)]]


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_the_signature_is_checked_by_openssl_as_the_guide_says(outside: Outside, tmp_path: Path) -> None:
    envelope = json.loads((outside.home.release / STATEMENT).read_text())
    body = base64.b64decode(envelope["payload"])
    (tmp_path / "signed").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(body), body))
    (tmp_path / "payload.sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    check = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(outside.key),
        "-rawin",
        "-in",
        "signed",
        "-sigfile",
        "payload.sig",
    ]
    assert subprocess.run(check, check=False, cwd=tmp_path, capture_output=True).returncode == 0  # noqa: S603
    (tmp_path / "signed").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json %d %b " % (len(body), body))
    assert subprocess.run(check, check=False, cwd=tmp_path, capture_output=True).returncode == 1  # noqa: S603
    command = ["openssl", "pkey", "-pubin", "-in", str(outside.key), "-outform", "DER"]
    der = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(der).hexdigest()
