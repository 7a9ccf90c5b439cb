"""Talking to ClickHouse: a question goes out as SQL and comes back as CSV, rows go in as tab-separated text. Nothing here knows tables.

Servers are reached by clickhouse-connect, and so is chdb, the same engine in this process. clickhouse-connect asks a server at the start for
what those before version 20 do not have, so that it cannot connect to them at all; for these the same three things are said over plain HTTP.
Does not belong here: what is asked and what must hold (clickhouse.py, clickhouse_checks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from warehouse.engines.engine import EngineError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Chunks = Iterator[bytes]
CONNECT_SECONDS = 10
ANSWER_SECONDS = 3600  # as long as a computation may take
FIRST_OF_CONNECT = (20, 0)  # older servers have no column `readonly` in system.settings
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = "TabSeparated"
# the server holds an answer back until it is whole: no error can come after half of the rows
_WHOLE = {"wait_end_of_query": "1"}
# server's number of an error → what to do
_REMEDIES: Mapping[int, str] = {
    60: "bring it in step with qala engine load",
    81: "create the database, or correct `database` in engine.yaml",
    158: "the user's profile limits rows: take the limit away",
    159: "the user's profile limits time (max_execution_time): raise it",
    192: "create the user, or correct engine.yaml",
    193: "set QALA_CLICKHOUSE_PASSWORD and QALA_CLICKHOUSE_READER_PASSWORD to what the server knows",
    194: "set QALA_CLICKHOUSE_PASSWORD and QALA_CLICKHOUSE_READER_PASSWORD to what the server knows",
    209: "see that the shard answers, and try again",
    210: "see that the shard answers, and try again",
    241: "give the server or the user's profile more memory (max_memory_usage), and try again",
    243: "make room on the server's disk, and try again",
    279: "start the shard, and try again",
    291: "let the user see the database of engine.yaml",
    497: "grant the user what engine.yaml has it do",
    359: "raise max_table_size_to_drop and max_partition_size_to_drop on the server, and try again",
    516: "set QALA_CLICKHOUSE_PASSWORD and QALA_CLICKHOUSE_READER_PASSWORD to what the server knows",
    704: "take use_query_cache out of the user's profile",
    719: "take use_query_cache out of the user's profile",
}


class RefusedError(EngineError):
    """The server answered, and its answer is an error; `code` is its number (0 if it gave none)."""

    def __init__(self, where: str, answer: str) -> None:
        self._said = where, answer
        found = _CODE.search(answer)
        self.code = int(found[1]) if found else 0
        full = "No space left" in answer
        remedy = _REMEDIES[243] if full else _REMEDIES.get(self.code, "see the server's log, mend it, and try again")
        super().__init__(f"{where}: {' '.join(answer.split())[:600]}; {remedy}")

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str, str]]:  # it comes out of a worker process
        return type(self), self._said


class Connection(Protocol):
    """One user at one server. Every method raises EngineError; what the server itself refuses is a RefusedError."""

    where: str  # address or folder
    version: tuple[int, ...]

    def ask(self, sql: str) -> bytes:
        """Answer of a SELECT: CSV with a header, whole or not at all."""
        ...

    def tell(self, sql: str) -> None: ...

    def pour(self, table: str, chunks: Chunks) -> None:
        """Insert tab-separated rows; what was inserted before a fault stays."""
        ...

    def close(self) -> None: ...


def connect(address: str, database: str, user: str, password: str, *, insert: Mapping[str, str]) -> Connection:
    """A server's connection; `insert`: settings of `pour`, left out where a server does not know them."""
    plain = PlainConnection(address, database, user, password, insert)
    return plain if plain.version < FIRST_OF_CONNECT else _library(plain, database, user, password, insert)


def embedded(folder: Path, database: str, settings: Mapping[str, Any]) -> Connection:
    """The engine in this process, over a folder. A process can have one folder at a time."""
    import clickhouse_connect

    where = f"chdb in {folder}"
    with _library_errors(where):
        client = clickhouse_connect.get_client(
            interface="chdb", path=str(folder), database=database, settings=dict(settings)
        )
    return LibraryConnection(where, client, {})


class PlainConnection:
    """HTTP as it is: for old servers, and for the first word with any."""

    def __init__(self, address: str, database: str, user: str, password: str, insert: Mapping[str, str]) -> None:
        import urllib3

        parts = urlsplit(address)
        try:
            complete = parts.scheme in ("http", "https") and parts.hostname and parts.port
        except ValueError:
            complete = None
        if not complete or parts.path.strip("/") or parts.query:
            raise EngineError(f"{address} is no address of a server: write http://host:port or https://host:port")
        self.where = address.rstrip("/")
        self._headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=8)
        self._database = ""
        said = self._request("SELECT version() AS v FORMAT TabSeparated").decode(errors="replace").strip()
        if not re.fullmatch(r"\d+\.\d+(\.\d+)*", said):
            remedy = "correct the address in engine.yaml"
            raise EngineError(f"{self.where} answers, but not as ClickHouse does ({said[:60]!r}): {remedy}")
        self.version = tuple(int(part) for part in said.split("."))
        self._database = database
        known = self._request("SELECT name FROM system.settings FORMAT TabSeparated").decode().split("\n")
        self._insert = {name: value for name, value in insert.items() if name in known}

    def ask(self, sql: str) -> bytes:
        return self._request(f"{sql}\nFORMAT CSVWithNames")

    def tell(self, sql: str) -> None:
        self._request(sql)

    def pour(self, table: str, chunks: Chunks) -> None:
        self._request(chunks, query=f"INSERT INTO {table} FORMAT {_FORMAT}", **self._insert)

    def close(self) -> None:
        self._pool.clear()

    def _request(self, body: str | Chunks, **parameters: str) -> bytes:
        import urllib3

        fields = {**_WHOLE, **({"database": self._database} if self._database else {}), **parameters}
        url = f"{self.where}/?{urlencode(fields)}"
        data = body.encode() if isinstance(body, str) else body
        try:
            answer = self._pool.request("POST", url, body=data, headers=self._headers)
        except urllib3.exceptions.SSLError as error:
            message = f"{self.where} does not speak TLS as it should: write http:// if it is a plain port ({error})"
            raise EngineError(message) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(self.where, error) from error
        if answer.status != 200:
            raise RefusedError(self.where, answer.data.decode(errors="replace"))
        return answer.data


class LibraryConnection:
    """clickhouse-connect: a server of today, or chdb."""

    def __init__(self, where: str, client: Client, insert: Mapping[str, str]) -> None:
        self.where = where
        self._client = client
        self.version = tuple(int(part) for part in (client.server_version or "").split(".") if part.isdigit())
        self._insert = {name: value for name, value in insert.items() if name in client.server_settings}

    def ask(self, sql: str) -> bytes:
        with _library_errors(self.where):
            return self._client.raw_query(sql, settings=_WHOLE, fmt="CSVWithNames")

    def tell(self, sql: str) -> None:
        with _library_errors(self.where):
            self._client.command(sql)

    def pour(self, table: str, chunks: Chunks) -> None:
        with _library_errors(self.where):
            self._client.raw_insert(table, None, _generator(chunks), self._insert, _FORMAT)

    def close(self) -> None:
        self._client.close()


def unreachable(where: str, error: BaseException) -> EngineError:
    """Nothing answers there, or it stopped in the middle."""
    remedy = (
        "see that the server runs and that engine.yaml has its address (the HTTP port, https only if it speaks TLS)"
    )
    return EngineError(f"{where} does not answer: {remedy}, and try again ({' '.join(str(error).split())[:300]})")


def _library(
    plain: PlainConnection, database: str, user: str, password: str, insert: Mapping[str, str]
) -> LibraryConnection:
    import clickhouse_connect

    parts = urlsplit(plain.where)
    with _library_errors(plain.where):
        client = clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=parts.port or 0,
            username=user,
            password=password,
            database=database,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=ANSWER_SECONDS,
            autogenerate_session_id=False,  # questions may be asked at once
        )
    plain.close()
    return LibraryConnection(plain.where, client, insert)


def _generator(chunks: Chunks) -> Any:
    yield from chunks


@contextmanager
def _library_errors(where: str) -> Iterator[None]:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        yield
    except ClickHouseError as error:
        if "Unable to open" in str(error):
            remedy = "another process has it open, or this one another folder; wait until it has ended, and try again"
            raise EngineError(f"{where} cannot be opened: {remedy} ({error})") from error
        if _CODE.search(str(error)):
            raise RefusedError(where, str(error)) from error
        raise unreachable(where, error) from error
