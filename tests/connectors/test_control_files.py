"""Control files: what they say is read exactly, what they cannot mean is refused with its line."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.control.control_file import ControlError, Line, control_of, write
from connectors.control.reconcile import last_quarter
from tests.support.settlements import ALMATY, ASTANA
from warehouse.loading.control_totals import Sum, Total
from warehouse.periods import parse_period

HEADER = "table,settlement,month,rows,column,sum,filled\n"
QUARTER = parse_period("2026-Q1")


def read(text: str | bytes) -> dict[tuple[str, str, str], Total]:
    content = text if isinstance(text, bytes) else text.encode()
    return dict(control_of(content, "said.csv", "ikomek", QUARTER, "0" * 64, "file said.csv").totals)


def test_lines_of_a_cell_belong_together() -> None:
    text = f"{HEADER}t,{ASTANA},2026-01,3,a,-1.50,2\nt,{ASTANA},2026-01,3,b,7,\nt,{ASTANA},2026-02,0,,,\n"
    sums = {"a": Sum(Decimal("-1.50"), 2), "b": Sum(Decimal(7))}
    expected = {("t", ASTANA, "2026-01"): Total(3, sums), ("t", ASTANA, "2026-02"): Total(0)}
    assert read(text) == read(b"\xef\xbb\xbf" + text.encode()) == expected
    assert read(f"rows,table,settlement,month\n3,t,{ASTANA},2026-01\n") == {("t", ASTANA, "2026-01"): Total(3)}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "states nothing"),
        (f"t,{ASTANA},2026-04,1,,,", "line 2: 2026-04 is no month of 2026-Q1"),
        ("t,710000001,2026-01,1,,,", "no settlement"),
        (f"t,{ASTANA},2026-01,1.0,,,", "whole numbers"),
        (f"t,{ASTANA},2026-01,-1,,,", "whole numbers"),
        (f"t,{ASTANA},2026-01,1,a,1e3,", "decimal point"),
        (f"t,{ASTANA},2026-01,1,a,'1,5',", "8 cells"),
        (f"t,{ASTANA},2026-01,1,a,1.5,2", "filled"),
        (f"t,{ASTANA},2026-01,1,a,,", "beside its column"),
        (f"t,{ASTANA},2026-01,1,,,\nt,{ASTANA},2026-01,1,,,", "line 3: .* stated twice"),
        (f"t,{ASTANA},2026-01,1,a,1,1\nt,{ASTANA},2026-01,2,b,1,1", "line 3: .* 2 rows here and 1"),
        (f't,{ASTANA},2026-01,1,"a,1,1', "cannot be split"),
    ],
)
def test_what_cannot_be_meant_is_refused(lines: str, said: str) -> None:
    with pytest.raises(ControlError, match=said):
        read(f"{HEADER}{lines}\n")


@pytest.mark.parametrize(
    "text", ["table;settlement;month;rows\n", "table,settlement,month\n", "table,table,settlement,month,rows\n"]
)
def test_other_headers_are_refused(text: str) -> None:
    with pytest.raises(ControlError, match="line 1: the headers are"):
        read(text)


def test_another_encoding_is_refused() -> None:
    with pytest.raises(ControlError, match="UTF-8"):
        read("таблица\n".encode("cp1251"))


CELLS = st.dictionaries(
    st.tuples(st.just("t"), st.sampled_from([ASTANA, ALMATY]), st.sampled_from(QUARTER.months)),
    st.tuples(
        st.integers(0, 10**9),
        st.dictionaries(st.sampled_from("abc"), st.decimals(-(10**15), 10**15, places=4), max_size=3),
    ),
    min_size=1,
)


@given(CELLS)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, said: dict[tuple[str, str, str], tuple[int, dict[str, Decimal]]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "said.csv"
    lines = [Line(cell, rows) for cell, (rows, _) in said.items()]
    lines += [Line(cell, rows, c, total, 0) for cell, (rows, sums) in said.items() for c, total in sums.items()]
    write(file, iter(lines))
    assert read(Path(file).read_bytes()) == {
        cell: Total(rows, {c: Sum(total, 0) for c, total in sums.items()}) for cell, (rows, sums) in said.items()
    }


@pytest.mark.parametrize(
    ("day", "quarter"),
    [("2026-01-01", "2025-Q4"), ("2026-03-31", "2025-Q4"), ("2026-04-01", "2026-Q1"), ("2026-12-31", "2026-Q3")],
)
def test_the_quarter_that_ended_last(day: str, quarter: str) -> None:
    assert last_quarter(dt.date.fromisoformat(day)).id == quarter
