"""What sentences are held against: words of another language, and parts that were left unfilled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from warehouse.messages.messages import rendered

NAMES = ("SDU",)  # what is written in Latin letters in every language


def foreign_words(message: str, language: str) -> list[str]:
    """Of the sentence of a recorded message in Russian or Kazakh, what is written in Latin letters and is none of its parts; and braces."""
    sentence = str(rendered(message, language))
    for part in sorted({*_texts(json.loads(message)), *NAMES}, key=len, reverse=True):
        sentence = sentence.replace(part, "")
    return re.findall(r"[A-Za-z]+|[{}]", sentence)


def _texts(part: Any) -> Iterator[str]:
    """The texts among the parts of a message; no codes of messages."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield from () if name == "code" else _texts(value)
    elif isinstance(part, list):
        for one in part:
            yield from _texts(one)
    elif isinstance(part, str):
        yield part
