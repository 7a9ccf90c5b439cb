"""Evidence packs: checked as an auditor would, with sha256sum and DuckDB alone, in the pack's own folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery
from connectors.receiving.deliver import deliver as hand_over
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from tests.support.golden import CATALOGUE, FEW_FAST, Placed, stand_up
from tests.support.homes import new_home
from tests.support.packs import recompute
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ASTANA
from warehouse.audit.evidence import EvidenceError, write_pack
from warehouse.audit.evidence_readme import SHOW
from warehouse.audit.rows import find_value
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.store.store import Store

cli = CliRunner()
FACTS = "sha256sum", "--check", "--quiet", "SHA256SUMS"


def agrees(pack: Path) -> bool:
    found = recompute(pack)
    return bool(found["equal"] and found["ledger_intact"] and found["inputs_in_ledger"])


@pytest.mark.parametrize("case", FEW_FAST)
def test_every_kind_of_kpi_is_recomputed(store: Store, case: Placed, tmp_path: Path) -> None:
    stand_up(store, case)
    one = find_value(store, CATALOGUE, case.code, case.kato, case.period)
    pack = write_pack(store, one, tmp_path / "pack")
    found = recompute(pack.path)
    assert (found["equal"], found["ledger_intact"], found["inputs_in_ledger"]) == (True, True, True), found
    if one.answer["value"] is not None:
        assert f"value {one.answer['value']}," in found["computed"]
        _drop_rows(pack.path)
        assert recompute(pack.path)["equal"] is False


def _drop_rows(pack: Path) -> None:
    for path in pack.glob("rows/*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)


NASTY = [
    "", '"', "\\", '\\"', "\\u001f", "\n", "\r\n", "\t\b\f", "\x00", "\x01\x0b\x0e\x1f", "a\x1fb\"c\\d\n", "\x7f\x80\x9f", "Қала — ғылым",
    "\u2028\u2029", "\ufeff",
    "👩‍👩‍👧 e\u0301", "\ud7ff\ue000\uffff", "/</script>", "'", "{}[],:", '{"a": "b\\n\\"c\\""}', "%s %04x {}", *map(chr, range(32)),
]  # fmt: skip


def test_the_ledgers_hashes_are_those_of_python(store: Store, tmp_path: Path) -> None:
    """Whatever stands in a ledger row, DuckDB's text of it is Python's."""
    for run in (None, *NASTY):
        store.run_id = run
        with store.transaction():
            store.record([("note", text, {"text": text, text: run}) for text in NASTY])
    store.run_id = None
    deliver(store, "fct_appeal", Extract([{"due_at": "2026-01-10"}], "2026-01"))
    pack = write_pack(store, find_value(store, CATALOGUE, "MGT02-1", ASTANA, "2026-01/2026-02"), tmp_path / "pack").path
    assert recompute(pack)["ledger_intact"] is True
    # and raw text in place of JSON, as no row of ours has it
    table = pq.read_table(pack / "ledger.parquet").to_pylist()
    from warehouse.store.ledger import GENESIS_HASH, ledger_hash

    previous, rows = GENESIS_HASH, []
    for seq, text in enumerate([n * 2 + "x" for n in NASTY], 1):
        at = table[0]["recorded_at"]
        digest = ledger_hash(seq, at, text, text, text if seq % 2 else None, text, previous)
        rows.append((seq, at, text, text, text if seq % 2 else None, text, previous, digest))
        previous = digest
    names = ["seq", "recorded_at", "kind", "subject", "run_id", "detail", "prev_hash", "hash"]
    pq.write_table(pa.table([pa.array(list(c)) for c in zip(*rows, strict=True)], names=names), pack / "ledger.parquet")
    script = (pack / "recompute.sql").read_text(encoding="utf-8")
    head = json.loads(json.dumps(script.split("AS head_of_this_pack")[0].rsplit("'", 2)[1]))
    (pack / "recompute.sql").write_text(script.replace(head, f"{len(rows)}:{previous}"), encoding="utf-8", newline="\n")
    assert recompute(pack)["ledger_intact"] is True


HEADER = "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"
FILES: Mapping[str, tuple[str, str]] = {
    "fct_appeal": ("2026-01", HEADER
        + "A0,2026-01-05 08:00:00,soon,,,OPEN,,,false\nA99,2026-01-05 08:00:00,2026-01-11 12:00:00,,,WITHDRAWN,,,false\n"
        + "".join(f"A{n},2026-01-05 08:00:00,2026-01-10 12:00:00,,2026-01-{7 + n % 7:02} 12:00:00,CLOSED,roads,,false\n" for n in range(1, 31))),
    "fct_participation": ("2026-01", "vote_id,voted_at,consultation_id,participant_hash,is_verified\n"
        "V1,2026-01-05 08:00:00,C1,abcdef,true\nV2,2026-01-06 08:00:00,C1,abcdef,true\nV3,2026-01-06 08:00:00,C1,fedcba,true\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = new_home(tmp_path_factory.mktemp("evidence") / "home")
    archive = Archive(home.archive)
    with writing(home) as store:
        period, text = FILES["fct_appeal"]
        file = home.root / "Обращения за январь.csv"
        file.write_text(text, encoding="utf-8")
        hand_over(archive, DeclaredDelivery(file, "fct_appeal", ASTANA, period), store.tables, {})
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_appeal"], {})
        compute(store, only(load_catalogues(), "MGT02-1"), ["2026-01"], today=LATER)
    publish(home, lambda _: [])
    return home


def evidence(home: Home, target: Path, *words: str, period: str = "2026-01") -> tuple[int, str]:
    result = cli.invoke(
        app, ["evidence", "mgt02-1", "Astana", period, "--to", str(target), *words, "--home", str(home.root)]
    )
    return result.exit_code, result.output


@pytest.fixture
def pack(original: Home, tmp_path: Path) -> Path:
    code, output = evidence(original, tmp_path / "pack")
    assert code == 0, output
    return tmp_path / "pack"


def in_the_pack(pack: Path, *command: str) -> tuple[int, str]:
    done = subprocess.run(command, cwd=pack, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def test_the_two_commands_of_the_readme(pack: Path) -> None:
    text = (pack / "README.md").read_text(encoding="utf-8")
    assert text.count("sha256sum --check SHA256SUMS") == 2
    assert text.count(f'python -c "{SHOW}"') == 2
    assert in_the_pack(pack, "sha256sum", "--check", "SHA256SUMS")[0] == 0
    code, output = in_the_pack(pack, sys.executable, "-I", "-c", SHOW)
    assert code == 0, output
    assert "True, True, True)" in output
    assert output.count("value 60.0, 18.000000 / 30.000000, sample 30") == 2, output


def test_what_a_pack_holds(pack: Path, original: Home) -> None:
    names = sorted(p.relative_to(pack).as_posix() for p in pack.rglob("*") if p.is_file())
    assert names == ["README.md", "SHA256SUMS", "definition.json", "deliveries.json", "ledger.parquet", "recompute.sql", "rows/fct_appeal.parquet",
                     "value.json"]  # fmt: skip
    table = pq.read_table(pack / "rows" / "fct_appeal.parquet")
    assert table.column_names == ["delivery_id", "row_no", "valid_from_seq", "kato", "appeal_id", "due_at", "status", "closed_at", "in_numerator",
                                  "in_denominator", "in_sample"]  # fmt: skip
    flags = [
        (r["in_numerator"], r["in_denominator"], r["in_sample"]) for r in table.to_pylist() if r["appeal_id"] == "A99"
    ]
    assert flags == [(False, False, False)], "withdrawn: looked at and left out"
    (delivery,) = json.loads((pack / "deliveries.json").read_text(encoding="utf-8"))
    assert (delivery["file_name"], delivery["received_rows"], delivery["rejected_by_rule"]) == (
        "Обращения за январь.csv",
        32,
        {"due_at.type": 1},
    )
    assert delivery["owner"]
    assert {c["rule"] for c in delivery["checks"]} > {"rejected-share", "key.unique"}
    definition = json.loads((pack / "definition.json").read_text(encoding="utf-8"))
    assert definition["definition"]["code"] == "MGT02-1"
    assert (
        json.loads((pack / "value.json").read_text(encoding="utf-8"))["definition"]["hash"] == definition["fingerprint"]
    )
    head = json.loads((original.release / "release.json").read_text())
    assert f"{head['seq']}:{head['ledger_head']}" in (pack / "README.md").read_text(encoding="utf-8")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _edit(path: Path, sql: str) -> None:
    """Write a Parquet file anew from `sql` over `t`."""
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS FROM '{path}'; {sql}; COPY (FROM t) TO '{path}' (FORMAT parquet)")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# what: (the attack, the answer of recompute.sql that says so; None: the checksums alone do)
ATTACKS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "a row of the numerator taken out": (lambda p: _edit(p / "rows/fct_appeal.parquet", "DELETE FROM t WHERE appeal_id = 'A1'"), "equal"),
    "a row put in": (lambda p: _edit(p / "rows/fct_appeal.parquet", "INSERT INTO t FROM t WHERE appeal_id = 'A1'"), "equal"),
    "a late case made timely": (
        lambda p: _edit(p / "rows/fct_appeal.parquet", "UPDATE t SET closed_at = due_at WHERE appeal_id = 'A6'"), "equal"),
    "a withdrawn case made open": (lambda p: _edit(p / "rows/fct_appeal.parquet", "UPDATE t SET status = 'OPEN'"), "equal"),
    "a row changed without effect": (
        lambda p: _edit(p / "rows/fct_appeal.parquet", "UPDATE t SET closed_at = closed_at - INTERVAL 1 SECOND WHERE appeal_id = 'A1'"), None),
    "the recorded value": (lambda p: _replace(p / "recompute.sql", "CAST(60.0 AS DOUBLE)", "CAST(90.0 AS DOUBLE)"), "equal"),
    "the recorded sample": (lambda p: _replace(p / "recompute.sql", "CAST(30 AS BIGINT)", "CAST(31 AS BIGINT)"), "equal"),
    "the definition's SQL": (lambda p: _replace(p / "recompute.sql", "t.closed_at <= t.due_at", "t.closed_at < t.due_at + INTERVAL 9 DAY"), "equal"),
    "a ledger row edited": (lambda p: _edit(p / "ledger.parquet", "UPDATE t SET detail = '{}' WHERE seq = 2"), "ledger_intact"),
    "a ledger row moved in time": (
        lambda p: _edit(p / "ledger.parquet", "UPDATE t SET recorded_at = recorded_at - INTERVAL 1 MICROSECOND WHERE seq = 2"), "ledger_intact"),
    "a ledger row taken out": (lambda p: _edit(p / "ledger.parquet", "DELETE FROM t WHERE seq = 2"), "ledger_intact"),
    "the last ledger row dropped": (lambda p: _edit(p / "ledger.parquet", "DELETE FROM t WHERE seq = (SELECT max(seq) FROM t)"), "ledger_intact"),
    "the ledger emptied": (lambda p: _edit(p / "ledger.parquet", "DELETE FROM t"), "ledger_intact"),
    "a run put in": (lambda p: _edit(p / "ledger.parquet", "UPDATE t SET run_id = '' WHERE seq = 1"), "ledger_intact"),
    "another file's hash": (lambda p: _replace(p / "deliveries.json", '"sha256": "', '"sha256": "0'), "inputs_in_ledger"),
    "another definition's fingerprint": (lambda p: _replace(p / "definition.json", '"fingerprint": "', '"fingerprint": "0'), "inputs_in_ledger"),
    "the readme": (lambda p: _replace(p / "README.md", "60.0", "90.0"), None),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
def test_a_changed_pack_is_found(pack: Path, what: str) -> None:
    attack, answer = ATTACKS[what]
    attack(pack)
    assert in_the_pack(pack, *FACTS)[0] == 1
    found = recompute(pack)
    failed = [name for name in ("equal", "ledger_intact", "inputs_in_ledger") if found[name] is not True]
    assert answer in failed if answer else not failed


@pytest.mark.parametrize("name", ["rows/fct_appeal.parquet", "ledger.parquet", "value.json"])
def test_a_changed_byte_is_found(pack: Path, name: str) -> None:
    _flip(pack / name)
    code, output = in_the_pack(pack, *FACTS)
    assert (code, name in output) == (1, True)


def test_the_same_release_gives_the_same_bytes(original: Home, tmp_path: Path) -> None:
    for name in ("a", "b", "a.zip", "b.zip"):
        assert evidence(original, tmp_path / name, "--files")[0] == 0
    assert (tmp_path / "a" / "SHA256SUMS").read_bytes() == (tmp_path / "b" / "SHA256SUMS").read_bytes()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as bundle:
        bundle.extractall(tmp_path / "c")
    assert (tmp_path / "c" / "SHA256SUMS").read_bytes() == (tmp_path / "a" / "SHA256SUMS").read_bytes()
    assert in_the_pack(tmp_path / "c", *FACTS)[0] == 0
    assert agrees(tmp_path / "c")
    (file,) = (tmp_path / "c" / "files").iterdir()
    assert file.read_text(encoding="utf-8") == FILES["fct_appeal"][1]
    assert file.name.endswith("_Обращения_за_январь.csv")


def test_only_a_pack_is_overwritten(original: Home, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    target.mkdir()
    assert evidence(original, target)[0] == 0, "an empty folder may be filled"
    assert evidence(original, target, "--files")[0] == 0, "a pack may be made anew"
    (target / "notes.txt").write_text("mine")
    code, output = evidence(original, target)
    assert (code, "is not an evidence pack" in output) == (1, True)
    assert (target / "notes.txt").read_text() == "mine"
    for name, content in (("other", None), ("other.zip", b"mine"), ("file", b"mine")):
        place = tmp_path / name
        if content is None:
            place.mkdir()
            (place / "x").write_text("mine")
        else:
            place.write_bytes(content)
        assert evidence(original, place)[0] == 1
        assert (place / "x").read_text() == "mine" if content is None else place.read_bytes() == content


def test_a_pack_is_whole_or_not_there(original: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(original.root, home.root)
    target = tmp_path / "packs" / "one"
    assert evidence(home, target)[0] == 0
    before = (target / "SHA256SUMS").read_bytes()
    (content,) = home.archive.glob("sha256/*/*.zst")
    content.unlink()
    code, output = evidence(home, target, "--files")
    assert (code, "archive has no content" in output) == (1, True)
    assert [p.name for p in target.parent.iterdir()] == ["one"], "nothing half made is left"
    assert (target / "SHA256SUMS").read_bytes() == before


def test_other_bytes_in_the_archive_are_not_handed_on(original: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(original.root, home.root)
    other = tmp_path / "x.csv"
    other.write_text("other")
    receipt = Archive(tmp_path / "other").receive(
        other, table="fct_appeal", system="standard", scope=ASTANA, period="2026-01"
    )
    (content,) = home.archive.glob("sha256/*/*.zst")
    content.chmod(0o644)
    shutil.copyfile(Archive(tmp_path / "other").path(receipt.sha256), content)
    code, output = evidence(home, tmp_path / "pack", "--files")
    assert (code, "holds other bytes" in output) == (1, True)
    assert not (tmp_path / "pack").exists()


def test_a_period_without_a_published_value(original: Home, tmp_path: Path) -> None:
    assert evidence(original, tmp_path / "pack", period="2026-01/2026-03")[0] == 0
    assert agrees(tmp_path / "pack")
    assert "not published" in (tmp_path / "pack" / "README.md").read_text(encoding="utf-8")


def test_columns_that_need_care_are_named(store: Store, tmp_path: Path) -> None:
    """Of personal columns only those that the definition reads are in a pack, and the README says which."""
    deliver(store, "fct_participation", Extract([
        {"vote_id": "V1", "voted_at": "2026-01-05", "participant_hash": "abc", "is_verified": True}], "2026"))  # fmt: skip
    deliver(store, "fct_kindergarten_application", Extract([
        {"application_id": "K1", "applied_at": "2026-01-05", "placed_at": "2026-01-09", "child_hash": "secret"}], "2026-01"))  # fmt: skip
    pack = write_pack(store, find_value(store, CATALOGUE, "MGT04-2", ASTANA, "2026"), tmp_path / "votes").path
    assert "- personal: `fct_participation.participant_hash`" in (pack / "README.md").read_text(encoding="utf-8")
    pack = write_pack(store, find_value(store, CATALOGUE, "SOC01-1", ASTANA, "2026-01"), tmp_path / "places").path
    assert "child_hash" not in pq.read_table(pack / "rows" / "fct_kindergarten_application.parquet").column_names
    assert b"secret" not in b"".join(p.read_bytes() for p in pack.rglob("*") if p.is_file())


def test_a_target_that_is_no_pack_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    deliver(store, "fct_appeal", Extract([{"due_at": "2026-01-10"}], "2026-01"))
    with pytest.raises(EvidenceError, match="not an evidence pack"):
        write_pack(store, find_value(store, CATALOGUE, "MGT02-1", ASTANA, "2026-01"), tmp_path)
