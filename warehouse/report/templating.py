"""Templates of one language, and what they may call.

Does not belong here: sentences (messages/catalogue/report*.yaml), which figures a page shows (pages/).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from warehouse.messages.messages import sentence
from warehouse.report import markup
from warehouse.report.release_data import ReleaseData
from warehouse.report.trails import plain
from warehouse.report.wording import PERCENT, day, name, number

_TEMPLATES = Path(__file__).parent / "templates"
# pages of their own, in the order of the menu
_NAVIGATION = ("index", "settlements", "kpis", "compare", "quality", "systems", "audit")


class _Compiled(BytecodeCache):
    """Templates as code, kept for the process: to compile them takes longer than to write the pages, and languages share them."""

    def __init__(self) -> None:
        self.by_key: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self.by_key.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.by_key[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def environment(release: ReleaseData, language: str, languages: Sequence[str]) -> Environment:
    """Templates of one language: what is missing raises, what is put in is escaped."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )

    def t(code: str, **parts: Any) -> str:
        return sentence(code, language, **parts)

    called = {
        "t": t,
        "number": partial(number, language),
        "name": partial(name, language),
        "day": day,
        "unit_name": lambda unit: name(language, release.units[unit]),
        "unit_sign": lambda unit: "%" if unit == PERCENT else "",
    }
    made.filters |= {one: called[one] for one in ("number", "name", "day")}
    made.filters |= {
        "language_name": lambda other: sentence(f"language.{other}", other),
        "css_text": _css_text,
        "plain": plain,
    }
    made.globals |= {
        **called,
        "t_in": lambda other, code: sentence(code, other),
        "written": markup.functions(release, language),
        "language": language,
        "languages": languages,
        "release": release,
        "navigation": _NAVIGATION,
    }
    return made


def _css_text(text: str) -> Markup:
    """A text as a string of a style sheet inside a page."""
    kept = "".join(c if c.isalnum() or c in " .,:;№—-" else f"\\{ord(c):x} " for c in text)
    return Markup(f'"{kept}"')  # noqa: S704  every other character is written by its number
