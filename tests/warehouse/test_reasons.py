"""The reasons that the state rules and the assessment give: each a message of the catalogue with just its parts, said in three languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import warehouse.kpi_values
from kpi_definitions.model import Category
from tests.support.sentences import foreign_words
from warehouse.kpi_values.state_rules import CELL_RULES, ROLLUP_RULES, Clause
from warehouse.messages.messages import catalogue, recorded, rendered

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "reasons.txt"
CODES = sorted(code for code in catalogue() if code.startswith("reason."))
CLAUSES = [clause for rule in (*CELL_RULES, *ROLLUP_RULES) for clause in rule.reason]
_MONTH = {"code": "reason.month", "table": "fct_appeal", "month": "2026-01"}
_ROWS = [
    {"code": "reason.rejected_rows", "rows": 23, "rules": ["due_at.type", "status-domain"]},
    {"code": "reason.gap_rows", "rows": 2, "rules": ["closed_at.type"]},
]
_RULE = {"code": "reason.rule_of_criterion", "criterion": {"code": "criterion.completeness"}, "rule": "due-at-known"}
_FAILING = {"code": "reason.failing_delivery", "rules": [_RULE], "delivery": 7}
_DOUBTED = {"code": "reason.doubted_month", "table": "fct_appeal", "month": "2026-01", "deliveries": [_FAILING]}
_LEAP = {"code": "reason.leap", "observed": ["population 1000"], "delivery": 7}
# by the name of a part something that stands there
PARTS: dict[str, Any] = {
    "groups": [{"code": f"reason.group.{one}"} for one in Category],
    "season": {"en": "heating season", "ru": "отопительный сезон", "kk": "жылыту маусымы"},
    "failure": {"code": "reason.failure.out_of_range"},
    "refused": [{"code": "reason.refused_month", "table": "fct_appeal", "month": "2026-01", "delivery": 7}],
    "missing": [_MONTH, {"code": "reason.first_to_last_month", "first": _MONTH, "last": _MONTH, "lacking": 5, "months": 12}],
    "doubts": [_DOUBTED, _DOUBTED],
    "figures": [{"code": "reason.table_leaps", "table": "dim_population", "leaps": [_LEAP]}],
    "nothing": {"code": "reason.zero_denominator"},
    "bounds": {"code": "reason.around_target", "low": 76.492262, "high": 76.847324, "targets": [76.61, 76.7]},
    "criterion": {"code": "criterion.accuracy"},
    "deliveries": [_FAILING], "leaps": [_LEAP], "observed": ["population 1000"], "rules": ["due_at.type", "status-domain"],
    "systems": ["E-APPEAL", "GIS"], "columns": ["fct_appeal.due_at", "fct_appeal.status"], "system": "E-APPEAL",
    "table": "fct_appeal", "month": "2026-01", "first": _MONTH, "last": _MONTH, "rule": "due-at-known",
    "listed": "2026-01-31", "day": "2026-01-31", "initiative": "MGT02", "share": 104.5, "low": 28.358209, "high": 29.0, "targets": [10.0, 12.5],
}  # fmt: skip
NUMBERS = {
    "delivered",
    "months",
    "lacking",
    "delivery",
    "observations",
    "least",
    "cells",
    "counted",
    "versions",
    "year",
    "percent",
}


def message(code: str) -> dict[str, Any]:
    """A message of the code with all its parts."""
    if code in ("reason.lost_rows", "reason.cells_lost_rows", "reason.rows_that_may_belong"):
        return {"code": code, **{name: _ROWS if name == "rows" else PARTS[name] for name in named(code)}}
    return {"code": code, **{name: 3 if name in NUMBERS | {"rows"} else PARTS[name] for name in named(code)}}


def named(code: str) -> list[str]:
    return re.findall(r"\{(\w+)", catalogue()[code]["en"])


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.code)
def test_a_rule_gives_a_message_all_its_parts(clause: Clause) -> None:
    assert clause.code in CODES
    assert clause.made or sorted(clause.parts) == sorted(named(clause.code))


@pytest.mark.parametrize("code", CODES)
def test_every_reason_is_said_in_three_languages(code: str) -> None:
    text = recorded(message(code))
    said = {language: str(rendered(text, language)) for language in ("en", "ru", "kk")}
    assert not re.search(r"[{}]", said["en"])
    assert foreign_words(text, "ru") == foreign_words(text, "kk") == []
    assert (
        code in ("reason.month", "reason.table_leaps", "reason.doubted_month", "reason.rule_of_criterion")
        or len(set(said.values())) == 3
    )
    if {"low", "share"} & set(named(code)):
        assert re.search(r"\d,\d", said["ru"])
        assert not re.search(r"\d\.\d", said["kk"])


def test_every_reason_of_the_catalogue_is_given_somewhere() -> None:
    folder = Path(warehouse.kpi_values.__file__).parent
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (*folder.glob("*.py"), *folder.glob("sql/*.sql")))
    given = set(re.findall(r"reason\.[a-z_]+", texts))
    assert {code.rpartition(".")[0] if code.count(".") > 1 else code for code in CODES} - given == {"reason.restricted"}


def test_codes_that_were_recorded_stay_with_their_parts() -> None:
    """tests/snapshots/reasons.txt has every code that a version of qala may have recorded, with its parts; codes are added to it, none goes."""
    kept = dict(line.partition(" ")[::2] for line in SNAPSHOT.read_text(encoding="utf-8").splitlines())
    assert {code: " ".join(sorted(named(code))) for code in CODES} == kept


def test_former_sentences_are_those_of_today() -> None:
    """A value of a former version is compared by them: as words they were recorded so."""
    rows = {"code": "reason.lost_rows", "rows": _ROWS, "bounds": PARTS["bounds"]}
    met = {"code": "reason.criterion_not_met", "doubts": [_DOUBTED]}
    assert rendered(recorded([met, rows]), "en") == (
        "quality criterion not met: fct_appeal 2026-01: completeness (due-at-known) in delivery 7; rows of its period: 23 rejected "
        "(due_at.type, status-domain) and 2 with a cell left empty (closed_at.type); with them it lies between 76.492262 and 76.847324, "
        "on both sides of the target 76.61, 76.7"
    )
    assert rendered(recorded(rows), "ru") == (
        "строки этого периода: отклонено 23 (due_at.type, status-domain) и с незаполненной ячейкой 2 (closed_at.type); "
        "с ними значение лежит от 76,492262 до 76,847324, по обе стороны цели 76,61; 76,7"
    )
