"""Whether a server can listen on an address, told before it is started: Dagster's own waits for a port that it cannot have."""

from __future__ import annotations

import errno
import socket

FIRST_FREE, LAST = 1024, 65535  # a port below the first is the administrator's


class ListeningError(RuntimeError):
    """No server can listen there; the message says where one can."""


def refuse_port(host: str, port: int) -> None:
    """Raises ListeningError if a port is none, is taken, or needs another right; or if `host` is no address of this machine."""
    if not 0 < port <= LAST:
        raise ListeningError(f"there is no port {port}: ports are {FIRST_FREE} to {LAST}, as in --port 3000")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ListeningError(
            f"no machine is called {host!r}; leave --host out, or write an address of this machine"
        ) from None
    try:
        _bind(family, kind, protocol, address)
    except OSError as error:
        raise ListeningError(_said(host, port, error)) from None


def _bind(family: int, kind: int, protocol: int, address: object) -> None:
    with socket.socket(family, kind, protocol) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)  # type: ignore[arg-type]  # what getaddrinfo gave


def _said(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, perhaps by another qala ui; name a free one: --port {_free(host, port)}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"port {port} is the administrator's, as all below {FIRST_FREE}; name another: --port {_free(host, 3000)}"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; leave --host out, or write one that it has"
    return f"nothing can listen on {host}, port {port} ({error.strerror}); name others with --host and --port"


def _free(host: str, after: int) -> int:
    """The first port from a number on that can be had; the number itself if none near it can."""
    for port in range(after, min(after + 100, LAST)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            _bind(family, kind, protocol, address)
        except OSError:
            continue
        return port
    return after
