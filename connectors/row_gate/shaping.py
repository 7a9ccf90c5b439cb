"""What a contract's shape adds to the reading pass: rows of columns, whether a record is taken, what first and last go by. SQL.

Nothing is added for a contract without one. A record that is left out stays in the pass's table, marked in place of a broken rule, as
its place gives the others their numbers; the views leave it out (staging.py). Does not belong here: one row of several records
(one_per_key.py), what a contract may say (mapping/read_shape.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.mapping.source_contract import SourceContract
from connectors.readers.readers import ROW_NUMBER
from warehouse.sql import literal, quoted
from warehouse.tables.rules import LEFT_OUT, LEFT_OUT_EMPTY, LEFT_OUT_WHERE, WHERE

RECORD = '"==record"'  # digest of all cells of the record, and which of its rows it is
POSITION = '"==position"'  # of a row among those of its record, from 1
_TAKEN = '"==taken"'


def order_column(number: int) -> str:
    """Column of the pass that the first or last record is found by, by the place of its expression among the shape's."""
    return quoted(f"==order {number}")


def is_left_out(broken: str) -> str:
    """Condition: a record that the contract leaves out, as the pass marks it."""
    return f"coalesce(starts_with({broken}, {literal(LEFT_OUT)}), false)"


def headers_shown(contract: SourceContract, headers: Sequence[str], header: Sequence[str]) -> list[str]:
    """Headers under which a rejected row is shown: not the columns that became rows, but what they became."""
    unpivot = contract.shape.unpivot
    if unpivot is None:
        return list(headers)
    fed = {h for c in contract.columns for h in c.fed_by}
    columns = unpivot.labels(header)
    return [*(h for h in headers if h not in columns or h in fed), unpivot.name, unpivot.value]


def rows_of_columns(contract: SourceContract, header: Sequence[str], types: Sequence[str], records: str) -> str:
    """SELECT of the records' rows: each record's follow one another, in the order of the columns. The records, if there is no unpivot."""
    unpivot = contract.shape.unpivot
    if unpivot is None:
        return records
    labels = unpivot.labels(header)
    own = contract.over(header, types, contract.civil).native
    # numbers of Parquet among texts: all are read as texts then, by the contract's decimal separator
    mixed = own & {*labels} if unpivot.value not in own and contract.decimal != "." else frozenset()
    cells = [f"replace({quoted(h)}, '.', {literal(contract.decimal)})" if h in mixed else quoted(h) for h in labels]
    lists = {
        quoted(unpivot.name): map(literal, labels.values()),
        quoted(unpivot.value): cells,
        POSITION: map(str, range(1, len(labels) + 1)),
    }
    unnested = ", ".join(f"unnest([{', '.join(values)}]) AS {name}" for name, values in lists.items())
    return f"SELECT *, {unnested} FROM ({records})"


def record_digest(contract: SourceContract, cells: Iterable[str]) -> list[str]:
    """Column of the pass by which records that are equal in every cell are found."""
    if not contract.shape.drops_duplicates:
        return []
    return [f"md5(CAST(to_json([{', '.join(cells)}]) AS VARCHAR)) AS {RECORD}"]


def worked_out(contract: SourceContract) -> list[str]:
    """Columns of the pass that are worked out of a row's texts: whether it is taken, and what first and last go by."""
    shape = contract.shape
    found = [f"{contract.worked_out(shape.where)} AS {_TAKEN}"] if shape.where else []
    return found + [f"{contract.worked_out(one)} AS {order_column(n)}" for n, one in enumerate(shape.orders)]


def conditions(contract: SourceContract) -> list[tuple[str, str]]:
    """By what a row is left out or rejected before any rule of the table is asked: rule, and SQL that is true of such a row."""
    shape = contract.shape
    found = []
    if shape.where:
        found.append((LEFT_OUT_WHERE, f"NOT {_TAKEN}"))
    if shape.unpivot and shape.unpivot.leaves_out_empty:
        found.append((LEFT_OUT_EMPTY, contract.is_nothing(shape.unpivot.value)))
    if shape.where:
        found.append((WHERE, f"{_TAKEN} IS NULL"))
    return found


def row_number(contract: SourceContract, header: Sequence[str]) -> str:
    """A row's number where records carry theirs: see Shape.rows_of_record."""
    width = contract.shape.rows_of_record(header)
    return f"({ROW_NUMBER} - 1) * {width} + {POSITION}" if contract.shape.unpivot else ROW_NUMBER


def kept_columns(contract: SourceContract) -> list[str]:
    """Columns of the pass that its table keeps for one_per_key.py."""
    shape = contract.shape
    found = [f"{RECORD} || {POSITION} AS {RECORD}" if shape.unpivot else RECORD] if shape.drops_duplicates else []
    return found + [order_column(n) for n, _ in enumerate(shape.orders)]


def order_of(contract: SourceContract, by: object) -> str:
    """Column of the pass's table that an aggregate goes by: a column of the showcase table, or a worked out one."""
    places: Mapping[object, int] = {one: n for n, one in enumerate(contract.shape.orders)}
    return order_column(places[by]) if by in places else quoted(str(by))
