"""What the register of information systems says: reasons behind states, the requirements of items 12 and 13, and the plan beside the fact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import read
from tests.support.rows import LATER, Extract, cell, compute_one, deliver, exact, only
from tests.support.settlements import ALMATY, ASTANA, SEMEY
from warehouse.home.home import Home
from warehouse.kpi_values.compute import Report, compute
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import SHOWCASE, parse_table
from warehouse.tables.settlements import settlements

pytestmark = pytest.mark.usefixtures("made_again")
KPI = "MGT02-1"
CATALOGUE = only(load_catalogues(), KPI, "SAF04-1", "MGT01-1")
REGISTER, TARGETS = "dim_information_system", "fct_kpi_target"
KATOS = sorted(settlements(), key=lambda kato: (kato not in (ASTANA, ALMATY, SEMEY), kato != ASTANA, kato))
SETTLEMENTS = len(KATOS)
DAY, AT = dt.date, dt.datetime
NOT_DELIVERED = "extract not delivered: fct_appeal 2026-01"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A warehouse of just the tables these tests need: there are dozens, and every test empties all."""
    needed = (REGISTER, TARGETS, "fct_appeal", "fct_crash", "dim_population")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "tables", {name: parse_table(read(SHOWCASE / f"{name}.odcs.yaml")) for name in needed})
        with writing(Home(tmp_path_factory.mktemp("register"))) as store:
            store.con.execute("SET threads = 1")  # tiny queries on a busy machine
            yield store


def system(number: str, initiative: str | None = "MGT02", **more: Any) -> dict[str, Any]:
    """A system in operation since 2020, integrated with nothing."""
    usual = {"system_id": number, "initiative_code": initiative, "commissioned_at": DAY(2020, 1, 1), "mio_code": "M1"}
    return usual | {"origin": "OWN"} | more


def listed(store: Store, *systems: dict[str, Any], period: str = "2025-Q4", scope: str = ASTANA) -> None:
    """Deliver a register: as it stood at the end of the period."""
    deliver(store, REGISTER, Extract(systems, period, scope))


def run(store: Store, period: str = "2026-01", code: str = KPI) -> Report:
    return compute_one(store, CATALOGUE, code, period)


def said(store: Store, kato: str = ASTANA, period: str = "2026-01", code: str = KPI) -> tuple[str, str | None]:
    found = cell(store, code, period, kato)
    return found["obs_status"], found["reason"]


def appeals(store: Store, period: str = "2026-01", late: int = 1, scope: str = ASTANA) -> None:
    """Four appeals due in the month, some of them overdue."""
    due = AT.fromisoformat(f"{period}-10")
    ends = [due + dt.timedelta(days=1 if n < late else -1) for n in range(4)]
    rows = [
        {"appeal_id": f"{period}-{n}", "due_at": due, "closed_at": e, "status": "CLOSED"} for n, e in enumerate(ends)
    ]
    deliver(store, "fct_appeal", Extract(rows, period, scope))


# ---- reasons behind states


NONE_KNOWN = "no system known: the register of 2026-01-01 names none in operation for initiative MGT02"
NOT_INTEGRATED = "not integrated: of system {} the register of 2026-01-01 knows no integration with the SDU"
INTEGRATED = DAY(2025, 6, 1)


def test_without_a_register_only_the_extract_is_missing(store: Store) -> None:
    run(store)
    assert said(store) == ("L", NOT_DELIVERED)


def test_why_nothing_was_delivered(store: Store) -> None:
    """A settlement for every register there may be; all are as of 1 January, the period ends on 1 February."""
    cases: list[tuple[list[dict[str, Any]], str, str]] = [
        ([system("S1", "SAF01")], "O", NONE_KNOWN),
        ([system("S1", None)], "O", NONE_KNOWN),
        ([system("S1", "MGT02-1")], "O", NONE_KNOWN),  # a KPI is no initiative
        # in operation at the period's end, 1 February
        ([system("S1", commissioned_at=DAY(2026, 2, 1))], "O", NONE_KNOWN),
        ([system("S1", retired_at=DAY(2026, 1, 31))], "O", NONE_KNOWN),
        ([system("S1", commissioned_at=DAY(2026, 1, 31))], "L", NOT_INTEGRATED.format("S1")),
        ([system("S1", retired_at=DAY(2026, 2, 1))], "L", NOT_INTEGRATED.format("S1")),
        # known, and not integrated with the SDU: with the situational centre it may be
        ([system("S1", integrated_at=INTEGRATED)], "L", NOT_INTEGRATED.format("S1")),
        ([system("S2"), system("S1"), system("S3", "SAF01")], "L", NOT_INTEGRATED.format("S1, S2")),
        ([system("S1", sdu_integrated_at=DAY(2026, 2, 1))], "L", NOT_INTEGRATED.format("S1")),
        ([system("S1"), system("S2", "SAF01", sdu_integrated_at=INTEGRATED)], "L", NOT_INTEGRATED.format("S1")),
        (
            [system("S1"), system("S2", sdu_integrated_at=INTEGRATED, retired_at=DAY(2026, 1, 1))],
            "L",
            NOT_INTEGRATED.format("S1"),
        ),
        # integrated, one of them at least: the extract ought to have come
        ([system("S1", sdu_integrated_at=INTEGRATED)], "L", NOT_DELIVERED),
        ([system("S1", sdu_integrated_at=DAY(2026, 1, 31))], "L", NOT_DELIVERED),
        ([system("S1"), system("S2", sdu_integrated_at=INTEGRATED)], "L", NOT_DELIVERED),
    ]
    for kato, (systems, _, _) in zip(KATOS, cases, strict=False):
        listed(store, *systems, scope=kato)
    run(store)
    assert [said(store, kato) for kato in KATOS[: len(cases)]] == [(status, reason) for _, status, reason in cases]
    # of another city a register says nothing
    assert {said(store, kato) for kato in KATOS[len(cases) :]} == {("L", NOT_DELIVERED)}
    bare = "SELECT DISTINCT state, value, numerator, denominator, sample_size FROM kpi.value"
    assert store.con.execute(bare).fetchall() == [("not calculable", None, None, None, 0)]


def test_a_later_register_does_not_count_and_of_earlier_ones_the_newest_does(store: Store) -> None:
    listed(store, system("S1"), period="2026-02")  # as of 1 March
    run(store)
    assert said(store) == ("L", NOT_DELIVERED)
    listed(store, system("S1", sdu_integrated_at=INTEGRATED), period="2025-Q2")
    listed(store, system("S1", "SAF01"), period="2025-Q4")
    run(store)
    assert said(store) == ("O", NONE_KNOWN)
    listed(store, system("S9"), period="2026-01")  # as of the period's very end
    run(store)
    assert said(store) == ("L", NOT_INTEGRATED.format("S9").replace("2026-01-01", "2026-02-01"))
    # every period looks at the register of its own time
    compute(store, CATALOGUE, ["2025-05", "2025-06", "2026-03"], codes=[KPI], today=LATER)
    for period in ("2025-05", "2025-06"):  # before any register, and when S1 was integrated
        assert said(store, period=period) == ("L", f"extract not delivered: fct_appeal {period}")
    not_yet = NOT_INTEGRATED.format("S1").replace("2026-01-01", "2026-03-01")
    assert said(store, period="2026-03") == ("L", not_yet)


def test_a_corrected_register_changes_the_reason_with_the_next_computation(store: Store) -> None:
    appeals(store, scope=ALMATY)
    run(store)
    assert run(store, "2026-02").other_periods == ()
    # the first register, a system added to it, one integrated, and one taken off it
    steps: list[tuple[list[dict[str, Any]], tuple[str, str]]] = [
        ([system("S1", "SAF01")], ("O", NONE_KNOWN)),
        ([system("S1", "SAF01"), system("S2")], ("L", NOT_INTEGRATED.format("S2"))),
        ([system("S1", "SAF01"), system("S2", sdu_integrated_at=INTEGRATED)], ("L", NOT_DELIVERED)),
        ([system("S1", "SAF01")], ("O", NONE_KNOWN)),
    ]
    months = ["2026-01", "2026-02"]
    for number, (systems, reason) in enumerate(steps, 3):
        listed(store, *systems)
        report = run(store, f"2026-{number:02}")
        # of the settlement whose register it is both months are asked for again, of Almaty, which has a value, none
        assert (report.cells, report.restated) == (SETTLEMENTS + len(months), len(months))
        assert report.other_periods == tuple(months)
        assert said(store) == reason
        assert said(store, period="2026-02") == (
            reason[0],
            reason[1].replace("fct_appeal 2026-01", "fct_appeal 2026-02"),
        )
        months.append(f"2026-{number:02}")
    held = store.con.execute(
        "SELECT obs_status FROM kpi.value WHERE (kpi_code, kato, period_id) = (?, ?, '2026-01') ORDER BY valid_from_seq",
        [KPI, ASTANA],
    ).fetchall()
    assert [status for (status,) in held] == ["L", "O", "L", "L", "O"]


def test_a_register_delivered_again_unchanged_changes_nothing(store: Store) -> None:
    listed(store, system("S1"))
    run(store)
    listed(store, system("S1"))
    report = run(store, "2026-02")
    assert (report.restated, report.other_periods) == (0, ())


def test_what_can_be_computed_is_not_touched_by_the_register(store: Store) -> None:
    appeals(store, late=1)
    appeals(store, late=0, scope=SEMEY)
    run(store)
    before = store.con.execute("SELECT * FROM kpi.value WHERE value IS NOT NULL ORDER BY ALL").fetchall()
    assert [row[4] for row in before] == [100, 75]  # Semey, Astana
    listed(store, system("S1", "SAF01"))
    listed(store, system("S1"), scope=SEMEY)
    report = run(store, "2026-02")
    assert (report.cells, report.other_periods) == (SETTLEMENTS, ())
    run(store)
    assert store.con.execute("SELECT * FROM kpi.value WHERE value IS NOT NULL ORDER BY ALL").fetchall() == before
    assert said(store) == ("A", None)


def test_other_reasons_come_before_what_the_register_says(store: Store) -> None:
    listed(store, system("S1", "SAF01"))
    deliver(store, "fct_appeal", Extract([], "2026-01", refused="made up"), Extract([], "2026-02"))
    run(store)
    number = store.con.execute("SELECT delivery_id FROM audit.delivery WHERE state = 'refused'").fetchone()
    assert number is not None
    refused = f"quality gate failed, extract refused: fct_appeal 2026-01 (delivery {number[0]})"
    assert said(store) == ("O", refused)
    run(store, "2026-02")
    assert said(store, period="2026-02") == ("M", "no rows: nothing of fct_appeal falls into the period")
    # a district centre has no such KPI, whatever systems it has
    listed(store, system("S1", "SAF01"), scope="103620100", period="2025-Q3")
    run(store, "2025", "SAF04-1")
    assert said(store, "103620100", "2025", "SAF04-1")[0] == "M"


def test_of_a_month_delivered_out_of_twelve_the_register_still_says_why(store: Store) -> None:
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": 1}], "2025-03"))
    listed(store, system("S1", "SAF04"), system("S2"))
    run(store, "2025", "SAF04-1")
    assert said(store, period="2025", code="SAF04-1") == ("L", NOT_INTEGRATED.format("S1"))
    assert cell(store, "SAF04-1", "2025")["coverage"] == pytest.approx(1 / 12, abs=1e-4)


def test_kpis_of_the_register_itself_miss_the_register(store: Store) -> None:
    listed(store, system("S1", "SAF01"), period="2025-Q4")
    run(store, "2026-Q1", "MGT01-1")
    assert said(store, period="2026-Q1", code="MGT01-1") == ("L", f"extract not delivered: {REGISTER} 2026-03")
    run(store, "2025-Q4", "MGT01-1")
    assert cell(store, "MGT01-1", "2025-Q4")["value"] == 0


# ---- items 12 and 13


def compliance(store: Store, kato: str = ASTANA) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """(body, item, what is asked) → systems concerned, compliant, per cent, those that are not"""
    rows = store.con.execute(
        "SELECT mio_code, item, requirement_en, systems, compliant, percent, not_compliant FROM compliance WHERE kato = ?",
        [kato],
    ).fetchall()
    found = {(body, item, _short(requirement)): tuple(rest) for body, item, requirement, *rest in rows}
    assert len(found) == len(rows)
    return found


def _short(requirement: str) -> str:
    words = ("portal", "situational centre", "SDU", "risk and cost", "business plan", "documentation", "QazTech")
    if requirement.startswith("New solution without analogue"):
        return "risk and cost"
    (word,) = [w for w in words if w in requirement]
    return word


def test_portal_solutions_are_registered(store: Store) -> None:
    listed(
        store,
        system("S1", origin="PORTAL", portal_solution_id="G-1"),
        system("S2", origin="PORTAL"),
        system("S3", origin="PORTAL", portal_solution_id="G-3"),
        system("S4", origin="OWN"),  # its own: nothing to be registered
    )
    assert compliance(store)["M1", "12(2)", "portal"] == (3, 2, 66.7, "S2")


def test_systems_are_integrated_with_the_centre_and_the_sdu(store: Store) -> None:
    """The register of 2025-Q4 is as of 1 January: what happened on that day came after."""
    on_time, after = DAY(2025, 12, 31), DAY(2026, 1, 1)
    listed(
        store,
        system("S1", integrated_at=on_time, sdu_integrated_at=on_time),
        system("S2", integrated_at=on_time, sdu_integrated_at=after),
        system("S3", integrated_at=after, origin="PORTAL"),
        system("S4", integrated_at=on_time),
    )
    found = compliance(store)
    assert found["M1", "12(3)", "situational centre"] == (4, 3, 75, "S3")
    assert found["M1", "12(3)", "SDU"] == (4, 1, 25, "S2, S3, S4")


def test_new_solutions_without_analogue_went_the_way_of_item_13(store: Store) -> None:
    new, day = {"has_analogue": False}, DAY(2025, 5, 5)
    whole = {
        "risk_cost_estimated_at": day,
        "business_plan_approved_at": day,
        "documentation_approved_at": day,
        "on_qaztech": True,
    }
    listed(
        store,
        system("S1", **new, **whole),  # type: ignore[arg-type]
        system("S2", **new, **whole | {"risk_cost_estimated_at": None}),  # type: ignore[arg-type]
        system("S3", **new, **whole | {"business_plan_approved_at": None, "on_qaztech": False}),  # type: ignore[arg-type]
        system("S4", **new, **whole | {"documentation_approved_at": None, "on_qaztech": None}),  # type: ignore[arg-type]
        # not concerned: it has an analogue, nobody knows whether it has, or it is of the portal
        system("S5", has_analogue=True),
        system("S6", has_analogue=None),
        system("S7", origin="PORTAL", **new),  # type: ignore[arg-type]
    )
    found = compliance(store)
    assert {short: row for (_, item, short), row in found.items() if item == "13"} == {
        "risk and cost": (4, 3, 75, "S2"),
        "business plan": (4, 3, 75, "S3"),
        "documentation": (4, 3, 75, "S4"),
        "QazTech": (4, 2, 50, "S3, S4"),
    }
    assert found["M1", "12(2)", "portal"] == (1, 0, 0, "S7")


def test_what_concerns_no_system_is_not_in_the_view(store: Store) -> None:
    listed(store, system("S1", has_analogue=True, integrated_at=INTEGRATED, sdu_integrated_at=INTEGRATED))
    assert compliance(store) == {
        ("M1", "12(3)", "situational centre"): (1, 1, 100, ""),
        ("M1", "12(3)", "SDU"): (1, 1, 100, ""),
    }


def test_every_body_and_settlement_answers_for_its_own_systems(store: Store) -> None:
    listed(store, system("S1", integrated_at=INTEGRATED), system("S2", mio_code="M2"), system("S3", mio_code="M2"))
    listed(store, system("S1"), scope=ALMATY)
    centre = ("12(3)", "situational centre")
    found = {body: row for (body, *what), row in compliance(store).items() if tuple(what) == centre}
    assert found == {"M1": (1, 1, 100, ""), "M2": (2, 0, 0, "S2, S3")}
    assert compliance(store, ALMATY)["M1", *centre] == (1, 0, 0, "S1")
    names = store.con.execute("SELECT DISTINCT settlement_en FROM compliance WHERE kato = ?", [ALMATY]).fetchall()
    assert names == [(settlements()[ALMATY],)]


def test_only_systems_in_operation_are_held_against_it(store: Store) -> None:
    """In operation at the end of the register's period, the last of December."""
    listed(
        store,
        system("S1", commissioned_at=DAY(2025, 12, 31)),
        system("S2", commissioned_at=DAY(2026, 1, 1)),
        system("S3", retired_at=DAY(2025, 12, 31)),
        system("S4", retired_at=DAY(2026, 1, 1)),
    )
    assert compliance(store)["M1", "12(3)", "SDU"] == (2, 0, 0, "S1, S4")


def test_only_the_newest_register_of_each_settlement_counts(store: Store) -> None:
    listed(store, system("S1"), system("S2"), system("S3"), period="2025-Q3")
    listed(store, system("S1"), period="2025-Q3", scope=ALMATY)
    listed(store, system("S1", sdu_integrated_at=DAY(2025, 12, 1)), system("S2"), period="2025-Q4")
    sdu = ("M1", "12(3)", "SDU")
    assert compliance(store)[sdu] == (2, 1, 50, "S2")
    assert compliance(store, ALMATY)[sdu] == (1, 0, 0, "S1")
    dates = store.con.execute("SELECT DISTINCT kato, snapshot_date FROM compliance ORDER BY kato").fetchall()
    assert dates == [(ASTANA, DAY(2026, 1, 1)), (ALMATY, DAY(2025, 10, 1))]
    # corrected: S2 was never there; an older register that comes late changes nothing
    listed(store, system("S1", sdu_integrated_at=DAY(2025, 12, 1)), period="2025-Q4")
    listed(store, system("S8"), system("S9"), period="2025-Q2")
    assert compliance(store)[sdu] == (1, 1, 100, "")


# ---- plan beside fact


def target(value: float, baseline: float | None = None, **more: Any) -> dict[str, Any]:
    """A target of the Strategy for the year 2025, agreed."""
    usual = {
        "document_kind": "STRATEGY",
        "document_id": "D1",
        "document_version": 1,
        "kpi_code": "SAF04-1",
        "target_year": 2025,
    }
    usual |= {"approved_at": DAY(2024, 1, 1), "agreed_at": DAY(2024, 6, 1), "baseline_year": 2023}
    return usual | {"baseline_value": baseline, "target_value": value} | more


def planned(store: Store, *targets: dict[str, Any], scope: str = ASTANA) -> None:
    deliver(store, TARGETS, Extract(targets, "2024", scope))


def deaths(store: Store, number: int, scope: str = ASTANA) -> None:
    """So many deaths for 100 000 residents in 2025."""
    deliver(store, "fct_crash", Extract([{"occurred_at": AT(2025, 3, 1), "deaths_30d": number}], "2025", scope))
    deliver(store, "dim_population", Extract([{"as_of_date": DAY(2026, 1, 1), "population": 100000}], "2026-01", scope))


def beside(store: Store, columns: str = "plan, fact, progress", kato: str = ASTANA) -> list[tuple[Any, ...]]:
    rows = store.con.execute(f"SELECT {columns} FROM plan_beside_fact WHERE kato = ? ORDER BY ALL", [kato]).fetchall()
    return [tuple(float(x) if exact_number(x) else x for x in row) for row in rows]


def exact_number(value: Any) -> bool:
    return not isinstance(value, str | DAY | bool | int | None) and exact(value) is not None


def test_progress_from_the_baseline_to_the_target(store: Store) -> None:
    """A settlement for every target; two deaths for 100 000 residents in each."""
    cases: list[tuple[float | None, float, float | None]] = [
        (6, 1, 0.8),  # fewer deaths are better: 4 of 5 on the way
        (5, 2, 1.0),
        (5, 3, 1.5),  # further than planned
        (1, 0, -1.0),  # the wrong way
        (2, 1, 0.0),
        (1, 4, 0.333333),  # a target above the baseline is worked out alike, to six decimals
        (2.5, 1.25, 0.4),
        (3, 3, None),  # nothing was to change
        (None, 3, None),
    ]
    # the KPI is not for district centres
    cities = store.con.execute(
        "SELECT kato FROM registry.settlement WHERE item7_group <> 'district' ORDER BY kato <> ?, kato", [ASTANA]
    )
    katos = [kato for (kato,) in cities.fetchall()]
    for kato, (baseline, plan, _) in zip(katos, cases, strict=False):
        planned(store, target(plan, baseline), scope=kato)
        deaths(store, 2, kato)
    run(store, "2025", "SAF04-1")
    columns = "plan, fact, progress, baseline_value"
    found = [beside(store, columns, kato) for kato in katos[: len(cases)]]
    assert found == [[(plan, 2, progress, baseline)] for baseline, plan, progress in cases]
    columns = (
        "year, document_kind, document_id, document_version, approved_at, agreed_at, baseline_year, state, reason_en"
    )
    assert beside(store, columns) == [
        (2025, "STRATEGY", "D1", 1, DAY(2024, 1, 1), DAY(2024, 6, 1), 2023, "calculated", None)
    ]


def test_higher_is_better_over_the_months_of_a_year(store: Store) -> None:
    for month in range(1, 13):
        appeals(store, f"2025-{month:02}", late=1 if month <= 6 else 0)
    compute(store, CATALOGUE, [f"2025-{month:02}" for month in range(1, 13)], codes=[KPI], today=LATER)
    planned(store, target(95, 75, kpi_code=KPI), target(95, 75, kpi_code=KPI, target_year=2026))
    columns = "year, plan, fact, progress, state"
    assert beside(store, columns) == [(2025, 95, 87.5, 0.625, "calculated"), (2026, 95, None, None, None)]


def test_without_a_fact_there_is_no_progress(store: Store) -> None:
    planned(store, target(1, 6))
    assert beside(store, "plan, fact, progress, state, reason_en") == [(1, None, None, None, None)]
    run(store, "2025", "SAF04-1")
    missing = "extract not delivered: fct_crash 2025-01 to fct_crash 2025-12 (12 of 12 months)"
    assert beside(store, "plan, fact, progress, state, reason_en") == [(1, None, None, "not calculable", missing)]
    # the fact of another settlement or year is no fact of this one
    deaths(store, 2, ALMATY)
    run(store, "2025", "SAF04-1")
    planned(store, target(1, 6), target(0, 6, target_year=2026))
    assert beside(store) == [(0, None, None), (1, None, None)]
    planned(store, target(1, 6), scope=ALMATY)
    assert beside(store, kato=ALMATY) == [(1, 2, 0.8)]


def test_the_newest_agreed_version_wins(store: Store) -> None:
    """A settlement for every set of documents."""
    cases: list[tuple[list[dict[str, Any]], list[float]]] = [
        ([target(1), target(2, document_version=2)], [2]),
        ([target(1), target(2, document_version=10), target(3, document_version=9)], [2]),
        # what is not agreed with the authorised body does not replace what is
        ([target(1), target(2, document_version=2, agreed_at=None)], [1]),
        ([target(1), target(2, document_version=2), target(3, document_version=3, agreed_at=None)], [2]),
        ([target(1, agreed_at=None), target(2, document_version=2, agreed_at=None)], [2]),
        ([target(1, agreed_at=None), target(2, document_version=2)], [2]),
        # two documents of one kind with the same version: the one approved last
        ([target(1, approved_at=DAY(2024, 3, 1)), target(2, document_id="D2")], [1]),
        # agreed late, but of an older version
        ([target(1, agreed_at=DAY(2025, 9, 1)), target(2, document_version=2)], [2]),
        # Strategy and Road map stand side by side; so do years and KPIs
        ([target(1), target(2, document_kind="ROADMAP", document_id="R1", document_version=3)], [1, 2]),
        ([target(1), target(2, document_version=2, target_year=2026)], [1, 2]),
        ([target(1), target(2, document_version=2, kpi_code=KPI)], [1, 2]),
    ]
    deliver(store, TARGETS, *(Extract(given, "2024", kato) for kato, (given, _) in zip(KATOS, cases, strict=False)))
    found = [[plan for (plan,) in beside(store, "plan", kato)] for kato in KATOS[: len(cases)]]
    assert found == [chosen for _, chosen in cases]
    assert beside(store, "plan", KATOS[len(cases)]) == []


def test_a_target_never_changes_a_value(store: Store) -> None:
    deaths(store, 2)
    run(store, "2025", "SAF04-1")
    values = store.con.execute("SELECT * FROM kpi.value ORDER BY ALL").fetchall()
    rolled = store.con.execute("SELECT * FROM kpi.rollup ORDER BY ALL").fetchall()
    planned(store, target(1, 6), target(0, 6, document_kind="ROADMAP", document_id="R1"))
    (report,) = compute(store, CATALOGUE, [], codes=["SAF04-1"], today=LATER)
    assert (report.cells, report.written) == (0, 0)
    assert run(store, "2025", "SAF04-1").written == 0
    assert beside(store) == [(0, 2, 0.666667), (1, 2, 0.8)]
    planned(store, target(4, 6))  # the plan is changed: the fact is not
    assert run(store, "2025", "SAF04-1").written == 0
    assert beside(store) == [(4, 2, 2)]
    assert store.con.execute("SELECT * FROM kpi.value ORDER BY ALL").fetchall() == values
    assert store.con.execute("SELECT * FROM kpi.rollup ORDER BY ALL").fetchall() == rolled
