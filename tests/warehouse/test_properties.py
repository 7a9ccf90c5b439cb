"""What must hold whatever the rows are: made-up data against small models written in Python."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, cell, compute_one, deliver, empty, exact, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.scans import evaluate
from warehouse.periods import Period, add_months, closing_in, parse_period
from warehouse.store.history import as_of
from warehouse.store.sessions import writing
from warehouse.store.store import Store

CATALOGUE = only(load_catalogues(), "MGT02-1", "MGT02-2", "TRL02-2", "ECO01-1")
APPEALS, MEDIAN, TRIPS, AIR = (CATALOGUE.latest(code) for code in ("MGT02-1", "MGT02-2", "TRL02-2", "ECO01-1"))
AT = dt.datetime  # local civil time, as the warehouse keeps it
START = AT(2026, 1, 1)
PLACES = Decimal("0.000001")

few = settings(max_examples=8, deadline=None, derandomize=True, database=None,
               suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])  # fmt: skip
many = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with writing(new_home(tmp_path_factory.mktemp("properties")), hardened=True) as opened:
        yield opened


def of(store: Store, kpi: Any, period: str, kato: str = ASTANA) -> tuple[Decimal | None, ...]:
    """Value, numerator, denominator and sample of a KPI over any period."""
    span = parse_period(period)
    return tuple(exact(v) for v in evaluate(store, kpi, kato, span.start, span.end, period))


# ---- rows

minutes = st.integers(0, 181 * 24 * 60 - 1)  # of the half-year from January to June 2026


@st.composite
def appeals(draw: st.DrawFn) -> dict[str, Any]:
    due = START + dt.timedelta(minutes=draw(minutes)) if draw(st.integers(0, 9)) else None
    closed_after = draw(st.none() | st.sampled_from([-1, 0, 1]) | st.integers(-20000, 20000))  # seconds
    return {
        "due_at": due,
        "closed_at": due + dt.timedelta(seconds=closed_after) if due and closed_after is not None else None,
        "status": draw(st.sampled_from(["OPEN", "CLOSED", "WITHDRAWN"])),
        "registered_at": START,
        "first_answer_at": draw(st.none() | minutes.map(lambda m: START + dt.timedelta(minutes=m))),
        "is_emergency": draw(st.booleans()),
    }


@st.composite
def trips(draw: st.DrawFn) -> dict[str, Any]:
    planned = START + dt.timedelta(minutes=draw(minutes))
    late = draw(st.none() | st.sampled_from([-61, -60, 0, 180, 181]) | st.integers(-600, 600))
    return {
        "planned_departure_at": planned,
        "actual_departure_at": None if late is None else planned + dt.timedelta(seconds=late),
    }


air = st.builds(
    lambda station, hour, value, valid: {
        "station_id": station, "hour_start": START + dt.timedelta(hours=hour), "pollutant": "PM25",
        "value_ug_m3": value, "is_valid": valid and value is not None},
    st.sampled_from("ABC"), st.integers(0, 8759), st.none() | st.decimals(0, 999, places=3), st.booleans())  # fmt: skip


def numbered(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [row | {key: f"row {n}"} for n, row in enumerate(rows)]


def in_span(moment: dt.datetime | None, period: str) -> bool:
    span = parse_period(period)
    return moment is not None and span.start <= moment.date() < span.end


def share(numerator: int, denominator: int) -> tuple[Decimal | None, ...]:
    """A percentage as `evaluate` gives it; of nothing there is none."""
    if not denominator:
        return (None, None, None, Decimal(0))
    value = (Decimal(100 * numerator) / denominator).quantize(PLACES, ROUND_HALF_EVEN)
    return tuple(exact(n) for n in (value, numerator, denominator, denominator))


# ---- values


@given(
    rows=st.lists(appeals(), max_size=25), period=st.sampled_from(["2026-01", "2026-02", "2026-Q1", "2026-Q2", "2026"])
)
@few
def test_appeals_in_time_are_what_a_plain_count_gives(store: Store, rows: list[dict[str, Any]], period: str) -> None:
    empty(store)
    deliver(store, "fct_appeal", Extract(rows, "2026"))
    due = [r for r in rows if in_span(r["due_at"], period) and r["status"] != "WITHDRAWN"]
    found = of(store, APPEALS, period)
    numerator = sum(r["closed_at"] is not None and r["closed_at"] <= r["due_at"] for r in due)
    if due:
        assert found == share(numerator, len(due))
        assert found[0] is not None
        assert 0 <= found[0] <= 100
    else:
        assert found[0] is None
        assert found[3] == 0


@given(rows=st.lists(trips(), min_size=1, max_size=25))
@few
def test_published_shares_lie_within_0_and_100(store: Store, rows: list[dict[str, Any]]) -> None:
    empty(store)
    deliver(store, "fct_trip", Extract(rows, "2026"))
    months = [f"2026-{m:02}" for m in range(1, 7)]
    compute(store, CATALOGUE, months, codes=["TRL02-2"], today=LATER)
    for month in months:
        found = cell(store, "TRL02-2", month)
        planned = [r for r in rows if in_span(r["planned_departure_at"], month)]
        assert found["obs_status"] == ("A" if planned else "M")
        assert found["sample_size"] == len(planned)
        if planned:
            assert 0 <= found["value"] <= 100
            on_time = sum(
                r["actual_departure_at"] is not None
                and -60 <= (r["actual_departure_at"] - r["planned_departure_at"]).total_seconds() <= 180
                for r in planned
            )
            assert (exact(found["numerator"]), exact(found["denominator"])) == (on_time, len(planned))


@given(rows=st.lists(appeals(), max_size=25))
@few
def test_a_median_is_the_middle_answer(store: Store, rows: list[dict[str, Any]]) -> None:
    empty(store)
    deliver(store, "fct_appeal", Extract(rows, "2026"))
    days = [(r["first_answer_at"] - r["registered_at"]).total_seconds() / 86400
            for r in rows if in_span(r["first_answer_at"], "2026-Q1") and not r["is_emergency"]]  # fmt: skip
    value, *_, sample = of(store, MEDIAN, "2026-Q1")
    assert sample == len(days)
    if days:
        assert value is not None
        assert abs(value - Decimal(median(days))) <= PLACES
    else:
        assert value is None


@given(rows=st.lists(air, max_size=25, unique_by=lambda r: (r["station_id"], r["hour_start"])))
@few
def test_a_mean_is_an_exact_sum_over_a_count(store: Store, rows: list[dict[str, Any]]) -> None:
    empty(store)
    deliver(store, "fct_air_hour", Extract(rows, "2026"))
    values = [r["value_ug_m3"] for r in rows if r["is_valid"]]
    value, total, count, sample = of(store, AIR, "2026")
    assert sample == len(values)
    if values:
        assert value is not None
        assert (total, count) == (exact(sum(values)), len(values))
        assert abs(value - sum(values) / len(values)) <= PLACES
    else:
        assert (value, total) == (None, None)  # a sum of nothing is not nought


@given(
    data=st.data(),
    rows=st.lists(appeals(), max_size=15),
    hours=st.lists(air, max_size=15, unique_by=lambda r: (r["station_id"], r["hour_start"])),
)
@few
def test_the_order_of_rows_changes_nothing(
    store: Store, data: st.DataObject, rows: list[Any], hours: list[Any]
) -> None:
    """The same rows in another order, for another city."""
    empty(store)
    for table, some in (("fct_appeal", numbered(rows, "appeal_id")), ("fct_air_hour", hours)):
        deliver(store, table, Extract(some, "2026", ASTANA), Extract(data.draw(st.permutations(some)), "2026", ALMATY))
    for kpi, period in ((APPEALS, "2026-S1"), (MEDIAN, "2026-S1"), (AIR, "2026")):
        assert of(store, kpi, period, ASTANA) == of(store, kpi, period, ALMATY)


@given(rows=st.lists(appeals(), max_size=25), moved=st.lists(trips(), max_size=25))
@few
def test_months_add_up_to_quarters_and_years(store: Store, rows: list[Any], moved: list[Any]) -> None:
    empty(store)
    deliver(store, "fct_appeal", Extract(rows, "2026"))
    deliver(store, "fct_trip", Extract(moved, "2026"))
    for kpi in (APPEALS, TRIPS):
        parts = {month: of(store, kpi, month)[1:] for month in parse_period("2026-S1").months}
        for whole in ("2026-Q1", "2026-Q2", "2026-S1", "2026"):
            sums = [sum(p[i] or 0 for m, p in parts.items() if m in parse_period(whole).months) for i in range(3)]
            assert [n or 0 for n in of(store, kpi, whole)[1:]] == sums


# ---- deliveries


@given(rows=st.lists(appeals(), max_size=20), data=st.data(), together=st.booleans())
@few
def test_rows_in_several_deliveries_count_as_in_one(
    store: Store, rows: list[Any], data: st.DataObject, together: bool
) -> None:
    """Of several systems, each of which has rows of its own; the batches may be loaded together or one by one."""
    empty(store)
    rows = numbered(rows, "appeal_id")
    homes = [data.draw(st.sets(st.integers(0, 2), min_size=1, max_size=1)) for _ in rows]
    pieces = [
        Extract([r for r, where in zip(rows, homes, strict=True) if n in where], "2026-S1", ALMATY, f"system {n}")
        for n in range(3)
    ]
    deliver(store, "fct_appeal", Extract(rows, "2026-S1", ASTANA))
    for batch in [pieces] if together else [[p] for p in pieces]:
        deliver(store, "fct_appeal", *batch)
    for kpi in (APPEALS, MEDIAN):
        assert of(store, kpi, "2026-S1", ALMATY) == of(store, kpi, "2026-S1", ASTANA)
    compute_one(store, CATALOGUE, "MGT02-1", "2026-02")
    one, several = (cell(store, "MGT02-1", "2026-02", kato) for kato in (ASTANA, ALMATY))
    assert one == several


@dataclass(frozen=True)
class Sent:
    """A delivery of a few appeals of Astana: which were late. `source` is a system, and the territory it hands over."""

    source: tuple[str, str]
    late: dict[str, bool]

    def extract(self) -> Extract:
        due = AT(2026, 1, 10)
        rows = [
            {
                "kato": ASTANA,
                "appeal_id": k,
                "due_at": due,
                "closed_at": due + dt.timedelta(days=late),
                "status": "CLOSED",
            }
            for k, late in self.late.items()
        ]
        return Extract(rows, "2026-01", self.source[1], self.source[0])


sent = st.builds(
    Sent,
    st.tuples(st.sampled_from("AB"), st.sampled_from([ASTANA, "71", "KZ"])),
    st.dictionaries(st.sampled_from("1234"), st.booleans(), max_size=4),
)


def held(deliveries: list[Sent]) -> dict[tuple[str, str], bool]:
    """What holds after them, by system and key: all are of the same days and city, so that a system's last delivery is all it says."""
    rows: dict[tuple[str, str], bool] = {}
    for one in deliveries:
        system = one.source[0]
        rows = {k: v for k, v in rows.items() if k[0] != system} | {(system, k): late for k, late in one.late.items()}
    return rows


def warehouse_at(store: Store, seq: int | None) -> dict[tuple[str, str], bool]:
    rows = store.con.execute(
        f"SELECT d.system, appeal_id, closed_at > due_at FROM {as_of('fct_appeal', seq)} JOIN audit.delivery d USING (delivery_id)"
    ).fetchall()
    assert len(rows) == len({r[:2] for r in rows}), "a row holds twice at the same time"
    return {(system, key): late for system, key, late in rows}


@given(deliveries=st.lists(sent, min_size=1, max_size=5))
@few
def test_every_old_number_can_be_computed_again(store: Store, deliveries: list[Sent]) -> None:
    empty(store)
    published: list[tuple[int, list[Any]]] = []
    for number, one in enumerate(deliveries, 1):
        deliver(store, "fct_appeal", one.extract())
        compute_one(store, CATALOGUE, "MGT02-1", "2026-01")
        found = cell(store, "MGT02-1", "2026-01")
        published.append(
            (store.last_seq, [exact(found[n]) for n in ("value", "numerator", "denominator", "sample_size")])
        )
        assert warehouse_at(store, None) == held(deliveries[:number])
    for number, (seq, then) in enumerate(published, 1):
        assert warehouse_at(store, seq) == held(deliveries[:number])
        again = [
            exact(v) for v in evaluate(store, APPEALS, ASTANA, dt.date(2026, 1, 1), dt.date(2026, 2, 1), "2026-01", seq)
        ]
        assert [n or 0 for n in again] == [n or 0 for n in then]
    spans = store.con.execute(
        "SELECT valid_from_seq, valid_to_seq FROM kpi.value WHERE kato = ? AND period_id = '2026-01' ORDER BY 1",
        [ASTANA],
    ).fetchall()
    assert [end for _, end in spans] == [start for start, _ in spans[1:]] + [
        None
    ]  # one follows the other without a gap


@given(deliveries=st.lists(sent, min_size=2, max_size=5))
@few
def test_a_batch_leaves_what_single_deliveries_leave(store: Store, deliveries: list[Sent]) -> None:
    empty(store)
    deliver(store, "fct_appeal", *(one.extract() for one in deliveries))
    assert warehouse_at(store, None) == held(deliveries)
    seqs = [
        row[0] for row in store.con.execute("SELECT loaded_seq FROM audit.delivery ORDER BY delivery_id").fetchall()
    ]
    assert [warehouse_at(store, seq) for seq in seqs] == [held(deliveries[:n]) for n in range(1, len(deliveries) + 1)]


# ---- periods

years = st.integers(1900, 2200)


@given(year=years, month=st.integers(1, 12))
@many
def test_a_month_ends_with_its_last_day(year: int, month: int) -> None:
    period = parse_period(f"{year}-{month:02}")
    assert period.start == dt.date(year, month, 1)
    assert period.end - dt.timedelta(days=1) == dt.date(year, month, calendar.monthrange(year, month)[1])
    assert (period.id, period.grain, period.months, period.closing_month) == (
        f"{year}-{month:02}",
        "M",
        (period.id,),
        period.id,
    )


@given(year=years)
@many
def test_halves_and_quarters_make_the_year(year: int) -> None:
    whole = parse_period(str(year))
    assert (whole.end - whole.start).days == (366 if calendar.isleap(year) else 365)
    assert whole.months == tuple(f"{year}-{m:02}" for m in range(1, 13))
    for parts in ([f"{year}-Q{n}" for n in range(1, 5)], [f"{year}-S{n}" for n in (1, 2)], whole.months):
        spans = [parse_period(p) for p in parts]
        assert [s.start for s in spans] == [whole.start, *(s.end for s in spans[:-1])]
        assert spans[-1].end == whole.end
        assert tuple(m for s in spans for m in s.months) == whole.months


@given(year=years, first=st.integers(0, 23), length=st.integers(1, 30))
@many
def test_a_run_of_months_is_its_months(year: int, first: int, length: int) -> None:
    start = add_months(dt.date(year, 1, 31), first)
    last = add_months(start, length - 1)
    period = parse_period(f"{start:%Y-%m}/{last:%Y-%m}")
    assert (period.start, period.end, len(period.months)) == (start, add_months(last, 1), length)
    assert period.closing_month == f"{last:%Y-%m}"
    assert [parse_period(m).start for m in period.months] == [add_months(start, n) for n in range(length)]


@given(day=st.dates(dt.date(1900, 1, 1), dt.date(2200, 12, 31)), months=st.integers(-500, 500))
@many
def test_months_can_be_added_and_taken_away(day: dt.date, months: int) -> None:
    first = day.replace(day=1)
    assert add_months(add_months(day, months), -months) == first
    assert add_months(day, months).day == 1
    assert (add_months(day, months) > first) == (months > 0)


@given(text=st.text(max_size=8) | st.from_regex(r"[0-9]{4}(-[QS]?[0-9]{1,2})?(/[0-9]{4}(-[0-9]{2})?)?", fullmatch=True))
@many
def test_a_period_reads_the_same_again_or_is_refused(text: str) -> None:
    try:
        period = parse_period(text)
    except ValueError:
        return
    assert parse_period(period.id) == period
    assert period.id.isascii()
    assert period.start < period.end
    assert period.start.day == period.end.day == 1


@pytest.mark.parametrize("text", [
    "", "2026-00", "2026-13", "2026-1", "2026-01-01", "2026-Q0", "2026-Q5", "2026-q1", "2026Q1", "2026-S3", "26-01", "0000", "9999", "9999-12",
    "2026-02/2026-01", "2026-01/2026-02/2026-03", "2026-01/", "/2026-01", "٢٠٢٦-٠١", "2026-01\n2026-02", "January 2026",
])  # fmt: skip
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        parse_period(text)


@given(year=years, months=st.sets(st.integers(1, 12)), grain=st.sampled_from("MQA"))
@many
def test_a_period_closes_in_its_last_month_only(year: int, months: set[int], grain: str) -> None:
    asked = tuple(f"{year}-{m:02}" for m in months)
    ids = {"M": [f"{year}-{m:02}" for m in range(1, 13)], "Q": [f"{year}-Q{n}" for n in range(1, 5)], "A": [str(year)]}[
        grain
    ]
    expected: list[Period] = [p for p in map(parse_period, ids) if p.closing_month in asked]
    assert closing_in(asked, grain) == expected
