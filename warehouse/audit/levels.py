"""How a settlement's level and its place in its item 7 group came about: the sum of weights and scores, KPI by KPI, and the other
settlements' figures that decide the place. Reads the release only; what a KPI's own value is made of: explain.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kpi_definitions.model import AssessmentRules, Category
from warehouse.audit.explain import UnknownError, find_settlement
from warehouse.kpi_values.assessment import DRAWS, SEED
from warehouse.store.store import Store

LEVEL_WORDS = ("LEVEL", "PLACE")  # what is asked for in the place of a KPI's code
_PRECISION = 9  # digits after the point of a level, as it is kept; places go by six
_KINDS = {"sphere": "registry.sphere", "initiative": "registry.initiative"}


def asks_for_level(store: Store, code: str) -> bool:
    """Whether a code asks for a level or a place: one of the words, a sphere or an initiative."""
    return code in LEVEL_WORDS or _kind(store, code) is not None


def explain_level(
    store: Store, code: str, settlement: str, year: str, catalogue: str | None = None, seq: int | None = None
) -> dict[str, Any]:
    """Everything behind a level and a place, as plain data. `code`: LEVEL or PLACE (the same answer), a sphere, or an initiative.

    `seq`: by the assessment that held at that ledger sequence. Raises UnknownError naming what exists.
    """
    kato, name_en, name_ru, group = find_settlement(store, settlement)
    head = _assessment(store, year, catalogue, seq)
    rules = AssessmentRules.model_validate_json(head.pop("rules"))
    kind = _kind(store, code)
    items = _items(store, head, kato, rules, group)
    if not items:
        raise UnknownError(f"no KPI of catalogue {head['catalogue']} applies to {name_en} in {year}: it has no level")
    chosen = [i for i in items if kind is None or code in (i["sphere"], i["initiative"])]
    if not chosen:
        raise UnknownError(
            f"nothing of {code} applies to {name_en} in {year}; there are {', '.join(sorted({i['sphere'] for i in items}))}"
        )
    nodes = _rows(
        store,
        "SELECT * EXCLUDE (assessment_id, kato) FROM kpi.assessment_score WHERE (assessment_id, kato) = (?, ?)",
        head["assessment_id"],
        kato,
    )
    by_node = {(n["node_kind"], n["node"]): n for n in nodes}
    mine = by_node[(kind, code) if kind else ("settlement", kato)]
    return {
        "what": kind or "settlement", "code": code if kind else None, "assessment": head,
        "settlement": {"kato": kato, "name_en": name_en, "name_ru": name_ru, "item7_group": group},
        "year": year, **{n: mine[n] for n in ("level", "level_low", "level_high", "coverage", "achievement")},
        "sum": _sum(chosen, mine),
        "spheres": [
            {"code": sphere, "name": _name(store, "registry.sphere", sphere), **_figures(by_node["sphere", sphere]),
             "initiatives": [
                 {"code": initiative, "name": _name(store, "registry.initiative", initiative), **_figures(by_node["initiative", initiative]),
                  "kpis": [i for i in chosen if i["initiative"] == initiative]}
                 for initiative in dict.fromkeys(i["initiative"] for i in chosen if i["sphere"] == sphere)]}
            for sphere in dict.fromkeys(i["sphere"] for i in chosen)],
        "place": _place(store, head, kato, group, rules, items) if kind is None else None,
    }  # fmt: skip


def _kind(store: Store, code: str) -> str | None:
    for kind, table in _KINDS.items():
        if store.con.execute(f"SELECT count(*) FROM {table} WHERE code = ?", [code]).fetchall()[0][0]:
            return kind
    return None


def _assessment(store: Store, year: str, catalogue: str | None, seq: int | None) -> dict[str, Any]:
    """The newest assessment of a year by a catalogue, or the one that held at a sequence."""
    found = _rows(
        store,
        "SELECT assessment_id, seq, year, catalogue_id AS catalogue, catalogue_version, rules_version, status, version, reason, as_of_seq, made_at, rules "
        "FROM kpi.assessment WHERE year::VARCHAR = ? AND (? IS NULL OR catalogue_id = ?) AND seq <= coalesce(?, seq) "
        "QUALIFY row_number() OVER (PARTITION BY catalogue_id ORDER BY CASE WHEN ? IS NULL THEN version END DESC, seq DESC) = 1 ORDER BY catalogue_id",
        year, catalogue, catalogue, seq, seq,
    )  # fmt: skip
    if not found:
        years = [str(row["year"]) for row in _rows(store, "SELECT DISTINCT year FROM kpi.assessment ORDER BY 1")]
        when = "" if seq is None else f" at ledger sequence {seq} (a draft that was replaced since is gone)"
        raise UnknownError(
            f"there is no assessment of {year}{when}; assessed: {', '.join(years) or 'no year yet, run: qala assess --help'}"
        )
    if len(found) > 1:
        raise UnknownError(
            f"{year} was assessed by {', '.join(f['catalogue'] for f in found)}: say which with --catalogue"
        )
    return found[0]


def _items(
    store: Store, head: Mapping[str, Any], kato: str, rules: AssessmentRules, group: str
) -> list[dict[str, Any]]:
    """The KPIs that apply, each with its weight, score, and what it gives to the level: weight x score."""
    found = _rows(
        store,
        "SELECT i.kpi_code AS code, coalesce(k.name_en, '') AS name, k.unit, k.initiative, k.sphere, i.value, i.obs_status, i.reason, i.weight, "
        "i.score, i.score_low, i.score_high FROM kpi.assessment_item i "
        "JOIN (FROM registry.kpi QUALIFY row_number() OVER (PARTITION BY code ORDER BY version DESC) = 1) k ON k.code = i.kpi_code "
        "JOIN registry.sphere s ON s.code = k.sphere WHERE (assessment_id, kato) = (?, ?) ORDER BY s.number, k.initiative, i.kpi_code",
        head["assessment_id"], kato,
    )  # fmt: skip
    for one in found:
        scale = rules.scale(one["code"], Category(group))
        one["floor"], one["goal"] = (scale.floor, scale.goal) if scale else (None, None)
        one["points"] = None if one["score"] is None else one["weight"] * one["score"]
        one["walk_on"] = f"qala explain {one['code']} {kato} {head['year']}"
    return found


def _sum(items: Sequence[Mapping[str, Any]], node: Mapping[str, Any]) -> dict[str, Any]:
    """The level worked out again from the items, beside the one that is kept."""
    weight = math.fsum(i["weight"] for i in items)
    points = math.fsum(i["points"] for i in items if i["points"] is not None)
    counted = math.fsum(i["weight"] for i in items if i["score"] is not None)
    level = round(points / weight, _PRECISION)
    return {
        "weight": weight, "weight_calculable": counted, "points": points, "level": level, "coverage": round(counted / weight, _PRECISION),
        "equal": level == node["level"] and round(counted / weight, _PRECISION) == node["coverage"],
    }  # fmt: skip


def _place(
    store: Store, head: Mapping[str, Any], kato: str, group: str, rules: AssessmentRules, items: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """Place, its intervals, and every settlement of the group with the figures that put it before or behind."""
    group_rows = _rows(
        store,
        "SELECT r.kato, s.name_en, s.name_ru, r.state, c.coverage, c.level, c.level_low, c.level_high, r.rank, r.rank_best, r.rank_worst, r.rank_low, "
        "r.rank_high FROM kpi.assessment_rank r JOIN registry.settlement s USING (kato) JOIN kpi.assessment_score c "
        "ON (c.assessment_id, c.kato, c.node_kind) = (r.assessment_id, r.kato, 'settlement') "
        "WHERE r.assessment_id = ? AND r.item7_group = ? ORDER BY r.rank NULLS LAST, c.level DESC, r.kato",
        head["assessment_id"], group,
    )  # fmt: skip
    own = next(r for r in group_rows if r["kato"] == kato)
    ranked = [r for r in group_rows if r["rank"] is not None]
    for other in ranked:
        other["margin"] = round(other["level"], 6) - round(own["level"], 6)
        low, high = round(other["level_low"], 6), round(other["level_high"], 6)
        other["bounds_say"] = (
            "itself" if other["kato"] == kato
            else "ahead whatever the uncertain rows hold" if low > round(own["level_high"], 6)
            else "behind whatever they hold" if high < round(own["level_low"], 6)
            else "either way, within the bounds"
        )  # fmt: skip
    above = [r for r in ranked if r["margin"] > 0]
    below = [r for r in ranked if r["margin"] < 0]
    near = [*above[-1:], *below[:1]] if own["rank"] is not None else []
    return {
        **{n: own[n] for n in ("state", "rank", "rank_best", "rank_worst", "rank_low", "rank_high")},
        "of": len(ranked), "ahead": len(above), "equal": own["rank"] is None or own["rank"] == 1 + len(above),
        "rule": f"place = 1 + settlements of the group with a higher level (to six decimals), among those with a coverage of at least "
                f"{rules.minimum_coverage:g}; places possible: {DRAWS} draws of weights changed by up to {rules.weight_change:.0%} (seed {SEED}), and "
                "with each KPI left out in turn",
        "group": ranked, "not_ranked": [r for r in group_rows if r["rank"] is None],
        "neighbours": [_beside(store, head, items, other) for other in near],
    }  # fmt: skip


def _beside(
    store: Store, head: Mapping[str, Any], items: Sequence[Mapping[str, Any]], other: Mapping[str, Any]
) -> dict[str, Any]:
    """A neighbour's points KPI by KPI beside the settlement's own, the largest difference first."""
    theirs = {
        row["kpi_code"]: row
        for row in _rows(
            store,
            "SELECT kpi_code, value, weight, score, coalesce(weight * score, 0) AS points FROM kpi.assessment_item WHERE (assessment_id, kato) = (?, ?)",
            head["assessment_id"], other["kato"],
        )
    }  # fmt: skip
    own = {i["code"]: i for i in items}
    whole = {"mine": math.fsum(i["weight"] for i in items), "theirs": math.fsum(t["weight"] for t in theirs.values())}
    found = []
    for code in sorted({*own, *theirs}):
        mine, its = own.get(code), theirs.get(code)
        points = ((mine or {}).get("points") or 0.0) / whole["mine"]
        its_points = (its["points"] if its else 0.0) / whole["theirs"]
        found.append({
            "code": code, "value": mine and mine["value"], "score": mine and mine["score"], "points": points,
            "their_value": its and its["value"], "their_score": its and its["score"], "their_points": its_points, "difference": its_points - points,
        })  # fmt: skip
    found.sort(key=lambda one: (-abs(one["difference"]), one["code"]))
    return {"kato": other["kato"], "name_en": other["name_en"], "name_ru": other["name_ru"], "rank": other["rank"],
            "level": other["level"], "margin": other["margin"], "kpis": found}  # fmt: skip


def _figures(node: Mapping[str, Any]) -> dict[str, Any]:
    return {n: node[n] for n in ("level", "level_low", "level_high", "coverage", "achievement")}


def _name(store: Store, table: str, code: str) -> str:
    return str(store.con.execute(f"SELECT name_en FROM {table} WHERE code = ?", [code]).fetchall()[0][0])


def _rows(store: Store, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    cursor = store.con.execute(sql, list(parameters))
    names = [d[0] for d in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
