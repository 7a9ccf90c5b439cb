"""What the settings of every kind of source have in common: strictness, texts with placeholders, an extract, its regulation of interaction.

The kinds' modules build on these models. Does not belong here: reading the files (connections.py), what is secret (secrets.py), when an
extract is due by its regulation (regulation.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from connectors.mapping.contract_checks import STANDARD
from warehouse.periods import FIRST_YEAR, parse_period

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
DATES = ("period_start", "period_end", "period_after")  # period_end: the last day; period_after: the day after it
NUMBERS = {"year": 4, "month": 2, "quarter": 1}  # and their digits
_TEXTS = ("period", "settlement", "place", "since")
PLACEHOLDERS = (*NUMBERS, *_TEXTS, *DATES)
_DATE_FORMAT = re.compile(r"(%[YymdjGV]|[-._/ ])+")
MONTHS = {"month": 1, "quarter": 3, "year": 12}  # of what one delivery covers
_WIDTHS = ("1", "2", "02", "4")


class Strict(BaseModel):
    """No unknown keys: a misspelt key is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def refused(said: str, remedy: str) -> PydanticCustomError:
    """What a validator raises: what is wrong and what to write. It must not repeat what may be a secret."""
    return PydanticCustomError("own", "{said}", {"said": said, "remedy": remedy})


@dataclass(frozen=True)
class Placeholder:
    """One of PLACEHOLDERS in a text, with how it is written: %d.%m.%Y for a date, 1 or 2 digits for a number."""

    name: str
    written: str = ""


def parts(text: str) -> Iterator[str | Placeholder]:
    """A text with placeholders, piece by piece; `{{` and `}}` are braces. Raises PydanticCustomError for one that is not known."""
    done = 0
    for found in _PART.finditer(text):
        if found.start() > done:
            yield text[done : found.start()]
        done = found.end()
        if found[0] in ("{{", "}}"):
            yield found[0][0]
        elif found[1] is None:
            raise refused("has a brace that is not closed, or not opened", "write {{ or }} where a brace is meant")
        else:
            yield _placeholder(*found[1].partition(":")[::2])
    if done < len(text):
        yield text[done:]


def _placeholder(name: str, written: str) -> Placeholder:
    if name not in PLACEHOLDERS:
        known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
        raise refused(
            f"there is no placeholder {{{name}}}", f"there are {known}; a brace itself is written {{{{ or }}}}"
        )
    wrong = (
        not _DATE_FORMAT.fullmatch(written)
        if written and name in DATES
        else bool(written) and not (name in NUMBERS and written in _WIDTHS)
    )
    if wrong:
        raise refused(
            f"{{{name}:{written}}} is not known",
            "a date is written as {period_start:%d.%m.%Y}, of %Y %y %m %d %j %G %V; a month without its zero {month:1}",
        )
    return Placeholder(name, written)


def _template(text: str) -> str:
    for _ in parts(text):
        pass
    return text


def _of_period(text: str) -> str:
    if any(isinstance(part, Placeholder) and part.name == "since" for part in parts(text)):
        raise refused("{since} cannot stand here", "it belongs into a query or a parameter")
    return text


# a text with any of the placeholders; with all but {since}, as paths and names of files are
Template = Annotated[str, Field(min_length=1), AfterValidator(_template)]
PeriodTemplate = Annotated[str, Field(min_length=1), AfterValidator(_of_period)]


class Rows(Strict):
    """How many rows an extract may be expected to have."""

    least: int = Field(default=0, ge=0, strict=True, description="Fewer are refused")
    most: int | None = Field(default=None, ge=0, strict=True, description="More are refused")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.most is not None and self.most < self.least:
            raise refused("rows: most is fewer than least", "write how many rows there are at least and at most")
        return self

    def expect(self, found: int) -> bool:
        """Whether as many rows are to be expected."""
        return self.least <= found and (self.most is None or found <= self.most)

    def __str__(self) -> str:
        return f"at least {self.least:,}" + ("" if self.most is None else f" and at most {self.most:,}")


class Regulation(Strict):
    """The regulation of interaction with a source: how often it gives, and how late that may be."""

    frequency: Literal["daily", "weekly", "monthly", "quarterly", "yearly"] = Field(
        default="monthly", description="How often there is something new"
    )
    delay_days: int = Field(
        default=5, ge=0, le=366, strict=True, description="Days after which an extract that is due is overdue"
    )
    rows: Rows = Field(default=Rows(), description="Rows that an extract has at least and at most")
    checksum: PeriodTemplate | None = Field(
        default=None,
        description="The file with the checksums: .sha256 is put behind each file's own name; a name, as SHA256SUMS, is that of one beside them",
    )


class Extract(Strict):
    """What of a source becomes a delivery. A kind adds where it is: a path, a query, an address."""

    table: str = Field(description="The showcase table it feeds")
    system: str = Field(
        default=STANDARD,
        description="The system of its source contract; left out: the file has the table's own columns",
    )
    settlements: tuple[str, ...] | dict[str, str] = Field(
        description="Settlements (KATO, nine digits), regions (two digits) or KZ: a delivery for each. As KATO: WORD where the source calls them otherwise",
        min_length=1,
    )
    period: Literal["month", "quarter", "year"] = Field(default="month", description="What one delivery covers")
    first: str = Field(description="The first period that is pulled: 2026-01, 2026-Q1, 2026")
    changed_by: str | None = Field(
        default=None,
        description="The change attribute: only rows with a greater value than the pull before are asked for",
    )
    look_back: int = Field(
        default=1,
        ge=0,
        le=60,
        strict=True,
        description="How many periods that were taken in are asked for again: they may be corrected",
    )
    regulation: Regulation | None = Field(default=None, description="Where it differs from the source's")

    @field_validator("first", mode="after")
    @classmethod
    def _period(cls, text: str, info: ValidationInfo) -> str:
        grain = info.data.get("period", "month")
        try:
            start = parse_period(text).start
        except ValueError as error:
            raise refused(str(error), "write the first period that is to be pulled") from None
        if start.year < FIRST_YEAR or (start.month - 1) % MONTHS[grain]:
            raise refused(
                f"no {grain} from {FIRST_YEAR} on begins with it", "write the first period that is to be pulled"
            )
        return text

    @property
    def places(self) -> Mapping[str, str]:
        """By KATO, what the source calls a settlement."""
        return self.settlements if isinstance(self.settlements, dict) else {one: one for one in self.settlements}
