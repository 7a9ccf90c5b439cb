"""A Frictionless data package (version 1) over the CSV files of a publication. Does not belong here: what the files hold (tables.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.publications.figures import Edition
from warehouse.publications.tables import Column, Table

FILE = "datapackage.json"


def package(edition: Edition, tables: Sequence[Table], files: Mapping[str, tuple[str, int]], *, bom: bool) -> str:
    """The descriptor as text. `files`: path → SHA-256 and bytes. No licence is named: whoever publishes has to state one."""
    text = json.dumps(
        {
            "profile": "tabular-data-package",
            "name": f"{edition.agency.lower().replace('_', '-')}-smart-city-kpis",
            "id": f"{edition.head}:{edition.seq}",
            "version": f"1.0.{edition.seq}",
            "title": sentence("publications.catalogue_title", "en", seq=edition.seq),
            "titles": {
                language: sentence("publications.catalogue_title", language, seq=edition.seq) for language in LANGUAGES
            },
            "description": sentence("publications.licence_unknown", "en"),
            "created": edition.released_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "contributors": [{"title": edition.publisher, "role": "publisher"}],
            "resources": [_resource(table, *files[table.path], bom=bom) for table in tables],
        },
        ensure_ascii=False,
        indent=1,
    )
    return text + "\n"


def _resource(table: Table, sha256: str, size: int, *, bom: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"fields": [_field(column) for column in table.columns], "missingValues": [""]}
    if table.key:
        schema["primaryKey"] = list(table.key)
    return {
        "profile": "tabular-data-resource",
        "name": table.path.removesuffix(".csv").replace("/", "-").replace("_", "-").lower(),
        "path": table.path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8-sig" if bom and table.path.startswith("csv/") else "utf-8",
        "bytes": size,
        "hash": f"sha256:{sha256}",
        "schema": schema,
    }


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.type}
    if column.titles:
        field |= {"title": column.titles["en"], "titles": dict(column.titles)}
    if column.description:
        field["description"] = column.description
    if column.required:
        field["constraints"] = {"required": True}
    return field
