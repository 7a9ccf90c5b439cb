"""A small simulated year through the real job, and everything a user then asks."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.mapping.contract_checks import STANDARD
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.simulator.generate import NOTES, Extract, simulate
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.model import Grain
from pipelines.cli import app
from pipelines.run import run_months
from warehouse.audit.cell_deliveries import find_cell_deliveries
from warehouse.audit.explain import explain
from warehouse.home import keys
from warehouse.home.home import Home
from warehouse.isolation import worker
from warehouse.periods import month_ranges, parse_period
from warehouse.release.exports import EXPORTS
from warehouse.release.release import publish
from warehouse.store.sessions import reading, writing
from warehouse.tables.contracts import load_tables
from warehouse.tables.settlements import territory

CITIES = ("710000000", "551010000")  # Astana, whose appeals come as system ikomek109, and Pavlodar
MONTHS = parse_period("2025-S1").months
cli = CliRunner()


def ask(home: Home, *words: str) -> str:
    """Run `qala` in this process; fails if it does."""
    result = cli.invoke(app, [*words, "--home", str(home.root)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, list[Extract]]:
    """A home after half a year was run, and after a corrected extract was run; the extracts delivered."""
    home = Home(tmp_path_factory.mktemp("year") / "home")
    tables = load_tables()
    keys.make(home, "archive")
    archive, sources = Archive(home.archive), load_source_contracts(home, tables)
    extracts = [e for e in simulate(tables, home.root / "extracts", settlements=CITIES, scale=0.05)
                if parse_period(e.period).closing_month in MONTHS]  # fmt: skip
    late = [e for e in extracts if e.note == NOTES["corrected"]]
    assert late, "the simulator made no correction"
    for extract in extracts:
        if extract not in late:
            take(archive, extract, tables, sources)
    said: list[str] = []
    results = run_months(home, MONTHS, said.append)
    assert [r.failures for r in results] == [()]
    for extract in late:
        take(archive, extract, tables, sources)
    assert all(r.success for r in run_months(home, parse_period(late[0].period).months, said.append))
    assert any("rows accepted" in text for text in said)
    return home, extracts


def take(archive: Archive, extract: Extract, tables: dict, sources: dict) -> None:  # type: ignore[type-arg]
    declared = DeclaredDelivery(extract.path, extract.table, extract.scope, extract.period, extract.system or STANDARD)
    deliver(archive, declared, tables, sources)


@pytest.fixture
def released(year: tuple[Home, list[Extract]]) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(str(year[0].released_file), read_only=True)
    yield con
    con.close()


def one(con: duckdb.DuckDBPyConnection, sql: str) -> object:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row[0]


def test_every_delivery_is_decided_and_every_row_accounted_for(
    released: duckdb.DuckDBPyConnection, year: tuple[Home, list[Extract]]
) -> None:
    home, extracts = year
    assert one(released, "SELECT count(*) FROM audit.delivery") == len(extracts)
    assert one(released, "SELECT count(*) FROM audit.delivery WHERE state = 'received'") == 0
    assert (
        one(released, "SELECT count(*) FROM audit.delivery WHERE accepted_rows + rejected_rows <> received_rows") == 0
    )
    assert Archive(home.archive).pending() == []
    # what the file has is what was received, for all that could be read
    written = {(e.table, territory(e.scope), e.period, e.path.name): e.rows for e in extracts}
    for table, scope, period, name, rows in released.execute(
        "SELECT table_name, scope, period_id, file_name, received_rows FROM audit.delivery WHERE state = 'loaded'"
    ).fetchall():
        assert written[table, scope, period, name] == rows


def test_rejected_rows_of_loaded_deliveries_are_kept_with_rule_and_text(released: duckdb.DuckDBPyConnection) -> None:
    assert one(released, """SELECT count(*) FROM audit.delivery d WHERE state = 'loaded'
        AND rejected_rows <> (SELECT count(*) FROM audit.rejected_row r WHERE r.delivery_id = d.delivery_id AND column_name IS NULL)""") == 0  # fmt: skip
    for sort in ("column_name IS NULL", "column_name IS NOT NULL", "rule = 'key.duplicate'"):  # rows, cells, duplicates
        assert one(released, f"SELECT count(*) FROM audit.rejected_row WHERE {sort}") > 0  # type: ignore[operator]
    assert one(released, "SELECT count(*) FROM audit.rejected_row WHERE raw IS NULL OR rule IS NULL OR row_no < 1") == 0


def test_the_refused_delivery_says_why_and_the_others_went_on(released: duckdb.DuckDBPyConnection) -> None:
    refused = released.execute("SELECT table_name, reason_en FROM refusals").fetchall()
    assert [t for t, _ in refused] == ["fct_trip"]
    assert "actual_departure_at" in refused[0][1]
    assert "deliver it" in refused[0][1]
    month = one(released, "SELECT period_id FROM refusals")
    states = dict(
        released.execute(
            f"SELECT kato, obs_status FROM kpi_values WHERE kpi_code = 'TRL02-2' AND period_id = '{month}'"
        ).fetchall()
    )
    assert sorted(states[k] for k in CITIES) == ["A", "O"]


def test_every_value_that_is_missing_has_its_reason(released: duckdb.DuckDBPyConnection) -> None:
    assert one(released, "SELECT count(*) FROM kpi_values WHERE value IS NULL AND reason_en IS NULL") == 0
    assert one(released, "SELECT count(*) FROM kpi_values WHERE value IS NOT NULL") > 40  # type: ignore[operator]
    calculated = {
        code
        for (code,) in released.execute("SELECT DISTINCT kpi_code FROM kpi_values WHERE value IS NOT NULL").fetchall()
    }
    catalogue = load_catalogues()
    # yearly ones are not due in half a year; a quarter without any test of the warning system has nothing to count
    due = {code for code in catalogue.codes if catalogue.latest(code).period is not Grain.YEAR} - {"SAF03-1"}
    assert calculated - {"SAF03-1"} == due


def test_the_correction_restated_its_month(released: duckdb.DuckDBPyConnection) -> None:
    former = released.execute(
        "SELECT kpi_code, kato, period_id, valid_to_seq FROM kpi.value WHERE valid_to_seq IS NOT NULL"
    ).fetchall()
    assert {("MGT02-1", "551010000", "2025-03")} <= {row[:3] for row in former}
    assert {kato for _, kato, _, _ in former} == {"551010000"}, "only the corrected city's cells are touched"
    assert (
        one(
            released,
            "SELECT max(n) FROM (SELECT count(*) AS n FROM kpi.value WHERE valid_to_seq IS NULL GROUP BY kpi_code, kato, period_id)",
        )
        == 1
    )
    assert one(released, "SELECT count(*) FROM history.fct_appeal") > 0  # type: ignore[operator]


def test_every_current_row_leads_to_a_loaded_delivery_and_its_archived_bytes(
    released: duckdb.DuckDBPyConnection, year: tuple[Home, list[Extract]]
) -> None:
    for table in load_tables():
        for place in ("showcase", "history"):
            assert one(released, f"""SELECT count(*) FROM {place}.{table} ANTI JOIN
                (SELECT delivery_id FROM audit.delivery WHERE state = 'loaded') USING (delivery_id)""") == 0  # fmt: skip
    archive, tables = Archive(year[0].archive), load_tables()
    delivered = released.execute("SELECT DISTINCT sha256, table_name FROM audit.delivery").fetchall()
    for sha256, table in delivered:
        with archive.open(sha256) as stream:
            assert stream.read(1)
        assert archive.encrypted(sha256) is any(c.classification == "personal" for c in tables[table].columns)
    assert 0 < sum(archive.encrypted(sha256) for sha256, _ in delivered) < len(delivered)


def test_the_ledger_has_no_gaps(released: duckdb.DuckDBPyConnection) -> None:
    assert one(released, "SELECT max(seq) - min(seq) + 1 - count(*) FROM audit.ledger") == 0
    assert one(released, "SELECT count(*) - count(DISTINCT seq) FROM audit.ledger") == 0


def test_every_table_and_column_of_the_release_is_described(released: duckdb.DuckDBPyConnection) -> None:
    assert (
        released.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE comment IS NULL").fetchall() == []
    )
    assert (
        released.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name <> 'main' AND NOT internal AND comment IS NULL"
        ).fetchall()
        == []
    )
    assert (
        released.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' AND comment IS NULL"
        ).fetchall()
        == []
    )


def test_registries(released: duckdb.DuckDBPyConnection) -> None:
    groups = dict(released.execute("SELECT item7_group, count(*) FROM registry.settlement GROUP BY 1").fetchall())
    assert groups == {"republican": 3, "regional": 39, "district": 48}
    assert (
        one(
            released,
            "SELECT count(*) FROM registry.settlement WHERE length(kato) <> 9 OR kato2 <> kato[:2] OR length(kato4) <> 4 OR length(kato6) <> 6",
        )
        == 0
    )
    assert one(released, "SELECT count(*) FROM registry.region") == 20
    assert (
        one(
            released,
            "SELECT count(*) FROM registry.settlement ANTI JOIN registry.region ON region_kato = registry.region.kato",
        )
        == 0
    )
    assert one(released, "SELECT count(*) FROM registry.sphere") == 8
    assert one(released, "SELECT count(*) FROM registry.initiative") == len(load_catalogues().lists[0].initiatives)
    assert one(released, "SELECT string_agg(initiative) FROM registry.initiative WHERE named_in_order") == "MGT01"
    assert one(released, "SELECT count(*) FROM registry.period WHERE period_end <= period_start") == 0


def test_release_files_agree_and_are_read_only(year: tuple[Home, list[Extract]]) -> None:
    folder = year[0].release
    assert {p.name for p in folder.iterdir()} == {*EXPORTS, "qala.duckdb", "release.json", "ANCHOR.txt"}
    counts = duckdb.execute(
        f"SELECT (SELECT count(*) FROM '{folder}/kpi_values.parquet'), (SELECT count(*) FROM '{folder}/kpi_values.csv')"
    ).fetchone()
    manifest = json.loads((folder / "release.json").read_text())
    assert counts == (manifest["values"], manifest["values"])
    assert all(not p.stat().st_mode & 0o222 for p in folder.iterdir())


def test_a_release_replaces_the_old_one_under_open_readers(year: tuple[Home, list[Extract]], tmp_path: Path) -> None:
    home = Home(tmp_path / "copy")
    home.root.mkdir()
    shutil.copyfile(year[0].warehouse, home.warehouse)
    first = publish(home, Archive(home.archive).missing)
    reader = duckdb.connect(str(home.released_file), read_only=True)
    with writing(home) as store:  # reading the release works while the warehouse is open for writing
        assert store.last_seq == first.seq + 1  # the row of its manifest
        assert one(reader, "SELECT max(seq) FROM audit.ledger") == first.seq
    second = publish(home, Archive(home.archive).missing)
    assert one(reader, "SELECT max(seq) FROM audit.ledger") == first.seq
    reader.close()
    with reading(home) as now:
        assert now.last_seq == second.seq == first.seq + 2


def test_kpis_do_not_change_when_the_archive_is_garbled_and_then_deleted(
    year: tuple[Home, list[Extract]], tmp_path: Path
) -> None:
    """Item 12(4): values come from the warehouse alone."""
    home = Home(tmp_path / "copy")
    home.root.mkdir()
    shutil.copyfile(year[0].warehouse, home.warehouse)
    shutil.copytree(year[0].archive, home.archive)
    columns = (
        "kpi_code, kato, period_id, value, numerator, denominator, sample_size, obs_status, state, reason_en, coverage"
    )
    rolled = "kpi_code, area_kind, area, period_id, value, numerator, denominator, sample_size, counted, applicable, state, reason_en"
    queries = [f"SELECT {columns} FROM kpi_values ORDER BY ALL", f"SELECT {rolled} FROM rollups ORDER BY ALL"]

    def recomputed() -> list[list[tuple[object, ...]]]:
        """What a release shows after every value was thrown away and computed again, in the process that computes in a run."""
        with writing(home) as store:
            for table in ("value", "computation", "rollup"):
                store.con.execute(f"DELETE FROM kpi.{table}")
        worker.call("warehouse.kpi_values.compute:compute_home", home, None, MONTHS, None)
        publish(home, Archive(home.archive).missing)
        with reading(home) as store:
            return [store.con.execute(query).fetchall() for query in queries]

    with reading(year[0]) as store:
        published = [store.con.execute(query).fetchall() for query in queries]
    assert all(published)
    for path in home.archive.rglob("*.zst*"):
        path.chmod(0o644)
        path.write_bytes(b"garbage" + path.read_bytes()[7:])
    assert recomputed() == published
    shutil.rmtree(home.archive)
    assert recomputed() == published
    public = [(home.release / name).read_bytes() for name in EXPORTS]
    publish(home, Archive(home.archive).missing)
    assert [(home.release / name).read_bytes() for name in EXPORTS] == public


def test_status(year: tuple[Home, list[Extract]]) -> None:
    answer = json.loads(ask(year[0], "status", "--json"))
    assert answer["latest_period"] == "2025-06"
    assert answer["waiting"] == 0
    assert answer["deliveries"]["loaded"] > 50
    assert answer["deliveries"]["refused"] == 1
    assert answer["values"]["calculated"] > 40
    assert answer["rows"]["received"] == answer["rows"]["accepted"] + answer["rows"]["rejected"]
    assert "latest period with values  2025-06" in ask(year[0], "status")


def test_explain_a_restated_number(year: tuple[Home, list[Extract]]) -> None:
    home = year[0]
    answer = json.loads(ask(home, "explain", "MGT02-1", "Pavlodar", "2025-03", "--json"))
    assert answer["state"] == "calculated"
    assert answer["published"] is True
    assert answer["value"] == pytest.approx(100 * answer["numerator"] / answer["denominator"], abs=1e-6)
    assert sum(d["rows_in_this_number"] for d in answer["deliveries"]) == answer["denominator"] == answer["sample_size"]
    assert answer["earlier"], "the value before the correction"
    assert any("fct_appeal_v2.csv" in text for text in answer["earlier"][0]["deliveries_since"])
    assert answer["definition"]["catalogue_status"] == "proposal"
    # the SQL shown gives the number shown
    con = duckdb.connect(str(home.released_file), read_only=True)
    row = con.execute(answer["sql"]).fetchone()
    assert row is not None
    assert (int(row[2]), int(row[3])) == (answer["numerator"], answer["denominator"])
    text = ask(home, "explain", "MGT02-1", "551010000", "2025-03")
    assert "earlier:" in text
    assert "SHA-256" in text


def test_explain_what_has_no_value(year: tuple[Home, list[Extract]]) -> None:
    answer = json.loads(ask(year[0], "explain", "MGT02-1", "Алматы", "2025-03", "--json"))
    assert (answer["value"], answer["obs_status"], answer["deliveries"]) == (None, "L", [])
    assert "fct_appeal 2025-03" in answer["reason"]


def test_explain_sums_a_share_over_a_longer_period(year: tuple[Home, list[Extract]]) -> None:
    parts = [
        json.loads(ask(year[0], "explain", "MGT02-1", "Astana", m, "--json")) for m in ("2025-04", "2025-05", "2025-06")
    ]
    whole = json.loads(ask(year[0], "explain", "MGT02-1", "Astana", "2025-Q2", "--json"))
    assert whole["published"] is False
    assert whole["numerator"] == sum(p["numerator"] for p in parts)
    assert whole["denominator"] == sum(p["denominator"] for p in parts)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("explain", "MGT99-9", "Astana", "2025-03"), "did you mean MGT"),
        (("explain", "MGT02-1", "Astan", "2025-03"), "did you mean 710000000 Astana"),
        (("explain", "MGT02-1", "Astana", "2025-13"), "months are numbered 01 to 12, as in 2026-01"),
        (("run", "soon"), "write a month 2026-01"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(
    year: tuple[Home, list[Extract]], words: tuple[str, ...], said: str
) -> None:
    result = cli.invoke(app, [*words, "--home", str(year[0].root)], env={"COLUMNS": "300"})
    assert result.exit_code == 1
    assert said in result.output


def test_a_home_without_a_release_says_what_to_do(tmp_path: Path) -> None:
    result = cli.invoke(app, ["explain", "MGT02-1", "Astana", "2025-03", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "qala run" in result.output


def test_the_run_is_in_dagsters_own_store_with_checks(year: tuple[Home, list[Extract]]) -> None:
    import dagster as dg

    with dg.DagsterInstance.from_config(str(year[0].root / "dagster")) as instance:
        runs = instance.get_runs()
        assert {r.status for r in runs} == {dg.DagsterRunStatus.SUCCESS}
        key = dg.AssetKey(["showcase", "fct_appeal"])
        assert instance.get_materialized_partitions(key) == set(MONTHS)
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        assert "rows accepted" in event.asset_materialization.metadata
        kpi = instance.get_latest_materialization_event(dg.AssetKey(["kpi", "mgt", "MGT02_1"]))
        assert kpi is not None
        assert kpi.asset_materialization is not None
        assert "SELECT" in str(kpi.asset_materialization.metadata["sql"].value)


def test_dagster_shows_each_month_its_own_numbers(
    year: tuple[Home, list[Extract]], released: duckdb.DuckDBPyConnection
) -> None:
    """Of a run over a range too, and of months that a later run restated: what it plots is what the release says."""
    import dagster as dg

    from pipelines.assets.kpi import asset_key

    catalogue = load_catalogues()
    keys_of = {code: asset_key(catalogue, code) for code in catalogue.codes}
    told = {
        (code, str(figures[0])): figures[1:]
        for code, *figures in released.execute("""
            SELECT v.kpi_code, v.period_id, count(*), count(v.value), min(v.value), max(v.value), any_value(r.value)
            FROM kpi.value v
            LEFT JOIN kpi.rollup r ON (r.kpi_code, r.period_id, r.area_kind) = (v.kpi_code, v.period_id, 'country') AND r.valid_to_seq IS NULL
            WHERE v.valid_to_seq IS NULL GROUP BY ALL""").fetchall()
    }
    with dg.DagsterInstance.from_config(str(year[0].root / "dagster")) as instance:
        shown = dict[tuple[str, str], list[Any]]()
        for code, key in keys_of.items():
            newest = instance.fetch_materializations(key, limit=100).records
            assert {one.partition_key for one in newest} == set(MONTHS)
            for record in reversed(newest):
                assert record.asset_materialization is not None
                metadata = record.asset_materialization.metadata
                numbers = ("dagster/row_count", "cells with a value", "least", "greatest", "country")
                found: list[Any] = [metadata[n].value if n in metadata else None for n in numbers]
                if "period" in metadata:
                    shown[code, str(metadata["period"].value)] = found
                else:
                    assert found[0] == 0
        for cell, numbers_shown in shown.items():
            assert numbers_shown == pytest.approx(list(told[cell])), cell
        assert len({code for code, _ in shown}) > len(keys_of) / 2  # yearly ones close in no month of these
        records = instance.fetch_materializations(dg.AssetKey(["showcase", "fct_appeal"]), limit=100).records
    events = [(r.partition_key, r.asset_materialization) for r in records]
    rows = [(month, event.metadata["dagster/row_count"].value) for month, event in events if event]
    month, newest_rows = rows[0]
    counted = "SELECT count(*) FROM showcase.fct_appeal JOIN audit.delivery USING (delivery_id) WHERE closing_month = "
    assert newest_rows == one(released, f"{counted}'{month}'")
    assert len({number for _, number in rows}) > 1


def test_runs_of_the_command_line_belong_to_the_code_location(year: tuple[Home, list[Extract]]) -> None:
    """Or Dagster's timeline and its list of a job's runs leave them out."""
    import dagster as dg
    from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

    with dg.DagsterInstance.from_config(str(year[0].root / "dagster")) as instance:
        for run in instance.get_runs():
            assert run.remote_job_origin is not None
            assert run.remote_job_origin.repository_origin.get_label() == "__repository__@pipelines"
        label = dg.RunsFilter(tags={REPOSITORY_LABEL_TAG: "__repository__@pipelines"})
        assert instance.get_runs_count(label) == instance.get_runs_count()


def test_checks_stand_for_each_month_with_what_was_refused(year: tuple[Home, list[Extract]]) -> None:
    import dagster as dg

    from pipelines.assets.table_checks import TAKEN_IN

    with reading(year[0]) as store:
        refused = store.con.execute(
            "SELECT table_name, closing_month FROM audit.delivery WHERE state = 'refused'"
        ).fetchall()
    assert refused
    with dg.DagsterInstance.from_config(str(year[0].root / "dagster")) as instance:
        for table, month in refused:
            key = dg.AssetCheckKey(dg.AssetKey(["showcase", table]), TAKEN_IN)
            history = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
            said = {one.partition: one.status.value for one in reversed(history)}
            assert set(said) == set(MONTHS)
            assert said[month] == "FAILED"
            assert [m for m, status in said.items() if status == "FAILED"] == [
                m for t, m in sorted(refused) if t == table
            ]


def test_a_rerun_without_new_extracts_does_not_whitewash_the_checks(
    year: tuple[Home, list[Extract]], tmp_path: Path
) -> None:
    import dagster as dg

    from pipelines.assets.showcase import showcase_asset
    from pipelines.months import months_from
    from pipelines.resources import Qala

    home = Home(tmp_path / "copy")
    shutil.copytree(year[0].root, home.root, ignore=shutil.ignore_patterns("dagster", "extracts", ".writer.lock"))
    with reading(home) as store:
        month = one(store.con, "SELECT period_id FROM refusals")
    resources = {"qala": Qala(home_folder=str(home.root))}
    result = dg.materialize(
        [showcase_asset(load_tables()["fct_trip"], "transport", months_from(str(month)))],
        resources=resources,
        partition_key=str(month),
    )
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not checks["comparability"].passed
    assert checks["comparability"].severity == dg.AssetCheckSeverity.ERROR
    assert checks["uniqueness"].passed
    assert checks["comparability"].metadata["deliveries judged"].value == len(CITIES)


def test_months_fall_into_blocks() -> None:
    assert month_ranges(["2025-02", "2024-12", "2025-01", "2025-05"]) == [
        ("2024-12", "2025-02"),
        ("2025-05", "2025-05"),
    ]
    assert month_ranges([]) == []


def test_the_report_names_the_deliveries_that_explain_names(year: tuple[Home, list[Extract]]) -> None:
    """Of all values at once, and one by one: the same deliveries with the same rows, of restated values too."""
    catalogue = load_catalogues()
    with reading(year[0]) as store:
        find_cell_deliveries(store)
        cells = store.con.execute(
            "SELECT kpi_code, kato, period_id, value IS NULL FROM public_values WHERE kato IN (?, ?) ORDER BY ALL",
            CITIES,
        ).fetchall()
        restated = store.con.execute(
            "SELECT DISTINCT kpi_code, kato, period_id FROM kpi.value WHERE valid_to_seq IS NOT NULL ORDER BY ALL"
        ).fetchall()
        assert restated
        draw = random.Random(469)  # noqa: S311  which cells are looked at, no secret
        chosen = [c[:3] for empty in (False, True) for c in draw.sample([c for c in cells if c[3] is empty], 25)]
        named = 0
        for cell in (*chosen, *restated[:10]):
            at_once = dict(
                store.con.execute(
                    "SELECT delivery_id, rows_used FROM work_cell_delivery WHERE (kpi_code, kato, period_id) = (?, ?, ?)",
                    list(cell),
                ).fetchall()
            )
            answer = explain(store, catalogue, *cell)
            assert at_once == {d["delivery_id"]: d["rows_in_this_number"] for d in answer["deliveries"]}, cell
            named += len(at_once)
        assert named > 50
