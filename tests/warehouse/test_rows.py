"""The rows behind a number: those flagged add up to its parts, in every golden case and after every correction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery
from connectors.receiving.deliver import deliver as hand_over
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.model import Kind, Part, Rows
from kpi_definitions.scans import PARAMETERS
from pipelines.cli import app
from tests.support.golden import CATALOGUE, FEW_FAST, Placed, stand_up
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, changed, compute_one, deliver, exact, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.explain import UnknownError
from warehouse.audit.rows import FLAGS, FoundValue, contributing_rows, count_rows, fetch_rows, find_value
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.store.store import Store

cli = CliRunner()


def added_up(store: Store, one: FoundValue) -> dict[str, Any]:
    """Numerator, denominator and sample by the words of the definition over the flagged rows: without the compiler's own measures."""
    kpi = one.compiled.kpi
    aggregate = {
        "in_numerator": kpi.numerator.aggregate,
        "in_denominator": (kpi.denominator or kpi.numerator).aggregate,
    }
    aggregate["in_sample"] = "count(*)"
    if kpi.kind is Kind.MEAN:
        aggregate["in_numerator"] = "sum(" + kpi.numerator.aggregate.removeprefix("avg(")
    if kpi.denominator is None:
        aggregate["in_denominator"] = "count(*)"
    cell = f"(SELECT {', '.join(PARAMETERS)} FROM {one.cell})"
    found: dict[str, Any] = {}
    for rows in contributing_rows(store, one):
        flagged = count_rows(store, rows)
        for flag in FLAGS:
            if flagged[flag]:
                assert flag not in found, f"{flag} in two tables"
                row = store.con.execute(
                    f"SELECT {aggregate[flag]} FROM (SELECT * FROM ({rows.sql}) CROSS JOIN {cell}) WHERE {flag}"
                ).fetchone()
                found[flag] = row[0] if row else None
    return found


@pytest.mark.parametrize("case", FEW_FAST)
def test_flagged_rows_add_up(store: Store, case: Placed) -> None:
    stand_up(store, case)
    one = find_value(store, CATALOGUE, case.code, case.kato, case.period)
    found, kpi = added_up(store, one), one.compiled.kpi
    assert found.get("in_sample", 0) == (one.answer["sample_size"] or 0)
    for flag, part in (("in_numerator", "numerator"), ("in_denominator", "denominator")):
        if kpi.kind is not Kind.QUANTILE:
            assert exact(found.get(flag) or 0) == exact(one.answer[part] or 0)
    if kpi.kind is Kind.QUANTILE and one.answer["value"] is not None:
        assert round(found["in_numerator"] * kpi.scale, 6) == one.answer["value"]
    for rows in contributing_rows(store, one):  # what was left out is found too, if asked for
        (whole,) = [r for r in contributing_rows(store, one, every=True) if r.table == rows.table]
        every = fetch_rows(store, whole, 10_000)
        assert [r for r in every if any(r[flag] for flag in FLAGS)] == fetch_rows(store, rows, 10_000)


APPEAL = {"due_at": "2026-01-10 12:00:00", "status": "CLOSED"}


def appeal(number: int, closed: str, **more: Any) -> dict[str, Any]:
    return APPEAL | {"appeal_id": f"A{number}", "closed_at": closed} | more


def test_rows_are_those_of_the_values_own_time(store: Store) -> None:
    """A correction that came after the value was computed changes none of the rows behind it; the restated value has its own."""
    catalogue = only(CATALOGUE, "MGT02-1")
    deliver(store, "fct_appeal", Extract([appeal(1, "2026-01-09"), appeal(2, "2026-01-11")], "2026-01"))
    compute_one(store, catalogue, "MGT02-1", "2026-01")
    (second,) = deliver(store, "fct_appeal", Extract([appeal(2, "2026-01-08"), appeal(3, "2026-01-09")], "2026-01"))
    before = find_value(store, catalogue, "MGT02-1", ASTANA, "2026-01")
    (rows,) = contributing_rows(store, before)
    assert [(r["appeal_id"], r["in_numerator"], r["row_no"]) for r in fetch_rows(store, rows, 9)] == [
        ("A1", True, 1),
        ("A2", False, 2),
    ]
    compute_one(store, catalogue, "MGT02-1", "2026-01")
    after = find_value(store, catalogue, "MGT02-1", ASTANA, "2026-01")
    (rows,) = contributing_rows(store, after)
    assert [(r["appeal_id"], r["in_numerator"], r["delivery_id"]) for r in fetch_rows(store, rows, 9)] == [
        ("A2", True, second), ("A3", True, second)]  # fmt: skip
    assert after.seq > before.seq


def test_a_part_with_the_same_table_by_another_date(store: Store) -> None:
    """Numerator and denominator may date the rows of one table differently: a row then stands once, with the flags of both."""
    kpi = CATALOGUE.latest("MGT02-1").model_copy(update={
        "code": "MGT02-1", "version": 2, "kind": Kind.RATIO, "numerator": Part(aggregate="count(*)", rows=Rows(table="fct_appeal", event="closed_at")),  # type: ignore[call-arg]
        "unit": "PER_100"})  # fmt: skip
    catalogue = only(changed(CATALOGUE, kpi), "MGT02-1")
    rows = [appeal(1, "2026-01-09"), appeal(2, "2026-02-09"), appeal(3, "2026-01-20", due_at="2026-02-10 12:00:00")]
    deliver(store, "fct_appeal", Extract(rows, "2026-01"))
    compute_one(store, catalogue, "MGT02-1", "2026-01")
    one = find_value(store, catalogue, "MGT02-1", ASTANA, "2026-01")
    (found,) = contributing_rows(store, one)
    assert [(r["appeal_id"], r["in_numerator"], r["in_denominator"]) for r in fetch_rows(store, found, 9)] == [
        ("A1", True, True), ("A2", False, True), ("A3", True, False)]  # fmt: skip
    assert (one.answer["numerator"], one.answer["denominator"], one.answer["sample_size"]) == (2, 2, 2)
    assert added_up(store, one) == {"in_numerator": 2, "in_denominator": 2, "in_sample": 2}


def test_a_period_no_value_is_published_for(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal(1, "2026-01-09"), appeal(2, "2026-01-11")], "2026-01"))
    one = find_value(store, CATALOGUE, "MGT02-1", "Астана", "2026-01/2026-03")
    (rows,) = contributing_rows(store, one)
    assert (one.answer["published"], count_rows(store, rows)["in_denominator"], one.answer["denominator"]) == (
        False,
        2,
        2,
    )


def test_a_rolled_up_value_names_its_cells(store: Store) -> None:
    catalogue = only(CATALOGUE, "MGT02-1")
    for kato in (ASTANA, ALMATY):
        deliver(store, "fct_appeal", Extract([APPEAL | {"appeal_id": "A1"}], "2026-01", kato))
    compute_one(store, catalogue, "MGT02-1", "2026-01")
    with pytest.raises(UnknownError, match="qala rows MGT02-1 710000000 2026-01"):
        find_value(store, catalogue, "MGT02-1", "republican", "2026-01")
    with pytest.raises(UnknownError, match="rows stand behind a cell"):
        find_value(store, catalogue, "MGT02-1", ASTANA, "2026")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two values: a share of one table, and a rate over the population."""
    home = new_home(tmp_path_factory.mktemp("rows") / "home")
    files: Mapping[str, tuple[str, str]] = {
        "fct_appeal": ("2026-01", "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"
            'A1,2026-01-05 08:00:00,2026-01-10 12:00:00,,2026-01-09 12:00:00,CLOSED,"roads, bridges\n and yards",,false\n'
            "A2,2026-01-05 08:00:00,2026-01-10 12:00:00,,,OPEN,,,false\nA3,2026-01-05 08:00:00,2026-01-11 12:00:00,,,WITHDRAWN,,,false\n"),
        "fct_crash": ("2026", "crash_id,occurred_at,district_id,deaths_30d,injured\nC1,2026-05-05 08:00:00,D1,2,1\nC2,2026-06-05 08:00:00,D1,0,1\n"),
        "dim_population": ("2026", "as_of_date,population,count_source\n2027-01-01,1500000,\n"),
    }  # fmt: skip
    archive = Archive(home.archive)
    with writing(home) as store:
        for table, (period, text) in files.items():
            file = home.root / f"{table}.csv"
            file.write_text(text, encoding="utf-8")
            hand_over(archive, DeclaredDelivery(file, table, ASTANA, period), store.tables, {})
            register_pending(store, archive)
            ingest_table(store, archive, store.tables[table], {})
        months = ["2026-01", "2026-12"]
        compute(store, only(load_catalogues(), "MGT02-1", "SAF04-1"), months, today=LATER)
    publish(home, lambda _: [])
    return home


def rows(home: Home, *words: str) -> tuple[int, str]:
    result = cli.invoke(app, ["rows", *words, "--home", str(home.root)])
    return result.exit_code, result.output


def test_rows_on_the_screen(home: Home) -> None:
    code, output = rows(home, "MGT02-1", "Astana", "2026-01")
    assert code == 0
    assert "fct_appeal: 2 rows; 1 in the numerator, 2 in the denominator, 2 in the sample" in output
    assert "A1" in output
    assert "A3" not in output
    code, output = rows(home, "mgt02-1", ASTANA, "2026-01", "--limit", "1", "--source")
    assert (code, "1 of 2" in output, 'A1,2026-01-05 08:00:00,2026-01-10 12:00:00,,2026-01-09 12:00:00,CLOSED,"roads, bridges' in output) == (
        0, True, True), output  # fmt: skip


def test_rows_as_data_with_the_record_as_received(home: Home) -> None:
    code, output = rows(home, "SAF04-1", ASTANA, "2026", "--json", "--source")
    assert code == 0, output
    tables = {t["table"]: t for t in json.loads(output)["tables"]}
    assert [(r["crash_id"], r["deaths_30d"], r["source"]) for r in tables["fct_crash"]["rows"]] == [
        ("C1", 2, "C1,2026-05-05 08:00:00,D1,2,1\n"), ("C2", 0, "C2,2026-06-05 08:00:00,D1,0,1\n")]  # fmt: skip
    assert [(r["population"], r["in_denominator"], r["in_sample"]) for r in tables["dim_population"]["rows"]] == [
        (1500000, True, False)
    ]


def test_rows_in_a_file(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "appeals.parquet"
    assert rows(home, "MGT02-1", ASTANA, "2026-01", "--to", str(target))[0] == 0
    assert duckdb.execute(f"SELECT appeal_id, in_numerator FROM '{target}'").fetchall() == [("A1", True), ("A2", False)]
    target = tmp_path / "crashes.csv"
    assert rows(home, "SAF04-1", ASTANA, "2026", "--to", str(target))[0] == 0
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["crashes-dim_population.csv", "crashes-fct_crash.csv"]


@pytest.mark.parametrize(("words", "said"), [
    (("MGT02-1", "Nowhere", "2026-01"), "no settlement"),
    (("MGT02-1", "Astana", "2026-01", "--to", "rows.xlsx"), ".csv or .parquet"),
    (("MGT02-1", "Astana", "2026-01", "--to", "rows.csv", "--source"), "--json"),
    (("MGT02-1", "KZ", "2026-01"), "qala rows MGT02-1 710000000 2026-01"),
])  # fmt: skip
def test_what_cannot_be_had_is_said(home: Home, words: tuple[str, ...], said: str) -> None:
    code, output = rows(home, *words)
    assert code == 1
    assert said in output.replace("\n", " "), output


def test_bytes_that_are_lost_are_named(home: Home, tmp_path: Path) -> None:
    kept = {path: path.read_bytes() for path in home.archive.glob("sha256/*/*.zst")}
    try:
        for path in kept:
            path.unlink()
        code, output = rows(home, "MGT02-1", ASTANA, "2026-01", "--source")
        assert (code, "archive has no content" in output) == (1, True)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
