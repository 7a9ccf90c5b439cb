"""Golden files: small cases of a KPI, thought out by hand, with what must come out. Here their form and whether they fit the definition.

A case gives rows of tables (only the columns that matter; `times: n` repeats a row under other keys; `kato` puts it in another
settlement), a period, and what must come out. A table named under `rows` was delivered for the whole period, unless `deliveries` lists
other periods for it; a table not named was not delivered; `refused` names extracts the gate refused.
`settlement` is Astana and the day of computation long after the period, unless the case says otherwise.
A case with a value states the value, numerator, denominator, sample size and state, and each must be met exactly.

Does not belong here: computing the cases (tests/warehouse/test_golden.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from kpi_definitions.compiler import Tables
from kpi_definitions.documents import Document, Fault, Where
from kpi_definitions.model import Grain, Kpi, Strict

NUMBERS = ("value", "numerator", "denominator", "sample_size")
_PERIODS = {
    Grain.MONTH: (r"\d{4}-(0[1-9]|1[0-2])", "2026-01"),
    Grain.QUARTER: (r"\d{4}-Q[1-4]", "2026-Q1"),
    Grain.YEAR: (r"\d{4}", "2026"),
}
_OF_ROWS = ("times", "kato", "snapshot_date")  # keys of a row beside the table's columns
_WITH_VALUE = 2  # cases that a definition needs at the least


class GoldenCase(Strict):
    """One case."""

    title: str = Field(min_length=1)
    period: str | int
    settlement: str | None = None
    rows: dict[str, list[dict[str, Any]]]
    deliveries: dict[str, list[str | int]] = Field(default_factory=dict)
    refused: dict[str, str | int] = Field(default_factory=dict)
    expect: dict[str, Any]


class GoldenFile(Strict):
    """`<KPI code>.yaml`: the cases of a KPI's newest version."""

    kpi: str
    version: int
    cases: tuple[GoldenCase, ...] = Field(min_length=1)


def golden_faults(document: Document, kpis: Mapping[str, Kpi], tables: Tables) -> Iterator[Fault]:
    """What is wrong with a golden file: its form, what it says of tables and columns, and cases that are missing.

    `kpis`: the newest version of every KPI by code; `tables`: table → column → SQL type.
    """
    try:
        file = GoldenFile.model_validate(document.data)
    except ValidationError as error:
        for problem in error.errors():
            where = tuple(problem["loc"])
            yield document.fault(
                where, f"{'.'.join(map(str, where))}: {problem['msg']}", "see kpi_definitions/golden.py"
            )
        return
    kpi = kpis.get(file.kpi)
    if kpi is None or document.path.stem != file.kpi:
        where = ("kpi",)
        if kpi is None:
            yield document.fault(where, f"no KPI {file.kpi!r}", "mend the code, or take the file away with its KPI")
        else:
            yield document.fault(
                where, f"cases of {file.kpi} in a file named {document.path.name}", f"name the file {file.kpi}.yaml"
            )
        return
    if file.version != kpi.version:
        message = f"cases of version {file.version}; the newest of {kpi.code} is {kpi.version}"
        yield document.fault(
            ("version",), message, "think the cases out again by the new version, then write its number"
        )
    for number, case in enumerate(file.cases):
        yield from _case_faults(document, ("cases", number), case, kpi, tables)
    yield from _missing(document, file)


def _case_faults(document: Document, where: Where, case: GoldenCase, kpi: Kpi, tables: Tables) -> Iterator[Fault]:
    pattern, example = _PERIODS[kpi.period]
    if not re.fullmatch(pattern, str(case.period)):
        message = f"period {case.period!r} is none of {kpi.code}, whose periods are of kind {kpi.period}"
        yield document.fault((*where, "period"), message, f"write it as {example}")
    for part in ("rows", "deliveries", "refused"):
        for table in getattr(case, part):
            if table not in tables:
                yield document.fault((*where, part, table), f"there is no table {table!r}", "mend its name")
    for table, rows in case.rows.items():
        known = {*tables.get(table, ()), *_OF_ROWS}
        for index, row in enumerate(rows):
            for column in sorted(set(row) - known) if table in tables else ():
                remedy = f"it has {', '.join(tables[table])}"
                yield document.fault((*where, "rows", table, index), f"{table} has no column {column!r}", remedy)
    wanted = {*NUMBERS, "obs_status"}
    unknown = sorted(set(case.expect) - wanted)
    lacking = sorted(wanted - set(case.expect)) if case.expect.get("value") is not None else []
    if unknown or "value" not in case.expect:
        message = f"expect: unknown {', '.join(unknown)}" if unknown else "expect says nothing of the value"
        yield document.fault((*where, "expect"), message, f"state {', '.join(sorted(wanted))}")
    elif lacking:
        yield document.fault(
            (*where, "expect"), f"a case with a value lacks {', '.join(lacking)}", "think it out and state it"
        )


def _missing(document: Document, file: GoldenFile) -> Iterator[Fault]:
    """Cases without which a definition is not shown to mean what its words say."""
    values = sum(case.expect.get("value") is not None for case in file.cases)
    if values < _WITH_VALUE:
        yield document.fault(("cases",), f"{values} cases with a value, of at least {_WITH_VALUE}", "think out more")
    if not any("zero denominator" in case.title for case in file.cases):
        yield document.fault(("cases",), "no case with a zero denominator", "add one, with these words in its title")
    if not any(not case.rows or [] in case.rows.values() for case in file.cases):
        yield document.fault(
            ("cases",), "no case in which nothing was delivered", "add one with rows: {} or an empty table"
        )
