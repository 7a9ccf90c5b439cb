"""A control file made of a database's own answers: counts and sums over the query of an extract, month by month.

The query is that of the extract, for each month of the quarter and each of its settlements; the source counts, nothing is fetched. Does not
belong here: how a database is asked (connectors/sources/), comparing (warehouse/loading/control_totals.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from connectors.control.control_file import ControlError, Line
from connectors.mapping.shape import Shape
from connectors.mapping.source_contract import SourceContract, standard
from connectors.sources.connections import Connected
from connectors.sources.counting import Counting
from connectors.sources.settings import Extract
from connectors.sources.source import Asked
from warehouse.loading.control_totals import summable
from warehouse.periods import Period, parse_period
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import settlements


@runtime_checkable
class Countable(Protocol):
    """A source that can count what it would give."""

    def totals(self, asked: Asked, counting: Counting) -> list[tuple[str | None, ...]]:
        """What of an extract there is, as `counted` selects it. Raises SourceError."""


def lines(
    connected: Connected,
    source: Countable,
    system: str,
    period: Period,
    tables: Mapping[str, Table],
    contracts: Mapping[tuple[str, str], SourceContract],
) -> Iterator[Line]:
    """What a source has of a system, line by line. Raises ControlError, SourceError."""
    for extract in connected.extracts:
        if extract.system != system:
            continue
        table = tables[extract.table]
        contract = contracts.get((extract.system, extract.table)) or standard(table)
        counting, summed = _counting(table, contract, extract)
        first = parse_period(extract.first).start
        for month in map(parse_period, period.months):
            for scope in extract.places if month.start >= first else ():
                asked = Asked(extract, connected.regulation(extract), scope, month)
                yield from _of_month(source.totals(asked, counting), asked, contract, summed)


def _of_month(
    answer: Sequence[tuple[str | None, ...]], asked: Asked, contract: SourceContract, summed: Sequence[str]
) -> Iterator[Line]:
    table, territory, found = contract.table, _territory(asked.scope), set[str]()
    codes = contract.by_name["kato"].codes if "kato" in contract.by_name else {}
    for place, rows, *sums in answer:
        settlement = min(territory) if len(territory) == 1 else codes.get(str(place), str(place))
        if settlement not in territory:
            raise ControlError(
                f"{table}: the source has rows of {settlement!r}, which is no settlement of {asked.scope}; name its codes in the contract"
            )
        cell = (table, settlement, asked.period.id)
        found.add(settlement)
        yield Line(cell, int(rows or 0))
        for n, column in enumerate(summed):
            total, filled = sums[2 * n], sums[2 * n + 1]
            if filled is not None:
                yield Line(cell, int(rows or 0), column, Decimal(total or 0), int(filled))
    for settlement in sorted(territory - found):
        yield Line((table, settlement, asked.period.id), 0)


def _territory(scope: str) -> set[str]:
    """The settlements of a declared territory."""
    return {kato for kato in settlements() if scope == "KZ" or kato.startswith(scope)}


def _counting(table: Table, contract: SourceContract, extract: Extract) -> tuple[Counting, tuple[str, ...]]:
    """What is counted by the headers there, and the columns of the table that are summed: numbers that are taken as they are."""
    if contract.shape != Shape():
        raise ControlError(
            f"{extract.table}: contract {contract.id} makes rows of records otherwise than one of one (where, unpivot, duplicates, repeatedKeys), "
            "so the source's rows are not ours; have its owner give a control file: qala reconcile --control FILE"
        )
    direct = {c.name: c.header or c.name for c in contract.columns if c.logic is None}
    cut, wide = contract.cut, any(len(_territory(scope)) != 1 for scope in extract.places)
    by = None if table.snapshot else cut.by
    needed = [one for one in (by, "kato" if wide else None) if one is not None]
    if worked_out := [one for one in needed if one not in direct]:
        raise ControlError(
            f"{extract.table}: {worked_out[0]} is worked out by contract {contract.id}, so the source cannot count by it; "
            "have its owner give a control file: qala reconcile --control FILE"
        )
    plain = [
        c for c in summable(table) if c in direct and not contract.by_name[c].codes and not contract.numerals.rounding
    ]
    return Counting(
        by=None if by is None else direct[by],
        as_of=cut.kind == Asserts.AS_OF,
        place=direct["kato"] if wide else None,
        columns=tuple(direct[c] for c in plain),
    ), tuple(plain)
