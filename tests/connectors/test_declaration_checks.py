"""What a delivery declares, held against what it holds: days, keys that come again, systems, bytes; and reading again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.mapping.read_contracts import load_sources
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.reread import request_reread
from tests.support.files import Desk, appeal, appeals, contract_text, query, text
from tests.support.settlements import ALMATY, ASTANA
from warehouse.store.store import Store
from warehouse.tables.settlements import territory

KEYS = "SELECT appeal_id, registered_at::DATE::VARCHAR, d.system FROM showcase.fct_appeal JOIN audit.delivery d USING (delivery_id) ORDER BY ALL"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Store]]:
    desk = Desk(tmp_path_factory.mktemp("declared"))
    with desk.open() as store:
        yield desk, store


@pytest.fixture
def desk(opened: tuple[Desk, Store]) -> Desk:
    opened[0].forget(opened[1])
    return opened[0]


@pytest.fixture
def store(opened: tuple[Desk, Store]) -> Store:
    return opened[1]


def outcome(store: Store) -> list[tuple[Any, ...]]:
    return query(store, "SELECT state, accepted_rows, rejected_rows FROM audit.delivery ORDER BY delivery_id")


def rejected(store: Store) -> list[tuple[Any, ...]]:
    return query(store, "SELECT delivery_id, row_no, rule FROM audit.rejected_row ORDER BY ALL")


def open_rules(store: Store) -> list[tuple[Any, ...]]:
    return query(
        store,
        "SELECT delivery_id, rule FROM audit.incident WHERE closed_seq IS NULL AND rule <> 'on-time' ORDER BY ALL",
    )


def trips(days: list[str], first: int = 1) -> str:
    rows = [{"trip_id": f"T{first + n}", "planned_departure_at": f"{day} 08:00:00", "actual_departure_at": f"{day} 08:01:00"}
            for n, day in enumerate(days)]  # fmt: skip
    return text(rows, ["trip_id", "route_id", "vehicle_id", "planned_departure_at", "actual_departure_at"])


# --- days ---


def test_rows_outside_the_days_are_rejected_and_many_refuse_the_delivery(desk: Desk, store: Store) -> None:
    january = [f"2026-01-{day:02}" for day in range(1, 29)]
    desk.deliver(trips([*january, "2026-02-01"]), "fct_trip", period="2026-01")
    desk.deliver(trips(january, 100), "fct_trip", period="2026-02")
    desk.take(store, "fct_trip")
    assert outcome(store) == [("loaded", 28, 1), ("refused", 0, 28)]
    assert (1, 29, "days") in rejected(store)
    raw = query(
        store,
        "SELECT raw::JSON->>'$.trip_id', moments::JSON->>'$.planned_departure_at' FROM audit.rejected_row WHERE delivery_id = 1",
    )
    assert raw == [("T29", "2026-02-01 08:00:00")]


def test_the_last_moment_of_the_period_is_in_it_and_the_next_is_not(desk: Desk, store: Store) -> None:
    inside = [appeal(n, registered_at="2026-01-31 23:59:59", first_answer_at="", closed_at="") for n in range(30)]
    after = appeal(99, registered_at="2026-02-01 00:00:00", first_answer_at="", closed_at="")
    desk.deliver(text([*inside, after]))
    desk.take(store)
    assert outcome(store) == [("loaded", 30, 1)]
    assert rejected(store) == [(1, 31, "days")]


def test_figures_of_a_day_may_be_of_the_first_day_after_the_period(desk: Desk, store: Store) -> None:
    days = ["2026-01-01", "2027-01-01", "2025-12-31", "2027-01-02"]
    for day in days:
        desk.deliver(
            text([{"as_of_date": day, "population": "1000", "count_source": "b"}]), "dim_population", period="2026"
        )
    desk.take(store, "dim_population")
    assert [state for state, *_ in outcome(store)] == ["loaded", "loaded", "refused", "refused"]


def test_figures_of_one_year_do_not_take_away_those_of_the_year_before(desk: Desk, store: Store) -> None:
    for year in (2024, 2025):
        content = text([{"as_of_date": f"{year + 1}-01-01", "population": str(year), "count_source": "b"}])
        desk.deliver(content, "dim_population", period=str(year))
    desk.take(store, "dim_population")
    assert query(store, "SELECT population FROM showcase.dim_population ORDER BY 1") == [(2024,), (2025,)]


def test_older_rows_may_come_again_with_what_changed_but_not_alone(desk: Desk, store: Store) -> None:
    february = [
        appeal(n, registered_at="2026-02-03 10:00:00", first_answer_at="", closed_at="", due_at="") for n in range(10)
    ]
    desk.deliver(text([*february, appeal(77)]), period="2026-02")
    desk.deliver(appeals(10, 200), period="2026-03")
    desk.take(store)
    assert outcome(store) == [("loaded", 11, 0), ("loaded", 10, 0)]
    assert (1, "days.share") not in open_rules(store)
    assert (2, "days.share") in open_rules(store)


def test_a_source_contract_may_cut_its_extract_otherwise(desk: Desk, store: Store) -> None:
    columns = "\n".join(
        f"      - name: {name}" for name in ("appeal_id", "registered_at", "due_at", "status", "is_emergency")
    )
    settings = {"earlierRows": "rejected", "otherHeaders": "ignore"}
    desk.add_contract(contract_text("strict", "fct_appeal", columns + "\n", settings=settings))
    desk.deliver(text([appeal(n, registered_at="2026-02-03 10:00:00", closed_at="", first_answer_at="") for n in range(30)] + [appeal(77)]),
                 system="strict", period="2026-02")  # fmt: skip
    desk.take(store)
    assert outcome(store) == [("loaded", 30, 1)]
    assert query(store, "SELECT kind, cut_by FROM audit.delivery") == [("complete", "registered_at")]


def test_changes_take_nothing_away_and_need_not_be_many(desk: Desk, store: Store) -> None:
    columns = "\n".join(
        f"      - name: {name}"
        for name in ("appeal_id", "registered_at", "due_at", "closed_at", "status", "is_emergency")
    )
    settings = {"delivery": "changes", "otherHeaders": "ignore"}
    desk.add_contract(contract_text("feed", "fct_appeal", columns + "\n", settings=settings))
    desk.deliver(appeals(40), system="feed")
    desk.take(store)
    desk.deliver(
        text([appeal(1, closed_at="2026-01-09 10:00:00"), appeal(77, registered_at="2025-12-30 10:00:00")]),
        system="feed",
    )
    desk.deliver(text([appeal(2, registered_at="2026-02-01 10:00:00")]), system="feed")
    desk.take(store)
    assert outcome(store) == [("loaded", 40, 0), ("loaded", 2, 0), ("refused", 0, 1)]
    assert len(query(store, KEYS)) == 41
    assert query(store, "SELECT closed_at::DATE::VARCHAR FROM showcase.fct_appeal WHERE appeal_id = 'A1'") == [
        ("2026-01-09",)
    ]
    assert {rule for delivery, rule in open_rules(store) if delivery == 2} == {"volume"}  # the contract asks for it


# --- keys that come again ---


def test_a_key_that_comes_again_with_another_time_is_quarantined_and_overwrites_nothing(
    desk: Desk, store: Store
) -> None:
    desk.deliver(appeals(3))
    desk.take(store)
    again = [
        appeal(n, registered_at="2026-02-05 10:00:00", closed_at="2026-02-09 10:00:00", first_answer_at="")
        for n in range(1, 31)
    ]
    desk.deliver(text(again), period="2026-02")
    desk.take(store)
    assert outcome(store) == [("loaded", 3, 0), ("loaded", 27, 3)]
    assert rejected(store) == [(2, n, "key.reused") for n in (1, 2, 3)]
    assert [row for row in query(store, KEYS) if row[0] in ("A1", "A2", "A3")] == [
        (f"A{n}", "2026-01-05", "standard") for n in (1, 2, 3)
    ]
    assert (2, "key.reused") in open_rules(store)


def test_and_so_it_is_between_two_files_of_one_run(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(3))
    desk.deliver(
        text([appeal(n, registered_at="2026-02-05 10:00:00", closed_at="", first_answer_at="") for n in range(1, 41)]),
        period="2026-02",
    )
    desk.take(store)
    assert outcome(store) == [("loaded", 3, 0), ("loaded", 37, 3)]


def test_a_correction_may_change_the_time_of_its_own_rows(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(3))
    desk.take(store)
    desk.deliver(appeals(3, registered_at="2026-01-06 08:00:00"))
    desk.take(store)
    assert {row[1] for row in query(store, KEYS)} == {"2026-01-06"}
    assert rejected(store) == []


def test_what_two_systems_number_alike_stands_side_by_side(desk: Desk, store: Store) -> None:
    columns = "\n".join(
        f"      - name: {name}" for name in ("appeal_id", "registered_at", "due_at", "status", "is_emergency")
    )
    desk.add_contract(contract_text("other", "fct_appeal", columns + "\n", settings={"otherHeaders": "ignore"}))
    desk.deliver(appeals(3))
    desk.deliver(appeals(3, registered_at="2026-01-07 11:00:00"), system="other")
    desk.take(store)
    assert len(query(store, KEYS)) == 6
    assert open_rules(store) == []
    # the very same things under two systems would count twice
    desk.deliver(appeals(3, category="again"), system="other", period="2026-01")
    desk.take(store)
    assert (3, "key.other-system") in open_rules(store)


def test_and_so_are_the_same_things_in_two_files_of_one_run(desk: Desk, store: Store) -> None:
    columns = "\n".join(
        f"      - name: {name}" for name in ("appeal_id", "registered_at", "due_at", "status", "is_emergency")
    )
    desk.add_contract(contract_text("other", "fct_appeal", columns + "\n", settings={"otherHeaders": "ignore"}))
    desk.deliver(appeals(3))
    desk.deliver(appeals(3, category="again"), system="other")
    desk.take(store)
    assert open_rules(store) == [(2, "key.other-system")]


def test_the_same_bytes_for_two_cities_are_told(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(3), scope=ASTANA)
    desk.deliver(appeals(3), scope=ALMATY)
    desk.take(store)
    assert open_rules(store) == [(2, "bytes.elsewhere")]


# --- one slice, however it is written; and reading again ---


@pytest.mark.parametrize(
    ("period", "scope"), [(" 2026-01", "75"), ("2026-01/2026-01", ALMATY), ("2026-01", "75"), ("2026-01", ALMATY)]
)
def test_days_and_places_have_one_name(desk: Desk, store: Store, period: str, scope: str) -> None:
    file = desk.root / "one.csv"
    file.write_text(appeals(2))
    receipt = deliver(desk.archive, DeclaredDelivery(file, "fct_appeal", scope, period), store.tables, {})
    assert (receipt.period, receipt.scope) == ("2026-01", ALMATY)


def test_only_a_region_with_one_settlement_is_that_settlement() -> None:
    assert [territory(scope) for scope in ("71", "75", "79", "47", "KZ", ASTANA)] == [
        ASTANA,
        ALMATY,
        "790000000"[:9],
        "47",
        "KZ",
        ASTANA,
    ]


def mended(desk: Desk, version: str, pattern: str) -> None:
    columns = f"""      - name: appeal_id
        physicalName: n
      - name: registered_at
        physicalName: day
        logicalTypeOptions: {{format: {pattern}}}
      - name: status
        transformLogic: "'OPEN'"
        transformSourceObjects: []
      - name: is_emergency
        transformLogic: "false"
        transformSourceObjects: []
"""
    content = contract_text("mended", "fct_appeal", columns, settings={"otherHeaders": "ignore"})
    desk.add_contract(content.replace("version: 1.0.0", f"version: {version}"))


def test_a_mended_contract_reaches_bytes_already_loaded(desk: Desk, store: Store) -> None:
    content = "n,day\n" + "".join(f"{n},0{n}/02/2026\n" for n in range(1, 7))
    mended(desk, "1.0.0", "MM/dd/yyyy")
    desk.deliver(content, system="mended", period="2026")
    desk.take(store)
    assert [row[1] for row in query(store, KEYS)] == [f"2026-0{n}-02" for n in range(1, 7)]
    mended(desk, "1.0.1", "dd/MM/yyyy")
    desk.deliver(content, system="mended", period="2026")
    desk.take(store)
    assert [row[1] for row in query(store, KEYS)] == [f"2026-02-0{n}" for n in range(1, 7)]
    desk.deliver(content, system="mended", period="2026")
    desk.take(store)
    assert query(store, "SELECT state, contract_version FROM audit.delivery ORDER BY delivery_id") == [
        ("loaded", "1.0.0"), ("loaded", "1.0.1"), ("duplicate", "1.0.1")]  # fmt: skip


def test_reading_again_takes_what_is_in_force_and_keeps_its_place_in_the_order(desk: Desk, store: Store) -> None:
    content = "n,day\n" + "".join(f"{n},0{n}/02/2026\n" for n in range(1, 7))
    mended(desk, "1.0.0", "MM/dd/yyyy")
    desk.deliver(content, system="mended", period="2026")
    desk.take(store)
    desk.deliver("n,day\n9,02/03/2026\n", system="mended", period="2026-02")
    desk.take(store)
    mended(desk, "1.0.1", "dd/MM/yyyy")
    receipts = request_reread(store, store.tables, system="mended", table="fct_appeal", period=None)
    assert len(receipts) == 2
    desk.take(store)
    # February was delivered after the year, and still is: its file, read by the mended contract, says 2 March, outside its days
    assert [row[:2] for row in query(store, KEYS)] == [("9", "2026-02-03")]
    assert query(store, "SELECT state, reread_of, order_seq < loaded_seq FROM audit.delivery WHERE reread_of IS NOT NULL ORDER BY 2") == [
        ("loaded", 1, True), ("refused", 2, True)]  # fmt: skip
    with pytest.raises(ValueError, match="no loaded delivery"):
        request_reread(store, store.tables, system="nobody", table=None, period=None)
    with pytest.raises(ValueError, match="no table"):
        request_reread(store, store.tables, system=None, table="fct_apeal", period=None)


def test_contracts_that_cut_by_what_is_not_there_are_refused(desk: Desk, store: Store) -> None:
    from kpi_definitions.documents import DocumentError

    columns = "      - name: appeal_id\n      - name: registered_at\n      - name: status\n      - name: is_emergency\n"
    for setting, said in (
        ({"cutBy": "closed_at"}, "closed_at"),
        ({"delivery": "snapshot"}, "snapshot"),
        ({"earlierRows": "some"}, "some"),
    ):
        desk.add_contract(contract_text("wrong", "fct_appeal", columns, settings=setting))
        with pytest.raises(DocumentError, match=said):
            load_sources(store.tables, [desk.home.contracts])
