"""A server of ClickHouse's HTTP protocol made of the engine in this process: today's version, which no system package here has.

It knows one loader and one reader, who may only read. What a real server adds (grants, profiles, several databases) it has not.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LOADER, READER, PASSWORD = "qala", "qala_reader", "say-so"
# type → a value of DuckDB as the engine's tables have it
AS_ENGINES_KEEP_IT = {"TIMESTAMP": "epoch_us({})", "DATE": "date_diff('day', DATE '1970-01-01', {})::INTEGER"}
# what a client may send that is no setting
_NO_SETTINGS = {
    "query",
    "database",
    "client_protocol_version",
    "wait_end_of_query",
    "default_format",
    "query_id",
    "buffer_size",
    "compress",
    "enable_http_compression",
}


@contextmanager
def http_server(folder: Path, *, version: str = "") -> Iterator[str]:
    """Address of a server over a folder of chdb's; `version`: what it says it is, in place of the truth."""
    import chdb

    connect: Any = chdb.connect
    lock = threading.Lock()
    connections = {LOADER: connect(str(folder)), READER: connect(str(folder))}
    connections[READER].query("SET readonly = 1")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            body = self._body()
            user, password = self._user()
            if password != PASSWORD:
                self._answer(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
                return
            if (database := fields.get("database", "default")) != "default":
                self._answer(
                    404, f"Code: 81. DB::Exception: Database {database} does not exist. (UNKNOWN_DATABASE)".encode()
                )
                return
            settings = {name: value for name, value in fields.items() if name not in _NO_SETTINGS}
            if settings and user == READER:
                name = next(iter(settings))
                self._answer(
                    500,
                    f"Code: 164. DB::Exception: Cannot modify '{name}' setting in readonly mode. (READONLY)".encode(),
                )
                return
            try:
                with lock:
                    answer = self._run(connections[user], fields, body)
            except Exception as error:
                self._answer(500, str(error).encode())
                return
            self._answer(200, answer)

        def _run(self, connection: Any, fields: dict[str, str], body: bytes) -> bytes:
            query = fields.get("query", "")
            if query.lstrip().upper().startswith("INSERT"):
                return bytes(connection.query(f"{query}\n{body.decode()}", "TabSeparated").bytes())
            sql = (query + body.decode()).rstrip().rstrip(";")
            kind = fields.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
            answer = bytes(connection.query(sql, kind).bytes())
            return answer.replace(b"26.9.2.1", version.encode()) if version and b"version()" in sql.encode() else answer

        def _user(self) -> tuple[str, str]:
            if basic := self.headers.get("Authorization"):
                user, _, password = base64.b64decode(basic.split()[1]).decode().partition(":")
                return user, password
            return self.headers.get("X-ClickHouse-User", ""), self.headers.get("X-ClickHouse-Key", "")

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for connection in connections.values():
            connection.close()


def by_chdb(sql: str) -> list[dict[str, Any]]:
    """The rows of the engine's answer, in this process and without a server."""
    import chdb

    found: list[dict[str, Any]] = chdb.query(sql, "ArrowTable").to_pylist()  # type: ignore[no-untyped-call]
    return found
