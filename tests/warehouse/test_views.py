"""Views of a release: names and types of their columns, what is said of them, what they work out, and what never comes out of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

from kpi_definitions.catalogue import units
from kpi_definitions.model import CatalogueHead, Category, Grain, Kind, Kpi
from tests.support.homes import new_home
from tests.support.settlements import AKTAU, ALMATY, ASTANA
from tests.support.two_years import KPI, PAVLODAR, RESTRICTED, SUPPRESSED, build
from warehouse.home.home import Home
from warehouse.loading.deliveries import DeliveryState
from warehouse.messages.messages import code_of, rendered
from warehouse.sql import literal
from warehouse.tables.contracts import load_tables
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.view_columns import described
from warehouse.tables.views import all_views, falsified

LANGUAGES = ("en", "ru", "kk")
COLUMNS = (
    "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
    "WHERE NOT internal AND schema_name IN ('main', 'registry', 'kpi', 'audit') ORDER BY ALL"
)
# other names for what has one; by pattern, with the columns that may have it, and why
SYNONYMS = {
    "code": {"registry.message.code", "registry.code_list.code"},
    "id": {"registry.data_passport.id"},  # a field of Decree No. 830
    "kpi|indicator_code|kpi_id": set[str](),
    "version|.*_version_no": {"kpi.assessment.version", "main.scorecard.version"},  # of an assessment
    "city|settlement|settlement_code|settlement_kato|kato_code": set[str](),
    "region|region_code": set[str](),
    "group|category|settlement_group": set[str](),
    "period|month|period_code": set[str](),
    "assessed_year|target_year|report_year": set[str](),
    "unit_code|measure|unit_of_measure": set[str](),
    "sphere_code|initiative_code|direction_code": set[str](),
    "reason": {
        "kpi.value.reason",
        "kpi.rollup.reason",
        "kpi.assessment.reason",
        "kpi.assessment_item.reason",
        "audit.delivery.reason",
    },  # recorded
    "observed|expected": {
        f"audit.{t}.{c}" for t in ("incident", "check_result") for c in ("observed", "expected")
    },  # recorded
    "name|title|description|text|label": {"registry.setting.name"},
}
# what is told of a value
FIGURES = re.compile(
    r"(former_)?value(_low|_high)?|numerator|denominator|sample_size|rejected_rows|gap_rows|fact(_low|_high)?|progress|difference(_percent)?"
    r"|rank(_low|_high)?|score(_low|_high)?|movement|plan|baseline_value"
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(new_home(tmp_path_factory.mktemp("empty")).warehouse), read_only=True) as con:
        yield con


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    home = Home(tmp_path_factory.mktemp("views") / "home")
    build(home)
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        yield con


def ask(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


# ---- columns


@pytest.mark.parametrize("file", ["empty", "released"])
def test_no_column_of_a_view_lacks_its_comment(file: str, request: pytest.FixtureRequest) -> None:
    con = request.getfixturevalue(file)
    columns = [row for row in ask(con, COLUMNS) if row[0] == "main"]
    assert {view for _, view, *_ in columns} == set(all_views(load_tables()))
    assert [f"{view}.{column}" for _, view, column, _, comment in columns if not comment] == []
    assert (
        ask(con, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' AND comment IS NULL")
        == []
    )
    assert falsified(con) == []


def test_nothing_is_described_that_is_not_there(empty: duckdb.DuckDBPyConnection) -> None:
    there = defaultdict[str, set[str]](set)
    for schema, view, column, *_ in ask(empty, COLUMNS):
        if schema == "main":
            name = re.sub("_(en|ru|kk)$", "", column)
            there[view] |= {column, name, *([f"{name}_name"] if name != column else [])}
    assert set(described()["columns"]) <= set().union(*there.values())
    assert set(described()["public"]) <= set(there)
    for view, columns in described()["views"].items():
        assert set(columns) <= there[view], view


def test_a_name_has_one_type(empty: duckdb.DuckDBPyConnection) -> None:
    types = defaultdict[str, set[str]](set)
    for schema, table, column, data_type, _ in ask(empty, COLUMNS):
        if (table, column) != ("setting", "value"):  # of the file itself: words of any kind under a name
            types[column].add(f"{data_type} {schema}.{table}")
    assert {c: sorted(t) for c, t in types.items() if len({one.split()[0] for one in t}) > 1} == {}


def test_a_thing_has_one_name(empty: duckdb.DuckDBPyConnection) -> None:
    found = [f"{schema}.{table}.{column}" for schema, table, column, *_ in ask(empty, COLUMNS)]
    for pattern, allowed in SYNONYMS.items():
        named = {one for one in found if re.fullmatch(pattern, one.rpartition(".")[2])}
        assert named <= allowed, pattern


def test_names_come_in_three_languages(empty: duckdb.DuckDBPyConnection) -> None:
    tables = defaultdict[str, set[str]](set)
    for schema, table, column, *_ in ask(empty, COLUMNS):
        tables[f"{schema}.{table}"].add(column)
    alone = [
        f"{table}.{column}"
        for table, columns in tables.items()
        for column in columns
        if (found := re.fullmatch("(.+)_(en|ru|kk)", column))
        and not {f"{found[1]}_{one}" for one in LANGUAGES} <= columns
    ]
    # what a list rests on is given in the language of its act, translated where the list says so
    assert sorted(alone) == ["registry.catalogue.legal_basis_kk", "registry.catalogue.legal_basis_ru"]
    coded = ("kpi_code kpi_name", "kato settlement", "unit unit", "direction direction", "obs_status state", "reason_code reason", "table_name table",
             "criterion criterion")  # fmt: skip
    bare = {"row_origins", "lineage_gaps"}
    for code, name in (pair.split() for pair in coded):
        for table, columns in tables.items():
            if table.startswith("main.") and code in columns and table.removeprefix("main.") not in bare:
                assert f"{name}_kk" in columns, f"{table} has {code} and no {name}"


# ---- registries


def test_states_are_those_of_the_code(empty: duckdb.DuckDBPyConnection) -> None:
    known = [(str(one), one.state, one.has_value) for one in ObsStatus]
    assert ask(empty, "SELECT obs_status, state, has_value FROM registry.obs_status ORDER BY position") == known


def test_units_directions_and_groups_are_those_of_the_definitions(empty: duckdb.DuckDBPyConnection) -> None:
    assert {
        row[0]: row[1:]
        for row in ask(empty, "SELECT unit, is_sdmx, symbol, name_en, name_ru, name_kk FROM registry.unit")
    } == {code: (one["sdmx"], one["symbol"], one["en"], one["ru"], one["kk"]) for code, one in units().items()}
    known = set(get_args(Kpi.model_fields["direction"].annotation))
    assert {row[0] for row in ask(empty, "SELECT direction FROM registry.direction")} == known
    groups = [row[0] for row in ask(empty, "SELECT item7_group FROM registry.item7_group ORDER BY position")]
    assert groups == [str(one) for one in Category]


@pytest.mark.parametrize(
    "registry",
    ["obs_status", "unit", "direction", "item7_group", "showcase_table", "criterion", "region", "settlement"],
)
def test_no_name_of_a_registry_is_empty(empty: duckdb.DuckDBPyConnection, registry: str) -> None:
    assert ask(
        empty,
        f"SELECT count(*) > 0, count(*) FILTER (WHERE '' IN (name_en, name_ru, name_kk)) FROM registry.{registry}",
    ) == [(True, 0)]


def test_codes_in_the_views_have_names(released: duckdb.DuckDBPyConnection) -> None:
    for view, column in (
        ("deliveries", "state"), ("incidents", "status"), ("public_plan_beside_fact", "document_kind"), ("scorecard", "status"), ("scorecard", "state"),
        ("year_on_year", "movement"), ("kpi_definitions", "kind"), ("kpi_definitions", "grain"), ("kpi_definitions", "sensitivity"),
        ("kpi_definitions", "catalogue_status"),
    ):  # fmt: skip
        counted = f"SELECT count({column}) > 0, count({column}) - count({column}_kk) FROM {view}"
        assert ask(released, counted) == [(True, 0)], f"{view}.{column}"
    lists = {
        "delivery_state": DeliveryState,
        "kpi_kind": Kind,
        "grain": Grain,
        "sensitivity": get_args(Kpi.model_fields["sensitivity"].annotation),
        "catalogue_status": get_args(CatalogueHead.model_fields["status"].annotation),
    }
    for name, codes in lists.items():
        found = ask(released, f"SELECT code FROM registry.code_list WHERE list = '{name}' ORDER BY position")
        assert {code for (code,) in found} == set(map(str, codes)), name


# ---- what the views work out


def test_places_and_those_the_bounds_allow(released: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        released,
        f"SELECT kato, rank, rank_high, rank_low, ranked FROM ranking WHERE kpi_code = '{KPI}' AND period_id = '2024-01' ORDER BY ALL",
    )
    # of regional significance: PAVLODAR 30 of 40, AKTAU 8 of 10; a rejected row each, which for AKTAU is worth nine points
    assert rows == [(AKTAU, 1, 1, 2, 2), (PAVLODAR, 2, 1, 2, 2), (ASTANA, 2, 2, 2, 2), (ALMATY, 1, 1, 1, 2)]


def test_by_a_kpi_of_which_less_is_better_the_least_is_first(released: duckdb.DuckDBPyConnection) -> None:
    body = re.sub(r"\bpublic_series\b", "cells", all_views(())["ranking"][1])
    body = re.sub(r"\bregistry\.direction\b", "(SELECT 'lower' AS direction, -1 AS sign)", body)
    con = released.cursor()
    con.execute(
        "CREATE OR REPLACE TEMP TABLE cells AS SELECT * REPLACE ('lower' AS direction) FROM public_series WHERE period_id = '2024-01'"
    )
    con.execute("UPDATE cells SET value_low = NULL, value_high = NULL WHERE kato = ?", [ALMATY])
    found = con.execute(
        f"SELECT kato, rank, rank_high, rank_low FROM ({body}) WHERE kato IN (?, ?) ORDER BY rank", [ASTANA, ALMATY]
    ).fetchall()
    assert found == [(ASTANA, 1, 1, 2), (ALMATY, 2, 1, 2)], "without bounds a value can be anything"


def test_a_year_beside_the_one_before(released: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        released,
        f"SELECT kato, period_id, former_period_id, difference, movement, beyond_bounds FROM year_on_year WHERE kpi_code = '{KPI}' AND grain = 'M' ORDER BY 1",
    )
    assert [(row[0], *row[3:]) for row in rows] == [
        (PAVLODAR, 0, "same", False),
        (ASTANA, 10, "better", True),
        (ALMATY, -30, "worse", True),
    ]
    assert {row[1:3] for row in rows} == {("2025-01", "2024-01")}


def test_what_does_not_apply_is_not_missing_and_what_is_missing_says_why(released: duckdb.DuckDBPyConnection) -> None:
    assert ask(released, "SELECT count(*) FROM missing_values WHERE obs_status = 'M' OR reason_en IS NULL") == [(0,)]
    assert ask(released, "SELECT count(*) FROM missing_values") == ask(
        released, "SELECT count(*) FROM public_series WHERE value IS NULL AND obs_status IN ('L', 'O', 'Q')"
    )
    refused = (
        f"SELECT obs_status FROM missing_values WHERE (kpi_code, kato, period_id) = ('{KPI}', '{PAVLODAR}', '2024-02')"
    )
    assert ask(released, refused) == [("O",)]


def test_a_restatement_says_what_was_said_and_which_delivery_changed_it(released: duckdb.DuckDBPyConnection) -> None:
    (newest,) = ask(released, "SELECT max(delivery_id) FROM audit.delivery")
    rows = ask(
        released,
        "SELECT area_kind, area, period_id, former_value, value, cause, delivery_ids FROM restatements ORDER BY ALL",
    )
    assert ("settlement", ASTANA, "2025-01", 90, 85, "delivery", str(newest[0])) in rows
    assert {row[0] for row in rows} == {"settlement", "region", "group", "country"}
    closed = "SELECT kpi_code FROM kpi.{0} WHERE valid_to_seq IS NOT NULL"
    counted = (
        f"SELECT count(*) FROM ({closed.format('value')} UNION ALL {closed.format('rollup')}) WHERE kpi_code = '{KPI}'"
    )
    assert ask(released, counted) == [(len(rows),)]


def test_what_is_suppressed_now_is_not_said_of_the_past(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    build(home)
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as con:
        con.execute(
            f"ATTACH {literal(str(home.released_file))} AS release (READ_ONLY); COPY FROM DATABASE release TO copy"
        )
        before = ask(con, "SELECT area, period_id FROM restatements WHERE former_value IS NOT NULL")
        assert (ASTANA, "2025-01") in before
        con.execute(
            f"UPDATE kpi.value SET obs_status = 'Q', value = NULL WHERE (kato, period_id) = ('{ASTANA}', '2025-01') AND valid_to_seq IS NULL"
        )
        assert (
            ask(con, "SELECT area, period_id FROM restatements WHERE coalesce(former_value, value) IS NOT NULL") == []
        )


def test_a_system_is_named_with_what_it_delivered(released: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        released, f"SELECT kato, table_name, system, deliveries FROM kpi_systems WHERE kpi_code = '{KPI}' ORDER BY ALL"
    )
    assert (ASTANA, "fct_appeal", "standard", 3) in rows
    assert {row[1:3] for row in rows} == {("fct_appeal", "standard")}


# ---- what never comes out of a public view


def _public() -> list[str]:
    return sorted(described()["public"])


@pytest.mark.parametrize("view", _public())
def test_no_figure_of_a_restricted_kpi_comes_out(released: duckdb.DuckDBPyConnection, view: str) -> None:
    assert ask(released, f"SELECT count(value) > 0 FROM kpi_values WHERE kpi_code = '{RESTRICTED}'") == [(True,)]
    columns = [c for (c,) in ask(released, f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{view}'")]
    figures = [c for c in columns if FIGURES.fullmatch(c)]
    if "kpi_code" in columns and view != "kpi_systems":  # its rows are those of deliveries
        for figure in figures:
            assert ask(released, f"SELECT count({figure}) FROM {view} WHERE kpi_code = '{RESTRICTED}'") == [(0,)], (
                figure
            )
        if "obs_status" in columns:
            assert (
                ask(
                    released,
                    f"SELECT DISTINCT obs_status FROM {view} WHERE kpi_code = '{RESTRICTED}' AND obs_status IN ('A', 'P', 'U', 'B')",
                )
                == []
            )


@pytest.mark.parametrize(
    "reason", ['{"code":"reason.no_share","share":"140.5"}', "a share of 140.5 % is an error in the data"]
)
def test_no_reason_tells_the_figure_of_a_restricted_kpi(tmp_path: Path, reason: str) -> None:
    home = Home(tmp_path / "home")
    build(home)
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as con:
        con.execute(
            f"ATTACH {literal(str(home.released_file))} AS release (READ_ONLY); COPY FROM DATABASE release TO copy"
        )
        con.execute(
            "UPDATE kpi.value SET obs_status = 'O', value = NULL, reason = ? WHERE kpi_code = ?", [reason, RESTRICTED]
        )
        if code := code_of(reason):
            told = [rendered(reason, language) for language in ("en", "ru", "kk")]
            con.execute("INSERT INTO registry.message VALUES (?, ?, ?, ?, ?)", [reason, code, *told])
        for view in ("public_values", "public_series", "missing_values"):
            found = ask(
                con,
                f"SELECT DISTINCT reason_code, reason_ru FROM {view} WHERE kpi_code = '{RESTRICTED}' AND obs_status = 'O'",
            )
            assert [code for code, _ in found] == ["reason.restricted"], view
            assert all("140" not in text for _, text in found)


@pytest.mark.parametrize("view", _public())
def test_no_figure_of_a_suppressed_cell_comes_out(released: duckdb.DuckDBPyConnection, view: str) -> None:
    kpi_code, kato, period = SUPPRESSED
    assert ask(
        released,
        f"SELECT obs_status, numerator IS NULL FROM kpi.value WHERE (kpi_code, kato, period_id) = {SUPPRESSED} AND valid_to_seq IS NULL",
    ) == [("Q", False)]
    columns = [c for (c,) in ask(released, f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{view}'")]
    place = next((c for c in ("kato", "area") if c in columns), None)
    when = next((c for c in ("period_id", "year") if c in columns), None)
    if "kpi_code" not in columns or not place or not when:
        return
    for figure in (
        c
        for c in columns
        if FIGURES.fullmatch(c) and c not in ("plan", "baseline_value") and not c.startswith("former")
    ):
        found = ask(
            released,
            f"SELECT {figure} FROM {view} WHERE kpi_code = '{kpi_code}' AND {place} = '{kato}' AND CAST({when} AS VARCHAR) IN ('{period}', '2025')",
        )
        worst = [value for (value,) in found if value is not None]
        assert worst == [], f"{figure}: {worst}"


def test_an_initiative_of_a_restricted_kpi_has_no_level_of_which_it_would_follow(
    released: duckdb.DuckDBPyConnection,
) -> None:
    scored = f"SELECT DISTINCT kato FROM kpi.assessment_item WHERE kpi_code = '{RESTRICTED}' AND score IS NOT NULL"
    assert len(ask(released, scored)) > 1
    for node in ("MGT02", "MGT"):
        found = f"SELECT count(*) > 1, count(level), count(achievement), count(level_low), count(level_high) FROM assessment_scores WHERE node = '{node}'"
        assert ask(released, f"{found} AND kato IN ({scored})") == [(True, 0, 0, 0, 0)]
