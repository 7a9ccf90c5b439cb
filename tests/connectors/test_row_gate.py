"""The first gate: which rows pass, which rule the others broke first, and what their text is cast to."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.delivery_gate.profile import profile_deliveries as profile_of
from connectors.mapping.read_contracts import SHIPPED, parse_source
from connectors.mapping.source_contract import SourceContract, standard
from connectors.personal_data.detection import shaped
from connectors.readers.readers import Readable
from connectors.row_gate import row_gate
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.staging import drop_staging
from kpi_definitions.documents import DocumentError, read
from tests.support.examples import examples
from tests.support.files import (
    APPEAL_COLUMNS,
    CRASH_COLUMNS,
    Bench,
    Desk,
    appeal,
    appeals,
    contract_text,
    crash,
    crashes,
    query,
    text,
)
from tests.support.settlements import AKTAU, ALMATY, ASTANA, ZHANAOZEN
from warehouse.tables.contracts import load_tables, parse_table

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("gate")
    with Desk(root).open() as store:
        yield Bench(store, root)


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def air(number: int, **changes: str) -> dict[str, str]:
    row = {"station_id": f"S{number}", "hour_start": "2026-01-05 10:00:00", "pollutant": "PM25", "value_ug_m3": "35.5"}
    return row | {"is_valid": "true"} | changes


def population(**changes: str) -> dict[str, str]:
    return {"as_of_date": "2026-01-01", "population": "1000", "count_source": "census"} | changes


# --- row rules ---


@pytest.mark.parametrize(
    ("table", "row", "rule"),
    [
        ("fct_crash", crash(2, deaths_30d="none"), "deaths_30d.type"),
        ("fct_crash", crash(2, occurred_at="2026-13-01"), "occurred_at.type"),
        ("fct_appeal", appeal(2, is_emergency="maybe"), "is_emergency.type"),
        ("dim_population", population(as_of_date="1.1.2026"), "as_of_date.type"),
        ("fct_air_hour", air(2, value_ug_m3="high"), "value_ug_m3.type"),
        ("fct_crash", crash(2, crash_id=""), "crash_id.required"),
        ("fct_crash", crash(2, crash_id="   "), "crash_id.required"),
        ("fct_crash", crash(2, occurred_at=""), "occurred_at.required"),
        ("fct_appeal", appeal(2, status=""), "status.required"),
        ("fct_appeal", appeal(2, is_emergency=""), "is_emergency.required"),
        ("fct_crash", crash(2, deaths_30d="101"), "deaths_30d.range"),
        ("fct_crash", crash(2, deaths_30d="-1"), "deaths_30d.range"),
        ("fct_air_hour", air(2, pollutant="CO", value_ug_m3="100000.001"), "value_ug_m3.range"),
        ("fct_crash", crash(2, crash_id="ц" * 65), "crash_id.length"),
        ("fct_appeal", appeal(2, status="DONE"), "status-domain"),
        ("fct_appeal", appeal(2, status="closed"), "status-domain"),
        ("fct_air_hour", air(2, pollutant="PM2.5"), "pollutant-domain"),
        ("fct_appeal", appeal(2, closed_at="2026-01-05 09:59:59"), "registered-before-closed"),
        ("fct_appeal", appeal(2, first_answer_at="2026-01-05 09:59:59"), "registered-before-answer"),
        ("fct_air_hour", air(2, value_ug_m3="2000.001"), "value-range"),
        ("fct_air_hour", air(2, value_ug_m3=""), "valid-has-value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_breaks_a_rule_is_rejected_with_the_rules_id(
    bench: Bench, table: str, row: dict[str, str], rule: str
) -> None:
    good = {"fct_crash": crash, "fct_appeal": appeal, "fct_air_hour": air, "dim_population": lambda n: population(as_of_date=f"2025-01-0{n}")}  # fmt: skip
    rows = [good[table](1), row, good[table](3)]  # type: ignore[operator]
    assert bench.stage(text(rows, list(good[table](1))), table=table) == {}  # type: ignore[operator]
    assert bench.accepted() == [1, 3]
    assert bench.broken() == [(2, rule)]
    assert rule in {r.id for r in bench.table(table).all_rules}
    kept = {name: shaped(value) if rule == f"{name}.type" else value or None for name, value in row.items()}
    assert json.loads(bench.raw(2)) == kept, "what can be read as it stands, what cannot by its shape"


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("fct_crash", crash(1, deaths_30d="0", injured="0")),
        ("fct_crash", crash(1, deaths_30d="100", injured="")),
        ("fct_crash", crash(1, crash_id="ц" * 64, district_id="")),
        ("fct_appeal", appeal(1, due_at="", first_answer_at="", closed_at="", category="", channel="")),
        ("fct_appeal", appeal(1, closed_at="2026-01-05 10:00:00", first_answer_at="2026-01-05 10:00:00")),
        ("fct_appeal", appeal(1, category="x" * 200)),
        ("fct_air_hour", air(1, value_ug_m3="2000", is_valid="true")),
        ("fct_air_hour", air(1, pollutant="CO", value_ug_m3="100000")),
        ("fct_air_hour", air(1, value_ug_m3="0")),
        ("fct_air_hour", air(1, value_ug_m3="", is_valid="false")),
    ],
)
def test_a_row_on_the_very_edge_passes(bench: Bench, table: str, row: dict[str, str]) -> None:
    assert bench.stage(text([row]), table=table) == {}
    assert bench.broken() == []
    assert bench.accepted() == [1]


def test_of_several_broken_rules_the_first_in_the_contracts_order_is_named(bench: Bench) -> None:
    """Every fault of the list at once, then without the first, and so on: each time the foremost is found."""
    faults: list[tuple[str, dict[str, str]]] = [
        ("appeal_id.length", {"appeal_id": "A" * 65}),
        ("registered_at.type", {"registered_at": "soon"}),
        ("due_at.type", {"due_at": "never"}),
        ("first_answer_at.type", {"first_answer_at": "?"}),
        ("closed_at.type", {"closed_at": "?"}),
        ("status-domain", {"status": "?"}),
        ("is_emergency.required", {"is_emergency": ""}),
        ("registered-before-closed", {"closed_at": "2026-01-01"}),
        ("registered-before-answer", {"first_answer_at": "2026-01-01"}),
        ("scope", {"kato": ALMATY}),
    ]
    order = [r.id for r in bench.table("fct_appeal").all_rules]
    faults.sort(key=lambda fault: order.index(fault[0]))
    assert faults[-1][0] == "scope"
    rows = []
    for start in range(len(faults)):
        row = appeal(start, kato=ASTANA)
        for _, change in reversed(faults[start:]):
            row |= change
        rows.append(row)
    bench.stage(text(rows))
    assert bench.broken() == [(number, rule) for number, (rule, _) in enumerate(faults, 1)]


def test_a_pattern_and_exclusive_bounds(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "meters.odcs.yaml"
    file.write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active\nschema:\n"
        "  - name: meters\n    properties:\n"
        "      - {name: meter, logicalType: string, primaryKey: true, logicalTypeOptions: {pattern: '[A-Z]{2}\\d+', minLength: 4}}\n"
        "      - {name: level, logicalType: integer, logicalTypeOptions: {exclusiveMinimum: 0, exclusiveMaximum: 10}}\n",
        encoding="utf-8",
    )
    table = parse_table(read(file))
    content = "meter,level\nAB12,5\nab12,5\nAB12x,5\nAB1,5\nAB13,0\nAB14,10\nAB15,9\n"
    bench.store.tables[table.name] = table
    try:
        assert bench.stage(content, table="meters") == {}
    finally:
        del bench.store.tables[table.name]
    assert bench.broken() == [
        (2, "meter.pattern"),
        (3, "meter.pattern"),
        (4, "meter.length"),
    ]
    assert bench.cells() == [(5, "level", "level.range", "0"), (6, "level", "level.range", "10")]


def test_a_warning_rule_keeps_the_row_and_is_counted(bench: Bench) -> None:
    rows = [
        {"permit_id": f"P{n}", "submitted_at": "2024-01-01", "approved_at": approved, "channel": "", "status": ""}
        for n, approved in enumerate(["2024-02-01", "2026-06-01", "", "2023-12-31"], 1)
    ]
    bench.stage(text(rows), table="fct_building_permit")
    assert bench.accepted() == [1, 2, 3]
    assert bench.broken() == [(4, "submitted-before-approved")]


# --- cells left empty ---


@pytest.mark.parametrize(
    ("table", "row", "column", "rule"),
    [
        ("fct_crash", crash(2, injured="some"), "injured", "injured.type"),
        ("fct_crash", crash(2, injured="-1"), "injured", "injured.range"),
        ("fct_crash", crash(2, district_id="d" * 65), "district_id", "district_id.length"),
        ("fct_appeal", appeal(2, category="x" * 201), "category", "category.length"),
        ("fct_air_hour", air(2, value_ug_m3="high", is_valid="false"), "value_ug_m3", "value_ug_m3.type"),
    ],
)
def test_a_broken_cell_of_an_optional_column_does_not_cost_the_row(
    bench: Bench, table: str, row: dict[str, str], column: str, rule: str
) -> None:
    assert bench.stage(text([row]), table=table) == {}
    assert bench.broken() == []
    assert bench.accepted(f"row_no, {column}, emptied IS NULL") == [(1, None, False)]
    assert bench.cells() == [(1, column, rule, shaped(row[column]) if rule.endswith(".type") else row[column])]


def test_a_word_that_is_not_on_the_list_of_an_optional_column_is_a_broken_cell(bench: Bench) -> None:
    row = {"light_id": "L1", "segment_id": "", "cabinet_id": "", "lamp_type": "CANDLE", "power_w": "0", "is_remotely_managed": "perhaps"}  # fmt: skip
    bench.stage(text([row | {"installed_at": "2020-01-01", "removed_at": ""}]), table="dim_street_light")
    assert bench.accepted("lamp_type, power_w, is_remotely_managed") == [(None, None, None)]
    assert bench.cells() == [
        (1, "is_remotely_managed", "is_remotely_managed.type", "xxxxxxx"),
        (1, "lamp_type", "lamp-type-domain", "CANDLE"),
        (1, "power_w", "power_w.range", "0"),
    ]


def test_rules_over_several_columns_are_tried_after_broken_cells_were_emptied(bench: Bench) -> None:
    """An hour of value 99999999 is out of every range: without it, it may pass only if it is not called valid."""
    rows = [air(1, value_ug_m3="99999999", is_valid="false"), air(2, value_ug_m3="99999999"), air(3)]
    bench.stage(text(rows), table="fct_air_hour")
    assert bench.accepted("row_no, value_ug_m3") == [(1, None), (3, Decimal("35.500"))]
    assert bench.broken() == [(2, "value_ug_m3.type")], "what the row is rejected by is what its source has to mend"
    assert [cell[0] for cell in bench.cells()] == [1]


def test_of_a_rejected_row_no_cells_are_told(bench: Bench) -> None:
    rows = [crash(1, injured="x", deaths_30d=""), crash(2, injured="x"), crash(2, injured="7"), crash(3, injured="x")]
    bench.stage(text(rows), table="fct_crash")
    assert bench.broken() == [(1, "deaths_30d.required"), (2, "key.unique"), (3, "key.unique")]
    assert bench.cells() == [(4, "injured", "injured.type", "x")]
    _, broken = profile_of(bench.store.con, bench.table("fct_crash"), judged(1))
    assert broken[["rule", "rows", "cells"]].values.tolist() == [
        ["deaths_30d.required", 1, 0],
        ["injured.type", 0, 1],
        ["key.unique", 2, 0],
    ]


# --- identifiers ---


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("\u00a0B7\u200b", "B7"),
        ("\ufeffB7\t", "B7"),
        ("е\u0308-7", "ё-7"),
        ("Дом-7", "Дом-7"),
        ("кв. 7 B", "кв. 7 B"),
        ("12E4", "12E4"),
        ("7.5", "7.5"),
        ("-7", "-7"),
    ],
)
def test_identifiers_are_brought_to_one_form(bench: Bench, cell: str, value: str) -> None:
    bench.stage(text([crash(cell, crash_id=cell)]), table="fct_crash")
    assert bench.accepted("crash_id") == [value]


@pytest.mark.parametrize(
    "cell",
    [
        *("101000295618.0", "77,00", "1.01E+11", "1,01e+11", "2E+5", '="008"', "=008", "'008"),
        *("АB-9", "Aқтау", "7Т7T", "А\u200b9", "A\u00ad9", "A\n9", "Οmega"),
    ],
)
def test_what_no_system_numbers_its_records_by_is_refused_for_an_identifier(bench: Bench, cell: str) -> None:
    bench.stage(text([crash(cell, crash_id=cell), crash(2)]), table="fct_crash")
    assert bench.broken() == [(1, "crash_id.form")]
    assert bench.accepted() == [2]


def test_an_error_of_a_spreadsheet_is_nothing_and_no_identifier(bench: Bench) -> None:
    bench.stage(text([crash("#REF!", crash_id="#REF!"), crash(2)]), table="fct_crash")
    assert bench.broken() == [(1, "crash_id.required")]
    assert bench.accepted() == [2]


# --- territory ---


def scoped(*katos: str | None) -> str:
    return text([crash(n, kato=kato or "") for n, kato in enumerate(katos, 1)])


@pytest.mark.parametrize(
    ("scope", "katos", "outside"),
    [
        (ASTANA, [ASTANA, ALMATY, None, " " + ASTANA + " ", "710", "KZ"], [2, 5, 6]),
        ("47", [AKTAU, ZHANAOZEN, ASTANA, None, "470000000", "479999999", "47", AKTAU + "0"], [3, 4, 5, 6, 7, 8]),
        ("71", [ASTANA, AKTAU], [2]),
        ("KZ", [ASTANA, AKTAU, None, "999999999", "KZ", "47", ALMATY], [3, 4, 5, 6]),
    ],
)
def test_the_settlement_of_a_row_lies_in_the_territory_of_its_delivery(
    bench: Bench, scope: str, katos: list[str | None], outside: list[int]
) -> None:
    bench.stage(scoped(*katos), table="fct_crash", scopes=[scope])
    assert bench.broken() == [(number, "scope") for number in outside]
    inside = [(katos[n - 1] or scope).strip() for n in range(1, len(katos) + 1) if n not in outside]
    assert bench.accepted("kato") == inside


@pytest.mark.parametrize(("scope", "accepted"), [(ASTANA, 2), ("47", 0), ("KZ", 0)])
def test_without_a_kato_column_only_a_settlement_can_be_delivered_for(bench: Bench, scope: str, accepted: int) -> None:
    bench.stage(crashes(2), table="fct_crash", scopes=[scope])
    assert bench.counts() == {1: (accepted, 2 - accepted)}
    assert {rule for _, rule in bench.broken()} <= {"scope"}


def test_each_delivery_of_a_batch_has_its_own_territory(bench: Bench) -> None:
    bodies = [scoped(AKTAU, ASTANA)] * 4
    bench.stage(*bodies, table="fct_crash", scopes=[AKTAU, ASTANA, "47", "KZ"])
    assert bench.accepted("delivery_id, row_no") == [(1, 1), (2, 2), (3, 1), (4, 1), (4, 2)]


def test_a_source_contract_may_take_the_settlement_from_a_header_of_its_own(bench: Bench) -> None:
    columns = """      - {name: crash_id, physicalName: id}
      - {name: occurred_at, physicalName: when}
      - {name: deaths_30d, physicalName: dead}
"""
    named = "      - {name: kato, physicalName: КАТО}\n"
    coded = (
        "      - {name: kato, physicalName: КАТО, customProperties: [{property: codes, value: {Актау: '471010000'}}]}\n"
    )
    made = """      - {name: kato, transformLogic: "'4710' || КАТО", transformSourceObjects: [КАТО]}\n"""
    for mapping, cells in ((named, [AKTAU, ASTANA]), (coded, ["Актау", "Астана"]), (made, ["10000", "1"])):
        contract = bench.contract(contract_text("regional", "fct_crash", columns + mapping))
        content = "id,when,dead,КАТО\n" + "".join(f"C{n},2026-01-05,0,{cell}\n" for n, cell in enumerate(cells))
        bench.stage(content, contract=contract, table="fct_crash", scopes=["47"])
        assert bench.accepted("kato, crash_id") == [(AKTAU, "C0")]
        assert bench.broken() == [(2, "scope")]
    contract = bench.contract(contract_text("regional", "fct_crash", columns, settings={"otherHeaders": "ignore"}))
    content = f"id,when,dead,kato\nC1,2026-01-05,0,{ALMATY}\n"
    bench.stage(content, contract=contract, table="fct_crash")
    assert bench.accepted("kato") == [ASTANA], "a header the contract does not map is no settlement"


# --- keys ---


def test_rows_of_one_key_that_say_different_things_are_all_rejected(bench: Bench) -> None:
    """Whichever of them held would depend on the order of lines: no order gives another result."""
    rows = [crash(n, injured=str(index)) for index, n in enumerate(["1", "2", "1", "3", "1", "2"], 1)]
    for order in (rows, rows[::-1]):
        bench.stage(text(order), table="fct_crash")
        assert bench.accepted("crash_id, injured") == [("C3", 4)]
        assert {rule for _, rule in bench.broken()} == {"key.unique"}
        assert len(bench.broken()) == 5
        assert json.loads(bench.raw(1))["injured"] == int(order[0]["injured"])


def test_of_rows_that_are_equal_in_every_column_the_first_is_kept(bench: Bench) -> None:
    rows = [crash(1), crash(2), crash(1), crash(1), crash(3, district_id=""), crash(3, district_id=" ")]
    bench.stage(text(rows), table="fct_crash")
    assert bench.accepted() == [1, 2, 5]
    assert bench.broken() == [(3, "key.duplicate"), (4, "key.duplicate"), (6, "key.duplicate")]
    assert json.loads(bench.raw(3))["crash_id"] == "C1"
    # one that differs, and only by a gap, spoils them all
    bench.stage(text([*rows, crash(1, injured="")]), table="fct_crash")
    assert bench.accepted() == [2, 5]
    assert bench.broken() == [*((n, "key.unique") for n in (1, 3, 4)), (6, "key.duplicate"), (7, "key.unique")]


def test_a_row_broken_otherwise_takes_no_part_in_the_comparison_of_keys(bench: Bench) -> None:
    rows = [crash(1), crash(1, deaths_30d="x"), crash(2, deaths_30d="-1"), crash(2)]
    rows += [crash(3), crash(3), crash(3, deaths_30d="x")]
    bench.stage(text(rows), table="fct_crash")
    assert bench.accepted() == [1, 4, 5]
    assert bench.broken() == [
        (2, "deaths_30d.type"),
        (3, "deaths_30d.range"),
        (6, "key.duplicate"),
        (7, "deaths_30d.type"),
    ]


def test_keys_are_compared_by_value_not_by_text(bench: Bench) -> None:
    rows = [
        air(1, hour_start="2026-01-05 10:00:00"),
        air(1, hour_start="2026-01-05T05:00:00Z", value_ug_m3="1"),
        air(1, hour_start="2026-01-05 11:00:00"),
        air(1, pollutant="CO"),
        air(1, station_id=" S1 "),
    ]
    bench.stage(text(rows), table="fct_air_hour")
    assert bench.accepted() == [3, 4]
    assert bench.broken() == [(1, "key.unique"), (2, "key.unique"), (5, "key.unique")]


def test_the_same_key_in_another_settlement_or_delivery_is_another_matter(bench: Bench) -> None:
    content = text([crash(1, kato=AKTAU), crash(1, kato=ZHANAOZEN), crash(1, kato=AKTAU)])
    bench.stage(content, content, crashes(1), table="fct_crash", scopes=["47", "47", ASTANA])
    assert bench.accepted("delivery_id, row_no") == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    repeated = query(bench.store, "SELECT delivery_id, row_no FROM work_repeated_key ORDER BY ALL")
    assert repeated == [(1, 1), (1, 2), (2, 1), (2, 2)]


# --- values ---


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("7", 7),
        ("0007", 7),
        ("+7", 7),
        (" 7 ", 7),
        ("-0", 0),
        ("7.", 7),
        ("7.0", 7),
        ("7.00", 7),
        ("7.0000", 7),  # of three zeros nobody knows whether they are decimals or a thousand
        ("2147483647", 2147483647),
        ("2147483647.0", 2147483647),
    ],
)
def test_integers(bench: Bench, cell: str, value: int) -> None:
    bench.stage(text([crash(1, injured=cell)]), table="fct_crash")
    assert bench.accepted("injured") == [value]


@pytest.mark.parametrize(
    "cell",
    [
        *("7.000", "12.000", "1.7", "0.5", "1,0", "1e3", "1E3", "15e-1", "1e-1", "1.5e1", "0x10", "0b11", "1_000", "1 000", "five", ".0", "."),
        *("7.0.0", "--7", "7-", "٧", "７", "inf", "2147483648", "99999999999999999999", "7.0x", "true", "7 7"),
    ],
)  # fmt: skip
def test_what_is_no_integer_is_never_rounded_to_one(bench: Bench, cell: str) -> None:
    bench.stage(text([crash(1, deaths_30d=cell)]), table="fct_crash")
    assert bench.broken() == [(1, "deaths_30d.type")]


AIR_COLUMNS = """      - {name: station_id, physicalName: post}
      - {name: hour_start, physicalName: hour}
      - {name: pollutant, physicalName: what}
      - {name: value_ug_m3, physicalName: value}
      - {name: is_valid, physicalName: ok}
"""


@pytest.mark.parametrize(
    ("group", "cell", "value"),
    [
        ("", "1234,5", "1234.500"),
        ("", "0,001", "0.001"),
        ("", ",5", "0.500"),
        ("' '", "1 234,5", "1234.500"),
        ("' '", "1\u00a0234,5", "1234.500"),
        ("' '", "1\u202f234,567", "1234.567"),
        ("' '", "99\u00a0999", "99999.000"),
        ("'.'", "1.234,5", "1234.500"),
        ('"\'"', "1'234,5", "1234.500"),
        ("", "1 234,5", None),
        ("", "1\u00a0234,5", None),
        ("'.'", "1 234,5", None),
        ("' '", "1,234,5", None),
        ("' '", "1 2", None),
        ("' '", "12 34", None),
        ("' '", "1 2345", None),
        ("' '", "0 123", None),
        ("'.'", "9.8", None),
        ("'.'", "12.34", None),
        ("'.'", "1.23,4", None),
        ("'.'", "0.123", None),
        ("", "9.8", None),
        ("", "0,0004", None),  # finer than the column
        ("", "0,1000000001", "0.100"),  # noise of a binary fraction
        ("", "1,5e2", "150.000"),
        ("' '", "infinity", None),
        ("' '", "12345678,0", None),
        ("' '", "0x10", None),
    ],
)
def test_decimals_with_comma_and_groups(bench: Bench, group: str, cell: str, value: str | None) -> None:
    settings = {"decimalSeparator": "','"} | ({"groupSeparator": group} if group else {})
    contract = bench.contract(contract_text("comma", "fct_air_hour", AIR_COLUMNS, settings=settings))
    content = text([{"post": "S", "hour": "2026-01-05", "what": "CO", "value": cell, "ok": "true"}])
    bench.stage(content, contract=contract, table="fct_air_hour")
    if value is None:
        assert bench.broken() == [(1, "value_ug_m3.type")]
    else:
        assert [str(number) for number in bench.accepted("value_ug_m3")] == [value]


def test_decimals_add_up_exactly(bench: Bench) -> None:
    bench.stage(text([air(n, value_ug_m3="0.1") for n in range(10)]), table="fct_air_hour")
    assert query(bench.store, "SELECT sum(value_ug_m3) FROM work_staged_row") == [(Decimal("1.000"),)]


@pytest.mark.parametrize(
    ("pattern", "cell", "value"),
    [
        ("dd.MM.yyyy", "05.01.2026", at(2026, 1, 5)),
        ("dd.MM.yyyy HH:mm", "05.01.2026 23:59", at(2026, 1, 5, 23, 59)),
        ("dd.MM.yyyy HH:mm:ss", "05.01.2026 00:00:01", at(2026, 1, 5, 0, 0, 1)),
        ("d.M.yyyy H:mm", "5.1.2026 7:05", at(2026, 1, 5, 7, 5)),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2026-01-05T10:00:00.250", at(2026, 1, 5, 10, 0, 0, 250_000)),
        ("yyyy-MM-dd HH:mm:ss.SSSSSS", "2026-01-05 10:00:00.000250", at(2026, 1, 5, 10, 0, 0, 250)),
        ("MM/dd/yyyy hh:mm a", "01/05/2026 12:30 AM", at(2026, 1, 5, 0, 30)),
        ("MM/dd/yyyy hh:mm a", "01/05/2026 12:30 PM", at(2026, 1, 5, 12, 30)),
        ("yyyyMMddHHmmss", "20260105100000", at(2026, 1, 5, 10)),
        ("dd.MM.yy", "05.01.26", at(2026, 1, 5)),
        ("dd MM yyyy 'ж.'", "05 01 2026 ж.", at(2026, 1, 5)),
        ("dd.MM.yyyy", "29.02.2024", at(2024, 2, 29)),
        ("dd.MM.yyyy", "29.02.2026", None),
        ("dd.MM.yyyy", "31.04.2026", None),
        ("dd.MM.yyyy", "01.13.2026", None),
        ("dd.MM.yyyy", "2026-01-05", None),
        ("dd.MM.yyyy", "05.01.2026 10:00", None),
        ("dd.MM.yyyy", "05.01.26", None),  # not the year 26
        ("dd.MM.yyyy", "05.01.3026", None),
        ("yyyyMMdd", "20260105", at(2026, 1, 5)),
        ("yyyyMMdd", "2026115", None),  # 15 January or 5 November
        ("dd.MM.yyyy HH:mm", "05.01.2026", None),
        ("dd.MM.yyyy HH:mm", "05.01.2026 24:00", None),
    ],
)
def test_dates_by_jdk_patterns(bench: Bench, pattern: str, cell: str, value: dt.datetime | None) -> None:
    columns = f"""      - {{name: crash_id, physicalName: id}}
      - name: occurred_at
        physicalName: when
        logicalTypeOptions: {{format: "{pattern}"}}
      - {{name: deaths_30d, physicalName: dead}}
"""
    contract = bench.contract(contract_text("dated", "fct_crash", columns))
    bench.stage(f"id,when,dead\nC1,{cell},0\n", contract=contract, table="fct_crash")
    if value is None:
        assert bench.broken() == [(1, "occurred_at.type")]
    else:
        assert bench.accepted("occurred_at") == [value]


@pytest.mark.parametrize("pattern", ["dd.MMM.yyyy", "yyyy-MM-dd EEE", "YYYY-MM-dd", "dd.MM.yyyy HH:mm z", "DD.MM.yyyy"])
def test_a_date_pattern_that_is_not_understood_is_refused_when_the_contract_is_read(bench: Bench, pattern: str) -> None:
    columns = f"      - {{name: occurred_at, physicalName: when, logicalTypeOptions: {{format: '{pattern}'}}}}\n"
    with pytest.raises(DocumentError, match="is not understood"):
        bench.contract(contract_text("dated", "fct_crash", columns))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        # as written
        ("2026-01-05 10:00:00", at(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00", at(2026, 1, 5, 10)),
        ("2026-01-05 10:00", at(2026, 1, 5, 10)),
        ("2026-01-05", at(2026, 1, 5)),
        ("2026-1-05", at(2026, 1, 5)),
        (" 2026-01-05 10:00:00 ", at(2026, 1, 5, 10)),
        ("2026-01-05 10:00:00.123456", at(2026, 1, 5, 10, 0, 0, 123456)),
        ("2026-01-05T23:59:59.5", at(2026, 1, 5, 23, 59, 59, 500_000)),
        # brought to civil time
        ("2026-01-05T10:00:00Z", at(2026, 1, 5, 15)),
        ("2026-01-05 10:00:00Z ", at(2026, 1, 5, 15)),
        ("2026-01-05 10:00:00 UTC", at(2026, 1, 5, 15)),
        ("2026-01-05T10:00:00.250Z", at(2026, 1, 5, 15, 0, 0, 250_000)),
        ("2026-01-05T10:00:00+00", at(2026, 1, 5, 15)),
        ("2026-01-05T10:00:00+00:00", at(2026, 1, 5, 15)),
        ("2026-01-05T10:00:00+05:00", at(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00+0530", at(2026, 1, 5, 9, 30)),
        ("2026-01-05T22:00:00-05:00", at(2026, 1, 6, 8)),
        ("2026-1-5 9:5:3Z", at(2026, 1, 5, 14, 5, 3)),
        ("2026-01-5T09:05:03Z", at(2026, 1, 5, 14, 5, 3)),  # these have nineteen letters, as a time without offset has
        ("2026-01-05T9:05:03Z", at(2026, 1, 5, 14, 5, 3)),
        ("2026-01-05T09:05:3Z", at(2026, 1, 5, 14, 5, 3)),
        ("2026-1-5T9:5:3 UTC", at(2026, 1, 5, 14, 5, 3)),
        ("2026-1-5 9:5:30+0300", at(2026, 1, 5, 11, 5, 30)),
        ("2026-01-05T09:05Z", at(2026, 1, 5, 14, 5)),
        ("2026-01-05T09:05:03z", at(2026, 1, 5, 14, 5, 3)),
        ("2025-12-31T19:30:00Z", at(2026, 1, 1, 0, 30)),
        # the zone was UTC+6 until the end of February 2024
        ("2024-02-29T10:00:00Z", at(2024, 2, 29, 16)),
        ("2024-03-01T10:00:00Z", at(2024, 3, 1, 15)),
    ],
)
def test_timestamps(bench: Bench, cell: str, value: dt.datetime) -> None:
    bench.stage(text([crash(1, occurred_at=cell)]), table="fct_crash")
    assert bench.accepted("occurred_at") == [value]


@pytest.mark.parametrize(
    "cell",
    [
        *("05.01.2026", "2026-02-30", "2026-01-05 25:00:00", "2026-01-05 10:61", "26-01-05", "10:00", "20260105", "46027"),
        *("infinity", "-infinity", "99999-01-01", "2026-01-05 (BC)", "now", "today", "2026-01-05 10:00:00 Europe/Berlin"),
        *("2026-01-05x", "2026-01-05 10:00:00 +05:00", "2026-01-05Z", "epoch", "3026-01-05", "1899-06-01", "2101-01-01", "2026-01-05 10:00:00 EST"),
    ],
)  # fmt: skip
def test_what_is_no_timestamp(bench: Bench, cell: str) -> None:
    bench.stage(text([crash(1, occurred_at=cell)]), table="fct_crash")
    assert bench.broken() == [(1, "occurred_at.type")]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2026-01-01", dt.date(2026, 1, 1)),
        (" 2026-01-01 ", dt.date(2026, 1, 1)),
        ("2026-01-01 23:00:00", dt.date(2026, 1, 1)),
        ("2026-01-01T23:00:00Z", dt.date(2026, 1, 2)),
        ("2026-01-01x", None),
        ("2026-01-01 or so", None),
        ("2026-02-29", None),
        ("infinity", None),
        ("01.01.2026", None),
    ],
)
def test_dates(bench: Bench, cell: str, value: dt.date | None) -> None:
    bench.stage(text([population(as_of_date=cell)]), table="dim_population")
    if value is None:
        assert bench.broken() == [(1, "as_of_date.type")]
    else:
        assert bench.accepted("as_of_date") == [value]


def aqms(bench: Bench) -> SourceContract:
    return parse_source(read(SHIPPED / "aqms/hours.odcs.yaml"), bench.store.tables)


def aqms_file(*rows: Sequence[str]) -> str:
    header = "Пост;Начало часа;Загрязнитель;Концентрация, мкг/м3;Достоверно"
    return "\n".join([header, *(";".join(row) for row in rows)]) + "\n"


def test_booleans_of_a_source_contract(bench: Bench) -> None:
    words = ["да", "нет", "ДА", " Нет ", "yes", "true", "1", "д"]
    bench.stage(
        aqms_file(*((f"S{n}", "05.01.2026 10:00", "CO", "1,5", word) for n, word in enumerate(words, 1))),
        contract=aqms(bench),
        table="fct_air_hour",
    )
    assert bench.accepted("is_valid") == [True, False, True, False]
    assert bench.broken() == [(n, "is_valid.type") for n in (5, 6, 7, 8)]


@pytest.mark.parametrize(("given", "expected"), [("trueValues", True), ("falseValues", False)])
def test_booleans_with_words_for_one_side_alone(bench: Bench, given: str, expected: bool) -> None:
    columns = AIR_COLUMNS.replace("ok}", f"ok, customProperties: [{{property: {given}, value: [so]}}]}}")
    contract = bench.contract(contract_text("half", "fct_air_hour", columns))
    content = "post,hour,what,value,ok\nS1,2026-01-05,CO,1,SO\nS2,2026-01-05,CO,1,other\n"
    bench.stage(content, contract=contract, table="fct_air_hour")
    assert bench.accepted("is_valid") == [expected]
    assert bench.broken() == [(2, "is_valid.type")]


def test_booleans_of_the_exchange_format(bench: Bench) -> None:
    words = {"true": True, "FALSE": False, "t": True, "f": False, "1": True, "0": False, "yes": True, "no": False}
    bench.stage(text([appeal(n, is_emergency=word) for n, word in enumerate([*words, "да", "2"])]))
    assert bench.accepted("is_emergency") == list(words.values())
    assert bench.broken() == [(9, "is_emergency.type"), (10, "is_emergency.type")]


def test_codes_are_translated_and_unknown_ones_left_to_the_domain_rule(bench: Bench) -> None:
    codes = ["PM2.5", "PM2,5", "PM10", "O3", "PM25", "Pb", ""]
    bench.stage(
        aqms_file(*((f"S{n}", "05.01.2026 10:00", code, "1,5", "да") for n, code in enumerate(codes))),
        contract=aqms(bench),
        table="fct_air_hour",
    )
    assert bench.accepted("pollutant") == ["PM25", "PM25", "PM10", "O3", "PM25"]
    assert bench.broken() == [(6, "pollutant-domain"), (7, "pollutant.required")]


def test_codes_may_hold_any_letter(bench: Bench) -> None:
    columns = AIR_COLUMNS.replace("what}", """what, customProperties: [{property: codes, value: {"O'3 \\"x\\"": O3, ö: CO}}]}""")  # fmt: skip
    contract = bench.contract(contract_text("odd", "fct_air_hour", columns))
    content = 'post,hour,what,value,ok\nS1,2026-01-05,"O\'3 ""x""",1,true\nS2,2026-01-05,ö,1,true\n'
    bench.stage(content, contract=contract, table="fct_air_hour")
    assert bench.accepted("pollutant") == ["O3", "CO"]


def test_missing_tokens_and_placeholders_are_empty_in_every_column(bench: Bench) -> None:
    bench.stage(
        aqms_file(
            ("S1", "05.01.2026 10:00", "CO", "-", "нет"),
            ("S2", "05.01.2026 10:00", "CO", "", "нет"),
            ("S3", "05.01.2026 10:00", "CO", '"-"', "нет"),
            ("S4", "05.01.2026 10:00", "CO", "--", "нет"),
            ("S5", "05.01.2026 10:00", "CO", "NA", "нет"),
            ("-", "05.01.2026 10:00", "CO", "1", "да"),
            ("S7", "-", "CO", "1", "да"),
            ("S8", "05.01.2026 10:00", "CO", "1", "-"),
        ),
        contract=aqms(bench),
        table="fct_air_hour",
    )
    assert bench.accepted("row_no, value_ug_m3") == [(n, None) for n in range(1, 6)]
    assert bench.cells() == []
    assert bench.broken() == [(6, "station_id.required"), (7, "hour_start.required"), (8, "is_valid.required")]


def test_columns_made_by_an_expression(bench: Bench) -> None:
    contract = parse_source(read(EXAMPLES / "beijing-air/beijing_air.odcs.yaml"), bench.store.tables)
    header = "No,year,month,day,hour,PM2.5,PM10,station\n"
    content = (
        header
        + "1,2013,3,1,0,4,4,Dongsi\n2,2013,3,1,1,NA,4,Dongsi\n3,2013,13,1,2,4,4,Dongsi\n4,2013,x,1,2,4,4,Dongsi\n"
    )
    bench.stage(content, contract=contract, table="fct_air_hour")
    assert bench.accepted("station_id, hour_start, pollutant, value_ug_m3, is_valid") == [
        ("Dongsi", at(2013, 3, 1, 0), "PM25", Decimal("4.000"), True),
        ("Dongsi", at(2013, 3, 1, 1), "PM25", None, False),
    ]
    assert [row for row, _ in bench.broken()] == [3, 4]
    assert {rule for _, rule in bench.broken()} <= {"hour_start.type", "hour_start.required"}
    assert json.loads(bench.raw(3))["month"] == "13"


def test_a_column_the_source_does_not_have_is_empty(bench: Bench) -> None:
    columns = "".join(f"      - {{name: {c}}}\n" for c in ("appeal_id", "registered_at", "status", "is_emergency"))
    contract = bench.contract(contract_text("poor", "fct_appeal", columns))
    bench.stage(text([appeal(1)], ["appeal_id", "registered_at", "status", "is_emergency"]), contract=contract)
    assert bench.accepted("appeal_id, due_at, closed_at, category") == [("A1", None, None, None)]


def test_a_rejected_row_keeps_headers_and_text_as_delivered(bench: Bench) -> None:
    row = ("П-1", "05.01.2026 10:00", "SO2", "1 234,5", "да")
    bench.stage(aqms_file(row), contract=aqms(bench), table="fct_air_hour")
    assert bench.broken() == [(1, "value_ug_m3.type")]
    assert json.loads(bench.raw(1)) == {
        "Пост": "П-1",
        "Начало часа": "05.01.2026 10:00",
        "Загрязнитель": "SO2",
        "Концентрация, мкг/м3": "1 234,5",
        "Достоверно": "да",
    }


@pytest.mark.parametrize(
    ("period", "day"), [("2026-01", (2026, 2, 1)), ("2026-Q1", (2026, 4, 1)), ("2026", (2027, 1, 1))]
)
def test_rows_of_a_snapshot_are_dated_by_the_end_of_their_period(
    bench: Bench, period: str, day: tuple[int, int, int]
) -> None:
    row = {"system_id": "S1", "name": "n", "mio_code": "m", "origin": "OWN", "commissioned_at": "2020-01-01"}
    names = [c.name for c in bench.table("dim_information_system").columns]
    bench.stage(text([row], names), table="dim_information_system", period=period)
    assert bench.accepted("snapshot_date") == [dt.date(*day)]


def test_the_session_keeps_its_time_zone(bench: Bench) -> None:
    """Only the pass itself runs in civil time, also if a scan of it fails."""
    bench.stage(crashes(1), table="fct_crash")
    assert query(bench.store, "SELECT current_setting('TimeZone')") == [("UTC",)]
    bench.stage(crashes(1) + "C2,cut", table="fct_crash")
    assert query(bench.store, "SELECT current_setting('TimeZone')") == [("UTC",)]


def test_the_gate_leaves_nothing_behind(bench: Bench) -> None:
    bench.stage(appeals(2), appeals(1) + "A9,cut", text([appeal(3)], APPEAL_COLUMNS[::-1]))
    drop_staging(bench.store.con)
    left = "SELECT table_name FROM duckdb_tables() WHERE temporary UNION ALL SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal"
    assert query(bench.store, left) == []


# --- all of it against a slow and plain reference ---

SCOPE, REGISTERED = "47", {"471010000", "471810000", "475220100"}
MOMENTS: dict[str, dt.datetime | None] = {
    "2026-01-05 10:00:00": at(2026, 1, 5, 10),
    "2026-01-05T10:00:00Z": at(2026, 1, 5, 15),
    "2026-01-05": at(2026, 1, 5),
    "2026-02-30": None,
    "05.01.2026": None,
    "вчера": None,
    " ": None,
}
CELLS = {
    "crash_id": st.one_of(st.sampled_from(["C1", "C2", " C1", "", " ", "\u00a0", "ц" * 64, "ц" * 65]), st.text("abc\"',;\n Ж", max_size=4)),
    "occurred_at": st.sampled_from(["", *MOMENTS]),
    "district_id": st.one_of(st.just(""), st.text('Есиль", \n', max_size=6), st.just("d" * 65)),
    "deaths_30d": st.one_of(st.sampled_from(["0", "100", "101", "-1", "5.0", "5.000", "1.7", "1e1", "-999", "-", "", " 3 "]), st.text("0123.-+e ", max_size=4)),
    "injured": st.sampled_from(["0", "", "7", "-3", "2147483648", "x", "0x1", "12.00"]),
    "kato": st.sampled_from(["471010000", "471810000", " 471010000", "710000000", "", "47", "479999999"]),
}  # fmt: skip
BLANKS = " \u00a0\t\r\n"
UNSEEN = " \u00a0\n"  # at the edges of an identifier, and of a cell with nothing in it
NOTHING = {"", "-", "--", "...", "-999", "-9999"}


def reference_integer(cell: str) -> int | None:
    if cell.strip() in NOTHING:
        return None
    match = re.fullmatch(r"\s*([+-]?[0-9]+)(\.(0{0,2}|0{4,}))?\s*", cell, re.ASCII)
    return int(match[1]) if match and -(2**31) <= int(match[1]) < 2**31 else None


def reference(record: Sequence[str], header: Sequence[str]) -> tuple[str | None, tuple[Any, ...]]:
    """(first broken rule, typed values) of one record of fct_crash with a kato column; broken cells of columns it can do without empty."""
    record = record[:-1] if len(record) == len(header) + 1 and not record[-1] else record
    if len(record) != len(header):
        return "columns", ()
    cell = dict(zip(header, record, strict=True))
    name, district = (((v := cell[c].strip(BLANKS)) not in NOTHING and v) or None for c in ("crash_id", "district_id"))
    words = re.findall("[abcЖц]+", name or "")
    odd = "\n" in (name or "") or (name or "").startswith("'") or any("Ж" in w and set(w) & set("abc") for w in words)
    moment, deaths, injured = MOMENTS.get(cell["occurred_at"]), *(reference_integer(cell[c]) for c in ("deaths_30d", "injured"))  # fmt: skip
    kato = cell["kato"].strip(BLANKS) or SCOPE
    rules = [
        ("crash_id.required", name is None),
        ("crash_id.form", odd),
        ("crash_id.length", len(name or "") > 64),
        ("occurred_at.type", cell["occurred_at"].strip() != "" and moment is None),
        ("occurred_at.required", moment is None),
        ("deaths_30d.type", cell["deaths_30d"].strip() not in NOTHING and deaths is None),
        ("deaths_30d.required", deaths is None),
        ("deaths_30d.range", not 0 <= (deaths or 0) <= 100),
        ("scope", kato not in REGISTERED),
    ]
    district = district if len(district or "") <= 64 else None
    injured = injured if (injured or 0) >= 0 else None
    return next((rule for rule, broken in rules if broken), None), (kato, name, moment, district, deaths, injured)


def some_cell(record: Sequence[str]) -> bool:
    return any(cell.strip(UNSEEN) for cell in record)


def reference_delivery(records: Sequence[Sequence[str]], header: Sequence[str]) -> list[tuple[int, str | None, Any]]:
    """(row number, first broken rule, typed values) of every record."""
    rows = [(n, *reference(record, header)) for n, record in enumerate(filter(some_cell, records), 1)]
    said: dict[Any, list[Any]] = {}
    for n, rule, values in rows:
        if rule is None:
            said.setdefault(values[:2], []).append((n, values))

    def verdict(n: int, rule: str | None, values: Any) -> str | None:
        same = [] if rule else said[values[:2]]
        different = len({other for _, other in same}) > 1
        return rule or ("key.unique" if different else "key.duplicate" if same[0][0] != n else None)

    return [(n, verdict(n, rule, values), values) for n, rule, values in rows]


def line(record: Sequence[str]) -> str:
    return ",".join('"' + c.replace('"', '""') + '"' if set(c) & set('",\n') else c for c in record)


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[list[str], list[list[str]]]]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        header = draw(st.permutations([*CRASH_COLUMNS, "kato"]))
        record = st.tuples(*(CELLS[c] for c in header)).map(list)
        odd = st.one_of(
            record.map(lambda r: r[:-1]), record.map(lambda r: [*r, ""]), record.map(lambda r: [*r, "x"]), st.just([""])
        )
        weighted = st.one_of(record, record, record, odd)
        found.append((header, draw(st.lists(weighted, max_size=8))))
    return found


@examples(12, full=40)
@given(deliveries())
@example([([*CRASH_COLUMNS, "kato"], [["C1", "2026-01-05", "", "0", "", "471010000"]] * 3)])
def test_messy_files_against_the_reference(bench: Bench, batch: list[tuple[list[str], list[list[str]]]]) -> None:
    bodies = ["\n".join([",".join(header), *map(line, records)]) for header, records in batch]
    assert bench.stage(*bodies, table="fct_crash", scopes=[SCOPE] * len(bodies)) == {}
    columns = "kato, crash_id, occurred_at, district_id, deaths_30d, injured"
    for number, (header, records) in enumerate(batch, 1):
        expected = reference_delivery(records, header)
        found = query(
            bench.store,
            f"SELECT row_no, broken, {columns} FROM work_staged_row WHERE delivery_id = ? ORDER BY row_no",
            [number],
        )
        assert [(row, rule) for row, rule, *_ in found] == [(row, rule) for row, rule, _ in expected]
        accepted = [(row, tuple(values)) for row, rule, *values in found if rule is None]
        assert accepted == [(row, values) for row, rule, values in expected if rule is None]
    profile, broken = profile_of(bench.store.con, bench.table("fct_crash"), judged(len(batch)))
    assert list(profile["accepted"] + profile["rejected"]) == list(profile["received"])
    assert list(profile["received"]) == [len(list(filter(some_cell, records))) for _, records in batch]
    assert broken["rows"].sum() == profile["rejected"].sum()


def judged(count: int) -> list[Incoming]:
    """Deliveries as the profile wants to know them: by number alone."""
    contract = standard(load_tables()["fct_crash"])
    return [
        Incoming(n, ASTANA, "2026-02-01", "", contract, None, Readable([], (), contract)) for n in range(1, count + 1)
    ]


def test_a_reading_pass_with_a_join_is_refused(bench: Bench) -> None:
    """A row's number is its place in the scan; DuckDB turns `IN` over a query, or over five constants, into a join."""
    con = bench.store.con
    with pytest.raises(RuntimeError, match="lose the order of rows"):
        row_gate._unjoined(
            con, "CREATE TEMP TABLE x AS SELECT kato IN (SELECT kato FROM registry.region) FROM registry.settlement"
        )
    five = "CREATE TEMP TABLE x AS SELECT kato IN ('1', '2', '3', '4', '5') FROM registry.settlement"
    with pytest.raises(RuntimeError, match="lose the order of rows"):
        row_gate._unjoined(con, five)
    con.execute("SET disabled_optimizers = 'in_clause'")
    try:
        assert row_gate._unjoined(con, five) == five
    finally:
        con.execute("RESET disabled_optimizers")


def test_a_time_with_an_offset_is_that_of_its_settlement(bench: Bench) -> None:
    """Files of a settlement, a region and the country in one batch: the west was an hour behind until March 2024."""
    moment = {"occurred_at": "2023-05-31T18:30:00Z"}
    both = text([crash(1, kato=AKTAU, **moment), crash(2, kato=ALMATY, **moment)])
    bench.stage(crashes(1, **moment), crashes(1, **moment), both, table="fct_crash", scopes=[AKTAU, ALMATY, "KZ"])  # type: ignore[arg-type]
    west, east = at(2023, 5, 31, 23, 30), at(2023, 6, 1, 0, 30)
    assert bench.accepted("occurred_at") == [west, east, west, east]


def test_numbers_of_parquet_are_no_text(bench: Bench, tmp_path: Path) -> None:
    """NaN is a gap, and the contract's separators are those of texts."""
    settings = {"decimalSeparator": "','", "groupSeparator": "'.'"}
    contract = bench.contract(contract_text("points", "fct_air_hour", AIR_COLUMNS, settings=settings))
    file = tmp_path / "hours.parquet"
    rows = "('S1', 9.8::DOUBLE, 'true'), ('S2', 'nan', 'false'), ('S3', 1000, 'true')"
    made = (
        f"SELECT post, TIMESTAMP '2026-01-05' AS hour, 'CO' AS what, value, ok FROM (VALUES {rows}) t(post, value, ok)"
    )
    bench.store.con.execute(f"COPY ({made}) TO '{file}' (FORMAT parquet)")
    bench.stage(file.read_bytes(), contract=contract, table="fct_air_hour")
    assert bench.accepted("value_ug_m3") == [Decimal("9.800"), None, Decimal("1000.000")]
