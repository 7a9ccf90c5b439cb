"""Bounds of a value: rows lost at the gate are counted for and against it, by the period they fall into and not by how the file was cut."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import fingerprint
from tests.support.rows import LATER, Extract, changed, compute_one, deliver, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.explain import explain
from warehouse.audit.reperform import reperform
from warehouse.kpi_values.compute import compute
from warehouse.store.recorded import _values
from warehouse.store.store import Store

CODES = ("MGT02-1", "MGT02-2", "ECO01-1", "ECB03-1", "SAF03-2", "SAF04-1", "SAF04-2", "SOC02-1", "HCS02-1")
CATALOGUE = only(load_catalogues(), *CODES)
AT = dt.datetime
pytestmark = pytest.mark.usefixtures("made_again")


TENTH = AT(2026, 1, 10)


def appeals(count: int, late: int = 0, day: AT = TENTH, **more: Any) -> list[dict[str, Any]]:
    return [
        {"due_at": day, "closed_at": day + dt.timedelta(days=n < late), "status": "CLOSED", **more}
        for n in range(count)
    ]


def reject(
    store: Store,
    delivery: int,
    *rules: str,
    kato: str | None = ASTANA,
    column: str | None = None,
    first: int = 1000,
    **moments: Any,
) -> None:
    """Rows of a delivery that the gate took out, as audit.rejected_row has them; `column`: only that cell of them."""
    text = json.dumps({c: str(t) for c, t in moments.items()}) if moments else None
    store.insert("audit.rejected_row", ["delivery_id", "row_no", "column_name", "rule", "kato", "moments", "raw"],
                 [(delivery, first + n, column, rule, kato, text, "{}") for n, rule in enumerate(rules)])  # fmt: skip


def found(store: Store, code: str, period: str, kato: str = ASTANA) -> tuple[Any, ...]:
    """Value, its bounds, rows rejected, rows with a gap, and the state of a cell."""
    (row,) = store.con.execute(
        "SELECT value, value_low, value_high, rejected_rows, gap_rows, obs_status FROM kpi.value "
        "WHERE (kpi_code, period_id, kato) = (?, ?, ?) AND valid_to_seq IS NULL", [code, period, kato]
    ).fetchall()  # fmt: skip
    return tuple(row)


def reason(store: Store, code: str, period: str, kato: str = ASTANA) -> str:
    rows = store.con.execute(
        "SELECT text_en FROM kpi.value LEFT JOIN registry.message ON message = reason "
        "WHERE (kpi_code, period_id, kato) = (?, ?, ?) AND valid_to_seq IS NULL", [code, period, kato]
    ).fetchall()  # fmt: skip
    return str(rows[0][0])


def run(store: Store, code: str, period: str, catalogue: Any = CATALOGUE) -> None:
    compute_one(store, catalogue, code, period)


# ---- shares of counts


def test_without_lost_rows_the_bounds_are_the_value(store: Store) -> None:
    deliver(store, "fct_appeal", Extract(appeals(8, 2), "2026-01"))
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (75, 75, 75, 0, 0, "A")
    assert found(store, "MGT02-1", "2026-01", ALMATY) == (None, None, None, 0, 0, "L")


def test_rejected_rows_are_counted_for_and_against(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(298, 8), "2026-01"))
    reject(store, number, "closed-after-registered", "status-domain", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (97.315436, 96.666667, 97.333333, 2, 0, "A")


def test_bounds_wider_than_a_point_mark_the_value_and_say_why(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(48, 12), "2026-01"))
    reject(store, number, "status-domain", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (75, 73.469388, 75.510204, 1, 0, "U")
    assert (
        reason(store, "MGT02-1", "2026-01")
        == "rows of its period: 1 rejected (status-domain); with them it lies between 73.469388 and 75.510204"
    )


@pytest.mark.parametrize(("tolerance", "state"), [(None, "U"), (2.0, "U"), (2.05, "A"), (0.0, "U")])
def test_the_definition_may_tolerate_more_or_less(store: Store, tolerance: float | None, state: str) -> None:
    kpi = CATALOGUE.latest("MGT02-1")
    other = kpi.model_copy(update={"tolerance": tolerance})
    assert (fingerprint(other) == fingerprint(kpi)) == (tolerance is None)
    (number,) = deliver(store, "fct_appeal", Extract(appeals(48, 12), "2026-01"))
    reject(store, number, "status-domain", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01", changed(CATALOGUE, other))
    assert found(store, "MGT02-1", "2026-01")[5] == state


@pytest.mark.parametrize(("target", "state"), [(97.3, "U"), (96.66, "A"), (97.333333, "U"), (99, "A")])
def test_a_target_between_the_bounds_marks_the_value(store: Store, target: float, state: str) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(298, 8), "2026-01"))
    reject(store, number, "a", "b", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01")[5] == "A"
    deliver(store, "fct_kpi_target", Extract([{  # the cell is asked for again because of its target
        "document_id": "S", "document_version": 1, "kpi_code": "MGT02-1", "target_year": 2026, "document_kind": "STRATEGY",
        "target_value": Decimal(str(target)),
    }], "2026"))  # fmt: skip
    compute(store, CATALOGUE, ["2025-03"], codes=["MGT02-1"], today=LATER)
    assert found(store, "MGT02-1", "2026-01")[5] == state
    assert (f"on both sides of the target {target}" in reason(store, "MGT02-1", "2026-01")) == (state == "U")


def test_the_period_of_the_row_counts_and_not_how_the_file_was_cut(store: Store) -> None:
    months = [appeals(25, day=AT(2025, month, 10)) for month in range(1, 13)]
    (whole,) = deliver(store, "fct_appeal", Extract([row for month in months for row in month], "2025"))
    numbers = deliver(
        store, "fct_appeal", *(Extract(month, f"2025-{n:02}", ALMATY) for n, month in enumerate(months, 1))
    )
    reject(store, whole, "status-domain", due_at="2025-03-20 10:00:00")
    reject(store, numbers[2], "status-domain", kato=ALMATY, due_at="2025-03-20 10:00:00")
    compute(store, CATALOGUE, [f"2025-{n:02}" for n in range(1, 13)], codes=["MGT02-1"], today=LATER)
    for n in range(1, 13):
        ours, theirs = (found(store, "MGT02-1", f"2025-{n:02}", kato) for kato in (ASTANA, ALMATY))
        assert ours == theirs == ((100, 96.153846, 100, 1, 0, "U") if n == 3 else (100, 100, 100, 0, 0, "A"))


def test_a_row_without_a_readable_time_counts_in_every_month_of_its_delivery(store: Store) -> None:
    rows = [row for month in (1, 2) for row in appeals(99, day=AT(2026, month, 10))]
    (number,) = deliver(store, "fct_appeal", Extract(rows, "2026-01/2026-02"))
    reject(store, number, "due_at.type", registered_at="2026-01-05 10:00:00")
    reject(store, number, "due_at.range", first=2000, due_at="3026-01-20 10:00:00")  # the time is what is wrong with it
    compute(store, CATALOGUE, ["2026-01", "2026-02", "2026-03"], codes=["MGT02-1"], today=LATER)
    for period in ("2026-01", "2026-02"):
        assert found(store, "MGT02-1", period)[3:] == (2, 0, "U")
    assert found(store, "MGT02-1", "2026-03")[3:] == (0, 0, "L")


def test_whose_row_it_is(store: Store) -> None:
    (own,) = deliver(store, "fct_appeal", Extract(appeals(99), "2026-01"))
    (country,) = deliver(
        store, "fct_appeal", Extract([a | {"kato": ALMATY} for a in appeals(99)], "2026-01", "KZ", "other")
    )
    when = {"due_at": "2026-01-20 10:00:00"}
    reject(store, own, "scope", kato=ALMATY, **when)  # type: ignore[arg-type]  # in Astana's file it may be Astana's
    reject(store, country, "status-domain", kato=ALMATY, **when)  # type: ignore[arg-type]
    reject(store, country, "scope", kato="199999999", first=2000, **when)  # a village that is not of item 7
    reject(store, country, "columns", kato=None, first=3000)
    reject(store, own, "days", first=3000, **when)  # another delivery has it, or is missing
    run(store, "MGT02-1", "2026-01")
    assert [found(store, "MGT02-1", "2026-01", kato)[3] for kato in (ASTANA, ALMATY)] == [2, 2]


def test_only_what_stands_counts(store: Store) -> None:
    (refused,) = deliver(store, "fct_appeal", Extract([], "2026-01", refused="made up"))
    reject(store, refused, "status-domain", due_at="2026-01-20 10:00:00")
    (first,) = deliver(store, "fct_appeal", Extract(appeals(48), "2026-01"))
    reject(store, first, "status-domain", due_at="2026-02-20 10:00:00")
    deliver(store, "fct_appeal", Extract(appeals(48, day=AT(2026, 2, 10)), "2026-02"))
    compute(store, CATALOGUE, ["2026-01", "2026-02"], codes=["MGT02-1"], today=LATER)
    assert [found(store, "MGT02-1", p)[3:] for p in ("2026-01", "2026-02")] == [(0, 0, "A"), (1, 0, "U")]
    deliver(
        store, "fct_appeal", Extract(appeals(48), "2026-01")
    )  # without the bad row: the month it fell into is computed again
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-02")[3:] == (0, 0, "A")


# ---- cells left empty


def test_a_cell_left_empty_is_uncertain_for_the_kpis_that_read_it(store: Store) -> None:
    rows = [*appeals(99, 1), {"due_at": AT(2026, 1, 10), "closed_at": None, "status": "CLOSED"}]
    (number,) = deliver(store, "fct_appeal", Extract(rows, "2026-01"))
    reject(store, number, "closed_at.type", column="closed_at", first=100)
    reject(store, number, "channel.length", column="channel", first=50)  # nothing here reads it
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (98, 98, 99, 0, 1, "A")


def test_a_cell_left_empty_may_have_counted_for(store: Store) -> None:
    """A business that never closed has survived: if the day it closed could not be read, it may not have."""
    rows = [
        {"second_anniversary_at": dt.date(2025, 5, 1), "closed_at": dt.date(2024, 1, 1) if n < 10 else None}
        for n in range(100)
    ]
    (number,) = deliver(store, "dim_business", Extract(rows, "2025"))
    reject(store, number, "closed_at.type", column="closed_at", first=100)
    run(store, "ECB03-1", "2025")
    assert found(store, "ECB03-1", "2025") == (90, 89, 90, 0, 1, "A")


def test_an_empty_time_may_have_been_any_of_the_delivery(store: Store) -> None:
    rows = [*appeals(199), {"due_at": None, "status": "CLOSED"}]
    (number,) = deliver(store, "fct_appeal", Extract(rows, "2026-01"))
    reject(store, number, "due_at.type", column="due_at", first=200)
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (100, 99.5, 100, 1, 0, "A")


# ---- other kinds


def test_a_rate_of_counts(store: Store) -> None:
    deliver(store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 100000}], "2025"))
    rows = [{"booked_at": AT(2025, 3, 1), "channel": "ONLINE", "status": "HELD"} for _ in range(200)]
    (number,) = deliver(store, "fct_culture_booking", Extract(rows, "2025"))
    reject(store, number, "status-domain", booked_at="2025-04-01 10:00:00")
    run(store, "SOC02-1", "2025")
    assert found(store, "SOC02-1", "2025") == (200, 200, 201, 1, 0, "A")
    (other,) = deliver(store, "fct_culture_booking", Extract([], "2025", system="other"))
    reject(store, other, *"abcdefghij", booked_at="2025-04-01 10:00:00")  # with these more than 5 % of the value
    run(store, "SOC02-1", "2025")
    assert found(store, "SOC02-1", "2025") == (200, 200, 211, 11, 0, "U")


def test_a_figure_that_was_rejected_bounds_nothing(store: Store) -> None:
    (number,) = deliver(
        store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 100000}], "2025")
    )
    deliver(
        store,
        "fct_culture_booking",
        Extract([{"booked_at": AT(2025, 3, 1), "channel": "ONLINE", "status": "HELD"}] * 200, "2025"),
    )
    reject(store, number, "population.range", as_of_date="2026-01-01")
    run(store, "SOC02-1", "2025")
    assert found(store, "SOC02-1", "2025") == (200, None, None, 1, 0, "U")
    assert (
        reason(store, "SOC02-1", "2025") == "rows of its period: 1 rejected (population.range); no bounds can be given"
    )


def test_a_sum_of_what_rows_may_bring(store: Store) -> None:
    """Deaths in a crash are 0 to 999 by the contract; a difference of columns has no range."""
    deliver(store, "dim_population", Extract([{"as_of_date": dt.date(2026, 1, 1), "population": 100000}], "2025"))
    (number,) = deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 5}], "2025"))
    reject(store, number, "deaths_30d.type", occurred_at="2025-04-01 10:00:00")
    run(store, "SAF04-1", "2025")
    (most,) = [
        p["logicalTypeOptions"]["maximum"]
        for p in store.tables["fct_crash"].document.data["schema"][0]["properties"]
        if p["name"] == "deaths_30d"
    ]
    assert found(store, "SAF04-1", "2025") == (5, 5, 5 + most, 1, 0, "U")
    (number,) = deliver(
        store,
        "fct_water_balance",
        Extract([{"period_start_date": dt.date(2026, 1, 1), "supplied_m3": 100, "delivered_m3": 80}], "2026-Q1"),
    )
    reject(store, number, "supplied_m3.range", period_start_date="2026-02-01")
    run(store, "HCS02-1", "2026-Q1")
    assert found(store, "HCS02-1", "2026-Q1") == (20, None, None, 1, 0, "U")


def test_a_mean_over_a_column_with_a_range(store: Store) -> None:
    hours = [
        {
            "station_id": "S",
            "pollutant": "PM25",
            "hour_start": AT(2025, 1, 1) + dt.timedelta(hours=n),
            "value_ug_m3": 20,
            "is_valid": True,
        }
        for n in range(99)
    ]
    (number,) = deliver(store, "fct_air_hour", Extract(hours, "2025"))
    reject(store, number, "value_ug_m3.range", hour_start="2025-02-01 10:00:00")
    run(store, "ECO01-1", "2025")
    assert found(store, "ECO01-1", "2025") == (20, 19.8, 1019.8, 1, 0, "U")


def test_things_counted_once(store: Store) -> None:
    rows = [
        {"section_id": f"R{n}", "listed_at": dt.date(2020, 1, 1), "enforcement_device_active": n < 50}
        for n in range(200)
    ]
    (number,) = deliver(store, "dim_risk_section", Extract(rows, "2026-Q1"))
    reject(store, number, "enforcement_device_active.type", listed_at="2020-01-01")
    reject(store, number, "x", first=2000, listed_at="2026-05-01")  # not in the register's stock at the quarter's end
    run(store, "SAF04-2", "2026-Q1")
    assert found(store, "SAF04-2", "2026-Q1") == (25, 24.875622, 25.5, 1, 0, "A")


def test_a_quantile_lies_between_its_neighbours_in_order(store: Store) -> None:
    rows = [
        {
            "registered_at": AT(2026, 1, 1),
            "first_answer_at": AT(2026, 1, 1) + dt.timedelta(hours=24 * n),
            "is_emergency": False,
        }
        for n in range(1, 32)
    ]
    (number,) = deliver(store, "fct_appeal", Extract(rows, "2026-01"))
    reject(store, number, "status-domain", "status-domain", first_answer_at="2026-01-20 10:00:00")
    run(store, "MGT02-2", "2026-01")
    # 30 answers in January, after 1 to 30 days; the 31st falls into February. With two more below or above them all:
    assert found(store, "MGT02-2", "2026-01") == (15.5, 14.5, 16.5, 2, 0, "U")


# ---- nothing there


def test_rejected_rows_in_place_of_rows_are_not_nothing(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract([], "2026-01"))
    deliver(store, "fct_appeal", Extract([], "2026-01", ALMATY))
    reject(store, number, "due_at.type")
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01") == (None, None, None, 1, 0, "O")
    assert reason(store, "MGT02-1", "2026-01") == (
        "no rows: nothing of fct_appeal falls into the period, but rows that may belong to it: 1 rejected (due_at.type)"
    )
    assert found(store, "MGT02-1", "2026-01", ALMATY)[5] == "M"


def test_an_open_incident_or_a_refusal_is_not_nothing(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract([], "2026-01"))
    columns = ["incident_id", "delivery_id", "table_name", "system", "scope", "period_id", "rule", "criterion", "kind", "observed", "expected", "opened_seq",
               "opened_at"]  # fmt: skip
    store.insert("audit.incident", columns, [(1, number, "fct_appeal", "test", ASTANA, "2026-01", "due-at-known", "completeness", "completeness",
                                              "100 %", "0 %", store.last_seq, dt.datetime.now(dt.UTC))])  # fmt: skip
    run(store, "MGT02-1", "2026-01")
    assert found(store, "MGT02-1", "2026-01")[5] == "O"
    assert "quality criterion not met: fct_appeal 2026-01: completeness (due-at-known)" in reason(
        store, "MGT02-1", "2026-01"
    )


# ---- sums of cells, and the year


def test_rolled_up_the_uncertain_rows_are_counted_together(store: Store) -> None:
    deliver(store, "fct_appeal", *(Extract(appeals(100, 10, AT(2025, n, 10)), f"2025-{n:02}") for n in range(1, 13)))
    (number,) = deliver(store, "fct_appeal", Extract(appeals(200, 30, AT(2025, 3, 10)), "2025-03", ALMATY))
    reject(store, number, "a", kato=ALMATY, due_at="2025-03-20 10:00:00")
    compute(store, CATALOGUE, [f"2025-{n:02}" for n in range(1, 13)], codes=["MGT02-1"], today=LATER)
    rolled = {(kind, area, period): rest for kind, area, period, *rest in store.con.execute(
        "SELECT area_kind, area, period_id, value, value_low, value_high, rejected_rows FROM kpi.rollup WHERE valid_to_seq IS NULL").fetchall()}  # fmt: skip
    assert rolled["country", "KZ", "2025-03"] == [86.666667, 86.378738, 86.710963, 1]
    assert rolled["country", "KZ", "2025"] == [89.285714, 89.221984, 89.293362, 1]
    assert rolled["settlement", ASTANA, "2025"] == [90, 90, 90, 0]
    assert rolled["settlement", ALMATY, "2025"] == [85, 84.577114, 85.074627, 1]


def test_suppressed_values_have_no_bounds_and_their_roll_up_knows_of_them(store: Store) -> None:
    small = changed(
        CATALOGUE, CATALOGUE.latest("MGT02-1").model_copy(update={"minimum_cell": 5, "sensitivity": "restricted"})
    )
    (number,) = deliver(store, "fct_appeal", Extract(appeals(4), "2026-01"))
    deliver(store, "fct_appeal", Extract(appeals(96, 4), "2026-01", ALMATY))
    reject(store, number, "a", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01", small)
    assert found(store, "MGT02-1", "2026-01") == (None, None, None, 1, 0, "Q")
    shown = "SELECT value_low, value_high, rejected_rows, gap_rows FROM {} WHERE kato = ? AND period_id = '2026-01'"
    assert store.con.execute(shown.format("kpi_values"), [ASTANA]).fetchall() == [(None, None, None, None)]
    assert store.con.execute(shown.format("kpi_values"), [ALMATY]).fetchall() == [(95.833333, 95.833333, 0, 0)]
    assert store.con.execute(shown.format("public_values"), [ALMATY]).fetchall() == [(None, None, None, None)]


def test_bounds_that_cannot_be_are_told_by_verify(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(298, 8), "2026-01"))
    deliver(store, "fct_appeal", Extract(appeals(8), "2026-01", ALMATY))
    reject(store, number, "a", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    assert list(_values(store)) == []
    store.con.execute(
        f"BEGIN; UPDATE kpi.value SET value_low = 98 WHERE kato = '{ASTANA}'; UPDATE kpi.value SET value_high = 101 WHERE kato = '{ALMATY}'"
    )
    assert [d.message.split(": ")[1] for d in _values(store)] == [
        "97.315436 does not lie between its bounds 98.0 and 97.324415",
        "100.0 does not lie between its bounds 100.0 and 101.0",
    ]
    store.con.execute("ROLLBACK")


def test_a_falsified_bound_is_found(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(298, 8), "2026-01"))
    reject(store, number, "a", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    store.con.execute("BEGIN; UPDATE kpi.value SET value_low = 97 WHERE rejected_rows > 0")
    assert [(d.what, d.column) for d in reperform(store).differences][:1] == [("value", "value_low")]
    store.con.execute("ROLLBACK")


def test_explain_tells_the_bounds_and_by_which_parts(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract(appeals(298, 8), "2026-01"))
    reject(store, number, "a", "b", due_at="2026-01-20 10:00:00")
    run(store, "MGT02-1", "2026-01")
    told = explain(store, CATALOGUE, "MGT02-1", ASTANA, "2026-01")
    assert {k: float(v) for k, v in told["bounds"].items()} == {
        "low": 96.666667, "high": 97.333333, "rejected_rows": 2, "gap_rows": 0, "numerator_low": 290, "denominator_low": 300,
        "numerator_high": 292, "denominator_high": 300}  # fmt: skip
    assert explain(store, CATALOGUE, "MGT02-1", ASTANA, "2026-02")["bounds"] is None  # not published
    country = explain(store, CATALOGUE, "MGT02-1", "KZ", "2026-01")
    assert (country["value_low"], country["value_high"], country["rejected_rows"]) == (96.666667, 97.333333, 2)
