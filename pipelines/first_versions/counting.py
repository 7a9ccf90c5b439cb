"""What a first definition over a table counts: rows in time, and a part of them, by the table's contract alone. A guess, and marked as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.first_versions.writing import FirstVersionError, scalar
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Column, Table

_PERIODS = {"m": "M", "month": "M", "q": "Q", "quarter": "Q", "y": "A", "year": "A", "a": "A"}
_DATES = ("DATE", "TIMESTAMP")
_ENDED = (
    "removed",
    "closed",
    "until",
    "valid_to",
    "withdrawn",
    "delisted",
    "retired",
    "ended",
    "vyvod",
    "snyat",
    "zakryt",
)  # of a thing's end, in names
HAPPENED = object()  # in place of a value: a day or time, whichever


@dataclass(frozen=True)
class Counting:
    """A definition in its parts. `times`: the columns by which rows fall into a period; `met`, `unmet`: values of a row that counts, of one that does not."""

    kind: str
    unit: str
    scale: int
    floor: int
    goal: int
    period: str
    definition: str  # rows, numerator, denominator as YAML
    times: tuple[str, ...]
    of: str = ""  # the column a mean or a quantile is taken of
    met: tuple[str, object] | None = None
    unmet: tuple[str, object] | None = None


def counting(table: Table, kind: str = "") -> Counting:
    """A first guess over a table. Raises FirstVersionError if the table has nothing of the wanted kind."""
    flag = next((c for c in table.columns if c.sql_type.upper() == "BOOLEAN" and c.name not in table.key), None)
    coded = next((c for c in table.columns if len(table.codes.get(c.name, ())) > 1 and c.name not in table.key), None)
    number = next((c for c in table.columns if _number(c) and c.name not in table.key), None)
    if kind in ("", "share") and (flag or coded):
        return _share(table, flag, coded)
    if kind != "share" and number:
        return _of_numbers(table, number, kind or "mean")
    later = next(
        (c for c in table.columns if c.sql_type.upper() in _DATES and not c.required and c.name not in table.key), None
    )
    if kind in ("", "share") and later:
        return _share_of(table, f"{later.name} is not null", (later.name, HAPPENED), (later.name, None))
    wanted = "a column of true and false or with a code list" if kind == "share" else "a number"
    raise FirstVersionError(
        f"{table.name} has no column a {kind or 'KPI'} could begin with ({wanted}): name another --kind, or write the definition as in ECO01.yaml"
    )


def _number(column: Column) -> bool:
    kind = column.sql_type.upper()
    return kind.startswith("DECIMAL") or kind.endswith("INT") or kind == "INTEGER"


def _share(table: Table, flag: Column | None, coded: Column | None) -> Counting:
    if flag:
        return _share_of(table, flag.name, (flag.name, True), (flag.name, False))
    assert coded is not None
    first, second, *_ = table.codes[coded.name]
    return _share_of(table, f"{coded.name} = '{first}'", (coded.name, first), (coded.name, second))


def _share_of(table: Table, condition: str, met: tuple[str, object], unmet: tuple[str, object]) -> Counting:
    rows, times = _rows(table)
    definition = f"""{rows}    numerator:
      aggregate: count(*)
      filter: {scalar(condition)}  # TODO: which of the rows are counted for the city?
    denominator:
      aggregate: count(*)
"""
    return Counting("share", "PT", 100, 0, 100, _period(table), definition, times, met=met, unmet=unmet)


def _of_numbers(table: Table, number: Column, kind: str) -> Counting:
    rows, times = _rows(table)
    aggregate = f"avg({number.name})" if kind == "mean" else f"median({number.name})"
    definition = f"""{rows}    numerator:
      aggregate: {scalar(aggregate)}  # TODO: of which number? and mend the unit
"""
    return Counting(kind, "NUM", 1, 0, 100, _period(table), definition, times, of=number.name)


def _rows(table: Table) -> tuple[str, tuple[str, ...]]:
    """`rows` of a definition, and the columns that place a row in time."""
    dates = [c.name for c in table.columns if c.sql_type.upper() in _DATES]
    filled = [c.name for c in table.columns if c.name in dates and (c.required or c.name in table.key)]
    head = f"    rows:\n      table: {table.name}\n"
    others = [d for d in dates if d not in filled[:1]]
    if table.cut.kind is Asserts.AS_OF and filled:
        return f"{head}      as_of: {filled[0]}\n", (filled[0],)
    ends = [d for d in dates if d not in filled and any(word in d for word in _ENDED)]
    if table.snapshot and filled and ends:
        said = "# TODO: from when to when is a row in stock?"
        return f"{head}      stock: {{from: {filled[0]}, to: {ends[-1]}}}  {said}\n", (filled[0], ends[-1])
    first = table.cut.by or next(iter([*filled, *dates]), "")
    if not first:
        raise FirstVersionError(
            f"{table.name} has no date by which its rows fall into a period: count them in a ratio, as in MGT01.yaml, by hand"
        )
    beside = _beside([d for d in others if d != first])
    return f"{head}      event: {first}  # TODO: by which date does a row belong to a period{beside}?\n", (first,)


def _beside(names: Sequence[str]) -> str:
    return f" (there are also {', '.join(names)})" if names else ""


def _period(table: Table) -> str:
    for agreed in table.document.data.get("slaProperties", []):
        if agreed["property"] == "frequency":
            return _PERIODS.get(str(agreed.get("unit", "m")).lower(), "M")
    return "M"
