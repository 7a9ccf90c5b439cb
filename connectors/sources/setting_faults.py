"""What is wrong with a settings file that may refer to secrets: every fault with its line, and no value repeated, as it could be a secret.

Does not belong here: what such a file may say (connections.py, and whoever else has one), what a secret is (secrets.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.nearest import meant

_SECRET = re.compile(r"pass|pwd|secret|token|credential|api_?key|private", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def read_settings(path: Path) -> Document:
    """A file's document. Raises DocumentError, without what the parser quotes, and for every address that has a password in it."""
    try:
        document = read(path)
    except DocumentError as error:  # what the parser quotes may be a secret
        raise DocumentError(
            Fault(f.path, f.line, re.sub("'.*'", "…", f.message), f.remedy) for f in error.faults
        ) from None
    if faults := [document.fault(*told) for told in _secrets_in(document.data)]:
        raise DocumentError(faults)
    return document


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


def setting_faults(document: Document, model: type[BaseModel], error: ValidationError, page: str) -> Iterator[Fault]:
    """Every problem that a model has with a file, with its line; `page`: the document that tells more."""
    for problem in error.errors(include_url=False, include_input=False):
        where = tuple(part for part in problem["loc"] if _is_place(part))
        place, kind = _place(where), problem["type"]
        said, remedy = f"{place}: {problem['msg']}", f"see {page}"
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
            f"{_place(where)}: no such secret is known here",
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
