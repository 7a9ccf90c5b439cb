"""The annual assessment (items 7 and 9 of the order). Its formula is our proposal: the order's own is not public.

A KPI scores 0 to 100 between floor and goal. With weight w, calculable c (0 or 1) and score s over the KPIs that apply:
coverage C = Σwc/Σw, achievement A = Σwcs/Σwc, level = Σwcs/Σw = C·A. A missing source costs points through coverage; no value is
invented. KPI → initiative → sphere → settlement by weighted means over what applies. Places are given inside an item 7 group only.
A value has bounds (bounds.py), so a level has: with every KPI at the worse bound of its value, and at the better one; and so has a place.
A draft follows the data; a frozen assessment is never edited, and one made again says why.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kpi_definitions.catalogue import Catalogue
from kpi_definitions.model import AssessmentRules, Category, Scale
from warehouse.errors import StoreError
from warehouse.home.account import ACCOUNT, account, named
from warehouse.messages.messages import recorded
from warehouse.moments import at
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import ASSESSMENT, seal
from warehouse.store.sentences import keep_sentences
from warehouse.store.store import Store
from warehouse.tables.obs_status import NOT_ASSESSED
from warehouse.tables.views import year_values

DRAWS, SEED = 400, 469  # of changed weights; the same draws every time, so that an interval can be repeated
# tables of schema kpi that hold the parts of an assessment, and their columns but assessment_id
_PARTS: Mapping[str, tuple[str, ...]] = {
    "assessment_item": ("kato", "kpi_code", "calculable", "value", "obs_status", "weight", "score", "score_low", "score_high", "reason"),
    "assessment_score": ("kato", "node_kind", "node", "coverage", "achievement", "level", "level_low", "level_high"),
    "assessment_rank": ("kato", "item7_group", "state", "rank", "rank_best", "rank_worst", "rank_low", "rank_high"),
}  # fmt: skip
_COLUMNS = [
    "assessment_id", "seq", "year", "catalogue_id", "catalogue_version", "rules_version", "rules", "status", "version", "reason", "as_of_seq", "made_at",
]  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One KPI that applies to one settlement."""

    code: str
    value: float | None  # None: not calculable
    obs_status: str | None
    reason: str | None
    weight: float  # share of the settlement's whole weight
    score: float | None
    score_low: float | None  # at the worse bound of the value; a value without bounds may score anything
    score_high: float | None


@dataclass(frozen=True)
class Node:
    """A weighted mean over what applies. `achievement` is None if nothing could be calculated."""

    coverage: float
    achievement: float | None
    level: float
    level_low: float  # with every KPI at the worse bound of its value
    level_high: float


# state, place, best and worst place under changed weights, worst and best place that the bounds allow
Place = tuple[str, int | None, int | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class Made:
    """Everything an assessment says, by settlement."""

    groups: Mapping[str, str]
    items: Mapping[str, Sequence[Item]]
    nodes: Mapping[str, Mapping[tuple[str, str], Node]]
    places: Mapping[str, Place]

    def parts(self) -> list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
        """(table of schema kpi, columns but assessment_id, rows)."""
        items = [
            (
                kato,
                i.code,
                i.value is not None,
                i.value,
                i.obs_status,
                i.weight,
                i.score,
                i.score_low,
                i.score_high,
                i.reason,
            )
            for kato, found in self.items.items()
            for i in found
        ]
        scores = [
            (
                kato,
                kind,
                kato if kind == "settlement" else code,
                n.coverage,
                n.achievement,
                n.level,
                n.level_low,
                n.level_high,
            )
            for kato, found in self.nodes.items()
            for (kind, code), n in found.items()
        ]
        ranks = [(kato, self.groups[kato], *place) for kato, place in self.places.items()]
        rows: tuple[list[tuple[Any, ...]], ...] = (items, scores, ranks)
        return [(table, columns, rows) for (table, columns), rows in zip(_PARTS.items(), rows, strict=True)]


@dataclass(frozen=True)
class Assessment:
    """What was made."""

    assessment_id: int
    year: int
    status: str
    version: int
    ranked: int
    insufficient: int


def computed_years(store: Store) -> list[str]:
    """The years of which a settlement has a value."""
    query = "SELECT DISTINCT period_id[:4] FROM kpi.value WHERE valid_to_seq IS NULL AND value IS NOT NULL ORDER BY 1"
    return [year for (year,) in store.con.execute(query).fetchall()]


def assess(
    store: Store,
    catalogue: Catalogue,
    year: int,
    *,
    freeze: bool = False,
    reason: str | None = None,
    by: str = "",
    rules: AssessmentRules | None = None,
) -> Assessment:
    """Assess every settlement for a year by one catalogue: replaces the draft, or makes the next frozen version, of which the ledger says who made it.

    `rules`: those of a former assessment that is made again; None: those in force.
    Raises StoreError if no rules are in force for the year, or a frozen assessment is made again without a reason.
    """
    rules = rules or catalogue.rules_of(year)
    if rules is None:
        raise StoreError(
            f"catalogue {catalogue.head.id} has no assessment rules for {year}; add them under its assessment/ folder"
        )
    con = store.con
    row = con.execute(
        "SELECT coalesce(max(version), 0) FROM kpi.assessment WHERE (year, catalogue_id) = (?, ?)",
        [year, catalogue.head.id],
    ).fetchone()
    version = (int(row[0]) if row else 0) + 1 if freeze else 0
    if version > 1 and not (reason or "").strip():
        raise StoreError(
            f"{year} has a frozen assessment, version {version - 1}: say why it is made again with --reason"
        )
    made = make(store, catalogue, rules, year)
    ranked, as_of_seq = sum(place[0] == "ranked" for place in made.places.values()), store.last_seq
    status = "frozen" if freeze else "draft"
    with store.transaction():
        if not freeze:
            _forget_draft(store, year, catalogue.head.id)
        row = con.execute("SELECT coalesce(max(assessment_id), 0) + 1 FROM kpi.assessment").fetchone()
        number = int(row[0]) if row else 1
        assessment = Assessment(number, year, status, version, ranked, len(made.places) - ranked)
        detail = {"assessment": number, "catalogue": catalogue.head.id, "version": version, "as_of": as_of_seq}
        detail |= {"rules": rules.version, "ranked": ranked, "reason": reason}
        detail |= {"by": named(by), ACCOUNT: account()} if freeze else {}
        (seq,) = store.record([(EntryKind.ASSESSED, str(year), detail)])
        head = catalogue.head
        row = (number, seq, year, head.id, head.version, rules.version, rules.model_dump_json())
        store.insert("kpi.assessment", _COLUMNS, [(*row, status, version, reason, as_of_seq, dt.datetime.now(dt.UTC))])
        for table, columns, rows in made.parts():
            store.insert(f"kpi.{table}", ["assessment_id", *columns], [(number, *row) for row in rows])
        items = f"(SELECT reason FROM kpi.assessment_item WHERE assessment_id = {number})"
        keep_sentences(store, (items, "reason"))
        seal(store, seq, ASSESSMENT)
        at("assess.committing")
    at("assess.committed")
    return assessment


def make(store: Store, catalogue: Catalogue, rules: AssessmentRules, year: int, values: str | None = None) -> Made:
    """Work out an assessment without writing it; `values` is a relation like year_values(…), that of the current values if none is given."""
    groups: dict[str, str] = dict(
        store.con.execute("SELECT kato, item7_group FROM registry.settlement ORDER BY kato").fetchall()
    )
    current = f"({year_values('valid_to_seq IS NULL')})"
    items = _items(store, catalogue, rules, year, groups, values or current)
    nodes = {kato: _nodes(catalogue, rules, found) for kato, found in items.items()}
    places = _places(rules, groups, items, {kato: found["settlement", ""] for kato, found in nodes.items()})
    return Made(groups, items, nodes, places)


def _forget_draft(store: Store, year: int, catalogue_id: str) -> None:
    old = "SELECT assessment_id FROM kpi.assessment WHERE (year, catalogue_id, version) = (?, ?, 0)"
    for table in _PARTS:
        store.con.execute(f"DELETE FROM kpi.{table} WHERE assessment_id IN ({old})", [year, catalogue_id])
    store.con.execute(
        "DELETE FROM kpi.assessment WHERE (year, catalogue_id, version) = (?, ?, 0)", [year, catalogue_id]
    )


def _items(
    store: Store, catalogue: Catalogue, rules: AssessmentRules, year: int, groups: Mapping[str, str], values: str
) -> dict[str, list[Item]]:
    """By settlement, the KPIs that apply, with value and score. A settlement to which nothing applies is left out."""
    rows = store.con.execute(
        f"SELECT kato, kpi_code, value, obs_status, reason, period_coverage, value_low, value_high FROM {values} WHERE year = ?",
        [year],
    ).fetchall()
    found = {(kato, code): rest for kato, code, *rest in rows}
    kpis = {
        k.code: k
        for k in catalogue.kpis
        if k.valid_from.year <= year and (k.valid_to is None or k.valid_to.year > year)
    }
    result: dict[str, list[Item]] = {}
    shared: dict[tuple[str, ...], dict[str, float]] = {}  # settlements to which the same applies weigh it alike
    for kato, group in groups.items():
        applying: list[tuple[str, float | None, str | None, str | None, float | None, float | None, float | None]] = []
        for code, kpi in kpis.items():
            unknown = (None, None, recorded({"code": "reason.not_computed", "year": year}), None, None, None)
            value, status, reason, coverage, low, high = found.get((kato, code), unknown)
            if group not in kpi.categories or status in NOT_ASSESSED:  # nothing there to be judged, or too little
                continue
            if value is not None and coverage is not None and coverage < rules.minimum_periods:
                known, least = (int(f"{100 * share:.0f}") for share in (coverage, rules.minimum_periods))
                value, reason = None, recorded({"code": "reason.few_periods", "percent": known, "least": least})
            scale = rules.scale(code, Category(group))
            score = worse = better = None
            if value is not None and scale is not None:
                score, worse, better = _score(value, scale), 0.0, 100.0
                if low is not None and high is not None:
                    worse, better = sorted((_score(low, scale), _score(high, scale)))
            applying.append((code, value, status, reason, score, worse, better))
        if applying:
            codes = tuple(code for code, *_ in applying)
            weights = shared.get(codes) or shared.setdefault(codes, _weights(catalogue, rules, codes))
            result[kato] = [
                Item(code, value, status, reason, weights[code], score, worse, better)
                for code, value, status, reason, score, worse, better in applying
            ]
    return result


def _score(value: float, scale: Scale) -> float:
    """0 to 100 between floor and goal, whichever of them is the larger."""
    return 100 * min(1.0, max(0.0, (value - scale.floor) / (scale.goal - scale.floor)))


def _weights(catalogue: Catalogue, rules: AssessmentRules, codes: Sequence[str]) -> dict[str, float]:
    """By KPI, its share of the whole: what does not apply gives its weight to its neighbours."""
    sphere_of = {i.code: i.sphere for i in catalogue.initiatives}
    initiatives = _grouped(codes, lambda code: code.partition("-")[0])
    spheres = _grouped(initiatives, lambda code: sphere_of[code])

    def shares(weights: Mapping[str, float], among: Iterable[str]) -> dict[str, float]:
        total = math.fsum(weights.get(code, 1.0) for code in among)
        return {code: weights.get(code, 1.0) / total for code in among}

    weight = {}
    for sphere, of_sphere in shares(rules.weights.spheres, spheres).items():
        for initiative, of_initiative in shares(rules.weights.initiatives, spheres[sphere]).items():
            for code, of_kpi in shares(rules.weights.kpis, initiatives[initiative]).items():
                weight[code] = of_sphere * of_initiative * of_kpi
    return weight


def _grouped(things: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return found


def _nodes(catalogue: Catalogue, rules: AssessmentRules, items: Sequence[Item]) -> dict[tuple[str, str], Node]:
    """Initiatives, spheres and the settlement itself. Raises AssertionError if level and coverage x achievement differ."""
    sphere_of = {i.code: i.sphere for i in catalogue.initiatives}
    nodes: dict[tuple[str, str], Node] = {}

    def add(kind: str, key: Callable[[Item], str]) -> None:
        nodes.update({(kind, code): _mean(those) for code, those in sorted(_grouped(items, key).items())})

    add("initiative", lambda i: i.code.partition("-")[0])
    add("sphere", lambda i: sphere_of[i.code.partition("-")[0]])
    add("settlement", lambda _: "")
    # the same level from the top down, by nested means: weights and sums must agree
    spheres = {code: node for (kind, code), node in nodes.items() if kind == "sphere"}
    total = math.fsum(rules.weights.spheres.get(code, 1.0) for code in sorted(spheres))
    nested = math.fsum(rules.weights.spheres.get(code, 1.0) * spheres[code].level for code in sorted(spheres)) / total
    whole = nodes["settlement", ""]
    for level in (nested, whole.coverage * (whole.achievement or 0.0)):
        assert abs(level - whole.level) < 1e-6, f"level {whole.level} is not {level}"
    return nodes


def _mean(items: Sequence[Item]) -> Node:
    weight = math.fsum(i.weight for i in items)
    calculable = math.fsum(i.weight for i in items if i.score is not None)
    points = math.fsum(i.weight * i.score for i in items if i.score is not None)
    achievement = round(points / calculable, 9) if calculable else None
    low = math.fsum(i.weight * i.score_low for i in items if i.score_low is not None)
    high = math.fsum(i.weight * i.score_high for i in items if i.score_high is not None)
    return Node(round(calculable / weight, 9), achievement, *(round(some / weight, 9) for some in (points, low, high)))


def _places(
    rules: AssessmentRules, groups: Mapping[str, str], items: Mapping[str, Sequence[Item]], wholes: Mapping[str, Node]
) -> dict[str, Place]:
    """State, place, best and worst place of every settlement inside its group."""
    import numpy as np  # only here: whoever explains a level imports this module

    places: dict[str, Place] = dict.fromkeys(items, ("insufficient coverage", None, None, None, None, None))
    for group in sorted(set(groups.values())):
        ranked = [k for k in items if groups[k] == group and wholes[k].coverage >= rules.minimum_coverage]
        if not ranked:
            continue
        codes = sorted({i.code for k in ranked for i in items[k]})
        index = {code: n for n, code in enumerate(codes)}
        weight, points = np.zeros((len(ranked), len(codes))), np.zeros((len(ranked), len(codes)))
        for row, kato in enumerate(ranked):
            for item in items[kato]:
                weight[row, index[item.code]] = item.weight
                points[row, index[item.code]] = item.weight * (item.score or 0.0)
        changed = np.random.default_rng(SEED).uniform(
            1 - rules.weight_change, 1 + rules.weight_change, (DRAWS, len(codes))
        )
        left_out = 1.0 - np.eye(len(codes)) if len(codes) > 1 else np.ones((1, len(codes)))
        trials = np.vstack([np.ones((1, len(codes))), changed, left_out])  # the first is the place itself
        total = weight @ trials.T
        levels = np.divide(points @ trials.T, total, out=np.zeros_like(total), where=total > 0).round(6)
        ranks = 1 + (levels[None, :, :] > levels[:, None, :]).sum(axis=1)  # settlements of one level share a place
        lows, highs = np.array([(wholes[k].level_low, wholes[k].level_high) for k in ranked]).round(6).T
        for row, kato in enumerate(ranked):
            others = np.arange(len(ranked)) != row
            best, worst = 1 + int((lows[others] > highs[row]).sum()), 1 + int((highs[others] > lows[row]).sum())
            places[kato] = ("ranked", int(ranks[row, 0]), int(ranks[row].min()), int(ranks[row].max()), worst, best)
    return places
