"""The eight quality criteria of the law, the incident journal, and what an open incident does to a KPI.

A small showcase of its own (a fact table, the register its districts stand in) is delivered through the real gates:
what the shipped contracts ask may change, what a criterion means may not.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors import ingest
from connectors.delivery_gate import delivery_gate
from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.model import Grain
from tests.support.files import Desk, query, states, text
from tests.support.rows import LATER, Extract, cell, changed, compute_one, deliver, empty, exact, only
from tests.support.settlements import ALMATY, ASTANA, AYAGOZ, SEMEY
from warehouse.errors import StoreError
from warehouse.home.account import account
from warehouse.kpi_values.compute import Report, compute
from warehouse.loading.deliveries import Finding
from warehouse.loading.incidents import close_incident
from warehouse.store.store import Store
from warehouse.tables.contracts import SHOWCASE, Table, load_tables, parse_table, reference_faults
from warehouse.tables.rules import CRITERIA, Rule, measured, not_judged
from warehouse.tables.settlements import settlements

KPI = "MGT02-1"
CATALOGUE = only(load_catalogues(), KPI)
APPEALS = CATALOGUE.latest(KPI)
KATOS = list(settlements())
IN_TIME = "2026-02-03T12:00:00+00:00"
HEAD = """apiVersion: v3.1.0
kind: DataContract
id: test.{name}
name: {name}
version: 1.0.0
status: active
"""
APPEAL = (
    HEAD.format(name="fct_appeal")
    + """slaProperties:
  - {property: latency, value: 5, unit: d}
  - {property: generalAvailability, value: '2026-01-01'}
schema:
  - name: fct_appeal
    properties:
      - {name: appeal_id, logicalType: string, required: true, primaryKey: true, logicalTypeOptions: {maxLength: 8}}
      - {name: due_at, logicalType: timestamp, required: true}
      - name: closed_at
        logicalType: timestamp
        quality:
          - {id: closed-known, metric: nullValues, unit: percent, mustBeLessOrEqualTo: 5, severity: warning, dimension: completeness}
      - name: status
        logicalType: string
        quality:
          - {id: status-domain, metric: invalidValues, arguments: {validValues: [OPEN, CLOSED]}, mustBe: 0, dimension: conformity}
      - {name: days, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 365}}
      - name: district_id
        logicalType: string
        logicalTypeOptions: {pattern: 'D[0-9]+'}
        relationships: [{type: foreignKey, to: dim_district.district_id}]
    quality:
      - {id: open-or-closed, engine: qala, implementation: "status <> 'OPEN' OR closed_at IS NULL", dimension: consistency}
      - {id: has-rows, metric: rowCount, mustBeGreaterThan: 0, dimension: coverage}
      - id: rejected-share
        engine: greatExpectations
        implementation: {type: expect_column_values_to_be_between, kwargs: {column: rejected_percent, max_value: 10}}
      - id: fresh
        engine: greatExpectations
        severity: warning
        dimension: timeliness
        implementation: {type: expect_column_values_to_be_between, kwargs: {column: age_days__due_at, max_value: 31}}
      - id: days-known
        engine: greatExpectations
        severity: warning
        dimension: completeness
        customProperties: [{property: criterion, value: accuracy}]
        implementation: {type: expect_column_values_to_be_between, kwargs: {column: null_percent__days, max_value: 50}}
      - {id: for-people, type: text, description: Not judged}
"""
)
DISTRICT = (
    HEAD.format(name="dim_district")
    + """customProperties: [{property: delivery, value: snapshot}]
schema:
  - name: dim_district
    properties:
      - {name: district_id, logicalType: string, required: true, primaryKey: true}
      - {name: opened_on, logicalType: date}
"""
)
TRIP = (
    HEAD.format(name="fct_trip")
    + """schema:
  - name: fct_trip
    properties:
      - {name: trip_id, logicalType: string, required: true, primaryKey: true}
      - name: district_id
        logicalType: string
        relationships: [{type: foreignKey, to: dim_district.district_id}]
"""
)


class Counter(Desk):
    """A desk whose deliveries arrive when the test says so, into the showcase of this module."""

    def hand_in(
        self,
        content: str,
        table: str = "fct_appeal",
        *,
        at: str = IN_TIME,
        scope: str = ASTANA,
        period: str = "2026-01",
        rows: int | None = None,
    ) -> None:
        # the same bytes for two territories are an incident of their own: an empty line at the end makes them others
        own = content + "\n" * (0 if scope == ASTANA else 1 + sum(map(ord, scope)) % 50)
        receipt = self.deliver(own, table, scope=scope, period=period, rows=rows)
        path = self.archive.pending_folder / f"{receipt.receipt_id}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"received_at": at}))

    def decide(self, store: Store, *tables: str) -> list[str]:
        """Take in what waits. Returns the states decided on."""
        ingest.register_pending(store, self.archive)
        states: list[str] = []
        for name in tables or ("fct_appeal",):
            states += [o.state for o in ingest.ingest_table(store, self.archive, store.tables[name], {}).outcomes]
        return states

    def bring(self, store: Store, content: str, table: str = "fct_appeal", **more: Any) -> int:
        """Hand in one delivery and take it in. Returns its number."""
        self.hand_in(content, table, **more)
        self.decide(store, table)
        return int(query(store, "SELECT max(delivery_id) FROM audit.delivery")[0][0])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counter, Store]]:
    folder, desk = tmp_path_factory.mktemp("showcase"), Counter(tmp_path_factory.mktemp("quality"), bare=True)
    views = ("dim_information_system", "fct_kpi_target")  # views read these
    tables = {name: parse_table(read(SHOWCASE / f"{name}.odcs.yaml")) for name in views}
    for content in (APPEAL, DISTRICT, TRIP):
        made_up = contract(folder, content)
        tables[made_up.name] = made_up
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "tables", tables)
        with desk.open() as store:
            store.con.execute("SET threads = 1")  # tiny queries on a busy machine
            yield desk, store


@pytest.fixture
def desk(opened: tuple[Counter, Store]) -> Counter:
    desk, store = opened
    desk.forget(store)
    empty(store)
    store.con.execute("DELETE FROM audit.incident; DELETE FROM kpi.rollup")
    return desk


@pytest.fixture
def counter(desk: Counter, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """A desk where `plainly` judges: the journal asks what is found, not by whom."""
    monkeypatch.setattr("connectors.delivery_gate.delivery_gate._delivery_findings", plainly)
    return desk


def plainly(rules: Iterable[Rule], profile: pd.DataFrame, _: str) -> Iterator[Finding]:
    """What Great Expectations finds, without its fifth of a second: the rules here are all of one kind."""
    for rule in (r for r in rules if r.expectation):
        column, strict = rule.kwargs["column"], rule.kwargs.get("strict_min", False)
        low, high = rule.kwargs.get("min_value", -math.inf), rule.kwargs.get("max_value", math.inf)
        for number, seen in zip(profile["delivery_id"], profile[column], strict=True):
            passed = pd.isna(seen) or (low < seen if strict else low <= seen) & (seen <= high)
            name, _, of = column.partition("__")
            measure = {"code": f"measure.{name}", **({"column": of} if of else {})}
            observed = not_judged(measure) if pd.isna(seen) else measured(measure, float(seen))
            yield Finding(int(number), rule.id, rule.severity, rule.dimension, bool(passed), observed, rule.expected)


@pytest.fixture
def store(opened: tuple[Counter, Store], desk: Counter) -> Store:
    return opened[1]


def row(number: int, **changes: str) -> dict[str, str]:
    """A faultless appeal, answered in time."""
    usual = {"appeal_id": f"A{number}", "due_at": "2026-01-20 10:00:00", "closed_at": "2026-01-10 10:00:00"}
    return usual | {"status": "CLOSED", "days": "5", "district_id": ""} | changes


def rows(count: int = 200, bad: int = 0, **changes: str) -> str:
    """A file of appeals of which the last `bad` are changed."""
    return text([row(n, **(changes if n >= count - bad else {})) for n in range(count)])


GOOD, BAD = rows(50), rows(50, 1, status="?")  # 2 % of the rows: more than the tolerance of 1 %


def contract(folder: Path, content: str, name: str = "made_up") -> Table:
    path = folder / f"{name}.odcs.yaml"
    path.write_text(content, encoding="utf-8")
    return parse_table(read(path))


def judged(store: Store, delivery: int) -> dict[str, tuple[str, str]]:
    """criterion → (result, what fails) of one delivery"""
    found = query(store, "SELECT criterion, result, failing_en FROM delivery_quality WHERE delivery_id = ?", [delivery])
    assert sorted(f[0] for f in found) == sorted(CRITERIA)
    return {criterion: (result, failing) for criterion, result, failing in found}


def failing(store: Store, delivery: int) -> dict[str, str]:
    """criterion → what fails, of the criteria a delivery fails; a criterion that does not fail has nothing to say"""
    found = judged(store, delivery)
    assert {said for result, said in found.values() if result != "fail"} <= {""}
    return {criterion: said for criterion, (result, said) in found.items() if result == "fail"}


def journal(store: Store, columns: str = "delivery_id, rule", where: str = "true") -> list[tuple[Any, ...]]:
    return query(store, f"SELECT {columns} FROM audit.incident WHERE {where} ORDER BY incident_id")


def still_open(store: Store) -> list[tuple[int, str]]:
    return journal(store, where="closed_seq IS NULL")


# ---- criteria of rules


def test_every_kind_of_rule_has_its_criterion_and_its_kind_of_incident(tmp_path: Path) -> None:
    table = contract(tmp_path, APPEAL)
    assert {r.id: (r.criterion, r.incident_kind) for r in table.all_rules} == {
        "appeal_id.required": ("completeness", "completeness"),
        "appeal_id.form": ("accuracy", "consistency"),
        "appeal_id.length": ("accuracy", "consistency"),
        "due_at.type": ("accuracy", "consistency"),
        "due_at.required": ("completeness", "completeness"),
        "closed_at.type": ("accuracy", "consistency"),
        "closed-known": ("completeness", "completeness"),
        "status-domain": ("comparability", "consistency"),
        "days.type": ("accuracy", "consistency"),
        "days.range": ("truthfulness", "accuracy"),
        "district_id.form": ("accuracy", "consistency"),
        "district_id.pattern": ("accuracy", "consistency"),
        "open-or-closed": ("interrelation", "integrity"),
        "key.unique": ("uniqueness", "uniqueness"),
        "key.duplicate": ("uniqueness", "uniqueness"),
        "key.twins": ("uniqueness", "uniqueness"),
        "days": ("accuracy", "consistency"),
        "days.share": ("accuracy", "consistency"),
        "key.reused": ("uniqueness", "uniqueness"),
        "key.other-system": ("uniqueness", "uniqueness"),
        "bytes.elsewhere": ("uniqueness", "uniqueness"),
        "scope": ("accuracy", "consistency"),
        "structure": ("comparability", "consistency"),
        "manifest-rows": ("completeness", "coverage"),
        "repeated-keys": ("uniqueness", "uniqueness"),
        "kept-rows": ("completeness", "coverage"),
        "usual-volume": ("completeness", "coverage"),
        "usual-gaps": ("completeness", "completeness"),
        "whole-period": ("completeness", "coverage"),
        "usual-units": ("completeness", "coverage"),
        "on-time": ("timeliness", "timeliness"),
        "district_id.reference": ("interrelation", "integrity"),
        "has-rows": ("completeness", "coverage"),
        "rejected-share": ("truthfulness", "accuracy"),
        "fresh": ("currency", "timeliness"),
        "personal.found": ("truthfulness", "consistency"),
        "personal.identifier": ("truthfulness", "consistency"),
        "personal.key": ("truthfulness", "integrity"),
        "days-known": ("accuracy", "completeness"),  # said so in the contract
    }
    assert {r.criterion for r in table.all_rules} == set(CRITERIA)
    assert len(CRITERIA) == 8
    assert Rule("r", {"code": "rule.scope"}, "a dimension of its own", "error").incident_kind == "other"


@pytest.mark.parametrize(
    ("column", "criterion"),
    [
        ("null_percent__days", "completeness"),
        ("age_days__due_at", "currency"),
        ("unmatched_percent__district_id", "interrelation"),
        ("manifest_difference", "completeness"),
        ("duplicate_percent", "uniqueness"),
        ("late_days", "timeliness"),
        ("volume_ratio", "truthfulness"),
        ("rejected_percent", "truthfulness"),
    ],
)
def test_the_criterion_of_an_expectation_is_that_of_what_it_looks_at(
    tmp_path: Path, column: str, criterion: str
) -> None:
    table = contract(tmp_path, APPEAL.replace("column: age_days__due_at", f"column: {column}"))
    assert next(r.criterion for r in table.delivery_rules if r.id == "fresh") == criterion


def test_the_registry_holds_every_rule_in_the_laws_words(store: Store) -> None:
    assert [c for (c,) in query(store, "SELECT criterion FROM registry.criterion ORDER BY position")] == list(CRITERIA)
    found = query(store, "SELECT rule, criterion, incident_kind FROM registry.rule WHERE table_name = 'fct_appeal'")
    rules = store.tables["fct_appeal"].all_rules
    assert sorted(found) == sorted((r.id, r.criterion, r.incident_kind) for r in rules)


def test_an_unknown_criterion_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        contract(tmp_path, APPEAL.replace("value: accuracy", "value: beauty"))
    (fault,) = caught.value.faults
    assert fault.message == "rule days-known: no criterion 'beauty'"
    assert fault.remedy == f"there are {', '.join(CRITERIA)}"


@pytest.mark.parametrize(
    ("old", "new", "agreed"),
    [
        ("", "", (5, dt.date(2026, 1, 1))),
        ("'2026-01-01'", "2026-01-01", (5, dt.date(2026, 1, 1))),  # YAML makes a date of it
        ("  - {property: generalAvailability, value: '2026-01-01'}\n", "", (5, None)),
        ("  - {property: latency, value: 5, unit: d}\n", "", (None, dt.date(2026, 1, 1))),
    ],
)
def test_what_is_agreed_on_delivery_times(
    tmp_path: Path, old: str, new: str, agreed: tuple[int | None, dt.date | None]
) -> None:
    table = contract(tmp_path, APPEAL.replace(old, new) if old else APPEAL)
    assert (table.latency_days, table.agreed_from) == agreed
    assert [r.id for r in table.delivery_rules if r.criterion == "timeliness"] == ["on-time"] * (agreed[0] is not None)


def test_references_lead_to_columns_that_exist_and_never_in_a_circle(tmp_path: Path) -> None:
    def faults(appeal: str = APPEAL, district: str = DISTRICT) -> list[str]:
        contract(tmp_path, appeal, "fct_appeal")
        contract(tmp_path, district, "dim_district")
        return [f.message for f in reference_faults(load_tables(tmp_path))]

    back = DISTRICT.replace("string, r", "string, relationships: [{to: fct_appeal.appeal_id}], r")
    itself = DISTRICT.replace("string, r", "string, relationships: [{to: dim_district.district_id}], r")
    missing = "fct_appeal.district_id refers to dim_district.id, which does not exist"
    assert faults() == []
    assert faults(APPEAL.replace("to: dim_district.district_id", "to: dim_district.id")) == [missing]
    assert faults(APPEAL.replace("to: dim_district.d", "to: dim_town.d")) == [
        "fct_appeal.district_id refers to dim_town.district_id, which does not exist"
    ]
    assert faults(district=back) == [
        "dim_district.district_id closes a circle of references through fct_appeal",
        "fct_appeal.district_id closes a circle of references through dim_district",
    ]
    assert faults(district=itself) == ["dim_district.district_id closes a circle of references through dim_district"]
    with pytest.raises(DocumentError, match="reference to 'dim_district'"):
        contract(tmp_path, APPEAL.replace("to: dim_district.district_id", "to: dim_district"))


# ---- deliveries against the criteria


# 200 rows: one bad one is 0.5 %, two are just the tolerance, four are 2 %
BROKEN: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a number that is none": ({"days": "x"}, {"accuracy": "days.type: 4 cells left empty"}),
    "a text too long": ({"appeal_id": "A" * 9}, {"accuracy": "appeal_id.length: 4 rows rejected"}),
    "a gap": ({"due_at": ""}, {"completeness": "due_at.required: 4 rows rejected"}),
    "a contradiction": ({"status": "OPEN"}, {"interrelation": "open-or-closed: 4 rows rejected"}),
    "a word not on the list": ({"status": "?"}, {"comparability": "status-domain: 4 cells left empty"}),
    "an outlier": ({"days": "366"}, {"truthfulness": "days.range: 4 cells left empty"}),
    "a repeated key": (
        {"appeal_id": "A0", "days": "77"},
        {"uniqueness": "key.unique: 4 rows rejected; repeated-keys: duplicate_percent = 2"},
    ),
}  # fmt: skip


def test_a_few_bad_rows_pass_and_more_than_one_per_cent_fail(desk: Counter, store: Store) -> None:
    """One batch: a settlement for every kind of fault and number of bad rows."""
    expected: list[dict[str, str]] = []
    for changes, fails in BROKEN.values():
        for bad in (1, 2, 4):
            # of a repeated key the row that had it first is rejected with the others
            changed = bad - 1 if changes.get("appeal_id") == "A0" and bad > 1 else bad
            desk.hand_in(rows(200, changed, **changes), scope=KATOS[len(expected)])
            expected.append(fails if bad == 4 else {})
    assert desk.decide(store) == ["loaded"] * len(expected)
    assert [failing(store, n) for n in range(1, len(expected) + 1)] == expected
    rejected = [n for (n,) in query(store, "SELECT rejected_rows FROM audit.delivery ORDER BY delivery_id")]
    # a broken cell that the row can do without costs no row
    assert rejected == [
        n for _, fails in BROKEN.values()
        for n in ([0, 0, 0] if "cells" in str(fails) else [2, 2, 4] if "key" in str(fails) else [1, 2, 4])]  # fmt: skip
    # what passes is judged, but for the links: no register of districts was delivered, though the row rule was tried
    assert {result for result, _ in judged(store, 1).values()} == {"pass"}
    # just those over the tolerance are in the journal
    assert journal(store, "delivery_id") == [(n,) for n, fails in enumerate(expected, 1) for said in fails.values()
                                             for _ in said.split("; ")]  # fmt: skip
    counted = "SELECT pass, fail, not_judged FROM table_quality WHERE (table_name, criterion) = ('fct_appeal', ?)"
    assert query(store, counted, ["accuracy"]) == [(19, 2, 0)]
    assert query(store, counted, ["timeliness"]) == [(21, 0, 0)]


def test_rules_on_whole_deliveries_and_what_cannot_be_judged(
    desk: Counter, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = GOOD.split("\n", 1)[0] + "\n"
    cases: list[tuple[str, int | None, str, dict[str, str]]] = [
        (GOOD, 50, "loaded", {}),
        (GOOD, 51, "refused", {"completeness": "manifest-rows: manifest_difference = -1"}),
        (rows(100, 5, closed_at=""), None, "loaded", {}),
        (rows(100, 6, closed_at=""), None, "loaded", {"completeness": "closed-known: null_percent__closed_at = 6"}),
        (rows(100, 51, days=""), None, "loaded", {"accuracy": "days-known: null_percent__days = 51"}),
        (rows(100, 11, due_at=""), None, "refused",
         {"completeness": "due_at.required: 11 rows rejected", "truthfulness": "rejected-share: rejected_percent = 11"}),
        (header, None, "refused", {"completeness": "has-rows: received = 0"}),
        (GOOD.replace("status", "state", 1), None, "refused", {"comparability": "structure: file8.csv: the header lacks status"}),
        # a record that cannot be split: one of 50 is 2 %, one of 200 is 0.5 %
        (rows(49) + "A99,cut\n", None, "loaded", {"comparability": "structure: 1 records could not be read"}),
        (rows(199) + "A999,cut\n", None, "loaded", {}),
    ]  # fmt: skip
    desk._files = 0
    profiles: list[tuple[Any, ...]] = []
    genuine = delivery_gate._delivery_findings
    monkeypatch.setattr(delivery_gate, "_delivery_findings", lambda *given: profiles.append(given) or genuine(*given))
    for kato, (content, declared, _, _) in zip(KATOS, cases, strict=False):
        desk.hand_in(content, scope=kato, rows=declared)
    assert desk.decide(store) == [state for _, _, state, _ in cases]
    found = [failing(store, n) for n in range(1, len(cases) + 1)]
    found[7] = {criterion: said[: len("structure: file8.csv: the header lacks status")] for criterion, said in found[7].items()}  # fmt: skip
    assert found == [fails for *_, fails in cases]
    (given,) = profiles
    assert sorted(map(repr, plainly(*given))) == sorted(map(repr, genuine(*given)))  # what the tests below rely on
    # of a file that cannot be read only its structure is known
    assert {c: result for c, (result, _) in judged(store, 8).items() if c != "comparability"} == dict.fromkeys(
        set(CRITERIA) - {"comparability"}, "not judged"
    )
    assert judged(store, 7)["currency"] == ("not judged", "")  # no row, no newest row
    # a duplicate is no delivery to judge, nor is one that waits
    desk.bring(store, GOOD, scope=KATOS[0])
    desk.hand_in(GOOD, scope=KATOS[0], period="2026-02")
    ingest.register_pending(store, desk.archive)
    states = query(store, "SELECT state FROM audit.delivery WHERE delivery_id > 10 ORDER BY delivery_id")
    assert states == [("duplicate",), ("received",)]
    assert query(store, "SELECT count(*) FROM delivery_quality WHERE delivery_id > 10") == [(0,)]


def test_on_time_is_judged_from_the_day_it_is_agreed(desk: Counter, store: Store) -> None:
    for kato in KATOS[
        :4
    ]:  # they delivered before, or what was due before their first delivery would be taken for their history
        desk.hand_in(rows(2), period="2025-11", at="2025-12-01T00:00:00+00:00", scope=kato)
    assert desk.decide(store) == ["loaded"] * 4
    cases = [
        # January ends on 1 February; five days are agreed: the 6th by the clock of Almaty, five hours ahead
        ("2026-01", "2026-02-01T00:00:00+00:00", "pass", "-5"),
        ("2026-01", "2026-02-06T18:59:59+00:00", "pass", "0"),
        ("2026-01", "2026-02-06T19:00:00+00:00", "fail", "1"),
        ("2026-01", "2026-03-08T12:00:00+05:00", "fail", "30"),
        # agreed from 1 January 2026: what ended before had no deadline
        ("2025-12", "2025-12-31T00:00:00+00:00", "not judged", "no data"),
        ("2025-12", "2026-10-01T00:00:00+00:00", "not judged", "no data"),
        ("2025", "2026-10-01T00:00:00+00:00", "not judged", "no data"),
    ]
    for kato, (period, at, _, _) in zip(KATOS, cases, strict=False):
        desk.hand_in(rows(2), period=period, at=at, scope=kato)
    assert desk.decide(store) == ["loaded"] * len(cases)
    observed = query(
        store, "SELECT observed FROM audit.check_result WHERE rule = 'on-time' AND delivery_id > 4 ORDER BY delivery_id"
    )
    assert observed == [(f"late_days = {days}",) for *_, days in cases]
    assert [judged(store, n)["timeliness"] for n in range(5, 12)] == [
        (result, f"on-time: late_days = {days}" if result == "fail" else "") for *_, result, days in cases
    ]
    opened = journal(store, "delivery_id, criterion, kind", "rule = 'on-time'")
    assert opened == [(7, "timeliness", "timeliness"), (8, "timeliness", "timeliness")]


def test_a_history_is_not_late_however_it_is_cut(desk: Counter, store: Store) -> None:
    """What was due before the system delivered at all is loaded when the system is connected; what is due after is late."""
    at = "2026-08-03T12:00:00+05:00"
    for n in range(1, 8):
        desk.hand_in(rows(2), period=f"2026-{n:02}", at=at, scope=ASTANA)
    desk.hand_in(rows(2), period="2026-01/2026-07", at=at, scope=ALMATY)
    desk.hand_in(rows(2), period="2026-08", at="2026-10-03T12:00:00+05:00", scope=ALMATY)
    desk.decide(store)
    assert query(store, "SELECT observed FROM audit.check_result WHERE rule = 'on-time' ORDER BY delivery_id") == [
        *[("late_days = no data",)] * 6, ("late_days = -3",), ("late_days = -3",), ("late_days = 27",)]  # fmt: skip


def test_without_an_agreed_time_timeliness_is_not_judged(desk: Counter, store: Store) -> None:
    delivery = desk.bring(store, "trip_id,district_id\nT1,\n", "fct_trip", at="2030-01-01T00:00:00+00:00")
    assert {c for c, (result, _) in judged(store, delivery).items() if result == "not judged"} == {
        "timeliness", "currency", "interrelation"}  # fmt: skip
    assert failing(store, delivery) == {}


def test_how_old_the_newest_row_may_be(desk: Counter, store: Store) -> None:
    """January ends on 1 February: 31 days before it is its own first day."""
    old = {"due_at": "2025-11-30 23:59:59", "closed_at": ""}
    newest = {
        "2026-01-31 23:59:59": 1,
        "2026-01-01 00:00:00": 31,
        "2025-12-31 23:59:59": 32,
        "2026-03-01 00:00:00": -28,  # due after the period: not old
    }
    for kato, day in zip(KATOS, newest, strict=False):
        desk.hand_in(
            text([row(n, **old) for n in range(99)] + [row(99, due_at=day)]).replace(",5,", ",,", 1), scope=kato
        )
    # a row that was taken out makes nothing fresh
    desk.hand_in(text([row(n, **old) for n in range(99)] + [row(99, status="OPEN")]), scope=KATOS[4])
    assert desk.decide(store) == ["loaded"] * 5
    assert query(store, "SELECT rejected_rows FROM audit.delivery ORDER BY delivery_id") == [
        (n,) for n in (0, 0, 0, 0, 1)
    ]
    ages = [*newest.values(), 63]
    observed = query(store, "SELECT observed, passed FROM audit.check_result WHERE rule = 'fresh' ORDER BY delivery_id")
    assert observed == [(f"age_days__due_at = {age}", age <= 31) for age in ages]
    results = [judged(store, n)["currency"] for n in range(1, 6)]
    assert results == [("fail", f"fresh: age_days__due_at = {age}") if age > 31 else ("pass", "") for age in ages]


def districts(*names: str) -> str:
    return text([{"district_id": name, "opened_on": ""} for name in names], ["district_id", "opened_on"])


def trips(known: int, unknown: int = 0, none: int = 0, **more: str) -> str:
    names = ["D1"] * known + ["D9"] * unknown + [""] * none
    return text([{"trip_id": f"T{n}", "district_id": name} | more for n, name in enumerate(names)])


def links(store: Store, delivery: int) -> tuple[str, str]:
    """The criterion's result, and what the rule saw."""
    seen = "SELECT observed FROM audit.check_result WHERE delivery_id = ? AND rule = 'district_id.reference'"
    ((observed,),) = query(store, seen, [delivery])
    return judged(store, delivery)["interrelation"][0], observed.removeprefix("unmatched_percent__district_id = ")


def test_values_that_should_stand_in_another_table(desk: Counter, store: Store) -> None:
    desk.hand_in(districts("D1", "D2"), "dim_district", period="2025-12")
    desk.hand_in(districts("D9"), "dim_district", period="2025-12", scope=ALMATY)
    assert desk.decide(store, "dim_district") == ["loaded", "loaded"]
    cases = [
        (ASTANA, "2026-01", trips(200), "pass", "0"),
        (ASTANA, "2026-02", trips(199, 1), "pass", "0.5"),
        (ASTANA, "2026-03", trips(99, 1), "pass", "1"),
        (ASTANA, "2026-04", trips(98, 2), "fail", "2"),  # D9 stands in another settlement's register
        (ASTANA, "2026-05", trips(1, 1, 198), "fail", "50"),  # of the values that are given
        (ASTANA, "2026-06", trips(0, 0, 10), "not judged", "no data"),
        (ALMATY, "2026-01", trips(0, 10), "pass", "0"),
        (SEMEY, "2026-01", trips(0, 10), "not judged", "no data"),  # its register was not delivered
    ]
    for scope, period, content, *_ in cases:
        desk.hand_in(content, "fct_trip", scope=scope, period=period)
    assert desk.decide(store, "fct_trip") == ["loaded"] * len(cases)
    assert [links(store, n) for n in range(3, 11)] == [(result, seen) for *_, result, seen in cases]
    # the row rule of the other table is judged even where the link is not
    appeal = desk.bring(store, rows(10, 10, district_id="D9"), scope=SEMEY)
    assert links(store, appeal) == ("pass", "no data")
    appeal = desk.bring(store, rows(50, 1, district_id="D9"))
    assert links(store, appeal) == ("fail", "100")
    assert journal(store, "delivery_id, criterion, kind", "rule = 'district_id.reference'") == [
        (6, "interrelation", "integrity"),
        (7, "interrelation", "integrity"),
        (12, "interrelation", "integrity"),
    ]


def test_a_link_is_judged_against_the_register_as_it_stands(desk: Counter, store: Store) -> None:
    desk.bring(store, districts("D1", "D9"), "dim_district")
    assert links(store, desk.bring(store, trips(1, 1), "fct_trip")) == ("pass", "0")
    desk.bring(store, districts("D1"), "dim_district")  # D9 was a mistake
    assert links(store, desk.bring(store, trips(2, 1), "fct_trip", period="2026-02"))[0] == "fail"


def test_of_a_region_only_settlements_with_a_register_are_looked_up(desk: Counter, store: Store) -> None:
    desk.bring(store, districts("D1"), "dim_district", scope=SEMEY)
    files = [trips(98, 2, kato=SEMEY), trips(100, kato=SEMEY).replace("T", "S")]
    other = trips(0, 100, kato=AYAGOZ).replace("T", "R").split("\n", 1)[1]
    assert links(store, desk.bring(store, files[0] + other, "fct_trip", scope="10")) == ("fail", "2")
    assert links(store, desk.bring(store, files[1] + other, "fct_trip", scope="10")) == ("pass", "0")


# ---- the journal


def test_a_failing_delivery_opens_an_incident(counter: Counter, store: Store) -> None:
    delivery = counter.bring(store, BAD)
    columns = "delivery_id, table_name, system, scope, period_id, rule, criterion, kind, observed, expected, closed_by"
    rule = next(r for r in store.tables["fct_appeal"].all_rules if r.id == "status-domain")
    assert journal(store, columns) == [
        (delivery, "fct_appeal", "standard", ASTANA, "2026-01", "status-domain", "comparability", "consistency",
         "1 cells left empty", rule.description("en"), None)]  # fmt: skip
    same = "SELECT count(*) FROM audit.incident JOIN audit.delivery USING (delivery_id) WHERE (opened_seq, opened_at) = (loaded_seq, loaded_at)"
    assert query(store, same) == [(1,)]
    shown = "SELECT status, settlement_en, closed_seq, closed_at, closing_reason_en FROM incidents"
    assert query(store, shown) == [("open", settlements()[ASTANA], None, None, None)]
    entry = query(
        store, "SELECT kind, subject, detail FROM audit.ledger WHERE kind <> 'sealed' ORDER BY seq DESC LIMIT 1"
    )
    assert entry == [("incidents", "fct_appeal", '{"closed": 0, "opened": 1}')]


def test_a_few_bad_rows_open_none(counter: Counter, store: Store) -> None:
    counter.bring(store, rows(200, 2, status="?"))
    assert query(store, "SELECT rule, passed FROM audit.check_result WHERE NOT passed") == [("status-domain", False)]
    assert journal(store) == []
    assert query(store, "SELECT kind FROM audit.ledger WHERE kind <> 'sealed' ORDER BY seq DESC LIMIT 1") == [
        ("loaded",)
    ]


def test_refused_deliveries_open_incidents_of_the_right_kind(counter: Counter, store: Store) -> None:
    cases: list[tuple[str, int | None, set[tuple[str, str, str]]]] = [
        ("nonsense", None, {("structure", "comparability", "consistency")}),
        (rows(1).split("\n", 1)[0] + "\n", None, {("has-rows", "completeness", "coverage")}),
        (GOOD, 60, {("manifest-rows", "completeness", "coverage")}),
        (rows(10, 2, due_at="x"), None, {("rejected-share", "truthfulness", "accuracy"), ("due_at.type", "accuracy", "consistency")}),
        (rows(10, 5, appeal_id="A1", days="77"), None,
         {("rejected-share", "truthfulness", "accuracy"), ("key.unique", "uniqueness", "uniqueness"),
          ("repeated-keys", "uniqueness", "uniqueness")}),
    ]  # fmt: skip
    for kato, (content, declared, _) in zip(KATOS, cases, strict=False):
        counter.hand_in(content, scope=kato, rows=declared)
    assert counter.decide(store) == ["refused"] * len(cases)
    for number, (_, _, expected) in enumerate(cases, 1):
        assert set(journal(store, "rule, criterion, kind", f"delivery_id = {number}")) == expected
    assert [n for (n,) in journal(store, "incident_id")] == list(range(1, 9))


def test_the_next_good_delivery_of_the_slice_closes_it(counter: Counter, store: Store) -> None:
    first = counter.bring(store, BAD)
    for other in ({"scope": ALMATY}, {"period": "2026-02"}, {"period": "2026-Q1"}):
        counter.bring(store, GOOD.replace("2026-01-20", "2026-03-20").replace("A", "B"), **other)
    counter.bring(store, trips(1), "fct_trip")
    assert still_open(store) == [(first, "status-domain")]
    good = counter.bring(store, GOOD)
    assert still_open(store) == []
    assert journal(store, "closed_by, closing_reason", "rule = 'status-domain'") == [
        (f"delivery {good}", "delivered again without it")
    ]
    assert query(store, "SELECT closed_seq = loaded_seq, closed_at = loaded_at FROM audit.incident i "
                        f"JOIN audit.delivery d ON d.delivery_id = {good} WHERE rule = 'status-domain'") == [(True, True)]  # fmt: skip
    assert query(store, "SELECT status FROM incidents WHERE rule = 'status-domain'") == [("closed",)]
    # what is closed stays as it is, and what is of another slice
    before = journal(store, "*")
    assert len(before) == 1
    counter.bring(store, rows(60))
    counter.bring(store, BAD, scope=ALMATY)
    assert journal(store, "*")[:1] == before
    assert still_open(store) == [(good + 2, "status-domain")]


def test_another_systems_delivery_of_the_same_month_closes_nothing(counter: Counter, store: Store) -> None:
    counter.bring(store, BAD)
    deliver(store, "fct_appeal", Extract([], "2026-01", system="another"))
    assert still_open(store) == [(1, "status-domain")]
    deliver(store, "fct_appeal", Extract([], "2026-01", system="standard"))
    assert still_open(store) == []
    store.con.execute("DROP TABLE staged")  # the gates have a view of that name


def test_delivered_again_and_failing_again_it_is_replaced(counter: Counter, store: Store) -> None:
    counter.bring(store, rows(50, 2, status="?"))
    assert still_open(store) == [(1, "status-domain")]
    counter.bring(store, text([*(row(n) for n in range(48)), row(48, status="?"), row(49, days="x")]))
    assert journal(store, "delivery_id, rule, closed_by") == [
        (1, "status-domain", "delivery 2"), (2, "days.type", None), (2, "status-domain", None)]  # fmt: skip
    again = "delivered again and failing again: see the incident of that delivery"
    assert journal(store, "closing_reason", "delivery_id = 1") == [(again,)]
    counter.bring(store, rows(50, 1, days="x"))  # one of the two faults is mended
    assert journal(store, "rule, closed_by, closing_reason", "delivery_id = 2") == [
        ("days.type", "delivery 3", again), ("status-domain", "delivery 3", "delivered again without it")]  # fmt: skip
    assert still_open(store) == [(3, "days.type")]


def test_a_refused_correction_of_what_was_loaded_closes_nothing(counter: Counter, store: Store) -> None:
    """The loaded rows stand, and what is wrong with them."""
    counter.bring(store, rows(50, 1, status="OPEN"))  # and closed, which costs the row, not the cell
    counter.bring(store, "nonsense")
    assert still_open(store) == [(1, "open-or-closed"), (2, "structure")]
    counter.bring(
        store, rows(50, 6, status="OPEN")
    )  # refused too, and for that very rule: it replaces the refused one only
    assert [n for n, state in states(store).items() if state == "refused"] == [2, 3]
    assert still_open(store) == [(1, "open-or-closed"), (3, "open-or-closed"), (3, "rejected-share")]
    assert journal(store, "closed_by, closing_reason", "delivery_id = 2") == [
        ("delivery 3", "delivered again without it")
    ]
    counter.bring(store, GOOD)
    assert still_open(store) == []
    assert {by for (by,) in journal(store, "closed_by", "delivery_id <> 2")} == {"delivery 4"}


def test_a_refused_delivery_is_healed_by_a_good_one(counter: Counter, store: Store) -> None:
    counter.bring(store, "nonsense")
    counter.bring(store, "nonsense again")
    assert still_open(store) == [(2, "structure")]
    counter.bring(store, GOOD)
    assert journal(store, "delivery_id, closed_by") == [(1, "delivery 2"), (2, "delivery 3")]


def test_the_same_bytes_close_nothing(counter: Counter, store: Store) -> None:
    counter.bring(store, BAD)
    counter.bring(store, BAD)
    assert query(store, "SELECT state FROM audit.delivery ORDER BY delivery_id") == [("loaded",), ("duplicate",)]
    assert still_open(store) == [(1, "status-domain")]


@pytest.mark.parametrize("together", [True, False])
def test_the_same_refused_bytes_again_are_no_cure(counter: Counter, store: Store, together: bool) -> None:
    for _ in range(2):
        counter.hand_in("nonsense")
        if not together:
            counter.decide(store)
    if together:
        counter.decide(store)
    assert query(store, "SELECT DISTINCT state FROM audit.delivery") == [("refused",)]
    assert still_open(store) == [(2, "structure")]


@pytest.mark.parametrize("together", [True, False])
def test_a_batch_of_corrections_ends_as_one_after_the_other(counter: Counter, store: Store, together: bool) -> None:
    """A settlement for every row of deliveries, which come in turn."""
    cases: list[tuple[Sequence[str], list[tuple[int, str]]]] = [
        ((BAD, GOOD), []),
        ((BAD, GOOD, BAD), [(3, "status-domain")]),
        ((BAD, rows(49, 1, status="!"), GOOD), []),
        ((GOOD, "nonsense", BAD), [(3, "status-domain")]),
        ((BAD, "nonsense", "nonsense again"), [(1, "status-domain"), (3, "structure")]),
        (("nonsense", GOOD, "nonsense again"), [(3, "structure")]),
    ]
    for turn in range(3):
        for kato, (contents, _) in zip(KATOS, cases, strict=False):
            if turn < len(contents):
                counter.hand_in(contents[turn], scope=kato)
        if not together:
            counter.decide(store)
    counter.decide(store)
    number = "(SELECT count(*) FROM audit.delivery o WHERE o.scope = i.scope AND o.delivery_id <= i.delivery_id)"
    left = query(
        store, f"SELECT scope, {number}, rule FROM audit.incident i WHERE closed_seq IS NULL ORDER BY incident_id"
    )
    for kato, (_, expected) in zip(KATOS, cases, strict=False):
        assert sorted((n, rule) for scope, n, rule in left if scope == kato) == expected
    # closed by the very next delivery that may close it
    closer = "('delivery ' || (SELECT min(n.delivery_id) FROM audit.delivery n WHERE n.scope = i.scope AND n.loaded_seq > i.opened_seq"
    by = f"{closer} AND (n.state = 'loaded' OR EXISTS (FROM audit.delivery o WHERE o.delivery_id = i.delivery_id AND o.state = 'refused'))))"
    assert query(store, f"SELECT * FROM audit.incident i WHERE closed_by <> {by}") == []


def test_an_incident_closed_by_hand(counter: Counter, store: Store) -> None:
    counter.bring(store, BAD)
    counter.bring(store, BAD, scope=ALMATY)
    before = dt.datetime.now(dt.UTC)
    close_incident(store, 1, "Aigerim", "confirmed by the contact centre")
    assert journal(store, "incident_id, closed_seq, closed_by, closing_reason") == [
        (1, store.last_seq - 1, "Aigerim", "confirmed by the contact centre"), (2, None, None, None)]  # fmt: skip
    ((at,),) = journal(store, "closed_at", "incident_id = 1")
    assert before <= at <= dt.datetime.now(dt.UTC)
    (entry,) = query(
        store, "SELECT kind, subject, detail FROM audit.ledger WHERE kind <> 'sealed' ORDER BY seq DESC LIMIT 1"
    )
    assert entry[:2] == ("incident-closed", "1")
    said = {"by": "Aigerim", "account": account(), "reason": "confirmed by the contact centre"}
    assert json.loads(entry[2]) == said
    # a later good delivery finds nothing to close there
    counter.bring(store, GOOD)
    assert journal(store, "closed_by") == [("Aigerim",), (None,)]


def test_an_incident_is_not_closed_by_a_mistake(counter: Counter, store: Store) -> None:
    counter.bring(store, text([*(row(n) for n in range(48)), row(48, status="?"), row(49, days="x")]))
    close_incident(store, 1, "Bolat", "agreed")
    before, head = journal(store, "*"), store.last_seq
    nobody = "say who closes the incident and why: --by NAME --reason TEXT"
    for number, who, why, said in (
        (9, "Aigerim", "known", "there is no incident 9; see: qala incidents"),
        (1, "Aigerim", "known", "incident 1 was closed by Bolat"),
        (2, "Aigerim", " ", nobody),
        (2, "", "known", nobody),
    ):
        with pytest.raises(StoreError, match=f"^{re.escape(said)}$"):
            close_incident(store, number, who, why)
    assert (journal(store, "*"), store.last_seq) == (before, head)
    close_incident(store, 2, "Aigerim", "known")


# ---- what it means for KPIs


SETTLEMENTS = len(KATOS)
DOUBT = "quality criterion not met: fct_appeal 2026-01: accuracy (days-known) in delivery 1"


def run(store: Store, period: str = "2026-01", catalogue: Catalogues = CATALOGUE, today: dt.date = LATER) -> Report:
    return compute_one(store, catalogue, KPI, period, today)


def state(store: Store, kato: str = ASTANA, period: str = "2026-01") -> tuple[str, Any, str | None]:
    found = cell(store, KPI, period, kato)
    return found["obs_status"], found["value"], found["reason"]


def mixed(late: int, *, bad: bool = False, **more: str) -> str:
    """Forty-eight appeals of which some were answered late; `bad`: without the days they took, which no more than half may lack."""
    more |= {"days": ""} if bad else {}
    return text(
        [row(n, closed_at="2026-01-21 10:00:00" if n < late else "2026-01-10 10:00:00", **more) for n in range(48)]
    )


def test_a_value_over_a_delivery_in_doubt_is_marked_and_says_why(counter: Counter, store: Store) -> None:
    counter.hand_in(mixed(12, bad=True))
    counter.hand_in(GOOD, scope=ALMATY)
    counter.decide(store)
    for day in (dt.date(2026, 2, 1), dt.date(2026, 2, 11), LATER):  # nor is it merely provisional
        run(store, today=day)
        assert state(store) == ("U", 75, DOUBT)
    assert cell(store, KPI, "2026-01")["state"] == "low coverage"
    assert state(store, ALMATY) == ("A", 100, None)
    assert query(store, "SELECT DISTINCT kato FROM kpi.value WHERE reason LIKE '%criterion%'") == [(ASTANA,)]


def test_rows_that_were_taken_out_are_counted_and_cast_no_doubt_on_the_rest(counter: Counter, store: Store) -> None:
    """One of 49 is 2 % of the file, and an incident: what it weighs is told by the bounds of the cell it falls into."""
    bad = text([row(48, status="OPEN")]).split("\n", 1)[1]  # and closed
    counter.bring(store, mixed(12) + bad)
    counter.bring(store, mixed(12) + bad.replace("2026-01-20", "2026-02-20"), scope=ALMATY)
    assert [rule for _, rule in still_open(store)] == ["open-or-closed", "open-or-closed"]
    run(store)
    told = "rows of its period: 1 rejected (open-or-closed); with them it lies between 73.469388 and 75.510204"
    assert state(store) == ("U", 75, told)
    assert state(store, ALMATY) == ("A", 75, None)
    close_incident(store, 1, "Aigerim", "known")  # which does not tell what the row would have said
    run(store)
    assert state(store) == ("U", 75, told)


def test_every_open_incident_of_the_delivery_is_named(counter: Counter, store: Store) -> None:
    counter.bring(
        store, text([row(99, due_at="2025-12-20 10:00:00")]), period="2025-12", at="2026-01-02T12:00:00+05:00"
    )
    counter.bring(store, mixed(0, bad=True), at="2026-02-08T12:00:00+05:00")
    # December's row had its days: they are fewer than may lack, and fewer than usual
    assert still_open(store) == [(2, "days-known"), (2, "on-time"), (2, "usual-gaps")]
    run(store)
    three = "accuracy (days-known), timeliness (on-time), completeness (usual-gaps) in delivery 2"
    assert state(store) == ("U", 100, f"quality criterion not met: fct_appeal 2026-01: {three}")
    close_incident(store, 2, "Aigerim", "the deadline was put off")
    run(store)
    two = "accuracy (days-known), completeness (usual-gaps) in delivery 2"
    assert state(store) == ("U", 100, f"quality criterion not met: fct_appeal 2026-01: {two}")
    close_incident(store, 3, "Aigerim", "days are not filled any more")
    run(store)
    assert state(store) == ("U", 100, DOUBT.replace("delivery 1", "delivery 2"))


def test_incidents_of_several_months_of_a_period_are_named(counter: Counter, store: Store) -> None:
    yearly = changed(CATALOGUE, APPEALS.model_copy(update={"period": Grain.YEAR}))
    for number, period in enumerate(f"2025-{month:02}" for month in range(1, 13)):
        content = mixed(0, bad=period in ("2025-03", "2025-11"), due_at=f"{period}-20 10:00:00")
        counter.hand_in(content.replace("2026-01-10", f"{period}-10").replace("\nA", f"\nA{number}-"), period=period)
    counter.decide(store)
    compute(store, yearly, ["2025-12"], codes=[KPI], today=LATER)
    assert still_open(store) == [(n, rule) for n in (3, 11) for rule in ("days-known", "usual-gaps")]
    third, eleventh = (f"accuracy (days-known), completeness (usual-gaps) in delivery {n}" for n in (3, 11))
    reason = f"quality criterion not met: fct_appeal 2025-03: {third}; fct_appeal 2025-11: {eleventh}"
    assert state(store, period="2025") == ("U", 100, reason)


def test_closing_by_hand_computes_the_cell_again_with_another_month(counter: Counter, store: Store) -> None:
    for scope in (ASTANA, ALMATY):
        counter.hand_in(mixed(12, bad=True), scope=scope)
    counter.decide(store)
    run(store)
    assert (state(store)[0], state(store, ALMATY)[0]) == ("U", "U")
    assert run(store, "2026-02").other_periods == ()
    close_incident(store, 1, "Aigerim", "the row was a test of the operator")
    report = run(store, "2026-03")
    assert (report.cells, report.restated, report.other_periods) == (SETTLEMENTS + 1, 1, ("2026-01",))
    assert state(store) == ("A", 75, None)
    assert cell(store, KPI, "2026-01")["state"] == "calculated"
    assert state(store, ALMATY)[0] == "U"
    # the value that was published with a mark is kept
    was = (
        "SELECT obs_status, value, reason FROM kpi.value WHERE kato = ? AND period_id = '2026-01' AND valid_to_seq = ?"
    )
    assert query(store, was, [ASTANA, report.seq]) == [("U", 75, DOUBT)]
    assert run(store, "2026-04").cells == SETTLEMENTS


def test_closing_by_hand_reaches_every_settlement_of_the_delivery(counter: Counter, store: Store) -> None:
    of_ayagoz = mixed(24, bad=True, kato=AYAGOZ).replace("\nA", "\nB").split("\n", 1)[1]
    delivery = counter.bring(store, mixed(12, bad=True, kato=SEMEY) + of_ayagoz, scope="10")
    assert still_open(store) == [(delivery, "days-known")]
    run(store)
    assert [state(store, kato)[:2] for kato in (SEMEY, AYAGOZ, ASTANA)] == [("U", 75), ("U", 50), ("L", None)]
    in_region = query(store, "SELECT count(*) FROM registry.settlement WHERE kato2 = '10'")[0][0]
    close_incident(store, 1, "Aigerim", "known")
    report = run(store, "2026-02")
    assert (report.cells, report.restated) == (
        SETTLEMENTS + in_region,
        in_region,
    )  # no rows under an open incident is not nothing there
    assert [state(store, kato)[:2] for kato in (SEMEY, AYAGOZ, ASTANA)] == [("A", 75), ("A", 50), ("L", None)]


def test_a_good_delivery_takes_the_mark_away(counter: Counter, store: Store) -> None:
    counter.bring(store, mixed(12, bad=True))
    run(store)
    counter.bring(store, mixed(12))
    assert run(store, "2026-02").other_periods == ("2026-01",)
    assert state(store) == ("A", 75, None)
    counter.bring(store, mixed(6, bad=True))
    run(store, "2026-02")
    assert state(store) == ("U", 87.5, DOUBT.replace("delivery 1", "delivery 3"))


def test_a_refused_correction_casts_no_doubt_on_what_was_loaded(counter: Counter, store: Store) -> None:
    counter.bring(store, mixed(12))
    counter.bring(store, "nonsense")
    assert still_open(store) == [(2, "structure")]
    run(store)
    assert state(store) == ("A", 75, None)


def test_a_refused_delivery_is_a_reason_of_its_own(counter: Counter, store: Store) -> None:
    counter.bring(store, "nonsense")
    run(store)
    assert state(store) == ("O", None, "quality gate failed, extract refused: fct_appeal 2026-01 (delivery 1)")
    close_incident(store, 1, "Aigerim", "known")
    run(store, "2026-02")
    assert state(store) == ("O", None, "quality gate failed, extract refused: fct_appeal 2026-01 (delivery 1)")


def test_incidents_elsewhere_cast_no_doubt(counter: Counter, store: Store) -> None:
    counter.hand_in(mixed(12))
    counter.hand_in(mixed(12, bad=True, due_at="2026-02-20").replace("\nA", "\nB"), period="2026-02")
    counter.hand_in(mixed(12, bad=True), scope=ALMATY)
    counter.hand_in(trips(1), "fct_trip", rows=2)
    assert counter.decide(store, "fct_appeal", "fct_trip") == ["loaded"] * 3 + ["refused"]
    # Astana's January had its days, so that February lacks them is not usual
    assert still_open(store) == [(2, "days-known"), (2, "usual-gaps"), (3, "days-known"), (4, "manifest-rows")]
    run(store)
    assert state(store) == ("A", 75, None)


def test_rows_taken_out_within_the_tolerance_leave_no_mark(counter: Counter, store: Store) -> None:
    counter.bring(store, rows(100, 1, status="?"))
    run(store)
    assert state(store) == ("A", 100, None)


# ---- what may be shown


def small(minimum: int, **update: Any) -> Catalogues:
    return changed(CATALOGUE, APPEALS.model_copy(update={"minimum_cell": minimum} | update))


def shown(store: Store, view: str, kato: str = ASTANA) -> tuple[Any, ...]:
    """value, numerator, denominator, sample size, OBS_STATUS, state, reason"""
    reason = "reason" if view == "kpi.value" else "reason_en"
    columns = f"value, numerator, denominator, sample_size, obs_status, state, {reason}"
    (found,) = query(store, f"SELECT {columns} FROM {view} WHERE (kato, period_id) = (?, '2026-01')", [kato])
    return (found[0], exact(found[1]), exact(found[2]), *found[3:])


def test_a_small_cell_is_suppressed_and_its_parts_with_it(counter: Counter, store: Store) -> None:
    for kato, count in ((ASTANA, 4), (ALMATY, 5)):
        counter.hand_in(rows(count, 1, closed_at="2026-01-21 10:00:00"), scope=kato)
    counter.decide(store)
    report = run(store, catalogue=small(5))
    assert report.states == {"calculated": 1, "suppressed": 1, "not calculable": SETTLEMENTS - 2}
    few = "fewer than 5 observations: too few to publish"
    assert shown(store, "kpi.value") == (None, 3, 4, 4, "Q", "suppressed", few)
    for view in ("kpi_values", "public_values"):
        assert shown(store, view) == (None, None, None, None, "Q", "suppressed", few)
        assert shown(store, view, ALMATY) == (80, 4, 5, 5, "A", "calculated", None)
    assert query(store, "SELECT kato FROM latest_values") == [(ALMATY,)]
    # Astana is its own region: what is made of it alone is suppressed as well
    rolled = "SELECT value, numerator, denominator, obs_status, reason_en FROM rollups WHERE (area_kind, period_id, area) = ('region', '2026-01', ?)"
    assert query(store, rolled, [ASTANA]) == [(None, None, None, "Q", few)]
    # a fifth observation opens it
    counter.bring(store, rows(5, 1, closed_at="2026-01-21 10:00:00"))
    run(store, "2026-02", small(5))
    assert shown(store, "kpi_values") == (80, 4, 5, 5, "A", "calculated", None)


def test_where_things_are_counted_once_the_things_count(counter: Counter, store: Store) -> None:
    """Twenty rows about four things are four observations; none at all gives nobody away."""
    once = APPEALS.numerator.model_copy(update={"aggregate": "count(distinct days)", "filter": "days < 100"})
    for kato, things in ((ASTANA, 4), (ALMATY, 5), (SEMEY, 0)):
        days = [str(n % things if things else 100) for n in range(20)]
        counter.hand_in(text([row(n, days=d) for n, d in enumerate(days)]), scope=kato)
    counter.decide(store)
    run(store, catalogue=small(5, numerator=once))
    few = "fewer than 5 observations: too few to publish"
    assert shown(store, "kpi.value") == (None, 4, 20, 20, "Q", "suppressed", few)
    assert shown(store, "kpi_values", ALMATY) == (25, 5, 20, 20, "A", "calculated", None)
    assert shown(store, "kpi_values", SEMEY) == (0, 0, 20, 20, "A", "calculated", None)


def test_what_suppression_does_not_touch(counter: Counter, store: Store) -> None:
    """Nothing delivered, or no rows, is not a small cell; a doubt does not lift the suppression."""
    counter.hand_in(text([row(1), row(2, status="?")] + [row(n, due_at="2026-03-01") for n in range(3, 21)]))
    counter.hand_in(text([row(1, due_at="2026-03-01")]), scope=ALMATY)
    counter.decide(store)
    assert still_open(store) == [(1, "status-domain")]
    run(store, catalogue=small(5))
    assert shown(store, "kpi.value")[4:6] == ("Q", "suppressed")
    assert shown(store, "kpi.value", ALMATY)[4:6] == ("M", "not applicable")
    assert shown(store, "kpi_values", SEMEY)[4:6] == ("L", "not calculable")


@pytest.mark.parametrize(("sensitivity", "hidden"), [("personal", False), ("restricted", True)])
def test_restricted_kpis_are_suppressed_in_public_only(
    counter: Counter, store: Store, sensitivity: str, hidden: bool
) -> None:
    counter.hand_in(mixed(12))
    counter.hand_in(rows(4), scope=ALMATY)
    counter.decide(store)
    run(store, catalogue=small(5, sensitivity=sensitivity))
    seen = (75, 36, 48, 48, "A", "calculated", None)
    assert shown(store, "kpi.value") == shown(store, "kpi_values") == seen
    restricted = (None, None, None, None, "Q", "suppressed", "restricted publication")
    assert shown(store, "public_values") == (restricted if hidden else seen)
    # why there is no value may be said in public
    for kato, status, reason in ((ALMATY, "Q", "fewer than 5 observations: too few to publish"),
                                 (SEMEY, "L", "extract not delivered: fct_appeal 2026-01")):  # fmt: skip
        found = shown(store, "public_values", kato)
        assert (found[0], found[4], found[6]) == (None, status, reason)
