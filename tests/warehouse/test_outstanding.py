"""What is still to be computed is read off the warehouse and the definitions: whatever died between loading and computing is found."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.listed import listed_of
from tests.support.rows import LATER, Extract, changed, deliver, only, receipt
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.explain import explain
from warehouse.errors import BusyError
from warehouse.home.home import Home
from warehouse.kpi_values import outstanding as module
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.known_tables import REGISTER, TARGETS
from warehouse.kpi_values.outstanding import Due, due, due_home, touched
from warehouse.loading.deliveries import register
from warehouse.loading.incidents import close_incident
from warehouse.store.sessions import locked, writing
from warehouse.store.store import Store

AT = dt.datetime
CODES = ("MGT02-1", "MGT02-2", "ECO01-1", "TRL02-2")  # months of appeals, a year of air, months of trips
CATALOGUE = only(load_catalogues(), *CODES)
APPEALS = CATALOGUE.latest("MGT02-1")


def appeal(number: str, due_at: AT, *, late: bool = False) -> dict[str, Any]:
    return {"appeal_id": number, "due_at": due_at, "closed_at": due_at + dt.timedelta(days=late), "status": "CLOSED"}


def run(store: Store, *months: str, codes: tuple[str, ...] = CODES, today: dt.date = LATER) -> None:
    compute(store, CATALOGUE, months, codes=codes, today=today)


def test_a_month_that_was_loaded_and_not_computed_is_due_until_it_is(store: Store) -> None:
    assert due(store, CATALOGUE).months == ()
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    found = due(store, CATALOGUE)
    assert found.uncomputed == ("2025-01",)
    assert found.codes is None, "all are computed, as by the run that died"
    run(store, "2025-01")
    assert due(store, CATALOGUE).months == ()

    # and after the next month came, was loaded and computed: nothing is younger than the last computation, but the month has no cell
    deliver(store, "fct_appeal", Extract([appeal("2", AT(2025, 2, 9))], "2025-02"))
    deliver(store, "fct_appeal", Extract([appeal("3", AT(2025, 3, 9))], "2025-03"))
    run(store, "2025-03")
    assert due(store, CATALOGUE).uncomputed == ("2025-02",)
    run(store, "2025-02")
    assert due(store, CATALOGUE).months == ()


def test_a_correction_that_was_loaded_and_not_computed_is_due_though_its_month_has_cells(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    run(store, "2025-01")
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9), late=True)], "2025-01"))
    found = due(store, CATALOGUE)
    assert found.uncomputed == ("2025-01",)
    run(store)  # whichever months are run
    assert due(store, CATALOGUE).months == ()


def test_a_delivery_of_many_months_loaded_by_a_run_of_its_last_one_leaves_the_others_due(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-Q1"))
    run(store, "2025-03")
    assert due(store, CATALOGUE).uncomputed == ("2025-01", "2025-02")


def test_a_year_is_due_with_its_last_month_and_a_refusal_as_well(store: Store) -> None:
    deliver(store, "fct_air_hour", Extract([], "2025-11", refused="made up"))
    run(store, "2025-11")
    assert due(store, CATALOGUE).months == ()
    deliver(store, "fct_air_hour", Extract([], "2025-12", refused="made up"))
    assert due(store, CATALOGUE).uncomputed == ("2025-12",)
    run(store, "2025-12")
    assert due(store, CATALOGUE).months == ()


def test_a_table_that_no_kpi_reads_and_a_month_that_has_not_ended_are_not_due(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(store, "fct_crash", Extract([], "2025-01"))
    assert due(store, CATALOGUE).months == ()
    deliver(store, "fct_appeal", Extract([], "2025-02"))
    monkeypatch.setattr(module, "running_month", lambda: "2025-02")
    assert due(store, CATALOGUE).months == ()
    monkeypatch.setattr(module, "running_month", lambda: "2025-03")
    assert due(store, CATALOGUE).months == ("2025-02",)


def test_a_new_kpi_and_a_new_version_are_due_for_the_periods_that_were_delivered_and_nothing_else(store: Store) -> None:
    deliver(store, "fct_appeal", *(Extract([appeal(m, AT(2025, int(m), 9))], f"2025-{m}") for m in ("01", "02")))
    deliver(store, "fct_trip", Extract([], "2025-05"))
    run(store, "2025-01", "2025-02", "2025-05", codes=("MGT02-1", "TRL02-2", "ECO01-1"))
    found = due(store, CATALOGUE)
    assert (found.uncomputed, found.codes) == (("2025-01", "2025-02"), {"MGT02-2"})
    run(store, *found.months, codes=("MGT02-2",))
    assert due(store, CATALOGUE).months == ()

    ended = APPEALS.model_copy(update={"valid_to": dt.date(2025, 2, 1)})
    second = APPEALS.model_copy(
        update={"version": 2, "valid_from": dt.date(2025, 2, 1), "scale": 1000, "change_note": "Per mille."}
    )
    newer = changed(CATALOGUE, ended, second)
    found = due(store, newer)
    assert (found.uncomputed, found.codes) == (
        ("2025-02", "2025-05"),
        {"MGT02-1"},
    )  # all its cells, those without a value too
    compute(store, newer, found.months, codes=sorted(found.codes or ()), today=LATER)
    assert due(store, newer).months == ()


def test_provisional_values_are_due_when_their_window_has_closed(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    run(store, "2025-01", today=dt.date(2025, 2, 2))
    found = due(store, CATALOGUE)
    assert (found.uncomputed, found.settled, found.codes) == ((), ("2025-01",), {"MGT02-1"})
    run(store, codes=("MGT02-1",))
    assert due(store, CATALOGUE).months == ()


def test_a_closed_incident_is_due(store: Store) -> None:
    (number,) = deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    store.con.execute(
        """INSERT INTO audit.incident BY NAME SELECT 1 AS incident_id, ? AS delivery_id, 'fct_appeal' AS table_name, 'test' AS system, 'KZ' AS scope,
        '2025-01' AS period_id, 'volume' AS rule, 'truthfulness' AS criterion, 'other' AS kind, ? AS opened_seq, now() AS opened_at""",
        [number, store.last_seq],
    )
    run(store, "2025-01")
    assert due(store, CATALOGUE).months == ()
    close_incident(store, 1, "A. Tester", "it is right")
    assert due(store, CATALOGUE).uncomputed == ("2025-01",)


def test_a_delivery_that_was_registered_and_not_decided_on_is_due_without_its_receipt(store: Store) -> None:
    register(store, [receipt("fct_trip", "test", ASTANA, "2025-04")])
    found = due(store, CATALOGUE)
    assert (found.undecided, found.tables) == (("2025-04",), {"fct_trip"})


def test_what_was_computed_and_not_released_is_due(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    before = store.last_seq
    run(store, "2025-01")
    assert due(store, CATALOGUE, before).unreleased == ("2025-01",)
    assert due(store, CATALOGUE, store.last_seq).months == ()


def test_a_release_of_other_code_is_due(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    run(store, "2025-01")
    found = due(store, CATALOGUE, store.last_seq, outdated=True)
    assert (found.unreleased, found.codes) == (("2025-01",), None)


def test_the_token_is_the_same_until_there_is_something_else_to_do(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([], "2025-01"))
    first = due(store, CATALOGUE)
    assert due(store, CATALOGUE) == first
    deliver(store, "fct_appeal", Extract([], "2025-02"))
    assert due(store, CATALOGUE).token != first.token


def test_a_home_is_asked_in_passing_and_not_while_another_writes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert due_home(home, CATALOGUE) == Due()
    with writing(home) as store:
        deliver(store, "fct_appeal", Extract([], "2025-01"))
    assert due_home(home, CATALOGUE).months == ("2025-01",)
    with locked(home), pytest.raises(BusyError):
        due_home(home, CATALOGUE)
    assert due_home(home, CATALOGUE).months == ("2025-01",)


def test_what_a_delivery_does_not_touch_has_nothing_to_be_computed(store: Store) -> None:
    """After the KPIs that a run has computed for a delivery, a computation of all of them changes nothing."""
    chance, listed, left_out = random.Random(24), listed_of(CATALOGUE), 0  # noqa: S311
    for step in range(12):
        number = f"{chance.randint(1, 3):02d}"
        month, table = f"2025-{number}", chance.choice(("fct_appeal", "fct_appeal", "fct_trip", "fct_air_hour"))
        found = due(store, listed, months=[month])
        rows = [appeal(f"{month}-{n}", AT(2025, int(number), 9), late=chance.random() < 0.5) for n in range(step % 4)]
        scope = chance.choice((ASTANA, ALMATY))
        deliver(store, table, Extract(rows if table == "fct_appeal" else [], month, scope, refused=chance.choice((None, None, "x"))))  # fmt: skip
        touching, codes = touched(listed, [table]), None
        assert touching is not None
        if found.codes is not None and found.lacking is not None:
            codes = found.codes | touching | found.lacking
            left_out += len({*CODES} - codes)
        compute(store, CATALOGUE, [month], codes=codes, today=LATER)
        again = compute(store, CATALOGUE, [month], today=LATER)
        assert {report.kpi_code: report.written for report in again} == dict.fromkeys(CODES, 0)
    assert left_out > 10
    assert touched(listed, ["fct_appeal", REGISTER]) is None
    assert touched(listed, [TARGETS]) is None


def test_explain_names_of_later_deliveries_those_by_which_the_number_may_have_changed(store: Store) -> None:
    deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9))], "2025-01"))
    run(store, "2025-01")
    deliver(store, "fct_trip", Extract([], "2025-01"))  # not read
    deliver(store, "fct_appeal", Extract([appeal("8", AT(2025, 2, 9))], "2025-02"))  # another month
    deliver(store, "fct_appeal", Extract([appeal("9", AT(2025, 1, 9))], "2025-01", ALMATY))  # another city
    (cause,) = deliver(store, "fct_appeal", Extract([appeal("1", AT(2025, 1, 9), late=True)], "2025-01"))
    run(store, "2025-01")
    (earlier,) = explain(store, CATALOGUE, "MGT02-1", ASTANA, "2025-01")["earlier"]
    assert [text.split()[0] for text in earlier["deliveries_since"]] == [str(cause)]
