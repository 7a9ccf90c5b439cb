"""One session with a PostgreSQL server: connected, asked, copied from, every wait with an end, every error in words.

Everything goes through one way of waiting, so that Ctrl-C and a silent network end it. Does not belong here: which questions are asked (postgresql.py).
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from connectors.sources.postgresql_settings import Settings
from connectors.sources.queries import Value
from connectors.sources.secrets import Secrets
from connectors.sources.source import SourceError

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn, PGresult


_GRACE = 15  # seconds that a server has beyond its own time-out to say that it ran out
_AGAIN = "it is tried again; if it stays so, look at the server and the network between"
# by the code of an error (SQLSTATE), or how it begins: setting, what to do, whether it may pass
_BY_CODE = (
    ("28P01", "connection.password", "is it the password of this user? have it set anew there and here", False),
    ("28", "connection.user", "may this user connect from here? see pg_hba.conf of the server", False),
    ("3D000", "connection.database", "name a database of this server", False),
    (
        "42501",
        "extract.query",
        "have the owner grant it: GRANT SELECT ON … TO this user, and nothing that writes",
        False,
    ),
    (
        "42P01",
        "extract.query",
        "is the table there, and is its schema named? its owner must also GRANT USAGE ON SCHEMA",
        False,
    ),
    ("42703", "extract.query", "name columns that are there", False),
    ("25006", "extract.query", "the query must not write: it runs in a transaction that only reads", False),
    (
        "57014",
        "connection.statement_seconds",
        "give it more time, or have it ask for less: a shorter period, an index",
        True,
    ),
    ("57P", "connection.host", f"the server was stopped or restarted; {_AGAIN}", True),
    ("53", "connection.host", f"the server has too little of something (connections, memory, disk); {_AGAIN}", True),
    ("40", "extract.query", f"the server gave other work precedence; {_AGAIN}", True),
    ("08", "connection.host", _AGAIN, True),
)
# of errors before there is a session the client library keeps the text alone, in the server's language: English and Russian are known
_BY_TEXT = (
    (("password authentication failed", "проверку подлинности по паролю", "подлинности по паролю"), _BY_CODE[0]),
    (("no pg_hba.conf entry", "нет записи", 'role "', 'роль "'), _BY_CODE[1]),
    (('database "', 'база данных "'), _BY_CODE[2]),
    (("too many connections", "too many clients", "слишком много"), _BY_CODE[9]),
    (("starting up", "shutting down", "recovery mode", "запускается", "выключается", "восстановления"), _BY_CODE[8]),
)
_NOT_TRUSTED = (
    "have the server's certificate, or that of who signed it, in a file: connection.certificate; the name in it must be connection.host. On this "
    "machine or in a private network tls: 'off' can be declared instead"
)


@contextmanager
def connected(source: str, settings: Settings, secrets: Secrets) -> Iterator[Session]:
    """A session in a read-only transaction that sees one state of the database. Raises SourceError."""
    import psycopg

    password = secrets.read(settings.password, "connection.password")
    try:
        con = psycopg.connect(autocommit=True, password=password.reveal(), **_parameters(settings))
    except psycopg.Error as error:
        raise _not_connected(source, settings, secrets.scrub(str(error))) from None
    try:
        session = Session(source, con, settings.statement_seconds, secrets)
        session.begin(settings)
        yield session
    finally:
        con.close()


def _parameters(settings: Settings) -> dict[str, Any]:
    """Everything said, so that variables of the environment say nothing."""
    parameters = {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.database,
        "user": settings.user,
        "connect_timeout": settings.connect_seconds,
        "application_name": "qala",
        "client_encoding": "UTF8",
        "options": "",
        "gssencmode": "disable",
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "sslmode": "disable" if settings.tls == "off" else settings.tls,
    }
    if settings.tls == "off":
        return parameters | {"require_auth": "!password"}  # a server that wants it in the clear does not get it
    trusted = settings.certificate or ssl.get_default_verify_paths().cafile or _system_certificates()
    return parameters | {"sslrootcert": str(trusted)}


def _system_certificates() -> str:
    usual = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    return next((path for path in usual if Path(path).exists()), "system")


def _not_connected(source: str, settings: Settings, text: str) -> SourceError:
    said = " ".join(text.split()).removeprefix("connection failed: ")
    lower = said.lower()
    if any(word in lower for word in ("ssl", "certificate", "tls")) and "pg_hba" not in lower:
        return SourceError(source, "connection.tls", said, _NOT_TRUSTED)
    if "authentication method requirement" in lower:
        return SourceError(
            source, "connection.tls", said, "the server asks for the password in the clear: encrypt the connection"
        )
    for words, (_, setting, remedy, passing) in _BY_TEXT:
        if any(said_by_server in said for said_by_server in ("FATAL", "ВАЖНО")) and any(
            word in lower for word in words
        ):
            return SourceError(source, setting, said, remedy, passing=passing)
    where = f"connection.host, connection.port: {settings.host}:{settings.port}"
    return SourceError(
        source, where, said, f"does PostgreSQL listen there, and does a firewall let it through? {_AGAIN}", passing=True
    )


class Session:
    """Questions to a server, one after the other; what is answered is text."""

    def __init__(self, source: str, con: psycopg.Connection[Any], seconds: int, secrets: Secrets):
        self.source, self.con, self.seconds, self.secrets = source, con, seconds, secrets

    @property
    def _server(self) -> PGconn:
        return self.con.pgconn

    def begin(self, settings: Settings) -> None:
        """One snapshot, in which nothing is written; values as text that loses nothing and does not depend on the server's settings."""
        self.ask("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        said = {
            "statement_timeout": f"{settings.statement_seconds}s",
            "lock_timeout": "30s",
            "idle_in_transaction_session_timeout": "60s",
            "DateStyle": "ISO, YMD",
            "IntervalStyle": "iso_8601",
            "TimeZone": settings.time_zone,
            "extra_float_digits": "1",
            "bytea_output": "hex",
            "lc_monetary": "C",
            "standard_conforming_strings": "on",
            "row_security": "on" if settings.row_security else "off",
        }
        for name, value in said.items():
            self.ask(f"SET LOCAL {name} = {self.literal(value)}", f"connection ({name})")

    def literal(self, value: Value) -> str:
        if isinstance(value, int):
            return str(value)
        from psycopg.pq import Escaping

        return bytes(Escaping(self._server).escape_literal(str(value).encode())).decode()

    def name(self, value: str) -> str:
        from psycopg.pq import Escaping

        return bytes(Escaping(self._server).escape_identifier(value.encode())).decode()

    def ask(self, sql: str, setting: str = "") -> list[tuple[str | None, ...]]:
        """The rows of an answer, as text. `setting`: what the question is made of, if an error does not tell."""
        with self._in_words(setting):
            result = self._answer(sql)
            self._ended()
            cells = range(result.nfields)
            return [tuple(_text(result.get_value(row, cell)) for cell in cells) for row in range(result.ntuples)]

    def types(self, query: str) -> dict[str, int]:
        """The columns of a query and their types (OIDs)."""
        with self._in_words("extract.query"):
            result = self._answer(f"SELECT * FROM (\n{query}\n) AS asked LIMIT 0")
            self._ended()
            return {_text(result.fname(n)) or "": result.ftype(n) for n in range(result.nfields)}

    def copy(self, query: str, target: BinaryIO) -> int:
        """Write the rows of a query as CSV with a header, bytes as the server sends them. Returns how many rows it says there are."""
        from psycopg.pq import ExecStatus

        messages = 0
        with self._in_words("extract.query"):
            # NULL is nothing between two delimiters, an empty text is "": any text that could be taken for NULL is quoted
            result = self._answer(f"COPY (\n{query}\n) TO STDOUT WITH (FORMAT csv, HEADER, ENCODING 'UTF8')")
            assert result.status == ExecStatus.COPY_OUT
            receive, write = self._server.get_copy_data, target.write
            while True:
                size, line = receive(1)  # each message is one row, the first the header
                if size > 0:
                    write(line)
                    messages += 1
                elif size == 0:
                    self._wait()
                    self._server.consume_input()
                else:
                    break
            told = self._ended()
        if told != messages - 1:
            raise SourceError(
                self.source,
                "extract.query",
                f"the server says COPY {told}, and {messages - 1} rows came",
                _AGAIN,
                passing=True,
            )
        return told

    def _answer(self, sql: str) -> PGresult:
        """The first result of a statement; in the extended protocol there is but one statement."""
        from psycopg.errors import error_from_result
        from psycopg.pq import ExecStatus

        self._server.send_query_params(sql.encode(), None)
        result = self._result()
        assert result is not None
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        return result

    def _result(self) -> PGresult | None:
        while self._server.is_busy():
            self._wait()
            self._server.consume_input()
        return self._server.get_result()

    def _ended(self) -> int:
        """The end of an answer: how many rows it had. It may be an error: what came before it does not count."""
        from psycopg.errors import error_from_result
        from psycopg.pq import ExecStatus

        rows = 0
        while (result := self._result()) is not None:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result)
            rows = result.command_tuples or 0
        return rows

    def _wait(self) -> None:
        """Until the server says something."""
        poll = select.poll()
        poll.register(self._server.socket, select.POLLIN)
        limit = time.monotonic() + self.seconds + _GRACE
        while not poll.poll(1000):
            if time.monotonic() > limit:
                raise TimeoutError

    @contextmanager
    def _in_words(self, setting: str) -> Iterator[None]:
        import psycopg

        try:
            yield
        except TimeoutError:
            said = f"the server said nothing for {self.seconds + _GRACE} seconds"
            raise SourceError(self.source, "connection.statement_seconds", said, _AGAIN, passing=True) from None
        except psycopg.Error as error:
            raise self._worded(error, setting) from None

    def _worded(self, error: psycopg.Error, setting: str) -> SourceError:
        code = error.sqlstate or ""
        said = error.diag.message_primary or " ".join(str(error).split())
        hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
        said = self.secrets.scrub(f"{said}{hint}") + (f" [{code}]" if code else "")
        for begins, concerned, remedy, passing in _BY_CODE:
            if code.startswith(begins):
                return SourceError(self.source, concerned, said, remedy, passing=passing)
        if not code:
            return SourceError(self.source, "connection.host", f"the connection was lost: {said}", _AGAIN, passing=True)
        return SourceError(
            self.source, setting or "extract.query", said, "try the query in psql as this user, and mend it"
        )


def _text(value: Any) -> str | None:
    return None if value is None else bytes(value).decode()


def rows_of(answer: Sequence[tuple[str | None, ...]]) -> list[str]:
    """The first column of an answer."""
    return [row[0] or "" for row in answer]
