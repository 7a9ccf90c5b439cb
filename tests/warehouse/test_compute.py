"""States, restatement, what is computed again, as-of, and the sealed connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.model import Kpi
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, cell, changed, compute_one, deliver, exact
from tests.support.settlements import ALMATY, ASTANA, AYAGOZ, SEMEY
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.compute import Report, compute
from warehouse.kpi_values.scans import evaluate
from warehouse.store.sessions import writing
from warehouse.store.store import Store

CATALOGUE = load_catalogues()
APPEALS = CATALOGUE.latest("MGT02-1")
AT = dt.datetime
SETTLEMENTS = 90


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with writing(new_home(tmp_path_factory.mktemp("compute")), run_id="a run", hardened=True) as store:
        yield store


def appeal(number: str, *, late: bool = False, due: AT | None = None, **more: Any) -> dict[str, Any]:
    due = due or AT(2026, 1, 10)
    return {
        "appeal_id": number,
        "due_at": due,
        "closed_at": due + dt.timedelta(days=1 if late else 0),
        "status": "CLOSED",
    } | more


def run(store: Store, period: str = "2026-01", today: dt.date = LATER, catalogue: Catalogues = CATALOGUE) -> Report:
    return compute_one(store, catalogue, "MGT02-1", period, today)


def history(store: Store, kato: str = ASTANA, period: str = "2026-01") -> list[tuple[Any, ...]]:
    """Every value ever written of a cell: value, from and to which sequence it held."""
    return store.con.execute(
        "SELECT value, valid_from_seq, valid_to_seq FROM kpi.value WHERE kpi_code = 'MGT02-1' AND kato = ? AND period_id = ? "
        "ORDER BY valid_from_seq",
        [kato, period],
    ).fetchall()


def snapshot(store: Store) -> list[tuple[Any, ...]]:
    return store.con.execute("SELECT * FROM kpi.value ORDER BY ALL").fetchall()


# ---- states


def test_not_delivered(store: Store) -> None:
    report = run(store)
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["state"], found["value"]) == ("L", "not calculable", None)
    assert found["reason"] == "extract not delivered: fct_appeal 2026-01"
    assert (found["coverage"], found["sample_size"]) == (0, 0)
    assert (report.cells, report.written, report.states) == (SETTLEMENTS, SETTLEMENTS, {"not calculable": SETTLEMENTS})


def test_refused_names_the_delivery(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract([], "2026-01", refused="column due_at is missing"))
    run(store)
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["state"], found["value"]) == ("O", "not calculable", None)
    assert f"fct_appeal 2026-01 (delivery {number})" in found["reason"]
    assert cell(store, "MGT02-1", "2026-01", ALMATY)["obs_status"] == "L"


def test_the_last_refusal_is_named_and_a_later_load_heals_it(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([], "2026-01", refused="first"))
    (second,) = deliver(store, "fct_appeal", Extract([], "2026-01", refused="second"))
    run(store)
    assert f"(delivery {second})" in cell(store, "MGT02-1", "2026-01")["reason"]
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    run(store)
    assert cell(store, "MGT02-1", "2026-01")["obs_status"] == "A"


def test_a_refusal_after_a_load_leaves_the_loaded_rows_in_force(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    deliver(store, "fct_appeal", Extract([], "2026-01", refused="cut short"))
    run(store)
    assert cell(store, "MGT02-1", "2026-01")["obs_status"] == "A"


def test_refused_and_missing_months_are_both_named(store: Store) -> None:
    deliver(store, "fct_crash", Extract([], "2025-S1"), Extract([], "2025-07/2025-10"))
    (number,) = deliver(store, "fct_crash", Extract([], "2025-11", refused="made up"))
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    found = cell(store, "SAF04-1", "2025")
    assert found["obs_status"] == "O"
    assert f"fct_crash 2025-11 (delivery {number})" in found["reason"]
    assert "not delivered: fct_crash 2025-12" in found["reason"]


def test_a_rate_with_a_missing_month(store: Store) -> None:
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 1}], "2025-S1"))
    deliver(store, "fct_crash", Extract([], "2025-08/2025-12"))
    deliver(store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 100000}], "2026-01"))
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    found = cell(store, "SAF04-1", "2025")
    assert (found["obs_status"], found["value"]) == ("L", None)
    assert found["reason"] == "extract not delivered: fct_crash 2025-07"
    assert found["coverage"] == pytest.approx(11 / 12, abs=1e-4)


def test_missing_population_is_said(store: Store) -> None:
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 1}], "2025"))
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    found = cell(store, "SAF04-1", "2025")
    assert (found["obs_status"], found["reason"]) == ("L", "dim_population has no figure as of 2026-01-01")


def test_a_population_of_zero_is_not_called_no_rows(store: Store) -> None:
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 1}], "2025"))
    deliver(store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 0}], "2026-01"))
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    found = cell(store, "SAF04-1", "2025")
    assert (found["obs_status"], found["reason"]) == ("M", "the denominator is zero")


def test_not_applicable_by_group(store: Store) -> None:
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    for kato, status in ((ASTANA, "L"), (SEMEY, "L"), (AYAGOZ, "M")):
        assert cell(store, "SAF04-1", "2025", kato)["obs_status"] == status
    found = cell(store, "SAF04-1", "2025", AYAGOZ)
    assert (found["state"], found["value"]) == ("not applicable", None)
    assert found["reason"] == "the KPI applies to settlements of group republican, regional"


def test_no_rows(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([], "2026-01"))
    run(store)
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["state"], found["value"]) == ("M", "not applicable", None)
    assert found["reason"] == "no rows: nothing of fct_appeal falls into the period"


def test_provisional_until_the_window_closes(store: Store) -> None:
    """January's late data may come for 10 days after its end: until 11 February."""
    deliver(store, "fct_appeal", Extract([appeal("1"), appeal("2", late=True)], "2026-01"))
    run(store, today=dt.date(2026, 2, 1))
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["state"], found["value"]) == ("P", "provisional", 50)
    assert "2026-02-11" in found["reason"]
    assert run(store, today=dt.date(2026, 2, 10)).written == 0
    # the window closes while another month is computed: the cell is asked for by itself
    report = run(store, "2026-02", today=dt.date(2026, 2, 11))
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["value"], found["reason"]) == ("A", 50, None)
    assert report.other_periods == ("2026-01",)
    assert (report.cells, report.restated) == (SETTLEMENTS + 1, 1)
    assert len(history(store)) == 2


def test_low_coverage_of_a_yearly_mean(store: Store) -> None:
    """Ten months of twelve: enough for a value (three quarters), not enough to be trusted."""
    row = {"hour_start": AT(2025, 3, 1), "pollutant": "PM25", "value_ug_m3": 12, "is_valid": True}
    deliver(store, "fct_air_hour", Extract([row], "2025-01/2025-09"), Extract([], "2025-12"))
    (number,) = deliver(store, "fct_air_hour", Extract([], "2025-11", refused="made up"))
    compute_one(store, CATALOGUE, "ECO01-1", "2025")
    found = cell(store, "ECO01-1", "2025")
    assert (found["obs_status"], found["state"], found["value"]) == ("U", "low coverage", 12)
    assert "delivered for 10 of 12 months" in found["reason"]
    assert "not delivered: fct_air_hour 2025-10" in found["reason"]
    assert f"refused: fct_air_hour 2025-11 (delivery {number})" in found["reason"]
    assert found["coverage"] == pytest.approx(10 / 12, abs=1e-4)


def test_below_the_minimum_sample(store: Store) -> None:
    row = {"registered_at": AT(2026, 1, 1), "first_answer_at": AT(2026, 1, 2)}
    deliver(store, "fct_appeal", Extract([row] * 29, "2026-01"))
    compute_one(store, CATALOGUE, "MGT02-2", "2026-01")
    found = cell(store, "MGT02-2", "2026-01")
    assert (found["obs_status"], found["value"]) == ("U", 1)
    assert found["reason"] == "29 observations, fewer than 30"


def test_a_share_above_100_is_an_error_and_not_clipped(store: Store) -> None:
    weighted = APPEALS.numerator.model_copy(
        update={"aggregate": "sum(date_diff('day', due_at, closed_at))", "filter": None}
    )
    kpi = APPEALS.model_copy(update={"numerator": weighted})
    deliver(store, "fct_appeal", Extract([appeal("1", late=True), appeal("2", closed_at=AT(2026, 1, 15))], "2026-01"))
    run(store, catalogue=changed(CATALOGUE, kpi))
    found = cell(store, "MGT02-1", "2026-01")
    assert (found["obs_status"], found["value"]) == ("O", None)
    assert "300" in found["reason"]  # 1 + 5 days over 2 appeals
    assert (exact(found["numerator"]), exact(found["denominator"])) == (6, 2)


@pytest.mark.parametrize(
    ("scope", "reached"), [("KZ", {ASTANA, SEMEY, AYAGOZ}), ("10", {SEMEY, AYAGOZ}), (SEMEY, {SEMEY})]
)
def test_a_delivery_covers_its_territory(store: Store, scope: str, reached: set[str]) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", kato=SEMEY)], "2026-01", scope))
    run(store)
    states = {kato: cell(store, "MGT02-1", "2026-01", kato)["obs_status"] for kato in (ASTANA, SEMEY, AYAGOZ)}
    assert states == {kato: "L" if kato not in reached else "A" if kato == SEMEY else "M" for kato in states}


def test_a_delivery_of_another_table_is_no_delivery(store: Store) -> None:
    deliver(store, "fct_trip", Extract([], "2026-01"))
    run(store)
    assert cell(store, "MGT02-1", "2026-01")["obs_status"] == "L"


# ---- restatement


def test_a_correction_closes_the_old_value_and_opens_a_new_one(store: Store) -> None:
    rows = [appeal("1"), appeal("2", late=True)]
    deliver(store, "fct_appeal", Extract(rows, "2026-01"), Extract([appeal("9")], "2026-01", ALMATY))
    deliver(store, "fct_appeal", Extract([appeal("3", due=AT(2026, 2, 3))], "2026-02"))
    first = compute(store, CATALOGUE, ["2026-01", "2026-02"], codes=["MGT02-1"], today=LATER)[0]
    assert (first.cells, first.written, first.restated) == (2 * SETTLEMENTS, 2 * SETTLEMENTS, 0)
    before = snapshot(store)
    assert history(store) == [(50, first.seq, None)]

    deliver(store, "fct_appeal", Extract([appeal("1"), appeal("2")], "2026-01"))
    second = run(store)
    assert (second.written, second.restated) == (1, 1)
    assert history(store) == [(50, first.seq, second.seq), (100, second.seq, None)]
    others = [row for row in snapshot(store) if row[:3] != ("MGT02-1", ASTANA, "2026-01")]
    assert others == [row for row in before if row[:3] != ("MGT02-1", ASTANA, "2026-01")]
    assert store.con.execute("SELECT count(*), count(DISTINCT (kpi_code, kato, period_id)) FROM kpi.value WHERE valid_to_seq IS NULL").fetchone() == (
        2 * SETTLEMENTS, 2 * SETTLEMENTS)  # fmt: skip


def test_computing_again_writes_nothing(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    run(store)
    before = snapshot(store)
    again = run(store)
    assert (again.cells, again.written, again.restated) == (SETTLEMENTS, 0, 0)
    assert snapshot(store) == before


def test_a_delivery_that_says_the_same_restates_nothing(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    run(store)
    before = snapshot(store)
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    report = run(store, "2026-02")
    assert (report.cells, report.restated) == (SETTLEMENTS + 1, 0)
    assert [row for row in snapshot(store) if row[2] == "2026-01"] == before


def test_only_touched_cells_are_asked_for(store: Store) -> None:
    months = ["2026-01", "2026-02", "2026-03"]
    for month in months:
        deliver(store, "fct_appeal", *(Extract([], month, kato) for kato in (ASTANA, ALMATY)))
    assert compute(store, CATALOGUE, months, codes=["MGT02-1"], today=LATER)[0].cells == 3 * SETTLEMENTS

    def asked() -> tuple[int, tuple[str, ...]]:
        (report,) = compute(store, CATALOGUE, [], codes=["MGT02-1"], today=LATER)
        return report.cells, report.other_periods

    assert asked() == (0, ())
    # the delivery's own month and city, and the month its only row falls into
    deliver(store, "fct_appeal", Extract([appeal("1", due=AT(2026, 3, 5))], "2026-01"))
    assert asked() == (2, ("2026-03",))
    assert asked() == (0, ())
    # the row moves to another month: the one it leaves and the one it comes to
    deliver(store, "fct_appeal", Extract([appeal("1", due=AT(2026, 2, 5))], "2026-01"))
    assert asked() == (3, ("2026-02", "2026-03"))
    # the row is withdrawn
    deliver(store, "fct_appeal", Extract([], "2026-01"))
    assert asked() == (2, ("2026-02",))
    # a refusal touches what it would have brought; the rows stay, so nothing is restated
    deliver(store, "fct_appeal", Extract([], "2026-02", ALMATY, refused="made up"))
    assert asked() == (1, ())
    # a delivery for the country touches every settlement; for Almaty the month had come before
    deliver(store, "fct_appeal", Extract([], "2026-03", "KZ"))
    assert asked() == (SETTLEMENTS, ("2026-03",))
    # another table is none of this KPI's business
    deliver(store, "fct_trip", Extract([], "2026-03", "KZ"))
    assert asked() == (0, ())


def test_each_kpi_is_asked_for_what_moved_since_its_own_computation(store: Store) -> None:
    both = ["MGT02-1", "MGT02-2"]
    deliver(store, "fct_appeal", Extract([appeal("1")], "2026-01"))
    compute(store, CATALOGUE, ["2026-01"], codes=both, today=LATER)
    deliver(store, "fct_appeal", Extract([], "2026-01"))
    compute(store, CATALOGUE, [], codes=["MGT02-2"], today=LATER)
    assert [(r.kpi_code, r.cells) for r in compute(store, CATALOGUE, [], codes=both, today=LATER)] == [
        ("MGT02-1", 1),
        ("MGT02-2", 0),
    ]


def test_a_late_population_figure_reaches_the_year_before(store: Store) -> None:
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 2}], "2025"))
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    assert cell(store, "SAF04-1", "2025")["obs_status"] == "L"
    deliver(store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 100000}], "2026-01"))
    (report,) = compute(store, CATALOGUE, [], codes=["SAF04-1"], today=LATER)
    assert (report.cells, report.restated, report.other_periods) == (1, 1, ("2025",))
    assert cell(store, "SAF04-1", "2025")["value"] == 2


def test_a_corrected_register_restates_its_quarter(store: Store) -> None:
    row = {
        "commissioned_at": dt.date(2020, 1, 1),
        "integrated_at": dt.date(2021, 1, 1),
        "last_delivery_at": AT(2026, 3, 30),
    }
    lone = {"commissioned_at": dt.date(2020, 1, 1)}
    deliver(store, "dim_information_system", Extract([row | {"system_id": "1"}, lone | {"system_id": "2"}], "2026-Q1"))
    compute_one(store, CATALOGUE, "MGT01-1", "2026-Q1")
    assert cell(store, "MGT01-1", "2026-Q1")["value"] == 50
    deliver(store, "dim_information_system", Extract([row | {"system_id": "1"}], "2026-Q1"))
    (report,) = compute(store, CATALOGUE, [], codes=["MGT01-1"], today=LATER)
    assert (report.cells, report.restated) == (1, 1)
    assert cell(store, "MGT01-1", "2026-Q1")["value"] == 100


def test_all_kpis_in_one_run_come_out_as_each_alone(store: Store) -> None:
    deliver(
        store, "fct_appeal", Extract([appeal("1"), appeal("2", late=True, first_answer_at=AT(2026, 1, 9))], "2026-01")
    )
    deliver(
        store,
        "fct_ai_session",
        Extract([{"started_at": AT(2026, 1, 9), "is_service_request": True, "resolved_by": "AI"}], "2026-01"),
    )
    monthly = [code for code in CATALOGUE.codes if CATALOGUE.latest(code).period == "M"]
    for code in monthly:
        compute_one(store, CATALOGUE, code, "2026-01")
    alone = {code: cell(store, code, "2026-01")["value"] for code in monthly}
    assert alone["MGT02-1"] == 50
    reports = compute(store, CATALOGUE, ["2026-01"], today=LATER)
    assert sorted(r.kpi_code for r in reports) == sorted(CATALOGUE.codes)
    assert {r.kpi_code: r.written for r in reports if r.kpi_code in monthly} == dict.fromkeys(monthly, 0)
    assert [r.sql for r in reports if "showcase." not in r.sql] == []


# ---- definitions


def second_version(**update: Any) -> tuple[Kpi, Kpi]:
    day = dt.date(2026, 2, 1)
    return (
        APPEALS.model_copy(update={"valid_to": day}),
        APPEALS.model_copy(update={"version": 2, "valid_from": day, "change_note": "Half a day of grace."} | update),
    )


def test_a_new_version_recomputes_the_periods_it_is_in_force_for(store: Store) -> None:
    for month, day in (("2026-01", AT(2026, 1, 10)), ("2026-02", AT(2026, 2, 10))):
        deliver(store, "fct_appeal", Extract([appeal(month, late=True, due=day)], month))
    compute(store, CATALOGUE, ["2026-01", "2026-02"], codes=["MGT02-1"], today=LATER)
    forgiving = APPEALS.numerator.model_copy(update={"filter": "closed_at <= due_at + interval 1 day"})
    report = run(store, "2026-01", catalogue=changed(CATALOGUE, *second_version(numerator=forgiving)))
    january, february = cell(store, "MGT02-1", "2026-01"), cell(store, "MGT02-1", "2026-02")
    assert (january["value"], january["definition_version"]) == (0, 1)
    assert (february["value"], february["definition_version"]) == (100, 2)
    assert (report.cells, report.written, report.restated) == (2 * SETTLEMENTS, SETTLEMENTS, SETTLEMENTS)
    assert report.other_periods == ("2026-02",)
    ends = "SELECT definition_version, valid_to FROM registry.kpi WHERE kpi_code = 'MGT02-1' ORDER BY 1"
    assert store.con.execute(ends).fetchall() == [(1, dt.date(2026, 2, 1)), (2, None)]
    assert run(store, "2026-02", catalogue=changed(CATALOGUE, *second_version(numerator=forgiving))).written == 0


def test_a_definition_once_used_is_never_edited(store: Store) -> None:
    run(store)
    before = snapshot(store)
    edited = changed(CATALOGUE, APPEALS.model_copy(update={"scale": 1000}))
    with pytest.raises(StoreError, match="MGT02-1 version 1 was used in this warehouse with another meaning"):
        run(store, catalogue=edited)
    assert snapshot(store) == before
    reworded = changed(CATALOGUE, APPEALS.model_copy(update={"change_note": "Reworded."}))
    assert run(store, catalogue=reworded).written == 0


def test_a_value_carries_its_definition_catalogue_and_run(store: Store) -> None:
    compute(
        store, CATALOGUE, ["2026-01"], codes=["MGT02-2"], today=LATER
    )  # registers all versions with the first catalogue
    renewed = Catalogues(
        tuple(replace(c, head=c.head.model_copy(update={"version": "2025.9"})) for c in CATALOGUE.lists)
    )
    report = run(store, catalogue=renewed)
    found = cell(store, "MGT02-1", "2026-01")
    assert found["catalogue_version"] == "2025.9"
    assert found["valid_from_seq"] == report.seq == found["as_of_seq"] + 1
    row = store.con.execute("SELECT v.run_id, v.definition_hash = k.definition_hash FROM kpi.value v JOIN registry.kpi k "
                            "ON (k.kpi_code, k.definition_version) = (v.kpi_code, v.definition_version) WHERE v.kpi_code = 'MGT02-1'").fetchone()  # fmt: skip
    assert row == ("a run", True)
    assert store.con.execute("SELECT kind, subject FROM audit.ledger WHERE seq = ?", [report.seq]).fetchone() == (
        "computed",
        "MGT02-1",
    )


# ---- as of


def test_the_old_number_can_be_computed_again_after_a_correction(store: Store) -> None:
    start, end = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
    deliver(store, "fct_appeal", Extract([appeal("1"), appeal("2", late=True), appeal("3", late=True)], "2026-01"))
    run(store)
    old = cell(store, "MGT02-1", "2026-01")
    deliver(store, "fct_appeal", Extract([appeal("1"), appeal("2"), appeal("4", late=True), appeal("5")], "2026-01"))
    run(store)
    new = cell(store, "MGT02-1", "2026-01")
    assert (old["value"], new["value"]) == (33.333333, 75)
    for seq, then in ((old["as_of_seq"], old), (new["as_of_seq"], new), (None, new)):
        value, numerator, denominator, sample = evaluate(store, APPEALS, ASTANA, start, end, "2026-01", seq)
        assert (value, exact(numerator), exact(denominator), sample) == (
            then["value"], exact(then["numerator"]), exact(then["denominator"]), then["sample_size"])  # fmt: skip
    assert evaluate(store, APPEALS, ASTANA, start, end, "2026-01", 0)[0] is None  # before anything was loaded


def test_any_window_may_be_evaluated(store: Store) -> None:
    deliver(
        store, "fct_appeal", Extract([appeal(str(d), due=AT(2026, 1, d), late=d > 10) for d in range(1, 21)], "2026-01")
    )
    assert evaluate(store, APPEALS, ASTANA, dt.date(2026, 1, 6), dt.date(2026, 1, 16), "ten days") == (50, 5, 10, 10)
    assert snapshot(store) == []


# ---- the sealed connection


REACHING = [
    "FROM read_csv('{f}')", "FROM '{f}'", "FROM read_text('{f}')", "FROM read_blob('{f}')", "FROM read_json('{f}')", "FROM read_parquet('{f}')",
    "FROM glob('{d}/*')", "FROM sniff_csv('{f}')", "FROM parquet_metadata('{f}')", "COPY (SELECT 1) TO '{d}/new.csv'",
    "COPY registry.setting FROM '{f}'", "CREATE TABLE kpi.stolen AS FROM read_csv('{f}')", "EXPORT DATABASE '{d}/out'", "IMPORT DATABASE '{d}'",
    "ATTACH '{d}/other.duckdb' AS other", "ATTACH '{d}/other.duckdb' AS other (READ_ONLY)", "ATTACH '{d}/new.duckdb'",
    "INSTALL httpfs", "LOAD httpfs", "LOAD '{d}/x.duckdb_extension'", "FROM read_csv('https://example.org/x.csv')",
]  # fmt: skip
SETTING = [
    "SET enable_external_access = true", "RESET enable_external_access", "SET lock_configuration = false", "RESET lock_configuration",
    "SET threads = 1", "PRAGMA threads = 1", "SET GLOBAL memory_limit = '1GB'", "SET TimeZone = 'Asia/Almaty'", "SET temp_directory = '{d}'",
    "SET autoinstall_known_extensions = true", "SET autoload_known_extensions = true", "SET python_enable_replacements = true",
    "SET allowed_directories = ['{d}']", "SET allowed_paths = ['{f}']", "SET disabled_filesystems = ''", "SET profiling_output = '{d}/x'",
]  # fmt: skip


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that could be read if the lock were open."""
    folder = tmp_path_factory.mktemp("outside")
    file = folder / "setting.csv"
    file.write_text("name,value\nsecret,1\n")
    duckdb.connect(str(folder / "other.duckdb")).close()
    return {"d": folder, "f": file}


@pytest.mark.parametrize("statement", REACHING)
def test_a_sealed_connection_reaches_no_file(opened: Store, outside: dict[str, Path], statement: str) -> None:
    before = sorted(outside["d"].iterdir())
    with pytest.raises(duckdb.PermissionException):
        opened.con.execute(statement.format(**outside))
    assert [p for p in sorted(outside["d"].iterdir()) if p not in before and p.is_file()] == []


@pytest.mark.parametrize("statement", SETTING)
def test_a_sealed_connection_changes_no_setting(opened: Store, outside: dict[str, Path], statement: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="locked"):
        opened.con.execute(statement.format(**outside))


def test_a_sealed_connection_sees_no_python_variables(opened: Store) -> None:
    secret = pa.table({"x": [1]})
    assert secret.num_rows == 1
    with pytest.raises(duckdb.CatalogException, match="secret"):
        opened.con.execute("FROM secret")


def test_without_the_seal_the_files_could_be_read(home: Home, outside: dict[str, Path]) -> None:
    """The statements above fail for the seal, not for a slip of the pen."""
    with writing(home) as store:
        assert store.con.execute("FROM read_csv('{f}')".format(**outside)).fetchall() == [("secret", 1)]
        store.con.execute("ATTACH '{d}/other.duckdb' AS other (READ_ONLY)".format(**outside))
        store.con.execute("SET threads = 1")
