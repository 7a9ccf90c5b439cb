"""Read the catalogue: every initiative file, validated, with faults by file and line."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kpi_definitions.compiler import fingerprint
from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import CatalogueHead, Initiative, Kpi, Sphere

HOME = Path(__file__).parent
FINGERPRINTS = "fingerprints.json"
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Catalogue:
    """A whole list of initiatives and KPIs, as read from one folder."""

    head: CatalogueHead
    initiatives: tuple[Initiative, ...]
    documents: Mapping[str, Document]  # by initiative code, for faults found later

    @cached_property
    def kpis(self) -> tuple[Kpi, ...]:
        """Every version of every KPI, by code and version."""
        found = [kpi for initiative in self.initiatives for kpi in initiative.kpis]
        return tuple(sorted(found, key=lambda k: (k.code, k.version)))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kpi.code for kpi in self.kpis))

    def initiative_of(self, code: str) -> Initiative:
        return next(i for i in self.initiatives if i.code == code.partition("-")[0])

    def sphere_of(self, code: str) -> Sphere:
        wanted = self.initiative_of(code).sphere
        return next(s for s in self.head.spheres if s.code == wanted)

    def latest(self, code: str) -> Kpi:
        """The newest version of a KPI. Raises KeyError naming what exists."""
        versions = [kpi for kpi in self.kpis if kpi.code == code]
        if not versions:
            raise KeyError(f"no KPI {code!r}; the catalogue has {', '.join(self.codes)}")
        return versions[-1]

    def in_force(self, code: str, day: dt.date) -> Kpi | None:
        """The version by which a period that starts on `day` is computed."""
        for kpi in self.kpis:
            if kpi.code == code and kpi.valid_from <= day and (kpi.valid_to is None or day < kpi.valid_to):
                return kpi
        return None

    def fault(self, kpi: Kpi, where: tuple[str | int, ...], message: str, remedy: str = "") -> Fault:
        """A fault placed on the line of the KPI's own entry."""
        document = self.documents[kpi.code.partition("-")[0]]
        entries = document.data["kpis"]
        index = next(i for i, e in enumerate(entries) if (e["code"], e["version"]) == (kpi.code, kpi.version))
        return document.fault(("kpis", index, *where), message, remedy)


def load(folder: Path = HOME) -> Catalogue:
    """Read and validate a catalogue folder. Raises DocumentError with every fault found."""
    faults: list[Fault] = []
    head = _parse(read(folder / "catalogue.yaml"), CatalogueHead, faults)
    documents: dict[str, Document] = {}
    initiatives: list[Initiative] = []
    for path in sorted((folder / "spheres").glob("*/*.yaml")):
        try:
            document = read(path)
        except DocumentError as error:
            faults += error.faults
            continue
        initiative = _parse(document, Initiative, faults)
        if initiative is None:
            continue
        if initiative.code in documents:
            faults.append(
                document.fault(
                    ("code",),
                    f"initiative {initiative.code} stands in two files",
                    f"see {documents[initiative.code].path}",
                )
            )
            continue
        documents[initiative.code] = document
        initiatives.append(initiative)
    if head is not None:
        spheres = {sphere.code for sphere in head.spheres}
        for initiative in initiatives:
            faults += _check_initiative(documents[initiative.code], initiative, spheres)
    if faults or head is None:
        raise DocumentError(faults)
    return Catalogue(head, tuple(initiatives), documents)


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


def _check_initiative(document: Document, initiative: Initiative, spheres: set[str]) -> Iterator[Fault]:
    if document.path.stem != initiative.code:
        yield document.fault(
            ("code",),
            f"initiative {initiative.code} in a file named {document.path.name}",
            f"name the file {initiative.code}.yaml",
        )
    if initiative.sphere not in spheres:
        yield document.fault(
            ("sphere",), f"no sphere {initiative.sphere!r}", f"the catalogue has {', '.join(sorted(spheres))}"
        )
    versions: dict[str, list[Kpi]] = {}
    for index, kpi in enumerate(initiative.kpis):
        if not kpi.code.startswith(initiative.code + "-"):
            yield document.fault(
                ("kpis", index, "code"),
                f"KPI {kpi.code} does not belong to {initiative.code}",
                f"its code must start with {initiative.code}-",
            )
        if not set(kpi.categories) <= set(initiative.categories):
            yield document.fault(
                ("kpis", index, "categories"),
                f"{kpi.code} applies to more groups than {initiative.code}",
                "a KPI's categories must be among its initiative's",
            )
        for other in versions.setdefault(kpi.code, []):
            if other.version == kpi.version:
                yield document.fault(
                    ("kpis", index, "code"),
                    f"{kpi.code} version {kpi.version} is given twice",
                    "a new version needs a new number",
                )
            elif kpi.valid_from < (other.valid_to or dt.date.max) and other.valid_from < (kpi.valid_to or dt.date.max):
                yield document.fault(
                    ("kpis", index, "valid_from"),
                    f"{kpi.code} versions {other.version} and {kpi.version} are in force on the same days",
                    "end the older one with valid_to",
                )
        versions[kpi.code].append(kpi)


def changed_without_version(catalogue: Catalogue, folder: Path = HOME) -> list[Fault]:
    """KPI versions whose meaning differs from the recorded fingerprint, or that have none recorded yet."""
    path = folder / FINGERPRINTS
    recorded: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    faults = []
    for kpi in catalogue.kpis:
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
    present = {f"{kpi.code}@{kpi.version}" for kpi in catalogue.kpis}
    for label in sorted(set(recorded) - present):
        remedy = "put it back and end it with valid_to: values computed with it must stay explainable"
        faults.append(
            Fault(path, 1, f"{label.replace('@', ' version ')} is recorded here and no longer defined", remedy)
        )
    return faults


def record_fingerprints(catalogue: Catalogue, folder: Path = HOME) -> list[str]:
    """Record versions not yet recorded; never overwrites one. Returns the labels added."""
    path = folder / FINGERPRINTS
    recorded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    new = {f"{k.code}@{k.version}": fingerprint(k) for k in catalogue.kpis if f"{k.code}@{k.version}" not in recorded}
    path.write_text(json.dumps(dict(sorted((recorded | new).items())), indent=1) + "\n", encoding="utf-8")
    return sorted(new)
