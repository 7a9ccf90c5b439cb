"""The manifest of a drop: what a sender declares about the files beside it. Any bytes lead to deliveries, to a reason, or to waiting.

A manifest that ends too early is still being written, or was cut: it waits until it is whole, or has not changed for some minutes.
Does not belong here: whether what is declared can be right (deliver.py), and what becomes of the files (inbox.py).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from connectors.mapping.contract_checks import STANDARD

MANIFEST = ".manifest.json"
EXAMPLE = '{"deliveries": [{"file": ..., "table": ..., "settlement": ..., "period": ...}]}'
LARGEST = 16 << 20  # bytes; our proposal
_TOLD = 3  # faults in a message
_LONGEST = 60  # letters of a value in a message
_PLACE = frozenset("/\\")
_NO_LETTERS = {"Cc", "Cs"}
_MOST_ROWS = 10**12


class ManifestError(ValueError):
    """It is no manifest, or one that cannot be right; the message names the delivery and the field."""


class UnfinishedError(ManifestError):
    """It ends too early: it may be being written."""


class Entry(BaseModel):
    """One delivery, as a manifest declares it. Numbers are numbers and texts texts: nothing is turned into what was perhaps meant."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: Annotated[str, Field(min_length=1)] | None = None
    files: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = (
        None  # of one delivery, in their order
    )
    table: str
    settlement: str | None = None
    scope: str | None = None  # an older word for it
    period: str
    system: str | None = STANDARD
    rows: Annotated[int, Field(ge=0, le=_MOST_ROWS)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")] | None = None  # of `file`
    sha256s: list[Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]] | None = None  # of `files`, in the same order

    @property
    def names(self) -> tuple[str, ...]:
        """The files of the delivery."""
        return tuple(self.files or (str(self.file),))

    @property
    def checksums(self) -> tuple[str | None, ...]:
        """SHA-256 of each of them, as declared."""
        return tuple(self.sha256s or [self.sha256] * len(self.names))

    @model_validator(mode="after")
    def _whole(self) -> Entry:
        if self.settlement is None and self.scope is None:
            raise PydanticCustomError("own", "lacks settlement")
        if None not in (self.settlement, self.scope) and self.settlement != self.scope:
            raise PydanticCustomError("own", "has a settlement and another scope: give one of them")
        self._of_files()
        said = {name: getattr(self, name) for name in ("table", "settlement", "scope", "period", "system")}
        for name, value in (*(("file", n) for n in self.names), *said.items()):
            if value is not None and (not value.strip() or any(unicodedata.category(c) in _NO_LETTERS for c in value)):
                raise PydanticCustomError("own", f"{name} must be letters that can be printed, not {_shown(value)}")
        for file in self.names:
            if wrong := _no_file_beside(file):
                raise PydanticCustomError("own", wrong)
        return self

    def _of_files(self) -> None:
        if self.file is None and self.files is None:
            raise PydanticCustomError("own", "lacks file")
        if None not in (self.file, self.files):
            raise PydanticCustomError("own", "has file and files: give one of them")
        if len(set(self.names)) < len(self.names):
            raise PydanticCustomError("own", "names a file twice: its records would be there twice")
        if self.sha256 is not None and self.files is not None:
            raise PydanticCustomError("own", "has one sha256 for several files; write them as a list: sha256s")
        if self.sha256s is not None and len(self.sha256s) != len(self.files or ()):
            raise PydanticCustomError("own", "must have a sha256 for each of its files in sha256s")


class Manifest(BaseModel):
    """What a manifest holds."""

    model_config = ConfigDict(strict=True, extra="forbid")

    deliveries: Annotated[list[Entry], Field(min_length=1)]


def parse(content: bytes) -> list[Entry]:
    """The deliveries of a manifest. Raises ManifestError; UnfinishedError if it ends too early."""
    data = _json(_text(content))
    if not isinstance(data, dict):
        raise ManifestError(f"not a manifest but {_kind(data)}; write {EXAMPLE}")
    try:
        entries = Manifest.model_validate(data).deliveries
    except ValidationError as error:
        told = list(dict.fromkeys(_told(error)))
        more = f"; and {len(told) - _TOLD:,} more" if len(told) > _TOLD else ""
        raise ManifestError("; ".join(told[:_TOLD]) + more) from None
    for entry, times in Counter(e.model_dump_json() for e in entries).items():
        if times > 1:
            again = Entry.model_validate_json(entry).names[0]
            raise ManifestError(f"it declares {again} {times} times and alike: declare it once")
    return entries


def mentions(content: bytes, names: Iterable[str]) -> set[str]:
    """Those of the file names that a manifest says, be it one that cannot be taken, and no manifest at all."""
    text = _leniently(content)
    try:
        said = {unicodedata.normalize("NFC", t) for t in _texts(json.loads(text))}
    except (ValueError, RecursionError):
        text = unicodedata.normalize("NFC", re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text))
        return {
            n for n in names if re.search(rf"(?<![\w.-]){re.escape(unicodedata.normalize('NFC', n))}(?![\w.-])", text)
        }
    return {n for n in names if unicodedata.normalize("NFC", n) in said}


def _leniently(content: bytes) -> str:
    for encoding in (json.detect_encoding(content), "utf-8"):
        text = content.decode(encoding, "replace")
        if "\0" not in text:
            return text
    return text


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON."""
    steps = [value]
    while steps:
        step = steps.pop()
        if isinstance(step, str):
            yield step
        elif isinstance(step, list):
            steps += step
        elif isinstance(step, dict):
            steps += step.values()


def _text(content: bytes) -> str:
    """UTF-8 with or without a mark, UTF-16 and UTF-32, as JSON may be written."""
    if len(content) > LARGEST:
        raise ManifestError(
            f"it has {len(content):,} bytes: a manifest has at most {LARGEST:,}; deliver in several drops"
        )
    if not content.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise UnfinishedError("it is empty")
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end >= len(content) and error.reason in ("unexpected end of data", "truncated data"):
            text = content[: error.start].decode(encoding)
            if _cut(text):
                raise UnfinishedError(f"it ends too early, after {len(content):,} bytes") from None
        raise ManifestError(f"byte {error.start + 1} is not {encoding}: save it in UTF-8") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_constant)
    except json.JSONDecodeError as error:
        if _cut(text):
            raise UnfinishedError(f"it ends too early, after {len(text):,} letters ({error.msg})") from None
        raise ManifestError(
            f"not a manifest: no JSON (line {error.lineno}, column {error.colno}: {error.msg}); write {EXAMPLE}"
        ) from None
    except RecursionError:
        raise ManifestError(f"not a manifest: it is nested too deep; write {EXAMPLE}") from None
    except ManifestError:
        raise
    except ValueError:  # Python's own limit
        raise ManifestError("it holds a number of thousands of digits; write what was meant") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = sorted(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    if twice:
        raise ManifestError(f"it says {', '.join(map(_shown, twice))} twice in one place: which is meant? say it once")
    return dict(pairs)


def _constant(name: str) -> Any:
    raise ManifestError(f"{name} is no value of JSON; leave out what is not known")


def _cut(text: str) -> bool:
    """Whether a text is the beginning of JSON: more letters could make it whole."""
    try:
        json.loads(text, object_pairs_hook=dict, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].rstrip()
        return (
            not rest
            or error.msg.startswith("Unterminated string")
            or (error.msg == "Expecting ',' delimiter" and re.fullmatch("[.]|[eE][+-]?", rest) is not None)
            or (
                error.msg == "Expecting value"
                and (rest == "-" or any(w.startswith(rest) for w in ("true", "false", "null")))
            )
            or (error.msg.startswith("Invalid \\uXXXX escape") and re.fullmatch("u?[0-9a-fA-F]{0,4}", rest) is not None)
        )
    except (ValueError, RecursionError):
        return False
    return False


def _told(error: ValidationError) -> Iterator[str]:
    """What is wrong, in words of ours: `delivery 2: rows must be ...`."""
    for problem in error.errors(include_url=False):
        where = [part for part in problem["loc"] if not str(part).startswith("function-")]
        field = str(where[-1]) if where and isinstance(where[-1], str) else ""
        number = next((part for part in where if isinstance(part, int)), None)
        place = f"delivery {number + 1}: " if number is not None else ""
        yield place + _fault(problem["type"], field, problem)


def _fault(kind: str, field: str, problem: Mapping[str, Any]) -> str:
    value = problem.get("input")
    if kind == "own":
        return str(problem["msg"])
    if kind == "missing":
        return f"lacks {field}" if len(problem["loc"]) > 1 else f"lacks {field}; write {EXAMPLE}"
    if kind == "extra_forbidden":
        known = Entry.model_fields if len(problem["loc"]) > 1 else Manifest.model_fields
        return f"has unknown {_shown(field)[1:-1]} (known: {', '.join(sorted(known))})"
    if kind == "model_type":
        return f"must be an object with file, table, settlement and period, not {_kind(value)}"
    must = {
        "deliveries": "a list of at least one delivery",
        "rows": f"a whole number from 0 to {_MOST_ROWS:,}, written without quotes",
        "sha256": "64 hexadecimal digits as a text",
    }.get(field, "a text, in quotes")
    if field == "deliveries" and value == []:
        return "it names no delivery; write at least one, or leave the manifest out"
    return f"{field} must be {must}, not {_kind(value)}"


def _kind(value: Any) -> str:
    """A value of JSON for a message: its kind, and itself, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    names = {str: "the text", list: "a list", dict: "an object", int: "the number", float: "the number"}
    name = names.get(type(value), "the value")
    return name if isinstance(value, list | dict) else f"{name} {_shown(value)}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return "of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _no_file_beside(name: str) -> str:
    """Why a name cannot be that of a data file beside its manifest."""
    if _PLACE & {*name} or name.startswith("."):
        return f"file {_shown(name)} must lie beside its manifest"
    if name.lower().endswith(MANIFEST):
        return f"file {_shown(name)} is a manifest itself"
    if len(name.encode("utf-8", "surrogatepass")) > 255:
        return f"file {_shown(name)} has a longer name than files can have"
    return ""
