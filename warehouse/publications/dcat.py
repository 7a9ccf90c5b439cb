"""The catalogue of a publication by DCAT-AP, as JSON-LD: a dataset for every list of KPIs, one for the tables, their files and checksums.

Addresses are relative: they follow from where the folder is served. Does not belong here: what the files hold.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.publications.figures import Edition, Figures, Labels, said
from warehouse.publications.sdmx_structures import described

FILE = "catalog.jsonld"
_EU = "http://publications.europa.eu/resource/authority"
_LANGUAGES = {"kk": f"{_EU}/language/KAZ", "ru": f"{_EU}/language/RUS", "en": f"{_EU}/language/ENG"}
_FREQUENCIES = {"M": "MONTHLY", "Q": "QUARTERLY", "A": "ANNUAL"}
_MEDIA = {
    ".csv": ("text/csv", "CSV"),
    ".xml": ("application/xml", "XML"),
    ".json": ("application/json", "JSON"),
    ".geojson": ("application/geo+json", "GEOJSON"),
}
_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def catalog(
    figures: Figures, files: Mapping[str, tuple[str, int]], by_list: Mapping[str, Sequence[str]], tables: Sequence[str]
) -> str:
    """The catalogue as text. `files`: path → SHA-256 and bytes; `by_list`: list of KPIs → its files; `tables`: files of the tables."""
    edition = figures.edition
    datasets = [
        _dataset(figures, one, [_distribution(path, *files[path]) for path in by_list[one["catalogue_id"]]])
        for one in figures.catalogues
    ]
    datasets.append(
        {
            "@id": "#tables",
            "@type": "dcat:Dataset",
            "dct:title": _texts(said("publications.tables")),
            "dct:description": _texts(said("publications.tables_described")),
            **_common(edition),
            "dcat:distribution": [_distribution(path, *files[path]) for path in tables],
        }
    )
    text = json.dumps(
        {
            "@context": _CONTEXT,
            "@id": "#catalog",
            "@type": "dcat:Catalog",
            "dct:title": _texts(said("publications.catalogue_title", seq=edition.seq)),
            "dct:description": _texts(said("publications.licence_unknown")),
            **_common(edition),
            "dcat:dataset": datasets,
        },
        ensure_ascii=False,
        indent=1,
    )
    return text + "\n"


def _dataset(
    figures: Figures, catalogue: Mapping[str, Any], distributions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    rows, edition = figures.of(catalogue["catalogue_id"]), figures.edition
    periods = {row.time_period for row in rows}
    spans = [(one["period_start"], one["period_end"]) for one in figures.periods if one["period_id"] in periods]
    names = {
        language: sentence(
            "publications.title", language, catalogue=catalogue[f"name_{language}"] or catalogue["catalogue_id"]
        )
        for language in LANGUAGES
    }
    return {
        "@id": f"#{catalogue['catalogue_id']}",
        "@type": "dcat:Dataset",
        "dct:identifier": f"{edition.agency}:{catalogue['catalogue_id']}:{edition.seq}",
        "dct:title": _texts(names),
        "dct:description": _texts(described(edition, catalogue)),
        **_common(edition),
        "dcat:version": f"{catalogue['catalogue_version']}.{edition.seq}",
        "dct:accrualPeriodicity": [{"@id": f"{_EU}/frequency/{_FREQUENCIES[one.id]}"} for one in figures.frequencies],
        "dct:spatial": {"@id": f"{_EU}/country/KAZ"},
        "dct:temporal": {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _date(min(start for start, _ in spans)),
            "dcat:endDate": _date(max(end for _, end in spans) - dt.timedelta(1)),
        },
        "dcat:distribution": list(distributions),
    }


def _common(edition: Edition) -> dict[str, Any]:
    when = edition.released_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "dct:publisher": {"@type": "foaf:Agent", "@id": "#publisher", "foaf:name": edition.publisher},
        "dct:language": [{"@id": _LANGUAGES[language]} for language in LANGUAGES],
        "dct:modified": {"@value": when, "@type": "xsd:dateTime"},
        "dct:accessRights": {"@id": f"{_EU}/access-right/PUBLIC"},
        "dct:rights": {"@type": "dct:RightsStatement", "rdfs:label": _texts(said("publications.licence_unknown"))},
    }


def _distribution(path: str, sha256: str, size: int) -> dict[str, Any]:
    media, file_type = _MEDIA[path[path.rindex(".") :]]
    return {
        "@id": f"#{path}",
        "@type": "dcat:Distribution",
        "dct:title": path,
        "dcat:accessURL": {"@id": path},
        "dcat:downloadURL": {"@id": path},
        "dcat:mediaType": {"@id": f"https://www.iana.org/assignments/media-types/{media}"},
        "dct:format": {"@id": f"{_EU}/file-type/{file_type}"},
        "dcat:byteSize": {"@value": str(size), "@type": "xsd:nonNegativeInteger"},
        "dct:rights": {"@type": "dct:RightsStatement", "rdfs:label": _texts(said("publications.licence_unknown"))},
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@value": sha256, "@type": "xsd:hexBinary"},
        },
    }


def _texts(texts: Labels) -> list[dict[str, str]]:
    return [{"@value": text, "@language": language} for language, text in texts.items() if text]


def _date(day: dt.date) -> dict[str, str]:
    return {"@value": day.isoformat(), "@type": "xsd:date"}
