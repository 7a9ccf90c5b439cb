"""What Dagster is shown: the list of assets, checks, jobs, schedule and sensor, and what they carry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from connectors.archive.archive import Archive
from kpi_definitions.catalogue import load_catalogues
from pipelines.assets.table_checks import TAKEN_IN
from pipelines.automation import inbox_sensor
from pipelines.definitions import build_defs
from pipelines.months import first_month
from pipelines.resources import Qala
from pipelines.selection import AFTER_RELEASE
from tests.support.rows import Extract, deliver
from warehouse.home.home import Home
from warehouse.kpi_values.outstanding import running_month
from warehouse.periods import add_months, month_id, parse_period
from warehouse.store.sessions import locked, writing
from warehouse.tables.contracts import load_tables
from warehouse.tables.rules import CRITERIA

DEFS = build_defs(Home.default())
GRAPH = DEFS.resolve_asset_graph()


def test_a_code_server_can_load_all_of_it() -> None:
    dg.Definitions.validate_loadable(DEFS)


def test_assets() -> None:
    tables, catalogue = load_tables(), load_catalogues()
    expected = {dg.AssetKey([name]) for name in ("release", "assessment", "report", "publications")}
    expected |= {dg.AssetKey([stage, table]) for stage in ("zero", "showcase") for table in tables}
    expected |= {
        dg.AssetKey(["kpi", catalogue.sphere_of(c).code.lower(), c.replace("-", "_")]) for c in catalogue.codes
    }
    assert GRAPH.get_all_asset_keys() == expected


def test_every_asset_has_description_group_owner_and_kinds() -> None:
    for key in GRAPH.get_all_asset_keys():
        node = GRAPH.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name != "default", key


def test_kpis_show_definition_and_column_lineage() -> None:
    node = GRAPH.get(dg.AssetKey(["kpi", "mgt", "MGT02_1"]))
    assert node.parent_keys == {dg.AssetKey(["showcase", "fct_appeal"])}
    assert "Citizens_appeals_closed_within_the_statutory_time" in node.kinds, "the graph shows a code and kinds"
    lineage = node.metadata["dagster/column_lineage"]
    assert {(d.asset_key.path[-1], d.column_name) for d in lineage.deps_by_column["value"]} == {
        ("fct_appeal", "due_at"), ("fct_appeal", "status"), ("fct_appeal", "closed_at")}  # fmt: skip


def test_every_asset_of_a_contract_or_definition_leads_to_it() -> None:
    for key in GRAPH.get_all_asset_keys():
        if len(key.path) > 1:
            (place,) = GRAPH.get(key).metadata["dagster/code_references"].code_references
            line = Path(place.file_path).read_text(encoding="utf-8").splitlines()[(place.line_number or 1) - 1]
            assert key.path[0] != "kpi" or key.path[-1].replace("_", "-") in line, line


def test_the_levels_are_told_apart_where_only_the_last_part_of_a_key_is_shown() -> None:
    for table in load_tables():
        zero, showcase = (GRAPH.get(dg.AssetKey([level, table])) for level in ("zero", "showcase"))
        assert "as_received" in zero.kinds
        assert "showcase" in showcase.kinds
        assert not any("**" in (one.description or "") for one in (zero, showcase))
        agreed = load_tables()[table].frequency in ("M", "Q", "A")
        assert (showcase.freshness_policy_or_from_metadata is not None) is agreed


def test_one_check_for_every_criterion_of_the_law_naming_all_rules() -> None:
    """Not one for every rule: some 1,300 checks are 6,000 writes of Dagster's own store a run, and nobody reads them."""
    checks = {(k.asset_key.path[-1], k.name) for k in GRAPH.asset_check_keys}
    tables = load_tables()
    assert checks == {(name, check) for name in tables for check in (*CRITERIA, TAKEN_IN)} | {
        ("release", "lineage_complete")
    }
    specs = {
        (s.asset_key.path[-1], s.name): s.description or ""
        for a in DEFS.assets or ()
        for s in getattr(a, "check_specs", ())
    }
    for table in tables.values():
        for rule in table.all_rules:
            assert rule.description("en") in specs[table.name, rule.criterion]


def test_showcase_assets_carry_their_columns() -> None:
    for name, table in load_tables().items():
        columns = GRAPH.get(dg.AssetKey(["showcase", name])).metadata["dagster/column_schema"].columns
        assert {c.name for c in table.columns} < {c.name for c in columns}
        assert all(c.description for c in columns)


def test_job_schedule_sensor() -> None:
    monthly = DEFS.resolve_schedule_def("monthly")
    assert (monthly.execution_timezone, monthly.cron_schedule) == ("Asia/Almaty", "0 6 5 * *")
    job = DEFS.resolve_job_def("city_kpis")
    assert job.partitions_def is not None
    after = set(DEFS.resolve_job_def("city_publications").asset_layer.executable_asset_keys)
    assert after == {dg.AssetKey([name]) for name in AFTER_RELEASE} & set(GRAPH.get_all_asset_keys())
    assert set(GRAPH.get_all_asset_keys()) - after == set(job.asset_layer.executable_asset_keys)
    assert DEFS.executor is dg.in_process_executor


def test_the_warehouse_stays_open_from_step_to_step_and_no_longer(tmp_path: Path) -> None:
    qala = Qala(home_folder=str(tmp_path))
    with qala.writing("run") as first:
        pass
    with qala.writing("run") as second:
        assert second is first
    qala.close_warehouse()
    with writing(qala.home):
        pass  # the lock is free, and so is the file

    def fail() -> None:
        with qala.writing("run") as store:
            store.con.execute("SELECT nothing")

    with pytest.raises(duckdb.Error):
        fail()
    with writing(qala.home):
        pass
    with qala.writing("run") as third:
        assert third is not first
    qala.teardown_after_execution(dg.build_init_resource_context())
    with writing(qala.home):
        pass


def test_the_sensor_asks_for_the_months_that_wait(tmp_path: Path) -> None:
    qala = Qala(home_folder=str(tmp_path))
    file = tmp_path / "x.csv"
    file.write_text("a\n")
    with dg.instance_for_test() as instance:

        def tick() -> dg.SensorResult | object:
            with dg.build_sensor_context(instance=instance, resources={"qala": qala}, definitions=DEFS) as context:
                return list(inbox_sensor(context))  # type: ignore[arg-type]

        (skipped,) = tick()  # type: ignore[misc]
        assert isinstance(skipped, dg.SkipReason)  # type: ignore[has-type]
        archive = Archive(tmp_path / "archive")
        for period in ("2026-01", "2026-02", "2026-05"):
            archive.receive(file, table="fct_crash", system="standard", scope="710000000", period=period)
        requests = tick()
        ranges = [
            (r.tags["dagster/asset_partition_range_start"], r.tags["dagster/asset_partition_range_end"])
            for r in requests  # type: ignore[attr-defined]
        ]
        assert ranges == [("2026-01", "2026-02"), ("2026-05", "2026-05")]
        assert [r.run_key for r in tick()] == [r.run_key for r in requests], "asked for once"  # type: ignore[attr-defined]
        archive.receive(file, table="fct_crash", system="standard", scope="710000000", period="2999-01")
        assert len(tick()) == 2, "a month that has not ended waits"  # type: ignore[arg-type]


def test_the_sensor_asks_for_what_was_loaded_and_not_computed_once_and_not_while_a_run_goes_on(tmp_path: Path) -> None:
    qala = Qala(home_folder=str(tmp_path))
    with writing(qala.home) as store:
        deliver(store, "fct_appeal", Extract([], "2025-02"))
    with dg.instance_for_test() as instance:

        def tick() -> list[Any]:
            with dg.build_sensor_context(instance=instance, resources={"qala": qala}, definitions=DEFS) as context:
                return list(inbox_sensor(context))  # type: ignore[arg-type]

        (request,) = tick()
        assert request.tags["dagster/asset_partition_range_start"] == "2025-02"
        assert dg.AssetKey(["showcase", "fct_appeal"]) not in request.asset_selection
        assert dg.AssetKey(["kpi", "mgt", "MGT02_1"]) in request.asset_selection
        assert [r.run_key for r in tick()] == [request.run_key], "asked for once"
        with writing(qala.home) as store:
            deliver(store, "fct_appeal", Extract([{"appeal_id": "1"}], "2025-02"))
        assert [r.run_key for r in tick()] != [request.run_key], "there is something else to do"
        with locked(qala.home):
            (skipped,) = tick()
            assert "another process" in skipped.skip_message
        run = instance.create_run_for_job(DEFS.resolve_job_def("city_kpis"), status=dg.DagsterRunStatus.STARTED)
        (skipped,) = tick()
        assert "a run is going on" in skipped.skip_message
        instance.report_run_canceled(run)
        assert len(tick()) == 1


def test_partitions_begin_with_the_first_delivered_month(tmp_path: Path) -> None:
    home, file = Home(tmp_path / "home"), tmp_path / "x.csv"
    file.write_text("a\n")
    last = month_id(add_months(parse_period(running_month()).start, -1))
    assert first_month(home) == f"{int(last[:4]) - 1}-01", "an empty home can be looked at"
    archive = Archive(home.archive)
    for period, first in (("2026-02", "2026-02"), ("2025-Q4", "2025-10"), ("2026-01", "2025-10")):
        archive.receive(file, table="fct_crash", system="standard", scope="710000000", period=period)
        assert first_month(home) == first
    home.released_file.parent.mkdir()
    with duckdb.connect(str(home.released_file)) as con:
        con.execute("CREATE SCHEMA audit; CREATE TABLE audit.delivery (state VARCHAR, period_start DATE)")
        con.execute("INSERT INTO audit.delivery VALUES ('refused', '2001-01-01'), ('loaded', '2024-05-01')")
    assert first_month(home) == "2024-05", "a refused one may have been of any month"
    home.released_file.write_bytes(b"damaged")
    assert first_month(home) == "2025-10"
    keys = build_defs(home).resolve_job_def("city_kpis").partitions_def
    assert keys is not None
    assert (keys.get_first_partition_key(), keys.get_last_partition_key()) == ("2025-10", last)


def test_a_month_before_those_on_the_screens_is_run_all_the_same(tmp_path: Path) -> None:
    """By a job of its own: Dagster takes no run of months that loaded definitions do not know."""
    qala, file = Qala(home_folder=str(tmp_path)), tmp_path / "x.csv"
    file.write_text("a\n")
    defs = build_defs(qala.home, "2026-01")
    for period in ("2025-12", "2026-01"):
        qala.archive.receive(file, table="fct_crash", system="standard", scope="710000000", period=period)
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(instance=instance, resources={"qala": qala}, definitions=defs) as context,
    ):
        (request,) = list(inbox_sensor(context))  # type: ignore[arg-type]
    assert (request.job_name, request.asset_selection) == ("earlier_months", None)


@pytest.mark.slow
def test_loading_the_definitions_warns_of_nothing(tmp_path: Path) -> None:
    code = (
        "from pipelines.definitions import defs; from dagster import Definitions; Definitions.validate_loadable(defs())"
    )
    command = [sys.executable, "-c", code]
    given = {**os.environ, "QALA_HOME": str(tmp_path)}
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stderr == ""


@pytest.mark.parametrize("path", ["pipelines/dagster.yaml"])
def test_telemetry_and_pop_ups_are_off(path: str) -> None:
    text = (Path(__file__).parents[2] / path).read_text()
    assert "telemetry:\n  enabled: false" in text
    assert "nux:\n  enabled: false" in text
