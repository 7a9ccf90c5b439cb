"""CSVW metadata (W3C, CSV on the Web) of the CSV files of a publication. Does not belong here: what the files hold (tables.py)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.publications.figures import Edition
from warehouse.publications.tables import Column, Table

FILE = "csv-metadata.json"  # where CSVW's discovery looks beside a file
_TYPES = {"number": "double", "integer": "integer", "boolean": "boolean", "date": "date"}


def metadata(edition: Edition, tables: Sequence[Table]) -> str:
    """The table group as text."""
    text = json.dumps(
        {
            "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
            "dc:title": [
                {"@value": sentence("publications.catalogue_title", language, seq=edition.seq), "@language": language}
                for language in LANGUAGES
            ],
            "dc:publisher": edition.publisher,
            "dc:modified": {"@value": edition.released_at.date().isoformat(), "@type": "xsd:date"},
            "dc:rights": sentence("publications.licence_unknown", "en"),
            "tables": [_table(table) for table in tables],
        },
        ensure_ascii=False,
        indent=1,
    )
    return text + "\n"


def _table(table: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {"columns": [_column(column) for column in table.columns]}
    if table.key:
        schema["primaryKey"] = list(table.key)
    return {"url": table.path, "tableSchema": schema}


def _column(column: Column) -> dict[str, Any]:
    """A name is that of the header, without blanks; titles have to be the header's."""
    made: dict[str, Any] = {"name": column.name.replace(" ", "_"), "titles": column.name}
    if column.titles:
        made["rdfs:label"] = [{"@value": column.titles[lang], "@language": lang} for lang in LANGUAGES]
    if column.description:
        made["dc:description"] = column.description
    if column.type in _TYPES:
        made["datatype"] = _TYPES[column.type]
    if column.required:
        made["required"] = True
    return made
