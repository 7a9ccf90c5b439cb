"""The figures of one list as a JSON-stat 2.0 dataset: KPI by area by period, with status, units and the labels of one language.

Values and states stand under their place in the cube: most places of it are empty. Does not belong here: other attributes (SDMX has them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.messages.messages import sentence
from warehouse.publications.figures import Code, Figures, labels
from warehouse.publications.sdmx_structures import described

DIMENSIONS = ("INDICATOR", "REF_AREA", "TIME_PERIOD")


def dataset(figures: Figures, catalogue: Mapping[str, Any], language: str) -> str:
    """The dataset as text. The same release gives the same text."""
    rows = figures.of(catalogue["catalogue_id"])
    kpis = [kpi for kpi in figures.definitions if kpi["catalogue_id"] == catalogue["catalogue_id"]]
    found = {row.time_period for row in rows}
    periods = [period["period_id"] for period in figures.periods if period["period_id"] in found]
    ids = ([kpi["kpi_code"] for kpi in kpis], [area.id for area in figures.areas], periods)
    places = [{id_: place for place, id_ in enumerate(one)} for one in ids]
    size = [len(one) for one in ids]
    values, states = {}, {}
    for row in rows:
        kpi, area, period = places[0][row.indicator], places[1][row.ref_area], places[2][row.time_period]
        place = str((kpi * size[1] + area) * size[2] + period)
        states[place] = row.obs_status
        if row.obs_value is not None:
            values[place] = float(row.obs_value)  # its shortest text is that of the release
    name = labels(catalogue, "name")
    told = described(figures.edition, catalogue)
    return json.dumps(
        {
            "version": "2.0",
            "class": "dataset",
            "label": sentence("publications.title", language, catalogue=name[language] or catalogue["catalogue_id"]),
            "source": figures.edition.publisher,
            "updated": figures.edition.released_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "note": [told[language]],
            "id": DIMENSIONS,
            "size": size,
            "role": {"time": ["TIME_PERIOD"], "geo": ["REF_AREA"], "metric": ["INDICATOR"]},
            "dimension": {
                "INDICATOR": _kpis(figures, kpis, places[0], language),
                "REF_AREA": _areas(figures.areas, places[1], language),
                "TIME_PERIOD": {
                    "label": sentence("publications.concept_time_period", language),
                    "category": {"index": places[2]},
                },
            },
            "value": values,
            "status": states,
            "extension": {
                "status": {"label": {one.id: one.names[language] for one in figures.statuses}},
                "release": figures.edition.released_seq,
                "as_of": figures.edition.seq,
                "ledger_head": figures.edition.head,
                "catalogue": {key: catalogue[key] for key in ("catalogue_id", "catalogue_version", "catalogue_status")},
            },
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _kpis(
    figures: Figures, kpis: Sequence[Mapping[str, Any]], index: Mapping[str, int], language: str
) -> dict[str, Any]:
    units = {
        id_: {"label": labels(row, "name")[language], "symbol": row["symbol"]} for id_, row in figures.units.items()
    }
    return {
        "label": sentence("publications.concept_indicator", language),
        "category": {
            "index": index,
            "label": {kpi["kpi_code"]: labels(kpi, "kpi_name")[language] or kpi["kpi_name_en"] for kpi in kpis},
            "unit": {kpi["kpi_code"]: units[kpi["unit"]] for kpi in kpis if kpi["unit"] in units},
            "note": {
                kpi["kpi_code"]: [text]
                for kpi in kpis
                if (text := labels(kpi, "description")[language] or kpi["description_en"])
            },
        },
    }


def _areas(areas: Sequence[Code], index: Mapping[str, int], language: str) -> dict[str, Any]:
    above: dict[str, list[str]] = {}
    for area in areas:
        if area.parent:
            above.setdefault(area.parent, []).append(area.id)
    return {
        "label": sentence("publications.concept_ref_area", language),
        "category": {
            "index": index,
            "label": {area.id: area.names[language] or area.names["en"] for area in areas},
            "child": above,
        },
    }
