"""Sources in Dagster: an asset for each table, a job and a schedule for each source; a failure stays with its source and shows no secret."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, load_source_contracts, register_pending
from connectors.sources.settings import Regulation
from connectors.sources.source import SourceError
from pipelines.assets import source
from pipelines.assets.freshness import freshness
from pipelines.definitions import build_defs
from pipelines.pending_work import find_pending_work
from tests.support import fake_source, runs
from tests.support.fake_source import WORD, World, failures
from tests.support.files import crashes
from tests.support.pulling import CHANGED, PLACES, SOURCE, Place, file_of
from tests.support.settlements import ASTANA
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

KEY = dg.AssetKey(["source", "office", "fct_crash"])
HEADER = crashes(1).splitlines(keepends=True)[0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(HEADER)
    fake_source.register(monkeypatch, world)
    return world


@pytest.fixture
def place(tmp_path: Path, world: World) -> Place:
    first = dt.date.today().replace(day=1) - dt.timedelta(days=1)  # noqa: DTZ011
    place = Place.make(tmp_path / "home", world, SOURCE.replace("2026-01", f"{first:%Y-%m}"))
    for n, scope in enumerate(PLACES):
        world.files[scope, f"{first:%Y-%m}"] = (file_of(1000 * n, 5, f"{first:%Y-%m}"),)
    return place


def _run(place: Place, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_defs(place.home).resolve_job_def("pull_source_office")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def _shown(instance: dg.DagsterInstance) -> str:
    """All that Dagster keeps of its runs."""
    return "".join(str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))


def test_a_source_has_an_asset_before_its_zero_level_a_job_and_a_schedule(place: Place) -> None:
    defs = build_defs(place.home)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    node = graph.get(KEY)
    assert node.group_name == "sources"
    assert node.kinds == {"fake"}
    assert node.child_keys == {dg.AssetKey(["zero", "fct_crash"])}
    assert node.freshness_policy_or_from_metadata is not None
    assert KEY not in defs.resolve_job_def("city_kpis").asset_layer.executable_asset_keys
    schedule = defs.resolve_schedule_def("source_office")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_run_delivers_once_and_tells_what_is_overdue(place: Place) -> None:
    with dg.instance_for_test() as instance:
        for delivered in (2, 0):
            result = _run(place, instance)
            assert result.success
            (event,) = result.asset_materializations_for_node("source_office")
            assert event.metadata["deliveries"].value == delivered
            checks = result.get_asset_check_evaluations()
            assert [(c.check_name, c.passed, c.severity) for c in checks] == [
                (name, True, dg.AssetCheckSeverity.WARN) for name in (source.OVERDUE, source.ROWS)
            ]
    assert len(Archive(place.home.archive).pending()) == 2


def test_what_is_overdue_is_a_warning_and_no_failure(place: Place, world: World) -> None:
    world.files.clear()
    file = place.home.sources / "office.yaml"
    file.write_text(SOURCE)
    with dg.instance_for_test() as instance:
        result = _run(place, instance)
        assert result.success
        assert result.asset_materializations_for_node("source_office") == []
        overdue, rows = result.get_asset_check_evaluations()
        assert (overdue.passed, overdue.metadata["extracts"].value, rows.passed) == (False, 2, True)


@pytest.mark.parametrize("number", range(len(failures(""))))
def test_only_what_can_pass_is_tried_again_and_nothing_shows_the_secret(
    place: Place, world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(source, "WAIT", 0)
    error = failures("office")[number]
    world.failure = lambda _: error
    with dg.instance_for_test() as instance:
        result = _run(place, instance)
        assert not result.success
        tried = sum(event.event_type is dg.DagsterEventType.STEP_RESTARTED for event in result.all_events)
        passing = isinstance(error, OSError) or (isinstance(error, SourceError) and error.passing)
        assert tried == (source.RETRIES if passing else 0)
        assert WORD not in _shown(instance)
        assert "office" in _shown(instance)


def test_a_file_at_fault_stops_no_other_source(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    (place.home.sources / "bad.yaml").write_text("type: fake\nconnection: {password: hunter22}\n")
    defs = build_defs(place.home)
    assert "bad.yaml:2" in caplog.text
    assert "hunter22" not in caplog.text
    assert KEY in defs.resolve_asset_graph().get_all_asset_keys()


def test_the_schedule_asks_when_something_is_due(place: Place) -> None:
    schedule = build_defs(place.home).resolve_schedule_def("source_office")
    with dg.instance_for_test() as instance:

        def tick() -> object:
            with dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=dt.datetime.now(dt.UTC),
                resources=build_defs(place.home).resources,
            ) as context:
                return schedule.evaluate_tick(context)

        assert len(tick().run_requests) == 1  # type: ignore[attr-defined]
        _run(place, instance)
        assert "nothing is due before" in str(tick().skip_message)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([{}], "0 0 7 * *"),
        ([{"frequency": "quarterly", "delay_days": 10}], "0 0 12 1,4,7,10 *"),
        ([{"frequency": "yearly", "delay_days": 0}], "0 0 2 1 *"),
        ([{"frequency": "yearly"}, {"frequency": "monthly"}], "0 0 7 * *"),
        ([{"frequency": "daily", "delay_days": 1}], dt.timedelta(days=2)),
        ([{"frequency": "monthly", "delay_days": 40}], dt.timedelta(days=71)),
    ],
)
def test_freshness_follows_from_the_regulation(said: list[dict[str, object]], expected: object) -> None:
    policy = freshness([Regulation.model_validate(one) for one in said])
    found = getattr(policy, "deadline_cron", None) or policy.fail_window.to_timedelta()  # type: ignore[attr-defined]
    assert found == expected


def test_what_changed_is_loaded_before_its_month_has_ended(tmp_path: Path, world: World) -> None:
    """It asserts nothing of the month; a file that does waits for its end."""
    text = SOURCE.partition("  - table")[0] + CHANGED
    place = Place.make(tmp_path / "home", world, text)
    place.today = dt.date.today()  # noqa: DTZ011
    world.rows[ASTANA] = [("2026-04-01", crashes(1, 7).splitlines(keepends=True)[1])]
    place.pull()
    archive, tables = Archive(place.home.archive), load_tables()
    contracts = load_source_contracts(place.home, tables)
    before = f"{place.today.replace(day=1) - dt.timedelta(days=1):%Y-%m}"
    work = find_pending_work(place.home, archive.pending(), [], None, contracts)
    assert (work.months[-1], work.tables, work.early) == (before, {"fct_crash"}, ())
    assert find_pending_work(place.home, archive.pending(), [], None, {}).months == ()
    with runs.unjudged(), writing(place.home) as store:
        register_pending(store, archive)
        report = ingest_table(store, archive, store.tables["fct_crash"], contracts, [before])
    assert report.accepted == 1
