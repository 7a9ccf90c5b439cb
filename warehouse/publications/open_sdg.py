"""The yearly figures as a data repository of Open SDG: data, metadata by SDMX concepts, configuration, translations, outlines of regions.

A KPI is an indicator, an initiative its goal, so that a site has a page for each. Open SDG knows years only: months and quarters are in
the other formats. Does not belong here: the site's own pages and its schema of metadata (open-sdg-data-starter has them).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import yaml

from warehouse.charts.geography import regions_geojson
from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.publications.figures import Code, Figure, Figures, Labels, labels
from warehouse.publications.sdmx_structures import described
from warehouse.tables.obs_status import ObsStatus

# columns whose values break a figure down, in the order a reader narrows it; GeoCode and Value stand last, as Open SDG wants
_GROUP, _REGION, _SETTLEMENT = "Group of settlements", "Region", "Settlement"
COLUMNS = ("Year", "Units", _GROUP, _REGION, _SETTLEMENT, "Observation status", "GeoCode", "Value")
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_BASE = "en"  # language of the metadata that others translate


class OpenSdg:
    """The repository of one release."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.areas = {area.id: area for area in figures.areas}
        self.units = {id_: labels(row, "name") for id_, row in figures.units.items()}

    def files(self) -> Iterator[tuple[str, str]]:
        """Path in the repository → text."""
        yearly: dict[str, list[Figure]] = {}
        for row in self.figures.observations:
            if row.freq == "A":
                yearly.setdefault(row.indicator, []).append(row)
        heads = {one["catalogue_id"]: one for one in self.figures.catalogues}
        for kpi in self.figures.definitions:
            rows, code = yearly.get(kpi["kpi_code"], []), kpi["kpi_code"]
            yield f"data/indicator_{code}.csv", self._data(rows)
            yield f"indicator-config/{code}.yml", _yaml(self._configuration(kpi, rows))
            for language in LANGUAGES:
                folder = "meta" if language == _BASE else f"meta/{language}"
                yield f"{folder}/{code}.yml", _yaml(self._metadata(kpi, heads[kpi["catalogue_id"]], language))
        for language in LANGUAGES:
            for group, texts in self._translations(language).items():
                yield f"translations/{language}/{group}.yml", _yaml(texts)
        yield "regions.geojson", self._regions()
        yield "config_data.yml", _yaml(_CONFIGURATION)

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        """Code of an area → what stands for it in the data, and in the translations: its English name, told apart where two have the same."""
        names = {area.id: area.names["en"] or area.id for area in self.figures.areas}
        shared = Counter((name, self.areas[id_].kind) for id_, name in names.items())
        return {
            id_: name if shared[name, self.areas[id_].kind] == 1 else f"{name} ({id_})" for id_, name in names.items()
        }

    def _data(self, rows: Sequence[Figure]) -> str:
        """Figures with a value; a column left blank is the whole."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            if row.obs_value is None:
                continue
            unit = self.units[row.unit_measure]["en"]
            writer.writerow(
                (row.time_period, unit, *self._place(self.areas[row.ref_area], row.obs_status), row.obs_value)
            )
        return text.getvalue()

    def _place(self, area: Code, status: str) -> tuple[str, ...]:
        """Group, region, settlement, status and GeoCode of a row."""
        key = self._keys[area.id]
        region = key if area.kind == "region" else self._keys[area.parent or ""] if area.kind == "settlement" else ""
        return (
            key if area.kind == "group" else "",
            region,
            key if area.kind == "settlement" else "",
            status,
            area.id if area.kind == "region" else "",
        )

    def _configuration(self, kpi: Mapping[str, Any], rows: Sequence[Figure]) -> dict[str, Any]:
        title = f"global_indicators.{kpi['kpi_code']}-title"
        return {
            "indicator_name": title,
            "indicator_number": number(kpi["kpi_code"]),
            "graph_title": title,
            "graph_type": "line",
            "computation_units": f"data.{self.units[kpi['unit']]['en']}" if kpi["unit"] in self.units else "",
            "national_geographical_coverage": f"data.{self._keys['KZ']}",
            "data_non_statistical": False,
            "data_show_map": any(self.areas[row.ref_area].kind == "region" and row.obs_value for row in rows),
            "reporting_status": reporting_status(
                [row.obs_status for row in rows if self.areas[row.ref_area].kind == "settlement"]
            ),
            "expected_disaggregations": [_GROUP, _REGION, _SETTLEMENT],
        }

    def _metadata(self, kpi: Mapping[str, Any], catalogue: Mapping[str, Any], language: str) -> dict[str, Any]:
        """Reference metadata under the ids of SDMX concepts. In another language than English only what is translated."""
        told = {
            "SDG_INDICATOR": labels(kpi, "kpi_name")[language],
            "SDG_GOAL": labels(kpi, "initiative")[language],
            "STAT_CONC_DEF": labels(kpi, "description")[language],
            "UNIT_MEASURE": self.units.get(kpi["unit"], {}).get(language),
            "REC_USE_LIM": described(self.figures.edition, catalogue)[language],
        }
        if language == _BASE:
            told |= {
                "DATA_COMP": kpi["calculation"],
                "DATA_SOURCE": kpi["source"],
                "COVERAGE": kpi["breakdown"],
                "IMPUTATION": kpi["assumptions"],
                "COMPARABILITY": f"version {kpi['definition_version']} of the definition, since {kpi['valid_from']}: {kpi['change_note']}",
                "INST_MANDATE": catalogue["legal_basis"],
                "COMPILING_ORG": self.figures.edition.publisher,
                "DOC_METHOD": f"definition {kpi['definition_hash']}; {kpi['sign_off']}",
                "OTHER_DOC": kpi["standards"],
                "META_LAST_UPDATE": self.figures.edition.released_at.date().isoformat(),
            }
        return {key: text for key, text in told.items() if text}

    def _translations(self, language: str) -> dict[str, dict[str, str]]:
        data = {self._keys[area.id]: area.names[language] or self._keys[area.id] for area in self.figures.areas}
        data |= {str(names["en"]): _in(names, language) for names in self.units.values()}
        named = ((_GROUP, "group"), (_REGION, "region"), (_SETTLEMENT, "settlement"), ("Units", "units"))
        data |= {column: sentence(f"publications.column_{name}", language) for column, name in named}
        data |= {status.id: str(status.names[language]) for status in self.figures.statuses}
        goals, targets, indicators = {}, {}, {}
        for kpi in self.figures.definitions:
            goal, _, last = kpi["kpi_code"].partition("-")
            name = _in(labels(kpi, "initiative"), language)
            goals[f"{goal}-short"], goals[f"{goal}-title"] = name, name
            targets[f"{goal}-{last}-title"] = _in(labels(kpi, "sphere"), language)
            indicators[f"{kpi['kpi_code']}-title"] = _in(labels(kpi, "kpi_name"), language)
        return {"data": data, "global_goals": goals, "global_targets": targets, "global_indicators": indicators}

    def _regions(self) -> str:
        """Outlines with the code that the column GeoCode has, and the name that the column Region has."""
        collection = regions_geojson()
        for feature in collection["features"]:
            code = f"KZ-{feature['properties']['kato2']}"
            feature["properties"] = {"geocode": code, "name": self._keys[code]}
        return json.dumps(collection, ensure_ascii=False, separators=(",", ":")) + "\n"


def number(code: str) -> str:
    """MGT02-1 → MGT02.1, as Open SDG writes 1.1.1 of the file 1-1-1."""
    return code.replace("-", ".")


def reporting_status(statuses: Sequence[str]) -> str:
    """Of the settlements that a KPI applies to: all have a value, some, or none."""
    asked = [ObsStatus(status) for status in statuses if ObsStatus(status).applies]
    with_value = sum(status.has_value for status in asked)
    if statuses and not asked:
        return "notapplicable"
    return "complete" if asked and with_value == len(asked) else "inprogress" if with_value else "notstarted"


def _in(texts: Labels, language: str) -> str:
    return str(texts[language] or texts["en"])


def _yaml(data: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(data), Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=1000)
    return text


# of sdg-build: what it has to know of this folder
_CONFIGURATION = {
    "languages": ["kk", "ru", "en"],
    "translations": [
        {
            "class": "TranslationInputSdgTranslations",
            "source": "https://github.com/open-sdg/sdg-translations.git",
            "tag": "2.1.0",
        },
        {"class": "TranslationInputYaml", "source": "translations"},
    ],
    "inputs": [
        {"class": "InputCsvData", "path_pattern": "data/indicator_*-*.csv"},
        {"class": "InputYamlMeta", "path_pattern": "indicator-config/*-*.yml", "git": False},
        {"class": "InputYamlMeta", "path_pattern": "meta/*-*.yml", "git": False},
    ],
    "map_layers": [
        {
            "geojson_file": "regions.geojson",
            "name_property": "name",
            "id_property": "geocode",
            "output_subfolder": "regions",
            "filename_prefix": "indicator_",
        }
    ],
}
