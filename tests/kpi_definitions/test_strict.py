"""What a definition may not say although the compiler knows every word of it: rules by name, and that the shipped ones keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues, load_one, record_fingerprints
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import Kpi
from kpi_definitions.strict import breaches
from pipelines.methods.check import all_faults
from tests.support.official_list import write
from warehouse.home.home import Home
from warehouse.tables.contracts import load_tables

CATALOGUE, TABLES = load_catalogues(), load_tables()
COLUMNS = {name: table.business_columns for name, table in TABLES.items()}
CODES = {name: table.codes for name, table in TABLES.items()}
APPEALS, MEDIAN, AIR, LIGHTS, INVENTORY = (
    CATALOGUE.latest(c) for c in ("MGT02-1", "MGT02-2", "ECO01-1", "INF01-1", "MGT04-1")
)


def changed(kpi: Kpi, side: str, **update: Any) -> Kpi:
    if side == "rows":
        return kpi.model_copy(update={"rows": kpi.rows.model_copy(update=update)})
    return kpi.model_copy(update={side: getattr(kpi, side).model_copy(update=update)})


def told(kpi: Kpi, **how: Any) -> list[str]:
    compile_kpi(kpi, COLUMNS)  # what the compiler refuses is not looked at here
    return [error.message for error in breaches(kpi, COLUMNS, CODES, **how)]


FILTERS = [
    ("literal.type", "status = 5"),
    ("literal.type", "5 = status"),
    ("literal.type", "status in ('CLOSED', 5)"),
    ("literal.type", "status between 1 and 5"),
    ("literal.type", "is_emergency = 'maybe'"),
    ("literal.type", "is_emergency = 'true'"),
    ("literal.type", "is_emergency = 1"),
    ("literal.type", "is_emergency in (0, 1)"),
    ("literal.type", "due_at > 'soon'"),
    ("literal.type", "due_at > '31.01.2026'"),
    ("literal.type", "due_at > '2026-02-30'"),
    ("literal.type", "due_at > 20260131"),
    ("literal.type", "due_at > status"),
    ("literal.type", "due_at + 5 > registered_at"),
    ("literal.type", "status + 1 > 5"),
    ("literal.type", "coalesce(due_at, 'never') > registered_at"),
    ("literal.type", "coalesce(is_emergency, 'no')"),
    ("literal.type", "abs(status) > 1"),
    ("literal.type", "status"),
    ("literal.type", "not status"),
    ("literal.type", "is_emergency and status"),
    ("literal.type", "date_diff('day', registered_at, status) > 1"),
    ("interval.size", "due_at + interval 300000 year > registered_at"),
    ("interval.size", "due_at + interval 101 year > registered_at"),
    ("interval.size", "due_at - interval 99999999999999 second > registered_at"),
    ("interval.size", "due_at + interval (date_diff('day', registered_at, due_at)) year > registered_at"),
    ("literal.code", "status = 'DONE'"),
    ("literal.code", "'DONE' = status"),
    ("literal.code", "status = 'closed'"),
    ("literal.code", "status = 'CLOSED '"),
    ("literal.code", "status in ('CLOSED', 'СLOSED')"),  # a Cyrillic С
    ("literal.code", "status <> 'CLOSED\u00a0'"),
    ("literal.code", "(status) = ('DONE')"),
    ("literal.code", "coalesce(status, 'NONE') = 'DONE'"),
    ("literal.letters", "appeal_id = 'Aстана'"),  # a Latin A
    ("literal.letters", "appeal_id = ' 109'"),
    ("literal.letters", "appeal_id = '109\u2009'"),
    ("duration.marks", "date_diff('hour', registered_at, closed_at) <= 72"),
    ("duration.marks", "date_diff('minute', registered_at, closed_at) between 0 and 5"),
    ("duration.marks", "is_emergency or date_diff('seconds', registered_at, closed_at) = 180"),
    ("duration.marks", "date_diff('millisecond', registered_at, closed_at) < 500"),
]


@pytest.mark.parametrize(("rule", "text"), FILTERS, ids=[text for _, text in FILTERS])
def test_a_condition_that_breaks_a_rule_is_refused_by_its_name(rule: str, text: str) -> None:
    for side in ("rows", "numerator"):
        found = told(changed(APPEALS, side, filter=text))
        assert len(found) >= 1
        assert found[0].startswith(f"{rule}: ")


def test_a_code_that_is_not_in_the_list_is_told_with_the_list_and_what_is_odd_about_it() -> None:
    (error,) = breaches(changed(APPEALS, "numerator", filter="status = 'СLOSED'"), COLUMNS, CODES)
    assert "Cyrillic and Latin letters in one word" in error.message
    assert error.where == ("numerator", "filter")
    assert all(code in error.remedy for code in CODES["fct_appeal"]["status"])


@pytest.mark.parametrize(
    "text",
    [
        "status = 'CLOSED'",
        "status in ('CLOSED', 'WITHDRAWN') and not is_emergency",
        "coalesce(status, 'NONE') <> 'NONE'",
        "is_emergency is not true",
        "is_emergency = false or is_emergency is null",
        "due_at > '2026-01-31' and closed_at < '2026-01-31 12:00:00'",
        "due_at between period_start and period_end - interval 7 day",
        "coalesce(closed_at, period_end) > due_at",
        "closed_at <= registered_at + interval 3 minute",
        "date_diff('microsecond', registered_at, closed_at) / 60000000.0 <= 3.5",
        "date_diff('day', registered_at, closed_at) * 2 - 1 > 1.5e1",
        "appeal_id <> 'Астана-109 б'",
        "due_at + interval 100 year > registered_at",
    ],
)
def test_a_plain_condition_is_taken(text: str) -> None:
    assert told(changed(APPEALS, "numerator", filter=text)) == []


ADDED = [
    ("chance.sum", LIGHTS, "denominator", "sum(power_w / 1000)"),
    ("chance.sum", LIGHTS, "numerator", "sum(power_w * 1e-3)"),
    ("chance.sum", LIGHTS, "numerator", "sum(coalesce(power_w / 7, 0))"),
    ("chance.sum", AIR, "numerator", "avg(value_ug_m3 / 7)"),
    ("chance.sum", AIR, "numerator", "avg(abs(-(value_ug_m3 / 7.0)))"),
    ("literal.type", AIR, "numerator", "avg(pollutant)"),
    ("literal.type", MEDIAN, "numerator", "median(registered_at)"),
    ("literal.type", MEDIAN, "numerator", "quantile_cont(is_emergency, 0.9)"),
    ("literal.type", AIR, "numerator", "avg(hour_start - period_start)"),
    ("duration.marks", MEDIAN, "numerator", "median(date_diff('hour', registered_at, closed_at))"),
]


@pytest.mark.parametrize(("rule", "kpi", "side", "text"), ADDED, ids=[a[3] for a in ADDED])
def test_what_is_added_up_does_not_depend_on_the_order_of_rows(rule: str, kpi: Kpi, side: str, text: str) -> None:
    (error,) = breaches(changed(kpi, side, aggregate=text), COLUMNS, CODES)
    assert error.message.startswith(f"{rule}: ")
    assert error.where == (side, "aggregate")


@pytest.mark.parametrize(
    ("kpi", "side", "text"),
    [
        (LIGHTS, "numerator", "sum(power_w * 0.001)"),
        (LIGHTS, "numerator", "sum(coalesce(power_w, 0) - 1)"),
        (AIR, "numerator", "avg(value_ug_m3)"),
        (MEDIAN, "numerator", "median(date_diff('microsecond', registered_at, closed_at) / 7)"),
        (APPEALS, "numerator", "count(distinct appeal_id)"),
        (APPEALS, "numerator", "sum(is_emergency)"),
        (APPEALS, "numerator", "sum(date_diff('day', registered_at, closed_at))"),
    ],
)
def test_what_is_exact_may_be_added_and_what_is_not_may_be_ranked(kpi: Kpi, side: str, text: str) -> None:
    assert told(changed(kpi, side, aggregate=text)) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [("chance.clock", "now() > due_at"), ("chance.clock", "current_date > due_at"), ("chance.clock", "today() > due_at"),
     ("chance.clock", "current_localtimestamp() > due_at"), ("chance.random", "random() < 0.5"), ("chance.random", "uuid() is not null"),
     ("chance.order", "any_value(status) = 'CLOSED'")],
)  # fmt: skip
def test_a_condition_on_the_clock_or_on_chance_is_refused_by_name(rule: str, text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_kpi(changed(APPEALS, "numerator", filter=text), COLUMNS)
    assert caught.value.message.startswith(f"{rule}: ")


@pytest.mark.parametrize(
    "text",
    ["first(power_w)", "last(power_w)", "any_value(power_w)", "arg_min(power_w, installed_at)", "arg_max(power_w, installed_at)", "mode(power_w)",
     "approx_quantile(power_w, 0.5)", "fsum(power_w)", "first(power_w order by installed_at)"],
)  # fmt: skip
def test_an_aggregate_that_takes_whichever_row_comes_first_is_refused_by_name(text: str) -> None:
    for kpi, side in ((LIGHTS, "numerator"), (AIR, "numerator")):
        with pytest.raises(ExpressionError) as caught:
            compile_kpi(changed(kpi, side, aggregate=text), COLUMNS)
        assert caught.value.message.startswith("chance.order: ")


def test_marks_on_the_clock_differ_from_time_passed_and_a_version_that_counted_them_is_made_again() -> None:
    con = duckdb.connect()
    times = "TIMESTAMP '2026-01-01 08:00:00.05', TIMESTAMP '2026-01-01 08:03:00.95'"
    assert con.execute(f"SELECT date_diff('second', {times})").fetchall() == [(180,)]  # of 180.9
    former = next(k for k in CATALOGUE.kpis if (k.code, k.version) == ("TRL02-2", 1))
    assert told(former, superseded=True) == []
    (message,) = told(former)
    assert message.startswith("duration.marks: ")


@pytest.mark.parametrize("kpi", CATALOGUE.kpis, ids=lambda k: f"{k.code}@{k.version}")
def test_shipped_definitions_break_no_rule(kpi: Kpi) -> None:
    assert told(kpi, superseded=kpi.version < CATALOGUE.latest(kpi.code).version) == []


def test_code_lists_come_from_the_contracts() -> None:
    assert "CLOSED" in TABLES["fct_appeal"].codes["status"]
    assert set(TABLES["fct_appeal"].codes) <= set(COLUMNS["fct_appeal"])


def test_check_tells_file_and_line_of_a_breach(tmp_path: Path) -> None:
    folder = write(tmp_path / "catalogues" / "official-test")
    file = folder / "spheres" / "hcs" / "B10.yaml"
    text = file.read_text(encoding="utf-8").replace("closed_at <= due_at}", "status = 5}")
    file.write_text(text, encoding="utf-8")
    record_fingerprints(load_one(folder))
    (fault,), _ = all_faults(Home(tmp_path))
    assert (fault.path, text.splitlines()[fault.line - 1].strip().partition(":")[0]) == (file, "numerator")
    assert "literal.type" in fault.message


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("closed_at <= due_at + interval 1.5 day", "no whole number of its unit"),
        ("closed_at - interval 0.5 hour <= due_at", "write interval 36 hour"),
    ],
)
def test_check_tells_what_an_engine_could_not_say_exactly(tmp_path: Path, condition: str, words: str) -> None:
    folder = write(tmp_path / "catalogues" / "official-test")
    file = folder / "spheres" / "hcs" / "B10.yaml"
    text = file.read_text(encoding="utf-8").replace("closed_at <= due_at}", condition + "}")
    file.write_text(text, encoding="utf-8")
    record_fingerprints(load_one(folder))
    (fault,), _ = all_faults(Home(tmp_path))
    assert (fault.path, text.splitlines()[fault.line - 1].strip().partition(":")[0]) == (file, "numerator")
    assert words in fault.message + fault.remedy
