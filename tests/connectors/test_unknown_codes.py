"""Codes that no catalogue has, in a column whose contract says that its values are codes of KPIs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pytest

from connectors.delivery_gate.unknown_codes import unknown_code_findings
from connectors.mapping.source_contract import standard
from connectors.trial import try_file
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.listed import listed
from tests.support.files import Desk, english, query, text
from tests.support.home_tables import CODE, COLUMNS, add_list, table_text
from warehouse.home.home import Home
from warehouse.loading.deliveries import Finding
from warehouse.tables.contracts import Table, load_tables, parse_table

RULE = "kpi_code.codes"
TABLE = load_tables()["fct_kpi_target"]
KNOWN = "MGT02-1"


def held(codes: Mapping[int, Sequence[str | None]], *catalogues: Path) -> dict[int, Finding]:
    """The finding of each delivery whose rows, from 1, have these codes."""
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE work_staged_row (delivery_id BIGINT, row_no BIGINT, kpi_code VARCHAR, broken VARCHAR)"
        )
        rows = [(d, n, code, None) for d, listed_codes in codes.items() for n, code in enumerate(listed_codes, 1)]
        con.executemany("INSERT INTO work_staged_row VALUES (?, ?, ?, ?)", [*rows, (1, 99, "NO99-9", "kpi_code.form")])
        return {f.delivery_id: f for f in unknown_code_findings(con, TABLE, list(codes), catalogues)}


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("MGT02-l", "did you mean MGT02-1, MGT02-2?"),
        ("MGT2-1", "did you mean MGT02-1?"),
        ("mgt02-1", "did you mean MGT02-1?"),
        ("MGT02–1", "did you mean MGT02-1?"),
        ("ЕСО01-1", "did you mean ECO01-1?"),  # Cyrillic throughout
        ("МGT02-1", "did you mean MGT02-1?"),
        ("SAF99-9", "no code is like it"),
    ],
)
def test_a_code_that_is_none_is_told_with_its_rows_and_what_may_be_meant(code: str, meant: str) -> None:
    found = held({1: [KNOWN, code, None, code]})[1]
    assert (found.rule, found.severity, found.passed, found.failing_rows) == (RULE, "warning", False, 2)
    assert f"no catalogue has '{code}' of row 2, 4 ({meant})" in english(found.observed)


def test_what_is_told_is_what_no_catalogue_has() -> None:
    """By delivery, whatever the mixture: the codes that are told are those of accepted rows that are not listed."""
    chance, codes = random.Random(11), listed().codes  # noqa: S311  the same files each time
    for _ in range(8):
        given = {
            d: [chance.choice([chance.choice(codes), f"X{chance.randrange(9)}"]) for _ in range(6)] for d in (1, 2)
        }
        for number, one in held(given).items():
            unknown = [code for code in given[number] if code not in codes]
            assert (one.passed, one.failing_rows) == (not unknown, len(unknown))
            assert all((f"'{code}'" in english(one.observed)) == (code in unknown) for code in given[number])


def test_many_are_told_by_the_first() -> None:
    said = english(held({1: [f"X{n:03}" for n in range(100, 112)] + ["X100"] * 6})[1].observed)
    assert "'X100' of row 1, 13, 14, 15, 16 and 2 more" in said
    assert "'X109'" in said
    assert "'X110'" not in said
    assert "and 2 more." in said


def test_lists_stand_side_by_side(tmp_path: Path) -> None:
    """A code of a home's own list is one, and so are those of the shipped list."""
    home = Home(tmp_path)
    assert not held({1: [KNOWN, CODE]}, home.catalogues)[1].passed
    add_list(home)
    found = held({1: [KNOWN, CODE]}, home.catalogues)[1]
    assert (found.passed, english(found.observed)) == (True, "all of them are known")
    assert f"did you mean {CODE}?" in english(held({1: [CODE.lower()]}, home.catalogues)[1].observed)


def targets(*codes: str) -> str:
    row = {"document_id": "S-1", "document_version": "1", "target_year": "2025", "document_kind": "STRATEGY"}
    row |= {"approved_at": "2025-02-03", "target_value": "90"}
    return text([{**row, "kpi_code": code} for code in codes], [c.name for c in TABLE.columns])


def test_its_incident_is_open_until_the_right_code_comes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    incidents = f"SELECT closed_seq IS NULL, kind FROM audit.incident WHERE rule = '{RULE}'"
    with desk.open() as store:
        desk.deliver(targets(KNOWN, "MGT02-l"), "fct_kpi_target", period="2025")
        assert [o.accepted for o in desk.take(store).outcomes] == [2], "the code may come with the next list"
        assert query(store, incidents) == [(True, "integrity")]
        desk.deliver(targets(KNOWN, "MGT02-2"), "fct_kpi_target", period="2025")
        desk.take(store)
        assert query(store, incidents) == [(False, "integrity")]
        assert query(store, "SELECT kpi_code FROM showcase.fct_kpi_target ORDER BY 1") == [(KNOWN,), ("MGT02-2",)]


def coded(tmp_path: Path, value: str, facts: str = "logicalType: string") -> Table:
    """A home's own table with a column of codes. Raises DocumentError."""
    words = table_text(columns={**COLUMNS, "serves": facts})
    file = tmp_path / "fct_pothole.odcs.yaml"
    head, mark, rest = words.partition("What serves is")
    russian = "value: Что это}"
    file.write_text(
        head + mark + rest.replace(russian, f"{russian}, {{property: codesOf, value: {value}}}", 1), encoding="utf-8"
    )
    return parse_table(read(file))


def test_any_table_may_say_so_and_a_trial_tells_it(tmp_path: Path) -> None:
    table, file, faulty = coded(tmp_path, "kpi"), tmp_path / "potholes.csv", tmp_path / "faulty"
    row = {"found_at": "2026-03-05 10:00:00", "area_m2": "1.5"}
    file.write_text(
        text([{"pothole_id": f"P{n}", **row, "serves": f"MGT02-{n}"} for n in (1, 7)], [*COLUMNS, "serves"]),
        encoding="utf-8",
    )
    trial = try_file(file, table, standard(table), {table.name: table}, period="2026-03")
    assert [one.rule for one in trial.unmet] == ["serves.codes"]
    assert "'MGT02-7' of row 2 (did you mean MGT02-1" in english(trial.unmet[0].observed)
    assert trial.would_load
    (faulty / "own").mkdir(parents=True)
    (faulty / "own" / "catalogue.yaml").write_text("id: [", encoding="utf-8")
    trial = try_file(file, table, standard(table), {table.name: table}, period="2026-03", catalogues=[faulty])
    assert (trial.unmet, "serves.codes" in trial.unjudged) == ([], True)


@pytest.mark.parametrize(
    ("value", "facts", "told"),
    [
        ("kpis", "logicalType: string", "'kpis' is no registry.*write kpi"),
        ("[kpi]", "logicalType: string", "is no registry"),
        ("kpi", "logicalType: integer", "no text"),
    ],
)
def test_a_contract_that_says_it_wrongly_is_refused(tmp_path: Path, value: str, facts: str, told: str) -> None:
    with pytest.raises(DocumentError, match=f"(?s){told}"):
        coded(tmp_path, value, facts)
