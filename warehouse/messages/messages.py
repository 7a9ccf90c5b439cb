"""Messages: recorded as code and parts, read as a sentence of one language.

A message is a mapping `{"code": …, part: …}`. A part is text, a number, a message, a name as a definition gives it (`{"en": …, "ru": …, "kk": …}`),
or a list of those; what is recorded in a table is the JSON text of one message or of a list of them (`recorded`). What was recorded before
there were codes is plain text and stays it. In a sentence `{part}` puts commas between the things of a list, `{part|; }` what stands after the bar.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from kpi_definitions.documents import loaded
from kpi_definitions.kept import kept

LANGUAGES = ("kk", "ru", "en")
DEFAULT = "en"
# files of the catalogue whose messages tables record, with their sentences in registry.message
RECORDED = ("checks", "formats", "reasons")
SETTING = "QALA_LANG"
CATALOGUE = Path(__file__).parent / "catalogue"
Message: TypeAlias = Mapping[str, Any]

_NAMED = re.compile(r"\{(\w+)(?:\|([^}]*))?\}")


class LanguageError(ValueError):
    """A language that qala does not speak; the message says which it does."""


def language_of(given: str | None = None) -> str:
    """The reader's language: as given, else that of QALA_LANG, else English. Raises LanguageError."""
    asked = given or os.environ.get(SETTING) or DEFAULT
    if asked not in LANGUAGES:
        raise LanguageError(f"no language {asked!r}; there are {', '.join(LANGUAGES)} (--lang or {SETTING})")
    return asked


class MessageError(Exception):
    """An error that is told by a message: `message` is what a table records of it, str() its English sentence."""

    def __init__(self, code: str, **parts: Any):
        self.message: Message = {"code": code, **parts}
        super().__init__(sentence(code, DEFAULT, **parts))


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Code → language → template, of every file. Raises KeyError for a code that stands in two."""
    files = sorted(CATALOGUE.glob("*.yaml"))
    return kept("messages", files, lambda: _read(files))


def _read(files: Sequence[Path]) -> Mapping[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {}
    for path in files:
        for code, templates in loaded(path.read_text(encoding="utf-8")).items():
            if code in found:
                raise KeyError(f"{path.name}: message {code} stands in another file too")
            found[code] = templates
    return found


def recorded_catalogue() -> str:
    """The files of the catalogue whose messages tables record, as they are: registry.message follows from them."""
    return "".join(p.read_text(encoding="utf-8") for p in sorted(CATALOGUE.glob("*.yaml")) if p.stem in RECORDED)


@cache
def _pieces(template: str) -> tuple[str, Sequence[tuple[str, str, str]]]:
    """How a sentence begins, and each of its parts: name, what stands between the things of its list, what stands after it."""
    begins, *rest = _NAMED.split(template)
    return begins, list(zip(rest[::3], (found or ", " for found in rest[1::3]), rest[2::3], strict=True))


def sentence(code: str, language: str, **parts: Any) -> str:
    """The sentence of a message. Raises KeyError for a code or a part that does not exist."""
    return _filled(code, language, parts)


def _filled(code: str, language: str, parts: Mapping[str, Any]) -> str:
    first, named = _pieces(catalogue()[code][language])
    return first + "".join([phrase(parts[name], language, between) + after for name, between, after in named])


def recorded(message: Message | Sequence[Message]) -> str:
    """A message, or several in their order, as a table keeps it: JSON, the same text each time."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def told(error: Exception) -> str:
    """What a table records of an error: its message, or its own words if it has none."""
    return recorded(error.message) if isinstance(error, MessageError) else str(error)


def embedded(text: str) -> Any:
    """What was recorded, as a part of another message."""
    return messages_of(text) or text


def figure(number: float, digits: int = 4) -> int | float:
    """A number as a part of a message: of so many significant digits, whole if it is whole."""
    rounded = float(f"{number:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def and_more(shown: Sequence[Any], more: int, between: str = ", ") -> Any:
    """The first of many things as a part of a message, and how many more there are. `between`: a comma or a semicolon with a space."""
    if more <= 0:
        return list(shown)
    return {"code": "list.more" if between == ", " else "list.more_parted", "names": list(shown), "more": more}


def rendered(text: str | None, language: str) -> str | None:
    """The sentences of a recorded message; None of None, plain text as it is, and what only looks like a message of the catalogue."""
    messages = messages_of(text)
    return text if text is None or messages is None else in_words(messages, language, text)


def in_words(messages: Sequence[Message], language: str, text: str) -> str:
    """The sentences of messages that were read from `text`; the text itself of what only looks like messages of the catalogue."""
    try:
        return "; ".join(phrase(one, language) for one in messages)
    except (KeyError, TypeError, RecursionError):  # somebody wrote it by hand: no such part, or no such code inside
        return text


def said(text: str) -> str:
    """What was recorded in the language of QALA_LANG, else in English: for logs and the pages of Dagster."""
    return str(rendered(text, language_of()))


def told_in(answer: Any, language: str) -> Any:
    """An answer as plain data, what it holds of recorded messages told in a language; beside it, as `…_code`, the code of each."""
    if isinstance(answer, Mapping):
        codes = {f"{k}_code": code for k, v in answer.items() if isinstance(v, str) and (code := code_of(v))}
        return {key: told_in(value, language) for key, value in answer.items()} | codes
    if isinstance(answer, list | tuple):
        return type(answer)(told_in(one, language) for one in answer)
    return rendered(answer, language) if isinstance(answer, str) else answer


def code_of(text: str | None) -> str | None:
    """The code of a recorded message, of the first if there are several; None for plain text."""
    messages = messages_of(text)
    return str(messages[0]["code"]) if messages else None


def messages_of(text: str | None) -> list[Message] | None:
    """The messages that were recorded; None of plain text."""
    if not text or text[0] not in "[{":
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    messages = read if isinstance(read, list) else [read]
    known = all(isinstance(one, dict) and str(one.get("code")) in catalogue() for one in messages)
    return messages if messages and known else None


def phrase(part: Any, language: str = DEFAULT, between: str = ", ") -> str:
    """One part of a message as text: numbers with the language's decimal mark, messages as sentences, names in the language, lists with `between`."""
    kind = type(part)  # asked before classes of `abc`, which take long: a month's reasons have a million parts
    if kind is str or kind is int:
        return str(part)
    if kind is float:
        return str(part) if language == "en" else str(part).replace(".", ",")
    if kind is list or (kind is not dict and isinstance(part, Sequence) and not isinstance(part, str)):
        return between.join([phrase(one, language) for one in part])
    if kind is dict or isinstance(part, Mapping):
        if "code" not in part:
            return str(part.get(language) or part["ru"])
        return _filled(part["code"], language, part)
    return str(part)
