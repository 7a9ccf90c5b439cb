"""Read the catalogues: every initiative file, validated, with faults by file and line."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from kpi_definitions.catalogue_checks import assessment_faults, initiative_faults
from kpi_definitions.compiler import columns_of, fingerprint
from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.kept import kept
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative, Kpi, Sphere

SHIPPED = Path(__file__).parent / "catalogues"
SCHEMA = Path(__file__).parent / "schema"
UNITS = Path(__file__).parent / "units.yaml"
FINGERPRINTS = "fingerprints.json"
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Catalogue:
    """One list of initiatives and KPIs, as read from one folder."""

    head: CatalogueHead
    initiatives: tuple[Initiative, ...]
    assessments: tuple[AssessmentRules, ...]  # by first year
    documents: Mapping[str, Document]  # by initiative code, for faults found later
    folder: Path
    texts: tuple[Document, ...] = ()  # every document that was read
    unread: frozenset[str] = (
        frozenset()
    )  # initiatives whose documents are at fault: of a list that is only looked at (`sound_part`)

    @cached_property
    def kpis(self) -> tuple[Kpi, ...]:
        """Every version of every KPI, by code and version."""
        found = [kpi for initiative in self.initiatives for kpi in initiative.kpis]
        return tuple(sorted(found, key=lambda k: (k.code, k.version)))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kpi.code for kpi in self.kpis))

    def rules_of(self, year: int) -> AssessmentRules | None:
        """The assessment rules for a year; None if it has none, or the list is not in force in that year."""
        if self.head.valid_from.year > year or (
            self.head.valid_to is not None and self.head.valid_to <= dt.date(year, 1, 1)
        ):
            return None
        return next((r for r in reversed(self.assessments) if r.valid_from <= year), None)


@dataclass(frozen=True)
class Catalogues:
    """All lists, side by side. A code means one KPI, whichever list it stands in."""

    lists: tuple[Catalogue, ...]

    @cached_property
    def kpis(self) -> tuple[Kpi, ...]:
        """Every version of every KPI, by code and version."""
        return tuple(sorted((kpi for one in self.lists for kpi in one.kpis), key=lambda k: (k.code, k.version)))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kpi.code for kpi in self.kpis))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the lists but their rules of assessment."""
        texts = (m.model_dump_json() for one in self.lists for m in (one.head, *one.initiatives))
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    @cached_property
    def _places(self) -> dict[str, tuple[Catalogue, Initiative]]:
        return {i.code: (one, i) for one in self.lists for i in one.initiatives}

    def of(self, code: str) -> Catalogue:
        """The list a KPI stands in."""
        return self._places[code.partition("-")[0]][0]

    def initiative_of(self, code: str) -> Initiative:
        return self._places[code.partition("-")[0]][1]

    def sphere_of(self, code: str) -> Sphere:
        one, initiative = self._places[code.partition("-")[0]]
        return next(s for s in one.head.spheres if s.code == initiative.sphere)

    def latest(self, code: str) -> Kpi:
        """The newest version of a KPI. Raises KeyError naming what exists."""
        versions = [kpi for kpi in self.kpis if kpi.code == code]
        if not versions:
            raise KeyError(f"no KPI {code!r}; the catalogue has {', '.join(self.codes)}")
        return versions[-1]

    def effect(self, kpi: Kpi) -> tuple[dt.date, dt.date]:
        """First day of effect and the day before which it ends: the version's own, inside those of its list."""
        head = self.of(kpi.code).head
        return max(kpi.valid_from, head.valid_from), min(kpi.valid_to or dt.date.max, head.valid_to or dt.date.max)

    def in_force(self, code: str, day: dt.date) -> Kpi | None:
        """The version by which a period that starts on `day` is computed."""
        for kpi in self.kpis:
            if kpi.code == code:
                start, end = self.effect(kpi)
                if start <= day < end:
                    return kpi
        return None

    def fault(self, kpi: Kpi, where: tuple[str | int, ...], message: str, remedy: str = "") -> Fault:
        """A fault placed on the line of the KPI's own entry."""
        document = self.of(kpi.code).documents[kpi.code.partition("-")[0]]
        entries = document.data["kpis"]
        index = next(i for i, e in enumerate(entries) if (e["code"], e["version"]) == (kpi.code, kpi.version))
        return document.fault(("kpis", index, *where), message, remedy)


def load_catalogues(*folders: Path, shipped: Path = SHIPPED) -> Catalogues:
    """Every catalogue under the shipped folder and the given ones (a home's). Raises DocumentError with every fault found."""
    faults: list[Fault] = []
    lists: list[Catalogue] = []
    for path in (p for folder in (shipped, *folders) for p in sorted(folder.glob("*/catalogue.yaml"))):
        try:
            lists.append(load_one(path.parent))
        except DocumentError as error:
            faults += error.faults
    places: dict[str, Catalogue] = {}
    for number, one in enumerate(lists):
        twin = next((o for o in lists[:number] if o.head.id == one.head.id), None)
        if twin is not None:
            message = f"catalogue {one.head.id} stands in two folders"
            faults.append(
                Fault(one.folder / "catalogue.yaml", 1, message, f"see {twin.folder}: give this one another id")
            )
        for code, document in one.documents.items():
            if code in places:
                faults.append(
                    document.fault(
                        ("code",),
                        f"initiative {code} stands in the catalogues {places[code].head.id} and {one.head.id}",
                        "a code means one thing in all catalogues: give it another code here",
                    )
                )
            places[code] = one
    if faults:
        raise DocumentError(faults)
    return Catalogues(tuple(lists))


@cache
def units() -> dict[str, dict[str, Any]]:
    """Units of measure by code: labels, symbol, whether SDMX has the code."""
    found: dict[str, dict[str, Any]] = read(UNITS).data
    return found


def load_one(folder: Path) -> Catalogue:
    """Read and validate one catalogue folder; once a process, unless a file of it changes. Raises DocumentError with every fault found."""
    one, faults = sound_part(folder)
    if faults or one is None:
        raise DocumentError(faults)
    return one


def sound_part(folder: Path) -> tuple[Catalogue | None, list[Fault]]:
    """What can be read of one catalogue folder, None if not even its head, and every fault of the rest."""
    files = ((path, path.stat()) for path in sorted(folder.rglob("*.yaml")))
    one, faults = _sound_part(folder, tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in files))
    return one, list(faults)


@lru_cache(maxsize=16)
def _sound_part(folder: Path, _: tuple[tuple[Path, int, int], ...]) -> tuple[Catalogue | None, tuple[Fault, ...]]:
    """As `sound_part`; looked at again only when a file's time or size is another."""
    return kept("catalogue", sorted(folder.rglob("*.yaml")), lambda: _read_part(folder))


def _read_part(folder: Path) -> tuple[Catalogue | None, tuple[Fault, ...]]:
    faults: list[Fault] = []
    head_text = _read(folder / "catalogue.yaml", faults)
    head = _parse(head_text, CatalogueHead, faults) if head_text is not None else None
    initiatives, unread = _read_initiatives(folder, faults)
    if head is not None:
        if head.id != folder.name:
            said = f"catalogue {head.id} in a folder named {folder.name}"
            faults.append(Fault(folder / "catalogue.yaml", 1, said, "name the folder like it"))
        spheres = {sphere.code for sphere in head.spheres}
        for initiative, document in initiatives:
            faults += initiative_faults(document, initiative, spheres, units())
    rules: list[tuple[AssessmentRules, Document]] = []
    for path in sorted((folder / "assessment").glob("*.yaml")):
        text = _read(path, faults)
        found = _parse(text, AssessmentRules, faults) if text is not None else None
        if text is not None and found is not None:
            rules.append((found, text))
    if head is None or head_text is None:
        return None, tuple(faults)
    faults += assessment_faults(rules, head, [initiative for initiative, _ in initiatives], unread)
    by_year = tuple(sorted((one for one, _ in rules), key=lambda r: r.valid_from))
    documents = {initiative.code: document for initiative, document in initiatives}
    texts = (head_text, *documents.values(), *(document for _, document in rules))
    sound = tuple(initiative for initiative, _ in initiatives)
    return Catalogue(head, sound, by_year, documents, folder, texts, frozenset(unread)), tuple(faults)


def _read(path: Path, faults: list[Fault]) -> Document | None:
    """A document; None if it cannot be read, with the reason added to `faults`."""
    try:
        return read(path)
    except DocumentError as error:
        faults += error.faults
        return None


def _read_initiatives(folder: Path, faults: list[Fault]) -> tuple[list[tuple[Initiative, Document]], set[str]]:
    """The initiatives of a catalogue with their documents, and the names of files that could not be read."""
    found: dict[str, tuple[Initiative, Document]] = {}
    unread: set[str] = set()
    for path in sorted((folder / "spheres").glob("*/*.yaml")):
        document = _read(path, faults)
        initiative = _parse(document, Initiative, faults) if document is not None else None
        if document is None or initiative is None:
            unread.add(path.stem)
        elif initiative.code in found:
            said = f"initiative {initiative.code} stands in two files"
            faults.append(document.fault(("code",), said, f"see {found[initiative.code][1].path}"))
        else:
            found[initiative.code] = (initiative, document)
    return list(found.values()), unread


@dataclass(frozen=True)
class Counterpart:
    """A KPI of one list and what stands for it in another: the same meaning, or the same tables, or nothing."""

    code: str
    likeness: Literal["same meaning", "same tables", "none"]
    others: tuple[str, ...]


def compare(ours: Catalogue, theirs: Catalogue) -> list[Counterpart]:
    """For every KPI of one list its counterparts in the other, whatever their codes."""

    def what(kpi: Kpi) -> tuple[str, frozenset[str]]:
        meaning = fingerprint(kpi.model_copy(update={"code": "XX-1", "version": 1, "valid_from": dt.date.min}))
        return meaning, frozenset(table for table, _ in columns_of(kpi))

    known = {code: what(kpi) for code, kpi in {k.code: k for k in theirs.kpis}.items()}
    found = []
    for kpi in {k.code: k for k in ours.kpis}.values():
        meaning, tables = what(kpi)
        same = tuple(code for code, (other, _) in known.items() if other == meaning)
        near = tuple(code for code, (_, others) in known.items() if others & tables)
        found.append(Counterpart(kpi.code, "same meaning" if same else "same tables" if near else "none", same or near))
    return found


def _parse(document: Document, model: type[M], faults: list[Fault]) -> M | None:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for problem in error.errors():
            where = tuple(problem["loc"])
            given = problem["input"] if isinstance(problem["input"], str | int | float) else ""
            message = f"{'.'.join(map(str, where))}: {problem['msg']}" + (f" (given {given!r})" if given != "" else "")
            faults.append(document.fault(where, message, "see the JSON Schema in kpi_definitions/schema"))
        return None


def changed_without_version(one: Catalogue) -> list[Fault]:
    """KPI versions whose meaning differs from the recorded fingerprint, or that have none recorded yet."""
    path, catalogue = one.folder / FINGERPRINTS, Catalogues((one,))
    recorded: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    faults = []
    for kpi in one.kpis:
        label = f"{kpi.code} version {kpi.version}"
        known = recorded.get(f"{kpi.code}@{kpi.version}")
        try:
            current = fingerprint(kpi)
        except ExpressionError:
            continue  # reported by the compiler with a better message
        if known is None:
            faults.append(
                catalogue.fault(kpi, ("version",), f"{label} has no recorded fingerprint", "run: qala fingerprint")
            )
        elif known != current:
            faults.append(
                catalogue.fault(
                    kpi,
                    ("version",),
                    f"{label} changed its meaning without a new version",
                    "add a new version with a change_note and end this one with valid_to",
                )
            )
    return [*faults, *_vanished(one, recorded)]


def _vanished(one: Catalogue, recorded: Iterable[str]) -> Iterator[Fault]:
    """Versions that are recorded and no longer there: most often their number was raised in place."""
    present = {f"{kpi.code}@{kpi.version}" for kpi in one.kpis}
    for label in sorted(label for label in set(recorded) - present if label.partition("-")[0] not in one.unread):
        remedy = "put it back and end it with valid_to: values computed with it must stay explainable"
        message = f"{label.replace('@', ' version ')} is recorded here and no longer defined"
        yield Fault(one.folder / FINGERPRINTS, 1, message, remedy)


def record_fingerprints(one: Catalogue) -> list[str]:
    """Record versions not yet recorded; never overwrites one. Returns the labels added.

    Raises DocumentError, and records nothing, while a recorded version is no longer defined (a new one stands beside it, not in its place), and
    while anything is marked TODO: what is recorded is not changed any more.
    """
    if undecided := [fault for text in one.texts for fault in text.undecided()]:
        raise DocumentError(undecided)
    path = one.folder / FINGERPRINTS
    recorded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if gone := list(_vanished(one, recorded)):
        raise DocumentError(gone)
    new = {f"{k.code}@{k.version}": fingerprint(k) for k in one.kpis if f"{k.code}@{k.version}" not in recorded}
    path.write_text(json.dumps(dict(sorted((recorded | new).items())), indent=1) + "\n", encoding="utf-8")
    return sorted(new)
