"""registry.message: the sentences of the messages that other tables record, kept beside them so that plain SQL finds them in three languages.

Filled in the transaction that records a message, made anew where the catalogue of messages changed (schema.py), and held against what the
catalogue says of them (audit/verify_derived.py). Does not belong here: what is recorded, and when (the room that records it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from warehouse.messages.messages import code_of, in_words, messages_of, recorded
from warehouse.store.store import Store
from warehouse.tables.working_tables import create

# table and column of everything that is recorded as a message
RECORDED = (
    ("kpi.value", "reason"),
    ("kpi.rollup", "reason"),
    ("kpi.assessment_item", "reason"),
    ("audit.delivery", "reason"),
    ("audit.incident", "observed"),
    ("audit.incident", "expected"),
    ("audit.incident", "closing_reason"),
)
# what views say although no table records it
SAID_BY_VIEWS = ("reason.restricted",)
_IS_MESSAGE = "{}[1] IN ('{{', '[')"  # and no plain text; SQL
_COLUMNS = ["message", "code", "text_en", "text_ru", "text_kk"]


def keep_sentences(store: Store, *columns: tuple[str, str]) -> None:
    """Give registry.message the sentences that it lacks of what is recorded in `columns`, each a relation (a table, or SQL in parentheses) and
    its column; in the caller's transaction. Plain text of former versions has none.
    """
    store.insert("registry.message", _COLUMNS, list(_sentences(_lacking(store.con, columns))))


def make_sentences(store: Store) -> None:
    """Fill registry.message anew, by the catalogue of today."""
    store.con.execute("DELETE FROM registry.message")
    store.insert("registry.message", _COLUMNS, list(_sentences(map(_bare, SAID_BY_VIEWS))))
    keep_sentences(store, *RECORDED)


def list_wording(store: Store, again: str, former: str) -> None:
    """Make `work_wording`: of the messages that are reasons in the relation `again`, the English sentence, which is what former versions recorded
    in their place. Nobody else did: it stays empty where no reason in `former` is plain text.
    """
    create(store.con, "work_wording")
    if store.con.execute(f"SELECT 1 FROM {former} WHERE NOT ({_IS_MESSAGE.format('reason')}) LIMIT 1").fetchall():
        told = [(message, english) for message, _, english, *_ in _sentences(_distinct(store.con, [(again, "reason")]))]
        store.insert("work_wording", ["message", "text_en"], told)


def unchanged(column: str, former: str, again: str) -> str:
    """SQL condition: a column of the row `former` says what that of `again` says. A reason that was recorded as plain text does if it is the
    sentence of the message that stands there today; `wording` is the row of `work_wording` of that message, or empty.
    """
    same = f"{former}.{column} IS NOT DISTINCT FROM {again}.{column}"
    return f"({same} OR coalesce({former}.reason = wording.text_en, false))" if column == "reason" else same


def differing_sentences(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """What of registry.message is not what the catalogue says, one sentence each: messages without a row, and rows that say something else."""
    kept = con.execute(f"SELECT {', '.join(_COLUMNS)} FROM registry.message ORDER BY ALL").fetchall()
    for message in sorted({*_lacking(con, RECORDED), *map(_bare, SAID_BY_VIEWS)} - {row[0] for row in kept}):
        if code_of(message):
            yield f"the message {message} has no sentences"
    last = None
    for row in kept:
        if row[0] == last:
            yield f"the message {row[0]} has sentences twice"
        elif [row] != list(_sentences([row[0]])):
            yield f"the sentences of {row[0]} are not those of the catalogue of messages"
        last = row[0]


def _bare(code: str) -> str:
    return recorded({"code": code})


def _distinct(con: duckdb.DuckDBPyConnection, columns: Iterable[tuple[str, str]]) -> list[str]:
    found = " UNION ".join(f"SELECT {column} AS message FROM {relation}" for relation, column in columns)
    rows = con.execute(
        f"SELECT DISTINCT message FROM ({found}) WHERE {_IS_MESSAGE.format('message')} ORDER BY 1"
    ).fetchall()
    return [str(message) for (message,) in rows]


def _lacking(con: duckdb.DuckDBPyConnection, columns: Iterable[tuple[str, str]]) -> list[str]:
    kept = "(SELECT message FROM registry.message)"
    return _distinct(con, [(f"(SELECT {c} FROM {r} WHERE {c} NOT IN {kept})", c) for r, c in columns])


def _sentences(messages: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of registry.message; none for plain text."""
    languages = [column.removeprefix("text_") for column in _COLUMNS[2:]]
    for message in messages:
        if read := messages_of(message):
            yield message, str(read[0]["code"]), *(in_words(read, language, message) for language in languages)
