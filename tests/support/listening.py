"""Servers on loopback that take what a home tells: a web server and a mail server, with answers that a test sets beforehand.

Does not belong here: what a home tells (pipelines/notifications/).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, WORD = "duty", "Tr0ub4dor&3/é"


@dataclass
class Web:
    """A web server. `answers`: (status, headers) of the next requests, then 200; `silent`: seconds before it answers."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    silent: float = 0
    got: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)  # headers and body of what it took
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def web_server() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            web.asked += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(web.silent)
            status, headers = web.answers.pop(0) if web.answers else (200, {})
            if status < 300:
                web.got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # who asked has gone
                return

        def do_GET(self) -> None:
            """Whoever asks is nobody it knows."""
            self.send_error(401)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_address[1]
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Post:
    """A mail server. `refuses`: by recipient, the answers to the next RCPT; `data`: answers to the next messages, then 250."""

    port: int = 0
    refuses: dict[str, list[str]] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)  # recipients and mail of what it took
    encrypted: list[bool] = field(default_factory=list)  # of each login

    async def handle_RCPT(self, *given: Any) -> str:  # noqa: N802  the name that aiosmtpd calls
        envelope, address = given[2], str(given[3])
        if answers := self.refuses.get(address):
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, *given: Any) -> str:  # noqa: N802  likewise
        if self.data:
            return self.data.pop(0)
        mail = message_from_bytes(bytes(given[2].content), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.got.append((list(given[2].rcpt_tos), mail))
        return "250 OK"


def _authenticator(post: Post) -> Callable[..., AuthResult]:
    def known(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        post.encrypted.append(session.ssl is not None)
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), WORD.encode())
        return AuthResult(success=right, handled=False)

    return known


@contextmanager
def mail_server(folder: Path | None = None) -> Iterator[Post]:
    """`folder`: where its certificate is written, `ca.pem`; then it wants STARTTLS and a login."""
    post, more = Post(), dict[str, Any]()
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))
        more = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _authenticator(post),
        }
    with socket.create_server(("127.0.0.1", 0)) as free:
        post.port = free.getsockname()[1]
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **more)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, private = folder / "ca.pem", folder / "key.pem"
    ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ca, private
