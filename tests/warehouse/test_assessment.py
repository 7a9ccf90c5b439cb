"""The annual assessment: coverage, achievement and level by hand, places inside a group only, drafts and frozen versions."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_definitions.model import AssessmentRules, Category, GroupScales, Scale, Weights
from tests.support.assessments import (
    CATALOGUE,
    CODES,
    HUNDRED,
    LISTS,
    REPUBLICAN,
    VALUES,
    WEIGHTS,
    of_codes,
    put,
    ruled,
)
from tests.support.rows import LATER, Extract, changed, deliver, only
from tests.support.settlements import ALMATY, ASTANA, AYAGOZ, KURCHATOV, SEMEY, SHYMKENT
from warehouse.errors import StoreError
from warehouse.home.account import account
from warehouse.kpi_values.assessment import Item, Node, _nodes, _places, _weights, assess
from warehouse.kpi_values.compute import compute
from warehouse.store.store import Store

AT = dt.datetime  # local civil time, as the warehouse keeps it
PARTS = ("assessment", "assessment_item", "assessment_score", "assessment_rank")


def nodes(store: Store, kato: str = ASTANA) -> dict[str, list[Any]]:
    """Coverage, achievement and level by node; the settlement's own under ''."""
    rows = store.con.execute(
        "SELECT CASE WHEN node_kind = 'settlement' THEN '' ELSE node END, coverage, achievement, level FROM kpi.assessment_score WHERE kato = ?",
        [kato],
    ).fetchall()
    assert len(rows) == len({row[0] for row in rows})
    return {name: rest for name, *rest in rows}


def near(*numbers: float | None) -> Any:
    return pytest.approx(list(numbers), abs=1e-8)


def items(store: Store, kato: str = ASTANA) -> dict[str, tuple[Any, ...]]:
    """Score and weight by KPI."""
    rows = store.con.execute("SELECT kpi_code, score, weight FROM kpi.assessment_item WHERE kato = ?", [kato])
    return {code: (score, weight) for code, score, weight in rows.fetchall()}


def places(store: Store, *katos: str) -> list[tuple[Any, ...]]:
    """State, place, best and worst place of some settlements."""
    select = "SELECT state, rank, rank_best, rank_worst FROM kpi.assessment_rank WHERE kato = ?"
    return [store.con.execute(select, [kato]).fetchall()[0] for kato in katos]


def dump(store: Store, number: int) -> list[list[tuple[Any, ...]]]:
    return [
        store.con.execute(f"SELECT * FROM kpi.{table} WHERE assessment_id = ? ORDER BY ALL", [number]).fetchall()
        for table in PARTS
    ]


# ---- coverage, achievement, level


def test_levels_by_hand_with_unequal_weights(store: Store) -> None:
    """Sphere MGT weighs 2 of 4; in it MGT02 3 of 4; in that MGT02-1 4 of 5. Nothing came of TRL02-2."""
    put(store, VALUES | {"TRL02-2": "L"})
    made = assess(store, ruled(weights=WEIGHTS), 2026)
    found = items(store)
    assert {c: w for c, (_, w) in found.items()} == pytest.approx(
        {"MGT01-2": 0.125, "MGT02-1": 0.3, "MGT02-2": 0.075, "TRL02-2": 0.25, "ECO01-1": 0.25}, abs=1e-12)  # fmt: skip
    assert {c: s for c, (s, _) in found.items()} == {"MGT01-2": 40, "MGT02-1": 80, "MGT02-2": 60, "TRL02-2": None, "ECO01-1": 75}  # fmt: skip
    levels_of = nodes(store)
    assert levels_of["MGT02"] == near(1, 76, 76)  # (4 * 80 + 60) / 5
    assert levels_of["MGT01"] == near(1, 40, 40)
    assert levels_of["MGT"] == near(1, 67, 67)  # (40 + 3 * 76) / 4
    assert levels_of["TRL02"] == levels_of["TRL"] == [0, None, 0]
    assert levels_of["ECO01"] == levels_of["ECO"] == near(1, 75, 75)
    assert levels_of[""] == near(0.75, 209 / 3, 52.25)  # (2 * 67 + 75) over the 3 calculable and the 4 that apply
    assert (made.year, made.status, made.version) == (2026, "draft", 0)
    assert (made.ranked, made.insufficient) == (1, 89)
    row = store.con.execute("SELECT coverage_percent, achievement, level FROM scorecard WHERE kato = ?", [ASTANA])
    assert row.fetchall() == [(75, 69.7, 52.3)]  # 52.25 is rounded half away from nought
    kept = store.con.execute(
        "SELECT calculable, value, obs_status, reason FROM kpi.assessment_item WHERE kato = ? AND kpi_code IN ('TRL02-2', 'ECO01-1') ORDER BY kpi_code",
        [ASTANA],
    ).fetchall()
    assert kept == [(True, 20, "A", None), (False, None, "L", "made up")]


@pytest.mark.parametrize("gone", ["M", "Q"])
def test_what_does_not_apply_gives_its_weight_to_its_neighbours(store: Store, gone: str) -> None:
    put(store, VALUES | {"MGT02-2": gone, "TRL02-2": gone})
    assess(store, ruled(weights=WEIGHTS), 2026)
    assert {code: weight for code, (_, weight) in items(store).items()} == pytest.approx(
        {"MGT01-2": 1 / 6, "MGT02-1": 1 / 2, "ECO01-1": 1 / 3}
    )
    found = nodes(store)
    assert set(found) == {"MGT01", "MGT02", "ECO01", "MGT", "ECO", ""}
    assert found["MGT"] == near(1, 70, 70)  # (40 + 3 * 80) / 4
    assert found[""] == near(1, 215 / 3, 215 / 3)  # (2 * 70 + 75) / 3


def test_a_kpi_that_is_not_for_the_group_does_not_count_there(store: Store) -> None:
    kpi = LISTS.latest("TRL02-2").model_copy(update={"categories": (Category.REGIONAL,)})
    for kato in (ASTANA, SEMEY):
        put(store, {"MGT01-2": 40, "TRL02-2": 20}, kato)  # Astana has a value all the same: it is not asked for
    catalogue = ruled(only(changed(LISTS, kpi), "MGT01-2", "TRL02-2").lists[0])
    assess(store, catalogue, 2026)
    assert items(store) == {"MGT01-2": (40, 1)}
    assert items(store, SEMEY) == {"MGT01-2": (40, 0.5), "TRL02-2": (25, 0.5)}
    assert nodes(store)[""] == near(1, 40, 40)
    assert nodes(store, SEMEY)[""] == near(1, 32.5, 32.5)


def test_a_settlement_to_which_nothing_applies_is_left_out(store: Store) -> None:
    kpi = LISTS.latest("MGT01-2").model_copy(update={"categories": (Category.REPUBLICAN,)})
    put(store, {"MGT01-2": "M"}, ALMATY)
    made = assess(store, ruled(only(changed(LISTS, kpi), "MGT01-2").lists[0]), 2026)
    left = store.con.execute("SELECT kato FROM kpi.assessment_rank ORDER BY 1").fetchall()
    assert left == [(ASTANA,), (SHYMKENT,)]
    assert (made.ranked, made.insufficient) == (0, 2)


def test_what_was_never_computed_costs_coverage(store: Store) -> None:
    put(store, {"MGT01-2": 80})
    assess(store, of_codes("MGT01-2", "TRL02-2"), 2026)
    assert nodes(store)[""] == near(0.5, 80, 40)
    kept = store.con.execute(
        "SELECT calculable, obs_status, text_en FROM kpi.assessment_item JOIN registry.message ON message = reason "
        "WHERE kpi_code = 'TRL02-2' AND kato = ?",
        [ASTANA],
    ).fetchall()
    assert kept == [(False, None, "not computed for 2026")]
    assert nodes(store, ALMATY)[""] == [0, None, 0]


def test_values_of_other_years_and_former_values_do_not_count(store: Store) -> None:
    put(store, {"MGT01-2": 80}, year="2025")
    put(store, {"TRL02-2": 60})
    store.con.execute("INSERT INTO kpi.value SELECT * REPLACE (99 AS value, 7 AS valid_to_seq) FROM kpi.value")
    assess(store, of_codes("MGT01-2", "TRL02-2"), 2026)
    assert items(store) == {"MGT01-2": (None, 0.5), "TRL02-2": (60, 0.5)}


@pytest.mark.parametrize(
    ("value", "score"), [(-5, 0), (50, 0), (50.5, 1), (75, 50), (100, 100), (250, 100)], ids=str
)  # fmt: skip
def test_scores_stay_within_0_and_100(store: Store, value: float, score: float) -> None:
    put(store, {"MGT02-1": value})
    assess(store, of_codes("MGT02-1", scales={"MGT02-1": Scale(floor=50, goal=100)}), 2026)
    assert items(store)["MGT02-1"] == (score, 1)


@pytest.mark.parametrize(("value", "score"), [(-1, 100), (0, 100), (2.5, 75), (7.5, 25), (10, 0), (400, 0)])
def test_lower_is_better(store: Store, value: float, score: float) -> None:
    put(store, {"MGT02-2": value})
    assess(store, of_codes("MGT02-2", scales={"MGT02-2": Scale(floor=10, goal=0)}), 2026)
    assert items(store)["MGT02-2"] == (score, 1)


def test_every_group_has_its_own_scale(store: Store) -> None:
    scales = GroupScales(
        republican=Scale(floor=0, goal=100), regional=Scale(floor=0, goal=80), district=Scale(floor=20, goal=60)
    )
    for kato in (ASTANA, SEMEY, AYAGOZ):
        put(store, {"MGT01-2": 40}, kato)
    assess(store, of_codes("MGT01-2", scales={"MGT01-2": scales}), 2026)
    assert [items(store, kato)["MGT01-2"][0] for kato in (ASTANA, SEMEY, AYAGOZ)] == [40, 50, 50]


@given(
    data=st.data(),
    scores=st.dictionaries(st.sampled_from(CODES), st.none() | st.floats(0, 100), min_size=1),
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_level_is_coverage_times_achievement_at_every_node(
    data: st.DataObject, scores: dict[str, float | None]
) -> None:
    weight = st.floats(0.01, 100)
    weights = Weights(
        spheres=data.draw(st.dictionaries(st.sampled_from(["MGT", "TRL", "ECO"]), weight)),
        initiatives=data.draw(st.dictionaries(st.sampled_from(["MGT01", "MGT02", "TRL02"]), weight)),
        kpis=data.draw(st.dictionaries(st.sampled_from(CODES), weight)),
    )
    rules = ruled(weights=weights).assessments[0]
    share = _weights(CATALOGUE, rules, [*scores])
    shared = [Item(c, s, "L" if s is None else "A", None, share[c], s, s, s) for c, s in scores.items()]
    assert math.fsum(i.weight for i in shared) == pytest.approx(1, abs=1e-12)
    assert all(i.weight > 0 for i in shared)
    found = _nodes(CATALOGUE, rules, shared)
    for node in found.values():
        assert node.level == pytest.approx(node.coverage * (node.achievement or 0), abs=1e-6)
        assert (node.achievement is None) == (node.coverage == 0)
        assert 0 <= node.coverage <= 1
        assert 0 <= node.level <= (node.achievement or 0) + 1e-6 <= 100 + 2e-6
    # the same by nested weighted means, from the KPIs up
    initiatives = sorted({c.partition("-")[0] for c in scores})

    def mean(pairs: Sequence[tuple[float, float]]) -> float:
        return math.fsum(w * v for w, v in pairs) / math.fsum(w for w, _ in pairs)

    level = {
        i: mean([(weights.kpis.get(c, 1), s or 0) for c, s in scores.items() if c.startswith(f"{i}-")])
        for i in initiatives
    }
    sphere = {
        s: mean([(weights.initiatives.get(i, 1), level[i]) for i in initiatives if i.startswith(s)])
        for s in {i[:3] for i in initiatives}
    }
    whole = mean([(weights.spheres.get(s, 1), v) for s, v in sphere.items()])
    for kind, wanted in (("initiative", level), ("sphere", sphere), ("settlement", {"": whole})):
        assert {code: n.level for (k, code), n in found.items() if k == kind} == pytest.approx(wanted, abs=1e-6)


# ---- years made of months


@pytest.mark.parametrize(("months", "enough"), [(5, False), (6, True)])
def test_a_year_needs_enough_of_its_months(store: Store, months: int, enough: bool) -> None:
    """From the rows on: appeals of half of the months are enough for a minimum of one half, five of twelve are not."""
    year = [f"2026-{m:02}" for m in range(1, 13)]
    for month in year[:months]:
        day = AT(2026, int(month[5:]), 10)
        rows = [{"due_at": day, "closed_at": day + dt.timedelta(days=n), "status": "CLOSED"} for n in (0, 0, 0, 1)]
        deliver(store, "fct_appeal", Extract(rows, month))
    catalogue = only(LISTS, "MGT02-1")
    compute(store, catalogue, year, today=LATER)
    made = assess(store, of_codes("MGT02-1"), 2026)
    kept = store.con.execute(
        "SELECT calculable, value, obs_status, score, text_en FROM kpi.assessment_item JOIN registry.message ON message = reason "
        "WHERE kato = ?",
        [ASTANA],
    ).fetchall()
    if enough:
        assert kept == [(True, 75, "U", 75, "made of 6 of 12 cells")]
        assert (made.ranked, places(store, ASTANA)) == (1, [("ranked", 1, 1, 1)])
    else:
        reason = "values for 42 % of the year's periods, fewer than 50 %"
        assert kept == [(False, None, "U", None, reason)]
        assert nodes(store)[""] == [0, None, 0]


# ---- places


def levels(store: Store, values: Mapping[str, float], codes: Sequence[str] = ("MGT01-2",), **update: Any) -> None:
    for kato, value in values.items():
        put(store, dict.fromkeys(codes, value), kato)
    assess(store, of_codes(*codes, **update), 2026)


def test_places_are_given_inside_a_group_only(store: Store) -> None:
    levels(store, {ASTANA: 50, ALMATY: 60, SEMEY: 10, KURCHATOV: 5, AYAGOZ: 1})
    found = places(store, ALMATY, ASTANA, SEMEY, KURCHATOV, AYAGOZ)
    assert [rank for _, rank, *_ in found] == [1, 2, 1, 2, 1]
    groups = dict(store.con.execute("SELECT kato, item7_group FROM kpi.assessment_rank").fetchall())
    assert [groups[kato] for kato in (ALMATY, KURCHATOV, AYAGOZ)] == ["republican", "regional", "district"]


def test_equal_levels_share_a_place(store: Store) -> None:
    levels(store, {ASTANA: 50, ALMATY: 50, SHYMKENT: 20})
    assert places(store, *REPUBLICAN) == [("ranked", 1, 1, 1), ("ranked", 1, 1, 1), ("ranked", 3, 3, 3)]


def test_the_same_level_by_other_weights_is_a_tie_too(store: Store) -> None:
    """What applies differs, the level is the same under any weights: floating-point noise may not decide."""
    for kato, gone in ((ASTANA, None), (ALMATY, "MGT02-2"), (SHYMKENT, "MGT02-1")):
        put(store, {code: "M" if code == gone else 33.3 for code in ("MGT02-1", "MGT02-2", "TRL02-2")}, kato)
    weights = Weights(kpis={"MGT02-1": 0.1}, spheres={"MGT": 0.3})
    assess(store, of_codes("MGT02-1", "MGT02-2", "TRL02-2", weights=weights), 2026)
    assert places(store, *REPUBLICAN) == [("ranked", 1, 1, 1)] * 3


def test_insufficient_coverage_is_not_ranked(store: Store) -> None:
    """The best of the three misses the minimum; the one that just meets it is ranked."""
    put(store, {"MGT01-2": 100}, ASTANA)  # 1 of 5
    put(store, {"MGT01-2": 10, "TRL02-2": 10, "ECO01-1": 10}, ALMATY)  # two spheres and half of the third
    put(store, dict.fromkeys(CODES, 5), SHYMKENT)
    weights = Weights(spheres={"MGT": 2, "TRL": 0.5, "ECO": 0.5}, kpis={"MGT02-1": 1})
    made = assess(store, of_codes(*CODES, minimum_coverage=2 / 3, weights=weights), 2026)
    assert nodes(store, ALMATY)[""] == near(2 / 3, 10, 20 / 3)
    found = places(store, *REPUBLICAN)
    assert found[0] == ("insufficient coverage", None, None, None)
    assert [state for state, *_ in found[1:]] == ["ranked", "ranked"]
    assert [rank for _, rank, *_ in found[1:]] == [1, 2]
    assert (made.ranked, made.insufficient) == (2, 88)


@pytest.mark.parametrize(("minimum", "state"), [(0.6, "ranked"), (0.61, "insufficient coverage")])
def test_the_minimum_coverage_itself_is_enough(store: Store, minimum: float, state: str) -> None:
    """Three KPIs of five, of one weight each: 60 %, whatever the floating-point sum is."""
    put(store, dict.fromkeys(("MGT01-2", "MGT02-1", "MGT02-2"), 50))
    weights = Weights(spheres={"MGT": 3}, initiatives={"MGT02": 2})
    assess(store, of_codes(*CODES, minimum_coverage=minimum, weights=weights), 2026)
    assert nodes(store)[""][0] == 0.6
    assert places(store, ASTANA)[0][0] == state


def test_nobody_ranked(store: Store) -> None:
    made = assess(store, of_codes("MGT01-2"), 2026)
    assert (made.ranked, made.insufficient) == (0, 90)
    assert store.con.execute("SELECT DISTINCT state, rank FROM kpi.assessment_rank").fetchall() == [
        ("insufficient coverage", None)
    ]


def test_the_interval_tries_each_kpi_left_out(store: Store) -> None:
    """Astana 65 and Almaty 60, but 40 and 70 without the first KPI; Shymkent is behind whatever is left out."""
    for kato, first, second in ((ASTANA, 90, 40), (ALMATY, 50, 70), (SHYMKENT, 10, 20)):
        put(store, {"MGT01-2": first, "TRL02-2": second}, kato)
    assess(store, of_codes("MGT01-2", "TRL02-2", weight_change=0), 2026)
    assert places(store, *REPUBLICAN) == [("ranked", 1, 1, 2), ("ranked", 2, 1, 2), ("ranked", 3, 3, 3)]


def test_without_changes_and_with_one_kpi_there_is_no_interval(store: Store) -> None:
    levels(store, {ASTANA: 50, ALMATY: 60, SHYMKENT: 10}, weight_change=0)
    assert places(store, *REPUBLICAN) == [("ranked", 2, 2, 2), ("ranked", 1, 1, 1), ("ranked", 3, 3, 3)]


def close_race(change: float) -> list[tuple[str | int | None, ...]]:
    """Twenty KPIs of one weight: ahead by a point in eleven, behind by a point in eight and by 1.5 points in one.

    The lead of 1.5 points outlives any one KPI left out and weights changed by up to 7 % (20.5 x 7 % = 1.4), not by 90 %.
    """
    scores = [1.0] * 11 + [-1.0] * 8 + [-1.5]
    mine = [Item(f"X{n:02}-1", 1, "A", None, 1 / 20, 50 + d / 2, 50, 50) for n, d in enumerate(scores)]
    theirs = [Item(f"X{n:02}-1", 1, "A", None, 1 / 20, 50 - d / 2, 50, 50) for n, d in enumerate(scores)]
    rules = ruled(weight_change=change).assessments[0]
    whole = Node(1.0, 50.0, 50.0, 50.0, 50.0)
    found = _places(rules, {"a": "x", "b": "x"}, {"a": mine, "b": theirs}, {"a": whole, "b": whole})
    return [found["a"][:4], found["b"][:4]]


def test_the_interval_widens_with_the_change_of_weights() -> None:
    firm = [("ranked", 1, 1, 1), ("ranked", 2, 2, 2)]
    open_ = [("ranked", 1, 1, 2), ("ranked", 2, 1, 2)]
    assert [close_race(change) for change in (0, 0.07)] == [firm, firm]
    assert close_race(0.9) == open_


@given(
    rows=st.lists(st.lists(st.integers(0, 100), min_size=4, max_size=4), min_size=1, max_size=5),
    change=st.floats(0, 0.9),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_the_interval_contains_the_place(rows: list[list[int]], change: float) -> None:
    rules = ruled(weight_change=change).assessments[0]
    made = {
        str(n): [Item(f"X{i}-1", s, "A", None, 0.25, float(s), 0.0, 0.0) for i, s in enumerate(row)]
        for n, row in enumerate(rows)
    }
    wholes = {k: Node(1.0, 0.0, 0.0, 0.0, 0.0) for k in made}
    groups = dict.fromkeys(made, "x")
    found = _places(rules, groups, made, wholes)
    for n, row in enumerate(rows):
        state, rank, best, worst, *_ = found[str(n)]
        assert rank is not None
        assert best is not None
        assert worst is not None
        assert state == "ranked"
        assert rank == 1 + sum(sum(other) > sum(row) for other in rows)
        assert 1 <= best <= rank <= worst <= len(rows)
    assert _places(rules, groups, made, wholes) == found
    # the order in which settlements come decides nothing
    assert _places(rules, groups, dict(reversed(made.items())), wholes) == found


def test_the_same_data_give_the_same_assessment(store: Store) -> None:
    for n, kato in enumerate(REPUBLICAN):
        put(store, {code: value + n for code, value in VALUES.items()}, kato)
    catalogue = ruled(weights=WEIGHTS)
    one, two = (assess(store, catalogue, 2026, freeze=True, reason="twice").assessment_id for _ in range(2))
    first, second = ([[row[1:] for row in table] for table in dump(store, n)[1:]] for n in (one, two))
    assert one != two
    assert first == second


def test_levels_and_places_have_the_bounds_of_their_values(store: Store) -> None:
    """Astana 60 within 55 to 75, Almaty 70 within 70 to 72, Shymkent 40 without bounds: it may be anything."""
    catalogue = of_codes("MGT02-1")
    for kato, value, low, high in zip(REPUBLICAN, (60, 70, 40), (55, 70, None), (75, 72, None), strict=True):
        put(store, {"MGT02-1": value}, kato)
        store.con.execute("UPDATE kpi.value SET value_low = ?, value_high = ? WHERE kato = ?", [low, high, kato])
    assess(store, catalogue, 2026)
    told = "SELECT level, level_low, level_high FROM kpi.assessment_score WHERE kato = ? AND node_kind = ?"
    for kind in ("initiative", "sphere", "settlement"):
        found = [store.con.execute(told, [kato, kind]).fetchall() for kato in REPUBLICAN]
        assert found == [[(60, 55, 75)], [(70, 70, 72)], [(40, 0, 100)]]
    places = "SELECT rank, rank_best, rank_worst, rank_high, rank_low FROM kpi.assessment_rank WHERE kato = ?"
    assert [store.con.execute(places, [kato]).fetchall()[0] for kato in REPUBLICAN] == [
        (2, 2, 2, 1, 3), (1, 1, 1, 1, 3), (3, 3, 3, 1, 3)]  # fmt: skip


def test_the_better_bound_is_told_by_the_direction(store: Store) -> None:
    """Floor 10, goal 0: less is better. What was not computed has no bounds and gives no points."""
    put(store, {"MGT02-1": 4})
    store.con.execute("UPDATE kpi.value SET value_low = 2, value_high = 7")
    assess(store, of_codes("MGT02-1", "MGT02-2", scales={"MGT02-1": Scale(floor=10, goal=0), "MGT02-2": HUNDRED}), 2026)
    found = "SELECT kpi_code, score, score_low, score_high FROM kpi.assessment_item WHERE kato = ? ORDER BY 1"
    assert store.con.execute(found, [ASTANA]).fetchall() == [("MGT02-1", 60, 30, 80), ("MGT02-2", None, None, None)]
    whole = "SELECT level, level_low, level_high FROM kpi.assessment_score WHERE kato = ? AND node_kind = 'settlement'"
    assert store.con.execute(whole, [ASTANA]).fetchall() == [(30, 15, 40)]


# ---- drafts and frozen versions


def known(store: Store) -> list[tuple[Any, ...]]:
    return store.con.execute(
        "SELECT year, catalogue_id, status, version, reason FROM kpi.assessment ORDER BY ALL"
    ).fetchall()


def test_a_draft_is_replaced(store: Store) -> None:
    put(store, {"MGT01-2": 40})
    assess(store, of_codes("MGT01-2"), 2026)
    put(store, {"MGT01-2": 70})
    made = assess(store, of_codes("MGT01-2"), 2026)
    assert known(store) == [(2026, "qala-proposal", "draft", 0, None)]
    for table in PARTS:
        assert store.con.execute(f"SELECT DISTINCT assessment_id FROM kpi.{table}").fetchall() == [
            (made.assessment_id,)
        ]
    assert items(store) == {"MGT01-2": (70, 1)}
    assert [len(rows) for rows in dump(store, made.assessment_id)] == [1, 90, 3 * 90, 90]


def test_a_draft_replaces_only_that_of_its_year_and_catalogue(store: Store) -> None:
    put(store, {"MGT01-2": 40})
    put(store, {"MGT01-2": 30}, year="2025")
    one = of_codes("MGT01-2")
    other = replace(one, head=one.head.model_copy(update={"id": "another"}))
    for catalogue, year in ((one, 2026), (one, 2025), (other, 2026), (one, 2026)):
        assess(store, catalogue, year)
    assert [row[:3] for row in known(store)] == [(2025, "qala-proposal", "draft"), (2026, "another", "draft"), (2026, "qala-proposal", "draft")]  # fmt: skip
    rows = store.con.execute(
        "SELECT a.year, a.catalogue_id, i.score FROM kpi.assessment_item i JOIN kpi.assessment a USING (assessment_id) WHERE kato = ? ORDER BY ALL",
        [ASTANA],
    ).fetchall()
    assert rows == [(2025, "qala-proposal", 30), (2026, "another", 40), (2026, "qala-proposal", 40)]


def test_a_frozen_assessment_is_made_again_with_a_reason_only(store: Store) -> None:
    catalogue = of_codes("MGT01-2")
    put(store, {"MGT01-2": 40})
    first = assess(store, catalogue, 2026, freeze=True)
    assert (first.status, first.version) == ("frozen", 1)
    kept = dump(store, first.assessment_id)
    put(store, {"MGT01-2": 70})
    for reason in (None, "", "  "):
        head = store.last_seq
        with pytest.raises(StoreError, match="2026 has a frozen assessment, version 1: say why it is made again with"):
            assess(store, catalogue, 2026, freeze=True, reason=reason)
        assert (store.last_seq, known(store)) == (head, [(2026, "qala-proposal", "frozen", 1, None)])
    second = assess(store, catalogue, 2026, freeze=True, reason="Astana delivered late")
    assert (second.status, second.version) == ("frozen", 2)
    assert known(store) == [(2026, "qala-proposal", "frozen", 1, None), (2026, "qala-proposal", "frozen", 2, "Astana delivered late")]  # fmt: skip
    draft = assess(store, catalogue, 2026)
    assert len({first.assessment_id, second.assessment_id, draft.assessment_id}) == 3
    assert dump(store, first.assessment_id) == kept
    scores = "SELECT score FROM kpi.assessment_item WHERE (assessment_id, kato) = (?, ?)"
    assert [store.con.execute(scores, [a.assessment_id, ASTANA]).fetchall() for a in (first, second)] == [
        [(40,)],
        [(70,)],
    ]


def test_a_frozen_year_does_not_bind_another_year_or_catalogue(store: Store) -> None:
    catalogue = of_codes("MGT01-2")
    assess(store, catalogue, 2026, freeze=True)
    assert assess(store, catalogue, 2025, freeze=True).version == 1
    other = replace(catalogue, head=catalogue.head.model_copy(update={"id": "another"}))
    assert assess(store, other, 2026, freeze=True).version == 1


def test_the_scorecard_shows_the_newest_version(store: Store) -> None:
    catalogue = of_codes("MGT01-2")
    shown = "SELECT year, status, version, level, rank FROM scorecard WHERE kato = ? ORDER BY year"
    for value, frozen, expected in (
        (10, False, (2026, "draft", 0, 10, 1)),
        (20, True, (2026, "frozen", 1, 20, 1)),
        (30, False, (2026, "frozen", 1, 20, 1)),
        (40, True, (2026, "frozen", 2, 40, 1)),
    ):
        put(store, {"MGT01-2": value})
        assess(store, catalogue, 2026, freeze=frozen, reason="again")
        assert store.con.execute(shown, [ASTANA]).fetchall() == [expected]
        assert store.con.execute("SELECT count(*) FROM scorecard").fetchone() == (90,)
    put(store, {"MGT01-2": 5}, year="2025")
    assess(store, catalogue, 2025)
    assert store.con.execute(shown, [ASTANA]).fetchall() == [(2025, "draft", 0, 5, 1), (2026, "frozen", 2, 40, 1)]


def test_an_assessment_is_recorded_with_its_rules(store: Store) -> None:
    put(store, {"MGT01-2": 40})
    catalogue, head = of_codes("MGT01-2"), store.last_seq
    made = assess(store, catalogue, 2026, freeze=True, reason="the first", by="The commission")
    row = store.con.execute("SELECT kind, subject, detail FROM audit.ledger WHERE seq = ?", [head + 1]).fetchone()
    assert row is not None
    assert row[:2] == ("assessed", "2026")
    assert json.loads(row[2]) == {
        "assessment": made.assessment_id, "catalogue": "qala-proposal", "version": 1, "as_of": head, "rules": "test 1", "ranked": 1,
        "reason": "the first", "by": "The commission", "account": account()}  # fmt: skip
    kept = store.con.execute(
        "SELECT catalogue_version, rules_version, rules, as_of_seq, made_at <= now() FROM kpi.assessment"
    ).fetchall()
    assert [(*kept[0][:2], *kept[0][3:])] == [(catalogue.head.version, "test 1", head, True)]
    assert AssessmentRules.model_validate_json(kept[0][2]) == catalogue.assessments[0]


def test_without_rules_there_is_no_assessment(store: Store) -> None:
    bare = replace(CATALOGUE, assessments=())
    before = store.last_seq
    with pytest.raises(StoreError, match="catalogue qala-proposal has no assessment rules for 2026; add them under"):
        assess(store, bare, 2026)
    with pytest.raises(StoreError, match="no assessment rules for 2024"):
        assess(store, ruled(), 2024)
    assert (store.last_seq, known(store)) == (before, [])


def test_each_year_has_its_rules(store: Store) -> None:
    later = ruled().assessments[0].model_copy(update={"version": "test 2", "valid_from": 2026})
    catalogue = ruled(CATALOGUE, later)
    for year in (2025, 2026, 2027):
        assess(store, catalogue, year)
    assert store.con.execute("SELECT year, rules_version FROM kpi.assessment ORDER BY 1").fetchall() == [
        (2025, "test 1"), (2026, "test 2"), (2027, "test 2")]  # fmt: skip


def test_kpis_count_in_the_years_they_are_in_force(store: Store) -> None:
    """One ended before the year, one with the year, one within it, one starts within it, one after it."""
    day = dt.date
    spans = {
        "MGT01-2": (day(2000, 1, 1), day(2026, 1, 1)),
        "MGT02-1": (day(2000, 1, 1), day(2027, 1, 1)),
        "MGT02-2": (day(2000, 1, 1), day(2026, 7, 1)),
        "TRL02-2": (day(2026, 7, 1), None),
        "ECO01-1": (day(2027, 1, 1), None),
    }
    kpis = [LISTS.latest(c).model_copy(update={"valid_from": a, "valid_to": b}) for c, (a, b) in spans.items()]
    put(store, VALUES)
    assess(store, ruled(changed(LISTS, *kpis).lists[0]), 2026)
    assert set(items(store)) == {"MGT02-1", "TRL02-2"}  # what ended within the year was not in force at its end
