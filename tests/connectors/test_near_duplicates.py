"""Twins: identifiers that a person would take for one, in one delivery or beside rows that stand already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.delivery_gate import near_duplicates as looked_for
from connectors.ingest import IngestReport
from tests.support.files import Desk, appeal, query, text
from tests.support.settlements import ASTANA
from warehouse.store.store import Store


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Store]]:
    desk = Desk(tmp_path_factory.mktemp("twins"))
    with desk.open() as store:
        yield desk, store


@pytest.fixture
def desk(open_desk: tuple[Desk, Store]) -> Desk:
    open_desk[0].forget(open_desk[1])
    return open_desk[0]


@pytest.fixture
def store(open_desk: tuple[Desk, Store]) -> Store:
    return open_desk[1]


def named(*names: str, **changes: str) -> str:
    return text([appeal(n, appeal_id=n, **changes) for n in names])


def told(report: IngestReport) -> dict[int, str]:
    """delivery → what was found of twins; those without any left out"""
    found = [f for f in report.findings if f.rule == "key.twins"]
    assert all(f.passed == (f.observed == "no twins") for f in found)
    return {f.delivery_id: f.observed for f in found if not f.passed}


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("A-9", "a-9", "letter case"),
        ("Дом-7", "дом-7", "letter case"),
        ("0017", "17", "leading zeros"),
        ("INC0017", "INC17", "leading zeros"),
        ("2025/017", "2025/17", "leading zeros"),
        ("А-9", "A-9", "look-alike letters"),
        ("ТОО-12", "TOO-12", "look-alike letters"),
        ("Ο-1", "O-1", "look-alike letters"),
    ],
)
def test_two_spellings_of_one_thing_open_an_incident(desk: Desk, store: Store, one: str, other: str, why: str) -> None:
    """In one file; then in two, where the incident is on both deliveries: each brought one of the spellings."""
    desk.deliver(named("B-1", one, "B-2", other))
    report = desk.take(store)
    assert told(report) == {1: f"1 keys have a twin: {other} of row 4 beside {one} of row 2 ({why})"}
    assert [o.accepted for o in report.outcomes] == [4], "nobody but the source can tell which is right"
    desk.forget(store)
    desk.deliver(named("B-1", one))
    assert told(desk.take(store)) == {}
    desk.deliver(named("B-2", other), period="2026-02")
    assert told(desk.take(store)) == {2: f"1 keys have a twin: {other} of row 2 beside {one} ({why})"}
    assert query(store, "SELECT delivery_id, kind FROM audit.incident WHERE rule = 'key.twins' ORDER BY 1") == [
        (1, "uniqueness"),
        (2, "uniqueness"),
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("1.05", "1.5"), ("A-9", "B-9"), ("100", "10"), ("A-90", "A-9"), ("Ж-1", "Z-1"), ("A-1", "A-10")]
)
def test_what_differs_otherwise_is_no_twin(desk: Desk, store: Store, one: str, other: str) -> None:
    desk.deliver(named(one, other, "x", "X7", "007"))
    assert told(desk.take(store)) == {}


def test_twins_are_sought_within_a_settlement_and_a_system(desk: Desk, store: Store) -> None:
    desk.deliver(
        text([appeal(1, appeal_id="A-9", kato=ASTANA), appeal(2, appeal_id="a-9", kato="750000000")]), scope="KZ"
    )
    assert told(desk.take(store)) == {}


def test_a_delivery_that_mends_its_spelling_has_no_twins_and_closes_both_incidents(desk: Desk, store: Store) -> None:
    desk.deliver(named("009", "010"))
    desk.deliver(named("9", "011"), period="2026-02")
    assert list(told(desk.take(store))) == [2]
    open_ones = "SELECT delivery_id FROM audit.incident WHERE closed_seq IS NULL AND rule = 'key.twins' ORDER BY 1"
    assert query(store, open_ones) == [(1,), (2,)]
    desk.deliver(named("009", "011"), period="2026-02")
    assert told(desk.take(store)) == {}
    assert query(store, open_ones) == []


def test_a_key_met_before_is_not_told_again(desk: Desk, store: Store) -> None:
    desk.deliver(named("009"))
    desk.deliver(named("9"), period="2026-02")
    desk.take(store)
    desk.deliver(named("9", "12"), period="2026-03")
    assert told(desk.take(store)) == {}


def test_keys_of_one_shape_are_not_looked_at_one_by_one(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = looked_for._twins

    def counted(*arguments: object) -> object:
        asked.append(arguments[-2])
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(looked_for, "_twins", counted)
    desk.deliver(named("V1", "V20", "V300"))
    desk.deliver(named("0001", "0002"), period="2026-02", scope="750000000")
    desk.take(store)
    assert asked == [set()]
    desk.deliver(named("v4"), period="2026-03")
    desk.take(store)
    assert asked[1:] == [{3}]
