"""Whether a warehouse file fits the contracts and this version of qala, before its tables are extended.

Nothing is guessed: what would leave values in a column that nobody describes, or rows without what a contract asks of every row, is
refused with table, column and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS
from warehouse.store import Store, StoreError


def refuse_older(store: Store, fixed: Mapping[str, list[str]]) -> None:
    """A file whose fixed tables have other columns was made by another qala: it is neither guessed at nor half changed."""
    rows = store.con.execute(
        "SELECT schema_name || '.' || table_name, list(column_name) FROM duckdb_columns() GROUP BY ALL"
    ).fetchall()
    for name, columns in rows:
        if name in fixed and set(columns) != set(fixed[name]):
            differing = ", ".join(sorted(set(columns) ^ set(fixed[name])))
            raise StoreError(
                f"{store.home.warehouse} was made by another version of qala ({name} differs in {differing}); "
                "set it aside, or use that version"
            )


def add_columns(store: Store) -> None:
    """A contract may gain optional columns; one that vanished, changed its type or is asked of rows that lack it needs a decision, not a guess.

    A table that never had a row is made anew. Raises StoreError with table, column and what to do.
    """
    con = store.con
    existing: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, sql_type, optional in con.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = 'showcase' ORDER BY column_index"
    ).fetchall():
        existing.setdefault(table, {})[column] = (sql_type, optional)
    for name, columns in existing.items():
        contract = store.tables.get(name)
        if contract is None:
            raise StoreError(
                f"the warehouse has table showcase.{name}, but no contract describes it any more; "
                f"put {name}.odcs.yaml back or move the data to a new home"
            )
        wanted = contract.business_columns
        gone = sorted(set(columns) - set(wanted) - set(SYSTEM_COLUMNS))
        new = [c for c in wanted if c not in columns]
        required = {c.name for c in contract.columns if c.required} | {SNAPSHOT_COLUMN[0]}
        changed = [c for c in wanted if c in columns and not _same_type(columns[c][0], wanted[c])]
        if not (gone or new or changed or any(not columns[c][1] and c not in required for c in wanted)):
            continue
        places, where = (f"showcase.{name}", f"history.{name}"), contract.document.path
        if not any(con.execute(f"SELECT count(*) FROM {place}").fetchall()[0][0] for place in places):
            for place in places:
                con.execute(f"DROP TABLE {place}")
            continue
        if gone:
            raise StoreError(
                f"showcase.{name} has {'a column' if len(gone) == 1 else 'columns'} {', '.join(gone)} that {where} no longer describes; "
                "put it back: a column that gets another name is a new one beside it, and one that is no longer delivered stays, optional"
            )
        if changed:
            (column, *_) = changed
            raise StoreError(
                f"showcase.{name}.{column} is {columns[column][0]} in the warehouse and {wanted[column]} in {where}; "
                "add a new column instead of changing a type"
            )
        if lacking := [c for c in new if c in required]:
            raise StoreError(
                f"{where} asks for {', '.join(lacking)} in every row, and showcase.{name} has rows without; "
                "make it optional (required: false), or move the data to a new home"
            )
        for place in places:
            for column in new:
                con.execute(f'ALTER TABLE {place} ADD COLUMN "{column}" {wanted[column]}')
            for column in set(wanted) - set(new) - required:
                if not columns[column][1]:
                    con.execute(f'ALTER TABLE {place} ALTER COLUMN "{column}" DROP NOT NULL')


def _same_type(found: str, wanted: str) -> bool:
    return found.upper().replace(" ", "") == wanted.upper().replace(" ", "")
