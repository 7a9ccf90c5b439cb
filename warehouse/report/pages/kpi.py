"""A KPI: its definition in words, formula and SQL, its ranking inside groups, its trend, what was restated, what it reads.

Does not belong here: one settlement's values of it (settlement.py), checking a definition (kpi_definitions/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from kpi_definitions.compiler import compile_kpi
from kpi_definitions.model import AssessmentRules, Kpi, Part, Rows
from warehouse.audit.explain import queries
from warehouse.charts.legends import legend_of_lines, legend_of_states
from warehouse.charts.lines import Point, line
from warehouse.charts.rankings import Bar, bars
from warehouse.charts.svg import Caption
from warehouse.messages.messages import sentence
from warehouse.periods import parse_period
from warehouse.report.page import Page
from warehouse.report.pages.settlement import BETTER
from warehouse.report.release_data import ReleaseData
from warehouse.report.wording import name, number
from warehouse.sql import statement


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    versions = {code: list(rows) for code, rows in groupby(_versions(release), lambda row: row["kpi_code"])}
    standards = {code: list(rows) for code, rows in groupby(_standards(release), lambda row: row["kpi_code"])}
    sources = {
        code: list(rows)
        for code, rows in groupby(release.rows(statement(__file__, "kpi_sources")), lambda row: row["kpi_code"])
    }
    rules, examples = _rules(release), release.once(_examples)
    for code, kpi in release.kpis.items():
        definition = Kpi.model_validate_json(kpi["definition"])
        restricted = kpi["sensitivity"] == "restricted"
        context = {
            "title": name(language, kpi),
            "kpi": kpi,
            "definition": definition,
            "description": name(language, kpi, "description"),
            "catalogue": next(one for one in release.catalogues if one["catalogue_id"] == kpi["catalogue_id"]),
            "parts": _parts(definition),
            "versions": versions[code],
            "standards": standards.get(code, []),
            "sources": sources.get(code, []),
            "scale": _scale(rules.get(kpi["catalogue_id"]), definition),
            "groups": [] if restricted else _groups(release, language, kpi, definition),
            "trends": [] if restricted else _trends(release, language, kpi),
            "legend": "" if restricted else _legend(release, language, kpi),
            "restated": release.figures.restated.get(code, []),
            "example": examples.get(code),
        }
        yield Page(f"kpi/{code}.html", "kpi.html.j2", context)


def _versions(release: ReleaseData) -> list[dict[str, Any]]:
    found = release.rows("FROM registry.kpi ORDER BY kpi_code, definition_version DESC")
    return [row | {"said": Kpi.model_validate_json(row["definition"])} for row in found]


def _standards(release: ReleaseData) -> list[dict[str, Any]]:
    return release.rows("FROM registry.kpi_standard ORDER BY kpi_code, standard, indicator")


def _rules(release: ReleaseData) -> Mapping[str, AssessmentRules]:
    """List of KPIs → rules of its newest assessment."""
    found = release.rows("SELECT catalogue_id, rules FROM kpi.assessment ORDER BY year, version, seq")
    return {row["catalogue_id"]: AssessmentRules.model_validate_json(row["rules"]) for row in found}


def _scale(rules: AssessmentRules | None, definition: Kpi) -> list[tuple[list[str], float, float]]:
    """Groups with their floor and goal, those with the same together."""
    found: dict[tuple[float, float], list[str]] = {}
    for category in definition.categories:
        if rules and (scale := rules.scale(definition.code, category)):
            found.setdefault((scale.floor, scale.goal), []).append(str(category))
    return [(groups, floor, goal) for (floor, goal), groups in found.items()]


def _parts(definition: Kpi) -> list[dict[str, Any]]:
    """Numerator and denominator: what is counted of which rows under which conditions."""
    named: list[tuple[str, Part | None]] = [
        ("numerator", definition.numerator),
        ("denominator", definition.denominator),
    ]
    return [_part(word, part, part.rows or definition.rows) for word, part in named if part is not None]


def _part(word: str, part: Part, rows: Rows) -> dict[str, Any]:
    rule, columns = next(
        (rule, value) for rule in ("event", "as_of", "stock", "during") if (value := getattr(rows, rule)) is not None
    )
    column = columns if isinstance(columns, str) else f"{columns.start}, {columns.end}"
    return {
        "word": word,
        "aggregate": part.aggregate,
        "conditions": [condition for condition in (rows.filter, part.filter) if condition],
        "table": rows.table,
        "rule": rule,
        "column": column,
    }


def _examples(release: ReleaseData) -> dict[str, dict[str, Any] | None]:
    """KPI → the SQL of its newest definition for one cell."""
    return {code: _example(release, Kpi.model_validate_json(kpi["definition"])) for code, kpi in release.kpis.items()}


def _example(release: ReleaseData, definition: Kpi) -> dict[str, Any] | None:
    """The SQL for one cell: of the newest period of the settlement that has most to show."""
    for kato, by_kpi in release.figures.values.items():
        if cells := [
            cell for cell in by_kpi.get(definition.code, []) if cell["definition_version"] == definition.version
        ]:
            cell = next((one for one in reversed(cells) if one["value"] is not None), cells[-1])
            compiled = compile_kpi(definition, release.store.columns())
            sql = queries(compiled, kato, parse_period(cell["period_id"]), cell["as_of_seq"])
            return {"kato": kato, "period": cell["period_id"], "seq": cell["as_of_seq"], "sql": sql}
    return None


def _groups(release: ReleaseData, language: str, kpi: Mapping[str, Any], definition: Kpi) -> list[dict[str, Any]]:
    """The ranking of the year inside every group that the KPI is for."""
    year, found = release.figures.year, []
    for group, names in release.groups.items():
        if year is None or group not in definition.categories:
            continue
        rows = {
            kato: years[year]
            for kato, years in release.figures.years.get(kpi["kpi_code"], {}).items()
            if year in years and release.settlements[kato]["item7_group"] == group
        }
        placed = release.figures.places.get((kpi["kpi_code"], year, group), {})
        ranked = list(placed)
        without = [kato for kato in rows if kato not in placed]
        found.append(
            {
                "code": group,
                "names": names,
                "rows": [(kato, placed[kato], rows[kato]) for kato in ranked],
                "without": [(kato, rows[kato]) for kato in without if release.settlements[kato]["delivered"]],
                "without_count": len(without),
                "chart": _ranking(release, language, kpi, group, [(kato, rows[kato]) for kato in ranked])
                if ranked
                else None,
            }
        )
    return found


def _ranking(
    release: ReleaseData,
    language: str,
    kpi: Mapping[str, Any],
    group: str,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
) -> str:
    shown = [
        Bar(
            name(language, release.settlements[kato]),
            row["value"],
            number(language, row["value"], kpi["unit"]),
            row["value_low"],
            row["value_high"],
            row["obs_status"],
        )
        for kato, row in rows
    ]
    title = f"{name(language, kpi)}: {name(language, release.groups[group])}"
    told = f"{shown[0].label} {shown[0].shown} – {shown[-1].label} {shown[-1].shown}"
    return bars(
        shown,
        Caption(f"r-{group}", title, told),
        better=BETTER[kpi["direction"]],
        better_text=name(language, release.directions[kpi["direction"]]),
        width=420,
    )


def _legend(release: ReleaseData, language: str, kpi: Mapping[str, Any]) -> str:
    """What the marks of this page's charts mean, of the states that values of the KPI have; and the band of bounds."""
    figures, code = release.figures, kpi["kpi_code"]
    years = (row for of in figures.years.get(code, {}).values() for row in of.values())
    drawn = [row for row in (*figures.areas.get(code, []), *years) if row["value"] is not None]
    states = {row["obs_status"] for row in drawn}
    texts = {status: name(language, row) for status, row in release.states.items() if status in states}
    bounded = any(row["value_low"] != row["value_high"] for row in drawn)
    return legend_of_states(texts) + (legend_of_lines(bounds=sentence("report.bounds", language)) if bounded else "")


def _trends(release: ReleaseData, language: str, kpi: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The KPI through time over the country and each group."""
    rows = [row for row in release.figures.areas.get(kpi["kpi_code"], []) if row["grain"] == kpi["grain"]]
    write, found = partial(number, language, unit=kpi["unit"]), []
    for area in ("country", *release.groups):
        own = [row for row in rows if area == (row["area"] if row["area_kind"] == "group" else row["area_kind"])]
        if not any(row["value"] is not None for row in own):
            continue
        title = sentence("report.country", language) if area == "country" else name(language, release.groups[area])
        known = [row for row in own if row["value"] is not None]
        told = ", ".join(f"{row['period_id']}: {write(row['value'])}" for row in (known[0], known[-1]))
        points = [
            Point(r["period_id"], r["value"], r["value_low"], r["value_high"], None, r["obs_status"]) for r in own
        ]
        chart = line(points, Caption(f"l-{area}", title, told), number=write, better=BETTER[kpi["direction"]])
        found.append({"area": area, "title": title, "rows": own, "chart": chart})
    return found
