"""What is wrong inside one list although every document keeps its model: codes, units, versions, scales, weights.

Belongs here: what one document says of another of the same list. Does not belong here: what one document says alone (model.py), what
definitions mean over tables (strict.py), and what is recorded of them (catalogue.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence

from kpi_definitions.documents import Document, Fault
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative, Kpi


def initiative_faults(
    document: Document, initiative: Initiative, spheres: Collection[str], units: Collection[str]
) -> Iterator[Fault]:
    """One initiative's file: its name, its sphere, the units and versions of its KPIs."""
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
        if kpi.unit not in units:
            yield document.fault(
                ("kpis", index, "unit"), f"{kpi.code}: no unit {kpi.unit!r}", f"units.yaml has {', '.join(units)}"
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
            elif kpi.change_note.strip() == other.change_note.strip():
                yield document.fault(
                    ("kpis", index, "change_note"),
                    f"{kpi.code} version {kpi.version} has the change note of version {other.version}",
                    "say what this version changes, and why",
                )
        versions[kpi.code].append(kpi)


def assessment_faults(
    rules: Sequence[tuple[AssessmentRules, Document]],
    head: CatalogueHead,
    initiatives: Sequence[Initiative],
    unread: Collection[str],
) -> Iterator[Fault]:
    """Every version of the rules for the years it governs: until the next one's first, and while the list is in force.

    `unread`: initiatives whose own documents are at fault: nothing is said about them.
    """
    ordered = sorted(rules, key=lambda r: r[0].valid_from)
    end = dt.date.max.year if head.valid_to is None else (head.valid_to - dt.timedelta(1)).year + 1
    for number, (one, document) in enumerate(ordered):
        later = [r.valid_from for r, _ in ordered[number + 1 :]]
        years = range(max(one.valid_from, head.valid_from.year), min([end, *later]))
        yield from _check_rules(document, one, initiatives, years, unread)


def _check_rules(
    document: Document, rules: AssessmentRules, initiatives: Iterable[Initiative], years: range, unread: Collection[str]
) -> Iterator[Fault]:
    """Scales and weights must name what exists, and point the way the KPI does in the years that the rules govern.

    A KPI that is in force in none of these years needs no scale: rules that were used are never edited for a KPI that came later.
    """
    versions = [kpi for i in initiatives for kpi in i.kpis]
    kpis = {kpi.code: kpi for kpi in versions}  # of those in force then, else of all, the newest
    judged = {kpi.code: kpi for kpi in versions if kpi.in_force_between(years.start, years.stop)}
    known = {
        "spheres": {i.sphere for i in initiatives} if not unread else set(rules.weights.spheres),
        "initiatives": {i.code for i in initiatives},
        "kpis": set(kpis),
    }
    for level, codes in known.items():
        for code in sorted(c for c in set(getattr(rules.weights, level)) - codes if c.partition("-")[0] not in unread):
            yield document.fault(
                ("weights", level, code), f"no {level.rstrip('s')} {code!r}", "mend the code or take it out"
            )
    for code in rules.scales:
        if code not in kpis and code.partition("-")[0] in unread:
            continue
        if code not in kpis:
            yield document.fault(("scales", code), f"no KPI {code!r}", "mend the code or take it out")
            continue
        kpi = judged.get(code, kpis[code])
        for category in kpi.categories:
            scale = rules.scale(code, category)
            if scale is None:
                yield document.fault(
                    ("scales", code), f"{code} has no scale for group {category}", "give floor and goal"
                )
            elif (scale.goal > scale.floor) != (kpi.direction == "higher"):
                yield document.fault(
                    ("scales", code),
                    f"{code}: {kpi.direction} is better, but the goal lies on the other side",
                    "swap floor and goal",
                )
    for code in sorted(set(judged) - set(rules.scales)):
        until = "on" if years.stop == dt.date.max.year else f"to {years.stop - 1}"
        yield document.fault(
            ("scales",),
            f"{code} has no scale",
            f"it is in force in years that these rules govern ({years.start} {until}): give floor and goal; if these rules were used, "
            f"leave them as they are and write the next version beside them, valid from {max(judged[code].valid_from.year, years.start)}",
        )
