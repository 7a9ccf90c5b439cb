"""Messages: recorded as code and parts, read as a sentence of one language.

A message is a mapping `{"code": …, part: …}`. A part is text, a number, a message, or a list of those; what is recorded in a table is
the JSON text of one message or of a list of them (`recorded`). What was recorded before there were codes is plain text and stays it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

LANGUAGES = ("kk", "ru", "en")
DEFAULT = "en"
SETTING = "QALA_LANG"
CATALOGUE = Path(__file__).parent / "catalogue"
Message: TypeAlias = Mapping[str, Any]

_NAMED = re.compile(r"\{(\w+)\}")


class LanguageError(ValueError):
    """A language that qala does not speak; the message says which it does."""


def language_of(given: str | None = None) -> str:
    """The reader's language: as given, else that of QALA_LANG, else English. Raises LanguageError."""
    asked = given or os.environ.get(SETTING) or DEFAULT
    if asked not in LANGUAGES:
        raise LanguageError(f"no language {asked!r}; there are {', '.join(LANGUAGES)} (--lang or {SETTING})")
    return asked


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Code → language → template, of every file. Raises KeyError for a code that stands in two."""
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(CATALOGUE.glob("*.yaml")):
        for code, templates in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            if code in found:
                raise KeyError(f"{path.name}: message {code} stands in another file too")
            found[code] = templates
    return found


def sentence(code: str, language: str, **parts: Any) -> str:
    """The sentence of a message. Raises KeyError for a code or a part that does not exist."""
    return _NAMED.sub(lambda named: _said(parts[named[1]], language), catalogue()[code][language])


def recorded(message: Message | Sequence[Message]) -> str:
    """A message, or several in their order, as a table keeps it: JSON, the same text each time."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def rendered(text: str | None, language: str) -> str | None:
    """The sentences of a recorded message; None of None, plain text as it is."""
    messages = _parsed(text)
    return text if messages is None else "; ".join(_said(one, language) for one in messages)


def code_of(text: str | None) -> str | None:
    """The code of a recorded message, of the first if there are several; None for plain text."""
    messages = _parsed(text)
    return str(messages[0]["code"]) if messages else None


def _parsed(text: str | None) -> list[Message] | None:
    if not text or text[0] not in "[{":
        return None
    try:
        read = json.loads(text)
    except ValueError:
        return None
    messages = read if isinstance(read, list) else [read]
    return (
        messages
        if messages and all(isinstance(one, dict) and one.get("code") in catalogue() for one in messages)
        else None
    )


def _said(part: Any, language: str) -> str:
    """One part as text: numbers with the language's decimal mark, messages as sentences, lists with commas."""
    if isinstance(part, Mapping):
        return sentence(part["code"], language, **{name: value for name, value in part.items() if name != "code"})
    if isinstance(part, Sequence) and not isinstance(part, str):
        return ", ".join(_said(one, language) for one in part)
    if isinstance(part, float):
        return str(part) if language == "en" else str(part).replace(".", ",")
    return str(part)
