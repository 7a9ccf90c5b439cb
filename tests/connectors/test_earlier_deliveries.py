"""Deliveries against earlier ones: each kind of loss that breaks no rule on rows is told, and its healthy neighbour is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.delivery_gate.silent_days import silent_runs
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError, Fault, read
from tests.support.files import Desk, crash, query, text
from tests.support.rows import LATER
from tests.support.settlements import ALMATY, ASTANA
from warehouse.kpi_values.compute import compute
from warehouse.loading.incidents import close_incident
from warehouse.messages.messages import phrase
from warehouse.store.store import Store
from warehouse.tables.contracts import SHOWCASE, parse_table
from warehouse.tables.usual import GAPS, JUMP, KEPT, UNITS, VOLUME, WHOLE

OURS = (KEPT, VOLUME, GAPS, WHOLE, UNITS, JUMP)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Store]]:
    desk = Desk(tmp_path_factory.mktemp("history"))
    with desk.open() as store:
        yield desk, store


@pytest.fixture
def desk(opened: tuple[Desk, Store]) -> Desk:
    desk, store = opened
    desk.forget(store)
    return desk


@pytest.fixture
def store(opened: tuple[Desk, Store]) -> Store:
    return opened[1]


def told(store: Store, *rules: str) -> list[tuple[int, str, str]]:
    """(place in the order of arrival, rule, what was found) of the open incidents of these rules (all of this part, if none)."""
    chosen = ", ".join(f"'{r}'" for r in rules or OURS)
    return query(store, f"""SELECT (SELECT count(*) FROM audit.delivery o WHERE o.delivery_id <= i.delivery_id), rule, observed FROM audit.incident i
WHERE closed_seq IS NULL AND rule IN ({chosen}) ORDER BY delivery_id, rule""")  # fmt: skip


def confirm(store: Store, rule: str) -> None:
    for (number,) in query(
        store, "SELECT incident_id FROM audit.incident WHERE closed_seq IS NULL AND rule = ?", [rule]
    ):
        close_incident(store, number, "a methodologist", "asked the source: it is so")


def crashes(count: int, month: str = "2025-01", first: int = 1, **changes: str) -> str:
    """Crashes over the whole month, one key a month and number."""
    return text([crash(f"{month}-{n}", occurred_at=f"{month}-{1 + n % 28:02} 10:00:00", **changes) for n in range(first, first + count)])  # fmt: skip


def months(
    desk: Desk, store: Store, content: Callable[[int], str], table: str, *, together: bool = False, year: int = 2025
) -> None:
    """Twelve deliveries, `content(month)` each, in one batch or one after the other."""
    for month in range(1, 13):
        desk.deliver(content(month), table, period=f"{year}-{month:02}")
        if not together:
            desk.take(store)
    desk.take(store)


# ---- corrections


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("kept", "words"), [(80, ""), (79, "79 rows in place of 100: 79 %"), (1, "1 rows in place of 100: 1 %")]
)
def test_a_correction_that_keeps_too_few_rows_is_told(
    desk: Desk, store: Store, kept: int, words: str, together: bool
) -> None:
    desk.deliver(crashes(100), "fct_crash", period="2025-01")
    if not together:
        desk.take(store)
    desk.deliver(crashes(kept), "fct_crash", period="2025-01")
    desk.take(store)
    assert told(store) == ([(2, KEPT, words)] if words else [])


def test_cut_short_again_it_is_told_again_and_whole_again_it_is_healed(desk: Desk, store: Store) -> None:
    for count in (100, 10, 11):
        desk.deliver(crashes(count), "fct_crash", period="2025-01")
        desk.take(store)
    assert told(store) == [(3, KEPT, "11 rows in place of 100: 11 %")]
    desk.deliver(crashes(100, deaths_30d="1"), "fct_crash", period="2025-01")
    desk.take(store)
    assert told(store) == []


def test_once_confirmed_the_smaller_slice_is_what_a_correction_is_held_against(desk: Desk, store: Store) -> None:
    for count in (100, 10):
        desk.deliver(crashes(count), "fct_crash", period="2025-01")
        desk.take(store)
    confirm(store, KEPT)
    desk.deliver(crashes(9), "fct_crash", period="2025-01")
    desk.take(store)
    assert told(store) == []


def test_a_quarter_is_held_against_the_rows_its_year_had_in_it(desk: Desk, store: Store) -> None:
    year = text([crash(n, occurred_at=f"2025-{1 + n % 12:02}-{1 + n % 28:02} 10:00:00") for n in range(120)])
    desk.deliver(year, "fct_crash", period="2025")
    desk.take(store)
    desk.deliver(crashes(30), "fct_crash", period="2025-Q1")
    desk.deliver(crashes(20, "2025-04"), "fct_crash", period="2025-Q2")
    desk.take(store)
    assert told(store, KEPT) == [(3, KEPT, "20 rows in place of 30: 66.67 %")]


def test_another_system_and_another_city_replace_nothing(desk: Desk, store: Store) -> None:
    desk.deliver(crashes(100), "fct_crash", period="2025-01")
    desk.deliver(crashes(5).replace("2025-01-", "x", 1), "fct_crash", period="2025-01", scope=ALMATY)
    desk.take(store)
    assert told(store, KEPT) == []


# ---- volume


@pytest.mark.parametrize("together", [True, False])
def test_rows_are_held_against_the_usual_number(desk: Desk, store: Store, together: bool) -> None:
    sizes = {11: 19, 12: 81}
    months(desk, store, lambda m: crashes(sizes.get(m, 40), f"2025-{m:02}"), "fct_crash", together=together)
    assert told(store, VOLUME) == [
        (11, VOLUME, "19 rows, usually 40: 0.475 times"),
        (12, VOLUME, "81 rows, usually 40: 2.025 times"),
    ]


def test_a_register_that_shrinks_is_told_and_few_rows_or_few_deliveries_say_nothing(desk: Desk, store: Store) -> None:
    others = dict.fromkeys(("transport_mode", "has_shelter", "closed_at"), "")

    def stops(count: int) -> str:
        return text(
            [
                {"stop_id": f"S{n}", "name": "a stop", "opened_at": "2020-01-01", "has_realtime_info": "true"} | others
                for n in range(count)
            ]
        )

    for period, count in (("2025-Q1", 30), ("2025-Q2", 30), ("2025-Q3", 30), ("2025-Q4", 14)):
        desk.deliver(stops(count), "dim_stop", period=period)
        desk.deliver(crashes(count // 3, period[:4] + "-01"), "fct_crash", period=period)
        desk.take(store)
    assert [rule for _, rule, _ in told(store, VOLUME)] == [VOLUME]


# ---- gaps


def appeals(month: int, count: int, closed: int, year: int = 2025) -> str:
    from tests.support.files import appeal

    return text([
        appeal(f"{year}-{month}-{n}", registered_at=f"{year}-{month:02}-{1 + n % 28:02} 10:00:00", due_at=f"{year}-{month:02}-28 10:00:00",
               first_answer_at=f"{year}-{month:02}-28 10:30:00" if n < closed else "",
               closed_at=f"{year}-{month:02}-28 11:00:00" if n < closed else "", status="CLOSED" if n < closed else "OPEN")
        for n in range(count)])  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
def test_a_feed_that_breaks_is_told_every_month_until_somebody_confirms(
    desk: Desk, store: Store, together: bool
) -> None:
    months(desk, store, lambda m: appeals(m, 40, 38 if m < 4 else 0), "fct_appeal", together=together)
    assert told(store, GAPS) == [
        (m, GAPS, "gaps: first_answer_at 100 % empty, usually 5 %; closed_at 100 % empty, usually 5 %")
        for m in range(4, 13)
    ]
    confirm(store, GAPS)
    desk.deliver(appeals(1, 40, 0, 2026), "fct_appeal", period="2026-01")
    desk.take(store)
    assert told(store, GAPS) == []


@pytest.mark.parametrize(("closed", "is_told"), [(30, False), (29, False), (27, True), (0, True)])
def test_a_share_of_gaps_may_rise_by_a_quarter_of_the_rows(
    desk: Desk, store: Store, closed: int, is_told: bool
) -> None:
    months(desk, store, lambda m: appeals(m, 40, 38 if m < 12 else closed), "fct_appeal", together=True)
    assert any("closed_at" in words for _, _, words in told(store, GAPS)) == is_told


def test_a_column_that_is_empty_throughout_at_first_is_told_where_kpis_count_by_it(desk: Desk, store: Store) -> None:
    rows = [crash(n, occurred_at=f"2025-01-{1 + n % 28:02} 10:00:00", district_id="") for n in range(30)]
    desk.deliver(text(rows), "fct_crash", period="2025-01")  # no KPI counts by the district
    desk.deliver(appeals(1, 30, 0), "fct_appeal", period="2025-01")
    desk.deliver(appeals(2, 9, 0), "fct_appeal", period="2025-02", scope=ALMATY)  # nine rows say nothing
    desk.take(store)
    assert told(store, GAPS) == [(2, GAPS, "gaps: first_answer_at empty throughout; closed_at empty throughout")]


def test_the_gaps_of_every_delivery_are_kept(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(1, 40, 30), "fct_appeal", period="2025-01")
    desk.take(store)
    assert query(store, "SELECT column_name, rows, gaps FROM audit.delivery_profile ORDER BY 1") == [
        ("category", 40, 0), ("channel", 40, 0), ("closed_at", 40, 10), ("due_at", 40, 0), ("first_answer_at", 40, 10),
    ]  # fmt: skip


# ---- days without rows

JANUARY = dt.date(2025, 1, 1), dt.date(2025, 2, 1)


def month(*days: int, rows: int = 24) -> dict[dt.date, int]:
    return {dt.date(2025, 1, d): rows for d in days}


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (range(1, 32), ""),
        (range(1, 29), ""),  # three days are not told
        (range(1, 21), "none after 2025-01-20 (11 days)"),
        (range(8, 32), "none before 2025-01-08 (7 days)"),
        ([*range(1, 6), *range(27, 32)], "none from 2025-01-06 to 2025-01-26 (21 days)"),
        ([*range(1, 8), *range(14, 20), *range(26, 32)], "none from 2025-01-08 to 2025-01-13 (6 days), none from 2025-01-20 to 2025-01-25 (6 days)"),
        (range(10, 20), "none before 2025-01-10 (9 days), none after 2025-01-19 (12 days)"),
        ([5], ""),  # all of a month on one day: not dated by the day
        ([d for d in range(1, 32) if dt.date(2025, 1, d).weekday() < 5], ""),  # an office's month
        ([d for d in range(1, 21) if dt.date(2025, 1, d).weekday() < 5], "none after 2025-01-20 (11 days)"),
        ([d for d in range(6, 32) if dt.date(2025, 1, d).weekday() < 5], ""),  # and after New Year's holidays
    ],
)  # fmt: skip
def test_days_of_silence_are_found(days: Any, words: str) -> None:
    assert phrase(silent_runs(month(*days), *JANUARY)) == words


def test_of_few_rows_or_days_nothing_is_told() -> None:
    assert silent_runs(month(*range(1, 10), rows=3), *JANUARY) == []  # 27 rows
    seldom = {dt.date(2025, 1, 1) + dt.timedelta(n): 1 for n in range(0, 330, 8)}
    assert silent_runs(seldom, dt.date(2025, 1, 1), dt.date(2026, 1, 1)) == []


def test_a_year_of_rare_events_that_ends_in_november_is_told() -> None:
    year = dt.date(2025, 1, 1), dt.date(2026, 1, 1)
    rare = {year[0] + dt.timedelta((n * 37) % 365): 1 for n in range(120)}
    assert silent_runs(rare, *year) == []
    (run,) = silent_runs({d: n for d, n in rare.items() if d <= dt.date(2025, 11, 26)}, *year)
    assert phrase(run).startswith("none after 2025-11-2")


def test_a_month_that_ends_on_the_20th_is_told_through_intake(desk: Desk, store: Store) -> None:
    rows = [crash(n, occurred_at=f"2025-01-{1 + n % 20:02} 10:00:00") for n in range(60)]
    desk.deliver(text(rows), "fct_crash", period="2025-01")
    desk.take(store)
    assert told(store) == [(1, WHOLE, "days without a row: none after 2025-01-20 (11 days)")]


# ---- units that fall silent


def sensors(month_: int, *names: str) -> str:
    return text([
        {"sensor_id": name, "sensor_class": "HAZARD", "hazard": "FLOOD", "day": f"2025-{month_:02}-{day:02}", "expected_minutes": "1440",
         "online_minutes": "1440"} for name in names for day in range(1, 29)])  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
def test_a_sensor_that_is_left_out_is_named_every_month(desk: Desk, store: Store, together: bool) -> None:
    for number in range(1, 5):
        desk.deliver(
            sensors(number, "A", "B", *(["C"] if number < 3 else [])), "fct_sensor_day", period=f"2025-{number:02}"
        )
        if not together:
            desk.take(store)
    desk.take(store)
    assert [(n, words.partition(" of ")[0]) for n, _, words in told(store, UNITS)] == [
        (3, "missing C"),
        (4, "missing C"),
    ]
    confirm(store, UNITS)
    desk.deliver(sensors(5, "A", "B"), "fct_sensor_day", period="2025-05")
    desk.take(store)
    assert told(store, UNITS) == []


def test_a_city_that_is_left_out_of_the_countrys_delivery_is_named(desk: Desk, store: Store) -> None:
    def country(month_: int, *cities: str) -> str:
        return text([{"kato": city} | crash(f"{month_}-{city}-{n}", occurred_at=f"2025-{month_:02}-{1 + n % 28:02} 10:00:00")
                     for city in cities for n in range(30)])  # fmt: skip

    desk.deliver(country(1, ASTANA, ALMATY), "fct_crash", scope="KZ", period="2025-01")
    desk.take(store)
    desk.deliver(country(2, ASTANA), "fct_crash", scope="KZ", period="2025-02")
    desk.take(store)
    assert [words.partition(" of ")[0] for _, _, words in told(store, UNITS)] == [f"missing {ALMATY}"]


# ---- figures that leap


def population(*counts: tuple[str, int]) -> str:
    return text([{"as_of_date": day, "population": str(count), "count_source": "x"} for day, count in counts])


def fatal(desk: Desk, store: Store, year: int) -> None:
    rows = [
        crash(f"{year}-{n}", occurred_at=f"{year}-{1 + n % 12:02}-{1 + n % 28:02} 10:00:00", deaths_30d="1")
        for n in range(10)
    ]
    desk.deliver(text(rows), "fct_crash", period=str(year))
    desk.take(store)


def rate(store: Store, year: int) -> tuple[Any, ...]:
    compute(store, load_catalogues(), [f"{year}-12"], codes=["SAF04-1"], today=LATER)
    sql = "SELECT value, obs_status, reason FROM kpi.value WHERE valid_to_seq IS NULL AND kato = ? AND period_id = ?"
    (row,) = query(store, sql, [ASTANA, str(year)])
    return row


@pytest.mark.parametrize(
    ("second", "leaps"), [(510_000, False), (570_000, False), (580_000, True), (350_000, True), (510, True), (0, True)]
)
def test_a_population_that_leaps_stops_the_kpi_until_somebody_confirms(
    desk: Desk, store: Store, second: int, leaps: bool
) -> None:
    fatal(desk, store, 2025)
    desk.deliver(population(("2025-01-01", 500_000)), "dim_population", period="2024-12")
    desk.take(store)
    # delivered for the year that begins with the count: its days are not those of the year it is looked up for
    desk.deliver(population(("2026-01-01", second)), "dim_population", period="2026-01")
    desk.take(store)
    value, status, reason = rate(store, 2025)
    if not leaps:
        assert (value, status) == (round(1_000_000 / second, 6), "A")
        return
    assert (value, status) == (None, "O")
    assert f"population {second} after 500000 on 2025-01-01" in reason
    if second == 580_000:
        confirm(store, JUMP)
        assert rate(store, 2025) == (round(1_000_000 / second, 6), "A", None)
        # delivered again, it has been confirmed; and the next year is held against it
        desk.deliver(population(("2026-01-01", second), ("2027-01-01", 590_000)), "dim_population", period="2026-01")
        desk.take(store)
        assert told(store, JUMP) == []


def test_the_same_wrong_figure_again_is_no_cure(desk: Desk, store: Store) -> None:
    fatal(desk, store, 2025)
    desk.deliver(population(("2025-01-01", 500_000)), "dim_population", period="2024-12")
    for source in "xy":
        desk.deliver(population(("2026-01-01", 510)).replace(",x", f",{source}"), "dim_population", period="2025-12")
        desk.take(store)
    assert [n for n, _, _ in told(store, JUMP)] == [3 + 1]
    assert rate(store, 2025)[1] == "O"
    desk.deliver(population(("2026-01-01", 510_000)), "dim_population", period="2025-12")
    desk.take(store)
    assert rate(store, 2025)[1] == "A"


def test_an_earlier_year_that_comes_later_is_held_against_the_years_after(desk: Desk, store: Store) -> None:
    desk.deliver(population(("2026-01-01", 500_000)), "dim_population", period="2025-12")
    desk.take(store)
    desk.deliver(population(("2025-01-01", 490)), "dim_population", period="2024-12")
    desk.take(store)
    assert [(n, words.partition(": ")[2]) for n, _, words in told(store, JUMP)] == [
        (2, "population 490 before 500000 on 2026-01-01")
    ]


def test_years_between_two_counts_allow_for_more(desk: Desk, store: Store) -> None:
    desk.deliver(population(("2020-01-01", 500_000), ("2026-01-01", 700_000)), "dim_population", period="2025")
    desk.take(store)
    assert told(store, JUMP) == []


# ---- what a contract says of it


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{property: panel, value: [sensor]}", "panel"),
        ("{property: panel, value: []}", "panel"),
        ("{property: keptShare, value: 80}", "keptShare"),
        ("{property: usualVolume, value: [2, 0.5]}", "usualVolume"),
        ("{property: gapLeap, value: true}", "gapLeap"),
        ("{property: seasonal, value: perhaps}", "seasonal"),
        ("{property: maximumChange, value: [{column: population, ratio: 0.9}]}", "maximumChange"),
        ("{property: maximumChange, value: [{column: inhabitants, ratio: 2}]}", "maximumChange"),
    ],
)
def test_a_bound_that_is_none_is_a_fault_of_the_contract(tmp_path: Path, line: str, words: str) -> None:
    original = (SHOWCASE / "dim_population.odcs.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    place = next(n for n, text_ in enumerate(original) if "maximumChange" in text_)
    file = tmp_path / "dim_population.odcs.yaml"
    file.write_text("".join([*original[:place], f"  - {line}\n", *original[place + 1 :]]), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        parse_table(read(file))
    (fault,) = caught.value.faults
    assert isinstance(fault, Fault)
    assert fault.line == place + 1
    assert fault.message.startswith(words)
