"""What a question names, found in the release: a KPI, a place, a period; of a name that nothing has, the nearest are told.

Does not belong here: how names are compared (tables/settlements.py), what is said of what was found.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from kpi_definitions.model import Category
from warehouse.assistant.question import Question
from warehouse.assistant.shapes import Kpi, Place
from warehouse.messages.messages import sentence
from warehouse.periods import Period, parse_period
from warehouse.sql import statement
from warehouse.tables.settlements import folded, formerly, named, nearest

GROUPS = tuple(map(str, Category))
COUNTRY = "KZ"
_NEAR, _SHOWN = 5, 60


def shown(text: str) -> str:
    """What was asked for as a sentence may repeat it: one line, not long."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _SHOWN else one_line[: _SHOWN - 1] + "…"


def kpi_rows(question: Question) -> dict[str, dict[str, Any]]:
    """The newest version of every KPI in the release, by code."""
    return {row["kpi_code"]: row for row in question.store.select(statement(__file__, "kpis"))}


def find_kpi(question: Question, text: str) -> dict[str, Any]:
    """A KPI by its code or its whole name in any language. Raises AnswerError naming the nearest."""
    rows = kpi_rows(question)
    if (row := rows.get(text.strip().upper())) is not None:
        return row
    wanted = folded(text)
    by_name = {
        folded(row[f"name_{language}"] or ""): code for code, row in rows.items() for language in ("en", "ru", "kk")
    }
    if wanted in by_name:
        return rows[by_name[wanted]]
    likely = difflib.get_close_matches(text.strip().upper(), rows, n=_NEAR, cutoff=0.6)
    likely += [by_name[name] for name in difflib.get_close_matches(wanted, by_name, n=_NEAR, cutoff=0.6)]
    near = [f"{code} {question.name(rows[code])}" for code in dict.fromkeys(likely)][:_NEAR]
    raise question.refuse("no_kpi", asked=shown(text), near="; ".join(near) or "list_kpis")


def kpi(question: Question, row: Mapping[str, Any]) -> Kpi:
    return Kpi(
        code=row["kpi_code"],
        name=question.name(row),
        unit=row["unit"],
        unit_name=question.name(row, "unit"),
        direction=row["direction"],
    )


def settlement_rows(question: Question) -> dict[str, dict[str, Any]]:
    return {row["kato"]: row for row in question.store.select("SELECT * FROM registry.settlement ORDER BY kato")}


def settlement(question: Question, row: Mapping[str, Any], note: str | None = None) -> Place:
    return Place(kind="settlement", code=row["kato"], name=question.name(row), group=row["item7_group"], note=note)


def group(question: Question, code: str) -> Place:
    (row,) = question.store.select("SELECT * FROM registry.item7_group WHERE item7_group = ?", [code])
    return Place(kind="group", code=code, name=question.name(row))


def find_place(question: Question, text: str) -> Place:
    """A settlement, a region, an item 7 group or the country by code or name in any language. Raises AnswerError naming the nearest."""
    asked, languages = folded(text), ("en", "ru", "kk")
    if asked in ("kz", "kazakhstan", "казахстан", folded("Қазақстан")):
        return Place(kind="country", code=COUNTRY, name=sentence("views.country", question.language))
    if asked in GROUPS:
        return group(question, asked)
    rows = settlement_rows(question)
    among = [(kato, [row[f"name_{one}"] for one in languages]) for kato, row in rows.items()]
    found = named(text, among)
    if len(found) == 1:
        note = question.said("former_name", asked=shown(text)) if formerly(text, found[0]) else None
        return settlement(question, rows[found[0][0]], note)
    regions = {row["kato"]: row for row in question.store.select("SELECT * FROM registry.region ORDER BY kato")}
    of_region = [(kato, [row[f"name_{one}"] for one in languages]) for kato, row in regions.items() if kato not in rows]
    in_regions = named(text, of_region) or [one for one in of_region if one[0][:2] == text.strip()]
    if not found and len(in_regions) == 1:
        row = regions[in_regions[0][0]]
        return Place(kind="region", code=row["kato"], name=question.name(row))
    near = [f"{kato} {names[0]}" for kato, names in found] or nearest(text, [*among, *of_region])
    raise question.refuse("no_place", asked=shown(text), near="; ".join(near) or "list_places")


def find_settlement(question: Question, text: str) -> Place:
    """As `find_place`, and it must be a settlement."""
    place = find_place(question, text)
    if place.kind != "settlement":
        raise question.refuse("not_a_settlement", asked=place.name)
    return place


def find_period(question: Question, text: str) -> Period:
    """Raises AnswerError saying how periods are written."""
    try:
        return parse_period(text)
    except ValueError:
        raise question.refuse("no_period", asked=shown(text)) from None
