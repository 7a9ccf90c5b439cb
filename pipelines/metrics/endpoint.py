"""The scrape endpoint: /metrics, and /healthz for who only asks whether it lives. Nothing can be changed through it.

A thread measures every few seconds; a scrape is answered with what was found last and never waits for it. Does not belong here: what is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from pipelines.metrics.collecting import Collector
from warehouse.home.home import Home

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SECONDS = 15.0  # between two measurements
Started = Callable[[str, list[tuple[str, str]]], Any]
_PLAIN = [("Content-Type", "text/plain; charset=utf-8")]
_INDEX = b"<!doctype html><title>qala</title><p><a href='/metrics'>metrics</a> <a href='/healthz'>healthz</a>\n"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]):
        if ":" in address[0]:
            import socket

            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _Quiet(WSGIRequestHandler):
    timeout = 30  # seconds that a client may take

    def log_message(self, *_: object) -> None:
        """A line for every scrape says nothing."""


class Endpoint:
    """Serves the metrics of one home. Raises OSError from the constructor if the address cannot be had."""

    def __init__(self, home: Home, host: str, port: int):
        from prometheus_client import CollectorRegistry

        self._collector, self._ended = Collector(home), threading.Event()
        registry = CollectorRegistry()
        registry.register(self._collector)
        self._server = make_server(host, port, _answers(registry), server_class=_Server, handler_class=_Quiet)
        self.port = self._server.server_port

    def serve(self) -> None:
        """Serve until `close`, or until this thread is interrupted."""
        threading.Thread(target=self._measure, daemon=True).start()
        try:
            self._server.serve_forever()
        finally:
            self.close()

    def close(self) -> None:
        """End serving; may be called from any thread but the serving one, and again."""
        if not self._ended.is_set():
            self._ended.set()
            threading.Thread(target=self._server.shutdown, daemon=True).start()
            self._server.server_close()

    def _measure(self) -> None:
        while not self._ended.is_set():
            self._collector.refresh()
            self._ended.wait(SECONDS)


def _answers(registry: CollectorRegistry) -> Callable[[dict[str, Any], Started], Iterable[bytes]]:
    from prometheus_client import make_wsgi_app

    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], started: Started) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            started("405 Method Not Allowed", [*_PLAIN, ("Allow", "GET, HEAD")])
            return [b"only GET\n"]
        if path == "/metrics":
            return metrics(environ, started)  # type: ignore[no-any-return]
        if path == "/healthz":
            started("200 OK", _PLAIN)
            return [b"ok\n"]
        if path == "/":
            started("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [_INDEX]
        started("404 Not Found", _PLAIN)
        return [b"there are /metrics and /healthz\n"]

    return answer
