"""Warehouses of older versions: `tests/schemas/1.zip` was written by the first version that had a schema (tables as DDL, rows as Parquet)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from tests.support.files import query
from tests.support.rows import LATER, only
from tests.support.working_tables import differing_columns
from warehouse.audit.reperform import reperform
from warehouse.audit.verify import verify
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.changed_values import VALUE_COLUMNS
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.rollup import ROLLUP_COLUMNS
from warehouse.messages.messages import rendered
from warehouse.release.release import publish
from warehouse.store import fitting, upgrade_steps
from warehouse.store.content import content
from warehouse.store.fitting import due
from warehouse.store.seals import SEALED, SealKind, enter_seals, of_table, seals_of_span
from warehouse.store.sessions import locked, looking, opened, writing
from warehouse.store.store import Store
from warehouse.store.upgrade import upgrade
from warehouse.tables.contracts import load_tables

FIRST = Path(__file__).parents[1] / "schemas" / "1.zip"
CATALOGUE = only(load_catalogues(), "MGT02-1", "MGT02-2")
HEADER = "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"


@pytest.fixture
def old(tmp_path: Path) -> Home:
    """A home of the first version: three months of appeals, a correction, a refusal, a closed incident, a frozen assessment."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    with zipfile.ZipFile(FIRST) as packed, duckdb.connect(str(home.warehouse)) as con:
        packed.extractall(tmp_path / "rows")
        con.execute("SET TimeZone = 'UTC'")
        con.execute((tmp_path / "rows" / "schema.sql").read_text())
        for file in sorted((tmp_path / "rows").glob("*.parquet")):
            con.execute(f"INSERT INTO {file.stem} SELECT * FROM '{file}'")
    return home


def ask(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        return con.execute(sql).fetchall()


def differences(home: Home) -> list[str]:
    publish(home, lambda _: [])
    return [f"{one.subject}: {one.message}" for one in verify(home).differences]


# what the first version had of them, in its order
TABLES = ("showcase.fct_appeal", "history.fct_appeal", "audit.delivery", "audit.rejected_row", "audit.check_result", "audit.incident", "kpi.value",
          "kpi.rollup", "kpi.computation", "kpi.assessment", "kpi.assessment_item", "kpi.assessment_score", "kpi.assessment_rank", "registry.kpi")  # fmt: skip


def renamed(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Column names as they are now."""
    now = {table: {former: name for name, former in names.items()} for table, names in upgrade_steps.FORMERLY.items()}
    return {table: [now.get(table, {}).get(c, c) for c in names] for table, names in columns.items()}


def rows(home: Home, columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: ask(home, f"SELECT {', '.join(names)} FROM {table} ORDER BY ALL") for table, names in columns.items()
    }


def test_every_value_is_what_it_was_and_every_seal_holds(old: Home) -> None:
    columns = {
        table: [
            name
            for (name,) in ask(
                old, f"SELECT column_name FROM duckdb_columns() WHERE schema_name || '.' || table_name = '{table}'"
            )
        ]
        for table in TABLES
    }
    before, bytes_before = rows(old, columns), old.warehouse.read_bytes()
    for table in TABLES:
        assert before[table], table
    told: list[str] = []
    assert [step.number for step in upgrade(old, told.append)] == [2, 3, 4, 5]
    assert rows(old, renamed(columns)) == before
    kept = old.warehouse.with_name("warehouse.duckdb.before-upgrade-2")
    assert kept.read_bytes() == bytes_before
    assert str(kept) in told[0]
    entered = ask(
        old, "SELECT subject, detail->>'$.number' FROM audit.ledger WHERE kind IN ('upgraded', 'schema') ORDER BY seq"
    )
    assert entered[1:] == [
        ("schema 2", "2"),
        ("schema 3", "3"),
        ("schema 4", "4"),
        ("schema 5", "5"),
        ("warehouse", "5"),
    ]
    assert differences(old) == []
    assert upgrade(old) == [], "nothing is due any more"


def test_working_tables_are_as_they_are_declared(old: Home) -> None:
    with opened(old, fit=False) as store, store.transaction():
        fitting.add_fixed_columns(store)
        for step in upgrade_steps.STEPS:
            for sql in step.before:
                store.con.execute(sql)
        assert differing_columns(store.con) == []


def test_what_nobody_wrote_down_then_is_not_made_up(old: Home) -> None:
    upgrade(old)
    assert set(ask(old, "SELECT kind, cut_by, order_seq = loaded_seq, reread_of FROM audit.delivery")) == {
        ("complete", "registered_at", True, None)
    }
    values = ask(old, "SELECT period_id, value = value_low AND value = value_high, rejected_rows, valid_to_seq IS NULL FROM kpi.value "
                      "WHERE kpi_code = 'MGT02-1' AND value IS NOT NULL ORDER BY ALL")  # fmt: skip
    # one of February's rows was rejected: who knows what it would have said
    assert values == [
        ("2025-01", True, 0, False),
        ("2025-01", True, 0, True),
        ("2025-02", None, 1, False),
        ("2025-02", None, 1, True),
    ]
    assert ask(
        old, "SELECT DISTINCT rejected_rows > 0, value_low IS NULL FROM kpi.rollup WHERE value IS NOT NULL ORDER BY 1"
    ) == [(False, False), (True, True)]
    assert ask(old, "SELECT count(*) FROM kpi.assessment_score WHERE level_low > level OR level_high < level") == [(0,)]


def test_the_next_run_goes_on(old: Home, tmp_path: Path) -> None:
    upgrade(old)
    ((head,),) = ask(old, "SELECT max(seq) FROM audit.ledger")
    archive, file = Archive(old.archive), tmp_path / "april.csv"

    def run(*months: str) -> None:
        with writing(old) as store:
            register_pending(store, archive)
            ingest_table(store, archive, store.tables["fct_appeal"], {}, months)
            compute(store, CATALOGUE, months, today=LATER)
            assess(store, CATALOGUE.lists[0], 2025)

    line = "{0}-{1},2025-{0:02}-05 10:00:00,2025-{0:02}-20 10:00:00,2025-{0:02}-06 10:00:00,2025-{0:02}-08 10:00:00,CLOSED,,,false\n"
    for month, count in (
        (4, 12),
        (1, 9),
    ):  # a new month; and a correction, which takes the place of rows the old version loaded
        file.write_text(HEADER + "".join(line.format(month, n) for n in range(count)))
        deliver(
            archive,
            DeclaredDelivery(file, "fct_appeal", "710000000", f"2025-{month:02}"),
            load_tables(),
            {},
        )
    run("2025-01", "2025-04")
    assert ask(old, "SELECT month(registered_at), count(*) FROM showcase.fct_appeal GROUP BY 1 ORDER BY 1") == [
        (1, 9),
        (2, 12),
        (4, 12),
    ]
    assert ask(old, f"SELECT count(*) FROM history.fct_appeal WHERE valid_to_seq > {head}") == [(4,)], (
        "three rows changed, one is gone; the others are the same"
    )
    assert differences(old) == []


def reworded(store: Store, table: str, keys: tuple[str, ...], columns: tuple[str, ...], since: int) -> int:
    """Rows that restate others which say the same but for the reason."""
    same = (f"new.{c} IS NOT DISTINCT FROM former.{c}" for c in columns if c != "reason")
    key = " AND ".join(f"new.{c} = former.{c}" for c in keys)
    sql = f"""SELECT count(*) FROM {table} AS new JOIN {table} AS former ON {key} AND new.valid_from_seq = former.valid_to_seq
WHERE new.valid_from_seq > {since} AND {" AND ".join(same)}"""
    return int(query(store, sql)[0][0])


def test_reasons_recorded_in_words_stay_while_they_say_the_same(old: Home) -> None:
    upgrade(old)
    plain = "FROM kpi.value WHERE kpi_code = 'MGT02-1' AND valid_to_seq IS NULL AND reason[1] NOT IN ('{', '[')"
    cells, rollups = (
        ("kpi_code", "kato", "period_id", "definition_hash"),
        ("kpi_code", "area_kind", "area", "period_id"),
    )
    months = ["2025-01", "2025-02", "2025-03"]
    with writing(old) as store:
        words, before = query(store, f"SELECT count(*) {plain}"), store.last_seq
        assert words[0][0] > 100
        report, other = compute(store, CATALOGUE, months, today=LATER)
        assert (report.cells, report.restated, other.restated) == (270, 1, 270), (
            "a lossy cell; and a definition that is another now"
        )
        assert query(store, f"SELECT count(*) {plain}") == words
        assert reworded(store, "kpi.value", cells, VALUE_COLUMNS, before) == 0
        assert reworded(store, "kpi.rollup", rollups, ROLLUP_COLUMNS, before) == 0
        found = [one for one in reperform(store, earlier=True).differences if one.column == "reason"]
        assert [one for one in found if rendered(one.again, "en") == one.published] == []
        # another reason than the one that stands there is a difference
        store.con.execute("UPDATE kpi.value SET reason = 'so be it' WHERE reason IS NOT NULL AND kpi_code = 'MGT02-1'")
        assert "reason" in {one.column for one in reperform(store).differences}
        report, _ = compute(store, CATALOGUE, months, today=LATER)
        assert report.restated >= words[0][0]
        assert query(store, f"SELECT count(*) {plain}") == [(0,)]


def test_it_is_refused_with_the_remedy_and_not_touched(old: Home) -> None:
    before = old.warehouse.read_bytes()
    with (
        pytest.raises(StoreError, match=r"older version of qala, and 4 steps are due .*run: qala upgrade"),
        writing(old),
    ):
        pass
    for command in (["run"], ["upgrade", "--check"]):
        result = CliRunner().invoke(app, [*command, "--home", str(old.root)])
        assert result.exit_code == 1
        assert "upgrade" in result.output or "4 steps are due" in result.output
    assert old.warehouse.read_bytes() == before


def test_a_row_edited_before_the_upgrade_is_still_found_after_it(old: Home) -> None:
    with duckdb.connect(str(old.warehouse)) as con:
        con.execute(
            "UPDATE kpi.value SET value = value + 1 WHERE kpi_code = 'MGT02-2' AND value IS NOT NULL AND valid_to_seq IS NULL"
        )
        con.execute(
            "UPDATE audit.delivery SET accepted_rows = accepted_rows + 1, received_rows = received_rows + 1 WHERE delivery_id = 1"
        )
    upgrade(old)
    found = differences(old)
    assert any(text.startswith("values: values, ledger row") for text in found)
    assert any(text.startswith("deliveries: deliveries decided, ledger row") for text in found)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_stopped_between_two_steps_it_goes_on_with_the_next(
    old: Home, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    def stop(text: str) -> None:
        if text.startswith(f"step {2 + after}"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(old, stop)
    with looking(old) as store:
        assert [step.number for step in due(store.con)] == [n for n in (2, 3, 4, 5) if n > 2 + after]
    assert [step.number for step in upgrade(old)] == [n for n in (2, 3, 4, 5) if n > 2 + after]
    assert differences(old) == []


def test_a_step_that_fails_leaves_nothing_behind(old: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    said = content(duckdb.connect(str(old.warehouse)))
    broken = replace(upgrade_steps.STEPS[1], before=("SELECT error('disk')",))
    monkeypatch.setattr("warehouse.store.fitting.STEPS", (broken,))
    with pytest.raises(
        StoreError, match=r"the upgrade stopped \(InvalidInputException: .*disk.*begin again: qala upgrade"
    ):
        upgrade(old)
    assert content(duckdb.connect(str(old.warehouse))) == said


@pytest.mark.parametrize("limit", [1_000_000, 9_000_000])
def test_without_room_it_stops_with_a_sentence_and_goes_on_when_there_is(old: Home, limit: int) -> None:
    code = (
        "import resource, sys; from pipelines.cli import app\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); app(sys.argv[2:])"
    )
    said = content(duckdb.connect(str(old.warehouse))).current["showcase.fct_appeal"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-B", "-c", code, str(limit), "upgrade", "--home", str(old.root)],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "the upgrade stopped" in done.stderr, done.stderr
    upgrade(old)  # steps that were committed before the disk was full are not taken again
    taken = "SELECT max(CAST(detail->>'$.number' AS INTEGER)) FROM audit.ledger WHERE kind = 'upgraded'"
    assert ask(old, taken) == [(5,)]
    assert content(duckdb.connect(str(old.warehouse))).current["showcase.fct_appeal"] == said
    assert differences(old) == []


def test_a_file_of_a_newer_version_is_left_alone(old: Home) -> None:
    upgrade(old)
    with writing(old) as store, store.transaction():
        store.record([("upgraded", "schema 99", {"number": 99})])
    with writing(old):  # of the same contracts: only its number tells
        pass
    with duckdb.connect(str(old.warehouse)) as con:
        con.execute("DELETE FROM registry.setting")
    with pytest.raises(StoreError, match="newer version of qala"), writing(old):
        pass


def test_columns_that_may_be_empty_come_by_themselves_and_change_no_seal(
    old: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(old)
    said = ask(old, "SELECT * FROM audit.rejected_row ORDER BY ALL")
    wanted = dict(fitting._WANTED)
    # in the middle, as a later version may describe it
    first, *rest = wanted["audit.rejected_row"].items()
    wanted["audit.rejected_row"] = dict([first, ("told_by", ("VARCHAR", True)), *rest])
    monkeypatch.setattr(fitting, "_WANTED", wanted)
    with duckdb.connect(str(old.warehouse)) as con:
        con.execute("DELETE FROM registry.setting WHERE name = 'schema'")
    with writing(old):
        pass
    assert ask(old, "SELECT * EXCLUDE (told_by) FROM audit.rejected_row ORDER BY ALL") == said
    assert [
        c
        for (c,) in ask(
            old, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'rejected_row' ORDER BY column_index"
        )
    ][1] == "told_by"
    wanted["audit.rejected_row"]["must"] = ("BIGINT", False)
    with duckdb.connect(str(old.warehouse)) as con:
        con.execute("DELETE FROM registry.setting WHERE name = 'schema'")
    with pytest.raises(StoreError, match=r"audit\.rejected_row .* has no must, which no row may lack"), writing(old):
        pass


@pytest.mark.slow
def test_a_million_rows_and_a_hundred_thousand_values(old: Home) -> None:
    """Beside what the old version wrote, as much more as it would have written and sealed."""
    received, decided = SEALED[SealKind.RECEIVED], SEALED[SealKind.DECIDED]
    sealed = {
        "deliveries received": replace(received, rows=received.rows.replace(", reread_of", "")),
        "deliveries decided": replace(
            decided, rows=decided.rows.replace(" unmapped,", "").replace(", kind, cut_by, order_seq", "")
        ),
        "values": SEALED[SealKind.VALUES],
        "showcase.fct_appeal": of_table("fct_appeal")["showcase.fct_appeal"],
    }
    declared = "{'sha256': sha256, 'table': table_name, 'system': system, 'scope': scope, 'period': period_id, 'file': file_name, 'bytes': bytes}"
    with locked(old), opened(old, fit=False) as store, store.transaction():
        detail = json.loads(query(store, f"SELECT to_json({declared}) FROM audit.delivery WHERE delivery_id = 1")[0][0])
        counted = {"received": 1_000_000, "accepted": 1_000_000, "rejected": 0, "delivery_id": 99}
        first, seq, computed = store.record(
            [("received", "big", detail), ("loaded", "big", counted), ("computed", "MGT02-1", {})]
        )
        store.con.execute(f"""
INSERT INTO audit.delivery SELECT * REPLACE (99 AS delivery_id, 'big' AS receipt_id, {first} AS registered_seq, {seq} AS loaded_seq,
    1000000 AS received_rows, 1000000 AS accepted_rows, 0 AS rejected_rows) FROM audit.delivery WHERE delivery_id = 1;
INSERT INTO showcase.fct_appeal SELECT s.* REPLACE ('m' || i AS appeal_id, 99 AS delivery_id, i AS row_no, {seq} AS valid_from_seq)
FROM (FROM showcase.fct_appeal LIMIT 1) s, range(1, 1000001) r(i);
INSERT INTO kpi.value SELECT s.* REPLACE ('2010-' || i AS period_id, DATE '2010-01-01' AS period_start, {computed} AS valid_from_seq)
FROM (FROM kpi.value WHERE value IS NOT NULL AND valid_to_seq IS NULL LIMIT 1) s, range(100000) r(i)""")
        enter_seals(store, list(seals_of_span(store.con, sealed, first, store.last_seq)))
    before = ask(
        old,
        "SELECT count(*), sum(hash(kpi_code, kato, period_id, value, state, reason, numerator, denominator)) FROM kpi.value",
    )
    upgrade(old)
    assert before[0][0] > 100_000
    assert (
        ask(
            old,
            "SELECT count(*), sum(hash(kpi_code, kato, period_id, value, state, reason, numerator, denominator)) FROM kpi.value",
        )
        == before
    )
    assert ask(old, "SELECT count(*) FROM showcase.fct_appeal WHERE delivery_id = 99") == [(1_000_000,)]
    assert differences(old) == []


def test_steps_are_numbered_in_order_and_say_what_is_not_as_today() -> None:
    numbers = [step.number for step in upgrade_steps.STEPS]
    assert numbers == list(range(2, 2 + len(numbers)))
    for step in upgrade_steps.STEPS:
        assert re.fullmatch(r"[a-z].{10,}", step.what)
        assert step.instead
