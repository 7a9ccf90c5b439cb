"""Metadata for people: the pages under docs/reference are those of the contracts and definitions; the passports are complete."""

from __future__ import annotations

from kpi_definitions.catalogue import load_catalogues
from pipelines.methods.reference_docs import FOLDER, pages
from warehouse.tables.contracts import load_tables
from warehouse.tables.passports import case_passports, data_passport, standards
from warehouse.tables.system_tables import fixed_columns

TABLES, CATALOGUE = load_tables(), load_catalogues()
# the fields of Decree No. 830, as the decree spells them
FIELDS = [
    "id", "information_system_name", "bd_name", "schema_name", "table_name", "table_description", "table_type", "column_id", "column_name",
    "column_type", "column_description", "reference_tbl_clmn", "flk", "clmn_key_type", "teg", "isMD", "isGosService",
]  # fmt: skip


def test_pages_are_those_of_contracts_and_definitions() -> None:
    by_hand = {"file-formats.md"}
    written = {p.name: p.read_text(encoding="utf-8") for p in FOLDER.glob("*.md") if p.name not in by_hand}
    assert written == pages(CATALOGUE, TABLES), "run: qala docs"


def test_the_data_passport_has_the_seventeen_fields_of_every_column() -> None:
    assert fixed_columns()["registry.data_passport"] == [f.lower() for f in FIELDS]
    rows = [dict(zip(FIELDS, row, strict=True)) for row in data_passport(TABLES.values())]
    assert [(r["table_name"], r["column_name"]) for r in rows] == [
        (t.name, c.name) for t in TABLES.values() for c in t.columns
    ]
    assert [r["id"] for r in rows] == list(range(1, len(rows) + 1))
    optional = {"reference_tbl_clmn", "flk", "clmn_key_type"}
    assert [(r["column_id"], f) for r in rows for f in FIELDS if f not in optional and r[f] in (None, "")] == []
    one = next(r for r in rows if r["column_id"] == "fct_service_application.service_code")
    assert (one["reference_tbl_clmn"], one["clmn_key_type"], one["isMD"], one["isGosService"]) == (
        "dim_service.service_code",
        "FK",
        False,
        True,
    )
    key = next(r for r in rows if r["column_id"] == "dim_information_system.system_id")
    assert (key["table_type"], key["clmn_key_type"], key["isMD"], key["isGosService"]) == (
        "register",
        "PK",
        True,
        False,
    )


def test_every_kpi_version_has_a_case_passport() -> None:
    rows = list(case_passports(CATALOGUE, TABLES))
    assert [row[:2] for row in rows] == [(k.code, k.version) for k in CATALOGUE.kpis]
    names = fixed_columns()["registry.case_passport"]
    filled = [[value for name, value in zip(names, row, strict=True) if not name.endswith("_kk")] for row in rows]
    assert [row[:2] for row in filled if any(field in (None, "") for field in row)] == [], (
        "qala check says what is missing"
    )
    appeals = next(row for row in rows if row[0] == "MGT02-1")
    assert (
        "100 x count(*) [closed_at <= due_at] / count(*), over fct_appeal where status <> 'WITHDRAWN', due_at in the period"
        in appeals
    )
    assert "not approved: proposal" in appeals


def test_standards_are_taken_apart() -> None:
    mapped = {(code, standard, indicator): fit for code, standard, indicator, _, fit in standards(CATALOGUE)}
    assert mapped["MGT02-2", "ISO 37122:2019", "10.3"] == "close"
    assert mapped["SAF03-1", "ISO 37123:2019", "15.1"] == "partial"
    assert ("MGT04-1", "SDG", "16.10") in mapped
