"""Which sources a home has: `<home>/sources/<name>.yaml`, and what such a file may say.

The pydantic models are the single source: they validate the files and give editors their JSON Schema (`qala schemas`). Which settings a
kind of source needs is said by its module, which is loaded only for files of that kind. Does not belong here: what all kinds' settings
have in common (settings.py), asking a source (its module), what is due (regulation.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, create_model

from connectors.sources.secrets import Secrets
from connectors.sources.settings import Extract, Regulation, Strict, refused
from connectors.sources.source import Source
from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.nearest import meant
from warehouse.home.home import Home

# a kind has a module beside this one with `class Settings(Strict)`, `class Extract(settings.Extract)` and `open_source`
KINDS = ("folder", "sftp", "s3", "http", "postgresql", "sql")
SCHEMA = Path(__file__).with_name("source.schema.json")
PAGE = "docs/connect-a-server.md"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_SECRET = re.compile(r"pass|pwd|secret|token|credential|api_?key|private", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s@]*@")


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
    try:
        document = read(path)
    except DocumentError as error:  # what the parser quotes may be a secret
        raise DocumentError(
            Fault(f.path, f.line, re.sub("'.*'", "…", f.message), f.remedy) for f in error.faults
        ) from None
    data = document.data
    if not isinstance(data, dict) or "type" not in data:
        raise DocumentError([document.fault((), "does not say its type", f"write type: and one of {', '.join(KINDS)}")])
    if faults := [document.fault(*told) for told in _secrets_in(data)]:
        raise DocumentError(faults)
    kind = data["type"]
    if kind not in KINDS:
        raise DocumentError([document.fault(("type",), "there is no such type of source", meant(str(kind), KINDS))])
    try:
        said = kind_model(kind).model_validate(data)
    except ValidationError as error:
        raise DocumentError(_faults(document, kind_model(kind), error)) from None
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


def _secrets_in(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(place, what is wrong, remedy) of every address that has a password in it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets_in(inner, (*where, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets_in(inner, (*where, number))
    elif isinstance(value, str) and _IN_ADDRESS.search(value):
        yield (
            where,
            f"{_place(where)}: the address has a password in it",
            "take it out, change it, and refer to it: {env: NAME} or {file: PATH}",
        )


def _faults(document: Document, model: type[BaseModel], error: ValidationError) -> Iterator[Fault]:
    """Every problem with its line. No value is repeated: it could be a secret in a wrong place."""
    for problem in error.errors(include_url=False, include_input=False):
        where = tuple(part for part in problem["loc"] if _is_place(part))
        place, kind = _place(where), problem["type"]
        said, remedy = f"{place}: {problem['msg']}", f"see {PAGE}"
        if kind == "own":
            said, remedy = f"{place}: {problem['msg']}", str(problem["ctx"]["remedy"])
        elif kind == "string_type":
            said, remedy = f"{place}: must be a text", "write it in quotes"
        elif kind == "extra_forbidden":
            said, remedy = _unknown(model, where)
        elif kind == "missing":
            field = _model_at(model, where[:-1]).model_fields[str(where[-1])]
            said, remedy = f"{place} is missing", f"add {where[-1]}: … ({field.description})"
        yield document.fault(where, said, remedy)


def _is_place(part: str | int) -> bool:
    """Not a branch of a union, which pydantic tells among the places."""
    return isinstance(part, int) or not re.search(r"[\[(]", part)


def _unknown(model: type[BaseModel], where: tuple[str | int, ...]) -> tuple[str, str]:
    key, known = str(where[-1]), list(_model_at(model, where[:-1]).model_fields)
    if _SECRET.search(key) and not any(_SECRET.search(one) for one in known):
        return (
            f"{_place(where)}: this kind of source knows no such secret",
            "take it out, and change it if it was written out",
        )
    return f"unknown key {_place(where)}", meant(key, known)


def _model_at(model: type[BaseModel], where: tuple[str | int, ...]) -> type[BaseModel]:
    """The model of a place, as far as it can be followed."""
    for part in where:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        inner = _models(model.model_fields[part].annotation)
        model = inner[0] if inner else model
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for inner in getattr(annotation, "__args__", ()) for one in _models(inner)]


def _place(where: tuple[str | int, ...]) -> str:
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
