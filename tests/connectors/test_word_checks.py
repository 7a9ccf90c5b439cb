"""Codes, words and constants of a contract that would do nothing, or something else, are refused where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.mapping.read_contracts import parse_source
from connectors.mapping.source_contract import SourceContract
from kpi_definitions.documents import DocumentError, read
from tests.support.files import contract_text
from warehouse.tables.contracts import load_tables

AIR = {
    "station_id": "physicalName: S",
    "hour_start": "physicalName: H",
    "pollutant": "physicalName: P",
    "value_ug_m3": "physicalName: V",
    "is_valid": "physicalName: G",
}


def contract(folder: Path, **properties: str) -> SourceContract:
    lines = "".join(f"      - {{name: {name}, {text}}}\n" for name, text in (AIR | properties).items())
    file = folder / "air.odcs.yaml"
    file.write_text(contract_text("air", "fct_air_hour", lines), encoding="utf-8")
    return parse_source(read(file), load_tables())


def coded(codes: str, header: str = "P", **others: str) -> str:
    more = "".join(f", {{property: {name}, value: {value}}}" for name, value in others.items())
    return f"physicalName: {header}, customProperties: [{{property: codes, value: {codes}}}{more}]"


def worked_out(logic: str, *properties: str) -> str:
    own = f", customProperties: [{', '.join(properties)}]" if properties else ""
    return f'transformSourceObjects: [P], transformLogic: "{logic}"{own}'


TRUE = "{property: trueValues, value: [да]}"


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("pollutant", coded("{' a ': PM25, a: PM10}"), "given twice"),
        ("pollutant", coded("{1: PM25, '1': PM10}"), "given twice"),
        ("pollutant", coded("{yes: PM25}"), "without quotes"),
        ("pollutant", coded("{'': PM25}"), "a cell with nothing"),
        ("pollutant", coded("{a: ''}"), "must be filled"),
        ("station_id", coded("{a: н/д}", "S"), "must be filled"),
        ("pollutant", worked_out("'PM2.5'"), "breaks pollutant-domain"),
        ("pollutant", worked_out("case when P = 'a' then 'PM25' else 'PM1' end"), "'PM1', which breaks"),
        ("pollutant", worked_out("coalesce(P, ('PM1'))"), "'PM1', which breaks"),
        ("value_ug_m3", worked_out("cast(P as integer)", "{property: codes, value: {'1': 2}}"), "gives INTEGER"),
        ("is_valid", worked_out("P is not null", TRUE), "gives BOOLEAN"),
        ("value_ug_m3", f"physicalName: V, customProperties: [{TRUE}]", "is DECIMAL"),
        (
            "is_valid",
            "physicalName: G, customProperties: [{property: falseValues, value: ['']}]",
            "a cell with nothing",
        ),
        ("kato", coded("{a: '123'}", "K"), "no settlement"),
        ("hour_start", "physicalName: H, logicalTypeOptions: {format: dMyyyy HH}", "is two days"),
    ],
)
def test_words_that_would_do_nothing_or_something_else_are_refused(
    tmp_path: Path, column: str, text: str, said: str
) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        contract(tmp_path, **{column: text})
    (fault,) = caught.value.faults
    assert fault.message.startswith(f"{column}: ")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("pollutant", coded("{a: PM25, A: PM10}")),
        ("pollutant", worked_out("case P when 'x' then 'PM25' else 'PM10' end")),
        ("pollutant", worked_out("lower(P)", "{property: codes, value: {a: PM25}}")),
        ("is_valid", coded("{a: да}", "G", trueValues="[да]", falseValues="[нет]")),
        ("kato", coded("{a: '710000000'}", "K")),
        ("hour_start", "physicalName: H, logicalTypeOptions: {format: yyyyMMddHH}"),
    ],
)
def test_words_that_do_what_they_say_are_taken(tmp_path: Path, column: str, text: str) -> None:
    assert contract(tmp_path, **{column: text}).by_name[column].name == column
