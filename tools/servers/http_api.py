"""The HTTP API that `http.py` starts: made-up rows by every style of paging, and every failure that a client must see.

    /STYLE?size=100          style: none, csv, page, offset, cursor, link, next
    /STYLE/FAILURE?size=100  the same, with a fault from the second page on, where it has pages

It asks for one of the credentials below, or for KEY as parameter k. `changed_from` gives rows that changed at that moment or later. Nothing here knows qala.
"""

from __future__ import annotations

import base64
import email.utils
import gzip
import json
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

HOST = "127.0.0.1"
TOKEN, USER, PASSWORD, KEY = "bearer-of-good-news", "qala", "s3same-open", "key-of-the-city"
CREDENTIALS = {
    "Authorization": (f"Bearer {TOKEN}", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()),
    "X-Api-Key": (KEY,),
}
ROWS, SIZE = 250, 100
_JSON = "application/json"
_PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"

Row = Mapping[str, Any]


def made_up(count: int = ROWS) -> list[Row]:
    """Rows of a week, each with a moment of change; two share each moment."""
    first = datetime(2026, 1, 1)  # noqa: DTZ001
    return [
        {
            "id": n,
            "changed": (first + timedelta(minutes=n // 2)).isoformat(),
            "name": f"Үй №{n}",
            "value": f"{n / 4:.2f}",
        }
        for n in range(1, count + 1)
    ]


@dataclass
class Answer:
    """What goes over the line. `promised`: its Content-Length, if not its own; `unended`: in chunks, the last of which is not sent."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": _JSON})
    promised: int | None = None
    unended: bool = False
    endless: bool = False


@dataclass
class Asked:
    """A request as the styles of paging see it."""

    api: Api
    path: str
    query: Mapping[str, str]
    time: int  # how often this path was asked for, this time included

    @property
    def rows(self) -> Sequence[Row]:
        return [row for row in self.api.rows if row.get("changed", "") >= self.query.get("changed_from", "")]

    @property
    def size(self) -> int:
        return int(self.query.get("size", SIZE))

    def part(self, first: int) -> Sequence[Row]:
        return self.rows[first : first + self.size]


@dataclass
class Api:
    """An API that runs in a thread. `seen`: (path with query, headers) of every request."""

    rows: Sequence[Row] = field(default_factory=made_up)
    elsewhere: str = ""  # where the failures `redirect` and `astray` lead
    retry_after: float = 0  # seconds that a busy server asks for
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    address: str = ""
    released: threading.Event = field(default_factory=threading.Event)  # lets the failure `hangs` end

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """The page of a style, with its failure."""
        style, _, failure = path.strip("/").partition("/")
        self.times[path] += 1
        if failure == "repeats" and self.times[path] > 2:
            query |= {"page": "2", "offset": query.get("size", str(SIZE))}
        asked = Asked(self, path, query, self.times[path])
        if style not in STYLES:
            return Answer(b'{"error": "there is no such page"}', 404)
        answer = STYLES[style](asked)
        sound = (
            self.times[path] == 1
            and style not in ("none", "csv")
            and failure not in ("busy", "busy-date", "busy-for-ever", "down")
        )
        return answer if sound or failure not in FAILURES else FAILURES[failure](answer, asked)


def _csv(asked: Asked) -> Answer:
    lines = ["id,changed,name,value", *(",".join(map(str, row.values())) for row in asked.rows)]
    newest = str(max((row["changed"] for row in asked.rows), default=""))
    return Answer("\n".join([*lines, ""]).encode(), headers={"Content-Type": "text/csv", "X-Newest": newest})


def _counted(asked: Asked, first: int) -> Answer:
    number, more = -(-len(asked.rows) // asked.size), first + asked.size < len(asked.rows)
    answer = _json({"total": len(asked.rows), "pages": number, "more": more, "rows": asked.part(first)})
    answer.headers["X-Total"] = str(len(asked.rows))
    return answer


def _cursor(asked: Asked) -> Answer:
    first = int(asked.query.get("cursor", "c0")[1:])
    after = f"c{first + asked.size}" if first + asked.size < len(asked.rows) else None
    if asked.path.endswith("/loop") and first:
        after = f"c{asked.size}"
    return _json({"data": {"rows": asked.part(first)}, "meta": {"next": after}})


def _link(asked: Asked) -> Answer:
    rows, after = _following(asked)
    answer = _json(rows)
    if after:
        answer.headers["Link"] = f'<{asked.api.address}/link>; rel="first", <{after}>; rel="next"'
    return answer


def _next(asked: Asked) -> Answer:
    rows, after = _following(asked)
    return _json({"rows": rows, "next": after})


def _following(asked: Asked) -> tuple[Sequence[Row], str | None]:
    first = int(asked.query.get("after", 0))
    after = asked.size if asked.path.endswith("/loop") and first else first + asked.size
    address = asked.api.elsewhere if asked.path.endswith("/astray") else asked.api.address
    following = f"{address}{asked.path}?{urlencode({**asked.query, 'after': after})}"
    return asked.part(first), following if after < len(asked.rows) else None


STYLES: Mapping[str, Callable[[Asked], Answer]] = {
    "none": lambda asked: _json(asked.rows),
    "csv": _csv,
    "page": lambda asked: _counted(asked, (int(asked.query.get("page", 1)) - 1) * asked.size),
    "offset": lambda asked: _counted(asked, int(asked.query.get("offset", 0))),
    "cursor": _cursor,
    "link": _link,
    "next": _next,
}


def _busy(answer: Answer, asked: Asked, status: int, after: str) -> Answer:
    return answer if asked.time % 3 == 0 else Answer(b"busy", status, {"Retry-After": after})


def _in(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def _less(answer: Answer, rows: int) -> Answer:
    said = json.loads(answer.body)
    return _json(said | {"rows": said["rows"][:rows]})


# loop, astray and repeats are made by the styles themselves
FAILURES: Mapping[str, Callable[[Answer, Asked], Answer]] = {
    "busy": lambda answer, asked: _busy(answer, asked, 503, f"{asked.api.retry_after:g}"),
    "busy-date": lambda answer, asked: _busy(answer, asked, 429, _in(asked.api.retry_after)),
    "down": lambda _, __: Answer(b"down", 503, {}),
    "busy-for-ever": lambda _, __: Answer(b"busy", 503, {"Retry-After": "0"}),
    "mark": lambda answer, _: replace(answer, body=b"\xef\xbb\xbf" + answer.body),
    "html": lambda _, __: Answer(_PAGE, headers={"Content-Type": "text/html"}),
    "html-as-json": lambda _, __: Answer(_PAGE),
    "broken": lambda answer, _: replace(answer, body=answer.body[: len(answer.body) // 2]),
    "cut": lambda answer, _: replace(answer, body=answer.body[:-20], promised=len(answer.body)),
    "cut-in-chunks": lambda answer, _: replace(answer, unended=True),
    "gzip": lambda answer, _: _packed(answer, gzip.compress(answer.body)),
    "gzip-cut": lambda answer, _: _packed(answer, gzip.compress(answer.body)[:-12]),
    "total-changes": lambda answer, asked: _json(json.loads(answer.body) | {"total": len(asked.rows) + 1}),
    "total-lacks": lambda answer, _: _json({"rows": json.loads(answer.body)["rows"]}),
    "short": lambda answer, asked: _less(answer, min(asked.size, len(json.loads(answer.body)["rows"])) - 1),
    "empty": lambda answer, _: _less(answer, 0),
    "other-shape": lambda _, __: _json({"items": []}),
    "redirect": lambda _, asked: Answer(b"", 302, {"Location": f"{asked.api.elsewhere}{asked.path}"}),
    "moved": lambda _, asked: Answer(b"", 302, {"Location": f"{asked.api.address}/none"}),
    "endless": lambda answer, _: replace(answer, endless=True),
    "hangs": lambda answer, asked: _held(answer, asked.api.released),
}


def _held(answer: Answer, released: threading.Event) -> Answer:
    released.wait(60)
    return answer


def _packed(answer: Answer, body: bytes) -> Answer:
    return replace(answer, body=body, headers=answer.headers | {"Content-Encoding": "gzip"})


def _json(said: Any) -> Answer:
    return Answer(json.dumps(said, ensure_ascii=False).encode())


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            api.seen.append((self.path, dict(self.headers)))
            known = any(self.headers.get(name) in values for name, values in CREDENTIALS.items())
            known = known or dict(parse_qsl(parts.query)).get("k") == KEY
            if known:
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                self._send(api.answer(parts.path, query))
            else:  # like real ones, it is too helpful: it repeats what it was sent
                self._send(_json({"error": "not allowed", "sent": dict(self.headers)}), 401)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            self.path += "?" + urlencode(body)
            self.do_GET()

        def _send(self, answer: Answer, status: int | None = None) -> None:
            self.send_response(status or answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.unended or answer.endless:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header(
                    "Content-Length", str(len(answer.body) if answer.promised is None else answer.promised)
                )
            self.end_headers()
            if answer.unended or answer.endless:
                for part in _parts(answer):
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            else:
                self.wfile.write(answer.body)
            self.close_connection = self.close_connection or answer.unended or answer.promised is not None

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _parts(answer: Answer) -> Iterator[bytes]:
    yield answer.body
    while answer.endless:
        yield b" " * 65536


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to tell."""


@contextmanager
def serving(api: Api, port: int = 0, certificate: Path | None = None) -> Iterator[Api]:
    """The API on loopback, until the end of the block. `certificate`: a file with it and its key, with which it speaks TLS."""
    server = _Server((HOST, port), _handler(api))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.address = f"{'http' if certificate is None else 'https'}://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        api.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with serving(Api(), int(sys.argv[1])):
        threading.Event().wait()
