"""Whether a document keeps the Open Data Contract Standard, and what to write where it does not.

The standard's JSON Schema tells what is wrong in the words of the schema, often several times over; a fault here names one thing and its
remedy. Belongs here: nothing but the standard. Does not belong here: what qala asks of contracts beyond it (contracts.py).
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from kpi_definitions.documents import Document, DocumentError, Fault, Where

if TYPE_CHECKING:
    from jsonschema import Draft201909Validator

P = ParamSpec("P")
T = TypeVar("T")
_STANDARD = "see the Open Data Contract Standard v3.1"
_OPTIONS, _TYPE = "logicalTypeOptions", "logicalType"
_LIKE = 0.75  # how near an unknown key must be to one of the standard's to be a mistyped one; our proposal
_LETTERS = 200  # of the schema's own words, in a message


def odcs_schema() -> dict[str, Any]:
    """The JSON Schema of ODCS as bundled with `open-data-contract-standard` (importing the package is slow)."""
    spec = importlib.util.find_spec("open_data_contract_standard")
    assert spec is not None
    assert spec.submodule_search_locations
    text = (Path(spec.submodule_search_locations[0]) / "schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Draft201909Validator:
    from jsonschema import Draft201909Validator

    return Draft201909Validator(odcs_schema())


@cache
def _words() -> tuple[str, ...]:
    """Every key that the standard knows, wherever it may stand."""

    def keys(part: Any) -> Iterator[str]:
        if isinstance(part, Mapping):
            yield from part.get("properties", {}) if isinstance(part.get("properties"), Mapping) else ()
            for inner in part.values():
                yield from keys(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from keys(inner)

    return tuple(sorted({*keys(odcs_schema())}))


def schema_faults(document: Document) -> list[Fault]:
    """Where a document breaks ODCS itself. Some 20 ms a document: `qala check` and the tests pay it, a run does not."""
    found: dict[tuple[int, str], Fault] = {}
    errors = [max(_leaves(e), key=lambda e: len(e.absolute_path)) for e in _validator().iter_errors(document.data)]
    for deepest in (e for e in errors if not _follows(e, errors)):
        where, message, remedy = _told(document.data, deepest)
        fault = document.fault(where, f"{'.'.join(map(str, where)) or 'document'}: {message}", remedy)
        found.setdefault((fault.line, fault.message), fault)
    return list(found.values())


def reads_contracts(reader: Callable[Concatenate[Document, P], T]) -> Callable[Concatenate[Document, P], T]:
    """A reader of contracts that takes the standard's shape for granted: where a document has another, its faults are told instead of an error."""

    @wraps(reader)
    def read(document: Document, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return reader(document, *args, **kwargs)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            said = f"it cannot be read as a contract ({type(error).__name__}: {error})"
            faults = schema_faults(document) or [document.fault((), said, "compare it with the contracts beside it")]
            raise DocumentError(faults) from None

    return read


def _follows(error: Any, errors: Sequence[Any]) -> bool:
    """Whether an error says only that another one is there: keys the standard knows count as unknown where their values are wrong."""
    if error.validator != "unevaluatedProperties":
        return False
    place = list(error.absolute_path)
    beneath = any(e is not error and list(e.absolute_path)[: len(place)] == place for e in errors)
    return beneath and not [n for n in _unknown(error) if n not in _words()]


def _unknown(error: Any) -> list[str]:
    """The keys that an error calls unknown."""
    return [n for n in re.findall(r"'([^']*)'", str(error.message)) if n]


def _told(data: Any, error: Any) -> tuple[Where, str, str]:
    """Of an error of the schema: where it is, what is wrong, what to write."""
    where: Where = tuple(error.absolute_path)
    if _OPTIONS in where:
        holder = where[: where.index(_OPTIONS)]
        prop = _at(data, holder)
        if (
            isinstance(prop, Mapping) and _TYPE not in prop
        ):  # then the options of every type are tried, and each refuses
            options = ", ".join(map(str, prop[_OPTIONS])) if isinstance(prop[_OPTIONS], Mapping) else "options"
            return (
                (*holder, _OPTIONS),
                f"{options} without a {_TYPE}: nothing says of what type the options are",
                f"add {_TYPE} beside it: timestamp or date for a format of dates, string for maxLength, number or integer for minimum",
            )
    message = str(error.message)[:_LETTERS]
    if "customProperties" in where and error.validator in ("required", "type", "additionalProperties"):
        return where, message, "write each as {property: NAME, value: VALUE}"
    if error.validator in ("unevaluatedProperties", "additionalProperties"):
        names = _unknown(error)
        near = {n: difflib.get_close_matches(n, [w for w in _words() if w != n], 1, _LIKE) for n in names}
        meant = [f"{n}: did you mean {found[0]}?" for n, found in near.items() if found]
        if _OPTIONS in where:
            kind = _at(data, where[: where.index(_OPTIONS)]).get(_TYPE)
            return where, f"{', '.join(names)} is no option of {_TYPE} {kind}", f"take it out, or write another {_TYPE}"
        return (
            where,
            f"unknown key {', '.join(names)}",
            "; ".join(meant)
            or "take it out; what is qala's own stands under customProperties as {property: …, value: …}",
        )
    if error.validator == "enum" and where[-1:] == ("format",) and _OPTIONS in where:
        kind = _at(data, where[: where.index(_OPTIONS)]).get(_TYPE)
        message = f"{error.instance!r} is no format of {_TYPE} {kind}"
        return (
            where,
            message,
            f"for a date or a time write {_TYPE}: date or {_TYPE}: timestamp; else take the format out",
        )
    if error.validator == "required":
        return where, message, f"add it; {_STANDARD}"
    if error.validator == "enum":
        return where, message, "write one of these"
    if error.validator == "type":
        return where, message, _kind(error.validator_value)
    return where, message, _STANDARD


def _kind(wanted: Any) -> str:
    """What to write where a value is of another type than the standard wants."""
    told = {
        "string": "write a text, in quotes if it looks like a number or a date",
        "boolean": "write true or false, without quotes",
        "integer": "write a whole number, without quotes",
        "number": "write a number, without quotes",
        "array": "write a list: each entry on a line of its own behind a dash",
        "object": "write keys and values: {key: value}",
    }
    return " or ".join(told.get(w, str(w)) for w in ([wanted] if isinstance(wanted, str) else wanted))


def _at(data: Any, where: Sequence[str | int]) -> Any:
    for step in where:
        data = data[step]
    return data


def _leaves(error: Any) -> Iterator[Any]:
    if error.context:
        for child in error.context:
            yield from _leaves(child)
    else:
        yield error
