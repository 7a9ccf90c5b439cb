"""The loading door: what a delivery replaces, what moves to history, and what held at every ledger sequence."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.row_gate.emptied_cells import CELLS
from tests.support.examples import examples
from tests.support.files import Desk, query
from tests.support.history_model import OCCURRED, Model, Sent
from tests.support.rows import receipt
from tests.support.settlements import AKTAU, ALMATY, ASTANA, ZHANAOZEN
from tests.support.working_tables import differing_columns
from warehouse.loading import replace
from warehouse.loading.deliveries import Delivery, DeliveryState, Outcome, decided, received, register, same_bytes
from warehouse.loading.load import load
from warehouse.loading.turns import turns_of
from warehouse.periods import parse_period
from warehouse.store.history import as_of
from warehouse.store.seals import of_table, recomputed, seals_of_rows
from warehouse.store.store import Store

Row = tuple[str, str, int]  # kato, business key, value
NUMBERS = itertools.count(1)


def extract(*rows: Row, **slice_: str) -> Sent:
    return Sent({(kato, key): value for kato, key, value in rows}, **slice_)


def deliver(store: Store, *extracts: Sent, table: str = "fct_crash") -> list[Delivery]:
    """Decide on deliveries in one batch, straight through the loading door. Returns them."""
    register(store, [receipt(table, e.system, e.scope, e.period, f"{next(NUMBERS)}") for e in extracts])
    waiting = received(store, table)
    assert len(waiting) == len(extracts)
    fill(store, table, waiting, extracts)
    return waiting


def fill(store: Store, table: str, waiting: Sequence[Delivery], extracts: Sequence[Sent]) -> None:
    """Decide on registered deliveries, with the rows of these extracts."""
    contract = store.tables[table]
    types = {"delivery_id": "BIGINT", "row_no": "BIGINT", "kato": "VARCHAR"} | contract.business_columns
    types |= {"broken": "VARCHAR", "emptied": CELLS, "raw": "VARCHAR"}
    store.con.execute(
        f"CREATE OR REPLACE TEMP TABLE staged ({', '.join(f'{name} {sql_type}' for name, sql_type in types.items())})"
    )
    rows = []
    for one, content in zip(waiting, extracts, strict=True):
        for number, ((kato, key), value) in enumerate(content.rows.items(), 1):
            cells = dict.fromkeys(types) | {
                "delivery_id": one.delivery_id,
                "row_no": number,
                "kato": kato,
            }
            if table == "fct_crash":
                cells |= {"crash_id": key, "occurred_at": OCCURRED.get(key, dt.date(2026, 1, 1)), "deaths_30d": value}
            else:
                cells |= {"system_id": key, "name": str(value), "mio_code": "m", "origin": "OWN"}
                cells |= {"commissioned_at": dt.date(2020, 1, 1), "snapshot_date": one.period_end}
            rows.append(tuple(cells.values()))
    store.insert("staged", list(types), rows)
    outcomes = [
        Outcome(d.delivery_id, DeliveryState(e.state), None, "test", "1", *((len(e.rows), len(e.rows), 0) if e.state == "loaded" else (0, 0, 0)))
        for d, e in zip(waiting, extracts, strict=True)
    ]  # fmt: skip
    load(store, contract, "staged", waiting, outcomes, [])


def loaded_seq(store: Store, delivery: Delivery) -> int:
    ((seq,),) = query(store, "SELECT loaded_seq FROM audit.delivery WHERE delivery_id = ?", [delivery.delivery_id])
    return int(seq)


VALUE = {
    "fct_crash": "kato, crash_id, deaths_30d",
    "dim_information_system": "kato, system_id, CAST(name AS INTEGER)",
}


def rows_at(store: Store, seq: int | None = None, table: str = "fct_crash") -> list[Row]:
    return query(store, f"SELECT {VALUE[table]} FROM {as_of(table, seq)} ORDER BY ALL")


def history(store: Store, table: str = "fct_crash") -> list[tuple[Any, ...]]:
    """(key, value, valid from, valid to)"""
    columns = VALUE[table].split(", ", 1)[1]
    return query(store, f"SELECT {columns}, valid_from_seq, valid_to_seq FROM history.{table} ORDER BY ALL")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Desk(tmp_path_factory.mktemp("history")).open() as store:
        yield store


def forget(store: Store) -> None:
    store.con.execute("DELETE FROM audit.seal")
    for table in VALUE:
        store.con.execute(f"DELETE FROM showcase.{table}; DELETE FROM history.{table}")
    store.con.execute("DELETE FROM audit.delivery; DELETE FROM audit.rejected_row; DELETE FROM audit.check_result")


@pytest.fixture
def store(warehouse: Store) -> Store:
    forget(warehouse)
    return warehouse


A, B, C = (ASTANA, "k1", 1), (ASTANA, "k2", 2), (ASTANA, "k3", 3)


# --- one slice ---


def test_a_correction_replaces_changed_rows_keeps_unchanged_ones_and_removes_those_it_lacks(store: Store) -> None:
    (first,) = deliver(store, extract(A, B, C))
    (second,) = deliver(store, extract(A, (ASTANA, "k2", 20), (ASTANA, "k4", 4)))
    before, after = loaded_seq(store, first), loaded_seq(store, second)
    assert rows_at(store) == [A, (ASTANA, "k2", 20), (ASTANA, "k4", 4)]
    columns = "crash_id, delivery_id, valid_from_seq"
    assert query(store, f"SELECT {columns} FROM showcase.fct_crash ORDER BY 1") == [
        ("k1", first.delivery_id, before),
        ("k2", second.delivery_id, after),
        ("k4", second.delivery_id, after),
    ]
    assert history(store) == [("k2", 2, before, after), ("k3", 3, before, after)]
    assert rows_at(store, before) == rows_at(store, after - 1) == [A, B, C]
    assert rows_at(store, after) == rows_at(store)
    assert rows_at(store, before - 1) == []


@pytest.mark.parametrize("other", [{"system": "b"}, {"scope": ALMATY}, {"period": "2026-02"}])
def test_only_the_same_system_territory_and_days_are_replaced(store: Store, other: dict[str, str]) -> None:
    more = (ALMATY if "scope" in other else ASTANA, "k3", 3)
    deliver(store, extract(A, B, scope=ASTANA))
    deliver(store, extract(more, **({"scope": ASTANA} | other)))
    assert rows_at(store) == [A, B, more]
    assert history(store) == []
    deliver(store, extract(A, scope=ASTANA))
    assert rows_at(store) == [A, more]


def test_an_empty_correction_removes_the_slice(store: Store) -> None:
    deliver(store, extract(A, B))
    deliver(store, extract(C, period="2026-02"))
    deliver(store, extract())
    assert rows_at(store) == [C]


def test_a_changed_kato_is_another_row(store: Store) -> None:
    deliver(store, extract(A))
    deliver(store, extract((ALMATY, "k1", 1)))
    assert rows_at(store) == [(ALMATY, "k1", 1)]
    assert [row[:2] for row in history(store)] == [("k1", 1)]


def test_a_value_that_became_empty_is_a_change(store: Store) -> None:
    deliver(store, extract(A))
    store.con.execute("UPDATE showcase.fct_crash SET injured = 5")
    deliver(store, extract(A))  # injured is NULL here
    assert query(store, "SELECT injured FROM showcase.fct_crash") == [(None,)]
    assert query(store, "SELECT injured FROM history.fct_crash") == [(5,)]


def test_the_same_once_more_changes_nothing(store: Store) -> None:
    deliver(store, extract(A, B))
    before = query(store, "SELECT * FROM showcase.fct_crash ORDER BY ALL")
    for _ in range(3):
        deliver(store, extract(B, A))
    assert query(store, "SELECT * FROM showcase.fct_crash ORDER BY ALL") == before
    assert history(store) == []


def test_back_to_what_was_before_is_a_new_version(store: Store) -> None:
    seqs = [loaded_seq(store, deliver(store, content)[0]) for content in (extract(A, B), extract(A, C), extract(A, B))]
    assert rows_at(store) == [A, B]
    assert history(store) == [("k2", 2, seqs[0], seqs[1]), ("k3", 3, seqs[1], seqs[2])]


@pytest.mark.parametrize("state", ["refused", "duplicate"])
def test_what_is_not_loaded_changes_nothing_and_replaces_nothing_later(store: Store, state: str) -> None:
    deliver(store, extract(A, B))
    deliver(store, extract(C, state=state), extract(period="2026-02", state=state))
    assert rows_at(store) == [A, B]
    deliver(store, extract(A, B, C))
    assert rows_at(store) == [A, B, C]


# --- between slices ---


def test_a_row_told_again_by_a_later_month_is_the_later_months_until_that_takes_it_back(store: Store) -> None:
    deliver(store, extract(A, B, period="2026-01"))
    deliver(store, extract((ASTANA, "k2", 20), C, period="2026-02"))
    assert rows_at(store) == [A, (ASTANA, "k2", 20), C]
    # what February told of it is newer than January, whenever January comes again
    (again,) = deliver(store, extract(A, (ASTANA, "k2", 3), period="2026-01"))
    assert rows_at(store) == [A, (ASTANA, "k2", 20), C]
    assert ("k2", 3, loaded_seq(store, again), loaded_seq(store, again)) in history(store)
    # and when February no longer tells it, January still does
    (last,) = deliver(store, extract(C, period="2026-02"))
    assert rows_at(store) == [A, (ASTANA, "k2", 3), C]
    assert query(store, "SELECT delivery_id, valid_from_seq FROM showcase.fct_crash WHERE crash_id = 'k2'") == [
        (again.delivery_id, loaded_seq(store, last))
    ]
    deliver(store, extract(A, period="2026-01"))
    assert rows_at(store) == [A, C]


def test_a_late_delivery_of_an_early_month_does_not_bring_old_states_back(store: Store) -> None:
    deliver(store, extract((ASTANA, "k1", 3), period="2026-03"))
    deliver(store, extract((ASTANA, "k1", 1), B, period="2026-01"))
    assert rows_at(store) == [(ASTANA, "k1", 3), B]


def test_the_same_row_from_another_slice_passes_to_it(store: Store) -> None:
    (first,) = deliver(store, extract(A, period="2026-01"))
    (second,) = deliver(store, extract(A, period="2026-02"))
    assert query(store, "SELECT delivery_id FROM showcase.fct_crash") == [(second.delivery_id,)]
    assert history(store) == [("k1", 1, loaded_seq(store, first), loaded_seq(store, second))]
    deliver(store, extract(period="2026-01"))
    assert rows_at(store) == [A]


FEB, MAR = (ASTANA, "feb", 2), (ASTANA, "mar", 3)


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (extract(A, B, FEB, period="2026-Q1"), extract(A, period="2026-01"), [FEB, A]),
        (extract(A, FEB, MAR, period="2026"), extract(A, FEB, period="2026-Q1"), [FEB, A]),
        (extract(A, B, period="2026-Q1"), extract(A, period="2026-01/2026-03"), [A]),
        (extract(A, B, scope="KZ"), extract(A, scope="71"), [A]),
        (extract(A, B, (ALMATY, "k9", 9), scope="KZ"), extract(A, scope=ASTANA), [A, (ALMATY, "k9", 9)]),
        (extract(A, B, scope=ASTANA), extract(A, scope="KZ"), [A]),
        (extract(A, FEB, period="2026-02"), extract(period="2026-01"), [FEB, A]),
    ],
)
def test_days_and_territories_are_compared_as_such(store: Store, first: Sent, second: Sent, left: list[Row]) -> None:
    deliver(store, first)
    deliver(store, second)
    assert rows_at(store) == sorted(left)
    forget(store)
    deliver(store, first, second)
    assert rows_at(store) == sorted(left)


def test_a_year_read_again_does_not_overrule_the_month_that_corrected_it(store: Store) -> None:
    (year,) = deliver(store, extract(A, B, FEB, period="2026"))
    deliver(store, extract((ASTANA, "k1", 10), period="2026-01"))
    register(store, [receipt("fct_crash", "a", "KZ", "2026", reread_of=year.delivery_id)])
    (again,) = received(store, "fct_crash")
    assert again.reread_of == year.delivery_id
    fill(store, "fct_crash", [again], [extract(A, B, (ASTANA, "feb", 20), period="2026")])
    assert rows_at(store) == [(ASTANA, "feb", 20), (ASTANA, "k1", 10)]
    # the month's own correction still finds what it is to take away, and nothing else
    deliver(store, extract(period="2026-01"))
    assert rows_at(store) == [(ASTANA, "feb", 20)]


def test_systems_that_number_alike_do_not_meet_unless_numbers_are_national(store: Store) -> None:
    deliver(store, extract(A), extract((ASTANA, "k1", 5), system="b"))
    assert rows_at(store) == [A, (ASTANA, "k1", 5)]
    deliver(store, extract(B))
    assert rows_at(store) == [(ASTANA, "k1", 5), B]


# --- several deliveries in one batch ---


def test_two_deliveries_of_one_slice_in_one_batch_come_one_after_the_other(store: Store) -> None:
    first, second = deliver(store, extract(A, B), extract((ASTANA, "k1", 10), C))
    assert rows_at(store) == [(ASTANA, "k1", 10), C]
    assert rows_at(store, loaded_seq(store, first)) == [A, B]
    assert loaded_seq(store, second) == loaded_seq(store, first) + 1


def test_the_same_key_in_two_periods_of_one_batch_is_the_later_periods(store: Store) -> None:
    first, second = deliver(store, extract(A, B, period="2026-02"), extract((ASTANA, "k1", 10), period="2026-01"))
    assert rows_at(store) == rows_at(store, loaded_seq(store, first)) == [A, B]
    assert history(store) == [("k1", 10, loaded_seq(store, second), loaded_seq(store, second))]


def test_a_correction_in_a_batch_does_not_overtake_a_later_delivery(store: Store) -> None:
    """The third shares a key with the second and comes after it, although only the second must wait for the first."""
    *_, last = deliver(store, extract(A), extract(A, B), extract((ASTANA, "k2", 20), period="2026-02"))
    assert rows_at(store) == [A, (ASTANA, "k2", 20)]
    assert rows_at(store, loaded_seq(store, last) - 1) == [A, B]
    assert all(start < end for _, _, start, end in history(store))


@pytest.mark.parametrize(("wide", "narrow"), [("KZ", ASTANA), ("71", ASTANA), ("KZ", "71")])
def test_nor_does_it_where_territories_overlap(store: Store, wide: str, narrow: str) -> None:
    for first, second in ((wide, narrow), (narrow, wide)):
        forget(store)
        deliver(store, extract(A, scope=first), extract(A, B, scope=first), extract((ASTANA, "k2", 20), scope=second))
        assert rows_at(store) == [(ASTANA, "k2", 20)]
        deliver(store, extract(B, scope=second), extract(scope=second), extract((ASTANA, "k2", 5), scope=first))
        assert rows_at(store) == [(ASTANA, "k2", 5)]


def test_a_row_sent_again_unchanged_and_then_overtaken_holds_once_at_any_time(store: Store) -> None:
    (first,) = deliver(store, extract(A))
    second, third = deliver(store, extract(A), extract((ASTANA, "k1", 10), period="2026-02"))
    for seq in (loaded_seq(store, first), loaded_seq(store, second)):
        assert rows_at(store, seq) == [A]
    assert rows_at(store, loaded_seq(store, third)) == rows_at(store) == [(ASTANA, "k1", 10)]


def test_a_row_withdrawn_and_then_brought_by_another_slice_is_gone_in_between(store: Store) -> None:
    deliver(store, extract(A, B))
    second, third = deliver(store, extract(B), extract(A, period="2026-02"))
    assert rows_at(store, loaded_seq(store, second)) == [B]
    assert rows_at(store, loaded_seq(store, third)) == [A, B]


def test_working_tables_are_as_they_are_declared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at where most of them are filled: before what a turn wrote is sealed."""
    seen, differing = set[str](), list[str]()

    def look(con: duckdb.DuckDBPyConnection, *args: Any, **more: Any) -> Any:
        seen.update(
            name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
        )
        differing.extend(differing_columns(con))
        return seals_of_rows(con, *args, **more)

    monkeypatch.setattr(replace, "seals_of_rows", look)
    deliver(store, extract(A, B), extract(A, period="2026-02"))
    deliver(store, extract(B))
    deliver(store, extract(A, (ASTANA, "k2", 9)), extract(period="2026-02"))
    assert {"work_matched_row", "work_taken_row", "work_leaving_row", "work_lost_key", "work_restored_row"} <= seen
    assert differing == []


def test_deliveries_for_unrelated_settlements_share_a_turn(store: Store) -> None:
    """However many corrections wait: as many turns as the longest chain of one settlement, not as deliveries."""
    scopes = [f"7100{n:05}" for n in range(50)]
    chain = [Delivery(n, "", "t", "a", scope, "2026-01", dt.date(2026, 1, 1), dt.date(2026, 2, 1), "", "", 0, None)
             for n, scope in enumerate([s for s in scopes for _ in range(3)])]  # fmt: skip
    assert set(turns_of(store.tables["fct_crash"], chain).values()) == {0, 1, 2}
    # months that follow one another share a turn, a quarter over one of them does not
    spans = ["2026-01", "2026-02", "2026-Q1", "2026-04"]
    of_one = [
        Delivery(n, "", "t", "a", ASTANA, p, parse_period(p).start, parse_period(p).end, "", "", 0, None)
        for n, p in enumerate(spans)
    ]
    assert list(turns_of(store.tables["fct_crash"], of_one).values()) == [0, 0, 1, 1]
    assert list(turns_of(store.tables["dim_information_system"], of_one).values()) == [0, 0, 0, 0]


# --- snapshots ---


def test_a_snapshot_table_keeps_the_state_of_each_period(store: Store) -> None:
    table = "dim_information_system"
    deliver(store, extract(A, B, period="2026-Q1"), table=table)
    deliver(store, extract((ASTANA, "k1", 10), period="2026-Q2"), table=table)
    dated = f"SELECT snapshot_date, {VALUE[table]} FROM showcase.{table} ORDER BY ALL"
    april, july = dt.date(2026, 4, 1), dt.date(2026, 7, 1)
    assert query(store, dated) == [(april, *A), (april, *B), (july, ASTANA, "k1", 10)]
    assert history(store, table) == []
    deliver(store, extract((ASTANA, "k1", 7), period="2026-Q1"), table=table)
    assert query(store, dated) == [(april, ASTANA, "k1", 7), (july, ASTANA, "k1", 10)]


# --- every moment, against a plain model ---


def check_against_model(store: Store, table: str, batches: Sequence[Sequence[Sent]]) -> None:
    forget(store)
    start, model, moments = store.last_seq, Model(table), {}
    for batch in batches:
        for delivery, content in zip(deliver(store, *batch, table=table), batch, strict=True):
            if content.state == "loaded":
                model.sent.append(content)
            moments[loaded_seq(store, delivery)] = model.rows()
    key, value = VALUE[table].rsplit(", ", 1)
    date = "" if table == "fct_crash" else "snapshot_date, "
    expected: list[tuple[Any, ...]] = []
    wanted = f"SELECT {key}, {date}{value}, d.system FROM {{}} JOIN audit.delivery d USING (delivery_id) ORDER BY ALL"
    for seq in range(start, store.last_seq + 1):
        expected = moments.get(seq, expected)
        assert query(store, wanted.format(as_of(table, seq))) == expected, f"at {seq}"
    assert query(store, wanted.format(as_of(table, None))) == expected
    assert query(store, f"SELECT * FROM history.{table} WHERE valid_to_seq < valid_from_seq") == []
    stray = f"SELECT * FROM {{}}.{table} r JOIN audit.delivery d USING (delivery_id) WHERE r.valid_from_seq < d.loaded_seq OR d.state <> 'loaded'"
    assert query(store, stray.format("showcase")) == query(store, stray.format("history")) == []
    found = {name: list(recomputed(store.con, name, one)) for name, one in of_table(table).items()}
    for name, seals in found.items():
        sealed = query(
            store,
            "SELECT first_seq, rows, sha256 FROM audit.seal WHERE what = ? AND first_seq > ? ORDER BY 1",
            [name, start],
        )
        assert sorted(seals) == sealed, name


KATOS = {"KZ": (ASTANA, AKTAU), "47": (AKTAU, ZHANAOZEN), AKTAU: (AKTAU,), ASTANA: (ASTANA,)}
PERIODS = ["2026-01", "2026-02", "2026-03", "2026-Q1", "2026-01/2026-02", "2026"]


@st.composite
def extracts(draw: st.DrawFn) -> Sent:
    scope, period = draw(st.sampled_from(list(KATOS))), draw(st.sampled_from(PERIODS))
    told = [k for k in ("k1", "k2", "feb", "mar") if OCCURRED.get(k, dt.date(2026, 1, 1)) < parse_period(period).end]
    keys = st.tuples(st.sampled_from(KATOS[scope]), st.sampled_from(told))
    rows = draw(st.dictionaries(keys, st.integers(0, 1), max_size=4))
    state = draw(st.sampled_from(["loaded", "loaded", "loaded", "loaded", "refused"]))
    return Sent(rows, scope, period, draw(st.sampled_from("aab")), state)


ONE = {(ASTANA, "k1"): 1}
BATCHES = st.lists(st.lists(extracts(), min_size=1, max_size=5), min_size=1, max_size=3)


@examples(8, full=25)
@given(BATCHES)
@example([[Sent(ONE)], [Sent(ONE), Sent({(ASTANA, "k1"): 0}, period="2026-02")]])
@example([[Sent(ONE)], [Sent({}), Sent(ONE, period="2026-02")]])
@example(
    [
        [Sent(ONE, scope=ASTANA, period="2026-Q1"), Sent({(ASTANA, "k1"): 0}, period="2026-02")],
        [Sent({(ASTANA, "k1"): 2})],
    ]
)
@example(
    [
        [
            Sent({(AKTAU, "k1"): 0}, scope=AKTAU, period="2026-Q1"),
            Sent({(ASTANA, "k1"): 0, (AKTAU, "k1"): 0}, period="2026-02"),
            Sent(ONE),
        ]
    ]
)
@example([[Sent(ONE)], [Sent({(ASTANA, "k1"): 0}, period="2026-02"), Sent(ONE)]])
@example([[Sent({}), Sent(ONE), Sent({(ASTANA, "k1"): 0}, period="2026-02")]])
def test_as_of_every_sequence_is_exactly_what_held_then(warehouse: Store, batches: list[list[Sent]]) -> None:
    check_against_model(warehouse, "fct_crash", batches)


@examples(5, full=15)
@given(BATCHES)
def test_and_so_it_is_for_snapshots(warehouse: Store, batches: list[list[Sent]]) -> None:
    check_against_model(warehouse, "dim_information_system", batches)


@examples(5, full=15)
@given(st.lists(extracts(), min_size=1, max_size=6), st.data())
def test_in_one_batch_or_in_many_the_end_is_the_same(
    warehouse: Store, contents: list[Sent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(contents)))
    ends = []
    for batches in ([contents], [contents[:cut], contents[cut:]], [[one] for one in contents]):
        forget(warehouse)
        for batch in filter(None, batches):
            deliver(warehouse, *batch)
        ends.append(rows_at(warehouse))
    assert ends[0] == ends[1] == ends[2]


# --- the ledger and the transaction ---


def test_the_ledger_is_dense_and_increasing_and_tells_every_decision(store: Store) -> None:
    start = store.last_seq
    deliver(store, extract(A), extract(B, state="refused"))
    deliver(store, extract(C, period="2026-02"))
    rows = query(store, "SELECT seq, kind, subject FROM audit.ledger ORDER BY seq")
    assert [row[0] for row in rows] == list(range(1, store.last_seq + 1))
    told = [row for row in rows[start:] if row[1] != "sealed"]
    assert [row[1] for row in told] == ["received", "received", "loaded", "refused", "received", "loaded"]
    assert len(rows[start:]) == len(told) + 4, "each of four transactions is sealed"
    decisions = query(store, "SELECT loaded_seq, state, receipt_id FROM audit.delivery ORDER BY 1")
    assert [row for row in told if row[1] != "received"] == decisions
    registered = query(store, "SELECT registered_seq, receipt_id FROM audit.delivery ORDER BY 1")
    assert [(row[0], row[2]) for row in rows[start:] if row[1] == "received"] == registered


def test_receipts_are_registered_once(store: Store) -> None:
    receipts = [receipt("fct_crash", "a", "KZ", "2026-01", "x"), receipt("fct_crash", "a", "KZ", "2026-02", "x")]
    assert register(store, receipts[:1]) == 1
    assert register(store, receipts) == 1
    assert register(store, receipts) == 0
    assert register(store, []) == 0
    waiting = received(store, "fct_crash")
    assert [d.receipt_id for d in waiting] == [r.receipt_id for r in receipts]
    assert [d.delivery_id for d in waiting] == [1, 2]
    assert decided(store, receipts) == []
    assert received(store, "fct_appeal") == []


@pytest.mark.parametrize(
    ("months", "expected"),
    [(None, ["2026-01", "2026-Q1", "2026-01/2026-02"]), (["2026-01"], ["2026-01"]), (["2026-03"], ["2026-Q1"]), ([], [])],
)  # fmt: skip
def test_waiting_deliveries_are_chosen_by_the_month_they_close_in(
    store: Store, months: list[str] | None, expected: list[str]
) -> None:
    periods = ("2026-01", "2026-Q1", "2026-01/2026-02")
    register(store, [receipt("fct_crash", "a", "KZ", period, "x") for period in periods])
    assert [d.period for d in received(store, "fct_crash", months)] == expected


def test_same_bytes_are_those_in_force_for_the_slice_read_by_the_same_contract(store: Store) -> None:
    def waiting(*contents: tuple[str, str]) -> list[Delivery]:
        return [
            Delivery(100 + n, "", "fct_crash", "a", "KZ", period, parse_period(period).start, parse_period(period).end, "", sha256, 1, None)
            for n, (sha256, period) in enumerate(contents)
        ]  # fmt: skip

    first, second = deliver(store, extract(A), extract(B))
    by = dict.fromkeys(range(100, 106), ("test", "1"))
    assert same_bytes(store, [], {}) == {}
    again = waiting(
        (second.sha256, "2026-01"),  # what is loaded now
        (second.sha256, "2026-02"),  # the same bytes for another month are another matter
        (first.sha256, "2026-01"),  # what was loaded before that comes back
        (first.sha256, "2026-01"),  # and twice
        (second.sha256, "2026-01"),
    )
    assert same_bytes(store, again, by) == {100: second.delivery_id, 103: 102}
    # a mended contract reads them again
    assert same_bytes(store, again, by | {100: ("test", "2"), 101: ("test", "2")}) == {103: 102}
    # and so it is where something came since that meets them
    deliver(store, extract(A, period="2026-Q1"))
    assert same_bytes(store, again[:1], by) == {}


def test_a_failure_while_loading_leaves_no_trace(store: Store) -> None:
    deliver(store, extract(A, B))
    register(store, [receipt("fct_crash", "a", "KZ", "2026-01", "new")])
    (waiting,) = received(store, "fct_crash")
    store.con.execute("CREATE OR REPLACE TEMP TABLE broken_staged AS SELECT * FROM staged")
    store.con.execute("UPDATE broken_staged SET delivery_id = ?, deaths_30d = 9", [waiting.delivery_id])
    tables = ("showcase.fct_crash", "history.fct_crash", "audit.ledger", "audit.delivery", "audit.rejected_row")
    before = [query(store, f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    def out_of_luck(*_: Any, **__: Any) -> Any:
        # the rows are in their places by now
        assert query(store, "SELECT DISTINCT deaths_30d FROM showcase.fct_crash") == [(9,)]
        raise RuntimeError("out of luck")

    outcome = Outcome(waiting.delivery_id, DeliveryState.LOADED, None, "test", "1", 2, 2, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warehouse.loading.load.journal", out_of_luck)
        with pytest.raises(RuntimeError, match="out of luck"):
            load(store, store.tables["fct_crash"], "broken_staged", [waiting], [outcome], [])
    assert [query(store, f"SELECT * FROM {table} ORDER BY ALL") for table in tables] == before
    load(store, store.tables["fct_crash"], "broken_staged", [waiting], [outcome], [])
    assert [row[2] for row in rows_at(store)] == [9, 9]


def test_current_rows_are_the_newest_of_as_of(store: Store) -> None:
    assert as_of("fct_crash", None) == "showcase.fct_crash"
    deliver(store, extract(A))
    assert rows_at(store, store.last_seq) == rows_at(store, store.last_seq + 1000) == rows_at(store)


def test_many_receipts_are_entered_again_by_the_next_run(store: Store) -> None:
    # DuckDB 2: the head of a ledger that is longer than one vector leaves rows unread, and then nothing can be registered
    for _ in range(3):
        store.con.execute("CHECKPOINT")
        store._newest = None  # as of a store that was just opened
        assert register(store, [receipt("fct_crash", "test", ASTANA, "2026-01") for _ in range(2500)]) == 2500
    assert query(store, "SELECT count(*) FROM audit.delivery") == [(7500,)]
