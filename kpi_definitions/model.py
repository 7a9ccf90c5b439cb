"""What a catalogue, an initiative and a KPI definition may say.

The pydantic models are the single source: they validate the YAML, give editors their JSON Schema
(`qala schemas`), and carry the guidance shown there. A definition is law-like: it has a version, dates of effect
and a change note, and it is never edited once a value was computed with it.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """No unknown keys: a misspelt key is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Text(Strict):
    """A label in the languages we publish in."""

    en: str = Field(min_length=1, description="English")
    ru: str = Field(min_length=1, description="Russian")
    kk: str | None = Field(
        None,
        description="Kazakh: for all names of a list or for none (`qala check`); not checked by a native speaker: see unchecked_languages",
    )


class Category(StrEnum):
    """Settlement groups of item 7 of the order."""

    REPUBLICAN = "republican"
    REGIONAL = "regional"
    DISTRICT = "district"


class Kind(StrEnum):
    """How numerator and denominator make the value."""

    SHARE = "share"
    RATE = "rate"
    RATIO = "ratio"
    MEAN = "mean"
    QUANTILE = "quantile"


class Grain(StrEnum):
    """Reporting period: SDMX frequency codes."""

    MONTH = "M"
    QUARTER = "Q"
    YEAR = "A"


class InForce(Strict):
    """From when to when a thing exists. In stock at the period's end: `from` before it and `to` empty or not before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)
    start: str = Field(alias="from", description="Column with the day or time a thing began to exist")
    end: str = Field(alias="to", description="Column with the day or time it ceased to; empty while it exists")


class Rows(Strict):
    """Which warehouse rows count, and how they fall into a period. Exactly one of event, stock, during and as_of."""

    table: str = Field(description="Showcase table, e.g. fct_appeal")
    event: str | None = Field(None, description="Date column of an event: rows dated inside the period count")
    stock: InForce | None = Field(None, description="Snapshot taken at the period's end, rows in force then")
    during: InForce | None = Field(
        None, description="Snapshot taken at the period's end, rows in force at any time of the period"
    )
    as_of: str | None = Field(None, description="Date column that must equal the first day after the period")
    filter: str | None = Field(None, description="SQL condition over the table's columns")

    @model_validator(mode="after")
    def _one_time(self) -> Rows:
        given = [n for n in ("event", "stock", "during", "as_of") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of event, stock, during and as_of, not {' and '.join(given) or 'none'}")
        return self


class Part(Strict):
    """Numerator or denominator: an aggregate over the KPI's rows, or over rows of its own."""

    aggregate: str = Field(
        description="count(*), count(distinct c), sum(x), max(x), avg(x), median(x), quantile_cont(x, p)"
    )
    filter: str | None = Field(
        None, description="Further condition; a share's numerator is the denominator's rows that meet it"
    )
    rows: Rows | None = Field(None, description="Only when it comes from another table than the KPI's `rows`")


class Coverage(Strict):
    """How much of the period must have been delivered before a value may be published."""

    minimum: float = Field(gt=0, le=1, description="Share of the period's months delivered; below it: not calculable")


class Standards(Strict):
    """Where international standards have a like indicator."""

    u4ssc: str | None = None
    iso37120: str | None = None
    iso37122: str | None = None
    sdg: str | None = None
    fit: Literal["exact", "close", "partial", "none"]


class Season(Strict):
    """Calendar months in which the KPI means something; other months are not applicable."""

    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = Field(min_length=1, max_length=11)
    name: Text = Field(description="What the season is called: heating season")


class Kpi(Strict):
    """One version of one KPI."""

    code: str = Field(pattern=r"^[A-Z][A-Z0-9]{1,11}-\d{1,2}$", description="Initiative code, dash, number: MGT02-1")
    version: int = Field(ge=1, description="Raise it with every change of meaning; `qala check` compares fingerprints")
    valid_from: dt.date = Field(description="First day of effect: periods starting on or after it use this version")
    valid_to: dt.date | None = Field(
        None,
        description="Day before which the last such period starts; open while in force. The day of valid_from: a later version holds for all its periods",
    )
    change_note: str = Field(min_length=1, description="Why this version exists")
    approved_by: str | None = Field(None, description="Who signed the methodology; empty while it is our proposal")
    name: Text
    description: Text | None = Field(None, description="What is counted, in words, for people who do not read SQL")
    unit: str = Field(description="A code of units.yaml: PT, DAY, UG_M3, PER_100000_POP, ...")
    direction: Literal["higher", "lower"] = Field(description="Which way is better")
    kind: Kind
    period: Grain
    categories: tuple[Category, ...] = Field(min_length=1, description="Item 7 groups the KPI applies to")
    scale: int = Field(ge=1, description="Multiplier of numerator/denominator: 100 for a percentage")
    rows: Rows
    numerator: Part
    denominator: Part | None = Field(None, description="Left out for means and quantiles: the sample size stands there")
    coverage: Coverage
    minimum_sample: int = Field(1, ge=0, description="Below it the value is marked low coverage (OBS_STATUS U)")
    tolerance: float | None = Field(
        None,
        ge=0,
        description="How wide the bounds of a value may be, in its unit, before it is marked low coverage (OBS_STATUS U): rejected rows counted "
        "for and against. Left out: one point of a percentage, of anything else 5 % of the value (our proposal)",
    )
    late_data_days: int = Field(
        ge=0, description="Days after the period's end while late data may come: provisional till then"
    )
    season: Season | None = Field(None, description="Only for a KPI that rests for part of the year")
    minimum_cell: int | None = Field(
        None, ge=2, description="Below so many observations the value is suppressed (OBS_STATUS Q)"
    )
    standards: Standards
    sensitivity: Literal["open", "personal", "restricted"] = Field(
        "open", description="personal: derived from personal data; restricted: its value is left out of public exports"
    )

    def in_force_between(self, first: int, last: int) -> bool:
        """Whether it is assessed in a year from `first` to before `last`: as assessment counts years, by the years of its days."""
        begins = max(first, self.valid_from.year)
        return begins < last and (self.valid_to is None or self.valid_to.year > begins)

    @model_validator(mode="after")
    def _shape(self) -> Kpi:
        single = self.kind in (Kind.MEAN, Kind.QUANTILE)
        if single and self.denominator is not None:
            raise ValueError(f"a {self.kind} takes no denominator: its sample size is counted")
        if not single and self.denominator is None:
            raise ValueError(f"a {self.kind} needs a denominator")
        if self.kind is Kind.SHARE and (self.numerator.rows or (self.denominator and self.denominator.rows)):
            raise ValueError("a share counts part of the same rows: neither side may name rows of its own")
        if self.kind is Kind.SHARE and self.denominator and self.denominator.filter:
            raise ValueError("a share's denominator is all its rows: put the condition into rows.filter")
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to must not be before valid_from")
        if self.season is not None and self.period is not Grain.MONTH:
            raise ValueError("a season is made of months: only a monthly KPI can have one")
        return self


class Initiative(Strict):
    """A file under spheres/: one initiative of item 2(2) with its KPIs."""

    code: str = Field(pattern=r"^[A-Z][A-Z0-9]{1,11}$")
    sphere: str = Field(pattern=r"^[A-Z]{3}$")
    name: Text
    named_in_order: bool = Field(description="True only if the order's own text names it; all else is our proposal")
    basis: Literal["basic", "additional"] = Field(
        "basic", description="On the basic list, or added to it by the authorised body after an assessment (item 9)"
    )
    categories: tuple[Category, ...] = Field(min_length=1)
    kpis: tuple[Kpi, ...] = ()


class Sphere(Strict):
    """One of the eight spheres of item 5."""

    code: str = Field(pattern=r"^[A-Z]{3}$")
    number: Annotated[int, Field(ge=1, le=8)]
    name: Text


class CatalogueHead(Strict):
    """catalogue.yaml: what list this is and on what authority it stands."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the list, and of its folder")
    version: str
    name: Text
    status: Literal["proposal", "official"]
    legal_basis: str = Field(description="On what the list rests, in the language of the act or in English")
    legal_basis_ru: str | None = Field(None, description="The same in Russian")
    legal_basis_kk: str | None = Field(None, description="The same in Kazakh")
    valid_from: dt.date = Field(description="Periods starting on or after it are computed by this list")
    valid_to: dt.date | None = Field(None, description="Day before which the last such period starts")
    unchecked_languages: tuple[Literal["en", "ru", "kk"], ...] = Field(
        (), description="Languages whose labels no native speaker has checked"
    )
    spheres: tuple[Sphere, ...]

    @model_validator(mode="after")
    def _dates(self) -> CatalogueHead:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be after valid_from")
        return self


class Scale(Strict):
    """Ends of the score scale: the value that scores 0 and the value that scores 100."""

    floor: float
    goal: float

    @model_validator(mode="after")
    def _ends_differ(self) -> Scale:
        if self.floor == self.goal:
            raise ValueError("floor and goal must differ")
        return self


class GroupScales(Strict):
    """A scale for each item 7 group the KPI applies to."""

    republican: Scale | None = None
    regional: Scale | None = None
    district: Scale | None = None


class Weights(Strict):
    """Weights by code; 1 where nothing is said."""

    spheres: dict[str, Annotated[float, Field(gt=0)]] = {}
    initiatives: dict[str, Annotated[float, Field(gt=0)]] = {}
    kpis: dict[str, Annotated[float, Field(gt=0)]] = {}


class AssessmentRules(Strict):
    """One version of the rules of the annual assessment (items 7 and 9); the order's own formula is not public."""

    version: str
    valid_from: int = Field(description="First year assessed by these rules, until the next version's")
    change_note: str = Field(min_length=1)
    minimum_coverage: float = Field(ge=0, le=1, description="Coverage below which a settlement is not ranked")
    minimum_periods: float = Field(
        gt=0, le=1, description="Share of a year's applicable months or quarters that must have a value"
    )
    weight_change: float = Field(ge=0, lt=1, description="Ranks are tried with weights changed by up to this share")
    weights: Weights
    scales: dict[str, Scale | GroupScales] = Field(description="By KPI code")

    def scale(self, code: str, category: Category) -> Scale | None:
        """The scale of a KPI in a group of settlements; None if it has none there."""
        found = self.scales.get(code)
        return getattr(found, category) if isinstance(found, GroupScales) else found
