"""Reconciliation with a source: what differs is found, opens an incident of the right kind, and is closed when it agrees again."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.files import query
from tests.support.rows import Extract, deliver, empty
from tests.support.settlements import ALMATY, ASTANA
from warehouse.errors import StoreError
from warehouse.loading.control_totals import Cell, Control, Reconciled, Sum, Total, reconcile_with
from warehouse.periods import parse_period
from warehouse.store.store import Store

TABLE, JANUARY, FEBRUARY = "fct_waste_weighing", (ASTANA, "2026-01"), (ASTANA, "2026-02")


def weighing(number: int, day: str = "2026-01-05", net: str | None = "1.250") -> dict[str, Any]:
    moment = dt.datetime.fromisoformat(f"{day} 10:00:00")
    return {"weighing_id": f"W{number}", "weighed_at": moment, "gross_tonnes": None if net is None else Decimal(net)}


def cells(said: Mapping[tuple[str, str], Total], table: str = TABLE) -> dict[Cell, Total]:
    return {(table, settlement, month): total for (settlement, month), total in said.items()}


def reconcile(store: Store, said: Mapping[Cell, Total], period: str = "2026-Q1", system: str = "test") -> Reconciled:
    return reconcile_with(store, Control(system, parse_period(period), "0" * 64, "file said.csv", said))


def incidents(store: Store, *, closed: bool = False) -> list[tuple[Any, ...]]:
    return query(
        store,
        f"SELECT table_name, scope, period_id, rule, kind, delivery_id, closing_reason FROM audit.incident "
        f"WHERE rule[:7] = 'control' AND closed_seq IS {'NOT' if closed else ''} NULL ORDER BY ALL",
    )


def total(rows: Sequence[Mapping[str, Any]]) -> Total:
    values = [row["gross_tonnes"] for row in rows if row["gross_tonnes"] is not None]
    return Total(len(rows), {"gross_tonnes": Sum(sum(values, Decimal(0)), len(values))})


def test_equal_leaves_an_entry_and_no_incident(store: Store) -> None:
    rows = [weighing(1), weighing(2, net="0.001"), weighing(3, net=None)]
    deliver(store, TABLE, Extract(rows, "2026-01"))
    found = reconcile(store, cells({JANUARY: total(rows), FEBRUARY: Total(0)}))
    assert (found.cells, found.differences, incidents(store)) == (2, (), [])
    ((subject, tables, differing),) = query(
        store, "SELECT subject, detail->'$.tables', detail->>'$.differing' FROM audit.ledger WHERE kind = 'reconciled'"
    )
    assert (subject, differing) == ("test 2026-Q1", "0")
    assert '"rows":3' in tables.replace(" ", "")


@pytest.mark.parametrize(
    ("said", "rule", "kind"),
    [
        (Total(4), "control.rows", "completeness"),
        (Total(2), "control.rows", "accuracy"),
        (Total(3, {"gross_tonnes": Sum(Decimal("2.501"))}), "control.sum", "accuracy"),
        (Total(3, {"gross_tonnes": Sum(Decimal("2.5"), 3)}), "control.sum", "completeness"),
        (Total(3, {"gross_tonnes": Sum(Decimal("2.5"), 1)}), "control.sum", "accuracy"),
    ],
)
def test_a_difference_opens_an_incident_of_its_kind_and_closes_when_it_agrees(
    store: Store, said: Total, rule: str, kind: str
) -> None:
    (number,) = deliver(store, TABLE, Extract([weighing(1), weighing(2), weighing(3, net=None)], "2026-01"))
    found = reconcile(store, cells({JANUARY: said}))
    assert [one.rule for one in found.differences] == [rule]
    assert incidents(store) == [(TABLE, ASTANA, "2026-01", rule, kind, number, None)]
    again = reconcile(store, cells({JANUARY: said}))  # the same: it is open already
    assert (again.opened, again.closed) == ((), ())
    other = reconcile(store, cells({JANUARY: Total(said.rows + 7, said.sums)}))
    assert other.opened
    assert bool(other.closed) == (rule == "control.rows")
    agreeing = reconcile(store, cells({JANUARY: Total(3, {"gross_tonnes": Sum(Decimal("2.5"), 2)})}))
    assert not agreeing.differences
    assert incidents(store) == []
    assert {reason.split(" ", 2)[2] for *_, reason in incidents(store, closed=True)} >= {
        "found source and warehouse equal"
    }


def test_what_was_never_delivered_is_a_gap_in_coverage(store: Store) -> None:
    reconcile(store, cells({FEBRUARY: Total(5)}))
    assert incidents(store) == [(TABLE, ASTANA, "2026-02", "control.rows", "coverage", 0, None)]
    deliver(store, TABLE, Extract([weighing(n, "2026-02-03") for n in range(5)], "2026-02"))
    assert len(incidents(store)) == 1  # a delivery alone does not mend it: the source says whether it is
    reconcile(store, cells({FEBRUARY: Total(5)}))
    assert incidents(store) == []


def test_an_incident_stays_open_while_its_cells_are_not_compared_again(store: Store) -> None:
    deliver(store, TABLE, Extract([weighing(1)], "2026-01"), Extract([weighing(2, "2026-02-05")], "2026-02"))
    reconcile(store, cells({JANUARY: Total(2)}))
    reconcile(store, {("fct_crash", ASTANA, "2026-01"): Total(0)})
    reconcile(store, cells({(ALMATY, "2026-01"): Total(0)}))
    reconcile(store, cells({FEBRUARY: Total(1)}), period="2026-02")
    assert len(incidents(store)) == 1


def test_months_that_the_source_leaves_out_are_said_to_be_empty(store: Store) -> None:
    deliver(store, TABLE, Extract([weighing(1)], "2026-01"), Extract([weighing(2, "2026-02-05")], "2026-02"))
    found = reconcile(store, cells({JANUARY: Total(1)}))
    assert [(one.cell[2], one.source, one.warehouse) for one in found.differences] == [("2026-02", 0, 1)]


def test_only_rows_of_that_system_and_those_in_force_count(store: Store) -> None:
    deliver(
        store, TABLE, Extract([weighing(1), weighing(2)], "2026-01"), Extract([weighing(9)], "2026-01", system="other")
    )
    deliver(store, TABLE, Extract([weighing(1)], "2026-01"))  # a correction: the second row left
    assert not reconcile(store, cells({JANUARY: Total(1)})).differences


def test_a_register_counts_for_the_month_whose_end_it_shows(store: Store) -> None:
    streets = [{"segment_id": f"S{n}", "length_km": Decimal("0.125")} for n in range(8)]
    deliver(store, "dim_street_segment", Extract(streets, "2026-03"))
    said = {("dim_street_segment", ASTANA, "2026-03"): Total(8, {"length_km": Sum(Decimal("1.000"), 8)})}
    assert not reconcile(store, said).differences


@pytest.mark.parametrize("column", ["weighed_at", "facility_id", "nothing"])
def test_a_sum_that_would_not_be_exact_is_refused(store: Store, column: str) -> None:
    with pytest.raises(StoreError, match="gross_tonnes"):
        reconcile(store, cells({JANUARY: Total(1, {column: Sum(Decimal(1))})}))
    assert not incidents(store)


ROWS = st.lists(
    st.tuples(
        st.sampled_from([ASTANA, ALMATY]),
        st.dates(dt.date(2026, 1, 1), dt.date(2026, 3, 31)),
        st.none() | st.decimals(Decimal("0.001"), Decimal("9999.999"), places=3),
    ),
    max_size=12,
)


@examples(6, 60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, ROWS)
def test_differences_are_those_of_counting_by_hand(store: Store, here: list[Any], there: list[Any]) -> None:
    empty(store, catalogue=False)
    for settlement in (ASTANA, ALMATY):
        own = [
            weighing(n, str(day), str(net) if net is not None else None)
            for n, (s, day, net) in enumerate(here)
            if s == settlement
        ]
        deliver(store, TABLE, Extract(own, "2026-Q1", scope=settlement))
    sides = []
    for rows in (here, there):
        side: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for n, (settlement, day, net) in enumerate(rows):
            side[settlement, f"{day:%Y-%m}"].append(weighing(n, str(day), str(net) if net is not None else None))
        sides.append({(s, m): total(side[s, m]) for s in (ASTANA, ALMATY) for m in ("2026-01", "2026-02", "2026-03")})
    mine, theirs = sides
    expected = {key for key in mine if mine[key] != theirs[key]}
    found = reconcile(store, cells(theirs))
    assert {one.cell[1:] for one in found.differences} == expected
    assert bool(incidents(store)) == bool(expected)
    assert not reconcile(store, cells(mine)).differences
    assert incidents(store) == []
