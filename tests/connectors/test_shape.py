"""What a contract makes of records before they are rows, against a model in plain Python: random tables under every combination."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.files import Bench, Desk, contract_text, query

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
    raw: tuple[Any, ...]

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
                    cells,
                )
            )
    _one_per_key(rows, wanted, found) if wanted.combine else _no_repeats(rows, found)
    return found


def _accept(found: Outcome, row: Row, value: Decimal | None, valid: bool | None) -> None:
    found.accepted[row.number] = (*row.key, value, valid)


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
            _accept(found, group[0], group[0].value, group[0].valid)


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
            _accept(found, group[0], value, valid)
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
    for number, records in enumerate(files, 1):
        agree(observed(bench, number), expected(records, wanted), len(records), 2 if wanted.unpivot else 1)
