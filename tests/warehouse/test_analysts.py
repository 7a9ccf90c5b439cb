"""docs/analysts.md, run as it stands over a released home: queries answer, recipes in Python work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.support.two_years import build
from warehouse.home.home import Home

PAGE = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUERIES = [text for kind, _, text in BLOCKS if kind == "sql"]
SCRIPTS = [(more.strip(), text) for kind, more, text in BLOCKS if kind == "python"]
SHORT = 7  # lines of a query


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Where the page says a release is."""
    made = Home(tmp_path_factory.mktemp("analysts") / "qala-demo")
    build(made)
    return made


@pytest.fixture
def released(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        yield con


@pytest.mark.parametrize("number", range(1, 11))
def test_a_question_is_answered_by_one_short_query(released: duckdb.DuckDBPyConnection, number: int) -> None:
    query = QUERIES[number - 1]
    assert len(query.splitlines()) <= SHORT
    assert query.count(";") == 1
    assert released.execute(query).fetchall(), "no row: nothing is shown by it"


def test_there_are_ten_questions() -> None:
    assert [int(n) for n in re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE)] == list(range(1, 11))
    assert len(QUERIES) == 10


def test_the_answers_are_those_of_the_data(released: duckdb.DuckDBPyConnection) -> None:
    def answer(number: int) -> list[dict[str, object]]:
        cursor = released.execute(QUERIES[number - 1])
        names = [d[0] for d in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    trend = {row["period_id"]: (row["value"], row["state_ru"]) for row in answer(1)}
    assert trend["2024-01"] == (75, "неполный охват"), "an incident is open"
    assert trend["2025-01"] == (85, "неполный охват")
    assert [(row["rank"], row["settlement_ru"], row["value"]) for row in answer(2)] == [
        (1, "Астана", 85),
        (2, "Алматы", 50),
    ]
    progress = {row["settlement_ru"]: row["progress"] for row in answer(3)}
    assert progress == {"Астана": 0.5, "Павлодар": 0, "Алматы": -1.25}
    missing = answer(4)
    assert {"Актау", "Шымкент"} <= {row["settlement_ru"] for row in missing}
    assert all(row["for_example"] for row in missing)
    moved = {row["settlement_ru"]: (row["former_value"], row["value"], row["movement"]) for row in answer(5)}
    assert moved == {"Астана": (75, 85, "better"), "Алматы": (80, 50, "worse")}
    (region,) = answer(6)
    assert (region["value"], region["counted"]) == (75, 1)
    assert {(row["settlement_ru"], row["system"], row["deliveries"]) for row in answer(7)} >= {
        ("Астана", "standard", 3),
        ("Актау", "standard", 2),
    }
    assert {row["scope_ru"] for row in answer(8)} == {"Астана", "Алматы", "Павлодар", "Актау"}
    (meaning,) = answer(9)
    assert meaning["description_ru"]
    restated = {(row["area_ru"], row["period_id"]): row for row in answer(10)}
    one = restated["Астана", "2025-01"]
    assert (one["former_value"], one["value"], one["difference"], one["cause_ru"]) == (
        90,
        85,
        -5,
        "более поздняя поставка данных",
    )


@pytest.mark.parametrize("script", [text for _, text in SCRIPTS], ids=[needs or "plain" for needs, _ in SCRIPTS])
def test_a_recipe_in_python_works_as_it_stands(home: Home, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in re.findall(r"^import (\w+)", script, re.MULTILINE):
        pytest.importorskip(needed)  # polars is no dependency of ours
    monkeypatch.chdir(home.root.parent)
    exec(compile(script, "analysts.md", "exec"), {})  # noqa: S102


def test_a_csv_that_excel_opens_begins_with_a_mark(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = [text for _, text in SCRIPTS if "utf-8-sig" in text]
    monkeypatch.chdir(home.root.parent)
    exec(compile(script, "analysts.md", "exec"), {})  # noqa: S102
    written = Path("known.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert "Астана" in written.decode("utf-8-sig")


def test_superset_opens_a_release_with_the_parameters_of_the_page(home: Home) -> None:
    import sqlalchemy as sa

    (parameters,) = [json.loads(text) for kind, _, text in BLOCKS if kind == "json"]
    (address,) = [text.strip() for kind, _, text in BLOCKS if kind == "text"]
    engine = sa.create_engine(address.replace("/srv/qala/release/qala.duckdb", str(home.released_file)), **parameters)
    with engine.connect() as con:
        assert con.execute(sa.text("SELECT count(*) FROM ranking")).scalar()
        with pytest.raises(sa.exc.DBAPIError, match="read-only"):
            con.execute(sa.text("DELETE FROM kpi.value"))
    described = {one["name"]: one["comment"] for one in sa.inspect(engine).get_columns("ranking", "main")}
    assert described["kpi_code"] == "Code of the KPI"
    engine.dispose()
