"""What is published, read of a release once: every public figure, and the code lists that name what it is of.

An observation is text as the release's CSV has it: nothing is rounded, nothing worked out. Does not belong here: any format.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.sql import literal, statement
from warehouse.store.history import held
from warehouse.store.ledger import EntryKind
from warehouse.store.sessions import reading
from warehouse.store.store import Store
from warehouse.tables import views
from warehouse.tables.obs_status import ObsStatus

Labels = Mapping[str, str | None]  # language → text; None where nobody has written it


class Figure(NamedTuple):
    """One observation, in the order of the SDMX components; numbers as text, None where there is none."""

    catalogue: str
    freq: str
    ref_area: str
    indicator: str
    time_period: str
    obs_value: str | None
    obs_status: str
    unit_measure: str
    lower_bound: str | None
    upper_bound: str | None
    numerator: str | None
    denominator: str | None
    sample_size: str | None
    rejected_rows: str | None
    gap_rows: str | None
    data_coverage: str | None
    counted: str | None
    applicable: str | None
    definition_version: str
    reason: str | None  # code of CL_REASON


@dataclass(frozen=True)
class Code:
    """A code of a list, with its names; `parent`: the code above it."""

    id: str
    names: Labels
    descriptions: Labels
    parent: str | None = None
    kind: str = ""


@dataclass(frozen=True)
class Edition:
    """Which release is published, or as of which ledger sequence, and by whom."""

    seq: int  # ledger sequence: of the release, or as of which it is written
    released_seq: int
    released_at: dt.datetime
    head: str  # hash of the released ledger's newest row
    agency: str
    publisher: str

    @property
    def earlier(self) -> bool:
        """Whether it is written as of a sequence before the release."""
        return self.seq != self.released_seq


class Figures:
    """An open release as formats read it. Get one from `opened_figures`."""

    def __init__(self, store: Store, edition: Edition) -> None:
        self.store, self.edition = store, edition
        self.reasons: dict[str, Code] = {}

    @cached_property
    def observations(self) -> Sequence[Figure]:
        """Ordered by list, KPI, area and time; fills `reasons`."""
        sql = statement(__file__, "figures", suppressed=literal(ObsStatus.SUPPRESSED))
        rows = self.store.con.execute(sql).fetchall()
        return [Figure._make((*row[:-4], self._reason(*row[-4:]))) for row in rows]

    def of(self, catalogue: str) -> Sequence[Figure]:
        """The observations of one list."""
        return [figure for figure in self.observations if figure.catalogue == catalogue]

    def _reason(self, code: str | None, en: str | None, ru: str | None, kk: str | None) -> str | None:
        """The code of a reason: its message, and a part of the hash of its sentence, which is the same in every release."""
        if en is None:
            return None
        name = re.sub(r"[^A-Za-z0-9_]", "_", code or "text")
        id_ = f"{name}-{hashlib.sha256(en.encode()).hexdigest()[:10]}"
        if id_ not in self.reasons:
            self.reasons[id_] = Code(id_, {"en": en, "ru": ru, "kk": kk}, {})
        return id_

    @cached_property
    def catalogues(self) -> Sequence[Mapping[str, Any]]:
        """Lists of KPIs that have figures."""
        found = {figure.catalogue for figure in self.observations}
        return [
            row
            for row in self.store.select("FROM registry.catalogue ORDER BY catalogue_id")
            if row["catalogue_id"] in found
        ]

    @cached_property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """The newest version of every KPI that has figures, in the order of lists and spheres."""
        found = {figure.indicator for figure in self.observations}
        return [row for row in self.store.select(statement(__file__, "definitions")) if row["kpi_code"] in found]

    @cached_property
    def areas(self) -> Sequence[Code]:
        """Country, item 7 groups, regions, settlements; a settlement lies in its region."""
        return [_area(row) for row in self.store.select(statement(__file__, "areas"))]

    @cached_property
    def statuses(self) -> Sequence[Code]:
        """The calculation states that figures have."""
        found = {figure.obs_status for figure in self.observations}
        rows = self.store.select("FROM registry.obs_status ORDER BY position")
        return [
            Code(row["obs_status"], labels(row, "name"), labels(row, "meaning"))
            for row in rows
            if row["obs_status"] in found
        ]

    @cached_property
    def units(self) -> Mapping[str, Mapping[str, Any]]:
        """Code → row of registry.unit, of the units that figures have."""
        found = {figure.unit_measure for figure in self.observations}
        return {
            row["unit"]: row for row in self.store.select("FROM registry.unit ORDER BY unit") if row["unit"] in found
        }

    @cached_property
    def frequencies(self) -> Sequence[Code]:
        """The reporting periods that figures have."""
        found = {figure.freq for figure in self.observations}
        return [Code(freq, said(f"publications.freq_{freq}"), {}) for freq in "AQM" if freq in found]

    @cached_property
    def periods(self) -> Sequence[Mapping[str, Any]]:
        """Periods that figures have, in time; of those that begin together the shortest first."""
        found = {figure.time_period for figure in self.observations}
        rows = self.store.select("FROM registry.period ORDER BY period_start, period_end")
        return [row for row in rows if row["period_id"] in found]


def said(code: str, **parts: Any) -> Labels:
    """A message in every language."""
    return {language: sentence(code, language, **parts) for language in LANGUAGES}


def labels(row: Mapping[str, Any], prefix: str) -> Labels:
    """The columns `<prefix>_en`, `_ru`, `_kk` of a row."""
    return {language: row[f"{prefix}_{language}"] for language in LANGUAGES}


def _area(row: Mapping[str, Any]) -> Code:
    kind = row["kind"]
    if kind == "country":
        return Code(row["code"], said("views.country"), {}, None, kind)
    if kind == "group":
        return Code(row["code"], labels(row, "name"), {}, row["parent"], kind)
    described = "publications.region" if kind == "region" else "publications.settlement"
    descriptions = said(described, kato=row["kato"], iso=row["code"] if kind == "region" else row["parent"])
    return Code(row["code"], labels(row, "name"), descriptions, row["parent"], kind)


@contextmanager
def opened_figures(home: Home, agency: str, publisher: str, as_of: int | None = None) -> Iterator[Figures]:
    """Open the release of a home. Raises StoreError if there is none, or if its ledger does not have the sequence."""
    with reading(home, hardened=False) as store:
        newest = store.select("SELECT seq, recorded_at, kind, hash FROM audit.ledger ORDER BY seq DESC LIMIT 1")
        if not newest or newest[0]["kind"] != EntryKind.RELEASED:
            raise StoreError(
                f"{home.released_file} is no release: its ledger does not end in one; publish from the release of a home: qala run"
            )
        last = int(newest[0]["seq"])
        if as_of is not None and not 1 <= as_of <= last:
            raise StoreError(f"the released ledger has no sequence {as_of}: it goes from 1 to {last} (--as-of)")
        seq = last if as_of is None else as_of
        views.make_own(store.con, views.published(held(as_of)))
        head = str(newest[0]["hash"])
        yield Figures(store, Edition(seq, last, newest[0]["recorded_at"], head, agency, publisher))
