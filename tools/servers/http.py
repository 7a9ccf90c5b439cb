"""The HTTP API of `http_api.py`, as a process."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.clusters.processes import free_ports, running, start, stop, wait_until
from tools.servers import http_api


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int

    @property
    def address(self) -> str:
        return f"http://{http_api.HOST}:{self.port}"

    def __str__(self) -> str:
        lines = (
            f"address: {self.address}",
            f"bearer: {http_api.TOKEN}; or user: {http_api.USER}, password: {http_api.PASSWORD}; or X-Api-Key: {http_api.KEY}",
            f"try: curl -H 'X-Api-Key: {http_api.KEY}' '{self.address}/page?page=1&size=10'",
        )
        return "\n".join(lines)


def unavailable() -> str:
    """Why there can be no server here: it is always to be had."""
    return ""


def up(folder: Path) -> Server:
    """Start the server of a folder, or give the one that runs."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "port"
    if running(folder) is None:
        known.write_text(str(free_ports(1)[0]), encoding="ascii")
        command = [sys.executable, "-m", http_api.__name__, known.read_text(encoding="ascii")]
        start(folder, command, {"PYTHONPATH": str(Path(__file__).parents[2])})
    server = Server(int(known.read_text(encoding="ascii")))
    wait_until(lambda: _listens(server.port), folder, server.address, 10)
    return server


def down(folder: Path) -> None:
    """Stop the server of a folder."""
    stop(folder.resolve())


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((http_api.HOST, port), timeout=1):
            return True
    except OSError:
        return False
