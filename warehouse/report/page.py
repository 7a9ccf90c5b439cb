"""A page before it is written: where it goes, by which template, with what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """One page of one language. `path` is from the language's folder: kpi/MGT02-1.html; the context has at least `title`."""

    path: str
    template: str
    context: Mapping[str, Any]
