"""Whether a warehouse file fits the contracts and this version of qala, before its tables are extended.

Nothing is guessed: what would leave values in a column that nobody describes, or rows without what a contract asks of every row, is
refused with table, column and what to do.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from warehouse.errors import StoreError
from warehouse.store.seals import REGISTRIES
from warehouse.store.store import Store
from warehouse.store.upgrade_steps import FORMERLY, LATEST, STEPS, Step
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS
from warehouse.tables.system_tables import FIXED

_SQL = {
    "text": "VARCHAR", "int": "INTEGER", "long": "BIGINT", "bool": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMP WITH TIME ZONE", "exact": "DECIMAL(38,6)", "double": "DOUBLE",
}  # fmt: skip
# fixed table → column → (SQL type, whether it may be empty)
_WANTED = {
    table: {
        name: (_SQL[kind.rstrip("!")], not kind.endswith("!"))
        for name, kind, *_ in (text.split(" ", 2) for text in columns)
    }
    for table, (_, columns) in FIXED.items()
}


def refuse_older(store: Store) -> None:
    """A file that an older qala made has to be asked for to be changed (upgrade.py); one of a newer qala is not touched. Raises StoreError."""

    refuse_due(store.con, store.home.warehouse)
    for name, columns in _fixed(store.con).items():
        if name.removeprefix("registry.") in REGISTRIES:  # made anew, whatever its columns were
            continue
        extra = sorted({c for c, *_ in columns} - set(_WANTED[name]))
        changed = [c for c, kind, _ in columns if c in _WANTED[name] and kind != _WANTED[name][c][0]]
        if extra or changed:
            raise StoreError(
                f"{store.home.warehouse} was made by a newer version of qala ({name} differs in {', '.join([*extra, *changed])}); use that version"
            )


def add_fixed_columns(store: Store) -> None:
    """Add what the fixed tables lack, empty: no seal changes by it."""
    for name, columns in _fixed(store.con).items():
        has = {c for c, *_ in columns}
        for column, (kind, _) in _WANTED[name].items():
            # one that has another name yet gets it by its step
            if column not in has and FORMERLY.get(name, {}).get(column) not in has:
                store.con.execute(f"ALTER TABLE {name} ADD COLUMN {column} {kind}")


def fit_fixed(store: Store) -> None:
    """Give the fixed tables their columns of today, in their order. What is filled anew at every change of the schema is simply made anew.

    Raises StoreError if rows that are there lack what must not be empty: that takes a step of upgrade_steps.py.
    """
    con = store.con
    for name, columns in _fixed(con).items():
        if columns == [(c, *rest) for c, rest in _WANTED[name].items()]:
            continue
        if name.removeprefix("registry.") in REGISTRIES:
            con.execute(f"DROP TABLE {name}")
            continue
        table, has = name.partition(".")[2], {c for c, *_ in columns}
        if lacking := [c for c, (_, optional) in _WANTED[name].items() if c not in has and not optional]:
            raise StoreError(
                f"{name} of {store.home.warehouse} has no {', '.join(lacking)}, which no row may lack, and no step gives it to them; "
                "use the version of qala that made it"
            )
        layout = ", ".join(
            f"{c} {kind}{'' if optional else ' NOT NULL'}" for c, (kind, optional) in _WANTED[name].items()
        )
        con.execute(f"CREATE TABLE {name}__new ({layout}); INSERT INTO {name}__new BY NAME SELECT * FROM {name}")
        con.execute(f"DROP TABLE {name}; ALTER TABLE {name}__new RENAME TO {table}")


def _fixed(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str, bool]]]:
    """Of every fixed table that is there (name, type, may be empty) of its columns, in their order."""
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for name, *column in con.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE NOT internal "
        "ORDER BY 1, column_index"
    ).fetchall():
        if name in _WANTED:
            found.setdefault(name, []).append((column[0], column[1], column[2]))
    return found


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
        contract, places = store.tables.get(name), (f"showcase.{name}", f"history.{name}")
        if contract is None:
            _take_away(store, name, places)
            continue
        wanted = contract.business_columns
        gone = sorted(set(columns) - set(wanted) - set(SYSTEM_COLUMNS))
        new = [c for c in wanted if c not in columns]
        required = {c.name for c in contract.columns if c.required} | {SNAPSHOT_COLUMN[0]}
        changed = [c for c in wanted if c in columns and not _same_type(columns[c][0], wanted[c])]
        if not (gone or new or changed or any(not columns[c][1] and c not in required for c in wanted)):
            continue
        where = contract.document.path
        if not _has_rows(con, *places):
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


def _take_away(store: Store, name: str, places: tuple[str, str]) -> None:
    """A home's table whose contract is gone goes with it, if nothing was ever delivered for it. Raises StoreError otherwise."""
    delivered = store.con.execute("SELECT count(*) FROM audit.delivery WHERE table_name = ?", [name]).fetchall()[0][0]
    if delivered or _has_rows(store.con, *places):
        raise StoreError(
            f"the warehouse has table showcase.{name} with what was delivered for it, but no contract describes it any more; "
            f"put {name}.odcs.yaml back or move the data to a new home"
        )
    for place in places:
        store.con.execute(f"DROP TABLE {place}")


def _has_rows(con: duckdb.DuckDBPyConnection, *places: str) -> bool:
    return any(con.execute(f"SELECT count(*) FROM {place}").fetchall()[0][0] for place in places)


def _same_type(found: str, wanted: str) -> bool:
    return found.upper().replace(" ", "") == wanted.upper().replace(" ", "")


def due(con: duckdb.DuckDBPyConnection) -> list[Step]:
    """The steps that an open warehouse lacks, in their order. Raises StoreError if a newer version of qala made it."""
    ledger = "SELECT count(*) FROM duckdb_tables() WHERE (schema_name, table_name) = ('audit', 'ledger')"
    if not con.execute(ledger).fetchall()[0][0]:  # an empty file
        return []
    number = con.execute(
        "SELECT TRY(CAST(detail->>'$.number' AS INTEGER)) FROM audit.ledger WHERE kind IN ('schema', 'upgraded') ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if number is None or number[0] is None:
        there = con.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall()
        return [step for step in STEPS if step.mark not in there]
    if number[0] > LATEST:
        raise StoreError(
            f"this warehouse was made by a newer version of qala (its schema is number {number[0]}, this version knows {LATEST}): use that version"
        )
    return [step for step in STEPS if step.number > number[0]]


def refuse_due(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Raises StoreError if a step is due: a warehouse is never changed under somebody who did not ask for it."""
    if steps := due(con):
        told = "; ".join(f"{step.number}: {step.what}" for step in steps)
        raise StoreError(
            f"{file} was made by an older version of qala, and {len(steps)} step{'s are' if len(steps) > 1 else ' is'} due ({told}); "
            "run: qala upgrade   (qala upgrade --check tells more; a copy is kept)"
        )
