"""What a contract makes of records before they are rows, against a model in plain Python: random tables under every combination."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.readers.headers import StructureError
from connectors.row_gate.records_behind import Delivered, records_behind
from kpi_definitions.documents import DocumentError
from tests.support.examples import examples
from tests.support.files import Bench, Desk, contract_text, query
from tests.support.settlements import ASTANA
from warehouse.store.recorded import recorded

HEADER = ("Пост", "Время", "Статус", "Годно", "PM2.5", "PM10")
LABELS = {"PM2.5": "PM25", "PM10": "PM10"}
LONG = """      - {name: station_id, physicalName: Пост}
      - name: hour_start
        transformSourceObjects: [Время]
        transformLogic: date_trunc('hour', cast("Время" as timestamp))
      - {name: pollutant, physicalName: вещество}
      - {name: value_ug_m3, physicalName: значение}
      - {name: is_valid, physicalName: Годно}
"""
WIDE = LONG.replace("physicalName: вещество", "transformLogic: \"'PM25'\"").replace("значение", "PM2.5")
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """Which constructs the contract has."""

    unpivot: bool
    empty: bool  # left out
    where: bool
    duplicates: bool
    combine: str  # mean, min, max, sum, or nothing
    order: str  # first, last

    def contract(self) -> str:
        settings = {"decimalSeparator": "'.'", "otherHeaders": "ignore"}
        if self.unpivot:
            empty = ", empty: leave out" if self.empty else ""
            settings["unpivot"] = f"{{columns: {{'PM2.5': PM25, PM10: PM10}}, name: вещество, value: значение{empty}}}"
        if self.where:
            settings["where"] = "\"Статус = 'ok'\""
        if self.duplicates:
            settings["duplicates"] = "drop"
        if self.combine:
            settings["repeatedKeys"] = f"{{value_ug_m3: {self.combine}, is_valid: {{{self.order}: {{by: Время}}}}}}"
        return contract_text("air", "fct_air_hour", LONG if self.unpivot else WIDE, settings=settings)


@dataclass
class Outcome:
    accepted: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    behind: dict[int, list[int]] = field(default_factory=dict)  # accepted row → the records it is made of


@dataclass
class Row:
    number: int
    station: str | None
    time: dt.datetime
    pollutant: str
    value: Decimal | None
    spoilt: bool  # the value was emptied
    valid: bool | None
    broken: str | None
    record: int

    @property
    def key(self) -> tuple[Any, ...]:
        return self.station, self.time.replace(minute=0), self.pollutant


def expected(records: Sequence[Cells], wanted: Wanted) -> Outcome:
    """The same in plain Python."""
    found = Outcome()
    rows = []
    names = list(LABELS) if wanted.unpivot else ["PM2.5"]
    seen: set[Any] = set()
    for n, cells in enumerate(records):
        by = dict(zip(HEADER, cells, strict=True))
        for position, name in enumerate(names):
            text = by[name]
            taken = None if not by["Статус"] else by["Статус"] == "ok"
            if wanted.where and taken is False:
                found.left_out["left-out.where"] += 1
                continue
            if wanted.unpivot and wanted.empty and not text:
                found.left_out["left-out.empty"] += 1
                continue
            if wanted.duplicates and (cells, position) in seen:
                found.left_out["left-out.duplicate"] += 1
                continue
            seen.add((cells, position))
            readable = text.replace(".", "").isdigit()
            value = Decimal(text) if readable else None
            valid = {"true": True, "false": False}.get(by["Годно"])
            broken = "where" if wanted.where and taken is None else None
            if not by["Пост"]:
                broken = broken or "station_id.required"
            if valid is None:
                broken = broken or "is_valid"
            if valid and value is None:
                broken = broken or "valid-has-value"
            time = dt.datetime.fromisoformat(by["Время"])
            number = n * len(names) + position + 1
            rows.append(
                Row(
                    number,
                    by["Пост"] or None,
                    time,
                    LABELS[name],
                    value,
                    bool(text) and not readable,
                    valid,
                    broken,
                    n + 1,
                )
            )
    _one_per_key(rows, wanted, found) if wanted.combine else _no_repeats(rows, found)
    return found


def _accept(found: Outcome, rows: Sequence[Row], value: Decimal | None, valid: bool | None) -> None:
    found.accepted[rows[0].number] = (*rows[0].key, value, valid)
    found.behind[rows[0].number] = sorted({row.record for row in rows})


def _no_repeats(rows: Sequence[Row], found: Outcome) -> None:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        if row.broken:
            found.rejected[row.number] = row.broken
        else:
            groups.setdefault(row.key, []).append(row)
    for group in groups.values():
        same = len({(r.value, r.valid) for r in group}) == 1
        for row in group[1:] if same else group:
            found.rejected[row.number] = "key.duplicate" if same else "key.unique"
        if same or len(group) == 1:
            found.rejected.pop(group[0].number, None)
            _accept(found, group[:1], group[0].value, group[0].valid)


def _one_per_key(rows: Sequence[Row], wanted: Wanted, found: Outcome) -> None:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.key if row.station else row.number, []).append(row)
    for group in groups.values():
        value, valid, why = _together(group, wanted)
        for row in group:
            if row.broken or why:
                found.rejected[row.number] = row.broken or why or ""
        if not why and not (len(group) == 1 and group[0].broken):
            _accept(found, group, value, valid)
            if len(group) > 1:
                found.left_out["left-out.combined"] += len(group) - 1


def _together(group: Sequence[Row], wanted: Wanted) -> tuple[Decimal | None, bool | None, str | None]:
    """(value, flag, why there is no row)"""
    if len(group) == 1:
        return group[0].value, group[0].valid, None
    if any(r.broken for r in group):
        return None, None, "key.incomplete"
    extreme = (min if wanted.order == "first" else max)(r.time for r in group)
    flags = {r.valid for r in group if r.time == extreme}
    if len(flags) > 1:
        return None, None, "key.order"
    values = [r.value for r in group if r.value is not None]
    value = None
    if values and not any(r.spoilt for r in group):
        mean = (sum(values, Decimal(0)) / len(values)).quantize(Decimal("0.001"), ROUND_HALF_UP)
        value = {"mean": mean, "sum": sum(values, Decimal(0)), "min": min(values), "max": max(values)}[wanted.combine]
    (flag,) = flags
    return value, flag, "valid-has-value" if flag and value is None else None


def observed(bench: Bench, delivery: int) -> Outcome:
    rows = query(
        bench.store,
        f"SELECT row_no, station_id, hour_start, pollutant, value_ug_m3, is_valid, broken FROM work_staged_row WHERE delivery_id = {delivery}",
    )
    found = Outcome()
    for number, *values, broken in rows:
        if broken is None:
            found.accepted[number] = tuple(values)
        else:
            found.rejected[number] = broken
    found.left_out.update(
        dict(query(bench.store, f"SELECT rule, rows FROM work_left_out_count WHERE delivery_id = {delivery}"))
    )
    return found


def as_csv(records: Sequence[Cells]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows([HEADER, *records])
    return target.getvalue()


def as_parquet(records: Sequence[Cells]) -> bytes:
    columns = {h: pa.array([r[n] or None for r in records], pa.string()) for n, h in enumerate(HEADER)}
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, row_group_size=3)
    return target.getvalue()


def agree(found: Outcome, model: Outcome, records: int, width: int) -> None:
    assert found.accepted == model.accepted
    assert found.left_out == model.left_out
    assert set(found.rejected) == set(model.rejected)
    told = {
        n: rule
        for n, rule in found.rejected.items()
        if rule in ("where", "key.order", "key.incomplete", "key.unique", "key.duplicate")
    }
    assert told == {n: rule for n, rule in model.rejected.items() if n in told}
    assert len(found.accepted) + len(found.rejected) + found.left_out.total() == records * width


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("shape")
    with Desk(root).open() as store:
        yield Bench(store, root)


wanted = st.builds(
    Wanted,
    unpivot=st.booleans(),
    empty=st.booleans(),
    where=st.booleans(),
    duplicates=st.booleans(),
    combine=st.sampled_from(["", "mean", "min", "max", "sum"]),
    order=st.sampled_from(["first", "last"]),
)
cell = st.sampled_from(["", "1.005", "2", "10.25", "0.001", "x", "3"])
record = st.tuples(
    st.sampled_from(["S1", "S2", "S1", "S2", ""]),
    st.sampled_from(["2026-01-05 10:00:00", "2026-01-05 10:20:00", "2026-01-05 10:40:00", "2026-01-05 11:00:00"]),
    st.sampled_from(["ok", "ok", "ok", "нет", ""]),
    st.sampled_from(["true", "true", "false", "false", "false", "?"]),
    cell,
    cell,
)
records_of_file = st.lists(record, min_size=1, max_size=14)


@given(wanted, st.lists(records_of_file, min_size=1, max_size=3), st.booleans())
@examples(15, 400)
def test_any_shape_of_any_table_is_what_plain_python_makes_of_it(
    bench: Bench, wanted: Wanted, files: list[list[Cells]], parquet: bool
) -> None:
    contract = bench.contract(wanted.contract())
    contents = [as_parquet(f) if parquet else as_csv(f) for f in files]
    assert bench.stage(*contents, table="fct_air_hour", contract=contract) == {}
    models = [expected(records, wanted) for records in files]
    for number, (records, model) in enumerate(zip(files, models, strict=True), 1):
        agree(observed(bench, number), model, len(records), 2 if wanted.unpivot else 1)
    content = contents[0] if isinstance(contents[0], bytes) else contents[0].encode()
    delivered = Delivered(hashlib.sha256(content).hexdigest(), "f", ASTANA, dt.date(2026, 1, 1), dt.date(2026, 2, 1))
    if models[0].behind:
        table = bench.table("fct_air_hour")
        behind = records_behind(bench.archive, table, contract, delivered, models[0].behind, bench.time_zone)
        assert behind == models[0].behind


# --- taken in, judged, verified ---

CRASHES = """      - {name: crash_id, physicalName: Номер}
      - {name: occurred_at, physicalName: Время}
      - {name: deaths_30d, physicalName: Погибло}
      - {name: injured, physicalName: Ранено}
      - name: district_id
        transformLogic: "concat(cast(period_start as varchar), ' ', cast(period_end as varchar), ' ', cast(period_after as varchar), ' ', settlement)"
"""
OF_CRASHES = ("Номер", "Время", "Погибло", "Ранено", "Вид")


def crash_file(*rows: str) -> str:
    return "\n".join([",".join(OF_CRASHES), *rows]) + "\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_received_is_accepted_rejected_and_left_out(desk: Desk) -> None:
    """In the delivery, in its ledger entry, in its findings; and `qala verify` adds them up."""
    shape = {"where": "\"Вид = 'ДТП'\"", "duplicates": "drop", "repeatedKeys": "{deaths_30d: max, injured: sum}"}
    desk.add_contract(contract_text("police", "fct_crash", CRASHES, settings=shape))
    rows = [f"С-{n},2026-01-05 10:00:00,0,1,ДТП" for n in range(30)]
    rows += [
        "С-1,2026-01-05 10:00:00,0,1,ДТП",
        "С-2,2026-01-05 10:00:00,1,2,ДТП",
        "С-99,2026-01-05 10:00:00,0,1,Жалоба",
    ]
    rows += ["С-98,2026-01-05 10:00:00,0,1,"]
    desk.deliver(crash_file(*rows), "fct_crash", system="police", rows=len(rows))
    with desk.open() as store:
        (outcome,) = (report := desk.take(store)).outcomes
        assert (outcome.state, outcome.reason) == ("loaded", None)
        assert (outcome.received, outcome.accepted, outcome.rejected, outcome.left_out) == (34, 30, 1, 3)
        told = {f.rule: (f.passed, f.observed) for f in report.findings if f.rule.startswith(("left-out", "where"))}
        assert told == {
            "left-out.where": (True, "1 left out, the first of them records 33"),
            "left-out.duplicate": (True, "1 left out, the first of them records 31"),
            "left-out.combined": (True, "1 rows made of 2 records of the same keys"),
            "where": (False, "1 rows rejected"),
        }
        assert next(f for f in report.findings if f.rule == "manifest-rows").passed
        (detail,) = query(store, "SELECT detail ->> '$.left_out' FROM audit.ledger WHERE kind = 'loaded'")
        assert detail == ("3",)
        kept = query(
            store, "SELECT crash_id, deaths_30d, injured, district_id FROM showcase.fct_crash WHERE crash_id = 'С-2'"
        )
        assert kept == [("С-2", 1, 3, f"2026-01-01 2026-01-31 2026-02-01 {ASTANA}")]
        (rejected,) = query(store, "SELECT row_no, rule, raw FROM audit.rejected_row")
        assert rejected[:2] == (34, "where")
        assert json.loads(rejected[2])["Вид"] is None
        assert recorded(store) == []
        store.con.execute("UPDATE audit.check_result SET failing_rows = 2 WHERE rule = 'left-out.where'")
        assert any("are accepted" in one.message for one in recorded(store))


def test_the_same_extract_again_changes_nothing_whatever_its_order(desk: Desk) -> None:
    desk.add_contract(
        contract_text(
            "police",
            "fct_crash",
            CRASHES,
            settings={"repeatedKeys": "{deaths_30d: max, injured: sum}", "otherHeaders": "ignore"},
        )
    )
    rows = [f"С-{n % 5},2026-01-05 10:00:00,0,{n},ДТП" for n in range(15)]
    with desk.open() as store:
        desk.deliver(crash_file(*rows), "fct_crash", system="police")
        desk.take(store)
        first = query(store, "SELECT * FROM showcase.fct_crash ORDER BY crash_id")
        desk.deliver(crash_file(*reversed(rows)), "fct_crash", system="police")
        assert [o.accepted for o in desk.take(store).outcomes] == [5]
        assert query(store, "SELECT * FROM showcase.fct_crash ORDER BY crash_id") == first
        assert query(store, "SELECT * FROM history.fct_crash") == []
        assert recorded(store) == []


def test_a_delivery_of_which_the_condition_takes_nothing_is_refused(desk: Desk) -> None:
    desk.add_contract(contract_text("police", "fct_crash", CRASHES, settings={"where": "\"Вид = 'ДТП'\""}))
    desk.deliver(crash_file("С-1,2026-01-05,0,1,дтп"), "fct_crash", system="police")
    with desk.open() as store:
        (outcome,) = desk.take(store).outcomes
        assert outcome.state == "refused"
        assert "none of 1 is taken, beginning with record 1" in str(outcome.reason)


def test_unpivoted_rows_keep_to_their_record_in_a_broken_file(bench: Bench) -> None:
    """A record that cannot be split is one row, and the others' numbers lead to them."""
    wanted = Wanted(True, False, False, False, "", "first")
    contract = bench.contract(wanted.contract())
    lines = ["S1,2026-01-05 10:00:00,ok,true,1,2", "S1,2026-01-05", "S1,2026-01-05 12:00:00,ok,true,3,4"]
    assert bench.stage(",".join(HEADER) + "\n" + "\n".join(lines) + "\n", table="fct_air_hour", contract=contract) == {}
    assert bench.accepted("row_no, value_ug_m3") == [(1, 1), (2, 2), (5, 3), (6, 4)]
    assert bench.broken() == [(3, "columns")]


def test_columns_are_found_by_a_pattern_and_labelled_by_its_group(bench: Bench) -> None:
    codes = "вещество, customProperties: [{property: codes, value: {'2.5': PM25, '10': PM10}}]"
    settings = {"unpivot": "{columns: 'PM(.*)', name: вещество, value: значение}", "otherHeaders": "ignore"}
    contract = bench.contract(contract_text("air", "fct_air_hour", LONG.replace("вещество", codes), settings=settings))
    assert (
        bench.stage(
            as_csv([("S1", "2026-01-05 10:00:00", "", "true", "1", "2")]), table="fct_air_hour", contract=contract
        )
        == {}
    )
    assert bench.accepted("row_no, pollutant, value_ug_m3") == [(1, "PM25", 1), (2, "PM10", 2)]


@pytest.mark.parametrize(
    ("replaced", "words"),
    [("Вид", "lacks Вид"), ("settlement", "has settlement, which in this contract is the name of something else")],
)
def test_a_header_that_the_shape_goes_by_must_be_there_and_mean_one_thing(
    bench: Bench, replaced: str, words: str
) -> None:
    settings = {"where": "\"Вид = 'ДТП'\"", "otherHeaders": "ignore"}
    contract = bench.contract(contract_text("police", "fct_crash", CRASHES, settings=settings))
    header = ",".join(OF_CRASHES).replace("Вид", replaced) if replaced == "Вид" else ",".join((*OF_CRASHES, replaced))
    content = crash_file().replace(",".join(OF_CRASHES), header.replace("Вид", "Тип") if replaced == "Вид" else header)
    with pytest.raises(StructureError, match=words):
        bench.unpack(content, contract)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"where": '"Погибло > 0"'}, "compares a text with another type"),
        ({"where": '"cast(Погибло as integer)"'}, "is no condition but INTEGER"),
        ({"where": '"1 = 1"'}, "names no header"),
        ({"where": '"Погибло = (select 1)"'}, "is not allowed here"),
        ({"where": "[1]"}, "an expression is text"),
        ({"unpivot": "{columns: [A], name: B}"}, "columns, name and value"),
        ({"unpivot": "{columns: [A, A], name: B, value: C}"}, "one label"),
        ({"unpivot": "{columns: {A: x, B: x}, name: C, value: D}"}, "one label"),
        ({"unpivot": "{columns: '(', name: B, value: C}"}, "no pattern"),
        ({"unpivot": "{columns: [A], name: A, value: C}"}, "a column of the file as well"),
        ({"unpivot": "{columns: [A], name: B, value: B}"}, "are both"),
        ({"unpivot": "{columns: [A], name: B, value: C, empty: maybe}"}, "is not known"),
        ({"duplicates": "keep"}, "is not known"),
        ({"repeatedKeys": "mean"}, "names no column"),
        ({"repeatedKeys": "{crash_id: min}"}, "is part of the key"),
        ({"repeatedKeys": "{deaths: min}"}, "is no column"),
        ({"repeatedKeys": "{deaths_30d: median}"}, "is not known"),
        ({"repeatedKeys": "{district_id: max}"}, "there is no max"),
        ({"repeatedKeys": "{occurred_at: mean}"}, "there is no mean"),
        ({"repeatedKeys": "{deaths_30d: first}"}, "the order of lines means nothing"),
        ({"repeatedKeys": "{deaths_30d: {first: {by: district_id}}}"}, "orders nothing"),
        ({"repeatedKeys": "{deaths_30d: {first: {by: crash_id}}}"}, "is part of the key"),
        ({"repeatedKeys": "{deaths_30d: {last: {by: lower(Вид)}}}"}, "orders nothing"),
        ({"repeatedKeys": "{deaths_30d: {mean: {by: Время}}}"}, "goes by no column"),
    ],
)
def test_a_shape_that_means_nothing_is_refused_with_its_line(bench: Bench, settings: dict[str, str], said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        bench.contract(contract_text("police", "fct_crash", CRASHES, settings=settings))
    assert {fault.line for fault in caught.value.faults} == {9}
