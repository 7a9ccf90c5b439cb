"""Structures as SDMX-ML: written by pysdmx, then completed with what its model has no place for.

Completed are names and descriptions in other languages than English, the code above a code, and of a content constraint its id, its names
and the values of an attribute. Does not belong here: what the structures say (sdmx_structures.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.messages.messages import LANGUAGES
from warehouse.publications.figures import Edition, Labels
from warehouse.publications.sdmx_structures import PARTS, Structures

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

VERSIONS = ("2.1", "3.0")
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SCHEMAS = "http://www.sdmx.org/resources/sdmxml/schemas/v{}"
_LISTS = ("Codelist", "ConceptScheme")
# names of the elements that hold values of an attribute in a cube region
_ATTRIBUTE = {"2.1": "Attribute", "3.0": "Component"}


def structure_message(made: Structures, edition: Edition, version: str) -> bytes:
    """The structure message of a version of SDMX-ML. The same edition gives the same bytes."""
    from lxml import etree
    from pysdmx.io import write_sdmx
    from pysdmx.io.format import Format
    from pysdmx.model import Organisation
    from pysdmx.model.message import Header

    sender = edition.agency.replace(".", "-")  # the id of a sender is no nested one
    header = Header(
        id=f"{sender}-{edition.seq}",
        prepared=edition.released_at.replace(microsecond=0),
        sender=Organisation(id=sender),
    )
    form = {"2.1": Format.STRUCTURE_SDMX_ML_2_1, "3.0": Format.STRUCTURE_SDMX_ML_3_0}[version]
    text = write_sdmx(made.all, form, prettyprint=False, header=header)
    assert text is not None
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False))
    _Completion(made, version).complete(root)
    etree.indent(root, space=" ")
    message: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return message + b"\n"


class _Completion:
    """Adds to a message of one version what pysdmx leaves out."""

    def __init__(self, made: Structures, version: str) -> None:
        schemas = _SCHEMAS.format(version.replace(".", "_"))
        self.made, self.version = made, version
        self.common, self.structure = f"{{{schemas}/common}}", f"{{{schemas}/structure}}"

    def complete(self, root: Element) -> None:
        for constraint in root.iter(f"{self.structure}ContentConstraint", f"{self.structure}DataConstraint"):
            self._mend_constraint(constraint)
        for element in list(root.iter()):
            named = element.find(f"{self.common}Name")
            if named is None:
                continue
            above = element.getparent()
            scheme = above.get("id", "") if above is not None and self._tag(above) in _LISTS else ""
            key = (scheme, element.get("id", ""))
            names, descriptions = self.made.labels[key]
            self._translate(element, "Name", names)
            self._translate(element, "Description", descriptions)
            if key in self.made.parents:
                self._put_parent(element, self.made.parents[key])

    def _tag(self, element: Element) -> str:
        return str(element.tag).rpartition("}")[2]

    def _translate(self, element: Element, tag: str, texts: Labels) -> None:
        """One element for every language that there is a text in, English first, where pysdmx wrote one."""
        written = element.findall(f"{self.common}{tag}")
        if not written:
            return
        place = list(element).index(written[0])
        for one in written:
            element.remove(one)
        for language in sorted(LANGUAGES, key=lambda one: one != "en"):
            if texts.get(language):
                made = element.makeelement(f"{self.common}{tag}", {_LANG: language})
                made.text = texts[language]
                element.insert(place, made)
                place += 1

    def _put_parent(self, element: Element, parent: str) -> None:
        made = element.makeelement(f"{self.structure}Parent")
        if self.version == "2.1":
            made.append(element.makeelement("Ref", {"id": parent}))
        else:
            made.text = parent
        element.append(made)

    def _mend_constraint(self, constraint: Element) -> None:
        """pysdmx writes what there is of a dataflow under the dataflow's own id, and an attribute as if it were a dimension."""
        constraint.set("id", f"CR_A_{constraint.get('id')}")
        attributes = {part.id for part in PARTS if part.role == "Attribute"}
        for region in constraint.iter(f"{self.structure}CubeRegion"):
            for key in list(region):
                if key.get("id") in attributes:
                    key.tag = str(key.tag).replace("KeyValue", _ATTRIBUTE[self.version])
                    region.append(key)  # after the dimensions
