"""What there is: the release itself, KPIs, settlements and regions, periods.

Does not belong here: any value.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, Question
from warehouse.assistant.shapes import (
    Kpis,
    ListedKpi,
    ListedPeriod,
    ListedPlace,
    Periods,
    Places,
    Release,
    Sphere,
)
from warehouse.assistant.values import KpiText, PlaceText, Skip
from warehouse.audit.status import release_status
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import WITH_VALUE, in_sql
from warehouse.tables.settlements import folded

Words = Annotated[str, Field(max_length=100, description="Words that names must have, in any language and letter case")]
Code = Annotated[str, Field(max_length=20)]


def about_release(question: Question) -> Release:
    """Which release this is: its number, ledger head and file hash, what it holds, whether its list of KPIs is a proposal, how to check it."""
    status = release_status(question.store)
    evidence = question.evidence("qala status")
    return Release(
        said=question.said(
            "release",
            release=evidence.release,
            at=f"{evidence.released_at:%Y-%m-%d %H:%M} UTC",
            month=status["latest_period"] or "-",
            standing=[one.standing for one in evidence.catalogues],
        ),
        evidence=evidence,
        newest_period=status["latest_period"],
        settlements_with_values=status["settlements_with_values"],
        cells_by_state=status["values"],
        deliveries_by_state=status["deliveries"],
        rows=status["rows"],
        verify=[f"qala verify --head {evidence.ledger_head}", "qala anchor", "qala reperform"],
    )


def list_kpis(
    question: Question,
    sphere: Annotated[Code | None, Field(description="Code of a sphere, as SAF; all are in every answer")] = None,
    initiative: Annotated[Code | None, Field(description="Code of an initiative, as SAF04")] = None,
    text: Words | None = None,
    skip: Skip = 0,
) -> Kpis:
    """The KPIs of the release with code, name, unit, direction, sphere and initiative; chosen by sphere, initiative or words of the name.

    Ask this first: other tools take the codes. The list is a proposal where the evidence says so.
    """
    counts = {
        row["kpi_code"]: row["settlements"]
        for row in question.store.select(statement(__file__, "settlements_by_kpi", with_value=in_sql(WITH_VALUE)))
    }
    rows = [
        row
        for row in lookups.kpi_rows(question).values()
        if _is(row["sphere"], sphere) and _is(row["initiative"], initiative) and _has(row, text, ("name", "initiative"))
    ]
    shown = [
        ListedKpi(
            **lookups.kpi(question, row).model_dump(),
            sphere=row["sphere"],
            initiative=row["initiative"],
            initiative_name=question.name(row, "initiative"),
            named_in_order=row["named_in_order"],
            published_by=row["grain"],
            version=row["definition_version"],
            valid_from=row["valid_from"],
            restricted=row["sensitivity"] == "restricted",
            settlements_with_values=counts.get(row["kpi_code"], 0),
        )
        for row in rows[skip : skip + ROWS]
    ]
    spheres = question.store.select("SELECT * FROM registry.sphere ORDER BY number")
    return Kpis(
        said=question.said("kpis", kpis=len(rows)),
        evidence=question.evidence("qala catalogue"),
        spheres=[Sphere(code=row["sphere"], name=question.name(row)) for row in spheres],
        kpis=shown,
        more=max(len(rows) - skip - len(shown), 0),
    )


def _is(code: str, wanted: str | None) -> bool:
    return wanted is None or code == wanted.strip().upper()


def _has(row: dict[str, Any], text: str | None, names: tuple[str, ...]) -> bool:
    """Whether every word stands in a name of one language."""
    words = folded(text or "").split()
    return any(
        all(word in folded(" ".join(str(row[f"{of}_{language}"] or "") for of in names)) for word in words)
        for language in ("en", "ru", "kk")
    )


def list_places(
    question: Question,
    group: Annotated[Code | None, Field(description="republican, regional or district (item 7 of the order)")] = None,
    region: PlaceText | None = None,
    text: Words | None = None,
    skip: Skip = 0,
) -> Places:
    """Settlements with KATO, name, item 7 group and region, and the regions; chosen by group, region or words of the name."""
    if group is not None and group.strip().lower() not in lookups.GROUPS:
        raise question.refuse("not_a_group", asked=lookups.shown(group))
    inside = lookups.find_place(question, region) if region else None
    regions = {row["kato"]: row for row in question.store.select("SELECT * FROM registry.region ORDER BY kato")}
    settlements = lookups.settlement_rows(question)
    rows = [
        row
        for row in settlements.values()
        if (group is None or row["item7_group"] == group.strip().lower())
        and (inside is None or inside.code in (row["region_kato"], row["kato"]))
        and _has(row, text, ("name",))
    ]
    places = [
        ListedPlace(
            **lookups.settlement(question, row).model_dump(),
            region=row["region_kato"],
            region_name=question.name(regions[row["region_kato"]]),
        )
        for row in rows
    ]
    if group is None:
        places += [
            ListedPlace(kind="region", code=kato, name=question.name(row))
            for kato, row in regions.items()
            if kato not in settlements and (inside is None or inside.code == kato) and _has(row, text, ("name",))
        ]
    shown = places[skip : skip + 2 * ROWS]  # all of them fit, today
    return Places(
        said=question.said("places", settlements=len(rows), regions=len(places) - len(rows)),
        evidence=question.evidence("qala settlements"),
        places=shown,
        more=max(len(places) - skip - len(shown), 0),
    )


def list_periods(
    question: Question, kpi: KpiText | None = None, settlement: PlaceText | None = None, skip: Skip = 0
) -> Periods:
    """Periods that have values, the newest first, with how many cells have one: of everything, of a KPI, of a settlement."""
    code = lookups.find_kpi(question, kpi)["kpi_code"] if kpi else None
    where = lookups.find_settlement(question, settlement).code if settlement else None
    rows = question.store.select(
        statement(
            __file__,
            "periods",
            kpi_code=f"{literal(code)}::VARCHAR",
            kato=f"{literal(where)}::VARCHAR",
            with_value=in_sql(WITH_VALUE),
        )
    )
    shown = [ListedPeriod(**row) for row in rows[skip : skip + ROWS]]
    return Periods(
        said=question.said("periods", periods=len(rows)),
        evidence=question.evidence("qala status"),
        periods=shown,
        more=max(len(rows) - skip - len(shown), 0),
    )
