"""What a table's deliveries are held against beside their own rows: earlier deliveries, and the figures that stood before.

These rules every table has by itself; its contract may set other bounds (customProperties of the document):

    keptShare: 0.8                 # a correction that keeps fewer of the rows it replaces is told
    usualVolume: [0.5, 2]          # rows against the median of earlier deliveries of like length
    gapLeap: 25                    # percentage points by which a column's share of gaps may rise over its median
    seasonal: true                 # days without a row mean nothing: the period is not asked to be whole
    panel: [sensor_id]             # units whose rows come with every delivery: one that is missing is told,
    panel: {columns: [clinic_id], least: 20}   # if it had at least so many rows
    maximumChange: [{column: population, ratio: 1.15}]   # of a figure against the one of the day before or after,
                                   # of the same key but for the date (`by: [...]`: summed by these columns; [] by settlement)

and of a column by which a KPI counts: `oftenEmpty: true`, where it is no news that nobody filled it. What is done with them:
connectors/delivery_gate/earlier_deliveries.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpi_definitions.documents import Document, Fault
from warehouse.messages.messages import Message
from warehouse.tables.rules import Rule, custom

KEPT, VOLUME, GAPS, WHOLE, UNITS, JUMP = (
    "kept-rows",
    "usual-volume",
    "usual-gaps",
    "whole-period",
    "usual-units",
    "figure-jump",
)
AS_OF = "as_of_date"  # the key column of figures that are looked up by date
_PROPERTIES = ("keptShare", "usualVolume", "gapLeap", "seasonal", "panel", "maximumChange")


@dataclass(frozen=True)
class Figure:
    """A number that is looked up, or summed up, by date, and by how much it may change in a year."""

    column: str
    ratio: float
    by: tuple[str, ...]  # within which it is one number, beside settlement and date
    date: str


@dataclass(frozen=True)
class Usual:
    """The bounds of one table."""

    kept_share: float = 0.8
    volume: tuple[float, float] = (0.5, 2.0)
    gap_leap: float = 25.0
    seasonal: bool = False
    panel: tuple[str, ...] = ()
    least: int = 1  # rows of a unit from which on its absence is told
    figures: tuple[Figure, ...] = ()
    often_empty: frozenset[str] = frozenset()


def usual_of(document: Document, snapshot_date: str | None, faults: list[Fault]) -> Usual:
    """The bounds a contract sets, and the defaults; what cannot be one is added to the faults.

    `snapshot_date`: the date column of a register's snapshots; None for a table that is none.
    """
    body = document.data["schema"][0]
    properties = {str(p["name"]): p for p in body["properties"]}
    given = custom(document.data)
    found: dict[str, Any] = {}

    def wrong(name: str, remedy: str) -> None:
        index = next(i for i, p in enumerate(document.data["customProperties"]) if p["property"] == name)
        where = ("customProperties", index, "value")
        faults.append(document.fault(where, f"{name} {given[name]!r} is no such bound", remedy))

    for name in (n for n in _PROPERTIES if n in given):
        value = given[name]
        if name == "keptShare":
            if not (_number(value) and 0 < value <= 1):
                wrong(name, "write a share of more than 0 up to 1")
            found["kept_share"] = value
        elif name == "usualVolume":
            if not (
                isinstance(value, list) and len(value) == 2 and all(map(_number, value)) and 0 <= value[0] < value[1]
            ):
                wrong(name, "write [lowest, highest] as times the usual number of rows")
            else:
                found["volume"] = tuple(value)
        elif name == "gapLeap":
            if not (_number(value) and 0 < value <= 100):
                wrong(name, "write percentage points, more than 0 up to 100")
            found["gap_leap"] = value
        elif name == "seasonal":
            if not isinstance(value, bool):
                wrong(name, "write true or false")
            found["seasonal"] = value
        elif name == "panel":
            columns = value.get("columns") if isinstance(value, Mapping) else value
            least = value.get("least", 1) if isinstance(value, Mapping) else 1
            if not (_names(columns, properties) and columns and type(least) is int and least > 0):
                wrong(
                    name,
                    f"write a list of columns, or {{columns: [...], least: rows}}; there are {', '.join(properties)}",
                )
            else:
                found["panel"], found["least"] = tuple(columns), least
        elif _figures_written(value, properties):
            found["figures"] = value
        else:
            wrong(name, "write a list of {column: a column, ratio: more than 1, by: columns}")
    found["figures"] = tuple(_figures(found.get("figures"), properties, snapshot_date))
    found["often_empty"] = frozenset(n for n, p in properties.items() if custom(p).get("oftenEmpty") is True)
    return Usual(**found)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(value: object, properties: Mapping[str, Any]) -> bool:
    return isinstance(value, list) and all(isinstance(n, str) and n in properties for n in value)


def _figures_written(value: object, properties: Mapping[str, Any]) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, Mapping)
        and set(one) <= {"column", "ratio", "by"}
        and one.get("column") in properties
        and _number(one.get("ratio"))
        and one["ratio"] > 1
        and _names(one.get("by", []), properties)
        for one in value
    )


def _figures(
    given: Sequence[Mapping[str, Any]] | None, properties: Mapping[str, Mapping[str, Any]], snapshot_date: str | None
) -> Iterator[Figure]:
    """The figures a contract names; of one that names none, every required number of a table looked up by date, at 1.5."""
    key = [n for n, p in properties.items() if p.get("primaryKey")]
    date = AS_OF if AS_OF in key else snapshot_date
    if date is None:
        return
    rest = [n for n in key if n != date]
    if given is None:
        required = {n: p.get("logicalType") for n, p in properties.items() if p.get("required") and n not in key}
        numbers = [n for n, kind in required.items() if kind in ("integer", "number")]
        given = [{"column": n, "ratio": 1.5, "by": []} for n in numbers] if date == AS_OF else []
    for one in given:
        yield Figure(one["column"], float(one["ratio"]), tuple(one.get("by", rest)), date)


def counted_columns(table: str, catalogues: Path) -> frozenset[str]:
    """Columns of a table by whose values a KPI counts rows, adds up or places events: where all are empty, it counts nothing."""
    from kpi_definitions.catalogue import load_catalogues
    from kpi_definitions.compiler import sources_of

    return frozenset(
        source.column
        for kpi in load_catalogues(catalogues).kpis
        for source in sources_of(kpi)
        if source.table == table and source.use in ("filter", "aggregate", "event")
    )


def usual_rules(usual: Usual, snapshot: bool) -> Iterator[Rule]:
    """The rules these bounds are: their findings are made by connectors/delivery_gate/earlier_deliveries.py, not by Great Expectations."""
    low, high = (f"{times:g}" for times in usual.volume)
    yield _warning(KEPT, {"code": "rule.kept_rows", "percent": f"{100 * usual.kept_share:g}"}, "coverage")
    yield _warning(VOLUME, {"code": "rule.usual_volume", "low": low, "high": high}, "coverage")
    yield _warning(GAPS, {"code": "rule.usual_gaps", "points": f"{usual.gap_leap:g}"}, "completeness")
    if not snapshot and not usual.seasonal:
        yield _warning(WHOLE, {"code": "rule.whole_period"}, "coverage")
    yield _warning(
        UNITS, {"code": "rule.usual_units", "units": [{"code": "unit.settlement"}, *usual.panel]}, "coverage"
    )
    if usual.figures:
        figures = [{"code": "figure.ratio", "column": f.column, "ratio": f"{f.ratio:g}"} for f in usual.figures]
        yield _warning(JUMP, {"code": "rule.figure_jump", "figures": figures}, "accuracy", "truthfulness")


def _warning(rule_id: str, words: Message, dimension: str, criterion: str = "completeness") -> Rule:
    return Rule(rule_id, words, dimension, "warning", criterion=criterion)
