"""What an evidence pack of a level and a place holds: the scores of the group they are summed from, and SQL that sums them again.

Does not belong here: how a level came about, for people to read (levels.py); how a pack is written as a whole (evidence.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kpi_definitions.model import AssessmentRules, Category
from warehouse.audit.evidence_value import USAGE, pack_statement
from warehouse.sql import literal, statement
from warehouse.store.history import held
from warehouse.store.store import Store
from warehouse.tables.views import year_values

_TOLERANCE = "1e-06"  # by which a sum of weights and scores in another order may differ


def level_label(answer: Mapping[str, Any]) -> str:
    return f"{answer['code'] or 'level'}-{answer['settlement']['kato']}-{answer['year']}"


def rules_of(store: Store, answer: Mapping[str, Any]) -> AssessmentRules:
    """The rules that the assessment was made by, as kept with it."""
    text = store.con.execute(
        "SELECT rules FROM kpi.assessment WHERE assessment_id = ?", [answer["assessment"]["assessment_id"]]
    ).fetchall()[0][0]
    return AssessmentRules.model_validate_json(text)


def rules_json(rules: AssessmentRules) -> str:
    return json.dumps(json.loads(rules.model_dump_json()), ensure_ascii=False, indent=2) + "\n"


def level_files(answer: Mapping[str, Any], rules: AssessmentRules) -> dict[str, str]:
    """File of the pack → the query it holds: of all settlements of the group, as each decides the others' places."""
    assessment, group = answer["assessment"], answer["settlement"]["item7_group"]
    settlements = f"kato IN (SELECT kato FROM registry.settlement WHERE item7_group = {literal(group)})"
    of_group = f"assessment_id = {assessment['assessment_id']} AND {settlements}"
    scales = [
        (code, scale.floor, scale.goal)
        for code in sorted(rules.scales)
        if (scale := rules.scale(code, Category(group)))
    ]
    weights = [
        (kind, code, weight)
        for kind, given in rules.weights.model_dump().items()
        for code, weight in sorted(given.items())
    ]
    of_years = year_values(held(assessment["as_of_seq"]))
    return {
        "items.parquet": statement(__file__, "pack_file_items", of_group=of_group),
        "values.parquet": (
            f"SELECT * FROM ({of_years}) WHERE year = {literal(answer['year'])} AND {settlements} ORDER BY kato, kpi_code"
        ),
        "scores.parquet": (
            f"SELECT * EXCLUDE (assessment_id) FROM kpi.assessment_score WHERE {of_group} ORDER BY kato, node_kind, node"
        ),
        "places.parquet": (
            "SELECT rank.* EXCLUDE (assessment_id), settlement.name_en FROM kpi.assessment_rank rank "
            f"JOIN registry.settlement settlement USING (kato) WHERE {of_group} ORDER BY kato"
        ),
        "scales.parquet": _rows_as_query(scales, "kpi_code", "floor", "goal"),
        "weights.parquet": _rows_as_query(weights, "kind", "code", "weight"),
    }


def _rows_as_query(rows: Sequence[tuple[str | float, ...]], *names: str) -> str:
    """A query that gives the rows, with columns `names`; no rows: a query that gives none."""
    cells = [
        f"({', '.join(literal(v) if isinstance(v, str) else f'{float(v)!r}::DOUBLE' for v in row)})" for row in rows
    ]
    none = f"({', '.join(['NULL'] * len(names))})"
    return f"SELECT * FROM (VALUES {', '.join(cells) or none}) t({', '.join(names)}) WHERE {names[0]} IS NOT NULL"


def level_script(answer: Mapping[str, Any], rules: AssessmentRules, ledger: Iterable[str]) -> Iterator[str]:
    """Statements of recompute.sql; the last one gives one row. `ledger`: the statements that check the ledger's chain."""
    settlement, assessment = answer["settlement"], answer["assessment"]
    subject = f"Level of {answer['code']}" if answer["code"] else "Level and place"
    yield f"-- {subject} of {settlement['name_en']} in {answer['year']}, summed again."
    yield USAGE
    yield "SET TimeZone = 'UTC';"
    yield "\n-- 1. The ledger: each row is hashed with the one before it; the assessment has one."
    yield from ledger
    yield pack_statement(
        "entered",
        year=literal(answer["year"]),
        assessment=literal(str(assessment["assessment_id"])),
        seq=str(assessment["seq"]),
    )
    yield "\n-- 2. Scores: 0 to 100 between floor and goal. A value with fewer periods than the rules ask for has no score but a reason."
    yield pack_statement("item")
    yield pack_statement("wrong_score", tolerance=_TOLERANCE)
    yield "\n-- 3. Weights: what applies shares its whole among spheres, in each among initiatives, in each among KPIs."
    yield "CREATE OR REPLACE TEMP TABLE given AS FROM read_parquet('weights.parquet');"
    yield pack_statement("weighed")
    yield pack_statement("wrong_weight", tolerance=_TOLERANCE)
    yield "\n-- 4. The sum, and the place among those of the group with enough coverage."
    yield pack_statement("summed__level")
    yield pack_statement("ranked", minimum_coverage=repr(rules.minimum_coverage))
    yield pack_statement("wrong_level", tolerance=_TOLERANCE)
    yield pack_statement("places")
    yield _comparison(answer)


def _comparison(answer: Mapping[str, Any]) -> str:
    """The statement that gives one row: as recorded, as computed, whether equal."""
    kato, ranked = literal(answer["settlement"]["kato"]), answer["place"]
    return pack_statement(
        "comparison__level",
        level=repr(answer["level"]),
        place=literal(ranked["rank"] if ranked else None),
        place_again=f"(SELECT place FROM ranked WHERE kato = {kato})" if ranked else "NULL",
        tolerance=_TOLERANCE,
        kato=kato,
        inside=f"{answer['what']} = {literal(answer['code'])}" if answer["code"] else "TRUE",
    )
