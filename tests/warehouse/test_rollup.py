"""Regions, groups, the country and years: sums, never averages; what is missing is said, what changed is restated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.model import Category, Kind, Kpi, Season, Text
from tests.support.rows import LATER, Extract, cell, changed, compute_one, deliver, empty, exact, only
from tests.support.settlements import ALMATY, ASTANA, AYAGOZ, SEMEY
from warehouse.audit.explain import UnknownError, explain, find_area
from warehouse.kpi_values.compute import Report, compute
from warehouse.kpi_values.scans import evaluate
from warehouse.messages.messages import rendered
from warehouse.periods import parse_period
from warehouse.store.store import Store

pytestmark = pytest.mark.usefixtures("made_again")
CATALOGUE = only(load_catalogues(), "MGT01-1", "MGT02-1", "MGT02-2", "SAF04-1", "ECO01-1", "INF03-2")
APPEALS, MEDIAN, PERMITS = (CATALOGUE.latest(code) for code in ("MGT02-1", "MGT02-2", "INF03-2"))
AT = dt.datetime
KURCHATOV, SHAR, ABAI = "101810000", "104221100", "100000000"  # Abai Region: Semey, Kurchatov, Ayagoz, Shar
MEMBERS = {ABAI: [SEMEY, KURCHATOV, AYAGOZ, SHAR], "republican": 3, "regional": 39, "district": 48, "KZ": 90}
YEAR = [f"2026-{m:02}" for m in range(1, 13)]
QUARTERS = ["2026-03", "2026-06", "2026-09", "2026-12"]
COLUMNS = ("value", "numerator", "denominator", "sample_size", "counted", "applicable", "state", "obs_status", "reason",
           "definition_version", "as_of_seq", "valid_from_seq")  # fmt: skip

few = settings(max_examples=4, deadline=None, derandomize=True, database=None,
               suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])  # fmt: skip


def rolled(store: Store, code: str, kind: str, area: str, period: str) -> dict[str, Any]:
    """The current value of an area, its reason as the English sentence; there must be exactly one open row."""
    rows = store.con.execute(
        f"SELECT {', '.join(COLUMNS)} FROM kpi.rollup "
        "WHERE (kpi_code, area_kind, area, period_id) = (?, ?, ?, ?) AND valid_to_seq IS NULL",
        [code, kind, area, period],
    ).fetchall()
    assert len(rows) == 1, f"{len(rows)} open rows for {code} {kind} {area} {period}"
    found = dict(zip(COLUMNS, rows[0], strict=True))
    return found | {"reason": rendered(found["reason"], "en")}


def parts(found: Mapping[str, Any]) -> tuple[Any, ...]:
    """Value, numerator, denominator, cells with and cells that should have a value, state."""
    names = ("value", "numerator", "denominator", "counted", "applicable")
    return (*(exact(found[n]) for n in names), found["obs_status"])


def of(store: Store, code: str, kind: str, area: str, period: str) -> tuple[Any, ...]:
    return parts(rolled(store, code, kind, area, period))


def everything(store: Store, what: str = "*") -> list[tuple[Any, ...]]:
    return store.con.execute(f"SELECT {what} FROM kpi.rollup ORDER BY ALL").fetchall()


def appeals(kato: str, in_time: int, late: int, month: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Appeals of a settlement that fall due in a month of 2026."""
    due = AT(2026, month, 10)
    return [
        {
            "kato": kato,
            "appeal_id": f"{kato} {month} {n}",
            "due_at": due,
            "closed_at": due + dt.timedelta(days=n >= in_time),
            "status": "CLOSED",
        }
        | more
        for n in range(in_time + late)
    ]


def answered(kato: str, *days: int, month: int = 1) -> list[dict[str, Any]]:
    """Appeals first answered in a month of 2026, so many days after they came."""
    at = AT(2026, month, 28)
    return [
        {"kato": kato, "first_answer_at": at, "registered_at": at - dt.timedelta(days=d), "is_emergency": False}
        for d in days
    ]


def country(store: Store, rows: Sequence[Mapping[str, Any]], period: str = "2026-01", table: str = "fct_appeal") -> int:
    """One delivery for the whole country: who has no rows in it has none, rather than none delivered."""
    return deliver(store, table, Extract(rows, period, "KZ"))[0]


def run(store: Store, months: Sequence[str], catalogue: Catalogues = CATALOGUE, code: str = "MGT02-1") -> Report:
    (report,) = compute(store, catalogue, months, codes=[code], today=LATER)
    return report


# ---- territories: numerators and denominators are summed


def test_a_share_is_the_share_of_all_not_the_mean_of_shares(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1) + appeals(AYAGOZ, 3, 0) + appeals(ASTANA, 0, 3))
    report = run(store, ["2026-01"])
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (80, 4, 5, 2, 2, "A")  # the mean of 50 and 100 is 75
    assert of(store, "MGT02-1", "group", "regional", "2026-01") == (50, 1, 2, 1, 1, "A")
    assert of(store, "MGT02-1", "group", "district", "2026-01") == (100, 3, 3, 1, 1, "A")
    assert of(store, "MGT02-1", "group", "republican", "2026-01") == (0, 0, 3, 1, 1, "A")
    assert of(store, "MGT02-1", "region", ASTANA, "2026-01") == (0, 0, 3, 1, 1, "A")  # a city that is a region
    whole = rolled(store, "MGT02-1", "country", "KZ", "2026-01")
    assert parts(whole) == (50, 4, 8, 3, 3, "A")
    assert (whole["sample_size"], whole["state"], whole["reason"]) == (8, "calculated", None)
    assert (whole["definition_version"], whole["valid_from_seq"], whole["as_of_seq"]) == (1, report.seq, report.seq - 1)
    regions, groups = (
        store.con.execute(
            "SELECT count(*) FROM kpi.rollup WHERE area_kind = ? AND period_id = '2026-01'", [kind]
        ).fetchone()
        for kind in ("region", "group")
    )
    assert (regions, groups) == ((20,), (3,))


def test_a_rate_divides_all_deaths_by_all_people(store: Store) -> None:
    crashes = [
        {"kato": kato, "occurred_at": AT(2025, 3, 1), "deaths_30d": n}
        for kato, n in ((ASTANA, 1), (SEMEY, 2), (AYAGOZ, 50))
    ]
    country(store, crashes, "2025", "fct_crash")
    people = [
        {"kato": kato, "as_of_date": dt.date(2026, 1, 1), "population": n}
        for kato, n in ((ASTANA, 100_000), (SEMEY, 50_000), (ALMATY, 850_000), (AYAGOZ, 1000))
    ]
    country(store, people, "2026-01", "dim_population")
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    # Almaty had no crashes, and its people count; the KPI is not for district towns; 39 of 42 have no population figure
    assert of(store, "SAF04-1", "country", "KZ", "2025") == (Decimal("0.3"), 3, 1_000_000, 3, 42, "U")
    assert of(store, "SAF04-1", "region", ABAI, "2025") == (4, 2, 50_000, 1, 2, "U")
    assert of(store, "SAF04-1", "region", ALMATY, "2025") == (0, 0, 850_000, 1, 1, "A")
    found = rolled(store, "SAF04-1", "group", "district", "2025")
    assert parts(found) == (None, None, None, 0, 0, "M")
    assert (found["state"], found["reason"]) == ("not applicable", "the KPI applies to no cell of it")
    # what is yearly already is not made into a year again
    assert store.con.execute("SELECT DISTINCT area_kind FROM kpi.rollup ORDER BY 1").fetchall() == [
        ("country",), ("group",), ("region",)]  # fmt: skip


def test_a_ratio(store: Store) -> None:
    ratio = APPEALS.model_copy(
        update={
            "kind": Kind.RATIO,
            "unit": "DAY",
            "scale": 1,
            "numerator": APPEALS.numerator.model_copy(
                update={"aggregate": "sum(date_diff('day', due_at, closed_at))", "filter": None}
            ),
        }
    )
    country(store, appeals(SEMEY, 0, 1) + appeals(AYAGOZ, 2, 1))  # 1 day over 1 appeal, 1 day over 3
    run(store, ["2026-01"], changed(CATALOGUE, ratio))
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (Decimal("0.5"), 2, 4, 2, 2, "A")


def test_a_mean_is_over_all_rows_and_exact(store: Store) -> None:
    def hours(kato: str, *values: str) -> list[dict[str, Any]]:
        return [
            {
                "kato": kato,
                "station_id": "1",
                "hour_start": AT(2026, 3, 1, n),
                "pollutant": "PM25",
                "value_ug_m3": Decimal(v),
                "is_valid": True,
            }
            for n, v in enumerate(values)
        ]

    country(store, hours(SEMEY, "0.1", "0.2", "0.3") + hours(KURCHATOV, "1"), "2026", "fct_air_hour")
    compute_one(store, CATALOGUE, "ECO01-1", "2026")
    found = rolled(store, "ECO01-1", "region", ABAI, "2026")
    assert (found["value"], found["numerator"], found["denominator"]) == (0.4, Decimal("1.600000"), 4)
    assert (found["sample_size"], found["counted"], found["applicable"]) == (4, 2, 2)


def test_a_median_is_that_of_all_events_not_of_the_medians(store: Store) -> None:
    country(store, answered(SEMEY, 1, 2, 10) + answered(AYAGOZ, 20))
    run(store, ["2026-01"], code="MGT02-2")
    assert [cell(store, "MGT02-2", "2026-01", kato)["value"] for kato in (SEMEY, AYAGOZ)] == [2, 20]
    found = rolled(store, "MGT02-2", "region", ABAI, "2026-01")
    assert found["value"] == 6  # (2 + 10) / 2; the median of the medians is 11
    assert (found["numerator"], found["denominator"], found["sample_size"], found["counted"]) == (None, None, 4, 2)
    assert (found["obs_status"], found["reason"]) == ("U", "made of values that are marked themselves")  # below 30
    assert rolled(store, "MGT02-2", "group", "district", "2026-01")["value"] == 20
    assert rolled(store, "MGT02-2", "country", "KZ", "2026-01")["value"] == 6


def test_a_median_leaves_out_events_of_cells_that_do_not_count(store: Store) -> None:
    """Ayagoz is not one of the KPI's groups: its events are there and are not its region's business."""
    kpi = MEDIAN.model_copy(update={"categories": (Category.REPUBLICAN, Category.REGIONAL)})
    country(store, answered(SEMEY, 1, 2, 10) + answered(AYAGOZ, 20))
    run(store, ["2026-01"], changed(CATALOGUE, kpi), "MGT02-2")
    found = rolled(store, "MGT02-2", "region", ABAI, "2026-01")
    assert (found["value"], found["sample_size"], found["counted"], found["applicable"]) == (2, 3, 1, 1)


# ---- years


def test_the_year_of_a_settlement_puts_its_months_together(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1, 1) + appeals(SEMEY, 3, 0, 7) + appeals(AYAGOZ, 0, 3, 2), "2026")
    run(store, YEAR)
    assert of(store, "MGT02-1", "settlement", SEMEY, "2026") == (80, 4, 5, 2, 2, "A")  # ten months have no appeals
    assert of(store, "MGT02-1", "region", ABAI, "2026") == (50, 4, 8, 3, 3, "A")
    assert of(store, "MGT02-1", "country", "KZ", "2026") == (50, 4, 8, 3, 3, "A")
    found = rolled(store, "MGT02-1", "settlement", ASTANA, "2026")
    assert (found["obs_status"], found["counted"], found["applicable"]) == ("M", 0, 0)
    settled = "SELECT count(*), count(DISTINCT area) FROM kpi.rollup WHERE area_kind = 'settlement'"
    assert store.con.execute(settled).fetchone() == (90, 90)
    assert store.con.execute(
        "SELECT value, period_coverage FROM year_values WHERE (kpi_code, kato, year) = ('MGT02-1', ?, 2026)", [SEMEY]
    ).fetchall() == [(80, 1)]


def test_a_month_that_was_not_delivered_is_counted_against_the_year(store: Store) -> None:
    """November is missing in Semey alone, which delivers for itself."""
    for months in ("2026-01/2026-10", "2026-12"):
        here = [r for m in parse_period(months).months for r in appeals(SEMEY, 1, 0, int(m[-2:]))]
        deliver(store, "fct_appeal", Extract(here, months, SEMEY))
    run(store, YEAR)
    found = rolled(store, "MGT02-1", "settlement", SEMEY, "2026")
    assert parts(found) == (100, 11, 11, 11, 12, "U")
    assert (found["state"], found["reason"]) == ("low coverage", "made of 11 of 12 cells")
    assert of(store, "MGT02-1", "region", ABAI, "2026") == (100, 11, 11, 11, 48, "U")
    assert of(store, "MGT02-1", "region", ABAI, "2026-11") == (None, None, None, 0, 4, "L")
    found = rolled(store, "MGT02-1", "settlement", ASTANA, "2026")
    assert (found["obs_status"], found["reason"]) == ("L", "none of 12 cells has a value")


def test_months_nobody_computed_do_not_make_a_whole_year(store: Store) -> None:
    """December alone, though all were delivered: a year of one month may not pass for a year of twelve."""
    country(store, [r for m in range(1, 13) for r in appeals(SEMEY, 1, m - 1, m)], "2026")
    run(store, ["2026-12"])
    found = rolled(store, "MGT02-1", "settlement", SEMEY, "2026")
    assert found["counted"] == 1
    assert found["counted"] < found["applicable"]
    assert found["obs_status"] != "A"


def test_a_median_of_a_year_is_that_of_its_events(store: Store) -> None:
    country(store, answered(SEMEY, 1, 2, 10, month=1) + answered(SEMEY, 20, month=12), "2026")
    run(store, YEAR, code="MGT02-2")
    assert rolled(store, "MGT02-2", "settlement", SEMEY, "2026")["value"] == 6


def system(number: str, *, connected: bool, kato: str = ASTANA) -> dict[str, Any]:
    day = dt.date(2021, 1, 1)
    row = {"system_id": number, "kato": kato, "commissioned_at": dt.date(2020, 1, 1)}
    return row | ({"integrated_at": day, "sdu_integrated_at": day} if connected else {})


def register(store: Store, quarter: str, connected: int, alone: int) -> None:
    """The register of Astana's systems as it stands at the end of a quarter."""
    last = dt.datetime.combine(parse_period(quarter).end, dt.time()) - dt.timedelta(days=1)
    rows = [system(f"{n}", connected=n < connected) | {"last_delivery_at": last} for n in range(connected + alone)]
    deliver(store, "dim_information_system", Extract(rows, quarter))


def test_of_a_register_the_year_is_its_last_quarter(store: Store) -> None:
    for quarter, connected, alone in (("2026-Q1", 4, 0), ("2026-Q2", 3, 1), ("2026-Q3", 2, 2), ("2026-Q4", 1, 3)):
        register(store, quarter, connected, alone)
    run(store, QUARTERS, code="MGT01-1")
    assert [cell(store, "MGT01-1", f"2026-Q{n}")["value"] for n in range(1, 5)] == [100, 75, 50, 25]
    assert of(store, "MGT01-1", "settlement", ASTANA, "2026") == (25, 1, 4, 1, 1, "A")
    assert of(store, "MGT01-1", "group", "republican", "2026") == (25, 1, 4, 1, 3, "U")


def test_a_register_is_not_carried_forward(store: Store) -> None:
    """The last quarter came, was computed, and had no delivery: the third is not the year's."""
    register(store, "2026-Q3", 4, 0)
    run(store, ["2026-09"], code="MGT01-1")
    found = rolled(store, "MGT01-1", "settlement", ASTANA, "2026")
    assert parts(found) == (None, None, None, 0, 0, "L")
    assert found["reason"] == "the year is not over: its closing period has not been computed"
    run(store, ["2026-12"], code="MGT01-1")
    found = rolled(store, "MGT01-1", "settlement", ASTANA, "2026")
    assert parts(found) == (None, None, None, 0, 1, "L")
    assert found["reason"] == "none of 1 cells has a value"
    assert of(store, "MGT01-1", "country", "KZ", "2026") == (None, None, None, 0, 90, "L")


@pytest.mark.parametrize("code", ["MGT02-1", "MGT02-2", "INF03-2"])
def test_the_year_is_what_the_definition_gives_over_the_year(store: Store, code: str) -> None:
    rows = [
        r | {"first_answer_at": r["due_at"], "registered_at": AT(2026, 1, 1), "is_emergency": m % 5 == 0}
        for m in range(1, 13)
        for r in appeals(ASTANA, m % 4, 3, m)
    ]
    permits = [
        {
            "permit_id": str(n),
            "submitted_at": AT(2026, 1, 1),
            "approved_at": AT(2026, 1 + n % 12, 5),
            "status": "APPROVED",
        }
        for n in range(25)
    ]
    deliver(store, "fct_appeal", Extract(rows, "2026"))
    deliver(store, "fct_building_permit", Extract(permits, "2026"))
    kpi = CATALOGUE.latest(code)
    run(store, YEAR if kpi.period == "M" else QUARTERS, code=code)
    found = rolled(store, code, "settlement", ASTANA, "2026")
    span = parse_period("2026")
    expected = evaluate(store, kpi, ASTANA, span.start, span.end, "2026")
    assert expected[0] is not None
    assert tuple(exact(found[n]) for n in ("value", "numerator", "denominator", "sample_size")) == tuple(
        map(exact, expected)
    )


# ---- states


def test_a_year_that_is_not_over_is_provisional(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 0, 1) + appeals(SEMEY, 0, 1, 3), "2026")
    run(store, YEAR[:2])
    found = rolled(store, "MGT02-1", "settlement", SEMEY, "2026")
    assert parts(found) == (100, 1, 1, 1, 1, "P")
    assert (found["state"], found["reason"]) == ("provisional", "the year is not over: values to 2026-02-28")
    assert rolled(store, "MGT02-1", "settlement", ASTANA, "2026")["obs_status"] == "M"
    run(store, YEAR[2:])
    assert of(store, "MGT02-1", "settlement", SEMEY, "2026") == (50, 1, 2, 2, 2, "A")
    assert rolled(store, "MGT02-1", "settlement", ASTANA, "2026")["obs_status"] == "M"


def test_a_leap_year_of_february_ends_on_the_29th(store: Store) -> None:
    country(store, [r | {"due_at": AT(2028, 2, 10)} for r in appeals(SEMEY, 1, 0)], "2028-02")
    run(store, ["2028-02"])
    assert rolled(store, "MGT02-1", "country", "KZ", "2028")["reason"] == "the year is not over: values to 2028-02-29"


def test_values_that_may_still_change_make_a_provisional_one(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1))
    compute_one(store, CATALOGUE, "MGT02-1", "2026-01", today=dt.date(2026, 2, 3))
    found = rolled(store, "MGT02-1", "region", ABAI, "2026-01")
    assert (found["obs_status"], found["value"], found["reason"]) == ("P", 50, "made of provisional values")
    compute_one(store, CATALOGUE, "MGT02-1", "2026-01")  # the window has closed
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (50, 1, 2, 1, 1, "A")


def test_low_coverage_says_of_how_many(store: Store) -> None:
    for kato in (SEMEY, AYAGOZ):
        deliver(store, "fct_appeal", Extract(appeals(kato, 1, 0), "2026-01", kato))
    deliver(store, "fct_appeal", Extract([], "2026-01", SHAR))  # nothing happened there: not applicable
    run(store, ["2026-01"])
    found = rolled(store, "MGT02-1", "region", ABAI, "2026-01")
    assert parts(found) == (100, 2, 2, 2, 3, "U")
    assert (found["state"], found["reason"]) == ("low coverage", "made of 2 of 3 cells")
    assert rolled(store, "MGT02-1", "country", "KZ", "2026-01")["reason"] == "made of 2 of 89 cells"


def test_without_any_value_there_is_none(store: Store) -> None:
    run(store, ["2026-01"])
    for kind, area, count in (("region", ABAI, 4), ("group", "district", 48), ("country", "KZ", 90)):
        found = rolled(store, "MGT02-1", kind, area, "2026-01")
        assert parts(found) == (None, None, None, 0, count, "L")
        assert (found["state"], found["reason"]) == ("not calculable", f"none of {count} cells has a value")


def test_not_applicable_where_all_cells_are(store: Store) -> None:
    kpi = APPEALS.model_copy(update={"categories": (Category.REPUBLICAN, Category.REGIONAL)})
    country(store, appeals(AYAGOZ, 5, 0) + appeals(SEMEY, 0, 1))
    run(store, ["2026-01"], changed(CATALOGUE, kpi))
    assert of(store, "MGT02-1", "group", "district", "2026-01") == (None, None, None, 0, 0, "M")
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (0, 0, 1, 1, 1, "A")  # Ayagoz's five are not counted


def test_a_zero_denominator_is_not_applicable(store: Store) -> None:
    """A ratio's denominator may be nought though rows are there: such a cell does not apply, nor does what is made of them."""
    ratio = APPEALS.model_copy(
        update={
            "kind": Kind.RATIO,
            "unit": "DAY",
            "scale": 1,
            "denominator": APPEALS.numerator.model_copy(
                update={"aggregate": "sum(date_diff('day', due_at, closed_at))", "filter": None}
            ),
        }
    )
    country(store, appeals(SEMEY, 2, 0) + appeals(ASTANA, 1, 2))
    run(store, ["2026-01"], changed(CATALOGUE, ratio))
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (None, None, None, 0, 0, "M")
    assert of(store, "MGT02-1", "country", "KZ", "2026-01") == (Decimal("0.5"), 1, 2, 1, 1, "A")


def test_suppressed_cells_are_counted_and_a_small_sum_is_suppressed_too(store: Store) -> None:
    catalogue = changed(CATALOGUE, APPEALS.model_copy(update={"minimum_cell": 10}))
    country(store, appeals(SEMEY, 2, 2) + appeals(KURCHATOV, 4, 0) + appeals(AYAGOZ, 0, 4))
    run(store, ["2026-01"], catalogue)
    assert [cell(store, "MGT02-1", "2026-01", k)["obs_status"] for k in (SEMEY, KURCHATOV, AYAGOZ)] == ["Q"] * 3
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (50, 6, 12, 3, 3, "A")
    found = rolled(store, "MGT02-1", "group", "regional", "2026-01")
    assert (found["value"], found["obs_status"], found["state"]) == (None, "Q", "suppressed")
    assert found["reason"] == "fewer than 10 observations: too few to publish"
    assert (found["counted"], found["applicable"]) == (2, 2)
    shown = store.con.execute(
        "SELECT value, numerator, denominator FROM rollups WHERE (area, period_id) = ('regional', '2026-01')"
    ).fetchall()
    assert shown == [(None, None, None)]


def test_a_suppressed_sum_hides_its_sample_as_a_suppressed_cell_does(store: Store) -> None:
    catalogue = changed(CATALOGUE, APPEALS.model_copy(update={"minimum_cell": 10}))
    country(store, appeals(SEMEY, 2, 2))
    run(store, ["2026-01"], catalogue)
    for view, place in (("kpi_values", f"kato = '{SEMEY}'"), ("rollups", f"area = '{ABAI}' AND period_id = '2026-01'")):
        found = store.con.execute(f"SELECT obs_status, sample_size FROM {view} WHERE {place}").fetchall()
        assert found == [("Q", None)], view


def second_version(day: dt.date, **update: Any) -> tuple[Kpi, Kpi]:
    return (
        APPEALS.model_copy(update={"valid_to": day}),
        APPEALS.model_copy(update={"version": 2, "valid_from": day, "change_note": "Another meaning."} | update),
    )


def test_a_year_of_two_definitions_is_a_series_break(store: Store) -> None:
    forgiving = APPEALS.numerator.model_copy(update={"filter": "closed_at <= due_at + interval 1 day"})
    catalogue = changed(CATALOGUE, *second_version(dt.date(2026, 7, 1), numerator=forgiving))
    country(store, appeals(SEMEY, 1, 1, 6) + appeals(SEMEY, 1, 1, 7) + appeals(AYAGOZ, 1, 1, 8), "2026")
    run(store, YEAR, catalogue)
    found = rolled(store, "MGT02-1", "settlement", SEMEY, "2026")
    assert parts(found) == (75, 3, 4, 2, 2, "B")
    assert (found["state"], found["definition_version"]) == ("series break", 2)
    assert found["reason"] == "made of values by 2 versions of the definition"
    assert of(store, "MGT02-1", "settlement", AYAGOZ, "2026") == (100, 2, 2, 1, 1, "A")  # only the new one counted
    assert rolled(store, "MGT02-1", "region", ABAI, "2026")["obs_status"] == "B"
    assert rolled(store, "MGT02-1", "region", ABAI, "2026-06")["definition_version"] == 1


def test_a_region_is_computed_by_the_version_of_its_cells(store: Store) -> None:
    """Since February the KPI is published per thousand: January stays a percentage, also when it is corrected later."""
    catalogue = changed(CATALOGUE, *second_version(dt.date(2026, 2, 1), scale=1000, unit="PER_1000"))
    country(store, appeals(SEMEY, 1, 1, 1) + appeals(SEMEY, 1, 3, 2), "2026-01/2026-02")
    run(store, ["2026-01", "2026-02"], catalogue)
    assert cell(store, "MGT02-1", "2026-01", SEMEY)["value"] == 50
    assert cell(store, "MGT02-1", "2026-02", SEMEY)["value"] == 250
    assert of(store, "MGT02-1", "region", ABAI, "2026-02") == (250, 1, 4, 1, 1, "A")
    assert of(store, "MGT02-1", "region", ABAI, "2026-01") == (50, 1, 2, 1, 1, "A")


def test_months_out_of_season_are_not_applicable(store: Store) -> None:
    season = Season(months=(10, 11, 12, 1, 2, 3, 4), name=Text(en="heating season", ru="отопительный сезон"))  # type: ignore[call-arg]
    catalogue = changed(CATALOGUE, APPEALS.model_copy(update={"season": season}))
    # Semey has appeals in every month, those of the summer late; October was not delivered
    for months in ("2026-01/2026-09", "2026-11/2026-12"):
        rows = [r for m in parse_period(months).months for r in appeals(SEMEY, *((0, 9) if "05" <= m[5:] <= "09" else (1, 0)), month=int(m[5:]))]  # fmt: skip
        deliver(store, "fct_appeal", Extract(rows, months, SEMEY))
    run(store, YEAR[:8], catalogue)
    found = cell(store, "MGT02-1", "2026-07", SEMEY)
    assert (found["obs_status"], found["reason"]) == ("M", "outside the heating season")
    assert of(store, "MGT02-1", "region", ABAI, "2026-07") == (None, None, None, 0, 0, "M")
    assert of(store, "MGT02-1", "country", "KZ", "2026-08") == (None, None, None, 0, 0, "M")
    found = rolled(store, "MGT02-1", "settlement", SEMEY, "2026")
    assert parts(found) == (100, 4, 4, 4, 4, "P")
    assert found["reason"] == "the year is not over: values to 2026-08-31"
    run(store, YEAR[8:], catalogue)
    assert of(store, "MGT02-1", "settlement", SEMEY, "2026") == (100, 6, 6, 6, 7, "U")  # not 6 of 12


# ---- restatement


def test_one_cell_restates_exactly_what_lies_above_it(store: Store) -> None:
    deliver(store, "fct_appeal", *(Extract(appeals(k, 1, 1), "2026-01", k) for k in (SEMEY, KURCHATOV, ASTANA)))
    first = run(store, ["2026-01"])
    before = everything(store)
    assert {row[-2:] for row in before} == {(first.seq, None)}
    deliver(store, "fct_appeal", Extract(appeals(SEMEY, 2, 0), "2026-01", SEMEY))
    second = run(store, [])  # no month is asked for: the cell is found by itself
    assert (second.cells, second.restated) == (1, 1)
    above = [("country", "KZ", "2026"), ("country", "KZ", "2026-01"), ("group", "regional", "2026"), ("group", "regional", "2026-01"),
             ("region", ABAI, "2026"), ("region", ABAI, "2026-01"), ("settlement", SEMEY, "2026")]  # fmt: skip
    place = "area_kind, area, period_id"
    for where in (f"valid_to_seq = {second.seq}", f"valid_from_seq = {second.seq}"):
        assert store.con.execute(f"SELECT {place} FROM kpi.rollup WHERE {where} ORDER BY ALL").fetchall() == above
    assert store.con.execute(
        "SELECT numerator::INT, valid_from_seq, valid_to_seq FROM kpi.rollup WHERE (area, period_id) = (?, '2026-01') ORDER BY 2",
        [ABAI],
    ).fetchall() == [(2, first.seq, second.seq), (3, second.seq, None)]
    assert of(store, "MGT02-1", "country", "KZ", "2026-01") == (exact("66.666667"), 4, 6, 3, 90, "U")
    kept = [row for row in everything(store) if (row[1], row[2], row[3]) not in above]
    assert kept == [row for row in before if (row[1], row[2], row[3]) not in above]
    assert (
        store.con.execute(
            f"SELECT {place}, count(*) FROM kpi.rollup WHERE valid_to_seq IS NULL GROUP BY ALL HAVING count(*) > 1"
        ).fetchall()
        == []
    )


def test_former_values_follow_each_other_without_a_gap(store: Store) -> None:
    seqs = []
    for in_time in (0, 1, 2, 1):
        deliver(store, "fct_appeal", Extract(appeals(SEMEY, in_time, 2 - in_time), "2026-01", SEMEY))
        seqs.append(run(store, ["2026-01"]).seq)
    for area in (SEMEY, ABAI, "regional", "KZ"):
        found = store.con.execute(
            "SELECT value, valid_from_seq, valid_to_seq FROM kpi.rollup WHERE (area, period_id) = (?, '2026') ORDER BY 2",
            [area],
        ).fetchall()
        assert found == list(zip((0, 50, 100, 50), seqs, [*seqs[1:], None], strict=True))


def test_nothing_is_written_when_nothing_changed(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1))
    run(store, ["2026-01"])
    before = everything(store)
    assert run(store, ["2026-01"]).written == 0
    country(store, appeals(SEMEY, 1, 1))  # the same again
    run(store, ["2026-01"])
    assert everything(store) == before


def test_an_area_whose_value_stays_is_left_alone(store: Store) -> None:
    """A late appeal moves from one town to its neighbour: both are restated, and nothing above them."""
    country(store, appeals(SEMEY, 1, 2) + appeals(KURCHATOV, 1, 1))
    first = run(store, ["2026-01"])
    country(store, appeals(SEMEY, 1, 1) + appeals(KURCHATOV, 1, 2))
    second = run(store, ["2026-01"])
    assert second.restated == 2
    written = "SELECT area_kind, area FROM kpi.rollup WHERE valid_from_seq = ? ORDER BY ALL"
    assert store.con.execute(written, [second.seq]).fetchall() == [("settlement", SEMEY), ("settlement", KURCHATOV)]
    assert rolled(store, "MGT02-1", "region", ABAI, "2026-01")["valid_from_seq"] == first.seq


def test_a_median_is_restated_though_the_count_stays(store: Store) -> None:
    country(store, answered(SEMEY, 1, 2, 10) + answered(AYAGOZ, 20))
    run(store, ["2026-01"], code="MGT02-2")
    country(store, answered(SEMEY, 1, 4, 10) + answered(AYAGOZ, 20))
    run(store, ["2026-01"], code="MGT02-2")
    assert rolled(store, "MGT02-2", "region", ABAI, "2026-01")["value"] == 7


def test_other_kpis_are_left_alone(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1) + answered(SEMEY, 3))
    compute(store, CATALOGUE, ["2026-01"], codes=["MGT02-1", "MGT02-2"], today=LATER)
    before = [row for row in everything(store) if row[0] == "MGT02-2"]
    assert before
    country(store, appeals(SEMEY, 2, 0) + answered(SEMEY, 5))
    run(store, ["2026-01"])
    assert [row for row in everything(store) if row[0] == "MGT02-2"] == before


def test_both_kpis_in_one_run_come_out_as_each_alone(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1) + answered(AYAGOZ, 3, 4) + answered(ASTANA, 9))
    what = "* EXCLUDE (as_of_seq, valid_from_seq)"
    for code in ("MGT02-1", "MGT02-2"):
        run(store, ["2026-01"], code=code)
    alone = everything(store, what)
    with store.transaction():
        for table in ("kpi.value", "kpi.rollup", "kpi.computation"):
            store.con.execute(f"DELETE FROM {table}")
    compute(store, CATALOGUE, ["2026-01"], codes=["MGT02-1", "MGT02-2"], today=LATER)
    assert everything(store, what) == alone


# ---- whatever the rows are

PLACES = (SEMEY, KURCHATOV, AYAGOZ, SHAR, ASTANA, ALMATY)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(PLACES), st.integers(1, 3), st.booleans(), st.integers(0, 40)),
        min_size=6,
        max_size=30,
    ),
    data=st.data(),
)
@few
def test_regions_and_groups_add_up_to_the_country_in_any_order(
    store: Store, rows: list[tuple[str, int, bool, int]], data: st.DataObject
) -> None:
    made = [
        {
            "kato": kato,
            "appeal_id": str(n),
            "due_at": AT(2026, month, 10),
            "closed_at": AT(2026, month, 10 + late),
            "status": "CLOSED",
            "registered_at": AT(2026, month, 1),
            "first_answer_at": AT(2026, month, 1) + dt.timedelta(hours=hours),
            "is_emergency": False,
        }
        for n, (kato, month, late, hours) in enumerate(rows)
    ]

    def all_of(some: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        empty(store)
        country(store, some, "2026-Q1")
        compute(store, CATALOGUE, YEAR[:3], codes=["MGT02-1", "MGT02-2"], today=LATER)
        return everything(store, "* EXCLUDE (as_of_seq, valid_from_seq)")

    found = all_of(made)
    assert len(found) == 2 * ((20 + 3 + 1) * 4 + 90)
    sums: dict[tuple[str, str, str], tuple[Any, ...]] = {}
    # kpi, kind, area, period, start, value, its bounds, rows rejected and with a gap, numerator, denominator, sample, counted, applicable
    for key, some in groupby(sorted(found, key=lambda r: (r[0], r[1], r[3])), key=lambda r: (r[0], r[1], r[3])):
        listed = list(some)
        sums[key] = tuple(sum(r[i] or 0 for r in listed) for i in (10, 11, 12, 13, 14))
        if key[0] == "MGT02-1":
            assert all(r[5] is None or 0 <= r[5] <= 100 for r in listed)
            assert all((r[5] is None) == (r[13] == 0) for r in listed)
    for code in ("MGT02-1", "MGT02-2"):
        for period in ("2026-01", "2026-02", "2026-03", "2026"):
            whole = sums[code, "country", period]
            assert sums[code, "region", period] == sums[code, "group", period] == whole
            assert whole[2] == sum(period in ("2026", f"2026-{month:02}") for _, month, _, _ in rows)
        assert sums[code, "settlement", "2026"] == sums[code, "country", "2026"]
    late = sum(late for _, _, late, _ in rows)
    assert sums["MGT02-1", "country", "2026"][:2] == (len(rows) - late, len(rows))
    assert all_of(data.draw(st.permutations(made))) == found


# ---- explained


def test_areas_are_found_by_code_and_name(store: Store) -> None:
    assert find_area(store, "kz") == ("country", "KZ", "Kazakhstan", "Казахстан", "Қазақстан")
    group = find_area(store, "Regional")
    assert group is not None
    assert group[:3] == ("group", "regional", "cities of regional significance")
    for text in (ABAI, "10", "Abai Region", "abai region", "область Абай", "Абай облысы"):
        assert find_area(store, text) == ("region", ABAI, "Abai Region", "область Абай", "Абай облысы"), text
    for text in (ASTANA, "Astana", "71", SEMEY, "Semey", "nowhere", ""):  # a city, though it is a region as well
        assert find_area(store, text) is None, text


def test_explain_lists_the_cells_an_area_is_made_of(store: Store) -> None:
    country(store, appeals(SEMEY, 1, 1) + appeals(AYAGOZ, 3, 0) + appeals(ASTANA, 0, 3))
    deliver(store, "fct_appeal", Extract(appeals(SEMEY, 1, 0, 2), "2026-02", SEMEY))
    run(store, ["2026-01", "2026-02"])

    def asked(where: str, period: str = "2026-01") -> tuple[tuple[str, str], Any, list[tuple[str, str, Any]]]:
        found = explain(store, CATALOGUE, "MGT02-1", where, period)
        members = [(m["kato"], m["period_id"], m["value"]) for m in found["members"]]
        assert found["applicable"] == len(members)
        assert found["counted"] == sum(m["value"] is not None for m in found["members"])
        assert sum(m["numerator"] or 0 for m in found["members"]) == (found["numerator"] or 0)
        assert sum(m["denominator"] or 0 for m in found["members"]) == (found["denominator"] or 0)
        return (found["area"]["kind"], found["area"]["code"]), found["value"], members

    semey, ayagoz, astana = (SEMEY, "2026-01", 50), (AYAGOZ, "2026-01", 100), (ASTANA, "2026-01", 0)
    assert asked("KZ") == (("country", "KZ"), 50, [semey, ayagoz, astana])
    assert asked("Abai Region") == (("region", ABAI), 80, [semey, ayagoz])
    assert asked("district") == (("group", "district"), 100, [ayagoz])
    assert asked("Semey", "2026") == (("settlement", SEMEY), 66.666667, [semey, (SEMEY, "2026-02", 100)])
    others = [
        (k, "2026-02", None) for k in (KURCHATOV, AYAGOZ, SHAR)
    ]  # not delivered: they are listed, without a value
    year = [semey, (SEMEY, "2026-02", 100), ayagoz, *others]
    assert asked("10", "2026") == (("region", ABAI), 83.333333, year)
    found = explain(store, CATALOGUE, "MGT02-1", "Abai Region", "2026-01")
    assert (found["kpi"]["code"], found["state"], found["period"]["end"]) == ("MGT02-1", "calculated", dt.date(2026, 1, 31))  # fmt: skip
    assert found["method"] == "sum of numerators over sum of denominators"
    assert found["members"][0]["name_en"] == "Semey"
    with pytest.raises(UnknownError, match="MGT02-1 has not been computed for Abai Region and 2026-03; run: qala run"):
        explain(store, CATALOGUE, "MGT02-1", "Abai Region", "2026-03")


def test_explain_lists_the_last_quarter_of_a_register_only(store: Store) -> None:
    for quarter in ("2026-Q1", "2026-Q4"):
        register(store, quarter, 1, 1)
    run(store, QUARTERS, code="MGT01-1")
    found = explain(store, CATALOGUE, "MGT01-1", "Astana", "2026")
    assert [(m["kato"], m["period_id"], m["value"]) for m in found["members"]] == [(ASTANA, "2026-Q4", 50)]
    assert (found["counted"], found["applicable"], found["value"]) == (1, 1, 50)


def test_explain_of_a_median_says_that_events_were_put_together(store: Store) -> None:
    country(store, answered(SEMEY, 1, 2, 10) + answered(AYAGOZ, 20))
    run(store, ["2026-01"], code="MGT02-2")
    found = explain(store, CATALOGUE, "MGT02-2", "KZ", "2026-01")
    assert (found["value"], found["method"]) == (6, "quantile over the events of all of them")
    assert [(m["kato"], m["value"]) for m in found["members"]] == [(SEMEY, 2), (AYAGOZ, 20)]


def test_a_yearly_kpi_of_a_settlement_is_explained_as_a_cell(store: Store) -> None:
    country(store, [], "2025", "fct_crash")
    compute_one(store, CATALOGUE, "SAF04-1", "2025")
    assert "members" not in explain(store, CATALOGUE, "SAF04-1", "Semey", "2025")
    assert "members" in explain(store, CATALOGUE, "SAF04-1", "KZ", "2025")


# ---- suppression: what is too small cannot be worked out from what is published


def suppressing(store: Store, cells: Mapping[str, int], least: int = 5, months: int = 1) -> list[dict[str, Any]]:
    """Compute with a least cell; `cells`: appeals by settlement and month, \"KATO\" or \"KATO MONTH\". Returns the sums that are published."""
    catalogue = changed(CATALOGUE, APPEALS.model_copy(update={"minimum_cell": least}))
    for month in range(1, months + 1):
        rows = [
            row
            for place, count in cells.items()
            for kato, _, own in [place.partition(" ")]
            if int(own or 1) == month
            for row in appeals(kato, count, 0, month)
        ]
        country(store, rows, f"2026-{month:02}")
    run(store, YEAR[:months], catalogue)
    found = store.con.execute(
        "SELECT area_kind, area, period_id, obs_status FROM kpi.rollup WHERE valid_to_seq IS NULL"
    ).fetchall()
    return [dict(zip(("kind", "area", "period", "status"), row, strict=True)) for row in found]


def derivable(store: Store, least: int) -> list[str]:
    """Suppressed cells that follow from all that the views show, by exact elimination: written without the code under test."""
    cells = store.con.execute(
        "SELECT v.kato, period_id, sample_size, obs_status, region_kato, item7_group FROM kpi.value v JOIN registry.settlement USING (kato) "
        "WHERE valid_to_seq IS NULL AND obs_status <> 'M'"
    ).fetchall()
    hidden = [(kato, period) for kato, period, _, status, *_ in cells if status == "Q"]
    equations = []
    for kind, area, period in store.con.execute(
        "SELECT area_kind, area, period_id FROM rollups WHERE state <> 'suppressed' AND numerator IS NOT NULL"
    ).fetchall():
        inside = {
            (kato, own)
            for kato, own, _, _, region, group in cells
            if area == {"settlement": kato, "region": region, "group": group, "country": "KZ"}[kind]
            and own[: len(period)] == period
        }
        equations.append([Fraction(int(cell in inside)) for cell in hidden])
    solved, pivot = equations, 0
    for column in range(len(hidden)):
        found = next((n for n in range(pivot, len(solved)) if solved[n][column]), None)
        if found is None:
            continue
        solved[pivot], solved[found] = solved[found], solved[pivot]
        solved[pivot] = [x / solved[pivot][column] for x in solved[pivot]]
        for n, row in enumerate(solved):
            if n != pivot and row[column]:
                solved[n] = [x - row[column] * y for x, y in zip(row, solved[pivot], strict=True)]
        pivot += 1
    alone = [row for row in solved if sum(map(bool, row)) == 1]
    return [" ".join(hidden[next(n for n, x in enumerate(row) if x)]) for row in alone]


def test_a_region_is_withheld_from_which_a_cell_elsewhere_would_follow(store: Store) -> None:
    """Two small cells in one region, one in another: each region may be published alone, the country and the first together may not."""
    found = suppressing(store, {SEMEY: 4, AYAGOZ: 3, KURCHATOV: 50, ALMATY: 3, ASTANA: 90})
    status = {(f["kind"], f["area"]): f["status"] for f in found if f["period"] == "2026-01"}
    assert status["country", "KZ"] == "A"
    assert status["region", ABAI] == "Q"
    reason = store.con.execute(
        "SELECT reason_en FROM rollups WHERE area = ? AND period_id = '2026-01'", [ABAI]
    ).fetchall()
    assert reason == [("a suppressed cell in it could be worked out from it and other sums",)]
    assert derivable(store, 5) == []


def test_few_cells_that_together_are_too_small_are_not_given_away(store: Store) -> None:
    found = suppressing(store, {SEMEY: 1, AYAGOZ: 2, KURCHATOV: 50, ASTANA: 90})
    assert {f["status"] for f in found if f["area"] in {"KZ", ABAI}} == {"Q"}
    assert {f["status"] for f in found if f["area"] == "republican" and f["period"] == "2026-01"} == {"A"}


def test_a_later_cell_withholds_what_was_published_before(store: Store) -> None:
    cells = {SEMEY: 4, AYAGOZ: 3, KURCHATOV: 50, ASTANA: 90}
    found = suppressing(store, cells)
    assert [f["status"] for f in found if f["area"] == ABAI and f["period"] == "2026-01"] == ["A"]
    found = suppressing(store, cells | {ALMATY: 3})  # the year is delivered anew, with one settlement more
    assert [f["status"] for f in found if f["area"] == ABAI and f["period"] == "2026-01"] == ["Q"]
    assert derivable(store, 5) == []


PLACES = (SEMEY, KURCHATOV, AYAGOZ, SHAR, ASTANA, ALMATY)


@few
@given(counts=st.lists(st.integers(0, 9), min_size=3 * len(PLACES), max_size=3 * len(PLACES)))
def test_no_suppressed_cell_can_be_worked_out(store: Store, counts: list[int]) -> None:
    empty(store)
    places = [f"{kato} {month}" for kato in PLACES for month in (1, 2, 3)]
    suppressing(store, dict(zip(places, counts, strict=True)), months=3)
    assert derivable(store, 5) == []
