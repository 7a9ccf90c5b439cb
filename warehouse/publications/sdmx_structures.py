"""SDMX structures of the figures: code lists, concepts, data structure, dataflows and what they hold, as objects of pysdmx.

pysdmx keeps names in one language, and no code above a code: these are in `Structures.labels` and `.parents`, for sdmx_xml.py.
Does not belong here: data (sdmx_data.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.publications.figures import Code, Edition, Figures, Labels, labels, said

if TYPE_CHECKING:
    from pysdmx.model import AvailabilityConstraint, Codelist, Concept, ConceptScheme
    from pysdmx.model.dataflow import Component, Dataflow, DataStructureDefinition

CONCEPTS, STRUCTURE = "CS_KPI", "DSD_KPI"
# of what is ours alone: raised by hand when dimensions or attributes change
STRUCTURE_VERSION = "1.0"


@dataclass(frozen=True)
class Part:
    """A component of the data structure; `codes`: its code list."""

    id: str
    role: str  # Dimension, Measure or Attribute
    type: str  # of its text where it has no codes: a data type of SDMX
    codes: str | None = None

    @property
    def required(self) -> bool:
        return self.role == "Dimension" or self.id in ("OBS_STATUS", "UNIT_MEASURE", "DEFINITION_VERSION")


# in the order of the columns of Figure
PARTS = (
    Part("FREQ", "Dimension", "String", "CL_FREQ"),
    Part("REF_AREA", "Dimension", "String", "CL_AREA"),
    Part("INDICATOR", "Dimension", "String", "CL_KPI"),
    Part("TIME_PERIOD", "Dimension", "ObservationalTimePeriod"),
    Part("OBS_VALUE", "Measure", "Double"),
    Part("OBS_STATUS", "Attribute", "String", "CL_OBS_STATUS"),
    Part("UNIT_MEASURE", "Attribute", "String", "CL_UNIT_MEASURE"),
    Part("LOWER_BOUND", "Attribute", "Double"),
    Part("UPPER_BOUND", "Attribute", "Double"),
    Part("NUMERATOR", "Attribute", "Decimal"),
    Part("DENOMINATOR", "Attribute", "Decimal"),
    Part("SAMPLE_SIZE", "Attribute", "Long"),
    Part("REJECTED_ROWS", "Attribute", "Long"),
    Part("GAP_ROWS", "Attribute", "Long"),
    Part("DATA_COVERAGE", "Attribute", "Double"),
    Part("COUNTED", "Attribute", "Long"),
    Part("APPLICABLE", "Attribute", "Long"),
    Part("DEFINITION_VERSION", "Attribute", "Integer"),
    Part("REASON", "Attribute", "String", "CL_REASON"),
)


@dataclass
class Structures:
    """What describes the figures. `labels`: (id of the list or '', id) → names and descriptions in every language;
    `parents`: (id of the list, id of a code) → the code above it.
    """

    codelists: list[Codelist] = field(default_factory=list)
    concepts: ConceptScheme | None = None
    structure: DataStructureDefinition | None = None
    dataflows: dict[str, Dataflow] = field(default_factory=dict)  # by list of KPIs
    constraints: list[AvailabilityConstraint] = field(default_factory=list)
    labels: dict[tuple[str, str], tuple[Labels, Labels]] = field(default_factory=dict)
    parents: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def all(self) -> list[Any]:
        return [*self.codelists, self.concepts, self.structure, *self.dataflows.values(), *self.constraints]


def version_of(edition: Edition, of: str = STRUCTURE_VERSION) -> str:
    """Version of an artefact: two numbers of what it follows, and the ledger sequence of the edition: 2026.2.9466."""
    numbers = [part for part in of.split(".") if part.isdecimal()]
    major, minor = (str(int(n)) for n in [*numbers, "0", "0"][:2])
    return f"{major}.{minor}.{edition.seq}"


def list_id(catalogue: str, prefix: str = "KPI") -> str:
    """qala-proposal → KPI_QALA_PROPOSAL, the dataflow of a list."""
    return f"{prefix}_{catalogue.upper().replace('-', '_')}"


def kpi_codes(figures: Figures) -> Iterator[Code]:
    """CL_KPI: lists side by side, and under each its spheres, initiatives and KPIs. What is above a KPI has no figures of its own."""
    for one in figures.catalogues:
        above_all = list_id(one["catalogue_id"], "LIST")
        yield Code(above_all, labels(one, "name"), {"en": one["legal_basis"]}, None, "catalogue")
        told: set[str] = set()
        for kpi in figures.definitions:
            if kpi["catalogue_id"] != one["catalogue_id"]:
                continue
            sphere = f"{above_all}_{kpi['sphere']}"
            above = (
                Code(sphere, labels(kpi, "sphere"), {}, above_all, "sphere"),
                Code(kpi["initiative"], labels(kpi, "initiative"), {}, sphere, "initiative"),
            )
            for code in above:
                if code.id not in told:
                    told.add(code.id)
                    yield code
            yield Code(kpi["kpi_code"], labels(kpi, "kpi_name"), labels(kpi, "description"), kpi["initiative"], "kpi")


def structures(figures: Figures) -> Structures:
    """Every artefact of an edition."""
    made, edition = Structures(), figures.edition
    _add_codelists(made, figures)
    _add_concepts(made, edition)
    _add_structure(made, edition)
    for one in figures.catalogues:
        _add_dataflow(made, figures, one)
    return made


def _add_codelists(made: Structures, figures: Figures) -> None:
    figures.observations  # noqa: B018  reasons are found with them
    reasons = [figures.reasons[key] for key in sorted(figures.reasons)]
    lists: Mapping[str, tuple[str, Sequence[Code]]] = {
        "CL_AREA": ("area", figures.areas),
        "CL_KPI": ("kpi", list(kpi_codes(figures))),
        "CL_OBS_STATUS": ("obs_status", figures.statuses),
        "CL_UNIT_MEASURE": ("unit", [Code(id_, labels(row, "name"), {}) for id_, row in figures.units.items()]),
        "CL_FREQ": ("freq", figures.frequencies),
        "CL_REASON": ("reason", reasons),
    }
    for id_, (name, codes) in lists.items():
        made.codelists.append(_codelist(made, figures.edition, id_, said(f"publications.list_{name}"), codes))


def _codelist(made: Structures, edition: Edition, id_: str, named: Labels, codes: Sequence[Code]) -> Codelist:
    from pysdmx.model import Code as SdmxCode
    from pysdmx.model import Codelist

    made.labels["", id_] = named, {}
    items = []
    for code in codes:
        made.labels[id_, code.id] = code.names, code.descriptions
        if code.parent:
            made.parents[id_, code.id] = code.parent
        items.append(
            SdmxCode(id=code.id, name=_first(code.names), description=_first(code.descriptions), annotations=())
        )
    return Codelist(id=id_, name=named["en"], agency=edition.agency, version=version_of(edition), items=items)


def _first(texts: Labels) -> str | None:
    """The English text, else that of another language: pysdmx writes one as English."""
    return next((texts[language] for language in ("en", *LANGUAGES) if texts.get(language)), None)


def _add_concepts(made: Structures, edition: Edition) -> None:
    from pysdmx.model import Concept, ConceptScheme, DataType

    items: list[Concept] = []
    for part in PARTS:
        named = said(f"publications.concept_{part.id.lower()}")
        made.labels[CONCEPTS, part.id] = named, {}
        urn = f"urn:sdmx:org.sdmx.infomodel.conceptscheme.Concept={edition.agency}:{CONCEPTS}({version_of(edition)}).{part.id}"
        items.append(Concept(id=part.id, name=named["en"], dtype=DataType(part.type), urn=urn))
    named = said("publications.concepts")
    made.labels["", CONCEPTS] = named, {}
    made.concepts = ConceptScheme(
        id=CONCEPTS, name=named["en"], agency=edition.agency, version=version_of(edition), items=items
    )


def _add_structure(made: Structures, edition: Edition) -> None:
    from pysdmx.model.dataflow import Components, DataStructureDefinition

    named = said("publications.structure")
    made.labels["", STRUCTURE] = named, {}
    made.structure = DataStructureDefinition(
        id=STRUCTURE,
        name=named["en"],
        agency=edition.agency,
        version=version_of(edition),
        components=Components([_component(made, part) for part in PARTS]),
    )


def _component(made: Structures, part: Part) -> Component:
    from pysdmx.model import DataType
    from pysdmx.model.dataflow import Component, Role

    assert made.concepts is not None
    codes = next((one for one in made.codelists if one.id == part.codes), None)
    role = Role[part.role.upper()]
    return Component(
        id=part.id,
        required=part.required,
        role=role,
        concept=next(concept for concept in made.concepts.items if concept.id == part.id),
        local_dtype=None if codes else DataType(part.type),
        local_codes=codes,
        attachment_level="O" if role is Role.ATTRIBUTE else None,
    )


def _add_dataflow(made: Structures, figures: Figures, catalogue: Mapping[str, Any]) -> None:
    from pysdmx.model.dataflow import Dataflow

    edition, id_ = figures.edition, list_id(catalogue["catalogue_id"])
    names = {
        language: sentence(
            "publications.title", language, catalogue=catalogue[f"name_{language}"] or catalogue["catalogue_id"]
        )
        for language in LANGUAGES
    }
    made.labels["", id_] = names, described(edition, catalogue)
    made.labels["", f"CR_A_{id_}"] = (
        {language: sentence("publications.constraint", language, title=names[language]) for language in LANGUAGES},
        {},
    )
    flow = Dataflow(
        id=id_,
        name=names["en"],
        description=made.labels["", id_][1]["en"],
        agency=edition.agency,
        version=version_of(edition, catalogue["catalogue_version"]),
        structure=made.structure,
    )
    made.dataflows[catalogue["catalogue_id"]] = flow
    made.constraints.append(_constraint(flow, figures, catalogue["catalogue_id"]))


def described(edition: Edition, catalogue: Mapping[str, Any]) -> Labels:
    """What the figures of a list are, of which release, and that the list is a proposal where it is one."""
    facts = {"released": edition.released_seq, "seq": edition.seq, "head": edition.head}
    texts = {language: [sentence("publications.described", language, **facts)] for language in LANGUAGES}
    for language, lines in texts.items():
        if catalogue["catalogue_status"] == "proposal":
            lines.append(sentence("publications.proposal", language))
        lines.append(sentence("publications.licence_unknown", language))
    return {language: " ".join(lines) for language, lines in texts.items()}


def _constraint(flow: Dataflow, figures: Figures, catalogue: str) -> AvailabilityConstraint:
    """What there is of a list: values of every dimension, and the span of time."""
    from pysdmx.model import AvailabilityConstraint, ConstraintAttachment, CubeKeyValue, CubeRegion, CubeValue

    rows = figures.of(catalogue)
    keys = [
        CubeKeyValue(
            id=part.id, values=[CubeValue(value) for value in sorted({getattr(row, part.id.lower()) for row in rows})]
        )
        for part in PARTS
        if part.id in ("FREQ", "REF_AREA", "INDICATOR", "OBS_STATUS")
    ]
    keys.append(CubeKeyValue(id="TIME_PERIOD", time_range=_span(figures, {row.time_period for row in rows})))
    urn = f"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow={flow.agency}:{flow.id}({flow.version})"
    return AvailabilityConstraint(
        constraint_attachment=ConstraintAttachment(data_provider=None, dataflows=[urn]),
        cube_region=CubeRegion(key_values=keys),
        series_count=len({row[1:4] for row in rows}),
        obs_count=len(rows),
    )


def _span(figures: Figures, periods: set[str]) -> Any:
    from pysdmx.model.constraint import CubeTimeRange, TimePeriodBoundary

    spans = [(row["period_start"], row["period_end"]) for row in figures.periods if row["period_id"] in periods]
    first, last = min(start for start, _ in spans), max(end for _, end in spans) - dt.timedelta(1)
    return CubeTimeRange(start_period=TimePeriodBoundary(f"{first}"), end_period=TimePeriodBoundary(f"{last}"))
