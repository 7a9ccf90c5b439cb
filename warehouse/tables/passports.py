"""Metadata for people: data passport, case passports, and the mapping to international standards, as rows.

The data passport has the 17 fields of Decree No. 830 for every column of the showcase; a case passport says of one version of a
KPI what the decree asks of an analytical case. Both are made from contracts and definitions, stored in the registry and exported.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of
from kpi_definitions.model import Grain, Kpi, Part
from warehouse.tables.contracts import Column, Table

SYSTEM, DATABASE = "SDU (qala)", "qala"
STANDARDS = Path(catalogues.__file__).parent / "standards.csv"
_PERIODICITY = {Grain.MONTH: "monthly", Grain.QUARTER: "quarterly", Grain.YEAR: "yearly"}
# key in a definition: name in standards.csv
_STANDARD_NAMES = {
    "u4ssc": "U4SSC / ITU-T Y.4903 (L.1603)",
    "iso37120": "ISO 37120:2018",
    "iso37122": "ISO 37122:2019",
    "sdg": "SDG",
}


def data_passport(tables: Iterable[Table]) -> Iterator[tuple[Any, ...]]:
    """A row of the 17 fields for every column of every showcase table."""
    number = 0
    for table in tables:
        for column in table.columns:
            number += 1
            reference = next((f"{r.table}.{r.target}" for r in table.references if r.column == column.name), None)
            keys = [*(["PK"] if column.name in table.key else []), *(["FK"] if reference else [])]
            yield (
                number,
                SYSTEM,
                DATABASE,
                "showcase",
                table.name,
                table.description_ru,
                "register" if table.snapshot else "fact",
                f"{table.name}.{column.name}",
                column.name,
                column.sql_type,
                _described(column),
                reference,
                _control(table, column),
                " ".join(keys) or None,
                f"{table.domain}, {column.classification}",
                table.snapshot and column.name in table.key,
                table.public_service,
            )


def _described(column: Column) -> str:
    return column.description_ru + (f" [{column.unit}]" if column.unit else "")


def _control(table: Table, column: Column) -> str | None:
    """Russian descriptions of the rules that name a column: those on its values, and those on its table."""
    named = re.compile(rf"\b{re.escape(column.name)}\b")
    rules = [*column.rules, *(r for r in table.row_rules if named.search(r.predicate or ""))]
    for rule in table.delivery_rules:
        if named.search(str(rule.kwargs.get("column", ""))) or rule.id in (
            f"{column.name}.reference",
            f"{column.name}.codes",
        ):
            rules.append(rule)
    return "; ".join(dict.fromkeys(r.description("ru") for r in rules)) or None


def case_passports(catalogue: Catalogues, tables: Mapping[str, Table]) -> Iterator[tuple[Any, ...]]:
    """A row for every version of every KPI."""
    for kpi in catalogue.kpis:
        head = catalogue.of(kpi.code).head
        named = dict.fromkeys(table for table, _ in columns_of(kpi))
        start, end = catalogue.effect(kpi)
        yield (
            kpi.code,
            kpi.version,
            kpi.name.en,
            kpi.name.ru,
            kpi.name.kk,
            kpi.description.en if kpi.description else None,
            kpi.description.ru if kpi.description else None,
            kpi.description.kk if kpi.description else None,
            f"settlement ({', '.join(kpi.categories)}), region, item 7 group, country; {_PERIODICITY[kpi.period]}, year",
            "; ".join(f"{name} ({tables[name].owner})" if name in tables else name for name in named),
            _PERIODICITY[kpi.period],
            calculation(kpi),
            kpi.unit,
            _assumptions(kpi),
            "; ".join(_standard(standard, code, fit) for _, standard, code, _, fit in _mapped(kpi)) or "none",
            head.status,
            kpi.approved_by or "not approved: proposal",
            f"{start} to {end if end.year < 9999 else '...'}",
        )


def _standard(standard: str, code: str, fit: str) -> str:
    return f"{standard} {code}" + (f" ({fit})" if fit != "exact" else "")


def calculation(kpi: Kpi) -> str:
    """How the value is made, as a formula over the definition's own expressions."""
    rows = kpi.rows.table + (f" where {kpi.rows.filter}" if kpi.rows.filter else "")
    if kpi.rows.event:
        time = f"{kpi.rows.event} in the period"
    elif kpi.rows.as_of:
        time = f"{kpi.rows.as_of} = first day after the period"
    else:
        assert kpi.rows.stock is not None
        time = f"in force at the period's end ({kpi.rows.stock.start} to {kpi.rows.stock.end})"

    def part(p: Part) -> str:
        inner = p.aggregate + (f" [{p.filter}]" if p.filter else "")
        return inner + (f" of {p.rows.table}" + (f" where {p.rows.filter}" if p.rows.filter else "") if p.rows else "")

    formula = part(kpi.numerator) + (f" / {part(kpi.denominator)}" if kpi.denominator else "")
    return f"{f'{kpi.scale} x ' if kpi.scale != 1 else ''}{formula}, over {rows}, {time}"


def _assumptions(kpi: Kpi) -> str:
    words = [
        f"at least {100 * kpi.coverage.minimum:g} % of the period's deliveries",
        f"provisional for {kpi.late_data_days} days",
        "nothing is estimated, imputed or carried forward",
    ]
    if kpi.minimum_sample > 1:
        words.append(f"marked below {kpi.minimum_sample} observations")
    if kpi.minimum_cell:
        words.append(f"suppressed below {kpi.minimum_cell} observations")
    if kpi.season:
        words.append(f"{kpi.season.name.en} only: months {', '.join(map(str, kpi.season.months))}")
    if kpi.sensitivity != "open":
        words.append({"personal": "derived from personal data", "restricted": "not in public exports"}[kpi.sensitivity])
    return "; ".join(words)


def standards(catalogue: Catalogues) -> list[tuple[Any, ...]]:
    """(KPI, standard, indicator, its name where known, fit) of the newest version of every KPI."""
    return [row for code in catalogue.codes for row in _mapped(catalogue.latest(code))]


def _mapped(kpi: Kpi) -> Iterator[tuple[str, str, str, str | None, str]]:
    for key, standard in _STANDARD_NAMES.items():
        for text in filter(None, (t.strip() for t in (getattr(kpi.standards, key) or "").split(";"))):
            name, fit = standard, kpi.standards.fit
            if text.endswith("(related)"):
                text, fit = text.removesuffix("(related)").strip(), "partial"
            if text.startswith("ISO 37123 "):
                name, text = "ISO 37123:2019", text.removeprefix("ISO 37123 ")
            yield kpi.code, name, text, _names().get((name, text)), fit


@cache
def _names() -> dict[tuple[str, str], str]:
    with STANDARDS.open(encoding="utf-8", newline="") as handle:
        return {(row["standard"], row["code"]): row["name"] for row in csv.DictReader(handle)}
