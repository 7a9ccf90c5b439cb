"""How a settlement's level and its place in its item 7 group came about: the sum of weight x score, KPI by KPI, and the figures of
the other settlements that decide the place. Reads the release only.

Does not belong here: what a KPI's own value is made of (explain.py), making an assessment (warehouse/kpi_values/assessment.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kpi_definitions.model import AssessmentRules, Category
from warehouse.audit.asked import LEVEL_WORDS, typed
from warehouse.audit.explain import UnknownError, find_settlement, refuse_order
from warehouse.messages.messages import DEFAULT, figure, recorded, told_in
from warehouse.sql import literal, statement
from warehouse.store.store import Store

_PRECISION = 9  # digits after the point of a level, as it is kept; places go by six
_NODE_TABLES = {"sphere": "registry.sphere", "initiative": "registry.initiative"}
_FIGURES = ("level", "level_low", "level_high", "coverage", "achievement")
_RANKS = ("state", "rank", "rank_best", "rank_worst", "rank_low", "rank_high")


def asks_for_level(store: Store, code: str) -> bool:
    """Whether a code asks for a level or a place: one of the words, a sphere or an initiative."""
    return code in LEVEL_WORDS or _node_kind(store, code) is not None


def explain_level(
    store: Store,
    code: str,
    settlement: str,
    year: str,
    catalogue: str | None = None,
    seq: int | None = None,
    language: str = DEFAULT,
) -> dict[str, Any]:
    """How a level and a place came about, as plain data, its sentences in a language. `code`: LEVEL or PLACE (the same answer), a sphere, or an initiative.

    `seq`: by the assessment that held at that ledger sequence. Raises UnknownError naming what exists.
    """
    refuse_order(store, (code, settlement, year), (*LEVEL_WORDS, code))
    if not year.isdigit():
        raise UnknownError(_by_year(store, code, settlement, year))
    found = find_settlement(store, settlement)
    kato, name_en, group = found.kato, found.name_en, found.item7_group
    assessment = _find_assessment(store, year, catalogue, seq)
    rules = AssessmentRules.model_validate_json(assessment.pop("rules"))
    kind = _node_kind(store, code)
    items = _scored_kpis(store, assessment, kato, rules, group)
    if not items:
        raise UnknownError(
            f"no KPI of catalogue {assessment['catalogue']} applies to {name_en} in {year}: it has no level"
        )
    chosen = [i for i in items if kind is None or code in (i["sphere"], i["initiative"])]
    if not chosen:
        spheres = ", ".join(sorted({i["sphere"] for i in items}))
        raise UnknownError(f"nothing of {code} applies to {name_en} in {year}; there are {spheres}")
    scores = store.select(
        "SELECT * EXCLUDE (assessment_id, kato) FROM kpi.assessment_score WHERE (assessment_id, kato) = (?, ?)",
        [assessment["assessment_id"], kato],
    )
    by_node = {(n["node_kind"], n["node"]): n for n in scores}
    own = by_node[(kind, code) if kind else ("settlement", kato)]
    answer = {
        "what": kind or "settlement",
        "code": code if kind else None,
        "assessment": assessment,
        "settlement": found._asdict(),
        "year": year,
        **_figures(own),
        "sum": _sum_again(chosen, own),
        "spheres": _spheres(store, chosen, by_node),
        "place": _explain_place(store, assessment, kato, group, rules, items) if kind is None else None,
    }
    told: dict[str, Any] = told_in(answer, language)
    return told


def _by_year(store: Store, code: str, settlement: str, period: str) -> str:
    """What is said of a level that is asked for by another period than a year."""
    year, query = (
        period[:4] if period[:4].isdigit() else "2026",
        "SELECT DISTINCT kpi_code FROM registry.kpi ORDER BY 1",
    )
    said = f"levels and places are of a year: qala explain {typed((code, settlement, year))}"
    kpis = [one for (one,) in store.con.execute(query).fetchall() if one.startswith(f"{code}-")]
    return f"{code} is an initiative; {said}; its KPIs have months: {', '.join(kpis)}" if kpis else said


def _node_kind(store: Store, code: str) -> str | None:
    for kind, table in _NODE_TABLES.items():
        if store.con.execute(f"SELECT count(*) FROM {table} WHERE {kind} = ?", [code]).fetchall()[0][0]:
            return kind
    return None


def _find_assessment(store: Store, year: str, catalogue: str | None, seq: int | None) -> dict[str, Any]:
    """The newest assessment of a year by a catalogue, or the one that held at a sequence."""
    found = store.select(
        statement(
            __file__,
            "explain_level_assessment",
            assessed_year=literal(year),
            catalogue_id=f"{literal(catalogue)}::VARCHAR",
            at_seq=f"{literal(seq)}::BIGINT",
        )
    )
    if not found:
        years = [str(row["year"]) for row in store.select("SELECT DISTINCT year FROM kpi.assessment ORDER BY 1")]
        when = "" if seq is None else f" at ledger sequence {seq} (a draft that was replaced since is gone)"
        raise UnknownError(
            f"there is no assessment of {year}{when}; assessed: {', '.join(years) or 'no year yet, run: qala assess --help'}"
        )
    if len(found) > 1:
        raise UnknownError(
            f"{year} was assessed by {', '.join(f['catalogue'] for f in found)}: say which with --catalogue"
        )
    return found[0]


def _scored_kpis(
    store: Store, assessment: Mapping[str, Any], kato: str, rules: AssessmentRules, group: str
) -> list[dict[str, Any]]:
    """The KPIs that apply, each with its weight, score, and points: weight x score, what it adds to the level."""
    found = store.select(
        statement(__file__, "explain_level_items", assessment=str(assessment["assessment_id"]), kato=literal(kato))
    )
    for item in found:
        scale = rules.scale(item["code"], Category(group))
        item["floor"], item["goal"] = (scale.floor, scale.goal) if scale else (None, None)
        item["points"] = None if item["score"] is None else item["weight"] * item["score"]
        item["walk_on"] = f"qala explain {item['code']} {kato} {assessment['year']}"
    return found


def _sum_again(items: Sequence[Mapping[str, Any]], node: Mapping[str, Any]) -> dict[str, Any]:
    """The level summed again from the items, and whether it equals the one that is kept."""
    weight = math.fsum(i["weight"] for i in items)
    points = math.fsum(i["points"] for i in items if i["points"] is not None)
    calculable = math.fsum(i["weight"] for i in items if i["score"] is not None)
    level, coverage = round(points / weight, _PRECISION), round(calculable / weight, _PRECISION)
    return {
        "weight": weight,
        "weight_calculable": calculable,
        "points": points,
        "level": level,
        "coverage": coverage,
        "equal": level == node["level"] and coverage == node["coverage"],
    }


def _spheres(
    store: Store, items: Sequence[Mapping[str, Any]], by_node: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Spheres with their initiatives, and those with their KPIs."""

    def described(kind: str, code: str) -> dict[str, Any]:
        query = f"SELECT name_en FROM {_NODE_TABLES[kind]} WHERE {kind} = ?"
        name = str(store.con.execute(query, [code]).fetchall()[0][0])
        return {"code": code, "name": name, **_figures(by_node[kind, code])}

    found = []
    for sphere in dict.fromkeys(i["sphere"] for i in items):
        initiatives = dict.fromkeys(i["initiative"] for i in items if i["sphere"] == sphere)
        found.append(
            {
                **described("sphere", sphere),
                "initiatives": [
                    {
                        **described("initiative", initiative),
                        "kpis": [i for i in items if i["initiative"] == initiative],
                    }
                    for initiative in initiatives
                ],
            }
        )
    return found


def _explain_place(
    store: Store,
    assessment: Mapping[str, Any],
    kato: str,
    group: str,
    rules: AssessmentRules,
    items: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Place, its intervals, and every settlement of the group with the figures that put it before or behind."""
    group_rows = store.select(
        statement(
            __file__,
            "explain_level_group",
            assessment=str(assessment["assessment_id"]),
            item7_group=literal(group),
        )
    )
    own = next(r for r in group_rows if r["kato"] == kato)
    ranked = [r for r in group_rows if r["rank"] is not None]
    for other in ranked:
        other["margin"] = round(other["level"], 6) - round(own["level"], 6)
        other["bounds_say"] = _order_by_bounds(own, other)
    from warehouse.kpi_values.assessment import DRAWS, SEED  # other questions need nothing of it

    above = [r for r in ranked if r["margin"] > 0]
    below = [r for r in ranked if r["margin"] < 0]
    neighbours = [*above[-1:], *below[:1]] if own["rank"] is not None else []
    return {
        **{name: own[name] for name in _RANKS},
        "of": len(ranked),
        "ahead": len(above),
        "equal": own["rank"] is None or own["rank"] == 1 + len(above),
        "rule": recorded(
            {
                "code": "explain.place_rule",
                "coverage": figure(rules.minimum_coverage),
                "draws": DRAWS,
                "change": f"{rules.weight_change:.0%}",
                "seed": SEED,
            }
        ),
        "group": ranked,
        "not_ranked": [r for r in group_rows if r["rank"] is None],
        "neighbours": [_compare_with_neighbour(store, assessment, items, other) for other in neighbours],
    }


def _order_by_bounds(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Whether another settlement is ahead of one's own or behind it, whatever the uncertain rows hold."""
    code = "explain.either_way"
    if other["kato"] == own["kato"]:
        code = "explain.itself"
    elif round(other["level_low"], 6) > round(own["level_high"], 6):
        code = "explain.ahead_whatever"
    elif round(other["level_high"], 6) < round(own["level_low"], 6):
        code = "explain.behind_whatever"
    return recorded({"code": code})


def _compare_with_neighbour(
    store: Store, assessment: Mapping[str, Any], items: Sequence[Mapping[str, Any]], other: Mapping[str, Any]
) -> dict[str, Any]:
    """A neighbour's points KPI by KPI and the settlement's own, the largest difference first."""
    rows = store.select(
        "SELECT kpi_code, value, weight, score, coalesce(weight * score, 0) AS points FROM kpi.assessment_item "
        "WHERE (assessment_id, kato) = (?, ?)",
        [assessment["assessment_id"], other["kato"]],
    )
    own, theirs = {i["code"]: i for i in items}, {row["kpi_code"]: row for row in rows}
    own_weight, their_weight = math.fsum(i["weight"] for i in items), math.fsum(r["weight"] for r in rows)
    kpis = []
    for code in sorted({*own, *theirs}):
        mine, its = own.get(code, {}), theirs.get(code, {})
        points = (mine.get("points") or 0.0) / own_weight
        its_points = its.get("points", 0.0) / their_weight
        kpis.append(
            {
                "code": code,
                "value": mine.get("value"),
                "score": mine.get("score"),
                "points": points,
                "their_value": its.get("value"),
                "their_score": its.get("score"),
                "their_points": its_points,
                "difference": its_points - points,
            }
        )
    kpis.sort(key=lambda kpi: (-abs(kpi["difference"]), kpi["code"]))
    return {**{name: other[name] for name in ("kato", "name_en", "name_ru", "rank", "level", "margin")}, "kpis": kpis}


def _figures(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: node[name] for name in _FIGURES}
