"""What was refused is seen: at the end of a run, in `qala refusals` and `qala status`, and on the page of the run in Dagster."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from connectors.mapping.read_contracts import parse_source
from kpi_definitions.documents import read
from pipelines import run as runs
from pipelines.assets.showcase import REFUSED, refused_in_run, showcase_asset
from pipelines.cli import app
from pipelines.months import months_from
from pipelines.refusals import headers_of, remedies
from pipelines.resources import Qala
from tests.support.files import Desk, contract_text, crash, crashes, query, text
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.refusals import refused_deliveries, with_broken_rules
from warehouse.home.home import Home
from warehouse.loading.broken_rules import VALUES, concerned
from warehouse.release.release import publish
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables
from warehouse.tables.rules import REPEATED

CODES = contract_text(
    "police",
    "fct_crash",
    """\
      - {name: crash_id, physicalName: № ДТП}
      - {name: occurred_at, physicalName: Дата, logicalType: timestamp, logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm'}}
      - {name: deaths_30d, physicalName: 'погибло/30'}
      - {name: injured, physicalName: a~b}
""",
)
HEADER = "№ ДТП,Дата,погибло/30,a~b\n"
FOREIGN = "a,b\n1,2\n"  # has no column of any table


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def taken(desk: Desk, store: Store, *files: Any, **declared: Any) -> list[str]:
    """States of the files that are delivered and taken in one after the other."""
    for file in files:
        desk.deliver(file, "fct_crash", **declared)
        desk.take(store)
    return [state for (state,) in query(store, "SELECT state FROM audit.delivery ORDER BY delivery_id")]


def standing(store: Store) -> list[int]:
    return sorted(one.delivery_id for one in refused_deliveries(store) if one.stands)


def test_values_that_broke_a_rule_are_counted_whatever_the_headers_are_called(desk: Desk) -> None:
    desk.add_contract(CODES)
    rows = [f"C{n},05.01.2026 10:00,0,1" for n in range(4)]
    rows += ["D1,2026-01-05,0,1", "D2,31.02.2026 10:00,0,1", "D3,31.02.2026 10:00,0,1", "D4,,0,1"]
    rows += ["D5,05.01.2026 10:00,1.5,1", "D6,05.01.2026 10:00,-1,x"]
    with desk.open() as store:
        assert taken(desk, store, HEADER + "\n".join(rows), system="police") == ["refused"]
        contract = parse_source(read(desk.home.contracts / "source.odcs.yaml"), store.tables)
        sources = {("police", "fct_crash"): contract}
        (found,) = with_broken_rules(store, refused_deliveries(store), headers_of(sources))
        told = {one.rule: (one.rows, one.cells, one.values) for one in found.broken}
        assert told["occurred_at.type"] == (3, 0, (("31.02.2026 10:00", 2, 6), ("2026-01-05", 1, 5)))
        assert told["occurred_at.required"] == (1, 0, ((None, 1, 8),))
        assert told["deaths_30d.type"][2] == (("1.5", 1, 9),)
        assert told["deaths_30d.range"][2] == (("-1", 1, 10),)
        assert found.received_rows == 10
        assert found.stands


def test_counts_and_values_agree_with_the_rows_that_are_kept(desk: Desk) -> None:
    """Many generated files: what is told of each is what stands in audit.rejected_row, counted in Python."""
    chance = random.Random(7)  # noqa: S311 - not for secrets
    with desk.open() as store:
        for number in range(6):
            rows = []
            for n in range(60):
                row = crash(n if chance.random() < 0.9 else "X")
                if chance.random() < 0.4:
                    column = chance.choice(["occurred_at", "deaths_30d", "crash_id", "injured"])
                    row[column] = chance.choice(["", "oops", "-3", "2026-02-31 10:00:00", "12", "2027-01-01 00:00:00"])
                rows.append(row)
            desk.deliver(text(rows), "fct_crash", name=f"n{number}.csv")
            desk.take(store)
        found = with_broken_rules(store, refused_deliveries(store), {})
        assert len(found) == 6
        table = store.tables["fct_crash"]
        for one in found:
            kept = query(
                store, "SELECT rule, raw, column_name FROM audit.rejected_row WHERE delivery_id = ?", [one.delivery_id]
            )
            assert {b.rule: b.rows + b.cells for b in one.broken} == Counter(rule for rule, *_ in kept)
            for broken in one.broken:
                columns = concerned(table).get(broken.rule, ())
                if len(columns) != 1:
                    continue
                values = Counter(
                    raw if column else json.loads(raw).get(columns[0])
                    for rule, raw, column in kept
                    if rule == broken.rule
                )
                assert {v: n for v, n, _ in broken.values}.items() <= values.items()
                assert (
                    sorted((n for _, n, _ in broken.values), reverse=True)
                    == sorted(values.values(), reverse=True)[:VALUES]
                )
                assert broken.different == len(values)
        assert any(b.rule == REPEATED for one in found for b in one.broken)


def test_a_refusal_stands_until_something_is_taken_in_in_its_place(desk: Desk) -> None:
    with desk.open() as store:
        assert taken(desk, store, FOREIGN) == ["refused"]
        assert standing(store) == [1]
        taken(desk, store, FOREIGN + "3,4\n")  # tried again, refused again: the last try stands
        assert standing(store) == [2]
        taken(desk, store, crashes(3), scope=ALMATY)  # of another settlement
        taken(desk, store, crashes(3, 50, occurred_at="2026-02-05 10:00:00"), period="2026-02")  # of other days
        assert standing(store) == [2]
        assert taken(desk, store, crashes(3)) == ["refused", "refused", "loaded", "loaded", "loaded"]
        assert standing(store) == []
        taken(desk, store, FOREIGN)  # refused again after that
        assert standing(store) == [6]
        assert taken(desk, store, crashes(3))[-1] == "duplicate"  # what is in force is sent again: it is right
        assert standing(store) == []


def test_a_wider_delivery_stands_for_a_refused_one_and_a_narrower_does_not(desk: Desk) -> None:
    with desk.open() as store:
        taken(desk, store, FOREIGN, period="2026-Q1")
        taken(desk, store, crashes(3))
        assert standing(store) == [1]
        taken(desk, store, crashes(3), period="2026-01/2026-03")
        assert standing(store) == []
        taken(desk, store, FOREIGN, scope=ASTANA, period="2026-02")
        taken(desk, store, text([crash(n, kato=ASTANA) for n in range(3)]), scope="71", period="2026-S1")
        assert standing(store) == []


def test_bytes_that_were_taken_in_under_the_right_name_are_no_longer_refused(desk: Desk) -> None:
    with desk.open() as store:
        desk.deliver(crashes(3), "fct_appeal")
        desk.take(store)
        assert standing(store) == [1]
        desk.deliver(crashes(3), "fct_crash")
        desk.take(store)
        assert standing(store) == []


def test_what_to_do_names_commands_and_the_contract(desk: Desk) -> None:
    desk.add_contract(CODES)
    with desk.open() as store:
        taken(desk, store, FOREIGN, system="police", name="дтп 1.csv")
        taken(desk, store, FOREIGN, system="nobody", period="2026-02")
        contract = parse_source(read(desk.home.contracts / "source.odcs.yaml"), store.tables)
        unknown, known = refused_deliveries(store)
        place = f" --home {desk.home.root}"
        of_known = list(remedies(known, {("police", "fct_crash"): contract}, store.tables, desk.home))
        assert [one["code"] for one in of_known] == ["remedy.contract", "remedy.try", "remedy.deliver"]
        assert of_known[0]["path"] == str(desk.home.contracts / "source.odcs.yaml")
        declared = f"--settlement {ASTANA} --period 2026-01{place}"
        assert of_known[2]["command"].endswith(f"--table fct_crash --system police {declared}")
        first = next(iter(remedies(unknown, {}, store.tables, desk.home)))
        assert first["command"].startswith("qala new source nobody --table fct_crash --sample ")


@pytest.fixture
def released(desk: Desk) -> Desk:
    """A home with a release in which one delivery is refused, and one is loaded without a row."""
    with desk.open() as store:
        desk.deliver(text([crash(n, occurred_at="32.13.2026") for n in range(5)]), "fct_crash", name="bad.csv")
        desk.deliver(crashes(200) + "X,oops,D1,0,1\n", "fct_crash", scope=ALMATY, name="good.csv")
        desk.take(store)
    publish(desk.home, desk.archive.missing)
    return desk


def asked(home: Home, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home.root)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_qala_refusals_lists_what_stands(released: Desk) -> None:
    shown = asked(released.home, "refusals")
    assert "bad.csv, fct_crash, Astana (710000000), 2026-01, system standard" in shown
    assert "rejected_percent = 100" in shown
    assert "rows: 5: occurred_at.type (occurred_at can be read as TIMESTAMP): «32.13.2026» ×5 (first in row 1)" in shown
    assert f"qala deliver bad.csv --table fct_crash --settlement {ASTANA} --period 2026-01" in shown
    assert "отказано поставок: 1" in asked(released.home, "refusals", "--lang", "ru")
    assert "«32.13.2026» ×5 (алғаш 1-жолда)" in asked(released.home, "refusals", "--lang", "kk")
    assert "no refused delivery stands" in asked(released.home, "refusals", "--settlement", ALMATY)
    assert "no refused delivery stands" in asked(released.home, "refusals", "--system", "police")
    (one,) = json.loads(asked(released.home, "refusals", "--table", "fct_crash", "--json"))
    assert one["broken"][0]["values"] == [["32.13.2026", 5, 1]]
    assert one["reason_code"] == "refusal.rule"
    assert "refused and not mended: 1" in asked(released.home, "status")
    assert json.loads(asked(released.home, "status", "--json"))["refusals_standing"] == 1


@pytest.mark.parametrize(("success", "refused", "code"), [(True, 0, 0), (True, 2, 3), (False, 2, 1), (False, 0, 1)])
def test_a_run_ends_with_its_own_exit_code(
    released: Desk, monkeypatch: pytest.MonkeyPatch, success: bool, refused: int, code: int
) -> None:
    monkeypatch.setattr(
        runs, "run_months", lambda *_: [runs.RunResult("2026-01", "2026-01", "r" * 32, success, (), refused)]
    )
    result = CliRunner().invoke(app, ["run", "2026-01", "--home", str(released.home.root)])
    assert result.exit_code == code, result.output


def test_a_drop_that_was_turned_away_is_told_by_the_exit_code(desk: Desk) -> None:
    desk.home.inbox.mkdir()
    (desk.home.inbox / "a.manifest.json").write_text('{"deliveries": [{"file": 1}]}')
    result = CliRunner().invoke(app, ["run", "--home", str(desk.home.root)])
    assert (result.exit_code, "nothing to run" in result.output) == (3, True), result.output


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def test_the_run_in_dagster_shows_refusals_on_its_first_page(desk: Desk, instance: dg.DagsterInstance) -> None:
    table = load_tables()["fct_crash"]
    desk.deliver(text([crash(n, occurred_at=f"3{n}.13.2026") for n in range(5)]), "fct_crash", name="bad.csv")
    desk.deliver(FOREIGN, "fct_crash", scope=ALMATY, name="crashes.csv")
    with desk.open() as store:
        desk.take(store, "dim_service")  # registers what is pending
    result = dg.materialize(
        [showcase_asset(table, "saf", months_from("2026-01"))],
        instance=instance,
        partition_key="2026-01",
        resources={"qala": Qala(home_folder=str(desk.home.root))},
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[REFUSED] == "2"
    (done,) = result.get_asset_materialization_events()

    def shown(name: str) -> list[dict[str, Any]]:
        value = done.materialization.metadata[name]
        assert isinstance(value, dg.TableMetadataValue)
        return [dict(record.data) for record in value.records]

    refusals = shown("refusals")
    assert {r["file"] for r in refusals} == {"bad.csv", "crashes.csv"}
    values = shown("what was refused")
    assert {(v["rule"], v["value"], v["times"]) for v in values} == {
        ("occurred_at.type", f"3{n}.13.2026", 1) for n in range(5)
    }
    assert not all(one.passed for one in result.get_asset_check_evaluations())
    assert refused_in_run(instance, result.run_id) == 2
