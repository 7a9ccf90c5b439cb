"""A PostgreSQL server on loopback: Debian's `postgresql` (apt install postgresql), with a database, an owner, a reader, and TLS of its own certificate.

The server refuses to run as root: started by root, it runs as the system's user `postgres`, and its data lies in a folder of that user's.
Nothing here is safe against a loss of power (fsync is off): it is for trying out.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.clusters.processes import ClusterError, free_ports

DATABASE, OWNER, READER = "akimat", "owner", "reader"
_PASSWORDS = {OWNER: "own-it-all", READER: "read-me-only"}
_UNPRIVILEGED = "postgres"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_wal_size = '4GB'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
lc_messages = 'C'
"""
_ROLES = f"""
CREATE ROLE {OWNER} LOGIN PASSWORD '{_PASSWORDS[OWNER]}';
CREATE ROLE {READER} LOGIN PASSWORD '{_PASSWORDS[READER]}';
CREATE DATABASE {DATABASE} OWNER {OWNER};
\\connect {DATABASE}
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {READER};
"""


@dataclass(frozen=True)
class Server:
    """A server that runs, or did. `data`: its files; `certificate`: by which clients know it, of `localhost`."""

    folder: str
    data: str
    port: int
    password: str = field(default=_PASSWORDS[OWNER], repr=False)
    reader_password: str = field(default=_PASSWORDS[READER], repr=False)

    @property
    def certificate(self) -> Path:
        return Path(self.data, "server.crt")

    def start(self) -> None:
        """Start it, unless it runs; it answers."""
        if not self.running:
            _run(["pg_ctl", "start", "-D", self.data, "-l", str(Path(self.data, "said.txt")), "-w", "-t", "60", "-s"])

    def stop(self, mode: str = "fast") -> None:
        """`mode`: fast ends what clients are at; immediate is a crash."""
        if self.running:
            _run(["pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-t", "60", "-s"])

    @property
    def running(self) -> bool:
        return Path(self.data, "postmaster.pid").exists()

    def psql(self, sql: str, *, user: str = OWNER, database: str = DATABASE) -> str:
        """What psql prints of statements, without frame and header. Raises ClusterError."""
        passwords = {OWNER: self.password, READER: self.reader_password}
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-U", user, "-d", database]
        given = {**os.environ, "PGPASSWORD": passwords.get(user, self.password)}
        done = subprocess.run(command, input=sql, env=given, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise ClusterError(f"psql: {done.stderr.strip()}")
        return done.stdout

    def __str__(self) -> str:
        return (
            f"PostgreSQL at 127.0.0.1:{self.port}, database {DATABASE}, certificate {self.certificate} (of localhost)\n"
            f"user {OWNER}, password {self.password}; user {READER}, password {self.reader_password}, who may only read what {OWNER} makes"
        )


def unavailable() -> str:
    """Why there can be no server here; empty if there can."""
    try:
        _binary("initdb")
    except ClusterError as error:
        return str(error)
    if os.geteuid() == 0 and not _account():
        return f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED}"
    return ""


def up(folder: Path) -> Server:
    """Start a server in a folder, or that of before again. Raises ClusterError."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "server.json"
    if known.exists():
        server = Server(**json.loads(known.read_text(encoding="utf-8")))
        server.start()
        return server
    if said := unavailable():
        raise ClusterError(said)
    server = Server(str(folder), str(_data_folder(folder)), free_ports(1)[0])
    try:
        _make(server)
    except BaseException:
        server.stop("immediate")
        shutil.rmtree(server.data, ignore_errors=True)
        raise
    known.write_text(json.dumps(asdict(server)), encoding="utf-8")
    return server


def down(folder: Path) -> None:
    """Stop the server of a folder; what it holds stays."""
    known = folder.resolve() / "server.json"
    if known.exists():
        Server(**json.loads(known.read_text(encoding="utf-8"))).stop()


def remove(folder: Path) -> None:
    """Stop the server of a folder, and take away what it holds."""
    known = folder.resolve() / "server.json"
    if known.exists():
        server = Server(**json.loads(known.read_text(encoding="utf-8")))
        server.stop("immediate")
        shutil.rmtree(server.data, ignore_errors=True)
        known.unlink()


def _make(server: Server) -> None:
    data = Path(server.data)
    command = ["initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8"]
    _run([*command, "--no-sync", "--no-instructions"])
    _certify(data)
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"{_CONFIGURATION}port = {server.port}\n")
    # the superuser without a password until the roles are made, and never afterwards
    server.start()
    server.psql(_ROLES, user="postgres", database="postgres")
    rules = f"host {DATABASE} all 127.0.0.1/32 scram-sha-256\nhost postgres {OWNER} 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules, encoding="ascii")
    _run(["pg_ctl", "reload", "-D", server.data, "-s"])


def _certify(data: Path) -> None:
    """A certificate of `localhost`, signed by itself."""
    made = [
        "openssl",
        "req",
        "-new",
        "-x509",
        "-days",
        "30",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made += ["-out", str(data / "server.crt"), "-keyout", str(data / "server.key")]
    _run(made)


def _data_folder(folder: Path) -> Path:
    account = _account()
    if account is None:
        return folder / "data"
    # folders of root, such as those of tests, are closed to others
    made = Path(tempfile.mkdtemp(prefix="qala-postgresql-"))
    os.chown(made, account.pw_uid, account.pw_gid)
    return made


def _account() -> pwd.struct_passwd | None:
    """Who the server runs as, if that is another than who starts it."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        return None


def _binary(name: str) -> str:
    found = shutil.which(name) if name in ("psql", "openssl") else None
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = found or (str(installed[-1]) if installed else shutil.which(name))
    if found is None:
        raise ClusterError(f"{name} is not installed; on Debian: apt-get install postgresql")
    return found


def _run(command: Sequence[str]) -> None:
    """Run one of the server's programs as who the server runs as. Raises ClusterError with what it said."""
    account = _account()
    user, group = (None, None) if account is None else (account.pw_uid, account.pw_gid)
    with tempfile.TemporaryFile() as said:  # no pipe: the server would hold it open
        done = subprocess.run(  # noqa: S603
            [_binary(command[0]), *command[1:]],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
            user=user,
            group=group,
            extra_groups=None if account is None else [],
        )
        if done.returncode:
            said.seek(0)
            raise ClusterError(f"{command[0]}: {said.read().decode(errors='replace').strip()[-2000:]}")
