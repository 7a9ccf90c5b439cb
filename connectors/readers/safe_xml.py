"""XML read without what else XML can do: no entities of its own, nothing fetched, no document type, no giant texts.

Does not belong here: what is in it (xml_rows.py, workbook_parts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.readers.headers import StructureError

SETTINGS: Mapping[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
}


def parsed(text: bytes, name: str) -> Any:
    """The root element of a small document. Raises StructureError for a document type, ValueError for what is no XML."""
    from lxml import etree

    try:
        root = etree.fromstring(text, etree.XMLParser(**SETTINGS))
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from None
    refuse_document_type(root, name)
    return root


def refuse_document_type(root: Any, name: str) -> None:
    """Raises StructureError if a document has one: entities are declared there, and files named that would be read."""
    if root.getroottree().docinfo.doctype:
        raise StructureError("refusal.xml_document_type", file=name)
