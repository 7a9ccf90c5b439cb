"""The number most disputed: a level as the sum of weights and scores, a place by the others' figures, and packs of sums that can be checked."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from kpi_definitions.catalogue import Catalogue, load_catalogues
from pipelines.cli import app
from tests.support.assessments import REPUBLICAN, WEIGHTS, put, ruled
from tests.support.homes import new_home
from tests.support.packs import recompute
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ALMATY, ASTANA, SHYMKENT
from tests.support.working_tables import differing_columns
from warehouse.audit.evidence import write_pack
from warehouse.audit.evidence_rollup import Rollup, find_rollup
from warehouse.audit.explain import UnknownError
from warehouse.audit.levels import asks_for_level, explain_level
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.sessions import reading, writing
from warehouse.store.store import Store

cli = CliRunner()
CODES = ("MGT01-2", "MGT02-1", "MGT02-2", "ECO01-1", "TRL02-2", "SAF04-1")  # the last has no scale
LISTS = only(load_catalogues(), *CODES)
AT = dt.datetime  # local civil time
FIGURES = {
    ASTANA: {"MGT01-2": 40, "MGT02-1": 90, "MGT02-2": 4, "TRL02-2": 20, "ECO01-1": "L"},
    ALMATY: {"MGT01-2": 41, "MGT02-1": 90, "MGT02-2": 4, "TRL02-2": 20, "ECO01-1": 20, "SAF04-1": 3},
    SHYMKENT: {"MGT01-2": "L", "MGT02-1": "L", "MGT02-2": "L", "TRL02-2": 20, "ECO01-1": "L"},
}


def weighed() -> Catalogue:
    return ruled(LISTS.lists[0], weights=WEIGHTS)


@pytest.fixture
def assessed(store: Store) -> Store:
    """Three cities by made-up values and weights that are not all one: one is not ranked."""
    compute(store, LISTS, ["2026-12"], today=LATER)
    for kato, values in FIGURES.items():
        put(store, values, kato)  # type: ignore[arg-type]
    for kato in REPUBLICAN:
        store.con.execute("DELETE FROM kpi.rollup WHERE area = ?", [kato])
    assess(store, weighed(), 2026)
    return store


def test_a_level_is_the_sum_of_weights_and_scores(assessed: Store) -> None:
    answer = explain_level(assessed, "LEVEL", "Astana", "2026")
    kpis = {
        k["code"]: k for sphere in answer["spheres"] for initiative in sphere["initiatives"] for k in initiative["kpis"]
    }
    assert set(kpis) == set(CODES)
    assert (kpis["MGT02-1"]["score"], kpis["ECO01-1"]["score"], kpis["ECO01-1"]["points"]) == (80, None, None)
    by_hand = sum(k["weight"] * k["score"] for k in kpis.values() if k["score"] is not None)
    assert answer["level"] == pytest.approx(by_hand, abs=1e-8)
    assert answer["sum"]["equal"]
    assert answer["level"] == pytest.approx(answer["coverage"] * answer["achievement"], abs=1e-6)
    assert kpis["MGT02-1"]["walk_on"] == f"qala explain MGT02-1 {ASTANA} 2026"


def test_a_sum_that_does_not_give_the_level_is_told(assessed: Store) -> None:
    assessed.con.execute("UPDATE kpi.assessment_score SET level = level + 1 WHERE node_kind = 'settlement'")
    assert not explain_level(assessed, "LEVEL", "Astana", "2026")["sum"]["equal"]


def test_a_place_is_told_by_the_others_figures(assessed: Store) -> None:
    place = explain_level(assessed, "PLACE", "Astana", "2026")["place"]
    assert (place["rank"], place["of"], place["ahead"], place["equal"]) == (2, 2, 1, True)
    assert [(r["kato"], r["rank"]) for r in place["group"]] == [(ALMATY, 1), (ASTANA, 2)]
    assert [r["kato"] for r in place["not_ranked"]] == [SHYMKENT]
    (neighbour,) = place["neighbours"]
    assert neighbour["kato"] == ALMATY
    assert neighbour["kpis"][0]["code"] == "ECO01-1"
    assert sum(k["difference"] for k in neighbour["kpis"]) == pytest.approx(neighbour["margin"], abs=1e-6)
    assert explain_level(assessed, "PLACE", SHYMKENT, "2026")["place"]["rank"] is None


def test_a_sphere_and_an_initiative_have_levels_of_their_own(assessed: Store) -> None:
    assert [asks_for_level(assessed, code) for code in ("LEVEL", "PLACE", "MGT", "MGT02", "MGT02-1")] == [True] * 4 + [
        False
    ]
    sphere, initiative = (explain_level(assessed, code, ASTANA, "2026") for code in ("MGT", "MGT02"))
    assert sphere["sum"]["equal"]
    assert initiative["sum"]["equal"]
    assert [i["code"] for s in initiative["spheres"] for i in s["initiatives"]] == ["MGT02"]
    assert sphere["place"] is None
    with pytest.raises(UnknownError, match="there are ECO, MGT, SAF, TRL"):
        explain_level(assessed, "ECB", ASTANA, "2026")


def test_a_frozen_assessment_stands_before_the_draft_and_is_found_by_its_sequence(assessed: Store) -> None:
    first = assess(assessed, weighed(), 2026, freeze=True)
    at = assessed.last_seq
    put(assessed, {"MGT02-1": 50}, ASTANA)
    assess(assessed, weighed(), 2026)
    assert explain_level(assessed, "LEVEL", ASTANA, "2026")["assessment"]["assessment_id"] == first.assessment_id
    second = assess(assessed, weighed(), 2026, freeze=True, reason="A value was corrected.")
    assert explain_level(assessed, "LEVEL", ASTANA, "2026")["assessment"]["assessment_id"] == second.assessment_id
    assert (
        explain_level(assessed, "LEVEL", ASTANA, "2026", seq=at)["assessment"]["assessment_id"] == first.assessment_id
    )
    with pytest.raises(UnknownError, match="assessed: 2026"):
        explain_level(assessed, "LEVEL", ASTANA, "2025")


def test_a_pack_of_a_level_is_recomputed(assessed: Store, tmp_path: Path) -> None:
    for code in ("LEVEL", "MGT", "TRL02"):
        write_pack(assessed, explain_level(assessed, code, ASTANA, "2026"), tmp_path / code)
        found = recompute(tmp_path / code)
        assert found["equal"] is found["ledger_intact"] is found["inputs_in_ledger"] is True, (code, found)
    write_pack(assessed, explain_level(assessed, "LEVEL", SHYMKENT, "2026"), tmp_path / "none")
    assert recompute(tmp_path / "none")["computed"].endswith("place none")


def _edit(path: Path, sql: str) -> None:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS FROM '{path}'; {sql}; COPY (FROM t) TO '{path}' (FORMAT parquet)")


ATTACKS: dict[str, tuple[str, str, str]] = {
    "a score raised": ("items.parquet", f"UPDATE t SET score = 99 WHERE kato = '{ASTANA}' AND kpi_code = 'TRL02-2'", "equal"),
    "a value raised": ("items.parquet", f"UPDATE t SET value = 99 WHERE kato = '{ASTANA}' AND kpi_code = 'TRL02-2'", "equal"),
    "a value and its score raised": ("items.parquet", "UPDATE t SET value = 80, score = 100 WHERE kpi_code = 'TRL02-2'", "equal"),
    "a weight": ("items.parquet", "UPDATE t SET weight = weight * 2 WHERE kpi_code = 'TRL02-2'", "equal"),
    "another city's score": ("items.parquet", f"UPDATE t SET score = 0 WHERE kato = '{ALMATY}'", "equal"),
    "another city taken out": ("items.parquet", f"DELETE FROM t WHERE kato = '{ALMATY}'", "equal"),
    "a floor": ("scales.parquet", "UPDATE t SET floor = 0 WHERE kpi_code = 'MGT02-1'", "equal"),
    "a given weight": ("weights.parquet", "UPDATE t SET weight = 1", "equal"),
    "the ledger": ("ledger.parquet", "UPDATE t SET detail = '{}' WHERE kind = 'assessed'", "ledger_intact"),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
def test_a_changed_pack_of_a_level_is_found(assessed: Store, tmp_path: Path, what: str) -> None:
    name, sql, answer = ATTACKS[what]
    write_pack(assessed, explain_level(assessed, "LEVEL", ASTANA, "2026"), tmp_path / "pack")
    _edit(tmp_path / "pack" / name, sql)
    assert recompute(tmp_path / "pack")[answer] is False


# ---- sums over a territory or a year


def closed(kato: str, count: int, late: int, days: int = 3, month: int = 1) -> list[dict[str, object]]:
    day = AT(2026, month, 5)
    return [
        {"kato": kato, "appeal_id": f"{kato}-{month}-{n}", "registered_at": day, "due_at": day + dt.timedelta(days=9), "status": "CLOSED",
         "first_answer_at": day + dt.timedelta(days=days + n % 3), "closed_at": day + dt.timedelta(days=12 if n < late else 3), "is_emergency": False}
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def summed(store: Store) -> Store:
    rows = closed(ASTANA, 40, 7) + closed(ALMATY, 33, 20, 5)
    deliver(store, "fct_appeal", Extract(rows, "2026-01", "KZ"))
    deliver(store, "fct_appeal", Extract(closed(ASTANA, 12, 1, month=2), "2026-02", "KZ"))
    compute(store, LISTS, ["2026-01", "2026-02"], codes=["MGT02-1", "MGT02-2"], today=LATER)
    return store


def sum_of(store: Store, code: str, area: str, period: str) -> Rollup:
    found = find_rollup(store, LISTS, code, area, period)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "area", "period"),
    [
        ("MGT02-1", "KZ", "2026-01"),
        ("MGT02-1", "republican", "2026"),
        ("MGT02-1", "Astana", "2026"),
        ("MGT02-2", "KZ", "2026-01"),
        ("MGT02-2", "KZ", "2026"),
        ("MGT02-1", "regional", "2026-01"),  # nothing in it
    ],
)
def test_a_pack_of_a_sum_is_recomputed(summed: Store, tmp_path: Path, code: str, area: str, period: str) -> None:
    one = sum_of(summed, code, area, period)
    write_pack(summed, one, tmp_path / "pack")
    found = recompute(tmp_path / "pack")
    assert found["equal"] is found["ledger_intact"] is True, found
    told = json.loads((tmp_path / "pack" / "value.json").read_text(encoding="utf-8"))
    assert (told["value"], told["counted"]) == (one.answer["value"], one.answer["counted"])
    assert differing_columns(summed.con) == []


def test_the_sum_of_a_cell_is_none(summed: Store) -> None:
    assert find_rollup(summed, LISTS, "MGT02-1", "Astana", "2026-01") is None


SUM_ATTACKS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a numerator": ("MGT02-1", lambda p: _edit(p / "cells.parquet", "UPDATE t SET numerator = numerator + 1 WHERE counts")),
    "a cell taken out": ("MGT02-1", lambda p: _edit(p / "cells.parquet", f"DELETE FROM t WHERE kato = '{ALMATY}'")),
    "a cell made not to count": ("MGT02-1", lambda p: _edit(p / "cells.parquet", f"UPDATE t SET counts = false WHERE kato = '{ALMATY}'")),
    "events of a quantile": ("MGT02-2", lambda p: _edit(p / "rows/fct_appeal.parquet", f"DELETE FROM t WHERE kato = '{ALMATY}'")),
}  # fmt: skip


@pytest.mark.parametrize("what", SUM_ATTACKS)
def test_a_changed_pack_of_a_sum_is_found(summed: Store, tmp_path: Path, what: str) -> None:
    code, attack = SUM_ATTACKS[what]
    write_pack(summed, sum_of(summed, code, "KZ", "2026-01"), tmp_path / "pack")
    attack(tmp_path / "pack")
    assert recompute(tmp_path / "pack")["equal"] is False


# ---- as a person types it


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = new_home(tmp_path_factory.mktemp("standing") / "home")
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract(closed(ASTANA, 40, 7) + closed(ALMATY, 33, 20, 5), "2026-01", "KZ"))
        compute(store, LISTS, ["2026-01"], codes=["MGT02-1", "MGT02-2"], today=LATER)
        assess(store, ruled(LISTS.lists[0], minimum_periods=0.01, minimum_coverage=0.1), 2026)
    publish(home, lambda _: [])
    return home


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "level", "Астана", "2026"], "equal to what is kept"),
        (["explain", "place", "Astana", "2026"], "settlements of the group republican"),
        (["explain", "MGT02", "Astana", "2026"], "the sum: weight x score"),
        (["evidence", "place", "Astana", "2026"], "README.md in it says how to check it"),
        (["evidence", "MGT02-1", "KZ", "2026-01"], "README.md in it says how to check it"),
    ],
)
def test_the_commands(released: Home, tmp_path: Path, words: list[str], said: str) -> None:
    more = ["--to", str(tmp_path / "pack")] if words[0] == "evidence" else []
    result = cli.invoke(app, [*words, *more, "--home", str(released.root)])
    assert result.exit_code == 0, result.output
    assert said in " ".join(result.output.split())
    if more:
        text = (tmp_path / "pack" / "README.md").read_text(encoding="utf-8")
        assert text.count("sha256sum --check SHA256SUMS") == text.count("Get-FileHash -Algorithm SHA256") == 2
        assert recompute(tmp_path / "pack")["equal"] is True
        shutil.rmtree(tmp_path / "pack")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "level", "Astana", "2024"], "assessed: 2026"),
        (["explain", "place", "Astnaa", "2026"], "Astana"),
        (["evidence", "MGT02-1", "KZ", "2026-01", "--files"], "files stand behind a cell"),
        (["explain", "level", "Astana", "2026", "--catalogue", "other"], "no assessment of 2026"),
    ],
)
def test_what_does_not_exist_is_told(released: Home, words: list[str], said: str) -> None:
    result = cli.invoke(app, [*words, "--home", str(released.root)])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


def test_a_release_is_enough(released: Home) -> None:
    with reading(released) as store:
        assert explain_level(store, "LEVEL", ASTANA, "2026")["sum"]["equal"]
