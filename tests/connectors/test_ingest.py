"""From pending receipts to decisions: what is loaded, what is refused and why, what is found, and what a failure leaves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import batches, ingest, ingest_batch
from connectors.batches import batches_of
from connectors.delivery_gate.delivery_gate import judge_deliveries
from connectors.ingest import IngestReport, ingest_table, load_source_contracts
from connectors.mapping.read_contracts import SHIPPED, parse_source
from kpi_definitions.documents import DocumentError, read
from tests.support.files import (
    APPEAL_COLUMNS,
    CRASH_COLUMNS,
    Desk,
    appeal,
    appeals,
    contents,
    contract_text,
    crash,
    crashes,
    query,
    states,
    text,
)
from tests.support.settlements import ALMATY, ASTANA
from tests.support.working_tables import differing_columns
from warehouse.loading.deliveries import Delivery
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule
from warehouse.tables.settlements import settlements
from warehouse.tables.working_tables import working_tables


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Store]]:
    desk = Desk(tmp_path_factory.mktemp("intake"))
    with desk.open() as store:
        yield desk, store


@pytest.fixture
def desk(open_desk: tuple[Desk, Store]) -> Desk:
    open_desk[0].forget(open_desk[1])
    return open_desk[0]


@pytest.fixture
def store(open_desk: tuple[Desk, Store]) -> Store:
    return open_desk[1]


def decided(report: IngestReport) -> list[tuple[str, int, int, int]]:
    return [(o.state, o.received, o.accepted, o.rejected) for o in report.outcomes]


def finding(report: IngestReport, rule: str, delivery_id: int = 1) -> tuple[bool, str, str]:
    (one,) = [f for f in report.findings if f.rule == rule and f.delivery_id == delivery_id]
    return one.passed, one.severity, one.observed


def check_books(store: Store) -> None:
    """What must hold after any intake whatever."""
    assert query(store, "SELECT delivery_id, rule FROM audit.check_result GROUP BY ALL HAVING count(*) > 1") == []
    wrong = "SELECT * FROM audit.delivery WHERE state <> 'received' AND accepted_rows + rejected_rows <> received_rows"
    assert query(store, wrong) == []
    assert query(store, "SELECT * FROM audit.delivery WHERE state <> 'loaded' AND accepted_rows > 0") == []
    assert query(store, "SELECT * FROM audit.delivery WHERE state IN ('refused', 'duplicate') AND reason IS NULL") == []
    assert query(store, "SELECT * FROM audit.delivery WHERE state = 'loaded' AND reason IS NOT NULL") == []
    quarantined = """SELECT d.delivery_id FROM audit.delivery d
        LEFT JOIN (FROM audit.rejected_row WHERE column_name IS NULL) r USING (delivery_id)
        WHERE d.state = 'loaded' GROUP BY d.delivery_id, d.rejected_rows HAVING count(r.row_no) <> d.rejected_rows"""
    assert query(store, quarantined) == []
    seqs = [row[0] for row in query(store, "SELECT seq FROM audit.ledger ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))


# --- many at once ---


def test_of_sixty_settlements_some_are_refused_and_the_others_go_on(desk: Desk, store: Store) -> None:
    katos = list(settlements())[:60]
    harm: dict[int, str | bytes] = {
        3: appeals(5).replace("status", "state", 1),
        10: b"",
        17: b"PK\x03\x04 and nothing more",
        24: text([appeal(n, status="?" if n < 3 else "OPEN") for n in range(20)]),
        31: ",".join(APPEAL_COLUMNS) + "\n",
        38: b"\xff\xfe" + appeals(2).encode("utf-16-le"),
        59: "nothing to read",
    }
    cut = {5: appeals(19) + "A20,cut", 50: appeals(19) + 'A20,"cut'}
    for index, kato in enumerate(katos):
        desk.deliver(({index: appeals(5 + index)} | harm | cut)[index], scope=kato, name=f"town{index}.csv")
    report = desk.take(store)
    assert [o.delivery_id for o in report.outcomes] == list(range(1, 61))
    refused = {o.delivery_id - 1: str(o.reason) for o in report.outcomes if o.state == "refused"}
    assert sorted(refused) == sorted(harm)
    assert all(o.state == "loaded" for o in report.outcomes if o.delivery_id - 1 not in harm)
    for index, words in {3: "lacks status", 10: "not even a header", 17: "cannot be unpacked", 24: "rejected-share", 31: "has-rows",
                         38: "UTF-16", 59: "the header lacks"}.items():  # fmt: skip
        assert words in refused[index]
        assert refused[index].startswith(f"town{index}.csv: ")
    counted = dict(query(store, "SELECT kato, count(*) FROM showcase.fct_appeal GROUP BY ALL"))
    assert counted == {kato: 19 if index in cut else 5 + index for index, kato in enumerate(katos) if index not in harm}
    assert decided(report)[5] == decided(report)[50] == ("loaded", 20, 19, 1)
    assert report.count("loaded") == 53
    assert report.accepted == sum(counted.values())
    assert desk.archive.pending() == []
    check_books(store)


def test_systems_of_several_formats_feed_one_table_in_one_batch(desk: Desk, store: Store) -> None:
    contract = parse_source(read(SHIPPED / "ikomek109/appeals.odcs.yaml"), store.tables)
    line = "П1;05.01.2026 10:00:00;-;-;-;Открыто;Қоқыс;телефон;нет"
    desk.deliver((";".join(contract.headers) + f"\n{line}\n").encode("kz1048"), system="ikomek109")
    desk.deliver(appeals(2))
    desk.deliver(appeals(2, first=3), system="ikomek109")
    report = desk.take(store)
    assert [o.state for o in report.outcomes] == ["loaded", "loaded", "refused"]
    assert [o.contract_id for o in report.outcomes] == [contract.id, "standard.fct_appeal", contract.id]
    assert query(store, "SELECT appeal_id, category FROM showcase.fct_appeal ORDER BY 1") == [
        ("A1", "roads"),
        ("A2", "roads"),
        ("П1", "Қоқыс"),
    ]
    assert query(store, "SELECT contract_id, contract_version FROM audit.delivery WHERE delivery_id = 1") == [
        (contract.id, contract.version)
    ]


@pytest.mark.parametrize(("limit", "expected"), [("BATCH_DELIVERIES", 3), ("BATCH_BYTES", 7)])
def test_what_waits_is_taken_in_batches(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    monkeypatch.setattr(batches, limit, 3 if limit == "BATCH_DELIVERIES" else 10)
    for n in range(7):
        desk.deliver(appeals(2, first=10 * n), period=f"2026-0{n + 1}")
    ingest.register_pending(store, desk.archive)
    said: list[str] = []
    report = ingest_table(store, desk.archive, store.tables["fct_appeal"], {}, progress=said.append)
    assert decided(report) == [("loaded", 2, 2, 0)] * 7
    assert len(said) == expected
    assert said[-1].startswith("fct_appeal: 7 of 7 deliveries, 14 rows accepted, 0 rejected, ")
    assert re.search(r"\d rows/s, about \d+ s left$", said[0])
    assert re.search(r"\d rows/s$", said[-1])


def waiting(sizes: Sequence[int]) -> list[Delivery]:
    since, until = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
    return [
        Delivery(n, "", "t", "a", "KZ", "2026-01", since, until, "", "", size, None) for n, size in enumerate(sizes)
    ]


@given(sizes=st.lists(st.integers(1, 200), max_size=40), most=st.integers(1, 300))
def test_batches_keep_the_order_and_the_limit(sizes: list[int], most: int) -> None:
    split = list(batches_of(waiting(sizes), lambda: most))
    assert [d.bytes for batch in split for d in batch] == sizes
    assert all(len(batch) == 1 or sum(d.bytes for d in batch) <= most for batch in split)


def test_batches_are_of_one_size() -> None:
    assert [len(batch) for batch in batches_of(waiting([18] * 36), lambda: 134)] == [6] * 6
    assert [len(batch) for batch in batches_of(waiting([1] * 4500), lambda: 134000)] == [2000, 2000, 500]


def test_batches_grow_with_the_table(desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {desk.deliver(appeals(2, first=10 + 10 * n), period=f"2026-0{n + 1}").bytes for n in range(7)}
    monkeypatch.setattr(batches, "BATCH_BYTES", max(sizes))
    monkeypatch.setattr(batches, "LARGE_ROWS", 2)
    ingest.register_pending(store, desk.archive)
    said: list[str] = []
    ingest_table(store, desk.archive, store.tables["fct_appeal"], {}, progress=said.append)
    # the next batch is chosen while one is still to be loaded: on 0, 0 and 2 rows one file; on 4 rows two; on 6 three, of which two are left
    assert [text.split(" of ")[0] for text in said] == [f"fct_appeal: {n}" for n in (1, 2, 3, 5, 7)]


def test_former_bytes_that_come_again_after_others_are_loaded_whatever_the_batches(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)  # a batch for each: unpacked before the one before it is loaded
    desk.deliver(appeals(2))
    desk.take(store, "fct_appeal")
    for rows in (3, 2, 2):
        desk.deliver(appeals(rows))
    desk.take(store, "fct_appeal")
    assert states(store) == {1: "loaded", 2: "loaded", 3: "loaded", 4: "duplicate"}
    assert store.con.execute("SELECT count(*) FROM showcase.fct_appeal").fetchall() == [(2,)]


def test_only_deliveries_that_close_in_the_months_asked_for_are_taken(desk: Desk, store: Store) -> None:
    for period in ("2026-01", "2026-02", "2026-Q1"):
        desk.deliver(appeals(2), period=period)
    assert decided(desk.take(store, "fct_appeal", months=["2026-02"])) == [("loaded", 2, 2, 0)]
    assert states(store) == {1: "received", 2: "loaded", 3: "received"}
    assert [r.period for r in desk.archive.pending()] == ["2026-01", "2026-Q1"]
    assert desk.take(store, "fct_appeal", months=[]).outcomes == []
    desk.take(store, "fct_appeal", months=["2026-01", "2026-03"])
    assert set(states(store).values()) == {"loaded"}


def test_nothing_waiting_is_nothing_done_and_nothing_imported(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("judged without a delivery")

    monkeypatch.setattr(ingest_batch, "judge_deliveries", never)
    head = store.last_seq
    assert desk.take(store, "fct_appeal") == IngestReport()
    desk.deliver(b"")  # refused before there is anything to judge
    assert desk.take(store).count("refused") == 1
    assert store.last_seq == head + 5  # received and sealed; refused, an incident opened and sealed


# --- reasons to refuse ---


@pytest.mark.parametrize(
    ("declared", "state"), [(5, "loaded"), (4, "refused"), (6, "refused"), (0, "refused"), (None, "loaded")]
)
def test_the_manifests_number_of_rows_must_be_that_of_the_file(
    desk: Desk, store: Store, declared: int | None, state: str
) -> None:
    desk.deliver(appeals(5), rows=declared)
    report = desk.take(store)
    assert decided(report) == [(state, 5, 5, 0) if state == "loaded" else (state, 5, 0, 5)]
    assert query(store, "SELECT count(*) FROM showcase.fct_appeal") == [(5 if state == "loaded" else 0,)]
    passed, severity, observed = finding(report, "manifest-rows")
    assert (passed, severity) == (state == "loaded", "error")
    assert observed == (
        "manifest_difference = no data" if declared is None else f"manifest_difference = {5 - declared}"
    )
    if not passed:
        assert "manifest-rows" in str(report.outcomes[0].reason)


def test_the_manifest_counts_rejected_records_too(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(19) + "A20,cut", rows=20)
    assert decided(desk.take(store)) == [("loaded", 20, 19, 1)]


@pytest.mark.parametrize(
    ("broken", "state"), [(0, "loaded"), (9, "loaded"), (10, "loaded"), (11, "refused"), (100, "refused")]
)
def test_more_than_a_tenth_of_broken_rows_refuses_the_whole_delivery(
    desk: Desk, store: Store, broken: int, state: str
) -> None:
    desk.deliver(text([appeal(n, status="?" if n <= broken else "OPEN") for n in range(1, 101)]))
    report = desk.take(store)
    accepted = 100 - broken if state == "loaded" else 0
    assert decided(report) == [(state, 100, accepted, 100 - accepted)]
    assert query(store, "SELECT count(*) FROM showcase.fct_appeal") == [(accepted,)]
    # the quarantine has the broken ones, with their text: the others of a refused delivery broke nothing
    kept = query(
        store, "SELECT row_no, rule, json_extract_string(raw, '$.appeal_id') FROM audit.rejected_row ORDER BY 1"
    )
    assert kept == [(n, "status-domain", f"A{n}") for n in range(1, broken + 1)]
    assert finding(report, "rejected-share") == (state == "loaded", "error", f"rejected_percent = {broken}")
    check_books(store)


def test_an_empty_delivery_is_refused_where_the_contract_says_so(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(3))
    desk.take(store)
    desk.deliver(",".join(APPEAL_COLUMNS) + "\n")
    report = desk.take(store)
    assert decided(report) == [("refused", 0, 0, 0)]
    assert "has-rows" in str(report.outcomes[0].reason)
    assert query(store, "SELECT count(*) FROM showcase.fct_appeal") == [(3,)]


@pytest.mark.parametrize("table", ["fct_crash", "fct_building_permit"])
def test_an_empty_delivery_is_loaded_where_the_contract_allows_it(desk: Desk, store: Store, table: str) -> None:
    columns = [c.name for c in store.tables[table].columns]
    desk.deliver(",".join(columns) + "\n", table)
    report = desk.take(store)
    assert decided(report) == [("loaded", 0, 0, 0)]
    assert finding(report, "has-rows") == (False, "warning", "received = 0")
    assert all(f.passed for f in report.findings if f.rule not in {"has-rows", "on-time"})
    check_books(store)


def test_an_allowed_empty_correction_withdraws_what_was_there(desk: Desk, store: Store) -> None:
    desk.deliver(crashes(3), "fct_crash")
    desk.take(store)
    desk.deliver(",".join(CRASH_COLUMNS) + "\n", "fct_crash")
    desk.take(store)
    assert query(store, "SELECT count(*) FROM showcase.fct_crash") == [(0,)]
    assert query(store, "SELECT count(*) FROM history.fct_crash") == [(3,)]


def test_an_unknown_system_is_refused_with_a_remedy_that_helps(desk: Desk, store: Store) -> None:
    content = text([appeal(n) for n in range(3)]).replace("appeal_id", "number", 1)
    desk.deliver(content, system="newcomer", name="n.csv")
    report = desk.take(store)
    assert [o.state for o in report.outcomes] == ["refused"]
    reason = str(report.outcomes[0].reason)
    assert "n.csv: no source contract of system 'newcomer' for fct_appeal" in reason
    assert "add one to the home's contracts/ folder or deliver without --system" in reason
    columns = "".join(f"      - {{name: {c}}}\n" for c in APPEAL_COLUMNS)
    columns = columns.replace("{name: appeal_id}", "{name: appeal_id, physicalName: number}")
    desk.add_contract(contract_text("newcomer", "fct_appeal", columns))
    desk.deliver(content, system="newcomer", name="n.csv")
    assert decided(desk.take(store)) == [("loaded", 3, 3, 0)]


def test_a_broken_contract_of_the_installation_is_reported_with_its_line(desk: Desk, store: Store) -> None:
    desk.add_contract(contract_text("newcomer", "fct_appeal", "      - {name: apeal_id}\n"), "wrong")
    with pytest.raises(DocumentError, match=r"wrong\.odcs\.yaml:\d+: fct_appeal has no column 'apeal_id'"):
        load_source_contracts(desk.home, store.tables)


def test_a_second_contract_of_a_system_for_a_table_is_refused(desk: Desk, store: Store) -> None:
    columns = "".join(f"      - {{name: {c}}}\n" for c in APPEAL_COLUMNS)
    for name in ("one", "two"):
        desk.add_contract(contract_text("newcomer", "fct_appeal", columns), name)
    with pytest.raises(DocumentError, match="already has a contract for fct_appeal"):
        load_source_contracts(desk.home, store.tables)


# --- the same again ---


def test_the_same_bytes_are_a_duplicate_and_change_nothing(desk: Desk, store: Store) -> None:
    desk.deliver(appeals(5))
    desk.deliver(appeals(5, first=3), period="2026-02")
    desk.take(store)
    before = contents(store, "showcase", "history")
    desk.deliver(appeals(5))
    report = desk.take(store)
    assert decided(report) == [("duplicate", 0, 0, 0)]
    assert report.outcomes[0].reason == "same bytes as delivery 1"
    assert report.findings == []
    assert contents(store, "showcase", "history") == before
    assert before["showcase.fct_appeal"]
    assert before["history.fct_appeal"]
    check_books(store)


@pytest.mark.parametrize("slice_", [{"period": "2026-02"}, {"scope": ALMATY}])
def test_the_same_bytes_for_another_slice_are_no_duplicate(desk: Desk, store: Store, slice_: dict[str, str]) -> None:
    desk.deliver(appeals(5))
    desk.deliver(appeals(5), **slice_)  # type: ignore[arg-type]
    assert [o.state for o in desk.take(store).outcomes] == ["loaded", "loaded"]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_a_correction_taken_back_restores_what_was(desk: Desk, store: Store, together: bool) -> None:
    one, other = appeals(5), appeals(4, category="other")
    values = f"SELECT {', '.join(APPEAL_COLUMNS)} FROM showcase.fct_appeal ORDER BY 1"
    found = []
    for content in (one, other, one, one):
        desk.deliver(content)
        if not together:
            desk.take(store)
            found.append(query(store, values))
    if together:
        desk.take(store)
    assert list(states(store).values()) == ["loaded", "loaded", "loaded", "duplicate"]
    assert [row[:1] for row in query(store, values)] == [(f"A{n}",) for n in range(1, 6)]
    assert {row[6] for row in query(store, values)} == {"roads"}
    assert found in ([], [found[0], found[1], found[0], found[0]] if found else [])
    assert query(store, "SELECT count(*) FROM history.fct_appeal") == [(5 + 4,)]


def test_the_same_bytes_as_a_refused_delivery_are_refused_again(desk: Desk, store: Store) -> None:
    for _ in range(2):
        desk.deliver("nonsense")
    desk.deliver(appeals(3))
    report = desk.take(store)
    assert [o.state for o in report.outcomes] == ["refused", "refused", "loaded"]
    assert "same bytes as delivery 1, which was refused: " in str(report.outcomes[1].reason)
    desk.deliver("nonsense")
    assert [o.state for o in desk.take(store).outcomes] == ["refused"]


# --- what is found ---


def test_every_rule_is_judged_once_for_every_delivery(desk: Desk, store: Store) -> None:
    for n in range(5):
        desk.deliver(appeals(20) + ("A9,cut" if n == 2 else ""), period=f"2026-0{n + 1}")
    desk.deliver(b"", period="2026-06")
    report = desk.take(store)
    assert [o.state for o in report.outcomes] == ["loaded"] * 5 + ["refused"]
    rules = sorted(r.id for r in store.tables["fct_appeal"].all_rules)
    for delivery in range(1, 6):
        assert sorted(f.rule for f in report.findings if f.delivery_id == delivery) == rules
    assert [(f.rule, f.passed, f.severity) for f in report.findings if f.delivery_id == 6] == [
        ("structure", False, "error")
    ]
    written = query(
        store,
        "SELECT delivery_id, rule, severity, dimension, passed, observed, expected, failing_rows FROM audit.check_result ORDER BY ALL",
    )
    assert written == sorted((dataclasses.astuple(f)[:8] for f in report.findings), key=lambda f: f[:7])
    assert finding(report, "structure", 3) == (False, "warning", "1 records could not be read")
    assert finding(report, "structure", 2) == (True, "error", "0 records could not be read")
    check_books(store)


def test_row_rules_are_found_with_their_counts(desk: Desk, store: Store) -> None:
    rows = [appeal(n) for n in range(97)]
    rows += [appeal(97, status="?"), appeal(98, closed_at="2020-01-01"), appeal(99, registered_at="")]
    desk.deliver(text(rows) + text([appeal(1), appeal(2, status="?")]).split("\n", 1)[1])
    report = desk.take(store)
    assert decided(report) == [("loaded", 102, 97, 5)]
    assert finding(report, "status-domain") == (False, "warning", "2 rows rejected")
    assert finding(report, "registered-before-closed") == (False, "warning", "1 rows rejected")
    assert finding(report, "registered_at.required") == (False, "warning", "1 rows rejected")
    assert finding(report, "key.unique") == (True, "warning", "0 rows rejected")
    assert finding(report, "key.duplicate") == (True, "warning", "1 full duplicates left out, one of each kept")
    assert finding(report, "registered_at.type") == (True, "warning", "0 rows rejected")
    assert finding(report, "scope") == (True, "warning", "0 rows rejected")


def test_broken_cells_are_kept_beside_the_rows_that_lost_them(desk: Desk, store: Store) -> None:
    rows = [appeal(n) for n in range(97)] + [
        appeal(97, category="x" * 201, channel="y" * 101),
        appeal(98, channel="y" * 101),
    ]
    desk.deliver(text([*rows, appeal(99, status="?", category="x" * 201)]))
    report = desk.take(store)
    assert decided(report) == [("loaded", 100, 99, 1)]
    assert finding(report, "category.length") == (False, "warning", "1 cells left empty")
    assert finding(report, "channel.length") == (False, "warning", "2 cells left empty")
    found = query(
        store,
        "SELECT row_no, column_name, rule, left(raw, 1), kato, moments IS NOT NULL FROM audit.rejected_row ORDER BY ALL",
    )
    assert found == [
        (98, "category", "category.length", "x", ASTANA, True),
        (98, "channel", "channel.length", "y", ASTANA, True),
        (99, "channel", "channel.length", "y", ASTANA, True),
        (100, None, "status-domain", "{", ASTANA, True),
    ]
    # more than 1 % of the rows: the criterion fails as it would by rejected rows
    assert query(store, "SELECT rule, observed FROM audit.incident WHERE rule <> 'on-time'") == [
        ("channel.length", "2 cells left empty")
    ]
    assert query(store, "SELECT count(*) FROM showcase.fct_appeal WHERE channel IS NULL") == [(2,)]


def test_full_duplicates_refuse_no_delivery_and_open_no_incident(desk: Desk, store: Store) -> None:
    rows = [appeal(n) for n in range(60)]
    desk.deliver(text(rows + rows[:40] + rows[:40]))
    report = desk.take(store)
    assert decided(report) == [("loaded", 140, 60, 80)]
    assert finding(report, "key.duplicate") == (True, "warning", "80 full duplicates left out, one of each kept")
    assert finding(report, "rejected-share")[2] == "rejected_percent = 0"
    assert finding(report, "repeated-keys")[2] == "duplicate_percent = 0"
    assert query(store, "SELECT * FROM audit.incident WHERE rule <> 'on-time'") == []


def test_rows_in_doubt_are_kept_and_counted(desk: Desk, store: Store) -> None:
    rows = [
        {"permit_id": f"P{n}", "submitted_at": "2020-01-01", "approved_at": approved, "channel": "ONLINE", "status": ""}
        for n, approved in enumerate(["2020-02-01", "2023-02-01", "2024-02-01", ""])
    ]
    desk.deliver(text(rows), "fct_building_permit")
    report = desk.take(store)
    assert decided(report) == [("loaded", 4, 4, 0)]
    assert finding(report, "approval-days-range") == (False, "warning", "2 rows in doubt, kept")


@pytest.mark.parametrize(("missing", "passed"), [(0, True), (1, True), (2, False), (100, False)])
def test_too_many_gaps_are_a_warning(desk: Desk, store: Store, missing: int, passed: bool) -> None:
    desk.deliver(text([appeal(n, due_at="" if n < missing else "2026-02-01") for n in range(100)]))
    report = desk.take(store)
    assert decided(report) == [("loaded", 100, 100, 0)]
    rule = next(r.id for r in store.tables["fct_appeal"].delivery_rules if r.id.endswith("due-at-known"))
    assert finding(report, rule) == (passed, "warning", f"null_percent__due_at = {missing}")


@pytest.mark.parametrize(("repeated", "passed"), [(1, True), (3, False)])
def test_too_many_repeated_keys_are_a_warning(desk: Desk, store: Store, repeated: int, passed: bool) -> None:
    rows = [appeal(n) for n in range(400 - repeated)] + [appeal(n, category="other") for n in range(repeated)]
    desk.deliver(text(rows))
    report = desk.take(store)
    assert decided(report) == [("loaded", 400, 400 - 2 * repeated, 2 * repeated)]
    assert finding(report, "repeated-keys")[:2] == (passed, "warning")


def test_volume_is_judged_against_the_median_of_the_last_twelve_loads(desk: Desk, store: Store) -> None:
    numbers = itertools.count(1, 1000)

    def of(rows: int, period: str) -> str:
        day = f"{period}-05" if "-" in period else f"{period}-03-05"
        return appeals(rows, next(numbers), registered_at=f"{day} 10:00:00", first_answer_at="", closed_at="")

    def volume(rows: int, period: str, **slice_: str) -> tuple[bool, str]:
        desk.deliver(of(rows, period), period=period, **slice_)  # type: ignore[arg-type]
        report = desk.take(store)
        (outcome,) = report.outcomes
        assert outcome.state == "loaded", "volume is a warning"
        passed, severity, observed = finding(report, "volume", outcome.delivery_id)
        assert severity == "warning"
        return passed, observed

    def load_months(year: int, *sizes: int) -> None:
        for month, rows in enumerate(sizes, 1):
            desk.deliver(of(rows, f"{year}-{month:02}"), period=f"{year}-{month:02}")
        assert {o.state for o in desk.take(store).outcomes} == {"loaded"}

    assert volume(40, "2023-12") == (True, "volume_ratio = no data")
    load_months(2024, 1000, *[40] * 11)
    assert volume(40, "2025-01") == (True, "volume_ratio = 1")
    assert volume(20, "2025-02") == (True, "volume_ratio = 0.5")
    assert volume(19, "2025-03") == (False, "volume_ratio = 0.475")
    assert volume(80, "2025-04") == (True, "volume_ratio = 2")
    assert volume(81, "2025-05") == (False, "volume_ratio = 2.025")
    # a year is not compared with months, nor another territory or system
    assert volume(500, "2023") == (True, "volume_ratio = no data")
    assert volume(500, "2025-01", scope=ALMATY) == (True, "volume_ratio = no data")
    # after twelve loads of another size the median is theirs
    load_months(2026, *[100] * 12)
    assert volume(40, "2027-01") == (False, "volume_ratio = 0.4")


def with_rule(table: Table, rule: str, **kwargs: Any) -> Table:
    """The table with other bounds for one delivery rule."""
    changed = [
        dataclasses.replace(r, kwargs={**r.kwargs, **kwargs}) if r.id == rule else r for r in table.delivery_rules
    ]
    assert changed != list(table.delivery_rules)
    return dataclasses.replace(table, delivery_rules=tuple(changed))


@pytest.mark.parametrize(
    ("limit", "states_"), [(10, ["loaded", "refused"]), (50, ["loaded", "loaded"]), (4, ["refused"] * 2)]
)
def test_great_expectations_judges_by_the_contracts_bounds(
    desk: Desk, store: Store, limit: int, states_: list[str]
) -> None:
    for n, broken in enumerate((5, 30), 1):
        desk.deliver(text([appeal(i, status="?" if i < broken else "OPEN") for i in range(100)]), period=f"2026-0{n}")
    ingest.register_pending(store, desk.archive)
    table = store.tables["fct_appeal"]
    changed = table if limit == 10 else with_rule(table, "rejected-share", max_value=limit)
    report = ingest_table(store, desk.archive, changed, {})
    assert [o.state for o in report.outcomes] == states_
    assert [finding(report, "rejected-share", n)[0] for n in (1, 2)] == [state == "loaded" for state in states_]


def profile(**columns: Sequence[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    count = len(next(iter(columns.values())))
    usual = {
        "delivery_id": range(1, count + 1),
        "received": [10] * count,
        "rejected_percent": [0.0] * count,
        "duplicate_percent": [0.0] * count,
    }
    usual |= {name: [float("nan")] * count for name in ("manifest_difference", "volume_ratio", "late_days")}
    return pd.DataFrame(usual | columns), pd.DataFrame({"delivery_id": [], "rule": [], "rows": []})


def test_every_failing_delivery_of_many_is_named(store: Store) -> None:
    shares = [float(n % 21) for n in range(1, 501)]
    found = [
        f
        for f in judge_deliveries(store.tables["fct_crash"], *profile(rejected_percent=shares))
        if f.rule == "rejected-share"
    ]
    assert [f.delivery_id for f in found] == list(range(1, 501))
    assert [f.passed for f in found] == [share <= 10 for share in shares]


@pytest.mark.parametrize(
    ("expectation", "kwargs", "verdicts"),
    [
        ("expect_column_values_to_be_between", {"min_value": 10}, [False, True, True, True]),
        ("expect_column_values_to_be_between", {"max_value": 10}, [True, True, False, True]),
        ("expect_column_values_to_be_between", {"min_value": 10, "strict_min": True}, [False, False, True, True]),
        ("expect_column_values_to_be_in_set", {"value_set": [9, 11]}, [True, False, True, True]),
        ("expect_column_values_to_not_be_null", {}, [True, True, True, False]),
    ],
)
def test_verdicts_of_great_expectations(
    store: Store, expectation: str, kwargs: dict[str, Any], verdicts: list[bool]
) -> None:
    rule = Rule(
        "the-rule",
        {"code": "rule.scope"},
        "accuracy",
        "error",
        expectation=expectation,
        kwargs={"column": "volume_ratio", **kwargs},
    )
    table = dataclasses.replace(store.tables["fct_crash"], delivery_rules=(rule,))
    findings = judge_deliveries(table, *profile(volume_ratio=[9.0, 10.0, 11.0, float("nan")]))
    assert [f.passed for f in findings if f.rule == "the-rule"] == verdicts


def test_an_expectation_about_distributions_gets_what_was_not_imported_at_first(store: Store) -> None:
    def passes(weights: list[float]) -> bool:
        rule = Rule("the-rule", {"code": "rule.scope"}, "accuracy", "error", expectation="expect_column_kl_divergence_to_be_less_than",
                    kwargs={"column": "received", "partition_object": {"values": [10, 20], "weights": weights}, "threshold": 0.1})  # fmt: skip
        table = dataclasses.replace(store.tables["fct_crash"], delivery_rules=(rule,))
        return all(f.passed for f in judge_deliveries(table, *profile(received=[10, 20])) if f.rule == "the-rule")

    assert passes([0.5, 0.5])
    with pytest.raises(RuntimeError, match="could not be judged"):  # it has no verdict on single deliveries
        passes([0.99, 0.01])


@pytest.mark.parametrize(
    ("expectation", "kwargs"),
    [
        ("expect_column_values_to_be_between", {"column": "no_such_column", "max_value": 1}),
        ("expect_column_values_to_be_between", {"column": "text", "max_value": 1}),
        ("expect_column_mean_to_be_between", {"column": "received", "max_value": 1}),
    ],
)
def test_a_rule_that_gives_no_verdict_stops_the_run_instead_of_passing(
    desk: Desk, store: Store, expectation: str, kwargs: dict[str, Any]
) -> None:
    rule = Rule("the-rule", {"code": "rule.scope"}, "accuracy", "error", expectation=expectation, kwargs=kwargs)
    table = dataclasses.replace(store.tables["fct_crash"], delivery_rules=(rule,))
    with pytest.raises(RuntimeError, match=r"rule fct_crash\.the-rule could not be judged"):
        judge_deliveries(table, *profile(text=["a", "b"]))


# --- failures ---


def test_an_error_in_the_middle_leaves_everything_waiting_and_a_second_run_finishes(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deliver(appeals(5))
    desk.deliver(b"", period="2026-02")
    desk.deliver(appeals(2) + "A9,cut", period="2026-03")
    before = contents(store)

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(ingest_batch, "load", fails)
        with pytest.raises(OSError, match="disk full"):
            desk.take(store)
    assert states(store) == {1: "received", 2: "received", 3: "received"}
    assert contents(store) == before
    assert len(desk.archive.pending()) == 3
    assert decided(desk.take(store)) == [("loaded", 5, 5, 0), ("refused", 0, 0, 0), ("refused", 3, 0, 3)]
    assert desk.archive.pending() == []
    check_books(store)


@pytest.mark.parametrize("at", ["unpack", "judge_deliveries"])
def test_wherever_it_fails_the_next_run_takes_all(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    for n in (1, 2):
        desk.deliver(crashes(3, first=10 * n), "fct_crash", period=f"2026-0{n}")
    module = batches if at == "unpack" else ingest_batch
    genuine, calls = getattr(module, at), []

    def fails(*arguments: Any) -> Any:
        calls.append(at)
        if len(calls) == (2 if at == "unpack" else 1):
            raise MemoryError
        return genuine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, at, fails)
        with pytest.raises(MemoryError):
            desk.take(store)
    assert set(states(store).values()) == {"received"}
    assert decided(desk.take(store)) == [("loaded", 3, 3, 0)] * 2


def test_a_batch_that_was_decided_stays_so_when_the_next_one_fails(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_DELIVERIES", 1)
    for n in (1, 2, 3):
        desk.deliver(crashes(3, first=10 * n), "fct_crash", period=f"2026-0{n}")
    genuine, calls = ingest_batch.load, []  # type: ignore[attr-defined]

    def fails(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("disk full")
        genuine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_batch, "load", fails)
        with pytest.raises(OSError, match="disk full"):
            desk.take(store)
    assert states(store) == {1: "loaded", 2: "received", 3: "received"}
    assert [r.period for r in desk.archive.pending()] == ["2026-02", "2026-03"]
    desk.take(store)
    assert set(states(store).values()) == {"loaded"}
    assert query(store, "SELECT count(*) FROM showcase.fct_crash") == [(9,)]


def test_a_receipt_left_behind_after_its_decision_is_put_away_by_the_next_run(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    desk.deliver(crashes(3), "fct_crash")
    with monkeypatch.context() as patch:
        patch.setattr(desk.archive, "settle", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.take(store)
    assert states(store) == {1: "loaded"}
    assert len(desk.archive.pending()) == 1
    before = contents(store)
    waiting = desk.deliver(crashes(1), "fct_crash", period="2026-02")
    assert ingest.register_pending(store, desk.archive) == 1
    assert desk.archive.pending() == [waiting]
    assert contents(store) == before


def test_receipts_wait_until_they_are_decided_on(desk: Desk, store: Store) -> None:
    desk.deliver(crashes(3), "fct_crash")
    desk.deliver(appeals(3), "fct_appeal")
    assert ingest.register_pending(store, desk.archive) == 2
    assert ingest.register_pending(store, desk.archive) == 0
    assert len(desk.archive.pending()) == 2
    desk.take(store, "fct_crash")
    assert [r.table for r in desk.archive.pending()] == ["fct_appeal"]
    desk.take(store)
    assert desk.archive.pending() == []


def test_a_crash_row_keeps_its_way_back_to_the_record(desk: Desk, store: Store) -> None:
    receipt = desk.deliver(text([crash(1), crash(2, deaths_30d="x"), *(crash(n) for n in range(3, 20))]), "fct_crash")
    desk.take(store)
    found = query(
        store,
        "SELECT d.receipt_id, d.sha256, s.row_no FROM showcase.fct_crash s JOIN audit.delivery d USING (delivery_id) WHERE crash_id = 'C3'",
    )
    assert found == [(receipt.receipt_id, receipt.sha256, 3)]
    assert query(store, "SELECT delivery_id, row_no, rule FROM audit.rejected_row") == [(1, 2, "deaths_30d.type")]
    assert query(store, "SELECT DISTINCT kato FROM showcase.fct_crash") == [(ASTANA,)]


class _Watched:
    """A connection that compares working tables with their declarations before each of them is dropped."""

    def __init__(self, con: Any):
        self.con, self.differing, self.seen = con, set[str](), set[str]()

    def execute(self, *arguments: Any) -> Any:
        if "DROP " in str(arguments[0]):
            self.differing |= set(differing_columns(self.con))
            names = self.con.execute("SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = 'temp'")
            self.seen |= {name for (name,) in names.fetchall()}
        return self.con.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)


def test_working_tables_of_a_batch_have_the_columns_that_are_declared(desk: Desk, store: Store) -> None:
    desk.deliver(crashes(3), "fct_crash")
    desk.take(store)
    day = {"occurred_at": "2026-02-05 10:00:00"}
    rows = [crash(1, **day), crash(8, **day), crash(9, **day), crash(9, **day)]  # a key used before, and one twice
    desk.deliver(text(rows) + "cut,short\n", "fct_crash", period="2026-02")
    desk.deliver(text([crash(8, **day), crash(10, **day)]), "fct_crash", period="2026-Q1")
    genuine = store.con
    watched = _Watched(genuine)
    store.con = watched  # type: ignore[assignment]
    try:
        desk.take(store)
    finally:
        store.con = genuine
    assert watched.differing == set()
    ours = {one.name for one in working_tables().values() if one.made_by.startswith("connectors/")}
    # of corrections there are none here, of crashes no units are watched, and no contract makes one row of several
    unseen = {"work_corrected_row", "work_unit_count", "work_combined_stage", "work_combined_key"}
    assert ours - {name.removesuffix("_0") for name in watched.seen} == unseen
