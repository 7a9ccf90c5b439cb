"""The simulator: same seed, same bytes; every table, every format, every incident of the year."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import duckdb
import pytest

from connectors.simulator.generate import NOTES, Extract, populations, simulate
from connectors.simulator.recipe import MACROS, recipe_of
from kpi_definitions.documents import DocumentError, read
from warehouse.sql import quoted
from warehouse.tables.contracts import SHOWCASE, Table, load_tables, parse_table

TWO = ("710000000", "750000000")  # Astana delivers appeals, Almaty air values in a system's own format

# Nothing but a contract: code list, bounds, an order of times, a key of four columns, a snapshot or not.
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: test.fct_novelty
version: 1.0.0
status: draft
customProperties: [{property: delivery, value: DELIVERY}]
slaProperties: [{property: frequency, value: 1, unit: q}]
schema:
  - name: fct_novelty
    properties:
      - {name: object_id, logicalType: string, logicalTypeOptions: {maxLength: 20}, required: true,
         primaryKey: true, primaryKeyPosition: 1}
      - {name: number, logicalType: integer, required: true, primaryKey: true, primaryKeyPosition: 4}
      - name: kind
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 2
        quality: [{id: codes, metric: invalidValues, arguments: {validValues: [NEW, OLD]}, mustBe: 0}]
      - {name: on_day, logicalType: date, required: true, primaryKey: true, primaryKeyPosition: 3}
      - {name: ended_at, logicalType: timestamp}
      - {name: begun_at, logicalType: timestamp, required: true}
      - {name: share, logicalType: number, physicalType: 'DECIMAL(6,3)', logicalTypeOptions: {minimum: 10, maximum: 20}}
      - {name: pieces, logicalType: integer, logicalTypeOptions: {minimum: 1}, required: true}
      - {name: works, logicalType: boolean}
      - {name: remark, logicalType: string, logicalTypeOptions: {maxLength: 5}}
    quality:
      - {id: ends-after-it-began, type: custom, engine: qala, implementation: ended_at >= begun_at}
"""


def hashes(extracts: list[Extract]) -> list[str]:
    return [hashlib.sha256(e.path.read_bytes()).hexdigest() for e in extracts]


def novelty(folder: Path, delivery: str) -> Table:
    path = folder / "fct_novelty.odcs.yaml"
    path.write_text(CONTRACT.replace("DELIVERY", delivery), encoding="utf-8")
    return parse_table(read(path))


def broken_rows(table: Table, extract: Extract) -> Counter[str]:
    """How many rows of a file in the standard format break which rule: the gate in small."""
    casts = ", ".join(
        f"TRY_CAST({quoted(c.name)} AS {c.sql_type}) AS {quoted(c.name)}, {quoted(c.name)} IS NULL OR "
        f"TRY_CAST({quoted(c.name)} AS {c.sql_type}) IS NOT NULL AS {quoted(c.name + '?')}"
        for c in table.columns
    )
    rules = {f"{c.name}.type": quoted(c.name + "?") for c in table.columns}
    rules |= {r.id: r.predicate for r in table.all_rules if r.predicate}
    rules["key.unique"] = f"count(*) OVER (PARTITION BY {', '.join(table.key)}) = 1"
    first = " ".join(f"WHEN NOT coalesce(({predicate}), TRUE) THEN '{name}'" for name, predicate in rules.items())
    columns = ", ".join(f"'{c.name}': 'VARCHAR'" for c in table.columns)
    found = duckdb.sql(
        f"SELECT broken, count(*) FROM (SELECT CASE {first} END AS broken FROM (SELECT {casts} FROM "
        f"read_csv('{extract.path}', header = true, auto_detect = false, delim = ',', quote = '\"', "
        f"columns = {{{columns}}}))) GROUP BY 1"
    )
    return Counter({name or "": count for name, count in found.fetchall()})  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> list[Extract]:
    return list(simulate(load_tables(), tmp_path_factory.mktemp("year"), settlements=TWO, scale=0.02))


def test_same_seed_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {name: table for name, table in load_tables().items() if name in {"fct_appeal", "dim_population"}}
    first = list(simulate(tables, tmp_path / "a", settlements=TWO, scale=0.02))
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    again = list(simulate(tables, tmp_path / "b", settlements=TWO, scale=0.02))
    other = list(simulate(tables, tmp_path / "c", settlements=TWO[:1], scale=0.02, seed=470))
    assert hashes(first) == hashes(again)
    assert [e.path.relative_to(tmp_path / "a") for e in first] == [e.path.relative_to(tmp_path / "b") for e in again]
    assert not set(hashes(first)) & set(hashes(other))


def test_scale_and_population_make_the_size(tmp_path: Path) -> None:
    tables = {"fct_appeal": load_tables()["fct_appeal"]}
    small = sum(e.rows for e in simulate(tables, tmp_path, settlements=TWO[:1], scale=0.01))
    double = sum(e.rows for e in simulate(tables, tmp_path, settlements=TWO[:1], scale=0.02))
    assert 1.8 < double / small < 2.2
    assert small == pytest.approx(populations()[TWO[0]] * 0.048 * 0.01, rel=0.1)


def test_every_table_in_its_rhythm(year: list[Extract]) -> None:
    periods = {(e.table, e.period) for e in year}
    times = {"M": 12, "Q": 4, "A": 1}
    assert Counter(table for table, _ in periods) == {
        name: times[recipe_of(t).cadence] for name, t in load_tables().items()
    }
    assert all(e.path.is_file() and e.scope in e.path.parts for e in year)
    assert {e.scope for e in year} >= set(TWO)


def test_ordinary_files_have_few_mistakes_of_many_kinds(tmp_path: Path) -> None:
    tables = {name: load_tables()[name] for name in ("fct_ai_session", "fct_appeal", "fct_trip")}
    found: Counter[str] = Counter()
    for extract in islice(simulate(tables, tmp_path, settlements=["551010000"]), 21):
        broken = broken_rows(tables[extract.table], extract) if not extract.note else Counter()
        good = broken.pop("", 0)
        assert broken.total() <= 0.02 * (good + broken.total())
        found += broken
    kinds = {name.rpartition(".")[2] for name in found}
    assert kinds >= {"type", "required", "unique", "status-domain", "registered-before-closed"}


def test_air_grid_is_complete(year: list[Extract]) -> None:
    january = next(e for e in year if e.table == "fct_air_hour" and e.scope == TWO[0] and e.period == "2025-01")
    good = broken_rows(load_tables()["fct_air_hour"], january)[""]
    assert january.rows >= 744 * 2
    assert good >= 0.99 * january.rows


def test_incidents(year: list[Extract]) -> None:
    special = {e.note: (number, e) for number, e in enumerate(year) if e.note}
    assert set(special) == set(NOTES.values())
    _, renamed = special[NOTES["renamed"]]
    with renamed.path.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) != [c.name for c in load_tables()[renamed.table].columns]
    _, unreadable = special[NOTES["unreadable"]]
    assert 0.25 < 1 - broken_rows(load_tables()[unreadable.table], unreadable)[""] / unreadable.rows < 0.4
    for kind in ("corrected", "twice"):
        number, later = special[NOTES[kind]]
        first = year[number - 1]
        assert (first.table, first.scope, first.period) == (later.table, later.scope, later.period)
        assert first.path != later.path
        assert (first.path.read_bytes() == later.path.read_bytes()) == (kind == "twice")
    assert special[NOTES["corrected"]][1].rows < year[special[NOTES["corrected"]][0] - 1].rows
    delivered = {e.scope for e in year if (e.table, e.period) == ("fct_air_hour", "2025-08")}
    assert delivered == {TWO[0]}


def test_formats_of_source_systems(year: list[Extract]) -> None:
    systems = {(e.table, e.scope): e for e in year if e.system}
    assert {key: e.system for key, e in systems.items()} == {
        ("fct_appeal", TWO[0]): "ikomek109",
        ("fct_air_hour", TWO[1]): "aqms",
    }
    appeals = systems["fct_appeal", TWO[0]].path
    assert appeals.name == "appeals.csv"
    with pytest.raises(UnicodeDecodeError):
        appeals.read_text(encoding="utf-8")
    text = appeals.read_text(encoding="kz1048")
    assert text.startswith("Номер обращения;Дата регистрации;")
    assert "Жарықтандыру" in text  # letters that are not in CP1251
    assert "Закрыто" in text
    assert "CLOSED" not in text
    air = systems["fct_air_hour", TWO[1]].path.read_text(encoding="utf-8")
    assert re.search(r";PM2\.5;\d+,\d{3};да\n", air)
    assert ";-;нет" in air


@pytest.mark.parametrize("delivery", ["complete", "snapshot"])
def test_a_contract_alone_is_enough(tmp_path: Path, delivery: str) -> None:
    table = novelty(tmp_path, delivery)
    extracts = list(simulate({table.name: table}, tmp_path, settlements=["151010000"], scale=0.1))
    assert [e.period for e in extracts] == ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4"]
    for extract in extracts:
        assert extract.rows == 56
        assert broken_rows(table, extract) == {"": 56}  # too few rows for a mistake


def test_showcase_tables_could_do_without_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their rows break no rule but those over several columns, of which only an order of times is understood."""
    monkeypatch.setattr("connectors.simulator.generate.recipe_of", lambda table: recipe_of(table, tmp_path))
    tables = load_tables()
    for extract in islice(simulate(tables, tmp_path, settlements=["551010000"], scale=0.2), 14):
        table = tables[extract.table]
        beyond = {rule.id for rule in table.row_rules} - {"registered-before-closed", "started-before-ended"}
        assert set(broken_rows(table, extract)) <= {""} | beyond


def test_draws_are_independent() -> None:
    """Draws that differ in k only: DuckDB's hash of several values alone would make one follow from the other."""
    with duckdb.connect() as con:
        for macro in MACROS:
            con.execute(macro)
        cells = con.execute(
            "SELECT count(*) FROM range(20000) GROUP BY floor(draw(12345::UBIGINT, range, 5) * 10), "
            "floor(draw(12345::UBIGINT, range, 6) * 10)"
        ).fetchall()
    assert len(cells) == 100
    assert all(130 < count < 275 for (count,) in cells)


def test_faulty_recipes_name_their_line(tmp_path: Path) -> None:
    (tmp_path / "fct_crash.yaml").write_text("cadence: W\nlines: 3\ncolumns:\n  colour: 1\n", encoding="utf-8")
    with pytest.raises(DocumentError) as error:
        recipe_of(parse_table(read(SHOWCASE / "fct_crash.odcs.yaml")), tmp_path)
    assert [fault.line for fault in error.value.faults] == [1, 2, 4]


def test_unknown_settlement_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no population for settlement 123456789"):
        list(simulate(load_tables(), tmp_path, settlements=["123456789"]))


def test_targets_set_out_from_the_values_of_the_year_before(tmp_path: Path) -> None:
    table = load_tables()["fct_kpi_target"]
    known = {"MGT02-1": 80.0, "INF03-2": 25.0, "TRL03-2": 0.05}  # per cent, days (fewer is better), trips
    (extract,) = simulate(
        {table.name: table}, tmp_path, settlements=("750000000",), year=2025, last_year={"750000000": known}
    )
    with extract.path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kpi_code"] in known]
    assert {row["kpi_code"] for row in rows} == set(known)
    for row in rows:
        before, plan = known[row["kpi_code"]], float(row["target_value"])
        assert float(row["baseline_value"]) == before
        assert before * 0.5 < plan < before * 1.7
        assert (plan < before) == (row["kpi_code"] == "INF03-2")


def test_cities_are_worse_in_the_year_before_the_epoch(tmp_path: Path) -> None:
    table = load_tables()["dim_street_light"]

    def managed(year: int) -> float:
        """Share of lights at the end of a year."""
        *_, last = simulate({table.name: table}, tmp_path / str(year), settlements=("634820100",), year=year)
        with last.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        lights: int = sum(row["is_remotely_managed"] == "true" for row in rows)
        return lights / len(rows)

    assert managed(2024) < managed(2025)
