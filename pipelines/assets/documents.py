"""Links from an asset to the document that defines it: a contract, a file of definitions. In an installed wheel they lead there too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from dagster import CodeReferencesMetadataValue, LocalFileCodeReference


def of_document(what: str, path: Path, version: str, line: int | None = None) -> dict[str, Any]:
    """Metadata of an asset: the document's name and version, where it is, and Dagster's own link to it."""
    place = LocalFileCodeReference(file_path=str(path), line_number=line, label=f"{what} {path.name}")
    return {
        what: f"{path.name} {version}",
        f"{what} file": dg.MetadataValue.path(str(path)),
        "dagster/code_references": CodeReferencesMetadataValue(code_references=[place]),
    }
