"""Which sources a home has: `<home>/sources/<name>.yaml`, and what such a file may say.

The pydantic models are the single source: they validate the files and give editors their JSON Schema (`qala schemas`). Which settings a
kind of source needs is said by its module, which is loaded only for files of that kind. Does not belong here: what all kinds' settings
have in common (settings.py), asking a source (its module), what is due (regulation.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, create_model

from connectors.sources.secrets import Secrets
from connectors.sources.setting_faults import read_settings, setting_faults
from connectors.sources.settings import Extract, Regulation, Strict, refused
from connectors.sources.source import Source
from kpi_definitions.documents import Document, DocumentError, Fault
from kpi_definitions.nearest import meant
from warehouse.home.home import Home

# a kind has a module beside this one with `class Settings(Strict)`, `class Extract(settings.Extract)` and `open_source`
KINDS = ("folder", "sftp", "s3", "http", "postgresql", "sql")
SCHEMA = Path(__file__).with_name("source.schema.json")
PAGE = "docs/connect-a-server.md"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")


class Connection(Strict):
    """What every file of a source says; `kind_model` adds type, connection and what the kind's extracts are."""

    description: str = Field(default="", description="What it is and who answers for it")
    regulation: Regulation = Field(default=Regulation(), description="The regulation of interaction")


@dataclass(frozen=True)
class Connected:
    """A source of a home, by its file. `open`: ready to be asked; nothing is connected yet."""

    name: str
    path: Path
    kind: str
    said: Any  # of `kind_model(kind)`
    document: Document

    @property
    def extracts(self) -> tuple[Extract, ...]:
        found: tuple[Extract, ...] = self.said.extracts
        return found

    def regulation(self, extract: Extract) -> Regulation:
        return extract.regulation or self.said.regulation

    def open(self, secrets: Secrets) -> Source:
        """The source, asked nothing yet. Raises SourceError, with every secret it needs already in `secrets`."""
        source: Source = _module(self.kind).open_source(self.name, self.said.connection, secrets)
        return source


def load_connections(home: Home) -> tuple[dict[str, Connected], list[Fault]]:
    """Every source of a home by its name, and every fault of the files that are none; no value of a file is repeated."""
    found, faults = dict[str, Connected](), list[Fault]()
    for path in sorted(home.sources.glob("*.y*ml")):
        try:
            found[path.stem] = read_connection(path)
        except DocumentError as error:
            faults += error.faults
    return found, faults


def read_connection(path: Path) -> Connected:
    """One file. Raises DocumentError with every fault."""
    if not NAME.fullmatch(path.stem) or path.suffix != ".yaml":
        raise DocumentError(
            [Fault(path, 1, "its name is no name of a source", "small Latin letters, digits, - and _, then .yaml")]
        )
    document = read_settings(path)
    data = document.data
    if not isinstance(data, dict) or "type" not in data:
        raise DocumentError([document.fault((), "does not say its type", f"write type: and one of {', '.join(KINDS)}")])
    kind = data["type"]
    if kind not in KINDS:
        raise DocumentError([document.fault(("type",), "there is no such type of source", meant(str(kind), KINDS))])
    try:
        said = kind_model(kind).model_validate(data)
    except ValidationError as error:
        raise DocumentError(setting_faults(document, kind_model(kind), error, PAGE)) from None
    return Connected(path.stem, path, kind, said, document)


@cache
def kind_model(kind: str) -> type[Connection]:
    """The model of a kind's files."""
    module = _module(kind)
    fields: dict[str, Any] = {
        "type": (Literal[kind], Field(description="What kind of system it is")),
        "connection": (module.Settings, Field(description="Where it is and how it is spoken to")),
        "extracts": (
            Annotated[GenericAlias(tuple, (module.Extract, ...)), AfterValidator(_some)],
            Field(description="What of it becomes deliveries"),
        ),
    }
    return create_model(f"{kind.title()}Source", __base__=Connection, __doc__=module.Settings.__doc__, **fields)


def _some(extracts: tuple[Extract, ...]) -> tuple[Extract, ...]:
    if not extracts:
        raise refused("names no extract", "write at least one, with table, settlements and first")
    return extracts


def schema() -> dict[str, Any]:
    """JSON Schema of all kinds' files."""
    one_of = reduce(or_, [kind_model(kind) for kind in KINDS])
    kinds: Any = Annotated[one_of, Field(discriminator="type")]
    return TypeAdapter(kinds).json_schema()


def _module(kind: str) -> Any:
    return import_module(f"connectors.sources.{kind}")
