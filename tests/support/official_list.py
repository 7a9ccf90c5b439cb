"""A made-up official list of KPIs as files, as somebody would type it in: other codes, meanings of the proposal's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kpi_definitions.catalogue import load_catalogues

FROM = dt.date(2026, 1, 1)  # the made-up list's first day of effect
SPHERES = ("MGT", "SAF", "TRL", "SOC", "ECO", "HCS", "ECB", "INF")
# the KPI of the proposal whose meaning each code takes over; HCS and ECB count appeals of one category
MEANINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "B01": ("MGT", ("MGT02-1", "MGT02-2")), "B02": ("MGT", ("MGT01-1",)), "B03": ("SAF", ("SAF01-1",)), "B04": ("SAF", ("SAF04-1",)),
    "B05": ("TRL", ("TRL02-2",)), "B06": ("SOC", ("SOC03-2",)), "B07": ("SOC", ("SOC04-2",)), "B08": ("ECO", ("ECO01-1", "ECO01-2")),
    "B09": ("ECO", ("ECO02-2",)), "B10": ("HCS", ("water",)), "B11": ("ECB", ("trade",)), "B12": ("INF", ("INF03-2",)), "B13": ("INF", ("INF04-2",)),
    "A01": ("MGT", ("MGT01-2",)), "A02": ("HCS", ("heat",)),
}  # fmt: skip
HEAD = """\
id: official-test
version: '1'
name: {en: Official list (made up for a test), ru: Официальный перечень (выдуман для проверки)}
status: official
legal_basis: Appendix 2 of an order that does not exist.
valid_from: 2026-01-01
spheres:
""" + "".join(
    f"  - {{code: {code}, number: {n}, name: {{en: Sphere {n}, ru: Сфера {n}}}}}\n" for n, code in enumerate(SPHERES, 1)
)
INITIATIVE = """\
# an initiative of the made-up list
code: {code}
sphere: {sphere}
name: {{en: Initiative {code}, ru: Инициатива {code}}}
named_in_order: true
basis: {basis}
categories: [republican, regional, district]
kpis:
"""
OWN = """\
  - code: {code}
    version: 1
    valid_from: 2026-01-01
    change_note: Made up.
    approved_by: Order of nobody No. 1
    name: {{en: Appeals about {word} closed in time, ru: Обращения в срок}}
    unit: PT
    direction: higher
    kind: share
    period: M
    categories: [republican, regional, district]
    scale: 100
    rows: {{table: fct_appeal, event: due_at, filter: "category = '{word}'"}}
    numerator: {{aggregate: count(*), filter: closed_at <= due_at}}
    denominator: {{aggregate: count(*)}}
    coverage: {{minimum: 1}}
    late_data_days: 10
    standards: {{fit: none}}
"""
PROPOSAL = load_catalogues()
OFFICIAL_CODES = tuple(sorted(f"{i}-{n}" for i, (_, kpis) in MEANINGS.items() for n in range(1, len(kpis) + 1)))


def entry(code: str, meaning: str) -> str:
    """A KPI under a code of the official list: the meaning of one of the proposal, or a count of appeals."""
    if "-" not in meaning:
        return OWN.format(code=code, word=meaning)
    known = PROPOSAL.latest(meaning).model_dump(mode="json", by_alias=True, exclude_none=True)
    renamed = known | {"code": code, "version": 1, "valid_from": FROM, "change_note": "Made up.", "approved_by": "Order of nobody No. 1"}  # fmt: skip
    lines = yaml.safe_dump([renamed], allow_unicode=True, sort_keys=False).splitlines()
    return "".join(f"  {line}\n" for line in lines)


def scale(code: str, meaning: str) -> dict[str, float]:
    better = PROPOSAL.latest(meaning).direction if "-" in meaning else "higher"
    return {"floor": 0, "goal": 100} if better == "higher" else {"floor": 50, "goal": 0}


def write(folder: Path) -> Path:
    """The made-up official list, as somebody would type it in."""
    folder.mkdir(parents=True)
    (folder / "catalogue.yaml").write_text(HEAD, encoding="utf-8")
    scales: dict[str, Any] = {}
    for code, (sphere, meanings) in MEANINGS.items():
        basis = "basic" if code.startswith("B") else "additional"
        text = INITIATIVE.format(code=code, sphere=sphere, basis=basis)
        for number, meaning in enumerate(meanings, 1):
            text += entry(f"{code}-{number}", meaning)
            scales[f"{code}-{number}"] = scale(code, meaning)
        file = folder / "spheres" / sphere.lower() / f"{code}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    rules = {"version": "1", "valid_from": 2026, "change_note": "Made up.", "minimum_coverage": 0.1, "minimum_periods": 0.05, "weight_change": 0.25,
             "weights": {"initiatives": {"B01": 3}}, "scales": scales}  # fmt: skip
    (folder / "assessment").mkdir()
    (folder / "assessment" / "1.yaml").write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    return folder
