"""Other databases, through SQLAlchemy: one query in a transaction that only reads where the database has such, archived as Parquet.

Drivers do not come with qala: the one that a database needs is installed beside it. Does not belong here: PostgreSQL (postgresql.py, which is
faster and keeps what the server wrote), types of values (sql_rows.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.sources import queries
from connectors.sources.counting import Counting, counted
from connectors.sources.queries import Value
from connectors.sources.secrets import Reference, Secrets
from connectors.sources.settings import Strict, refused
from connectors.sources.source import Asked, Fetched, SourceError
from connectors.sources.sql_rows import DECLARED, ColumnError, columns_of, write_parquet

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult
    from sqlalchemy.exc import DBAPIError

_BATCH = 10_000  # rows
_SAMPLE = 1_000  # rows that tell what the columns are, where the database counts
# by dialect: what a transaction begins with, so that it only reads and sees one state
_READ_ONLY: Mapping[str, tuple[str, ...]] = {
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",),
    "mysql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",),
    "mariadb": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",),
    "oracle": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON", "BEGIN"),
}
# module of a driver → package that brings it
_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
    "oracledb": "oracledb",
    "pyodbc": "pyodbc",
    "psycopg2": "psycopg2-binary",
}
_SECRET = re.compile(r"pass|pwd|secret|token|credential|key$", re.IGNORECASE)
_AGAIN = "it is tried again; if it stays so, look at the server and the network between"


def _driver(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(\+[a-z0-9_]+)?", text):
        raise refused(
            "is no dialect of SQLAlchemy", "write dialect+driver: mysql+pymysql, mssql+pyodbc, oracle+oracledb, sqlite"
        )
    return text


class Settings(Strict):
    """A database that SQLAlchemy has a dialect for, read by a user that may only read."""

    driver: Annotated[str, AfterValidator(_driver)] = Field(
        description="Dialect and driver, as SQLAlchemy names them: mysql+pymysql",
        examples=["mysql+pymysql", "oracle+oracledb"],
    )
    host: str | None = Field(default=None, description="Its name or address; of SQLite none")
    port: int | None = Field(default=None, ge=1, le=65_535, strict=True, description="Where it listens")
    database: str = Field(min_length=1, description="The database; of SQLite the whole path of the file")
    user: str | None = Field(default=None, description="A user that may only read what is asked for")
    password: Reference | None = Field(default=None, description="{env: NAME} or {file: PATH}")
    options: dict[str, str] = Field(
        default={},
        description="What else the driver wants in its address, encryption above all: ssl_ca: /etc/ssl/akimat.pem",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if secret := next((key for key in self.options if _SECRET.search(key)), None):
            raise refused(f"options.{secret} looks like a secret", "take it out, change it, and use password")
        if self.driver.startswith("sqlite"):
            if self.host or not self.database.startswith("/"):
                raise refused(
                    "of SQLite the whole path of the file is the database, without a host",
                    "database: /srv/exchange/registry.db",
                )
        elif not self.host:
            raise refused("names no host", "write host: db.akimat.kz")
        return self


class Extract(queries.Extract):
    """Rows of a database: by a query, or of a table by its columns."""

    types: dict[str, Literal["decimal", "double", "integer", "text"]] = Field(
        default={}, description=f"Of columns that the database does not tell: {', '.join(DECLARED)}"
    )

    @model_validator(mode="after")
    def _reads(self) -> Self:
        if self.query is not None:
            queries.checked(self.query, "")
        return self


def open_source(name: str, settings: Settings, secrets: Secrets) -> SqlSource:
    return SqlSource(name, settings, secrets)


class SqlSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings, secrets: Secrets):
        self.name, self.settings, self.secrets = name, settings, secrets

    @property
    def dialect(self) -> str:
        return self.settings.driver.partition("+")[0]

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        extract = asked.extract
        assert isinstance(extract, Extract)
        file = folder / f"{extract.table}-{asked.period.start:%Y-%m-%d}.parquet"
        with self._connected() as con, self._in_words():
            sql, given = self._asked_for(con, asked)
            answer = self._ask(con, sql, given)
            names = list(answer.keys())
            newest = _Newest(names, extract.changed_by)
            rows = write_parquet(
                columns_of(names, extract.types),
                newest.through(_batches(answer)),
                file,
                floats_lie=self.dialect == "sqlite",
            )
        if extract.changed_by and not rows:
            file.unlink()
            return None
        return Fetched((file,), rows, newest.text or asked.since)

    def totals(self, asked: Asked, counting: Counting) -> list[tuple[str | None, ...]]:
        """What of an extract there is, as `counted` selects it. Raises SourceError."""
        with self._connected() as con, self._in_words():
            sql, given = self._asked_for(con, asked)
            answer = self._ask(con, sql, given)
            names, sample = list(answer.keys()), answer.fetchmany(_SAMPLE)
            answer.close()
            seen = {name: [row[n] for row in sample if row[n] is not None] for n, name in enumerate(names)}
            whole = (int,) if self.dialect == "sqlite" else (int, Decimal)
            counting_sql = counted(
                self.name,
                sql,
                counting,
                asked.period,
                known=names,
                # a query without rows has no types: nothing is counted of it either way
                dated=[name for name, values in seen.items() if all(map(self._is_date, values))],
                exact=[name for name, values in seen.items() if values and all(isinstance(v, whole) for v in values)],
                name=lambda name: _quoted(con, name),
                literal=lambda day: self._parameter(given, day),
            )
            return [tuple(None if v is None else str(v) for v in row) for row in self._ask(con, counting_sql, given)]

    def check(self) -> Sequence[str]:
        with self._connected() as con, self._in_words():
            version = ".".join(map(str, con.dialect.server_version_info or ()))
        kept = (
            "only reads"
            if self.dialect in _READ_ONLY
            else "is not kept from writing by this database: give qala a user that may only read"
        )
        where = f"{self.settings.host}:{self.settings.port}" if self.settings.host else "this machine"
        return (
            f"{self.dialect} {version} at {where}, database {self.settings.database}, user {self.settings.user}; its transaction {kept}",
        )

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection in a transaction that only reads."""
        import sqlalchemy

        said = self.settings
        secret = self.secrets.read(said.password, "connection.password") if said.password else None
        with self._in_words("connection.driver"):
            engine = sqlalchemy.create_engine(
                self._address(secret.reveal() if secret else None), hide_parameters=True, poolclass=sqlalchemy.NullPool
            )
        with self._in_words("connection"):
            con = engine.connect()
        try:
            with self._in_words("connection"):
                for sql in _READ_ONLY.get(self.dialect, ()):
                    con.exec_driver_sql(sql)
            yield con
        finally:
            con.close()
            engine.dispose()

    def _address(self, password: str | None) -> Any:
        from sqlalchemy import URL

        said = self.settings
        if self.dialect == "sqlite":  # only to be read, and not made if it is not there
            return URL.create(
                said.driver, database=f"file:{said.database}", query={"mode": "ro", "uri": "true", **said.options}
            )
        return URL.create(said.driver, said.user, password, said.host, said.port, said.database, said.options)

    def _asked_for(self, con: Connection, asked: Asked) -> tuple[str, dict[str, Any]]:
        """The SQL of an extract with marks where parameters stand, and the parameters."""
        extract, given = asked.extract, dict[str, Any]()
        assert isinstance(extract, Extract)
        since = self._since(extract, asked.since)

        def parameter(value: Value) -> str:
            return self._parameter(given, value)

        if extract.query is not None:
            query = queries.bound(extract.query, asked, "" if since is None else since, parameter)
        else:
            table = ".".join(_quoted(con, part) for part in (extract.source_table or "").split("."))
            query = f"SELECT {', '.join(_quoted(con, c) for c in extract.columns) or '*'} FROM {table}"
            if extract.period_by is not None:
                by = _quoted(con, extract.period_by)
                query += f" WHERE {by} >= {parameter(asked.period.start)} AND {by} < {parameter(asked.period.end)}"
        if (
            extract.changed_by is None or since is None or extract.begin is not None
        ):  # {since} and begin belong together
            return query, given
        # a row without a value is among no later ones: it comes every time
        changed = f"asked.{_quoted(con, extract.changed_by)}"
        return f"SELECT * FROM (\n{query}\n) asked WHERE {changed} >= {parameter(since)} OR {changed} IS NULL", given

    def _since(self, extract: Extract, since: str | None) -> Value | None:
        """Where to go on from, as what it is; of SQLite a text."""
        try:
            found = extract.begin if since is None else extract.overlapping(since)
            return found if self.dialect == "sqlite" and not re.fullmatch(r"-?\d+", found or "") else _typed(found)
        except (ValueError, OverflowError) as error:
            raise SourceError(
                self.name,
                "extract.overlap",
                f"no overlap can be taken off {since!r} ({error})",
                "write 2 hours for times, 1000 for numbers",
            ) from None

    def _is_date(self, value: Any) -> bool:
        return isinstance(_typed(value) if self.dialect == "sqlite" else value, dt.date)

    def _parameter(self, given: dict[str, Any], value: Value) -> str:
        """A mark in the SQL for a parameter; SQLite has no dates, it compares their texts."""
        name = f"qala_{len(given)}"
        given[name] = str(value) if self.dialect == "sqlite" and isinstance(value, dt.date) else value
        return f"\0{name}\0"

    def _ask(self, con: Connection, sql: str, given: Mapping[str, Any]) -> CursorResult[Any]:
        from sqlalchemy import text

        # a colon of the query's own is no parameter
        marked = re.sub("\0(\\w+)\0", r":\1", sql.replace(":", "\\:"))
        used = {name: value for name, value in given.items() if f"\0{name}\0" in sql}
        return con.execute(text(marked), used, execution_options={"stream_results": True, "max_row_buffer": _BATCH})

    @contextmanager
    def _in_words(self, setting: str = "extract.query") -> Iterator[None]:
        from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

        try:
            yield
        except ColumnError as error:
            raise SourceError(self.name, "extract.types", error.said, error.remedy) from None
        except ModuleNotFoundError as error:
            package = _PACKAGES.get(str(error.name), str(error.name))
            said = f"{self.settings.driver} needs the package {package}, which does not come with qala"
            raise SourceError(self.name, "connection.driver", said, f"pip install {package}") from None
        except (NoSuchModuleError, ArgumentError) as error:
            said = self.secrets.scrub(str(error))
            raise SourceError(
                self.name,
                "connection.driver",
                said,
                "write dialect+driver as SQLAlchemy names them, or install the dialect",
            ) from None
        except DBAPIError as error:
            raise self._worded(error, setting) from None
        except SQLAlchemyError as error:
            said = self.secrets.scrub(" ".join(str(error).split()))
            raise SourceError(
                self.name, setting, said, "try the query in the database's own client, and mend it"
            ) from None

    def _worded(self, error: DBAPIError, setting: str) -> SourceError:
        said = self.secrets.scrub(" ".join(str(error.orig).split()))
        kind = type(error.orig).__name__
        if setting == "connection":
            names = "connection.host, port, database, user, password, options"
            return SourceError(
                self.name,
                names,
                said,
                f"are they those of this database, and is it reached? {_AGAIN}",
                passing=kind == "OperationalError" and self.dialect != "sqlite",
            )
        if self.dialect != "sqlite" and (
            error.connection_invalidated or kind in ("OperationalError", "InterfaceError", "InternalError")
        ):
            remedy = f"{_AGAIN}; if it is the query, try it in the database's own client"
            return SourceError(self.name, f"connection.host, {setting}", said, remedy, passing=True)
        return SourceError(
            self.name, setting, said, "try the query in the database's own client as this user, and mend it"
        )


class _Newest:
    """The greatest value of the change attribute among rows that go by; one in the future is left aside (postgresql.py says why)."""

    def __init__(self, names: Sequence[str], changed_by: str | None):
        if changed_by is not None and changed_by not in names:
            raise ColumnError(
                f"{changed_by}, named by changed_by, is not among the query's columns: {', '.join(names)}",
                "select it too",
            )
        self.place = None if changed_by is None else names.index(changed_by)
        self.value: Any = None
        self.now = dt.datetime.now(dt.UTC)

    def through(self, batches: Iterator[Sequence[Sequence[Any]]]) -> Iterator[Sequence[Sequence[Any]]]:
        for batch in batches:
            if self.place is not None:
                values = [row[self.place] for row in batch if row[self.place] is not None]
                self.value = max(
                    [v for v in values if not self._ahead(v)] + [self.value] * (self.value is not None), default=None
                )
            yield batch

    def _ahead(self, value: Any) -> bool:
        moment = _typed(value) if isinstance(value, str) else value
        if isinstance(moment, dt.datetime):
            return moment > (self.now if moment.tzinfo else self.now.replace(tzinfo=None))
        if isinstance(moment, dt.date):
            return moment > self.now.date()
        if isinstance(moment, int | Decimal) and not isinstance(moment, bool):
            return False
        raise ColumnError(
            f"the change attribute is {value!r}, neither a date, a time nor a whole number", "cast it in the query"
        )

    @property
    def text(self) -> str | None:
        return None if self.value is None else str(self.value)


def _batches(answer: CursorResult[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    while batch := answer.fetchmany(_BATCH):
        yield batch


def _typed(value: Any) -> Any:
    """A text of a date, a moment or a number as that."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return Decimal(value) if "." in value else int(value)
    try:
        return (
            dt.date.fromisoformat(value)
            if re.fullmatch(r"\d{4}-\d\d-\d\d", value)
            else dt.datetime.fromisoformat(value)
        )
    except ValueError:
        return value


def _quoted(con: Connection, name: str) -> str:
    return con.dialect.identifier_preparer.quote_identifier(name)
