"""What screens share: the reader's language, how many entries are shown, colours of states, numbers without trailing zeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse.messages.messages import DEFAULT, catalogue, sentence

SHOWN = 15  # entries shown before --json is recommended
_COLOURS = {
    "calculated": "green",
    "provisional": "cyan",
    "low coverage": "yellow",
    "not calculable": "red",
    "refused": "red",
    "loaded": "green",
}
_FIGURES = str.maketrans({",": "\u00a0", ".": ","})  # of English numbers, as the other languages write them

_ENGLISH_CODES = ("group", "unit", "criterion", "table")  # their codes are what English documents call them


@dataclass(frozen=True)
class Words:
    """How a screen speaks to its reader. `names`: what the registries call codes (warehouse/audit/names.py)."""

    language: str = DEFAULT
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __call__(self, code: str, **parts: Any) -> str:
        """A message of the catalogue's explain.yaml."""
        return sentence(f"explain.{code}", self.language, **parts)

    def name(self, what: str, code: str, otherwise: str = "") -> str:
        """What a code is called: a settlement, a group, a unit; where it has no name, `otherwise` or the code."""
        if self.language == DEFAULT and what in _ENGLISH_CODES:
            return code
        return self.names.get(what, {}).get(code) or otherwise or code

    def place(self, scope: str) -> str:
        """What a territory is called: a settlement, a region by its two digits or nine, the country."""
        if scope == "KZ":
            return self("kazakhstan")
        return self.name("settlement", scope) if len(scope) == 9 else self.name("region", f"{scope}0000000", scope)

    def both(self, what: str, code: str, named: Mapping[str, Any]) -> str:
        """A name of an answer: for a reader of English with the Russian one, which stands in the documents."""
        if self.language == DEFAULT:
            return f"{named['en']} / {named['ru']}"
        return named.get(self.language) or self.name(what, code, str(named["ru"]))

    def state(self, state: str) -> str:
        """A state of a value or of a delivery."""
        if self.language == DEFAULT:
            return state
        known = f"delivery_state.{state}"
        return sentence(known, self.language) if known in catalogue() else self.name("state", state)

    def figure(self, text: str) -> str:
        """A number that was written as in English."""
        return text if self.language == DEFAULT else text.translate(_FIGURES)

    def count(self, number: int | None) -> str:
        return self.figure(f"{number or 0:,}")

    def number(self, value: Any) -> str:
        """Up to six decimals, without trailing zeros."""
        return self.figure(number(value))

    def coloured_counts(self, counts: Mapping[str, int]) -> str:
        """State and count of each, coloured by the state."""
        told = (f"[{state_colour(state)}]{self.state(state)} {self.count(n)}[/]" for state, n in counts.items())
        return ", ".join(told) or self("none")


ENGLISH = Words()


def state_colour(state: str) -> str:
    return _COLOURS.get(state, "white")


def number(value: Any) -> str:
    return f"{float(value):,.6f}".rstrip("0").rstrip(".")
