"""PostgreSQL: `COPY (SELECT …) TO STDOUT` in a transaction that only reads and sees one state of the database.

What is archived is CSV as the server wrote it: numbers with all their digits, NULL apart from an empty text. Does not belong here: the protocol
(postgresql_session.py), what a query may say (queries.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from connectors.sources import queries
from connectors.sources.counting import Counting, counted
from connectors.sources.postgresql_session import Session, connected, rows_of
from connectors.sources.postgresql_settings import Settings
from connectors.sources.secrets import Secrets
from connectors.sources.source import Asked, Fetched, SourceError
from warehouse.sql import statement

_DIALECT = "postgres"
_TIMES = {1082: "date", 1114: "timestamp", 1184: "timestamptz"}  # by their OIDs
_NUMBERS = {20: "bigint", 21: "smallint", 23: "integer", 1700: "numeric"}
_SHOWN = 3  # of what a user may write


class Extract(queries.Extract):
    """Rows of a database: by a query, or of a table by its columns."""

    @model_validator(mode="after")
    def _reads(self) -> Self:
        if self.query is not None:
            queries.checked(self.query, _DIALECT)
        return self


def open_source(name: str, settings: Settings, secrets: Secrets) -> PostgresqlSource:
    return PostgresqlSource(name, settings, secrets)


class PostgresqlSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings, secrets: Secrets):
        self.name, self.settings, self.secrets = name, settings, secrets

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        extract = asked.extract
        assert isinstance(extract, queries.Extract)
        file = folder / f"{extract.table}-{asked.period.start:%Y-%m-%d}.csv"
        try:
            with connected(self.name, self.settings, self.secrets) as session:
                query = _asked_for(session, asked)
                with file.open("xb", buffering=1 << 20) as target:
                    rows = session.copy(query, target)
                until = _until(session, query, extract) if extract.changed_by else None
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        if extract.changed_by and not rows:
            file.unlink()
            return None
        return Fetched((file,), rows, until or asked.since)

    def totals(self, asked: Asked, counting: Counting) -> list[tuple[str | None, ...]]:
        """What of an extract there is, as `counted` selects it. Raises SourceError."""
        with connected(self.name, self.settings, self.secrets) as session:
            query = _asked_for(session, asked)
            types = session.types(query)
            sql = counted(
                self.name,
                query,
                counting,
                asked.period,
                known=types,
                dated=[column for column, kind in types.items() if kind in _TIMES],
                exact=[column for column, kind in types.items() if kind in _NUMBERS],
                name=session.name,
                literal=session.literal,
            )
            return session.ask(sql, "extract.query")

    def check(self) -> Sequence[str]:
        with connected(self.name, self.settings, self.secrets) as session:
            ((version, user, database, zone, encrypted),) = session.ask(statement(__file__, "checked_session"))
            ways = rows_of(session.ask(statement(__file__, "ways_to_write")))
        found = [
            f"PostgreSQL {version} at {self.settings.host}:{self.settings.port}, database {database}, user {user}, {encrypted}, moments in {zone}"
        ]
        if ways:
            more = f" and {len(ways) - _SHOWN} more" if len(ways) > _SHOWN else ""
            found.append(
                f"user {user} may write: {', '.join(ways[:_SHOWN])}{more}; give qala a user that may only read (GRANT SELECT, no more)"
            )
        else:
            found.append(f"user {user} may only read")
        return found


def _asked_for(session: Session, asked: Asked) -> str:
    """The SQL of an extract for a period and place, and after the last value of its change attribute."""
    extract = asked.extract
    assert isinstance(extract, queries.Extract)
    since = _since(session.source, extract, asked.since)
    own, first = extract.query, since or extract.begin or ""
    query = queries.bound(own, asked, first, session.literal) if own is not None else _of_table(session, extract, asked)
    if extract.changed_by is None:
        return query
    kind = _type_of(session, query, extract)
    if since is None or (own is not None and queries.asks_since(own)):
        return query
    # a row without a value is among no later ones: it comes every time
    changed = f"asked.{session.name(extract.changed_by)}"
    later = f"{changed} >= CAST({session.literal(since)} AS {kind}) OR {changed} IS NULL"
    return f"SELECT * FROM (\n{query}\n) AS asked WHERE {later}"


def _of_table(session: Session, extract: queries.Extract, asked: Asked) -> str:
    columns = ", ".join(map(session.name, extract.columns)) or "*"
    table = ".".join(map(session.name, (extract.source_table or "").split(".")))
    if extract.period_by is None:
        return f"SELECT {columns} FROM {table}"
    by, first, after = session.name(extract.period_by), asked.period.start.isoformat(), asked.period.end.isoformat()
    return f"SELECT {columns} FROM {table} WHERE {by} >= {session.literal(first)} AND {by} < {session.literal(after)}"


def _since(source: str, extract: queries.Extract, since: str | None) -> str | None:
    if since is None:
        return None
    try:
        return extract.overlapping(since)
    except (ValueError, OverflowError) as error:
        raise SourceError(
            source,
            "extract.overlap",
            f"no overlap can be taken off {since!r} ({error})",
            "write 2 hours for times, 1000 for numbers",
        ) from None


def _type_of(session: Session, query: str, extract: queries.Extract) -> str:
    """The type of the change attribute. Raises SourceError if it is not among the columns, or has no order to rely on."""
    types, name = session.types(query), extract.changed_by or ""
    if name not in types:
        raise SourceError(
            session.source,
            "extract.changed_by",
            f"{name} is not among the query's columns: {', '.join(types)}",
            "select it too, by this name",
        )
    known = {**_TIMES, **_NUMBERS}
    if types[name] not in known:
        raise SourceError(
            session.source,
            "extract.changed_by",
            f"{name} is neither a date, a time nor a number",
            "cast it in the query: CAST(x AS timestamptz)",
        )
    return known[types[name]]


def _until(session: Session, query: str, extract: queries.Extract) -> str | None:
    """The greatest value of the change attribute, in the snapshot that was copied.

    One that lies in the future is left aside: if it counted, nothing that changes until then would be asked for.
    """
    kind, changed = _type_of(session, query, extract), f"asked.{session.name(extract.changed_by or '')}"
    sane = f" FILTER (WHERE {changed} <= now())" if kind in _TIMES.values() else ""
    ((until,),) = session.ask(
        f"SELECT CAST(max({changed}){sane} AS text) FROM (\n{query}\n) AS asked", "extract.changed_by"
    )
    return until
